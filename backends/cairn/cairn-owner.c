/*
 * A new owner, group or project. What an object's streams have counts for it too, so its change goes on to their inodes:
 * in accounts before it is stored, as one that is taken back if a limit is met or nothing is stored; in the tables in the transaction
 * of the object itself, unless that changes its size besides.
 */
#include <stdlib.h>

#include "backends/cairn/cairn.h"

static const uint64_t owner_mask = ATTR_UID | ATTR_GID | ATTR_PROJECT;

static int add(struct cairn_owning *o, struct cairn_node *n)
{
	if (o->n == o->max) {
		uint32_t max = o->max ? 4 * o->max : 4;
		struct cairn_owned *list = realloc(o->list, max * sizeof(*list));
		if (!list)
			return ERR_NOMEM;
		o->list = list;
		o->max = max;
	}
	o->list[o->n++] = (struct cairn_owned){n, n->owner};
	return 0;
}

/* Of a base without names streams that nobody uses are not found: they count for whom they did until they are reclaimed with it. */
static int add_stream(struct cairn_owning *o, uint64_t ino)
{
	struct vfs_node *node;
	int err = cairn_node_of_ino(cairn_of(o->base), ino, &node);
	if (err)
		return err == ERR_STALE ? 0 : err;
	err = cairn_store_first(cairn_node(node));
	if (!err)
		err = add(o, cairn_node(node));
	if (err)
		vfs_node_put(node);
	return err;
}

static int collect(struct cairn_owning *o)
{
	struct meta_key key = meta_key_name(cairn_ino(o->base), "", 0);
	uint64_t ino;
	int err = add(o, o->base);
	while (!err && (err = cairn_next_stream(cairn_of(o->base), cairn_ino(o->base), &key, &ino)) == 0 && ino)
		err = add_stream(o, ino);
	return err;
}

static void put_back(struct cairn_owning *o, uint32_t n_moved)
{
	while (n_moved--)
		cairn_quota_move_back(o->list[n_moved].n, &o->list[n_moved].before);
}

static int move_all(struct cairn_owning *o)
{
	int err = 0;
	for (uint32_t i = 0; !err && i < o->n; i++) {
		struct op_attr attr = o->list[i].n->inode.attr;
		op_attr_set(&attr, &o->set);
		err = cairn_quota_move(o->list[i].n, &attr);
		if (err)
			put_back(o, i);
	}
	return err;
}

static void fini(struct cairn_owning *o)
{
	for (uint32_t i = 1; i < o->n; i++)
		vfs_node_put(&o->list[i].n->cached.node);
	free(TAKE(o->list));
	o->n = 0;
}

int cairn_own_begin(struct cairn_owning *o, struct cairn_node *base, const struct op_attr *set)
{
	*o = (struct cairn_owning){.base = base, .set = *set};
	o->set.mask &= owner_mask;
	int err = collect(o);
	if (!err)
		err = move_all(o);
	if (err)
		fini(o);
	return err;
}

void cairn_own_put(struct cairn_owning *o, struct meta_txn *txn)
{
	o->put = true;
	for (uint32_t i = 1; i < o->n; i++) {
		struct cairn_inode inode = cairn_inode_stored(o->list[i].n);
		op_attr_set(&inode.attr, &o->set);
		cairn_put_inode(txn, cairn_ino(o->list[i].n), &inode);
		cairn_quota_put(txn, o->list[i].n, &inode);
	}
}

/* The base is stored. Streams that were not with it are now, or wait as what is dirty does. */
static void show(struct cairn_owning *o)
{
	struct meta_txn txn;
	bool stored = o->put;
	if (!stored && o->n > 1) {
		meta_begin(&txn);
		txn.frees = true;
		cairn_own_put(o, &txn);
		stored = cairn_submit(o->base, &txn) == 0;
	}
	for (uint32_t i = 1; i < o->n; i++) {
		struct cairn_node *n = o->list[i].n;
		op_attr_set(&n->inode.attr, &o->set);
		n->changed = !stored;
		if (stored)
			n->ids = cairn_ids(&n->inode);
		else
			cairn_queue(n);
	}
}

void cairn_own_end(struct cairn_owning *o, int err)
{
	if (err)
		put_back(o, o->n);
	else
		show(o);
	fini(o);
}
