/*
 * One array of slots per thread, allocated at its first count and never freed, so that a sum survives
 * its thread. Only the owner writes a slot: a relaxed load and store, no locked instruction.
 */
#include "base/counter.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"

#define N_SLOTS 16384
#define HISTOGRAM_SLOTS (COUNTER_BUCKETS + 2)

struct block {
	struct block *next;
	uint64_t slots[N_SLOTS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct counter_table *tables; /* guarded by lock for writing */
static struct block *blocks;         /* pushed atomically */
static struct block shared;          /* for threads that got no memory: may lose a count, never crashes */
static uint32_t n_used = 1;          /* slot 0 takes what unregistered tables count */
static __thread struct block *mine;

static uint32_t slots_per_name(const struct counter_table *t)
{
	return t->kind == COUNTER_SUM ? 1 : HISTOGRAM_SLOTS;
}

int counter_register(struct counter_table *t)
{
	uint32_t n = t->n_names * slots_per_name(t);
	int err = 0;
	pthread_mutex_lock(&lock);
	if (t->first) {
		err = 0;
	} else if (n > N_SLOTS - n_used) {
		err = ERR_NOSPC;
	} else {
		t->first = n_used;
		n_used += n;
		t->next = tables;
		__atomic_store_n(&tables, t, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
	return err;
}

static void push(struct block *b)
{
	pthread_mutex_lock(&lock);
	b->next = blocks;
	__atomic_store_n(&blocks, b, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void push_shared(void)
{
	push(&shared);
}

static struct block *attach(void)
{
	struct block *b = calloc(1, sizeof(*b));
	mine = b ? b : &shared;
	if (b)
		push(b);
	return mine;
}

static void bump(uint32_t slot, uint64_t n)
{
	struct block *b = likely(mine != NULL) ? mine : attach();
	uint64_t v = __atomic_load_n(&b->slots[slot], __ATOMIC_RELAXED);
	__atomic_store_n(&b->slots[slot], v + n, __ATOMIC_RELAXED);
}

void counter_add(const struct counter_table *t, uint32_t i, uint64_t n)
{
	bump(t->first ? t->first + i : 0, n);
}

static uint32_t bucket_of(uint64_t value)
{
	uint32_t b = value ? 64 - (uint32_t)__builtin_clzll(value) : 0;
	return MIN(b, (uint32_t)COUNTER_BUCKETS - 1);
}

void counter_record(const struct counter_table *t, uint32_t i, uint64_t value)
{
	uint32_t slot = t->first + i * HISTOGRAM_SLOTS;
	if (!t->first)
		return;
	bump(slot + bucket_of(value), 1);
	bump(slot + COUNTER_BUCKETS, 1);
	bump(slot + COUNTER_BUCKETS + 1, value);
}

static uint64_t sum_slot(uint32_t slot)
{
	uint64_t sum = 0;
	for (struct block *b = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE); b; b = b->next)
		sum += __atomic_load_n(&b->slots[slot], __ATOMIC_RELAXED);
	return sum;
}

uint64_t counter_read(const struct counter_table *t, uint32_t i)
{
	return t->first ? sum_slot(t->first + i) : 0;
}

void counter_read_histogram(const struct counter_table *t, uint32_t i, struct histogram *h)
{
	uint32_t slot = t->first + i * HISTOGRAM_SLOTS;
	*h = (struct histogram){0};
	if (!t->first)
		return;
	for (uint32_t b = 0; b < COUNTER_BUCKETS; b++)
		h->buckets[b] = sum_slot(slot + b);
	h->count = sum_slot(slot + COUNTER_BUCKETS);
	h->sum = sum_slot(slot + COUNTER_BUCKETS + 1);
}

uint64_t histogram_quantile(const struct histogram *h, uint32_t permille)
{
	uint64_t total = 0, seen = 0;
	for (uint32_t b = 0; b < COUNTER_BUCKETS; b++)
		total += h->buckets[b];
	for (uint32_t b = 0; b < COUNTER_BUCKETS && total; b++) {
		seen += h->buckets[b];
		if (seen * 1000 >= total * permille)
			return b ? (1ULL << b) - 1 : 0;
	}
	return 0;
}

const struct counter_table *counter_tables(void)
{
	return __atomic_load_n(&tables, __ATOMIC_ACQUIRE);
}
