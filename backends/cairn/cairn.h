/*
 * cairn: a store in a directory that survives anything. Names and attributes are records of the metadata
 * store (cairn-meta.h); file data lies in segment files, in blocks that are never overwritten while a record
 * refers to them. cairn(5) has the format.
 *
 * Writing. Bytes gather in the node as dirty blocks. A flush writes them to free blocks, syncs the segments, and
 * then commits one transaction: new extents, freed ones, the inode. Until that transaction is durable the old
 * blocks are untouched; only after it they may be reused. So a crash finds either the old file or the new.
 *
 * Reading. All bytes of files are read from, and written to, pages of the block cache (vfs/block-cache.h), keyed by inode
 * and index. Dirty blocks are in pages that are held until a flush has stored them; then they are ordinary cached
 * blocks. A block is verified once, when it is read into its page.
 *
 * Locks. What a node holds is guarded by the lock that the VFS takes, except which blocks are dirty: a flush runs under
 * the shared lock beside readers, holds flush_lock, and takes data_lock exclusively for the moment in which dirty
 * blocks become extents. Who looks for dirty blocks and extents together holds data_lock shared. Who reads bytes
 * need not: a dirty block is present in its page, and before it may leave, its extent is committed and the inode tells.
 * Order: node lock, flush_lock, data_lock, refs_lock, then the store's other locks, which are leaves.
 */
#ifndef CAIRN_CAIRN_H
#define CAIRN_CAIRN_H

#include "backends/cairn/cairn-meta.h"
#include "backends/cairn/cairn-super.h"
#include "base/spinlock.h"
#include "base/tree.h"
#include "vfs/backend.h"
#include "vfs/block-cache.h"
#include "vfs/node-cache.h"
#include "vfs/quota.h"

#define CAIRN_ROOT_INODE 1
#define CAIRN_SNAPSHOT_DIR (1ULL << 62) /* no inode: the directory of snapshots */
#define CAIRN_CHUNK_BLOCKS BLOCKS_PER_PAGE
#define CAIRN_NO_BLOCK UINT64_MAX
#define CAIRN_BLOCKS_MAX (1ULL << 51) /* of a file: 2^63 bytes */

/* ---- records: cairn-record.c */

enum cairn_inode_flags {
	CAIRN_INLINE = 1 << 0,   /* block 0 is in the table of inline data */
	CAIRN_LINKABLE = 1 << 1, /* never had a name and may get one */
	CAIRN_STREAM = 1 << 4,   /* a stream, of the inode that is its parent */
	CAIRN_HAS_ACL = 1 << 5,  /* which is in the table of ACLs */
	CAIRN_CUT = 1 << 6,      /* there may be extents behind the end, which are being given back */
};

struct cairn_inode {
	struct op_attr attr;  /* but for what only getattr fills: mask, space */
	uint32_t flags;       /* enum cairn_inode_flags */
	uint32_t inline_size; /* bytes there */
	uint64_t n_blocks;    /* that extents hold */
	uint64_t verifier;    /* of an exclusive create */
	uint64_t parent;      /* directories; a stream's base */
	uint64_t next_cookie; /* directories */
	uint64_t n_entries;   /* directories */
	uint32_t epoch;       /* of the store when it was written: cairn_change_of() */
};

struct cairn_entry {
	uint64_t ino;
	uint64_t cookie;
	uint32_t type;
};

enum cairn_extent_kind { CAIRN_HOLE, CAIRN_WRITTEN, CAIRN_UNWRITTEN, CAIRN_LOST, CAIRN_IN_RECORD };

struct cairn_extent {
	uint64_t first;       /* block of the file */
	uint64_t n;           /* blocks */
	uint64_t place;       /* block of the store; written and unwritten */
	enum cairn_extent_kind kind;
	uint64_t born;        /* batch in which the data was written; 0: that of the record */
	uint32_t sums[CAIRN_EXTENT_MAX]; /* written: one for each block */
};

#define CAIRN_INODE_SIZE 224u
#define CAIRN_ENTRY_SIZE 24u
#define CAIRN_EXTENT_HEAD_SIZE 48u
#define CAIRN_EXTENT_SIZE_MAX (CAIRN_EXTENT_HEAD_SIZE + 4 * CAIRN_EXTENT_MAX)
#define CAIRN_ORDER_HEAD_SIZE 16u

void cairn_inode_encode(const struct cairn_inode *inode, uint8_t body[CAIRN_INODE_SIZE]);
int cairn_inode_decode(const void *body, uint32_t size, struct cairn_inode *inode);
void cairn_entry_encode(const struct cairn_entry *e, uint8_t body[CAIRN_ENTRY_SIZE]);
int cairn_entry_decode(const void *body, uint32_t size, struct cairn_entry *e);
/* cairn_extent_encode() - how many bytes. */
uint32_t cairn_extent_encode(const struct cairn_extent *e, uint8_t body[CAIRN_EXTENT_SIZE_MAX]);
int cairn_extent_decode(const struct meta_record *r, struct cairn_extent *e);
uint32_t cairn_block_sum(const void *block);
/* cairn_has_blocks() - whether blocks of the store belong to an extent of this kind. */
bool cairn_has_blocks(enum cairn_extent_kind kind);

/* Puts and deletes of whole records. */
void cairn_put_inode(struct meta_txn *txn, uint64_t ino, const struct cairn_inode *inode);
void cairn_put_entry(struct meta_txn *txn, uint64_t dir, const struct vfs_name *name, const struct cairn_entry *e);
void cairn_delete_entry(struct meta_txn *txn, uint64_t dir, const struct vfs_name *name, uint64_t cookie);
void cairn_put_extent(struct meta_txn *txn, uint64_t ino, const struct cairn_extent *e);
void cairn_delete_extent(struct meta_txn *txn, uint64_t ino, uint64_t first);
void cairn_put_orphan(struct meta_txn *txn, uint64_t ino);
void cairn_delete_orphan(struct meta_txn *txn, uint64_t ino);

/* ---- the store */

struct cairn_segment {
	struct file *file;    /* past the host's page cache where that can be done; NULL: not opened yet */
	struct file *cached;  /* the same file through that cache; not in a store that is only read */
	uint64_t *used;       /* a bit for each block; NULL: not loaded yet */
	uint32_t n_free;      /* valid when loaded */
	uint32_t hint;        /* where to look next */
	uint32_t lowest;      /* no block before it is free */
	uint64_t reach;       /* bytes of the file that the host has places for, but for holes; changed with space_lock */
	uint32_t n_writing;   /* writes that are under way; atomic */
	uint64_t written;     /* writes so far; this and the rest guarded by sync_lock */
	uint64_t synced;      /* how many of them are durable */
	uint64_t lost;        /* or are not, for a sync failed */
	int lost_err;         /* so */
	bool syncing;
	bool untrimmed;       /* free blocks may have their place on the host; guarded by space_lock */
};

struct cairn_range {
	uint64_t first;
	uint64_t n;
};

/* A growing list of ranges of the store's blocks. */
struct cairn_ranges {
	struct cairn_range *list;
	uint32_t n;
	uint32_t max;
};

struct cairn_purge;

struct cairn {
	struct cairn *base;           /* of a view: the store; else itself */
	uint64_t at;                  /* of a view: the snapshot's batch; else 0 */
	uint64_t fileid_bits;         /* of a view: what its nodes' fileids have besides the inode's number */
	_Atomic uint64_t n_users;     /* of a view: its nodes, and who looks for one */
	struct vfs_mount *mount;
	struct meta *meta;
	struct block_cache *cache;
	uint64_t cache_store;         /* number of this store there */
	struct cairn_super super;
	int dir_fd;
	int lock_fd;
	int data_fd;
	uint64_t instance;            /* in handles: of the store's uuid */
	uint32_t epoch;
	uint64_t capacity_blocks;     /* 0: the host's */
	uint64_t reserve_blocks;      /* of those, for what truncating and punching have to write */
	struct node_cache nodes;
	pthread_mutex_t load_locks[NODE_CACHE_SHARDS]; /* reading an inode and putting it into the cache is one step */
	_Atomic uint64_t n_blocks;    /* in use and reserved */
	_Atomic uint64_t n_inodes;
	struct quota_table quotas;
	struct fiber_mutex inode_lock; /* guards the two below */
	uint64_t next_inode;
	uint64_t inode_limit;         /* next_inode as stored */
	struct fiber_mutex space_lock; /* guards segments, but for sync state */
	struct cairn_segment *segments;
	uint32_t n_segments_max;
	uint32_t n_segments;          /* those that have had blocks */
	_Atomic uint32_t current;     /* segment to take blocks from; written with the lock */
	_Atomic uint32_t current_stored;
	struct fiber_rwlock refs_lock; /* cairn-share.c: shared: for commits that end references of one file alone */
	_Atomic bool wants_room;      /* writers were refused for the host's sake */
	_Atomic bool untrimmed;       /* segments may be */
	_Atomic uint64_t n_rooms;     /* times that there was more */
	struct fiber_mutex spare_lock; /* guards the next two; before space_lock */
	struct cairn_ranges spare;    /* blocks that are taken and have their place on the host, but are nobody's */
	_Atomic uint64_t n_spare;
	_Atomic uint64_t n_lost;      /* syncs that failed: what was written before may be lost */
	struct fiber_mutex sync_lock;
	struct fiber_cond synced;
	struct spinlock dirty_lock;   /* guards the list and the queue of those to reclaim */
	struct list dirty;            /* of cairn_node.dirty_link, longest dirty first */
	uint32_t flush_phase;         /* guarded by dirty_lock, as is what follows: nodes that were taken off the list in */
	uint32_t n_flushing[2];       /* each phase and are not stored yet */
	uint64_t n_flush_errors;
	int flush_err;                /* of the last flush that failed; 0: the last one did not */
	struct fiber_mutex flushed_lock; /* for waiting */
	struct fiber_cond flushed;    /* no such nodes of one phase any more */
	struct fiber_mutex flush_all_lock; /* one at a time ends a phase */
	struct cairn_gone *gone;      /* inodes to reclaim */
	struct cairn_cut *cuts;       /* nodes with CAIRN_CUT */
	uint64_t cut_walk;            /* inode from which on those that a crash left are looked for; 0: there are none. The worker's, as what follows */
	int cut_err;                  /* of the last try, as the next two */
	int reclaim_err;
	int purge_err;
	_Atomic uint64_t n_dirty;     /* blocks in memory */
	uint64_t dirty_max;
	struct fiber_mutex work_lock; /* of the background worker */
	struct fiber_cond work;
	struct fiber_join worker;
	struct fiber_join readers_ahead; /* of the store and its views */
	_Atomic uint32_t n_ahead;     /* those too */
	struct fiber_cond idle;       /* the worker found nothing to do; guarded by work_lock as the rest */
	uint64_t n_idle;
	bool stopping;
	_Atomic uint64_t n_orphans;
	struct cairn_scrub *scrub;    /* cairn-scrub.h */
	char snapshot_dir[OP_NAME_MAX + 1]; /* in the root; "": none */
	struct fiber_mutex snapshot_mutex; /* one change of the list at a time, or a step of the purge */
	pthread_mutex_t snapshots_lock; /* guards the list, its views and what tells its changes */
	struct list snapshots;        /* struct cairn_snapshot */
	struct op_time snapshots_time;
	uint64_t n_snapshot_changes;
	uint64_t newest;              /* batch of the newest snapshot, 0: none; changed with refs_lock exclusively */
	bool purge_wanted;
	struct cairn_purge *purge;    /* guarded by snapshot_mutex */
};

struct cairn_gone {
	struct cairn_gone *next;
	uint64_t ino;
};

/* 64 KiB of a file of which some blocks are dirty. */
struct cairn_chunk {
	struct tree_node node;
	uint64_t index;
	uint16_t dirty;          /* a bit for each block; those are present in the page */
	uint16_t placed;         /* of those, the ones that were, or are being, written to their places */
	struct block_page *page; /* held */
	uint64_t places[CAIRN_CHUNK_BLOCKS]; /* blocks of the store */
	uint32_t sums[CAIRN_CHUNK_BLOCKS];
};

/* Where the reading of a file is. Guesses: read and written by all readers. */
struct cairn_ahead {
	uint64_t next;   /* byte behind the last read */
	uint64_t filled; /* block up to which reading ahead has begun */
	uint32_t window; /* blocks */
};

/* By enum op_quota_kind. */
struct cairn_ids {
	uint32_t of[QUOTA_N_KINDS];
};

struct cairn_node {
	struct cached_node cached;
	struct cairn *fs;            /* the store, or the view that it is seen through */
	uint64_t ino;
	struct cairn_inode inode;
	_Atomic uint64_t read_time;  /* the access time if not 0: stamped under the shared lock; seconds << 30 | nanoseconds */
	struct fiber_mutex flush_lock;
	struct fiber_rwlock data_lock;
	struct tree chunks;
	_Atomic uint64_t n_dirty;    /* blocks in chunks, each charged to the store */
	uint64_t n_placed;           /* of those; this and the next four under the exclusive lock or by the flush */
	struct cairn_ranges stale;   /* places that were not needed: taken until no write is under way */
	uint64_t n_lost;             /* the store's, when the first was placed */
	bool rewrites;               /* placed blocks were written again since the last flush */
	int write_err;               /* of placed blocks */
	bool use_spare;              /* for their places; guarded by flush_lock */
	bool cut_stored;             /* CAIRN_CUT is, too */
	bool cut_queued;             /* guarded by the node's lock */
	_Atomic uint32_t n_writes;   /* under way */
	struct fiber_join writes;    /* those too */
	struct cairn_ahead ahead;
	struct list dirty_link;      /* guarded by dirty_lock; on the list the node is referenced */
	bool queued;
	_Atomic uint32_t n_streams;  /* nodes of streams that refer to this one */
	_Atomic bool changed;        /* the inode is not as stored */
	bool shares;                 /* it had shared blocks: cairn_refs.alone; guarded by flush_lock */
	uint64_t dirty_since_ns;
	_Atomic uint64_t batch;      /* with it the last change of names or attributes is durable */
	struct quota_owner owner;    /* whose account has the blocks, stored and dirty, and the inode */
	int64_t charged;             /* blocks there */
	struct cairn_ids ids;        /* whom the stored counters have it under */
};

static inline struct cairn_node *cairn_node(struct vfs_node *node)
{
	return container_of(node, struct cairn_node, cached.node);
}

static inline struct cairn *cairn_of(const struct cairn_node *n)
{
	return n->fs;
}

static inline uint64_t cairn_ino(const struct cairn_node *n)
{
	return n->ino;
}

/* cairn_is_inline() - whether block 0 is in the table of inline data, as far as is stored: also beside a flush. */
static inline bool cairn_is_inline(const struct cairn_node *n)
{
	return __atomic_load_n(&n->inode.flags, __ATOMIC_RELAXED) & CAIRN_INLINE;
}

static inline uint64_t cairn_fileid(const struct cairn *fs, uint64_t ino)
{
	return ino | fs->fileid_bits;
}

static inline uint64_t cairn_blocks(uint64_t bytes)
{
	return bytes / CAIRN_BLOCK_SIZE + (bytes % CAIRN_BLOCK_SIZE != 0);
}

/* cairn_node_of_ino() - the node with a reference. ERR_STALE: no such inode, or without names and not in use. */
int cairn_node_of_ino(struct cairn *fs, uint64_t ino, struct vfs_node **node);
/* cairn_node_adopt() - puts a new inode into the cache, with one reference, and with its ACL, which is taken over; NULL: none. */
int cairn_node_adopt(struct cairn *fs, uint64_t ino, const struct cairn_inode *inode, struct acl **acl, struct vfs_node **node);
int cairn_node_adopt_stream(struct cairn *fs, uint64_t ino, const struct cairn_inode *inode, struct vfs_node *base, struct vfs_node **node);
/* cairn_submit() - meta_submit() of what changes n, among others. cairn_note() - n was changed in that batch. */
int cairn_submit(struct cairn_node *n, struct meta_txn *txn);
void cairn_note(struct cairn_node *n, uint64_t batch);
/* cairn_settle() - backend_ops.settle. */
int cairn_settle(struct vfs_node *const *nodes, uint32_t n);
/* cairn_new_ino() - a number that was never used. Parks. */
int cairn_new_ino(struct cairn *fs, uint64_t *ino);
void cairn_node_destroy(struct cached_node *node);
uint32_t cairn_node_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX]);
int cairn_node_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node);
void cairn_node_release(struct vfs_node *node);

/* ---- cairn-segment.c: blocks of the store */

int cairn_segments_init(struct cairn *fs);
void cairn_segments_fini(struct cairn *fs);
/* cairn_alloc() - 1 to n blocks in a row, charged before; they are the caller's until cairn_release(). Parks. */
int cairn_alloc(struct cairn *fs, uint64_t n, struct cairn_range *got);
/* cairn_hold() - makes sure that blocks about to be freed are known to be taken, until then. */
int cairn_hold(struct cairn *fs, const struct cairn_range *range);
/* cairn_release() - makes blocks allocatable again; not refunded. */
void cairn_release(struct cairn *fs, const struct cairn_range *range);
/*
 * cairn_take_free() - takes some of the segment's free blocks from *at on, which moves: 0 is the beginning; false: none are left, or
 * what they held was given back already. cairn_put_free() - they are free again. Park.
 */
bool cairn_take_free(struct cairn *fs, uint32_t index, uint32_t *at, struct cairn_ranges *runs);
void cairn_put_free(struct cairn *fs, const struct cairn_ranges *runs);
int cairn_ranges_add(struct cairn_ranges *r, struct cairn_range range);
void cairn_ranges_release(struct cairn *fs, struct cairn_ranges *r);
void cairn_ranges_fini(struct cairn_ranges *r);

/* ---- cairn-segment-file.c: the files they are in */

/*
 * cairn_blocks_read(), cairn_blocks_write() - n_iov parts, in memory aligned to blocks, make whole blocks in a row in one
 * segment. durable: cairn_blocks_sync() need not follow. Park.
 */
int cairn_blocks_read(struct cairn *fs, uint64_t place, struct iovec *iov, int n_iov);
int cairn_blocks_write(struct cairn *fs, uint64_t place, struct iovec *iov, int n_iov, bool *durable);
/* cairn_blocks_sync() - what was written to the segments of these ranges is durable. Parks. */
int cairn_blocks_sync(struct cairn *fs, const struct cairn_ranges *ranges);
/* cairn_blocks_place() - fallocate(2) of blocks that are the caller's, without a change of the file's size. Parks. */
int cairn_blocks_place(struct cairn *fs, const struct cairn_range *range, int flags);

/* ---- cairn-room.c: what the store and its host have room for */

/* cairn_charge() - takes n blocks of the capacity; urgent: from the reserve too. ERR_NOSPC. */
int cairn_charge(struct cairn *fs, uint64_t n, bool urgent);
void cairn_refund(struct cairn *fs, uint64_t n);
/* cairn_room() - bytes and files, all and free. */
void cairn_room(struct cairn *fs, struct op_statfs *st);
/* cairn_ranges_discard() - gives long ranges, held but not used any more, back to the host; sorts them. Parks. */
void cairn_ranges_discard(struct cairn *fs, struct cairn_ranges *r);
/* cairn_host_room() - if writers were refused: the host gets back what free blocks hold, and is asked for more. Whether it did. Parks. For the background worker. */
bool cairn_host_room(struct cairn *fs);
/* cairn_spare_fill() - for the background worker too. cairn_spare_take() - 1 to n blocks that need no room on the host. ERR_NOSPC. Park. */
void cairn_spare_fill(struct cairn *fs);
int cairn_spare_take(struct cairn *fs, uint64_t n, struct cairn_range *got);

struct cairn_refs;

/* ---- cairn-extent.c: what is where in a file */

/* cairn_extent_at() - the extent or hole with block, cut so that it begins there; it ends where the record does, a hole where data begins. */
int cairn_extent_at(struct cairn_node *n, uint64_t block, struct cairn_extent *e);
/* cairn_unmap() - takes blocks of the file (sorted, apart) out of it in txn: extents are deleted or cut. refs gets what so ends. */
int cairn_unmap(struct cairn_node *n, struct meta_txn *txn, const struct cairn_ranges *what, struct cairn_refs *refs);
/* cairn_ranges_sort() - in order, neighbours joined. cairn_ranges_total() - blocks. */
void cairn_ranges_sort(struct cairn_ranges *r);
uint64_t cairn_ranges_total(const struct cairn_ranges *r);
/* cairn_load_inline() - block 0 of a file that has it in its record. */
int cairn_load_inline(struct cairn_node *n, uint8_t *bytes);
/* cairn_verify() - whether the bytes of a block of the file, read from place, have the checksum that they should. ERR_IO. */
int cairn_verify(const struct cairn_node *n, uint64_t block, uint64_t place, uint32_t sum, const uint8_t *bytes);

/* ---- cairn-fill.c: from the store into pages */

#define CAIRN_FILL_PAGES (OP_IO_MAX / PAGE_CHUNK_SIZE + 1)

/* ---- cairn-share.c: who uses the store's blocks */

/* A reference of a file to blocks of the store, which a transaction begins or ends. */
struct cairn_ref {
	struct cairn_range place;
	uint64_t ino;
	uint64_t block; /* of the file, the first that refers */
	uint64_t born;  /* batch since which it does */
	int delta;      /* 1: it begins to, -1: it ends */
};

struct cairn_refs {
	struct cairn_ref *list;
	uint32_t n;
	uint32_t max;
	bool alone;    /* there may be shared blocks among them: a hint, set by cairn_refs_commit() */
	bool outlived; /* what ends was in the table of dead references */
};

/* An interval of the store's blocks as the table of space has it. */
struct cairn_space {
	struct cairn_range range;
	uint32_t refs;
	uint64_t born;
};

int cairn_space_decode(const struct meta_record *r, struct cairn_space *space);
int cairn_refs_add(struct cairn_refs *r, const struct cairn_ref *ref);
/* cairn_refs_ended() - blocks whose reference ends, each time one does. */
uint64_t cairn_refs_ended(const struct cairn_refs *r);
void cairn_refs_fini(struct cairn_refs *r);
/* cairn_own() - new blocks have their first reference. */
void cairn_own(struct meta_txn *txn, const struct cairn_range *range);
/*
 * cairn_refs_commit() - commits txn with what refs change, as meta_commit() does. Blocks without references are
 * taken out of the counter and answered in freed; they stay taken until cairn_release(). Parks.
 */
int cairn_refs_commit(struct cairn *fs, struct meta_txn *txn, struct cairn_refs *refs, struct cairn_ranges *freed);

/* ---- cairn-clone.c */

int cairn_clone(struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t size);

static inline struct block_key cairn_page_key(const struct cairn_node *n, uint64_t index)
{
	return (struct block_key){cairn_of(n)->cache_store, cairn_ino(n), index};
}

/*
 * cairn_fill() - brings blocks [first, end), in at most CAIRN_FILL_PAGES pages, into the cache. If chunks is not NULL it
 * gets a reference to the memory of each page, with all of those blocks. Node lock held. Parks. ERR_IO: some
 * could not be read or don't check; ERR_DELAY: no memory now.
 */
int cairn_fill(struct cairn_node *n, uint64_t first, uint64_t end, uint32_t *chunks);

/* cairn_read_ahead() - a read of [offset, end) is going on: what comes after it is fetched if it seems to be wanted. */
void cairn_read_ahead(struct cairn_node *n, uint64_t offset, uint64_t end);

/* ---- cairn-cache.c: dirty blocks in memory; under the exclusive lock, but for looking */

/* cairn_dirty_block() - the block's bytes, NULL if it is not dirty. */
const uint8_t *cairn_dirty_block(struct cairn_node *n, uint64_t block);
/*
 * cairn_reserve_dirty() - charges for those of n_blocks from first on that are not dirty, and holds the pages of
 * all. *charged of them are to be marked, or refunded. urgent as in cairn_charge().
 */
int cairn_reserve_dirty(struct cairn_node *n, uint64_t first, uint64_t n_blocks, bool urgent, uint64_t *charged);
/* cairn_prune() - lets go of reserved pages of these blocks in which nothing is dirty. */
void cairn_prune(struct cairn_node *n, uint64_t first, uint64_t n_blocks);
/*
 * cairn_own_page() - makes the memory of a reserved page writable; blocks of lose that are clean are going to be overwritten
 * whole. cairn_mark_dirty() - blocks whose bytes were written. cairn_chunk_at() - the reserved page.
 */
struct cairn_chunk *cairn_chunk_at(struct cairn_node *n, uint64_t index);
int cairn_own_page(struct cairn_node *n, struct cairn_chunk *c, uint16_t lose);
void cairn_mark_dirty(struct cairn_node *n, struct cairn_chunk *c, uint16_t mask);
/* cairn_load_dirty() - the stored bytes of a reserved block, to be changed: it is dirty. Parks. */
int cairn_load_dirty(struct cairn_node *n, uint64_t block, uint8_t **bytes);
/* cairn_put_dirty() - bytes become the content of a reserved block, which was not dirty. ERR_DELAY. */
int cairn_put_dirty(struct cairn_node *n, uint64_t block, const void *bytes);
/* cairn_drop_dirty() - dirty blocks in [from, to) are clean. Returns how many; they are still charged. */
uint64_t cairn_drop_dirty(struct cairn_node *n, uint64_t from, uint64_t to);
/* cairn_forget() - blocks in [from, to) are neither dirty nor cached. As above. */
uint64_t cairn_forget(struct cairn_node *n, uint64_t from, uint64_t to);
/* cairn_next_dirty() - the first dirty block at or after *block, which it becomes; its bytes or NULL. */
const uint8_t *cairn_next_dirty(struct cairn_node *n, uint64_t *block);
/* cairn_queue() - puts n where the background worker sees it. cairn_hasten() - if it is there, or streams of it, as the first: it lost its last name. */
void cairn_queue(struct cairn_node *n);
void cairn_hasten(struct cairn_node *n);

/* ---- cairn-place.c: dirty blocks get their places in the store; under the exclusive lock, or by the flush */

/*
 * cairn_place_dirty() - all that is dirty has a place and was written there; *durable: it needs no sync. Parks. On failure:
 * cairn_displace_all().
 */
int cairn_place_dirty(struct cairn_node *n, bool *durable);
/* cairn_next_placed() - once all is placed: the extent that begins with the first dirty block at or after *at, which moves behind it. */
bool cairn_next_placed(struct cairn_node *n, uint64_t *at, struct cairn_extent *e);
/* cairn_place_ahead() - begins to write whole stretches of which [first, end) are part. Parks when much is under way. */
void cairn_place_ahead(struct cairn_node *n, uint64_t first, uint64_t end);
/* cairn_displace() - blocks are going to be written again, or dropped. cairn_displace_all() - have to be written anew; parks. */
void cairn_displace(struct cairn_node *n, struct cairn_chunk *c, uint16_t mask);
void cairn_displace_all(struct cairn_node *n);
/* cairn_release_stale() - gives back what was displaced. Parks. */
void cairn_release_stale(struct cairn_node *n);

/* ---- cairn-flush.c */

/* What a flush changes besides. */
struct cairn_change {
	struct cairn_range unmap;            /* blocks of the file that become a hole; n 0: none */
	const struct cairn_extent *unwritten; /* allocated and charged for the file */
	uint32_t n_unwritten;
	const struct cairn_extent *shared;   /* written, and another's already */
	uint32_t n_shared;
	bool frees;                          /* gives back more than it takes, which may be spare blocks */
};

/*
 * cairn_flush() - makes the node's dirty blocks and its inode durable, with a change of the caller's. Node lock
 * held, [w] if there is a change. Parks. On failure everything is as before.
 */
int cairn_flush(struct cairn_node *n, const struct cairn_change *change);
/* cairn_flush_dirty() - the same if there is anything to make durable that no flush is just doing. */
int cairn_flush_dirty(struct cairn_node *n);
/* cairn_flush_all() - every node that is dirty. cairn_work_start() - the background worker; stop ends it. */
int cairn_flush_all(struct cairn *fs);
int cairn_work_start(struct cairn *fs);
void cairn_work_stop(struct cairn *fs);
/* cairn_throttle() - after a write: if too much is dirty, flushes n and wakes the worker. */
int cairn_throttle(struct cairn_node *n);

/* ---- cairn-reclaim.c: inodes without names */

/* cairn_reclaim_forget() - empties the queue. */
void cairn_reclaim_forget(struct cairn *fs);
void cairn_reclaim_later(struct cairn *fs, uint64_t ino);
/* cairn_reclaim_some() - frees queued inodes; false: none was left. Parks. */
bool cairn_reclaim_some(struct cairn *fs);
#define CAIRN_ROOM_NS (2 * NS_PER_SEC) /* that a full store's writers wait for room */
/*
 * cairn_make_room() - waits, at most that long, until the worker has reclaimed what nobody uses, as far as that needs no
 * lock that is held. Whether it gave back anything. Parks; any lock may be held.
 */
bool cairn_make_room(struct cairn *fs, uint64_t wait_ns);
/* cairn_reclaim_find() - queues what was left by an earlier start. */
int cairn_reclaim_find(struct cairn *fs);

/* ---- cairn-attr.c */

/* cairn_touch() - a change of the inode now: ctime and change; with data (or names) mtime too. */
void cairn_touch(struct cairn_inode *inode, bool data);
void cairn_stamp_read(struct cairn_node *n);
/* cairn_inode_stored() - the inode as it is to be stored: with the access time. */
struct cairn_inode cairn_inode_stored(const struct cairn_node *n);
void cairn_inode_init(struct cairn *fs, uint64_t ino, const struct vfs_create *what, struct cairn_inode *inode);
int cairn_getattr(struct vfs_node *node, struct op_attr *attr);
int cairn_setattr(struct vfs_node *node, const struct op_attr *set);
int cairn_readlink(struct vfs_node *node, char *target, uint32_t *size);
int cairn_verifier(struct vfs_node *node, uint64_t *verifier);

/* ---- cairn-acl.c */

int cairn_set_acl(struct vfs_node *node, const struct acl *acl, uint32_t mode);
/* cairn_load_acl() - of an inode that has one; allocates. */
int cairn_load_acl(struct cairn *fs, uint64_t ino, struct acl **acl);
void cairn_put_acl(struct meta_txn *txn, uint64_t ino, const struct acl *acl);

/* ---- cairn-usage.c */

#define CAIRN_USAGE_FIRST (1ULL << 40) /* of the keys of counters */
#define CAIRN_USAGE_KIND_SHIFT 36
#define CAIRN_USAGE_INODES (1ULL << 35)

struct cairn_ids cairn_ids(const struct cairn_inode *inode);
uint64_t cairn_usage_key(uint32_t kind, uint32_t id);
/* cairn_usage_counts() - nothing counts for no project. cairn_usage_add() - to the counters of bytes and of inodes. */
bool cairn_usage_counts(uint32_t kind, uint32_t id);
void cairn_usage_add(struct meta_txn *txn, uint32_t kind, uint32_t id, int64_t blocks, int64_t inodes);

/* ---- cairn-quota.c */

int cairn_quota_load(struct cairn *fs);
int cairn_get_quota(struct vfs_mount *m, struct op_quota *q, bool next);
int cairn_set_quota(struct vfs_mount *m, const struct op_quota *q);
/* Counters, that of inodes being cut too: of an inode that comes (sign 1) or goes (-1) whole; of one that n has stored and is going to be as after. */
void cairn_quota_put_inode(struct meta_txn *txn, const struct cairn_inode *inode, int sign);
void cairn_quota_put(struct meta_txn *txn, struct cairn_node *n, const struct cairn_inode *after);
/* cairn_quota_charge() - blocks to come, before they do: ERR_DQUOT. cairn_quota_sync() - what n has is what is charged, whatever happened. */
int cairn_quota_charge(struct cairn_node *n, uint64_t blocks);
void cairn_quota_sync(struct cairn_node *n);
/* cairn_quota_new() - charges a new inode; *owner is to be given back by quota_adjust() if it does not come. ERR_DQUOT. */
int cairn_quota_new(struct cairn *fs, const struct cairn_inode *inode, const struct cairn_node *near, struct quota_owner *owner);
/* cairn_quota_gone() - gives back what a stored inode had; sign -1: takes it again. */
void cairn_quota_gone(struct cairn *fs, const struct cairn_inode *inode, int sign);
/* cairn_quota_move() - charges who attr says instead of n's owner. ERR_DQUOT. */
int cairn_quota_move(struct cairn_node *n, const struct op_attr *attr);

/* cairn_quota_move_back() - undoes that: the owner is as before. */
void cairn_quota_move_back(struct cairn_node *n, const struct quota_owner *before);

/* ---- cairn-owner.c */

struct cairn_owned {
	struct cairn_node *n;
	struct quota_owner before;
};

/* A change of owner, group or project: of an object, the first in the list, and of its streams. */
struct cairn_owning {
	struct cairn_node *base;
	struct op_attr set;
	struct cairn_owned *list;
	uint32_t n, max;
	bool put;
};

/*
 * cairn_own_begin() - stores what is dirty of the streams, and moves what all have to the accounts that set tells. Node lock [w].
 * Parks. ERR_DQUOT; on failure nothing was moved, and the rest need not be called. cairn_own_put() - streams in the base's transaction.
 * cairn_own_end() - it was committed, or with err was not and everything is moved back.
 */
int cairn_own_begin(struct cairn_owning *o, struct cairn_node *base, const struct op_attr *set);
void cairn_own_put(struct cairn_owning *o, struct meta_txn *txn);
void cairn_own_end(struct cairn_owning *o, int err);

/* ---- cairn-dir.c, cairn-name.c */

int cairn_find_entry(struct cairn_node *dir, const struct vfs_name *name, struct cairn_entry *e);
int cairn_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node);
int cairn_parent(struct vfs_node *dir, struct vfs_node **parent);
int cairn_readdir(struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof);
int cairn_create(struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name,
                 const struct vfs_create *what, struct vfs_node **node);
int cairn_create_unlinked(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what,
                          struct vfs_node **node);
int cairn_link(struct vfs_node *node, struct vfs_node *dir, const struct vfs_name *name);
int cairn_remove(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node *node);
int cairn_rename(struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir,
                 const struct vfs_name *to, const struct vfs_rename *what);

/* ---- cairn-grow.c */

/* cairn_set_capacity() - from now on; bytes 0: the host's. */
void cairn_set_capacity(struct cairn *fs, uint64_t bytes);
int cairn_grow(struct vfs_mount *m, uint64_t capacity);
void cairn_stats(struct vfs_mount *m, backend_stat_fn *emit, void *arg);

/* ---- cairn-fold.c */

/* cairn_fold_key() - the record of a name in the table of folded names; false: it has none, for it is its own folded form. */
/* cairn_fold_key_of() - the same with the store's UUID and the directory's inode: cairn-fold-key.c. */
bool cairn_fold_key_of(const uint8_t uuid[16], uint64_t dir, const struct vfs_name *name, struct meta_key *key);
bool cairn_fold_key(const struct cairn_node *dir, const struct vfs_name *name, struct meta_key *key);
void cairn_put_folded(struct meta_txn *txn, const struct cairn_node *dir, const struct vfs_name *name);
void cairn_delete_folded(struct meta_txn *txn, const struct cairn_node *dir, const struct vfs_name *name);
int cairn_lookup_folded(struct vfs_node *dir, const struct vfs_name *name, struct vfs_name *stored, char bytes[OP_NAME_MAX],
                        struct vfs_node **found);
int cairn_readdir_from(struct vfs_node *dir, const struct vfs_name *after, vfs_emit_fn *emit, void *arg, bool *eof);

/* ---- cairn-stream.c */

int cairn_find_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream);
int cairn_create_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream);
int cairn_list_streams(struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof);
int cairn_remove_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream);
int cairn_rename_stream(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target);
/* cairn_touch_base() - n's data has changed: if it is a stream, so has its base; stable: which is stored now. Parks. */
void cairn_touch_base(struct cairn_node *n, bool stable);
/* cairn_flush_base() - a stream's base, if that has changed. Parks. */
int cairn_flush_base(struct cairn_node *n);
/* cairn_next_stream() - the first of base's streams after *key, which becomes its; *ino 0: none is left. */
int cairn_next_stream(struct cairn *fs, uint64_t base, struct meta_key *key, uint64_t *ino);

/* ---- cairn-data.c, cairn-space.c, cairn-xattr.c */

int cairn_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size);
int cairn_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w);
int cairn_commit(struct vfs_node *node, uint64_t offset, uint64_t size);
int cairn_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
int cairn_deallocate(struct vfs_node *node, uint64_t offset, uint64_t size);
int cairn_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size);
int cairn_seek(struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found);
/*
 * cairn_store_first() - what is dirty is stored, so that a change which then fails can be taken back: what is dirty after it is
 * the change's. Node lock [w]. Parks. cairn_resize() - cuts, which needs that, or extends; stores the inode with set's
 * other changes already made.
 */
int cairn_store_first(struct cairn_node *n);
int cairn_resize(struct cairn_node *n, uint64_t size);
/* cairn_commit_with() - commits txn with the inode, which is touched; bytes gathered in memory go before it. Parks. */
int cairn_commit_with(struct cairn_node *n, struct meta_txn *txn);
int cairn_get_xattr(struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size);
int cairn_set_xattr(struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags);
int cairn_list_xattr(struct vfs_node *node, char *names, uint32_t *size);
int cairn_remove_xattr(struct vfs_node *node, const struct vfs_name *name);

#endif
