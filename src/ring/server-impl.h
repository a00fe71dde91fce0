/*
 * Inside the ring's server side. Life of an attachment: server-attach.c creates it in a fiber of the first
 * loop, which then owns it and waits for the connection's end; server-poll.c serves it on its own loop;
 * the owner frees it once that loop says that nothing of it runs any more.
 */
#ifndef RING_SERVER_IMPL_H
#define RING_SERVER_IMPL_H

#include "base/list.h"
#include "base/spinlock.h"
#include "ring/ring.h"
#include "ring/segment.h"
#include "ring/server.h"

struct ring_server {
	struct ring_server_config config;
	struct listener *listener;
	struct list attachments;
	uint32_t n_attachments;
	uint32_t n_handshakes;
	uint32_t n_strangers;       /* handshakes of users who may not attach */
	uint32_t n_fibers;          /* acceptor and connections */
	uint32_t *per_loop;         /* attachments of each loop */
	struct fiber *stopping;     /* in ring_server_stop() */
	uint64_t next_id;
};

/* What chimerad knows of a slot: the client cannot write it. */
struct ring_server_slot {
	bool running;
	struct vfs_pins pins;
};

/* A request on its way through the server: the private copy and where its payload lies. */
struct ring_request {
	struct op op;
	struct vfs_payload payload;
	uint32_t slot;
	struct ring_request *next_free;
};

struct ring_attachment {
	/* the owner's, on the first loop */
	struct ring_server *server;
	struct list link;
	struct stream *stream;
	struct fiber *owner;
	struct ring_peer peer;
	uint64_t id;
	uint64_t attached_ns;
	uint32_t loop_index;
	int client_fd; /* the client's end of the doorbell, until it was passed */
	bool ended;

	/* constant */
	struct loop *loop;
	void *session;
	struct ring_segment seg;

	/* the attachment's loop */
	struct loop_poller poller;
	struct ring_consumer sq;
	struct ring_producer cq;
	struct ring_server_slot *slots;
	struct ring_request *free_requests;
	uint32_t n_free_requests;
	int budget;            /* entries that may still be taken this turn */
	uint32_t n_running;    /* chains being served */
	bool ending;           /* nothing more is taken */
	bool broken;           /* it broke a rule: nothing more is answered */
	struct fiber *finisher; /* waits for n_running to be 0 */
	struct loop_task begin_task, end_task;
	uint64_t n_ops, n_batches, n_wakeups;

	/* from the attachment's loop to the first */
	struct loop_task broken_task; /* close the connection */
	struct loop_task ended_task;  /* nothing of it runs any more */

	/* any thread, under event_lock */
	struct spinlock event_lock;
	struct ring_producer events;
	bool event_overflow;
	uint64_t n_events, n_events_lost;
	struct doorbell bell;    /* watched on a's loop, rung from any thread */
};

/* server-poll.c */
int ring_attachment_init_rings(struct ring_attachment *a);
void ring_attachment_begin(struct ring_attachment *a); /* first loop: a's loop starts to serve it */
void ring_attachment_end(struct ring_attachment *a);   /* first loop: a's loop ends a, then a->ended is set and the owner woken */
void ring_attachment_free_rings(struct ring_attachment *a);

/* server-attach.c */
void ring_attachment_broken(struct ring_attachment *a, const char *why); /* on a's loop: a rule was broken */

/* server-request.c */
/*
 * ring_request_take() - copies the request in its slot once, bounds everything in the copy and finds its
 * payload. ERR_PROTO: a rule was broken. Afterwards nothing needs to look at the slot.
 */
int ring_request_take(struct ring_attachment *a, struct ring_request *r);
/* ring_request_answer() - writes the answer into the slot. */
void ring_request_answer(struct ring_attachment *a, const struct ring_request *r);

#endif
