/*
 * The uncontended paths of the fiber mutex and rwlock, inline: one compare-and-swap each. For the
 * few places that are hot; everyone else calls the functions of fiber.h, which are these.
 */
#ifndef LOOP_FIBER_LOCK_H
#define LOOP_FIBER_LOCK_H

#include "loop/fiber.h"

#define FIBER_RW_WRITER 0x80000000u
#define FIBER_RW_WAITERS 0x40000000u

void fiber_mutex_lock_slow(struct fiber_mutex *m);
void fiber_mutex_unlock_slow(struct fiber_mutex *m);
void fiber_rwlock_lock_slow(struct fiber_rwlock *l, bool writer);
void fiber_rwlock_unlock_slow(struct fiber_rwlock *l);

static inline bool fiber_lock_cas(uint32_t *state, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline void fiber_mutex_lock_fast(struct fiber_mutex *m)
{
	if (unlikely(!fiber_lock_cas(&m->state, 0, 1)))
		fiber_mutex_lock_slow(m);
}

static inline void fiber_mutex_unlock_fast(struct fiber_mutex *m)
{
	if (unlikely(!fiber_lock_cas(&m->state, 1, 0)))
		fiber_mutex_unlock_slow(m);
}

static inline bool fiber_rwlock_tryrdlock_fast(struct fiber_rwlock *l)
{
	uint32_t s = __atomic_load_n(&l->state, __ATOMIC_RELAXED);
	while (s < FIBER_RW_WAITERS)
		if (__atomic_compare_exchange_n(&l->state, &s, s + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	return false;
}

static inline void fiber_rwlock_rdunlock_fast(struct fiber_rwlock *l)
{
	if (unlikely(__atomic_sub_fetch(&l->state, 1, __ATOMIC_ACQ_REL) == FIBER_RW_WAITERS))
		fiber_rwlock_unlock_slow(l);
}

#endif
