/*
 * Attributes. A change is made on a copy of the inode, stored, and only then shown. The access time of reads is
 * kept beside the inode, for it changes under the shared lock, and is stored with the next change or by the way.
 */
#include <string.h>

#include "backends/cairn/cairn-snapshot.h"

#define INLINE_UNIT 512u /* in which inline data is counted as space */

void cairn_touch(struct cairn_inode *inode, bool data)
{
	inode->attr.ctime = vfs_now();
	if (data)
		inode->attr.mtime = inode->attr.ctime;
	inode->attr.change++;
}

/* As relatime of Linux: the first read after a change is stamped, the others cost nothing. */
void cairn_stamp_read(struct cairn_node *n)
{
	n = n->cached.node.base ? cairn_node(n->cached.node.base) : n;
	const struct op_attr *a = &n->inode.attr;
	uint64_t stamp = atomic_load_explicit(&n->read_time, memory_order_relaxed);
	struct op_time last = stamp ? op_time_unpack(stamp) : a->atime;
	if (vfs_node_read_only(&n->cached.node) || a->nlink == 0)
		return;
	if (op_time_cmp(last, a->mtime) > 0 && op_time_cmp(last, a->ctime) > 0)
		return;
	atomic_store_explicit(&n->read_time, op_time_pack(vfs_now()), memory_order_relaxed);
	cairn_queue(n);
}

struct cairn_inode cairn_inode_stored(const struct cairn_node *n)
{
	struct cairn_inode inode = n->inode;
	uint64_t stamp = atomic_load_explicit(&n->read_time, memory_order_relaxed);
	if (stamp)
		inode.attr.atime = op_time_unpack(stamp);
	return inode;
}

void cairn_inode_init(struct cairn *fs, uint64_t ino, const struct vfs_create *what, struct cairn_inode *inode)
{
	struct op_time now = vfs_now();
	const struct op_attr *a = what->attr;
	*inode = (struct cairn_inode){.epoch = fs->epoch, .next_cookie = 3, .parent = ino};
	inode->flags = what->acl ? CAIRN_HAS_ACL : 0;
	inode->verifier = a->mask & ATTR_VERIFIER ? what->verifier : 0;
	inode->attr = (struct op_attr){
		.type = what->type,
		.fileid = ino,
		.change = 1,
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.nlink = what->type == OP_TYPE_DIR ? 2 : 1,
		.size = what->target_size,
		.atime = a->mask & ATTR_ATIME ? a->atime : now,
		.mtime = a->mask & ATTR_MTIME ? a->mtime : now,
		.btime = a->mask & ATTR_BTIME ? a->btime : now,
		.ctime = now,
		.dos = a->mask & ATTR_DOS ? a->dos : 0,
		.rdev_major = a->mask & ATTR_RDEV ? a->rdev_major : 0,
		.rdev_minor = a->mask & ATTR_RDEV ? a->rdev_minor : 0,
		.project = a->mask & ATTR_PROJECT ? a->project : 0,
	};
}

int cairn_getattr(struct vfs_node *node, struct op_attr *attr)
{
	const struct cairn_node *n = cairn_node(node);
	uint64_t stamp = atomic_load_explicit(&n->read_time, memory_order_relaxed);
	*attr = n->inode.attr;
	if (stamp)
		attr->atime = op_time_unpack(stamp);
	attr->mask = ATTR_ALL & ~(uint64_t)ATTR_FSID;
	attr->space = (__atomic_load_n(&n->inode.n_blocks, __ATOMIC_RELAXED) + n->n_dirty) * CAIRN_BLOCK_SIZE;
	attr->space += ALIGN_UP((uint64_t)__atomic_load_n(&n->inode.inline_size, __ATOMIC_RELAXED), (uint64_t)INLINE_UNIT);
	if (unlikely(cairn_ino(n) == CAIRN_SNAPSHOT_DIR))
		cairn_snapshot_dir_attr(cairn_of(n), attr);
	return 0;
}

/* Without bytes in memory nothing has to be durable before the inode. owning: NULL, or what is stored with it. */
static int store_inode(struct cairn_node *n, struct cairn_owning *owning)
{
	struct cairn_inode inode = cairn_inode_stored(n);
	struct meta_txn txn;
	if (n->n_dirty)
		return cairn_flush(n, NULL);
	meta_begin(&txn);
	txn.frees = true;
	cairn_put_inode(&txn, cairn_ino(n), &inode);
	cairn_quota_put(&txn, n, &inode);
	if (owning)
		cairn_own_put(owning, &txn);
	int err = cairn_submit(n, &txn);
	if (!err) {
		n->changed = false;
		n->ids = cairn_ids(&inode);
	}
	return err;
}

static int change(struct cairn_node *n, const struct op_attr *set, struct cairn_owning *owning)
{
	bool sized = set->mask & ATTR_SIZE;
	struct cairn_inode before = cairn_inode_stored(n);
	cairn_touch(&n->inode, sized);
	op_attr_set(&n->inode.attr, set);
	if (set->mask & ATTR_ATIME)
		n->read_time = 0;
	/* Setting times is how a client ends an exclusive create: the verifier has served. */
	if (set->mask & (ATTR_ATIME | ATTR_MTIME))
		n->inode.verifier = 0;
	int err = sized ? cairn_resize(n, set->size) : store_inode(n, owning);
	if (err)
		n->inode = before;
	return err;
}

int cairn_setattr(struct vfs_node *node, const struct op_attr *wanted)
{
	struct cairn_node *n = cairn_node(node);
	bool cuts = (wanted->mask & ATTR_SIZE) && wanted->size <= n->inode.attr.size;
	bool given = wanted->mask & (ATTR_UID | ATTR_GID | ATTR_PROJECT);
	struct cairn_owning owning = {.n = 0};
	int err = cuts || given ? cairn_store_first(n) : 0;
	if (!err && given)
		err = cairn_own_begin(&owning, n, wanted);
	if (err)
		return err;
	err = change(n, wanted, given ? &owning : NULL);
	if (given)
		cairn_own_end(&owning, err);
	if (!err)
		cairn_touch_base(n, true);
	return err;
}

int cairn_readlink(struct vfs_node *node, char *target, uint32_t *size)
{
	struct cairn_node *n = cairn_node(node);
	struct meta_key key = meta_key_number(cairn_ino(n));
	*size = OP_PATH_MAX;
	int err = meta_get(cairn_of(n)->meta, META_INLINE, &key, target, size);
	if (!err)
		cairn_stamp_read(n);
	return err == ERR_NOENT ? ERR_IO : err;
}

int cairn_verifier(struct vfs_node *node, uint64_t *verifier)
{
	*verifier = cairn_node(node)->inode.verifier;
	return 0;
}
