/* What only Unix streams can: descriptors in messages, and who the peer is. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/stream-impl.h"

/* The kernel's SCM_MAX_FD is 253; nothing here passes more than a few. */
#define MAX_FDS 64

union fd_control {
	char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
	struct cmsghdr align;
};

static void put_fds(struct msghdr *msg, union fd_control *control, const int *fds, int n_fds)
{
	size_t size = (size_t)n_fds * sizeof(int);
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(size);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), fds, size);
}

int stream_send_fds(struct stream *s, const void *data, size_t size, const int *fds, int n_fds)
{
	struct iovec iov = {(void *)data, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_control control;
	ssize_t n = ERR_AGAIN;

	if (s->io.net != &net_kernel)
		return ERR_NOTSUPP;
	if (n_fds < 0 || n_fds > MAX_FDS || size == 0)
		return ERR_INVAL;
	if (n_fds > 0)
		put_fds(&msg, &control, fds, n_fds);
	while (n == ERR_AGAIN) {
		n = sendmsg(s->io.fd, &msg, MSG_NOSIGNAL);
		if (n < 0)
			n = io_error(errno);
		if (n == ERR_AGAIN && io_wait(&s->io, IO_WRITE, s->timeout_ns))
			return s->io.canceled ? ERR_CANCELED : ERR_TIMEDOUT;
	}
	if (n < 0 || (size_t)n == size)
		return n < 0 ? (int)n : 0;
	iov = (struct iovec){(char *)data + n, size - (size_t)n};
	n = stream_writev(s, &iov, 1);
	return n < 0 ? (int)n : 0;
}

/* Keeps as many descriptors as the caller has room for and closes the rest. */
static void take_fds(struct msghdr *msg, int *fds, int *n_fds)
{
	int room = *n_fds;
	struct cmsghdr *c;

	*n_fds = 0;
	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*n_fds < room)
				fds[(*n_fds)++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t stream_recv_fds(struct stream *s, void *data, size_t size, int *fds, int *n_fds)
{
	union fd_control control;
	struct iovec iov = {data, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	ssize_t n;

	if (s->io.net != &net_kernel)
		return ERR_NOTSUPP;
	for (;;) {
		int err;
		msg.msg_controllen = sizeof(control);
		n = recvmsg(s->io.fd, &msg, MSG_CMSG_CLOEXEC);
		if (n >= 0)
			break;
		if (io_error(errno) != ERR_AGAIN)
			return io_error(errno);
		err = io_wait(&s->io, IO_READ, s->timeout_ns);
		if (err)
			return err;
	}
	take_fds(&msg, fds, n_fds);
	return n;
}

int stream_peer_cred(const struct stream *s, uid_t *uid, gid_t *gid, pid_t *pid)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (s->io.net != &net_kernel)
		return ERR_NOTSUPP;
	if (getsockopt(s->io.fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0)
		return err_from_errno(errno);
	*uid = cred.uid;
	*gid = cred.gid;
	*pid = cred.pid;
	return 0;
}
