/*
 * ACLs of objects: told, set, and handed down. An object without one answers what its mode says as an ACL, so
 * that callers who think in ACLs need not know the difference.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

int vfs_inherit(const struct vfs_node *dir, const struct op_attr *asked, struct op_attr *attr, struct acl **acl)
{
	CLEANUP_FREE struct acl *inherited = NULL;
	bool is_dir = attr->type == OP_TYPE_DIR;
	if (!dir->acl || attr->type == OP_TYPE_SYMLINK)
		return 0;
	int err = acl_inherit(dir->acl, is_dir, &inherited);
	if (err || !inherited)
		return err;
	if (asked->mask & ATTR_MODE)
		return acl_chmod(inherited, attr->mode, is_dir, acl);
	attr->mode = (attr->mode & 07000) | acl_mode(inherited);
	*acl = TAKE(inherited);
	return 0;
}

/* ---- get */

static int read_acl(struct vfs_call *c, struct vfs_node *node, struct op_get_acl_out *out, struct acl **acl)
{
	int err = vfs_attr(node, &out->attr);
	if (!err)
		err = access_check(c->cred, &out->attr, node->acl, ACE_READ_ACL);
	if (err)
		return err;
	out->stored = node->acl != NULL;
	if (!node->acl)
		return acl_from_mode(out->attr.mode, node->type == OP_TYPE_DIR, acl);
	*acl = acl_copy(node->acl);
	return *acl ? 0 : ERR_NOMEM;
}

int vfs_op_get_acl(struct vfs_call *c)
{
	struct op_get_acl_out *out = &c->op->out.get_acl;
	struct vfs_node *node = vfs_owner(c->node);
	CLEANUP_FREE struct acl *acl = NULL;
	fiber_rwlock_rdlock(&node->lock);
	int err = read_acl(c, node, out, &acl);
	fiber_rwlock_rdunlock(&node->lock);
	if (err)
		return err;
	out->size = acl->size;
	if (payload_size(c->payload) == 0)
		return 0;
	return payload_put(c->payload, 0, acl->bytes, acl->size) ? 0 : ERR_TOOSMALL;
}

/* ---- set */

/* The set-group-id bit goes as with a chmod. */
static uint32_t mode_with(const struct op_cred *cred, const struct op_attr *cur, const struct acl *acl)
{
	uint32_t mode = acl ? (cur->mode & 07000) | acl_mode(acl) : cur->mode;
	bool keeps = access_is_root(cred) || op_cred_in_group(cred, cur->gid);
	return keeps ? mode : mode & ~(uint32_t)S_ISGID;
}

static int set_locked(struct vfs_call *c, struct vfs_node *node, const struct acl *acl, struct op_wcc *wcc)
{
	int err = vfs_pre(node, wcc);
	if (!err && access_check(c->cred, &wcc->post, node->acl, ACE_WRITE_ACL))
		err = ERR_PERM;
	if (!err && (acl || node->acl))
		err = node->mount->ops->set_acl(node, acl, mode_with(c->cred, &wcc->post, acl));
	vfs_post(node, wcc);
	return err;
}

/* Nothing means none. */
static int parse_payload(struct vfs_call *c, struct acl **acl)
{
	CLEANUP_FREE char *bytes = NULL;
	uint32_t size;
	int err = payload_copy(c->payload, OP_ACL_MAX, &bytes, &size);
	return err || size == 0 ? err : acl_parse(bytes, size, acl);
}

int vfs_op_set_acl(struct vfs_call *c)
{
	struct op_wcc *wcc = &c->op->out.set_acl.wcc;
	struct vfs_node *node = vfs_owner(c->node);
	CLEANUP_FREE struct acl *acl = NULL;
	if (!node->mount->ops->set_acl || node->type == OP_TYPE_SYMLINK)
		return ERR_NOTSUPP;
	int err = parse_payload(c, &acl);
	if (err)
		return err;
	fiber_rwlock_wrlock(&node->lock);
	err = set_locked(c, node, acl, wcc);
	fiber_rwlock_wrunlock(&node->lock);
	if (!err)
		vfs_changed(c, node, CHANGED_ATTR, NULL);
	return err;
}
