/*
 * Giving back what removed snapshots held: references that outlived their files, then old versions of records, then
 * the snapshot itself; a bounded number of records at a time, by the background worker. Each is judged by the snapshots that
 * are left, so it does not matter how often this begins anew, or how many snapshots were removed meanwhile.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-snapshot.h"
#include "base/cursor.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define LOOKS_AT_ONCE 1024u

enum purge_phase { PURGE_DEAD, PURGE_HISTORY, PURGE_RECORDS };

struct cairn_purge {
	enum purge_phase phase;
	struct meta_key at;     /* where the phase goes on */
	uint64_t *living;       /* batches of the snapshots that are left, ascending */
	uint32_t n_living;
	uint64_t done, total;
};

/* ---- judging */

/* Whether a snapshot from born to last is left. */
static bool is_needed(const struct cairn_purge *p, uint64_t born, uint64_t last)
{
	uint32_t low = 0, high = p->n_living;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (p->living[middle] < born)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->n_living && p->living[low] <= last;
}

struct step {
	struct cairn_purge *p;
	struct meta_txn txn;
	struct cairn_refs refs;
	uint32_t n;
	bool more;
	int err;
};

/* The record after those that were looked at is where the next step begins. */
static bool has_enough(struct step *s, const struct meta_record *r)
{
	s->more = s->n++ == LOOKS_AT_ONCE;
	if (s->more)
		s->p->at = *r->key;
	return s->more;
}

static bool look_at_dead(void *arg, const struct meta_record *r)
{
	struct step *s = arg;
	struct cairn_ref ref;
	uint64_t newest;
	if (has_enough(s, r))
		return false;
	s->err = cairn_dead_decode(r, &newest, &ref);
	if (s->err || is_needed(s->p, ref.born, newest))
		return !s->err;
	meta_delete(&s->txn, META_DEAD, r->key);
	s->err = cairn_refs_add(&s->refs, &ref);
	return !s->err;
}

static bool look_at_version(void *arg, const struct meta_record *r)
{
	struct step *s = arg;
	struct meta_version v;
	if (has_enough(s, r))
		return false;
	if (!meta_history_split(r, &v)) {
		s->err = ERR_IO;
		return false;
	}
	if (!is_needed(s->p, v.born, v.died - 1))
		meta_delete(&s->txn, META_HISTORY, r->key);
	return true;
}

/* ---- steps */

static int commit(struct cairn *fs, struct step *s)
{
	struct cairn_ranges freed = {.n = 0};
	s->refs.alone = s->refs.outlived = true;
	int err = cairn_refs_commit(fs, &s->txn, &s->refs, &freed);
	if (!err) {
		cairn_ranges_discard(fs, &freed);
		cairn_ranges_release(fs, &freed);
		cairn_refund(fs, cairn_ranges_total(&freed));
	}
	cairn_ranges_fini(&freed);
	return err;
}

static int scan_some(struct cairn *fs, struct cairn_purge *p, enum meta_table table, meta_visit_fn *look)
{
	struct step s = {.p = p};
	struct meta_key from = p->at;
	meta_begin(&s.txn);
	s.txn.frees = true;
	int err = meta_scan(fs->meta, table, &from, META_FROM, look, &s);
	err = err ? err : s.err;
	if (err)
		meta_abandon(&s.txn);
	else
		err = commit(fs, &s);
	cairn_refs_fini(&s.refs);
	p->done += s.n;
	if (!err && !s.more) {
		p->phase++;
		p->at = meta_history_start(0);
	}
	return err;
}

static bool is_gone(const struct cairn_snapshot *s)
{
	return s->s.state == SNAPSHOT_DELETING;
}

/* A removal begins the round anew: all that are removed have been purged. */
static int drop_records(struct cairn *fs)
{
	struct cairn_snapshot *s;
	struct meta_txn txn;
	meta_begin(&txn);
	txn.frees = true;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link) {
		struct meta_key key = meta_key_number(s->s.id);
		if (is_gone(s))
			meta_delete(&txn, META_SNAPSHOTS, &key);
	}
	pthread_mutex_unlock(&fs->snapshots_lock);
	int err = meta_commit(fs->meta, &txn);
	pthread_mutex_lock(&fs->snapshots_lock);
	for (struct list *l = fs->snapshots.next; !err && l != &fs->snapshots;) {
		s = list_entry(l, struct cairn_snapshot, link);
		l = l->next;
		if (!is_gone(s))
			continue;
		log_notice("%s: snapshot %s is gone", fs->mount->name, s->s.name);
		list_del(&s->link);
		free(s);
	}
	pthread_mutex_unlock(&fs->snapshots_lock);
	return err;
}

/* ---- rounds */

static bool all_unused(struct cairn *fs)
{
	struct cairn_snapshot *s;
	bool unused = true;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link)
		if (is_gone(s))
			unused = cairn_snapshot_unused(fs, s) && unused;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return unused;
}

static int begin(struct cairn *fs)
{
	struct cairn_purge *p = calloc(1, sizeof(*p));
	int err = p ? cairn_snapshots_living(fs, &p->living, &p->n_living) : ERR_NOMEM;
	if (err) {
		free(p);
		return err;
	}
	p->at = meta_history_start(0);
	p->total = meta_n_records(fs->meta, META_HISTORY) + meta_n_records(fs->meta, META_DEAD);
	fs->purge = p;
	return 0;
}

void cairn_purge_fini(struct cairn *fs)
{
	if (fs->purge)
		free(fs->purge->living);
	free(TAKE(fs->purge));
}

static void show_progress(struct cairn *fs)
{
	struct cairn_snapshot *s;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link) {
		if (!is_gone(s))
			continue;
		s->s.done = fs->purge->done;
		s->s.total = MAX(fs->purge->total, fs->purge->done);
	}
	pthread_mutex_unlock(&fs->snapshots_lock);
}

static int step(struct cairn *fs)
{
	struct cairn_purge *p = fs->purge;
	int err = 0;
	switch (p->phase) {
	case PURGE_DEAD:
		err = scan_some(fs, p, META_DEAD, look_at_dead);
		break;
	case PURGE_HISTORY:
		err = scan_some(fs, p, META_HISTORY, look_at_version);
		break;
	case PURGE_RECORDS:
		err = drop_records(fs);
		cairn_purge_fini(fs);
		fs->purge_wanted = err != 0;
		return err;
	}
	show_progress(fs);
	return err;
}

/* Removing and making snapshots waits for a step, so that none is removed or made within one. */
bool cairn_purge_some(struct cairn *fs)
{
	if (!fs->purge_wanted)
		return false;
	fiber_mutex_lock(&fs->snapshot_mutex);
	bool can = all_unused(fs);
	int err = can && !fs->purge ? begin(fs) : 0;
	if (can && !err)
		err = step(fs);
	fiber_mutex_unlock(&fs->snapshot_mutex);
	if (err && err != fs->purge_err)
		log_error("%s: giving back what snapshots held: %s; tried again", fs->mount->name, err_text(err));
	fs->purge_err = err;
	return can && !err;
}
