/* Names and paths: which bytes make a name, how long it may be, what "." and ".." are. */
#include <stdio.h>

#include "tests/conform/conform.h"

CASE(lookup_dot, "'.' is the directory itself")
{
	struct obj d = a_dir(t, "d", 0755), o = {0};

	OK(fs_lookup(t, &d, ".", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &d).fileid);
}

CASE(lookup_dotdot, "'..' is the parent")
{
	struct obj d = a_dir(t, "d", 0755), o = {0};

	OK(fs_lookup(t, &d, "..", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &t->dir).fileid);
}

CASE_NEEDS(lookup_dotdot_root, HAS_OPS, "the root is its own parent")
{
	struct obj o = {0};

	OK(fs_lookup(t, &t->root, "..", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &t->root).fileid);
	OK(fs_parent(t, &t->root, &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &t->root).fileid);
}

CASE(lookup_absent, "a name that is not there is ERR_NOENT")
{
	struct obj o;

	FAILS(ERR_NOENT, fs_lookup(t, &t->dir, "absent", &o));
}

CASE(lookup_in_file, "looking up below what is no directory is ERR_NOTDIR")
{
	struct obj f = a_file(t, "f", 0777), s = a_symlink(t, "s", "."), p = a_fifo(t, "p", 0777), o;

	FAILS(ERR_NOTDIR, fs_lookup(t, &f, "x", &o));
	FAILS(ERR_NOTDIR, fs_lookup(t, &s, "f", &o));
	FAILS(ERR_NOTDIR, fs_lookup(t, &p, "x", &o));
}

CASE(lookup_types, "every kind of object is reported as its type")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755), s = a_symlink(t, "s", "x"), p = a_fifo(t, "p", 0600);

	EQ(attr_of(t, &f).type, OP_TYPE_FILE);
	EQ(attr_of(t, &d).type, OP_TYPE_DIR);
	EQ(attr_of(t, &s).type, OP_TYPE_SYMLINK);
	EQ(attr_of(t, &p).type, OP_TYPE_FIFO);
}

CASE(lookup_same_object, "two lookups of a name give one object")
{
	struct obj f = a_file(t, "f", 0644), o = {0};

	OK(fs_lookup(t, &t->dir, "f", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
	OK(fs_write_text(t, &o, 0, "seen"));
	TRUE(holds(t, &f, "seen"));
}

CASE(fileid_distinct, "objects have distinct file ids, names of one object the same")
{
	struct obj a = a_file(t, "a", 0644), b = a_file(t, "b", 0644), o = {0};

	NE(attr_of(t, &a).fileid, attr_of(t, &b).fileid);
	NE(attr_of(t, &a).fileid, attr_of(t, &t->dir).fileid);
	OK(fs_link(t, &a, &t->dir, "c"));
	OK(fs_lookup(t, &t->dir, "c", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &a).fileid);
	EQ(attr_of(t, &a).fsid, attr_of(t, &t->dir).fsid);
}

CASE(name_255, "a name of 255 bytes can be made in every way, found and removed")
{
	struct str name = repeat(t, 'n', 255);
	struct obj o;
	unsigned kind;

	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		OK(make_kind(t, kind, &t->dir, name));
		OK(t->drv->lookup(t, &t->dir, name, &o));
		OK(t->drv->remove(t, &t->dir, name, kind == MAKE_DIR ? REMOVE_DIR : REMOVE_FILE));
		FAILS(ERR_NOENT, t->drv->lookup(t, &t->dir, name, &o));
	}
}

CASE(name_256, "a name of 256 bytes is ERR_NAMETOOLONG in every way to make one")
{
	struct str name = repeat(t, 'n', 256);
	unsigned kind;

	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS(ERR_NAMETOOLONG, make_kind(t, kind, &t->dir, name));
	}
}

CASE(name_256_existing, "looking up, removing and renaming a name of 256 bytes is ERR_NAMETOOLONG")
{
	struct str name = repeat(t, 'n', 256);
	struct obj o;

	FAILS(ERR_NAMETOOLONG, t->drv->lookup(t, &t->dir, name, &o));
	FAILS(ERR_NAMETOOLONG, t->drv->remove(t, &t->dir, name, REMOVE_FILE));
	FAILS(ERR_NAMETOOLONG, t->drv->remove(t, &t->dir, name, REMOVE_DIR));
	FAILS(ERR_NAMETOOLONG, t->drv->rename(t, &t->dir, name, &t->dir, str("x"), 0));
}

CASE(name_utf8_255, "255 bytes are bytes, not characters")
{
	char name[256 + 2] = "";
	unsigned i;

	for (i = 0; i < 127; i++)
		strcat(name, "\xc3\xa9");
	strcat(name, "x");
	OK(make_kind(t, MAKE_FILE, &t->dir, str(name)));
	strcat(name, "y");
	FAILS(ERR_NAMETOOLONG, make_kind(t, MAKE_FILE, &t->dir, str(name)));
}

CASE(name_empty, "an empty name is refused in every way to make one")
{
	unsigned kind;

	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		if (kind == MAKE_FILE) /* open without a name is about the object itself */
			continue;
		row(t, "%s", kind_name(kind));
		FAILS_EITHER(ERR_NOENT, ERR_INVAL, make_kind(t, kind, &t->dir, str("")));
	}
}

CASE(name_empty_existing, "an empty name is refused by lookup, remove and rename")
{
	struct obj o;

	FAILS_EITHER(ERR_NOENT, ERR_INVAL, fs_unlink(t, &t->dir, ""));
	FAILS_EITHER(ERR_NOENT, ERR_INVAL, fs_rmdir(t, &t->dir, ""));
	FAILS_EITHER(ERR_NOENT, ERR_INVAL, fs_rename(t, &t->dir, "", &t->dir, "x"));
	FAILS_EITHER(ERR_NOENT, ERR_INVAL, fs_lookup(t, &t->dir, "", &o));
}

CASE_NEEDS(name_slash, HAS_RAW_NAMES, "a name with a slash is refused and reaches nothing")
{
	struct obj d = a_dir(t, "d", 0777), o;
	unsigned kind;

	OK(fs_lookup(t, &t->dir, "d", &d));
	file_in(t, &d, "f", 0644);
	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS_EITHER(ERR_INVAL, ERR_BADNAME, make_kind(t, kind, &t->dir, str("d/new")));
	}
	FAILS_EITHER(ERR_INVAL, ERR_BADNAME, fs_lookup(t, &t->dir, "d/f", &o));
	FAILS_EITHER(ERR_INVAL, ERR_BADNAME, fs_unlink(t, &t->dir, "d/f"));
	FAILS_EITHER(ERR_INVAL, ERR_BADNAME, fs_lookup(t, &d, "../d", &o));
	EQ(count_entries(t, &d), 1);
}

CASE_NEEDS(name_nul, HAS_RAW_NAMES, "a name with a NUL is refused in every way")
{
	struct str name = {"a\0b", 3};
	struct obj o;
	unsigned kind;

	a_file(t, "a", 0644);
	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS_EITHER(ERR_INVAL, ERR_BADNAME, make_kind(t, kind, &t->dir, name));
	}
	FAILS_EITHER(ERR_INVAL, ERR_BADNAME, t->drv->lookup(t, &t->dir, name, &o));
	FAILS_EITHER(ERR_INVAL, ERR_BADNAME, t->drv->remove(t, &t->dir, name, REMOVE_FILE));
}

static const char *const odd_names[] = {
	"\xff\xfe\x80", "\xc3(", "new\nline", "tab\t", " leading", "trailing ", "trailing.", "...", "-rf", "*", "?",
	"back\\slash", "col:on", "\"quoted\"", "con", "a\x01\x02\x1f\x7f", "\xed\xa0\x80", "\xf4\x90\x80\x80", "..a", ".hidden",
	"~", "%2f", "e\xcc\x81", "\xc3\xa9",
};

CASE(name_any_bytes, "names are bytes: what is no UTF-8, control characters and blanks are kept as they are")
{
	struct obj f, o = {0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(odd_names); i++) {
		row(t, "name %zu", i);
		f = a_file(t, odd_names[i], 0644);
		OK(fs_lookup(t, &t->dir, odd_names[i], &o));
		EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
	}
	EQ(count_entries(t, &t->dir), ARRAY_SIZE(odd_names));
}

CASE(name_every_byte, "each byte but NUL and slash makes a name")
{
	char name[3] = "_x";
	unsigned byte;

	for (byte = 1; byte < 256; byte++) {
		if (byte == '/')
			continue;
		name[1] = (char)byte;
		row(t, "byte 0x%02x", byte);
		a_file(t, name, 0644);
	}
	EQ(count_entries(t, &t->dir), 254);
}

CASE(name_case, "names that differ in case are two names")
{
	struct obj lower = a_file(t, "readme", 0644), upper = a_file(t, "README", 0644);

	NE(attr_of(t, &lower).fileid, attr_of(t, &upper).fileid);
	EQ(count_entries(t, &t->dir), 2);
}

CASE(name_dot_make, "'.' and '..' cannot be made: they are there")
{
	static const char *const dots[] = {".", ".."};
	unsigned kind, i;
	int err;

	for (kind = 0; kind < N_MAKE_KINDS; kind++)
		for (i = 0; i < 2; i++) {
			row(t, "%s %s", kind_name(kind), dots[i]);
			err = make_kind(t, kind, &t->dir, str(dots[i]));
			TRUE(err == ERR_EXIST || err == ERR_INVAL || err == ERR_ISDIR || err == ERR_BUSY);
		}
}

CASE(name_dot_remove, "'.' and '..' cannot be removed: RFC 1813 section 3.3.13")
{
	struct obj d = a_dir(t, "d", 0755);
	int err;

	FAILS(ERR_INVAL, fs_rmdir(t, &d, "."));
	err = fs_rmdir(t, &d, "..");
	TRUE(err == ERR_NOTEMPTY || err == ERR_EXIST || err == ERR_INVAL);
	FAILS_EITHER(ERR_ISDIR, ERR_INVAL, fs_unlink(t, &d, "."));
	FAILS_EITHER(ERR_ISDIR, ERR_INVAL, fs_unlink(t, &d, ".."));
	TRUE(exists(t, &t->dir, "d"));
}

CASE(name_dot_rename, "'.' and '..' cannot be renamed nor replaced")
{
	struct obj d = a_dir(t, "d", 0755);

	a_dir(t, "e", 0755);
	FAILS_EITHER(ERR_BUSY, ERR_INVAL, fs_rename(t, &d, ".", &t->dir, "x"));
	FAILS_EITHER(ERR_BUSY, ERR_INVAL, fs_rename(t, &d, "..", &t->dir, "x"));
	FAILS_EITHER(ERR_BUSY, ERR_INVAL, fs_rename(t, &t->dir, "e", &d, "."));
	FAILS_EITHER(ERR_BUSY, ERR_INVAL, fs_rename(t, &t->dir, "e", &d, ".."));
	EQ(count_entries(t, &t->dir), 2);
}

CASE(name_make_existing, "every way to make a name fails with ERR_EXIST on every kind that is there")
{
	static const char *const names[] = {"file", "dir", "full", "symlink", "fifo", "dangling"};
	struct obj full;
	unsigned kind, i;

	a_file(t, "file", 0644);
	a_dir(t, "dir", 0755);
	full = a_dir(t, "full", 0755);
	file_in(t, &full, "x", 0644);
	a_symlink(t, "symlink", "file");
	a_fifo(t, "fifo", 0600);
	a_symlink(t, "dangling", "nowhere");
	for (kind = 0; kind < N_MAKE_KINDS; kind++)
		for (i = 0; i < ARRAY_SIZE(names); i++) {
			row(t, "%s on %s", kind_name(kind), names[i]);
			FAILS(ERR_EXIST, make_kind(t, kind, &t->dir, str(names[i])));
		}
	TRUE(!exists(t, &t->dir, "nowhere"));
}

CASE(name_make_in_file, "every way to make a name below what is no directory is ERR_NOTDIR")
{
	struct obj f = a_file(t, "f", 0777), s = a_symlink(t, "s", ".");
	unsigned kind;

	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS(ERR_NOTDIR, make_kind(t, kind, &f, str("x")));
		FAILS(ERR_NOTDIR, make_kind(t, kind, &s, str("x")));
	}
}

CASE(path_components, "a path is walked component by component")
{
	struct obj a = a_dir(t, "a", 0755), b = dir_in(t, &a, "b", 0755), f = file_in(t, &b, "f", 0644), o = {0};

	OK(fs_path(t, &t->dir, "a/b/f", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
	OK(fs_path(t, &t->dir, "a", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &a).fileid);
}

CASE(path_errors, "a path fails as its first bad component does")
{
	struct obj a = a_dir(t, "a", 0755), o;

	file_in(t, &a, "f", 0644);
	FAILS(ERR_NOENT, fs_path(t, &t->dir, "a/x/f", &o));
	FAILS(ERR_NOTDIR, fs_path(t, &t->dir, "a/f/x", &o));
	FAILS(ERR_NOENT, fs_path(t, &t->dir, "x", &o));
}

CASE(path_dotdot, "'..' in a path goes up")
{
	struct obj a = a_dir(t, "a", 0755), f = a_file(t, "f", 0644), o = {0};

	dir_in(t, &a, "b", 0755);
	OK(fs_path(t, &t->dir, "a/b/../../f", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
}

CASE(path_slashes, "doubled and trailing slashes count as one")
{
	struct obj a = a_dir(t, "a", 0755), b = dir_in(t, &a, "b", 0755), o = {0};

	OK(fs_path(t, &t->dir, "a//b", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &b).fileid);
	OK(fs_path(t, &t->dir, "a/b/", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &b).fileid);
}

CASE(path_symlink, "a symbolic link in a path is not followed, at its end it is the object")
{
	struct obj d = a_dir(t, "d", 0755), s = a_symlink(t, "s", "d"), o = {0};

	file_in(t, &d, "f", 0644);
	FAILS_EITHER(ERR_NOTDIR, ERR_LOOP, fs_path(t, &t->dir, "s/f", &o));
	OK(fs_path(t, &t->dir, "s", &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &s).fileid);
}

CASE(path_long, "a path may be 4,096 bytes long and no longer, a component 255")
{
	struct str path = repeat(t, '/', OP_PATH_MAX + 1), name = repeat(t, 'x', 256);
	struct obj o;

	memcpy((char *)path.bytes, "d", 1);
	a_dir(t, "d", 0755);
	FAILS(ERR_NAMETOOLONG, t->drv->lookup_path(t, &t->dir, path, &o));
	path.size = OP_PATH_MAX;
	OK(t->drv->lookup_path(t, &t->dir, path, &o));
	FAILS(ERR_NAMETOOLONG, t->drv->lookup_path(t, &t->dir, name, &o));
}

CASE(path_deep, "a tree 300 directories deep can be made, walked up and removed")
{
	struct obj dirs[8] = {t->dir}, up = {0};
	struct obj *at_dir = memory(t, 301 * sizeof(*at_dir));
	unsigned i;

	at_dir[0] = dirs[0];
	for (i = 0; i < 300; i++)
		if (!OK(fs_mkdir(t, &at_dir[i], "d", 0755, &at_dir[i + 1])))
			return;
	OK(fs_parent(t, &at_dir[300], &up));
	EQ(attr_of(t, &up).fileid, attr_of(t, &at_dir[299]).fileid);
	for (i = 300; i > 0; i--)
		OK(fs_rmdir(t, &at_dir[i - 1], "d"));
}

CASE(parent_follows_rename, "the parent is the one after a rename")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755), d = dir_in(t, &a, "d", 0755), up = {0};

	OK(fs_rename(t, &a, "d", &b, "d"));
	OK(fs_parent(t, &d, &up));
	EQ(attr_of(t, &up).fileid, attr_of(t, &b).fileid);
	OK(fs_lookup(t, &d, "..", &up));
	EQ(attr_of(t, &up).fileid, attr_of(t, &b).fileid);
}

CASE(parent_of_file, "only a directory has a parent")
{
	struct obj f = a_file(t, "f", 0644), up;

	FAILS(ERR_NOTDIR, fs_parent(t, &f, &up));
}
