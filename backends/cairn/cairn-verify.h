/*
 * What the scrub and the check share: reading blocks and comparing their checksums, what only snapshots have, and
 * where something is, for people.
 */
#ifndef CAIRN_VERIFY_H
#define CAIRN_VERIFY_H

#include "backends/cairn/cairn.h"

/* Reads blocks of the store from its segment files. */
struct cairn_reader {
	int data_fd;
	bool direct;       /* past the host's page cache, where it lets us */
	uint8_t *bytes;    /* of one written extent */
	struct file *file; /* a segment's; NULL: none */
	uint32_t segment;
};

/* cairn_reader_init() - ERR_NOMEM. */
int cairn_reader_init(struct cairn_reader *r, int data_fd, bool direct);
void cairn_reader_fini(struct cairn_reader *r);
/* cairn_reader_read() - n blocks, at most CAIRN_EXTENT_MAX, into bytes from block `to` on; whether all could be read. Parks. */
bool cairn_reader_read(struct cairn_reader *r, uint64_t place, uint64_t n, uint64_t to);
/* cairn_reader_check() - whether block i of a written extent is in bytes and right, or when it is read again by itself. Parks. */
bool cairn_reader_check(struct cairn_reader *r, const struct cairn_extent *e, uint64_t i, bool was_read);

/* cairn_newest_of() - the newest of n snapshots, ascending, from born to last; 0: there is none. */
uint64_t cairn_newest_of(const uint64_t *snapshots, uint32_t n, uint64_t born, uint64_t last);

/*
 * cairn_held_next() - of what a dead reference refers to, the first written piece from *block of the file on, as the view of a
 * snapshot that has it tells; *block moves behind it. ERR_NOENT: there is no more.
 */
int cairn_held_next(struct meta *view, const struct cairn_ref *ref, uint64_t *block, struct cairn_extent *piece);

#define CAIRN_PATH_ROOM 600u

/* cairn_path_of() - of an inode, in the store or a view; "": it is not known, or would take too long to find. */
void cairn_path_of(struct meta *meta, uint64_t ino, char path[CAIRN_PATH_ROOM]);

#endif
