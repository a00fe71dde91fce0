/*
 * Streams: inodes of their own, found by their base's number and their name in a table. A stream's node refers to
 * its base's and is not kept when unused, so a base goes after its streams' nodes. A base that has lost its last name is an
 * orphan for all of them: who reclaims it reclaims its streams first.
 *
 * What a stream shares is its base's inode. A change of data shows there at once and is stored with the base.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn.h"
#include "base/cleanup.h"
#include "base/cursor.h"

#define STREAMS_MAX 1024u /* of one object */
#define PAGE_ENTRIES 32u
#define RECORD_SIZE 16u

static struct meta_key key_of(struct vfs_node *base, const struct vfs_name *name)
{
	return meta_key_name(cairn_ino(cairn_node(base)), name->bytes, name->size);
}

static void put_record(struct meta_txn *txn, struct vfs_node *base, const struct vfs_name *name, uint64_t ino)
{
	struct meta_key key = key_of(base, name);
	uint8_t body[RECORD_SIZE];
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, ino);
	cursor_put_le64(&c, 0);
	meta_put(txn, META_STREAMS, &key, body, sizeof(body));
}

static void delete_record(struct meta_txn *txn, struct vfs_node *base, const struct vfs_name *name)
{
	struct meta_key key = key_of(base, name);
	meta_delete(txn, META_STREAMS, &key);
}

static int find_ino(struct vfs_node *base, const struct vfs_name *name, uint64_t *ino)
{
	struct meta_key key = key_of(base, name);
	uint8_t body[RECORD_SIZE];
	uint32_t size = sizeof(body);
	struct cursor c;
	int err = meta_get(cairn_of(cairn_node(base))->meta, META_STREAMS, &key, body, &size);
	if (err)
		return err;
	cursor_init(&c, body, size);
	*ino = cursor_le64(&c);
	return cursor_failed(&c) ? ERR_IO : 0;
}

/* The streams of what has no name have gone with that, though what is stored of them goes later. */
static bool gone_with(struct vfs_node *base)
{
	return cairn_node(base)->inode.attr.nlink == 0;
}

int cairn_find_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream)
{
	uint64_t ino;
	int err = gone_with(base) ? ERR_NOENT : find_ino(base, name, &ino);
	return err ? err : cairn_node_of_ino(cairn_of(cairn_node(base)), ino, stream);
}

/* ---- what a change of a stream does to its base */

void cairn_touch_base(struct cairn_node *n, bool stable)
{
	struct vfs_node *node = n->cached.node.base;
	if (!node)
		return;
	struct cairn_node *base = cairn_node(node);
	cairn_touch(&base->inode, true);
	base->changed = true;
	/* Where they can't be stored its times wait: the data is. */
	if (!stable || cairn_flush(base, NULL))
		cairn_queue(base);
}

int cairn_flush_base(struct cairn_node *n)
{
	struct vfs_node *base = n->cached.node.base;
	return base ? cairn_flush_dirty(cairn_node(base)) : 0;
}

/* ---- listing: copied out of one read transaction, for emitting may park */

struct page {
	uint64_t base;
	struct vfs_name after;
	uint32_t n;
	struct {
		uint64_t ino;
		uint32_t size;
		char name[OP_NAME_MAX];
	} entries[PAGE_ENTRIES];
};

static bool take_stream(void *arg, const struct meta_record *r)
{
	struct page *p = arg;
	struct cursor c;
	if (meta_key_first(r->key) != p->base || p->n == PAGE_ENTRIES)
		return false;
	uint32_t size = r->key->size > 8 ? MIN(r->key->size - 8, (uint32_t)OP_NAME_MAX) : 0;
	if (size == p->after.size && memcmp(r->key->bytes + 8, p->after.bytes, size) == 0)
		return true;
	cursor_init(&c, (void *)r->body, r->size);
	p->entries[p->n].ino = cursor_le64(&c);
	p->entries[p->n].size = size;
	memcpy(p->entries[p->n].name, r->key->bytes + 8, size);
	p->n++;
	return true;
}

static int read_page(struct vfs_node *base, struct page *p)
{
	struct meta_key key = key_of(base, &p->after);
	p->base = cairn_ino(cairn_node(base));
	p->n = 0;
	return meta_scan(cairn_of(cairn_node(base))->meta, META_STREAMS, &key, META_FROM, take_stream, p);
}

/* Sizes, from memory where the stream is in use. */
static int emit_one(struct vfs_node *base, const struct vfs_stream *named, vfs_emit_stream_fn *emit, void *arg, bool *more)
{
	struct vfs_stream s = *named;
	struct vfs_node *node;
	struct op_attr attr;
	int err = cairn_node_of_ino(cairn_of(cairn_node(base)), s.fileid, &node);
	if (err)
		return err == ERR_STALE ? ERR_IO : err;
	cairn_getattr(node, &attr);
	vfs_node_put(node);
	s.size = attr.size;
	s.space = attr.space;
	*more = emit(arg, &s);
	return 0;
}

int cairn_list_streams(struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof)
{
	CLEANUP_FREE struct page *p = malloc(sizeof(*p));
	char last[OP_NAME_MAX];
	*eof = true;
	if (!p)
		return ERR_NOMEM;
	p->after = *after;
	p->n = 0;
	int err = gone_with(base) ? 0 : read_page(base, p);
	while (!err && p->n) {
		for (uint32_t i = 0; i < p->n; i++) {
			struct vfs_stream s = {{p->entries[i].name, p->entries[i].size}, p->entries[i].ino, 0, 0};
			err = emit_one(base, &s, emit, arg, eof);
			if (err || !*eof)
				return err;
		}
		p->after.size = p->entries[p->n - 1].size;
		memcpy(last, p->entries[p->n - 1].name, p->after.size);
		p->after.bytes = last;
		err = read_page(base, p);
	}
	return err;
}

/* ---- changing */

static bool count_one(void *arg, const struct meta_record *r)
{
	struct page *p = arg;
	if (meta_key_first(r->key) != p->base)
		return false;
	return ++p->n < STREAMS_MAX;
}

static int check_room(struct vfs_node *base, const struct vfs_name *name)
{
	struct page p = {.base = cairn_ino(cairn_node(base))};
	struct meta_key key = meta_key_name(cairn_ino(cairn_node(base)), "", 0);
	uint64_t ino;
	int err = find_ino(base, name, &ino);
	if (err != ERR_NOENT)
		return err ? err : ERR_EXIST;
	err = meta_scan(cairn_of(cairn_node(base))->meta, META_STREAMS, &key, META_FROM, count_one, &p);
	return err || p.n < STREAMS_MAX ? err : ERR_NOSPC;
}

static int create(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream)
{
	struct cairn *fs = cairn_of(cairn_node(base));
	const struct op_attr *of_base = &cairn_node(base)->inode.attr;
	/* Whom it counts for; all else it shows is its base's. */
	struct op_attr attr = {.mask = ATTR_PROJECT, .uid = of_base->uid, .gid = of_base->gid, .project = of_base->project};
	struct vfs_create what = {.type = OP_TYPE_FILE, .attr = &attr};
	struct quota_owner owner;
	struct cairn_inode inode;
	struct meta_txn txn;
	uint64_t ino;
	int err = check_room(base, name);
	if (!err)
		err = cairn_new_ino(fs, &ino);
	if (err)
		return err;
	cairn_inode_init(fs, ino, &what, &inode);
	inode.flags |= CAIRN_STREAM;
	inode.parent = cairn_ino(cairn_node(base));
	err = cairn_quota_new(fs, &inode, cairn_node(base), &owner);
	if (err)
		return err;
	meta_begin(&txn);
	cairn_put_inode(&txn, ino, &inode);
	meta_add(&txn, META_N_INODES, 1);
	cairn_quota_put_inode(&txn, &inode, 1);
	put_record(&txn, base, name, ino);
	err = cairn_commit_with(cairn_node(base), &txn);
	if (err) {
		quota_adjust(&fs->quotas, &owner, 0, -1);
		return err;
	}
	fs->n_inodes++;
	return cairn_node_adopt_stream(fs, ino, &inode, base, stream);
}

int cairn_create_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream)
{
	int err = create(base, name, stream);
	return err == ERR_NOSPC && cairn_make_room(cairn_of(cairn_node(base)), CAIRN_ROOM_NS) ? create(base, name, stream) : err;
}

/* The stream is going to have no name: what is stored of it is an orphan until nobody uses it. */
static struct cairn_inode put_removed(struct meta_txn *txn, struct cairn_node *n)
{
	struct cairn_inode inode = cairn_inode_stored(n);
	inode.attr.nlink = 0;
	cairn_put_inode(txn, cairn_ino(n), &inode);
	cairn_put_orphan(txn, cairn_ino(n));
	return inode;
}

static void show_removed(struct cairn_node *n, const struct cairn_inode *inode)
{
	struct cairn *fs = cairn_of(n);
	n->inode = *inode;
	fs->n_orphans++;
	node_cache_set_dead(&fs->nodes, &n->cached, true);
	cairn_hasten(n);
}

int cairn_remove_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream)
{
	struct cairn_node *n = cairn_node(stream);
	struct meta_txn txn;
	meta_begin(&txn);
	txn.frees = true;
	delete_record(&txn, base, name);
	struct cairn_inode inode = put_removed(&txn, n);
	int err = cairn_commit_with(cairn_node(base), &txn);
	if (!err)
		show_removed(n, &inode);
	return err;
}

int cairn_rename_stream(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target)
{
	struct cairn_inode inode;
	struct meta_txn txn;
	meta_begin(&txn);
	if (target)
		inode = put_removed(&txn, cairn_node(target));
	delete_record(&txn, stream->base, from);
	put_record(&txn, stream->base, to, cairn_ino(cairn_node(stream)));
	int err = cairn_commit_with(cairn_node(stream->base), &txn);
	if (!err && target)
		show_removed(cairn_node(target), &inode);
	return err;
}

/* ---- reclaiming */

struct first {
	uint64_t base;
	struct meta_key key;
	uint64_t ino; /* 0: none */
};

static bool take_first(void *arg, const struct meta_record *r)
{
	struct first *f = arg;
	struct cursor c;
	if (meta_key_first(r->key) != f->base)
		return false;
	bool seen = r->key->size == f->key.size && memcmp(r->key->bytes, f->key.bytes, f->key.size) == 0;
	if (seen)
		return true;
	cursor_init(&c, (void *)r->body, r->size);
	f->ino = cursor_le64(&c);
	f->key = *r->key;
	return false;
}

int cairn_next_stream(struct cairn *fs, uint64_t base, struct meta_key *key, uint64_t *ino)
{
	struct first f = {.base = base, .key = *key};
	int err = meta_scan(fs->meta, META_STREAMS, key, META_FROM, take_first, &f);
	*key = f.key;
	*ino = f.ino;
	return err;
}
