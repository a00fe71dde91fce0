/*
 * The recorder's part for io_uring: what submits a ring's entries is defined once more in this program, and looks at them
 * before the library does. An entry that is a file call gets a completion of ours in front of the loop's, which notes the end.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "loop/engine-uring.h"
#include "tests/crash/power/record-impl.h"

struct call {
	struct uring_op op;
	struct uring_op *inner; /* the loop's */
	uint8_t code;           /* of the entry: IORING_OP_ */
	bool begun;             /* there is a record of its begin */
	uint32_t begin;
	int32_t fate;           /* the result that it must have; 0: its own */
	struct open_file file;
	struct opening opening;
	struct naming naming;
	struct iovec iov;       /* the first, or the half that is to be done */
	int mode;
	uint64_t offset, size;
	bool corrupts;
};

static void note_done(struct call *c, int res)
{
	switch (c->code) {
	case IORING_OP_OPENAT: record_opened(res, &c->opening); break;
	case IORING_OP_FALLOCATE: record_allocated(c->file, c->mode, c->offset, c->size); break;
	case IORING_OP_RENAMEAT:
	case IORING_OP_UNLINKAT: record_named(&c->naming); break;
	case IORING_OP_READV:
		if (c->corrupts && res > 0)
			((uint8_t *)c->iov.iov_base)[MIN((size_t)res, c->iov.iov_len) / 2] ^= 0x10;
		break;
	default: break;
	}
}

static void done(struct loop *loop, struct uring_op *op, int res, uint32_t flags)
{
	struct call *c = container_of(op, struct call, op);
	if (c->begun)
		record_end(c->begin, res);
	if (res >= 0 && c->code != IORING_OP_NOP)
		note_done(c, res);
	c->inner->done(loop, c->inner, c->fate ? c->fate : res, flags);
	free(c);
}

/* The call is not made. */
static void replace(struct call *c, struct io_uring_sqe *sqe, int32_t fate)
{
	*sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP};
	c->code = IORING_OP_NOP;
	c->fate = fate;
}

/* Whether the fault leaves anything to be made. */
static bool goes_on(struct call *c, struct io_uring_sqe *sqe, enum record_fault f)
{
	if (f == FAULT_EIO || f == FAULT_ENOSPC)
		replace(c, sqe, f == FAULT_EIO ? -EIO : -ENOSPC);
	if (f == FAULT_LATE)
		c->fate = -EIO;
	c->corrupts = f == FAULT_CORRUPT;
	return c->code != IORING_OP_NOP;
}

/* The first half, in whole sectors. */
static void halve(struct call *c, struct io_uring_sqe *sqe)
{
	const struct iovec *iov = (const struct iovec *)(uintptr_t)sqe->addr;
	size_t half = record_iov_size(iov, (int)sqe->len) / 2 / SECTOR * SECTOR, part = MIN(iov[0].iov_len, half);
	if (part == 0)
		return;
	c->iov.iov_len = part;
	sqe->addr = (uintptr_t)&c->iov;
	sqe->len = 1;
}

static void on_write(struct call *c, struct io_uring_sqe *sqe)
{
	const struct iovec *iov = (const struct iovec *)(uintptr_t)sqe->addr;
	if (!c->file.ino)
		return;
	enum record_fault f = record_draw_fault("write", NEEDS_ROOM | MOVES | STORES);
	if (!goes_on(c, sqe, f))
		return;
	c->begun = true;
	c->begin = record_begin_write(c->file, iov, (int)sqe->len, sqe->off, sqe->rw_flags & (RWF_DSYNC | RWF_SYNC));
	if (f == FAULT_SHORT)
		halve(c, sqe);
}

static void on_read(struct call *c, struct io_uring_sqe *sqe)
{
	enum record_fault f = c->file.ino ? record_draw_fault("read", READS | MOVES) : FAULT_NONE;
	if (goes_on(c, sqe, f) && f == FAULT_SHORT)
		halve(c, sqe);
}

static void on_flush(struct call *c, struct io_uring_sqe *sqe)
{
	const char *name = sqe->fsync_flags & IORING_FSYNC_DATASYNC ? "fdatasync" : "fsync";
	if (!c->file.ino || !goes_on(c, sqe, record_draw_fault(name, NEEDS_ROOM | STORES)) || record_lies_about(c->file))
		return;
	c->begun = true;
	c->begin = record_begin_flush(c->file);
}

static void on_allocate(struct call *c, struct io_uring_sqe *sqe)
{
	c->mode = (int)sqe->len;
	c->offset = sqe->off;
	c->size = sqe->addr;
	if (c->file.ino)
		goes_on(c, sqe, record_draw_fault("fallocate", c->mode & FALLOC_FL_PUNCH_HOLE ? 0 : NEEDS_ROOM));
	else
		c->code = IORING_OP_NOP;
}

static void on_open(struct call *c, struct io_uring_sqe *sqe)
{
	c->opening = record_opening(sqe->fd, (const char *)(uintptr_t)sqe->addr, (int)sqe->open_flags);
	sqe->open_flags = (uint32_t)c->opening.flags;
	if (c->opening.dir)
		goes_on(c, sqe, record_draw_fault("open", c->opening.flags & O_CREAT ? NEEDS_ROOM : 0));
}

static void on_name(struct call *c, struct io_uring_sqe *sqe)
{
	bool renames = c->code == IORING_OP_RENAMEAT;
	const char *to = renames ? (const char *)(uintptr_t)sqe->addr2 : NULL;
	c->naming = record_naming(sqe->fd, (const char *)(uintptr_t)sqe->addr, (int)sqe->len, to);
	if (c->naming.dir)
		goes_on(c, sqe, record_draw_fault(renames ? "rename" : "unlink", renames ? NEEDS_ROOM : 0));
	else
		c->code = IORING_OP_NOP;
}

static void look_at(struct io_uring_sqe *sqe)
{
	static void (*const looks[IORING_OP_LAST])(struct call *c, struct io_uring_sqe *sqe) = {
		[IORING_OP_WRITEV] = on_write, [IORING_OP_READV] = on_read, [IORING_OP_FSYNC] = on_flush,
		[IORING_OP_FALLOCATE] = on_allocate, [IORING_OP_OPENAT] = on_open, [IORING_OP_RENAMEAT] = on_name,
		[IORING_OP_UNLINKAT] = on_name,
	};
	if (sqe->opcode == IORING_OP_CLOSE)
		record_closing(sqe->fd);
	if (!looks[sqe->opcode])
		return;
	struct call *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	*c = (struct call){.op.done = done, .inner = (struct uring_op *)(uintptr_t)sqe->user_data, .code = sqe->opcode};
	if (sqe->opcode == IORING_OP_WRITEV || sqe->opcode == IORING_OP_READV)
		c->iov = *(const struct iovec *)(uintptr_t)sqe->addr;
	if (sqe->opcode != IORING_OP_OPENAT)
		c->file = record_file_of(sqe->fd);
	looks[sqe->opcode](c, sqe);
	sqe->user_data = (uintptr_t)&c->op;
}

/* All that the library does not know of yet. */
static void look(struct io_uring *ring)
{
	for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++)
		look_at(&ring->sq.sqes[i & ring->sq.ring_mask]);
}

/* ---- the library's calls that submit */

static void *next(const char *name)
{
	void *fn = dlsym(RTLD_NEXT, name);
	if (!fn)
		abort();
	return fn;
}

int io_uring_submit(struct io_uring *ring)
{
	static int (*real)(struct io_uring *ring);
	if (!real)
		*(void **)&real = next("io_uring_submit");
	look(ring);
	return real(ring);
}

int io_uring_submit_and_get_events(struct io_uring *ring)
{
	static int (*real)(struct io_uring *ring);
	if (!real)
		*(void **)&real = next("io_uring_submit_and_get_events");
	look(ring);
	return real(ring);
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned n, struct __kernel_timespec *ts,
                                     sigset_t *mask)
{
	static int (*real)(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned n, struct __kernel_timespec *ts, sigset_t *mask);
	if (!real)
		*(void **)&real = next("io_uring_submit_and_wait_timeout");
	look(ring);
	return real(ring, cqe, n, ts, mask);
}
