/*
 * Changes of names and attributes go to the host's journal, in memory, which takes less time than handing them
 * to a worker and back, while all others wait for the directory. So they run inline, unless one was seen to wait for
 * the disk lately.
 */
#include "backends/linux/linux.h"

#include <sys/resource.h>

#define SLOW_NS NS_PER_MS
#define SLOW_PAUSE_NS (100 * NS_PER_MS)

long linux_waits(void)
{
	struct rusage use;
	return getrusage(RUSAGE_THREAD, &use) ? 0 : use.ru_nvcsw;
}

int linux_quick(struct linux_store *s, int (*fn)(void *arg), void *arg)
{
	struct loop *loop = loop_current();
	if (!s->local || loop_now_ns(loop) < atomic_load_explicit(&s->names_slow_until_ns, memory_order_relaxed))
		return loop_block(fn, arg);
	long before = linux_waits();
	uint64_t start = loop_clock_ns(loop);
	int err = fn(arg);
	/* Taking long alone may mean that others had the CPU. */
	if (loop_clock_ns(loop) - start > SLOW_NS && linux_waits() != before)
		atomic_store(&s->names_slow_until_ns, start + SLOW_PAUSE_NS);
	return err;
}

int linux_alter(struct linux_store *s, int (*fn)(void *arg), void *arg)
{
	linux_sync_await(s);
	atomic_fetch_add(&s->n_changing, 1);
	int err = linux_quick(s, fn, arg);
	atomic_fetch_sub(&s->n_changing, 1);
	linux_sync_nudge(s);
	return err;
}
