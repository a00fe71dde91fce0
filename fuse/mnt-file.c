/*
 * Open files. An open file of the kernel is an open of chimerad's, so that an unlinked file lives until it
 * is closed and permission is decided once. After a restart of chimerad its open ids are gone: an open
 * of an earlier attachment is made anew, by handle and as who opened it, before it is used.
 */
#include "fuse/mnt.h"

#include <stdlib.h>

static struct mnt_file *file_of(const struct fuse_file_info *fi)
{
	return (struct mnt_file *)(uintptr_t)fi->fh;
}

static uint32_t access_of(const struct mnt *m, int flags)
{
	uint32_t access = (flags & O_ACCMODE) == O_RDONLY ? OPEN_READ :
	                  (flags & O_ACCMODE) == O_WRONLY ? OPEN_WRITE : OPEN_READ | OPEN_WRITE;
	/* With its write-back cache the kernel reads what a write covers in part. */
	return m->opt.writeback && access & OPEN_WRITE ? OPEN_READ | OPEN_WRITE : access;
}

static int reopen(fuse_req_t req, struct mnt_file *file, const struct op_handle *obj)
{
	struct mnt *m = mnt_of(req);
	struct op *op = client_op(m->client, OP_open);
	uint64_t generation = m->generation;
	op->cred = file->cred;
	op->obj = *obj;
	op->flags |= OP_F_OWNER_OVERRIDE;
	op->in.open.disposition = OPEN_EXISTING;
	op->in.open.access = file->access;
	int err = mnt_run(req, op);
	if (!err) {
		file->open_id = op->out.open.open_id;
		file->generation = generation;
	}
	client_op_put(m->client, op);
	return err;
}

int mnt_run_open(fuse_req_t req, struct mnt_file *file, struct op *op, uint64_t *open_id)
{
	struct mnt *m = mnt_of(req);
	uint16_t n_segs = op->n_segs;
	for (int tries = 0; file; tries++) {
		if (file->generation != m->generation) {
			struct op_handle obj = op->obj;
			int err = reopen(req, file, &obj);
			if (err)
				return op->status = err;
		}
		uint64_t generation = file->generation;
		*open_id = file->open_id;
		op->n_segs = n_segs;
		int err = mnt_run(req, op);
		/* chimerad was restarted while it ran. */
		if (err != ERR_BADHANDLE || generation == m->generation || tries > 2)
			return err;
	}
	return mnt_run(req, op);
}

static struct mnt_file *file_make(fuse_req_t req, uint32_t access)
{
	struct mnt_file *file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->access = access;
	file->generation = mnt_of(req)->generation;
	mnt_cred(req, &file->cred);
	return file;
}

static void close_id(struct mnt *m, const struct mnt_file *file)
{
	if (file->generation != m->generation)
		return;
	struct op *op = client_op(m->client, OP_close);
	op->cred = file->cred;
	op->in.close.open_id = file->open_id;
	client_call(m->client, op);
	client_op_put(m->client, op);
}

/* The page cache stays if nothing has changed since it was last right. */
static void fill_info(struct mnt *m, struct mnt_node *n, const struct op_attr *attr, struct mnt_file *file,
                      struct fuse_file_info *fi)
{
	fi->fh = (uint64_t)(uintptr_t)file;
	fi->direct_io = m->opt.direct_io;
	fi->keep_cache = n->change == attr->change && !m->opt.direct_io;
	n->change = attr->change;
}

static struct op *open_op(fuse_req_t req, fuse_ino_t ino, struct mnt_file *file, int flags)
{
	struct op *op = mnt_op(req, OP_open, ino);
	op->cred = file->cred;
	op->in.open.disposition = OPEN_EXISTING;
	op->in.open.access = file->access;
	if (flags & O_TRUNC)
		op->in.open.flags = OPEN_TRUNCATE;
	return op;
}

/* 0: file is open and was answered with; otherwise op's error, nothing is left open. */
static int run_open(fuse_req_t req, struct op *op, struct mnt_file *file)
{
	struct mnt *m = mnt_of(req);
	int err = mnt_run(req, op);
	/* A file that may be written but not read is opened as before, without what the cache would like. */
	if (err == ERR_ACCES && m->opt.writeback && file->access == (OPEN_READ | OPEN_WRITE)) {
		op->in.open.access = file->access = OPEN_WRITE;
		err = mnt_run(req, op);
	}
	file->open_id = op->out.open.open_id;
	file->generation = m->generation;
	file->cred = op->cred;
	return err;
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	struct mnt_file *file = file_make(req, access_of(m, fi->flags));
	if (!file) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	struct op *op = open_op(req, ino, file, fi->flags);
	int err = run_open(req, op, file);
	if (!err)
		fill_info(m, mnt_node(m, ino), &op->out.open.attr, file, fi);
	client_op_put(m->client, op);
	if (err) {
		free(file);
		mnt_reply_err(req, err);
	} else if (mnt_reply_open(req, fi)) {
		close_id(m, file);
		free(file);
	}
}

struct created {
	const struct op_handle *obj;
	const struct op_attr *attr;
};

static void reply_create(fuse_req_t req, struct op *op, const struct created *what, struct mnt_file *file,
                         struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	struct fuse_entry_param e;
	int err = mnt_entry(m, what->obj, what->attr, &e);
	if (!err)
		fill_info(m, mnt_node(m, e.ino), what->attr, file, fi);
	client_op_put(m->client, op);
	if (err)
		mnt_reply_err(req, err);
	else if (!fuse_reply_create(req, &e, fi))
		return;
	else
		mnt_node_forget(m, mnt_node(m, e.ino), 1);
	close_id(m, file);
	free(file);
}

static void create_nameless(fuse_req_t req, fuse_ino_t dir, mode_t mode, struct mnt_file *file, struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	struct op *op = mnt_op(req, OP_create_unlinked, dir);
	struct op_create_unlinked_out *out = &op->out.create_unlinked;
	op->in.create_unlinked.access = file->access;
	op->in.create_unlinked.attr.mask = ATTR_MODE;
	op->in.create_unlinked.attr.mode = mode & 07777;
	if (mnt_run(req, op)) {
		free(file);
		mnt_reply(req, op);
		return;
	}
	file->open_id = out->open_id;
	file->generation = m->generation;
	file->cred = op->cred;
	reply_create(req, op, &(struct created){&out->obj, &out->attr}, file, fi);
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct mnt *m = mnt_of(req);
	struct mnt_file *file = file_make(req, access_of(m, fi->flags));
	if (!file) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (m->current->nameless) {
		create_nameless(req, parent, mode, file, fi);
		return;
	}
	struct op *op = open_op(req, parent, file, fi->flags);
	if (!mnt_name(req, op, &op->in.open.name, name)) {
		free(file);
		return;
	}
	/* Whatever its mode: it may have to be opened again when chimerad was killed meanwhile. */
	op->flags |= OP_F_OWNER_OVERRIDE;
	op->in.open.disposition = fi->flags & O_EXCL ? OPEN_GUARDED : OPEN_UNCHECKED;
	op->in.open.attr.mask = ATTR_MODE;
	op->in.open.attr.mode = mode & 07777;
	if (mode & S_ISGID)
		mnt_groups(req, &op->cred);
	int err = run_open(req, op, file);
	if (!err) {
		reply_create(req, op, &(struct created){&op->out.open.obj, &op->out.open.attr}, file, fi);
		return;
	}
	free(file);
	mnt_reply(req, op);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mnt_file *file = file_of(fi);
	close_id(mnt_of(req), file);
	free(file);
	fuse_reply_err(req, 0);
}

/* What was written is with the server already; closing promises no more than that. */
static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

void mnt_file_ops(struct fuse_lowlevel_ops *ops)
{
	ops->open = do_open;
	ops->create = do_create;
	ops->release = do_release;
	ops->flush = do_flush;
}
