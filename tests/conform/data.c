/* Data: what was written is read, at any offset and size, and what never was reads as zeros. */
#include "tests/conform/conform.h"

#define K 1024
#define MODEL_SIZE (512 * K)

CASE(read_back, "bytes written are read")
{
	struct obj f = a_file(t, "f", 0644);
	char data[8] = {0};

	OK(fs_write_text(t, &f, 0, "hello"));
	EQ(t->ans.size, 5);
	EQ(attr_of(t, &f).size, 5);
	OK(fs_read(t, &f, 0, data, 8));
	EQ(t->ans.size, 5);
	SAME(data, "hello\0\0\0", 8);
}

CASE(read_eof, "reading stops at the end of the file and says so")
{
	struct obj f = a_text(t, "f", "0123456789");
	char data[16];

	OK(fs_read(t, &f, 8, data, 16));
	EQ(t->ans.size, 2);
	EQ(t->ans.eof, 1);
	OK(fs_read(t, &f, 10, data, 16));
	EQ(t->ans.size, 0);
	EQ(t->ans.eof, 1);
	OK(fs_read(t, &f, 1000000, data, 16));
	EQ(t->ans.size, 0);
	OK(fs_read(t, &f, 0, data, 5));
	EQ(t->ans.size, 5);
	EQ(t->ans.eof, 0);
}

CASE_NEEDS(read_eof_exact, HAS_OPS, "a read that ends at the end of the file says so")
{
	struct obj f = a_text(t, "f", "0123456789");
	char data[16];

	OK(fs_read(t, &f, 0, data, 10));
	EQ(t->ans.size, 10);
	EQ(t->ans.eof, 1);
	OK(fs_read(t, &f, 3, data, 7));
	EQ(t->ans.eof, 1);
	OK(fs_read(t, &f, 3, data, 6));
	EQ(t->ans.eof, 0);
}

CASE(read_empty, "an empty file reads as nothing")
{
	struct obj f = a_file(t, "f", 0644);
	char data[4];

	OK(fs_read(t, &f, 0, data, 4));
	EQ(t->ans.size, 0);
	EQ(t->ans.eof, 1);
}

CASE(read_zero_size, "reading no bytes is fine and gives none")
{
	struct obj f = a_text(t, "f", "text");
	char byte;

	OK(fs_read(t, &f, 0, &byte, 0));
	EQ(t->ans.size, 0);
	OK(fs_read(t, &f, 100, &byte, 0));
	EQ(t->ans.size, 0);
}

CASE(read_dir, "a directory is not read as a file")
{
	struct obj d = a_dir(t, "d", 0755);
	char byte;

	FAILS(ERR_ISDIR, fs_read(t, &d, 0, &byte, 1));
	FAILS(ERR_ISDIR, fs_write(t, &d, 0, "x", 1));
	FAILS_EITHER(ERR_ISDIR, ERR_INVAL, fs_truncate(t, &d, 0));
}

CASE(read_symlink, "a symbolic link is not read nor written as a file")
{
	struct obj f = a_text(t, "f", "text"), s = a_symlink(t, "s", "f");
	char byte;

	NE(fs_read(t, &s, 0, &byte, 1), 0);
	NE(fs_write(t, &s, 0, "x", 1), 0);
	NE(fs_truncate(t, &s, 0), 0);
	TRUE(holds(t, &f, "text"));
}

CASE(write_overwrite, "overwriting changes the bytes written and no others")
{
	struct obj f = a_text(t, "f", "0123456789");

	OK(fs_write_text(t, &f, 3, "abc"));
	TRUE(holds(t, &f, "012abc6789"));
	OK(fs_write_text(t, &f, 8, "xyz"));
	TRUE(holds(t, &f, "012abc67xyz"));
}

CASE(write_past_end, "a gap between the old end and a write reads as zeros")
{
	struct obj f = a_text(t, "f", "abc");
	char *data = memory(t, 20000);

	OK(fs_write_text(t, &f, 10000, "end"));
	EQ(attr_of(t, &f).size, 10003);
	OK(fs_read(t, &f, 0, data, 20000));
	EQ(t->ans.size, 10003);
	SAME(data, "abc", 3);
	TRUE(all_zero(data + 3, 9997));
	SAME(data + 10000, "end", 3);
}

CASE(write_zero_size, "writing no bytes far away does not extend the file")
{
	struct obj f = a_text(t, "f", "text");

	OK(fs_write(t, &f, 1 << 20, "", 0));
	EQ(attr_of(t, &f).size, 4);
}

static const uint64_t borders[] = {4 * K, 16 * K, 64 * K, 128 * K, 256 * K, K * K};

CASE(write_across_borders, "writes that straddle page, chunk and megabyte borders are whole")
{
	uint8_t *data = memory(t, 8 * K), *back = memory(t, 8 * K);
	struct obj f = a_file(t, "f", 0644);
	size_t i;
	int lead;

	for (i = 0; i < ARRAY_SIZE(borders); i++)
		for (lead = 1; lead < 5000; lead = lead * 3 + 1) {
			row(t, "%d before %llu", lead, (unsigned long long)borders[i]);
			fill_random(t, data, 5 * K);
			OK(fs_write(t, &f, borders[i] - (uint64_t)lead, data, 5 * K));
			OK(fs_read(t, &f, borders[i] - (uint64_t)lead, back, 5 * K));
			EQ(t->ans.size, 5 * K);
			SAME(back, data, 5 * K);
		}
}

CASE(write_megabyte, "the largest write and read are whole, at odd offsets too")
{
	uint8_t *data = memory(t, OP_IO_MAX), *back = memory(t, OP_IO_MAX);
	struct obj f = a_file(t, "f", 0644);

	fill_random(t, data, OP_IO_MAX);
	OK(fs_write(t, &f, 0, data, OP_IO_MAX));
	EQ(t->ans.size, OP_IO_MAX);
	OK(fs_read(t, &f, 0, back, OP_IO_MAX));
	EQ(t->ans.size, OP_IO_MAX);
	SAME(back, data, OP_IO_MAX);
	OK(fs_write(t, &f, 12345, data, OP_IO_MAX));
	OK(fs_read(t, &f, 12345, back, OP_IO_MAX));
	SAME(back, data, OP_IO_MAX);
	EQ(attr_of(t, &f).size, OP_IO_MAX + 12345);
}

CASE(write_every_size, "each size from 1 to 600 bytes is written and read whole")
{
	uint8_t *data = memory(t, 600), *back = memory(t, 600);
	struct obj f = a_file(t, "f", 0644);
	uint32_t size;

	fill_random(t, data, 600);
	for (size = 1; size <= 600; size++) {
		row(t, "size %u", size);
		OK(fs_write(t, &f, size * 7, data, size));
		OK(fs_read(t, &f, size * 7, back, size));
		EQ(t->ans.size, size);
		SAME(back, data, size);
	}
}

struct model {
	uint8_t *bytes;
	uint8_t *back;
	uint32_t size;
};

static void model_write(struct test *t, const struct obj *f, struct model *m)
{
	uint32_t offset = random_u64(t) % MODEL_SIZE, size = (uint32_t)(random_u64(t) % (100 * K));

	size = MIN(size, MODEL_SIZE - offset);
	if (random_u64(t) % 2) {
		offset &= ~4095u;
		size = MIN(ALIGN_UP(size, 4096), MODEL_SIZE - offset);
	}
	fill_random(t, m->bytes + offset, size);
	OK(fs_write(t, f, offset, m->bytes + offset, size));
	if (size)
		m->size = MAX(m->size, offset + size);
}

static void model_truncate(struct test *t, const struct obj *f, struct model *m)
{
	uint32_t size = random_u64(t) % MODEL_SIZE;

	OK(fs_truncate(t, f, size));
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

static void model_punch(struct test *t, const struct obj *f, struct model *m)
{
	uint32_t offset = random_u64(t) % MODEL_SIZE, size = 1 + (uint32_t)(random_u64(t) % (64 * K));

	if (!(t->features & HAS_HOLES))
		return;
	OK(fs_deallocate(t, f, offset, size));
	if (offset < m->size)
		memset(m->bytes + offset, 0, MIN(size, m->size - offset));
}

static void model_zero(struct test *t, const struct obj *f, struct model *m)
{
	uint32_t offset = random_u64(t) % MODEL_SIZE, size = 1 + (uint32_t)(random_u64(t) % (64 * K));

	if (!(t->features & HAS_ZERO))
		return;
	size = MIN(size, MODEL_SIZE - offset);
	OK(fs_zero(t, f, offset, size, 0));
	memset(m->bytes + offset, 0, size);
	m->size = MAX(m->size, offset + size);
}

static void model_copy(struct test *t, const struct obj *f, struct model *m)
{
	uint32_t from = random_u64(t) % (MODEL_SIZE / 2), to = MODEL_SIZE / 2 + (uint32_t)(random_u64(t) % (MODEL_SIZE / 4));
	uint32_t size = 1 + (uint32_t)(random_u64(t) % (MODEL_SIZE / 4)), end = MIN(m->size, MODEL_SIZE / 2u), done;

	if (from >= end)
		return;
	size = MIN(size, end - from);
	OK(fs_copy(t, f, from, f, to, size));
	done = (uint32_t)t->ans.size;
	TRUE(done > 0 && done <= size);
	memmove(m->bytes + to, m->bytes + from, done);
	m->size = MAX(m->size, to + done);
}

static void model_check(struct test *t, const struct obj *f, struct model *m)
{
	uint32_t offset = random_u64(t) % MODEL_SIZE, size = (uint32_t)(random_u64(t) % (200 * K)), want;

	want = offset < m->size ? MIN(size, m->size - offset) : 0;
	OK(fs_read(t, f, offset, m->back, size));
	EQ(t->ans.size, want);
	SAME(m->back, m->bytes + offset, want);
}

static void model_run(struct test *t, unsigned n_steps)
{
	static void (*const steps[])(struct test *, const struct obj *, struct model *) = {
		model_write, model_write, model_write, model_truncate, model_punch, model_zero, model_copy,
	};
	struct model m = {memory(t, MODEL_SIZE + 300 * K), memory(t, 300 * K), 0};
	struct obj f = a_file(t, "f", 0644);
	unsigned i, which;

	for (i = 0; i < n_steps; i++) {
		which = random_u64(t) % ARRAY_SIZE(steps);
		row(t, "step %u, kind %u", i, which);
		steps[which](t, &f, &m);
		EQ(attr_of(t, &f).size, m.size);
		model_check(t, &f, &m);
	}
}

CASE(data_model, "600 random writes, truncates, punches, zeroings and copies give what a model says")
{
	model_run(t, 600);
}

CASE(data_model_again, "and so with other numbers")
{
	t->random_state += 12345;
	model_run(t, 600);
}

CASE(append_moves, "appending writes at the end, wherever it is, and ignores the offset")
{
	struct io io = {.offset = 2, .data = "end", .size = 3, .flags = WRITE_APPEND};
	struct obj f = a_text(t, "f", "start");

	OK(fs_io(t, &f, &io, true));
	TRUE(holds(t, &f, "startend"));
	OK(fs_truncate(t, &f, 1));
	OK(fs_io(t, &f, &io, true));
	TRUE(holds(t, &f, "send"));
}

CASE_NEEDS(append_offset, HAS_OPS, "an append answers where it wrote")
{
	struct obj f = a_text(t, "f", "start");

	OK(fs_append(t, &f, "abc", 3));
	EQ(t->ans.offset, 5);
	OK(fs_append(t, &f, "def", 3));
	EQ(t->ans.offset, 8);
}

CASE_NEEDS(write_stability, HAS_OPS, "a write is as stable as asked for, or more; the verifier stays")
{
	struct io io = {.data = "text", .size = 4};
	struct obj f = a_file(t, "f", 0644);
	uint64_t verifier = 0;
	uint32_t how;

	for (how = WRITE_UNSTABLE; how <= WRITE_FILE_SYNC; how++) {
		row(t, "stability %u", how);
		io.stability = how;
		OK(fs_io(t, &f, &io, true));
		TRUE(t->ans.stability >= how && t->ans.stability <= WRITE_FILE_SYNC);
		if (how)
			EQ(t->ans.verifier, verifier);
		verifier = t->ans.verifier;
	}
	OK(fs_commit(t, &f));
	EQ(t->ans.verifier, verifier);
}

CASE_NEEDS(write_bad_stability, HAS_OPS, "a stability that does not exist is ERR_INVAL")
{
	struct io io = {.data = "text", .size = 4, .stability = 3};
	struct obj f = a_file(t, "f", 0644);

	FAILS(ERR_INVAL, fs_io(t, &f, &io, true));
	EQ(attr_of(t, &f).size, 0);
}

CASE(commit_range, "committing a range, past the end too, is fine")
{
	struct range r = {.offset = 100, .size = 1000};
	struct obj f = a_text(t, "f", "text");

	OK(t->drv->commit(t, &f, &r));
	OK(fs_commit(t, &f));
	OK(t->drv->sync(t, &f));
}

CASE(data_two_files, "files do not leak into each other when made, cut and made again")
{
	uint8_t *data = memory(t, 100 * K), *back = memory(t, 100 * K);
	struct obj f;
	unsigned i;

	for (i = 0; i < 20; i++) {
		f = a_file(t, "f", 0644);
		memset(data, (int)i + 1, 100 * K);
		OK(fs_write(t, &f, 0, data, 100 * K));
		OK(fs_truncate(t, &f, 10));
		OK(fs_truncate(t, &f, 100 * K));
		OK(fs_read(t, &f, 0, back, 100 * K));
		SAME(back, data, 10);
		TRUE(all_zero(back + 10, 100 * K - 10));
		OK(fs_unlink(t, &t->dir, "f"));
	}
}
