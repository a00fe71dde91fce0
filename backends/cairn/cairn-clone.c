/*
 * Sharing blocks between files. What is dirty is stored first; then the target's blocks in the range are unmapped and
 * it gets extents that refer to the source's blocks, in the transactions of a flush: mostly one; a clone of very many
 * extents takes several, with each of which the target has more of it. Block 0 of a small source, which lies in its record,
 * is copied.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-cut.h"

#define EXTENTS_AT_ONCE 4096u /* of one transaction: mostly all, 4 GiB when they are whole */

struct cloning {
	struct cairn_node *from, *to;
	uint64_t at, end;        /* blocks of from */
	uint64_t move;           /* from there to those of to, modulo 2^64 */
	struct cairn_extent *list;
	uint32_t n;
	uint32_t max;
	uint64_t size;           /* of to, when all is there */
	struct op_attr stored;   /* of to, so far */
};

static int add_extent(struct cloning *c, const struct cairn_extent *e, uint64_t n)
{
	if (c->n == c->max) {
		uint32_t max = c->max ? 2 * c->max : 4;
		struct cairn_extent *list = realloc(c->list, max * sizeof(*list));
		if (!list)
			return ERR_NOMEM;
		c->list = list;
		c->max = max;
	}
	struct cairn_extent *mine = &c->list[c->n++];
	*mine = *e;
	mine->first += c->move;
	mine->n = n;
	mine->born = 0;
	return 0;
}

/* Extents of from, until the end or until there are enough. What was only allocated stays a hole. */
static int collect(struct cloning *c)
{
	struct cairn_extent e;
	int err = 0;
	for (c->n = 0; !err && c->at < c->end && c->n < EXTENTS_AT_ONCE; c->at += e.n) {
		err = cairn_extent_at(c->from, c->at, &e);
		if (err)
			return err;
		e.n = MIN(e.n, c->end - c->at);
		if (e.kind == CAIRN_LOST)
			return ERR_IO;
		if (e.kind == CAIRN_WRITTEN)
			err = add_extent(c, &e, e.n);
	}
	return err;
}

static int share_blocks(struct cloning *c)
{
	uint64_t first = c->at;
	int err = collect(c);
	for (uint32_t i = 0; !err && i < c->n; i++)
		err = cairn_quota_charge(c->to, c->list[i].n);
	if (err)
		return err;
	struct cairn_change change = {
		.unmap = {first + c->move, c->at - first}, .shared = c->list, .n_shared = c->n};
	err = cairn_punch_most(c->to, &change.unmap);
	if (err)
		return err;
	/* What is there by then: the next transaction may fail. */
	uint64_t end = c->at == c->end ? c->size : (c->at + c->move) * CAIRN_BLOCK_SIZE;
	c->to->inode.attr.size = MAX(c->to->inode.attr.size, end);
	err = cairn_flush(c->to, &change);
	if (!err)
		c->stored = c->to->inode.attr;
	return err;
}

/* The block becomes dirty; the flush that follows stores it. */
static int copy_record(struct cloning *c)
{
	uint64_t block = c->at + c->move, charged;
	uint8_t bytes[CAIRN_BLOCK_SIZE];
	int err = cairn_load_inline(c->from, bytes);
	if (!err)
		err = cairn_reserve_dirty(c->to, block, 1, false, &charged);
	if (err)
		return err;
	err = cairn_put_dirty(c->to, block, bytes);
	if (err)
		cairn_refund(cairn_of(c->to), charged);
	c->at += !err;
	return err;
}

static int clone_all(struct cloning *c)
{
	int err = 0;
	if (c->at == 0 && cairn_is_inline(c->from))
		err = copy_record(c);
	if (!err && c->at == c->end) {
		c->to->inode.attr.size = MAX(c->to->inode.attr.size, c->size);
		return cairn_flush(c->to, NULL);
	}
	while (!err && c->at < c->end)
		err = share_blocks(c);
	return err;
}

int cairn_clone(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t size)
{
	struct cairn_node *source = cairn_node(from), *n = cairn_node(to);
	struct cloning c = {.from = source, .to = n, .at = offset / CAIRN_BLOCK_SIZE, .end = cairn_blocks(offset + size)};
	c.move = to_offset / CAIRN_BLOCK_SIZE - c.at;
	int err = cairn_before_growing(n, to_offset + size);
	if (!err)
		err = cairn_store_first(source);
	/* Whatever else is dirty must not be mistaken for the new content, nor the old be lost if this fails. */
	if (!err)
		err = cairn_store_first(n);
	if (err)
		return err;
	c.size = to_offset + size;
	c.stored = cairn_inode_stored(n).attr;
	cairn_touch(&n->inode, true);
	err = clone_all(&c);
	if (err) {
		n->inode.attr = c.stored;
		cairn_refund(cairn_of(n), cairn_forget(n, 0, CAIRN_BLOCKS_MAX));
		cairn_quota_sync(n);
		cairn_queue(n);
	} else {
		cairn_touch_base(n, true);
	}
	free(c.list);
	return err;
}
