/* Shows that the daemons' state survives a restart, a torn tail, and its own history. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/vfs/harness.h"

static char state_dir[64], log_path[80];

static void make_dir(void)
{
	snprintf(state_dir, sizeof(state_dir), "/tmp/chimera-kv-XXXXXX");
	cr_assert_not_null(mkdtemp(state_dir));
	snprintf(log_path, sizeof(log_path), "%s/kv", state_dir);
}

static void remove_dir(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", state_dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(kv, .timeout = 60, .init = make_dir, .fini = remove_dir);

static int put(struct bench *b, const char *key, const char *value)
{
	struct op *op = bench_op(b, OP_kv_put, NULL);
	op_set_str(op, &op->in.kv_put.key, key, strlen(key));
	bench_payload(b, value, strlen(value));
	return bench_go(b);
}

static int get(struct bench *b, const char *key, char value[256])
{
	struct op *op = bench_op(b, OP_kv_get, NULL);
	memset(value, 0, 256);
	op_set_str(op, &op->in.kv_get.key, key, strlen(key));
	bench_payload(b, value, 255);
	return bench_go(b);
}

static int del(struct bench *b, const char *key)
{
	struct op *op = bench_op(b, OP_kv_delete, NULL);
	op_set_str(op, &op->in.kv_delete.key, key, strlen(key));
	return bench_go(b);
}

static void survives(struct bench *b)
{
	char value[256];
	cr_assert_eq(put(b, "a", "one"), 0);
	cr_assert_eq(put(b, "b", "two"), 0);
	cr_assert_eq(put(b, "a", "three"), 0);
	cr_assert_eq(del(b, "b"), 0);
	bench_restart(b);
	cr_expect_eq(get(b, "a", value), 0);
	cr_expect_str_eq(value, "three");
	cr_expect_eq(get(b, "b", value), ERR_NOENT);
	cr_expect_eq(del(b, "b"), ERR_NOENT);
}

Test(kv, values_survive_a_restart)
{
	bench_run(&(struct bench_config){.state_dir = state_dir}, survives);
}

static void torn(struct bench *b)
{
	char value[256];
	cr_assert_eq(put(b, "a", "one"), 0);
	cr_assert_eq(put(b, "b", "two"), 0);
	struct stat st;
	cr_assert_eq(stat(log_path, &st), 0);
	cr_assert_eq(truncate(log_path, st.st_size - 1), 0);
	bench_restart(b);
	cr_expect_eq(get(b, "a", value), 0);
	cr_expect_eq(get(b, "b", value), ERR_NOENT);
	cr_assert_eq(put(b, "b", "again"), 0);
	bench_restart(b);
	cr_expect_eq(get(b, "b", value), 0);
	cr_expect_str_eq(value, "again");
}

Test(kv, a_torn_tail_is_cut_off)
{
	bench_run(&(struct bench_config){.state_dir = state_dir}, torn);
}

static void history(struct bench *b)
{
	static char big[30000];
	char value[256];
	memset(big, 'x', sizeof(big) - 1);
	cr_assert_eq(put(b, "keep", "kept"), 0);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(put(b, "big", big), 0);
	struct stat st;
	cr_assert_eq(stat(log_path, &st), 0);
	cr_expect_lt(st.st_size, 1500000);
	bench_restart(b);
	cr_expect_eq(get(b, "keep", value), 0);
	cr_expect_str_eq(value, "kept");
}

Test(kv, history_is_dropped)
{
	bench_run(&(struct bench_config){.state_dir = state_dir}, history);
}

static void scanned(struct bench *b)
{
	static char room[4096];
	static const char *const keys[] = {"a/1", "b/1", "b/2", "b/3", "c"};
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		cr_assert_eq(put(b, keys[i], keys[i]), 0);
	struct op *op = bench_op(b, OP_kv_scan, NULL);
	op_set_str(op, &op->in.kv_scan.prefix, "b/", 2);
	op_set_str(op, &op->in.kv_scan.after, "b/1", 3);
	bench_payload(b, room, sizeof(room));
	cr_assert_eq(bench_go(b), 0);
	cr_expect_eq(op->out.kv_scan.n_entries, 2);
	cr_expect(op->out.kv_scan.eof);
	const struct op_kv_entry *e = (const struct op_kv_entry *)room;
	cr_expect_arr_eq((const char *)(e + 1), "b/2b/2", 6);
	bench_payload(b, room, 40);
	op = bench_op(b, OP_kv_scan, NULL);
	op_set_str(op, &op->in.kv_scan.prefix, "b/", 2);
	cr_assert_eq(bench_go(b), 0);
	cr_expect_eq(op->out.kv_scan.n_entries, 1);
	cr_expect_not(op->out.kv_scan.eof);
}

Test(kv, a_scan_gives_a_prefix_in_order)
{
	bench_run(&(struct bench_config){.state_dir = NULL}, scanned);
}
