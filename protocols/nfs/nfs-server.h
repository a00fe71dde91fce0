/*
 * chimera-nfsd as a library: one NFS server per loop (thread). It speaks rpcbind, MOUNT and NFSv3 on its
 * sockets and the op set on a client (client/client.h), which it gets from whoever hosts it: the daemon attaches to
 * the ring, chimerad hands out its own VFS.
 */
#ifndef NFS_NFS_SERVER_H
#define NFS_NFS_SERVER_H

#include "client/client.h"

struct nfs_server;

struct nfs_config {
	const char *name;             /* of the attachment: "nfsd/0" */
	const struct net_addr *addrs; /* to listen on; their ports are ignored */
	uint32_t n_addrs;
	uint16_t port;                /* of NFS; 0: the kernel chooses */
	uint16_t mount_port;          /* of MOUNT */
	uint16_t portmap_port;        /* of the port mapper */
	bool portmap;                 /* the built-in port mapper runs */
	bool tcp;
	bool udp;
	bool share;                   /* other threads listen on the same ports */
	bool first;                   /* this thread serves datagrams and the port mapper */
	uint32_t max_io;              /* bytes of one READ or WRITE; 0: 1 MiB */
	uint32_t udp_max_io;          /* the same over UDP; 0: 32 KiB */
	uint32_t idle_ms;             /* 0: six minutes */
	uint32_t max_connections;     /* of this thread; 0: 4,096 */
};

#define NFS_ADDRS_MAX 16

struct config;

/*
 * nfs_config_read() - what [nfs] says; addrs holds the addresses afterwards. ERR_INVAL for a bad address, which is logged.
 * name, share and first are left to the caller.
 */
int nfs_config_read(const struct config *config, struct nfs_config *cfg, struct net_addr addrs[NFS_ADDRS_MAX]);

/* The ports that are listened on. */
struct nfs_ports {
	uint16_t port;
	uint16_t mount_port;
	uint16_t portmap_port; /* 0: none */
};

/* How the host connects a thread to the VFS: client_attach() or client_local(). Parks. */
typedef int nfs_connect_fn(void *arg, struct client **c, const struct client_config *cfg);

/*
 * nfs_server_start() - connects, reads the exports, listens. Returns when calls are served; parks. cfg is not kept.
 * Errors: the connection's, or those of listening (ERR_ADDRINUSE, ERR_ACCES); they are logged.
 */
int nfs_server_start(struct nfs_server **s, const struct nfs_config *cfg, nfs_connect_fn *attach, void *arg);

/* nfs_server_stop() - closes sockets, finishes calls in flight, detaches. Parks. NULL is fine. */
void nfs_server_stop(struct nfs_server *s);

void nfs_server_ports(const struct nfs_server *s, struct nfs_ports *ports);

#endif
