/* Snapshots, over the ops themselves. Where the store has none, cases end early: it says so with ERR_NOTSUPP. */
#include <stdio.h>

#include "tests/conform/driver-client.h"
#include "tests/conform/conform.h"

#define ROOM 65536

static int named(struct test *t, enum op_code code, const char *name)
{
	struct op *op = ops_new(t, code, &t->root);
	struct op_str *field = code == OP_snapshot_create   ? &op->in.snapshot_create.name
	                       : code == OP_snapshot_remove ? &op->in.snapshot_remove.name
	                                                    : &op->in.snapshot_rollback.name;
	int err;

	ops_str(op, field, name);
	err = ops_run(t, op);
	ops_put(t, op);
	return err;
}

static int create(struct test *t, const char *name)
{
	return named(t, OP_snapshot_create, name);
}

static int drop(struct test *t, const char *name)
{
	return named(t, OP_snapshot_remove, name);
}

static int list(struct test *t, const char *name, bool *found)
{
	struct op *op = ops_new(t, OP_snapshot_list, &t->root);
	struct client_buf *buf = ops_payload(t, op, NULL, ROOM);
	struct op_snapshot head;
	uint32_t at_byte = 0;
	int err = ops_run(t, op);

	*found = false;
	for (; !err && at_byte < op->out.snapshot_list.size; at_byte += head.record_size) {
		memcpy(&head, buf->data + at_byte, sizeof(head));
		*found |= head.state == SNAPSHOT_READY && head.name_size == strlen(name) &&
		         !memcmp(buf->data + at_byte + sizeof(head), name, head.name_size);
	}
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

/* Whether a snapshot of that name is listed as whole. */
static bool is_listed(struct test *t, const char *name)
{
	bool found;

	OK(list(t, name, &found));
	return found;
}

/* Creates one and finds the case's directory in it; false: there are none here. */
static bool a_snapshot(struct test *t, const char *name, struct obj *dir)
{
	char path[300];
	int err = create(t, name);
	bool found;

	if (err == ERR_NOTSUPP) {
		FAILS(ERR_NOTSUPP, list(t, name, &found));
		FAILS(ERR_NOTSUPP, drop(t, name));
		FAILS(ERR_NOTSUPP, named(t, OP_snapshot_rollback, name));
		return false;
	}
	if (!OK(err))
		return false;
	snprintf(path, sizeof(path), ".snapshot/%s/%s", name, t->dir_name);
	return OK(fs_path(t, &t->root, path, dir));
}

CASE_NEEDS(snapshot_keeps, HAS_OPS, "a snapshot shows files, names and attributes as they were")
{
	uint8_t *data = memory(t, 300000), *back = memory(t, 300000);
	struct obj f = a_file(t, "f", 0640), gone = a_text(t, "gone", "still"), d = a_dir(t, "d", 0755), dir, old;
	struct op_attr before;

	fill_random(t, data, 300000);
	OK(fs_write(t, &f, 0, data, 300000));
	file_in(t, &d, "inner", 0600);
	bool named = fs_set_xattr(t, &f, "user.colour", "blue", 0) == 0;
	before = attr_of(t, &f);
	if (!a_snapshot(t, "keeps", &dir))
		return;
	OK(fs_write(t, &f, 70000, "changed", 7));
	OK(fs_chmod(t, &f, 0600));
	OK(fs_truncate(t, &f, 100000));
	OK(fs_unlink(t, &t->dir, "gone"));
	OK(fs_rename(t, &t->dir, "d", &t->dir, "e"));
	a_text(t, "later", "new");
	OK(fs_lookup(t, &dir, "f", &old));
	EQ(attr_of(t, &old).size, 300000);
	EQ(attr_of(t, &old).mode, before.mode);
	TIME_EQ(attr_of(t, &old).mtime, before.mtime);
	OK(fs_read(t, &old, 0, back, 300000));
	SAME(back, data, 300000);
	if (named) {
		OK(fs_get_xattr(t, &old, "user.colour", back, 300000));
		EQ(t->ans.size, 4);
		SAME(back, "blue", 4);
	}
	OK(fs_lookup(t, &dir, "gone", &old));
	TRUE(holds(t, &old, "still"));
	FAILS(ERR_STALE, fs_getattr(t, &gone));
	FAILS(ERR_NOENT, fs_lookup(t, &dir, "later", &old));
	OK(fs_path(t, &dir, "d/inner", &old));
	EQ(count_entries(t, &dir), 3);
	EQ(count_entries(t, &t->dir), 3);
	OK(drop(t, "keeps"));
}

CASE_NEEDS(snapshot_read_only, HAS_OPS, "nothing of a snapshot can be changed")
{
	struct obj f = a_text(t, "f", "text"), dir, old, made;

	if (!a_snapshot(t, "ro", &dir))
		return;
	OK(fs_lookup(t, &dir, "f", &old));
	FAILS(ERR_ROFS, fs_write_text(t, &old, 0, "x"));
	FAILS(ERR_ROFS, fs_truncate(t, &old, 0));
	FAILS(ERR_ROFS, fs_chmod(t, &old, 0600));
	FAILS(ERR_ROFS, fs_open_obj(t, &old, OPEN_WRITE));
	FAILS(ERR_ROFS, fs_create(t, &dir, "new", 0644, &made));
	FAILS(ERR_ROFS, fs_unlink(t, &dir, "f"));
	FAILS(ERR_ROFS, fs_mkdir(t, &dir, "sub", 0755, &made));
	FAILS(ERR_ROFS, fs_link(t, &f, &dir, "l"));
	FAILS(ERR_ROFS, fs_link(t, &old, &t->dir, "l"));
	FAILS(ERR_ROFS, fs_rename(t, &t->dir, "f", &dir, "g"));
	FAILS(ERR_ROFS, fs_rename(t, &dir, "f", &t->dir, "g"));
	FAILS(ERR_ROFS, fs_copy(t, &f, 0, &old, 0, 4));
	TRUE(holds(t, &old, "text"));
	OK(drop(t, "ro"));
}

CASE_NEEDS(snapshot_restore, HAS_OPS, "a file is brought back by copying it out of a snapshot, and stays when that goes")
{
	uint32_t size = 1 << 20;
	uint8_t *data = memory(t, size), *back = memory(t, size);
	struct obj f = a_file(t, "f", 0644), dir, old;

	fill_random(t, data, size);
	OK(fs_write(t, &f, 0, data, size));
	if (!a_snapshot(t, "restore", &dir))
		return;
	memset(back, 7, size);
	OK(fs_write(t, &f, 0, back, size));
	OK(fs_commit(t, &f));
	OK(fs_lookup(t, &dir, "f", &old));
	OK(fs_clone(t, &old, 0, &f, 0, 0));
	OK(drop(t, "restore"));
	OK(fs_read(t, &f, 0, back, size));
	SAME(back, data, size);
}

CASE_NEEDS(snapshot_names, HAS_OPS, "names are taken once, listed, and gone when removed; handles too")
{
	struct obj f = a_text(t, "f", "text"), dir, old, found;

	TRUE(f.handle.size > 0);
	if (!a_snapshot(t, "one", &dir))
		return;
	FAILS(ERR_EXIST, create(t, "one"));
	OK(create(t, "two"));
	TRUE(is_listed(t, "one") && is_listed(t, "two"));
	OK(fs_lookup(t, &dir, "f", &old));
	OK(drop(t, "one"));
	TRUE(!is_listed(t, "one") && is_listed(t, "two"));
	FAILS(ERR_STALE, fs_getattr(t, &old));
	FAILS(ERR_NOENT, fs_path(t, &t->root, ".snapshot/one", &found));
	FAILS(ERR_NOENT, drop(t, "one"));
	OK(create(t, "one"));
	OK(drop(t, "one"));
	OK(drop(t, "two"));
	FAILS(ERR_INVAL, create(t, ".."));
	FAILS(ERR_BADNAME, create(t, "a/b"));
	as(t, &ALICE);
	FAILS(ERR_PERM, create(t, "mine"));
	FAILS(ERR_PERM, drop(t, "two"));
}

CASE_NEEDS(snapshot_dir, HAS_OPS, "the snapshots are a directory in the root, which is not listed")
{
	struct obj dir, all, up;
	struct op_attr a;

	if (!a_snapshot(t, "seen", &dir))
		return;
	OK(fs_lookup(t, &t->root, ".snapshot", &all));
	a = attr_of(t, &all);
	EQ(a.type, OP_TYPE_DIR);
	TRUE(count_entries(t, &all) >= 1);
	OK(fs_parent(t, &all, &up));
	EQ(attr_of(t, &up).fileid, attr_of(t, &t->root).fileid);
	FAILS(ERR_ROFS, fs_mkdir(t, &all, "new", 0755, &up));
	NE(attr_of(t, &dir).fileid, attr_of(t, &t->dir).fileid);
	OK(drop(t, "seen"));
}

CASE_NEEDS(snapshot_rolled_back, HAS_OPS, "rolling back makes the store what it was; its handles are good again")
{
	uint8_t *data = memory(t, 300000), *back = memory(t, 300000);
	struct obj f = a_file(t, "f", 0644), gone = a_text(t, "gone", "still"), dir, later;

	fill_random(t, data, 300000);
	OK(fs_write(t, &f, 0, data, 300000));
	if (!a_snapshot(t, "before", &dir))
		return;
	OK(fs_write(t, &f, 1000, "changed", 7));
	OK(fs_deallocate(t, &f, 100000, 100000));
	OK(fs_unlink(t, &t->dir, "gone"));
	later = a_text(t, "later", "new");
	OK(create(t, "after"));
	OK(named(t, OP_snapshot_rollback, "before"));
	OK(fs_read(t, &f, 0, back, 300000));
	SAME(back, data, 300000);
	TRUE(holds(t, &gone, "still"));
	FAILS(ERR_STALE, fs_getattr(t, &later));
	EQ(count_entries(t, &t->dir), 2);
	OK(named(t, OP_snapshot_rollback, "after"));
	OK(fs_read(t, &f, 1000, back, 7));
	SAME(back, "changed", 7);
	TRUE(holds(t, &later, "new"));
	FAILS(ERR_NOENT, named(t, OP_snapshot_rollback, "never"));
	OK(drop(t, "before"));
	OK(drop(t, "after"));
}
