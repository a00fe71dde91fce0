/*
 * Files by the worker pool: one blocking system call per operation, made on a worker. For the epoll
 * engine, and for what io_uring lacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/engine.h"

/* The arguments of one call; each operation uses the members that it needs. */
struct call {
	int fd, dirfd, flags, n_iov;
	const char *path, *to;
	const struct iovec *iov;
	uint64_t offset, size;
	mode_t mode;
	bool data_only;
	ssize_t n;
};

static int result(long ret)
{
	return ret >= 0 ? 0 : err_from_errno(errno);
}

static int do_open(void *arg)
{
	struct call *c = arg;

	c->fd = openat(c->dirfd, c->path, c->flags | O_CLOEXEC, c->mode);
	return result(c->fd);
}

static int pool_open(struct file *f, int dirfd, const char *path, int flags, mode_t mode)
{
	struct call c = {.dirfd = dirfd, .path = path, .flags = flags, .mode = mode};
	int err = loop_block(do_open, &c);

	f->fd = c.fd;
	return err;
}

static int do_preadv(void *arg)
{
	struct call *c = arg;

	c->n = preadv(c->fd, c->iov, c->n_iov, (off_t)c->offset);
	return result(c->n);
}

static ssize_t pool_preadv(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	struct call c = {.fd = f->fd, .iov = iov, .n_iov = n_iov, .offset = offset};
	int err = loop_block(do_preadv, &c);

	return err ? err : c.n;
}

static int do_pwritev(void *arg)
{
	struct call *c = arg;

	c->n = c->flags ? pwritev2(c->fd, c->iov, c->n_iov, (off_t)c->offset, c->flags)
	                : pwritev(c->fd, c->iov, c->n_iov, (off_t)c->offset);
	return result(c->n);
}

static ssize_t pool_pwritev(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	struct call c = {.fd = f->fd, .iov = iov, .n_iov = n_iov, .offset = offset};
	int err = loop_block(do_pwritev, &c);

	return err ? err : c.n;
}

static ssize_t pool_pwritev_durable(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	struct call c = {.fd = f->fd, .iov = iov, .n_iov = n_iov, .offset = offset, .flags = RWF_DSYNC};
	int err = loop_block(do_pwritev, &c);

	return err ? err : c.n;
}

static int do_sync(void *arg)
{
	struct call *c = arg;

	return result(c->data_only ? fdatasync(c->fd) : fsync(c->fd));
}

static int pool_sync(struct file *f, bool data_only)
{
	struct call c = {.fd = f->fd, .data_only = data_only};

	return loop_block(do_sync, &c);
}

static int do_truncate(void *arg)
{
	struct call *c = arg;

	return result(ftruncate(c->fd, (off_t)c->size));
}

static int pool_truncate(struct file *f, uint64_t size)
{
	struct call c = {.fd = f->fd, .size = size};

	return loop_block(do_truncate, &c);
}

/* A block device has its size elsewhere. */
static int do_size(void *arg)
{
	struct call *c = arg;
	struct stat st;

	if (fstat(c->fd, &st) != 0)
		return err_from_errno(errno);
	if (S_ISBLK(st.st_mode))
		return result(ioctl(c->fd, BLKGETSIZE64, &c->size));
	c->size = (uint64_t)st.st_size;
	return 0;
}

static int pool_size(struct file *f, uint64_t *size)
{
	struct call c = {.fd = f->fd};
	int err = loop_block(do_size, &c);

	*size = c.size;
	return err;
}

static int do_allocate(void *arg)
{
	struct call *c = arg;

	return result(fallocate(c->fd, c->flags, (off_t)c->offset, (off_t)c->size));
}

static int pool_allocate(struct file *f, int mode, uint64_t offset, uint64_t size)
{
	struct call c = {.fd = f->fd, .flags = mode, .offset = offset, .size = size};

	return loop_block(do_allocate, &c);
}

static int do_rename(void *arg)
{
	struct call *c = arg;

	return result(renameat(c->dirfd, c->path, c->dirfd, c->to));
}

static int pool_rename(int dirfd, const char *from, const char *to)
{
	struct call c = {.dirfd = dirfd, .path = from, .to = to};

	return loop_block(do_rename, &c);
}

static int do_unlink(void *arg)
{
	struct call *c = arg;

	return result(unlinkat(c->dirfd, c->path, 0));
}

static int pool_unlink(int dirfd, const char *path)
{
	struct call c = {.dirfd = dirfd, .path = path};

	return loop_block(do_unlink, &c);
}

/* dirfd may be AT_FDCWD or an O_PATH descriptor, which cannot be synced themselves. */
static int do_sync_dir(void *arg)
{
	struct call *c = arg;
	int fd = openat(c->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = result(fd < 0 ? -1 : fsync(fd));

	if (fd >= 0)
		close(fd);
	return err;
}

static int pool_sync_dir(int dirfd)
{
	struct call c = {.dirfd = dirfd};

	return loop_block(do_sync_dir, &c);
}

static int do_close(void *arg)
{
	struct call *c = arg;

	return result(close(c->fd));
}

static void pool_close(struct file *f)
{
	struct call c = {.fd = f->fd};

	if (loop_block(do_close, &c) == ERR_NOMEM)
		close(f->fd);
}

const struct file_ops file_pool = {
	.open = pool_open,
	.preadv = pool_preadv,
	.pwritev = pool_pwritev,
	.pwritev_durable = pool_pwritev_durable,
	.sync = pool_sync,
	.truncate = pool_truncate,
	.size = pool_size,
	.allocate = pool_allocate,
	.rename = pool_rename,
	.unlink = pool_unlink,
	.sync_dir = pool_sync_dir,
	.close = pool_close,
};
