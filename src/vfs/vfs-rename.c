/*
 * Rename. Two directories are locked, the ancestor first; which one that is, and whether the move would
 * make a directory its own ancestor, is known from walking up from both under the mount's rename
 * lock, which keeps the tree's shape still. Then the two objects are locked and POSIX's matrix applied.
 */
#include "vfs/access.h"
#include "vfs/name-index.h"
#include "vfs/vfs-impl.h"

struct mover {
	struct vfs_call *c;
	struct vfs_node *from_dir, *to_dir;
	struct vfs_name from, to;
	struct vfs_node *node, *target; /* referenced; target NULL: the name is free */
	uint64_t from_via, to_via;      /* fileid of from_dir's child on the way to to_dir, and the reverse; 0: not an ancestor */
	uint32_t flags;
};

/* The fileid of top's child on the way from top down to node; 0 if top is not above node. Under the rename lock. */
static int child_towards(struct vfs_node *top, struct vfs_node *node, uint64_t *via)
{
	struct vfs_node *at = vfs_node_get(node), *up;
	int err = 0;
	*via = 0;
	while (at != top) {
		fiber_rwlock_rdlock(&at->lock);
		err = at->mount->ops->parent(at, &up);
		fiber_rwlock_rdunlock(&at->lock);
		if (err)
			break;
		if (up == top)
			*via = at->fileid;
		bool root = up == at;
		vfs_node_put(at);
		at = up;
		if (root)
			break;
	}
	vfs_node_put(at);
	return err;
}

static int lock_dirs(struct mover *m)
{
	struct vfs_node *first = m->from_dir, *second = m->to_dir;
	if (first == second) {
		fiber_rwlock_wrlock(&first->lock);
		return 0;
	}
	struct fiber_mutex *lock = &first->mount->rename_lock;
	fiber_mutex_lock(lock);
	int err = child_towards(m->from_dir, m->to_dir, &m->from_via);
	if (!err)
		err = child_towards(m->to_dir, m->from_dir, &m->to_via);
	if (err) {
		fiber_mutex_unlock(lock);
		return err;
	}
	if (m->to_via || (!m->from_via && second < first)) {
		first = m->to_dir;
		second = m->from_dir;
	}
	fiber_rwlock_wrlock(&first->lock);
	fiber_rwlock_wrlock(&second->lock);
	return 0;
}

static void unlock_dirs(struct mover *m)
{
	fiber_rwlock_wrunlock(&m->from_dir->lock);
	if (m->from_dir == m->to_dir)
		return;
	fiber_rwlock_wrunlock(&m->to_dir->lock);
	fiber_mutex_unlock(&m->from_dir->mount->rename_lock);
}

/* Directories before others, others by address; two directories here have locked parents, so any order does. */
static void lock_objects(struct mover *m)
{
	struct vfs_node *first = m->node, *second = m->target;
	if (second && ((first->type == OP_TYPE_DIR) != (second->type == OP_TYPE_DIR) ? second->type == OP_TYPE_DIR
	                                                                              : second < first)) {
		first = m->target;
		second = m->node;
	}
	fiber_rwlock_wrlock(&first->lock);
	if (second)
		fiber_rwlock_wrlock(&second->lock);
}

static void unlock_objects(struct mover *m)
{
	fiber_rwlock_wrunlock(&m->node->lock);
	if (m->target)
		fiber_rwlock_wrunlock(&m->target->lock);
}

static int find_objects(struct mover *m)
{
	const struct backend_ops *ops = m->from_dir->mount->ops;
	int err = ops->lookup(m->from_dir, &m->from, &m->node);
	if (err) {
		m->node = NULL;
		return err;
	}
	err = ops->lookup(m->to_dir, &m->to, &m->target);
	if (err)
		m->target = NULL;
	return err == ERR_NOENT && !(m->flags & RENAME_EXCHANGE) ? 0 : err;
}

/* A directory may not move below itself, nor be replaced by something below it. */
static int check_loop(const struct mover *m)
{
	if (m->node->fileid == m->from_via && m->from_via)
		return ERR_INVAL;
	if (m->target && m->to_via && m->target->fileid == m->to_via)
		return m->flags & RENAME_EXCHANGE ? ERR_INVAL : ERR_NOTEMPTY;
	return 0;
}

static int check_types(const struct mover *m)
{
	bool dir = m->node->type == OP_TYPE_DIR;
	if (!m->target || (m->flags & RENAME_EXCHANGE))
		return 0;
	if (dir == (m->target->type == OP_TYPE_DIR))
		return 0;
	return dir ? ERR_NOTDIR : ERR_ISDIR;
}

/* A directory as a rename sees it: its attributes were taken before. */
struct place {
	const struct vfs_node *dir;
	const struct op_attr *attr;
};

/*
 * node leaves a directory: as if removed there. A directory that gets another parent is itself changed (its ".."), which
 * a mode must allow; an ACL says what it means by DELETE.
 */
static int may_leave(const struct mover *m, struct place from, struct vfs_node *node, bool moves)
{
	const struct op_cred *cred = m->c->cred;
	struct op_attr attr;
	int err = vfs_attr(node, &attr);
	if (!err)
		err = access_delete(cred, from.attr, from.dir->acl, &attr, node->acl);
	if (!err && moves && !node->acl && node->type == OP_TYPE_DIR && m->from_dir != m->to_dir)
		err = access_check(cred, &attr, NULL, MAY_WRITE);
	return err;
}

/* A tree counts for one project: what has another does not get in by its name alone. */
static int may_arrive(const struct mover *m, struct place to, const struct vfs_node *node)
{
	struct op_attr attr;
	int err = access_check(m->c->cred, to.attr, to.dir->acl, node->type == OP_TYPE_DIR ? ACE_APPEND_DATA : MAY_WRITE);
	if (err || likely(!to.attr->project) || m->from_dir == m->to_dir)
		return err;
	err = node->mount->ops->getattr((struct vfs_node *)node, &attr);
	return err || attr.project == to.attr->project ? err : ERR_XDEV;
}

static int may_rename(const struct mover *m, const struct op_rename_out *out)
{
	struct place from = {m->from_dir, &out->dir.post}, to = {m->to_dir, &out->to_dir.post};
	bool exchanges = m->flags & RENAME_EXCHANGE;
	int err = may_arrive(m, to, m->node);
	if (!err && exchanges)
		err = may_arrive(m, from, m->target);
	if (!err)
		err = may_leave(m, from, m->node, true);
	if (!err && m->target)
		err = may_leave(m, to, m->target, exchanges);
	return err;
}

static void keep_indexes(const struct mover *m)
{
	struct name_indexes *names = m->c->vfs->names;
	if (m->flags & RENAME_EXCHANGE)
		name_index_added(names, m->from_dir, &m->from, m->target);
	else
		name_index_removed(names, m->from_dir, &m->from);
	name_index_added(names, m->to_dir, &m->to, m->node);
}

static int rename_objects(struct mover *m, const struct op_rename_out *out)
{
	struct vfs_rename what = {m->node, m->target, m->flags & RENAME_EXCHANGE};
	const struct backend_ops *ops = m->from_dir->mount->ops;
	lock_objects(m);
	int err = may_rename(m, out);
	if (!err)
		err = check_types(m);
	if (!err)
		err = ops->rename ? ops->rename(m->from_dir, &m->from, m->to_dir, &m->to, &what) : ERR_NOTSUPP;
	unlock_objects(m);
	if (!err)
		keep_indexes(m);
	return err;
}

static int rename_locked(struct mover *m, struct op_rename_out *out)
{
	int err = vfs_pre(m->from_dir, &out->dir);
	if (!err)
		err = vfs_pre(m->to_dir, &out->to_dir);
	if (!err && out->to_dir.post.nlink == 0)
		err = ERR_NOENT;
	if (!err)
		err = access_check(m->c->cred, &out->dir.post, m->from_dir->acl, MAY_EXEC);
	if (!err)
		err = access_check(m->c->cred, &out->to_dir.post, m->to_dir->acl, MAY_EXEC);
	if (!err)
		err = find_objects(m);
	if (err)
		return err;
	if (m->target && (m->flags & RENAME_NOREPLACE))
		return ERR_EXIST;
	err = check_loop(m);
	/* Two names of one object: POSIX wants nothing done. */
	if (err || m->node == m->target)
		return err;
	return rename_objects(m, out);
}

static int check_rename(struct mover *m)
{
	const struct op_rename_in *in = &m->c->op->in.rename;
	int err = vfs_name(m->c, &in->name, ERR_INVAL, &m->from);
	if (!err)
		err = vfs_name(m->c, &in->to_name, ERR_INVAL, &m->to);
	if (err)
		return err;
	if (m->from_dir->type != OP_TYPE_DIR || m->to_dir->type != OP_TYPE_DIR)
		return ERR_NOTDIR;
	return m->flags > RENAME_EXCHANGE ? ERR_INVAL : 0;
}

int vfs_op_rename(struct vfs_call *c)
{
	struct op_rename_out *out = &c->op->out.rename;
	struct mover m = {.c = c, .from_dir = c->node, .to_dir = c->node2, .flags = c->op->in.rename.flags};
	int err = check_rename(&m);
	if (!err)
		err = lock_dirs(&m);
	if (err)
		return err;
	err = rename_locked(&m, out);
	vfs_post(m.from_dir, &out->dir);
	vfs_post(m.to_dir, &out->to_dir);
	name_index_carry(c->vfs->names, m.from_dir, out->dir.pre.change, out->dir.post.change);
	if (m.to_dir != m.from_dir)
		name_index_carry(c->vfs->names, m.to_dir, out->to_dir.pre.change, out->to_dir.post.change);
	unlock_dirs(&m);
	if (m.node)
		vfs_node_put(m.node);
	if (m.target)
		vfs_node_put(m.target);
	if (!err) {
		vfs_changed(c, c->node, CHANGED_NAME, &m.from);
		vfs_changed(c, c->node2, CHANGED_NAME, &m.to);
	}
	return err;
}
