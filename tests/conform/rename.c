/* Rename: every kind onto every kind, in one directory and between two. */
#include "tests/conform/conform.h"

enum thing { ABSENT, A_FILE, AN_EMPTY_DIR, A_FULL_DIR, A_SYMLINK, A_FIFO, N_THINGS };

static const char *const thing_names[] = {"nothing", "a file", "an empty directory", "a full directory", "a symlink", "a fifo"};

static struct obj place(struct test *t, const struct obj *dir, const char *name, enum thing thing)
{
	struct op_attr fifo = {.mask = ATTR_TYPE | ATTR_MODE, .type = OP_TYPE_FIFO, .mode = 0600};
	struct obj o = {0};

	switch (thing) {
	case ABSENT: break;
	case A_FILE: o = file_in(t, dir, name, 0644); break;
	case AN_EMPTY_DIR: o = dir_in(t, dir, name, 0755); break;
	case A_FULL_DIR:
		o = dir_in(t, dir, name, 0755);
		file_in(t, &o, "inside", 0644);
		break;
	case A_SYMLINK: OK(fs_symlink(t, dir, name, "nowhere", &o)); break;
	default: OK(fs_mknod(t, dir, name, &fifo, &o)); break;
	}
	return o;
}

static bool is_dir(enum thing thing)
{
	return thing == AN_EMPTY_DIR || thing == A_FULL_DIR;
}

static int expected(enum thing source, enum thing target)
{
	if (target == ABSENT)
		return 0;
	if (is_dir(source) != is_dir(target))
		return is_dir(source) ? ERR_NOTDIR : ERR_ISDIR;
	return target == A_FULL_DIR ? ERR_NOTEMPTY : 0;
}

static void onto_one(struct test *t, enum thing source, enum thing target, bool other_dir)
{
	struct obj from = a_dir(t, "from", 0755), to = other_dir ? a_dir(t, "to", 0755) : from, s, found;
	int err;

	row(t, "%s onto %s", thing_names[source], thing_names[target]);
	s = place(t, &from, "s", source);
	place(t, &to, "t", target);
	err = fs_rename(t, &from, "s", &to, "t");
	if (err == ERR_EXIST && target == A_FULL_DIR)
		err = ERR_NOTEMPTY;
	EQ(err, expected(source, target));
	EQ(exists(t, &from, "s"), err != 0);
	EQ(exists(t, &to, "t"), err == 0 || target != ABSENT);
	if (!err && OK(fs_lookup(t, &to, "t", &found)))
		EQ(attr_of(t, &found).fileid, attr_of(t, &s).fileid);
	OK(fs_rename(t, &t->dir, "from", &t->dir, other_dir ? "from.2" : "from.1"));
	row(t, NULL);
}

static void clean(struct test *t, const char *name)
{
	struct obj o, inside;
	static const char *const names[] = {"s", "t"};
	unsigned i;

	if (fs_lookup(t, &t->dir, name, &o))
		return;
	for (i = 0; i < 2; i++) {
		if (fs_lookup(t, &o, names[i], &inside) == 0)
			fs_unlink(t, &inside, "inside");
		t->drv->remove(t, &o, str(names[i]), REMOVE_FILE);
		t->drv->remove(t, &o, str(names[i]), REMOVE_DIR);
	}
	OK(fs_rmdir(t, &t->dir, name));
}

static void onto_all(struct test *t, enum thing source, bool other_dir)
{
	enum thing target;

	for (target = ABSENT; target < N_THINGS; target++) {
		onto_one(t, source, target, other_dir);
		clean(t, "from.1");
		clean(t, "from.2");
		clean(t, "to");
	}
}

#define RENAME_CASES(name, thing)                                                              \
	CASE(rename_##name##_same_dir, #name " onto everything, in its directory")             \
	{                                                                                      \
		onto_all(t, thing, false);                                                     \
	}                                                                                      \
	CASE(rename_##name##_other_dir, #name " onto everything, in another directory")        \
	{                                                                                      \
		onto_all(t, thing, true);                                                      \
	}

RENAME_CASES(file, A_FILE)
RENAME_CASES(empty_dir, AN_EMPTY_DIR)
RENAME_CASES(full_dir, A_FULL_DIR)
RENAME_CASES(symlink, A_SYMLINK)
RENAME_CASES(fifo, A_FIFO)

static void noreplace_all(struct test *t, bool other_dir)
{
	struct obj to = other_dir ? a_dir(t, "to", 0755) : t->dir;
	enum thing source, target;
	char name[3] = "sa", to_name[3] = "ta";

	for (source = A_FILE; source < N_THINGS; source++)
		for (target = ABSENT; target < N_THINGS; target++, name[1]++, to_name[1]++) {
			row(t, "%s onto %s", thing_names[source], thing_names[target]);
			place(t, &t->dir, name, source);
			place(t, &to, to_name, target);
			FAILS(target == ABSENT ? 0 : ERR_EXIST,
			      fs_rename_flags(t, &t->dir, name, &to, to_name, RENAME_NOREPLACE));
			EQ(exists(t, &t->dir, name), target != ABSENT);
			TRUE(exists(t, &to, to_name));
		}
}

CASE(rename_noreplace_same_dir, "NOREPLACE onto anything that is there is ERR_EXIST")
{
	noreplace_all(t, false);
}

CASE(rename_noreplace_other_dir, "NOREPLACE into another directory as well")
{
	noreplace_all(t, true);
}

CASE(rename_noreplace_self, "NOREPLACE onto itself is ERR_EXIST: the name is taken")
{
	struct obj f = a_file(t, "f", 0644);

	FAILS(ERR_EXIST, fs_rename_flags(t, &t->dir, "f", &t->dir, "f", RENAME_NOREPLACE));
	EQ(attr_of(t, &f).nlink, 1);
}

static void exchange_all(struct test *t, bool other_dir)
{
	struct obj to = other_dir ? a_dir(t, "to", 0755) : t->dir, a, b, now_a, now_b;
	enum thing source, target;
	char name[3] = "sa", to_name[3] = "ta";

	for (source = A_FILE; source < N_THINGS; source++)
		for (target = A_FILE; target < N_THINGS; target++, name[1]++, to_name[1]++) {
			row(t, "%s with %s", thing_names[source], thing_names[target]);
			a = place(t, &t->dir, name, source);
			b = place(t, &to, to_name, target);
			OK(fs_rename_flags(t, &t->dir, name, &to, to_name, RENAME_EXCHANGE));
			OK(fs_lookup(t, &t->dir, name, &now_a));
			OK(fs_lookup(t, &to, to_name, &now_b));
			EQ(attr_of(t, &now_a).fileid, attr_of(t, &b).fileid);
			EQ(attr_of(t, &now_b).fileid, attr_of(t, &a).fileid);
		}
}

CASE_NEEDS(rename_exchange_same_dir, HAS_EXCHANGE, "EXCHANGE swaps any two kinds in a directory")
{
	exchange_all(t, false);
}

CASE_NEEDS(rename_exchange_other_dir, HAS_EXCHANGE, "EXCHANGE swaps any two kinds between directories")
{
	exchange_all(t, true);
}

CASE_NEEDS(rename_exchange_absent, HAS_EXCHANGE, "EXCHANGE with nothing is ERR_NOENT")
{
	a_file(t, "f", 0644);
	FAILS(ERR_NOENT, fs_rename_flags(t, &t->dir, "f", &t->dir, "absent", RENAME_EXCHANGE));
	FAILS(ERR_NOENT, fs_rename_flags(t, &t->dir, "absent", &t->dir, "f", RENAME_EXCHANGE));
	TRUE(exists(t, &t->dir, "f"));
}

CASE_NEEDS(rename_exchange_subtree, HAS_EXCHANGE, "EXCHANGE of a directory with what is below it is ERR_INVAL")
{
	struct obj a = a_dir(t, "a", 0755), b = dir_in(t, &a, "b", 0755);

	dir_in(t, &b, "c", 0755);
	FAILS(ERR_INVAL, fs_rename_flags(t, &t->dir, "a", &a, "b", RENAME_EXCHANGE));
	FAILS(ERR_INVAL, fs_rename_flags(t, &t->dir, "a", &b, "c", RENAME_EXCHANGE));
	FAILS(ERR_INVAL, fs_rename_flags(t, &b, "c", &t->dir, "a", RENAME_EXCHANGE));
}

CASE_NEEDS(rename_exchange_parents, HAS_EXCHANGE, "EXCHANGE of a file and a directory moves parent and link counts")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755), d = dir_in(t, &a, "d", 0755), up = {0};

	file_in(t, &b, "f", 0644);
	EQ(attr_of(t, &a).nlink, 3);
	OK(fs_rename_flags(t, &a, "d", &b, "f", RENAME_EXCHANGE));
	EQ(attr_of(t, &a).nlink, 2);
	EQ(attr_of(t, &b).nlink, 3);
	OK(fs_parent(t, &d, &up));
	EQ(attr_of(t, &up).fileid, attr_of(t, &b).fileid);
}

CASE_NEEDS(rename_exchange_self, HAS_EXCHANGE, "EXCHANGE of a name with itself does nothing")
{
	struct obj f = a_text(t, "f", "text");

	OK(fs_rename_flags(t, &t->dir, "f", &t->dir, "f", RENAME_EXCHANGE));
	TRUE(holds(t, &f, "text"));
	EQ(attr_of(t, &f).nlink, 1);
}

CASE(rename_flags_both, "NOREPLACE with EXCHANGE, and flags that do not exist, are ERR_INVAL")
{
	a_file(t, "a", 0644);
	a_file(t, "b", 0644);
	FAILS(ERR_INVAL, fs_rename_flags(t, &t->dir, "a", &t->dir, "b", RENAME_NOREPLACE | RENAME_EXCHANGE));
	FAILS(ERR_INVAL, fs_rename_flags(t, &t->dir, "a", &t->dir, "b", 0x40));
	EQ(count_entries(t, &t->dir), 2);
}

CASE(rename_absent, "renaming what is not there is ERR_NOENT, whatever is at the other end")
{
	a_file(t, "f", 0644);
	a_dir(t, "d", 0755);
	FAILS(ERR_NOENT, fs_rename(t, &t->dir, "absent", &t->dir, "new"));
	FAILS(ERR_NOENT, fs_rename(t, &t->dir, "absent", &t->dir, "f"));
	FAILS(ERR_NOENT, fs_rename(t, &t->dir, "absent", &t->dir, "d"));
}

CASE(rename_in_file, "renaming from or to below what is no directory is ERR_NOTDIR")
{
	struct obj f = a_file(t, "f", 0777);

	a_file(t, "g", 0644);
	FAILS(ERR_NOTDIR, fs_rename(t, &f, "x", &t->dir, "y"));
	FAILS(ERR_NOTDIR, fs_rename(t, &t->dir, "g", &f, "y"));
}

CASE(rename_own_subtree, "a directory cannot move below itself")
{
	struct obj a = a_dir(t, "a", 0755), b = dir_in(t, &a, "b", 0755), c = dir_in(t, &b, "c", 0755);

	FAILS(ERR_INVAL, fs_rename(t, &t->dir, "a", &a, "x"));
	FAILS(ERR_INVAL, fs_rename(t, &t->dir, "a", &b, "x"));
	FAILS(ERR_INVAL, fs_rename(t, &t->dir, "a", &c, "x"));
	FAILS(ERR_INVAL, fs_rename(t, &a, "b", &c, "x"));
	TRUE(exists(t, &b, "c"));
}

CASE(rename_onto_ancestor, "a directory cannot replace one it lies in")
{
	struct obj a = a_dir(t, "a", 0755), b = dir_in(t, &a, "b", 0755);

	dir_in(t, &b, "c", 0755);
	FAILS_EITHER(ERR_NOTEMPTY, ERR_EXIST, fs_rename(t, &b, "c", &a, "b"));
	FAILS_EITHER(ERR_NOTEMPTY, ERR_EXIST, fs_rename(t, &b, "c", &t->dir, "a"));
	FAILS_EITHER(ERR_NOTEMPTY, ERR_EXIST, fs_rename(t, &a, "b", &t->dir, "a"));
}

CASE(rename_self, "renaming onto itself does nothing and succeeds")
{
	struct obj f = a_text(t, "f", "text"), d = a_dir(t, "d", 0755);

	OK(fs_rename(t, &t->dir, "f", &t->dir, "f"));
	OK(fs_rename(t, &t->dir, "d", &t->dir, "d"));
	TRUE(holds(t, &f, "text"));
	EQ(attr_of(t, &d).nlink, 2);
}

CASE(rename_hard_link, "renaming onto another name of the same object does nothing: both names stay")
{
	struct obj f = a_file(t, "f", 0644);

	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_rename(t, &t->dir, "f", &t->dir, "l"));
	TRUE(exists(t, &t->dir, "f"));
	TRUE(exists(t, &t->dir, "l"));
	EQ(attr_of(t, &f).nlink, 2);
}

CASE(rename_hard_link_other_dir, "the same between directories")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755);

	OK(fs_link(t, &f, &d, "l"));
	OK(fs_rename(t, &t->dir, "f", &d, "l"));
	TRUE(exists(t, &t->dir, "f"));
	TRUE(exists(t, &d, "l"));
	EQ(attr_of(t, &f).nlink, 2);
}

CASE(rename_keeps_data, "a renamed file keeps its bytes, a renamed directory its entries")
{
	struct obj f = a_text(t, "f", "text"), d = a_dir(t, "d", 0755), inside = file_in(t, &d, "inside", 0644);
	struct obj o = {0};

	OK(fs_write_text(t, &inside, 0, "deep"));
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_rename(t, &t->dir, "d", &t->dir, "e"));
	TRUE(holds(t, &f, "text"));
	OK(fs_path(t, &t->dir, "e/inside", &o));
	TRUE(holds(t, &o, "deep"));
	FAILS(ERR_NOENT, fs_lookup(t, &t->dir, "d", &o));
}

CASE(rename_replaced_count, "the replaced object loses a name; its other names stay")
{
	struct obj f = a_file(t, "f", 0644), g = a_text(t, "g", "old");

	OK(fs_link(t, &g, &t->dir, "other"));
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	EQ(attr_of(t, &g).nlink, 1);
	EQ(attr_of(t, &f).nlink, 1);
	TRUE(holds(t, &g, "old"));
}

CASE(rename_replaced_open, "the replaced file lives while it is open")
{
	struct obj g = a_text(t, "g", "old");
	struct io io = {.size = 3};
	char data[3];

	a_file(t, "f", 0644);
	OK(fs_open_obj(t, &g, OPEN_READ));
	io.open_id = t->ans.open_id;
	io.data = data;
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_io(t, &g, &io, false));
	SAME(data, "old", 3);
	EQ(attr_of(t, &g).nlink, 0);
	OK(fs_close(t, io.open_id));
}

CASE(rename_times, "renaming changes both directories' times and the object's ctime, not its mtime")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755), f = file_in(t, &a, "f", 0644);
	struct op_attr dir_a = attr_of(t, &a), dir_b = attr_of(t, &b), file = attr_of(t, &f);

	tick(t);
	OK(fs_rename(t, &a, "f", &b, "g"));
	TIME_AFTER(attr_of(t, &a).mtime, dir_a.mtime);
	TIME_AFTER(attr_of(t, &a).ctime, dir_a.ctime);
	TIME_AFTER(attr_of(t, &b).mtime, dir_b.mtime);
	TIME_AFTER(attr_of(t, &b).ctime, dir_b.ctime);
	TIME_EQ(attr_of(t, &f).mtime, file.mtime);
	TIME_AFTER(attr_of(t, &f).ctime, file.ctime);
}

CASE(rename_failed_times, "a rename that fails changes no times")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755), before_a, before_b;
	struct op_attr attr_a, attr_b;

	before_a = file_in(t, &a, "f", 0644);
	before_b = dir_in(t, &b, "d", 0755);
	attr_a = attr_of(t, &a);
	attr_b = attr_of(t, &b);
	tick(t);
	FAILS(ERR_ISDIR, fs_rename(t, &a, "f", &b, "d"));
	TIME_EQ(attr_of(t, &a).mtime, attr_a.mtime);
	TIME_EQ(attr_of(t, &b).mtime, attr_b.mtime);
	EQ(attr_of(t, &before_a).nlink, 1);
	EQ(attr_of(t, &before_b).nlink, 2);
}

CASE(rename_dir_counts, "a directory that replaces one, or changes its parent, moves link counts")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755);

	dir_in(t, &a, "d", 0755);
	dir_in(t, &b, "d", 0755);
	OK(fs_rename(t, &a, "d", &b, "d"));
	EQ(attr_of(t, &a).nlink, 2);
	EQ(attr_of(t, &b).nlink, 3);
}

CASE(rename_case_only, "a rename that changes case only changes the name")
{
	a_file(t, "name", 0644);
	OK(fs_rename(t, &t->dir, "name", &t->dir, "NAME"));
	TRUE(!exists(t, &t->dir, "name"));
	TRUE(exists(t, &t->dir, "NAME"));
	EQ(count_entries(t, &t->dir), 1);
}

CASE(rename_chain, "a name renamed 500 times is one name")
{
	struct obj f = a_text(t, "0", "text");
	char from[2] = "0", to[2] = "0";
	unsigned i;

	for (i = 1; i <= 500; i++) {
		to[0] = (char)('0' + i % 40);
		OK(fs_rename(t, &t->dir, from, &t->dir, to));
		from[0] = to[0];
	}
	EQ(count_entries(t, &t->dir), 1);
	TRUE(holds(t, &f, "text"));
}

CASE(rename_to_removed_dir, "nothing moves into a removed directory")
{
	struct obj d = a_dir(t, "d", 0755);

	a_file(t, "f", 0644);
	OK(fs_rmdir(t, &t->dir, "d"));
	FAILS_EITHER(ERR_NOENT, ERR_STALE, fs_rename(t, &t->dir, "f", &d, "f"));
	TRUE(exists(t, &t->dir, "f"));
}
