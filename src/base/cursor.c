/* Every access goes through cursor_bytes(), so the bound is checked in one place. */
#include "base/cursor.h"

#include <endian.h>

#include "base/err.h"

void cursor_init(struct cursor *c, void *data, size_t size)
{
	*c = (struct cursor){.start = data, .pos = data, .end = (uint8_t *)data + size};
}

void cursor_fail(struct cursor *c, int err)
{
	if (!c->err)
		c->err = err;
}

uint8_t *cursor_bytes(struct cursor *c, size_t size)
{
	if (unlikely(c->err || size > cursor_left(c))) {
		cursor_fail(c, ERR_EOF);
		return NULL;
	}
	uint8_t *p = c->pos;
	c->pos += size;
	return p;
}

void cursor_skip(struct cursor *c, size_t size)
{
	cursor_bytes(c, size);
}

#define CURSOR_GET(name, type, convert)                                            \
	type cursor_##name(struct cursor *c)                                       \
	{                                                                          \
		type v = 0;                                                        \
		const uint8_t *p = cursor_bytes(c, sizeof(v));                     \
		if (likely(p != NULL))                                             \
			memcpy(&v, p, sizeof(v));                                  \
		return convert(v);                                                 \
	}

#define CURSOR_PUT(name, type, convert)                                            \
	void cursor_put_##name(struct cursor *c, type v)                           \
	{                                                                          \
		v = convert(v);                                                    \
		cursor_put_bytes(c, &v, sizeof(v));                                \
	}

#define CURSOR_BOTH(name, type, from, to)                                          \
	CURSOR_GET(name, type, from)                                               \
	CURSOR_PUT(name, type, to)

void cursor_put_bytes(struct cursor *c, const void *data, size_t size)
{
	uint8_t *p = cursor_bytes(c, size);
	if (p && size)
		memcpy(p, data, size);
}

CURSOR_BOTH(u8, uint8_t, , )
CURSOR_BOTH(be16, uint16_t, be16toh, htobe16)
CURSOR_BOTH(be32, uint32_t, be32toh, htobe32)
CURSOR_BOTH(be64, uint64_t, be64toh, htobe64)
CURSOR_BOTH(le16, uint16_t, le16toh, htole16)
CURSOR_BOTH(le32, uint32_t, le32toh, htole32)
CURSOR_BOTH(le64, uint64_t, le64toh, htole64)
