/*
 * A tree for each table, of records cut from large pieces of memory that go together. The first 16 bytes of a key are
 * kept as two numbers, so that going down a tree seldom looks at the key itself.
 */
#include "backends/cairn/cairn-meta-overlay.h"

#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-meta-impl.h"

#define CHUNK_SIZE (256u << 10)
#define ALIGNMENT 8u

struct meta_chunk {
	struct meta_chunk *older;
	uint8_t bytes[];
};

/* ---- keys */

static uint64_t be64_of(const uint8_t *bytes, uint32_t size)
{
	uint64_t v = 0;
	memcpy(&v, bytes, MIN(size, 8u));
	return __builtin_bswap64(v);
}

struct meta_probe meta_probe_of(enum meta_table table, const void *key, uint32_t size)
{
	struct meta_probe p = {.bytes = key, .size = size};
	if (meta_key_is_number(table)) {
		memcpy(&p.head[0], key, MIN(size, 8u));
	} else {
		p.head[0] = be64_of(key, size);
		p.head[1] = size > 8 ? be64_of((const uint8_t *)key + 8, size - 8) : 0;
	}
	return p;
}

int meta_probe_cmp(const struct meta_probe *a, const struct meta_probe *b)
{
	if (a->head[0] != b->head[0])
		return a->head[0] < b->head[0] ? -1 : 1;
	if (a->head[1] != b->head[1])
		return a->head[1] < b->head[1] ? -1 : 1;
	uint32_t common = MIN(a->size, b->size);
	int c = common > 16 ? memcmp(a->bytes + 16, b->bytes + 16, common - 16) : 0;
	return c ? c : a->size < b->size ? -1 : a->size > b->size;
}

static int dirty_cmp(const void *key, const struct tree_node *node)
{
	const struct meta_dirty *d = container_of(node, struct meta_dirty, node);
	const struct meta_probe other = dirty_probe(d);
	return meta_probe_cmp(key, &other);
}

/* ---- records */

void overlay_init(struct meta_overlay *o)
{
	memset(o, 0, sizeof(*o));
}

void overlay_fini(struct meta_overlay *o)
{
	while (o->chunks) {
		struct meta_chunk *c = o->chunks;
		o->chunks = c->older;
		free(c);
	}
	overlay_init(o);
}

int overlay_reserve(struct meta_overlay *o, uint32_t n, size_t size)
{
	size_t need = size + n * (sizeof(struct meta_dirty) + ALIGNMENT);
	if ((size_t)(o->end - o->next) >= need)
		return 0;
	size_t room = MAX(need, (size_t)CHUNK_SIZE);
	struct meta_chunk *c = malloc(sizeof(*c) + room);
	if (!c)
		return ERR_NOMEM;
	c->older = o->chunks;
	o->chunks = c;
	o->next = c->bytes;
	o->end = c->bytes + room;
	return 0;
}

static struct meta_dirty *cut(struct meta_overlay *o, const struct meta_change *c)
{
	struct meta_dirty *d = (struct meta_dirty *)(void *)o->next;
	size_t size = ALIGN_UP(sizeof(*d) + c->key_size + c->size, (size_t)ALIGNMENT);
	o->next += size;
	o->size += size;
	d->key_size = (uint16_t)c->key_size;
	d->room = c->size;
	memcpy(d->bytes, c->key, c->key_size);
	return d;
}

static void fill(struct meta_dirty *d, const struct meta_change *c)
{
	d->batch = c->batch;
	d->deleted = c->deletes;
	d->size = c->size;
	if (c->size)
		memcpy(d->bytes + d->key_size, c->body, c->size);
}

/* The record that was just cut is not needed. */
static void uncut(struct meta_overlay *o, struct meta_dirty *d)
{
	size_t size = (size_t)(o->next - (uint8_t *)d);
	o->next -= size;
	o->size -= size;
}

/* Most records are new, so the place of a new one is looked for first. */
void overlay_put(struct meta_overlay *o, const struct meta_change *c)
{
	struct tree *t = &o->tables[c->table];
	struct meta_probe key = meta_probe_of(c->table, c->key, c->key_size);
	struct meta_dirty *d = cut(o, c);
	memcpy(d->head, key.head, sizeof(d->head));
	struct meta_dirty *there = tree_entry(tree_insert(t, &d->node, &key, dirty_cmp), struct meta_dirty, node);
	if (there && there->room >= c->size) {
		uncut(o, d);
		fill(there, c);
		return;
	}
	fill(d, c);
	if (there) {
		tree_erase(t, &there->node);
		tree_insert(t, &d->node, &key, dirty_cmp);
	} else {
		o->n_records++;
	}
}

/* ---- looking */

struct meta_dirty *overlay_find(const struct meta_overlay *o, enum meta_table table, const struct meta_probe *key)
{
	struct tree_node *n = o->tables[table].root;
	while (n) {
		int c = dirty_cmp(key, n);
		if (c == 0)
			return container_of(n, struct meta_dirty, node);
		n = n->child[c > 0];
	}
	return NULL;
}

struct meta_dirty *overlay_from(const struct meta_overlay *o, enum meta_table table, const struct meta_probe *key)
{
	return tree_entry(tree_lower_bound(&o->tables[table], key, dirty_cmp), struct meta_dirty, node);
}

struct meta_dirty *overlay_upto(const struct meta_overlay *o, enum meta_table table, const struct meta_probe *key)
{
	struct tree_node *n = tree_lower_bound(&o->tables[table], key, dirty_cmp);
	if (!n)
		n = tree_last(&o->tables[table]);
	else if (dirty_cmp(key, n) != 0)
		n = tree_prev(n);
	return tree_entry(n, struct meta_dirty, node);
}

struct meta_dirty *overlay_first(const struct meta_overlay *o, enum meta_table table)
{
	return tree_entry(tree_first(&o->tables[table]), struct meta_dirty, node);
}

struct meta_dirty *overlay_next(const struct meta_dirty *d)
{
	return tree_entry(tree_next(&d->node), struct meta_dirty, node);
}

struct meta_dirty *overlay_prev(const struct meta_dirty *d)
{
	return tree_entry(tree_prev(&d->node), struct meta_dirty, node);
}
