/* The reader: recursive descent, depth-bounded, with a sticky error like a cursor's. */
#include "base/json.h"

#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

struct reader {
	struct arena *arena;
	const char *pos, *end;
	uint32_t depth;
	int err;
};

static struct json_value *read_value(struct reader *r);

static void *fail(struct reader *r, int err)
{
	if (!r->err)
		r->err = err;
	r->pos = r->end;
	return NULL;
}

static char peek(struct reader *r)
{
	while (r->pos < r->end && strchr(" \t\r\n", *r->pos) && *r->pos)
		r->pos++;
	return r->pos < r->end ? *r->pos : '\0';
}

static bool take(struct reader *r, char c)
{
	if (peek(r) != c || r->pos == r->end)
		return false;
	r->pos++;
	return true;
}

static bool read_hex4(struct reader *r, uint32_t *code)
{
	*code = 0;
	if (r->end - r->pos < 4)
		return false;
	for (int i = 0; i < 4; i++, r->pos++) {
		if (!isxdigit((unsigned char)*r->pos))
			return false;
		int digit = isdigit((unsigned char)*r->pos) ? *r->pos - '0' : (*r->pos | 32) - 'a' + 10;
		*code = *code << 4 | (uint32_t)digit;
	}
	return true;
}

/* A pair of surrogates is one code point; a lone one is U+FFFD. */
static int read_unicode(struct reader *r, uint8_t *out)
{
	uint32_t high, low;
	if (!read_hex4(r, &high))
		return ERR_PROTO;
	if (high >= 0xd800 && high < 0xdc00 && r->end - r->pos >= 6 && r->pos[0] == '\\' && r->pos[1] == 'u') {
		const char *back = r->pos;
		r->pos += 2;
		if (!read_hex4(r, &low))
			return ERR_PROTO;
		if (low >= 0xdc00 && low < 0xe000)
			return utf8_encode(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), out);
		r->pos = back;
	}
	return utf8_encode(high >= 0xd800 && high < 0xe000 ? 0xfffd : high, out);
}

static int read_escape(struct reader *r, uint8_t *out)
{
	static const char from[] = "\"\\/nrtbf", to[] = "\"\\/\n\r\t\b\f";
	char c = r->pos < r->end ? *r->pos++ : '\0';
	const char *at = c ? strchr(from, c) : NULL;
	if (c == 'u')
		return read_unicode(r, out);
	if (!at)
		return ERR_PROTO;
	out[0] = (uint8_t)to[at - from];
	return 1;
}

/* After the opening quote. An escape is never shorter than what it stands for, so the raw size is enough. */
static char *read_string(struct reader *r, size_t *size)
{
	const char *close = r->pos;
	while (close < r->end && *close != '"')
		close += *close == '\\' ? 2 : 1;
	if (close >= r->end)
		return fail(r, ERR_PROTO);
	uint8_t *out = arena_alloc(r->arena, (size_t)(close - r->pos) + 1);
	if (!out)
		return fail(r, ERR_NOMEM);
	size_t used = 0;
	while (r->pos < close) {
		uint8_t c = (uint8_t)*r->pos++;
		int n = 1;
		if (c == '\\')
			n = read_escape(r, out + used);
		else
			out[used] = c;
		if (n < 0 || c < 0x20)
			return fail(r, ERR_PROTO);
		used += (size_t)n;
	}
	out[used] = '\0';
	r->pos = close + 1;
	*size = used;
	return (char *)out;
}

static void read_members(struct reader *r, struct json_value *v, char close)
{
	struct json_value **tail = &v->child;
	size_t key_size;
	if (++r->depth > JSON_DEPTH_MAX)
		fail(r, ERR_PROTO);
	for (bool first = true; !r->err && !take(r, close); first = false) {
		const char *key = NULL;
		if (!first && !take(r, ','))
			fail(r, ERR_PROTO);
		if (v->type == JSON_OBJECT) {
			key = take(r, '"') ? read_string(r, &key_size) : fail(r, ERR_PROTO);
			if (!take(r, ':'))
				fail(r, ERR_PROTO);
		}
		struct json_value *member = read_value(r);
		if (!member)
			return;
		member->key = key;
		*tail = member;
		tail = &member->next;
	}
	r->depth--;
}

static void read_word(struct reader *r, struct json_value *v)
{
	const char *start = r->pos;
	while (r->pos < r->end && (isalnum((unsigned char)*r->pos) || strchr("+-.", *r->pos)) && *r->pos)
		r->pos++;
	v->text_size = (size_t)(r->pos - start);
	v->text = arena_strndup(r->arena, start, v->text_size);
	if (!v->text)
		fail(r, ERR_NOMEM);
	else if (strcmp(v->text, "null") == 0)
		v->type = JSON_NULL;
	else if (strcmp(v->text, "true") == 0 || strcmp(v->text, "false") == 0)
		v->type = JSON_BOOL;
	else if (isdigit((unsigned char)v->text[0]) || (v->text[0] == '-' && isdigit((unsigned char)v->text[1])))
		v->type = JSON_NUMBER;
	else
		fail(r, ERR_PROTO);
}

static struct json_value *read_value(struct reader *r)
{
	struct json_value *v = r->err ? NULL : arena_zalloc(r->arena, sizeof(*v));
	if (!v)
		return fail(r, ERR_NOMEM);
	if (take(r, '{')) {
		v->type = JSON_OBJECT;
		read_members(r, v, '}');
	} else if (take(r, '[')) {
		v->type = JSON_ARRAY;
		read_members(r, v, ']');
	} else if (take(r, '"')) {
		v->type = JSON_STRING;
		v->text = read_string(r, &v->text_size);
	} else {
		read_word(r, v);
	}
	return r->err ? NULL : v;
}

int json_parse(struct arena *a, const char *text, size_t size, struct json_value **root)
{
	struct reader r = {.arena = a, .pos = text, .end = text + size};
	*root = read_value(&r);
	if (!r.err && (peek(&r), r.pos != r.end))
		r.err = ERR_PROTO;
	return r.err;
}

const struct json_value *json_get(const struct json_value *v, const char *key)
{
	const struct json_value *m = v && v->type == JSON_OBJECT ? v->child : NULL;
	while (m && strcmp(m->key, key) != 0)
		m = m->next;
	return m;
}

const char *json_text(const struct json_value *v, const char *key, const char *otherwise)
{
	const struct json_value *m = json_get(v, key);
	return m && m->text ? m->text : otherwise;
}
