/*
 * Opening and reading. What is in memory is newer than the tables, so it is looked at first.
 */
#include "backends/cairn/cairn-meta-impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "backends/cairn/cairn-check-page.h"
#include "base/cursor.h"
#include "base/log.h"
#include "loop/loop.h"

LOG_MODULE("cairn");

#define FILE_MODE 0600
#define TABLES_NEW "data.new"
#define META_PATH_MAX 4096
#define OVERLAY_MAX (8ULL << 20) /* of each of two */
#define OVERLAY_SHARE 64 /* of the room for tables */
#define PAGE_BYTES 4096u
#define VALUE_MAX (META_BODY_MAX + META_HEAD_SIZE + META_SUM_SIZE)
#define PAGE_HEAD 16u      /* of a row of pages that a large value has; its last bytes: */
#define PAGE_COUNT_SIZE 4u /* how many */
#define FLAGS (MDB_NORDAHEAD | MDB_NOTLS | MDB_NOMEMINIT)

static const struct {
	const char *name;
	unsigned flags;
	bool latest; /* only that: old versions are not kept */
} tables[META_N_TABLES] = {
	[META_INODES] = {"inodes", MDB_INTEGERKEY}, [META_ENTRIES] = {"entries", 0},
	[META_ORDER] = {"order", 0},                [META_INLINE] = {"inline", MDB_INTEGERKEY},
	[META_EXTENTS] = {"extents", 0},            [META_XATTRS] = {"xattrs", 0},
	[META_ORPHANS] = {"orphans", MDB_INTEGERKEY}, [META_SPACE] = {"space", MDB_INTEGERKEY, true},
	[META_COUNTERS] = {"counters", MDB_INTEGERKEY, true}, [META_FOLDED] = {"folded", 0},
	[META_STREAMS] = {"streams", 0},
	[META_ACLS] = {"acls", MDB_INTEGERKEY},     [META_QUOTAS] = {"quotas", 0, true},
	[META_SNAPSHOTS] = {"snapshots", MDB_INTEGERKEY, true},
	[META_HISTORY] = {"history", 0, true},      [META_DEAD] = {"dead", 0, true},
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

bool meta_is_versioned(enum meta_table table)
{
	return !tables[table].latest;
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

/*
 * Where a value ends is told by its page, which has no checksum. A large one begins behind the head of its row of pages, which
 * tells how many there are; others are within one page, and not at its beginning.
 */
bool meta_is_within(const MDB_val *value)
{
	uint64_t at = (uintptr_t)value->mv_data % PAGE_BYTES;
	struct cursor c;
	if (at != PAGE_HEAD)
		return at + value->mv_size <= PAGE_BYTES;
	cursor_init(&c, (uint8_t *)value->mv_data - PAGE_COUNT_SIZE, PAGE_COUNT_SIZE);
	return value->mv_size <= VALUE_MAX && PAGE_HEAD + value->mv_size <= (uint64_t)cursor_le32(&c) * PAGE_BYTES;
}

static bool sum_matches(enum meta_table table, const MDB_val *key, const MDB_val *value)
{
	struct cursor c;
	if (value->mv_size < META_HEAD_SIZE + META_SUM_SIZE || value->mv_size > VALUE_MAX)
		return false;
	cursor_init(&c, (uint8_t *)value->mv_data + value->mv_size - META_SUM_SIZE, META_SUM_SIZE);
	return cursor_le64(&c) == meta_sum(table, key, value->mv_data, value->mv_size - META_SUM_SIZE);
}

static int check_sum(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r)
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

int meta_check_quietly(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r)
{
	return meta_is_within(value) ? check_sum(table, key, value, r) : ERR_IO;
}

int meta_check(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r)
{
	int err = meta_check_quietly(table, key, value, r);
	if (err == ERR_IO)
		report(table, key);
	return err;
}

int meta_check_changing(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r)
{
	int err = check_sum(table, key, value, r);
	if (err == ERR_IO)
		report(table, key);
	return err;
}

/* ---- reading */

static int answer(const uint8_t *body, uint32_t size, void *value, uint32_t *room)
{
	bool fits = size <= *room;
	if (fits && size)
		memcpy(value, body, size);
	*room = size;
	return fits ? 0 : ERR_TOOSMALL;
}

/* The newest record in memory: what was found, ERR_NOENT if it was deleted, ERR_AGAIN if the tables have to be asked. */
static int get_dirty(struct meta *m, enum meta_table table, const struct meta_key *key, void *value, uint32_t *size)
{
	struct meta_probe probe = meta_probe_of(table, key->bytes, key->size);
	int err = ERR_AGAIN;
	pthread_rwlock_rdlock(&m->state);
	const struct meta_dirty *d = overlay_find(m->active, table, &probe);
	if (!d && m->applying)
		d = overlay_find(m->applying, table, &probe);
	if (d && meta_lost(m, d))
		err = m->failed;
	else if (d)
		err = d->deleted ? ERR_NOENT : answer(dirty_body(d), d->size, value, size);
	pthread_rwlock_unlock(&m->state);
	return err;
}

static int get_stored(struct meta *m, enum meta_table table, const struct meta_key *key, void *value, uint32_t *size)
{
	MDB_val k = meta_key_val(key), v;
	struct meta_record r;
	MDB_txn *txn;
	int err = meta_reader_get(m, &txn);
	if (err)
		return err;
	err = meta_error(mdb_get(txn, m->tables[table], &k, &v));
	if (!err)
		err = meta_check(table, &k, &v, &r);
	if (!err)
		err = answer(r.body, r.size, value, size);
	meta_reader_put(m, txn);
	return err;
}

/* In this order: what leaves memory meanwhile is in the tables before it does. */
int meta_get(struct meta *m, enum meta_table table, const struct meta_key *key, void *value, uint32_t *size)
{
	int err = m->base ? meta_view_get(m, table, key, value, size) : get_dirty(m, table, key, value, size);
	return err == ERR_AGAIN ? get_stored(m, table, key, value, size) : err;
}

uint64_t meta_n_records(struct meta *m, enum meta_table table)
{
	MDB_stat st = {.ms_entries = 0};
	MDB_txn *txn;
	if (meta_reader_get(m, &txn))
		return 0;
	mdb_stat(txn, m->tables[table], &st);
	meta_reader_put(m, txn);
	return st.ms_entries;
}

const char *meta_table_name(enum meta_table table)
{
	return tables[table].name;
}

int meta_counter(struct meta *m, uint64_t counter, int64_t *value)
{
	if (counter >= META_COUNTERS_MAX)
		return ERR_INVAL;
	pthread_rwlock_rdlock(&m->state);
	*value = m->counters[counter];
	pthread_rwlock_unlock(&m->state);
	return 0;
}

/* ---- opening */

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
	if (faccessat(m->dir_fd, META_TABLES_NAME, F_OK, 0) == 0 || errno != ENOENT)
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
	return renameat(m->dir_fd, TABLES_NEW, m->dir_fd, META_TABLES_NAME) ? err_from_errno(errno) : 0;
}

/* LMDB trusts its pages: who looks for damage has looked at them before. */
static int look_at_pages(struct meta *m)
{
	uint64_t bad;
	int err = m->cfg.salvage ? 0 : page_look(m->dir_fd, META_TABLES_NAME, &bad);
	if (err == ERR_IO)
		log_error("%s/" META_TABLES_NAME ": the page at byte %llu is damaged; fsck.cairn(8) repairs it", m->cfg.dir, (unsigned long long)bad);
	return err;
}

static int open_env(struct meta *m)
{
	int dead, err = m->cfg.read_only ? 0 : make_env(m);
	if (!err)
		err = look_at_pages(m);
	if (err)
		return err;
	if (!m->cfg.read_only)
		meta_allocate_locks(m);
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

static int open_job(void *arg)
{
	struct meta *m = arg;
	m->dir_fd = open(m->cfg.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = m->dir_fd < 0 ? err_from_errno(errno) : open_env(m);
	if (!err)
		err = meta_room_open(m);
	if (!err) {
		meta_readers_retire(m);
		meta_measure(m);
	}
	return err;
}

struct counting {
	struct meta *m;
	bool damaged;
	bool no_memory;
};

static bool take_counter(void *arg, const struct meta_record *r)
{
	struct counting *k = arg;
	struct meta *m = k->m;
	struct cursor c;
	if (r->err) {
		k->damaged = true;
		return true;
	}
	cursor_init(&c, (void *)r->body, r->size);
	int64_t *value = meta_counter_at(m, r->key->number);
	if (value)
		*value = (int64_t)cursor_le64(&c);
	k->no_memory |= !value;
	return value != NULL;
}

static int read_counters(struct meta *m)
{
	struct meta_key first = meta_key_number(0);
	struct counting k = {m, false, false};
	int err = meta_inspect(m, META_COUNTERS, &first, take_counter, &k);
	if (k.no_memory)
		return ERR_NOMEM;
	return err ? err : k.damaged ? ERR_IO : 0;
}

/* As large as the one before. */
static uint64_t journal_size(int dir_fd)
{
	struct stat st;
	if (fstatat(dir_fd, JOURNAL_NAME, &st, 0))
		return JOURNAL_SIZE_DEFAULT;
	uint64_t size = (uint64_t)st.st_size - MIN((uint64_t)st.st_size, 2ULL * JOURNAL_BLOCK);
	return size >= JOURNAL_SIZE_MIN && size <= JOURNAL_SIZE_MAX ? size : JOURNAL_SIZE_DEFAULT;
}

/* The journal lies beside the directory of the tables. */
static int open_journal(struct meta *m)
{
	int up = openat(m->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = up < 0 ? err_from_errno(errno) : journal_open(&m->journal, up, m->cfg.read_only);
	/* What it had is lost. */
	if ((err == ERR_IO || err == ERR_NOENT) && m->cfg.salvage && !m->cfg.read_only) {
		journal_close(&m->journal);
		m->salvaged = true;
		err = journal_create(up, journal_size(up));
		if (!err)
			err = journal_open(&m->journal, up, false);
	}
	if (up >= 0)
		close(up);
	return err;
}

/* No batch has a number above that of the engine's last transaction and what the journal has; where it goes on is not known. */
static void begin_anew(struct meta *m)
{
	MDB_envinfo info = {.me_last_txnid = 0};
	log_error("%s: what only the journal had is lost", m->cfg.dir);
	mdb_env_info(m->env, &info);
	uint64_t last = m->journal.file ? journal_last(&m->journal) : 0;
	m->applied = m->durable = m->last = MAX(last, (uint64_t)info.me_last_txnid);
	m->batch = m->durable + 1;
	journal_restart(&m->journal, m->durable);
	m->by_journal = m->salvaged = true;
}

static int recover(struct meta *m)
{
	int err = read_counters(m);
	if (!err || m->cfg.salvage) {
		int journal_err = open_journal(m);
		err = err ? err : journal_err;
	}
	if (!err)
		err = meta_replay(m);
	if (err && m->cfg.salvage) {
		begin_anew(m);
		err = 0;
	}
	return err;
}

static bool note_last(void *arg, const struct meta_record *r)
{
	*(uint64_t *)arg = r->key->number;
	return false;
}

static bool note_each(void *arg, const struct meta_record *r)
{
	note_last(arg, r);
	return true;
}

/* Before anything is applied. */
static int find_keep(struct meta *m)
{
	struct meta_key last = meta_key_number(UINT64_MAX);
	struct meta_key first = meta_key_number(0);
	uint64_t keep = 0;
	/* Who looks for damage opens the store in spite of it. */
	int err = m->cfg.salvage ? meta_inspect(m, META_SNAPSHOTS, &first, note_each, &keep)
	                         : meta_scan(m, META_SNAPSHOTS, &last, META_FROM_OR_BEFORE, note_last, &keep);
	m->keep = keep;
	return err;
}

/* From now on the tables say where the journal goes on. */
static int settle_anew(struct meta *m)
{
	struct meta_txn txn;
	meta_begin(&txn);
	txn.frees = true;
	meta_set(&txn, META_BATCH, (int64_t)m->durable);
	return meta_commit(m, &txn);
}

static void init(struct meta *m, const struct meta_config *cfg)
{
	m->cfg = *cfg;
	m->cfg.dir = strdup(cfg->dir);
	m->dir_fd = m->room_fd = -1;
	m->active = &m->overlays[0];
	m->batch = 1;
	m->overlay_max = MIN(cfg->size_max / OVERLAY_SHARE, OVERLAY_MAX);
	m->overlay_max = MAX(m->overlay_max, META_OVERLAY_MIN);
	pthread_rwlock_init(&m->state, NULL);
	pthread_mutex_init(&m->room_lock, NULL);
	meta_counters_init(m);
}

int meta_open(struct meta **out, const struct meta_config *cfg)
{
	struct meta *m = calloc(1, sizeof(*m));
	if (!m)
		return ERR_NOMEM;
	init(m, cfg);
	int err = m->cfg.dir ? loop_block(open_job, m) : ERR_NOMEM;
	if (!err && !cfg->read_only)
		err = file_sync_dir(m->dir_fd);
	if (!err)
		err = recover(m);
	if (!err)
		err = find_keep(m);
	if (!err && !cfg->read_only)
		err = meta_applier_start(m);
	m->running = !err && !cfg->read_only;
	if (m->running && m->by_journal)
		err = settle_anew(m);
	if (err) {
		meta_close(m);
		return err;
	}
	meta_warm_start(m);
	*out = m;
	return 0;
}

static int close_job(void *arg)
{
	struct meta *m = arg;
	meta_readers_close(m);
	if (m->env)
		mdb_env_close(m->env);
	if (m->room_fd >= 0)
		close(m->room_fd);
	if (m->dir_fd >= 0)
		close(m->dir_fd);
	return 0;
}

void meta_close(struct meta *m)
{
	uint64_t batch;
	if (m->base) {
		free(m);
		return;
	}
	meta_warm_stop(m);
	if (m->running) {
		meta_checkpoint(m, &batch);
		meta_applier_stop(m);
	}
	journal_close(&m->journal);
	loop_block(close_job, m);
	journal_buffer_fini(&m->gathered);
	journal_buffer_fini(&m->spare);
	for (size_t i = 0; i < ARRAY_SIZE(m->overlays); i++)
		overlay_fini(&m->overlays[i]);
	pthread_rwlock_destroy(&m->state);
	pthread_mutex_destroy(&m->room_lock);
	meta_counters_fini(m);
	free((void *)m->cfg.dir);
	free(m);
}

/* The journal goes on without a gap, so the next batch goes by it. */
void meta_raise_batch(struct meta *m, uint64_t batch)
{
	pthread_rwlock_wrlock(&m->state);
	if (batch >= m->batch) {
		m->batch = batch + 1;
		m->durable = m->last = batch;
		journal_restart(&m->journal, batch);
		m->by_journal = true;
	}
	pthread_rwlock_unlock(&m->state);
}

bool meta_has_failed(const struct meta *m)
{
	return m->failed;
}

bool meta_was_mended(const struct meta *m)
{
	return m->journal.mended;
}

bool meta_was_salvaged(const struct meta *m)
{
	return m->salvaged;
}

void meta_stats(struct meta *m, struct meta_stats *st)
{
	*st = (struct meta_stats){
		.n_batches = m->n_batches, .n_commits = m->n_commits, .host_free = m->host_free, .host_total = m->host_total,
		.full = m->full, .n_journal_errors = m->n_journal_errors, .n_table_errors = m->n_table_errors,
		.waiting = m->trouble || m->stuck, .failed = m->failed};
}

/* Which overlay is which does not matter here, and a number that is just changing may be told or not. */
void meta_sizes(struct meta *m, struct meta_sizes *sizes)
{
	MDB_envinfo info = {.me_last_pgno = 0};
	mdb_env_info(m->env, &info);
	sizes->tables_bytes = (info.me_last_pgno + 1) * PAGE_BYTES;
	sizes->warmed_bytes = m->warmed;
	sizes->overlay_bytes = __atomic_load_n(&m->overlays[0].size, __ATOMIC_RELAXED) +
	                       __atomic_load_n(&m->overlays[1].size, __ATOMIC_RELAXED);
	sizes->overlay_max_bytes = 2 * m->overlay_max;
	sizes->journal_bytes = 2 * m->journal.segment_size;
}
