/*
 * Changing names. Each operation makes copies of the inodes it changes, submits all of its records in one
 * transaction, and then shows the copies. The VFS holds the locks of all nodes involved, so nothing decided here can
 * change before that; whether it is durable is waited for without them, in cairn_settle().
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn.h"
#include "base/cleanup.h"

#define LINKS_MAX (UINT32_MAX >> 1)

/* A node and what it is going to be. */
struct edit {
	struct cairn_node *n;
	struct cairn_inode inode;
};

static struct edit edit_of(struct vfs_node *node)
{
	struct cairn_node *n = cairn_node(node);
	return (struct edit){n, cairn_inode_stored(n)};
}

static void put_edit(struct meta_txn *txn, struct edit *e)
{
	cairn_put_inode(txn, cairn_ino(e->n), &e->inode);
}

static void show_edit(struct edit *e, uint64_t batch)
{
	bool was_dead = e->n->inode.attr.nlink == 0, dead = e->inode.attr.nlink == 0;
	e->n->inode = e->inode;
	e->n->read_time = 0;
	cairn_note(e->n, batch);
	if (was_dead == dead)
		return;
	cairn_of(e->n)->n_orphans += dead ? 1 : -1;
	node_cache_set_dead(&cairn_of(e->n)->nodes, &e->n->cached, dead);
	if (dead)
		cairn_hasten(e->n);
}

static bool is_dir(const struct edit *e)
{
	return e->inode.attr.type == OP_TYPE_DIR;
}

/* What a stored inode says must be on disk with it: the file's gathered bytes go first. */
static int settle(struct cairn_node *n)
{
	return n->n_dirty ? cairn_flush(n, NULL) : 0;
}

/* ---- entries of a directory that is edited */

static void add_entry(struct meta_txn *txn, struct edit *dir, const struct vfs_name *name, uint64_t ino, uint32_t type)
{
	struct cairn_entry e = {ino, dir->inode.next_cookie++, type};
	cairn_put_entry(txn, cairn_ino(dir->n), name, &e);
	cairn_put_folded(txn, dir->n, name);
	dir->inode.n_entries++;
	dir->inode.attr.size = dir->inode.n_entries;
	if (type == OP_TYPE_DIR)
		dir->inode.attr.nlink++;
}

static void drop_entry(struct meta_txn *txn, struct edit *dir, const struct vfs_name *name, const struct cairn_entry *e)
{
	cairn_delete_entry(txn, cairn_ino(dir->n), name, e->cookie);
	cairn_delete_folded(txn, dir->n, name);
	dir->inode.n_entries--;
	dir->inode.attr.size = dir->inode.n_entries;
	if (e->type == OP_TYPE_DIR)
		dir->inode.attr.nlink--;
}

/* The object loses one name; without any it becomes an orphan until nobody uses it. */
static void drop_link(struct meta_txn *txn, struct edit *e)
{
	e->inode.attr.nlink = is_dir(e) ? 0 : e->inode.attr.nlink - 1;
	cairn_touch(&e->inode, false);
	put_edit(txn, e);
	if (e->inode.attr.nlink == 0)
		cairn_put_orphan(txn, cairn_ino(e->n));
}

/* ---- making */

static void put_new(struct meta_txn *txn, uint64_t ino, const struct cairn_inode *inode, const struct vfs_create *what)
{
	struct meta_key key = meta_key_number(ino);
	cairn_put_inode(txn, ino, inode);
	if (what->type == OP_TYPE_SYMLINK)
		meta_put(txn, META_INLINE, &key, what->target, what->target_size);
	if (what->acl)
		cairn_put_acl(txn, ino, what->acl);
	meta_add(txn, META_N_INODES, 1);
	cairn_quota_put_inode(txn, inode, 1);
}

/* Before the commit, so that nothing can fail after it for want of memory. */
static int copy_acl(const struct vfs_create *what, struct acl **acl)
{
	*acl = what->acl ? acl_copy(what->acl) : NULL;
	return what->acl && !*acl ? ERR_NOMEM : 0;
}

static int absent(struct cairn_node *dir, const struct vfs_name *name)
{
	struct cairn_entry e;
	int err = cairn_find_entry(dir, name, &e);
	return err == ERR_NOENT ? 0 : err ? err : ERR_EXIST;
}

static int create(struct vfs_node *node, const struct vfs_name *name, const struct vfs_create *what,
                  struct vfs_node **made)
{
	struct cairn *fs = cairn_of(cairn_node(node));
	struct edit dir = edit_of(node);
	struct cairn_inode inode;
	struct meta_txn txn;
	struct quota_owner owner;
	uint64_t ino, batch;
	CLEANUP_FREE struct acl *acl = NULL;
	int err = absent(dir.n, name);
	if (!err)
		err = copy_acl(what, &acl);
	if (!err)
		err = cairn_new_ino(fs, &ino);
	if (err)
		return err;
	cairn_inode_init(fs, ino, what, &inode);
	inode.parent = cairn_ino(dir.n);
	err = cairn_quota_new(fs, &inode, dir.n, &owner);
	if (err)
		return err;
	meta_begin(&txn);
	put_new(&txn, ino, &inode, what);
	add_entry(&txn, &dir, name, ino, what->type);
	cairn_touch(&dir.inode, true);
	put_edit(&txn, &dir);
	err = meta_submit(fs->meta, &txn, &batch);
	if (err) {
		quota_adjust(&fs->quotas, &owner, 0, -1);
		return err;
	}
	fs->n_inodes++;
	show_edit(&dir, batch);
	return cairn_node_adopt(fs, ino, &inode, &acl, made);
}

int cairn_create(struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name,
                 const struct vfs_create *what, struct vfs_node **made)
{
	int err = create(dir, name, what, made);
	return err == ERR_NOSPC && cairn_make_room(cairn_of(cairn_node(dir)), CAIRN_ROOM_NS) ? create(dir, name, what, made) : err;
}

int cairn_create_unlinked(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what,
                          struct vfs_node **made)
{
	struct cairn *fs = cairn_of(cairn_node(dir));
	struct cairn_inode inode;
	struct meta_txn txn;
	struct quota_owner owner;
	uint64_t ino, batch;
	CLEANUP_FREE struct acl *acl = NULL;
	int err = copy_acl(what, &acl);
	if (!err)
		err = cairn_new_ino(fs, &ino);
	if (err)
		return err;
	cairn_inode_init(fs, ino, what, &inode);
	inode.attr.nlink = 0;
	inode.flags |= CAIRN_LINKABLE;
	err = cairn_quota_new(fs, &inode, cairn_node(dir), &owner);
	if (err)
		return err;
	meta_begin(&txn);
	put_new(&txn, ino, &inode, what);
	cairn_put_orphan(&txn, ino);
	err = meta_submit(fs->meta, &txn, &batch);
	if (err) {
		quota_adjust(&fs->quotas, &owner, 0, -1);
		return err;
	}
	fs->n_inodes++;
	fs->n_orphans++;
	return cairn_node_adopt(fs, ino, &inode, &acl, made);
}

int cairn_link(struct vfs_node *node, struct vfs_node *to, const struct vfs_name *name)
{
	struct cairn_node *n = cairn_node(node);
	struct meta_txn txn;
	uint64_t batch;
	int err = absent(cairn_node(to), name);
	if (err)
		return err;
	if (n->inode.attr.nlink >= LINKS_MAX)
		return ERR_MLINK;
	/* An object whose last name is gone stays gone. */
	if (n->inode.attr.nlink == 0 && !(n->inode.flags & CAIRN_LINKABLE))
		return ERR_NOENT;
	err = settle(n);
	if (err)
		return err;
	struct edit dir = edit_of(to), e = edit_of(node);
	meta_begin(&txn);
	if (e.inode.attr.nlink++ == 0)
		cairn_delete_orphan(&txn, cairn_ino(n));
	e.inode.flags &= ~(uint32_t)CAIRN_LINKABLE;
	cairn_touch(&e.inode, false);
	put_edit(&txn, &e);
	add_entry(&txn, &dir, name, cairn_ino(n), node->type);
	cairn_touch(&dir.inode, true);
	put_edit(&txn, &dir);
	err = meta_submit(cairn_of(n)->meta, &txn, &batch);
	if (err)
		return err;
	show_edit(&e, batch);
	show_edit(&dir, batch);
	return 0;
}

/* ---- taking away */

int cairn_remove(struct vfs_node *from, const struct vfs_name *name, struct vfs_node *node)
{
	struct cairn_node *n = cairn_node(node);
	struct cairn_entry entry;
	struct meta_txn txn;
	uint64_t batch;
	int err = cairn_find_entry(cairn_node(from), name, &entry);
	if (err)
		return err;
	if (node->type == OP_TYPE_DIR && n->inode.n_entries)
		return ERR_NOTEMPTY;
	if (n->inode.attr.nlink > 1 && (err = settle(n)))
		return err;
	struct edit dir = edit_of(from), e = edit_of(node);
	meta_begin(&txn);
	txn.frees = true;
	drop_entry(&txn, &dir, name, &entry);
	drop_link(&txn, &e);
	cairn_touch(&dir.inode, true);
	put_edit(&txn, &dir);
	err = meta_submit(cairn_of(n)->meta, &txn, &batch);
	if (err)
		return err;
	show_edit(&e, batch);
	show_edit(&dir, batch);
	return 0;
}

/* ---- rename */

struct renaming {
	struct edit from_dir, to_dir_apart, node, target;
	struct edit *to_dir; /* from_dir, or the one apart */
	const struct vfs_name *from, *to;
	struct cairn_entry entry, other; /* under from, under to */
	bool has_target;
};

static void set_parent(struct edit *e, const struct edit *dir)
{
	if (is_dir(e))
		e->inode.parent = cairn_ino(dir->n);
}

/* Both names stay where they are and change objects. */
static void exchange(struct meta_txn *txn, struct renaming *r)
{
	struct cairn_entry a = {r->other.ino, r->entry.cookie, r->other.type};
	struct cairn_entry b = {r->entry.ino, r->other.cookie, r->entry.type};
	cairn_put_entry(txn, cairn_ino(r->from_dir.n), r->from, &a);
	cairn_put_entry(txn, cairn_ino(r->to_dir->n), r->to, &b);
	if (r->entry.type == OP_TYPE_DIR) {
		r->from_dir.inode.attr.nlink--;
		r->to_dir->inode.attr.nlink++;
	}
	if (r->other.type == OP_TYPE_DIR) {
		r->to_dir->inode.attr.nlink--;
		r->from_dir.inode.attr.nlink++;
	}
	set_parent(&r->target, &r->from_dir);
	cairn_touch(&r->target.inode, false);
	put_edit(txn, &r->target);
}

static void move(struct meta_txn *txn, struct renaming *r)
{
	if (r->has_target) {
		drop_entry(txn, r->to_dir, r->to, &r->other);
		drop_link(txn, &r->target);
	}
	drop_entry(txn, &r->from_dir, r->from, &r->entry);
	add_entry(txn, r->to_dir, r->to, r->entry.ino, r->entry.type);
}

static int submit_rename(struct renaming *r, bool exchanges, uint64_t *batch)
{
	struct meta_txn txn;
	meta_begin(&txn);
	if (exchanges)
		exchange(&txn, r);
	else
		move(&txn, r);
	set_parent(&r->node, r->to_dir);
	cairn_touch(&r->node.inode, false);
	put_edit(&txn, &r->node);
	cairn_touch(&r->from_dir.inode, true);
	put_edit(&txn, &r->from_dir);
	if (r->to_dir != &r->from_dir) {
		cairn_touch(&r->to_dir->inode, true);
		put_edit(&txn, r->to_dir);
	}
	return meta_submit(cairn_of(r->node.n)->meta, &txn, batch);
}

static int find_entries(struct renaming *r, struct vfs_node *from_dir, struct vfs_node *to_dir)
{
	int err = cairn_find_entry(cairn_node(from_dir), r->from, &r->entry);
	if (err)
		return err;
	err = cairn_find_entry(cairn_node(to_dir), r->to, &r->other);
	r->has_target = !err;
	return err == ERR_NOENT ? 0 : err;
}

static int settle_both(const struct vfs_rename *what, bool exchanges)
{
	struct cairn_node *n = cairn_node(what->node), *target = what->target ? cairn_node(what->target) : NULL;
	if (target && !exchanges && target->cached.node.type == OP_TYPE_DIR && target->inode.n_entries)
		return ERR_NOTEMPTY;
	int err = settle(n);
	if (!err && target && (exchanges || target->inode.attr.nlink > 1))
		err = settle(target);
	return err;
}

int cairn_rename(struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir,
                 const struct vfs_name *to, const struct vfs_rename *what)
{
	struct renaming r = {.from = from, .to = to};
	bool exchanges = what->flags & RENAME_EXCHANGE;
	uint64_t batch;
	int err = find_entries(&r, from_dir, to_dir);
	if (!err)
		err = r.has_target == (what->target != NULL) ? settle_both(what, exchanges) : ERR_SERVERFAULT;
	if (err)
		return err;
	r.from_dir = edit_of(from_dir);
	r.to_dir_apart = edit_of(to_dir);
	r.to_dir = from_dir == to_dir ? &r.from_dir : &r.to_dir_apart;
	r.node = edit_of(what->node);
	if (what->target)
		r.target = edit_of(what->target);
	err = submit_rename(&r, exchanges, &batch);
	if (err)
		return err;
	show_edit(&r.node, batch);
	if (what->target)
		show_edit(&r.target, batch);
	show_edit(&r.from_dir, batch);
	if (r.to_dir != &r.from_dir)
		show_edit(r.to_dir, batch);
	return 0;
}
