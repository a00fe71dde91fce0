/*
 * A store that is being rolled back to a snapshot: half of its tables are the snapshot's. That is no damage. A repair ends it first, as
 * opening the store would, after records that could stop it were mended; where nothing may be written, only what holds at
 * every step of it is checked.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-check-impl.h"
#include "backends/cairn/cairn-snapshot.h"

static void show(void *arg, uint64_t done, uint64_t total)
{
	check_progress(arg, done, total);
}

/* As much of an open store as that needs. */
static struct cairn *bare_store(struct check *c, struct vfs_mount *mount)
{
	struct cairn *fs = aligned_alloc(CACHE_LINE, ALIGN_UP(sizeof(*fs), (size_t)CACHE_LINE));
	int64_t epoch = 0;
	if (!fs)
		return NULL;
	*fs = (struct cairn){.base = fs, .mount = mount, .meta = c->meta, .super = c->super, .newest = c->newest};
	fs->dir_fd = c->dir_fd;
	fs->data_fd = c->data_fd;
	fs->lock_fd = -1;
	(void)!meta_counter(c->meta, META_EPOCH, &epoch);
	fs->epoch = (uint32_t)epoch;
	return fs;
}

static int end_rollback(struct check *c)
{
	struct vfs_mount mount = {.name = "store"};
	struct cairn *fs = bare_store(c, &mount);
	if (!fs)
		return ERR_NOMEM;
	c->phase = "rolling back";
	int err = cairn_segments_init(fs);
	if (!err)
		err = cairn_undo(fs, c->rolling, show, c);
	if (!err)
		err = cairn_undo_mark(fs, 0);
	cairn_segments_fini(fs);
	free(fs);
	return err;
}

/* What was learned of half of the tables. */
static void forget(struct check *c)
{
	c->report->n_records = 0;
	c->written.n = 0;
	c->last_batch = 0;
}

int check_rollback(struct check *c)
{
	int64_t to = 0;
	int err = meta_counter(c->meta, META_ROLLBACK, &to);
	if (err || to == 0)
		return err;
	c->rolling = (uint64_t)to;
	c->report->rollback = CHECK_ROLLBACK_GOING_ON;
	check_snapshot_name(c, c->rolling, c->report->rollback_to);
	if (c->o->repair == CHECK_ONLY)
		return 0;
	c->phase = "records";
	err = check_records(c);
	if (!err)
		err = check_commit(c);
	if (err || c->report->n_found != c->report->n_repaired)
		return err;
	err = check_find_snapshots(c);
	if (!err)
		err = end_rollback(c);
	if (err)
		return err;
	forget(c);
	c->rolling = 0;
	c->report->rollback = CHECK_ROLLBACK_ENDED;
	return 0;
}
