/* Space within files: reserving, punching, zeroing, finding holes, copying inside the store. */
#include "backends/linux/linux.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COPY_STEP (64u << 20) /* a worker is not kept longer than this many bytes take */

struct space_job {
	struct linux_node *node;
	int mode; /* of fallocate(2), or the whence of lseek(2) */
	uint64_t offset;
	uint64_t size;
	struct linux_node *to;
	uint64_t to_offset;
};

static int fallocate_job(void *arg)
{
	struct space_job *job = arg;
	int fd = linux_io_fd_here(job->node, true);
	if (fd < 0)
		return fd;
	return fallocate(fd, job->mode, (off_t)job->offset, (off_t)job->size) ? linux_error() : 0;
}

/* Where ranges cannot be zeroed in place (tmpfs), a hole that is filled again reads the same. */
static int zero_job(void *arg)
{
	struct space_job *job = arg;
	int keep_size = job->mode & FALLOC_FL_KEEP_SIZE;
	int err = fallocate_job(job);
	if (err != ERR_NOTSUPP)
		return err;
	job->mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	err = fallocate_job(job);
	job->mode = keep_size;
	return err ? err : fallocate_job(job);
}

static int change_space(struct vfs_node *node, int mode, uint64_t offset, uint64_t size)
{
	struct space_job job = {.node = linux_node(node), .mode = mode, .offset = offset, .size = size};
	if (size > INT64_MAX || offset > INT64_MAX - size)
		return ERR_FBIG;
	int err = loop_block(mode & FALLOC_FL_ZERO_RANGE ? zero_job : fallocate_job, &job);
	linux_touch(job.node);
	return err;
}

int linux_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size)
{
	if (node->base)
		return linux_stream_allocate(node, offset, size, keep_size);
	return change_space(node, keep_size ? FALLOC_FL_KEEP_SIZE : 0, offset, size);
}

int linux_deallocate(struct vfs_node *node, uint64_t offset, uint64_t size)
{
	if (node->base)
		return linux_stream_zero(node, offset, size, false);
	return change_space(node, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, MIN(size, INT64_MAX - offset));
}

int linux_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size)
{
	if (node->base)
		return linux_stream_zero(node, offset, size, !keep_size);
	return change_space(node, FALLOC_FL_ZERO_RANGE | (keep_size ? FALLOC_FL_KEEP_SIZE : 0), offset, size);
}

static int seek_job(void *arg)
{
	struct space_job *job = arg;
	int fd = linux_io_fd_here(job->node, false);
	off_t found = fd < 0 ? 0 : lseek(fd, (off_t)job->offset, job->mode);
	if (fd < 0)
		return fd;
	if (found < 0)
		return linux_error();
	job->offset = (uint64_t)found;
	return 0;
}

int linux_seek(struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found)
{
	struct op_attr attr;
	if (node->base) {
		int gone = linux_stream_getattr(node, &attr);
		*found = what == SEEK_TO_DATA ? offset : attr.size;
		return gone;
	}
	struct space_job job = {.node = linux_node(node), .offset = offset};
	job.mode = what == SEEK_TO_DATA ? SEEK_DATA : SEEK_HOLE;
	int err = loop_block(seek_job, &job);
	*found = job.offset;
	return err;
}

static int copy_job(void *arg)
{
	struct space_job *job = arg;
	off_t from_at = (off_t)job->offset, to_at = (off_t)job->to_offset;
	int from = linux_io_fd_here(job->node, false);
	int to = linux_io_fd_here(job->to, true);
	if (from < 0 || to < 0)
		return MIN(from, to);
	ssize_t n = copy_file_range(from, &from_at, to, &to_at, MIN(job->size, COPY_STEP), 0);
	if (n < 0)
		return errno == EXDEV || errno == EINVAL ? ERR_NOTSUPP : linux_error();
	job->size = (uint64_t)n;
	return 0;
}

static int clone_job(void *arg)
{
	struct space_job *job = arg;
	struct file_clone_range range = {.src_offset = job->offset, .src_length = job->size, .dest_offset = job->to_offset};
	int from = linux_io_fd_here(job->node, false);
	int to = linux_io_fd_here(job->to, true);
	if (from < 0 || to < 0)
		return MIN(from, to);
	range.src_fd = from;
	if (ioctl(to, FICLONERANGE, &range) == 0)
		return 0;
	return errno == ENOTTY || errno == EXDEV || errno == ENOSYS ? ERR_NOTSUPP : linux_error();
}

int linux_clone(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t size)
{
	if (from->base || to->base)
		return ERR_NOTSUPP;
	struct space_job job = {
		.node = linux_node(from), .offset = offset, .size = size, .to = linux_node(to), .to_offset = to_offset,
	};
	int err = loop_block(clone_job, &job);
	linux_touch(job.to);
	return err;
}

int linux_copy(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t *size)
{
	if (from->base || to->base)
		return ERR_NOTSUPP;
	struct space_job job = {
		.node = linux_node(from), .offset = offset, .size = *size, .to = linux_node(to), .to_offset = to_offset,
	};
	int err = loop_block(copy_job, &job);
	linux_touch(job.to);
	if (!err)
		*size = job.size;
	return err;
}
