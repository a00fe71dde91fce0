/*
 * Names. Each entry has its counterpart in the order of its directory: a sum over hashes of both tells, directory by
 * directory, whether all do, in two straight walks. Only a directory where the sums differ is looked at name by name, and
 * what one of the two tables has lost is made from the other.
 */
#include <string.h>

#include "backends/cairn/cairn-check-impl.h"
#include "base/cursor.h"
#include "base/hash.h"

#define FIRST_COOKIE 3u

/* A name as either table has it. */
struct named {
	uint64_t dir;
	struct vfs_name name;
	struct cairn_entry e;
};

static uint64_t hash_of(const struct named *n)
{
	uint64_t h = hash_bytes(n->name.bytes, n->name.size) + hash_u64(n->e.cookie);
	return hash_u64(h ^ hash_u64(n->e.ino << 3 ^ n->e.type));
}

static bool decode_entry(const struct meta_record *r, struct named *n)
{
	n->dir = meta_key_first(r->key);
	n->name = (struct vfs_name){(const char *)r->key->bytes + 8, r->key->size - 8};
	return cairn_entry_decode(r->body, r->size, &n->e) == 0;
}

static bool decode_order(const struct meta_record *r, struct named *n)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	n->dir = meta_key_first(r->key);
	n->e.cookie = meta_key_second(r->key);
	n->e.ino = cursor_le64(&c);
	n->e.type = cursor_le32(&c);
	n->name.size = cursor_le32(&c);
	n->name.bytes = (const char *)cursor_bytes(&c, n->name.size);
	return !cursor_failed(&c);
}

static bool same_name(const struct vfs_name *a, const struct vfs_name *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static bool same(const struct named *a, const struct named *b)
{
	return a->e.ino == b->e.ino && a->e.cookie == b->e.cookie && a->e.type == b->e.type && same_name(&a->name, &b->name);
}

/* ---- looking up one */

struct record_copy {
	struct meta_key key;
	struct meta_record r;
	uint8_t body[CAIRN_ORDER_HEAD_SIZE + OP_NAME_MAX];
};

static bool get(struct check *c, enum meta_table table, const struct meta_key *key, struct record_copy *copy)
{
	uint32_t size = sizeof(copy->body);
	copy->key = *key;
	copy->r = (struct meta_record){.key = &copy->key, .body = copy->body};
	int err = meta_get(c->meta, table, key, copy->body, &size);
	copy->r.size = size;
	return err == 0 && cairn_record_check(table, &copy->r) == 0;
}

static bool get_entry(struct check *c, const struct named *n, struct record_copy *copy, struct named *entry)
{
	struct meta_key key = meta_key_name(n->dir, n->name.bytes, n->name.size);
	return get(c, META_ENTRIES, &key, copy) && decode_entry(&copy->r, entry);
}

static bool get_order(struct check *c, const struct named *n, struct record_copy *copy, struct named *order)
{
	struct meta_key key = meta_key_pair(n->dir, n->e.cookie);
	return get(c, META_ORDER, &key, copy) && decode_order(&copy->r, order);
}

/* ---- entries */

static struct check_dir *dir_of(struct check *c, uint64_t ino)
{
	const struct check_inode *ci = check_inode_find(c, ino);
	return ci ? check_dir_of(c, ci) : NULL;
}

static void count_name(struct check *c, const struct named *n, struct check_inode *ci, struct check_dir *dir)
{
	ci->n_names++;
	if (ci->where == 0)
		ci->where = n->dir;
	dir->n_seen++;
	dir->n_subdirs += ci->dir != 0;
	dir->last_cookie = MAX(dir->last_cookie, n->e.cookie);
}

/* The kind of what is wrong with an entry that cannot stay; CHECK_N_KINDS: nothing. */
static enum check_kind wrong_entry(const struct named *n, const struct check_inode *ci, const struct check_dir *dir)
{
	if (!dir)
		return CHECK_ENTRY_STRAY;
	if (!ci)
		return CHECK_ENTRY_DANGLING;
	if (ci->dir && (ci->n_names || ci->ino == CAIRN_ROOT_INODE))
		return CHECK_ENTRY_SECOND;
	return CHECK_N_KINDS;
}

/* Its counterpart goes with it if it is its own. */
static void drop_entry(struct check *c, const struct named *n)
{
	struct meta_key key = meta_key_name(n->dir, n->name.bytes, n->name.size);
	struct record_copy copy;
	struct named order;
	meta_delete(&c->txn, META_ENTRIES, &key);
	if (get_order(c, n, &copy, &order) && same_name(&order.name, &n->name))
		meta_delete(&c->txn, META_ORDER, &copy.key);
}

static bool look_at_entry(struct check *c, const struct meta_record *r)
{
	struct named n;
	if (!decode_entry(r, &n))
		return true;
	struct check_inode *ci = check_inode_find(c, n.e.ino);
	struct check_dir *dir = dir_of(c, n.dir);
	enum check_kind wrong = wrong_entry(&n, ci, dir);
	if (wrong != CHECK_N_KINDS) {
		if (check_found_record(c, wrong, META_ENTRIES, r->key, n.e.ino))
			drop_entry(c, &n);
		else if (dir)
			dir->balance += hash_of(&n);
		return true;
	}
	count_name(c, &n, ci, dir);
	if (n.e.type != ci->type && check_found_record(c, CHECK_ENTRY_TYPE, META_ENTRIES, r->key, n.e.ino)) {
		n.e.type = ci->type;
		cairn_put_entry(&c->txn, n.dir, &n.name, &n.e);
	}
	dir->balance += hash_of(&n);
	return true;
}

/* ---- order */

static bool look_at_order(struct check *c, const struct meta_record *r)
{
	struct named n;
	if (!decode_order(r, &n))
		return true;
	struct check_dir *dir = dir_of(c, n.dir);
	if (dir)
		dir->balance -= hash_of(&n);
	else if (check_found_record(c, CHECK_ORDER_STRAY, META_ORDER, r->key, n.e.ino))
		meta_delete(&c->txn, META_ORDER, r->key);
	return true;
}

/* ---- name by name: c->arg is the number of the directory */

/* Another entry's place in the order is not taken away from it. */
static bool is_taken(struct check *c, const struct named *n)
{
	struct record_copy copy, other_copy;
	struct named order, other;
	return get_order(c, n, &copy, &order) && !same_name(&order.name, &n->name) && get_entry(c, &order, &other_copy, &other) &&
	       other.e.cookie == n->e.cookie;
}

static uint64_t next_cookie(struct check_dir *dir)
{
	uint64_t least = MAX(dir->next_cookie, (uint64_t)FIRST_COOKIE);
	dir->last_cookie = MAX(dir->last_cookie + 1, least);
	return dir->last_cookie;
}

static bool match_entry(struct check *c, const struct meta_record *r)
{
	struct record_copy copy;
	struct named n, order;
	if (meta_key_first(r->key) != *(uint64_t *)c->arg)
		return false;
	if (!decode_entry(r, &n) || (get_order(c, &n, &copy, &order) && same(&n, &order)))
		return true;
	if (!check_found_record(c, CHECK_ORDER_MISSING, META_ENTRIES, r->key, n.e.ino))
		return true;
	if (is_taken(c, &n))
		n.e.cookie = next_cookie(dir_of(c, n.dir));
	cairn_put_entry(&c->txn, n.dir, &n.name, &n.e);
	return true;
}

static bool match_order(struct check *c, const struct meta_record *r)
{
	struct record_copy copy;
	struct named n, entry;
	if (meta_key_first(r->key) != *(uint64_t *)c->arg)
		return false;
	if (!decode_order(r, &n))
		return true;
	bool there = get_entry(c, &n, &copy, &entry);
	if (there && entry.e.cookie == n.e.cookie)
		return true;
	struct check_inode *ci = check_inode_find(c, n.e.ino);
	struct check_dir *dir = dir_of(c, n.dir);
	if (!there && wrong_entry(&n, ci, dir) == CHECK_N_KINDS && n.e.type == ci->type) {
		count_name(c, &n, ci, dir);
		if (check_found_record(c, CHECK_ENTRY_MISSING, META_ORDER, r->key, n.e.ino))
			cairn_put_entry(&c->txn, n.dir, &n.name, &n.e);
	} else if (check_found_record(c, CHECK_ORDER_STRAY, META_ORDER, r->key, n.e.ino)) {
		meta_delete(&c->txn, META_ORDER, r->key);
	}
	return true;
}

static int match_dir(struct check *c, uint64_t ino)
{
	struct check_walk entries = {
		.table = META_ENTRIES, .from = meta_key_name(ino, "", 0), .visit = match_entry, .quiet = true, .eager = true};
	struct check_walk order = {
		.table = META_ORDER, .from = meta_key_pair(ino, 0), .visit = match_order, .quiet = true, .eager = true};
	c->arg = &ino;
	int err = check_walk(c, &entries);
	return err ? err : check_walk(c, &order);
}

/* ---- for those who move what has no place */

bool check_name_exists(struct check *c, uint64_t dir, const char *name, uint64_t *ino)
{
	struct named n = {.dir = dir, .name = {name, (uint32_t)strlen(name)}}, entry;
	struct record_copy copy;
	bool there = get_entry(c, &n, &copy, &entry);
	*ino = there ? entry.e.ino : 0;
	return there;
}

void check_name_add(struct check *c, uint64_t dir, const char *name, struct check_inode *ci)
{
	struct check_dir *d = dir_of(c, dir);
	struct named n = {.dir = dir, .name = {name, (uint32_t)strlen(name)}, .e = {ci->ino, next_cookie(d), ci->type}};
	cairn_put_entry(&c->txn, dir, &n.name, &n.e);
	count_name(c, &n, ci, d);
}

struct seeker {
	struct check *c;
	uint64_t dir, ino;
	uint32_t left; /* entries that may still be looked at */
	char *room; /* for the name */
	bool remove;
	bool found;
};

static bool seek_entry(void *arg, const struct meta_record *r)
{
	struct seeker *s = arg;
	struct named n;
	if (meta_key_first(r->key) != s->dir || s->left-- == 0)
		return false;
	if (r->err || cairn_record_check(META_ENTRIES, r) || !decode_entry(r, &n) || n.e.ino != s->ino)
		return true;
	s->found = true;
	memcpy(s->room, n.name.bytes, n.name.size);
	s->room[n.name.size] = '\0';
	if (s->remove)
		cairn_delete_entry(&s->c->txn, s->dir, &n.name, n.e.cookie);
	return false;
}

bool check_name_seek(struct check *c, uint64_t dir, uint64_t ino, char name[OP_NAME_MAX + 1], bool remove)
{
	struct seeker s = {.c = c, .dir = dir, .ino = ino, .left = remove ? UINT32_MAX : 65536, .room = name, .remove = remove};
	struct meta_key key = meta_key_name(dir, "", 0);
	return meta_inspect(c->meta, META_ENTRIES, &key, seek_entry, &s) == 0 && s.found;
}

int check_names(struct check *c)
{
	int err = check_table(c, META_ENTRIES, look_at_entry);
	if (!err)
		err = check_table(c, META_ORDER, look_at_order);
	for (uint32_t i = 0; !err && i < c->n_inodes; i++) {
		const struct check_dir *dir = check_dir_of(c, &c->inodes[i]);
		if (dir && dir->balance)
			err = match_dir(c, c->inodes[i].ino);
	}
	return err;
}
