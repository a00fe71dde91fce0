/*
 * One op on its way from a transport to the VFS: private memory only. The transports (the ring's server
 * side, the local one) build it, vfs_run() reads and fills it.
 */
#ifndef OP_STEP_H
#define OP_STEP_H

#include <sys/uio.h>

#include "op/op.h"

/* Payload of a running op as memory: the transport resolves and bounds segments before vfs_run(). */
struct vfs_payload {
	struct iovec iov[OP_SEGS_MAX];
	uint32_t chunks[OP_SEGS_MAX]; /* adoptable chunk, or PAGE_CHUNK_NONE */
	int n_iov;
};

/* References that a read's answer holds until the op is put. Kept by the transport, private. */
struct vfs_pins {
	uint32_t chunks[OP_SEGS_MAX];
	uint32_t n_chunks;
};

/* One op of a chain as the transport hands it over. op is private memory: validated here, trusted by nobody before. */
struct vfs_step {
	struct op *op;
	struct vfs_payload *payload;
	struct vfs_pins *pins; /* out: for reads */
};

#endif
