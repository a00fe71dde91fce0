/*
 * The allocator of payload buffers: buddies between 4 KiB and 1 MiB in one stretch of memory. Its books
 * are private, so the other side of a ring can't spoil them. One thread. Nothing parks.
 */
#ifndef CLIENT_CLIENT_BUF_H
#define CLIENT_CLIENT_BUF_H

#include "base/list.h"
#include "client/client.h"

#define BUF_UNIT 4096u
#define BUF_ORDERS 9 /* 4 KiB << 8 is 1 MiB */
#define BUF_QUICK 16 /* freed buffers of one size that are kept whole */

struct buf_unit;

struct buf_arena {
	uint8_t *base;
	uint64_t size;
	uint64_t first_offset; /* client_buf.offset of base */
	uint32_t n_units;
	struct buf_unit *units;
	struct list free[BUF_ORDERS];
	struct buf_unit *quick[BUF_ORDERS][BUF_QUICK]; /* last in, first out: still in the cache */
	uint32_t n_quick[BUF_ORDERS];
};

/* buf_arena_init() - over size bytes at base, a multiple of BUF_UNIT, which stay the caller's. ERR_NOMEM. */
int buf_arena_init(struct buf_arena *a, uint8_t *base, uint64_t size, uint64_t first_offset);
void buf_arena_fini(struct buf_arena *a);

/* buf_arena_alloc() - with one reference; NULL: over 1 MiB, or nothing left. */
struct client_buf *buf_arena_alloc(struct buf_arena *a, uint32_t size);
void buf_arena_free(struct buf_arena *a, struct client_buf *buf);

/* buf_arena_each() - every buffer in use. */
void buf_arena_each(struct buf_arena *a, void (*fn)(void *arg, struct client_buf *buf), void *arg);

#endif
