/*
 * ONC RPC version 2 (RFC 5531), the server's side: what a program (NFS, MOUNT, rpcbind) gives, and what
 * a handler gets. One rpc_server per loop (thread); it owns listeners and connections, takes records in, runs each
 * call in a fiber of its own and gathers replies, so that calls are answered in the order they finish.
 *
 * A call's bytes stay where they were received until its handler returned: byte strings and payloads of the
 * arguments are references into them. Read data leaves by reference: rpc_hold() keeps the op until it is sent.
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "client/client.h"
#include "loop/loop.h"
#include "op/op.h"
#include "protocols/rpc/rpc-xdr.h"
#include "protocols/rpc/xdr.h"

#define RPC_DATA_MAX (1u << 20)               /* bytes of payload in one call or reply */
#define RPC_RECORD_MAX (RPC_DATA_MAX + 8192)  /* bytes of one record; a peer that sends more is cut off */
#define RPC_DGRAM_MAX 65507                   /* bytes of one UDP message */
#define RPC_ARGS_MAX 1024                     /* bytes of a C struct of arguments or results */
#define RPC_CHUNK_SIZE 65536u                  /* of those buffers: what the client library calls a chunk */
#define RPC_CHUNKS_MAX 18                     /* buffers of a payload that was received on its own */
#define RPC_HELD_MAX 4

struct rpc_server;
struct rpc_conn;

/* Who calls. One per connection; for datagrams one per call. */
struct rpc_peer {
	struct net_addr addr;
	struct net_addr local;
	uint64_t id;              /* of address and port, the same in every process: keys the replay cache */
	bool stream;
	void *user;               /* the programs', as rpc_config.peer left it; NULL for datagrams */
	_Alignas(16) uint8_t cache[256]; /* for the programs: zero at first */
};

/* Where a record's bytes are. */
struct rpc_record {
	const uint8_t *data;     /* the record, or what comes before a payload that was received on its own */
	uint32_t size;
	uint32_t offset;         /* of data in buf */
	struct client_buf *buf;  /* one reference */
	uint32_t n_chunks;       /* 0: the payload is in data too */
	uint32_t payload_size;
	uint32_t skew;           /* of the payload's first byte in chunks[0] */
	uint64_t since_ns;       /* when the call with that payload began; loop clock */
	struct client_buf *chunks[RPC_CHUNKS_MAX];
};

/* Where a call's payload begins, found from the first bytes of its record. */
struct rpc_payload {
	uint32_t offset;      /* in the record */
	uint32_t size;
	uint64_t file_offset; /* so that chunks line up with the file's */
};

struct rpc_request {
	struct client *client;
	struct rpc_peer *peer;
	const struct rpc_program *program;
	uint32_t xid;
	uint32_t procedure;
	uint32_t flavor;            /* AUTH_NONE or AUTH_SYS */
	uint32_t auth_stat;         /* a handler that answers RPC_DENIED sets it to an enum rpc_auth_stat */
	struct op_cred cred;        /* as the caller says; nobody for AUTH_NONE */
	struct rpc_record record;
	struct arena arena;         /* freed when the reply is encoded */
	struct op *held[RPC_HELD_MAX];
	uint32_t n_held;
	struct client_buf *held_buf;
	struct iovec iov[OP_SEGS_MAX]; /* for the reply's payload */
	struct rpc_conn *conn;      /* NULL: a datagram */
	uint32_t fetch_size;        /* of rpc_answer_begin(); 0: not called */
	uint64_t fetch_since_ns;
};

/* Beside enum rpc_accept_stat: reject with rq->auth_stat. */
#define RPC_DENIED 0x100

/*
 * A handler runs in the call's fiber and may park. args and res are the procedure's structs; res is not
 * zeroed. Answers an enum rpc_accept_stat or RPC_DENIED; only with RPC_SUCCESS is res encoded.
 */
typedef int rpc_handler(struct rpc_request *rq, const void *args, void *res);

struct rpc_procedure {
	rpc_handler *fn;
	/* NULL: as the description says. Otherwise encodes res, which can then be any struct up to RPC_ARGS_MAX. */
	void (*encode)(struct xdr_out *x, const void *res);
};

/* One version of one program. */
struct rpc_program {
	const struct xdr_version *xdr;
	const struct rpc_procedure *procs; /* by number, xdr->n_procs of them */
	/* x stands at the arguments: true when they end in a payload, which place then describes. NULL: they never do. */
	bool (*find_payload)(uint32_t procedure, struct xdr_in *x, struct rpc_payload *place);
	void *arg; /* for the handlers */
};

/*
 * rpc_hold() - op lives until the reply is encoded, or, if its results have a payload by reference, was sent.
 * ERR_NOSPC past RPC_HELD_MAX: op is put. rpc_hold_buf() - the same for one buffer, until the reply is encoded.
 */
int rpc_hold(struct rpc_request *rq, struct op *op);
void rpc_hold_buf(struct rpc_request *rq, struct client_buf *buf);

/*
 * rpc_answer_begin() - before fetching size bytes of payload for the answer: parks until it is rq's turn, which ends with the
 * call. rpc_answer_fetched() - they are there, copied for it or shared: that and how long it took says how many may at once.
 */
void rpc_answer_begin(struct rpc_request *rq, uint32_t size);
void rpc_answer_fetched(struct rpc_request *rq, bool copied);

/* rpc_replay_key() - of xid and the call's bytes, the same for a retransmission; never 0. */
uint64_t rpc_replay_key(const struct rpc_request *rq);

/* rpc_add_payload() - appends the payload of rq's arguments, from its own offset on, to op. ERR_INVAL: too many pieces. */
int rpc_add_payload(struct rpc_request *rq, struct op *op, const struct xdr_bulk *payload, uint32_t size);

struct rpc_config {
	uint32_t max_connections; /* more are closed at once; 0: 4,096 */
	uint32_t max_calls;       /* in flight per connection; 0: 128 */
	uint32_t idle_ms;         /* a connection without a call is closed after; 0: 360,000 */
	uint32_t stall_ms;        /* a peer that stops inside a call, or doesn't take replies, is cut off after; 0: 30,000 */
	/* A connection has come, or is about to go. Must not park. NULL: nobody wants to know. */
	void (*peer)(void *arg, struct rpc_peer *peer, bool connected);
	void *arg;
};

/* rpc_server_create() - on the current loop. programs stay the caller's and must outlive the server. */
int rpc_server_create(struct rpc_server **s, struct client *client, const struct rpc_program *programs,
		      uint32_t n_programs, const struct rpc_config *cfg);
/* rpc_server_destroy() - closes listeners and connections, waits for calls in flight. Parks. NULL is fine. */
void rpc_server_destroy(struct rpc_server *s);

/* rpc_listen() - TCP, shared with other threads. rpc_listen_dgram() - UDP. bound: where, if not NULL. */
int rpc_listen(struct rpc_server *s, const struct net_addr *addr, bool share, struct net_addr *bound);
int rpc_listen_dgram(struct rpc_server *s, const struct net_addr *addr, struct net_addr *bound);

/* rpc_peer_is_loopback(), rpc_peer_is_secure() - by address; by a port below 1024. */
bool rpc_peer_is_loopback(const struct rpc_peer *peer);
bool rpc_peer_is_secure(const struct rpc_peer *peer);

#endif
