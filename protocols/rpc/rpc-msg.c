/* The headers of calls and replies: RFC 5531 section 9. Bytes in, structs out, and back; no state. */
#include "protocols/rpc/rpc-impl.h"

#define CALL_FIXED 12 /* xid, type, RPC version */

bool rpc_head_decode(struct xdr_in *x, struct rpc_head *head)
{
	const uint8_t *p = xdr_take(x, CALL_FIXED);
	if (!p || xdr_be32(p + 4) != RPC_CALL)
		return false;
	head->xid = xdr_be32(p);
	head->version_ok = xdr_be32(p + 8) == RPC_VERS;
	if (head->version_ok)
		rpc_call_decode(x, &head->call);
	return x->err == 0;
}

/* xid, REPLY, MSG_ACCEPTED, an empty verifier, the status. */
void rpc_reply_accepted(struct xdr_out *x, uint32_t xid, enum rpc_accept_stat stat)
{
	uint8_t *p = xdr_reserve(x, 24);
	if (!p)
		return;
	xdr_set32(p, xid);
	xdr_set32(p + 4, RPC_REPLY);
	xdr_set32(p + 8, RPC_MSG_ACCEPTED);
	xdr_set32(p + 12, AUTH_NONE);
	xdr_set32(p + 16, 0);
	xdr_set32(p + 20, stat);
}

void rpc_reply_prog_mismatch(struct xdr_out *x, uint32_t xid, uint32_t low, uint32_t high)
{
	rpc_reply_accepted(x, xid, RPC_PROG_MISMATCH);
	xdr_put_u32(x, low);
	xdr_put_u32(x, high);
}

static void put_rejected(struct xdr_out *x, uint32_t xid, const struct rpc_rejected_reply *why)
{
	const struct rpc_msg_head head = {.xid = xid, .mtype = RPC_REPLY};
	const struct rpc_reply reply = {.stat = RPC_MSG_DENIED, .rejected = *why};
	rpc_msg_head_encode(x, &head);
	rpc_reply_encode(x, &reply);
}

void rpc_reply_rpc_mismatch(struct xdr_out *x, uint32_t xid)
{
	put_rejected(x, xid, &(struct rpc_rejected_reply){.stat = RPC_MISMATCH, .mismatch = {RPC_VERS, RPC_VERS}});
}

void rpc_reply_auth_error(struct xdr_out *x, uint32_t xid, uint32_t auth_stat)
{
	put_rejected(x, xid, &(struct rpc_rejected_reply){.stat = RPC_AUTH_ERROR, .auth_stat = auth_stat});
}

int rpc_gather(const struct xdr_out *x, struct iovec *iov, int max)
{
	uint32_t done = 0;
	int n = 0;
	for (int i = 0; i < x->n_splices; i++) {
		const struct xdr_splice *s = &x->splices[i];
		if (n + 1 + s->n_iov > max)
			return -1;
		iov[n++] = (struct iovec){x->start + done, s->offset - done};
		memcpy(iov + n, s->iov, (size_t)s->n_iov * sizeof(*iov));
		n += s->n_iov;
		done = s->offset;
	}
	if (xdr_out_size(x) == done)
		return n;
	if (n == max)
		return -1;
	iov[n++] = (struct iovec){x->start + done, xdr_out_size(x) - done};
	return n;
}
