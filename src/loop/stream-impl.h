/* Inside streams: what listener.c and stream-unix.c need of them. */
#ifndef LOOP_STREAM_IMPL_H
#define LOOP_STREAM_IMPL_H

#include "loop/engine.h"

/* The kernel's IOV_MAX. */
#define MAX_IOV 1024

struct stream {
	struct io io;
	uint64_t timeout_ns;
};

/* stream_create() - a stream with nothing in it yet. */
int stream_create(struct stream **s, const struct net_ops *net);

#endif
