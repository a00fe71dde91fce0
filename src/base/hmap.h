/*
 * Intrusive hash map: chained buckets, a power of two of them, doubled as it fills. Entries embed a
 * struct hmap_node; the map keeps their full 64-bit hashes, so comparing keys is left to the few that
 * match. Not synchronised. Inserting never fails: when memory for more buckets can't be had the
 * chains just get longer. All-zero after hmap_init(); a static map needs hmap_init() too.
 */
#ifndef BASE_HMAP_H
#define BASE_HMAP_H

#include "base/compiler.h"

struct hmap_node {
	struct hmap_node *next;
	uint64_t hash;
};

struct hmap {
	struct hmap_node **buckets; /* &one until the first growth */
	struct hmap_node *one;
	size_t mask;                /* buckets - 1 */
	size_t n_nodes;
};

void hmap_init(struct hmap *m);
/* hmap_fini() - frees the buckets; the entries are the caller's. */
void hmap_fini(struct hmap *m);

void hmap_insert(struct hmap *m, struct hmap_node *node, uint64_t hash);
/* hmap_remove() - node must be in m. */
void hmap_remove(struct hmap *m, struct hmap_node *node);

/* hmap_find() - first node with this hash, hmap_find_next() - the next such one; NULL: none. */
static inline struct hmap_node *hmap_match(struct hmap_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

static inline struct hmap_node *hmap_find(const struct hmap *m, uint64_t hash)
{
	return hmap_match(m->buckets[hash & m->mask], hash);
}

static inline struct hmap_node *hmap_find_next(const struct hmap_node *node)
{
	return hmap_match(node->next, node->hash);
}

/* hmap_first(), hmap_next() - every node in no order. The map must not be inserted into meanwhile. */
struct hmap_node *hmap_first(const struct hmap *m);
struct hmap_node *hmap_next(const struct hmap *m, const struct hmap_node *node);

#define hmap_entry(ptr, type, member)                                              \
	({                                                                         \
		struct hmap_node *n_ = (ptr);                                      \
		n_ ? container_of(n_, type, member) : NULL;                        \
	})

/* HMAP_FOREACH_HASH - var: each entry whose hash is h. HMAP_FOREACH - var: each entry. */
#define HMAP_FOREACH_HASH(var, map, h, member)                                     \
	for (var = hmap_entry(hmap_find(map, h), __typeof__(*var), member); var;   \
	     var = hmap_entry(hmap_find_next(&var->member), __typeof__(*var), member))

#define HMAP_FOREACH(var, map, member)                                             \
	for (var = hmap_entry(hmap_first(map), __typeof__(*var), member); var;     \
	     var = hmap_entry(hmap_next(map, &var->member), __typeof__(*var), member))

/* HMAP_FOREACH_SAFE - var may be removed or freed by the body; nothing else may. */
#define HMAP_FOREACH_SAFE(var, tmp, map, member)                                   \
	for (var = hmap_entry(hmap_first(map), __typeof__(*var), member);          \
	     var && (tmp = hmap_entry(hmap_next(map, &var->member), __typeof__(*var), member), 1); \
	     var = tmp)

#endif
