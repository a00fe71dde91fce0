/* The list of snapshots, making and removing them, and the views through which they are read. */
#include "backends/cairn/cairn-snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define SNAPSHOTS_MAX 4096u
#define IDLE_NODES_MAX 4096u
#define FILEID_BITS 44 /* of the inode's number; above is what tells snapshots apart */

/* ---- the list */

static struct cairn_snapshot *add(struct cairn *fs, const struct vfs_snapshot *s)
{
	struct cairn_snapshot *new = calloc(1, sizeof(*new));
	if (!new)
		return NULL;
	new->s = *s;
	pthread_mutex_lock(&fs->snapshots_lock);
	list_push_back(&fs->snapshots, &new->link);
	pthread_mutex_unlock(&fs->snapshots_lock);
	return new;
}

struct finding {
	struct cairn *fs;
	int err;
};

static bool find_one(void *arg, const struct meta_record *r)
{
	struct finding *f = arg;
	struct vfs_snapshot s = {.id = 0};
	f->err = cairn_snapshot_decode(r, &s);
	if (!f->err && !add(f->fs, &s))
		f->err = ERR_NOMEM;
	return !f->err;
}

/* With snapshots_lock. Of those that are whole. */
static struct cairn_snapshot *by_name(struct cairn *fs, const struct vfs_name *name)
{
	struct cairn_snapshot *s;
	LIST_FOREACH(s, &fs->snapshots, link)
		if (s->s.state == SNAPSHOT_READY && strlen(s->s.name) == name->size &&
		    memcmp(s->s.name, name->bytes, name->size) == 0)
			return s;
	return NULL;
}

static struct cairn_snapshot *by_id(struct cairn *fs, uint64_t id)
{
	struct cairn_snapshot *s;
	LIST_FOREACH(s, &fs->snapshots, link)
		if (s->s.state == SNAPSHOT_READY && s->s.id == id)
			return s;
	return NULL;
}

static uint64_t newest_of(struct cairn *fs)
{
	struct cairn_snapshot *s;
	uint64_t newest = 0;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link)
		if (s->s.state == SNAPSHOT_READY)
			newest = s->s.id;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return newest;
}

static uint32_t count(struct cairn *fs)
{
	struct cairn_snapshot *s;
	uint32_t n = 0;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link)
		n++;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return n;
}

int cairn_snapshots_living(struct cairn *fs, uint64_t **batches, uint32_t *n)
{
	struct cairn_snapshot *s;
	*n = 0;
	*batches = malloc((count(fs) + 1) * sizeof(**batches));
	if (!*batches)
		return ERR_NOMEM;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link)
		if (s->s.state == SNAPSHOT_READY)
			(*batches)[(*n)++] = s->s.id;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return 0;
}

static void changed(struct cairn *fs)
{
	struct op_time now = vfs_now();
	pthread_mutex_lock(&fs->snapshots_lock);
	fs->snapshots_time = now;
	fs->n_snapshot_changes++;
	pthread_mutex_unlock(&fs->snapshots_lock);
}

int cairn_snapshots_find(struct cairn *fs)
{
	struct meta_key first = meta_key_number(0);
	struct finding f = {fs, 0};
	fs->n_snapshot_changes = fs->epoch;
	fs->snapshots_time.sec = (int64_t)(fs->super.created_ns / NS_PER_SEC);
	int err = meta_scan(fs->meta, META_SNAPSHOTS, &first, META_FROM, find_one, &f);
	err = err ? err : f.err;
	fs->newest = newest_of(fs);
	meta_keep(fs->meta, fs->newest);
	/* What only an unfinished snapshot would have needed goes, too. */
	fs->purge_wanted = meta_n_records(fs->meta, META_HISTORY) + meta_n_records(fs->meta, META_DEAD) > 0 && !fs->newest;
	struct cairn_snapshot *s;
	LIST_FOREACH(s, &fs->snapshots, link)
		fs->purge_wanted |= s->s.state == SNAPSHOT_DELETING;
	return err;
}

/* ---- views */

static void view_free(struct cairn *view)
{
	node_cache_fini(&view->nodes);
	block_drop_store(view->cache, view->cache_store);
	meta_close(view->meta);
	for (size_t i = 0; i < NODE_CACHE_SHARDS; i++)
		pthread_mutex_destroy(&view->load_locks[i]);
	free(view);
}

static int view_new(struct cairn *fs, uint64_t at, struct cairn **made)
{
	struct cairn *view = aligned_alloc(CACHE_LINE, ALIGN_UP(sizeof(*view), (size_t)CACHE_LINE));
	if (!view)
		return ERR_NOMEM;
	memset(view, 0, sizeof(*view));
	if (meta_view(fs->meta, at, &view->meta)) {
		free(view);
		return ERR_NOMEM;
	}
	view->base = fs;
	view->at = at;
	view->mount = fs->mount;
	view->super = fs->super;
	view->instance = fs->instance;
	view->epoch = fs->epoch;
	view->cache = fs->cache;
	view->cache_store = block_cache_store(fs->cache);
	view->fileid_bits = (at % 0xfffff + 1) << FILEID_BITS;
	view->dir_fd = view->lock_fd = view->data_fd = -1;
	list_init(&view->dirty);
	list_init(&view->snapshots);
	node_cache_init(&view->nodes, IDLE_NODES_MAX, cairn_node_destroy);
	for (size_t i = 0; i < NODE_CACHE_SHARDS; i++)
		pthread_mutex_init(&view->load_locks[i], NULL);
	*made = view;
	return 0;
}

void cairn_view_put(struct cairn *view)
{
	view->n_users--;
}

/* With snapshots_lock: a view with a user more. */
static int view_of(struct cairn *fs, struct cairn_snapshot *s, struct cairn **view)
{
	int err = s->view ? 0 : view_new(fs, s->s.id, &s->view);
	if (err)
		return err;
	*view = s->view;
	(*view)->n_users++;
	return 0;
}

static int node_of(struct cairn *view, uint64_t ino, struct vfs_node **node)
{
	int err = cairn_node_of_ino(view, ino, node);
	cairn_view_put(view);
	return err;
}

int cairn_snapshot_named(struct cairn *fs, const struct vfs_name *name, struct vfs_node **root)
{
	struct cairn *view;
	pthread_mutex_lock(&fs->snapshots_lock);
	struct cairn_snapshot *s = by_name(fs, name);
	int err = s ? view_of(fs, s, &view) : ERR_NOENT;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return err ? err : node_of(view, CAIRN_ROOT_INODE, root);
}

int cairn_snapshot_node(struct cairn *fs, uint64_t id, uint64_t ino, struct vfs_node **node)
{
	struct cairn *view;
	pthread_mutex_lock(&fs->snapshots_lock);
	struct cairn_snapshot *s = by_id(fs, id);
	int err = s ? view_of(fs, s, &view) : ERR_STALE;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return err ? err : node_of(view, ino, node);
}

int cairn_snapshot_id(struct cairn *fs, const struct vfs_name *name, uint64_t *id)
{
	pthread_mutex_lock(&fs->snapshots_lock);
	const struct cairn_snapshot *s = by_name(fs, name);
	*id = s ? s->s.id : 0;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return s ? 0 : ERR_NOENT;
}

void cairn_snapshots_fini(struct cairn *fs)
{
	while (!list_empty(&fs->snapshots)) {
		struct cairn_snapshot *s = list_entry(fs->snapshots.next, struct cairn_snapshot, link);
		list_del(&s->link);
		if (s->view)
			view_free(s->view);
		free(s);
	}
}

bool cairn_snapshot_unused(struct cairn *fs, struct cairn_snapshot *s)
{
	struct cairn *view = s->view;
	if (!view)
		return true;
	while (node_cache_shrink(&view->nodes))
		continue;
	if (view->n_users)
		return false;
	view_free(TAKE(s->view));
	return true;
}

/* ---- the directory */

int cairn_snapshot_readdir(struct cairn *fs, uint64_t cookie, vfs_emit_fn *emit, void *arg, bool *eof)
{
	struct cairn_snapshot *s;
	uint32_t n = 0, max = count(fs);
	CLEANUP_FREE struct vfs_snapshot *list = calloc(max + 1, sizeof(*list));
	if (!list)
		return ERR_NOMEM;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link)
		if (s->s.state == SNAPSHOT_READY && s->s.id + 2 > cookie && n < max)
			list[n++] = s->s;
	pthread_mutex_unlock(&fs->snapshots_lock);
	*eof = true;
	for (uint32_t i = 0; i < n && *eof; i++) {
		struct vfs_name name = {list[i].name, (uint32_t)strlen(list[i].name)};
		uint64_t fileid = CAIRN_ROOT_INODE | (list[i].id % 0xfffff + 1) << FILEID_BITS;
		*eof = emit(arg, &name, list[i].id + 2, fileid, OP_TYPE_DIR, NULL);
	}
	return 0;
}

void cairn_snapshot_dir_attr(struct cairn *fs, struct op_attr *attr)
{
	pthread_mutex_lock(&fs->snapshots_lock);
	attr->mtime = attr->ctime = fs->snapshots_time;
	attr->change = fs->n_snapshot_changes;
	pthread_mutex_unlock(&fs->snapshots_lock);
}

/* ---- operations */

int cairn_snapshot_list(struct vfs_mount *m, vfs_snapshot_fn *fn, void *arg)
{
	struct cairn *fs = m->store;
	struct cairn_snapshot *s;
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link)
		if (!fn(arg, &s->s))
			break;
	pthread_mutex_unlock(&fs->snapshots_lock);
	return 0;
}

static int may_create(struct cairn *fs, const struct vfs_name *name)
{
	uint64_t id;
	if (cairn_snapshot_id(fs, name, &id) == 0)
		return ERR_EXIST;
	return count(fs) >= SNAPSHOTS_MAX ? ERR_NOSPC : 0;
}

/* With refs_lock, so that what is dropped meanwhile is known to belong to it or not. */
static int record(struct cairn *fs, struct vfs_snapshot *s)
{
	struct meta_txn txn;
	uint64_t batch;
	int err = meta_snapshot(fs->meta, &s->id);
	if (err)
		return err;
	meta_begin(&txn);
	cairn_snapshot_put(&txn, s);
	err = meta_submit(fs->meta, &txn, &batch);
	if (!err)
		err = meta_wait(fs->meta, batch);
	if (err)
		meta_keep(fs->meta, fs->newest);
	else
		fs->newest = s->id;
	return err;
}

static int create(struct cairn *fs, struct vfs_snapshot *s)
{
	uint64_t batch;
	int err = cairn_flush_all(fs);
	/* Most of it while others go on. */
	if (!err)
		err = meta_checkpoint(fs->meta, &batch);
	if (err)
		return err;
	fiber_rwlock_wrlock(&fs->refs_lock);
	err = record(fs, s);
	if (!err && !add(fs, s))
		log_warn("%s: snapshot %s is there at the next start", fs->mount->name, s->name);
	fiber_rwlock_wrunlock(&fs->refs_lock);
	return err;
}

int cairn_snapshot_create(struct vfs_mount *m, const struct vfs_name *name, struct vfs_snapshot *made)
{
	struct cairn *fs = m->store;
	struct vfs_snapshot s = {.time = vfs_now(), .state = SNAPSHOT_READY};
	memcpy(s.name, name->bytes, name->size);
	fiber_mutex_lock(&fs->snapshot_mutex);
	int err = may_create(fs, name);
	if (!err)
		err = create(fs, &s);
	/* A round that goes on has to know of it, or it gives back what this one needs. */
	cairn_purge_fini(fs);
	fiber_mutex_unlock(&fs->snapshot_mutex);
	if (err)
		return err;
	changed(fs);
	*made = s;
	log_notice("%s: snapshot %s", m->name, s.name);
	return 0;
}

static void set_state(struct cairn *fs, struct cairn_snapshot *s, uint32_t state)
{
	pthread_mutex_lock(&fs->snapshots_lock);
	s->s.state = state;
	pthread_mutex_unlock(&fs->snapshots_lock);
}

/* Nobody finds it any more; then, what is dropped from now on need not outlive it. */
static int remove_locked(struct cairn *fs, struct cairn_snapshot *s)
{
	struct vfs_snapshot gone = s->s;
	struct meta_txn txn;
	gone.state = SNAPSHOT_DELETING;
	meta_begin(&txn);
	txn.frees = true;
	cairn_snapshot_put(&txn, &gone);
	int err = meta_commit(fs->meta, &txn);
	if (err)
		return err;
	set_state(fs, s, SNAPSHOT_DELETING);
	fiber_rwlock_wrlock(&fs->refs_lock);
	fs->newest = newest_of(fs);
	meta_keep(fs->meta, fs->newest);
	fiber_rwlock_wrunlock(&fs->refs_lock);
	return 0;
}

int cairn_snapshot_remove(struct vfs_mount *m, const struct vfs_name *name)
{
	struct cairn *fs = m->store;
	fiber_mutex_lock(&fs->snapshot_mutex);
	pthread_mutex_lock(&fs->snapshots_lock);
	struct cairn_snapshot *s = by_name(fs, name);
	pthread_mutex_unlock(&fs->snapshots_lock);
	int err = s ? remove_locked(fs, s) : ERR_NOENT;
	fs->purge_wanted |= !err;
	if (!err)
		cairn_purge_fini(fs);
	fiber_mutex_unlock(&fs->snapshot_mutex);
	if (err)
		return err;
	changed(fs);
	fiber_cond_signal(&fs->work);
	return 0;
}
