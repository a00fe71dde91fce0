/*
 * Shows what cairn does when the file system below fails: fault DIR [seed=N] [all=1].
 *
 * A store is filled and copied. For each kind of operation and each kind of fault, the first call below that can fail so
 * fails, in a fresh copy; then the second; and so on until the operation makes no more. It has to answer clearly,
 * other files have to be unharmed, and after a new start the operation has happened or not, all else is as it was,
 * and the store is sound and works.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/power/draw.h"
#include "tests/crash/power/record.h"
#include "tests/crash/power/verify.h"
#include "tests/crash/power/workload.h"

enum { STEPS_BEFORE = 24, NTH_MAX = 200, CASE_SECONDS_MAX = 30, CASE_MOUNT = N_STEP_KINDS, CASE_UNMOUNT, N_CASES };

struct test {
	struct run *run;        /* what filled the store; shared with children */
	char dir[128];
	char store[160];        /* a copy */
	int kind;               /* enum step_kind, or CASE_ */
	enum record_fault fault;
	uint32_t nth;
	uint64_t random;
	/* of the child */
	struct model *model;
	struct op_handle shared[N_SHARED];
	struct worker worker, other;
	uint32_t n_bad;
	bool hit;
};

enum { CHILD_PASSED, CHILD_NOT_REACHED, CHILD_FAILED };

static const char *const fault_names[] = {"", "EIO", "EIO after all", "ENOSPC", "short", "corrupt"};
static const char *const store_options[] = STORE_OPTIONS;

static const char *case_name(int kind)
{
	struct step s = {.kind = (uint8_t)kind};
	return kind == CASE_MOUNT ? "mount" : kind == CASE_UNMOUNT ? "unmount" : step_name(&s);
}

static void bad(struct test *t, const char *what, int err)
{
	t->n_bad++;
	fprintf(stderr, "%s (%s)\n", what, err_text(err));
}

/* ---- the store's copies */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void copy_store(const struct test *t)
{
	char command[400];
	nftw(t->store, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	snprintf(command, sizeof(command), "cp -a --sparse=always '%s' '%s'", t->run->dir, t->store);
	if (system(command))
		abort();
}

/* ---- one case */

static void rebuild_model(struct test *t)
{
	t->model = model_create();
	for (uint32_t i = 0; i < t->run->n_steps; i++) {
		model_begin(t->model, &t->run->steps[i]);
		model_end(t->model, &t->run->steps[i]);
	}
}

static int find_shared(struct test *t, struct rig *r)
{
	static const char *const names[N_SHARED] = SHARED_NAMES;
	int err = 0;
	for (unsigned i = 0; !err && i < N_SHARED; i++) {
		err = rig_lookup(r, &r->root, names[i]);
		t->shared[i] = r->made;
	}
	return err;
}

static int ready_worker(struct test *t, struct worker *w, const struct rig *r, unsigned index)
{
	*w = (struct worker){.run = t->run, .rig = *r, .model = t->model, .part = &t->model->parts[index], .index = index,
	                     .random = t->random, .shared = t->shared, .bytes = malloc(FILE_MAX)};
	return worker_find(w);
}

static bool is_clear(const struct test *t, int err)
{
	switch (t->fault) {
	case FAULT_ENOSPC: return err == ERR_NOSPC || err == ERR_IO;
	case FAULT_SHORT: return err == ERR_NOSPC || err == ERR_IO;
	default: return err == ERR_IO;
	}
}

/* A name that is there already, or is gone already: the first try did it. */
static bool was_done(const struct step *s, int err)
{
	bool of_name = s->kind < STEP_CHMOD || (s->kind >= STEP_MAKE_STREAM && s->kind <= STEP_REMOVE_STREAM);
	return of_name && (err == ERR_EXIST || err == ERR_NOENT);
}

/* A store that could not write its journal or tables accepts nothing until it is opened again, and says why. */
static bool has_had_enough(const struct test *t, int err)
{
	return err == ERR_IO || (t->fault == FAULT_ENOSPC && err == ERR_NOSPC);
}

/* After a fault: another's write, then a look, unless the store has had enough; then all says so. */
static bool still_works(struct test *t)
{
	struct step *more = &t->run->steps[t->run->n_steps + 1];
	if (!worker_draw(&t->other, more, STEP_WRITE))
		return false;
	more->stability = WRITE_FILE_SYNC;
	int err = worker_do(&t->other, more);
	if (err && !has_had_enough(t, err))
		bad(t, "another file cannot be written", err);
	if (!err && !verify_store(&t->other.rig, t->model, true, 0))
		bad(t, "after the fault", 0);
	return !err;
}

static void try_again(struct test *t, struct step *s)
{
	int err = worker_again(&t->worker, s);
	if (err && !has_had_enough(t, err) && !was_done(s, err))
		bad(t, "trying again", err);
}

static void run_step(struct test *t, struct rig *r)
{
	struct step *s = &t->run->steps[t->run->n_steps];
	const char *call;
	int err = find_shared(t, r);
	if (!err)
		err = ready_worker(t, &t->worker, r, 0);
	if (!err)
		err = ready_worker(t, &t->other, r, 1);
	if (err)
		bad(t, "the store is not as it was", err);
	if (err || !worker_draw(&t->worker, s, t->kind))
		return;
	record_fail(t->fault, t->nth);
	err = worker_do(&t->worker, s);
	t->hit = record_fail_hit(&call);
	record_fail(FAULT_NONE, 0);
	if (err && (!t->hit || !is_clear(t, err)))
		bad(t, "the answer is not clear", err);
	if (t->hit && still_works(t) && err)
		try_again(t, s);
	if (!t->hit && !verify_store(r, t->model, true, 0))
		bad(t, "after the operation", 0);
	if (t->hit && t->n_bad)
		fprintf(stderr, "it was %s that failed\n", call);
}

/* Something unstable, so that there is something to store. */
static void dirty_something(struct test *t, struct rig *r)
{
	struct step *s = &t->run->steps[t->run->n_steps];
	if (find_shared(t, r) || ready_worker(t, &t->worker, r, 0) || !worker_draw(&t->worker, s, STEP_WRITE))
		return;
	s->stability = WRITE_UNSTABLE;
	worker_do(&t->worker, s);
}

/* Opens, works, closes; the fault comes where the case wants it. */
static void use_store(struct test *t)
{
	struct rig r;
	const char *call;
	record_fail(t->kind == CASE_MOUNT ? t->fault : FAULT_NONE, t->nth);
	int err = rig_open(&r, t->store, store_options, true);
	t->hit = record_fail_hit(&call);
	record_fail(FAULT_NONE, 0);
	if (err && (t->kind != CASE_MOUNT || !t->hit))
		bad(t, "the store cannot be opened", err);
	if (!err && t->kind == CASE_MOUNT && !verify_store(&r, t->model, true, 0) && t->fault != FAULT_CORRUPT)
		bad(t, "after mounting", 0);
	if (!err && t->kind < N_STEP_KINDS)
		run_step(t, &r);
	if (!err && t->kind == CASE_UNMOUNT) {
		dirty_something(t, &r);
		record_fail(t->fault, t->nth);
	}
	rig_close(&r);
	if (t->kind == CASE_UNMOUNT)
		t->hit = record_fail_hit(&call);
	record_fail(FAULT_NONE, 0);
}

static void look_again(struct test *t)
{
	struct rig r;
	if (rig_open(&r, t->store, store_options, false))
		bad(t, "the store cannot be opened again", 0);
	else if (!verify_store(&r, t->model, true, 0))
		bad(t, "after a new start", 0);
	rig_close(&r);
	if (!verify_sound(t->store, true))
		bad(t, "after a new start", 0);
}

static void run_case(void *arg)
{
	struct test *t = arg;
	rebuild_model(t);
	use_store(t);
	look_again(t);
	if (t->run->n_failed)
		bad(t, "a read lied", 0);
}

/* In a child: it may die. */
static int try_case(struct test *t)
{
	struct record_log *log = record_create(1 << 16, 256 << 20);
	int status;
	copy_store(t);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(CASE_SECONDS_MAX);
		record_start(log, t->dir);
		rig_in_loop(&t->run->engine, run_case, t);
		_exit(t->n_bad ? CHILD_FAILED : t->hit ? CHILD_PASSED : CHILD_NOT_REACHED);
	}
	waitpid(pid, &status, 0);
	record_free(log);
	if (WIFSIGNALED(status))
		fprintf(stderr, "died of signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_FAILED;
}

/* One kind of operation and of fault: how many calls were made to fail. */
static uint32_t try_all(struct test *t, uint32_t *n_failed)
{
	uint32_t n = 0;
	for (t->nth = 1; t->nth < NTH_MAX; t->nth++) {
		int result = try_case(t);
		if (result == CHILD_NOT_REACHED)
			break;
		n++;
		if (result == CHILD_PASSED)
			continue;
		fprintf(stderr, "FAIL %s, %s at call %u, seed %llu\n", case_name(t->kind), fault_names[t->fault], t->nth,
		        (unsigned long long)t->run->seed);
		++*n_failed;
	}
	return n;
}

/* ---- the store */

static void fill_store(void *arg)
{
	workload_run(arg);
}

static bool make_store(struct run *run)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		rig_in_loop(&run->engine, fill_store, run);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status == 0 && run->n_failed == 0;
}

static void run_seed(const char *dir, uint64_t seed, bool uring, uint32_t *n_passed, uint32_t *n_failed)
{
	struct run *run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct test t = {.run = run, .random = hash_u64(seed)};
	uint32_t before = *n_failed, n = 0, each[FAULT_CORRUPT + 1] = {0};
	*run = (struct run){.seed = seed, .n_steps_wanted = STEPS_BEFORE, .unmounts = true, .options = store_options};
	run->engine.uring = uring;
	snprintf(t.dir, sizeof(t.dir), "%s", dir);
	snprintf(run->dir, sizeof(run->dir), "%.100s/full", dir);
	snprintf(t.store, sizeof(t.store), "%s/store", dir);
	nftw(run->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (!make_store(run)) {
		fprintf(stderr, "the store cannot be filled\n");
		++*n_failed;
		return;
	}
	for (t.kind = 0; t.kind < N_CASES; t.kind++)
		for (t.fault = FAULT_EIO; t.fault <= FAULT_CORRUPT; t.fault++)
			each[t.fault] += try_all(&t, n_failed);
	printf("seed %llu%s:", (unsigned long long)seed, uring ? " by io_uring" : "");
	for (unsigned i = FAULT_EIO; i <= FAULT_CORRUPT; i++) {
		printf(" %u %s%s", each[i], fault_names[i], i < FAULT_CORRUPT ? "," : "\n");
		n += each[i];
	}
	*n_passed += n - (*n_failed - before);
	munmap(run, sizeof(*run));
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	uint32_t n_seeds = argc > 3 ? (uint32_t)atoi(argv[3]) : 1, n_passed = 0, n_failed = 0;
	if (argc < 2 || strlen(argv[1]) > 80) {
		fprintf(stderr, "usage: fault DIR [SEED [SEEDS]]\n");
		return 2;
	}
	for (uint32_t i = 0; i < n_seeds && n_failed == 0; i++)
		for (unsigned uring = 0; uring <= rig_has_uring() && n_failed == 0; uring++)
			run_seed(argv[1], seed + i, uring, &n_passed, &n_failed);
	printf("%u passed, %u failed, 0 skipped\n", n_passed, n_failed);
	return n_failed != 0;
}
