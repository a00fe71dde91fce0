/* Handles: stable, unforgeable, and stale once their object is gone. */
#include "tests/conform/driver-client.h"

static bool same_handle(const struct obj *a, const struct obj *b)
{
	return a->handle.size == b->handle.size && !memcmp(a->handle.bytes, b->handle.bytes, a->handle.size);
}

CASE_NEEDS(handle_same, HAS_OPS, "one object has one handle, however it was found")
{
	struct obj f = a_file(t, "f", 0644), o = {0};

	OK(fs_lookup(t, &t->dir, "f", &o));
	TRUE(same_handle(&f, &o));
	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_lookup(t, &t->dir, "l", &o));
	TRUE(same_handle(&f, &o));
	OK(fs_path(t, &t->dir, "f", &o));
	TRUE(same_handle(&f, &o));
}

CASE_NEEDS(handle_parent, HAS_OPS, "a directory found as '..' or as parent has the handle it had")
{
	struct obj d = a_dir(t, "d", 0755), o = {0};

	OK(fs_lookup(t, &d, "..", &o));
	TRUE(same_handle(&t->dir, &o));
	OK(fs_parent(t, &d, &o));
	TRUE(same_handle(&t->dir, &o));
	OK(fs_lookup(t, &d, ".", &o));
	TRUE(same_handle(&d, &o));
}

CASE_NEEDS(handle_distinct, HAS_OPS, "different objects have different handles")
{
	struct obj a = a_file(t, "a", 0644), b = a_file(t, "b", 0644);

	TRUE(!same_handle(&a, &b));
	TRUE(a.handle.size > OP_HANDLE_HEAD && a.handle.size <= OP_HANDLE_MAX);
}

CASE_NEEDS(handle_rename, HAS_OPS, "a handle stays through renames, to other directories and over others")
{
	struct obj f = a_text(t, "f", "text"), d = a_dir(t, "d", 0755), o = {0};

	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_rename(t, &t->dir, "g", &d, "h"));
	file_in(t, &d, "i", 0644);
	OK(fs_rename(t, &d, "h", &d, "i"));
	TRUE(holds(t, &f, "text"));
	OK(fs_lookup(t, &d, "i", &o));
	TRUE(same_handle(&f, &o));
}

CASE_NEEDS(handle_dir_moved, HAS_OPS, "handles below a directory stay when it moves")
{
	struct obj a = a_dir(t, "a", 0755), b = a_dir(t, "b", 0755), d = dir_in(t, &a, "d", 0755), f = file_in(t, &d, "f", 0644);
	struct obj o = {0};

	OK(fs_rename(t, &a, "d", &b, "e"));
	OK(fs_write_text(t, &f, 0, "x"));
	OK(fs_lookup(t, &d, "f", &o));
	TRUE(same_handle(&f, &o));
}

CASE_NEEDS(handle_reused_name, HAS_OPS, "a name made again is another object with another handle; the old one is stale")
{
	struct obj f = a_file(t, "f", 0644), g;
	unsigned i;

	for (i = 0; i < 20; i++) {
		OK(fs_unlink(t, &t->dir, "f"));
		g = a_file(t, "f", 0644);
		TRUE(!same_handle(&f, &g));
		FAILS(ERR_STALE, fs_getattr(t, &f));
		f = g;
	}
}

CASE_NEEDS(handle_bit_flips, HAS_OPS, "a handle with any one bit changed is ERR_BADHANDLE")
{
	struct obj f = a_file(t, "f", 0644), forged;
	unsigned bit;

	for (bit = 0; bit < 8u * f.handle.size; bit++) {
		row(t, "bit %u", bit);
		forged = f;
		forged.handle.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		FAILS(ERR_BADHANDLE, fs_getattr(t, &forged));
	}
}

CASE_NEEDS(handle_sizes, HAS_OPS, "a handle cut short or padded is ERR_BADHANDLE")
{
	struct obj f = a_file(t, "f", 0644), forged;
	unsigned size;

	for (size = 0; size <= OP_HANDLE_MAX; size++) {
		if (size == f.handle.size)
			continue;
		row(t, "size %u", size);
		forged = f;
		forged.handle.size = (uint8_t)size;
		FAILS(ERR_BADHANDLE, fs_getattr(t, &forged));
	}
}

CASE_NEEDS(handle_random, HAS_OPS, "random bytes are no handle")
{
	struct obj forged = {0};
	unsigned i;

	for (i = 0; i < 1000; i++) {
		fill_random(t, forged.handle.bytes, sizeof(forged.handle.bytes));
		forged.handle.size = (uint8_t)(random_u64(t) % (OP_HANDLE_MAX + 1));
		FAILS(ERR_BADHANDLE, fs_getattr(t, &forged));
	}
}

CASE_NEEDS(handle_forged_everywhere, HAS_OPS, "no operation takes a forged handle, in either place")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755), bad = f, bad_dir = d, o;
	char data[8];

	bad.handle.bytes[0] ^= 1;
	bad_dir.handle.bytes[bad_dir.handle.size - 1] ^= 0x80;
	FAILS(ERR_BADHANDLE, fs_read(t, &bad, 0, data, 1));
	FAILS(ERR_BADHANDLE, fs_write(t, &bad, 0, "x", 1));
	FAILS(ERR_BADHANDLE, fs_chmod(t, &bad, 0777));
	FAILS(ERR_BADHANDLE, fs_open_obj(t, &bad, OPEN_READ));
	FAILS(ERR_BADHANDLE, fs_lookup(t, &bad_dir, "x", &o));
	FAILS(ERR_BADHANDLE, fs_path(t, &bad_dir, "x", &o));
	FAILS(ERR_BADHANDLE, fs_mkdir(t, &bad_dir, "x", 0755, &o));
	FAILS(ERR_BADHANDLE, fs_link(t, &bad, &d, "x"));
	FAILS(ERR_BADHANDLE, fs_link(t, &f, &bad_dir, "x"));
	FAILS(ERR_BADHANDLE, fs_rename(t, &bad_dir, "f", &d, "x"));
	FAILS(ERR_BADHANDLE, fs_rename(t, &t->dir, "f", &bad_dir, "x"));
	FAILS(ERR_BADHANDLE, fs_copy(t, &f, 0, &bad, 0, 1));
	FAILS(ERR_BADHANDLE, fs_copy(t, &bad, 0, &f, 0, 1));
	FAILS(ERR_BADHANDLE, fs_statfs(t, &bad));
	FAILS(ERR_BADHANDLE, fs_commit(t, &bad));
	EQ(count_entries(t, &d), 0);
}

static uint32_t tag_of(const struct obj *o)
{
	return op_handle_tag(&o->handle);
}

CASE_NEEDS(handle_tag, HAS_OPS, "the tag stamped on a root is inherited by all that is reached from it, and cannot be changed")
{
	struct op *op = ops_new(t, OP_lookup_path, NULL);
	struct client_buf *buf = ops_payload(t, op, "store", 5);
	struct obj root = {0}, d = {0}, o = {0};
	int err;

	op->in.lookup_path.tag = 4711;
	err = ops_run(t, op);
	root.handle = op->out.lookup_path.obj;
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	if (err == ERR_NOENT) /* the mount has another name in a running server */
		return;
	OK(err);
	EQ(tag_of(&root), 4711);
	OK(fs_mkdir(t, &root, "tagged", 0755, &d));
	EQ(tag_of(&d), 4711);
	OK(fs_create(t, &d, "f", 0644, &o));
	EQ(tag_of(&o), 4711);
	OK(fs_lookup(t, &d, "f", &o));
	EQ(tag_of(&o), 4711);
	OK(fs_parent(t, &d, &o));
	EQ(tag_of(&o), 4711);
	OK(fs_unlink(t, &d, "f"));
	OK(fs_rmdir(t, &root, "tagged"));
}

CASE_NEEDS(handle_tags_one_object, HAS_OPS, "handles that differ by tag alone are one object")
{
	struct op *op = ops_new(t, OP_lookup_path, NULL);
	struct client_buf *buf = ops_payload(t, op, "store", 5);
	struct obj root = {0};
	int err;

	op->in.lookup_path.tag = 99;
	err = ops_run(t, op);
	root.handle = op->out.lookup_path.obj;
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	if (err == ERR_NOENT)
		return;
	OK(err);
	EQ(attr_of(t, &root).fileid, attr_of(t, &t->root).fileid);
}

CASE_NEEDS(handle_mounts, HAS_OPS, "without an object a path begins with a mount's name; others are ERR_NOENT")
{
	struct obj none = {0}, o;

	FAILS(ERR_NOENT, fs_path(t, &none, "no such mount", &o));
	FAILS(ERR_NOENT, fs_path(t, &none, "no such mount/below", &o));
	FAILS(ERR_NOENT, fs_path(t, &none, "stor", &o));
}
