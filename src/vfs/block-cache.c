/*
 * The table of pages, in shards of one spin lock each, and what is done to a page. Memory is allocated before a lock is
 * taken and given back after: under it are a few loads and stores.
 */
#include "vfs/block-cache-impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define SHARDS_MAX 64u
#define SHARD_PAGES_MIN 128u /* fewer would make the shards' loads uneven */
#define RECLAIM_AT_ONCE 8u

/* ---- the table */

static uint64_t hash_of(const struct block_key *key)
{
	/* Keys that agree in this are told apart by same_key(): it only has to spread. */
	return hash_u64(key->index + 0x9e3779b97f4a7c15ULL * key->object + 0xd6e8feb86659fd93ULL * key->store);
}

static struct block_shard *shard_of(struct block_cache *cache, uint64_t hash)
{
	return &cache->shards[hash >> 48 & (cache->n_shards - 1)];
}

static struct block_page **bucket_of(struct block_cache *cache, struct block_shard *s, uint64_t hash)
{
	return &s->buckets[hash & cache->mask];
}

static bool same_key(const struct block_key *a, const struct block_key *b)
{
	return a->index == b->index && a->object == b->object && a->store == b->store;
}

static struct block_page *find(struct block_cache *cache, struct block_shard *s, const struct block_key *key, uint64_t hash)
{
	struct block_page *page = *bucket_of(cache, s, hash);
	while (page && !(page->hash == hash && same_key(&page->key, key)))
		page = page->next;
	return page;
}

static void unlink_page(struct block_cache *cache, struct block_shard *s, struct block_page *page)
{
	struct block_page **at = bucket_of(cache, s, page->hash);
	while (*at != page)
		at = &(*at)->next;
	*at = page->next;
	count_relaxed(&s->n_pages, -1);
}

/* Out of the table, onto the list of those that free_pages() is given once the lock is gone. */
static void doom(struct block_cache *cache, struct block_shard *s, struct block_page *page, struct block_page **doomed)
{
	unlink_page(cache, s, page);
	page->next = *doomed;
	*doomed = page;
}

static uint32_t free_pages(struct block_cache *cache, struct block_page *doomed)
{
	uint32_t n = 0;
	for (struct block_page *next; doomed; doomed = next, n++) {
		next = doomed->next;
		if (doomed->chunk != PAGE_CHUNK_NONE)
			pages_put(cache->pages, doomed->chunk);
		free(doomed);
	}
	return n;
}

static void evict_beyond(struct block_cache *cache, struct block_shard *s, uint32_t max, struct block_page **doomed)
{
	struct block_page *page;
	while (s->n_pages > max && (page = block_victim(cache, s)))
		doom(cache, s, page, doomed);
}

static void hold_page(struct block_shard *s, struct block_page *page)
{
	if (page->n_holds++ == 0) {
		block_dequeue(s, page);
		s->n_held++;
	}
}

/* A new page, held, and room for it. */
static void insert(struct block_cache *cache, struct block_shard *s, struct block_page *page, struct block_page **doomed)
{
	struct block_page **bucket = bucket_of(cache, s, page->hash);
	page->next = *bucket;
	*bucket = page;
	page->n_holds = 1;
	s->n_held++;
	count_relaxed(&s->n_pages, 1);
	evict_beyond(cache, s, cache->n_pages_max, doomed);
}

/* ---- the cache */

uint32_t block_cache_shrink(struct block_cache *cache, uint32_t n)
{
	uint32_t freed = 0;
	for (uint32_t i = 0; i < cache->n_shards && freed < n; i++) {
		uint32_t at = __atomic_fetch_add(&cache->next_shrink, 1, __ATOMIC_RELAXED);
		struct block_shard *s = &cache->shards[at & (cache->n_shards - 1)];
		struct block_page *doomed = NULL;
		spin_lock(&s->lock);
		evict_beyond(cache, s, s->n_pages - MIN(s->n_pages, n - freed), &doomed);
		spin_unlock(&s->lock);
		freed += free_pages(cache, doomed);
	}
	return freed;
}

static bool reclaim(void *arg)
{
	return block_cache_shrink(arg, RECLAIM_AT_ONCE) > 0;
}

static int init_shard(struct block_cache *cache, struct block_shard *s)
{
	memset(s, 0, sizeof(*s));
	list_init(&s->small);
	list_init(&s->main);
	s->buckets = calloc(cache->mask + 1, sizeof(*s->buckets));
	s->ghosts = calloc(cache->mask + 1, sizeof(*s->ghosts));
	return s->buckets && s->ghosts ? 0 : ERR_NOMEM;
}

int block_cache_create(struct block_cache **out, struct pages *pages, uint64_t size)
{
	uint64_t n = MIN(size, pages_size(pages)) / PAGE_CHUNK_SIZE;
	struct block_cache *cache = calloc(1, sizeof(*cache));
	if (!cache)
		return ERR_NOMEM;
	cache->pages = pages;
	cache->next_store = 1;
	for (cache->n_shards = 1; cache->n_shards < SHARDS_MAX && n / (2 * cache->n_shards) >= SHARD_PAGES_MIN;)
		cache->n_shards *= 2;
	cache->n_pages_max = (uint32_t)(n / cache->n_shards);
	for (cache->mask = 63; cache->mask < cache->n_pages_max;)
		cache->mask = 2 * cache->mask + 1;
	cache->shards = aligned_alloc(CACHE_LINE, cache->n_shards * sizeof(*cache->shards));
	int err = cache->shards ? 0 : ERR_NOMEM;
	for (uint32_t i = 0; cache->shards && i < cache->n_shards; i++)
		err = init_shard(cache, &cache->shards[i]) ? ERR_NOMEM : err;
	if (err) {
		block_cache_destroy(cache);
		return err;
	}
	pages_set_reclaim(pages, reclaim, cache);
	*out = cache;
	return 0;
}

void block_cache_destroy(struct block_cache *cache)
{
	if (!cache)
		return;
	pages_set_reclaim(cache->pages, NULL, NULL);
	for (uint32_t i = 0; cache->shards && i < cache->n_shards; i++) {
		struct block_shard *s = &cache->shards[i];
		for (uint32_t b = 0; s->buckets && b <= cache->mask; b++)
			free_pages(cache, s->buckets[b]);
		free(s->buckets);
		free(s->ghosts);
	}
	free(cache->shards);
	free(cache);
}

uint64_t block_cache_store(struct block_cache *cache)
{
	return __atomic_fetch_add(&cache->next_store, 1, __ATOMIC_RELAXED);
}

uint64_t block_cache_size(const struct block_cache *cache)
{
	return (uint64_t)cache->n_pages_max * cache->n_shards * PAGE_CHUNK_SIZE;
}

void block_cache_stats(struct block_cache *cache, struct block_cache_stats *stats)
{
	*stats = (struct block_cache_stats){
		.size = block_cache_size(cache)};
	for (uint32_t i = 0; i < cache->n_shards; i++) {
		struct block_shard *s = &cache->shards[i];
		spin_lock(&s->lock);
		stats->used += (uint64_t)s->n_pages * PAGE_CHUNK_SIZE;
		stats->held += (uint64_t)s->n_held * PAGE_CHUNK_SIZE;
		stats->hits += s->n_hits;
		stats->misses += s->n_misses;
		stats->evictions += s->n_evictions;
		spin_unlock(&s->lock);
	}
}

/* ---- reading */

/* With the shard locked. */
static bool take(struct block_cache *cache, struct block_page *page, uint16_t mask, uint32_t *chunk)
{
	if (!page || (mask & ~page->present))
		return false;
	*chunk = page->chunk;
	pages_get(cache->pages, page->chunk);
	block_count_use(page, mask);
	return true;
}

bool block_find(struct block_cache *cache, const struct block_key *key, uint16_t mask, uint32_t *chunk)
{
	uint64_t hash = hash_of(key);
	struct block_shard *s = shard_of(cache, hash);
	spin_lock(&s->lock);
	bool hit = take(cache, find(cache, s, key, hash), mask, chunk);
	s->n_hits += hit;
	s->n_misses += !hit;
	spin_unlock(&s->lock);
	return hit;
}

bool block_has(struct block_cache *cache, const struct block_key *key, uint16_t mask)
{
	uint64_t hash = hash_of(key);
	struct block_shard *s = shard_of(cache, hash);
	spin_lock(&s->lock);
	const struct block_page *page = find(cache, s, key, hash);
	bool has = page && !(mask & ~page->present);
	spin_unlock(&s->lock);
	return has;
}

bool block_take(struct block_cache *cache, struct block_page *page, uint16_t mask, uint32_t *chunk)
{
	struct block_shard *s = shard_of(cache, page->hash);
	spin_lock(&s->lock);
	bool hit = take(cache, page, mask, chunk);
	spin_unlock(&s->lock);
	return hit;
}

/* ---- holding */

static struct block_page *page_new(const struct block_key *key)
{
	struct block_page *page = calloc(1, sizeof(*page));
	if (!page)
		return NULL;
	page->key = *key;
	page->hash = hash_of(key);
	list_init(&page->link);
	return page;
}

struct block_page *block_hold(struct block_cache *cache, const struct block_key *key)
{
	uint64_t hash = hash_of(key);
	struct block_shard *s = shard_of(cache, hash);
	struct block_page *doomed = NULL, *fresh = NULL, *page;
	spin_lock(&s->lock);
	if ((page = find(cache, s, key, hash)))
		hold_page(s, page);
	spin_unlock(&s->lock);
	if (page || !(fresh = page_new(key)))
		return page;
	spin_lock(&s->lock);
	page = find(cache, s, key, hash);
	if (page)
		hold_page(s, page);
	else
		insert(cache, s, page = TAKE(fresh), &doomed);
	spin_unlock(&s->lock);
	free(fresh);
	free_pages(cache, doomed);
	return page;
}

void block_release(struct block_cache *cache, struct block_page *page)
{
	struct block_shard *s = shard_of(cache, page->hash);
	struct block_page *doomed = NULL;
	spin_lock(&s->lock);
	if (--page->n_holds == 0) {
		s->n_held--;
		if (page->present)
			block_enqueue(cache, s, page);
		else
			doom(cache, s, page, &doomed);
		evict_beyond(cache, s, cache->n_pages_max, &doomed);
	}
	spin_unlock(&s->lock);
	free_pages(cache, doomed);
}

uint16_t block_present(const struct block_page *page)
{
	return page->present;
}

uint32_t block_chunk(const struct block_page *page)
{
	return page->chunk;
}

uint8_t *block_bytes(const struct block_cache *cache, const struct block_page *page)
{
	return page->chunk == PAGE_CHUNK_NONE ? NULL : pages_base(cache->pages) + pages_offset(page->chunk);
}

/* ---- memory of a held page */

static void copy_blocks(struct block_cache *cache, uint32_t to, uint32_t from, uint16_t mask)
{
	uint8_t *base = pages_base(cache->pages);
	for (uint32_t left = mask; left; left &= left - 1) {
		uint64_t at = (uint64_t)__builtin_ctz(left) * BLOCK_SIZE;
		memcpy(base + pages_offset(to) + at, base + pages_offset(from) + at, BLOCK_SIZE);
	}
}

/* The page's memory is chunk from now on; gives what it was. With the shard locked. */
static uint32_t replace_chunk(struct block_page *page, uint32_t chunk, uint16_t present)
{
	uint32_t old = page->chunk;
	page->chunk = chunk;
	page->present = present;
	page->frozen = 0;
	return old;
}

static void put_chunk(struct block_cache *cache, uint32_t chunk)
{
	if (chunk != PAGE_CHUNK_NONE)
		pages_put(cache->pages, chunk);
}

static int new_chunk(struct block_cache *cache, bool whole, uint32_t *chunk)
{
	return whole ? pages_alloc_whole(cache->pages, chunk) : pages_alloc(cache->pages, 0, PAGE_CHUNK_SIZE, chunk);
}

int block_own(struct block_cache *cache, struct block_page *page, uint16_t lose)
{
	struct block_shard *s = shard_of(cache, page->hash);
	uint16_t keep = page->present & (uint16_t)~lose;
	uint32_t chunk;
	if (page->chunk != PAGE_CHUNK_NONE && pages_refs(cache->pages, page->chunk) == 1) {
		page->frozen = 0;
		return 0;
	}
	int err = new_chunk(cache, lose == BLOCKS_ALL, &chunk);
	if (err)
		return err;
	if (page->chunk != PAGE_CHUNK_NONE)
		copy_blocks(cache, chunk, page->chunk, keep);
	spin_lock(&s->lock);
	uint32_t old = replace_chunk(page, chunk, keep);
	spin_unlock(&s->lock);
	put_chunk(cache, old);
	return 0;
}

void block_adopt(struct block_cache *cache, struct block_page *page, uint32_t chunk)
{
	struct block_shard *s = shard_of(cache, page->hash);
	pages_get(cache->pages, chunk);
	spin_lock(&s->lock);
	uint32_t old = replace_chunk(page, chunk, BLOCKS_ALL);
	spin_unlock(&s->lock);
	put_chunk(cache, old);
}

void block_set(struct block_cache *cache, struct block_page *page, uint16_t mask)
{
	struct block_shard *s = shard_of(cache, page->hash);
	spin_lock(&s->lock);
	page->present |= mask;
	spin_unlock(&s->lock);
}

/* ---- filling */

/*
 * Absent blocks of mask that may be written: in memory of the page's own, or of nobody yet. False: a chunk is needed.
 * With the shard locked.
 */
static bool can_fill(struct block_cache *cache, struct block_page *page, uint16_t mask)
{
	if (page->chunk == PAGE_CHUNK_NONE)
		return false;
	if (page->frozen && pages_refs(cache->pages, page->chunk) == 1)
		page->frozen = 0;
	return !(page->frozen & mask);
}

/* Uses *spare, which becomes what is left over, if the page needs memory. With the shard locked. False: others are filling. */
static bool ready_to_fill(struct block_cache *cache, struct block_page *page, uint16_t mask, uint32_t *spare)
{
	if (can_fill(cache, page, mask))
		return true;
	if (page->filling)
		return false;
	if (page->chunk != PAGE_CHUNK_NONE)
		copy_blocks(cache, *spare, page->chunk, page->present);
	*spare = replace_chunk(page, *spare, page->present);
	return true;
}

static void claim(struct block_cache *cache, struct block_page *page, uint16_t mask, struct block_fill *fill)
{
	*fill = (struct block_fill){page, block_bytes(cache, page), mask & (uint16_t)~(page->present | page->filling)};
	page->filling |= fill->mask;
}

/* The page is held. 1: a chunk is needed, 2: others have to finish first. */
static int try_claim(struct block_cache *cache, struct block_page *page, uint16_t mask, uint32_t *spare,
                     struct block_fill *fill)
{
	struct block_shard *s = shard_of(cache, page->hash);
	int need = 0;
	spin_lock(&s->lock);
	uint16_t absent = mask & (uint16_t)~page->present;
	if (absent && !can_fill(cache, page, absent) && *spare == PAGE_CHUNK_NONE)
		need = 1;
	else if (absent && !ready_to_fill(cache, page, absent, spare))
		need = 2;
	else
		claim(cache, page, mask, fill);
	spin_unlock(&s->lock);
	return need;
}

int block_fill_begin(struct block_cache *cache, const struct block_key *key, uint16_t mask, struct block_fill *fill)
{
	struct block_page *page = block_hold(cache, key);
	uint32_t spare = PAGE_CHUNK_NONE;
	int err = page ? 0 : ERR_NOMEM, need;
	while (!err && (need = try_claim(cache, page, mask, &spare, fill))) {
		if (need == 2)
			block_wait(cache, page, BLOCKS_ALL);
		else
			err = new_chunk(cache, mask == BLOCKS_ALL, &spare);
	}
	put_chunk(cache, spare);
	if (err && page)
		block_release(cache, page);
	return err;
}

void block_fill_end(struct block_cache *cache, struct block_fill *fill, uint16_t good)
{
	struct block_page *page = fill->page;
	struct block_shard *s = shard_of(cache, page->hash);
	spin_lock(&s->lock);
	page->filling &= (uint16_t)~fill->mask;
	page->present |= fill->mask & good;
	bool waited = s->n_waiters > 0;
	spin_unlock(&s->lock);
	if (!waited)
		return;
	fiber_mutex_lock(&s->wait_lock);
	fiber_cond_broadcast(&s->filled);
	fiber_mutex_unlock(&s->wait_lock);
}

/* A waiter is counted before it lets go of the lock of waiting, so who fills sees it and cannot wake it too early. */
static bool must_wait(struct block_shard *s, const struct block_page *page, uint16_t mask)
{
	spin_lock(&s->lock);
	bool busy = page->filling & mask;
	s->n_waiters += busy;
	spin_unlock(&s->lock);
	return busy;
}

void block_wait(struct block_cache *cache, struct block_page *page, uint16_t mask)
{
	struct block_shard *s = shard_of(cache, page->hash);
	fiber_mutex_lock(&s->wait_lock);
	while (must_wait(s, page, mask)) {
		fiber_cond_wait(&s->filled, &s->wait_lock);
		spin_lock(&s->lock);
		s->n_waiters--;
		spin_unlock(&s->lock);
	}
	fiber_mutex_unlock(&s->wait_lock);
}

/* ---- dropping */

/* Which blocks of a page [from, to) covers. */
static uint16_t mask_within(uint64_t index, uint64_t from, uint64_t to)
{
	uint64_t first = index * BLOCKS_PER_PAGE, end = first + BLOCKS_PER_PAGE;
	if (from >= end || to <= first || from >= to)
		return 0;
	uint64_t low = from > first ? from - first : 0, high = MIN(to, end) - first;
	return (uint16_t)((BLOCKS_ALL << low) & (BLOCKS_ALL >> (BLOCKS_PER_PAGE - high)));
}

/* With the shard locked. */
static void drop_blocks(struct block_cache *cache, struct block_shard *s, struct block_page *page, uint16_t mask,
                        struct block_page **doomed)
{
	if (page->chunk != PAGE_CHUNK_NONE && pages_refs(cache->pages, page->chunk) > 1)
		page->frozen |= page->present & mask;
	page->present &= (uint16_t)~mask;
	if (page->present || page->n_holds)
		return;
	block_dequeue(s, page);
	doom(cache, s, page, doomed);
}

static void drop_index(struct block_cache *cache, const struct block_key *key, uint16_t mask)
{
	uint64_t hash = hash_of(key);
	struct block_shard *s = shard_of(cache, hash);
	struct block_page *doomed = NULL;
	spin_lock(&s->lock);
	struct block_page *page = find(cache, s, key, hash);
	if (page)
		drop_blocks(cache, s, page, mask, &doomed);
	spin_unlock(&s->lock);
	free_pages(cache, doomed);
}

struct range {
	uint64_t store;
	bool all; /* objects of the store */
	uint64_t object, from, to;
};

static uint16_t mask_in(const struct range *r, const struct block_key *key)
{
	if (key->store != r->store)
		return 0;
	if (r->all)
		return BLOCKS_ALL;
	return key->object == r->object ? mask_within(key->index, r->from, r->to) : 0;
}

/* Every page is looked at: for ranges of more pages than there are. */
static void drop_everywhere(struct block_cache *cache, const struct range *r)
{
	for (uint32_t i = 0; i < cache->n_shards; i++) {
		struct block_shard *s = &cache->shards[i];
		struct block_page *doomed = NULL;
		spin_lock(&s->lock);
		for (uint32_t b = 0; b <= cache->mask; b++) {
			for (struct block_page *page = s->buckets[b], *next; page; page = next) {
				next = page->next;
				uint16_t mask = mask_in(r, &page->key);
				if (mask)
					drop_blocks(cache, s, page, mask, &doomed);
			}
		}
		spin_unlock(&s->lock);
		free_pages(cache, doomed);
	}
}

static uint64_t count_pages(const struct block_cache *cache)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < cache->n_shards; i++)
		n += __atomic_load_n(&cache->shards[i].n_pages, __ATOMIC_RELAXED);
	return n;
}

void block_drop(struct block_cache *cache, uint64_t store, uint64_t object, uint64_t from, uint64_t to)
{
	struct range r = {.store = store, .object = object, .from = from, .to = to};
	if (from >= to)
		return;
	uint64_t first = from / BLOCKS_PER_PAGE, end = (to - 1) / BLOCKS_PER_PAGE + 1;
	if (end - first > count_pages(cache)) {
		drop_everywhere(cache, &r);
		return;
	}
	for (uint64_t i = first; i < end; i++)
		drop_index(cache, &(struct block_key){store, object, i}, mask_within(i, from, to));
}

void block_drop_store(struct block_cache *cache, uint64_t store)
{
	drop_everywhere(cache, &(struct range){.store = store, .all = true});
}
