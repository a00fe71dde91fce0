/*
 * Nodes: an inode's record in memory. They are found by inode number, which is never used twice. Reading a
 * record and putting the node into the cache is one step under a lock, so that a node which was
 * changed and dropped meanwhile cannot come back as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-snapshot.h"

#define INODES_AHEAD 4096u      /* numbers set aside by one commit */
#define CHANGE_OF_EPOCH (1ULL << 20)

/*
 * The change counter of unstable writes that a crash took away must not be given to other content: each start
 * after a crash moves the counters of all that was written before it on.
 */
static void move_change_on(struct cairn *fs, struct cairn_inode *inode)
{
	uint32_t epochs = fs->epoch - inode->epoch;
	inode->attr.change += epochs * CHANGE_OF_EPOCH;
	inode->epoch = fs->epoch;
}

static struct cairn_node *node_new(struct cairn *fs, uint64_t ino, const struct cairn_inode *inode)
{
	struct cairn_node *n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	/* Before it has references: others may find it then. */
	n->fs = fs;
	n->ino = ino;
	n->cached.node.read_only = fs->at || ino == CAIRN_SNAPSHOT_DIR;
	vfs_node_init(&n->cached.node, fs->mount, inode->attr.type, cairn_fileid(fs, ino));
	n->inode = *inode;
	n->inode.attr.fileid = cairn_fileid(fs, ino);
	n->ids = cairn_ids(inode);
	n->cut_stored = inode->flags & CAIRN_CUT;
	n->charged = (int64_t)inode->n_blocks;
	if (quota_owner(&fs->base->quotas, &inode->attr, NULL, &n->owner)) {
		free(n);
		return NULL;
	}
	fs->n_users++;
	tree_init(&n->chunks);
	list_init(&n->dirty_link);
	/* What came before it was read or made may not be durable. */
	n->batch = meta_last(fs->meta);
	return n;
}

void cairn_note(struct cairn_node *n, uint64_t batch)
{
	atomic_store_explicit(&n->batch, batch, memory_order_relaxed);
}

int cairn_submit(struct cairn_node *n, struct meta_txn *txn)
{
	uint64_t batch;
	int err = meta_submit(cairn_of(n)->meta, txn, &batch);
	if (!err)
		cairn_note(n, batch);
	return err;
}

static uint64_t later_of(uint64_t batch, struct vfs_node *node)
{
	uint64_t own = atomic_load_explicit(&cairn_node(node)->batch, memory_order_relaxed);
	return MAX(batch, own);
}

int cairn_settle(struct vfs_node *const *nodes, uint32_t n)
{
	uint64_t batch = 0;
	for (uint32_t i = 0; i < n; i++) {
		batch = later_of(batch, nodes[i]);
		if (nodes[i]->base)
			batch = later_of(batch, nodes[i]->base);
	}
	return n ? meta_wait(cairn_of(cairn_node(nodes[0]))->base->meta, batch) : 0;
}

/* Whatever others may look at is set before. */
static int insert(struct cairn *fs, struct cairn_node *n, struct vfs_node **node)
{
	struct cached_node *cached = &n->cached;
	bool dead = n->inode.attr.nlink == 0;
	node_cache_insert(&fs->nodes, &cached);
	if (dead)
		node_cache_set_dead(&fs->nodes, cached, true);
	*node = &cached->node;
	return 0;
}

int cairn_node_adopt_stream(struct cairn *fs, uint64_t ino, const struct cairn_inode *inode, struct vfs_node *base, struct vfs_node **node)
{
	struct cairn_node *n = node_new(fs, ino, inode);
	if (!n)
		return ERR_NOMEM;
	n->cached.node.base = vfs_node_get(base);
	cairn_node(base)->n_streams++;
	return insert(fs, n, node);
}

int cairn_node_adopt(struct cairn *fs, uint64_t ino, const struct cairn_inode *inode, struct acl **acl, struct vfs_node **node)
{
	struct cairn_node *n = node_new(fs, ino, inode);
	if (!n) {
		free(TAKE(*acl));
		return ERR_NOMEM;
	}
	n->cached.node.acl = TAKE(*acl);
	return insert(fs, n, node);
}

static int make_snapshot_dir(struct cairn *fs, struct cairn_inode *inode)
{
	if (fs->at || !fs->snapshot_dir[0])
		return ERR_STALE;
	*inode = (struct cairn_inode){.parent = CAIRN_ROOT_INODE, .epoch = fs->epoch};
	inode->attr = (struct op_attr){.type = OP_TYPE_DIR, .mode = 0555, .nlink = 2};
	inode->attr.btime.sec = (int64_t)(fs->super.created_ns / NS_PER_SEC);
	inode->attr.atime = inode->attr.btime;
	return 0;
}

static int read_inode(struct cairn *fs, uint64_t ino, struct cairn_inode *inode)
{
	struct meta_key key = meta_key_number(ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	if (ino == CAIRN_SNAPSHOT_DIR)
		return make_snapshot_dir(fs, inode);
	int err = meta_get(fs->meta, META_INODES, &key, body, &size);
	if (err)
		return err == ERR_NOENT ? ERR_STALE : err;
	err = cairn_inode_decode(body, size, inode);
	if (err)
		return err;
	/* What has no name and is not in use waits to be reclaimed. */
	return inode->attr.nlink == 0 ? ERR_STALE : 0;
}

/* base: NULL, or of the stream that it is. ERR_AGAIN: it is a stream, of *parent. */
static int load(struct cairn *fs, uint64_t ino, struct vfs_node *base, uint64_t *parent, struct vfs_node **node)
{
	struct cairn_inode inode, owner;
	struct acl *acl = NULL;
	int err = read_inode(fs, ino, &inode);
	if (!err && (inode.flags & CAIRN_STREAM))
		err = base ? read_inode(fs, inode.parent, &owner) : ERR_AGAIN;
	*parent = inode.parent;
	if (err)
		return err;
	move_change_on(fs, &inode);
	if (inode.flags & CAIRN_STREAM)
		return cairn_node_adopt_stream(fs, ino, &inode, base, node);
	if (inode.flags & CAIRN_HAS_ACL)
		err = cairn_load_acl(fs, ino, &acl);
	return err ? err : cairn_node_adopt(fs, ino, &inode, &acl, node);
}

static int find_or_load(struct cairn *fs, uint64_t ino, struct vfs_node *base, uint64_t *parent, struct vfs_node **node)
{
	pthread_mutex_t *lock = &fs->load_locks[ino % NODE_CACHE_SHARDS];
	int err = 0;
	pthread_mutex_lock(lock);
	struct cached_node *cached = node_cache_find(&fs->nodes, cairn_fileid(fs, ino));
	if (cached)
		*node = &cached->node;
	else
		err = load(fs, ino, base, parent, node);
	pthread_mutex_unlock(lock);
	return err;
}

int cairn_node_of_ino(struct cairn *fs, uint64_t ino, struct vfs_node **node)
{
	struct cached_node *cached = node_cache_find(&fs->nodes, cairn_fileid(fs, ino));
	struct vfs_node *base;
	uint64_t parent;
	if (cached) {
		*node = &cached->node;
		return 0;
	}
	int err = find_or_load(fs, ino, NULL, &parent, node);
	if (err != ERR_AGAIN)
		return err;
	/* A stream's base comes before it, and with no lock held. A base is no stream. */
	err = parent == ino ? ERR_IO : cairn_node_of_ino(fs, parent, &base);
	if (err)
		return err;
	err = base->base ? ERR_IO : find_or_load(fs, ino, base, &parent, node);
	vfs_node_put(base);
	return err;
}

int cairn_new_ino(struct cairn *fs, uint64_t *ino)
{
	int err = 0;
	fiber_mutex_lock(&fs->inode_lock);
	if (fs->next_inode >= fs->inode_limit) {
		struct meta_txn txn;
		uint64_t batch;
		meta_begin(&txn);
		meta_set(&txn, META_NEXT_INODE, (int64_t)(fs->inode_limit + INODES_AHEAD));
		err = meta_submit(fs->meta, &txn, &batch);
		if (!err)
			fs->inode_limit += INODES_AHEAD;
	}
	if (!err)
		*ino = fs->next_inode++;
	fiber_mutex_unlock(&fs->inode_lock);
	return err;
}

/* Nothing parks here: what has no name is reclaimed by the background worker. */
void cairn_node_destroy(struct cached_node *cached)
{
	struct cairn_node *n = container_of(cached, struct cairn_node, cached);
	struct cairn *fs = cairn_of(n);
	struct vfs_node *base = cached->node.base;
	if (n->n_dirty || cached->dead)
		cairn_refund(fs, cairn_forget(n, 0, cairn_blocks(n->inode.attr.size)));
	cairn_release_stale(n);
	cairn_quota_sync(n);
	if (cached->dead)
		cairn_reclaim_later(fs, cairn_ino(n));
	free(cached->node.acl);
	free(n);
	cairn_view_put(fs);
	if (base) {
		cairn_node(base)->n_streams--;
		vfs_node_put(base);
	}
}

void cairn_node_release(struct vfs_node *node)
{
	struct cairn *fs = cairn_of(cairn_node(node));
	node_cache_release(&fs->nodes, &cairn_node(node)->cached);
}

/* Inode, instance, and the snapshot's batch in one. */
uint32_t cairn_node_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX])
{
	const struct cairn_node *n = cairn_node(node);
	const uint64_t parts[] = {cairn_ino(n), cairn_of(n)->instance, cairn_of(n)->at};
	uint32_t size = cairn_of(n)->at ? sizeof(parts) : 2 * sizeof(parts[0]);
	memcpy(bytes, parts, size);
	return size;
}

int cairn_node_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node)
{
	struct cairn *fs = m->store;
	uint64_t parts[3] = {0};
	if (size != sizeof(parts) && size != 2 * sizeof(parts[0]))
		return ERR_BADHANDLE;
	memcpy(parts, bytes, size);
	if (parts[1] != fs->instance)
		return ERR_STALE;
	return parts[2] ? cairn_snapshot_node(fs, parts[2], parts[0], node) : cairn_node_of_ino(fs, parts[0], node);
}
