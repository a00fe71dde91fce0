/*
 * Counters and latency histograms that cost an addition: each thread adds to memory of its own and a
 * reader sums them all. A component registers a table of names once; the metrics page and
 * `chimeractl metric` list the tables.
 *
 *	static const char *const names[] = {"requests", "errors"};
 *	static struct counter_table counters = {"nfs3", COUNTER_SUM, names, ARRAY_SIZE(names)};
 *	counter_register(&counters);  ...  counter_add(&counters, 0, 1);
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include "base/compiler.h"

enum counter_kind {
	COUNTER_SUM,       /* one 64-bit sum per name */
	COUNTER_HISTOGRAM, /* values by power of two, with their count and sum; times are in nanoseconds */
};

#define COUNTER_BUCKETS 48 /* bucket b counts values in [2^(b-1), 2^b); 0 is bucket 0, the last takes the rest */

struct counter_table {
	const char *name;
	enum counter_kind kind;
	const char *const *names;   /* NULL: a number that is not used */
	uint32_t n_names;
	uint32_t first;             /* slot of the first name, set by counter_register(); 0: not registered */
	struct counter_table *next;
};

struct histogram {
	uint64_t buckets[COUNTER_BUCKETS];
	uint64_t count;
	uint64_t sum;
};

/* counter_register() - once per table, which must live on. Any thread. ERR_NOSPC: too many counters. */
int counter_register(struct counter_table *t);

/* counter_add(), counter_record() - any thread; index i of t->names. Unregistered tables count nowhere. */
void counter_add(const struct counter_table *t, uint32_t i, uint64_t n);
void counter_record(const struct counter_table *t, uint32_t i, uint64_t value);

/* counter_read() - the sum over all threads, those that ended included. */
uint64_t counter_read(const struct counter_table *t, uint32_t i);
void counter_read_histogram(const struct counter_table *t, uint32_t i, struct histogram *h);

/* histogram_quantile() - an upper bound of the value that permille of 1000 don't exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, uint32_t permille);

/* counter_tables() - the first registered table, for listing; follow ->next. */
const struct counter_table *counter_tables(void);

#endif
