/* Growth relinks the nodes into twice the buckets; nothing shrinks. */
#include "base/hmap.h"

#include <stdlib.h>

void hmap_init(struct hmap *m)
{
	*m = (struct hmap){0};
	m->buckets = &m->one;
}

void hmap_fini(struct hmap *m)
{
	if (m->buckets != &m->one)
		free(m->buckets);
	hmap_init(m);
}

static void grow(struct hmap *m)
{
	size_t n_new = MAX((m->mask + 1) * 2, (size_t)8);
	struct hmap_node **fresh = calloc(n_new, sizeof(fresh[0]));
	if (!fresh)
		return;
	for (size_t i = 0; i <= m->mask; i++) {
		struct hmap_node *n = m->buckets[i], *next;
		for (; n; n = next) {
			next = n->next;
			n->next = fresh[n->hash & (n_new - 1)];
			fresh[n->hash & (n_new - 1)] = n;
		}
	}
	if (m->buckets != &m->one)
		free(m->buckets);
	m->buckets = fresh;
	m->mask = n_new - 1;
}

void hmap_insert(struct hmap *m, struct hmap_node *node, uint64_t hash)
{
	if (m->n_nodes > m->mask)
		grow(m);
	node->hash = hash;
	node->next = m->buckets[hash & m->mask];
	m->buckets[hash & m->mask] = node;
	m->n_nodes++;
}

void hmap_remove(struct hmap *m, struct hmap_node *node)
{
	struct hmap_node **at = &m->buckets[node->hash & m->mask];
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->next = NULL;
	m->n_nodes--;
}

static struct hmap_node *first_from(const struct hmap *m, size_t bucket)
{
	for (; bucket <= m->mask; bucket++)
		if (m->buckets[bucket])
			return m->buckets[bucket];
	return NULL;
}

struct hmap_node *hmap_first(const struct hmap *m)
{
	return first_from(m, 0);
}

struct hmap_node *hmap_next(const struct hmap *m, const struct hmap_node *node)
{
	return node->next ? node->next : first_from(m, (node->hash & m->mask) + 1);
}
