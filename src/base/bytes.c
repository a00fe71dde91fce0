/* Capacity doubles; one byte is always kept for the closing NUL. */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

void bytes_init(struct bytes *b, size_t limit_size)
{
	*b = (struct bytes){.limit_size = limit_size};
}

void bytes_fini(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){0};
}

void bytes_clear(struct bytes *b)
{
	b->size = 0;
	b->err = 0;
	bytes_terminate(b);
}

static bool grow(struct bytes *b, size_t need)
{
	size_t capacity = b->capacity ? b->capacity : 128;
	while (capacity < need)
		capacity *= 2;
	char *data = realloc(b->data, capacity);
	if (!data) {
		b->err = ERR_NOMEM;
		return false;
	}
	b->data = data;
	b->capacity = capacity;
	return true;
}

char *bytes_reserve(struct bytes *b, size_t size)
{
	if (b->err)
		return NULL;
	if (size >= SIZE_MAX / 4 - b->size || (b->limit_size && b->size + size > b->limit_size)) {
		b->err = ERR_OVERFLOW;
		return NULL;
	}
	if (b->size + size + 1 > b->capacity && !grow(b, b->size + size + 1))
		return NULL;
	return b->data + b->size;
}

void bytes_terminate(struct bytes *b)
{
	if (b->data)
		b->data[b->size] = '\0';
}

void bytes_put(struct bytes *b, const void *data, size_t size)
{
	char *to = bytes_reserve(b, size);
	if (!to)
		return;
	if (size)
		memcpy(to, data, size);
	b->size += size;
	bytes_terminate(b);
}

void bytes_putc(struct bytes *b, char c)
{
	bytes_put(b, &c, 1);
}

void bytes_puts(struct bytes *b, const char *s)
{
	bytes_put(b, s, strlen(s));
}

void bytes_printf(struct bytes *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *to = n < 0 ? NULL : bytes_reserve(b, (size_t)n);
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->size += (size_t)n;
}

const char *bytes_str(const struct bytes *b)
{
	return b->data ? b->data : "";
}
