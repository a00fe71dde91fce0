/*
 * File data. One invariant carries everything: bytes of a granule that is not present are zero, in the
 * chunk too. So a read refers to whole chunks without looking at granules, a hole in a chunk costs
 * nothing, and what is left of a chunk's old content is known to the granule when it is reused.
 */
#include <string.h>

#include "backends/memfs/memfs.h"
#include "vfs/source.h"

#define PUNCH_INLINE_MAX (64u << 20) /* bytes that are punched without leaving the loop's thread */
#define ALL_GRANULES ((1u << MEMFS_GRANULES) - 1)

static uint8_t *bytes_of(const struct memfs_node *n, const struct memfs_ref *ref)
{
	return pages_base(n->node.mount->pages) + pages_offset(ref->chunk);
}

static void count_space(struct memfs_node *n, int64_t granules)
{
	n->attr.space += (uint64_t)(granules * (int64_t)MEMFS_GRANULE);
}

/* ---- taking and giving granules */

/* Of the store's capacity, and of what n's owner may have. */
static int charge(struct memfs_node *n, int granules)
{
	struct memfs *fs = memfs_of(n);
	int err = memfs_charge(fs, (uint64_t)granules);
	if (err)
		return err;
	err = quota_charge(&fs->quotas, &n->owner, granules * (int64_t)MEMFS_GRANULE, 0);
	if (err)
		memfs_refund(fs, (uint64_t)granules);
	return err;
}

static int add_granules(struct memfs_node *n, struct memfs_ref *ref, uint32_t mask)
{
	uint32_t fresh = mask & ~(uint32_t)ref->present;
	int n_fresh = __builtin_popcount(fresh);
	int err = n_fresh ? charge(n, n_fresh) : 0;
	if (err)
		return err;
	ref->present |= (uint16_t)fresh;
	count_space(n, n_fresh);
	return 0;
}

static void drop_granules(struct memfs_node *n, struct memfs_ref *ref, uint32_t mask)
{
	int n_gone = __builtin_popcount(ref->present & mask);
	ref->present &= (uint16_t)~mask;
	if (n_gone == 0)
		return;
	memfs_refund(memfs_of(n), (uint64_t)n_gone);
	quota_adjust(&memfs_of(n)->quotas, &n->owner, -n_gone * (int64_t)MEMFS_GRANULE, 0);
	count_space(n, -n_gone);
}

static void drop_chunk(struct memfs_node *n, struct memfs_ref *ref)
{
	pages_put_touched(n->node.mount->pages, ref->chunk, ref->present);
	drop_granules(n, ref, ALL_GRANULES);
	ref->chunk = PAGE_CHUNK_NONE;
}

static void copy_granules(uint8_t *to, const uint8_t *from, uint32_t mask)
{
	for (; mask; mask &= mask - 1) {
		uint32_t at = (uint32_t)__builtin_ctz(mask) * MEMFS_GRANULE;
		memcpy(to + at, from + at, MEMFS_GRANULE);
	}
}

/* An answered read or a clone may still refer to the chunk: it keeps the old bytes, the file goes on with a copy. */
static int unshare(struct memfs_node *n, struct memfs_ref *ref)
{
	struct pages *pages = n->node.mount->pages;
	uint32_t chunk;
	if (likely(pages_refs(pages, ref->chunk) == 1))
		return 0;
	int err = pages_alloc(pages, 0, 0, &chunk);
	if (err)
		return err;
	copy_granules(pages_base(pages) + pages_offset(chunk), bytes_of(n, ref), ref->present);
	pages_put_touched(pages, ref->chunk, ref->present);
	ref->chunk = chunk;
	return 0;
}

/* A piece becomes zero and, where it covers granules, a hole. */
static void punch_piece(struct memfs_node *n, struct memfs_ref *ref, const struct vfs_piece *p)
{
	if (p->size == PAGE_CHUNK_SIZE) {
		drop_chunk(n, ref);
		return;
	}
	if (ref->present & vfs_piece_touches(p))
		memset(bytes_of(n, ref) + p->at, 0, p->size);
	drop_granules(n, ref, vfs_piece_covers(p));
	if (ref->present == 0)
		drop_chunk(n, ref);
}

/* Chunks at the edges, which are punched in place, must be the file's own. */
static int unshare_at(struct memfs_node *n, uint64_t offset)
{
	struct memfs_ref *ref = offset % PAGE_CHUNK_SIZE ? memfs_map_get(&n->map, offset / PAGE_CHUNK_SIZE) : NULL;
	return ref ? unshare(n, ref) : 0;
}

static int unshare_edges(struct memfs_node *n, uint64_t from, uint64_t to)
{
	int err = unshare_at(n, from);
	return err ? err : unshare_at(n, to);
}

static void punch(struct memfs_node *n, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t index = from / PAGE_CHUNK_SIZE;
		struct memfs_ref *ref = memfs_map_next(&n->map, &index);
		from = MAX(from, index * PAGE_CHUNK_SIZE);
		if (!ref || from >= to)
			return;
		struct vfs_piece p = vfs_piece_of(from, to);
		punch_piece(n, ref, &p);
		from += p.size;
	}
}

struct punch_job {
	struct memfs_node *n;
	uint64_t from;
	uint64_t to;
};

static int run_punch(void *arg)
{
	const struct punch_job *j = arg;
	punch(j->n, j->from, j->to);
	return 0;
}

/* Giving gigabytes back to the kernel takes long: the loop goes on meanwhile. Parks then. */
static void punch_much(struct memfs_node *n, uint64_t from, uint64_t to)
{
	struct punch_job job = {n, from, to};
	if (fiber_self() && n->attr.space > PUNCH_INLINE_MAX && to - from > PUNCH_INLINE_MAX)
		loop_block(run_punch, &job);
	else
		punch(n, from, to);
}

void memfs_drop_data(struct memfs_node *n)
{
	punch_much(n, 0, UINT64_MAX & ~(uint64_t)(PAGE_CHUNK_SIZE - 1));
	memfs_map_trim(&n->map, 0);
}

int memfs_resize(struct memfs_node *n, uint64_t size)
{
	uint64_t old = n->attr.size;
	int err = size < old ? unshare_at(n, size) : 0;
	if (err)
		return err;
	if (size < old) {
		uint64_t end = ALIGN_UP(old, (uint64_t)PAGE_CHUNK_SIZE);
		punch_much(n, size, end);
		memfs_map_trim(&n->map, ALIGN_UP(size, (uint64_t)PAGE_CHUNK_SIZE) / PAGE_CHUNK_SIZE);
	}
	n->attr.size = size;
	return 0;
}

/* ---- read */

int memfs_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size)
{
	struct memfs_node *n = memfs_node_of(node);
	uint64_t end = offset + size;
	int err = 0;
	while (!err && offset < end) {
		struct vfs_piece p = vfs_piece_of(offset, end);
		const struct memfs_ref *ref = memfs_map_get(&n->map, p.index);
		if (ref) {
			pages_get(node->mount->pages, ref->chunk);
			err = vfs_call_chunk(call, ref->chunk, p.at, p.size);
		} else {
			err = vfs_call_bytes(call, NULL, p.size);
		}
		offset += p.size;
	}
	memfs_stamp_read(n);
	return err;
}

/* ---- write */

/* The chunk that may take a whole piece's place, or none. */
static uint32_t adoptable(const struct vfs_source *s, const struct vfs_piece *p)
{
	return p->size == PAGE_CHUNK_SIZE ? vfs_source_chunk(s) : PAGE_CHUNK_NONE;
}

static int adopt(struct memfs_node *n, struct memfs_ref *ref, struct vfs_source *s, uint32_t chunk)
{
	uint16_t before = ref->present;
	int err = add_granules(n, ref, ALL_GRANULES);
	if (err)
		return err;
	pages_get(n->node.mount->pages, chunk);
	if (ref->chunk)
		pages_put_touched(n->node.mount->pages, ref->chunk, before);
	ref->chunk = chunk;
	vfs_source_skip(s, PAGE_CHUNK_SIZE);
	return 0;
}

/* A new chunk, zero but for what the piece will overwrite. */
static int take_chunk(struct memfs_node *n, struct memfs_ref *ref, const struct vfs_piece *p)
{
	struct pages *pages = n->node.mount->pages;
	return p->size == PAGE_CHUNK_SIZE ? pages_alloc_whole(pages, &ref->chunk)
	                                  : pages_alloc(pages, p->at, p->at + p->size, &ref->chunk);
}

static int write_piece(struct memfs_node *n, struct vfs_source *s, const struct vfs_piece *p)
{
	struct memfs_ref *ref = memfs_map_make(&n->map, p->index);
	if (!ref)
		return ERR_NOSPC;
	uint32_t chunk = adoptable(s, p);
	if (chunk)
		return adopt(n, ref, s, chunk);
	bool fresh = ref->chunk == PAGE_CHUNK_NONE;
	int err = fresh ? take_chunk(n, ref, p) : unshare(n, ref);
	if (err)
		return err;
	err = add_granules(n, ref, vfs_piece_touches(p));
	if (err && fresh) {
		/* Not yet overwritten, so not known to be zero. */
		pages_put(n->node.mount->pages, ref->chunk);
		ref->chunk = PAGE_CHUNK_NONE;
	}
	if (!err)
		vfs_source_take(s, bytes_of(n, ref) + p->at, p->size);
	return err;
}

int memfs_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w)
{
	struct memfs_node *n = memfs_node_of(node);
	struct vfs_source s = {w, 0, 0};
	uint64_t at = w->offset, end = w->offset + w->size;
	int err = 0;
	while (!err && at < end) {
		struct vfs_piece p = vfs_piece_of(at, end);
		err = write_piece(n, &s, &p);
		at += p.size;
	}
	if (err) {
		/* What came after the old end must not show when the file grows again. */
		if (end > n->attr.size)
			punch(n, n->attr.size, ALIGN_UP(end, (uint64_t)PAGE_CHUNK_SIZE));
		return err;
	}
	if (end > n->attr.size)
		n->attr.size = end;
	w->stability = WRITE_FILE_SYNC;
	memfs_touch(n, true);
	return 0;
}

/* ---- clone */

/* The whole chunk, counted for each file that has it. Bytes after the end of either file are zero. */
static int share_chunk(struct memfs_node *to, uint64_t index, const struct memfs_ref *from)
{
	struct memfs_ref mine = *from;
	struct memfs_ref *ref = memfs_map_make(&to->map, index);
	if (!ref)
		return ERR_NOSPC;
	int err = charge(to, __builtin_popcount(mine.present));
	if (err)
		return err;
	pages_get(to->node.mount->pages, mine.chunk);
	if (ref->chunk)
		drop_chunk(to, ref);
	*ref = mine;
	count_space(to, __builtin_popcount(mine.present));
	return 0;
}

/* Part of a chunk to another place in a chunk. The reference keeps the bytes if both are the same chunk. */
static int copy_part(struct memfs_node *to, const struct vfs_piece *p, const struct memfs_ref *from, uint32_t at)
{
	static const uint32_t none = PAGE_CHUNK_NONE;
	struct pages *pages = to->node.mount->pages;
	uint32_t chunk = from->chunk;
	struct iovec iov = {pages_base(pages) + pages_offset(chunk) + at, p->size};
	struct vfs_write w = {.size = p->size, .iov = &iov, .chunks = &none, .n_iov = 1};
	struct vfs_source s = {&w, 0, 0};
	pages_get(pages, chunk);
	int err = write_piece(to, &s, p);
	pages_put(pages, chunk);
	return err;
}

static int clone_piece(struct memfs_node *from, uint64_t offset, struct memfs_node *to, const struct vfs_piece *p, bool last)
{
	const struct memfs_ref *source = memfs_map_get(&from->map, offset / PAGE_CHUNK_SIZE);
	uint64_t at = p->index * PAGE_CHUNK_SIZE + p->at;
	if (!source) {
		int err = unshare_edges(to, at, at + p->size);
		if (!err)
			punch(to, at, at + p->size);
		return err;
	}
	if (p->at == 0 && offset % PAGE_CHUNK_SIZE == 0 && (p->size == PAGE_CHUNK_SIZE || last))
		return share_chunk(to, p->index, source);
	return copy_part(to, p, source, (uint32_t)(offset % PAGE_CHUNK_SIZE));
}

int memfs_clone(struct vfs_node *from_node, uint64_t offset, struct vfs_node *node, uint64_t to_offset, uint64_t size)
{
	struct memfs_node *from = memfs_node_of(from_node), *n = memfs_node_of(node);
	uint64_t end = to_offset + size;
	/* With the end of both files, what follows is zeros in both. */
	bool ends = offset + size == from->attr.size && end >= n->attr.size;
	int err = 0;
	while (!err && to_offset < end) {
		struct vfs_piece p = vfs_piece_of(to_offset, end), q = vfs_piece_of(offset, offset + (end - to_offset));
		p.size = MIN(p.size, q.size);
		err = clone_piece(from, offset, n, &p, ends && p.size == end - to_offset);
		offset += p.size;
		to_offset += p.size;
	}
	if (err) {
		if (end > n->attr.size)
			punch(n, n->attr.size, ALIGN_UP(end, (uint64_t)PAGE_CHUNK_SIZE));
		return err;
	}
	n->attr.size = MAX(n->attr.size, end);
	memfs_touch(n, true);
	return 0;
}

/* ---- allocation */

static int allocate_piece(struct memfs_node *n, const struct vfs_piece *p)
{
	struct memfs_ref *ref = memfs_map_make(&n->map, p->index);
	if (!ref)
		return ERR_NOSPC;
	bool fresh = ref->chunk == PAGE_CHUNK_NONE;
	struct vfs_piece nothing = {p->index, 0, 0};
	int err = fresh ? take_chunk(n, ref, &nothing) : 0;
	if (!err)
		err = add_granules(n, ref, vfs_piece_touches(p));
	if (err && fresh && ref->chunk)
		drop_chunk(n, ref);
	return err;
}

int memfs_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size)
{
	struct memfs_node *n = memfs_node_of(node);
	uint64_t end = offset + size, free_granules = memfs_of(n)->n_granules_max - MIN(memfs_of(n)->n_granules_max, memfs_of(n)->n_granules);
	int err = 0;
	/* What can't succeed is not begun: it would leave its first part behind. */
	if (size / MEMFS_GRANULE > free_granules + n->attr.space / MEMFS_GRANULE)
		return ERR_NOSPC;
	for (uint64_t at = offset; !err && at < end;) {
		struct vfs_piece p = vfs_piece_of(at, end);
		err = allocate_piece(n, &p);
		at += p.size;
	}
	if (err) {
		if (end > n->attr.size)
			punch(n, MAX(offset, n->attr.size), end);
		return err;
	}
	if (!keep_size && end > n->attr.size)
		n->attr.size = end;
	memfs_touch(n, true);
	return 0;
}

int memfs_deallocate(struct vfs_node *node, uint64_t offset, uint64_t size)
{
	struct memfs_node *n = memfs_node_of(node);
	int err = unshare_edges(n, offset, offset + size);
	if (err)
		return err;
	punch_much(n, offset, offset + size);
	memfs_touch(n, true);
	return 0;
}

int memfs_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size)
{
	struct memfs_node *n = memfs_node_of(node);
	int err = unshare_edges(n, offset, offset + size);
	if (err)
		return err;
	punch_much(n, offset, offset + size);
	return memfs_allocate(node, offset, size, keep_size);
}

/* ---- seek */

static int seek_data(struct memfs_node *n, uint64_t offset, uint64_t *found)
{
	uint64_t index = offset / PAGE_CHUNK_SIZE, wanted = index;
	uint32_t first = (uint32_t)(offset % PAGE_CHUNK_SIZE) / MEMFS_GRANULE;
	for (struct memfs_ref *ref; (ref = memfs_map_next(&n->map, &index)); index++, first = 0) {
		uint32_t mask = ref->present & (index == wanted ? ALL_GRANULES << first : ALL_GRANULES);
		if (!mask)
			continue;
		uint64_t at = index * PAGE_CHUNK_SIZE + (uint64_t)__builtin_ctz(mask) * MEMFS_GRANULE;
		*found = MAX(at, offset);
		return *found < n->attr.size ? 0 : ERR_NXIO;
	}
	return ERR_NXIO;
}

static int seek_hole(struct memfs_node *n, uint64_t offset, uint64_t *found)
{
	uint64_t at = offset;
	while (at < n->attr.size) {
		uint64_t index = at / PAGE_CHUNK_SIZE;
		const struct memfs_ref *ref = memfs_map_get(&n->map, index);
		uint32_t first = (uint32_t)(at % PAGE_CHUNK_SIZE) / MEMFS_GRANULE;
		uint32_t holes = ref ? ~(uint32_t)ref->present & ALL_GRANULES & (ALL_GRANULES << first) : 1u << first;
		uint64_t base = index * PAGE_CHUNK_SIZE;
		if (holes) {
			at = MAX(at, base + (uint64_t)__builtin_ctz(holes) * MEMFS_GRANULE);
			break;
		}
		at = base + PAGE_CHUNK_SIZE;
	}
	*found = MIN(at, n->attr.size);
	return 0;
}

int memfs_seek(struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found)
{
	struct memfs_node *n = memfs_node_of(node);
	return what == SEEK_TO_DATA ? seek_data(n, offset, found) : seek_hole(n, offset, found);
}
