/*
 * Shows what cairn does when the file system below fails: fault DIR [SEED [SEEDS [OPERATION]]]. 0 SEEDS: a sample of one.
 *
 * A store is filled, and copied as a crash leaves it. For each kind of operation and each kind of fault, the first call below that can fail so
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

#include "backends/cairn/cairn-check.h"
#include "base/err.h"
#include "tests/crash/power/draw.h"
#include "tests/crash/power/record.h"
#include "tests/crash/power/verify.h"
#include "tests/crash/power/workload.h"

enum {
	SAMPLE_AFTER = 4, SAMPLE_STEP = 3, STEPS_BEFORE = 24, STEPS_PREPARING_MAX = 12, NTH_MAX = 200, CASE_SECONDS_MAX = 30,
	BACKGROUND_MS_MAX = 500, ENOUGH_SHARE = 20,
	CASE_MOUNT = N_STEP_KINDS, CASE_UNMOUNT, CASE_REPAIR, N_CASES
};

struct test {
	struct run *run;        /* what filled the store; shared with children */
	char dir[128];
	char store[160];        /* a copy */
	int kind;               /* enum step_kind, or CASE_ */
	enum record_fault fault;
	uint32_t nth;
	uint64_t random;
	uint32_t *n_enough;     /* stores that accepted nothing more; shared with children */
	/* of the child */
	struct model *model;
	struct op_handle shared[N_SHARED];
	struct worker workers[WORKERS]; /* the first makes the step, the second works on */
	uint32_t n_steps;               /* of the run's */
	uint32_t n_bad;
	bool hit, done;
	const char *call;               /* that failed */
	bool sample;                    /* not each call is made to fail */
};

enum { CHILD_PASSED, CHILD_NOT_REACHED, CHILD_FAILED };

static const char *const fault_names[] = {"", "EIO", "EIO after all", "ENOSPC", "short", "corrupt"};
static const char *const store_options[] = STORE_OPTIONS;

static const char *case_name(int kind)
{
	struct step s = {.kind = (uint8_t)kind};
	static const char *const names[] = {"mount", "unmount", "repair"};
	return kind >= N_STEP_KINDS ? names[kind - N_STEP_KINDS] : step_name(&s);
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

static int ready_workers(struct test *t, struct rig *r)
{
	int err = find_shared(t, r);
	for (unsigned i = 0; !err && i < WORKERS; i++) {
		struct worker *w = &t->workers[i];
		*w = (struct worker){.run = t->run, .rig = *r, .model = t->model, .part = &t->model->parts[i], .index = i,
		                     .random = t->random, .shared = t->shared, .all = t->workers, .bytes = malloc(FILE_MAX)};
		err = worker_find(w);
	}
	return err;
}

static struct step *next_step(struct test *t)
{
	return &t->run->steps[t->n_steps++];
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
	bool of_name = s->kind < STEP_CHMOD || (s->kind >= STEP_MAKE_STREAM && s->kind <= STEP_REMOVE_STREAM) || s->kind >= STEP_SNAPSHOT;
	return of_name && (err == ERR_EXIST || err == ERR_NOENT);
}

/*
 * A store whose engine failed in the last write of a transaction, or that is half rolled back, accepts nothing until it is opened
 * again. The former is one write of many, and does not count here.
 */
static bool has_had_enough(const struct test *t, int err)
{
	*t->n_enough += err == ERR_IO && strcmp(t->call, RECORD_COMMIT) != 0;
	return err == ERR_IO || (t->kind == STEP_ROLL_BACK && err == ERR_ROFS);
}

/* After a fault: another's write, then a look, unless the store has had enough; then all says so. */
static bool still_works(struct test *t)
{
	struct worker *other = &t->workers[1];
	struct step *more = next_step(t);
	if (!worker_draw(other, more, STEP_WRITE))
		return false;
	more->stability = WRITE_FILE_SYNC;
	int err = worker_do(other, more);
	if (err && !has_had_enough(t, err))
		bad(t, "another file cannot be written", err);
	if (!err && !verify_store(&other->rig, t->model, true, 0))
		bad(t, "after the fault", 0);
	return !err;
}

static void try_again(struct test *t, struct step *s)
{
	int err = worker_again(&t->workers[0], s);
	if (err && !has_had_enough(t, err) && !was_done(s, err))
		bad(t, "trying again", err);
}

/* What has to have been done for a step of a kind to make sense. */
static const uint8_t needs[N_STEP_KINDS] = {
	[STEP_LINK] = STEP_CREATE, [STEP_EXCHANGE] = STEP_CREATE, [STEP_REMOVE_XATTR] = STEP_SET_XATTR, [STEP_RENAME_STREAM] = STEP_MAKE_STREAM,
	[STEP_REMOVE_STREAM] = STEP_MAKE_STREAM, [STEP_REMOVE_ACL] = STEP_SET_ACL, [STEP_COPY] = STEP_WRITE, [STEP_CLONE] = STEP_WRITE,
	[STEP_CLOSE] = STEP_OPEN, [STEP_DROP_SNAPSHOT] = STEP_SNAPSHOT, [STEP_ROLL_BACK] = STEP_SNAPSHOT,
};

static int do_before(struct test *t, int kind)
{
	struct step *s = next_step(t);
	return worker_draw(&t->workers[0], s, kind) ? worker_do(&t->workers[0], s) : 0;
}

/* Every other time there is a snapshot, for which old versions are to be kept. What it had and a file more has changed since. */
static bool prepare(struct test *t, struct step **s)
{
	static const uint8_t since[] = {STEP_WRITE, STEP_SET_ACL, STEP_TRUNCATE, STEP_RENAME, STEP_CREATE};
	bool snapshot = t->kind == STEP_ROLL_BACK || t->kind == STEP_DROP_SNAPSHOT || (t->kind != STEP_SNAPSHOT && hash_u64(t->random + (uint64_t)t->kind) % 2);
	int err = snapshot ? do_before(t, STEP_SNAPSHOT) : 0;
	for (unsigned i = 0; !err && snapshot && i < ARRAY_SIZE(since); i++)
		err = do_before(t, since[i]);
	for (int i = 0; !err && i < STEPS_PREPARING_MAX; i++) {
		*s = next_step(t);
		if (worker_draw(&t->workers[0], *s, t->kind))
			return true;
		err = do_before(t, i % 2 ? STEP_CREATE : needs[t->kind]);
	}
	bad(t, "such an operation cannot be prepared", err);
	return false;
}

static void note_removed(void *arg, const char *name, bool whole)
{
	(void)name;
	*(bool *)arg |= !whole;
}

/* Whether something goes on behind the answer: a scrub, or giving back what a removed snapshot held. */
static bool is_busy(struct rig *r)
{
	struct scrub_state scrub;
	bool removed = false;
	rig_scrub_state(r, &scrub);
	return scrub.run == SCRUB_RUNNING || (!rig_list_snapshots(r, note_removed, &removed) && removed);
}

/* What was to go on in the background meets the fault too, or has ended. */
static void await_background(struct test *t, struct rig *r)
{
	const char *call;
	bool frees = t->kind == STEP_REMOVE || t->kind == STEP_RENAME || t->kind == STEP_CLOSE || t->kind == STEP_REMOVE_STREAM;
	for (int i = 0; i < BACKGROUND_MS_MAX && !record_fail_hit(&call) && (is_busy(r) || (frees && i < 5)); i++)
		fiber_sleep_ns(NS_PER_MS);
}

static void run_step(struct test *t, struct rig *r)
{
	struct step *s;
	const char *call;
	int err = ready_workers(t, r);
	if (err)
		bad(t, "the store is not as it was", err);
	t->run->snapshots = true;
	if (err || !prepare(t, &s))
		return;
	t->done = true;
	record_fail(t->fault, t->nth);
	err = worker_do(&t->workers[0], s);
	if (!err)
		await_background(t, r);
	t->hit = record_fail_hit(&call);
	t->call = t->hit ? call : "";
	record_fail(FAULT_NONE, 0);
	t->model->scrub_failed = t->hit && t->kind == STEP_SCRUB;
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
	struct step *s = next_step(t);
	if (ready_workers(t, r) || !worker_draw(&t->workers[0], s, STEP_WRITE))
		return;
	s->stability = WRITE_UNSTABLE;
	worker_do(&t->workers[0], s);
}

/* ---- repairs */

static bool take_key(void *arg, const struct meta_record *r)
{
	*(struct meta_key *)arg = *r->key;
	return false;
}

/* What can be told from the rest: an entry's place in the order of listing, counts. */
static int damage(const char *store)
{
	char dir[200];
	struct meta_config cfg = {.dir = dir, .size_max = 1ULL << 30};
	struct meta_key key = meta_key_pair(0, 0);
	struct meta_txn txn;
	struct meta *meta;
	snprintf(dir, sizeof(dir), "%s/meta", store);
	int err = meta_open(&meta, &cfg);
	if (err)
		return err;
	err = meta_scan(meta, META_ORDER, &key, META_FROM, take_key, &key);
	meta_begin(&txn);
	meta_delete(&txn, META_ORDER, &key);
	meta_add(&txn, META_N_BLOCKS, 3);
	meta_add(&txn, META_N_INODES, 5);
	err = err ? err : meta_commit(meta, &txn);
	meta_close(meta);
	return err;
}

static int repair(const struct test *t, uint64_t *n_found)
{
	struct check_options opt = {.path = t->store, .repair = CHECK_ALL, .data = true};
	struct check_report report = {.n_found = 0};
	char *why = NULL;
	int err = cairn_check(&opt, &report, &why);
	*n_found = report.n_found;
	check_report_fini(&report);
	free(why);
	return err;
}

/* A repair that fails is made again; then all is there. A bit that is wrong for once is looked at again before anything is given up for it. */
static void repair_store(struct test *t)
{
	uint64_t n_found;
	const char *call;
	int err = damage(t->store);
	if (err)
		bad(t, "the store cannot be damaged", err);
	t->done = true;
	record_fail(t->fault, t->nth);
	err = repair(t, &n_found);
	t->hit = record_fail_hit(&call);
	record_fail(FAULT_NONE, 0);
	if (err && (!t->hit || !is_clear(t, err)))
		bad(t, "the answer is not clear", err);
	if (!err && !n_found)
		bad(t, "damage is not found", 0);
	err = repair(t, &n_found);
	if (err)
		bad(t, "the second repair", err);
	if (t->hit && t->n_bad)
		fprintf(stderr, "it was %s that failed\n", call);
}

/* Opens, works, closes; the fault comes where the case wants it. */
static void use_store(struct test *t)
{
	struct rig r;
	const char *call;
	if (t->kind == CASE_REPAIR) {
		repair_store(t);
		return;
	}
	record_fail(t->kind == CASE_MOUNT ? t->fault : FAULT_NONE, t->nth);
	int err = rig_open(&r, t->store, store_options, true);
	t->hit = record_fail_hit(&call);
	record_fail(FAULT_NONE, 0);
	if (err && (t->kind != CASE_MOUNT || !t->hit))
		bad(t, "the store cannot be opened", err);
	t->done |= t->kind >= N_STEP_KINDS;
	if (!err && t->kind == CASE_MOUNT && !verify_store(&r, t->model, true, 0))
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
	t->n_steps = t->run->n_steps;
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
		_exit(t->n_bad || !t->done ? CHILD_FAILED : t->hit ? CHILD_PASSED : CHILD_NOT_REACHED);
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
	for (t->nth = 1; t->nth < NTH_MAX; t->nth += t->sample && t->nth > SAMPLE_AFTER ? SAMPLE_STEP : 1) {
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

/* only: a case's name; NULL: all. */
static bool is_wanted(int kind, const char *only)
{
	/* Counting looks at all of the store, as others do. */
	return only ? strcmp(case_name(kind), only) == 0 : kind != STEP_COUNT;
}

struct wanted {
	const char *dir;
	const char *only;
	uint64_t seed;
	bool uring;
	bool sample;
};

static void run_seed(const struct wanted *w, uint32_t *n_passed, uint32_t *n_failed)
{
	struct run *run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct test t = {.run = run, .random = hash_u64(w->seed), .sample = w->sample};
	t.n_enough = mmap(NULL, sizeof(*t.n_enough), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t before = *n_failed, n = 0, each[FAULT_CORRUPT + 1] = {0};
	*run = (struct run){.seed = w->seed, .n_steps_wanted = STEPS_BEFORE, .syncs = true, .options = store_options};
	run->engine.uring = w->uring;
	snprintf(t.dir, sizeof(t.dir), "%s", w->dir);
	snprintf(run->dir, sizeof(run->dir), "%.100s/full", w->dir);
	snprintf(t.store, sizeof(t.store), "%s/store", w->dir);
	nftw(run->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (!make_store(run)) {
		fprintf(stderr, "the store cannot be filled\n");
		++*n_failed;
		return;
	}
	for (t.kind = 0; t.kind < N_CASES; t.kind++) {
		if (!is_wanted(t.kind, w->only))
			continue;
		for (t.fault = FAULT_EIO; t.fault <= FAULT_CORRUPT; t.fault++)
			each[t.fault] += try_all(&t, n_failed);
	}
	printf("seed %llu%s:", (unsigned long long)w->seed, w->uring ? " by io_uring" : "");
	for (unsigned i = FAULT_EIO; i <= FAULT_CORRUPT; i++) {
		printf(" %u %s%s", each[i], fault_names[i], i < FAULT_CORRUPT ? "," : "\n");
		n += each[i];
	}
	if (*t.n_enough > n / ENOUGH_SHARE) {
		fprintf(stderr, "FAIL %u of %u stores had to be opened again\n", *t.n_enough, n);
		++*n_failed;
	}
	*n_passed += n - MIN(n, *n_failed - before);
	munmap(t.n_enough, sizeof(*t.n_enough));
	munmap(run, sizeof(*run));
}

int main(int argc, char **argv)
{
	struct wanted w = {.seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL), .only = argc > 4 ? argv[4] : NULL};
	uint32_t n_seeds = argc > 3 ? (uint32_t)atoi(argv[3]) : 1, n_passed = 0, n_failed = 0;
	if (argc < 2 || strlen(argv[1]) > 80) {
		fprintf(stderr, "usage: fault DIR [SEED [SEEDS [OPERATION]]]\n");
		return 2;
	}
	w.dir = argv[1];
	w.sample = n_seeds == 0;
	unsigned n_engines = w.sample ? 1 : 1 + rig_has_uring();
	for (uint32_t i = 0; i < MAX(n_seeds, 1u) && n_failed == 0; i++, w.seed++)
		for (unsigned uring = 0; uring < n_engines && n_failed == 0; uring++) {
			w.uring = uring;
			run_seed(&w, &n_passed, &n_failed);
		}
	printf("%u passed, %u failed, 0 skipped\n", n_passed, n_failed);
	return n_failed != 0;
}
