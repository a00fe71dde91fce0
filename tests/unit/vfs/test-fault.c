/* Shows that the fault backend fails when its rules say so, and only then. */
#include <string.h>

#include "backends/fault/fault.h"
#include "tests/unit/vfs/harness.h"

TestSuite(fault, .timeout = 30);

static void seventh(struct bench *b)
{
	struct op_handle f;
	uint32_t failed = 0, size = 100;
	char data[100] = "";
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	for (int i = 0; i < 24; i++) {
		int err = bench_write(b, &f, 0, "0123456789", 10);
		cr_assert(err == 0 || err == ERR_NOSPC);
		failed += err != 0;
		cr_expect_eq(err != 0, i >= 3 && (i - 3) % 7 == 6, "write %d", i);
	}
	cr_expect_eq(failed, 3);
	cr_expect_eq(bench_read(b, &f, 0, data, &size), ERR_IO);
	size = 100;
	cr_expect_eq(bench_read(b, &f, 0, data, &size), ERR_IO);
	size = 100;
	cr_expect_eq(bench_read(b, &f, 0, data, &size), 0, "the rule has run out");
	cr_expect_eq(size, 10);
}

Test(fault, rules_count_calls)
{
	const struct vfs_option options[] = {
		{"lower", "memfs"}, {"capacity", "1M"},
		{"rule", "op=write,err=NOSPC,every=7,after=3; op=read,err=IO,count=2"}, {NULL, NULL},
	};
	bench_run(&(struct bench_config){.backend = "fault", .options = options}, seventh);
}

static void torn_write(struct bench *b)
{
	struct op_handle f;
	uint32_t size = 20;
	char data[20];
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	cr_expect_eq(bench_write(b, &f, 0, "0123456789", 10), ERR_IO);
	cr_expect_eq(bench_read(b, &f, 0, data, &size), 0);
	cr_expect_eq(size, 4);
	cr_expect_arr_eq(data, "0123", 4);
}

Test(fault, a_write_can_be_torn)
{
	const struct vfs_option options[] = {{"rule", "op=write,torn=4"}, {NULL, NULL}};
	bench_run(&(struct bench_config){.backend = "fault", .options = options}, torn_write);
}

Test(fault, rules_that_mean_nothing_are_refused)
{
	static const char *const bad[] = {
		"op=write", "op=nosuch,err=IO", "err=NOSUCH", "op=read,err=IO,every=0", "delay=", "err", "op=read,err=IO,x=1",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fault_rule rules[FAULT_RULES_MAX];
		uint32_t n = 0;
		char *why = NULL;
		cr_expect_eq(fault_parse(bad[i], rules, &n, &why), ERR_INVAL, "%s", bad[i]);
		free(why);
	}
}

static void null_store(struct bench *b)
{
	struct op_handle f;
	struct op_attr attr;
	char data[3000];
	uint32_t size = sizeof(data);
	cr_expect_eq(bench_lookup(b, &b->root, "03", NULL), ERR_NOENT);
	cr_expect_eq(bench_lookup(b, &b->root, "4", NULL), ERR_NOENT);
	cr_assert_eq(bench_lookup(b, &b->root, "3", &f), 0);
	cr_assert_eq(bench_write(b, &f, 5000, "x", 1), 0);
	cr_assert_eq(bench_read(b, &f, 4000, data, &size), 0);
	cr_expect_eq(size, 1001);
	cr_expect_eq(data[1000], 0);
	cr_assert_eq(bench_getattr(b, &f, &attr), 0);
	cr_expect_eq(attr.size, 5001);
	cr_expect_eq(bench_create(b, &b->root, "new", 0644, NULL), ERR_NOTSUPP);
}

Test(null, files_of_zeros)
{
	const struct vfs_option options[] = {{"files", "4"}, {"size", "0"}, {NULL, NULL}};
	bench_run(&(struct bench_config){.backend = "null", .options = options}, null_store);
}
