/*
 * From memory to the store. A flush allocates, writes, syncs, and commits, in this order; whatever fails before
 * the commit leaves the store and the node as they were. One background fiber per store flushes what has been
 * dirty for some seconds, or earlier when too much is, and reclaims inodes without names.
 */
#include <string.h>

#include "backends/cairn/cairn-cut.h"
#include "backends/cairn/cairn-snapshot.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define AGE_NS (5 * NS_PER_SEC)
#define PERIOD_NS NS_PER_SEC
#define FLUSHES_MAX 32u            /* nodes that are stored at once */
#define PAUSE_NS (100 * NS_PER_MS) /* after a failure */
#define WRITES_MAX 3               /* of what was lost in a sync */
#define TRIES 64                   /* nodes that are looked at for one that nobody holds */

struct flush {
	struct cairn_node *n;
	struct cairn *fs;
	const struct cairn_change *change; /* NULL: none */
	struct meta_txn txn;
	struct cairn_inode inode;          /* as it will be */
	struct cairn_ranges made;          /* blocks of the store that are new */
	struct cairn_ranges gone;          /* blocks of the file that are replaced or unmapped */
	struct cairn_refs refs;            /* to blocks of the store that end or begin with that */
	struct cairn_ranges freed;         /* blocks of the store that nobody uses any more */
	uint64_t n_made;
	uint64_t n_shared;                 /* blocks that another had already */
	bool durable;                      /* what was written needs no sync */
};

/* ---- data */

static int put_extents(struct flush *f)
{
	struct cairn_extent e;
	int err = 0;
	for (uint64_t at = 0; !err && cairn_next_placed(f->n, &at, &e);) {
		struct cairn_range place = {e.place, e.n};
		cairn_put_extent(&f->txn, cairn_ino(f->n), &e);
		cairn_own(&f->txn, &place);
		f->n_made += e.n;
		err = cairn_ranges_add(&f->made, place);
	}
	return err;
}

static uint64_t run_of(struct cairn_node *n, uint64_t first)
{
	uint64_t len = 1;
	while (len < CAIRN_EXTENT_MAX && cairn_dirty_block(n, first + len))
		len++;
	return len;
}

/* A small file without holes needs no block. */
static bool fits_record(const struct flush *f)
{
	uint64_t block = 0;
	return f->n->n_dirty == 1 && f->n->n_placed == 0 && f->inode.n_blocks == 0 && f->inode.attr.size <= CAIRN_INLINE_MAX &&
	       cairn_next_dirty(f->n, &block) && block == 0 && !(f->change && f->change->n_unwritten);
}

static void write_record(struct flush *f)
{
	struct meta_key key = meta_key_number(cairn_ino(f->n));
	f->inode.flags |= CAIRN_INLINE;
	f->inode.inline_size = (uint32_t)f->inode.attr.size;
	meta_put(&f->txn, META_INLINE, &key, cairn_dirty_block(f->n, 0), f->inode.inline_size);
}

static void drop_record(struct flush *f)
{
	struct meta_key key = meta_key_number(cairn_ino(f->n));
	if (!(f->inode.flags & CAIRN_INLINE) || f->gone.n == 0 || f->gone.list[0].first != 0)
		return;
	f->inode.flags &= ~(uint32_t)CAIRN_INLINE;
	f->inode.inline_size = 0;
	meta_delete(&f->txn, META_INLINE, &key);
}

/* ---- the caller's change */

static void put_unwritten(struct flush *f)
{
	for (uint32_t i = 0; f->change && i < f->change->n_unwritten; i++) {
		const struct cairn_extent *e = &f->change->unwritten[i];
		struct cairn_range place = {e->place, e->n};
		cairn_put_extent(&f->txn, cairn_ino(f->n), e);
		cairn_own(&f->txn, &place);
		f->n_made += e->n;
	}
}

static int put_shared(struct flush *f)
{
	int err = 0;
	for (uint32_t i = 0; !err && f->change && i < f->change->n_shared; i++) {
		const struct cairn_extent *e = &f->change->shared[i];
		struct cairn_ref ref = {{e->place, e->n}, cairn_ino(f->n), e->first, 0, 1};
		cairn_put_extent(&f->txn, cairn_ino(f->n), e);
		f->n_shared += e->n;
		f->refs.alone = true;
		err = cairn_refs_add(&f->refs, &ref);
	}
	return err;
}

/* Blocks of the file that lose what they had: those that are written, and the caller's. */
static int collect_gone(struct flush *f, bool writes)
{
	int err = f->change && f->change->unmap.n ? cairn_ranges_add(&f->gone, f->change->unmap) : 0;
	for (uint64_t at = 0, n; writes && !err && cairn_next_dirty(f->n, &at); at += n) {
		n = run_of(f->n, at);
		err = cairn_ranges_add(&f->gone, (struct cairn_range){at, n});
	}
	cairn_ranges_sort(&f->gone);
	return err;
}

/* ---- the transaction */

/* Old extents go before new ones come: they may have the same keys. */
static int build_data(struct flush *f)
{
	bool in_record = fits_record(f);
	int err = in_record ? 0 : cairn_place_dirty(f->n, &f->durable);
	if (!err)
		err = collect_gone(f, !in_record);
	if (err)
		return err;
	drop_record(f);
	err = cairn_unmap(f->n, &f->txn, &f->gone, &f->refs);
	uint64_t ended = cairn_refs_ended(&f->refs);
	if (!err)
		err = put_shared(f);
	if (err)
		return err;
	f->inode.n_blocks += f->n_shared - ended;
	put_unwritten(f);
	if (!in_record)
		return put_extents(f);
	write_record(f);
	return 0;
}

static int build(struct flush *f)
{
	int err = build_data(f);
	if (err)
		return err;
	f->inode.n_blocks += f->n_made;
	/* What was accepted is stored, from the reserve if need be. */
	f->txn.frees = true;
	meta_add(&f->txn, META_N_BLOCKS, (int64_t)f->n_made);
	uint32_t current = f->fs->current;
	if (f->n_made && current != f->fs->current_stored) {
		f->fs->current_stored = current;
		meta_set(&f->txn, META_SEGMENT, current);
	}
	cairn_put_inode(&f->txn, cairn_ino(f->n), &f->inode);
	meta_add(&f->txn, META_N_CUT, ((f->inode.flags & CAIRN_CUT) != 0) - f->n->cut_stored);
	cairn_quota_put(&f->txn, f->n, &f->inode);
	return 0;
}

/* What was dirty is stored now; charges become those of blocks, or are given back. */
static void show(struct flush *f)
{
	struct cairn_node *n = f->n;
	uint64_t unwritten = 0;
	for (uint32_t i = 0; f->change && i < f->change->n_unwritten; i++)
		unwritten += f->change->unwritten[i].n;
	fiber_rwlock_wrlock(&n->data_lock);
	__atomic_store_n(&n->inode.n_blocks, f->inode.n_blocks, __ATOMIC_RELAXED);
	__atomic_store_n(&n->inode.flags, f->inode.flags, __ATOMIC_RELAXED);
	__atomic_store_n(&n->inode.inline_size, f->inode.inline_size, __ATOMIC_RELAXED);
	uint64_t dropped = cairn_drop_dirty(n, 0, CAIRN_BLOCKS_MAX);
	if (f->change && f->change->unmap.n)
		block_drop(f->fs->cache, f->fs->cache_store, cairn_ino(n), f->change->unmap.first,
		           f->change->unmap.first + f->change->unmap.n);
	fiber_rwlock_wrunlock(&n->data_lock);
	n->ids = cairn_ids(&f->inode);
	n->cut_stored = f->inode.flags & CAIRN_CUT;
	cairn_quota_sync(n);
	/* What is overwritten is not worth it: the next write takes those blocks. */
	if (f->change && f->change->unmap.n)
		cairn_ranges_discard(f->fs, &f->freed);
	cairn_ranges_release(f->fs, &f->freed);
	cairn_refund(f->fs, cairn_ranges_total(&f->freed) + dropped - (f->n_made - unwritten));
}

/* What the host could not write it forgets: to sync again would say nothing, so it is written again, ERR_AGAIN. */
static int make_durable(struct flush *f)
{
	int err = f->durable ? 0 : cairn_blocks_sync(f->fs, &f->made);
	/* What was written ahead may have been lost in somebody else's sync. */
	if (!err && f->made.n && f->n->n_lost != f->fs->n_lost)
		err = ERR_IO;
	return err == ERR_IO ? ERR_AGAIN : err;
}

static int flush_locked(struct flush *f)
{
	int err = build(f);
	if (!err)
		err = make_durable(f);
	if (err)
		meta_abandon(&f->txn);
	else
		err = cairn_refs_commit(f->fs, &f->txn, &f->refs, &f->freed);
	if (err)
		cairn_displace_all(f->n);
	else
		show(f);
	cairn_release_stale(f->n);
	return err;
}

static void flush_fini(struct flush *f)
{
	cairn_refs_fini(&f->refs);
	cairn_ranges_fini(&f->made);
	cairn_ranges_fini(&f->gone);
	cairn_ranges_fini(&f->freed);
}

static int flush_once(struct cairn_node *n, const struct cairn_change *change)
{
	struct flush f = {.n = n, .fs = cairn_of(n), .change = change};
	n->changed = false;
	f.refs.alone = n->shares;
	f.inode = cairn_inode_stored(n);
	meta_begin(&f.txn);
	int err = flush_locked(&f);
	if (err)
		n->changed = true;
	n->shares = f.refs.alone;
	flush_fini(&f);
	return err;
}

/* With flush_lock. On a full host what frees takes spare blocks. */
static int flush_node(struct cairn_node *n, const struct cairn_change *change)
{
	int err = ERR_AGAIN;
	for (int i = 0; i < WRITES_MAX && err == ERR_AGAIN; i++)
		err = flush_once(n, change);
	if (err == ERR_NOSPC && change && change->frees) {
		n->use_spare = true;
		err = flush_once(n, change);
		n->use_spare = false;
	}
	return err == ERR_AGAIN ? ERR_IO : err;
}

int cairn_flush(struct cairn_node *n, const struct cairn_change *change)
{
	fiber_mutex_lock(&n->flush_lock);
	int err = flush_node(n, change);
	fiber_mutex_unlock(&n->flush_lock);
	return err;
}

/* Whoever comes while another flushes finds that it was done for both. */
int cairn_flush_dirty(struct cairn_node *n)
{
	fiber_mutex_lock(&n->flush_lock);
	int err = n->n_dirty || n->changed ? flush_node(n, NULL) : 0;
	fiber_mutex_unlock(&n->flush_lock);
	return err;
}

/* ---- the background */

static bool too_much(const struct cairn *fs)
{
	return fs->n_dirty > fs->dirty_max / 2;
}

/* Takes it off the list. Whoever does tells end_flush() the phase. With dirty_lock. */
static void take(struct cairn *fs, struct cairn_node *n, uint32_t *phase)
{
	list_del(&n->dirty_link);
	n->queued = false;
	*phase = fs->flush_phase;
	fs->n_flushing[*phase]++;
}

/* The longest dirty node, if it has been since before that time. */
static struct cairn_node *take_dirty(struct cairn *fs, uint64_t before_ns, uint32_t *phase)
{
	struct cairn_node *n = NULL;
	spin_lock(&fs->dirty_lock);
	if (!list_empty(&fs->dirty))
		n = list_entry(fs->dirty.next, struct cairn_node, dirty_link);
	if (n && n->dirty_since_ns > before_ns)
		n = NULL;
	if (n)
		take(fs, n, phase);
	spin_unlock(&fs->dirty_lock);
	return n;
}

/* The node that was taken is stored, or queued again. */
static void end_flush(struct cairn *fs, uint32_t phase, int err)
{
	fiber_mutex_lock(&fs->flushed_lock);
	spin_lock(&fs->dirty_lock);
	fs->n_flush_errors += err != 0;
	__atomic_store_n(&fs->flush_err, err, __ATOMIC_RELAXED);
	bool last = --fs->n_flushing[phase] == 0;
	spin_unlock(&fs->dirty_lock);
	if (last)
		fiber_cond_broadcast(&fs->flushed);
	fiber_mutex_unlock(&fs->flushed_lock);
}

/* Waits for the flushes that have begun, whose nodes are not on the list. One caller at a time. */
static void wait_for_flushes(struct cairn *fs)
{
	fiber_mutex_lock(&fs->flushed_lock);
	spin_lock(&fs->dirty_lock);
	uint32_t phase = fs->flush_phase;
	fs->flush_phase = !phase;
	spin_unlock(&fs->dirty_lock);
	while (__atomic_load_n(&fs->n_flushing[phase], __ATOMIC_RELAXED))
		fiber_cond_wait(&fs->flushed, &fs->flushed_lock);
	fiber_mutex_unlock(&fs->flushed_lock);
}

/* With the node locked [r], which is given up, and the reference that the list had. */
static int flush_one(struct cairn_node *n, uint32_t phase)
{
	struct vfs_node *node = &n->cached.node;
	struct cairn *fs = cairn_of(n);
	int err = cairn_flush_dirty(n);
	fiber_rwlock_rdunlock(vfs_node_lock(node));
	/* It is tried again and again; only the first time is news. */
	if (err && err != __atomic_load_n(&fs->flush_err, __ATOMIC_RELAXED))
		log_error("inode %llu: %s; its data stays in memory", (unsigned long long)cairn_ino(n), err_text(err));
	if (err)
		cairn_queue(n);
	end_flush(fs, phase, err);
	vfs_node_put(node);
	return err;
}

static uint64_t count_errors(struct cairn *fs)
{
	spin_lock(&fs->dirty_lock);
	uint64_t n = fs->n_flush_errors;
	spin_unlock(&fs->dirty_lock);
	return n;
}

int cairn_flush_all(struct cairn *fs)
{
	struct cairn_node *n;
	uint32_t phase;
	int err = 0;
	fiber_mutex_lock(&fs->flush_all_lock);
	uint64_t n_errors = count_errors(fs);
	/*
	 * Exact: what another thread has queued may be of a time that this loop has not seen yet. What failed and was queued again counts
	 * as an error or is older.
	 */
	uint64_t now = loop_clock_ns(loop_current());
	while (!err && (n = take_dirty(fs, now, &phase))) {
		fiber_rwlock_rdlock(vfs_node_lock(&n->cached.node));
		err = flush_one(n, phase);
	}
	if (!err) {
		wait_for_flushes(fs);
		int last = __atomic_load_n(&fs->flush_err, __ATOMIC_RELAXED);
		err = count_errors(fs) == n_errors ? 0 : last ? last : ERR_IO;
	}
	fiber_mutex_unlock(&fs->flush_all_lock);
	return err;
}

/* The worker waits for no node: who holds it may be waiting for the worker. What is held keeps its place. */
static struct cairn_node *take_unlocked(struct cairn *fs, uint64_t before_ns, uint32_t *phase)
{
	struct cairn_node *found = NULL;
	uint32_t n_tried = 0;
	spin_lock(&fs->dirty_lock);
	for (struct list *at = fs->dirty.next; at != &fs->dirty && n_tried < TRIES && !found; at = at->next, n_tried++) {
		struct cairn_node *n = list_entry(at, struct cairn_node, dirty_link);
		if (n->dirty_since_ns > before_ns)
			break;
		if (fiber_rwlock_tryrdlock(vfs_node_lock(&n->cached.node)))
			found = n;
	}
	if (found)
		take(fs, found, phase);
	spin_unlock(&fs->dirty_lock);
	return found;
}

struct flushing {
	struct cairn_node *n;
	uint32_t phase;
	struct fiber_join *join;
	int *err;
};

static void flush_taken(void *arg)
{
	struct flushing *f = arg;
	int err = flush_one(f->n, f->phase);
	*f->err = err ? err : *f->err;
	fiber_join_done(f->join);
}

/* Several at once: their data is synced and their transactions are committed together. */
static bool flush_some(struct cairn *fs)
{
	uint64_t now = loop_now_ns(loop_current()), aged = now > AGE_NS ? now - AGE_NS : 0;
	struct flushing list[FLUSHES_MAX];
	struct fiber_join join = {.n_running = 0};
	uint32_t n = 0;
	int err = 0;
	for (; n < FLUSHES_MAX; n++) {
		list[n] = (struct flushing){.join = &join, .err = &err};
		list[n].n = take_unlocked(fs, too_much(fs) ? now : aged, &list[n].phase);
		if (!list[n].n)
			break;
		fiber_join_add(&join, 1);
		if (fiber_spawn(flush_taken, &list[n]))
			flush_taken(&list[n]);
	}
	fiber_join_wait(&join);
	if (err)
		fiber_sleep_ns(PAUSE_NS);
	return n > 0;
}

static void work(void *arg)
{
	struct cairn *fs = arg;
	fiber_mutex_lock(&fs->work_lock);
	while (!fs->stopping) {
		fiber_mutex_unlock(&fs->work_lock);
		bool did = flush_some(fs);
		did = cairn_reclaim_some(fs) || did;
		did = cairn_purge_some(fs) || did;
		did = cairn_cut_some(fs) || did;
		did = cairn_host_room(fs) || did;
		cairn_spare_fill(fs);
		fiber_mutex_lock(&fs->work_lock);
		if (did || fs->stopping)
			continue;
		fs->n_idle++;
		fiber_cond_broadcast(&fs->idle);
		fiber_cond_timedwait(&fs->work, &fs->work_lock, loop_now_ns(loop_current()) + PERIOD_NS);
	}
	fiber_mutex_unlock(&fs->work_lock);
	fiber_join_done(&fs->worker);
}

bool cairn_make_room(struct cairn *fs, uint64_t wait_ns)
{
	uint64_t until = loop_now_ns(loop_current()) + wait_ns, before = fs->n_orphans, n_rooms = fs->n_rooms;
	if ((before == 0 && !fs->wants_room) || fs->mount->read_only)
		return false;
	fiber_mutex_lock(&fs->work_lock);
	/* A round that is under way may have passed by what was just removed. */
	for (uint64_t target = fs->n_idle + 2; fs->n_idle < target && !fs->stopping;) {
		fiber_cond_broadcast(&fs->work);
		if (fiber_cond_timedwait(&fs->idle, &fs->work_lock, until))
			break;
	}
	fiber_mutex_unlock(&fs->work_lock);
	meta_refresh(fs->meta, 0);
	return fs->n_orphans < before || fs->n_rooms != n_rooms;
}

int cairn_work_start(struct cairn *fs)
{
	fs->stopping = false;
	fiber_join_add(&fs->worker, 1);
	int err = fiber_start(loop_current(), work, fs);
	if (err)
		fiber_join_done(&fs->worker);
	return err;
}

void cairn_work_stop(struct cairn *fs)
{
	fiber_mutex_lock(&fs->work_lock);
	fs->stopping = true;
	fiber_cond_broadcast(&fs->work);
	fiber_mutex_unlock(&fs->work_lock);
	fiber_join_wait(&fs->worker);
}

int cairn_throttle(struct cairn_node *n)
{
	struct cairn *fs = cairn_of(n);
	if (likely(!too_much(fs)))
		return 0;
	fiber_cond_signal(&fs->work);
	return fs->n_dirty > fs->dirty_max ? cairn_flush(n, NULL) : 0;
}
