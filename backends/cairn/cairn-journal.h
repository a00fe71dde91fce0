/*
 * The journal: a file of two segments, written before use, to which batches of changes are appended. A batch is one
 * aligned write, durable when it returns, so at most one is ever unfinished. Its checksums depend on the batch before
 * it, so that neither what an earlier turn of the segment left nor what a client wrote can pass for a batch.
 * cairn(5) has the format. One writer at a time.
 */
#ifndef CAIRN_JOURNAL_H
#define CAIRN_JOURNAL_H

#include "base/compiler.h"

#define JOURNAL_BLOCK 4096u
#define JOURNAL_HEAD_SIZE 64u        /* of a batch */
#define JOURNAL_SIZE_MIN (128u << 10) /* of the file */
#define JOURNAL_SIZE_MAX (4ULL << 30)
#define JOURNAL_SIZE_DEFAULT (128ULL << 20)
#define JOURNAL_NAME "journal"

struct file;

/* Where the batch after `batch` goes, and what its checksum depends on. at 0: where a new journal begins. */
struct journal_place {
	uint64_t at;
	uint64_t sum;
	uint64_t batch;
};

struct journal {
	struct file *file;
	uint64_t segment_size;  /* 0: not known */
	bool mended;            /* a bit of the first block was flipped */
	uint64_t secret;        /* of the file: checksums begin with it */
	struct journal_place end;
	uint64_t last[2];       /* batches in the segments; 0: none since it was opened */
};

/* A batch that is gathered: room for its head, then changes. */
struct journal_buffer {
	uint8_t *data;   /* aligned */
	size_t size;     /* of the changes */
	size_t room;     /* of data */
	uint32_t n;      /* changes */
};

/* journal_create() - a new file JOURNAL_NAME of about size bytes, durable but for its name. Parks. */
int journal_create(int dir_fd, uint64_t size);

/* journal_open() - waits until writes of a process that died are over. Parks. ERR_IO: it is damaged. */
int journal_open(struct journal *j, int dir_fd, bool read_only);
void journal_close(struct journal *j); /* parks */

/* journal_buffer_reserve() - room for size bytes more of changes. ERR_NOMEM. */
int journal_buffer_reserve(struct journal_buffer *b, size_t size);
uint8_t *journal_buffer_end(struct journal_buffer *b);
void journal_buffer_fini(struct journal_buffer *b);

/* journal_fits() - whether a batch with so many bytes of changes finds room once all up to applied is not needed any more. */
bool journal_fits(const struct journal *j, size_t size, uint64_t applied);

/* journal_append() - batch number `batch`, which fits; *turned: it is the first of its segment. Parks. ERR_IO etc.: it is not known what is there. */
int journal_append(struct journal *j, struct journal_buffer *b, uint64_t batch, bool *turned);

/* journal_restart() - all up to batch is applied and the whole journal is free. */
void journal_restart(struct journal *j, uint64_t batch);

/* journal_last() - the highest number of a batch that may be there. Parks. */
uint64_t journal_last(struct journal *j);

/* A batch that replay found; an error ends it. */
typedef int journal_visit_fn(void *arg, uint64_t batch, const uint8_t *changes, size_t size);

/*
 * journal_replay() - visits all batches from a place on; the next will be appended after them. ERR_IO: batches are missing that
 * were durable, for later ones are there. Parks.
 */
int journal_replay(struct journal *j, const struct journal_place *from, journal_visit_fn *visit, void *arg);

#endif
