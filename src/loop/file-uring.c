/*
 * Files by io_uring: each operation is one submission, its fiber parked until the completion. What older
 * kernels lack - ftruncate - or what is no operation - the size of a device - goes to the worker pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/engine-uring.h"
#include "loop/loop-impl.h"

struct call {
	struct uring_op op;
	struct fiber *fiber;
	int res;
	bool done;
};

static void call_done(struct loop *loop, struct uring_op *op, int res, uint32_t flags)
{
	struct call *c = container_of(op, struct call, op);

	c->res = res;
	c->done = true;
	fiber_wake(c->fiber);
}

/* With no entry free the kernel has fallen behind: let the loop turn until it has caught up. */
static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = uring_sqe(this_loop)))
		fiber_yield();
	return sqe;
}

static int await_call(struct io_uring_sqe *sqe)
{
	struct call c = {.op.done = call_done, .fiber = this_loop->current};

	io_uring_sqe_set_data(sqe, &c.op);
	while (!c.done)
		fiber_park();
	return c.res >= 0 ? c.res : err_from_errno(-c.res);
}

static int ring_open(struct file *f, int dirfd, const char *path, int flags, mode_t mode)
{
	struct io_uring_sqe *sqe = next_sqe();
	int fd;

	io_uring_prep_openat(sqe, dirfd, path, flags | O_CLOEXEC, mode);
	fd = await_call(sqe);
	f->fd = fd;
	return fd < 0 ? fd : 0;
}

static ssize_t ring_preadv(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_readv(sqe, f->fd, iov, (unsigned int)n_iov, offset);
	return await_call(sqe);
}

static ssize_t ring_pwritev(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_writev(sqe, f->fd, iov, (unsigned int)n_iov, offset);
	return await_call(sqe);
}

static ssize_t ring_pwritev_durable(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_writev2(sqe, f->fd, iov, (unsigned int)n_iov, offset, RWF_DSYNC);
	return await_call(sqe);
}

static int ring_sync(struct file *f, bool data_only)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_fsync(sqe, f->fd, data_only ? IORING_FSYNC_DATASYNC : 0);
	return await_call(sqe);
}

static int ring_truncate(struct file *f, uint64_t size)
{
	return file_pool.truncate(f, size);
}

static int ring_size(struct file *f, uint64_t *size)
{
	return file_pool.size(f, size);
}

static int ring_allocate(struct file *f, int mode, uint64_t offset, uint64_t size)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_fallocate(sqe, f->fd, mode, (off_t)offset, (off_t)size);
	return await_call(sqe);
}

static int ring_rename(int dirfd, const char *from, const char *to)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_renameat(sqe, dirfd, from, dirfd, to, 0);
	return await_call(sqe);
}

static int ring_unlink(int dirfd, const char *path)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_unlinkat(sqe, dirfd, path, 0);
	return await_call(sqe);
}

static int ring_sync_dir(int dirfd)
{
	struct file dir;
	int err = ring_open(&dir, dirfd, ".", O_RDONLY | O_DIRECTORY, 0);

	if (err)
		return err;
	err = ring_sync(&dir, false);
	close(dir.fd);
	return err;
}

static void ring_close(struct file *f)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_close(sqe, f->fd);
	await_call(sqe);
}

const struct file_ops file_uring = {
	.open = ring_open,
	.preadv = ring_preadv,
	.pwritev = ring_pwritev,
	.pwritev_durable = ring_pwritev_durable,
	.sync = ring_sync,
	.truncate = ring_truncate,
	.size = ring_size,
	.allocate = ring_allocate,
	.rename = ring_rename,
	.unlink = ring_unlink,
	.sync_dir = ring_sync_dir,
	.close = ring_close,
};
