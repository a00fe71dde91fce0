/*
 * Calls are laid out field by field as RFC 1813 and RFC 5531 give them. Setting up is synchronous and gives up at the
 * first thing that is not as expected: a load generator that goes on after a failure measures the failure.
 */
#include "nfs3-rpc.h"

#include <err.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LAST_FRAGMENT 0x80000000U

enum { AUTH_NONE = 0, AUTH_SYS = 1, UNCHECKED = 0, PORTMAP_GETPORT = 3, MOUNT_MNT = 1 };
enum { UDP_TIMEOUT_MS = 1000, UDP_TRIES = 10 };

static void put_opaque(struct cursor *c, const void *data, size_t size)
{
	static const uint8_t zeros[4];

	cursor_put_be32(c, (uint32_t)size);
	cursor_put_bytes(c, data, size);
	cursor_put_bytes(c, zeros, -size & 3);
}

static void put_string(struct cursor *c, const char *s)
{
	put_opaque(c, s, strlen(s));
}

static void put_fh(struct cursor *c, const struct nfs3_fh *fh)
{
	put_opaque(c, fh->data, fh->size);
}

static void put_auth_sys(struct cursor *c)
{
	static const char machine[] = "bench";

	cursor_put_be32(c, AUTH_SYS);
	cursor_put_be32(c, 4 + 4 + 8 + 4 + 4 + 4);
	cursor_put_be32(c, 0);
	put_string(c, machine);
	cursor_put_be32(c, 0);
	cursor_put_be32(c, 0);
	cursor_put_be32(c, 0);
	cursor_put_be32(c, AUTH_NONE);
	cursor_put_be32(c, 0);
}

static void begin_call(struct cursor *c, struct rpc_call *call, uint32_t prog, uint32_t vers, uint32_t proc)
{
	*call = (struct rpc_call){0};
	cursor_init(c, call->head, sizeof(call->head));
	cursor_put_be32(c, 0); /* the record mark: end_call() */
	cursor_put_be32(c, 0); /* the xid: call_set_xid() */
	cursor_put_be32(c, 0);
	cursor_put_be32(c, 2);
	cursor_put_be32(c, prog);
	cursor_put_be32(c, vers);
	cursor_put_be32(c, proc);
	put_auth_sys(c);
}

static void end_call(struct cursor *c, struct rpc_call *call, uint32_t payload_size)
{
	struct cursor mark;

	if (cursor_failed(c))
		errx(1, "a call does not fit its buffer");
	call->head_size = (uint32_t)cursor_used(c);
	call->payload_size = payload_size;
	cursor_init(&mark, call->head, 4);
	cursor_put_be32(&mark, LAST_FRAGMENT | (call->head_size - 4 + payload_size));
}

static void begin_nfs(struct cursor *c, struct rpc_call *call, enum nfs3_proc proc)
{
	begin_call(c, call, RPC_PROG_NFS, 3, proc);
}

void call_set_xid(struct rpc_call *call, uint32_t xid)
{
	memcpy(call->head + RPC_XID_OFFSET, &xid, sizeof(xid));
}

void call_null(struct rpc_call *call)
{
	struct cursor c;

	begin_nfs(&c, call, NFS3_NULL);
	end_call(&c, call, 0);
}

void call_getattr(struct rpc_call *call, const struct nfs3_fh *fh)
{
	struct cursor c;

	begin_nfs(&c, call, NFS3_GETATTR);
	put_fh(&c, fh);
	end_call(&c, call, 0);
}

void call_lookup(struct rpc_call *call, const struct nfs3_fh *dir, const char *name)
{
	struct cursor c;

	begin_nfs(&c, call, NFS3_LOOKUP);
	put_fh(&c, dir);
	put_string(&c, name);
	end_call(&c, call, 0);
}

void call_read(struct rpc_call *call, const struct nfs3_fh *fh, uint64_t offset, uint32_t count)
{
	struct cursor c;

	begin_nfs(&c, call, NFS3_READ);
	put_fh(&c, fh);
	cursor_put_be64(&c, offset);
	cursor_put_be32(&c, count);
	end_call(&c, call, 0);
}

void call_write(struct rpc_call *call, const struct nfs3_fh *fh, uint64_t offset, uint32_t count, uint32_t stable)
{
	struct cursor c;

	begin_nfs(&c, call, NFS3_WRITE);
	put_fh(&c, fh);
	cursor_put_be64(&c, offset);
	cursor_put_be32(&c, count);
	cursor_put_be32(&c, stable);
	cursor_put_be32(&c, count);
	end_call(&c, call, count);
}

/* sattr3 with a mode and nothing else set. */
static void put_mode(struct cursor *c, uint32_t mode)
{
	cursor_put_be32(c, 1);
	cursor_put_be32(c, mode);
	for (int i = 0; i < 5; i++)
		cursor_put_be32(c, 0);
}

void call_create(struct rpc_call *call, const struct nfs3_fh *dir, const char *name)
{
	struct cursor c;

	begin_nfs(&c, call, NFS3_CREATE);
	put_fh(&c, dir);
	put_string(&c, name);
	cursor_put_be32(&c, UNCHECKED);
	put_mode(&c, 0644);
	end_call(&c, call, 0);
}

void call_mkdir(struct rpc_call *call, const struct nfs3_fh *dir, const char *name)
{
	struct cursor c;

	begin_nfs(&c, call, NFS3_MKDIR);
	put_fh(&c, dir);
	put_string(&c, name);
	put_mode(&c, 0755);
	end_call(&c, call, 0);
}

int rpc_connect(const struct sockaddr_in *addr)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0)
		err(1, "connect to port %u", ntohs(addr->sin_port));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int rpc_connect_udp(const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0)
		err(1, "UDP port %u", ntohs(addr->sin_port));
	return fd;
}

static void read_full(int fd, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (uint8_t *)data + done, size - done);
		if (n <= 0)
			errx(1, "the server closed the connection while the files were set up");
		done += (size_t)n;
	}
}

/* One record of at most size bytes, its fragments joined; returns its size. */
static size_t read_record(int fd, uint8_t *data, size_t size)
{
	uint32_t mark;
	size_t used = 0;

	do {
		read_full(fd, &mark, sizeof(mark));
		mark = ntohl(mark);
		if ((mark & ~LAST_FRAGMENT) > size - used)
			errx(1, "reply larger than %zu bytes", size);
		read_full(fd, data + used, mark & ~LAST_FRAGMENT);
		used += mark & ~LAST_FRAGMENT;
	} while (!(mark & LAST_FRAGMENT));
	return used;
}

static void write_call(int fd, const struct rpc_call *call, const void *payload)
{
	struct iovec iov[2] = {
		{.iov_base = (void *)call->head, .iov_len = call->head_size},
		{.iov_base = (void *)payload, .iov_len = call->payload_size},
	};
	size_t left = call->head_size + call->payload_size;

	while (left > 0) {
		ssize_t n = writev(fd, iov, 2);
		if (n < 0)
			err(1, "send");
		left -= (size_t)n;
		for (int i = 0; i < 2; i++) {
			size_t part = MIN((size_t)n, iov[i].iov_len);
			iov[i].iov_base = (uint8_t *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			n -= (ssize_t)part;
		}
	}
}

/* A datagram is a record without its mark. What comes for another xid is late: it is dropped. */
static size_t exchange_datagrams(int fd, const struct rpc_call *call, const void *payload, uint8_t *record, size_t size)
{
	struct iovec iov[2] = {
		{.iov_base = (void *)(call->head + 4), .iov_len = call->head_size - 4},
		{.iov_base = (void *)payload, .iov_len = call->payload_size},
	};

	for (int i = 0; i < UDP_TRIES; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (writev(fd, iov, 2) < 0)
			err(1, "send");
		while (poll(&p, 1, UDP_TIMEOUT_MS) > 0) {
			ssize_t n = recv(fd, record, size, 0);
			if (n >= 4 && memcmp(record, call->head + RPC_XID_OFFSET, 4) == 0)
				return (size_t)n;
		}
	}
	errx(1, "no answer over UDP");
}

void rpc_repeat(int fd, struct rpc_call *call, const void *payload, struct cursor *reply)
{
	static uint8_t record[64 << 10];
	int type = SOCK_STREAM;
	socklen_t type_size = sizeof(type);
	size_t size;

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size);
	if (type == SOCK_STREAM) {
		write_call(fd, call, payload);
		size = read_record(fd, record, sizeof(record));
	} else {
		size = exchange_datagrams(fd, call, payload, record, sizeof(record));
	}
	cursor_init(reply, record, size);
	cursor_skip(reply, 4);
	uint32_t kind = cursor_be32(reply);
	uint32_t denied = cursor_be32(reply);
	cursor_skip(reply, 4);
	cursor_skip(reply, ALIGN_UP(cursor_be32(reply), 4));
	uint32_t accept = cursor_be32(reply);
	if (cursor_failed(reply) || kind != 1 || denied || accept)
		errx(1, "call refused: reply_stat %u accept_stat %u", denied, accept);
}

void rpc_transact(int fd, struct rpc_call *call, const void *payload, struct cursor *reply)
{
	static uint32_t xid;

	if (xid == 0)
		xid = (uint32_t)getpid() << 16;
	call_set_xid(call, ++xid);
	rpc_repeat(fd, call, payload, reply);
}

uint16_t portmap_getport(int fd, uint32_t prog, uint32_t vers, uint32_t ip_protocol)
{
	struct rpc_call call;
	struct cursor c;

	begin_call(&c, &call, RPC_PROG_PORTMAP, 2, PORTMAP_GETPORT);
	cursor_put_be32(&c, prog);
	cursor_put_be32(&c, vers);
	cursor_put_be32(&c, ip_protocol);
	cursor_put_be32(&c, 0);
	end_call(&c, &call, 0);
	rpc_transact(fd, &call, NULL, &c);
	return (uint16_t)cursor_be32(&c);
}

static void take_fh(struct cursor *reply, struct nfs3_fh *fh)
{
	fh->size = cursor_be32(reply);
	const uint8_t *data = fh->size <= NFS3_FHSIZE ? cursor_bytes(reply, fh->size) : NULL;
	if (!data)
		errx(1, "reply holds no valid file handle");
	memcpy(fh->data, data, fh->size);
}

void mount_export(int fd, const char *path, struct nfs3_fh *root)
{
	struct rpc_call call;
	struct cursor c;

	begin_call(&c, &call, RPC_PROG_MOUNT, 3, MOUNT_MNT);
	put_string(&c, path);
	end_call(&c, &call, 0);
	rpc_transact(fd, &call, NULL, &c);
	reply_status(&c, "MNT");
	take_fh(&c, root);
}

void reply_status(struct cursor *reply, const char *what)
{
	uint32_t status = cursor_be32(reply);

	if (cursor_failed(reply) || status != 0)
		errx(1, "%s: status %u", what, status);
}

void reply_new_fh(struct cursor *reply, struct nfs3_fh *fh)
{
	if (cursor_be32(reply) == 0)
		errx(1, "the server returned no handle for a new object");
	take_fh(reply, fh);
}
