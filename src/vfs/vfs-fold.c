/* Finding names regardless of case, as SMB does: the exact name first, then the first in order that differs in case only. */
#include <string.h>

#include "vfs/name-index.h"
#include "vfs/vfs-impl.h"

int vfs_find_any_case(struct vfs_node *dir, const struct vfs_name *name, struct vfs_name *stored, char bytes[OP_NAME_MAX],
                      struct vfs_node **node)
{
	const struct backend_ops *ops = dir->mount->ops;
	int err = ops->lookup(dir, name, node);
	*stored = *name;
	if (err != ERR_NOENT)
		return err;
	if (ops->lookup_folded)
		return ops->lookup_folded(dir, name, stored, bytes, node);
	return name_index_lookup(dir->mount->vfs->names, dir, name, stored, bytes, node);
}

void vfs_answer_name(struct vfs_call *c, const struct vfs_name *name)
{
	memcpy(c->op->out_var, name->bytes, name->size);
	c->op->out_var_size = (uint16_t)name->size;
}

int vfs_lookup_any_case(struct vfs_call *c, struct vfs_node *dir, const struct vfs_name *name, struct op_attr *attr,
                        struct vfs_node **node)
{
	struct vfs_name stored = *name;
	char bytes[OP_NAME_MAX];
	int err = vfs_lookup(c, dir, name, attr, node);
	if (err == ERR_NOENT) {
		fiber_rwlock_rdlock(&dir->lock);
		err = vfs_find_any_case(dir, name, &stored, bytes, node);
		fiber_rwlock_rdunlock(&dir->lock);
	}
	if (!err)
		vfs_answer_name(c, &stored);
	return err;
}

int vfs_op_lookup_ci(struct vfs_call *c)
{
	struct op_lookup_ci_out *out = &c->op->out.lookup_ci;
	struct vfs_name name;
	struct vfs_node *node;
	int err = vfs_name(c, &c->op->in.lookup_ci.name, 0, &name);
	if (!err)
		err = vfs_lookup_any_case(c, c->node, &name, &out->dir, &node);
	return err ? err : vfs_made(c, node, &out->obj, &out->attr);
}
