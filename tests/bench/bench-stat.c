/*
 * The CPU time of a process is read from its CPU clock, which counts nanoseconds of all its threads; the kernel
 * accounts there what it does in the process's name, so that softirq work is charged as the kernel charges it.
 */
#include "bench-stat.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void latency_reset(struct latencies *h)
{
	memset(h, 0, sizeof(*h));
}

/* Below 2 * HISTOGRAM_SUB a bucket per value; above, HISTOGRAM_SUB buckets per power of two. */
static unsigned bucket_of(uint64_t ns)
{
	if (ns < 2 * HISTOGRAM_SUB)
		return (unsigned)ns;
	unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - 5;
	return shift * HISTOGRAM_SUB + (unsigned)(ns >> shift);
}

static uint64_t bucket_start(unsigned bucket)
{
	if (bucket < 2 * HISTOGRAM_SUB)
		return bucket;
	unsigned shift = bucket / HISTOGRAM_SUB - 1;
	return (uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift;
}

void latency_add(struct latencies *h, uint64_t ns)
{
	h->n++;
	h->counts[MIN(bucket_of(ns), HISTOGRAM_BUCKETS - 1U)]++;
}

uint64_t latency_quantile(const struct latencies *h, double share)
{
	uint64_t rank = (uint64_t)(share * (double)h->n);
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (h->counts[i] && seen >= rank)
			return bucket_start(i);
	}
	return 0;
}

static uint64_t to_ns(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * 1000000000U + (uint64_t)ts->tv_nsec;
}

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return to_ns(&ts);
}

uint64_t bench_cpu_ns(const pid_t *pids, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++) {
		struct timespec ts;
		clockid_t clock;
		if (clock_getcpuclockid(pids[i], &clock) != 0 || clock_gettime(clock, &ts) != 0)
			errx(1, "process %d is gone", pids[i]);
		sum += to_ns(&ts);
	}
	return sum;
}

uint64_t bench_proc_bytes(const char *path, const char *key)
{
	char line[256];
	uint64_t value = 0;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoull(line + strlen(key), NULL, 10) << 10;
	if (f)
		fclose(f);
	return value;
}
