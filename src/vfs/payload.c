/* Payload as scattered memory, which its owner may be changing: everything here copies once. */
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs-impl.h"

uint64_t payload_size(const struct vfs_payload *p)
{
	uint64_t size = 0;
	for (int i = 0; i < p->n_iov; i++)
		size += p->iov[i].iov_len;
	return size;
}

int payload_cut(const struct vfs_payload *p, uint64_t size, struct iovec iov[OP_SEGS_MAX])
{
	int n = 0;
	for (; size && n < p->n_iov; n++) {
		iov[n] = p->iov[n];
		iov[n].iov_len = MIN(iov[n].iov_len, size);
		size -= iov[n].iov_len;
	}
	return size ? ERR_INVAL : n;
}

bool payload_put(const struct vfs_payload *p, uint64_t offset, const void *data, size_t size)
{
	const uint8_t *from = data;
	for (int i = 0; size && i < p->n_iov; i++) {
		size_t len = p->iov[i].iov_len;
		if (offset >= len) {
			offset -= len;
			continue;
		}
		size_t n = MIN(len - offset, size);
		memcpy((uint8_t *)p->iov[i].iov_base + offset, from, n);
		from += n;
		size -= n;
		offset = 0;
	}
	return size == 0;
}

int payload_copy(const struct vfs_payload *p, size_t max, char **data, uint32_t *size)
{
	uint64_t total = payload_size(p);
	if (total > max)
		return ERR_RANGE;
	char *copy = malloc(total + 1), *to = copy;
	if (!copy)
		return ERR_NOMEM;
	for (int i = 0; i < p->n_iov; i++) {
		if (p->iov[i].iov_len)
			memcpy(to, p->iov[i].iov_base, p->iov[i].iov_len);
		to += p->iov[i].iov_len;
	}
	*to = '\0';
	*data = copy;
	*size = (uint32_t)total;
	return 0;
}
