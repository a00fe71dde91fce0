/* Attributes lie ready to be copied; the access time of reads is kept beside them, for it changes under a shared lock. */
#include <string.h>

#include "backends/memfs/memfs.h"

#define NSEC_BITS 30

static uint64_t pack_time(struct op_time t)
{
	return (uint64_t)t.sec << NSEC_BITS | t.nsec;
}

static struct op_time unpack_time(uint64_t v)
{
	return (struct op_time){(int64_t)(v >> NSEC_BITS), (uint32_t)(v & ((1u << NSEC_BITS) - 1)), 0};
}

void memfs_touch(struct memfs_node *n, bool data)
{
	n->attr.ctime = vfs_now();
	if (data)
		n->attr.mtime = n->attr.ctime;
	n->attr.change++;
}

/* As relatime of Linux: the first read after a change is stamped, the others cost nothing. */
void memfs_stamp_read(struct memfs_node *n)
{
	uint64_t stamp = atomic_load_explicit(&n->read_time, memory_order_relaxed);
	struct op_time last = stamp ? unpack_time(stamp) : n->attr.atime;
	if (op_time_cmp(last, n->attr.mtime) <= 0 || op_time_cmp(last, n->attr.ctime) <= 0)
		atomic_store_explicit(&n->read_time, pack_time(vfs_now()), memory_order_relaxed);
}

int memfs_getattr(struct vfs_node *node, struct op_attr *attr)
{
	const struct memfs_node *n = memfs_node_of(node);
	uint64_t stamp = atomic_load_explicit(&n->read_time, memory_order_relaxed);
	*attr = n->attr;
	if (stamp)
		attr->atime = unpack_time(stamp);
	return 0;
}

static void set_fields(struct memfs_node *n, const struct op_attr *set)
{
	struct op_attr *a = &n->attr;
	if (set->mask & ATTR_MODE)
		a->mode = set->mode & 07777;
	if (set->mask & ATTR_UID)
		a->uid = set->uid;
	if (set->mask & ATTR_GID)
		a->gid = set->gid;
	if (set->mask & ATTR_ATIME) {
		a->atime = set->atime;
		n->read_time = 0;
	}
	if (set->mask & ATTR_MTIME)
		a->mtime = set->mtime;
	if (set->mask & ATTR_BTIME)
		a->btime = set->btime;
	if (set->mask & ATTR_DOS)
		a->dos = set->dos;
}

int memfs_setattr(struct vfs_node *node, const struct op_attr *set)
{
	struct memfs_node *n = memfs_node_of(node);
	int err = set->mask & ATTR_SIZE ? memfs_resize(n, set->size) : 0;
	if (err)
		return err;
	memfs_touch(n, set->mask & ATTR_SIZE);
	set_fields(n, set);
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
