/*
 * A sharded hash table of nodes with an idle list per shard.
 *
 * A node may lose its last reference on one thread while another finds it again, so node_release
 * calls can arrive late, or twice. n_drops counts the falls to zero whose release has not arrived: only
 * the last of them may make the node idle or free it.
 */
#include "vfs/node-cache.h"

#include "base/hash.h"

static struct node_shard *shard_of(struct node_cache *cache, uint64_t fileid)
{
	return &cache->shards[hash_u64(fileid) >> 60 & (NODE_CACHE_SHARDS - 1)];
}

void node_cache_init(struct node_cache *cache, uint32_t max_idle, void (*destroy)(struct cached_node *node))
{
	for (uint32_t i = 0; i < NODE_CACHE_SHARDS; i++) {
		struct node_shard *s = &cache->shards[i];
		s->n_idle = 0;
		pthread_mutex_init(&s->lock, NULL);
		list_init(&s->idle);
		hmap_init(&s->nodes);
	}
	cache->idle_max = MAX(max_idle / NODE_CACHE_SHARDS, 1u);
	cache->destroy = destroy;
}

static void leave_idle(struct node_shard *s, struct cached_node *node)
{
	if (list_empty(&node->lru))
		return;
	list_del(&node->lru);
	s->n_idle--;
}

/* Moves the longest idle nodes beyond keep out of the shard, onto doomed. */
static uint32_t evict(struct node_shard *s, uint32_t keep, struct list *doomed)
{
	uint32_t n = 0;
	for (; s->n_idle > keep; n++) {
		struct cached_node *node = list_entry(s->idle.next, struct cached_node, lru);
		leave_idle(s, node);
		hmap_remove(&s->nodes, &node->hash);
		list_push_back(doomed, &node->lru);
	}
	return n;
}

static void destroy_all(struct node_cache *cache, struct list *doomed)
{
	struct list *e;
	while ((e = list_pop_front(doomed)) != NULL)
		cache->destroy(list_entry(e, struct cached_node, lru));
}

void node_cache_fini(struct node_cache *cache)
{
	for (uint32_t i = 0; i < NODE_CACHE_SHARDS; i++) {
		struct list doomed;
		list_init(&doomed);
		evict(&cache->shards[i], 0, &doomed);
		destroy_all(cache, &doomed);
		hmap_fini(&cache->shards[i].nodes);
		pthread_mutex_destroy(&cache->shards[i].lock);
	}
}

/* With the shard locked. hash_u64() is one-to-one, so equal hashes are equal fileids. */
static struct cached_node *find(struct node_shard *s, uint64_t fileid)
{
	struct hmap_node *at = hmap_find(&s->nodes, hash_u64(fileid));
	struct cached_node *node = hmap_entry(at, struct cached_node, hash);
	if (node && atomic_fetch_add(&node->node.n_refs, 1) == 0) {
		node->n_drops++;
		leave_idle(s, node);
	}
	return node;
}

struct cached_node *node_cache_find(struct node_cache *cache, uint64_t fileid)
{
	struct node_shard *s = shard_of(cache, fileid);
	pthread_mutex_lock(&s->lock);
	struct cached_node *node = find(s, fileid);
	pthread_mutex_unlock(&s->lock);
	return node;
}

void node_cache_insert(struct node_cache *cache, struct cached_node **node)
{
	struct cached_node *fresh = *node;
	struct node_shard *s = shard_of(cache, fresh->node.fileid);
	fresh->n_drops = 1;
	list_init(&fresh->lru);
	pthread_mutex_lock(&s->lock);
	struct cached_node *there = find(s, fresh->node.fileid);
	if (!there)
		hmap_insert(&s->nodes, &fresh->hash, hash_u64(fresh->node.fileid));
	pthread_mutex_unlock(&s->lock);
	if (there) {
		cache->destroy(fresh);
		*node = there;
	}
}

void node_cache_release(struct node_cache *cache, struct cached_node *node)
{
	struct node_shard *s = shard_of(cache, node->node.fileid);
	struct list doomed;
	list_init(&doomed);
	pthread_mutex_lock(&s->lock);
	if (--node->n_drops == 0 && (node->dead || node->node.base)) {
		hmap_remove(&s->nodes, &node->hash);
		list_push_back(&doomed, &node->lru);
	} else if (node->n_drops == 0) {
		list_push_back(&s->idle, &node->lru);
		s->n_idle++;
		evict(s, cache->idle_max, &doomed);
	}
	pthread_mutex_unlock(&s->lock);
	destroy_all(cache, &doomed);
}

void node_cache_set_dead(struct node_cache *cache, struct cached_node *node, bool dead)
{
	struct node_shard *s = shard_of(cache, node->node.fileid);
	pthread_mutex_lock(&s->lock);
	node->dead = dead;
	pthread_mutex_unlock(&s->lock);
}

uint32_t node_cache_shrink(struct node_cache *cache)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < NODE_CACHE_SHARDS; i++) {
		struct node_shard *s = &cache->shards[i];
		struct list doomed;
		list_init(&doomed);
		pthread_mutex_lock(&s->lock);
		n += evict(s, s->n_idle / 2, &doomed);
		pthread_mutex_unlock(&s->lock);
		destroy_all(cache, &doomed);
	}
	return n;
}
