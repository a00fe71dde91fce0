/*
 * Tables made anew from what is legible of the old ones. A record's checksum tells its table; of several versions of a record,
 * which old pages may have, the newest counts. One flipped bit is flipped back on the way.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/cairn/cairn-check-page.h"
#include "backends/cairn/cairn-meta-impl.h"
#include "base/cursor.h"

#define FILE_MODE 0600
#define AT_ONCE 4096u /* records of one transaction */

struct salvage {
	struct check *c;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi tables[META_N_TABLES];
	uint32_t n;
	int rc;
};

static uint64_t batch_of(const MDB_val *v)
{
	struct cursor c;
	cursor_init(&c, v->mv_data, v->mv_size);
	cursor_skip(&c, 8);
	return cursor_le64(&c);
}

static int begin(struct salvage *s)
{
	int rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
	for (int i = 0; rc == 0 && i < META_N_TABLES; i++)
		rc = mdb_dbi_open(s->txn, meta_table_name(i), MDB_CREATE | (meta_key_is_number(i) ? MDB_INTEGERKEY : 0), &s->tables[i]);
	return rc;
}

static void put(struct salvage *s, int table, MDB_val *key, MDB_val *value)
{
	MDB_val old;
	if (mdb_get(s->txn, s->tables[table], key, &old) == 0 && batch_of(&old) >= batch_of(value))
		return;
	s->rc = mdb_put(s->txn, s->tables[table], key, value, 0);
	if (s->rc || ++s->n % AT_ONCE)
		return;
	s->rc = mdb_txn_commit(s->txn);
	s->txn = NULL;
	if (s->rc == 0)
		s->rc = begin(s);
}

static bool is_of(int table, const struct meta_key *key, const uint8_t *value, uint32_t size)
{
	MDB_val k = meta_key_val(key), v = {size, (void *)value};
	struct meta_record r = {.key = key};
	return meta_check_quietly(table, &k, &v, &r) == 0;
}

bool page_record_checks(int table, const struct meta_record *r)
{
	return is_of(table, r->key, r->body, r->size);
}

static int table_of(int table, const struct meta_key *key, const uint8_t *value, uint32_t size)
{
	if (table >= 0 && is_of(table, key, value, size))
		return table;
	for (int i = 0; i < META_N_TABLES; i++)
		if (is_of(i, key, value, size))
			return i;
	return PAGE_NO_TABLE;
}

/* A damaged one is kept out; what a flipped bit explains is put as it was, header and checksum too. */
static void put_mended(struct salvage *s, int table, const struct meta_key *key, const uint8_t *value, uint32_t size)
{
	struct meta_record r = {.key = key, .body = value, .size = size, .err = ERR_IO};
	struct check_mended m;
	if (table < 0)
		return;
	if (!cairn_record_mend(table, &r, &m)) {
		check_found_record(s->c, CHECK_RECORD, table, key, 0);
		return;
	}
	check_found_record(s->c, CHECK_RECORD_BIT, table, &m.key, 0);
	MDB_val k = meta_key_val(&m.key), v = {size, m.bytes};
	put(s, table, &k, &v);
}

static void take(void *arg, int table, const void *key_bytes, uint32_t key_size, const uint8_t *value, uint32_t size)
{
	struct salvage *s = arg;
	struct meta_key key = {.size = key_size};
	if (s->rc || key_size > META_KEY_MAX)
		return;
	memcpy(key.bytes, key_bytes, key_size);
	int real = table_of(table, &key, value, size);
	MDB_val k = meta_key_val(&key), v = {size, (void *)value};
	if (real >= 0)
		put(s, real, &k, &v);
	else
		put_mended(s, table, &key, value, size);
}

static int open_new(struct salvage *s, char *path, size_t room)
{
	if (snprintf(path, room, "%s/" TABLES_SALVAGED, s->c->o->path) >= (int)room)
		return ENAMETOOLONG;
	if (unlink(path) && errno != ENOENT)
		return errno;
	int rc = mdb_env_create(&s->env);
	if (rc)
		return rc;
	mdb_env_set_maxdbs(s->env, META_N_TABLES);
	rc = mdb_env_set_mapsize(s->env, s->c->super.meta_size);
	return rc ? rc : mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NORDAHEAD, FILE_MODE);
}

static int end(struct salvage *s)
{
	if (s->rc == 0)
		s->rc = mdb_txn_commit(s->txn);
	else if (s->txn)
		mdb_txn_abort(s->txn);
	if (s->rc == 0)
		s->rc = mdb_env_sync(s->env, 1);
	if (s->env)
		mdb_env_close(s->env);
	return meta_error(s->rc);
}

int page_salvage(struct check *c, struct page_file *f)
{
	struct salvage s = {.c = c};
	char path[4096];
	s.rc = open_new(&s, path, sizeof(path));
	if (s.rc == 0)
		s.rc = begin(&s);
	if (s.rc == 0)
		page_walk(f, NULL, take, &s);
	if (s.rc == 0 && f->incomplete)
		page_strays(f, take, &s);
	return end(&s);
}
