/* The operation table as data, and the small helpers around one op. */
#include "op/op.h"

#include <string.h>

#define OBJ OP_I_OBJ
#define OBJ2 OP_I_OBJ2
#define MUTATES OP_I_MUTATES
#define IDEMPOTENT OP_I_IDEMPOTENT
#define BLOCKS OP_I_BLOCKS
#define DATA_IN OP_I_DATA_IN
#define DATA_OUT OP_I_DATA_OUT
#define PRODUCES OP_I_PRODUCES
#define SESSION OP_I_SESSION

static const struct op_info op_table[OP_N_CODES] = {
#define OP(name, code, flags, in, out)                                                       \
	[code] = {#name, flags, sizeof(struct op_##name##_in), sizeof(struct op_##name##_out)},
#define OP_RESERVED(name, code) [code] = {#name, OP_I_RESERVED, 0, 0},
#include "op/op.def"
#undef OP
#undef OP_RESERVED
};

const struct op_info *op_info(uint32_t code)
{
	static const struct op_info none;
	return code < OP_N_CODES ? &op_table[code] : &none;
}

void op_reset(struct op *op, enum op_code code)
{
	/* An object of size 0 has no bytes: they can stay. */
	memset(op, 0, offsetof(struct op, obj));
	op->obj.size = op->obj2.size = 0;
	memset(&op->in, 0, op_info(code)->in_size);
	op->code = (uint16_t)code;
}

int op_set_str(struct op *op, struct op_str *str, const void *bytes, size_t size)
{
	if (size > OP_NAME_MAX || op->in_var_size + size > OP_VAR_MAX)
		return ERR_NAMETOOLONG;
	str->offset = op->in_var_size;
	str->size = (uint16_t)size;
	memcpy(op->in_var + op->in_var_size, bytes, size);
	op->in_var_size += (uint16_t)size;
	return 0;
}

const char *op_get_str(const struct op *op, const struct op_str *str)
{
	if (op->in_var_size > OP_VAR_MAX || str->offset + (uint32_t)str->size > op->in_var_size)
		return NULL;
	return (const char *)op->in_var + str->offset;
}
