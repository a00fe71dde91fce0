/* ACLs: what they grant and refuse, how modes and they follow each other, what is inherited. */
#include "op/acl-nfs4.h"
#include "tests/conform/conform.h"

#define CASE_ACL(name, text) CASE_NEEDS(name, HAS_ACL | HAS_USERS, text)
#define ROOM 8192u
#define READ (ACE_READ_DATA | ACE_READ_NAMED_ATTRS | ACE_READ_ATTRIBUTES | ACE_READ_ACL)
#define WRITE (ACE_WRITE_DATA | ACE_APPEND_DATA | ACE_WRITE_NAMED_ATTRS)
#define ENTER ACE_EXECUTE
#define FD (ACE_FILE_INHERIT | ACE_DIRECTORY_INHERIT)

#define ALLOW(who_, id_, mask_) {.type = ACE_ALLOW, .who = (who_), .id = (id_), .mask = (mask_)}
#define DENY(who_, id_, mask_) {.type = ACE_DENY, .who = (who_), .id = (id_), .mask = (mask_)}

static struct acl *build(struct test *t, const struct ace *aces, size_t n, uint32_t flags)
{
	struct acl_builder b;
	struct acl *acl = NULL, *kept;

	acl_begin(&b, flags);
	for (size_t i = 0; i < n; i++)
		acl_add(&b, &aces[i]);
	if (!OK(acl_end(&b, &acl)))
		return NULL;
	kept = memory(t, sizeof(*acl) + acl->size);
	memcpy(kept, acl, sizeof(*acl) + acl->size);
	free(acl);
	return kept;
}

static int set_aces(struct test *t, const struct obj *o, const struct ace *aces, size_t n)
{
	struct acl *acl = build(t, aces, n, 0);

	return acl ? fs_set_acl(t, o, acl->bytes, acl->size) : ERR_INVAL;
}

#define SET(o, ...) set_aces(t, o, (const struct ace[]){__VA_ARGS__}, sizeof((const struct ace[]){__VA_ARGS__}) / sizeof(struct ace))

/* The object's ACL; NULL and a failed check if it can't be had. */
static struct acl *acl_of(struct test *t, const struct obj *o)
{
	struct acl *acl = memory(t, sizeof(*acl) + ROOM);

	if (!OK(fs_get_acl(t, o, acl->bytes, ROOM)))
		return NULL;
	acl->size = (uint32_t)t->ans.size;
	return acl;
}

/* The first ACE for who, mask 0 if there is none. */
static struct ace ace_of(const struct acl *acl, uint32_t who, uint32_t id)
{
	struct acl_walk w;
	struct ace ace;

	if (!acl)
		return (struct ace){.mask = 0};
	w = acl_walk(acl);
	while (acl_next(&w, &ace))
		if (ace.who == who && ace.id == id)
			return ace;
	return (struct ace){.mask = 0};
}

CASE_ACL(acls_kept, "an ACL comes back as it was set, and the object says that it has one")
{
	struct obj f = a_file(t, "f", 0640);
	struct ace aces[] = {
		DENY(WHO_UID, BOB.uid, ACE_WRITE_DATA), ALLOW(WHO_OWNER, 0, READ | WRITE), ALLOW(WHO_GID, 7, READ),
		ALLOW(WHO_EVERYONE, 0, ACE_READ_ATTRIBUTES),
	};
	struct acl *acl = build(t, aces, ARRAY_SIZE(aces), ACL_PROTECTED), *back;

	EQ(attr_of(t, &f).flags & ATTR_HAS_ACL, 0);
	OK(fs_set_acl(t, &f, acl->bytes, acl->size));
	back = acl_of(t, &f);
	EQ(t->ans.stored, 1);
	EQ(back->size, acl->size);
	SAME(back->bytes, acl->bytes, acl->size);
	EQ(attr_of(t, &f).flags & ATTR_HAS_ACL, ATTR_HAS_ACL);
}

CASE_ACL(acls_from_mode, "an object without an ACL answers what its mode says")
{
	struct obj f = a_file(t, "f", 0640);
	struct acl *acl = acl_of(t, &f);

	EQ(t->ans.stored, 0);
	EQ(acl_mode(acl), 0640);
	OK(fs_get_acl(t, &f, NULL, 0));
	EQ(t->ans.size, acl->size);
	FAILS(ERR_TOOSMALL, fs_get_acl(t, &f, acl->bytes, acl->size - 1));
}

CASE_ACL(acls_sets_mode, "setting an ACL changes the mode, ctime and change; without it the mode stays")
{
	struct obj f = a_file(t, "f", 04777);
	struct op_attr before = attr_of(t, &f);

	tick(t);
	OK(SET(&f, ALLOW(WHO_OWNER, 0, READ | WRITE), ALLOW(WHO_EVERYONE, 0, READ)));
	EQ(attr_of(t, &f).mode, 04644);
	TIME_AFTER(attr_of(t, &f).ctime, before.ctime);
	NE(attr_of(t, &f).change, before.change);
	OK(fs_set_acl(t, &f, NULL, 0));
	EQ(attr_of(t, &f).mode, 04644);
	EQ(attr_of(t, &f).flags & ATTR_HAS_ACL, 0);
	acl_of(t, &f);
	EQ(t->ans.stored, 0);
}

/* ---- what it grants: by op */

CASE_ACL(acls_data, "reading and writing are what the ACL says, whatever the mode would")
{
	struct obj f = a_text(t, "f", "text");
	char byte;

	OK(SET(&f, DENY(WHO_UID, BOB.uid, ACE_WRITE_DATA | ACE_APPEND_DATA), ALLOW(WHO_UID, BOB.uid, READ),
	       ALLOW(WHO_GID, 2001, READ | WRITE)));
	EQ(attr_of(t, &f).mode & 0777, 0);
	as(t, &BOB);
	OK(fs_read(t, &f, 0, &byte, 1));
	FAILS(ERR_ACCES, fs_write_text(t, &f, 0, "x"));
	as(t, &ALICE);
	OK(fs_read(t, &f, 0, &byte, 1));
	OK(fs_write_text(t, &f, 0, "x"));
	as(t, &CAROL);
	FAILS(ERR_ACCES, fs_read(t, &f, 0, &byte, 1));
	OK(fs_access(t, &f, ACCESS_READ | ACCESS_MODIFY | ACCESS_EXTEND | ACCESS_EXECUTE));
	EQ(t->ans.allowed, 0);
	as(t, &BOB);
	OK(fs_access(t, &f, ACCESS_READ | ACCESS_MODIFY | ACCESS_EXTEND | ACCESS_EXECUTE));
	EQ(t->ans.allowed, ACCESS_READ);
	OK(fs_open_obj(t, &f, OPEN_READ));
	OK(fs_close(t, t->ans.open_id));
	FAILS(ERR_ACCES, fs_open_obj(t, &f, OPEN_READ | OPEN_WRITE));
}

CASE_ACL(acls_append, "the right to append is for what begins at the end")
{
	struct obj f = a_text(t, "f", "text");

	OK(SET(&f, ALLOW(WHO_UID, BOB.uid, ACE_APPEND_DATA | READ)));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_write_text(t, &f, 0, "x"));
	OK(fs_write_text(t, &f, 4, "more"));
	OK(fs_append(t, &f, "!", 1));
	TRUE(holds(t, &f, "textmore!"));
	FAILS(ERR_ACCES, fs_truncate(t, &f, 0));
}

CASE_ACL(acls_order, "the first ACE that names a right decides it")
{
	struct obj f = a_text(t, "f", "text");
	char byte;

	OK(SET(&f, ALLOW(WHO_UID, BOB.uid, ACE_READ_DATA), DENY(WHO_EVERYONE, 0, ACE_READ_DATA),
	       ALLOW(WHO_UID, ALICE.uid, ACE_READ_DATA)));
	as(t, &BOB);
	OK(fs_read(t, &f, 0, &byte, 1));
	as(t, &ALICE);
	FAILS(ERR_ACCES, fs_read(t, &f, 0, &byte, 1));
}

CASE_ACL(acls_add, "adding files and adding directories are two rights")
{
	struct obj d = a_dir(t, "d", 0700);
	struct obj o;

	OK(SET(&d, ALLOW(WHO_UID, BOB.uid, ACE_WRITE_DATA | ENTER), ALLOW(WHO_UID, ALICE.uid, ACE_APPEND_DATA | ENTER)));
	as(t, &BOB);
	OK(fs_create(t, &d, "f", 0644, &o));
	OK(fs_symlink(t, &d, "s", "x", &o));
	FAILS(ERR_ACCES, fs_mkdir(t, &d, "e", 0755, &o));
	as(t, &ALICE);
	FAILS(ERR_ACCES, fs_create(t, &d, "g", 0644, &o));
	OK(fs_mkdir(t, &d, "e", 0755, &o));
}

static void no_entry(void *arg, const struct op_dirent *d, const char *name)
{
}

CASE_ACL(acls_traverse_list, "searching and listing are two rights")
{
	struct obj d = a_dir(t, "d", 0700), f = file_in(t, &d, "f", 0644), o;
	struct scan scan = {.room = 4096, .entry = no_entry};

	OK(SET(&d, ALLOW(WHO_UID, BOB.uid, ENTER), ALLOW(WHO_UID, ALICE.uid, ACE_READ_DATA)));
	as(t, &BOB);
	OK(fs_lookup(t, &d, "f", &o));
	FAILS(ERR_ACCES, fs_readdir(t, &d, &scan));
	as(t, &ALICE);
	FAILS(ERR_ACCES, fs_lookup(t, &d, "f", &o));
	OK(fs_readdir(t, &d, &scan));
	EQ(f.fd, -1);
}

CASE_ACL(acls_delete, "DELETE on the object or DELETE_CHILD on the directory takes a name away; neither mentioned: who may add")
{
	struct obj d = a_dir(t, "d", 0700), f;

	OK(SET(&d, ALLOW(WHO_UID, BOB.uid, ACE_DELETE_CHILD | ENTER), ALLOW(WHO_UID, CAROL.uid, ACE_WRITE_DATA | ENTER),
	       ALLOW(WHO_EVERYONE, 0, ENTER), DENY(WHO_UID, DAVE.uid, ACE_DELETE_CHILD)));
	f = file_in(t, &d, "f", 0644);
	file_in(t, &d, "g", 0644);
	file_in(t, &d, "h", 0644);
	as(t, &ALICE);
	FAILS(ERR_ACCES, fs_unlink(t, &d, "f"));
	as(t, &ROOT);
	OK(SET(&f, ALLOW(WHO_UID, ALICE.uid, ACE_DELETE)));
	as(t, &ALICE);
	FAILS(ERR_ACCES, fs_unlink(t, &d, "g"));
	OK(fs_unlink(t, &d, "f"));
	as(t, &BOB);
	OK(fs_unlink(t, &d, "g"));
	as(t, &DAVE);
	FAILS(ERR_ACCES, fs_unlink(t, &d, "h"));
	as(t, &CAROL);
	OK(fs_unlink(t, &d, "h"));
}

CASE_ACL(acls_sticky, "the sticky bit holds against DELETE_CHILD, not against DELETE on the object")
{
	struct obj d = a_dir(t, "d", 01777), f, g;

	OK(SET(&d, ALLOW(WHO_EVERYONE, 0, READ | WRITE | ENTER | ACE_DELETE_CHILD)));
	EQ(attr_of(t, &d).mode, 01777);
	f = file_in(t, &d, "f", 0644);
	g = file_in(t, &d, "g", 0644);
	as(t, &BOB);
	FAILS(ERR_PERM, fs_unlink(t, &d, "f"));
	as(t, &ROOT);
	OK(SET(&f, ALLOW(WHO_UID, BOB.uid, ACE_DELETE)));
	as(t, &BOB);
	OK(fs_unlink(t, &d, "f"));
	FAILS(ERR_PERM, fs_rename(t, &d, "g", &d, "h"));
	EQ(g.fd, -1);
}

CASE_ACL(acls_rename, "a rename needs what removing here and adding there needs")
{
	struct obj from = a_dir(t, "from", 0700), to = a_dir(t, "to", 0700), e;

	file_in(t, &from, "f", 0644);
	e = dir_in(t, &from, "e", 0755);
	OK(SET(&from, ALLOW(WHO_UID, BOB.uid, ACE_DELETE_CHILD | ENTER)));
	OK(SET(&to, ALLOW(WHO_UID, BOB.uid, ACE_WRITE_DATA | ENTER)));
	OK(SET(&e, ALLOW(WHO_EVERYONE, 0, READ)));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_rename(t, &from, "e", &to, "e"));
	OK(fs_rename(t, &from, "f", &to, "f"));
	FAILS(ERR_ACCES, fs_rename(t, &to, "f", &from, "f"));
	as(t, &ROOT);
	OK(SET(&to, ALLOW(WHO_UID, BOB.uid, ACE_APPEND_DATA | ENTER)));
	as(t, &BOB);
	OK(fs_rename(t, &from, "e", &to, "e"));
}

CASE_ACL(acls_attributes, "attributes, owner and the ACL itself have rights of their own")
{
	struct obj f = a_file(t, "f", 0600);
	struct op_time then = at(1000, 0);
	char room[ROOM];

	OK(SET(&f, ALLOW(WHO_UID, BOB.uid, ACE_WRITE_ATTRIBUTES | ACE_READ_ATTRIBUTES),
	       ALLOW(WHO_UID, ALICE.uid, ACE_WRITE_OWNER | ACE_READ_ATTRIBUTES), ALLOW(WHO_UID, DAVE.uid, ACE_WRITE_ACL | ACE_READ_ACL)));
	as(t, &BOB);
	OK(fs_utimes(t, &f, then, then));
	FAILS(ERR_PERM, fs_chmod(t, &f, 0777));
	FAILS(ERR_ACCES, fs_get_acl(t, &f, room, ROOM));
	FAILS(ERR_PERM, fs_set_acl(t, &f, NULL, 0));
	as(t, &DAVE);
	OK(fs_get_acl(t, &f, room, ROOM));
	FAILS(ERR_ACCES, fs_getattr(t, &f));
	FAILS(ERR_PERM, fs_utimes(t, &f, then, then));
	OK(fs_chmod(t, &f, 0640));
	as(t, &ROOT);
	EQ(attr_of(t, &f).mode, 0640);
	as(t, &ALICE);
	FAILS(ERR_PERM, fs_chown(t, &f, BOB.uid, UINT32_MAX));
	OK(fs_chown(t, &f, ALICE.uid, UINT32_MAX));
	EQ(attr_of(t, &f).uid, ALICE.uid);
	OK(fs_set_acl(t, &f, NULL, 0));
}

CASE_ACL(acls_owner_always, "the owner can always read and change the ACL and the attributes")
{
	struct obj f;
	char room[ROOM];

	as(t, &ALICE);
	f = a_file(t, "f", 0600);
	OK(SET(&f, DENY(WHO_EVERYONE, 0, ACE_MASK_ALL)));
	EQ(attr_of(t, &f).mode, 0);
	FAILS(ERR_ACCES, fs_read(t, &f, 0, room, 1));
	OK(fs_get_acl(t, &f, room, ROOM));
	OK(fs_touch(t, &f));
	OK(fs_chmod(t, &f, 0600));
	OK(fs_read(t, &f, 0, room, 1));
}

CASE_ACL(acls_xattr, "extended attributes have rights of their own")
{
	struct obj f = a_file(t, "f", 0600);
	char value[8];

	if (!(t->features & HAS_XATTR))
		return;
	OK(fs_set_xattr(t, &f, "user.x", "1", 0));
	OK(SET(&f, ALLOW(WHO_UID, BOB.uid, ACE_READ_NAMED_ATTRS | ACE_WRITE_DATA), ALLOW(WHO_UID, ALICE.uid, ACE_WRITE_NAMED_ATTRS)));
	as(t, &BOB);
	OK(fs_get_xattr(t, &f, "user.x", value, 8));
	FAILS(ERR_ACCES, fs_set_xattr(t, &f, "user.x", "2", 0));
	as(t, &ALICE);
	OK(fs_set_xattr(t, &f, "user.x", "2", 0));
	FAILS(ERR_ACCES, fs_get_xattr(t, &f, "user.x", value, 8));
}

/* ---- modes */

CASE_ACL(acls_chmod, "a chmod changes the ACL: its three classes, and what others are given through the group's bits")
{
	struct obj f = a_text(t, "f", "text");
	struct acl *acl;
	char byte;

	OK(SET(&f, ALLOW(WHO_OWNER, 0, READ | WRITE), ALLOW(WHO_UID, BOB.uid, READ | WRITE | ENTER), ALLOW(WHO_GROUP, 0, READ | WRITE),
	       ALLOW(WHO_EVERYONE, 0, READ)));
	EQ(attr_of(t, &f).mode, 0664);
	OK(fs_chmod(t, &f, 0740));
	EQ(attr_of(t, &f).mode, 0740);
	acl = acl_of(t, &f);
	EQ(t->ans.stored, 1);
	EQ(acl_mode(acl), 0740);
	EQ(ace_of(acl, WHO_UID, BOB.uid).mask & (READ | WRITE | ENTER), READ);
	as(t, &BOB);
	OK(fs_read(t, &f, 0, &byte, 1));
	FAILS(ERR_ACCES, fs_write_text(t, &f, 0, "x"));
	as(t, &ROOT);
	OK(fs_chmod(t, &f, 0700));
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_read(t, &f, 0, &byte, 1));
}

CASE_ACL(acls_chmod_stays_small, "chmod again and again does not make an ACL grow")
{
	struct obj d = a_dir(t, "d", 0700);
	struct ace everyone = ALLOW(WHO_EVERYONE, 0, READ), bob = ALLOW(WHO_UID, BOB.uid, READ | WRITE | ENTER);
	uint64_t sizes[8];

	everyone.flags = bob.flags = FD;
	OK(SET(&d, everyone, bob, DENY(WHO_GROUP, 0, ACE_DELETE)));
	for (int i = 0; i < 8; i++) {
		OK(fs_chmod(t, &d, i % 2 ? 0750 : 0705));
		acl_of(t, &d);
		sizes[i] = t->ans.size;
		if (i > 1)
			TRUE(sizes[i] <= sizes[i - 2]);
	}
}

/* ---- inheritance */

static const struct ace FOR_ALL[] = {
	{.type = ACE_ALLOW, .who = WHO_OWNER, .mask = ACE_MASK_ALL, .flags = FD},
	{.type = ACE_ALLOW, .who = WHO_UID, .id = 1002, .mask = READ | WRITE | ENTER, .flags = FD},
	{.type = ACE_ALLOW, .who = WHO_UID, .id = 1003, .mask = READ, .flags = ACE_FILE_INHERIT | ACE_INHERIT_ONLY},
	{.type = ACE_ALLOW, .who = WHO_UID, .id = 1004, .mask = READ, .flags = ACE_DIRECTORY_INHERIT | ACE_NO_PROPAGATE},
	{.type = ACE_ALLOW, .who = WHO_GROUP, .mask = READ | WRITE | ENTER, .flags = FD},
	{.type = ACE_ALLOW, .who = WHO_EVERYONE, .mask = READ | ENTER},
};

/* Made without a mode, as SMB does: the ACL alone decides. */
static struct obj bare(struct test *t, const struct obj *dir, const char *name, bool is_dir)
{
	struct open_how how = {.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE};
	struct op_attr none = {.mask = 0};
	struct obj o = {.fd = -1};

	if (is_dir)
		OK(t->drv->mkdir(t, dir, str(name), &none, &o));
	else
		OK(t->drv->open(t, dir, str(name), &how, &o));
	return o;
}

CASE_NEEDS(acls_inherit, HAS_ACL | HAS_OPS | HAS_USERS, "what is new gets from its directory what is for it")
{
	struct obj d = a_dir(t, "d", 0755), f, e, g;
	struct acl *acl;

	OK(set_aces(t, &d, FOR_ALL, ARRAY_SIZE(FOR_ALL)));
	f = bare(t, &d, "f", false);
	acl = acl_of(t, &f);
	EQ(t->ans.stored, 1);
	EQ(acl_count(acl), 4);
	EQ(ace_of(acl, WHO_UID, 1002).flags, 0);
	EQ(ace_of(acl, WHO_UID, 1003).mask, READ);
	EQ(ace_of(acl, WHO_UID, 1004).mask, 0);
	EQ(ace_of(acl, WHO_EVERYONE, 0).mask, 0);
	EQ(attr_of(t, &f).mode & 0777, acl_mode(acl));
	e = bare(t, &d, "e", true);
	acl = acl_of(t, &e);
	EQ(acl_count(acl), 5);
	EQ(ace_of(acl, WHO_UID, 1002).flags, FD);
	EQ(ace_of(acl, WHO_UID, 1003).flags, ACE_FILE_INHERIT | ACE_INHERIT_ONLY);
	EQ(ace_of(acl, WHO_UID, 1004).flags, 0);
	g = bare(t, &e, "g", true);
	acl = acl_of(t, &g);
	EQ(ace_of(acl, WHO_UID, 1004).mask, 0);
	EQ(ace_of(acl, WHO_UID, 1002).flags, FD);
	as(t, &BOB);
	OK(fs_create(t, &g, "h", 0600, &f));
}

CASE_ACL(acls_inherit_mode, "a mode that is given limits what is inherited")
{
	struct obj d = a_dir(t, "d", 0755), f;
	struct acl *acl;

	OK(set_aces(t, &d, FOR_ALL, ARRAY_SIZE(FOR_ALL)));
	f = file_in(t, &d, "f", 0640);
	EQ(attr_of(t, &f).mode & 0777, 0640);
	acl = acl_of(t, &f);
	EQ(t->ans.stored, 1);
	EQ(acl_mode(acl), 0640);
	EQ(ace_of(acl, WHO_UID, 1002).mask & (WRITE | ENTER), 0);
	EQ(ace_of(acl, WHO_UID, 1002).mask & ACE_READ_DATA, ACE_READ_DATA);
}

CASE_ACL(acls_inherit_nothing, "without anything to inherit the mode decides, as ever")
{
	struct obj d = a_dir(t, "d", 0755), f;

	OK(SET(&d, ALLOW(WHO_OWNER, 0, ACE_MASK_ALL), ALLOW(WHO_EVERYONE, 0, READ | ENTER)));
	f = file_in(t, &d, "f", 0640);
	EQ(attr_of(t, &f).flags & ATTR_HAS_ACL, 0);
	EQ(attr_of(t, &f).mode & 0777, 0640);
}

CASE_NEEDS(acls_auto_inherit, HAS_ACL | HAS_OPS | HAS_USERS, "automatic inheritance is marked on the heirs")
{
	struct obj d = a_dir(t, "d", 0755), f;
	struct acl *acl = build(t, FOR_ALL, ARRAY_SIZE(FOR_ALL), ACL_AUTO_INHERIT);

	OK(fs_set_acl(t, &d, acl->bytes, acl->size));
	f = bare(t, &d, "f", false);
	acl = acl_of(t, &f);
	EQ(acl_flags(acl), ACL_AUTO_INHERIT);
	EQ(ace_of(acl, WHO_UID, 1002).flags, ACE_INHERITED);
}

/* ---- limits */

CASE_ACL(acls_malformed, "what is no ACL is refused, and changes nothing")
{
	struct obj f = a_file(t, "f", 0644), s = a_symlink(t, "s", "f");
	struct acl *acl = build(t, FOR_ALL, 1, 0);

	FAILS(ERR_INVAL, fs_set_acl(t, &f, acl->bytes, acl->size - 1));
	FAILS(ERR_INVAL, fs_set_acl(t, &f, "x", 1));
	acl->bytes[0] = 9;
	FAILS(ERR_INVAL, fs_set_acl(t, &f, acl->bytes, acl->size));
	acl->bytes[0] = 1;
	FAILS(ERR_NOTSUPP, fs_set_acl(t, &s, acl->bytes, acl->size));
	EQ(attr_of(t, &f).flags & ATTR_HAS_ACL, 0);
}

CASE_ACL(acls_large, "an ACL of hundreds of entries is kept and judged")
{
	struct obj f = a_text(t, "f", "text");
	struct ace *aces = memory(t, 200 * sizeof(*aces));
	char byte;

	for (uint32_t i = 0; i < 200; i++)
		aces[i] = (struct ace)ALLOW(WHO_UID, 5000 + i, READ);
	aces[199].id = BOB.uid;
	OK(set_aces(t, &f, aces, 200));
	EQ(acl_count(acl_of(t, &f)), 200);
	as(t, &BOB);
	OK(fs_read(t, &f, 0, &byte, 1));
}

CASE_ACL(acls_outlast_names, "an ACL belongs to the object: renames and links take it along")
{
	struct obj f = a_file(t, "f", 0600), g;

	OK(SET(&f, ALLOW(WHO_UID, BOB.uid, READ)));
	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_rename(t, &t->dir, "f", &t->dir, "g"));
	OK(fs_lookup(t, &t->dir, "g", &g));
	EQ(ace_of(acl_of(t, &g), WHO_UID, BOB.uid).mask, READ);
	OK(fs_lookup(t, &t->dir, "l", &g));
	EQ(ace_of(acl_of(t, &g), WHO_UID, BOB.uid).mask, READ);
}

/* ---- as an extended attribute, on a mount */

CASE_NEEDS(acls_as_xattr, HAS_NFS4_ACL | HAS_USERS, "the attribute system.nfs4_acl is the ACL: it is told, set, obeyed and removed")
{
	static const struct ace aces[] = {DENY(WHO_UID, 1002, ACE_READ_DATA), ALLOW(WHO_OWNER, 0, READ | WRITE), ALLOW(WHO_EVERYONE, 0, READ)};
	struct obj f = a_text(t, "f", "text");
	struct acl *want = build(t, aces, ARRAY_SIZE(aces), 0), *got = NULL;
	struct str name = str(ACL_NFS4_NAME);
	struct bytes value;
	char room[1024], byte;

	bytes_init(&value, 0);
	acl_to_nfs4(want, &value);
	OK(fs_chmod(t, &f, 0640));
	OK(t->drv->get_xattr(t, &f, name, room, sizeof(room)));
	if (OK(acl_from_nfs4(room, t->ans.size, &got)))
		EQ(acl_mode(got), 0640);
	free(TAKE(got));
	OK(t->drv->set_xattr(t, &f, name, (struct str){value.data, value.size}, 0));
	EQ(attr_of(t, &f).mode, 0644);
	OK(t->drv->get_xattr(t, &f, name, room, sizeof(room)));
	EQ(t->ans.size, value.size);
	SAME(room, value.data, value.size);
	as(t, &BOB);
	FAILS(ERR_ACCES, fs_read(t, &f, 0, &byte, 1));
	as(t, &CAROL);
	OK(fs_read(t, &f, 0, &byte, 1));
	FAILS_EITHER(ERR_PERM, ERR_ACCES, t->drv->set_xattr(t, &f, name, (struct str){value.data, value.size}, 0));
	as(t, &ROOT);
	FAILS(ERR_INVAL, t->drv->set_xattr(t, &f, name, (struct str){value.data, value.size - 1}, 0));
	OK(t->drv->remove_xattr(t, &f, name));
	as(t, &BOB);
	OK(fs_read(t, &f, 0, &byte, 1));
	bytes_fini(&value);
}
