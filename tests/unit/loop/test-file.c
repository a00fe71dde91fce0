/* Shows that files are written, read, synced, sized, allocated, renamed and removed; and that blocking calls run elsewhere. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/loop/rig.h"

static int open_dir(char *path, size_t size)
{
	int fd;

	snprintf(path, size, "/tmp/chimera-test-file.%d", (int)getpid());
	mkdir(path, 0700);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

static void use_file(int dir, const char *name)
{
	char a[] = "hello ", b[] = "world", back[32] = {0};
	struct iovec out[2] = {{a, 6}, {b, 5}}, in[2] = {{back, 3}, {back + 3, 20}};
	struct file *f;
	uint64_t size;

	cr_assert_eq(file_open(&f, dir, "absent", O_RDONLY, 0), ERR_NOENT);
	cr_assert_eq(file_open(&f, dir, name, O_RDWR | O_CREAT | O_EXCL, 0600), 0);
	cr_assert_eq(file_pwritev(f, out, 1, 5), 6);
	cr_assert_eq(file_pwritev_durable(f, &out[1], 1, 11), 5);
	cr_assert_eq(file_preadv(f, in, 2, 5), 11);
	cr_assert_str_eq(back, "hello world");
	cr_assert_eq(file_preadv(f, in, 2, 100), 0);
	cr_assert_eq(file_size(f, &size), 0);
	cr_assert_eq(size, 16);
	cr_assert_eq(file_sync(f, true), 0);
	cr_assert_eq(file_sync(f, false), 0);
	cr_assert_eq(file_truncate(f, 7), 0);
	cr_assert_eq(file_preadv(f, in, 2, 0), 7);
	cr_assert_eq(memcmp(back, "\0\0\0\0\0he", 7), 0);
	cr_assert_eq(file_allocate(f, 0, 0, 65536), 0);
	cr_assert_eq(file_size(f, &size), 0);
	cr_assert_eq(size, 65536);
	file_close(f);
}

static void files(void *arg)
{
	char path[64];
	int dir = open_dir(path, sizeof(path));
	struct file *f;

	use_file(dir, "one");
	cr_assert_eq(file_open(&f, dir, "one", O_RDWR | O_CREAT | O_EXCL, 0600), ERR_EXIST);
	cr_assert_eq(file_rename(dir, "one", "two"), 0);
	cr_assert_eq(file_rename(dir, "one", "two"), ERR_NOENT);
	cr_assert_eq(file_sync_dir(dir), 0);
	cr_assert_eq(file_open(&f, dir, "two", O_RDONLY, 0), 0);
	file_close(f);
	cr_assert_eq(file_unlink(dir, "two"), 0);
	cr_assert_eq(file_unlink(dir, "two"), ERR_NOENT);
	close(dir);
	rmdir(path);
	rig_done();
}

EACH_TEST(file, whole_life, files)

#define N_JOBS 200

static struct fiber_join jobs;
static pthread_t loop_thread;
static uint32_t n_blocked;

static int block(void *arg)
{
	cr_assert(!pthread_equal(pthread_self(), loop_thread));
	__atomic_add_fetch(&n_blocked, 1, __ATOMIC_RELAXED);
	return (int)(intptr_t)arg;
}

static void block_one(void *arg)
{
	cr_assert_eq(loop_block(block, arg), (int)(intptr_t)arg);
	fiber_join_done(&jobs);
}

static void block_many(void *arg)
{
	loop_thread = pthread_self();
	fiber_join_add(&jobs, N_JOBS);
	for (intptr_t i = 0; i < N_JOBS; i++)
		fiber_spawn(block_one, (void *)i);
	fiber_join_wait(&jobs);
	cr_assert_eq(n_blocked, N_JOBS);
	rig_done();
}

/* Blocking calls run on other threads and bring back their own results. */
KERNEL_TEST(file, blocking_calls, block_many)
