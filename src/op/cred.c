/* Group membership. The list is short and unsorted: a scan beats anything clever. */
#include "op/cred.h"

bool op_cred_in_group(const struct op_cred *cred, uint32_t gid)
{
	uint32_t n = MIN(cred->n_groups, OP_CRED_GROUPS);
	if (cred->gid == gid)
		return true;
	for (uint32_t i = 0; i < n; i++)
		if (cred->groups[i] == gid)
			return true;
	return false;
}
