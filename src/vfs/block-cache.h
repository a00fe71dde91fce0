/*
 * The block cache: what backends keep of their stores' data, in the page arena, found again without a system call.
 *
 * A page is a chunk of the arena (64 KiB) that holds the blocks of one aligned stretch of one object, of which some
 * are present: 16 blocks of 4 KiB, named by a mask. Keyed by store, object and index in the object, not by where
 * the store keeps the bytes: a hit needs no map of extents, dirty data is just a page that is held, and a stretch of a
 * file is one piece of memory however fragmented it lies on disk. What two objects share on disk is cached twice.
 *
 * Who excludes whom. The owner of an object has a lock for it: finding and filling are done under it shared, all that
 * changes what is present (writing, dropping) exclusively. Beyond that everything is thread-safe. Fills of the same
 * block by several readers are one read: who finds it being filled waits for the other.
 *
 * References. A reader gets a reference to the chunk and may use its blocks as long as it likes, without any lock.
 * So memory that somebody refers to is never written: a writer calls block_own() before, which replaces the
 * chunk of the page if there are other references to it. Blocks that are absent may be filled meanwhile.
 *
 * What stays. A page that is held is never evicted; nor is one whose chunk others refer to. The rest is kept by
 * S3-FIFO (Yang et al., SOSP 2023): new pages pass through a small queue, and only what is used again on the way, or
 * soon after it fell out, enters the main queue, so that reading much once leaves what is used often. Reading a
 * page's blocks one after the other counts as one use. When the arena is full, pages give way to whoever allocates.
 */
#ifndef VFS_BLOCK_CACHE_H
#define VFS_BLOCK_CACHE_H

#include "base/compiler.h"
#include "ring/pages.h"

#define BLOCK_SIZE 4096u
#define BLOCKS_PER_PAGE (PAGE_CHUNK_SIZE / BLOCK_SIZE)
#define BLOCKS_ALL 0xffffu

struct block_cache;
struct block_page;

struct block_key {
	uint64_t store;  /* block_cache_store() */
	uint64_t object; /* the store's own number of it */
	uint64_t index;  /* in pages */
};

/* block_cache_create() - keeps size bytes at most, but for pages that are held; 0: none. ERR_NOMEM. */
int block_cache_create(struct block_cache **cache, struct pages *pages, uint64_t size);
/* block_cache_destroy() - no page may be held. */
void block_cache_destroy(struct block_cache *cache);
/* block_cache_store() - a number for the keys of one mount; never given twice. */
uint64_t block_cache_store(struct block_cache *cache);
/* block_cache_size() - bytes that it keeps at most. */
uint64_t block_cache_size(const struct block_cache *cache);
/* block_cache_shrink() - evicts up to n pages. Returns how many chunks that gave back. Any thread. */
uint32_t block_cache_shrink(struct block_cache *cache, uint32_t n);

struct block_cache_stats {
	uint64_t size;   /* bytes at most */
	uint64_t used;   /* bytes of pages */
	uint64_t held;   /* of those */
	uint64_t hits;   /* block_find() that found everything */
	uint64_t misses;
	uint64_t evictions;
};

void block_cache_stats(struct block_cache *cache, struct block_cache_stats *stats);

/* ---- reading: never parks, but for block_wait() ------------------------------------------------- */

/* block_find() - if all blocks of mask are present, a reference to their chunk, the caller's to put. A hit is one spin lock. */
bool block_find(struct block_cache *cache, const struct block_key *key, uint16_t mask, uint32_t *chunk);

/* block_has() - whether they are present; not counted as a use. */
bool block_has(struct block_cache *cache, const struct block_key *key, uint16_t mask);

/* A page that is being filled. */
struct block_fill {
	struct block_page *page; /* held */
	uint8_t *bytes;          /* of the page: only the blocks of mask may be written */
	uint16_t mask;           /* what the caller has to fill: absent, and nobody else's yet */
};

/* block_fill_begin() - claims what of mask is absent. ERR_NOSPC: the arena is full of what can't be evicted. */
int block_fill_begin(struct block_cache *cache, const struct block_key *key, uint16_t mask, struct block_fill *fill);
/* block_fill_end() - the blocks of good are present now, the others of fill->mask absent again. The page stays held. */
void block_fill_end(struct block_cache *cache, struct block_fill *fill, uint16_t good);
/* block_wait() - parks while others fill blocks of mask. To be called after one's own fills have ended. */
void block_wait(struct block_cache *cache, struct block_page *page, uint16_t mask);
/* block_take() - as block_find() of a page that is held. */
bool block_take(struct block_cache *cache, struct block_page *page, uint16_t mask, uint32_t *chunk);

/* ---- writing: under the object's exclusive lock ------------------------------------------------- */

/* block_hold() - the page of key, a new and empty one if there is none, or NULL without memory. */
struct block_page *block_hold(struct block_cache *cache, const struct block_key *key);
/* block_release() - ends a hold (of block_hold() or of a fill): the page may be evicted. */
void block_release(struct block_cache *cache, struct block_page *page);

/*
 * block_own() - makes the memory of a held page the page's alone, for writing. Blocks of lose are going to be
 * overwritten whole: they are not copied, and absent until block_set(). ERR_NOSPC.
 */
int block_own(struct block_cache *cache, struct block_page *page, uint16_t lose);
/* block_adopt() - chunk, of which the caller keeps its reference, becomes the memory; all blocks are present. */
void block_adopt(struct block_cache *cache, struct block_page *page, uint32_t chunk);
/* block_set() - blocks whose bytes were written are present. */
void block_set(struct block_cache *cache, struct block_page *page, uint16_t mask);

/* Of a held page. block_bytes() - NULL before the first block_own() or fill. */
uint16_t block_present(const struct block_page *page);
uint32_t block_chunk(const struct block_page *page);
uint8_t *block_bytes(const struct block_cache *cache, const struct block_page *page);

/* block_drop() - blocks [from, to) of an object (not pages) become absent, held or not. */
void block_drop(struct block_cache *cache, uint64_t store, uint64_t object, uint64_t from, uint64_t to);
/* block_drop_store() - every page of a store; none may be held. */
void block_drop_store(struct block_cache *cache, uint64_t store);

#endif
