/*
 * Snapshots. One is a batch: the store as it was after it. Making one is putting everything into the tables and a record
 * beside them; from then on the metadata store keeps what records replace (cairn-meta-history.c), and references to
 * blocks that were born by then outlive the file that drops them (cairn-share.c).
 *
 * Whoever looks into one does so through a view: a struct cairn of its own with the tables as of that batch and
 * nodes that can only be read, sharing everything else with the store. Views and the nodes in them count as its
 * users; a snapshot that was removed gives back what it held when there are none any more.
 */
#ifndef CAIRN_SNAPSHOT_H
#define CAIRN_SNAPSHOT_H

#include "backends/cairn/cairn.h"

struct cairn_snapshot {
	struct list link;    /* oldest first; guarded by snapshots_lock, as all below */
	struct vfs_snapshot s;
	struct cairn *view;  /* NULL: nobody has looked into it */
};

/* cairn_snapshots_find() - reads the list at the start; cairn_snapshots_fini() - all nodes of views are released. */
int cairn_snapshots_find(struct cairn *fs);
void cairn_snapshots_fini(struct cairn *fs);
int cairn_snapshot_create(struct vfs_mount *m, const struct vfs_name *name, struct vfs_snapshot *made);
int cairn_snapshot_list(struct vfs_mount *m, vfs_snapshot_fn *fn, void *arg);
int cairn_snapshot_remove(struct vfs_mount *m, const struct vfs_name *name);
/* cairn_snapshot_put() - its record, as it is to be stored. cairn_snapshot_decode() - ERR_IO: none may be like that. */
void cairn_snapshot_put(struct meta_txn *txn, const struct vfs_snapshot *s);
int cairn_snapshot_decode(const struct meta_record *r, struct vfs_snapshot *s);
/* cairn_snapshot_named() - the root of the one of that name, with a reference. ERR_NOENT. */
int cairn_snapshot_named(struct cairn *fs, const struct vfs_name *name, struct vfs_node **root);
/* cairn_snapshot_node() - the node of an inode in the snapshot of that id. ERR_STALE. */
int cairn_snapshot_node(struct cairn *fs, uint64_t id, uint64_t ino, struct vfs_node **node);
/* cairn_snapshot_id() - of the one of that name that is whole. ERR_NOENT. */
int cairn_snapshot_id(struct cairn *fs, const struct vfs_name *name, uint64_t *id);
/* cairn_snapshots_living() - the batches of those that are whole, ascending; freed by the caller. ERR_NOMEM. */
int cairn_snapshots_living(struct cairn *fs, uint64_t **batches, uint32_t *n);

/* The directory in which they are found. */
int cairn_snapshot_readdir(struct cairn *fs, uint64_t cookie, vfs_emit_fn *emit, void *arg, bool *eof);
void cairn_snapshot_dir_attr(struct cairn *fs, struct op_attr *attr);

/* cairn_view_put() - a user less. cairn_snapshot_unused() - whether there is none any more, with snapshots_lock. */
void cairn_view_put(struct cairn *view);
bool cairn_snapshot_unused(struct cairn *fs, struct cairn_snapshot *s);

/* ---- cairn-record.c */

/* cairn_put_dead() - a reference that ended and belongs to snapshots up to that one. */
struct meta_key cairn_dead_key(uint64_t newest, const struct cairn_ref *ref);
void cairn_put_dead(struct meta_txn *txn, uint64_t newest, const struct cairn_ref *ref);
int cairn_dead_decode(const struct meta_record *r, uint64_t *newest, struct cairn_ref *ref);

/* ---- cairn-purge.c: what removed snapshots held is given back */

/* cairn_purge_some() - a bounded part of that; false: nothing is left to do now. Parks. For the background worker. */
bool cairn_purge_some(struct cairn *fs);
void cairn_purge_fini(struct cairn *fs);

/* ---- cairn-undo.c */

/* Now and then: how many of about how many records were looked at. */
typedef void cairn_undo_fn(void *arg, uint64_t done, uint64_t total);
/*
 * cairn_undo() - makes all records those of the snapshot of that batch, in transactions of bounded size; references are
 * counted along. Nobody else changes anything. progress may be NULL. Parks. cairn_undo_mark() - that this is under way, with its
 * batch; with 0, that it is done: a new epoch.
 */
int cairn_undo(struct cairn *fs, uint64_t at, cairn_undo_fn *progress, void *arg);
int cairn_undo_mark(struct cairn *fs, uint64_t at);

/* ---- cairn-rollback.c */

int cairn_snapshot_rollback(struct vfs_mount *m, const struct vfs_name *name);
/* cairn_rollback_resume() - at the start: ends what a crash interrupted. Before anything else changes the store. Parks. */
int cairn_rollback_resume(struct cairn *fs);

#endif
