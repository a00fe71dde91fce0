/* The server of one thread: its listeners, its connections, and the end of all of them. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "protocols/rpc/rpc-impl.h"

LOG_MODULE("rpc");

#define ACCEPT_RETRY_NS (100 * NS_PER_MS)

/* Runs once after the turn's fibers: what they answered leaves together. */
static void flush_dirty(struct loop_task *task)
{
	struct rpc_server *s = container_of(task, struct rpc_server, flush);
	s->flush_posted = false;
	while (!list_empty(&s->dirty))
		rpc_out_flush(list_entry(s->dirty.next, struct rpc_conn, dirty));
}

void rpc_server_flush_later(struct rpc_server *s, struct rpc_conn *c)
{
	if (list_empty(&c->dirty))
		list_push_back(&s->dirty, &c->dirty);
	if (s->flush_posted)
		return;
	s->flush_posted = true;
	loop_post(s->loop, &s->flush);
}

uint64_t rpc_peer_hash(const struct net_addr *addr)
{
	struct {
		uint8_t ip[16];
		uint32_t port;
		uint32_t family;
	} key = {.port = net_addr_port(addr), .family = addr->sa.sa_family};
	if (addr->sa.sa_family == AF_INET)
		memcpy(key.ip, &addr->in.sin_addr, sizeof(addr->in.sin_addr));
	else if (addr->sa.sa_family == AF_INET6)
		memcpy(key.ip, &addr->in6.sin6_addr, sizeof(addr->in6.sin6_addr));
	return hash_bytes(&key, sizeof(key));
}

bool rpc_peer_is_loopback(const struct rpc_peer *peer)
{
	const struct net_addr *a = &peer->addr;
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

bool rpc_peer_is_secure(const struct rpc_peer *peer)
{
	return net_addr_port(&peer->addr) < IPPORT_RESERVED;
}

static void accept_connections(void *arg)
{
	struct rpc_listener *l = arg;
	struct rpc_server *s = l->server;
	for (;;) {
		struct stream *stream;
		int err = listener_accept(l->listener, &stream);
		if (err == ERR_CANCELED)
			break;
		if (err == 0) {
			rpc_conn_start(s, stream);
			continue;
		}
		log_warn("accept: %s", err_text(err));
		fiber_sleep_ns(ACCEPT_RETRY_NS);
		if (s->stopping)
			break;
	}
	fiber_join_done(&s->fibers);
}

static const struct rpc_config defaults = {
	.max_connections = 4096,
	.max_calls = 128,
	.idle_ms = 360000,
	.stall_ms = 30000,
};

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value ? value : fallback;
}

int rpc_server_create(struct rpc_server **out, struct client *client, const struct rpc_program *programs,
		      uint32_t n_programs, const struct rpc_config *cfg)
{
	struct rpc_server *s = calloc(1, sizeof(*s));
	if (s)
		s->dgram_out = malloc(RPC_DGRAM_MAX);
	if (!s || !s->dgram_out) {
		free(s);
		return ERR_NOMEM;
	}
	s->loop = loop_current();
	s->client = client;
	s->bulk_max = BULK_MIN;
	s->fetch_max = FETCH_MIN;
	s->programs = programs;
	s->n_programs = n_programs;
	s->cfg.max_connections = or_default(cfg->max_connections, defaults.max_connections);
	s->cfg.max_calls = or_default(cfg->max_calls, defaults.max_calls);
	s->cfg.idle_ms = or_default(cfg->idle_ms, defaults.idle_ms);
	s->cfg.stall_ms = or_default(cfg->stall_ms, defaults.stall_ms);
	s->cfg.peer = cfg->peer;
	s->cfg.arg = cfg->arg;
	s->flush.fn = flush_dirty;
	list_init(&s->conns);
	list_init(&s->listeners);
	list_init(&s->dirty);
	list_init(&s->bulk_waiters);
	list_init(&s->fetch_waiters);
	*out = s;
	return 0;
}

static struct rpc_listener *listener_new(struct rpc_server *s)
{
	struct rpc_listener *l = calloc(1, sizeof(*l));
	if (l)
		l->server = s;
	return l;
}

static void close_listener(struct rpc_listener *l)
{
	if (l->listener)
		listener_close(TAKE(l->listener));
	if (l->dgram)
		dgram_cancel(l->dgram);
}

/* The fiber that serves l, which joins the server's. */
static int start_listener(struct rpc_listener *l, fiber_fn *fn)
{
	struct rpc_server *s = l->server;
	fiber_join_add(&s->fibers, 1);
	int err = fiber_start(s->loop, fn, l);
	if (err) {
		fiber_join_done(&s->fibers);
		close_listener(l);
		free(l);
		return err;
	}
	list_push_back(&s->listeners, &l->link);
	return 0;
}

int rpc_listen(struct rpc_server *s, const struct net_addr *addr, bool share, struct net_addr *bound)
{
	struct rpc_listener *l = listener_new(s);
	int err = l ? listener_open(&l->listener, addr, share) : ERR_NOMEM;
	if (err) {
		free(l);
		return err;
	}
	if (bound)
		listener_addr(l->listener, bound);
	return start_listener(l, accept_connections);
}

int rpc_listen_dgram(struct rpc_server *s, const struct net_addr *addr, struct net_addr *bound)
{
	struct rpc_listener *l = listener_new(s);
	int err = l ? dgram_open(&l->dgram, addr) : ERR_NOMEM;
	if (err) {
		free(l);
		return err;
	}
	if (bound)
		dgram_addr(l->dgram, bound);
	return start_listener(l, rpc_dgram_receive);
}

static void free_listeners(struct rpc_server *s)
{
	struct rpc_listener *l, *tmp;
	LIST_FOREACH_SAFE(l, tmp, &s->listeners, link) {
		if (l->dgram)
			dgram_close(l->dgram);
		list_del(&l->link);
		free(l);
	}
}

static void free_spare(struct rpc_server *s)
{
	while (s->spare) {
		struct out_block *b = s->spare;
		s->spare = b->next;
		free(b);
	}
}

void rpc_server_destroy(struct rpc_server *s)
{
	struct rpc_listener *l;
	struct rpc_conn *c;
	if (!s)
		return;
	s->stopping = true;
	LIST_FOREACH(l, &s->listeners, link)
		close_listener(l);
	LIST_FOREACH(c, &s->conns, link)
		rpc_conn_break(c);
	fiber_join_wait(&s->fibers);
	while (s->flush_posted)
		fiber_yield();
	free_listeners(s);
	free_spare(s);
	free(s->dgram_out);
	free(s);
}
