/* Calls over UDP: a datagram is a record; its reply leaves from the address that it came to. */
#include "base/log.h"
#include "protocols/rpc/rpc-impl.h"

LOG_MODULE("rpc");

#define REPLY_IOVS (XDR_SPLICES * OP_SEGS_MAX)

/* The call may outlive the datagram's turn: who sent it is kept below it on its stack. */
static void run_call(void *arg)
{
	struct rpc_call_start start = *(const struct rpc_call_start *)arg;
	struct rpc_peer peer = *start.peer;
	start.peer = &peer;
	rpc_call_run(&start);
}

static void start_call(struct rpc_listener *l, struct rpc_peer *peer, struct rpc_record *rec)
{
	struct rpc_call_start start = {.server = l->server, .via = l, .peer = peer, .record = rec};
	fiber_join_add(&l->server->fibers, 1);
	if (fiber_spawn(run_call, &start) == 0)
		return;
	rpc_record_put(l->server->client, rec);
	fiber_join_done(&l->server->fibers);
}

static int receive_one(struct rpc_listener *l)
{
	struct client *client = l->server->client;
	struct rpc_peer peer = {.stream = false};
	struct rpc_record rec = {0};
	rec.buf = client_buf_alloc(client, RPC_DGRAM_MAX, 0);
	if (!rec.buf) {
		client_buf_wait(client);
		return 0;
	}
	ssize_t n = dgram_recv(l->dgram, rec.buf->data, RPC_DGRAM_MAX, &peer.addr, &peer.local);
	if (n < 0) {
		client_buf_put(client, rec.buf);
		return n == ERR_CANCELED ? ERR_CANCELED : 0;
	}
	peer.id = rpc_peer_hash(&peer.addr);
	rec.data = rec.buf->data;
	rec.size = (uint32_t)n;
	start_call(l, &peer, &rec);
	return 0;
}

void rpc_dgram_receive(void *arg)
{
	struct rpc_listener *l = arg;
	while (receive_one(l) == 0)
		continue;
	fiber_join_done(&l->server->fibers);
}

void rpc_dgram_send(struct rpc_listener *via, const struct rpc_peer *peer, const struct xdr_out *x)
{
	struct iovec iov[REPLY_IOVS];
	int n = rpc_gather(x, iov, REPLY_IOVS);
	int err = n < 0 ? ERR_OVERFLOW : dgram_sendv(via->dgram, iov, n, &peer->addr, &peer->local);
	if (err)
		log_debug("a datagram reply is dropped: %s", err_text(err));
}
