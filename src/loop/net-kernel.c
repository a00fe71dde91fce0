/*
 * The kernel's sockets, for the epoll and io_uring engines. Each call is one non-blocking system call.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "loop/engine.h"

#define BACKLOG 1024

const struct net_ops *net_provider = &net_kernel;

static int set_option(int fd, int level, int name)
{
	int on = 1;

	return setsockopt(fd, level, name, &on, sizeof(on)) == 0 ? 0 : err_from_errno(errno);
}

static bool is_inet(const struct net_addr *addr)
{
	return addr->sa.sa_family == AF_INET || addr->sa.sa_family == AF_INET6;
}

/* Replies must not wait for more of them; a Unix socket has no such option, which tells the two apart. */
static void set_nodelay(struct io *io)
{
	int on = 1;

	io->is_socket = true;
	io->is_tcp = setsockopt(io->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
}

/* A socket that a dead server left behind would be in the way; a live one is found by connecting. */
static void remove_dead_unix(const struct net_addr *addr)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd >= 0 && un->sun_path[0] && lstat(un->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    connect(fd, &addr->sa, addr->size) != 0 && errno == ECONNREFUSED)
		unlink(un->sun_path);
}

static int prepare_listen(int fd, const struct net_addr *addr, bool share)
{
	int err = 0;

	if (!is_inet(addr)) {
		remove_dead_unix(addr);
		return 0;
	}
	err = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
	if (!err && share)
		err = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
	if (!err && addr->sa.sa_family == AF_INET6)
		err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	return err;
}

static int kernel_listen(struct io *io, const struct net_addr *addr, bool share)
{
	CLEANUP_FD int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return err_from_errno(errno);
	err = prepare_listen(fd, addr, share);
	if (err)
		return err;
	if (bind(fd, &addr->sa, addr->size) != 0 || listen(fd, BACKLOG) != 0)
		return err_from_errno(errno);
	io->fd = fd;
	fd = -1;
	return 0;
}

/* A connection that was reset while it queued is no error of the listener. */
static int kernel_accept(struct io *listener, struct io *conn)
{
	int fd;

	do
		fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && (errno == ECONNABORTED || errno == EINTR || errno == EPROTO));
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? ERR_NOMEM : io_error(errno);
	conn->fd = fd;
	set_nodelay(conn);
	return 0;
}

static int kernel_connect(struct io *io, const struct net_addr *addr)
{
	io->fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (io->fd < 0)
		return err_from_errno(errno);
	set_nodelay(io);
	if (connect(io->fd, &addr->sa, addr->size) == 0)
		return 0;
	/* A Unix listener with a full backlog says EAGAIN and never becomes ready: that is a refusal. */
	if (errno == EAGAIN)
		return ERR_CONNREFUSED;
	return io_error(errno);
}

static int kernel_connect_result(struct io *io)
{
	int sys = 0;
	socklen_t size = sizeof(sys);

	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &sys, &size) != 0)
		return err_from_errno(errno);
	return sys == 0 ? 0 : io_error(sys);
}

static bool kernel_readable(struct io *io)
{
	struct pollfd p = {.fd = io->fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

static ssize_t kernel_readv(struct io *io, struct iovec *iov, int n_iov)
{
	ssize_t n;

	if (n_iov == 1 && io->is_socket)
		n = recv(io->fd, iov->iov_base, iov->iov_len, 0);
	else
		n = readv(io->fd, iov, n_iov);
	return n >= 0 ? n : io_error(errno);
}

/* Sockets are told not to raise SIGPIPE; /dev/fuse never does. */
static ssize_t kernel_writev(struct io *io, struct iovec *iov, int n_iov)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n_iov};
	ssize_t n;

	if (!io->is_socket)
		n = writev(io->fd, iov, n_iov);
	else if (n_iov == 1)
		n = send(io->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
	else
		n = sendmsg(io->fd, &msg, MSG_NOSIGNAL);
	return n >= 0 ? n : io_error(errno);
}

static int kernel_bind_dgram(struct io *io, const struct net_addr *addr)
{
	CLEANUP_FD int fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool in6 = addr->sa.sa_family == AF_INET6;
	int err = 0;

	if (fd < 0)
		return err_from_errno(errno);
	if (in6)
		err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (!err && is_inet(addr))
		err = in6 ? set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) : set_option(fd, IPPROTO_IP, IP_PKTINFO);
	if (err)
		return err;
	if (bind(fd, &addr->sa, addr->size) != 0)
		return err_from_errno(errno);
	io->fd = fd;
	fd = -1;
	return 0;
}

union pktinfo {
	char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct cmsghdr align;
};

/* Replaces the address of to, which has the socket's own port, by the one that the datagram came to. */
static void take_pktinfo(struct msghdr *msg, struct net_addr *to)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			to->in.sin_addr = info.ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			to->in6.sin6_addr = info.ipi6_addr;
			to->in6.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
		}
	}
}

static ssize_t kernel_recv(struct io *io, void *data, size_t size, struct net_addr *from, struct net_addr *to)
{
	union pktinfo control;
	struct iovec iov = {data, size};
	struct msghdr msg = {.msg_name = &from->storage,
	                     .msg_namelen = sizeof(from->storage),
	                     .msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(io->fd, &msg, 0);

	if (n < 0)
		return io_error(errno);
	from->size = msg.msg_namelen;
	io->net->name(io, false, to);
	take_pktinfo(&msg, to);
	return n;
}

static void put_pktinfo(struct msghdr *msg, union pktinfo *control, const struct net_addr *from)
{
	bool in6 = from->sa.sa_family == AF_INET6;
	struct in_pktinfo info4 = {.ipi_spec_dst = from->in.sin_addr};
	struct in6_pktinfo info6 = {.ipi6_addr = from->in6.sin6_addr, .ipi6_ifindex = from->in6.sin6_scope_id};
	size_t size = in6 ? sizeof(info6) : sizeof(info4);
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(size);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = in6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = in6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), in6 ? (void *)&info6 : (void *)&info4, size);
}

static int kernel_send(struct io *io, const struct iovec *iov, int n_iov, const struct net_addr *to,
                       const struct net_addr *from)
{
	union pktinfo control;
	struct msghdr msg = {.msg_name = (void *)&to->storage,
	                     .msg_namelen = to->size,
	                     .msg_iov = (struct iovec *)iov,
	                     .msg_iovlen = (size_t)n_iov};

	if (from && is_inet(from))
		put_pktinfo(&msg, &control, from);
	return sendmsg(io->fd, &msg, MSG_NOSIGNAL) >= 0 ? 0 : io_error(errno);
}

static void kernel_name(const struct io *io, bool peer, struct net_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->size = sizeof(addr->storage);
	if ((peer ? getpeername : getsockname)(io->fd, &addr->sa, &addr->size) != 0)
		addr->size = 0;
}

static void kernel_close(struct io *io)
{
	if (io->fd >= 0)
		close(io->fd);
	io->fd = -1;
}

const struct net_ops net_kernel = {
	.listen = kernel_listen,
	.accept = kernel_accept,
	.connect = kernel_connect,
	.connect_result = kernel_connect_result,
	.readable = kernel_readable,
	.readv = kernel_readv,
	.writev = kernel_writev,
	.bind_dgram = kernel_bind_dgram,
	.recv = kernel_recv,
	.send = kernel_send,
	.name = kernel_name,
	.close = kernel_close,
};
