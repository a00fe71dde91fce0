/*
 * The shared segment as one side sees it: mapped, with its layout in private memory. chimerad creates it,
 * a client maps what it was passed. Nothing parks.
 */
#ifndef RING_SEGMENT_H
#define RING_SEGMENT_H

#include "ring/ring-abi.h"

#define RING_SLOTS_MIN 16u
#define RING_SLOTS_MAX (RING_ENTRIES_MAX / 2)
#define RING_ARENA_MIN (1u << 20)
#define RING_ARENA_MAX (1u << 30)
#define RING_ARENA_ALIGN 65536u

struct ring_segment {
	int fd; /* owned; -1: none */
	uint8_t *base;
	uint64_t size;
	struct ring_shared *shared;
	uint32_t n_slots;
	uint32_t n_entries;
	_Atomic uint32_t *sq;
	_Atomic uint32_t *cq;
	struct op_event *events;
	uint8_t *slots;
	uint8_t *arena;
	uint64_t arena_size;
};

/* ring_segment_create() - sizes are bounded to the limits above; sealed against any other size. ERR_NOMEM, ERR_NOSPC. */
int ring_segment_create(struct ring_segment *seg, uint32_t n_slots, uint64_t arena_size);

/* ring_segment_map() - takes fd over also on failure. ERR_PROTO: not a segment of this ABI. */
int ring_segment_map(struct ring_segment *seg, int fd, uint64_t size);

/*
 * ring_segment_replace() - moves the mapping of seg to where old is mapped, in old's place, so that addresses
 * in old keep their meaning; old is left empty. Both must have the same layout: ERR_INVAL.
 */
int ring_segment_replace(struct ring_segment *seg, struct ring_segment *old);

void ring_segment_close(struct ring_segment *seg);

static inline struct op *ring_slot(const struct ring_segment *seg, uint32_t slot)
{
	return (struct op *)(seg->slots + (size_t)slot * RING_SLOT_STRIDE);
}

#endif
