/* The header (constants, types, prototypes) and the frame of the source file. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "utils/xdrgen/xdrgen.h"

static void blank(struct emitter *e)
{
	fputc('\n', e->out);
}

static void emit_member(struct emitter *e, const struct decl *d)
{
	switch (d->form) {
	case DECL_VOID:
		return;
	case DECL_OPAQUE_FIXED:
		emit(e, "uint8_t %s[%" PRIu64 "];", d->name, d->bound);
		return;
	case DECL_ARRAY_FIXED:
		emit(e, "%s %s[%" PRIu64 "];", ctype(d->elem), d->name, d->bound);
		return;
	case DECL_ARRAY_VAR:
		emit(e, "struct {");
		emit(e, "\t%s *items;", ctype(d->elem));
		emit(e, "\tuint32_t n_items;");
		emit(e, "} %s;", d->name);
		return;
	case DECL_OPTIONAL:
		emit(e, "bool has_%s;", d->name);
		emit(e, "%s %s;", ctype(d->elem), d->name);
		return;
	case DECL_LIST:
		emit(e, "%s *%s;", ctype(d->elem), d->name);
		return;
	default:
		emit(e, "%s %s;", ctype(d), d->name);
	}
}

static void emit_arms(struct emitter *e, const struct def *def)
{
	if (def->kind != DEF_UNION)
		return;
	emit(e, "union {");
	e->indent++;
	for (int i = 0; i < def->n_arms; i++)
		emit_member(e, def->arms[i].decl);
	e->indent--;
	emit(e, "};");
}

static void emit_enum(struct emitter *e, const struct def *def)
{
	emit(e, "enum %s {", def->name);
	for (int i = 0; i < def->n_values; i++)
		emit(e, "\t%s = %" PRId64 ",", def->values[i].name, def->values[i].value);
	emit(e, "};");
	blank(e);
	emit(e, "bool %s_valid(uint32_t value);", def->name);
	emit(e, "const char *%s_name(uint32_t value);", def->name);
	blank(e);
}

static void emit_struct(struct emitter *e, const struct def *def)
{
	emit(e, "struct %s {", def->name);
	e->indent++;
	for (int i = 0; i < def->n_members; i++)
		emit_member(e, def->members[i]);
	emit_arms(e, def);
	if (def->in_list)
		emit(e, "struct %s *next;", def->name);
	e->indent--;
	emit(e, "};");
	blank(e);
	if (size_def_max(def) != SIZE_NONE)
		emit(e, "#define %s_MAX_SIZE %" PRIu64, def->name, size_def_max(def));
	emit(e, "void %s_decode(struct xdr_in *x, struct %s *v);", def->name, def->name);
	emit(e, "void %s_encode(struct xdr_out *x, const struct %s *v);", def->name, def->name);
	emit(e, "void %s_print(struct xdr_text *t, const char *name, const struct %s *v);", def->name, def->name);
	blank(e);
}

static void emit_version(struct emitter *e, const struct version *v)
{
	emit(e, "#define %s %" PRIu64, v->name, v->number);
	for (int i = 0; i < v->n_procs; i++)
		emit(e, "#define %s %" PRIu64, v->procs[i].name, v->procs[i].number);
	emit(e, "extern const struct xdr_version %s_table;", v->name);
	blank(e);
}

static void emit_definition(struct emitter *e, const struct def *def)
{
	if (def->kind == DEF_CONST)
		emit(e, "#define %s %" PRIu64, def->name, def->value);
	if (def->kind == DEF_ENUM)
		emit_enum(e, def);
	if (def->kind == DEF_STRUCT || def->kind == DEF_UNION)
		emit_struct(e, def);
	if (def->kind == DEF_PROGRAM) {
		emit(e, "#define %s %" PRIu64, def->name, def->value);
		for (int i = 0; i < def->n_versions; i++)
			emit_version(e, &def->versions[i]);
	}
}

static char *guard_of(const char *stem)
{
	char *guard = format("XDRGEN_%s", stem);
	for (char *c = guard; *c; c++)
		*c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
	return guard;
}

void emit_header(struct emitter *e, const struct spec *spec, const char *stem)
{
	const char *guard = guard_of(stem);
	emit(e, "/* Written by xdrgen. */");
	emit(e, "#ifndef %s\n#define %s\n", guard, guard);
	emit(e, "#include \"protocols/rpc/xdr.h\"\n");
	for (const struct def *d = spec->first; d; d = d->next)
		emit_definition(e, d);
	emit(e, "#endif");
}

static void emit_enum_functions(struct emitter *e, const struct def *def)
{
	emit(e, "const char *%s_name(uint32_t value)\n{\n\tswitch ((int32_t)value) {", def->name);
	for (int i = 0; i < def->n_values; i++)
		emit(e, "\tcase %s:\n\t\treturn \"%s\";", def->values[i].name, def->values[i].name);
	emit(e, "\tdefault:\n\t\treturn \"?\";\n\t}\n}\n");
	emit(e, "bool %s_valid(uint32_t value)\n{\n\tswitch ((int32_t)value) {", def->name);
	for (int i = 0; i < def->n_values; i++)
		emit(e, "\tcase %s:", def->values[i].name);
	emit(e, "\t\treturn true;\n\tdefault:\n\t\treturn false;\n\t}\n}\n");
}

void emit_source(struct emitter *e, const struct spec *spec, const char *header)
{
	emit(e, "/* Written by xdrgen. */");
	emit(e, "#include \"%s\"\n", header);
	for (const struct def *d = spec->first; d; d = d->next) {
		if (d->kind == DEF_ENUM)
			emit_enum_functions(e, d);
		if (d->kind != DEF_STRUCT && d->kind != DEF_UNION)
			continue;
		emit_codec(e, d, true);
		emit_codec(e, d, false);
		emit_printer(e, d);
	}
	emit_programs(e, spec);
}
