/*
 * Extents: what is where in a file. Taking blocks out is one walk over the intervals concerned, which are deleted and
 * whose rests are put again. A walk covers all ranges of a transaction at once, for it sees the table as it is before it.
 */
#include <string.h>

#include "backends/cairn/cairn-walk.h"
#include "base/log.h"

LOG_MODULE("cairn");

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
	if (block == 0 && cairn_is_inline(n)) {
		e->n = 1;
		e->kind = CAIRN_IN_RECORD;
		return 0;
	}
	int err = meta_scan(cairn_of(n)->meta, META_EXTENTS, &key, META_FROM_OR_BEFORE, find_extent, &f);
	return err ? err : f.err;
}

/* ---- taking blocks out of a file */

struct unmapping {
	struct cairn_walk walk;
	struct meta_txn *txn;
	uint64_t ino;
	struct cairn_refs *refs;
};

static bool cut_extent(void *arg, const struct meta_record *r)
{
	struct unmapping *u = arg;
	struct cairn_walk *w = &u->walk;
	struct cairn_extent e;
	struct cairn_range part;
	uint64_t ino = meta_key_first(r->key);
	if (ino != u->ino)
		return ino < u->ino;
	w->err = cairn_extent_decode(r, &e);
	if (w->err)
		return false;
	uint64_t first = e.first, end = e.first + e.n;
	int met = cairn_walk_meets(w, first, end);
	if (met <= 0)
		return met == 0;
	cairn_delete_extent(u->txn, u->ino, e.first);
	for (uint32_t at = w->at; !w->err && cairn_has_blocks(e.kind) && cairn_next_cut(w->what, &at, &first, end, &part);) {
		struct cairn_ref ref = {{e.place + part.first - e.first, part.n}, u->ino, part.first, e.born, -1};
		w->err = cairn_refs_add(u->refs, &ref);
	}
	first = e.first;
	for (uint32_t at = w->at; cairn_next_rest(w->what, &at, &first, end, &part);) {
		struct cairn_extent rest = e;
		cut_front(&rest, part.first);
		rest.n = part.n;
		cairn_put_extent(u->txn, u->ino, &rest);
	}
	return !w->err;
}

int cairn_unmap(struct cairn_node *n, struct meta_txn *txn, const struct cairn_ranges *what, struct cairn_refs *refs)
{
	struct unmapping u = {.walk = {.what = what, .again = true}, .txn = txn, .ino = cairn_ino(n), .refs = refs};
	int err = 0;
	while (!err && cairn_walk_start(&u.walk)) {
		struct meta_key key = meta_key_pair(u.ino, what->list[u.walk.at].first);
		err = meta_scan(cairn_of(n)->meta, META_EXTENTS, &key, META_FROM_OR_BEFORE, cut_extent, &u);
	}
	return err ? err : u.walk.err;
}

/* ---- bytes */

int cairn_verify(const struct cairn_node *n, uint64_t block, uint64_t place, uint32_t sum, const uint8_t *bytes)
{
	if (likely(cairn_block_sum(bytes) == sum))
		return 0;
	log_error("inode %llu: block %llu is damaged, at block %llu of the store", (unsigned long long)cairn_ino(n),
	          (unsigned long long)block, (unsigned long long)place);
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
