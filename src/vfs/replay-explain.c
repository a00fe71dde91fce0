/*
 * Chimerad was killed between a change and its answer; now the change is asked for again and fails, because it is
 * made already. Which failure of which op says so is a table; that the thing it ran into is as young as the first
 * try is the proof.
 */
#include "vfs/replay-impl.h"
#include "vfs/replay.h"

#define SLACK_NS NS_PER_SEC /* of a host's file times against our clock */

/* Whether t is not before the first try. */
static bool since(const struct replay_entry *e, struct op_time t)
{
	return t.sec >= 0 && (uint64_t)t.sec * NS_PER_SEC + t.nsec + SLACK_NS >= e->began_ns;
}

/* The object that name in dir has, if it changed since; referenced. */
static struct vfs_node *young_object(struct vfs_call *c, const struct replay_entry *e, struct vfs_node *dir,
                                     const struct op_str *str)
{
	struct vfs_name name;
	struct vfs_node *node;
	struct op_attr attr;
	if (vfs_name(c, str, ERR_INVAL, &name) || vfs_lookup(c, dir, &name, &attr, &node))
		return NULL;
	if (vfs_attr_locked(node, &attr) == 0 && since(e, attr.ctime))
		return node;
	vfs_node_put(node);
	return NULL;
}

struct made {
	const struct op_str *name;
	struct op_handle *obj;
	struct op_attr *attr;
};

static int explain_made(struct vfs_call *c, const struct replay_entry *e, const struct made *m, int err)
{
	struct vfs_node *node = err == ERR_EXIST ? young_object(c, e, c->node, m->name) : NULL;
	return node ? vfs_made(c, node, m->obj, m->attr) : err;
}

static int explain_mkdir(struct vfs_call *c, const struct replay_entry *e, int err)
{
	struct op_mkdir_out *out = &c->op->out.mkdir;
	return explain_made(c, e, &(struct made){&c->op->in.mkdir.name, &out->obj, &out->attr}, err);
}

static int explain_mknod(struct vfs_call *c, const struct replay_entry *e, int err)
{
	struct op_mknod_out *out = &c->op->out.mknod;
	return explain_made(c, e, &(struct made){&c->op->in.mknod.name, &out->obj, &out->attr}, err);
}

static int explain_symlink(struct vfs_call *c, const struct replay_entry *e, int err)
{
	struct op_symlink_out *out = &c->op->out.symlink;
	return explain_made(c, e, &(struct made){&c->op->in.symlink.name, &out->obj, &out->attr}, err);
}

/* Opens again what the first try made: the open itself died with chimerad. */
static int reopen(struct vfs_call *c, uint32_t created)
{
	struct op_open_in kept = c->op->in.open;
	struct op_open_in *in = &c->op->in.open;
	in->disposition = OPEN_EXISTING;
	in->flags &= ~(uint32_t)OPEN_TRUNCATE;
	in->attr.mask = 0;
	int err = vfs_op_open(c);
	c->op->out.open.created = created;
	*in = kept;
	return err;
}

static int explain_open(struct vfs_call *c, const struct replay_entry *e, int err)
{
	struct vfs_node *node = err == ERR_EXIST ? young_object(c, e, c->node, &c->op->in.open.name) : NULL;
	if (!node)
		return err;
	vfs_node_put(node);
	return reopen(c, 1);
}

/* A stream is as young as its base's last change. */
static int reopen_stream(struct vfs_call *c, uint32_t created)
{
	struct op_open_stream_in kept = c->op->in.open_stream;
	struct op_open_stream_in *in = &c->op->in.open_stream;
	in->disposition = OPEN_EXISTING;
	in->flags &= ~(uint32_t)OPEN_TRUNCATE;
	int err = vfs_op_open_stream(c);
	c->op->out.open_stream.created = created;
	*in = kept;
	return err;
}

static int explain_open_stream(struct vfs_call *c, const struct replay_entry *e, int err)
{
	return err == ERR_EXIST && since(e, c->op->out.open_stream.base.post.ctime) ? reopen_stream(c, 1) : err;
}

static int explain_remove_stream(struct vfs_call *c, const struct replay_entry *e, int err)
{
	return err == ERR_NOENT && since(e, c->op->out.remove_stream.wcc.post.ctime) ? 0 : err;
}

static int explain_rename_stream(struct vfs_call *c, const struct replay_entry *e, int err)
{
	return err == ERR_NOENT && since(e, c->op->out.rename_stream.wcc.post.ctime) ? 0 : err;
}

static int explain_link(struct vfs_call *c, const struct replay_entry *e, int err)
{
	struct vfs_node *node = err == ERR_EXIST ? young_object(c, e, c->node2, &c->op->in.link.name) : NULL;
	if (!node)
		return err;
	bool same = node == c->node;
	vfs_node_put(node);
	return same ? 0 : err;
}

static int explain_remove(struct vfs_call *c, const struct replay_entry *e, int err)
{
	return err == ERR_NOENT && since(e, c->op->out.remove.dir.post.mtime) ? 0 : err;
}

static int explain_rename(struct vfs_call *c, const struct replay_entry *e, int err)
{
	struct vfs_node *node = err == ERR_NOENT ? young_object(c, e, c->node2, &c->op->in.rename.to_name) : NULL;
	if (!node)
		return err;
	vfs_node_put(node);
	return since(e, c->op->out.rename.dir.post.mtime) ? 0 : err;
}

static int explain_setattr(struct vfs_call *c, const struct replay_entry *e, int err)
{
	return err == ERR_NOT_SYNC && since(e, c->op->out.setattr.wcc.post.ctime) ? 0 : err;
}

static int explain_set_xattr(struct vfs_call *c, const struct replay_entry *e, int err)
{
	bool create = c->op->in.set_xattr.flags & XATTR_SET_CREATE;
	return create && err == ERR_EXIST && since(e, c->op->out.set_xattr.wcc.post.ctime) ? 0 : err;
}

static int explain_remove_xattr(struct vfs_call *c, const struct replay_entry *e, int err)
{
	return err == ERR_NODATA && since(e, c->op->out.remove_xattr.wcc.post.ctime) ? 0 : err;
}

typedef int explain_fn(struct vfs_call *c, const struct replay_entry *e, int err);

static explain_fn *const explainers[OP_N_CODES] = {
	[OP_open] = explain_open,
	[OP_mkdir] = explain_mkdir,
	[OP_mknod] = explain_mknod,
	[OP_symlink] = explain_symlink,
	[OP_link] = explain_link,
	[OP_rename] = explain_rename,
	[OP_remove] = explain_remove,
	[OP_setattr] = explain_setattr,
	[OP_set_xattr] = explain_set_xattr,
	[OP_remove_xattr] = explain_remove_xattr,
	[OP_open_stream] = explain_open_stream,
	[OP_remove_stream] = explain_remove_stream,
	[OP_rename_stream] = explain_rename_stream,
};

int replay_explain(struct vfs_call *c, const struct replay_entry *e, int err)
{
	explain_fn *fn = explainers[c->op->code];
	return fn ? fn(c, e, err) : err;
}

/* ---- an answer given again */

static const struct op_handle *produced(const struct op *op)
{
	switch (op->code) {
	case OP_open:
		return &op->out.open.obj;
	case OP_create_unlinked:
		return &op->out.create_unlinked.obj;
	case OP_mkdir:
		return &op->out.mkdir.obj;
	case OP_mknod:
		return &op->out.mknod.obj;
	case OP_symlink:
		return &op->out.symlink.obj;
	case OP_open_stream:
		return &op->out.open_stream.obj;
	default:
		return NULL;
	}
}

/* The id that an answer said, 0: nothing was opened. */
static uint64_t opened(const struct op *op)
{
	if (op->code == OP_open)
		return op->out.open.open_id;
	return op->code == OP_open_stream ? op->out.open_stream.open_id : 0;
}

int replay_again(struct vfs_call *c)
{
	const struct op_handle *h = produced(c->op);
	uint64_t id = opened(c->op);
	uint32_t tag;
	/* What was made may be gone again: the answer stands all the same, the chain ends there. */
	if (!h || vfs_handle_node(c->session, h, &c->made, &tag) || id == 0)
		return 0;
	if (vfs_io_open(c, c->made, id, 0) == IO_OPEN) {
		c->open_id = id;
		return 0;
	}
	vfs_node_put(TAKE(c->made));
	if (c->op->code == OP_open_stream)
		return reopen_stream(c, c->op->out.open_stream.created);
	return reopen(c, c->op->out.open.created);
}
