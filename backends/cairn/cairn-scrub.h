/*
 * Verifying a store while it is in use: each record and each block of data against its checksum, from the disk itself
 * and not from what is cached, in one background fiber. Where it is, and what it found, is kept in the file `scrub` of
 * the store, so that it goes on after a restart.
 */
#ifndef CAIRN_SCRUB_H
#define CAIRN_SCRUB_H

#include "backends/cairn/cairn.h"

/* cairn_scrub_open() - with what the file says; goes on if a scrub was running. cairn_scrub_close() - ends the fiber. Park. */
int cairn_scrub_open(struct cairn *fs);
void cairn_scrub_close(struct cairn *fs);
/* backend_ops.scrub, backend_ops.scrub_state. */
int cairn_scrub(struct vfs_mount *m, enum scrub_command command, uint64_t rate_bytes);
void cairn_scrub_state(struct vfs_mount *m, struct scrub_state *state);

/* The file. */
#define CAIRN_SCRUB_SIZE 1024u

struct cairn_scrub_record {
	struct scrub_state state;
	uint32_t table;      /* enum meta_table */
	struct meta_key key; /* the first record that is not verified yet */
};

void cairn_scrub_encode(const struct cairn_scrub_record *r, uint8_t bytes[CAIRN_SCRUB_SIZE]);
/* cairn_scrub_decode() - ERR_IO: it is damaged. */
int cairn_scrub_decode(const uint8_t bytes[CAIRN_SCRUB_SIZE], struct cairn_scrub_record *r);

#endif
