/* The parts of XDR that are not worth inlining: variable items, errors and the text of traces. */
#include "protocols/rpc/xdr.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

const uint8_t *xdr_in_fail(struct xdr_in *x, int err)
{
	if (!x->err)
		x->err = err;
	x->pos = x->end;
	x->detached_size = 0;
	return NULL;
}

void xdr_take_opaque(struct xdr_in *x, struct xdr_bytes *b, uint32_t max)
{
	b->data = b->size <= max ? xdr_take(x, xdr_pad(b->size)) : xdr_in_fail(x, ERR_PROTO);
	if (!b->data)
		b->size = 0;
}

/* A payload received elsewhere is the rest of its record: nothing else can follow it. */
static bool take_detached(struct xdr_in *x, struct xdr_bulk *b)
{
	if (x->detached_size == 0 || x->pos != x->end || xdr_pad(b->size) != x->detached_size)
		return false;
	x->detached_size = 0;
	b->data = NULL;
	return true;
}

void xdr_take_bulk(struct xdr_in *x, struct xdr_bulk *b, uint32_t max)
{
	b->offset = (uint32_t)(x->pos - x->start);
	b->iov = NULL;
	b->n_iov = 0;
	if (b->size <= max && take_detached(x, b))
		return;
	b->data = b->size <= max ? xdr_take(x, xdr_pad(b->size)) : xdr_in_fail(x, ERR_PROTO);
	if (!b->data)
		b->size = 0;
}

void *xdr_alloc(struct xdr_in *x, size_t size)
{
	void *p = x->arena ? arena_zalloc(x->arena, size) : NULL;
	if (!p)
		xdr_in_fail(x, ERR_NOMEM);
	return p;
}

void *xdr_take_array(struct xdr_in *x, uint32_t *n, uint32_t max, uint32_t item_min, size_t item_size)
{
	void *items = NULL;
	if (*n > max || (uint64_t)*n * item_min > (uint64_t)(x->end - x->pos))
		xdr_in_fail(x, ERR_PROTO);
	else if (*n > 0)
		items = xdr_alloc(x, *n * item_size);
	if (!items)
		*n = 0;
	return items;
}

bool xdr_take_more(struct xdr_in *x)
{
	const uint8_t *p = xdr_take(x, 4);
	return p && xdr_bool(x, p);
}

uint8_t *xdr_out_fail(struct xdr_out *x, int err)
{
	if (!x->err)
		x->err = err;
	x->end = x->pos;
	return NULL;
}

void xdr_put_opaque(struct xdr_out *x, const struct xdr_bytes *b, uint32_t max)
{
	size_t padded = xdr_pad(b->size);
	uint8_t *p = b->size <= max ? xdr_reserve(x, padded) : xdr_out_fail(x, ERR_OVERFLOW);
	if (p && padded)
		xdr_set_bytes(p, b->data, b->size, padded);
}

void xdr_put_bulk(struct xdr_out *x, const struct xdr_bulk *b, uint32_t max)
{
	if (b->size > max || x->n_splices == XDR_SPLICES) {
		xdr_out_fail(x, ERR_OVERFLOW);
		return;
	}
	if (b->size == 0)
		return;
	size_t n_pad = xdr_pad(b->size) - b->size;
	uint32_t offset = (uint32_t)xdr_out_size(x);
	uint8_t *p = xdr_reserve(x, n_pad);
	if (!p)
		return;
	memset(p, 0, n_pad);
	x->splices[x->n_splices++] =
		(struct xdr_splice){.offset = offset, .size = b->size, .iov = b->iov, .n_iov = b->n_iov};
}

void xdr_put_u32(struct xdr_out *x, uint32_t v)
{
	uint8_t *p = xdr_reserve(x, 4);
	if (p)
		xdr_set32(p, v);
}

void xdr_put_more(struct xdr_out *x, bool more)
{
	xdr_put_u32(x, more);
}

void xdr_text_init(struct xdr_text *t, char *out, size_t size)
{
	t->start = t->pos = out;
	t->end = out + size;
	*out = '\0';
}

static void put_text(struct xdr_text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put_text(struct xdr_text *t, const char *fmt, ...)
{
	size_t left = (size_t)(t->end - t->pos);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(t->pos, left, fmt, ap);
	va_end(ap);
	t->pos += n < 0 ? 0 : MIN((size_t)n, left - 1);
}

/* A blank between two items, none after an opening brace. */
static void put_name(struct xdr_text *t, const char *name)
{
	bool first = t->pos == t->start || t->pos[-1] == '{';
	put_text(t, "%s%s%s", first ? "" : " ", name, *name ? "=" : "");
}

void xdr_text_open(struct xdr_text *t, const char *name)
{
	put_name(t, name);
	put_text(t, "{");
}

void xdr_text_close(struct xdr_text *t)
{
	put_text(t, "}");
}

void xdr_text_uint(struct xdr_text *t, const char *name, uint64_t v)
{
	put_name(t, name);
	put_text(t, "%" PRIu64, v);
}

void xdr_text_int(struct xdr_text *t, const char *name, int64_t v)
{
	put_name(t, name);
	put_text(t, "%" PRId64, v);
}

void xdr_text_bool(struct xdr_text *t, const char *name, bool v)
{
	xdr_text_name(t, name, v ? "true" : "false");
}

void xdr_text_name(struct xdr_text *t, const char *name, const char *v)
{
	put_name(t, name);
	put_text(t, "%s", v);
}

static bool all_printable(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!isprint(data[i]) || data[i] == '"')
			return false;
	return true;
}

void xdr_text_bytes(struct xdr_text *t, const char *name, const uint8_t *data, size_t size)
{
	put_name(t, name);
	if (all_printable(data, size)) {
		put_text(t, "\"%.*s\"", (int)size, (const char *)data);
		return;
	}
	for (size_t i = 0; i < size && t->pos + 1 < t->end; i++)
		put_text(t, "%02x", data[i]);
}
