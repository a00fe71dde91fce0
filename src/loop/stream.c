/*
 * Streams: try first, wait for readiness, try again. The same for sockets, /dev/fuse and the simulated
 * network, which differ only behind io->net.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop-impl.h"
#include "loop/stream-impl.h"

int stream_create(struct stream **out, const struct net_ops *net)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	s->io.fd = -1;
	s->io.net = net;
	*out = s;
	return 0;
}

static int finish_connect(struct stream *s, uint64_t timeout_ns)
{
	int err = io_wait(&s->io, IO_WRITE, timeout_ns);

	return err ? err : s->io.net->connect_result(&s->io);
}

int stream_connect(struct stream **out, const struct net_addr *addr, uint64_t timeout_ns)
{
	struct stream *s;
	int err = stream_create(&s, net_provider);

	if (err)
		return err;
	err = s->io.net->connect(&s->io, addr);
	if (err == ERR_AGAIN)
		err = finish_connect(s, timeout_ns);
	if (err) {
		stream_close(s);
		return err;
	}
	*out = s;
	return 0;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int stream_adopt(struct stream **out, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int err;

	if (net_provider != &net_kernel)
		return ERR_NOTSUPP;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_from_errno(errno);
	err = stream_create(out, &net_kernel);
	if (!err) {
		(*out)->io.fd = fd;
		(*out)->io.is_socket = is_socket(fd);
	}
	return err;
}

static size_t total(const struct iovec *iov, int n_iov)
{
	size_t size = 0;

	for (int i = 0; i < n_iov; i++)
		size += iov[i].iov_len;
	return size;
}

ssize_t stream_try_readv(struct stream *s, struct iovec *iov, int n_iov)
{
	ssize_t n;

	if (s->io.canceled)
		return ERR_CANCELED;
	if (s->io.drained)
		return ERR_AGAIN;
	n = s->io.net->readv(&s->io, iov, n_iov);
	io_note_read(&s->io, n, total(iov, n_iov));
	return n;
}

ssize_t stream_try_writev(struct stream *s, struct iovec *iov, int n_iov)
{
	return s->io.canceled ? ERR_CANCELED : s->io.net->writev(&s->io, iov, n_iov);
}

ssize_t stream_readv(struct stream *s, struct iovec *iov, int n_iov)
{
	for (;;) {
		ssize_t n = stream_try_readv(s, iov, n_iov);
		if (n != ERR_AGAIN)
			return n;
		n = io_wait(&s->io, IO_READ, s->timeout_ns);
		if (n)
			return n;
	}
}

/* Steps over n bytes: what is left begins at *iov. */
static void advance(struct iovec **iov, int *n_iov, size_t n)
{
	while (*n_iov > 0 && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*n_iov)--;
	}
	if (n > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

ssize_t stream_writev(struct stream *s, struct iovec *iov, int n_iov)
{
	ssize_t total = 0;

	for (;;) {
		ssize_t n = stream_try_writev(s, iov, MIN(n_iov, MAX_IOV));
		if (n >= 0) {
			total += n;
			advance(&iov, &n_iov, (size_t)n);
			if (n_iov == 0)
				return total;
			continue;
		}
		if (n == ERR_AGAIN)
			n = io_wait(&s->io, IO_WRITE, s->timeout_ns);
		if (n)
			return n;
	}
}

int stream_wait_readable(struct stream *s)
{
	int err = s->io.canceled ? ERR_CANCELED : 0;

	while (!err && (s->io.drained || !s->io.net->readable(&s->io)))
		err = io_wait(&s->io, IO_READ, s->timeout_ns);
	return err;
}

void stream_set_timeout(struct stream *s, uint64_t timeout_ns)
{
	s->timeout_ns = timeout_ns;
}

void stream_cancel(struct stream *s)
{
	io_cancel(&s->io);
}

void stream_peer(const struct stream *s, struct net_addr *addr)
{
	s->io.net->name(&s->io, true, addr);
}

void stream_local(const struct stream *s, struct net_addr *addr)
{
	s->io.net->name(&s->io, false, addr);
}

int stream_fd(const struct stream *s)
{
	return s->io.fd;
}

void stream_close(struct stream *s)
{
	io_close(&s->io);
	free(s);
}
