/*
 * Calls that go to the host's memory take less time than handing them to a worker and back, and a change of names lets
 * all others wait for the directory meanwhile. So they run inline, unless they are seen to wait for the disk.
 *
 * A call that takes long may have waited, or its thread may only have lost the CPU to others. So the next ones are
 * looked at more closely; if one is seen to wait, workers make such calls for some time: a slow disk
 * delays a loop now and then, not again and again.
 */
#include "backends/linux/linux.h"

#include <sys/resource.h>

#define SLOW_NS NS_PER_MS
#define PAUSE_SHARE 16 /* times what was waited */
#define PAUSE_MAX_NS (250 * NS_PER_MS)
#define WATCH_CALLS 256

/* How often this thread has given up the CPU by itself. */
static long n_waits(void)
{
	struct rusage use;
	return getrusage(RUSAGE_THREAD, &use) ? 0 : use.ru_nvcsw;
}

bool linux_is_slow(const struct linux_pace *p)
{
	return loop_now_ns(loop_current()) < atomic_load_explicit(&p->slow_until_ns, memory_order_relaxed);
}

int linux_paced(struct linux_pace *p, int (*fn)(void *arg), void *arg)
{
	struct loop *loop = loop_current();
	bool watched = atomic_load_explicit(&p->n_watched, memory_order_relaxed) > 0;
	long before = watched ? n_waits() : 0;
	uint64_t start = loop_clock_ns(loop);
	int err = fn(arg);
	uint64_t took = loop_clock_ns(loop) - start;
	if (watched)
		atomic_fetch_sub(&p->n_watched, 1);
	if (took <= SLOW_NS)
		return err;
	if (watched && n_waits() != before)
		atomic_store(&p->slow_until_ns, start + MIN(PAUSE_SHARE * took, PAUSE_MAX_NS));
	else
		atomic_store(&p->n_watched, WATCH_CALLS);
	return err;
}

int linux_quick(struct linux_store *s, int (*fn)(void *arg), void *arg)
{
	return s->local && !linux_is_slow(&s->names) ? linux_paced(&s->names, fn, arg) : loop_block(fn, arg);
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
