/*
 * The io_uring engine: readiness by multishot polls, files by their own operations, and one
 * io_uring_enter() per turn that submits, runs deferred work and waits.
 *
 * Everything queued carries the address of a struct uring_op, whose done() gets the result. A poll
 * can outlive what it watches, since the kernel answers its removal later; so it is a node of its own
 * that knows whether its object is still there, and is freed by its last completion.
 *
 * A poll holds its file open. forget() therefore submits the removal at once: when it returns, closing
 * the descriptor closes the socket.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/engine-uring.h"
#include "loop/loop-impl.h"

#define N_SQES 256
#define N_CQES 4096

struct uring_poll {
	struct uring_op op;
	struct list link;
	int fd;
	uint32_t events;
	bool armed;
	struct io *io;         /* with bell NULL too: forgotten */
	struct doorbell *bell;
	enum io_dir dir;
};

struct uring_state {
	struct io_uring ring;
	bool begun;
	int kick_fd;
	struct uring_poll kick;
	struct list polls;
};

struct io_uring_sqe *uring_sqe(struct loop *loop)
{
	struct uring_state *st = loop->engine_state;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&st->ring);

	if (!sqe && st->begun && io_uring_submit(&st->ring) > 0)
		sqe = io_uring_get_sqe(&st->ring);
	return sqe;
}

static int arm(struct loop *loop, struct uring_poll *p)
{
	struct io_uring_sqe *sqe = uring_sqe(loop);

	if (!sqe)
		return ERR_NOMEM;
	io_uring_prep_poll_multishot(sqe, p->fd, p->events);
	io_uring_sqe_set_data(sqe, &p->op);
	p->armed = true;
	return 0;
}

static void release(struct uring_poll *p)
{
	list_del(&p->link);
	free(p);
}

static void poll_done(struct loop *loop, struct uring_op *op, int res, uint32_t flags)
{
	struct uring_poll *p = container_of(op, struct uring_poll, op);

	if (!(flags & IORING_CQE_F_MORE))
		p->armed = false;
	if (p->io) {
		p->io->ended |= res < 0 || (res & (POLLRDHUP | POLLHUP | POLLERR));
		io_ready(p->io, p->dir);
	} else if (p->bell) {
		if (!p->armed)
			arm(loop, p);
		if (p->bell->fn)
			p->bell->fn(p->bell);
	} else if (!p->armed) {
		release(p);
	}
}

/* The kick's node is part of the state and is never forgotten. */
static void kick_done(struct loop *loop, struct uring_op *op, int res, uint32_t flags)
{
	struct uring_poll *p = container_of(op, struct uring_poll, op);

	if (!(flags & IORING_CQE_F_MORE))
		arm(loop, p);
}

static struct uring_poll *create_poll(struct uring_state *st, int fd, uint32_t events)
{
	struct uring_poll *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->op.done = poll_done;
	p->fd = fd;
	p->events = events;
	list_push_back(&st->polls, &p->link);
	return p;
}

/* Ends a poll; the node goes with the kernel's last word on it. */
static void end_poll(struct loop *loop, struct uring_poll *p)
{
	struct uring_state *st = loop->engine_state;
	struct io_uring_sqe *sqe;

	p->io = NULL;
	p->bell = NULL;
	if (!p->armed) {
		release(p);
		return;
	}
	sqe = uring_sqe(loop);
	if (!sqe)
		return;
	/* Not POLL_REMOVE: that gives up on a poll whose event is just being delivered. */
	io_uring_prep_cancel(sqe, &p->op, 0);
	io_uring_sqe_set_data(sqe, NULL);
	if (st->begun)
		io_uring_submit_and_get_events(&st->ring);
}

/* The cheapest set of flags that this kernel knows; R_DISABLED lets another thread than this one run the loop. */
static int setup(struct uring_state *st)
{
	static const uint32_t flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int ret = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && ret == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = flags[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = N_CQES,
		};
		ret = io_uring_queue_init_params(N_SQES, &st->ring, &params);
	}
	return ret;
}

static void uring_fini(struct loop *loop)
{
	struct uring_state *st = loop->engine_state;

	io_uring_queue_exit(&st->ring);
	while (!list_empty(&st->polls))
		release(list_entry(st->polls.next, struct uring_poll, link));
	close(st->kick_fd);
	free(st);
}

static int init_kick(struct loop *loop, struct uring_state *st)
{
	st->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (st->kick_fd < 0)
		return err_from_errno(errno);
	st->kick = (struct uring_poll){.op.done = kick_done, .fd = st->kick_fd, .events = POLLIN};
	return arm(loop, &st->kick);
}

/* Timeouts in the same call as the wait came with Linux 5.11; before that, or where forbidden, there is epoll. */
static int uring_init(struct loop *loop)
{
	struct uring_state *st = calloc(1, sizeof(*st));

	if (!st)
		return ERR_NOMEM;
	list_init(&st->polls);
	if (setup(st) < 0) {
		free(st);
		return ERR_NOTSUPP;
	}
	loop->engine_state = st;
	if (!(st->ring.features & IORING_FEAT_EXT_ARG) || init_kick(loop, st) != 0) {
		uring_fini(loop);
		return ERR_NOTSUPP;
	}
	return 0;
}

/* liburing 2.3 declares io_uring_enable_rings() but its library does not have it. */
static int uring_begin(struct loop *loop)
{
	struct uring_state *st = loop->engine_state;

	if (st->begun)
		return 0;
	st->begun = true;
	return io_uring_register((unsigned int)st->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0
	               ? ERR_NOTSUPP
	               : 0;
}

static int reap(struct loop *loop, struct uring_state *st)
{
	struct io_uring_cqe *cqe;
	int n = 0;

	while (io_uring_peek_cqe(&st->ring, &cqe) == 0) {
		struct uring_op *op = io_uring_cqe_get_data(cqe);
		int res = cqe->res;
		uint32_t flags = cqe->flags;
		io_uring_cqe_seen(&st->ring, cqe);
		if (!op)
			continue;
		op->done(loop, op, res, flags);
		n += op != &st->kick.op;
	}
	return n;
}

/* Without a system call unless something is to be submitted or the kernel has work for us. */
static void look(struct uring_state *st)
{
	uint32_t flags = __atomic_load_n(st->ring.sq.kflags, __ATOMIC_RELAXED);

	if (io_uring_sq_ready(&st->ring) || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
		io_uring_submit_and_get_events(&st->ring);
}

static void sleep_until(struct uring_state *st, uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t ns = deadline_ns - now_ns;
	struct __kernel_timespec ts = {(int64_t)(ns / NS_PER_SEC), (long long)(ns % NS_PER_SEC)};
	struct io_uring_cqe *cqe;

	io_uring_submit_and_wait_timeout(&st->ring, &cqe, 1, deadline_ns == UINT64_MAX ? NULL : &ts, NULL);
}

static int uring_wait(struct loop *loop, uint64_t deadline_ns)
{
	struct uring_state *st = loop->engine_state;
	uint64_t now_ns = deadline_ns && deadline_ns != UINT64_MAX ? clock_monotonic_ns() : 0;

	if (deadline_ns <= now_ns || io_uring_cq_ready(&st->ring))
		look(st);
	else
		sleep_until(st, deadline_ns, now_ns);
	return reap(loop, st);
}

static void uring_kick(struct loop *loop)
{
	struct uring_state *st = loop->engine_state;
	int saved = errno;

	eventfd_write(st->kick_fd, 1);
	errno = saved;
}

/* engine_data of an I/O object: its polls, one for each direction, made when first needed. */
struct io_polls {
	struct uring_poll *dir[IO_N_DIRS];
};

static int uring_await(struct io *io, enum io_dir dir)
{
	static const uint32_t events[] = {[IO_READ] = POLLIN | POLLRDHUP, [IO_WRITE] = POLLOUT};
	struct io_polls *polls = io->engine_data;

	if (!polls)
		io->engine_data = polls = calloc(1, sizeof(*polls));
	if (!polls)
		return ERR_NOMEM;
	if (!polls->dir[dir]) {
		struct uring_poll *p = create_poll(io->loop->engine_state, io->fd, events[dir]);
		if (!p)
			return ERR_NOMEM;
		p->io = io;
		p->dir = dir;
		polls->dir[dir] = p;
	}
	return polls->dir[dir]->armed ? 0 : arm(io->loop, polls->dir[dir]);
}

static void uring_forget(struct io *io)
{
	struct io_polls *polls = io->engine_data;

	for (int i = 0; polls && i < IO_N_DIRS; i++)
		if (polls->dir[i])
			end_poll(io->loop, polls->dir[i]);
	free(polls);
	io->engine_data = NULL;
}

static int uring_bell_watch(struct doorbell *bell)
{
	struct uring_poll *p = create_poll(bell->loop->engine_state, bell->fd, POLLIN);

	if (!p)
		return ERR_NOMEM;
	p->bell = bell;
	bell->engine_data = p;
	if (arm(bell->loop, p) == 0)
		return 0;
	release(p);
	return ERR_NOMEM;
}

static void uring_bell_forget(struct doorbell *bell)
{
	end_poll(bell->loop, bell->engine_data);
}

const struct engine_ops engine_uring = {
	.name = "io_uring",
	.init = uring_init,
	.begin = uring_begin,
	.fini = uring_fini,
	.clock_ns = clock_monotonic_ns,
	.wall_ns = clock_wall_ns,
	.wait = uring_wait,
	.kick = uring_kick,
	.await = uring_await,
	.forget = uring_forget,
	.bell_watch = uring_bell_watch,
	.bell_forget = uring_bell_forget,
	.file = &file_uring,
};
