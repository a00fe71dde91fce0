/*
 * Streams in the host's extended attributes, one each, hidden from clients: trusted.chimera.s.NAME where the server is privileged,
 * else user.chimera.s.NAME. They go where the host's file goes, and are as small as its attributes are. A name too long for that
 * is kept in the value, of an attribute ".h." and the name's hash.
 *
 * Value: u8 version (1), u64 number, and for long names u8 size and the name; then the data. The number, drawn at random, is
 * what handles and the node table know a stream by. It is the host's to change, so it is believed only together with the base.
 *
 * Every operation reads or replaces a value whole, under the base's lock. What was removed while somebody uses it goes on in memory.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backends/linux/linux.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/str.h"

#define VALUE_VERSION 1
#define VALUE_MAX 65536u          /* bytes of the host's attributes at most */
#define HEAD_SIZE 9u
#define LIST_MAX 65536u
#define NUMBER_BIT (1ULL << 63)   /* of numbers: apart from the host's inode numbers */
#define SPACE_UNIT 512u

struct stream {
	struct cached_node cached;
	struct linux_name name; /* guarded by the base's lock, as the rest */
	uint32_t name_size;
	bool removed;           /* data is all that there is */
	uint8_t *data;
	uint32_t size;
};

/* A value as it is stored. data points into bytes. */
struct value {
	uint8_t *bytes;
	uint32_t full;
	uint64_t number;
	uint8_t *data;
	uint32_t size;
	struct linux_name name; /* of a long one; empty otherwise */
};

static void value_fini(struct value *v)
{
	free(v->bytes);
}

static struct stream *stream_of(struct vfs_node *node)
{
	return container_of(node, struct stream, cached.node);
}

static struct linux_store *store_of(const struct vfs_node *node)
{
	return linux_store(node->mount);
}

/* ---- names and values */

struct attr_name {
	char text[XATTR_NAME_MAX + 1];
	bool is_long; /* the name is in the value */
};

static void attr_name(const struct linux_store *s, const struct vfs_name *name, struct attr_name *out)
{
	int n = snprintf(out->text, sizeof(out->text), "%s.s.", s->meta_name);
	out->is_long = (uint32_t)n + name->size > XATTR_NAME_MAX;
	if (out->is_long) {
		snprintf(out->text, sizeof(out->text), "%s.h.%016llx", s->meta_name,
		         (unsigned long long)hash_bytes(name->bytes, name->size));
	} else {
		memcpy(out->text + n, name->bytes, name->size);
		out->text[(uint32_t)n + name->size] = 0;
	}
}

static int parse(struct value *v)
{
	struct cursor c;
	cursor_init(&c, v->bytes, v->full);
	uint8_t version = cursor_u8(&c);
	v->number = cursor_le64(&c) | NUMBER_BIT;
	v->data = v->bytes + HEAD_SIZE;
	v->size = v->full - MIN(v->full, HEAD_SIZE);
	return cursor_failed(&c) || version != VALUE_VERSION ? ERR_IO : 0;
}

static int parse_long(struct value *v)
{
	uint32_t n = v->size ? v->data[0] : 0;
	if (n == 0 || v->size < 1 + n || memchr(v->data + 1, 0, n))
		return ERR_IO;
	memcpy(v->name.text, v->data + 1, n);
	v->name.text[n] = 0;
	v->data += 1 + n;
	v->size -= 1 + n;
	return 0;
}

/* ERR_NOENT: there is none. On success value_fini() is the caller's. */
static int load_attr(int fd, const char *attr, bool is_long, struct value *v)
{
	struct linux_path p;
	*v = (struct value){.bytes = malloc(VALUE_MAX)};
	if (!v->bytes)
		return ERR_NOMEM;
	ssize_t n = getxattr(linux_path(&p, fd), attr, v->bytes, VALUE_MAX);
	int err = n >= 0 ? 0 : errno == ENODATA ? ERR_NOENT : linux_error();
	if (!err) {
		v->full = (uint32_t)n;
		err = parse(v);
	}
	if (!err && is_long)
		err = parse_long(v);
	if (err)
		value_fini(v);
	return err;
}

static int load(const struct linux_store *s, int fd, const struct vfs_name *name, struct value *v)
{
	struct attr_name attr;
	attr_name(s, name, &attr);
	int err = load_attr(fd, attr.text, attr.is_long, v);
	if (err || !attr.is_long)
		return err;
	bool same = strlen(v->name.text) == name->size && memcmp(v->name.text, name->bytes, name->size) == 0;
	if (!same)
		value_fini(v);
	return same ? 0 : ERR_NOENT;
}

struct storing {
	const struct vfs_name *name;
	uint64_t number;
	const uint8_t *data;
	uint32_t size;
	int flags; /* of setxattr() */
};

static int store(const struct linux_store *s, int fd, const struct storing *w)
{
	CLEANUP_FREE uint8_t *bytes = malloc(VALUE_MAX);
	struct attr_name attr;
	struct linux_path p;
	struct cursor c;
	if (!bytes)
		return ERR_NOMEM;
	attr_name(s, w->name, &attr);
	cursor_init(&c, bytes, VALUE_MAX);
	cursor_put_u8(&c, VALUE_VERSION);
	cursor_put_le64(&c, w->number);
	if (attr.is_long) {
		cursor_put_u8(&c, (uint8_t)w->name->size);
		cursor_put_bytes(&c, w->name->bytes, w->name->size);
	}
	if (w->size)
		cursor_put_bytes(&c, w->data, w->size);
	if (cursor_failed(&c))
		return ERR_FBIG;
	return setxattr(linux_path(&p, fd), attr.text, bytes, cursor_used(&c), w->flags) ? linux_error() : 0;
}

static int drop(const struct linux_store *s, int fd, const struct vfs_name *name)
{
	struct attr_name attr;
	struct linux_path p;
	attr_name(s, name, &attr);
	return removexattr(linux_path(&p, fd), attr.text) ? linux_error() : 0;
}

static struct vfs_name name_of(const struct stream *st)
{
	return (struct vfs_name){st->name.text, st->name_size};
}

static void set_name(struct stream *st, const struct vfs_name *name)
{
	linux_name(&st->name, name);
	st->name_size = name->size;
}

/* ---- nodes */

void linux_stream_destroy(struct cached_node *node)
{
	struct stream *st = container_of(node, struct stream, cached);
	struct vfs_node *base = st->cached.node.base;
	free(st->data);
	free(st);
	vfs_node_put(base);
}

void linux_stream_release(struct vfs_node *node)
{
	node_cache_release(&store_of(node)->streams, &stream_of(node)->cached);
}

/* The node of that number. One that belongs to another base bears a number that somebody copied: the host's, by hand. */
static int adopt(struct vfs_node *base, const struct vfs_name *name, uint64_t number, struct vfs_node **stream)
{
	struct linux_store *s = store_of(base);
	struct stream *st = calloc(1, sizeof(*st));
	if (!st)
		return ERR_NOMEM;
	vfs_node_init(&st->cached.node, base->mount, OP_TYPE_FILE, number);
	st->cached.node.base = vfs_node_get(base);
	set_name(st, name);
	struct cached_node *cached = &st->cached;
	node_cache_insert(&s->streams, &cached);
	st = container_of(cached, struct stream, cached);
	if (cached->node.base == base && !st->removed && st->name_size == name->size && memcmp(st->name.text, name->bytes, name->size) == 0) {
		*stream = &cached->node;
		return 0;
	}
	vfs_node_put(&cached->node);
	return ERR_IO;
}

uint32_t linux_stream_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX])
{
	uint32_t size = linux_node_handle(node->base, bytes);
	struct cursor c;
	bytes[0] |= LINUX_IDENT_STREAM;
	cursor_init(&c, bytes + size, sizeof(node->fileid));
	cursor_put_le64(&c, node->fileid);
	return size + (uint32_t)sizeof(node->fileid);
}

struct stream_job {
	struct linux_store *store;
	struct linux_node *base;
	struct vfs_name name;
	uint64_t number;
	struct op_time now;
	struct value value;
};

static struct stream_job job_of(struct vfs_node *base, const struct vfs_name *name)
{
	return (struct stream_job){.store = store_of(base), .base = linux_node(base), .name = *name};
}

static int check_host(const struct vfs_node *base)
{
	const struct linux_node *n = linux_node((struct vfs_node *)base);
	bool room = n->ident.size + sizeof(uint64_t) <= OP_HANDLE_BACKEND_MAX;
	return store_of(base)->meta_name && room ? 0 : ERR_NOTSUPP;
}

static int find_job(void *arg)
{
	struct stream_job *job = arg;
	int err = load(job->store, job->base->fd, &job->name, &job->value);
	if (err)
		return err;
	job->number = job->value.number;
	value_fini(&job->value);
	return 0;
}

int linux_find_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream)
{
	struct stream_job job = job_of(base, name);
	int err = check_host(base);
	if (!err)
		err = linux_quick(job.store, find_job, &job);
	return err ? err : adopt(base, name, job.number, stream);
}

/* ---- listing */

struct listed {
	struct linux_name name;
	uint32_t name_size;
	uint64_t number;
	uint32_t size;
};

struct list_job {
	struct linux_store *store;
	struct linux_node *base;
	struct listed *list; /* freed by who asked */
	uint32_t n;
};

static int add_listed(struct list_job *job, const char *attr, const char *name)
{
	struct value v;
	int err = load_attr(job->base->fd, attr, !name, &v);
	if (err == ERR_NOENT || err == ERR_IO)
		return 0; /* not, or not any more, one of ours */
	if (err)
		return err;
	struct listed *list = reallocarray(job->list, job->n + 1, sizeof(*list));
	if (list) {
		struct listed *l = &list[job->n++];
		const char *text = name ? name : v.name.text;
		job->list = list;
		l->name_size = (uint32_t)strlen(text);
		memcpy(l->name.text, text, l->name_size + 1);
		l->number = v.number;
		l->size = v.size;
	}
	value_fini(&v);
	return list ? 0 : ERR_NOMEM;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct listed *)a)->name.text, ((const struct listed *)b)->name.text);
}

/* Names of attributes that can be listed fit LIST_MAX, so there are some hundred streams at most. */
static int list_job(void *arg)
{
	struct list_job *job = arg;
	CLEANUP_FREE char *all = malloc(LIST_MAX + 1);
	char plain[32], hashed[32];
	struct linux_path p;
	int err = 0;
	if (!all)
		return ERR_NOMEM;
	snprintf(plain, sizeof(plain), "%s.s.", job->store->meta_name);
	snprintf(hashed, sizeof(hashed), "%s.h.", job->store->meta_name);
	ssize_t size = listxattr(linux_path(&p, job->base->fd), all, LIST_MAX);
	if (size < 0)
		return errno == EOPNOTSUPP ? 0 : linux_error();
	for (char *at = all; !err && at < all + size; at += strlen(at) + 1) {
		if (str_starts(at, plain) && at[strlen(plain)])
			err = add_listed(job, at, at + strlen(plain));
		else if (str_starts(at, hashed))
			err = add_listed(job, at, NULL);
	}
	if (job->n)
		qsort(job->list, job->n, sizeof(*job->list), compare);
	return err;
}

int linux_list_streams(struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof)
{
	struct list_job job = {.store = store_of(base), .base = linux_node(base)};
	struct linux_name from;
	int err = check_host(base);
	linux_name(&from, after);
	*eof = true;
	if (!err)
		err = linux_quick(job.store, list_job, &job);
	for (uint32_t i = 0; !err && *eof && i < job.n; i++) {
		const struct listed *l = &job.list[i];
		struct vfs_stream s = {{l->name.text, l->name_size}, l->number, l->size, ALIGN_UP((uint64_t)l->size, (uint64_t)SPACE_UNIT)};
		if (strcmp(l->name.text, from.text) > 0)
			*eof = emit(arg, &s);
	}
	free(job.list);
	return err;
}

/* With base's lock. */
static int find_number(struct vfs_node *base, uint64_t number, struct vfs_node **stream)
{
	struct list_job job = {.store = store_of(base), .base = linux_node(base)};
	int err = check_host(base);
	if (!err)
		err = linux_quick(job.store, list_job, &job);
	uint32_t i = 0;
	while (!err && i < job.n && job.list[i].number != number)
		i++;
	if (!err && i == job.n)
		err = ERR_STALE;
	if (!err)
		err = adopt(base, &(struct vfs_name){job.list[i].name.text, job.list[i].name_size}, number, stream);
	free(job.list);
	return err;
}

int linux_stream_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node)
{
	uint8_t ident[OP_HANDLE_BACKEND_MAX];
	struct vfs_node *base;
	struct cursor c;
	uint32_t ident_size = size - (uint32_t)sizeof(uint64_t);
	if (size <= sizeof(uint64_t) || size > sizeof(ident))
		return ERR_BADHANDLE;
	memcpy(ident, bytes, ident_size);
	ident[0] &= (uint8_t)~LINUX_IDENT_STREAM;
	cursor_init(&c, (void *)(bytes + ident_size), sizeof(uint64_t));
	uint64_t number = cursor_le64(&c);
	int err = linux_node_get(m, ident, ident_size, &base);
	if (err)
		return err;
	struct cached_node *cached = node_cache_find(&linux_store(m)->streams, number);
	if (cached && cached->node.base == base) {
		*node = &cached->node;
	} else {
		if (cached)
			vfs_node_put(&cached->node);
		fiber_rwlock_rdlock(&base->lock);
		err = find_number(base, number, node);
		fiber_rwlock_rdunlock(&base->lock);
	}
	vfs_node_put(base);
	return err;
}

/* ---- making, removing, renaming */

static int create_job(void *arg)
{
	struct stream_job *job = arg;
	struct storing w = {.name = &job->name, .number = job->number, .flags = XATTR_CREATE};
	int err = load(job->store, job->base->fd, &job->name, &job->value);
	if (!err)
		value_fini(&job->value);
	if (err != ERR_NOENT)
		return err ? err : ERR_EXIST;
	return store(job->store, job->base->fd, &w);
}

int linux_create_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream)
{
	struct stream_job job = job_of(base, name);
	int err = check_host(base);
	loop_random(&job.number, sizeof(job.number));
	job.number |= NUMBER_BIT;
	if (!err)
		err = linux_quick(job.store, create_job, &job);
	if (err)
		return err;
	linux_changed(job.base);
	return adopt(base, name, job.number, stream);
}

/* From the value on, the stream's data is in memory, for who still uses it. */
static void keep_removed(struct stream *st, struct value *v)
{
	st->data = v->bytes;
	st->size = v->size;
	memmove(st->data, v->data, v->size);
	st->removed = true;
	node_cache_set_dead(&store_of(&st->cached.node)->streams, &st->cached, true);
}

static int remove_job(void *arg)
{
	struct stream_job *job = arg;
	int err = load(job->store, job->base->fd, &job->name, &job->value);
	if (err)
		return err;
	err = drop(job->store, job->base->fd, &job->name);
	if (err)
		value_fini(&job->value);
	return err;
}

int linux_remove_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream)
{
	struct stream_job job = job_of(base, name);
	int err = linux_quick(job.store, remove_job, &job);
	if (err)
		return err;
	keep_removed(stream_of(stream), &job.value);
	linux_changed(job.base);
	return 0;
}

struct rename_job {
	struct stream_job from;
	struct vfs_name to;
	struct value target; /* bytes NULL: none */
};

/* There is a moment, and after a crash then, in which the stream has both names. */
static int rename_job(void *arg)
{
	struct rename_job *job = arg;
	struct stream_job *from = &job->from;
	struct value *v = &from->value;
	int fd = from->base->fd;
	int err = load(from->store, fd, &job->to, &job->target);
	if (err == ERR_NOENT)
		job->target.bytes = NULL;
	else if (err)
		return err;
	err = load(from->store, fd, &from->name, v);
	if (!err) {
		err = store(from->store, fd, &(struct storing){&job->to, v->number, v->data, v->size, 0});
		value_fini(v);
	}
	if (!err)
		err = drop(from->store, fd, &from->name);
	if (err)
		value_fini(&job->target);
	return err;
}

int linux_rename_stream(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target)
{
	struct rename_job job = {.from = job_of(stream->base, from), .to = *to};
	int err = linux_quick(job.from.store, rename_job, &job);
	if (err)
		return err;
	if (target && job.target.bytes)
		keep_removed(stream_of(target), &job.target);
	else
		value_fini(&job.target);
	set_name(stream_of(stream), to);
	linux_changed(job.from.base);
	return 0;
}

/* ---- attributes and data */

static int load_job(void *arg)
{
	struct stream_job *job = arg;
	int err = load(job->store, job->base->fd, &job->name, &job->value);
	/* Taken away on the host. */
	return err == ERR_NOENT ? ERR_STALE : err;
}

/* The stream's value, which end_read() lets go. */
static int begin_read(struct vfs_node *node, struct value *v)
{
	struct stream *st = stream_of(node);
	struct vfs_name name = name_of(st);
	struct stream_job job = job_of(node->base, &name);
	if (st->removed) {
		*v = (struct value){.data = st->data, .size = st->size};
		return 0;
	}
	int err = linux_quick(job.store, load_job, &job);
	*v = job.value;
	return err;
}

static void end_read(struct value *v)
{
	value_fini(v);
}

int linux_stream_getattr(struct vfs_node *node, struct op_attr *attr)
{
	struct value v;
	int err = begin_read(node, &v);
	if (err)
		return err;
	*attr = (struct op_attr){
		.type = OP_TYPE_FILE,
		.fileid = node->fileid,
		.size = v.size,
		.space = ALIGN_UP((uint64_t)v.size, (uint64_t)SPACE_UNIT),
		.nlink = stream_of(node)->removed ? 0 : 1,
	};
	end_read(&v);
	return 0;
}

int linux_stream_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size)
{
	struct value v;
	int err = begin_read(node, &v);
	if (err)
		return err;
	/* It may have shrunk behind our back: what was promised is filled with zeros. */
	uint32_t there = offset < v.size ? (uint32_t)MIN((uint64_t)size, v.size - offset) : 0;
	if (there)
		err = vfs_call_bytes(call, v.data + offset, there);
	if (!err && there < size)
		err = vfs_call_bytes(call, NULL, size - there);
	end_read(&v);
	return err;
}

/* What becomes of the data: a range of it is written or zeroed; then it may get a size. */
struct change {
	const struct vfs_write *w; /* NULL: zeros */
	uint64_t offset;
	uint64_t size;
	uint64_t end;    /* it grows to that at least */
	bool cut;        /* it has exactly that size */
	bool stable;
};

static void copy_in(const struct vfs_write *w, uint8_t *to)
{
	uint64_t left = w->size;
	for (int i = 0; i < w->n_iov && left; i++) {
		size_t n = MIN((uint64_t)w->iov[i].iov_len, left);
		memcpy(to, w->iov[i].iov_base, n);
		to += n;
		left -= n;
	}
}

static int apply(const struct change *c, uint8_t *data, uint32_t room, uint32_t *size)
{
	uint64_t end = c->cut ? c->end : MAX(c->end, (uint64_t)*size);
	if (end > room)
		return ERR_FBIG;
	if (end > *size)
		memset(data + *size, 0, end - *size);
	*size = (uint32_t)end;
	if (c->w)
		copy_in(c->w, data + c->offset);
	else if (c->offset < end)
		memset(data + c->offset, 0, MIN(c->size, end - c->offset));
	return 0;
}

struct change_job {
	struct stream_job stream;
	const struct change *change;
};

static int sync_base(struct linux_node *base)
{
	int fd = linux_io_fd_here(base, false);
	return fd < 0 ? fd : fsync(fd) ? linux_error() : 0;
}

static int change_job(void *arg)
{
	struct change_job *job = arg;
	struct stream_job *st = &job->stream;
	struct value *v = &st->value;
	struct op_attr attr = {.mask = ATTR_MTIME, .mtime = st->now};
	int err = load_job(st);
	if (err)
		return err;
	err = apply(job->change, v->data, VALUE_MAX - (uint32_t)(v->data - v->bytes), &v->size);
	if (!err)
		err = store(st->store, st->base->fd, &(struct storing){&st->name, v->number, v->data, v->size, XATTR_REPLACE});
	value_fini(v);
	/* The host moves the time of change, but not that of data. One who may not set it has written all the same. */
	if (!err)
		linux_apply(st->store, st->base->fd, &attr, false);
	return !err && job->change->stable ? sync_base(st->base) : err;
}

static int change(struct vfs_node *node, const struct change *c)
{
	struct stream *st = stream_of(node);
	struct vfs_name name = name_of(st);
	struct change_job job = {.stream = job_of(node->base, &name), .change = c};
	if (st->removed)
		return apply(c, st->data, VALUE_MAX, &st->size);
	job.stream.now = vfs_now();
	int err = c->stable ? loop_block(change_job, &job) : linux_quick(job.stream.store, change_job, &job);
	linux_changed(job.stream.base);
	return err;
}

int linux_stream_setattr(struct vfs_node *node, const struct op_attr *attr)
{
	struct change c = {.offset = attr->size, .end = attr->size, .cut = true};
	return attr->mask & ATTR_SIZE ? change(node, &c) : 0;
}

int linux_stream_write(struct vfs_node *node, struct vfs_write *w)
{
	struct change c = {.w = w, .offset = w->offset, .size = w->size, .end = w->offset + w->size};
	c.stable = w->stability != WRITE_UNSTABLE;
	if (c.stable)
		w->stability = WRITE_FILE_SYNC;
	return change(node, &c);
}

int linux_stream_zero(struct vfs_node *node, uint64_t offset, uint64_t size, bool grows)
{
	struct change c = {.offset = offset, .size = size, .end = grows ? offset + size : 0};
	return change(node, &c);
}

int linux_stream_allocate(struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size)
{
	struct change c = {.offset = UINT64_MAX, .end = offset + size};
	return keep_size ? 0 : change(node, &c);
}

static int commit_job(void *arg)
{
	return sync_base(arg);
}

int linux_stream_commit(struct vfs_node *node)
{
	return stream_of(node)->removed ? 0 : loop_block(commit_job, linux_node(node->base));
}
