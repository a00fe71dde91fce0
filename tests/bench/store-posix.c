/*
 * Files of the host through plain system calls, one thread for each operation in flight. What a server has to make
 * durable before it answers is synced: a new file and its directory, the directory that lost a name, the bytes
 * of a stable write (pwritev2 with RWF_DSYNC, the cheapest way there is).
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/store-load.h"

enum { LIST_MAX = 256 << 10, RECORD_MEAN = 32 };

static int top_fd = -1, dir_fd = -1, file_fd = -1;

static void posix_open(const struct store_options *opt)
{
	top_fd = open(opt->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top_fd < 0)
		err(1, "%s", opt->dir);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(TAKE_FD(*fd));
}

static void posix_close(void)
{
	close_fd(&file_fd);
	close_fd(&dir_fd);
	close_fd(&top_fd);
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;

	w->own = aligned_alloc(STORE_BLOCK, STORE_IO_MAX);
	if (!w->own)
		err(1, "no memory");
	worker_body(w);
	free(TAKE(w->own));
	return NULL;
}

static void posix_run(struct worker *workers, unsigned n)
{
	pthread_t threads[STORE_WORKERS_MAX];

	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, thread_main, &workers[i]) != 0)
			errx(1, "no thread");
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static int posix_pids(pid_t pids[2])
{
	pids[0] = getpid();
	return 1;
}

/* The kernel's inodes and names, among others. */
static uint64_t posix_memory(void)
{
	return bench_proc_bytes("/proc/meminfo", "SReclaimable:");
}

/* ---- names */

static void posix_enter(struct worker *w, const char *dir)
{
	close_fd(&dir_fd);
	mkdirat(top_fd, dir, 0755);
	dir_fd = openat(top_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		err(1, "%s", dir);
}

static int make(const char *name)
{
	int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "create %s", name);
	return fd;
}

static void posix_create(struct worker *w, const char *name)
{
	int fd = make(name);

	if (fsync(fd) != 0 || fsync(dir_fd) != 0)
		err(1, "fsync");
	close(fd);
}

static void posix_add(struct worker *w, const char *name)
{
	close(make(name));
}

static void posix_stat(struct worker *w, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		err(1, "stat %s", name);
}

static void posix_remove(struct worker *w, const char *name)
{
	if (unlinkat(dir_fd, name, 0) != 0 || fsync(dir_fd) != 0)
		err(1, "unlink %s", name);
}

static unsigned posix_list(struct worker *w, uint64_t *cookie, unsigned n, bool attributes)
{
	size_t room = MIN((size_t)n * RECORD_MEAN, (size_t)LIST_MAX);
	unsigned found = 0;

	lseek(dir_fd, (off_t)*cookie, SEEK_SET);
	long size = syscall(SYS_getdents64, dir_fd, w->own, room);
	if (size < 0)
		err(1, "getdents64");
	for (long at = 0; at < size; found++) {
		const struct dirent64 *e = (void *)((char *)w->own + at);
		struct stat st;
		if (attributes)
			fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW);
		*cookie = (uint64_t)e->d_off;
		at += e->d_reclen;
	}
	return found;
}

/* ---- the large file */

static void posix_open_file(struct worker *w, const char *name)
{
	close_fd(&file_fd);
	file_fd = openat(top_fd, name, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	if (file_fd < 0)
		err(1, "%s", name);
}

static void posix_read(struct worker *w, uint64_t offset, uint32_t size)
{
	if (pread(file_fd, w->own, size, (off_t)offset) != (ssize_t)size)
		err(1, "read");
}

static void posix_write(struct worker *w, uint64_t offset, uint32_t size, bool durable)
{
	struct iovec iov = {store_payload, size};

	if (pwritev2(file_fd, &iov, 1, (off_t)offset, durable ? RWF_DSYNC : 0) != (ssize_t)size)
		err(1, "write");
}

static void posix_commit(struct worker *w)
{
	if (fdatasync(file_fd) != 0)
		err(1, "fdatasync");
}

static void posix_sync(struct worker *w)
{
	if (syncfs(top_fd) != 0)
		err(1, "syncfs");
}

const struct target posix_target = {
	.name = "posix",
	.open = posix_open,
	.close = posix_close,
	.run = posix_run,
	.pids = posix_pids,
	.memory = posix_memory,
	.enter = posix_enter,
	.create = posix_create,
	.add = posix_add,
	.stat = posix_stat,
	.remove = posix_remove,
	.list = posix_list,
	.open_file = posix_open_file,
	.read = posix_read,
	.write = posix_write,
	.commit = posix_commit,
	.sync = posix_sync,
};
