/*
 * Objects of the host as nodes: finding, opening and forgetting them, and their handles.
 */
#include "backends/linux/linux.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <linux/openat2.h>

#include "base/cursor.h"
#include "base/str.h"

enum { IDENT_KERNEL = 1, IDENT_BTIME = 2 };
#define IDENT_HEAD 9 /* kind and inode number */
#define DYING_TRIES 100

void linux_name(struct linux_name *out, const struct vfs_name *name)
{
	memcpy(out->text, name->bytes, name->size);
	out->text[name->size] = 0;
}

int linux_error(void)
{
	static const struct {
		int sys;
		int err;
	} ours[] = {
		{EMFILE, ERR_DELAY}, {ENFILE, ERR_DELAY}, {ENOSYS, ERR_NOTSUPP}, {E2BIG, ERR_NOSPC},
		{EFAULT, ERR_SERVERFAULT}, {EBADF, ERR_SERVERFAULT},
	};
	int sys = errno;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (ours[i].sys == sys)
			return ours[i].err;
	return err_from_errno(sys);
}

int linux_inline(struct linux_store *s, int (*fn)(void *arg), void *arg)
{
	return s->local ? fn(arg) : loop_block(fn, arg);
}

const char *linux_path(struct linux_path *p, int fd)
{
	snprintf(p->text, sizeof(p->text), "/proc/self/fd/%d", fd);
	return p->text;
}

const char *linux_procname(struct linux_path *p, int fd)
{
	snprintf(p->text, sizeof(p->text), "%d", fd);
	return p->text;
}

int linux_stat(int fd, struct statx *stx)
{
	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, stx) ? linux_error() : 0;
}

uint32_t linux_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return OP_TYPE_FILE;
	case S_IFDIR:
		return OP_TYPE_DIR;
	case S_IFLNK:
		return OP_TYPE_SYMLINK;
	case S_IFBLK:
		return OP_TYPE_BLOCK;
	case S_IFCHR:
		return OP_TYPE_CHAR;
	case S_IFIFO:
		return OP_TYPE_FIFO;
	case S_IFSOCK:
		return OP_TYPE_SOCKET;
	default:
		return OP_TYPE_NONE;
	}
}

/* The kernel's own file handle, as much as fits, or false. */
static bool kernel_ident(int fd, struct cursor *c)
{
	union {
		struct file_handle head;
		uint8_t room[sizeof(struct file_handle) + OP_HANDLE_BACKEND_MAX];
	} fh;
	int mount_id;
	fh.head.handle_bytes = OP_HANDLE_BACKEND_MAX - IDENT_HEAD - 1;
	if (name_to_handle_at(fd, "", &fh.head, &mount_id, AT_EMPTY_PATH) || fh.head.handle_type > UINT8_MAX)
		return false;
	cursor_put_u8(c, (uint8_t)fh.head.handle_type);
	cursor_put_bytes(c, fh.head.f_handle, fh.head.handle_bytes);
	return true;
}

int linux_ident(struct linux_store *s, int fd, const struct statx *stx, struct linux_ident *id)
{
	struct cursor c;
	cursor_init(&c, id->bytes, sizeof(id->bytes));
	cursor_put_u8(&c, s->kernel_idents ? IDENT_KERNEL : IDENT_BTIME);
	cursor_put_le64(&c, stx->stx_ino);
	if (s->kernel_idents) {
		if (!kernel_ident(fd, &c))
			return linux_error();
	} else {
		cursor_put_le64(&c, (uint64_t)stx->stx_btime.tv_sec);
		cursor_put_le32(&c, stx->stx_btime.tv_nsec);
	}
	id->size = (uint8_t)cursor_used(&c);
	return c.err;
}

static void close_all(struct linux_node *n)
{
	int io_fd = atomic_load(&n->io_fd);
	if (io_fd >= 0 && io_fd != n->fd)
		close(io_fd);
	if (n->fd >= 0)
		close(n->fd);
}

static int close_job(void *arg)
{
	close_all(arg);
	return 0;
}

/* The last close of a file without a name frees its blocks, which takes time. */
void linux_node_destroy(struct cached_node *node)
{
	struct linux_node *n = container_of(node, struct linux_node, cached);
	if (!node->dead || !fiber_self() || loop_block(close_job, n))
		close_all(n);
	free(n->cached.node.acl);
	free(n);
}

static struct linux_node *make_node(struct linux_store *s, const struct statx *stx)
{
	struct linux_node *n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	vfs_node_init(&n->cached.node, s->mount, linux_type(stx->stx_mode), stx->stx_ino);
	n->fd = -1;
	atomic_store(&n->io_fd, -1);
	n->ctime_ns = (uint64_t)stx->stx_ctime.tv_sec * NS_PER_SEC + stx->stx_ctime.tv_nsec;
	n->change = n->ctime_ns;
	return n;
}

struct linux_node *linux_node_find(struct linux_store *s, uint64_t ino)
{
	struct cached_node *c = node_cache_find(&s->nodes, ino);
	return c ? container_of(c, struct linux_node, cached) : NULL;
}

int linux_adopt(struct linux_store *s, int *fd, struct linux_node **node)
{
	struct statx stx;
	int err = linux_stat(*fd, &stx);
	if (!err)
		return linux_adopt_as(s, fd, &stx, NULL, node);
	close(*fd);
	*fd = -1;
	return err;
}

int linux_adopt_as(struct linux_store *s, int *fd, const struct statx *stx, const struct linux_meta *made,
                   struct linux_node **node)
{
	CLEANUP_FD int own = *fd;
	*fd = -1;
	if (stx->stx_dev_major != s->dev_major || stx->stx_dev_minor != s->dev_minor)
		return ERR_XDEV;
	*node = linux_node_find(s, stx->stx_ino);
	if (*node)
		return 0;
	struct linux_node *n = make_node(s, stx);
	if (!n)
		return ERR_NOMEM;
	int err = linux_ident(s, own, stx, &n->ident);
	if (err) {
		free(n);
		return err;
	}
	if (made)
		n->meta = *made;
	else
		linux_meta_load(s, own, &n->meta);
	if (n->meta.flags & META_ACL)
		err = linux_acl_load(s, own, &n->cached.node.acl);
	if (err) {
		free(n);
		return err;
	}
	n->fd = own;
	own = -1;
	if (made) {
		atomic_store(&n->io_fd, n->fd);
		atomic_store(&n->writable, n->cached.node.type == OP_TYPE_FILE);
	}
	struct cached_node *c = &n->cached;
	node_cache_insert(&s->nodes, &c);
	*node = container_of(c, struct linux_node, cached);
	return 0;
}

static int open_once(int dirfd, const char *name, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	return (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
}

int linux_open(struct linux_store *s, int dirfd, const char *name, int flags, uint64_t resolve)
{
	int fd = open_once(dirfd, name, flags, resolve);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && node_cache_shrink(&s->nodes))
		fd = open_once(dirfd, name, flags, resolve);
	return fd >= 0 ? fd : linux_error();
}

/* What the descriptor of a node names, opened anew. */
static int reopen(struct linux_store *s, int fd, int flags)
{
	struct linux_path p;
	int io_fd = openat(s->proc_fd, linux_procname(&p, fd), flags | O_CLOEXEC | O_NONBLOCK);
	if (io_fd < 0 && (errno == EMFILE || errno == ENFILE) && node_cache_shrink(&s->nodes))
		io_fd = openat(s->proc_fd, p.text, flags | O_CLOEXEC | O_NONBLOCK);
	return io_fd >= 0 ? io_fd : linux_error();
}

/*
 * An ordinary user's own file that its mode forbids to open: whether the caller may is the VFS's to
 * say, and it said yes (RFC 1813 section 4.4: the owner may write to what it has created as read-only).
 */
static int reopen_as_owner(struct linux_store *s, int fd, int flags)
{
	struct linux_path p;
	struct statx stx;
	if (linux_stat(fd, &stx) || stx.stx_uid != geteuid())
		return ERR_ACCES;
	linux_procname(&p, fd);
	if (fchmodat(s->proc_fd, p.text, (stx.stx_mode & 07777) | S_IRUSR | S_IWUSR, 0))
		return linux_error();
	int io_fd = reopen(s, fd, flags);
	return fchmodat(s->proc_fd, p.text, stx.stx_mode & 07777, 0) && io_fd < 0 ? linux_error() : io_fd;
}

static int open_io(struct linux_store *s, struct linux_node *n, bool write, bool *writable)
{
	if (n->cached.node.type == OP_TYPE_DIR)
		return reopen(s, n->fd, O_RDONLY | O_DIRECTORY);
	*writable = true;
	int fd = reopen(s, n->fd, O_RDWR);
	if (fd == ERR_ACCES)
		fd = reopen_as_owner(s, n->fd, O_RDWR);
	if (fd >= 0 || write)
		return fd;
	*writable = false;
	return reopen(s, n->fd, O_RDONLY);
}

int linux_io_fd_here(struct linux_node *n, bool write)
{
	bool writable = false;
	int old = atomic_load(&n->io_fd);
	if (old >= 0 && (!write || atomic_load(&n->writable)))
		return old;
	int fd = open_io(linux_store(n->cached.node.mount), n, write, &writable);
	if (fd < 0)
		return fd;
	if (!atomic_compare_exchange_strong(&n->io_fd, &old, fd)) {
		close(fd);
		return old;
	}
	/* Replacing a read-only descriptor: the node's lock is held exclusively, so no one else uses it. */
	if (old >= 0 && old != n->fd)
		close(old);
	atomic_store(&n->writable, writable);
	return fd;
}

struct io_fd_job {
	struct linux_node *node;
	bool write;
};

static int io_fd_job(void *arg)
{
	struct io_fd_job *job = arg;
	return linux_io_fd_here(job->node, job->write);
}

int linux_io_fd(struct linux_node *n, bool write)
{
	int fd = atomic_load(&n->io_fd);
	struct io_fd_job job = {n, write};
	if (fd >= 0 && (!write || atomic_load(&n->writable)))
		return fd;
	return loop_block(io_fd_job, &job);
}

void linux_touch(struct linux_node *n)
{
	spin_lock(&n->attr_lock);
	n->touched = true;
	spin_unlock(&n->attr_lock);
}

void linux_changed(struct linux_node *n)
{
	spin_lock(&n->attr_lock);
	n->touched = true;
	n->n_changes++;
	spin_unlock(&n->attr_lock);
}

void linux_check_dead(struct linux_node *n)
{
	struct statx stx;
	if (!linux_stat(n->fd, &stx) && stx.stx_nlink == 0)
		node_cache_set_dead(&linux_store(n->cached.node.mount)->nodes, &n->cached, true);
}

uint32_t linux_node_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX])
{
	if (node->base)
		return linux_stream_handle(node, bytes);
	struct linux_node *n = linux_node(node);
	memcpy(bytes, n->ident.bytes, n->ident.size);
	return n->ident.size;
}

struct get_job {
	struct linux_store *store;
	const uint8_t *bytes;
	uint32_t size;
	uint64_t ino;
	struct linux_node *node;
};

static int open_by_handle(const struct get_job *job)
{
	union {
		struct file_handle head;
		uint8_t room[sizeof(struct file_handle) + OP_HANDLE_BACKEND_MAX];
	} fh;
	if (!job->store->by_handle || job->bytes[0] != IDENT_KERNEL)
		return linux_find(job->store, job->ino);
	fh.head.handle_type = job->bytes[IDENT_HEAD];
	fh.head.handle_bytes = job->size - IDENT_HEAD - 1;
	memcpy(fh.head.f_handle, job->bytes + IDENT_HEAD + 1, fh.head.handle_bytes);
	int fd = open_by_handle_at(job->store->root_fd, &fh.head, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && node_cache_shrink(&job->store->nodes))
		fd = open_by_handle_at(job->store->root_fd, &fh.head, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	/* What the kernel also says of an inode that is just going away. */
	for (int i = 0; fd < 0 && errno == ENOMEM && i < DYING_TRIES; i++)
		fd = open_by_handle_at(job->store->root_fd, &fh.head, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? ERR_STALE : errno == ENOMEM ? ERR_DELAY : linux_error();
}

static int get_job(void *arg)
{
	struct get_job *job = arg;
	struct statx stx;
	CLEANUP_FD int fd = open_by_handle(job);
	int err = fd < 0 ? fd : linux_stat(fd, &stx);
	if (err)
		return err;
	if (stx.stx_nlink == 0)
		return ERR_STALE;
	return linux_adopt(job->store, &fd, &job->node);
}

int linux_node_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node)
{
	struct linux_store *s = linux_store(m);
	struct get_job job = {.store = s, .bytes = bytes, .size = size};
	struct cursor c;
	if (size && (bytes[0] & LINUX_IDENT_STREAM))
		return linux_stream_get(m, bytes, size, node);
	cursor_init(&c, (void *)bytes, size);
	uint8_t kind = cursor_u8(&c);
	job.ino = cursor_le64(&c);
	if (c.err || size <= IDENT_HEAD + 1 || size > OP_HANDLE_BACKEND_MAX || (kind != IDENT_KERNEL && kind != IDENT_BTIME))
		return ERR_BADHANDLE;
	job.node = linux_node_find(s, job.ino);
	if (!job.node) {
		int err = loop_block(get_job, &job);
		if (err)
			return err == ERR_INVAL ? ERR_BADHANDLE : err;
	}
	if (job.node->ident.size != size || memcmp(job.node->ident.bytes, bytes, size)) {
		vfs_node_put(&job.node->cached.node);
		return ERR_STALE;
	}
	*node = &job.node->cached.node;
	return 0;
}

void linux_node_release(struct vfs_node *node)
{
	if (node->base)
		linux_stream_release(node);
	else
		node_cache_release(&linux_store(node->mount)->nodes, &linux_node(node)->cached);
}
