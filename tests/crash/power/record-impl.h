/* Inside the recorder: what record.c notes of calls, for those that come by a ring (record-uring.c) too. Any thread. */
#ifndef TESTS_CRASH_POWER_RECORD_IMPL_H
#define TESTS_CRASH_POWER_RECORD_IMPL_H

#include <sys/uio.h>

#include "tests/crash/power/record.h"

#define SECTOR 512u

/* What a descriptor means. */
struct open_file {
	uint64_t ino; /* 0: none of ours */
	bool sync;    /* O_DSYNC */
	bool dir;
	bool data;    /* a segment of file data */
};

struct open_file record_file_of(int fd);

enum { NEEDS_ROOM = 1, READS = 2, MOVES = 4, STORES = 8 }; /* what a call is to faults */

/* record_draw_fault() - which fault this call has to have. */
enum record_fault record_draw_fault(const char *call, unsigned traits);

/* record_begin_write(), record_begin_flush() - what began; record_end() - the record that it was given, and its result. */
uint32_t record_begin_write(struct open_file f, const struct iovec *iov, int n, uint64_t offset, bool sync);
uint32_t record_begin_flush(struct open_file f);
void record_end(uint32_t begin, int64_t result);
/* record_lies_about() - whether a flush of f is to be none. */
bool record_lies_about(struct open_file f);
/* record_allocated() - fallocate(2) has been made. */
void record_allocated(struct open_file f, int mode, uint64_t offset, uint64_t size);
size_t record_iov_size(const struct iovec *iov, int n);

/* A file that is being opened; name points into the path. */
struct opening {
	uint64_t dir; /* 0: none of ours */
	const char *name;
	int flags;    /* to open it with */
	bool fresh;   /* it is being made */
};

/* record_opening() - before the call, record_opened() - after it. record_closing() - before the call. */
struct opening record_opening(int dirfd, const char *path, int flags);
void record_opened(int fd, const struct opening *o);
void record_closing(int fd);

/* A name that goes, or becomes another. Names point into the paths. */
struct naming {
	uint64_t dir;   /* 0: none of ours */
	const char *name;
	const char *to; /* NULL: it goes */
};

/* record_naming() - before the call; to NULL: unlink(2). record_named() - after it, if dir is ours. */
struct naming record_naming(int from_fd, const char *from, int to_fd, const char *to);
void record_named(const struct naming *n);

#endif
