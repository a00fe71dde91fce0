/* See source.h. Payload may be changing while it is read: each byte is read once. */
#include "vfs/source.h"

#include <string.h>

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
