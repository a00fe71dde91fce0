/* What everyone who stores attributes does with them. */
#include "op/attr.h"

#define NSEC_BITS 30

void op_attr_set(struct op_attr *a, const struct op_attr *set)
{
	if (set->mask & ATTR_MODE)
		a->mode = set->mode & 07777;
	if (set->mask & ATTR_UID)
		a->uid = set->uid;
	if (set->mask & ATTR_GID)
		a->gid = set->gid;
	if (set->mask & ATTR_ATIME)
		a->atime = set->atime;
	if (set->mask & ATTR_MTIME)
		a->mtime = set->mtime;
	if (set->mask & ATTR_BTIME)
		a->btime = set->btime;
	if (set->mask & ATTR_DOS)
		a->dos = set->dos;
	if (set->mask & ATTR_PROJECT)
		a->project = set->project;
}

uint64_t op_time_pack(struct op_time t)
{
	return (uint64_t)t.sec << NSEC_BITS | t.nsec;
}

struct op_time op_time_unpack(uint64_t packed)
{
	return (struct op_time){(int64_t)packed >> NSEC_BITS, (uint32_t)(packed & ((1u << NSEC_BITS) - 1)), 0};
}
