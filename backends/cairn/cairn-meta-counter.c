/*
 * The values of counters in memory, so that what is added to one can be told as a value at once: the first few in an array, those
 * with large numbers, of which there are as many as owners, in a map.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-meta-impl.h"
#include "base/hash.h"

struct wide {
	struct hmap_node node;
	uint64_t counter;
	int64_t value;
};

static uint64_t hash_of(uint64_t counter)
{
	return hash_u64(counter);
}

static struct wide *find(struct meta *m, uint64_t counter)
{
	struct hmap_node *n = hmap_find(&m->wide, hash_of(counter));
	while (n && container_of(n, struct wide, node)->counter != counter)
		n = hmap_find_next(n);
	return n ? container_of(n, struct wide, node) : NULL;
}

int64_t *meta_counter_at(struct meta *m, uint64_t counter)
{
	if (counter < META_COUNTERS_MAX)
		return &m->counters[counter];
	struct wide *w = find(m, counter);
	if (w)
		return &w->value;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->counter = counter;
	hmap_insert(&m->wide, &w->node, hash_of(counter));
	return &w->value;
}

void meta_counters_init(struct meta *m)
{
	hmap_init(&m->wide);
}

void meta_counters_fini(struct meta *m)
{
	for (struct hmap_node *n; (n = hmap_first(&m->wide));) {
		hmap_remove(&m->wide, n);
		free(container_of(n, struct wide, node));
	}
	hmap_fini(&m->wide);
}
