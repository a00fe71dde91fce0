/*
 * Whose turn it is to receive a long payload. Connections that receive at once would each fill memory of their own,
 * and all of it would have left the processor's cache before a backend copies it. So one receives as long as its
 * socket has something, and none does while enough payload waits for the backend.
 *
 * How much is enough: little where calls are answered as fast as memory is copied, much where they wait for a disk
 * and go faster together.
 */
#include "protocols/rpc/rpc-impl.h"

#define COPY_NS 500000u /* a call that takes longer than this did not only copy */

static void wake_next(struct rpc_server *s)
{
	if (!list_empty(&s->bulk_waiters) && !s->receiver)
		fiber_wake(list_entry(s->bulk_waiters.next, struct rpc_conn, turn)->reader);
}

static bool must_wait(const struct rpc_conn *c)
{
	const struct rpc_server *s = c->server;
	return !c->broken && (s->receiver || s->bulk_size >= s->bulk_max);
}

int rpc_bulk_begin(struct rpc_conn *c)
{
	struct rpc_server *s = c->server;
	c->reader_waits = true;
	while (must_wait(c)) {
		if (list_empty(&c->turn))
			list_push_back(&s->bulk_waiters, &c->turn);
		fiber_park();
	}
	c->reader_waits = false;
	list_del(&c->turn);
	list_init(&c->turn);
	if (!c->broken) {
		s->receiver = c;
		return 0;
	}
	wake_next(s);
	return ERR_DISCONNECTED;
}

void rpc_bulk_end(struct rpc_conn *c)
{
	if (c->server->receiver != c)
		return;
	c->server->receiver = NULL;
	wake_next(c->server);
}

void rpc_bulk_started(struct rpc_conn *c, struct rpc_record *rec)
{
	rec->since_ns = loop_now_ns(c->server->loop);
	c->server->bulk_size += rec->payload_size;
}

/* With n calls under way each has waited for the others. */
static void adapt(struct rpc_server *s, uint64_t took_ns, uint32_t size)
{
	uint32_t n = s->bulk_size / size;
	if (took_ns > (n ? n : 1) * (uint64_t)COPY_NS)
		s->bulk_max = MIN(2 * s->bulk_max, BULK_MAX);
	else
		s->bulk_max = MAX(s->bulk_max / 2, BULK_MIN);
}

void rpc_bulk_finished(struct rpc_conn *c, const struct rpc_record *rec)
{
	struct rpc_server *s = c->server;
	adapt(s, loop_now_ns(s->loop) - rec->since_ns, rec->payload_size);
	s->bulk_size -= rec->payload_size;
	wake_next(s);
}
