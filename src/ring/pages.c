/*
 * The arena is one big sparse memfd; what is kept about a chunk is 8 private bytes in an array that is
 * as lazily backed as the memfd. Free chunks stand in two stacks: hot ones, whose memory is
 * kept for the next user, up to a high-water mark, and cold ones, whose memory went back to the
 * kernel. Chunks that were never used come last, so a quiet arena stays small.
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
#define HOT_MAX 1024u /* 64 MiB */

struct chunk {
	_Atomic uint32_t refs;
	uint32_t next : 24; /* in a stack of free chunks; the lock's */
	uint32_t : 8;
	uint16_t touched; /* granules that may not be zero; the owner's, then the lock's */
};

/* Indices of chunks fit 24 bits: 1 TiB. */
#define CHUNKS_MAX (1u << 24)

struct stack {
	uint32_t top; /* PAGE_CHUNK_NONE: empty */
	uint32_t n;   /* estimated without the lock */
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
	struct stack hot;
	struct stack cold;
	uint32_t n_fresh; /* chunks from here on were never used */
	uint32_t n_used;  /* read without the lock for statistics */
};

static void push(struct pages *p, struct stack *s, uint32_t chunk)
{
	p->chunks[chunk].next = s->top;
	s->top = chunk;
	count_relaxed(&s->n, 1);
}

static uint32_t pop(struct pages *p, struct stack *s)
{
	uint32_t chunk = s->top;
	if (chunk != PAGE_CHUNK_NONE) {
		s->top = p->chunks[chunk].next;
		count_relaxed(&s->n, -1);
	}
	return chunk;
}

/*
 * Where the system lets shared memory have huge pages on request, the arena asks for them: a disk reads into them in
 * fewer and larger pieces. For that the mapping has to be aligned to them.
 */
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
	*p = (struct pages){.fd = -1, .base = MAP_FAILED, .chunks = MAP_FAILED, .n_fresh = 1};
	p->n_chunks = (uint32_t)MIN(n, (uint64_t)CHUNKS_MAX);
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

static uint32_t take_free(struct pages *p)
{
	uint32_t chunk = PAGE_CHUNK_NONE;
	spin_lock(&p->lock);
	if (p->n_used < p->n_limit) {
		chunk = pop(p, &p->hot);
		if (chunk == PAGE_CHUNK_NONE)
			chunk = pop(p, &p->cold);
		if (chunk == PAGE_CHUNK_NONE && p->n_fresh < p->n_chunks)
			chunk = p->n_fresh++;
	}
	if (chunk != PAGE_CHUNK_NONE)
		count_relaxed(&p->n_used, 1);
	spin_unlock(&p->lock);
	return chunk;
}

static void clear(uint8_t *data, uint32_t from, uint32_t to)
{
	if (from < to)
		memset(data + from, 0, to - from);
}

int pages_alloc(struct pages *p, uint32_t keep_from, uint32_t keep_to, uint32_t *chunk)
{
	uint32_t c = take_free(p);
	while (c == PAGE_CHUNK_NONE && p->reclaim && p->reclaim(p->reclaim_arg))
		c = take_free(p);
	if (c == PAGE_CHUNK_NONE)
		return ERR_NOSPC;
	uint8_t *data = p->base + pages_offset(c);
	for (uint32_t left = p->chunks[c].touched; left; left &= left - 1) {
		uint32_t from = (uint32_t)__builtin_ctz(left) * GRANULE_SIZE, to = from + GRANULE_SIZE;
		clear(data, from, MIN(to, keep_from));
		clear(data, MAX(from, keep_to), to);
	}
	p->chunks[c].touched = GRANULES_ALL;
	p->chunks[c].refs = 1;
	*chunk = c;
	return 0;
}

void pages_get(struct pages *p, uint32_t chunk)
{
	p->chunks[chunk].refs++;
}

static void give_back(struct pages *p, uint32_t chunk)
{
	bool hot = __atomic_load_n(&p->hot.n, __ATOMIC_RELAXED) < HOT_MAX;
	/* A chunk whose memory can't be punched out is still dirty: keep it hot. */
	if (!hot && fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)pages_offset(chunk),
	                      PAGE_CHUNK_SIZE) < 0)
		hot = true;
	spin_lock(&p->lock);
	if (!hot)
		p->chunks[chunk].touched = 0;
	push(p, hot ? &p->hot : &p->cold, chunk);
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
