/*
 * The VFS as a hostile attachment sees it: random ops in random chains, with handles that are real, stale or
 * forged, run against memfs. Nothing may crash, and answers must stay within their bounds.
 *
 * Input: for each op a struct recipe, then n_in bytes over its arguments and n_var bytes over its names. The
 * op joins the chain of the one before when bit 7 of control is set.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "loop/loop.h"
#include "vfs/vfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_HANDLES 16
#define ROOM_SIZE 8192
#define OPS_MAX 400

struct recipe {
	uint8_t code;
	uint8_t control; /* flags in the low bits; 128: continues the chain */
	uint8_t obj;     /* of handles; 0x80: with one byte changed */
	uint8_t obj2;
	uint8_t uid;
	uint8_t n_segs;
	uint8_t n_in;
	uint8_t n_var;
};

struct input {
	const uint8_t *data;
	size_t size;
};

static struct vfs *vfs;
static struct vfs_session *session;
static struct op_handle handles[N_HANDLES];
static uint8_t room[OP_CHAIN_MAX][ROOM_SIZE];

static bool take(struct input *in, void *to, size_t size)
{
	if (in->size < size)
		return false;
	memcpy(to, in->data, size);
	in->data += size;
	in->size -= size;
	return true;
}

static struct op_handle pick(uint8_t which)
{
	struct op_handle h = handles[which % N_HANDLES];
	if (which & 0x80)
		h.bytes[which % 32] ^= 0x10;
	return h;
}

struct chain {
	struct op ops[OP_CHAIN_MAX];
	struct vfs_step steps[OP_CHAIN_MAX];
	struct vfs_payload payloads[OP_CHAIN_MAX];
	struct vfs_pins pins[OP_CHAIN_MAX];
	unsigned n;
};

static bool add_op(struct chain *c, struct input *in, const struct recipe *r)
{
	struct op *op = &c->ops[c->n];
	struct vfs_payload *p = &c->payloads[c->n];
	op_reset(op, r->code);
	op->flags = r->control & 7;
	op->obj = pick(r->obj);
	op->obj2 = pick(r->obj2);
	op->cred = (struct op_cred){.uid = r->uid % 3, .gid = r->uid % 5, .n_groups = r->uid};
	op->replay_key = r->uid & 0x40;
	op->in_var_size = r->n_var;
	if (!take(in, &op->in, MIN((size_t)r->n_in, sizeof(op->in))) || !take(in, op->in_var, r->n_var))
		return false;
	op->n_segs = p->n_iov = r->n_segs % 5;
	for (int i = 0; i < p->n_iov; i++) {
		p->iov[i] = (struct iovec){room[c->n] + i * 2000, (size_t)r->n_segs * 7};
		p->chunks[i] = PAGE_CHUNK_NONE;
	}
	c->pins[c->n].n_chunks = 0;
	c->steps[c->n] = (struct vfs_step){op, p, &c->pins[c->n]};
	c->n++;
	return true;
}

/* Handles that an answer made are used by later ops. */
static void learn(const struct op *op)
{
	static uint32_t next = 1;
	const struct op_handle *h = op->code == OP_lookup  ? &op->out.lookup.obj
	                            : op->code == OP_open  ? &op->out.open.obj
	                            : op->code == OP_mkdir ? &op->out.mkdir.obj
	                            : op->code == OP_mknod ? &op->out.mknod.obj
	                            : op->code == OP_open_stream ? &op->out.open_stream.obj
	                                                   : NULL;
	if (op->status || !h)
		return;
	handles[next] = *h;
	next = next % (N_HANDLES - 1) + 1;
}

static void check(struct chain *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct op *op = &c->ops[i];
		assert(op->status <= 0 && op->out_var_size <= OP_INLINE_MAX && op->n_segs <= OP_SEGS_MAX);
		assert(c->pins[i].n_chunks <= OP_SEGS_MAX);
		if (op->code == OP_read && op->status == 0)
			assert(op->out.read.size <= op->in.read.size);
		if (op->code == OP_readdir && op->status == 0)
			assert(op->out.readdir.size <= ROOM_SIZE);
		if (op->code == OP_list_streams && op->status == 0)
			assert(op->out.list_streams.size <= ROOM_SIZE);
		learn(op);
		vfs_pins_release(vfs, &c->pins[i]);
	}
	c->n = 0;
}

static void run_input(struct input *in)
{
	struct chain *c = calloc(1, sizeof(*c));
	struct recipe r;
	char line[512];
	for (uint32_t i = 0; i < OPS_MAX && take(in, &r, sizeof(r)); i++) {
		if (c->n && (!(r.control & 0x80) || c->n == OP_CHAIN_MAX)) {
			vfs_run(session, c->steps, c->n);
			check(c);
		}
		if (!add_op(c, in, &r))
			break;
		op_print(&c->ops[c->n - 1], line, sizeof(line));
	}
	vfs_run(session, c->steps, c->n);
	check(c);
	free(c);
}

static void find_root(void)
{
	static struct op op;
	struct vfs_payload name = {.n_iov = 1, .iov = {{(void *)"m", 1}}};
	struct vfs_step step = {&op, &name, NULL};
	op_reset(&op, OP_lookup_path);
	vfs_run(session, &step, 1);
	for (int i = 0; i < N_HANDLES; i++)
		handles[i] = op.out.lookup_path.obj;
}

/* Each input meets a fresh store, so that what it finds can be found again. */
static void body(void *arg)
{
	static const struct vfs_option options[] = {{"capacity", "4M"}, {"inodes", "1000"}, {NULL, NULL}};
	struct vfs_mount_spec spec = {1, "m", "memfs", false, options};
	struct vfs_session_config session_cfg = {.role = 1, .name = "fuzz"};
	struct vfs_config cfg = {.arena_size = 64 << 20};
	char *why;
	int err = vfs_create(&vfs, &cfg, &why);
	assert(err == 0);
	err = vfs_mount(vfs, &spec, &why);
	assert(err == 0);
	err = vfs_session_create(vfs, &session_cfg, &session);
	assert(err == 0);
	find_root();
	run_input(arg);
	vfs_session_destroy(session);
	vfs_destroy(vfs);
	loop_stop(loop_current());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct input in = {data, size};
	struct loop *loop;
	backends_register();
	if (loop_create(&loop, &cfg))
		abort();
	fiber_start(loop, body, &in);
	loop_run(loop);
	loop_destroy(loop);
	return 0;
}
