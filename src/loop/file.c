/* Files: the calls of loop.h, passed on to the engine of the loop that makes them. */
#include <stdlib.h>

#include "base/err.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

static const struct file_ops *ops(void)
{
	return this_loop->engine->file;
}

static struct file *create(void)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f)
		f->fd = -1;
	return f;
}

int file_open(struct file **out, int dirfd, const char *path, int flags, mode_t mode)
{
	struct file *f = create();
	int err;

	if (!f)
		return ERR_NOMEM;
	err = ops()->open(f, dirfd, path, flags, mode);
	if (err) {
		free(f);
		return err;
	}
	*out = f;
	return 0;
}

int file_adopt(struct file **out, int fd)
{
	struct file *f;

	if (sim_loop())
		return ERR_NOTSUPP;
	f = create();
	if (!f)
		return ERR_NOMEM;
	f->fd = fd;
	*out = f;
	return 0;
}

int file_fd(const struct file *f)
{
	return f->fd;
}

ssize_t file_preadv(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	return ops()->preadv(f, iov, n_iov, offset);
}

ssize_t file_pwritev(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	return ops()->pwritev(f, iov, n_iov, offset);
}

ssize_t file_pwritev_durable(struct file *f, const struct iovec *iov, int n_iov, uint64_t offset)
{
	return ops()->pwritev_durable(f, iov, n_iov, offset);
}

int file_sync(struct file *f, bool data_only)
{
	return ops()->sync(f, data_only);
}

int file_truncate(struct file *f, uint64_t size)
{
	return ops()->truncate(f, size);
}

int file_size(struct file *f, uint64_t *size)
{
	return ops()->size(f, size);
}

int file_allocate(struct file *f, int mode, uint64_t offset, uint64_t size)
{
	return ops()->allocate(f, mode, offset, size);
}

int file_rename(int dirfd, const char *from, const char *to)
{
	return ops()->rename(dirfd, from, to);
}

int file_unlink(int dirfd, const char *path)
{
	return ops()->unlink(dirfd, path);
}

int file_sync_dir(int dirfd)
{
	return ops()->sync_dir(dirfd);
}

void file_close(struct file *f)
{
	ops()->close(f);
	free(f);
}
