/*
 * Limits of what an owner, a group or a project (the tree below a directory with that project number) may take of a
 * store, and what they have taken. Part of the ring's ABI.
 */
#ifndef OP_QUOTA_H
#define OP_QUOTA_H

#include "base/compiler.h"

enum op_quota_kind { QUOTA_USER, QUOTA_GROUP, QUOTA_PROJECT, QUOTA_N_KINDS };

#define QUOTA_GRACE_S (7 * 86400u) /* where none was set */

struct op_quota_limit {
	uint64_t used;  /* answered only */
	uint64_t soft;  /* may be exceeded for a while; 0: none */
	uint64_t hard;  /* never exceeded by an accepted change; 0: none */
	uint64_t grace; /* seconds that soft may be exceeded; 0: QUOTA_GRACE_S */
	int64_t until;  /* answered only: when, in seconds since 1970, soft becomes hard; 0: it is not exceeded */
};

struct op_quota {
	uint32_t kind; /* enum op_quota_kind */
	uint32_t id;
	struct op_quota_limit bytes;  /* of data, as allocated */
	struct op_quota_limit inodes;
};

#endif
