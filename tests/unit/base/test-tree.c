/* Shows that the tree stays ordered and balanced through random inserts and erasures. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/tree.h"

struct item {
	uint32_t key;
	bool in;
	struct tree_node node;
};

static int cmp(const void *key, const struct tree_node *node)
{
	uint32_t a = *(const uint32_t *)key, b = container_of(node, struct item, node)->key;
	return (a > b) - (a < b);
}

static uint32_t check(const struct tree_node *n)
{
	if (!n)
		return 0;
	uint32_t low = check(n->child[0]), high = check(n->child[1]);
	cr_assert(MAX(low, high) - MIN(low, high) <= 1, "unbalanced");
	cr_assert_eq(n->height, 1 + MAX(low, high));
	for (int side = 0; side < 2; side++)
		cr_assert(!n->child[side] || n->child[side]->parent == n);
	return n->height;
}

static void check_order(const struct tree *t, size_t n_in)
{
	struct item *it, *last = NULL;
	size_t n = 0;
	TREE_FOREACH (it, t, node) {
		cr_assert(it->in && (!last || last->key < it->key));
		cr_assert_eq(tree_prev(&it->node), last ? &last->node : NULL);
		last = it;
		n++;
	}
	cr_assert_eq(n, n_in);
	cr_assert_eq(t->n_nodes, n_in);
	cr_assert_eq(tree_last(t), last ? &last->node : NULL);
}

Test(tree, random_inserts_and_erasures)
{
	enum { N = 500 };
	static struct item items[N];
	struct tree t;
	size_t n_in = 0;
	uint32_t seed = 1;
	tree_init(&t);
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1664525 + 1013904223;
		struct item *it = &items[(seed >> 8) % N];
		it->key = (uint32_t)(it - items) * 2;
		if (it->in) {
			tree_erase(&t, &it->node);
		} else {
			cr_assert_null(tree_insert(&t, &it->node, &it->key, cmp));
		}
		it->in = !it->in;
		n_in += it->in ? 1 : (size_t)-1;
		if (step % 50 == 0) {
			check(t.root);
			check_order(&t, n_in);
		}
	}
}

Test(tree, bounds_and_duplicates)
{
	struct item items[3] = {{.key = 10}, {.key = 20}, {.key = 30}}, twin = {.key = 20};
	struct tree t;
	tree_init(&t);
	cr_assert_null(tree_first(&t));
	cr_assert_null(tree_last(&t));
	for (int i = 0; i < 3; i++)
		cr_assert_null(tree_insert(&t, &items[i].node, &items[i].key, cmp));
	cr_assert_eq(tree_insert(&t, &twin.node, &twin.key, cmp), &items[1].node);
	cr_assert_eq(tree_lower_bound(&t, &(uint32_t){0}, cmp), &items[0].node);
	cr_assert_eq(tree_lower_bound(&t, &(uint32_t){20}, cmp), &items[1].node);
	cr_assert_eq(tree_lower_bound(&t, &(uint32_t){21}, cmp), &items[2].node);
	cr_assert_null(tree_lower_bound(&t, &(uint32_t){31}, cmp));
	cr_assert_null(tree_find(&t, &(uint32_t){21}, cmp));
	cr_assert_eq(tree_find(&t, &(uint32_t){30}, cmp), &items[2].node);
}
