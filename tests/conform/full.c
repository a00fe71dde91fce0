/* A full store: run alone, on a small one (statfs tells under 64 MiB), with --filter 'full_*'. */
#include <stdio.h>

#include "tests/conform/verbs-stream.h"

#define BLOCK 65536

/* Writes until the store is full; gives how many bytes fitted. */
static uint64_t fill(struct test *t, const struct obj *f)
{
	uint8_t *data = memory(t, BLOCK);
	uint64_t offset = 0;
	int err = 0;

	memset(data, 0x77, BLOCK);
	while (!err && offset < 1ULL << 30) {
		err = fs_write(t, f, offset, data, BLOCK);
		if (!err)
			offset += BLOCK;
	}
	EQ(err, ERR_NOSPC);
	return offset;
}

CASE_NEEDS(full_write, HAS_SMALL, "a full store answers ERR_NOSPC; what was written before is whole")
{
	struct obj keep = a_text(t, "keep", "precious"), f = a_file(t, "f", 0644);
	uint8_t *data = memory(t, BLOCK);
	uint64_t size = fill(t, &f), at_byte;

	TRUE(size > 0);
	EQ(attr_of(t, &f).size, size);
	for (at_byte = 0; at_byte < size; at_byte += BLOCK) {
		OK(fs_read(t, &f, at_byte, data, BLOCK));
		EQ(data[0], 0x77);
		TRUE(!memcmp(data, data + 1, BLOCK - 1));
	}
	TRUE(holds(t, &keep, "precious"));
	OK(fs_statfs(t, &f));
	TRUE(t->ans.statfs.free_bytes < 2 * BLOCK);
}

CASE_NEEDS(full_overwrite, HAS_SMALL, "what is there can be written over on a full store")
{
	struct obj f = a_file(t, "f", 0644);
	char data[5];

	fill(t, &f);
	OK(fs_write_text(t, &f, 10, "again"));
	OK(fs_read(t, &f, 10, data, 5));
	SAME(data, "again", 5);
}

CASE_NEEDS(full_remove, HAS_SMALL, "removing works on a full store and gives the space back")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755);
	uint64_t size = fill(t, &f);

	TRUE(attr_of(t, &d).nlink == 2);
	OK(fs_rmdir(t, &t->dir, "d"));
	OK(fs_unlink(t, &t->dir, "f"));
	f = a_file(t, "g", 0644);
	TRUE(fill(t, &f) + BLOCK >= size);
}

CASE_NEEDS(full_truncate, HAS_SMALL, "truncating and punching give space back on a full store")
{
	struct obj f = a_file(t, "f", 0644), g = a_file(t, "g", 0644);
	uint64_t size = fill(t, &f);

	OK(fs_truncate(t, &f, size / 2));
	OK(fs_write(t, &g, 0, memory(t, BLOCK), BLOCK));
	OK(fs_deallocate(t, &f, 0, size / 4));
	OK(fs_write(t, &g, BLOCK, memory(t, BLOCK), BLOCK));
}

CASE_NEEDS(full_rename, HAS_SMALL, "renaming and reading work on a full store")
{
	struct obj f = a_file(t, "f", 0644);

	fill(t, &f);
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_chmod(t, &f, 0600));
	EQ(count_entries(t, &t->dir), 1);
}

CASE_NEEDS(full_allocate, HAS_SMALL, "allocating more than there is changes nothing")
{
	struct obj f = a_text(t, "f", "text");
	uint64_t before;

	OK(fs_statfs(t, &f));
	before = t->ans.statfs.free_bytes;
	FAILS(ERR_NOSPC, fs_allocate(t, &f, 0, t->ans.statfs.total_bytes + BLOCK, 0));
	TRUE(holds(t, &f, "text"));
	OK(fs_statfs(t, &f));
	EQ(t->ans.statfs.free_bytes, before);
}

CASE_NEEDS(full_partial, HAS_SMALL, "a write that does not fit whole is not written in part")
{
	struct obj f = a_file(t, "f", 0644), g = a_file(t, "g", 0644);
	uint8_t *data = memory(t, OP_IO_MAX);
	uint64_t size = fill(t, &f);

	OK(fs_truncate(t, &f, size - 2 * BLOCK));
	FAILS(ERR_NOSPC, fs_write(t, &g, 0, data, OP_IO_MAX));
	EQ(attr_of(t, &g).size, 0);
}

CASE_NEEDS(full_names, HAS_SMALL, "making names until nothing fits ends in ERR_NOSPC; then all can be removed")
{
	char name[24];
	unsigned n = 0;
	int err = 0;

	while (!err && n < 2000000) {
		snprintf(name, sizeof(name), "n%u", n);
		err = fs_create(t, &t->dir, name, 0644, NULL);
		n += !err;
	}
	EQ(err, ERR_NOSPC);
	EQ(count_entries(t, &t->dir), n);
	while (n-- > 0) {
		snprintf(name, sizeof(name), "n%u", n);
		if (!OK(fs_unlink(t, &t->dir, name)))
			return;
	}
	a_file(t, "again", 0644);
}

CASE_NEEDS(full_streams, HAS_SMALL | HAS_STREAMS, "streams fill a store as files do; on a full one they can be read, removed, and their space used again")
{
	struct obj f = a_file(t, "f", 0644), s = a_stream(t, &f, "s", ""), small = a_stream(t, &f, "small", "text");
	uint64_t size = fill(t, &s);

	TRUE(size > 0);
	TRUE(holds(t, &small, "text"));
	EQ(attr_of(t, &s).size, size);
	OK(fs_rename_stream(t, &f, "small", "other", 0));
	OK(fs_remove_stream(t, &f, "s", 0));
	s = a_stream(t, &f, "again", "");
	TRUE(fill(t, &s) + BLOCK >= size);
	OK(fs_unlink(t, &t->dir, "f"));
	f = a_file(t, "g", 0644);
	TRUE(fill(t, &f) + BLOCK >= size);
}
