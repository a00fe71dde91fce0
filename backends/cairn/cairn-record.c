/* Records as bytes: the layouts of cairn(5), little-endian, without the header and checksum that the metadata store adds. */
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "backends/cairn/cairn-snapshot.h"
#include "base/cursor.h"

#define CODEC_NONE 0
#define KEY_NONE 0
#define EPOCH_END 148u
#define PROJECT_AT 164u
#define DEAD_SIZE 24u
#define SNAPSHOT_HEAD 24u

static void put_time(struct cursor *c, struct op_time t)
{
	cursor_put_le64(c, (uint64_t)t.sec);
	cursor_put_le32(c, t.nsec);
}

static struct op_time get_time(struct cursor *c)
{
	struct op_time t = {.sec = (int64_t)cursor_le64(c)};
	t.nsec = cursor_le32(c);
	return t;
}

/* ---- inodes */

void cairn_inode_encode(const struct cairn_inode *inode, uint8_t body[CAIRN_INODE_SIZE])
{
	const struct op_attr *a = &inode->attr;
	struct cursor c;
	memset(body, 0, CAIRN_INODE_SIZE);
	cursor_init(&c, body, CAIRN_INODE_SIZE);
	cursor_put_le32(&c, a->mode);
	cursor_put_le32(&c, a->type);
	cursor_put_le32(&c, a->uid);
	cursor_put_le32(&c, a->gid);
	cursor_put_le32(&c, a->nlink);
	cursor_put_le32(&c, inode->flags);
	cursor_put_le32(&c, a->dos);
	cursor_put_le32(&c, a->rdev_major);
	cursor_put_le32(&c, a->rdev_minor);
	cursor_put_le32(&c, inode->inline_size);
	cursor_put_le64(&c, a->size);
	cursor_put_le64(&c, inode->n_blocks);
	cursor_put_le64(&c, a->change);
	put_time(&c, a->atime);
	put_time(&c, a->mtime);
	put_time(&c, a->ctime);
	put_time(&c, a->btime);
	cursor_put_le64(&c, inode->verifier);
	cursor_put_le64(&c, inode->parent);
	cursor_put_le64(&c, inode->next_cookie);
	cursor_put_le64(&c, inode->n_entries);
	cursor_put_le32(&c, inode->epoch);
	cursor_init(&c, body + PROJECT_AT, sizeof(uint32_t));
	cursor_put_le32(&c, a->project);
}

static bool plausible(const struct cairn_inode *inode)
{
	const struct op_attr *a = &inode->attr;
	return a->type > OP_TYPE_NONE && a->type <= OP_TYPE_SOCKET && a->size <= INT64_MAX &&
	       inode->inline_size <= CAIRN_INLINE_MAX;
}

int cairn_inode_decode(const void *body, uint32_t size, struct cairn_inode *inode)
{
	struct op_attr *a = &inode->attr;
	struct cursor c;
	memset(inode, 0, sizeof(*inode));
	cursor_init(&c, (void *)body, size);
	a->mode = cursor_le32(&c);
	a->type = cursor_le32(&c);
	a->uid = cursor_le32(&c);
	a->gid = cursor_le32(&c);
	a->nlink = cursor_le32(&c);
	inode->flags = cursor_le32(&c);
	a->dos = cursor_le32(&c);
	a->rdev_major = cursor_le32(&c);
	a->rdev_minor = cursor_le32(&c);
	inode->inline_size = cursor_le32(&c);
	a->size = cursor_le64(&c);
	inode->n_blocks = cursor_le64(&c);
	a->change = cursor_le64(&c);
	a->atime = get_time(&c);
	a->mtime = get_time(&c);
	a->ctime = get_time(&c);
	a->btime = get_time(&c);
	inode->verifier = cursor_le64(&c);
	inode->parent = cursor_le64(&c);
	inode->next_cookie = cursor_le64(&c);
	inode->n_entries = cursor_le64(&c);
	inode->epoch = cursor_le32(&c);
	cursor_skip(&c, PROJECT_AT - EPOCH_END);
	a->project = cursor_le32(&c);
	return cursor_failed(&c) || !plausible(inode) ? ERR_IO : 0;
}

void cairn_put_inode(struct meta_txn *txn, uint64_t ino, const struct cairn_inode *inode)
{
	struct meta_key key = meta_key_number(ino);
	uint8_t body[CAIRN_INODE_SIZE];
	cairn_inode_encode(inode, body);
	meta_put(txn, META_INODES, &key, body, sizeof(body));
}

/* ---- names */

void cairn_entry_encode(const struct cairn_entry *e, uint8_t body[CAIRN_ENTRY_SIZE])
{
	struct cursor c;
	cursor_init(&c, body, CAIRN_ENTRY_SIZE);
	cursor_put_le64(&c, e->ino);
	cursor_put_le64(&c, e->cookie);
	cursor_put_le32(&c, e->type);
	cursor_put_le32(&c, 0);
}

int cairn_entry_decode(const void *body, uint32_t size, struct cairn_entry *e)
{
	struct cursor c;
	cursor_init(&c, (void *)body, size);
	e->ino = cursor_le64(&c);
	e->cookie = cursor_le64(&c);
	e->type = cursor_le32(&c);
	return cursor_failed(&c) ? ERR_IO : 0;
}

void cairn_put_entry(struct meta_txn *txn, uint64_t dir, const struct vfs_name *name, const struct cairn_entry *e)
{
	struct meta_key key = meta_key_name(dir, name->bytes, name->size);
	uint8_t body[CAIRN_ENTRY_SIZE], order[CAIRN_ORDER_HEAD_SIZE + OP_NAME_MAX];
	struct cursor c;
	cairn_entry_encode(e, body);
	meta_put(txn, META_ENTRIES, &key, body, sizeof(body));
	cursor_init(&c, order, sizeof(order));
	cursor_put_le64(&c, e->ino);
	cursor_put_le32(&c, e->type);
	cursor_put_le32(&c, name->size);
	cursor_put_bytes(&c, name->bytes, name->size);
	key = meta_key_pair(dir, e->cookie);
	meta_put(txn, META_ORDER, &key, order, (uint32_t)cursor_used(&c));
}

void cairn_delete_entry(struct meta_txn *txn, uint64_t dir, const struct vfs_name *name, uint64_t cookie)
{
	struct meta_key key = meta_key_name(dir, name->bytes, name->size);
	meta_delete(txn, META_ENTRIES, &key);
	key = meta_key_pair(dir, cookie);
	meta_delete(txn, META_ORDER, &key);
}

void cairn_put_orphan(struct meta_txn *txn, uint64_t ino)
{
	struct meta_key key = meta_key_number(ino);
	uint8_t body[8] = {0};
	meta_put(txn, META_ORPHANS, &key, body, sizeof(body));
	meta_add(txn, META_N_ORPHANS, 1);
}

void cairn_delete_orphan(struct meta_txn *txn, uint64_t ino)
{
	struct meta_key key = meta_key_number(ino);
	meta_delete(txn, META_ORPHANS, &key);
	meta_add(txn, META_N_ORPHANS, -1);
}

/* ---- extents */

uint32_t cairn_block_sum(const void *block)
{
	return (uint32_t)XXH3_64bits(block, CAIRN_BLOCK_SIZE);
}

bool cairn_has_blocks(enum cairn_extent_kind kind)
{
	return kind == CAIRN_WRITTEN || kind == CAIRN_UNWRITTEN;
}

uint32_t cairn_extent_encode(const struct cairn_extent *e, uint8_t body[CAIRN_EXTENT_SIZE_MAX])
{
	struct cursor c;
	cursor_init(&c, body, CAIRN_EXTENT_SIZE_MAX);
	cursor_put_u8(&c, (uint8_t)e->kind);
	cursor_put_u8(&c, CODEC_NONE);
	cursor_put_le16(&c, 0);
	cursor_put_le32(&c, KEY_NONE);
	cursor_put_le64(&c, e->n);
	cursor_put_le64(&c, e->place);
	cursor_put_le64(&c, cairn_has_blocks(e->kind) ? e->n : 0);
	cursor_put_le64(&c, e->born);
	cursor_put_le64(&c, 0);
	for (uint64_t i = 0; e->kind == CAIRN_WRITTEN && i < e->n; i++)
		cursor_put_le32(&c, e->sums[i]);
	return (uint32_t)cursor_used(&c);
}

int cairn_extent_decode(const struct meta_record *r, struct cairn_extent *e)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	uint8_t kind = cursor_u8(&c), codec = cursor_u8(&c);
	cursor_skip(&c, 2);
	uint32_t key = cursor_le32(&c);
	e->first = meta_key_second(r->key);
	e->n = cursor_le64(&c);
	e->place = cursor_le64(&c);
	cursor_skip(&c, 8);
	e->born = cursor_le64(&c);
	cursor_skip(&c, 8);
	if (e->born == 0)
		e->born = r->batch;
	e->kind = kind;
	if (kind < CAIRN_WRITTEN || kind > CAIRN_LOST || e->n == 0 || e->n > CAIRN_BLOCKS_MAX ||
	    (kind == CAIRN_WRITTEN && e->n > CAIRN_EXTENT_MAX))
		return ERR_IO;
	for (uint64_t i = 0; kind == CAIRN_WRITTEN && i < e->n; i++)
		e->sums[i] = cursor_le32(&c);
	if (cursor_failed(&c))
		return ERR_IO;
	return codec != CODEC_NONE || key != KEY_NONE ? ERR_NOTSUPP : 0;
}

void cairn_put_extent(struct meta_txn *txn, uint64_t ino, const struct cairn_extent *e)
{
	struct meta_key key = meta_key_pair(ino, e->first);
	uint8_t body[CAIRN_EXTENT_SIZE_MAX];
	meta_put(txn, META_EXTENTS, &key, body, cairn_extent_encode(e, body));
}

void cairn_delete_extent(struct meta_txn *txn, uint64_t ino, uint64_t first)
{
	struct meta_key key = meta_key_pair(ino, first);
	meta_delete(txn, META_EXTENTS, &key);
}

/* ---- dead references */

struct meta_key cairn_dead_key(uint64_t newest, const struct cairn_ref *ref)
{
	struct meta_key key = {.size = 24};
	struct cursor c;
	cursor_init(&c, key.bytes, sizeof(key.bytes));
	cursor_put_be64(&c, newest);
	cursor_put_be64(&c, ref->ino);
	cursor_put_be64(&c, ref->block);
	return key;
}

void cairn_put_dead(struct meta_txn *txn, uint64_t newest, const struct cairn_ref *ref)
{
	struct meta_key key = cairn_dead_key(newest, ref);
	uint8_t body[DEAD_SIZE];
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, ref->place.first);
	cursor_put_le64(&c, ref->place.n);
	cursor_put_le64(&c, ref->born);
	meta_put(txn, META_DEAD, &key, body, sizeof(body));
}

int cairn_dead_decode(const struct meta_record *r, uint64_t *newest, struct cairn_ref *ref)
{
	struct cursor c;
	*newest = meta_key_first(r->key);
	ref->ino = meta_key_second(r->key);
	cursor_init(&c, (void *)(r->key->bytes + 16), r->key->size - MIN(r->key->size, 16u));
	ref->block = cursor_be64(&c);
	bool bad = cursor_failed(&c);
	cursor_init(&c, (void *)r->body, r->size);
	ref->place.first = cursor_le64(&c);
	ref->place.n = cursor_le64(&c);
	ref->born = cursor_le64(&c);
	ref->delta = -1;
	return bad || cursor_failed(&c) || ref->place.n == 0 ? ERR_IO : 0;
}

/* ---- snapshots */

void cairn_snapshot_put(struct meta_txn *txn, const struct vfs_snapshot *s)
{
	struct meta_key key = meta_key_number(s->id);
	uint8_t body[SNAPSHOT_HEAD + OP_NAME_MAX];
	uint32_t size = (uint32_t)strlen(s->name);
	struct cursor c;
	cursor_init(&c, body, sizeof(body));
	cursor_put_le64(&c, (uint64_t)s->time.sec);
	cursor_put_le32(&c, s->time.nsec);
	cursor_put_le32(&c, s->state);
	cursor_put_le32(&c, size);
	cursor_put_le32(&c, 0);
	cursor_put_bytes(&c, s->name, size);
	meta_put(txn, META_SNAPSHOTS, &key, body, (uint32_t)cursor_used(&c));
}

int cairn_snapshot_decode(const struct meta_record *r, struct vfs_snapshot *s)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	s->id = r->key->number;
	s->time.sec = (int64_t)cursor_le64(&c);
	s->time.nsec = cursor_le32(&c);
	s->state = cursor_le32(&c);
	uint32_t size = cursor_le32(&c);
	cursor_skip(&c, 4);
	const uint8_t *name = cursor_bytes(&c, MIN(size, (uint32_t)OP_NAME_MAX));
	if (cursor_failed(&c) || size > OP_NAME_MAX || s->state > SNAPSHOT_DELETING)
		return ERR_IO;
	memcpy(s->name, name, size);
	return 0;
}
