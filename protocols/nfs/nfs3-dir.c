/*
 * READDIR and READDIRPLUS. The VFS lists into a buffer of records; the reply is encoded straight from them, entry by
 * entry, until the client's limit. What doesn't fit is listed again from the last cookie that was sent.
 */
#include "protocols/nfs/nfs3-impl.h"

#define RECORD_RATIO 10u          /* a record is that much longer than the shortest entry it becomes */
#define LIST_MIN 4096u
#define NAMES_MIN 512u            /* a client that asks for fewer bytes of names gets a few entries all the same */
#define LIST_MAX 262144u
#define ENTRY_FIXED 24u           /* READDIR: the flag, fileid, the name's size, cookie */
#define REPLY_FIXED (88u + 8 + 8) /* attributes, verifier, the end of the list and eof */

struct dir_res {
	enum nfsstat3 status;
	struct post_op_attr dir_attributes;
	uint64_t verifier;
	const uint8_t *records;
	uint32_t size;       /* of the records */
	uint32_t max_names;  /* bytes of names, ids and cookies */
	uint32_t max_size;   /* bytes of the whole reply */
	bool eof;            /* behind the last record */
	bool at_root;
	const struct op *op;
};

struct dir_want {
	const struct xdr_bytes *dir;
	uint64_t cookie;
	const uint8_t *verifier;
	uint32_t max_names;
	uint32_t max_size;
	bool plus;
};

_Static_assert(sizeof(struct dir_res) <= RPC_ARGS_MAX, "results fit");

/* The next record, bounded; NULL at the end. */
static const struct op_dirent *next_record(const struct dir_res *r, uint32_t *at)
{
	const struct op_dirent *d = (const struct op_dirent *)(r->records + *at);
	uint32_t left = r->size - *at;
	if (left < sizeof(*d) || d->record_size < sizeof(*d) || d->record_size > left || d->record_size % 8 ||
	    d->name_size > d->record_size - sizeof(*d) || d->obj.size > OP_HANDLE_MAX)
		return NULL;
	*at += d->record_size;
	return d;
}

static struct xdr_bytes name_of(const struct op_dirent *d)
{
	return (struct xdr_bytes){(const uint8_t *)(d + 1), d->name_size};
}

static void fill_plus(const struct dir_res *r, const struct op_dirent *d, struct entryplus3 *e)
{
	struct xdr_bytes name = name_of(d);
	bool up = r->at_root && name.size == 2 && memcmp(name.data, "..", 2) == 0;
	const struct op_handle *obj = up ? &r->op->obj : &d->obj;
	*e = (struct entryplus3){.fileid = d->fileid, .name = name, .cookie = d->cookie};
	nfs3_post(up ? &r->op->out.readdir.dir : &d->attr, &e->name_attributes);
	e->name_handle.has_handle = obj->size > 0;
	e->name_handle.handle = nfs3_fh(obj);
	if (up)
		e->fileid = r->op->out.readdir.dir.fileid;
}

static void put_entry(struct xdr_out *x, const struct dir_res *r, const struct op_dirent *d, bool plus)
{
	struct entryplus3 e;
	xdr_put_more(x, true);
	if (plus) {
		fill_plus(r, d, &e);
		entryplus3_encode(x, &e);
	} else {
		entry3_encode(x, &(struct entry3){.fileid = d->fileid, .name = name_of(d), .cookie = d->cookie});
	}
}

/* Entries while they fit; true when all did. */
static bool put_entries(struct xdr_out *x, const struct dir_res *r, bool plus)
{
	const uint8_t *start = x->pos;
	uint32_t names_size = 0, at = 0;
	const struct op_dirent *d;
	while ((d = next_record(r, &at))) {
		uint8_t *before = x->pos;
		names_size += ENTRY_FIXED + (uint32_t)xdr_pad(d->name_size);
		put_entry(x, r, d, plus);
		if (x->err)
			return false;
		if ((size_t)(x->pos - start) + REPLY_FIXED > r->max_size || names_size > r->max_names) {
			x->pos = before;
			return false;
		}
	}
	return true;
}

static void put_status(struct xdr_out *x, enum nfsstat3 status, const struct post_op_attr *dir)
{
	xdr_put_u32(x, status);
	post_op_attr_encode(x, dir);
}

static void encode_list(struct xdr_out *x, const struct dir_res *r, bool plus)
{
	uint8_t *start = x->pos, *p;
	put_status(x, r->status, &r->dir_attributes);
	if (r->status != NFS3_OK || !(p = xdr_reserve(x, NFS3_COOKIEVERFSIZE)))
		return;
	memcpy(p, &r->verifier, NFS3_COOKIEVERFSIZE);
	uint8_t *first = x->pos;
	bool all = put_entries(x, r, plus);
	if (!x->err && x->pos == first && !(all && r->eof)) {
		x->pos = start;
		put_status(x, NFS3ERR_TOOSMALL, &r->dir_attributes);
		return;
	}
	xdr_put_more(x, false);
	xdr_put_more(x, all && r->eof);
}

void nfs3_readdir_encode(struct xdr_out *x, const void *res)
{
	encode_list(x, res, false);
}

void nfs3_readdirplus_encode(struct xdr_out *x, const void *res)
{
	encode_list(x, res, true);
}

static void set_list(const struct dir_want *w, struct op_readdir_in *in)
{
	in->cookie = w->cookie;
	if (w->cookie)
		memcpy(&in->verifier, w->verifier, sizeof(in->verifier));
	in->want = w->plus ? ATTR_ALL : 0;
	in->flags = READDIR_DOTS;
	in->max_entries = w->max_names / ENTRY_FIXED + 1;
}

/* The records live as long as the request: their buffer goes with its record. */
static int list(struct rpc_request *rq, const struct dir_want *w, struct op *op, struct dir_res *r)
{
	uint32_t wanted = MAX(w->max_names * RECORD_RATIO, LIST_MIN), size = MIN(wanted, LIST_MAX);
	struct client_buf *buf;
	set_list(w, &op->in.readdir);
	while (!(buf = client_buf_alloc(rq->client, size, 0)))
		client_buf_wait(rq->client);
	rpc_hold_buf(rq, buf);
	int err = client_op_seg(op, buf, 0, size);
	err = nfs3_run(rq, op, err);
	r->records = buf->data;
	r->size = err ? 0 : MIN(op->out.readdir.size, size);
	return err;
}

static int read_dir(struct rpc_request *rq, const struct dir_want *w, struct dir_res *r)
{
	struct op *op;
	int err = nfs3_op(rq, w->dir, OP_readdir, &op);
	err = err ? nfs3_run(rq, op, err) : list(rq, w, op, r);
	r->status = nfs3_status(err);
	nfs3_post(&op->out.readdir.dir, &r->dir_attributes);
	r->verifier = op->out.readdir.verifier;
	r->eof = op->out.readdir.eof;
	r->max_names = w->max_names;
	r->max_size = w->max_size;
	r->op = op;
	r->at_root = !err && w->plus && w->cookie < 2 && nfs_is_root(rq, &op->obj);
	return nfs3_done(rq);
}

static uint32_t dir_limit(const struct rpc_request *rq, uint32_t size)
{
	return MIN(size, rq->peer->stream ? NFS3_DIR_MAX : nfs_of(rq)->udp_max_io);
}

int nfs3_readdir(struct rpc_request *rq, const void *args, void *res)
{
	const struct READDIR3args *a = args;
	uint32_t size = dir_limit(rq, a->count);
	const struct dir_want w = {.dir = &a->dir, .cookie = a->cookie, .verifier = a->cookieverf,
				   .max_names = size, .max_size = size};
	return read_dir(rq, &w, res);
}

int nfs3_readdirplus(struct rpc_request *rq, const void *args, void *res)
{
	const struct READDIRPLUS3args *a = args;
	uint32_t size = dir_limit(rq, a->maxcount);
	uint32_t names = a->dircount < NAMES_MIN ? NAMES_MIN : MIN(a->dircount, size);
	const struct dir_want w = {.dir = &a->dir, .cookie = a->cookie, .verifier = a->cookieverf,
				   .max_names = names, .max_size = size, .plus = true};
	return read_dir(rq, &w, res);
}
