/*
 * Shows that the metadata store keeps its contract: what was committed is there after an end by force, in whole
 * transactions and in order, and reads, scans and read-only opening see the journal, memory and tables as one.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/cairn/cairn-meta-impl.h"
#include "base/hash.h"
#include "harness.h"

enum { KEYS = 240, DIRS = 4, BODY_MAX = 700, STEPS = 400, LARGE = 300 << 10 };
#define STEP_COUNTER META_SEGMENT /* how many transactions were made */

/* A state is what so many transactions have made of nothing. */
struct model {
	uint32_t sizes[KEYS]; /* 0: absent, else one more than the body has */
	uint64_t seeds[KEYS];
};

struct rig {
	char dir[64], path[80];
	struct meta *meta;
	uint64_t seed;
	uint64_t from, to; /* transactions to make */
	bool read_only, salvage;
	uint64_t warm_max;
	struct model model;
};

/* Also in a process of its own, where the test framework must not be called. */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	_exit(3);
}

#define MUST(holds) must(holds, #holds)

static uint64_t drawn(const struct rig *r, uint64_t step, uint64_t what)
{
	return hash_u64(hash_u64(r->seed + step) ^ what * 0x9e3779b97f4a7c15ULL);
}

static struct meta_key key_of(uint32_t i)
{
	char name[40];
	snprintf(name, sizeof(name), i % 3 ? "name-%u" : "n%u-a-longer-name-of-that-kind", i / DIRS);
	return meta_key_name(i % DIRS + 1, name, (uint32_t)strlen(name));
}

static void fill(uint64_t seed, uint32_t size, uint8_t *body)
{
	for (uint32_t i = 0; i < size; i++)
		body[i] = (uint8_t)hash_u64(seed + i / 8) + (uint8_t)i;
}

/* The changes of one transaction, into the model, and if there is one into txn. */
static void make_step(struct rig *r, uint64_t step, struct meta_txn *txn)
{
	uint8_t body[BODY_MAX];
	uint32_t n = 1 + (uint32_t)(drawn(r, step, 0) % 8);
	for (uint32_t c = 0; c < n; c++) {
		uint64_t random = drawn(r, step, c + 1);
		uint32_t i = (uint32_t)(random % KEYS), size = (uint32_t)(random >> 16) % BODY_MAX;
		struct meta_key key = key_of(i);
		bool deletes = (random >> 40) % 3 == 0;
		r->model.sizes[i] = deletes ? 0 : size + 1;
		r->model.seeds[i] = random;
		if (!txn)
			continue;
		fill(random, size, body);
		if (deletes)
			meta_delete(txn, META_XATTRS, &key);
		else
			meta_put(txn, META_XATTRS, &key, body, size);
	}
}

static void open_rig(struct rig *r)
{
	struct meta_config cfg = {.dir = r->path, .size_max = 64 << 20, .read_only = r->read_only, .salvage = r->salvage,
	                          .warm_max = r->warm_max};
	MUST(meta_open(&r->meta, &cfg) == 0);
}

/* What does not fit into the journal by far. */
static void commit_large(struct rig *r, uint64_t step)
{
	static uint8_t body[4096];
	struct meta_txn txn;
	meta_begin(&txn);
	for (uint32_t i = 0; i < LARGE / sizeof(body); i++) {
		struct meta_key key = meta_key_number(i);
		memset(body, (int)(step + i), sizeof(body));
		meta_put(&txn, META_INLINE, &key, body, sizeof(body));
	}
	MUST(meta_commit(r->meta, &txn) == 0);
}

static void work(void *arg)
{
	struct rig *r = arg;
	uint64_t batch, last = 0;
	open_rig(r);
	for (uint64_t step = r->from; step < r->to; step++) {
		struct meta_txn txn;
		meta_begin(&txn);
		make_step(r, step, &txn);
		meta_add(&txn, STEP_COUNTER, 1);
		MUST(meta_submit(r->meta, &txn, &batch) == 0);
		MUST(batch >= last);
		last = batch;
		if (drawn(r, step, 20) % 4)
			MUST(meta_wait(r->meta, batch) == 0);
		if (drawn(r, step, 21) % 60 == 0)
			commit_large(r, step);
		if (drawn(r, step, 22) % 50 == 0)
			MUST(meta_checkpoint(r->meta, &batch) == 0);
	}
	MUST(meta_wait(r->meta, last) == 0);
}

/* With workers in the middle of something. */
static void work_and_die(void *arg)
{
	work(arg);
	_exit(0);
}

/* ---- looking */

static void check_get(struct rig *r, uint32_t i)
{
	struct meta_key key = key_of(i);
	uint8_t body[BODY_MAX], wanted[BODY_MAX];
	uint32_t size = sizeof(body);
	int err = meta_get(r->meta, META_XATTRS, &key, body, &size);
	MUST(err == (r->model.sizes[i] ? 0 : ERR_NOENT));
	if (err)
		return;
	MUST(size == r->model.sizes[i] - 1);
	fill(r->model.seeds[i], size, wanted);
	MUST(memcmp(body, wanted, size) == 0);
}

struct seen {
	uint32_t n;
	struct meta_key last, first;
};

static int key_cmp(const struct meta_key *a, const struct meta_key *b)
{
	int c = memcmp(a->bytes, b->bytes, MIN(a->size, b->size));
	return c ? c : (int)a->size - (int)b->size;
}

static bool see(void *arg, const struct meta_record *rec)
{
	struct seen *s = arg;
	MUST(s->n == 0 || key_cmp(&s->last, rec->key) < 0);
	s->last = *rec->key;
	if (s->n++ == 0)
		s->first = *rec->key;
	return true;
}

/* From each key on, and from the one before it, scans give what the model has. */
static void check_scans(struct rig *r, uint32_t from)
{
	struct meta_key start = key_of(from);
	uint32_t after = 0;
	const struct meta_key *before = NULL;
	static struct meta_key keys[KEYS];
	for (uint32_t i = 0; i < KEYS; i++) {
		keys[i] = key_of(i);
		int c = r->model.sizes[i] ? key_cmp(&keys[i], &start) : 1;
		after += r->model.sizes[i] && c >= 0;
		if (r->model.sizes[i] && c <= 0 && (!before || key_cmp(before, &keys[i]) < 0))
			before = &keys[i];
	}
	struct seen s = {.n = 0};
	MUST(meta_scan(r->meta, META_XATTRS, &start, META_FROM, see, &s) == 0);
	MUST(s.n == after);
	s.n = 0;
	MUST(meta_scan(r->meta, META_XATTRS, &start, META_FROM_OR_BEFORE, see, &s) == 0);
	if (before)
		MUST(key_cmp(&s.first, before) == 0);
	else
		MUST(s.n == after);
}

static void check_state(struct rig *r)
{
	int64_t n;
	MUST(meta_counter(r->meta, STEP_COUNTER, &n) == 0);
	MUST((uint64_t)n >= r->to);
	memset(&r->model, 0, sizeof(r->model));
	for (uint64_t step = 0; step < (uint64_t)n; step++)
		make_step(r, step, NULL);
	for (uint32_t i = 0; i < KEYS; i++)
		check_get(r, i);
	for (uint32_t i = 0; i < KEYS; i += 7)
		check_scans(r, i);
	r->to = (uint64_t)n;
}

static void look(void *arg)
{
	struct rig *r = arg;
	open_rig(r);
	check_state(r);
	meta_close(r->meta);
}

/* ---- rigs */

static void make_store(void *arg)
{
	struct rig *r = arg;
	struct cairn_store_options opt = {.meta_size = 64 << 20, .journal_size = 128 << 10};
	char *why = NULL;
	MUST(cairn_store_create(r->dir, &opt, &why) == 0);
	/* The tables are made by the first who may write. */
	open_rig(r);
	meta_close(r->meta);
}

/* A process of its own does it. */
static void run(struct rig *r, void (*body)(void *arg))
{
	int status = -1;
	fflush(NULL);
	pid_t pid = fork(), ended;
	if (pid == 0) {
		bench_in_loop(body, r);
		_exit(0);
	}
	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	cr_assert(pid > 0 && ended == pid && status == 0, "process %d: %d, status %d", (int)pid, (int)ended, status);
}

static struct rig *rig_create(uint64_t seed)
{
	struct rig *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(r, MAP_FAILED);
	*r = (struct rig){.dir = "/tmp/test-meta-XXXXXX", .seed = seed};
	cr_assert_not_null(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/meta", r->dir);
	run(r, make_store);
	return r;
}

static void rig_destroy(struct rig *r)
{
	bench_remove_dir(r->dir);
	munmap(r, sizeof(*r));
}

Test(meta, is_there_after_an_end_by_force)
{
	struct rig *r = rig_create(1);
	for (uint64_t to = 30; to < STEPS; to += 37) {
		r->from = r->to;
		r->to = MAX(to, r->from);
		run(r, work_and_die);
		if (to % 2)
			run(r, look);
		r->read_only = true;
		run(r, look);
		r->read_only = false;
	}
	run(r, look);
	rig_destroy(r);
}

static void mixed(void *arg)
{
	struct rig *r = arg;
	uint64_t batch;
	r->to = 120;
	work(r);
	check_state(r);
	MUST(meta_checkpoint(r->meta, &batch) == 0);
	MUST(batch == meta_last(r->meta));
	check_state(r);
	meta_close(r->meta);
	open_rig(r);
	check_state(r);
	meta_close(r->meta);
}

Test(meta, memory_and_tables_are_one)
{
	for (uint64_t seed = 10; seed < 14; seed++) {
		struct rig *r = rig_create(seed);
		run(r, mixed);
		rig_destroy(r);
	}
}

static uint64_t sum_of(const struct rig *r, const char *file)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", r->dir, file);
	int fd = open(path, O_RDONLY);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *all = malloc((size_t)size);
	cr_assert(fd >= 0 && pread(fd, all, (size_t)size, 0) == size);
	uint64_t sum = hash_bytes(all, (size_t)size);
	free(all);
	close(fd);
	return sum;
}

Test(meta, reading_only_writes_nothing)
{
	struct rig *r = rig_create(2);
	r->to = 25;
	run(r, work_and_die);
	uint64_t tables = sum_of(r, "meta/data.mdb"), journal = sum_of(r, "journal");
	r->read_only = true;
	run(r, look);
	cr_assert_eq(sum_of(r, "meta/data.mdb"), tables);
	cr_assert_eq(sum_of(r, "journal"), journal);
	rig_destroy(r);
}

/* ---- damage */

static void commit_some(void *arg)
{
	struct rig *r = arg;
	struct meta_key key = meta_key_number(7);
	open_rig(r);
	for (uint64_t i = 1; i <= 10; i++) {
		struct meta_txn txn;
		meta_begin(&txn);
		meta_put(&txn, META_INODES, &key, &i, sizeof(i));
		MUST(meta_commit(r->meta, &txn) == 0);
	}
	_exit(0);
}

/* Each of those batches has a block of the journal; the first block is the file's own. */
static void flip(const struct rig *r, uint32_t batch)
{
	char path[128];
	uint8_t byte;
	snprintf(path, sizeof(path), "%s/journal", r->dir);
	int fd = open(path, O_RDWR);
	off_t at = (off_t)batch * JOURNAL_BLOCK + JOURNAL_HEAD_SIZE + 3;
	cr_assert(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= 4;
	cr_assert(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

static uint64_t value_of(struct rig *r)
{
	struct meta_key key = meta_key_number(7);
	uint64_t value = 0;
	uint32_t size = sizeof(value);
	int err = meta_get(r->meta, META_INODES, &key, &value, &size);
	return err ? 0 : value;
}

static void open_without_last(void *arg)
{
	struct rig *r = arg;
	open_rig(r);
	MUST(value_of(r) == 9);
	meta_close(r->meta);
}

Test(meta, an_unfinished_batch_is_the_end)
{
	struct rig *r = rig_create(3);
	run(r, commit_some);
	flip(r, 10);
	run(r, open_without_last);
	rig_destroy(r);
}

static void open_damaged(void *arg)
{
	struct rig *r = arg;
	struct meta_config cfg = {.dir = r->path, .size_max = 64 << 20};
	MUST(meta_open(&r->meta, &cfg) == ERR_IO);
	r->salvage = true;
	open_rig(r);
	MUST(value_of(r) == 4);
	meta_close(r->meta);
	r->salvage = false;
	open_rig(r);
	MUST(value_of(r) == 4);
	meta_close(r->meta);
}

Test(meta, a_damaged_batch_is_told)
{
	struct rig *r = rig_create(4);
	run(r, commit_some);
	flip(r, 5);
	run(r, open_damaged);
	rig_destroy(r);
}

/* ---- failure */

static int put_value(struct rig *r, uint64_t value)
{
	struct meta_key key = meta_key_number(7);
	struct meta_txn txn;
	meta_begin(&txn);
	meta_put(&txn, META_INODES, &key, &value, sizeof(value));
	return meta_commit(r->meta, &txn);
}

static void fail_journal(void *arg)
{
	struct rig *r = arg;
	struct meta_stats st;
	open_rig(r);
	MUST(put_value(r, 1) == 0);
	int fd = file_fd(r->meta->journal.file), kept = dup(fd), none = open("/dev/null", O_RDONLY);
	MUST(kept >= 0 && none >= 0 && dup2(none, fd) >= 0);
	MUST(put_value(r, 2) == 0);
	MUST(put_value(r, 3) == 0);
	MUST(dup2(kept, fd) >= 0);
	MUST(put_value(r, 4) == 0);
	MUST(put_value(r, 5) == 0);
	MUST(value_of(r) == 5);
	meta_stats(r->meta, &st);
	MUST(st.n_journal_errors == 2 && !st.failed && !st.waiting);
	_exit(0);
}

static void look_at_fifth(void *arg)
{
	struct rig *r = arg;
	open_rig(r);
	MUST(value_of(r) == 5);
	meta_close(r->meta);
}

Test(meta, without_a_journal_the_tables_have_all)
{
	struct rig *r = rig_create(5);
	run(r, fail_journal);
	run(r, look_at_fifth);
	rig_destroy(r);
}

/* No file can be written behind that place; UINT64_MAX: anywhere. */
static void limit_files(uint64_t size)
{
	struct rlimit limit;
	signal(SIGXFSZ, SIG_IGN);
	MUST(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = MIN(size, limit.rlim_max);
	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

struct putting {
	struct rig *r;
	struct fiber_join join;
	int err;
};

static void put_seven(void *arg)
{
	struct putting *p = arg;
	p->err = put_value(p->r, 7);
	fiber_join_done(&p->join);
}

static bool waits(struct rig *r)
{
	struct meta_stats st;
	meta_stats(r->meta, &st);
	return st.waiting;
}

/* Neither the journal nor the tables can be written: what was submitted waits, more is refused, and nothing is lost. */
static void fail_both(void *arg)
{
	struct putting p = {.r = arg};
	open_rig(p.r);
	MUST(put_value(p.r, 1) == 0);
	limit_files(JOURNAL_BLOCK);
	fiber_join_add(&p.join, 1);
	MUST(fiber_spawn(put_seven, &p) == 0);
	while (!waits(p.r))
		fiber_sleep_ns(NS_PER_MS);
	MUST(put_value(p.r, 8) != 0);
	MUST(value_of(p.r) == 7);
	limit_files(UINT64_MAX);
	fiber_join_wait(&p.join);
	MUST(p.err == 0);
	MUST(!waits(p.r) && !meta_has_failed(p.r->meta));
	MUST(put_value(p.r, 5) == 0);
	_exit(0);
}

Test(meta, what_cannot_be_written_waits)
{
	struct rig *r = rig_create(6);
	run(r, fail_both);
	run(r, look_at_fifth);
	rig_destroy(r);
}

/* The tables cannot be written, the journal can: changes go on, until memory for them is full. */
static void fail_tables(void *arg)
{
	struct rig *r = arg;
	uint64_t batch;
	open_rig(r);
	commit_large(r, 0);
	commit_large(r, 1);
	limit_files(LARGE / 2);
	MUST(put_value(r, 1) == 0);
	for (uint64_t step = 0; !waits(r); step++) {
		struct meta_txn txn;
		meta_begin(&txn);
		make_step(r, step, &txn);
		MUST(meta_commit(r->meta, &txn) == 0);
		meta_snapshot(r->meta, &batch);
	}
	MUST(put_value(r, 2) == 0);
	MUST(meta_checkpoint(r->meta, &batch) != 0);
	MUST(put_value(r, 5) == 0);
	limit_files(UINT64_MAX);
	while (meta_checkpoint(r->meta, &batch))
		fiber_sleep_ns(NS_PER_MS);
	MUST(value_of(r) == 5 && !meta_has_failed(r->meta));
	_exit(0);
}

Test(meta, tables_that_cannot_be_written_get_all_later)
{
	struct rig *r = rig_create(7);
	run(r, fail_tables);
	run(r, look_at_fifth);
	rig_destroy(r);
}

/* ---- readers */

static struct meta_sizes sizes_of(struct rig *r)
{
	struct meta_sizes sizes;
	meta_sizes(r->meta, &sizes);
	return sizes;
}

static void read_large(struct rig *r, uint64_t step)
{
	struct meta_key key = meta_key_number(step % (LARGE / 4096));
	uint8_t body[4096];
	uint32_t size = sizeof(body);
	MUST(meta_get(r->meta, META_INLINE, &key, body, &size) == 0);
	MUST(size == sizeof(body) && body[0] == (uint8_t)(step + key.number));
}

/* Each round replaces all pages and is read, so that each time a reader is left that reads what was there. */
static void replace_and_read(void *arg)
{
	struct rig *r = arg;
	uint64_t before = 0;
	open_rig(r);
	for (uint64_t step = 0; step < 120; step++) {
		commit_large(r, step);
		read_large(r, step);
		if (step == 20)
			before = sizes_of(r).tables_bytes;
	}
	MUST(sizes_of(r).tables_bytes <= before + LARGE);
	meta_close(r->meta);
}

Test(meta, idle_readers_see_changes_and_keep_no_pages)
{
	struct rig *r = rig_create(6);
	run(r, replace_and_read);
	rig_destroy(r);
}

static void fill_tables(void *arg)
{
	static uint8_t body[4096];
	struct rig *r = arg;
	open_rig(r);
	for (uint32_t i = 0; i < (10 << 20) / sizeof(body); i++) {
		struct meta_key key = meta_key_number(i);
		struct meta_txn txn;
		meta_begin(&txn);
		meta_put(&txn, META_INLINE, &key, body, sizeof(body));
		uint64_t batch;
		MUST(meta_submit(r->meta, &txn, &batch) == 0);
	}
	meta_close(r->meta);
}

static void warm(void *arg)
{
	struct rig *r = arg;
	open_rig(r);
	uint64_t wanted = MIN(r->warm_max, sizes_of(r).tables_bytes);
	while (sizes_of(r).warmed_bytes < wanted)
		fiber_yield();
	MUST(sizes_of(r).warmed_bytes == wanted);
	meta_close(r->meta);
	/* At once, too. */
	open_rig(r);
	meta_close(r->meta);
}

Test(meta, tables_are_read_ahead_up_to_a_limit)
{
	static const uint64_t limits[] = {0, 9 << 20, 1 << 30};
	struct rig *r = rig_create(7);
	run(r, fill_tables);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		r->warm_max = limits[i];
		run(r, warm);
	}
	rig_destroy(r);
}

/* ---- pacing */

static void pace(void *arg)
{
	static struct meta m;
	enum { FULL = 1 << 20 };
	m.overlay_max = FULL;
	m.active = &m.overlays[0];
	m.active->size = FULL - 1;
	MUST(meta_pace_ns(&m) == 0); /* nothing is applied */
	m.applying = &m.overlays[1];
	m.applying->size = FULL;
	meta_pace_begin(&m);
	MUST(meta_pace_ns(&m) == 0); /* nor known how long that takes */
	m.pace.begun_ns -= NS_PER_SEC / 2;
	meta_pace_end(&m);
	meta_pace_begin(&m);
	MUST(m.pace.expected_ns >= NS_PER_SEC / 2);
	MUST(meta_pace_ns(&m) > 0);
	m.leader_applies = true;
	MUST(meta_pace_ns(&m) == 0);
	m.leader_applies = false;
	m.active->size = FULL / 8;
	MUST(meta_pace_ns(&m) == 0);
	m.active->size = FULL / 2;
	MUST(meta_pace_ns(&m) > 0);
	m.pace.begun_ns -= m.pace.expected_ns / 2;
	MUST(meta_pace_ns(&m) == 0); /* it may go on, for a while */
	m.active->size = FULL / 4 * 3;
	MUST(meta_pace_ns(&m) > 0);
	m.pace.begun_ns -= m.pace.expected_ns;
	MUST(meta_pace_ns(&m) == 0); /* it takes longer than it should */
}

Test(meta, one_overlay_fills_as_the_other_is_applied)
{
	struct rig *r = rig_create(8);
	run(r, pace);
	rig_destroy(r);
}
