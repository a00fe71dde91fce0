/* A read-only mount, whatever is in it: run with --read-only. */
#include "tests/conform/driver-client.h"

CASE_NEEDS(readonly_statfs, HAS_OPS, "a read-only mount says so")
{
	OK(fs_statfs(t, &t->root));
	EQ(t->ans.statfs.read_only, 1);
}

CASE(readonly_reading, "a read-only mount is looked at")
{
	struct obj o;

	OK(fs_getattr(t, &t->root));
	OK(fs_access(t, &t->root, ACCESS_READ | ACCESS_LOOKUP));
	FAILS(ERR_NOENT, fs_lookup(t, &t->root, "no such name", &o));
	count_entries(t, &t->root);
}

CASE(readonly_making, "every way to make a name is ERR_ROFS")
{
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE, .type = OP_TYPE_FIFO, .mode = 0644};
	struct obj o;

	FAILS(ERR_ROFS, fs_create(t, &t->root, "x", 0644, &o));
	FAILS(ERR_ROFS, fs_mkdir(t, &t->root, "x", 0755, &o));
	FAILS(ERR_ROFS, fs_symlink(t, &t->root, "x", "y", &o));
	FAILS(ERR_ROFS, fs_mknod(t, &t->root, "x", &attr, &o));
}

CASE(readonly_changing, "changing attributes is ERR_ROFS")
{
	FAILS(ERR_ROFS, fs_chmod(t, &t->root, 0777));
	FAILS(ERR_ROFS, fs_chown(t, &t->root, 1, 1));
	FAILS(ERR_ROFS, fs_utimes(t, &t->root, at(1, 0), at(1, 0)));
}

CASE_NEEDS(readonly_ops, HAS_OPS, "removing, renaming and files without a name are ERR_ROFS")
{
	struct obj o;

	FAILS(ERR_ROFS, fs_unlink(t, &t->root, "x"));
	FAILS(ERR_ROFS, fs_rmdir(t, &t->root, "x"));
	FAILS(ERR_ROFS, fs_rename(t, &t->root, "x", &t->root, "y"));
	FAILS(ERR_ROFS, fs_create_unlinked(t, &t->root, 0600, &o));
	FAILS(ERR_ROFS, fs_set_xattr(t, &t->root, "user.x", "1", 0));
	FAILS(ERR_ROFS, fs_remove_xattr(t, &t->root, "user.x"));
}

CASE_NEEDS(readonly_access, HAS_OPS, "access allows no change")
{
	OK(fs_access(t, &t->root, 0x3f));
	EQ(t->ans.allowed & (ACCESS_MODIFY | ACCESS_EXTEND | ACCESS_DELETE), 0);
}
