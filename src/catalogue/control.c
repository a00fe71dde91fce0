/*
 * One fiber accepts, one serves each connection: read a request, find its verb, run it, answer. A connection
 * that sends nothing for long, or rubbish, is dropped; so are connections beyond a bound.
 */
#include "catalogue/control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"

LOG_MODULE("control");

#define TABLES_MAX 32
#define CONNECTIONS_MAX 64
#define IDLE_NS (600 * NS_PER_SEC)
#define PROBE_NS (2 * NS_PER_SEC)

struct verb_table {
	const struct control_verb *verbs;
	uint32_t n_verbs;
	void *arg;
};

struct control {
	struct verb_table tables[TABLES_MAX];
	uint32_t n_tables;
	struct control_config cfg;
	char path[108];
	struct listener *listener;
	struct list connections;
	uint32_t n_connections;
	struct fiber_join join;
	bool stopping;
};

struct connection {
	struct control *control;
	struct stream *stream;
	struct list link;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	bool allowed;
	struct bytes in, out;
};

const char *control_arg(const struct control_request *rq, const char *key)
{
	for (uint32_t i = rq->n_args; i > 0; i--)
		if (strcmp(rq->args[i - 1].key, key) == 0)
			return rq->args[i - 1].value;
	return NULL;
}

int control_create(struct control **out)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	if (!ctl)
		return ERR_NOMEM;
	list_init(&ctl->connections);
	*out = ctl;
	return 0;
}

int control_register(struct control *ctl, const struct control_verb *verbs, uint32_t n, void *arg)
{
	if (ctl->n_tables == TABLES_MAX)
		return ERR_NOSPC;
	ctl->tables[ctl->n_tables++] = (struct verb_table){verbs, n, arg};
	return 0;
}

static const struct control_verb *find_verb(const struct control *ctl, const char *noun, const char *verb, void **arg)
{
	for (uint32_t i = 0; i < ctl->n_tables; i++) {
		for (uint32_t j = 0; j < ctl->tables[i].n_verbs; j++) {
			const struct control_verb *v = &ctl->tables[i].verbs[j];
			if (strcmp(v->noun, noun) != 0 || strcmp(v->verb, verb) != 0)
				continue;
			*arg = ctl->tables[i].arg;
			return v;
		}
	}
	return NULL;
}

static int dispatch(struct connection *c, const struct control_message *m, struct control_reply *reply)
{
	struct control_request rq = {
		.noun = control_message_get(m, "noun"),
		.verb = control_message_get(m, "verb"),
		.name = control_message_get(m, "name"),
		.args = m->pairs,
		.n_args = m->n_pairs,
		.uid = c->uid,
		.pid = c->pid,
	};
	void *arg = NULL;
	if (!c->allowed) {
		catalogue_error_set(&reply->error, "user %u may not administer this server", (unsigned int)c->uid);
		return ERR_ACCES;
	}
	const struct control_verb *verb = rq.noun && rq.verb ? find_verb(c->control, rq.noun, rq.verb, &arg) : NULL;
	if (!verb) {
		catalogue_error_set(&reply->error, "this server does not know \"%.40s %.40s\"", rq.noun ? rq.noun : "",
		                    rq.verb ? rq.verb : "");
		return ERR_NOTSUPP;
	}
	return verb->run(arg, &rq, reply);
}

static void note_request(const struct connection *c, const struct control_message *m, int status)
{
	const char *noun = control_message_get(m, "noun"), *verb = control_message_get(m, "verb");
	const char *name = control_message_get(m, "name");
	log_info("process %d of user %u: %.40s %.40s %.200s: %s", (int)c->pid, (unsigned int)c->uid, noun ? noun : "-",
	         verb ? verb : "-", name ? name : "", err_text(status));
}

static int send_all(struct stream *s, struct bytes *b)
{
	struct iovec iov = {b->data, b->size};
	ssize_t n = stream_writev(s, &iov, 1);
	return n < 0 ? (int)n : 0;
}

static int answer(struct connection *c, const struct control_message *m)
{
	struct control_reply *reply = calloc(1, sizeof(*reply));
	if (!reply)
		return ERR_NOMEM;
	bytes_init(&reply->body, CONTROL_REPLY_MAX / 2);
	json_init(&reply->json, &reply->body);
	int status = dispatch(c, m, reply);
	if (!status && bytes_failed(&reply->body))
		status = reply->body.err;
	if (status && !reply->error.text[0])
		str_copy(reply->error.text, sizeof(reply->error.text), err_text(status));
	struct control_answer a = {.status = status, .error = reply->error.text, .body = ""};
	if (!status) {
		a.body = bytes_str(&reply->body);
		a.body_size = reply->body.size;
	}
	note_request(c, m, status);
	bytes_clear(&c->out);
	control_encode_reply(&c->out, &a);
	bytes_fini(&reply->body);
	free(reply);
	return bytes_failed(&c->out) ? c->out.err : send_all(c->stream, &c->out);
}

/* ERR_EOF when the peer closed. */
static int read_exactly(struct stream *s, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		struct iovec iov = {(char *)data + done, size - done};
		ssize_t n = stream_readv(s, &iov, 1);
		if (n <= 0)
			return n < 0 ? (int)n : ERR_EOF;
		done += (size_t)n;
	}
	return 0;
}

static int serve_one(struct connection *c)
{
	struct control_message m;
	uint8_t head[4];
	int err = read_exactly(c->stream, head, sizeof(head));
	if (err)
		return err;
	uint32_t size = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
	bytes_clear(&c->in);
	char *data = size <= CONTROL_REQUEST_MAX ? bytes_reserve(&c->in, size) : NULL;
	if (!data)
		return ERR_PROTO;
	err = read_exactly(c->stream, data, size);
	if (!err)
		err = control_decode_request(data, size, &m);
	return err ? err : answer(c, &m);
}

static void end_connection(struct connection *c)
{
	struct control *ctl = c->control;
	list_del(&c->link);
	ctl->n_connections--;
	stream_close(c->stream);
	bytes_fini(&c->in);
	bytes_fini(&c->out);
	free(c);
	fiber_join_done(&ctl->join);
}

static void serve(void *arg)
{
	struct connection *c = arg;
	int err = 0;
	while (!err && !c->control->stopping)
		err = serve_one(c);
	if (err == ERR_PROTO)
		log_warn("process %d of user %u sent a malformed request", (int)c->pid, (unsigned int)c->uid);
	end_connection(c);
}

static void identify(struct connection *c)
{
	if (stream_peer_cred(c->stream, &c->uid, &c->gid, &c->pid)) {
		c->uid = (uid_t)-1;
		return;
	}
	c->allowed = c->uid == 0 || c->uid == geteuid() ||
	             (c->control->cfg.admin_gid != (gid_t)-1 && c->gid == c->control->cfg.admin_gid);
	if (!c->allowed)
		log_notice("process %d of user %u was refused", (int)c->pid, (unsigned int)c->uid);
}

static void take_stream(struct control *ctl, struct stream *s)
{
	struct connection *c = ctl->n_connections < CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		log_warn("too many control connections: one was dropped");
		stream_close(s);
		return;
	}
	c->control = ctl;
	c->stream = s;
	bytes_init(&c->in, CONTROL_REQUEST_MAX);
	bytes_init(&c->out, CONTROL_REPLY_MAX);
	list_push_back(&ctl->connections, &c->link);
	ctl->n_connections++;
	identify(c);
	stream_set_timeout(s, IDLE_NS);
	fiber_join_add(&ctl->join, 1);
	if (fiber_spawn(serve, c))
		end_connection(c);
}

/* The listener is gone once control_stop() has begun: it is not touched after that. */
static void accept_all(void *arg)
{
	struct control *ctl = arg;
	while (!ctl->stopping) {
		struct stream *s;
		int err = listener_accept(ctl->listener, &s);
		if (!err && ctl->stopping)
			stream_close(s);
		else if (!err)
			take_stream(ctl, s);
		else if (err != ERR_CANCELED)
			fiber_sleep_ns(10 * NS_PER_MS);
	}
	fiber_join_done(&ctl->join);
}

/* A socket file nobody answers on is left over from a killed server. */
static int clear_stale(const char *path, const struct net_addr *addr)
{
	struct stream *s;
	if (access(path, F_OK) != 0)
		return 0;
	if (stream_connect(&s, addr, PROBE_NS) == 0) {
		stream_close(s);
		return ERR_ADDRINUSE;
	}
	return unlink(path) == 0 ? 0 : err_from_errno(errno);
}

int control_start(struct control *ctl, const struct control_config *cfg)
{
	char text[128];
	struct net_addr addr;
	ctl->cfg = *cfg;
	int err = str_copy(ctl->path, sizeof(ctl->path), cfg->path);
	ctl->cfg.path = ctl->path;
	str_copy(text, sizeof(text), "unix:");
	if (!err)
		err = str_join(text, sizeof(text), "", cfg->path);
	if (!err)
		err = net_addr_parse(text, &addr);
	if (!err)
		err = clear_stale(ctl->path, &addr);
	if (!err)
		err = listener_open(&ctl->listener, &addr, false);
	if (err)
		return err;
	fiber_join_add(&ctl->join, 1);
	return fiber_start(loop_current(), accept_all, ctl);
}

void control_stop(struct control *ctl)
{
	struct connection *c;
	if (!ctl->listener)
		return;
	ctl->stopping = true;
	listener_close(ctl->listener);
	ctl->listener = NULL;
	LIST_FOREACH (c, &ctl->connections, link)
		stream_cancel(c->stream);
	fiber_join_wait(&ctl->join);
	unlink(ctl->path);
}

void control_destroy(struct control *ctl)
{
	free(ctl);
}
