/* The store: mounting with its options, the budget, and the table of what memfs can do. */
#include "backends/memfs/memfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/memfs/backend.h"
#include "base/str.h"

#define CAPACITY_DEFAULT (4ULL << 30)
#define NODES_MIN 64u
#define BYTES_PER_NODE 4096u /* of the capacity, for the default number of inodes */

int memfs_charge(struct memfs *fs, uint64_t n)
{
	if (atomic_fetch_add_explicit(&fs->n_granules, n, memory_order_relaxed) + n <= fs->n_granules_max)
		return 0;
	memfs_refund(fs, n);
	return ERR_NOSPC;
}

void memfs_refund(struct memfs *fs, uint64_t n)
{
	atomic_fetch_sub_explicit(&fs->n_granules, n, memory_order_relaxed);
}

static void parse_options(struct memfs *fs, const struct vfs_option *options)
{
	uint64_t capacity = CAPACITY_DEFAULT, n_nodes = 0, max_nodes = 1ULL << MEMFS_SLOT_BITS;
	for (const struct vfs_option *o = options; o->key; o++) {
		if (strcmp(o->key, "capacity") == 0)
			str_parse_size(o->value, &capacity);
		else
			str_parse_u64(o->value, 0, UINT64_MAX, &n_nodes);
	}
	fs->n_granules_max = capacity / MEMFS_GRANULE;
	if (n_nodes == 0)
		n_nodes = MAX(capacity / BYTES_PER_NODE, (uint64_t)NODES_MIN);
	fs->n_nodes_max = MIN(n_nodes, max_nodes);
}

static int make_root(struct memfs *fs)
{
	struct op_time now = vfs_now();
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = 0755, .atime = now, .mtime = now};
	struct vfs_create what = {.type = OP_TYPE_DIR, .attr = &attr};
	struct memfs_node *root;
	int err = memfs_node_new(fs, &what, NULL, &root);
	if (err)
		return err;
	memfs_dir_init(root, root);
	root->attr.nlink = 2;
	fs->mount->root = vfs_node_get(&root->node);
	return 0;
}

static void memfs_free(struct memfs *fs)
{
	memfs_table_fini(fs);
	quota_fini(&fs->quotas);
	free(fs);
}

static int memfs_mount(struct vfs_mount *m, const struct vfs_option *options, char **why)
{
	struct memfs *fs = aligned_alloc(CACHE_LINE, ALIGN_UP(sizeof(*fs), (size_t)CACHE_LINE));
	if (!fs)
		return ERR_NOMEM;
	memset(fs, 0, sizeof(*fs));
	fs->mount = m;
	m->store = fs;
	quota_init(&fs->quotas);
	loop_random(&fs->instance, sizeof(fs->instance));
	loop_random(fs->name_key, sizeof(fs->name_key));
	parse_options(fs, options);
	int err = memfs_table_init(fs);
	if (!err)
		err = make_root(fs);
	if (err)
		memfs_free(fs);
	return err;
}

static int run_free(void *arg)
{
	memfs_free(arg);
	return 0;
}

/* Millions of nodes take a while to free. */
static void memfs_unmount(struct vfs_mount *m)
{
	loop_block(run_free, m->store);
}

static int memfs_statfs(struct vfs_mount *m, struct op_statfs *st)
{
	struct memfs *fs = m->store;
	uint64_t used = fs->n_granules, nodes = fs->n_nodes;
	*st = (struct op_statfs){
		.total_bytes = fs->n_granules_max * MEMFS_GRANULE,
		.free_bytes = (fs->n_granules_max - MIN(used, fs->n_granules_max)) * MEMFS_GRANULE,
		.total_files = fs->n_nodes_max,
		.free_files = fs->n_nodes_max - MIN(nodes, fs->n_nodes_max),
		.max_file_size = INT64_MAX,
		.name_max = OP_NAME_MAX,
		.link_max = UINT32_MAX >> 1,
		.time_delta_ns = 1,
	};
	st->avail_bytes = st->free_bytes;
	st->avail_files = st->free_files;
	return 0;
}

/* The number of inodes stays: it is that of a table. */
static int memfs_grow(struct vfs_mount *m, uint64_t capacity)
{
	struct memfs *fs = m->store;
	if (capacity / MEMFS_GRANULE < fs->n_granules)
		return ERR_RANGE;
	__atomic_store_n(&fs->n_granules_max, capacity / MEMFS_GRANULE, __ATOMIC_RELAXED);
	return 0;
}

static void memfs_stats(struct vfs_mount *m, backend_stat_fn *emit, void *arg)
{
	struct memfs *fs = m->store;
	emit(arg, "capacity_bytes", fs->n_granules_max * MEMFS_GRANULE);
	emit(arg, "used_bytes", fs->n_granules * MEMFS_GRANULE);
	emit(arg, "inodes", fs->n_nodes);
	emit(arg, "inodes_max", fs->n_nodes_max);
}

static int memfs_get_quota(struct vfs_mount *m, struct op_quota *q, bool next)
{
	return quota_get(&((struct memfs *)m->store)->quotas, q, next);
}

static int memfs_set_quota(struct vfs_mount *m, const struct op_quota *q)
{
	return quota_set(&((struct memfs *)m->store)->quotas, q);
}

static const struct backend_option memfs_options[] = {
	{"capacity", "size", "4G", "bytes of data at most"},
	{"inodes", "number", "0", "files and directories at most; 0: one for each 4 KiB of capacity"},
	{NULL, NULL, NULL, NULL},
};

const struct backend_ops memfs_backend = {
	.abi = VFS_BACKEND_ABI,
	.caps = VFS_CAP_ADOPT | VFS_CAP_SPARSE | VFS_CAP_XATTR | VFS_CAP_ACL | VFS_CAP_QUOTA,
	.name = "memfs",
	.summary = "files in memory, gone after a restart",
	.options = memfs_options,
	.mount = memfs_mount,
	.unmount = memfs_unmount,
	.statfs = memfs_statfs,
	.stats = memfs_stats,
	.grow = memfs_grow,
	.node_handle = memfs_node_handle,
	.node_get = memfs_node_get,
	.node_release = memfs_node_release,
	.getattr = memfs_getattr,
	.setattr = memfs_setattr,
	.readlink = memfs_readlink,
	.lookup = memfs_lookup,
	.parent = memfs_parent,
	.readdir = memfs_readdir,
	.create = memfs_create,
	.create_unlinked = memfs_create_unlinked,
	.verifier = memfs_verifier,
	.link = memfs_link,
	.remove = memfs_remove,
	.rename = memfs_rename,
	.read = memfs_read,
	.write = memfs_write,
	.allocate = memfs_allocate,
	.deallocate = memfs_deallocate,
	.zero = memfs_zero,
	.seek = memfs_seek,
	.clone = memfs_clone,
	.get_xattr = memfs_get_xattr,
	.set_xattr = memfs_set_xattr,
	.list_xattr = memfs_list_xattr,
	.remove_xattr = memfs_remove_xattr,
	.find_stream = memfs_find_stream,
	.create_stream = memfs_create_stream,
	.list_streams = memfs_list_streams,
	.remove_stream = memfs_remove_stream,
	.rename_stream = memfs_rename_stream,
	.set_acl = memfs_set_acl,
	.get_quota = memfs_get_quota,
	.set_quota = memfs_set_quota,
};
