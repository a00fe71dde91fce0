/* Nodes and their names on the wire: the key, signing, verifying, and node references. */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "vfs/vfs-impl.h"

static void store_le32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static int read_key(const char *path, uint8_t key[16])
{
	struct file *f;
	struct iovec iov = {key, 16};
	int err = file_open(&f, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (err)
		return err;
	ssize_t n = file_preadv(f, &iov, 1, 0);
	file_close(f);
	return n == 16 ? 0 : n < 0 ? (int)n : ERR_PROTO;
}

/* Written beside, made durable, then renamed into place: there is a whole key or none. */
static int write_key(const char *path, const char *beside, uint8_t key[16])
{
	struct file *f;
	struct iovec iov = {key, 16};
	int err = file_open(&f, AT_FDCWD, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (err)
		return err;
	ssize_t n = file_pwritev(f, &iov, 1, 0);
	err = n == 16 ? file_sync(f, false) : n < 0 ? (int)n : ERR_IO;
	file_close(f);
	return err ? err : file_rename(AT_FDCWD, beside, path);
}

int vfs_handle_key(struct vfs *vfs, char **why)
{
	CLEANUP_FREE char *path = NULL, *beside = NULL;
	loop_random(vfs->key, sizeof(vfs->key));
	if (!vfs->state_dir)
		return 0;
	if (asprintf(&path, "%s/handle.key", vfs->state_dir) < 0 || asprintf(&beside, "%s.new", path) < 0)
		return ERR_NOMEM;
	int err = read_key(path, vfs->key);
	if (err == ERR_NOENT)
		err = write_key(path, beside, vfs->key);
	if (err && asprintf(why, "%s: %s", path, err_text(err)) < 0)
		*why = NULL;
	return err;
}

static uint64_t sign(const struct vfs *vfs, const struct op_handle *h)
{
	return htole64(hash_sip24(vfs->key, h->bytes + 8, h->size - 8u));
}

/* Where a handle is kept: numbers that follow each other, as those of files do, get places of their own. */
static struct sealed_handle *place_of(struct vfs_session *s, const struct op_handle *h)
{
	uint64_t words[2];
	memcpy(words, h->bytes + OP_HANDLE_HEAD, sizeof(words));
	uint64_t mix = words[0] ^ words[1];
	mix ^= mix >> 32;
	return &s->sealed[(mix ^ mix >> 16) % VFS_SEALED];
}

/*
 * The signature that h should have, as it is stored. Clients use few handles and those again and again, so it is seldom computed.
 * Bytes behind the end are compared too: an honest client's are zero, and a fixed size is compared at once.
 */
static uint64_t signature_of(struct vfs_session *s, const struct op_handle *h)
{
	struct sealed_handle *at = place_of(s, h);
	if (likely(at->size == h->size && memcmp(at->body, h->bytes + 8, sizeof(at->body)) == 0))
		return at->signature;
	uint64_t signature = sign(s->vfs, h);
	if (h->size == OP_HANDLE_MAX)
		return signature;
	at->size = h->size;
	memcpy(at->body, h->bytes + 8, sizeof(at->body));
	return at->signature = signature;
}

void vfs_handle_make(struct vfs_session *s, struct vfs_node *node, uint32_t tag, struct op_handle *h)
{
	memset(h, 0, sizeof(*h));
	store_le32(h->bytes + 8, node->mount->id);
	store_le32(h->bytes + 12, tag);
	h->size = (uint8_t)(OP_HANDLE_HEAD + node->mount->ops->node_handle(node, h->bytes + OP_HANDLE_HEAD));
	uint64_t signature = signature_of(s, h);
	memcpy(h->bytes, &signature, sizeof(signature));
}

int vfs_handle_node(struct vfs_session *s, const struct op_handle *h, struct vfs_node **node, uint32_t *tag)
{
	uint64_t signature;
	if (h->size <= OP_HANDLE_HEAD || h->size > OP_HANDLE_MAX)
		return ERR_BADHANDLE;
	memcpy(&signature, h->bytes, sizeof(signature));
	if (signature != signature_of(s, h))
		return ERR_BADHANDLE;
	struct vfs_mount *m = vfs_mount_by_id(s->vfs, op_handle_mount(h));
	if (!m)
		return ERR_STALE;
	if (unlikely(m->held))
		return ERR_DELAY;
	*tag = op_handle_tag(h);
	return m->ops->node_get(m, h->bytes + OP_HANDLE_HEAD, h->size - OP_HANDLE_HEAD, node);
}

void vfs_node_init(struct vfs_node *node, struct vfs_mount *mount, uint32_t type, uint64_t fileid)
{
	node->mount = mount;
	node->type = type;
	node->fileid = fileid;
	node->base = NULL;
	node->lock = (struct fiber_rwlock){0};
	node->acl = NULL;
	/* Last: a backend may let others find a node by its having references. */
	atomic_store_explicit(&node->n_refs, 1, memory_order_release);
}

struct vfs_node *vfs_node_get(struct vfs_node *node)
{
	atomic_fetch_add_explicit(&node->n_refs, 1, memory_order_relaxed);
	return node;
}

void vfs_node_put(struct vfs_node *node)
{
	if (atomic_fetch_sub_explicit(&node->n_refs, 1, memory_order_acq_rel) == 1)
		node->mount->ops->node_release(node);
}
