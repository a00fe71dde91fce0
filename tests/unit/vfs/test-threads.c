/*
 * Shows that threads that change the same directories neither deadlock nor corrupt: random renames across a small
 * tree, creates, links, removals, writes and reads from several loops at once, with mounts coming and going.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "loop/loop.h"
#include "tests/unit/vfs/harness.h"

#define N_THREADS 4
#define N_FIBERS 4
#define N_OPS 30000
#define N_DIRS 6
#define N_NAMES 8

TestSuite(threads, .timeout = 120);

static struct vfs *vfs;
static struct op_handle dirs[N_DIRS];
static uint64_t free_at_start;

struct worker {
	struct bench bench; /* its own session */
	uint64_t seed;
	uint32_t n_running;
};

struct fiber_arg {
	struct worker *w;
	uint64_t seed;
};

static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33) % n;
}

static bool expected(int err)
{
	static const int errors[] = {0, ERR_NOENT, ERR_EXIST, ERR_NOTEMPTY, ERR_INVAL, ERR_NOTDIR, ERR_ISDIR, ERR_STALE, ERR_PERM};
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i] == err)
			return true;
	return false;
}

static void random_name(uint64_t *seed, char name[8])
{
	snprintf(name, 8, "n%u", draw(seed, N_NAMES));
}

/* The directories of the tree move too, but none is replaced. */
static int random_rename(struct bench *b, uint64_t *seed, const struct op_handle *from, const struct op_handle *to)
{
	char name[8], other[8];
	random_name(seed, name);
	random_name(seed, other);
	if (draw(seed, 2))
		snprintf(name, sizeof(name), "d%u", draw(seed, N_DIRS));
	if (draw(seed, 4) == 0)
		snprintf(other, sizeof(other), "d%u", draw(seed, N_DIRS));
	return bench_rename(b, from, name, to, other, other[0] == 'd' ? 1 + draw(seed, 2) : draw(seed, 3));
}

static int random_op(struct bench *b, uint64_t *seed)
{
	const struct op_handle *dir = &dirs[draw(seed, N_DIRS)], *to = &dirs[draw(seed, N_DIRS)];
	char name[8], other[8], data[5000];
	struct op_handle obj;
	uint32_t size = sizeof(data);
	random_name(seed, name);
	random_name(seed, other);
	switch (draw(seed, 9)) {
	case 0:
		return bench_mkdir(b, dir, name, 0755, NULL);
	case 1:
		return bench_remove(b, dir, name);
	case 2:
	case 3:
		return random_rename(b, seed, dir, to);
	case 4: {
		int err = bench_create(b, dir, name, 0644, &obj);
		return err ? err : bench_write(b, &obj, draw(seed, 200000), data, sizeof(data));
	}
	case 5: {
		int err = bench_lookup(b, dir, name, &obj);
		return err ? err : bench_read(b, &obj, 0, data, &size);
	}
	case 6: {
		int err = bench_lookup(b, dir, name, &obj);
		if (err)
			return err;
		struct op *op = bench_op(b, OP_link, &obj);
		op->obj2 = *to;
		op_set_str(op, &op->in.link.name, other, strlen(other));
		return bench_go(b);
	}
	case 7:
		return bench_lookup(b, dir, "..", NULL);
	default:
		bench_op(b, OP_parent, to);
		return bench_go(b);
	}
}

static void fiber_body(void *arg)
{
	struct fiber_arg *f = arg;
	struct worker *w = f->w;
	struct bench *b = calloc(1, sizeof(*b));
	*b = w->bench;
	for (int i = 0; i < N_OPS; i++) {
		int err = random_op(b, &f->seed);
		if (!expected(err)) {
			/* An assertion would jump out of this thread's stack. */
			fprintf(stderr, "%s: %s\n", op_info(b->op.code)->name, err_name(err));
			abort();
		}
		if (i % 16 == 0)
			fiber_yield();
	}
	free(b);
	free(f);
	if (--w->n_running == 0)
		loop_stop(loop_current());
}

static void *thread_body(void *arg)
{
	struct worker *w = arg;
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct vfs_session_config session = {.role = 1, .name = "thread"};
	struct loop *loop;
	cr_assert_eq(loop_create(&loop, &cfg), 0);
	cr_assert_eq(vfs_session_create(vfs, &session, &w->bench.session), 0);
	w->bench.vfs = vfs;
	w->n_running = N_FIBERS;
	for (int i = 0; i < N_FIBERS; i++) {
		struct fiber_arg *f = calloc(1, sizeof(*f));
		*f = (struct fiber_arg){w, w->seed * 100 + (uint64_t)i};
		cr_assert_eq(fiber_start(loop, fiber_body, f), 0);
	}
	loop_run(loop);
	loop_destroy(loop);
	return NULL;
}

static uint64_t free_bytes(struct bench *b)
{
	struct op *op = bench_op(b, OP_statfs, &b->root);
	cr_assert_eq(bench_go(b), 0);
	return op->out.statfs.statfs.free_bytes;
}

/* A tree of three levels, so that ancestors and strangers are both among the directories. */
static void make_tree(struct bench *b)
{
	free_at_start = free_bytes(b);
	dirs[0] = b->root;
	for (uint32_t i = 1; i < N_DIRS; i++) {
		char name[8];
		snprintf(name, sizeof(name), "d%u", i);
		cr_assert_eq(bench_mkdir(b, &dirs[(i - 1) / 2], name, 0755, &dirs[i]), 0);
	}
}

/* Removes everything below dir that can be listed; nothing may be left that can't. */
static void remove_tree(struct bench *b, const struct op_handle *dir, int depth)
{
	static char rooms[64][16384];
	char *room = rooms[depth];
	cr_assert_lt(depth, 63);
	for (;;) {
		struct op *op = bench_op(b, OP_readdir, dir);
		op->in.readdir.want = ATTR_TYPE;
		bench_payload(b, room, 16384);
		cr_assert_eq(bench_go(b), 0);
		uint32_t n = op->out.readdir.n_entries, at = 0;
		if (n == 0)
			return;
		for (uint32_t i = 0; i < n; i++) {
			const struct op_dirent *d = (const struct op_dirent *)(room + at);
			char name[OP_NAME_MAX + 1];
			snprintf(name, sizeof(name), "%.*s", (int)d->name_size, (const char *)(d + 1));
			if (d->attr.type == OP_TYPE_DIR)
				remove_tree(b, &d->obj, depth + 1);
			cr_assert_eq(bench_remove(b, dir, name), 0);
			at += d->record_size;
		}
	}
}

static void setup(struct bench *b)
{
	struct worker workers[N_THREADS] = {0};
	pthread_t threads[N_THREADS];
	char *why;
	vfs = b->vfs;
	make_tree(b);
	for (uint32_t i = 0; i < N_THREADS; i++) {
		workers[i].seed = i + 1;
		cr_assert_eq(pthread_create(&threads[i], NULL, thread_body, &workers[i]), 0);
	}
	/* Meanwhile mounts come and go. */
	for (uint32_t i = 0; i < 50; i++) {
		struct vfs_mount_spec spec = {10 + i, "other", "memfs", false, NULL};
		cr_assert_eq(vfs_mount(vfs, &spec, &why), 0);
		fiber_sleep_ns(NS_PER_MS);
		cr_assert_eq(vfs_unmount(vfs, "other"), 0);
	}
	for (uint32_t i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], NULL);
		vfs_session_destroy(workers[i].bench.session);
	}
	remove_tree(b, &b->root, 0);
	cr_expect_eq(free_bytes(b), free_at_start);
	struct op *op = bench_op(b, OP_statfs, &b->root);
	cr_assert_eq(bench_go(b), 0);
	cr_expect_eq(op->out.statfs.statfs.free_files + 1, op->out.statfs.statfs.total_files, "only the root is left");
}

Test(threads, random_changes_from_all_sides)
{
	bench_run(NULL, setup);
}
