/* Shows what a check does with one record, how a scrub's place is kept, and that a store in all its variety is sound. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-check.h"
#include "backends/cairn/cairn-scrub.h"
#include "backends/cairn/cairn-snapshot.h"
#include "harness.h"
#include "tables.h"

#define VALUE_ROOM 64u

/* ---- one record, as the tables have it */

struct stored {
	struct meta_key key;
	uint8_t value[VALUE_ROOM];
	uint32_t size;
};

static bool take(void *arg, const struct meta_record *r)
{
	struct stored *s = arg;
	s->key = *r->key;
	s->size = MIN(r->size, VALUE_ROOM);
	memcpy(s->value, r->body, s->size);
	return false;
}

static bool is_mended(const struct stored *damaged, const struct stored *right)
{
	struct meta_record r = {.key = &damaged->key, .body = damaged->value, .size = damaged->size, .err = ERR_IO};
	struct check_mended m;
	return cairn_record_mend(META_ENTRIES, &r, &m) && m.key.size == right->key.size &&
	       memcmp(m.key.bytes, right->key.bytes, m.key.size) == 0 && memcmp(m.bytes, right->value, right->size) == 0;
}

/* meta_inspect() shows a damaged record whole: a wrong byte is put into the tables' file to have it do so. */
static void flip(const char *dir, const char *find, size_t size)
{
	char path[256], *bytes = NULL;
	long n = 0;
	snprintf(path, sizeof(path), "%s/meta/data.mdb", dir);
	FILE *f = fopen(path, "r+");
	cr_assert_not_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	bytes = malloc((size_t)n);
	rewind(f);
	cr_assert_eq(fread(bytes, 1, (size_t)n, f), (size_t)n);
	for (long at = 0; at + (long)size < n; at++) {
		if (memcmp(bytes + at, find, size) != 0)
			continue;
		fseek(f, at + (long)size + 20, SEEK_SET);
		fputc(bytes[at + (long)size + 20] ^ 1, f);
	}
	fclose(f);
	free(bytes);
}

static void run(void (*body)(void *arg))
{
	struct bench b = {.dir = "/tmp/test-check-XXXXXX"};
	const char *tmp = getenv("TMPDIR");
	if (tmp && strlen(tmp) < 64)
		snprintf(b.dir, sizeof(b.dir), "%s/test-check-XXXXXX", tmp);
	cr_assert_not_null(mkdtemp(b.dir));
	bench_in_loop(body, &b);
	bench_remove_dir(b.dir);
}

static void make_store(struct bench *b)
{
	static const char *const options[] = {"create=yes", "journal=1M", NULL};
	struct vfs_node *node;
	char *why;
	cr_assert_eq(bench_mount(b, options, &why), 0);
	cr_assert_eq(bench_make(b->m->root, "a-name-to-find", OP_TYPE_FILE, &node), 0);
	vfs_node_put(node);
	bench_unmount(b);
}

static void read_damaged(const char *dir, struct stored *s)
{
	char path[256];
	struct meta_config cfg = {.dir = path, .size_max = 1ULL << 30, .read_only = true, .salvage = true};
	struct meta_key key = meta_key_name(0, "", 0);
	struct meta *meta;
	snprintf(path, sizeof(path), "%s/meta", dir);
	cr_assert_eq(meta_open(&meta, &cfg), 0);
	cr_assert_eq(meta_inspect(meta, META_ENTRIES, &key, take, s), 0);
	meta_close(meta);
}

static void each_bit(void *arg)
{
	struct bench *b = arg;
	struct stored damaged, right;
	make_store(b);
	flip(b->dir, "a-name-to-find", 14);
	read_damaged(b->dir, &damaged);
	cr_assert_gt(damaged.size, META_HEAD_SIZE + CAIRN_ENTRY_SIZE);
	right = damaged;
	right.value[20] ^= 1;
	cr_assert(is_mended(&damaged, &right));
	for (uint32_t bit = 0; bit < 8 * right.size; bit++) {
		damaged = right;
		damaged.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect(is_mended(&damaged, &right), "bit %u of the value", bit);
	}
	for (uint32_t bit = 0; bit < 8 * right.key.size; bit++) {
		damaged = right;
		damaged.key.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect(is_mended(&damaged, &right), "bit %u of the key", bit);
	}
	damaged = right;
	damaged.value[17] ^= 3;
	cr_expect_not(is_mended(&damaged, &right), "two bits are guessed");
}

Test(check, every_flipped_bit_of_a_record_is_found)
{
	run(each_bit);
}

/* ---- a scrub's place */

Test(check, the_place_of_a_scrub_is_kept)
{
	struct cairn_scrub_record r = {.state = {.run = SCRUB_PAUSED, .started_ns = 77, .bad_bytes = 4096, .last_bad = "here"},
	                               .table = META_EXTENTS,
	                               .key = meta_key_pair(5, 256)};
	struct cairn_scrub_record back;
	uint8_t bytes[CAIRN_SCRUB_SIZE];
	cairn_scrub_encode(&r, bytes);
	cr_assert_eq(cairn_scrub_decode(bytes, &back), 0);
	cr_expect_eq(back.state.run, SCRUB_PAUSED);
	cr_expect_eq(back.state.bad_bytes, 4096);
	cr_expect_str_eq(back.state.last_bad, "here");
	cr_expect_eq(back.table, META_EXTENTS);
	cr_expect_eq(meta_key_second(&back.key), 256);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] ^= 0x10;
		cr_expect_eq(cairn_scrub_decode(bytes, &back), ERR_IO, "byte %zu", i);
		bytes[i] ^= 0x10;
	}
}

/* ---- damage of what a snapshot and a clone have too */

#define FILE_SIZE 65536u
#define BAD_AT (3 * CAIRN_BLOCK_SIZE)

static int segment_byte(struct bench *b, long at, int change)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/data/00000000", b->dir);
	FILE *f = fopen(path, "r+");
	cr_assert_not_null(f);
	fseek(f, at, SEEK_SET);
	int byte = fgetc(f);
	fseek(f, at, SEEK_SET);
	if (change)
		fputc(byte ^ change, f);
	fclose(f);
	return byte;
}

static uint64_t n_found(struct bench *b, enum check_repair repair, bool data)
{
	struct check_options o = {.path = b->dir, .repair = repair, .data = data};
	struct check_report r;
	char *why;
	cr_assert_eq(cairn_check(&o, &r, &why), 0, "%s", why ? why : "");
	uint64_t n = r.n_found;
	check_report_fini(&r);
	return n;
}

static void make_shared(struct bench *b, uint8_t *data)
{
	static const char *const options[] = {"create=yes", "capacity=8M", "cache=1M", NULL};
	struct vfs_name name = {"s", 1};
	struct vfs_node *a, *c;
	struct vfs_snapshot made;
	char *why;
	cr_assert_eq(bench_mount(b, options, &why), 0);
	cr_assert_eq(bench_make(b->m->root, "a", OP_TYPE_FILE, &a), 0);
	cr_assert_eq(bench_make(b->m->root, "c", OP_TYPE_FILE, &c), 0);
	cr_assert_eq(bench_write(a, 0, data, FILE_SIZE, WRITE_FILE_SYNC), 0);
	cr_assert_eq(cairn_snapshot_create(b->m, &name, &made), 0);
	fiber_rwlock_wrlock(&a->lock);
	fiber_rwlock_wrlock(&c->lock);
	cr_assert_eq(cairn_clone(a, 0, c, 0, FILE_SIZE), 0);
	fiber_rwlock_wrunlock(&c->lock);
	fiber_rwlock_wrunlock(&a->lock);
	vfs_node_put(a);
	vfs_node_put(c);
	bench_unmount(b);
}

static bool covers(void *arg, const struct meta_record *r)
{
	struct cairn_space space;
	uint64_t *block = arg;
	cr_assert_eq(cairn_space_decode(r, &space), 0);
	if (*block >= space.range.first && *block < space.range.first + space.range.n)
		*block = UINT64_MAX;
	return *block != UINT64_MAX;
}

static bool is_used(struct bench *b, uint64_t block)
{
	struct meta_key first = meta_key_number(0);
	cr_assert_eq(meta_scan(((struct cairn *)b->m->store)->meta, META_SPACE, &first, META_FROM, covers, &block), 0);
	return block == UINT64_MAX;
}

static void check_kept_blocks(void *arg)
{
	struct bench *b = arg;
	uint8_t *data = malloc(FILE_SIZE);
	struct vfs_name name = {"s", 1};
	struct vfs_node *root, *a;
	char *why;
	memset(data, 0x5a, FILE_SIZE);
	make_shared(b, data);
	cr_assert_eq(segment_byte(b, BAD_AT + 77, 0x10), 0x5a);
	cr_assert_geq(n_found(b, CHECK_ALL, true), 2, "in the file and in its clone");
	cr_assert_eq(n_found(b, CHECK_ONLY, false), 0);
	cr_assert(tables_agree(b->dir));
	cr_assert_eq(bench_mount(b, NULL, &why), 0);
	cr_assert(is_used(b, BAD_AT / CAIRN_BLOCK_SIZE), "the snapshot's block is not given to others");
	cr_assert_eq(cairn_snapshot_named(b->m->store, &name, &root), 0);
	cr_assert_eq(bench_lookup(root, "a", &a), 0);
	cr_assert_eq(bench_read(b, a, BAD_AT + CAIRN_BLOCK_SIZE, data, CAIRN_BLOCK_SIZE), 0);
	cr_assert_eq(data[0], 0x5a);
	cr_assert_eq(bench_read(b, a, BAD_AT, data, CAIRN_BLOCK_SIZE), ERR_IO);
	vfs_node_put(a);
	vfs_node_put(root);
	cr_assert_eq(cairn_snapshot_remove(b->m, &name), 0);
	bench_unmount(b);
	cr_assert_eq(n_found(b, CHECK_ONLY, false), 0);
	cr_assert(tables_agree(b->dir));
	free(data);
}

Test(check, repair_leaves_snapshots_the_blocks_they_have)
{
	run(check_kept_blocks);
}

/* ---- what only a snapshot has */

static void look_in_snapshot(struct bench *b, const char *file, uint64_t at, uint8_t byte, int want)
{
	struct vfs_name name = {"s", 1};
	struct vfs_node *root, *node;
	uint8_t *bytes = malloc(CAIRN_BLOCK_SIZE);
	cr_assert_eq(cairn_snapshot_named(b->m->store, &name, &root), 0);
	cr_assert_eq(bench_lookup(root, file, &node), 0);
	cr_expect_eq(bench_read(b, node, at, bytes, CAIRN_BLOCK_SIZE), want, "at %llu", (unsigned long long)at);
	cr_expect(want || bytes[77] == byte);
	vfs_node_put(node);
	vfs_node_put(root);
	free(bytes);
}

static void look_at_file(struct bench *b, const char *file, uint64_t at, uint8_t byte, int want)
{
	struct vfs_node *node;
	uint8_t *bytes = malloc(CAIRN_BLOCK_SIZE);
	cr_assert_eq(bench_lookup(b->m->root, file, &node), 0);
	cr_expect_eq(bench_read(b, node, at, bytes, CAIRN_BLOCK_SIZE), want, "at %llu", (unsigned long long)at);
	cr_expect(want || bytes[77] == byte);
	vfs_node_put(node);
	free(bytes);
}

/* File a is written again in its middle, then whole; file c is removed: what they had only the snapshot has. */
static void make_held(struct bench *b, bool crash)
{
	static const char *const options[] = {"create=yes", "capacity=8M", "cache=1M", NULL};
	struct vfs_name name = {"s", 1};
	struct vfs_node *a, *c;
	struct vfs_snapshot made;
	uint8_t *data = malloc(FILE_SIZE);
	char *why;
	memset(data, 0x5a, FILE_SIZE);
	cr_assert_eq(bench_mount(b, options, &why), 0);
	cr_assert_eq(bench_make(b->m->root, "a", OP_TYPE_FILE, &a), 0);
	cr_assert_eq(bench_make(b->m->root, "c", OP_TYPE_FILE, &c), 0);
	cr_assert_eq(bench_write(a, 0, data, FILE_SIZE, WRITE_FILE_SYNC), 0);
	memset(data, 0x77, FILE_SIZE);
	cr_assert_eq(bench_write(c, 0, data, FILE_SIZE, WRITE_FILE_SYNC), 0);
	cr_assert_eq(cairn_snapshot_create(b->m, &name, &made), 0);
	memset(data, 0x66, FILE_SIZE);
	cr_assert_eq(bench_write(a, 5 * CAIRN_BLOCK_SIZE, data, CAIRN_BLOCK_SIZE, WRITE_FILE_SYNC), 0);
	cr_assert_eq(bench_write(a, 0, data, FILE_SIZE, WRITE_FILE_SYNC), 0);
	vfs_node_put(a);
	vfs_node_put(c);
	cr_assert_eq(bench_remove(b->m->root, "c"), 0);
	free(data);
	if (!crash)
		bench_unmount(b);
}

/* The block of the store that has nothing but this byte, for the n-th time. */
static long find_block(struct bench *b, int byte, int n)
{
	for (long at = 0; at < 4096L * 4096; at += CAIRN_BLOCK_SIZE)
		if (segment_byte(b, at + 77, 0) == byte && segment_byte(b, at + 78, 0) == byte && n-- == 0)
			return at;
	return -1;
}

static void scrub_held(struct bench *b)
{
	struct scrub_state st;
	char *why;
	cr_assert_eq(bench_mount(b, NULL, &why), 0);
	cr_assert_eq(cairn_scrub(b->m, SCRUB_START, 0), 0);
	do {
		fiber_yield();
		cairn_scrub_state(b->m, &st);
	} while (st.run == SCRUB_RUNNING);
	cr_expect_eq(st.run, SCRUB_DONE);
	cr_expect_eq(st.bad_bytes, 2 * CAIRN_BLOCK_SIZE);
	cr_expect_eq(st.done_bytes, 3 * FILE_SIZE, "what the file has, and what only the snapshot has, once");
	cr_expect(strstr(st.last_bad, "damaged data in snapshot s, inode ") == st.last_bad, "%s", st.last_bad);
	cr_expect(strstr(st.last_bad, ", /c at byte 0, ") || strstr(st.last_bad, ", /a at byte 12288, "), "%s", st.last_bad);
	bench_unmount(b);
}

static void check_held(void *arg)
{
	struct bench *b = arg;
	struct vfs_name name = {"s", 1};
	struct check_options o = {.path = b->dir, .repair = CHECK_ONLY, .data = true};
	struct check_report r;
	char *why;
	make_held(b, false);
	cr_assert_eq(n_found(b, CHECK_ONLY, true), 0);
	long a3 = find_block(b, 0x5a, 3), c0 = find_block(b, 0x77, 0);
	cr_assert(a3 >= 0 && c0 >= 0);
	segment_byte(b, a3 + 77, 0x10);
	segment_byte(b, c0 + 1234, 0x01);
	cr_assert_eq(n_found(b, CHECK_ONLY, false), 0, "data is not read");
	cr_assert_eq(cairn_check(&o, &r, &why), 0);
	cr_assert_eq(r.n_found, 2);
	for (int i = 0; i < 2; i++) {
		cr_expect_str_eq(r.findings[i].what, "snapshot-block");
		cr_expect(strcmp(r.findings[i].where, "snapshot s, /a") == 0 || strcmp(r.findings[i].where, "snapshot s, /c") == 0);
		cr_expect_eq(r.findings[i].offset, r.findings[i].where[13] == 'a' ? 3 * CAIRN_BLOCK_SIZE : 0);
	}
	check_report_fini(&r);
	scrub_held(b);
	cr_assert_eq(n_found(b, CHECK_ALL, true), 2);
	cr_assert_eq(n_found(b, CHECK_ONLY, true), 0);
	cr_assert(tables_agree(b->dir));
	cr_assert_eq(bench_mount(b, NULL, &why), 0);
	look_in_snapshot(b, "a", 3 * CAIRN_BLOCK_SIZE, 0, ERR_IO);
	look_in_snapshot(b, "a", 2 * CAIRN_BLOCK_SIZE, 0x5a, 0);
	look_in_snapshot(b, "a", 5 * CAIRN_BLOCK_SIZE, 0x5a, 0);
	look_in_snapshot(b, "c", 0, 0, ERR_IO);
	look_in_snapshot(b, "c", CAIRN_BLOCK_SIZE, 0x77, 0);
	look_at_file(b, "a", 3 * CAIRN_BLOCK_SIZE, 0x66, 0);
	cr_assert_eq(cairn_snapshot_rollback(b->m, &name), 0);
	look_at_file(b, "a", 3 * CAIRN_BLOCK_SIZE, 0, ERR_IO);
	look_at_file(b, "a", 4 * CAIRN_BLOCK_SIZE, 0x5a, 0);
	look_at_file(b, "c", 2 * CAIRN_BLOCK_SIZE, 0x77, 0);
	bench_unmount(b);
	cr_assert_eq(n_found(b, CHECK_ONLY, true), 0, "what was rolled back to is right but for the lost range");
	cr_assert(tables_agree(b->dir));
}

Test(check, blocks_that_only_snapshots_have_are_verified)
{
	run(check_held);
}

/* ---- a store that is being rolled back */

struct cutting {
	struct bench *b;
	uint32_t n; /* stores as they would be after loss of power at each step */
};

static void copy_store(void *arg, uint64_t done, uint64_t total)
{
	struct cutting *k = arg;
	char command[512];
	cr_assert_leq(done, total);
	snprintf(command, sizeof(command), "cp -a %s %.100s.%u", k->b->dir, k->b->dir, k->n++);
	cr_assert_eq(system(command), 0);
}

static void check_one_cut(struct bench *b, uint32_t i)
{
	struct bench cut = {.m = NULL};
	struct check_options o = {.path = cut.dir, .repair = CHECK_ONLY, .data = true};
	struct check_report r;
	char *why;
	snprintf(cut.dir, sizeof(cut.dir), "%.100s.%u", b->dir, i);
	cr_assert_eq(cairn_check(&o, &r, &why), 0, "%s", why ? why : "");
	cr_expect_eq(r.rollback, CHECK_ROLLBACK_GOING_ON);
	cr_expect_str_eq(r.rollback_to, "s");
	cr_expect_eq(r.n_found, 0, "cut %u: %s", i, r.n_found ? r.findings[0].what : "");
	check_report_fini(&r);
	o.repair = i % 2 ? CHECK_SAFE : CHECK_ALL;
	cr_assert_eq(cairn_check(&o, &r, &why), 0, "%s", why ? why : "");
	cr_expect_eq(r.rollback, CHECK_ROLLBACK_ENDED);
	cr_expect_eq(r.n_found, 0, "cut %u: %s", i, r.n_found ? r.findings[0].what : "");
	check_report_fini(&r);
	cr_assert(tables_agree(cut.dir));
	cr_assert_eq(bench_mount(&cut, NULL, &why), 0);
	look_at_file(&cut, "a", 3 * CAIRN_BLOCK_SIZE, 0x5a, 0);
	look_at_file(&cut, "c", 0, 0x77, 0);
	bench_unmount(&cut);
	bench_remove_dir(cut.dir);
}

static void check_rolling(void *arg)
{
	struct bench *b = arg;
	struct cutting k = {b, 0};
	struct vfs_name name = {"s", 1};
	uint64_t id;
	make_held(b, true);
	cr_assert_eq(cairn_snapshot_id(b->m->store, &name, &id), 0);
	cr_assert_eq(cairn_flush_all(b->m->store), 0);
	cr_assert_eq(cairn_undo_mark(b->m->store, id), 0);
	cr_assert_eq(cairn_undo(b->m->store, id, copy_store, &k), 0);
	cr_assert_eq(cairn_undo_mark(b->m->store, 0), 0);
	bench_unmount(b);
	cr_assert_gt(k.n, 10);
	for (uint32_t i = 0; i < k.n; i++)
		check_one_cut(b, i);
}

Test(check, a_store_that_is_being_rolled_back_is_checked)
{
	run(check_rolling);
}
