/* Quotas: limits of owners, groups and projects, what counts for whom, and how it is kept. */
#include "tests/conform/verbs-stream.h"

#define CASE_QUOTA(name, text) CASE_NEEDS(name, HAS_QUOTA | HAS_USERS | HAS_OPS, text)
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define NOBODY 7001u /* owns nothing but in the case at hand */

static const struct op_cred SOMEBODY = {.uid = NOBODY, .gid = NOBODY};

static struct op_quota usage(struct test *t, uint32_t kind, uint32_t id)
{
	struct op_quota q = {.kind = kind, .id = id};
	const struct op_cred *who = t->as;
	int err;

	as(t, &ROOT);
	err = fs_get_quota(t, &t->dir, &q, 0);
	as(t, who);
	if (err != ERR_NOENT)
		OK(err);
	return q;
}

static uint64_t bytes_used(struct test *t, uint32_t kind, uint32_t id)
{
	return usage(t, kind, id).bytes.used;
}

static uint64_t inodes_used(struct test *t, uint32_t kind, uint32_t id)
{
	return usage(t, kind, id).inodes.used;
}

/* 0, 0, 0, 0 takes the limits away. */
static void limit(struct test *t, uint32_t kind, uint32_t id, struct op_quota_limit bytes, struct op_quota_limit inodes)
{
	struct op_quota q = {.kind = kind, .id = id, .bytes = bytes, .inodes = inodes};
	const struct op_cred *who = t->as;

	as(t, &ROOT);
	OK(fs_set_quota(t, &t->dir, &q));
	as(t, who);
}

static int set_project(struct test *t, const struct obj *o, uint32_t project)
{
	struct op_attr attr = {.mask = ATTR_PROJECT, .project = project};

	return fs_setattr(t, o, &attr);
}

static int fill(struct test *t, const struct obj *o, uint64_t offset, uint64_t size)
{
	void *bytes = memory(t, size);

	memset(bytes, 'x', size);
	return fs_write(t, o, offset, bytes, (uint32_t)size);
}

#define NO_LIMIT (struct op_quota_limit){.hard = 0}
#define HARD(n) (struct op_quota_limit){.hard = (n)}

CASE_NEEDS(quota_is_roots, HAS_OPS | HAS_USERS, "limits are set by root alone; others may ask of themselves only")
{
	struct op_quota q = {.kind = QUOTA_USER, .id = BOB.uid};

	as(t, &BOB);
	FAILS_EITHER(ERR_PERM, ERR_NOTSUPP, fs_set_quota(t, &t->dir, &q));
	q.id = ALICE.uid;
	FAILS_EITHER(ERR_PERM, ERR_NOTSUPP, fs_get_quota(t, &t->dir, &q, 0));
}

CASE_QUOTA(quota_kept, "limits come back as they were set, are listed in order, and go")
{
	struct op_quota q = {.kind = QUOTA_USER, .id = 7100};
	struct op_quota_limit bytes = {.soft = MIB(1), .hard = MIB(2), .grace = 100}, inodes = {.soft = 3, .hard = 4};

	limit(t, QUOTA_USER, 7100, bytes, inodes);
	limit(t, QUOTA_USER, 7200, bytes, NO_LIMIT);
	OK(fs_get_quota(t, &t->dir, &q, 0));
	EQ(q.bytes.soft, MIB(1));
	EQ(q.bytes.hard, MIB(2));
	EQ(q.bytes.grace, 100);
	EQ(q.bytes.used, 0);
	EQ(q.inodes.soft, 3);
	EQ(q.inodes.hard, 4);
	q.id = 7101;
	OK(fs_get_quota(t, &t->dir, &q, QUOTA_NEXT));
	EQ(q.id, 7200);
	limit(t, QUOTA_USER, 7100, NO_LIMIT, NO_LIMIT);
	limit(t, QUOTA_USER, 7200, NO_LIMIT, NO_LIMIT);
	q.id = 7100;
	FAILS(ERR_NOENT, fs_get_quota(t, &t->dir, &q, 0));
	q = (struct op_quota){.kind = QUOTA_USER, .id = 7100, .bytes = {.soft = 2, .hard = 1}};
	FAILS(ERR_INVAL, fs_set_quota(t, &t->dir, &q));
	q = (struct op_quota){.kind = QUOTA_N_KINDS};
	FAILS(ERR_INVAL, fs_set_quota(t, &t->dir, &q));
}

CASE_QUOTA(quota_usage, "data and inodes count for owner and group, and no more when they are gone")
{
	struct obj f;

	as(t, &SOMEBODY);
	f = a_file(t, "f", 0644);
	OK(fill(t, &f, 0, KIB(64)));
	OK(fs_commit(t, &f));
	EQ(bytes_used(t, QUOTA_USER, NOBODY), KIB(64));
	EQ(bytes_used(t, QUOTA_GROUP, NOBODY), KIB(64));
	EQ(inodes_used(t, QUOTA_USER, NOBODY), 1);
	a_dir(t, "d", 0755);
	a_symlink(t, "s", "f");
	EQ(inodes_used(t, QUOTA_GROUP, NOBODY), 3);
	OK(fill(t, &f, 0, KIB(64)));
	OK(fs_commit(t, &f));
	EQ(bytes_used(t, QUOTA_USER, NOBODY), KIB(64));
	OK(fs_truncate(t, &f, KIB(16)));
	EQ(bytes_used(t, QUOTA_USER, NOBODY), KIB(16));
	OK(fs_link(t, &f, &t->dir, "l"));
	OK(fs_unlink(t, &t->dir, "f"));
	EQ(inodes_used(t, QUOTA_USER, NOBODY), 3);
	OK(fs_unlink(t, &t->dir, "l"));
	OK(fs_unlink(t, &t->dir, "s"));
	OK(fs_rmdir(t, &t->dir, "d"));
	/* Statistics wait until what was removed is free. */
	t->drv->release(t);
	OK(fs_statfs(t, &t->root));
	EQ(bytes_used(t, QUOTA_USER, NOBODY), 0);
	EQ(inodes_used(t, QUOTA_USER, NOBODY), 0);
}

CASE_QUOTA(quota_hard, "a hard limit is not passed, and what is refused changes nothing")
{
	struct obj f;

	limit(t, QUOTA_USER, NOBODY, HARD(KIB(64)), HARD(2));
	as(t, &SOMEBODY);
	f = a_file(t, "f", 0644);
	OK(fill(t, &f, 0, KIB(64)));
	FAILS(ERR_DQUOT, fill(t, &f, KIB(64), KIB(4)));
	EQ(attr_of(t, &f).size, KIB(64));
	OK(fs_commit(t, &f));
	OK(fill(t, &f, 0, KIB(64)));
	OK(fs_commit(t, &f));
	if (fs_allocate(t, &f, KIB(64), KIB(64), 0) != ERR_NOTSUPP)
		FAILS(ERR_DQUOT, fs_allocate(t, &f, KIB(64), KIB(64), 0));
	EQ(bytes_used(t, QUOTA_USER, NOBODY), KIB(64));
	a_dir(t, "d", 0755);
	FAILS(ERR_DQUOT, fs_create(t, &t->dir, "g", 0644, NULL));
	FAILS(ERR_DQUOT, fs_mkdir(t, &t->dir, "g", 0755, NULL));
	FAILS(ERR_DQUOT, fs_symlink(t, &t->dir, "g", "x", NULL));
	TRUE(!exists(t, &t->dir, "g"));
	OK(fs_truncate(t, &f, KIB(32)));
	OK(fill(t, &f, KIB(32), KIB(16)));
	as(t, &ALICE);
	file_in(t, &t->dir, "h", 0644);
	limit(t, QUOTA_USER, NOBODY, NO_LIMIT, NO_LIMIT);
	as(t, &SOMEBODY);
	OK(fill(t, &f, KIB(64), KIB(64)));
}

CASE_QUOTA(quota_soft, "a soft limit may be passed until its grace is over")
{
	struct op_quota_limit bytes = {.soft = KIB(16), .grace = 3600};
	struct obj f;

	limit(t, QUOTA_GROUP, NOBODY, bytes, NO_LIMIT);
	as(t, &SOMEBODY);
	f = a_file(t, "f", 0644);
	OK(fill(t, &f, 0, KIB(16)));
	EQ(usage(t, QUOTA_GROUP, NOBODY).bytes.until, 0);
	OK(fill(t, &f, KIB(16), KIB(16)));
	TRUE(usage(t, QUOTA_GROUP, NOBODY).bytes.until > attr_of(t, &f).mtime.sec + 3500);
	OK(fs_truncate(t, &f, 0));
	OK(fs_commit(t, &f));
	EQ(usage(t, QUOTA_GROUP, NOBODY).bytes.until, 0);
	limit(t, QUOTA_GROUP, NOBODY, NO_LIMIT, NO_LIMIT);
}

CASE_QUOTA(quota_chown, "a change of owner or group moves what the object has, if the new one may have it")
{
	struct obj f;

	as(t, &SOMEBODY);
	f = a_file(t, "f", 0644);
	OK(fill(t, &f, 0, KIB(32)));
	as(t, &ROOT);
	limit(t, QUOTA_USER, 7300, HARD(KIB(16)), NO_LIMIT);
	FAILS(ERR_DQUOT, fs_chown(t, &f, 7300, UINT32_MAX));
	EQ(attr_of(t, &f).uid, NOBODY);
	EQ(bytes_used(t, QUOTA_USER, NOBODY), KIB(32));
	OK(fs_chown(t, &f, 7301, 7302));
	EQ(bytes_used(t, QUOTA_USER, NOBODY), 0);
	EQ(inodes_used(t, QUOTA_GROUP, NOBODY), 0);
	EQ(bytes_used(t, QUOTA_USER, 7301), KIB(32));
	EQ(bytes_used(t, QUOTA_GROUP, 7302), KIB(32));
	EQ(inodes_used(t, QUOTA_USER, 7301), 1);
	OK(fs_commit(t, &f));
	EQ(bytes_used(t, QUOTA_USER, 7301), KIB(32));
	limit(t, QUOTA_USER, 7300, NO_LIMIT, NO_LIMIT);
}

CASE_QUOTA(quota_project, "what is made below a directory counts for its project, and does not get in otherwise")
{
	struct obj d = a_dir(t, "d", 0777), f, e, out;

	as(t, &BOB);
	FAILS(ERR_PERM, set_project(t, &d, 9));
	as(t, &ROOT);
	OK(set_project(t, &d, 9));
	EQ(attr_of(t, &d).project, 9);
	as(t, &SOMEBODY);
	e = dir_in(t, &d, "e", 0755);
	f = file_in(t, &e, "f", 0644);
	EQ(attr_of(t, &f).project, 9);
	OK(fill(t, &f, 0, KIB(32)));
	EQ(bytes_used(t, QUOTA_PROJECT, 9), KIB(32));
	EQ(inodes_used(t, QUOTA_PROJECT, 9), 3);
	out = a_file(t, "out", 0644);
	FAILS(ERR_XDEV, fs_rename(t, &t->dir, "out", &d, "in"));
	FAILS(ERR_XDEV, fs_link(t, &out, &d, "in"));
	limit(t, QUOTA_PROJECT, 9, HARD(KIB(40)), HARD(3));
	FAILS(ERR_DQUOT, fill(t, &f, KIB(32), KIB(32)));
	FAILS(ERR_DQUOT, fs_create(t, &e, "g", 0644, NULL));
	OK(fs_rename(t, &e, "f", &d, "f"));
	limit(t, QUOTA_PROJECT, 9, NO_LIMIT, NO_LIMIT);
	as(t, &ROOT);
	OK(set_project(t, &f, 0));
	EQ(bytes_used(t, QUOTA_PROJECT, 9), 0);
	EQ(inodes_used(t, QUOTA_PROJECT, 9), 2);
}

CASE_NEEDS(quota_streams, HAS_QUOTA | HAS_USERS | HAS_OPS | HAS_STREAMS, "streams count for the owner of what they belong to")
{
	struct obj f = a_file(t, "f", 0644), s;

	OK(fs_chown(t, &f, NOBODY, NOBODY));
	s = a_stream(t, &f, "s", "");
	OK(fill(t, &s, 0, KIB(256)));
	OK(fs_commit(t, &s));
	EQ(inodes_used(t, QUOTA_USER, NOBODY), 2);
	EQ(bytes_used(t, QUOTA_USER, NOBODY), KIB(256));
	OK(fs_remove_stream(t, &f, "s", 0));
}

CASE_NEEDS(quota_streams_chown, HAS_QUOTA | HAS_USERS | HAS_OPS | HAS_STREAMS, "a change of owner moves what streams have, if that may be")
{
	struct obj f = a_file(t, "f", 0644), s;

	OK(fs_chown(t, &f, NOBODY, NOBODY));
	OK(fill(t, &f, 0, KIB(32)));
	s = a_stream(t, &f, "s", "");
	OK(fill(t, &s, 0, KIB(64)));
	a_stream(t, &f, "t", "");
	limit(t, QUOTA_USER, 7400, HARD(KIB(64)), NO_LIMIT);
	FAILS(ERR_DQUOT, fs_chown(t, &f, 7400, UINT32_MAX));
	EQ(bytes_used(t, QUOTA_USER, 7400), 0);
	EQ(bytes_used(t, QUOTA_USER, NOBODY), KIB(96));
	EQ(inodes_used(t, QUOTA_USER, NOBODY), 3);
	OK(fs_chown(t, &f, 7401, 7402));
	OK(set_project(t, &f, 11));
	EQ(inodes_used(t, QUOTA_USER, NOBODY), 0);
	EQ(bytes_used(t, QUOTA_USER, NOBODY), 0);
	EQ(inodes_used(t, QUOTA_GROUP, 7402), 3);
	EQ(bytes_used(t, QUOTA_GROUP, 7402), KIB(96));
	EQ(bytes_used(t, QUOTA_PROJECT, 11), KIB(96));
	OK(fill(t, &s, KIB(64), KIB(64)));
	OK(fs_commit(t, &s));
	EQ(bytes_used(t, QUOTA_USER, 7401), KIB(160));
	OK(fs_remove_stream(t, &f, "s", 0));
	limit(t, QUOTA_USER, 7400, NO_LIMIT, NO_LIMIT);
}
