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
