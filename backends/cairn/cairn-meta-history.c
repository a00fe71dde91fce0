/*
 * Old versions. As long as there is a snapshot, a record of the tables that belongs to it is copied into the table of
 * history before it is replaced or deleted: under its table, its key, and the batch that ended it. So a view of the
 * batch S takes of each key the first version in the history that ended after S, if it began by then, and if there is none the
 * record of the table itself, if that began by then. What is only in memory began later: views don't look there.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-meta-impl.h"
#include "base/cursor.h"

#define BORN_SIZE 8u

/* ---- keys of the history */

static void put_be64(uint8_t *to, uint64_t v)
{
	struct cursor c;
	cursor_init(&c, to, 8);
	cursor_put_be64(&c, v);
}

static uint64_t get_be64(const uint8_t *from)
{
	struct cursor c;
	cursor_init(&c, (void *)from, 8);
	return cursor_be64(&c);
}

/* A key of any table so that it sorts as bytes: what follows the table's number in the history. */
struct plain_key {
	uint32_t size;
	uint8_t bytes[META_KEY_MAX];
};

static void plain(enum meta_table table, const void *key, size_t size, struct plain_key *p)
{
	uint64_t number;
	p->size = (uint32_t)MIN(size, (size_t)META_KEY_MAX - META_HISTORY_EXTRA);
	memcpy(p->bytes, key, p->size);
	if (meta_key_is_number(table) && size == sizeof(number)) {
		memcpy(&number, key, sizeof(number));
		put_be64(p->bytes, number);
	}
}

/* The table's own form again. */
static void native(enum meta_table table, const struct plain_key *p, struct meta_key *key)
{
	*key = meta_key_is_number(table) ? meta_key_number(get_be64(p->bytes)) : (struct meta_key){.size = p->size};
	if (!meta_key_is_number(table))
		memcpy(key->bytes, p->bytes, p->size);
}

static int plain_cmp(const struct plain_key *a, const struct plain_key *b)
{
	int cmp = memcmp(a->bytes, b->bytes, MIN(a->size, b->size));
	return cmp ? cmp : (a->size > b->size) - (a->size < b->size);
}

static struct meta_key history_key(enum meta_table table, const struct plain_key *p, uint64_t died)
{
	struct meta_key key = {.size = p->size + META_HISTORY_EXTRA};
	key.bytes[0] = (uint8_t)table;
	memcpy(key.bytes + 1, p->bytes, p->size);
	put_be64(key.bytes + 1 + p->size, died);
	return key;
}

bool meta_history_split(const struct meta_record *r, struct meta_version *v)
{
	struct plain_key p;
	struct cursor c;
	if (r->key->size < META_HISTORY_EXTRA + 8 || r->size < BORN_SIZE || r->key->bytes[0] >= META_N_TABLES)
		return false;
	v->table = r->key->bytes[0];
	p.size = r->key->size - META_HISTORY_EXTRA;
	memcpy(p.bytes, r->key->bytes + 1, p.size);
	native(v->table, &p, &v->key);
	v->died = get_be64(r->key->bytes + 1 + p.size);
	cursor_init(&c, (void *)r->body, r->size);
	v->born = cursor_le64(&c);
	v->body = r->body + BORN_SIZE;
	v->size = r->size - BORN_SIZE;
	return true;
}

struct meta_key meta_history_start(enum meta_table table)
{
	struct plain_key p = {.size = 8};
	memset(p.bytes, 0, p.size);
	struct meta_key key = history_key(table, &p, 0);
	return key;
}

struct meta_key meta_history_key(enum meta_table table, const struct meta_key *key, uint64_t died)
{
	struct plain_key p;
	plain(table, key->bytes, key->size, &p);
	return history_key(table, &p, died);
}

/* ---- keeping */

/* The old record's bytes, apart: what is put next may move it. */
static int copy_old(enum meta_table table, MDB_val *key, const MDB_val *value, uint64_t keep, struct bytes *old)
{
	struct meta_record r;
	struct cursor c;
	uint8_t born[BORN_SIZE];
	/* A damaged record is no version of anything. */
	if (meta_check_changing(table, key, value, &r) || r.batch > keep)
		return 0;
	cursor_init(&c, born, sizeof(born));
	cursor_put_le64(&c, r.batch);
	bytes_put(old, born, sizeof(born));
	bytes_put(old, r.body, r.size);
	return old->err ? ENOMEM : 0;
}

int meta_keep_old(struct meta *m, MDB_txn *txn, enum meta_table table, MDB_val *key, uint64_t batch)
{
	uint64_t keep = m->keep;
	struct plain_key p;
	struct bytes old;
	MDB_val v;
	if (!keep || !meta_is_versioned(table))
		return 0;
	int rc = mdb_get(txn, m->tables[table], key, &v);
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	bytes_init(&old, 0);
	rc = copy_old(table, key, &v, keep, &old);
	if (rc == 0 && old.size) {
		plain(table, key->mv_data, key->mv_size, &p);
		struct meta_key hk = history_key(table, &p, batch);
		struct meta_value value = {(const uint8_t *)old.data, (uint32_t)old.size, batch};
		rc = meta_put_value(m, txn, META_HISTORY, &hk, &value);
	}
	bytes_fini(&old);
	return rc;
}

/* ---- views */

int meta_view(struct meta *m, uint64_t batch, struct meta **view)
{
	struct meta *v = calloc(1, sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	v->base = m;
	v->at = batch;
	*view = v;
	return 0;
}

/* Looking at one table as of a batch. */
struct seeing {
	struct meta *m;
	enum meta_table table;
	uint64_t at;
	MDB_cursor *live, *old;
	MDB_val lk, lv, ok, ov;
	int live_rc, old_rc;         /* of the cursors */
	struct plain_key live_key, old_key;
};

static void note_live(struct seeing *s)
{
	if (s->live_rc == 0)
		plain(s->table, s->lk.mv_data, s->lk.mv_size, &s->live_key);
}

/* Versions of other tables are not ours. */
static void note_old(struct seeing *s)
{
	const uint8_t *bytes = s->ok.mv_data;
	if (s->old_rc == 0 && (s->ok.mv_size < META_HISTORY_EXTRA || s->ok.mv_size > META_KEY_MAX || bytes[0] != s->table))
		s->old_rc = MDB_NOTFOUND;
	if (s->old_rc)
		return;
	s->old_key.size = (uint32_t)s->ok.mv_size - META_HISTORY_EXTRA;
	memcpy(s->old_key.bytes, bytes + 1, s->old_key.size);
}

static void seek_live(struct seeing *s, const struct plain_key *p)
{
	struct meta_key key;
	native(s->table, p, &key);
	s->lk = meta_key_val(&key);
	s->live_rc = mdb_cursor_get(s->live, &s->lk, &s->lv, MDB_SET_RANGE);
	note_live(s);
}

static void seek_old(struct seeing *s, const struct plain_key *p, uint64_t died)
{
	struct meta_key key = history_key(s->table, p, died);
	s->ok = meta_key_val(&key);
	s->old_rc = mdb_cursor_get(s->old, &s->ok, &s->ov, MDB_SET_RANGE);
	note_old(s);
}

/* The version of p that counts: *r, if *found. Moves the cursor of the history. */
static int version_of(struct seeing *s, const struct plain_key *p, struct meta_record *r, bool *found)
{
	struct meta_version v;
	seek_old(s, p, s->at + 1);
	*found = false;
	if (s->old_rc == 0 && plain_cmp(&s->old_key, p) == 0) {
		struct meta_key hk = {.size = (uint32_t)s->ok.mv_size};
		struct meta_record old = {.key = &hk};
		memcpy(hk.bytes, s->ok.mv_data, hk.size);
		int err = meta_check(META_HISTORY, &s->ok, &s->ov, &old);
		if (err || !meta_history_split(&old, &v))
			return err ? err : ERR_IO;
		*found = v.born <= s->at;
		r->body = v.body;
		r->size = v.size;
		r->batch = v.born;
		return 0;
	}
	if (s->live_rc || plain_cmp(&s->live_key, p) != 0)
		return 0;
	int err = meta_check(s->table, &s->lk, &s->lv, r);
	*found = !err && r->batch <= s->at;
	return err;
}

/* The nearest key of both; false: there is none. */
static bool nearest(const struct seeing *s, int sign, struct plain_key *p)
{
	if (s->live_rc && s->old_rc)
		return false;
	bool live = s->old_rc || (!s->live_rc && plain_cmp(&s->live_key, &s->old_key) * sign <= 0);
	*p = live ? s->live_key : s->old_key;
	return true;
}

static void go_on(struct seeing *s, const struct plain_key *p)
{
	if (s->live_rc == 0 && plain_cmp(&s->live_key, p) == 0) {
		s->live_rc = mdb_cursor_get(s->live, &s->lk, &s->lv, MDB_NEXT);
		note_live(s);
	}
	seek_old(s, p, UINT64_MAX);
}

/* To the last keys before p. */
static void go_back(struct seeing *s, const struct plain_key *p)
{
	struct meta_key key = history_key(s->table, p, 0);
	seek_live(s, p);
	s->live_rc = mdb_cursor_get(s->live, &s->lk, &s->lv, s->live_rc == 0 ? MDB_PREV : MDB_LAST);
	note_live(s);
	s->ok = meta_key_val(&key);
	s->old_rc = mdb_cursor_get(s->old, &s->ok, &s->ov, MDB_SET_RANGE);
	s->old_rc = mdb_cursor_get(s->old, &s->ok, &s->ov, s->old_rc == 0 ? MDB_PREV : MDB_LAST);
	note_old(s);
}

/* Keys with a number in front are asked for by that number only: there may be very many of others that have no version. */
static bool alike(const struct seeing *s, const struct plain_key *a, const struct plain_key *b)
{
	return meta_key_is_number(s->table) || memcmp(a->bytes, b->bytes, 8) == 0;
}

/* The last key not after *p that has a version takes its place, if there is one. */
static int look_back(struct seeing *s, struct plain_key *p)
{
	struct plain_key at = *p;
	struct meta_record r;
	bool found;
	seek_live(s, p);
	int err = version_of(s, p, &r, &found);
	while (!err && !found) {
		go_back(s, &at);
		if (!nearest(s, -1, &at) || !alike(s, &at, p))
			return 0;
		seek_live(s, &at);
		err = version_of(s, &at, &r, &found);
	}
	if (!err)
		*p = at;
	return err;
}

static int see_all(struct seeing *s, struct plain_key *p, meta_visit_fn *visit, void *arg)
{
	struct plain_key at;
	seek_live(s, p);
	seek_old(s, p, 0);
	while (nearest(s, 1, &at) && alike(s, &at, p)) {
		struct meta_key key;
		struct meta_record r = {.key = &key};
		bool found;
		int err = version_of(s, &at, &r, &found);
		if (err)
			return err;
		native(s->table, &at, &key);
		if (found && !visit(arg, &r))
			return 0;
		go_on(s, &at);
	}
	return 0;
}

static int open_cursors(struct seeing *s, MDB_txn *txn)
{
	int rc = mdb_cursor_open(txn, s->m->tables[s->table], &s->live);
	if (rc == 0)
		rc = mdb_cursor_open(txn, s->m->tables[META_HISTORY], &s->old);
	return meta_error(rc);
}

static void close_cursors(struct seeing *s)
{
	if (s->live)
		mdb_cursor_close(s->live);
	if (s->old)
		mdb_cursor_close(s->old);
}

int meta_view_scan(struct meta *view, enum meta_table table, const struct meta_key *key, enum meta_from from,
                   meta_visit_fn *visit, void *arg)
{
	struct seeing s = {.m = view->base, .table = table, .at = view->at};
	struct plain_key p;
	MDB_txn *txn;
	int err = meta_reader_get(s.m, &txn);
	if (err)
		return err;
	plain(table, key->bytes, key->size, &p);
	err = open_cursors(&s, txn);
	if (!err && from == META_FROM_OR_BEFORE)
		err = look_back(&s, &p);
	if (!err)
		err = see_all(&s, &p, visit, arg);
	close_cursors(&s);
	meta_reader_put(s.m, txn);
	return err;
}

static int answer(const struct meta_record *r, void *value, uint32_t *size)
{
	uint32_t room = *size;
	*size = r->size;
	if (r->size && r->size <= room)
		memcpy(value, r->body, r->size);
	return r->size <= room ? 0 : ERR_TOOSMALL;
}

int meta_view_get(struct meta *view, enum meta_table table, const struct meta_key *key, void *value, uint32_t *size)
{
	struct seeing s = {.m = view->base, .table = table, .at = view->at};
	struct meta_record r = {.key = key};
	struct plain_key p;
	bool found = false;
	MDB_txn *txn;
	int err = meta_reader_get(s.m, &txn);
	if (err)
		return err;
	plain(table, key->bytes, key->size, &p);
	err = open_cursors(&s, txn);
	if (!err) {
		seek_live(&s, &p);
		err = version_of(&s, &p, &r, &found);
	}
	if (!err)
		err = found ? answer(&r, value, size) : ERR_NOENT;
	close_cursors(&s);
	meta_reader_put(s.m, txn);
	return err;
}
