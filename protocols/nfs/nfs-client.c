/*
 * Who is connected, told to chimerad for `chimeractl client list`: by host, with what it uses and how many calls it
 * made. Reports are made soon after something changed and then, while there are calls, every few seconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "protocols/nfs/nfs-impl.h"

LOG_MODULE("nfs");

#define CLIENTS_MAX 4096
#define HOST_MAX 64
#define EXPORT_MAX 256
#define TEXT_MAX 1024
#define SOON_NS (50 * NS_PER_MS)
#define REFRESH_NS (5 * NS_PER_SEC)

struct nfs_client {
	struct list link;
	char host[HOST_MAX];
	char export_name[EXPORT_MAX]; /* the last one used; longer names are cut */
	uint64_t since_ns;            /* wall clock */
	uint64_t n_calls;
	uint64_t n_reported;          /* n_calls as reported last */
	uint32_t n_conns;
	bool dirty;
};

void nfs_peer_host(const struct rpc_peer *peer, char *out, size_t size)
{
	net_addr_format(&peer->addr, out, size);
	char *colon = strrchr(out, ':');
	if (colon)
		*colon = '\0';
}

static struct nfs_client *find(struct nfs_server *s, const char *host)
{
	struct nfs_client *c;
	LIST_FOREACH(c, &s->clients, link)
		if (strcmp(c->host, host) == 0)
			return c;
	return NULL;
}

static struct nfs_client *add(struct nfs_server *s, const char *host)
{
	struct nfs_client *c = s->n_clients < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return NULL;
	str_copy(c->host, sizeof(c->host), host);
	c->since_ns = loop_wall_ns(loop_current());
	list_push_back(&s->clients, &c->link);
	s->n_clients++;
	return c;
}

static void drop(struct nfs_server *s, struct nfs_client *c)
{
	list_del(&c->link);
	s->n_clients--;
	free(c);
}

/* ---- reports ------------------------------------------------------------------------------- */

static uint32_t put_pair(char *out, uint32_t at, const char *key, const char *value)
{
	return at + (uint32_t)snprintf(out + at, TEXT_MAX - at, "%s%c%s", key, 0, value) + 1;
}

static uint32_t describe(const struct nfs_client *c, char out[TEXT_MAX])
{
	char since[STR_TIME_SIZE], calls[24], conns[16];
	str_format_time(since, sizeof(since), c->since_ns, 0);
	snprintf(calls, sizeof(calls), "%llu", (unsigned long long)c->n_calls);
	snprintf(conns, sizeof(conns), "%u", c->n_conns);
	const char *pairs[][2] = {{"protocol", "nfs"},    {"version", "3"},       {"export", c->export_name},
				  {"since", since},       {"operations", calls},  {"connections", conns}};
	uint32_t size = 0;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		size = put_pair(out, size, pairs[i][0], pairs[i][1]);
	return size;
}

/* size 0 removes. Parks. */
static void report(struct nfs_server *s, const char *host, const char *text, uint32_t size)
{
	struct client_buf *buf = size ? client_buf_alloc(s->client, size, 0) : NULL;
	struct op *op = client_op(s->client, OP_client_report);
	op->cred = (struct op_cred){.origin = OP_ORIGIN_NFS};
	int err = op_set_str(op, &op->in.client_report.client, host, strlen(host));
	if (!err && buf) {
		memcpy(buf->data, text, size);
		err = client_op_seg(op, buf, 0, size);
	}
	if (!err && (buf || size == 0))
		err = client_call(s->client, op);
	if (err)
		log_debug("reporting client %s: %s", host, err_text(err));
	client_op_put(s->client, op);
	client_buf_put(s->client, buf);
}

static struct nfs_client *next_to_report(struct nfs_server *s)
{
	struct nfs_client *c;
	LIST_FOREACH(c, &s->clients, link)
		if (c->dirty || c->n_calls != c->n_reported)
			return c;
	return NULL;
}

/* One at a time: the list may be another one after each report. */
static void report_all(void *arg)
{
	struct nfs_server *s = arg;
	struct nfs_client *c;
	while (!s->stopping && (c = next_to_report(s))) {
		char host[HOST_MAX], text[TEXT_MAX];
		uint32_t size = c->n_conns ? describe(c, text) : 0;
		str_copy(host, sizeof(host), c->host);
		c->dirty = false;
		c->n_reported = c->n_calls;
		if (size == 0)
			drop(s, c);
		report(s, host, text, size);
	}
	s->reporting = false;
	if (!s->stopping && s->n_clients)
		loop_timer_start(loop_current(), &s->report_timer, loop_now_ns(loop_current()) + REFRESH_NS);
	fiber_join_done(&s->fibers);
}

static void on_timer(struct loop_timer *timer)
{
	struct nfs_server *s = container_of(timer, struct nfs_server, report_timer);
	if (s->reporting || s->stopping)
		return;
	s->reporting = true;
	fiber_join_add(&s->fibers, 1);
	if (fiber_spawn(report_all, s) == 0)
		return;
	s->reporting = false;
	fiber_join_done(&s->fibers);
}

static void report_soon(struct nfs_server *s, struct nfs_client *c)
{
	c->dirty = true;
	loop_timer_start(loop_current(), &s->report_timer, loop_now_ns(loop_current()) + SOON_NS);
}

/* ---- what there is to report ------------------------------------------------------------------ */

void nfs_clients_init(struct nfs_server *s)
{
	list_init(&s->clients);
	s->report_timer.fn = on_timer;
}

void nfs_clients_peer(void *arg, struct rpc_peer *peer, bool connected)
{
	struct nfs_server *s = arg;
	struct nfs_client *c = peer->user;
	char host[HOST_MAX];
	if (connected) {
		nfs_peer_host(peer, host, sizeof(host));
		c = find(s, host);
		peer->user = c = c ? c : add(s, host);
	}
	if (!c)
		return;
	c->n_conns += connected ? 1 : (uint32_t)-1;
	report_soon(s, c);
}

void nfs_clients_used(struct nfs_server *s, struct rpc_peer *peer, const char *export_name)
{
	struct nfs_client *c = peer->user;
	if (!c || strcmp(c->export_name, export_name) == 0)
		return;
	str_copy(c->export_name, sizeof(c->export_name), export_name);
	report_soon(s, c);
}

void nfs_clients_count(struct rpc_peer *peer)
{
	struct nfs_client *c = peer->user;
	if (likely(c))
		c->n_calls++;
}

void nfs_clients_again(struct nfs_server *s)
{
	struct nfs_client *c;
	LIST_FOREACH(c, &s->clients, link)
		report_soon(s, c);
}

void nfs_clients_fini(struct nfs_server *s)
{
	s->stopping = true;
	loop_timer_stop(loop_current(), &s->report_timer);
	fiber_join_wait(&s->fibers);
	while (!list_empty(&s->clients))
		drop(s, list_entry(s->clients.next, struct nfs_client, link));
}
