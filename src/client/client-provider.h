/*
 * What a transport provides to the client library. There are two: client-ring.c reaches a chimerad through
 * shared memory, client-local.c calls the VFS of this process.
 *
 * client.c keeps the free ops and who waits for one; a provider embeds struct client at the head of
 * its own, makes ops when asked, runs chains, and resolves payload. Everything is on the client's loop.
 */
#ifndef CLIENT_CLIENT_PROVIDER_H
#define CLIENT_CLIENT_PROVIDER_H

#include "base/list.h"
#include "client/client.h"

#define CLIENT_SLOTS 256u
#define CLIENT_ARENA_SIZE (32u << 20)
#define CLIENT_RECONNECT_MS 30000u

struct client_provider {
	bool adopts; /* BUF_CHUNK saves a copy */
	/* Runs ops as one chain and sets their status; parks. call() - one op, and answers that. */
	void (*run)(struct client *c, struct op **ops, unsigned n);
	int (*call)(struct client *c, struct op *op);
	/* Gives back what the answer holds; op is free afterwards. */
	void (*put)(struct client *c, struct op *op);
	/* One more op than there were, NULL: there are no more. May be NULL itself. */
	struct op *(*grow)(struct client *c);
	/* The memory of a segment, NULL if it is outside everything. */
	const uint8_t *(*resolve)(struct client *c, const struct op *op, const struct op_seg *seg);
	/* A buffer with one reference, NULL: none left; and its end. */
	struct client_buf *(*buf_alloc)(struct client *c, uint32_t size, unsigned flags);
	void (*buf_free)(struct client *c, struct client_buf *buf);
	/* Hands over the events that have come. */
	void (*take_events)(struct client *c);
	/* Waits for calls in flight and frees c. Parks. */
	void (*detach)(struct client *c);
};

struct client {
	const struct client_provider *provider;
	struct client_config config; /* zeros replaced by defaults; name points to `name` */
	char name[32];
	struct loop *loop;
	struct op **free_ops;        /* n_free of them; room for config.n_slots */
	uint32_t n_free;
	struct list op_waiters;
	struct list buf_waiters;
};

/* client_init() - of the embedded part. ERR_NOMEM. client_fini() undoes it. */
int client_init(struct client *c, const struct client_provider *provider, const struct client_config *cfg);
void client_fini(struct client *c);

/* client_wait() - parks until client_wake() takes the caller off the list. client_wake_all() - everybody. */
void client_wait(struct list *waiters);
void client_wake(struct list *waiters);

#endif
