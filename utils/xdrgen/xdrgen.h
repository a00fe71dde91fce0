/*
 * xdrgen: reads a protocol in the XDR language (RFC 4506) with RPC programs (RFC 5531 section 12) and
 * writes the C structures, decoders, encoders, printers and procedure tables of protocols/rpc/xdr.h.
 *
 * Two words are ours. `bulk opaque data<N>` is a payload that is referenced and never copied;
 * `list T name` is the optional-data chain that the RFCs write with a self-referencing struct.
 * This program runs during the build only: it exits on the first error and frees nothing.
 */
#ifndef XDRGEN_H
#define XDRGEN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LIKE_PRINTF(f, a) __attribute__((format(printf, f, a)))

enum token_kind { TOK_END, TOK_NAME, TOK_NUMBER, TOK_PUNCT };

struct lexer {
	const char *file;
	const char *pos; /* of the text after the current token */
	int line;
	enum token_kind kind;
	char text[128]; /* the current token */
	uint64_t number;
};

void lexer_start(struct lexer *lx, const char *file, const char *text);
void lexer_next(struct lexer *lx);
_Noreturn void lexer_fail(const struct lexer *lx, const char *fmt, ...) LIKE_PRINTF(2, 3);

enum prim { PRIM_NONE, PRIM_INT, PRIM_UINT, PRIM_HYPER, PRIM_UHYPER, PRIM_BOOL };

enum decl_form {
	DECL_VOID,
	DECL_PLAIN,        /* prim, or def: an enum, struct or union */
	DECL_OPAQUE_FIXED, /* bound bytes */
	DECL_OPAQUE_VAR,   /* opaque or string, at most bound bytes */
	DECL_BULK,         /* a payload of at most bound bytes */
	DECL_ARRAY_FIXED,  /* bound times elem */
	DECL_ARRAY_VAR,    /* at most bound times elem */
	DECL_OPTIONAL,     /* a bool, then elem if true */
	DECL_LIST,         /* elem, each behind a true, ended by a false */
};

struct decl {
	enum decl_form form;
	enum prim prim;
	struct def *def;
	struct decl *elem;
	uint64_t bound;
	const char *name;
};

/* One arm of a union: several labels may share a declaration. */
struct arm {
	const char **labels; /* NULL: the default arm */
	int n_labels;
	struct decl *decl;
};

enum def_kind { DEF_CONST, DEF_ENUM, DEF_TYPEDEF, DEF_STRUCT, DEF_UNION, DEF_PROGRAM };

struct enumerator {
	const char *name;
	int64_t value;
};

struct proc {
	const char *name;
	uint64_t number;
	struct decl *res, *args;
};

struct version {
	const char *name;
	uint64_t number;
	struct proc *procs;
	int n_procs;
};

struct def {
	enum def_kind kind;
	const char *name;
	uint64_t value; /* constant, or program number */
	bool in_list;   /* gets a next member */
	struct enumerator *values;
	int n_values;
	struct decl **members; /* struct; the aliased declaration of a typedef; the discriminant of a union */
	int n_members;
	struct arm *arms;
	int n_arms;
	struct version *versions;
	int n_versions;
	struct def *next;
};

struct spec {
	struct def *first, **last;
};

struct def *spec_find(const struct spec *spec, const char *name);
void spec_parse(struct spec *spec, const char *file, const char *text);

/* size_min(), size_max() - encoded bytes; a payload's own bytes don't count. SIZE_NONE: no bound. */
#define SIZE_NONE UINT64_MAX
uint64_t size_min(const struct decl *d);
uint64_t size_max(const struct decl *d);
uint64_t size_def_max(const struct def *def);

/* ctype() - the C type of one value of d, in static storage. */
const char *ctype(const struct decl *d);

/* label() - a case label in C: TRUE and FALSE are keywords there. */
const char *label(const char *text);

struct emitter {
	FILE *out;
	int indent;
};

void emit(struct emitter *e, const char *fmt, ...) LIKE_PRINTF(2, 3);
void emit_header(struct emitter *e, const struct spec *spec, const char *stem);
void emit_source(struct emitter *e, const struct spec *spec, const char *header);
void emit_codec(struct emitter *e, const struct def *def, bool decode);
void emit_printer(struct emitter *e, const struct def *def);
void emit_programs(struct emitter *e, const struct spec *spec);

void *alloc(size_t size);
char *format(const char *fmt, ...) LIKE_PRINTF(1, 2);
_Noreturn void fail(const char *fmt, ...) LIKE_PRINTF(1, 2);

#endif
