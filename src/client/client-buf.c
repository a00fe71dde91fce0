/*
 * Buddies: a block of order o is 2^o units, aligned to its size, and merges with its neighbour when both
 * are free. Merging at once would split again for the next buffer of the same size, so the last few of each
 * size are kept whole until memory runs out.
 */
#include "client/client-buf.h"

#include <stdlib.h>

/* The book of one unit; it counts for a block when the unit is the block's first. */
struct buf_unit {
	struct client_buf buf; /* n_refs 0: not in use */
	struct list link;      /* in free[order] */
	uint8_t order;
	bool free;
};

static void add_free(struct buf_arena *a, uint32_t at, unsigned order)
{
	struct buf_unit *u = &a->units[at];
	u->order = (uint8_t)order;
	u->free = true;
	list_push_front(&a->free[order], &u->link);
}

static void take_free(struct buf_unit *u)
{
	list_del(&u->link);
	u->free = false;
}

int buf_arena_init(struct buf_arena *a, uint8_t *base, uint64_t size, uint64_t first_offset)
{
	*a = (struct buf_arena){.base = base, .size = size, .first_offset = first_offset};
	a->n_units = (uint32_t)(size / BUF_UNIT);
	a->units = calloc(a->n_units, sizeof(*a->units));
	if (!a->units)
		return ERR_NOMEM;
	for (unsigned o = 0; o < BUF_ORDERS; o++)
		list_init(&a->free[o]);
	uint32_t end = a->n_units;
	/* Highest first: the lowest addresses are handed out first and the others stay untouched. */
	for (unsigned o = 0; o < BUF_ORDERS - 1; o++)
		if (end & (1u << o))
			add_free(a, end -= 1u << o, o);
	while (end)
		add_free(a, end -= 1u << (BUF_ORDERS - 1), BUF_ORDERS - 1);
	return 0;
}

void buf_arena_fini(struct buf_arena *a)
{
	free(a->units);
	a->units = NULL;
}

static unsigned order_of(uint32_t size)
{
	unsigned order = 0;
	while (order < BUF_ORDERS && (BUF_UNIT << order) < size)
		order++;
	return order;
}

static struct buf_unit *split_to(struct buf_arena *a, unsigned order)
{
	unsigned o = order;
	while (o < BUF_ORDERS && list_empty(&a->free[o]))
		o++;
	if (o == BUF_ORDERS)
		return NULL;
	struct buf_unit *u = list_entry(a->free[o].next, struct buf_unit, link);
	take_free(u);
	while (o > order) {
		o--;
		add_free(a, (uint32_t)(u - a->units) + (1u << o), o);
	}
	u->order = (uint8_t)order;
	return u;
}

static void merge(struct buf_arena *a, struct buf_unit *u)
{
	uint32_t at = (uint32_t)(u - a->units);
	unsigned order = u->order;

	for (; order < BUF_ORDERS - 1; order++) {
		uint32_t other = at ^ (1u << order);
		if (other >= a->n_units || !a->units[other].free || a->units[other].order != order)
			break;
		take_free(&a->units[other]);
		at &= ~(1u << order);
	}
	add_free(a, at, order);
}

static void merge_quick(struct buf_arena *a)
{
	for (unsigned o = 0; o < BUF_ORDERS; o++)
		while (a->n_quick[o])
			merge(a, a->quick[o][--a->n_quick[o]]);
}

static struct buf_unit *take(struct buf_arena *a, unsigned order)
{
	if (a->n_quick[order])
		return a->quick[order][--a->n_quick[order]];
	struct buf_unit *u = split_to(a, order);
	if (u)
		return u;
	merge_quick(a);
	return split_to(a, order);
}

struct client_buf *buf_arena_alloc(struct buf_arena *a, uint32_t size)
{
	unsigned order = order_of(size);
	struct buf_unit *u = order < BUF_ORDERS ? take(a, order) : NULL;
	if (!u)
		return NULL;
	uint64_t offset = (uint64_t)(u - a->units) * BUF_UNIT;
	u->buf = (struct client_buf){a->base + offset, size, OP_SEG_CLIENT, a->first_offset + offset, 1};
	return &u->buf;
}

void buf_arena_free(struct buf_arena *a, struct client_buf *buf)
{
	struct buf_unit *u = container_of(buf, struct buf_unit, buf);

	buf->n_refs = 0;
	if (a->n_quick[u->order] < BUF_QUICK)
		a->quick[u->order][a->n_quick[u->order]++] = u;
	else
		merge(a, u);
}

void buf_arena_each(struct buf_arena *a, void (*fn)(void *arg, struct client_buf *buf), void *arg)
{
	for (uint32_t i = 0; i < a->n_units; i++)
		if (a->units[i].buf.n_refs)
			fn(arg, &a->units[i].buf);
}
