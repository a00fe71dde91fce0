/*
 * Inside NFSv3: the frame of a procedure. A handler makes an op with nfs3_op(), fills what is its own, calls, converts
 * the answer, and ends with nfs3_done(). Handlers know structs only; bytes are the generated code's.
 */
#ifndef NFS_NFS3_IMPL_H
#define NFS_NFS3_IMPL_H

#include "protocols/nfs/nfs-impl.h"

#define NFS3_DIR_PREF 65536u    /* bytes of a directory reply that are offered; more isn't sent */
#define NFS3_DIR_MAX 61440u

/* nfs3-frame.c */

/*
 * nfs3_op() - an op on the object that fh names, with the caller's rights and credential settled and, where it
 * matters, a replay key. 0, ERR_BADHANDLE, ERR_STALE, ERR_ACCES or ERR_ROFS. *op is set in any case and freed
 * when the reply is encoded. Parks.
 */
int nfs3_op(struct rpc_request *rq, const struct xdr_bytes *fh, enum op_code code, struct op **op);
/* nfs3_failed() - of an op that answered err, or was not run at all: empties the results if there are none. Answers err. */
int nfs3_failed(struct op *op, int err, bool not_run);
/* nfs3_run() - runs op unless err; gives the error. Results of an op that did not run are empty. Parks. */
static inline int nfs3_run(struct rpc_request *rq, struct op *op, int err)
{
	int status = likely(!err) ? client_call(rq->client, op) : err;
	return likely(!status) ? 0 : nfs3_failed(op, status, err != 0);
}
/* nfs3_second() - op's other object: of the same export, else ERR_XDEV. */
int nfs3_second(struct op *op, const struct xdr_bytes *fh);
/* nfs3_name() - ERR_ACCES for an empty name (RFC 1813 section 3.2), ERR_NAMETOOLONG. */
int nfs3_name(struct op *op, struct op_str *str, const struct xdr_bytes *name);
/* nfs3_done() - what a handler returns. */
int nfs3_done(const struct rpc_request *rq);
enum nfsstat3 nfs3_status(int err);

/* nfs3-attr.c */
void nfs3_fattr(const struct op_attr *a, struct fattr3 *out);
void nfs3_post(const struct op_attr *a, struct post_op_attr *out);
void nfs3_wcc(const struct op_wcc *w, struct wcc_data *out);
void nfs3_sattr(const struct sattr3 *in, struct op_attr *a);
struct xdr_bytes nfs3_fh(const struct op_handle *h);

/* nfs3-dir.c: results of their own, encoded straight from the op's records. */
void nfs3_readdir_encode(struct xdr_out *x, const void *res);
void nfs3_readdirplus_encode(struct xdr_out *x, const void *res);

rpc_handler nfs3_getattr, nfs3_setattr, nfs3_access, nfs3_readlink, nfs3_fsstat, nfs3_fsinfo, nfs3_pathconf;
rpc_handler nfs3_lookup, nfs3_create, nfs3_mkdir, nfs3_symlink, nfs3_mknod, nfs3_remove, nfs3_rmdir, nfs3_rename, nfs3_link;
rpc_handler nfs3_read, nfs3_write, nfs3_commit;
rpc_handler nfs3_readdir, nfs3_readdirplus;

#endif
