/*
 * AVL by stored heights: inserting and erasing both end in retrace(), which walks to the root, fixes
 * heights and rotates where the two sides differ by two. Sides are indices, so left and right share code.
 */
#include "base/tree.h"

static uint32_t height(const struct tree_node *n)
{
	return n ? n->height : 0;
}

static void update(struct tree_node *n)
{
	n->height = 1 + MAX(height(n->child[0]), height(n->child[1]));
}

/* Puts fresh (may be NULL) where old hangs. */
static void replace(struct tree *t, struct tree_node *old, struct tree_node *fresh)
{
	struct tree_node *parent = old->parent;
	if (!parent)
		t->root = fresh;
	else
		parent->child[parent->child[1] == old] = fresh;
	if (fresh)
		fresh->parent = parent;
}

static void set_child(struct tree_node *n, int side, struct tree_node *child)
{
	n->child[side] = child;
	if (child)
		child->parent = n;
}

/* Moves n down to the given side; its other child takes its place, which is returned. */
static struct tree_node *rotate(struct tree *t, struct tree_node *n, int side)
{
	struct tree_node *up = n->child[!side];
	replace(t, n, up);
	set_child(n, !side, up->child[side]);
	set_child(up, side, n);
	update(n);
	update(up);
	return up;
}

static void retrace(struct tree *t, struct tree_node *n)
{
	for (; n; n = n->parent) {
		uint32_t low = height(n->child[0]), high = height(n->child[1]);
		int heavy = high > low;
		if (MAX(low, high) - MIN(low, high) > 1) {
			struct tree_node *c = n->child[heavy];
			if (height(c->child[heavy]) < height(c->child[!heavy]))
				rotate(t, c, heavy);
			n = rotate(t, n, !heavy);
		} else {
			update(n);
		}
	}
}

struct tree_node *tree_insert(struct tree *t, struct tree_node *node, const void *key, tree_cmp *cmp)
{
	struct tree_node *parent = NULL, **at = &t->root;
	while (*at) {
		int c = cmp(key, *at);
		if (c == 0)
			return *at;
		parent = *at;
		at = &parent->child[c > 0];
	}
	*node = (struct tree_node){.parent = parent, .height = 1};
	*at = node;
	t->n_nodes++;
	retrace(t, parent);
	return NULL;
}

static struct tree_node *extreme(struct tree_node *n, int side)
{
	while (n && n->child[side])
		n = n->child[side];
	return n;
}

/* A node with two children swaps places with its successor first. */
void tree_erase(struct tree *t, struct tree_node *node)
{
	struct tree_node *from;
	if (node->child[0] && node->child[1]) {
		struct tree_node *heir = extreme(node->child[1], 0);
		from = heir->parent == node ? heir : heir->parent;
		replace(t, heir, heir->child[1]);
		set_child(heir, 0, node->child[0]);
		set_child(heir, 1, node->child[1]);
		replace(t, node, heir);
		heir->height = node->height;
	} else {
		from = node->parent;
		replace(t, node, node->child[node->child[0] == NULL]);
	}
	t->n_nodes--;
	retrace(t, from);
	*node = (struct tree_node){0};
}

struct tree_node *tree_lower_bound(const struct tree *t, const void *key, tree_cmp *cmp)
{
	struct tree_node *n = t->root, *best = NULL;
	while (n) {
		int c = cmp(key, n);
		if (c <= 0)
			best = n;
		if (c == 0)
			break;
		n = n->child[c > 0];
	}
	return best;
}

struct tree_node *tree_find(const struct tree *t, const void *key, tree_cmp *cmp)
{
	struct tree_node *n = tree_lower_bound(t, key, cmp);
	return n && cmp(key, n) == 0 ? n : NULL;
}

struct tree_node *tree_first(const struct tree *t)
{
	return extreme(t->root, 0);
}

struct tree_node *tree_last(const struct tree *t)
{
	return extreme(t->root, 1);
}

static struct tree_node *neighbour(const struct tree_node *n, int side)
{
	if (n->child[side])
		return extreme(n->child[side], !side);
	while (n->parent && n->parent->child[side] == n)
		n = n->parent;
	return n->parent;
}

struct tree_node *tree_next(const struct tree_node *node)
{
	return neighbour(node, 1);
}

struct tree_node *tree_prev(const struct tree_node *node)
{
	return neighbour(node, 0);
}
