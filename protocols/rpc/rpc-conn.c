/*
 * One connection: its reader fiber owns it. It takes records in, starts a fiber for each call, waits when too much is
 * in flight or too many replies aren't taken, and at the end waits for the calls and frees everything.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "protocols/rpc/rpc-impl.h"

LOG_MODULE("rpc");

#define TURN_CALLS 64 /* calls that one connection may start before others have their turn */

void rpc_conn_wake_reader(struct rpc_conn *c)
{
	if (c->reader_waits)
		fiber_wake(c->reader);
}

/* Replies wait for the end of the turn in the hope for more; once no more can come the peer may as well have them. */
void rpc_conn_call_ended(struct rpc_conn *c)
{
	if (--c->n_calls == 0 && c->receiving && c->out.first)
		rpc_out_flush(c);
	rpc_conn_wake_reader(c);
}

void rpc_conn_break(struct rpc_conn *c)
{
	if (c->broken)
		return;
	c->broken = true;
	stream_cancel(c->stream);
	rpc_conn_wake_reader(c);
	rpc_answer_next(c->server);
}

static bool overloaded(const struct rpc_conn *c)
{
	uint32_t n = c->n_calls + c->out.n_held;
	if (c->broken)
		return false;
	return n >= c->server->cfg.max_calls || c->out.size >= OUT_SIZE_MAX || (c->writing && n >= OUT_SLOW_MAX);
}

static void wait_while(struct rpc_conn *c, bool (*condition)(const struct rpc_conn *c))
{
	c->reader_waits = true;
	while (condition(c))
		fiber_park();
	c->reader_waits = false;
}

static bool has_calls(const struct rpc_conn *c)
{
	return c->n_calls > 0;
}

static bool has_writer(const struct rpc_conn *c)
{
	return c->writing;
}

static void start_call(struct rpc_conn *c, struct rpc_record *rec)
{
	struct rpc_call_start start = {.server = c->server, .conn = c, .peer = &c->peer, .record = rec};
	c->n_calls++;
	if (rec->n_chunks)
		rpc_bulk_started(c, rec);
	if (fiber_spawn(rpc_call_run, &start) == 0)
		return;
	c->n_calls--;
	if (rec->n_chunks)
		rpc_bulk_finished(c, rec);
	rpc_record_put(c->server->client, rec);
	rpc_conn_break(c);
}

static int serve(struct rpc_conn *c)
{
	struct rpc_record rec;
	uint32_t n_turn = 0;
	for (;;) {
		if (unlikely(overloaded(c)))
			wait_while(c, overloaded);
		if (++n_turn == TURN_CALLS) {
			rpc_out_flush(c);
			fiber_yield();
			n_turn = 0;
		}
		int err = c->broken ? ERR_DISCONNECTED : rpc_rx_next(c, &rec);
		if (err) {
			rpc_record_put(c->server->client, &rec);
			return err;
		}
		start_call(c, &rec);
	}
}

static void finish(struct rpc_conn *c)
{
	wait_while(c, has_calls);
	rpc_out_flush(c);
	wait_while(c, has_writer);
}

static void log_end(const struct rpc_conn *c, int err)
{
	char text[80];
	net_addr_format(&c->peer.addr, text, sizeof(text));
	if (err == ERR_PROTO)
		log_warn("%s: malformed record, closing the connection", text);
	else
		log_debug("%s: connection ends: %s", text, err_text(err));
}

static void reader(void *arg)
{
	struct rpc_conn *c = arg;
	struct rpc_server *s = c->server;
	c->reader = fiber_self();
	if (s->cfg.peer)
		s->cfg.peer(s->cfg.arg, &c->peer, true);
	int err = serve(c);
	log_end(c, err);
	finish(c);
	if (s->cfg.peer)
		s->cfg.peer(s->cfg.arg, &c->peer, false);
	rpc_rx_fini(c);
	rpc_out_fini(c);
	stream_close(c->stream);
	list_del(&c->link);
	s->n_conns--;
	free(c);
	fiber_join_done(&s->fibers);
}

void rpc_conn_start(struct rpc_server *s, struct stream *stream)
{
	struct rpc_conn *c = calloc(1, sizeof(*c));
	if (!c || s->n_conns >= s->cfg.max_connections) {
		log_warn("%u connections: one more is refused", s->n_conns);
		free(c);
		stream_close(stream);
		return;
	}
	c->server = s;
	c->stream = stream;
	c->rx.size = RX_SIZE_FIRST;
	c->peer.stream = true;
	stream_peer(stream, &c->peer.addr);
	stream_local(stream, &c->peer.local);
	c->peer.id = rpc_peer_hash(&c->peer.addr);
	list_push_back(&s->conns, &c->link);
	list_init(&c->dirty);
	list_init(&c->turn);
	s->n_conns++;
	fiber_join_add(&s->fibers, 1);
	if (fiber_start(s->loop, reader, c) == 0)
		return;
	list_del(&c->link);
	s->n_conns--;
	stream_close(stream);
	free(c);
	fiber_join_done(&s->fibers);
}
