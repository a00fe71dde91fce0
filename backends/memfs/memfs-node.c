/*
 * The table of nodes. A node's memory belongs to its slot for the life of the store, so a handle is found without
 * any lock: go to the slot, take a reference unless it has none, then see whether it is still the node that
 * was meant. A name is a reference; so a node with no reference is one that can go.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backends/memfs/memfs.h"

#define SLOT_MASK ((1u << MEMFS_SLOT_BITS) - 1)

static __thread uint32_t my_shard;
static _Atomic uint32_t n_threads;

static struct memfs_shard *shard_of_thread(struct memfs *fs)
{
	if (unlikely(my_shard == 0))
		my_shard = 1 + atomic_fetch_add(&n_threads, 1) % MEMFS_N_SHARDS;
	return &fs->shards[my_shard - 1];
}

int memfs_table_init(struct memfs *fs)
{
	/* Each shard may strand a slab of free slots that the others can't see. */
	uint64_t n = fs->n_nodes_max / MEMFS_SLAB_NODES + MEMFS_N_SHARDS + 2;
	fs->n_slabs_max = (uint32_t)MIN(n, (uint64_t)(SLOT_MASK / MEMFS_SLAB_NODES));
	fs->slabs = mmap(NULL, fs->n_slabs_max * sizeof(*fs->slabs), PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fs->slabs == MAP_FAILED)
		fs->slabs = NULL;
	return fs->slabs ? 0 : ERR_NOMEM;
}

static void drop_content(struct memfs_node *n)
{
	if (n->node.type == OP_TYPE_FILE)
		memfs_drop_data(n);
	else if (n->node.type == OP_TYPE_DIR)
		memfs_dir_fini(&n->dir);
	else if (n->node.type == OP_TYPE_SYMLINK)
		free(TAKE(n->target));
	memfs_drop_xattrs(n);
	memfs_forget_streams(n);
}

void memfs_table_fini(struct memfs *fs)
{
	if (!fs->slabs)
		return;
	for (uint32_t i = 0; i < fs->n_slabs; i++) {
		for (uint32_t j = 0; j < MEMFS_SLAB_NODES; j++)
			if (fs->slabs[i][j].node.n_refs)
				drop_content(&fs->slabs[i][j]);
		free(fs->slabs[i]);
	}
	munmap(fs->slabs, fs->n_slabs_max * sizeof(*fs->slabs));
}

static struct memfs_node *take_free(struct memfs_shard *s)
{
	spin_lock(&s->lock);
	struct memfs_node *n = s->free;
	if (n)
		s->free = n->next_free;
	spin_unlock(&s->lock);
	return n;
}

static void put_free(struct memfs_shard *s, struct memfs_node *first, struct memfs_node *last)
{
	spin_lock(&s->lock);
	last->next_free = s->free;
	s->free = first;
	spin_unlock(&s->lock);
}

/* A new slab: one node is returned, the others are free. */
static struct memfs_node *add_slab(struct memfs *fs)
{
	size_t size = MEMFS_SLAB_NODES * sizeof(struct memfs_node);
	struct memfs_node *slab = aligned_alloc(CACHE_LINE, ALIGN_UP(size, (size_t)CACHE_LINE));
	if (!slab)
		return NULL;
	memset(slab, 0, size);
	spin_lock(&fs->grow_lock);
	uint32_t index = fs->n_slabs;
	bool room = index < fs->n_slabs_max;
	for (uint32_t i = 0; room && i < MEMFS_SLAB_NODES; i++) {
		slab[i].slot = index * MEMFS_SLAB_NODES + i + 1;
		slab[i].next_free = i + 1 < MEMFS_SLAB_NODES ? &slab[i + 1] : NULL;
	}
	if (room) {
		fs->slabs[index] = slab;
		__atomic_store_n(&fs->n_slabs, index + 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&fs->grow_lock);
	if (!room) {
		free(slab);
		return NULL;
	}
	put_free(shard_of_thread(fs), &slab[1], &slab[MEMFS_SLAB_NODES - 1]);
	return &slab[0];
}

static struct memfs_node *take_slot(struct memfs *fs)
{
	struct memfs_node *n = take_free(shard_of_thread(fs));
	if (!n)
		n = add_slab(fs);
	for (uint32_t i = 0; !n && i < MEMFS_N_SHARDS; i++)
		n = take_free(&fs->shards[i]);
	return n;
}

static void fill_attr(struct memfs_node *n, const struct vfs_create *what)
{
	struct op_time now = vfs_now();
	const struct op_attr *a = what->attr;
	n->attr = (struct op_attr){
		.mask = ATTR_ALL & ~(uint64_t)ATTR_FSID,
		.type = what->type,
		.fileid = n->node.fileid,
		.change = 1,
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.nlink = 0,
		.size = what->target_size,
		.atime = a->mask & ATTR_ATIME ? a->atime : now,
		.mtime = a->mask & ATTR_MTIME ? a->mtime : now,
		.btime = a->mask & ATTR_BTIME ? a->btime : now,
		.ctime = now,
		.dos = a->mask & ATTR_DOS ? a->dos : 0,
		.project = a->mask & ATTR_PROJECT ? a->project : 0,
		.rdev_major = a->mask & ATTR_RDEV ? a->rdev_major : 0,
		.rdev_minor = a->mask & ATTR_RDEV ? a->rdev_minor : 0,
	};
	n->read_time = 0;
	n->verifier = a->mask & ATTR_VERIFIER ? what->verifier : 0;
	n->xattrs = NULL;
	n->xattr_size = 0;
	n->streams = NULL;
	n->n_streams = 0;
	n->linkable = false;
}

static int fill_target(struct memfs_node *n, const struct vfs_create *what)
{
	if (what->type != OP_TYPE_SYMLINK)
		return 0;
	n->target = malloc(what->target_size + 1);
	if (!n->target)
		return ERR_NOMEM;
	memcpy(n->target, what->target, what->target_size);
	n->target[what->target_size] = '\0';
	return 0;
}

static void free_slot(struct memfs *fs, struct memfs_node *n)
{
	n->node.fileid = 0;
	put_free(shard_of_thread(fs), n, n);
	atomic_fetch_sub_explicit(&fs->n_nodes, 1, memory_order_relaxed);
}

static int fill(struct memfs *fs, struct memfs_node *n, const struct vfs_create *what, const struct memfs_node *near)
{
	struct op_attr attr = *what->attr;
	attr.project = attr.mask & ATTR_PROJECT ? attr.project : 0;
	int err = quota_owner(&fs->quotas, &attr, near ? &near->owner : NULL, &n->owner);
	if (!err)
		err = quota_charge(&fs->quotas, &n->owner, 0, 1);
	if (err)
		return err;
	err = fill_target(n, what);
	if (err)
		quota_adjust(&fs->quotas, &n->owner, 0, -1);
	return err;
}

int memfs_node_new(struct memfs *fs, const struct vfs_create *what, const struct memfs_node *near, struct memfs_node **node)
{
	if (atomic_fetch_add_explicit(&fs->n_nodes, 1, memory_order_relaxed) >= fs->n_nodes_max) {
		atomic_fetch_sub_explicit(&fs->n_nodes, 1, memory_order_relaxed);
		return ERR_NOSPC;
	}
	struct memfs_node *n = take_slot(fs);
	if (!n) {
		atomic_fetch_sub_explicit(&fs->n_nodes, 1, memory_order_relaxed);
		return ERR_NOSPC;
	}
	memset(&n->map, 0, sizeof(n->map));
	n->target = NULL;
	int err = fill(fs, n, what, near);
	if (err) {
		free_slot(fs, n);
		return err;
	}
	uint64_t fileid = n->uses++ << MEMFS_SLOT_BITS | n->slot;
	vfs_node_init(&n->node, fs->mount, what->type, fileid);
	fill_attr(n, what);
	err = what->acl ? memfs_take_acl(n, what->acl) : 0;
	if (err) {
		vfs_node_put(&n->node);
		return err;
	}
	*node = n;
	return 0;
}

void memfs_node_release(struct vfs_node *node)
{
	struct memfs_node *n = memfs_node_of(node);
	struct vfs_node *base = n->node.base;
	drop_content(n);
	quota_adjust(&memfs_of(n)->quotas, &n->owner, 0, -1);
	free_slot(memfs_of(n), n);
	if (base)
		vfs_node_put(base);
}

uint32_t memfs_node_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX])
{
	const struct memfs *fs = node->mount->store;
	memcpy(bytes, &node->fileid, sizeof(node->fileid));
	memcpy(bytes + sizeof(node->fileid), &fs->instance, sizeof(fs->instance));
	return sizeof(node->fileid) + sizeof(fs->instance);
}

static bool ref_unless_free(struct vfs_node *node)
{
	uint32_t refs = atomic_load_explicit(&node->n_refs, memory_order_relaxed);
	while (refs)
		if (atomic_compare_exchange_weak_explicit(&node->n_refs, &refs, refs + 1, memory_order_acquire,
		                                          memory_order_relaxed))
			return true;
	return false;
}

int memfs_node_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node)
{
	const struct memfs *fs = m->store;
	uint64_t fileid, instance;
	if (size != sizeof(fileid) + sizeof(instance))
		return ERR_BADHANDLE;
	memcpy(&fileid, bytes, sizeof(fileid));
	memcpy(&instance, bytes + sizeof(fileid), sizeof(instance));
	uint32_t slot = (uint32_t)(fileid & SLOT_MASK) - 1;
	if (instance != fs->instance)
		return ERR_STALE;
	if (slot >= __atomic_load_n(&fs->n_slabs, __ATOMIC_ACQUIRE) * MEMFS_SLAB_NODES)
		return ERR_BADHANDLE;
	struct vfs_node *n = &fs->slabs[slot / MEMFS_SLAB_NODES][slot % MEMFS_SLAB_NODES].node;
	if (!ref_unless_free(n))
		return ERR_STALE;
	if (unlikely(n->fileid != fileid)) {
		vfs_node_put(n);
		return ERR_STALE;
	}
	*node = n;
	return 0;
}
