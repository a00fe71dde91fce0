/*
 * A small NFSv3 client for simulations: one call at a time over TCP, sent again under its xid on a new
 * connection until it is answered. Every function parks and answers the NFS status, or a negative ERR_*.
 */
#ifndef SIM_NFS_CALL_H
#define SIM_NFS_CALL_H

#include "loop/loop.h"

#define NFS_FH_MAX 64
#define NFS_TRIES 200

struct nfs_fh {
	uint32_t size;
	uint8_t bytes[NFS_FH_MAX];
};

struct nfs_caller {
	const struct net_addr *addr;
	struct stream *stream; /* NULL: not connected */
	uint16_t port;         /* ours */
	uint32_t xid;
	unsigned n_calls;
	unsigned n_again; /* calls sent again */
};

int nfs_lookup(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, struct nfs_fh *fh);
int nfs_create(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, struct nfs_fh *fh); /* GUARDED */
int nfs_mkdir(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, struct nfs_fh *fh);
int nfs_remove(struct nfs_caller *c, const struct nfs_fh *dir, const char *name);
int nfs_rename(struct nfs_caller *c, const struct nfs_fh *dir, const char *name, const char *to);
int nfs_write(struct nfs_caller *c, const struct nfs_fh *fh, uint64_t offset, const void *data, uint32_t size);
/* nfs_read() - from the start, at most room bytes. */
int nfs_read(struct nfs_caller *c, const struct nfs_fh *fh, void *data, uint32_t room, uint32_t *size);
void nfs_hang_up(struct nfs_caller *c);

#endif
