/*
 * Fibers: the pool they come from, and how they run, park and wake.
 *
 * Switching is asymmetric and nested. Whoever runs a fiber - the loop, or a fiber that spawns another - is
 * its caller and goes on when it parks or ends. So the loop's thread is always on one chain of callers
 * that ends at the loop's root fiber, and "current" moves along that chain.
 *
 * A wake is one atomic exchange of the state. Whoever turns PARKED into WOKEN queues the fiber: at home in
 * the loop's run queue, from elsewhere on the loop's wake list. The exchange when it runs again takes up
 * every wake until then.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "loop/fiber-sanitizer.h"
#include "loop/fiber-switch.h"
#include "loop/loop-impl.h"

/* Idle stacks kept per loop; each holds the pages that it once touched, typically two. */
#define MAX_IDLE_STACKS 128

SANITIZER_BRIDGE static void *fiber_entry(void *arg)
{
	struct fiber *f = arg;
	struct loop *loop = f->loop;

	sanitizer_arrive(f, &loop->root);
	f->fn(f->arg);
	f->done = true;
	loop->current = f->caller;
	sanitizer_leave(f, f->caller, true);
	if (f->parked)
		fiber_switch(&f->context, f->caller->context);
	return f->caller->context;
}

static struct fiber *add_fiber(struct loop *loop)
{
	struct fiber_pool *pool = &loop->fibers;
	struct fiber *f = pool->stackless;

	if (f) {
		pool->stackless = f->next;
	} else {
		f = calloc(1, sizeof(*f));
		if (!f)
			return NULL;
		f->loop = loop;
		f->all_next = pool->all;
		pool->all = f;
	}
	if (fiber_stack_create(f))
		return f;
	f->next = pool->stackless;
	pool->stackless = f;
	return NULL;
}

static struct fiber *take_fiber(struct loop *loop, fiber_fn *fn, void *arg)
{
	struct fiber_pool *pool = &loop->fibers;
	struct fiber *f = pool->idle;

	if (likely(f)) {
		pool->idle = f->next;
		pool->n_idle--;
	} else {
		f = add_fiber(loop);
		if (!f)
			return NULL;
	}
	f->fn = fn;
	f->arg = arg;
	f->fresh = true;
	f->parked = false;
	f->done = false;
	__atomic_store_n(&f->state, FIBER_RUNNING, __ATOMIC_RELAXED);
	return f;
}

static void recycle(struct fiber_pool *pool, struct fiber *f)
{
	if (likely(pool->n_idle < MAX_IDLE_STACKS)) {
		f->next = pool->idle;
		pool->idle = f;
		pool->n_idle++;
		return;
	}
	fiber_stack_destroy(f);
	f->next = pool->stackless;
	pool->stackless = f;
}

/* Inlined: every return behind a switch is one that the processor did not expect. */
static inline __attribute__((always_inline)) void run_fiber(struct loop *loop, struct fiber *f)
{
	struct fiber *self = loop->current;

	f->caller = self;
	loop->current = f;
	sanitizer_leave(self, f, false);
	if (f->fresh) {
		f->fresh = false;
		fiber_enter(&self->context, (char *)f->stack + f->stack_size, fiber_entry, f);
	} else {
		fiber_switch(&self->context, f->context);
	}
	sanitizer_arrive(self, &loop->root);
	if (f->done)
		recycle(&loop->fibers, f);
}

static inline __attribute__((always_inline)) void leave_fiber(struct loop *loop, struct fiber *self)
{
	struct fiber *caller = self->caller;

	self->parked = true;
	loop->current = caller;
	sanitizer_leave(self, caller, false);
	fiber_switch(&self->context, caller->context);
	sanitizer_arrive(self, &loop->root);
}

static void enqueue(struct loop *loop, struct fiber *f)
{
	f->next = NULL;
	*loop->run_tail = f;
	loop->run_tail = &f->next;
}

int fiber_spawn(fiber_fn *fn, void *arg)
{
	struct loop *loop = this_loop;
	struct fiber *f = take_fiber(loop, fn, arg);

	if (!f)
		return ERR_NOMEM;
	run_fiber(loop, f);
	return 0;
}

int fiber_start(struct loop *loop, fiber_fn *fn, void *arg)
{
	struct fiber *f = take_fiber(loop, fn, arg);

	if (!f)
		return ERR_NOMEM;
	f->state = FIBER_WOKEN;
	enqueue(loop, f);
	return 0;
}

struct fiber *fiber_self(void)
{
	struct loop *loop = this_loop;
	return loop && loop->current != &loop->root ? loop->current : NULL;
}

void fiber_park(void)
{
	struct loop *loop = this_loop;
	struct fiber *self = loop->current;
	uint32_t expected = FIBER_RUNNING;

	assert(self != &loop->root);
	if (__atomic_compare_exchange_n(&self->state, &expected, FIBER_PARKED, false,
	                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		leave_fiber(loop, self);
	else
		__atomic_exchange_n(&self->state, FIBER_RUNNING, __ATOMIC_ACQ_REL);
}

static void wake_remote(struct fiber *f)
{
	struct loop *loop = f->loop;
	struct fiber *head;

	loop_guest_enter(loop);
	head = __atomic_load_n(&loop->woken, __ATOMIC_RELAXED);
	do
		f->next = head;
	while (!__atomic_compare_exchange_n(&loop->woken, &head, f, true, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_RELAXED));
	loop_guest_leave(loop);
}

void fiber_wake(struct fiber *f)
{
	if (__atomic_exchange_n(&f->state, FIBER_WOKEN, __ATOMIC_ACQ_REL) != FIBER_PARKED)
		return;
	if (f->loop == this_loop)
		enqueue(f->loop, f);
	else
		wake_remote(f);
}

void fiber_set_and_wake(struct fiber *f, uint32_t *flag, uint32_t value)
{
	struct loop *loop = f->loop;
	bool guest = loop != this_loop;

	if (guest)
		loop_guest_enter(loop);
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
	fiber_wake(f);
	if (guest)
		loop_guest_leave(loop);
}

void fiber_yield(void)
{
	struct loop *loop = this_loop;
	struct fiber *self = loop->current;

	bool pending = __atomic_exchange_n(&self->state, FIBER_WOKEN, __ATOMIC_ACQ_REL) == FIBER_WOKEN;

	enqueue(loop, self);
	leave_fiber(loop, self);
	if (pending)
		__atomic_store_n(&self->state, FIBER_WOKEN, __ATOMIC_RELAXED);
}

/* The wake list is a stack: turn it round so that wakes keep their order. */
static void collect_remote(struct loop *loop)
{
	struct fiber *f, *ordered = NULL;

	if (!__atomic_load_n(&loop->woken, __ATOMIC_RELAXED))
		return;
	f = __atomic_exchange_n(&loop->woken, NULL, __ATOMIC_ACQUIRE);
	while (f) {
		struct fiber *next = f->next;
		f->next = ordered;
		ordered = f;
		f = next;
	}
	while (ordered) {
		struct fiber *next = ordered->next;
		enqueue(loop, ordered);
		ordered = next;
	}
}

int fiber_run_queue(struct loop *loop)
{
	struct fiber *f;
	int n = 0;

	collect_remote(loop);
	f = loop->run_head;
	loop->run_head = NULL;
	loop->run_tail = &loop->run_head;
	while (f) {
		struct fiber *next = f->next;
		__atomic_exchange_n(&f->state, FIBER_RUNNING, __ATOMIC_ACQ_REL);
		run_fiber(loop, f);
		f = next;
		n++;
	}
	return n;
}

void fiber_root_init(struct fiber *root, struct loop *loop)
{
	root->loop = loop;
	sanitizer_adopt_thread(root);
}

void fiber_pool_fini(struct fiber_pool *pool)
{
	while (pool->all) {
		struct fiber *f = pool->all;
		pool->all = f->all_next;
		if (f->stack)
			fiber_stack_destroy(f);
		free(f);
	}
}
