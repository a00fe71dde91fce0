/* What holds when several work at once: one winner, nothing half done, nothing lost. */
#include <stdio.h>

#include "tests/conform/run.h"

#define WORKERS 8

struct race {
	_Atomic unsigned n_won;
	_Atomic unsigned n_lost;
	_Atomic unsigned n_wrong;
	_Atomic unsigned n_done;
	struct obj f;
	struct obj d;
	struct obj e;
	unsigned round;
};

static void count(struct race *r, int err, int lost)
{
	if (!err)
		atomic_fetch_add(&r->n_won, 1);
	else if (err == lost)
		atomic_fetch_add(&r->n_lost, 1);
	else
		atomic_fetch_add(&r->n_wrong, 1);
}

static void race_kind(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;

	count(r, make_kind(t, r->round % MAKE_LINK, &r->d, str("prize")), ERR_EXIST);
}

CASE(race_create, "of many who make one name exactly one wins, the others get ERR_EXIST")
{
	struct race *r = memory(t, sizeof(*r));

	r->d = a_dir(t, "d", 0755);
	for (r->round = 0; r->round < 60; r->round++) {
		r->n_won = r->n_lost = r->n_wrong = 0;
		row(t, "%s", kind_name(r->round % MAKE_LINK));
		together(t, WORKERS, race_kind, r);
		EQ(r->n_won, 1);
		EQ(r->n_lost, WORKERS - 1);
		OK(t->drv->remove(t, &r->d, str("prize"), REMOVE_FILE | REMOVE_DIR));
	}
}

static void race_remove(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;

	count(r, r->round % 2 ? fs_rmdir(t, &r->d, "prize") : fs_unlink(t, &r->d, "prize"), ERR_NOENT);
}

CASE(race_remove_one, "of many who remove one name exactly one wins, the others get ERR_NOENT")
{
	struct race *r = memory(t, sizeof(*r));

	r->d = a_dir(t, "d", 0755);
	for (r->round = 0; r->round < 60; r->round++) {
		OK(make_kind(t, r->round % 2 ? MAKE_DIR : MAKE_FILE, &r->d, str("prize")));
		r->n_won = r->n_lost = r->n_wrong = 0;
		together(t, WORKERS, race_remove, r);
		EQ(r->n_won, 1);
		EQ(r->n_lost, WORKERS - 1);
	}
}

static void race_rename(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	char to[16];

	snprintf(to, sizeof(to), "to%u", index);
	count(r, fs_rename(t, &r->d, "from", &r->d, to), ERR_NOENT);
}

CASE(race_rename_one, "of many who rename one name away exactly one wins")
{
	struct race *r = memory(t, sizeof(*r));

	r->d = a_dir(t, "d", 0755);
	for (r->round = 0; r->round < 40; r->round++) {
		file_in(t, &r->d, "from", 0644);
		r->n_won = r->n_lost = r->n_wrong = 0;
		together(t, WORKERS, race_rename, r);
		EQ(r->n_won, 1);
		EQ(r->n_lost, WORKERS - 1);
		EQ(count_entries(t, &r->d), 1);
		conform_clear_dir(t, &r->d);
	}
}

static void race_noreplace(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	char from[16];

	snprintf(from, sizeof(from), "from%u", index);
	count(r, fs_rename_flags(t, &r->d, from, &r->d, "to", RENAME_NOREPLACE), ERR_EXIST);
}

CASE(race_rename_noreplace, "of many who rename to one name without replacing exactly one wins")
{
	struct race *r = memory(t, sizeof(*r));
	char from[16];
	unsigned i;

	r->d = a_dir(t, "d", 0755);
	for (i = 0; i < WORKERS; i++) {
		snprintf(from, sizeof(from), "from%u", i);
		file_in(t, &r->d, from, 0644);
	}
	together(t, WORKERS, race_noreplace, r);
	EQ(r->n_won, 1);
	EQ(r->n_lost, WORKERS - 1);
	EQ(count_entries(t, &r->d), WORKERS);
}

static void append_lines(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	char line[17];
	unsigned i;

	for (i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "worker%02u line%03u", index, i);
		if (fs_append(t, &r->f, line, 16))
			atomic_fetch_add(&r->n_wrong, 1);
	}
}

CASE(append_atomic, "appends of many are all there, each whole, none over another, each worker's in order")
{
	struct race *r = memory(t, sizeof(*r));
	char *data = memory(t, WORKERS * 1600 + 1);
	unsigned next[WORKERS] = {0}, worker, line, i;

	r->f = a_file(t, "f", 0644);
	together(t, WORKERS, append_lines, r);
	EQ(r->n_wrong, 0);
	OK(fs_read(t, &r->f, 0, data, WORKERS * 1600 + 1));
	EQ(t->ans.size, WORKERS * 1600);
	for (i = 0; i < WORKERS * 100; i++) {
		if (!EQ(sscanf(data + 16 * i, "worker%02u line%03u", &worker, &line), 2) || worker >= WORKERS)
			return;
		EQ(line, next[worker]++);
	}
}

static void rename_or_look(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	struct obj o;
	char mine[16];
	unsigned i;

	snprintf(mine, sizeof(mine), "new%u", index);
	for (i = 0; i < 100; i++) {
		if (index >= 2) {
			if (fs_lookup(t, &r->d, "target", &o))
				atomic_fetch_add(&r->n_wrong, 1);
			continue;
		}
		if (fs_create(t, &r->d, mine, 0644, &o) || fs_rename(t, &r->d, mine, &r->d, "target"))
			atomic_fetch_add(&r->n_lost, 1);
	}
}

CASE(rename_visible, "while a name is replaced again and again it is never absent")
{
	struct race *r = memory(t, sizeof(*r));

	r->d = a_dir(t, "d", 0755);
	file_in(t, &r->d, "target", 0644);
	together(t, WORKERS, rename_or_look, r);
	EQ(r->n_wrong, 0);
	EQ(r->n_lost, 0);
	EQ(count_entries(t, &r->d), 1);
}

static void write_or_read(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	uint8_t *data = memory(t, 4096);
	unsigned i;

	for (i = 0; i < 300; i++) {
		if (index < 4) {
			memset(data, (int)('a' + index), 4096);
			if (fs_write(t, &r->f, 0, data, 4096))
				atomic_fetch_add(&r->n_wrong, 1);
			continue;
		}
		if (fs_read(t, &r->f, 0, data, 4096) || t->ans.size != 4096 || memcmp(data, data + 1, 4095))
			atomic_fetch_add(&r->n_lost, 1);
	}
}

CASE_NEEDS(write_atomic, HAS_OPS, "a reader sees a write of a page whole or not at all")
{
	struct race *r = memory(t, sizeof(*r));
	uint8_t *data = memory(t, 4096);

	r->f = a_file(t, "f", 0644);
	OK(fs_write(t, &r->f, 0, data, 4096));
	together(t, WORKERS, write_or_read, r);
	EQ(r->n_wrong, 0);
	EQ(r->n_lost, 0);
}

static void write_own_part(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	uint8_t *data = memory(t, 1000);
	unsigned i;

	memset(data, (int)('A' + index), 1000);
	for (i = 0; i < 30; i++)
		if (fs_write(t, &r->f, (uint64_t)(i * WORKERS + index) * 1000, data, 1000))
			atomic_fetch_add(&r->n_wrong, 1);
}

CASE(write_apart, "writers of neighbouring ranges do not lose each other's bytes")
{
	struct race *r = memory(t, sizeof(*r));
	uint8_t *data = memory(t, WORKERS * 30000);
	unsigned i, n_bad = 0;

	r->f = a_file(t, "f", 0644);
	together(t, WORKERS, write_own_part, r);
	EQ(r->n_wrong, 0);
	OK(fs_read(t, &r->f, 0, data, WORKERS * 30000));
	EQ(t->ans.size, WORKERS * 30000);
	for (i = 0; i < WORKERS * 30000; i++)
		n_bad += data[i] != 'A' + i / 1000 % WORKERS;
	EQ(n_bad, 0);
}

static void make_own(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	char name[24];
	unsigned i;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "w%u.%u", index, i);
		if (make_kind(t, MAKE_SYMLINK, &r->d, str(name)))
			atomic_fetch_add(&r->n_wrong, 1);
		if (i % 2 && fs_unlink(t, &r->d, name))
			atomic_fetch_add(&r->n_wrong, 1);
	}
}

CASE(make_together, "many make and remove their own names in one directory; what should stay is there")
{
	struct race *r = memory(t, sizeof(*r));

	r->d = a_dir(t, "d", 0755);
	together(t, WORKERS, make_own, r);
	EQ(r->n_wrong, 0);
	EQ(count_entries(t, &r->d), WORKERS * 100);
}

static void cross_rename(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	char name[8];
	unsigned i;
	int err;

	snprintf(name, sizeof(name), "x%u", index);
	for (i = 0; i < 50; i++) {
		err = fs_rename(t, i % 2 ? &r->e : &r->d, name, i % 2 ? &r->d : &r->e, name);
		if (err)
			atomic_fetch_add(&r->n_wrong, 1);
	}
}

CASE(rename_crossing, "renames both ways between two directories do not deadlock nor lose a name")
{
	struct race *r = memory(t, sizeof(*r));
	char name[8];
	unsigned i;

	r->d = a_dir(t, "d", 0755);
	r->e = a_dir(t, "e", 0755);
	for (i = 0; i < WORKERS; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		OK(make_kind(t, i % 2 ? MAKE_DIR : MAKE_FILE, &r->d, str(name)));
	}
	together(t, WORKERS, cross_rename, r);
	EQ(r->n_wrong, 0);
	EQ(count_entries(t, &r->d), WORKERS);
	EQ(count_entries(t, &r->e), 0);
	EQ(attr_of(t, &r->d).nlink, 2 + WORKERS / 2);
}

static void swap_dirs(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	unsigned i;

	/* Each tries to move one directory into the other: both at once would make a loop. */
	for (i = 0; i < 50; i++) {
		if (index % 2) {
			fs_rename(t, &t->dir, "d", &r->e, "d");
			fs_rename(t, &r->e, "d", &t->dir, "d");
		} else {
			fs_rename(t, &t->dir, "e", &r->d, "e");
			fs_rename(t, &r->d, "e", &t->dir, "e");
		}
	}
}

CASE(rename_no_loops, "two directories moved into each other at once never become their own parents")
{
	struct race *r = memory(t, sizeof(*r));
	struct obj up;
	unsigned depth = 0;

	r->d = a_dir(t, "d", 0755);
	r->e = a_dir(t, "e", 0755);
	together(t, WORKERS, swap_dirs, r);
	up = r->d;
	while (depth++ < 5 && OK(fs_parent(t, &up, &up)) && attr_of(t, &up).fileid != attr_of(t, &t->dir).fileid)
		;
	TRUE(depth < 5);
	TRUE(exists(t, &t->dir, "d") || exists(t, &t->dir, "e"));
}

static void churn_or_list(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	char name[24];
	unsigned i;

	for (i = 0; i < 40; i++) {
		if (index % 2) {
			if (count_entries(t, &r->d) < 100)
				atomic_fetch_add(&r->n_wrong, 1);
			continue;
		}
		snprintf(name, sizeof(name), "churn%u.%u", index, i);
		if (make_kind(t, MAKE_SYMLINK, &r->d, str(name)) || fs_unlink(t, &r->d, name))
			atomic_fetch_add(&r->n_wrong, 1);
	}
}

CASE(list_together, "listing while others make and remove shows what stays, nothing twice")
{
	struct race *r = memory(t, sizeof(*r));
	char name[16];
	unsigned i;

	r->d = a_dir(t, "d", 0755);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "stay%u", i);
		OK(make_kind(t, MAKE_SYMLINK, &r->d, str(name)));
	}
	together(t, WORKERS, churn_or_list, r);
	EQ(r->n_wrong, 0);
	EQ(count_entries(t, &r->d), 100);
}

static void link_unlink(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	char name[16];
	unsigned i;

	snprintf(name, sizeof(name), "l%u", index);
	for (i = 0; i < 60; i++)
		if (fs_link(t, &r->f, &r->d, name) || fs_unlink(t, &r->d, name))
			atomic_fetch_add(&r->n_wrong, 1);
}

CASE(link_together, "link counts are exact after many linked and unlinked one file")
{
	struct race *r = memory(t, sizeof(*r));

	r->d = a_dir(t, "d", 0755);
	r->f = a_file(t, "f", 0644);
	together(t, WORKERS, link_unlink, r);
	EQ(r->n_wrong, 0);
	EQ(attr_of(t, &r->f).nlink, 1);
	EQ(count_entries(t, &r->d), 0);
}

static void grow_shrink(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	uint8_t *data = memory(t, 20000);
	unsigned i, k;

	for (i = 0; i < 40; i++) {
		if (index % 2) {
			if (fs_truncate(t, &r->f, random_u64(t) % 20000))
				atomic_fetch_add(&r->n_wrong, 1);
			continue;
		}
		if (fs_read(t, &r->f, 0, data, 20000)) {
			atomic_fetch_add(&r->n_wrong, 1);
			continue;
		}
		for (k = 0; k < t->ans.size; k++)
			if (data[k] != 0)
				atomic_fetch_add(&r->n_lost, 1);
	}
}

CASE(truncate_together, "reading while others cut and grow gives zeros, never other bytes")
{
	struct race *r = memory(t, sizeof(*r));

	r->f = a_file(t, "f", 0644);
	together(t, WORKERS, grow_shrink, r);
	EQ(r->n_wrong, 0);
	EQ(r->n_lost, 0);
}

static void open_close(struct test *t, unsigned index, void *arg)
{
	struct race *r = arg;
	struct io io = {.size = 4};
	char data[4];
	unsigned i;

	io.data = data;
	for (i = 0; i < 50; i++) {
		if (fs_open_obj(t, &r->f, OPEN_READ)) {
			atomic_fetch_add(&r->n_wrong, 1);
			continue;
		}
		io.open_id = t->ans.open_id;
		if (fs_io(t, &r->f, &io, false) || memcmp(data, "text", 4) || fs_close(t, io.open_id))
			atomic_fetch_add(&r->n_wrong, 1);
	}
}

CASE(open_together, "many opens and closes of one file do not disturb each other")
{
	struct race *r = memory(t, sizeof(*r));

	r->f = a_text(t, "f", "text");
	together(t, WORKERS, open_close, r);
	EQ(r->n_wrong, 0);
}
