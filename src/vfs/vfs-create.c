/*
 * Making names and taking them away. What these have in common: the directory is locked, its
 * attributes are taken, permission is asked, the backend changes it, its attributes are taken again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vfs/access.h"
#include "vfs/name-index.h"
#include "vfs/vfs-impl.h"

int vfs_begin_change(struct vfs_call *c, struct vfs_node *dir, struct op_wcc *wcc)
{
	if (dir->type != OP_TYPE_DIR)
		return ERR_NOTDIR;
	fiber_rwlock_wrlock(&dir->lock);
	int err = vfs_pre(dir, wcc);
	/* A directory that was removed while somebody held its handle takes no more names. */
	if (!err && wcc->post.nlink == 0)
		err = ERR_NOENT;
	if (!err)
		err = access_check(c->cred, &wcc->post, dir->acl, MAY_EXEC);
	if (err)
		fiber_rwlock_wrunlock(&dir->lock);
	return err;
}

void vfs_end_change(struct vfs_node *dir, struct op_wcc *wcc)
{
	vfs_post(dir, wcc);
	name_index_carry(dir->mount->vfs->names, dir, wcc->pre.change, wcc->post.change);
	fiber_rwlock_wrunlock(&dir->lock);
}

/* Why a name can't be made in a directory one may not write: it exists, or that. */
static int refuse_create(struct vfs_node *dir, const struct vfs_name *name)
{
	struct vfs_node *node;
	if (dir->mount->ops->lookup(dir, name, &node))
		return ERR_ACCES;
	vfs_node_put(node);
	return ERR_EXIST;
}

int vfs_make(struct vfs_call *c, const struct op_attr *dir, const struct vfs_name *name, struct vfs_create *what,
             struct vfs_node **node)
{
	CLEANUP_FREE struct acl *acl = NULL;
	struct op_attr attr;
	const struct op_attr *asked = what->attr;
	if (access_check(c->cred, dir, c->node->acl, what->type == OP_TYPE_DIR ? ACE_APPEND_DATA : MAY_WRITE))
		return ERR_ACCES;
	if (!c->node->mount->ops->create)
		return ERR_NOTSUPP;
	int err = access_create(c->cred, dir, what->type, asked, &attr);
	if (!err && unlikely(c->node->acl != NULL))
		err = vfs_inherit(c->node, asked, &attr, &acl);
	what->attr = &attr;
	what->acl = acl;
	if (!err)
		err = c->node->mount->ops->create(c, c->node, name, what, node);
	if (!err)
		name_index_added(c->vfs->names, c->node, name, *node);
	what->attr = asked;
	what->acl = NULL;
	return err;
}

struct maker {
	const struct op_str *name;
	struct vfs_create what;
	struct op_handle *obj;
	struct op_attr *attr;
	struct op_wcc *dir;
};

static int answer_made(struct vfs_call *c, struct maker *m, struct vfs_node *node)
{
	c->made = node;
	vfs_handle_make(c->session, node, c->tag, m->obj);
	return vfs_attr_made(node, m->attr);
}

static int make(struct vfs_call *c, struct maker *m)
{
	struct vfs_name name;
	struct vfs_node *node;
	int err = vfs_name(c, m->name, ERR_EXIST, &name);
	if (!err)
		err = vfs_check_values(m->what.attr);
	if (!err)
		err = vfs_begin_change(c, c->node, m->dir);
	if (err)
		return err;
	m->what.made = m->attr;
	err = vfs_make(c, &m->dir->post, &name, &m->what, &node);
	if (!err)
		err = answer_made(c, m, node);
	else if (err == ERR_ACCES)
		err = refuse_create(c->node, &name);
	vfs_end_change(c->node, m->dir);
	if (!err)
		vfs_changed(c, c->node, CHANGED_NAME, &name);
	return err;
}

int vfs_op_mkdir(struct vfs_call *c)
{
	const struct op_mkdir_in *in = &c->op->in.mkdir;
	struct op_mkdir_out *out = &c->op->out.mkdir;
	struct maker m = {&in->name, {.type = OP_TYPE_DIR, .attr = &in->attr}, &out->obj, &out->attr, &out->dir};
	return make(c, &m);
}

int vfs_op_mknod(struct vfs_call *c)
{
	const struct op_mknod_in *in = &c->op->in.mknod;
	struct op_mknod_out *out = &c->op->out.mknod;
	struct maker m = {&in->name, {.type = in->attr.type, .attr = &in->attr}, &out->obj, &out->attr, &out->dir};
	if (in->attr.type < OP_TYPE_BLOCK || in->attr.type > OP_TYPE_SOCKET)
		return ERR_BADTYPE;
	return make(c, &m);
}

int vfs_op_symlink(struct vfs_call *c)
{
	const struct op_symlink_in *in = &c->op->in.symlink;
	struct op_symlink_out *out = &c->op->out.symlink;
	CLEANUP_FREE char *target = NULL;
	uint32_t size;
	int err = payload_copy(c->payload, OP_PATH_MAX, &target, &size);
	if (err)
		return err == ERR_RANGE ? ERR_NAMETOOLONG : err;
	if (size == 0 || memchr(target, '\0', size))
		return ERR_INVAL;
	struct maker m = {
		&in->name,
		{.type = OP_TYPE_SYMLINK, .attr = &in->attr, .target = target, .target_size = size},
		&out->obj, &out->attr, &out->dir,
	};
	return make(c, &m);
}

/* ---- link */

static int link_locked(struct vfs_call *c, const struct vfs_name *name, struct op_link_out *out)
{
	struct vfs_node *dir = c->node2, *node = c->node;
	const struct backend_ops *ops = dir->mount->ops;
	if (access_check(c->cred, &out->dir.post, dir->acl, MAY_WRITE))
		return refuse_create(dir, name);
	if (!ops->link)
		return ERR_NOTSUPP;
	fiber_rwlock_wrlock(&node->lock);
	int err = vfs_attr(node, &out->attr);
	/* As for a rename: a tree counts for one project. */
	if (!err && unlikely(out->dir.post.project) && out->attr.project != out->dir.post.project)
		err = ERR_XDEV;
	if (!err)
		err = ops->link(node, dir, name);
	if (!err)
		name_index_added(c->vfs->names, dir, name, node);
	vfs_attr(node, &out->attr);
	fiber_rwlock_wrunlock(&node->lock);
	return err;
}

int vfs_op_link(struct vfs_call *c)
{
	struct op_link_out *out = &c->op->out.link;
	struct vfs_name name;
	int err = vfs_name(c, &c->op->in.link.name, ERR_EXIST, &name);
	if (err)
		return err;
	if (c->node2->type != OP_TYPE_DIR)
		return ERR_NOTDIR;
	if (c->node->type == OP_TYPE_DIR)
		return ERR_PERM;
	if (c->node->base)
		return ERR_BADTYPE;
	err = vfs_begin_change(c, c->node2, &out->dir);
	if (err)
		return err;
	err = link_locked(c, &name, out);
	vfs_end_change(c->node2, &out->dir);
	if (!err)
		vfs_changed(c, c->node2, CHANGED_NAME, &name);
	return err;
}

/* ---- remove */

static int check_kind(const struct vfs_node *node, uint32_t flags)
{
	if (node->type == OP_TYPE_DIR)
		return flags & REMOVE_DIR ? 0 : ERR_ISDIR;
	return flags & REMOVE_FILE ? 0 : ERR_NOTDIR;
}

static int remove_node(struct vfs_call *c, const struct op_attr *dir, const struct vfs_name *name, struct vfs_node *node)
{
	const struct backend_ops *ops = node->mount->ops;
	struct op_attr attr;
	fiber_rwlock_wrlock(&node->lock);
	int err = vfs_attr(node, &attr);
	if (!err)
		err = access_delete(c->cred, dir, c->node->acl, &attr, node->acl);
	if (!err)
		err = check_kind(node, c->op->in.remove.flags);
	if (!err)
		err = ops->remove ? ops->remove(c->node, name, node) : ERR_NOTSUPP;
	if (!err)
		name_index_removed(c->vfs->names, c->node, name);
	fiber_rwlock_wrunlock(&node->lock);
	return err;
}

int vfs_op_remove(struct vfs_call *c)
{
	struct op_wcc *wcc = &c->op->out.remove.dir;
	struct vfs_name name;
	struct vfs_node *node = NULL;
	uint32_t flags = c->op->in.remove.flags;
	int err = flags & ~(uint32_t)(REMOVE_FILE | REMOVE_DIR) || flags == 0 ? ERR_INVAL : 0;
	if (!err)
		err = vfs_name(c, &c->op->in.remove.name, ERR_INVAL, &name);
	if (!err)
		err = vfs_begin_change(c, c->node, wcc);
	if (err)
		return err;
	err = c->node->mount->ops->lookup(c->node, &name, &node);
	if (!err) {
		err = remove_node(c, &wcc->post, &name, node);
		if (!err)
			vfs_changed(c, c->node, CHANGED_NAME, &name);
	}
	vfs_end_change(c->node, wcc);
	/* The last reference may free the object: not under the directory's lock. */
	if (node)
		vfs_node_put(node);
	return err;
}
