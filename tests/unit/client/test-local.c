/* Shows what is the local transport's own: limits, adopted chunks, read data in place, events, and an orderly end. */
#include <criterion/criterion.h>
#include <string.h>

#include "backends/builtin.h"
#include "client/client.h"
#include "vfs/vfs.h"

static struct client *c;
static struct vfs *vfs;
static struct op_handle root, file;
static void (*body)(void);
static int n_changes;

static void on_event(void *arg, const struct op_event *event)
{
	n_changes += event->type == OP_EVENT_CHANGED || event->type == OP_EVENT_CATALOGUE;
}

static struct op *request(enum op_code code, const struct op_handle *obj)
{
	struct op *op = client_op(c, code);
	op->cred = (struct op_cred){0};
	op->obj = *obj;
	return op;
}

static void find_root(void)
{
	struct client_buf *b = client_buf_alloc(c, 4, 0);
	struct op *op = client_op(c, OP_lookup_path);
	op->cred = (struct op_cred){0};
	memcpy(b->data, "unit", 4);
	cr_assert_eq(client_op_seg(op, b, 0, 4), 0);
	cr_assert_eq(client_call(c, op), 0);
	root = op->out.lookup_path.obj;
	client_op_put(c, op);
	client_buf_put(c, b);
}

static void make_file(void)
{
	struct op *op = request(OP_open, &root);
	op_set_str(op, &op->in.open.name, "file", 4);
	op->in.open.disposition = OPEN_GUARDED;
	op->in.open.flags = OPEN_NO_STATE;
	cr_assert_eq(client_call(c, op), 0);
	file = op->out.open.obj;
	client_op_put(c, op);
}

static void local_main(void *arg)
{
	static const struct vfs_option options[] = {{"capacity", "16M"}, {NULL, NULL}};
	struct vfs_config cfg = {.arena_size = 256 << 20, .arena_limit = 64 << 20};
	struct vfs_mount_spec spec = {.id = 1, .name = "unit", .backend = "memfs", .options = options};
	struct client_config client = {.name = "unit", .n_slots = 4, .arena_size = 1 << 20, .event = on_event};
	char *why = NULL;

	backends_register();
	cr_assert_eq(vfs_create(&vfs, &cfg, &why), 0);
	cr_assert_eq(vfs_mount(vfs, &spec, &why), 0);
	cr_assert_eq(client_local(&c, vfs, &client), 0);
	find_root();
	make_file();
	body();
	client_detach(c);
	vfs_destroy(vfs);
	loop_stop(loop_current());
}

static void in_local(void (*fn)(void))
{
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct loop *loop;

	body = fn;
	cr_assert_eq(loop_create(&loop, &cfg), 0);
	cr_assert_eq(fiber_start(loop, local_main, NULL), 0);
	loop_run(loop);
	loop_destroy(loop);
}

static void write_chunk(uint8_t byte)
{
	struct client_buf *b = client_buf_alloc(c, PAGE_CHUNK_SIZE, BUF_CHUNK);
	struct op *op = request(OP_write, &file);
	cr_assert_eq((uintptr_t)b->data % PAGE_CHUNK_SIZE % 4096, 0);
	memset(b->data, byte, PAGE_CHUNK_SIZE);
	op->in.write.size = PAGE_CHUNK_SIZE;
	cr_assert_eq(client_op_seg(op, b, 0, PAGE_CHUNK_SIZE), 0);
	cr_assert_eq(client_call(c, op), 0);
	cr_assert_eq(op->out.write.size, PAGE_CHUNK_SIZE);
	client_op_put(c, op);
	client_buf_put(c, b);
}

static void adopt(void)
{
	struct iovec iov[OP_SEGS_MAX];
	uint64_t before = pages_used(vfs_pages(vfs));
	cr_assert(client_can_adopt(c));
	write_chunk(7);
	cr_assert_eq(pages_used(vfs_pages(vfs)), before + PAGE_CHUNK_SIZE, "the chunk became the file's");
	struct op *op = request(OP_read, &file);
	op->in.read.size = PAGE_CHUNK_SIZE;
	cr_assert_eq(client_call(c, op), 0);
	cr_assert_eq(client_op_iov(c, op, iov), 1);
	const uint8_t *data = iov[0].iov_base;
	cr_assert_eq(data[PAGE_CHUNK_SIZE - 1], 7);
	write_chunk(8);
	cr_assert_eq(data[0], 7, "what was read stays as it was until the op is put");
	client_op_put(c, op);
	cr_assert_eq(pages_used(vfs_pages(vfs)), before + PAGE_CHUNK_SIZE, "and then goes");
}

Test(local, a_whole_chunk_is_adopted_and_read_in_place)
{
	in_local(adopt);
}

static int n_done;

static void waits_for_op(void *arg)
{
	struct op *op = request(OP_getattr, &file);
	op->in.getattr.want = ATTR_ALL;
	cr_assert_eq(client_call(c, op), 0);
	client_op_put(c, op);
	n_done++;
}

static void limits(void)
{
	struct client_buf *bufs[64];
	struct op *ops[4];
	size_t n = 0;
	for (int i = 0; i < 4; i++)
		ops[i] = request(OP_getattr, &file);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(fiber_spawn(waits_for_op, NULL), 0);
	cr_assert_eq(n_done, 0, "all ops are in use");
	for (int i = 0; i < 4; i++)
		client_op_put(c, ops[i]);
	while (n_done < 3)
		fiber_yield();
	while (n < 64 && (bufs[n] = client_buf_alloc(c, PAGE_CHUNK_SIZE, n % 2 ? BUF_CHUNK : 0)))
		n++;
	cr_assert(n >= 16 && n < 64, "buffers are bounded: %zu", n);
	while (n)
		client_buf_put(c, bufs[--n]);
}

Test(local, ops_and_buffers_are_bounded)
{
	in_local(limits);
}

static void hear_events(void)
{
	struct op_event event = {.type = OP_EVENT_CATALOGUE, .value = 5};
	vfs_broadcast(vfs, &event);
	vfs_broadcast(vfs, &event);
	cr_assert_eq(n_changes, 0, "not from inside the call");
	while (n_changes < 2)
		fiber_yield();
	vfs_broadcast(vfs, &event);
}

Test(local, events_come_on_the_loop_and_none_after_the_end)
{
	in_local(hear_events);
}
