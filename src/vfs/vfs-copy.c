/*
 * Copying inside the server: by the backend where it can, else by sharing what both files can share, else by reading
 * and writing chunks that cross no process. One op copies a bounded piece and says how much, so that nothing
 * else waits for long. Cloning shares all of it or nothing.
 */
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

#define COPY_MAX (16u << 20)   /* bytes of one op at most */
#define CLONE_MAX (1u << 30)   /* when they are shared */
#define CLONE_MIN (256u << 10) /* less is cheaper copied than shared and then parted again */

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

static void move_on(struct copy *k, uint64_t n, uint64_t *done)
{
	k->offset += n;
	k->to_offset += n;
	k->size -= n;
	*done += n;
}

static int copy_pieces(struct vfs_call *c, struct copy *k, uint64_t size, uint64_t *done)
{
	while (size) {
		uint32_t n = (uint32_t)MIN(size, OP_IO_MAX - PAGE_CHUNK_SIZE);
		int err = copy_piece(c, k, n);
		if (err)
			return err;
		move_on(k, n, done);
		size -= n;
		fiber_yield();
	}
	return 0;
}

static bool shareable(const struct copy *k)
{
	return k->to->mount->ops->clone && k->from->mount == k->to->mount && k->size >= OP_CLONE_UNIT + CLONE_MIN &&
	       k->offset % OP_CLONE_UNIT == k->to_offset % OP_CLONE_UNIT;
}

/* The blocks in the middle by sharing, what is before them by copying. */
static int share_middle(struct vfs_call *c, struct copy *k, uint64_t *done)
{
	uint64_t head = ALIGN_UP(k->offset, (uint64_t)OP_CLONE_UNIT) - k->offset;
	int err = copy_pieces(c, k, head, done);
	if (err)
		return err;
	uint64_t middle = k->size & ~(uint64_t)(OP_CLONE_UNIT - 1);
	err = k->to->mount->ops->clone(k->from, k->offset, k->to, k->to_offset, middle);
	if (!err)
		move_on(k, middle, done);
	return err == ERR_NOTSUPP ? 0 : err;
}

static int copy_bytes(struct vfs_call *c, struct copy *k, uint64_t *done)
{
	const struct backend_ops *ops = k->to->mount->ops;
	int err = 0;
	if (ops->copy && k->from->mount == k->to->mount) {
		err = k->size ? ops->copy(k->from, k->offset, k->to, k->to_offset, &k->size) : 0;
		*done = err ? 0 : k->size;
		if (err != ERR_NOTSUPP)
			return err;
		err = 0;
	}
	if (!ops->write)
		return ERR_NOTSUPP;
	if (shareable(k))
		err = share_middle(c, k, done);
	if (!err)
		err = copy_pieces(c, k, MIN(k->size, (uint64_t)COPY_MAX), done);
	return *done ? 0 : err;
}

/* Attributes of both, and whether who asks may. */
static int begin_copy(struct vfs_call *c, struct copy *k, struct op_wcc *wcc, const int opened[2], uint64_t *size)
{
	bool override = (c->op->flags & OP_F_OWNER_OVERRIDE) != 0;
	struct op_attr from = {.size = 0};
	int err = vfs_attr(k->from, &from);
	if (!err)
		err = vfs_pre(k->to, wcc);
	if (!err && opened[0] != IO_OPEN)
		err = access_io(c->cred, &from, vfs_node_acl(k->from), MAY_READ, override);
	if (!err && opened[1] != IO_OPEN)
		err = access_io(c->cred, &wcc->post, vfs_node_acl(k->to), MAY_WRITE, override);
	*size = from.size;
	return err;
}

static int copy_locked(struct vfs_call *c, struct copy *k, struct op_copy_out *out, const int opened[2])
{
	uint64_t size;
	int err = begin_copy(c, k, &out->wcc, opened, &size);
	if (err)
		return err;
	uint64_t left = k->offset < size ? size - k->offset : 0;
	k->size = MIN(k->size, left);
	k->size = MIN(k->size, (uint64_t)CLONE_MAX);
	if (k->size > VFS_SIZE_MAX - k->to_offset)
		return ERR_FBIG;
	err = copy_bytes(c, k, &out->size);
	if (!err)
		err = vfs_drop_suid(c, k->to, &out->wcc.post);
	vfs_post(k->to, &out->wcc);
	return err;
}

/* The files, and of the range what needs no look at them. */
static int check_files(const struct vfs_call *c, const struct copy *k)
{
	uint64_t gap = k->offset < k->to_offset ? k->to_offset - k->offset : k->offset - k->to_offset;
	if (c->node->type == OP_TYPE_DIR || c->node2->type == OP_TYPE_DIR)
		return ERR_ISDIR;
	if (c->node->type != OP_TYPE_FILE || c->node2->type != OP_TYPE_FILE)
		return ERR_INVAL;
	if (c->node == c->node2 && gap < k->size)
		return ERR_INVAL;
	return k->offset > VFS_SIZE_MAX || k->to_offset > VFS_SIZE_MAX ? ERR_FBIG : 0;
}

static int find_opens(struct vfs_call *c, uint64_t from_id, uint64_t to_id, int opened[2])
{
	opened[0] = vfs_io_open(c, c->node, from_id, OPEN_READ);
	opened[1] = vfs_io_open(c, c->node2, to_id, OPEN_WRITE);
	int worse = MIN(opened[0], opened[1]);
	return MIN(worse, 0);
}

int vfs_op_copy(struct vfs_call *c)
{
	const struct op_copy_in *in = &c->op->in.copy;
	struct op_copy_out *out = &c->op->out.copy;
	struct copy k = {c->node, c->node2, in->offset, in->to_offset, in->size};
	int opened[2];
	int err = check_files(c, &k);
	if (!err)
		err = find_opens(c, in->open_id, in->to_open_id, opened);
	if (err)
		return err;
	lock_both(&k);
	err = copy_locked(c, &k, out, opened);
	unlock_both(&k);
	if (!err)
		vfs_changed(c, c->node2, CHANGED_DATA, NULL);
	return err;
}

/* ---- clone */

static bool aligned(uint64_t offset)
{
	return offset % OP_CLONE_UNIT == 0;
}

/* What Linux demands of FICLONERANGE, too. */
static int check_range(struct copy *k, uint64_t size, uint64_t to_size)
{
	uint64_t left = size - MIN(k->offset, size);
	if (k->size == 0)
		k->size = left;
	if (k->size > left || k->offset > size)
		return ERR_INVAL;
	if (!aligned(k->size) && (k->size != left || k->to_offset + k->size < to_size))
		return ERR_INVAL;
	if (k->from == k->to && k->offset < k->to_offset + k->size && k->to_offset < k->offset + k->size)
		return ERR_INVAL;
	return k->size > VFS_SIZE_MAX - k->to_offset ? ERR_FBIG : 0;
}

static int clone_locked(struct vfs_call *c, struct copy *k, struct op_wcc *wcc, const int opened[2])
{
	uint64_t size;
	int err = begin_copy(c, k, wcc, opened, &size);
	if (!err)
		err = check_range(k, size, wcc->pre.size);
	if (err)
		return err;
	if (k->size)
		err = k->to->mount->ops->clone(k->from, k->offset, k->to, k->to_offset, k->size);
	if (!err)
		err = vfs_drop_suid(c, k->to, &wcc->post);
	vfs_post(k->to, wcc);
	return err;
}

int vfs_op_clone(struct vfs_call *c)
{
	const struct op_clone_in *in = &c->op->in.clone;
	struct op_wcc *wcc = &c->op->out.clone.wcc;
	struct copy k = {c->node, c->node2, in->offset, in->to_offset, in->size};
	int opened[2];
	int err = check_files(c, &k);
	if (!err && (!aligned(in->offset) || !aligned(in->to_offset)))
		err = ERR_INVAL;
	if (!err && !c->node->mount->ops->clone)
		err = ERR_NOTSUPP;
	if (!err)
		err = find_opens(c, in->open_id, in->to_open_id, opened);
	if (err)
		return err;
	lock_both(&k);
	err = clone_locked(c, &k, wcc, opened);
	unlock_both(&k);
	if (!err)
		vfs_changed(c, c->node2, CHANGED_DATA, NULL);
	return err;
}
