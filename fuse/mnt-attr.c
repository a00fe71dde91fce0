/* Attributes, access, symbolic links and the state of the file system. */
#include "fuse/mnt.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static void reply_attr(fuse_req_t req, struct op *op, const struct op_attr *attr)
{
	struct mnt *m = mnt_of(req);
	struct stat st;
	int err = op->status;
	mnt_stat(attr, &st);
	client_op_put(m->client, op);
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_attr(req, &st, m->opt.attr_timeout);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct op *op = mnt_op(req, OP_getattr, ino);
	op->in.getattr.want = ATTR_ALL;
	mnt_run(req, op);
	reply_attr(req, op, &op->out.getattr.attr);
}

static struct op_time op_time(struct timespec t)
{
	return (struct op_time){.sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec};
}

static void fill_attr(struct op_attr *out, const struct stat *st, int to_set)
{
	static const struct {
		int bit;
		uint64_t mask;
	} bits[] = {
		{FUSE_SET_ATTR_MODE, ATTR_MODE}, {FUSE_SET_ATTR_UID, ATTR_UID}, {FUSE_SET_ATTR_GID, ATTR_GID},
		{FUSE_SET_ATTR_SIZE, ATTR_SIZE}, {FUSE_SET_ATTR_ATIME, ATTR_ATIME}, {FUSE_SET_ATTR_MTIME, ATTR_MTIME},
	};
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (to_set & bits[i].bit)
			out->mask |= bits[i].mask;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		out->mask = (out->mask & ~ATTR_ATIME) | ATTR_ATIME_NOW;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		out->mask = (out->mask & ~ATTR_MTIME) | ATTR_MTIME_NOW;
	out->mode = st->st_mode & 07777;
	out->uid = st->st_uid;
	out->gid = st->st_gid;
	out->size = (uint64_t)st->st_size;
	out->atime = op_time(st->st_atim);
	out->mtime = op_time(st->st_mtim);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	struct op *op = mnt_op(req, OP_setattr, ino);
	struct mnt_file *file = fi && to_set & FUSE_SET_ATTR_SIZE ? (struct mnt_file *)(uintptr_t)fi->fh : NULL;
	fill_attr(&op->in.setattr.attr, st, to_set);
	if (file && !(file->access & OPEN_WRITE))
		file = NULL;
	/* Whether the set-group-id bit stays depends on them. */
	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_GID))
		mnt_groups(req, &op->cred);
	mnt_run_open(req, file, op, &op->in.setattr.open_id);
	reply_attr(req, op, &op->out.setattr.wcc.post);
}

static void do_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct op *op = mnt_op(req, OP_access, ino);
	uint32_t wanted[3] = {0};
	if (mask & R_OK)
		wanted[0] = ACCESS_READ;
	if (mask & W_OK)
		wanted[1] = ACCESS_MODIFY | ACCESS_EXTEND;
	if (mask & X_OK)
		wanted[2] = ACCESS_EXECUTE | ACCESS_LOOKUP;
	op->in.access.want = wanted[0] | wanted[1] | wanted[2];
	int err = mnt_run(req, op);
	/* Searching a directory and executing a file are one bit here and two there. */
	for (size_t i = 0; !err && i < ARRAY_SIZE(wanted); i++)
		if (wanted[i] && !(op->out.access.allowed & wanted[i]))
			err = ERR_ACCES;
	client_op_put(mnt_of(req)->client, op);
	mnt_reply_err(req, err);
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct mnt *m = mnt_of(req);
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(m->client, OP_PATH_MAX + 1, 0)))
		client_buf_wait(m->client);
	struct op *op = mnt_op(req, OP_readlink, ino);
	int err = client_op_seg(op, buf, 0, OP_PATH_MAX);
	if (!err)
		err = mnt_run(req, op);
	uint32_t size = MIN(op->out.readlink.size, (uint32_t)OP_PATH_MAX);
	buf->data[err ? 0 : size] = 0;
	client_op_put(m->client, op);
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_readlink(req, (const char *)buf->data);
	client_buf_put(m->client, buf);
}

static void do_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mnt *m = mnt_of(req);
	struct op *op = mnt_op(req, OP_statfs, ino ? ino : FUSE_ROOT_ID);
	int err = mnt_run(req, op);
	const struct op_statfs *st = &op->out.statfs.statfs;
	struct statvfs out = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = st->total_bytes / 4096,
		.f_bfree = st->free_bytes / 4096,
		.f_bavail = st->avail_bytes / 4096,
		.f_files = st->total_files,
		.f_ffree = st->free_files,
		.f_favail = st->avail_files,
		.f_namemax = st->name_max,
	};
	client_op_put(m->client, op);
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_statfs(req, &out);
}

void mnt_attr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = do_getattr;
	ops->setattr = do_setattr;
	ops->access = do_access;
	ops->readlink = do_readlink;
	ops->statfs = do_statfs;
}
