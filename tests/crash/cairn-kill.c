/*
 * Shows that a store whose process is killed at any moment opens again without repair, has all that was
 * acknowledged as stable and nothing half done: cairn-kill DIR ROUNDS [SEED].
 *
 * A child works on the store in several fibers, each in a directory of its own, and writes into memory that it
 * shares with this process what it is about to do and when that was acknowledged. It is killed after some
 * milliseconds; another child opens the store and compares. What was under way may be done or not, but not in part.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "tests/unit/cairn/harness.h"
#include "tests/unit/cairn/tables.h"

enum { WORKERS = 6, NAMES = 12, SIZE_MAX_LOG = 18 };

/* A file: absent with a seed of 0; else its bytes follow from the seed. */
struct content {
	uint32_t seed;
	uint32_t size;
};

/* What a worker is doing: name a becomes a_new, name b b_new (rename; else b is a). */
struct pending {
	uint32_t active;
	uint32_t a, b;
	struct content a_new, b_new;
};

struct worker_log {
	struct content names[NAMES];
	struct pending pending;
	uint64_t n_acknowledged;
};

struct log {
	struct worker_log workers[WORKERS];
	uint32_t n_failed;
};

struct job {
	struct bench bench;
	struct log *log;
	uint64_t random;
	struct fiber_join join;
};

struct worker {
	struct job *job;
	uint32_t index;
	uint64_t random;
};

static uint32_t draw(uint64_t *state, uint32_t n)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(hash_u64(*state) >> 32) % n;
}

static void fill(struct content c, uint8_t *data)
{
	for (uint32_t i = 0; i < c.size; i += 8) {
		uint64_t word = hash_u64((uint64_t)c.seed << 32 | i);
		memcpy(data + i, &word, MIN(c.size - i, 8u));
	}
}

static void fail(struct log *log, const char *what, uint32_t worker, uint32_t name, int err)
{
	fprintf(stderr, "worker %u, name %u: %s (%s)\n", worker, name, what, err_text(err));
	log->n_failed++;
}

/* ---- the child that works */

static void begin(struct worker_log *w, struct pending p)
{
	p.active = 0;
	w->pending = p;
	__atomic_store_n(&w->pending.active, 1, __ATOMIC_RELEASE);
}

static void acknowledge(struct worker_log *w)
{
	const struct pending *p = &w->pending;
	w->names[p->b] = p->b_new;
	w->names[p->a] = p->a_new;
	w->n_acknowledged++;
	__atomic_store_n(&w->pending.active, 0, __ATOMIC_RELEASE);
}

/* Creating and filling a file are two operations: between them it is there and empty. */
static int write_whole(struct vfs_node *dir, struct worker_log *w, const char *name, uint32_t a, struct content c)
{
	struct vfs_node *node;
	int err = 0;
	if (!w->names[a].seed) {
		struct content empty = {c.seed, 0};
		begin(w, (struct pending){0, a, a, empty, empty});
		err = bench_make(dir, name, OP_TYPE_FILE, &node);
		if (!err)
			acknowledge(w);
	} else {
		err = bench_lookup(dir, name, &node);
	}
	if (err)
		return err;
	uint8_t *data = malloc(c.size + 8);
	fill(c, data);
	/* Overwriting a longer file leaves its end: the size that counts is set apart. */
	if (w->names[a].size > c.size) {
		struct content empty = {c.seed, 0};
		begin(w, (struct pending){0, a, a, empty, empty});
		err = bench_truncate(node, 0);
		if (!err)
			acknowledge(w);
	}
	begin(w, (struct pending){0, a, a, c, c});
	if (!err && draw(&(uint64_t){c.seed}, 3) == 0) {
		uint32_t half = c.size / 2;
		err = half ? bench_write(node, 0, data, half, WRITE_UNSTABLE) : 0;
		if (!err)
			err = bench_write(node, half, data + half, c.size - half, WRITE_FILE_SYNC);
	} else if (!err) {
		err = bench_write(node, 0, data, c.size, WRITE_FILE_SYNC);
	}
	if (!err)
		acknowledge(w);
	free(data);
	vfs_node_put(node);
	return err;
}

static int step(struct worker *me, struct vfs_node *dir)
{
	struct worker_log *w = &me->job->log->workers[me->index];
	uint32_t a = draw(&me->random, NAMES), b = draw(&me->random, NAMES), what = draw(&me->random, 8);
	char from[16], to[16];
	int err;
	snprintf(from, sizeof(from), "f%u", a);
	snprintf(to, sizeof(to), "f%u", b);
	if (what < 5 || !w->names[a].seed) {
		uint32_t size = 1 + draw(&me->random, 1u << (6 + draw(&me->random, SIZE_MAX_LOG - 5)));
		return write_whole(dir, w, from, a, (struct content){draw(&me->random, UINT32_MAX - 1) + 1, size});
	}
	if (what == 5 || a == b) {
		begin(w, (struct pending){0, a, a, {0, 0}, {0, 0}});
		err = bench_remove(dir, from);
	} else {
		begin(w, (struct pending){0, a, b, {0, 0}, w->names[a]});
		err = bench_rename(dir, from, to);
	}
	if (!err)
		acknowledge(w);
	return err;
}

static int open_dir(struct bench *b, uint32_t index, struct vfs_node **dir)
{
	char name[16];
	snprintf(name, sizeof(name), "w%u", index);
	int err = bench_lookup(b->m->root, name, dir);
	return err == ERR_NOENT ? bench_make(b->m->root, name, OP_TYPE_DIR, dir) : err;
}

static void run_worker(void *arg)
{
	struct worker *me = arg;
	struct vfs_node *dir;
	int err = open_dir(&me->job->bench, me->index, &dir);
	while (!err)
		err = step(me, dir);
	fail(me->job->log, "an operation failed", me->index, 0, err);
	fiber_join_done(&me->job->join);
}

static bool mount_store(struct job *job)
{
	static const char *const options[] = {"create=yes", "capacity=1G", NULL};
	char *why;
	int err = bench_mount(&job->bench, options, &why);
	if (err) {
		fprintf(stderr, "mount: %s: %s\n", err_text(err), why ? why : "");
		job->log->n_failed++;
	}
	free(why);
	return err == 0;
}

static void work(void *arg)
{
	struct job *job = arg;
	struct worker workers[WORKERS];
	if (!mount_store(job))
		return;
	for (uint32_t i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){job, i, hash_u64(job->random + i)};
		fiber_join_add(&job->join, 1);
		fiber_start(loop_current(), run_worker, &workers[i]);
	}
	fiber_join_wait(&job->join);
}

/* ---- the child that verifies */

static bool holds(struct job *job, struct vfs_node *dir, uint32_t name, struct content c, const uint8_t *wanted)
{
	char text[16];
	struct vfs_node *node;
	struct op_attr attr;
	snprintf(text, sizeof(text), "f%u", name);
	int err = bench_lookup(dir, text, &node);
	if (err)
		return err == ERR_NOENT && c.seed == 0;
	uint8_t *data = malloc(c.size + 8);
	bool same = c.seed != 0 && bench_attr(node, &attr) == 0 && attr.size == c.size &&
	            (c.size == 0 || bench_read(&job->bench, node, 0, data, c.size) == 0) &&
	            memcmp(data, wanted, c.size) == 0;
	free(data);
	vfs_node_put(node);
	return same;
}

static bool is_content(struct job *job, struct vfs_node *dir, uint32_t name, struct content c)
{
	uint8_t *wanted = malloc(c.size + 8);
	fill(c, wanted);
	bool same = holds(job, dir, name, c, wanted);
	free(wanted);
	return same;
}

/* Whether what was under way is done; it is settled in the log. */
static void settle(struct job *job, uint32_t index, struct vfs_node *dir)
{
	struct worker_log *w = &job->log->workers[index];
	struct pending *p = &w->pending;
	if (!p->active)
		return;
	bool done = is_content(job, dir, p->a, p->a_new) && is_content(job, dir, p->b, p->a == p->b ? p->a_new : p->b_new);
	if (done)
		acknowledge(w);
	p->active = 0;
}

static void verify_worker(struct job *job, uint32_t index)
{
	struct worker_log *w = &job->log->workers[index];
	struct vfs_node *dir;
	uint32_t n_there = 0;
	int err = open_dir(&job->bench, index, &dir);
	if (err) {
		fail(job->log, "the directory is gone", index, 0, err);
		return;
	}
	settle(job, index, dir);
	for (uint32_t i = 0; i < NAMES; i++) {
		n_there += w->names[i].seed != 0;
		if (!is_content(job, dir, i, w->names[i]))
			fail(job->log, "is not as acknowledged", index, i, 0);
	}
	if (bench_names(dir, NULL, NULL) != n_there)
		fail(job->log, "the directory lists something else", index, 0, 0);
	vfs_node_put(dir);
}

static void verify(void *arg)
{
	struct job *job = arg;
	if (!mount_store(job))
		return;
	for (uint32_t i = 0; i < WORKERS; i++)
		verify_worker(job, i);
	bench_unmount(&job->bench);
	if (!tables_agree(job->bench.dir))
		job->log->n_failed++;
}

/* ---- rounds */

static pid_t start(struct job *job, void (*body)(void *arg))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid)
		return pid;
	bench_in_loop(body, job);
	_exit(0);
}

static bool run_round(struct job *job, uint64_t *random)
{
	int status;
	job->random = hash_u64(*random);
	pid_t pid = start(job, work);
	usleep(20000 + draw(random, 400000));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	pid = start(job, verify);
	waitpid(pid, &status, 0);
	return status == 0 && job->log->n_failed == 0;
}

int main(int argc, char **argv)
{
	struct job job = {.log = mmap(NULL, sizeof(struct log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
	uint32_t rounds = argc > 2 ? (uint32_t)atoi(argv[2]) : 0, i;
	uint64_t random = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)getpid(), n = 0;
	if (argc < 3 || strlen(argv[1]) >= sizeof(job.bench.dir)) {
		fprintf(stderr, "usage: cairn-kill DIR ROUNDS [SEED]\n");
		return 2;
	}
	strcpy(job.bench.dir, argv[1]);
	printf("seed %llu\n", (unsigned long long)random);
	for (i = 0; i < rounds && run_round(&job, &random); i++)
		;
	for (uint32_t k = 0; k < WORKERS; k++)
		n += job.log->workers[k].n_acknowledged;
	printf("%llu operations acknowledged, %u of %u kills survived\n", (unsigned long long)n, i, rounds);
	printf("%u passed, %u failed, 0 skipped\n", i, i < rounds);
	return i < rounds;
}
