/*
 * From the overlay to the tables: its records go in order of keys into one LMDB transaction, with the number of the
 * last batch and the place behind it in the journal. Where the tables have no room for so many new pages at once,
 * it is done in pieces: the journal still has all of it until the last piece is in.
 */
#include <string.h>

#include "backends/cairn/cairn-meta-impl.h"
#include "base/cursor.h"
#include "base/log.h"
#include "loop/loop.h"

LOG_MODULE("cairn");

#define PIECE_MIN 64u
#define TICK_NS NS_PER_SEC
#define AGE_NS (5 * NS_PER_SEC)

/* ---- records */

struct apply {
	struct meta *m;
	const struct meta_overlay *from;
	struct journal_place end;
	bool whole;
	MDB_txn *txn;
	MDB_cursor *cursor; /* of the table; it ends with txn */
	uint32_t piece; /* records in one transaction; 0: all */
	uint32_t n;     /* in this one so far */
};

static MDB_val room_for(const struct meta_value *value)
{
	return (MDB_val){META_HEAD_SIZE + value->size + META_SUM_SIZE, NULL};
}

static void fill(enum meta_table table, const MDB_val *k, const MDB_val *v, const struct meta_value *value)
{
	struct cursor c;
	cursor_init(&c, v->mv_data, v->mv_size);
	cursor_put_u8(&c, META_RECORD_VERSION);
	cursor_put_bytes(&c, "\0\0\0\0\0\0", 7);
	cursor_put_le64(&c, value->batch);
	cursor_put_bytes(&c, value->body, value->size);
	cursor_put_le64(&c, meta_sum(table, k, v->mv_data, META_HEAD_SIZE + value->size));
}

int meta_put_value(struct meta *m, MDB_txn *txn, enum meta_table table, const struct meta_key *key, const struct meta_value *value)
{
	MDB_val k = meta_key_val(key), v = room_for(value);
	int rc = mdb_put(txn, m->tables[table], &k, &v, MDB_RESERVE);
	if (rc == 0)
		fill(table, &k, &v, value);
	return rc;
}

/* The one place where a record of the tables is replaced or deleted. */
static int apply_record(struct apply *a, enum meta_table table, const struct meta_dirty *d)
{
	struct meta_key key = {.size = d->key_size};
	/* A copy, so that integer keys are aligned. */
	memcpy(key.bytes, d->bytes, d->key_size);
	MDB_val k = meta_key_val(&key);
	int rc = meta_keep_old(a->m, a->txn, table, &k, d->batch);
	if (rc)
		return rc;
	struct meta_value value = {dirty_body(d), d->size, d->batch};
	MDB_val v = room_for(&value);
	if (d->deleted) {
		rc = mdb_cursor_get(a->cursor, &k, &v, MDB_SET);
		if (rc == 0)
			rc = mdb_cursor_del(a->cursor, 0);
		return rc == MDB_NOTFOUND ? 0 : rc;
	}
	rc = mdb_cursor_put(a->cursor, &k, &v, MDB_RESERVE);
	if (rc == 0)
		fill(table, &k, &v, &value);
	return rc;
}

static int put_counter(struct apply *a, uint64_t counter, uint64_t value)
{
	struct meta_key key = meta_key_number(counter);
	uint8_t body[8];
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, value);
	struct meta_value record = {body, sizeof(body), a->end.batch};
	return meta_put_value(a->m, a->txn, META_COUNTERS, &key, &record);
}

/* ---- transactions */

static int commit(struct apply *a)
{
	int rc = mdb_txn_commit(TAKE(a->txn));
	meta_readers_retire(a->m);
	return rc;
}

/* Records are in order, so the place of one is often near that of the one before. */
static int open_cursor(struct apply *a, enum meta_table table)
{
	return mdb_cursor_open(a->txn, a->m->tables[table], &a->cursor);
}

static int next_piece(struct apply *a, enum meta_table table)
{
	if (!a->piece || ++a->n < a->piece)
		return 0;
	a->n = 0;
	int rc = commit(a);
	if (rc == 0)
		rc = mdb_txn_begin(a->m->env, NULL, 0, &a->txn);
	return rc ? rc : open_cursor(a, table);
}

static int apply_table(struct apply *a, enum meta_table table)
{
	struct meta_dirty *d = overlay_first(a->from, table);
	int rc = d ? open_cursor(a, table) : 0;
	for (; rc == 0 && d; d = overlay_next(d)) {
		rc = apply_record(a, table, d);
		if (rc == 0)
			rc = next_piece(a, table);
	}
	return rc;
}

static int apply_records(struct apply *a)
{
	int rc = 0;
	for (int t = 0; rc == 0 && t < META_N_TABLES; t++)
		rc = apply_table(a, t);
	return rc;
}

static int apply_end(struct apply *a)
{
	int rc = put_counter(a, META_BATCH, a->end.batch);
	if (rc == 0)
		rc = put_counter(a, META_JOURNAL_AT, a->end.at);
	if (rc == 0)
		rc = put_counter(a, META_JOURNAL_SUM, a->end.sum);
	return rc;
}

static int try_apply(struct apply *a)
{
	int rc = mdb_txn_begin(a->m->env, NULL, 0, &a->txn);
	if (rc == 0)
		rc = apply_records(a);
	if (rc == 0)
		rc = apply_end(a);
	if (rc == 0)
		rc = commit(a);
	if (a->txn)
		mdb_txn_abort(TAKE(a->txn));
	return rc;
}

static bool is_full(int rc)
{
	return rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC || rc == EDQUOT;
}

/* A transaction that failed has changed nothing, unless it was in its last write: then the engine accepts no more. */
static void note_result(struct meta *m, int rc)
{
	if (rc && rc != m->table_err)
		log_error("%s: the tables: %s; tried again", m->cfg.dir, mdb_strerror(rc));
	if (!rc && m->table_err)
		log_notice("%s: the tables can be written again", m->cfg.dir);
	m->n_table_errors += rc != 0;
	m->table_err = rc;
	m->panic = rc == MDB_PANIC;
}

/* Freed pages are used again two transactions later: the smaller the pieces, the fewer new ones it takes. */
static int apply_job(void *arg)
{
	struct apply *a = arg;
	int rc = try_apply(a);
	/* A write that is cut short is an EIO there. */
	for (uint32_t piece = 16 * PIECE_MIN; (is_full(rc) || rc == EIO) && !a->whole && piece >= PIECE_MIN; piece /= 4) {
		a->piece = piece;
		a->n = 0;
		rc = try_apply(a);
	}
	meta_measure(a->m);
	note_result(a->m, rc);
	return meta_error(rc);
}

/* ---- the overlay */

static void drop(struct meta *m, uint64_t batch)
{
	struct meta_overlay old;
	pthread_rwlock_wrlock(&m->state);
	meta_pace_end(m);
	old = *m->applying;
	overlay_init(m->applying);
	m->applying = NULL;
	m->leader_applies = false;
	m->stuck = 0;
	m->applied = batch;
	pthread_rwlock_unlock(&m->state);
	overlay_fini(&old);
}

int meta_apply(struct meta *m, const struct journal_place *end, bool whole)
{
	struct apply a = {.m = m, .from = m->applying, .end = *end, .whole = whole};
	int err = loop_block(apply_job, &a);
	if (!err)
		drop(m, end->batch);
	fiber_mutex_lock(&m->lock);
	if (err && !whole)
		m->stuck = err;
	if (m->panic)
		meta_fail(m, "the tables", err);
	m->n_rounds++;
	fiber_cond_broadcast(&m->applied_cond);
	fiber_mutex_unlock(&m->lock);
	return err;
}

/* ---- the applier */

/* What nobody waits for is durable some time later, what is in memory only in the journal a while after that. */
static void age(struct meta *m)
{
	uint64_t now = loop_now_ns(loop_current());
	pthread_rwlock_wrlock(&m->state);
	bool gathered = m->gathered.size, old = m->active->n_records && now - m->active->since_ns >= AGE_NS;
	m->turning |= old;
	pthread_rwlock_unlock(&m->state);
	if (gathered)
		meta_wait(m, meta_last(m));
}

/* With something gathered its writing turns the overlay, else nothing is in the way. */
static void turn(struct meta *m)
{
	pthread_rwlock_rdlock(&m->state);
	bool wanted = m->turning && !m->applying, gathered = m->gathered.size;
	pthread_rwlock_unlock(&m->state);
	if (!wanted)
		return;
	if (gathered) {
		meta_wait(m, meta_last(m));
		return;
	}
	fiber_mutex_lock(&m->lock);
	pthread_rwlock_wrlock(&m->state);
	if (m->gathered.size == 0 && meta_turn(m, m->batch - 1) && !m->writing)
		m->applying_end = m->journal.end;
	pthread_rwlock_unlock(&m->state);
	fiber_cond_broadcast(&m->applied_cond);
	fiber_mutex_unlock(&m->lock);
}

static void apply_turned(struct meta *m)
{
	pthread_rwlock_rdlock(&m->state);
	bool mine = m->applying && !m->leader_applies;
	uint64_t last = m->applying_last;
	pthread_rwlock_unlock(&m->state);
	if (!mine || meta_wait(m, last))
		return;
	fiber_mutex_lock(&m->lock);
	struct journal_place end = m->applying_end;
	pthread_rwlock_rdlock(&m->state);
	/* If the journal failed the leader has applied it. */
	mine = m->applying && !m->leader_applies && m->applying_last == last;
	pthread_rwlock_unlock(&m->state);
	fiber_cond_broadcast(&m->applied_cond);
	fiber_mutex_unlock(&m->lock);
	if (mine)
		meta_apply(m, &end, false);
}

/* Whether there is something to do at once, or later. */
static bool has_work(struct meta *m, bool *later)
{
	pthread_rwlock_rdlock(&m->state);
	bool mine = m->applying && !m->leader_applies && !m->stuck;
	bool work = mine || (m->turning && !m->applying);
	*later = m->active->n_records || m->stuck || m->full;
	pthread_rwlock_unlock(&m->state);
	return work && !m->failed;
}

/* Parks until there is work. true: only time has passed. */
static bool await_work(struct meta *m)
{
	bool later, ticked = false;
	fiber_mutex_lock(&m->lock);
	while (!m->stopping && !ticked && !has_work(m, &later)) {
		if (later && !m->failed)
			ticked = fiber_cond_timedwait(&m->work, &m->lock, loop_now_ns(loop_current()) + TICK_NS) == ERR_TIMEDOUT;
		else
			fiber_cond_wait(&m->work, &m->lock);
	}
	fiber_mutex_unlock(&m->lock);
	return ticked;
}

static void run(void *arg)
{
	struct meta *m = arg;
	while (!m->stopping) {
		if (await_work(m)) {
			age(m);
			/* The host's space is others' too: they may have given back some. */
			if (m->full)
				meta_make_room(m, 0);
		}
		turn(m);
		apply_turned(m);
	}
	fiber_join_done(&m->applier);
}

int meta_applier_start(struct meta *m)
{
	fiber_join_add(&m->applier, 1);
	int err = fiber_start(loop_current(), run, m);
	if (err)
		fiber_join_done(&m->applier);
	return err;
}

void meta_applier_stop(struct meta *m)
{
	fiber_mutex_lock(&m->lock);
	m->stopping = true;
	fiber_cond_broadcast(&m->work);
	fiber_mutex_unlock(&m->lock);
	fiber_join_wait(&m->applier);
}
