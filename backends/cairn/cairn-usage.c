/* The counters of what owners, groups and projects have: keys, and changes of them in the transactions that change it. */
#include "backends/cairn/cairn.h"

uint64_t cairn_usage_key(uint32_t kind, uint32_t id)
{
	return CAIRN_USAGE_FIRST | (uint64_t)kind << CAIRN_USAGE_KIND_SHIFT | id;
}

struct cairn_ids cairn_ids(const struct cairn_inode *inode)
{
	return (struct cairn_ids){{inode->attr.uid, inode->attr.gid, inode->attr.project}};
}

bool cairn_usage_counts(uint32_t kind, uint32_t id)
{
	return kind != QUOTA_PROJECT || id;
}

void cairn_usage_add(struct meta_txn *txn, uint32_t kind, uint32_t id, int64_t blocks, int64_t inodes)
{
	meta_add(txn, cairn_usage_key(kind, id), blocks * (int64_t)CAIRN_BLOCK_SIZE);
	meta_add(txn, cairn_usage_key(kind, id) | CAIRN_USAGE_INODES, inodes);
}

void cairn_quota_put_inode(struct meta_txn *txn, const struct cairn_inode *inode, int sign)
{
	struct cairn_ids ids = cairn_ids(inode);
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++)
		if (cairn_usage_counts(kind, ids.of[kind]))
			cairn_usage_add(txn, kind, ids.of[kind], sign * (int64_t)inode->n_blocks, sign);
	if (inode->flags & CAIRN_CUT)
		meta_add(txn, META_N_CUT, sign);
}
