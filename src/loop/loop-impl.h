/*
 * Inside the loop: the structure that the scheduler, timers, engines and I/O objects share. Everything
 * belongs to the loop's thread except the last part, which any thread may touch atomically.
 */
#ifndef LOOP_LOOP_IMPL_H
#define LOOP_LOOP_IMPL_H

#include "loop/engine.h"
#include "loop/fiber-impl.h"
#include "loop/loop.h"

struct loop {
	const struct engine_ops *engine;
	void *engine_state;
	struct loop_config config;

	struct fiber root;       /* the thread itself */
	struct fiber *current;   /* root or a fiber */
	struct fiber *run_head;  /* runnable, FIFO */
	struct fiber **run_tail;
	struct fiber_pool fibers;

	uint64_t now_ns;              /* cached clock */
	struct loop_timer *timers;    /* root of the pairing heap */
	struct list pollers;
	struct list *poller_next;     /* where a walk over pollers goes on */
	int32_t spin_score;           /* see loop-idle.c */
	bool crowded;          /* the last time that it yielded its CPU somebody took it for a moment */
	bool engine_hot;              /* the last look at the engine found events */
	uint64_t engine_looked_ns;

	_Alignas(CACHE_LINE) struct loop_task *posted; /* newest first */
	struct fiber *woken;                           /* by other threads, newest first */
	uint32_t sleeping;                             /* 1: in the engine, must be kicked */
	uint32_t stopping;
	uint32_t n_guests;                             /* other threads inside post, wake or stop */
};

extern __thread struct loop *this_loop;

/*
 * loop_guest_enter(), loop_guest_leave() - around whatever another thread does to a loop: what it hands
 * over may be all that the loop waits for before it is destroyed, and destroying waits for guests. Leaving
 * makes a sleeping loop look at what was queued.
 */
void loop_guest_enter(struct loop *loop);
void loop_guest_leave(struct loop *loop);

/* loop_run_timers() - runs what is due by now_ns; how many. loop_next_deadline() - UINT64_MAX: none. */
int loop_run_timers(struct loop *loop);
uint64_t loop_next_deadline(const struct loop *loop);

/* loop_idle() - nothing is runnable: polls for a while if that pays, then sleeps until something happens. */
void loop_idle(struct loop *loop);
int loop_run_pollers(struct loop *loop);
void loop_flush_pollers(struct loop *loop);
/* loop_has_work() - something is runnable or was handed over by another thread. */
bool loop_has_work(const struct loop *loop);
/* loop_look() - lets the engine look without sleeping; how many events it found. */
int loop_look(struct loop *loop);

#endif
