/*
 * Finding an object by its inode number where the kernel does not allow open_by_handle_at(): for a
 * server that runs as an ordinary user.
 *
 * An index in memory maps inode numbers to a directory and a name in it. What passes through lookups,
 * creates and renames is noted; what is not known is searched for by reading the tree from the root,
 * breadth first, as far as necessary: a later search goes on where the last one stopped. Every answer is
 * verified on the way down, so the index may be wrong (names changed behind our back) but never
 * misleads. A tree that was searched to its end is searched again only after a pause in
 * proportion to what that took. So handles survive renames and restarts without anything kept on disk.
 */
#include "backends/linux/linux.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/hash.h"
#include "base/hmap.h"

#define DEPTH_MAX 512
#define PAUSE_FACTOR 8
#define PAUSE_MIN_NS NS_PER_SEC

struct found_name {
	struct hmap_node hash;
	uint64_t ino;
	uint64_t dir;
	char name[];
};

struct linux_find {
	pthread_mutex_t index_lock; /* short: guards index */
	struct hmap index;
	pthread_mutex_t scan_lock; /* held for a whole search by one worker; guards what follows */
	uint64_t *queue; /* directories still to read */
	size_t n_queue, head, queue_room;
	uint64_t started_ns;
	uint64_t again_ns; /* the tree was read to its end: not again before this time */
};

int linux_find_create(struct linux_store *s)
{
	struct linux_find *f = calloc(1, sizeof(*f));
	if (!f)
		return ERR_NOMEM;
	pthread_mutex_init(&f->index_lock, NULL);
	pthread_mutex_init(&f->scan_lock, NULL);
	hmap_init(&f->index);
	s->find = f;
	return 0;
}

void linux_find_destroy(struct linux_store *s)
{
	struct linux_find *f = TAKE(s->find);
	struct found_name *e, *tmp;
	if (!f)
		return;
	HMAP_FOREACH_SAFE(e, tmp, &f->index, hash)
		free(e);
	hmap_fini(&f->index);
	pthread_mutex_destroy(&f->index_lock);
	pthread_mutex_destroy(&f->scan_lock);
	free(f->queue);
	free(f);
}

static struct found_name *look_up(struct linux_find *f, uint64_t ino)
{
	return hmap_entry(hmap_find(&f->index, hash_u64(ino)), struct found_name, hash);
}

static void note(struct linux_find *f, uint64_t ino, uint64_t dir, const char *name)
{
	size_t size = strlen(name) + 1;
	struct found_name *old = look_up(f, ino);
	if (old && old->dir == dir && strcmp(old->name, name) == 0)
		return;
	struct found_name *e = malloc(sizeof(*e) + size);
	if (old) {
		hmap_remove(&f->index, &old->hash);
		free(old);
	}
	if (!e)
		return;
	e->ino = ino;
	e->dir = dir;
	memcpy(e->name, name, size);
	hmap_insert(&f->index, &e->hash, hash_u64(ino));
}

void linux_find_note(struct linux_store *s, uint64_t ino, uint64_t dir, const char *name)
{
	if (!s->find)
		return;
	pthread_mutex_lock(&s->find->index_lock);
	note(s->find, ino, dir, name);
	pthread_mutex_unlock(&s->find->index_lock);
}

/* The inode numbers from ino up to the root; returns how many, 0 if one is not known. */
static size_t climb(struct linux_store *s, uint64_t ino, uint64_t path[DEPTH_MAX])
{
	struct linux_find *f = s->find;
	size_t n = 0;
	pthread_mutex_lock(&f->index_lock);
	while (ino != s->root_ino && n < DEPTH_MAX) {
		struct found_name *e = look_up(f, ino);
		if (!e) {
			n = DEPTH_MAX;
			break;
		}
		path[n++] = ino;
		ino = e->dir;
	}
	pthread_mutex_unlock(&f->index_lock);
	return n < DEPTH_MAX ? n : 0;
}

static bool name_of(struct linux_find *f, uint64_t ino, struct linux_name *name)
{
	pthread_mutex_lock(&f->index_lock);
	struct found_name *e = look_up(f, ino);
	if (e)
		memcpy(name->text, e->name, strlen(e->name) + 1);
	pthread_mutex_unlock(&f->index_lock);
	return e;
}

/* Goes down one step and makes sure that it led to ino. */
static int step_down(struct linux_store *s, int dirfd, uint64_t ino)
{
	struct linux_name name;
	struct statx stx;
	if (!name_of(s->find, ino, &name))
		return ERR_STALE;
	int fd = linux_open(s, dirfd, name.text, O_PATH, 0);
	if (fd < 0)
		return fd == ERR_DELAY ? fd : ERR_STALE;
	if (linux_stat(fd, &stx) || stx.stx_ino != ino) {
		close(fd);
		return ERR_STALE;
	}
	return fd;
}

static int open_known(struct linux_store *s, uint64_t ino)
{
	CLEANUP_FREE uint64_t *path = malloc(DEPTH_MAX * sizeof(*path));
	size_t n = path ? climb(s, ino, path) : 0;
	if (n == 0 && ino != s->root_ino)
		return ERR_STALE;
	int fd = linux_open(s, s->root_fd, ".", O_PATH, 0);
	while (fd >= 0 && n > 0) {
		int next = step_down(s, fd, path[--n]);
		close(fd);
		fd = next;
	}
	return fd;
}

static bool enqueue(struct linux_find *f, uint64_t ino)
{
	if (f->n_queue == f->queue_room) {
		size_t room = f->queue_room ? f->queue_room * 2 : 256;
		uint64_t *queue = reallocarray(f->queue, room, sizeof(*queue));
		if (!queue)
			return false;
		f->queue = queue;
		f->queue_room = room;
	}
	f->queue[f->n_queue++] = ino;
	return true;
}

static bool is_dir(int fd, const struct dirent64 *d)
{
	struct stat st;
	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR;
	return fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool note_entries(struct linux_store *s, int fd, uint64_t dir, const char *buf, long size)
{
	bool ok = true;
	for (long at = 0; at < size && ok;) {
		const struct dirent64 *d = (const struct dirent64 *)(buf + at);
		at += d->d_reclen;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		linux_find_note(s, d->d_ino, dir, d->d_name);
		if (is_dir(fd, d))
			ok = enqueue(s->find, d->d_ino);
	}
	return ok;
}

/* Reads one directory; one that has gone or may not be read is passed over. */
static bool read_dir(struct linux_store *s, uint64_t dir)
{
	enum { BUF_SIZE = 65536 };
	struct linux_path p;
	CLEANUP_FREE char *buf = malloc(BUF_SIZE);
	CLEANUP_FD int path_fd = open_known(s, dir);
	bool ok = buf;
	if (path_fd < 0 || !buf)
		return ok;
	CLEANUP_FD int fd = openat(s->proc_fd, linux_procname(&p, path_fd), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (long n; ok && fd >= 0 && (n = syscall(SYS_getdents64, fd, buf, BUF_SIZE)) > 0;)
		ok = note_entries(s, fd, dir, buf, n);
	return ok;
}

/* Starts over at the root if that was not done lately. */
static bool restart_search(struct linux_store *s)
{
	struct linux_find *f = s->find;
	uint64_t now = loop_wall_ns(NULL);
	if (now < f->again_ns)
		return false;
	f->head = f->n_queue = 0;
	f->started_ns = now;
	return enqueue(f, s->root_ino);
}

static void end_search(struct linux_find *f)
{
	uint64_t now = loop_wall_ns(NULL);
	f->again_ns = now + PAUSE_MIN_NS + (now > f->started_ns ? now - f->started_ns : 0) * PAUSE_FACTOR;
	f->head = f->n_queue = 0;
}

static int search(struct linux_store *s, uint64_t ino)
{
	struct linux_find *f = s->find;
	int fd = open_known(s, ino);
	if (fd != ERR_STALE || (f->n_queue == 0 && !restart_search(s)))
		return fd;
	while (fd == ERR_STALE && f->head < f->n_queue) {
		if (!read_dir(s, f->queue[f->head++]))
			return ERR_NOMEM;
		pthread_mutex_lock(&f->index_lock);
		bool known = look_up(f, ino);
		pthread_mutex_unlock(&f->index_lock);
		if (known)
			fd = open_known(s, ino);
	}
	if (f->head == f->n_queue)
		end_search(f);
	return fd;
}

int linux_find(struct linux_store *s, uint64_t ino)
{
	int fd = open_known(s, ino);
	if (fd != ERR_STALE)
		return fd;
	pthread_mutex_lock(&s->find->scan_lock);
	fd = search(s, ino);
	pthread_mutex_unlock(&s->find->scan_lock);
	return fd;
}
