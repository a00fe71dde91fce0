/*
 * A value per row of the table, filled from default, file, environment and command line in that order.
 * Mistakes are gathered, so that one run names them all. Text is checked when it is set; getters parse it again.
 */
#include "chimerad/config.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/str.h"

#define DEFAULT_FILE PKGSYSCONFDIR "/chimera.conf"
#define VALUE_MAX 4096

struct config_value {
	char *text; /* NULL: the default */
	enum config_origin origin;
	uint32_t line;
};

struct config {
	char *file; /* NULL: none was read */
	struct bytes *errors;
	struct config_value *values; /* config_n_options of them */
	int err;
};

static PRINTF_LIKE(3, 4) void mistake(struct config *c, const char *where, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bytes_printf(c->errors, "%s: %s\n", where, text);
	c->err = ERR_INVAL;
}

static int find_option(const char *section, const char *key)
{
	for (uint32_t i = 0; i < config_n_options; i++)
		if (strcmp(config_options[i].section, section) == 0 && strcmp(config_options[i].key, key) == 0)
			return (int)i;
	return -1;
}

static bool has_section(const char *section)
{
	for (uint32_t i = 0; i < config_n_sections; i++)
		if (strcmp(config_sections[i].name, section) == 0)
			return true;
	return false;
}

static bool has_word(const char *list, const char *word, size_t n)
{
	while (*(list += strspn(list, " \t"))) {
		size_t size = strcspn(list, " \t");
		if (size == n && memcmp(list, word, n) == 0)
			return true;
		list += size;
	}
	return false;
}

/* ---- checks by type: each answers what is wrong, or NULL ---- */

static const char *check_number(const struct config_option *o, const char *text)
{
	static char why[64];
	unsigned long long min = 0, max = UINT64_MAX;
	uint64_t v;
	if (o->arg)
		sscanf(o->arg, "%llu-%llu", &min, &max);
	if (str_parse_u64(text, min, max, &v) == 0)
		return NULL;
	snprintf(why, sizeof(why), "it has to be a number from %llu to %llu", min, max);
	return why;
}

static const char *check_choice(const struct config_option *o, const char *text)
{
	static char why[160];
	bool single = o->type == CONFIG_CHOICE, ok = !single || has_word(o->arg, text, strlen(text));
	for (const char *p = text; !single && *(p += strspn(p, " \t")); p += strcspn(p, " \t"))
		ok = ok && has_word(o->arg, p, strcspn(p, " \t"));
	if (ok)
		return NULL;
	snprintf(why, sizeof(why), "it has to be %s: %s", single ? "one of" : "some of", o->arg);
	return why;
}

static const char *check_levels(const char *text)
{
	char copy[VALUE_MAX], *rest = copy, *item;
	enum log_level level;
	str_copy(copy, sizeof(copy), text);
	while ((item = str_next(&rest, ' '))) {
		char *sign = strchr(item, '=');
		if (*item && (!sign || sign == item || log_level_parse(sign + 1, &level)))
			return "it has to be MODULE=LEVEL items, a level being error, warn, notice, info, debug or trace";
	}
	return NULL;
}

static const char *check(const struct config_option *o, const char *text)
{
	uint64_t v;
	bool flag;
	if (strlen(text) >= VALUE_MAX)
		return "it is too long";
	switch (o->type) {
	case CONFIG_TEXT:
		return NULL;
	case CONFIG_PATH:
		return *text == '/' || str_starts(text, "${") ? NULL : "it has to be an absolute path";
	case CONFIG_BOOL:
		return str_parse_bool(text, &flag) ? "it has to be yes or no" : NULL;
	case CONFIG_NUMBER:
		return check_number(o, text);
	case CONFIG_SIZE:
		return str_parse_size(text, &v) ? "it has to be a size, such as 64M or 4G" : NULL;
	case CONFIG_DURATION:
		return str_parse_duration(text, &v) ? "it has to be a time, such as 50us, 10ms, 30s or 5m" : NULL;
	case CONFIG_CHOICE:
	case CONFIG_CHOICES:
		return check_choice(o, text);
	case CONFIG_LEVELS:
		return check_levels(text);
	}
	return NULL;
}

/* ---- setting ---- */

static void unknown_key(struct config *c, const char *where, const char *section, const char *key)
{
	const char *keys[64], *nearest;
	size_t n = 0;
	for (uint32_t i = 0; i < config_n_options && n < ARRAY_SIZE(keys); i++)
		if (strcmp(config_options[i].section, section) == 0)
			keys[n++] = config_options[i].key;
	nearest = str_nearest(key, keys, n, sizeof(keys[0]));
	if (nearest)
		mistake(c, where, "unknown key \"%.64s\" in [%s]; nearest is \"%s\"", key, section, nearest);
	else
		mistake(c, where, "unknown key \"%.64s\" in [%s]", key, section);
}

static void unknown_section(struct config *c, const char *where, const char *section)
{
	const char *nearest = str_nearest(section, config_sections, config_n_sections, sizeof(config_sections[0]));
	if (nearest)
		mistake(c, where, "unknown section [%.64s]; nearest is [%s]", section, nearest);
	else
		mistake(c, where, "unknown section [%.64s]", section);
}

static void set_value(struct config *c, int i, const char *text, enum config_origin origin, const char *where)
{
	const struct config_option *o = &config_options[i];
	const char *wrong = check(o, text);
	if (wrong) {
		mistake(c, where, "%s = \"%.64s\" in [%s]: %s", o->key, text, o->section, wrong);
		return;
	}
	char *copy = strdup(text);
	if (!copy) {
		c->err = ERR_NOMEM;
		return;
	}
	free(c->values[i].text);
	c->values[i].text = copy;
	c->values[i].origin = origin;
}

static void set_named(struct config *c, const char *section, const char *key, const char *text,
                      enum config_origin origin, const char *where)
{
	int i = find_option(section, key);
	if (i >= 0)
		set_value(c, i, text, origin, where);
	else if (has_section(section))
		unknown_key(c, where, section, key);
	else
		unknown_section(c, where, section);
}

/* ---- sources ---- */

static void append_value(struct config *c, const struct ini_line *at, const char *where)
{
	CLEANUP_FREE char *whole = NULL;
	int i = find_option(at->section, at->key);
	const char *before = i >= 0 && c->values[i].text ? c->values[i].text : "";
	if (i >= 0 && asprintf(&whole, "%s %s", before, at->value) > 0)
		set_value(c, i, whole, CONFIG_FILE, where);
}

static int take_line(void *arg, const struct ini_line *at)
{
	struct config *c = arg;
	char where[512];
	snprintf(where, sizeof(where), "%.480s:%u", c->file, at->line);
	if (!at->key) {
		if (!has_section(at->section))
			unknown_section(c, where, at->section);
		return 0;
	}
	int i = find_option(at->section, at->key);
	if (!has_section(at->section) && *at->section)
		return 0;
	if (!*at->section)
		mistake(c, where, "\"%.64s\" stands before the first section", at->key);
	else if (at->continued)
		append_value(c, at, where);
	else if (i >= 0 && c->values[i].line)
		mistake(c, where, "\"%s\" in [%s] was set in line %u already", at->key, at->section, c->values[i].line);
	else
		set_named(c, at->section, at->key, at->value, CONFIG_FILE, where);
	if (i >= 0)
		c->values[i].line = at->line;
	return 0;
}

static int read_text(const char *file, struct bytes *text)
{
	CLEANUP_FILE FILE *f = fopen(file, "re");
	if (!f)
		return err_from_errno(errno);
	char *room;
	while ((room = bytes_reserve(text, 4096))) {
		size_t n = fread(room, 1, 4096, f);
		text->size += n;
		if (n == 0)
			break;
	}
	bytes_terminate(text);
	return ferror(f) ? ERR_IO : text->err;
}

static int load_file(struct config *c, const char *file, bool required)
{
	struct ini_error where;
	struct bytes text;
	bytes_init(&text, INI_TEXT_MAX);
	int err = read_text(file, &text);
	if (err == ERR_NOENT && !required)
		err = 0;
	else if (err)
		bytes_printf(c->errors, "%s: %s\n", file, err_text(err));
	else
		c->file = strdup(file);
	if (!err && c->file && ini_parse_text(bytes_str(&text), text.size, take_line, c, &where)) {
		bytes_printf(c->errors, "%s:%u: %s\n", file, where.line, where.what ? where.what : "malformed");
		err = ERR_INVAL;
	}
	bytes_fini(&text);
	return err;
}

static void load_environment(struct config *c, char **environment)
{
	for (uint32_t i = 0; i < config_n_options; i++) {
		char name[128];
		snprintf(name, sizeof(name), "CHIMERA_%s_%s=", config_options[i].section, config_options[i].key);
		for (char *p = name; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		for (char **e = environment; e && *e; e++)
			if (str_starts(*e, name))
				set_value(c, (int)i, *e + strlen(name), CONFIG_ENVIRONMENT, "environment");
	}
}

static void load_override(struct config *c, const char *text)
{
	char copy[VALUE_MAX + 128], *dot, *sign;
	if (str_copy(copy, sizeof(copy), text) || !(sign = strchr(copy, '=')) || !(dot = memchr(copy, '.', (size_t)(sign - copy)))) {
		mistake(c, "-o", "\"%.64s\" has to be SECTION.KEY=VALUE", text);
		return;
	}
	*dot = *sign = '\0';
	set_named(c, copy, dot + 1, sign + 1, CONFIG_COMMAND_LINE, "-o");
}

/* ${run_dir} and ${state_dir} of [server] in paths; they themselves hold none. */
static int expand_paths(struct config *c)
{
	static const char *const names[] = {"run_dir", "state_dir"};
	for (uint32_t i = 0; i < config_n_options; i++) {
		const struct config_option *o = &config_options[i];
		const char *text = c->values[i].text ? c->values[i].text : o->otherwise;
		for (size_t k = 0; o->type == CONFIG_PATH && k < ARRAY_SIZE(names); k++) {
			char *whole, variable[32];
			snprintf(variable, sizeof(variable), "${%s}", names[k]);
			if (!str_starts(text, variable))
				continue;
			if (asprintf(&whole, "%s%s", config_text(c, "server", names[k]), text + strlen(variable)) < 0)
				return ERR_NOMEM;
			free(c->values[i].text);
			c->values[i].text = whole;
			break;
		}
	}
	return 0;
}

static const char *named_file(const struct config_source *s)
{
	static const char prefix[] = "CHIMERA_CONF=";
	if (s->file)
		return s->file;
	for (char **e = s->environment; e && *e; e++)
		if (str_starts(*e, prefix))
			return *e + strlen(prefix);
	return NULL;
}

int config_load(struct config **out, const struct config_source *source, struct bytes *errors)
{
	struct config *c = calloc(1, sizeof(*c));
	if (c)
		c->values = calloc(config_n_options, sizeof(c->values[0]));
	if (!c || !c->values) {
		free(c);
		return ERR_NOMEM;
	}
	c->errors = errors;
	const char *file = named_file(source);
	int err = load_file(c, file ? file : DEFAULT_FILE, file != NULL);
	load_environment(c, source->environment);
	for (uint32_t i = 0; i < source->n_overrides; i++)
		load_override(c, source->overrides[i]);
	if (!err)
		err = c->err ? c->err : expand_paths(c);
	if (err) {
		config_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < config_n_options; i++)
		free(c->values[i].text);
	free(c->values);
	free(c->file);
	free(c);
}

/* ---- getters ---- */

static int must_find(const char *section, const char *key)
{
	int i = find_option(section, key);
	assert(i >= 0);
	return i;
}

const char *config_text(const struct config *c, const char *section, const char *key)
{
	int i = must_find(section, key);
	return c->values[i].text ? c->values[i].text : config_options[i].otherwise;
}

uint64_t config_number(const struct config *c, const char *section, const char *key)
{
	const char *text = config_text(c, section, key);
	uint64_t v = 0;
	int err;
	switch (config_options[must_find(section, key)].type) {
	case CONFIG_SIZE:
		err = str_parse_size(text, &v);
		break;
	case CONFIG_DURATION:
		err = str_parse_duration(text, &v);
		break;
	default:
		err = str_parse_u64(text, 0, UINT64_MAX, &v);
		break;
	}
	assert(err == 0);
	return v;
}

bool config_bool(const struct config *c, const char *section, const char *key)
{
	bool v = false;
	int err = str_parse_bool(config_text(c, section, key), &v);
	assert(err == 0);
	return v;
}

bool config_has(const struct config *c, const char *section, const char *key, const char *word)
{
	return has_word(config_text(c, section, key), word, strlen(word));
}

enum config_origin config_origin(const struct config *c, const char *section, const char *key)
{
	return c->values[must_find(section, key)].origin;
}
