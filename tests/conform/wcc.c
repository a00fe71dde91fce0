/* Attributes before and after: what a change answers is exactly what getattr says around it. */
#include "tests/conform/conform.h"

static void check_wcc(struct test *t, const struct op_wcc *wcc, const struct op_attr *before, const struct obj *o)
{
	struct op_attr after = attr_of(t, o);

	EQ(wcc->pre.valid, 1);
	EQ(wcc->pre.size, before->size);
	EQ(wcc->pre.change, before->change);
	TIME_EQ(wcc->pre.mtime, before->mtime);
	TIME_EQ(wcc->pre.ctime, before->ctime);
	EQ(wcc->post.mask & ATTR_SIZE, ATTR_SIZE);
	EQ(wcc->post.size, after.size);
	EQ(wcc->post.mode, after.mode);
	EQ(wcc->post.nlink, after.nlink);
	EQ(wcc->post.fileid, after.fileid);
	EQ(wcc->post.change, after.change);
	TIME_EQ(wcc->post.mtime, after.mtime);
	TIME_EQ(wcc->post.ctime, after.ctime);
}

static void name_op(struct test *t, const struct obj *d, const char *what, int err, const struct op_attr *before)
{
	struct op_wcc wcc = t->ans.wcc;

	row(t, "%s", what);
	OK(err);
	check_wcc(t, &wcc, before, d);
	TRUE(wcc.post.change > wcc.pre.change);
}

CASE_NEEDS(wcc_names, HAS_WCC, "every change of a directory answers its attributes of before and after")
{
	struct op_attr fifo = {.mask = ATTR_TYPE | ATTR_MODE, .type = OP_TYPE_FIFO, .mode = 0600}, before;
	struct obj d = a_dir(t, "d", 0755), f = a_file(t, "f", 0644);

	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "create", fs_create(t, &d, "a", 0644, NULL), &before);
	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "mkdir", fs_mkdir(t, &d, "b", 0755, NULL), &before);
	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "symlink", fs_symlink(t, &d, "c", "x", NULL), &before);
	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "mknod", fs_mknod(t, &d, "e", &fifo, NULL), &before);
	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "link", fs_link(t, &f, &d, "g"), &before);
	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "remove", fs_unlink(t, &d, "a"), &before);
	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "rmdir", fs_rmdir(t, &d, "b"), &before);
	before = attr_of(t, &d);
	tick(t);
	name_op(t, &d, "rename inside", fs_rename(t, &d, "c", &d, "h"), &before);
}

CASE_NEEDS(wcc_rename, HAS_WCC, "rename answers both directories")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755);
	struct op_attr before_a, before_b;
	struct op_wcc wcc, to_wcc;

	dir_in(t, &a, "d", 0755);
	before_a = attr_of(t, &a);
	before_b = attr_of(t, &b);
	tick(t);
	OK(fs_rename(t, &a, "d", &b, "d"));
	wcc = t->ans.wcc;
	to_wcc = t->ans.to_wcc;
	check_wcc(t, &wcc, &before_a, &a);
	check_wcc(t, &to_wcc, &before_b, &b);
}

static void data_op(struct test *t, const struct obj *f, const char *what, int err, const struct op_attr *before)
{
	struct op_wcc wcc = t->ans.wcc;

	row(t, "%s", what);
	if (err == ERR_NOTSUPP)
		return;
	OK(err);
	check_wcc(t, &wcc, before, f);
}

CASE_NEEDS(wcc_objects, HAS_WCC, "every change of a file answers its attributes of before and after")
{
	struct obj f = a_text(t, "f", "text"), from = a_text(t, "from", "other");
	struct op_attr before;

	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "write", fs_write(t, &f, 2, "xx", 2), &before);
	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "truncate", fs_truncate(t, &f, 100), &before);
	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "chmod", fs_chmod(t, &f, 0600), &before);
	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "utimes", fs_utimes(t, &f, at(1, 1), at(2, 2)), &before);
	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "copy", fs_copy(t, &from, 0, &f, 0, 5), &before);
	before = attr_of(t, &f);
	data_op(t, &f, "commit", fs_commit(t, &f), &before);
}

CASE_NEEDS(wcc_space, HAS_WCC | HAS_HOLES, "allocating, punching and zeroing answer before and after")
{
	struct obj f = a_text(t, "f", "text");
	struct op_attr before = attr_of(t, &f);

	tick(t);
	data_op(t, &f, "allocate", fs_allocate(t, &f, 0, 100000, 0), &before);
	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "deallocate", fs_deallocate(t, &f, 0, 5000), &before);
	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "zero", fs_zero(t, &f, 0, 3000, 0), &before);
}

CASE_NEEDS(wcc_xattr, HAS_WCC | HAS_XATTR, "setting and removing an extended attribute answer before and after")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr before = attr_of(t, &f);

	tick(t);
	data_op(t, &f, "set", fs_set_xattr(t, &f, "user.x", "1", 0), &before);
	before = attr_of(t, &f);
	tick(t);
	data_op(t, &f, "remove", fs_remove_xattr(t, &f, "user.x"), &before);
}

CASE_NEEDS(wcc_answers_object, HAS_WCC, "what is made is answered with the attributes that getattr gives")
{
	struct op_attr made, now;
	struct obj d = {0};

	OK(fs_mkdir(t, &t->dir, "d", 0751, &d));
	made = t->ans.attr;
	now = attr_of(t, &d);
	EQ(made.mask & ATTR_ALL, now.mask & ATTR_ALL);
	EQ(made.fileid, now.fileid);
	EQ(made.mode, 0751);
	EQ(made.nlink, 2);
	EQ(made.change, now.change);
	TIME_EQ(made.btime, now.btime);
	TIME_EQ(made.ctime, now.ctime);
}

CASE_NEEDS(wcc_lookup, HAS_WCC, "lookup answers the object's attributes and the directory's")
{
	struct obj f = a_text(t, "f", "123"), o;
	struct op_attr dir = attr_of(t, &t->dir);

	OK(fs_lookup(t, &t->dir, "f", &o));
	EQ(t->ans.attr.size, 3);
	EQ(t->ans.dir.fileid, dir.fileid);
	EQ(t->ans.dir.change, dir.change);
	EQ(t->ans.attr.fileid, attr_of(t, &f).fileid);
}

CASE_NEEDS(attr_complete, HAS_OPS, "getattr answers every attribute, of every kind of object")
{
	uint64_t need = ATTR_ALL & ~(uint64_t)(ATTR_BTIME | ATTR_DOS);
	struct obj o;
	unsigned kind;

	for (kind = 0; kind < MAKE_LINK; kind++) {
		row(t, "%s", kind_name(kind));
		OK(make_kind(t, kind, &t->dir, str(kind_name(kind))));
		OK(fs_lookup(t, &t->dir, kind_name(kind), &o));
		EQ(attr_of(t, &o).mask & need, need);
	}
}
