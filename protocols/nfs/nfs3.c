/* NFSv3's procedures by number, and where a WRITE's payload begins. */
#include "protocols/nfs/nfs3-impl.h"

static int nfs3_null(struct rpc_request *rq, const void *args, void *res)
{
	return RPC_SUCCESS;
}

const struct rpc_procedure nfs3_procs[] = {
	[NFSPROC3_NULL] = {nfs3_null},
	[NFSPROC3_GETATTR] = {nfs3_getattr},
	[NFSPROC3_SETATTR] = {nfs3_setattr},
	[NFSPROC3_LOOKUP] = {nfs3_lookup},
	[NFSPROC3_ACCESS] = {nfs3_access},
	[NFSPROC3_READLINK] = {nfs3_readlink},
	[NFSPROC3_READ] = {nfs3_read},
	[NFSPROC3_WRITE] = {nfs3_write},
	[NFSPROC3_CREATE] = {nfs3_create},
	[NFSPROC3_MKDIR] = {nfs3_mkdir},
	[NFSPROC3_SYMLINK] = {nfs3_symlink},
	[NFSPROC3_MKNOD] = {nfs3_mknod},
	[NFSPROC3_REMOVE] = {nfs3_remove},
	[NFSPROC3_RMDIR] = {nfs3_rmdir},
	[NFSPROC3_RENAME] = {nfs3_rename},
	[NFSPROC3_LINK] = {nfs3_link},
	[NFSPROC3_READDIR] = {nfs3_readdir, nfs3_readdir_encode},
	[NFSPROC3_READDIRPLUS] = {nfs3_readdirplus, nfs3_readdirplus_encode},
	[NFSPROC3_FSSTAT] = {nfs3_fsstat},
	[NFSPROC3_FSINFO] = {nfs3_fsinfo},
	[NFSPROC3_PATHCONF] = {nfs3_pathconf},
	[NFSPROC3_COMMIT] = {nfs3_commit},
};

_Static_assert(sizeof(union {
		       struct SETATTR3args a;
		       struct CREATE3args b;
		       struct RENAME3res c;
		       struct newobj3res d;
	       }) <= RPC_ARGS_MAX,
	       "arguments and results fit");

/* WRITE's arguments: handle, offset, count, stable, then the payload's size. */
bool nfs3_find_payload(uint32_t procedure, struct xdr_in *x, struct rpc_payload *place)
{
	struct xdr_bytes fh;
	const uint8_t *p = procedure == NFSPROC3_WRITE ? xdr_take(x, 4) : NULL;
	if (!p)
		return false;
	fh.size = xdr_be32(p);
	xdr_take_opaque(x, &fh, NFS3_FHSIZE);
	p = xdr_take(x, 20);
	if (!p)
		return false;
	place->file_offset = xdr_be64(p);
	place->size = xdr_be32(p + 16);
	return true;
}
