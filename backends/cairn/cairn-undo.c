/*
 * Taking back: every record that a snapshot does not have, or has another version of, is changed back, by ordinary
 * transactions; so later snapshots keep what they have. First what is in the tables is compared with the view, then
 * what only the view has is put again. A counter says that this is under way: it is idempotent.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-snapshot.h"
#include "base/cleanup.h"

#define LOOKS_AT_ONCE 512u
#define BYTES_AT_ONCE (1u << 20)

struct undo {
	struct cairn *fs;
	struct meta *view;
	uint64_t at;          /* the snapshot's batch */
	enum meta_table table;
	struct meta_key next; /* where the next step begins */
	struct meta_txn txn;
	struct cairn_refs refs;
	uint8_t *body;        /* META_BODY_MAX */
	uint32_t n;
	bool more;
	int err;
	cairn_undo_fn *progress; /* NULL: nobody asks */
	void *arg;
	uint64_t n_done, n_all;  /* records */
};

/* Which counters count the records of a table. */
static void count(struct undo *u, int64_t delta)
{
	if (u->table == META_INODES)
		meta_add(&u->txn, META_N_INODES, delta);
	else if (u->table == META_ORPHANS)
		meta_add(&u->txn, META_N_ORPHANS, delta);
}

static int refer(struct undo *u, const struct cairn_extent *e, uint64_t ino, int delta)
{
	struct cairn_ref ref = {{e->place, e->n}, ino, e->first, e->born, delta};
	return cairn_has_blocks(e->kind) ? cairn_refs_add(&u->refs, &ref) : 0;
}

/* ---- one record */

/* Whom an inode counts for. */
static int charge(struct undo *u, const struct meta_record *r, int sign)
{
	struct cairn_inode inode;
	int err = cairn_inode_decode(r->body, r->size, &inode);
	if (!err)
		cairn_quota_put_inode(&u->txn, &inode, sign);
	return err;
}

static int drop(struct undo *u, const struct meta_record *r)
{
	struct cairn_extent e;
	int err = u->table == META_EXTENTS ? cairn_extent_decode(r, &e) : 0;
	if (!err && u->table == META_EXTENTS)
		err = refer(u, &e, meta_key_first(r->key), -1);
	if (!err && u->table == META_INODES)
		err = charge(u, r, -1);
	meta_delete(&u->txn, u->table, r->key);
	return err;
}

/* Of an extent, the file has the blocks from now on. */
static int put(struct undo *u, const struct meta_record *r)
{
	struct cairn_extent e;
	if (u->table != META_EXTENTS) {
		meta_put(&u->txn, u->table, r->key, r->body, r->size);
		return u->table == META_INODES ? charge(u, r, 1) : 0;
	}
	int err = cairn_extent_decode(r, &e);
	if (err)
		return err;
	e.born = 0;
	cairn_put_extent(&u->txn, meta_key_first(r->key), &e);
	return refer(u, &e, meta_key_first(r->key), 1);
}

static int put_old(struct undo *u, const struct meta_key *key)
{
	uint32_t size = META_BODY_MAX;
	int err = meta_get(u->view, u->table, key, u->body, &size);
	struct meta_record old = {.key = key, .body = u->body, .size = size};
	if (err == ERR_NOENT)
		count(u, -1);
	return err == ERR_NOENT ? 0 : err ? err : put(u, &old);
}

/* ---- what is there */

static bool has_enough(struct undo *u, const struct meta_record *r)
{
	u->more = u->n++ == LOOKS_AT_ONCE || u->txn.changes.size > BYTES_AT_ONCE;
	if (u->more)
		u->next = *r->key;
	return u->more;
}

static bool look_at_live(void *arg, const struct meta_record *r)
{
	struct undo *u = arg;
	if (has_enough(u, r))
		return false;
	if (r->batch <= u->at)
		return true;
	u->err = drop(u, r);
	if (!u->err)
		u->err = put_old(u, r->key);
	return !u->err;
}

/* ---- what was there */

struct lost {
	struct undo *u;
	struct meta_key keys[LOOKS_AT_ONCE];
	uint32_t n;
};

static bool look_at_version(void *arg, const struct meta_record *r)
{
	struct lost *l = arg;
	struct undo *u = l->u;
	struct meta_version v;
	if (!meta_history_split(r, &v)) {
		u->err = ERR_IO;
		return false;
	}
	if (v.table != u->table || has_enough(u, r))
		return false;
	if (v.born <= u->at && v.died > u->at)
		l->keys[l->n++] = v.key;
	return true;
}

static int put_lost(struct lost *l)
{
	struct undo *u = l->u;
	int err = 0;
	for (uint32_t i = 0; !err && i < l->n; i++) {
		uint32_t none = 0;
		err = meta_get(u->fs->meta, u->table, &l->keys[i], NULL, &none);
		if (err == 0 || err == ERR_TOOSMALL) {
			err = 0;
			continue;
		}
		if (err != ERR_NOENT)
			return err;
		count(u, 1);
		err = put_old(u, &l->keys[i]);
	}
	return err;
}

/* ---- steps */

static int commit(struct undo *u)
{
	struct cairn_ranges freed = {.n = 0};
	u->refs.alone = true;
	int err = cairn_refs_commit(u->fs, &u->txn, &u->refs, &freed);
	if (!err) {
		cairn_ranges_release(u->fs, &freed);
		cairn_refund(u->fs, cairn_ranges_total(&freed));
	}
	cairn_ranges_fini(&freed);
	return err;
}

static int step(struct undo *u, bool live)
{
	CLEANUP_FREE struct lost *l = calloc(1, sizeof(*l));
	struct meta_key from = u->next;
	if (!l)
		return ERR_NOMEM;
	l->u = u;
	u->n = 0;
	u->more = false;
	meta_begin(&u->txn);
	u->txn.frees = true;
	u->refs = (struct cairn_refs){.n = 0};
	int err = live ? meta_scan(u->fs->meta, u->table, &from, META_FROM, look_at_live, u)
	               : meta_scan(u->fs->meta, META_HISTORY, &from, META_FROM, look_at_version, l);
	err = err ? err : u->err;
	if (!err && !live)
		err = put_lost(l);
	if (err)
		meta_abandon(&u->txn);
	else
		err = commit(u);
	cairn_refs_fini(&u->refs);
	u->n_done += u->n;
	if (u->progress)
		u->progress(u->arg, u->n_done, MAX(u->n_all, u->n_done));
	return err;
}

static int undo_table(struct undo *u, bool live)
{
	int err;
	u->next = live ? (meta_key_is_number(u->table) ? meta_key_number(0) : meta_key_name(0, "", 0))
	               : meta_history_start(u->table);
	do
		err = step(u, live);
	while (!err && u->more);
	return err;
}

/* What is in the tables, and what was. */
static uint64_t n_all(struct cairn *fs)
{
	uint64_t n = meta_n_records(fs->meta, META_HISTORY);
	for (int i = 0; i < META_N_TABLES; i++)
		n += meta_is_versioned(i) ? meta_n_records(fs->meta, i) : 0;
	return n;
}

int cairn_undo(struct cairn *fs, uint64_t at, cairn_undo_fn *progress, void *arg)
{
	struct undo u = {.fs = fs, .at = at, .body = malloc(META_BODY_MAX), .progress = progress, .arg = arg};
	uint64_t batch;
	int err = u.body ? meta_view(fs->meta, at, &u.view) : ERR_NOMEM;
	/* What replaced records only in memory until now is history too. */
	if (!err)
		err = meta_checkpoint(fs->meta, &batch);
	u.n_all = n_all(fs);
	for (u.table = 0; !err && u.table < META_N_TABLES; u.table++) {
		if (!meta_is_versioned(u.table))
			continue;
		err = undo_table(&u, true);
		if (!err)
			err = undo_table(&u, false);
	}
	if (u.view)
		meta_close(u.view);
	free(u.body);
	return err;
}

int cairn_undo_mark(struct cairn *fs, uint64_t at)
{
	struct meta_txn txn;
	meta_begin(&txn);
	txn.frees = true;
	meta_set(&txn, META_ROLLBACK, (int64_t)at);
	if (at == 0)
		meta_set(&txn, META_EPOCH, ++fs->epoch);
	return meta_commit(fs->meta, &txn);
}
