/*
 * A bump allocator: everything a request allocates goes with it. Not synchronised.
 * The first block can be the caller's own memory, so that small requests allocate nothing.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/compiler.h"

struct arena_block;

struct arena {
	uint8_t *next;              /* first free byte */
	uint8_t *end;
	struct arena_block *blocks; /* allocated blocks, newest first */
	size_t used_size;           /* bytes handed out, for the limit */
	size_t limit_size;          /* arena_alloc() fails beyond this; 0: no limit */
};

/* arena_init() - starts with the caller's size bytes at first (may be NULL, 0). */
void arena_init(struct arena *a, void *first, size_t size, size_t limit_size);

/* arena_alloc() - size bytes aligned to 16, not zeroed; NULL when over the limit or out of memory. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
void *arena_dup(struct arena *a, const void *data, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t size);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* arena_fini() - frees every block; the arena can be used again after arena_init(). */
void arena_fini(struct arena *a);

#endif
