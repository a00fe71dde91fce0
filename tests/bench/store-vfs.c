/*
 * Stores of ours through the client library, as the protocol servers use it: one fiber for each operation in flight. Names
 * and stable writes are durable when they are answered, whatever is asked for; "add" alone says that it does not wait.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/store-host.h"
#include "vfs/vfs.h"

enum { RECORD_MAX = 512, OPTION_MAX = 4200 };

/* A worker's own, once it runs. */
struct caller {
	struct client *c;
	struct client_buf *buf; /* STORE_IO_MAX bytes */
	uint32_t n_filled;      /* bytes of buf that are to be written */
};

static struct op_handle root, dir, file;

static struct caller *caller_of(struct worker *w)
{
	return w->own;
}

static void open_cairn(const struct store_options *opt)
{
	static char path[OPTION_MAX], nodes[32];
	static struct vfs_option options[] = {{"path", path}, {"create", "yes"}, {NULL, NULL}, {NULL, NULL}, {NULL, NULL}};
	static const struct host_spec spec = {"cairn", options};
	unsigned n = 2;

	snprintf(path, sizeof(path), "%s/cairn", opt->dir);
	snprintf(nodes, sizeof(nodes), "%llu", (unsigned long long)opt->n_nodes);
	if (opt->n_nodes)
		options[n++] = (struct vfs_option){"inodes", nodes};
	/* Reading ahead is not the work of the row that comes next. */
	if (opt->closes)
		options[n++] = (struct vfs_option){"warm", "0"};
	host_open(opt, &spec);
}

static void open_memfs(const struct store_options *opt)
{
	static const struct vfs_option options[] = {{NULL, NULL}};
	static const struct host_spec spec = {"memfs", options};

	host_open(opt, &spec);
}

static void call_worker(struct worker *w)
{
	struct caller self = {.c = w->own};

	self.buf = client_buf_alloc(self.c, STORE_IO_MAX, 0);
	if (!self.buf)
		errx(1, "no buffer");
	w->own = &self;
	worker_body(w);
	client_buf_put(self.c, self.buf);
}

static void vfs_target_run(struct worker *workers, unsigned n)
{
	host_run(workers, n, call_worker);
}

/* ---- calls --------------------------------------------------------------------------------- */

static struct op *begin(struct worker *w, enum op_code code, const struct op_handle *obj)
{
	struct op *op = client_op(caller_of(w)->c, code);

	op->cred = (struct op_cred){0};
	op->obj = *obj;
	return op;
}

static void call(struct worker *w, struct op *op)
{
	host_check(client_call(caller_of(w)->c, op), op_info(op->code)->name);
}

static void end(struct worker *w, struct op *op)
{
	client_op_put(caller_of(w)->c, op);
}

static void finish(struct worker *w, struct op *op)
{
	call(w, op);
	end(w, op);
}

static void find_root(struct worker *w)
{
	struct caller *self = caller_of(w);
	struct op *op = begin(w, OP_lookup_path, &(struct op_handle){0});

	memcpy(self->buf->data, HOST_MOUNT, strlen(HOST_MOUNT));
	client_op_seg(op, self->buf, 0, (uint32_t)strlen(HOST_MOUNT));
	call(w, op);
	root = op->out.lookup_path.obj;
	end(w, op);
}

/* ---- names --------------------------------------------------------------------------------- */

static void vfs_enter(struct worker *w, const char *name)
{
	find_root(w);
	struct op *op = begin(w, OP_mkdir, &root);
	op_set_str(op, &op->in.mkdir.name, name, strlen(name));
	op->in.mkdir.attr = (struct op_attr){.mask = ATTR_MODE, .mode = 0755};
	int err = client_call(caller_of(w)->c, op);
	if (err && err != ERR_EXIST)
		host_check(err, name);
	end(w, op);
	op = begin(w, OP_lookup, &root);
	op_set_str(op, &op->in.lookup.name, name, strlen(name));
	call(w, op);
	dir = op->out.lookup.obj;
	end(w, op);
}

static struct op *begin_create(struct worker *w, const struct op_handle *where, const char *name, uint32_t disposition)
{
	struct op *op = begin(w, OP_open, where);

	op_set_str(op, &op->in.open.name, name, strlen(name));
	op->in.open.disposition = disposition;
	op->in.open.flags = OPEN_NO_STATE;
	op->in.open.attr = (struct op_attr){.mask = ATTR_MODE, .mode = 0644};
	return op;
}

static void vfs_create_file(struct worker *w, const char *name)
{
	finish(w, begin_create(w, &dir, name, OPEN_GUARDED));
}

static void vfs_add(struct worker *w, const char *name)
{
	struct op *op = begin_create(w, &dir, name, OPEN_GUARDED);

	op->flags = OP_F_LAZY;
	finish(w, op);
}

static void vfs_stat(struct worker *w, const char *name)
{
	struct op *op = begin(w, OP_lookup, &dir);

	op_set_str(op, &op->in.lookup.name, name, strlen(name));
	finish(w, op);
}

static void vfs_remove(struct worker *w, const char *name)
{
	struct op *op = begin(w, OP_remove, &dir);

	op_set_str(op, &op->in.remove.name, name, strlen(name));
	op->in.remove.flags = REMOVE_FILE;
	finish(w, op);
}

static unsigned vfs_list(struct worker *w, uint64_t *cookie, unsigned n, bool attributes)
{
	struct client_buf *buf = caller_of(w)->buf;
	struct op *op = begin(w, OP_readdir, &dir);

	op->in.readdir.cookie = *cookie;
	op->in.readdir.want = attributes ? ATTR_ALL : 0;
	op->in.readdir.max_entries = n;
	client_op_seg(op, buf, 0, MIN(n * RECORD_MAX, (uint32_t)STORE_IO_MAX));
	call(w, op);
	unsigned found = op->out.readdir.n_entries;
	const uint8_t *at = buf->data;
	for (unsigned i = 0; i < found; i++) {
		const struct op_dirent *e = (const void *)at;
		*cookie = e->cookie;
		at += e->record_size;
	}
	end(w, op);
	return found;
}

static void vfs_list_from(struct worker *w, const char *after, unsigned n)
{
	struct op *op = begin(w, OP_readdir, &dir);

	op_set_str(op, &op->in.readdir.after, after, strlen(after));
	op->in.readdir.flags = READDIR_BY_NAME;
	op->in.readdir.max_entries = n;
	client_op_seg(op, caller_of(w)->buf, 0, MIN(n * RECORD_MAX, (uint32_t)STORE_IO_MAX));
	finish(w, op);
}

/* ---- the large file ------------------------------------------------------------------------ */

static void vfs_open_file(struct worker *w, const char *name)
{
	find_root(w);
	struct op *op = begin_create(w, &root, name, OPEN_UNCHECKED);
	call(w, op);
	file = op->out.open.obj;
	end(w, op);
}

static void vfs_read(struct worker *w, uint64_t offset, uint32_t size)
{
	struct op *op = begin(w, OP_read, &file);

	op->in.read.offset = offset;
	op->in.read.size = size;
	call(w, op);
	if (op->out.read.size != size)
		errx(1, "read: short");
	end(w, op);
}

static void vfs_write(struct worker *w, uint64_t offset, uint32_t size, bool durable)
{
	struct caller *self = caller_of(w);
	struct op *op = begin(w, OP_write, &file);

	if (self->n_filled < size)
		memcpy(self->buf->data, store_payload, self->n_filled = size);
	op->in.write.offset = offset;
	op->in.write.size = size;
	op->in.write.stability = durable ? WRITE_DATA_SYNC : WRITE_UNSTABLE;
	client_op_seg(op, self->buf, 0, size);
	call(w, op);
	if (op->out.write.size != size)
		errx(1, "write: short");
	end(w, op);
}

static void vfs_commit(struct worker *w)
{
	finish(w, begin(w, OP_commit, &file));
}

static void vfs_sync(struct worker *w)
{
	find_root(w);
	finish(w, begin(w, OP_sync, &root));
}

#define CALLS                                                                                \
	.close = host_close, .run = vfs_target_run, .pids = host_pids, .memory = host_memory, .enter = vfs_enter,   \
	.create = vfs_create_file, .add = vfs_add, .stat = vfs_stat, .remove = vfs_remove,   \
	.list = vfs_list, .list_from = vfs_list_from, .open_file = vfs_open_file, .read = vfs_read, .write = vfs_write,  \
	.commit = vfs_commit, .sync = vfs_sync

const struct target cairn_target = {.name = "cairn", .open = open_cairn, CALLS};
const struct target memfs_target = {.name = "memfs", .open = open_memfs, CALLS};
