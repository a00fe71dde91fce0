/* Procedures on names: looking up, making, linking, renaming and removing. */
#include "protocols/nfs/nfs3-impl.h"

static bool is_dotdot(const struct xdr_bytes *name)
{
	return name->size == 2 && name->data[0] == '.' && name->data[1] == '.';
}

/* ".." of an export's root is the root: handles must not lead out of what was exported. */
static int set_lookup_name(struct rpc_request *rq, struct op *op, const struct xdr_bytes *name)
{
	static const struct xdr_bytes here = {(const uint8_t *)".", 1};
	if (unlikely(is_dotdot(name)) && nfs_is_root(rq, &op->obj))
		name = &here;
	return nfs3_name(op, &op->in.lookup.name, name);
}

int nfs3_lookup(struct rpc_request *rq, const void *args, void *res)
{
	const struct LOOKUP3args *a = args;
	struct LOOKUP3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->what.dir, OP_lookup, &op);
	if (!err)
		err = set_lookup_name(rq, op, &a->what.name);
	err = nfs3_run(rq, op, err);
	const struct op_lookup_out *out = &op->out.lookup;
	r->status = nfs3_status(err);
	nfs3_post(&out->dir, err ? &r->dir_attributes : &r->resok.dir_attributes);
	if (!err) {
		r->resok.object = nfs3_fh(&out->obj);
		nfs3_post(&out->attr, &r->resok.obj_attributes);
	}
	return nfs3_done(rq);
}

/* The answer that CREATE, MKDIR, SYMLINK and MKNOD share. */
static int answer_new(const struct rpc_request *rq, int err, const struct op_handle *obj, const struct op_attr *attr,
		      const struct op_wcc *dir, struct newobj3res *r)
{
	r->status = nfs3_status(err);
	nfs3_wcc(dir, err ? &r->dir_wcc : &r->resok.dir_wcc);
	if (!err) {
		r->resok.obj.has_handle = true;
		r->resok.obj.handle = nfs3_fh(obj);
		nfs3_post(attr, &r->resok.obj_attributes);
	}
	return nfs3_done(rq);
}

static void set_create_how(const struct createhow3 *how, struct op_open_in *in)
{
	static const uint8_t dispositions[] = {
		[UNCHECKED] = OPEN_UNCHECKED, [GUARDED] = OPEN_GUARDED, [EXCLUSIVE] = OPEN_EXCLUSIVE};
	in->disposition = dispositions[how->mode];
	in->flags = OPEN_NO_STATE;
	if (how->mode == EXCLUSIVE)
		memcpy(&in->verifier, how->verf, sizeof(in->verifier));
	else
		nfs3_sattr(&how->obj_attributes, &in->attr);
}

int nfs3_create(struct rpc_request *rq, const void *args, void *res)
{
	const struct CREATE3args *a = args;
	struct op *op;
	int err = nfs3_op(rq, &a->where.dir, OP_open, &op);
	if (!err)
		err = nfs3_name(op, &op->in.open.name, &a->where.name);
	if (!err)
		set_create_how(&a->how, &op->in.open);
	err = nfs3_run(rq, op, err);
	const struct op_open_out *out = &op->out.open;
	return answer_new(rq, err, &out->obj, &out->attr, &out->dir, res);
}

int nfs3_mkdir(struct rpc_request *rq, const void *args, void *res)
{
	const struct MKDIR3args *a = args;
	struct op *op;
	int err = nfs3_op(rq, &a->where.dir, OP_mkdir, &op);
	if (!err)
		err = nfs3_name(op, &op->in.mkdir.name, &a->where.name);
	if (!err)
		nfs3_sattr(&a->attributes, &op->in.mkdir.attr);
	err = nfs3_run(rq, op, err);
	const struct op_mkdir_out *out = &op->out.mkdir;
	return answer_new(rq, err, &out->obj, &out->attr, &out->dir, res);
}

/* The target lies in the call's record, which the server can reach. */
static int set_target(struct rpc_request *rq, struct op *op, const struct xdr_bytes *target)
{
	if (target->size == 0)
		return ERR_INVAL;
	if (target->size > OP_PATH_MAX)
		return ERR_NAMETOOLONG;
	uint32_t offset = rq->record.offset + (uint32_t)(target->data - rq->record.data);
	return client_op_seg(op, rq->record.buf, offset, target->size);
}

int nfs3_symlink(struct rpc_request *rq, const void *args, void *res)
{
	const struct SYMLINK3args *a = args;
	struct op *op;
	int err = nfs3_op(rq, &a->where.dir, OP_symlink, &op);
	if (!err)
		err = nfs3_name(op, &op->in.symlink.name, &a->where.name);
	if (!err)
		err = set_target(rq, op, &a->symlink_data);
	if (!err)
		nfs3_sattr(&a->symlink_attributes, &op->in.symlink.attr);
	err = nfs3_run(rq, op, err);
	const struct op_symlink_out *out = &op->out.symlink;
	return answer_new(rq, err, &out->obj, &out->attr, &out->dir, res);
}

static int set_device(const struct mknoddata3 *what, struct op_attr *attr)
{
	switch (what->type) {
	case NF3CHR:
	case NF3BLK:
		nfs3_sattr(&what->device.dev_attributes, attr);
		attr->type = what->type == NF3CHR ? OP_TYPE_CHAR : OP_TYPE_BLOCK;
		attr->rdev_major = what->device.spec.specdata1;
		attr->rdev_minor = what->device.spec.specdata2;
		attr->mask |= ATTR_TYPE | ATTR_RDEV;
		return 0;
	case NF3SOCK:
	case NF3FIFO:
		nfs3_sattr(&what->pipe_attributes, attr);
		attr->type = what->type == NF3SOCK ? OP_TYPE_SOCKET : OP_TYPE_FIFO;
		attr->mask |= ATTR_TYPE;
		return 0;
	default:
		return ERR_BADTYPE;
	}
}

int nfs3_mknod(struct rpc_request *rq, const void *args, void *res)
{
	const struct MKNOD3args *a = args;
	struct op *op;
	int err = nfs3_op(rq, &a->where.dir, OP_mknod, &op);
	if (!err)
		err = nfs3_name(op, &op->in.mknod.name, &a->where.name);
	if (!err)
		err = set_device(&a->what, &op->in.mknod.attr);
	err = nfs3_run(rq, op, err);
	const struct op_mknod_out *out = &op->out.mknod;
	return answer_new(rq, err, &out->obj, &out->attr, &out->dir, res);
}

static int remove_name(struct rpc_request *rq, const struct REMOVE3args *a, struct REMOVE3res *r, uint32_t flags)
{
	struct op *op;
	int err = nfs3_op(rq, &a->object.dir, OP_remove, &op);
	if (!err)
		err = nfs3_name(op, &op->in.remove.name, &a->object.name);
	if (!err)
		op->in.remove.flags = flags;
	err = nfs3_run(rq, op, err);
	r->status = nfs3_status(err);
	nfs3_wcc(&op->out.remove.dir, &r->dir_wcc);
	return nfs3_done(rq);
}

int nfs3_remove(struct rpc_request *rq, const void *args, void *res)
{
	return remove_name(rq, args, res, REMOVE_FILE);
}

int nfs3_rmdir(struct rpc_request *rq, const void *args, void *res)
{
	return remove_name(rq, args, res, REMOVE_DIR);
}

int nfs3_rename(struct rpc_request *rq, const void *args, void *res)
{
	const struct RENAME3args *a = args;
	struct RENAME3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->from.dir, OP_rename, &op);
	if (!err)
		err = nfs3_second(op, &a->to.dir);
	if (!err)
		err = nfs3_name(op, &op->in.rename.name, &a->from.name);
	if (!err)
		err = nfs3_name(op, &op->in.rename.to_name, &a->to.name);
	if (!err)
		op->in.rename.flags = RENAME_REPLACE;
	err = nfs3_run(rq, op, err);
	r->status = nfs3_status(err);
	nfs3_wcc(&op->out.rename.dir, &r->fromdir_wcc);
	nfs3_wcc(&op->out.rename.to_dir, &r->todir_wcc);
	return nfs3_done(rq);
}

int nfs3_link(struct rpc_request *rq, const void *args, void *res)
{
	const struct LINK3args *a = args;
	struct LINK3res *r = res;
	struct op *op;
	int err = nfs3_op(rq, &a->file, OP_link, &op);
	if (!err)
		err = nfs3_second(op, &a->link.dir);
	if (!err)
		err = nfs3_name(op, &op->in.link.name, &a->link.name);
	err = nfs3_run(rq, op, err);
	r->status = nfs3_status(err);
	nfs3_post(&op->out.link.attr, &r->file_attributes);
	nfs3_wcc(&op->out.link.dir, &r->linkdir_wcc);
	return nfs3_done(rq);
}
