/* Listing directories, with or without attributes. */
#include "fuse/mnt.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define LIST_MAX 65536u  /* bytes asked of the server in one call */

struct lister {
	fuse_req_t req;
	bool plus;
	size_t room;
	size_t used;
	char *out;
};

/* False when it does not fit. */
static bool add_plus(struct lister *l, const char *name, const struct op_dirent *d)
{
	struct mnt *m = mnt_of(l->req);
	struct fuse_entry_param e = {.attr.st_ino = d->fileid};
	bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
	bool known = d->attr.mask & ATTR_TYPE && d->obj.size && !dots;
	char *at = l->out + l->used;
	mnt_stat(&d->attr, &e.attr);
	e.attr.st_ino = d->fileid;
	/* The size comes first: a look-up must not be counted for an entry that the kernel will not see. */
	size_t size = fuse_add_direntry_plus(l->req, NULL, 0, name, NULL, 0);
	if (size > l->room - l->used)
		return false;
	if (known && mnt_entry(m, &d->obj, &d->attr, &e))
		return false;
	fuse_add_direntry_plus(l->req, at, l->room - l->used, name, &e, (off_t)d->cookie);
	l->used += size;
	return true;
}

static bool add_plain(struct lister *l, const char *name, const struct op_dirent *d)
{
	struct stat st;
	mnt_stat(&d->attr, &st);
	st.st_ino = d->fileid;
	size_t size = fuse_add_direntry(l->req, l->out + l->used, l->room - l->used, name, &st, (off_t)d->cookie);
	if (size > l->room - l->used)
		return false;
	l->used += size;
	return true;
}

/* Turns the server's records into the kernel's, as many as fit. */
static void convert(struct lister *l, const uint8_t *data, uint32_t size)
{
	bool more = true;
	for (uint32_t at = 0; more && size - at >= sizeof(struct op_dirent);) {
		const struct op_dirent *d = (const struct op_dirent *)(data + at);
		char name[OP_NAME_MAX + 1];
		if (d->record_size < sizeof(*d) || d->record_size > size - at || d->name_size > OP_NAME_MAX ||
		    d->name_size > d->record_size - sizeof(*d))
			return;
		memcpy(name, d + 1, d->name_size);
		name[d->name_size] = 0;
		more = l->plus ? add_plus(l, name, d) : add_plain(l, name, d);
		at += d->record_size;
	}
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct mnt *m = mnt_of(req);
	struct lister l = {.req = req, .plus = plus, .room = MIN(size, LIST_MAX)};
	uint32_t room = MIN((uint32_t)l.room * 2 + 4096, LIST_MAX);
	CLEANUP_FREE char *out = malloc(l.room);
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(m->client, room, 0)))
		client_buf_wait(m->client);
	struct op *op = mnt_op(req, OP_readdir, ino);
	op->in.readdir.cookie = (uint64_t)off;
	op->in.readdir.flags = READDIR_DOTS;
	op->in.readdir.want = plus ? ATTR_ALL : 0;
	op->in.readdir.max_entries = plus ? 0 : (uint32_t)(l.room / 24);
	int err = out ? client_op_seg(op, buf, 0, room) : ERR_NOMEM;
	if (!err)
		err = mnt_run(req, op);
	l.out = out;
	if (!err)
		convert(&l, buf->data, MIN(op->out.readdir.size, room));
	client_op_put(m->client, op);
	client_buf_put(m->client, buf);
	if (err)
		mnt_reply_err(req, err);
	else
		fuse_reply_buf(req, out, l.used);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

static void do_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct op *op = mnt_op(req, OP_sync, ino);
	mnt_run(req, op);
	mnt_reply(req, op);
}

void mnt_dir_ops(struct fuse_lowlevel_ops *ops)
{
	ops->readdir = do_readdir;
	ops->readdirplus = do_readdirplus;
	ops->fsyncdir = do_fsyncdir;
}
