/* See harness.h. */
#include "harness.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/backend.h"

#define OPTIONS_MAX 8

struct op_time vfs_now(void)
{
	uint64_t ns = loop_wall_ns(loop_current());
	return (struct op_time){(int64_t)(ns / NS_PER_SEC), (uint32_t)(ns % NS_PER_SEC), 0};
}

void vfs_node_init(struct vfs_node *node, struct vfs_mount *mount, uint32_t type, uint64_t fileid)
{
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
		cairn_backend.node_release(node);
}

int vfs_call_chunk(struct vfs_call *call, uint32_t chunk, uint32_t offset, uint32_t size)
{
	memcpy(call->bytes + call->size, pages_base(call->pages) + pages_offset(chunk) + offset, size);
	call->size += size;
	pages_put(call->pages, chunk);
	return 0;
}

/* ---- the store */

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

void bench_in_loop(void (*fn)(void *arg), void *arg)
{
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct body b = {.fn = fn, .arg = arg};
	if (loop_create(&b.loop, &cfg) || fiber_start(b.loop, run_body, &b))
		abort();
	loop_run(b.loop);
	loop_destroy(b.loop);
}

int bench_mount(struct bench *b, const char *const *text, char **why)
{
	struct vfs_option options[OPTIONS_MAX + 2] = {{"path", b->dir}};
	char *copies[OPTIONS_MAX] = {0};
	int n = 0;
	*why = NULL;
	for (; text && text[n] && n < OPTIONS_MAX; n++) {
		copies[n] = strdup(text[n]);
		options[n + 1].value = strchr(copies[n], '=') + 1;
		*strchr(copies[n], '=') = '\0';
		options[n + 1].key = copies[n];
	}
	if (!b->pages && (pages_create(&b->pages, 64u << 20, 0) || block_cache_create(&b->cache, b->pages, 16u << 20)))
		abort();
	b->m = calloc(1, sizeof(*b->m));
	b->m->ops = &cairn_backend;
	b->m->pages = b->pages;
	b->m->cache = b->cache;
	b->m->read_only = b->read_only;
	int err = cairn_backend.mount(b->m, options, why);
	if (err)
		free(TAKE(b->m));
	while (n-- > 0)
		free(copies[n]);
	return err;
}

void bench_free_pages(struct bench *b)
{
	block_cache_destroy(TAKE(b->cache));
	pages_destroy(TAKE(b->pages));
}

void bench_unmount(struct bench *b)
{
	vfs_node_put(b->m->root);
	cairn_backend.unmount(b->m);
	free(TAKE(b->m));
	bench_free_pages(b);
}

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void bench_remove_dir(const char *dir)
{
	nftw(dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- operations */

static struct vfs_name name_of(const char *text)
{
	return (struct vfs_name){text, (uint32_t)strlen(text)};
}

int bench_make(struct vfs_node *dir, const char *text, uint32_t type, struct vfs_node **node)
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = 0644};
	struct vfs_create what = {.type = type, .attr = &attr};
	struct vfs_name name = name_of(text);
	fiber_rwlock_wrlock(&dir->lock);
	int err = cairn_backend.create(NULL, dir, &name, &what, node);
	fiber_rwlock_wrunlock(&dir->lock);
	return err ? err : cairn_backend.settle(&dir, 1);
}

int bench_lookup(struct vfs_node *dir, const char *text, struct vfs_node **node)
{
	struct vfs_name name = name_of(text);
	fiber_rwlock_rdlock(&dir->lock);
	int err = cairn_backend.lookup(dir, &name, node);
	fiber_rwlock_rdunlock(&dir->lock);
	return err;
}

int bench_write(struct vfs_node *node, uint64_t offset, const void *data, uint32_t size, uint32_t stability)
{
	struct iovec iov = {(void *)data, size};
	uint32_t chunk = PAGE_CHUNK_NONE;
	struct vfs_write w = {offset, size, stability, &iov, &chunk, 1};
	fiber_rwlock_wrlock(vfs_node_lock(node));
	int err = cairn_backend.write(NULL, node, &w);
	fiber_rwlock_wrunlock(vfs_node_lock(node));
	return err;
}

int bench_read(struct bench *b, struct vfs_node *node, uint64_t offset, void *data, uint32_t size)
{
	struct vfs_call call = {b->pages, 0, data};
	fiber_rwlock_rdlock(vfs_node_lock(node));
	int err = cairn_backend.read(&call, node, offset, size);
	fiber_rwlock_rdunlock(vfs_node_lock(node));
	return !err && call.size != size ? ERR_EOF : err;
}

int bench_truncate(struct vfs_node *node, uint64_t size)
{
	struct op_attr attr = {.mask = ATTR_SIZE, .size = size};
	fiber_rwlock_wrlock(vfs_node_lock(node));
	int err = cairn_backend.setattr(node, &attr);
	fiber_rwlock_wrunlock(vfs_node_lock(node));
	return err ? err : cairn_backend.settle(&node, 1);
}

int bench_remove(struct vfs_node *dir, const char *text)
{
	struct vfs_name name = name_of(text);
	struct vfs_node *node;
	fiber_rwlock_wrlock(&dir->lock);
	int err = cairn_backend.lookup(dir, &name, &node);
	if (!err) {
		fiber_rwlock_wrlock(vfs_node_lock(node));
		err = cairn_backend.remove(dir, &name, node);
		fiber_rwlock_wrunlock(vfs_node_lock(node));
	}
	fiber_rwlock_wrunlock(&dir->lock);
	if (node && err != ERR_NOENT)
		vfs_node_put(node);
	return err ? err : cairn_backend.settle(&dir, 1);
}

static int rename_locked(struct vfs_node *dir, const struct vfs_name *from, const struct vfs_name *to,
                         const struct vfs_rename *what)
{
	fiber_rwlock_wrlock(&what->node->lock);
	if (what->target)
		fiber_rwlock_wrlock(&what->target->lock);
	int err = cairn_backend.rename(dir, from, dir, to, what);
	if (what->target)
		fiber_rwlock_wrunlock(&what->target->lock);
	fiber_rwlock_wrunlock(&what->node->lock);
	return err;
}

int bench_rename(struct vfs_node *dir, const char *from_text, const char *to_text)
{
	struct vfs_name from = name_of(from_text), to = name_of(to_text);
	struct vfs_rename what = {.flags = 0};
	fiber_rwlock_wrlock(&dir->lock);
	int err = cairn_backend.lookup(dir, &from, &what.node);
	if (!err && cairn_backend.lookup(dir, &to, &what.target))
		what.target = NULL;
	if (!err)
		err = rename_locked(dir, &from, &to, &what);
	fiber_rwlock_wrunlock(&dir->lock);
	if (what.node)
		vfs_node_put(what.node);
	if (what.target)
		vfs_node_put(what.target);
	return err ? err : cairn_backend.settle(&dir, 1);
}

int bench_attr(struct vfs_node *node, struct op_attr *attr)
{
	fiber_rwlock_rdlock(vfs_node_lock(node));
	int err = cairn_backend.getattr(node, attr);
	fiber_rwlock_rdunlock(vfs_node_lock(node));
	return err;
}

struct lister {
	void (*fn)(void *arg, const char *name);
	void *arg;
	uint32_t n;
};

static bool list_one(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid, uint32_t type,
                     struct vfs_node *node)
{
	struct lister *l = arg;
	char text[OP_NAME_MAX + 1];
	memcpy(text, name->bytes, name->size);
	text[name->size] = '\0';
	l->n++;
	if (l->fn)
		l->fn(l->arg, text);
	return true;
}

uint32_t bench_names(struct vfs_node *dir, void (*fn)(void *arg, const char *name), void *arg)
{
	struct lister l = {fn, arg, 0};
	uint64_t verifier = 0;
	bool eof;
	fiber_rwlock_rdlock(&dir->lock);
	if (cairn_backend.readdir(dir, 0, &verifier, list_one, &l, &eof))
		l.n = UINT32_MAX;
	fiber_rwlock_rdunlock(&dir->lock);
	return l.n;
}
