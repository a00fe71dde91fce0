/*
 * Scans: the tables merged with what is in memory, where a newer record hides older ones of its key and a deleted one
 * shows nothing. The state is held throughout, so that all is of one moment.
 */
#include <string.h>

#include "backends/cairn/cairn-meta-impl.h"

/* One step of all sources. The tables' record counts if there is none in memory that is as near. */
struct merge {
	struct meta *m;
	enum meta_table table;
	bool lenient;             /* damaged records are shown */
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc;                   /* of the cursor: MDB_NOTFOUND at the end */
	struct meta_dirty *dirty[2]; /* of the active overlay, of the one that is applied */
	struct meta_probe stored; /* k, as long as rc is 0 */
};

static const struct meta_overlay *overlay_of(const struct meta *m, int i)
{
	return i == 0 ? m->active : m->applying;
}

static void note_stored(struct merge *g)
{
	if (g->rc == 0)
		g->stored = meta_probe_of(g->table, g->k.mv_data, (uint32_t)g->k.mv_size);
}

/* ---- where to begin */

static void seek_from(struct merge *g, const struct meta_probe *key)
{
	g->k = (MDB_val){key->size, (void *)key->bytes};
	g->rc = mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_SET_RANGE);
	note_stored(g);
	for (int i = 0; i < 2; i++)
		g->dirty[i] = overlay_of(g->m, i) ? overlay_from(overlay_of(g->m, i), g->table, key) : NULL;
}

static void seek_upto(struct merge *g, const struct meta_probe *key)
{
	g->k = (MDB_val){key->size, (void *)key->bytes};
	g->rc = mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_SET_RANGE);
	note_stored(g);
	if (g->rc == MDB_NOTFOUND)
		g->rc = mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_LAST);
	else if (g->rc == 0 && meta_probe_cmp(&g->stored, key) != 0)
		g->rc = mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_PREV);
	note_stored(g);
	for (int i = 0; i < 2; i++)
		g->dirty[i] = overlay_of(g->m, i) ? overlay_upto(overlay_of(g->m, i), g->table, key) : NULL;
}

/* The nearest key of all sources, forwards or backwards; false: they are at their ends. */
static bool nearest(const struct merge *g, int sign, struct meta_probe *key)
{
	bool any = g->rc == 0;
	if (any)
		*key = g->stored;
	for (int i = 0; i < 2; i++) {
		if (!g->dirty[i])
			continue;
		struct meta_probe p = dirty_probe(g->dirty[i]);
		if (!any || meta_probe_cmp(&p, key) * sign < 0)
			*key = p;
		any = true;
	}
	return any;
}

static bool is_at(const struct merge *g, int i, const struct meta_probe *key)
{
	struct meta_probe p;
	if (!g->dirty[i])
		return false;
	p = dirty_probe(g->dirty[i]);
	return meta_probe_cmp(&p, key) == 0;
}

/* What counts of that key: NULL the tables' record. */
static struct meta_dirty *newest(const struct merge *g, const struct meta_probe *key)
{
	return is_at(g, 0, key) ? g->dirty[0] : is_at(g, 1, key) ? g->dirty[1] : NULL;
}

/* All sources that stand at key go on. */
static void step(struct merge *g, const struct meta_probe *key, int sign)
{
	for (int i = 0; i < 2; i++)
		if (is_at(g, i, key))
			g->dirty[i] = sign > 0 ? overlay_next(g->dirty[i]) : overlay_prev(g->dirty[i]);
	if (g->rc == 0 && meta_probe_cmp(&g->stored, key) == 0) {
		g->rc = mdb_cursor_get(g->cursor, &g->k, &g->v, sign > 0 ? MDB_NEXT : MDB_PREV);
		note_stored(g);
	}
}

/* The last key that is not after *key and not deleted takes its place, if there is one. */
static void look_back(struct merge *g, const struct meta_key *from, struct meta_key *key)
{
	struct meta_probe probe = meta_probe_of(g->table, from->bytes, from->size), at;
	*key = *from;
	seek_upto(g, &probe);
	while (nearest(g, -1, &at)) {
		const struct meta_dirty *d = newest(g, &at);
		if (d && d->deleted) {
			step(g, &at, -1);
			continue;
		}
		key->size = MIN(at.size, META_KEY_MAX);
		memcpy(key->bytes, at.bytes, key->size);
		return;
	}
}

/* ---- visiting */

static int show_dirty(struct merge *g, const struct meta_dirty *d, struct meta_record *r)
{
	if (meta_lost(g->m, d))
		return g->m->failed;
	r->body = dirty_body(d);
	r->size = d->size;
	r->batch = d->batch;
	r->err = 0;
	return 0;
}

static int show_stored(struct merge *g, struct meta_record *r)
{
	if (!g->lenient) {
		r->err = 0;
		return meta_check(g->table, &g->k, &g->v, r);
	}
	r->err = meta_check_quietly(g->table, &g->k, &g->v, r);
	if (r->err) {
		r->body = g->v.mv_data;
		r->size = meta_is_within(&g->v) ? (uint32_t)g->v.mv_size : 0;
		r->batch = 0;
	}
	return 0;
}

static int visit_all(struct merge *g, meta_visit_fn *visit, void *arg)
{
	struct meta_key key;
	struct meta_record r = {.key = &key};
	struct meta_probe at;
	for (; nearest(g, 1, &at); step(g, &at, 1)) {
		const struct meta_dirty *d = newest(g, &at);
		if (d && d->deleted)
			continue;
		if (at.size > META_KEY_MAX)
			return ERR_IO;
		key.size = at.size;
		memcpy(key.bytes, at.bytes, at.size);
		int err = d ? show_dirty(g, d, &r) : show_stored(g, &r);
		if (err)
			return err;
		if (!visit(arg, &r))
			return 0;
	}
	return g->rc == MDB_NOTFOUND ? 0 : meta_error(g->rc);
}

static int scan(struct merge *g, const struct meta_key *from, bool before, meta_visit_fn *visit, void *arg)
{
	struct meta_key key;
	MDB_txn *txn;
	int err = meta_reader_get(g->m, &txn);
	if (err)
		return err;
	err = meta_error(mdb_cursor_open(txn, g->m->tables[g->table], &g->cursor));
	if (!err) {
		if (before)
			look_back(g, from, &key);
		else
			key = *from;
		struct meta_probe probe = meta_probe_of(g->table, key.bytes, key.size);
		seek_from(g, &probe);
		err = visit_all(g, visit, arg);
		mdb_cursor_close(g->cursor);
	}
	meta_reader_put(g->m, txn);
	return err;
}

int meta_scan(struct meta *m, enum meta_table table, const struct meta_key *key, enum meta_from from,
              meta_visit_fn *visit, void *arg)
{
	struct merge g = {.m = m, .table = table};
	if (m->base)
		return meta_view_scan(m, table, key, from, visit, arg);
	pthread_rwlock_rdlock(&m->state);
	int err = scan(&g, key, from == META_FROM_OR_BEFORE, visit, arg);
	pthread_rwlock_unlock(&m->state);
	return err;
}

int meta_inspect(struct meta *m, enum meta_table table, const struct meta_key *key, meta_visit_fn *visit, void *arg)
{
	struct merge g = {.m = m, .table = table, .lenient = true};
	if (m->base)
		return meta_view_scan(m, table, key, META_FROM, visit, arg);
	pthread_rwlock_rdlock(&m->state);
	int err = scan(&g, key, false, visit, arg);
	pthread_rwlock_unlock(&m->state);
	return err;
}
