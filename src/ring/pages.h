/*
 * The page arena: one sealed memfd of chimerad's that holds file data in chunks of 64 KiB. memfs
 * pages, the block cache and read buffers live in it; daemons map it read-only, so read data crosses
 * no copy. Chunks are reference-counted in chimerad's private memory, never in the shared mapping.
 *
 * Memory of a chunk that was never touched costs nothing (the memfd is sparse); freed chunks keep
 * theirs and are reused last-in first-out. Thread-safe.
 */
#ifndef RING_PAGES_H
#define RING_PAGES_H

#include "base/compiler.h"

#define PAGE_CHUNK_SIZE 65536u
#define PAGE_CHUNK_NONE 0u /* chunk 0 is never handed out */

struct pages;

/* pages_create() - size bytes of address space, rounded up to chunks. limit: bytes that may be in use; 0: no limit. */
int pages_create(struct pages **pages, uint64_t size, uint64_t limit);
void pages_destroy(struct pages *pages);

/* pages_fd() - for mapping elsewhere, read-only: the memfd is sealed against new writable mappings. Owned by pages. */
int pages_fd(const struct pages *pages);
uint64_t pages_size(const struct pages *pages);
uint8_t *pages_base(const struct pages *pages);
uint64_t pages_used(const struct pages *pages); /* bytes of chunks in use */

/*
 * pages_alloc() - a chunk with one reference in *chunk; ERR_NOSPC at the limit. Its bytes are zero except
 * in [keep_from, keep_to), which the caller promises to overwrite: that part is not cleared.
 */
int pages_alloc(struct pages *pages, uint32_t keep_from, uint32_t keep_to, uint32_t *chunk);
/*
 * pages_alloc_whole() - the same for who will use all bytes of it, and overwrites them before anybody reads them: none is cleared.
 * Such chunks stand together in huge pages where the kernel has some, which is faster in every way, but takes 2 MiB.
 */
int pages_alloc_whole(struct pages *pages, uint32_t *chunk);
void pages_get(struct pages *pages, uint32_t chunk);
void pages_put(struct pages *pages, uint32_t chunk);
/*
 * pages_put_touched() - as pages_put(), by the chunk's only writer: bit i of touched says that bytes
 * [4096 i, 4096 (i + 1)) may differ from zero. Reuse then clears only those.
 */
void pages_put_touched(struct pages *pages, uint32_t chunk, uint16_t touched);
uint32_t pages_refs(const struct pages *pages, uint32_t chunk);

/*
 * pages_set_reclaim() - fn is called by pages_alloc() at the limit, on any thread, to put chunks that are not needed
 * urgently; false: it had none. It must neither park nor allocate chunks. NULL: none. Before the arena is shared.
 */
void pages_set_reclaim(struct pages *pages, bool (*fn)(void *arg), void *arg);

static inline uint64_t pages_offset(uint32_t chunk)
{
	return (uint64_t)chunk * PAGE_CHUNK_SIZE;
}

#endif
