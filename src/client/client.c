/* The half of the client library that both transports share: free ops, chains, and waiting for either. */
#include "client/client-provider.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct waiter {
	struct fiber *fiber;
	struct list link;
	bool woken;
};

int client_init(struct client *c, const struct client_provider *provider, const struct client_config *cfg)
{
	c->provider = provider;
	c->config = *cfg;
	c->loop = loop_current();
	str_copy(c->name, sizeof(c->name), cfg->name ? cfg->name : "client");
	c->config.name = c->name;
	if (!cfg->n_slots)
		c->config.n_slots = CLIENT_SLOTS;
	if (!cfg->arena_size)
		c->config.arena_size = CLIENT_ARENA_SIZE;
	if (!cfg->reconnect_ms)
		c->config.reconnect_ms = CLIENT_RECONNECT_MS;
	list_init(&c->op_waiters);
	list_init(&c->buf_waiters);
	c->n_free = 0;
	c->free_ops = calloc(c->config.n_slots, sizeof(*c->free_ops));
	return c->free_ops ? 0 : ERR_NOMEM;
}

void client_fini(struct client *c)
{
	free(c->free_ops);
	c->free_ops = NULL;
}

/* Not inlined: the compiler would warn of a list that keeps the address of a local, which client_wake() takes off. */
static __attribute__((noinline)) void park_on(struct list *waiters, struct waiter *w)
{
	list_push_back(waiters, &w->link);
	while (!w->woken)
		fiber_park();
}

void client_wait(struct list *waiters)
{
	struct waiter w = {.fiber = fiber_self()};
	park_on(waiters, &w);
}

void client_wake(struct list *waiters)
{
	struct list *first = list_pop_front(waiters);
	if (!first)
		return;
	struct waiter *w = list_entry(first, struct waiter, link);
	w->woken = true;
	fiber_wake(w->fiber);
}

static struct op *take_op(struct client *c)
{
	if (likely(c->n_free))
		return c->free_ops[--c->n_free];
	return c->provider->grow ? c->provider->grow(c) : NULL;
}

struct op *client_op(struct client *c, enum op_code code)
{
	struct op *op;

	while (!(op = take_op(c)))
		client_wait(&c->op_waiters);
	op_reset(op, code);
	return op;
}

void client_op_put(struct client *c, struct op *op)
{
	if (!op)
		return;
	c->provider->put(c, op);
	c->free_ops[c->n_free++] = op;
	if (unlikely(!list_empty(&c->op_waiters)))
		client_wake(&c->op_waiters);
}

int client_call(struct client *c, struct op *op)
{
	op->flags &= (uint16_t)~OP_F_CHAIN;
	return c->provider->call(c, op);
}

int client_call_chain(struct client *c, struct op **ops, unsigned n)
{
	if (n == 0 || n > OP_CHAIN_MAX)
		return ERR_INVAL;
	for (unsigned i = 0; i + 1 < n; i++)
		ops[i]->flags |= OP_F_CHAIN;
	ops[n - 1]->flags &= (uint16_t)~OP_F_CHAIN;
	c->provider->run(c, ops, n);
	for (unsigned i = 0; i < n; i++)
		if (ops[i]->status)
			return ops[i]->status;
	return 0;
}

int client_op_iov(struct client *c, const struct op *op, struct iovec iov[OP_SEGS_MAX])
{
	unsigned n = MIN(op->n_segs, OP_SEGS_MAX);

	if (op->out_var_size) {
		iov[0] = (struct iovec){(void *)op->out_var, MIN(op->out_var_size, OP_INLINE_MAX)};
		return 1;
	}
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = c->provider->resolve(c, op, &op->segs[i]);
		if (!p)
			return (int)i;
		iov[i] = (struct iovec){(void *)p, op->segs[i].size};
	}
	return (int)n;
}

struct client_buf *client_buf_alloc(struct client *c, uint32_t size, unsigned flags)
{
	return c->provider->buf_alloc(c, size, flags);
}

struct client_buf *client_buf_get(struct client_buf *buf)
{
	buf->n_refs++;
	return buf;
}

void client_buf_put(struct client *c, struct client_buf *buf)
{
	if (!buf || --buf->n_refs)
		return;
	c->provider->buf_free(c, buf);
	if (unlikely(!list_empty(&c->buf_waiters)))
		client_wake(&c->buf_waiters);
}

void client_buf_wait(struct client *c)
{
	client_wait(&c->buf_waiters);
}

int client_op_seg(struct op *op, const struct client_buf *buf, uint32_t offset, uint32_t size)
{
	if (op->n_segs >= OP_SEGS_MAX || offset > buf->size || size > buf->size - offset)
		return ERR_INVAL;
	op->segs[op->n_segs++] = (struct op_seg){buf->offset + offset, size, buf->region};
	return 0;
}

bool client_can_adopt(const struct client *c)
{
	return c->provider->adopts;
}

struct loop *client_loop(const struct client *c)
{
	return c->loop;
}

void client_take_events(struct client *c)
{
	c->provider->take_events(c);
}

void client_detach(struct client *c)
{
	if (c)
		c->provider->detach(c);
}
