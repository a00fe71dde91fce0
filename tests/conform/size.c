/* Sizes: truncation, holes, and offsets up to 2^63 - 1. */
#include "tests/conform/conform.h"

#define MAX_OFFSET ((uint64_t)INT64_MAX)

CASE(truncate_down, "truncating cuts; what is cut reads as zeros when the file grows again")
{
	struct obj f = a_text(t, "f", "0123456789");
	char data[12];

	OK(fs_truncate(t, &f, 4));
	EQ(attr_of(t, &f).size, 4);
	TRUE(holds(t, &f, "0123"));
	OK(fs_truncate(t, &f, 10));
	OK(fs_read(t, &f, 0, data, 12));
	EQ(t->ans.size, 10);
	SAME(data, "0123\0\0\0\0\0\0", 10);
}

CASE(truncate_zero, "truncating to nothing frees the space")
{
	uint8_t *data = memory(t, 300000);
	struct obj f = a_file(t, "f", 0644);

	fill_random(t, data, 300000);
	OK(fs_write(t, &f, 0, data, 300000));
	OK(fs_commit(t, &f));
	TRUE(attr_of(t, &f).space >= 200000);
	OK(fs_truncate(t, &f, 0));
	EQ(attr_of(t, &f).size, 0);
	EQ(attr_of(t, &f).space, 0);
}

CASE(truncate_up, "growing adds zeros")
{
	uint8_t *data = memory(t, 70000);
	struct obj f = a_text(t, "f", "text");

	OK(fs_truncate(t, &f, 65537));
	EQ(attr_of(t, &f).size, 65537);
	OK(fs_read(t, &f, 4, data, 70000));
	EQ(t->ans.size, 65533);
	TRUE(all_zero(data, 65533));
}

CASE(truncate_borders, "cutting within a page clears the rest of it")
{
	uint8_t *data = memory(t, 140000), *back = memory(t, 140000);
	static const uint32_t cuts[] = {1, 4095, 4096, 4097, 65535, 65536, 65537, 131071, 131072, 131073};
	struct obj f = a_file(t, "f", 0644);
	size_t i;

	memset(data, 0xaa, 140000);
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		row(t, "cut at %u", cuts[i]);
		OK(fs_write(t, &f, 0, data, 140000));
		OK(fs_truncate(t, &f, cuts[i]));
		OK(fs_truncate(t, &f, 140000));
		OK(fs_read(t, &f, 0, back, 140000));
		EQ(t->ans.size, 140000);
		SAME(back, data, cuts[i]);
		TRUE(all_zero(back + cuts[i], 140000 - cuts[i]));
	}
}

CASE(truncate_same, "truncating to the same size keeps the bytes")
{
	struct obj f = a_text(t, "f", "text");

	OK(fs_truncate(t, &f, 4));
	TRUE(holds(t, &f, "text"));
}

CASE(truncate_cut_then_write, "a write past a cut leaves zeros between, not the old bytes")
{
	uint8_t *data = memory(t, 20000);
	struct obj f = a_file(t, "f", 0644);

	memset(data, 0xbb, 20000);
	OK(fs_write(t, &f, 0, data, 20000));
	OK(fs_truncate(t, &f, 5000));
	OK(fs_write(t, &f, 15000, "x", 1));
	OK(fs_read(t, &f, 0, data, 20000));
	EQ(t->ans.size, 15001);
	TRUE(data[4999] == 0xbb);
	TRUE(all_zero(data + 5000, 10000));
}

CASE_NEEDS(sparse_space, HAS_HOLES, "a hole takes no space")
{
	struct obj f = a_file(t, "f", 0644);

	OK(fs_truncate(t, &f, 1 << 30));
	EQ(attr_of(t, &f).size, 1 << 30);
	EQ(attr_of(t, &f).space, 0);
	OK(fs_write(t, &f, 512 << 20, "x", 1));
	OK(fs_commit(t, &f));
	TRUE(attr_of(t, &f).space > 0);
	TRUE(attr_of(t, &f).space <= 1 << 20);
}

CASE(sparse_reads_zeros, "a hole of a gigabyte reads as zeros at both its ends")
{
	uint8_t *data = memory(t, 65536);
	struct obj f = a_file(t, "f", 0644);

	OK(fs_write(t, &f, 1 << 30, "end", 3));
	OK(fs_read(t, &f, 0, data, 65536));
	EQ(t->ans.size, 65536);
	TRUE(all_zero(data, 65536));
	OK(fs_read(t, &f, (1 << 30) - 65533, data, 65536));
	TRUE(all_zero(data, 65533));
	SAME(data + 65533, "end", 3);
}

CASE_NEEDS(big_truncate, HAS_BIG, "a file can be 2^63 - 1 bytes long")
{
	struct obj f = a_file(t, "f", 0644);
	char data[16];

	OK(fs_truncate(t, &f, MAX_OFFSET));
	EQ(attr_of(t, &f).size, MAX_OFFSET);
	OK(fs_read(t, &f, MAX_OFFSET - 10, data, 10));
	EQ(t->ans.size, 10);
	TRUE(all_zero(data, 10));
	OK(fs_truncate(t, &f, 1));
	EQ(attr_of(t, &f).size, 1);
}

static const uint64_t big_offsets[] = {
	0x7fffffffULL, 0xfffffffeULL, 0xffffffffULL, 0x100000000ULL, 1ULL << 40, 1ULL << 50, 1ULL << 62, (uint64_t)INT64_MAX - 70000,
};

CASE_NEEDS(big_write, HAS_BIG, "data at offsets around 2^31, 2^32, 2^40, 2^62 and near the end is kept")
{
	struct obj f = a_file(t, "f", 0644);
	char data[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(big_offsets); i++) {
		row(t, "offset %llu", (unsigned long long)big_offsets[i]);
		OK(fs_write(t, &f, big_offsets[i], "12345678", 8));
		EQ(attr_of(t, &f).size, big_offsets[i] + 8);
	}
	for (i = 0; i < ARRAY_SIZE(big_offsets); i++) {
		row(t, "offset %llu", (unsigned long long)big_offsets[i]);
		OK(fs_read(t, &f, big_offsets[i], data, 8));
		EQ(t->ans.size, 8);
		/* Neighbours overlap by up to seven bytes: the first is nobody else's. */
		EQ(data[0], '1');
	}
}

CASE_NEEDS(big_last_byte, HAS_BIG | HAS_OPS, "the last byte, at 2^63 - 2, can be written; none after it")
{
	struct obj f = a_file(t, "f", 0644);
	char data[4];

	OK(fs_write(t, &f, MAX_OFFSET - 1, "x", 1));
	EQ(attr_of(t, &f).size, MAX_OFFSET);
	OK(fs_read(t, &f, MAX_OFFSET - 1, data, 4));
	EQ(t->ans.size, 1);
	EQ(data[0], 'x');
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_write(t, &f, MAX_OFFSET, "x", 1));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_write(t, &f, MAX_OFFSET + 1, "x", 1));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_write(t, &f, UINT64_MAX, "x", 1));
	EQ(attr_of(t, &f).size, MAX_OFFSET);
}

CASE_NEEDS(big_refused, HAS_OPS, "sizes and offsets past 2^63 - 1 are refused everywhere and change nothing")
{
	struct obj f = a_text(t, "f", "text");
	char byte;

	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_truncate(t, &f, 1ULL << 63));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_truncate(t, &f, UINT64_MAX));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_allocate(t, &f, MAX_OFFSET, 10, 0));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_allocate(t, &f, UINT64_MAX, 10, 0));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_allocate(t, &f, 10, UINT64_MAX, 0));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_zero(t, &f, MAX_OFFSET, 10, 0));
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_write(t, &f, UINT64_MAX - 2, "text", 4));
	FAILS_EITHER(0, ERR_INVAL, fs_read(t, &f, UINT64_MAX, &byte, 1));
	FAILS_EITHER(ERR_NXIO, ERR_INVAL, fs_seek(t, &f, UINT64_MAX, SEEK_TO_DATA));
	TRUE(holds(t, &f, "text"));
}

CASE_NEEDS(big_file_limit, HAS_OPS, "the largest size that statfs tells can be set; past it ERR_FBIG")
{
	struct obj f = a_file(t, "f", 0644);
	uint64_t limit;

	OK(fs_statfs(t, &f));
	limit = t->ans.statfs.max_file_size;
	TRUE(limit >= 1ULL << 40);
	OK(fs_truncate(t, &f, limit));
	EQ(attr_of(t, &f).size, limit);
	FAILS_EITHER(ERR_FBIG, ERR_INVAL, fs_truncate(t, &f, limit + 1));
}

CASE(size_of_others, "a directory, a symbolic link and a fifo have the sizes they should")
{
	struct obj s = a_symlink(t, "s", "twelve bytes"), p = a_fifo(t, "p", 0600);

	EQ(attr_of(t, &s).size, 12);
	EQ(attr_of(t, &p).size, 0);
	FAILS_EITHER(ERR_INVAL, ERR_BADTYPE, fs_truncate(t, &p, 10));
}

CASE(truncate_open, "truncating through an open works without permission on the file")
{
	struct op_attr attr = {.mask = ATTR_SIZE, .size = 2};
	struct obj f = a_text(t, "f", "text");
	uint64_t open_id;

	OK(fs_open_obj(t, &f, OPEN_READ | OPEN_WRITE));
	open_id = t->ans.open_id;
	OK(fs_chmod(t, &f, 0));
	as(t, &BOB);
	OK(t->drv->setattr(t, &f, &attr, open_id));
	OK(fs_close(t, open_id));
	as(t, &ROOT);
	EQ(attr_of(t, &f).size, 2);
}
