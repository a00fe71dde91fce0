/*
 * Each worker has a directory of its own, with an exact model of its names and bytes, and all share another, where
 * only sums can be known: names made less names removed, records appended.
 */
#include "tests/sim/workload.h"

#include <stdio.h>

#define N_SLOTS 10
#define N_SHARED 6
#define FILE_MAX 200000u
#define RECORD 16

enum kind { NONE, A_FILE, A_DIR };

struct slot {
	enum kind kind;
	uint32_t size;
	uint8_t *bytes; /* FILE_MAX, zero past size */
};

struct shared {
	struct obj dir;
	struct obj log;
	unsigned n_steps;
	unsigned n_made;
	unsigned n_removed;
	unsigned n_records;
	unsigned last;       /* which worker made the latest step */
	unsigned n_switches; /* how often it was another than the one before */
	uint64_t digest;
};

struct worker {
	struct shared *shared;
	unsigned index;
	unsigned n_records;
	struct obj dir;
	struct slot slots[N_SLOTS];
	uint8_t *data;
};

static const char *slot_name(unsigned i)
{
	static const char *const names[N_SLOTS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

	return names[i];
}

static struct slot *any_slot(struct test *t, struct worker *w, unsigned *i)
{
	*i = random_u64(t) % N_SLOTS;
	return &w->slots[*i];
}

static bool find(struct test *t, struct worker *w, unsigned i, struct obj *o)
{
	return OK(fs_lookup(t, &w->dir, slot_name(i), o));
}

/* ---- steps in the worker's own directory ------------------------------------------------------ */

static void step_create(struct test *t, struct worker *w)
{
	unsigned i;
	struct slot *s = any_slot(t, w, &i);
	struct obj o;

	FAILS(s->kind == NONE ? 0 : ERR_EXIST, fs_create(t, &w->dir, slot_name(i), 0644, &o));
	if (s->kind != NONE)
		return;
	s->kind = A_FILE;
	s->size = 0;
	memset(s->bytes, 0, FILE_MAX);
}

static void step_mkdir(struct test *t, struct worker *w)
{
	unsigned i;
	struct slot *s = any_slot(t, w, &i);

	FAILS(s->kind == NONE ? 0 : ERR_EXIST, fs_mkdir(t, &w->dir, slot_name(i), 0755, NULL));
	if (s->kind == NONE)
		s->kind = A_DIR;
}

static void step_remove(struct test *t, struct worker *w)
{
	static const int unlink_errors[] = {[NONE] = ERR_NOENT, [A_FILE] = 0, [A_DIR] = ERR_ISDIR};
	static const int rmdir_errors[] = {[NONE] = ERR_NOENT, [A_FILE] = ERR_NOTDIR, [A_DIR] = 0};
	bool file = random_u64(t) % 2;
	unsigned i;
	struct slot *s = any_slot(t, w, &i);
	int err = (file ? unlink_errors : rmdir_errors)[s->kind];

	FAILS(err, file ? fs_unlink(t, &w->dir, slot_name(i)) : fs_rmdir(t, &w->dir, slot_name(i)));
	if (!err)
		s->kind = NONE;
}

static void step_write(struct test *t, struct worker *w)
{
	uint32_t offset = random_u64(t) % (FILE_MAX - 1), size = 1 + (uint32_t)(random_u64(t) % 70000);
	unsigned i;
	struct slot *s = any_slot(t, w, &i);
	struct obj o;

	if (s->kind != A_FILE || !find(t, w, i, &o))
		return;
	size = MIN(size, FILE_MAX - offset);
	memset(s->bytes + offset, (int)(1 + random_u64(t) % 255), size);
	OK(fs_write(t, &o, offset, s->bytes + offset, size));
	s->size = MAX(s->size, offset + size);
}

static void step_truncate(struct test *t, struct worker *w)
{
	uint32_t size = random_u64(t) % FILE_MAX;
	unsigned i;
	struct slot *s = any_slot(t, w, &i);
	struct obj o;

	if (s->kind != A_FILE || !find(t, w, i, &o))
		return;
	OK(fs_truncate(t, &o, size));
	if (size < s->size)
		memset(s->bytes + size, 0, s->size - size);
	s->size = size;
}

static void step_punch(struct test *t, struct worker *w)
{
	uint32_t offset = random_u64(t) % FILE_MAX, size = 1 + (uint32_t)(random_u64(t) % 70000);
	unsigned i;
	struct slot *s = any_slot(t, w, &i);
	struct obj o;

	if (s->kind != A_FILE || !find(t, w, i, &o))
		return;
	OK(fs_deallocate(t, &o, offset, size));
	if (offset < s->size)
		memset(s->bytes + offset, 0, MIN(size, s->size - offset));
}

static void compare(struct test *t, struct worker *w, unsigned i)
{
	struct slot *s = &w->slots[i];
	struct obj o;

	if (s->kind != A_FILE || !find(t, w, i, &o))
		return;
	EQ(attr_of(t, &o).size, s->size);
	OK(fs_read(t, &o, 0, w->data, FILE_MAX));
	EQ(t->ans.size, s->size);
	SAME(w->data, s->bytes, s->size);
}

static void step_compare(struct test *t, struct worker *w)
{
	compare(t, w, random_u64(t) % N_SLOTS);
}

static int rename_error(const struct worker *w, unsigned from, unsigned to)
{
	enum kind source = w->slots[from].kind, target = w->slots[to].kind;

	if (source == NONE)
		return ERR_NOENT;
	if (target == NONE || source == target)
		return 0;
	return source == A_DIR ? ERR_NOTDIR : ERR_ISDIR;
}

static void step_rename(struct test *t, struct worker *w)
{
	unsigned from = random_u64(t) % N_SLOTS, to = random_u64(t) % N_SLOTS;
	int err = rename_error(w, from, to);
	struct slot swap;

	FAILS(err, fs_rename(t, &w->dir, slot_name(from), &w->dir, slot_name(to)));
	if (err || from == to)
		return;
	swap = w->slots[to];
	w->slots[to] = w->slots[from];
	w->slots[from] = swap;
	w->slots[from].kind = NONE;
}

static void step_list(struct test *t, struct worker *w)
{
	unsigned n = 0, i;

	for (i = 0; i < N_SLOTS; i++)
		n += w->slots[i].kind != NONE;
	EQ(count_entries(t, &w->dir), n);
}

/* ---- steps in the shared directory ------------------------------------------------------------- */

static void step_shared_make(struct test *t, struct worker *w)
{
	const char *name = slot_name(random_u64(t) % N_SHARED);
	int err = random_u64(t) % 2 ? fs_mkdir(t, &w->shared->dir, name, 0755, NULL)
	                            : fs_symlink(t, &w->shared->dir, name, "x", NULL);

	TRUE(err == 0 || err == ERR_EXIST);
	w->shared->n_made += !err;
}

static void step_shared_remove(struct test *t, struct worker *w)
{
	const char *name = slot_name(random_u64(t) % N_SHARED);
	int err = t->drv->remove(t, &w->shared->dir, str(name), REMOVE_FILE | REMOVE_DIR);

	TRUE(err == 0 || err == ERR_NOENT);
	w->shared->n_removed += !err;
}

static void step_append(struct test *t, struct worker *w)
{
	char record[RECORD + 1];

	snprintf(record, sizeof(record), "w%04u r%08u\n", w->index, w->n_records++);
	OK(fs_append(t, &w->shared->log, record, RECORD));
	w->shared->n_records++;
}

static void (*const steps[])(struct test *t, struct worker *w) = {
	step_create, step_create, step_mkdir, step_remove, step_write, step_write, step_write, step_truncate,
	step_punch, step_compare, step_compare, step_rename, step_list, step_shared_make, step_shared_remove, step_append,
};

/* ---- the run -------------------------------------------------------------------------------------- */

static void open_dir(struct test *t, struct worker *w)
{
	char name[16];
	unsigned i;

	snprintf(name, sizeof(name), "worker%u", w->index);
	OK(fs_mkdir(t, &t->root, name, 0755, &w->dir));
	w->data = memory(t, FILE_MAX);
	for (i = 0; i < N_SLOTS; i++)
		w->slots[i].bytes = memory(t, FILE_MAX);
}

static void close_dir(struct test *t, struct worker *w)
{
	char name[16];
	unsigned i;

	for (i = 0; i < N_SLOTS; i++)
		compare(t, w, i);
	step_list(t, w);
	conform_clear_dir(t, &w->dir);
	snprintf(name, sizeof(name), "worker%u", w->index);
	OK(fs_rmdir(t, &t->root, name));
}

static void run_worker(struct test *t, unsigned index, void *arg)
{
	struct shared *shared = arg;
	struct worker *w = memory(t, sizeof(*w));
	unsigned i, which;

	w->shared = shared;
	w->index = index;
	open_dir(t, w);
	for (i = 0; i < shared->n_steps && !t->counts->n_failed; i++) {
		which = random_u64(t) % ARRAY_SIZE(steps);
		row(t, "worker %u, step %u, kind %u", index, i, which);
		steps[which](t, w);
		shared->n_switches += shared->last != index;
		shared->last = index;
		/* Who came when, and what it saw. */
		shared->digest = (shared->digest ^ (index << 16 | which)) * 1099511628211ULL ^ t->ans.attr.ctime.nsec ^ t->ans.size;
	}
	close_dir(t, w);
}

static void check_log(struct test *t, struct shared *s, unsigned n_workers)
{
	char *log = memory(t, s->n_records * RECORD + 1);
	unsigned next[WORKERS_MAX] = {0}, i, worker, record;

	OK(fs_read(t, &s->log, 0, log, s->n_records * RECORD + 1));
	EQ(t->ans.size, s->n_records * RECORD);
	for (i = 0; i < s->n_records; i++) {
		if (!EQ(sscanf(log + i * RECORD, "w%u r%u", &worker, &record), 2) || !TRUE(worker < n_workers))
			return;
		EQ(record, next[worker]++);
	}
}

uint64_t workload_run(struct test *t, unsigned n_workers, unsigned n_steps)
{
	struct shared *s = memory(t, sizeof(*s));
	uint64_t free_bytes, free_files;

	OK(fs_statfs(t, &t->root));
	free_bytes = t->ans.statfs.free_bytes;
	free_files = t->ans.statfs.free_files;
	s->n_steps = n_steps;
	OK(fs_mkdir(t, &t->root, "shared", 0755, &s->dir));
	OK(fs_create(t, &t->root, "log", 0644, &s->log));
	together(t, n_workers, run_worker, s);
	row(t, "after all");
	TRUE(n_workers < 2 || s->n_switches > n_workers * n_steps / 4);
	EQ(count_entries(t, &s->dir), s->n_made - s->n_removed);
	check_log(t, s, n_workers);
	conform_clear_dir(t, &t->root);
	EQ(count_entries(t, &t->root), 0);
	OK(fs_statfs(t, &t->root));
	EQ(t->ans.statfs.free_bytes, free_bytes);
	EQ(t->ans.statfs.free_files, free_files);
	return s->digest;
}
