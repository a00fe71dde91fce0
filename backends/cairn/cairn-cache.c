/*
 * Dirty blocks: bytes that were written and are not stored yet, in pieces of 64 KiB whose memory the system gives
 * page by page. Under the node's exclusive lock, but for looking, which readers do.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn.h"

#define CHUNK_SIZE (CAIRN_CHUNK_BLOCKS * CAIRN_BLOCK_SIZE)

static int chunk_cmp(const void *key, const struct tree_node *node)
{
	uint64_t index = *(const uint64_t *)key, other = container_of(node, struct cairn_chunk, node)->index;
	return index < other ? -1 : index > other;
}

static struct cairn_chunk *find(struct cairn_node *n, uint64_t index)
{
	return tree_entry(tree_find(&n->chunks, &index, chunk_cmp), struct cairn_chunk, node);
}

static uint8_t *bytes_of(const struct cairn_chunk *c, uint64_t block)
{
	return c->bytes + block % CAIRN_CHUNK_BLOCKS * CAIRN_BLOCK_SIZE;
}

static uint16_t bit_of(uint64_t block)
{
	return (uint16_t)(1u << block % CAIRN_CHUNK_BLOCKS);
}

uint8_t *cairn_dirty_block(struct cairn_node *n, uint64_t block)
{
	const struct cairn_chunk *c = n->n_dirty ? find(n, block / CAIRN_CHUNK_BLOCKS) : NULL;
	return c && (c->dirty & bit_of(block)) ? bytes_of(c, block) : NULL;
}

uint8_t *cairn_next_dirty(struct cairn_node *n, uint64_t *block)
{
	uint64_t index = *block / CAIRN_CHUNK_BLOCKS;
	struct cairn_chunk *c = tree_entry(tree_lower_bound(&n->chunks, &index, chunk_cmp), struct cairn_chunk, node);
	for (; c; c = tree_entry(tree_next(&c->node), struct cairn_chunk, node)) {
		uint32_t mask = c->dirty;
		if (c->index == *block / CAIRN_CHUNK_BLOCKS)
			mask &= ~0u << *block % CAIRN_CHUNK_BLOCKS;
		if (!mask)
			continue;
		*block = c->index * CAIRN_CHUNK_BLOCKS + (uint64_t)__builtin_ctz(mask);
		return bytes_of(c, *block);
	}
	return NULL;
}

static struct cairn_chunk *make_chunk(struct cairn_node *n, uint64_t index)
{
	struct cairn_chunk *c = find(n, index);
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->index = index;
	c->bytes = malloc(CHUNK_SIZE);
	if (!c->bytes) {
		free(c);
		return NULL;
	}
	tree_insert(&n->chunks, &c->node, &index, chunk_cmp);
	return c;
}

int cairn_reserve_dirty(struct cairn_node *n, uint64_t first, uint64_t n_blocks, bool urgent, uint64_t *charged)
{
	uint64_t fresh = 0;
	for (uint64_t i = 0; i < n_blocks; i++) {
		const struct cairn_chunk *c = make_chunk(n, (first + i) / CAIRN_CHUNK_BLOCKS);
		if (!c)
			return ERR_NOMEM;
		fresh += !(c->dirty & bit_of(first + i));
	}
	int err = cairn_charge(cairn_of(n), fresh, urgent);
	*charged = err ? 0 : fresh;
	return err;
}

uint8_t *cairn_mark_dirty(struct cairn_node *n, uint64_t block)
{
	struct cairn_chunk *c = find(n, block / CAIRN_CHUNK_BLOCKS);
	if (!(c->dirty & bit_of(block))) {
		c->dirty |= bit_of(block);
		n->n_dirty++;
		cairn_of(n)->n_dirty++;
	}
	return bytes_of(c, block);
}

int cairn_load_dirty(struct cairn_node *n, uint64_t block, uint8_t **bytes)
{
	struct cairn_chunk *c = find(n, block / CAIRN_CHUNK_BLOCKS);
	int err = c->dirty & bit_of(block) ? 0 : cairn_load_block(n, block, bytes_of(c, block));
	if (!err)
		*bytes = cairn_mark_dirty(n, block);
	return err;
}

/* The chunk's blocks in [from, to) as a mask. */
static uint16_t mask_of(const struct cairn_chunk *c, uint64_t from, uint64_t to)
{
	uint64_t first = c->index * CAIRN_CHUNK_BLOCKS;
	uint64_t low = from > first ? from - first : 0, high = MIN(to - first, (uint64_t)CAIRN_CHUNK_BLOCKS);
	return (uint16_t)((~0u << low) & (0xffffu >> (CAIRN_CHUNK_BLOCKS - high)));
}

uint64_t cairn_drop_dirty(struct cairn_node *n, uint64_t from, uint64_t to)
{
	uint64_t index = from / CAIRN_CHUNK_BLOCKS, dropped = 0;
	struct cairn_chunk *c = tree_entry(tree_lower_bound(&n->chunks, &index, chunk_cmp), struct cairn_chunk, node);
	while (c && c->index * CAIRN_CHUNK_BLOCKS < to) {
		struct cairn_chunk *next = tree_entry(tree_next(&c->node), struct cairn_chunk, node);
		uint16_t mask = mask_of(c, from, to);
		dropped += (uint64_t)__builtin_popcount(c->dirty & mask);
		c->dirty &= (uint16_t)~mask;
		if (!c->dirty) {
			tree_erase(&n->chunks, &c->node);
			free(c->bytes);
			free(c);
		}
		c = next;
	}
	n->n_dirty -= dropped;
	cairn_of(n)->n_dirty -= dropped;
	return dropped;
}

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

void cairn_hasten(struct cairn_node *n)
{
	struct cairn *fs = cairn_of(n);
	spin_lock(&fs->dirty_lock);
	if (n->queued) {
		list_del(&n->dirty_link);
		list_push_front(&fs->dirty, &n->dirty_link);
		n->dirty_since_ns = 0;
	}
	spin_unlock(&fs->dirty_lock);
	fiber_cond_signal(&fs->work);
}
