/*
 * The little of ONC RPC, MOUNT and NFSv3 that the load generator speaks: encoding calls once, so that they can be
 * replayed with fresh xids, and a synchronous call for setting up its files. Encoders follow RFC 1813 and RFC 5531.
 */
#ifndef BENCH_NFS3_RPC_H
#define BENCH_NFS3_RPC_H

#include <netinet/in.h>

#include "base/cursor.h"

enum {
	RPC_PROG_PORTMAP = 100000,
	RPC_PROG_NFS = 100003,
	RPC_PROG_MOUNT = 100005,
	NFS3_FHSIZE = 64,
	RPC_HEAD_MAX = 512,       /* every call without its payload fits */
	RPC_XID_OFFSET = 4,       /* of the xid in an encoded call: after the record mark */
	RPC_ACCEPTED_SIZE = 24,   /* reply header with an empty verifier, without the record mark */
};

enum nfs3_proc {
	NFS3_NULL = 0,
	NFS3_GETATTR = 1,
	NFS3_LOOKUP = 3,
	NFS3_READ = 6,
	NFS3_WRITE = 7,
	NFS3_CREATE = 8,
	NFS3_MKDIR = 9,
};

struct nfs3_fh {
	uint32_t size;
	uint8_t data[NFS3_FHSIZE];
};

/* One call, ready to send: head, then payload_size bytes of payload that are the same for all calls. */
struct rpc_call {
	uint8_t head[RPC_HEAD_MAX];
	uint32_t head_size;
	uint32_t payload_size;
};

/* call_null() .. call_create() - encode one NFSv3 call with AUTH_SYS, its record mark in front; xid is left 0. */
void call_null(struct rpc_call *call);
void call_getattr(struct rpc_call *call, const struct nfs3_fh *fh);
void call_lookup(struct rpc_call *call, const struct nfs3_fh *dir, const char *name);
void call_read(struct rpc_call *call, const struct nfs3_fh *fh, uint64_t offset, uint32_t count);
enum { WRITE3_UNSTABLE = 0, WRITE3_FILE_SYNC = 2 };
void call_write(struct rpc_call *call, const struct nfs3_fh *fh, uint64_t offset, uint32_t count, uint32_t stable);
void call_create(struct rpc_call *call, const struct nfs3_fh *dir, const char *name);
void call_mkdir(struct rpc_call *call, const struct nfs3_fh *dir, const char *name);

/* call_set_xid() - patches an encoded call. */
void call_set_xid(struct rpc_call *call, uint32_t xid);

/* rpc_connect() - a blocking TCP connection with TCP_NODELAY; exits with a message when that fails. */
int rpc_connect(const struct sockaddr_in *addr);
/* rpc_connect_udp() - a UDP socket for the calls below, which send again what is not answered. */
int rpc_connect_udp(const struct sockaddr_in *addr);

/*
 * rpc_transact() - sends call with its payload and receives the reply, whose results are left in reply, a
 * cursor on static memory that the next call overwrites. Exits with a message unless the call was accepted.
 */
void rpc_transact(int fd, struct rpc_call *call, const void *payload, struct cursor *reply);
/* rpc_repeat() - the same with the xid that the call had last: a retransmission. */
void rpc_repeat(int fd, struct rpc_call *call, const void *payload, struct cursor *reply);

/* portmap_getport() - over fd, a connection to a port mapper: the port of a program, 0 if it is not registered. */
uint16_t portmap_getport(int fd, uint32_t prog, uint32_t vers, uint32_t ip_protocol);

/* mount_export() - MOUNT v3 MNT of path over fd; exits with a message on failure. */
void mount_export(int fd, const char *path, struct nfs3_fh *root);

/* reply_status() - takes the nfsstat3 of a reply; exits naming what when it is not NFS3_OK. */
void reply_status(struct cursor *reply, const char *what);
/* reply_new_fh() - the handle out of CREATE3res or MKDIR3res; exits when the server gave none. */
void reply_new_fh(struct cursor *reply, struct nfs3_fh *fh);

#endif
