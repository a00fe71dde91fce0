/*
 * The loop: creation, the turn, and what other threads hand over.
 *
 * A turn runs pollers, runnable fibers, posted tasks and due timers, then flushes the pollers. With work
 * left it lets the engine look without sleeping, now and then; with none it idles (loop-idle.c).
 */
#include "loop/loop.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/err.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

__thread struct loop *this_loop;

static const struct engine_ops *const engines[] = {
	[LOOP_IO_URING] = &engine_uring,
	[LOOP_EPOLL] = &engine_epoll,
	[LOOP_SIM] = &engine_sim,
};

static int init_engine(struct loop *loop, enum loop_engine which)
{
	int err;

	if (which == LOOP_AUTO) {
		err = init_engine(loop, LOOP_IO_URING);
		return err == ERR_NOTSUPP ? init_engine(loop, LOOP_EPOLL) : err;
	}
	loop->engine = engines[which];
	return loop->engine->init(loop);
}

int loop_create(struct loop **out, const struct loop_config *cfg)
{
	struct loop *loop = aligned_alloc(CACHE_LINE, sizeof(*loop));
	int err;

	if (!loop)
		return ERR_NOMEM;
	*loop = (struct loop){.config = *cfg};
	loop->current = &loop->root;
	loop->run_tail = &loop->run_head;
	list_init(&loop->pollers);
	err = init_engine(loop, cfg->engine);
	if (err) {
		free(loop);
		return err;
	}
	loop->now_ns = loop->engine->clock_ns();
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	while (__atomic_load_n(&loop->n_guests, __ATOMIC_ACQUIRE))
		sched_yield();
	loop->engine->fini(loop);
	fiber_pool_fini(&loop->fibers);
	free(loop);
}

const char *loop_engine_name(const struct loop *loop)
{
	return loop->engine->name;
}

static int run_posted(struct loop *loop)
{
	struct loop_task *t, *ordered = NULL;
	int n = 0;

	if (!__atomic_load_n(&loop->posted, __ATOMIC_RELAXED))
		return 0;
	t = __atomic_exchange_n(&loop->posted, NULL, __ATOMIC_ACQUIRE);
	while (t) {
		struct loop_task *next = t->next;
		t->next = ordered;
		ordered = t;
		t = next;
	}
	for (; ordered; n++) {
		t = ordered;
		ordered = t->next;
		t->fn(t);
	}
	return n;
}

static bool turn(struct loop *loop)
{
	int n_polled;

	loop->now_ns = loop->engine->clock_ns();
	n_polled = loop_run_pollers(loop);
	fiber_run_queue(loop);
	run_posted(loop);
	loop_run_timers(loop);
	loop_flush_pollers(loop);
	return n_polled > 0 || loop_has_work(loop);
}

void loop_run(struct loop *loop)
{
	struct loop *outer = this_loop;

	assert(loop->current == &loop->root);
	this_loop = loop;
	fiber_root_init(&loop->root, loop);
	loop->engine->begin(loop);
	while (!__atomic_load_n(&loop->stopping, __ATOMIC_ACQUIRE))
		if (turn(loop))
			loop_look(loop);
		else
			loop_idle(loop);
	__atomic_store_n(&loop->stopping, 0, __ATOMIC_RELAXED);
	this_loop = outer;
}

void loop_stop(struct loop *loop)
{
	loop_guest_enter(loop);
	__atomic_store_n(&loop->stopping, 1, __ATOMIC_SEQ_CST);
	loop_guest_leave(loop);
}

struct loop *loop_current(void)
{
	return this_loop;
}

void loop_guest_enter(struct loop *loop)
{
	__atomic_add_fetch(&loop->n_guests, 1, __ATOMIC_SEQ_CST);
}

void loop_guest_leave(struct loop *loop)
{
	if (__atomic_load_n(&loop->sleeping, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&loop->sleeping, 0, __ATOMIC_SEQ_CST))
		loop->engine->kick(loop);
	__atomic_sub_fetch(&loop->n_guests, 1, __ATOMIC_RELEASE);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	struct loop_task *head;

	loop_guest_enter(loop);
	head = __atomic_load_n(&loop->posted, __ATOMIC_RELAXED);
	do
		task->next = head;
	while (!__atomic_compare_exchange_n(&loop->posted, &head, task, true, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_RELAXED));
	loop_guest_leave(loop);
}

void loop_poller_add(struct loop *loop, struct loop_poller *p)
{
	list_push_back(&loop->pollers, &p->link);
}

void loop_poller_remove(struct loop *loop, struct loop_poller *p)
{
	if (loop->poller_next == &p->link)
		loop->poller_next = p->link.next;
	list_del(&p->link);
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

uint64_t loop_clock_ns(const struct loop *loop)
{
	return loop->engine->clock_ns();
}

uint64_t loop_wall_ns(const struct loop *loop)
{
	return loop ? loop->engine->wall_ns() : clock_wall_ns();
}

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

/* The kernel's generator fails only before it is seeded at boot, or under a filter that forbids it. */
void loop_random(void *out, size_t size)
{
	uint8_t *p = out;

	if (sim_random_bytes(out, size))
		return;
	while (size > 0) {
		ssize_t n = getrandom(p, size, 0);
		if (n < 0 && errno != EINTR)
			abort();
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
}
