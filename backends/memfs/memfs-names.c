/*
 * The names of a directory: a hash table that grows by one bucket per insertion (linear hashing, Litwin
 * 1980), so that no insertion ever waits for a table of millions to be rebuilt. Bucket b below `split` has been
 * divided in two already and is addressed with one bit more. Buckets lie in segments that never move.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/memfs/memfs.h"

#define SEGMENT_BITS 6
#define SEGMENT_SIZE (1u << SEGMENT_BITS)

static struct memfs_entry **bucket_at(const struct memfs_names *t, uint64_t i)
{
	return &t->segments[i >> SEGMENT_BITS][i & (SEGMENT_SIZE - 1)];
}

static struct memfs_entry **bucket_of(const struct memfs_names *t, uint64_t hash)
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

/* One more segment; the array of them doubles when its length is a power of two. */
static bool add_segment(struct memfs_names *t)
{
	uint32_t n = t->n_segments;
	if ((n & (n - 1)) == 0) {
		struct memfs_entry ***grown = realloc(t->segments, (n ? 2 * n : 1) * sizeof(*grown));
		if (!grown)
			return false;
		t->segments = grown;
	}
	t->segments[n] = calloc(SEGMENT_SIZE, sizeof(**t->segments));
	if (!t->segments[n])
		return false;
	t->n_segments++;
	return true;
}

/* Divides the next bucket in two. Without memory the chains just get longer. */
static void split_one(struct memfs_names *t)
{
	uint64_t fresh = n_buckets(t);
	if (fresh >> SEGMENT_BITS == t->n_segments && !add_segment(t))
		return;
	struct memfs_entry **stays = bucket_at(t, t->split), **goes = bucket_at(t, fresh);
	while (*stays) {
		struct memfs_entry *e = *stays;
		if (e->hash >> t->bits & 1) {
			*stays = e->next;
			e->next = *goes;
			*goes = e;
		} else {
			stays = &e->next;
		}
	}
	if (++t->split == 1ULL << t->bits) {
		t->bits++;
		t->split = 0;
	}
}

int memfs_names_reserve(struct memfs_names *t)
{
	if (t->n_segments)
		return 0;
	t->bits = SEGMENT_BITS;
	return add_segment(t) ? 0 : ERR_NOSPC;
}

struct memfs_entry *memfs_names_find(const struct memfs_names *t, const struct vfs_name *name, uint64_t hash)
{
	if (t->n_segments == 0)
		return NULL;
	struct memfs_entry *e = *bucket_of(t, hash);
	while (e && (e->hash != hash || e->size != name->size || memcmp(e->name, name->bytes, name->size) != 0))
		e = e->next;
	return e;
}

void memfs_names_insert(struct memfs_names *t, struct memfs_entry *e, uint64_t hash)
{
	if (t->n_entries >= n_buckets(t))
		split_one(t);
	struct memfs_entry **b = bucket_of(t, hash);
	e->hash = hash;
	e->next = *b;
	*b = e;
	t->n_entries++;
}

void memfs_names_remove(struct memfs_names *t, struct memfs_entry *e)
{
	struct memfs_entry **p = bucket_of(t, e->hash);
	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	t->n_entries--;
}

void memfs_names_fini(struct memfs_names *t)
{
	for (uint32_t i = 0; i < t->n_segments; i++)
		free(t->segments[i]);
	free(t->segments);
}
