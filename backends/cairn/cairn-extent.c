/*
 * Extents: what is where in a file, and who uses which blocks of the store. Both tables hold intervals; taking
 * blocks out of either is one walk over the intervals concerned, which are deleted and whose rests are put
 * again. A walk covers all ranges of a transaction at once, for it sees the tables as they are before it.
 */
#include <string.h>

#include "backends/cairn/cairn.h"
#include "base/cursor.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define SPACE_SIZE 24u

static uint64_t end_of(struct cairn_range r)
{
	return r.first + r.n;
}

/* ---- looking up */

struct finder {
	uint64_t ino;
	uint64_t block;
	struct cairn_extent *e;
	int err;
};

/* Cuts what is before block off. */
static void cut_front(struct cairn_extent *e, uint64_t block)
{
	uint64_t skip = block - e->first;
	e->first = block;
	if (cairn_has_blocks(e->kind))
		e->place += skip;
	e->n -= skip;
	if (e->kind == CAIRN_WRITTEN)
		memmove(e->sums, e->sums + skip, e->n * sizeof(e->sums[0]));
}

static bool find_extent(void *arg, const struct meta_record *r)
{
	struct finder *f = arg;
	uint64_t ino = meta_key_first(r->key), first = meta_key_second(r->key);
	if (ino != f->ino)
		return ino < f->ino;
	if (first > f->block) {
		f->e->n = first - f->block;
		return false;
	}
	struct cairn_extent *e = f->e;
	f->err = cairn_extent_decode(r, e);
	if (f->err)
		return false;
	if (e->first + e->n > f->block) {
		cut_front(e, f->block);
		return false;
	}
	*e = (struct cairn_extent){.first = f->block, .n = CAIRN_BLOCKS_MAX - f->block};
	return true;
}

int cairn_extent_at(struct cairn_node *n, uint64_t block, struct cairn_extent *e)
{
	struct meta_key key = meta_key_pair(cairn_ino(n), block);
	struct finder f = {cairn_ino(n), block, e, 0};
	e->first = block;
	e->n = CAIRN_BLOCKS_MAX - block;
	e->kind = CAIRN_HOLE;
	if (block == 0 && (n->inode.flags & CAIRN_INLINE)) {
		e->n = 1;
		e->kind = CAIRN_IN_RECORD;
		return 0;
	}
	int err = meta_scan(cairn_of(n)->meta, META_EXTENTS, &key, META_FROM_OR_BEFORE, find_extent, &f);
	return err ? err : f.err;
}

/* ---- intervals minus ranges */

/* The next part of [*first, end) that the ranges from *at on do not cover. */
static bool next_rest(const struct cairn_ranges *r, uint32_t *at, uint64_t *first, uint64_t end, struct cairn_range *rest)
{
	while (*first < end) {
		uint64_t from = *first;
		while (*at < r->n && end_of(r->list[*at]) <= from)
			++*at;
		uint64_t next = *at < r->n ? MIN(r->list[*at].first, end) : end;
		if (next > from) {
			*rest = (struct cairn_range){from, next - from};
			*first = next;
			return true;
		}
		*first = MIN(end_of(r->list[*at]), end);
	}
	return false;
}

/* The next part of [*first, end) that they do cover. */
static bool next_cut(const struct cairn_ranges *r, uint32_t *at, uint64_t *first, uint64_t end, struct cairn_range *cut)
{
	while (*at < r->n && end_of(r->list[*at]) <= *first)
		++*at;
	if (*at == r->n || r->list[*at].first >= end || *first >= end)
		return false;
	uint64_t from = MAX(r->list[*at].first, *first);
	*cut = (struct cairn_range){from, MIN(end_of(r->list[*at]), end) - from};
	*first = end_of(*cut);
	return true;
}

struct walk {
	const struct cairn_ranges *what;
	uint32_t at;       /* the first range that is not done */
	uint32_t n_seen;   /* intervals in this scan */
	bool again;        /* the next range is far: seek */
	struct meta_txn *txn;
	uint64_t ino;
	struct cairn_ranges *freed;
	int err;
};

/* Whether the interval concerns the walk: 1, not: 0, and the scan should end: -1. */
static int meets(struct walk *w, uint64_t first, uint64_t end)
{
	const struct cairn_ranges *r = w->what;
	while (w->at < r->n && end_of(r->list[w->at]) <= first)
		w->at++;
	if (w->at == r->n)
		return -1;
	if (r->list[w->at].first < end) {
		w->n_seen++;
		return 1;
	}
	if (w->n_seen++ == 0)
		return 0;
	w->again = true;
	return -1;
}

static bool cut_extent(void *arg, const struct meta_record *r)
{
	struct walk *w = arg;
	struct cairn_extent e;
	struct cairn_range part;
	uint64_t ino = meta_key_first(r->key);
	if (ino != w->ino)
		return ino < w->ino;
	w->err = cairn_extent_decode(r, &e);
	if (w->err)
		return false;
	uint64_t first = e.first, end = e.first + e.n;
	int met = meets(w, first, end);
	if (met <= 0)
		return met == 0;
	cairn_delete_extent(w->txn, w->ino, e.first);
	for (uint32_t at = w->at; !w->err && cairn_has_blocks(e.kind) && next_cut(w->what, &at, &first, end, &part);)
		w->err = cairn_ranges_add(w->freed, (struct cairn_range){e.place + part.first - e.first, part.n});
	first = e.first;
	for (uint32_t at = w->at; next_rest(w->what, &at, &first, end, &part);) {
		struct cairn_extent rest = e;
		cut_front(&rest, part.first);
		rest.n = part.n;
		cairn_put_extent(w->txn, w->ino, &rest);
	}
	return !w->err;
}

int cairn_unmap(struct cairn_node *n, struct meta_txn *txn, const struct cairn_ranges *what, struct cairn_ranges *freed)
{
	struct walk w = {.what = what, .txn = txn, .ino = cairn_ino(n), .freed = freed, .again = true};
	int err = 0;
	while (!err && w.again && w.at < what->n) {
		struct meta_key key = meta_key_pair(w.ino, what->list[w.at].first);
		w.again = false;
		w.n_seen = 0;
		err = meta_scan(cairn_of(n)->meta, META_EXTENTS, &key, META_FROM_OR_BEFORE, cut_extent, &w);
		err = err ? err : w.err;
	}
	return err;
}

/* ---- who uses the store's blocks */

static void put_space(struct meta_txn *txn, const struct cairn_range *range, uint32_t refs, uint64_t born)
{
	struct meta_key key = meta_key_number(range->first);
	uint8_t body[SPACE_SIZE];
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, range->n);
	cursor_put_le32(&c, refs);
	cursor_put_le32(&c, 0);
	cursor_put_le64(&c, born);
	meta_put(txn, META_SPACE, &key, body, sizeof(body));
}

void cairn_own(struct meta_txn *txn, const struct cairn_range *range)
{
	put_space(txn, range, 1, 0);
}

static bool cut_space(void *arg, const struct meta_record *r)
{
	struct walk *w = arg;
	struct cairn_range part;
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	uint64_t first = r->key->number, end = first + cursor_le64(&c);
	uint32_t refs = cursor_le32(&c);
	cursor_skip(&c, 4);
	uint64_t born = cursor_le64(&c);
	if (cursor_failed(&c) || refs != 1) {
		w->err = refs > 1 ? ERR_NOTSUPP : ERR_IO;
		return false;
	}
	int met = meets(w, first, end);
	if (met <= 0)
		return met == 0;
	meta_delete(w->txn, META_SPACE, r->key);
	for (uint32_t at = w->at; next_rest(w->what, &at, &first, end, &part);)
		put_space(w->txn, &part, refs, born ? born : r->batch);
	return true;
}

int cairn_disown(struct cairn *fs, struct meta_txn *txn, struct cairn_ranges *ranges)
{
	cairn_ranges_sort(ranges);
	struct walk w = {.what = ranges, .txn = txn, .again = true};
	int err = 0;
	for (uint32_t i = 0; !err && i < ranges->n; i++)
		err = cairn_hold(fs, &ranges->list[i]);
	while (!err && w.again && w.at < ranges->n) {
		struct meta_key key = meta_key_number(ranges->list[w.at].first);
		w.again = false;
		w.n_seen = 0;
		err = meta_scan(fs->meta, META_SPACE, &key, META_FROM_OR_BEFORE, cut_space, &w);
		err = err ? err : w.err;
	}
	return err;
}

/* ---- bytes */

int cairn_verify(const struct cairn_node *n, const struct cairn_extent *e, uint64_t at, const uint8_t *bytes)
{
	uint64_t i = at - e->first;
	if (likely(cairn_block_sum(bytes) == e->sums[i]))
		return 0;
	log_error("inode %llu: block %llu is damaged, at block %llu of the store", (unsigned long long)cairn_ino(n),
	          (unsigned long long)at, (unsigned long long)(e->place + i));
	return ERR_IO;
}

int cairn_load_inline(struct cairn_node *n, uint8_t *bytes)
{
	struct meta_key key = meta_key_number(cairn_ino(n));
	uint32_t size = CAIRN_INLINE_MAX;
	memset(bytes, 0, CAIRN_BLOCK_SIZE);
	int err = meta_get(cairn_of(n)->meta, META_INLINE, &key, bytes, &size);
	return err == ERR_NOENT || err == ERR_TOOSMALL ? ERR_IO : err;
}

int cairn_load_block(struct cairn_node *n, uint64_t block, uint8_t *bytes)
{
	struct cairn_extent e;
	struct iovec iov = {bytes, CAIRN_BLOCK_SIZE};
	int err = cairn_extent_at(n, block, &e);
	if (err)
		return err;
	if (e.kind == CAIRN_IN_RECORD)
		return cairn_load_inline(n, bytes);
	if (e.kind == CAIRN_LOST)
		return ERR_IO;
	if (e.kind != CAIRN_WRITTEN) {
		memset(bytes, 0, CAIRN_BLOCK_SIZE);
		return 0;
	}
	err = cairn_blocks_read(cairn_of(n), e.place, &iov, 1);
	return err ? err : cairn_verify(n, &e, block, bytes);
}
