/*
 * The names of a directory in order, or by folded form, for backends that keep neither: read from the backend when
 * asked for, and kept, within bounds, as long as the directory's change counter says that they are right. What the VFS itself
 * changes is carried over, so that a directory which is being filled is not read again for every name.
 *
 * Of directories that others change too (VFS_CAP_SHARED) a change may hide in the same tick of their clock or
 * between two looks of ours: what may lack one is read again after a moment.
 *
 * A directory with more names than fit is listed in windows, each of which costs reading all of it.
 */
#ifndef VFS_NAME_INDEX_H
#define VFS_NAME_INDEX_H

#include "vfs/backend.h"

struct name_indexes;

/* name_indexes_create() - keeps about bytes_max of memory. */
int name_indexes_create(struct name_indexes **indexes, uint64_t bytes_max);
void name_indexes_destroy(struct name_indexes *x);
/* name_indexes_drop() - all of a mount that goes. */
void name_indexes_drop(struct name_indexes *x, const struct vfs_mount *m);

/* dir [r]. As backend_ops.lookup_folded and .readdir_from; cookies are 0. Park. */
int name_index_lookup(struct name_indexes *x, struct vfs_node *dir, const struct vfs_name *name, struct vfs_name *stored,
                      char bytes[OP_NAME_MAX], struct vfs_node **node);
int name_index_list(struct name_indexes *x, struct vfs_node *dir, const struct vfs_name *after, vfs_emit_fn *emit, void *arg,
                    bool *eof);

/*
 * dir [w]: the VFS gave dir a name, or gave it to another node, or took it away; then, at the end of the change, the
 * directory's change counter went from before to after.
 */
void name_index_added(struct name_indexes *x, struct vfs_node *dir, const struct vfs_name *name, const struct vfs_node *node);
void name_index_removed(struct name_indexes *x, struct vfs_node *dir, const struct vfs_name *name);
void name_index_carry(struct name_indexes *x, struct vfs_node *dir, uint64_t before, uint64_t after);

#endif
