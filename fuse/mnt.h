/*
 * The FUSE adapter: a store as a local mount, through libfuse's low-level interface and the client library.
 *
 * One loop serves one mount. A fiber reads requests from /dev/fuse; each request then runs in a fiber of
 * its own, from libfuse's decoder through one or a few calls of client.h to the reply. Nodes of the kernel are
 * entries of a table keyed by handle (mnt-node.c); open files are open ids of chimerad (mnt-file.c), opened
 * again when chimerad was restarted; changes that others make arrive as events and become
 * invalidations (mnt-watch.c). Everything here belongs to the loop's thread; invalidations, which can wait for
 * requests that we have yet to serve, are sent from a worker.
 */
#ifndef FUSE_MNT_H
#define FUSE_MNT_H

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include "base/hmap.h"
#include "client/client.h"

#define MNT_IO_MAX OP_IO_MAX

struct vfs;

struct mnt_options {
	char *source;      /* "MOUNT[/subdir]", or "BACKEND:OPTIONS" of a store opened here */
	char *dir;
	char *socket;      /* chimerad's attach socket */
	char *config;      /* chimera.conf */
	char *fuse_opts;   /* what goes to libfuse and the kernel, comma-separated */
	char *snapshot;    /* what is mounted is as it was in this one; NULL: as it is */
	bool store;        /* source is a store */
	bool detach;
	bool read_only;
	bool writeback;
	bool direct_io;
	bool lazy; /* names and attributes are durable when fsync says so, not when a change of them is answered */
	bool default_permissions;
	double attr_timeout;  /* seconds */
	double entry_timeout;
	uint32_t reconnect_ms;
	uint64_t cache_size;  /* bytes of a store's block cache; 0: as chimerad */
};

/* An object that the kernel knows; its node id is the address of this. */
struct mnt_node {
	struct hmap_node hash;
	struct op_handle handle;
	uint64_t n_lookups; /* references that the kernel will give back by forget */
	uint64_t change;    /* counter when the page cache was last known to be right */
	uint64_t verifier;  /* of the last unstable write */
	bool unstable;      /* written since the last commit */
};

/* An open file of the kernel: fuse_file_info.fh. */
struct mnt_file {
	uint64_t open_id;
	uint64_t generation; /* of the attachment that open_id belongs to */
	uint32_t access;     /* OPEN_READ | OPEN_WRITE */
	struct op_cred cred; /* who opened it */
};

/* One request: what was read from the device. */
struct mnt_request {
	struct mnt *m;
	struct client_buf *payload; /* of a write */
	bool nameless;              /* a create of a file without a name (O_TMPFILE) */
	size_t size;
	uint8_t bytes[];            /* header and arguments */
};

/* What became invalid, for the kernel. */
struct mnt_inval {
	fuse_ino_t ino;
	uint64_t what;  /* CHANGED_* */
	uint32_t name_size;
	char name[OP_NAME_MAX + 1];
};

#define MNT_INVALS_MAX 256

struct mnt {
	struct mnt_options opt;
	struct loop *loop;
	struct client *client;
	struct vfs *vfs; /* of a store opened here */
	struct fuse_session *session;
	struct stream *device;
	uint32_t init_flags;         /* FUSE_* that the kernel offered; until INIT is answered */
	struct hmap nodes;
	struct mnt_node *root;
	uint64_t generation;         /* of the attachment; moves on when chimerad was restarted */
	uint64_t replay_client;      /* random: this mount among all */
	uint64_t replay_key;         /* of the last change asked for */
	struct mnt_request *current; /* set while libfuse decodes it */
	struct fiber_join requests;  /* in flight */
	struct fiber *inval_fiber;   /* parked while the queue is empty */
	uint32_t n_invals;
	bool inval_all;              /* the queue overflowed */
	bool stopping;               /* no more invalidations */
	bool unmounting;
	struct loop_timer grace;     /* for what still uses a mount that is gone from its place */
	int exit_code;
	struct mnt_inval invals[MNT_INVALS_MAX];
};

static inline struct mnt *mnt_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* -- mnt-node.c -------------------------------------------------------------------------------------- */

/* mnt_node() - of a node id; root is the kernel's 1. */
struct mnt_node *mnt_node(struct mnt *m, fuse_ino_t ino);
fuse_ino_t mnt_ino(const struct mnt *m, const struct mnt_node *n);
/* mnt_node_find() - by handle, NULL: the kernel does not know it. */
struct mnt_node *mnt_node_find(struct mnt *m, const struct op_handle *h);
/* mnt_node_get() - the node of h with one look-up more; NULL without memory. */
struct mnt_node *mnt_node_get(struct mnt *m, const struct op_handle *h);
void mnt_node_forget(struct mnt *m, struct mnt_node *n, uint64_t n_lookups);
void mnt_nodes_free(struct mnt *m);

/* -- mnt-call.c: requests as operations ---------------------------------------------------------------- */

/* mnt_op() - an op on node ino as the caller, as mnt_cred() has it. Parks while all are in use. */
struct op *mnt_op(fuse_req_t req, enum op_code code, fuse_ino_t ino);
/* mnt_run() - client_call(); again while the answer is ERR_DELAY, and with the caller's groups if it is refused without. */
int mnt_run(fuse_req_t req, struct op *op);
/* mnt_reply() - puts op and answers with its status alone. */
void mnt_reply(fuse_req_t req, struct op *op);
void mnt_reply_err(fuse_req_t req, int err);
/* mnt_name() - op_set_str() with the answer on failure: false. */
bool mnt_name(fuse_req_t req, struct op *op, struct op_str *str, const char *name);
/*
 * mnt_cred() - who asks. Supplementary groups come from /proc, which takes longer than the whole request: with
 * default_permissions, where the kernel has looked at them already, they are left to mnt_groups().
 */
void mnt_cred(fuse_req_t req, struct op_cred *cred);
/* mnt_groups() - adds them where they decide on more than permission. */
void mnt_groups(fuse_req_t req, struct op_cred *cred);
void mnt_stat(const struct op_attr *attr, struct stat *st);
/* mnt_entry() - what a lookup answers; counts the look-up. */
int mnt_entry(struct mnt *m, const struct op_handle *h, const struct op_attr *attr, struct fuse_entry_param *e);
/* mnt_reply_entry() - answers with the object that op produced, and puts op. */
void mnt_reply_entry(fuse_req_t req, struct op *op, const struct op_handle *h, const struct op_attr *attr);

/* -- operations: mnt-attr.c, mnt-name.c, mnt-dir.c, mnt-file.c, mnt-data.c, mnt-xattr.c -------------------- */

void mnt_attr_ops(struct fuse_lowlevel_ops *ops);
void mnt_name_ops(struct fuse_lowlevel_ops *ops);
/* mnt_get_acl(), mnt_set_acl() - the attribute system.nfs4_acl; a value of size 0 removes it. Answer. */
void mnt_get_acl(fuse_req_t req, fuse_ino_t ino, size_t room);
void mnt_set_acl(fuse_req_t req, fuse_ino_t ino, const void *value, size_t size);
void mnt_dir_ops(struct fuse_lowlevel_ops *ops);
void mnt_file_ops(struct fuse_lowlevel_ops *ops);
void mnt_data_ops(struct fuse_lowlevel_ops *ops);
void mnt_xattr_ops(struct fuse_lowlevel_ops *ops);

/* mnt_run_open() - mnt_run() with the open id of file (may be NULL) in *open_id, opening anew where chimerad forgot it. */
int mnt_run_open(fuse_req_t req, struct mnt_file *file, struct op *op, uint64_t *open_id);

/* -- mnt-watch.c -------------------------------------------------------------------------------------- */

/* mnt_watch_start() - asks for events; parks. Again after each re-attach. */
void mnt_watch_start(struct mnt *m);
void mnt_watch_event(void *arg, const struct op_event *event);
/* mnt_watch_stop() - ends the fiber that mnt_watch_start() made. */
void mnt_watch_stop(struct mnt *m);

/* -- mnt-device.c ------------------------------------------------------------------------------------- */

/* mnt_device_open() - takes the mounted session's device over. */
int mnt_device_open(struct mnt *m);
/* mnt_reply_open() - fuse_reply_open(), with direct I/O in parallel. */
int mnt_reply_open(fuse_req_t req, const struct fuse_file_info *fi);
/* mnt_serve() - reads and spawns requests until the kernel has unmounted; parks. */
void mnt_serve(struct mnt *m);

/* -- mnt-ready.c: telling who waits for the mount ----------------------------------------------------- */

/* mnt_detach() - the caller goes on in the background; the process it was waits for mnt_ready() or the end. */
int mnt_detach(void);
/* mnt_ready() - the mount is there: to the waiting process, and READY=1 to the service manager. */
void mnt_ready(void);

/* -- mnt-store.c, mnt-options.c ---------------------------------------------------------------------- */

/* mnt_store_open() - a store as m->vfs; parks. *why as in backend_ops.mount. */
int mnt_store_open(struct mnt *m, char **why);
void mnt_store_close(struct mnt *m);

/* mnt_options_parse() - 0: go on; otherwise the exit code plus 1. */
int mnt_options_parse(struct mnt_options *opt, int argc, char **argv);
void mnt_options_free(struct mnt_options *opt);

#endif
