/*
 * The recorder: the C library's file calls, defined once more in this program so that everything in it (LMDB too)
 * goes through them, and a log of what they did below one directory. The log is memory shared with
 * children; one process records at a time, on any number of threads.
 *
 * A call that takes time is two records, its begin and its end, so that the log tells what ran beside what:
 * a flush covers the writes that had ended when it began.
 *
 * The same calls can fail on demand: record_fail(). Those that io_uring makes are recorded and fail likewise.
 */
#ifndef TESTS_CRASH_POWER_RECORD_H
#define TESTS_CRASH_POWER_RECORD_H

#include "base/compiler.h"

enum record_kind {
	REC_END,      /* of the call that begins at ref; size: its result */
	REC_WRITE,    /* size bytes at data to offset; RECORD_SYNC: durable at its end */
	REC_ZERO,     /* a hole is punched or a range zeroed: [offset, offset + size) */
	REC_SIZE,     /* the file is size bytes from now on */
	REC_GROW,     /* ... unless it is longer */
	REC_FLUSH,    /* what was written to the file is durable at the end; of a directory: its names */
	REC_NAME,     /* name in directory file means inode other, of a directory with RECORD_DIR */
	REC_UNNAME,   /* name in directory file means nothing any more */
	REC_RENAME,   /* name in directory file is now the NUL-terminated name that follows it */
	REC_MARK,     /* the workload's: other is its number, flags what happened to it */
};

enum record_flags { RECORD_SYNC = 1, RECORD_DIR = 2 };

struct record {
	uint32_t kind;  /* enum record_kind */
	uint32_t flags;
	uint32_t ref;   /* REC_END: index of the begin */
	uint32_t name_size;
	uint64_t file;  /* inode number on the host */
	uint64_t other;
	uint64_t offset;
	uint64_t size;
	uint64_t data;  /* bytes or names, as an offset into record_data() */
};

struct record_log {
	_Atomic uint32_t n;
	_Atomic uint32_t overflow; /* the log was too small */
	_Atomic uint64_t data_size;
	uint64_t root;             /* inode number of the directory that it is about */
	struct record records[];
};

/* record_create() - an empty log with room for that much. NULL: no memory. */
struct record_log *record_create(uint32_t n_max, uint64_t data_max);
void record_free(struct record_log *log);
/* record_start() - from now on, what happens below directory path goes to the log, which is emptied. record_stop() ends that. */
void record_start(struct record_log *log, const char *path);
void record_stop(void);
/* record_mark() - the workload's own record; how long the log is with it. */
uint32_t record_mark(uint64_t number, uint32_t what);
const uint8_t *record_data(const struct record_log *log, const struct record *r);
/* record_print() - one record as a line of text. */
void record_print(const struct record_log *log, uint32_t i);

/* What the recorder does wrong on purpose, to show that it would be noticed. */
enum record_lie {
	RECORD_HONEST,
	RECORD_NO_FLUSH,    /* flushes of files are said to have happened, and have not */
	RECORD_NO_DATASYNC, /* those of file data only, and what writes of it are to be at their end */
	RECORD_NO_DSYNC,    /* writes that are to be durable at their end are not */
	RECORD_NO_DIRSYNC,  /* flushes of directories are none */
};

void record_set_lie(enum record_lie lie);

/* ---- failing calls: on files below the directory given to record_start() */

enum record_fault { FAULT_NONE, FAULT_EIO, FAULT_LATE, FAULT_ENOSPC, FAULT_SHORT, FAULT_CORRUPT };

/*
 * record_fail() - the call number nth from now on (1: the next), of those that the fault fits, fails so, once. EIO: any
 * call; LATE: a write or flush that says EIO although it was made; ENOSPC: those that may need room; SHORT: reads and writes do half, in sectors; CORRUPT: a read gives a wrong bit.
 * Counted per process, on all threads.
 */
void record_fail(enum record_fault fault, uint32_t nth);
/* record_fail_hit() - whether it has happened. Which call it was: name of the function. */
bool record_fail_hit(const char **call);
/* The name of LMDB's last write of a transaction. */
#define RECORD_COMMIT "write of a commit"

#endif
