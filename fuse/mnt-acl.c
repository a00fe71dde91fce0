/*
 * The ACL as the extended attribute system.nfs4_acl. It is not listed, so that programs which copy all attributes don't turn
 * each mode into an ACL.
 */
#include "fuse/mnt.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "op/acl-nfs4.h"

static struct client_buf *buffer(struct mnt *m, uint32_t size)
{
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(m->client, size, 0)))
		client_buf_wait(m->client);
	return buf;
}

static void reply_value(fuse_req_t req, const struct bytes *value, size_t room)
{
	if (value->err)
		mnt_reply_err(req, value->err);
	else if (room == 0)
		fuse_reply_xattr(req, value->size);
	else if (value->size > room)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, value->data, value->size);
}

void mnt_get_acl(fuse_req_t req, fuse_ino_t ino, size_t room)
{
	struct mnt *m = mnt_of(req);
	struct client_buf *buf = buffer(m, OP_ACL_MAX);
	struct op *op = mnt_op(req, OP_get_acl, ino);
	CLEANUP_FREE struct acl *acl = NULL;
	struct bytes value;
	bytes_init(&value, 0);
	int err = client_op_seg(op, buf, 0, OP_ACL_MAX);
	if (!err)
		err = mnt_run(req, op);
	if (!err)
		err = acl_parse(buf->data, op->out.get_acl.size, &acl);
	if (!err)
		acl_to_nfs4(acl, &value);
	client_op_put(m->client, op);
	client_buf_put(m->client, buf);
	if (err)
		mnt_reply_err(req, err);
	else
		reply_value(req, &value, room);
	bytes_fini(&value);
}

void mnt_set_acl(fuse_req_t req, fuse_ino_t ino, const void *value, size_t size)
{
	struct mnt *m = mnt_of(req);
	CLEANUP_FREE struct acl *acl = NULL;
	int err = size ? acl_from_nfs4(value, size, &acl) : 0;
	if (err) {
		mnt_reply_err(req, err);
		return;
	}
	struct client_buf *buf = buffer(m, acl ? acl->size : 1);
	struct op *op = mnt_op(req, OP_set_acl, ino);
	if (acl) {
		memcpy(buf->data, acl->bytes, acl->size);
		op->status = client_op_seg(op, buf, 0, acl->size);
	}
	if (!op->status)
		mnt_run(req, op);
	mnt_reply(req, op);
	client_buf_put(m->client, buf);
}
