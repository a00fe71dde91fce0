/* Quotas: who may ask and who may set; the numbers are the back end's. */
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

static int may_ask(struct vfs_call *c, const struct op_get_quota_in *in)
{
	struct op_attr attr;
	if (access_is_root(c->cred))
		return 0;
	if (in->flags & QUOTA_NEXT)
		return ERR_PERM;
	if (in->kind == QUOTA_USER)
		return in->id == c->cred->uid ? 0 : ERR_PERM;
	if (in->kind == QUOTA_GROUP)
		return op_cred_in_group(c->cred, in->id) ? 0 : ERR_PERM;
	int err = vfs_attr_locked(c->node, &attr);
	return err ? err : attr.project == in->id ? 0 : ERR_PERM;
}

int vfs_op_get_quota(struct vfs_call *c)
{
	const struct op_get_quota_in *in = &c->op->in.get_quota;
	struct op_quota *q = &c->op->out.get_quota.quota;
	struct vfs_mount *m = c->node->mount;
	if (!m->ops->get_quota)
		return ERR_NOTSUPP;
	if (in->kind >= QUOTA_N_KINDS || (in->flags & ~(uint32_t)QUOTA_NEXT))
		return ERR_INVAL;
	int err = may_ask(c, in);
	q->kind = in->kind;
	q->id = in->id;
	return err ? err : m->ops->get_quota(m, q, in->flags & QUOTA_NEXT);
}

static bool sound(const struct op_quota_limit *l)
{
	return (!l->hard || l->soft <= l->hard) && l->hard <= INT64_MAX && l->soft <= INT64_MAX && l->grace <= UINT32_MAX;
}

int vfs_op_set_quota(struct vfs_call *c)
{
	struct op_quota quota = c->op->in.set_quota.quota, *q = &quota;
	struct vfs_mount *m = c->node->mount;
	if (!m->ops->set_quota)
		return ERR_NOTSUPP;
	if (q->kind >= QUOTA_N_KINDS || !sound(&q->bytes) || !sound(&q->inodes))
		return ERR_INVAL;
	/* No project is no tree. */
	if (q->kind == QUOTA_PROJECT && q->id == 0)
		return ERR_INVAL;
	q->bytes.until = q->inodes.until = 0;
	return access_is_root(c->cred) ? m->ops->set_quota(m, q) : ERR_PERM;
}
