/*
 * Reading and writing bytes with a sticky error: a parser is straight-line code that checks
 * cursor_failed() once at its end. A read past the end yields zeros and latches the error; a write
 * past the end is dropped and latches it. The memory belongs to the caller.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <string.h>

#include "base/compiler.h"

struct cursor {
	uint8_t *start;
	uint8_t *pos;
	uint8_t *end;
	int err; /* 0, or the first ERR_*: ERR_EOF past the end, ERR_PROTO by cursor_fail() */
};

void cursor_init(struct cursor *c, void *data, size_t size);
void cursor_fail(struct cursor *c, int err);

static inline bool cursor_failed(const struct cursor *c)
{
	return c->err != 0;
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->pos);
}

static inline size_t cursor_used(const struct cursor *c)
{
	return (size_t)(c->pos - c->start);
}

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);

/* cursor_bytes() - a pointer to the next size bytes, which are skipped; NULL and the error past the end. */
uint8_t *cursor_bytes(struct cursor *c, size_t size);
void cursor_skip(struct cursor *c, size_t size);

void cursor_put_u8(struct cursor *c, uint8_t v);
void cursor_put_be16(struct cursor *c, uint16_t v);
void cursor_put_be32(struct cursor *c, uint32_t v);
void cursor_put_be64(struct cursor *c, uint64_t v);
void cursor_put_le16(struct cursor *c, uint16_t v);
void cursor_put_le32(struct cursor *c, uint32_t v);
void cursor_put_le64(struct cursor *c, uint64_t v);
void cursor_put_bytes(struct cursor *c, const void *data, size_t size);

#endif
