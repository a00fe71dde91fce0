/* RPC and NFSv3 by hand, so that the server's own codecs are not tested against themselves. */
#include "tests/sim/nfs-call.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop/sim.h"

#define MESSAGE_MAX 131072u
#define LAST_FRAGMENT 0x80000000u
#define TIMEOUT_NS (2 * NS_PER_SEC)

enum { PROC_LOOKUP = 3, PROC_READ = 6, PROC_WRITE = 7, PROC_CREATE = 8, PROC_MKDIR = 9, PROC_REMOVE = 12, PROC_RENAME = 14 };

/* A call being written, or an answer being read; reading past the end sets bad. */
struct message {
	uint8_t *bytes;
	uint32_t size;
	uint32_t at;
	bool bad;
};

static void put32(struct message *m, uint32_t v)
{
	v = htobe32(v);
	memcpy(m->bytes + m->size, &v, 4);
	m->size += 4;
}

static void put64(struct message *m, uint64_t v)
{
	put32(m, (uint32_t)(v >> 32));
	put32(m, (uint32_t)v);
}

static void put_opaque(struct message *m, const void *data, uint32_t size)
{
	put32(m, size);
	memcpy(m->bytes + m->size, data, size);
	memset(m->bytes + m->size + size, 0, 3);
	m->size += (size + 3) & ~3u;
}

static void put_name(struct message *m, const struct nfs_fh *dir, const char *name)
{
	put_opaque(m, dir->bytes, dir->size);
	put_opaque(m, name, (uint32_t)strlen(name));
}

/* sattr3 with a mode alone. */
static void put_mode(struct message *m, uint32_t mode)
{
	unsigned i;

	put32(m, 1);
	put32(m, mode);
	for (i = 0; i < 5; i++)
		put32(m, 0);
}

static uint32_t take32(struct message *m)
{
	uint32_t v;

	if (m->size - m->at < 4) {
		m->bad = true;
		return 0;
	}
	memcpy(&v, m->bytes + m->at, 4);
	m->at += 4;
	return be32toh(v);
}

static uint32_t take_opaque(struct message *m, void *out, uint32_t room)
{
	uint32_t size = take32(m);

	if (size > room || size > m->size - m->at) {
		m->bad = true;
		return 0;
	}
	memcpy(out, m->bytes + m->at, size);
	m->at += (size + 3) & ~3u;
	return size;
}

/* ---- one call ----------------------------------------------------------------------------------- */

static void begin(struct nfs_caller *c, struct message *m, uint32_t proc)
{
	/* xid, CALL, RPC 2, NFS 3, procedure, AUTH_SYS of 20 bytes: stamp, no machine, uid 0, gid 0, no groups; AUTH_NONE. */
	const uint32_t head[] = {++c->xid, 0, 2, 100003, 3, proc, 1, 20, 0, 0, 0, 0, 0, 0, 0};
	size_t i;

	*m = (struct message){.bytes = malloc(MESSAGE_MAX)};
	put32(m, 0); /* the record mark, once the size is known */
	for (i = 0; i < ARRAY_SIZE(head); i++)
		put32(m, head[i]);
}

void nfs_hang_up(struct nfs_caller *c)
{
	if (c->stream)
		stream_close(TAKE(c->stream));
}

static int read_all(struct stream *s, void *data, uint32_t size)
{
	struct iovec iov;
	ssize_t n;

	while (size) {
		iov = (struct iovec){data, size};
		n = stream_readv(s, &iov, 1);
		if (n <= 0)
			return ERR_DISCONNECTED;
		data = (uint8_t *)data + n;
		size -= (uint32_t)n;
	}
	return 0;
}

static int receive(struct nfs_caller *c, struct message *m)
{
	uint32_t mark;

	if (read_all(c->stream, &mark, 4))
		return ERR_DISCONNECTED;
	m->at = 0;
	m->size = be32toh(mark) & ~LAST_FRAGMENT;
	if (m->size > MESSAGE_MAX)
		return ERR_PROTO;
	return read_all(c->stream, m->bytes, m->size);
}

static int exchange(struct nfs_caller *c, const struct message *call, struct message *answer)
{
	struct iovec iov = {call->bytes, call->size};
	int err = 0;

	/* The server tells callers apart by address and port: a client that comes again keeps both. */
	if (!c->stream) {
		sim_net_source_port(c->port);
		err = stream_connect(&c->stream, c->addr, TIMEOUT_NS);
	}
	if (err) {
		c->stream = NULL;
		return err;
	}
	stream_set_timeout(c->stream, TIMEOUT_NS);
	if (stream_writev(c->stream, &iov, 1) < 0)
		return ERR_DISCONNECTED;
	return receive(c, answer);
}

/* Up to the result's status. */
static int take_head(struct nfs_caller *c, struct message *m)
{
	uint8_t verifier[400];
	uint32_t xid = take32(m), type = take32(m), denied = take32(m), refused;

	take32(m);
	take_opaque(m, verifier, sizeof(verifier));
	refused = take32(m);
	if (m->bad || xid != c->xid || type != 1 || denied || refused)
		return ERR_PROTO;
	return (int)take32(m);
}

/* Sends m until it is answered; the answer takes its place. */
static int call(struct nfs_caller *c, struct message *m)
{
	struct message answer = {.bytes = malloc(MESSAGE_MAX)};
	uint32_t mark = htobe32((m->size - 4) | LAST_FRAGMENT);
	unsigned tries;
	int err = ERR_TIMEDOUT;

	memcpy(m->bytes, &mark, 4);
	c->n_calls++;
	for (tries = 0; tries < NFS_TRIES && err; tries++) {
		c->n_again += tries > 0;
		err = exchange(c, m, &answer);
		if (err) {
			nfs_hang_up(c);
			fiber_sleep_ns(NS_PER_MS);
		}
	}
	free(m->bytes);
	*m = answer;
	return err ? err : take_head(c, m);
}

static int end(struct message *m, int status)
{
	free(m->bytes);
	m->bytes = NULL;
	return m->bad ? ERR_PROTO : status;
}

/* ---- procedures ------------------------------------------------------------------------------------ */

int nfs_lookup(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, struct nfs_fh *fh)
{
	struct message m;
	int status;

	begin(c, &m, PROC_LOOKUP);
	put_name(&m, dir, name);
	status = call(c, &m);
	if (status == 0)
		fh->size = take_opaque(&m, fh->bytes, NFS_FH_MAX);
	return end(&m, status);
}

static int made(struct nfs_caller *c, struct message *m, struct nfs_fh *fh)
{
	int status = call(c, m);

	if (status == 0 && take32(m))
		fh->size = take_opaque(m, fh->bytes, NFS_FH_MAX);
	return end(m, status);
}

int nfs_create(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, struct nfs_fh *fh)
{
	struct message m;

	begin(c, &m, PROC_CREATE);
	put_name(&m, dir, name);
	put32(&m, 1);
	put_mode(&m, 0644);
	return made(c, &m, fh);
}

int nfs_mkdir(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, struct nfs_fh *fh)
{
	struct message m;

	begin(c, &m, PROC_MKDIR);
	put_name(&m, dir, name);
	put_mode(&m, 0755);
	return made(c, &m, fh);
}

int nfs_remove(struct nfs_caller *c, const struct nfs_fh *dir, const char *name)
{
	struct message m;

	begin(c, &m, PROC_REMOVE);
	put_name(&m, dir, name);
	return end(&m, call(c, &m));
}

int nfs_rename(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, const char *to)
{
	struct message m;

	begin(c, &m, PROC_RENAME);
	put_name(&m, dir, name);
	put_name(&m, dir, to);
	return end(&m, call(c, &m));
}

int nfs_write(struct nfs_caller *c, const struct nfs_fh *fh, uint64_t offset, const void *data, uint32_t size)
{
	struct message m;

	begin(c, &m, PROC_WRITE);
	put_opaque(&m, fh->bytes, fh->size);
	put64(&m, offset);
	put32(&m, size);
	put32(&m, 2); /* FILE_SYNC */
	put_opaque(&m, data, size);
	return end(&m, call(c, &m));
}

int nfs_read(struct nfs_caller *c, const struct nfs_fh *fh, void *data, uint32_t room, uint32_t *size)
{
	struct message m;
	int status;

	begin(c, &m, PROC_READ);
	put_opaque(&m, fh->bytes, fh->size);
	put64(&m, 0);
	put32(&m, room);
	status = call(c, &m);
	if (status == 0) {
		if (take32(&m))
			m.at += 84; /* fattr3 */
		take32(&m);
		take32(&m);
		*size = take_opaque(&m, data, room);
	}
	return end(&m, status);
}
