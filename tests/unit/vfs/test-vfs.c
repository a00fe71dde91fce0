/* Shows what the VFS does for every backend: handles, names, permissions, opens, chains, mounts. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/vfs/harness.h"
#include "vfs/access.h"

TestSuite(vfs, .timeout = 30);

static void forged(struct bench *b)
{
	struct op_handle file, bad;
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &file), 0);
	for (uint32_t i = 0; i < file.size; i++) {
		bad = file;
		bad.bytes[i] ^= 1;
		struct op_attr attr;
		cr_expect_eq(bench_getattr(b, &bad, &attr), ERR_BADHANDLE, "byte %u", i);
	}
	bad = file;
	bad.size--;
	bench_op(b, OP_getattr, &bad);
	cr_expect_eq(bench_go(b), ERR_BADHANDLE);
	bad.size = 255;
	bench_op(b, OP_getattr, &bad);
	cr_expect_eq(bench_go(b), ERR_BADHANDLE);
}

Test(vfs, forged_handles_open_nothing)
{
	bench_run(NULL, forged);
}

/* More files than signatures are remembered, each by the right handle, a wrong one, and the right one again. */
static void forged_among_many(struct bench *b)
{
	enum { N = 1500 };
	static struct op_handle file[N];
	struct op_attr attr;
	char name[16];
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		cr_assert_eq(bench_create(b, &b->root, name, 0600, &file[i]), 0);
	}
	for (int i = 0; i < N; i++) {
		struct op_handle signature = file[i], other = file[i], longer = file[i];
		signature.bytes[0] ^= 1;
		memcpy(other.bytes, file[(i + 1) % N].bytes, 8);
		longer.size++;
		cr_expect_eq(bench_getattr(b, &signature, &attr), ERR_BADHANDLE, "file %d", i);
		cr_expect_eq(bench_getattr(b, &file[i], &attr), 0, "file %d", i);
		cr_expect_eq(bench_getattr(b, &other, &attr), ERR_BADHANDLE, "file %d", i);
		cr_expect_eq(bench_getattr(b, &longer, &attr), ERR_BADHANDLE, "file %d", i);
		cr_expect_eq(bench_getattr(b, &file[i], &attr), 0, "file %d", i);
	}
}

Test(vfs, a_remembered_signature_lets_no_other_handle_in)
{
	bench_run(NULL, forged_among_many);
}

static void names(struct bench *b)
{
	static const struct {
		const char *bytes;
		uint16_t size;
		int err;
	} cases[] = {
		{"a/b", 3, ERR_BADNAME}, {"a\0b", 3, ERR_BADNAME}, {"", 0, ERR_INVAL}, {"\xff\xfe", 2, ERR_NOENT},
		{".", 1, 0}, {"..", 2, 0}, {"...", 3, ERR_NOENT},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct op *op = bench_op(b, OP_lookup, &b->root);
		op_set_str(op, &op->in.lookup.name, cases[i].bytes, cases[i].size);
		cr_expect_eq(bench_go(b), cases[i].err, "case %zu: %s", i, err_name(b->op.status));
	}
	struct op *op = bench_op(b, OP_lookup, &b->root);
	op->in.lookup.name = (struct op_str){500, 100, 0};
	op->in_var_size = 10;
	cr_expect_eq(bench_go(b), ERR_INVAL, "a string outside in_var");
}

Test(vfs, names_are_checked)
{
	bench_run(NULL, names);
}

static void chain(struct bench *b)
{
	static struct op ops[4];
	char hello[] = "hello";
	struct vfs_payload payload = {.n_iov = 1, .iov = {{hello, 5}}};
	struct vfs_pins pins[4] = {0};
	struct vfs_step steps[4];
	static const enum op_code codes[] = {OP_open, OP_write, OP_read, OP_close};
	for (int i = 0; i < 4; i++) {
		op_reset(&ops[i], codes[i]);
		ops[i].flags = i ? OP_F_PREV : 0;
		steps[i] = (struct vfs_step){&ops[i], i == 1 ? &payload : NULL, &pins[i]};
	}
	ops[0].obj = b->root;
	op_set_str(&ops[0], &ops[0].in.open.name, "c", 1);
	ops[0].in.open.disposition = OPEN_UNCHECKED;
	ops[0].in.open.access = OPEN_READ | OPEN_WRITE;
	ops[1].in.write.size = 5;
	ops[2].in.read.size = 100;
	vfs_run(b->session, steps, 4);
	for (int i = 0; i < 4; i++)
		cr_expect_eq(ops[i].status, 0, "step %d: %s", i, err_name(ops[i].status));
	cr_expect_eq(ops[2].out_var_size, 5);
	cr_expect_arr_eq(ops[2].out_var, "hello", 5);
	ops[0].in.open.disposition = OPEN_GUARDED;
	vfs_run(b->session, steps, 4);
	cr_expect_eq(ops[0].status, ERR_EXIST);
	cr_expect_eq(ops[1].status, ERR_CANCELED);
	cr_expect_eq(ops[3].status, ERR_CANCELED);
}

Test(vfs, a_chain_acts_on_what_it_opened)
{
	bench_run(NULL, chain);
}

static void opens(struct bench *b)
{
	struct op_handle file;
	cr_assert_eq(bench_create(b, &b->root, "f", 0600, &file), 0);
	bench_become(b, 1000, 1000);
	struct op *op = bench_op(b, OP_open, &file);
	op->in.open.access = OPEN_READ;
	cr_expect_eq(bench_go(b), ERR_ACCES);
	bench_become(b, 0, 0);
	op = bench_op(b, OP_open, &file);
	op->in.open.access = OPEN_READ;
	op->in.open.deny = OPEN_WRITE;
	cr_assert_eq(bench_go(b), 0);
	uint64_t id = op->out.open.open_id;
	op = bench_op(b, OP_open, &file);
	op->in.open.access = OPEN_WRITE;
	cr_expect_eq(bench_go(b), ERR_SHARE);
	/* The open outlives name and permission. */
	cr_assert_eq(bench_remove(b, &b->root, "f"), 0);
	bench_become(b, 1000, 1000);
	op = bench_op(b, OP_read, &file);
	op->in.read.open_id = id;
	cr_expect_eq(bench_go(b), 0);
	op = bench_op(b, OP_write, &file);
	op->in.write.open_id = id;
	cr_expect_eq(bench_go(b), ERR_ACCES);
	op = bench_op(b, OP_close, NULL);
	op->in.close.open_id = id;
	cr_expect_eq(bench_go(b), 0);
	op = bench_op(b, OP_close, NULL);
	op->in.close.open_id = id;
	cr_expect_eq(bench_go(b), ERR_BADHANDLE);
	struct op_attr attr;
	cr_expect_eq(bench_getattr(b, &file, &attr), ERR_STALE, "the last reference went");
}

Test(vfs, an_open_keeps_object_and_permission)
{
	bench_run(NULL, opens);
}

static void many_opens(struct bench *b)
{
	struct op_handle file;
	static uint64_t ids[500];
	cr_assert_eq(bench_create(b, &b->root, "f", 0600, &file), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct op *op = bench_op(b, OP_open, &file);
		op->in.open.access = OPEN_READ;
		cr_assert_eq(bench_go(b), 0);
		ids[i] = op->out.open.open_id;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct op *op = bench_op(b, OP_close, NULL);
		op->in.close.open_id = ids[i];
		cr_assert_eq(bench_go(b), 0);
	}
}

Test(vfs, many_opens_have_ids_of_their_own)
{
	bench_run(NULL, many_opens);
}

static void unmounted(struct bench *b)
{
	struct op_handle file;
	struct op_attr attr;
	char *why;
	cr_assert_eq(bench_create(b, &b->root, "f", 0600, &file), 0);
	struct op *op = bench_op(b, OP_open, &file);
	op->in.open.access = OPEN_READ;
	cr_assert_eq(bench_go(b), 0);
	cr_expect_eq(vfs_unmount(b->vfs, "x"), ERR_NOENT);
	cr_assert_eq(vfs_unmount(b->vfs, "m"), 0);
	cr_expect_eq(bench_getattr(b, &file, &attr), ERR_STALE);
	struct vfs_mount_spec ro = {2, "m", "memfs", true, NULL};
	cr_assert_eq(vfs_mount(b->vfs, &ro, &why), 0);
	cr_expect_eq(vfs_mount(b->vfs, &ro, &why), ERR_EXIST);
	free(why);
	cr_expect_eq(bench_getattr(b, &file, &attr), ERR_STALE, "an id is never used again");
	bench_op(b, OP_lookup_path, NULL);
	b->op.in.lookup_path.tag = 77;
	bench_payload(b, "/m/", 3);
	cr_assert_eq(bench_go(b), 0);
	struct op_handle root = b->op.out.lookup_path.obj;
	cr_expect_eq(op_handle_tag(&root), 77);
	cr_expect_eq(op_handle_mount(&root), 2);
	cr_expect_eq(bench_mkdir(b, &root, "d", 0755, NULL), ERR_ROFS);
	cr_expect_eq(bench_create(b, &root, "d", 0755, NULL), ERR_ROFS);
	struct vfs_mount_spec none = {3, "n", "nosuch", true, NULL};
	cr_expect_eq(vfs_mount(b->vfs, &none, &why), ERR_NODEV);
	cr_expect_not_null(why);
	free(why);
}

Test(vfs, unmounting_closes_and_makes_stale)
{
	bench_run(NULL, unmounted);
}

Test(vfs, access_rights_of_owner_group_other_and_root)
{
	static const struct {
		uint32_t mode, uid, gid, rights;
	} cases[] = {
		{0750, 1, 9, 7}, {0750, 2, 2, 5}, {0754, 3, 9, 4}, {0047, 1, 2, 0}, {0070, 9, 2, 7},
		{0000, 0, 0, 6}, {0001, 0, 0, 7}, {0070, 9, 5, 7},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct op_attr attr = {.type = OP_TYPE_FILE, .mode = cases[i].mode, .uid = 1, .gid = 2};
		struct op_cred cred = {.uid = cases[i].uid, .gid = cases[i].gid};
		if (cases[i].gid == 5) {
			cred.groups[0] = 2;
			cred.n_groups = 1;
		}
		uint32_t rights = access_rights(&cred, &attr, NULL);
		uint32_t digit = (rights & MAY_READ ? 4 : 0) | (rights & MAY_WRITE ? 2 : 0) | (rights & MAY_EXEC ? 1 : 0);
		cr_expect_eq(digit, cases[i].rights, "case %zu", i);
	}
}

static void loops(struct bench *b)
{
	struct op_handle a, ab, abc;
	cr_assert_eq(bench_mkdir(b, &b->root, "a", 0755, &a), 0);
	cr_assert_eq(bench_mkdir(b, &a, "b", 0755, &ab), 0);
	cr_assert_eq(bench_mkdir(b, &ab, "c", 0755, &abc), 0);
	cr_expect_eq(bench_rename(b, &b->root, "a", &abc, "x", 0), ERR_INVAL);
	cr_expect_eq(bench_rename(b, &b->root, "a", &a, "x", 0), ERR_INVAL);
	cr_expect_eq(bench_rename(b, &ab, "c", &b->root, "a", 0), ERR_NOTEMPTY);
	cr_expect_eq(bench_rename(b, &ab, "c", &b->root, "a", RENAME_EXCHANGE), ERR_INVAL);
	cr_expect_eq(bench_rename(b, &ab, "c", &b->root, "z", 0), 0);
	cr_expect_eq(bench_rename(b, &b->root, "a", &abc, "x", 0), 0);
	cr_expect_eq(bench_rename(b, &b->root, "z", &abc, "y", 0), ERR_INVAL);
	struct op *op = bench_op(b, OP_parent, &a);
	cr_assert_eq(bench_go(b), 0);
	cr_expect(op_handle_equal(&op->out.parent.obj, &abc));
}

Test(vfs, rename_makes_no_loops)
{
	bench_run(NULL, loops);
}
