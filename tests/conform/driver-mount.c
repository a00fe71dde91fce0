/*
 * The driver over system calls: objects are O_PATH descriptors, which, as handles do, stand for the
 * object and not for a path; credentials are set per thread. Runs as root, or without other users.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/fs.h>

#include "base/cleanup.h"
#include "tests/conform/run.h"

#define FD_PATH_SIZE 40

static const char *mount_dir;

/* ---- credentials and descriptors ------------------------------------------------------------ */

/* The library's calls would change every thread. */
static void become(struct test *t)
{
	static _Thread_local const struct op_cred *now = &ROOT;
	const struct op_cred *who = t->as;

	if (who == now || !(t->features & HAS_USERS))
		return;
	syscall(SYS_setresuid, -1, 0, -1);
	syscall(SYS_setgroups, (size_t)who->n_groups, who->groups);
	syscall(SYS_setresgid, -1, who->gid, -1);
	if (who->uid)
		syscall(SYS_setresuid, -1, who->uid, -1);
	now = who;
}

static int result(long r)
{
	return r < 0 ? err_from_errno(errno) : 0;
}

static const char *fd_path(const struct obj *o, char path[FD_PATH_SIZE])
{
	snprintf(path, FD_PATH_SIZE, "/proc/self/fd/%d", o->handle.size ? o->fd : -1);
	return path;
}

static int obj_fd(const struct obj *o)
{
	return o->handle.size ? o->fd : -1;
}

static int set_obj(struct test *t, struct obj *out, int fd)
{
	if (fd < 0)
		return err_from_errno(errno);
	*out = (struct obj){.handle.size = 1, .fd = conform_keep_fd(t, fd)};
	return 0;
}

static int lookup_fd(struct test *t, const struct obj *dir, struct str name, struct obj *out)
{
	if (!out)
		return 0;
	return set_obj(t, out, openat(obj_fd(dir), name.bytes, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

/* A descriptor for data: that of an open, or one for this call. */
static int data_fd(const struct obj *o, uint64_t open_id, int flags)
{
	char path[FD_PATH_SIZE];

	if (open_id)
		return dup((int)open_id);
	return open(fd_path(o, path), flags | O_CLOEXEC | O_NONBLOCK);
}

/* ---- attributes -------------------------------------------------------------------------------- */

static uint32_t type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return OP_TYPE_FILE;
	case S_IFDIR: return OP_TYPE_DIR;
	case S_IFLNK: return OP_TYPE_SYMLINK;
	case S_IFBLK: return OP_TYPE_BLOCK;
	case S_IFCHR: return OP_TYPE_CHAR;
	case S_IFIFO: return OP_TYPE_FIFO;
	case S_IFSOCK: return OP_TYPE_SOCKET;
	default: return OP_TYPE_NONE;
	}
}

static struct op_time time_of(struct timespec ts)
{
	return (struct op_time){.sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec};
}

static void attr_from_stat(struct op_attr *a, const struct stat *st)
{
	*a = (struct op_attr){
		.mask = ATTR_ALL & ~(ATTR_BTIME | ATTR_CHANGE | ATTR_DOS),
		.type = type_of(st->st_mode),
		.mode = st->st_mode & 07777,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.space = (uint64_t)st->st_blocks * 512,
		.fileid = st->st_ino,
		.fsid = st->st_dev,
		.rdev_major = major(st->st_rdev),
		.rdev_minor = minor(st->st_rdev),
		.atime = time_of(st->st_atim),
		.mtime = time_of(st->st_mtim),
		.ctime = time_of(st->st_ctim),
	};
}

static int mount_getattr(struct test *t, const struct obj *o)
{
	struct stat st;

	become(t);
	if (fstatat(obj_fd(o), "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return err_from_errno(errno);
	attr_from_stat(&t->ans.attr, &st);
	return 0;
}

static struct timespec to_timespec(const struct op_attr *a, uint64_t now, uint64_t set, struct op_time time)
{
	if (a->mask & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (a->mask & set)
		return (struct timespec){.tv_sec = time.sec, .tv_nsec = time.nsec};
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_times(const struct obj *o, const struct op_attr *a)
{
	struct timespec times[2] = {to_timespec(a, ATTR_ATIME_NOW, ATTR_ATIME, a->atime),
	                            to_timespec(a, ATTR_MTIME_NOW, ATTR_MTIME, a->mtime)};

	return result(utimensat(obj_fd(o), "", times, AT_EMPTY_PATH));
}

static int set_size(const struct obj *o, const struct op_attr *a, uint64_t open_id)
{
	char path[FD_PATH_SIZE];

	if (open_id)
		return result(ftruncate((int)open_id, (off_t)a->size));
	return result(truncate(fd_path(o, path), (off_t)a->size));
}

static int mount_setattr(struct test *t, const struct obj *o, const struct op_attr *a, uint64_t open_id)
{
	char path[FD_PATH_SIZE];
	int err = 0;

	become(t);
	if (a->mask & (ATTR_UID | ATTR_GID))
		err = result(fchownat(obj_fd(o), "", a->mask & ATTR_UID ? a->uid : (uid_t)-1,
		                      a->mask & ATTR_GID ? a->gid : (gid_t)-1, AT_EMPTY_PATH));
	if (!err && (a->mask & ATTR_MODE))
		err = result(chmod(fd_path(o, path), a->mode));
	if (!err && (a->mask & ATTR_SIZE))
		err = set_size(o, a, open_id);
	if (!err && (a->mask & (ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW)))
		err = set_times(o, a);
	return err;
}

static int mount_access(struct test *t, const struct obj *o, uint32_t want)
{
	static const struct {
		uint32_t bits;
		int mode;
	} rows[] = {
		{ACCESS_READ, R_OK},
		{ACCESS_LOOKUP | ACCESS_EXECUTE, X_OK},
		{ACCESS_MODIFY | ACCESS_EXTEND | ACCESS_DELETE, W_OK},
	};
	char path[FD_PATH_SIZE];
	size_t i;

	become(t);
	t->ans.allowed = 0;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (faccessat(AT_FDCWD, fd_path(o, path), rows[i].mode, AT_EACCESS) == 0)
			t->ans.allowed |= want & rows[i].bits;
	return 0;
}

static int mount_statfs(struct test *t, const struct obj *o)
{
	struct op_statfs *out = &t->ans.statfs;
	char path[FD_PATH_SIZE];
	struct statvfs st;

	become(t);
	if (statvfs(fd_path(o, path), &st) < 0)
		return err_from_errno(errno);
	*out = (struct op_statfs){
		.total_bytes = st.f_blocks * st.f_frsize,
		.free_bytes = st.f_bfree * st.f_frsize,
		.avail_bytes = st.f_bavail * st.f_frsize,
		.total_files = st.f_files,
		.free_files = st.f_ffree,
		.avail_files = st.f_favail,
		.max_file_size = INT64_MAX,
		.name_max = (uint32_t)st.f_namemax,
		.read_only = !!(st.f_flag & ST_RDONLY),
	};
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------- */

static int mount_lookup(struct test *t, const struct obj *dir, struct str name, struct obj *out)
{
	become(t);
	return lookup_fd(t, dir, name, out);
}

static int mount_parent(struct test *t, const struct obj *o, struct obj *out)
{
	become(t);
	return lookup_fd(t, o, (struct str){"..", 2}, out);
}

static int mount_readlink(struct test *t, const struct obj *o, char *target, uint32_t size)
{
	ssize_t n;

	become(t);
	n = readlinkat(obj_fd(o), "", target, size);
	if (n < 0)
		return errno == ENOENT ? ERR_INVAL : err_from_errno(errno);
	t->ans.size = (uint64_t)n;
	return 0;
}

struct getdents_entry {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

static void emit_entry(struct scan *s, const struct getdents_entry *e)
{
	struct op_dirent d = {.cookie = (uint64_t)e->off, .fileid = e->ino, .name_size = (uint32_t)strlen(e->name)};

	d.attr.type = type_of((mode_t)e->type << 12);
	s->cookie = d.cookie;
	s->n_entries++;
	s->entry(s->arg, &d, e->name);
}

static void emit_block(struct scan *s, const char *block, long size)
{
	const struct getdents_entry *e;
	long at_byte = 0;

	while (at_byte < size) {
		e = (const struct getdents_entry *)(block + at_byte);
		at_byte += e->reclen;
		if (s->max_entries && s->n_entries >= s->max_entries)
			return;
		if (!strcmp(e->name, ".") || !strcmp(e->name, "..")) {
			s->cookie = (uint64_t)e->off;
			if (!(s->flags & READDIR_DOTS))
				continue;
		}
		emit_entry(s, e);
	}
}

static int mount_readdir(struct test *t, const struct obj *dir, struct scan *s)
{
	CLEANUP_FREE char *block = malloc(s->room + 1);
	CLEANUP_FD int fd = -1;
	long n;

	become(t);
	fd = data_fd(dir, 0, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_from_errno(errno);
	s->n_entries = 0;
	if (s->cookie && lseek(fd, (off_t)s->cookie, SEEK_SET) < 0)
		return ERR_BAD_COOKIE;
	n = syscall(SYS_getdents64, fd, block, s->room);
	if (n < 0)
		return errno == EINVAL ? ERR_TOOSMALL : err_from_errno(errno);
	s->eof = n == 0;
	emit_block(s, block, n);
	return 0;
}

static int open_flags(const struct open_how *how)
{
	static const int by_access[] = {O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR};
	int flags = by_access[how->access & 3] | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

	if (how->disposition != OPEN_EXISTING)
		flags |= O_CREAT;
	if (how->disposition == OPEN_GUARDED || how->disposition == OPEN_EXCLUSIVE)
		flags |= O_EXCL;
	if (how->flags & OPEN_TRUNCATE)
		flags |= O_TRUNC;
	return flags;
}

/* RFC 1813's CREATE without access asks for no permission on what exists. */
static int create_only(struct test *t, const struct obj *dir, struct str name, const struct open_how *how,
                       struct obj *out)
{
	int err, fd = openat(obj_fd(dir), name.bytes, open_flags(how) | O_EXCL, how->attr.mode & 07777);

	if (fd >= 0) {
		t->ans.created = 1;
		close(fd);
		return lookup_fd(t, dir, name, out);
	}
	if (errno != EEXIST || how->disposition != OPEN_UNCHECKED)
		return err_from_errno(errno);
	err = lookup_fd(t, dir, name, out);
	if (!err && (how->attr.mask & ATTR_SIZE))
		err = set_size(out, &how->attr, 0);
	return err;
}

static int mount_open(struct test *t, const struct obj *dir, struct str name, const struct open_how *how,
                      struct obj *out)
{
	struct obj found;
	int fd, existed;

	become(t);
	t->ans.created = 0;
	if (!name.size) {
		fd = data_fd(dir, 0, open_flags(how) & ~O_NOFOLLOW);
		t->ans.open_id = (uint64_t)(fd < 0 ? 0 : fd);
		*out = *dir;
		return result(fd);
	}
	if (!how->access && (how->flags & OPEN_NO_STATE) && how->disposition != OPEN_EXISTING)
		return create_only(t, dir, name, how, out);
	existed = faccessat(obj_fd(dir), name.bytes, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	fd = openat(obj_fd(dir), name.bytes, open_flags(how), how->attr.mode & 07777);
	if (fd < 0)
		return err_from_errno(errno);
	t->ans.created = !existed;
	t->ans.open_id = (uint64_t)fd;
	if (how->flags & OPEN_NO_STATE)
		close(fd);
	return lookup_fd(t, dir, name, out ? out : &found);
}

static int mount_create_unlinked(struct test *t, const struct obj *dir, const struct open_how *how, struct obj *out)
{
	char path[FD_PATH_SIZE];
	int fd;

	become(t);
	fd = open(fd_path(dir, path), O_TMPFILE | O_RDWR | O_CLOEXEC, how->attr.mode & 07777);
	if (fd < 0)
		return err_from_errno(errno);
	t->ans.open_id = (uint64_t)fd;
	*out = (struct obj){.handle.size = 1, .fd = conform_keep_fd(t, dup(fd))};
	return 0;
}

static int mount_close(struct test *t, uint64_t open_id)
{
	return result(close((int)open_id));
}

static int mount_mkdir(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr,
                       struct obj *out)
{
	int err;

	become(t);
	err = result(mkdirat(obj_fd(dir), name.bytes, attr->mode));
	if (!err)
		err = lookup_fd(t, dir, name, out);
	/* mkdir(2) takes no setuid, setgid or sticky bit. */
	if (!err && out && (attr->mode & 07000)) {
		mount_getattr(t, out);
		err = fs_chmod(t, out, attr->mode | (t->ans.attr.mode & 02000));
	}
	return err;
}

static mode_t format_of(uint32_t type)
{
	switch (type) {
	case OP_TYPE_BLOCK: return S_IFBLK;
	case OP_TYPE_CHAR: return S_IFCHR;
	case OP_TYPE_FIFO: return S_IFIFO;
	case OP_TYPE_SOCKET: return S_IFSOCK;
	case OP_TYPE_DIR: return S_IFDIR;
	case OP_TYPE_SYMLINK: return S_IFLNK;
	default: return S_IFREG;
	}
}

static int mount_mknod(struct test *t, const struct obj *dir, struct str name, const struct op_attr *attr,
                       struct obj *out)
{
	dev_t dev = makedev(attr->rdev_major, attr->rdev_minor);
	int err;

	become(t);
	err = result(mknodat(obj_fd(dir), name.bytes, attr->mode | format_of(attr->type), dev));
	return err ? err : lookup_fd(t, dir, name, out);
}

static int mount_symlink(struct test *t, const struct obj *dir, struct str name, struct str target, struct obj *out)
{
	int err;

	become(t);
	err = result(symlinkat(target.bytes, obj_fd(dir), name.bytes));
	return err ? err : lookup_fd(t, dir, name, out);
}

static int mount_link(struct test *t, const struct obj *o, const struct obj *dir, struct str name)
{
	char path[FD_PATH_SIZE];

	become(t);
	return result(linkat(AT_FDCWD, fd_path(o, path), obj_fd(dir), name.bytes, AT_SYMLINK_FOLLOW));
}

static int mount_rename(struct test *t, const struct obj *from, struct str name, const struct obj *to,
                        struct str to_name, uint32_t flags)
{
	become(t);
	return result(renameat2(obj_fd(from), name.bytes, obj_fd(to), to_name.bytes, flags));
}

static int mount_remove(struct test *t, const struct obj *dir, struct str name, uint32_t flags)
{
	int err;

	become(t);
	if (flags == REMOVE_DIR)
		return result(unlinkat(obj_fd(dir), name.bytes, AT_REMOVEDIR));
	err = result(unlinkat(obj_fd(dir), name.bytes, 0));
	if (err == ERR_ISDIR && (flags & REMOVE_DIR))
		err = result(unlinkat(obj_fd(dir), name.bytes, AT_REMOVEDIR));
	return err;
}

static int mount_lookup_path(struct test *t, const struct obj *dir, struct str path, struct obj *out)
{
	char copy[OP_PATH_MAX + 1], *save = NULL, *part;
	struct obj o = *dir;
	int err;

	if (path.size > OP_PATH_MAX)
		return ERR_NAMETOOLONG;
	memcpy(copy, path.bytes, path.size);
	copy[path.size] = 0;
	for (part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		err = mount_lookup(t, &o, str(part), &o);
		if (err)
			return err;
	}
	*out = o;
	return 0;
}

/* ---- extended attributes --------------------------------------------------------------------------- */

static int sized(struct test *t, ssize_t n)
{
	if (n < 0)
		return errno == ERANGE ? ERR_TOOSMALL : err_from_errno(errno);
	t->ans.size = (uint64_t)n;
	return 0;
}

static int mount_get_xattr(struct test *t, const struct obj *o, struct str name, void *value, uint32_t size)
{
	char path[FD_PATH_SIZE];

	become(t);
	return sized(t, getxattr(fd_path(o, path), name.bytes, value, size));
}

static int mount_set_xattr(struct test *t, const struct obj *o, struct str name, struct str value, uint32_t flags)
{
	char path[FD_PATH_SIZE];
	int how = (flags & XATTR_SET_CREATE ? XATTR_CREATE : 0) | (flags & XATTR_SET_REPLACE ? XATTR_REPLACE : 0);

	become(t);
	return result(setxattr(fd_path(o, path), name.bytes, value.bytes, value.size, how));
}

static int mount_list_xattr(struct test *t, const struct obj *o, char *names, uint32_t size)
{
	char path[FD_PATH_SIZE];

	become(t);
	return sized(t, listxattr(fd_path(o, path), names, size));
}

static int mount_remove_xattr(struct test *t, const struct obj *o, struct str name)
{
	char path[FD_PATH_SIZE];

	become(t);
	return result(removexattr(fd_path(o, path), name.bytes));
}

/* ---- data ------------------------------------------------------------------------------------------ */

static int mount_read(struct test *t, const struct obj *o, const struct io *io)
{
	CLEANUP_FD int fd = -1;
	ssize_t n;

	become(t);
	fd = data_fd(o, io->open_id, O_RDONLY);
	if (fd < 0)
		return err_from_errno(errno);
	n = pread(fd, io->data, io->size, (off_t)io->offset);
	if (n < 0)
		return err_from_errno(errno);
	t->ans.size = (uint64_t)n;
	t->ans.eof = n < (ssize_t)io->size;
	return 0;
}

static int mount_write(struct test *t, const struct obj *o, const struct io *io)
{
	CLEANUP_FD int fd = -1;
	ssize_t n;

	become(t);
	fd = data_fd(o, io->open_id, O_WRONLY | (io->flags & WRITE_APPEND ? O_APPEND : 0));
	if (fd < 0)
		return err_from_errno(errno);
	if (io->flags & WRITE_APPEND)
		n = write(fd, io->data, io->size);
	else
		n = pwrite(fd, io->data, io->size, (off_t)io->offset);
	if (n < 0)
		return err_from_errno(errno);
	t->ans.size = (uint64_t)n;
	return n == (ssize_t)io->size ? 0 : ERR_NOSPC;
}

static int mount_commit(struct test *t, const struct obj *o, const struct range *r)
{
	CLEANUP_FD int fd = -1;

	become(t);
	fd = data_fd(o, r->open_id, O_WRONLY);
	return fd < 0 ? err_from_errno(errno) : result(fsync(fd));
}

static int punch(struct test *t, const struct obj *o, const struct range *r, int mode)
{
	CLEANUP_FD int fd = -1;

	become(t);
	fd = data_fd(o, r->open_id, O_WRONLY);
	if (fd < 0)
		return err_from_errno(errno);
	return result(fallocate(fd, mode, (off_t)r->offset, (off_t)r->size));
}

static int keep_size(const struct range *r)
{
	return r->flags & ALLOC_KEEP_SIZE ? FALLOC_FL_KEEP_SIZE : 0;
}

static int mount_allocate(struct test *t, const struct obj *o, const struct range *r)
{
	return punch(t, o, r, keep_size(r));
}

static int mount_deallocate(struct test *t, const struct obj *o, const struct range *r)
{
	return punch(t, o, r, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static int mount_zero(struct test *t, const struct obj *o, const struct range *r)
{
	return punch(t, o, r, FALLOC_FL_ZERO_RANGE | keep_size(r));
}

static int mount_seek(struct test *t, const struct obj *o, uint64_t offset, uint32_t what)
{
	CLEANUP_FD int fd = -1;
	off_t found;

	become(t);
	fd = data_fd(o, 0, O_RDONLY);
	if (fd < 0)
		return err_from_errno(errno);
	found = lseek(fd, (off_t)offset, what == SEEK_TO_DATA ? SEEK_DATA : SEEK_HOLE);
	t->ans.offset = (uint64_t)found;
	return result(found);
}

static int mount_copy(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to,
                      uint64_t to_offset, uint64_t size)
{
	off_t in = (off_t)offset, out = (off_t)to_offset;
	CLEANUP_FD int from_fd = -1;
	CLEANUP_FD int to_fd = -1;
	ssize_t n;

	become(t);
	from_fd = data_fd(from, 0, O_RDONLY);
	if (from_fd < 0)
		return err_from_errno(errno);
	to_fd = data_fd(to, 0, O_WRONLY);
	if (to_fd < 0)
		return err_from_errno(errno);
	n = copy_file_range(from_fd, &in, to_fd, &out, size, 0);
	t->ans.size = (uint64_t)(n < 0 ? 0 : n);
	return result(n);
}

static int mount_clone(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to,
                       uint64_t to_offset, uint64_t size)
{
	struct file_clone_range range = {.src_offset = offset, .src_length = size, .dest_offset = to_offset};
	CLEANUP_FD int from_fd = -1;
	CLEANUP_FD int to_fd = -1;

	become(t);
	from_fd = data_fd(from, 0, O_RDONLY);
	if (from_fd < 0)
		return err_from_errno(errno);
	to_fd = data_fd(to, 0, O_WRONLY);
	if (to_fd < 0)
		return err_from_errno(errno);
	range.src_fd = from_fd;
	return result(ioctl(to_fd, FICLONERANGE, &range));
}

static int mount_sync(struct test *t, const struct obj *o)
{
	CLEANUP_FD int fd = data_fd(o, 0, O_RDONLY);

	return fd < 0 ? err_from_errno(errno) : result(syncfs(fd));
}

/* ---- life ------------------------------------------------------------------------------------------- */

static int mount_run(const struct driver_config *cfg, void (*body)(void *arg), void *arg)
{
	struct stat st;

	umask(0);
	mount_dir = cfg->dir;
	if (!mount_dir || stat(mount_dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return ERR_NOTDIR;
	body(arg);
	return 0;
}

static int mount_root(struct test *t, struct obj *root)
{
	int fd = open(mount_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (geteuid())
		t->features &= ~(HAS_USERS | HAS_MKNOD);
	*root = (struct obj){.handle.size = 1, .fd = fd};
	return result(fd);
}

/* The descriptors are closed with the case's memory. */
static void mount_release(struct test *t)
{
	as(t, &ROOT);
	become(t);
}

struct worker {
	struct test test;
	worker_fn *fn;
	unsigned index;
	void *arg;
	pthread_t thread;
};

static void *run_worker(void *arg)
{
	struct worker *w = arg;

	w->fn(&w->test, w->index, w->arg);
	return NULL;
}

static void mount_together(struct test *t, unsigned n, worker_fn *fn, void *arg)
{
	struct worker *workers = calloc(n, sizeof(*workers));
	const struct op_cred *who = t->as;
	unsigned i;

	/* A new thread starts with its maker's credentials: let them be the ones that become() assumes. */
	as(t, &ROOT);
	become(t);
	for (i = 0; i < n; i++) {
		conform_fork(t, i, &workers[i].test);
		workers[i].test.as = who;
		workers[i].fn = fn;
		workers[i].index = i;
		workers[i].arg = arg;
		pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]);
	}
	for (i = 0; i < n; i++)
		pthread_join(workers[i].thread, NULL);
	as(t, who);
	free(workers);
}

/* Kernel file systems stamp with the coarse clock, or a little ahead of it: the second turn is surely later. */
static void mount_tick(struct test *t)
{
	struct timespec start, now;
	unsigned i;

	for (i = 0; i < 2; i++) {
		clock_gettime(CLOCK_REALTIME_COARSE, &start);
		do {
			sched_yield();
			clock_gettime(CLOCK_REALTIME_COARSE, &now);
		} while (now.tv_nsec == start.tv_nsec && now.tv_sec == start.tv_sec);
	}
}

const struct driver driver_mount = {
	.name = "mount",
	.features = HAS_USERS | HAS_XATTR | HAS_BIG | HAS_HOLES | HAS_EXCHANGE | HAS_MKNOD | HAS_DIRECT | HAS_UNLINKED |
	            HAS_ZERO,
	.run = mount_run,
	.root = mount_root,
	.release = mount_release,
	.together = mount_together,
	.tick = mount_tick,
	.lookup = mount_lookup,
	.lookup_path = mount_lookup_path,
	.parent = mount_parent,
	.readlink = mount_readlink,
	.readdir = mount_readdir,
	.open = mount_open,
	.create_unlinked = mount_create_unlinked,
	.mkdir = mount_mkdir,
	.mknod = mount_mknod,
	.symlink = mount_symlink,
	.link = mount_link,
	.rename = mount_rename,
	.remove = mount_remove,
	.getattr = mount_getattr,
	.setattr = mount_setattr,
	.access = mount_access,
	.statfs = mount_statfs,
	.get_xattr = mount_get_xattr,
	.set_xattr = mount_set_xattr,
	.list_xattr = mount_list_xattr,
	.remove_xattr = mount_remove_xattr,
	.read = mount_read,
	.write = mount_write,
	.commit = mount_commit,
	.allocate = mount_allocate,
	.deallocate = mount_deallocate,
	.zero = mount_zero,
	.seek = mount_seek,
	.copy = mount_copy,
	.clone = mount_clone,
	.close = mount_close,
	.sync = mount_sync,
};
