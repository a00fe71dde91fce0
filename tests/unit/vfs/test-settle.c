/* Shows when a back end is asked to make changes durable: before each answer, unless the caller is content to ask by itself. */
#include "tests/unit/vfs/harness.h"

static unsigned n_settled;

static int count_settle(struct vfs_node *const *nodes, uint32_t n)
{
	n_settled++;
	return 0;
}

static void create_both_ways(struct bench *b)
{
	struct op_handle file;
	n_settled = 0;
	cr_assert_eq(bench_create(b, &b->root, "durable", 0644, &file), 0);
	cr_assert_eq(n_settled, 1);

	struct op *op = bench_op(b, OP_mkdir, &b->root);
	op->flags = OP_F_LAZY;
	op->in.mkdir.attr.mask = ATTR_MODE;
	op->in.mkdir.attr.mode = 0755;
	cr_assert_eq(op_set_str(op, &op->in.mkdir.name, "lazy", 4), 0);
	cr_assert_eq(bench_go(b), 0);
	cr_assert_eq(n_settled, 1);

	struct op_attr attr;
	cr_assert_eq(bench_getattr(b, &b->root, &attr), 0);
	cr_assert_eq(n_settled, 1);
}

Test(settle, a_lazy_change_does_not_wait)
{
	static struct backend_ops counting;
	backends_register();
	counting = *backend_find("memfs");
	counting.name = "counting";
	counting.settle = count_settle;
	cr_assert_eq(backend_register(&counting), 0);
	bench_run(&(struct bench_config){.backend = "counting"}, create_both_ways);
}
