/* Spin briefly, then yield: the holder may be waiting for this very core. */
#include "base/spinlock.h"

#include <sched.h>

#define SPINS_BEFORE_YIELD 128

void spin_wait(struct spinlock *l)
{
	for (unsigned int i = 1; !spin_trylock(l); i++) {
		if (i % SPINS_BEFORE_YIELD == 0)
			sched_yield();
		else
			cpu_relax();
	}
}
