/* Attributes: answering them, setting them, before and after a change, and what depends on them alone. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

#define NSEC_MAX 999999999u
#define NOBODYS_ID UINT32_MAX /* says "unchanged" in chown(2), and "no such user" in kernels */

/* What a stream has of its own, over what it has of its base. */
static int stream_attr(struct vfs_node *node, struct op_attr *attr)
{
	const struct backend_ops *ops = node->mount->ops;
	struct op_attr own;
	int err = ops->getattr(node, &own);
	if (!err)
		err = ops->getattr(node->base, attr);
	attr->type = OP_TYPE_FILE;
	attr->fileid = node->fileid;
	attr->size = own.size;
	attr->space = own.space;
	attr->nlink = own.nlink;
	return err;
}

/* What the VFS knows. */
static void add_own(const struct vfs_node *node, struct op_attr *attr)
{
	attr->fsid = node->mount->fsid;
	attr->flags = vfs_node_acl(node) ? ATTR_HAS_ACL : 0;
	attr->mask |= ATTR_FSID | ATTR_FLAGS;
}

int vfs_attr(struct vfs_node *node, struct op_attr *attr)
{
	int err = unlikely(node->base != NULL) ? stream_attr(node, attr) : node->mount->ops->getattr(node, attr);
	add_own(node, attr);
	if (err)
		attr->mask = 0;
	return err;
}

int vfs_attr_locked(struct vfs_node *node, struct op_attr *attr)
{
	fiber_rwlock_rdlock(vfs_node_lock(node));
	int err = vfs_attr(node, attr);
	fiber_rwlock_rdunlock(vfs_node_lock(node));
	return err;
}

int vfs_attr_made(struct vfs_node *node, struct op_attr *attr)
{
	if (!attr->mask)
		return vfs_attr_locked(node, attr);
	add_own(node, attr);
	return 0;
}

int vfs_pre(struct vfs_node *node, struct op_wcc *wcc)
{
	int err = vfs_attr(node, &wcc->post);
	if (err)
		return err;
	wcc->pre = (struct op_pre){1, wcc->post.size, wcc->post.change, wcc->post.mtime, wcc->post.ctime};
	return 0;
}

void vfs_post(struct vfs_node *node, struct op_wcc *wcc)
{
	vfs_attr(node, &wcc->post);
}

int vfs_attr_allowed(struct vfs_call *c, struct vfs_node *node, struct op_attr *attr, uint32_t want)
{
	fiber_rwlock_rdlock(vfs_node_lock(node));
	int err = vfs_attr(node, attr);
	if (!err)
		err = access_check(c->cred, attr, vfs_node_acl(node), want);
	fiber_rwlock_rdunlock(vfs_node_lock(node));
	return err;
}

int vfs_op_getattr(struct vfs_call *c)
{
	return vfs_attr_allowed(c, c->node, &c->op->out.getattr.attr, ACE_READ_ATTRIBUTES);
}

/* ---- setattr */

static bool time_valid(const struct op_attr *a, uint64_t bit, const struct op_time *t)
{
	return !(a->mask & bit) || t->nsec <= NSEC_MAX;
}

int vfs_check_values(const struct op_attr *a)
{
	bool times = time_valid(a, ATTR_ATIME, &a->atime) && time_valid(a, ATTR_MTIME, &a->mtime) && time_valid(a, ATTR_BTIME, &a->btime);
	bool ids = !((a->mask & ATTR_UID) && a->uid == NOBODYS_ID) && !((a->mask & ATTR_GID) && a->gid == NOBODYS_ID);
	return times && ids ? 0 : ERR_INVAL;
}

static int check_settable(const struct vfs_node *node, const struct op_attr *set)
{
	if (set->mask & ~(uint64_t)ATTR_SETTABLE)
		return ERR_INVAL;
	int err = vfs_check_values(set);
	if (err)
		return err;
	if ((set->mask & ATTR_DOS) && (set->dos & ~(uint32_t)DOS_SETTABLE))
		return ERR_INVAL;
	if ((set->mask & ATTR_PROJECT) && !(node->mount->ops->caps & VFS_CAP_QUOTA))
		return ERR_NOTSUPP;
	if (!(set->mask & ATTR_SIZE))
		return 0;
	if (node->type != OP_TYPE_FILE)
		return node->type == OP_TYPE_DIR ? ERR_ISDIR : ERR_INVAL;
	return set->size > VFS_SIZE_MAX ? ERR_FBIG : 0;
}

/* NOW becomes a time: one clock reading for both. A NOW bit counts with or without the bit of its time. */
static void resolve_times(struct op_attr *set)
{
	struct op_time now;
	if (!(set->mask & (ATTR_ATIME_NOW | ATTR_MTIME_NOW)))
		return;
	now = vfs_now();
	if (set->mask & ATTR_ATIME_NOW) {
		set->atime = now;
		set->mask |= ATTR_ATIME;
	}
	if (set->mask & ATTR_MTIME_NOW) {
		set->mtime = now;
		set->mask |= ATTR_MTIME;
	}
	set->mask &= ~(ATTR_ATIME_NOW | ATTR_MTIME_NOW);
}

/* A chmod of an object with an ACL changes the ACL, and the mode through it. */
static int apply(struct vfs_node *node, struct op_attr *set, bool chmod)
{
	const struct backend_ops *ops = node->mount->ops;
	CLEANUP_FREE struct acl *acl = NULL;
	int err = 0;
	if (!ops->setattr)
		return ERR_NOTSUPP;
	if (unlikely(node->acl != NULL) && chmod) {
		err = acl_chmod(node->acl, set->mode, node->type == OP_TYPE_DIR, &acl);
		set->mask &= ~(uint64_t)ATTR_MODE;
	}
	if (!err && set->mask)
		err = ops->setattr(node, set);
	return err || !acl ? err : ops->set_acl(node, acl, set->mode);
}

/* A stream's size is its own, all else its base's, whose set-id bits its data has nothing to do with. */
static int set_stream(struct vfs_call *c, const struct op_attr *cur, const struct op_attr *asked, bool opened)
{
	const struct backend_ops *ops = c->node->mount->ops;
	struct op_attr set = *asked, size = {.mask = asked->mask & ATTR_SIZE, .size = asked->size}, base = *cur;
	set.mask &= ~(uint64_t)ATTR_SIZE;
	base.type = c->node->base->type;
	int err = access_setattr(c->cred, &base, c->node->base->acl, &set, false);
	if (!err && size.mask && !opened)
		err = access_check(c->cred, cur, c->node->base->acl, MAY_WRITE);
	if (!err && size.mask)
		err = ops->setattr ? ops->setattr(c->node, &size) : ERR_NOTSUPP;
	resolve_times(&set);
	return err ? err : apply(c->node->base, &set, asked->mask & ATTR_MODE);
}

static int set_file(struct vfs_call *c, const struct op_attr *cur, const struct op_attr *asked, bool opened)
{
	bool override = (c->op->flags & OP_F_OWNER_OVERRIDE) && access_is_owner(c->cred, cur);
	struct op_attr set = *asked;
	/* An open for writing has the permission to truncate: it outlives a chmod. */
	int err = access_setattr(c->cred, cur, c->node->acl, &set, opened || override);
	if (err)
		return err;
	resolve_times(&set);
	return apply(c->node, &set, asked->mask & ATTR_MODE);
}

static int set_locked(struct vfs_call *c, const struct op_setattr_in *in, struct op_wcc *wcc, bool opened)
{
	int err = vfs_pre(c->node, wcc);
	if (err)
		return err;
	if (in->guard && op_time_cmp(wcc->post.ctime, in->guard_ctime) != 0)
		return ERR_NOT_SYNC;
	err = c->node->base ? set_stream(c, &wcc->post, &in->attr, opened) : set_file(c, &wcc->post, &in->attr, opened);
	vfs_post(c->node, wcc);
	return err;
}

int vfs_op_setattr(struct vfs_call *c)
{
	const struct op_setattr_in *in = &c->op->in.setattr;
	int err = check_settable(c->node, &in->attr);
	int opened = err ? err : vfs_io_open(c, c->node, in->open_id, OPEN_WRITE);
	if (opened < 0)
		return opened;
	fiber_rwlock_wrlock(vfs_node_lock(c->node));
	err = set_locked(c, in, &c->op->out.setattr.wcc, opened == IO_OPEN);
	fiber_rwlock_wrunlock(vfs_node_lock(c->node));
	if (!err)
		vfs_changed(c, c->node, in->attr.mask & ATTR_SIZE ? CHANGED_ATTR | CHANGED_DATA : CHANGED_ATTR, NULL);
	return err;
}

int vfs_drop_suid(struct vfs_call *c, struct vfs_node *node, const struct op_attr *attr)
{
	struct op_attr set = {.mask = ATTR_MODE, .mode = access_suid_mode(attr->mode)};
	if (likely(!(attr->mode & 06000)) || access_is_root(c->cred) || set.mode == attr->mode || node->base)
		return 0;
	return node->mount->ops->setattr ? node->mount->ops->setattr(node, &set) : 0;
}

int vfs_set_size(struct vfs_call *c, struct vfs_node *node, const struct op_attr *cur, uint64_t size)
{
	struct op_attr set = {.mask = ATTR_SIZE, .size = size};
	if (!node->mount->ops->setattr)
		return ERR_NOTSUPP;
	if ((cur->mode & 06000) && !access_is_root(c->cred) && !node->base) {
		set.mask |= ATTR_MODE;
		set.mode = access_suid_mode(cur->mode);
	}
	return node->mount->ops->setattr(node, &set);
}

/* ---- access, statfs, sync */

/* What each right lets one do of RFC 1813 section 3.3.4. */
static uint32_t allowed_of(uint32_t rights, bool dir, bool read_only)
{
	uint32_t allowed = rights & MAY_READ ? ACCESS_READ : 0;
	if (rights & MAY_EXEC)
		allowed |= dir ? ACCESS_LOOKUP : ACCESS_EXECUTE;
	if (read_only)
		return allowed;
	if (rights & MAY_WRITE)
		allowed |= ACCESS_MODIFY;
	if (rights & (MAY_WRITE | ACE_APPEND_DATA))
		allowed |= ACCESS_EXTEND;
	if (dir && (rights & ACE_DELETE_CHILD))
		allowed |= ACCESS_DELETE;
	return allowed;
}

int vfs_op_access(struct vfs_call *c)
{
	struct op_access_out *out = &c->op->out.access;
	uint32_t rights = 0;
	fiber_rwlock_rdlock(vfs_node_lock(c->node));
	int err = vfs_attr(c->node, &out->attr);
	if (!err)
		rights = access_rights(c->cred, &out->attr, vfs_node_acl(c->node));
	fiber_rwlock_rdunlock(vfs_node_lock(c->node));
	out->allowed = c->op->in.access.want & allowed_of(rights, c->node->type == OP_TYPE_DIR, vfs_node_read_only(c->node));
	return err;
}

int vfs_op_statfs(struct vfs_call *c)
{
	struct op_statfs_out *out = &c->op->out.statfs;
	struct vfs_mount *m = c->node->mount;
	int err = vfs_attr_locked(c->node, &out->attr);
	if (!err)
		err = m->ops->statfs(m, &out->statfs);
	out->statfs.fsid = m->fsid;
	out->statfs.read_only = out->statfs.read_only || m->read_only;
	return err;
}

int vfs_op_sync(struct vfs_call *c)
{
	struct vfs_mount *m = c->node->mount;
	return m->ops->sync ? m->ops->sync(m) : 0;
}
