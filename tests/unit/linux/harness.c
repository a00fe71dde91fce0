/* See harness.h. */
#include "harness.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "backends/linux/backend.h"

void vfs_node_init(struct vfs_node *node, struct vfs_mount *mount, uint32_t type, uint64_t fileid)
{
	memset(node, 0, sizeof(*node));
	node->mount = mount;
	node->type = type;
	node->fileid = fileid;
	node->n_refs = 1;
}

struct vfs_node *vfs_node_get(struct vfs_node *node)
{
	atomic_fetch_add(&node->n_refs, 1);
	return node;
}

void vfs_node_put(struct vfs_node *node)
{
	if (atomic_fetch_sub(&node->n_refs, 1) == 1)
		linux_backend.node_release(node);
}

struct op_time vfs_now(void)
{
	uint64_t ns = loop_wall_ns(loop_current());
	return (struct op_time){(int64_t)(ns / NS_PER_SEC), (uint32_t)(ns % NS_PER_SEC), 0};
}

int vfs_call_bytes(struct vfs_call *call, const void *data, uint32_t size)
{
	if (data)
		memcpy(call->bytes + call->size, data, size);
	else
		memset(call->bytes + call->size, 0, size);
	call->size += size;
	return 0;
}

int vfs_call_chunk(struct vfs_call *call, uint32_t chunk, uint32_t offset, uint32_t size)
{
	vfs_call_bytes(call, pages_base(call->pages) + pages_offset(chunk) + offset, size);
	pages_put(call->pages, chunk);
	return 0;
}

int bench_mount(struct bench *b, const char *sync, char **why)
{
	struct vfs_option options[] = {{"path", b->dir}, {"sync", sync}, {NULL, NULL}};
	b->m = calloc(1, sizeof(*b->m));
	b->m->ops = &linux_backend;
	b->m->pages = b->call.pages;
	int err = linux_backend.mount(b->m, options, why);
	if (err)
		free(TAKE(b->m));
	return err;
}

void bench_unmount(struct bench *b)
{
	vfs_node_put(b->m->root);
	linux_backend.unmount(b->m);
	free(TAKE(b->m));
}

void bench_remount(struct bench *b)
{
	char *why = NULL;
	bench_unmount(b);
	cr_assert_eq(bench_mount(b, "no", &why), 0, "%s", why);
}

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

struct run {
	struct loop *loop;
	void (*body)(struct bench *b);
};

static void run(void *arg)
{
	struct run *r = arg;
	struct bench *b = calloc(1, sizeof(*b));
	char *why = NULL;
	const char *tmp = getenv("TMPDIR");
	snprintf(b->dir, sizeof(b->dir), "%s/linux-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(b->dir));
	cr_assert_eq(pages_create(&b->call.pages, 64u << 20, 0), 0);
	cr_assert_eq(bench_mount(b, "yes", &why), 0, "%s", why);
	r->body(b);
	bench_unmount(b);
	cr_assert_eq(pages_used(b->call.pages), 0, "a read kept chunks");
	pages_destroy(b->call.pages);
	nftw(b->dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
	free(b);
	loop_stop(r->loop);
}

void bench_run(void (*body)(struct bench *b))
{
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct run r = {.body = body};
	cr_assert_eq(loop_create(&r.loop, &cfg), 0);
	cr_assert_eq(fiber_start(r.loop, run, &r), 0);
	loop_run(r.loop);
	loop_destroy(r.loop);
}

struct vfs_name bench_name(const char *text)
{
	return (struct vfs_name){text, (uint32_t)strlen(text)};
}

struct vfs_node *bench_make(struct bench *b, struct vfs_node *dir, const char *name, uint32_t type, uint32_t mode)
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = mode, .uid = geteuid(), .gid = getegid()};
	struct vfs_create what = {.type = type, .attr = &attr, .target = "a target", .target_size = 8};
	struct vfs_name n = bench_name(name);
	struct vfs_node *node;
	int err = linux_backend.create(&b->call, dir, &n, &what, &node);
	cr_assert_eq(err, 0, "%s: %s", name, err_text(err));
	return node;
}

struct vfs_node *bench_lookup(struct vfs_node *dir, const char *name)
{
	struct vfs_name n = bench_name(name);
	struct vfs_node *node;
	int err = linux_backend.lookup(dir, &n, &node);
	cr_assert_eq(err, 0, "%s: %s", name, err_text(err));
	return node;
}

struct op_attr bench_attr(struct vfs_node *node)
{
	struct op_attr attr;
	cr_assert_eq(linux_backend.getattr(node, &attr), 0);
	return attr;
}

void bench_write(struct bench *b, struct vfs_node *node, uint64_t offset, const void *data, uint32_t size)
{
	struct iovec iov = {(void *)data, size};
	struct vfs_write w = {.offset = offset, .size = size, .iov = &iov, .n_iov = 1};
	cr_assert_eq(linux_backend.write(&b->call, node, &w), 0);
}
