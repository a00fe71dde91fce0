/*
 * Whose turn it is to have a long payload fetched for its answer. Calls that fetch at once would each fill memory of
 * their own, and all of it would have left the processor's cache before it is sent. So a few fetch, and none
 * does for a connection that has enough to send.
 *
 * How many are a few: those whose payloads fit a cache where they are copied as fast as memory is, more where they
 * wait for a disk and go faster together, or are sent from where they are kept.
 */
#include "protocols/rpc/rpc-impl.h"

#define UNSENT_MAX (2u << 20) /* bytes of a connection that wait for its socket: more can wait to be fetched */
#define COPY_NS 400000u       /* fetching that takes longer than this did not only copy */

struct rpc_turn {
	struct list link;
	struct rpc_conn *conn;
	struct fiber *fiber;
	uint32_t size;
	bool come;
};

static bool may_fetch(const struct rpc_conn *c)
{
	const struct rpc_server *s = c->server;
	return c->broken || (s->fetch_size < s->fetch_max && c->out.size < UNSENT_MAX);
}

void rpc_answer_next(struct rpc_server *s)
{
	for (struct list *at = s->fetch_waiters.next, *next; at != &s->fetch_waiters; at = next) {
		struct rpc_turn *turn = list_entry(at, struct rpc_turn, link);
		next = at->next;
		if (!may_fetch(turn->conn))
			continue;
		list_del(&turn->link);
		s->fetch_size += turn->size;
		turn->come = true;
		fiber_wake(turn->fiber);
	}
}

void rpc_answer_begin(struct rpc_request *rq, uint32_t size)
{
	struct rpc_turn turn = {.conn = rq->conn, .fiber = fiber_self(), .size = size};
	if (!rq->conn || size < RX_BULK_MIN)
		return;
	struct rpc_server *s = rq->conn->server;
	list_push_back(&s->fetch_waiters, &turn.link);
	rpc_answer_next(s);
	while (!turn.come)
		fiber_park();
	rq->fetch_size = size;
	rq->fetch_since_ns = loop_now_ns(s->loop);
}

/* With n under way each has waited for the others. */
void rpc_answer_fetched(struct rpc_request *rq, bool copied)
{
	if (!rq->fetch_size)
		return;
	struct rpc_server *s = rq->conn->server;
	uint64_t took_ns = loop_now_ns(s->loop) - rq->fetch_since_ns, n = s->fetch_size / rq->fetch_size;
	if (!copied || took_ns > n * COPY_NS)
		s->fetch_max = MIN(2 * s->fetch_max, FETCH_MAX);
	else
		s->fetch_max = MAX(s->fetch_max / 2, FETCH_MIN);
}

void rpc_answer_end(struct rpc_request *rq)
{
	if (!rq->fetch_size)
		return;
	rq->conn->server->fetch_size -= rq->fetch_size;
	rpc_answer_next(rq->conn->server);
}
