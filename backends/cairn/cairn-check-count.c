/* What inodes say of names, entries and blocks, against what was found; those without links; the counters of the store. */
#include <string.h>

#include "backends/cairn/cairn-check-impl.h"

#define MODE_DIR 0700u
#define MODE_FILE 0600u
#define AT_ONCE 1024u /* changes of one transaction, about */

static bool is_named(const struct check_inode *ci)
{
	return ci->n_names || ci->ino == CAIRN_ROOT_INODE;
}

static uint32_t links_of(struct check *c, const struct check_inode *ci)
{
	const struct check_dir *dir = check_dir_of(c, ci);
	if (dir)
		return is_named(ci) ? 2 + dir->n_subdirs : 0;
	return ci->n_names;
}

static uint64_t parent_of(const struct check_inode *ci)
{
	return ci->ino == CAIRN_ROOT_INODE ? ci->ino : ci->where;
}

/* ---- orphans */

static bool look_at_orphan(struct check *c, const struct meta_record *r)
{
	struct check_inode *ci = check_inode_find(c, r->key->number);
	if (ci && !is_named(ci)) {
		ci->flags |= CI_ORPHAN;
		c->n_orphans++;
	} else if (check_found_record(c, CHECK_ORPHAN_STRAY, META_ORPHANS, r->key, r->key->number)) {
		meta_delete(&c->txn, META_ORPHANS, r->key);
	}
	return true;
}

static void list_orphan(struct check *c, struct check_inode *ci)
{
	struct meta_key key = meta_key_number(ci->ino);
	uint8_t body[8] = {0};
	if (!check_found_inode(c, CHECK_ORPHAN_MISSING, ci->ino))
		return;
	meta_put(&c->txn, META_ORPHANS, &key, body, sizeof(body));
	c->n_orphans++;
}

/* ---- inodes */

static struct cairn_inode blank(const struct check *c, const struct check_inode *ci)
{
	uint64_t ns = loop_wall_ns(loop_current());
	struct op_time now = {.sec = (int64_t)(ns / NS_PER_SEC), .nsec = (uint32_t)(ns % NS_PER_SEC)};
	struct cairn_inode inode = {.epoch = MAX(c->last_epoch, 1u), .next_cookie = ci->dir ? 3 : 0};
	inode.attr = (struct op_attr){.type = ci->type, .mode = ci->dir ? MODE_DIR : MODE_FILE, .change = 1};
	inode.attr.atime = inode.attr.mtime = inode.attr.ctime = inode.attr.btime = now;
	return inode;
}

static int read_inode(struct check *c, const struct check_inode *ci, struct cairn_inode *inode)
{
	struct meta_key key = meta_key_number(ci->ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	*inode = blank(c, ci);
	if (ci->flags & CI_REBUILT)
		return 0;
	int err = meta_get(c->meta, META_INODES, &key, body, &size);
	return err ? err : cairn_inode_decode(body, size, inode);
}

static void set_inline(const struct check_inode *ci, struct cairn_inode *inode)
{
	bool in_record = (ci->flags & CI_INLINE) && ci->type == OP_TYPE_FILE;
	inode->flags &= ~(uint32_t)CAIRN_INLINE;
	inode->flags |= in_record ? CAIRN_INLINE : 0;
	inode->inline_size = in_record ? ci->inline_size : 0;
}

static int write_inode(struct check *c, const struct check_inode *ci)
{
	const struct check_dir *dir = check_dir_of(c, ci);
	struct cairn_inode inode;
	int err = read_inode(c, ci, &inode);
	if (err)
		return err;
	inode.attr.type = ci->type;
	inode.attr.nlink = links_of(c, ci);
	inode.attr.size = dir ? dir->n_seen : ci->size;
	inode.attr.change++;
	inode.n_blocks -= ci->blocks_off;
	set_inline(ci, &inode);
	inode.flags &= ~(uint32_t)(CAIRN_STREAM | CAIRN_HAS_ACL);
	inode.flags |= ci->flags & CI_ACL ? CAIRN_HAS_ACL : 0;
	if (ci->flags & CI_PRIVATE)
		inode.attr.mode &= MODE_DIR;
	if (ci->flags & CI_STREAM) {
		inode.flags |= CAIRN_STREAM;
		inode.parent = ci->where;
	}
	if (dir) {
		inode.n_entries = dir->n_seen;
		inode.next_cookie = MAX(inode.next_cookie, dir->last_cookie + 1);
		inode.parent = parent_of(ci);
	}
	cairn_put_inode(&c->txn, ci->ino, &inode);
	return c->txn.n_changes >= AT_ONCE ? check_commit(c) : 0;
}

static bool is_dir_wrong(struct check *c, const struct check_inode *ci, const struct check_dir *dir)
{
	bool wrong = false;
	if (dir->n_entries != dir->n_seen || ci->size != dir->n_seen)
		wrong |= check_found_inode(c, CHECK_ENTRIES, ci->ino);
	if (dir->next_cookie <= dir->last_cookie)
		wrong |= check_found_inode(c, CHECK_COOKIE, ci->ino);
	if (is_named(ci) && dir->parent != parent_of(ci))
		wrong |= check_found_inode(c, CHECK_PARENT, ci->ino);
	return wrong;
}

/* What has links and no name was not named anew: it stays as it is. */
static bool is_left(const struct check_inode *ci)
{
	return !is_named(ci) && ci->nlink;
}

static bool is_wrong(struct check *c, const struct check_inode *ci)
{
	const struct check_dir *dir = check_dir_of(c, ci);
	bool wrong = ci->flags & CI_CHANGED;
	if (ci->flags & CI_REBUILT)
		return wrong;
	if (dir)
		wrong |= is_dir_wrong(c, ci, dir);
	if (ci->nlink != links_of(c, ci) && !is_left(ci))
		wrong |= check_found_inode(c, CHECK_LINKS, ci->ino);
	if (ci->blocks_off)
		wrong |= check_found_inode(c, CHECK_BLOCKS, ci->ino);
	return wrong;
}

int check_counts(struct check *c)
{
	int err = check_table(c, META_ORPHANS, look_at_orphan);
	for (uint32_t i = 0; !err && i < c->n_inodes; i++) {
		struct check_inode *ci = &c->inodes[i];
		if (is_wrong(c, ci))
			err = write_inode(c, ci);
		if (!err && !is_named(ci) && !is_left(ci) && !(ci->flags & CI_ORPHAN))
			list_orphan(c, ci);
	}
	return err;
}

/* ---- counters */

static uint64_t n_stored_inodes(const struct check *c)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < c->n_inodes; i++)
		n += !(c->inodes[i].flags & CI_REBUILT) || (c->inodes[i].flags & CI_CHANGED);
	return n;
}

static void compare(struct check *c, uint64_t counter, uint64_t wanted, bool at_least)
{
	struct meta_key key = meta_key_number(counter);
	int64_t value = 0;
	int err = meta_counter(c->meta, counter, &value);
	bool right = !err && (at_least ? value >= 0 && (uint64_t)value >= wanted : (uint64_t)value == wanted);
	if (!right && check_found_record(c, CHECK_COUNTER, META_COUNTERS, &key, 0))
		meta_set(&c->txn, counter, (int64_t)wanted);
}

int check_counters(struct check *c)
{
	/* A store that was opened and closed before it had a root. */
	if (c->n_inodes == 0)
		return 0;
	compare(c, META_BATCH, c->last_batch, true);
	meta_raise_batch(c->meta, c->last_batch);
	compare(c, META_NEXT_INODE, c->inodes[c->n_inodes - 1].ino + 1, true);
	compare(c, META_N_INODES, n_stored_inodes(c), false);
	compare(c, META_EPOCH, MAX(c->last_epoch, 1u), true);
	compare(c, META_N_ORPHANS, c->n_orphans, false);
	compare(c, META_N_BLOCKS, c->n_blocks, false);
	compare(c, META_N_CUT, c->n_cut, false);
	return 0;
}
