/* Streams, which have names of their own under their base, and the index of folded names, which follows from entries. */
#include <string.h>

#include "backends/cairn/cairn-check-impl.h"
#include "base/cursor.h"
#include "base/hash.h"

#define KEY_HEAD 16u /* directory and hash, before the name */

/* ---- streams */

static void see_to_parent(struct check *c, struct check_inode *ci, uint64_t base)
{
	struct meta_key key = meta_key_number(ci->ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	struct cairn_inode inode;
	if ((ci->flags & CI_REBUILT) || meta_get(c->meta, META_INODES, &key, body, &size) || cairn_inode_decode(body, size, &inode))
		return;
	if ((!(inode.flags & CAIRN_STREAM) || inode.parent != base) && check_found_inode(c, CHECK_STREAM_BASE, ci->ino))
		ci->flags |= CI_CHANGED;
}

static bool look_at_stream(struct check *c, const struct meta_record *r)
{
	struct cursor cur;
	cursor_init(&cur, (void *)r->body, r->size);
	uint64_t base = meta_key_first(r->key), ino = cursor_le64(&cur);
	struct check_inode *ci = check_inode_find(c, ino);
	if (!check_inode_find(c, base) || !ci || ci->type != OP_TYPE_FILE || ci->n_names) {
		if (check_found_record(c, CHECK_STREAM_STRAY, META_STREAMS, r->key, base))
			meta_delete(&c->txn, META_STREAMS, r->key);
		return true;
	}
	ci->n_names = 1;
	ci->where = base;
	ci->flags |= CI_STREAM;
	see_to_parent(c, ci, base);
	return true;
}

int check_streams(struct check *c)
{
	return check_table(c, META_STREAMS, look_at_stream);
}

/* ---- folded names: sums over hashes of keys, as they should be and as they are */

static bool key_of_entry(struct check *c, const struct meta_record *r, struct meta_key *key)
{
	struct vfs_name name = {(const char *)r->key->bytes + 8, r->key->size - 8};
	return cairn_fold_key_of(c->super.uuid, meta_key_first(r->key), &name, key);
}

static struct check_dir *dir_of(struct check *c, const struct meta_key *key)
{
	const struct check_inode *ci = check_inode_find(c, meta_key_first(key));
	return ci ? check_dir_of(c, ci) : NULL;
}

static bool add_entry(struct check *c, const struct meta_record *r)
{
	struct check_dir *dir = dir_of(c, r->key);
	struct meta_key key;
	if (dir && key_of_entry(c, r, &key))
		dir->balance += hash_u64(hash_bytes(key.bytes, key.size));
	return true;
}

static bool add_folded(struct check *c, const struct meta_record *r)
{
	struct check_dir *dir = dir_of(c, r->key);
	if (dir)
		dir->balance -= hash_u64(hash_bytes(r->key->bytes, r->key->size));
	else if (check_found_record(c, CHECK_FOLDED_STRAY, META_FOLDED, r->key, 0))
		meta_delete(&c->txn, META_FOLDED, r->key);
	return true;
}

static bool is_there(struct check *c, enum meta_table table, const struct meta_key *key)
{
	uint8_t body[CAIRN_ENTRY_SIZE];
	uint32_t size = sizeof(body);
	return meta_get(c->meta, table, key, body, &size) == 0;
}

static bool match_entry(struct check *c, const struct meta_record *r)
{
	struct meta_key key;
	if (meta_key_first(r->key) != *(uint64_t *)c->arg)
		return false;
	if (key_of_entry(c, r, &key) && !is_there(c, META_FOLDED, &key) &&
	    check_found_record(c, CHECK_FOLDED_MISSING, META_ENTRIES, r->key, 0))
		meta_put(&c->txn, META_FOLDED, &key, "", 0);
	return true;
}

static bool match_folded(struct check *c, const struct meta_record *r)
{
	uint64_t dir = meta_key_first(r->key);
	struct vfs_name name = {(const char *)r->key->bytes + KEY_HEAD, r->key->size - KEY_HEAD};
	struct meta_key entry = meta_key_name(dir, name.bytes, name.size), key;
	if (dir != *(uint64_t *)c->arg)
		return false;
	bool right = is_there(c, META_ENTRIES, &entry) && cairn_fold_key_of(c->super.uuid, dir, &name, &key) &&
	             key.size == r->key->size && memcmp(key.bytes, r->key->bytes, key.size) == 0;
	if (!right && check_found_record(c, CHECK_FOLDED_STRAY, META_FOLDED, r->key, 0))
		meta_delete(&c->txn, META_FOLDED, r->key);
	return true;
}

static int match_dir(struct check *c, uint64_t ino)
{
	struct check_walk entries = {.table = META_ENTRIES, .from = meta_key_name(ino, "", 0), .visit = match_entry, .quiet = true};
	struct check_walk folded = {.table = META_FOLDED, .from = meta_key_name(ino, "", 0), .visit = match_folded, .quiet = true};
	c->arg = &ino;
	int err = check_walk(c, &entries);
	return err ? err : check_walk(c, &folded);
}

int check_folded(struct check *c)
{
	for (uint32_t i = 0; i < c->n_dirs; i++)
		c->dirs[i].balance = 0;
	int err = check_table(c, META_ENTRIES, add_entry);
	if (!err)
		err = check_table(c, META_FOLDED, add_folded);
	for (uint32_t i = 0; !err && i < c->n_inodes; i++) {
		const struct check_dir *dir = check_dir_of(c, &c->inodes[i]);
		if (dir && dir->balance)
			err = match_dir(c, c->inodes[i].ino);
	}
	return err;
}
