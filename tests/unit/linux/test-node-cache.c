/* Shows that the node cache finds nodes by fileid, bounds the idle ones, and frees each once whatever order releases come in. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "vfs/node-cache.h"

static uint32_t n_destroyed;

static void destroy(struct cached_node *node)
{
	n_destroyed++;
	free(node);
}

static struct cached_node *insert(struct node_cache *cache, uint64_t fileid)
{
	struct cached_node *node = calloc(1, sizeof(*node));
	node->node.fileid = fileid;
	node->node.n_refs = 1;
	node_cache_insert(cache, &node);
	return node;
}

/* What vfs_node_put() does, in its two steps. */
static bool drop(struct cached_node *node)
{
	return atomic_fetch_sub(&node->node.n_refs, 1) == 1;
}

static void put(struct node_cache *cache, struct cached_node *node)
{
	if (drop(node))
		node_cache_release(cache, node);
}

Test(node_cache, one_node_for_one_fileid)
{
	struct node_cache cache;
	node_cache_init(&cache, 1000, destroy);
	struct cached_node *node = insert(&cache, 7);
	cr_assert_eq(insert(&cache, 7), node);
	cr_assert_eq(n_destroyed, 1, "the second is given up for the first");
	cr_assert_null(node_cache_find(&cache, 8));
	put(&cache, node);
	put(&cache, node);
	cr_assert_eq(node_cache_find(&cache, 7), node, "idle, it is still there");
	put(&cache, node);
	node_cache_fini(&cache);
	cr_assert_eq(n_destroyed, 2);
}

Test(node_cache, idle_nodes_are_bounded)
{
	struct node_cache cache;
	node_cache_init(&cache, 160, destroy);
	struct cached_node *used = insert(&cache, 1);
	for (uint64_t i = 2; i < 5000; i++)
		put(&cache, insert(&cache, i));
	cr_assert_geq(n_destroyed, 5000 - 160 - 2);
	cr_assert_eq(node_cache_find(&cache, 1), used, "nodes in use stay");
	put(&cache, used);
	put(&cache, used);
	uint32_t n = n_destroyed;
	uint32_t n_shrunk = node_cache_shrink(&cache);
	cr_assert_gt(n_shrunk, 0);
	cr_assert_eq(n_destroyed, n + n_shrunk);
	node_cache_fini(&cache);
	cr_assert_eq(n_destroyed, 4999);
}

Test(node_cache, late_release_of_a_revived_node)
{
	struct node_cache cache;
	node_cache_init(&cache, 16, destroy);
	struct cached_node *node = insert(&cache, 1);
	node_cache_set_dead(&cache, node, true);
	/* One thread drops the last reference; before its release arrives, another finds the node and drops it again. */
	cr_assert(drop(node));
	cr_assert_eq(node_cache_find(&cache, 1), node);
	cr_assert(drop(node));
	node_cache_release(&cache, node);
	cr_assert_eq(n_destroyed, 0, "a release is still to come");
	node_cache_release(&cache, node);
	cr_assert_eq(n_destroyed, 1);
	cr_assert_null(node_cache_find(&cache, 1));
	node_cache_fini(&cache);
}
