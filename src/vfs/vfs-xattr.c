/*
 * Extended attributes. Which names a caller may touch is decided by their namespace, as Linux does:
 * "user." by the permission of the data, "trusted." by root, others not at all.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

#define LIST_MAX 65536u/* bytes of all names of one object */

static bool begins(const struct vfs_name *name, const char *prefix)
{
	size_t n = strlen(prefix);
	return name->size > n && memcmp(name->bytes, prefix, n) == 0;
}

static int xattr_name(const struct vfs_call *c, const struct op_str *str, struct vfs_name *name)
{
	const char *bytes = op_get_str(c->op, str);
	if (!bytes || str->size == 0 || memchr(bytes, '\0', str->size))
		return ERR_INVAL;
	if (str->size > OP_NAME_MAX)
		return ERR_RANGE;
	*name = (struct vfs_name){bytes, str->size};
	return 0;
}

static int may_use(struct vfs_call *c, const struct vfs_name *name, uint32_t want)
{
	struct op_attr attr;
	int err = vfs_attr(vfs_owner(c->node), &attr);
	if (err)
		return err;
	if (begins(name, "trusted."))
		return access_is_root(c->cred) ? 0 : want == MAY_READ ? ERR_NODATA : ERR_PERM;
	if (!begins(name, "user."))
		return ERR_NOTSUPP;
	if (attr.type != OP_TYPE_FILE && attr.type != OP_TYPE_DIR)
		return want == MAY_READ ? ERR_NODATA : ERR_PERM;
	if (want == MAY_WRITE && attr.type == OP_TYPE_DIR && access_sticky(c->cred, &attr, &attr))
		return ERR_PERM;
	return access_check(c->cred, &attr, vfs_node_acl(c->node), want == MAY_READ ? ACE_READ_NAMED_ATTRS : ACE_WRITE_NAMED_ATTRS);
}

/* The answer of get and list: value of size full bytes, of which room were wanted. */
static int answer(struct vfs_call *c, const void *value, uint32_t full, uint64_t room)
{
	if (room == 0)
		return 0;
	return full <= room && payload_put(c->payload, 0, value, full) ? 0 : ERR_TOOSMALL;
}

int vfs_op_get_xattr(struct vfs_call *c)
{
	struct vfs_node *node = vfs_owner(c->node);
	const struct backend_ops *ops = node->mount->ops;
	struct op_get_xattr_out *out = &c->op->out.get_xattr;
	uint64_t room = payload_size(c->payload);
	CLEANUP_FREE char *value = malloc(MIN(room, OP_XATTR_MAX) + 1);
	struct vfs_name name;
	int err = value ? xattr_name(c, &c->op->in.get_xattr.name, &name) : ERR_NOMEM;
	if (!err && !ops->get_xattr)
		err = ERR_NOTSUPP;
	if (err)
		return err;
	uint32_t size = (uint32_t)MIN(room, OP_XATTR_MAX);
	fiber_rwlock_rdlock(&node->lock);
	err = may_use(c, &name, MAY_READ);
	if (!err)
		err = ops->get_xattr(node, &name, value, &size);
	fiber_rwlock_rdunlock(&node->lock);
	out->size = err && err != ERR_TOOSMALL ? 0 : size;
	if (err == ERR_TOOSMALL && room == 0)
		return 0;
	return err ? err : answer(c, value, size, room);
}

int vfs_op_list_xattr(struct vfs_call *c)
{
	struct vfs_node *node = vfs_owner(c->node);
	const struct backend_ops *ops = node->mount->ops;
	struct op_list_xattr_out *out = &c->op->out.list_xattr;
	uint64_t room = payload_size(c->payload);
	CLEANUP_FREE char *names = malloc(MIN(room, LIST_MAX) + 1);
	if (!names)
		return ERR_NOMEM;
	if (!ops->list_xattr)
		return ERR_NOTSUPP;
	uint32_t size = (uint32_t)MIN(room, LIST_MAX);
	fiber_rwlock_rdlock(&node->lock);
	int err = ops->list_xattr(node, names, &size);
	fiber_rwlock_rdunlock(&node->lock);
	out->size = err && err != ERR_TOOSMALL ? 0 : size;
	if (err == ERR_TOOSMALL && room == 0)
		return 0;
	return err ? err : answer(c, names, size, room);
}

int vfs_op_set_xattr(struct vfs_call *c)
{
	struct vfs_node *node = vfs_owner(c->node);
	const struct backend_ops *ops = node->mount->ops;
	const struct op_set_xattr_in *in = &c->op->in.set_xattr;
	struct op_wcc *wcc = &c->op->out.set_xattr.wcc;
	CLEANUP_FREE char *value = NULL;
	struct vfs_name name;
	uint32_t size = 0;
	int err = xattr_name(c, &in->name, &name);
	if (!err && (in->flags & ~(uint32_t)(XATTR_SET_CREATE | XATTR_SET_REPLACE)))
		err = ERR_INVAL;
	if (!err)
		err = ops->set_xattr ? payload_copy(c->payload, OP_XATTR_MAX, &value, &size) : ERR_NOTSUPP;
	if (err)
		return err;
	fiber_rwlock_wrlock(&node->lock);
	err = vfs_pre(node, wcc);
	if (!err)
		err = may_use(c, &name, MAY_WRITE);
	if (!err)
		err = ops->set_xattr(node, &name, value, size, in->flags);
	vfs_post(node, wcc);
	fiber_rwlock_wrunlock(&node->lock);
	if (!err)
		vfs_changed(c, node, CHANGED_ATTR, NULL);
	return err;
}

int vfs_op_remove_xattr(struct vfs_call *c)
{
	struct vfs_node *node = vfs_owner(c->node);
	const struct backend_ops *ops = node->mount->ops;
	struct op_wcc *wcc = &c->op->out.remove_xattr.wcc;
	struct vfs_name name;
	int err = xattr_name(c, &c->op->in.remove_xattr.name, &name);
	if (!err && !ops->remove_xattr)
		err = ERR_NOTSUPP;
	if (err)
		return err;
	fiber_rwlock_wrlock(&node->lock);
	err = vfs_pre(node, wcc);
	if (!err)
		err = may_use(c, &name, MAY_WRITE);
	if (!err)
		err = ops->remove_xattr(node, &name);
	vfs_post(node, wcc);
	fiber_rwlock_wrunlock(&node->lock);
	if (!err)
		vfs_changed(c, node, CHANGED_ATTR, NULL);
	return err;
}
