/*
 * Calls of NFSv3 on a live store. An input is a row of calls, each of: procedure (a byte), size of the arguments in words (a
 * byte), the arguments. The word f0 0d f0 0d in them stands for the handle of the export's root with its size.
 */
#include <stdlib.h>

#include "protocols/nfs/nfs3-xdr.h"
#include "protocols/rpc/rpc-xdr.h"
#include "tests/fuzz/nfs-rig.h"

#define CALLS_SIZE (256u << 10)
#define CALL_MAX 32768u /* one call, its handles filled in */
#define ROOT_HERE 0xf00df00du

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_root(struct xdr_out *x)
{
	const struct op_handle *root = rig_root();
	const struct GETATTR3args args = {.object = {root->bytes, root->size}};
	GETATTR3args_encode(x, &args);
}

static void put_args(struct xdr_out *x, const uint8_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t word = xdr_be32(words + 4 * i);
		if (word == ROOT_HERE)
			put_root(x);
		else
			xdr_put_u32(x, word);
	}
}

static void put_call(struct xdr_out *x, uint32_t proc, const uint8_t *words, size_t n)
{
	static const uint8_t sys[] = {0, 0, 0, 1, 0, 0, 0, 1, 'h', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	const struct rpc_call call = {
		.prog = NFS_PROGRAM, .vers = NFS_V3, .proc = proc, .cred = {.flavor = AUTH_SYS, .body = {sys, sizeof(sys)}}};
	uint8_t *mark = xdr_reserve(x, 4), *start = x->pos;
	rpc_msg_head_encode(x, &(struct rpc_msg_head){.xid = proc, .mtype = RPC_CALL});
	xdr_put_u32(x, RPC_VERS);
	rpc_call_encode(x, &call);
	put_args(x, words, n);
	if (!x->err)
		xdr_set32(mark, 0x80000000u | (uint32_t)(x->pos - start));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t calls[CALLS_SIZE];
	struct xdr_out x;
	xdr_out_init(&x, calls, sizeof(calls));
	while (size >= 2 && xdr_out_size(&x) + CALL_MAX < sizeof(calls)) {
		size_t n = data[1] < (size - 2) / 4 ? data[1] : (size - 2) / 4;
		put_call(&x, data[0], data + 2, n);
		data += 2 + 4 * n;
		size -= 2 + 4 * n;
	}
	rig_exchange(calls, xdr_out_size(&x));
	return 0;
}
