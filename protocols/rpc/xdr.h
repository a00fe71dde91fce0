/*
 * XDR (RFC 4506): what the code written by utils/xdrgen calls. Decoding reads one contiguous record
 * and copies nothing of variable size: strings and opaques are references into the record, payloads
 * (`bulk`) may even lie elsewhere. Encoding fills the caller's buffer; a payload is left out of it and
 * remembered as a splice, so that the sender can gather it. The first error latches: every later
 * call does nothing, and the caller checks x->err once.
 *
 * Nothing here parks or locks. Arrays and lists are the only items that allocate, in the caller's
 * arena, bounded by what the record can hold.
 */
#ifndef RPC_XDR_H
#define RPC_XDR_H

#include <endian.h>
#include <string.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"

/* xdr_pad() - what a variable item of size bytes takes: the next multiple of four. */
static inline size_t xdr_pad(size_t size)
{
	return ALIGN_UP(size, (size_t)4);
}

/* An opaque or a string: a reference, not NUL-terminated. */
struct xdr_bytes {
	const uint8_t *data;
	uint32_t size;
};

/* A payload. Decoded: where it is. To encode: iov[n_iov] holds exactly size bytes. */
struct xdr_bulk {
	uint32_t size;
	uint32_t offset;     /* decoded: of its first byte in the record */
	const uint8_t *data; /* decoded: the first byte; NULL when the payload lies outside the buffer */
	const struct iovec *iov;
	int n_iov;
};

struct xdr_in {
	const uint8_t *start;
	const uint8_t *pos;
	const uint8_t *end;
	struct arena *arena;    /* for arrays and lists; NULL: they are refused */
	uint32_t detached_size; /* payload bytes (padding included) of this record that were received elsewhere */
	int err;                /* 0, ERR_PROTO: malformed, ERR_NOMEM: over the arena's limit */
};

#define XDR_SPLICES 8

/* A payload that belongs at offset of the encoded bytes. */
struct xdr_splice {
	uint32_t offset;
	uint32_t size;
	const struct iovec *iov;
	int n_iov;
};

struct xdr_out {
	uint8_t *start;
	uint8_t *pos;
	uint8_t *end;
	int err; /* 0, ERR_TOOSMALL: no room, ERR_OVERFLOW: an item is longer than the protocol allows */
	int n_splices;
	struct xdr_splice splices[XDR_SPLICES]; /* by offset; the first n_splices are set */
};

/* Text of a trace line; cut off at its end, always NUL-terminated. */
struct xdr_text {
	char *start;
	char *pos;
	char *end;
};

struct xdr_type {
	size_t size; /* of the C struct; 0: void */
	void (*decode)(struct xdr_in *x, void *v);
	void (*encode)(struct xdr_out *x, const void *v);
	void (*print)(struct xdr_text *t, const void *v);
};

struct xdr_proc {
	const char *name; /* NULL: the number is not assigned */
	struct xdr_type args;
	struct xdr_type res;
};

struct xdr_version {
	const char *name;
	uint32_t program;
	uint32_t version;
	uint32_t n_procs;
	const struct xdr_proc *procs; /* by procedure number */
};

static inline void xdr_in_init(struct xdr_in *x, const void *data, size_t size)
{
	const uint8_t *p = data;
	*x = (struct xdr_in){.start = p, .pos = p, .end = p + size};
}

/* xdr_in_fail() - latches err; nothing is left to read. Always NULL. */
const uint8_t *xdr_in_fail(struct xdr_in *x, int err);

static inline const uint8_t *xdr_take(struct xdr_in *x, size_t size)
{
	const uint8_t *p = x->pos;
	if (unlikely((size_t)(x->end - p) < size))
		return xdr_in_fail(x, ERR_PROTO);
	x->pos = p + size;
	return p;
}

static inline uint32_t xdr_be32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t xdr_be64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline bool xdr_bool(struct xdr_in *x, const uint8_t *p)
{
	uint32_t v = xdr_be32(p);
	if (unlikely(v > 1))
		xdr_in_fail(x, ERR_PROTO);
	return v == 1;
}

static inline uint32_t xdr_enum(struct xdr_in *x, const uint8_t *p, bool (*valid)(uint32_t value))
{
	uint32_t v = xdr_be32(p);
	if (unlikely(!valid(v)))
		xdr_in_fail(x, ERR_PROTO);
	return v;
}

/* The length of what is taken was decoded before: b->size, *n. Over max, or past the end: the error. */
void xdr_take_opaque(struct xdr_in *x, struct xdr_bytes *b, uint32_t max);
void xdr_take_bulk(struct xdr_in *x, struct xdr_bulk *b, uint32_t max);
/* xdr_take_array() - memory for *n items, each at least item_min bytes on the wire; on error *n is 0. */
void *xdr_take_array(struct xdr_in *x, uint32_t *n, uint32_t max, uint32_t item_min, size_t item_size);
/* xdr_take_more() - the bool before each item of a list. */
bool xdr_take_more(struct xdr_in *x);
void *xdr_alloc(struct xdr_in *x, size_t size);

static inline void xdr_out_init(struct xdr_out *x, void *data, size_t size)
{
	x->start = x->pos = data;
	x->end = x->start + size;
	x->err = 0;
	x->n_splices = 0;
}

static inline size_t xdr_out_size(const struct xdr_out *x)
{
	return (size_t)(x->pos - x->start);
}

/* xdr_out_fail() - latches err; no room is left. Always NULL. */
uint8_t *xdr_out_fail(struct xdr_out *x, int err);

static inline uint8_t *xdr_reserve(struct xdr_out *x, size_t size)
{
	uint8_t *p = x->pos;
	if (unlikely((size_t)(x->end - p) < size))
		return xdr_out_fail(x, ERR_TOOSMALL);
	x->pos = p + size;
	return p;
}

static inline void xdr_set32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void xdr_set64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static inline void xdr_set_bytes(uint8_t *p, const void *data, size_t size, size_t padded)
{
	memcpy(p, data, size);
	memset(p + size, 0, padded - size);
}

/* The length of what is put was encoded before. */
void xdr_put_opaque(struct xdr_out *x, const struct xdr_bytes *b, uint32_t max);
void xdr_put_bulk(struct xdr_out *x, const struct xdr_bulk *b, uint32_t max);
void xdr_put_more(struct xdr_out *x, bool more);
void xdr_put_u32(struct xdr_out *x, uint32_t v);

/* xdr_in_check(), xdr_out_check() - latch the error unless ok. */
static inline void xdr_in_check(struct xdr_in *x, bool ok)
{
	if (unlikely(!ok))
		xdr_in_fail(x, ERR_PROTO);
}

static inline void xdr_out_check(struct xdr_out *x, bool ok)
{
	if (unlikely(!ok))
		xdr_out_fail(x, ERR_OVERFLOW);
}

#define xdr_check(x, ok) \
	_Generic((x), struct xdr_in *: xdr_in_check, struct xdr_out *: xdr_out_check)((x), (ok))

void xdr_text_init(struct xdr_text *t, char *out, size_t size);
void xdr_text_open(struct xdr_text *t, const char *name);
void xdr_text_close(struct xdr_text *t);
void xdr_text_uint(struct xdr_text *t, const char *name, uint64_t v);
void xdr_text_int(struct xdr_text *t, const char *name, int64_t v);
void xdr_text_bool(struct xdr_text *t, const char *name, bool v);
void xdr_text_name(struct xdr_text *t, const char *name, const char *v);
/* xdr_text_bytes() - printable bytes as they are in quotes, others as hexadecimal. */
void xdr_text_bytes(struct xdr_text *t, const char *name, const uint8_t *data, size_t size);

#endif
