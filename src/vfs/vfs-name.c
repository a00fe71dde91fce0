/* Finding objects by name, and listing names. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

static bool is_dots(const char *bytes, uint32_t size)
{
	return bytes[0] == '.' && (size == 1 || (size == 2 && bytes[1] == '.'));
}

static int check_name(const char *bytes, uint32_t size, int dots, struct vfs_name *name)
{
	if (!bytes || size == 0)
		return ERR_INVAL;
	if (size > OP_NAME_MAX)
		return ERR_NAMETOOLONG;
	if (memchr(bytes, '/', size) || memchr(bytes, '\0', size))
		return ERR_BADNAME;
	*name = (struct vfs_name){bytes, size};
	return is_dots(bytes, size) ? dots : 0;
}

int vfs_name(const struct vfs_call *c, const struct op_str *str, int dots, struct vfs_name *name)
{
	return check_name(op_get_str(c->op, str), str->size, dots, name);
}

int vfs_name_cmp(const struct vfs_name *a, const struct vfs_name *b)
{
	int cmp = memcmp(a->bytes, b->bytes, MIN(a->size, b->size));
	return cmp ? cmp : (a->size > b->size) - (a->size < b->size);
}

int vfs_made(struct vfs_call *c, struct vfs_node *node, struct op_handle *h, struct op_attr *attr)
{
	c->made = node;
	vfs_handle_make(c->session, node, c->tag, h);
	return vfs_attr_locked(node, attr);
}

/* ---- look-up */

static int lookup_locked(struct vfs_call *c, struct vfs_node *dir, const struct vfs_name *name,
                         struct op_attr *attr, struct vfs_node **node)
{
	int err = vfs_attr(dir, attr);
	if (!err)
		err = access_check(c->cred, attr, dir->acl, MAY_EXEC);
	if (err)
		return err;
	if (unlikely(name->bytes[0] == '.' && is_dots(name->bytes, name->size))) {
		if (name->size == 2)
			return dir->mount->ops->parent(dir, node);
		*node = vfs_node_get(dir);
		return 0;
	}
	return dir->mount->ops->lookup(dir, name, node);
}

int vfs_lookup(struct vfs_call *c, struct vfs_node *dir, const struct vfs_name *name, struct op_attr *attr,
               struct vfs_node **node)
{
	if (dir->type != OP_TYPE_DIR)
		return ERR_NOTDIR;
	fiber_rwlock_rdlock(&dir->lock);
	int err = lookup_locked(c, dir, name, attr, node);
	fiber_rwlock_rdunlock(&dir->lock);
	return err;
}

int vfs_op_lookup(struct vfs_call *c)
{
	struct op_lookup_out *out = &c->op->out.lookup;
	struct vfs_name name;
	struct vfs_node *node;
	int err = vfs_name(c, &c->op->in.lookup.name, 0, &name);
	if (!err)
		err = vfs_lookup(c, c->node, &name, &out->dir, &node);
	return err ? err : vfs_made(c, node, &out->obj, &out->attr);
}

int vfs_op_parent(struct vfs_call *c)
{
	static const struct vfs_name up = {"..", 2};
	struct op_parent_out *out = &c->op->out.parent;
	struct op_attr attr;
	struct vfs_node *node;
	if (c->node->base)
		return vfs_made(c, vfs_node_get(c->node->base), &out->obj, &out->attr);
	int err = vfs_lookup(c, c->node, &up, &attr, &node);
	return err ? err : vfs_made(c, node, &out->obj, &out->attr);
}

/* The next component of *path, which moves behind it; size 0 at the end. */
static struct vfs_name next_component(const char **path)
{
	struct vfs_name name;
	while (**path == '/')
		(*path)++;
	name.bytes = *path;
	name.size = (uint32_t)strcspn(*path, "/");
	*path += name.size;
	return name;
}

static int walk_start(struct vfs_call *c, const char **path, struct vfs_node **node)
{
	if (c->node) {
		*node = vfs_node_get(c->node);
		return 0;
	}
	c->tag = c->op->in.lookup_path.tag;
	struct vfs_name name = next_component(path);
	struct vfs_mount *m = vfs_mount_by_name(c->vfs, name.bytes, name.size);
	if (!m)
		return ERR_NOENT;
	if (unlikely(m->held))
		return ERR_DELAY;
	if (unlikely(!m->root))
		return ERR_IO;
	*node = vfs_node_get(m->root);
	return 0;
}

/* Takes over *node and gives the object at path, or nothing on failure. */
static int walk(struct vfs_call *c, const char *path, struct vfs_node **node)
{
	struct op_attr attr;
	for (struct vfs_name name = next_component(&path); name.size; name = next_component(&path)) {
		struct vfs_node *next = NULL;
		int err = name.size > OP_NAME_MAX ? ERR_NAMETOOLONG : vfs_lookup(c, *node, &name, &attr, &next);
		vfs_node_put(*node);
		*node = next;
		if (err)
			return err;
	}
	return 0;
}

int vfs_op_lookup_path(struct vfs_call *c)
{
	struct op_lookup_path_out *out = &c->op->out.lookup_path;
	CLEANUP_FREE char *text = NULL;
	struct vfs_node *node;
	uint32_t size;
	int err = payload_copy(c->payload, OP_PATH_MAX, &text, &size);
	if (err)
		return err == ERR_RANGE ? ERR_NAMETOOLONG : err;
	if (strlen(text) != size)
		return ERR_BADNAME;
	const char *path = text;
	err = walk_start(c, &path, &node);
	if (!err)
		err = walk(c, path, &node);
	return err ? err : vfs_made(c, node, &out->obj, &out->attr);
}

int vfs_op_readlink(struct vfs_call *c)
{
	struct op_readlink_out *out = &c->op->out.readlink;
	const struct backend_ops *ops = c->node->mount->ops;
	if (c->node->type != OP_TYPE_SYMLINK || !ops->readlink)
		return ERR_INVAL;
	CLEANUP_FREE char *target = malloc(OP_PATH_MAX);
	if (!target)
		return ERR_NOMEM;
	fiber_rwlock_rdlock(&c->node->lock);
	int err = ops->readlink(c->node, target, &out->size);
	if (!err)
		err = vfs_attr(c->node, &out->attr);
	fiber_rwlock_rdunlock(&c->node->lock);
	if (!err && !payload_put(c->payload, 0, target, out->size))
		err = ERR_TOOSMALL;
	return err;
}
