/* The rig of the loop's tests. */
#include "tests/unit/loop/rig.h"

#include <stdio.h>
#include <unistd.h>

enum loop_engine rig_engine;

void rig_run(fiber_fn *fn, void *arg)
{
	struct loop_config cfg = {.engine = rig_engine, .spin_us_max = 20, .sim_seed = 1};
	struct loop *loop;
	int err = loop_create(&loop, &cfg);

	if (err == ERR_NOTSUPP && rig_engine == LOOP_IO_URING)
		cr_skip_test("io_uring is not allowed here");
	cr_assert_eq(err, 0);
	cr_assert_eq(fiber_start(loop, fn, arg), 0);
	loop_run(loop);
	loop_destroy(loop);
}

void rig_done(void)
{
	loop_stop(loop_current());
}

struct net_addr rig_addr(int family)
{
	struct net_addr addr;
	char text[64];

	snprintf(text, sizeof(text), "unix:/tmp/chimera-test-loop.%d", (int)getpid());
	cr_assert_eq(net_addr_parse(family == AF_INET    ? "127.0.0.1:0"
	                            : family == AF_INET6 ? "[::1]:0"
	                                                 : text,
	                            &addr),
	             0);
	return addr;
}

ssize_t rig_read(struct stream *s, void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		struct iovec iov = {(char *)data + done, size - done};
		ssize_t n = stream_readv(s, &iov, 1);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t rig_write(struct stream *s, const void *data, size_t size)
{
	struct iovec iov = {(void *)data, size};

	return stream_writev(s, &iov, 1);
}
