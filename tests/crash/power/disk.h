/*
 * A disk below a directory that loses power: what a log of records left on it. Records are applied one by one;
 * then disk_build() makes what might be there if the power were cut at that point.
 *
 * Bytes that no flush has covered may be there or not, page by page; of a page that may have several versions any may be
 * there, or sectors of two. A file's size and a directory's names are held likewise, but the changes of one
 * directory come in order, as a journaling file system below has them.
 */
#ifndef TESTS_CRASH_POWER_DISK_H
#define TESTS_CRASH_POWER_DISK_H

#include "tests/crash/power/record.h"

struct disk;

enum disk_cut {
	DISK_ALL,     /* all that was written is there; what was being written is torn */
	DISK_DURABLE, /* only what was flushed */
	DISK_RANDOM,
	DISK_N_CUTS
};

struct disk *disk_create(uint64_t root);
void disk_destroy(struct disk *d);
/* disk_apply() - record i of the log, each in turn. */
void disk_apply(struct disk *d, const struct record_log *log, uint32_t i);
/*
 * disk_build() - writes into directory path, which is empty. With fresh not NULL it becomes a disk that has exactly that
 * and on which everything is durable, with the inode numbers of path.
 */
void disk_build(struct disk *d, enum disk_cut cut, uint64_t *random, const char *path, struct disk **fresh);

#endif
