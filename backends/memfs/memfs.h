/*
 * memfs: a store in memory. File data lies in chunks of the page arena, so that reads are answered by
 * reference; everything else in nodes of a few hundred bytes. The VFS holds a node's lock around every
 * operation on it, so what a node contains needs no other lock; what nodes share is in struct memfs.
 */
#ifndef MEMFS_MEMFS_H
#define MEMFS_MEMFS_H

#include <stdatomic.h>

#include "base/spinlock.h"
#include "vfs/backend.h"
#include "vfs/quota.h"

#define MEMFS_GRANULE 4096u                                /* unit of allocation and of holes */
#define MEMFS_GRANULES (PAGE_CHUNK_SIZE / MEMFS_GRANULE)   /* of one chunk */
#define MEMFS_SLAB_NODES 128u
#define MEMFS_SLOT_BITS 28                                 /* of a fileid; the rest counts uses of the slot */
#define MEMFS_N_SHARDS 8u
#define MEMFS_XATTRS_MAX (256u << 10)                      /* bytes of one node's names and values */

/* ---- file data: memfs-map.c */

/* A chunk in its place. Bytes of granules that are not present are zero in the chunk too. */
struct memfs_ref {
	uint32_t chunk;   /* PAGE_CHUNK_NONE: a hole */
	uint16_t present; /* a bit for each granule */
	uint16_t zero;
};

/* Chunk index to memfs_ref: the first one in place, the others in a radix tree of as few levels as needed. */
struct memfs_map {
	struct memfs_ref first;
	void *root;      /* NULL: nothing beyond the first chunk */
	uint32_t levels; /* of the tree */
};

/* memfs_map_get() - NULL: a hole. memfs_map_make() - the place for index, made if need be; NULL: no memory. */
struct memfs_ref *memfs_map_get(struct memfs_map *m, uint64_t index);
struct memfs_ref *memfs_map_make(struct memfs_map *m, uint64_t index);
/* memfs_map_next() - the first place with a chunk at *index or after it, which *index becomes; NULL: none. */
struct memfs_ref *memfs_map_next(struct memfs_map *m, uint64_t *index);
/* memfs_map_trim() - frees the tree's nodes from index on; there must be no chunk in them. */
void memfs_map_trim(struct memfs_map *m, uint64_t index);

/* ---- directories: memfs-dir.c */

struct memfs_node;

struct memfs_entry {
	struct memfs_entry *next; /* of those that its bucket has no slot for */
	uint64_t hash;
	struct memfs_node *node; /* holds the node's link reference */
	uint32_t place;          /* in the directory's order */
	uint32_t size;
	char name[];
};

/* One place in the order of a directory: cookies ascend. A removed entry leaves its place empty until the array is packed. */
struct memfs_place {
	uint64_t cookie;
	struct memfs_entry *entry;
};

struct memfs_bucket;

/* Names by hash; all-zero is empty. */
struct memfs_names {
	struct memfs_bucket **segments; /* the first and the second of 8 buckets, each further one twice as long */
	uint32_t n_segments;
	uint32_t bits;                  /* 2^bits buckets at the start of this round of splitting */
	uint64_t split;                 /* buckets of them that have been split */
	uint64_t n_entries;
};

struct memfs_dir {
	struct memfs_names names;
	struct memfs_place *order;
	uint32_t n_order;
	uint32_t max_order;
	uint64_t next_cookie;
	struct memfs_node *parent; /* not referenced; NULL once removed */
};

/* ---- nodes */

struct memfs_xattr {
	struct memfs_xattr *next;
	uint32_t name_size;
	uint32_t value_size;
	char bytes[]; /* name, then value */
};

struct memfs_node {
	struct vfs_node node;
	struct op_attr attr;           /* all of ATTR_ALL, ready to be copied */
	_Atomic uint64_t read_time;    /* the access time if not 0: stamped under the shared lock; seconds << 30 | nanoseconds */
	uint64_t verifier;             /* of an exclusive create */
	struct quota_owner owner;      /* charged for the node and its granules */
	struct memfs_xattr *xattrs;
	struct memfs_stream *streams;
	uint32_t xattr_size;
	uint32_t n_streams;
	uint32_t slot;
	bool linkable;                 /* never had a name, and may get one */
	uint64_t uses;                 /* of the slot; survives the node */
	struct memfs_node *next_free;
	union {
		struct memfs_map map;
		struct memfs_dir dir;
		char *target;
	};
};

struct memfs_stream;

struct memfs_shard {
	_Alignas(CACHE_LINE) struct spinlock lock;
	struct memfs_node *free;
};

struct memfs {
	struct vfs_mount *mount;
	uint64_t instance;             /* in handles: those of an earlier start are stale */
	uint8_t name_key[16];          /* names are chosen by peers: their hash is keyed */
	uint64_t n_granules_max;
	uint64_t n_nodes_max;
	struct memfs_node **slabs;     /* by slot / MEMFS_SLAB_NODES; lazily backed */
	uint32_t n_slabs_max;
	uint32_t n_slabs;              /* guarded by grow_lock for writing */
	struct spinlock grow_lock;
	struct memfs_shard shards[MEMFS_N_SHARDS];
	struct quota_table quotas;
	_Alignas(CACHE_LINE) _Atomic uint64_t n_granules;
	_Alignas(CACHE_LINE) _Atomic uint64_t n_nodes;
};

static inline struct memfs_node *memfs_node_of(struct vfs_node *node)
{
	return container_of(node, struct memfs_node, node);
}

static inline struct memfs *memfs_of(const struct memfs_node *n)
{
	return n->node.mount->store;
}

/* memfs_charge() - takes granules of the capacity: ERR_NOSPC. memfs_refund() - gives them back. */
int memfs_charge(struct memfs *fs, uint64_t n);
void memfs_refund(struct memfs *fs, uint64_t n);

/* memfs_touch() - a change of n now: ctime and change; with data (or names) mtime too. */
void memfs_touch(struct memfs_node *n, bool data);

/* ---- memfs-node.c: the table of nodes */

int memfs_table_init(struct memfs *fs);
void memfs_table_fini(struct memfs *fs); /* frees every node */
/*
 * memfs_node_new() - a node with one reference and no name. near: NULL, or one that may belong to the same owner. ERR_NOSPC: too
 * many; ERR_DQUOT.
 */
int memfs_node_new(struct memfs *fs, const struct vfs_create *what, const struct memfs_node *near, struct memfs_node **node);
uint32_t memfs_node_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX]);
int memfs_node_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node);
void memfs_node_release(struct vfs_node *node);

/* ---- memfs-names.c */

/* memfs_names_reserve() - before the first insertion, so that none fails: ERR_NOSPC. */
int memfs_names_reserve(struct memfs_names *t);
struct memfs_entry *memfs_names_find(const struct memfs_names *t, const struct vfs_name *name, uint64_t hash);
void memfs_names_insert(struct memfs_names *t, struct memfs_entry *e, uint64_t hash);
void memfs_names_remove(struct memfs_names *t, struct memfs_entry *e);
void memfs_names_fini(struct memfs_names *t);

/* ---- memfs-dir.c */

void memfs_dir_init(struct memfs_node *dir, struct memfs_node *parent);
void memfs_dir_fini(struct memfs_dir *d); /* frees the entries, not what they name */
int memfs_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node);
int memfs_parent(struct vfs_node *dir, struct vfs_node **parent);
int memfs_readdir(struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof);
int memfs_create(struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name,
                 const struct vfs_create *what, struct vfs_node **node);
int memfs_create_unlinked(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what,
                          struct vfs_node **node);
int memfs_link(struct vfs_node *node, struct vfs_node *dir, const struct vfs_name *name);
int memfs_remove(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node *node);
int memfs_rename(struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir,
                 const struct vfs_name *to, const struct vfs_rename *what);

/* ---- memfs-data.c */

int memfs_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size);
int memfs_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w);
int memfs_clone(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t size);
int memfs_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
int memfs_deallocate(struct vfs_node *node, uint64_t offset, uint64_t size);
int memfs_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
int memfs_seek(struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found);
int memfs_resize(struct memfs_node *n, uint64_t size);
/* memfs_drop_data() - all of a file's chunks and its map. */
void memfs_drop_data(struct memfs_node *n);

/* ---- memfs-attr.c */

int memfs_getattr(struct vfs_node *node, struct op_attr *attr);
int memfs_setattr(struct vfs_node *node, const struct op_attr *set);
int memfs_readlink(struct vfs_node *node, char *target, uint32_t *size);
int memfs_verifier(struct vfs_node *node, uint64_t *verifier);
/* memfs_stamp_read() - under the shared lock. */
void memfs_stamp_read(struct memfs_node *n);

/* ---- memfs-xattr.c */

int memfs_get_xattr(struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size);
int memfs_set_xattr(struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags);
int memfs_list_xattr(struct vfs_node *node, char *names, uint32_t *size);
int memfs_remove_xattr(struct vfs_node *node, const struct vfs_name *name);
int memfs_set_acl(struct vfs_node *node, const struct acl *acl, uint32_t mode);
/* memfs_take_acl() - a copy of acl becomes the node's. ERR_NOSPC. */
int memfs_take_acl(struct memfs_node *n, const struct acl *acl);
void memfs_drop_xattrs(struct memfs_node *n); /* and the ACL */

/* ---- memfs-stream.c */

int memfs_find_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream);
int memfs_create_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream);
int memfs_list_streams(struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof);
int memfs_remove_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream);
int memfs_rename_stream(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target);
/* memfs_streams_space() - bytes that they have. memfs_own_streams() - they count for whom base counts for. */
uint64_t memfs_streams_space(const struct memfs_node *base);
void memfs_own_streams(struct memfs_node *base);
/* memfs_drop_streams() - of an object that has lost its last name. memfs_forget_streams() - the list alone, as the store goes. */
void memfs_drop_streams(struct memfs_node *base);
void memfs_forget_streams(struct memfs_node *base);

#endif
