/*
 * Dirty blocks: what was written and is not stored yet. They are in pages of the block cache that are held as long as
 * something in them is dirty. Under the node's exclusive lock, but for looking, which readers do.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn.h"

static int chunk_cmp(const void *key, const struct tree_node *node)
{
	uint64_t index = *(const uint64_t *)key, other = container_of(node, struct cairn_chunk, node)->index;
	return index < other ? -1 : index > other;
}

struct cairn_chunk *cairn_chunk_at(struct cairn_node *n, uint64_t index)
{
	return tree_entry(tree_find(&n->chunks, &index, chunk_cmp), struct cairn_chunk, node);
}

/* The first one at or after index. */
static struct cairn_chunk *chunk_from(struct cairn_node *n, uint64_t index)
{
	return tree_entry(tree_lower_bound(&n->chunks, &index, chunk_cmp), struct cairn_chunk, node);
}

static struct cairn_chunk *chunk_after(struct cairn_chunk *c)
{
	return tree_entry(tree_next(&c->node), struct cairn_chunk, node);
}

static uint8_t *bytes_of(struct cairn_node *n, const struct cairn_chunk *c, uint64_t block)
{
	return block_bytes(cairn_of(n)->cache, c->page) + block % CAIRN_CHUNK_BLOCKS * CAIRN_BLOCK_SIZE;
}

static uint16_t bit_of(uint64_t block)
{
	return (uint16_t)(1u << block % CAIRN_CHUNK_BLOCKS);
}

const uint8_t *cairn_dirty_block(struct cairn_node *n, uint64_t block)
{
	const struct cairn_chunk *c = n->n_dirty ? cairn_chunk_at(n, block / CAIRN_CHUNK_BLOCKS) : NULL;
	return c && (c->dirty & bit_of(block)) ? bytes_of(n, c, block) : NULL;
}

const uint8_t *cairn_next_dirty(struct cairn_node *n, uint64_t *block)
{
	for (struct cairn_chunk *c = chunk_from(n, *block / CAIRN_CHUNK_BLOCKS); c; c = chunk_after(c)) {
		uint32_t mask = c->dirty;
		if (c->index == *block / CAIRN_CHUNK_BLOCKS)
			mask &= ~0u << *block % CAIRN_CHUNK_BLOCKS;
		if (!mask)
			continue;
		*block = c->index * CAIRN_CHUNK_BLOCKS + (uint64_t)__builtin_ctz(mask);
		return bytes_of(n, c, *block);
	}
	return NULL;
}

/* ---- reserving */

static struct cairn_chunk *make_chunk(struct cairn_node *n, uint64_t index)
{
	struct cairn_chunk *c = cairn_chunk_at(n, index);
	struct block_key key = cairn_page_key(n, index);
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->index = index;
	c->page = block_hold(cairn_of(n)->cache, &key);
	if (!c->page) {
		free(c);
		return NULL;
	}
	tree_insert(&n->chunks, &c->node, &index, chunk_cmp);
	return c;
}

static void free_chunk(struct cairn_node *n, struct cairn_chunk *c)
{
	tree_erase(&n->chunks, &c->node);
	block_release(cairn_of(n)->cache, c->page);
	free(c);
}

void cairn_prune(struct cairn_node *n, uint64_t first, uint64_t n_blocks)
{
	uint64_t last = (first + n_blocks - 1) / CAIRN_CHUNK_BLOCKS;
	struct cairn_chunk *c = chunk_from(n, first / CAIRN_CHUNK_BLOCKS);
	for (struct cairn_chunk *next; c && c->index <= last; c = next) {
		next = chunk_after(c);
		if (!c->dirty)
			free_chunk(n, c);
	}
}

/* The chunk's blocks in [from, to) as a mask. */
static uint16_t mask_of(uint64_t index, uint64_t from, uint64_t to)
{
	uint64_t first = index * CAIRN_CHUNK_BLOCKS;
	uint64_t low = from > first ? from - first : 0, high = MIN(to - first, (uint64_t)CAIRN_CHUNK_BLOCKS);
	return (uint16_t)((~0u << low) & (0xffffu >> (CAIRN_CHUNK_BLOCKS - high)));
}

int cairn_reserve_dirty(struct cairn_node *n, uint64_t first, uint64_t n_blocks, bool urgent, uint64_t *charged)
{
	uint64_t fresh = 0, end = first + n_blocks;
	int err = 0;
	for (uint64_t i = first / CAIRN_CHUNK_BLOCKS; !err && i * CAIRN_CHUNK_BLOCKS < end; i++) {
		struct cairn_chunk *c = make_chunk(n, i);
		err = c ? 0 : ERR_NOMEM;
		if (c && c->placed)
			cairn_displace(n, c, mask_of(i, first, end));
		fresh += c ? (uint64_t)__builtin_popcount(mask_of(i, first, end) & ~(uint32_t)c->dirty) : 0;
	}
	if (!err)
		err = cairn_charge(cairn_of(n), fresh, urgent);
	if (!err && !urgent && (err = cairn_quota_charge(n, fresh)))
		cairn_refund(cairn_of(n), fresh);
	if (err)
		cairn_prune(n, first, n_blocks);
	*charged = err ? 0 : fresh;
	return err;
}

/* ---- writing */

int cairn_own_page(struct cairn_node *n, struct cairn_chunk *c, uint16_t lose)
{
	int err = block_own(cairn_of(n)->cache, c->page, lose & (uint16_t)~c->dirty);
	return err == ERR_NOSPC ? ERR_DELAY : err;
}

void cairn_mark_dirty(struct cairn_node *n, struct cairn_chunk *c, uint16_t mask)
{
	int fresh = __builtin_popcount(mask & ~(uint32_t)c->dirty);
	block_set(cairn_of(n)->cache, c->page, mask);
	c->dirty |= mask;
	n->n_dirty += (uint64_t)fresh;
	cairn_of(n)->n_dirty += (uint64_t)fresh;
}

int cairn_load_dirty(struct cairn_node *n, uint64_t block, uint8_t **bytes)
{
	struct cairn_chunk *c = cairn_chunk_at(n, block / CAIRN_CHUNK_BLOCKS);
	int err = cairn_fill(n, block, block + 1, NULL);
	if (!err)
		err = cairn_own_page(n, c, 0);
	if (err)
		return err;
	cairn_mark_dirty(n, c, bit_of(block));
	*bytes = bytes_of(n, c, block);
	return 0;
}

int cairn_put_dirty(struct cairn_node *n, uint64_t block, const void *bytes)
{
	struct cairn_chunk *c = cairn_chunk_at(n, block / CAIRN_CHUNK_BLOCKS);
	int err = cairn_own_page(n, c, bit_of(block));
	if (err) {
		cairn_prune(n, block, 1);
		return err;
	}
	memcpy(bytes_of(n, c, block), bytes, CAIRN_BLOCK_SIZE);
	cairn_mark_dirty(n, c, bit_of(block));
	return 0;
}

/* ---- letting go */

uint64_t cairn_drop_dirty(struct cairn_node *n, uint64_t from, uint64_t to)
{
	uint64_t dropped = 0;
	struct cairn_chunk *c = chunk_from(n, from / CAIRN_CHUNK_BLOCKS);
	for (struct cairn_chunk *next; c && c->index * CAIRN_CHUNK_BLOCKS < to; c = next) {
		uint16_t mask = mask_of(c->index, from, to);
		next = chunk_after(c);
		dropped += (uint64_t)__builtin_popcount(c->dirty & mask);
		n->n_placed -= (uint64_t)__builtin_popcount(c->placed & mask);
		c->dirty &= (uint16_t)~mask;
		c->placed &= (uint16_t)~mask;
		if (!c->dirty)
			free_chunk(n, c);
	}
	n->n_dirty -= dropped;
	cairn_of(n)->n_dirty -= dropped;
	return dropped;
}

uint64_t cairn_forget(struct cairn_node *n, uint64_t from, uint64_t to)
{
	const struct cairn *fs = cairn_of(n);
	struct cairn_chunk *c = n->n_placed ? chunk_from(n, from / CAIRN_CHUNK_BLOCKS) : NULL;
	for (; c && c->index * CAIRN_CHUNK_BLOCKS < to; c = chunk_after(c))
		cairn_displace(n, c, mask_of(c->index, from, to));
	block_drop(fs->cache, fs->cache_store, cairn_ino(n), from, to);
	return cairn_drop_dirty(n, from, to);
}

/* ---- the list of those that are dirty */

void cairn_queue(struct cairn_node *n)
{
	struct cairn *fs = cairn_of(n);
	spin_lock(&fs->dirty_lock);
	bool fresh = !n->queued;
	n->changed = true;
	if (fresh) {
		n->queued = true;
		n->dirty_since_ns = loop_now_ns(loop_current());
		vfs_node_get(&n->cached.node);
		list_push_back(&fs->dirty, &n->dirty_link);
	}
	spin_unlock(&fs->dirty_lock);
}

/* Locked. */
static void move_to_front(struct cairn *fs, struct cairn_node *n)
{
	list_del(&n->dirty_link);
	list_push_front(&fs->dirty, &n->dirty_link);
	n->dirty_since_ns = 0;
}

void cairn_hasten(struct cairn_node *n)
{
	struct cairn *fs = cairn_of(n);
	struct cairn_node *s, *tmp;
	spin_lock(&fs->dirty_lock);
	if (n->queued)
		move_to_front(fs, n);
	/* Its streams keep it. */
	if (n->n_streams)
		LIST_FOREACH_SAFE(s, tmp, &fs->dirty, dirty_link)
			if (s->cached.node.base == &n->cached.node)
				move_to_front(fs, s);
	spin_unlock(&fs->dirty_lock);
	fiber_cond_signal(&fs->work);
}
