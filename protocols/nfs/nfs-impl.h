/* Inside the NFS server: what its files share. Everything is of one thread. */
#ifndef NFS_NFS_IMPL_H
#define NFS_NFS_IMPL_H

#include "catalogue/export-rule.h"
#include "protocols/nfs/mount-xdr.h"
#include "protocols/nfs/nfs-server.h"
#include "protocols/nfs/nfs3-xdr.h"
#include "protocols/rpc/rpc.h"
#include "protocols/rpc/rpcbind-xdr.h"

#define NFS_EXPORTS_MAX 1024
#define NFS_PATH_MAX OP_PATH_MAX
#define NFS_SCAN_SIZE 262144u /* bytes of exports that one answer brings */

/* One export, as the catalogue has it. Its id is the tag of every handle that is reached from its root. */
struct nfs_export {
	uint32_t id;
	char *name;  /* what clients mount: "/data" */
	char *mount; /* the mount's name */
	char *path;  /* below the mount's root: "/" or "/sub" */
	struct export_rules rules;
	struct op_handle root; /* size 0: not looked up yet */
};

/* Replaced as a whole when the catalogue changes; nobody keeps a pointer into it while parked. */
struct nfs_exports {
	struct nfs_export *items;
	uint32_t n_items;
	uint32_t epoch;      /* counts replacements: what peers have cached is of one epoch; never 0 once loaded */
};

struct nfs_server {
	struct client *client;
	struct rpc_server *rpc;      /* NFS and MOUNT */
	struct rpc_server *portmap;  /* NULL: none */
	struct rpc_program programs[3];
	struct rpc_program portmap_programs[3];
	struct nfs_exports exports;
	bool reloading;              /* a fiber reads the exports; dirty: again, when it is done */
	bool dirty;
	int load_err;                /* of the last time */
	struct client_buf *scan_buf; /* for that fiber: it must not wait for what calls hold */
	struct fiber_join reload;
	struct fiber_join fibers;
	struct list clients;         /* nfs-client.c */
	uint32_t n_clients;
	struct loop_timer report_timer;
	bool reporting;
	bool stopping;
	uint32_t max_io;
	uint32_t udp_max_io;
	struct nfs_ports ports;
	bool tcp;
	bool udp;
	struct rpcbind_table *bindings;
};

static inline struct nfs_server *nfs_of(const struct rpc_request *rq)
{
	return rq->program->arg;
}

/* nfs-export.c */
/* nfs_exports_reload() - has them read anew, by a fiber of its own. On failure the old ones stay. */
void nfs_exports_reload(struct nfs_server *s);
/*
 * nfs_exports_settle() - comes before every decision: what was changed before this call arrived holds for it. Parks
 * while changed exports are read; the caller must hold no op, for the reader needs one.
 */
static inline void nfs_exports_settle(struct nfs_server *s)
{
	client_take_events(s->client);
	if (unlikely(s->reloading))
		fiber_join_wait(&s->reload);
}
void nfs_exports_fini(struct nfs_exports *e);
const struct nfs_export *nfs_export_find(const struct nfs_server *s, uint32_t id);
/* nfs_export_of_path() - the export that path is or lies below, and the rest of the path. */
const struct nfs_export *nfs_export_of_path(const struct nfs_server *s, const char *path, const char **rest);
/* nfs_export_lookup() - the object at rest below the export's root, as root; parks. */
int nfs_export_lookup(struct nfs_server *s, const struct nfs_export *e, const char *rest, struct op_handle *h,
		      struct op_attr *attr);

/* What the caller may do with an export. */
struct nfs_right {
	uint32_t id;    /* of the export */
	uint32_t epoch; /* 0: this entry is empty */
	int err;        /* 0, ERR_STALE: no such export, ERR_ACCES: not for this client */
	bool read_only;
	uint8_t squash;
	uint8_t sec;
	uint32_t anonuid;
	uint32_t anongid;
};

/* nfs_right() - cached in the peer; never parks. */
const struct nfs_right *nfs_right(struct rpc_request *rq, uint32_t export_id);
/* nfs_squash() - the caller's credential as the export makes it. */
void nfs_squash(const struct nfs_right *right, const struct rpc_request *rq, struct op_cred *to);
/* nfs_flavor_ok() - whether the export takes the call's authentication flavour. */
bool nfs_flavor_ok(const struct nfs_right *right, uint32_t flavor);
/* nfs_is_root() - whether h is its export's root, beyond which ".." must not lead. Parks at first. */
bool nfs_is_root(struct rpc_request *rq, const struct op_handle *h);

/* nfs-client.c: who is connected, for listings. */
void nfs_clients_init(struct nfs_server *s);
/* nfs_clients_peer() - as rpc_config.peer, arg being the server. */
void nfs_clients_peer(void *arg, struct rpc_peer *peer, bool connected);
/* nfs_clients_used() - peer uses that export. nfs_clients_count() - one more call of peer. */
void nfs_clients_used(struct nfs_server *s, struct rpc_peer *peer, const char *export_name);
void nfs_clients_count(struct rpc_peer *peer);
/* nfs_clients_again() - a new chimerad knows nothing: all are reported. nfs_clients_fini() - reports no more. */
void nfs_clients_again(struct nfs_server *s);
void nfs_clients_fini(struct nfs_server *s);
/* nfs_peer_host() - the peer's address without its port. */
void nfs_peer_host(const struct rpc_peer *peer, char *out, size_t size);

/* mount.c, rpcbind.c, nfs3.c: the programs' procedures. */
extern const struct rpc_procedure mount1_procs[];
extern const struct rpc_procedure mount3_procs[];
extern const struct rpc_procedure pmap2_procs[];
extern const struct rpc_procedure rpcb3_procs[];
extern const struct rpc_procedure rpcb4_procs[];
extern const struct rpc_procedure nfs3_procs[];
bool nfs3_find_payload(uint32_t procedure, struct xdr_in *x, struct rpc_payload *place);

/* mount-table.c: who has mounted what, for showmount; kept by chimerad. All park, failures are only logged. */
void mount_table_add(struct rpc_request *rq, const char *path);
void mount_table_remove(struct rpc_request *rq, const char *path); /* NULL: all of this host */
/* mount_table_list() - into rq's arena. */
struct mountbody *mount_table_list(struct rpc_request *rq);

/* rpcbind-table.c: which program is where. */
struct rpcbind_table;
struct rpcbind_entry {
	uint32_t prog, vers;
	uint16_t port;
	bool udp;
	bool in6;
	bool own; /* ours: can't be unset from outside */
	struct net_addr addr;
};
int rpcbind_table_create(struct rpcbind_table **t);
void rpcbind_table_destroy(struct rpcbind_table *t);
bool rpcbind_set(struct rpcbind_table *t, const struct rpcbind_entry *e);
/* rpcbind_unset() - of all transports; only those that aren't own. */
bool rpcbind_unset(struct rpcbind_table *t, uint32_t prog, uint32_t vers);
const struct rpcbind_entry *rpcbind_find(const struct rpcbind_table *t, uint32_t prog, uint32_t vers, bool udp, bool in6);
/* rpcbind_entry() - the i-th; NULL past the end. */
const struct rpcbind_entry *rpcbind_entry(const struct rpcbind_table *t, uint32_t i);

#endif
