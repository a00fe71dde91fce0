/* Space: allocating, punching holes, zeroing in place, and finding data and holes. */
#include "tests/conform/conform.h"

#define MB (1u << 20)

/* A file of 1 MiB of 0x5a. */
static struct obj full_file(struct test *t)
{
	struct obj f = a_file(t, "f", 0644);
	uint8_t *data = memory(t, MB);

	memset(data, 0x5a, MB);
	OK(fs_write(t, &f, 0, data, MB));
	OK(fs_commit(t, &f));
	return f;
}

/* Whether the file is 0x5a but for zeros in [from, to). */
static bool zeros_within(struct test *t, const struct obj *f, uint32_t from, uint32_t to)
{
	uint8_t *data = memory(t, MB);
	uint32_t i;

	if (!OK(fs_read(t, f, 0, data, MB)) || t->ans.size != MB)
		return false;
	for (i = 0; i < MB; i++)
		if (data[i] != (i >= from && i < to ? 0 : 0x5a))
			return false;
	return true;
}

CASE_NEEDS(allocate_extends, HAS_HOLES, "allocating past the end extends the file with zeros")
{
	struct obj f = a_text(t, "f", "text");
	uint8_t *data = memory(t, 100000);

	OK(fs_allocate(t, &f, 0, 100000, 0));
	EQ(attr_of(t, &f).size, 100000);
	TRUE(attr_of(t, &f).space >= 100000);
	OK(fs_read(t, &f, 0, data, 100000));
	SAME(data, "text", 4);
	TRUE(all_zero(data + 4, 99996));
}

CASE_NEEDS(allocate_keep_size, HAS_HOLES, "allocating with KEEP_SIZE leaves the size")
{
	struct obj f = a_text(t, "f", "text");

	OK(fs_allocate(t, &f, 0, 100000, ALLOC_KEEP_SIZE));
	EQ(attr_of(t, &f).size, 4);
	TRUE(holds(t, &f, "text"));
}

CASE_NEEDS(allocate_inside, HAS_HOLES, "allocating what is there keeps the bytes")
{
	struct obj f = full_file(t);

	OK(fs_allocate(t, &f, 1000, 5000, 0));
	EQ(attr_of(t, &f).size, MB);
	TRUE(zeros_within(t, &f, 0, 0));
}

CASE_NEEDS(allocate_hole, HAS_HOLES, "allocating a hole takes space and reads as zeros")
{
	struct obj f = a_file(t, "f", 0644);
	uint8_t *data = memory(t, MB);

	OK(fs_truncate(t, &f, MB));
	OK(fs_allocate(t, &f, 0, MB, 0));
	TRUE(attr_of(t, &f).space >= MB);
	OK(fs_read(t, &f, 0, data, MB));
	TRUE(all_zero(data, MB));
}

CASE_NEEDS(allocate_nothing, HAS_HOLES, "allocating, punching and zeroing no bytes is ERR_INVAL")
{
	struct obj f = a_text(t, "f", "text");

	FAILS(ERR_INVAL, fs_allocate(t, &f, 0, 0, 0));
	FAILS(ERR_INVAL, fs_deallocate(t, &f, 0, 0));
	if (t->features & HAS_ZERO)
		FAILS(ERR_INVAL, fs_zero(t, &f, 0, 0, 0));
	TRUE(holds(t, &f, "text"));
}

CASE_NEEDS(allocate_types, HAS_HOLES, "only files are allocated and punched")
{
	struct obj d = a_dir(t, "d", 0755);

	FAILS(ERR_ISDIR, fs_allocate(t, &d, 0, 100, 0));
	FAILS(ERR_ISDIR, fs_deallocate(t, &d, 0, 100));
}

static const struct {
	uint32_t from, to;
} holes[] = {
	{0, 4096}, {4096, 8192}, {1, 4095}, {100, 200}, {4000, 4200}, {65536, 131072}, {65535, 131073}, {0, MB}, {MB - 5000, MB},
	{12345, 678901}, {MB - 1, MB}, {0, 1},
};

CASE_NEEDS(deallocate_ranges, HAS_HOLES, "punched ranges, aligned or not, read as zeros and nothing else does")
{
	struct obj f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		row(t, "%u to %u", holes[i].from, holes[i].to);
		f = full_file(t);
		OK(fs_deallocate(t, &f, holes[i].from, holes[i].to - holes[i].from));
		EQ(attr_of(t, &f).size, MB);
		TRUE(zeros_within(t, &f, holes[i].from, holes[i].to));
		OK(fs_unlink(t, &t->dir, "f"));
	}
}

CASE_NEEDS(deallocate_frees, HAS_HOLES, "punching frees the space")
{
	struct obj f = full_file(t);
	uint64_t before = attr_of(t, &f).space;

	OK(fs_deallocate(t, &f, 0, MB));
	EQ(attr_of(t, &f).size, MB);
	TRUE(attr_of(t, &f).space < before / 4);
}

CASE_NEEDS(deallocate_past_end, HAS_HOLES, "punching past the end does not extend the file")
{
	struct obj f = a_text(t, "f", "text");

	OK(fs_deallocate(t, &f, 2, 1000000));
	EQ(attr_of(t, &f).size, 4);
	OK(fs_deallocate(t, &f, 1000000, 1000000));
	EQ(attr_of(t, &f).size, 4);
	TRUE(!holds(t, &f, "text"));
}

CASE_NEEDS(deallocate_rewrite, HAS_HOLES, "a hole can be written again, all around it stays")
{
	struct obj f = full_file(t);

	OK(fs_deallocate(t, &f, 100000, 200000));
	OK(fs_write(t, &f, 150000, "x", 1));
	OK(fs_deallocate(t, &f, 150000, 1));
	TRUE(zeros_within(t, &f, 100000, 300000));
}

CASE_NEEDS(zero_ranges, HAS_ZERO, "zeroed ranges, aligned or not, read as zeros and nothing else does")
{
	struct obj f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		row(t, "%u to %u", holes[i].from, holes[i].to);
		f = full_file(t);
		OK(fs_zero(t, &f, holes[i].from, holes[i].to - holes[i].from, ALLOC_KEEP_SIZE));
		EQ(attr_of(t, &f).size, MB);
		TRUE(zeros_within(t, &f, holes[i].from, holes[i].to));
		OK(fs_unlink(t, &t->dir, "f"));
	}
}

CASE_NEEDS(zero_extends, HAS_ZERO, "zeroing past the end extends the file, unless KEEP_SIZE says not to")
{
	struct obj f = a_text(t, "f", "text");

	OK(fs_zero(t, &f, 2, 10000, ALLOC_KEEP_SIZE));
	EQ(attr_of(t, &f).size, 4);
	OK(fs_zero(t, &f, 2, 10000, 0));
	EQ(attr_of(t, &f).size, 10002);
}

CASE_NEEDS(seek_full, HAS_HOLES, "in a file without holes data is everywhere and the hole is the end")
{
	struct obj f = full_file(t);

	OK(fs_seek(t, &f, 0, SEEK_TO_DATA));
	EQ(t->ans.offset, 0);
	OK(fs_seek(t, &f, 12345, SEEK_TO_DATA));
	EQ(t->ans.offset, 12345);
	OK(fs_seek(t, &f, 0, SEEK_TO_HOLE));
	EQ(t->ans.offset, MB);
	OK(fs_seek(t, &f, MB - 1, SEEK_TO_HOLE));
	EQ(t->ans.offset, MB);
}

CASE(seek_past_end, "seeking at or past the end is ERR_NXIO")
{
	struct obj f = a_text(t, "f", "text"), empty = a_file(t, "empty", 0644);

	FAILS(ERR_NXIO, fs_seek(t, &f, 4, SEEK_TO_DATA));
	FAILS(ERR_NXIO, fs_seek(t, &f, 4, SEEK_TO_HOLE));
	FAILS(ERR_NXIO, fs_seek(t, &f, 1000, SEEK_TO_HOLE));
	FAILS(ERR_NXIO, fs_seek(t, &empty, 0, SEEK_TO_DATA));
	FAILS(ERR_NXIO, fs_seek(t, &empty, 0, SEEK_TO_HOLE));
}

CASE_NEEDS(seek_holes, HAS_HOLES, "data between two holes is found, and the holes")
{
	uint8_t *data = memory(t, 131072);
	struct obj f = a_file(t, "f", 0644);

	memset(data, 1, 131072);
	OK(fs_truncate(t, &f, MB));
	OK(fs_write(t, &f, 262144, data, 131072));
	OK(fs_commit(t, &f));
	OK(fs_seek(t, &f, 0, SEEK_TO_DATA));
	EQ(t->ans.offset, 262144);
	OK(fs_seek(t, &f, 0, SEEK_TO_HOLE));
	EQ(t->ans.offset, 0);
	OK(fs_seek(t, &f, 300000, SEEK_TO_DATA));
	EQ(t->ans.offset, 300000);
	OK(fs_seek(t, &f, 262144, SEEK_TO_HOLE));
	EQ(t->ans.offset, 262144 + 131072);
	FAILS(ERR_NXIO, fs_seek(t, &f, 262144 + 131072, SEEK_TO_DATA));
	OK(fs_seek(t, &f, MB - 1, SEEK_TO_HOLE));
	EQ(t->ans.offset, MB - 1);
}

CASE_NEEDS(seek_punched, HAS_HOLES, "a punched hole is found where it was punched")
{
	struct obj f = full_file(t);

	OK(fs_deallocate(t, &f, 262144, 262144));
	OK(fs_commit(t, &f));
	OK(fs_seek(t, &f, 0, SEEK_TO_HOLE));
	EQ(t->ans.offset, 262144);
	OK(fs_seek(t, &f, 262144, SEEK_TO_DATA));
	EQ(t->ans.offset, 524288);
}

CASE_NEEDS(seek_bad, HAS_OPS, "seeking for anything but data or holes is ERR_INVAL")
{
	struct obj f = a_text(t, "f", "text");

	FAILS(ERR_INVAL, fs_seek(t, &f, 0, 7));
}
