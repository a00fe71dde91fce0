/*
 * The arena is one big sparse memfd; what is kept about a chunk is 8 private bytes in an array that is
 * as lazily backed as the memfd. It is divided into blocks of 2 MiB, the size of a huge page, which go to one of two
 * pools of chunks: those of which perhaps only some bytes are used, whose pages come when they are touched, so that a
 * quiet arena stays small; and those that are used whole. A block of these is backed all at once by one huge page, where the
 * kernel has one: a quarter of the time that 512 page faults take, and a disk moves data to and from such memory in few large
 * pieces, at up to twice the speed. Who finds neither a chunk in its pool nor a block takes one of the other pool.
 *
 * A free chunk keeps its memory: the seal that lets nobody else write forbids punching holes as well.
 */
#include "ring/pages.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/spinlock.h"

#define GRANULE_SIZE 4096u
#define GRANULES_ALL 0xffffu
#define HUGE_SIZE (2u << 20)
#define BLOCK_CHUNKS (HUGE_SIZE / PAGE_CHUNK_SIZE)
#define HUGE_PAUSE 32u /* blocks after one for which there was no huge page */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum pool_kind { POOL_PARTS, POOL_WHOLE, N_POOLS };

struct chunk {
	_Atomic uint32_t refs;
	uint32_t next : 24; /* in its pool's stack of free ones; the lock's */
	uint32_t kind : 8;  /* enum pool_kind; set when it is used for the first time */
	uint16_t touched;   /* granules that may not be zero; the owner's, then the lock's */
};

/* Indices of chunks fit 24 bits: 1 TiB. */
#define CHUNKS_MAX (1u << 24)

struct pool {
	uint32_t free;       /* a stack; PAGE_CHUNK_NONE: empty */
	uint32_t fresh, end; /* chunks of its last block that were never used */
};

struct pages {
	int fd;
	uint8_t *base;
	uint32_t n_chunks;
	uint32_t n_limit; /* chunks in use at most */
	struct chunk *chunks;
	bool (*reclaim)(void *arg);
	void *reclaim_arg;
	_Alignas(CACHE_LINE) struct spinlock lock; /* guards what follows */
	struct pool pools[N_POOLS];
	uint32_t next_block; /* first chunk of it */
	uint32_t n_used;     /* read without the lock for statistics */
	uint32_t huge_pause; /* blocks for which no huge page is asked for; a guess, without the lock */
};

/* Huge pages want the mapping aligned to them. Where the system lets shared memory have them on request, all of it may. */
static uint8_t *map_aligned(int fd, uint64_t size)
{
	uint8_t *room = mmap(NULL, size + HUGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return room;
	uint8_t *base = (uint8_t *)ALIGN_UP((uintptr_t)room, (uintptr_t)HUGE_SIZE);
	munmap(room, (size_t)(base - room));
	munmap(base + size, (size_t)(room + HUGE_SIZE - base));
	uint8_t *map = mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
	if (map == MAP_FAILED)
		munmap(base, size);
	else
		madvise(map, size, MADV_HUGEPAGE);
	return map;
}

static int map_arena(struct pages *p)
{
	uint64_t size = pages_size(p);
	p->fd = memfd_create("chimera-pages", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->fd < 0 || ftruncate(p->fd, (off_t)size) < 0)
		return ERR_NOMEM;
	p->base = map_aligned(p->fd, size);
	if (p->base == MAP_FAILED)
		return ERR_NOMEM;
	if (fcntl(p->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		return ERR_NOTSUPP;
	p->chunks = mmap(NULL, p->n_chunks * sizeof(struct chunk), PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p->chunks == MAP_FAILED ? ERR_NOMEM : 0;
}

int pages_create(struct pages **pages, uint64_t size, uint64_t limit)
{
	uint64_t n = ALIGN_UP(size, (uint64_t)PAGE_CHUNK_SIZE) / PAGE_CHUNK_SIZE + 1;
	struct pages *p = aligned_alloc(CACHE_LINE, ALIGN_UP(sizeof(*p), (size_t)CACHE_LINE));
	if (!p)
		return ERR_NOMEM;
	*p = (struct pages){.fd = -1, .base = MAP_FAILED, .chunks = MAP_FAILED};
	p->n_chunks = (uint32_t)MIN(n, (uint64_t)CHUNKS_MAX);
	p->pools[POOL_PARTS] = (struct pool){PAGE_CHUNK_NONE, 1, MIN(BLOCK_CHUNKS, p->n_chunks)};
	p->next_block = p->pools[POOL_PARTS].end;
	p->n_limit = p->n_chunks - 1;
	if (limit)
		p->n_limit = (uint32_t)MIN(limit / PAGE_CHUNK_SIZE, (uint64_t)p->n_limit);
	int err = map_arena(p);
	if (err) {
		pages_destroy(p);
		return err;
	}
	*pages = p;
	return 0;
}

void pages_destroy(struct pages *p)
{
	if (!p)
		return;
	if (p->chunks != MAP_FAILED)
		munmap(p->chunks, p->n_chunks * sizeof(struct chunk));
	if (p->base != MAP_FAILED)
		munmap(p->base, pages_size(p));
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

int pages_fd(const struct pages *p)
{
	return p->fd;
}

uint64_t pages_size(const struct pages *p)
{
	return (uint64_t)p->n_chunks * PAGE_CHUNK_SIZE;
}

uint8_t *pages_base(const struct pages *p)
{
	return p->base;
}

uint64_t pages_used(const struct pages *p)
{
	return (uint64_t)__atomic_load_n(&p->n_used, __ATOMIC_RELAXED) * PAGE_CHUNK_SIZE;
}

/* With the lock. */
static uint32_t take_of(struct pages *p, enum pool_kind kind)
{
	struct pool *pool = &p->pools[kind];
	uint32_t chunk = pool->free;
	if (chunk != PAGE_CHUNK_NONE) {
		pool->free = p->chunks[chunk].next;
	} else if (pool->fresh < pool->end) {
		chunk = pool->fresh++;
		p->chunks[chunk].kind = kind;
	}
	return chunk;
}

/* With the lock. */
static uint32_t take_of_block(struct pages *p, enum pool_kind kind)
{
	struct pool *pool = &p->pools[kind];
	if (p->next_block == p->n_chunks)
		return PAGE_CHUNK_NONE;
	pool->fresh = p->next_block;
	pool->end = p->next_block = MIN(p->next_block + BLOCK_CHUNKS, p->n_chunks);
	return take_of(p, kind);
}

/*
 * Memory for the block that begins with a chunk of the caller's. The kernel wants one page to be there. Without a huge page the
 * others come one by one.
 */
static void back_block(struct pages *p, uint32_t chunk)
{
	uint8_t *at = p->base + pages_offset(chunk);
	uint32_t pause = __atomic_load_n(&p->huge_pause, __ATOMIC_RELAXED);
	if (pause) {
		__atomic_store_n(&p->huge_pause, pause - 1, __ATOMIC_RELAXED);
		return;
	}
	*(volatile uint8_t *)at = 0;
	if (madvise(at, HUGE_SIZE, MADV_COLLAPSE) < 0)
		__atomic_store_n(&p->huge_pause, HUGE_PAUSE, __ATOMIC_RELAXED);
}

static uint32_t take_free(struct pages *p, enum pool_kind kind)
{
	uint32_t chunk = PAGE_CHUNK_NONE;
	bool bare = false;
	spin_lock(&p->lock);
	if (p->n_used < p->n_limit) {
		chunk = take_of(p, kind);
		if (chunk == PAGE_CHUNK_NONE)
			bare = (chunk = take_of_block(p, kind)) != PAGE_CHUNK_NONE && kind == POOL_WHOLE;
		if (chunk == PAGE_CHUNK_NONE)
			chunk = take_of(p, !kind);
	}
	if (chunk != PAGE_CHUNK_NONE)
		count_relaxed(&p->n_used, 1);
	spin_unlock(&p->lock);
	if (bare)
		back_block(p, chunk);
	return chunk;
}

static int take(struct pages *p, enum pool_kind kind, uint32_t *chunk)
{
	uint32_t c = take_free(p, kind);
	while (c == PAGE_CHUNK_NONE && p->reclaim && p->reclaim(p->reclaim_arg))
		c = take_free(p, kind);
	if (c == PAGE_CHUNK_NONE)
		return ERR_NOSPC;
	p->chunks[c].refs = 1;
	*chunk = c;
	return 0;
}

static void clear(uint8_t *data, uint32_t from, uint32_t to)
{
	if (from < to)
		memset(data + from, 0, to - from);
}

int pages_alloc(struct pages *p, uint32_t keep_from, uint32_t keep_to, uint32_t *chunk)
{
	int err = take(p, POOL_PARTS, chunk);
	if (err)
		return err;
	struct chunk *c = &p->chunks[*chunk];
	uint8_t *data = p->base + pages_offset(*chunk);
	for (uint32_t left = c->touched; left; left &= left - 1) {
		uint32_t from = (uint32_t)__builtin_ctz(left) * GRANULE_SIZE, to = from + GRANULE_SIZE;
		clear(data, from, MIN(to, keep_from));
		clear(data, MAX(from, keep_to), to);
	}
	c->touched = GRANULES_ALL;
	return 0;
}

int pages_alloc_whole(struct pages *p, uint32_t *chunk)
{
	int err = take(p, POOL_WHOLE, chunk);
	if (!err)
		p->chunks[*chunk].touched = GRANULES_ALL;
	return err;
}

void pages_get(struct pages *p, uint32_t chunk)
{
	p->chunks[chunk].refs++;
}

static void give_back(struct pages *p, uint32_t chunk)
{
	struct chunk *c = &p->chunks[chunk];
	spin_lock(&p->lock);
	struct pool *pool = &p->pools[c->kind];
	c->next = pool->free;
	pool->free = chunk;
	count_relaxed(&p->n_used, -1);
	spin_unlock(&p->lock);
}

void pages_put(struct pages *p, uint32_t chunk)
{
	if (--p->chunks[chunk].refs == 0)
		give_back(p, chunk);
}

void pages_put_touched(struct pages *p, uint32_t chunk, uint16_t touched)
{
	p->chunks[chunk].touched = touched;
	pages_put(p, chunk);
}

void pages_set_reclaim(struct pages *p, bool (*fn)(void *arg), void *arg)
{
	p->reclaim = fn;
	p->reclaim_arg = arg;
}

uint32_t pages_refs(const struct pages *p, uint32_t chunk)
{
	return p->chunks[chunk].refs;
}
