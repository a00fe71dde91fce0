/* The VFS in a loop, with ops as calls. */
#include "tests/unit/vfs/harness.h"

#include <string.h>

#include "loop/loop.h"

struct run {
	struct bench bench;
	const struct bench_config *cfg;
	void (*body)(struct bench *b);
};

static void start(struct bench *b)
{
	struct vfs_config cfg = {.state_dir = b->state_dir, .arena_size = 1ULL << 30};
	struct vfs_mount_spec spec = {1, "m", b->backend, false, b->options};
	struct vfs_session_config session = {.role = 1, .name = "test"};
	char *why;
	cr_assert_eq(vfs_create(&b->vfs, &cfg, &why), 0, "%s", why);
	cr_assert_eq(vfs_mount(b->vfs, &spec, &why), 0, "%s", why);
	cr_assert_eq(vfs_session_create(b->vfs, &session, &b->session), 0);
	bench_op(b, OP_lookup_path, NULL);
	bench_payload(b, "m", 1);
	cr_assert_eq(bench_go(b), 0);
	b->root = b->op.out.lookup_path.obj;
}

static void stop(struct bench *b)
{
	vfs_session_destroy(b->session);
	vfs_destroy(b->vfs);
}

void bench_restart(struct bench *b)
{
	stop(b);
	start(b);
}

static void run_body(void *arg)
{
	struct run *r = arg;
	start(&r->bench);
	r->body(&r->bench);
	stop(&r->bench);
	loop_stop(loop_current());
}

void bench_run(const struct bench_config *cfg, void (*body)(struct bench *b))
{
	static const struct bench_config none;
	struct loop_config loop_cfg = {.engine = LOOP_EPOLL};
	struct run r = {.cfg = cfg ? cfg : &none, .body = body};
	struct loop *loop;
	r.bench.backend = r.cfg->backend ? r.cfg->backend : "memfs";
	r.bench.state_dir = r.cfg->state_dir;
	r.bench.options = r.cfg->options;
	backends_register();
	cr_assert_eq(loop_create(&loop, &loop_cfg), 0);
	cr_assert_eq(fiber_start(loop, run_body, &r), 0);
	loop_run(loop);
	loop_destroy(loop);
}

struct op *bench_op(struct bench *b, enum op_code code, const struct op_handle *obj)
{
	op_reset(&b->op, code);
	b->op.cred = b->cred;
	if (obj)
		b->op.obj = *obj;
	return &b->op;
}

int bench_go(struct bench *b)
{
	struct vfs_step step = {&b->op, &b->payload, &b->pins};
	b->pins.n_chunks = 0;
	vfs_run(b->session, &step, 1);
	b->payload.n_iov = 0;
	return b->op.status;
}

void bench_payload(struct bench *b, const void *data, size_t size)
{
	b->payload.iov[0] = (struct iovec){(void *)data, size};
	b->payload.chunks[0] = PAGE_CHUNK_NONE;
	b->payload.n_iov = 1;
}

void bench_become(struct bench *b, uint32_t uid, uint32_t gid)
{
	b->cred = (struct op_cred){.uid = uid, .gid = gid};
}

int bench_lookup(struct bench *b, const struct op_handle *dir, const char *name, struct op_handle *obj)
{
	struct op *op = bench_op(b, OP_lookup, dir);
	op_set_str(op, &op->in.lookup.name, name, strlen(name));
	int err = bench_go(b);
	if (!err && obj)
		*obj = op->out.lookup.obj;
	return err;
}

int bench_create(struct bench *b, const struct op_handle *dir, const char *name, uint32_t mode, struct op_handle *obj)
{
	struct op *op = bench_op(b, OP_open, dir);
	op_set_str(op, &op->in.open.name, name, strlen(name));
	op->in.open.disposition = OPEN_GUARDED;
	op->in.open.flags = OPEN_NO_STATE;
	op->in.open.attr.mask = ATTR_MODE;
	op->in.open.attr.mode = mode;
	int err = bench_go(b);
	if (!err && obj)
		*obj = op->out.open.obj;
	return err;
}

int bench_mkdir(struct bench *b, const struct op_handle *dir, const char *name, uint32_t mode, struct op_handle *obj)
{
	struct op *op = bench_op(b, OP_mkdir, dir);
	op_set_str(op, &op->in.mkdir.name, name, strlen(name));
	op->in.mkdir.attr.mask = ATTR_MODE;
	op->in.mkdir.attr.mode = mode;
	int err = bench_go(b);
	if (!err && obj)
		*obj = op->out.mkdir.obj;
	return err;
}

int bench_remove(struct bench *b, const struct op_handle *dir, const char *name)
{
	struct op *op = bench_op(b, OP_remove, dir);
	op_set_str(op, &op->in.remove.name, name, strlen(name));
	op->in.remove.flags = REMOVE_FILE | REMOVE_DIR;
	return bench_go(b);
}

int bench_rename(struct bench *b, const struct op_handle *from, const char *name, const struct op_handle *to,
                 const char *to_name, uint32_t flags)
{
	struct op *op = bench_op(b, OP_rename, from);
	op->obj2 = *to;
	op_set_str(op, &op->in.rename.name, name, strlen(name));
	op_set_str(op, &op->in.rename.to_name, to_name, strlen(to_name));
	op->in.rename.flags = flags;
	return bench_go(b);
}

int bench_write(struct bench *b, const struct op_handle *obj, uint64_t offset, const void *data, uint32_t size)
{
	struct op *op = bench_op(b, OP_write, obj);
	op->in.write.offset = offset;
	op->in.write.size = size;
	bench_payload(b, data, size);
	return bench_go(b);
}

int bench_read(struct bench *b, const struct op_handle *obj, uint64_t offset, void *data, uint32_t *size)
{
	struct op *op = bench_op(b, OP_read, obj);
	uint8_t *to = data;
	op->in.read.offset = offset;
	op->in.read.size = *size;
	int err = bench_go(b);
	*size = err ? 0 : op->out.read.size;
	memcpy(to, op->out_var, op->out_var_size);
	for (int i = 0; !err && i < op->n_segs; i++) {
		memcpy(to, pages_base(vfs_pages(b->vfs)) + op->segs[i].offset, op->segs[i].size);
		to += op->segs[i].size;
	}
	vfs_pins_release(b->vfs, &b->pins);
	return err;
}

int bench_getattr(struct bench *b, const struct op_handle *obj, struct op_attr *attr)
{
	struct op *op = bench_op(b, OP_getattr, obj);
	int err = bench_go(b);
	*attr = op->out.getattr.attr;
	return err;
}
