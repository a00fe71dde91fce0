/*
 * Reading and writing. A read is assembled in chunks of the page arena: extents are read into them and
 * verified block by block, then dirty blocks are laid over. A write gathers in memory; what asks for
 * stability is flushed before it is answered.
 */
#include <string.h>

#include "backends/cairn/cairn.h"

#define READ_CHUNKS (OP_IO_MAX / PAGE_CHUNK_SIZE + 1)
#define BLOCKS_PER_CHUNK (PAGE_CHUNK_SIZE / CAIRN_BLOCK_SIZE)

/* ---- read: memory for [first, end) blocks, laid out as in the file's chunks of 64 KiB */

struct reading {
	struct cairn_node *n;
	uint64_t first_chunk;
	uint32_t n_chunks;
	uint32_t chunks[READ_CHUNKS];
	uint64_t offset, end; /* bytes asked for */
};

static uint8_t *block_at(const struct reading *r, uint64_t block)
{
	uint64_t i = block / BLOCKS_PER_CHUNK - r->first_chunk;
	return pages_base(r->n->cached.node.mount->pages) + pages_offset(r->chunks[i]) +
	       block % BLOCKS_PER_CHUNK * CAIRN_BLOCK_SIZE;
}

static int take_chunks(struct reading *r)
{
	uint64_t last = (r->end - 1) / PAGE_CHUNK_SIZE;
	r->first_chunk = r->offset / PAGE_CHUNK_SIZE;
	for (uint64_t i = r->first_chunk; i <= last; i++) {
		int err = pages_alloc(r->n->cached.node.mount->pages, 0, PAGE_CHUNK_SIZE, &r->chunks[r->n_chunks]);
		if (err)
			return err == ERR_NOSPC ? ERR_DELAY : err;
		r->n_chunks++;
	}
	return 0;
}

static int read_written(struct reading *r, const struct cairn_extent *e, uint64_t n)
{
	struct iovec iov[READ_CHUNKS];
	int n_iov = 0, err;
	for (uint64_t i = 0; i < n; i++) {
		if (i && (e->first + i) % BLOCKS_PER_CHUNK)
			iov[n_iov - 1].iov_len += CAIRN_BLOCK_SIZE;
		else
			iov[n_iov++] = (struct iovec){block_at(r, e->first + i), CAIRN_BLOCK_SIZE};
	}
	err = cairn_blocks_read(cairn_of(r->n), e->place, iov, n_iov);
	for (uint64_t i = 0; !err && i < n; i++)
		err = cairn_verify(r->n, e, e->first + i, block_at(r, e->first + i));
	return err;
}

/* Fills from block on, up to end or the end of what is found there. */
static int read_extent(struct reading *r, uint64_t block, uint64_t end, uint64_t *next)
{
	struct cairn_extent e;
	int err = cairn_extent_at(r->n, block, &e);
	if (err)
		return err;
	uint64_t n = MIN(e.n, end - block);
	*next = block + n;
	if (e.kind == CAIRN_WRITTEN)
		return read_written(r, &e, n);
	if (e.kind == CAIRN_IN_RECORD)
		return cairn_load_inline(r->n, block_at(r, block));
	if (e.kind == CAIRN_LOST)
		return ERR_IO;
	for (uint64_t i = 0; i < n; i++)
		memset(block_at(r, block + i), 0, CAIRN_BLOCK_SIZE);
	return 0;
}

static int fill(struct reading *r)
{
	uint64_t at = r->offset / CAIRN_BLOCK_SIZE, end = cairn_blocks(r->end);
	int err = 0;
	while (!err && at < end) {
		const uint8_t *dirty = cairn_dirty_block(r->n, at);
		if (dirty) {
			memcpy(block_at(r, at), dirty, CAIRN_BLOCK_SIZE);
			at++;
			continue;
		}
		uint64_t stop = at;
		if (!cairn_next_dirty(r->n, &stop) || stop > end)
			stop = end;
		err = read_extent(r, at, stop, &at);
	}
	return err;
}

static int answer(struct vfs_call *call, struct reading *r)
{
	uint64_t at = r->offset;
	int err = 0;
	for (uint32_t i = 0; i < r->n_chunks; i++) {
		uint64_t end = MIN((r->first_chunk + i + 1) * PAGE_CHUNK_SIZE, r->end);
		if (err)
			pages_put(r->n->cached.node.mount->pages, r->chunks[i]);
		else
			err = vfs_call_chunk(call, r->chunks[i], (uint32_t)(at % PAGE_CHUNK_SIZE), (uint32_t)(end - at));
		at = end;
	}
	return err;
}

int cairn_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size)
{
	struct cairn_node *n = cairn_node(node);
	struct reading r = {.n = n, .offset = offset, .end = offset + size};
	fiber_rwlock_rdlock(&n->data_lock);
	int err = take_chunks(&r);
	if (!err)
		err = fill(&r);
	fiber_rwlock_rdunlock(&n->data_lock);
	if (err) {
		for (uint32_t i = 0; i < r.n_chunks; i++)
			pages_put(node->mount->pages, r.chunks[i]);
		return err;
	}
	cairn_stamp_read(n);
	return answer(call, &r);
}

/* ---- write */

/* Where the payload stands. */
struct source {
	const struct vfs_write *w;
	int i;       /* the current entry */
	size_t done; /* bytes of it that were taken */
};

static void take_bytes(struct source *s, uint8_t *to, size_t size)
{
	while (size) {
		const struct iovec *v = &s->w->iov[s->i];
		size_t n = MIN(v->iov_len - s->done, size);
		memcpy(to, (const uint8_t *)v->iov_base + s->done, n);
		to += n;
		size -= n;
		s->done += n;
		if (s->done == v->iov_len) {
			s->i++;
			s->done = 0;
		}
	}
}

/* Blocks that are written in part need the rest of their bytes. */
static int load_edges(struct cairn_node *n, uint64_t offset, uint64_t end)
{
	uint8_t *bytes;
	uint64_t first = offset / CAIRN_BLOCK_SIZE, last = (end - 1) / CAIRN_BLOCK_SIZE;
	bool head = offset % CAIRN_BLOCK_SIZE, tail = end % CAIRN_BLOCK_SIZE;
	int err = head || (tail && first == last) ? cairn_load_dirty(n, first, &bytes) : 0;
	if (!err && tail && last != first)
		err = cairn_load_dirty(n, last, &bytes);
	return err;
}

static void copy_in(struct cairn_node *n, const struct vfs_write *w)
{
	struct source s = {w, 0, 0};
	uint64_t at = w->offset, end = w->offset + w->size;
	while (at < end) {
		uint32_t in_block = (uint32_t)(at % CAIRN_BLOCK_SIZE);
		uint64_t size = MIN((uint64_t)(CAIRN_BLOCK_SIZE - in_block), end - at);
		take_bytes(&s, cairn_mark_dirty(n, at / CAIRN_BLOCK_SIZE) + in_block, size);
		at += size;
	}
}

/* Overwriting what was allocated ahead needs blocks for a moment only. */
static bool is_allocated(struct cairn_node *n, uint64_t first, uint64_t n_blocks)
{
	struct cairn_extent e;
	for (uint64_t at = first, end = first + n_blocks; at < end; at += e.n)
		if (cairn_extent_at(n, at, &e) || e.kind != CAIRN_UNWRITTEN)
			return false;
	return true;
}

static int gather(struct cairn_node *n, const struct vfs_write *w)
{
	uint64_t first = w->offset / CAIRN_BLOCK_SIZE, n_blocks = cairn_blocks(w->offset + w->size) - first;
	uint64_t charged, before = n->n_dirty;
	int err = cairn_reserve_dirty(n, first, n_blocks, false, &charged);
	if (err == ERR_NOSPC && is_allocated(n, first, n_blocks))
		err = cairn_reserve_dirty(n, first, n_blocks, true, &charged);
	else if (err == ERR_NOSPC && cairn_make_room(cairn_of(n), CAIRN_ROOM_NS))
		err = cairn_reserve_dirty(n, first, n_blocks, false, &charged);
	if (err)
		return err;
	err = load_edges(n, w->offset, w->offset + w->size);
	if (!err)
		copy_in(n, w);
	cairn_refund(cairn_of(n), charged - (n->n_dirty - before));
	return err;
}

int cairn_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w)
{
	struct cairn_node *n = cairn_node(node);
	bool stable = w->stability != WRITE_UNSTABLE;
	int err = gather(n, w);
	if (err)
		return err;
	n->inode.attr.size = MAX(n->inode.attr.size, w->offset + w->size);
	cairn_touch(&n->inode, true);
	if (stable) {
		w->stability = WRITE_FILE_SYNC;
		err = cairn_flush(n, NULL);
	} else {
		cairn_queue(n);
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
	int err = n->n_dirty || n->changed ? cairn_flush(n, NULL) : 0;
	return err ? err : cairn_flush_base(n);
}
