/*
 * Who calls: AUTH_NONE and AUTH_SYS (RFC 5531 section 8, appendix A). A client sends the same credential
 * over and over, so the last one of a connection is kept as received and compared before it is decoded.
 */
#include "protocols/rpc/rpc-impl.h"

#define NOBODY 65534

static enum rpc_auth_stat decode_sys(const struct xdr_bytes *body, struct op_cred *cred)
{
	_Alignas(16) uint8_t memory[256];
	struct authsys_parms parms;
	struct arena arena;
	struct xdr_in x;

	arena_init(&arena, memory, sizeof(memory), sizeof(memory));
	xdr_in_init(&x, body->data, body->size);
	x.arena = &arena;
	authsys_parms_decode(&x, &parms);
	if (x.err == 0) {
		cred->uid = parms.uid;
		cred->gid = parms.gid;
		cred->n_groups = (uint16_t)parms.gids.n_items;
		for (uint32_t i = 0; i < parms.gids.n_items; i++)
			cred->groups[i] = parms.gids.items[i];
	}
	arena_fini(&arena);
	return x.err ? AUTH_BADCRED : AUTH_OK;
}

static void copy_cred(struct op_cred *to, const struct op_cred *from)
{
	memcpy(to, from, offsetof(struct op_cred, groups));
	memcpy(to->groups, from->groups, from->n_groups * sizeof(from->groups[0]));
}

static enum rpc_auth_stat check_sys(struct auth_cache *cache, const struct xdr_bytes *body, struct op_cred *cred)
{
	if (cache->size != body->size || cache->size == 0 || memcmp(cache->raw, body->data, body->size) != 0) {
		cache->size = 0;
		enum rpc_auth_stat stat = decode_sys(body, &cache->cred);
		if (stat != AUTH_OK)
			return stat;
		memcpy(cache->raw, body->data, body->size);
		cache->size = body->size;
	}
	copy_cred(cred, &cache->cred);
	cred->origin = OP_ORIGIN_NFS;
	return AUTH_OK;
}

enum rpc_auth_stat rpc_auth_check(struct auth_cache *cache, const struct rpc_call *call, struct op_cred *cred)
{
	if (call->cred.flavor == AUTH_SYS)
		return check_sys(cache, &call->cred.body, cred);
	cred->uid = cred->gid = NOBODY;
	cred->n_groups = 0;
	cred->origin = OP_ORIGIN_NFS;
	return call->cred.flavor == AUTH_NONE ? AUTH_OK : AUTH_REJECTEDCRED;
}
