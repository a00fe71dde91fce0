/*
 * Inside fibers: what fiber.c, its stacks and the loop's scheduler share. Not for callers.
 */
#ifndef LOOP_FIBER_IMPL_H
#define LOOP_FIBER_IMPL_H

#include "loop/fiber.h"

/* RUNNING also covers "inside a nested spawn"; WOKEN: queued, or a wake came before the park. */
enum fiber_state { FIBER_RUNNING, FIBER_PARKED, FIBER_WOKEN };

/*
 * The structure outlives its stack and is only freed with its loop: a wake that comes a moment too
 * late, from a thread that had just made the fiber's condition true, finds a fiber and is spurious.
 */
struct fiber {
	void *context;        /* saved, while it does not run */
	struct fiber *caller; /* goes on when this one parks or ends */
	struct fiber *next;   /* run queue, wake list or idle pool */
	struct loop *loop;
	fiber_fn *fn;
	void *arg;
	uint32_t state; /* enum fiber_state, atomic */
	bool fresh;     /* has not run since it was taken from the pool */
	bool parked;    /* once at least since then */
	bool done;
	void *stack;      /* lowest usable byte; NULL: none */
	size_t stack_size;
	void *asan_fake;  /* AddressSanitizer's shadow of this stack */
	void *tsan_fiber; /* ThreadSanitizer's */
	struct fiber *all_next; /* every fiber of the loop */
};

struct fiber_pool {
	struct fiber *idle;      /* with a stack, most recently used first */
	struct fiber *stackless;
	struct fiber *all;
	uint32_t n_idle;
};

/* fiber_stack_create() - maps a guarded stack; false when out of memory or mappings. */
bool fiber_stack_create(struct fiber *f);
void fiber_stack_destroy(struct fiber *f);

/* fiber_pool_fini() - frees every fiber of a loop that runs no more. */
void fiber_pool_fini(struct fiber_pool *pool);

/* fiber_root_init() - makes root stand for the loop's own thread. */
void fiber_root_init(struct fiber *root, struct loop *loop);

/* fiber_run_queue() - runs what is runnable now, once each; how many ran. */
int fiber_run_queue(struct loop *loop);

/*
 * fiber_set_and_wake() - sets the flag that f waits for and wakes f. With the flag set f may run on and end, taking
 * the flag with it, and its loop may want to be destroyed: that waits until f has been left alone.
 */
void fiber_set_and_wake(struct fiber *f, uint32_t *flag, uint32_t value);

#endif
