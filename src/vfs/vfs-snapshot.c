/*
 * Snapshots: the operations, and the same for the administrator by the mount's name. Rolling back takes the mount for
 * itself: who comes meanwhile is told to try again, so that protocol clients wait and nobody sees half of it.
 */
#include <string.h>

#include "vfs/vfs-impl.h"

static int check_name(const char *text, struct vfs_name *name)
{
	size_t size = strlen(text);
	*name = (struct vfs_name){text, (uint32_t)MIN(size, (size_t)OP_NAME_MAX)};
	if (size > OP_NAME_MAX)
		return ERR_NAMETOOLONG;
	return size == 0 || strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ? ERR_INVAL : 0;
}

static bool is_superuser(const struct vfs_call *c)
{
	return !c->cred || c->cred->uid == 0;
}

/* ---- operations */

static int begin(struct vfs_call *c, const struct op_str *str, bool can, struct vfs_name *name)
{
	if (!is_superuser(c))
		return ERR_PERM;
	return can ? vfs_name(c, str, ERR_INVAL, name) : ERR_NOTSUPP;
}

int vfs_op_snapshot_create(struct vfs_call *c)
{
	const struct backend_ops *ops = c->node->mount->ops;
	struct op_snapshot_create_out *out = &c->op->out.snapshot_create;
	struct vfs_snapshot made = {.id = 0};
	struct vfs_name name;
	int err = begin(c, &c->op->in.snapshot_create.name, ops->snapshot_create != NULL, &name);
	if (!err)
		err = ops->snapshot_create(c->node->mount, &name, &made);
	out->id = made.id;
	out->time = made.time;
	return err;
}

int vfs_op_snapshot_remove(struct vfs_call *c)
{
	const struct backend_ops *ops = c->node->mount->ops;
	struct vfs_name name;
	int err = begin(c, &c->op->in.snapshot_remove.name, ops->snapshot_remove != NULL, &name);
	return err ? err : ops->snapshot_remove(c->node->mount, &name);
}

struct lister {
	struct vfs_call *c;
	uint64_t after;
	uint64_t room;
	struct op_snapshot_list_out *out;
};

static bool put_snapshot(void *arg, const struct vfs_snapshot *s)
{
	static const uint8_t padding[8];
	struct lister *l = arg;
	uint32_t name_size = (uint32_t)strlen(s->name), used = (uint32_t)sizeof(struct op_snapshot) + name_size;
	struct op_snapshot head = {
		.record_size = ALIGN_UP(used, 8u), .name_size = name_size, .id = s->id, .time = s->time, .state = s->state,
		.done = s->done, .total = s->total};
	if (s->id <= l->after)
		return true;
	if (l->room - l->out->size < head.record_size) {
		l->out->eof = 0;
		return false;
	}
	payload_put(l->c->payload, l->out->size, &head, sizeof(head));
	payload_put(l->c->payload, l->out->size + sizeof(head), s->name, name_size);
	payload_put(l->c->payload, l->out->size + used, padding, head.record_size - used);
	l->out->size += head.record_size;
	l->out->n_snapshots++;
	return true;
}

int vfs_op_snapshot_list(struct vfs_call *c)
{
	struct vfs_mount *m = c->node->mount;
	struct op_snapshot_list_out *out = &c->op->out.snapshot_list;
	struct lister l = {c, c->op->in.snapshot_list.after, payload_size(c->payload), out};
	if (!m->ops->snapshot_list)
		return ERR_NOTSUPP;
	out->eof = 1;
	int err = m->ops->snapshot_list(m, put_snapshot, &l);
	return !err && !out->eof && !out->n_snapshots ? ERR_TOOSMALL : err;
}

/* ---- rolling back */

/* With mount_lock, and not inside. */
static int roll_back(struct vfs *vfs, struct vfs_mount *m, const struct vfs_name *name, struct vfs_snapshot *unused)
{
	if (!m->ops->snapshot_rollback)
		return ERR_NOTSUPP;
	if (m->read_only)
		return ERR_ROFS;
	vfs_hold(vfs, m);
	int err = m->ops->snapshot_rollback(m, name);
	vfs_unhold(vfs, m);
	return err;
}

/* Waiting for everybody to leave, the call itself must not be inside; so the mount may be gone when it has the lock. */
int vfs_op_snapshot_rollback(struct vfs_call *c)
{
	uint32_t id = c->node->mount->id;
	struct vfs *vfs = c->vfs;
	struct vfs_name name;
	int err = begin(c, &c->op->in.snapshot_rollback.name, true, &name);
	if (err)
		return err;
	vfs_node_put(TAKE(c->node));
	vfs_leave(c->session, c->phase);
	fiber_mutex_lock(&vfs->mount_lock);
	struct vfs_mount *m = vfs_mount_by_id(vfs, id);
	err = m ? roll_back(vfs, m, &name, NULL) : ERR_STALE;
	fiber_mutex_unlock(&vfs->mount_lock);
	c->phase = vfs_enter(c->session);
	return err;
}

/* ---- by the mount's name */

/* Takes mount_lock, unless that fails. */
static int find_mount(struct vfs *vfs, const char *name, struct vfs_mount **m)
{
	fiber_mutex_lock(&vfs->mount_lock);
	*m = vfs_mount_by_name(vfs, name, strlen(name));
	if (!*m)
		fiber_mutex_unlock(&vfs->mount_lock);
	return *m ? 0 : ERR_NOENT;
}

/* A change of the snapshots of a mount; made: where the new one is told, if there is one. With mount_lock. */
typedef int snapshot_change(struct vfs *vfs, struct vfs_mount *m, const struct vfs_name *name, struct vfs_snapshot *made);

static int change_named(struct vfs *vfs, const char *mount, const char *text, snapshot_change *change, struct vfs_snapshot *made)
{
	struct vfs_name name;
	struct vfs_mount *m;
	int err = check_name(text, &name);
	if (!err)
		err = find_mount(vfs, mount, &m);
	if (err)
		return err;
	err = change(vfs, m, &name, made);
	fiber_mutex_unlock(&vfs->mount_lock);
	return err;
}

static int make(struct vfs *vfs, struct vfs_mount *m, const struct vfs_name *name, struct vfs_snapshot *made)
{
	return !m->ops->snapshot_create ? ERR_NOTSUPP : m->read_only ? ERR_ROFS : m->ops->snapshot_create(m, name, made);
}

static int take_away(struct vfs *vfs, struct vfs_mount *m, const struct vfs_name *name, struct vfs_snapshot *made)
{
	return !m->ops->snapshot_remove ? ERR_NOTSUPP : m->read_only ? ERR_ROFS : m->ops->snapshot_remove(m, name);
}

int vfs_snapshot_create(struct vfs *vfs, const char *mount, const char *name, struct vfs_snapshot *made)
{
	return change_named(vfs, mount, name, make, made);
}

int vfs_snapshot_remove(struct vfs *vfs, const char *mount, const char *name)
{
	return change_named(vfs, mount, name, take_away, NULL);
}

int vfs_snapshot_rollback(struct vfs *vfs, const char *mount, const char *name)
{
	return change_named(vfs, mount, name, roll_back, NULL);
}

int vfs_snapshot_list(struct vfs *vfs, const char *mount, vfs_snapshot_fn *fn, void *arg)
{
	struct vfs_mount *m;
	int err = find_mount(vfs, mount, &m);
	if (err)
		return err;
	err = m->ops->snapshot_list ? m->ops->snapshot_list(m, fn, arg) : ERR_NOTSUPP;
	fiber_mutex_unlock(&vfs->mount_lock);
	return err;
}
