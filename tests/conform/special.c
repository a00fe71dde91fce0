/* Symbolic links, fifos, sockets and devices. */
#include "tests/conform/conform.h"

CASE(symlink_target, "a symbolic link holds its target as it was given")
{
	static const char *const targets[] = {"x", "/abs/olute", "../..", ".", "a//b/", "sp ace\n", "\xff\xfe", "nowhere"};
	char name[] = "sa", target[64];
	struct obj s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++, name[1]++) {
		row(t, "%s", targets[i]);
		s = a_symlink(t, name, targets[i]);
		OK(fs_readlink(t, &s, target, sizeof(target)));
		EQ(t->ans.size, strlen(targets[i]));
		SAME(target, targets[i], strlen(targets[i]));
		EQ(attr_of(t, &s).size, strlen(targets[i]));
	}
}

CASE(symlink_long, "targets of 1 to 4,095 bytes are kept whole")
{
	static const uint32_t sizes[] = {1, 59, 60, 61, 255, 256, 511, 512, 513, 1000, 1023, 4000, 4094, 4095};
	char name[] = "sa", *target = memory(t, 5000);
	struct obj s = {0};
	struct str want;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++, name[1]++) {
		row(t, "%u bytes", sizes[i]);
		want = repeat(t, 'a' + (char)i, sizes[i]);
		if (!OK(t->drv->symlink(t, &t->dir, str(name), want, &s)))
			continue;
		OK(fs_readlink(t, &s, target, 5000));
		EQ(t->ans.size, sizes[i]);
		SAME(target, want.bytes, sizes[i]);
	}
}

CASE(symlink_too_long, "a target of 4,097 bytes is ERR_NAMETOOLONG, of none ERR_INVAL or ERR_NOENT")
{
	struct obj s;

	FAILS(ERR_NAMETOOLONG, t->drv->symlink(t, &t->dir, str("s"), repeat(t, 'x', 4097), &s));
	FAILS_EITHER(ERR_INVAL, ERR_NOENT, t->drv->symlink(t, &t->dir, str("s"), str(""), &s));
	TRUE(!exists(t, &t->dir, "s"));
}

CASE(readlink_others, "reading the target of what is no symbolic link is ERR_INVAL")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755), p = a_fifo(t, "p", 0600);
	char target[16];

	FAILS(ERR_INVAL, fs_readlink(t, &f, target, 16));
	FAILS(ERR_INVAL, fs_readlink(t, &d, target, 16));
	FAILS(ERR_INVAL, fs_readlink(t, &p, target, 16));
}

CASE_NEEDS(readlink_small, HAS_OPS, "a buffer too small for the target is ERR_TOOSMALL and tells the size")
{
	struct obj s = a_symlink(t, "s", "0123456789");
	char target[16];

	FAILS(ERR_TOOSMALL, fs_readlink(t, &s, target, 9));
	EQ(t->ans.size, 10);
	OK(fs_readlink(t, &s, target, 10));
}

CASE_NEEDS(symlink_nul, HAS_RAW_NAMES, "a target with a NUL in it is ERR_INVAL")
{
	struct str target = {"a\0b", 3};
	struct obj s;

	FAILS_EITHER(ERR_INVAL, ERR_BADNAME, t->drv->symlink(t, &t->dir, str("s"), target, &s));
	TRUE(!exists(t, &t->dir, "s"));
}

CASE(symlink_removed, "removing a symbolic link leaves its target")
{
	struct obj f = a_text(t, "f", "text");

	a_symlink(t, "s", "f");
	OK(fs_unlink(t, &t->dir, "s"));
	TRUE(holds(t, &f, "text"));
}

CASE(symlink_of_dir, "a symbolic link to a directory is no directory")
{
	struct obj s;
	struct obj d = a_dir(t, "d", 0755);

	file_in(t, &d, "f", 0644);
	s = a_symlink(t, "s", "d");
	EQ(attr_of(t, &s).type, OP_TYPE_SYMLINK);
	FAILS(ERR_NOTDIR, fs_rmdir(t, &t->dir, "s"));
	OK(fs_unlink(t, &t->dir, "s"));
	EQ(count_entries(t, &d), 1);
}

CASE(mknod_fifo, "a fifo has its type, mode and link count")
{
	struct obj p = a_fifo(t, "p", 0640);

	EQ(attr_of(t, &p).type, OP_TYPE_FIFO);
	EQ(attr_of(t, &p).mode, 0640);
	EQ(attr_of(t, &p).nlink, 1);
	EQ(attr_of(t, &p).size, 0);
}

CASE(mknod_socket, "a socket's name can be made")
{
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE, .type = OP_TYPE_SOCKET, .mode = 0755};
	struct obj o = {0};

	OK(fs_mknod(t, &t->dir, "sock", &attr, &o));
	EQ(attr_of(t, &o).type, OP_TYPE_SOCKET);
	EQ(attr_of(t, &o).mode, 0755);
}

CASE_NEEDS(mknod_devices, HAS_MKNOD, "devices keep type, major and minor")
{
	static const struct {
		uint32_t type, major, minor;
	} devices[] = {{OP_TYPE_CHAR, 1, 3}, {OP_TYPE_BLOCK, 8, 1}, {OP_TYPE_CHAR, 4095, 255}, {OP_TYPE_BLOCK, 0, 65536},
	               {OP_TYPE_CHAR, 259, 1048575}};
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE | ATTR_RDEV, .mode = 0600};
	char name[] = "da";
	struct obj o = {0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(devices); i++, name[1]++) {
		row(t, "%u %u", devices[i].major, devices[i].minor);
		attr.type = devices[i].type;
		attr.rdev_major = devices[i].major;
		attr.rdev_minor = devices[i].minor;
		OK(fs_mknod(t, &t->dir, name, &attr, &o));
		EQ(attr_of(t, &o).type, devices[i].type);
		EQ(attr_of(t, &o).rdev_major, devices[i].major);
		EQ(attr_of(t, &o).rdev_minor, devices[i].minor);
	}
}

CASE_NEEDS(mknod_devices_root, HAS_MKNOD | HAS_USERS, "only root makes devices, everyone fifos")
{
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE | ATTR_RDEV, .mode = 0600, .type = OP_TYPE_CHAR, .rdev_major = 1};
	struct obj o;

	as(t, &BOB);
	FAILS(ERR_PERM, fs_mknod(t, &t->dir, "c", &attr, &o));
	attr.type = OP_TYPE_BLOCK;
	FAILS(ERR_PERM, fs_mknod(t, &t->dir, "b", &attr, &o));
	a_fifo(t, "p", 0600);
	EQ(count_entries(t, &t->dir), 1);
}

CASE_NEEDS(mknod_bad_types, HAS_OPS, "mknod makes no directories, symbolic links or unknown types")
{
	static const uint32_t types[] = {OP_TYPE_NONE, OP_TYPE_DIR, OP_TYPE_SYMLINK, 8, 1000};
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE, .mode = 0600};
	struct obj o;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		row(t, "type %u", types[i]);
		attr.type = types[i];
		FAILS_EITHER(ERR_BADTYPE, ERR_INVAL, fs_mknod(t, &t->dir, "x", &attr, &o));
	}
	EQ(count_entries(t, &t->dir), 0);
}

CASE_NEEDS(special_io, HAS_OPS, "fifos, sockets and devices are never opened, read or written by the server")
{
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE, .type = OP_TYPE_SOCKET, .mode = 0777};
	struct obj p = a_fifo(t, "p", 0777), s = {0};
	char byte;

	OK(fs_mknod(t, &t->dir, "s", &attr, &s));
	FAILS_EITHER(ERR_INVAL, ERR_BADTYPE, fs_read(t, &p, 0, &byte, 1));
	FAILS_EITHER(ERR_INVAL, ERR_BADTYPE, fs_write(t, &p, 0, "x", 1));
	FAILS_EITHER(ERR_INVAL, ERR_BADTYPE, fs_open_obj(t, &p, OPEN_READ));
	FAILS_EITHER(ERR_INVAL, ERR_BADTYPE, fs_read(t, &s, 0, &byte, 1));
	FAILS_EITHER(ERR_INVAL, ERR_BADTYPE, fs_open_obj(t, &s, OPEN_WRITE));
}

CASE(special_attributes, "mode, owner and times of special files can be set")
{
	struct obj p = a_fifo(t, "p", 0600);

	OK(fs_chmod(t, &p, 0622));
	OK(fs_utimes(t, &p, at(5, 5), at(6, 6)));
	EQ(attr_of(t, &p).mode, 0622);
	TIME_EQ(attr_of(t, &p).mtime, at(6, 6));
}
