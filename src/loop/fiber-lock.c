/*
 * Locks between fibers, of one loop or of several. A spin lock (guard) protects the FIFO of waiters and
 * is held for a few instructions; a lock that is released while someone waits is handed to the first
 * waiter directly, so nobody barges in and nobody starves.
 *
 * A waiter lives in the frame of the call that waits. It is gone as soon as it is granted, so that is
 * the last thing done to it; only the fiber itself is touched afterwards, and that memory stays.
 */
#include "loop/fiber-lock.h"

#include <assert.h>

#include "base/err.h"
#include "loop/fiber-impl.h"
#include "loop/loop.h"

/* TAKEN: off the list, about to be granted. */
enum waiter_state { WAITING, TAKEN, GRANTED };

struct fiber_waiter {
	struct fiber_waiter *next;
	struct fiber *fiber;
	uint32_t state; /* enum waiter_state; WAITING and TAKEN under the guard */
	bool writer;
};

/* The queues are the same two pointers in each kind of lock. */
static void push(struct fiber_waiter **head, struct fiber_waiter **tail, struct fiber_waiter *w)
{
	w->fiber = fiber_self();
	assert(w->fiber);
	w->next = NULL;
	w->state = WAITING;
	if (*head)
		(*tail)->next = w;
	else
		*head = w;
	*tail = w;
}

static struct fiber_waiter *pop(struct fiber_waiter **head)
{
	struct fiber_waiter *w = *head;

	if (w) {
		*head = w->next;
		__atomic_store_n(&w->state, TAKEN, __ATOMIC_RELAXED);
	}
	return w;
}

static void await_grant(struct fiber_waiter *w)
{
	while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) != GRANTED)
		fiber_park();
}

static void grant(struct fiber_waiter *w)
{
	fiber_set_and_wake(w->fiber, &w->state, GRANTED);
}

static void grant_all(struct fiber_waiter *w)
{
	while (w) {
		struct fiber_waiter *next = w->next;
		grant(w);
		w = next;
	}
}

/* ---- mutex: state 2 exactly while somebody is queued ------------------------------------------ */

/* Takes m if it is free by now, else marks it as waited for. */
static bool take_or_mark(struct fiber_mutex *m)
{
	for (;;) {
		if (fiber_lock_cas(&m->state, 0, 1))
			return true;
		if (__atomic_load_n(&m->state, __ATOMIC_RELAXED) == 2 || fiber_lock_cas(&m->state, 1, 2))
			return false;
	}
}

void fiber_mutex_lock_slow(struct fiber_mutex *m)
{
	struct fiber_waiter w;
	bool taken;

	spin_lock(&m->guard);
	taken = take_or_mark(m);
	if (!taken)
		push(&m->head, &m->tail, &w);
	spin_unlock(&m->guard);
	if (!taken)
		await_grant(&w);
}

void fiber_mutex_unlock_slow(struct fiber_mutex *m)
{
	struct fiber_waiter *w;

	spin_lock(&m->guard);
	w = pop(&m->head);
	assert(w);
	if (!m->head)
		__atomic_store_n(&m->state, 1, __ATOMIC_RELEASE);
	spin_unlock(&m->guard);
	grant(w);
}

void fiber_mutex_lock(struct fiber_mutex *m)
{
	fiber_mutex_lock_fast(m);
}

bool fiber_mutex_trylock(struct fiber_mutex *m)
{
	return fiber_lock_cas(&m->state, 0, 1);
}

void fiber_mutex_unlock(struct fiber_mutex *m)
{
	fiber_mutex_unlock_fast(m);
}

/* ---- rwlock: the waiters' bit is set exactly while somebody is queued, and keeps newcomers off ---- */

static bool rw_take_or_mark(struct fiber_rwlock *l, bool writer)
{
	uint32_t s = __atomic_load_n(&l->state, __ATOMIC_RELAXED);

	for (;;) {
		bool can = writer ? s == 0 : s < FIBER_RW_WAITERS;
		uint32_t to = !can ? s | FIBER_RW_WAITERS : writer ? FIBER_RW_WRITER : s + 1;
		if (__atomic_compare_exchange_n(&l->state, &s, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return can;
	}
}

void fiber_rwlock_lock_slow(struct fiber_rwlock *l, bool writer)
{
	struct fiber_waiter w;
	bool taken;

	spin_lock(&l->guard);
	taken = rw_take_or_mark(l, writer);
	w.writer = writer;
	if (!taken)
		push(&l->head, &l->tail, &w);
	spin_unlock(&l->guard);
	if (!taken)
		await_grant(&w);
}

/* Nobody holds l and somebody waits: hands it to the first writer, or to all readers before the next. */
void fiber_rwlock_unlock_slow(struct fiber_rwlock *l)
{
	struct fiber_waiter *first, *last;
	uint32_t n = 1;

	spin_lock(&l->guard);
	first = last = pop(&l->head);
	assert(first);
	while (!first->writer && l->head && !l->head->writer) {
		last = pop(&l->head);
		n++;
	}
	last->next = NULL;
	__atomic_store_n(&l->state, (first->writer ? FIBER_RW_WRITER : n) | (l->head ? FIBER_RW_WAITERS : 0),
	                 __ATOMIC_RELEASE);
	spin_unlock(&l->guard);
	grant_all(first);
}

void fiber_rwlock_rdlock(struct fiber_rwlock *l)
{
	if (!fiber_rwlock_tryrdlock_fast(l))
		fiber_rwlock_lock_slow(l, false);
}

void fiber_rwlock_wrlock(struct fiber_rwlock *l)
{
	if (!fiber_lock_cas(&l->state, 0, FIBER_RW_WRITER))
		fiber_rwlock_lock_slow(l, true);
}

bool fiber_rwlock_tryrdlock(struct fiber_rwlock *l)
{
	return fiber_rwlock_tryrdlock_fast(l);
}

bool fiber_rwlock_trywrlock(struct fiber_rwlock *l)
{
	return fiber_lock_cas(&l->state, 0, FIBER_RW_WRITER);
}

void fiber_rwlock_rdunlock(struct fiber_rwlock *l)
{
	fiber_rwlock_rdunlock_fast(l);
}

void fiber_rwlock_wrunlock(struct fiber_rwlock *l)
{
	if (!fiber_lock_cas(&l->state, FIBER_RW_WRITER, 0))
		fiber_rwlock_unlock_slow(l);
}

/* ---- condition ---------------------------------------------------------------------------- */

void fiber_cond_wait(struct fiber_cond *c, struct fiber_mutex *m)
{
	struct fiber_waiter w;

	spin_lock(&c->guard);
	push(&c->head, &c->tail, &w);
	spin_unlock(&c->guard);
	fiber_mutex_unlock(m);
	await_grant(&w);
	fiber_mutex_lock(m);
}

struct cond_timer {
	struct loop_timer timer;
	struct fiber *fiber;
	bool fired;
};

static void cond_timer_fire(struct loop_timer *timer)
{
	struct cond_timer *t = container_of(timer, struct cond_timer, timer);

	t->fired = true;
	fiber_wake(t->fiber);
}

/* Takes w off the queue unless a signal took it first. */
static bool withdraw(struct fiber_cond *c, struct fiber_waiter *w)
{
	struct fiber_waiter **link, *prev = NULL;
	bool mine;

	spin_lock(&c->guard);
	mine = w->state == WAITING;
	for (link = &c->head; mine && *link != w; link = &(*link)->next)
		prev = *link;
	if (mine) {
		*link = w->next;
		if (c->tail == w)
			c->tail = prev;
	}
	spin_unlock(&c->guard);
	return mine;
}

int fiber_cond_timedwait(struct fiber_cond *c, struct fiber_mutex *m, uint64_t deadline_ns)
{
	struct cond_timer t = {.timer.fn = cond_timer_fire, .fiber = fiber_self()};
	struct fiber_waiter w;
	bool expired = false;

	spin_lock(&c->guard);
	push(&c->head, &c->tail, &w);
	spin_unlock(&c->guard);
	fiber_mutex_unlock(m);
	loop_timer_start(loop_current(), &t.timer, deadline_ns);
	while (!t.fired && __atomic_load_n(&w.state, __ATOMIC_ACQUIRE) != GRANTED)
		fiber_park();
	loop_timer_stop(loop_current(), &t.timer);
	if (t.fired)
		expired = withdraw(c, &w);
	if (!expired)
		await_grant(&w);
	fiber_mutex_lock(m);
	return expired ? ERR_TIMEDOUT : 0;
}

void fiber_cond_signal(struct fiber_cond *c)
{
	struct fiber_waiter *w;

	spin_lock(&c->guard);
	w = pop(&c->head);
	spin_unlock(&c->guard);
	if (w)
		grant(w);
}

static struct fiber_waiter *take_all(struct fiber_cond *c)
{
	struct fiber_waiter *w, *first = c->head;

	for (w = first; w; w = w->next)
		__atomic_store_n(&w->state, TAKEN, __ATOMIC_RELAXED);
	c->head = NULL;
	return first;
}

void fiber_cond_broadcast(struct fiber_cond *c)
{
	struct fiber_waiter *first;

	spin_lock(&c->guard);
	first = take_all(c);
	spin_unlock(&c->guard);
	grant_all(first);
}

/* ---- join: the condition's guard protects the count, so that any callback may say done ------------- */

void fiber_join_add(struct fiber_join *j, uint32_t n)
{
	spin_lock(&j->zero.guard);
	j->n_running += n;
	spin_unlock(&j->zero.guard);
}

void fiber_join_done(struct fiber_join *j)
{
	struct fiber_waiter *first = NULL;

	spin_lock(&j->zero.guard);
	assert(j->n_running > 0);
	if (--j->n_running == 0)
		first = take_all(&j->zero);
	spin_unlock(&j->zero.guard);
	grant_all(first);
}

void fiber_join_wait(struct fiber_join *j)
{
	struct fiber_waiter w;
	bool running;

	spin_lock(&j->zero.guard);
	running = j->n_running > 0;
	if (running)
		push(&j->zero.head, &j->zero.tail, &w);
	spin_unlock(&j->zero.guard);
	if (running)
		await_grant(&w);
}
