/*
 * Who uses the store's blocks. The table of space says how many extents refer to each. A transaction collects the
 * references that it ends and begins; here they become changes of that table, in the moment of the commit, and blocks
 * that nobody refers to any more become free.
 *
 * Changes of an interval are decided by what is there, so from looking to submitting nobody else may change it. Blocks with one reference are changed only by the file that has it, which its own locks see to: commits that
 * meet no others go together. What meets shared blocks goes alone.
 *
 * A reference that a file had when a snapshot was made is not ended but handed on, to the table of dead references.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-snapshot.h"
#include "backends/cairn/cairn-walk.h"
#include "base/cursor.h"

#define SPACE_SIZE 24u

/* ---- the list */

int cairn_refs_add(struct cairn_refs *r, const struct cairn_ref *ref)
{
	if (r->n == r->max) {
		uint32_t max = r->max ? 2 * r->max : 8;
		struct cairn_ref *list = realloc(r->list, max * sizeof(*list));
		if (!list)
			return ERR_NOMEM;
		r->list = list;
		r->max = max;
	}
	r->list[r->n++] = *ref;
	return 0;
}

uint64_t cairn_refs_ended(const struct cairn_refs *r)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < r->n; i++)
		n += r->list[i].delta < 0 ? r->list[i].place.n : 0;
	return n;
}

void cairn_refs_fini(struct cairn_refs *r)
{
	free(TAKE(r->list));
	r->n = r->max = 0;
}

/* ---- what all references of the list together do to each block */

/* At that block the sum changes by so much. */
struct step {
	uint64_t at;
	int64_t delta;
};

static int by_place(const void *a, const void *b)
{
	const struct step *x = a, *y = b;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Ranges of blocks whose count changes, sorted and apart. */
struct deltas {
	struct cairn_ranges ranges;
	int64_t *list; /* one for each range */
};

static void deltas_fini(struct deltas *d)
{
	cairn_ranges_fini(&d->ranges);
	free(TAKE(d->list));
}

static int sum_up(struct deltas *d, const struct step *steps, uint32_t n)
{
	int64_t sum = 0;
	int err = 0;
	for (uint32_t i = 0; !err && i < n; i++) {
		sum += steps[i].delta;
		if (i + 1 == n || steps[i + 1].at == steps[i].at || sum == 0)
			continue;
		d->list[d->ranges.n] = sum;
		err = cairn_ranges_add(&d->ranges, (struct cairn_range){steps[i].at, steps[i + 1].at - steps[i].at});
	}
	return err;
}

/* What a snapshot has keeps its reference when the file drops it. */
static bool outlives(const struct cairn *fs, const struct cairn_refs *refs, const struct cairn_ref *ref)
{
	return ref->delta < 0 && ref->born <= fs->newest && !refs->outlived;
}

static int make_deltas(const struct cairn *fs, struct deltas *d, const struct cairn_refs *refs)
{
	struct step *steps = malloc(2 * (size_t)refs->n * sizeof(*steps) + 1);
	uint32_t n = 0;
	d->list = malloc(2 * (size_t)refs->n * sizeof(*d->list) + 1);
	int err = steps && d->list ? 0 : ERR_NOMEM;
	for (uint32_t i = 0; !err && i < refs->n; i++) {
		const struct cairn_ref *ref = &refs->list[i];
		if (outlives(fs, refs, ref))
			continue;
		steps[n++] = (struct step){ref->place.first, ref->delta};
		steps[n++] = (struct step){ref->place.first + ref->place.n, -ref->delta};
	}
	if (!err) {
		qsort(steps, n, sizeof(*steps), by_place);
		err = sum_up(d, steps, n);
	}
	free(steps);
	return err;
}

/* ---- the table */

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

int cairn_space_decode(const struct meta_record *r, struct cairn_space *space)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	space->range.first = r->key->number;
	space->range.n = cursor_le64(&c);
	space->refs = cursor_le32(&c);
	cursor_skip(&c, 4);
	space->born = cursor_le64(&c);
	if (space->born == 0)
		space->born = r->batch;
	return cursor_failed(&c) || space->refs == 0 ? ERR_IO : 0;
}

struct counting {
	struct cairn_walk walk;
	const struct deltas *deltas;
	struct meta_txn *txn;
	struct cairn_ranges *freed;
	bool alone;
};

/* A part of the interval whose count changes by the delta of range i. */
static int count_part(struct counting *k, const struct cairn_space *s, const struct cairn_range *part, uint32_t i)
{
	int64_t refs = (int64_t)s->refs + k->deltas->list[i];
	if (refs < 0 || refs > INT32_MAX)
		return ERR_IO;
	if (refs == 0)
		return cairn_ranges_add(k->freed, *part);
	put_space(k->txn, part, (uint32_t)refs, s->born);
	return 0;
}

static bool count_one(void *arg, const struct meta_record *r)
{
	struct counting *k = arg;
	struct cairn_walk *w = &k->walk;
	struct cairn_space s;
	struct cairn_range part;
	w->err = cairn_space_decode(r, &s);
	if (w->err)
		return false;
	uint64_t first = s.range.first, end = first + s.range.n;
	int met = cairn_walk_meets(w, first, end);
	if (met <= 0)
		return met == 0;
	if (s.refs != 1 && !k->alone) {
		w->err = ERR_AGAIN;
		return false;
	}
	meta_delete(k->txn, META_SPACE, r->key);
	for (uint32_t at = w->at; cairn_next_rest(w->what, &at, &first, end, &part);)
		put_space(k->txn, &part, s.refs, s.born);
	first = s.range.first;
	for (uint32_t at = w->at; !w->err && cairn_next_cut(w->what, &at, &first, end, &part);)
		w->err = count_part(k, &s, &part, at);
	return !w->err;
}

static int count_all(struct cairn *fs, struct counting *k)
{
	int err = 0;
	while (!err && cairn_walk_start(&k->walk)) {
		struct meta_key key = meta_key_number(k->walk.what->list[k->walk.at].first);
		err = meta_scan(fs->meta, META_SPACE, &key, META_FROM_OR_BEFORE, count_one, k);
	}
	return err ? err : k->walk.err;
}

/* ---- the commit */

static int change_counts(struct cairn *fs, struct meta_txn *txn, const struct cairn_refs *refs, struct cairn_ranges *freed)
{
	struct deltas d = {.list = NULL};
	struct counting k = {
		.walk = {.what = &d.ranges, .again = true}, .deltas = &d, .txn = txn, .freed = freed, .alone = refs->alone};
	freed->n = 0;
	int err = make_deltas(fs, &d, refs);
	if (!err)
		err = count_all(fs, &k);
	for (uint32_t i = 0; !err && i < freed->n; i++)
		err = cairn_hold(fs, &freed->list[i]);
	for (uint32_t i = 0; !err && i < refs->n; i++)
		if (outlives(fs, refs, &refs->list[i]))
			cairn_put_dead(txn, fs->newest, &refs->list[i]);
	deltas_fini(&d);
	return err;
}

static int submit_locked(struct cairn *fs, struct meta_txn *txn, const struct cairn_refs *refs, struct cairn_ranges *freed,
                         uint64_t *batch)
{
	struct meta_txn counts;
	meta_begin(&counts);
	int err = change_counts(fs, &counts, refs, freed);
	if (err) {
		meta_abandon(&counts);
		return err;
	}
	meta_add(&counts, META_N_BLOCKS, -(int64_t)cairn_ranges_total(freed));
	meta_append(txn, &counts);
	return meta_submit(fs->meta, txn, batch);
}

static void lock_refs(struct cairn *fs, bool alone)
{
	if (alone)
		fiber_rwlock_wrlock(&fs->refs_lock);
	else
		fiber_rwlock_rdlock(&fs->refs_lock);
}

static void unlock_refs(struct cairn *fs, bool alone)
{
	if (alone)
		fiber_rwlock_wrunlock(&fs->refs_lock);
	else
		fiber_rwlock_rdunlock(&fs->refs_lock);
}

int cairn_refs_commit(struct cairn *fs, struct meta_txn *txn, struct cairn_refs *refs, struct cairn_ranges *freed)
{
	uint64_t batch;
	int err = ERR_AGAIN;
	if (refs->n == 0)
		return meta_commit(fs->meta, txn);
	while (err == ERR_AGAIN) {
		bool alone = refs->alone;
		lock_refs(fs, alone);
		err = submit_locked(fs, txn, refs, freed, &batch);
		unlock_refs(fs, alone);
		if (err == ERR_AGAIN && alone)
			err = ERR_IO;
		refs->alone = refs->alone || err == ERR_AGAIN;
	}
	if (err)
		meta_abandon(txn);
	return err ? err : meta_wait(fs->meta, batch);
}
