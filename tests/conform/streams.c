/* Streams: files of their own below a file or directory, which share its attributes and go with it. */
#include <stdio.h>

#include "tests/conform/verbs-stream.h"

#define CASE_STREAM(name, text) CASE_NEEDS(name, HAS_STREAMS, text)
#define TOGETHER 4

static bool names_are(struct test *t, const struct obj *base, const char *want)
{
	char *got = stream_names(t, base);

	row(t, "\"%s\", expected \"%s\"", got, want);
	bool same = TRUE(strcmp(got, want) == 0);
	row(t, NULL);
	return same;
}

/* An object without a name that nobody uses is gone once what a store still writes of it is: for that one waits. */
static bool is_gone(struct test *t, const struct obj *o)
{
	unsigned i;

	for (i = 0; i < 200 && fs_getattr(t, o) != ERR_STALE; i++) {
		OK(t->drv->sync(t, &t->dir));
		tick(t);
	}
	return i < 200;
}

CASE_STREAM(stream_create, "a stream is made, written, read and found again; its base's data is another's")
{
	struct obj f = a_text(t, "f", "the file"), s = a_stream(t, &f, "s", "the stream"), again = {0};

	TRUE(holds(t, &s, "the stream"));
	TRUE(holds(t, &f, "the file"));
	OK(fs_stream(t, &f, "s", OPEN_EXISTING, 0, &again));
	EQ(t->ans.created, 0);
	EQ(t->ans.attr.size, 10);
	TRUE(holds(t, &again, "the stream"));
	EQ(again.handle.size, s.handle.size);
	SAME(again.handle.bytes, s.handle.bytes, s.handle.size);
	FAILS(ERR_NOENT, fs_stream(t, &f, "t", OPEN_EXISTING, 0, &again));
	names_are(t, &f, "s=10 ");
}

CASE_STREAM(stream_dispositions, "guarded makes only, existing finds only, unchecked does either; exclusive is refused")
{
	struct obj f = a_file(t, "f", 0644), s;

	OK(fs_stream(t, &f, "s", OPEN_UNCHECKED, 0, &s));
	EQ(t->ans.created, 1);
	EQ(t->ans.attr.size, 0);
	OK(fs_stream(t, &f, "s", OPEN_UNCHECKED, 0, &s));
	EQ(t->ans.created, 0);
	FAILS(ERR_EXIST, fs_stream(t, &f, "s", OPEN_GUARDED, 0, &s));
	FAILS(ERR_INVAL, fs_stream(t, &f, "s", OPEN_EXCLUSIVE, 0, &s));
	OK(fs_write_text(t, &s, 0, "text"));
	OK(fs_stream(t, &f, "s", OPEN_UNCHECKED, OPEN_TRUNCATE, &s));
	EQ(t->ans.attr.size, 0);
	FAILS(ERR_INVAL, fs_stream(t, &f, "s", OPEN_EXISTING, OPEN_NOFOLLOW_DIR, &s));
}

CASE_STREAM(stream_naming, "names are 1 to 255 bytes, any but '/' and NUL, and listed in order of bytes")
{
	static const char *const names[] = {"b", "a", "B", "\xc3\xa9", "a:b", " ", "\xff"};
	struct open_how how = {.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE};
	struct obj f = a_file(t, "f", 0644);
	struct str longest = repeat(t, 'n', 255);
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		a_stream(t, &f, names[i], "");
	names_are(t, &f, " =0 B=0 a=0 a:b=0 b=0 \xc3\xa9=0 \xff=0 ");
	OK(fs_open_stream(t, &f, longest, &how, NULL));
	FAILS(ERR_EXIST, fs_open_stream(t, &f, longest, &how, NULL));
	OK(fs_remove_stream(t, &f, longest.bytes, 0));
	FAILS(ERR_INVAL, fs_stream(t, &f, "", OPEN_UNCHECKED, 0, NULL));
	FAILS(ERR_BADNAME, fs_stream(t, &f, "a/b", OPEN_UNCHECKED, 0, NULL));
	FAILS(ERR_BADNAME, fs_stream(t, &f, "..", OPEN_UNCHECKED, 0, NULL));
	FAILS(ERR_BADNAME, fs_open_stream(t, &f, (struct str){"a\0b", 3}, &how, NULL));
}

CASE_STREAM(stream_kinds, "files and directories have streams, others don't; a stream's streams are its base's")
{
	struct obj d = a_dir(t, "d", 0755), l = a_symlink(t, "l", "d"), p = a_fifo(t, "p", 0644), s, u;
	struct scan scan = {.room = 4096};

	s = a_stream(t, &d, "s", "of a directory");
	TRUE(holds(t, &s, "of a directory"));
	EQ(attr_of(t, &s).type, OP_TYPE_FILE);
	FAILS(ERR_BADTYPE, fs_stream(t, &l, "s", OPEN_UNCHECKED, 0, NULL));
	FAILS(ERR_BADTYPE, fs_stream(t, &p, "s", OPEN_UNCHECKED, 0, NULL));
	FAILS(ERR_BADTYPE, fs_list_streams(t, &p, "", &scan));
	FAILS(ERR_BADTYPE, fs_remove_stream(t, &l, "s", 0));
	OK(fs_stream(t, &s, "u", OPEN_GUARDED, 0, &u));
	names_are(t, &d, "s=14 u=0 ");
	names_are(t, &u, "s=14 u=0 ");
}

CASE_STREAM(stream_attributes, "a stream has its base's attributes, its own size and number")
{
	struct obj f = a_text(t, "f", "four"), s;
	struct op_attr base, own;

	OK(fs_chown(t, &f, 1001, 2001));
	OK(fs_chmod(t, &f, 0640));
	s = a_stream(t, &f, "s", "much longer than that");
	base = attr_of(t, &f);
	own = attr_of(t, &s);
	EQ(own.type, OP_TYPE_FILE);
	EQ(own.mode, 0640);
	EQ(own.uid, 1001);
	EQ(own.gid, 2001);
	EQ(own.size, 21);
	EQ(base.size, 4);
	EQ(own.nlink, 1);
	EQ(own.fsid, base.fsid);
	NE(own.fileid, base.fileid);
	TIME_EQ(own.mtime, base.mtime);
	TIME_EQ(own.ctime, base.ctime);
	TIME_EQ(own.btime, base.btime);
	EQ(own.change, base.change);
}

CASE_STREAM(stream_setattr, "setting attributes through a stream sets its base's, but for the size")
{
	struct obj f = a_text(t, "f", "four"), s = a_stream(t, &f, "s", "stream");
	struct op_attr set = {.mask = ATTR_SIZE | ATTR_MODE | ATTR_MTIME, .size = 3, .mode = 0600, .mtime = at(1000, 5)};

	OK(fs_setattr(t, &s, &set));
	EQ(t->ans.wcc.post.size, 3);
	EQ(attr_of(t, &f).mode, 0600);
	EQ(attr_of(t, &f).size, 4);
	TIME_EQ(attr_of(t, &f).mtime, at(1000, 5));
	TIME_EQ(attr_of(t, &s).mtime, at(1000, 5));
	TRUE(holds(t, &s, "str"));
	OK(fs_truncate(t, &s, 100));
	EQ(attr_of(t, &s).size, 100);
	OK(fs_truncate(t, &s, 0));
	TRUE(holds(t, &s, ""));
	TRUE(holds(t, &f, "four"));
}

CASE_STREAM(stream_times, "changing a stream's data or names changes its base")
{
	struct obj f = a_file(t, "f", 0644), s;
	struct op_attr before = attr_of(t, &f), after;

	tick(t);
	s = a_stream(t, &f, "s", "");
	after = attr_of(t, &f);
	NE(after.change, before.change);
	TIME_AFTER(after.ctime, before.ctime);
	before = after;
	tick(t);
	OK(fs_write_text(t, &s, 0, "data"));
	after = attr_of(t, &f);
	NE(after.change, before.change);
	TIME_AFTER(after.mtime, before.mtime);
	TIME_AFTER(after.ctime, before.ctime);
	before = after;
	tick(t);
	OK(fs_remove_stream(t, &f, "s", 0));
	after = attr_of(t, &f);
	NE(after.change, before.change);
	TIME_AFTER(after.ctime, before.ctime);
}

CASE_STREAM(stream_data, "a stream is written anywhere, appended to, punched, sought and copied as a file is")
{
	struct obj f = a_file(t, "f", 0644), s = a_stream(t, &f, "s", ""), u = a_stream(t, &f, "u", "");
	uint8_t *data = memory(t, 2000), *back = memory(t, 3000);

	fill_random(t, data, 2000);
	OK(fs_write(t, &s, 1000, data, 1000));
	EQ(attr_of(t, &s).size, 2000);
	OK(fs_read(t, &s, 0, back, 3000));
	EQ(t->ans.size, 2000);
	TRUE(all_zero(back, 1000));
	SAME(back + 1000, data, 1000);
	OK(fs_append(t, &s, data, 10));
	EQ(attr_of(t, &s).size, 2010);
	OK(fs_deallocate(t, &s, 1000, 500));
	OK(fs_read(t, &s, 0, back, 3000));
	TRUE(all_zero(back, 1500));
	SAME(back + 1500, data + 500, 500);
	OK(fs_zero(t, &s, 1500, 100, 0));
	OK(fs_seek(t, &s, 2009, SEEK_TO_DATA));
	FAILS(ERR_NXIO, fs_seek(t, &s, 2010, SEEK_TO_DATA));
	OK(fs_copy(t, &s, 1000, &u, 0, 1000));
	EQ(attr_of(t, &u).size, 1000);
	OK(fs_copy(t, &s, 1600, &f, 0, 100));
	OK(fs_copy(t, &f, 0, &u, 5, 100));
	OK(fs_read(t, &u, 5, back, 100));
	SAME(back, data + 600, 100);
	OK(fs_commit(t, &s));
	EQ(attr_of(t, &f).size, 100);
}

static void note(void *arg, const struct op_dirent *d, const char *name)
{
	strcat(arg, name);
	strcat(arg, " ");
}

CASE_STREAM(stream_list, "a listing resumes after a name, whether there is one or not, and tells sizes and handles")
{
	struct obj f = a_file(t, "f", 0644);
	char name[8], *text = memory(t, 4096);
	struct scan s = {.room = 4096, .entry = note, .arg = text};
	struct obj none = a_file(t, "none", 0644);
	unsigned i;

	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%02u", i);
		a_stream(t, &f, name, i % 2 ? "odd" : "");
	}
	names_are(t, &none, "");
	names_are(t, &f, "n00=0 n01=3 n02=0 n03=3 n04=0 n05=3 n06=0 n07=3 n08=0 n09=3 n10=0 n11=3 n12=0 n13=3 n14=0 n15=3 "
	                 "n16=0 n17=3 n18=0 n19=3 ");
	s.max_entries = 3;
	OK(fs_list_streams(t, &f, "n08", &s));
	EQ(s.n_entries, 3);
	TRUE(!s.eof);
	TRUE(strcmp(text, "n09 n10 n11 ") == 0);
	text[0] = 0;
	OK(fs_list_streams(t, &f, "n175", &s));
	TRUE(s.eof);
	TRUE(strcmp(text, "n18 n19 ") == 0);
	s.room = 8;
	FAILS(ERR_TOOSMALL, fs_list_streams(t, &f, "", &s));
}

static void keep_entry(void *arg, const struct op_dirent *d, const char *name)
{
	*(struct op_dirent *)arg = *d;
}

CASE_STREAM(stream_list_want, "with attributes wanted an entry has all of them, and the handle")
{
	struct obj f = a_file(t, "f", 0640), s = a_stream(t, &f, "s", "text"), listed;
	struct op_dirent d = {0};
	struct scan scan = {.room = 4096, .want = ATTR_ALL, .entry = keep_entry, .arg = &d};

	OK(fs_list_streams(t, &f, "", &scan));
	listed = (struct obj){.handle = d.obj, .fd = -1};
	TRUE(holds(t, &listed, "text"));
	EQ(d.fileid, attr_of(t, &s).fileid);
	EQ(d.attr.mode, 0640);
	EQ(d.attr.size, 4);
	scan.want = 0;
	OK(fs_list_streams(t, &f, "", &scan));
	EQ(d.obj.size, 0);
	EQ(d.attr.size, 4);
	EQ(d.attr.type, OP_TYPE_FILE);
}

CASE_STREAM(stream_remove, "a removed stream is gone; what is open lives on, and its name can be taken again")
{
	struct open_how how = {.disposition = OPEN_GUARDED, .access = OPEN_READ | OPEN_WRITE};
	struct obj f = a_file(t, "f", 0644), s, again;
	char data[8] = "";
	uint64_t id;

	OK(fs_open_stream(t, &f, str("s"), &how, &s));
	id = t->ans.open_id;
	OK(fs_write_text(t, &s, 0, "alive"));
	OK(fs_remove_stream(t, &f, "s", 0));
	FAILS(ERR_NOENT, fs_remove_stream(t, &f, "s", 0));
	FAILS(ERR_NOENT, fs_stream(t, &f, "s", OPEN_EXISTING, 0, NULL));
	names_are(t, &f, "");
	again = a_stream(t, &f, "s", "another");
	struct io io = {.data = data, .size = 8, .open_id = id};
	OK(fs_io(t, &s, &io, false));
	EQ(t->ans.size, 5);
	SAME(data, "alive", 5);
	EQ(attr_of(t, &s).nlink, 0);
	io.data = "still";
	io.size = 5;
	OK(fs_io(t, &s, &io, true));
	OK(fs_close(t, id));
	TRUE(is_gone(t, &s));
	TRUE(holds(t, &again, "another"));
}

CASE_STREAM(stream_rename, "a stream is renamed with what it has; what has the name is replaced unless that was forbidden")
{
	struct obj f = a_file(t, "f", 0644), s = a_stream(t, &f, "s", "first"), u;

	OK(fs_rename_stream(t, &f, "s", "r", 0));
	names_are(t, &f, "r=5 ");
	TRUE(holds(t, &s, "first"));
	u = a_stream(t, &f, "u", "the second");
	FAILS(ERR_EXIST, fs_rename_stream(t, &f, "u", "r", RENAME_NOREPLACE));
	names_are(t, &f, "r=5 u=10 ");
	OK(fs_rename_stream(t, &f, "u", "r", 0));
	names_are(t, &f, "r=10 ");
	TRUE(is_gone(t, &s));
	TRUE(holds(t, &u, "the second"));
	OK(fs_rename_stream(t, &f, "r", "r", 0));
	OK(fs_rename_stream(t, &f, "r", "x", RENAME_NOREPLACE));
	FAILS(ERR_NOENT, fs_rename_stream(t, &f, "r", "y", 0));
	FAILS(ERR_BADNAME, fs_rename_stream(t, &f, "x", ".", 0));
	FAILS(ERR_INVAL, fs_rename_stream(t, &f, "x", "y", RENAME_EXCHANGE));
	OK(fs_stream(t, &f, "x", OPEN_EXISTING, 0, &s));
	TRUE(holds(t, &s, "the second"));
}

CASE_STREAM(stream_any_case, "if asked for, a stream is found by a name that differs in case only")
{
	struct obj f = a_file(t, "f", 0644), s = a_stream(t, &f, "Straße", "de"), found;

	FAILS(ERR_NOENT, fs_stream(t, &f, "STRAßE", OPEN_EXISTING, 0, NULL));
	OK(fs_stream(t, &f, "STRAßE", OPEN_EXISTING, ANY_CASE, &found));
	TRUE(holds(t, &found, "de"));
	FAILS(ERR_EXIST, fs_stream(t, &f, "straße", OPEN_GUARDED, ANY_CASE, NULL));
	OK(fs_stream(t, &f, "straße", OPEN_GUARDED, 0, NULL));
	names_are(t, &f, "Straße=2 straße=0 ");
	OK(fs_remove_stream(t, &f, "straße", ANY_CASE));
	names_are(t, &f, "Straße=2 ");
	FAILS(ERR_NOENT, fs_rename_stream(t, &f, "sTRASSE", "x", ANY_CASE));
	OK(fs_rename_stream(t, &f, "STRAßE", "straße", ANY_CASE | RENAME_NOREPLACE));
	names_are(t, &f, "straße=2 ");
	TRUE(holds(t, &s, "de"));
	a_stream(t, &f, "Other", "");
	OK(fs_rename_stream(t, &f, "STRAßE", "OTHER", ANY_CASE));
	names_are(t, &f, "Other=2 ");
	OK(fs_remove_stream(t, &f, "oTHER", ANY_CASE));
	names_are(t, &f, "");
}

CASE_STREAM(stream_of_removed, "a removed object's streams go with it; an open one lives on; no new one comes")
{
	struct open_how how = {.disposition = OPEN_EXISTING, .access = OPEN_READ};
	struct obj f = a_file(t, "f", 0644), idle = a_stream(t, &f, "idle", "gone"), s = a_stream(t, &f, "s", "kept"), d, ds;
	char data[8];
	uint64_t id, file_id;

	OK(fs_open_stream(t, &f, str("s"), &how, &s));
	id = t->ans.open_id;
	OK(fs_open_obj(t, &f, OPEN_READ));
	file_id = t->ans.open_id;
	OK(fs_link(t, &f, &t->dir, "link"));
	OK(fs_unlink(t, &t->dir, "f"));
	names_are(t, &f, "idle=4 s=4 ");
	OK(fs_unlink(t, &t->dir, "link"));
	FAILS(ERR_NOENT, fs_stream(t, &f, "new", OPEN_UNCHECKED, 0, NULL));
	/* Where what was open is found by name still differs. */
	stream_names(t, &f);
	struct io io = {.data = data, .size = 8, .open_id = id};
	OK(fs_io(t, &s, &io, false));
	SAME(data, "kept", 4);
	OK(fs_close(t, file_id));
	OK(fs_io(t, &s, &io, false));
	SAME(data, "kept", 4);
	OK(fs_close(t, id));
	TRUE(is_gone(t, &s));
	TRUE(is_gone(t, &idle));
	TRUE(is_gone(t, &f));
	d = a_dir(t, "d", 0755);
	ds = a_stream(t, &d, "s", "of a directory");
	OK(fs_rmdir(t, &t->dir, "d"));
	TRUE(is_gone(t, &ds));
	f = a_file(t, "f", 0644);
	names_are(t, &f, "");
}

CASE_STREAM(stream_of_renamed, "streams go with their object when it is renamed, and are replaced with it")
{
	struct obj f = a_text(t, "f", "f"), g = a_text(t, "g", "g"), s = a_stream(t, &f, "s", "f's"), u = a_stream(t, &g, "u", "g's");

	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_lookup(t, &t->dir, "g", &g));
	names_are(t, &g, "s=3 ");
	TRUE(holds(t, &s, "f's"));
	TRUE(is_gone(t, &u));
}

CASE_NEEDS(stream_permissions, HAS_STREAMS | HAS_USERS, "who may read or write the base may read or write its streams; anyone may list them")
{
	struct obj f = a_file(t, "f", 0640), s, d;

	OK(fs_chown(t, &f, 1001, 1001));
	as(t, &ALICE);
	s = a_stream(t, &f, "s", "text");
	as(t, &CAROL);
	TRUE(holds(t, &s, "text"));
	FAILS(ERR_ACCES, fs_write_text(t, &s, 0, "no"));
	FAILS(ERR_ACCES, fs_stream(t, &f, "u", OPEN_UNCHECKED, 0, NULL));
	FAILS(ERR_ACCES, fs_stream(t, &f, "s", OPEN_EXISTING, OPEN_TRUNCATE, NULL));
	FAILS(ERR_ACCES, fs_remove_stream(t, &f, "s", 0));
	FAILS(ERR_ACCES, fs_rename_stream(t, &f, "s", "u", 0));
	FAILS(ERR_ACCES, fs_truncate(t, &s, 0));
	FAILS(ERR_PERM, fs_chmod(t, &s, 0777));
	OK(fs_stream(t, &f, "s", OPEN_EXISTING, 0, NULL));
	as(t, &BOB);
	TRUE(!holds(t, &s, "text"));
	FAILS(ERR_ACCES, fs_open_obj(t, &s, OPEN_READ));
	names_are(t, &f, "s=4 ");
	as(t, &ALICE);
	OK(fs_chmod(t, &s, 0666));
	as(t, &BOB);
	OK(fs_write_text(t, &s, 0, "more"));
	OK(fs_remove_stream(t, &f, "s", 0));
	as(t, &ROOT);
	d = a_dir(t, "sticky", 01777);
	as(t, &BOB);
	FAILS(ERR_PERM, fs_stream(t, &d, "s", OPEN_UNCHECKED, 0, NULL));
}

CASE_STREAM(stream_opens, "opens and what they deny are a stream's own")
{
	struct open_how deny = {.disposition = OPEN_GUARDED, .access = OPEN_READ | OPEN_WRITE, .deny = OPEN_READ | OPEN_WRITE};
	struct obj f = a_file(t, "f", 0644), s;
	uint64_t id;

	OK(fs_open_stream(t, &f, str("s"), &deny, &s));
	id = t->ans.open_id;
	FAILS(ERR_SHARE, fs_open_obj(t, &s, OPEN_READ));
	deny.disposition = OPEN_EXISTING;
	FAILS(ERR_SHARE, fs_open_stream(t, &f, str("s"), &deny, NULL));
	OK(fs_open_obj(t, &f, OPEN_READ));
	OK(fs_close(t, t->ans.open_id));
	deny.disposition = OPEN_GUARDED;
	OK(fs_open_stream(t, &f, str("u"), &deny, NULL));
	OK(fs_close(t, t->ans.open_id));
	OK(fs_close(t, id));
	OK(fs_open_obj(t, &s, OPEN_READ));
	OK(fs_close(t, t->ans.open_id));
	deny.access = 0;
	FAILS(ERR_INVAL, fs_open_stream(t, &f, str("s"), &deny, NULL));
}

CASE_STREAM(stream_as_object, "a stream's parent is its base; it has no names in it and gets no link; attributes are its base's")
{
	struct obj f = a_file(t, "f", 0644), s = a_stream(t, &f, "s", "text"), o;
	char value[8];

	OK(fs_parent(t, &s, &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &f).fileid);
	FAILS(ERR_NOTDIR, fs_lookup(t, &s, "x", &o));
	FAILS(ERR_NOTDIR, fs_create(t, &s, "x", 0644, NULL));
	FAILS(ERR_BADTYPE, fs_link(t, &s, &t->dir, "l"));
	OK(fs_access(t, &s, ACCESS_READ | ACCESS_MODIFY));
	EQ(t->ans.allowed, ACCESS_READ | ACCESS_MODIFY);
	OK(fs_statfs(t, &s));
	if (!(t->features & HAS_XATTR))
		return;
	OK(fs_set_xattr(t, &s, "user.x", "1", 0));
	OK(fs_get_xattr(t, &f, "user.x", value, 8));
	SAME(value, "1", 1);
	OK(fs_remove_xattr(t, &s, "user.x"));
	OK(fs_list_xattr(t, &f, value, 8));
	EQ(t->ans.size, 0);
}

CASE_STREAM(stream_many, "forty streams of one file are kept apart")
{
	struct obj f = a_file(t, "f", 0644), s;
	char name[8], text[8];
	unsigned i;

	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		snprintf(text, sizeof(text), "v%u", i);
		s = a_stream(t, &f, name, text);
	}
	for (i = 0; i < 40; i += 3) {
		snprintf(name, sizeof(name), "n%u", i);
		OK(fs_remove_stream(t, &f, name, 0));
	}
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		snprintf(text, sizeof(text), "v%u", i);
		if (i % 3 == 0)
			FAILS(ERR_NOENT, fs_stream(t, &f, name, OPEN_EXISTING, 0, &s));
		else if (OK(fs_stream(t, &f, name, OPEN_EXISTING, 0, &s)))
			TRUE(holds(t, &s, text));
	}
}

CASE_STREAM(stream_large, "a stream grows until the store says no; what was accepted is there")
{
	struct obj f = a_file(t, "f", 0644), s = a_stream(t, &f, "s", "");
	uint8_t *data = memory(t, 65536), *back = memory(t, 65536);
	uint64_t size = 0;
	int err = 0;

	fill_random(t, data, 65536);
	while (!err && size < 1 << 20) {
		err = fs_write(t, &s, size, data, 1000);
		size += err ? 0 : 1000;
	}
	TRUE(err == 0 || err == ERR_NOSPC || err == ERR_FBIG);
	TRUE(size >= 1000);
	EQ(attr_of(t, &s).size, size);
	OK(fs_read(t, &s, size - 1000, back, 65536));
	EQ(t->ans.size, 1000);
	SAME(back, data, 1000);
	OK(fs_truncate(t, &s, 10));
	OK(fs_read(t, &s, 0, back, 65536));
	EQ(t->ans.size, 10);
}

/* ---- at once */

static void make_one(struct test *t, unsigned index, void *arg)
{
	struct obj *f = arg, s;
	int err = fs_stream(t, f, "s", OPEN_GUARDED, 0, &s);

	TRUE(err == 0 || err == ERR_EXIST);
	if (err == 0)
		OK(fs_append(t, &s, "x", 1));
}

CASE_STREAM(stream_race_create, "of several who make one stream at once one does")
{
	struct obj f = a_file(t, "f", 0644);
	unsigned i;

	for (i = 0; i < 20; i++) {
		together(t, TOGETHER, make_one, &f);
		if (!names_are(t, &f, "s=1 "))
			return;
		OK(fs_remove_stream(t, &f, "s", 0));
	}
}

static void churn(struct test *t, unsigned index, void *arg)
{
	struct obj *f = arg, s;
	char name[8];
	unsigned i;
	int err;

	snprintf(name, sizeof(name), "n%u", index % 2);
	for (i = 0; i < 60; i++) {
		err = fs_stream(t, f, name, OPEN_UNCHECKED, 0, &s);
		TRUE(err == 0 || err == ERR_NOENT || err == ERR_STALE);
		if (!err)
			err = fs_write_text(t, &s, 0, "data");
		TRUE(err == 0 || err == ERR_NOENT || err == ERR_STALE);
		err = i % 3 ? fs_remove_stream(t, f, name, 0) : fs_rename_stream(t, f, name, "other", 0);
		TRUE(err == 0 || err == ERR_NOENT || err == ERR_STALE);
		stream_names(t, f);
	}
}

CASE_STREAM(stream_race_churn, "streams made, written, renamed, listed and removed at once stay in order")
{
	struct obj f = a_file(t, "f", 0644);

	together(t, TOGETHER, churn, &f);
	fs_remove_stream(t, &f, "other", 0);
	fs_remove_stream(t, &f, "n0", 0);
	fs_remove_stream(t, &f, "n1", 0);
	names_are(t, &f, "");
	a_stream(t, &f, "s", "text");
	names_are(t, &f, "s=4 ");
}

static void churn_base(struct test *t, unsigned index, void *arg)
{
	struct obj f, s;
	unsigned i;
	int err;

	for (i = 0; i < 60; i++) {
		err = index == 0 ? fs_unlink(t, &t->dir, "f") : fs_create(t, &t->dir, "f", 0644, &f);
		TRUE(err == 0 || err == ERR_EXIST || err == ERR_NOENT);
		if (index == 0 || fs_lookup(t, &t->dir, "f", &f))
			continue;
		err = fs_stream(t, &f, "s", OPEN_UNCHECKED, 0, &s);
		if (err != ERR_STALE && err != ERR_NOENT)
			OK(err);
		if (!err)
			err = fs_write_text(t, &s, 0, "data");
		if (err != ERR_STALE && err != ERR_NOENT)
			OK(err);
	}
}

CASE_STREAM(stream_race_base, "streams are made and written while their base is removed")
{
	struct obj f;

	together(t, TOGETHER, churn_base, NULL);
	fs_unlink(t, &t->dir, "f");
	f = a_file(t, "f", 0644);
	names_are(t, &f, "");
}

CASE_STREAM(stream_chain, "a stream opened in a chain is what the next op reads")
{
	struct obj f = a_file(t, "f", 0644), s = a_stream(t, &f, "s", "chained");
	struct op *ops[3] = {ops_new(t, OP_open_stream, &f), ops_new(t, OP_read, NULL), ops_new(t, OP_close, NULL)};
	char data[16];

	ops_str(ops[0], &ops[0]->in.open_stream.name, "s");
	ops[0]->in.open_stream.access = OPEN_READ;
	ops[0]->flags |= OP_F_CHAIN;
	ops[1]->flags |= OP_F_PREV | OP_F_CHAIN;
	ops[1]->in.read.size = 16;
	ops[2]->flags |= OP_F_PREV;
	OK(ops_chain(t, ops, 3));
	EQ(ops_data(t, ops[1], data, 16), 7);
	SAME(data, "chained", 7);
	ops_put(t, ops[0]);
	ops_put(t, ops[1]);
	ops_put(t, ops[2]);
	TRUE(holds(t, &s, "chained"));
}

CASE_NEEDS(stream_refused, HAS_OPS, "where a store has no streams every op on them says so")
{
	struct obj f = a_file(t, "f", 0644);
	struct scan s = {.room = 4096};

	if (t->features & HAS_STREAMS)
		return;
	FAILS(ERR_NOTSUPP, fs_stream(t, &f, "s", OPEN_UNCHECKED, 0, NULL));
	FAILS(ERR_NOTSUPP, fs_list_streams(t, &f, "", &s));
	FAILS(ERR_NOTSUPP, fs_remove_stream(t, &f, "s", 0));
	FAILS(ERR_NOTSUPP, fs_rename_stream(t, &f, "s", "u", 0));
}
