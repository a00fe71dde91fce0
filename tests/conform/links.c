/* Hard links: one object, several names. */
#include <stdio.h>

#include "tests/conform/conform.h"

CASE(link_counts, "a link is another name: the count goes up and down, the object stays")
{
	struct obj f = a_file(t, "f", 0644), o = {0};

	EQ(attr_of(t, &f).nlink, 1);
	OK(fs_link(t, &f, &t->dir, "l"));
	EQ(attr_of(t, &f).nlink, 2);
	OK(fs_lookup(t, &t->dir, "l", &o));
	EQ(attr_of(t, &o).nlink, 2);
	OK(fs_unlink(t, &t->dir, "f"));
	EQ(attr_of(t, &o).nlink, 1);
}

CASE(link_shares, "data and attributes are the object's, not the name's")
{
	struct obj f = a_file(t, "f", 0644), l = {0};

	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_lookup(t, &t->dir, "l", &l));
	OK(fs_write_text(t, &f, 0, "one"));
	TRUE(holds(t, &l, "one"));
	OK(fs_chmod(t, &l, 0600));
	EQ(attr_of(t, &f).mode, 0600);
	OK(fs_unlink(t, &t->dir, "f"));
	TRUE(holds(t, &l, "one"));
}

CASE(link_times, "linking changes ctime of the object, mtime and ctime of the directory, no more")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755);
	struct op_attr file = attr_of(t, &f), dir = attr_of(t, &d), after;

	tick(t);
	OK(fs_link(t, &f, &d, "l"));
	after = attr_of(t, &f);
	TIME_AFTER(after.ctime, file.ctime);
	TIME_EQ(after.mtime, file.mtime);
	after = attr_of(t, &d);
	TIME_AFTER(after.ctime, dir.ctime);
	TIME_AFTER(after.mtime, dir.mtime);
}

CASE(link_dir, "a directory has one name")
{
	struct obj d = a_dir(t, "d", 0755);

	FAILS_EITHER(ERR_PERM, ERR_ISDIR, fs_link(t, &d, &t->dir, "l"));
	FAILS_EITHER(ERR_PERM, ERR_ISDIR, fs_link(t, &d, &d, "self"));
	EQ(count_entries(t, &t->dir), 1);
}

CASE(link_symlink, "linking a symbolic link gives it another name, not its target")
{
	struct obj f = a_file(t, "f", 0644), s = a_symlink(t, "s", "f"), l = {0};

	OK(fs_link(t, &s, &t->dir, "l"));
	OK(fs_lookup(t, &t->dir, "l", &l));
	EQ(attr_of(t, &l).type, OP_TYPE_SYMLINK);
	EQ(attr_of(t, &s).nlink, 2);
	EQ(attr_of(t, &f).nlink, 1);
}

CASE(link_fifo, "a fifo can have several names")
{
	struct obj p = a_fifo(t, "p", 0600);

	OK(fs_link(t, &p, &t->dir, "l"));
	EQ(attr_of(t, &p).nlink, 2);
}

CASE(link_existing, "linking onto any name that is there is ERR_EXIST, onto itself too")
{
	struct obj f = a_file(t, "f", 0644);

	a_dir(t, "d", 0755);
	a_symlink(t, "s", "nowhere");
	FAILS(ERR_EXIST, fs_link(t, &f, &t->dir, "f"));
	FAILS(ERR_EXIST, fs_link(t, &f, &t->dir, "d"));
	FAILS(ERR_EXIST, fs_link(t, &f, &t->dir, "s"));
	EQ(attr_of(t, &f).nlink, 1);
}

CASE(link_other_dir, "a file may have names in several directories")
{
	struct obj f = a_text(t, "f", "text"), a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755), o = {0};

	OK(fs_link(t, &f, &a, "l"));
	OK(fs_link(t, &f, &b, "l"));
	EQ(attr_of(t, &f).nlink, 3);
	OK(fs_unlink(t, &t->dir, "f"));
	OK(fs_unlink(t, &a, "l"));
	OK(fs_lookup(t, &b, "l", &o));
	TRUE(holds(t, &o, "text"));
	EQ(attr_of(t, &o).nlink, 1);
}

CASE(link_thousand, "a file may have a thousand names")
{
	struct obj f = a_file(t, "f", 0644);
	char name[16];
	unsigned i;

	for (i = 1; i < 1000; i++) {
		snprintf(name, sizeof(name), "l%u", i);
		if (!OK(fs_link(t, &f, &t->dir, name)))
			break;
	}
	EQ(attr_of(t, &f).nlink, 1000);
	EQ(count_entries(t, &t->dir), 1000);
}

CASE_NEEDS(link_limit, HAS_OPS, "a file may have as many names as statfs tells; past the store's own limit it is ERR_MLINK")
{
	struct obj f = a_file(t, "f", 0644);
	uint32_t limit, i;
	char name[16];

	OK(fs_statfs(t, &f));
	limit = t->ans.statfs.link_max;
	TRUE(limit >= 1000);
	if (limit > 70000)
		return;
	for (i = 1; i < limit; i++) {
		snprintf(name, sizeof(name), "l%u", i);
		if (!OK(fs_link(t, &f, &t->dir, name)))
			return;
	}
	FAILS_EITHER(ERR_MLINK, 0, fs_link(t, &f, &t->dir, "over"));
	TRUE(attr_of(t, &f).nlink >= limit);
}

CASE(link_dir_counts, "a directory counts itself, its entry and its subdirectories")
{
	struct obj d = a_dir(t, "d", 0755), e = a_dir(t, "e", 0755);

	EQ(attr_of(t, &d).nlink, 2);
	dir_in(t, &d, "a", 0755);
	dir_in(t, &d, "b", 0755);
	file_in(t, &d, "f", 0644);
	EQ(attr_of(t, &d).nlink, 4);
	OK(fs_rename(t, &d, "a", &e, "a"));
	EQ(attr_of(t, &d).nlink, 3);
	EQ(attr_of(t, &e).nlink, 3);
	OK(fs_rmdir(t, &d, "b"));
	EQ(attr_of(t, &d).nlink, 2);
}

CASE(unlink_times, "removing one of several names changes the object's ctime alone")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr before, after;

	OK(fs_link(t, &f, &t->dir, "l"));
	before = attr_of(t, &f);
	tick(t);
	OK(fs_unlink(t, &t->dir, "l"));
	after = attr_of(t, &f);
	EQ(after.nlink, 1);
	TIME_AFTER(after.ctime, before.ctime);
	TIME_EQ(after.mtime, before.mtime);
}

CASE(link_removed, "an object without a name gets none by link unless it was made so")
{
	struct obj f = a_file(t, "f", 0644);

	OK(fs_open_obj(t, &f, OPEN_READ));
	OK(fs_unlink(t, &t->dir, "f"));
	FAILS_EITHER(ERR_NOENT, ERR_STALE, fs_link(t, &f, &t->dir, "again"));
	OK(fs_close(t, t->ans.open_id));
}

CASE(link_in_removed_dir, "nothing is linked into a removed directory")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755);

	OK(fs_rmdir(t, &t->dir, "d"));
	FAILS_EITHER(ERR_NOENT, ERR_STALE, fs_link(t, &f, &d, "l"));
	EQ(attr_of(t, &f).nlink, 1);
}
