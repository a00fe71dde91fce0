/* Blocks double from 4 KiB; what is bigger than a block gets one of its own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN 16
#define ARENA_BLOCK_MIN 4096
#define ARENA_BLOCK_MAX (256 * 1024)

struct arena_block {
	struct arena_block *older;
	size_t size;
	_Alignas(ARENA_ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, void *first, size_t size, size_t limit_size)
{
	*a = (struct arena){.limit_size = limit_size};
	uintptr_t start = ALIGN_UP((uintptr_t)first, ARENA_ALIGN);
	if (first && start + ARENA_ALIGN <= (uintptr_t)first + size) {
		a->next = (uint8_t *)start;
		a->end = (uint8_t *)first + size;
	}
}

static bool add_block(struct arena *a, size_t size)
{
	size_t block_size = a->blocks ? MIN(a->blocks->size * 2, (size_t)ARENA_BLOCK_MAX) : ARENA_BLOCK_MIN;
	block_size = MAX(block_size, size);
	struct arena_block *b = malloc(sizeof(*b) + block_size);
	if (!b)
		return false;
	b->size = block_size;
	b->older = a->blocks;
	a->blocks = b;
	a->next = b->data;
	a->end = b->data + block_size;
	return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size = ALIGN_UP(MAX(size, (size_t)1), ARENA_ALIGN);
	if (a->limit_size && size > a->limit_size - MIN(a->used_size, a->limit_size))
		return NULL;
	if ((size_t)(a->end - a->next) < size && !add_block(a, size))
		return NULL;
	void *p = a->next;
	a->next += size;
	a->used_size += size;
	return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	void *p = arena_alloc(a, size);
	if (p)
		memset(p, 0, size);
	return p;
}

void *arena_dup(struct arena *a, const void *data, size_t size)
{
	void *p = arena_alloc(a, size);
	if (p && size)
		memcpy(p, data, size);
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t size)
{
	size_t n = strnlen(s, size);
	char *p = arena_alloc(a, n + 1);
	if (!p)
		return NULL;
	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void arena_fini(struct arena *a)
{
	struct arena_block *b = a->blocks;
	while (b) {
		struct arena_block *older = b->older;
		free(b);
		b = older;
	}
	*a = (struct arena){.limit_size = a->limit_size};
}
