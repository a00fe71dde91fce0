/*
 * Inodes without names. Losing the last name makes an orphan, in the same transaction; once nobody uses it, the
 * background worker takes its extents, attributes and inode out, in transactions of bounded size, the orphan's record
 * with the last. What a crash leaves is found at the next mount.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-cut.h"
#include "base/log.h"

LOG_MODULE("cairn");


void cairn_reclaim_later(struct cairn *fs, uint64_t ino)
{
	struct cairn_gone *g = malloc(sizeof(*g));
	/* Without memory it waits for the next mount. */
	if (!g)
		return;
	g->ino = ino;
	spin_lock(&fs->dirty_lock);
	g->next = fs->gone;
	fs->gone = g;
	spin_unlock(&fs->dirty_lock);
	fiber_cond_signal(&fs->work);
}

static void free_list(struct cairn_gone *list)
{
	for (struct cairn_gone *g; (g = list);) {
		list = g->next;
		free(g);
	}
}

void cairn_reclaim_forget(struct cairn *fs)
{
	spin_lock(&fs->dirty_lock);
	struct cairn_gone *list = TAKE(fs->gone);
	spin_unlock(&fs->dirty_lock);
	free_list(list);
	fs->n_orphans = 0;
}

static struct cairn_gone *take_gone(struct cairn *fs)
{
	spin_lock(&fs->dirty_lock);
	struct cairn_gone *list = TAKE(fs->gone);
	spin_unlock(&fs->dirty_lock);
	return list;
}

/* Inodes whose usage is given back at once, and taken again if they stay. */
struct gone_list {
	struct cairn_inode *list;
	uint32_t n, max;
};

/* An inode that is not done, as it was, and is. */
struct rest {
	struct cairn_inode before, after;
};

struct reclaim {
	struct cairn *fs;
	uint64_t ino;
	struct meta_txn txn;
	struct cairn_refs refs;
	uint32_t n;      /* records so far */
	uint32_t n_done; /* orphans */
	struct cairn_gone *done;
	struct gone_list inodes; /* these and their streams */
	uint64_t dropped;        /* blocks that the inode has not any more */
	struct rest rests[2];    /* a stream that is not done, and its base */
	uint32_t n_rests;
	bool more;       /* than one transaction should have */
	int err;
};

/* Something is done in any case. */
static bool has_enough(struct reclaim *k)
{
	k->more = k->n++ >= cairn_at_once.reclaimed && k->txn.n_changes > 0;
	return k->more;
}

static bool take_extent(void *arg, const struct meta_record *r)
{
	struct reclaim *k = arg;
	struct cairn_extent e;
	if (meta_key_first(r->key) != k->ino)
		return false;
	if (has_enough(k))
		return false;
	k->err = cairn_extent_decode(r, &e);
	if (!k->err && cairn_has_blocks(e.kind)) {
		struct cairn_ref ref = {{e.place, e.n}, k->ino, e.first, e.born, -1};
		k->err = cairn_refs_add(&k->refs, &ref);
		k->dropped += e.n;
	}
	if (!k->err)
		meta_delete(&k->txn, META_EXTENTS, r->key);
	return !k->err;
}

static bool take_xattr(void *arg, const struct meta_record *r)
{
	struct reclaim *k = arg;
	if (meta_key_first(r->key) != k->ino)
		return false;
	if (has_enough(k))
		return false;
	meta_delete(&k->txn, META_XATTRS, r->key);
	return true;
}

static int read_inode(struct reclaim *k, struct cairn_inode *inode)
{
	struct meta_key key = meta_key_number(k->ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	int err = meta_get(k->fs->meta, META_INODES, &key, body, &size);
	return err ? err : cairn_inode_decode(body, size, inode);
}

/* An inode that is not done says what it still has. */
static int put_rest(struct reclaim *k)
{
	struct rest *r = &k->rests[k->n_rests];
	int err = k->dropped ? read_inode(k, &r->before) : ERR_NOENT;
	if (err)
		return err == ERR_NOENT ? 0 : err;
	r->after = r->before;
	r->after.n_blocks -= MIN(k->dropped, r->before.n_blocks);
	cairn_put_inode(&k->txn, k->ino, &r->after);
	cairn_quota_put_inode(&k->txn, &r->before, -1);
	cairn_quota_put_inode(&k->txn, &r->after, 1);
	cairn_quota_gone(k->fs, &r->before, 1);
	cairn_quota_gone(k->fs, &r->after, -1);
	k->n_rests++;
	return 0;
}

static int collect(struct reclaim *k)
{
	struct meta_key key = meta_key_pair(k->ino, 0);
	k->dropped = 0;
	int err = meta_scan(k->fs->meta, META_EXTENTS, &key, META_FROM, take_extent, k);
	err = err ? err : k->err;
	if (!err && !k->more) {
		key = meta_key_name(k->ino, "", 0);
		err = meta_scan(k->fs->meta, META_XATTRS, &key, META_FROM, take_xattr, k);
	}
	return !err && k->more ? put_rest(k) : err;
}

static int add_gone(struct gone_list *g, const struct cairn_inode *inode)
{
	if (g->n == g->max) {
		uint32_t max = g->max ? 2 * g->max : 16;
		struct cairn_inode *list = realloc(g->list, max * sizeof(*list));
		if (!list)
			return ERR_NOMEM;
		g->list = list;
		g->max = max;
	}
	g->list[g->n++] = *inode;
	return 0;
}

static int put_usage_gone(struct reclaim *k)
{
	struct cairn_inode inode;
	int err = read_inode(k, &inode);
	if (err)
		return err;
	err = add_gone(&k->inodes, &inode);
	if (err)
		return err;
	cairn_quota_put_inode(&k->txn, &inode, -1);
	cairn_quota_gone(k->fs, &inode, 1);
	return 0;
}

static int put_inode_gone(struct reclaim *k)
{
	struct meta_key key = meta_key_number(k->ino);
	int err = put_usage_gone(k);
	if (err)
		return err == ERR_NOENT ? ERR_IO : err;
	meta_delete(&k->txn, META_INLINE, &key);
	meta_delete(&k->txn, META_ACLS, &key);
	meta_delete(&k->txn, META_INODES, &key);
	meta_add(&k->txn, META_N_INODES, -1);
	return 0;
}

/* An orphan's streams are no orphans of their own. */
static int collect_streams(struct reclaim *k)
{
	uint64_t base = k->ino, dropped = k->dropped;
	struct meta_key key = meta_key_name(base, "", 0);
	int err = cairn_next_stream(k->fs, base, &key, &k->ino);
	while (!err && k->ino && !k->more) {
		k->n += 4;
		err = collect(k);
		if (err || k->more)
			break;
		err = put_inode_gone(k);
		meta_delete(&k->txn, META_STREAMS, &key);
		k->more = k->n >= cairn_at_once.reclaimed;
		err = err ? err : cairn_next_stream(k->fs, base, &key, &k->ino);
	}
	k->ino = base;
	k->dropped = dropped;
	return !err && k->more ? put_rest(k) : err;
}

static int put_last(struct reclaim *k)
{
	int err = put_inode_gone(k);
	cairn_delete_orphan(&k->txn, k->ino);
	k->n_done++;
	return err;
}

/* As many of the list as one transaction may have; the first that is not done stays at its head. */
static int collect_some(struct reclaim *k, struct cairn_gone **list)
{
	int err = 0;
	while (!err && !k->more && *list && k->n < cairn_at_once.reclaimed) {
		struct cairn_gone *g = *list;
		k->ino = g->ino;
		k->n += 4;
		err = collect(k);
		if (!err && !k->more)
			err = collect_streams(k);
		if (err || k->more)
			break;
		err = put_last(k);
		if (err)
			break;
		*list = g->next;
		g->next = k->done;
		k->done = g;
	}
	return err;
}

static struct cairn_gone **end_of(struct cairn_gone **list)
{
	while (*list)
		list = &(*list)->next;
	return list;
}

/* What it failed at comes last next time. */
static void put_back(struct reclaim *k, struct cairn_gone **list)
{
	struct cairn_gone *first = *list;
	if (first) {
		*list = first->next;
		first->next = NULL;
		*end_of(list) = first;
	}
	*end_of(list) = k->done;
}

static int reclaim_step(struct cairn *fs, struct cairn_gone **list)
{
	struct reclaim k = {.fs = fs};
	struct cairn_ranges freed = {.n = 0};
	meta_begin(&k.txn);
	k.txn.frees = true;
	int err = collect_some(&k, list);
	if (err)
		meta_abandon(&k.txn);
	else
		err = cairn_refs_commit(fs, &k.txn, &k.refs, &freed);
	if (!err) {
		cairn_ranges_discard(fs, &freed);
		cairn_ranges_release(fs, &freed);
		cairn_refund(fs, cairn_ranges_total(&freed));
		fs->n_inodes -= k.inodes.n;
		fs->n_orphans -= k.n_done;
		free_list(k.done);
	} else {
		put_back(&k, list);
	}
	for (uint32_t i = 0; err && i < k.inodes.n; i++)
		cairn_quota_gone(fs, &k.inodes.list[i], -1);
	for (uint32_t i = 0; err && i < k.n_rests; i++) {
		cairn_quota_gone(fs, &k.rests[i].before, -1);
		cairn_quota_gone(fs, &k.rests[i].after, 1);
	}
	free(k.inodes.list);
	cairn_refs_fini(&k.refs);
	cairn_ranges_fini(&freed);
	return err;
}

bool cairn_reclaim_some(struct cairn *fs)
{
	struct cairn_gone *list = take_gone(fs);
	bool any = list != NULL;
	int err = 0;
	while (!err && list && !fs->stopping)
		err = reclaim_step(fs, &list);
	if (err && err != fs->reclaim_err)
		log_error("%s: inodes without names are not reclaimed: %s; tried again", fs->mount->name, err_text(err));
	fs->reclaim_err = err;
	spin_lock(&fs->dirty_lock);
	*end_of(&list) = fs->gone;
	fs->gone = list;
	spin_unlock(&fs->dirty_lock);
	return any && !err;
}

static bool queue_orphan(void *arg, const struct meta_record *r)
{
	((struct cairn *)arg)->n_orphans++;
	cairn_reclaim_later(arg, r->key->number);
	return true;
}

int cairn_reclaim_find(struct cairn *fs)
{
	struct meta_key key = meta_key_number(0);
	return meta_scan(fs->meta, META_ORPHANS, &key, META_FROM, queue_orphan, fs);
}
