/*
 * Fibers: pooled coroutines with small guarded stacks, one loop each. Code that must wait parks its
 * fiber and the loop goes on, so a request is straight-line code.
 *
 * A fiber belongs to the loop (thread) that spawned it and never migrates. Stacks are 64 KiB of
 * lazily touched memory above a guard page; nothing in the tree puts more than 4 KiB in one frame.
 * A fiber runs on its loop's thread, so loop-local data needs no lock between two parking calls.
 */
#ifndef LOOP_FIBER_H
#define LOOP_FIBER_H

#include "base/compiler.h"
#include "base/list.h"
#include "base/spinlock.h"

struct loop;
struct fiber;

typedef void fiber_fn(void *arg);

/*
 * fiber_spawn() - runs fn(arg) in a pooled fiber of the current loop, at once: the caller continues
 * when the new fiber parks or returns. Loop thread only (from a fiber or a loop callback).
 * ERR_NOMEM when no stack can be had; fn has then not run.
 */
int fiber_spawn(fiber_fn *fn, void *arg);

/* fiber_start() - as fiber_spawn(), but the fiber first runs at the loop's next turn. Before loop_run() too. */
int fiber_start(struct loop *loop, fiber_fn *fn, void *arg);

/* fiber_self() - the running fiber, NULL outside one. */
struct fiber *fiber_self(void);

/*
 * fiber_park() - gives the thread back until fiber_wake(). A wake that came first makes it return at
 * once (one pending wake is remembered). Wakes can be spurious: callers loop on their condition.
 */
void fiber_park(void);

/* fiber_wake() - makes f runnable. Any thread. f must be alive: the caller's protocol guarantees it. */
void fiber_wake(struct fiber *f);

/* fiber_yield() - lets every other runnable fiber and the loop's pollers run once. */
void fiber_yield(void);

/* fiber_sleep_ns() - parks for that long by the loop's clock. */
void fiber_sleep_ns(uint64_t ns);

/*
 * The locks below may be used by fibers of different loops (threads): a short spin lock guards the
 * waiter list; a waiting fiber parks, its thread does not block. FIFO, not recursive. Static
 * initialisation is all-zero. The uncontended paths are one compare-and-swap, inline in fiber.c's
 * callers through fiber-lock.h.
 */
struct fiber_mutex {
	uint32_t state; /* 0 free, 1 held, 2 held with waiters */
	struct spinlock guard;
	struct fiber_waiter *head, *tail;
};

struct fiber_rwlock {
	uint32_t state; /* readers, or FIBER_RW_WRITER, with FIBER_RW_WAITERS */
	struct spinlock guard;
	struct fiber_waiter *head, *tail; /* FIFO of readers and writers: neither starves */
};

struct fiber_cond {
	struct spinlock guard;
	struct fiber_waiter *head, *tail;
};

void fiber_mutex_lock(struct fiber_mutex *m);
bool fiber_mutex_trylock(struct fiber_mutex *m);
void fiber_mutex_unlock(struct fiber_mutex *m);

void fiber_rwlock_rdlock(struct fiber_rwlock *l);
void fiber_rwlock_wrlock(struct fiber_rwlock *l);
bool fiber_rwlock_tryrdlock(struct fiber_rwlock *l);
bool fiber_rwlock_trywrlock(struct fiber_rwlock *l);
void fiber_rwlock_rdunlock(struct fiber_rwlock *l);
void fiber_rwlock_wrunlock(struct fiber_rwlock *l);

/* fiber_cond_wait() - releases m, parks until a signal, takes m again. */
void fiber_cond_wait(struct fiber_cond *c, struct fiber_mutex *m);
/* fiber_cond_timedwait() - ERR_TIMEDOUT once the loop's clock passes deadline_ns. m is held either way. */
int fiber_cond_timedwait(struct fiber_cond *c, struct fiber_mutex *m, uint64_t deadline_ns);
void fiber_cond_signal(struct fiber_cond *c);
void fiber_cond_broadcast(struct fiber_cond *c);

/*
 * A join counts running work: add before starting it, done when it ends (also outside a fiber), wait
 * parks until none is left. The join may go away once wait has returned.
 */
struct fiber_join {
	struct fiber_cond zero; /* its guard protects n_running too */
	uint32_t n_running;
};

void fiber_join_add(struct fiber_join *j, uint32_t n);
void fiber_join_done(struct fiber_join *j);
void fiber_join_wait(struct fiber_join *j);

#endif
