/*
 * Shows that a cairn store survives a loss of power at any moment: power DIR [OPTION=VALUE...].
 *
 * A child works on a store while every write, flush and change of a name below is recorded, and every answer between
 * them. Then, for many points of that log, what the disk may have held if the power had been cut there is made in DIR (disk.h),
 * opened as after any crash, and compared with what was answered before (verify.h). Some are cut once more
 * while they are opened, some are worked on and opened again.
 *
 * Options: seed; cuts (0: each record of the log); steps of each worker; lazy=1: answers need not last until fsync, as with
 * FUSE; lie: 1 to 4, see enum record_lie, which must be found; engine: 1: file calls are made by threads, 2: by io_uring, 0: as the
 * seed has it; faults=1: calls below fail now and then while it works; hours: repeat with other seeds that long.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/cairn/cairn-cut.h"
#include "tests/crash/power/disk.h"
#include "tests/crash/power/draw.h"
#include "tests/crash/power/verify.h"
#include "tests/crash/power/workload.h"

enum { JOBS = 2, JOB_SECONDS_MAX = 60, PURGE_MS_MAX = 10000, RECLAIMED_AT_ONCE = 2, RECORDS_MAX = 1 << 20, FAILURES_MAX = 10 };
#define DATA_MAX (4ULL << 30)

enum engine { ENGINE_ANY, ENGINE_POOL, ENGINE_URING };

struct options {
	const char *dir;
	uint64_t seed;
	uint32_t n_cuts;
	uint32_t n_steps;
	bool lazy;
	enum record_lie lie;
	enum engine engine;
	bool faults;
	double hours;
};

struct cut {
	uint32_t at;       /* records before it happened */
	uint64_t random;   /* what the disk kept follows from this and kind */
	enum disk_cut kind;
	bool twice;        /* cut again while it is opened */
	bool goes_on;      /* and is worked on and opened again */
};

/* What the jobs share. */
struct state {
	struct run run;
	_Atomic uint32_t n_done, n_twice, n_failed;
	struct cut current[JOBS]; /* what each job looks at, for when it dies of it */
	struct cut cuts[];
};

struct job {
	struct state *state;
	struct record_log *log, *second;
	uint32_t first, end; /* of state->cuts */
	unsigned index;
	const char *dir;
	struct disk *disk;
	struct model *model;
	uint32_t at;         /* records applied */
	bool ready;
};

static const char *const store_options[] = STORE_OPTIONS;

/* ---- one state of the disk */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void make_empty(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (mkdir(path, 0700))
		abort();
}

/* What a store that works has to be able to do. */
static bool work_on(struct rig *r, uint64_t random)
{
	uint8_t bytes[5 * 4096], back[sizeof(bytes)];
	uint32_t stability = WRITE_FILE_SYNC, got, size = 1 + draw(&random, sizeof(bytes));
	struct op_handle file;
	char name[32];
	/* Another than was left where the power was cut twice. */
	snprintf(name, sizeof(name), "after-%llx", (unsigned long long)random);
	fill_bytes((uint32_t)random, bytes, size);
	int err = rig_create(r, &r->root, name, 0644);
	file = r->made;
	if (!err)
		err = rig_write(r, &file, draw(&random, 3) * 100, bytes, size, &stability);
	if (!err)
		err = rig_read(r, &file, 0, back, sizeof(back), &got);
	if (!err)
		err = rig_rename(r, &r->root, name, &r->root, "then", RENAME_REPLACE);
	if (!err)
		err = rig_remove(r, &r->root, "then");
	if (err)
		fprintf(stderr, "after the crash: %s\n", err_text(err));
	return err == 0;
}

static void note_removed(void *arg, const char *name, bool whole)
{
	(void)name;
	*(bool *)arg |= !whole;
}

/* What removed snapshots held is given back, however far that was. */
static bool ends_purge(struct rig *r)
{
	bool removed = true;
	for (int i = 0; removed && i < PURGE_MS_MAX; i++) {
		removed = false;
		if (rig_list_snapshots(r, note_removed, &removed))
			break;
		if (removed)
			fiber_sleep_ns(NS_PER_MS);
	}
	if (removed)
		fprintf(stderr, "a removed snapshot is never gone\n");
	return !removed;
}

static bool open_and_verify(struct job *job, const char *store, bool works, uint64_t random)
{
	struct rig r;
	if (job->ready && random % 4 == 0 && !verify_sound(store, true))
		return false;
	bool good = rig_open(&r, store, store_options, false) == 0;
	if (good)
		good = verify_store(&r, job->model, job->ready, job->state->run.verifier);
	if (good && works)
		good = work_on(&r, random) && ends_purge(&r);
	rig_close(&r);
	return good && verify_sound(store, false);
}

/* Cut somewhere in what was recorded while a state was opened. */
static bool cut_again(struct job *job, struct disk *disk, uint64_t *random)
{
	char path[160], store[192];
	uint32_t n = job->second->n ? draw(random, job->second->n + 1) : 0;
	enum disk_cut kind = draw(random, DISK_N_CUTS);
	snprintf(path, sizeof(path), "%s/again-%u", job->dir, job->index);
	snprintf(store, sizeof(store), "%s/store", path);
	for (uint32_t i = 0; i < n; i++)
		disk_apply(disk, job->second, i);
	make_empty(path);
	disk_build(disk, kind, random, path, NULL);
	job->state->n_twice++;
	return open_and_verify(job, store, true, *random);
}

static bool try_cut(struct job *job, const struct cut *c)
{
	char path[160], store[192];
	uint64_t random = c->random;
	struct disk *fresh = NULL;
	snprintf(path, sizeof(path), "%s/cut-%u", job->dir, job->index);
	snprintf(store, sizeof(store), "%s/store", path);
	make_empty(path);
	disk_build(job->disk, c->kind, &random, path, c->twice ? &fresh : NULL);
	if (c->twice)
		record_start(job->second, path);
	bool good = open_and_verify(job, store, c->goes_on, random);
	record_stop();
	if (good && c->goes_on)
		good = open_and_verify(job, store, true, random);
	if (good && c->twice)
		good = cut_again(job, fresh, &random);
	if (fresh)
		disk_destroy(fresh);
	return good;
}

/* ---- a job: some of the cuts, in order */

static void follow(struct job *job, uint32_t to)
{
	for (; job->at < to; job->at++) {
		const struct record *r = &job->log->records[job->at];
		disk_apply(job->disk, job->log, job->at);
		if (r->kind != REC_MARK)
			continue;
		const struct step *s = &job->state->run.steps[r->other];
		if (r->flags == MARK_READY)
			job->ready = true;
		else if (r->flags == MARK_BEGIN)
			model_begin(job->model, s);
		else
			model_end(job->model, s);
	}
}

static void tell(const struct job *job, const struct cut *c)
{
	static const char *const kinds[] = {"all written", "only flushed", "some of it"};
	fprintf(stderr, "seed %llu, cut %u of %u (%s, %llu%s%s)\n", (unsigned long long)job->state->run.seed, c->at,
	        job->log->n, kinds[c->kind], (unsigned long long)c->random, c->twice ? ", twice" : "", c->goes_on ? ", goes on" : "");
}

/* The worker's steps so far, for whoever looks for the fault. */
static void tell_steps(const struct job *job, uint32_t to)
{
	for (uint32_t i = 0; i < to; i++) {
		const struct record *r = &job->log->records[i];
		if (r->kind != REC_MARK || r->flags == MARK_READY)
			continue;
		const struct step *s = &job->state->run.steps[r->other];
		fprintf(stderr, "%6u %s worker %u: %s object %d, other %d, name %u/%u to %u/%u, bytes %u+%u to %u, stability %u, change %llu, error %d\n", i,
		        r->flags == MARK_BEGIN ? "begin" : "end  ", s->worker, step_name(s), (int16_t)s->obj, (int16_t)s->other, s->dir,
		        s->slot, s->to_dir, s->to_slot, s->offset, s->size, s->to_offset, s->stability, (unsigned long long)s->change, s->err);
	}
}

static void run_cuts(void *arg)
{
	struct job *job = arg;
	for (uint32_t i = job->first; i < job->end && job->state->n_failed < FAILURES_MAX; i++) {
		const struct cut *c = &job->state->cuts[i];
		job->state->current[job->index] = *c;
		alarm(JOB_SECONDS_MAX);
		follow(job, c->at);
		if (!try_cut(job, c)) {
			job->state->n_failed++;
			tell(job, c);
			if (getenv("POWER_TRACE"))
				tell_steps(job, c->at);
		}
		job->state->n_done++;
	}
}

static pid_t start_job(struct job *job)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid)
		return pid;
	job->disk = disk_create(job->log->root);
	job->model = model_create();
	job->model->scrub_failed = job->state->run.faults;
	rig_in_loop(&job->state->run.engine, run_cuts, job);
	model_destroy(job->model);
	disk_destroy(job->disk);
	exit(0);
}

static void run_jobs(const struct options *opt, struct state *state, struct record_log *log, uint32_t n_cuts)
{
	struct job jobs[JOBS];
	pid_t pids[JOBS];
	int status;
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){.state = state, .log = log, .second = record_create(RECORDS_MAX, DATA_MAX), .index = i,
		                       .dir = opt->dir, .first = n_cuts * i / JOBS, .end = n_cuts * (i + 1) / JOBS};
		pids[i] = start_job(&jobs[i]);
	}
	for (unsigned i = 0; i < JOBS; i++) {
		if (waitpid(pids[i], &status, 0) != pids[i] || status == 0)
			continue;
		fprintf(stderr, "the program %s %d:\n", WIFSIGNALED(status) ? "died of signal" : "ended with",
		        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		tell(&jobs[i], &state->current[i]);
		state->n_failed++;
	}
}

/* ---- cuts */

static int by_place(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Each point once with all that was written, if there are as many; the rest at random. */
static void choose_cuts(struct cut *cuts, uint32_t n, uint32_t n_records, uint64_t *random)
{
	for (uint32_t i = 0; i < n; i++) {
		bool each = i <= n_records && n > n_records;
		cuts[i] = (struct cut){.at = each ? i : draw(random, n_records + 1), .random = draw_u64(random)};
		cuts[i].kind = each ? DISK_ALL : draw(random, 4) ? DISK_RANDOM : draw(random, DISK_N_CUTS);
		cuts[i].twice = draw(random, 8) == 0;
		cuts[i].goes_on = draw(random, 8) == 0;
	}
	qsort(cuts, n, sizeof(*cuts), by_place);
}

/* ---- the workload, recorded */

struct recording {
	const struct options *opt;
	struct run *run;
	struct record_log *log;
};

static void record(void *arg)
{
	struct recording *r = arg;
	record_start(r->log, r->opt->dir);
	record_set_lie(r->opt->lie);
	workload_run(r->run);
	record_stop();
}

static bool record_workload(const struct options *opt, struct run *run, struct record_log *log)
{
	char path[160];
	struct recording r = {opt, run, log};
	struct options inner = *opt;
	int status;
	snprintf(path, sizeof(path), "%s/work", opt->dir);
	snprintf(run->dir, sizeof(run->dir), "%.100s/store", path);
	make_empty(path);
	inner.dir = path;
	r.opt = &inner;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(JOB_SECONDS_MAX);
		rig_in_loop(&run->engine, record, &r);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status || run->n_failed || log->overflow)
		fprintf(stderr, "seed %llu: the workload failed (%x)%s\n", (unsigned long long)run->seed, status,
		        log->overflow ? ": the log is too small" : "");
	return status == 0 && run->n_failed == 0 && !log->overflow;
}

/* ---- a run */

static struct state *state_create(uint32_t n_cuts)
{
	size_t size = sizeof(struct state) + n_cuts * sizeof(struct cut);
	struct state *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s == MAP_FAILED)
		abort();
	return s;
}

static bool run_seed(const struct options *opt, struct record_log *log, uint32_t *n_cuts)
{
	struct state *state = state_create(RECORDS_MAX);
	uint64_t random = hash_u64(opt->seed);
	/* Every other run does in many transactions what is mostly one. */
	cairn_at_once.reclaimed = opt->seed % 2 ? RECLAIMED_AT_ONCE : 1024;
	struct run *run = &state->run;
	*run = (struct run){.seed = opt->seed, .n_steps_wanted = opt->n_steps, .lazy = opt->lazy, .snapshots = true,
	                    .faults = opt->faults, .options = store_options};
	run->engine.uring = opt->engine == ENGINE_ANY ? rig_has_uring() && draw(&random, 3) == 0 : opt->engine == ENGINE_URING;
	run->engine.n_workers = draw(&random, 2) ? 1 : 0;
	run->unmounts = draw(&random, 2);
	bool good = record_workload(opt, run, log);
	uint32_t n = opt->n_cuts ? opt->n_cuts : 2 * log->n;
	n = MIN(n, (uint32_t)RECORDS_MAX);
	if (good) {
		choose_cuts(state->cuts, n, log->n, &random);
		run_jobs(opt, state, log, n);
		printf("seed %llu: %u steps%s%s, %u records; %u cuts, %u of them twice: %u bad\n", (unsigned long long)opt->seed,
		       run->n_steps, run->engine.uring ? " by io_uring" : "", run->faults ? " with faults" : "", (unsigned)log->n, (unsigned)state->n_done, (unsigned)state->n_twice, (unsigned)state->n_failed);
		good = state->n_failed == 0;
		*n_cuts += state->n_done + state->n_twice;
	}
	munmap(state, sizeof(*state));
	return good;
}

static bool parse(struct options *opt, const char *text)
{
	const char *value = strchr(text, '=');
	double number = value ? strtod(value + 1, NULL) : 0;
	size_t n = value ? (size_t)(value - text) : 0;
	if (n == 4 && strncmp(text, "seed", n) == 0)
		opt->seed = strtoull(value + 1, NULL, 0);
	else if (n == 4 && strncmp(text, "cuts", n) == 0)
		opt->n_cuts = (uint32_t)number;
	else if (n == 5 && strncmp(text, "steps", n) == 0)
		opt->n_steps = (uint32_t)number;
	else if (n == 4 && strncmp(text, "lazy", n) == 0)
		opt->lazy = number != 0;
	else if (n == 3 && strncmp(text, "lie", n) == 0)
		opt->lie = (enum record_lie)number;
	else if (n == 6 && strncmp(text, "engine", n) == 0)
		opt->engine = (enum engine)number;
	else if (n == 6 && strncmp(text, "faults", n) == 0)
		opt->faults = number != 0;
	else if (n == 5 && strncmp(text, "hours", n) == 0)
		opt->hours = number;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct options opt = {.seed = (uint64_t)time(NULL), .n_cuts = 1000, .n_steps = 60};
	uint32_t n_cuts = 0;
	bool good = argc > 1 && strlen(argv[1]) < 80;
	for (int i = 2; good && i < argc; i++)
		good = parse(&opt, argv[i]);
	if (!good) {
		fprintf(stderr, "usage: power DIR [seed=N] [cuts=N] [steps=N] [lazy=1] [lie=N] [engine=N] [faults=1] [hours=N]\n");
		return 2;
	}
	opt.dir = argv[1];
	if (opt.engine == ENGINE_URING && !rig_has_uring()) {
		printf("no io_uring here\n");
		return 77;
	}
	struct record_log *log = record_create(RECORDS_MAX, DATA_MAX);
	time_t until = time(NULL) + (time_t)(opt.hours * 3600);
	do {
		good = run_seed(&opt, log, &n_cuts);
		opt.seed++;
	} while (good && time(NULL) < until);
	printf("%u passed, %u failed, 0 skipped\n", good ? n_cuts : 0, !good);
	return !good;
}
