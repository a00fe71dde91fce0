/*
 * Replies on their way out: encoded one behind the other into blocks, payloads by reference between them, sent with
 * one call at the end of the turn or when much has gathered. What the socket does not take is the writer fiber's.
 */
#include <stdlib.h>

#include "protocols/rpc/rpc-impl.h"

/* Entries that one reply may need: a run of data before and after each payload. */
#define IOVS_PER_REPLY (OP_SEGS_MAX + 2)

static struct out_block *block_get(struct rpc_server *s)
{
	struct out_block *b = s->spare;
	if (b) {
		s->spare = b->next;
		s->n_spare--;
	} else {
		b = malloc(sizeof(*b));
	}
	if (!b)
		return NULL;
	b->next = NULL;
	b->sealed = false;
	b->used = 0;
	b->first_iov = b->n_iov = 0;
	b->n_held = 0;
	b->size = 0;
	return b;
}

static void block_put(struct rpc_server *s, struct out_block *b)
{
	for (uint32_t i = 0; i < b->n_held; i++)
		client_op_put(s->client, b->held[i]);
	if (s->n_spare == OUT_SPARE_MAX) {
		free(b);
		return;
	}
	b->next = s->spare;
	s->spare = b;
	s->n_spare++;
}

static bool block_has_room(const struct out_block *b)
{
	return !b->sealed && b->n_iov + IOVS_PER_REPLY <= OUT_IOVS && b->n_held + RPC_HELD_MAX <= OUT_HELD;
}

static struct out_block *append_block(struct rpc_conn *c)
{
	struct out_block *b = block_get(c->server);
	if (!b)
		return NULL;
	if (c->out.last)
		c->out.last->next = b;
	else
		c->out.first = b;
	c->out.last = b;
	return b;
}

static void drop_first(struct rpc_conn *c)
{
	struct out_block *b = c->out.first;
	c->out.first = b->next;
	if (!b->next)
		c->out.last = NULL;
	c->out.size -= b->size;
	c->out.n_held -= b->n_held;
	block_put(c->server, b);
}

static void use_block(struct xdr_out *x, struct out_block *b)
{
	xdr_out_init(x, b ? b->data + b->used : NULL, b ? OUT_DATA_SIZE - b->used : 0);
}

void rpc_out_begin(struct rpc_conn *c, struct xdr_out *x)
{
	struct out_block *b = c->out.last;
	use_block(x, b && block_has_room(b) ? b : append_block(c));
}

bool rpc_out_grow(struct rpc_conn *c, struct xdr_out *x)
{
	struct out_block *b = c->out.last;
	if (!b || b->used == 0)
		return false;
	b = append_block(c);
	use_block(x, b);
	return b;
}

static void add_data(struct out_block *b, uint8_t *data, size_t size)
{
	struct iovec *last = b->n_iov > b->first_iov ? &b->iov[b->n_iov - 1] : NULL;
	if (last && (uint8_t *)last->iov_base + last->iov_len == data)
		last->iov_len += size;
	else
		b->iov[b->n_iov++] = (struct iovec){data, size};
}

void rpc_out_commit(struct rpc_conn *c, struct xdr_out *x, struct rpc_request *rq)
{
	struct out_block *b = c->out.last;
	uint64_t before = b->size;
	uint8_t *at = x->start;
	for (int i = 0; i < x->n_splices; i++) {
		const struct xdr_splice *s = &x->splices[i];
		add_data(b, at, (size_t)(x->start + s->offset - at));
		at = x->start + s->offset;
		memcpy(b->iov + b->n_iov, s->iov, (size_t)s->n_iov * sizeof(*s->iov));
		b->n_iov += s->n_iov;
		b->size += s->size;
	}
	if (x->pos > at)
		add_data(b, at, (size_t)(x->pos - at));
	b->used += (uint32_t)xdr_out_size(x);
	b->size += xdr_out_size(x);
	c->out.size += b->size - before;
	if (x->n_splices) {
		memcpy(b->held + b->n_held, rq->held, rq->n_held * sizeof(rq->held[0]));
		b->n_held += rq->n_held;
		c->out.n_held += rq->n_held;
		rq->n_held = 0;
	}
	if (b->size >= OUT_FLUSH_SIZE)
		rpc_out_flush(c);
	else
		rpc_server_flush_later(c->server, c);
}

/* Steps over what was sent; true when nothing is left. */
static bool block_advance(struct out_block *b, size_t n)
{
	while (b->first_iov < b->n_iov && n >= b->iov[b->first_iov].iov_len)
		n -= b->iov[b->first_iov++].iov_len;
	if (b->first_iov == b->n_iov)
		return true;
	struct iovec *iov = &b->iov[b->first_iov];
	iov->iov_base = (uint8_t *)iov->iov_base + n;
	iov->iov_len -= n;
	return false;
}

/* Sends what the socket didn't take at once; parks. */
static void writer(void *arg)
{
	struct rpc_conn *c = arg;
	struct out_block *b;
	while ((b = c->out.first) && !c->broken) {
		b->sealed = true;
		stream_set_timeout(c->stream, c->server->cfg.stall_ms * NS_PER_MS);
		if (stream_writev(c->stream, b->iov + b->first_iov, b->n_iov - b->first_iov) < 0) {
			rpc_conn_break(c);
			break;
		}
		drop_first(c);
		rpc_conn_wake_reader(c);
		rpc_answer_next(c->server);
	}
	c->writing = false;
	rpc_conn_wake_reader(c);
}

static void start_writer(struct rpc_conn *c)
{
	c->writing = true;
	if (fiber_spawn(writer, c) != 0) {
		c->writing = false;
		rpc_conn_break(c);
	}
}

void rpc_out_flush(struct rpc_conn *c)
{
	struct out_block *b;
	if (!list_empty(&c->dirty))
		list_del(&c->dirty);
	while ((b = c->out.first) && !c->writing && !c->broken) {
		int n_iov = b->n_iov - b->first_iov;
		ssize_t n = n_iov ? stream_try_writev(c->stream, b->iov + b->first_iov, n_iov) : 0;
		if (n == ERR_AGAIN) {
			start_writer(c);
			return;
		}
		if (n < 0)
			rpc_conn_break(c);
		else if (block_advance(b, (size_t)n))
			drop_first(c);
	}
}

void rpc_out_fini(struct rpc_conn *c)
{
	if (!list_empty(&c->dirty))
		list_del(&c->dirty);
	while (c->out.first)
		drop_first(c);
}
