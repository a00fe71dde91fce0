/*
 * Durable state of the daemons: small values under short keys, each daemon role in a space of its own. A put
 * or delete is on disk when it returns. Thread-safe; calls park.
 */
#ifndef VFS_KV_H
#define VFS_KV_H

#include "base/compiler.h"

struct kv;

struct kv_key {
	uint32_t role;
	const char *bytes;
	uint32_t size; /* at most 255 */
};

/* kv_open() - reads state_dir/kv, cutting off a torn tail; state_dir NULL: in memory only. *why as in vfs_create(). */
int kv_open(struct kv **kv, const char *state_dir, char **why);
void kv_close(struct kv *kv);

/* kv_put() - value is copied. ERR_NOSPC when all values together would pass 64 MiB. */
int kv_put(struct kv *kv, const struct kv_key *key, const void *value, uint32_t size);
/* kv_delete() - ERR_NOENT. */
int kv_delete(struct kv *kv, const struct kv_key *key);

/* kv_scan() - pairs of the role whose key begins with prefix and is greater than after, in order; false stops. Under the lock: fn must not park. */
typedef bool kv_fn(void *arg, const struct kv_key *key, const void *value, uint32_t size);
void kv_scan(struct kv *kv, const struct kv_key *prefix, const struct kv_key *after, kv_fn *fn, void *arg);
/* kv_get() - fn sees the one pair. ERR_NOENT. */
int kv_get(struct kv *kv, const struct kv_key *key, kv_fn *fn, void *arg);

#endif
