/* Attributes lie ready to be copied; the access time of reads is kept beside them, for it changes under a shared lock. */
#include <string.h>

#include "backends/memfs/memfs.h"

/* Whose times are shown: a stream's are its base's. */
static struct memfs_node *owner_of(struct memfs_node *n)
{
	return n->node.base ? memfs_node_of(n->node.base) : n;
}

void memfs_touch(struct memfs_node *n, bool data)
{
	n = owner_of(n);
	n->attr.ctime = vfs_now();
	if (data)
		n->attr.mtime = n->attr.ctime;
	n->attr.change++;
}

/* As relatime of Linux: the first read after a change is stamped, the others cost nothing. */
void memfs_stamp_read(struct memfs_node *n)
{
	n = owner_of(n);
	uint64_t stamp = atomic_load_explicit(&n->read_time, memory_order_relaxed);
	struct op_time last = stamp ? op_time_unpack(stamp) : n->attr.atime;
	if (op_time_cmp(last, n->attr.mtime) <= 0 || op_time_cmp(last, n->attr.ctime) <= 0)
		atomic_store_explicit(&n->read_time, op_time_pack(vfs_now()), memory_order_relaxed);
}

int memfs_getattr(struct vfs_node *node, struct op_attr *attr)
{
	const struct memfs_node *n = memfs_node_of(node);
	uint64_t stamp = atomic_load_explicit(&n->read_time, memory_order_relaxed);
	*attr = n->attr;
	if (stamp)
		attr->atime = op_time_unpack(stamp);
	return 0;
}

/* What the node and its streams have counts for another from now on, if that one may have it. */
static int change_owner(struct memfs_node *n, const struct op_attr *set)
{
	struct quota_table *t = &memfs_of(n)->quotas;
	struct op_attr attr = n->attr;
	struct quota_owner now;
	op_attr_set(&attr, set);
	int err = quota_owner(t, &attr, &n->owner, &now);
	if (!err)
		err = quota_move(t, &n->owner, &now, (int64_t)(n->attr.space + memfs_streams_space(n)), 1 + (int64_t)n->n_streams);
	if (err)
		return err;
	n->owner = now;
	memfs_own_streams(n);
	return 0;
}

int memfs_setattr(struct vfs_node *node, const struct op_attr *set)
{
	struct memfs_node *n = memfs_node_of(node);
	int err = set->mask & (ATTR_UID | ATTR_GID | ATTR_PROJECT) ? change_owner(n, set) : 0;
	if (!err && (set->mask & ATTR_SIZE))
		err = memfs_resize(n, set->size);
	if (err)
		return err;
	memfs_touch(n, set->mask & ATTR_SIZE);
	op_attr_set(&n->attr, set);
	if (set->mask & ATTR_ATIME)
		n->read_time = 0;
	/* Setting times is how a client ends an exclusive create: the verifier has served. */
	if (set->mask & (ATTR_ATIME | ATTR_MTIME))
		n->verifier = 0;
	return 0;
}

int memfs_readlink(struct vfs_node *node, char *target, uint32_t *size)
{
	struct memfs_node *n = memfs_node_of(node);
	*size = (uint32_t)n->attr.size;
	memcpy(target, n->target, *size);
	memfs_stamp_read(n);
	return 0;
}

int memfs_verifier(struct vfs_node *node, uint64_t *verifier)
{
	*verifier = memfs_node_of(node)->verifier;
	return 0;
}
