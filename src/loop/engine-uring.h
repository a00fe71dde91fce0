/* Inside the io_uring engine: how file-uring.c queues its operations. Loop thread only. */
#ifndef LOOP_ENGINE_URING_H
#define LOOP_ENGINE_URING_H

#include <liburing.h>

#include "loop/engine.h"

/* What a submission's user data points to. done() runs outside any fiber; flags are the CQE's. */
struct uring_op {
	void (*done)(struct loop *loop, struct uring_op *op, int res, uint32_t flags);
};

/* uring_sqe() - a submission entry, submitted by the end of the turn; NULL when the kernel takes no more. */
struct io_uring_sqe *uring_sqe(struct loop *loop);

extern const struct file_ops file_uring;

#endif
