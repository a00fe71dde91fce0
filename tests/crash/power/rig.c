/* See rig.h. Every call is one op that is filled, run, and its answer copied into the rig. */
#include "tests/crash/power/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "ring/ring-abi.h"
#include "vfs/vfs.h"

#define MOUNT "store"
#define ARENA (1ULL << 30)
#define OPTIONS_MAX 16
#define LIST_ROOM 32768u

/* ---- life */

struct body {
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
};

static void run_body(void *arg)
{
	struct body *b = arg;
	b->fn(b->arg);
	loop_stop(b->loop);
}

bool rig_has_uring(void)
{
	struct loop_config cfg = {.engine = LOOP_IO_URING};
	struct loop *loop;
	if (loop_create(&loop, &cfg))
		return false;
	loop_destroy(loop);
	return true;
}

void rig_in_loop(const struct rig_engine *engine, void (*fn)(void *arg), void *arg)
{
	struct loop_config cfg = {.engine = engine->uring ? LOOP_IO_URING : LOOP_EPOLL, .n_workers = engine->n_workers};
	struct body b = {.fn = fn, .arg = arg};
	if (loop_create(&b.loop, &cfg) || fiber_start(b.loop, run_body, &b))
		abort();
	loop_run(b.loop);
	loop_destroy(b.loop);
}

static int mount_store(struct rig *r, const char *dir, const char *const *text, char **why)
{
	struct vfs_option options[OPTIONS_MAX + 2] = {{"path", dir}};
	struct vfs_mount_spec spec = {.id = 1, .name = MOUNT, .backend = "cairn", .options = options};
	char *copies[OPTIONS_MAX] = {0};
	int n = 0;
	for (; text && text[n] && n < OPTIONS_MAX; n++) {
		copies[n] = strdup(text[n]);
		char *equals = strchr(copies[n], '=');
		*equals = '\0';
		options[n + 1] = (struct vfs_option){copies[n], equals + 1};
	}
	int err = vfs_mount(r->vfs, &spec, why);
	while (n-- > 0)
		free(copies[n]);
	return err;
}

static int run(struct rig *r, struct op *op)
{
	op->cred = (struct op_cred){.uid = 0};
	op->flags = r->flags;
	return client_call(r->client, op);
}

static struct op *op_on(struct rig *r, enum op_code code, const struct op_handle *obj)
{
	struct op *op = client_op(r->client, code);
	op->obj = *obj;
	return op;
}

static int done(struct rig *r, struct op *op, int err)
{
	client_op_put(r->client, op);
	return err;
}

static struct client_buf *payload(struct rig *r, struct op *op, const void *data, uint32_t size)
{
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(r->client, size ? size : 1, 0)))
		client_buf_wait(r->client);
	if (data && size)
		memcpy(buf->data, data, size);
	if (size)
		client_op_seg(op, buf, 0, size);
	return buf;
}

static int find_root(struct rig *r)
{
	struct op *op = client_op(r->client, OP_lookup_path);
	struct client_buf *buf = payload(r, op, MOUNT, sizeof(MOUNT) - 1);
	int err = run(r, op);
	r->root = op->out.lookup_path.obj;
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

int rig_open(struct rig *r, const char *dir, const char *const *options, bool quiet)
{
	struct client_config cfg = {.name = "crash", .role = RING_ROLE_TOOL, .n_slots = 32, .arena_size = 8u << 20};
	struct vfs_config vfs_cfg = {.arena_size = ARENA};
	static bool registered;
	char *why = NULL;
	if (!registered)
		backends_register();
	registered = true;
	*r = (struct rig){.flags = 0};
	int err = vfs_create(&r->vfs, &vfs_cfg, &why);
	if (!err)
		err = mount_store(r, dir, options, &why);
	if (!err)
		err = client_local(&r->client, r->vfs, &cfg);
	if (!err)
		err = find_root(r);
	if (err && !quiet)
		fprintf(stderr, "mount: %s\n", why ? why : err_text(err));
	free(why);
	return err;
}

void rig_close(struct rig *r)
{
	if (r->client)
		client_detach(TAKE(r->client));
	if (r->vfs)
		vfs_destroy(TAKE(r->vfs));
}

/* ---- names */

static void name_into(struct op *op, struct op_str *field, const char *name)
{
	if (op_set_str(op, field, name, strlen(name)))
		abort();
}

int rig_lookup(struct rig *r, const struct op_handle *dir, const char *name)
{
	struct op *op = op_on(r, OP_lookup, dir);
	name_into(op, &op->in.lookup.name, name);
	int err = run(r, op);
	r->made = op->out.lookup.obj;
	r->attr = op->out.lookup.attr;
	return done(r, op, err);
}

int rig_create(struct rig *r, const struct op_handle *dir, const char *name, uint32_t mode)
{
	struct op *op = op_on(r, OP_open, dir);
	op->in.open.disposition = OPEN_GUARDED;
	op->in.open.flags = OPEN_NO_STATE;
	op->in.open.attr = (struct op_attr){.mask = ATTR_MODE, .mode = mode};
	name_into(op, &op->in.open.name, name);
	int err = run(r, op);
	r->made = op->out.open.obj;
	r->attr = op->out.open.attr;
	return done(r, op, err);
}

int rig_mkdir(struct rig *r, const struct op_handle *dir, const char *name, uint32_t mode)
{
	struct op *op = op_on(r, OP_mkdir, dir);
	op->in.mkdir.attr = (struct op_attr){.mask = ATTR_MODE, .mode = mode};
	name_into(op, &op->in.mkdir.name, name);
	int err = run(r, op);
	r->made = op->out.mkdir.obj;
	r->attr = op->out.mkdir.attr;
	return done(r, op, err);
}

int rig_symlink(struct rig *r, const struct op_handle *dir, const char *name, const char *target)
{
	struct op *op = op_on(r, OP_symlink, dir);
	struct client_buf *buf = payload(r, op, target, (uint32_t)strlen(target));
	name_into(op, &op->in.symlink.name, name);
	int err = run(r, op);
	r->made = op->out.symlink.obj;
	r->attr = op->out.symlink.attr;
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

int rig_link(struct rig *r, const struct op_handle *obj, const struct op_handle *dir, const char *name)
{
	struct op *op = op_on(r, OP_link, obj);
	op->obj2 = *dir;
	name_into(op, &op->in.link.name, name);
	int err = run(r, op);
	r->attr = op->out.link.attr;
	return done(r, op, err);
}

int rig_rename(struct rig *r, const struct op_handle *from, const char *name, const struct op_handle *to, const char *to_name,
               uint32_t flags)
{
	struct op *op = op_on(r, OP_rename, from);
	op->obj2 = *to;
	op->in.rename.flags = flags;
	name_into(op, &op->in.rename.name, name);
	name_into(op, &op->in.rename.to_name, to_name);
	return done(r, op, run(r, op));
}

int rig_remove(struct rig *r, const struct op_handle *dir, const char *name)
{
	struct op *op = op_on(r, OP_remove, dir);
	op->in.remove.flags = REMOVE_FILE | REMOVE_DIR;
	name_into(op, &op->in.remove.name, name);
	return done(r, op, run(r, op));
}

/* ---- objects */

int rig_getattr(struct rig *r, const struct op_handle *obj)
{
	struct op *op = op_on(r, OP_getattr, obj);
	op->in.getattr.want = ATTR_ALL;
	int err = run(r, op);
	r->attr = op->out.getattr.attr;
	return done(r, op, err);
}

int rig_setattr(struct rig *r, const struct op_handle *obj, const struct op_attr *set)
{
	struct op *op = op_on(r, OP_setattr, obj);
	op->in.setattr.attr = *set;
	int err = run(r, op);
	r->attr = op->out.setattr.wcc.post;
	return done(r, op, err);
}

int rig_write(struct rig *r, const struct op_handle *obj, uint64_t offset, const void *data, uint32_t size, uint32_t *stability)
{
	struct op *op = op_on(r, OP_write, obj);
	struct client_buf *buf = payload(r, op, data, size);
	op->in.write.offset = offset;
	op->in.write.size = size;
	op->in.write.stability = *stability;
	int err = run(r, op);
	r->attr = op->out.write.wcc.post;
	*stability = op->out.write.stability;
	r->verifier = op->out.write.verifier;
	if (!err && op->out.write.size != size)
		err = ERR_NOSPC;
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

int rig_read(struct rig *r, const struct op_handle *obj, uint64_t offset, void *data, uint32_t size, uint32_t *got)
{
	struct op *op = op_on(r, OP_read, obj);
	struct iovec iov[OP_SEGS_MAX];
	op->in.read.offset = offset;
	op->in.read.size = size;
	int err = run(r, op);
	*got = 0;
	for (int i = 0, n = err ? 0 : client_op_iov(r->client, op, iov); i < n; i++) {
		memcpy((uint8_t *)data + *got, iov[i].iov_base, MIN(iov[i].iov_len, (size_t)(size - *got)));
		*got += (uint32_t)MIN(iov[i].iov_len, (size_t)(size - *got));
	}
	return done(r, op, err);
}

int rig_commit(struct rig *r, const struct op_handle *obj)
{
	struct op *op = op_on(r, OP_commit, obj);
	int err = run(r, op);
	r->attr = op->out.commit.wcc.post;
	r->verifier = op->out.commit.verifier;
	return done(r, op, err);
}

int rig_sync(struct rig *r)
{
	struct op *op = op_on(r, OP_sync, &r->root);
	return done(r, op, run(r, op));
}

int rig_range(struct rig *r, enum op_code code, const struct op_handle *obj, uint64_t offset, uint64_t size, uint32_t flags)
{
	struct op *op = op_on(r, code, obj);
	/* The three have these members in common, in these places. */
	op->in.allocate.offset = offset;
	op->in.allocate.size = size;
	if (code != OP_deallocate)
		op->in.allocate.flags = flags;
	int err = run(r, op);
	r->attr = op->out.allocate.wcc.post;
	return done(r, op, err);
}

int rig_copy(struct rig *r, const struct op_handle *from, uint64_t offset, const struct op_handle *to, uint64_t to_offset,
             uint64_t *size)
{
	struct op *op = op_on(r, OP_copy, from);
	op->obj2 = *to;
	op->in.copy.offset = offset;
	op->in.copy.to_offset = to_offset;
	op->in.copy.size = *size;
	int err = run(r, op);
	r->attr = op->out.copy.wcc.post;
	*size = op->out.copy.size;
	return done(r, op, err);
}

int rig_clone(struct rig *r, const struct op_handle *from, uint64_t offset, const struct op_handle *to, uint64_t to_offset,
              uint64_t size)
{
	struct op *op = op_on(r, OP_clone, from);
	op->obj2 = *to;
	op->in.clone = (struct op_clone_in){.offset = offset, .to_offset = to_offset, .size = size};
	int err = run(r, op);
	r->attr = op->out.clone.wcc.post;
	return done(r, op, err);
}

int rig_set_xattr(struct rig *r, const struct op_handle *obj, const char *name, const void *data, uint32_t size)
{
	struct op *op = op_on(r, data ? OP_set_xattr : OP_remove_xattr, obj);
	struct client_buf *buf = payload(r, op, data, size);
	name_into(op, data ? &op->in.set_xattr.name : &op->in.remove_xattr.name, name);
	int err = run(r, op);
	r->attr = data ? op->out.set_xattr.wcc.post : op->out.remove_xattr.wcc.post;
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

int rig_get_xattr(struct rig *r, const struct op_handle *obj, const char *name, void *data, uint32_t *size)
{
	struct op *op = op_on(r, OP_get_xattr, obj);
	struct client_buf *buf = payload(r, op, NULL, *size);
	name_into(op, &op->in.get_xattr.name, name);
	int err = run(r, op);
	uint32_t room = *size;
	*size = op->out.get_xattr.size;
	if (!err)
		memcpy(data, buf->data, MIN(room, *size));
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

int rig_readlink(struct rig *r, const struct op_handle *obj, char *target, uint32_t room)
{
	struct op *op = op_on(r, OP_readlink, obj);
	struct client_buf *buf = payload(r, op, NULL, room - 1);
	int err = run(r, op);
	uint32_t size = err ? 0 : MIN(op->out.readlink.size, room - 1);
	memcpy(target, buf->data, size);
	target[size] = '\0';
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

/* ---- ACLs, limits, opens */

int rig_set_acl(struct rig *r, const struct op_handle *obj, const struct acl *acl)
{
	struct op *op = op_on(r, OP_set_acl, obj);
	struct client_buf *buf = payload(r, op, acl ? acl->bytes : NULL, acl ? acl->size : 0);
	int err = run(r, op);
	r->attr = op->out.set_acl.wcc.post;
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

int rig_get_acl(struct rig *r, const struct op_handle *obj, struct acl **acl)
{
	struct op *op = op_on(r, OP_get_acl, obj);
	struct client_buf *buf = payload(r, op, NULL, OP_ACL_MAX);
	int err = run(r, op);
	*acl = NULL;
	if (!err && op->out.get_acl.stored)
		err = acl_parse(buf->data, MIN(op->out.get_acl.size, OP_ACL_MAX), acl);
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

int rig_set_quota(struct rig *r, const struct op_quota *q)
{
	struct op *op = op_on(r, OP_set_quota, &r->root);
	op->in.set_quota.quota = *q;
	return done(r, op, run(r, op));
}

int rig_get_quota(struct rig *r, struct op_quota *q)
{
	struct op *op = op_on(r, OP_get_quota, &r->root);
	op->in.get_quota.kind = q->kind;
	op->in.get_quota.id = q->id;
	int err = run(r, op);
	*q = op->out.get_quota.quota;
	return done(r, op, err);
}

int rig_open_file(struct rig *r, const struct op_handle *obj, uint64_t *open_id)
{
	struct op *op = op_on(r, OP_open, obj);
	op->in.open.disposition = OPEN_EXISTING;
	op->in.open.access = OPEN_READ | OPEN_WRITE;
	int err = run(r, op);
	*open_id = op->out.open.open_id;
	return done(r, op, err);
}

int rig_create_unlinked(struct rig *r, const struct op_handle *dir, uint32_t mode, uint64_t *open_id)
{
	struct op *op = op_on(r, OP_create_unlinked, dir);
	op->in.create_unlinked.access = OPEN_READ | OPEN_WRITE;
	op->in.create_unlinked.attr = (struct op_attr){.mask = ATTR_MODE, .mode = mode};
	int err = run(r, op);
	r->made = op->out.create_unlinked.obj;
	r->attr = op->out.create_unlinked.attr;
	*open_id = op->out.create_unlinked.open_id;
	return done(r, op, err);
}

int rig_close_file(struct rig *r, uint64_t open_id)
{
	struct op *op = client_op(r->client, OP_close);
	op->in.close.open_id = open_id;
	return done(r, op, run(r, op));
}

/* ---- care of the store */

int rig_capacity(struct rig *r, uint64_t *bytes)
{
	struct op *op = op_on(r, OP_statfs, &r->root);
	int err = run(r, op);
	*bytes = op->out.statfs.statfs.total_bytes;
	return done(r, op, err);
}

static bool take_mount(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	(void)st;
	*(struct vfs_mount **)arg = m;
	return false;
}

/* The only one, which stays. */
static struct vfs_mount *mount_of(struct rig *r)
{
	struct vfs_mount *m = NULL;
	vfs_each_mount(r->vfs, take_mount, &m);
	if (!m)
		abort();
	return m;
}

int rig_grow(struct rig *r, uint64_t bytes)
{
	struct vfs_mount *m = mount_of(r);
	return m->ops->grow(m, bytes);
}

int rig_scrub(struct rig *r)
{
	struct vfs_mount *m = mount_of(r);
	int err = m->ops->scrub(m, SCRUB_START, 0);
	return err == ERR_BUSY ? 0 : err;
}

void rig_scrub_state(struct rig *r, struct scrub_state *state)
{
	struct vfs_mount *m = mount_of(r);
	m->ops->scrub_state(m, state);
}

/* ---- directories */

static uint64_t each_entry(const uint8_t *data, uint32_t size, rig_entry_fn *fn, void *arg)
{
	char name[OP_NAME_MAX + 1];
	struct op_dirent d = {.cookie = 0};
	for (uint32_t at = 0; at + sizeof(d) <= size; at += d.record_size) {
		memcpy(&d, data + at, sizeof(d));
		if (d.record_size < sizeof(d) || d.name_size > OP_NAME_MAX)
			abort();
		memcpy(name, data + at + sizeof(d), d.name_size);
		name[d.name_size] = '\0';
		fn(arg, &d, name);
	}
	return d.cookie;
}

int rig_list(struct rig *r, const struct op_handle *dir, rig_entry_fn *fn, void *arg)
{
	uint64_t cookie = 0, verifier = 0;
	bool eof = false;
	int err = 0;
	while (!err && !eof) {
		struct op *op = op_on(r, OP_readdir, dir);
		struct client_buf *buf = payload(r, op, NULL, LIST_ROOM);
		op->in.readdir = (struct op_readdir_in){.cookie = cookie, .verifier = verifier, .want = ATTR_ALL, .max_entries = 1000};
		err = run(r, op);
		verifier = op->out.readdir.verifier;
		eof = op->out.readdir.eof;
		if (!err && op->out.readdir.size)
			cookie = each_entry(buf->data, MIN(op->out.readdir.size, LIST_ROOM), fn, arg);
		client_buf_put(r->client, buf);
		done(r, op, 0);
	}
	return err;
}

/* ---- streams */

static int open_stream(struct rig *r, const struct op_handle *obj, const char *name, uint32_t disposition)
{
	struct op *op = op_on(r, OP_open_stream, obj);
	op->in.open_stream.disposition = disposition;
	op->in.open_stream.flags = OPEN_NO_STATE;
	name_into(op, &op->in.open_stream.name, name);
	int err = run(r, op);
	r->made = op->out.open_stream.obj;
	r->attr = op->out.open_stream.attr;
	return done(r, op, err);
}

int rig_make_stream(struct rig *r, const struct op_handle *obj, const char *name)
{
	return open_stream(r, obj, name, OPEN_GUARDED);
}

int rig_find_stream(struct rig *r, const struct op_handle *obj, const char *name)
{
	return open_stream(r, obj, name, OPEN_EXISTING);
}

int rig_remove_stream(struct rig *r, const struct op_handle *obj, const char *name)
{
	struct op *op = op_on(r, OP_remove_stream, obj);
	name_into(op, &op->in.remove_stream.name, name);
	return done(r, op, run(r, op));
}

int rig_rename_stream(struct rig *r, const struct op_handle *obj, const char *name, const char *to_name)
{
	struct op *op = op_on(r, OP_rename_stream, obj);
	name_into(op, &op->in.rename_stream.name, name);
	name_into(op, &op->in.rename_stream.to_name, to_name);
	return done(r, op, run(r, op));
}

int rig_list_streams(struct rig *r, const struct op_handle *obj, rig_entry_fn *fn, void *arg)
{
	struct op *op = op_on(r, OP_list_streams, obj);
	struct client_buf *buf = payload(r, op, NULL, LIST_ROOM);
	op->in.list_streams.want = ATTR_ALL;
	op->in.list_streams.max_entries = 1000;
	int err = run(r, op);
	if (!err)
		each_entry(buf->data, MIN(op->out.list_streams.size, LIST_ROOM), fn, arg);
	client_buf_put(r->client, buf);
	return done(r, op, err);
}

/* ---- snapshots */

int rig_snapshot(struct rig *r, enum op_code code, const char *name)
{
	struct op *op = op_on(r, code, &r->root);
	/* The three have the name alone. */
	name_into(op, &op->in.snapshot_create.name, name);
	return done(r, op, run(r, op));
}

static void each_snapshot(const uint8_t *data, uint32_t size, rig_snapshot_fn *fn, void *arg)
{
	char name[OP_NAME_MAX + 1];
	struct op_snapshot s = {.record_size = 0};
	for (uint32_t at = 0; at + sizeof(s) <= size; at += s.record_size) {
		memcpy(&s, data + at, sizeof(s));
		if (s.record_size < sizeof(s) || s.name_size > OP_NAME_MAX)
			abort();
		memcpy(name, data + at + sizeof(s), s.name_size);
		name[s.name_size] = '\0';
		fn(arg, name, s.state == SNAPSHOT_READY);
	}
}

int rig_list_snapshots(struct rig *r, rig_snapshot_fn *fn, void *arg)
{
	struct op *op = op_on(r, OP_snapshot_list, &r->root);
	struct client_buf *buf = payload(r, op, NULL, LIST_ROOM);
	int err = run(r, op);
	if (!err)
		each_snapshot(buf->data, MIN(op->out.snapshot_list.size, LIST_ROOM), fn, arg);
	client_buf_put(r->client, buf);
	return done(r, op, err);
}
