/* Changes of records with right checksums: what only a fault of the server, or of the host's memory, could do. */
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "tests/system/cairn-damage.h"

#define NOBODY 999999u /* an inode that is not there */

/* ---- finding records by name */

static uint64_t find(struct meta *m, uint64_t dir, const char *name, struct cairn_entry *e)
{
	struct meta_key key = meta_key_name(dir, name, (uint32_t)strlen(name));
	uint8_t body[CAIRN_ENTRY_SIZE];
	uint32_t size = sizeof(body);
	if (meta_get(m, META_ENTRIES, &key, body, &size) || cairn_entry_decode(body, size, e))
		return 0;
	return e->ino;
}

static uint64_t ino_of(struct meta *m, const char *dir, const char *name)
{
	struct cairn_entry e;
	uint64_t top = find(m, CAIRN_ROOT_INODE, "top", &e);
	uint64_t ino = strcmp(dir, "top") == 0 ? top : find(m, CAIRN_ROOT_INODE, dir, &e);
	return name ? find(m, ino, name, &e) : ino;
}

static struct cairn_inode inode_of(struct meta *m, uint64_t ino)
{
	struct meta_key key = meta_key_number(ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	struct cairn_inode inode = {.flags = 0};
	if (meta_get(m, META_INODES, &key, body, &size) == 0)
		cairn_inode_decode(body, size, &inode);
	return inode;
}

struct grab {
	uint64_t ino;
	struct cairn_extent e;
	bool found;
};

static bool grab_extent(void *arg, const struct meta_record *r)
{
	struct grab *g = arg;
	g->found = meta_key_first(r->key) == g->ino && cairn_extent_decode(r, &g->e) == 0;
	return false;
}

static struct cairn_extent extent_of(struct meta *m, uint64_t ino)
{
	struct grab g = {.ino = ino};
	struct meta_key key = meta_key_pair(ino, 0);
	meta_scan(m, META_EXTENTS, &key, META_FROM, grab_extent, &g);
	return g.e;
}

static void drop(struct meta_txn *t, enum meta_table table, uint64_t number)
{
	struct meta_key key = meta_key_number(number);
	meta_delete(t, table, &key);
}

static void put_space(struct meta_txn *t, uint64_t first, uint64_t n, uint32_t references)
{
	struct meta_key key = meta_key_number(first);
	uint8_t body[24] = {0};
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, n);
	cursor_put_le32(&c, references);
	meta_put(t, META_SPACE, &key, body, sizeof(body));
}

/* ---- inodes */

static void drop_file(struct meta *m, struct meta_txn *t) { drop(t, META_INODES, ino_of(m, "top", "five")); }
static void drop_empty(struct meta *m, struct meta_txn *t) { drop(t, META_INODES, ino_of(m, "many", "many-3")); }
static void drop_dir(struct meta *m, struct meta_txn *t) { drop(t, META_INODES, ino_of(m, "top", NULL)); }
static void drop_root(struct meta *m, struct meta_txn *t) { drop(t, META_INODES, CAIRN_ROOT_INODE); }
static void drop_inline(struct meta *m, struct meta_txn *t) { drop(t, META_INLINE, ino_of(m, "top", "inline")); }
static void drop_target(struct meta *m, struct meta_txn *t) { drop(t, META_INLINE, ino_of(m, "top", "link")); }

static void change_inode(struct meta *m, struct meta_txn *t, const char *dir, const char *name, void (*fn)(struct cairn_inode *i))
{
	uint64_t ino = ino_of(m, dir, name);
	struct cairn_inode inode = inode_of(m, ino);
	fn(&inode);
	cairn_put_inode(t, ino, &inode);
}

static void more_links(struct cairn_inode *i) { i->attr.nlink += 3; }
static void no_links(struct cairn_inode *i) { i->attr.nlink = 0; }
static void other_parent(struct cairn_inode *i) { i->parent = 77; }
static void more_entries(struct cairn_inode *i) { i->n_entries += 5; }
static void old_cookie(struct cairn_inode *i) { i->next_cookie = 4; }
static void more_blocks(struct cairn_inode *i) { i->n_blocks += 9; }
static void fewer_blocks(struct cairn_inode *i) { i->n_blocks--; }
static void bad_mode(struct cairn_inode *i) { i->attr.mode = 0xfffff; }
static void smaller_inline(struct cairn_inode *i) { i->inline_size = 5; }

static void links(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "five", more_links); }
static void links_of_dir(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", NULL, more_links); }
static void without_links(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "large", no_links); }
static void parent(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "deep", other_parent); }
static void entries(struct meta *m, struct meta_txn *t) { change_inode(m, t, "many", NULL, more_entries); }
static void cookie(struct meta *m, struct meta_txn *t) { change_inode(m, t, "many", NULL, old_cookie); }
static void blocks_more(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "five", more_blocks); }
static void blocks_fewer(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "five", fewer_blocks); }
static void mode(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "five", bad_mode); }
static void inline_size(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "inline", smaller_inline); }

/* ---- names */

static struct meta_key entry_key(struct meta *m, const char *dir, const char *name)
{
	return meta_key_name(ino_of(m, dir, NULL), name, (uint32_t)strlen(name));
}

static void drop_entry(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = entry_key(m, "many", "many-5");
	meta_delete(t, META_ENTRIES, &key);
}

static void drop_order(struct meta *m, struct meta_txn *t)
{
	struct cairn_entry e;
	uint64_t dir = ino_of(m, "many", NULL);
	find(m, dir, "many-6", &e);
	struct meta_key key = meta_key_pair(dir, e.cookie);
	meta_delete(t, META_ORDER, &key);
}

static void drop_both(struct meta *m, struct meta_txn *t)
{
	struct vfs_name name = {"five", 4};
	struct cairn_entry e;
	uint64_t top = ino_of(m, "top", NULL);
	find(m, top, "five", &e);
	cairn_delete_entry(t, top, &name, e.cookie);
}

static void drop_dir_names(struct meta *m, struct meta_txn *t)
{
	struct vfs_name name = {"deep", 4};
	struct cairn_entry e;
	uint64_t top = ino_of(m, "top", NULL);
	find(m, top, "deep", &e);
	cairn_delete_entry(t, top, &name, e.cookie);
}

static void put_entry(struct meta *m, struct meta_txn *t, uint64_t dir, const char *text, struct cairn_entry e)
{
	struct vfs_name name = {text, (uint32_t)strlen(text)};
	cairn_put_entry(t, dir, &name, &e);
}

static void dangling(struct meta *m, struct meta_txn *t)
{
	put_entry(m, t, ino_of(m, "top", NULL), "ghost", (struct cairn_entry){NOBODY, 900, OP_TYPE_FILE});
}

static void nowhere(struct meta *m, struct meta_txn *t)
{
	put_entry(m, t, ino_of(m, "top", "byte"), "stray", (struct cairn_entry){ino_of(m, "top", "five"), 3, OP_TYPE_FILE});
}

static void second_name(struct meta *m, struct meta_txn *t)
{
	put_entry(m, t, ino_of(m, "many", NULL), "again", (struct cairn_entry){ino_of(m, "top", NULL), 900, OP_TYPE_DIR});
}

static void other_type(struct meta *m, struct meta_txn *t)
{
	struct cairn_entry e;
	uint64_t top = ino_of(m, "top", NULL);
	find(m, top, "five", &e);
	e.type = OP_TYPE_FIFO;
	put_entry(m, t, top, "five", e);
}

static void same_cookie(struct meta *m, struct meta_txn *t)
{
	struct cairn_entry a, b;
	uint64_t many = ino_of(m, "many", NULL);
	find(m, many, "many-1", &a);
	find(m, many, "many-2", &b);
	b.cookie = a.cookie;
	put_entry(m, t, many, "many-2", b);
}

static void loop(struct meta *m, struct meta_txn *t)
{
	struct vfs_name name = {"top", 3};
	struct cairn_entry e;
	uint64_t top = find(m, CAIRN_ROOT_INODE, "top", &e), deep = ino_of(m, "top", "deep");
	cairn_delete_entry(t, CAIRN_ROOT_INODE, &name, e.cookie);
	put_entry(m, t, deep, "top", (struct cairn_entry){top, 900, OP_TYPE_DIR});
}

/* ---- blocks */

static void drop_extent(struct meta *m, struct meta_txn *t) { cairn_delete_extent(t, ino_of(m, "top", "large"), 0); }

static void stray_extent(struct meta *m, struct meta_txn *t)
{
	struct cairn_extent e = {.first = 0, .n = 2, .place = 100000, .kind = CAIRN_UNWRITTEN};
	cairn_put_extent(t, NOBODY, &e);
}

static void overlap(struct meta *m, struct meta_txn *t)
{
	struct cairn_extent e = extent_of(m, ino_of(m, "top", "ahead"));
	e.first += 5;
	e.place += 5;
	e.n -= 5;
	cairn_put_extent(t, ino_of(m, "top", "ahead"), &e);
}

static void drop_space(struct meta *m, struct meta_txn *t)
{
	struct cairn_extent e = extent_of(m, ino_of(m, "top", "ahead"));
	struct meta_key key = meta_key_number(e.place);
	meta_delete(t, META_SPACE, &key);
}

static void leak(struct meta *m, struct meta_txn *t) { put_space(t, 200000, 64, 1); }
static void leak_far(struct meta *m, struct meta_txn *t) { put_space(t, 1234567, 5, 1); }

static void references(struct meta *m, struct meta_txn *t)
{
	struct cairn_extent e = extent_of(m, ino_of(m, "top", "ahead"));
	put_space(t, e.place, e.n, 7);
}

static void space_overlap(struct meta *m, struct meta_txn *t)
{
	struct cairn_extent e = extent_of(m, ino_of(m, "top", "ahead"));
	put_space(t, e.place + 3, e.n + 10, 1);
}

/* ---- the rest */

static void stray_inline(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = meta_key_number(ino_of(m, "top", "five"));
	meta_put(t, META_INLINE, &key, "stray", 5);
}

static void stray_xattr(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = meta_key_name(NOBODY, "user.x", 6);
	meta_put(t, META_XATTRS, &key, "v", 1);
}

static void stray_orphan(struct meta *m, struct meta_txn *t) { cairn_put_orphan(t, ino_of(m, "top", "five")); }

static void lost_orphan(struct meta *m, struct meta_txn *t)
{
	struct cairn_inode inode = {.epoch = 1};
	inode.attr = (struct op_attr){.type = OP_TYPE_FILE, .mode = 0600};
	cairn_put_inode(t, NOBODY, &inode);
	meta_set(t, META_NEXT_INODE, NOBODY + 1);
	meta_add(t, META_N_INODES, 1);
}

static struct meta_key stream_key(struct meta *m)
{
	return meta_key_name(ino_of(m, "top", "Upper Case"), "a stream", 8);
}

static void drop_stream(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = stream_key(m);
	meta_delete(t, META_STREAMS, &key);
}

static void stray_stream(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = meta_key_name(NOBODY, "s", 1);
	uint8_t body[16] = {(uint8_t)ino_of(m, "top", "five")};
	meta_put(t, META_STREAMS, &key, body, sizeof(body));
}

static void drop_streamed(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = stream_key(m);
	uint8_t body[16];
	uint32_t size = sizeof(body);
	struct cursor c;
	meta_get(m, META_STREAMS, &key, body, &size);
	cursor_init(&c, body, sizeof(body));
	drop(t, META_INODES, cursor_le64(&c));
}

static bool drop_record(void *arg, const struct meta_record *r)
{
	meta_delete(arg, META_FOLDED, r->key);
	return true;
}

static void drop_folded(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = meta_key_name(0, "", 0);
	meta_scan(m, META_FOLDED, &key, META_FROM, drop_record, t);
}

static void stray_folded(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = meta_key_name(ino_of(m, "top", NULL), "12345678five", 12);
	meta_put(t, META_FOLDED, &key, "", 0);
}

static void has_acl(struct cairn_inode *i) { i->flags |= CAIRN_HAS_ACL; }
static void drop_acl(struct meta *m, struct meta_txn *t) { change_inode(m, t, "top", "Upper Case", has_acl); }

static void stray_acl(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = meta_key_number(ino_of(m, "top", "five"));
	uint8_t body[8] = {1};
	meta_put(t, META_ACLS, &key, body, sizeof(body));
}

/* It tells an entry that is not there. */
static void bad_acl(struct meta *m, struct meta_txn *t)
{
	struct meta_key key = meta_key_number(ino_of(m, "top", "Upper Case"));
	uint8_t body[8] = {1, 0, 0, 0, 1};
	change_inode(m, t, "top", "Upper Case", has_acl);
	meta_put(t, META_ACLS, &key, body, sizeof(body));
}

static void usage(struct meta *m, struct meta_txn *t) { meta_add(t, 1ULL << 40, 4096); }
static void usage_of_nobody(struct meta *m, struct meta_txn *t) { meta_set(t, 1ULL << 40 | NOBODY, 8192); }
static void count_inodes(struct meta *m, struct meta_txn *t) { meta_add(t, META_N_INODES, 4); }
static void count_blocks(struct meta *m, struct meta_txn *t) { meta_add(t, META_N_BLOCKS, -4); }
static void count_orphans(struct meta *m, struct meta_txn *t) { meta_add(t, META_N_ORPHANS, 4); }
static void next_inode(struct meta *m, struct meta_txn *t) { meta_set(t, META_NEXT_INODE, 3); }
static void epoch(struct meta *m, struct meta_txn *t) { meta_set(t, META_EPOCH, 0); }

static void no_counters(struct meta *m, struct meta_txn *t)
{
	for (uint64_t i = META_NEXT_INODE; i <= META_SEGMENT; i++)
		drop(t, META_COUNTERS, i);
}

const struct alteration alterations[] = {
	{"a file's inode is gone", "inode-gone", 1, drop_file},
	{"an empty file's inode is gone", "entry-dangling", 1, drop_empty},
	{"a directory's inode is gone", "inode-gone", 0, drop_dir},
	{"the root's inode is gone", "inode-gone", 0, drop_root},
	{"inline data is gone", "inline-gone", 1, drop_inline},
	{"a link's target is gone", "inline-gone", 0, drop_target},
	{"a file has more links than names", "links", 0, links},
	{"a directory has too many links", "links", 0, links_of_dir},
	{"a named file has no links", "links", 0, without_links},
	{"a directory tells another parent", "parent", 0, parent},
	{"a directory tells more entries", "entries", 0, entries},
	{"a directory gives out cookies again", "cookie", 0, cookie},
	{"a file tells more blocks", "extents-gone", 1, blocks_more},
	{"a file tells fewer blocks", "blocks", 0, blocks_fewer},
	{"an inode has a mode that none may have", "record-shape", 1, mode},
	{"the size of inline data is wrong", "inline-size", 0, inline_size},
	{"an entry is gone", "entry-missing", 0, drop_entry},
	{"an entry is not listed", "order-missing", 0, drop_order},
	{"a file has no name", "unreachable", 1, drop_both},
	{"a directory has no name", "unreachable", 4, drop_dir_names},
	{"an entry refers to nothing", "entry-dangling", 0, dangling},
	{"an entry is in a file", "entry-stray", 0, nowhere},
	{"a directory has two names", "entry-second", 0, second_name},
	{"an entry tells another type", "entry-type", 0, other_type},
	{"two entries have one cookie", "order-missing", 0, same_cookie},
	{"directories contain one another", "loop", 11, loop},
	{"an extent is gone", "extents-gone", 1, drop_extent},
	{"an extent belongs to nothing", "extent-stray", 0, stray_extent},
	{"extents overlap", "extent-overlap", 0, overlap},
	{"used blocks are recorded as free", "space-missing", 0, drop_space},
	{"free blocks are recorded as used", "space-leak", 0, leak},
	{"blocks far away are recorded as used", "space-leak", 0, leak_far},
	{"references are wrong", "space-references", 0, references},
	{"records of space overlap", "space-overlap", 0, space_overlap},
	{"inline data belongs to nothing", "inline-stray", 0, stray_inline},
	{"an attribute belongs to nothing", "xattr-stray", 0, stray_xattr},
	{"a named file is listed as without links", "orphan-stray", 0, stray_orphan},
	{"what has no links is not listed", "orphan-missing", 0, lost_orphan},
	{"a stream has no name", "unreachable", 0, drop_stream},
	{"a stream belongs to nothing", "stream-stray", 0, stray_stream},
	{"a stream's inode is gone", "inode-gone", 0, drop_streamed},
	{"folded names are gone", "folded-missing", 0, drop_folded},
	{"a folded name is that of nothing", "folded-stray", 0, stray_folded},
	{"an ACL is gone", "acl-gone", 0, drop_acl},
	{"an ACL belongs to nothing", "acl-stray", 0, stray_acl},
	{"an ACL is malformed", "record-shape", 0, bad_acl},
	{"what an owner has is wrong", "usage", 0, usage},
	{"somebody has what is not there", "usage", 0, usage_of_nobody},
	{"the count of inodes is wrong", "counter", 0, count_inodes},
	{"the count of blocks is wrong", "counter", 0, count_blocks},
	{"the count of orphans is wrong", "counter", 0, count_orphans},
	{"numbers of inodes would be used again", "counter", 0, next_inode},
	{"the epoch is wrong", "counter", 0, epoch},
	{"all counters are gone", "counter", 0, no_counters},
};
const uint32_t n_alterations = ARRAY_SIZE(alterations);

int store_alter(const char *dir, const struct alteration *a)
{
	char path[256];
	struct meta_config cfg = {.dir = path, .size_max = 1ULL << 40};
	struct meta_txn txn;
	struct meta *meta;
	snprintf(path, sizeof(path), "%s/meta", dir);
	int err = meta_open(&meta, &cfg);
	if (err)
		return err;
	meta_begin(&txn);
	a->apply(meta, &txn);
	err = meta_commit(meta, &txn);
	meta_close(meta);
	return err;
}
