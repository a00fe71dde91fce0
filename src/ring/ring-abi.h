/*
 * The shared segment between chimerad and one thread of a daemon: what lies where, who writes what.
 *
 * One memfd, made and sized by chimerad, sealed against shrinking and growing:
 *
 *   struct ring_shared        one page: identity, limits, the four index lines, the need-wakeup flags
 *   u32 sq[n_entries]         submission ring, written by the client
 *   u32 cq[n_entries]         completion ring, written by chimerad
 *   struct op_event ev[]      event ring, written by chimerad
 *   slots                     n_slots of slot_stride bytes, each one struct op
 *   arena                     client_arena_size bytes, managed by the client: payload to chimerad
 *
 * Rules (those of io_uring). Indices run freely over 2^32 and are masked on use; each has one writer.
 * n_entries is at least twice n_slots: a release and a submission of each slot have room, so a producer never waits.
 * The producer fills entries, then publishes its tail with a release store, once per batch; the
 * consumer reads the tail with acquire, then the entries, then publishes its head with release.
 * A ring is full when tail - head == n_entries. A tail that is further than n_entries ahead, a slot
 * out of range or already in flight is a violation: chimerad ends the attachment, nothing else.
 *
 * A submission entry is a slot index, or with RING_SQ_RELEASE the slot whose read references are
 * given back (no completion follows). A chain is consecutive entries whose ops carry OP_F_CHAIN, all
 * but the last. Completions come in any order between chains, in order within one.
 *
 * Sleeping. A side about to sleep sets its need-wakeup flag (sequentially consistent), looks at its
 * ring once more, then waits for its doorbell. A side that published looks at the other's flag after
 * a full barrier and rings the doorbell if it is set. So a wake-up is never lost and under load no
 * system call is made.
 *
 * Offsets, never pointers. chimerad trusts nothing in here: it copies a request out once, validates
 * the copy and uses only the copy; it keeps its own heads, tails, slot states and pins in private memory.
 */
#ifndef RING_RING_ABI_H
#define RING_RING_ABI_H

#include <stdatomic.h>

#include "op/op.h"

#define RING_MAGIC 0x52494843u /* "CHIR" */
#define RING_ABI_VERSION 2u
#define RING_ENTRIES_MAX 1024u
#define RING_EVENTS 256u
#define RING_SQ_RELEASE 0x80000000u

/* An odd number of cache lines: headers of neighbouring slots fall in different cache sets. */
#define RING_SLOT_STRIDE (((sizeof(struct op) + 63) / 64 | 1) * 64)

struct ring_index {
	_Alignas(64) _Atomic uint32_t value;
};

struct ring_shared {
	uint32_t magic;
	uint32_t abi_version;
	uint32_t n_entries; /* of sq and cq; a power of two */
	uint32_t n_slots;
	uint32_t n_events;
	uint32_t slot_stride;
	uint64_t sq_offset; /* all offsets in bytes from the segment's start */
	uint64_t cq_offset;
	uint64_t event_offset;
	uint64_t slot_offset;
	uint64_t arena_offset;
	uint64_t arena_size;
	uint64_t segment_size;
	struct ring_index sq_tail; /* client writes */
	struct ring_index sq_head; /* chimerad writes */
	struct ring_index cq_tail; /* chimerad writes */
	struct ring_index cq_head; /* client writes */
	struct ring_index event_tail; /* chimerad writes */
	struct ring_index event_head; /* client writes */
	struct ring_index server_sleeps; /* chimerad writes: 1: ring my doorbell after publishing */
	struct ring_index client_sleeps; /* client writes */
};

/*
 * The attach conversation on chimerad's attach socket, one packet each way, little-endian.
 * Client: struct ring_hello. chimerad: struct ring_welcome with, if status is 0, three descriptors:
 * segment memfd, the client's end of the doorbell (a socket pair: a byte rings the other side), page
 * arena memfd (absent for an isolated attachment: two). The connection stays open: its end is the peer's death.
 */
struct ring_hello {
	uint32_t magic;
	uint32_t abi_version;
	uint32_t role;      /* enum ring_role */
	uint32_t n_slots;   /* wanted; chimerad bounds it */
	uint64_t arena_size; /* wanted; chimerad bounds it */
	uint64_t session;   /* 0, or the session id of before: says that this is the same thread, attaching again */
	char name[32];      /* program and thread, for `chimeractl ring list`; NUL-terminated */
};

struct ring_welcome {
	uint32_t magic;
	uint32_t abi_version;
	int32_t status; /* 0 or ERR_*: ERR_ACCES role not allowed to this user, ERR_PROTO, ERR_NOSPC too many */
	uint32_t isolated;
	uint64_t session;
	uint64_t segment_size;
	uint64_t pages_size;
	uint64_t boot_id; /* differs after each start of chimerad */
};

#endif
