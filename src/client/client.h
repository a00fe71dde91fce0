/*
 * The client library: one call set for everything that uses the VFS - protocol servers, FUSE, tools -
 * over two transports. "ring" reaches a chimerad in another process through shared memory; "local"
 * calls the VFS in this process. Code above cannot tell which.
 *
 * One client per loop (thread); every call below is made on that thread, those that park from a fiber.
 *
 * A request: op = client_op(c, OP_getattr); fill op->cred, op->obj, op->in; client_call(c, op); read
 * op->status and op->out; client_op_put(c, op). A chain: the same with several ops and
 * client_call_chain(). Between call and put the op's memory stays as answered, and read data is pinned.
 *
 * If chimerad goes away, calls in flight wait until it is back (reconnect_ms) and are then submitted again
 * by the library: idempotent ones as they are, others protected by their replay key. Only after
 * that time do they answer ERR_DISCONNECTED. Open ids do not survive (ERR_BADHANDLE: open again).
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <sys/uio.h>

#include "loop/loop.h"
#include "op/op.h"

struct client;
struct vfs;

struct client_config {
	const char *name;       /* for listings: "nfsd/0" */
	uint32_t role;          /* enum ring_role */
	uint32_t n_slots;       /* ops in flight at most; 0: 256 */
	uint64_t arena_size;    /* bytes for payload to chimerad; 0: 32 MiB */
	uint32_t reconnect_ms;  /* how long calls wait for chimerad to come back; 0: 30,000 */
	/* Called on the loop's thread, for each event; must not park. NULL: events are dropped. */
	void (*event)(void *arg, const struct op_event *event);
	/* After a re-attach, before calls are submitted again; in a fiber. */
	void (*reattached)(void *arg);
	void *arg;
};

/* client_attach() - the ring, through chimerad's attach socket. Parks. ERR_CONNREFUSED or ERR_NOENT: no chimerad; ERR_ACCES. */
int client_attach(struct client **c, const char *socket_path, const struct client_config *cfg);

/* client_local() - the VFS of this process, on the current loop. */
int client_local(struct client **c, struct vfs *vfs, const struct client_config *cfg);

/* client_detach() - waits for calls in flight; parks. */
void client_detach(struct client *c);

/* client_op() - an empty op of that code, cred not set. Parks while all slots are in use. */
struct op *client_op(struct client *c, enum op_code code);

/* client_op_put() - gives op and the pages it pinned back. NULL is fine. */
void client_op_put(struct client *c, struct op *op);

/* client_call() - runs op; parks until it is answered. Returns op->status. */
int client_call(struct client *c, struct op *op);

/*
 * client_call_chain() - runs n ops (at most OP_CHAIN_MAX) one after the other on the server in one crossing; the library sets
 * OP_F_CHAIN, the caller OP_F_PREV. Returns the first failure; ops after it have ERR_CANCELED.
 */
int client_call_chain(struct client *c, struct op **ops, unsigned n);

/*
 * client_op_iov() - the payload of an answered read (or of the op's own segments) as memory to read from:
 * fills up to OP_SEGS_MAX entries, returns how many. Bounds are checked. Valid until client_op_put().
 */
int client_op_iov(struct client *c, const struct op *op, struct iovec iov[OP_SEGS_MAX]);

/*
 * Payload buffers: memory that the server can reach. Reference-counted, this thread only.
 * size is up to 1 MiB; BUF_CHUNK: exactly PAGE_CHUNK_SIZE bytes, aligned so, that a backend may adopt
 * as a whole (the bytes must not be changed after the call that carried them). NULL when the arena
 * is exhausted: the caller stops reading from its peer until client_buf_wait() returns.
 */
struct client_buf {
	uint8_t *data;
	uint32_t size;
	uint32_t region; /* enum op_region */
	uint64_t offset; /* as op_seg.offset */
	uint32_t n_refs;
};

enum { BUF_CHUNK = 1 };

struct client_buf *client_buf_alloc(struct client *c, uint32_t size, unsigned flags);
struct client_buf *client_buf_get(struct client_buf *buf);
void client_buf_put(struct client *c, struct client_buf *buf);
void client_buf_wait(struct client *c); /* parks until a buffer was given back */

/* client_op_seg() - appends size bytes of buf at offset to op's payload; the caller keeps its reference until the answer. ERR_INVAL past OP_SEGS_MAX. */
int client_op_seg(struct op *op, const struct client_buf *buf, uint32_t offset, uint32_t size);

/* client_can_adopt() - true where BUF_CHUNK buffers save a copy (local transport). */
bool client_can_adopt(const struct client *c);

struct loop *client_loop(const struct client *c);

/*
 * client_take_events() - hands over now, not at the loop's next turn, the events that chimerad has sent: whoever
 * calls it before a decision decides by everything that was changed before. Cheap when there are none. In a fiber; doesn't park.
 */
void client_take_events(struct client *c);

#endif
