/* The kinds of object and their fields, and the checks that follow from a field's type. */
#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "catalogue/catalogue-impl.h"
#include "catalogue/export-rule.h"

#define LINE_VALUE_MAX 4096 /* what is no list has to fit a line of INI */

static const struct catalogue_field mount_fields[] = {
	{"backend", CATALOGUE_TEXT, CATALOGUE_REQUIRED | CATALOGUE_FIXED, NULL, NULL, NULL, "BACKEND",
	 "The back end that keeps the files: cairn, linux, memfs, null or fault."},
	{"read_only", CATALOGUE_BOOL, 0, "no", NULL, "read-only", "yes|no",
	 "Refuse every change, whatever the exports allow."},
};

static const struct catalogue_field export_fields[] = {
	{"mount", CATALOGUE_REF, CATALOGUE_REQUIRED, NULL, "mount", NULL, "MOUNT", "The mount that is exported."},
	{"path", CATALOGUE_PATH, 0, "/", NULL, NULL, "PATH", "The directory inside the mount that becomes the export's root."},
	{"clients", CATALOGUE_RULES, CATALOGUE_LIST, "", NULL, "client", "RULE",
	 "Who may mount it: an address, a network or *, then a colon and options; without a rule, nobody."},
};

const struct catalogue_kind catalogue_kinds[] = {
	{"mount", "A store that the server has opened, under a name.", false, true, mount_fields, ARRAY_SIZE(mount_fields)},
	{"export", "A directory of a mount that NFS clients may mount.", true, false, export_fields,
	 ARRAY_SIZE(export_fields)},
};

const uint32_t catalogue_n_kinds = ARRAY_SIZE(catalogue_kinds);

const struct catalogue_kind *catalogue_kind(const char *name)
{
	for (uint32_t i = 0; i < catalogue_n_kinds; i++)
		if (strcmp(catalogue_kinds[i].name, name) == 0)
			return &catalogue_kinds[i];
	return NULL;
}

const struct catalogue_field *catalogue_field(const struct catalogue_kind *kind, const char *name)
{
	for (uint32_t i = 0; i < kind->n_fields; i++)
		if (strcmp(kind->fields[i].name, name) == 0)
			return &kind->fields[i];
	return NULL;
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			return true;
	return false;
}

static bool is_word(const char *s)
{
	if (!isalnum((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_.", *s))
			return false;
	return true;
}

/* Absolute, without empty, "." and ".." components, and without a slash at the end. */
static bool is_clean_path(const char *s)
{
	if (*s != '/')
		return false;
	if (s[1] == '\0')
		return true;
	while (*s) {
		const char *component = ++s;
		while (*s && *s != '/')
			s++;
		size_t n = (size_t)(s - component);
		if (n == 0 || n > 255 || (n == 1 && component[0] == '.') ||
		    (n == 2 && component[0] == '.' && component[1] == '.'))
			return false;
	}
	return true;
}

/* What INI text would not give back: a closing bracket in a section, a comment, blanks at the ends. */
static bool survives_ini(const char *s)
{
	size_t n = strlen(s);
	return !has_control(s) && !strstr(s, " ;") && s[0] != ';' &&
	       (n == 0 || (!isspace((unsigned char)s[0]) && !isspace((unsigned char)s[n - 1])));
}

int catalogue_check_name(const struct catalogue_kind *kind, const char *name, struct catalogue_error *error)
{
	size_t n = strlen(name);
	size_t max = kind->name_is_path ? CATALOGUE_NAME_MAX - 64 : 255;
	bool ok = n > 0 && n <= max;
	if (kind->name_is_path)
		ok = ok && is_clean_path(name) && survives_ini(name) && !strchr(name, ']');
	else
		ok = ok && is_word(name);
	if (ok)
		return 0;
	catalogue_error_set(error, "\"%.64s%s\" can't name %s %s: it has to be %s, %zu bytes at most", name, n > 64 ? "..." : "",
	                    strchr("aeiou", kind->name[0]) ? "an" : "a", kind->name,
	                    kind->name_is_path ? "an absolute path without \".\", \"..\" or \"//\""
	                                       : "letters, digits, \"-\", \"_\" and \".\"", max);
	return ERR_INVAL;
}

static int check_typed(enum catalogue_type type, const char *value, char *why, size_t why_size)
{
	struct export_rules rules;
	uint64_t number;
	bool flag;
	switch (type) {
	case CATALOGUE_BOOL:
		str_copy(why, why_size, "it has to be yes or no");
		return str_parse_bool(value, &flag);
	case CATALOGUE_NUMBER:
		str_copy(why, why_size, "it has to be a number");
		return str_parse_u64(value, 0, INT64_MAX, &number);
	case CATALOGUE_SIZE:
		str_copy(why, why_size, "it has to be a size, such as 512M or 4G");
		return str_parse_size(value, &number);
	case CATALOGUE_PATH:
		str_copy(why, why_size, "it has to be an absolute path without \".\", \"..\" or \"//\"");
		return is_clean_path(value) ? 0 : ERR_INVAL;
	case CATALOGUE_RULES:
		return export_rules_parse(value, &rules, why, why_size);
	case CATALOGUE_TEXT:
	case CATALOGUE_REF:
		str_copy(why, why_size, "it is empty");
		return *value ? 0 : ERR_INVAL;
	}
	return ERR_INVAL;
}

static int check_known(const struct catalogue_kind *kind, const char *name, const char *key,
                       struct catalogue_error *error)
{
	if (kind->has_options && is_word(key) && strlen(key) <= 40)
		return 0;
	const char *nearest = str_nearest(key, kind->fields, kind->n_fields, sizeof(kind->fields[0]));
	catalogue_error_set(error, "%s %s: unknown field \"%.64s\"%s%s%s", kind->name, name, key,
	                    nearest ? "; nearest is \"" : "", nearest ? nearest : "", nearest ? "\"" : "");
	return ERR_INVAL;
}

int catalogue_check_value(const struct catalogue_kind *kind, const char *name, const struct catalogue_value *v,
                          struct catalogue_error *error)
{
	const struct catalogue_field *f = catalogue_field(kind, v->key);
	char why[256] = "it holds characters that can't be kept";
	size_t max = f && (f->flags & CATALOGUE_LIST) ? CATALOGUE_VALUE_MAX : LINE_VALUE_MAX;
	int err = 0;
	if (!f)
		err = check_known(kind, name, v->key, error);
	if (err || !v->value)
		return err;
	if (strlen(v->value) > max) {
		str_copy(why, sizeof(why), "it is too long");
		err = ERR_INVAL;
	} else if (!survives_ini(v->value)) {
		err = ERR_INVAL;
	} else if (f) {
		err = check_typed(f->type, v->value, why, sizeof(why));
	}
	if (!err)
		return 0;
	catalogue_error_set(error, "%s %s: %s = \"%.64s\": %s", kind->name, name, v->key, v->value, why);
	return ERR_INVAL;
}

int catalogue_check_required(const struct catalogue_object *o, struct catalogue_error *error)
{
	for (uint32_t i = 0; i < o->kind->n_fields; i++) {
		const struct catalogue_field *f = &o->kind->fields[i];
		if (!(f->flags & CATALOGUE_REQUIRED) || catalogue_get(o, f->name))
			continue;
		catalogue_error_set(error, "%s %s: \"%s\" is missing", o->kind->name, o->name, f->name);
		return ERR_INVAL;
	}
	return 0;
}
