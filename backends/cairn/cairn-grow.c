/* The store's numbers, and changing its limits while it is in use. */
#include "backends/cairn/cairn.h"
#include "base/log.h"
#include "vfs/block-cache.h"

LOG_MODULE("cairn");

#define TABLES_SHARE 8u /* of the capacity that the tables may take at least */
#define RESERVE_SHARE 128u
#define RESERVE_BLOCKS_MAX 16384u

void cairn_set_capacity(struct cairn *fs, uint64_t bytes)
{
	uint64_t blocks = bytes / CAIRN_BLOCK_SIZE;
	fs->reserve_blocks = MIN(blocks / RESERVE_SHARE + 1, (uint64_t)RESERVE_BLOCKS_MAX);
	__atomic_store_n(&fs->capacity_blocks, blocks, __ATOMIC_RELAXED);
}

static int store_limits(struct cairn *fs, uint64_t capacity, uint64_t tables)
{
	struct cairn_super super = fs->super;
	super.capacity = capacity;
	super.meta_size = tables;
	int err = cairn_super_write(fs->dir_fd, &super);
	if (!err)
		fs->super = super;
	return err;
}

/* What is stored first holds after a crash too. The tables are a map that somebody always reads: it grows at the next start. */
int cairn_grow(struct vfs_mount *m, uint64_t capacity)
{
	struct cairn *fs = m->store;
	uint64_t used = fs->n_blocks * CAIRN_BLOCK_SIZE, tables = MAX(fs->super.meta_size, capacity / TABLES_SHARE);
	if (m->read_only)
		return ERR_ROFS;
	if (capacity && capacity / CAIRN_BLOCK_SIZE * CAIRN_BLOCK_SIZE < used)
		return ERR_RANGE;
	bool more_tables = tables > fs->super.meta_size;
	int err = store_limits(fs, capacity, tables);
	if (err)
		return err;
	cairn_set_capacity(fs, capacity);
	if (more_tables)
		log_notice("%s: the tables may grow from the next start on", m->name);
	return 0;
}

void cairn_stats(struct vfs_mount *m, backend_stat_fn *emit, void *arg)
{
	struct cairn *fs = m->store;
	struct scrub_state scrub;
	struct meta_stats meta;
	struct meta_sizes sizes;
	struct block_cache_stats cache = {.size = 0};
	if (m->cache)
		block_cache_stats(m->cache, &cache);
	meta_stats(fs->meta, &meta);
	meta_sizes(fs->meta, &sizes);
	m->ops->scrub_state(m, &scrub);
	emit(arg, "capacity_bytes", fs->capacity_blocks * CAIRN_BLOCK_SIZE);
	emit(arg, "used_bytes", fs->n_blocks * CAIRN_BLOCK_SIZE);
	emit(arg, "dirty_bytes", fs->n_dirty * CAIRN_BLOCK_SIZE);
	emit(arg, "dirty_max_bytes", fs->dirty_max * CAIRN_BLOCK_SIZE);
	emit(arg, "inodes", fs->n_inodes);
	emit(arg, "orphans", fs->n_orphans);
	emit(arg, "tables_bytes", sizes.tables_bytes);
	emit(arg, "tables_warmed_bytes", sizes.warmed_bytes);
	emit(arg, "tables_max_bytes", fs->super.meta_size);
	emit(arg, "host_free_bytes", meta.host_free);
	emit(arg, "host_full", meta.full);
	emit(arg, "journal_errors", meta.n_journal_errors);
	emit(arg, "tables_errors", meta.n_table_errors);
	emit(arg, "changes_wait", meta.waiting);
	emit(arg, "failed", meta.failed);
	emit(arg, "spare_bytes", fs->n_spare * CAIRN_BLOCK_SIZE);
	emit(arg, "commits", meta.n_commits);
	emit(arg, "batches", meta.n_batches);
	emit(arg, "overlay_bytes", sizes.overlay_bytes);
	emit(arg, "overlay_max_bytes", sizes.overlay_max_bytes);
	emit(arg, "journal_bytes", sizes.journal_bytes);
	/* Of all mounts together. */
	emit(arg, "cache_max_bytes", cache.size);
	emit(arg, "cache_bytes", cache.used);
	emit(arg, "cache_hits", cache.hits);
	emit(arg, "cache_misses", cache.misses);
	emit(arg, "scrub_bad_records", scrub.bad_records);
	emit(arg, "scrub_bad_bytes", scrub.bad_bytes);
}
