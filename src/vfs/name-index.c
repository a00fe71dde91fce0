/*
 * One index is a tree of names of one directory, in one of two orders. A published index changes only under the
 * directory's exclusive lock and is read under its shared lock, so the table of indexes needs a lock and an index does not.
 */
#include "vfs/name-index.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/spinlock.h"
#include "base/tree.h"
#include "base/utf8.h"
#include "vfs/vfs-impl.h"

#define N_BUILD_LOCKS 16u
#define NAMES_A_TURN 2048u              /* that are taken in before others get one */
#define TICK_NS (20 * NS_PER_MS)        /* of a host's clock, generously */
#define CARRIED_NS (2 * NS_PER_SEC)     /* for which carried changes are trusted in a shared directory */

enum order { BY_NAME, BY_FOLD, N_ORDERS };

struct indexed {
	struct tree_node link;
	uint64_t fileid;
	uint32_t type;
	uint32_t size;
	char name[];
};

struct name_index {
	struct hmap_node hash;    /* with lru guarded by the table's lock */
	struct list lru;
	_Atomic uint32_t n_refs;
	enum order order;
	uint32_t mount;
	uint64_t fileid;          /* of the directory */
	uint64_t change;          /* of the directory for which it is right */
	uint64_t built_ns;
	bool racy;                /* read within a tick of the directory's last change */
	bool carried;             /* brought up to date by us since */
	bool cut;                 /* there are more names: by name after the last, by folded form anywhere */
	uint32_t after_size;      /* by name: it begins after this one */
	char after[OP_NAME_MAX];
	struct tree names;
	uint64_t bytes;
};

struct name_indexes {
	uint64_t bytes_max;
	_Atomic uint32_t n;       /* in the table: with 0 a change costs nothing */
	struct spinlock lock;     /* guards what follows */
	struct hmap table;
	struct list lru;          /* longest unused first */
	uint64_t bytes;
	struct fiber_mutex build[N_BUILD_LOCKS]; /* a directory is read once for all who wait */
};

/* ---- orders */

static struct vfs_name name_of(const struct tree_node *node)
{
	const struct indexed *e = container_of(node, struct indexed, link);
	return (struct vfs_name){e->name, e->size};
}

static int by_name(const void *key, const struct tree_node *node)
{
	struct vfs_name name = name_of(node);
	return vfs_name_cmp(key, &name);
}

/* Names that differ in case only stand together, in order of bytes. */
static int by_fold(const void *key, const struct tree_node *node)
{
	const struct vfs_name *a = key;
	struct vfs_name b = name_of(node);
	int cmp = utf8_fold_cmp(a->bytes, a->size, b.bytes, b.size);
	return cmp ? cmp : vfs_name_cmp(a, &b);
}

/* Before all that differ from key in case only. */
static int by_fold_first(const void *key, const struct tree_node *node)
{
	const struct vfs_name *a = key;
	struct vfs_name b = name_of(node);
	int cmp = utf8_fold_cmp(a->bytes, a->size, b.bytes, b.size);
	return cmp ? cmp : -1;
}

static tree_cmp *const orders[N_ORDERS] = {[BY_NAME] = by_name, [BY_FOLD] = by_fold};

/* ---- the names of one index */

static uint64_t bytes_of(uint32_t name_size)
{
	return sizeof(struct indexed) + name_size + 16;
}

static void erase(struct name_index *x, struct tree_node *node)
{
	struct indexed *e = container_of(node, struct indexed, link);
	x->bytes -= bytes_of(e->size);
	tree_erase(&x->names, node);
	free(e);
}

/* False: no memory. */
static bool put(struct name_index *x, const struct vfs_name *name, uint64_t fileid, uint32_t type)
{
	struct indexed *e = malloc(sizeof(*e) + name->size);
	if (!e)
		return false;
	e->fileid = fileid;
	e->type = type;
	e->size = name->size;
	memcpy(e->name, name->bytes, name->size);
	struct tree_node *there = tree_insert(&x->names, &e->link, name, orders[x->order]);
	if (!there) {
		x->bytes += bytes_of(name->size);
		return true;
	}
	free(e);
	e = container_of(there, struct indexed, link);
	e->fileid = fileid;
	e->type = type;
	return true;
}

static void index_put(struct name_index *x)
{
	if (!x || atomic_fetch_sub(&x->n_refs, 1) != 1)
		return;
	while (x->names.root)
		erase(x, x->names.root);
	free(x);
}

/* ---- the table */

static uint64_t hash_of(const struct vfs_node *dir, enum order order)
{
	return hash_u64(dir->fileid ^ (uint64_t)dir->mount->id << 40 ^ (uint64_t)order << 63);
}

/* Locked. */
static struct name_index *look_up(struct name_indexes *t, const struct vfs_node *dir, enum order order)
{
	struct name_index *x;
	HMAP_FOREACH_HASH(x, &t->table, hash_of(dir, order), hash)
		if (x->fileid == dir->fileid && x->mount == dir->mount->id && x->order == order)
			return x;
	return NULL;
}

/* Locked; the table's reference is the caller's. */
static void take_out(struct name_indexes *t, struct name_index *x)
{
	hmap_remove(&t->table, &x->hash);
	list_del(&x->lru);
	t->bytes -= x->bytes;
	atomic_fetch_sub_explicit(&t->n, 1, memory_order_relaxed);
}

/* The index of dir, referenced and in use last; NULL: none. */
static struct name_index *get(struct name_indexes *t, const struct vfs_node *dir, enum order order)
{
	spin_lock(&t->lock);
	struct name_index *x = look_up(t, dir, order);
	if (x) {
		atomic_fetch_add(&x->n_refs, 1);
		list_del(&x->lru);
		list_push_back(&t->lru, &x->lru);
	}
	spin_unlock(&t->lock);
	return x;
}

/* The longest unused one while there is too much, but for keep. */
static struct name_index *evict(struct name_indexes *t, const struct name_index *keep)
{
	spin_lock(&t->lock);
	struct name_index *x = list_empty(&t->lru) ? NULL : list_entry(t->lru.next, struct name_index, lru);
	if (x == keep || t->bytes <= t->bytes_max)
		x = NULL;
	if (x)
		take_out(t, x);
	spin_unlock(&t->lock);
	return x;
}

/* In the place of one that was there. */
static void publish(struct name_indexes *t, const struct vfs_node *dir, struct name_index *x)
{
	struct name_index *old;
	atomic_fetch_add(&x->n_refs, 1);
	spin_lock(&t->lock);
	old = look_up(t, dir, x->order);
	if (old)
		take_out(t, old);
	hmap_insert(&t->table, &x->hash, hash_of(dir, x->order));
	list_push_back(&t->lru, &x->lru);
	t->bytes += x->bytes;
	atomic_fetch_add_explicit(&t->n, 1, memory_order_relaxed);
	spin_unlock(&t->lock);
	index_put(old);
	while ((old = evict(t, x)))
		index_put(old);
}

static void withdraw(struct name_indexes *t, struct name_index *x)
{
	spin_lock(&t->lock);
	bool there = !list_empty(&x->lru);
	if (there)
		take_out(t, x);
	spin_unlock(&t->lock);
	if (there)
		index_put(x);
}

/* ---- reading a directory */

struct reading {
	struct name_index *x;
	uint64_t bytes_max;
	uint32_t n; /* names so far */
	bool failed;
};

static bool take_in(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid, uint32_t type,
                    struct vfs_node *node)
{
	struct reading *r = arg;
	struct name_index *x = r->x;
	struct vfs_name after = {x->after, x->after_size};
	if (++r->n % NAMES_A_TURN == 0)
		fiber_yield();
	if (x->order == BY_NAME && x->after_size && vfs_name_cmp(name, &after) <= 0)
		return true;
	/* Once names were dropped, the shorter ones behind them would fit but must not come before them. */
	struct tree_node *last = x->cut ? tree_last(&x->names) : NULL;
	if (x->cut && (!last || by_name(name, last) > 0))
		return true;
	r->failed = !put(x, name, fileid, type);
	if (x->bytes > r->bytes_max) {
		x->cut = true;
		erase(x, tree_last(&x->names));
	}
	/* An incomplete index of folded names is of no use. */
	return !r->failed && !(x->cut && x->order == BY_FOLD);
}

static bool is_racy(const struct op_attr *attr)
{
	struct op_time now = vfs_now();
	int64_t age = (now.sec - attr->ctime.sec) * (int64_t)NS_PER_SEC + (int64_t)now.nsec - attr->ctime.nsec;
	return age < (int64_t)TICK_NS;
}

static int read_names(struct name_indexes *t, struct vfs_node *dir, struct name_index *x)
{
	const struct backend_ops *ops = dir->mount->ops;
	struct reading r = {.x = x, .bytes_max = t->bytes_max / 2};
	struct op_attr before, after;
	uint64_t verifier = 0;
	bool eof;
	int err = ops->getattr(dir, &before);
	if (!err)
		err = ops->readdir(dir, 0, &verifier, take_in, &r, &eof);
	if (!err)
		err = r.failed ? ERR_NOMEM : ops->getattr(dir, &after);
	if (err)
		return err;
	x->change = before.change;
	x->racy = after.change != before.change || is_racy(&after);
	x->built_ns = loop_now_ns(loop_current());
	return 0;
}

static int build(struct name_indexes *t, struct vfs_node *dir, enum order order, const struct vfs_name *after,
                 struct name_index **out)
{
	struct name_index *x = calloc(1, sizeof(*x));
	if (!x)
		return ERR_NOMEM;
	x->order = order;
	x->mount = dir->mount->id;
	x->fileid = dir->fileid;
	x->n_refs = 1;
	x->after_size = after->size;
	memcpy(x->after, after->bytes, after->size);
	list_init(&x->lru);
	tree_init(&x->names);
	int err = read_names(t, dir, x);
	if (err) {
		index_put(x);
		return err;
	}
	publish(t, dir, x);
	*out = x;
	return 0;
}

/* ---- getting a right one */

static bool is_right(struct vfs_node *dir, const struct name_index *x, uint64_t change)
{
	uint64_t age = loop_now_ns(loop_current()) - x->built_ns;
	if (x->change != change)
		return false;
	if (!(dir->mount->ops->caps & VFS_CAP_SHARED))
		return true;
	return !(x->racy && age > TICK_NS) && !(x->carried && age > CARRIED_NS);
}

/* Whether it has the names that follow after, some at least. */
static bool covers(const struct name_index *x, const struct vfs_name *after)
{
	struct vfs_name from = {x->after, x->after_size};
	struct tree_node *last = tree_last(&x->names);
	if (x->order == BY_FOLD)
		return true;
	if (x->after_size && vfs_name_cmp(after, &from) < 0)
		return false;
	return !x->cut || (last && by_name(after, last) < 0);
}

static struct name_index *find(struct name_indexes *t, struct vfs_node *dir, enum order order, uint64_t change, bool *large)
{
	struct name_index *x = get(t, dir, order);
	if (x && is_right(dir, x, change))
		return x;
	*large = x && x->cut;
	index_put(x);
	return NULL;
}

/* With the build lock. */
static int find_or_build(struct name_indexes *t, struct vfs_node *dir, enum order order, const struct vfs_name *after,
                         struct name_index **out)
{
	static const struct vfs_name start = {"", 0};
	struct op_attr attr;
	bool large = false;
	int err = dir->mount->ops->getattr(dir, &attr);
	struct name_index *x = err ? NULL : find(t, dir, order, attr.change, &large);
	if (x && covers(x, after)) {
		*out = x;
		return 0;
	}
	large = large || x;
	index_put(x);
	if (!err)
		err = build(t, dir, order, large ? after : &start, &x);
	if (err || covers(x, after)) {
		*out = x;
		return err;
	}
	index_put(x);
	return build(t, dir, order, after, out);
}

static int get_right(struct name_indexes *t, struct vfs_node *dir, enum order order, const struct vfs_name *after,
                     struct name_index **out)
{
	struct fiber_mutex *lock = &t->build[hash_of(dir, order) >> 32 & (N_BUILD_LOCKS - 1)];
	fiber_mutex_lock(lock);
	int err = find_or_build(t, dir, order, after, out);
	fiber_mutex_unlock(lock);
	return err;
}

/* ---- what callers ask */

struct scan {
	const struct vfs_name *wanted;
	struct vfs_name best; /* size 0: none so far */
	char *bytes;
};

static void keep_best(struct scan *s, const struct vfs_name *name)
{
	memcpy(s->bytes, name->bytes, name->size);
	s->best = (struct vfs_name){s->bytes, name->size};
}

static bool match(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid, uint32_t type,
                  struct vfs_node *node)
{
	struct scan *s = arg;
	bool same = utf8_fold_cmp(name->bytes, name->size, s->wanted->bytes, s->wanted->size) == 0;
	if (same && (s->best.size == 0 || vfs_name_cmp(name, &s->best) < 0))
		keep_best(s, name);
	return true;
}

int name_index_lookup(struct name_indexes *t, struct vfs_node *dir, const struct vfs_name *name, struct vfs_name *stored,
                      char bytes[OP_NAME_MAX], struct vfs_node **node)
{
	static const struct vfs_name start = {"", 0};
	struct scan s = {.wanted = name, .bytes = bytes};
	struct name_index *x;
	uint64_t verifier = 0;
	bool eof;
	int err = get_right(t, dir, BY_FOLD, &start, &x);
	if (err)
		return err;
	struct tree_node *first = x->cut ? NULL : tree_lower_bound(&x->names, name, by_fold_first);
	struct vfs_name found = first ? name_of(first) : start;
	if (first && utf8_fold_cmp(found.bytes, found.size, name->bytes, name->size) == 0)
		keep_best(&s, &found);
	/* Too many to keep: each look-up reads them all. */
	if (x->cut)
		err = dir->mount->ops->readdir(dir, 0, &verifier, match, &s, &eof);
	index_put(x);
	if (err || s.best.size == 0)
		return err ? err : ERR_NOENT;
	*stored = s.best;
	return dir->mount->ops->lookup(dir, stored, node);
}

/* Passes on what x has after *at, which moves; false: the caller has enough. */
static bool emit_all(const struct name_index *x, struct vfs_name *at, vfs_emit_fn *emit, void *arg)
{
	struct tree_node *node = tree_lower_bound(&x->names, at, by_name);
	if (node && by_name(at, node) == 0)
		node = tree_next(node);
	for (; node; node = tree_next(node)) {
		const struct indexed *e = container_of(node, struct indexed, link);
		struct vfs_name name = {e->name, e->size};
		if (!emit(arg, &name, 0, e->fileid, e->type, NULL))
			return false;
		*at = name;
	}
	return true;
}

int name_index_list(struct name_indexes *t, struct vfs_node *dir, const struct vfs_name *after, vfs_emit_fn *emit, void *arg,
                    bool *eof)
{
	struct vfs_name at = *after;
	char last[OP_NAME_MAX];
	int err = 0;
	*eof = false;
	for (bool more = true; !err && more && !*eof;) {
		struct name_index *x;
		err = get_right(t, dir, BY_NAME, &at, &x);
		if (err)
			return err;
		more = emit_all(x, &at, emit, arg);
		*eof = more && !x->cut;
		memmove(last, at.bytes, at.size);
		at.bytes = last;
		index_put(x);
	}
	return err;
}

/* ---- keeping up */

static bool is_idle(struct name_indexes *t)
{
	return likely(atomic_load_explicit(&t->n, memory_order_relaxed) == 0);
}

/* Those of a cut index that it does not reach stay out; what it reaches it must have. */
static bool reaches(const struct name_index *x, const struct vfs_name *name)
{
	struct vfs_name from = {x->after, x->after_size};
	struct tree_node *last = tree_last(&x->names);
	if (x->order == BY_FOLD)
		return !x->cut;
	if (x->after_size && vfs_name_cmp(name, &from) <= 0)
		return false;
	return !x->cut || (last && by_name(name, last) < 0);
}

static void count_bytes(struct name_indexes *t, struct name_index *x, uint64_t before)
{
	spin_lock(&t->lock);
	if (!list_empty(&x->lru))
		t->bytes += x->bytes - before;
	spin_unlock(&t->lock);
}

void name_index_added(struct name_indexes *t, struct vfs_node *dir, const struct vfs_name *name, const struct vfs_node *node)
{
	for (enum order o = 0; !is_idle(t) && o < N_ORDERS; o++) {
		struct name_index *x = get(t, dir, o);
		uint64_t before = x ? x->bytes : 0;
		bool ok = !x || !reaches(x, name) || (put(x, name, node->fileid, node->type) && x->bytes <= t->bytes_max);
		if (x)
			count_bytes(t, x, before);
		if (!ok)
			withdraw(t, x);
		index_put(x);
	}
}

void name_index_removed(struct name_indexes *t, struct vfs_node *dir, const struct vfs_name *name)
{
	for (enum order o = 0; !is_idle(t) && o < N_ORDERS; o++) {
		struct name_index *x = get(t, dir, o);
		struct tree_node *node = x ? tree_find(&x->names, name, orders[o]) : NULL;
		uint64_t before = x ? x->bytes : 0;
		if (node)
			erase(x, node);
		if (x)
			count_bytes(t, x, before);
		index_put(x);
	}
}

void name_index_carry(struct name_indexes *t, struct vfs_node *dir, uint64_t before, uint64_t after)
{
	for (enum order o = 0; !is_idle(t) && before != after && o < N_ORDERS; o++) {
		struct name_index *x = get(t, dir, o);
		if (x && x->change == before) {
			x->change = after;
			x->carried = true;
		} else if (x) {
			withdraw(t, x);
		}
		index_put(x);
	}
}

/* ---- life */

int name_indexes_create(struct name_indexes **out, uint64_t bytes_max)
{
	struct name_indexes *t = calloc(1, sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	t->bytes_max = bytes_max;
	hmap_init(&t->table);
	list_init(&t->lru);
	*out = t;
	return 0;
}

void name_indexes_drop(struct name_indexes *t, const struct vfs_mount *m)
{
	struct name_index *x, *tmp;
	struct list dropped;
	list_init(&dropped);
	spin_lock(&t->lock);
	LIST_FOREACH_SAFE(x, tmp, &t->lru, lru) {
		if (m && x->mount != m->id)
			continue;
		take_out(t, x);
		list_push_back(&dropped, &x->lru);
	}
	spin_unlock(&t->lock);
	while (!list_empty(&dropped))
		index_put(list_entry(list_pop_front(&dropped), struct name_index, lru));
}

void name_indexes_destroy(struct name_indexes *t)
{
	if (!t)
		return;
	name_indexes_drop(t, NULL);
	hmap_fini(&t->table);
	free(t);
}
