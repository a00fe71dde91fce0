/* Printers, for traces: name=value pairs, structs in braces. */
#include <inttypes.h>

#include "utils/xdrgen/xdrgen.h"

static void print_value(struct emitter *e, const struct decl *d, const char *path, const char *name);

static void print_plain(struct emitter *e, const struct decl *d, const char *path, const char *name)
{
	if (!d->def)
		emit(e, "xdr_text_%s(t, \"%s\", %s);",
		     d->prim == PRIM_BOOL                           ? "bool" :
		     d->prim == PRIM_INT || d->prim == PRIM_HYPER ? "int" :
								      "uint",
		     name, path);
	else if (d->def->kind == DEF_ENUM)
		emit(e, "xdr_text_name(t, \"%s\", %s_name(%s));", name, d->def->name, path);
	else
		emit(e, "%s_print(t, \"%s\", &%s);", d->def->name, name, path);
}

static void print_loop(struct emitter *e, const struct decl *d, const char *limit, const char *items)
{
	emit(e, "for (uint32_t i = 0; i < %s; i++) {", limit);
	e->indent++;
	print_value(e, d->elem, format("%s[i]", items), d->name);
	e->indent--;
	emit(e, "}");
}

static void print_value(struct emitter *e, const struct decl *d, const char *path, const char *name)
{
	switch (d->form) {
	case DECL_VOID:
		return;
	case DECL_PLAIN:
		print_plain(e, d, path, name);
		return;
	case DECL_OPAQUE_FIXED:
		emit(e, "xdr_text_bytes(t, \"%s\", %s, %" PRIu64 ");", name, path, d->bound);
		return;
	case DECL_OPAQUE_VAR:
		emit(e, "xdr_text_bytes(t, \"%s\", %s.data, %s.size);", name, path, path);
		return;
	case DECL_BULK:
		emit(e, "xdr_text_uint(t, \"%s\", %s.size);", name, path);
		return;
	case DECL_ARRAY_FIXED:
		print_loop(e, d, format("%" PRIu64, d->bound), path);
		return;
	case DECL_ARRAY_VAR:
		print_loop(e, d, format("%s.n_items", path), format("%s.items", path));
		return;
	case DECL_OPTIONAL:
		emit(e, "if (v->has_%s)", name);
		e->indent++;
		print_value(e, d->elem, path, name);
		e->indent--;
		return;
	case DECL_LIST:
		emit(e, "for (const struct %s *item = %s; item; item = item->next)", d->elem->def->name, path);
		emit(e, "\t%s_print(t, \"%s\", item);", d->elem->def->name, name);
		return;
	}
}

static void print_arm(struct emitter *e, const struct arm *arm)
{
	for (int i = 0; i < arm->n_labels; i++)
		emit(e, "case %s:", label(arm->labels[i]));
	if (arm->n_labels == 0)
		emit(e, "default:");
	e->indent++;
	print_value(e, arm->decl, format("v->%s", arm->decl->name), arm->decl->name);
	emit(e, "break;");
	e->indent--;
}

void emit_printer(struct emitter *e, const struct def *def)
{
	emit(e, "void %s_print(struct xdr_text *t, const char *name, const struct %s *v)\n{", def->name, def->name);
	e->indent++;
	emit(e, "xdr_text_open(t, name);");
	for (int i = 0; i < def->n_members; i++)
		print_value(e, def->members[i], format("v->%s", def->members[i]->name), def->members[i]->name);
	if (def->kind == DEF_UNION) {
		emit(e, "switch ((int32_t)v->%s) {", def->members[0]->name);
		for (int i = 0; i < def->n_arms; i++)
			print_arm(e, &def->arms[i]);
		emit(e, "}");
	}
	emit(e, "xdr_text_close(t);");
	e->indent--;
	emit(e, "}\n");
}
