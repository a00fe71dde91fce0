/* What every request needs: who asks, an operation, its answer as FUSE wants it. */
#include "fuse/mnt.h"

#include <string.h>
#include <sys/sysmacros.h>

#define DELAY_FIRST_NS (2 * NS_PER_MS)
#define DELAY_MAX_NS NS_PER_SEC
#define DELAYS_MAX 30

void mnt_groups(fuse_req_t req, struct op_cred *cred)
{
	gid_t list[OP_CRED_GROUPS];
	if (cred->uid == 0 || cred->n_groups || fuse_req_ctx(req)->pid == 0)
		return;
	int n = fuse_req_getgroups(req, OP_CRED_GROUPS, list);
	for (int i = 0; i < MIN(n, OP_CRED_GROUPS); i++)
		cred->groups[cred->n_groups++] = list[i];
}

void mnt_cred(fuse_req_t req, struct op_cred *cred)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	memset(cred, 0, sizeof(*cred));
	cred->uid = ctx->uid;
	cred->gid = ctx->gid;
	cred->origin = OP_ORIGIN_FUSE;
	if (!mnt_of(req)->opt.default_permissions)
		mnt_groups(req, cred);
}

struct op *mnt_op(fuse_req_t req, enum op_code code, fuse_ino_t ino)
{
	struct mnt *m = mnt_of(req);
	struct op *op = client_op(m->client, code);
	mnt_cred(req, &op->cred);
	op->flags = m->opt.lazy ? OP_F_LAZY : 0;
	op->obj = mnt_node(m, ino)->handle;
	return op;
}

/*
 * A change whose answer is lost when chimerad is killed is asked for again by the library: the key lets it happen
 * once. Each try of ours is another, for the answer to one that was refused is kept, too.
 */
static void set_replay_key(struct mnt *m, struct op *op)
{
	uint16_t flags = op_info(op->code)->flags & (OP_I_MUTATES | OP_I_IDEMPOTENT);
	bool only_opens = op->code == OP_open && op->in.open.disposition == OPEN_EXISTING;
	if (m->opt.store || flags != OP_I_MUTATES || only_opens)
		return;
	op->replay_client = m->replay_client;
	op->replay_key = ++m->replay_key;
}

static int run_patiently(struct mnt *m, struct op *op)
{
	uint64_t wait = DELAY_FIRST_NS;
	uint16_t n_segs = op->n_segs;
	set_replay_key(m, op);
	int err = client_call(m->client, op);
	for (int i = 0; err == ERR_DELAY && i < DELAYS_MAX; i++) {
		fiber_sleep_ns(wait);
		wait = MIN(wait * 2, DELAY_MAX_NS);
		op->n_segs = n_segs;
		set_replay_key(m, op);
		err = client_call(m->client, op);
	}
	return err;
}

int mnt_run(fuse_req_t req, struct op *op)
{
	struct mnt *m = mnt_of(req);
	uint16_t n_segs = op->n_segs;
	int err = run_patiently(m, op);
	if ((err != ERR_ACCES && err != ERR_PERM) || op->cred.n_groups)
		return err;
	mnt_groups(req, &op->cred);
	op->n_segs = n_segs;
	return op->cred.n_groups ? run_patiently(m, op) : err;
}

void mnt_reply_err(fuse_req_t req, int err)
{
	static const struct {
		int err;
		int sys;
	} ours[] = {
		{ERR_TOOSMALL, ERANGE}, {ERR_BADHANDLE, ESTALE}, {ERR_BADNAME, EINVAL}, {ERR_BADTYPE, EINVAL},
		{ERR_SHARE, EBUSY}, {ERR_DELAY, EBUSY}, {ERR_BAD_COOKIE, EINVAL}, {ERR_DISCONNECTED, EIO},
		{ERR_CANCELED, EINTR},
	};
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (ours[i].err == err) {
			fuse_reply_err(req, ours[i].sys);
			return;
		}
	}
	fuse_reply_err(req, err_to_errno(err));
}

void mnt_reply(fuse_req_t req, struct op *op)
{
	int err = op->status;
	client_op_put(mnt_of(req)->client, op);
	mnt_reply_err(req, err);
}

bool mnt_name(fuse_req_t req, struct op *op, struct op_str *str, const char *name)
{
	int err = op_set_str(op, str, name, strlen(name));
	if (!err)
		return true;
	client_op_put(mnt_of(req)->client, op);
	mnt_reply_err(req, err);
	return false;
}

static mode_t type_bits(uint32_t type)
{
	static const mode_t bits[] = {
		[OP_TYPE_FILE] = S_IFREG, [OP_TYPE_DIR] = S_IFDIR, [OP_TYPE_SYMLINK] = S_IFLNK, [OP_TYPE_BLOCK] = S_IFBLK,
		[OP_TYPE_CHAR] = S_IFCHR, [OP_TYPE_FIFO] = S_IFIFO, [OP_TYPE_SOCKET] = S_IFSOCK,
	};
	return type < ARRAY_SIZE(bits) ? bits[type] : 0;
}

static struct timespec timespec(struct op_time t)
{
	return (struct timespec){.tv_sec = t.sec, .tv_nsec = t.nsec};
}

void mnt_stat(const struct op_attr *attr, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = attr->fileid;
	st->st_mode = type_bits(attr->type) | (attr->mode & 07777);
	st->st_nlink = attr->nlink;
	st->st_uid = attr->uid;
	st->st_gid = attr->gid;
	st->st_rdev = makedev(attr->rdev_major, attr->rdev_minor);
	st->st_size = (off_t)attr->size;
	st->st_blksize = 4096;
	st->st_blocks = (blkcnt_t)(attr->space / 512);
	st->st_atim = timespec(attr->atime);
	st->st_mtim = timespec(attr->mtime);
	st->st_ctim = timespec(attr->ctime);
}

int mnt_entry(struct mnt *m, const struct op_handle *h, const struct op_attr *attr, struct fuse_entry_param *e)
{
	struct mnt_node *n = mnt_node_get(m, h);
	if (!n)
		return ERR_NOMEM;
	*e = (struct fuse_entry_param){
		.ino = mnt_ino(m, n),
		.attr_timeout = m->opt.attr_timeout,
		.entry_timeout = m->opt.entry_timeout,
	};
	mnt_stat(attr, &e->attr);
	return 0;
}

void mnt_reply_entry(fuse_req_t req, struct op *op, const struct op_handle *h, const struct op_attr *attr)
{
	struct mnt *m = mnt_of(req);
	struct fuse_entry_param e;
	int err = op->status ? op->status : mnt_entry(m, h, attr, &e);
	client_op_put(m->client, op);
	if (err)
		mnt_reply_err(req, err);
	else if (fuse_reply_entry(req, &e))
		mnt_node_forget(m, mnt_node(m, e.ino), 1);
}
