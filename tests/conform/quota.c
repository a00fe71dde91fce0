/* Quotas. */
#include "tests/conform/conform.h"



CASE_NEEDS(quota_is_roots, HAS_OPS | HAS_USERS, "limits are set by root alone; others may ask of themselves only")
{
	struct op_quota q = {.kind = QUOTA_USER, .id = BOB.uid};

	as(t, &BOB);
	FAILS_EITHER(ERR_PERM, ERR_NOTSUPP, fs_set_quota(t, &t->dir, &q));
	q.id = ALICE.uid;
	FAILS_EITHER(ERR_PERM, ERR_NOTSUPP, fs_get_quota(t, &t->dir, &q, 0));
}
