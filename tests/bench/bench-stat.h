/*
 * What every benchmark counts: latencies in a histogram of logarithmic buckets (2 % wide), and the CPU time of other processes.
 */
#ifndef BENCH_BENCH_STAT_H
#define BENCH_BENCH_STAT_H

#include <sys/types.h>

#include "base/compiler.h"

enum { HISTOGRAM_SUB = 32, HISTOGRAM_BUCKETS = 60 * HISTOGRAM_SUB };

struct latencies {
	uint64_t n;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

void latency_reset(struct latencies *h);
void latency_add(struct latencies *h, uint64_t ns);

/* latency_quantile() - nanoseconds that the given share (0 to 1) of the values does not exceed; 0 when empty. */
uint64_t latency_quantile(const struct latencies *h, double share);

/* bench_now_ns() - monotonic. */
uint64_t bench_now_ns(void);

/* bench_cpu_ns() - user and system time of all threads, living and ended, of n processes; exits when one is gone. */
uint64_t bench_cpu_ns(const pid_t *pids, int n);

/* bench_proc_bytes() - a line of a file in /proc that says "KEY N kB"; 0: it is not there. */
uint64_t bench_proc_bytes(const char *path, const char *key);

#endif
