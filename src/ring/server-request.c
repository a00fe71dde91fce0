/*
 * A request's way out of shared memory and back. The client may be writing to the slot all the time: every
 * byte is read once, into private memory, and only that is judged and used.
 */
#include <string.h>

#include "ring/server-impl.h"

#define SMALL_ARGS 48

/* What was copied before is not read again from where it came from. */
static inline void copied(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static bool head_is_bounded(const struct op *op)
{
	return op->in_var_size <= OP_VAR_MAX && op->n_segs <= OP_SEGS_MAX && op->obj.size <= OP_HANDLE_MAX &&
	       op->cred.n_groups <= OP_CRED_GROUPS;
}

/* Copying a few bytes more than size is cheaper than calling a function for the right number: the arguments have room. */
static inline void copy_small(void *to, const void *from, size_t size)
{
	if (likely(size <= SMALL_ARGS))
		memcpy(to, from, SMALL_ARGS);
	else
		memcpy(to, from, size);
}

/* Most ops have one object, no groups, no name and no payload: only what is used is copied. */
static int copy_request(struct op *to, const struct op *from)
{
	memcpy(to, from, offsetof(struct op, obj2));
	memcpy(&to->cred, &from->cred, offsetof(struct op_cred, groups));
	copied();
	if (unlikely(!head_is_bounded(to)))
		return ERR_PROTO;

	const struct op_info *info = op_info(to->code);
	copy_small(&to->in, &from->in, info->in_size);
	if (to->in_var_size)
		memcpy(to->in_var, from->in_var, to->in_var_size);
	if (to->cred.n_groups)
		memcpy(to->cred.groups, from->cred.groups, to->cred.n_groups * sizeof(to->cred.groups[0]));
	if (to->n_segs)
		memcpy(to->segs, from->segs, to->n_segs * sizeof(to->segs[0]));
	to->obj2.size = 0;
	if (info->flags & OP_I_OBJ2)
		memcpy(&to->obj2, &from->obj2, sizeof(to->obj2));
	copied();
	return to->obj2.size <= OP_HANDLE_MAX ? 0 : ERR_PROTO;
}

static int find_payload(const struct ring_segment *seg, const struct op *op, struct vfs_payload *payload)
{
	for (unsigned i = 0; i < op->n_segs; i++) {
		const struct op_seg *s = &op->segs[i];
		if (s->region != OP_SEG_CLIENT || s->size > OP_IO_MAX || s->offset > seg->arena_size ||
		    s->size > seg->arena_size - s->offset)
			return ERR_PROTO;
		payload->iov[i] = (struct iovec){seg->arena + s->offset, s->size};
		payload->chunks[i] = 0;
	}
	payload->n_iov = op->n_segs;
	return 0;
}

int ring_request_take(struct ring_attachment *a, struct ring_request *r)
{
	struct op *op = &r->op;
	int err = copy_request(op, ring_slot(&a->seg, r->slot));
	if (unlikely(err))
		return err;
	op->status = 0;
	op->out_var_size = 0;
	return find_payload(&a->seg, op, &r->payload);
}

void ring_request_answer(struct ring_attachment *a, const struct ring_request *r)
{
	struct op *to = ring_slot(&a->seg, r->slot);
	const struct op *op = &r->op;
	const struct op_info *info = op_info(op->code);

	memcpy(&to->out, &op->out, info->out_size);
	if (op->out_var_size)
		memcpy(to->out_var, op->out_var, op->out_var_size);
	if ((info->flags & OP_I_DATA_OUT) && op->n_segs)
		memcpy(to->segs, op->segs, op->n_segs * sizeof(to->segs[0]));
	to->n_segs = op->n_segs;
	to->out_var_size = op->out_var_size;
	to->status = op->status;
}
