/*
 * A growing byte buffer with a sticky error: append freely, check bytes_failed() once at the end.
 * Not synchronised. The content is always followed by a NUL that is not counted in size.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/compiler.h"

struct bytes {
	char *data;       /* NULL until the first append */
	size_t size;
	size_t capacity;
	size_t limit_size; /* appending beyond it latches ERR_OVERFLOW; 0: no limit */
	int err;           /* 0, ERR_NOMEM or ERR_OVERFLOW */
};

void bytes_init(struct bytes *b, size_t limit_size);
void bytes_fini(struct bytes *b);

/* bytes_clear() - forgets content and error, keeps the memory. */
void bytes_clear(struct bytes *b);

void bytes_put(struct bytes *b, const void *data, size_t size);
void bytes_putc(struct bytes *b, char c);
void bytes_puts(struct bytes *b, const char *s);
void bytes_printf(struct bytes *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* bytes_reserve() - room for size more bytes at the returned address; NULL and the error otherwise.
 * The caller fills it and adds what it used to b->size, then calls bytes_terminate(). */
char *bytes_reserve(struct bytes *b, size_t size);
void bytes_terminate(struct bytes *b);

/* bytes_str() - the content as a string, "" when empty. Valid until the next append. */
const char *bytes_str(const struct bytes *b);

static inline bool bytes_failed(const struct bytes *b)
{
	return b->err != 0;
}

#endif
