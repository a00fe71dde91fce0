/*
 * Directories: a keyed hash finds a name, an array in order of cookies lists them. Cookies only
 * grow, so adding appends, resuming is a binary search, and an entry never moves for a reader; removed
 * ones leave an empty place until half of the array is empty.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "backends/memfs/memfs.h"

#define COOKIE_FIRST 3u
#define ORDER_FIRST 8u

void memfs_dir_init(struct memfs_node *dir, struct memfs_node *parent)
{
	memset(&dir->dir, 0, sizeof(dir->dir));
	dir->dir.next_cookie = COOKIE_FIRST;
	dir->dir.parent = parent;
}

void memfs_dir_fini(struct memfs_dir *d)
{
	for (uint32_t i = 0; i < d->n_order; i++)
		free(d->order[i].entry);
	free(TAKE(d->order));
	d->n_order = 0;
	memfs_names_fini(&d->names);
}

static uint64_t hash_of(const struct memfs_node *dir, const struct vfs_name *name)
{
	return hash_sip24(memfs_of(dir)->name_key, name->bytes, name->size);
}

static struct memfs_entry *find(const struct memfs_node *dir, const struct vfs_name *name, uint64_t hash)
{
	return memfs_names_find(&dir->dir.names, name, hash);
}

/* ---- the order */

/* Packs the array in place once half of it is empty, or makes it twice as large. */
static int reserve(struct memfs_dir *d)
{
	uint32_t n = 0;
	if (d->n_order < d->max_order)
		return 0;
	if (memfs_names_reserve(&d->names))
		return ERR_NOSPC;
	if (d->n_order > ORDER_FIRST && d->names.n_entries <= d->n_order / 2) {
		for (uint32_t i = 0; i < d->n_order; i++) {
			if (!d->order[i].entry)
				continue;
			d->order[n] = d->order[i];
			d->order[n].entry->place = n;
			n++;
		}
		d->n_order = n;
		return 0;
	}
	if (d->max_order > UINT32_MAX / 2)
		return ERR_NOSPC;
	n = d->max_order ? 2 * d->max_order : ORDER_FIRST;
	struct memfs_place *order = realloc(d->order, n * sizeof(*order));
	if (!order)
		return ERR_NOSPC;
	d->order = order;
	d->max_order = n;
	return 0;
}

static struct memfs_entry *entry_new(const struct vfs_name *name)
{
	struct memfs_entry *e = malloc(sizeof(*e) + name->size);
	if (!e)
		return NULL;
	e->size = name->size;
	memcpy(e->name, name->bytes, name->size);
	return e;
}

/* There is room, reserve() said. */
static void attach(struct memfs_node *dir, struct memfs_entry *e, struct memfs_node *node, uint64_t hash)
{
	struct memfs_dir *d = &dir->dir;
	e->node = node;
	e->place = d->n_order;
	d->order[d->n_order++] = (struct memfs_place){d->next_cookie++, e};
	memfs_names_insert(&d->names, e, hash);
	if (node->node.type == OP_TYPE_DIR) {
		node->dir.parent = dir;
		dir->attr.nlink++;
	}
	dir->attr.size = d->names.n_entries;
}

static void detach(struct memfs_node *dir, struct memfs_entry *e)
{
	struct memfs_dir *d = &dir->dir;
	d->order[e->place].entry = NULL;
	if (e->place + 1 == d->n_order)
		d->n_order--;
	memfs_names_remove(&d->names, e);
	if (e->node->node.type == OP_TYPE_DIR)
		dir->attr.nlink--;
	dir->attr.size = d->names.n_entries;
}

/* The first place with a cookie above that. */
static uint32_t place_after(const struct memfs_dir *d, uint64_t cookie)
{
	uint32_t low = 0, high = d->n_order;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (d->order[mid].cookie <= cookie)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int memfs_readdir(struct vfs_node *node, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof)
{
	struct memfs_node *n = memfs_node_of(node);
	const struct memfs_dir *d = &n->dir;
	uint64_t instance = memfs_of(n)->instance;
	*eof = true;
	if (cookie && *verifier && *verifier != instance)
		return ERR_BAD_COOKIE;
	*verifier = instance;
	for (uint32_t i = place_after(d, cookie); i < d->n_order; i++) {
		const struct memfs_entry *e = d->order[i].entry;
		if (!e)
			continue;
		struct vfs_name name = {e->name, e->size};
		*eof = emit(arg, &name, d->order[i].cookie, e->node->node.fileid, e->node->node.type, &e->node->node);
		if (!*eof)
			return 0;
	}
	memfs_stamp_read(n);
	return 0;
}

/* ---- names */

int memfs_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node)
{
	const struct memfs_node *d = memfs_node_of(dir);
	const struct memfs_entry *e = find(d, name, hash_of(d, name));
	if (!e)
		return ERR_NOENT;
	*node = vfs_node_get(&e->node->node);
	return 0;
}

int memfs_parent(struct vfs_node *dir, struct vfs_node **parent)
{
	struct memfs_node *up = memfs_node_of(dir)->dir.parent;
	if (!up)
		return ERR_STALE;
	*parent = vfs_node_get(&up->node);
	return 0;
}

/* The name takes over one reference of node. */
static int add_name(struct memfs_node *dir, const struct vfs_name *name, uint64_t hash, struct memfs_node *node)
{
	int err = reserve(&dir->dir);
	struct memfs_entry *e = err ? NULL : entry_new(name);
	if (!e)
		return err ? err : ERR_NOSPC;
	attach(dir, e, node, hash);
	memfs_touch(dir, true);
	return 0;
}

int memfs_create(struct vfs_call *call, struct vfs_node *node, const struct vfs_name *name,
                 const struct vfs_create *what, struct vfs_node **made)
{
	struct memfs_node *dir = memfs_node_of(node), *n;
	uint64_t hash = hash_of(dir, name);
	if (find(dir, name, hash))
		return ERR_EXIST;
	int err = memfs_node_new(memfs_of(dir), what, dir, &n);
	if (err)
		return err;
	if (what->type == OP_TYPE_DIR)
		memfs_dir_init(n, dir);
	n->attr.nlink = what->type == OP_TYPE_DIR ? 2 : 1;
	err = add_name(dir, name, hash, n);
	if (err) {
		vfs_node_put(&n->node);
		return err;
	}
	*made = vfs_node_get(&n->node);
	return 0;
}

int memfs_create_unlinked(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what,
                          struct vfs_node **node)
{
	struct memfs_node *n;
	int err = memfs_node_new(dir->mount->store, what, memfs_node_of(dir), &n);
	if (err)
		return err;
	n->linkable = true;
	*node = &n->node;
	return 0;
}

int memfs_link(struct vfs_node *node, struct vfs_node *to, const struct vfs_name *name)
{
	struct memfs_node *dir = memfs_node_of(to), *n = memfs_node_of(node);
	uint64_t hash = hash_of(dir, name);
	if (find(dir, name, hash))
		return ERR_EXIST;
	if (n->attr.nlink >= UINT32_MAX >> 1)
		return ERR_MLINK;
	/* An object whose last name is gone stays gone. */
	if (n->attr.nlink == 0 && !n->linkable)
		return ERR_NOENT;
	int err = add_name(dir, name, hash, n);
	if (err)
		return err;
	n->linkable = false;
	n->attr.nlink++;
	vfs_node_get(node);
	memfs_touch(n, false);
	return 0;
}

/* The node lost a name; the VFS holds a reference, so it is not freed here. */
static void drop_name(struct memfs_node *n)
{
	if (n->node.type == OP_TYPE_DIR) {
		n->attr.nlink = 0;
		n->dir.parent = NULL;
	} else {
		n->attr.nlink--;
	}
	memfs_touch(n, false);
	if (n->attr.nlink == 0)
		memfs_drop_streams(n);
	vfs_node_put(&n->node);
}

static bool is_full_dir(const struct memfs_node *n)
{
	return n->node.type == OP_TYPE_DIR && n->dir.names.n_entries > 0;
}

int memfs_remove(struct vfs_node *from, const struct vfs_name *name, struct vfs_node *node)
{
	struct memfs_node *dir = memfs_node_of(from), *n = memfs_node_of(node);
	struct memfs_entry *e = find(dir, name, hash_of(dir, name));
	if (!e)
		return ERR_NOENT;
	if (is_full_dir(n))
		return ERR_NOTEMPTY;
	detach(dir, e);
	free(e);
	drop_name(n);
	memfs_touch(dir, true);
	return 0;
}

/* ---- rename */

static void set_entry(struct memfs_node *dir, struct memfs_entry *e, struct memfs_node *node)
{
	if (e->node->node.type == OP_TYPE_DIR)
		dir->attr.nlink--;
	e->node = node;
	if (node->node.type == OP_TYPE_DIR) {
		dir->attr.nlink++;
		node->dir.parent = dir;
	}
}

static void exchange(struct memfs_node *from, struct memfs_entry *a, struct memfs_node *to, struct memfs_entry *b)
{
	struct memfs_node *n = a->node;
	set_entry(from, a, b->node);
	set_entry(to, b, n);
	memfs_touch(a->node, false);
	memfs_touch(b->node, false);
}

static int move(struct memfs_node *from, struct memfs_entry *e, struct memfs_node *to, const struct vfs_name *name)
{
	uint64_t hash = hash_of(to, name);
	struct memfs_entry *old = find(to, name, hash), *fresh;
	if (old && is_full_dir(old->node))
		return ERR_NOTEMPTY;
	int err = reserve(&to->dir);
	fresh = err ? NULL : entry_new(name);
	if (!fresh)
		return err ? err : ERR_NOSPC;
	if (old) {
		detach(to, old);
		drop_name(old->node);
		free(old);
	}
	detach(from, e);
	attach(to, fresh, e->node, hash);
	memfs_touch(e->node, false);
	free(e);
	return 0;
}

int memfs_rename(struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir,
                 const struct vfs_name *to, const struct vfs_rename *what)
{
	struct memfs_node *source = memfs_node_of(from_dir), *dest = memfs_node_of(to_dir);
	struct memfs_entry *e = find(source, from, hash_of(source, from));
	int err = 0;
	if (!e)
		return ERR_NOENT;
	if (what->flags & RENAME_EXCHANGE)
		exchange(source, e, dest, find(dest, to, hash_of(dest, to)));
	else
		err = move(source, e, dest, to);
	if (err)
		return err;
	memfs_touch(source, true);
	if (dest != source)
		memfs_touch(dest, true);
	return 0;
}
