/*
 * What the bytes of a store's files mean, told by the formats alone: LMDB's (0.9, 64-bit), the journal's and that of segments. A
 * flip in what means something has to be found; one in what means nothing must not be, and change nothing.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-snapshot.h"
#include "base/cursor.h"
#include "tests/system/cairn-damage.h"

#define PAGE 4096u
#define HEAD 16u
#define NODE_HEAD 8u
#define TREE 48u
#define NO_PAGE UINT64_MAX
#define BATCH_HEAD 64u
#define BATCH_USED 40u /* of its head */
#define JOURNAL_USED 32u

enum { META_VERSIONS = 16, META_SIZES = 32, META_TREES = 40, META_LAST = 136, META_TXN = 144, META_END = 152 };
enum { LARGE = 1 };
enum tree_kind { FREE_PAGES, NAMES, RECORDS };

struct mapping {
	const uint8_t *bytes;
	uint64_t size;
	uint8_t *means; /* enum meaning */
};

static uint64_t word(const uint8_t *at)
{
	struct cursor c;
	cursor_init(&c, (void *)at, 8);
	return cursor_le64(&c);
}

static uint32_t quad(const uint8_t *at)
{
	struct cursor c;
	cursor_init(&c, (void *)at, 4);
	return cursor_le32(&c);
}

static uint32_t half(const uint8_t *at)
{
	return quad(at) & 0xffff;
}

static void mean(struct mapping *m, uint64_t at, uint64_t n, enum meaning what)
{
	if (at < m->size)
		memset(m->means + at, (int)what, MIN(n, m->size - at));
}

/* ---- LMDB's pages */

static void map_tree(struct mapping *m, uint64_t tree_at, enum tree_kind kind);

/* Number, flags, and where the free room is, or how many pages; between them two bytes of no use. */
static void map_head(struct mapping *m, uint64_t at)
{
	mean(m, at, HEAD, MEANS_STRUCTURE);
	mean(m, at + 8, 2, MEANS_NOTHING);
}

static void map_value(struct mapping *m, uint64_t at, uint32_t size, bool large, enum tree_kind kind)
{
	enum meaning what = kind == RECORDS ? MEANS_RECORD : MEANS_STRUCTURE;
	if (large) {
		mean(m, at, 8, MEANS_STRUCTURE);
		at = word(m->bytes + at) * PAGE;
		map_head(m, at);
		at += HEAD;
	}
	mean(m, at, size, what);
	if (kind == NAMES) {
		mean(m, at, 4, MEANS_NOTHING);
		map_tree(m, at, RECORDS);
	}
}

static void map_leaf_node(struct mapping *m, uint64_t at, enum tree_kind kind)
{
	uint32_t size = quad(m->bytes + at), flags = half(m->bytes + at + 4), key = half(m->bytes + at + 6);
	/* Of free pages the transaction that freed them tells only when they may be used again. */
	static const enum meaning keys[] = {[FREE_PAGES] = MEANS_LITTLE, [NAMES] = MEANS_STRUCTURE, [RECORDS] = MEANS_KEY};
	mean(m, at, NODE_HEAD, MEANS_STRUCTURE);
	mean(m, at + NODE_HEAD, key, keys[kind]);
	map_value(m, at + NODE_HEAD + key, size, flags & LARGE, kind);
}

static void map_page(struct mapping *m, uint64_t page, uint32_t level, enum tree_kind kind)
{
	uint64_t base = page * PAGE;
	if (base + PAGE > m->size)
		return;
	uint32_t n = (half(m->bytes + base + 12) - HEAD) / 2;
	map_head(m, base);
	mean(m, base + HEAD, 2 * (uint64_t)n, MEANS_STRUCTURE);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = base + half(m->bytes + base + HEAD + 2 * (uint64_t)i);
		if (level == 1) {
			map_leaf_node(m, at, kind);
			continue;
		}
		/* A key that parts two pages may be any between them; the first parts nothing. */
		mean(m, at, NODE_HEAD, MEANS_STRUCTURE);
		mean(m, at + NODE_HEAD, half(m->bytes + at + 6), i ? MEANS_LITTLE : MEANS_NOTHING);
		map_page(m, quad(m->bytes + at) | (uint64_t)half(m->bytes + at + 4) << 32, level - 1, kind);
	}
}

static void map_tree(struct mapping *m, uint64_t tree_at, enum tree_kind kind)
{
	uint64_t root = word(m->bytes + tree_at + 40);
	uint32_t depth = half(m->bytes + tree_at + 6);
	mean(m, tree_at + 4, TREE - 4, MEANS_STRUCTURE);
	if (root != NO_PAGE && depth)
		map_page(m, root, depth, kind);
}

/* The older one is looked at for what tells which is the newer. The size of the map is the one who opens it gives. */
static void map_first_page(struct mapping *m, uint64_t page, bool newer)
{
	uint64_t base = page * PAGE;
	mean(m, base, 8, MEANS_STRUCTURE);
	mean(m, base + 10, 2, MEANS_STRUCTURE);
	mean(m, base + META_VERSIONS, META_SIZES - META_VERSIONS, MEANS_STRUCTURE);
	mean(m, base + META_TREES, 6, MEANS_STRUCTURE);
	mean(m, base + META_LAST, 8, newer ? MEANS_STRUCTURE : MEANS_LITTLE);
	mean(m, base + META_TXN, META_END - META_TXN, MEANS_STRUCTURE);
	if (!newer)
		return;
	map_tree(m, base + META_TREES, FREE_PAGES);
	map_tree(m, base + META_TREES + TREE, NAMES);
}

static void map_tables(struct mapping *m)
{
	bool second = word(m->bytes + META_TXN) < word(m->bytes + PAGE + META_TXN);
	map_first_page(m, 0, !second);
	map_first_page(m, 1, second);
	/* A flag that tells only how the file was made is the highest but one. */
	for (uint64_t page = 0; page < 2; page++)
		mean(m, page * PAGE + META_TREES + 5, 1, MEANS_LITTLE);
}

/* ---- the journal */

static uint64_t batch_end(const struct mapping *m, uint64_t at)
{
	return ALIGN_UP(at + BATCH_HEAD + quad(m->bytes + at + 16), (uint64_t)PAGE);
}

static bool is_batch(const struct mapping *m, uint64_t at, uint64_t number)
{
	return at + BATCH_HEAD <= m->size && memcmp(m->bytes + at, "CAIRNJB1", 8) == 0 && word(m->bytes + at + 8) == number;
}

/* A last batch that does not check looks as one that was being written when power was lost. */
static void map_journal(struct mapping *m, uint64_t at, uint64_t number)
{
	uint64_t half_way = PAGE + (m->size - 2 * PAGE) / 2 / PAGE * PAGE;
	mean(m, 0, JOURNAL_USED, MEANS_STRUCTURE);
	while (is_batch(m, at, number)) {
		uint64_t end = batch_end(m, at), other = at < half_way ? half_way + PAGE : PAGE;
		uint64_t next = is_batch(m, end, number + 1) ? end : other;
		enum meaning what = is_batch(m, next, number + 1) ? MEANS_STRUCTURE : MEANS_LITTLE;
		mean(m, at, BATCH_USED, what);
		mean(m, at + BATCH_HEAD, quad(m->bytes + at + 16), what);
		at = next;
		number++;
	}
}

/* ---- segments */

struct block_search {
	struct mapping *m;
	uint64_t snapshot;
};

static void map_blocks(struct block_search *s, const struct meta_record *r)
{
	struct cairn_extent e;
	if (cairn_extent_decode(r, &e) == 0 && e.kind == CAIRN_WRITTEN)
		mean(s->m, e.place * CAIRN_BLOCK_SIZE, e.n * CAIRN_BLOCK_SIZE, MEANS_DATA);
}

static bool map_extent(void *arg, const struct meta_record *r)
{
	map_blocks(arg, r);
	return true;
}

static bool map_version(void *arg, const struct meta_record *r)
{
	const struct block_search *s = arg;
	struct meta_version v;
	if (!meta_history_split(r, &v) || v.table != META_EXTENTS || v.born > s->snapshot || v.died <= s->snapshot)
		return true;
	struct meta_record plain = {.key = &v.key, .body = v.body, .size = v.size, .batch = v.born};
	map_blocks(arg, &plain);
	return true;
}

static bool take_snapshot(void *arg, const struct meta_record *r)
{
	((struct block_search *)arg)->snapshot = r->key->number;
	return false;
}

static int map_segment(struct mapping *m, struct meta *meta)
{
	struct block_search s = {m, 0};
	struct meta_key number = meta_key_number(0), name = meta_key_name(0, "", 0);
	int err = meta_scan(meta, META_SNAPSHOTS, &number, META_FROM, take_snapshot, &s);
	if (!err)
		err = meta_scan(meta, META_EXTENTS, &name, META_FROM, map_extent, &s);
	return err ? err : meta_scan(meta, META_HISTORY, &name, META_FROM, map_version, &s);
}

/* ---- */

static int map_data(struct mapping *m, const char *dir)
{
	struct meta_config cfg = {.dir = dir, .size_max = 1ULL << 40, .read_only = true};
	struct meta *meta;
	int err = meta_open(&meta, &cfg);
	if (err)
		return err;
	err = map_segment(m, meta);
	meta_close(meta);
	return err;
}

/* What the tables say of it themselves, before the journal is taken in: 0 as what was never changed. */
static uint64_t counter_of(MDB_txn *txn, uint64_t counter)
{
	MDB_val key = {sizeof(counter), &counter}, value;
	MDB_dbi dbi;
	if (mdb_dbi_open(txn, "counters", MDB_INTEGERKEY, &dbi) || mdb_get(txn, dbi, &key, &value) || value.mv_size != 32)
		return 0;
	return word((const uint8_t *)value.mv_data + 16);
}

static int map_batches(struct mapping *m, const char *dir)
{
	MDB_env *env;
	MDB_txn *txn;
	int rc = mdb_env_create(&env);
	if (rc)
		return ERR_NOMEM;
	mdb_env_set_maxdbs(env, 32);
	rc = mdb_env_open(env, dir, MDB_RDONLY | MDB_NOTLS, 0);
	if (!rc)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (!rc) {
		uint64_t at = counter_of(txn, META_JOURNAL_AT);
		map_journal(m, at ? at : PAGE, counter_of(txn, META_BATCH) + 1);
		mdb_txn_abort(txn);
	}
	mdb_env_close(env);
	return rc ? ERR_IO : 0;
}

uint8_t *store_map(const char *dir, const char *file, const uint8_t *bytes, uint64_t size)
{
	struct mapping m = {bytes, size, calloc(size + 1, 1)};
	char tables[256];
	int err = 0;
	snprintf(tables, sizeof(tables), "%s/meta", dir);
	if (!m.means)
		return NULL;
	if (strcmp(file, "superblock") == 0)
		mean(&m, 0, size, MEANS_STRUCTURE);
	else if (strcmp(file, "meta/data.mdb") == 0)
		map_tables(&m);
	else if (strcmp(file, "journal") == 0 || strncmp(file, "data/", 5) == 0)
		err = (*file == 'j' ? map_batches : map_data)(&m, tables);
	if (err)
		free(TAKE(m.means));
	return m.means;
}
