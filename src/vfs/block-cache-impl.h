/* What the files of the block cache share: a page, a shard, and the queues by which pages are evicted. */
#ifndef VFS_BLOCK_CACHE_IMPL_H
#define VFS_BLOCK_CACHE_IMPL_H

#include "base/hash.h"
#include "base/list.h"
#include "base/spinlock.h"
#include "loop/fiber.h"
#include "vfs/block-cache.h"

enum block_queue { QUEUE_NONE, QUEUE_SMALL, QUEUE_MAIN };

/* Guarded by the lock of its shard; what a holder may read without is said in block-cache.h. */
struct block_page {
	struct block_page *next; /* in its bucket, or in a list of those that go */
	struct block_key key;
	uint64_t hash;
	struct list link;        /* in its queue while nobody holds it */
	uint32_t chunk;          /* PAGE_CHUNK_NONE: no memory yet */
	uint32_t n_holds;
	uint16_t present;
	uint16_t filling;
	uint16_t frozen;         /* absent, but readers may still refer to the memory */
	uint16_t seen;           /* blocks read in the present pass */
	uint8_t queue;           /* enum block_queue: where it belongs, also while it is held */
	uint8_t uses;            /* passes since it was last considered, at most USES_MAX */
};

/* A page that was evicted a while ago. */
struct block_ghost {
	uint32_t mark;  /* of its hash; 0: none */
	uint32_t stamp; /* n_evictions then */
};

struct block_shard {
	_Alignas(CACHE_LINE) struct spinlock lock; /* guards the rest, but for the two of waiting */
	uint32_t n_pages;        /* estimated without the lock */
	uint32_t n_held;
	uint32_t n_small;
	uint32_t n_main;
	uint32_t n_evictions;
	uint32_t n_waiters;
	uint64_t n_hits;
	uint64_t n_misses;
	struct list small;       /* first in, first */
	struct list main;
	struct block_page **buckets;
	struct block_ghost *ghosts;
	struct fiber_mutex wait_lock;
	struct fiber_cond filled;
};

struct block_cache {
	struct pages *pages;
	uint64_t next_store;
	uint32_t n_shards;       /* a power of two */
	uint32_t n_pages_max;    /* of a shard */
	uint32_t mask;           /* of a shard's buckets and ghosts */
	uint32_t next_shrink;    /* shard to shrink next */
	struct block_shard *shards;
};

/* ---- block-queue.c: all with the shard locked */

/* block_enqueue() - a page that nobody holds any more, or a new one. block_dequeue() - somebody holds it, or it goes. */
void block_enqueue(struct block_cache *cache, struct block_shard *s, struct block_page *page);
void block_dequeue(struct block_shard *s, struct block_page *page);
/* block_count_use() - of blocks that are present. */
void block_count_use(struct block_page *page, uint16_t mask);
/* block_victim() - takes the page that should go out of its queue, or gives NULL: none was found soon. */
struct block_page *block_victim(struct block_cache *cache, struct block_shard *s);

#endif
