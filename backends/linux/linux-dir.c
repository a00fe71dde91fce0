/*
 * Directories: looking names up, climbing, listing.
 *
 * A listing is in the host's own order and its cookies are the host's d_off, moved up by 3: local file
 * systems keep those stable across changes of the directory and restarts, and continue from
 * one without reading what came before, however large the directory is. Entries are read a buffer at
 * a time; a buffer that a caller left half used is kept, together with the directory's change counter.
 */
#include "backends/linux/linux.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/hash.h"

#define COOKIE_SHIFT 3
#define COOKIE_END ((uint64_t)INT64_MAX) /* nothing follows */
#define LISTING_VERIFIER 1
#define CLIMB_MAX 4096

struct lookup_job {
	struct linux_store *store;
	int dirfd;
	struct linux_name name;
	struct linux_node *node;
};

static int lookup_job(void *arg)
{
	struct lookup_job *job = arg;
	CLEANUP_FD int fd = linux_open(job->store, job->dirfd, job->name.text, O_PATH, 0);
	return fd < 0 ? fd : linux_adopt(job->store, &fd, &job->node);
}

/* Inline, for what the kernel has in its name cache. ERR_AGAIN otherwise. */
static int lookup_cached(struct lookup_job *job)
{
	struct linux_store *s = job->store;
	if (!s->local || atomic_load_explicit(&s->no_cached_open, memory_order_relaxed))
		return ERR_AGAIN;
	CLEANUP_FD int fd = linux_open(s, job->dirfd, job->name.text, O_PATH, RESOLVE_CACHED);
	if (fd == ERR_INVAL) {
		atomic_store(&s->no_cached_open, true);
		return ERR_AGAIN;
	}
	return fd < 0 ? fd : linux_adopt(s, &fd, &job->node);
}

static _Atomic uint64_t *hint_of(struct linux_store *s, uint64_t dir, const struct vfs_name *name, uint64_t *hash)
{
	*hash = hash_bytes(name->bytes, name->size) ^ hash_u64(dir);
	return &s->hints[*hash % LINUX_HINTS];
}

/*
 * A name that was found of late is in the kernel's name cache, so asking for its inode number does not wait, and
 * costs less than opening it. The number is that of a node we know: its descriptor keeps it from being another's.
 */
static struct linux_node *look_again(struct linux_store *s, int dirfd, const char *name)
{
	struct statx stx;
	if (!s->local || statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO, &stx))
		return NULL;
	bool ours = stx.stx_dev_major == s->dev_major && stx.stx_dev_minor == s->dev_minor;
	return ours ? linux_node_find(s, stx.stx_ino) : NULL;
}

int linux_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node)
{
	struct linux_node *d = linux_node(dir);
	struct lookup_job job = {.store = linux_store(dir->mount), .dirfd = d->fd};
	linux_name(&job.name, name);
	uint64_t hash;
	_Atomic uint64_t *hint = hint_of(job.store, dir->fileid, name, &hash);
	bool hinted = atomic_load_explicit(hint, memory_order_relaxed) == hash;
	job.node = hinted ? look_again(job.store, d->fd, job.name.text) : NULL;
	int err = job.node ? 0 : lookup_cached(&job);
	if (err == ERR_AGAIN)
		err = loop_block(lookup_job, &job);
	if (err)
		return err;
	atomic_store_explicit(hint, hash, memory_order_relaxed);
	linux_find_note(job.store, job.node->cached.node.fileid, dir->fileid, job.name.text);
	*node = &job.node->cached.node;
	return 0;
}

static int open_parent(int dirfd)
{
	int fd = openat(dirfd, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : linux_error();
}

/* 1: fd is at or below the root; 0: it was moved out of it; ERR_*. */
static int is_inside(struct linux_store *s, int fd)
{
	CLEANUP_FD int at = dup(fd);
	uint64_t below = 0;
	for (int i = 0; i < CLIMB_MAX; i++) {
		struct statx stx;
		int err = linux_stat(at, &stx);
		if (err)
			return err;
		if (stx.stx_dev_major != s->dev_major || stx.stx_dev_minor != s->dev_minor || stx.stx_ino == below)
			return 0;
		if (stx.stx_ino == s->root_ino)
			return 1;
		int up = open_parent(at);
		if (up < 0)
			return up;
		close(at);
		at = up;
		below = stx.stx_ino;
	}
	return 0;
}

static int parent_job(void *arg)
{
	struct lookup_job *job = arg;
	CLEANUP_FD int fd = open_parent(job->dirfd);
	if (fd < 0)
		return fd;
	int inside = is_inside(job->store, fd);
	if (inside <= 0)
		return inside ? inside : ERR_STALE;
	return linux_adopt(job->store, &fd, &job->node);
}

int linux_parent(struct vfs_node *dir, struct vfs_node **parent)
{
	struct linux_store *s = linux_store(dir->mount);
	struct lookup_job job = {.store = s, .dirfd = linux_node(dir)->fd};
	if (dir->fileid == s->root_ino) {
		*parent = vfs_node_get(dir);
		return 0;
	}
	int err = loop_block(parent_job, &job);
	if (!err)
		*parent = &job.node->cached.node;
	return err;
}

static uint64_t cookie_of(int64_t d_off)
{
	return MIN((uint64_t)d_off, COOKIE_END - COOKIE_SHIFT) + COOKIE_SHIFT;
}

struct list_job {
	struct linux_node *dir;
	struct linux_listing *listing;
};

/* Fills the listing's buffer with what follows listing->from. */
static int list_job(void *arg)
{
	struct list_job *job = arg;
	struct linux_listing *l = job->listing;
	struct linux_store *s = linux_store(job->dir->cached.node.mount);
	struct linux_path p;
	struct statx stx;
	CLEANUP_FD int fd = openat(s->proc_fd, linux_procname(&p, job->dir->fd), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || lseek(fd, l->from ? (off_t)(l->from - COOKIE_SHIFT) : 0, SEEK_SET) < 0)
		return linux_error();
	int err = linux_stat(fd, &stx);
	if (err)
		return err;
	l->change = linux_change(job->dir, &stx);
	long n = syscall(SYS_getdents64, fd, l->data, sizeof(l->data));
	if (n < 0)
		return errno == ENOENT ? ERR_STALE : linux_error();
	l->size = (uint32_t)n;
	return 0;
}

static struct linux_listing *take_listing(struct linux_store *s, uint64_t fileid)
{
	struct linux_listing *l = atomic_exchange(&s->listings[hash_u64(fileid) % LINUX_LISTINGS], NULL);
	if (!l && !(l = malloc(sizeof(*l))))
		return NULL;
	if (l->fileid != fileid)
		*l = (struct linux_listing){.fileid = fileid, .change = 0};
	return l;
}

static void give_listing(struct linux_store *s, struct linux_listing *l)
{
	free(atomic_exchange(&s->listings[hash_u64(l->fileid) % LINUX_LISTINGS], l));
}

static uint32_t type_of(uint8_t d_type)
{
	return d_type == DT_UNKNOWN ? OP_TYPE_NONE : linux_type(DTTOIF(d_type));
}

/* The place in the buffer from which to go on after cookie, or -1. */
static int64_t place_of(const struct linux_listing *l, uint64_t cookie)
{
	if (cookie == l->from)
		return 0;
	for (uint32_t at = 0; at < l->size;) {
		const struct dirent64 *d = (const struct dirent64 *)(l->data + at);
		at += d->d_reclen;
		if (cookie_of(d->d_off) == cookie)
			return at;
	}
	return -1;
}

struct scan {
	struct linux_node *dir;
	struct linux_listing *listing;
	vfs_emit_fn *emit;
	void *arg;
	uint64_t cookie; /* after the last entry that was passed on */
	bool stopped;
};

/* Makes the buffer hold what follows scan->cookie; *at: from where. *end: nothing follows. */
static int turn_page(struct scan *scan, uint32_t *at, bool *end)
{
	struct linux_listing *l = scan->listing;
	struct op_attr now;
	int err = linux_getattr(&scan->dir->cached.node, &now);
	int64_t place = !err && l->change == now.change ? place_of(l, scan->cookie) : -1;
	*end = scan->cookie == COOKIE_END;
	if (err || *end)
		return err;
	if (place < 0 || (place == l->size && l->size > 0)) {
		struct list_job job = {scan->dir, l};
		l->from = scan->cookie;
		l->change = 0;
		err = loop_block(list_job, &job);
		place = 0;
	}
	*at = (uint32_t)place;
	*end = l->size == 0;
	return err;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

static void emit_page(struct scan *scan, uint32_t at)
{
	struct linux_listing *l = scan->listing;
	while (at < l->size && !scan->stopped) {
		const struct dirent64 *d = (const struct dirent64 *)(l->data + at);
		struct vfs_name name = {d->d_name, (uint32_t)strlen(d->d_name)};
		uint64_t cookie = cookie_of(d->d_off);
		at += d->d_reclen;
		if (!is_dots(d->d_name) && !scan->emit(scan->arg, &name, cookie, d->d_ino, type_of(d->d_type), NULL))
			scan->stopped = true;
		else
			scan->cookie = cookie;
	}
}

int linux_readdir(struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof)
{
	struct linux_store *s = linux_store(dir->mount);
	struct scan scan = {.dir = linux_node(dir), .emit = emit, .arg = arg, .cookie = cookie};
	uint32_t at;
	int err = 0;
	*eof = false;
	if (*verifier && cookie && *verifier != LISTING_VERIFIER)
		return ERR_BAD_COOKIE;
	if ((cookie && cookie < COOKIE_SHIFT) || cookie > COOKIE_END)
		return ERR_BAD_COOKIE;
	*verifier = LISTING_VERIFIER;
	scan.listing = take_listing(s, dir->fileid);
	if (!scan.listing)
		return ERR_NOMEM;
	while (!scan.stopped && !*eof && !(err = turn_page(&scan, &at, eof)) && !*eof)
		emit_page(&scan, at);
	give_listing(s, scan.listing);
	return err;
}
