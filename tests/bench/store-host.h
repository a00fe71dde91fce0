/*
 * Where a store of ours runs: in this process, called from one or several loops of it, or in a process of its own,
 * reached through the ring. Either way each calling loop is a lane with a client, and workers are fibers
 * spread over the lanes.
 */
#ifndef BENCH_STORE_HOST_H
#define BENCH_STORE_HOST_H

#include "client/client.h"
#include "tests/bench/store-load.h"

#define HOST_MOUNT "store" /* the name under which it is mounted */

struct host_spec {
	const char *backend;
	const struct vfs_option *options;
};

/* host_open() - starts the lanes; from a thread without a loop, once at a time. host_close() - the store is closed in good order. */
void host_open(const struct store_options *opt, const struct host_spec *spec);
void host_close(void);
/* host_run() - fn(worker) in a fiber for each of n workers; waits for all. worker->own is its client. */
void host_run(struct worker *workers, unsigned n, void (*fn)(struct worker *w));
int host_pids(pid_t pids[2]);
uint64_t host_memory(void);

/* host_check() - ends the program when err says so. */
void host_check(int err, const char *what);

#endif
