/*
 * Reading and writing. Reads of what the page cache holds and small writes run inline; the rest goes to
 * a worker, as do writes while they are seen to wait (a full journal, too many dirty pages).
 */
#include "backends/linux/linux.h"

#include <string.h>
#include <sys/uio.h>

#define INLINE_WRITE_MAX 65536u

struct io_job {
	struct linux_node *node;
	int fd;
	struct iovec *iov;
	int n_iov;
	uint64_t offset;
	uint64_t size;
	int flags; /* RWF_* */
	ssize_t done;
};

/* Drops the first n bytes of the vector. */
static void advance(struct io_job *job, size_t n)
{
	job->offset += n;
	job->done += (ssize_t)n;
	while (job->n_iov && n >= job->iov->iov_len) {
		n -= job->iov->iov_len;
		job->iov++;
		job->n_iov--;
	}
	if (job->n_iov) {
		job->iov->iov_base = (char *)job->iov->iov_base + n;
		job->iov->iov_len -= n;
	}
}

/* Reads until the vector is full or the file ends. */
static int read_job(void *arg)
{
	struct io_job *job = arg;
	while (job->n_iov) {
		ssize_t n = preadv2(job->fd, job->iov, job->n_iov, (off_t)job->offset, job->flags);
		if (n < 0)
			return errno == EINTR ? ERR_AGAIN : linux_error();
		if (n == 0)
			return 0;
		advance(job, (size_t)n);
	}
	return 0;
}

static int read_all(struct linux_store *s, struct io_job *job)
{
	int err = ERR_AGAIN;
	if (s->local) {
		job->flags = s->in_memory ? 0 : RWF_NOWAIT;
		err = read_job(job);
		job->flags = 0;
	}
	while (err == ERR_AGAIN || err == ERR_NOTSUPP)
		err = loop_block(read_job, job);
	return err;
}

/* The file may have shrunk behind our back: what was promised is filled with zeros. */
static void clear_rest(const struct io_job *job)
{
	for (int i = 0; i < job->n_iov; i++)
		memset(job->iov[i].iov_base, 0, job->iov[i].iov_len);
}

static int read_small(struct vfs_call *call, struct vfs_node *node, struct io_job *job)
{
	uint8_t bytes[OP_INLINE_MAX];
	struct iovec iov = {bytes, job->size};
	job->iov = &iov;
	job->n_iov = 1;
	int err = read_all(linux_store(node->mount), job);
	if (err)
		return err;
	clear_rest(job);
	return vfs_call_bytes(call, bytes, (uint32_t)job->size);
}

struct read_chunks {
	uint32_t chunks[OP_IO_MAX / PAGE_CHUNK_SIZE];
	struct iovec iov[OP_IO_MAX / PAGE_CHUNK_SIZE];
	int n;
};

/*
 * Claims each chunk as a whole although the last is filled in part: clearing the rest would cost more than
 * a small read. What is behind the answer is seen only by who maps the whole arena anyway.
 */
static int alloc_chunks(struct pages *pages, struct read_chunks *c, uint64_t size)
{
	for (; size; c->n++) {
		uint32_t part = (uint32_t)MIN(size, PAGE_CHUNK_SIZE);
		int err = part == PAGE_CHUNK_SIZE ? pages_alloc_whole(pages, &c->chunks[c->n])
		                                  : pages_alloc(pages, 0, PAGE_CHUNK_SIZE, &c->chunks[c->n]);
		if (err)
			return err == ERR_NOSPC ? ERR_DELAY : err;
		c->iov[c->n].iov_base = pages_base(pages) + pages_offset(c->chunks[c->n]);
		c->iov[c->n].iov_len = part;
		size -= part;
	}
	return 0;
}

static int read_large(struct vfs_call *call, struct vfs_node *node, struct io_job *job)
{
	struct pages *pages = node->mount->pages;
	struct read_chunks c = {.n = 0};
	uint64_t left = job->size;
	int given = 0;
	int err = alloc_chunks(pages, &c, job->size);
	if (!err) {
		job->iov = c.iov;
		job->n_iov = c.n;
		err = read_all(linux_store(node->mount), job);
	}
	if (!err)
		clear_rest(job);
	for (; !err && given < c.n; given++) {
		uint32_t part = (uint32_t)MIN(left, PAGE_CHUNK_SIZE);
		err = vfs_call_chunk(call, c.chunks[given], 0, part);
		left -= part;
	}
	for (int i = given; i < c.n; i++)
		pages_put(pages, c.chunks[i]);
	return err;
}

int linux_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size)
{
	if (node->base)
		return linux_stream_read(call, node, offset, size);
	struct linux_node *n = linux_node(node);
	struct io_job job = {.node = n, .fd = linux_io_fd(n, false), .offset = offset, .size = size};
	if (job.fd < 0)
		return job.fd;
	if (size > OP_IO_MAX)
		return ERR_INVAL;
	return size <= OP_INLINE_MAX ? read_small(call, node, &job) : read_large(call, node, &job);
}

static int write_job(void *arg)
{
	struct io_job *job = arg;
	while (job->n_iov) {
		ssize_t n = pwritev2(job->fd, job->iov, job->n_iov, (off_t)job->offset, job->flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return linux_error();
		advance(job, (size_t)n);
	}
	return 0;
}

/* Inline as long as that is seen to be quick. ERR_AGAIN: something is left for a worker. */
static int write_inline(struct linux_store *s, struct io_job *job)
{
	int err = ERR_NOTSUPP;
	if (!s->local || job->flags || (job->size > INLINE_WRITE_MAX && !s->in_memory) || linux_is_slow(&s->writes))
		return ERR_AGAIN;
	if (!s->in_memory && !atomic_load_explicit(&s->no_nowait_write, memory_order_relaxed)) {
		job->flags = RWF_NOWAIT;
		err = write_job(job);
		job->flags = 0;
		if (err == ERR_NOTSUPP)
			atomic_store(&s->no_nowait_write, true);
	}
	return err != ERR_NOTSUPP ? err : linux_paced(&s->writes, write_job, job);
}

static const int stability_flags[] = {
	[WRITE_UNSTABLE] = 0,
	[WRITE_DATA_SYNC] = RWF_DSYNC,
	[WRITE_FILE_SYNC] = RWF_DSYNC | RWF_SYNC,
};

int linux_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w)
{
	if (node->base)
		return linux_stream_write(node, w);
	struct linux_node *n = linux_node(node);
	struct linux_store *s = linux_store(node->mount);
	struct iovec iov[OP_SEGS_MAX];
	struct io_job job = {.node = n, .fd = linux_io_fd(n, true), .offset = w->offset, .size = w->size, .iov = iov};
	if (job.fd < 0)
		return job.fd;
	if (w->n_iov > OP_SEGS_MAX || w->stability >= ARRAY_SIZE(stability_flags))
		return ERR_INVAL;
	memcpy(iov, w->iov, (size_t)w->n_iov * sizeof(*iov));
	job.n_iov = w->n_iov;
	job.flags = stability_flags[w->stability];
	int err = write_inline(s, &job);
	if (err == ERR_AGAIN)
		err = loop_block(write_job, &job);
	linux_touch(n);
	return err;
}

static int commit_job(void *arg)
{
	struct io_job *job = arg;
	return fdatasync(job->fd) ? linux_error() : 0;
}

int linux_commit(struct vfs_node *node, uint64_t offset, uint64_t size)
{
	if (node->base)
		return linux_stream_commit(node);
	struct linux_node *n = linux_node(node);
	struct io_job job = {.fd = linux_io_fd(n, false)};
	int err = job.fd < 0 ? job.fd : loop_block(commit_job, &job);
	/* The kernel has dropped what it could not write: clients have to send it again. */
	if (err == ERR_IO || err == ERR_NOSPC || err == ERR_DQUOT)
		__atomic_add_fetch(&node->mount->verifier, 1, __ATOMIC_RELAXED);
	return err;
}
