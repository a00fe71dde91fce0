/*
 * Decoders and encoders. Neighbouring items of fixed size form a run: one bounds check, then
 * straight-line loads or stores. A length word or a discriminant ends the run that it belongs to.
 * Structs inside structs are flattened into their parent's runs; unions are functions of their own.
 */
#include <inttypes.h>
#include <string.h>

#include "utils/xdrgen/xdrgen.h"

#define RUN_MAX 128

struct codec {
	struct emitter *e;
	bool decode;
	char *lines[RUN_MAX]; /* statements of the open run, p being its first byte */
	int n_lines;
	uint64_t size; /* bytes of the open run */
	int depth;     /* of loops, for their variables' names */
};

static void emit_value(struct codec *c, const struct decl *d, const char *prefix, const char *name);

static void run_flush(struct codec *c)
{
	if (c->n_lines == 0)
		return;
	emit(c->e, "{");
	c->e->indent++;
	emit(c->e, "%suint8_t *p = xdr_%s(x, %" PRIu64 ");", c->decode ? "const " : "",
	     c->decode ? "take" : "reserve", c->size);
	emit(c->e, "if (unlikely(!p))");
	emit(c->e, "\treturn;");
	for (int i = 0; i < c->n_lines; i++)
		emit(c->e, "%s", c->lines[i]);
	c->e->indent--;
	emit(c->e, "}");
	c->n_lines = 0;
	c->size = 0;
}

static void run_add(struct codec *c, uint64_t size, char *line)
{
	c->lines[c->n_lines++] = line;
	c->size += size;
	if (c->n_lines == RUN_MAX)
		run_flush(c);
}

static char *word_line(struct codec *c, const struct decl *d, const char *path)
{
	const char *def = d->def ? d->def->name : "";
	if (!c->decode)
		return format("xdr_set%s(p + %" PRIu64 ", (uint%s_t)%s);", size_min(d) == 8 ? "64" : "32", c->size,
			      size_min(d) == 8 ? "64" : "32", path);
	if (d->def)
		return format("%s = (enum %s)xdr_enum(x, p + %" PRIu64 ", %s_valid);", path, def, c->size, def);
	if (d->prim == PRIM_BOOL)
		return format("%s = xdr_bool(x, p + %" PRIu64 ");", path, c->size);
	return format("%s = (%s)xdr_be%s(p + %" PRIu64 ");", path, ctype(d), size_min(d) == 8 ? "64" : "32",
		      c->size);
}

static void add_uint(struct codec *c, const char *path)
{
	const struct decl word = {.form = DECL_PLAIN, .prim = PRIM_UINT};
	run_add(c, 4, word_line(c, &word, path));
}

static void emit_plain(struct codec *c, const struct decl *d, const char *path)
{
	if (!d->def || d->def->kind == DEF_ENUM) {
		run_add(c, size_min(d), word_line(c, d, path));
		return;
	}
	if (d->def->kind == DEF_UNION) {
		run_flush(c);
		emit(c->e, "%s_%s(x, &%s);", d->def->name, c->decode ? "decode" : "encode", path);
		return;
	}
	for (int i = 0; i < d->def->n_members; i++)
		emit_value(c, d->def->members[i], format("%s.", path), d->def->members[i]->name);
}

static void emit_opaque_fixed(struct codec *c, const struct decl *d, const char *path)
{
	uint64_t padded = size_min(d);
	char *line = c->decode ? format("memcpy(%s, p + %" PRIu64 ", %" PRIu64 ");", path, c->size, d->bound) :
				 format("xdr_set_bytes(p + %" PRIu64 ", %s, %" PRIu64 ", %" PRIu64 ");", c->size,
					path, d->bound, padded);
	run_add(c, padded, line);
}

static void emit_opaque(struct codec *c, const struct decl *d, const char *path)
{
	const char *kind = d->form == DECL_BULK ? "bulk" : "opaque";
	add_uint(c, format("%s.size", path));
	run_flush(c);
	emit(c->e, "xdr_%s_%s(x, &%s, %" PRIu64 "u);", c->decode ? "take" : "put", kind, path, d->bound);
}

static void emit_loop(struct codec *c, const struct decl *d, const char *limit, const char *items)
{
	const char *i = format("i%d", c->depth++);
	emit(c->e, "for (uint32_t %s = 0; %s < %s; %s++) {", i, i, limit, i);
	c->e->indent++;
	emit_value(c, d->elem, format("%s[%s]", items, i), "");
	run_flush(c);
	c->e->indent--;
	emit(c->e, "}");
	c->depth--;
}

static void emit_array(struct codec *c, const struct decl *d, const char *path)
{
	if (d->form == DECL_ARRAY_FIXED) {
		run_flush(c);
		emit_loop(c, d, format("%" PRIu64, d->bound), path);
		return;
	}
	add_uint(c, format("%s.n_items", path));
	run_flush(c);
	if (c->decode)
		emit(c->e, "%s.items = xdr_take_array(x, &%s.n_items, %" PRIu64 "u, %" PRIu64 ", sizeof(*%s.items));",
		     path, path, d->bound, size_min(d->elem), path);
	else
		emit(c->e, "xdr_check(x, %s.n_items <= %" PRIu64 "u);", path, d->bound);
	emit_loop(c, d, format("%s.n_items", path), format("%s.items", path));
}

static void emit_optional(struct codec *c, const struct decl *d, const char *prefix, const char *name)
{
	const struct decl flag = {.form = DECL_PLAIN, .prim = PRIM_BOOL};
	const char *has = format("%shas_%s", prefix, name);
	run_add(c, 4, word_line(c, &flag, has));
	run_flush(c);
	emit(c->e, "if (%s) {", has);
	c->e->indent++;
	emit_value(c, d->elem, prefix, name);
	run_flush(c);
	c->e->indent--;
	emit(c->e, "}");
}

static void emit_list(struct codec *c, const struct decl *d, const char *path)
{
	const char *def = d->elem->def->name;
	run_flush(c);
	if (c->decode) {
		emit(c->e, "struct %s **link = &%s;", def, path);
		emit(c->e, "for (*link = NULL; xdr_take_more(x); link = &(*link)->next) {");
		emit(c->e, "\t*link = xdr_alloc(x, sizeof(**link));");
		emit(c->e, "\tif (!*link)");
		emit(c->e, "\t\treturn;");
		emit(c->e, "\t(*link)->next = NULL;");
		emit(c->e, "\t%s_decode(x, *link);", def);
		emit(c->e, "}");
		return;
	}
	emit(c->e, "for (const struct %s *item = %s; item; item = item->next) {", def, path);
	emit(c->e, "\txdr_put_more(x, true);");
	emit(c->e, "\t%s_encode(x, item);", def);
	emit(c->e, "}");
	emit(c->e, "xdr_put_more(x, false);");
}

static void emit_value(struct codec *c, const struct decl *d, const char *prefix, const char *name)
{
	const char *path = format("%s%s", prefix, name ? name : "");
	switch (d->form) {
	case DECL_VOID:
		return;
	case DECL_PLAIN:
		emit_plain(c, d, path);
		return;
	case DECL_OPAQUE_FIXED:
		emit_opaque_fixed(c, d, path);
		return;
	case DECL_OPAQUE_VAR:
	case DECL_BULK:
		emit_opaque(c, d, path);
		return;
	case DECL_ARRAY_FIXED:
	case DECL_ARRAY_VAR:
		emit_array(c, d, path);
		return;
	case DECL_OPTIONAL:
		emit_optional(c, d, prefix, name);
		return;
	case DECL_LIST:
		emit_list(c, d, path);
		return;
	}
}

const char *label(const char *text)
{
	if (strcmp(text, "TRUE") == 0)
		return "true";
	return strcmp(text, "FALSE") == 0 ? "false" : text;
}

static void emit_arm(struct codec *c, const struct arm *arm)
{
	for (int i = 0; i < arm->n_labels; i++)
		emit(c->e, "case %s:", label(arm->labels[i]));
	if (arm->n_labels == 0)
		emit(c->e, "default:");
	c->e->indent++;
	emit_value(c, arm->decl, "v->", arm->decl->name);
	run_flush(c);
	emit(c->e, "break;");
	c->e->indent--;
}

static void emit_switch(struct codec *c, const struct def *def)
{
	bool has_default = false;
	run_flush(c);
	emit(c->e, "switch ((int32_t)v->%s) {", def->members[0]->name);
	for (int i = 0; i < def->n_arms; i++) {
		emit_arm(c, &def->arms[i]);
		has_default |= def->arms[i].n_labels == 0;
	}
	if (!has_default)
		emit(c->e, "default:\n\t\txdr_check(x, false);");
	emit(c->e, "}");
}

void emit_codec(struct emitter *e, const struct def *def, bool decode)
{
	struct codec c = {.e = e, .decode = decode};
	emit(e, decode ? "void %s_decode(struct xdr_in *x, struct %s *v)\n{" :
			 "void %s_encode(struct xdr_out *x, const struct %s *v)\n{",
	     def->name, def->name);
	e->indent++;
	for (int i = 0; i < def->n_members; i++)
		emit_value(&c, def->members[i], "v->", def->members[i]->name);
	if (def->kind == DEF_UNION)
		emit_switch(&c, def);
	run_flush(&c);
	e->indent--;
	emit(e, "}\n");
}
