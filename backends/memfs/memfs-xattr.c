/* Extended attributes: a list, for nodes have none or few; and the ACL. Their bytes count against the capacity. */
#include <stdlib.h>
#include <string.h>

#include "backends/memfs/memfs.h"

static uint64_t granules_of(uint32_t size)
{
	return (size + MEMFS_GRANULE - 1) / MEMFS_GRANULE;
}

static struct memfs_xattr **find(struct memfs_node *n, const struct vfs_name *name)
{
	struct memfs_xattr **p = &n->xattrs;
	while (*p && ((*p)->name_size != name->size || memcmp((*p)->bytes, name->bytes, name->size) != 0))
		p = &(*p)->next;
	return p;
}

/* The node's bytes become size; what that means for the budget. */
static int resize(struct memfs_node *n, uint32_t size)
{
	uint64_t now = granules_of(n->xattr_size), then = granules_of(size);
	if (size > MEMFS_XATTRS_MAX)
		return ERR_NOSPC;
	int err = then > now ? memfs_charge(memfs_of(n), then - now) : 0;
	if (err)
		return err;
	if (then < now)
		memfs_refund(memfs_of(n), now - then);
	n->xattr_size = size;
	return 0;
}

static uint32_t bytes_of(const struct memfs_xattr *x)
{
	return x ? x->name_size + x->value_size : 0;
}

static void unlink_xattr(struct memfs_xattr **at)
{
	struct memfs_xattr *x = *at;
	*at = x->next;
	free(x);
}

int memfs_get_xattr(struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size)
{
	const struct memfs_xattr *x = *find(memfs_node_of(node), name);
	uint32_t room = *size;
	if (!x)
		return ERR_NODATA;
	*size = x->value_size;
	if (x->value_size > room)
		return ERR_TOOSMALL;
	memcpy(value, x->bytes + x->name_size, x->value_size);
	return 0;
}

int memfs_set_xattr(struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags)
{
	struct memfs_node *n = memfs_node_of(node);
	struct memfs_xattr **at = find(n, name), *x;
	if (*at && (flags & XATTR_SET_CREATE))
		return ERR_EXIST;
	if (!*at && (flags & XATTR_SET_REPLACE))
		return ERR_NODATA;
	x = malloc(sizeof(*x) + name->size + size);
	if (!x)
		return ERR_NOSPC;
	int err = resize(n, n->xattr_size - bytes_of(*at) + name->size + size);
	if (err) {
		free(x);
		return err;
	}
	x->name_size = name->size;
	x->value_size = size;
	memcpy(x->bytes, name->bytes, name->size);
	if (size)
		memcpy(x->bytes + name->size, value, size);
	if (*at)
		unlink_xattr(at);
	x->next = n->xattrs;
	n->xattrs = x;
	memfs_touch(n, false);
	return 0;
}

int memfs_list_xattr(struct vfs_node *node, char *names, uint32_t *size)
{
	const struct memfs_node *n = memfs_node_of(node);
	uint32_t room = *size, full = 0;
	for (const struct memfs_xattr *x = n->xattrs; x; x = x->next) {
		if (full + x->name_size + 1 <= room) {
			memcpy(names + full, x->bytes, x->name_size);
			names[full + x->name_size] = '\0';
		}
		full += x->name_size + 1;
	}
	*size = full;
	return full > room ? ERR_TOOSMALL : 0;
}

int memfs_remove_xattr(struct vfs_node *node, const struct vfs_name *name)
{
	struct memfs_node *n = memfs_node_of(node);
	struct memfs_xattr **at = find(n, name);
	if (!*at)
		return ERR_NODATA;
	resize(n, n->xattr_size - bytes_of(*at));
	unlink_xattr(at);
	memfs_touch(n, false);
	return 0;
}

/* ---- the ACL: bytes as well */

static uint32_t acl_bytes(const struct acl *acl)
{
	return acl ? acl->size : 0;
}

int memfs_take_acl(struct memfs_node *n, const struct acl *acl)
{
	struct acl *copy = acl ? acl_copy(acl) : NULL;
	if (acl && !copy)
		return ERR_NOSPC;
	int err = resize(n, n->xattr_size - acl_bytes(n->node.acl) + acl_bytes(copy));
	if (err) {
		free(copy);
		return err;
	}
	free(n->node.acl);
	n->node.acl = copy;
	return 0;
}

int memfs_set_acl(struct vfs_node *node, const struct acl *acl, uint32_t mode)
{
	struct memfs_node *n = memfs_node_of(node);
	int err = memfs_take_acl(n, acl);
	if (err)
		return err;
	n->attr.mode = mode;
	memfs_touch(n, false);
	return 0;
}

void memfs_drop_xattrs(struct memfs_node *n)
{
	while (n->xattrs)
		unlink_xattr(&n->xattrs);
	free(TAKE(n->node.acl));
	resize(n, 0);
}
