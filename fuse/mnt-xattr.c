/* Extended attributes. Namespaces other than user are not the server's, but for the ACL: they are answered here. */
#include "fuse/mnt.h"

#include <string.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "op/acl-nfs4.h"

static struct client_buf *buffer(struct mnt *m, size_t size)
{
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(m->client, (uint32_t)MAX(size, (size_t)1), 0)))
		client_buf_wait(m->client);
	return buf;
}

/* A value or a list: with no room the kernel only wants to know the size. */
static void reply_bytes(fuse_req_t req, struct op *op, const uint32_t *full_size, size_t room)
{
	struct mnt *m = mnt_of(req);
	struct client_buf *buf = room ? buffer(m, room) : NULL;
	int err = buf ? client_op_seg(op, buf, 0, (uint32_t)room) : 0;
	if (!err)
		err = mnt_run(req, op);
	uint32_t size = *full_size;
	client_op_put(m->client, op);
	if (err && !(err == ERR_TOOSMALL && !room))
		mnt_reply_err(req, err);
	else if (!room)
		fuse_reply_xattr(req, size);
	else if (size > room)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, (const char *)buf->data, size);
	client_buf_put(m->client, buf);
}

static void do_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	if (strcmp(name, ACL_NFS4_NAME) == 0) {
		mnt_get_acl(req, ino, size);
		return;
	}
	if (!str_starts(name, "user.")) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	struct op *op = mnt_op(req, OP_get_xattr, ino);
	if (mnt_name(req, op, &op->in.get_xattr.name, name))
		reply_bytes(req, op, &op->out.get_xattr.size, MIN(size, OP_XATTR_MAX));
}

static void do_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct op *op = mnt_op(req, OP_list_xattr, ino);
	reply_bytes(req, op, &op->out.list_xattr.size, MIN(size, OP_XATTR_MAX));
}

static void do_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	struct mnt *m = mnt_of(req);
	if (strcmp(name, ACL_NFS4_NAME) == 0) {
		mnt_set_acl(req, ino, value, size);
		return;
	}
	if (!str_starts(name, "user.") || size > OP_XATTR_MAX) {
		fuse_reply_err(req, size > OP_XATTR_MAX ? E2BIG : EOPNOTSUPP);
		return;
	}
	struct client_buf *buf = buffer(m, size);
	memcpy(buf->data, value, size);
	struct op *op = mnt_op(req, OP_set_xattr, ino);
	if (mnt_name(req, op, &op->in.set_xattr.name, name)) {
		op->in.set_xattr.flags = (flags & XATTR_CREATE ? XATTR_SET_CREATE : 0) |
		                         (flags & XATTR_REPLACE ? XATTR_SET_REPLACE : 0);
		op->status = size ? client_op_seg(op, buf, 0, (uint32_t)size) : 0;
		if (!op->status)
			mnt_run(req, op);
		mnt_reply(req, op);
	}
	client_buf_put(m->client, buf);
}

static void do_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (strcmp(name, ACL_NFS4_NAME) == 0) {
		mnt_set_acl(req, ino, NULL, 0);
		return;
	}
	if (!str_starts(name, "user.")) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	struct op *op = mnt_op(req, OP_remove_xattr, ino);
	if (!mnt_name(req, op, &op->in.remove_xattr.name, name))
		return;
	mnt_run(req, op);
	mnt_reply(req, op);
}

void mnt_xattr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getxattr = do_getxattr;
	ops->listxattr = do_listxattr;
	ops->setxattr = do_setxattr;
	ops->removexattr = do_removexattr;
}
