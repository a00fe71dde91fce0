/*
 * From chunk index to place: a radix tree of 64-way nodes, as many levels as the highest index needs, so
 * that a file of a few megabytes has one level and one of 2^63 - 1 bytes has eight. Inner nodes hold
 * pointers, the lowest level places; both are 512 bytes.
 */
#include <stdlib.h>

#include "backends/memfs/memfs.h"

#define WAY_BITS 6
#define WAYS (1u << WAY_BITS)

struct inner {
	void *child[WAYS];
};

struct leaf {
	struct memfs_ref ref[WAYS];
};

/* Whether index lies in a tree of that many levels; ten would pass 64 bits, eight hold every file. */
static bool covers(uint32_t levels, uint64_t index)
{
	return levels * WAY_BITS >= 64 || index >> (levels * WAY_BITS) == 0;
}

static uint32_t way(uint64_t index, uint32_t level)
{
	return (uint32_t)(index >> ((level - 1) * WAY_BITS)) & (WAYS - 1);
}

struct memfs_ref *memfs_map_get(struct memfs_map *m, uint64_t index)
{
	void *at = m->root;
	if (index == 0)
		return m->first.chunk ? &m->first : NULL;
	if (!at || !covers(m->levels, index))
		return NULL;
	for (uint32_t level = m->levels; at && level > 1; level--)
		at = ((struct inner *)at)->child[way(index, level)];
	if (!at)
		return NULL;
	struct memfs_ref *ref = &((struct leaf *)at)->ref[way(index, 1)];
	return ref->chunk ? ref : NULL;
}

/* One more level on top, or the first. */
static bool add_level(struct memfs_map *m)
{
	struct inner *top = calloc(1, sizeof(*top));
	if (!top)
		return false;
	top->child[0] = m->root;
	m->root = top;
	m->levels++;
	return true;
}

struct memfs_ref *memfs_map_make(struct memfs_map *m, uint64_t index)
{
	if (index == 0)
		return &m->first;
	while (!m->root || !covers(m->levels, index))
		if (!add_level(m))
			return NULL;
	void *at = m->root;
	for (uint32_t level = m->levels; level > 1; level--) {
		void **child = &((struct inner *)at)->child[way(index, level)];
		if (!*child)
			*child = calloc(1, sizeof(struct inner));
		if (!*child)
			return NULL;
		at = *child;
	}
	return &((struct leaf *)at)->ref[way(index, 1)];
}

_Static_assert(sizeof(struct inner) == sizeof(struct leaf), "a level may become either");

/* The first place in use at or after *index below at, whose first index is base. */
static struct memfs_ref *next_below(void *at, uint32_t level, uint64_t base, uint64_t *index)
{
	uint64_t step = 1ULL << ((level - 1) * WAY_BITS);
	for (uint32_t i = *index > base ? (uint32_t)((*index - base) / step) : 0; at && i < WAYS; i++) {
		uint64_t first = base + i * step;
		struct memfs_ref *ref = level == 1 ? &((struct leaf *)at)->ref[i]
		                                   : next_below(((struct inner *)at)->child[i], level - 1, first, index);
		if (level == 1 && !ref->chunk)
			ref = NULL;
		if (ref && level == 1)
			*index = first;
		if (ref)
			return ref;
	}
	return NULL;
}

struct memfs_ref *memfs_map_next(struct memfs_map *m, uint64_t *index)
{
	if (*index == 0) {
		if (m->first.chunk)
			return &m->first;
		*index = 1;
	}
	if (!m->root || !covers(m->levels, *index))
		return NULL;
	return next_below(m->root, m->levels, 0, index);
}

/* Frees what lies wholly at or after from; true if at itself went. */
static bool trim_below(void *at, uint32_t level, uint64_t base, uint64_t from)
{
	uint64_t step = 1ULL << ((level - 1) * WAY_BITS);
	for (uint32_t i = 0; level > 1 && i < WAYS; i++) {
		void **child = &((struct inner *)at)->child[i];
		bool after = base + (i + 1) * step > from;
		if (*child && after && trim_below(*child, level - 1, base + i * step, from))
			*child = NULL;
	}
	if (base < from)
		return false;
	free(at);
	return true;
}

void memfs_map_trim(struct memfs_map *m, uint64_t index)
{
	if (!m->root || !trim_below(m->root, m->levels, 0, index <= 1 ? 0 : index))
		return;
	m->root = NULL;
	m->levels = 0;
}
