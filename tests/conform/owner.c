/* Owners: chmod, chown and utimes rules, sticky directories, the setuid and setgid bits. */
#include "tests/conform/conform.h"

static const uint32_t some_modes[] = {0, 0111, 0222, 0444, 0644, 0700, 0755, 0777, 01777, 02755, 04755, 06711, 07777};

CASE(mode_created, "a file is made with exactly the mode asked for")
{
	struct obj f;
	char name[] = "fa";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(some_modes); i++, name[1]++) {
		row(t, "mode %o", some_modes[i]);
		f = a_file(t, name, some_modes[i]);
		EQ(attr_of(t, &f).mode, some_modes[i]);
	}
}

CASE(mode_created_dir, "a directory is made with exactly the mode asked for")
{
	struct obj d;
	char name[] = "da";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(some_modes); i++, name[1]++) {
		row(t, "mode %o", some_modes[i]);
		d = a_dir(t, name, some_modes[i]);
		EQ(attr_of(t, &d).mode, some_modes[i]);
	}
}

CASE(mode_changed, "all 4,096 modes can be set and are answered")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755);
	uint32_t mode;

	for (mode = 0; mode <= 07777; mode += 7) {
		row(t, "mode %o", mode);
		OK(fs_chmod(t, &f, mode));
		EQ(attr_of(t, &f).mode, mode);
		OK(fs_chmod(t, &d, mode));
		EQ(attr_of(t, &d).mode, mode);
	}
}

CASE_NEEDS(chmod_owner_only, HAS_USERS, "the owner and root change a mode, nobody else")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0666);
	OK(fs_chmod(t, &f, 0777));
	as(t, &BOB);
	FAILS(ERR_PERM, fs_chmod(t, &f, 0700));
	as(t, &CAROL);
	FAILS(ERR_PERM, fs_chmod(t, &f, 0700));
	as(t, &ROOT);
	EQ(attr_of(t, &f).mode, 0777);
	OK(fs_chmod(t, &f, 0700));
}

CASE_NEEDS(chmod_setgid_stranger, HAS_USERS, "setting setgid for a group one is not in drops the bit silently")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0644);
	as(t, &ROOT);
	OK(fs_chown(t, &f, ALICE.uid, BOB.gid));
	as(t, &ALICE);
	OK(fs_chmod(t, &f, 02755));
	EQ(attr_of(t, &f).mode, 0755);
	as(t, &ROOT);
	OK(fs_chmod(t, &f, 02755));
	EQ(attr_of(t, &f).mode, 02755);
}

CASE_NEEDS(chmod_setgid_member, HAS_USERS, "setting setgid for a supplementary group keeps the bit")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0644);
	OK(fs_chown(t, &f, UINT32_MAX, 2001));
	OK(fs_chmod(t, &f, 02755));
	EQ(attr_of(t, &f).mode, 02755);
}

CASE_NEEDS(create_owner, HAS_USERS, "what is made belongs to its maker and his group")
{
	struct obj o;
	unsigned kind;

	as(t, &ALICE);
	for (kind = 0; kind < MAKE_LINK; kind++) {
		row(t, "%s", kind_name(kind));
		OK(make_kind(t, kind, &t->dir, str(kind_name(kind))));
		OK(fs_lookup(t, &t->dir, kind_name(kind), &o));
		EQ(attr_of(t, &o).uid, ALICE.uid);
		EQ(attr_of(t, &o).gid, ALICE.gid);
	}
}

CASE_NEEDS(create_owner_root, HAS_USERS | HAS_CREATE_DEFAULTS, "root may make things that belong to others")
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = 0755, .uid = BOB.uid, .gid = BOB.gid};
	struct obj d = {0};

	OK(t->drv->mkdir(t, &t->dir, str("d"), &attr, &d));
	EQ(attr_of(t, &d).uid, BOB.uid);
	EQ(attr_of(t, &d).gid, BOB.gid);
}

CASE_NEEDS(create_owner_other, HAS_USERS | HAS_CREATE_DEFAULTS, "nobody but root makes things that belong to others")
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID, .mode = 0755, .uid = BOB.uid};
	struct obj d;
	int err;

	as(t, &ALICE);
	err = t->drv->mkdir(t, &t->dir, str("d"), &attr, &d);
	if (err)
		EQ(err, ERR_PERM);
	else
		EQ(attr_of(t, &d).uid, ALICE.uid);
}

CASE_NEEDS(chown_root, HAS_USERS, "root gives anything to anyone")
{
	struct obj f = a_file(t, "f", 0644), d = a_dir(t, "d", 0755), s = a_symlink(t, "s", "f");

	OK(fs_chown(t, &f, 12, 34));
	OK(fs_chown(t, &d, UINT32_MAX - 1, UINT32_MAX - 1));
	OK(fs_chown(t, &s, 56, 78));
	EQ(attr_of(t, &f).uid, 12);
	EQ(attr_of(t, &f).gid, 34);
	EQ(attr_of(t, &d).uid, UINT32_MAX - 1);
	EQ(attr_of(t, &s).uid, 56);
	EQ(attr_of(t, &s).gid, 78);
}

CASE_NEEDS(chown_parts, HAS_USERS, "user and group change one without the other")
{
	struct obj f = a_file(t, "f", 0644);

	OK(fs_chown(t, &f, 12, UINT32_MAX));
	EQ(attr_of(t, &f).uid, 12);
	EQ(attr_of(t, &f).gid, 0);
	OK(fs_chown(t, &f, UINT32_MAX, 34));
	EQ(attr_of(t, &f).uid, 12);
	EQ(attr_of(t, &f).gid, 34);
}

CASE_NEEDS(chown_give_away, HAS_USERS, "an owner cannot give his file away")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0644);
	FAILS(ERR_PERM, fs_chown(t, &f, BOB.uid, UINT32_MAX));
	FAILS(ERR_PERM, fs_chown(t, &f, 0, 0));
	EQ(attr_of(t, &f).uid, ALICE.uid);
}

CASE_NEEDS(chown_take, HAS_USERS, "nobody takes the file of another")
{
	struct obj f = a_file(t, "f", 0777);

	as(t, &BOB);
	FAILS(ERR_PERM, fs_chown(t, &f, BOB.uid, UINT32_MAX));
	FAILS(ERR_PERM, fs_chown(t, &f, UINT32_MAX, BOB.gid));
	EQ(attr_of(t, &f).uid, 0);
}

CASE_NEEDS(chgrp_member, HAS_USERS, "an owner gives his file to a group he is in, no other")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0644);
	OK(fs_chown(t, &f, UINT32_MAX, 2001));
	EQ(attr_of(t, &f).gid, 2001);
	OK(fs_chown(t, &f, ALICE.uid, ALICE.gid));
	EQ(attr_of(t, &f).gid, ALICE.gid);
	FAILS(ERR_PERM, fs_chown(t, &f, UINT32_MAX, BOB.gid));
	FAILS(ERR_PERM, fs_chown(t, &f, UINT32_MAX, 0));
	EQ(attr_of(t, &f).gid, ALICE.gid);
}

CASE_NEEDS(chown_clears_setid, HAS_USERS, "changing the group of an executable drops setuid and setgid")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0755);
	OK(fs_chmod(t, &f, 06755));
	OK(fs_chown(t, &f, UINT32_MAX, 2001));
	EQ(attr_of(t, &f).mode, 0755);
}

CASE_NEEDS(chown_root_clears_setid, HAS_USERS, "root's chown of an executable drops setuid and setgid as well")
{
	struct obj f = a_file(t, "f", 06755);

	OK(fs_chown(t, &f, ALICE.uid, ALICE.gid));
	EQ(attr_of(t, &f).mode, 0755);
}

CASE_NEEDS(chown_dir_keeps_setgid, HAS_USERS, "a directory keeps setgid when its owner changes")
{
	struct obj d = a_dir(t, "d", 02755);

	OK(fs_chown(t, &d, ALICE.uid, ALICE.gid));
	EQ(attr_of(t, &d).mode, 02755);
}

CASE_NEEDS(truncate_open_clears_setid, HAS_USERS, "truncating what is open drops setuid and setgid, unless root does")
{
	struct op_attr attr = {.mask = ATTR_SIZE, .size = 1};
	struct obj f = a_text(t, "f", "text");

	OK(fs_chmod(t, &f, 06777));
	OK(fs_open_obj(t, &f, OPEN_WRITE));
	OK(t->drv->setattr(t, &f, &attr, t->ans.open_id));
	EQ(attr_of(t, &f).mode, 06777);
	OK(fs_close(t, t->ans.open_id));
	as(t, &BOB);
	OK(fs_open_obj(t, &f, OPEN_WRITE));
	attr.size = 2;
	OK(t->drv->setattr(t, &f, &attr, t->ans.open_id));
	EQ(attr_of(t, &f).mode, 0777);
	EQ(attr_of(t, &f).size, 2);
	OK(fs_close(t, t->ans.open_id));
}

CASE_NEEDS(write_clears_setid, HAS_USERS, "writing drops setuid and setgid, unless root writes")
{
	struct obj f = a_file(t, "f", 06777);

	as(t, &BOB);
	OK(fs_write_text(t, &f, 0, "x"));
	EQ(attr_of(t, &f).mode, 0777);
	as(t, &ROOT);
	OK(fs_chmod(t, &f, 06777));
	OK(fs_write_text(t, &f, 0, "x"));
	EQ(attr_of(t, &f).mode, 06777);
}

CASE_NEEDS(truncate_clears_setid, HAS_USERS, "truncating drops setuid and setgid, unless root does")
{
	struct obj f = a_file(t, "f", 06777);

	as(t, &BOB);
	OK(fs_truncate(t, &f, 5));
	EQ(attr_of(t, &f).mode, 0777);
	as(t, &ROOT);
	OK(fs_chmod(t, &f, 06777));
	OK(fs_truncate(t, &f, 6));
	EQ(attr_of(t, &f).mode, 06777);
}

CASE_NEEDS(setgid_dir_inherits, HAS_USERS, "in a setgid directory everything gets its group, directories the bit too")
{
	struct obj d = a_dir(t, "d", 0777), o = {0};
	unsigned kind;

	OK(fs_chown(t, &d, UINT32_MAX, 4321));
	OK(fs_chmod(t, &d, 02777));
	as(t, &ALICE);
	for (kind = 0; kind < MAKE_LINK; kind++) {
		row(t, "%s", kind_name(kind));
		OK(make_kind(t, kind, &d, str(kind_name(kind))));
		OK(fs_lookup(t, &d, kind_name(kind), &o));
		EQ(attr_of(t, &o).gid, 4321);
		EQ(attr_of(t, &o).uid, ALICE.uid);
		EQ(!!(attr_of(t, &o).mode & 02000), kind == MAKE_DIR);
	}
}

CASE_NEEDS(setgid_dir_strips, HAS_USERS, "an executable made in a setgid directory of a strange group is not setgid")
{
	struct obj d = a_dir(t, "d", 0777), f;

	OK(fs_chown(t, &d, UINT32_MAX, 4321));
	OK(fs_chmod(t, &d, 02777));
	as(t, &ALICE);
	f = file_in(t, &d, "f", 02755);
	EQ(attr_of(t, &f).mode, 0755);
	EQ(attr_of(t, &f).gid, 4321);
}

CASE_NEEDS(utimes_owner, HAS_USERS, "only the owner and root set times to what they like")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0666);
	OK(fs_utimes(t, &f, at(100, 0), at(200, 0)));
	as(t, &BOB);
	FAILS(ERR_PERM, fs_utimes(t, &f, at(1, 0), at(2, 0)));
	as(t, &ROOT);
	OK(fs_utimes(t, &f, at(300, 0), at(400, 0)));
	EQ(attr_of(t, &f).mtime.sec, 400);
}

CASE_NEEDS(utimes_now_writer, HAS_USERS, "whoever may write sets both times to now, others cannot")
{
	struct obj f = a_file(t, "f", 0666), r = a_file(t, "r", 0644);

	OK(fs_utimes(t, &f, at(100, 0), at(200, 0)));
	as(t, &BOB);
	OK(fs_touch(t, &f));
	TRUE(attr_of(t, &f).mtime.sec > 1000000);
	FAILS(ERR_ACCES, fs_touch(t, &r));
}

CASE_NEEDS(utimes_now_owner, HAS_USERS, "the owner sets times to now without write permission")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0444);
	OK(fs_touch(t, &f));
	OK(fs_utimes(t, &f, at(5, 0), at(6, 0)));
}

/* A sticky directory of Alice's with a file of Carol's and a directory of Carol's in it. */
static struct obj sticky_dir(struct test *t)
{
	struct obj d;

	as(t, &ALICE);
	d = a_dir(t, "sticky", 0777);
	as(t, &CAROL);
	file_in(t, &d, "f", 0666);
	dir_in(t, &d, "sub", 0777);
	as(t, &ALICE);
	OK(fs_chmod(t, &d, 01777));
	return d;
}

CASE_NEEDS(sticky_remove_other, HAS_USERS, "in a sticky directory nobody removes what is another's")
{
	struct obj d = sticky_dir(t);

	as(t, &BOB);
	FAILS(ERR_PERM, fs_unlink(t, &d, "f"));
	FAILS(ERR_PERM, fs_rmdir(t, &d, "sub"));
	as(t, &DAVE);
	FAILS(ERR_PERM, fs_unlink(t, &d, "f"));
	as(t, &ROOT);
	EQ(count_entries(t, &d), 2);
}

CASE_NEEDS(sticky_remove_owner, HAS_USERS, "in a sticky directory the object's owner removes it")
{
	struct obj d = sticky_dir(t);

	as(t, &CAROL);
	OK(fs_unlink(t, &d, "f"));
	OK(fs_rmdir(t, &d, "sub"));
}

CASE_NEEDS(sticky_remove_dir_owner, HAS_USERS, "in a sticky directory the directory's owner removes anything")
{
	struct obj d = sticky_dir(t);

	as(t, &ALICE);
	OK(fs_unlink(t, &d, "f"));
	OK(fs_rmdir(t, &d, "sub"));
}

CASE_NEEDS(sticky_remove_root, HAS_USERS, "in a sticky directory root removes anything")
{
	struct obj d = sticky_dir(t);

	as(t, &ROOT);
	OK(fs_unlink(t, &d, "f"));
	OK(fs_rmdir(t, &d, "sub"));
}

CASE_NEEDS(sticky_rename_from, HAS_USERS, "nobody renames another's away from a sticky directory")
{
	struct obj d = sticky_dir(t);

	as(t, &BOB);
	FAILS(ERR_PERM, fs_rename(t, &d, "f", &d, "g"));
	FAILS(ERR_PERM, fs_rename(t, &d, "f", &t->dir, "g"));
	FAILS(ERR_PERM, fs_rename(t, &d, "sub", &t->dir, "g"));
	as(t, &CAROL);
	OK(fs_rename(t, &d, "f", &d, "g"));
	OK(fs_rename(t, &d, "g", &t->dir, "g"));
}

CASE_NEEDS(sticky_rename_over, HAS_USERS, "nobody replaces another's file in a sticky directory")
{
	struct obj d = sticky_dir(t);

	as(t, &BOB);
	a_file(t, "mine", 0644);
	FAILS(ERR_PERM, fs_rename(t, &t->dir, "mine", &d, "f"));
	OK(fs_rename(t, &t->dir, "mine", &d, "new"));
	FAILS(ERR_PERM, fs_rename(t, &d, "new", &d, "f"));
	as(t, &CAROL);
	a_file(t, "hers", 0644);
	OK(fs_rename(t, &t->dir, "hers", &d, "f"));
}

CASE_NEEDS(sticky_exchange, HAS_USERS | HAS_EXCHANGE, "nobody exchanges another's file in a sticky directory")
{
	struct obj d = sticky_dir(t);

	as(t, &BOB);
	file_in(t, &d, "mine", 0644);
	FAILS(ERR_PERM, fs_rename_flags(t, &d, "mine", &d, "f", RENAME_EXCHANGE));
	FAILS(ERR_PERM, fs_rename_flags(t, &d, "f", &d, "mine", RENAME_EXCHANGE));
}

CASE_NEEDS(sticky_create, HAS_USERS, "everyone makes what he likes in a sticky directory")
{
	struct obj d = sticky_dir(t);

	as(t, &BOB);
	file_in(t, &d, "mine", 0644);
	OK(fs_unlink(t, &d, "mine"));
}

CASE_NEEDS(setattr_nothing_on_error, HAS_USERS, "a refused change leaves mode, owner and times as they were")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr before = attr_of(t, &f), after;

	tick(t);
	as(t, &BOB);
	FAILS(ERR_PERM, fs_chmod(t, &f, 0777));
	FAILS(ERR_PERM, fs_chown(t, &f, BOB.uid, BOB.gid));
	FAILS(ERR_PERM, fs_utimes(t, &f, at(1, 0), at(1, 0)));
	FAILS(ERR_ACCES, fs_truncate(t, &f, 100));
	after = attr_of(t, &f);
	EQ(after.mode, before.mode);
	EQ(after.uid, before.uid);
	EQ(after.size, before.size);
	TIME_EQ(after.mtime, before.mtime);
	TIME_EQ(after.ctime, before.ctime);
}

CASE_NEEDS(setattr_all_or_nothing, HAS_USERS | HAS_OPS, "of several attributes at once all are changed or none")
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID, .mode = 0777, .uid = BOB.uid};
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0600);
	FAILS(ERR_PERM, fs_setattr(t, &f, &attr));
	EQ(attr_of(t, &f).mode, 0600);
	EQ(attr_of(t, &f).uid, ALICE.uid);
}

CASE_NEEDS(nobodys_id, HAS_OPS, "the id that chown(2) takes for \"unchanged\" is nobody's, and no owner")
{
	struct op_attr uid = {.mask = ATTR_UID, .uid = UINT32_MAX}, gid = {.mask = ATTR_GID, .gid = UINT32_MAX};
	struct open_how how = {.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE, .attr = {.mask = ATTR_UID, .uid = UINT32_MAX}};
	struct obj f = a_file(t, "f", 0644), o;
	struct op_attr before = attr_of(t, &f);

	FAILS(ERR_INVAL, fs_setattr(t, &f, &uid));
	FAILS(ERR_INVAL, fs_setattr(t, &f, &gid));
	FAILS(ERR_INVAL, fs_open(t, &t->dir, "g", &how, &o));
	EQ(attr_of(t, &f).uid, before.uid);
	EQ(attr_of(t, &f).gid, before.gid);
}
