/* Size and data of streams: a value is read whole, changed in memory, and stored again. */
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backends/linux/linux-stream.h"

struct data_job {
	struct linux_store *store;
	struct linux_node *base;
	struct vfs_name name;
	struct op_time now;
	struct stream_value value;
};

static struct data_job job_of(struct vfs_node *base, const struct vfs_name *name)
{
	return (struct data_job){.store = linux_store(base->mount), .base = linux_node(base), .name = *name};
}

static struct vfs_name name_of(const struct linux_stream *st)
{
	return (struct vfs_name){st->name.text, st->name_size};
}

static int load_job(void *arg)
{
	struct data_job *job = arg;
	int err = stream_load(job->store, job->base->fd, &job->name, &job->value);
	/* Taken away on the host. */
	return err == ERR_NOENT ? ERR_STALE : err;
}

/* The stream's value, which end_read() lets go. */
static int begin_read(struct vfs_node *node, struct stream_value *v)
{
	struct linux_stream *st = linux_stream_of(node);
	struct vfs_name name = name_of(st);
	struct data_job job = job_of(node->base, &name);
	if (st->removed) {
		*v = (struct stream_value){.data = st->data, .size = st->size};
		return 0;
	}
	int err = linux_quick(job.store, load_job, &job);
	*v = job.value;
	return err;
}

static void end_read(struct stream_value *v)
{
	stream_value_fini(v);
}

int linux_stream_getattr(struct vfs_node *node, struct op_attr *attr)
{
	struct stream_value v;
	int err = begin_read(node, &v);
	if (err)
		return err;
	*attr = (struct op_attr){
		.type = OP_TYPE_FILE,
		.fileid = node->fileid,
		.size = v.size,
		.space = ALIGN_UP((uint64_t)v.size, (uint64_t)STREAM_SPACE_UNIT),
		.nlink = linux_stream_of(node)->removed ? 0 : 1,
	};
	end_read(&v);
	return 0;
}

int linux_stream_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size)
{
	struct stream_value v;
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
	struct data_job stream;
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
	struct data_job *st = &job->stream;
	struct stream_value *v = &st->value;
	struct op_attr attr = {.mask = ATTR_MTIME, .mtime = st->now};
	int err = load_job(st);
	if (err)
		return err;
	err = apply(job->change, v->data, STREAM_VALUE_MAX - (uint32_t)(v->data - v->bytes), &v->size);
	if (!err)
		err = stream_store(st->store, st->base->fd, &(struct stream_storing){&st->name, v->number, v->data, v->size, XATTR_REPLACE});
	stream_value_fini(v);
	/* The host moves the time of change, but not that of data. One who may not set it has written all the same. */
	if (!err)
		linux_apply(st->store, st->base->fd, &attr, false);
	return !err && job->change->stable ? sync_base(st->base) : err;
}

static int change(struct vfs_node *node, const struct change *c)
{
	struct linux_stream *st = linux_stream_of(node);
	struct vfs_name name = name_of(st);
	struct change_job job = {.stream = job_of(node->base, &name), .change = c};
	if (st->removed)
		return apply(c, st->data, STREAM_VALUE_MAX, &st->size);
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
	return linux_stream_of(node)->removed ? 0 : loop_block(commit_job, linux_node(node->base));
}
