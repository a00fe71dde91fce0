/* Shows that streams carry bytes in order through short reads and writes, and how they time out, cancel and end. */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/loop/rig.h"

#define BULK (3 * 1024 * 1024 + 17)

static struct listener *listener;
static struct fiber_join served;

/* Accepts one connection and sends back all that comes, in odd pieces. */
static void echo(void *arg)
{
	struct stream *s;
	char buf[7001];

	cr_assert_eq(listener_accept(listener, &s), 0);
	for (;;) {
		struct iovec iov[2] = {{buf, 13}, {buf + 13, sizeof(buf) - 13}};
		ssize_t n = stream_readv(s, iov, 2);
		if (n <= 0)
			break;
		cr_assert_eq(rig_write(s, buf, (size_t)n), n);
	}
	stream_close(s);
	fiber_join_done(&served);
}

static struct stream *connect_to_echo(int family)
{
	struct net_addr addr = rig_addr(family);
	struct stream *s;

	cr_assert_eq(listener_open(&listener, &addr, false), 0);
	listener_addr(listener, &addr);
	fiber_join_add(&served, 1);
	cr_assert_eq(fiber_spawn(echo, NULL), 0);
	cr_assert_eq(stream_connect(&s, &addr, NS_PER_SEC), 0);
	return s;
}

static void disconnect(struct stream *s)
{
	stream_close(s);
	fiber_join_wait(&served);
	listener_close(listener);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void write_bulk(void *arg)
{
	uint8_t *data = malloc(BULK);

	for (size_t i = 0; i < BULK; i++)
		data[i] = pattern(i);
	struct iovec iov[3] = {{data, 1}, {data + 1, 1000000}, {data + 1000001, BULK - 1000001}};
	cr_assert_eq(stream_writev(arg, iov, 3), BULK);
	free(data);
	fiber_join_done(&served);
}

static void bulk_over(int family)
{
	struct stream *s = connect_to_echo(family);
	uint8_t *data = malloc(BULK);

	fiber_join_add(&served, 1);
	fiber_spawn(write_bulk, s);
	cr_assert_eq(rig_read(s, data, BULK), BULK);
	for (size_t i = 0; i < BULK; i++)
		cr_assert(data[i] == pattern(i));
	free(data);
	disconnect(s);
	rig_done();
}

static void bulk_tcp(void *arg)
{
	bulk_over(AF_INET);
}

static void bulk_tcp6(void *arg)
{
	bulk_over(AF_INET6);
}

static void bulk_unix(void *arg)
{
	struct net_addr addr = rig_addr(AF_UNIX);
	struct sockaddr_un_path { sa_family_t family; char path[108]; } *un = (void *)&addr.storage;

	bulk_over(AF_UNIX);
	unlink(un->path);
}

EACH_TEST(stream, bulk_tcp, bulk_tcp)
EACH_TEST(stream, bulk_tcp6, bulk_tcp6)
KERNEL_TEST(stream, bulk_unix, bulk_unix)

/* Two ends of one connection, without an echo in between. */
static void connect_pair(struct stream **a, struct stream **b)
{
	struct net_addr addr = rig_addr(AF_INET);

	cr_assert_eq(listener_open(&listener, &addr, false), 0);
	listener_addr(listener, &addr);
	cr_assert_eq(stream_connect(a, &addr, NS_PER_SEC), 0);
	cr_assert_eq(listener_accept(listener, b), 0);
	listener_close(listener);
}

static void end_of_stream(void *arg)
{
	struct stream *s, *peer;
	char c;

	connect_pair(&s, &peer);
	cr_assert_eq(rig_write(peer, "x", 1), 1);
	stream_close(peer);
	cr_assert_eq(rig_read(s, &c, 1), 1);
	cr_assert_eq(rig_read(s, &c, 1), 0);
	stream_close(s);
	rig_done();
}

/* After the peer closed, what it sent is read first and then the end. */
EACH_TEST(stream, end_of_stream, end_of_stream)

static struct stream *idle;
static int idle_result;

static void read_idle(void *arg)
{
	char c;
	struct iovec iov = {&c, 1};

	idle_result = (int)stream_readv(idle, &iov, 1);
	fiber_join_done(&served);
}

static void timeout_and_cancel(void *arg)
{
	struct iovec iov = {&idle_result, sizeof(idle_result)};
	uint64_t start = loop_now_ns(loop_current());

	idle = connect_to_echo(AF_INET);
	cr_assert_eq(stream_try_readv(idle, &iov, 1), ERR_AGAIN);
	stream_set_timeout(idle, 3 * NS_PER_MS);
	cr_assert_eq(stream_readv(idle, &iov, 1), ERR_TIMEDOUT);
	cr_assert_geq(loop_now_ns(loop_current()), start + 3 * NS_PER_MS);
	cr_assert_eq(stream_wait_readable(idle), ERR_TIMEDOUT);
	stream_set_timeout(idle, 0);
	rig_write(idle, "abc", 3);
	cr_assert_eq(stream_wait_readable(idle), 0);
	cr_assert_eq(rig_read(idle, &idle_result, 3), 3);
	fiber_join_add(&served, 1);
	fiber_spawn(read_idle, NULL);
	stream_cancel(idle);
	fiber_yield();
	fiber_yield();
	cr_assert_eq(idle_result, ERR_CANCELED);
	cr_assert_eq(rig_write(idle, "abc", 3), ERR_CANCELED);
	disconnect(idle);
	rig_done();
}

EACH_TEST(stream, timeout_and_cancel, timeout_and_cancel)

static void refused(void *arg)
{
	struct net_addr addr = rig_addr(AF_INET);
	struct stream *s;

	cr_assert_eq(listener_open(&listener, &addr, false), 0);
	listener_addr(listener, &addr);
	listener_close(listener);
	cr_assert_eq(stream_connect(&s, &addr, NS_PER_SEC), ERR_CONNREFUSED);
	rig_done();
}

EACH_TEST(stream, connect_refused, refused)

static void accept_canceled(void *arg)
{
	struct stream *s;

	idle_result = listener_accept(listener, &s);
	fiber_join_done(&served);
}

static void close_listener(void *arg)
{
	struct net_addr addr = rig_addr(AF_INET);

	cr_assert_eq(listener_open(&listener, &addr, true), 0);
	fiber_join_add(&served, 1);
	fiber_spawn(accept_canceled, NULL);
	fiber_sleep_ns(NS_PER_MS);
	listener_close(listener);
	fiber_join_wait(&served);
	cr_assert_eq(idle_result, ERR_CANCELED);
	rig_done();
}

EACH_TEST(stream, listener_close_ends_accept, close_listener)

static void broken_pipe(void *arg)
{
	struct stream *s, *peer;
	char block[4096] = {0};
	ssize_t n = 0;

	connect_pair(&s, &peer);
	stream_close(peer);
	for (int i = 0; i < 10000 && n >= 0; i++)
		n = rig_write(s, block, sizeof(block));
	cr_assert_eq(n, ERR_DISCONNECTED);
	stream_close(s);
	rig_done();
}

/* Writing to a peer that is gone gives ERR_DISCONNECTED and no signal. */
EACH_TEST(stream, peer_gone, broken_pipe)

static void accept_later(void *arg)
{
	cr_assert_eq(listener_accept(listener, &idle), 0);
	stream_close(idle);
	fiber_join_done(&served);
}

/* Uses up every descriptor; the last one but is the client's. */
static void no_descriptors(void *arg)
{
	struct net_addr addr = rig_addr(AF_INET);
	struct rlimit limit = {64, 64};
	struct stream *s;
	int fds[64], n = 0;

	log_set_level("loop", LOG_ERROR);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(listener_open(&listener, &addr, false), 0);
	listener_addr(listener, &addr);
	fiber_join_add(&served, 1);
	fiber_spawn(accept_later, NULL);
	while (n < 64 && (fds[n] = dup(0)) >= 0)
		n++;
	close(fds[--n]);
	cr_assert_eq(stream_connect(&s, &addr, NS_PER_SEC), 0);
	fiber_sleep_ns(20 * NS_PER_MS);
	cr_assert_eq(served.n_running, 1);
	while (n > 0)
		close(fds[--n]);
	fiber_join_wait(&served);
	stream_close(s);
	listener_close(listener);
	rig_done();
}

/* With no descriptor left a connection waits until there is one. */
KERNEL_TEST(stream, accept_without_descriptors, no_descriptors)

static void pass_fds(void *arg)
{
	int pair[2], fds[4], n_fds = 4, zero = open("/dev/zero", O_RDONLY);
	struct stream *a, *b;
	char text[8], byte = 1;
	uid_t uid;
	gid_t gid;
	pid_t pid;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(stream_adopt(&a, pair[0]), 0);
	cr_assert_eq(stream_adopt(&b, pair[1]), 0);
	cr_assert_eq(stream_send_fds(a, "hello", 6, &zero, 1), 0);
	cr_assert_eq(stream_recv_fds(b, text, sizeof(text), fds, &n_fds), 6);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(n_fds, 1);
	cr_assert_eq(read(fds[0], &byte, 1), 1);
	cr_assert_eq(byte, 0);
	cr_assert_eq(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	cr_assert_eq(stream_peer_cred(a, &uid, &gid, &pid), 0);
	cr_assert_eq(uid, getuid());
	cr_assert_eq(pid, getpid());
	close(fds[0]);
	close(zero);
	stream_close(a);
	stream_close(b);
	rig_done();
}

/* Descriptors and credentials travel over a Unix stream. */
KERNEL_TEST(stream, fds_and_credentials, pass_fds)

/* The peer's end comes with its last bytes, in one event: the read that takes the bytes must not hide the end. */
static void end_with_data(void *arg)
{
	struct stream *s = connect_to_echo(AF_INET);
	char buf[16];

	cr_assert_eq(rig_write(s, "ping", 4), 4);
	cr_assert_eq(rig_read(s, buf, 4), 4);
	cr_assert_eq(rig_write(s, "last", 4), 4);
	cr_assert_eq(shutdown(stream_fd(s), SHUT_WR), 0);
	stream_set_timeout(s, 5 * NS_PER_SEC);
	cr_assert_eq(rig_read(s, buf, 5), 4);
	disconnect(s);
	rig_done();
}

KERNEL_TEST(stream, an_end_that_comes_with_data_is_seen, end_with_data)
