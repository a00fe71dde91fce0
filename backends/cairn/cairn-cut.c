/*
 * Cutting a file that has more extents than one transaction should. It is short at once: one transaction stores the new end and
 * marks the inode. The extents behind the end go in later ones, by the background worker, or by whoever makes the file longer again
 * before that. A counter says how many inodes are marked: if there are any at the start, a walk finds them.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-cut.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define INODES_AT_ONCE 1024u

struct cairn_at_once cairn_at_once = {1024, 1024};

struct cairn_cut {
	struct cairn_cut *next;
	struct cairn_node *n; /* with a reference */
};

/* ---- pieces */

struct piece {
	uint64_t ino;
	uint64_t end;
	uint32_t left;
};

static bool count_extent(void *arg, const struct meta_record *r)
{
	struct piece *p = arg;
	uint64_t block = meta_key_second(r->key);
	if (meta_key_first(r->key) != p->ino || block >= p->end)
		return false;
	if (p->left-- > 0)
		return true;
	p->end = block;
	return false;
}

int cairn_piece(struct cairn_node *n, struct cairn_range whole, uint32_t extents, struct cairn_range *piece)
{
	struct meta_key key = meta_key_pair(cairn_ino(n), whole.first);
	struct piece p = {cairn_ino(n), whole.first + whole.n, extents};
	int err = meta_scan(cairn_of(n)->meta, META_EXTENTS, &key, META_FROM, count_extent, &p);
	*piece = (struct cairn_range){whole.first, p.end - whole.first};
	return err;
}

int cairn_punch_most(struct cairn_node *n, struct cairn_range *whole)
{
	struct cairn_change change = {.frees = true};
	int err = 0;
	while (!err && whole->n) {
		err = cairn_piece(n, *whole, cairn_at_once.punched, &change.unmap);
		if (err || change.unmap.n == whole->n)
			break;
		cairn_refund(cairn_of(n), cairn_forget(n, whole->first, whole->first + change.unmap.n));
		err = cairn_flush(n, &change);
		*whole = (struct cairn_range){whole->first + change.unmap.n, whole->n - change.unmap.n};
	}
	return err;
}

/* ---- one file */

static struct cairn_range behind(const struct cairn_node *n)
{
	uint64_t first = cairn_blocks(n->inode.attr.size);
	return (struct cairn_range){first, CAIRN_BLOCKS_MAX - first};
}

/* With the node's lock. The mark goes with the last piece. */
static int cut_some(struct cairn_node *n)
{
	struct cairn_change change = {.frees = true};
	struct cairn_range whole = behind(n);
	int err = cairn_piece(n, whole, cairn_at_once.reclaimed, &change.unmap);
	if (err)
		return err;
	if (change.unmap.n == whole.n)
		n->inode.flags &= ~(uint32_t)CAIRN_CUT;
	err = cairn_flush(n, &change);
	if (err)
		n->inode.flags |= CAIRN_CUT;
	return err;
}

int cairn_cut_finish(struct cairn_node *n)
{
	int err = 0;
	while (!err && (n->inode.flags & CAIRN_CUT))
		err = cut_some(n);
	return err;
}

/* ---- those that are to be cut */

static void push(struct cairn *fs, struct cairn_cut *c)
{
	struct cairn_cut **end = &fs->cuts;
	spin_lock(&fs->dirty_lock);
	while (*end)
		end = &(*end)->next;
	c->next = NULL;
	*end = c;
	spin_unlock(&fs->dirty_lock);
}

static struct cairn_cut *pop(struct cairn *fs)
{
	spin_lock(&fs->dirty_lock);
	struct cairn_cut *c = fs->cuts;
	if (c)
		fs->cuts = c->next;
	spin_unlock(&fs->dirty_lock);
	return c;
}

void cairn_cut_later(struct cairn_node *n)
{
	struct cairn_cut *c = n->cut_queued ? NULL : malloc(sizeof(*c));
	/* Without memory it waits for who makes the file longer, or the next mount. */
	if (!c)
		return;
	n->cut_queued = true;
	vfs_node_get(&n->cached.node);
	c->n = n;
	push(cairn_of(n), c);
	fiber_cond_signal(&cairn_of(n)->work);
}

static void drop(struct cairn_cut *c)
{
	struct vfs_node *node = &c->n->cached.node;
	free(c);
	vfs_node_put(node);
}

void cairn_cuts_forget(struct cairn *fs)
{
	for (struct cairn_cut *c; (c = pop(fs));) {
		c->n->cut_queued = false;
		drop(c);
	}
	fs->cut_walk = 0;
}

/* The worker waits for no node. */
static bool step(struct cairn *fs, struct cairn_cut *c)
{
	struct cairn_node *n = c->n;
	if (!fiber_rwlock_trywrlock(vfs_node_lock(&n->cached.node))) {
		push(fs, c);
		return false;
	}
	bool wanted = (n->inode.flags & CAIRN_CUT) && n->inode.attr.nlink > 0;
	int err = wanted ? cut_some(n) : 0;
	bool more = wanted && (n->inode.flags & CAIRN_CUT);
	n->cut_queued = more;
	fiber_rwlock_wrunlock(vfs_node_lock(&n->cached.node));
	if (err && err != fs->cut_err)
		log_error("inode %llu: what was cut off is not given back: %s; tried again", (unsigned long long)cairn_ino(n), err_text(err));
	fs->cut_err = err;
	if (more)
		push(fs, c);
	else
		drop(c);
	return !err;
}

/* ---- after a crash */

struct walk {
	uint64_t found[INODES_AT_ONCE];
	uint32_t n_found, n;
	uint64_t next; /* inode; 0: there are no more */
};

static bool look_at_inode(void *arg, const struct meta_record *r)
{
	struct walk *w = arg;
	struct cairn_inode inode;
	w->next = r->key->number;
	if (w->n++ == INODES_AT_ONCE)
		return false;
	w->next = 0;
	if (cairn_inode_decode(r->body, r->size, &inode) == 0 && (inode.flags & CAIRN_CUT) && inode.attr.nlink)
		w->found[w->n_found++] = r->key->number;
	return true;
}

static void queue_ino(struct cairn *fs, uint64_t ino)
{
	struct vfs_node *node;
	if (cairn_node_of_ino(fs, ino, &node))
		return;
	if (fiber_rwlock_trywrlock(vfs_node_lock(node))) {
		if (cairn_node(node)->inode.flags & CAIRN_CUT)
			cairn_cut_later(cairn_node(node));
		fiber_rwlock_wrunlock(vfs_node_lock(node));
	}
	vfs_node_put(node);
}

static void walk_on(struct cairn *fs)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct meta_key key = meta_key_number(fs->cut_walk);
	int err = w ? meta_scan(fs->meta, META_INODES, &key, META_FROM, look_at_inode, w) : ERR_NOMEM;
	for (uint32_t i = 0; !err && i < w->n_found; i++)
		queue_ino(fs, w->found[i]);
	fs->cut_walk = err ? 0 : w->next;
	free(w);
}

bool cairn_cut_some(struct cairn *fs)
{
	struct cairn_cut *c = pop(fs);
	if (c)
		return step(fs, c);
	if (!fs->cut_walk)
		return false;
	walk_on(fs);
	return true;
}

int cairn_cuts_find(struct cairn *fs)
{
	int64_t n;
	int err = meta_counter(fs->meta, META_N_CUT, &n);
	fs->cut_walk = !err && n > 0 ? CAIRN_ROOT_INODE : 0;
	return err;
}
