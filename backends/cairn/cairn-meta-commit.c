/*
 * Group commit. A transaction is a list of changes in one buffer; the leader of a batch applies the lists of
 * all who wait, in the order of their arrival, inside one LMDB transaction on a worker thread.
 */
#include <string.h>

#include "backends/cairn/cairn-meta-impl.h"
#include "base/cursor.h"
#include "base/log.h"
#include "loop/loop.h"

LOG_MODULE("cairn");

#define PAGE_SIZE_MIN 4096u
#define RESERVE_SHARE 64 /* of the tables' room, for what frees */
#define RESERVE_PAGES_MIN 256u
#define RESERVE_PAGES_MAX 16384u
#define TXN_LIMIT (1u << 30)

struct meta_wait {
	struct meta_wait *next;
	struct meta_txn *txn;
	int result;
	bool done;
};

struct change_head {
	uint8_t what;  /* enum meta_change */
	uint8_t table;
	uint16_t key_size;
	uint32_t size; /* of the body */
};

/* ---- collecting */

void meta_begin(struct meta_txn *txn)
{
	bytes_init(&txn->changes, TXN_LIMIT);
	txn->n_changes = 0;
	txn->frees = false;
}

void meta_abandon(struct meta_txn *txn)
{
	bytes_fini(&txn->changes);
}

static void add_change(struct meta_txn *txn, enum meta_change what, enum meta_table table,
                       const struct meta_key *key, const void *body, uint32_t size)
{
	struct change_head head = {(uint8_t)what, (uint8_t)table, (uint16_t)key->size, size};
	bytes_put(&txn->changes, &head, sizeof(head));
	bytes_put(&txn->changes, key->bytes, key->size);
	if (size)
		bytes_put(&txn->changes, body, size);
	txn->n_changes++;
}

void meta_put(struct meta_txn *txn, enum meta_table table, const struct meta_key *key, const void *body, uint32_t size)
{
	add_change(txn, META_PUT, table, key, body, size);
}

void meta_delete(struct meta_txn *txn, enum meta_table table, const struct meta_key *key)
{
	add_change(txn, META_DELETE, table, key, NULL, 0);
}

void meta_add(struct meta_txn *txn, uint64_t counter, int64_t delta)
{
	struct meta_key key = meta_key_number(counter);
	if (delta)
		add_change(txn, META_ADD, META_COUNTERS, &key, &delta, sizeof(delta));
}

void meta_set(struct meta_txn *txn, uint64_t counter, int64_t value)
{
	struct meta_key key = meta_key_number(counter);
	add_change(txn, META_SET, META_COUNTERS, &key, &value, sizeof(value));
}

void meta_append(struct meta_txn *txn, struct meta_txn *more)
{
	if (more->changes.size)
		bytes_put(&txn->changes, more->changes.data, more->changes.size);
	if (more->changes.err)
		txn->changes.err = more->changes.err;
	txn->n_changes += more->n_changes;
	bytes_fini(&more->changes);
}

int meta_sync_dir(struct meta *m)
{
	return m->cfg.read_only ? 0 : file_sync_dir(m->dir_fd);
}

/* ---- applying */

struct batch {
	struct meta *meta;
	struct meta_wait *first;
	MDB_txn *txn;
	int64_t number;
};

static int put_record(struct batch *b, enum meta_table table, MDB_val *key, const void *body, uint32_t size)
{
	MDB_val v = {META_HEAD_SIZE + size + META_SUM_SIZE, NULL};
	struct cursor c;
	int rc = mdb_put(b->txn, b->meta->tables[table], key, &v, MDB_RESERVE);
	if (rc)
		return rc;
	cursor_init(&c, v.mv_data, v.mv_size);
	cursor_put_u8(&c, META_RECORD_VERSION);
	cursor_put_bytes(&c, "\0\0\0\0\0\0", 7);
	cursor_put_le64(&c, (uint64_t)b->number);
	cursor_put_bytes(&c, body, size);
	cursor_put_le64(&c, meta_sum(table, key, v.mv_data, META_HEAD_SIZE + size));
	return 0;
}

static int add_counter(struct batch *b, MDB_val *key, int64_t delta)
{
	MDB_val v;
	struct meta_record r;
	struct cursor c;
	int64_t value = 0;
	uint8_t body[8];
	int rc = mdb_get(b->txn, b->meta->tables[META_COUNTERS], key, &v);
	if (rc && rc != MDB_NOTFOUND)
		return rc;
	if (rc == 0) {
		if (meta_check(META_COUNTERS, key, &v, &r))
			return MDB_CORRUPTED;
		cursor_init(&c, (void *)r.body, r.size);
		value = (int64_t)cursor_le64(&c);
	}
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, (uint64_t)(value + delta));
	return put_record(b, META_COUNTERS, key, body, sizeof(body));
}

static int set_counter(struct batch *b, MDB_val *key, int64_t value)
{
	uint8_t body[8];
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, (uint64_t)value);
	return put_record(b, META_COUNTERS, key, body, sizeof(body));
}

static int apply_change(struct batch *b, const struct change_head *head, MDB_val *key, const void *body)
{
	int64_t number = 0;
	if (head->what == META_PUT)
		return put_record(b, head->table, key, body, head->size);
	if (head->what == META_DELETE) {
		int rc = mdb_del(b->txn, b->meta->tables[head->table], key, NULL);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	memcpy(&number, body, sizeof(number));
	return head->what == META_ADD ? add_counter(b, key, number) : set_counter(b, key, number);
}

static int apply_txn(struct batch *b, const struct meta_txn *txn)
{
	const char *at = txn->changes.data, *end = at + txn->changes.size;
	struct meta_key key;
	int rc = 0;
	while (rc == 0 && at < end) {
		struct change_head head;
		memcpy(&head, at, sizeof(head));
		at += sizeof(head);
		/* A copy, so that integer keys are aligned. */
		memcpy(key.bytes, at, head.key_size);
		MDB_val k = {head.key_size, key.bytes};
		at += head.key_size;
		rc = apply_change(b, &head, &k, at);
		at += head.size;
	}
	return rc;
}

/* ---- room */

/* Pages on the free list: a walk of it, which LMDB lets readers make; so only when the file is nearly as large as it may be. */
static uint64_t free_pages(MDB_env *env)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, v;
	uint64_t n = 0;
	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn))
		return 0;
	if (mdb_cursor_open(txn, 0, &cursor)) {
		mdb_txn_abort(txn);
		return 0;
	}
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
		size_t count;
		memcpy(&count, v.mv_data, sizeof(count));
		n += count;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return n;
}

static bool has_room(const struct meta *m)
{
	MDB_envinfo info;
	if (mdb_env_info(m->env, &info))
		return false;
	uint64_t max = info.me_mapsize / PAGE_SIZE_MIN, used = info.me_last_pgno + 1;
	uint64_t reserve = MAX(max / RESERVE_SHARE, (uint64_t)RESERVE_PAGES_MIN);
	reserve = MIN(reserve, (uint64_t)RESERVE_PAGES_MAX);
	if (m->host_free < m->cfg.reserve)
		return false;
	return used + reserve < max || max - MIN(max, used) + free_pages(m->env) > reserve;
}

/* ---- the batch */

static int run_batch(struct batch *b, bool room)
{
	struct meta_key key = meta_key_number(META_BATCH);
	MDB_val k = meta_key_val(&key);
	int rc = 0;
	for (struct meta_wait *w = b->first; rc == 0 && w; w = w->next) {
		w->result = room || w->txn->frees ? 0 : ERR_NOSPC;
		if (w->result == 0)
			rc = apply_txn(b, w->txn);
	}
	return rc ? rc : set_counter(b, &k, b->number);
}

/* What failed to commit for a reason other than room may be on disk or not: nothing more is written on top. */
static int finish_batch(struct batch *b, int rc)
{
	struct meta *m = b->meta;
	bool applied = rc == 0;
	if (applied)
		rc = mdb_txn_commit(b->txn);
	else
		mdb_txn_abort(b->txn);
	if (rc && rc != ENOSPC && rc != MDB_MAP_FULL && rc != ENOMEM) {
		log_error("%s: %s; no change is accepted any more", m->cfg.dir, mdb_strerror(rc));
		m->failed = meta_error(rc);
	}
	if (rc == 0) {
		m->batch = b->number;
		m->n_batches++;
	}
	meta_look_at_host(m);
	return meta_error(rc);
}

static int batch_job(void *arg)
{
	struct batch *b = arg;
	struct meta *m = b->meta;
	b->number = m->batch + 1;
	int rc = m->failed ? 0 : mdb_txn_begin(m->env, NULL, 0, &b->txn);
	if (m->failed || rc)
		return m->failed ? m->failed : meta_error(rc);
	m->full = !has_room(m);
	return finish_batch(b, run_batch(b, !m->full));
}

/* With the lock held, which is given up meanwhile. */
static void lead(struct meta *m)
{
	struct batch b = {.meta = m, .first = TAKE(m->head)};
	m->tail = &m->head;
	m->committing = true;
	fiber_mutex_unlock(&m->lock);
	int err = loop_block(batch_job, &b);
	fiber_mutex_lock(&m->lock);
	m->committing = false;
	for (struct meta_wait *w = b.first, *next; w; w = next) {
		next = w->next;
		w->result = err ? err : w->result;
		w->done = true;
		m->n_commits++;
	}
	fiber_cond_broadcast(&m->done);
}

static int commit_queued(struct meta *m, struct meta_txn *txn)
{
	struct meta_wait me = {.txn = txn};
	fiber_mutex_lock(&m->lock);
	*m->tail = &me;
	m->tail = &me.next;
	while (!me.done) {
		if (m->committing)
			fiber_cond_wait(&m->done, &m->lock);
		else
			lead(m);
	}
	fiber_mutex_unlock(&m->lock);
	return me.result;
}

int meta_commit(struct meta *m, struct meta_txn *txn)
{
	int err = txn->changes.err;
	if (!err && m->cfg.read_only)
		err = ERR_ROFS;
	if (!err && txn->n_changes)
		err = commit_queued(m, txn);
	bytes_fini(&txn->changes);
	return err == ERR_OVERFLOW ? ERR_NOSPC : err;
}
