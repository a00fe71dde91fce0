/*
 * Generated decoders: what decodes must encode, to bytes that decode to the same bytes again, and print. The first
 * two bytes choose the program and the procedure, and whether arguments or results are decoded.
 */
#include <stdlib.h>

#include "protocols/nfs/mount-xdr.h"
#include "protocols/nfs/nfs3-xdr.h"
#include "protocols/rpc/rpcbind-xdr.h"

#define OUT_SIZE (2u << 20)
#define STRUCT_SIZE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct xdr_version *const tables[] = {
	&NFS_V3_table, &MOUNT_V3_table, &MOUNT_V1_table, &PMAP_VERS_table, &RPCBVERS_table, &RPCBVERS4_table,
};

static bool decode(const struct xdr_type *type, const void *data, size_t size, struct arena *arena, void *v)
{
	struct xdr_in x;
	xdr_in_init(&x, data, size);
	x.arena = arena;
	type->decode(&x, v);
	return x.err == 0;
}

/* The encoded bytes in out; payloads, which are referenced only, are left away. */
static size_t encode(const struct xdr_type *type, const void *v, uint8_t *out)
{
	struct xdr_out x;
	xdr_out_init(&x, out, OUT_SIZE);
	type->encode(&x, v);
	if (x.err)
		abort();
	return x.n_splices ? 0 : xdr_out_size(&x);
}

static void print(const struct xdr_type *type, const void *v)
{
	char line[300];
	struct xdr_text text;
	xdr_text_init(&text, line, sizeof(line));
	type->print(&text, v);
}

static void check(const struct xdr_type *type, const uint8_t *data, size_t size)
{
	static uint8_t first[OUT_SIZE], second[OUT_SIZE];
	_Alignas(16) uint8_t v[STRUCT_SIZE], again[STRUCT_SIZE];
	struct arena arena;
	arena_init(&arena, NULL, 0, 4 << 20);
	if (decode(type, data, size, &arena, v)) {
		print(type, v);
		size_t n = encode(type, v, first);
		if (n && (!decode(type, first, n, &arena, again) || encode(type, again, second) != n ||
			  memcmp(first, second, n) != 0))
			abort();
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct xdr_version *table = tables[data[0] % ARRAY_SIZE(tables)];
	const struct xdr_proc *proc = &table->procs[(data[1] & 0x7f) % table->n_procs];
	const struct xdr_type *type = data[1] & 0x80 ? &proc->res : &proc->args;
	if (type->size > STRUCT_SIZE)
		abort();
	if (type->size)
		check(type, data + 2, size - 2);
	return 0;
}
