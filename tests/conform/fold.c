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

CASE_NEEDS(fold_many, HAS_OPS, "in a directory of two thousand names each is found regardless of case")
{
	char name[32], want[32];
	unsigned i;

	for (i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "Name Number %u", i);
		a_file(t, name, 0644);
	}
	for (i = 0; i < 2000; i += 37) {
		snprintf(name, sizeof(name), "NAME number %u", i);
		snprintf(want, sizeof(want), "Name Number %u", i);
		if (!finds(t, name, want))
			return;
	}
	FAILS(ERR_NOENT, fs_lookup_ci(t, &t->dir, "name number 2000", NULL, NULL));
}
