/* Procedure tables: what dispatch and traces need to know of each procedure, by number. */
#include <inttypes.h>

#include "utils/xdrgen/xdrgen.h"

static bool is_void(const struct decl *d)
{
	return d->form == DECL_VOID;
}

/* A bare typedef or scalar as arguments gets no struct of its own: the specs wrap such in a struct. */
static const char *struct_of(const struct proc *proc, const struct decl *d)
{
	if (d->form != DECL_PLAIN || !d->def || d->def->kind == DEF_ENUM)
		fail("%s: arguments and results must be structs or unions", proc->name);
	return d->def->name;
}

static void emit_thunks(struct emitter *e, const struct proc *proc, const struct decl *d, const char *what)
{
	if (is_void(d))
		return;
	const char *def = struct_of(proc, d);
	emit(e, "static void %s_%s_decode(struct xdr_in *x, void *v)\n{\n\t%s_decode(x, v);\n}\n", proc->name, what, def);
	emit(e, "static void %s_%s_encode(struct xdr_out *x, const void *v)\n{\n\t%s_encode(x, v);\n}\n", proc->name,
	     what, def);
	emit(e, "static void %s_%s_print(struct xdr_text *t, const void *v)\n{\n\t%s_print(t, \"%s\", v);\n}\n",
	     proc->name, what, def, what);
}

static void emit_type(struct emitter *e, const struct proc *proc, const struct decl *d, const char *what)
{
	if (is_void(d))
		return;
	emit(e, "\t.%s = {sizeof(struct %s), %s_%s_decode, %s_%s_encode, %s_%s_print},", what, struct_of(proc, d),
	     proc->name, what, proc->name, what, proc->name, what);
}

static void emit_version(struct emitter *e, const struct def *program, const struct version *v)
{
	uint64_t n = 0;
	for (int i = 0; i < v->n_procs; i++) {
		emit_thunks(e, &v->procs[i], v->procs[i].args, "args");
		emit_thunks(e, &v->procs[i], v->procs[i].res, "res");
		n = v->procs[i].number >= n ? v->procs[i].number + 1 : n;
	}
	emit(e, "static const struct xdr_proc %s_procs[%" PRIu64 "] = {", v->name, n);
	e->indent++;
	for (int i = 0; i < v->n_procs; i++) {
		emit(e, "[%" PRIu64 "] = {", v->procs[i].number);
		emit(e, "\t.name = \"%s\",", v->procs[i].name);
		emit_type(e, &v->procs[i], v->procs[i].args, "args");
		emit_type(e, &v->procs[i], v->procs[i].res, "res");
		emit(e, "},");
	}
	e->indent--;
	emit(e, "};\n");
	emit(e, "const struct xdr_version %s_table = {\"%s\", %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %s_procs};\n",
	     v->name, program->name, program->value, v->number, n, v->name);
}

void emit_programs(struct emitter *e, const struct spec *spec)
{
	for (const struct def *d = spec->first; d; d = d->next)
		for (int i = 0; i < d->n_versions; i++)
			emit_version(e, d, &d->versions[i]);
}
