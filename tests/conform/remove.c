/* Removing files and directories, and what stays open afterwards. */
#include <stdio.h>

#include "tests/conform/conform.h"

CASE(unlink_kinds, "every kind but a directory is removed by REMOVE_FILE")
{
	a_file(t, "f", 0644);
	a_symlink(t, "s", "f");
	a_fifo(t, "p", 0600);
	OK(fs_unlink(t, &t->dir, "s"));
	TRUE(exists(t, &t->dir, "f"));
	OK(fs_unlink(t, &t->dir, "f"));
	OK(fs_unlink(t, &t->dir, "p"));
	EQ(count_entries(t, &t->dir), 0);
}

CASE(unlink_dir, "REMOVE_FILE of a directory is ERR_ISDIR")
{
	a_dir(t, "d", 0755);
	FAILS(ERR_ISDIR, fs_unlink(t, &t->dir, "d"));
	TRUE(exists(t, &t->dir, "d"));
}

CASE(unlink_absent, "removing what is not there is ERR_NOENT")
{
	FAILS(ERR_NOENT, fs_unlink(t, &t->dir, "x"));
	FAILS(ERR_NOENT, fs_rmdir(t, &t->dir, "x"));
	FAILS(ERR_NOENT, t->drv->remove(t, &t->dir, str("x"), REMOVE_FILE | REMOVE_DIR));
}

CASE(unlink_in_file, "removing below what is no directory is ERR_NOTDIR")
{
	struct obj f = a_file(t, "f", 0777);

	FAILS(ERR_NOTDIR, fs_unlink(t, &f, "x"));
	FAILS(ERR_NOTDIR, fs_rmdir(t, &f, "x"));
}

CASE(rmdir_kinds, "REMOVE_DIR of anything else is ERR_NOTDIR, of a symlink to a directory too")
{
	a_file(t, "f", 0644);
	a_dir(t, "d", 0755);
	a_symlink(t, "s", "d");
	a_fifo(t, "p", 0600);
	FAILS(ERR_NOTDIR, fs_rmdir(t, &t->dir, "f"));
	FAILS(ERR_NOTDIR, fs_rmdir(t, &t->dir, "s"));
	FAILS(ERR_NOTDIR, fs_rmdir(t, &t->dir, "p"));
	EQ(count_entries(t, &t->dir), 4);
}

CASE(rmdir_full, "a directory with anything in it is not removed")
{
	struct obj d = a_dir(t, "d", 0755);
	unsigned kind;

	for (kind = 0; kind < MAKE_LINK; kind++) {
		row(t, "%s", kind_name(kind));
		OK(make_kind(t, kind, &d, str("x")));
		FAILS_EITHER(ERR_NOTEMPTY, ERR_EXIST, fs_rmdir(t, &t->dir, "d"));
		OK(t->drv->remove(t, &d, str("x"), kind == MAKE_DIR ? REMOVE_DIR : REMOVE_FILE));
	}
	OK(fs_rmdir(t, &t->dir, "d"));
}

CASE(remove_either, "with both flags a file or an empty directory is removed")
{
	struct obj d;

	a_file(t, "f", 0644);
	a_dir(t, "e", 0755);
	d = a_dir(t, "d", 0755);
	file_in(t, &d, "x", 0644);
	OK(t->drv->remove(t, &t->dir, str("f"), REMOVE_FILE | REMOVE_DIR));
	OK(t->drv->remove(t, &t->dir, str("e"), REMOVE_FILE | REMOVE_DIR));
	FAILS_EITHER(ERR_NOTEMPTY, ERR_EXIST, t->drv->remove(t, &t->dir, str("d"), REMOVE_FILE | REMOVE_DIR));
}

CASE_NEEDS(remove_no_flags, HAS_OPS, "with neither flag, or unknown ones, nothing is removed")
{
	a_file(t, "f", 0644);
	FAILS(ERR_INVAL, t->drv->remove(t, &t->dir, str("f"), 0));
	FAILS(ERR_INVAL, t->drv->remove(t, &t->dir, str("f"), 8));
	TRUE(exists(t, &t->dir, "f"));
}

CASE(rmdir_parent_count, "a removed directory no longer counts in its parent")
{
	struct obj d = a_dir(t, "d", 0755);

	dir_in(t, &d, "sub", 0755);
	EQ(attr_of(t, &d).nlink, 3);
	OK(fs_rmdir(t, &d, "sub"));
	EQ(attr_of(t, &d).nlink, 2);
}

CASE(remove_dir_times, "removing changes the directory's mtime and ctime")
{
	struct obj d = a_dir(t, "d", 0755);
	struct op_attr before;

	file_in(t, &d, "f", 0644);
	dir_in(t, &d, "sub", 0755);
	before = attr_of(t, &d);
	tick(t);
	OK(fs_unlink(t, &d, "f"));
	TIME_AFTER(attr_of(t, &d).mtime, before.mtime);
	TIME_AFTER(attr_of(t, &d).ctime, before.ctime);
	before = attr_of(t, &d);
	tick(t);
	OK(fs_rmdir(t, &d, "sub"));
	TIME_AFTER(attr_of(t, &d).mtime, before.mtime);
}

CASE(remove_failed_times, "removing that fails changes no times")
{
	struct obj d = a_dir(t, "d", 0755), sub = dir_in(t, &d, "sub", 0755);
	struct op_attr before;

	file_in(t, &sub, "f", 0644);
	before = attr_of(t, &d);
	tick(t);
	FAILS_EITHER(ERR_NOTEMPTY, ERR_EXIST, fs_rmdir(t, &d, "sub"));
	FAILS(ERR_NOENT, fs_unlink(t, &d, "absent"));
	FAILS(ERR_ISDIR, fs_unlink(t, &d, "sub"));
	TIME_EQ(attr_of(t, &d).mtime, before.mtime);
	TIME_EQ(attr_of(t, &d).ctime, before.ctime);
}

CASE(removed_dir_makes_nothing, "in a removed directory nothing can be made")
{
	struct obj d = a_dir(t, "d", 0777);
	unsigned kind;

	OK(fs_rmdir(t, &t->dir, "d"));
	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS_EITHER(ERR_NOENT, ERR_STALE, make_kind(t, kind, &d, str("x")));
	}
}

CASE(remove_make_again, "a removed name can be made again as another object")
{
	struct obj f = a_text(t, "x", "old"), o = {0};

	OK(fs_unlink(t, &t->dir, "x"));
	a_dir(t, "x", 0755);
	OK(fs_rmdir(t, &t->dir, "x"));
	f = a_file(t, "x", 0600);
	OK(fs_lookup(t, &t->dir, "x", &o));
	EQ(attr_of(t, &o).size, 0);
	EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
	EQ(attr_of(t, &o).mode, 0600);
}

CASE(remove_cycle, "a name made and removed 1,000 times leaves nothing behind")
{
	struct op_attr before = attr_of(t, &t->dir);
	unsigned i;

	for (i = 0; i < 1000; i++) {
		OK(make_kind(t, i % MAKE_LINK, &t->dir, str("x")));
		OK(t->drv->remove(t, &t->dir, str("x"), REMOVE_FILE | REMOVE_DIR));
	}
	EQ(count_entries(t, &t->dir), 0);
	EQ(attr_of(t, &t->dir).nlink, before.nlink);
}

CASE(unlink_while_open, "an open file without a name is read, written and truncated as before")
{
	struct obj f = a_text(t, "f", "hello");
	struct op_attr attr = {.mask = ATTR_SIZE, .size = 3};
	struct io io = {.size = 5};
	char data[8] = {0};

	OK(fs_open_obj(t, &f, OPEN_READ | OPEN_WRITE));
	io.open_id = t->ans.open_id;
	OK(fs_unlink(t, &t->dir, "f"));
	EQ(attr_of(t, &f).nlink, 0);
	io.data = "world";
	OK(fs_io(t, &f, &io, true));
	io.data = data;
	OK(fs_io(t, &f, &io, false));
	SAME(data, "world", 5);
	OK(t->drv->setattr(t, &f, &attr, io.open_id));
	EQ(attr_of(t, &f).size, 3);
	OK(fs_close(t, io.open_id));
}

CASE(unlink_while_open_name_free, "the name of an open, removed file can be used again")
{
	struct obj f = a_text(t, "f", "old"), g;
	struct io io = {.size = 3};
	char data[3];

	OK(fs_open_obj(t, &f, OPEN_READ));
	io.open_id = t->ans.open_id;
	OK(fs_unlink(t, &t->dir, "f"));
	g = a_text(t, "f", "new");
	io.data = data;
	OK(fs_io(t, &f, &io, false));
	SAME(data, "old", 3);
	TRUE(holds(t, &g, "new"));
	OK(fs_close(t, io.open_id));
}

CASE_NEEDS(unlink_closed_stale, HAS_STALE, "the last close of a removed file ends its handle")
{
	struct obj f = a_file(t, "f", 0644);
	uint64_t first, second;

	OK(fs_open_obj(t, &f, OPEN_READ));
	first = t->ans.open_id;
	OK(fs_open_obj(t, &f, OPEN_WRITE));
	second = t->ans.open_id;
	OK(fs_unlink(t, &t->dir, "f"));
	OK(fs_close(t, first));
	OK(fs_getattr(t, &f));
	OK(fs_close(t, second));
	FAILS(ERR_STALE, fs_getattr(t, &f));
}

CASE_NEEDS(removed_stale, HAS_STALE, "handles of what was removed are stale in every operation")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755), o;
	char byte;

	OK(fs_unlink(t, &t->dir, "f"));
	OK(fs_rmdir(t, &t->dir, "d"));
	FAILS(ERR_STALE, fs_getattr(t, &f));
	FAILS(ERR_STALE, fs_chmod(t, &f, 0600));
	FAILS(ERR_STALE, fs_read(t, &f, 0, &byte, 1));
	FAILS(ERR_STALE, fs_write(t, &f, 0, "x", 1));
	FAILS(ERR_STALE, fs_open_obj(t, &f, OPEN_READ));
	FAILS(ERR_STALE, fs_link(t, &f, &t->dir, "l"));
	FAILS(ERR_STALE, fs_getattr(t, &d));
	FAILS(ERR_STALE, fs_lookup(t, &d, "x", &o));
	FAILS(ERR_STALE, fs_mkdir(t, &d, "x", 0755, &o));
	FAILS(ERR_STALE, fs_parent(t, &d, &o));
}

CASE(remove_many, "2,000 names are made and removed in another order")
{
	char name[16];
	unsigned i;

	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		OK(make_kind(t, MAKE_SYMLINK, &t->dir, str(name)));
	}
	EQ(count_entries(t, &t->dir), 2000);
	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "%u", i * 1301 % 2000);
		OK(fs_unlink(t, &t->dir, name));
	}
	EQ(count_entries(t, &t->dir), 0);
}
