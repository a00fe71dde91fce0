/* Shows what is memfs's own: sparse files of any size, the budget, directories under change, node reuse. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/vfs/harness.h"

TestSuite(memfs, .timeout = 60);

static uint64_t free_bytes(struct bench *b)
{
	struct op *op = bench_op(b, OP_statfs, &b->root);
	cr_assert_eq(bench_go(b), 0);
	return op->out.statfs.statfs.free_bytes;
}

static int resize(struct bench *b, const struct op_handle *obj, uint64_t size)
{
	struct op *op = bench_op(b, OP_setattr, obj);
	op->in.setattr.attr.mask = ATTR_SIZE;
	op->in.setattr.attr.size = size;
	return bench_go(b);
}

static int seek(struct bench *b, const struct op_handle *obj, uint64_t offset, uint32_t what, uint64_t *found)
{
	struct op *op = bench_op(b, OP_seek, obj);
	op->in.seek.offset = offset;
	op->in.seek.what = what;
	int err = bench_go(b);
	*found = op->out.seek.offset;
	return err;
}

static void sparse(struct bench *b)
{
	static const uint64_t places[] = {0, 4095, 65535, 65536, 1 << 22, (1 << 22) - 1, 1ULL << 40, INT64_MAX - 1};
	struct op_handle f;
	struct op_attr attr;
	uint64_t before = free_bytes(b), found;
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cr_assert_eq(bench_write(b, &f, places[i], "x", 1), 0, "at %llu", (unsigned long long)places[i]);
		char data[2] = "";
		uint32_t size = 1;
		cr_assert_eq(bench_read(b, &f, places[i], data, &size), 0);
		cr_expect_eq(data[0], 'x');
	}
	cr_expect_eq(bench_write(b, &f, INT64_MAX, "x", 1), ERR_FBIG);
	cr_assert_eq(bench_getattr(b, &f, &attr), 0);
	cr_expect_eq(attr.size, INT64_MAX);
	cr_expect_eq(attr.space, 7 * 4096, "one granule each, two bytes share one");
	cr_expect_eq(free_bytes(b), before - attr.space);
	cr_expect_eq(seek(b, &f, 70000, SEEK_TO_DATA, &found), 0);
	cr_expect_eq(found, (1 << 22) - 4096);
	cr_expect_eq(seek(b, &f, (1 << 22) + 1, SEEK_TO_HOLE, &found), 0);
	cr_expect_eq(found, (1 << 22) + 4096);
	cr_expect_eq(seek(b, &f, (1ULL << 40) + 4096, SEEK_TO_DATA, &found), 0);
	cr_expect_eq(found, ALIGN_DOWN((uint64_t)INT64_MAX - 1, (uint64_t)4096));
	cr_assert_eq(resize(b, &f, 65536), 0);
	cr_assert_eq(bench_getattr(b, &f, &attr), 0);
	cr_expect_eq(attr.space, 2 * 4096);
	cr_expect_eq(seek(b, &f, 65535, SEEK_TO_DATA, &found), 0);
	cr_assert_eq(bench_remove(b, &b->root, "f"), 0);
	cr_expect_eq(free_bytes(b), before);
}

Test(memfs, sparse_files_of_any_size)
{
	bench_run(NULL, sparse);
}

static void tails(struct bench *b)
{
	static char data[200000];
	struct op_handle f;
	memset(data, 'a', sizeof(data));
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	cr_assert_eq(bench_write(b, &f, 0, data, sizeof(data)), 0);
	cr_assert_eq(resize(b, &f, 100001), 0);
	cr_assert_eq(resize(b, &f, sizeof(data)), 0);
	uint32_t size = sizeof(data);
	cr_assert_eq(bench_read(b, &f, 0, data, &size), 0);
	cr_assert_eq(size, sizeof(data));
	for (size_t i = 0; i < sizeof(data); i++)
		cr_assert_eq(data[i], i < 100001 ? 'a' : 0, "at %zu", i);
}

Test(memfs, what_was_cut_off_is_zero_when_the_file_grows)
{
	bench_run(NULL, tails);
}

/* Random writes, truncations and punches against a plain array. */
static void model(struct bench *b)
{
	enum { MAX_SIZE = 400000 };
	static uint8_t want[MAX_SIZE], got[MAX_SIZE], data[100000];
	struct op_handle f;
	struct op_attr attr;
	uint64_t size = 0, seed = 12345, before = free_bytes(b);
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	for (int i = 0; i < 3000; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		uint64_t at = (seed >> 33) % 300000, n = 1 + (seed >> 20) % (seed >> 62 ? 9000 : 100000);
		if (seed >> 60 < 10) {
			memset(data, (int)(seed >> 40 & 0xff), n);
			cr_assert_eq(bench_write(b, &f, at, data, (uint32_t)n), 0);
			memcpy(want + at, data, n);
			size = MAX(size, at + n);
		} else if (seed >> 60 < 13) {
			struct op *op = bench_op(b, OP_deallocate, &f);
			op->in.deallocate.offset = at;
			op->in.deallocate.size = n;
			cr_assert_eq(bench_go(b), 0);
			memset(want + at, 0, n);
		} else {
			cr_assert_eq(resize(b, &f, at), 0);
			if (at < size)
				memset(want + at, 0, size - at);
			size = at;
		}
		uint32_t n_read = sizeof(got);
		cr_assert_eq(bench_read(b, &f, 0, got, &n_read), 0);
		cr_assert_eq(n_read, size);
		cr_assert_eq(memcmp(got, want, size), 0, "step %d", i);
	}
	cr_assert_eq(bench_getattr(b, &f, &attr), 0);
	cr_expect_eq(free_bytes(b), before - attr.space);
	cr_assert_eq(bench_remove(b, &b->root, "f"), 0);
	cr_expect_eq(free_bytes(b), before);
}

Test(memfs, data_equals_a_plain_array_under_random_changes)
{
	bench_run(NULL, model);
}

static void full(struct bench *b)
{
	static char data[65536];
	struct op_handle f, g;
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	cr_assert_eq(bench_create(b, &b->root, "g", 0644, &g), 0);
	cr_assert_eq(bench_write(b, &g, 0, data, 4096), 0);
	uint64_t at = 0;
	int err;
	while ((err = bench_write(b, &f, at, data, sizeof(data))) == 0)
		at += sizeof(data);
	cr_expect_eq(err, ERR_NOSPC);
	cr_expect_eq(at, (1 << 20) - sizeof(data));
	cr_expect_eq(bench_write(b, &g, 0, data, 4096), 0, "what has its place can be overwritten");
	cr_expect_eq(bench_write(b, &f, at, data, 60000), 0, "a failed write takes no space");
	cr_expect_eq(bench_remove(b, &b->root, "f"), 0);
	cr_expect_eq(bench_write(b, &g, 0, data, sizeof(data)), 0);
	for (err = 0; err == 0;) {
		char name[16];
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)at++);
		err = bench_create(b, &b->root, name, 0644, NULL);
	}
	cr_expect_eq(err, ERR_NOSPC);
}

Test(memfs, a_full_store_refuses_and_recovers)
{
	const struct vfs_option options[] = {{"capacity", "1M"}, {"inodes", "100"}, {NULL, NULL}};
	bench_run(&(struct bench_config){.options = options}, full);
}

static uint32_t list(struct bench *b, const struct op_handle *dir, uint64_t *cookie, char names[][24], uint32_t max)
{
	static char room[65536];
	struct op *op = bench_op(b, OP_readdir, dir);
	op->in.readdir.cookie = *cookie;
	op->in.readdir.max_entries = max;
	bench_payload(b, room, sizeof(room));
	cr_assert_eq(bench_go(b), 0);
	uint32_t at = 0;
	for (uint32_t i = 0; i < op->out.readdir.n_entries; i++) {
		const struct op_dirent *d = (const struct op_dirent *)(room + at);
		snprintf(names[i], 24, "%.*s", (int)d->name_size, (const char *)(d + 1));
		*cookie = d->cookie;
		at += d->record_size;
	}
	return op->out.readdir.n_entries;
}

static void changing(struct bench *b)
{
	enum { N = 2000 };
	static char names[100][24];
	static int seen[N];
	char name[24];
	uint64_t cookie = 0;
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "%d", i);
		cr_assert_eq(bench_create(b, &b->root, name, 0644, NULL), 0);
	}
	for (uint32_t n, round = 0; (n = list(b, &b->root, &cookie, names, 50)); round++) {
		for (uint32_t i = 0; i < n; i++)
			if (names[i][0] != 'x')
				seen[atoi(names[i])]++;
		/* Meanwhile every third goes, before and behind, and others come. */
		for (int i = (int)round * 3; i < N; i += 300) {
			snprintf(name, sizeof(name), "%d", i);
			bench_remove(b, &b->root, name);
		}
		snprintf(name, sizeof(name), "x%u", round);
		if (round < 100)
			cr_assert_eq(bench_create(b, &b->root, name, 0644, NULL), 0);
	}
	for (int i = 0; i < N; i++)
		cr_expect(i % 3 == 0 ? seen[i] <= 1 : seen[i] == 1, "entry %d was seen %d times", i, seen[i]);
}

Test(memfs, a_scan_sees_each_entry_once_while_others_come_and_go)
{
	bench_run(NULL, changing);
}

static void reuse(struct bench *b)
{
	struct op_handle first, f;
	struct op_attr attr;
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &first), 0);
	for (int i = 0; i < 500; i++) {
		cr_assert_eq(bench_remove(b, &b->root, "f"), 0);
		cr_assert_eq(bench_getattr(b, &first, &attr), ERR_STALE);
		cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	}
	bench_restart(b);
	cr_expect_eq(bench_getattr(b, &f, &attr), ERR_BADHANDLE, "without a state directory the key is new too");
}

Test(memfs, the_handle_of_a_removed_file_stays_stale)
{
	bench_run(NULL, reuse);
}

static void adoption(struct bench *b)
{
	struct pages *pages = vfs_pages(b->vfs);
	struct op_handle f;
	uint32_t chunk, size = PAGE_CHUNK_SIZE;
	static uint8_t got[PAGE_CHUNK_SIZE];
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	cr_assert_eq(pages_alloc(pages, 0, PAGE_CHUNK_SIZE, &chunk), 0);
	uint8_t *data = pages_base(pages) + pages_offset(chunk);
	memset(data, 'z', PAGE_CHUNK_SIZE);
	struct op *op = bench_op(b, OP_write, &f);
	op->in.write.offset = PAGE_CHUNK_SIZE;
	op->in.write.size = PAGE_CHUNK_SIZE;
	bench_payload(b, data, PAGE_CHUNK_SIZE);
	b->payload.chunks[0] = chunk;
	cr_assert_eq(bench_go(b), 0);
	cr_expect_eq(pages_refs(pages, chunk), 2, "taken over, not copied");
	pages_put(pages, chunk);
	cr_assert_eq(bench_read(b, &f, PAGE_CHUNK_SIZE, got, &size), 0);
	cr_expect_arr_eq(got, data, PAGE_CHUNK_SIZE);
	cr_assert_eq(bench_remove(b, &b->root, "f"), 0);
}

Test(memfs, whole_chunks_are_adopted)
{
	bench_run(NULL, adoption);
}

static void reading(struct bench *b)
{
	static uint8_t old[8192], new[4096];
	struct op_handle f;
	memset(old, 'o', sizeof(old));
	memset(new, 'n', sizeof(new));
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	cr_assert_eq(bench_write(b, &f, 0, old, sizeof(old)), 0);
	struct op *op = bench_op(b, OP_read, &f);
	op->in.read.size = sizeof(old);
	cr_assert_eq(bench_go(b), 0);
	cr_assert_eq(op->n_segs, 1);
	const uint8_t *answer = pages_base(vfs_pages(b->vfs)) + op->segs[0].offset;
	struct vfs_pins pins = b->pins;
	cr_assert_eq(bench_write(b, &f, 2048, new, sizeof(new)), 0);
	cr_expect_arr_eq(answer, old, sizeof(old), "what was answered is what the file was then");
	vfs_pins_release(b->vfs, &pins);
	uint32_t size = sizeof(old);
	cr_assert_eq(bench_read(b, &f, 0, old, &size), 0);
	cr_expect(old[2047] == 'o' && old[2048] == 'n' && old[6143] == 'n' && old[6144] == 'o');
}

Test(memfs, a_write_leaves_alone_what_a_read_has_answered)
{
	bench_run(NULL, reading);
}
