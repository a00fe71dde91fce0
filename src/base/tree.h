/*
 * Intrusive ordered tree (AVL). Entries embed a struct tree_node; the order is the caller's, as a
 * function on nodes or on a key and a node. Every step is O(log n). Not synchronised; nothing allocates.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include "base/compiler.h"

struct tree_node {
	struct tree_node *child[2]; /* smaller, greater */
	struct tree_node *parent;   /* NULL at the root */
	uint32_t height;            /* 1 for a leaf */
};

struct tree {
	struct tree_node *root;
	size_t n_nodes;
};

/* tree_cmp - the sign of key minus node's key. */
typedef int tree_cmp(const void *key, const struct tree_node *node);

static inline void tree_init(struct tree *t)
{
	t->root = NULL;
	t->n_nodes = 0;
}

/*
 * tree_insert() - links node, whose key is key. Gives NULL, or the node with an equal key that is
 * already there, and then changes nothing.
 */
struct tree_node *tree_insert(struct tree *t, struct tree_node *node, const void *key, tree_cmp *cmp);

/* tree_erase() - node must be in t. */
void tree_erase(struct tree *t, struct tree_node *node);

/* tree_find() - the node with that key. tree_lower_bound() - the first one not smaller. NULL: none. */
struct tree_node *tree_find(const struct tree *t, const void *key, tree_cmp *cmp);
struct tree_node *tree_lower_bound(const struct tree *t, const void *key, tree_cmp *cmp);

/* In order; NULL past either end. */
struct tree_node *tree_first(const struct tree *t);
struct tree_node *tree_last(const struct tree *t);
struct tree_node *tree_next(const struct tree_node *node);
struct tree_node *tree_prev(const struct tree_node *node);

/* tree_entry() - the entry of a node, NULL for NULL. */
#define tree_entry(ptr, type, member)                                              \
	({                                                                         \
		struct tree_node *n_ = (ptr);                                      \
		n_ ? container_of(n_, type, member) : NULL;                        \
	})

#define TREE_FOREACH(var, tree, member)                                            \
	for (var = tree_entry(tree_first(tree), __typeof__(*var), member); var;    \
	     var = tree_entry(tree_next(&var->member), __typeof__(*var), member))

#endif
