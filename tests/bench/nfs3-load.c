/*
 * A cheap NFSv3 load generator: one thread, 4 connections, 16 calls in flight on each, AUTH_SYS. Every call is encoded
 * once and replayed with a fresh xid; payloads of replies are dropped in the kernel. A run makes its own
 * directory and one file per call in flight, then measures each mix for the same time, in four slices, of which the one
 * with the most operations per CPU second counts: it is the least disturbed by whatever else this machine does. Printed is a line of
 * tab-separated values: mix, operations, wall seconds, CPU seconds of the server, latencies in microseconds (50, 99, 99.9 %).
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench-stat.h"
#include "nfs3-load.h"
#include "nfs3-rpc.h"

enum {
	N_CONNS = 4,
	DEPTH = 16, /* a power of two: the low bits of an xid are its slot */
	SMALL_IO = 4 << 10,
	LARGE_IO = 1 << 20,
	IN_SIZE = 256 << 10,
	REPLY_LOOK = 4 + RPC_ACCEPTED_SIZE, /* record mark and reply header: always there before anything is judged */
	DROP_MIN = 16 << 10,                /* more than this still to come of a reply is dropped unread */
	NAME_DIGITS = 9,
	N_SLICES = 4,
};

enum mix { MIX_NULL, MIX_GETATTR, MIX_LOOKUP, MIX_READ, MIX_WRITE, MIX_SYNC, MIX_CREATE, MIX_READ_LARGE, MIX_WRITE_LARGE, N_MIXES };

static const char *const mix_names[N_MIXES] = {"null",   "getattr", "lookup", "read4k", "write4k",
                                               "sync4k", "create",  "read1m", "write1m"};

struct slot {
	struct rpc_call call;
	uint32_t generation;
	uint64_t sent_ns;
	uint32_t varying; /* offset in call.head of what differs from call to call, 0: nothing */
	struct nfs3_fh file;
	char name[16];
};

struct conn {
	int fd;
	struct slot slots[DEPTH];
	uint8_t *in;
	uint32_t in_used;
	uint64_t skip;       /* bytes of the current reply fragment still to come */
	bool more_fragments; /* after those */
	int answered;        /* slot whose reply is being skipped, -1: none */
	int n_iov;
	int iov_done;
	struct iovec iov[2 * DEPTH];
	uint32_t want_out;
};

/* A piece of a mix's time. */
struct slice {
	uint64_t n_ops;
	uint64_t wall_ns;
	uint64_t cpu_ns;
};

static struct load_options opt;
static struct conn conns[N_CONNS];
static struct nfs3_fh dir;
static uint8_t payload[LARGE_IO];
static struct latencies latencies;
static uint64_t n_done;
static enum mix current;

/* ---- calls ------------------------------------------------------------------------------ */

static uint32_t name_offset(const struct rpc_call *call, const char *name)
{
	const uint8_t *at = memmem(call->head, call->head_size, name, strlen(name));

	if (!at)
		errx(1, "the name is not in the call");
	return (uint32_t)(at - call->head);
}

static void encode(struct conn *c, int index)
{
	static const char blank[] = "n000000000";
	struct slot *s = &c->slots[index];
	const struct nfs3_fh *large = &c->slots[index % opt.n_large].file;

	s->varying = 0;
	switch (current) {
	case MIX_NULL:
		call_null(&s->call);
		break;
	case MIX_GETATTR:
		call_getattr(&s->call, &s->file);
		break;
	case MIX_LOOKUP:
		call_lookup(&s->call, &dir, s->name);
		break;
	case MIX_READ:
		call_read(&s->call, &s->file, 0, SMALL_IO);
		s->varying = s->call.head_size - 12;
		break;
	case MIX_WRITE:
	case MIX_SYNC:
		call_write(&s->call, &s->file, 0, SMALL_IO, current == MIX_SYNC ? WRITE3_FILE_SYNC : WRITE3_UNSTABLE);
		s->varying = s->call.head_size - 20;
		break;
	case MIX_CREATE:
		call_create(&s->call, &dir, blank);
		s->varying = name_offset(&s->call, blank) + 1;
		break;
	case MIX_READ_LARGE:
		call_read(&s->call, large, 0, LARGE_IO);
		break;
	default:
		call_write(&s->call, large, 0, LARGE_IO, WRITE3_UNSTABLE);
		break;
	}
}

/* A new name for every CREATE, the next block for every small READ and WRITE. */
static void vary(struct slot *s)
{
	static uint32_t serial;

	if (s->varying == 0)
		return;
	uint8_t *at = s->call.head + s->varying;
	if (current == MIX_CREATE) {
		uint32_t n = ++serial;
		for (int i = NAME_DIGITS - 1; i >= 0; i--, n /= 10)
			at[i] = (uint8_t)('0' + n % 10);
		return;
	}
	uint32_t offset = htonl(s->generation * SMALL_IO % LARGE_IO);
	memcpy(at + 4, &offset, sizeof(offset));
}

static void queue_call(struct conn *c, int index, uint64_t now)
{
	struct slot *s = &c->slots[index];

	call_set_xid(&s->call, ++s->generation * DEPTH + (uint32_t)index);
	vary(s);
	s->sent_ns = now;
	c->iov[c->n_iov++] = (struct iovec){.iov_base = s->call.head, .iov_len = s->call.head_size};
	if (s->call.payload_size)
		c->iov[c->n_iov++] = (struct iovec){.iov_base = payload, .iov_len = s->call.payload_size};
}

static void watch(int epfd, int op, struct conn *c, uint32_t want_out)
{
	struct epoll_event ev = {.events = EPOLLIN | want_out, .data.ptr = c};

	c->want_out = want_out;
	if (epoll_ctl(epfd, op, c->fd, &ev) != 0)
		err(1, "epoll_ctl");
}

static void drop_sent(struct conn *c, size_t n)
{
	while (n > 0) {
		struct iovec *iov = &c->iov[c->iov_done];
		size_t part = MIN(n, iov->iov_len);
		iov->iov_base = (uint8_t *)iov->iov_base + part;
		iov->iov_len -= part;
		n -= part;
		if (iov->iov_len == 0)
			c->iov_done++;
	}
	memmove(c->iov, c->iov + c->iov_done, (size_t)(c->n_iov - c->iov_done) * sizeof(*c->iov));
	c->n_iov -= c->iov_done;
	c->iov_done = 0;
}

static void send_calls(int epfd, struct conn *c)
{
	while (c->n_iov > 0) {
		struct msghdr msg = {.msg_iov = c->iov, .msg_iovlen = (size_t)c->n_iov};
		ssize_t n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			err(1, "send");
		if (n < 0)
			break;
		drop_sent(c, (size_t)n);
	}
	uint32_t want_out = c->n_iov ? EPOLLOUT : 0;
	if (want_out != c->want_out)
		watch(epfd, EPOLL_CTL_MOD, c, want_out);
}

/* ---- replies ---------------------------------------------------------------------------- */

static uint32_t word(const uint8_t *data, int index)
{
	uint32_t v;

	memcpy(&v, data + (ptrdiff_t)index * 4, sizeof(v));
	return ntohl(v);
}

/* Judges the head of a reply and returns its slot. Word 0 is the record mark, 1 the xid. */
static int check_reply(struct conn *c, const uint8_t *data, size_t size)
{
	uint32_t xid;

	memcpy(&xid, data + 4, sizeof(xid));
	int index = (int)(xid % DEPTH);
	if (xid != c->slots[index].generation * DEPTH + (uint32_t)index)
		errx(1, "%s: reply to no call of ours: xid %08x", mix_names[current], xid);
	if (word(data, 2) != 1 || word(data, 3) != 0 || word(data, 5) != 0 || word(data, 6) != 0)
		errx(1, "%s: call refused: reply_stat %u accept_stat %u", mix_names[current], word(data, 3), word(data, 6));
	if (current != MIX_NULL && size >= REPLY_LOOK + 4 && word(data, 7) != 0)
		errx(1, "%s: status %u", mix_names[current], word(data, 7));
	return index;
}

static void finish_call(struct conn *c, uint64_t now)
{
	int index = c->answered;

	c->answered = -1;
	latency_add(&latencies, now - c->slots[index].sent_ns);
	n_done++;
	queue_call(c, index, now);
}

/* Consumes what it can of size bytes at data: a head, or a piece of a body. Returns 0 when it needs more. */
static size_t take_reply(struct conn *c, const uint8_t *data, size_t size, uint64_t now)
{
	size_t look = c->more_fragments ? 4 : current == MIX_NULL ? REPLY_LOOK : REPLY_LOOK + 4;
	size_t used;

	if (c->skip > 0) {
		used = (size_t)MIN((uint64_t)size, c->skip);
		c->skip -= used;
	} else if (size < look) {
		return 0;
	} else {
		uint64_t fragment = word(data, 0) & 0x7fffffffU;
		if (fragment + 4 < look)
			errx(1, "reply too short");
		if (!c->more_fragments)
			c->answered = check_reply(c, data, size);
		c->more_fragments = !(word(data, 0) >> 31);
		c->skip = fragment + 4 - look;
		used = look;
	}
	if (c->skip == 0 && !c->more_fragments)
		finish_call(c, now);
	return used;
}

/* The rest of a large reply leaves the socket without being copied. */
static bool drop_body(struct conn *c, uint64_t now)
{
	ssize_t n = recv(c->fd, NULL, (size_t)c->skip, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		errx(1, "the server closed a connection");
	c->skip -= (uint64_t)n;
	if (c->skip == 0 && !c->more_fragments)
		finish_call(c, now);
	return true;
}

static void take_replies(struct conn *c)
{
	size_t pos = 0, n;

	while (c->skip >= DROP_MIN)
		if (!drop_body(c, bench_now_ns()))
			return;
	ssize_t got = recv(c->fd, c->in + c->in_used, IN_SIZE - c->in_used, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		errx(1, "the server closed a connection");
	uint64_t now = bench_now_ns();
	c->in_used += (uint32_t)got;
	do {
		n = take_reply(c, c->in + pos, c->in_used - pos, now);
		pos += n;
	} while (n > 0 && pos < c->in_used);
	c->in_used -= (uint32_t)pos;
	memmove(c->in, c->in + pos, c->in_used);
}

/* ---- a run ------------------------------------------------------------------------------ */

static void turn_until(int epfd, uint64_t deadline)
{
	struct epoll_event events[N_CONNS];
	uint64_t silent_since = bench_now_ns();

	while (bench_now_ns() < deadline) {
		int n = epoll_wait(epfd, events, N_CONNS, 1000);
		if (n > 0)
			silent_since = bench_now_ns();
		else if (bench_now_ns() - silent_since > 20000000000U)
			errx(1, "%s: the server has been silent for 20 s", mix_names[current]);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
				take_replies(c);
			send_calls(epfd, c);
		}
	}
}

static void start_conn(int epfd, struct conn *c)
{
	c->fd = rpc_connect(&opt.server);
	c->in_used = 0;
	c->skip = 0;
	c->more_fragments = false;
	c->answered = -1;
	c->n_iov = c->iov_done = 0;
	watch(epfd, EPOLL_CTL_ADD, c, 0);
	for (int i = 0; i < DEPTH; i++) {
		encode(c, i);
		queue_call(c, i, bench_now_ns());
	}
	send_calls(epfd, c);
}

static void print_result(const struct slice *best)
{
	printf("%s\t%llu\t%.3f\t%.6f\t%.1f\t%.1f\t%.1f\n", mix_names[current], (unsigned long long)best->n_ops,
	       (double)best->wall_ns / 1e9, (double)best->cpu_ns / 1e9, (double)latency_quantile(&latencies, 0.5) / 1e3,
	       (double)latency_quantile(&latencies, 0.99) / 1e3, (double)latency_quantile(&latencies, 0.999) / 1e3);
	fflush(stdout);
}

static struct slice run_slice(int epfd, uint64_t length_ns)
{
	uint64_t before = n_done, cpu = bench_cpu_ns(opt.pids, opt.n_pids), wall = bench_now_ns();

	turn_until(epfd, wall + length_ns);
	return (struct slice){.n_ops = n_done - before,
	                      .wall_ns = bench_now_ns() - wall,
	                      .cpu_ns = bench_cpu_ns(opt.pids, opt.n_pids) - cpu};
}

static bool is_better(const struct slice *a, const struct slice *b)
{
	if (opt.n_pids == 0)
		return (double)a->n_ops / (double)a->wall_ns > (double)b->n_ops / (double)b->wall_ns;
	return (double)a->n_ops * (double)b->cpu_ns > (double)b->n_ops * (double)a->cpu_ns;
}

static void run_mix(enum mix mix)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	uint64_t length = (uint64_t)(opt.seconds * 1e9) / N_SLICES;
	struct slice best = {0};

	current = mix;
	for (int i = 0; i < N_CONNS; i++)
		start_conn(epfd, &conns[i]);
	turn_until(epfd, bench_now_ns() + length / 2);
	latency_reset(&latencies);
	for (int i = 0; i < N_SLICES; i++) {
		struct slice s = run_slice(epfd, length);
		if (i == 0 || is_better(&s, &best))
			best = s;
	}
	print_result(&best);
	for (int i = 0; i < N_CONNS; i++)
		close(conns[i].fd);
	close(epfd);
}

static void make_file(int fd, struct slot *s)
{
	struct rpc_call call;
	struct cursor reply;

	call_create(&call, &dir, s->name);
	rpc_transact(fd, &call, NULL, &reply);
	reply_status(&reply, "CREATE");
	reply_new_fh(&reply, &s->file);
	call_write(&call, &s->file, 0, LARGE_IO, WRITE3_UNSTABLE);
	rpc_transact(fd, &call, payload, &reply);
	reply_status(&reply, "WRITE");
}

static void make_files(void)
{
	struct sockaddr_in at = opt.server;
	struct nfs3_fh root;
	struct rpc_call call;
	struct cursor reply;
	char name[32];

	at.sin_port = htons(opt.mount_port);
	int fd = rpc_connect(&at);
	mount_export(fd, opt.export_path, &root);
	close(fd);
	fd = rpc_connect(&opt.server);
	snprintf(name, sizeof(name), "bench.%d", getpid());
	call_mkdir(&call, &root, name);
	rpc_transact(fd, &call, NULL, &reply);
	reply_status(&reply, "MKDIR");
	reply_new_fh(&reply, &dir);
	for (int i = 0; i < N_CONNS * DEPTH; i++)
		make_file(fd, &conns[i / DEPTH].slots[i % DEPTH]);
	close(fd);
}

static void prepare_slots(void)
{
	for (int i = 0; i < N_CONNS; i++) {
		conns[i].in = malloc(IN_SIZE);
		if (!conns[i].in)
			err(1, "malloc");
		for (int k = 0; k < DEPTH; k++) {
			struct slot *s = &conns[i].slots[k];
			snprintf(s->name, sizeof(s->name), "file%03d", i * DEPTH + k);
			s->file.size = opt.fake_fh_size;
		}
	}
	dir.size = opt.fake_fh_size;
	memset(payload, 0x5a, sizeof(payload));
}

static bool wanted(const char *mix)
{
	size_t size = strlen(mix);

	for (const char *p = opt.mixes; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, mix, size) == 0 && (p[size] == ',' || p[size] == 0))
			return true;
	}
	return !opt.mixes;
}

int main(int argc, char **argv)
{
	load_options_parse(&opt, argc, argv);
	prepare_slots();
	if (!opt.fake_fh_size)
		make_files();
	for (enum mix mix = 0; mix < N_MIXES; mix++)
		if (wanted(mix_names[mix]))
			run_mix(mix);
}
