/* Shows that a request is bounded and resolved from its private copy, and that an answer writes only what it has. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ring/server-impl.h"

static struct ring_attachment a;
static struct ring_request r;

static struct op *setup_slot(enum op_code code)
{
	memset(&a, 0, sizeof(a));
	memset(&r, 0xee, sizeof(r));
	cr_assert_eq(ring_segment_create(&a.seg, 16, 1 << 20), 0);
	r.slot = 3;
	struct op *op = ring_slot(&a.seg, 3);
	memset(op, 0, sizeof(*op));
	op_reset(op, code);
	return op;
}

static int take(void)
{
	return ring_request_take(&a, &r);
}

Test(request, only_what_is_used_is_copied_and_all_of_that)
{
	struct op *op = setup_slot(OP_rename);
	op->obj.size = op->obj2.size = 20;
	op->obj.bytes[19] = 1;
	op->obj2.bytes[19] = 2;
	op->cred.n_groups = 2;
	op->cred.groups[1] = 77;
	op_set_str(op, &op->in.rename.name, "from", 4);
	op_set_str(op, &op->in.rename.to_name, "to", 2);
	cr_assert_eq(take(), 0);
	cr_assert_eq(r.op.obj.bytes[19], 1);
	cr_assert_eq(r.op.obj2.bytes[19], 2);
	cr_assert_eq(r.op.cred.groups[1], 77);
	cr_assert_arr_eq(op_get_str(&r.op, &r.op.in.rename.to_name), "to", 2);
	cr_assert_eq(r.payload.n_iov, 0);
	cr_assert_eq(r.op.status, 0);
}

Test(request, sizes_beyond_their_fields_are_a_violation)
{
	struct op *op = setup_slot(OP_getattr);
	op->in_var_size = OP_VAR_MAX + 1;
	cr_assert_eq(take(), ERR_PROTO);
	op->in_var_size = 0;
	op->n_segs = OP_SEGS_MAX + 1;
	cr_assert_eq(take(), ERR_PROTO);
	op->n_segs = 0;
	op->cred.n_groups = OP_CRED_GROUPS + 1;
	cr_assert_eq(take(), ERR_PROTO);
	op->cred.n_groups = 0;
	op->obj.size = OP_HANDLE_MAX + 1;
	cr_assert_eq(take(), ERR_PROTO);
	op->obj.size = OP_HANDLE_MAX;
	cr_assert_eq(take(), 0);
	op->code = OP_link;
	op->obj2.size = OP_HANDLE_MAX + 1;
	cr_assert_eq(take(), ERR_PROTO);
}

Test(request, an_unknown_code_is_no_violation)
{
	struct op *op = setup_slot(OP_getattr);
	op->code = 0xffff;
	cr_assert_eq(take(), 0);
	op->code = OP_set_acl;
	cr_assert_eq(take(), 0);
}

Test(request, segments_lie_in_the_arena)
{
	static const struct {
		uint64_t offset;
		uint32_t size, region;
		int want;
	} cases[] = {
		{0, 4096, OP_SEG_CLIENT, 0},
		{(1 << 20) - 1, 1, OP_SEG_CLIENT, 0},
		{1 << 20, 0, OP_SEG_CLIENT, 0},
		{(1 << 20) - 1, 2, OP_SEG_CLIENT, ERR_PROTO},
		{(1 << 20) + 1, 0, OP_SEG_CLIENT, ERR_PROTO},
		{UINT64_MAX, 1, OP_SEG_CLIENT, ERR_PROTO},
		{UINT64_MAX - 10, 100, OP_SEG_CLIENT, ERR_PROTO},
		{0, OP_IO_MAX + 1, OP_SEG_CLIENT, ERR_PROTO},
		{0, 4096, OP_SEG_PAGES, ERR_PROTO},
		{0, 4096, 77, ERR_PROTO},
	};
	struct op *op = setup_slot(OP_write);
	op->n_segs = 2;
	op->segs[0] = (struct op_seg){64, 64, OP_SEG_CLIENT};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		op->segs[1] = (struct op_seg){cases[i].offset, cases[i].size, cases[i].region};
		cr_assert_eq(take(), cases[i].want, "case %zu", i);
	}
	op->segs[1] = (struct op_seg){128, 5, OP_SEG_CLIENT};
	cr_assert_eq(take(), 0);
	cr_assert_eq(r.payload.n_iov, 2);
	cr_assert_eq(r.payload.iov[1].iov_base, a.seg.arena + 128);
	cr_assert_eq(r.payload.iov[1].iov_len, 5);
}

Test(request, an_answer_leaves_the_request_as_it_was)
{
	struct op *op = setup_slot(OP_getattr);
	op->in.getattr.want = ATTR_ALL;
	cr_assert_eq(take(), 0);
	memset(&r.op.out, 0, sizeof(r.op.out));
	r.op.status = ERR_STALE;
	r.op.out.getattr.attr.size = 99;
	ring_request_answer(&a, &r);
	cr_assert_eq(op->status, ERR_STALE);
	cr_assert_eq(op->out.getattr.attr.size, 99);
	cr_assert_eq(op->in.getattr.want, ATTR_ALL);
	cr_assert_eq(op->code, OP_getattr);
}

Test(request, read_data_comes_in_the_slot_or_by_reference)
{
	struct op *op = setup_slot(OP_read);
	cr_assert_eq(take(), 0);
	r.op.out_var_size = 5;
	memcpy(r.op.out_var, "small", 5);
	ring_request_answer(&a, &r);
	cr_assert_arr_eq(op->out_var, "small", 5);
	cr_assert_eq(take(), 0);
	cr_assert_eq(r.op.out_var_size, 0);
	r.op.n_segs = 1;
	r.op.segs[0] = (struct op_seg){65536, 4096, OP_SEG_PAGES};
	ring_request_answer(&a, &r);
	cr_assert_eq(op->out_var_size, 0);
	cr_assert_eq(op->n_segs, 1);
	cr_assert_eq(op->segs[0].region, OP_SEG_PAGES);
}
