/* Times: which operation changes which of them, what can be set, and to which precision. */
#include <stdio.h>

#include "tests/conform/conform.h"

enum { M = 1, C = 2 }; /* which times of the object an operation moves */

/* An operation on a file f with data, beside a directory d. */
struct timed {
	const char *name;
	uint32_t needs;
	unsigned moves;
	int (*run)(struct test *t, struct obj *f);
};

static int do_read(struct test *t, struct obj *f)
{
	char byte;

	return fs_read(t, f, 0, &byte, 1);
}

static int do_getattr(struct test *t, struct obj *f)
{
	return fs_getattr(t, f);
}

static int do_access(struct test *t, struct obj *f)
{
	return fs_access(t, f, ACCESS_READ);
}

static int do_open(struct test *t, struct obj *f)
{
	int err = fs_open_obj(t, f, OPEN_READ | OPEN_WRITE);

	return err ? err : fs_close(t, t->ans.open_id);
}

static int do_commit(struct test *t, struct obj *f)
{
	return fs_commit(t, f);
}

static int do_write(struct test *t, struct obj *f)
{
	return fs_write(t, f, 0, "x", 1);
}

static int do_append(struct test *t, struct obj *f)
{
	return fs_append(t, f, "x", 1);
}

static int do_grow(struct test *t, struct obj *f)
{
	return fs_truncate(t, f, 10000);
}

static int do_shrink(struct test *t, struct obj *f)
{
	return fs_truncate(t, f, 1);
}

static int do_chmod(struct test *t, struct obj *f)
{
	return fs_chmod(t, f, 0600);
}

static int do_chown(struct test *t, struct obj *f)
{
	return fs_chown(t, f, 7, 7);
}

static int do_link(struct test *t, struct obj *f)
{
	return fs_link(t, f, &t->dir, "another");
}

static int do_rename(struct test *t, struct obj *f)
{
	return fs_rename(t, &t->dir, "f", &t->dir, "g");
}

static int do_set_xattr(struct test *t, struct obj *f)
{
	return fs_set_xattr(t, f, "user.x", "value", 0);
}

static int do_allocate(struct test *t, struct obj *f)
{
	return fs_allocate(t, f, 0, 100000, 0);
}

static int do_deallocate(struct test *t, struct obj *f)
{
	return fs_deallocate(t, f, 0, 4096);
}

static int do_zero(struct test *t, struct obj *f)
{
	return fs_zero(t, f, 0, 2, 0);
}

static int do_copy_into(struct test *t, struct obj *f)
{
	struct obj from = a_text(t, "from", "bytes");

	return fs_copy(t, &from, 0, f, 0, 5);
}

static int do_utimes(struct test *t, struct obj *f)
{
	struct op_attr attr = {.mask = ATTR_ATIME, .atime = at(5, 5)};

	return fs_setattr(t, f, &attr);
}

static const struct timed timed[] = {
	{"read", 0, 0, do_read},
	{"getattr", 0, 0, do_getattr},
	{"access", 0, 0, do_access},
	{"open", 0, 0, do_open},
	{"commit", 0, 0, do_commit},
	{"write", 0, M | C, do_write},
	{"append", 0, M | C, do_append},
	{"growing truncate", 0, M | C, do_grow},
	{"shrinking truncate", 0, M | C, do_shrink},
	{"chmod", 0, C, do_chmod},
	{"chown", HAS_USERS, C, do_chown},
	{"link", 0, C, do_link},
	{"rename", 0, C, do_rename},
	{"set xattr", HAS_XATTR, C, do_set_xattr},
	{"allocate", HAS_HOLES, M | C, do_allocate},
	{"deallocate", HAS_HOLES, M | C, do_deallocate},
	{"zero", HAS_ZERO, M | C, do_zero},
	{"copy into", 0, M | C, do_copy_into},
	{"utimes of atime", 0, C, do_utimes},
};

static void one_timed(struct test *t, const struct timed *row_of)
{
	struct obj f = a_text(t, "f", "some text");
	struct op_attr before = attr_of(t, &f), after;

	tick(t);
	OK(row_of->run(t, &f));
	after = attr_of(t, &f);
	EQ(op_time_cmp(after.mtime, before.mtime) > 0, !!(row_of->moves & M));
	EQ(op_time_cmp(after.ctime, before.ctime) > 0, !!(row_of->moves & C));
	if (t->features & HAS_WCC)
		EQ(after.change > before.change, row_of->moves != 0);
	fs_unlink(t, &t->dir, "f");
	fs_unlink(t, &t->dir, "g");
	fs_unlink(t, &t->dir, "another");
	fs_unlink(t, &t->dir, "from");
}

CASE(times_by_operation, "each operation moves mtime, ctime and the change counter as POSIX says, or none")
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(timed); i++) {
		row(t, "%s", timed[i].name);
		if (!(timed[i].needs & ~t->features))
			one_timed(t, &timed[i]);
	}
}

CASE(times_dir_by_making, "every way to make a name moves the directory's mtime and ctime")
{
	struct obj d = a_dir(t, "d", 0755);
	struct op_attr before;
	unsigned kind;

	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		before = attr_of(t, &d);
		tick(t);
		OK(make_kind(t, kind, &d, str(kind_name(kind))));
		TIME_AFTER(attr_of(t, &d).mtime, before.mtime);
		TIME_AFTER(attr_of(t, &d).ctime, before.ctime);
	}
}

CASE(times_dir_by_failing, "making a name that is there moves no times")
{
	struct obj d = a_dir(t, "d", 0755);
	struct op_attr before;
	unsigned kind;

	file_in(t, &d, "x", 0644);
	before = attr_of(t, &d);
	tick(t);
	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS(ERR_EXIST, make_kind(t, kind, &d, str("x")));
		TIME_EQ(attr_of(t, &d).mtime, before.mtime);
		TIME_EQ(attr_of(t, &d).ctime, before.ctime);
	}
}

CASE(times_dir_by_looking, "looking up and listing move neither mtime nor ctime")
{
	struct obj d = a_dir(t, "d", 0755), o;
	struct op_attr before;

	file_in(t, &d, "f", 0644);
	before = attr_of(t, &d);
	tick(t);
	OK(fs_lookup(t, &d, "f", &o));
	EQ(count_entries(t, &d), 1);
	TIME_EQ(attr_of(t, &d).mtime, before.mtime);
	TIME_EQ(attr_of(t, &d).ctime, before.ctime);
}

CASE(times_dir_by_child_data, "writing a file moves no times of its directory")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr before = attr_of(t, &t->dir);

	tick(t);
	OK(fs_write_text(t, &f, 0, "text"));
	OK(fs_chmod(t, &f, 0600));
	TIME_EQ(attr_of(t, &t->dir).mtime, before.mtime);
	TIME_EQ(attr_of(t, &t->dir).ctime, before.ctime);
}

CASE(times_write_nothing, "writing no bytes moves no times")
{
	struct obj f = a_text(t, "f", "text");
	struct op_attr before = attr_of(t, &f);

	tick(t);
	OK(fs_write(t, &f, 100, "", 0));
	TIME_EQ(attr_of(t, &f).mtime, before.mtime);
	EQ(attr_of(t, &f).size, 4);
}

CASE(times_dir_rename_away, "the directory that loses a name by rename, and the one that gains it, both move")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755), sub = dir_in(t, &a, "sub", 0755);
	struct op_attr before_a = attr_of(t, &a), before_b = attr_of(t, &b), before_sub = attr_of(t, &sub);

	tick(t);
	OK(fs_rename(t, &a, "sub", &b, "sub"));
	TIME_AFTER(attr_of(t, &a).mtime, before_a.mtime);
	TIME_AFTER(attr_of(t, &b).mtime, before_b.mtime);
	TIME_AFTER(attr_of(t, &sub).ctime, before_sub.ctime);
}

static const struct op_time settable[] = {
	{0, 0, 0}, {1, 1, 0}, {1000000000, 999999999, 0}, {-1, 0, 0}, {-1, 999999999, 0}, {-2147483647LL, 500, 0},
	{2147483647, 0, 0}, {2147483648LL, 123456789, 0}, {4294967296LL, 1, 0},
};

CASE(utimes_values, "times from 1901 to 2106 are kept to the nanosecond, those before 1970 too")
{
	struct obj f = a_file(t, "f", 0644);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settable); i++) {
		row(t, "%lld.%09u", (long long)settable[i].sec, settable[i].nsec);
		OK(fs_utimes(t, &f, settable[i], at(7, 8)));
		TIME_EQ(attr_of(t, &f).atime, settable[i]);
		TIME_EQ(attr_of(t, &f).mtime, at(7, 8));
		OK(fs_utimes(t, &f, at(9, 10), settable[i]));
		TIME_EQ(attr_of(t, &f).atime, at(9, 10));
		TIME_EQ(attr_of(t, &f).mtime, settable[i]);
	}
}

CASE(utimes_kinds, "times of directories, symbolic links and fifos can be set")
{
	struct obj d = a_dir(t, "d", 0755), s = a_symlink(t, "s", "nowhere"), p = a_fifo(t, "p", 0600);

	OK(fs_utimes(t, &d, at(11, 1), at(22, 2)));
	OK(fs_utimes(t, &s, at(33, 3), at(44, 4)));
	OK(fs_utimes(t, &p, at(55, 5), at(66, 6)));
	TIME_EQ(attr_of(t, &d).mtime, at(22, 2));
	TIME_EQ(attr_of(t, &s).mtime, at(44, 4));
	TIME_EQ(attr_of(t, &p).mtime, at(66, 6));
}

CASE(utimes_one, "one time can be set without the other")
{
	struct op_attr attr = {.mask = ATTR_MTIME, .mtime = at(20, 2)};
	struct obj f = a_file(t, "f", 0644);

	OK(fs_utimes(t, &f, at(10, 1), at(10, 1)));
	OK(fs_setattr(t, &f, &attr));
	TIME_EQ(attr_of(t, &f).atime, at(10, 1));
	TIME_EQ(attr_of(t, &f).mtime, at(20, 2));
	attr = (struct op_attr){.mask = ATTR_ATIME, .atime = at(30, 3)};
	OK(fs_setattr(t, &f, &attr));
	TIME_EQ(attr_of(t, &f).atime, at(30, 3));
	TIME_EQ(attr_of(t, &f).mtime, at(20, 2));
}

CASE(utimes_now, "NOW is the server's clock, the same for both times")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr made = attr_of(t, &f), now;

	OK(fs_utimes(t, &f, at(1, 0), at(1, 0)));
	tick(t);
	OK(fs_touch(t, &f));
	now = attr_of(t, &f);
	TIME_EQ(now.atime, now.mtime);
	TIME_AFTER(now.mtime, made.mtime);
	TRUE(now.mtime.sec - made.mtime.sec < 60);
}

CASE(utimes_now_mixed, "NOW for one and a value for the other")
{
	struct op_attr attr = {.mask = ATTR_ATIME_NOW | ATTR_MTIME, .mtime = at(50, 5)};
	struct obj f = a_file(t, "f", 0644);

	OK(fs_utimes(t, &f, at(1, 0), at(1, 0)));
	OK(fs_setattr(t, &f, &attr));
	TRUE(attr_of(t, &f).atime.sec > 1000000);
	TIME_EQ(attr_of(t, &f).mtime, at(50, 5));
}

CASE(utimes_bad_nanoseconds, "a billion nanoseconds is ERR_INVAL and changes nothing")
{
	struct obj f = a_file(t, "f", 0644);

	OK(fs_utimes(t, &f, at(1, 1), at(2, 2)));
	FAILS(ERR_INVAL, fs_utimes(t, &f, at(3, 1000000000), at(4, 4)));
	FAILS(ERR_INVAL, fs_utimes(t, &f, at(3, 3), at(4, 1000000000)));
	TIME_EQ(attr_of(t, &f).atime, at(1, 1));
	TIME_EQ(attr_of(t, &f).mtime, at(2, 2));
}

CASE(utimes_survive_rename, "set times stay through rename and link, until data is written")
{
	struct obj f = a_file(t, "f", 0644);

	OK(fs_utimes(t, &f, at(10, 1), at(20, 2)));
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_chmod(t, &f, 0600));
	TIME_EQ(attr_of(t, &f).mtime, at(20, 2));
	OK(fs_write_text(t, &f, 0, "x"));
	TRUE(attr_of(t, &f).mtime.sec > 1000000);
}

CASE(ctime_cannot_be_set, "setting times stamps ctime with now")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr before = attr_of(t, &f);

	tick(t);
	OK(fs_utimes(t, &f, at(1, 0), at(1, 0)));
	TIME_AFTER(attr_of(t, &f).ctime, before.ctime);
}

CASE(ctime_monotonic, "ctime does not go back over a hundred changes")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_time last = attr_of(t, &f).ctime;
	unsigned i;

	for (i = 0; i < 100; i++) {
		OK(fs_chmod(t, &f, i & 0777));
		TRUE(op_time_cmp(attr_of(t, &f).ctime, last) >= 0);
		last = t->ans.attr.ctime;
	}
}

CASE_NEEDS(btime_constant, HAS_OPS, "the birth time is that of making and stays")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr made = attr_of(t, &f);

	if (!TRUE(made.mask & ATTR_BTIME))
		return;
	tick(t);
	OK(fs_write_text(t, &f, 0, "x"));
	OK(fs_chmod(t, &f, 0600));
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_utimes(t, &f, at(1, 0), at(1, 0)));
	TIME_EQ(attr_of(t, &f).btime, made.btime);
}

CASE_NEEDS(times_size_and_mtime, HAS_OPS, "size and mtime set at once give the mtime asked for")
{
	struct op_attr attr = {.mask = ATTR_SIZE | ATTR_MTIME, .size = 100, .mtime = at(77, 7)};
	struct obj f = a_text(t, "f", "text");

	OK(fs_setattr(t, &f, &attr));
	EQ(attr_of(t, &f).size, 100);
	TIME_EQ(attr_of(t, &f).mtime, at(77, 7));
}

CASE_NEEDS(change_counts, HAS_FINE_CHANGE, "the change counter grows with each change, however fast they come")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755);
	uint64_t last = attr_of(t, &f).change, last_dir = attr_of(t, &d).change;
	char name[8];
	unsigned i;

	for (i = 0; i < 50; i++) {
		OK(i % 2 ? fs_chmod(t, &f, 0600 + i) : fs_write(t, &f, i, "x", 1));
		TRUE(attr_of(t, &f).change > last);
		last = t->ans.attr.change;
		snprintf(name, sizeof(name), "%u", i);
		OK(fs_mkdir(t, &d, name, 0755, NULL));
		TRUE(attr_of(t, &d).change > last_dir);
		last_dir = t->ans.attr.change;
	}
}

CASE_NEEDS(change_stays, HAS_WCC, "the change counter stays while nothing changes")
{
	struct obj f = a_text(t, "f", "text");
	uint64_t change = attr_of(t, &f).change;
	char byte;

	tick(t);
	OK(fs_read(t, &f, 0, &byte, 1));
	OK(fs_access(t, &f, ACCESS_READ));
	OK(fs_open_obj(t, &f, OPEN_READ | OPEN_WRITE));
	OK(fs_close(t, t->ans.open_id));
	EQ(attr_of(t, &f).change, change);
}

CASE_NEEDS(dos_attributes, HAS_OPS, "DOS attributes are kept and do not touch the mode")
{
	struct op_attr attr = {.mask = ATTR_DOS, .dos = DOS_HIDDEN | DOS_ARCHIVE};
	struct obj f = a_file(t, "f", 0644);
	int err = fs_setattr(t, &f, &attr);

	if (err == ERR_NOTSUPP || !OK(err))
		return;
	EQ(attr_of(t, &f).dos, DOS_HIDDEN | DOS_ARCHIVE);
	EQ(t->ans.attr.mode, 0644);
}
