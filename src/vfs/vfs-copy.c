/*
 * Copying inside the server: by the backend where it can, else by reading and writing chunks that cross no
 * process. One op copies a bounded piece and says how much, so that nothing else waits for long.
 */
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

#define COPY_MAX (16u << 20) /* bytes of one op at most */

struct copy {
	struct vfs_node *from;
	struct vfs_node *to;
	uint64_t offset;
	uint64_t to_offset;
	uint64_t size; /* left */
};

/* Streams of one object have one lock. */
static void lock_both(struct copy *k)
{
	struct fiber_rwlock *from = vfs_node_lock(k->from), *to = vfs_node_lock(k->to);
	if (from < to)
		fiber_rwlock_rdlock(from);
	fiber_rwlock_wrlock(to);
	if (from > to)
		fiber_rwlock_rdlock(from);
}

static void unlock_both(struct copy *k)
{
	struct fiber_rwlock *from = vfs_node_lock(k->from), *to = vfs_node_lock(k->to);
	if (from != to)
		fiber_rwlock_rdunlock(from);
	fiber_rwlock_wrunlock(to);
}

/* One piece by read and write: the read's answer, chunks of the arena, is the write's payload. */
static int copy_piece(struct vfs_call *c, struct copy *k, uint32_t size)
{
	struct op op = {.in.read.size = OP_IO_MAX};
	struct vfs_pins pins = {.n_chunks = 0};
	struct vfs_call reader = {.vfs = c->vfs, .session = c->session, .op = &op, .pins = &pins};
	uint32_t none[OP_SEGS_MAX] = {PAGE_CHUNK_NONE};
	struct iovec iov[OP_SEGS_MAX];
	int err = k->from->mount->ops->read(&reader, k->from, k->offset, size);
	for (int i = 0; !err && i < op.n_segs; i++)
		iov[i] = (struct iovec){pages_base(c->vfs->pages) + op.segs[i].offset, op.segs[i].size};
	struct vfs_write w = {k->to_offset, size, WRITE_UNSTABLE, iov, none, op.n_segs};
	if (!err)
		err = k->to->mount->ops->write(c, k->to, &w);
	vfs_pins_release(c->vfs, &pins);
	return err;
}

static int copy_pieces(struct vfs_call *c, struct copy *k, uint64_t *done)
{
	while (k->size) {
		uint32_t n = (uint32_t)MIN(k->size, OP_IO_MAX - PAGE_CHUNK_SIZE);
		int err = copy_piece(c, k, n);
		if (err)
			return *done ? 0 : err;
		k->offset += n;
		k->to_offset += n;
		k->size -= n;
		*done += n;
		fiber_yield();
	}
	return 0;
}

static int copy_locked(struct vfs_call *c, struct copy *k, struct op_copy_out *out, const int opened[2])
{
	const struct backend_ops *ops = k->to->mount->ops;
	bool override = (c->op->flags & OP_F_OWNER_OVERRIDE) != 0;
	struct op_attr from;
	int err = vfs_attr(k->from, &from);
	if (!err)
		err = vfs_pre(k->to, &out->wcc);
	if (!err && opened[0] != IO_OPEN)
		err = access_io(c->cred, &from, vfs_node_acl(k->from), MAY_READ, override);
	if (!err && opened[1] != IO_OPEN)
		err = access_io(c->cred, &out->wcc.post, vfs_node_acl(k->to), MAY_WRITE, override);
	if (err)
		return err;
	uint64_t left = k->offset < from.size ? from.size - k->offset : 0;
	k->size = MIN(k->size, left);
	k->size = MIN(k->size, (uint64_t)COPY_MAX);
	if (k->size > VFS_SIZE_MAX - k->to_offset)
		return ERR_FBIG;
	if (ops->copy && k->from->mount == k->to->mount) {
		err = k->size ? ops->copy(k->from, k->offset, k->to, k->to_offset, &k->size) : 0;
		out->size = err ? 0 : k->size;
	} else {
		err = ops->write ? copy_pieces(c, k, &out->size) : ERR_NOTSUPP;
	}
	if (!err)
		err = vfs_drop_suid(c, k->to, &out->wcc.post);
	vfs_post(k->to, &out->wcc);
	return err;
}

static int check_copy(const struct vfs_call *c, const struct op_copy_in *in)
{
	uint64_t gap = in->offset < in->to_offset ? in->to_offset - in->offset : in->offset - in->to_offset;
	if (c->node->type == OP_TYPE_DIR || c->node2->type == OP_TYPE_DIR)
		return ERR_ISDIR;
	if (c->node->type != OP_TYPE_FILE || c->node2->type != OP_TYPE_FILE)
		return ERR_INVAL;
	if (c->node == c->node2 && gap < in->size)
		return ERR_INVAL;
	return in->offset > VFS_SIZE_MAX || in->to_offset > VFS_SIZE_MAX ? ERR_FBIG : 0;
}

int vfs_op_copy(struct vfs_call *c)
{
	const struct op_copy_in *in = &c->op->in.copy;
	struct op_copy_out *out = &c->op->out.copy;
	struct copy k = {c->node, c->node2, in->offset, in->to_offset, in->size};
	int err = check_copy(c, in);
	if (err)
		return err;
	int opened[2] = {
		vfs_io_open(c, c->node, in->open_id, OPEN_READ),
		vfs_io_open(c, c->node2, in->to_open_id, OPEN_WRITE),
	};
	if (opened[0] < 0 || opened[1] < 0)
		return MIN(opened[0], opened[1]);
	lock_both(&k);
	err = copy_locked(c, &k, out, opened);
	unlock_both(&k);
	if (!err)
		vfs_changed(c, c->node2, CHANGED_DATA, NULL);
	return err;
}
