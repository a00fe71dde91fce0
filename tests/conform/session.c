/* Ops about the session: heartbeat, cancel, durable keys, catalogue, reports, watches. */
#include <stdio.h>

#include "tests/conform/driver-client.h"

CASE_NEEDS(heartbeat_echo, HAS_OPS, "a heartbeat comes back with the time")
{
	struct op *op = ops_new(t, OP_heartbeat, NULL);

	op->in.heartbeat.echo = 0x0123456789abcdef;
	OK(ops_run(t, op));
	EQ(op->out.heartbeat.echo, 0x0123456789abcdef);
	TRUE(op->out.heartbeat.now_ns > 0);
	ops_put(t, op);
}

CASE_NEEDS(cancel_nothing, HAS_OPS, "cancelling what is not in flight does no harm")
{
	struct op *op = ops_new(t, OP_cancel, NULL);
	int err;

	op->in.cancel.slot = 12345;
	err = ops_run(t, op);
	TRUE(err == 0 || err == ERR_INVAL || err == ERR_NOENT);
	ops_put(t, op);
}

static int kv_put(struct test *t, const char *key, const char *value, uint32_t size)
{
	struct op *op = ops_new(t, OP_kv_put, NULL);
	struct client_buf *buf = ops_payload(t, op, value, size);
	int err;

	ops_str(op, &op->in.kv_put.key, key);
	err = ops_run(t, op);
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static int kv_get(struct test *t, const char *key, char *value, uint32_t room)
{
	struct op *op = ops_new(t, OP_kv_get, NULL);
	struct client_buf *buf = ops_payload(t, op, NULL, room);
	int err;

	ops_str(op, &op->in.kv_get.key, key);
	err = ops_run(t, op);
	t->ans.size = op->out.kv_get.size;
	if (!err)
		memcpy(value, buf->data, MIN(room, op->out.kv_get.size));
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static int kv_delete(struct test *t, const char *key)
{
	struct op *op = ops_new(t, OP_kv_delete, NULL);
	int err;

	ops_str(op, &op->in.kv_delete.key, key);
	err = ops_run(t, op);
	ops_put(t, op);
	return err;
}

CASE_NEEDS(kv_put_get, HAS_OPS, "a value is kept under its key, replaced, and gone when deleted")
{
	char value[64];

	OK(kv_put(t, "conform/a", "one", 3));
	OK(kv_get(t, "conform/a", value, 64));
	EQ(t->ans.size, 3);
	SAME(value, "one", 3);
	OK(kv_put(t, "conform/a", "another", 7));
	OK(kv_get(t, "conform/a", value, 64));
	EQ(t->ans.size, 7);
	SAME(value, "another", 7);
	OK(kv_delete(t, "conform/a"));
	FAILS(ERR_NOENT, kv_get(t, "conform/a", value, 64));
	FAILS(ERR_NOENT, kv_delete(t, "conform/a"));
}

CASE_NEEDS(kv_sizes, HAS_OPS, "values from nothing to 65,536 bytes are kept")
{
	static const uint32_t sizes[] = {0, 1, 511, 512, 4096, 65535, 65536};
	char *value = memory(t, OP_KV_MAX + 1), *back = memory(t, OP_KV_MAX + 1);
	size_t i;

	fill_random(t, value, OP_KV_MAX + 1);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		row(t, "%u bytes", sizes[i]);
		OK(kv_put(t, "conform/size", value, sizes[i]));
		OK(kv_get(t, "conform/size", back, OP_KV_MAX));
		EQ(t->ans.size, sizes[i]);
		SAME(back, value, sizes[i]);
	}
	NE(kv_put(t, "conform/size", value, OP_KV_MAX + 1), 0);
	OK(kv_delete(t, "conform/size"));
}

CASE_NEEDS(kv_scan_prefix, HAS_OPS, "a scan gives the keys of a prefix in order, and goes on after any of them")
{
	struct op *op = ops_new(t, OP_kv_scan, NULL);
	struct client_buf *buf = ops_payload(t, op, NULL, 4096);
	struct op_kv_entry e;
	char key[32];
	unsigned i;

	for (i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "conform/scan/%u", i);
		OK(kv_put(t, key, "value", 5));
	}
	ops_str(op, &op->in.kv_scan.prefix, "conform/scan/");
	ops_str(op, &op->in.kv_scan.after, "conform/scan/1");
	OK(ops_run(t, op));
	EQ(op->out.kv_scan.n_entries, 3);
	EQ(op->out.kv_scan.eof, 1);
	memcpy(&e, buf->data, sizeof(e));
	EQ(e.key_size, 14);
	EQ(e.value_size, 5);
	SAME(buf->data + sizeof(e), "conform/scan/2value", 19);
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	for (i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "conform/scan/%u", i);
		OK(kv_delete(t, key));
	}
}

CASE_NEEDS(catalogue_scan_kinds, HAS_OPS, "the catalogue is scanned where there is one")
{
	struct op *op = ops_new(t, OP_catalogue_scan, NULL);
	struct client_buf *buf = ops_payload(t, op, NULL, 65536);

	ops_str(op, &op->in.catalogue_scan.kind, "export");
	FAILS_EITHER(0, ERR_NOTSUPP, ops_run(t, op));
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
}

CASE_NEEDS(client_report_text, HAS_OPS, "a daemon reports its clients where someone listens")
{
	static const char text[] = "addr\0" "192.0.2.1";
	struct op *op = ops_new(t, OP_client_report, NULL);
	struct client_buf *buf = ops_payload(t, op, text, sizeof(text));

	ops_str(op, &op->in.client_report.client, "conform");
	FAILS_EITHER(0, ERR_NOTSUPP, ops_run(t, op));
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
}

static int watch(struct test *t, uint32_t filter, uint64_t *id)
{
	struct op *op = ops_new(t, OP_watch, &t->dir);
	int err;

	op->in.watch.filter = filter;
	err = ops_run(t, op);
	*id = op->out.watch.watch_id;
	ops_put(t, op);
	return err;
}

static int unwatch(struct test *t, uint64_t id)
{
	struct op *op = ops_new(t, OP_unwatch, NULL);
	int err;

	op->in.unwatch.watch_id = id;
	err = ops_run(t, op);
	ops_put(t, op);
	return err;
}

CASE_NEEDS(watch_ids, HAS_OPS, "watches have ids of their own until they end")
{
	uint64_t first, second;

	OK(watch(t, CHANGED_NAME, &first));
	OK(watch(t, CHANGED_DATA | CHANGED_ATTR, &second));
	NE(first, second);
	a_file(t, "f", 0644);
	OK(unwatch(t, first));
	FAILS_EITHER(ERR_NOENT, ERR_BADHANDLE, unwatch(t, first));
	OK(unwatch(t, second));
	FAILS_EITHER(ERR_NOENT, ERR_BADHANDLE, unwatch(t, 0));
	FAILS(ERR_INVAL, watch(t, 0, &first));
	FAILS(ERR_INVAL, watch(t, 0x80, &first));
}
