/* Open: dispositions, truncation, open ids, files without a name. */
#include "tests/conform/conform.h"

static const struct open_how existing = {.disposition = OPEN_EXISTING, .access = OPEN_READ};
static const struct open_how unchecked = {
	.disposition = OPEN_UNCHECKED, .access = OPEN_READ | OPEN_WRITE, .attr = {.mask = ATTR_MODE, .mode = 0640}};
static const struct open_how guarded = {
	.disposition = OPEN_GUARDED, .access = OPEN_READ | OPEN_WRITE, .attr = {.mask = ATTR_MODE, .mode = 0640}};

/* Opens and closes again. */
static int open_shut(struct test *t, const char *name, const struct open_how *how, struct obj *out)
{
	int err = fs_open(t, &t->dir, name, how, out);

	if (!err && !(how->flags & OPEN_NO_STATE))
		OK(fs_close(t, t->ans.open_id));
	return err;
}

CASE(open_existing, "EXISTING opens what is there and makes nothing")
{
	struct obj f = a_file(t, "f", 0644), o = {0};

	FAILS(ERR_NOENT, open_shut(t, "absent", &existing, &o));
	TRUE(!exists(t, &t->dir, "absent"));
	OK(open_shut(t, "f", &existing, &o));
	EQ(t->ans.created, 0);
	EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
}

CASE(open_unchecked, "UNCHECKED makes what is not there and opens what is, as it is")
{
	struct obj f = a_text(t, "f", "text"), o = {0};

	OK(open_shut(t, "new", &unchecked, &o));
	EQ(t->ans.created, 1);
	EQ(attr_of(t, &o).mode, 0640);
	OK(open_shut(t, "f", &unchecked, &o));
	EQ(t->ans.created, 0);
	TRUE(holds(t, &f, "text"));
	EQ(attr_of(t, &f).mode, 0644);
}

CASE(open_unchecked_truncate, "UNCHECKED with a size of 0 empties what is there")
{
	struct open_how how = {.disposition = OPEN_UNCHECKED, .flags = OPEN_NO_STATE, .attr = {.mask = ATTR_SIZE | ATTR_MODE}};
	struct obj f = a_text(t, "f", "text"), o = {0};

	how.attr.mode = 0600;
	OK(open_shut(t, "f", &how, &o));
	EQ(t->ans.created, 0);
	EQ(attr_of(t, &f).size, 0);
	EQ(attr_of(t, &f).mode, 0644);
}

CASE(open_guarded, "GUARDED makes what is not there; what is, is ERR_EXIST")
{
	struct obj o = {0};

	OK(open_shut(t, "f", &guarded, &o));
	EQ(t->ans.created, 1);
	FAILS(ERR_EXIST, open_shut(t, "f", &guarded, &o));
}

CASE_NEEDS(open_exclusive, HAS_OPS, "EXCLUSIVE with the verifier that made the file finds it, with another is ERR_EXIST")
{
	struct open_how how = {.disposition = OPEN_EXCLUSIVE, .flags = OPEN_NO_STATE, .verifier = 0x1122334455667788,
	                       .attr = {.mask = ATTR_MODE, .mode = 0600}};
	struct obj f = {0}, again = {0};

	OK(open_shut(t, "f", &how, &f));
	EQ(t->ans.created, 1);
	OK(open_shut(t, "f", &how, &again));
	EQ(t->ans.created, 0);
	EQ(attr_of(t, &again).fileid, attr_of(t, &f).fileid);
	how.verifier++;
	FAILS(ERR_EXIST, open_shut(t, "f", &how, &again));
}

CASE_NEEDS(open_exclusive_existing, HAS_OPS, "EXCLUSIVE on what another way made is ERR_EXIST, whatever the verifier")
{
	struct open_how how = {.disposition = OPEN_EXCLUSIVE, .flags = OPEN_NO_STATE};
	struct obj o;

	a_file(t, "f", 0644);
	a_dir(t, "d", 0755);
	how.verifier = 7;
	FAILS(ERR_EXIST, open_shut(t, "f", &how, &o));
	FAILS(ERR_EXIST, open_shut(t, "d", &how, &o));
	how.verifier = 0;
	FAILS(ERR_EXIST, open_shut(t, "f", &how, &o));
}

CASE_NEEDS(open_exclusive_times, HAS_OPS, "an exclusively made file has ordinary times and mode")
{
	struct open_how how = {.disposition = OPEN_EXCLUSIVE, .flags = OPEN_NO_STATE, .verifier = UINT64_MAX,
	                       .attr = {.mask = ATTR_MODE, .mode = 0640}};
	struct op_attr dir;
	struct obj f = {0};

	OK(open_shut(t, "f", &how, &f));
	dir = attr_of(t, &t->dir);
	EQ(attr_of(t, &f).mode, 0640);
	TRUE(attr_of(t, &f).mtime.sec >= dir.mtime.sec - 10);
	TRUE(attr_of(t, &f).atime.sec <= dir.mtime.sec + 10);
}

CASE(open_truncate, "TRUNCATE empties what is opened, keeps the object")
{
	struct open_how how = {.access = OPEN_READ | OPEN_WRITE, .flags = OPEN_TRUNCATE};
	struct obj f = a_text(t, "f", "text"), o = {0};

	OK(open_shut(t, "f", &how, &o));
	EQ(attr_of(t, &f).size, 0);
	EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
}

CASE(open_truncate_times, "truncating at open changes mtime and ctime, opening does not")
{
	struct open_how how = {.access = OPEN_READ | OPEN_WRITE, .flags = OPEN_TRUNCATE};
	struct obj f = a_text(t, "f", "text"), o = {0};
	struct op_attr before = attr_of(t, &f);

	tick(t);
	OK(open_shut(t, "f", &existing, &o));
	TIME_EQ(attr_of(t, &f).mtime, before.mtime);
	TIME_EQ(attr_of(t, &f).ctime, before.ctime);
	OK(open_shut(t, "f", &how, &o));
	TIME_AFTER(attr_of(t, &f).mtime, before.mtime);
	TIME_AFTER(attr_of(t, &f).ctime, before.ctime);
}

CASE(open_dir, "a directory is not opened for writing, nor made over")
{
	struct open_how write = {.access = OPEN_WRITE};
	struct obj d = a_dir(t, "d", 0755), o;

	FAILS(ERR_ISDIR, open_shut(t, "d", &write, &o));
	FAILS(ERR_ISDIR, fs_open_obj(t, &d, OPEN_READ | OPEN_WRITE));
	FAILS(ERR_EXIST, open_shut(t, "d", &guarded, &o));
	FAILS_EITHER(ERR_ISDIR, ERR_EXIST, open_shut(t, "d", &unchecked, &o));
}

CASE_NEEDS(open_nofollow_dir, HAS_OPS, "NOFOLLOW_DIR refuses a directory that could be opened for reading")
{
	struct open_how how = {.access = OPEN_READ, .flags = OPEN_NOFOLLOW_DIR};
	struct obj o;

	a_dir(t, "d", 0755);
	FAILS(ERR_ISDIR, open_shut(t, "d", &how, &o));
}

CASE(open_symlink, "a symbolic link is not opened nor followed")
{
	struct open_how write = {.access = OPEN_WRITE};
	struct obj f = a_text(t, "f", "text"), o;
	int err;

	a_symlink(t, "s", "f");
	err = open_shut(t, "s", &write, &o);
	TRUE(err == ERR_LOOP || err == ERR_INVAL || err == ERR_BADTYPE);
	FAILS(ERR_EXIST, open_shut(t, "s", &guarded, &o));
	err = open_shut(t, "s", &unchecked, &o);
	TRUE(err == ERR_LOOP || err == ERR_INVAL || err == ERR_EXIST || err == ERR_BADTYPE);
	TRUE(holds(t, &f, "text"));
}

CASE(open_dangling, "making a file over a dangling symbolic link makes nothing at its target")
{
	struct obj o;

	a_symlink(t, "s", "nowhere");
	NE(open_shut(t, "s", &unchecked, &o), 0);
	TRUE(!exists(t, &t->dir, "nowhere"));
}

CASE(open_in_file, "opening below what is no directory is ERR_NOTDIR")
{
	struct obj f = a_file(t, "f", 0777), o;

	FAILS(ERR_NOTDIR, fs_open(t, &f, "x", &existing, &o));
	FAILS(ERR_NOTDIR, fs_open(t, &f, "x", &unchecked, &o));
}

CASE(open_create_times, "making a file changes the directory's times, finding it does not")
{
	struct obj d = a_dir(t, "d", 0755), o = {0};
	struct op_attr before = attr_of(t, &d);

	tick(t);
	OK(fs_open(t, &d, "f", &unchecked, &o));
	OK(fs_close(t, t->ans.open_id));
	TIME_AFTER(attr_of(t, &d).mtime, before.mtime);
	before = attr_of(t, &d);
	tick(t);
	OK(fs_open(t, &d, "f", &unchecked, &o));
	OK(fs_close(t, t->ans.open_id));
	TIME_EQ(attr_of(t, &d).mtime, before.mtime);
	TIME_EQ(attr_of(t, &d).ctime, before.ctime);
}

CASE(open_ids, "opens of one file are independent: one closed, the other goes on")
{
	struct obj f = a_text(t, "f", "text");
	struct io io = {.size = 4};
	uint64_t first, second;
	char data[4];

	OK(fs_open_obj(t, &f, OPEN_READ));
	first = t->ans.open_id;
	OK(fs_open_obj(t, &f, OPEN_READ | OPEN_WRITE));
	second = t->ans.open_id;
	NE(first, second);
	OK(fs_close(t, first));
	io.open_id = second;
	io.data = data;
	OK(fs_io(t, &f, &io, false));
	SAME(data, "text", 4);
	OK(fs_close(t, second));
}

CASE(open_access_kept, "an open gives the access it asked for and no more, to root as well")
{
	struct obj f = a_text(t, "f", "text");
	struct io io = {.size = 1};
	char byte = 'x';
	int err;

	io.data = &byte;
	OK(fs_open_obj(t, &f, OPEN_READ));
	io.open_id = t->ans.open_id;
	err = fs_io(t, &f, &io, true);
	TRUE(err == ERR_BADHANDLE || err == ERR_ACCES || err == ERR_PERM);
	OK(fs_close(t, io.open_id));
	OK(fs_open_obj(t, &f, OPEN_WRITE));
	io.open_id = t->ans.open_id;
	err = fs_io(t, &f, &io, false);
	TRUE(err == ERR_BADHANDLE || err == ERR_ACCES || err == ERR_PERM);
	OK(fs_close(t, io.open_id));
	TRUE(holds(t, &f, "text"));
}

CASE_NEEDS(open_id_bad, HAS_OPS, "open ids that are not, no longer are, or are another file's are refused")
{
	struct obj f = a_text(t, "f", "text"), g = a_text(t, "g", "other");
	struct io io = {.size = 4};
	char data[4];

	io.data = data;
	io.open_id = 0x123456789abcdef;
	FAILS(ERR_BADHANDLE, fs_io(t, &f, &io, false));
	OK(fs_open_obj(t, &f, OPEN_READ | OPEN_WRITE));
	io.open_id = t->ans.open_id;
	FAILS(ERR_BADHANDLE, fs_io(t, &g, &io, false));
	FAILS(ERR_BADHANDLE, fs_io(t, &g, &io, true));
	OK(fs_close(t, io.open_id));
	FAILS(ERR_BADHANDLE, fs_io(t, &f, &io, false));
	FAILS(ERR_BADHANDLE, fs_close(t, io.open_id));
	FAILS(ERR_BADHANDLE, fs_close(t, 0));
	FAILS(ERR_BADHANDLE, fs_close(t, UINT64_MAX));
	TRUE(holds(t, &g, "other"));
}

CASE(open_many, "a thousand opens of one file are a thousand opens")
{
	struct obj f = a_text(t, "f", "text");
	uint64_t *ids = memory(t, 500 * sizeof(*ids));
	unsigned i;

	for (i = 0; i < 500; i++) {
		if (!OK(fs_open_obj(t, &f, OPEN_READ)))
			break;
		ids[i] = t->ans.open_id;
	}
	while (i > 0)
		OK(fs_close(t, ids[--i]));
}

CASE(open_survives_rename, "an open follows its file through renames")
{
	struct obj f = a_text(t, "f", "text"), d = a_dir(t, "d", 0755);
	struct io io = {.offset = 4, .data = "more", .size = 4};

	OK(fs_open_obj(t, &f, OPEN_WRITE));
	io.open_id = t->ans.open_id;
	OK(fs_rename(t, &t->dir, "f", &d, "g"));
	OK(fs_io(t, &f, &io, true));
	OK(fs_close(t, io.open_id));
	TRUE(holds(t, &f, "textmore"));
}

CASE_NEEDS(open_bad_arguments, HAS_OPS, "dispositions, access bits and flags that do not exist are ERR_INVAL")
{
	struct open_how how = {.disposition = 9, .access = OPEN_READ};
	struct obj o;

	a_file(t, "f", 0644);
	FAILS(ERR_INVAL, fs_open(t, &t->dir, "f", &how, &o));
	how = (struct open_how){.access = 64};
	FAILS(ERR_INVAL, fs_open(t, &t->dir, "f", &how, &o));
	how = (struct open_how){.access = OPEN_READ, .flags = 0x8000};
	FAILS(ERR_INVAL, fs_open(t, &t->dir, "f", &how, &o));
}

CASE_NEEDS(create_with_attributes, HAS_CREATE_DEFAULTS, "a file can be made with size, times and mode at once")
{
	struct open_how how = {
		.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE,
		.attr = {.mask = ATTR_MODE | ATTR_SIZE | ATTR_ATIME | ATTR_MTIME, .mode = 0604, .size = 5000,
	                 .atime = {.sec = 11, .nsec = 1}, .mtime = {.sec = 22, .nsec = 2}}};
	struct op_attr attr;
	struct obj f = {0};

	OK(fs_open(t, &t->dir, "f", &how, &f));
	attr = attr_of(t, &f);
	EQ(attr.mode, 0604);
	EQ(attr.size, 5000);
	TIME_EQ(attr.atime, at(11, 1));
	TIME_EQ(attr.mtime, at(22, 2));
}

CASE_NEEDS(create_with_bad_times, HAS_OPS, "a file can't be made with times that are none")
{
	struct open_how how = {
		.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE, .attr = {.mask = ATTR_ATIME, .atime = {.nsec = 1000000000}}};
	struct obj f;

	FAILS(ERR_INVAL, fs_open(t, &t->dir, "f", &how, &f));
	how.attr = (struct op_attr){.mask = ATTR_MTIME, .mtime = {.nsec = UINT32_MAX}};
	FAILS(ERR_INVAL, fs_open(t, &t->dir, "f", &how, &f));
	FAILS(ERR_NOENT, fs_lookup(t, &t->dir, "f", &f));
}

CASE(create_defaults, "a new file is empty, linked once, and its times are equal")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr attr = attr_of(t, &f);

	EQ(attr.size, 0);
	EQ(attr.nlink, 1);
	EQ(attr.space, 0);
	TIME_EQ(attr.atime, attr.mtime);
	TRUE(op_time_cmp(attr.ctime, attr.mtime) >= 0);
}

CASE_NEEDS(unlinked_write, HAS_UNLINKED, "a file without a name is in no directory, and is read and written")
{
	struct io io = {.data = "text", .size = 4};
	struct obj f = {0};
	char data[4];

	OK(fs_create_unlinked(t, &t->dir, 0600, &f));
	io.open_id = t->ans.open_id;
	EQ(attr_of(t, &f).nlink, 0);
	EQ(attr_of(t, &f).mode, 0600);
	EQ(count_entries(t, &t->dir), 0);
	OK(fs_io(t, &f, &io, true));
	io.data = data;
	OK(fs_io(t, &f, &io, false));
	SAME(data, "text", 4);
	OK(fs_close(t, io.open_id));
}

CASE_NEEDS(unlinked_link, HAS_UNLINKED, "link gives a file made without a name its first")
{
	struct io io = {.data = "text", .size = 4};
	struct obj f = {0}, o = {0};

	OK(fs_create_unlinked(t, &t->dir, 0644, &f));
	io.open_id = t->ans.open_id;
	OK(fs_io(t, &f, &io, true));
	OK(fs_link(t, &f, &t->dir, "named"));
	OK(fs_close(t, io.open_id));
	OK(fs_lookup(t, &t->dir, "named", &o));
	EQ(attr_of(t, &o).nlink, 1);
	TRUE(holds(t, &o, "text"));
}

CASE_NEEDS(unlinked_gone, HAS_UNLINKED | HAS_STALE, "a file without a name ends with its last open")
{
	struct obj f = {0};

	OK(fs_create_unlinked(t, &t->dir, 0600, &f));
	OK(fs_close(t, t->ans.open_id));
	FAILS(ERR_STALE, fs_getattr(t, &f));
}

CASE_NEEDS(unlinked_owner, HAS_UNLINKED | HAS_USERS, "a file without a name belongs to its maker; the directory must be his to write")
{
	struct obj d = a_dir(t, "d", 0755), f = {0};

	as(t, &ALICE);
	OK(fs_create_unlinked(t, &t->dir, 0600, &f));
	EQ(attr_of(t, &f).uid, ALICE.uid);
	OK(fs_close(t, t->ans.open_id));
	FAILS(ERR_ACCES, fs_create_unlinked(t, &d, 0600, &f));
}

CASE_NEEDS(unlinked_in_file, HAS_UNLINKED, "a file without a name is made in a directory")
{
	struct obj f = a_file(t, "f", 0777), o;

	FAILS(ERR_NOTDIR, fs_create_unlinked(t, &f, 0600, &o));
}
