/*
 * Inodes, and what is missing among them. An inode whose record is gone, but which names or data still speak of, is made
 * anew from those: it has lost its owner, mode and times, not its content.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-check-impl.h"
#include "base/cursor.h"

static bool take_inode(struct check *c, const struct meta_record *r)
{
	struct cairn_inode inode;
	if (cairn_inode_decode(r->body, r->size, &inode))
		return true;
	struct check_inode *ci = check_inode_add(c, r->key->number, inode.attr.type);
	if (!ci)
		return false;
	c->last_epoch = MAX(c->last_epoch, inode.epoch);
	ci->blocks_off = inode.n_blocks;
	ci->size = inode.attr.size;
	c->n_cut += (inode.flags & CAIRN_CUT) != 0;
	ci->nlink = inode.attr.nlink;
	ci->inline_size = inode.inline_size & 0x1fff;
	if ((inode.flags & CAIRN_INLINE) || inode.attr.type == OP_TYPE_SYMLINK)
		ci->flags |= CI_INLINE;
	if (inode.flags & CAIRN_HAS_ACL)
		ci->flags |= CI_ACL;
	struct check_dir *dir = check_dir_of(c, ci);
	if (dir) {
		dir->n_entries = inode.n_entries;
		dir->next_cookie = inode.next_cookie;
		dir->parent = inode.parent;
	}
	return true;
}

/* ---- what is missing: numbers with the types that names give them, in one word each */

#define TYPE_BITS 3u

static void want(struct check *c, uint64_t ino, uint32_t type)
{
	if (!c->err && ino < 1ULL << (64 - TYPE_BITS) && !check_inode_find(c, ino))
		c->err = check_number_add(&c->wanted, ino << TYPE_BITS | type);
}

static bool want_of_entry(struct check *c, const struct meta_record *r)
{
	struct cairn_entry e;
	if (cairn_entry_decode(r->body, r->size, &e) == 0)
		want(c, e.ino, e.type);
	want(c, meta_key_first(r->key), OP_TYPE_DIR);
	return !c->err;
}

static bool want_of_stream(struct check *c, const struct meta_record *r)
{
	struct cursor cur;
	cursor_init(&cur, (void *)r->body, r->size);
	want(c, cursor_le64(&cur), OP_TYPE_FILE);
	return !c->err;
}

struct probe {
	uint64_t ino;
	bool found;
	uint64_t end;  /* of the last extent, in blocks */
};

static bool probe_one(void *arg, const struct meta_record *r)
{
	struct probe *p = arg;
	p->found = meta_key_first(r->key) == p->ino;
	return false;
}

static bool probe_extent(void *arg, const struct meta_record *r)
{
	struct probe *p = arg;
	struct cairn_extent e;
	if (meta_key_first(r->key) != p->ino)
		return false;
	p->found = true;
	if (r->err == 0 && cairn_extent_decode(r, &e) == 0)
		p->end = e.kind == CAIRN_LOST ? MAX(p->end, e.first + 1) : e.first + e.n;
	return true;
}

static bool has_children(struct check *c, uint64_t ino)
{
	struct probe p = {ino, false, 0};
	struct meta_key key = meta_key_name(ino, "", 0);
	meta_inspect(c->meta, META_ENTRIES, &key, probe_one, &p);
	return p.found;
}

static uint64_t blocks_of(struct check *c, uint64_t ino)
{
	struct probe p = {ino, false, 0};
	struct meta_key key = meta_key_pair(ino, 0);
	meta_inspect(c->meta, META_EXTENTS, &key, probe_extent, &p);
	return p.end;
}

static bool inline_of(struct check *c, uint64_t ino, uint32_t *size)
{
	struct meta_key key = meta_key_number(ino);
	*size = 0;
	int err = meta_get(c->meta, META_INLINE, &key, NULL, size);
	return err == 0 || err == ERR_TOOSMALL;
}

/* An inode that is made anew is one of a known type, or has something in it. */
static void make_anew(struct check *c, uint64_t ino, uint32_t type)
{
	uint32_t inline_size;
	bool has_inline = inline_of(c, ino, &inline_size), children = has_children(c, ino);
	uint64_t n = blocks_of(c, ino);
	bool damaged = check_number_in(&c->lost, ino);
	if (!children && !has_inline && n == 0 && ino != CAIRN_ROOT_INODE && !(damaged && type))
		return;
	if (ino == CAIRN_ROOT_INODE || children)
		type = OP_TYPE_DIR;
	else if (type != OP_TYPE_SYMLINK || !has_inline)
		type = type && type != OP_TYPE_DIR ? type : n || has_inline ? OP_TYPE_FILE : type;
	bool repair = check_found_inode(c, CHECK_INODE_GONE, ino);
	struct check_inode *ci = check_inode_add(c, ino, type);
	if (!ci)
		return;
	ci->flags = CI_REBUILT | (repair ? CI_CHANGED : 0) | (has_inline ? CI_INLINE : 0);
	ci->inline_size = inline_size & 0x1fff;
	ci->size = has_inline ? MAX(inline_size, n * CAIRN_BLOCK_SIZE) : n * CAIRN_BLOCK_SIZE;
	ci->nlink = 1;
	/* How many blocks it had is not known: as many as are found. */
	ci->flags |= CI_LOSS;
}

static int by_ino(const void *a, const void *b)
{
	const struct check_inode *x = a, *y = b;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void make_missing(struct check *c)
{
	uint64_t before = 0;
	uint32_t n = c->n_inodes;
	for (uint64_t i = 0; !c->err && i < c->wanted.n; i++) {
		uint64_t ino = c->wanted.list[i] >> TYPE_BITS;
		/* Of several types that are told, the last: the list is sorted, 0 is none. */
		if (i + 1 < c->wanted.n && c->wanted.list[i + 1] >> TYPE_BITS == ino)
			continue;
		if (ino != before)
			make_anew(c, ino, (uint32_t)(c->wanted.list[i] & ((1u << TYPE_BITS) - 1)));
		before = ino;
	}
	if (c->n_inodes > n)
		qsort(c->inodes, c->n_inodes, sizeof(*c->inodes), by_ino);
}

int check_inodes(struct check *c)
{
	int err = check_table(c, META_INODES, take_inode);
	if (!err)
		err = check_table(c, META_ENTRIES, want_of_entry);
	if (!err)
		err = check_table(c, META_STREAMS, want_of_stream);
	for (uint64_t i = 0; !err && i < c->lost.n; i++)
		want(c, c->lost.list[i], 0);
	if (!err && (c->n_inodes || c->wanted.n))
		want(c, CAIRN_ROOT_INODE, OP_TYPE_DIR);
	check_numbers_sort(&c->wanted);
	if (!err)
		make_missing(c);
	return err ? err : c->err;
}

/* ---- inline data */

static bool look_at_inline(struct check *c, const struct meta_record *r)
{
	uint64_t ino = r->key->number;
	struct check_inode *ci = check_inode_find(c, ino);
	if (!ci || !(ci->flags & CI_INLINE)) {
		if (check_found_record(c, CHECK_INLINE_STRAY, META_INLINE, r->key, ino))
			meta_delete(&c->txn, META_INLINE, r->key);
		return true;
	}
	ci->flags |= CI_HAS_INLINE;
	uint64_t size = ci->type == OP_TYPE_SYMLINK ? ci->size : ci->inline_size;
	if (size != r->size && check_found_record(c, CHECK_INLINE_SIZE, META_INLINE, r->key, ino)) {
		ci->inline_size = r->size & 0x1fff;
		ci->flags |= CI_CHANGED;
		if (ci->type == OP_TYPE_SYMLINK)
			ci->size = r->size;
	}
	return true;
}

/* A link without its target becomes a file that cannot be read: its name and attributes stay. */
static void lose_inline(struct check *c, struct check_inode *ci)
{
	bool repair = check_found_inode(c, CHECK_INLINE_GONE, ci->ino);
	ci->flags |= CI_LOSS;
	if (!repair)
		return;
	ci->flags |= CI_CHANGED;
	ci->flags &= ~(uint32_t)CI_INLINE;
	ci->type = OP_TYPE_FILE;
	ci->inline_size = 0;
	if (ci->size)
		check_put_lost(c, ci->ino, 0, 1);
}

int check_inline(struct check *c)
{
	int err = check_table(c, META_INLINE, look_at_inline);
	for (uint32_t i = 0; !err && i < c->n_inodes; i++) {
		struct check_inode *ci = &c->inodes[i];
		if ((ci->flags & CI_INLINE) && !(ci->flags & CI_HAS_INLINE))
			lose_inline(c, ci);
		if (c->txn.n_changes >= 1024)
			err = check_commit(c);
	}
	return err;
}

/* ---- extended attributes */

static bool look_at_xattr(struct check *c, const struct meta_record *r)
{
	uint64_t ino = meta_key_first(r->key);
	if (!check_inode_find(c, ino) && check_found_record(c, CHECK_XATTR_STRAY, META_XATTRS, r->key, ino))
		meta_delete(&c->txn, META_XATTRS, r->key);
	return true;
}

int check_xattrs(struct check *c)
{
	return check_table(c, META_XATTRS, look_at_xattr);
}

/* ---- ACLs */

static bool look_at_acl(struct check *c, const struct meta_record *r)
{
	struct check_inode *ci = check_inode_find(c, r->key->number);
	/* One that is made anew had it before. */
	if (ci && (ci->flags & (CI_ACL | CI_REBUILT)))
		ci->flags |= CI_ACL | CI_HAS_ACL;
	else if (check_found_record(c, CHECK_ACL_STRAY, META_ACLS, r->key, r->key->number))
		meta_delete(&c->txn, META_ACLS, r->key);
	return true;
}

int check_acls(struct check *c)
{
	int err = check_table(c, META_ACLS, look_at_acl);
	for (uint32_t i = 0; !err && i < c->n_inodes; i++) {
		struct check_inode *ci = &c->inodes[i];
		if (!(ci->flags & CI_ACL) || (ci->flags & CI_HAS_ACL) || !check_found_inode(c, CHECK_ACL_GONE, ci->ino))
			continue;
		ci->flags |= CI_CHANGED | CI_PRIVATE;
		ci->flags &= ~(uint32_t)CI_ACL;
	}
	return err;
}
