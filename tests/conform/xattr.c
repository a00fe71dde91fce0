/* Extended attributes. */
#include <stdio.h>

#include "tests/conform/conform.h"

#define CASE_XATTR(name, text) CASE_NEEDS(name, HAS_XATTR, text)

/* How many names of a list begin with "user."; whether one of them is name. */
static unsigned user_names(const char *list, uint64_t size, const char *name, bool *found)
{
	unsigned n = 0;
	uint64_t i;

	*found = false;
	for (i = 0; i < size; i += strlen(list + i) + 1) {
		n += !strncmp(list + i, "user.", 5);
		*found |= !strcmp(list + i, name);
	}
	return n;
}

CASE_XATTR(xattr_set_get, "a value set is got, and replaced by another")
{
	struct obj f = a_file(t, "f", 0644);
	char value[64];

	OK(fs_set_xattr(t, &f, "user.colour", "blue", 0));
	OK(fs_get_xattr(t, &f, "user.colour", value, sizeof(value)));
	EQ(t->ans.size, 4);
	SAME(value, "blue", 4);
	OK(fs_set_xattr(t, &f, "user.colour", "ultramarine", 0));
	OK(fs_get_xattr(t, &f, "user.colour", value, sizeof(value)));
	EQ(t->ans.size, 11);
	OK(fs_set_xattr(t, &f, "user.colour", "x", 0));
	OK(fs_get_xattr(t, &f, "user.colour", value, sizeof(value)));
	EQ(t->ans.size, 1);
}

CASE_XATTR(xattr_absent, "what is not set is ERR_NODATA to get and to remove")
{
	struct obj f = a_file(t, "f", 0644);
	char value[8];

	FAILS(ERR_NODATA, fs_get_xattr(t, &f, "user.x", value, 8));
	FAILS(ERR_NODATA, fs_remove_xattr(t, &f, "user.x"));
}

CASE_XATTR(xattr_create_replace, "CREATE fails on what is there, REPLACE on what is not")
{
	struct obj f = a_file(t, "f", 0644);
	char value[8];

	FAILS(ERR_NODATA, fs_set_xattr(t, &f, "user.x", "1", XATTR_SET_REPLACE));
	OK(fs_set_xattr(t, &f, "user.x", "2", XATTR_SET_CREATE));
	FAILS(ERR_EXIST, fs_set_xattr(t, &f, "user.x", "3", XATTR_SET_CREATE));
	OK(fs_set_xattr(t, &f, "user.x", "4", XATTR_SET_REPLACE));
	OK(fs_get_xattr(t, &f, "user.x", value, 8));
	SAME(value, "4", 1);
}

CASE_XATTR(xattr_remove, "a removed attribute is gone, others stay")
{
	struct obj f = a_file(t, "f", 0644);
	char value[8];

	OK(fs_set_xattr(t, &f, "user.a", "1", 0));
	OK(fs_set_xattr(t, &f, "user.b", "2", 0));
	OK(fs_remove_xattr(t, &f, "user.a"));
	FAILS(ERR_NODATA, fs_get_xattr(t, &f, "user.a", value, 8));
	OK(fs_get_xattr(t, &f, "user.b", value, 8));
	SAME(value, "2", 1);
}

CASE_XATTR(xattr_list, "the list has each name once")
{
	struct obj f = a_file(t, "f", 0644);
	char list[512], name[16];
	unsigned i;
	bool found;

	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "user.%u", i);
		OK(fs_set_xattr(t, &f, name, "value", 0));
	}
	OK(fs_list_xattr(t, &f, list, sizeof(list)));
	EQ(user_names(list, t->ans.size, "user.7", &found), 10);
	TRUE(found);
	OK(fs_remove_xattr(t, &f, "user.7"));
	OK(fs_list_xattr(t, &f, list, sizeof(list)));
	EQ(user_names(list, t->ans.size, "user.7", &found), 9);
	TRUE(!found);
}

CASE_XATTR(xattr_list_none, "an object without attributes lists none of the user's")
{
	struct obj f = a_file(t, "f", 0644);
	char list[256];
	bool found;

	OK(fs_list_xattr(t, &f, list, sizeof(list)));
	EQ(user_names(list, t->ans.size, "user.x", &found), 0);
}

CASE_XATTR(xattr_size_only, "without room the size is told")
{
	struct obj f = a_file(t, "f", 0644);

	OK(fs_set_xattr(t, &f, "user.x", "12345", 0));
	OK(fs_get_xattr(t, &f, "user.x", NULL, 0));
	EQ(t->ans.size, 5);
	OK(fs_list_xattr(t, &f, NULL, 0));
	TRUE(t->ans.size >= 7);
}

CASE_XATTR(xattr_too_small, "too little room is ERR_TOOSMALL, for values and lists")
{
	struct obj f = a_file(t, "f", 0644);
	char value[16];

	OK(fs_set_xattr(t, &f, "user.x", "12345", 0));
	FAILS(ERR_TOOSMALL, fs_get_xattr(t, &f, "user.x", value, 4));
	FAILS(ERR_TOOSMALL, fs_list_xattr(t, &f, value, 3));
	OK(fs_get_xattr(t, &f, "user.x", value, 5));
}

CASE_XATTR(xattr_empty_value, "an empty value is a value")
{
	struct obj f = a_file(t, "f", 0644);
	char value[8];

	OK(fs_set_xattr(t, &f, "user.x", "", 0));
	OK(fs_get_xattr(t, &f, "user.x", value, 8));
	EQ(t->ans.size, 0);
	FAILS(ERR_EXIST, fs_set_xattr(t, &f, "user.x", "1", XATTR_SET_CREATE));
}

CASE_XATTR(xattr_bytes, "a value may hold any bytes")
{
	char bytes[256], value[256];
	struct obj f = a_file(t, "f", 0644);
	unsigned i;

	for (i = 0; i < 256; i++)
		bytes[i] = (char)i;
	OK(t->drv->set_xattr(t, &f, str("user.x"), (struct str){bytes, 256}, 0));
	OK(fs_get_xattr(t, &f, "user.x", value, 256));
	EQ(t->ans.size, 256);
	SAME(value, bytes, 256);
}

CASE_XATTR(xattr_names, "names differ by case and by any byte")
{
	struct obj f = a_file(t, "f", 0644);
	char value[8];

	OK(fs_set_xattr(t, &f, "user.Name", "1", 0));
	OK(fs_set_xattr(t, &f, "user.name", "2", 0));
	OK(fs_set_xattr(t, &f, "user.na me\n", "3", 0));
	OK(fs_get_xattr(t, &f, "user.Name", value, 8));
	SAME(value, "1", 1);
	OK(fs_get_xattr(t, &f, "user.na me\n", value, 8));
	SAME(value, "3", 1);
}

CASE_XATTR(xattr_name_limits, "a name of 255 bytes is the longest")
{
	struct obj f = a_file(t, "f", 0644);
	struct str name = repeat(t, 'n', 256);
	char value[8];
	int err;

	memcpy((char *)name.bytes, "user.", 5);
	err = t->drv->set_xattr(t, &f, name, str("x"), 0);
	TRUE(err == ERR_RANGE || err == ERR_NAMETOOLONG);
	((char *)name.bytes)[255] = 0;
	name.size = 255;
	OK(t->drv->set_xattr(t, &f, name, str("x"), 0));
	OK(t->drv->get_xattr(t, &f, name, value, 8));
}

CASE_XATTR(xattr_kilobytes, "a value of 2,000 bytes is kept")
{
	char *value = memory(t, 2000), *back = memory(t, 2000);
	struct obj f = a_file(t, "f", 0644);

	fill_random(t, value, 2000);
	OK(t->drv->set_xattr(t, &f, str("user.big"), (struct str){value, 2000}, 0));
	OK(fs_get_xattr(t, &f, "user.big", back, 2000));
	EQ(t->ans.size, 2000);
	SAME(back, value, 2000);
}

CASE_NEEDS(xattr_largest, HAS_XATTR | HAS_OPS, "a value of 65,536 bytes is kept or refused for want of space; one more never fits")
{
	struct obj f = a_file(t, "f", 0644);
	char *back = memory(t, OP_XATTR_MAX);
	struct str value = repeat(t, 'v', OP_XATTR_MAX + 1);
	int err;

	err = t->drv->set_xattr(t, &f, str("user.big"), value, 0);
	TRUE(err == ERR_INVAL || err == ERR_FBIG || err == ERR_RANGE || err == ERR_TOOSMALL || err == ERR_NAMETOOLONG);
	value.size--;
	err = t->drv->set_xattr(t, &f, str("user.big"), value, 0);
	if (err == ERR_NOSPC || err == ERR_FBIG || !OK(err))
		return;
	OK(fs_get_xattr(t, &f, "user.big", back, OP_XATTR_MAX));
	EQ(t->ans.size, OP_XATTR_MAX);
	SAME(back, value.bytes, OP_XATTR_MAX);
}

CASE_XATTR(xattr_dirs, "directories have attributes too")
{
	struct obj d = a_dir(t, "d", 0755);
	char value[8];

	OK(fs_set_xattr(t, &d, "user.x", "dir", 0));
	OK(fs_get_xattr(t, &d, "user.x", value, 8));
	SAME(value, "dir", 3);
	OK(fs_remove_xattr(t, &d, "user.x"));
}

CASE_XATTR(xattr_others, "symbolic links and fifos take no user attributes")
{
	struct obj s = a_symlink(t, "s", "nowhere"), p = a_fifo(t, "p", 0666);

	FAILS_EITHER(ERR_PERM, ERR_NOTSUPP, fs_set_xattr(t, &s, "user.x", "1", 0));
	FAILS_EITHER(ERR_PERM, ERR_NOTSUPP, fs_set_xattr(t, &p, "user.x", "1", 0));
}

CASE_XATTR(xattr_survive, "attributes belong to the object: rename and link keep them, a copy of the name does not")
{
	struct obj f = a_file(t, "f", 0644), o = {0};
	char value[8];

	OK(fs_set_xattr(t, &f, "user.x", "kept", 0));
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_lookup(t, &t->dir, "l", &o));
	OK(fs_get_xattr(t, &o, "user.x", value, 8));
	SAME(value, "kept", 4);
	OK(fs_unlink(t, &t->dir, "g"));
	OK(fs_unlink(t, &t->dir, "l"));
	o = a_file(t, "g", 0644);
	FAILS(ERR_NODATA, fs_get_xattr(t, &o, "user.x", value, 8));
}

CASE_NEEDS(xattr_permissions, HAS_XATTR | HAS_USERS, "getting takes read permission, setting write permission")
{
	struct obj f = a_file(t, "f", 0600);
	char value[8];

	OK(fs_set_xattr(t, &f, "user.x", "1", 0));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_get_xattr(t, &f, "user.x", value, 8));
	FAILS(ERR_ACCES, fs_set_xattr(t, &f, "user.x", "2", 0));
	FAILS(ERR_ACCES, fs_remove_xattr(t, &f, "user.x"));
	as(t, &ROOT);
	OK(fs_chmod(t, &f, 0644));
	as(t, &BOB);
	OK(fs_get_xattr(t, &f, "user.x", value, 8));
	FAILS(ERR_ACCES, fs_set_xattr(t, &f, "user.x", "2", 0));
}

CASE_XATTR(xattr_namespaces, "a name without a known namespace is refused")
{
	struct obj f = a_file(t, "f", 0644);

	FAILS_EITHER(ERR_NOTSUPP, ERR_INVAL, fs_set_xattr(t, &f, "colour", "blue", 0));
	NE(fs_set_xattr(t, &f, "", "blue", 0), 0);
	NE(fs_set_xattr(t, &f, "user.", "blue", 0), 0);
}

CASE_XATTR(xattr_many, "fifty attributes on one file are kept apart")
{
	struct obj f = a_file(t, "f", 0644);
	char name[16], value[16], *list = memory(t, 4096);
	unsigned i;
	bool found;

	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "user.n%u", i);
		snprintf(value, sizeof(value), "v%u", i);
		OK(fs_set_xattr(t, &f, name, value, XATTR_SET_CREATE));
	}
	OK(fs_list_xattr(t, &f, list, 4096));
	EQ(user_names(list, t->ans.size, "user.n49", &found), 50);
	OK(fs_get_xattr(t, &f, "user.n33", value, 16));
	SAME(value, "v33", 3);
}
