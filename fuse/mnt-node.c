/*
 * Objects that the kernel refers to. The kernel counts the look-ups that answered a node and gives them back by
 * forget; the same object must always be the same node, so they are found by handle.
 */
#include "fuse/mnt.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* Without signature and tag, which may differ between two handles of one object. */
static uint64_t handle_key(const struct op_handle *h)
{
	return hash_bytes(h->bytes + OP_HANDLE_HEAD, h->size - OP_HANDLE_HEAD) ^ op_handle_mount(h);
}

static bool same_object(const struct op_handle *a, const struct op_handle *b)
{
	return a->size == b->size && op_handle_mount(a) == op_handle_mount(b) &&
	       memcmp(a->bytes + OP_HANDLE_HEAD, b->bytes + OP_HANDLE_HEAD, a->size - OP_HANDLE_HEAD) == 0;
}

struct mnt_node *mnt_node(struct mnt *m, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? m->root : (struct mnt_node *)(uintptr_t)ino;
}

fuse_ino_t mnt_ino(const struct mnt *m, const struct mnt_node *n)
{
	return n == m->root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)n;
}

struct mnt_node *mnt_node_find(struct mnt *m, const struct op_handle *h)
{
	struct mnt_node *n;
	if (h->size <= OP_HANDLE_HEAD || h->size > OP_HANDLE_MAX)
		return NULL;
	HMAP_FOREACH_HASH(n, &m->nodes, handle_key(h), hash)
		if (same_object(&n->handle, h))
			return n;
	return NULL;
}

struct mnt_node *mnt_node_get(struct mnt *m, const struct op_handle *h)
{
	struct mnt_node *n = mnt_node_find(m, h);
	if (!n) {
		n = h->size > OP_HANDLE_HEAD ? calloc(1, sizeof(*n)) : NULL;
		if (!n)
			return NULL;
		n->handle = *h;
		hmap_insert(&m->nodes, &n->hash, handle_key(h));
	}
	n->n_lookups++;
	return n;
}

void mnt_node_forget(struct mnt *m, struct mnt_node *n, uint64_t n_lookups)
{
	n->n_lookups -= MIN(n_lookups, n->n_lookups);
	if (n->n_lookups || n == m->root)
		return;
	hmap_remove(&m->nodes, &n->hash);
	free(n);
}

void mnt_nodes_free(struct mnt *m)
{
	struct mnt_node *n, *tmp;
	HMAP_FOREACH_SAFE(n, tmp, &m->nodes, hash)
		free(n);
	hmap_fini(&m->nodes);
	m->root = NULL;
}
