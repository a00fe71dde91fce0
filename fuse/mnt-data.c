/*
 * Data: read, write, fsync, and what changes or finds space. Read data goes from where the server keeps it
 * to the kernel; write data was received into memory that the server reaches. Neither is copied here.
 */
#include "fuse/mnt.h"

#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

static struct mnt_file *file_of(const struct fuse_file_info *fi)
{
	return fi ? (struct mnt_file *)(uintptr_t)fi->fh : NULL;
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	struct iovec iov[OP_SEGS_MAX];
	struct op *op = mnt_op(req, OP_read, ino);
	op->in.read.offset = (uint64_t)off;
	op->in.read.size = (uint32_t)MIN(size, MNT_IO_MAX);
	int err = mnt_run_open(req, file_of(fi), op, &op->in.read.open_id);
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_iov(req, iov, client_op_iov(m->client, op, iov));
	client_op_put(m->client, op);
}

/* A write after which the verifier is another than at the one before it: what came before may be lost. */
static void note_write(struct mnt_node *n, uint64_t verifier)
{
	if (!n->unstable)
		n->verifier = verifier;
	n->unstable = true;
}

static void do_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *bufv, off_t off, struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	struct mnt_node *n = mnt_node(m, ino);
	struct client_buf *payload = m->current->payload;
	uint32_t size = (uint32_t)MIN(fuse_buf_size(bufv), payload ? payload->size : 0);
	struct op *op = mnt_op(req, OP_write, ino);
	op->in.write.offset = (uint64_t)off;
	op->in.write.size = size;
	op->in.write.stability = WRITE_UNSTABLE;
	int err = payload ? client_op_seg(op, payload, 0, size) : ERR_INVAL;
	if (!err)
		err = mnt_run_open(req, file_of(fi), op, &op->in.write.open_id);
	size = op->out.write.size;
	if (!err && op->out.write.stability == WRITE_UNSTABLE)
		note_write(n, op->out.write.verifier);
	if (!err && op->out.write.wcc.pre.change == n->change)
		n->change = op->out.write.wcc.post.change;
	client_op_put(m->client, op);
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_write(req, size);
}

static void do_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	struct mnt_node *n = mnt_node(m, ino);
	struct op *op = mnt_op(req, OP_commit, ino);
	bool unstable = n->unstable;
	uint64_t verifier = n->verifier;
	n->unstable = false;
	int err = mnt_run(req, op);
	if (err)
		n->unstable = unstable;
	else if (unstable && op->out.commit.verifier != verifier)
		err = ERR_IO;
	client_op_put(m->client, op);
	mnt_reply_err(req, err);
}

static void do_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t size, struct fuse_file_info *fi)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int what = mode & ~FALLOC_FL_KEEP_SIZE;
	uint64_t *open_id;
	struct op *op;
	if (what == 0) {
		op = mnt_op(req, OP_allocate, ino);
		open_id = &op->in.allocate.open_id;
		op->in.allocate.offset = (uint64_t)off;
		op->in.allocate.size = (uint64_t)size;
		op->in.allocate.flags = keep ? ALLOC_KEEP_SIZE : 0;
	} else if (what == FALLOC_FL_PUNCH_HOLE && keep) {
		op = mnt_op(req, OP_deallocate, ino);
		open_id = &op->in.deallocate.open_id;
		op->in.deallocate.offset = (uint64_t)off;
		op->in.deallocate.size = (uint64_t)size;
	} else if (what == FALLOC_FL_ZERO_RANGE) {
		op = mnt_op(req, OP_zero, ino);
		open_id = &op->in.zero.open_id;
		op->in.zero.offset = (uint64_t)off;
		op->in.zero.size = (uint64_t)size;
		op->in.zero.flags = keep ? ALLOC_KEEP_SIZE : 0;
	} else {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	mnt_run_open(req, file_of(fi), op, open_id);
	mnt_reply(req, op);
}

static void do_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	if (whence != SEEK_DATA && whence != SEEK_HOLE) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	struct op *op = mnt_op(req, OP_seek, ino);
	op->in.seek.offset = (uint64_t)off;
	op->in.seek.what = whence == SEEK_DATA ? SEEK_TO_DATA : SEEK_TO_HOLE;
	int err = mnt_run_open(req, file_of(fi), op, &op->in.seek.open_id);
	off_t found = (off_t)op->out.seek.offset;
	client_op_put(m->client, op);
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_lseek(req, found);
}

struct copy {
	fuse_ino_t from, to;
	struct mnt_file *from_file, *to_file;
	uint64_t offset, to_offset, size;
};

static int run_copy(fuse_req_t req, const struct copy *c, uint64_t *done)
{
	struct mnt *m = mnt_of(req);
	struct op *op = mnt_op(req, OP_copy, c->from);
	op->obj2 = mnt_node(m, c->to)->handle;
	op->in.copy.offset = c->offset;
	op->in.copy.to_offset = c->to_offset;
	op->in.copy.size = c->size;
	op->in.copy.to_open_id = c->to_file ? c->to_file->open_id : 0;
	int err = mnt_run_open(req, c->from_file, op, &op->in.copy.open_id);
	*done = op->out.copy.size;
	client_op_put(m->client, op);
	return err;
}

static void do_copy(fuse_req_t req, fuse_ino_t from, off_t from_off, struct fuse_file_info *from_fi, fuse_ino_t to,
                    off_t to_off, struct fuse_file_info *to_fi, size_t size, int flags)
{
	struct copy c = {
		.from = from, .to = to, .from_file = file_of(from_fi), .to_file = file_of(to_fi),
		.offset = (uint64_t)from_off, .to_offset = (uint64_t)to_off, .size = size,
	};
	uint64_t done;
	int err = run_copy(req, &c, &done);
	/* chimerad was restarted: the permission of who asks has to do, without the opens. */
	if (err == ERR_BADHANDLE) {
		c.from_file = c.to_file = NULL;
		err = run_copy(req, &c, &done);
	}
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_write(req, done);
}

void mnt_data_ops(struct fuse_lowlevel_ops *ops)
{
	ops->read = do_read;
	ops->write_buf = do_write_buf;
	ops->fsync = do_fsync;
	ops->fallocate = do_fallocate;
	ops->lseek = do_lseek;
	ops->copy_file_range = do_copy;
}
