/* Copying inside the store. */
#include "tests/conform/conform.h"

CASE(copy_files, "bytes are copied between files, at any offsets")
{
	struct obj from = a_text(t, "from", "0123456789"), to = a_text(t, "to", "abcdefghij");

	OK(fs_copy(t, &from, 2, &to, 5, 3));
	EQ(t->ans.size, 3);
	TRUE(holds(t, &to, "abcde234ij"));
	TRUE(holds(t, &from, "0123456789"));
}

CASE(copy_extends, "copying past the end of the target extends it, over a gap of zeros")
{
	struct obj from = a_text(t, "from", "text"), to = a_text(t, "to", "ab");
	char data[16];

	OK(fs_copy(t, &from, 0, &to, 6, 4));
	EQ(attr_of(t, &to).size, 10);
	OK(fs_read(t, &to, 0, data, 16));
	SAME(data, "ab\0\0\0\0text", 10);
}

CASE(copy_past_end, "copying stops at the source's end; from past it nothing is copied")
{
	struct obj from = a_text(t, "from", "text"), to = a_file(t, "to", 0644);

	OK(fs_copy(t, &from, 1, &to, 0, 1000));
	EQ(t->ans.size, 3);
	TRUE(holds(t, &to, "ext"));
	OK(fs_copy(t, &from, 4, &to, 0, 10));
	EQ(t->ans.size, 0);
	OK(fs_copy(t, &from, 100, &to, 50, 10));
	EQ(t->ans.size, 0);
	TRUE(holds(t, &to, "ext"));
}

CASE(copy_same_file, "a file is copied into itself where the ranges do not meet")
{
	struct obj f = a_text(t, "f", "0123456789");

	OK(fs_copy(t, &f, 0, &f, 5, 3));
	TRUE(holds(t, &f, "0123401289"));
	OK(fs_copy(t, &f, 0, &f, 10, 3));
	TRUE(holds(t, &f, "0123401289012"));
}

CASE(copy_overlap, "ranges that overlap in one file are ERR_INVAL and nothing is copied")
{
	struct obj f = a_text(t, "f", "0123456789");

	FAILS(ERR_INVAL, fs_copy(t, &f, 0, &f, 2, 5));
	FAILS(ERR_INVAL, fs_copy(t, &f, 2, &f, 0, 5));
	FAILS(ERR_INVAL, fs_copy(t, &f, 2, &f, 2, 5));
	TRUE(holds(t, &f, "0123456789"));
}

CASE(copy_whole, "a large file is copied whole, in as many calls as it takes")
{
	uint32_t size = 3 << 20, done = 0;
	uint8_t *data = memory(t, size), *back = memory(t, 1 << 20);
	struct obj from = a_file(t, "from", 0644), to = a_file(t, "to", 0644);
	unsigned i;

	fill_random(t, data, size);
	for (i = 0; i < 3; i++)
		OK(fs_write(t, &from, i << 20, data + (i << 20), 1 << 20));
	for (i = 0; i < 1000 && done < size; i++) {
		if (!OK(fs_copy(t, &from, done, &to, done, size - done)) || !TRUE(t->ans.size > 0))
			return;
		done += (uint32_t)t->ans.size;
	}
	EQ(done, size);
	for (i = 0; i < 3; i++) {
		OK(fs_read(t, &to, i << 20, back, 1 << 20));
		SAME(back, data + (i << 20), 1 << 20);
	}
}

CASE(copy_holes, "holes of the source are zeros in the target")
{
	uint8_t *data = memory(t, 300000);
	struct obj from = a_file(t, "from", 0644), to = a_file(t, "to", 0644);

	memset(data, 0xff, 300000);
	OK(fs_write(t, &to, 0, data, 300000));
	OK(fs_truncate(t, &from, 200000));
	OK(fs_write(t, &from, 199999, "x", 1));
	OK(fs_copy(t, &from, 0, &to, 0, 200000));
	EQ(t->ans.size, 200000);
	OK(fs_read(t, &to, 0, data, 300000));
	TRUE(all_zero(data, 199999));
	EQ(data[199999], 'x');
	EQ(data[200000], 0xff);
}

CASE(copy_types, "only files are copied, to files")
{
	struct obj f = a_text(t, "f", "text"), d = a_dir(t, "d", 0755);

	FAILS(ERR_ISDIR, fs_copy(t, &f, 0, &d, 0, 4));
	FAILS(ERR_ISDIR, fs_copy(t, &d, 0, &f, 0, 4));
}

CASE(copy_hard_link, "two names of one file are one file to copy")
{
	struct obj f = a_text(t, "f", "0123456789"), l = {0};

	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_lookup(t, &t->dir, "l", &l));
	FAILS(ERR_INVAL, fs_copy(t, &f, 0, &l, 2, 5));
	OK(fs_copy(t, &f, 0, &l, 5, 5));
	TRUE(holds(t, &f, "0123401234"));
}
