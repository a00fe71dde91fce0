/* Cutting, allocating, punching, and finding data. Blocks concerned in part are changed in memory, whole ones by their extents. */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-cut.h"

#define HOLE_MAX 16384ULL /* blocks that are allocated at once */

/* Clears [from, to) within one block, unless it is a hole anyway. */
static int clear_part(struct cairn_node *n, uint64_t from, uint64_t to)
{
	uint64_t block = from / CAIRN_BLOCK_SIZE, charged, before = n->n_dirty;
	struct cairn_extent e;
	uint8_t *bytes;
	int err = cairn_extent_at(n, block, &e);
	if (err)
		return err;
	bool blank = e.kind == CAIRN_HOLE || e.kind == CAIRN_UNWRITTEN;
	if (from == to || (blank && !cairn_dirty_block(n, block)))
		return 0;
	err = cairn_reserve_dirty(n, block, 1, true, &charged);
	if (err)
		return err;
	err = cairn_load_dirty(n, block, &bytes);
	if (!err)
		memset(bytes + from % CAIRN_BLOCK_SIZE, 0, to - from);
	else
		cairn_prune(n, block, 1);
	cairn_refund(cairn_of(n), charged - (n->n_dirty - before));
	cairn_quota_sync(n);
	return err;
}

static void forget(struct cairn_node *n, struct cairn_range r)
{
	cairn_refund(cairn_of(n), cairn_forget(n, r.first, r.first + r.n));
}

int cairn_store_first(struct cairn_node *n)
{
	struct cairn_change change = {.frees = true};
	return n->n_dirty ? cairn_flush(n, &change) : 0;
}

/* What became dirty since everything was stored first. */
static void undo(struct cairn_node *n, const struct cairn_inode *before)
{
	forget(n, (struct cairn_range){0, CAIRN_BLOCKS_MAX});
	cairn_quota_sync(n);
	n->inode.attr = before->attr;
	n->inode.flags = (n->inode.flags & ~(uint32_t)CAIRN_CUT) | (before->flags & CAIRN_CUT);
	cairn_queue(n);
}

/* With more extents than one transaction should take away: it marks the inode, and others follow. */
static int cut_at(struct cairn_node *n, uint64_t size, struct cairn_range behind)
{
	struct cairn_change change = {.frees = true};
	int err = cairn_piece(n, behind, cairn_at_once.reclaimed, &change.unmap);
	bool whole = change.unmap.n == behind.n;
	if (err)
		return err;
	if (!whole)
		change.unmap.n = 0;
	n->inode.flags = (n->inode.flags & ~(uint32_t)CAIRN_CUT) | (whole ? 0 : CAIRN_CUT);
	n->inode.attr.size = size;
	forget(n, behind);
	err = cairn_flush(n, &change);
	if (!err && !whole)
		cairn_cut_later(n);
	return err;
}

static int cut(struct cairn_node *n, uint64_t size)
{
	struct cairn_inode before = cairn_inode_stored(n);
	uint64_t keep = cairn_blocks(size), old = before.attr.size;
	int err = size < old && size % CAIRN_BLOCK_SIZE ? clear_part(n, size, MIN(keep * CAIRN_BLOCK_SIZE, old)) : 0;
	if (!err)
		err = cut_at(n, size, (struct cairn_range){keep, CAIRN_BLOCKS_MAX - keep});
	if (err)
		undo(n, &before);
	return err;
}

int cairn_resize(struct cairn_node *n, uint64_t size)
{
	if (size <= n->inode.attr.size)
		return cut(n, size);
	int err = cairn_before_growing(n, size);
	if (err)
		return err;
	n->inode.attr.size = size;
	return cairn_flush(n, NULL);
}

/* ---- allocate */

struct growing {
	struct cairn_node *n;
	struct cairn_extent *list;
	uint32_t n_list, max;
	uint64_t n_blocks;
};

static int add_extent(struct growing *g, uint64_t first, struct cairn_range place)
{
	if (g->n_list == g->max) {
		uint32_t max = g->max ? 2 * g->max : 4;
		struct cairn_extent *list = realloc(g->list, max * sizeof(*list));
		if (!list)
			return ERR_NOMEM;
		g->list = list;
		g->max = max;
	}
	g->list[g->n_list++] = (struct cairn_extent){
		.first = first, .n = place.n, .place = place.first, .kind = CAIRN_UNWRITTEN};
	return 0;
}

static int fill_hole(struct growing *g, struct cairn_range hole)
{
	struct cairn *fs = cairn_of(g->n);
	int err = cairn_charge(fs, hole.n, false);
	if (err == ERR_NOSPC && cairn_make_room(fs, CAIRN_ROOM_NS))
		err = cairn_charge(fs, hole.n, false);
	if (!err && (err = cairn_quota_charge(g->n, hole.n)))
		cairn_refund(fs, hole.n);
	if (err)
		return err;
	g->n_blocks += hole.n;
	while (!err && hole.n) {
		struct cairn_range got;
		err = cairn_alloc(fs, hole.n, &got);
		if (!err && (err = add_extent(g, hole.first, got)))
			cairn_release(fs, &got);
		if (!err)
			hole = (struct cairn_range){hole.first + got.n, hole.n - got.n};
	}
	return err;
}

static void give_back(struct growing *g)
{
	struct cairn *fs = cairn_of(g->n);
	for (uint32_t i = 0; i < g->n_list; i++) {
		struct cairn_range place = {g->list[i].place, g->list[i].n};
		cairn_release(fs, &place);
	}
	cairn_refund(fs, g->n_blocks);
	cairn_quota_sync(g->n);
}

/* From *at on, which moves, as much as one transaction should have. */
static int fill_holes(struct growing *g, uint64_t *at, uint64_t end)
{
	struct cairn_extent e;
	int err = 0;
	for (; !err && *at < end && g->n_list < cairn_at_once.reclaimed; *at += e.n) {
		err = cairn_extent_at(g->n, *at, &e);
		if (err)
			return err;
		e.n = MIN(e.n, end - *at);
		if (e.kind != CAIRN_HOLE)
			continue;
		e.n = MIN(e.n, HOLE_MAX);
		err = fill_hole(g, (struct cairn_range){*at, e.n});
	}
	return err;
}

static int allocate_some(struct cairn_node *n, uint64_t *at, uint64_t end)
{
	struct growing g = {.n = n};
	int err = fill_holes(&g, at, end);
	if (!err) {
		struct cairn_change change = {.unwritten = g.list, .n_unwritten = g.n_list};
		err = cairn_flush(n, g.n_list ? &change : NULL);
	}
	if (err)
		give_back(&g);
	free(g.list);
	return err;
}

/* The inode's other changes were made by the caller. What is dirty gets its blocks first. */
static int allocate(struct cairn_node *n, uint64_t offset, uint64_t size)
{
	uint64_t at = offset / CAIRN_BLOCK_SIZE, end = cairn_blocks(offset + size);
	int err = n->n_dirty ? cairn_flush(n, NULL) : 0;
	do
		err = err ? err : allocate_some(n, &at, end);
	while (!err && at < end);
	return err;
}

int cairn_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size)
{
	struct cairn_node *n = cairn_node(node);
	int err = cairn_before_growing(n, offset + size);
	if (err)
		return err;
	struct cairn_inode before = cairn_inode_stored(n);
	if (!keep_size)
		n->inode.attr.size = MAX(n->inode.attr.size, offset + size);
	cairn_touch(&n->inode, true);
	err = allocate(n, offset, size);
	if (!err) {
		cairn_touch_base(n, true);
		return 0;
	}
	/* The new size may be stored already. */
	n->inode.attr = before.attr;
	if (cairn_flush(n, NULL))
		cairn_queue(n);
	return err;
}

/* ---- punch */

/* Clears [offset, end) as far as it lies in blocks concerned in part; *whole: the others. */
static int clear_edges(struct cairn_node *n, uint64_t offset, uint64_t end, struct cairn_range *whole)
{
	uint64_t first = cairn_blocks(offset), last = end / CAIRN_BLOCK_SIZE;
	*whole = (struct cairn_range){first, first > last ? 0 : last - first};
	if (first > last)
		return clear_part(n, offset, end);
	int err = clear_part(n, offset, first * CAIRN_BLOCK_SIZE);
	return err ? err : clear_part(n, last * CAIRN_BLOCK_SIZE, end);
}

int cairn_deallocate(struct vfs_node *node, uint64_t offset, uint64_t size)
{
	struct cairn_node *n = cairn_node(node);
	struct cairn_change change = {.frees = true};
	int err = cairn_store_first(n);
	if (err)
		return err;
	struct cairn_inode before = cairn_inode_stored(n);
	err = clear_edges(n, offset, offset + size, &change.unmap);
	if (!err)
		err = cairn_punch_most(n, &change.unmap);
	if (!err) {
		forget(n, change.unmap);
		cairn_touch(&n->inode, true);
		err = cairn_flush(n, &change);
	}
	if (err)
		undo(n, &before);
	else
		cairn_touch_base(n, true);
	return err;
}

/* ---- zero */

static int fill_one(struct growing *g, uint64_t block)
{
	struct cairn_extent e;
	int err = cairn_extent_at(g->n, block, &e);
	return err || e.kind != CAIRN_HOLE ? err : fill_hole(g, (struct cairn_range){block, 1});
}

/* Blocks for what becomes a hole, and for holes among the two concerned in part. */
static int refill(struct growing *g, struct cairn_range whole, uint64_t first, uint64_t end)
{
	int err = whole.n ? fill_hole(g, whole) : 0;
	if (!err && first < whole.first && !cairn_dirty_block(g->n, first))
		err = fill_one(g, first);
	if (!err && end > whole.first + whole.n && !cairn_dirty_block(g->n, end - 1))
		err = fill_one(g, end - 1);
	return err;
}

/* In one transaction: new blocks that read as zeros come for the old ones. */
static int zero(struct cairn_node *n, uint64_t offset, uint64_t end, uint64_t new_size)
{
	struct cairn_inode before = cairn_inode_stored(n);
	struct growing g = {.n = n};
	struct cairn_change change = {.unmap.n = 0};
	int err = clear_edges(n, offset, end, &change.unmap);
	if (!err)
		err = refill(&g, change.unmap, offset / CAIRN_BLOCK_SIZE, cairn_blocks(end));
	if (!err) {
		forget(n, change.unmap);
		change.unwritten = g.list;
		change.n_unwritten = g.n_list;
		n->inode.attr.size = new_size;
		cairn_touch(&n->inode, true);
		err = cairn_flush(n, &change);
	}
	if (err) {
		give_back(&g);
		undo(n, &before);
	}
	free(g.list);
	return err;
}

/* As with punching: what is too much for one transaction reads as zeros already when new blocks come. */
static int punch_whole(struct cairn_node *n, uint64_t offset, uint64_t end)
{
	uint64_t first = cairn_blocks(offset), last = end / CAIRN_BLOCK_SIZE;
	struct cairn_range whole = {first, first > last ? 0 : last - first};
	return cairn_punch_most(n, &whole);
}

int cairn_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size)
{
	struct cairn_node *n = cairn_node(node);
	uint64_t old = n->inode.attr.size, end = offset + size;
	int err = cairn_before_growing(n, end);
	if (!err)
		err = cairn_store_first(n);
	if (!err)
		err = punch_whole(n, offset, end);
	if (err)
		return err;
	err = zero(n, offset, end, keep_size ? old : MAX(old, end));
	if (!err)
		cairn_touch_base(n, true);
	if (err != ERR_NOSPC && err != ERR_DQUOT)
		return err;
	/* A full store, or a full quota, has no blocks besides the old ones: these go first. */
	err = cairn_deallocate(node, offset, size);
	return err ? err : cairn_allocate(node, offset, size, keep_size);
}

/* ---- seek */

static int find_kind(struct cairn_node *n, uint64_t offset, bool data, uint64_t *found)
{
	uint64_t end = cairn_blocks(n->inode.attr.size);
	struct cairn_extent e;
	for (uint64_t at = offset / CAIRN_BLOCK_SIZE; at < end; at += e.n) {
		uint64_t dirty = at;
		int err = cairn_extent_at(n, at, &e);
		if (err)
			return err;
		bool has_data = e.kind != CAIRN_HOLE && e.kind != CAIRN_UNWRITTEN;
		if (cairn_next_dirty(n, &dirty) && dirty == at) {
			has_data = true;
			e.n = 1;
		} else if (dirty > at) {
			e.n = MIN(e.n, dirty - at);
		}
		if (has_data == data) {
			*found = MAX(at * CAIRN_BLOCK_SIZE, offset);
			return 0;
		}
	}
	*found = n->inode.attr.size;
	return data ? ERR_NXIO : 0;
}

int cairn_seek(struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found)
{
	struct cairn_node *n = cairn_node(node);
	fiber_rwlock_rdlock(&n->data_lock);
	int err = find_kind(n, offset, what == SEEK_TO_DATA, found);
	fiber_rwlock_rdunlock(&n->data_lock);
	return err;
}
