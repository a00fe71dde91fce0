/* Facts of the file system. */
#include "tests/conform/conform.h"

CASE(statfs_sane, "totals are at least what is free, that at least what is available")
{
	struct op_statfs st;

	OK(fs_statfs(t, &t->dir));
	st = t->ans.statfs;
	TRUE(st.total_bytes > 0);
	TRUE(st.free_bytes <= st.total_bytes);
	TRUE(st.avail_bytes <= st.free_bytes);
	TRUE(st.free_files <= st.total_files);
	EQ(st.name_max, 255);
	EQ(st.read_only, 0);
}

CASE(statfs_of_file, "a file tells what its directory tells")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_statfs st;

	OK(fs_statfs(t, &t->dir));
	st = t->ans.statfs;
	OK(fs_statfs(t, &f));
	EQ(t->ans.statfs.total_bytes, st.total_bytes);
	EQ(t->ans.statfs.fsid, st.fsid);
}

CASE_NEEDS(statfs_facts, HAS_OPS, "limits are those of the protocol or better")
{
	OK(fs_statfs(t, &t->dir));
	TRUE(t->ans.statfs.max_file_size >= 1ULL << 40);
	TRUE(t->ans.statfs.link_max >= 1000);
	EQ(t->ans.statfs.case_insensitive, 0);
	TRUE(t->ans.statfs.time_delta_ns >= 1 && t->ans.statfs.time_delta_ns <= 1000000000);
	EQ(t->ans.statfs.fsid, attr_of(t, &t->dir).fsid);
}

CASE_NEEDS(statfs_counts, HAS_OPS | HAS_HOLES | HAS_OWN_SPACE, "a megabyte written is a megabyte less free, and comes back")
{
	uint8_t *data = memory(t, 1 << 20);
	struct obj f = a_file(t, "f", 0644);
	uint64_t before;

	fill_random(t, data, 1 << 20);
	OK(fs_statfs(t, &f));
	before = t->ans.statfs.free_bytes;
	OK(fs_write(t, &f, 0, data, 1 << 20));
	OK(fs_statfs(t, &f));
	TRUE(t->ans.statfs.free_bytes <= before - (1 << 20));
	OK(fs_truncate(t, &f, 0));
	OK(fs_statfs(t, &f));
	EQ(t->ans.statfs.free_bytes, before);
}
