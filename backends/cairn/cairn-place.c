/*
 * From pages to blocks of the store: dirty blocks are given places and written there, by a flush, or ahead of it when a
 * writer has filled whole stretches, so that the flush finds little to do. A placed block is dirty until the flush has
 * committed its extent; if it is written again before, its place is stale and is given back with the next flush.
 *
 * What is being written keeps references to its memory: whoever overwrites it meanwhile gets other memory.
 */
#include <stdlib.h>

#include "backends/cairn/cairn.h"

#define STRETCH CAIRN_EXTENT_MAX /* blocks */
#define STRETCH_CHUNKS (STRETCH / CAIRN_CHUNK_BLOCKS)
#define WRITES_MAX 8u            /* of a node at once */
#define PARTS_MAX 128            /* of a request */

/* One request: blocks in a row in the store, from anywhere in the file. */
struct placing {
	struct cairn_node *n;
	uint64_t place;
	uint32_t n_blocks;
	int n_iov;
	bool *durable; /* all there is, and whether it is durable when written; NULL: there is more */
	struct iovec iov[PARTS_MAX];
	uint32_t chunks[PARTS_MAX];
};

/* Giving places to blocks one after the other. */
struct placer {
	struct cairn_node *n;
	struct cairn_range room; /* taken and not used yet */
	uint64_t left;           /* blocks that still need some */
	struct placing *p;       /* the request that grows */
	uint32_t n_started;
};

static uint16_t bit_of(uint64_t block)
{
	return (uint16_t)(1u << block % CAIRN_CHUNK_BLOCKS);
}

static void write_placing(void *arg)
{
	struct placing *p = arg;
	struct cairn_node *n = p->n;
	bool durable = p->durable != NULL;
	int err = cairn_blocks_write(cairn_of(n), p->place, p->iov, p->n_iov, &durable);
	if (err)
		n->write_err = err;
	if (p->durable)
		*p->durable = durable;
	for (int i = 0; i < p->n_iov; i++)
		pages_put(n->cached.node.mount->pages, p->chunks[i]);
	free(p);
	atomic_fetch_sub(&n->n_writes, 1);
	fiber_join_done(&n->writes);
}

/* Writes that are under way keep the node: who waits for them has a reference or is the node's flush. */
static void start_writing(struct placer *w)
{
	struct placing *p = TAKE(w->p);
	struct cairn_node *n = w->n;
	if (!p)
		return;
	w->n_started++;
	fiber_join_add(&n->writes, 1);
	if (atomic_fetch_add(&n->n_writes, 1) >= WRITES_MAX || fiber_spawn(write_placing, p))
		write_placing(p);
}

static int take_room(struct placer *w)
{
	if (w->room.n)
		return 0;
	start_writing(w);
	struct cairn *fs = cairn_of(w->n);
	int err = w->n->use_spare ? cairn_spare_take(fs, w->left, &w->room) : cairn_alloc(fs, w->left, &w->room);
	w->left -= err ? 0 : w->room.n;
	return err;
}

static int take_request(struct placer *w)
{
	if (w->p && (w->p->n_iov == PARTS_MAX || w->p->n_blocks == STRETCH))
		start_writing(w);
	if (w->p)
		return 0;
	w->p = malloc(sizeof(*w->p));
	if (!w->p)
		return ERR_NOMEM;
	w->p->n = w->n;
	w->p->place = w->room.first;
	w->p->n_blocks = 0;
	w->p->n_iov = 0;
	w->p->durable = NULL;
	return 0;
}

static void add_bytes(struct placing *p, struct cairn_chunk *c, uint8_t *bytes)
{
	struct iovec *last = p->n_iov ? &p->iov[p->n_iov - 1] : NULL;
	uint32_t chunk = block_chunk(c->page);
	p->n_blocks++;
	if (last && p->chunks[p->n_iov - 1] == chunk && (uint8_t *)last->iov_base + last->iov_len == bytes) {
		last->iov_len += CAIRN_BLOCK_SIZE;
		return;
	}
	pages_get(p->n->cached.node.mount->pages, chunk);
	p->chunks[p->n_iov] = chunk;
	p->iov[p->n_iov++] = (struct iovec){bytes, CAIRN_BLOCK_SIZE};
}

static int place_block(struct placer *w, struct cairn_chunk *c, uint32_t i)
{
	uint8_t *bytes = block_bytes(cairn_of(w->n)->cache, c->page) + i * CAIRN_BLOCK_SIZE;
	int err = take_room(w);
	if (!err)
		err = take_request(w);
	if (err)
		return err;
	c->sums[i] = cairn_block_sum(bytes);
	c->places[i] = w->room.first++;
	c->placed |= bit_of(i);
	w->room.n--;
	w->n->n_placed++;
	add_bytes(w->p, c, bytes);
	return 0;
}

static void begin(struct placer *w, struct cairn_node *n, uint64_t blocks)
{
	*w = (struct placer){.n = n, .left = blocks};
	if (n->n_placed == 0)
		n->n_lost = cairn_of(n)->n_lost;
}

static void end(struct placer *w)
{
	start_writing(w);
	if (w->room.n)
		cairn_release(cairn_of(w->n), &w->room);
}

/* ---- all that is dirty */

/* One request that is all there is makes itself durable: that is less work than a sync after it. */
static int place_all(struct cairn_node *n, bool *durable)
{
	bool alone = n->n_placed == 0;
	struct placer w;
	int err = 0;
	begin(&w, n, n->n_dirty - n->n_placed);
	for (uint64_t at = 0; !err && cairn_next_dirty(n, &at); at++) {
		struct cairn_chunk *c = cairn_chunk_at(n, at / CAIRN_CHUNK_BLOCKS);
		if (!(c->placed & bit_of(at)))
			err = place_block(&w, c, (uint32_t)(at % CAIRN_CHUNK_BLOCKS));
	}
	if (alone && !err && w.p && w.n_started == 0)
		w.p->durable = durable;
	end(&w);
	return err;
}

int cairn_place_dirty(struct cairn_node *n, bool *durable)
{
	int err = n->n_placed < n->n_dirty ? place_all(n, durable) : 0;
	fiber_join_wait(&n->writes);
	return err ? err : n->write_err;
}

/* Blocks of the file that are in a row in the store too, as far as one extent goes. */
static void run_from(struct cairn_node *n, uint64_t first, struct cairn_extent *e)
{
	struct cairn_chunk *c = cairn_chunk_at(n, first / CAIRN_CHUNK_BLOCKS);
	*e = (struct cairn_extent){.first = first, .kind = CAIRN_WRITTEN};
	e->place = c->places[first % CAIRN_CHUNK_BLOCKS];
	for (uint64_t block = first; e->n < CAIRN_EXTENT_MAX; block++) {
		uint32_t i = (uint32_t)(block % CAIRN_CHUNK_BLOCKS);
		if (block > first && i == 0)
			c = cairn_chunk_at(n, block / CAIRN_CHUNK_BLOCKS);
		bool follows = c && (c->placed & 1u << i) && c->places[i] == e->place + e->n;
		if (!follows || (e->n && c->places[i] % CAIRN_SEGMENT_BLOCKS == 0))
			return;
		e->sums[e->n++] = c->sums[i];
	}
}

bool cairn_next_placed(struct cairn_node *n, uint64_t *at, struct cairn_extent *e)
{
	if (!cairn_next_dirty(n, at))
		return false;
	run_from(n, *at, e);
	*at += e->n;
	return true;
}

/* ---- ahead of the flush */

static bool is_full(struct cairn_node *n, uint64_t index)
{
	for (uint64_t i = index; i < index + STRETCH_CHUNKS; i++) {
		const struct cairn_chunk *c = cairn_chunk_at(n, i);
		if (!c || c->dirty != BLOCKS_ALL || c->placed)
			return false;
	}
	return true;
}

static int place_stretch(struct cairn_node *n, uint64_t index)
{
	struct placer w;
	int err = 0;
	begin(&w, n, STRETCH);
	for (uint64_t i = index; !err && i < index + STRETCH_CHUNKS; i++) {
		struct cairn_chunk *c = cairn_chunk_at(n, i);
		for (uint32_t k = 0; !err && k < CAIRN_CHUNK_BLOCKS; k++)
			err = place_block(&w, c, k);
	}
	end(&w);
	return err;
}

void cairn_place_ahead(struct cairn_node *n, uint64_t first, uint64_t end)
{
	int err = 0;
	/* What is written again and again is cheaper to keep. */
	if (n->n_dirty < STRETCH || n->rewrites)
		return;
	for (uint64_t at = first / STRETCH; !err && at * STRETCH < end; at++)
		if (is_full(n, at * STRETCH_CHUNKS))
			err = place_stretch(n, at * STRETCH_CHUNKS);
}

/* ---- places that are not needed */

/* What can't be noted stays taken until the next mount. */
void cairn_displace(struct cairn_node *n, struct cairn_chunk *c, uint16_t mask)
{
	for (uint32_t left = c->placed & mask; left; left &= left - 1) {
		uint64_t place = c->places[__builtin_ctz(left)];
		struct cairn_range *last = n->stale.n ? &n->stale.list[n->stale.n - 1] : NULL;
		if (last && last->first + last->n == place && place % CAIRN_SEGMENT_BLOCKS)
			last->n++;
		else
			cairn_ranges_add(&n->stale, (struct cairn_range){place, 1});
		n->n_placed--;
		n->rewrites = true;
	}
	c->placed &= (uint16_t)~mask;
}

void cairn_release_stale(struct cairn_node *n)
{
	fiber_join_wait(&n->writes);
	cairn_ranges_release(cairn_of(n), &n->stale);
	cairn_ranges_fini(&n->stale);
	n->rewrites = false;
}

void cairn_displace_all(struct cairn_node *n)
{
	uint64_t at = 0;
	fiber_join_wait(&n->writes);
	while (n->n_placed && cairn_next_dirty(n, &at)) {
		cairn_displace(n, cairn_chunk_at(n, at / CAIRN_CHUNK_BLOCKS), BLOCKS_ALL);
		at = (at / CAIRN_CHUNK_BLOCKS + 1) * CAIRN_CHUNK_BLOCKS;
	}
	n->write_err = 0;
	cairn_release_stale(n);
}
