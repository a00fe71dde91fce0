/* For backends that keep data in chunks of the page arena: what of a range lies in which, and where a write's payload stands. */
#ifndef VFS_SOURCE_H
#define VFS_SOURCE_H

#include "vfs/backend.h"

/* The part of a range of bytes that lies in one chunk, as the file is divided into them. */
struct vfs_piece {
	uint64_t index; /* of the chunk in the file */
	uint32_t at;    /* in the chunk */
	uint32_t size;
};

/* vfs_piece_of() - the part of [from, to), which is not empty, in the chunk that has from. */
struct vfs_piece vfs_piece_of(uint64_t from, uint64_t to);
/* vfs_piece_touches(), vfs_piece_covers() - a bit for each 4,096 bytes of the chunk that p has some of, or all. */
uint16_t vfs_piece_touches(const struct vfs_piece *p);
uint16_t vfs_piece_covers(const struct vfs_piece *p);

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
