/*
 * The device: requests in. Each is read with its header apart from what follows, so that the data of a write
 * lands in memory which the server reaches, and runs in a fiber of its own.
 */
#include "fuse/mnt.h"

#include <linux/fuse.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

LOG_MODULE("fuse");

#define FUSE_OPCODE_TMPFILE 51 /* younger than some <linux/fuse.h> */
#define OPEN_PARALLEL_WRITES (1u << 6) /* likewise */
#define HEAD_SIZE (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define COPY_MAX 131072u /* a write up to this size is copied into a buffer of its size */

/* What libfuse up to 3.14 agrees on with us but forgets to tell the kernel. */
#define INIT_FLAGS (FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV)

/* The reply to INIT passes here as every other: the flags are added to it. */
static ssize_t write_reply(int fd, struct iovec *iov, int n_iov, void *userdata)
{
	struct mnt *m = userdata;
	if (unlikely(m->init_flags) && n_iov > 1 && iov[1].iov_len >= offsetof(struct fuse_init_out, max_background)) {
		struct fuse_init_out *out = iov[1].iov_base;
		out->flags |= m->init_flags & INIT_FLAGS;
		m->init_flags = 0;
	}
	return writev(fd, iov, n_iov);
}

/* libfuse wants one, but never reads: mnt_serve() does. */
static ssize_t read_request(int fd, void *buf, size_t size, void *userdata)
{
	errno = ENOSYS;
	return -1;
}

int mnt_device_open(struct mnt *m)
{
	static const struct fuse_custom_io io = {.read = read_request, .writev = write_reply};
	int session_fd = fuse_session_fd(m->session);
	int fd = fcntl(session_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_from_errno(errno);
	int err = fuse_session_custom_io(m->session, &io, session_fd) ? ERR_SERVERFAULT : stream_adopt(&m->device, fd);
	if (err)
		close(fd);
	return err;
}

int mnt_reply_open(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct fuse_open_out out = {.fh = fi->fh, .open_flags = FOPEN_DIRECT_IO | OPEN_PARALLEL_WRITES};
	/* Flags that this libfuse has no field for. */
	return fi->direct_io ? fuse_reply_buf(req, (const char *)&out, sizeof(out)) : fuse_reply_open(req, fi);
}

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

/*
 * O_TMPFILE is a create but for its opcode, which this libfuse does not know: it passes as a create, marked.
 */
static bool rename_tmpfile(struct mnt_request *r)
{
	struct fuse_in_header *in = (void *)r->bytes;
	bool nameless = in->opcode == FUSE_OPCODE_TMPFILE;
	if (nameless)
		in->opcode = FUSE_CREATE;
	return nameless;
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
	r->nameless = rename_tmpfile(r);
	if (in->opcode == FUSE_INIT)
		rd->m->init_flags = ((const struct fuse_init_in *)(r->bytes + sizeof(*in)))->flags;
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
