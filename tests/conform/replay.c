/* Replay keys: an op of a caller runs at most once, however often it is sent. */
#include "tests/conform/driver-client.h"

static struct op *keyed(struct test *t, enum op_code code, const struct obj *o, uint64_t client, uint64_t key)
{
	struct op *op = ops_new(t, code, o);

	op->replay_client = client;
	op->replay_key = key;
	return op;
}

static int keyed_mkdir(struct test *t, const char *name, uint64_t client, uint64_t key, struct obj *out)
{
	struct op *op = keyed(t, OP_mkdir, &t->dir, client, key);
	int err;

	ops_str(op, &op->in.mkdir.name, name);
	err = ops_run(t, op);
	out->handle = op->out.mkdir.obj;
	t->ans.attr = op->out.mkdir.attr;
	ops_put(t, op);
	return err;
}

static int keyed_remove(struct test *t, const char *name, uint64_t client, uint64_t key)
{
	struct op *op = keyed(t, OP_remove, &t->dir, client, key);
	int err;

	ops_str(op, &op->in.remove.name, name);
	op->in.remove.flags = REMOVE_FILE | REMOVE_DIR;
	err = ops_run(t, op);
	ops_put(t, op);
	return err;
}

CASE_NEEDS(replay_same, HAS_OPS, "the same op under the same key gives the same answer and is not run again")
{
	struct obj first = {0}, again = {0};
	uint64_t fileid;

	OK(keyed_mkdir(t, "d", 1, 100, &first));
	fileid = t->ans.attr.fileid;
	OK(keyed_mkdir(t, "d", 1, 100, &again));
	EQ(t->ans.attr.fileid, fileid);
	TRUE(op_handle_equal(&first.handle, &again.handle));
	EQ(count_entries(t, &t->dir), 1);
}

CASE_NEEDS(replay_remove, HAS_OPS, "a removal sent again succeeds again, and spares what took the name")
{
	a_file(t, "f", 0644);
	OK(keyed_remove(t, "f", 1, 200));
	a_file(t, "f", 0644);
	OK(keyed_remove(t, "f", 1, 200));
	TRUE(exists(t, &t->dir, "f"));
}

CASE_NEEDS(replay_other_key, HAS_OPS, "another key is another op")
{
	struct obj o;

	OK(keyed_mkdir(t, "d", 1, 300, &o));
	FAILS(ERR_EXIST, keyed_mkdir(t, "d", 1, 301, &o));
}

CASE_NEEDS(replay_other_client, HAS_OPS, "the same key of another client is another op")
{
	struct obj o;

	OK(keyed_mkdir(t, "d", 1, 400, &o));
	FAILS(ERR_EXIST, keyed_mkdir(t, "d", 2, 400, &o));
	FAILS(ERR_EXIST, keyed_mkdir(t, "d", 0, 400, &o));
}

CASE_NEEDS(replay_no_key, HAS_OPS, "without a key every op runs")
{
	struct obj o;

	OK(keyed_mkdir(t, "d", 1, 0, &o));
	FAILS(ERR_EXIST, keyed_mkdir(t, "d", 1, 0, &o));
}

CASE_NEEDS(replay_failure, HAS_OPS, "a refused op sent again is refused again or run: never half of each")
{
	struct obj o;
	int err;

	a_dir(t, "d", 0755);
	FAILS(ERR_EXIST, keyed_mkdir(t, "d", 1, 500, &o));
	OK(fs_rmdir(t, &t->dir, "d"));
	err = keyed_mkdir(t, "d", 1, 500, &o);
	EQ(err == 0, exists(t, &t->dir, "d"));
}

CASE_NEEDS(replay_rename, HAS_OPS, "a rename sent again succeeds though its source is gone")
{
	struct op *op;
	unsigned i;

	a_file(t, "f", 0644);
	for (i = 0; i < 2; i++) {
		op = keyed(t, OP_rename, &t->dir, 1, 600);
		op->obj2 = t->dir.handle;
		ops_str(op, &op->in.rename.name, "f");
		ops_str(op, &op->in.rename.to_name, "g");
		OK(ops_run(t, op));
		ops_put(t, op);
	}
	TRUE(exists(t, &t->dir, "g"));
}

CASE_NEEDS(replay_many, HAS_OPS, "thousands of keys later the latest are still known")
{
	struct obj o;
	unsigned i;

	for (i = 0; i < 3000; i++) {
		OK(keyed_mkdir(t, "d", 7, 10000 + i, &o));
		OK(fs_rmdir(t, &t->dir, "d"));
	}
	a_dir(t, "d", 0755);
	OK(keyed_mkdir(t, "d", 7, 10000 + 2999, &o));
}

CASE_NEEDS(replay_reading, HAS_OPS, "ops that change nothing run each time, key or not")
{
	struct obj f = a_text(t, "f", "1");
	struct op *op;
	unsigned i;

	for (i = 1; i <= 2; i++) {
		op = keyed(t, OP_getattr, &f, 1, 700);
		op->in.getattr.want = ATTR_ALL;
		OK(ops_run(t, op));
		EQ(op->out.getattr.attr.size, i);
		ops_put(t, op);
		OK(fs_append(t, &f, "2", 1));
	}
}

static int keyed_stream(struct test *t, const struct obj *base, uint64_t key, struct obj *out)
{
	struct op *op = keyed(t, OP_open_stream, base, 1, key);
	int err;

	ops_str(op, &op->in.open_stream.name, "s");
	op->in.open_stream.disposition = OPEN_GUARDED;
	op->in.open_stream.access = OPEN_READ | OPEN_WRITE;
	err = ops_run(t, op);
	out->handle = op->out.open_stream.obj;
	t->ans.open_id = op->out.open_stream.open_id;
	t->ans.created = op->out.open_stream.created;
	ops_put(t, op);
	return err;
}

static int keyed_remove_stream(struct test *t, const struct obj *base, uint64_t key)
{
	struct op *op = keyed(t, OP_remove_stream, base, 1, key);
	int err;

	ops_str(op, &op->in.remove_stream.name, "s");
	err = ops_run(t, op);
	ops_put(t, op);
	return err;
}

CASE_NEEDS(replay_streams, HAS_STREAMS, "a stream made or removed under a key is so once")
{
	struct obj f = a_file(t, "f", 0644), first = {0}, again = {0};
	uint64_t id;

	OK(keyed_stream(t, &f, 900, &first));
	EQ(t->ans.created, 1);
	id = t->ans.open_id;
	OK(keyed_stream(t, &f, 900, &again));
	EQ(t->ans.created, 1);
	EQ(t->ans.open_id, id);
	TRUE(op_handle_equal(&first.handle, &again.handle));
	FAILS(ERR_EXIST, keyed_stream(t, &f, 901, &again));
	OK(fs_close(t, id));
	OK(keyed_remove_stream(t, &f, 902));
	OK(keyed_stream(t, &f, 903, &first));
	OK(fs_close(t, t->ans.open_id));
	OK(keyed_remove_stream(t, &f, 902));
	OK(fs_getattr(t, &first));
	FAILS(ERR_NOENT, keyed_remove_stream(t, &t->dir, 904));
}
