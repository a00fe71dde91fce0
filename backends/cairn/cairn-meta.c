/*
 * Opening and reading. Reader transactions are kept reset in a pool and renewed for one call: a reader that
 * stays open would keep pages of old versions from being reused.
 */
#include "backends/cairn/cairn-meta-impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cursor.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define FILE_MODE 0600
#define TABLES_NAME "data.mdb"
#define TABLES_NEW "data.new"
#define META_PATH_MAX 4096
#define FLAGS (MDB_NORDAHEAD | MDB_NOTLS | MDB_NOMEMINIT)

static const struct {
	const char *name;
	unsigned flags;
} tables[META_N_TABLES] = {
	[META_INODES] = {"inodes", MDB_INTEGERKEY}, [META_ENTRIES] = {"entries", 0},
	[META_ORDER] = {"order", 0},                [META_INLINE] = {"inline", MDB_INTEGERKEY},
	[META_EXTENTS] = {"extents", 0},            [META_XATTRS] = {"xattrs", 0},
	[META_ORPHANS] = {"orphans", MDB_INTEGERKEY}, [META_SPACE] = {"space", MDB_INTEGERKEY},
	[META_COUNTERS] = {"counters", MDB_INTEGERKEY}, [META_FOLDED] = {"folded", 0},
	[META_STREAMS] = {"streams", 0},
	[META_ACLS] = {"acls", MDB_INTEGERKEY},
};

/* ---- keys */

struct meta_key meta_key_number(uint64_t number)
{
	return (struct meta_key){.size = sizeof(number), .number = number};
}

struct meta_key meta_key_pair(uint64_t a, uint64_t b)
{
	struct meta_key key = {.size = 16};
	struct cursor c;
	cursor_init(&c, key.bytes, sizeof(key.bytes));
	cursor_put_be64(&c, a);
	cursor_put_be64(&c, b);
	return key;
}

struct meta_key meta_key_name(uint64_t a, const void *name, uint32_t size)
{
	struct meta_key key = {.size = 8 + size};
	struct cursor c;
	cursor_init(&c, key.bytes, sizeof(key.bytes));
	cursor_put_be64(&c, a);
	cursor_put_bytes(&c, name, size);
	return key;
}

static uint64_t be64_at(const struct meta_key *key, size_t at)
{
	struct cursor c;
	cursor_init(&c, (void *)(key->bytes + at), key->size - MIN((size_t)key->size, at));
	return cursor_be64(&c);
}

uint64_t meta_key_first(const struct meta_key *key)
{
	return be64_at(key, 0);
}

uint64_t meta_key_second(const struct meta_key *key)
{
	return be64_at(key, 8);
}

MDB_val meta_key_val(const struct meta_key *key)
{
	return (MDB_val){key->size, (void *)key->bytes};
}

bool meta_key_is_number(enum meta_table table)
{
	return tables[table].flags & MDB_INTEGERKEY;
}

/* ---- records */

int meta_error(int rc)
{
	switch (rc) {
	case 0: return 0;
	case MDB_NOTFOUND: return ERR_NOENT;
	case MDB_MAP_FULL: return ERR_NOSPC;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC: return ERR_IO;
	default: return rc > 0 ? err_from_errno(rc) : ERR_IO;
	}
}

uint64_t meta_sum(enum meta_table table, const MDB_val *key, const void *record, size_t size)
{
	uint64_t seed = XXH3_64bits_withSeed(key->mv_data, key->mv_size, (uint64_t)table);
	return XXH3_64bits_withSeed(record, size, seed);
}

static void report(enum meta_table table, const MDB_val *key)
{
	char text[2 * 24 + 1] = "";
	const uint8_t *bytes = key->mv_data;
	for (size_t i = 0; i < MIN(key->mv_size, (size_t)24); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	log_error("damaged record in table %s, key %s", tables[table].name, text);
}

static bool sum_matches(enum meta_table table, const MDB_val *key, const MDB_val *value)
{
	struct cursor c;
	if (value->mv_size < META_HEAD_SIZE + META_SUM_SIZE)
		return false;
	cursor_init(&c, (uint8_t *)value->mv_data + value->mv_size - META_SUM_SIZE, META_SUM_SIZE);
	return cursor_le64(&c) == meta_sum(table, key, value->mv_data, value->mv_size - META_SUM_SIZE);
}

static int check_record(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r)
{
	struct cursor c;
	if (!sum_matches(table, key, value))
		return ERR_IO;
	cursor_init(&c, value->mv_data, META_HEAD_SIZE);
	uint8_t version = cursor_u8(&c);
	cursor_skip(&c, 7);
	r->batch = cursor_le64(&c);
	r->body = (const uint8_t *)value->mv_data + META_HEAD_SIZE;
	r->size = (uint32_t)(value->mv_size - META_HEAD_SIZE - META_SUM_SIZE);
	return version == META_RECORD_VERSION ? 0 : ERR_NOTSUPP;
}

int meta_check(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r)
{
	int err = check_record(table, key, value, r);
	if (err == ERR_IO)
		report(table, key);
	return err;
}

/* ---- readers */

static int reader_get(struct meta *m, MDB_txn **txn)
{
	spin_lock(&m->reader_lock);
	*txn = m->n_readers ? m->readers[--m->n_readers] : NULL;
	spin_unlock(&m->reader_lock);
	int rc = *txn ? mdb_txn_renew(*txn) : mdb_txn_begin(m->env, NULL, MDB_RDONLY, txn);
	return rc == MDB_READERS_FULL ? ERR_DELAY : meta_error(rc);
}

static void reader_put(struct meta *m, MDB_txn *txn)
{
	mdb_txn_reset(txn);
	spin_lock(&m->reader_lock);
	bool room = m->n_readers < META_READERS_MAX;
	if (room)
		m->readers[m->n_readers++] = txn;
	spin_unlock(&m->reader_lock);
	if (!room)
		mdb_txn_abort(txn);
}

int meta_get(struct meta *m, enum meta_table table, const struct meta_key *key, void *value, uint32_t *size)
{
	MDB_val k = meta_key_val(key), v;
	struct meta_record r;
	MDB_txn *txn;
	int err = reader_get(m, &txn);
	if (err)
		return err;
	err = meta_error(mdb_get(txn, m->tables[table], &k, &v));
	if (!err)
		err = meta_check(table, &k, &v, &r);
	if (!err) {
		uint32_t room = *size;
		*size = r.size;
		if (r.size > room)
			err = ERR_TOOSMALL;
		else if (r.size)
			memcpy(value, r.body, r.size);
	}
	reader_put(m, txn);
	return err;
}

/* Whether a record follows the wanted key, or nothing: then the one before counts, if any. */
static int place_cursor(MDB_cursor *cursor, enum meta_from from, const struct meta_key *key, MDB_val *k, MDB_val *v)
{
	*k = meta_key_val(key);
	int rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
	if (from == META_FROM)
		return rc;
	bool exact = rc == 0 && k->mv_size == key->size && memcmp(k->mv_data, key->bytes, key->size) == 0;
	if (exact)
		return 0;
	int before = rc == 0 ? mdb_cursor_get(cursor, k, v, MDB_PREV) : mdb_cursor_get(cursor, k, v, MDB_LAST);
	return before == MDB_NOTFOUND && rc == 0 ? mdb_cursor_get(cursor, k, v, MDB_FIRST) : before;
}

static int visit_all(MDB_cursor *cursor, enum meta_table table, int rc, MDB_val *k, MDB_val *v,
                     meta_visit_fn *visit, void *arg)
{
	struct meta_key key;
	struct meta_record r = {.key = &key};
	for (; rc == 0; rc = mdb_cursor_get(cursor, k, v, MDB_NEXT)) {
		int err = k->mv_size <= META_KEY_MAX ? meta_check(table, k, v, &r) : ERR_IO;
		if (err)
			return err;
		key.size = (uint32_t)k->mv_size;
		memcpy(key.bytes, k->mv_data, k->mv_size);
		if (!visit(arg, &r))
			return 0;
	}
	return rc == MDB_NOTFOUND ? 0 : meta_error(rc);
}

int meta_scan(struct meta *m, enum meta_table table, const struct meta_key *key, enum meta_from from,
              meta_visit_fn *visit, void *arg)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	MDB_txn *txn;
	int err = reader_get(m, &txn);
	if (err)
		return err;
	err = meta_error(mdb_cursor_open(txn, m->tables[table], &cursor));
	if (!err) {
		int rc = place_cursor(cursor, from, key, &k, &v);
		err = visit_all(cursor, table, rc, &k, &v, visit, arg);
		mdb_cursor_close(cursor);
	}
	reader_put(m, txn);
	return err;
}

uint64_t meta_n_records(struct meta *m, enum meta_table table)
{
	MDB_stat st = {.ms_entries = 0};
	MDB_txn *txn;
	if (reader_get(m, &txn))
		return 0;
	mdb_stat(txn, m->tables[table], &st);
	reader_put(m, txn);
	return st.ms_entries;
}

const char *meta_table_name(enum meta_table table)
{
	return tables[table].name;
}

int meta_counter(struct meta *m, uint64_t counter, int64_t *value)
{
	struct meta_key key = meta_key_number(counter);
	uint8_t body[8];
	uint32_t size = sizeof(body);
	struct cursor c;
	int err = meta_get(m, META_COUNTERS, &key, body, &size);
	*value = 0;
	if (err)
		return err == ERR_NOENT ? 0 : err;
	cursor_init(&c, body, size);
	*value = (int64_t)cursor_le64(&c);
	return cursor_failed(&c) ? ERR_IO : 0;
}

/* As it is stored. */
static void show_damaged(const MDB_val *value, struct meta_record *r, int err)
{
	r->err = err;
	if (err) {
		r->body = value->mv_data;
		r->size = (uint32_t)value->mv_size;
		r->batch = 0;
	}
}

static int inspect_all(MDB_cursor *cursor, enum meta_table table, MDB_val *k, meta_visit_fn *visit, void *arg)
{
	struct meta_key key;
	struct meta_record r = {.key = &key};
	MDB_val v;
	int rc = mdb_cursor_get(cursor, k, &v, MDB_SET_RANGE);
	for (; rc == 0; rc = mdb_cursor_get(cursor, k, &v, MDB_NEXT)) {
		if (k->mv_size > META_KEY_MAX)
			return ERR_IO;
		key.size = (uint32_t)k->mv_size;
		memcpy(key.bytes, k->mv_data, k->mv_size);
		show_damaged(&v, &r, check_record(table, k, &v, &r));
		if (!visit(arg, &r))
			return 0;
	}
	return rc == MDB_NOTFOUND ? 0 : meta_error(rc);
}

int meta_inspect(struct meta *m, enum meta_table table, const struct meta_key *key, meta_visit_fn *visit, void *arg)
{
	MDB_val k = meta_key_val(key);
	MDB_cursor *cursor;
	MDB_txn *txn;
	int err = reader_get(m, &txn);
	if (err)
		return err;
	err = meta_error(mdb_cursor_open(txn, m->tables[table], &cursor));
	if (!err) {
		err = inspect_all(cursor, table, &k, visit, arg);
		mdb_cursor_close(cursor);
	}
	reader_put(m, txn);
	return err;
}

/* ---- opening */

void meta_look_at_host(struct meta *m)
{
	struct statvfs st;
	if (fstatvfs(m->dir_fd, &st))
		return;
	m->host_free = (uint64_t)st.f_bavail * st.f_frsize;
	m->host_total = (uint64_t)st.f_blocks * st.f_frsize;
}

static int open_tables(struct meta *m)
{
	MDB_txn *txn;
	bool ro = m->cfg.read_only;
	int rc = mdb_txn_begin(m->env, NULL, ro ? MDB_RDONLY : 0, &txn);
	if (rc)
		return meta_error(rc);
	for (int i = 0; rc == 0 && i < META_N_TABLES; i++)
		rc = mdb_dbi_open(txn, tables[i].name, tables[i].flags | (ro ? 0 : MDB_CREATE), &m->tables[i]);
	if (rc == 0)
		return meta_error(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return meta_error(rc);
}

/*
 * Makes the tables' file under another name first: LMDB writes its first pages without syncing them, and
 * could not open what a loss of power left of them.
 */
static int make_env(struct meta *m)
{
	char path[META_PATH_MAX];
	MDB_env *env;
	if (faccessat(m->dir_fd, TABLES_NAME, F_OK, 0) == 0 || errno != ENOENT)
		return 0;
	if (snprintf(path, sizeof(path), "%s/%s", m->cfg.dir, TABLES_NEW) >= (int)sizeof(path))
		return ERR_NAMETOOLONG;
	if (unlinkat(m->dir_fd, TABLES_NEW, 0) && errno != ENOENT)
		return err_from_errno(errno);
	int rc = mdb_env_create(&env);
	if (rc)
		return meta_error(rc);
	rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, FILE_MODE);
	if (rc == 0)
		rc = mdb_env_sync(env, 1);
	mdb_env_close(env);
	if (rc)
		return meta_error(rc);
	return renameat(m->dir_fd, TABLES_NEW, m->dir_fd, TABLES_NAME) ? err_from_errno(errno) : 0;
}

static int open_env(struct meta *m)
{
	int dead, err = m->cfg.read_only ? 0 : make_env(m);
	if (err)
		return err;
	int rc = mdb_env_create(&m->env);
	if (rc)
		return meta_error(rc);
	mdb_env_set_maxdbs(m->env, META_N_TABLES);
	mdb_env_set_maxreaders(m->env, META_READERS_MAX * 2);
	rc = mdb_env_set_mapsize(m->env, m->cfg.size_max);
	if (rc == 0)
		rc = mdb_env_open(m->env, m->cfg.dir, FLAGS | (m->cfg.read_only ? MDB_RDONLY : 0), FILE_MODE);
	if (rc == 0)
		rc = mdb_reader_check(m->env, &dead);
	return rc ? meta_error(rc) : open_tables(m);
}

/* No batch has a number above that of the engine's last transaction. */
static int batch_of_engine(struct meta *m)
{
	MDB_envinfo info;
	int err = meta_error(mdb_env_info(m->env, &info));
	m->batch = err ? 0 : (int64_t)info.me_last_txnid;
	return err;
}

int meta_open(struct meta **out, const struct meta_config *cfg)
{
	struct meta *m = calloc(1, sizeof(*m));
	if (!m)
		return ERR_NOMEM;
	m->cfg = *cfg;
	m->tail = &m->head;
	m->dir_fd = open(cfg->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = m->dir_fd < 0 ? err_from_errno(errno) : open_env(m);
	if (!err) {
		meta_look_at_host(m);
		err = meta_counter(m, META_BATCH, &m->batch);
		if (err == ERR_IO && cfg->salvage)
			err = batch_of_engine(m);
	}
	if (err) {
		meta_close(m);
		return err;
	}
	*out = m;
	return 0;
}

void meta_close(struct meta *m)
{
	for (uint32_t i = 0; i < m->n_readers; i++)
		mdb_txn_abort(m->readers[i]);
	if (m->env)
		mdb_env_close(m->env);
	if (m->dir_fd >= 0)
		close(m->dir_fd);
	free(m);
}

void meta_raise_batch(struct meta *m, int64_t batch)
{
	m->batch = MAX(m->batch, batch);
}

void meta_stats(struct meta *m, struct meta_stats *st)
{
	*st = (struct meta_stats){m->n_batches, m->n_commits, m->host_free, m->host_total, m->full};
}
