/*
 * The device: requests in. Each is read with its header apart from what follows, so that the data of a write
 * lands in memory which the server reaches, and runs in a fiber of its own.
 */
#include "fuse/mnt.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

LOG_MODULE("fuse");

#define HEAD_SIZE (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define COPY_MAX 131072u /* a write up to this size is copied into a buffer of its size */

struct reader {
	struct mnt *m;
	struct client_buf *rx; /* MNT_IO_MAX bytes */
	uint8_t head[HEAD_SIZE];
};

static void serve(void *arg)
{
	struct mnt_request *r = arg;
	struct mnt *m = r->m;
	struct fuse_buf buf = {.mem = r->bytes, .size = r->size};
	/* libfuse calls the operation before anything parks; from there on the operation knows its request. */
	m->current = r;
	fuse_session_process_buf(m->session, &buf);
	client_buf_put(m->client, r->payload);
	free(r);
	fiber_join_done(&m->requests);
}

static struct client_buf *buffer(struct mnt *m, uint32_t size)
{
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(m->client, size, 0)))
		client_buf_wait(m->client);
	return buf;
}

/* The data of a write: the receive buffer itself, or a copy if that is small. */
static struct client_buf *payload_of(struct reader *rd, size_t size)
{
	if (size > COPY_MAX)
		return TAKE(rd->rx);
	struct client_buf *buf = buffer(rd->m, (uint32_t)MAX(size, (size_t)1));
	memcpy(buf->data, rd->rx->data, size);
	return buf;
}

static struct mnt_request *request_of(struct reader *rd, size_t size)
{
	const struct fuse_in_header *in = (const void *)rd->head;
	bool is_write = size > HEAD_SIZE && in->opcode == FUSE_WRITE;
	struct mnt_request *r = malloc(sizeof(*r) + (is_write ? HEAD_SIZE : size));
	if (!r)
		return NULL;
	*r = (struct mnt_request){.m = rd->m, .size = size};
	memcpy(r->bytes, rd->head, MIN(size, HEAD_SIZE));
	if (is_write)
		r->payload = payload_of(rd, size - HEAD_SIZE);
	else if (size > HEAD_SIZE)
		memcpy(r->bytes + HEAD_SIZE, rd->rx->data, size - HEAD_SIZE);
	return r;
}

static void start(struct reader *rd, size_t size)
{
	struct mnt_request *r = request_of(rd, size);
	if (!r) {
		log_error("out of memory: a request is lost");
		return;
	}
	fiber_join_add(&rd->m->requests, 1);
	/* Without memory for a stack it is served in this one, late but served. */
	if (fiber_spawn(serve, r))
		serve(r);
}

void mnt_serve(struct mnt *m)
{
	struct reader rd = {.m = m};
	for (;;) {
		if (!rd.rx)
			rd.rx = buffer(m, MNT_IO_MAX);
		/* The buffer may move while this parks, if chimerad is restarted. */
		int err = stream_wait_readable(m->device);
		struct iovec iov[2] = {{rd.head, sizeof(rd.head)}, {rd.rx->data, MNT_IO_MAX}};
		ssize_t n = err ? err : stream_try_readv(m->device, iov, 2);
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			start(&rd, (size_t)n);
		else if (n != ERR_AGAIN && n != ERR_NOENT && n != ERR_INTR)
			break; /* unmounted */
	}
	client_buf_put(m->client, rd.rx);
}
