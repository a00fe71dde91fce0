/* The RPC server over real sockets: record marking with every split, each error, payloads, bounds, datagrams. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/hash.h"
#include "protocols/rpc/rpc.h"
#include "tests/unit/rpc/fake-client.h"
#include "tests/unit/rpc/sample-xdr.h"

#define TIMEOUT_NS (10 * NS_PER_SEC)
#define CALL_SIZE 40 /* of a NULL call with AUTH_NONE, without its mark */

struct world {
	struct rpc_server *server;
	struct net_addr addr;
	struct net_addr dgram_addr;
	struct stream *stream;
	struct rpc_config cfg;
	void (*body)(struct world *w);
};

static struct fiber *parked[256];
static int n_parked;
static struct op_cred last_cred;

static int do_null(struct rpc_request *rq, const void *args, void *res)
{
	return RPC_SUCCESS;
}

static int do_echo(struct rpc_request *rq, const void *args, void *res)
{
	memcpy(res, args, sizeof(struct sample));
	return RPC_SUCCESS;
}

static int do_store(struct rpc_request *rq, const void *args, void *res)
{
	const struct store *a = args;
	struct stored *r = res;
	struct op *op = calloc(1, sizeof(*op));
	uint8_t *joined = malloc(a->data.size + 1);
	r->size = 0;
	cr_assert_eq(rpc_add_payload(rq, op, &a->data, a->data.size), 0);
	for (int i = 0; i < op->n_segs; i++) {
		memcpy(joined + r->size, (void *)(uintptr_t)op->segs[i].offset, op->segs[i].size);
		r->size += op->segs[i].size;
	}
	r->hash = hash_bytes(joined, r->size);
	r->n_pieces = op->n_segs;
	free(joined);
	free(op);
	return RPC_SUCCESS;
}

static int do_fetch(struct rpc_request *rq, const void *args, void *res)
{
	static uint8_t pattern[1 << 20];
	const struct fetch *a = args;
	struct fetched *r = res;
	rpc_answer_begin(rq, a->size);
	fiber_yield();
	rpc_answer_fetched(rq, true);
	for (uint32_t i = 0; i < a->size; i++)
		pattern[i] = (uint8_t)(i * 7);
	rq->iov[0] = (struct iovec){pattern, a->size / 2};
	rq->iov[1] = (struct iovec){pattern + a->size / 2, a->size - a->size / 2};
	*r = (struct fetched){.before = 1, .data = {.size = a->size, .iov = rq->iov, .n_iov = 2}, .after = 2};
	fake_counts.n_ops++;
	return rpc_hold(rq, malloc(sizeof(struct op))) == 0 ? RPC_SUCCESS : RPC_SYSTEM_ERR;
}

static int do_park(struct rpc_request *rq, const void *args, void *res)
{
	parked[n_parked++] = fiber_self();
	fiber_park();
	return RPC_SUCCESS;
}

static int do_caller(struct rpc_request *rq, const void *args, void *res)
{
	struct point *r = res;
	last_cred = rq->cred;
	r->x = (int32_t)rq->cred.uid;
	r->y = rq->cred.n_groups;
	return RPC_SUCCESS;
}

static const struct rpc_procedure procs[7] = {
	[0] = {do_null}, [2] = {do_echo}, [3] = {do_store}, [4] = {do_fetch}, [5] = {do_park}, [6] = {do_caller},
};

static bool find_payload(uint32_t procedure, struct xdr_in *x, struct rpc_payload *place)
{
	const uint8_t *p = procedure == SAMPLE_STORE ? xdr_take(x, 12) : NULL;
	if (!p)
		return false;
	place->file_offset = xdr_be64(p);
	place->size = xdr_be32(p + 8);
	return true;
}

static const struct rpc_program programs[] = {{&SAMPLE_V2_table, procs, find_payload, NULL}};

static void world_fiber(void *arg)
{
	struct world *w = arg;
	struct net_addr any;
	net_addr_parse("127.0.0.1:0", &any);
	cr_assert_eq(rpc_server_create(&w->server, NULL, programs, 1, &w->cfg), 0);
	cr_assert_eq(rpc_listen(w->server, &any, false, &w->addr), 0);
	cr_assert_eq(rpc_listen_dgram(w->server, &any, &w->dgram_addr), 0);
	cr_assert_eq(stream_connect(&w->stream, &w->addr, TIMEOUT_NS), 0);
	stream_set_timeout(w->stream, TIMEOUT_NS);
	w->body(w);
	stream_close(w->stream);
	rpc_server_destroy(w->server);
	cr_assert_eq(fake_counts.n_bufs, 0, "%d buffers leaked", fake_counts.n_bufs);
	cr_assert_eq(fake_counts.n_ops, 0, "%d ops leaked", fake_counts.n_ops);
	loop_stop(loop_current());
}

static void in_world_cfg(void (*body)(struct world *w), const struct rpc_config *cfg)
{
	struct world w = {.body = body, .cfg = *cfg};
	struct loop *loop;
	cr_assert_eq(loop_create(&loop, &(struct loop_config){.engine = LOOP_AUTO}), 0);
	cr_assert_eq(fiber_start(loop, world_fiber, &w), 0);
	loop_run(loop);
	loop_destroy(loop);
}

static void in_world(void (*body)(struct world *w))
{
	in_world_cfg(body, &(struct rpc_config){0});
}

/* A call's words: mark left out. */
static void put_call(struct xdr_out *x, uint32_t xid, uint32_t vers, uint32_t prog, uint32_t prog_vers, uint32_t proc)
{
	const uint32_t words[] = {xid, RPC_CALL, vers, prog, prog_vers, proc, AUTH_NONE, 0, AUTH_NONE, 0};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		xdr_put_u32(x, words[i]);
}

static void send_bytes(struct world *w, const void *data, size_t size)
{
	struct iovec iov = {(void *)data, size};
	if (size)
		cr_assert_eq(stream_writev(w->stream, &iov, 1), (ssize_t)size);
}

static void send_marked(struct world *w, const struct xdr_out *x, bool last)
{
	uint8_t mark[4];
	xdr_set32(mark, (last ? 0x80000000u : 0) | (uint32_t)xdr_out_size(x));
	send_bytes(w, mark, 4);
	send_bytes(w, x->start, xdr_out_size(x));
}

static bool receive_exactly(struct world *w, uint8_t *out, size_t size)
{
	for (size_t done = 0; done < size;) {
		struct iovec iov = {out + done, size - done};
		ssize_t n = stream_readv(w->stream, &iov, 1);
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* One whole reply into out; its size, 0 at the end of the stream. */
static uint32_t receive(struct world *w, uint8_t *out, size_t max)
{
	uint8_t mark[4];
	if (!receive_exactly(w, mark, 4))
		return 0;
	uint32_t size = xdr_be32(mark) & 0x7fffffff;
	cr_assert(xdr_be32(mark) & 0x80000000u);
	cr_assert_leq(size, max);
	cr_assert(receive_exactly(w, out, size));
	return size;
}

/* Word i of the next reply, which must be for xid. */
static uint32_t expect_reply(struct world *w, uint32_t xid, uint32_t *words, uint32_t n)
{
	uint8_t reply[1024];
	uint32_t size = receive(w, reply, sizeof(reply));
	cr_assert_geq(size, 12);
	cr_assert_eq(xdr_be32(reply), xid);
	cr_assert_eq(xdr_be32(reply + 4), RPC_REPLY);
	for (uint32_t i = 0; i < n; i++)
		words[i] = 8 + 4 * i < size ? xdr_be32(reply + 8 + 4 * i) : UINT32_MAX;
	return size;
}

static void expect_success(struct world *w, uint32_t xid)
{
	uint32_t words[4];
	expect_reply(w, xid, words, 4);
	cr_assert_eq(words[0], RPC_MSG_ACCEPTED);
	cr_assert_eq(words[3], RPC_SUCCESS);
}

static void every_split(struct world *w)
{
	uint8_t bytes[2 * (4 + CALL_SIZE)];
	struct xdr_out x;
	for (int i = 0; i < 2; i++) {
		xdr_out_init(&x, bytes + i * (4 + CALL_SIZE), 4 + CALL_SIZE);
		xdr_put_u32(&x, 0x80000000u | CALL_SIZE);
		put_call(&x, 100 + (uint32_t)i, 2, SAMPLE_PROG, 2, SAMPLE_NULL);
	}
	for (size_t at = 1; at < sizeof(bytes); at++) {
		send_bytes(w, bytes, at);
		fiber_sleep_ns(100 * NS_PER_US);
		send_bytes(w, bytes + at, sizeof(bytes) - at);
		expect_success(w, 100);
		expect_success(w, 101);
	}
	for (size_t i = 0; i < sizeof(bytes); i++) {
		send_bytes(w, bytes + i, 1);
		fiber_yield();
	}
	expect_success(w, 100);
	expect_success(w, 101);
}

Test(rpc_server, records_split_anywhere_are_joined)
{
	in_world(every_split);
}

static void every_fragment(struct world *w)
{
	uint8_t bytes[CALL_SIZE];
	struct xdr_out x, part;
	xdr_out_init(&x, bytes, sizeof(bytes));
	put_call(&x, 7, 2, SAMPLE_PROG, 2, SAMPLE_NULL);
	for (size_t at = 1; at < sizeof(bytes); at++) {
		part = x;
		part.pos = part.start + at;
		send_marked(w, &part, false);
		part.start += at;
		part.pos = x.pos;
		send_marked(w, &part, true);
		expect_success(w, 7);
	}
	/* One byte each, and an empty last one. */
	for (size_t at = 0; at < sizeof(bytes); at++) {
		part.start = bytes + at;
		part.pos = part.start + 1;
		send_marked(w, &part, false);
	}
	part.pos = part.start;
	send_marked(w, &part, true);
	expect_success(w, 7);
}

Test(rpc_server, fragments_cut_anywhere_are_joined)
{
	in_world(every_fragment);
}

static const struct error_case {
	uint32_t vers, prog, prog_vers, proc;
	uint32_t n_words, words[6]; /* of the reply, behind xid and type */
} error_cases[] = {
	{2, 4711, 1, 0, 4, {RPC_MSG_ACCEPTED, 0, 0, RPC_PROG_UNAVAIL}},
	{2, SAMPLE_PROG, 3, 0, 6, {RPC_MSG_ACCEPTED, 0, 0, RPC_PROG_MISMATCH, 2, 2}},
	{2, SAMPLE_PROG, 2, 1, 4, {RPC_MSG_ACCEPTED, 0, 0, RPC_PROC_UNAVAIL}},
	{2, SAMPLE_PROG, 2, 99, 4, {RPC_MSG_ACCEPTED, 0, 0, RPC_PROC_UNAVAIL}},
	{2, SAMPLE_PROG, 2, SAMPLE_ECHO, 4, {RPC_MSG_ACCEPTED, 0, 0, RPC_GARBAGE_ARGS}},
	{3, SAMPLE_PROG, 2, 0, 4, {RPC_MSG_DENIED, RPC_MISMATCH, 2, 2}},
};

static void check_error(struct world *w, const struct error_case *e)
{
	uint8_t bytes[64];
	uint32_t words[6];
	struct xdr_out x;
	xdr_out_init(&x, bytes, sizeof(bytes));
	put_call(&x, 55, e->vers, e->prog, e->prog_vers, e->proc);
	send_marked(w, &x, true);
	cr_assert_eq(expect_reply(w, 55, words, e->n_words), 8 + 4 * e->n_words);
	for (uint32_t i = 0; i < e->n_words; i++)
		cr_assert_eq(words[i], e->words[i], "word %u is %u, not %u", i, words[i], e->words[i]);
}

static void every_error(struct world *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(error_cases); i++)
		check_error(w, &error_cases[i]);
}

Test(rpc_server, each_error_has_its_answer)
{
	in_world(every_error);
}

static void send_with_cred(struct world *w, uint32_t flavor, const void *body, uint32_t size)
{
	uint8_t bytes[1024];
	const struct rpc_msg_head head = {.xid = 9, .mtype = RPC_CALL};
	const struct rpc_call call = {.prog = SAMPLE_PROG, .vers = 2, .proc = SAMPLE_CALLER,
				      .cred = {.flavor = flavor, .body = {body, size}}};
	struct xdr_out x;
	xdr_out_init(&x, bytes, sizeof(bytes));
	rpc_msg_head_encode(&x, &head);
	xdr_put_u32(&x, 2);
	rpc_call_encode(&x, &call);
	send_marked(w, &x, true);
}

static uint32_t encode_sys(uint8_t *out, size_t size, uint32_t uid, uint32_t n_gids)
{
	uint32_t gids[17] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
	struct authsys_parms parms = {.machinename = {(const uint8_t *)"host", 4}, .uid = uid, .gid = 10,
				      .gids = {gids, MIN(n_gids, 16u)}};
	struct xdr_out x;
	xdr_out_init(&x, out, size);
	authsys_parms_encode(&x, &parms);
	if (n_gids > 16) {
		xdr_set32(out + 20, 17);
		xdr_put_u32(&x, 17);
	}
	return (uint32_t)xdr_out_size(&x);
}

static void credentials(struct world *w)
{
	uint8_t body[400];
	uint32_t words[8], size;
	for (int round = 0; round < 3; round++) {
		size = encode_sys(body, sizeof(body), 1000 + (uint32_t)round / 2, 16);
		send_with_cred(w, AUTH_SYS, body, size);
		expect_reply(w, 9, words, 7);
		cr_assert_eq(words[3], RPC_SUCCESS);
		cr_assert_eq(words[4], 1000 + (uint32_t)round / 2);
		cr_assert_eq(words[6], 16);
		cr_assert_eq(last_cred.groups[15], 16);
	}
	send_with_cred(w, AUTH_NONE, NULL, 0);
	expect_reply(w, 9, words, 7);
	cr_assert_eq(words[4], 65534);
	cr_assert_eq(words[6], 0);
	static const struct {
		uint32_t flavor, size, stat;
	} bad[] = {{AUTH_SYS, 20, AUTH_BADCRED}, {AUTH_SYS, 0, AUTH_BADCRED},   {AUTH_DH, 4, AUTH_REJECTEDCRED},
		   {AUTH_TLS, 0, AUTH_REJECTEDCRED}, {999, 400, AUTH_REJECTEDCRED}};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		send_with_cred(w, bad[i].flavor, body, bad[i].size);
		expect_reply(w, 9, words, 3);
		cr_assert_eq(words[0], RPC_MSG_DENIED);
		cr_assert_eq(words[1], RPC_AUTH_ERROR);
		cr_assert_eq(words[2], bad[i].stat);
	}
	size = encode_sys(body, sizeof(body), 1, 17);
	send_with_cred(w, AUTH_SYS, body, size);
	expect_reply(w, 9, words, 3);
	cr_assert_eq(words[2], AUTH_BADCRED, "seventeen groups");
}

Test(rpc_server, credentials_are_decoded_cached_and_refused)
{
	in_world(credentials);
}

static void store_once(struct world *w, uint32_t size, uint64_t offset, uint32_t piece, uint32_t fragment)
{
	uint32_t padded = (uint32_t)xdr_pad(size), total = CALL_SIZE + 12 + padded;
	uint8_t *bytes = calloc(1, total + 64);
	uint8_t *wire = malloc(total + 4 * (total / fragment + 2));
	uint32_t words[8], n = 0;
	struct xdr_out x;
	xdr_out_init(&x, bytes, total);
	put_call(&x, 3, 2, SAMPLE_PROG, 2, SAMPLE_STORE);
	xdr_put_u32(&x, (uint32_t)(offset >> 32));
	xdr_put_u32(&x, (uint32_t)offset);
	xdr_put_u32(&x, size);
	for (uint32_t i = 0; i < size; i++)
		x.pos[i] = (uint8_t)(i * 31 + (i >> 8));
	uint64_t hash = hash_bytes(x.pos, size);
	for (uint32_t at = 0; at < total; at += fragment) {
		uint32_t part = MIN(fragment, total - at);
		xdr_set32(wire + n, part | (at + part == total ? 0x80000000u : 0));
		memcpy(wire + n + 4, bytes + at, part);
		n += 4 + part;
	}
	for (uint32_t at = 0; at < n; at += piece) {
		send_bytes(w, wire + at, MIN(piece, n - at));
		if (piece < n)
			fiber_yield();
	}
	expect_reply(w, 3, words, 8);
	cr_assert_eq(words[3], RPC_SUCCESS);
	cr_assert_eq(words[4], size);
	cr_assert_eq(((uint64_t)words[5] << 32 | words[6]), hash, "size %u offset %lu piece %u", size, offset, piece);
	cr_assert_eq(words[7] > 1, size >= 65536 && (size > 65536 || offset % 65536), "size %u", size);
	free(bytes);
	free(wire);
}

static void payloads(struct world *w)
{
	static const uint32_t sizes[] = {0, 1, 4096, 65483, 65484, 65485, 65535, 65536, 65537, 100001, 1 << 20};
	static const uint64_t offsets[] = {0, 65536, 4096, 65535};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(offsets); j++) {
			store_once(w, sizes[i], offsets[j], UINT32_MAX / 2, UINT32_MAX / 2);
			store_once(w, sizes[i], offsets[j], 40000, UINT32_MAX / 2);
			store_once(w, sizes[i], offsets[j], UINT32_MAX / 2, 30001);
		}
	}
	store_once(w, 70000, 1, 999, 501);
}

Test(rpc_server, payloads_arrive_whole_however_they_are_cut)
{
	in_world(payloads);
}

static void fetches(struct world *w)
{
	static uint8_t reply[(1 << 20) + 64];
	static const uint32_t sizes[] = {1, 2, 3, 4, 4096, 1 << 20};
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			uint8_t bytes[64];
			struct xdr_out x;
			xdr_out_init(&x, bytes, sizeof(bytes));
			put_call(&x, (uint32_t)i, 2, SAMPLE_PROG, 2, SAMPLE_FETCH);
			xdr_put_u32(&x, sizes[i]);
			send_marked(w, &x, true);
			if (pass == 1)
				continue;
			cr_assert_eq(receive(w, reply, sizeof(reply)), 24 + 12 + xdr_pad(sizes[i]));
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		cr_assert_eq(receive(w, reply, sizeof(reply)), 24 + 12 + xdr_pad(sizes[i]));
		cr_assert_eq(xdr_be32(reply), i);
		cr_assert_eq(xdr_be32(reply + 28), sizes[i]);
		for (uint32_t k = 0; k < sizes[i]; k++)
			cr_assert_eq(reply[32 + k], (uint8_t)(k * 7));
		cr_assert_eq(xdr_be32(reply + 32 + xdr_pad(sizes[i])), 2);
	}
}

Test(rpc_server, payloads_leave_by_reference_in_their_place)
{
	in_world(fetches);
}

static void ask_long(struct world *w, uint32_t n)
{
	uint8_t bytes[64];
	struct xdr_out x;
	for (uint32_t i = 0; i < n; i++) {
		xdr_out_init(&x, bytes, sizeof(bytes));
		put_call(&x, i, 2, SAMPLE_PROG, 2, SAMPLE_FETCH);
		xdr_put_u32(&x, 1 << 20);
		send_marked(w, &x, true);
	}
}

static void take_long(struct world *w, uint32_t n)
{
	static uint8_t reply[(1 << 20) + 64];
	for (uint32_t i = 0; i < n; i++) {
		receive(w, reply, sizeof(reply));
		cr_assert_eq(xdr_be32(reply), i);
	}
}

static void slow_taker(struct world *w)
{
	ask_long(w, 40);
	fiber_sleep_ns(20 * NS_PER_MS);
	cr_assert_leq(fake_counts.n_ops, 20, "%d replies wait", fake_counts.n_ops);
	take_long(w, 40);
}

static struct world second_peer(const struct world *w)
{
	struct world second = *w;
	cr_assert_eq(stream_connect(&second.stream, &w->addr, TIMEOUT_NS), 0);
	stream_set_timeout(second.stream, TIMEOUT_NS);
	return second;
}

static void slow_and_quick_taker(struct world *w)
{
	struct world quick = second_peer(w);
	ask_long(w, 30);
	for (int i = 0; i < 3; i++) {
		ask_long(&quick, 10);
		take_long(&quick, 10);
	}
	take_long(w, 30);
	ask_long(&quick, 30);
	stream_close(quick.stream);
	ask_long(w, 10);
	take_long(w, 10);
}

Test(rpc_server, a_peer_that_takes_no_long_replies_holds_nobody_up)
{
	in_world(slow_and_quick_taker);
}

Test(rpc_server, a_peer_that_takes_no_replies_is_not_read_from)
{
	in_world(slow_taker);
}

static void expect_cut_off(struct world *w)
{
	uint8_t byte;
	cr_assert_not(receive_exactly(w, &byte, 1));
}

static void too_long(struct world *w)
{
	static const uint8_t mark[] = {0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4};
	send_bytes(w, mark, sizeof(mark));
	expect_cut_off(w);
}

Test(rpc_server, a_record_over_the_limit_ends_the_connection)
{
	in_world(too_long);
}

static void empty_fragments(struct world *w)
{
	static const uint8_t mark[] = {0, 0, 0, 0};
	send_bytes(w, mark, sizeof(mark));
	expect_cut_off(w);
}

Test(rpc_server, endless_empty_fragments_end_the_connection)
{
	in_world(empty_fragments);
}

static void stalled(struct world *w)
{
	static const uint8_t some[] = {0x80, 0, 0, 40, 1, 2};
	send_bytes(w, some, sizeof(some));
	expect_cut_off(w);
}

Test(rpc_server, a_peer_that_stops_inside_a_call_is_cut_off)
{
	in_world_cfg(stalled, &(struct rpc_config){.stall_ms = 30});
}

static void idle(struct world *w)
{
	struct xdr_out x;
	uint8_t bytes[64];
	xdr_out_init(&x, bytes, sizeof(bytes));
	put_call(&x, 1, 2, SAMPLE_PROG, 2, SAMPLE_NULL);
	send_marked(w, &x, true);
	expect_success(w, 1);
	fiber_sleep_ns(1200 * NS_PER_MS);
	cr_assert_leq(fake_counts.n_bufs, 1, "the datagram receiver's alone");
	send_marked(w, &x, true);
	expect_success(w, 1);
	expect_cut_off(w);
}

Test(rpc_server, an_idle_connection_holds_no_buffer_and_ends)
{
	in_world_cfg(idle, &(struct rpc_config){.idle_ms = 1000});
}

static void bounded_calls(struct world *w)
{
	struct xdr_out x;
	uint8_t bytes[64];
	n_parked = 0;
	for (uint32_t i = 0; i < 20; i++) {
		xdr_out_init(&x, bytes, sizeof(bytes));
		put_call(&x, i, 2, SAMPLE_PROG, 2, SAMPLE_PARK);
		send_marked(w, &x, true);
	}
	fiber_sleep_ns(10 * NS_PER_MS);
	cr_assert_eq(n_parked, 8);
	for (int i = 19; i >= 0; i--) {
		if (i < n_parked)
			fiber_wake(parked[i]);
	}
	fiber_sleep_ns(10 * NS_PER_MS);
	for (int i = 8; i < 20; i++) {
		while (i >= n_parked)
			fiber_sleep_ns(NS_PER_MS);
		fiber_wake(parked[i]);
	}
	uint64_t seen = 0;
	for (int i = 0; i < 20; i++) {
		uint8_t reply[64];
		cr_assert_eq(receive(w, reply, sizeof(reply)), 24);
		seen |= 1ULL << xdr_be32(reply);
	}
	cr_assert_eq(seen, (1 << 20) - 1);
}

Test(rpc_server, calls_in_flight_are_bounded_and_answered_in_any_order)
{
	in_world_cfg(bounded_calls, &(struct rpc_config){.max_calls = 8});
}

static void closing(struct world *w)
{
	struct xdr_out x;
	uint8_t bytes[64];
	n_parked = 0;
	xdr_out_init(&x, bytes, sizeof(bytes));
	put_call(&x, 1, 2, SAMPLE_PROG, 2, SAMPLE_PARK);
	send_marked(w, &x, true);
	while (n_parked == 0)
		fiber_sleep_ns(NS_PER_MS);
	stream_close(w->stream);
	fiber_sleep_ns(5 * NS_PER_MS);
	fiber_wake(parked[0]);
	cr_assert_eq(stream_connect(&w->stream, &w->addr, TIMEOUT_NS), 0);
}

Test(rpc_server, a_call_outlives_its_connection)
{
	in_world(closing);
}

static void datagrams(struct world *w)
{
	struct dgram *d;
	struct net_addr any, from, to;
	uint8_t bytes[64], reply[128];
	struct xdr_out x;
	net_addr_parse("127.0.0.1:0", &any);
	cr_assert_eq(dgram_open(&d, &any), 0);
	xdr_out_init(&x, bytes, sizeof(bytes));
	put_call(&x, 77, 2, SAMPLE_PROG, 2, SAMPLE_FETCH);
	xdr_put_u32(&x, 5);
	struct iovec iov = {bytes, xdr_out_size(&x)};
	struct iovec noise = {bytes, 7};
	cr_assert_eq(dgram_sendv(d, &noise, 1, &w->dgram_addr, NULL), 0);
	cr_assert_eq(dgram_sendv(d, &iov, 1, &w->dgram_addr, NULL), 0);
	ssize_t n = dgram_recv(d, reply, sizeof(reply), &from, &to);
	cr_assert_eq(n, 24 + 12 + 8);
	cr_assert_eq(xdr_be32(reply), 77);
	cr_assert_eq(reply[32 + 4], 28);
	cr_assert_eq(net_addr_port(&from), net_addr_port(&w->dgram_addr));
	dgram_close(d);
}

Test(rpc_server, datagrams_are_answered_and_noise_is_not)
{
	in_world(datagrams);
}
