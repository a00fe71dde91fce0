/*
 * Running ops: one wrapper around every operation. It validates what all have in common, finds
 * the object, refuses changes of a read-only mount, asks the replay cache, calls the handler that op.def names,
 * counts, and carries the object over to the next op of the chain.
 */
#include <string.h>

#include "base/counter.h"
#include "base/log.h"
#include "vfs/replay.h"
#include "vfs/vfs-impl.h"

LOG_MODULE("op");

#define SAMPLE_EVERY 64 /* calls between two whose latency is measured */

typedef int handler_fn(struct vfs_call *c);

static handler_fn *const handlers[OP_N_CODES] = {
#define OP(name, code, flags, in, out) [code] = vfs_op_##name,
#define OP_RESERVED(name, code)
#include "op/op.def"
#undef OP
#undef OP_RESERVED
};

static const char *const op_names[OP_N_CODES] = {
#define OP(name, code, flags, in, out) [code] = #name,
#define OP_RESERVED(name, code) [code] = #name,
#include "op/op.def"
#undef OP
#undef OP_RESERVED
};

static struct counter_table calls = {"op_calls", COUNTER_SUM, op_names, OP_N_CODES, 0, NULL};
static struct counter_table errors = {"op_errors", COUNTER_SUM, op_names, OP_N_CODES, 0, NULL};
static struct counter_table latency = {"op_latency_ns", COUNTER_HISTOGRAM, op_names, OP_N_CODES, 0, NULL};

__attribute__((constructor)) static void register_counters(void)
{
	counter_register(&calls);
	counter_register(&errors);
	counter_register(&latency);
}

static int find_object(struct vfs_call *c, const struct op_info *info)
{
	const struct op *op = c->op;
	if (op->flags & OP_F_PREV)
		return c->node ? 0 : ERR_BADHANDLE;
	if (c->node)
		vfs_node_put(TAKE(c->node));
	c->open_id = 0;
	if (!(info->flags & OP_I_OBJ) && (op->code != OP_lookup_path || op->obj.size == 0))
		return 0;
	return vfs_handle_node(c->session, &op->obj, &c->node, &c->tag);
}

static bool refuses_changes(const struct vfs_call *c)
{
	bool source = c->op->code == OP_copy || c->op->code == OP_clone;
	return (!source && vfs_node_read_only(c->node)) || (c->node2 && vfs_node_read_only(c->node2));
}

static int find_objects(struct vfs_call *c, const struct op_info *info)
{
	uint32_t tag;
	int err = find_object(c, info);
	if (!err && (info->flags & OP_I_OBJ2))
		err = vfs_handle_node(c->session, &c->op->obj2, &c->node2, &tag);
	if (err)
		return err;
	if (c->node2 && c->node2->mount != c->node->mount && c->op->code != OP_copy)
		return ERR_XDEV;
	/* Opens decide for themselves: opening what exists for reading changes nothing. */
	bool mutates = (info->flags & OP_I_MUTATES) && c->op->code != OP_open && c->op->code != OP_open_stream;
	return mutates && refuses_changes(c) ? ERR_ROFS : 0;
}

static int check_shape(const struct op *op, handler_fn *handler)
{
	if (!handler)
		return ERR_NOTSUPP;
	if (op->in_var_size > OP_VAR_MAX || op->n_segs > OP_SEGS_MAX || op->cred.n_groups > OP_CRED_GROUPS)
		return ERR_INVAL;
	return 0;
}

static void carry_over(struct vfs_call *c)
{
	if (c->node2)
		vfs_node_put(TAKE(c->node2));
	if (!c->made)
		return;
	if (c->node)
		vfs_node_put(c->node);
	c->node = TAKE(c->made);
}

/* Running an idempotent op twice does no harm: only the others are worth the record. */
static bool wants_replay(const struct vfs_call *c, const struct op_info *info)
{
	return c->op->replay_key && c->vfs->replay && (info->flags & (OP_I_MUTATES | OP_I_IDEMPOTENT)) == OP_I_MUTATES;
}

/* Makes durable what the op has changed, now that nobody waits for its locks. */
static int settle(struct vfs_call *c)
{
	struct vfs_node *all[] = {c->node, c->node2, c->made};
	struct vfs_node *nodes[ARRAY_SIZE(all)];
	uint32_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] && all[i]->mount->ops->settle)
			nodes[n++] = all[i]->base ? all[i]->base : all[i];
	return n ? nodes[0]->mount->ops->settle(nodes, n) : 0;
}

static int handle(struct vfs_call *c, const struct op_info *info, handler_fn *handler)
{
	int err = handler(c);
	bool must_last = (info->flags & OP_I_MUTATES) && !(c->op->flags & OP_F_LAZY);
	return err || !must_last ? err : settle(c);
}

static int run_once(struct vfs_call *c, const struct op_info *info, handler_fn *handler)
{
	struct replay_entry *entry;
	int err;
	if (replay_begin(c->vfs->replay, c, &entry, &err) == REPLAY_ANSWERED)
		return err ? err : replay_again(c);
	err = handle(c, info, handler);
	return entry ? replay_end(c, entry, err) : err;
}

static int run_one(struct vfs_call *c)
{
	struct op *op = c->op;
	const struct op_info *info = op_info(op->code);
	handler_fn *handler = op->code < OP_N_CODES ? handlers[op->code] : NULL;
	int err = check_shape(op, handler);
	if (err)
		return err;
	memset(&op->out, 0, info->out_size);
	op->out_var_size = 0;
	c->cred = &op->cred;
	c->answered = 0;
	err = find_objects(c, info);
	if (!err)
		err = wants_replay(c, info) ? run_once(c, info, handler) : handle(c, info, handler);
	carry_over(c);
	counter_add(&calls, op->code, 1);
	if (unlikely(err))
		counter_add(&errors, op->code, 1);
	return err;
}

static __attribute__((noinline)) void trace(const struct vfs_call *c)
{
	char line[1024];
	op_print(c->op, line, sizeof(line));
	log_trace("%s %016llx %s", c->session->name, (unsigned long long)c->op->trace_id, line);
}

static __attribute__((noinline)) int run_measured(struct vfs_call *c)
{
	struct loop *loop = loop_current();
	uint64_t start = loop_clock_ns(loop);
	int err = run_one(c);
	if (c->op->code < OP_N_CODES)
		counter_record(&latency, c->op->code, loop_clock_ns(loop) - start);
	return err;
}

void vfs_run(struct vfs_session *s, struct vfs_step *steps, unsigned n)
{
	static struct vfs_payload no_payload;
	struct vfs_call c = {.vfs = s->vfs, .session = s};
	c.phase = vfs_enter(s);
	int err = 0;
	for (unsigned i = 0; i < n; i++) {
		c.op = steps[i].op;
		c.payload = steps[i].payload ? steps[i].payload : &no_payload;
		c.pins = s->cfg.isolated ? NULL : steps[i].pins;
		if (err)
			c.op->status = ERR_CANCELED;
		else
			c.op->status = err = s->sample++ % SAMPLE_EVERY ? run_one(&c) : run_measured(&c);
		if (unlikely(log_this_module.level >= LOG_TRACE))
			trace(&c);
	}
	if (c.node)
		vfs_node_put(c.node);
	vfs_leave(s, c.phase);
}

const struct op_cred *vfs_call_cred(const struct vfs_call *call)
{
	return call->cred;
}
