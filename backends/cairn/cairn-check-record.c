/*
 * Records by themselves: whether one can be of its table, and what becomes of those that do not check. Most damage is one
 * flipped bit, and 64 bits of checksum tell which: it is flipped back. Others are dropped; the phases that
 * follow find what refers to them, but the range of a file that an extent had is marked as lost at once.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-check-impl.h"
#include "backends/cairn/cairn-meta-impl.h"
#include "base/cursor.h"

#define PLACE_MAX ((uint64_t)CAIRN_SEGMENT_BLOCKS << 18)
#define XATTR_MAX 65536u
#define QUOTA_SIZE 64u
#define DEAD_SIZE 24u
#define SPACE_SIZE 24u
#define MODE_MAX 07777u
#define FIRST_COOKIE 3u
#define NS_MAX 1000000000u

/* ---- by itself */

static bool is_name(const uint8_t *name, uint32_t size)
{
	if (size == 0 || size > OP_NAME_MAX || memchr(name, '/', size) || memchr(name, '\0', size))
		return false;
	return !(size <= 2 && name[0] == '.' && name[size - 1] == '.');
}

static bool is_named_key(const struct meta_key *key)
{
	return key->size > 8 && key->size <= 8 + OP_NAME_MAX && meta_key_first(key) != 0;
}

static bool is_place(uint64_t first, uint64_t n)
{
	return n && first < PLACE_MAX && n <= CAIRN_SEGMENT_BLOCKS - first % CAIRN_SEGMENT_BLOCKS;
}

static bool is_type(uint32_t type)
{
	return type > OP_TYPE_NONE && type <= OP_TYPE_SOCKET;
}

static bool is_inode(const struct meta_record *r)
{
	struct cairn_inode inode;
	if (r->key->number == 0 || r->size != CAIRN_INODE_SIZE || cairn_inode_decode(r->body, r->size, &inode))
		return false;
	const struct op_attr *a = &inode.attr;
	if (a->mode > MODE_MAX || a->atime.nsec >= NS_MAX || a->mtime.nsec >= NS_MAX || a->ctime.nsec >= NS_MAX || a->btime.nsec >= NS_MAX)
		return false;
	return !(inode.flags & CAIRN_INLINE) || a->type == OP_TYPE_FILE;
}

static bool is_entry(const struct meta_record *r)
{
	struct cairn_entry e;
	return is_named_key(r->key) && is_name(r->key->bytes + 8, r->key->size - 8) && r->size == CAIRN_ENTRY_SIZE &&
	       cairn_entry_decode(r->body, r->size, &e) == 0 && e.ino && e.cookie >= FIRST_COOKIE && is_type(e.type);
}

static bool is_order(const struct meta_record *r)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	uint64_t ino = cursor_le64(&c);
	uint32_t type = cursor_le32(&c), size = cursor_le32(&c);
	return r->key->size == 16 && meta_key_first(r->key) && meta_key_second(r->key) >= FIRST_COOKIE && ino && is_type(type) &&
	       cursor_left(&c) == size && is_name(c.pos, size);
}

static bool is_inline(const struct meta_record *r)
{
	return r->key->number && r->size <= OP_PATH_MAX;
}

static bool is_extent(const struct meta_record *r)
{
	struct cairn_extent e;
	if (r->key->size != 16 || meta_key_first(r->key) == 0 || cairn_extent_decode(r, &e) || e.first > CAIRN_BLOCKS_MAX - e.n)
		return false;
	return !cairn_has_blocks(e.kind) || is_place(e.place, e.n);
}

static bool is_xattr(const struct meta_record *r)
{
	return is_named_key(r->key) && r->size <= XATTR_MAX;
}

static bool is_number(const struct meta_record *r)
{
	return r->size == 8;
}

static bool is_space(const struct meta_record *r)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	uint64_t n = cursor_le64(&c);
	return r->size == SPACE_SIZE && is_place(r->key->number, n) && cursor_le32(&c) >= 1;
}

static bool is_folded(const struct meta_record *r)
{
	return r->size == 0 && r->key->size > 16 && meta_key_first(r->key) && is_name(r->key->bytes + 16, r->key->size - 16);
}

static bool is_stream(const struct meta_record *r)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	return is_named_key(r->key) && r->size == 16 && cursor_le64(&c) != 0;
}

static bool is_acl(const struct meta_record *r)
{
	struct acl *acl = NULL;
	int err = r->key->number ? acl_parse(r->body, r->size, &acl) : ERR_INVAL;
	free(acl);
	return err == 0 || err == ERR_NOMEM;
}

static bool is_quota(const struct meta_record *r)
{
	return r->key->size == 16 && r->size == QUOTA_SIZE;
}

static bool is_snapshot(const struct meta_record *r)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	cursor_skip(&c, 16);
	uint32_t size = cursor_le32(&c);
	cursor_skip(&c, 4);
	return !cursor_failed(&c) && r->key->number && size && size <= OP_NAME_MAX && cursor_left(&c) == size;
}

static bool is_version(const struct meta_record *r)
{
	return r->size >= 8 && r->key->size > META_HISTORY_EXTRA && r->key->bytes[0] < META_N_TABLES;
}

static bool is_dead(const struct meta_record *r)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	uint64_t first = cursor_le64(&c), n = cursor_le64(&c);
	return r->key->size == 24 && r->size == DEAD_SIZE && is_place(first, n);
}

static bool (*const shapes[META_N_TABLES])(const struct meta_record *r) = {
	[META_INODES] = is_inode,   [META_ENTRIES] = is_entry, [META_ORDER] = is_order,
	[META_INLINE] = is_inline,  [META_EXTENTS] = is_extent, [META_XATTRS] = is_xattr,
	[META_ORPHANS] = is_number, [META_SPACE] = is_space,   [META_COUNTERS] = is_number,
	[META_FOLDED] = is_folded,  [META_STREAMS] = is_stream,
	[META_ACLS] = is_acl,       [META_QUOTAS] = is_quota,   [META_SNAPSHOTS] = is_snapshot,
	[META_HISTORY] = is_version, [META_DEAD] = is_dead,
};

int cairn_record_check(enum meta_table table, const struct meta_record *r)
{
	if (meta_key_is_number(table) && r->key->size != sizeof(r->key->number))
		return ERR_IO;
	return !shapes[table] || shapes[table](r) ? 0 : ERR_IO;
}

/* ---- one bit */

static uint64_t stored_sum(const struct check_mended *m, uint32_t size)
{
	struct cursor c;
	cursor_init(&c, (void *)(m->bytes + size), META_SUM_SIZE);
	return cursor_le64(&c);
}

static bool try_bits(enum meta_table table, struct check_mended *m, uint8_t *bytes, uint32_t n, uint32_t size)
{
	MDB_val k = meta_key_val(&m->key);
	uint64_t sum = stored_sum(m, size);
	for (uint32_t bit = 0; bit < 8 * n; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (meta_sum(table, &k, m->bytes, size) == sum)
			return true;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	return false;
}

static bool find_bit(enum meta_table table, struct check_mended *m, uint32_t size)
{
	MDB_val k = meta_key_val(&m->key);
	uint64_t sum = meta_sum(table, &k, m->bytes, size);
	if (__builtin_popcountll(sum ^ stored_sum(m, size)) == 1) {
		struct cursor c;
		cursor_init(&c, m->bytes + size, META_SUM_SIZE);
		cursor_put_le64(&c, sum);
		return true;
	}
	return try_bits(table, m, m->bytes, size, size) || try_bits(table, m, m->key.bytes, m->key.size, size);
}

bool cairn_record_mend(enum meta_table table, const struct meta_record *r, struct check_mended *m)
{
	if (r->size < META_HEAD_SIZE + META_SUM_SIZE || r->size > sizeof(m->bytes))
		return false;
	uint32_t size = r->size - META_SUM_SIZE;
	m->key = *r->key;
	memcpy(m->bytes, r->body, r->size);
	if (!find_bit(table, m, size) || m->bytes[0] != META_RECORD_VERSION)
		return false;
	struct cursor c;
	cursor_init(&c, m->bytes + 8, 8);
	m->record = (struct meta_record){
		.key = &m->key, .body = m->bytes + META_HEAD_SIZE, .size = size - META_HEAD_SIZE, .batch = cursor_le64(&c)};
	return cairn_record_check(table, &m->record) == 0;
}

/* ---- all of them */

struct gap {
	uint64_t ino;
	uint64_t block;
	uint64_t n;
};

static bool next_extent(void *arg, const struct meta_record *r)
{
	struct gap *g = arg;
	uint64_t block = r->key->size == 16 ? meta_key_second(r->key) : g->block;
	if (r->key->size != 16 || meta_key_first(r->key) != g->ino)
		return false;
	if (block <= g->block)
		return true;
	g->n = MIN(g->n, block - g->block);
	return false;
}

static uint64_t size_of(struct check *c, uint64_t ino)
{
	struct meta_key key = meta_key_number(ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	struct cairn_inode inode;
	int err = meta_get(c->meta, META_INODES, &key, body, &size);
	return err || cairn_inode_decode(body, size, &inode) ? INT64_MAX : inode.attr.size;
}

/* How long the extent was is not known: as long as one may be, up to the next one and the end of the file. */
static void lose_extent(struct check *c, const struct meta_key *key)
{
	struct gap g = {meta_key_first(key), meta_key_second(key), CAIRN_EXTENT_MAX};
	uint64_t end = cairn_blocks(size_of(c, g.ino));
	if (key->size != 16 || g.ino == 0 || g.block >= end || meta_inspect(c->meta, META_EXTENTS, key, next_extent, &g))
		return;
	check_put_lost(c, g.ino, g.block, MIN(g.n, end - g.block));
}

/* How many blocks its segment file must have at least. */
static void note_written(struct check *c, const struct meta_record *r)
{
	struct cairn_extent e;
	if (cairn_extent_decode(r, &e) || e.kind != CAIRN_WRITTEN)
		return;
	uint64_t segment = e.place / CAIRN_SEGMENT_BLOCKS, end = e.place % CAIRN_SEGMENT_BLOCKS + e.n;
	while (!c->err && c->written.n <= segment)
		c->err = check_number_add(&c->written, 0);
	if (!c->err)
		c->written.list[segment] = MAX(c->written.list[segment], end);
}

static void note(struct check *c, const struct meta_record *r)
{
	c->report->n_records++;
	c->last_batch = MAX(c->last_batch, r->batch);
	if (c->table == META_EXTENTS)
		note_written(c, r);
}

static uint64_t ino_of(enum meta_table table, const struct meta_key *key)
{
	if (table == META_INODES || table == META_INLINE || table == META_ORPHANS || table == META_ACLS)
		return key->number;
	return table == META_ENTRIES || table == META_ORDER || table == META_EXTENTS || table == META_XATTRS || table == META_STREAMS
	               ? meta_key_first(key)
	               : 0;
}

static void put_mended(struct check *c, const struct meta_record *r, const struct check_mended *m)
{
	struct cairn_extent e;
	meta_delete(&c->txn, c->table, r->key);
	if (c->table != META_EXTENTS)
		meta_put(&c->txn, c->table, &m->key, m->record.body, m->record.size);
	else if (cairn_extent_decode(&m->record, &e) == 0)
		cairn_put_extent(&c->txn, meta_key_first(&m->key), &e);
}

static void drop(struct check *c, enum check_kind kind, const struct meta_record *r)
{
	bool repair = check_found_record(c, kind, c->table, r->key, ino_of(c->table, r->key));
	if (c->table == META_INODES && r->key->number && !c->err)
		c->err = check_number_add(&c->lost, r->key->number);
	/* Counters are set at the end. */
	if (!repair || c->table == META_COUNTERS)
		return;
	meta_delete(&c->txn, c->table, r->key);
	if (c->table == META_EXTENTS)
		lose_extent(c, r->key);
	else if (c->table == META_HISTORY)
		check_lose_version(c, r->key);
}

static bool look_at(struct check *c, const struct meta_record *r)
{
	struct check_mended m;
	if (r->err == 0 && cairn_record_check(c->table, r) == 0) {
		note(c, r);
	} else if (r->err == 0) {
		drop(c, CHECK_RECORD_SHAPE, r);
	} else if (cairn_record_mend(c->table, r, &m)) {
		if (check_found_record(c, CHECK_RECORD_BIT, c->table, &m.key, ino_of(c->table, &m.key)))
			put_mended(c, r, &m);
		note(c, &m.record);
	} else {
		drop(c, CHECK_RECORD, r);
	}
	return true;
}

/* ---- segment files */

static bool has_blocks(struct check *c, uint32_t segment, uint64_t n)
{
	char name[16];
	struct file *f;
	uint64_t size = 0;
	snprintf(name, sizeof(name), "%08x", segment);
	if (file_open(&f, c->data_fd, name, O_RDONLY | O_CLOEXEC, 0))
		return false;
	int err = file_size(f, &size);
	file_close(f);
	return err == 0 && size / CAIRN_BLOCK_SIZE >= n;
}

/* Blocks that are not there are found by reading. */
static void check_segments(struct check *c)
{
	for (uint64_t i = 0; i < c->written.n; i++) {
		char name[24];
		if (c->written.list[i] == 0 || has_blocks(c, (uint32_t)i, c->written.list[i]))
			continue;
		snprintf(name, sizeof(name), "data/%08x", (uint32_t)i);
		check_found(c, CHECK_SEGMENT, &(struct check_place){.where = name});
		c->data = true;
	}
}

int check_records(struct check *c)
{
	int err = 0;
	for (int table = 0; !err && table < META_N_TABLES; table++) {
		bool number = meta_key_is_number(table);
		struct check_walk w = {.table = table,
		                       .from = number ? meta_key_number(0) : meta_key_name(0, "", 0),
		                       .visit = look_at,
		                       .damaged = true};
		err = check_walk(c, &w);
	}
	check_numbers_sort(&c->lost);
	if (!err)
		check_segments(c);
	return err;
}
