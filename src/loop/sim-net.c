/*
 * The simulated network. Every piece of a stream and every datagram is a packet with a timer. Packets of one
 * stream are queued at the receiver in the order in which they were sent, each marked when its timer fires, and
 * delivered from the head only: as with TCP, delays and partitions never reorder bytes.
 *
 * Sockets of all "hosts" are on one list and found by address; which port of a connection is the
 * service's tells partitions and resets whom they mean.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

#define WINDOW_SIZE (128 * 1024)
#define MAX_BACKLOG 128
#define MAX_INBOX 256
#define MAX_PARTITIONS 32
#define RETRANSMIT_NS (200 * NS_PER_MS)
#define FIRST_EPHEMERAL 32768

enum packet_kind { DATA, FIN, RST, DATAGRAM };

struct packet {
	struct list link; /* in flight to, or in the inbox of, its receiver */
	struct loop_timer timer;
	struct sim_socket *to;
	enum packet_kind kind;
	bool arrived;
	struct net_addr from, dest;
	size_t pos, size;
	uint8_t data[];
};

enum socket_state { IDLE, LISTENING, CONNECTING, REFUSED, CONNECTED, RESET, BOUND };

struct sim_socket {
	struct list link;          /* all sockets */
	struct list queue_link;    /* in a listener's backlog */
	struct list backlog;
	struct list flight, inbox; /* packets to this socket */
	size_t n_bytes;            /* of both, for the window; datagrams: packets in the inbox */
	uint32_t n_backlog;
	struct io *io;             /* NULL until accepted */
	struct sim_socket *peer;   /* NULL once it closed */
	struct net_addr local, remote;
	struct loop_timer connect;
	enum socket_state state;
	uint16_t service;
	uint64_t id;
	bool fin, rst_sent;
};

static struct {
	struct list sockets;
	struct sim_net_faults faults;
	uint16_t partitions[MAX_PARTITIONS];
	size_t n_partitions;
	uint16_t next_port;
	uint16_t source_port; /* of the next connection; 0: any */
	uint64_t next_id;
} net = {.sockets = {&net.sockets, &net.sockets}};

static const struct sim_net_faults gentle = {.delay_min_ns = 20 * NS_PER_US, .delay_max_ns = 200 * NS_PER_US};

static uint64_t arrival(void)
{
	const struct sim_net_faults *f = net.faults.delay_max_ns ? &net.faults : &gentle;

	return sim_loop()->engine->clock_ns() + sim_between(f->delay_min_ns, f->delay_max_ns);
}

static bool is_cut(uint16_t port)
{
	for (size_t i = 0; i < net.n_partitions; i++)
		if (net.partitions[i] == port)
			return true;
	return false;
}

static struct sim_socket *create_socket(struct io *io, enum socket_state state)
{
	struct sim_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->queue_link);
	list_init(&s->backlog);
	list_init(&s->flight);
	list_init(&s->inbox);
	list_push_back(&net.sockets, &s->link);
	s->io = io;
	s->state = state;
	s->id = ++net.next_id;
	if (io)
		io->sim = s;
	return s;
}

static void ready(struct sim_socket *s, enum io_dir dir)
{
	if (s->io)
		io_ready(s->io, dir);
}

static void free_packet(struct packet *p)
{
	loop_timer_stop(sim_loop(), &p->timer);
	list_del(&p->link);
	free(p);
}

static void drop_packets(struct list *packets)
{
	while (!list_empty(packets))
		free_packet(list_entry(packets->next, struct packet, link));
}

static void reset_socket(struct sim_socket *s)
{
	sim_note(SIM_RESET, s->id, 0);
	s->state = RESET;
	drop_packets(&s->inbox);
	ready(s, IO_READ);
	ready(s, IO_WRITE);
}

/* ---- packets -------------------------------------------------------------------------------- */

static void take_stream_packet(struct sim_socket *s, struct packet *p)
{
	list_del(&p->link);
	if (p->kind == DATA && s->state == CONNECTED) {
		list_push_back(&s->inbox, &p->link);
		ready(s, IO_READ);
		return;
	}
	if (p->kind == FIN)
		s->fin = true;
	else if (p->kind == RST)
		reset_socket(s);
	ready(s, IO_READ);
	free(p);
}

static void stream_packet_arrives(struct loop_timer *timer)
{
	struct packet *p = container_of(timer, struct packet, timer);
	struct sim_socket *s = p->to;

	if (is_cut(s->service)) {
		loop_timer_start(sim_loop(), timer, arrival() + RETRANSMIT_NS);
		return;
	}
	p->arrived = true;
	while (!list_empty(&s->flight)) {
		p = list_entry(s->flight.next, struct packet, link);
		if (!p->arrived)
			break;
		sim_note(SIM_DELIVER, s->id, p->size);
		take_stream_packet(s, p);
	}
}

static void datagram_arrives(struct loop_timer *timer)
{
	struct packet *p = container_of(timer, struct packet, timer);
	struct sim_socket *s = p->to;

	list_del(&p->link);
	if (s->n_bytes >= MAX_INBOX || is_cut(net_addr_port(&p->dest)) || is_cut(net_addr_port(&p->from))) {
		sim_note(SIM_LOST, s->id, p->size);
		free(p);
		return;
	}
	sim_note(SIM_DELIVER, s->id, p->size);
	s->n_bytes++;
	list_push_back(&s->inbox, &p->link);
	ready(s, IO_READ);
}

static struct packet *send_packet(struct sim_socket *to, enum packet_kind kind, size_t size)
{
	struct packet *p = calloc(1, sizeof(*p) + size);

	if (!p)
		return NULL;
	p->kind = kind;
	p->to = to;
	p->size = size;
	p->timer.fn = kind == DATAGRAM ? datagram_arrives : stream_packet_arrives;
	list_push_back(&to->flight, &p->link);
	loop_timer_start(sim_loop(), &p->timer, arrival());
	return p;
}

/* Copies between the iovec and one flat buffer; how many bytes. */
static size_t gather(uint8_t *out, size_t size, const struct iovec *iov, int n_iov)
{
	size_t done = 0;

	for (int i = 0; i < n_iov && done < size; i++) {
		size_t n = MIN(iov[i].iov_len, size - done);
		memcpy(out + done, iov[i].iov_base, n);
		done += n;
	}
	return done;
}

static size_t scatter(const struct iovec *iov, int n_iov, size_t skip, const uint8_t *data, size_t size)
{
	size_t done = 0;

	for (int i = 0; i < n_iov && done < size; i++) {
		size_t from = MIN(skip, iov[i].iov_len);
		size_t n = MIN(iov[i].iov_len - from, size - done);
		memcpy((uint8_t *)iov[i].iov_base + from, data + done, n);
		skip -= from;
		done += n;
	}
	return done;
}

static size_t total(const struct iovec *iov, int n_iov)
{
	size_t size = 0;

	for (int i = 0; i < n_iov; i++)
		size += iov[i].iov_len;
	return size;
}

static size_t maybe_short(size_t size)
{
	return size > 1 && sim_chance(net.faults.short_io, 100) ? sim_between(1, size - 1) : size;
}

/* ---- addresses ---------------------------------------------------------------------------------- */

static bool is_any(const struct net_addr *a)
{
	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == htonl(INADDR_ANY)
	                                  : a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

static bool same_host(const struct net_addr *a, const struct net_addr *b)
{
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
}

static bool reaches(const struct net_addr *bound, const struct net_addr *dest)
{
	if (bound->sa.sa_family != dest->sa.sa_family)
		return false;
	if (bound->sa.sa_family == AF_UNIX)
		return bound->size == dest->size && memcmp(&bound->storage, &dest->storage, bound->size) == 0;
	return net_addr_port(bound) == net_addr_port(dest) && (is_any(bound) || same_host(bound, dest));
}

static struct sim_socket *find(const struct net_addr *dest, enum socket_state state)
{
	struct sim_socket *s;

	LIST_FOREACH(s, &net.sockets, link)
		if (s->state == state && reaches(&s->local, dest))
			return s;
	return NULL;
}

static void set_port(struct net_addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

static uint16_t ephemeral(void)
{
	return (uint16_t)(FIRST_EPHEMERAL + net.next_port++ % FIRST_EPHEMERAL);
}

static int bind_to(struct sim_socket *s, const struct net_addr *addr)
{
	s->local = *addr;
	if (addr->sa.sa_family != AF_UNIX && net_addr_port(addr) == 0)
		set_port(&s->local, ephemeral());
	s->service = net_addr_port(&s->local);
	return 0;
}

/* ---- streams ------------------------------------------------------------------------------------ */

static int sim_listen(struct io *io, const struct net_addr *addr, bool share)
{
	struct sim_socket *s;

	if (find(addr, LISTENING) && !share)
		return ERR_ADDRINUSE;
	s = create_socket(io, LISTENING);
	return s ? bind_to(s, addr) : ERR_NOMEM;
}

static int sim_accept(struct io *listener, struct io *conn)
{
	struct sim_socket *l = listener->sim;
	struct list *e = list_pop_front(&l->backlog);
	struct sim_socket *s;

	if (!e)
		return ERR_AGAIN;
	l->n_backlog--;
	s = list_entry(e, struct sim_socket, queue_link);
	s->io = conn;
	conn->sim = s;
	return 0;
}

static void join(struct sim_socket *client, struct sim_socket *l)
{
	struct sim_socket *server = create_socket(NULL, CONNECTED);

	if (!server) {
		client->state = REFUSED;
		return;
	}
	client->state = CONNECTED;
	client->peer = server;
	server->peer = client;
	server->local = client->remote;
	server->remote = client->local;
	server->service = client->service;
	list_push_back(&l->backlog, &server->queue_link);
	l->n_backlog++;
	ready(l, IO_READ);
}

static void connect_arrives(struct loop_timer *timer)
{
	struct sim_socket *s = container_of(timer, struct sim_socket, connect);
	struct sim_socket *l = find(&s->remote, LISTENING);

	if (is_cut(s->service)) {
		loop_timer_start(sim_loop(), timer, arrival() + RETRANSMIT_NS);
		return;
	}
	if (l && l->n_backlog < MAX_BACKLOG)
		join(s, l);
	else
		s->state = REFUSED;
	sim_note(SIM_CONNECT, s->id, s->state);
	ready(s, IO_WRITE);
}

static int sim_connect(struct io *io, const struct net_addr *addr)
{
	struct sim_socket *s = create_socket(io, CONNECTING);

	if (!s)
		return ERR_NOMEM;
	s->remote = s->local = *addr;
	set_port(&s->local, net.source_port ? net.source_port : ephemeral());
	net.source_port = 0;
	s->service = net_addr_port(addr);
	s->connect.fn = connect_arrives;
	loop_timer_start(sim_loop(), &s->connect, arrival());
	return ERR_AGAIN;
}

static int sim_connect_result(struct io *io)
{
	struct sim_socket *s = io->sim;

	return s->state == REFUSED ? ERR_CONNREFUSED : s->state == CONNECTED ? 0 : ERR_DISCONNECTED;
}

static bool sim_readable(struct io *io)
{
	struct sim_socket *s = io->sim;

	return !list_empty(&s->inbox) || s->fin || s->state == RESET || !list_empty(&s->backlog);
}

/* Moves up to size bytes from the inbox. */
static size_t drain(struct sim_socket *s, const struct iovec *iov, int n_iov, size_t size)
{
	size_t done = 0;

	while (done < size && !list_empty(&s->inbox)) {
		struct packet *p = list_entry(s->inbox.next, struct packet, link);
		size_t n = scatter(iov, n_iov, done, p->data + p->pos, MIN(p->size - p->pos, size - done));
		p->pos += n;
		done += n;
		if (p->pos == p->size)
			free_packet(p);
	}
	s->n_bytes -= done;
	return done;
}

static ssize_t sim_readv(struct io *io, struct iovec *iov, int n_iov)
{
	struct sim_socket *s = io->sim;
	size_t n;

	if (s->state != CONNECTED)
		return ERR_DISCONNECTED;
	if (list_empty(&s->inbox))
		return s->fin ? 0 : ERR_AGAIN;
	n = drain(s, iov, n_iov, maybe_short(total(iov, n_iov)));
	if (s->peer)
		ready(s->peer, IO_WRITE);
	return (ssize_t)n;
}

/* The peer has closed: the first that is written vanishes and is answered by a reset, the next waits for that. */
static ssize_t write_to_nobody(struct sim_socket *s, size_t size)
{
	if (s->rst_sent)
		return ERR_AGAIN;
	if (!send_packet(s, RST, 0))
		return ERR_NOMEM;
	s->rst_sent = true;
	return (ssize_t)size;
}

static ssize_t sim_writev(struct io *io, struct iovec *iov, int n_iov)
{
	struct sim_socket *s = io->sim;
	size_t size = maybe_short(total(iov, n_iov)), room;
	struct packet *p;

	if (s->state != CONNECTED)
		return ERR_DISCONNECTED;
	if (!s->peer)
		return write_to_nobody(s, size);
	room = WINDOW_SIZE - MIN(s->peer->n_bytes, (size_t)WINDOW_SIZE);
	if (room == 0)
		return ERR_AGAIN;
	size = MIN(size, room);
	p = send_packet(s->peer, DATA, size);
	if (!p)
		return ERR_NOMEM;
	s->peer->n_bytes += size;
	return (ssize_t)gather(p->data, size, iov, n_iov);
}

/* ---- datagrams ---------------------------------------------------------------------------------- */

static int sim_bind_dgram(struct io *io, const struct net_addr *addr)
{
	struct sim_socket *s;

	if (net_addr_port(addr) && find(addr, BOUND))
		return ERR_ADDRINUSE;
	s = create_socket(io, BOUND);
	return s ? bind_to(s, addr) : ERR_NOMEM;
}

static ssize_t sim_recv(struct io *io, void *data, size_t size, struct net_addr *from, struct net_addr *to)
{
	struct sim_socket *s = io->sim;
	struct packet *p;

	if (list_empty(&s->inbox))
		return ERR_AGAIN;
	p = list_entry(s->inbox.next, struct packet, link);
	size = MIN(size, p->size);
	memcpy(data, p->data, size);
	*from = p->from;
	*to = p->dest;
	s->n_bytes--;
	free_packet(p);
	return (ssize_t)size;
}

static int send_datagram(struct sim_socket *s, struct sim_socket *to, const struct iovec *iov, int n_iov,
                         const struct packet *head)
{
	size_t size = total(iov, n_iov);
	struct packet *p = send_packet(to, DATAGRAM, size);

	if (!p)
		return ERR_NOMEM;
	gather(p->data, size, iov, n_iov);
	p->from = head->from;
	p->dest = head->dest;
	return 0;
}

static int sim_send(struct io *io, const struct iovec *iov, int n_iov, const struct net_addr *to,
                    const struct net_addr *from)
{
	struct sim_socket *s = io->sim, *dest = find(to, BOUND);
	struct packet head = {.from = from ? *from : s->local, .dest = *to};
	int err = 0;

	set_port(&head.from, net_addr_port(&s->local));
	if (!dest || sim_chance(net.faults.lose, 100)) {
		sim_note(SIM_LOST, s->id, 0);
		return 0;
	}
	if (sim_chance(net.faults.repeat, 100))
		err = send_datagram(s, dest, iov, n_iov, &head);
	return err ? err : send_datagram(s, dest, iov, n_iov, &head);
}

/* ---- ends --------------------------------------------------------------------------------------- */

static void sim_name(const struct io *io, bool peer, struct net_addr *addr)
{
	const struct sim_socket *s = io->sim;

	*addr = peer ? s->remote : s->local;
}

static void close_socket(struct sim_socket *s)
{
	struct list *e;

	while ((e = list_pop_front(&s->backlog)))
		close_socket(list_entry(e, struct sim_socket, queue_link));
	if (s->peer) {
		send_packet(s->peer, list_empty(&s->inbox) && s->state == CONNECTED ? FIN : RST, 0);
		s->peer->peer = NULL;
		ready(s->peer, IO_WRITE);
	}
	loop_timer_stop(sim_loop(), &s->connect);
	drop_packets(&s->flight);
	drop_packets(&s->inbox);
	list_del(&s->link);
	free(s);
}

static void sim_close(struct io *io)
{
	if (io->sim)
		close_socket(io->sim);
	io->sim = NULL;
}

void sim_net_fini(void)
{
	struct sim_socket *s, *next;

	LIST_FOREACH(s, &net.sockets, link)
		s->peer = NULL;
	LIST_FOREACH_SAFE(s, next, &net.sockets, link) {
		list_init(&s->backlog);
		if (s->io)
			s->io->sim = NULL;
		close_socket(s);
	}
	net.n_partitions = 0;
	net.next_port = 0;
	net.source_port = 0;
	net.next_id = 0;
	memset(&net.faults, 0, sizeof(net.faults));
}

static void reset_matching(bool all, uint16_t port)
{
	struct sim_socket *s;

	LIST_FOREACH(s, &net.sockets, link)
		if (s->state == CONNECTED && (all || s->service == port))
			reset_socket(s);
}

void sim_net_power_cut(void)
{
	reset_matching(true, 0);
}

void sim_net_set_faults(const struct sim_net_faults *faults)
{
	net.faults = *faults;
}

void sim_net_partition(uint16_t port)
{
	if (!is_cut(port) && net.n_partitions < MAX_PARTITIONS)
		net.partitions[net.n_partitions++] = port;
}

void sim_net_heal(uint16_t port)
{
	for (size_t i = 0; i < net.n_partitions; i++)
		if (net.partitions[i] == port)
			net.partitions[i--] = net.partitions[--net.n_partitions];
}

void sim_net_source_port(uint16_t port)
{
	net.source_port = port;
}

void sim_net_reset(uint16_t port)
{
	reset_matching(false, port);
}

const struct net_ops net_sim = {
	.listen = sim_listen,
	.accept = sim_accept,
	.connect = sim_connect,
	.connect_result = sim_connect_result,
	.readable = sim_readable,
	.readv = sim_readv,
	.writev = sim_writev,
	.bind_dgram = sim_bind_dgram,
	.recv = sim_recv,
	.send = sim_send,
	.name = sim_name,
	.close = sim_close,
};
