/* What a declaration is in C, and how many bytes it takes on the wire (RFC 4506 sections 4.1 to 4.19). */
#include "utils/xdrgen/xdrgen.h"

static const char *prim_ctypes[] = {
	[PRIM_INT] = "int32_t",    [PRIM_UINT] = "uint32_t", [PRIM_HYPER] = "int64_t",
	[PRIM_UHYPER] = "uint64_t", [PRIM_BOOL] = "bool",
};

const char *ctype(const struct decl *d)
{
	if (d->form == DECL_OPAQUE_VAR)
		return "struct xdr_bytes";
	if (d->form == DECL_BULK)
		return "struct xdr_bulk";
	if (d->form != DECL_PLAIN)
		fail("%s: a name for this type is needed first", d->name ? d->name : "element");
	if (d->prim != PRIM_NONE)
		return prim_ctypes[d->prim];
	return format("%s %s", d->def->kind == DEF_ENUM ? "enum" : "struct", d->def->name);
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a == SIZE_NONE || b == SIZE_NONE ? SIZE_NONE : a + b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t pad(uint64_t size)
{
	return (size + 3) & ~(uint64_t)3;
}

static uint64_t size_def_min(const struct def *def)
{
	uint64_t sum = 0, least = SIZE_NONE;
	if (def->kind == DEF_ENUM)
		return 4;
	for (int i = 0; i < def->n_members; i++)
		sum += size_min(def->members[i]);
	for (int i = 0; i < def->n_arms; i++)
		least = smaller(least, size_min(def->arms[i].decl));
	return def->kind == DEF_UNION ? sum + least : sum;
}

uint64_t size_def_max(const struct def *def)
{
	uint64_t sum = 0, most = 0;
	if (def->kind == DEF_ENUM)
		return 4;
	for (int i = 0; i < def->n_members; i++)
		sum = add(sum, size_max(def->members[i]));
	for (int i = 0; i < def->n_arms; i++)
		most = larger(most, size_max(def->arms[i].decl));
	return add(sum, most);
}

static uint64_t size_plain(const struct decl *d)
{
	return d->prim == PRIM_HYPER || d->prim == PRIM_UHYPER ? 8 : 4;
}

uint64_t size_min(const struct decl *d)
{
	switch (d->form) {
	case DECL_VOID:
		return 0;
	case DECL_PLAIN:
		return d->def ? size_def_min(d->def) : size_plain(d);
	case DECL_OPAQUE_FIXED:
		return pad(d->bound);
	case DECL_ARRAY_FIXED:
		return d->bound * size_min(d->elem);
	default:
		return 4;
	}
}

uint64_t size_max(const struct decl *d)
{
	switch (d->form) {
	case DECL_VOID:
		return 0;
	case DECL_PLAIN:
		return d->def ? size_def_max(d->def) : size_plain(d);
	case DECL_OPAQUE_FIXED:
		return pad(d->bound);
	case DECL_OPAQUE_VAR:
		return d->bound == UINT32_MAX ? SIZE_NONE : 4 + pad(d->bound);
	case DECL_BULK:
		return 8;
	case DECL_ARRAY_FIXED:
		return size_max(d->elem) == SIZE_NONE ? SIZE_NONE : d->bound * size_max(d->elem);
	case DECL_OPTIONAL:
		return add(4, size_max(d->elem));
	default:
		return SIZE_NONE;
	}
}
