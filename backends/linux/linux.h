/*
 * The linux backend: a directory of the host, shared by file descriptor.
 *
 * A node holds an O_PATH descriptor of its object (or the descriptor it was created with), so its inode
 * number cannot be reused while the node lives and every operation goes by descriptor: nothing in
 * here resolves a path of more than one component, so nothing can lead out of the root.
 *
 * What may wait for a disk runs in loop_block(), all system calls of one operation in one hop. What the
 * kernel can answer from memory runs inline on a local file system: statx of an open descriptor,
 * openat2(RESOLVE_CACHED), preadv2(RWF_NOWAIT), and small writes as long as they are seen to be quick.
 *
 * Handles. kind, inode number, and what tells this object from an earlier one of that number: the
 * kernel's file handle, or the birth time where there is none. Objects are found again by
 * open_by_handle_at() where that is allowed, else by linux-find.c.
 */
#ifndef LINUX_LINUX_H
#define LINUX_LINUX_H

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/spinlock.h"
#include "vfs/node-cache.h"

struct linux_find;

/* Bytes of a handle. The same object always has the same. */
struct linux_ident {
	uint8_t size;
	uint8_t bytes[OP_HANDLE_BACKEND_MAX];
};

/* What the host cannot keep of an object, in one extended attribute of its own. */
struct linux_meta {
	uint32_t flags; /* META_* */
	uint32_t dos;
	struct op_time btime; /* with META_BTIME: set by a client, overrides the host's */
	uint64_t verifier;    /* with META_VERIFIER: of the exclusive create */
};

enum { META_BTIME = 1, META_VERIFIER = 2, META_ACL = 4 }; /* the last: there is an ACL, in an attribute of its own */

struct linux_node {
	struct cached_node cached;
	int fd;                 /* O_PATH or better; constant */
	_Atomic int io_fd;      /* files: for data, directories: for fsync; -1: not opened yet; may be fd */
	_Atomic bool writable;  /* io_fd is open for writing */
	struct linux_ident ident;
	struct spinlock attr_lock; /* guards what follows */
	bool touched;           /* changed by us since change was last computed */
	uint64_t n_changes;     /* of names and attributes, by us */
	uint64_t n_settled;     /* of these, durable */
	uint64_t change;
	uint64_t ctime_ns;      /* the host's ctime when change was computed */
	struct linux_meta meta;
};

/* One buffer of directory entries, kept between the calls of a scan. */
struct linux_listing {
	uint64_t fileid;
	uint64_t change; /* of the directory when it was read */
	uint64_t from;   /* cookie that data begins after */
	uint32_t size;   /* bytes in data; 0: the directory ends here */
	_Alignas(8) char data[32768];
};

/* Whether calls of one kind are seen to be quick enough for a loop's thread. */
struct linux_pace {
	_Atomic uint64_t slow_until_ns; /* they were seen to wait: workers make them until then */
	_Atomic int n_watched;          /* one took long: so many are still to be watched for waiting */
};

#define LINUX_LISTINGS 32
#define LINUX_HINTS 65536

struct linux_store {
	struct vfs_mount *mount;
	int root_fd;      /* opened for reading: fsync, syncfs, open_by_handle_at, flock */
	int journal_fd;   /* a file without a name whose fsync makes durable whatever was changed before it; -1: none does */
	int proc_fd;      /* /proc/self/fd, to open what an O_PATH descriptor names */
	uint32_t dev_major, dev_minor;
	uint64_t root_ino;
	uid_t uid;        /* the server's own */
	gid_t gid;
	uint64_t size_max; /* bytes of a file at most */
	bool privileged;  /* may give files away */
	bool by_handle;   /* open_by_handle_at() is allowed */
	bool kernel_idents; /* name_to_handle_at() works */
	bool local;       /* what is in memory is answered without waiting */
	bool in_memory;   /* tmpfs: nothing ever waits */
	bool sync;        /* names are durable before the reply */
	const char *meta_name; /* extended attribute of struct linux_meta; NULL: not supported */
	_Atomic bool no_tmpfile;
	_Atomic bool no_cached_open;
	_Atomic bool no_nowait_write;
	struct linux_pace writes;
	struct linux_pace names; /* changes of names and attributes */
	struct node_cache nodes;
	struct node_cache streams; /* by their numbers */
	struct linux_find *find; /* NULL with by_handle */
	_Atomic(struct linux_listing *) listings[LINUX_LISTINGS];
	_Atomic uint64_t *hints; /* LINUX_HINTS hashes of a directory and a name in it that were found of late */
	struct fiber_mutex sync_lock;    /* guards what follows */
	struct fiber_cond sync_open;     /* changes are let in */
	struct fiber_cond sync_more;     /* somebody queued, or will not */
	struct linux_sync *sync_queue;
	uint32_t n_queued;
	uint32_t n_awaiting;             /* to be let in */
	uint32_t n_expected;             /* in the next queue, if all come again who came last time */
	uint64_t sync_ns;                /* what the last sync took */
	_Atomic bool syncing;            /* somebody leads */
	_Atomic bool gathering;          /* and waits for those who are about to queue */
	_Atomic uint32_t n_changing;     /* calls that may be */
};

static inline struct linux_store *linux_store(const struct vfs_mount *m)
{
	return m->store;
}

static inline struct linux_node *linux_node(struct vfs_node *node)
{
	return container_of(node, struct linux_node, cached.node);
}

/* A terminated copy of a name. */
struct linux_name {
	char text[OP_NAME_MAX + 1];
};

void linux_name(struct linux_name *out, const struct vfs_name *name);

/* linux_error() - ERR_* of errno. */
int linux_error(void);

/* linux_inline() - runs fn here on a local store, else in a worker. */
int linux_inline(struct linux_store *s, int (*fn)(void *arg), void *arg);

/* linux_quick() - runs fn here as long as such calls are seen to be quick, else in a worker. Parks. */
int linux_quick(struct linux_store *s, int (*fn)(void *arg), void *arg);
/* linux_alter() - the same for what linux_settle() will be asked for. */
int linux_alter(struct linux_store *s, int (*fn)(void *arg), void *arg);
/* linux_is_slow() - whether to leave it to workers. linux_paced() - runs fn here, and watches how long that takes. */
bool linux_is_slow(const struct linux_pace *p);
int linux_paced(struct linux_pace *p, int (*fn)(void *arg), void *arg);

/* -- linux-node.c: objects, handles, descriptors ---------------------------------------------------- */

/* The path of a descriptor's object below /proc, for calls that take no O_PATH descriptor. */
struct linux_path {
	char text[32];
};

const char *linux_path(struct linux_path *p, int fd);  /* absolute */
const char *linux_procname(struct linux_path *p, int fd); /* relative to store.proc_fd */

int linux_stat(int fd, struct statx *stx);
uint32_t linux_type(uint32_t mode); /* enum op_type of st_mode */
int linux_ident(struct linux_store *s, int fd, const struct statx *stx, struct linux_ident *id);

/* linux_node_find() - the cached node of that inode number with a reference, or NULL. */
struct linux_node *linux_node_find(struct linux_store *s, uint64_t ino);

/* linux_adopt() - the node of the object that *fd (taken in any case) names. Makes system calls. */
int linux_adopt(struct linux_store *s, int *fd, struct linux_node **node);
/* The same with the object's state known. made: what is kept of a file that was just made, whose fd is good for data, too; or NULL. */
int linux_adopt_as(struct linux_store *s, int *fd, const struct statx *stx, const struct linux_meta *made,
                   struct linux_node **node);

/* linux_open() - openat2() of one name in the store, O_CLOEXEC and O_NOFOLLOW, never out of it. The descriptor or ERR_*. */
int linux_open(struct linux_store *s, int dirfd, const char *name, int flags, uint64_t resolve);

/* linux_io_fd() - the node's descriptor for data; write: must be able to write (node lock exclusive). Or ERR_*. Parks. */
int linux_io_fd(struct linux_node *node, bool write);
/* The same where blocking is allowed. */
int linux_io_fd_here(struct linux_node *node, bool write);

/* linux_touch() - the next answered change counter differs. linux_changed() - and there is something to settle. */
void linux_touch(struct linux_node *node);
void linux_changed(struct linux_node *node);
/* linux_check_dead() - after a name was taken away: is it the last? Makes system calls. */
void linux_check_dead(struct linux_node *node);

uint32_t linux_node_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX]);
int linux_node_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node);
void linux_node_release(struct vfs_node *node);
void linux_node_destroy(struct cached_node *node);

/* -- linux-find.c: where open_by_handle_at() is not allowed ------------------------------------------ */

int linux_find_create(struct linux_store *s);
void linux_find_destroy(struct linux_store *s);
/* linux_find_note() - the object ino was seen as name in directory dir. Nothing to do with by_handle. */
void linux_find_note(struct linux_store *s, uint64_t ino, uint64_t dir, const char *name);
/* linux_find() - an O_PATH descriptor of the object, or ERR_STALE. Blocks. */
int linux_find(struct linux_store *s, uint64_t ino);

/* -- linux-meta.c ------------------------------------------------------------------------------------- */

/* linux_meta_probe() - sets meta_name; trusted: the server may use that namespace. */
void linux_meta_probe(struct linux_store *s, bool trusted);
void linux_meta_load(struct linux_store *s, int fd, struct linux_meta *meta);
int linux_meta_store(struct linux_store *s, int fd, const struct linux_meta *meta);

/* -- linux-acl.c -------------------------------------------------------------------------------------- */

int linux_set_acl(struct vfs_node *node, const struct acl *acl, uint32_t mode);
static inline bool linux_takes_acl(uint32_t type)
{
	return type == OP_TYPE_FILE || type == OP_TYPE_DIR;
}
/* linux_acl_load() - of an object whose meta says that it has one; allocates. linux_acl_store() - NULL: removes it. System calls. */
int linux_acl_load(struct linux_store *s, int fd, struct acl **acl);
int linux_acl_store(struct linux_store *s, int fd, const struct acl *acl);

/* -- linux-attr.c ------------------------------------------------------------------------------------- */

int linux_getattr(struct vfs_node *node, struct op_attr *attr);
int linux_setattr(struct vfs_node *node, const struct op_attr *attr);
int linux_readlink(struct vfs_node *node, char *target, uint32_t *size);
int linux_verifier(struct vfs_node *node, uint64_t *verifier);
/* linux_change() - the change counter for that state of the object. */
uint64_t linux_change(struct linux_node *node, const struct statx *stx);
/* linux_fill_attr() - what to answer for that state of the object. */
void linux_fill_attr(struct linux_node *node, const struct statx *stx, struct op_attr *attr);
/* linux_apply() - owner, mode and times to the object of fd; new_object: what an ordinary user may not give away stays ours. Blocks. */
int linux_apply(struct linux_store *s, int fd, const struct op_attr *attr, bool new_object);

/* -- linux-dir.c -------------------------------------------------------------------------------------- */

int linux_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node);
int linux_parent(struct vfs_node *dir, struct vfs_node **parent);
int linux_readdir(struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof);

/* -- linux-create.c, linux-name.c ------------------------------------------------------------------- */

int linux_create(struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name,
                 const struct vfs_create *what, struct vfs_node **node);
int linux_create_unlinked(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what,
                          struct vfs_node **node);
int linux_link(struct vfs_node *node, struct vfs_node *dir, const struct vfs_name *name);
int linux_remove(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node *node);
int linux_rename(struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir,
                 const struct vfs_name *to, const struct vfs_rename *what);

/* -- linux-data.c, linux-space.c --------------------------------------------------------------------- */

int linux_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size);
int linux_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w);
int linux_commit(struct vfs_node *node, uint64_t offset, uint64_t size);
int linux_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
int linux_deallocate(struct vfs_node *node, uint64_t offset, uint64_t size);
int linux_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
int linux_seek(struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found);
int linux_clone(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t size);
int linux_copy(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t *size);

/* -- linux-xattr.c ------------------------------------------------------------------------------------ */

int linux_get_xattr(struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size);
int linux_set_xattr(struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags);
int linux_list_xattr(struct vfs_node *node, char *names, uint32_t *size);
int linux_remove_xattr(struct vfs_node *node, const struct vfs_name *name);

/* -- linux-stream.c: nodes with a base, which linux_node() is not for -------------------------------- */

#define LINUX_IDENT_STREAM 0x80 /* in the first byte of a handle: base's, then the stream's number */

int linux_find_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream);
int linux_create_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream);
int linux_list_streams(struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof);
int linux_remove_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream);
int linux_rename_stream(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target);
/* What the operations of their names do with a stream. */
uint32_t linux_stream_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX]);
int linux_stream_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node);
void linux_stream_release(struct vfs_node *node);
void linux_stream_destroy(struct cached_node *node);
int linux_stream_getattr(struct vfs_node *node, struct op_attr *attr);
int linux_stream_setattr(struct vfs_node *node, const struct op_attr *attr);
int linux_stream_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size);
int linux_stream_write(struct vfs_node *node, struct vfs_write *w);
int linux_stream_commit(struct vfs_node *node);
int linux_stream_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
int linux_stream_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool grows); /* and punching */

/* -- linux-sync.c: durability of names and attributes ------------------------------------------------ */

/* linux_journal_open() - journal_fd, where the host's file system has one journal in order of time. Blocks. */
void linux_journal_open(struct linux_store *s);
int linux_settle(struct vfs_node *const *nodes, uint32_t n);
/*
 * linux_sync_await() - parks while the host's journal is being written: a change would wait for that in the kernel, and it
 * is the next writing that makes it durable in any case.
 */
void linux_sync_await(struct linux_store *s);
/* linux_sync_nudge() - a call that was counted in n_changing has ended. */
void linux_sync_nudge(struct linux_store *s);

#endif
