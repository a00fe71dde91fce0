/*
 * Data: reading by reference, writing from payload, and what changes where data lies. Every op here
 * names a byte range, an open or none, and a file; check_file() and begin_write() are the common half.
 */
#include <string.h>

#include "vfs/access.h"
#include "vfs/vfs-impl.h"

static int check_file(const struct vfs_node *node)
{
	if (likely(node->type == OP_TYPE_FILE))
		return 0;
	return node->type == OP_TYPE_DIR ? ERR_ISDIR : ERR_INVAL;
}

/* Not for streams: nobody reads without an open there, nor runs a program. */
static bool owner_override(const struct vfs_call *c)
{
	return (c->op->flags & OP_F_OWNER_OVERRIDE) && !c->node->base;
}

/* ---- answering read data */

static int add_seg(struct vfs_call *c, uint32_t chunk, uint32_t offset, uint32_t size)
{
	struct op *op = c->op;
	if (op->n_segs == OP_SEGS_MAX || c->pins->n_chunks == OP_SEGS_MAX) {
		pages_put(c->vfs->pages, chunk);
		return ERR_RANGE;
	}
	op->segs[op->n_segs++] = (struct op_seg){pages_offset(chunk) + offset, size, OP_SEG_PAGES};
	c->pins->chunks[c->pins->n_chunks++] = chunk;
	c->answered += size;
	return 0;
}

static int copy_out(struct vfs_call *c, const void *data, uint32_t size)
{
	struct op *op = c->op;
	if (op->in.read.size <= OP_INLINE_MAX) {
		memcpy(op->out_var + op->out_var_size, data, size);
		op->out_var_size += (uint16_t)size;
	} else if (!payload_put(c->payload, c->answered, data, size)) {
		return ERR_TOOSMALL;
	}
	c->answered += size;
	return 0;
}

/* Small reads are cheaper to copy than to pin, and an isolated session maps no pages. */
static bool copies(const struct vfs_call *c)
{
	return !c->pins || c->op->in.read.size <= OP_INLINE_MAX;
}

int vfs_call_chunk(struct vfs_call *c, uint32_t chunk, uint32_t offset, uint32_t size)
{
	if (!copies(c))
		return add_seg(c, chunk, offset, size);
	int err = copy_out(c, pages_base(c->vfs->pages) + pages_offset(chunk) + offset, size);
	pages_put(c->vfs->pages, chunk);
	return err;
}

static int answer_zeros(struct vfs_call *c, uint32_t size)
{
	int err = 0;
	for (uint32_t n; !err && size; size -= n) {
		n = MIN(size, PAGE_CHUNK_SIZE);
		pages_get(c->vfs->pages, c->vfs->zero_chunk);
		err = vfs_call_chunk(c, c->vfs->zero_chunk, 0, n);
	}
	return err;
}

int vfs_call_bytes(struct vfs_call *c, const void *data, uint32_t size)
{
	const uint8_t *from = data;
	int err = 0;
	if (!data)
		return answer_zeros(c, size);
	if (copies(c))
		return copy_out(c, data, size);
	for (uint32_t n, chunk; !err && size; size -= n, from += n) {
		n = MIN(size, PAGE_CHUNK_SIZE);
		err = pages_alloc(c->vfs->pages, 0, n, &chunk);
		if (err)
			return err;
		memcpy(pages_base(c->vfs->pages) + pages_offset(chunk), from, n);
		err = add_seg(c, chunk, 0, n);
	}
	return err;
}

void vfs_pins_release(struct vfs *vfs, struct vfs_pins *pins)
{
	for (uint32_t i = 0; i < pins->n_chunks; i++)
		pages_put(vfs->pages, pins->chunks[i]);
	pins->n_chunks = 0;
}

/* The answer's segments in the client's own memory: as many of those it gave as the data fills. */
static void cut_segs(struct vfs_call *c, uint32_t size)
{
	struct op *op = c->op;
	uint32_t n = 0;
	for (; n < op->n_segs && size; n++) {
		op->segs[n].size = MIN(op->segs[n].size, size);
		size -= op->segs[n].size;
	}
	op->n_segs = (uint16_t)n;
}

/* ---- read */

/* Nobody else refers to its first chunk. */
static bool is_copied(const struct vfs_call *c)
{
	return !c->pins || (c->pins->n_chunks && pages_refs(c->vfs->pages, c->pins->chunks[0]) == 1);
}

static int read_locked(struct vfs_call *c, const struct op_read_in *in, struct op_read_out *out, int opened)
{
	int err = vfs_attr(c->node, &out->attr);
	if (!err && opened != IO_OPEN)
		err = access_io(c->cred, &out->attr, vfs_node_acl(c->node), MAY_READ, owner_override(c));
	if (err)
		return err;
	uint64_t left = in->offset < out->attr.size ? out->attr.size - in->offset : 0;
	out->size = (uint32_t)MIN(left, in->size);
	out->eof = left <= in->size;
	return out->size ? c->node->mount->ops->read(c, c->node, in->offset, out->size) : 0;
}

int vfs_op_read(struct vfs_call *c)
{
	const struct op_read_in *in = &c->op->in.read;
	struct op_read_out *out = &c->op->out.read;
	int err = check_file(c->node);
	if (!err && in->size > OP_IO_MAX)
		err = ERR_INVAL;
	int opened = err ? err : vfs_io_open(c, c->node, in->open_id, OPEN_READ);
	if (c->pins) {
		c->pins->n_chunks = 0;
		c->op->n_segs = 0;
	}
	if (opened < 0)
		return opened;
	fiber_rwlock_rdlock(vfs_node_lock(c->node));
	err = read_locked(c, in, out, opened);
	fiber_rwlock_rdunlock(vfs_node_lock(c->node));
	out->copied = is_copied(c);
	if (err && c->pins)
		vfs_pins_release(c->vfs, c->pins);
	if (err || c->op->out_var_size)
		c->op->n_segs = 0;
	else if (!c->pins)
		cut_segs(c, out->size);
	return err;
}

/* ---- write */

/* What begins at the end of the file needs the right to append only: RFC 8881 section 6.2.1.3. */
static int may_write(struct vfs_call *c, const struct vfs_node *node, const struct op_attr *attr)
{
	const struct op_write_in *in = &c->op->in.write;
	int err = access_io(c->cred, attr, vfs_node_acl(node), MAY_WRITE, owner_override(c));
	if (err && c->op->code == OP_write && ((in->flags & WRITE_APPEND) || in->offset == attr->size))
		err = access_io(c->cred, attr, vfs_node_acl(node), ACE_APPEND_DATA, owner_override(c));
	return err;
}

/* Locks the file and asks permission, with attributes from before in wcc; unlocks on failure. */
static int begin_write(struct vfs_call *c, struct vfs_node *node, uint64_t open_id, struct op_wcc *wcc)
{
	int err = check_file(node);
	int opened = err ? err : vfs_io_open(c, node, open_id, OPEN_WRITE);
	if (opened < 0)
		return opened;
	fiber_rwlock_wrlock(vfs_node_lock(node));
	err = vfs_pre(node, wcc);
	if (!err && opened != IO_OPEN)
		err = may_write(c, node, &wcc->post);
	if (err)
		fiber_rwlock_wrunlock(vfs_node_lock(node));
	return err;
}

static int end_write(struct vfs_call *c, struct vfs_node *node, struct op_wcc *wcc, int err)
{
	if (!err)
		err = vfs_drop_suid(c, node, &wcc->post);
	vfs_post(node, wcc);
	fiber_rwlock_wrunlock(vfs_node_lock(node));
	if (!err)
		vfs_changed(c, node, CHANGED_DATA, NULL);
	return err;
}

/* Whether a stable write is gathered under the exclusive lock and committed under the shared one. */
static bool is_gathered(const struct vfs_call *c, const struct op_write_in *in)
{
	return in->stability != WRITE_UNSTABLE && (c->node->mount->ops->caps & VFS_CAP_GATHER);
}

static int write_locked(struct vfs_call *c, const struct op_write_in *in, struct op_write_out *out)
{
	const struct backend_ops *ops = c->node->mount->ops;
	struct iovec iov[OP_SEGS_MAX];
	out->offset = in->flags & WRITE_APPEND ? out->wcc.post.size : in->offset;
	if (out->offset > VFS_SIZE_MAX || in->size > VFS_SIZE_MAX - out->offset)
		return ERR_FBIG;
	int n = payload_cut(c->payload, in->size, iov);
	if (n < 0)
		return n;
	uint32_t stability = is_gathered(c, in) ? WRITE_UNSTABLE : in->stability;
	struct vfs_write w = {out->offset, in->size, stability, iov, c->payload->chunks, n};
	int err = ops->write ? ops->write(c, c->node, &w) : ERR_NOTSUPP;
	out->size = err ? 0 : in->size;
	out->stability = w.stability;
	out->verifier = c->node->mount->verifier;
	return err;
}

static int commit_write(struct vfs_call *c, struct op_write_out *out)
{
	fiber_rwlock_rdlock(vfs_node_lock(c->node));
	int err = c->node->mount->ops->commit(c->node, out->offset, out->size);
	fiber_rwlock_rdunlock(vfs_node_lock(c->node));
	out->stability = WRITE_FILE_SYNC;
	return err;
}

int vfs_op_write(struct vfs_call *c)
{
	const struct op_write_in *in = &c->op->in.write;
	struct op_write_out *out = &c->op->out.write;
	if (in->size > OP_IO_MAX || in->stability > WRITE_FILE_SYNC)
		return ERR_INVAL;
	int err = begin_write(c, c->node, in->open_id, &out->wcc);
	if (err)
		return err;
	if (in->size == 0) {
		out->verifier = c->node->mount->verifier;
		fiber_rwlock_wrunlock(vfs_node_lock(c->node));
		return 0;
	}
	err = write_locked(c, in, out);
	err = end_write(c, c->node, &out->wcc, err);
	return err || !is_gathered(c, in) ? err : commit_write(c, out);
}

/* ---- commit, allocation, seek */

static int check_range(uint64_t offset, uint64_t size)
{
	if (size == 0)
		return ERR_INVAL;
	return offset > VFS_SIZE_MAX || size > VFS_SIZE_MAX - offset ? ERR_FBIG : 0;
}

int vfs_op_commit(struct vfs_call *c)
{
	const struct op_commit_in *in = &c->op->in.commit;
	struct op_commit_out *out = &c->op->out.commit;
	const struct backend_ops *ops = c->node->mount->ops;
	/* A directory has nothing that is not on disk already. */
	int err = c->node->type == OP_TYPE_DIR ? 0 : check_file(c->node);
	if (err)
		return err;
	fiber_rwlock_rdlock(vfs_node_lock(c->node));
	err = vfs_pre(c->node, &out->wcc);
	if (!err && ops->commit && c->node->type == OP_TYPE_FILE)
		err = ops->commit(c->node, in->offset, in->size);
	vfs_post(c->node, &out->wcc);
	fiber_rwlock_rdunlock(vfs_node_lock(c->node));
	out->verifier = c->node->mount->verifier;
	return err;
}

int vfs_op_allocate(struct vfs_call *c)
{
	const struct op_allocate_in *in = &c->op->in.allocate;
	struct op_wcc *wcc = &c->op->out.allocate.wcc;
	const struct backend_ops *ops = c->node->mount->ops;
	int err = check_range(in->offset, in->size);
	if (!err)
		err = begin_write(c, c->node, in->open_id, wcc);
	if (err)
		return err;
	err = ops->allocate ? ops->allocate(c->node, in->offset, in->size, in->flags & ALLOC_KEEP_SIZE) : ERR_NOTSUPP;
	return end_write(c, c->node, wcc, err);
}

int vfs_op_deallocate(struct vfs_call *c)
{
	const struct op_deallocate_in *in = &c->op->in.deallocate;
	struct op_wcc *wcc = &c->op->out.deallocate.wcc;
	const struct backend_ops *ops = c->node->mount->ops;
	int err = in->size ? 0 : ERR_INVAL;
	if (!err)
		err = begin_write(c, c->node, in->open_id, wcc);
	if (err)
		return err;
	/* "To the end and beyond" is a usual way to ask: only what is in the file counts. */
	uint64_t size = in->offset < wcc->post.size ? MIN(in->size, wcc->post.size - in->offset) : 0;
	if (size)
		err = ops->deallocate ? ops->deallocate(c->node, in->offset, size) : ERR_NOTSUPP;
	return end_write(c, c->node, wcc, err);
}

int vfs_op_zero(struct vfs_call *c)
{
	const struct op_zero_in *in = &c->op->in.zero;
	struct op_wcc *wcc = &c->op->out.zero.wcc;
	const struct backend_ops *ops = c->node->mount->ops;
	int err = check_range(in->offset, in->size);
	if (!err)
		err = begin_write(c, c->node, in->open_id, wcc);
	if (err)
		return err;
	err = ops->zero ? ops->zero(c->node, in->offset, in->size, in->flags & ALLOC_KEEP_SIZE) : ERR_NOTSUPP;
	return end_write(c, c->node, wcc, err);
}

static int seek_locked(struct vfs_call *c, const struct op_seek_in *in, uint64_t *found, int opened)
{
	const struct backend_ops *ops = c->node->mount->ops;
	struct op_attr attr;
	int err = vfs_attr(c->node, &attr);
	if (!err && opened != IO_OPEN)
		err = access_io(c->cred, &attr, vfs_node_acl(c->node), MAY_READ, owner_override(c));
	if (err)
		return err;
	if (in->offset >= attr.size)
		return ERR_NXIO;
	if (ops->seek)
		return ops->seek(c->node, in->offset, in->what, found);
	*found = in->what == SEEK_TO_DATA ? in->offset : attr.size;
	return 0;
}

int vfs_op_seek(struct vfs_call *c)
{
	const struct op_seek_in *in = &c->op->in.seek;
	int err = check_file(c->node);
	if (!err && in->what > SEEK_TO_HOLE)
		err = ERR_INVAL;
	int opened = err ? err : vfs_io_open(c, c->node, in->open_id, OPEN_READ);
	if (opened < 0)
		return opened;
	fiber_rwlock_rdlock(vfs_node_lock(c->node));
	err = seek_locked(c, in, &c->op->out.seek.offset, opened);
	fiber_rwlock_rdunlock(vfs_node_lock(c->node));
	return err;
}
