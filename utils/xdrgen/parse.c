/*
 * Recursive descent over RFC 4506 section 6.3 and RFC 5531 section 12.2. Typedefs are resolved here,
 * so that what follows sees primitive types, enums, structs and unions only.
 */
#include <stdlib.h>
#include <string.h>

#include "utils/xdrgen/xdrgen.h"

struct parser {
	struct lexer lx;
	struct spec *spec;
};

static struct decl *parse_decl(struct parser *p);

static bool at(struct parser *p, const char *text)
{
	return p->lx.kind != TOK_END && strcmp(p->lx.text, text) == 0;
}

static bool accept(struct parser *p, const char *text)
{
	if (!at(p, text))
		return false;
	lexer_next(&p->lx);
	return true;
}

static void expect(struct parser *p, const char *text)
{
	if (!accept(p, text))
		lexer_fail(&p->lx, "'%s' expected", text);
}

static const char *take_name(struct parser *p)
{
	if (p->lx.kind != TOK_NAME)
		lexer_fail(&p->lx, "name expected");
	const char *name = format("%s", p->lx.text);
	lexer_next(&p->lx);
	return name;
}

/* The value of a constant or an enumerator; false when there is none of that name. */
static bool find_value(const struct spec *spec, const char *name, uint64_t *value)
{
	for (const struct def *d = spec->first; d; d = d->next) {
		if (d->kind == DEF_CONST && strcmp(d->name, name) == 0) {
			*value = d->value;
			return true;
		}
		for (int i = 0; i < d->n_values; i++) {
			if (strcmp(d->values[i].name, name) == 0) {
				*value = (uint64_t)d->values[i].value;
				return true;
			}
		}
	}
	return false;
}

static uint64_t take_value(struct parser *p)
{
	uint64_t value = p->lx.number;
	if (p->lx.kind == TOK_NAME && !find_value(p->spec, p->lx.text, &value))
		lexer_fail(&p->lx, "no such constant");
	if (p->lx.kind != TOK_NAME && p->lx.kind != TOK_NUMBER)
		lexer_fail(&p->lx, "value expected");
	lexer_next(&p->lx);
	return value;
}

struct def *spec_find(const struct spec *spec, const char *name)
{
	for (struct def *d = spec->first; d; d = d->next)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

static struct def *add_def(struct parser *p, enum def_kind kind, const char *name)
{
	if (spec_find(p->spec, name))
		lexer_fail(&p->lx, "%s is defined twice", name);
	struct def *d = alloc(sizeof(*d));
	d->kind = kind;
	d->name = name;
	*p->spec->last = d;
	p->spec->last = &d->next;
	return d;
}

static struct decl *new_decl(enum decl_form form)
{
	struct decl *d = alloc(sizeof(*d));
	d->form = form;
	return d;
}

static enum prim take_prim(struct parser *p)
{
	if (accept(p, "unsigned")) {
		if (accept(p, "hyper"))
			return PRIM_UHYPER;
		accept(p, "int");
		return PRIM_UINT;
	}
	if (accept(p, "int"))
		return PRIM_INT;
	if (accept(p, "hyper"))
		return PRIM_HYPER;
	return accept(p, "bool") ? PRIM_BOOL : PRIM_NONE;
}

/* A type specifier as a nameless declaration: a primitive type, a definition, or what a typedef stands for. */
static struct decl *take_type(struct parser *p)
{
	struct decl *d = new_decl(DECL_PLAIN);
	d->prim = take_prim(p);
	if (d->prim != PRIM_NONE)
		return d;
	if (!accept(p, "struct") && !accept(p, "enum"))
		accept(p, "union");
	struct def *def = spec_find(p->spec, p->lx.text);
	if (!def || def->kind == DEF_CONST || def->kind == DEF_PROGRAM)
		lexer_fail(&p->lx, "no such type");
	lexer_next(&p->lx);
	if (def->kind == DEF_TYPEDEF)
		*d = *def->members[0];
	else
		d->def = def;
	return d;
}

/* [N], <N>, <> after a name. */
static enum decl_form take_bound(struct parser *p, uint64_t *bound)
{
	if (accept(p, "[")) {
		*bound = take_value(p);
		expect(p, "]");
		return DECL_ARRAY_FIXED;
	}
	if (!accept(p, "<"))
		return DECL_PLAIN;
	*bound = UINT32_MAX;
	if (!at(p, ">"))
		*bound = take_value(p);
	expect(p, ">");
	return DECL_ARRAY_VAR;
}

static struct decl *parse_bytes(struct parser *p, bool bulk)
{
	struct decl *d = new_decl(DECL_OPAQUE_VAR);
	if (!accept(p, "string"))
		expect(p, "opaque");
	d->name = take_name(p);
	enum decl_form form = take_bound(p, &d->bound);
	if (form == DECL_PLAIN)
		lexer_fail(&p->lx, "size expected");
	if (bulk)
		d->form = DECL_BULK;
	else if (form == DECL_ARRAY_FIXED)
		d->form = DECL_OPAQUE_FIXED;
	return d;
}

static struct decl *wrap(enum decl_form form, struct decl *elem, const char *name)
{
	struct decl *d = new_decl(form);
	d->elem = elem;
	d->name = name;
	return d;
}

static struct decl *parse_list(struct parser *p)
{
	struct decl *elem = take_type(p);
	if (!elem->def || elem->def->kind != DEF_STRUCT)
		lexer_fail(&p->lx, "a list is made of structs");
	elem->def->in_list = true;
	return wrap(DECL_LIST, elem, take_name(p));
}

static struct decl *parse_decl(struct parser *p)
{
	if (accept(p, "void"))
		return new_decl(DECL_VOID);
	if (accept(p, "bulk"))
		return parse_bytes(p, true);
	if (accept(p, "list"))
		return parse_list(p);
	if (at(p, "opaque") || at(p, "string"))
		return parse_bytes(p, false);
	struct decl *type = take_type(p);
	if (accept(p, "*"))
		return wrap(DECL_OPTIONAL, type, take_name(p));
	const char *name = take_name(p);
	uint64_t bound = 0;
	enum decl_form form = take_bound(p, &bound);
	if (form == DECL_PLAIN) {
		type->name = name;
		return type;
	}
	struct decl *d = wrap(form, type, name);
	d->bound = bound;
	return d;
}

#define APPEND(array, n, value)                                                                    \
	do {                                                                                       \
		(array) = realloc((array), (size_t)((n) + 1) * sizeof(*(array)));                  \
		if (!(array))                                                                      \
			fail("out of memory");                                                     \
		(array)[(n)++] = (value);                                                          \
	} while (0)

static void parse_enum(struct parser *p)
{
	struct def *def = add_def(p, DEF_ENUM, take_name(p));
	expect(p, "{");
	do {
		struct enumerator v = {.name = take_name(p)};
		expect(p, "=");
		v.value = (int64_t)take_value(p);
		APPEND(def->values, def->n_values, v);
	} while (accept(p, ","));
	expect(p, "}");
}

static void parse_struct(struct parser *p)
{
	struct def *def = add_def(p, DEF_STRUCT, take_name(p));
	expect(p, "{");
	while (!accept(p, "}")) {
		APPEND(def->members, def->n_members, parse_decl(p));
		expect(p, ";");
	}
}

static struct arm parse_arm(struct parser *p)
{
	struct arm arm = {0};
	if (accept(p, "default")) {
		expect(p, ":");
	} else {
		while (accept(p, "case")) {
			APPEND(arm.labels, arm.n_labels, format("%s", p->lx.text));
			lexer_next(&p->lx);
			expect(p, ":");
		}
		if (arm.n_labels == 0)
			lexer_fail(&p->lx, "'case' expected");
	}
	arm.decl = parse_decl(p);
	expect(p, ";");
	return arm;
}

static void parse_union(struct parser *p)
{
	struct def *def = add_def(p, DEF_UNION, take_name(p));
	expect(p, "switch");
	expect(p, "(");
	APPEND(def->members, def->n_members, parse_decl(p));
	expect(p, ")");
	expect(p, "{");
	while (!accept(p, "}"))
		APPEND(def->arms, def->n_arms, parse_arm(p));
}

static void parse_typedef(struct parser *p)
{
	struct decl *d = parse_decl(p);
	struct def *def = add_def(p, DEF_TYPEDEF, d->name);
	APPEND(def->members, def->n_members, d);
}

static struct decl *take_proc_type(struct parser *p)
{
	return accept(p, "void") ? new_decl(DECL_VOID) : take_type(p);
}

static struct proc parse_proc(struct parser *p)
{
	struct proc proc = {.res = take_proc_type(p)};
	proc.name = take_name(p);
	expect(p, "(");
	proc.args = take_proc_type(p);
	expect(p, ")");
	expect(p, "=");
	proc.number = take_value(p);
	expect(p, ";");
	return proc;
}

static struct version parse_version(struct parser *p)
{
	expect(p, "version");
	struct version v = {.name = take_name(p)};
	expect(p, "{");
	while (!accept(p, "}"))
		APPEND(v.procs, v.n_procs, parse_proc(p));
	expect(p, "=");
	v.number = take_value(p);
	expect(p, ";");
	return v;
}

static void parse_program(struct parser *p)
{
	struct def *def = add_def(p, DEF_PROGRAM, take_name(p));
	expect(p, "{");
	while (!accept(p, "}"))
		APPEND(def->versions, def->n_versions, parse_version(p));
	expect(p, "=");
	def->value = take_value(p);
}

static void parse_const(struct parser *p)
{
	const char *name = take_name(p);
	expect(p, "=");
	uint64_t value = take_value(p);
	add_def(p, DEF_CONST, name)->value = value;
}

static const struct {
	const char *word;
	void (*parse)(struct parser *p);
} definitions[] = {
	{"const", parse_const},   {"enum", parse_enum},       {"struct", parse_struct},
	{"union", parse_union},   {"typedef", parse_typedef}, {"program", parse_program},
};

static void parse_definition(struct parser *p)
{
	for (size_t i = 0; i < sizeof(definitions) / sizeof(definitions[0]); i++) {
		if (accept(p, definitions[i].word)) {
			definitions[i].parse(p);
			expect(p, ";");
			return;
		}
	}
	lexer_fail(&p->lx, "definition expected");
}

void spec_parse(struct spec *spec, const char *file, const char *text)
{
	struct parser p = {.spec = spec};
	spec->last = &spec->first;
	lexer_start(&p.lx, file, text);
	while (p.lx.kind != TOK_END)
		parse_definition(&p);
}
