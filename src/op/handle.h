/*
 * Handles: the opaque name of an object outside chimerad. At most 64 bytes, stable across restarts on
 * persistent backends, signed by chimerad: a daemon or a client that forges one gets ERR_BADHANDLE.
 *
 * Bytes, little-endian:
 *   0  u64  SipHash-2-4 of the rest under the key in the state directory
 *   8  u32  mount id (catalogue, never reused)
 *  12  u32  tag: stamped when a daemon looks up a root (an export's id), inherited by every handle
 *           that is reached from there; signed, so that a client cannot move it to another export
 *  16  ...  the backend's own bytes, 1 to 48
 */
#ifndef OP_HANDLE_H
#define OP_HANDLE_H

#include "base/compiler.h"

#define OP_HANDLE_MAX 64
#define OP_HANDLE_HEAD 16
#define OP_HANDLE_BACKEND_MAX (OP_HANDLE_MAX - OP_HANDLE_HEAD)

struct op_handle {
	uint8_t size; /* 0: no object */
	uint8_t zero[7];
	uint8_t bytes[OP_HANDLE_MAX];
};

bool op_handle_equal(const struct op_handle *a, const struct op_handle *b);
/* op_handle_set() - from the network; ERR_BADHANDLE for a size no handle has. The signature is checked by chimerad. */
int op_handle_set(struct op_handle *h, const void *bytes, size_t size);
/* op_handle_tag(), op_handle_mount() - fields of a handle; true only of one that chimerad answered or accepted. */
uint32_t op_handle_tag(const struct op_handle *h);
uint32_t op_handle_mount(const struct op_handle *h);
/* op_handle_hash() - for tables keyed by handle. */
uint64_t op_handle_hash(const struct op_handle *h);

#endif
