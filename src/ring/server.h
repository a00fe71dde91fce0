/*
 * chimerad's side of the ring: the attach socket, and one attachment per thread of each daemon. It
 * copies, bounds and gathers what clients submit, and hands chains of private ops to `serve`.
 *
 * A client that breaks a rule of ring-abi.h loses its attachment and nothing else happens. Every
 * attachment belongs to one loop; the server spreads them and does a bounded amount for each in a turn.
 */
#ifndef RING_SERVER_H
#define RING_SERVER_H

#include <sys/types.h>

#include "loop/loop.h"
#include "op/step.h"
#include "ring/ring-abi.h"

struct ring_server;
struct ring_attachment;

#define RING_NAME_SIZE 32

struct ring_peer {
	uint32_t role; /* enum ring_role */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	uint64_t session_before; /* as the client said; 0: none */
	char name[RING_NAME_SIZE];
	bool isolated;           /* set by admit() */
};

struct ring_server_ops {
	/* May this peer attach? 0, ERR_ACCES. Sets peer->isolated. Asked first with role 0, of the user alone. In a fiber of the server's first loop. */
	int (*admit)(void *arg, struct ring_peer *peer);
	/* The session that serves a; its number in *id. In the same fiber; may park. */
	int (*open)(void *arg, struct ring_attachment *a, const struct ring_peer *peer, void **session, uint64_t *id);
	/* Runs a chain, as vfs_run(): in a fiber of the attachment's loop; may park. */
	void (*serve)(void *session, struct vfs_step *steps, unsigned n);
	/* Gives the pages of an answered read back. Doesn't park. */
	void (*release)(void *session, struct vfs_pins *pins);
	/* The attachment has ended, nothing of it runs. On the attachment's loop; may park. */
	void (*close)(void *session);
};

struct ring_server_config {
	const char *socket_path;
	struct loop **loops;      /* attachments are spread over them; the socket is served by the first */
	uint32_t n_loops;
	uint32_t attachments_max; /* 0: 256 */
	uint64_t arena_max;       /* bytes of arena that one attachment may ask for; 0: 256 MiB */
	int pages_fd;             /* the page arena; isolated attachments don't get it */
	uint64_t pages_size;
	uint64_t boot_id;
	const struct ring_server_ops *ops;
	void *arg;
};

/* ring_server_start() - listens, serves in fibers of the first loop. In a fiber of it. ERR_ADDRINUSE; what cfg points to must outlive the server. */
int ring_server_start(struct ring_server **server, const struct ring_server_config *cfg);

/* ring_server_drain() - no new attachments; tells the others OP_EVENT_DRAIN. */
void ring_server_drain(struct ring_server *server);

/* ring_server_stop() - ends every attachment once what it runs is answered, and frees server. On the first loop; parks. */
void ring_server_stop(struct ring_server *server);

/* ring_attachment_event() - tells the client, or marks its event ring as overflown. Any thread. */
void ring_attachment_event(struct ring_attachment *a, const struct op_event *event);

/* For listings. Counters are read without synchronisation. */
struct ring_status {
	struct ring_peer peer;
	uint64_t id;
	uint64_t attached_ns; /* loop clock */
	uint32_t n_slots;
	uint32_t n_running;   /* chains */
	uint64_t arena_size;
	uint64_t n_ops;
	uint64_t n_batches;   /* times that the submission ring held something */
	uint64_t n_wakeups;   /* doorbells rung for the client */
	uint64_t n_events;
	uint64_t n_events_lost;
	uint32_t loop;        /* index into config.loops */
};

typedef bool ring_status_fn(void *arg, const struct ring_status *st);
/* ring_server_each() - in order of attaching; false ends the walk. On the first loop; fn must not park. */
void ring_server_each(struct ring_server *server, ring_status_fn *fn, void *arg);

#endif
