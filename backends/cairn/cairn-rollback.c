/*
 * Rolling back, around what cairn-undo.c does with the tables: nobody may use what is about to change, and nothing
 * that was known of it holds afterwards. A start ends what a crash interrupted before anything else. Then a new epoch begins, so that
 * no change counter is told again of other content.
 */
#include "backends/cairn/cairn-cut.h"
#include "backends/cairn/cairn-snapshot.h"
#include "base/log.h"

LOG_MODULE("cairn");

static int run(struct cairn *fs, uint64_t at)
{
	int64_t inodes = 0, blocks = 0;
	int err = cairn_undo(fs, at, NULL, NULL);
	if (!err)
		err = cairn_undo_mark(fs, 0);
	if (!err)
		err = meta_counter(fs->meta, META_N_INODES, &inodes);
	if (!err)
		err = meta_counter(fs->meta, META_N_BLOCKS, &blocks);
	if (err)
		return err;
	fs->n_inodes = (uint64_t)inodes;
	fs->n_blocks = (uint64_t)blocks;
	quota_fini(&fs->quotas);
	quota_init(&fs->quotas);
	return cairn_quota_load(fs);
}

int cairn_rollback_resume(struct cairn *fs)
{
	int64_t at;
	int err = meta_counter(fs->meta, META_ROLLBACK, &at);
	if (err || at == 0)
		return err;
	if (fs->mount->read_only)
		return ERR_ROFS;
	log_notice("%s: rolling back goes on", fs->mount->name);
	return run(fs, (uint64_t)at);
}

/* ---- the operation */

/* Nothing that was known of inodes holds any more. ERR_BUSY: somebody uses one. */
static int forget_all(struct cairn *fs)
{
	vfs_node_put(TAKE(fs->mount->root));
	cairn_cuts_forget(fs);
	fiber_join_wait(&fs->readers_ahead);
	while (node_cache_shrink(&fs->nodes))
		continue;
	if (fs->n_users)
		return ERR_BUSY;
	block_drop_store(fs->cache, fs->cache_store);
	cairn_reclaim_forget(fs);
	return 0;
}

static int roll_back(struct cairn *fs, uint64_t at)
{
	int err = forget_all(fs);
	if (err)
		return err;
	err = cairn_undo_mark(fs, at);
	if (!err)
		err = run(fs, at);
	if (!err)
		err = cairn_reclaim_find(fs);
	if (!err)
		return cairn_cuts_find(fs);
	/* What is there is neither the one nor the other. */
	log_error("%s: rolling back: %s; it goes on at the next start, until then nothing can be changed", fs->mount->name, err_text(err));
	fs->mount->read_only = true;
	return err;
}

/* The worker is stopped: it may be waiting for snapshot_mutex. */
static int roll_back_alone(struct cairn *fs, const struct vfs_name *name)
{
	struct vfs_mount *m = fs->mount;
	uint64_t at;
	fiber_mutex_lock(&fs->snapshot_mutex);
	int err = cairn_snapshot_id(fs, name, &at);
	if (!err)
		err = cairn_flush_all(fs);
	if (!err)
		err = roll_back(fs, at);
	int again = m->root ? 0 : cairn_node_of_ino(fs, CAIRN_ROOT_INODE, &m->root);
	fiber_mutex_unlock(&fs->snapshot_mutex);
	return err ? err : again;
}

int cairn_snapshot_rollback(struct vfs_mount *m, const struct vfs_name *name)
{
	struct cairn *fs = m->store;
	cairn_work_stop(fs);
	int err = roll_back_alone(fs, name);
	int works = cairn_work_start(fs);
	if (!err)
		log_notice("%s: rolled back to snapshot %.*s", m->name, (int)name->size, name->bytes);
	return err ? err : works;
}
