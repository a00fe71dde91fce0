/*
 * The epoll engine. Descriptors are registered edge-triggered when somebody first waits for them and stay
 * so: reading first, writing from the first full socket on. An edge between the failed try and the registration is
 * not lost, since registering reports what is ready already.
 *
 * The loop's own eventfd, like every doorbell, is edge-triggered too and its count is never read:
 * each write is an edge.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop-impl.h"

#define MAX_EVENTS 128
#define MAX_SLEEP_MS (24 * 3600 * 1000)

/* What is registered hides behind a pointer whose lowest bit tells bells from I/O objects. */
#define BELL_BIT 1UL

struct epoll_state {
	int epfd;
	int kick_fd;
	bool coarse;  /* no epoll_pwait2() */
	int n_events; /* of the batch being dispatched */
	struct epoll_event events[MAX_EVENTS];
};

static int add(struct epoll_state *st, int op, int fd, uint32_t events, uintptr_t tag)
{
	struct epoll_event ev = {.events = events | EPOLLET, .data.u64 = tag};

	return epoll_ctl(st->epfd, op, fd, &ev) == 0 ? 0 : err_from_errno(errno);
}

static void epoll_fini(struct loop *loop)
{
	struct epoll_state *st = loop->engine_state;

	if (st->epfd >= 0)
		close(st->epfd);
	if (st->kick_fd >= 0)
		close(st->kick_fd);
	free(st);
}

static int epoll_init(struct loop *loop)
{
	struct epoll_state *st = calloc(1, sizeof(*st));
	int err = ERR_NOMEM;

	if (!st)
		return err;
	loop->engine_state = st;
	st->epfd = epoll_create1(EPOLL_CLOEXEC);
	st->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (st->epfd >= 0 && st->kick_fd >= 0)
		err = add(st, EPOLL_CTL_ADD, st->kick_fd, EPOLLIN, 0);
	if (err)
		epoll_fini(loop);
	return err;
}

static int epoll_begin(struct loop *loop)
{
	return 0;
}

static void dispatch(const struct epoll_event *ev)
{
	uint64_t tag = ev->data.u64;

	if (tag & BELL_BIT) {
		struct doorbell *bell = (struct doorbell *)(uintptr_t)(tag & ~BELL_BIT);
		if (bell->fn)
			bell->fn(bell);
		return;
	}
	struct io *io = (struct io *)(uintptr_t)tag;
	io->ended |= (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	if (ev->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		io_ready(io, IO_READ);
	if (ev->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		io_ready(io, IO_WRITE);
}

/* epoll_pwait2() came with Linux 5.11; before it sleeps are whole milliseconds, rounded up. */
static int sleep_coarse(struct epoll_state *st, uint64_t ns)
{
	uint64_t ms = ns == UINT64_MAX ? 0 : (ns + NS_PER_MS - 1) / NS_PER_MS;

	return epoll_wait(st->epfd, st->events, MAX_EVENTS,
	                  ns == UINT64_MAX ? -1 : (int)MIN(ms, (uint64_t)MAX_SLEEP_MS));
}

static int sleep_ns(struct epoll_state *st, uint64_t ns)
{
	struct timespec ts = {(time_t)(ns / NS_PER_SEC), (long)(ns % NS_PER_SEC)};
	int n;

	if (st->coarse)
		return sleep_coarse(st, ns);
	n = epoll_pwait2(st->epfd, st->events, MAX_EVENTS, ns == UINT64_MAX ? NULL : &ts, NULL);
	if (n >= 0 || errno != ENOSYS)
		return n;
	st->coarse = true;
	return sleep_coarse(st, ns);
}

static int collect(struct epoll_state *st, uint64_t deadline_ns)
{
	uint64_t now = deadline_ns && deadline_ns != UINT64_MAX ? clock_monotonic_ns() : 0;

	if (deadline_ns <= now)
		return epoll_wait(st->epfd, st->events, MAX_EVENTS, 0);
	return sleep_ns(st, deadline_ns - now);
}

static int epoll_wait_events(struct loop *loop, uint64_t deadline_ns)
{
	struct epoll_state *st = loop->engine_state;
	int n = 0;

	st->n_events = collect(st, deadline_ns);
	for (int i = 0; i < st->n_events; i++) {
		if (!st->events[i].data.u64)
			continue;
		dispatch(&st->events[i]);
		n++;
	}
	st->n_events = 0;
	return n;
}

static void epoll_kick(struct loop *loop)
{
	struct epoll_state *st = loop->engine_state;
	int saved = errno;

	eventfd_write(st->kick_fd, 1);
	errno = saved;
}

/* engine_data of an I/O object: the events that it is registered for. */
static int epoll_await(struct io *io, enum io_dir dir)
{
	uintptr_t have = (uintptr_t)io->engine_data;
	uint32_t want = dir == IO_READ ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
	int err;

	if ((have & want) == want)
		return 0;
	want |= (uint32_t)have;
	err = add(io->loop->engine_state, have ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, io->fd, want, (uintptr_t)io);
	if (!err)
		io->engine_data = (void *)(uintptr_t)want;
	return err;
}

/* Takes fd out of the set, and what it is known by out of the batch being dispatched. */
static void drop(struct epoll_state *st, int fd, uintptr_t tag)
{
	epoll_ctl(st->epfd, EPOLL_CTL_DEL, fd, NULL);
	for (int i = 0; i < st->n_events; i++)
		if (st->events[i].data.u64 == tag)
			st->events[i].data.u64 = 0;
}

static void epoll_forget(struct io *io)
{
	if (io->engine_data)
		drop(io->loop->engine_state, io->fd, (uintptr_t)io);
	io->engine_data = NULL;
}

static int epoll_bell_watch(struct doorbell *bell)
{
	return add(bell->loop->engine_state, EPOLL_CTL_ADD, bell->fd, EPOLLIN, (uintptr_t)bell | BELL_BIT);
}

static void epoll_bell_forget(struct doorbell *bell)
{
	drop(bell->loop->engine_state, bell->fd, (uintptr_t)bell | BELL_BIT);
}

const struct engine_ops engine_epoll = {
	.name = "epoll",
	.look_ns = 5 * NS_PER_US,
	.init = epoll_init,
	.begin = epoll_begin,
	.fini = epoll_fini,
	.clock_ns = clock_monotonic_ns,
	.wall_ns = clock_wall_ns,
	.wait = epoll_wait_events,
	.kick = epoll_kick,
	.await = epoll_await,
	.forget = epoll_forget,
	.bell_watch = epoll_bell_watch,
	.bell_forget = epoll_bell_forget,
	.file = &file_pool,
};
