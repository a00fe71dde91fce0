/* Names: lookup and forget, making and removing objects, rename. */
#include "fuse/mnt.h"

#include <string.h>
#include <sys/sysmacros.h>

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mnt *m = mnt_of(req);
	struct op *op = mnt_op(req, OP_lookup, parent);
	if (!mnt_name(req, op, &op->in.lookup.name, name))
		return;
	if (mnt_run(req, op) != ERR_NOENT) {
		mnt_reply_entry(req, op, &op->out.lookup.obj, &op->out.lookup.attr);
		return;
	}
	/* That there is no such name may be remembered, too. */
	struct fuse_entry_param none = {.ino = 0, .entry_timeout = m->opt.entry_timeout};
	client_op_put(m->client, op);
	fuse_reply_entry(req, &none);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n_lookups)
{
	struct mnt *m = mnt_of(req);
	mnt_node_forget(m, mnt_node(m, ino), n_lookups);
	fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct mnt *m = mnt_of(req);
	for (size_t i = 0; i < count; i++)
		mnt_node_forget(m, mnt_node(m, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct op *op = mnt_op(req, OP_mkdir, parent);
	if (!mnt_name(req, op, &op->in.mkdir.name, name))
		return;
	op->in.mkdir.attr.mask = ATTR_MODE;
	op->in.mkdir.attr.mode = mode & 07777;
	if (mode & S_ISGID)
		mnt_groups(req, &op->cred);
	mnt_run(req, op);
	mnt_reply_entry(req, op, &op->out.mkdir.obj, &op->out.mkdir.attr);
}

static uint32_t special_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFBLK:
		return OP_TYPE_BLOCK;
	case S_IFCHR:
		return OP_TYPE_CHAR;
	case S_IFIFO:
		return OP_TYPE_FIFO;
	case S_IFSOCK:
		return OP_TYPE_SOCKET;
	default:
		return OP_TYPE_NONE;
	}
}

/* mknod() of an ordinary file is a create without an open. */
static void make_file(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct op *op = mnt_op(req, OP_open, parent);
	if (!mnt_name(req, op, &op->in.open.name, name))
		return;
	op->in.open.disposition = OPEN_GUARDED;
	op->in.open.flags = OPEN_NO_STATE;
	op->in.open.attr.mask = ATTR_MODE;
	op->in.open.attr.mode = mode & 07777;
	if (mode & S_ISGID)
		mnt_groups(req, &op->cred);
	mnt_run(req, op);
	mnt_reply_entry(req, op, &op->out.open.obj, &op->out.open.attr);
}

static void do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if (S_ISREG(mode) || (mode & S_IFMT) == 0) {
		make_file(req, parent, name, mode);
		return;
	}
	struct op *op = mnt_op(req, OP_mknod, parent);
	if (!mnt_name(req, op, &op->in.mknod.name, name))
		return;
	struct op_attr *attr = &op->in.mknod.attr;
	attr->type = special_type(mode);
	attr->mask = ATTR_TYPE | ATTR_MODE;
	attr->mode = mode & 07777;
	if (attr->type == OP_TYPE_BLOCK || attr->type == OP_TYPE_CHAR) {
		attr->mask |= ATTR_RDEV;
		attr->rdev_major = major(rdev);
		attr->rdev_minor = minor(rdev);
	}
	mnt_run(req, op);
	mnt_reply_entry(req, op, &op->out.mknod.obj, &op->out.mknod.attr);
}

static void do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct mnt *m = mnt_of(req);
	struct client_buf *buf;
	size_t size = strlen(target);
	if (size > OP_PATH_MAX) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	while (!(buf = client_buf_alloc(m->client, OP_PATH_MAX, 0)))
		client_buf_wait(m->client);
	memcpy(buf->data, target, size);
	struct op *op = mnt_op(req, OP_symlink, parent);
	if (mnt_name(req, op, &op->in.symlink.name, name)) {
		op->in.symlink.attr.mask = ATTR_MODE;
		op->in.symlink.attr.mode = 0777;
		op->status = client_op_seg(op, buf, 0, (uint32_t)size);
		if (!op->status)
			mnt_run(req, op);
		mnt_reply_entry(req, op, &op->out.symlink.obj, &op->out.symlink.attr);
	}
	client_buf_put(m->client, buf);
}

static void do_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct mnt *m = mnt_of(req);
	struct op *op = mnt_op(req, OP_link, ino);
	op->obj2 = mnt_node(m, parent)->handle;
	if (!mnt_name(req, op, &op->in.link.name, name))
		return;
	mnt_run(req, op);
	struct op_handle same = op->obj;
	mnt_reply_entry(req, op, &same, &op->out.link.attr);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, uint32_t flags)
{
	struct op *op = mnt_op(req, OP_remove, parent);
	if (!mnt_name(req, op, &op->in.remove.name, name))
		return;
	op->in.remove.flags = flags;
	mnt_run(req, op);
	mnt_reply(req, op);
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, REMOVE_FILE);
}

static void do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, REMOVE_DIR);
}

/* The kernel's flags are ours, value by value. */
static void do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                      unsigned flags)
{
	struct mnt *m = mnt_of(req);
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	struct op *op = mnt_op(req, OP_rename, parent);
	op->obj2 = mnt_node(m, new_parent)->handle;
	if (!mnt_name(req, op, &op->in.rename.name, name) || !mnt_name(req, op, &op->in.rename.to_name, new_name))
		return;
	op->in.rename.flags = flags;
	mnt_run(req, op);
	mnt_reply(req, op);
}

void mnt_name_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = do_lookup;
	ops->forget = do_forget;
	ops->forget_multi = do_forget_multi;
	ops->mkdir = do_mkdir;
	ops->mknod = do_mknod;
	ops->symlink = do_symlink;
	ops->link = do_link;
	ops->unlink = do_unlink;
	ops->rmdir = do_rmdir;
	ops->rename = do_rename;
}
