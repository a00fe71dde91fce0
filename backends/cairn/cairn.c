/* The store: mounting with its options, statistics, unmounting, and the table of what cairn can do. */
#include "backends/cairn/cairn-snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/cairn/backend.h"
#include "backends/cairn/cairn-cut.h"
#include "backends/cairn/cairn-scrub.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

LOG_MODULE("cairn");

#define CACHE_DEFAULT (64ULL << 20)
#define WARM_DEFAULT (8ULL << 30)
#define CACHE_MIN (1ULL << 20)
#define IDLE_NODES_DEFAULT 65536u
#define IDLE_NODES_MIN 64u
#define IDLE_NODES_MAX (1u << 28)
#define META_HOST_RESERVE (16ULL << 20)
#define STATFS_WAIT_NS (200 * NS_PER_MS)

static const struct backend_option options[] = {
	{"path", "path", NULL, "the store's directory"},
	{"create", "bool", "no", "make the store if there is none"},
	{"capacity", "size", "0", "with create: bytes of file data at most; 0: as much as the host has"},
	{"tables", "size", "1T", "with create: bytes of names and attributes at most"},
	{"journal", "size", "0", "with create: bytes of the journal; 0: as fits the capacity, 128M at most"},
	{"cache", "size", "256M", "unstable writes kept in memory at most"},
	{"inodes", "number", "65536", "inodes kept in memory that nobody uses"},
	{"warm", "size", "8G", "bytes of names and attributes read into memory after the start at most, and half the memory"},
	{"snapshot", "text", "", "mount this snapshot; the mount must be read-only"},
	{"snapshot_dir", "text", ".snapshot", "name of the directory of snapshots in the root, which listings don't show; no: there is none"},
	{NULL},
};

struct mount_options {
	const char *path;
	bool create;
	struct cairn_store_options store;
	uint64_t cache;
	uint64_t warm;
	uint64_t n_inodes;
	const char *snapshot;
	const char *snapshot_dir;
};

static int say(char **why, int err, const char *what, const char *detail)
{
	if (asprintf(why, "%s%s%s", what, detail ? ": " : "", detail ? detail : "") < 0)
		*why = NULL;
	return err;
}

static int parse_option(struct mount_options *mo, const struct vfs_option *o)
{
	if (strcmp(o->key, "path") == 0)
		mo->path = o->value;
	else if (strcmp(o->key, "create") == 0)
		return str_parse_bool(o->value, &mo->create);
	else if (strcmp(o->key, "capacity") == 0)
		return str_parse_size(o->value, &mo->store.capacity);
	else if (strcmp(o->key, "tables") == 0)
		return str_parse_size(o->value, &mo->store.meta_size);
	else if (strcmp(o->key, "journal") == 0)
		return str_parse_size(o->value, &mo->store.journal_size);
	else if (strcmp(o->key, "cache") == 0)
		return str_parse_size(o->value, &mo->cache);
	else if (strcmp(o->key, "warm") == 0)
		return str_parse_size(o->value, &mo->warm);
	else if (strcmp(o->key, "snapshot") == 0)
		mo->snapshot = o->value;
	else if (strcmp(o->key, "snapshot_dir") == 0)
		mo->snapshot_dir = o->value;
	else
		return str_parse_u64(o->value, IDLE_NODES_MIN, IDLE_NODES_MAX, &mo->n_inodes);
	return 0;
}

static int parse_options(struct mount_options *mo, const struct vfs_option *o, char **why)
{
	*mo = (struct mount_options){.cache = CACHE_DEFAULT, .warm = WARM_DEFAULT, .n_inodes = IDLE_NODES_DEFAULT, .snapshot = "", .snapshot_dir = ".snapshot"};
	for (; o->key; o++) {
		int err = parse_option(mo, o);
		if (err)
			return say(why, ERR_INVAL, "not a valid value of option", o->key);
	}
	mo->cache = MAX(mo->cache, CACHE_MIN);
	if (strcmp(mo->snapshot_dir, "no") == 0)
		mo->snapshot_dir = "";
	bool bad = strchr(mo->snapshot_dir, '/') || strlen(mo->snapshot_dir) > OP_NAME_MAX;
	return bad ? say(why, ERR_INVAL, "not a valid value of option", "snapshot_dir") : 0;
}

/* ---- opening */

static void close_lock(struct cairn *fs)
{
	if (fs->dir_fd >= 0)
		close(TAKE_FD(fs->dir_fd));
	if (fs->lock_fd >= 0)
		close(TAKE_FD(fs->lock_fd));
}

static int open_super(struct cairn *fs, const struct mount_options *mo, char **why)
{
	int err = cairn_store_lock(mo->path, &fs->dir_fd, &fs->lock_fd, why);
	if (!err)
		err = cairn_super_read(fs->dir_fd, &fs->super, why);
	if (err)
		close_lock(fs);
	return err;
}

static int open_or_create(struct cairn *fs, const struct mount_options *mo, char **why)
{
	int err = open_super(fs, mo, why);
	if (err != ERR_NOENT)
		return err;
	free(TAKE(*why));
	if (!mo->create)
		return say(why, err, mo->path, "there is no store; make one with mkfs.cairn(8), or with option create=yes");
	err = cairn_store_create(mo->path, &mo->store, why);
	return err ? err : open_super(fs, mo, why);
}

static int check_features(const struct cairn *fs, char **why)
{
	const struct cairn_super *s = &fs->super;
	if (s->incompat & ~CAIRN_INCOMPAT_KNOWN)
		return say(why, ERR_NOTSUPP, "the store has features that this version does not know", NULL);
	if (CAIRN_INCOMPAT_MADE & ~s->incompat)
		return say(why, ERR_NOTSUPP, "the store was made before a feature that this version relies on", NULL);
	if ((s->ro_compat & ~CAIRN_RO_COMPAT_KNOWN) && !fs->mount->read_only)
		return say(why, ERR_NOTSUPP, "the store has features with which this version can only read it", NULL);
	return 0;
}

static int open_data(void *arg)
{
	struct cairn *fs = arg;
	fs->data_fd = openat(fs->dir_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fs->data_fd < 0 ? err_from_errno(errno) : 0;
}

static uint64_t half_the_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 2 : 0;
}

static int open_meta(struct cairn *fs, const struct mount_options *mo)
{
	CLEANUP_FREE char *dir = NULL;
	struct meta_config cfg = {
		.size_max = fs->super.meta_size, .reserve = META_HOST_RESERVE, .read_only = fs->mount->read_only,
		.warm_max = MIN(mo->warm, half_the_memory())};
	if (asprintf(&dir, "%s/meta", mo->path) < 0)
		return ERR_NOMEM;
	cfg.dir = dir;
	return meta_open(&fs->meta, &cfg);
}

static int make_root(struct cairn *fs)
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = 0755};
	struct vfs_create what = {.type = OP_TYPE_DIR, .attr = &attr};
	struct cairn_inode root;
	struct meta_txn txn;
	fs->epoch = 1;
	cairn_inode_init(fs, CAIRN_ROOT_INODE, &what, &root);
	meta_begin(&txn);
	cairn_put_inode(&txn, CAIRN_ROOT_INODE, &root);
	cairn_quota_put_inode(&txn, &root, 1);
	meta_set(&txn, META_N_INODES, 1);
	meta_set(&txn, META_NEXT_INODE, CAIRN_ROOT_INODE + 1);
	meta_set(&txn, META_EPOCH, 1);
	meta_set(&txn, META_CLEAN, 0);
	fs->n_inodes = 1;
	fs->next_inode = fs->inode_limit = CAIRN_ROOT_INODE + 1;
	return meta_commit(fs->meta, &txn);
}

/* An epoch is a run of starts of which only the last ended by force. */
static int begin_epoch(struct cairn *fs, bool clean)
{
	struct meta_txn txn;
	fs->epoch += !clean;
	if (fs->mount->read_only)
		return 0;
	meta_begin(&txn);
	txn.frees = true;
	meta_set(&txn, META_EPOCH, fs->epoch);
	meta_set(&txn, META_CLEAN, 0);
	return meta_commit(fs->meta, &txn);
}

static int read_counters(struct cairn *fs)
{
	static const uint64_t keys[] = {META_NEXT_INODE, META_N_INODES, META_N_BLOCKS, META_EPOCH, META_CLEAN};
	int64_t v[ARRAY_SIZE(keys)];
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int err = meta_counter(fs->meta, keys[i], &v[i]);
		if (err)
			return err;
	}
	if (v[0] == 0)
		return fs->mount->read_only ? ERR_ROFS : make_root(fs);
	fs->next_inode = fs->inode_limit = (uint64_t)v[0];
	fs->n_inodes = (uint64_t)v[1];
	fs->n_blocks = (uint64_t)v[2];
	fs->epoch = (uint32_t)v[3];
	return begin_epoch(fs, v[4] != 0);
}

/* A snapshot's root instead of the store's. */
static int mount_snapshot(struct cairn *fs, const char *text)
{
	struct vfs_name name = {text, (uint32_t)strlen(text)};
	struct vfs_node *root;
	if (!fs->mount->read_only)
		return ERR_ROFS;
	int err = cairn_snapshot_named(fs, &name, &root);
	if (err)
		return err;
	vfs_node_put(fs->mount->root);
	fs->mount->root = root;
	return 0;
}

static int load_store(struct cairn *fs, const struct mount_options *mo)
{
	int err = loop_block(open_data, fs);
	if (!err)
		err = open_meta(fs, mo);
	if (!err)
		err = read_counters(fs);
	if (!err)
		err = cairn_quota_load(fs);
	if (!err)
		err = cairn_segments_init(fs);
	if (!err)
		err = cairn_snapshots_find(fs);
	if (!err)
		err = cairn_rollback_resume(fs);
	if (!err)
		err = cairn_node_of_ino(fs, CAIRN_ROOT_INODE, &fs->mount->root);
	if (!err && !fs->mount->read_only)
		err = cairn_reclaim_find(fs);
	if (!err && !fs->mount->read_only)
		err = cairn_cuts_find(fs);
	if (!err && !fs->mount->read_only)
		err = cairn_work_start(fs);
	return err ? err : cairn_scrub_open(fs);
}

/* ---- the structure */

static void store_free(struct cairn *fs)
{
	cairn_cuts_forget(fs);
	cairn_snapshots_fini(fs);
	cairn_purge_fini(fs);
	node_cache_fini(&fs->nodes);
	block_drop_store(fs->cache, fs->cache_store);
	cairn_reclaim_forget(fs);
	cairn_segments_fini(fs);
	cairn_ranges_fini(&fs->spare);
	quota_fini(&fs->quotas);
	if (fs->meta)
		meta_close(fs->meta);
	if (fs->data_fd >= 0)
		close(fs->data_fd);
	close_lock(fs);
	for (size_t i = 0; i < NODE_CACHE_SHARDS; i++)
		pthread_mutex_destroy(&fs->load_locks[i]);
	pthread_mutex_destroy(&fs->snapshots_lock);
	free(fs);
}

static struct cairn *store_new(struct vfs_mount *m, const struct mount_options *mo)
{
	struct cairn *fs = aligned_alloc(CACHE_LINE, ALIGN_UP(sizeof(*fs), (size_t)CACHE_LINE));
	if (!fs)
		return NULL;
	memset(fs, 0, sizeof(*fs));
	fs->base = fs;
	fs->mount = m;
	fs->cache = m->cache;
	fs->cache_store = block_cache_store(m->cache);
	fs->dir_fd = fs->lock_fd = fs->data_fd = -1;
	fs->dirty_max = mo->cache / CAIRN_BLOCK_SIZE;
	fs->untrimmed = true;
	list_init(&fs->dirty);
	quota_init(&fs->quotas);
	list_init(&fs->snapshots);
	pthread_mutex_init(&fs->snapshots_lock, NULL);
	str_copy(fs->snapshot_dir, sizeof(fs->snapshot_dir), mo->snapshot_dir);
	node_cache_init(&fs->nodes, (uint32_t)mo->n_inodes, cairn_node_destroy);
	for (size_t i = 0; i < NODE_CACHE_SHARDS; i++)
		pthread_mutex_init(&fs->load_locks[i], NULL);
	return fs;
}

static int mount_store(struct vfs_mount *m, const struct vfs_option *opt, char **why)
{
	struct mount_options mo;
	int err = parse_options(&mo, opt, why);
	struct cairn *fs = err ? NULL : store_new(m, &mo);
	if (!fs)
		return err ? err : ERR_NOMEM;
	m->store = fs;
	err = open_or_create(fs, &mo, why);
	if (!err)
		err = check_features(fs, why);
	if (!err) {
		cairn_set_capacity(fs, fs->super.capacity);
		memcpy(&fs->instance, fs->super.uuid, sizeof(fs->instance));
		err = load_store(fs, &mo);
		if (err)
			say(why, err, mo.path, err_text(err));
		else if (*mo.snapshot && (err = mount_snapshot(fs, mo.snapshot)))
			say(why, err, err == ERR_ROFS ? "a snapshot can be mounted only read-only" : "there is no snapshot", mo.snapshot);
	}
	if (err) {
		cairn_work_stop(fs);
		if (m->root)
			vfs_node_put(TAKE(m->root));
		store_free(fs);
		return err;
	}
	log_info("%s: %llu inodes, %llu blocks of data", mo.path, (unsigned long long)fs->n_inodes,
	         (unsigned long long)fs->n_blocks);
	return 0;
}

static void unmount_store(struct vfs_mount *m)
{
	struct cairn *fs = m->store;
	cairn_scrub_close(fs);
	fiber_join_wait(&fs->readers_ahead);
	/* It works in a store that has become read-only too. */
	cairn_work_stop(fs);
	if (!m->read_only) {
		struct meta_txn txn;
		int err = cairn_flush_all(fs);
		meta_begin(&txn);
		txn.frees = true;
		meta_set(&txn, META_CLEAN, !err);
		meta_set(&txn, META_NEXT_INODE, (int64_t)fs->next_inode);
		if (meta_commit(fs->meta, &txn) || err)
			log_error("%s: not everything could be written", m->name);
	}
	store_free(fs);
}

static int sync_store(struct vfs_mount *m)
{
	struct cairn *fs = m->store;
	int err = m->read_only ? 0 : cairn_flush_all(fs);
	return err || m->read_only ? err : meta_wait(fs->meta, meta_last(fs->meta));
}

static int statfs_store(struct vfs_mount *m, struct op_statfs *st)
{
	struct cairn *fs = m->store;
	/* What was removed just now counts as free. */
	cairn_make_room(fs, STATFS_WAIT_NS);
	*st = (struct op_statfs){
		.max_file_size = INT64_MAX,
		.name_max = OP_NAME_MAX,
		.link_max = UINT32_MAX >> 1,
		.time_delta_ns = 1,
	};
	cairn_room(fs, st);
	return 0;
}

const struct backend_ops cairn_backend = {
	.abi = VFS_BACKEND_ABI,
	.caps = VFS_CAP_PERSISTENT | VFS_CAP_ADOPT | VFS_CAP_SPARSE | VFS_CAP_XATTR | VFS_CAP_GATHER | VFS_CAP_ACL | VFS_CAP_QUOTA,
	.name = "cairn",
	.summary = "a store of its own in a directory: transactional, checksummed, copy-on-write",
	.options = options,
	.mount = mount_store,
	.unmount = unmount_store,
	.statfs = statfs_store,
	.sync = sync_store,
	.snapshot_create = cairn_snapshot_create,
	.snapshot_list = cairn_snapshot_list,
	.snapshot_remove = cairn_snapshot_remove,
	.snapshot_rollback = cairn_snapshot_rollback,
	.settle = cairn_settle,
	.stats = cairn_stats,
	.scrub = cairn_scrub,
	.scrub_state = cairn_scrub_state,
	.grow = cairn_grow,
	.node_handle = cairn_node_handle,
	.node_get = cairn_node_get,
	.node_release = cairn_node_release,
	.getattr = cairn_getattr,
	.setattr = cairn_setattr,
	.readlink = cairn_readlink,
	.lookup = cairn_lookup,
	.parent = cairn_parent,
	.readdir = cairn_readdir,
	.create = cairn_create,
	.create_unlinked = cairn_create_unlinked,
	.verifier = cairn_verifier,
	.link = cairn_link,
	.remove = cairn_remove,
	.rename = cairn_rename,
	.read = cairn_read,
	.write = cairn_write,
	.commit = cairn_commit,
	.allocate = cairn_allocate,
	.deallocate = cairn_deallocate,
	.zero = cairn_zero,
	.seek = cairn_seek,
	.clone = cairn_clone,
	.get_xattr = cairn_get_xattr,
	.set_xattr = cairn_set_xattr,
	.list_xattr = cairn_list_xattr,
	.remove_xattr = cairn_remove_xattr,
	.find_stream = cairn_find_stream,
	.create_stream = cairn_create_stream,
	.list_streams = cairn_list_streams,
	.remove_stream = cairn_remove_stream,
	.rename_stream = cairn_rename_stream,
	.set_acl = cairn_set_acl,
	.get_quota = cairn_get_quota,
	.set_quota = cairn_set_quota,
	.lookup_folded = cairn_lookup_folded,
	.readdir_from = cairn_readdir_from,
};
