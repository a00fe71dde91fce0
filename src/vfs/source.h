/* Where a write's payload stands, for a backend that takes it piece by piece. */
#ifndef VFS_SOURCE_H
#define VFS_SOURCE_H

#include "vfs/backend.h"

struct vfs_source {
	const struct vfs_write *w;
	int i;       /* the current entry */
	size_t done; /* bytes of it that were taken */
};

/* vfs_source_take() - copies the next size bytes, of which there must be as many. */
void vfs_source_take(struct vfs_source *s, void *to, size_t size);

/*
 * vfs_source_chunk() - the page-arena chunk whose whole content comes next, or PAGE_CHUNK_NONE. To adopt it: pages_get(),
 * then vfs_source_skip().
 */
uint32_t vfs_source_chunk(const struct vfs_source *s);
/* vfs_source_skip() - goes on behind size bytes. */
void vfs_source_skip(struct vfs_source *s, size_t size);

#endif
