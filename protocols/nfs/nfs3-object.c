/* Procedures on one object: attributes, access, links' targets, and what the file system says of itself. */
#include "protocols/nfs/nfs3-impl.h"

#define NFS_IO_MULTIPLE 4096u
#define NS_PER_S 1000000000u

int nfs3_getattr(struct rpc_request *rq, const void *args, void *res)
{
	const struct GETATTR3args *a = args;
	struct GETATTR3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->object, OP_getattr, &op);
	if (!err)
		op->in.getattr.want = ATTR_ALL;
	err = nfs3_run(rq, op, err);
	r->status = nfs3_status(err);
	if (!err)
		nfs3_fattr(&op->out.getattr.attr, &r->resok.obj_attributes);
	return nfs3_done(rq);
}

int nfs3_setattr(struct rpc_request *rq, const void *args, void *res)
{
	const struct SETATTR3args *a = args;
	struct SETATTR3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->object, OP_setattr, &op);
	if (!err) {
		struct op_setattr_in *in = &op->in.setattr;
		op->flags |= OP_F_OWNER_OVERRIDE;
		nfs3_sattr(&a->new_attributes, &in->attr);
		in->guard = a->has_guard;
		if (a->has_guard)
			in->guard_ctime = (struct op_time){.sec = a->guard.seconds, .nsec = a->guard.nseconds};
	}
	err = nfs3_run(rq, op, err);
	r->status = nfs3_status(err);
	nfs3_wcc(&op->out.setattr.wcc, &r->obj_wcc);
	return nfs3_done(rq);
}

int nfs3_access(struct rpc_request *rq, const void *args, void *res)
{
	const struct ACCESS3args *a = args;
	struct ACCESS3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->object, OP_access, &op);
	if (!err)
		op->in.access.want = a->access;
	err = nfs3_run(rq, op, err);
	r->status = nfs3_status(err);
	if (err) {
		nfs3_post(&op->out.access.attr, &r->obj_attributes);
	} else {
		nfs3_post(&op->out.access.attr, &r->resok.obj_attributes);
		r->resok.access = op->out.access.allowed;
		if (nfs_right(rq, op_handle_tag(&op->obj))->read_only)
			r->resok.access &= ~(uint32_t)(ACCESS3_MODIFY | ACCESS3_EXTEND | ACCESS3_DELETE);
	}
	return nfs3_done(rq);
}

/* The target comes into a buffer that lives as long as the reply's arena. */
static int read_target(struct rpc_request *rq, struct op *op, struct xdr_bytes *target)
{
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(rq->client, OP_PATH_MAX, 0)))
		client_buf_wait(rq->client);
	int err = client_op_seg(op, buf, 0, OP_PATH_MAX);
	err = nfs3_run(rq, op, err);
	if (!err) {
		target->size = MIN(op->out.readlink.size, (uint32_t)OP_PATH_MAX);
		target->data = arena_dup(&rq->arena, buf->data, target->size);
		err = target->data ? 0 : ERR_NOMEM;
	}
	client_buf_put(rq->client, buf);
	return err;
}

int nfs3_readlink(struct rpc_request *rq, const void *args, void *res)
{
	const struct READLINK3args *a = args;
	struct READLINK3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->symlink, OP_readlink, &op);
	if (!err)
		err = read_target(rq, op, &r->resok.data);
	r->status = nfs3_status(err);
	nfs3_post(&op->out.readlink.attr, err ? &r->symlink_attributes : &r->resok.symlink_attributes);
	return nfs3_done(rq);
}

/* FSSTAT, FSINFO and PATHCONF are three views of one answer. */
static int statfs(struct rpc_request *rq, const struct xdr_bytes *fh, struct op **op)
{
	int err = nfs3_op(rq, fh, OP_statfs, op);
	return nfs3_run(rq, *op, err);
}

int nfs3_fsstat(struct rpc_request *rq, const void *args, void *res)
{
	const struct FSSTAT3args *a = args;
	struct FSSTAT3res *r = res;
	struct op *op;
	int err = statfs(rq, &a->fsroot, &op);
	const struct op_statfs *st = &op->out.statfs.statfs;
	r->status = nfs3_status(err);
	nfs3_post(&op->out.statfs.attr, err ? &r->obj_attributes : &r->resok.obj_attributes);
	if (!err) {
		r->resok.tbytes = st->total_bytes;
		r->resok.fbytes = st->free_bytes;
		r->resok.abytes = st->avail_bytes;
		r->resok.tfiles = st->total_files;
		r->resok.ffiles = st->free_files;
		r->resok.afiles = st->avail_files;
		r->resok.invarsec = 0;
	}
	return nfs3_done(rq);
}

static void fill_fsinfo(const struct rpc_request *rq, const struct op_statfs *st, struct FSINFO3resok *r)
{
	const struct nfs_server *s = nfs_of(rq);
	uint32_t max = rq->peer->stream ? s->max_io : s->udp_max_io;
	r->rtmax = r->rtpref = r->wtmax = r->wtpref = max;
	r->rtmult = r->wtmult = NFS_IO_MULTIPLE;
	r->dtpref = MIN(max, NFS3_DIR_PREF);
	r->maxfilesize = st->max_file_size;
	r->time_delta.seconds = (uint32_t)(st->time_delta_ns / NS_PER_S);
	r->time_delta.nseconds = (uint32_t)(st->time_delta_ns % NS_PER_S);
	r->properties = FSF3_LINK | FSF3_SYMLINK | FSF3_HOMOGENEOUS | FSF3_CANSETTIME;
}

int nfs3_fsinfo(struct rpc_request *rq, const void *args, void *res)
{
	const struct FSINFO3args *a = args;
	struct FSINFO3res *r = res;
	struct op *op;
	int err = statfs(rq, &a->fsroot, &op);
	r->status = nfs3_status(err);
	nfs3_post(&op->out.statfs.attr, err ? &r->obj_attributes : &r->resok.obj_attributes);
	if (!err)
		fill_fsinfo(rq, &op->out.statfs.statfs, &r->resok);
	return nfs3_done(rq);
}

int nfs3_pathconf(struct rpc_request *rq, const void *args, void *res)
{
	const struct PATHCONF3args *a = args;
	struct PATHCONF3res *r = res;
	struct op *op;
	int err = statfs(rq, &a->object, &op);
	const struct op_statfs *st = &op->out.statfs.statfs;
	r->status = nfs3_status(err);
	nfs3_post(&op->out.statfs.attr, err ? &r->obj_attributes : &r->resok.obj_attributes);
	if (!err) {
		r->resok.linkmax = st->link_max;
		r->resok.name_max = st->name_max;
		r->resok.no_trunc = true;
		r->resok.chown_restricted = true;
		r->resok.case_insensitive = st->case_insensitive;
		r->resok.case_preserving = true;
	}
	return nfs3_done(rq);
}
