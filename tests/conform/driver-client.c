/* The verbs over client.h: one op each, its answer copied to t->ans. */
#include <time.h>

#include "tests/conform/driver-client.h"

#define BUF_MAX (1u << 20)

/* ---- ops ---------------------------------------------------------------------------------- */

struct op *ops_new(struct test *t, enum op_code code, const struct obj *o)
{
	struct op *op = client_op(t->drv->client(t), code);

	op->cred = *t->as;
	if (o)
		op->obj = o->handle;
	return op;
}

void ops_str(struct op *op, struct op_str *field, const char *text)
{
	op_set_str(op, field, text, strlen(text));
}

int ops_run(struct test *t, struct op *op)
{
	atomic_fetch_add(&conform_op_calls[op->code % OP_N_CODES], 1);
	return client_call(t->drv->client(t), op);
}

int ops_chain(struct test *t, struct op **ops, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		atomic_fetch_add(&conform_op_calls[ops[i]->code % OP_N_CODES], 1);
	return client_call_chain(t->drv->client(t), ops, n);
}

void ops_put(struct test *t, struct op *op)
{
	client_op_put(t->drv->client(t), op);
}

static struct client_buf *buffer(struct test *t, uint32_t size)
{
	struct client *c = t->drv->client(t);
	struct client_buf *buf;

	size = size ? MIN(size, BUF_MAX) : 1;
	while (!(buf = client_buf_alloc(c, size, 0)))
		client_buf_wait(c);
	return buf;
}

struct client_buf *ops_payload(struct test *t, struct op *op, const void *data, uint32_t size)
{
	struct client_buf *buf = buffer(t, size);

	if (data && size)
		memcpy(buf->data, data, MIN(size, BUF_MAX));
	if (size)
		client_op_seg(op, buf, 0, MIN(size, BUF_MAX));
	return buf;
}

uint32_t ops_data(struct test *t, const struct op *op, void *data, uint32_t size)
{
	struct iovec iov[OP_SEGS_MAX];
	int i, n = client_op_iov(t->drv->client(t), op, iov);
	uint32_t done = 0;
	size_t part;

	for (i = 0; i < n && done < size; i++) {
		part = MIN(iov[i].iov_len, size - done);
		memcpy((uint8_t *)data + done, iov[i].iov_base, part);
		done += (uint32_t)part;
	}
	return done;
}

/* Runs and gives back; what is needed of the answer was copied by take() in between. */
typedef void take_fn(struct test *t, const struct op *op, struct obj *out);

static int finish(struct test *t, struct op *op, take_fn *take, struct obj *out)
{
	int err = ops_run(t, op);

	if (!err && take)
		take(t, op, out);
	ops_put(t, op);
	return err;
}

static void set_out(struct obj *out, const struct op_handle *h)
{
	if (out)
		*out = (struct obj){.handle = *h, .fd = -1};
}

/* A name that does not fit answers as the server would. */
static int set_name(struct test *t, struct op *op, struct op_str *field, struct str name)
{
	int err = op_set_str(op, field, name.bytes, name.size);

	if (err)
		ops_put(t, op);
	return err;
}

/* ---- names ---------------------------------------------------------------------------------- */

static void take_lookup(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.lookup.attr;
	t->ans.dir = op->out.lookup.dir;
	set_out(out, &op->out.lookup.obj);
}

int client_verb_lookup(struct test *t, const struct obj *dir, struct str name, struct obj *out)
{
	struct op *op = ops_new(t, OP_lookup, dir);
	int err = set_name(t, op, &op->in.lookup.name, name);

	return err ? err : finish(t, op, take_lookup, out);
}

static void take_path(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.lookup_path.attr;
	set_out(out, &op->out.lookup_path.obj);
}

int client_verb_lookup_path(struct test *t, const struct obj *dir, struct str path, struct obj *out)
{
	struct op *op = ops_new(t, OP_lookup_path, dir);
	struct client_buf *buf = ops_payload(t, op, path.bytes, (uint32_t)path.size);
	int err = finish(t, op, take_path, out);

	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void take_parent(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.parent.attr;
	set_out(out, &op->out.parent.obj);
}

int client_verb_parent(struct test *t, const struct obj *o, struct obj *out)
{
	return finish(t, ops_new(t, OP_parent, o), take_parent, out);
}

int client_verb_readlink(struct test *t, const struct obj *o, char *target, uint32_t size)
{
	struct op *op = ops_new(t, OP_readlink, o);
	struct client_buf *buf = ops_payload(t, op, NULL, size);
	int err = ops_run(t, op);

	t->ans.size = op->out.readlink.size;
	if (!err)
		memcpy(target, buf->data, MIN(size, op->out.readlink.size));
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void emit_records(struct scan *s, const uint8_t *data, uint32_t size)
{
	struct op_dirent d;
	uint32_t at_byte = 0;
	char name[OP_NAME_MAX + 1];

	while (at_byte + sizeof(d) <= size) {
		memcpy(&d, data + at_byte, sizeof(d));
		if (d.record_size < sizeof(d) || d.record_size > size - at_byte || d.name_size > OP_NAME_MAX)
			return;
		memcpy(name, data + at_byte + sizeof(d), d.name_size);
		name[d.name_size] = 0;
		s->cookie = d.cookie;
		s->entry(s->arg, &d, name);
		at_byte += d.record_size;
	}
}

int client_verb_readdir(struct test *t, const struct obj *dir, struct scan *s)
{
	struct op *op = ops_new(t, OP_readdir, dir);
	struct client_buf *buf = ops_payload(t, op, NULL, s->room);
	const struct op_readdir_out *out = &op->out.readdir;
	int err;

	op->in.readdir = (struct op_readdir_in){
		.cookie = s->cookie, .verifier = s->verifier, .want = s->want, .flags = s->flags, .max_entries = s->max_entries};
	err = ops_run(t, op);
	if (!err) {
		s->eof = out->eof;
		s->verifier = out->verifier;
		s->n_entries = out->n_entries;
		t->ans.dir = out->dir;
		emit_records(s, buf->data, MIN(out->size, s->room));
	}
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void take_open(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.open.attr;
	t->ans.wcc = op->out.open.dir;
	t->ans.open_id = op->out.open.open_id;
	t->ans.created = op->out.open.created;
	set_out(out, &op->out.open.obj);
}

int client_verb_open(struct test *t, const struct obj *dir, struct str name, const struct open_how *how, struct obj *out)
{
	struct op *op = ops_new(t, OP_open, dir);
	int err;

	op->in.open = (struct op_open_in){.disposition = how->disposition, .access = how->access, .deny = how->deny,
	                                  .flags = how->flags, .verifier = how->verifier, .attr = how->attr};
	err = set_name(t, op, &op->in.open.name, name);
	return err ? err : finish(t, op, take_open, out);
}

static void take_unlinked(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.create_unlinked.attr;
	t->ans.open_id = op->out.create_unlinked.open_id;
	set_out(out, &op->out.create_unlinked.obj);
}

int client_verb_create_unlinked(struct test *t, const struct obj *dir, const struct open_how *how, struct obj *out)
{
	struct op *op = ops_new(t, OP_create_unlinked, dir);

	op->in.create_unlinked.access = how->access;
	op->in.create_unlinked.attr = how->attr;
	return finish(t, op, take_unlinked, out);
}

static void take_mkdir(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.mkdir.attr;
	t->ans.wcc = op->out.mkdir.dir;
	set_out(out, &op->out.mkdir.obj);
}

int client_verb_mkdir(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr, struct obj *out)
{
	struct op *op = ops_new(t, OP_mkdir, dir);
	int err = set_name(t, op, &op->in.mkdir.name, name);

	op->in.mkdir.attr = *attr;
	return err ? err : finish(t, op, take_mkdir, out);
}

static void take_mknod(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.mknod.attr;
	t->ans.wcc = op->out.mknod.dir;
	set_out(out, &op->out.mknod.obj);
}

int client_verb_mknod(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr, struct obj *out)
{
	struct op *op = ops_new(t, OP_mknod, dir);
	int err = set_name(t, op, &op->in.mknod.name, name);

	op->in.mknod.attr = *attr;
	return err ? err : finish(t, op, take_mknod, out);
}

static void take_symlink(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.symlink.attr;
	t->ans.wcc = op->out.symlink.dir;
	set_out(out, &op->out.symlink.obj);
}

int client_verb_symlink(struct test *t, const struct obj *dir, struct str name, struct str target, struct obj *out)
{
	struct op *op = ops_new(t, OP_symlink, dir);
	int err = set_name(t, op, &op->in.symlink.name, name);
	struct client_buf *buf;

	if (err)
		return err;
	buf = ops_payload(t, op, target.bytes, (uint32_t)target.size);
	err = finish(t, op, take_symlink, out);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void take_link(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.link.attr;
	t->ans.wcc = op->out.link.dir;
}

int client_verb_link(struct test *t, const struct obj *o, const struct obj *dir, struct str name)
{
	struct op *op = ops_new(t, OP_link, o);
	int err = set_name(t, op, &op->in.link.name, name);

	op->obj2 = dir->handle;
	return err ? err : finish(t, op, take_link, NULL);
}

static void take_rename(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.rename.dir;
	t->ans.to_wcc = op->out.rename.to_dir;
}

int client_verb_rename(struct test *t, const struct obj *from, struct str name, const struct obj *to,
                       struct str to_name, uint32_t flags)
{
	struct op *op = ops_new(t, OP_rename, from);
	int err = set_name(t, op, &op->in.rename.name, name);

	if (!err)
		err = set_name(t, op, &op->in.rename.to_name, to_name);
	op->obj2 = to->handle;
	op->in.rename.flags = flags;
	return err ? err : finish(t, op, take_rename, NULL);
}

static void take_remove(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.remove.dir;
}

int client_verb_remove(struct test *t, const struct obj *dir, struct str name, uint32_t flags)
{
	struct op *op = ops_new(t, OP_remove, dir);
	int err = set_name(t, op, &op->in.remove.name, name);

	op->in.remove.flags = flags;
	return err ? err : finish(t, op, take_remove, NULL);
}

/* ---- objects ------------------------------------------------------------------------------------ */

static void take_getattr(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.attr = op->out.getattr.attr;
}

int client_verb_getattr(struct test *t, const struct obj *o)
{
	struct op *op = ops_new(t, OP_getattr, o);

	op->in.getattr.want = ATTR_ALL;
	return finish(t, op, take_getattr, NULL);
}

static void take_setattr(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.setattr.wcc;
}

int client_verb_setattr(struct test *t, const struct obj *o, const struct op_attr *attr, uint64_t open_id)
{
	struct op *op = ops_new(t, OP_setattr, o);

	op->in.setattr.attr = *attr;
	op->in.setattr.open_id = open_id;
	return finish(t, op, take_setattr, NULL);
}

static void take_access(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.allowed = op->out.access.allowed;
	t->ans.attr = op->out.access.attr;
}

int client_verb_access(struct test *t, const struct obj *o, uint32_t want)
{
	struct op *op = ops_new(t, OP_access, o);

	op->in.access.want = want;
	return finish(t, op, take_access, NULL);
}

static void take_statfs(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.statfs = op->out.statfs.statfs;
	t->ans.attr = op->out.statfs.attr;
}

int client_verb_statfs(struct test *t, const struct obj *o)
{
	return finish(t, ops_new(t, OP_statfs, o), take_statfs, NULL);
}

int client_verb_get_xattr(struct test *t, const struct obj *o, struct str name, void *value, uint32_t size)
{
	struct op *op = ops_new(t, OP_get_xattr, o);
	int err = set_name(t, op, &op->in.get_xattr.name, name);
	struct client_buf *buf;

	if (err)
		return err;
	buf = ops_payload(t, op, NULL, size);
	err = ops_run(t, op);
	t->ans.size = op->out.get_xattr.size;
	if (!err && size)
		memcpy(value, buf->data, MIN(size, op->out.get_xattr.size));
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void take_set_xattr(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.set_xattr.wcc;
}

int client_verb_set_xattr(struct test *t, const struct obj *o, struct str name, struct str value, uint32_t flags)
{
	struct op *op = ops_new(t, OP_set_xattr, o);
	int err = set_name(t, op, &op->in.set_xattr.name, name);
	struct client_buf *buf;

	if (err)
		return err;
	op->in.set_xattr.flags = flags;
	buf = ops_payload(t, op, value.bytes, (uint32_t)value.size);
	err = finish(t, op, take_set_xattr, NULL);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

int client_verb_list_xattr(struct test *t, const struct obj *o, char *names, uint32_t size)
{
	struct op *op = ops_new(t, OP_list_xattr, o);
	struct client_buf *buf = ops_payload(t, op, NULL, size);
	int err = ops_run(t, op);

	t->ans.size = op->out.list_xattr.size;
	if (!err && size)
		memcpy(names, buf->data, MIN(size, op->out.list_xattr.size));
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void take_remove_xattr(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.remove_xattr.wcc;
}

int client_verb_remove_xattr(struct test *t, const struct obj *o, struct str name)
{
	struct op *op = ops_new(t, OP_remove_xattr, o);
	int err = set_name(t, op, &op->in.remove_xattr.name, name);

	return err ? err : finish(t, op, take_remove_xattr, NULL);
}

int client_verb_get_acl(struct test *t, const struct obj *o, void *acl, uint32_t size)
{
	struct op *op = ops_new(t, OP_get_acl, o);
	struct client_buf *buf = ops_payload(t, op, NULL, size);
	int err = ops_run(t, op);

	t->ans.size = op->out.get_acl.size;
	t->ans.attr = op->out.get_acl.attr;
	t->ans.stored = op->out.get_acl.stored;
	if (!err && size)
		memcpy(acl, buf->data, MIN(size, op->out.get_acl.size));
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void take_set_acl(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.set_acl.wcc;
}

int client_verb_set_acl(struct test *t, const struct obj *o, struct str acl)
{
	struct op *op = ops_new(t, OP_set_acl, o);
	struct client_buf *buf = ops_payload(t, op, acl.bytes, (uint32_t)acl.size);
	int err = finish(t, op, take_set_acl, NULL);

	client_buf_put(t->drv->client(t), buf);
	return err;
}

int client_verb_get_quota(struct test *t, const struct obj *o, struct op_quota *q, uint32_t flags)
{
	struct op *op = ops_new(t, OP_get_quota, o);
	int err;

	op->in.get_quota.kind = q->kind;
	op->in.get_quota.id = q->id;
	op->in.get_quota.flags = flags;
	err = ops_run(t, op);
	if (!err)
		*q = op->out.get_quota.quota;
	ops_put(t, op);
	return err;
}

int client_verb_set_quota(struct test *t, const struct obj *o, const struct op_quota *q)
{
	struct op *op = ops_new(t, OP_set_quota, o);

	op->in.set_quota.quota = *q;
	return finish(t, op, NULL, NULL);
}

/* ---- data --------------------------------------------------------------------------------------- */

int client_verb_read(struct test *t, const struct obj *o, const struct io *io)
{
	struct op *op = ops_new(t, OP_read, o);
	int err;

	op->in.read = (struct op_read_in){.offset = io->offset, .size = io->size, .open_id = io->open_id};
	err = ops_run(t, op);
	t->ans.size = op->out.read.size;
	t->ans.eof = op->out.read.eof;
	t->ans.attr = op->out.read.attr;
	if (!err && ops_data(t, op, io->data, io->size) != op->out.read.size)
		err = ERR_SERVERFAULT;
	ops_put(t, op);
	return err;
}

static void take_write(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.size = op->out.write.size;
	t->ans.stability = op->out.write.stability;
	t->ans.verifier = op->out.write.verifier;
	t->ans.offset = op->out.write.offset;
	t->ans.wcc = op->out.write.wcc;
}

int client_verb_write(struct test *t, const struct obj *o, const struct io *io)
{
	struct op *op = ops_new(t, OP_write, o);
	struct client_buf *buf = ops_payload(t, op, io->data, io->size);
	int err;

	op->in.write = (struct op_write_in){.offset = io->offset, .size = io->size, .stability = io->stability,
	                                    .open_id = io->open_id, .flags = io->flags};
	err = finish(t, op, take_write, NULL);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

static void take_commit(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.verifier = op->out.commit.verifier;
	t->ans.wcc = op->out.commit.wcc;
}

int client_verb_commit(struct test *t, const struct obj *o, const struct range *r)
{
	struct op *op = ops_new(t, OP_commit, o);

	op->in.commit.offset = r->offset;
	op->in.commit.size = r->size;
	return finish(t, op, take_commit, NULL);
}

static void take_allocate(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.allocate.wcc;
}

int client_verb_allocate(struct test *t, const struct obj *o, const struct range *r)
{
	struct op *op = ops_new(t, OP_allocate, o);

	op->in.allocate = (struct op_allocate_in){.offset = r->offset, .size = r->size, .open_id = r->open_id, .flags = r->flags};
	return finish(t, op, take_allocate, NULL);
}

static void take_deallocate(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.deallocate.wcc;
}

int client_verb_deallocate(struct test *t, const struct obj *o, const struct range *r)
{
	struct op *op = ops_new(t, OP_deallocate, o);

	op->in.deallocate = (struct op_deallocate_in){.offset = r->offset, .size = r->size, .open_id = r->open_id};
	return finish(t, op, take_deallocate, NULL);
}

static void take_zero(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.zero.wcc;
}

int client_verb_zero(struct test *t, const struct obj *o, const struct range *r)
{
	struct op *op = ops_new(t, OP_zero, o);

	op->in.zero = (struct op_zero_in){.offset = r->offset, .size = r->size, .open_id = r->open_id, .flags = r->flags};
	return finish(t, op, take_zero, NULL);
}

static void take_seek(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.offset = op->out.seek.offset;
}

int client_verb_seek(struct test *t, const struct obj *o, uint64_t offset, uint32_t what)
{
	struct op *op = ops_new(t, OP_seek, o);

	op->in.seek.offset = offset;
	op->in.seek.what = what;
	return finish(t, op, take_seek, NULL);
}

static void take_copy(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.size = op->out.copy.size;
	t->ans.wcc = op->out.copy.wcc;
}

int client_verb_copy(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
                     uint64_t size)
{
	struct op *op = ops_new(t, OP_copy, from);

	op->obj2 = to->handle;
	op->in.copy = (struct op_copy_in){.offset = offset, .to_offset = to_offset, .size = size};
	return finish(t, op, take_copy, NULL);
}

static void take_clone(struct test *t, const struct op *op, struct obj *out)
{
	t->ans.wcc = op->out.clone.wcc;
}

int client_verb_clone(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
                      uint64_t size)
{
	struct op *op = ops_new(t, OP_clone, from);

	op->obj2 = to->handle;
	op->in.clone = (struct op_clone_in){.offset = offset, .to_offset = to_offset, .size = size};
	return finish(t, op, take_clone, NULL);
}

int client_verb_close(struct test *t, uint64_t open_id)
{
	struct op *op = ops_new(t, OP_close, NULL);

	op->in.close.open_id = open_id;
	return finish(t, op, NULL, NULL);
}

int client_verb_sync(struct test *t, const struct obj *o)
{
	return finish(t, ops_new(t, OP_sync, o), NULL, NULL);
}

/* ---- life --------------------------------------------------------------------------------------- */

struct fiber_worker {
	struct test test;
	worker_fn *fn;
	unsigned index;
	void *arg;
	struct fiber_join *join;
};

static void run_fiber_worker(void *arg)
{
	struct fiber_worker *w = arg;

	w->fn(&w->test, w->index, w->arg);
	fiber_join_done(w->join);
}

void client_together(struct test *t, unsigned n, worker_fn *fn, void *arg)
{
	struct fiber_worker *workers = memory(t, n * sizeof(*workers));
	struct fiber_join *join = memory(t, sizeof(*join));
	unsigned i;

	fiber_join_add(join, n);
	for (i = 0; i < n; i++) {
		conform_fork(t, i, &workers[i].test);
		workers[i].fn = fn;
		workers[i].index = i;
		workers[i].arg = arg;
		workers[i].join = join;
		if (fiber_start(client_loop(t->drv->client(t)), run_fiber_worker, &workers[i]))
			fiber_join_done(join);
	}
	fiber_join_wait(join);
}

/* Backends on the host stamp with the kernel's coarse clock, others with a finer one. */
void client_tick(struct test *t)
{
	struct timespec start, now;
	unsigned i;

	for (i = 0; i < 2; i++) {
		clock_gettime(CLOCK_REALTIME_COARSE, &start);
		do {
			fiber_yield();
			clock_gettime(CLOCK_REALTIME_COARSE, &now);
		} while (now.tv_nsec == start.tv_nsec && now.tv_sec == start.tv_sec);
	}
}

void client_release(struct test *t)
{
	as(t, &ROOT);
}
