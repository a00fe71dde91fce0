/* What every NFSv3 procedure has in common: the handle's export, the caller's rights, errors. */
#include "protocols/nfs/nfs3-impl.h"

/* By -err; what is not listed is NFS3ERR_SERVERFAULT. */
static const uint16_t statuses[] = {
	[0] = NFS3_OK,
	[-ERR_PERM] = NFS3ERR_PERM,
	[-ERR_NOENT] = NFS3ERR_NOENT,
	[-ERR_IO] = NFS3ERR_IO,
	[-ERR_NXIO] = NFS3ERR_NXIO,
	[-ERR_ACCES] = NFS3ERR_ACCES,
	[-ERR_EXIST] = NFS3ERR_EXIST,
	[-ERR_XDEV] = NFS3ERR_XDEV,
	[-ERR_NODEV] = NFS3ERR_NODEV,
	[-ERR_NOTDIR] = NFS3ERR_NOTDIR,
	[-ERR_ISDIR] = NFS3ERR_ISDIR,
	[-ERR_INVAL] = NFS3ERR_INVAL,
	[-ERR_FBIG] = NFS3ERR_FBIG,
	[-ERR_NOSPC] = NFS3ERR_NOSPC,
	[-ERR_ROFS] = NFS3ERR_ROFS,
	[-ERR_MLINK] = NFS3ERR_MLINK,
	[-ERR_NAMETOOLONG] = NFS3ERR_NAMETOOLONG,
	[-ERR_NOTEMPTY] = NFS3ERR_NOTEMPTY,
	[-ERR_DQUOT] = NFS3ERR_DQUOT,
	[-ERR_STALE] = NFS3ERR_STALE,
	[-ERR_BADHANDLE] = NFS3ERR_BADHANDLE,
	[-ERR_NOT_SYNC] = NFS3ERR_NOT_SYNC,
	[-ERR_BAD_COOKIE] = NFS3ERR_BAD_COOKIE,
	[-ERR_NOTSUPP] = NFS3ERR_NOTSUPP,
	[-ERR_TOOSMALL] = NFS3ERR_TOOSMALL,
	[-ERR_BADTYPE] = NFS3ERR_BADTYPE,
	[-ERR_SERVERFAULT] = NFS3ERR_SERVERFAULT,
	[-ERR_DELAY] = NFS3ERR_JUKEBOX,
	[-ERR_SHARE] = NFS3ERR_JUKEBOX,
	[-ERR_RANGE] = NFS3ERR_INVAL,
	[-ERR_AGAIN] = NFS3ERR_JUKEBOX,
	[-ERR_NOMEM] = NFS3ERR_JUKEBOX,
	[-ERR_BUSY] = NFS3ERR_ACCES,
	[-ERR_CANCELED] = NFS3ERR_JUKEBOX,
	[-ERR_TIMEDOUT] = NFS3ERR_JUKEBOX,
	[-ERR_DISCONNECTED] = NFS3ERR_JUKEBOX,
	[-ERR_LOOP] = NFS3ERR_INVAL,
	[-ERR_BADNAME] = NFS3ERR_ACCES,
	[-ERR_TXTBSY] = NFS3ERR_ACCES,
	[-ERR_OVERFLOW] = NFS3ERR_FBIG,
	[-ERR_INTR] = NFS3ERR_JUKEBOX,
};

enum nfsstat3 nfs3_status(int err)
{
	if (likely(err == 0))
		return NFS3_OK;
	if (err > 0 || (size_t)-err >= ARRAY_SIZE(statuses) || statuses[-err] == NFS3_OK)
		return NFS3ERR_SERVERFAULT;
	return (enum nfsstat3)statuses[-err];
}

static int apply_right(struct rpc_request *rq, struct op *op, uint16_t op_flags)
{
	const struct nfs_right *right = nfs_right(rq, op_handle_tag(&op->obj));
	if (unlikely(right->err))
		return right->err;
	if (unlikely(!nfs_flavor_ok(right, rq->flavor))) {
		rq->auth_stat = AUTH_TOOWEAK;
		return ERR_ACCES;
	}
	nfs_squash(right, rq, &op->cred);
	return right->read_only && (op_flags & OP_I_MUTATES) ? ERR_ROFS : 0;
}

int nfs3_op(struct rpc_request *rq, const struct xdr_bytes *fh, enum op_code code, struct op **out)
{
	uint16_t op_flags = op_info(code)->flags;
	nfs_exports_settle(nfs_of(rq));
	struct op *op = client_op(rq->client, code);
	int err = rpc_hold(rq, op);
	*out = op;
	if (!err)
		err = op_handle_set(&op->obj, fh->data, fh->size);
	if (!err)
		err = apply_right(rq, op, op_flags);
	if ((op_flags & (OP_I_MUTATES | OP_I_IDEMPOTENT)) == OP_I_MUTATES) {
		op->replay_client = rq->peer->id;
		op->replay_key = rpc_replay_key(rq);
	}
	op->trace_id = rq->xid;
	nfs_clients_count(rq->peer);
	return err;
}

/* Whether the op may not have run at all: then its results were not written. */
static bool may_not_have_run(int err)
{
	switch (err) {
	case ERR_INVAL:
	case ERR_NOTSUPP:
	case ERR_NOMEM:
	case ERR_CANCELED:
	case ERR_TIMEDOUT:
	case ERR_DISCONNECTED:
	case ERR_PROTO:
		return true;
	default:
		return false;
	}
}

int nfs3_failed(struct op *op, int err, bool not_run)
{
	if (not_run || may_not_have_run(err))
		memset(&op->out, 0, sizeof(op->out));
	return err;
}

int nfs3_second(struct op *op, const struct xdr_bytes *fh)
{
	int err = op_handle_set(&op->obj2, fh->data, fh->size);
	if (err)
		return err;
	return op_handle_tag(&op->obj) == op_handle_tag(&op->obj2) ? 0 : ERR_XDEV;
}

int nfs3_name(struct op *op, struct op_str *str, const struct xdr_bytes *name)
{
	return name->size ? op_set_str(op, str, name->data, name->size) : ERR_ACCES;
}

int nfs3_done(const struct rpc_request *rq)
{
	return likely(rq->auth_stat == AUTH_OK) ? RPC_SUCCESS : RPC_DENIED;
}
