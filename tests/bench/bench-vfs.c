/*
 * What an op costs in the VFS and a backend, without any transport: nanoseconds per call on one thread, for null
 * and memfs. The best of several rounds is printed: the machine's noise is not ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/builtin.h"
#include "loop/loop.h"
#include "vfs/vfs.h"

#define N_CALLS 2000
#define N_ROUNDS 150
#define IO_SIZE 4096u

struct bench {
	struct vfs *vfs;
	struct vfs_session *session;
	struct op_handle root;
	struct op_handle file;
	struct op op;
	struct vfs_payload payload;
	struct vfs_pins pins;
	bool writable; /* names can be made */
	uint64_t replay_key;
};

static char io_data[1 << 20];

static void run(struct bench *b)
{
	struct vfs_step step = {&b->op, &b->payload, &b->pins};
	vfs_run(b->session, &step, 1);
	if (b->op.status) {
		fprintf(stderr, "%s: %s\n", op_info(b->op.code)->name, err_name(b->op.status));
		exit(1);
	}
}

static void prepare(struct bench *b, enum op_code code, const struct op_handle *obj)
{
	op_reset(&b->op, code);
	b->op.obj = *obj;
	b->payload.n_iov = 0;
}

static void do_getattr(struct bench *b, uint32_t i)
{
	run(b);
}

static void do_lookup(struct bench *b, uint32_t i)
{
	run(b);
}

static void do_read(struct bench *b, uint32_t i)
{
	b->op.in.read.offset = (i & 15) * IO_SIZE;
	run(b);
	vfs_pins_release(b->vfs, &b->pins);
}

static void do_write(struct bench *b, uint32_t i)
{
	b->op.in.write.offset = (i & 15) * IO_SIZE;
	run(b);
}

static void do_big_read(struct bench *b, uint32_t i)
{
	run(b);
	vfs_pins_release(b->vfs, &b->pins);
}

static void name_of(struct bench *b, struct op_str *str, uint32_t i)
{
	char name[16];
	int n = snprintf(name, sizeof(name), "file%08u", i);
	b->op.in_var_size = 0;
	op_set_str(&b->op, str, name, (size_t)n);
}

static void do_create(struct bench *b, uint32_t i)
{
	name_of(b, &b->op.in.open.name, i);
	run(b);
}

static void do_create_once(struct bench *b, uint32_t i)
{
	b->op.replay_client = 1;
	b->op.replay_key = ++b->replay_key;
	do_create(b, i);
}

static void do_remove(struct bench *b, uint32_t i)
{
	name_of(b, &b->op.in.remove.name, i);
	run(b);
}

static void prepare_getattr(struct bench *b)
{
	prepare(b, OP_getattr, &b->file);
}

static void prepare_lookup(struct bench *b)
{
	prepare(b, OP_lookup, &b->root);
	op_set_str(&b->op, &b->op.in.lookup.name, "7", 1);
}

static void prepare_read(struct bench *b)
{
	prepare(b, OP_read, &b->file);
	b->op.in.read.size = IO_SIZE;
}

static void prepare_big_read(struct bench *b)
{
	prepare(b, OP_read, &b->file);
	b->op.in.read.size = OP_IO_MAX;
}

static void add_payload(struct bench *b, uint32_t size)
{
	b->op.in.write.size = size;
	b->payload.iov[0] = (struct iovec){io_data, size};
	b->payload.chunks[0] = PAGE_CHUNK_NONE;
	b->payload.n_iov = 1;
}

static void prepare_write(struct bench *b)
{
	prepare(b, OP_write, &b->file);
	add_payload(b, IO_SIZE);
}

static void prepare_big_write(struct bench *b)
{
	prepare(b, OP_write, &b->file);
	add_payload(b, OP_IO_MAX);
}

static void prepare_create(struct bench *b)
{
	prepare(b, OP_open, &b->root);
	b->op.in.open.disposition = OPEN_GUARDED;
	b->op.in.open.flags = OPEN_NO_STATE;
}

static void prepare_remove(struct bench *b)
{
	prepare(b, OP_remove, &b->root);
	b->op.in.remove.flags = REMOVE_FILE;
}

static const struct row {
	const char *name;
	void (*prepare)(struct bench *b);
	void (*call)(struct bench *b, uint32_t i);
	bool writes_names;
	uint32_t n_calls;
} rows[] = {
	{"getattr", prepare_getattr, do_getattr, false, N_CALLS},
	{"lookup", prepare_lookup, do_lookup, false, N_CALLS},
	{"write 4k", prepare_write, do_write, false, N_CALLS},
	{"read 4k", prepare_read, do_read, false, N_CALLS},
	{"write 1m", prepare_big_write, do_getattr, false, 20},
	{"read 1m", prepare_big_read, do_big_read, false, N_CALLS},
	{"create", prepare_create, do_create, true, N_CALLS},
	{"remove", prepare_remove, do_remove, true, N_CALLS},
	{"create once", prepare_create, do_create_once, true, N_CALLS},
	{"remove", prepare_remove, do_remove, true, N_CALLS},
};

static double round_ns(struct bench *b, const struct row *r)
{
	struct loop *loop = loop_current();
	r->prepare(b);
	uint64_t start = loop_clock_ns(loop);
	for (uint32_t i = 0; i < r->n_calls; i++)
		r->call(b, i);
	return (double)(loop_clock_ns(loop) - start) / r->n_calls;
}

/* Creates and removes belong together, so names come and go as whole rounds in order of the table. */
static void measure(struct bench *b, double best[ARRAY_SIZE(rows)])
{
	for (int round = 0; round < N_ROUNDS; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			if (rows[i].writes_names && !b->writable)
				continue;
			double ns = round_ns(b, &rows[i]);
			best[i] = best[i] == 0 || ns < best[i] ? ns : best[i];
		}
	}
}

static void lookup_root(struct bench *b, const char *name)
{
	static const struct op_handle none;
	prepare(b, OP_lookup_path, &none);
	b->payload.iov[0] = (struct iovec){(void *)name, strlen(name)};
	b->payload.n_iov = 1;
	run(b);
	b->root = b->op.out.lookup_path.obj;
}

static void measure_backend(struct vfs *vfs, const char *backend, uint32_t id, double best[ARRAY_SIZE(rows)])
{
	struct bench *b = calloc(1, sizeof(*b));
	struct vfs_mount_spec spec = {id, backend, backend, false, NULL};
	struct vfs_session_config cfg = {.role = 1, .name = "bench"};
	char *why;
	if (!b || vfs_mount(vfs, &spec, &why) || vfs_session_create(vfs, &cfg, &b->session))
		exit(1);
	b->vfs = vfs;
	b->writable = strcmp(backend, "null") != 0;
	lookup_root(b, backend);
	prepare(b, b->writable ? OP_open : OP_lookup, &b->root);
	op_set_str(&b->op, b->writable ? &b->op.in.open.name : &b->op.in.lookup.name, "7", 1);
	if (b->writable) {
		b->op.in.open.disposition = OPEN_GUARDED;
		b->op.in.open.flags = OPEN_NO_STATE;
	}
	run(b);
	b->file = b->writable ? b->op.out.open.obj : b->op.out.lookup.obj;
	measure(b, best);
	vfs_session_destroy(b->session);
	free(b);
}

static void body(void *arg)
{
	static double null_ns[ARRAY_SIZE(rows)], memfs_ns[ARRAY_SIZE(rows)];
	struct vfs_config cfg = {.state_dir = arg, .arena_size = 4ULL << 30};
	struct vfs *vfs;
	char *why;
	if (vfs_create(&vfs, &cfg, &why)) {
		fprintf(stderr, "%s\n", why ? why : "no memory");
		exit(1);
	}
	measure_backend(vfs, "null", 1, null_ns);
	measure_backend(vfs, "memfs", 2, memfs_ns);
	printf("%-12s %10s %10s   ns per op\n", "", "null", "memfs");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		printf("%-12s %10.0f %10.0f\n", rows[i].name, null_ns[i], memfs_ns[i]);
	vfs_destroy(vfs);
	loop_stop(loop_current());
}

int main(void)
{
	char dir[] = "/tmp/chimera-bench-XXXXXX", path[64];
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct loop *loop;
	backends_register();
	if (!mkdtemp(dir) || loop_create(&loop, &cfg) || fiber_start(loop, body, dir))
		return 1;
	loop_run(loop);
	loop_destroy(loop);
	static const char *const files[] = {"handle.key", "replay", "kv"};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	return rmdir(dir) != 0;
}
