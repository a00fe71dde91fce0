/*
 * Quotas. What owners, groups and projects have is kept in counters that change in the transactions that change it, so they are
 * exact after any crash; in memory the same numbers, with what is dirty besides, are accounts (vfs/quota.h). A node
 * knows what was charged for it there, and whom the counters have it under.
 */
#include "backends/cairn/cairn.h"
#include "base/cursor.h"

#define LIMITS_SIZE 64u

/* ---- limits as records */

static void put_limit(struct cursor *c, const struct op_quota_limit *l)
{
	cursor_put_le64(c, l->soft);
	cursor_put_le64(c, l->hard);
	cursor_put_le64(c, l->grace);
	cursor_put_le64(c, (uint64_t)l->until);
}

static struct op_quota_limit get_limit(struct cursor *c)
{
	struct op_quota_limit l = {.soft = cursor_le64(c)};
	l.hard = cursor_le64(c);
	l.grace = cursor_le64(c);
	l.until = (int64_t)cursor_le64(c);
	return l;
}

static bool has_limits(const struct op_quota *q)
{
	return q->bytes.soft || q->bytes.hard || q->inodes.soft || q->inodes.hard;
}

static void put_limits(struct meta_txn *txn, const struct op_quota *q)
{
	struct meta_key key = meta_key_pair(q->kind, q->id);
	uint8_t body[LIMITS_SIZE];
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	put_limit(&c, &q->bytes);
	put_limit(&c, &q->inodes);
	if (has_limits(q))
		meta_put(txn, META_QUOTAS, &key, body, sizeof(body));
	else
		meta_delete(txn, META_QUOTAS, &key);
}

/* ---- counters */

void cairn_quota_put(struct meta_txn *txn, struct cairn_node *n, const struct cairn_inode *after)
{
	struct cairn_ids now = cairn_ids(after);
	int64_t before = (int64_t)n->inode.n_blocks, blocks = (int64_t)after->n_blocks;
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++) {
		uint32_t was = n->ids.of[kind], is = now.of[kind];
		struct op_quota q;
		if (was == is && cairn_usage_counts(kind, is))
			cairn_usage_add(txn, kind, is, blocks - before, 0);
		if (was != is && cairn_usage_counts(kind, was))
			cairn_usage_add(txn, kind, was, -before, -1);
		if (was != is && cairn_usage_counts(kind, is))
			cairn_usage_add(txn, kind, is, blocks, 1);
		if (n->owner.of[kind] && quota_take_changed(&cairn_of(n)->quotas, n->owner.of[kind], &q))
			put_limits(txn, &q);
	}
}

/* ---- accounts */

void cairn_quota_sync(struct cairn_node *n)
{
	int64_t now = (int64_t)(n->inode.n_blocks + n->n_dirty), more = now - n->charged;
	if (more == 0)
		return;
	quota_adjust(&cairn_of(n)->quotas, &n->owner, more * (int64_t)CAIRN_BLOCK_SIZE, 0);
	n->charged = now;
}

int cairn_quota_charge(struct cairn_node *n, uint64_t blocks)
{
	int64_t bytes = (int64_t)(blocks * CAIRN_BLOCK_SIZE);
	int err = blocks ? quota_charge(&cairn_of(n)->quotas, &n->owner, bytes, 0) : 0;
	if (!err)
		n->charged += (int64_t)blocks;
	return err;
}

int cairn_quota_new(struct cairn *fs, const struct cairn_inode *inode, const struct cairn_node *near, struct quota_owner *owner)
{
	int err = quota_owner(&fs->quotas, &inode->attr, &near->owner, owner);
	return err ? err : quota_charge(&fs->quotas, owner, 0, 1);
}

void cairn_quota_gone(struct cairn *fs, const struct cairn_inode *inode, int sign)
{
	struct quota_owner owner;
	if (quota_owner(&fs->quotas, &inode->attr, NULL, &owner) == 0)
		quota_adjust(&fs->quotas, &owner, -sign * (int64_t)(inode->n_blocks * CAIRN_BLOCK_SIZE), -sign);
}

int cairn_quota_move(struct cairn_node *n, const struct op_attr *attr)
{
	struct quota_table *t = &cairn_of(n)->quotas;
	struct quota_owner now;
	int err = quota_owner(t, attr, &n->owner, &now);
	if (!err)
		err = quota_move(t, &n->owner, &now, n->charged * (int64_t)CAIRN_BLOCK_SIZE, 1);
	if (!err)
		n->owner = now;
	return err;
}

void cairn_quota_move_back(struct cairn_node *n, const struct quota_owner *before)
{
	struct quota_owner loses = n->owner, gains = *before;
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++)
		if (loses.of[kind] == gains.of[kind])
			loses.of[kind] = gains.of[kind] = NULL;
	quota_adjust(&cairn_of(n)->quotas, &loses, -n->charged * (int64_t)CAIRN_BLOCK_SIZE, -1);
	quota_adjust(&cairn_of(n)->quotas, &gains, n->charged * (int64_t)CAIRN_BLOCK_SIZE, 1);
	n->owner = *before;
}

/* ---- opening */

struct loading {
	struct cairn *fs;
	int err;
};

static bool load_usage(void *arg, const struct meta_record *r)
{
	struct loading *l = arg;
	uint64_t key = r->key->number;
	uint32_t kind = (uint32_t)(key >> CAIRN_USAGE_KIND_SHIFT) & 0xf;
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	int64_t value = (int64_t)cursor_le64(&c);
	struct quota_account *a = kind < QUOTA_N_KINDS ? quota_account(&l->fs->quotas, kind, (uint32_t)key) : NULL;
	if (!a || cursor_failed(&c)) {
		l->err = kind < QUOTA_N_KINDS && !cursor_failed(&c) ? ERR_NOMEM : ERR_IO;
		return false;
	}
	if (key & CAIRN_USAGE_INODES)
		a->inodes = value;
	else
		a->bytes = value;
	return true;
}

static bool load_limits(void *arg, const struct meta_record *r)
{
	struct loading *l = arg;
	struct op_quota q = {.kind = (uint32_t)meta_key_first(r->key), .id = (uint32_t)meta_key_second(r->key)};
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	q.bytes = get_limit(&c);
	q.inodes = get_limit(&c);
	l->err = cursor_failed(&c) || q.kind >= QUOTA_N_KINDS ? ERR_IO : quota_set(&l->fs->quotas, &q);
	return !l->err;
}

int cairn_quota_load(struct cairn *fs)
{
	struct meta_key from = meta_key_number(CAIRN_USAGE_FIRST);
	struct loading l = {fs, 0};
	int err = meta_scan(fs->meta, META_COUNTERS, &from, META_FROM, load_usage, &l);
	from = meta_key_pair(0, 0);
	if (!err && !l.err)
		err = meta_scan(fs->meta, META_QUOTAS, &from, META_FROM, load_limits, &l);
	return err ? err : l.err;
}

/* ---- as ops */

int cairn_get_quota(struct vfs_mount *m, struct op_quota *q, bool next)
{
	return quota_get(&((struct cairn *)m->store)->quotas, q, next);
}

int cairn_set_quota(struct vfs_mount *m, const struct op_quota *q)
{
	struct cairn *fs = m->store;
	struct meta_txn txn;
	struct op_quota now = *q;
	struct quota_account *a = quota_account(&fs->quotas, q->kind, q->id);
	int err = a ? quota_set(&fs->quotas, q) : ERR_NOMEM;
	if (err)
		return err;
	/* With the grace that runs. */
	quota_take_changed(&fs->quotas, a, &now);
	meta_begin(&txn);
	txn.frees = true;
	put_limits(&txn, &now);
	return meta_commit(fs->meta, &txn);
}
