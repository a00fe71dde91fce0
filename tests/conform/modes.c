/* Modes: who may read, write, search, make and remove; POSIX's class rule over all bits and classes. */
#include "tests/conform/conform.h"

/* One class of users: whose bits of the mode count for who. */
static void file_class(struct test *t, const struct op_cred *who, unsigned shift)
{
	struct obj f = a_text(t, "f", "data");
	uint32_t perm, allowed;
	char byte;

	OK(fs_chown(t, &f, ALICE.uid, ALICE.gid));
	for (perm = 0; perm < 8; perm++) {
		/* The other classes have the opposite, so that only the right one fits. */
		row(t, "bits %o", perm);
		as(t, &ROOT);
		OK(fs_chmod(t, &f, (0777 & ~(7u << shift) & ((7 - perm) * 0111)) | perm << shift));
		as(t, who);
		FAILS(perm & 4 ? 0 : ERR_ACCES, fs_read(t, &f, 0, &byte, 1));
		FAILS(perm & 2 ? 0 : ERR_ACCES, fs_write(t, &f, 0, "x", 1));
		FAILS(perm & 2 ? 0 : ERR_ACCES, fs_truncate(t, &f, 4));
		OK(fs_access(t, &f, ACCESS_READ | ACCESS_MODIFY | ACCESS_EXTEND | ACCESS_EXECUTE));
		allowed = (perm & 4 ? ACCESS_READ : 0) | (perm & 2 ? ACCESS_MODIFY | ACCESS_EXTEND : 0) |
		          (perm & 1 ? ACCESS_EXECUTE : 0);
		EQ(t->ans.allowed, allowed);
	}
}

static void dir_class(struct test *t, const struct op_cred *who, unsigned shift)
{
	struct obj d = a_dir(t, "d", 0777), o;
	uint32_t perm;

	file_in(t, &d, "f", 0644);
	OK(fs_chown(t, &d, ALICE.uid, ALICE.gid));
	for (perm = 0; perm < 8; perm++) {
		row(t, "bits %o", perm);
		as(t, &ROOT);
		OK(fs_chmod(t, &d, (0777 & ~(7u << shift) & ((7 - perm) * 0111)) | perm << shift));
		fs_rmdir(t, &d, "n");
		if (!exists(t, &d, "victim"))
			file_in(t, &d, "victim", 0);
		as(t, who);
		FAILS(perm & 1 ? 0 : ERR_ACCES, fs_lookup(t, &d, "f", &o));
		FAILS((perm & 3) == 3 ? 0 : ERR_ACCES, fs_mkdir(t, &d, "n", 0755, NULL));
		FAILS((perm & 3) == 3 ? 0 : ERR_ACCES, fs_unlink(t, &d, "victim"));
		OK(fs_access(t, &d, ACCESS_READ | ACCESS_LOOKUP | ACCESS_MODIFY | ACCESS_EXTEND));
		EQ(t->ans.allowed, (perm & 4 ? ACCESS_READ : 0) | (perm & 2 ? ACCESS_MODIFY | ACCESS_EXTEND : 0) |
		                           (perm & 1 ? ACCESS_LOOKUP : 0));
	}
}

#define CLASS_CASES(class, who, shift)                                                                   \
	CASE_NEEDS(perm_file_##class, HAS_USERS, "all 8 file modes decide reading and writing: " #class) \
	{                                                                                                \
		file_class(t, &who, shift);                                                              \
	}                                                                                                \
	CASE_NEEDS(perm_dir_##class, HAS_USERS, "all 8 directory modes decide search and change: " #class) \
	{                                                                                                \
		dir_class(t, &who, shift);                                                               \
	}

CLASS_CASES(owner, ALICE, 6)
CLASS_CASES(group, CAROL, 3)
CLASS_CASES(supplementary, DAVE, 3)
CLASS_CASES(other, BOB, 0)

static void ignore_entry(void *arg, const struct op_dirent *d, const char *name)
{
}

CASE_NEEDS(perm_dir_list, HAS_USERS, "listing a directory takes read permission, whatever search says")
{
	struct obj d = a_dir(t, "d", 0777);
	uint32_t perm;

	for (perm = 0; perm < 8; perm++) {
		struct scan s = {.room = 4096, .entry = ignore_entry};

		row(t, "bits %o", perm);
		as(t, &ROOT);
		OK(fs_chmod(t, &d, perm));
		as(t, &BOB);
		FAILS(perm & 4 ? 0 : ERR_ACCES, fs_readdir(t, &d, &s));
	}
}

CASE_NEEDS(perm_root, HAS_USERS, "root reads, writes and searches whatever the mode; executes only what someone may")
{
	struct obj f = a_text(t, "f", "data"), d = a_dir(t, "d", 0);
	char byte;

	OK(fs_chown(t, &f, ALICE.uid, ALICE.gid));
	OK(fs_chmod(t, &f, 0));
	OK(fs_read(t, &f, 0, &byte, 1));
	OK(fs_write(t, &f, 0, "x", 1));
	OK(fs_access(t, &f, ACCESS_READ | ACCESS_MODIFY | ACCESS_EXECUTE));
	EQ(t->ans.allowed, ACCESS_READ | ACCESS_MODIFY);
	OK(fs_chmod(t, &f, 0001));
	OK(fs_access(t, &f, ACCESS_EXECUTE));
	EQ(t->ans.allowed, ACCESS_EXECUTE);
	file_in(t, &d, "x", 0);
	TRUE(exists(t, &d, "x"));
}

static struct obj closed_dir(struct test *t, uint32_t mode)
{
	struct obj d;

	as(t, &ROOT);
	d = a_dir(t, "closed", 0777);
	file_in(t, &d, "f", 0666);
	dir_in(t, &d, "sub", 0777);
	OK(fs_chmod(t, &d, mode));
	return d;
}

CASE_NEEDS(perm_make_needs_write, HAS_USERS, "every way to make a name takes write permission on the directory")
{
	struct obj d = closed_dir(t, 0555);
	unsigned kind;

	as(t, &BOB);
	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS(ERR_ACCES, make_kind(t, kind, &d, str("new")));
	}
}

CASE_NEEDS(perm_make_needs_search, HAS_USERS, "every way to make a name takes search permission on the directory")
{
	struct obj d = closed_dir(t, 0666);
	unsigned kind;

	as(t, &BOB);
	for (kind = 0; kind < N_MAKE_KINDS; kind++) {
		row(t, "%s", kind_name(kind));
		FAILS(ERR_ACCES, make_kind(t, kind, &d, str("new")));
	}
}

CASE_NEEDS(perm_exist_before_access, HAS_USERS, "what exists is ERR_EXIST even where nothing may be made")
{
	struct obj d = closed_dir(t, 0555);

	as(t, &BOB);
	FAILS(ERR_EXIST, fs_mkdir(t, &d, "sub", 0755, NULL));
	FAILS(ERR_EXIST, make_kind(t, MAKE_SYMLINK, &d, str("f")));
	FAILS(ERR_EXIST, make_kind(t, MAKE_FILE, &d, str("f")));
}

CASE_NEEDS(perm_remove_needs_write, HAS_USERS, "removing takes write and search permission on the directory")
{
	struct obj d = closed_dir(t, 0555);

	as(t, &BOB);
	FAILS(ERR_ACCES, fs_unlink(t, &d, "f"));
	FAILS(ERR_ACCES, fs_rmdir(t, &d, "sub"));
	FAILS(ERR_ACCES, fs_rename(t, &d, "f", &t->dir, "x"));
	as(t, &ROOT);
	OK(fs_chmod(t, &d, 0666));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_unlink(t, &d, "f"));
	FAILS(ERR_ACCES, fs_rmdir(t, &d, "sub"));
	FAILS(ERR_ACCES, fs_rename(t, &d, "f", &t->dir, "x"));
}

CASE_NEEDS(perm_remove_anothers, HAS_USERS, "removing takes no permission on the object itself")
{
	struct obj d = a_dir(t, "d", 0777);

	file_in(t, &d, "f", 0);
	dir_in(t, &d, "sub", 0);
	as(t, &BOB);
	OK(fs_unlink(t, &d, "f"));
	OK(fs_rmdir(t, &d, "sub"));
}

CASE_NEEDS(perm_getattr, HAS_USERS, "attributes of an object take no permission on it")
{
	struct obj f = a_file(t, "f", 0);

	as(t, &BOB);
	OK(fs_getattr(t, &f));
	EQ(t->ans.attr.mode, 0);
}

CASE_NEEDS(perm_open, HAS_USERS, "opening takes what the access asked for takes")
{
	struct obj r = a_file(t, "r", 0444), w = a_file(t, "w", 0222), rw = a_file(t, "rw", 0666);

	as(t, &BOB);
	FAILS(ERR_ACCES, fs_open_obj(t, &r, OPEN_WRITE));
	FAILS(ERR_ACCES, fs_open_obj(t, &r, OPEN_READ | OPEN_WRITE));
	FAILS(ERR_ACCES, fs_open_obj(t, &w, OPEN_READ));
	FAILS(ERR_ACCES, fs_open_obj(t, &w, OPEN_READ | OPEN_WRITE));
	OK(fs_open_obj(t, &r, OPEN_READ));
	OK(fs_close(t, t->ans.open_id));
	OK(fs_open_obj(t, &w, OPEN_WRITE));
	OK(fs_close(t, t->ans.open_id));
	OK(fs_open_obj(t, &rw, OPEN_READ | OPEN_WRITE));
	OK(fs_close(t, t->ans.open_id));
}

CASE_NEEDS(perm_open_survives_chmod, HAS_USERS, "an open keeps the access it was given, whatever the mode becomes")
{
	struct obj f = a_text(t, "f", "data");
	struct io io = {.size = 4};
	char data[4];
	uint64_t open_id;

	OK(fs_chmod(t, &f, 0666));
	as(t, &BOB);
	OK(fs_open_obj(t, &f, OPEN_READ | OPEN_WRITE));
	open_id = t->ans.open_id;
	as(t, &ROOT);
	OK(fs_chmod(t, &f, 0));
	as(t, &BOB);
	io.open_id = open_id;
	io.data = "DATA";
	OK(fs_io(t, &f, &io, true));
	io.data = data;
	OK(fs_io(t, &f, &io, false));
	SAME(data, "DATA", 4);
	FAILS(ERR_ACCES, fs_read(t, &f, 0, data, 4));
	OK(fs_close(t, open_id));
}

CASE_NEEDS(perm_create_gives_access, HAS_USERS, "whoever creates a file may write it, whatever its mode")
{
	struct open_how how = {.disposition = OPEN_GUARDED, .access = OPEN_READ | OPEN_WRITE,
	                       .attr = {.mask = ATTR_MODE, .mode = 0}};
	struct io io = {.data = "x", .size = 1};
	struct obj f = {0};

	as(t, &BOB);
	OK(fs_open(t, &t->dir, "f", &how, &f));
	io.open_id = t->ans.open_id;
	OK(fs_io(t, &f, &io, true));
	OK(fs_close(t, io.open_id));
	FAILS(ERR_ACCES, fs_write(t, &f, 0, "x", 1));
}

CASE_NEEDS(perm_open_truncate, HAS_USERS, "truncating at open takes write permission")
{
	struct open_how how = {.access = OPEN_READ | OPEN_WRITE, .flags = OPEN_TRUNCATE};
	struct obj f = a_text(t, "f", "data"), o;

	OK(fs_chmod(t, &f, 0444));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_open(t, &t->dir, "f", &how, &o));
	EQ(attr_of(t, &f).size, 4);
}

CASE_NEEDS(perm_unchecked_truncate, HAS_USERS, "creating over what exists truncates it only with write permission")
{
	struct open_how how = {.disposition = OPEN_UNCHECKED, .flags = OPEN_NO_STATE, .attr = {.mask = ATTR_SIZE}};
	struct obj f = a_text(t, "f", "data"), o;

	OK(fs_chmod(t, &f, 0444));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_open(t, &t->dir, "f", &how, &o));
	EQ(attr_of(t, &f).size, 4);
}

CASE_NEEDS(perm_truncate, HAS_USERS, "truncating takes write permission, of the owner too")
{
	struct obj f;

	as(t, &ALICE);
	f = a_file(t, "f", 0444);
	FAILS(ERR_ACCES, fs_truncate(t, &f, 10));
	OK(fs_chmod(t, &f, 0200));
	OK(fs_truncate(t, &f, 10));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_truncate(t, &f, 20));
	EQ(attr_of(t, &f).size, 10);
}

CASE_NEEDS(perm_allocate, HAS_USERS | HAS_HOLES, "allocating and punching take write permission")
{
	struct obj f = a_text(t, "f", "data");

	as(t, &BOB);
	FAILS(ERR_ACCES, fs_allocate(t, &f, 0, 100, 0));
	FAILS(ERR_ACCES, fs_deallocate(t, &f, 0, 2));
	as(t, &ROOT);
	TRUE(holds(t, &f, "data"));
}

CASE_NEEDS(perm_copy, HAS_USERS, "copying takes reading here and writing there")
{
	struct obj from = a_text(t, "from", "data"), to = a_file(t, "to", 0644);

	as(t, &BOB);
	FAILS(ERR_ACCES, fs_copy(t, &from, 0, &to, 0, 4));
	as(t, &ROOT);
	OK(fs_chmod(t, &from, 0600));
	OK(fs_chmod(t, &to, 0666));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_copy(t, &from, 0, &to, 0, 4));
	EQ(attr_of(t, &to).size, 0);
}

CASE_NEEDS(perm_link_dir, HAS_USERS, "linking takes write permission on the directory that gets the name")
{
	struct obj f, d = closed_dir(t, 0555);

	as(t, &BOB);
	f = a_file(t, "f", 0644);
	FAILS(ERR_ACCES, fs_link(t, &f, &d, "l"));
	OK(fs_link(t, &f, &t->dir, "l"));
}

CASE_NEEDS(perm_rename_dir_parent, HAS_USERS, "moving a directory to another parent takes write permission on it")
{
	struct obj d = a_dir(t, "d", 0777);

	as(t, &ALICE);
	a_dir(t, "moving", 0555);
	FAILS(ERR_ACCES, fs_rename(t, &t->dir, "moving", &d, "moved"));
	OK(fs_rename(t, &t->dir, "moving", &t->dir, "renamed"));
	TRUE(exists(t, &t->dir, "renamed"));
}

CASE_NEEDS(perm_rename_target_dir, HAS_USERS, "renaming takes write permission on both directories")
{
	struct obj d = closed_dir(t, 0555);

	as(t, &BOB);
	a_file(t, "mine", 0644);
	FAILS(ERR_ACCES, fs_rename(t, &t->dir, "mine", &d, "x"));
	FAILS(ERR_ACCES, fs_rename(t, &t->dir, "mine", &d, "f"));
	TRUE(exists(t, &t->dir, "mine"));
}

CASE_NEEDS(perm_readlink, HAS_USERS, "a symbolic link can be read by all")
{
	struct obj s = a_symlink(t, "s", "target");
	char target[16];

	as(t, &BOB);
	OK(fs_readlink(t, &s, target, sizeof(target)));
	EQ(t->ans.size, 6);
}

CASE_NEEDS(perm_access_agrees, HAS_USERS, "access() agrees with what reading and writing then do, for random modes and users")
{
	static const struct op_cred *const users[] = {&ALICE, &BOB, &CAROL, &DAVE, &ROOT};
	struct obj f = a_text(t, "f", "data");
	unsigned i, mode;
	char byte;

	for (i = 0; i < 200; i++) {
		mode = random_u64(t) & 0777;
		as(t, &ROOT);
		OK(fs_chown(t, &f, users[random_u64(t) % 5]->uid, users[random_u64(t) % 5]->gid));
		OK(fs_chmod(t, &f, mode));
		as(t, users[random_u64(t) % 5]);
		row(t, "mode %o, user %u", mode, t->as->uid);
		OK(fs_access(t, &f, ACCESS_READ | ACCESS_MODIFY));
		EQ(fs_read(t, &f, 0, &byte, 1) == 0, !!(t->ans.allowed & ACCESS_READ));
		OK(fs_access(t, &f, ACCESS_READ | ACCESS_MODIFY));
		EQ(fs_write(t, &f, 0, "x", 1) == 0, !!(t->ans.allowed & ACCESS_MODIFY));
	}
}
