/* The writer: a separator is due before each member but a container's first. */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

void json_init(struct json *j, struct bytes *out)
{
	*j = (struct json){.out = out};
}

static void put_escaped(struct bytes *out, uint8_t c)
{
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	const char *at = c ? strchr(from, c) : NULL;
	if (at)
		bytes_printf(out, "\\%c", to[at - from]);
	else
		bytes_printf(out, "\\u%04x", c);
}

static void put_string(struct bytes *out, const void *value, size_t size)
{
	const uint8_t *p = value;
	uint32_t code;
	bytes_putc(out, '"');
	for (size_t at = 0; at < size;) {
		int n = utf8_decode(p + at, size - at, &code);
		if (n < 0)
			bytes_puts(out, "\xef\xbf\xbd");
		else if (code < 0x20 || code == '"' || code == '\\' || code == 0x7f)
			put_escaped(out, (uint8_t)code);
		else
			bytes_put(out, p + at, (size_t)n);
		at += n < 0 ? 1 : (size_t)n;
	}
	bytes_putc(out, '"');
}

static void begin_member(struct json *j, const char *key)
{
	uint32_t bit = 1U << j->depth;
	if (j->depth && (j->started & bit))
		bytes_putc(j->out, ',');
	j->started |= bit;
	if (key) {
		put_string(j->out, key, strlen(key));
		bytes_putc(j->out, ':');
	}
}

static void open_container(struct json *j, const char *key, bool is_array)
{
	begin_member(j, key);
	if (j->depth + 1 >= JSON_DEPTH_MAX) {
		j->out->err = ERR_OVERFLOW;
		return;
	}
	uint32_t bit = 1U << ++j->depth;
	j->started &= ~bit;
	j->is_array = is_array ? j->is_array | bit : j->is_array & ~bit;
	bytes_putc(j->out, is_array ? '[' : '{');
}

void json_object(struct json *j, const char *key)
{
	open_container(j, key, false);
}

void json_array(struct json *j, const char *key)
{
	open_container(j, key, true);
}

void json_end(struct json *j)
{
	if (j->depth == 0)
		return;
	bytes_putc(j->out, j->is_array >> j->depth & 1 ? ']' : '}');
	j->depth--;
}

void json_strn(struct json *j, const char *key, const void *value, size_t size)
{
	begin_member(j, key);
	put_string(j->out, value, size);
}

void json_str(struct json *j, const char *key, const char *value)
{
	if (value)
		json_strn(j, key, value, strlen(value));
	else
		json_null(j, key);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	begin_member(j, key);
	bytes_printf(j->out, "%" PRIu64, value);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
	begin_member(j, key);
	bytes_printf(j->out, "%" PRId64, value);
}

void json_raw(struct json *j, const char *key, const char *value)
{
	begin_member(j, key);
	bytes_puts(j->out, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	json_raw(j, key, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	json_raw(j, key, "null");
}

void json_time(struct json *j, const char *key, uint64_t wall_ns)
{
	char text[STR_TIME_SIZE];
	str_format_time(text, sizeof(text), wall_ns, 9);
	json_str(j, key, text);
}
