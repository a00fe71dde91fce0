/* Options of mounts against the table that a backend gives of its own: unknown and missing ones, and values of another type. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "vfs/backend.h"

#define BACKENDS_MAX 32

static const char *const types[][2] = {
	{"bool", "yes or no"}, {"size", "a size, such as 64M"}, {"number", "a number"}};

static const char *wanted(const char *type)
{
	size_t i = 0;
	while (i < ARRAY_SIZE(types) && strcmp(types[i][0], type) != 0)
		i++;
	return i < ARRAY_SIZE(types) ? types[i][1] : "another value";
}

static bool fits(const char *type, const char *value)
{
	uint64_t number;
	bool yes;
	if (strcmp(type, "bool") == 0)
		return str_parse_bool(value, &yes) == 0;
	if (strcmp(type, "size") == 0)
		return str_parse_size(value, &number) == 0;
	return strcmp(type, "number") != 0 || str_parse_u64(value, 0, UINT64_MAX, &number) == 0;
}

static const struct backend_option *find(const struct backend_option *table, const char *key)
{
	while (table->key && strcmp(table->key, key) != 0)
		table++;
	return table->key ? table : NULL;
}

static int unknown(const struct backend_ops *b, const char *key, char **why)
{
	size_t n = 0;
	while (b->options[n].key)
		n++;
	const char *nearest = str_nearest(key, b->options, n, sizeof(b->options[0]));
	if (asprintf(why, "%s has no option '%s'%s%s%s; see chimera-%s(7)", b->name, key, nearest ? "; nearest is '" : "",
		     nearest ? nearest : "", nearest ? "'" : "", b->name) < 0)
		*why = NULL;
	return ERR_INVAL;
}

static int check_one(const struct backend_ops *b, const struct vfs_option *o, char **why)
{
	const struct backend_option *known = find(b->options, o->key);
	if (!known)
		return unknown(b, o->key, why);
	if (fits(known->type, o->value))
		return 0;
	if (asprintf(why, "option '%s' of %s is '%s'; it takes %s", o->key, b->name, o->value, wanted(known->type)) < 0)
		*why = NULL;
	return ERR_INVAL;
}

static bool is_given(const struct vfs_option *o, const char *key)
{
	while (o->key && strcmp(o->key, key) != 0)
		o++;
	return o->key;
}

int backend_check_options(const struct backend_ops *b, const struct vfs_option *options, char **why)
{
	static const struct backend_option none[] = {{NULL, NULL, NULL, NULL}};
	const struct backend_option *known = b->options ? b->options : none;
	for (const struct vfs_option *o = options; o->key && b->options; o++) {
		int err = check_one(b, o, why);
		if (err)
			return err;
	}
	for (; known->key; known++) {
		if (known->fallback || is_given(options, known->key))
			continue;
		if (asprintf(why, "option '%s' is missing: %s", known->key, known->help) < 0)
			*why = NULL;
		return ERR_INVAL;
	}
	return 0;
}

int backend_unknown(const char *name, char **why)
{
	const char *names[BACKENDS_MAX];
	char list[256] = "";
	size_t n = 0, used = 0;
	for (const struct backend_ops *b = backend_next(NULL); b && n < ARRAY_SIZE(names); b = backend_next(b)) {
		names[n++] = b->name;
		int size = snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", b->name);
		used = MIN(used + (size_t)size, sizeof(list) - 1);
	}
	const char *nearest = str_nearest(name, names, n, sizeof(names[0]));
	if (asprintf(why, "there is no backend '%s'; %s%s", name, nearest ? "nearest is " : "there are ", nearest ? nearest : list) < 0)
		*why = NULL;
	return ERR_NODEV;
}
