/* Chains: several ops in one crossing, each on what the one before produced. */
#include <stdio.h>

#include "tests/conform/driver-client.h"

/* An op on the chain's object. */
static struct op *then(struct test *t, enum op_code code)
{
	struct op *op = ops_new(t, code, NULL);

	op->flags |= OP_F_PREV;
	return op;
}

static struct op *lookup_op(struct test *t, const struct obj *dir, const char *name)
{
	struct op *op = dir ? ops_new(t, OP_lookup, dir) : then(t, OP_lookup);

	ops_str(op, &op->in.lookup.name, name);
	return op;
}

static void put_all(struct test *t, struct op **ops, unsigned n)
{
	while (n-- > 0)
		ops_put(t, ops[n]);
}

CASE_NEEDS(chain_lookup_getattr, HAS_OPS, "an op with PREV acts on what the op before found")
{
	struct obj f = a_text(t, "f", "12345");
	struct op *ops[2] = {lookup_op(t, &t->dir, "f"), then(t, OP_getattr)};

	ops[1]->in.getattr.want = ATTR_ALL;
	OK(ops_chain(t, ops, 2));
	EQ(ops[1]->out.getattr.attr.size, 5);
	EQ(ops[1]->out.getattr.attr.fileid, ops[0]->out.lookup.attr.fileid);
	put_all(t, ops, 2);
	EQ(attr_of(t, &f).size, 5);
}

CASE_NEEDS(chain_walk, HAS_OPS, "lookups follow each other down a tree")
{
	struct obj a = a_dir(t, "a", 0755), b = dir_in(t, &a, "b", 0755), f = file_in(t, &b, "f", 0644);
	struct op *ops[4] = {lookup_op(t, &t->dir, "a"), lookup_op(t, NULL, "b"), lookup_op(t, NULL, "f"), then(t, OP_getattr)};

	ops[3]->in.getattr.want = ATTR_ALL;
	OK(ops_chain(t, ops, 4));
	EQ(ops[3]->out.getattr.attr.fileid, attr_of(t, &f).fileid);
	put_all(t, ops, 4);
}

CASE_NEEDS(chain_open_read_close, HAS_OPS, "open, read and close are one submission; the open is the chain's")
{
	struct obj f = a_text(t, "f", "some text");
	struct op *ops[3] = {ops_new(t, OP_open, &t->dir), then(t, OP_read), then(t, OP_close)};
	char data[16] = {0};

	ops_str(ops[0], &ops[0]->in.open.name, "f");
	ops[0]->in.open.access = OPEN_READ;
	ops[1]->in.read.size = 9;
	OK(ops_chain(t, ops, 3));
	EQ(ops[1]->out.read.size, 9);
	EQ(ops_data(t, ops[1], data, 16), 9);
	SAME(data, "some text", 9);
	FAILS(ERR_BADHANDLE, fs_close(t, ops[0]->out.open.open_id));
	put_all(t, ops, 3);
	TRUE(holds(t, &f, "some text"));
}

CASE_NEEDS(chain_create_write, HAS_OPS, "create, write and getattr are one submission")
{
	struct op *ops[3] = {ops_new(t, OP_open, &t->dir), then(t, OP_write), then(t, OP_getattr)};
	struct client_buf *buf = ops_payload(t, ops[1], "payload", 7);
	struct obj f = {0};

	ops_str(ops[0], &ops[0]->in.open.name, "f");
	ops[0]->in.open.disposition = OPEN_GUARDED;
	ops[0]->in.open.flags = OPEN_NO_STATE;
	ops[0]->in.open.attr = (struct op_attr){.mask = ATTR_MODE, .mode = 0644};
	ops[1]->in.write.size = 7;
	ops[2]->in.getattr.want = ATTR_ALL;
	OK(ops_chain(t, ops, 3));
	EQ(ops[2]->out.getattr.attr.size, 7);
	put_all(t, ops, 3);
	client_buf_put(t->drv->client(t), buf);
	OK(fs_lookup(t, &t->dir, "f", &f));
	TRUE(holds(t, &f, "payload"));
}

CASE_NEEDS(chain_cancel, HAS_OPS, "after a failure the rest is ERR_CANCELED and does nothing")
{
	struct op *ops[3] = {lookup_op(t, &t->dir, "absent"), then(t, OP_getattr), ops_new(t, OP_mkdir, &t->dir)};

	ops_str(ops[2], &ops[2]->in.mkdir.name, "d");
	FAILS(ERR_NOENT, ops_chain(t, ops, 3));
	EQ(ops[0]->status, ERR_NOENT);
	EQ(ops[1]->status, ERR_CANCELED);
	EQ(ops[2]->status, ERR_CANCELED);
	put_all(t, ops, 3);
	TRUE(!exists(t, &t->dir, "d"));
}

CASE_NEEDS(chain_keeps_done, HAS_OPS, "what ran before a failure stays done")
{
	struct op *ops[3] = {ops_new(t, OP_mkdir, &t->dir), lookup_op(t, NULL, "absent"), ops_new(t, OP_mkdir, &t->dir)};

	ops_str(ops[0], &ops[0]->in.mkdir.name, "first");
	ops_str(ops[2], &ops[2]->in.mkdir.name, "second");
	FAILS(ERR_NOENT, ops_chain(t, ops, 3));
	EQ(ops[0]->status, 0);
	put_all(t, ops, 3);
	TRUE(exists(t, &t->dir, "first"));
	TRUE(!exists(t, &t->dir, "second"));
}

CASE_NEEDS(chain_prev_of_nothing, HAS_OPS, "PREV in the first op of a chain, or alone, is ERR_BADHANDLE")
{
	struct op *op = then(t, OP_getattr);

	FAILS(ERR_BADHANDLE, ops_run(t, op));
	ops_put(t, op);
}

CASE_NEEDS(chain_prev_across, HAS_OPS, "the chain's object does not outlive the chain")
{
	struct op *op = lookup_op(t, &t->dir, ".");

	OK(ops_run(t, op));
	ops_put(t, op);
	op = then(t, OP_getattr);
	FAILS(ERR_BADHANDLE, ops_run(t, op));
	ops_put(t, op);
}

CASE_NEEDS(chain_own_object, HAS_OPS, "an op without PREV names its own object, and becomes the one before")
{
	struct obj a = a_text(t, "a", "1"), b = a_text(t, "b", "22");
	struct op *ops[3] = {ops_new(t, OP_getattr, &a), ops_new(t, OP_getattr, &b), then(t, OP_getattr)};
	unsigned i;

	for (i = 0; i < 3; i++)
		ops[i]->in.getattr.want = ATTR_ALL;
	OK(ops_chain(t, ops, 3));
	EQ(ops[0]->out.getattr.attr.size, 1);
	EQ(ops[1]->out.getattr.attr.size, 2);
	EQ(ops[2]->out.getattr.attr.size, 2);
	put_all(t, ops, 3);
}

CASE_NEEDS(chain_longest, HAS_OPS, "a chain of 16 makes a tree 16 deep; 17 are refused and nothing runs")
{
	struct op *ops[OP_CHAIN_MAX + 1];
	unsigned i;

	for (i = 0; i <= OP_CHAIN_MAX; i++) {
		ops[i] = i ? then(t, OP_mkdir) : ops_new(t, OP_mkdir, &t->dir);
		ops_str(ops[i], &ops[i]->in.mkdir.name, "d");
	}
	FAILS(ERR_INVAL, ops_chain(t, ops, OP_CHAIN_MAX + 1));
	TRUE(!exists(t, &t->dir, "d"));
	OK(ops_chain(t, ops, OP_CHAIN_MAX));
	put_all(t, ops, OP_CHAIN_MAX + 1);
	EQ(count_entries(t, &t->dir), 1);
}

CASE_NEEDS(chain_credentials, HAS_OPS, "each op of a chain has its own credential")
{
	struct obj d = a_dir(t, "d", 0700);
	struct op *ops[2] = {lookup_op(t, &t->dir, "d"), then(t, OP_mkdir)};

	ops_str(ops[1], &ops[1]->in.mkdir.name, "x");
	ops[1]->cred = BOB;
	FAILS(ERR_ACCES, ops_chain(t, ops, 2));
	EQ(ops[0]->status, 0);
	put_all(t, ops, 2);
	EQ(count_entries(t, &d), 0);
}

CASE_NEEDS(chain_remove_open, HAS_OPS, "open, remove and read in one chain read what has no name any more")
{
	struct op *ops[4] = {ops_new(t, OP_open, &t->dir), ops_new(t, OP_remove, &t->dir), NULL, NULL};
	struct obj f = a_text(t, "f", "text");
	uint64_t open_id;

	ops_str(ops[0], &ops[0]->in.open.name, "f");
	ops[0]->in.open.access = OPEN_READ;
	ops_str(ops[1], &ops[1]->in.remove.name, "f");
	ops[1]->in.remove.flags = REMOVE_FILE;
	OK(ops_chain(t, ops, 2));
	open_id = ops[0]->out.open.open_id;
	put_all(t, ops, 2);
	EQ(attr_of(t, &f).nlink, 0);
	OK(fs_close(t, open_id));
}

CASE_NEEDS(op_unknown, HAS_OPS, "codes that name no operation, and reserved ones, are ERR_NOTSUPP")
{
	static const uint16_t codes[] = {0, OP_grow, OP_layout, OP_lock, OP_freeze, 99, 127, 128, 1000, 65535};
	struct op *op;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		row(t, "code %u", codes[i]);
		op = ops_new(t, OP_getattr, &t->dir);
		op->code = codes[i];
		FAILS_EITHER(ERR_NOTSUPP, ERR_INVAL, ops_run(t, op));
		ops_put(t, op);
	}
}

CASE_NEEDS(op_strings, HAS_OPS, "a name that lies outside the op is ERR_INVAL")
{
	static const struct op_str wild[] = {{0, 1, 0}, {1, 1, 0}, {65535, 65535, 0}, {0, 65535, 0}, {OP_VAR_MAX, 1, 0}};
	struct op *op;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		row(t, "offset %u, size %u", wild[i].offset, wild[i].size);
		op = ops_new(t, OP_lookup, &t->dir);
		op->in.lookup.name = wild[i];
		FAILS_EITHER(ERR_INVAL, ERR_NAMETOOLONG, ops_run(t, op));
		ops_put(t, op);
	}
}

CASE_NEEDS(op_setattr_guard, HAS_OPS, "a guard that is not the ctime is ERR_NOT_SYNC and changes nothing: RFC 1813 section 3.3.2")
{
	struct obj f = a_file(t, "f", 0644);
	struct op_attr attr = attr_of(t, &f);
	struct op *op = ops_new(t, OP_setattr, &f);

	op->in.setattr.attr = (struct op_attr){.mask = ATTR_MODE, .mode = 0600};
	op->in.setattr.guard = 1;
	op->in.setattr.guard_ctime = attr.ctime;
	op->in.setattr.guard_ctime.nsec ^= 1;
	FAILS(ERR_NOT_SYNC, ops_run(t, op));
	EQ(attr_of(t, &f).mode, 0644);
	op->in.setattr.guard_ctime = attr.ctime;
	OK(ops_run(t, op));
	ops_put(t, op);
	EQ(attr_of(t, &f).mode, 0600);
}

CASE_NEEDS(op_setattr_readonly_bits, HAS_OPS, "attributes that cannot be set are refused or left, never set")
{
	struct obj f = a_text(t, "f", "text");
	struct op_attr before = attr_of(t, &f), after;
	struct op *op = ops_new(t, OP_setattr, &f);

	op->in.setattr.attr = (struct op_attr){.mask = ATTR_NLINK | ATTR_FILEID | ATTR_TYPE | ATTR_SPACE | ATTR_CHANGE,
	                                       .nlink = 77, .fileid = 77, .type = OP_TYPE_DIR, .space = 77};
	FAILS_EITHER(0, ERR_INVAL, ops_run(t, op));
	ops_put(t, op);
	after = attr_of(t, &f);
	EQ(after.nlink, before.nlink);
	EQ(after.fileid, before.fileid);
	EQ(after.type, OP_TYPE_FILE);
	EQ(after.space, before.space);
}

CASE_NEEDS(op_owner_override, HAS_OPS, "with OWNER_OVERRIDE the owner reads and writes whatever the mode, others do not")
{
	struct obj f = a_text(t, "f", "text");
	static const struct op_cred *const who[] = {&ALICE, &BOB};
	struct op *op;
	unsigned i;

	OK(fs_chown(t, &f, ALICE.uid, ALICE.gid));
	OK(fs_chmod(t, &f, 0));
	for (i = 0; i < 2; i++) {
		as(t, who[i]);
		row(t, "user %u", who[i]->uid);
		op = ops_new(t, OP_read, &f);
		op->flags |= OP_F_OWNER_OVERRIDE;
		op->in.read.size = 4;
		FAILS(i ? ERR_ACCES : 0, ops_run(t, op));
		ops_put(t, op);
	}
}

CASE_NEEDS(op_executable_override, HAS_OPS, "with OWNER_OVERRIDE who may execute may read, as RFC 1813 section 4.4 has it")
{
	struct obj f = a_text(t, "f", "text");
	struct op *op;

	OK(fs_chmod(t, &f, 0711));
	as(t, &BOB);
	op = ops_new(t, OP_read, &f);
	op->flags |= OP_F_OWNER_OVERRIDE;
	op->in.read.size = 4;
	OK(ops_run(t, op));
	ops_put(t, op);
}

CASE_NEEDS(op_access_bits, HAS_OPS, "access answers no bit that was not asked, and only bits that fit the type")
{
	struct obj f = a_file(t, "f", 0777), d = a_dir(t, "d", 0777);

	OK(fs_access(t, &f, ACCESS_READ));
	EQ(t->ans.allowed, ACCESS_READ);
	OK(fs_access(t, &f, 0));
	EQ(t->ans.allowed, 0);
	OK(fs_access(t, &f, 0x3f));
	EQ(t->ans.allowed & ACCESS_LOOKUP, 0);
	OK(fs_access(t, &d, 0x3f));
	EQ(t->ans.allowed & ACCESS_EXECUTE, 0);
	EQ(t->ans.allowed & ACCESS_LOOKUP, ACCESS_LOOKUP);
}
