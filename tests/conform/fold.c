/* Names regardless of case, and in order. */
#include <stdio.h>

#include "tests/conform/verbs-stream.h"

static bool finds(struct test *t, const char *name, const char *want)
{
	char stored[OP_NAME_MAX + 1] = "";
	struct obj o;

	row(t, "%s", name);
	bool found = OK(fs_lookup_ci(t, &t->dir, name, stored, &o)) && TRUE(strcmp(stored, want) == 0);
	found = found && EQ(t->ans.attr.fileid, attr_named(t, want).fileid);
	row(t, NULL);
	return found;
}

CASE_NEEDS(fold_lookup, HAS_OPS, "a name is found by itself, else by one that differs in case only; the answer tells which")
{
	a_file(t, "ReadMe.TXT", 0644);
	finds(t, "ReadMe.TXT", "ReadMe.TXT");
	finds(t, "readme.txt", "ReadMe.TXT");
	finds(t, "README.TXT", "ReadMe.TXT");
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "readme.tx", NULL, NULL));
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "readme.txt2", NULL, NULL));
}

CASE_NEEDS(fold_exact, HAS_OPS, "of several names that differ in case the exact one counts, then the first in order of bytes")
{
	a_file(t, "name", 0644);
	a_file(t, "Name", 0644);
	a_file(t, "nAME", 0644);
	finds(t, "name", "name");
	finds(t, "nAME", "nAME");
	finds(t, "NAME", "Name");
	OK(fs_unlink(t, &t->dir, "Name"));
	finds(t, "NAME", "nAME");
	OK(fs_unlink(t, &t->dir, "nAME"));
	finds(t, "NAME", "name");
	OK(fs_unlink(t, &t->dir, "name"));
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "NAME", NULL, NULL));
}

CASE_NEEDS(fold_unicode, HAS_OPS, "folding is Unicode's simple one; bytes that are no UTF-8 are themselves")
{
	static const struct {
		const char *stored;
		const char *same;  /* NULL: none */
		const char *other; /* NULL: none */
	} rows[] = {
		{"\xc3\x89t\xc3\xa9", "\xc3\xa9T\xc3\x89", "ete"},
		{"\xd0\x96\xd0\xb0", "\xd0\xb6\xd0\x90", NULL},
		{"\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83", NULL},
		{"stra\xc3\x9f" "e", "STRA\xe1\xba\x9e" "E", "strasse"},
		{"\xe2\x84\xaa" "elvin", "kELVIN", NULL},
		{"\xf0\x90\x90\x80", "\xf0\x90\x90\xa8", NULL},
		{"latin\xc9", "LATIN\xc9", "latin\xe9"},
		{"\xc4\xb0", NULL, "i"},
		{"e\xcc\x81", "E\xcc\x81", "\xc3\xa9"},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (fs_create(t, &t->dir, rows[i].stored, 0644, NULL) == ERR_INVAL)
			return; /* a host that stores UTF-8 only */
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].same)
			finds(t, rows[i].same, rows[i].stored);
		row(t, "%u", i);
		if (rows[i].other)
			FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, rows[i].other, NULL, NULL));
		row(t, NULL);
	}
}

CASE_NEEDS(fold_longest, HAS_OPS, "a name of 255 bytes is found though its folded form is longer")
{
	char name[256], same[256], stored[OP_NAME_MAX + 1];
	unsigned i;

	for (i = 0; i < 254; i += 2) {
		memcpy(name + i, "\xc8\xba", 2); /* U+023A folds to three bytes */
		memcpy(same + i, "\xc8\xba", 2);
	}
	strcpy(name + 254, "x");
	strcpy(same + 254, "X");
	a_file(t, name, 0644);
	OK(fs_lookup_ci(t, &t->dir, same, stored, NULL));
	TRUE(strcmp(stored, name) == 0);
	OK(fs_unlink(t, &t->dir, name));
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, same, NULL, NULL));
}

CASE_NEEDS(fold_changes, HAS_OPS, "every way to make, move and take away a name is seen by look-ups regardless of case")
{
	struct obj d = a_dir(t, "d", 0755), o;
	char made[32], low[32];
	int kind;

	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		snprintf(made, sizeof(made), "Made %s", kind_name(kind));
		snprintf(low, sizeof(low), "made %s", kind_name(kind));
		row(t, "%s", made);
		FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, low, NULL, NULL));
		OK(make_kind(t, kind, &t->dir, str(made)));
		finds(t, low, made);
	}
	row(t, NULL);
	OK(fs_rename(t, &t->dir, "Made file", &d, "Moved"));
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "made file", NULL, NULL));
	OK(fs_lookup_ci(t, &d, "MOVED", NULL, &o));
	OK(fs_rename(t, &d, "Moved", &t->dir, "Made fifo"));
	FAILS(ERR_NOENT, fs_lookup_ci(t, &d, "MOVED", NULL, NULL));
	finds(t, "MADE FIFO", "Made fifo");
	OK(fs_rename(t, &t->dir, "Made fifo", &t->dir, "made fifo"));
	finds(t, "MADE FIFO", "made fifo");
	OK(fs_rmdir(t, &t->dir, "Made directory"));
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "made directory", NULL, NULL));
	OK(fs_unlink(t, &t->dir, "Made symlink"));
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "made symlink", NULL, NULL));
}

CASE_NEEDS(fold_exchange, HAS_OPS | HAS_EXCHANGE, "after an exchange both names are found with the other object")
{
	struct obj a = a_file(t, "Upper", 0644), b = a_file(t, "lower", 0644), o;

	OK(fs_rename_flags(t, &t->dir, "Upper", &t->dir, "lower", RENAME_EXCHANGE));
	OK(fs_lookup_ci(t, &t->dir, "UPPER", NULL, &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &b).fileid);
	OK(fs_lookup_ci(t, &t->dir, "LOWER", NULL, &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &a).fileid);
}

CASE_NEEDS(fold_dots, HAS_OPS, "dots are found as by lookup; what is no directory has no names")
{
	struct obj d = a_dir(t, "d", 0755), f = a_file(t, "f", 0644), o;

	OK(fs_lookup_ci(t, &d, "..", NULL, &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &t->dir).fileid);
	OK(fs_lookup_ci(t, &d, ".", NULL, &o));
	EQ(attr_of(t, &o).fileid, attr_of(t, &d).fileid);
	FAILS(ERR_NOTDIR, fs_lookup_ci(t, &f, "x", NULL, NULL));
	FAILS(ERR_INVAL, fs_lookup_ci(t, &d, "", NULL, NULL));
	FAILS(ERR_BADNAME, fs_lookup_ci(t, &d, "a/b", NULL, NULL));
}

CASE_NEEDS(fold_permission, HAS_OPS | HAS_USERS, "a look-up regardless of case takes search permission as any")
{
	struct obj d = a_dir(t, "d", 0700);

	file_in(t, &d, "Name", 0644);
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_lookup_ci(t, &d, "name", NULL, NULL));
	FAILS(ERR_ACCES, fs_lookup_ci(t, &d, "none", NULL, NULL));
	as(t, &ROOT);
	OK(fs_chmod(t, &d, 0711));
	as(t, &BOB);
	OK(fs_lookup_ci(t, &d, "name", NULL, NULL));
}

CASE_NEEDS(fold_open, HAS_OPS, "open regardless of case opens what is there, makes what is not, and tells the stored name")
{
	struct obj f = a_text(t, "Name", "text"), o;
	char stored[OP_NAME_MAX + 1];

	OK(fs_open_any_case(t, &t->dir, "NAME", OPEN_EXISTING, stored, &o));
	TRUE(strcmp(stored, "Name") == 0);
	EQ(t->ans.attr.fileid, attr_of(t, &f).fileid);
	OK(fs_open_any_case(t, &t->dir, "name", OPEN_UNCHECKED, stored, &o));
	EQ(t->ans.created, 0);
	TRUE(strcmp(stored, "Name") == 0);
	FAILS(ERR_EXIST, fs_open_any_case(t, &t->dir, "nAME", OPEN_GUARDED, stored, &o));
	OK(fs_open_any_case(t, &t->dir, "Other", OPEN_GUARDED, stored, &o));
	EQ(t->ans.created, 1);
	TRUE(strcmp(stored, "Other") == 0);
	FAILS(ERR_NOENT, fs_open_any_case(t, &t->dir, "none", OPEN_EXISTING, stored, &o));
	EQ(count_entries(t, &t->dir), 2);
}

static void make_variant(struct test *t, unsigned index, void *arg)
{
	static const char *const names[] = {"name", "Name", "NAME", "nAmE"};
	int err = fs_open_any_case(t, &t->dir, names[index % 4], OPEN_GUARDED, NULL, NULL);

	TRUE(err == 0 || err == ERR_EXIST);
}

CASE_NEEDS(fold_race, HAS_OPS, "of several who make one name at once, each with other case, one does")
{
	unsigned i;

	for (i = 0; i < 20; i++) {
		together(t, 4, make_variant, NULL);
		if (!EQ(count_entries(t, &t->dir), 1))
			return;
		conform_clear_dir(t, &t->dir);
	}
}

CASE_NEEDS(fold_many, HAS_OPS, "in a directory of six hundred names each is found regardless of case")
{
	char name[32], want[32];
	unsigned i;

	for (i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "Name Number %u", i);
		a_file(t, name, 0644);
	}
	for (i = 0; i < 600; i += 37) {
		snprintf(name, sizeof(name), "NAME number %u", i);
		snprintf(want, sizeof(want), "Name Number %u", i);
		if (!finds(t, name, want))
			return;
	}
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "name number 600", NULL, NULL));
}

/* ---- in order */

struct listing {
	char last[OP_NAME_MAX + 1];
	unsigned n;
	bool ordered;
	char *text; /* NULL: not wanted */
	struct op_dirent d;
};

static void list_one(void *arg, const struct op_dirent *d, const char *name)
{
	struct listing *l = arg;

	l->ordered = l->ordered && strcmp(l->last, name) < 0;
	strcpy(l->last, name);
	l->d = *d;
	l->n++;
	if (!l->text)
		return;
	strcat(l->text, name);
	strcat(l->text, " ");
}

/* All names after that, page by page. */
static struct listing list_all(struct test *t, const struct obj *dir, const char *after, uint32_t page)
{
	struct listing l = {.ordered = true};
	struct scan s = {.room = 65536, .max_entries = page, .entry = list_one, .arg = &l};

	strcpy(l.last, after);
	while (!s.eof && OK(fs_readdir_from(t, dir, l.last, &s)))
		TRUE(page == 0 || s.n_entries <= page);
	TRUE(l.ordered);
	return l;
}

static bool listed(struct test *t, const struct obj *dir, const char *after, uint32_t max, const char *want)
{
	struct listing l = {.ordered = true, .text = memory(t, 65536)};
	struct scan s = {.room = 65536, .max_entries = max, .entry = list_one, .arg = &l};

	row(t, "after %s: %s", after, want);
	bool ok = OK(fs_readdir_from(t, dir, after, &s)) && TRUE(strcmp(l.text, want) == 0);
	row(t, NULL);
	return ok;
}

CASE_NEEDS(order_names, HAS_OPS, "a listing by name is in order of bytes and begins after any name, there or not")
{
	static const char *const names[] = {"b", "a", "B", "ab", "\xc3\xa9", "z", "a.b", "~"};
	struct obj d = a_dir(t, "d", 0755), f = a_file(t, "f", 0644);
	struct scan s = {.room = 65536, .cookie = 5};
	unsigned i;

	listed(t, &d, "", 0, "");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		file_in(t, &d, names[i], 0644);
	listed(t, &d, "", 0, "B a a.b ab b z ~ \xc3\xa9 ");
	listed(t, &d, "a", 2, "a.b ab ");
	listed(t, &d, "aa", 0, "ab b z ~ \xc3\xa9 ");
	listed(t, &d, "\xc3\xa9", 0, "");
	listed(t, &d, "\xff", 0, "");
	FAILS(ERR_INVAL, fs_readdir_from(t, &d, "a", &s));
	s.cookie = 0;
	FAILS(ERR_NOTDIR, fs_readdir_from(t, &f, "a", &s));
	FAILS(ERR_BADNAME, fs_readdir_from(t, &d, "a/b", &s));
	s.room = 16;
	FAILS(ERR_TOOSMALL, fs_readdir_from(t, &d, "", &s));
}

CASE_NEEDS(order_entries, HAS_OPS, "entries by name have what entries by cookie have; dots come first if wanted")
{
	struct obj d = a_dir(t, "d", 0755), f = file_in(t, &d, "f", 0640), o;
	struct listing l = {.ordered = true};
	struct scan s = {.room = 65536, .want = ATTR_ALL, .entry = list_one, .arg = &l};

	OK(fs_readdir_from(t, &d, "", &s));
	EQ(l.n, 1);
	EQ(l.d.fileid, attr_of(t, &f).fileid);
	EQ(l.d.cookie, 0);
	EQ(l.d.attr.mode, 0640);
	o = (struct obj){.handle = l.d.obj, .fd = -1};
	EQ(attr_of(t, &o).fileid, l.d.fileid);
	s.flags = READDIR_DOTS;
	l = (struct listing){.text = memory(t, 4096)};
	OK(fs_readdir_from(t, &d, "", &s));
	TRUE(strcmp(l.text, ". .. f ") == 0);
	l = (struct listing){.text = memory(t, 4096)};
	OK(fs_readdir_from(t, &d, "a", &s));
	TRUE(strcmp(l.text, "f ") == 0);
}

CASE_NEEDS(order_changes, HAS_OPS, "every way to make, move and take away a name is seen by listings by name")
{
	struct obj d = a_dir(t, "d", 0755), e = a_dir(t, "e", 0755);
	int kind;
	char name[24];

	make_kind(t, MAKE_LINK, &e, str("link"));
	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		snprintf(name, sizeof(name), "%s", kind_name(kind));
		OK(make_kind(t, kind, &d, str(name)));
		list_all(t, &d, "", 2);
	}
	listed(t, &d, "", 0, "directory fifo file link rename symlink ");
	OK(fs_rename(t, &d, "file", &e, "file"));
	OK(fs_rename(t, &d, "link", &d, "zlink"));
	listed(t, &d, "", 0, "directory fifo rename symlink zlink ");
	listed(t, &e, "", 0, "file link ");
	OK(fs_rename(t, &e, "file", &d, "fifo"));
	OK(fs_unlink(t, &d, "rename"));
	OK(fs_rmdir(t, &d, "directory"));
	listed(t, &d, "", 0, "fifo symlink zlink ");
	listed(t, &e, "", 0, "link ");
}

CASE_NEEDS(order_pages, HAS_OPS, "a thousand names come once each, whatever the size of a page")
{
	static const uint32_t pages[] = {0, 150, 37};
	char name[OP_NAME_MAX + 1];
	unsigned i;

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%08x", (unsigned)(i * 2654435761u));
		a_file(t, name, 0644);
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		EQ(list_all(t, &t->dir, "", pages[i]).n, 1000);
	TRUE(list_all(t, &t->dir, "80000000", 500).n < 800);
}

static void churn(struct test *t, unsigned index, void *arg)
{
	char name[24], stored[OP_NAME_MAX + 1];
	unsigned i;
	int err;

	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "Churn %u %u", index, i % 10);
		if (index == 0) {
			list_all(t, &t->dir, "", 7);
			continue;
		}
		err = i % 20 < 10 ? fs_create(t, &t->dir, name, 0644, NULL) : fs_unlink(t, &t->dir, name);
		OK(err);
		name[0] = 'c';
		err = fs_lookup_ci(t, &t->dir, name, stored, NULL);
		EQ(err, i % 20 < 10 ? 0 : ERR_NOENT);
	}
}

CASE_NEEDS(order_race, HAS_OPS, "listings by name and look-ups regardless of case are right while others make and remove names")
{
	unsigned i;
	char name[24];

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "steady %03u", i);
		a_file(t, name, 0644);
	}
	together(t, 4, churn, NULL);
	EQ(list_all(t, &t->dir, "", 0).n, 200);
	EQ(count_entries(t, &t->dir), 200);
}
