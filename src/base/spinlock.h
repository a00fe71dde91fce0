/*
 * A spin lock for a handful of instructions between threads; all-zero is free. Never held across
 * anything that parks, allocates or logs. On few cores the holder may be off the processor, so a
 * waiter gives its time slice away after a short while.
 */
#ifndef BASE_SPINLOCK_H
#define BASE_SPINLOCK_H

#include "base/compiler.h"

struct spinlock {
	uint32_t held;
};

static inline bool spin_trylock(struct spinlock *l)
{
	return __atomic_load_n(&l->held, __ATOMIC_RELAXED) == 0 &&
	       __atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE) == 0;
}

/* spin_wait() - the slow path of spin_lock(). */
void spin_wait(struct spinlock *l);

static inline void spin_lock(struct spinlock *l)
{
	if (unlikely(!spin_trylock(l)))
		spin_wait(l);
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

/*
 * count_relaxed() - by the holder of the lock that guards *n, which others may load without it (relaxed): no locked
 * instruction, and no torn or invented value.
 */
static inline void count_relaxed(uint32_t *n, int by)
{
	__atomic_store_n(n, *n + (uint32_t)by, __ATOMIC_RELAXED);
}

/* cpu_relax() - tells the core that this is a spin. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
