/* Sharing blocks between files. Where the store cannot, cases end early: it says so with ERR_NOTSUPP. */
#include "tests/conform/conform.h"

#define B OP_CLONE_UNIT
#define N 64u /* blocks of the source */

struct pair {
	struct obj from, to;
	uint8_t *data, *back;
};

/* A source of N blocks and size more bytes, and an empty target; false: nothing is shared here. */
static bool a_pair(struct test *t, struct pair *p, uint32_t more)
{
	struct obj probe;
	int err;

	p->data = memory(t, (N + 1) * B);
	p->back = memory(t, 4 * N * B);
	fill_random(t, p->data, (N + 1) * B);
	p->from = a_file(t, "from", 0644);
	p->to = a_file(t, "to", 0644);
	probe = a_file(t, "probe", 0644);
	OK(fs_write(t, &p->from, 0, p->data, N * B + more));
	err = fs_clone(t, &p->from, 0, &probe, 0, 0);
	if (err != ERR_NOTSUPP)
		OK(err);
	return err == 0;
}

static void same(struct test *t, struct pair *p, const struct obj *o, uint64_t offset, const uint8_t *want, uint32_t size)
{
	OK(fs_read(t, o, offset, p->back, size));
	EQ(t->ans.size, size);
	SAME(p->back, want, size);
}

CASE(clone_whole, "a clone has the source's bytes and size, to an end within a block")
{
	struct pair p;

	if (!a_pair(t, &p, 100))
		return;
	OK(fs_clone(t, &p.from, 0, &p.to, 0, 0));
	EQ(attr_of(t, &p.to).size, N * B + 100);
	same(t, &p, &p.to, 0, p.data, N * B + 100);
	same(t, &p, &p.from, 0, p.data, N * B + 100);
}

CASE(clone_apart, "what is written to either later does not show in the other")
{
	struct pair p;

	if (!a_pair(t, &p, 0))
		return;
	OK(fs_clone(t, &p.from, 0, &p.to, 0, 0));
	OK(fs_write(t, &p.from, 5 * B + 10, "source", 6));
	OK(fs_commit(t, &p.from));
	same(t, &p, &p.to, 0, p.data, N * B);
	OK(fs_write(t, &p.to, 40 * B, "target", 6));
	OK(fs_deallocate(t, &p.to, 50 * B, B));
	OK(fs_commit(t, &p.to));
	memcpy(p.data + 5 * B + 10, "source", 6);
	same(t, &p, &p.from, 0, p.data, N * B);
	OK(fs_truncate(t, &p.from, 3));
	OK(fs_read(t, &p.to, 5 * B + 10, p.back, 6));
	TRUE(memcmp(p.back, "source", 6) != 0);
	same(t, &p, &p.to, 41 * B, p.data + 41 * B, 9 * B);
	OK(fs_unlink(t, &t->dir, "from"));
	same(t, &p, &p.to, 51 * B, p.data + 51 * B, 13 * B);
}

CASE(clone_range, "a range of blocks goes anywhere, over what was there")
{
	struct pair p;

	if (!a_pair(t, &p, 0))
		return;
	OK(fs_write(t, &p.to, 0, p.data + 20 * B, 10 * B + 7));
	OK(fs_clone(t, &p.from, 3 * B, &p.to, 5 * B, 4 * B));
	EQ(attr_of(t, &p.to).size, 10 * B + 7);
	same(t, &p, &p.to, 0, p.data + 20 * B, 5 * B);
	same(t, &p, &p.to, 5 * B, p.data + 3 * B, 4 * B);
	same(t, &p, &p.to, 9 * B, p.data + 29 * B, B + 7);
	OK(fs_clone(t, &p.from, 0, &p.to, 100 * B, B));
	EQ(attr_of(t, &p.to).size, 101 * B);
	same(t, &p, &p.to, 100 * B, p.data, B);
	OK(fs_read(t, &p.to, 50 * B, p.back, 50 * B));
	TRUE(all_zero(p.back, 50 * B));
}

CASE(clone_self, "a file shares blocks with itself where the ranges do not meet")
{
	struct pair p;

	if (!a_pair(t, &p, 0))
		return;
	OK(fs_clone(t, &p.from, 0, &p.from, 10 * B, 10 * B));
	OK(fs_clone(t, &p.from, 0, &p.from, N * B, 5 * B));
	memcpy(p.data + 10 * B, p.data, 10 * B);
	same(t, &p, &p.from, 0, p.data, N * B);
	same(t, &p, &p.from, N * B, p.data, 5 * B);
	OK(fs_write(t, &p.from, 0, "new", 3));
	OK(fs_commit(t, &p.from));
	same(t, &p, &p.from, 10 * B, p.data, 10 * B);
	FAILS(ERR_INVAL, fs_clone(t, &p.from, 0, &p.from, 2 * B, 4 * B));
	FAILS(ERR_INVAL, fs_clone(t, &p.from, 2 * B, &p.from, 0, 0));
}

CASE(clone_holes, "holes of the source are holes of the target, whatever was there")
{
	struct pair p;

	if (!a_pair(t, &p, 0))
		return;
	OK(fs_deallocate(t, &p.from, 4 * B, 8 * B));
	OK(fs_write(t, &p.to, 0, p.data + B, 20 * B));
	OK(fs_clone(t, &p.from, 0, &p.to, 0, 16 * B));
	memset(p.data + 4 * B, 0, 8 * B);
	same(t, &p, &p.to, 0, p.data, 16 * B);
	same(t, &p, &p.to, 16 * B, p.data + 17 * B, 4 * B);
}

CASE(clone_small, "a file of a few bytes is cloned, too")
{
	struct obj from = a_text(t, "small", "few"), to = a_file(t, "to", 0644);
	int err = fs_clone(t, &from, 0, &to, 0, 0);

	if (err == ERR_NOTSUPP)
		return;
	OK(err);
	TRUE(holds(t, &to, "few"));
	OK(fs_write_text(t, &to, 0, "new"));
	TRUE(holds(t, &from, "few"));
	OK(fs_clone(t, &from, 0, &to, 2 * B, 3));
	EQ(attr_of(t, &to).size, 2 * B + 3);
}

CASE(clone_limits, "offsets are blocks', sizes too but at both ends; no range passes the source's end")
{
	struct pair p;

	if (!a_pair(t, &p, 100))
		return;
	FAILS(ERR_INVAL, fs_clone(t, &p.from, 1, &p.to, 0, B));
	FAILS(ERR_INVAL, fs_clone(t, &p.from, 0, &p.to, 512, B));
	FAILS(ERR_INVAL, fs_clone(t, &p.from, 0, &p.to, 0, B + 1));
	FAILS(ERR_INVAL, fs_clone(t, &p.from, 0, &p.to, 0, (N + 1) * B));
	FAILS(ERR_INVAL, fs_clone(t, &p.from, (N + 2) * B, &p.to, 0, 0));
	EQ(attr_of(t, &p.to).size, 0);
	OK(fs_truncate(t, &p.to, 4 * B));
	FAILS(ERR_INVAL, fs_clone(t, &p.from, N * B, &p.to, 0, 100));
	OK(fs_clone(t, &p.from, N * B, &p.to, 4 * B, 100));
	EQ(attr_of(t, &p.to).size, 4 * B + 100);
}

CASE(clone_types, "only files are cloned, to files")
{
	struct obj f = a_text(t, "f", "text"), d = a_dir(t, "d", 0755), to = a_file(t, "to", 0644);

	if (fs_clone(t, &f, 0, &to, 0, 0) == ERR_NOTSUPP)
		return;
	FAILS(ERR_ISDIR, fs_clone(t, &f, 0, &d, 0, 0));
	FAILS(ERR_ISDIR, fs_clone(t, &d, 0, &f, 0, 0));
}

CASE(clone_space, "cloned blocks take room once, until they are written over")
{
	struct pair p;
	uint64_t before;

	if (!(t->features & HAS_OWN_SPACE) || !a_pair(t, &p, 0))
		return;
	OK(fs_commit(t, &p.from));
	OK(fs_statfs(t, &p.to));
	before = t->ans.statfs.free_bytes;
	OK(fs_clone(t, &p.from, 0, &p.to, 0, 0));
	OK(fs_clone(t, &p.from, 0, &p.to, N * B, 0));
	OK(fs_statfs(t, &p.to));
	/* memfs promises each file room for its own. */
	TRUE(before - t->ans.statfs.free_bytes < N * B / 2 || before - t->ans.statfs.free_bytes == 2 * N * B);
	OK(fs_unlink(t, &t->dir, "from"));
	same(t, &p, &p.to, N * B, p.data, N * B);
}

CASE_NEEDS(clone_perm, HAS_USERS, "cloning takes reading here and writing there")
{
	struct obj from = a_text(t, "from", "text"), to = a_file(t, "to", 0666), probe = a_file(t, "probe", 0644);

	if (fs_clone(t, &from, 0, &probe, 0, 0) == ERR_NOTSUPP)
		return;
	OK(fs_chmod(t, &from, 0600));
	as(t, &ALICE);
	FAILS(ERR_ACCES, fs_clone(t, &from, 0, &to, 0, 0));
	as(t, &ROOT);
	OK(fs_chmod(t, &from, 0644));
	OK(fs_chmod(t, &to, 0644));
	as(t, &ALICE);
	FAILS(ERR_ACCES, fs_clone(t, &from, 0, &to, 0, 0));
}

/* A copy as large as this is made by sharing where that is possible. */
CASE(clone_copy, "large copies at equal places within blocks have the same bytes, edges included")
{
	uint32_t size = 1 << 20, shift;
	uint8_t *data = memory(t, size), *back = memory(t, size);
	struct obj from = a_file(t, "from", 0644), to;
	char name[8] = "to0";

	fill_random(t, data, size);
	OK(fs_write(t, &from, 0, data, size));
	for (shift = 0; shift < 3; shift++, name[2]++) {
		uint64_t at_byte = shift * 1000, left = size - at_byte - 77, done = 0;

		to = a_file(t, name, 0644);
		OK(fs_write(t, &to, 0, data + 5000, 60000));
		while (left && OK(fs_copy(t, &from, at_byte + done, &to, at_byte + B + done, left)) && TRUE(t->ans.size)) {
			done += t->ans.size;
			left -= t->ans.size;
		}
		OK(fs_read(t, &to, 0, back, (uint32_t)(at_byte + B)));
		SAME(back, data + 5000, at_byte + B);
		OK(fs_read(t, &to, at_byte + B, back, (uint32_t)done));
		SAME(back, data + at_byte, done);
	}
}
