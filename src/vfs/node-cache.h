/*
 * The node cache: what a backend with handles keeps of its nodes, found by fileid. Nodes in use
 * stay; nodes that nobody refers to wait in least-recently-used order, up to a bound, and are then freed. Streams don't wait.
 *
 * A backend embeds struct cached_node at the head of its inode (struct vfs_node is its first member),
 * forwards node_release to node_cache_release(), and gives one function that frees an inode. At most
 * one node of a fileid is in the cache; a fileid must not be reused while its node is there
 * (an open descriptor of the object ensures that). Thread-safe; nothing here parks, except that
 * `destroy` is called on the thread that made the cache overflow.
 */
#ifndef VFS_NODE_CACHE_H
#define VFS_NODE_CACHE_H

#include <pthread.h>

#include "base/hmap.h"
#include "base/list.h"
#include "vfs/backend.h"

#define NODE_CACHE_SHARDS 16

struct cached_node {
	struct vfs_node node;
	struct hmap_node hash; /* guarded by its shard's lock, as all below */
	struct list lru;       /* in the shard's idle list while nobody refers to it */
	uint32_t n_drops;      /* releases still to come: one for each time the references fell to 0 */
	bool dead;             /* has no name left: freed with its last reference */
};

struct node_shard {
	_Alignas(CACHE_LINE) pthread_mutex_t lock;
	uint32_t n_idle;
	struct list idle; /* longest idle first */
	struct hmap nodes;
};

struct node_cache {
	struct node_shard shards[NODE_CACHE_SHARDS];
	uint32_t idle_max; /* idle nodes kept per shard */
	void (*destroy)(struct cached_node *node); /* frees an inode that is in no table any more */
};

/* node_cache_init() - keeps at most about max_idle unreferenced nodes. */
void node_cache_init(struct node_cache *cache, uint32_t max_idle, void (*destroy)(struct cached_node *node));

/* node_cache_fini() - frees all idle nodes; none may be referenced. */
void node_cache_fini(struct node_cache *cache);

/* node_cache_find() - the node of fileid with a new reference, or NULL. */
struct cached_node *node_cache_find(struct node_cache *cache, uint64_t fileid);

/*
 * node_cache_insert() - puts *node, which has one reference, into the cache. If there is one of its
 * fileid already, *node is destroyed and replaced by that, with a new reference.
 */
void node_cache_insert(struct node_cache *cache, struct cached_node **node);

/* node_cache_release() - the last reference went (backend_ops.node_release). */
void node_cache_release(struct node_cache *cache, struct cached_node *node);

/* node_cache_set_dead() - true: the object lost its last name; false: it has one again. The caller has a reference. */
void node_cache_set_dead(struct node_cache *cache, struct cached_node *node, bool dead);

/* node_cache_shrink() - frees the older half of the idle nodes, such as when descriptors run out. Returns how many. */
uint32_t node_cache_shrink(struct node_cache *cache);

#endif
