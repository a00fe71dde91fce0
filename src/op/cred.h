/* Who asks: numeric identity as the access check uses it. Part of the ring's ABI. */
#ifndef OP_CRED_H
#define OP_CRED_H

#include "base/compiler.h"

#define OP_CRED_GROUPS 32

enum op_origin { OP_ORIGIN_LOCAL, OP_ORIGIN_NFS, OP_ORIGIN_SMB, OP_ORIGIN_S3, OP_ORIGIN_FUSE };

struct op_cred {
	uint32_t uid;
	uint32_t gid;
	uint16_t n_groups; /* supplementary groups that follow, at most OP_CRED_GROUPS */
	uint16_t origin;   /* enum op_origin */
	uint32_t groups[OP_CRED_GROUPS];
};

/* op_cred_in_group() - primary or supplementary. */
bool op_cred_in_group(const struct op_cred *cred, uint32_t gid);

#endif
