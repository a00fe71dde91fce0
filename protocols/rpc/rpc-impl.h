/* Inside the RPC server: connections, what they receive, what they send. Everything is of one thread. */
#ifndef RPC_RPC_IMPL_H
#define RPC_RPC_IMPL_H

#include "base/list.h"
#include "protocols/rpc/rpc.h"

#define RX_SIZE_FIRST 65536u   /* of a connection's first receive buffer */
#define RX_SIZE_MAX 262144u    /* once it fills that with one read */
#define RX_LOOKAHEAD 4096u     /* received behind a payload: the next call's head */
#define RX_HEAD_MAX 1024u      /* within which a payload's beginning is found */
#define BULK_MIN (1u << 20)    /* bytes of long payloads of one thread on their way to the server, when that only copies */
#define BULK_MAX (16u << 20)   /* and when it waits for a disk */
#define FETCH_MIN (2u << 20)   /* bytes of long payloads that are fetched for answers at once, when that only copies */
#define FETCH_MAX (32u << 20)  /* and when it waits for a disk */
#define RX_BULK_MIN 65536u     /* longer records have their payload received on its own */

#define OUT_DATA_SIZE 64512u
#define OUT_IOVS 160
#define OUT_HELD 64
#define OUT_FLUSH_SIZE 262144u  /* bytes that wait for the end of a batch at most */
#define OUT_SIZE_MAX (4u << 20) /* bytes of one connection's unsent replies, before its reader waits */
#define OUT_SLOW_MAX 16         /* calls and ops of a connection whose socket is full: slots are everyone's */
#define OUT_SPARE_MAX 64        /* unused blocks kept by the server */

/* What was received and not yet consumed: buf->data[head, tail). */
struct rpc_rx {
	struct client_buf *buf; /* NULL while idle */
	uint32_t head;
	uint32_t tail;
	uint32_t size;          /* of the next buffer */
	bool bulk;              /* the last record was long: receive heads only */
};

/* Replies on their way out. iov[first_iov, n_iov) is unsent; runs of data that touch share an entry. */
struct out_block {
	struct out_block *next;
	bool sealed;            /* a write is under way: nothing may be added */
	uint32_t used;          /* of data */
	int first_iov;
	int n_iov;
	uint32_t n_held;
	uint64_t size;          /* bytes referenced */
	struct op *held[OUT_HELD];
	struct iovec iov[OUT_IOVS];
	uint8_t data[OUT_DATA_SIZE];
};

struct rpc_out {
	struct out_block *first, *last;
	uint64_t size;   /* bytes of all blocks */
	uint32_t n_held; /* ops that their payloads keep */
};

/* The last AUTH_SYS credential of a connection, as received and as decoded. */
struct auth_cache {
	uint32_t size; /* 0: none */
	uint8_t raw[RPC_MAX_AUTH_BYTES];
	struct op_cred cred;
};

struct rpc_conn {
	struct rpc_server *server;
	struct list link;          /* in server->conns */
	struct list dirty;         /* in server->dirty while replies wait for the end of the turn */
	struct stream *stream;
	struct rpc_peer peer;
	struct rpc_rx rx;
	struct rpc_out out;
	struct auth_cache auth;
	struct fiber *reader;
	bool reader_waits;         /* parked until a call ended or replies left */
	bool receiving;            /* the reader has started a call for all that came */
	bool writing;              /* the writer fiber is at work */
	bool broken;               /* nothing more can be sent */
	uint32_t n_calls;          /* in flight */
	struct list turn;          /* in server->bulk_waiters */
};

struct rpc_listener {
	struct rpc_server *server;
	struct list link;
	struct listener *listener;
	struct dgram *dgram;
};

struct rpc_server {
	struct loop *loop;
	struct client *client;
	const struct rpc_program *programs;
	uint32_t n_programs;
	struct rpc_config cfg;
	struct list conns;
	struct list listeners;
	struct list dirty;
	struct loop_task flush;    /* runs after this turn's fibers */
	bool flush_posted;
	struct out_block *spare;
	uint32_t n_spare;
	uint32_t n_conns;
	struct rpc_conn *receiver; /* receives a long payload; NULL: nobody */
	struct list bulk_waiters;  /* of rpc_conn.turn: want to */
	uint32_t bulk_size;        /* bytes of long payloads of calls under way */
	uint32_t bulk_max;         /* of those, before more is received */
	struct list fetch_waiters; /* of rpc-answer.c: want to fetch a long payload */
	uint32_t fetch_size;       /* bytes of those that are fetched */
	uint32_t fetch_max;        /* of these, before more are */
	bool stopping;
	struct fiber_join fibers;  /* listeners, datagram receivers, connections, datagram calls */
	struct auth_cache dgram_auth;
	uint8_t *dgram_out;        /* one reply at a time: encoding and sending don't park */
};

/* rpc-rx.c: rpc_rx_next() - the next record, 0 or ERR_EOF, ERR_PROTO, or the stream's error. Parks. */
int rpc_rx_next(struct rpc_conn *c, struct rpc_record *rec);
void rpc_rx_fini(struct rpc_conn *c);
void rpc_record_put(struct client *client, struct rpc_record *rec);

/*
 * rpc-bulk.c: rpc_bulk_begin() - waits until c may receive a long payload; parks; ERR_DISCONNECTED. rpc_bulk_end() - c does not
 * now, fine if it did not. rpc_bulk_started(), rpc_bulk_finished() - a call with such a payload.
 */
int rpc_bulk_begin(struct rpc_conn *c);
void rpc_bulk_end(struct rpc_conn *c);
void rpc_bulk_started(struct rpc_conn *c, struct rpc_record *rec);
void rpc_bulk_finished(struct rpc_conn *c, const struct rpc_record *rec);

/* rpc-answer.c: rpc_answer_end() - rq's turn to fetch ends, if it has one. rpc_answer_next() - lets those fetch who may now. */
void rpc_answer_end(struct rpc_request *rq);
void rpc_answer_next(struct rpc_server *s);

/* rpc-call.c: decodes, runs and answers one call; in a fiber of its own. */
struct rpc_call_start {
	struct rpc_server *server;
	struct rpc_conn *conn;      /* or NULL and */
	struct rpc_listener *via;
	struct rpc_peer *peer;      /* lives as long as the call */
	struct rpc_record *record;  /* taken over */
};
void rpc_call_run(void *start);

/* rpc-msg.c: the headers of calls and replies, bytes only. */
struct rpc_head {
	uint32_t xid;
	struct rpc_call call;
	bool version_ok; /* call is set */
};
/* rpc_head_decode() - false: not a call at all, nothing can be answered. */
bool rpc_head_decode(struct xdr_in *x, struct rpc_head *head);
void rpc_reply_accepted(struct xdr_out *x, uint32_t xid, enum rpc_accept_stat stat);
void rpc_reply_prog_mismatch(struct xdr_out *x, uint32_t xid, uint32_t low, uint32_t high);
void rpc_reply_rpc_mismatch(struct xdr_out *x, uint32_t xid);
void rpc_reply_auth_error(struct xdr_out *x, uint32_t xid, uint32_t auth_stat);

/* rpc-auth.c: AUTH_OK or why not. */
enum rpc_auth_stat rpc_auth_check(struct auth_cache *cache, const struct rpc_call *call, struct op_cred *cred);

/* rpc-out.c */
void rpc_out_begin(struct rpc_conn *c, struct xdr_out *x);
/* rpc_out_grow() - after ERR_TOOSMALL: an empty block, for another try. False when it was empty already or none can be had. */
bool rpc_out_grow(struct rpc_conn *c, struct xdr_out *x);
/* rpc_out_commit() - takes what x holds over, with rq's held ops. Sent at the end of the turn. */
void rpc_out_commit(struct rpc_conn *c, struct xdr_out *x, struct rpc_request *rq);
void rpc_out_flush(struct rpc_conn *c);
void rpc_out_fini(struct rpc_conn *c);

/* rpc-conn.c */
void rpc_conn_start(struct rpc_server *s, struct stream *stream);
void rpc_conn_wake_reader(struct rpc_conn *c);
/* rpc_conn_call_ended() - one of those in flight; its reply, if any, was committed. */
void rpc_conn_call_ended(struct rpc_conn *c);
void rpc_conn_break(struct rpc_conn *c);

/* rpc-server.c */
void rpc_server_flush_later(struct rpc_server *s, struct rpc_conn *c);
uint64_t rpc_peer_hash(const struct net_addr *addr);

/* rpc-dgram.c */
void rpc_dgram_receive(void *listener);
void rpc_dgram_send(struct rpc_listener *via, const struct rpc_peer *peer, const struct xdr_out *x);

/* A flat list of the pieces of an encoded message; returns how many, -1 when max is too few. */
int rpc_gather(const struct xdr_out *x, struct iovec *iov, int max);

#endif
