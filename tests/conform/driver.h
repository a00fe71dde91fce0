/*
 * A driver is one way to reach a file system: through client.h in this process ("local"), through
 * client.h and a ring to another process ("ring"), or by system calls on a mounted directory ("mount").
 * Verbs are those of op.def in POSIX's shape; every verb acts as t->as and leaves its results in t->ans.
 * They return 0 or ERR_*. What a driver cannot express is a missing feature, and cases that need it
 * count as skipped.
 */
#ifndef CONFORM_DRIVER_H
#define CONFORM_DRIVER_H

#include "op/op.h"

struct test;
struct client;

/* Features of a driver, and of what stands behind it. */
#define HAS_OPS (1u << 0)      /* ops can be written field by field: forged handles, chains, replay keys */
#define HAS_RAW_NAMES (1u << 1) /* names may hold '/' and NUL */
#define HAS_WCC (1u << 2)      /* before and after attributes, change counters */
#define HAS_STALE (1u << 3)    /* a handle does not keep its object */
#define HAS_USERS (1u << 4)    /* other credentials than our own */
#define HAS_XATTR (1u << 5)
#define HAS_BIG (1u << 6)      /* offsets up to 2^63-1 */
#define HAS_HOLES (1u << 7)    /* deallocate frees, seek finds, unwritten ranges take no space */
#define HAS_EXCHANGE (1u << 8)
#define HAS_MKNOD (1u << 9)    /* device nodes */
#define HAS_DIRECT (1u << 10)  /* nothing is cached between us and the file system */
#define HAS_UNLINKED (1u << 11) /* files without a name */
#define HAS_CREATE_DEFAULTS (1u << 12) /* attributes that an object is created with are exact */
#define HAS_ZERO (1u << 13)    /* ranges can be zeroed in place */
#define HAS_FINE_CHANGE (1u << 14) /* each change is counted, however close to the one before */
#define HAS_OWN_SPACE (1u << 15)   /* nobody else uses the disk below */
#define HAS_ALL 0xffffu
#define HAS_STREAMS (1u << 18)     /* probed: the store keeps streams */
#define HAS_ACL (1u << 19)         /* probed: ACLs are kept */
#define HAS_NFS4_ACL (1u << 21)    /* probed: the mount has the attribute system.nfs4_acl */
#define HAS_QUOTA (1u << 20)       /* probed: there are quotas */
#define HAS_FAULT (1u << 16)       /* the store fails on demand: --backend fault, in process */
#define HAS_SMALL (1u << 17)       /* the store is small and ours alone: it may be filled */

struct str {
	const char *bytes;
	size_t size;
};

/* An object as the driver names it. Not owned by the case: all are released when it ends. */
struct obj {
	struct op_handle handle; /* size 0: no object */
	int fd;                  /* driver mount: O_PATH */
};

struct open_how {
	uint32_t disposition;
	uint32_t access;
	uint32_t deny;
	uint32_t flags;
	uint64_t verifier;
	struct op_attr attr;
};

struct io {
	uint64_t offset;
	void *data;
	uint32_t size;
	uint32_t stability;
	uint32_t flags;
	uint64_t open_id;
};

struct range {
	uint64_t offset;
	uint64_t size;
	uint64_t open_id;
	uint32_t flags;
};

struct scan {
	uint64_t cookie;   /* in: where from; out: where to go on */
	uint64_t verifier;
	uint64_t want;
	uint32_t flags;
	uint32_t max_entries;
	uint32_t room;     /* bytes for the answer */
	bool eof;
	uint32_t n_entries;
	/* Called for each entry. */
	void (*entry)(void *arg, const struct op_dirent *d, const char *name);
	void *arg;
};

struct answer {
	struct op_attr attr;
	struct op_attr dir;
	struct op_wcc wcc;
	struct op_wcc to_wcc;
	struct op_statfs statfs;
	uint64_t open_id;
	uint64_t offset;
	uint64_t verifier;
	uint64_t size;
	uint32_t created;
	uint32_t eof;
	uint32_t stability;
	uint32_t allowed;
	uint32_t stored;
};

typedef void worker_fn(struct test *t, unsigned index, void *arg);

struct driver_config {
	const char *backend;
	const char *dir;              /* mount: the directory; ring: nothing */
	const char *socket;           /* ring: of a running chimerad, or NULL to start a server of our own */
	const char *mount;            /* ring with a socket: the mount's name there */
	const char *const *options;   /* key=value, NULL at the end */
	bool read_only;
};

struct driver {
	const char *name;
	uint32_t features;

	/* -- life: start() readies the file system and runs body in the right kind of context -- */
	int (*run)(const struct driver_config *cfg, void (*body)(void *arg), void *arg);
	int (*root)(struct test *t, struct obj *root);
	void (*release)(struct test *t);  /* the case is over: its objects go */
	void (*together)(struct test *t, unsigned n, worker_fn *fn, void *arg);
	void (*tick)(struct test *t);     /* returns when the file system's clock has moved on */
	struct client *(*client)(struct test *t);

	/* -- names -- */
	int (*lookup)(struct test *t, const struct obj *dir, struct str name, struct obj *out);
	int (*lookup_path)(struct test *t, const struct obj *dir, struct str path, struct obj *out);
	int (*parent)(struct test *t, const struct obj *o, struct obj *out);
	int (*readlink)(struct test *t, const struct obj *o, char *target, uint32_t size);
	int (*readdir)(struct test *t, const struct obj *dir, struct scan *s);
	int (*open)(struct test *t, const struct obj *dir, struct str name, const struct open_how *how, struct obj *out);
	int (*create_unlinked)(struct test *t, const struct obj *dir, const struct open_how *how, struct obj *out);
	int (*mkdir)(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr, struct obj *out);
	int (*mknod)(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr, struct obj *out);
	int (*symlink)(struct test *t, const struct obj *dir, struct str name, struct str target, struct obj *out);
	int (*link)(struct test *t, const struct obj *o, const struct obj *dir, struct str name);
	int (*rename)(struct test *t, const struct obj *from, struct str name, const struct obj *to, struct str to_name,
	              uint32_t flags);
	int (*remove)(struct test *t, const struct obj *dir, struct str name, uint32_t flags);

	/* -- objects -- */
	int (*getattr)(struct test *t, const struct obj *o);
	int (*setattr)(struct test *t, const struct obj *o, const struct op_attr *attr, uint64_t open_id);
	int (*access)(struct test *t, const struct obj *o, uint32_t want);
	int (*statfs)(struct test *t, const struct obj *o);
	int (*get_xattr)(struct test *t, const struct obj *o, struct str name, void *value, uint32_t size);
	int (*set_xattr)(struct test *t, const struct obj *o, struct str name, struct str value, uint32_t flags);
	int (*list_xattr)(struct test *t, const struct obj *o, char *names, uint32_t size);
	int (*remove_xattr)(struct test *t, const struct obj *o, struct str name);
	int (*get_acl)(struct test *t, const struct obj *o, void *acl, uint32_t size); /* as get_xattr */
	int (*set_acl)(struct test *t, const struct obj *o, struct str acl);
	int (*get_quota)(struct test *t, const struct obj *o, struct op_quota *q, uint32_t flags);
	int (*set_quota)(struct test *t, const struct obj *o, const struct op_quota *q);

	/* -- data -- */
	int (*read)(struct test *t, const struct obj *o, const struct io *io);
	int (*write)(struct test *t, const struct obj *o, const struct io *io);
	int (*commit)(struct test *t, const struct obj *o, const struct range *r);
	int (*allocate)(struct test *t, const struct obj *o, const struct range *r);
	int (*deallocate)(struct test *t, const struct obj *o, const struct range *r);
	int (*zero)(struct test *t, const struct obj *o, const struct range *r);
	int (*seek)(struct test *t, const struct obj *o, uint64_t offset, uint32_t what);
	int (*copy)(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
	            uint64_t size);
	int (*clone)(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
	             uint64_t size);
	int (*close)(struct test *t, uint64_t open_id);
	int (*sync)(struct test *t, const struct obj *o);
};

extern const struct driver driver_mount;
extern const struct driver driver_local;
extern const struct driver driver_ring;

#endif
