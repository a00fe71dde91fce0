/*
 * Reading and writing. A read refers to pages of the block cache, after what is absent was filled. A write goes to
 * pages, which it holds, or whose memory it brings along; what asks for stability is flushed before it is answered.
 */
#include <string.h>

#include "backends/cairn/cairn-cut.h"
#include "vfs/source.h"

/* ---- read */

/* From an absent block on: all that is left at once. */
static int read_absent(struct vfs_call *call, struct cairn_node *n, uint64_t offset, uint64_t end)
{
	struct pages *pages = n->cached.node.mount->pages;
	uint32_t chunks[CAIRN_FILL_PAGES], i = 0;
	int err = cairn_fill(n, offset / CAIRN_BLOCK_SIZE, cairn_blocks(end), chunks);
	if (err)
		return err;
	for (struct vfs_piece p; offset < end; offset += p.size, i++) {
		p = vfs_piece_of(offset, end);
		if (err)
			pages_put(pages, chunks[i]);
		else
			err = vfs_call_chunk(call, chunks[i], p.at, p.size);
	}
	return err;
}

int cairn_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size)
{
	struct cairn_node *n = cairn_node(node);
	uint64_t end = offset + size;
	uint32_t chunk;
	int err = 0;
	cairn_read_ahead(n, offset, end);
	for (struct vfs_piece p; !err && offset < end; offset += p.size) {
		p = vfs_piece_of(offset, end);
		struct block_key key = cairn_page_key(n, p.index);
		if (!block_find(cairn_of(n)->cache, &key, vfs_piece_touches(&p), &chunk))
			break;
		err = vfs_call_chunk(call, chunk, p.at, p.size);
	}
	if (!err && offset < end)
		err = read_absent(call, n, offset, end);
	if (!err)
		cairn_stamp_read(n);
	return err;
}

/* ---- write */

/* Blocks that are written in part need the rest of their bytes. */
static int load_edges(struct cairn_node *n, uint64_t offset, uint64_t end)
{
	uint64_t first = offset / CAIRN_BLOCK_SIZE, last = (end - 1) / CAIRN_BLOCK_SIZE;
	bool head = offset % CAIRN_BLOCK_SIZE, tail = end % CAIRN_BLOCK_SIZE;
	int err = head || (tail && first == last) ? cairn_fill(n, first, first + 1, NULL) : 0;
	if (!err && tail && last != first)
		err = cairn_fill(n, last, last + 1, NULL);
	return err;
}

/* The chunk that may take a whole page's place, or none. */
static uint32_t adoptable(const struct vfs_source *s, const struct vfs_piece *p)
{
	return p->size == PAGE_CHUNK_SIZE ? vfs_source_chunk(s) : PAGE_CHUNK_NONE;
}

/* After this nothing fails. */
static int own_pages(struct cairn_node *n, const struct vfs_write *w)
{
	struct vfs_source s = {w, 0, 0};
	uint64_t at = w->offset, end = w->offset + w->size;
	int err = 0;
	for (struct vfs_piece p; !err && at < end; at += p.size) {
		p = vfs_piece_of(at, end);
		if (!adoptable(&s, &p))
			err = cairn_own_page(n, cairn_chunk_at(n, p.index), vfs_piece_covers(&p));
		vfs_source_skip(&s, p.size);
	}
	return err;
}

static void copy_in(struct cairn_node *n, const struct vfs_write *w)
{
	struct block_cache *cache = cairn_of(n)->cache;
	struct vfs_source s = {w, 0, 0};
	uint64_t at = w->offset, end = w->offset + w->size;
	for (struct vfs_piece p; at < end; at += p.size) {
		p = vfs_piece_of(at, end);
		struct cairn_chunk *c = cairn_chunk_at(n, p.index);
		uint32_t chunk = adoptable(&s, &p);
		if (chunk) {
			block_adopt(cache, c->page, chunk);
			vfs_source_skip(&s, p.size);
		} else {
			vfs_source_take(&s, block_bytes(cache, c->page) + p.at, p.size);
		}
		cairn_mark_dirty(n, c, vfs_piece_touches(&p));
	}
}

/* Overwriting what was allocated ahead needs blocks for a moment only; overwriting anything uses no more of a quota. */
static bool is_there(struct cairn_node *n, uint64_t first, uint64_t n_blocks, bool written)
{
	struct cairn_extent e;
	for (uint64_t at = first, end = first + n_blocks; at < end; at += e.n)
		if (cairn_extent_at(n, at, &e) || e.kind == CAIRN_HOLE || (e.kind != CAIRN_UNWRITTEN && !written))
			return false;
	return true;
}

/* What is overwritten in memory still counts twice. */
static int reserve_again(struct cairn_node *n, uint64_t first, uint64_t n_blocks, uint64_t *charged)
{
	int err = n->n_dirty ? cairn_flush(n, NULL) : 0;
	return err ? err : cairn_reserve_dirty(n, first, n_blocks, is_there(n, first, n_blocks, true), charged);
}

static int reserve(struct cairn_node *n, uint64_t first, uint64_t n_blocks, uint64_t *charged)
{
	int err = cairn_reserve_dirty(n, first, n_blocks, false, charged);
	if (err == ERR_DQUOT)
		return reserve_again(n, first, n_blocks, charged);
	if (err == ERR_NOSPC && is_there(n, first, n_blocks, false))
		err = cairn_reserve_dirty(n, first, n_blocks, true, charged);
	else if (err == ERR_NOSPC && cairn_make_room(cairn_of(n), CAIRN_ROOM_NS))
		err = cairn_reserve_dirty(n, first, n_blocks, false, charged);
	return err;
}

static int gather(struct cairn_node *n, const struct vfs_write *w)
{
	uint64_t first = w->offset / CAIRN_BLOCK_SIZE, n_blocks = cairn_blocks(w->offset + w->size) - first;
	uint64_t charged, before = n->n_dirty;
	int err = reserve(n, first, n_blocks, &charged);
	if (err)
		return err;
	err = load_edges(n, w->offset, w->offset + w->size);
	if (!err)
		err = own_pages(n, w);
	if (err)
		cairn_prune(n, first, n_blocks);
	else
		copy_in(n, w);
	cairn_refund(cairn_of(n), charged - (n->n_dirty - before));
	cairn_quota_sync(n);
	return err;
}

int cairn_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w)
{
	struct cairn_node *n = cairn_node(node);
	bool stable = w->stability != WRITE_UNSTABLE;
	int err = cairn_before_growing(n, w->offset + w->size);
	if (!err)
		err = gather(n, w);
	/* The page arena may be full of what this file has not stored yet. */
	if (err == ERR_DELAY && n->n_dirty && !cairn_flush(n, NULL))
		err = gather(n, w);
	if (err)
		return err;
	n->inode.attr.size = MAX(n->inode.attr.size, w->offset + w->size);
	cairn_touch(&n->inode, true);
	if (stable) {
		w->stability = WRITE_FILE_SYNC;
		err = cairn_flush(n, NULL);
	} else {
		cairn_queue(n);
		cairn_place_ahead(n, w->offset / CAIRN_BLOCK_SIZE, cairn_blocks(w->offset + w->size));
		err = cairn_throttle(n);
	}
	if (!err)
		cairn_touch_base(n, stable);
	/* What could not be stored is still here, and is tried again. */
	if (err && stable)
		cairn_queue(n);
	return err;
}

int cairn_commit(struct vfs_node *node, uint64_t offset, uint64_t size)
{
	struct cairn_node *n = cairn_node(node);
	int err = cairn_flush_dirty(n);
	if (!err)
		err = cairn_flush_base(n);
	return err ? err : cairn_settle(&node, 1);
}
