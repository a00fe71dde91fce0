/*
 * The ring transport: client-ring.c submits and reaps, client-reconnect.c makes the attachment and, when
 * chimerad went away, the next one in its place. Everything is on the client's loop.
 */
#ifndef CLIENT_CLIENT_RING_H
#define CLIENT_CLIENT_RING_H

#include "client/client-buf.h"
#include "client/client-provider.h"
#include "ring/ring.h"
#include "ring/segment.h"

/* chimerad's page arena, mapped read-only. One of before stays mapped while answers refer to it. */
struct ring_pages {
	const uint8_t *base; /* NULL: none, the attachment is isolated */
	uint64_t size;
	uint32_t n_answers;  /* ops answered under this attachment and not yet put */
};

/* A chain in flight, on the stack of the fiber that waits for it. */
struct ring_call {
	struct op **ops;
	unsigned n;
	unsigned n_left;
	struct fiber *fiber;
	struct list link;
};

/* What the library knows of a slot, apart from what chimerad can write. */
struct ring_slot {
	struct ring_call *call;   /* NULL: not in flight */
	struct ring_pages *pages; /* answered, not yet put: under this attachment */
	struct client_buf *room;  /* for an isolated attachment's read */
	uint16_t n_segs;          /* as submitted */
};

struct ring_client {
	struct client c;
	struct ring_segment seg;
	struct ring_producer sq;
	struct ring_consumer cq;
	struct ring_consumer events;
	struct doorbell bell;        /* rings chimerad, and is rung by it */
	struct loop_poller poller;
	struct ring_slot *slots;
	struct buf_arena arena;
	struct ring_pages *pages;
	struct list calls;           /* in flight, in order of submission */
	struct list stranded;        /* of before a loss: until the user's callback is done */
	struct list idle_waiters;    /* client_detach() */

	/* client-reconnect.c */
	char *socket_path;
	struct stream *stream;
	bool attached;               /* chains can be submitted */
	bool gave_up;                /* reconnect_ms have passed: calls fail at once */
	bool closing;
	struct fiber *keeper;        /* NULL: ended */
	struct loop_timer retry;
	uint64_t session;
	uint64_t lost_ns;            /* when the last attachment ended */
};

/* ring_client_begin() - starts over with empty rings in rc->seg. ring_client_reap() - takes what was completed. */
void ring_client_begin(struct ring_client *rc);
int ring_client_reap(struct ring_client *rc);
/* ring_client_submit() - a chain, as its ops are now. */
void ring_client_submit(struct ring_client *rc, struct ring_call *call);
/* ring_client_fail() - every call in flight is answered with err. */
void ring_client_fail(struct ring_client *rc, int err);
void ring_pages_put(struct ring_client *rc, struct ring_pages *pages);

/* ring_client_connect() - the first attachment; parks. ring_client_disconnect() - ends the last, and frees what they had. Parks. */
int ring_client_connect(struct ring_client *rc);
void ring_client_disconnect(struct ring_client *rc);
/* ring_client_lost() - the other side broke a rule or is gone: the keeper attaches anew. */
void ring_client_lost(struct ring_client *rc);

/* reconnect_delay_ns() - how long to wait after n failed attempts in a row. */
uint64_t reconnect_delay_ns(uint32_t n);

#endif
