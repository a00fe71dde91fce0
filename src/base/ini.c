/*
 * inih pulls lines from next_line(), which counts them and keeps the section's full name, since inih
 * cuts it. Where inih can be told to take long lines, it is; where not, a long line is an error.
 */
#include "config.h"

#include "base/ini.h"

#include <ctype.h>
#include <ini.h>
#include <string.h>

#include "base/err.h"

#define SECTION_MAX 1024
#define LINE_SIZE_MAX 8192
#define KEY_MAX 48 /* inih cuts the key that it repeats for continued lines at 49 */

struct reader {
	const char *pos, *end;
	ini_fn *fn;
	void *arg;
	struct ini_error *error;
	uint32_t line;
	int err;
	bool has_key;   /* an indented line continues its value */
	bool continued;
	char section[SECTION_MAX];
};

static void stop(struct reader *r, int err, uint32_t line, const char *what)
{
	if (r->err && line >= r->error->line)
		return;
	r->err = err;
	r->error->line = line;
	r->error->what = what;
}

static void begin_section(struct reader *r, const char *start, const char *end)
{
	const char *close = memchr(start, ']', (size_t)(end - start));
	if (!close || close - start > SECTION_MAX) {
		stop(r, ERR_INVAL, r->line, close ? "section name too long" : "expected ] after the section's name");
		return;
	}
	size_t size = (size_t)(close - start) - 1;
	memcpy(r->section, start + 1, size);
	r->section[size] = '\0';
	r->has_key = false;
	struct ini_line at = {.section = r->section, .line = r->line};
	int err = r->fn(r->arg, &at);
	if (err)
		stop(r, err, r->line, NULL);
}

/* inih's reader: like fgets(), but a line is whole or an error. A section goes on as "[]", which inih forgets. */
static char *next_line(char *out, int room, void *stream)
{
	struct reader *r = stream;
	if (r->err || r->pos >= r->end)
		return NULL;
	const char *start = r->pos, *eol = memchr(start, '\n', (size_t)(r->end - start));
	const char *end = eol ? eol : r->end;
	size_t size = (size_t)(end - start);
	r->line++;
	r->pos = eol ? eol + 1 : r->end;
	r->continued = r->has_key && size && isspace((unsigned char)*start);
	if (size + 2 > (size_t)room || memchr(start, '\0', size)) {
		stop(r, ERR_INVAL, r->line, size + 2 > (size_t)room ? "line too long" : "line holds a NUL byte");
		return NULL;
	}
	memcpy(out, start, size);
	memcpy(out + size, "\n", 2);
	while (start < end && isspace((unsigned char)*start))
		start++;
	if (start < end && *start == '[' && !r->continued) {
		begin_section(r, start, end);
		memcpy(out, "[]\n", 4);
	}
	return out;
}

static int take_key(void *stream, const char *section, const char *key, const char *value)
{
	struct reader *r = stream;
	struct ini_line at = {r->section, key, value, r->line, r->continued};
	if (r->err)
		return 1;
	r->has_key = true;
	if (strlen(key) > KEY_MAX) {
		stop(r, ERR_INVAL, r->line, "key too long");
		return 1;
	}
	int err = r->fn(r->arg, &at);
	if (err)
		stop(r, err, r->line, NULL);
	return 1;
}

static void lift_limits(void)
{
#ifdef HAVE_INI_MAX_LINE
	ini_use_stack = false;
	ini_max_line = LINE_SIZE_MAX;
	ini_initial_alloc = LINE_SIZE_MAX;
#endif
}

int ini_parse_text(const char *text, size_t size, ini_fn *fn, void *arg, struct ini_error *error)
{
	struct reader r = {.pos = text, .end = text + size, .fn = fn, .arg = arg, .error = error};
	*error = (struct ini_error){0};
	if (size > INI_TEXT_MAX)
		return ERR_OVERFLOW;
	lift_limits();
	int bad_line = ini_parse_stream(next_line, &r, take_key, &r);
	if (bad_line > 0)
		stop(&r, ERR_INVAL, (uint32_t)bad_line, "expected KEY = VALUE");
	return bad_line < -1 ? ERR_NOMEM : r.err;
}
