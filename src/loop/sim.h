/*
 * The simulated world behind LOOP_SIM: what a test can do to its network and disk. Everything random in
 * it follows from the loop's seed, and time passes only when nothing is left to do, so a run is exactly
 * repeatable: the same seed and the same calls give the same sim_trace().
 *
 * The network and the clock live as long as the loop. The disk is the process's and stays, so that a
 * test can cut the power, destroy the loop, create another and look at what survived.
 * All calls: loop thread, or with no loop running.
 */
#ifndef LOOP_SIM_H
#define LOOP_SIM_H

#include "loop/loop.h"

/* ---- what happened ------------------------------------------------------------------------ */

/* sim_trace() - a hash of every event of the run so far: deliveries, disk operations and their times. */
uint64_t sim_trace(void);
/* sim_stalled() - the last loop ended because every fiber waited and nothing was left to happen. */
bool sim_stalled(void);

/* ---- network ------------------------------------------------------------------------------ */

/* Percentages are 0 to 100. Bytes of one stream never change their order; streams and datagrams among each other do. */
struct sim_net_faults {
	uint64_t delay_min_ns; /* of each piece of a stream and each datagram */
	uint64_t delay_max_ns;
	uint32_t short_io;     /* reads and writes that move less than they could */
	uint32_t lose;         /* datagrams lost */
	uint32_t repeat;       /* datagrams that arrive twice */
};

void sim_net_set_faults(const struct sim_net_faults *faults);
/* sim_net_partition() - nothing passes to or from the service at port until healed. */
void sim_net_partition(uint16_t port);
void sim_net_heal(uint16_t port);
/* sim_net_reset() - breaks every connection to the service at port. */
void sim_net_reset(uint16_t port);
/* sim_net_source_port() - the next stream_connect() leaves from that port, as NFS clients keep theirs. */
void sim_net_source_port(uint16_t port);

/* ---- disk --------------------------------------------------------------------------------- */

#define SIM_SECTOR_SIZE 512

/* Chances are per million operations. */
struct sim_disk_faults {
	uint64_t delay_min_ns;
	uint64_t delay_max_ns;
	uint64_t capacity;    /* bytes of all files together, then ERR_NOSPC; 0: no limit */
	uint32_t read_error;  /* ERR_IO, nothing read */
	uint32_t write_error; /* ERR_IO, nothing written */
	uint32_t sync_error;  /* ERR_IO, nothing became durable */
};

void sim_disk_set_faults(const struct sim_disk_faults *faults);

/*
 * sim_power_cut() - what was not synced is lost, or not: of each write since, any sectors may have
 * reached the disk; of the changes to directories, a first part. From here on every file operation
 * gives ERR_IO and every connection is broken, so that fibers unwind, until another loop is created.
 */
void sim_power_cut(void);

/* sim_disk_reset() - an empty disk. No file may be open. */
void sim_disk_reset(void);

enum sim_disk_op {
	SIM_DISK_CREATE,
	SIM_DISK_WRITE,
	SIM_DISK_TRUNCATE,
	SIM_DISK_SYNC,
	SIM_DISK_RENAME,
	SIM_DISK_UNLINK,
	SIM_DISK_SYNC_DIR,
	SIM_DISK_POWER_CUT,
};

/* One change, in the order in which they were made. Pointers are valid during the call only. */
struct sim_disk_event {
	enum sim_disk_op op;
	const char *path; /* of the file when it was opened; NULL for SYNC_DIR and POWER_CUT */
	const char *to;   /* RENAME */
	uint64_t offset;  /* WRITE; TRUNCATE: the new size */
	const void *data; /* WRITE */
	size_t size;
};

/* sim_disk_record() - calls fn for each change from now on, so that a tool can replay every crash; NULL ends it. */
void sim_disk_record(void (*fn)(void *arg, const struct sim_disk_event *ev), void *arg);

/* sim_disk_load(), sim_disk_store() - a whole durable file, for replay tools. ERR_NOENT, ERR_NOMEM. The data is malloc'ed. */
int sim_disk_load(const char *path, void **data, size_t *size);
int sim_disk_store(const char *path, const void *data, size_t size);

#endif
