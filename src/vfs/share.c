/* Per open object four counts, in a hash table of shards. */
#include "vfs/share.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/hmap.h"
#include "base/spinlock.h"
#include "op/op.h"

#define N_SHARDS 16

struct share {
	struct hmap_node link;
	struct vfs_node *node; /* not referenced: the opens do */
	uint32_t n_opens;
	uint32_t n_access[2]; /* for reading, for writing */
	uint32_t n_deny[2];
};

static struct shard {
	_Alignas(CACHE_LINE) struct spinlock lock;
	struct hmap map;
} shards[N_SHARDS];

__attribute__((constructor)) static void init_shards(void)
{
	for (int i = 0; i < N_SHARDS; i++)
		hmap_init(&shards[i].map);
}

static uint64_t hash_of(const struct vfs_node *node)
{
	return hash_u64((uintptr_t)node);
}

static struct share *find(struct shard *d, struct vfs_node *node)
{
	struct share *s;
	HMAP_FOREACH_HASH(s, &d->map, hash_of(node), link)
		if (s->node == node)
			return s;
	return NULL;
}

static void count(struct share *s, uint32_t access, uint32_t deny, int by)
{
	s->n_opens += (uint32_t)by;
	for (int i = 0; i < 2; i++) {
		s->n_access[i] += access >> i & 1 ? (uint32_t)by : 0;
		s->n_deny[i] += deny >> i & 1 ? (uint32_t)by : 0;
	}
}

static bool conflicts(const struct share *s, uint32_t access, uint32_t deny)
{
	for (int i = 0; i < 2; i++)
		if (((access >> i & 1) && s->n_deny[i]) || ((deny >> i & 1) && s->n_access[i]))
			return true;
	return false;
}

int share_add(struct vfs_node *node, uint32_t access, uint32_t deny)
{
	struct shard *d = &shards[hash_of(node) >> 32 & (N_SHARDS - 1)];
	struct share *fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return ERR_NOMEM;
	fresh->node = node;
	spin_lock(&d->lock);
	struct share *s = find(d, node);
	if (!s) {
		s = TAKE(fresh);
		hmap_insert(&d->map, &s->link, hash_of(node));
	}
	int err = conflicts(s, access, deny) ? ERR_SHARE : 0;
	if (!err)
		count(s, access, deny, 1);
	spin_unlock(&d->lock);
	free(fresh);
	return err;
}

void share_remove(struct vfs_node *node, uint32_t access, uint32_t deny)
{
	struct shard *d = &shards[hash_of(node) >> 32 & (N_SHARDS - 1)];
	spin_lock(&d->lock);
	struct share *s = find(d, node);
	count(s, access, deny, -1);
	if (s->n_opens == 0)
		hmap_remove(&d->map, &s->link);
	else
		s = NULL;
	spin_unlock(&d->lock);
	free(s);
}
