/* See source.h. Payload may be changing while it is read: each byte is read once. */
#include "vfs/source.h"

#include <string.h>

#define UNIT 4096u
_Static_assert(PAGE_CHUNK_SIZE / UNIT == 16, "a bit for each unit");

struct vfs_piece vfs_piece_of(uint64_t from, uint64_t to)
{
	struct vfs_piece p = {from / PAGE_CHUNK_SIZE, (uint32_t)(from % PAGE_CHUNK_SIZE), 0};
	p.size = (uint32_t)MIN((uint64_t)(PAGE_CHUNK_SIZE - p.at), to - from);
	return p;
}

/* Bits from first up to, without it, end. */
static uint16_t bits(uint32_t first, uint32_t end)
{
	return first < end ? (uint16_t)((1u << end) - (1u << first)) : 0;
}

uint16_t vfs_piece_touches(const struct vfs_piece *p)
{
	return bits(p->at / UNIT, (p->at + p->size + UNIT - 1) / UNIT);
}

uint16_t vfs_piece_covers(const struct vfs_piece *p)
{
	return bits((p->at + UNIT - 1) / UNIT, (p->at + p->size) / UNIT);
}

/* At most size bytes of the current entry. */
static size_t piece(const struct vfs_source *s, size_t size)
{
	return MIN(s->w->iov[s->i].iov_len - s->done, size);
}

static void advance(struct vfs_source *s, size_t n)
{
	s->done += n;
	if (s->done == s->w->iov[s->i].iov_len) {
		s->i++;
		s->done = 0;
	}
}

void vfs_source_take(struct vfs_source *s, void *to, size_t size)
{
	uint8_t *at = to;
	for (size_t n; size; size -= n, at += n) {
		n = piece(s, size);
		memcpy(at, (const uint8_t *)s->w->iov[s->i].iov_base + s->done, n);
		advance(s, n);
	}
}

void vfs_source_skip(struct vfs_source *s, size_t size)
{
	for (size_t n; size; size -= n) {
		n = piece(s, size);
		advance(s, n);
	}
}

uint32_t vfs_source_chunk(const struct vfs_source *s)
{
	bool whole = s->done == 0 && s->i < s->w->n_iov && s->w->iov[s->i].iov_len == PAGE_CHUNK_SIZE;
	return whole ? s->w->chunks[s->i] : PAGE_CHUNK_NONE;
}
