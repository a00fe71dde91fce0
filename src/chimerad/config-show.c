/* The configuration as text and JSON, and what of it the log needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "chimerad/config.h"

static const char *const origin_names[] = {"default", "file", "environment", "command line"};

static const char *origin_name(const struct config *c, const struct config_option *o)
{
	return origin_names[config_origin(c, o->section, o->key)];
}

void config_print(const struct config *c, bool with_origin, struct bytes *out)
{
	const char *section = "";
	for (uint32_t i = 0; i < config_n_options; i++) {
		const struct config_option *o = &config_options[i];
		if (strcmp(section, o->section) != 0)
			bytes_printf(out, "%s[%s]\n", *section ? "\n" : "", o->section);
		section = o->section;
		if (with_origin)
			bytes_printf(out, "# %s\n", origin_name(c, o));
		bytes_printf(out, "%s = %s\n", o->key, config_text(c, o->section, o->key));
	}
}

void config_json(const struct config *c, struct json *j, const char *key)
{
	json_array(j, key);
	for (uint32_t i = 0; i < config_n_options; i++) {
		const struct config_option *o = &config_options[i];
		json_object(j, NULL);
		json_str(j, "section", o->section);
		json_str(j, "key", o->key);
		json_str(j, "value", config_text(c, o->section, o->key));
		json_str(j, "origin", origin_name(c, o));
		json_end(j);
	}
	json_end(j);
}

void config_apply_log(const struct config *c, const char *program)
{
	static const char *const formats[] = {"text", "json", "journal"};
	const char *format = config_text(c, "log", "format");
	enum log_level level;
	char levels[4096], *rest = levels, *item;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i], format) == 0)
			log_open(program, NULL, (enum log_format)i);
	if (log_level_parse(config_text(c, "log", "level"), &level) == 0)
		log_set_level(NULL, level);
	str_copy(levels, sizeof(levels), config_text(c, "log", "levels"));
	while ((item = str_next(&rest, ' '))) {
		char *sign = strchr(item, '=');
		if (!sign || log_level_parse(sign + 1, &level))
			continue;
		*sign = '\0';
		log_set_level(item, level);
	}
}
