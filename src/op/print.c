/*
 * One line for an op, from the table. Every field of op.def becomes a row here; its place in the
 * structure follows from sizes and alignments, as the compiler's did.
 */
#include "op/op.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct line {
	const struct op *op;
	char *out;
	size_t size;
	size_t used;
};

typedef void print_fn(struct line *l, const void *value);

struct field {
	const char *name;
	print_fn *print;
	uint32_t size;
	uint32_t align;
};

static void put(struct line *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	if (l->used >= l->size)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(l->out + l->used, l->size - l->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->used = MIN(l->used + (size_t)n, l->size);
}

static void print_u32(struct line *l, const void *value)
{
	put(l, "%" PRIu32, *(const uint32_t *)value);
}

static void print_u64(struct line *l, const void *value)
{
	put(l, "%" PRIu64, *(const uint64_t *)value);
}

static void print_time(struct line *l, const void *value)
{
	const struct op_time *t = value;
	put(l, "%" PRId64 ".%09" PRIu32, t->sec, t->nsec);
}

static void print_str(struct line *l, const void *value)
{
	const struct op_str *s = value;
	const char *bytes = op_get_str(l->op, s);
	put(l, "\"");
	for (uint32_t i = 0; bytes && i < s->size; i++) {
		unsigned char c = (unsigned char)bytes[i];
		put(l, c < ' ' || c > '~' || c == '"' || c == '\\' ? "\\%03o" : "%c", c);
	}
	put(l, "\"");
}

static void print_handle(struct line *l, const void *value)
{
	const struct op_handle *h = value;
	uint32_t n = MIN(h->size, OP_HANDLE_MAX);
	for (uint32_t i = n > OP_HANDLE_HEAD ? OP_HANDLE_HEAD : 0; i < n; i++)
		put(l, "%02x", h->bytes[i]);
	if (n == 0)
		put(l, "-");
}

static void print_attr(struct line *l, const void *value)
{
	const struct op_attr *a = value;
	if (a->mask == 0) {
		put(l, "-");
		return;
	}
	put(l, "{mask=%" PRIx64 " type=%u mode=%o id=%" PRIu64 " size=%" PRIu64 " uid=%u gid=%u nlink=%u change=%" PRIu64 "}",
	    a->mask, a->type, a->mode, a->fileid, a->size, a->uid, a->gid, a->nlink, a->change);
}

static void print_wcc(struct line *l, const void *value)
{
	const struct op_wcc *w = value;
	put(l, w->pre.valid ? "%" PRIu64 "->" : "-", w->pre.change);
	print_attr(l, &w->post);
}

static void print_statfs(struct line *l, const void *value)
{
	const struct op_statfs *s = value;
	put(l, "{bytes=%" PRIu64 "/%" PRIu64 " files=%" PRIu64 "/%" PRIu64 "}", s->free_bytes, s->total_bytes,
	    s->free_files, s->total_files);
}

static void print_quota(struct line *l, const void *value)
{
	const struct op_quota *q = value;
	put(l, "{kind=%u id=%u bytes=%" PRIu64 "/%" PRIu64 "/%" PRIu64 " inodes=%" PRIu64 "/%" PRIu64 "/%" PRIu64 "}", q->kind,
	    q->id, q->bytes.used, q->bytes.soft, q->bytes.hard, q->inodes.used, q->inodes.soft, q->inodes.hard);
}

#define F(type, name) {#name, print_##type, sizeof(op_t_##type), _Alignof(op_t_##type)},
#define OP(name, code, flags, in, out)                                                       \
	static const struct field name##_in[] = {OP_FIELDS in{NULL}};                        \
	static const struct field name##_out[] = {OP_FIELDS out{NULL}};
#define OP_RESERVED(name, code)
#include "op/op.def"
#undef OP
#undef F

static const struct {
	const struct field *in;
	const struct field *out;
} fields[OP_N_CODES] = {
#define OP(name, code, flags, in, out) [code] = {name##_in, name##_out},
#include "op/op.def"
#undef OP
#undef OP_RESERVED
};

static void print_fields(struct line *l, const struct field *f, const void *base)
{
	uint32_t offset = 0;
	for (; f && f->name; f++) {
		offset = ALIGN_UP(offset, f->align);
		if (f->name[0] != 'z' || f->name[1] != 'e') {
			put(l, " %s=", f->name);
			f->print(l, (const char *)base + offset);
		}
		offset += f->size;
	}
}

void op_print(const struct op *op, char *out, size_t size)
{
	struct line l = {op, out, size, 0};
	const struct op_info *info = op_info(op->code);
	if (size)
		out[0] = '\0';
	if (!info->name) {
		put(&l, "op %u", op->code);
		return;
	}
	put(&l, "%s", info->name);
	if (info->flags & OP_I_OBJ) {
		put(&l, " obj=");
		print_handle(&l, &op->obj);
	}
	if (info->flags & OP_I_OBJ2) {
		put(&l, " obj2=");
		print_handle(&l, &op->obj2);
	}
	print_fields(&l, fields[op->code].in, &op->in);
	put(&l, " uid=%u -> %s", op->cred.uid, err_name(op->status));
	if (op->status == 0)
		print_fields(&l, fields[op->code].out, &op->out);
}
