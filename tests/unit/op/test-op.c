/* Shows that the table, strings, handles and groups of an op are what their headers say. */
#include <criterion/criterion.h>
#include <string.h>

#include "op/op.h"

Test(op, the_table_knows_every_code)
{
	cr_expect_str_eq(op_info(OP_lookup)->name, "lookup");
	cr_expect(op_info(OP_lookup)->flags & OP_I_PRODUCES);
	cr_expect(op_info(OP_freeze)->flags & OP_I_RESERVED);
	cr_expect_null(op_info(0)->name);
	cr_expect_null(op_info(OP_N_CODES)->name);
	cr_expect_null(op_info(UINT32_MAX)->name);
}

Test(op, strings_lie_within_in_var)
{
	struct op op;
	struct op_str a, b, c;
	char longest[OP_NAME_MAX + 1];
	memset(longest, 'x', sizeof(longest));
	op_reset(&op, OP_rename);
	cr_expect_eq(op_set_str(&op, &a, longest, OP_NAME_MAX + 1), ERR_NAMETOOLONG);
	cr_expect_eq(op_set_str(&op, &a, longest, OP_NAME_MAX), 0);
	cr_expect_eq(op_set_str(&op, &b, longest, OP_NAME_MAX), 0);
	cr_expect_eq(op_set_str(&op, &c, longest, OP_NAME_MAX), ERR_NAMETOOLONG);
	cr_expect_not_null(op_get_str(&op, &b));
	b.offset++;
	cr_expect_null(op_get_str(&op, &b));
	op.in_var_size = OP_VAR_MAX + 1;
	cr_expect_null(op_get_str(&op, &a));
}

Test(op, printing_names_every_field_and_never_overruns)
{
	struct op op;
	char line[1024];
	op.cred = (struct op_cred){.uid = 5};
	op_reset(&op, OP_rename);
	op_set_str(&op, &op.in.rename.name, "from\n", 5);
	op_set_str(&op, &op.in.rename.to_name, "to", 2);
	op.in.rename.flags = 3;
	op.status = ERR_NOENT;
	op_print(&op, line, sizeof(line));
	cr_expect_str_eq(line, "rename obj=- obj2=- name=\"from\\012\" to_name=\"to\" flags=3 uid=5 -> NOENT");
	for (size_t size = 0; size < 40; size++) {
		memset(line, '#', sizeof(line));
		op_print(&op, line, size);
		cr_expect_eq(line[size], '#');
	}
	for (uint32_t code = 0; code < 200; code++) {
		op.code = (uint16_t)code;
		op.status = 0;
		op_print(&op, line, sizeof(line));
	}
}

Test(op, handles_from_the_network)
{
	uint8_t bytes[OP_HANDLE_MAX + 1] = {0};
	struct op_handle h, other;
	bytes[8] = 5;
	bytes[12] = 6;
	cr_expect_eq(op_handle_set(&h, bytes, OP_HANDLE_HEAD), ERR_BADHANDLE);
	cr_expect_eq(op_handle_set(&h, bytes, OP_HANDLE_MAX + 1), ERR_BADHANDLE);
	cr_expect_eq(op_handle_set(&h, bytes, 20), 0);
	cr_expect_eq(op_handle_mount(&h), 5);
	cr_expect_eq(op_handle_tag(&h), 6);
	cr_expect_eq(op_handle_set(&other, bytes, 21), 0);
	cr_expect_not(op_handle_equal(&h, &other));
	cr_expect(op_handle_equal(&h, &h));
}

Test(op, groups)
{
	struct op_cred cred = {.gid = 1, .n_groups = 2, .groups = {2, 3, 4}};
	cr_expect(op_cred_in_group(&cred, 1));
	cr_expect(op_cred_in_group(&cred, 3));
	cr_expect_not(op_cred_in_group(&cred, 4));
	cred.n_groups = UINT16_MAX;
	cr_expect_not(op_cred_in_group(&cred, 99));
}
