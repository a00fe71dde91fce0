/*
 * The contract between the VFS and a backend: what someone who writes a store reads first.
 * backends/null is the smallest complete one.
 *
 * Division of labour. The VFS owns: mounts, handles and their signature, credentials and every
 * permission rule, argument validation (names, sizes, types), locking, before/after attributes,
 * open state, replay, chains, payload. A backend owns: objects (nodes), their bytes and names, and making
 * both durable. A backend never looks at credentials, except that call->cred says who creates.
 *
 * Nodes. A backend embeds struct vfs_node at the head of its own inode and hands out references.
 * The same object is always the same node while referenced. vfs_node_get/put count; when the last
 * reference goes the VFS calls node_release, and the backend may keep the node cached or free it. A
 * node whose object has no name left lives until its last reference (open, in use) is gone.
 *
 * Locking. The VFS calls node operations with node->lock held: shared for those marked [r], exclusive
 * for [w]; for two-node operations both, in a fixed order; rename across directories also
 * holds the mount's rename lock. A backend therefore needs locks only for what nodes share (tables,
 * allocators), and must never park while holding a spin lock. Calls come from several threads.
 *
 * Waiting. An operation returns its result or parks its fiber; nothing completes later. System
 * calls that may block go through loop_block() or file_*().
 *
 * ACLs. node->acl is the object's, or NULL: it has none. A backend with VFS_CAP_ACL sets it when it makes a node of an object that
 * has one, exchanges it in set_acl() and frees it with the node; others leave it NULL. The VFS reads it under the node's lock.
 *
 * Errors. 0 or ERR_*. After a failure the object is as before. ERR_NOTSUPP for an operation left NULL.
 *
 * Durability. Changes of names and attributes in a backend with VFS_CAP_PERSISTENT are durable when the operation
 * returns, or where the backend has one, when settle() does, which is called without locks and so can be shared;
 * except where the mount option sync=no says otherwise. write() with WRITE_UNSTABLE may be lost by a crash
 * only together with a change of vfs_mount.verifier.
 */
#ifndef VFS_BACKEND_H
#define VFS_BACKEND_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/err.h"
#include "loop/fiber.h"
#include "loop/loop.h"
#include "op/acl.h"
#include "op/op.h"
#include "ring/pages.h"

#define VFS_BACKEND_ABI 2

struct block_cache;
struct vfs;
struct vfs_call;

/* What a backend offers: the VFS emulates or refuses the rest. */
#define VFS_CAP_PERSISTENT (1u << 0) /* survives a restart; handles too */
#define VFS_CAP_ADOPT (1u << 1)      /* write takes whole chunks of the page arena over */
#define VFS_CAP_SPARSE (1u << 2)
#define VFS_CAP_XATTR (1u << 3)
#define VFS_CAP_SHARED (1u << 4)     /* others change the store too, past the VFS */
#define VFS_CAP_ACL (1u << 5)
#define VFS_CAP_QUOTA (1u << 6)      /* keeps the project of a node, too */
#define VFS_CAP_WRAPS (1u << 8)      /* options that it does not know go to another backend: it has them checked itself */
#define VFS_CAP_GATHER (1u << 7)     /* stable writes come as unstable ones and a commit, so that those to one file share it */

struct vfs_mount {
	struct vfs *vfs;
	const struct backend_ops *ops;
	uint32_t id;         /* from the catalogue, never reused */
	uint64_t fsid;       /* answered in attributes */
	uint64_t verifier;   /* of unstable writes: set by mount(), new for each start that may have lost some */
	char name[256];
	bool read_only;
	_Atomic bool held;   /* nobody gets in: ERR_DELAY */
	struct pages *pages; /* the page arena */
	struct block_cache *cache; /* block-cache.h; of all mounts together */
	struct fiber_mutex rename_lock;
	struct vfs_node *root; /* set by mount(), one reference; NULL: the store has failed since, so that it cannot be read */
	void *store;         /* the backend's own */
};

struct vfs_node {
	struct vfs_mount *mount;
	_Atomic uint32_t n_refs;
	uint32_t type;      /* enum op_type; constant */
	uint64_t fileid;    /* constant */
	struct vfs_node *base; /* of a stream, whose node refers to it: the file or directory that it belongs to; else NULL; constant */
	struct fiber_rwlock lock; /* unused in streams: vfs_node_lock() */
	bool read_only;     /* whatever the mount says, such as in a snapshot; constant */
	struct acl *acl;    /* NULL: none; guarded by lock; the backend's; unused in streams: vfs_node_acl() */
};

/* vfs_node_read_only() - whether it may not be changed. */
static inline bool vfs_node_read_only(const struct vfs_node *node)
{
	return node->read_only || node->mount->read_only;
}

/* vfs_node_lock() - what guards node: an object and its streams have one lock. */
static inline struct fiber_rwlock *vfs_node_lock(struct vfs_node *node)
{
	return node->base ? &node->base->lock : &node->lock;
}

/* vfs_node_acl() - what judges who may use node. */
static inline const struct acl *vfs_node_acl(const struct vfs_node *node)
{
	return node->base ? node->base->acl : node->acl;
}

void vfs_node_init(struct vfs_node *node, struct vfs_mount *mount, uint32_t type, uint64_t fileid); /* one reference */
struct vfs_node *vfs_node_get(struct vfs_node *node);
void vfs_node_put(struct vfs_node *node); /* may park: node_release */

struct vfs_name {
	const char *bytes; /* 1 to 255 bytes, no '/' or NUL, not "." or ".."; not terminated */
	uint32_t size;
};

/* Options of a mount as text, from the catalogue: key=value, NULL-keyed at the end. */
struct vfs_option {
	const char *key;
	const char *value;
};

/* An option a backend takes, for validation, help and man pages. */
struct backend_option {
	const char *key;
	const char *type; /* "size", "path", "bool", "number", "text" */
	const char *fallback; /* default as text; NULL: required */
	const char *help;
};

/* What to create: type with initial attributes; everything in attr.mask is to be applied. uid, gid, mode are always set by the VFS. */
struct vfs_create {
	uint32_t type;              /* enum op_type */
	const struct op_attr *attr; /* mode, uid, gid, times, rdev ... */
	const char *target;         /* symbolic link's, terminated */
	uint32_t target_size;
	uint64_t verifier;          /* with ATTR_VERIFIER in attr->mask: exclusive create's, kept with the file */
	const struct acl *acl;      /* the object's, NULL: none; copied. Its mode is in attr */
	struct op_attr *made;       /* where create() may put what getattr would answer next; its mask is 0 before. NULL: not wanted */
};

/* Called for each entry; false: stop, this entry was not taken. node: NULL, or the entry's with a borrowed reference. */
typedef bool vfs_emit_fn(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid,
                         uint32_t type, struct vfs_node *node);

/* Called for each stream, as above. */
struct vfs_stream {
	struct vfs_name name;
	uint64_t fileid;
	uint64_t size;
	uint64_t space;
};
typedef bool vfs_emit_stream_fn(void *arg, const struct vfs_stream *s);

struct vfs_write {
	uint64_t offset;
	uint32_t size;
	uint32_t stability;        /* in: WRITE_*; out: what was done */
	const struct iovec *iov;   /* payload, in memory that others may be changing: read it once */
	const uint32_t *chunks;    /* per iov entry: the whole page-arena chunk it is (to adopt with pages_get), or PAGE_CHUNK_NONE */
	int n_iov;
};

/* Second argument block of rename: keeps the call at five. */
struct vfs_rename {
	struct vfs_node *node;
	struct vfs_node *target; /* NULL if the name is free */
	uint32_t flags;          /* 0 or RENAME_EXCHANGE */
};

/* A number that a store tells of itself; bytes end in "_bytes". NULL-terminated names that stay. */
typedef void backend_stat_fn(void *arg, const char *name, uint64_t value);

enum scrub_run { SCRUB_IDLE, SCRUB_RUNNING, SCRUB_PAUSED, SCRUB_STOPPED, SCRUB_DONE, SCRUB_FAILED };

/* How far verifying a store's checksums in the background has come. */
struct scrub_state {
	uint32_t run;             /* enum scrub_run */
	int err;                  /* with SCRUB_FAILED */
	uint64_t started_ns;      /* since 1970; 0: never */
	uint64_t ended_ns;        /* 0: not yet */
	uint64_t rate_bytes;      /* a second at most; 0: no limit */
	uint64_t done_bytes;      /* of data, verified in this run */
	uint64_t total_bytes;     /* about as much as there is */
	uint64_t done_records;
	uint64_t total_records;   /* about */
	uint64_t bad_records;
	uint64_t bad_bytes;
	char last_bad[256];       /* the place found last, for people; "": none */
};

enum scrub_command { SCRUB_START, SCRUB_PAUSE, SCRUB_STOP };

struct vfs_snapshot {
	uint64_t id;         /* ascending; never reused */
	char name[OP_NAME_MAX + 1];
	struct op_time time;
	uint32_t state;      /* enum snapshot_state */
	uint64_t done, total; /* of deleting */
};

/* false ends the walk. */
typedef bool vfs_snapshot_fn(void *arg, const struct vfs_snapshot *s);

struct backend_ops {
	uint32_t abi; /* VFS_BACKEND_ABI */
	uint32_t caps;
	const char *name;
	const char *summary; /* one line for help */
	const struct backend_option *options; /* key NULL at the end */

	/* -- store: no lock held ------------------------------------------------------------------ */

	/* Opens the store, sets root, verifier, store. *why: a sentence for people on failure, malloc'ed. Parks. */
	int (*mount)(struct vfs_mount *m, const struct vfs_option *options, char **why);
	/* All nodes but root are released. Makes everything durable. Parks. */
	void (*unmount)(struct vfs_mount *m);
	int (*statfs)(struct vfs_mount *m, struct op_statfs *st);
	int (*sync)(struct vfs_mount *m); /* all data and metadata durable */

	/*
	 * After an operation that may have changed names or attributes of these nodes has succeeded and before it is answered:
	 * what was done to them until now is durable on return. NULL: each operation sees to it itself. Parks.
	 */
	int (*settle)(struct vfs_node *const *nodes, uint32_t n);

	/* -- nodes: no lock held ------------------------------------------------------------------ */

	/* The bytes by which node_get finds the object again; returns 1 to OP_HANDLE_BACKEND_MAX. */
	uint32_t (*node_handle)(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX]);
	/* The node of those bytes, with a reference. ERR_STALE: gone; ERR_BADHANDLE: never was one. May park. */
	int (*node_get)(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node);
	/* The last reference went: cache or free. May race with node_get, which may revive it first. */
	void (*node_release)(struct vfs_node *node);

	/* -- one node ----------------------------------------------------------------------------- */

	/* [r] Everything in ATTR_ALL, except ATTR_FSID which the VFS adds. */
	int (*getattr)(struct vfs_node *node, struct op_attr *attr);
	/* [w] Applies attr->mask of ATTR_SETTABLE (NOW already resolved to times); bumps ctime and change. size: truncates or extends with zeros. */
	int (*setattr)(struct vfs_node *node, const struct op_attr *attr);
	/* [r] target: at least OP_PATH_MAX bytes. */
	int (*readlink)(struct vfs_node *node, char *target, uint32_t *size);

	/* -- directories -------------------------------------------------------------------------- */

	/* [r] The child, with a reference. ERR_NOENT. */
	int (*lookup)(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node);
	/* [r] The parent of a directory, with a reference; the root's is itself. */
	int (*parent)(struct vfs_node *dir, struct vfs_node **parent);
	/*
	 * [r] Entries after cookie, each exactly once over a whole scan if it existed throughout, without "." and "..".
	 * Cookies are above 2, stable for the directory's life. *verifier: ERR_BAD_COOKIE if it differs and neither it nor cookie is 0.
	 * *eof: no entry follows the last that was taken.
	 */
	int (*readdir)(struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof);
	/* [w] A new object named name, referenced. ERR_EXIST. Updates dir's times. */
	int (*create)(struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name,
	              const struct vfs_create *what, struct vfs_node **node);
	/* [r] A file without a name in dir's store. */
	int (*create_unlinked)(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what, struct vfs_node **node);
	/* [r] The verifier kept by an exclusive create; 0 if none or since changed. */
	int (*verifier)(struct vfs_node *node, uint64_t *verifier);
	/* dir [w], node [w]: another name. node is not a directory. */
	int (*link)(struct vfs_node *node, struct vfs_node *dir, const struct vfs_name *name);
	/* dir [w], node [w]: takes the name away; node is what lookup found. A directory is known to be empty or answers ERR_NOTEMPTY. */
	int (*remove)(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node *node);
	/*
	 * from_dir, to_dir, node and target (NULL if none) [w]. flags: 0 (target is replaced, types already checked; a directory target
	 * that is not empty: ERR_NOTEMPTY) or RENAME_EXCHANGE. Loops were excluded by the VFS.
	 */
	int (*rename)(struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir,
	              const struct vfs_name *to, const struct vfs_rename *what);

	/* -- data --------------------------------------------------------------------------------- */

	/*
	 * [r] size is within the file and at most OP_IO_MAX: the answer goes to vfs_call_chunk() (by reference) or
	 * vfs_call_bytes() (copied), in order, size bytes in all.
	 */
	int (*read)(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size);
	/* [w] All or nothing, but for ERR_NOSPC etc. after a durable prefix never reported as written. Updates size, times, change. */
	int (*write)(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w);
	/* [r] Data of [offset, offset + size) durable, and the metadata needed to find it. size 0: to the end. */
	int (*commit)(struct vfs_node *node, uint64_t offset, uint64_t size);
	/* [w] */
	int (*allocate)(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
	int (*deallocate)(struct vfs_node *node, uint64_t offset, uint64_t size);
	int (*zero)(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
	/* [r] what: SEEK_TO_DATA or SEEK_TO_HOLE; offset is within the file. */
	int (*seek)(struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found);
	/*
	 * from [r], to [w], different or the same node without overlap; offsets are multiples of OP_CLONE_UNIT, the range is within
	 * from and ends at such a multiple or with from and not before to does. The bytes are shared, all of them or none. NULL, or
	 * ERR_NOTSUPP: cannot be. copy() by the VFS uses it where there is no copy.
	 */
	int (*clone)(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t size);
	/* from [r], to [w], different or the same node without overlap; NULL or ERR_NOTSUPP: the VFS clones, or copies by read and write. */
	int (*copy)(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t *size);

	/* -- extended attributes: names as "user.x"; NULL: none ------------------------------------ */

	int (*get_xattr)(struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size); /* [r] in: room, out: full size; ERR_TOOSMALL */
	int (*set_xattr)(struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags); /* [w] */
	int (*list_xattr)(struct vfs_node *node, char *names, uint32_t *size); /* [r] as get_xattr */
	int (*remove_xattr)(struct vfs_node *node, const struct vfs_name *name); /* [w] ERR_NODATA */

	/*
	 * -- streams: named forks of files and directories; NULL: none -----------------------------------
	 *
	 * A stream is a node of type FILE with base, guarded by its base's lock: [r] and [w] mean that, for the operations
	 * on data too. Its own are fileid, size, space and nlink (1, or 0 once removed): getattr fills these, the VFS the rest from
	 * base; setattr gets a size only. A change of its data counts as one of base: mtime, ctime and change. When base
	 * loses its last name its streams go with it; what is in use lives on, as a file does. Handles as files.
	 */

	int (*find_stream)(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream); /* [r] with a reference. ERR_NOENT */
	/* [w] A new, empty one, with a reference. base has a name. ERR_EXIST, ERR_NOSPC. */
	int (*create_stream)(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream);
	/* [r] Those after that name (size 0: all) in order of their names' bytes. */
	int (*list_streams)(struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof);
	int (*remove_stream)(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream); /* [w] */
	/* [w] target: what has that name now and is replaced, or NULL. */
	int (*rename_stream)(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target);

	/* -- names in order and regardless of case; NULL: the VFS reads the directory and keeps what it finds for a while -------- */

	/* [r] Of the names that utf8_fold_cmp() finds equal to name the first in order of bytes, its object with a reference. ERR_NOENT. */
	int (*lookup_folded)(struct vfs_node *dir, const struct vfs_name *name, struct vfs_name *stored, char bytes[OP_NAME_MAX],
	                     struct vfs_node **node);
	/* [r] As readdir, but in order of names' bytes and from the first after that one (size 0: all); cookies are 0. */
	int (*readdir_from)(struct vfs_node *dir, const struct vfs_name *after, vfs_emit_fn *emit, void *arg, bool *eof);

	/* -- care of a store: no lock held; NULL: there is nothing of the kind ------------------------ */

	/* Calls emit for each number, always the same ones in the same order. Never parks. */
	void (*stats)(struct vfs_mount *m, backend_stat_fn *emit, void *arg);
	/*
	 * Begins, goes on with, pauses or gives up verifying everything in the background; rate_bytes: for SCRUB_START, bytes of data
	 * a second, 0: as fast as it can. A pause outlasts a restart. ERR_BUSY: it runs; ERR_NOENT: it does not; ERR_ROFS. Parks.
	 */
	int (*scrub)(struct vfs_mount *m, enum scrub_command command, uint64_t rate_bytes);
	void (*scrub_state)(struct vfs_mount *m, struct scrub_state *state); /* never parks */
	/* Capacity for file data in bytes from now on. ERR_RANGE: below what is used. Parks. */
	int (*grow)(struct vfs_mount *m, uint64_t capacity);

	/* -- snapshots: no lock held; NULL: none ----------------------------------------------------- */

	/* All that was answered before is in it. Its nodes are read_only and have handles of their own. Parks. ERR_EXIST, ERR_NOSPC. */
	int (*snapshot_create)(struct vfs_mount *m, const struct vfs_name *name, struct vfs_snapshot *made);
	/* In order of age; fn must not park. */
	int (*snapshot_list)(struct vfs_mount *m, vfs_snapshot_fn *fn, void *arg);
	/* Not found any more on return; what it held comes back in the background. Parks. ERR_NOENT. */
	int (*snapshot_remove)(struct vfs_mount *m, const struct vfs_name *name);
	/* Nobody is inside the mount and nothing is open; no node but root is referenced, and root may be replaced. Parks. ERR_NOENT. */
	int (*snapshot_rollback)(struct vfs_mount *m, const struct vfs_name *name);

	/* -- ACLs: VFS_CAP_ACL ------------------------------------------------------------------------ */

	/* [w] acl (copied), NULL: none, becomes the node's, mode (07777) its mode; bumps ctime and change. ERR_NOTSUPP: not for this object. */
	int (*set_acl)(struct vfs_node *node, const struct acl *acl, uint32_t mode);

	/* -- quotas: VFS_CAP_QUOTA; no lock held. Changes over a limit answer ERR_DQUOT ------------------ */

	/* As the ops: q->kind and q->id are in and out. ERR_NOENT. */
	int (*get_quota)(struct vfs_mount *m, struct op_quota *q, bool next);
	int (*set_quota)(struct vfs_mount *m, const struct op_quota *q); /* parks */
};

/* -- what a backend may call during an operation ---------------------------------------------------- */

/* vfs_now() - the time to stamp on objects, real or simulated. */
struct op_time vfs_now(void);
/* vfs_call_cred() - who asks; NULL for chimerad itself. */
const struct op_cred *vfs_call_cred(const struct vfs_call *call);
/* vfs_call_chunk() - size bytes at offset in a chunk answer the next part of a read; the reference passes to the call. */
int vfs_call_chunk(struct vfs_call *call, uint32_t chunk, uint32_t offset, uint32_t size);
/* vfs_call_bytes() - the same by copying (zeros when data is NULL). */
int vfs_call_bytes(struct vfs_call *call, const void *data, uint32_t size);

/* -- registration ------------------------------------------------------------------------------------ */

/* backend_register() - built-in backends do it in a table; a loaded object exports `const struct backend_ops *chimera_backend(void)`. */
int backend_register(const struct backend_ops *ops);
const struct backend_ops *backend_find(const char *name);
const struct backend_ops *backend_next(const struct backend_ops *after); /* NULL: the first */
/*
 * backend_check_options() - every option is in b's table and of its type, every required one is given. The VFS does it before
 * mount(). backend_unknown() - says so of name: ERR_NODEV. *why as in mount().
 */
int backend_check_options(const struct backend_ops *b, const struct vfs_option *options, char **why);
int backend_unknown(const char *name, char **why);

#endif
