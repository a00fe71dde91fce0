/*
 * The attach socket. Each connection has a fiber of the first loop that shakes hands, gives the attachment to
 * a loop, waits for the connection's end and cleans up: it is the attachment's owner.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "ring/server-impl.h"

LOG_MODULE("ring");

#define ATTACHMENTS_MAX 256
#define HANDSHAKES_MAX 64
#define STRANGERS_MAX 8 /* of those, by users who may not attach and are about to be told so */
#define HANDSHAKE_NS (5 * NS_PER_SEC)
#define ARENA_MAX (256u << 20)

struct handshake {
	struct ring_server *server;
	struct stream *stream;
	bool stranger;
};

/* ---- the conversation -------------------------------------------------------------------- */

static int read_hello(struct stream *s, struct ring_hello *hello)
{
	size_t got = 0;

	while (got < sizeof(*hello)) {
		struct iovec iov = {(char *)hello + got, sizeof(*hello) - got};
		ssize_t n = stream_readv(s, &iov, 1);
		if (n <= 0)
			return n < 0 ? (int)n : ERR_DISCONNECTED;
		got += (size_t)n;
	}
	return hello->magic == RING_MAGIC && hello->abi_version == RING_ABI_VERSION ? 0 : ERR_PROTO;
}

static int identify(struct stream *s, const struct ring_hello *hello, struct ring_peer *peer)
{
	*peer = (struct ring_peer){.role = hello->role, .session_before = hello->session};
	memcpy(peer->name, hello->name, sizeof(peer->name) - 1);
	for (char *p = peer->name; *p; p++)
		if (*p < ' ' || *p == 127)
			*p = '?';
	if (hello->role < RING_ROLE_NFS || hello->role > RING_ROLE_TOOL)
		return ERR_PROTO;
	return stream_peer_cred(s, &peer->uid, &peer->gid, &peer->pid);
}

static int send_welcome(struct ring_attachment *a, int status)
{
	struct ring_server_config *cfg = &a->server->config;
	struct ring_welcome w = {RING_MAGIC, RING_ABI_VERSION, status, a->peer.isolated};
	int fds[3], n = 0;

	if (status == 0) {
		w.session = a->id;
		w.segment_size = a->seg.size;
		w.boot_id = cfg->boot_id;
		fds[n++] = a->seg.fd;
		fds[n++] = a->client_fd;
		if (!a->peer.isolated) {
			w.pages_size = cfg->pages_size;
			fds[n++] = cfg->pages_fd;
		}
	}
	return stream_send_fds(a->stream, &w, sizeof(w), fds, n);
}

/* ---- life -------------------------------------------------------------------------------- */

static uint32_t least_loaded(const struct ring_server *s)
{
	uint32_t best = 0;
	for (uint32_t i = 1; i < s->config.n_loops; i++)
		if (s->per_loop[i] < s->per_loop[best])
			best = i;
	return best;
}

static void join(struct ring_attachment *a)
{
	struct ring_server *s = a->server;

	a->loop_index = least_loaded(s);
	a->loop = s->config.loops[a->loop_index];
	s->per_loop[a->loop_index]++;
	s->n_attachments++;
	list_push_back(&s->attachments, &a->link);
}

static void leave(struct ring_attachment *a)
{
	struct ring_server *s = a->server;

	s->per_loop[a->loop_index]--;
	s->n_attachments--;
	list_del(&a->link);
}

static int build(struct ring_attachment *a, const struct ring_hello *hello)
{
	uint64_t arena_max = a->server->config.arena_max ? a->server->config.arena_max : ARENA_MAX;
	int err = ring_segment_create(&a->seg, hello->n_slots, MIN(hello->arena_size, arena_max));
	if (!err)
		err = ring_attachment_init_rings(a);
	if (!err)
		err = doorbell_pair(&a->bell, &a->client_fd);
	return err;
}

static void destroy(struct ring_attachment *a)
{
	ring_attachment_free_rings(a);
	doorbell_close(&a->bell);
	if (a->client_fd >= 0)
		close(a->client_fd);
	ring_segment_close(&a->seg);
	free(a);
}

static struct ring_attachment *create(struct handshake *h, const struct ring_peer *peer)
{
	struct ring_attachment *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->server = h->server;
	a->stream = h->stream;
	a->peer = *peer;
	a->owner = fiber_self();
	a->id = ++h->server->next_id;
	a->attached_ns = loop_now_ns(loop_current());
	a->seg.fd = a->bell.fd = a->client_fd = -1;
	list_init(&a->link);
	return a;
}

static void wait_for_end(struct ring_attachment *a)
{
	uint8_t byte;
	struct iovec iov = {&byte, 1};

	/* A client has nothing to say after its hello: whatever comes, the conversation is over. */
	stream_set_timeout(a->stream, 0);
	stream_readv(a->stream, &iov, 1);
	ring_attachment_end(a);
	while (!a->ended)
		fiber_park();
}

/* Answers the client and serves it until it goes. */
static int serve_attachment(struct ring_attachment *a, const struct ring_hello *hello)
{
	const struct ring_server_config *cfg = &a->server->config;
	int err = build(a, hello);

	if (!err)
		err = cfg->ops->open(cfg->arg, a, &a->peer, &a->session, &a->id);
	if (err) {
		send_welcome(a, err);
		return err;
	}
	join(a);
	ring_attachment_begin(a);
	if (send_welcome(a, 0))
		stream_cancel(a->stream);
	close(TAKE_FD(a->client_fd));
	log_info("%s attached: pid %d, uid %u, %u slots", a->peer.name, (int)a->peer.pid, (unsigned)a->peer.uid,
	         a->seg.n_slots);
	wait_for_end(a);
	log_info("%s detached after %llu operations", a->peer.name, (unsigned long long)a->n_ops);
	leave(a);
	return 0;
}

static int admit(struct handshake *h, struct ring_peer *peer)
{
	const struct ring_server_config *cfg = &h->server->config;
	uint32_t max = cfg->attachments_max ? cfg->attachments_max : ATTACHMENTS_MAX;

	if (!h->server->listener)
		return ERR_CANCELED;
	if (h->server->n_attachments >= max)
		return ERR_NOSPC;
	return cfg->ops->admit(cfg->arg, peer);
}

static void refuse(struct handshake *h, const struct ring_peer *peer, int err)
{
	struct ring_welcome w = {RING_MAGIC, RING_ABI_VERSION, err};
	log_warn("attachment of %s (pid %d, uid %u) refused: %s", peer->name[0] ? peer->name : "a client",
	         (int)peer->pid, (unsigned)peer->uid, err_text(err));
	stream_send_fds(h->stream, &w, sizeof(w), NULL, 0);
}

static void handle(struct handshake *h)
{
	struct ring_hello hello;
	struct ring_peer peer = {0};

	stream_set_timeout(h->stream, HANDSHAKE_NS);
	int err = read_hello(h->stream, &hello);
	h->server->n_handshakes--;
	h->server->n_strangers -= h->stranger;
	if (err == ERR_DISCONNECTED)
		return;
	if (!err)
		err = identify(h->stream, &hello, &peer);
	if (!err)
		err = admit(h, &peer);
	struct ring_attachment *a = err ? NULL : create(h, &peer);
	if (!a) {
		refuse(h, &peer, err ? err : ERR_NOMEM);
		return;
	}
	err = serve_attachment(a, &hello);
	if (err)
		log_error("attachment of %s failed: %s", a->peer.name, err_text(err));
	destroy(a);
}

static void maybe_stopped(struct ring_server *s)
{
	if (s->stopping && s->n_fibers == 0)
		fiber_wake(s->stopping);
}

static void connection(void *arg)
{
	struct handshake h = *(struct handshake *)arg;

	h.server->n_fibers++;
	h.server->n_handshakes++;
	h.server->n_strangers += h.stranger;
	handle(&h);
	stream_close(h.stream);
	h.server->n_fibers--;
	maybe_stopped(h.server);
}

/* Anyone may connect, but nobody can keep others out by connecting. */
static bool has_room(struct handshake *h)
{
	const struct ring_server_config *cfg = &h->server->config;
	struct ring_peer peer = {0};

	h->stranger = stream_peer_cred(h->stream, &peer.uid, &peer.gid, &peer.pid) || cfg->ops->admit(cfg->arg, &peer);
	return h->server->n_handshakes < HANDSHAKES_MAX && !(h->stranger && h->server->n_strangers >= STRANGERS_MAX);
}

static void acceptor(void *arg)
{
	struct ring_server *s = arg;
	struct handshake h = {.server = s};

	s->n_fibers++;
	while (s->listener && listener_accept(s->listener, &h.stream) == 0)
		if (!has_room(&h) || fiber_spawn(connection, &h))
			stream_close(h.stream);
	s->n_fibers--;
	maybe_stopped(s);
}

static void on_broken(struct loop_task *task)
{
	stream_cancel(container_of(task, struct ring_attachment, broken_task)->stream);
}

void ring_attachment_broken(struct ring_attachment *a, const char *why)
{
	if (a->broken)
		return;
	a->ending = a->broken = true;
	log_error("%s (pid %d) is cut off: %s", a->peer.name, (int)a->peer.pid, why);
	a->broken_task.fn = on_broken;
	loop_post(a->server->config.loops[0], &a->broken_task);
}

/* ---- the server -------------------------------------------------------------------------- */

static int listen_on(struct ring_server *s, const char *path)
{
	char text[sizeof(struct sockaddr_storage)];
	struct net_addr addr;

	if (str_copy(text, sizeof(text), "unix:") || str_join(text, sizeof(text), "", path))
		return ERR_NAMETOOLONG;
	/* Left by a chimerad that died: the lock on the state directory says that none runs. */
	unlink(path);
	int err = net_addr_parse(text, &addr);
	if (!err)
		err = listener_open(&s->listener, &addr, false);
	/* Who may attach is decided by SO_PEERCRED, not by the socket's mode. */
	if (!err && chmod(path, 0666) < 0)
		err = err_from_errno(errno);
	return err;
}

int ring_server_start(struct ring_server **server, const struct ring_server_config *cfg)
{
	struct ring_server *s = calloc(1, sizeof(*s));
	int err = ERR_NOMEM;

	if (!s)
		return err;
	s->config = *cfg;
	list_init(&s->attachments);
	s->per_loop = calloc(cfg->n_loops, sizeof(*s->per_loop));
	if (s->per_loop)
		err = listen_on(s, cfg->socket_path);
	if (!err)
		err = fiber_spawn(acceptor, s);
	if (err) {
		if (s->listener)
			listener_close(s->listener);
		free(s->per_loop);
		free(s);
		return err;
	}
	*server = s;
	return 0;
}

void ring_server_drain(struct ring_server *s)
{
	static const struct op_event drain = {.type = OP_EVENT_DRAIN};
	struct listener *l = TAKE(s->listener);
	struct ring_attachment *a;

	if (l)
		listener_close(l);
	LIST_FOREACH(a, &s->attachments, link)
		ring_attachment_event(a, &drain);
}

void ring_server_stop(struct ring_server *s)
{
	struct ring_attachment *a;

	ring_server_drain(s);
	s->stopping = fiber_self();
	LIST_FOREACH(a, &s->attachments, link)
		stream_cancel(a->stream);
	while (s->n_fibers)
		fiber_park();
	free(s->per_loop);
	free(s);
}

static void status_of(const struct ring_attachment *a, struct ring_status *st)
{
	*st = (struct ring_status){
		.peer = a->peer, .id = a->id, .attached_ns = a->attached_ns, .n_slots = a->seg.n_slots,
		.n_running = a->n_running, .arena_size = a->seg.arena_size, .n_ops = a->n_ops,
		.n_batches = a->n_batches, .n_wakeups = a->n_wakeups, .n_events = a->n_events,
		.n_events_lost = a->n_events_lost, .loop = a->loop_index,
	};
}

void ring_server_each(struct ring_server *s, ring_status_fn *fn, void *arg)
{
	struct ring_attachment *a;
	struct ring_status st;

	LIST_FOREACH(a, &s->attachments, link) {
		status_of(a, &st);
		if (!fn(arg, &st))
			return;
	}
}
