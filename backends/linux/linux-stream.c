/* Streams as nodes: finding, listing, making, removing and renaming them. */
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "backends/linux/linux-stream.h"
#include "base/cursor.h"
#include "base/str.h"

#define LIST_MAX 65536u

static struct linux_store *store_of(const struct vfs_node *node)
{
	return linux_store(node->mount);
}

static void set_name(struct linux_stream *st, const struct vfs_name *name)
{
	linux_name(&st->name, name);
	st->name_size = name->size;
}

/* ---- nodes */

void linux_stream_destroy(struct cached_node *node)
{
	struct linux_stream *st = container_of(node, struct linux_stream, cached);
	struct vfs_node *base = st->cached.node.base;
	free(st->data);
	free(st);
	vfs_node_put(base);
}

void linux_stream_release(struct vfs_node *node)
{
	node_cache_release(&store_of(node)->streams, &linux_stream_of(node)->cached);
}

/* The node of that number. One that belongs to another base bears a number that somebody copied: the host's, by hand. */
static int adopt(struct vfs_node *base, const struct vfs_name *name, uint64_t number, struct vfs_node **stream)
{
	struct linux_store *s = store_of(base);
	struct linux_stream *st = calloc(1, sizeof(*st));
	if (!st)
		return ERR_NOMEM;
	vfs_node_init(&st->cached.node, base->mount, OP_TYPE_FILE, number);
	st->cached.node.base = vfs_node_get(base);
	set_name(st, name);
	struct cached_node *cached = &st->cached;
	node_cache_insert(&s->streams, &cached);
	st = container_of(cached, struct linux_stream, cached);
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
	struct stream_value value;
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
	int err = stream_load(job->store, job->base->fd, &job->name, &job->value);
	if (err)
		return err;
	job->number = job->value.number;
	stream_value_fini(&job->value);
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
	struct stream_value v;
	int err = stream_load_attr(job->base->fd, attr, !name, &v);
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
	stream_value_fini(&v);
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
		struct vfs_stream s = {{l->name.text, l->name_size}, l->number, l->size, ALIGN_UP((uint64_t)l->size, (uint64_t)STREAM_SPACE_UNIT)};
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
	struct stream_storing w = {.name = &job->name, .number = job->number, .flags = XATTR_CREATE};
	int err = stream_load(job->store, job->base->fd, &job->name, &job->value);
	if (!err)
		stream_value_fini(&job->value);
	if (err != ERR_NOENT)
		return err ? err : ERR_EXIST;
	return stream_store(job->store, job->base->fd, &w);
}

int linux_create_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream)
{
	struct stream_job job = job_of(base, name);
	int err = check_host(base);
	loop_random(&job.number, sizeof(job.number));
	job.number |= STREAM_NUMBER_BIT;
	if (!err)
		err = linux_alter(job.store, create_job, &job);
	if (err)
		return err;
	linux_changed(job.base);
	return adopt(base, name, job.number, stream);
}

/* From the value on, the stream's data is in memory, for who still uses it. */
static void keep_removed(struct linux_stream *st, struct stream_value *v)
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
	int err = stream_load(job->store, job->base->fd, &job->name, &job->value);
	if (err)
		return err;
	err = stream_drop(job->store, job->base->fd, &job->name);
	if (err)
		stream_value_fini(&job->value);
	return err;
}

int linux_remove_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream)
{
	struct stream_job job = job_of(base, name);
	int err = linux_alter(job.store, remove_job, &job);
	if (err)
		return err;
	keep_removed(linux_stream_of(stream), &job.value);
	linux_changed(job.base);
	return 0;
}

struct rename_job {
	struct stream_job from;
	struct vfs_name to;
	struct stream_value target; /* bytes NULL: none */
};

/* There is a moment, and after a crash then, in which the stream has both names. */
static int rename_job(void *arg)
{
	struct rename_job *job = arg;
	struct stream_job *from = &job->from;
	struct stream_value *v = &from->value;
	int fd = from->base->fd;
	int err = stream_load(from->store, fd, &job->to, &job->target);
	if (err == ERR_NOENT)
		job->target.bytes = NULL;
	else if (err)
		return err;
	err = stream_load(from->store, fd, &from->name, v);
	if (!err) {
		err = stream_store(from->store, fd, &(struct stream_storing){&job->to, v->number, v->data, v->size, 0});
		stream_value_fini(v);
	}
	if (!err)
		err = stream_drop(from->store, fd, &from->name);
	if (err)
		stream_value_fini(&job->target);
	return err;
}

int linux_rename_stream(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target)
{
	struct rename_job job = {.from = job_of(stream->base, from), .to = *to};
	int err = linux_alter(job.from.store, rename_job, &job);
	if (err)
		return err;
	if (target && job.target.bytes)
		keep_removed(linux_stream_of(target), &job.target);
	else
		stream_value_fini(&job.target);
	set_name(linux_stream_of(stream), to);
	linux_changed(job.from.base);
	return 0;
}
