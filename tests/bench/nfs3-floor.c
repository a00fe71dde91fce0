/*
 * The floor under any NFSv3 server on this machine: one thread on epoll that receives every call and answers it with
 * as many bytes as a real server would, and does nothing else. It looks at the record mark, the xid, the procedure
 * number and, for READ, the count. All calls that came with one recv() are answered with one sendmsg().
 *
 * usage: nfs3-floor PORT HANDLE_SIZE
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/compiler.h"
#include "nfs3-rpc.h"

enum {
	IN_SIZE = 256 << 10,
	SMALL_RECORD = 512,  /* a longer record is a WRITE, whose data is thrown away as it comes */
	CALL_LOOK = 28,      /* bytes of a call up to and with its procedure number */
	N_REPLIES = 64,      /* answered with one sendmsg() */
	TEMPLATE_MAX = 384,
	PAYLOAD_MAX = 1 << 20,
	FATTR3 = 84,
	POST_OP_ATTR = 4 + FATTR3,
	WCC_DATA = 4 + 24 + POST_OP_ATTR,
};

struct template {
	uint32_t size;
	uint8_t data[TEMPLATE_MAX];
};

struct conn {
	int fd;
	uint32_t in_used;          /* bytes of an incomplete call at the start of in */
	uint32_t skip;             /* bytes of the current long record still to come */
	uint8_t waiting[CALL_LOOK]; /* head of that record, answered when it is complete */
	uint32_t heads_used;
	int n_iov;
	int iov_done;
	struct iovec iov[2 * N_REPLIES];
	uint8_t heads[N_REPLIES * TEMPLATE_MAX];
	uint8_t in[IN_SIZE];
};

static struct template templates[NFS3_MKDIR + 1];
static uint8_t payload[PAYLOAD_MAX];

static uint32_t get_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

static void put_be32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, sizeof(v));
}

/* A reply of the right size full of zeros, but for the fields that the generator checks or uses. */
static void make_template(enum nfs3_proc proc, uint32_t results_size)
{
	struct template *t = &templates[proc];

	t->size = 4 + RPC_ACCEPTED_SIZE + results_size;
	put_be32(t->data, 0x80000000U | (t->size - 4));
	put_be32(t->data + 8, 1);
}

static void make_templates(uint32_t fh_size)
{
	make_template(NFS3_NULL, 0);
	make_template(NFS3_GETATTR, 4 + FATTR3);
	make_template(NFS3_LOOKUP, 4 + 4 + fh_size + 2 * POST_OP_ATTR);
	make_template(NFS3_READ, 4 + POST_OP_ATTR + 12);
	make_template(NFS3_WRITE, 4 + WCC_DATA + 4 + 4 + 8);
	make_template(NFS3_CREATE, 4 + 8 + fh_size + POST_OP_ATTR + WCC_DATA);
}

static void add_iov(struct conn *c, void *data, size_t size)
{
	struct iovec *last = c->n_iov ? &c->iov[c->n_iov - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == data)
		last->iov_len += size;
	else
		c->iov[c->n_iov++] = (struct iovec){.iov_base = data, .iov_len = size};
}

static void answer(struct conn *c, const uint8_t *call, uint32_t last_word)
{
	uint32_t proc = get_be32(call + 24);
	const struct template *t = proc < ARRAY_SIZE(templates) ? &templates[proc] : NULL;

	if (!t || t->size == 0)
		errx(1, "no reply for procedure %u", proc);
	uint8_t *head = c->heads + c->heads_used;
	memcpy(head, t->data, t->size);
	memcpy(head + 4, call + 4, 4);
	c->heads_used += t->size;
	add_iov(c, head, t->size);
	if (proc != NFS3_READ)
		return;
	uint32_t count = MIN(last_word, (uint32_t)PAYLOAD_MAX);
	put_be32(head, 0x80000000U | (t->size - 4 + count));
	put_be32(head + t->size - 4, count);
	add_iov(c, payload, count);
}

/* Takes one call, or what is here of it, from data; returns the bytes consumed, 0 when there is too little. */
static size_t take_call(struct conn *c, const uint8_t *data, size_t size)
{
	if (size < CALL_LOOK)
		return 0;
	size_t record = 4 + (get_be32(data) & 0x7fffffffU);
	if (record > SMALL_RECORD) {
		memcpy(c->waiting, data, CALL_LOOK);
		c->skip = (uint32_t)(record - CALL_LOOK);
		return CALL_LOOK;
	}
	if (size < record)
		return 0;
	answer(c, data, get_be32(data + record - 4));
	return record;
}

static size_t skip_payload(struct conn *c, size_t size)
{
	uint32_t part = (uint32_t)MIN(size, (size_t)c->skip);

	c->skip -= part;
	if (c->skip == 0)
		answer(c, c->waiting, 0);
	return part;
}

static void take_calls(struct conn *c)
{
	size_t pos = 0, n;

	do {
		size_t left = c->in_used - pos;
		n = c->skip ? skip_payload(c, left) : take_call(c, c->in + pos, left);
		pos += n;
	} while (n > 0 && pos < c->in_used && c->heads_used + TEMPLATE_MAX <= sizeof(c->heads));
	c->in_used -= (uint32_t)pos;
	memmove(c->in, c->in + pos, c->in_used);
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
}

/* True when everything was sent. */
static bool send_replies(struct conn *c)
{
	while (c->iov_done < c->n_iov) {
		struct msghdr msg = {.msg_iov = c->iov + c->iov_done, .msg_iovlen = (size_t)(c->n_iov - c->iov_done)};
		ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return false;
		drop_sent(c, (size_t)n);
	}
	c->n_iov = c->iov_done = 0;
	c->heads_used = 0;
	return true;
}

/* False when the connection is over. A connection that does not take its replies is not read from. */
static bool serve(int epfd, struct conn *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (c->n_iov == 0) {
		ssize_t n = recv(c->fd, c->in + c->in_used, sizeof(c->in) - c->in_used, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		c->in_used += n > 0 ? (uint32_t)n : 0;
		take_calls(c);
		if (send_replies(c))
			return true;
		ev.events = EPOLLOUT;
	} else if (!send_replies(c)) {
		return errno == EAGAIN;
	}
	return epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev) == 0;
}

static int open_listener(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 16) != 0)
		err(1, "listen on port %u", port);
	return fd;
}

static void accept_one(int epfd, int listener)
{
	struct conn *c = calloc(1, sizeof(*c));
	int one = 1;

	if (!c || (c->fd = accept(listener, NULL, NULL)) < 0)
		err(1, "accept");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		err(1, "epoll_ctl");
}

static void run(int epfd, int listener)
{
	struct epoll_event events[16];

	for (;;) {
		int n = epoll_wait(epfd, events, ARRAY_SIZE(events), -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (!c) {
				accept_one(epfd, listener);
			} else if (!serve(epfd, c)) {
				close(c->fd);
				free(c);
			}
		}
	}
}

int main(int argc, char **argv)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

	if (argc != 3)
		errx(2, "usage: nfs3-floor PORT HANDLE_SIZE");
	make_templates((uint32_t)MIN(atoi(argv[2]), NFS3_FHSIZE));
	int listener = open_listener((uint16_t)atoi(argv[1]));
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev) != 0)
		err(1, "epoll");
	run(epfd, listener);
}
