/* NFSv3 and its companions have the sizes, numbers and bytes that their RFCs give. */
#include <criterion/criterion.h>

#include "protocols/nfs/mount-xdr.h"
#include "protocols/nfs/nfs3-xdr.h"
#include "protocols/rpc/rpc-xdr.h"
#include "protocols/rpc/rpcbind-xdr.h"

Test(nfs3_xdr, attributes_take_84_bytes_in_the_order_of_the_rfc)
{
	const struct fattr3 a = {.type = NF3DIR, .mode = 0755, .nlink = 3, .uid = 4, .gid = 5, .size = 6,
				 .used = 7, .rdev = {8, 9}, .fsid = 10, .fileid = 11, .atime = {12, 13},
				 .mtime = {14, 15}, .ctime = {16, 17}};
	uint8_t out[84];
	struct xdr_out x;
	xdr_out_init(&x, out, sizeof(out));
	fattr3_encode(&x, &a);
	cr_assert_eq(x.err, 0);
	cr_assert_eq(xdr_out_size(&x), 84);
	static const uint32_t words[] = {2, 0755, 3, 4, 5, 0, 6, 0, 7, 8, 9, 0, 10, 0, 11, 12, 13, 14, 15, 16, 17};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		cr_assert_eq(xdr_be32(out + 4 * i), words[i], "word %zu", i);
	cr_assert_eq(GETATTR3res_MAX_SIZE, 88);
}

Test(nfs3_xdr, every_procedure_is_in_the_table)
{
	cr_assert_eq(NFS_V3_table.n_procs, 22);
	for (uint32_t i = 0; i < 22; i++) {
		cr_assert_not_null(NFS_V3_table.procs[i].name);
		cr_assert_eq(i == 0, NFS_V3_table.procs[i].res.size == 0);
	}
	cr_assert_str_eq(NFS_V3_table.procs[21].name, "NFSPROC3_COMMIT");
	cr_assert_eq(MOUNT_V3_table.n_procs, 6);
	cr_assert_eq(MOUNT_V1_table.n_procs, 7);
	cr_assert_eq(PMAP_VERS_table.n_procs, 6);
	cr_assert_eq(RPCBVERS_table.n_procs, 9);
	cr_assert_eq(RPCBVERS4_table.n_procs, 12);
}

Test(nfs3_xdr, a_sparse_sattr_decodes)
{
	static const uint8_t wire[] = {
		0, 0, 0, 1, 0, 0, 1, 0xa4, /* mode 0644 */
		0, 0, 0, 0, 0, 0, 0, 0,    /* no uid, no gid */
		0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 8,
	};
	struct sattr3 v;
	struct xdr_in x;
	xdr_in_init(&x, wire, sizeof(wire));
	sattr3_decode(&x, &v);
	cr_assert_eq(x.err, 0);
	cr_assert_eq(x.pos, x.end);
	cr_assert(v.has_mode && v.mode == 0644 && !v.has_uid && !v.has_gid && v.has_size && v.size == 9);
	cr_assert_eq(v.atime.set_it, SET_TO_SERVER_TIME);
	cr_assert_eq(v.mtime.time.nseconds, 8);
}

Test(nfs3_xdr, results_of_every_procedure_fit_what_they_claim)
{
	uint8_t out[1024];
	struct xdr_out x;
	struct RENAME3res rename = {.status = NFS3ERR_XDEV};
	rename.fromdir_wcc.before.attributes_follow = rename.fromdir_wcc.after.attributes_follow = true;
	rename.todir_wcc = rename.fromdir_wcc;
	rename.fromdir_wcc.after.attributes.type = rename.todir_wcc.after.attributes.type = NF3DIR;
	xdr_out_init(&x, out, sizeof(out));
	RENAME3res_encode(&x, &rename);
	cr_assert_eq(xdr_out_size(&x), RENAME3res_MAX_SIZE);
}

Test(nfs3_xdr, an_authsys_credential_decodes)
{
	static const uint8_t wire[] = {0, 0, 0, 1, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 100,
				       0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6};
	uint8_t memory[256];
	struct arena arena;
	struct authsys_parms v;
	struct xdr_in x;
	arena_init(&arena, memory, sizeof(memory), sizeof(memory));
	xdr_in_init(&x, wire, sizeof(wire));
	x.arena = &arena;
	authsys_parms_decode(&x, &v);
	cr_assert_eq(x.err, 0);
	cr_assert_eq(v.uid, 1000);
	cr_assert_eq(v.gids.n_items, 2);
	cr_assert_eq(v.gids.items[1], 6);
}
