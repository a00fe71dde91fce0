/*
 * The names of a directory: a hash table that grows by one bucket per few insertions (linear hashing, Litwin
 * 1980), so that no insertion ever waits for a table of millions to be rebuilt. Bucket b below `split` has been
 * divided in two already and is addressed with one bit more.
 *
 * A bucket is one line of the cache. Beside each pointer it keeps a tag of the name's hash, so that neither a look-up
 * in vain nor a division touches the entries themselves, which in a large directory are in no cache. What does not fit
 * is a list. Buckets lie in segments, each as long as all before it, that never move.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backends/memfs/memfs.h"

#define FIRST_BITS 3
#define FIRST_BUCKETS (1u << FIRST_BITS)
#define N_SEGMENTS 32u
#define LOAD 4u /* entries per bucket before another one is divided */
#define SLOTS 7u
#define TAG_BITS 20
#define TAG_MASK ((1u << TAG_BITS) - 1)

/* Pointers are multiples of 16 below 2^48: a tag fits below them. 0: free. */
struct memfs_bucket {
	_Alignas(CACHE_LINE) uint64_t slots[SLOTS];
	struct memfs_entry *rest;
};

static uint64_t slot_of(const struct memfs_entry *e)
{
	return (uint64_t)(uintptr_t)e >> 4 << TAG_BITS | (e->hash >> FIRST_BITS & TAG_MASK);
}

static struct memfs_entry *entry_of(uint64_t slot)
{
	return (struct memfs_entry *)(uintptr_t)(slot >> TAG_BITS << 4); // NOLINT(performance-no-int-to-ptr)
}

/* ---- segments */

static uint64_t segment_size(uint32_t i)
{
	return sizeof(struct memfs_bucket) * FIRST_BUCKETS << (i ? i - 1 : 0);
}

static struct memfs_bucket *bucket_at(const struct memfs_names *t, uint64_t i)
{
	if (i < FIRST_BUCKETS)
		return &t->segments[0][i];
	uint32_t top = 63 - (uint32_t)__builtin_clzll(i);
	return &t->segments[top - FIRST_BITS + 1][i - (1ULL << top)];
}

/* Pages of a large one come as they are used. */
static struct memfs_bucket *segment_new(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static bool add_segment(struct memfs_names *t)
{
	uint64_t size = segment_size(t->n_segments);
	if (t->n_segments == N_SEGMENTS)
		return false;
	bool small = size < PAGE_CHUNK_SIZE;
	struct memfs_bucket *s = small ? aligned_alloc(CACHE_LINE, size) : segment_new(size);
	if (!s)
		return false;
	if (small)
		memset(s, 0, size);
	t->segments[t->n_segments++] = s;
	return true;
}

int memfs_names_reserve(struct memfs_names *t)
{
	if (t->n_segments)
		return 0;
	if (!t->segments)
		t->segments = calloc(N_SEGMENTS, sizeof(struct memfs_bucket *));
	t->bits = FIRST_BITS;
	return t->segments && add_segment(t) ? 0 : ERR_NOSPC;
}

void memfs_names_fini(struct memfs_names *t)
{
	for (uint32_t i = 0; i < t->n_segments; i++) {
		if (segment_size(i) < PAGE_CHUNK_SIZE)
			free(t->segments[i]);
		else
			munmap(t->segments[i], segment_size(i));
	}
	free(t->segments);
}

/* ---- buckets */

static struct memfs_bucket *bucket_of(const struct memfs_names *t, uint64_t hash)
{
	uint64_t i = hash & ((1ULL << t->bits) - 1);
	if (i < t->split)
		i = hash & ((2ULL << t->bits) - 1);
	return bucket_at(t, i);
}

static uint64_t n_buckets(const struct memfs_names *t)
{
	return (1ULL << t->bits) + t->split;
}

static void put(struct memfs_bucket *b, struct memfs_entry *e, uint64_t slot)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (b->slots[i] == 0) {
			b->slots[i] = slot;
			return;
		}
	}
	e->next = b->rest;
	b->rest = e;
}

/* Bit `bits` of the hash behind a slot, from the tag as long as that has it. */
static bool goes(const struct memfs_names *t, uint64_t slot)
{
	if (t->bits - FIRST_BITS < TAG_BITS)
		return slot >> (t->bits - FIRST_BITS) & 1;
	return entry_of(slot)->hash >> t->bits & 1;
}

/* What was in a list is put anew into one of the two. */
static void divide_rest(struct memfs_names *t, struct memfs_bucket *from, struct memfs_bucket *to)
{
	struct memfs_entry *e = TAKE(from->rest), *next;
	for (; e; e = next) {
		next = e->next;
		put(e->hash >> t->bits & 1 ? to : from, e, slot_of(e));
	}
}

static void divide(struct memfs_names *t, struct memfs_bucket *from, struct memfs_bucket *to)
{
	for (uint32_t i = 0, n = 0; i < SLOTS; i++) {
		if (!from->slots[i] || !goes(t, from->slots[i]))
			continue;
		to->slots[n++] = from->slots[i];
		from->slots[i] = 0;
	}
	if (from->rest)
		divide_rest(t, from, to);
}

/* Divides the next bucket in two. Without memory the lists just get longer. */
static void split_one(struct memfs_names *t)
{
	uint64_t fresh = n_buckets(t);
	if (t->split == 0 && t->bits - FIRST_BITS + 1 == t->n_segments && !add_segment(t))
		return;
	divide(t, bucket_at(t, t->split), bucket_at(t, fresh));
	if (++t->split == 1ULL << t->bits) {
		t->bits++;
		t->split = 0;
	}
}

/* ---- names */

static bool is(const struct memfs_entry *e, const struct vfs_name *name, uint64_t hash)
{
	return e->hash == hash && e->size == name->size && memcmp(e->name, name->bytes, name->size) == 0;
}

struct memfs_entry *memfs_names_find(const struct memfs_names *t, const struct vfs_name *name, uint64_t hash)
{
	if (t->n_segments == 0)
		return NULL;
	const struct memfs_bucket *b = bucket_of(t, hash);
	uint64_t tag = hash >> FIRST_BITS & TAG_MASK;
	for (uint32_t i = 0; i < SLOTS; i++)
		if (b->slots[i] && (b->slots[i] & TAG_MASK) == tag && is(entry_of(b->slots[i]), name, hash))
			return entry_of(b->slots[i]);
	struct memfs_entry *e = b->rest;
	while (e && !is(e, name, hash))
		e = e->next;
	return e;
}

void memfs_names_insert(struct memfs_names *t, struct memfs_entry *e, uint64_t hash)
{
	if (t->n_entries >= LOAD * n_buckets(t))
		split_one(t);
	e->hash = hash;
	put(bucket_of(t, hash), e, slot_of(e));
	t->n_entries++;
}

void memfs_names_remove(struct memfs_names *t, struct memfs_entry *e)
{
	struct memfs_bucket *b = bucket_of(t, e->hash);
	uint64_t slot = slot_of(e);
	t->n_entries--;
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (b->slots[i] != slot)
			continue;
		struct memfs_entry *other = b->rest;
		b->slots[i] = other ? slot_of(other) : 0;
		if (other)
			b->rest = other->next;
		return;
	}
	struct memfs_entry **p = &b->rest;
	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
}
