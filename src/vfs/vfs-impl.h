/*
 * What the files of the VFS share: the structures behind vfs.h, the running call, and the small
 * functions that every handler is made of.
 *
 * A handler is `int vfs_op_NAME(struct vfs_call *c)`, one per row of op.def; vfs-run.c has resolved c->node
 * (and c->node2) before, and releases them after. It reads c->op->in, writes c->op->out.
 *
 * Lock order: vfs_mount.rename_lock; directories, ancestors before descendants, unrelated ones only
 * under the rename lock or below one locked parent; other nodes, by address; then spin locks.
 */
#ifndef VFS_VFS_IMPL_H
#define VFS_VFS_IMPL_H

#include "base/list.h"
#include "base/spinlock.h"
#include "loop/fiber-lock.h"
#include "vfs/vfs.h"

#define VFS_MOUNTS_MAX 1024
#define VFS_SIZE_MAX ((uint64_t)INT64_MAX) /* bytes of a file at most */

struct replay;
struct kv;
struct name_indexes;

/* The mounts at one moment. Immutable: a change makes a new table, the old one goes when nobody can see it any more. */
struct mount_table {
	uint32_t n;
	uint32_t mask;               /* of by_id, which is open-addressed */
	struct vfs_mount **by_name;  /* n, sorted */
	struct vfs_mount *by_id[];   /* NULL: free */
};

struct vfs {
	struct pages *pages;
	struct block_cache *cache;
	uint32_t zero_chunk;         /* of the arena, always zero */
	uint8_t key[16];             /* signs handles */
	uint64_t salt;               /* of open ids: an id of an earlier start means nothing */
	char *state_dir;             /* NULL: none */
	struct replay *replay;       /* NULL: none */
	struct kv *kv;
	struct name_indexes *names;  /* of directories whose backend has no order or no folded names */
	struct vfs_hooks hooks;
	struct mount_table *mounts;  /* read with acquire inside vfs_enter(), changed under mount_lock */
	struct fiber_mutex mount_lock;
	uint32_t phase;              /* which counter of a session vfs_enter() takes */
	struct spinlock session_lock;
	struct list sessions;        /* guarded by session_lock */
	uint32_t n_watches;          /* of all sessions: 0 makes a change cost one load */
	uint32_t next_watch;
};

struct vfs_open;

#define VFS_SEALED 512u /* a power of two */

/* A handle whose signature was computed lately, in one line of the cache: the longest have no room. The key never changes. */
struct sealed_handle {
	uint64_t signature;
	uint8_t size;                               /* of the handle; 0: none */
	uint8_t body[OP_HANDLE_MAX - 8 - 1];        /* what is signed, then zeros */
};

struct vfs_session {
	struct vfs *vfs;
	struct vfs_session_config cfg;
	char name[64];
	struct list link;
	struct spinlock lock;           /* guards the two tables below */
	struct vfs_open **opens;        /* by index; NULL: free */
	uint32_t n_opens_max;
	uint32_t n_opens;
	uint32_t open_hint;             /* where to look for a free one */
	uint32_t open_generation;
	struct list watches;
	uint8_t apart[CACHE_LINE];      /* others look at the tables above, this thread alone counts below */
	uint32_t running[2];            /* calls inside vfs_run(), by phase */
	uint32_t sample;                /* counts calls, for the sampled latency */
	_Alignas(CACHE_LINE) struct sealed_handle sealed[VFS_SEALED];
};

/* One op in execution. */
struct vfs_call {
	struct vfs *vfs;
	struct vfs_session *session;
	struct op *op;
	struct vfs_payload *payload;    /* never NULL */
	struct vfs_pins *pins;          /* NULL: the answer must not refer to pages */
	const struct op_cred *cred;     /* NULL: chimerad itself */
	struct vfs_node *node;          /* the object; referenced */
	struct vfs_node *node2;         /* op.obj2; referenced */
	struct vfs_node *made;          /* what a PRODUCES op answered; referenced */
	uint64_t open_id;               /* that the chain opened */
	uint32_t tag;                   /* of the object's handle */
	uint32_t answered;              /* bytes of a read so far */
	uint32_t phase;                 /* for vfs_leave() */
};

/* ---- vfs.c, vfs-mount.c ------------------------------------------------------------------ */

/* vfs_enter(), vfs_leave() - between them no mount that was seen goes away. Gives the phase for vfs_leave(). */
uint32_t vfs_enter(struct vfs_session *s);
void vfs_leave(struct vfs_session *s, uint32_t phase);
/* vfs_quiesce() - waits until everyone who was inside has left. Parks. */
void vfs_quiesce(struct vfs *vfs);
/* vfs_mount_by_id(), vfs_mount_by_name() - NULL: none. Inside vfs_enter() or under mount_lock. */
struct vfs_mount *vfs_mount_by_id(struct vfs *vfs, uint32_t id);
struct vfs_mount *vfs_mount_by_name(struct vfs *vfs, const char *name, size_t size);
/* vfs_hold() - nobody is inside m any more but the caller, who is not inside, and nothing of it is open. Parks. vfs_unhold() lets them in. */
void vfs_hold(struct vfs *vfs, struct vfs_mount *m);
void vfs_unhold(struct vfs *vfs, struct vfs_mount *m);
int vfs_mounts_init(struct vfs *vfs);
void vfs_mounts_fini(struct vfs *vfs);

/* ---- vfs-handle.c ------------------------------------------------------------------------ */

/* vfs_handle_key() - reads the key from the state directory, or makes one. Parks. */
int vfs_handle_key(struct vfs *vfs, char **why);
void vfs_handle_make(struct vfs_session *s, struct vfs_node *node, uint32_t tag, struct op_handle *h);
/* vfs_handle_node() - the object of a handle, with a reference. ERR_BADHANDLE, ERR_STALE. */
int vfs_handle_node(struct vfs_session *s, const struct op_handle *h, struct vfs_node **node, uint32_t *tag);

/* ---- vfs-attr.c -------------------------------------------------------------------------- */

/* vfs_attr() - node's lock is held. vfs_attr_locked() takes it. */
int vfs_attr(struct vfs_node *node, struct op_attr *attr);
int vfs_attr_locked(struct vfs_node *node, struct op_attr *attr);
/* vfs_attr_made() - of what create() just made, which may have put them there. */
int vfs_attr_made(struct vfs_node *node, struct op_attr *attr);
/* vfs_attr_allowed() - takes the lock, and asks for the rights of enum ace_mask too. */
int vfs_attr_allowed(struct vfs_call *c, struct vfs_node *node, struct op_attr *attr, uint32_t want);
/* vfs_check_values() - that what a caller gives for times and owners is any. ERR_INVAL. */
int vfs_check_values(const struct op_attr *a);
/* vfs_pre() - fills wcc->pre, leaving the attributes in wcc->post; vfs_post() after the change. Locked. */
int vfs_pre(struct vfs_node *node, struct op_wcc *wcc);
void vfs_post(struct vfs_node *node, struct op_wcc *wcc);
/* vfs_drop_suid() - what a write does to the set-id bits of an unprivileged writer's file. Locked [w]. */
int vfs_drop_suid(struct vfs_call *c, struct vfs_node *node, const struct op_attr *attr);
/* vfs_set_size() - truncates on open. Locked [w]; permission was checked. */
int vfs_set_size(struct vfs_call *c, struct vfs_node *node, const struct op_attr *cur, uint64_t size);

/* ---- vfs-stream.c ------------------------------------------------------------------------ */

/* vfs_owner() - whose attributes node has: a stream's base, or node itself. */
struct vfs_node *vfs_owner(struct vfs_node *node);

/* ---- vfs-name.c -------------------------------------------------------------------------- */

/* vfs_name() - a name argument, validated. dots: answer for "." and "..", 0 lets them pass. */
int vfs_name(const struct vfs_call *c, const struct op_str *str, int dots, struct vfs_name *name);
/* vfs_lookup() - the object of name in dir, "." and ".." included, and dir's attributes. ERR_NOTDIR, ERR_ACCES. */
int vfs_lookup(struct vfs_call *c, struct vfs_node *dir, const struct vfs_name *name, struct op_attr *attr,
               struct vfs_node **node);
/* vfs_name_cmp() - the sign of a minus b in the order of bytes. */
int vfs_name_cmp(const struct vfs_name *a, const struct vfs_name *b);
/* vfs_begin_change() - locks a directory for a change of its names, checks that it may be searched, fills wcc->pre; unlocks on failure. */
int vfs_begin_change(struct vfs_call *c, struct vfs_node *dir, struct op_wcc *wcc);
void vfs_end_change(struct vfs_node *dir, struct op_wcc *wcc);
/* vfs_make() - creates an object in c->node between the two above. ERR_ACCES: what stands in the way may be its name, too. */
int vfs_make(struct vfs_call *c, const struct op_attr *dir, const struct vfs_name *name, struct vfs_create *what,
             struct vfs_node **node);
/* vfs_made() - handle and attributes of the answer; the reference passes to c->made. */
int vfs_made(struct vfs_call *c, struct vfs_node *node, struct op_handle *h, struct op_attr *attr);

/* ---- vfs-fold.c -------------------------------------------------------------------------- */

/* vfs_find_any_case() - the object of name or, without that, of the first name that differs in case only; stored: that name, maybe in bytes. dir locked. */
int vfs_find_any_case(struct vfs_node *dir, const struct vfs_name *name, struct vfs_name *stored, char bytes[OP_NAME_MAX],
                      struct vfs_node **node);
/* vfs_lookup_any_case() - as vfs_lookup(), and answers the stored name. */
int vfs_lookup_any_case(struct vfs_call *c, struct vfs_node *dir, const struct vfs_name *name, struct op_attr *attr,
                        struct vfs_node **node);
void vfs_answer_name(struct vfs_call *c, const struct vfs_name *name);

/* ---- vfs-readdir.c ----------------------------------------------------------------------- */

/* Records for the caller's payload, as many as fit. */
struct vfs_list {
	struct vfs_call *c;
	uint64_t want;
	uint32_t max_entries; /* 0: no limit */
	uint64_t room;
	uint32_t size;        /* so far */
	uint32_t n_entries;
};

/* vfs_list_put() - false: no room. head: all but the sizes. */
bool vfs_list_put(struct vfs_list *l, struct op_dirent *head, const struct vfs_name *name);
/* ---- vfs-acl.c --------------------------------------------------------------------------- */

/*
 * vfs_inherit() - the ACL of something new below directory dir, which is locked, NULL: none; attr is what it will have, asked what
 * its maker gave: a mode that was asked for limits the ACL, else the mode follows from it. The caller frees it.
 */
int vfs_inherit(const struct vfs_node *dir, const struct op_attr *asked, struct op_attr *attr, struct acl **acl);

/* ---- vfs-open.c -------------------------------------------------------------------------- */

enum { IO_ANONYMOUS, IO_OPEN };

/*
 * vfs_io_open() - what allows an op with open_id to use c->node: IO_OPEN if the open covers access, IO_ANONYMOUS if open_id is 0:
 * the permission check decides. ERR_BADHANDLE: no such open, ERR_ACCES: not opened for that.
 */
int vfs_io_open(struct vfs_call *c, struct vfs_node *node, uint64_t open_id, uint32_t access);
/* vfs_open_node() - opens what exists: type, permission, share, truncation, in this order. No lock is held. */
int vfs_open_node(struct vfs_call *c, struct vfs_node *node, const struct op_open_in *in, struct op_open_out *out);
/* vfs_open_add() - an open of the session, without asking for permission. ERR_SHARE. */
int vfs_open_add(struct vfs_call *c, struct vfs_node *node, uint32_t access, uint32_t deny, uint64_t *open_id);
/* vfs_close_all() - opens of one session. Parks. */
void vfs_close_all(struct vfs_session *s);
/* vfs_close_mount() - opens of every session on m. Parks. */
void vfs_close_mount(struct vfs *vfs, const struct vfs_mount *m);

/* ---- payload.c --------------------------------------------------------------------------- */

uint64_t payload_size(const struct vfs_payload *p);
/* payload_cut() - the first size bytes of p as n entries of iov; ERR_INVAL if it holds less. */
int payload_cut(const struct vfs_payload *p, uint64_t size, struct iovec iov[OP_SEGS_MAX]);
/* payload_put() - copies into p at offset; false if it does not fit whole. */
bool payload_put(const struct vfs_payload *p, uint64_t offset, const void *data, size_t size);
/* payload_copy() - all of p, at most max bytes, terminated by a NUL that is not counted; freed by the caller. ERR_RANGE. */
int payload_copy(const struct vfs_payload *p, size_t max, char **data, uint32_t *size);

/* ---- watch.c ----------------------------------------------------------------------------- */

/* vfs_changed() - tells the watches of other sessions. name may be NULL. */
void vfs_changed(struct vfs_call *c, struct vfs_node *node, uint32_t what, const struct vfs_name *name);
void vfs_unwatch_all(struct vfs_session *s, const struct vfs_mount *m);

/* ---- handlers ---------------------------------------------------------------------------- */

#define OP(name, code, flags, in, out) int vfs_op_##name(struct vfs_call *c);
#define OP_RESERVED(name, code)
#include "op/op.def"
#undef OP
#undef OP_RESERVED

#endif
