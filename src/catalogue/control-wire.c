/* Both directions over a cursor; every size is checked against what is left before it is used. */
#include "catalogue/control-wire.h"

#include <string.h>

#include "base/cursor.h"
#include "base/err.h"

/* A string with its NUL, and none inside; NULL and a failed cursor otherwise. */
static const char *take_string(struct cursor *c, size_t *size)
{
	*size = cursor_le32(c);
	const char *s = (const char *)cursor_bytes(c, *size + 1);
	if (s && (s[*size] != '\0' || memchr(s, '\0', *size))) {
		cursor_fail(c, ERR_PROTO);
		return NULL;
	}
	return s;
}

static int finish(const struct cursor *c)
{
	return cursor_failed(c) || cursor_left(c) ? ERR_PROTO : 0;
}

int control_decode_request(const void *data, size_t size, struct control_message *out)
{
	struct cursor c;
	size_t string_size;
	cursor_init(&c, (void *)data, size);
	out->n_pairs = 0;
	if (cursor_le32(&c) != CONTROL_MAGIC)
		return ERR_PROTO;
	uint32_t n = cursor_le32(&c);
	if (n > CONTROL_PAIRS_MAX)
		return ERR_PROTO;
	for (uint32_t i = 0; i < n; i++) {
		out->pairs[i].key = take_string(&c, &string_size);
		out->pairs[i].value = take_string(&c, &string_size);
	}
	int err = finish(&c);
	out->n_pairs = err ? 0 : n;
	return err;
}

int control_decode_reply(const void *data, size_t size, struct control_answer *out)
{
	struct cursor c;
	size_t error_size;
	cursor_init(&c, (void *)data, size);
	*out = (struct control_answer){0};
	if (cursor_le32(&c) != CONTROL_MAGIC)
		return ERR_PROTO;
	out->status = (int32_t)cursor_le32(&c);
	out->error = take_string(&c, &error_size);
	out->body = take_string(&c, &out->body_size);
	return finish(&c);
}

static void put_u32(struct bytes *out, uint32_t v)
{
	uint8_t raw[4];
	struct cursor c;
	cursor_init(&c, raw, sizeof(raw));
	cursor_put_le32(&c, v);
	bytes_put(out, raw, sizeof(raw));
}

static void put_string(struct bytes *out, const char *s, size_t size)
{
	put_u32(out, (uint32_t)size);
	bytes_put(out, s, size);
	bytes_putc(out, '\0');
}

/* The size goes in front once the rest is known. */
static void patch_size(struct bytes *out, size_t start)
{
	struct cursor c;
	if (bytes_failed(out))
		return;
	cursor_init(&c, out->data + start, 4);
	cursor_put_le32(&c, (uint32_t)(out->size - start - 4));
}

void control_encode_request(struct bytes *out, const struct control_message *message)
{
	size_t start = out->size;
	put_u32(out, 0);
	put_u32(out, CONTROL_MAGIC);
	put_u32(out, message->n_pairs);
	for (uint32_t i = 0; i < message->n_pairs; i++) {
		put_string(out, message->pairs[i].key, strlen(message->pairs[i].key));
		put_string(out, message->pairs[i].value, strlen(message->pairs[i].value));
	}
	patch_size(out, start);
}

void control_encode_reply(struct bytes *out, const struct control_answer *answer)
{
	size_t start = out->size;
	put_u32(out, 0);
	put_u32(out, CONTROL_MAGIC);
	put_u32(out, (uint32_t)answer->status);
	put_string(out, answer->error, strlen(answer->error));
	put_string(out, answer->body, answer->body_size);
	patch_size(out, start);
}

const char *control_message_get(const struct control_message *m, const char *key)
{
	for (uint32_t i = m->n_pairs; i > 0; i--)
		if (strcmp(m->pairs[i - 1].key, key) == 0)
			return m->pairs[i - 1].value;
	return NULL;
}

bool control_message_add(struct control_message *m, const char *key, const char *value)
{
	if (m->n_pairs == CONTROL_PAIRS_MAX)
		return false;
	m->pairs[m->n_pairs++] = (struct control_pair){key, value};
	return true;
}
