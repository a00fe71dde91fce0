/* Handles as bytes: comparing, taking from the network, and the fields of their head. */
#include "op/handle.h"

#include <endian.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"

bool op_handle_equal(const struct op_handle *a, const struct op_handle *b)
{
	return a->size == b->size && a->size <= OP_HANDLE_MAX && memcmp(a->bytes, b->bytes, a->size) == 0;
}

int op_handle_set(struct op_handle *h, const void *bytes, size_t size)
{
	memset(h, 0, sizeof(*h));
	if (size <= OP_HANDLE_HEAD || size > OP_HANDLE_MAX)
		return ERR_BADHANDLE;
	h->size = (uint8_t)size;
	memcpy(h->bytes, bytes, size);
	return 0;
}

static uint32_t load_le32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint32_t op_handle_mount(const struct op_handle *h)
{
	return load_le32(h->bytes + 8);
}

uint32_t op_handle_tag(const struct op_handle *h)
{
	return load_le32(h->bytes + 12);
}

uint64_t op_handle_hash(const struct op_handle *h)
{
	return hash_bytes(h->bytes, MIN(h->size, OP_HANDLE_MAX));
}
