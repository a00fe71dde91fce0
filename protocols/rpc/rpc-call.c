/*
 * One call, from the bytes of its record to the bytes of its reply, in its own fiber: header, credential, program,
 * arguments, handler, results. Everything it needs lies on the fiber's stack.
 */
#include "base/hash.h"
#include "base/log.h"
#include "protocols/rpc/rpc-impl.h"

LOG_MODULE("rpc");

#define ARENA_FIRST 512
#define ARENA_LIMIT 65536
#define TRACE_SIZE 512
#define NO_REPLY (-1)

struct call {
	struct rpc_server *server;
	struct rpc_listener *via; /* of a datagram */
	struct rpc_peer *peer;
	struct rpc_head head;
	struct xdr_in in;
	struct rpc_request rq;
	uint32_t low, high;       /* versions of the program, for RPC_PROG_MISMATCH */
	const struct rpc_procedure *fn;
	const struct xdr_proc *xdr;
};

typedef void encode_fn(struct xdr_out *x, const struct call *call, int stat, const void *res);

/* RPC_SUCCESS with call->fn set, or what to answer instead. */
static int find_procedure(struct call *call)
{
	const struct rpc_call *h = &call->head.call;
	const struct rpc_server *s = call->server;
	call->low = UINT32_MAX;
	for (uint32_t i = 0; i < s->n_programs; i++) {
		const struct rpc_program *p = &s->programs[i];
		if (p->xdr->program != h->prog)
			continue;
		call->low = MIN(call->low, p->xdr->version);
		call->high = MAX(call->high, p->xdr->version);
		if (p->xdr->version != h->vers)
			continue;
		if (h->proc >= p->xdr->n_procs || !p->procs[h->proc].fn)
			return RPC_PROC_UNAVAIL;
		call->rq.program = p;
		call->fn = &p->procs[h->proc];
		call->xdr = &p->xdr->procs[h->proc];
		return RPC_SUCCESS;
	}
	return call->low == UINT32_MAX ? RPC_PROG_UNAVAIL : RPC_PROG_MISMATCH;
}

static int authenticate(struct call *call)
{
	struct auth_cache *cache = call->rq.conn ? &call->rq.conn->auth : &call->server->dgram_auth;
	call->rq.flavor = call->head.call.cred.flavor;
	call->rq.auth_stat = rpc_auth_check(cache, &call->head.call, &call->rq.cred);
	return call->rq.auth_stat == AUTH_OK ? RPC_SUCCESS : RPC_DENIED;
}

static void trace(const struct call *call, const struct xdr_type *type, const void *v)
{
	char line[TRACE_SIZE];
	struct xdr_text text;
	if (likely(log_this_module.level < LOG_TRACE))
		return;
	xdr_text_init(&text, line, sizeof(line));
	if (type->size)
		type->print(&text, v);
	log_trace("%08x %s %s", call->rq.xid, call->xdr->name, line);
}

static int decode_args(struct call *call, void *args)
{
	const struct xdr_type *type = &call->xdr->args;
	if (type->size == 0)
		return RPC_SUCCESS;
	call->in.arena = &call->rq.arena;
	call->in.detached_size = (uint32_t)xdr_pad(call->rq.record.n_chunks ? call->rq.record.payload_size : 0);
	type->decode(&call->in, args);
	if (call->in.err || call->in.detached_size)
		return RPC_GARBAGE_ARGS;
	trace(call, type, args);
	return RPC_SUCCESS;
}

/* The results when all went well, else only a header. */
static void encode_reply(struct xdr_out *x, const struct call *call, int stat, const void *res)
{
	uint32_t xid = call->head.xid;
	if (!call->head.version_ok) {
		rpc_reply_rpc_mismatch(x, xid);
	} else if (stat == RPC_DENIED) {
		rpc_reply_auth_error(x, xid, call->rq.auth_stat);
	} else if (stat == RPC_PROG_MISMATCH) {
		rpc_reply_prog_mismatch(x, xid, call->low, call->high);
	} else {
		rpc_reply_accepted(x, xid, (enum rpc_accept_stat)stat);
		if (stat == RPC_SUCCESS && call->fn->encode)
			call->fn->encode(x, res);
		else if (stat == RPC_SUCCESS && call->xdr->res.size)
			call->xdr->res.encode(x, res);
	}
}

static size_t reply_size(const struct xdr_out *x)
{
	size_t size = xdr_out_size(x);
	for (int i = 0; i < x->n_splices; i++)
		size += x->splices[i].size;
	return size;
}

static void encode_record(struct xdr_out *x, const struct call *call, int stat, const void *res)
{
	uint8_t *mark = xdr_reserve(x, 4);
	encode_reply(x, call, stat, res);
	if (!x->err)
		xdr_set32(mark, 0x80000000u | (uint32_t)(reply_size(x) - 4));
}

static void reply_stream(struct call *call, int stat, const void *res)
{
	struct rpc_conn *c = call->rq.conn;
	struct xdr_out x;
	if (c->broken)
		return;
	rpc_out_begin(c, &x);
	encode_record(&x, call, stat, res);
	if (x.err && rpc_out_grow(c, &x))
		encode_record(&x, call, stat, res);
	if (x.err && stat == RPC_SUCCESS) {
		log_error("%s: the results don't fit a reply: %s", call->xdr->name, err_text(x.err));
		reply_stream(call, RPC_SYSTEM_ERR, NULL);
	} else if (x.err) {
		rpc_conn_break(c);
	} else {
		rpc_out_commit(c, &x, &call->rq);
	}
}

static void reply_dgram(struct call *call, int stat, const void *res)
{
	struct xdr_out x;
	xdr_out_init(&x, call->server->dgram_out, RPC_DGRAM_MAX);
	encode_reply(&x, call, stat, res);
	if (x.err == 0 && reply_size(&x) <= RPC_DGRAM_MAX) {
		rpc_dgram_send(call->via, call->peer, &x);
	} else if (stat == RPC_SUCCESS) {
		log_warn("%s: the results don't fit a datagram", call->xdr->name);
		reply_dgram(call, RPC_SYSTEM_ERR, NULL);
	}
}

static void reply(struct call *call, int stat, const void *res)
{
	if (call->rq.conn)
		reply_stream(call, stat, res);
	else
		reply_dgram(call, stat, res);
}

/* Decodes and runs; the status to answer, NO_REPLY for what is not a call. */
static int run(struct call *call, void *args, void *res)
{
	xdr_in_init(&call->in, call->rq.record.data, call->rq.record.size);
	if (!rpc_head_decode(&call->in, &call->head))
		return NO_REPLY;
	call->rq.xid = call->head.xid;
	if (!call->head.version_ok)
		return RPC_DENIED;
	call->rq.procedure = call->head.call.proc;
	int stat = find_procedure(call);
	/* NULL is answered to anyone, with or without a credential (RFC 5531 section 11.1 of the RFC it replaces). */
	if (stat == RPC_SUCCESS && call->rq.procedure != 0)
		stat = authenticate(call);
	if (stat == RPC_SUCCESS)
		stat = decode_args(call, args);
	if (stat != RPC_SUCCESS)
		return stat;
	stat = call->fn->fn(&call->rq, args, res);
	if (stat == RPC_SUCCESS)
		trace(call, &call->xdr->res, res);
	return stat;
}

static void finish(struct call *call)
{
	struct rpc_request *rq = &call->rq;
	for (uint32_t i = 0; i < rq->n_held; i++)
		client_op_put(rq->client, rq->held[i]);
	if (rq->held_buf)
		client_buf_put(rq->client, rq->held_buf);
	arena_fini(&rq->arena);
	if (rq->record.n_chunks)
		rpc_bulk_finished(rq->conn, &rq->record);
	rpc_answer_end(rq);
	rpc_record_put(rq->client, &rq->record);
	if (rq->conn) {
		rpc_conn_call_ended(rq->conn);
	} else {
		fiber_join_done(&call->server->fibers);
	}
}

/* Hardly any has chunks: what is copied always has a size that the compiler knows. */
static void take_record(struct rpc_record *to, const struct rpc_record *from)
{
	memcpy(to, from, offsetof(struct rpc_record, chunks));
	if (unlikely(from->n_chunks))
		memcpy(to->chunks, from->chunks, from->n_chunks * sizeof(from->chunks[0]));
}

void rpc_call_run(void *arg)
{
	const struct rpc_call_start *start = arg;
	_Alignas(16) uint8_t args[RPC_ARGS_MAX], res[RPC_ARGS_MAX], memory[ARENA_FIRST];
	struct call call;

	call.server = start->server;
	call.via = start->via;
	call.peer = start->peer;
	call.high = 0;
	call.rq.client = call.server->client;
	call.rq.peer = call.peer;
	call.rq.conn = start->conn;
	call.rq.n_held = 0;
	call.rq.held_buf = NULL;
	call.rq.auth_stat = AUTH_OK;
	call.rq.fetch_size = 0;
	take_record(&call.rq.record, start->record);
	arena_init(&call.rq.arena, memory, sizeof(memory), ARENA_LIMIT);
	int stat = run(&call, args, res);
	if (stat != NO_REPLY)
		reply(&call, stat, res);
	finish(&call);
}

uint64_t rpc_replay_key(const struct rpc_request *rq)
{
	uint64_t key = hash_bytes(rq->record.data, MIN(rq->record.size, RX_HEAD_MAX));
	return key ? key : 1;
}

void rpc_hold_buf(struct rpc_request *rq, struct client_buf *buf)
{
	if (rq->held_buf)
		client_buf_put(rq->client, rq->held_buf);
	rq->held_buf = buf;
}

int rpc_hold(struct rpc_request *rq, struct op *op)
{
	if (rq->n_held == RPC_HELD_MAX) {
		client_op_put(rq->client, op);
		return ERR_NOSPC;
	}
	rq->held[rq->n_held++] = op;
	return 0;
}

int rpc_add_payload(struct rpc_request *rq, struct op *op, const struct xdr_bulk *payload, uint32_t size)
{
	const struct rpc_record *rec = &rq->record;
	uint32_t at = rec->skew;
	int err = 0;
	if (size > payload->size)
		return ERR_INVAL;
	if (payload->data)
		return client_op_seg(op, rec->buf, rec->offset + payload->offset, size);
	for (uint32_t i = 0; i < rec->n_chunks && size > 0 && !err; i++, at = 0) {
		uint32_t n = MIN(size, rec->chunks[i]->size - at);
		err = client_op_seg(op, rec->chunks[i], at, n);
		size -= n;
	}
	return err;
}
