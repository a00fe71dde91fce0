/*
 * Reader transactions. As long as the tables don't change, they are handed on as they are: beginning one costs as much
 * as a search, for it has to find each table's root anew. When the tables have changed all that nobody uses are reset,
 * and the others once they come back: a reader of an old version would keep its pages from being reused.
 */
#include "backends/cairn/cairn-meta-impl.h"

int meta_reader_get(struct meta *m, MDB_txn **txn)
{
	struct meta_readers *r = &m->readers;
	spin_lock(&r->lock);
	bool live = r->n_live > 0;
	*txn = r->n ? r->idle[--r->n] : NULL;
	r->n_live -= live;
	spin_unlock(&r->lock);
	if (live)
		return 0;
	int rc = *txn ? mdb_txn_renew(*txn) : mdb_txn_begin(m->env, NULL, MDB_RDONLY, txn);
	return rc == MDB_READERS_FULL ? ERR_DELAY : meta_error(rc);
}

/* Live ones behind the others. */
static void keep(struct meta_readers *r, MDB_txn *txn)
{
	uint32_t first_live = r->n - r->n_live;
	if (mdb_txn_id(txn) == r->version) {
		r->idle[r->n] = txn;
		r->n_live++;
	} else {
		mdb_txn_reset(txn);
		r->idle[r->n] = r->idle[first_live];
		r->idle[first_live] = txn;
	}
	r->n++;
}

void meta_reader_put(struct meta *m, MDB_txn *txn)
{
	struct meta_readers *r = &m->readers;
	spin_lock(&r->lock);
	bool room = r->n < META_READERS_MAX;
	if (room)
		keep(r, txn);
	spin_unlock(&r->lock);
	if (!room)
		mdb_txn_abort(txn);
}

void meta_readers_retire(struct meta *m)
{
	struct meta_readers *r = &m->readers;
	MDB_envinfo info = {.me_last_txnid = 0};
	mdb_env_info(m->env, &info);
	spin_lock(&r->lock);
	for (; r->n_live; r->n_live--)
		mdb_txn_reset(r->idle[r->n - r->n_live]);
	r->version = info.me_last_txnid;
	spin_unlock(&r->lock);
}

void meta_readers_close(struct meta *m)
{
	for (uint32_t i = 0; i < m->readers.n; i++)
		mdb_txn_abort(m->readers.idle[i]);
}
