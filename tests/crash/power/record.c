/*
 * See record.h. The calls are made by syscall(2), so nothing is looked up at run time and nothing recurses.
 * Which file a descriptor means is kept in a table from open to close; files and directories are known by their
 * inode numbers, once they or the directory they are in were seen.
 */
#include "tests/crash/power/record-impl.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 4096
#define INODES_MAX 4096
#define PATH_ROOM 4096
#define FLUSH_NS 30000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct record_log *the_log;
static uint32_t n_max;
static uint64_t data_max;
static uint8_t *data_base;
static struct open_file fds[FDS_MAX];
static uint64_t inodes[INODES_MAX]; /* known ones, in no order */
static uint32_t n_inodes;
static enum record_lie the_lie;

/* ---- the log */

struct record_log *record_create(uint32_t max, uint64_t bytes)
{
	size_t size = sizeof(struct record_log) + max * sizeof(struct record) + bytes;
	struct record_log *log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (log == MAP_FAILED)
		return NULL;
	n_max = max;
	data_max = bytes;
	return log;
}

void record_free(struct record_log *log)
{
	munmap(log, sizeof(*log) + n_max * sizeof(struct record) + data_max);
}

/* All logs of a program have the same size. */
static uint8_t *data_of(const struct record_log *log)
{
	return (uint8_t *)&log->records[n_max];
}

const uint8_t *record_data(const struct record_log *log, const struct record *r)
{
	return data_of(log) + r->data;
}

static void know(uint64_t ino)
{
	for (uint32_t i = 0; i < n_inodes; i++)
		if (inodes[i] == ino)
			return;
	if (n_inodes == INODES_MAX)
		abort();
	inodes[n_inodes++] = ino;
}

static bool known(uint64_t ino)
{
	for (uint32_t i = 0; i < n_inodes; i++)
		if (inodes[i] == ino)
			return true;
	return false;
}

static int know_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path, (void)flag, (void)ftw;
	know(st->st_ino);
	return 0;
}

void record_start(struct record_log *log, const char *path)
{
	struct stat st;
	if (stat(path, &st))
		abort();
	n_inodes = 0;
	if (nftw(path, know_one, 8, FTW_PHYS))
		abort();
	pthread_mutex_lock(&lock);
	memset(fds, 0, sizeof(fds));
	log->n = 0;
	log->overflow = 0;
	log->data_size = 0;
	log->root = st.st_ino;
	data_base = data_of(log);
	the_log = log;
	pthread_mutex_unlock(&lock);
}

void record_stop(void)
{
	pthread_mutex_lock(&lock);
	the_log = NULL;
	memset(fds, 0, sizeof(fds));
	pthread_mutex_unlock(&lock);
}

void record_set_lie(enum record_lie lie)
{
	the_lie = lie;
}

/* With the lock. The record's index. */
static uint32_t append(const struct record *r)
{
	if (the_log->n == n_max) {
		the_log->overflow = 1;
		return 0;
	}
	the_log->records[the_log->n] = *r;
	return the_log->n++;
}

static uint64_t append_data(const void *bytes, size_t size)
{
	uint64_t at = the_log->data_size;
	if (size > data_max - at) {
		the_log->overflow = 1;
		return 0;
	}
	memcpy(data_base + at, bytes, size);
	the_log->data_size = at + size;
	return at;
}

static void append_end(uint32_t ref, int64_t result)
{
	append(&(struct record){.kind = REC_END, .ref = ref, .size = (uint64_t)result});
}

uint32_t record_mark(uint64_t number, uint32_t what)
{
	uint32_t n = 0;
	pthread_mutex_lock(&lock);
	if (the_log) {
		append(&(struct record){.kind = REC_MARK, .other = number, .flags = what});
		n = the_log->n;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

void record_print(const struct record_log *log, uint32_t i)
{
	static const char *const kinds[] = {"end", "write", "zero", "size", "grow", "flush", "name", "unname", "rename", "mark"};
	const struct record *r = &log->records[i];
	fprintf(stderr, "%6u %-6s", i, kinds[r->kind]);
	if (r->kind == REC_END)
		fprintf(stderr, " of %u: %lld\n", r->ref, (long long)r->size);
	else if (r->kind == REC_MARK)
		fprintf(stderr, " %llu %u\n", (unsigned long long)r->other, r->flags);
	else
		fprintf(stderr, " inode %llu%s%s %llu+%llu %.*s\n", (unsigned long long)r->file, r->flags & RECORD_SYNC ? " sync" : "",
		        r->flags & RECORD_DIR ? " dir" : "", (unsigned long long)r->offset, (unsigned long long)r->size,
		        (int)r->name_size, (const char *)record_data(log, r));
}

/* ---- faults */

static enum record_fault fault;
static _Atomic uint32_t fault_left;
static const char *fault_call;

void record_fail(enum record_fault what, uint32_t nth)
{
	fault_call = NULL;
	fault = what;
	fault_left = what ? nth : 0;
}

bool record_fail_hit(const char **call)
{
	*call = fault_call;
	return fault_call;
}

static bool fits(unsigned traits)
{
	switch (fault) {
	case FAULT_EIO: return true;
	case FAULT_LATE: return traits & STORES;
	case FAULT_ENOSPC: return traits & NEEDS_ROOM;
	case FAULT_SHORT: return traits & MOVES;
	case FAULT_CORRUPT: return traits & READS;
	case FAULT_NONE: break;
	}
	return false;
}

/* Which fault this call has to have. */
enum record_fault record_draw_fault(const char *call, unsigned traits)
{
	if (likely(fault_left == 0) || !fits(traits) || --fault_left)
		return FAULT_NONE;
	fault_call = call;
	return fault;
}

/* Answers true when the call fails outright. */
static bool fails(enum record_fault f)
{
	if (f == FAULT_EIO)
		errno = EIO;
	if (f == FAULT_ENOSPC)
		errno = ENOSPC;
	return f == FAULT_EIO || f == FAULT_ENOSPC;
}

static int say_eio(void)
{
	errno = EIO;
	return -1;
}

/* ---- which files are ours */

struct open_file record_file_of(int fd)
{
	return the_log && fd >= 0 && fd < FDS_MAX ? fds[fd] : (struct open_file){0};
}

/* The directory that path's last component is in, 0: none of ours; *name is that component. */
static uint64_t parent_of(int dirfd, const char *path, const char **name)
{
	char dir[PATH_ROOM];
	struct stat st;
	const char *slash = strrchr(path, '/');
	*name = slash ? slash + 1 : path;
	if (!the_log || (size_t)(*name - path) >= sizeof(dir))
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	if (fstatat(dirfd, dir[0] ? dir : "/", &st, 0))
		return 0;
	pthread_mutex_lock(&lock);
	bool ours = known(st.st_ino);
	pthread_mutex_unlock(&lock);
	return ours ? st.st_ino : 0;
}

static void note_name(uint64_t dir, const char *name, uint64_t ino, unsigned flags)
{
	pthread_mutex_lock(&lock);
	know(ino);
	uint32_t size = (uint32_t)strlen(name);
	append(&(struct record){.kind = REC_NAME, .file = dir, .other = ino, .flags = flags, .name_size = size,
	                        .data = append_data(name, size)});
	pthread_mutex_unlock(&lock);
}

/* Eight hexadecimal digits. */
static bool is_segment(const char *name)
{
	return strlen(name) == 8 && strspn(name, "0123456789abcdef") == 8;
}

struct opening record_opening(int dirfd, const char *path, int flags)
{
	struct opening o = {.flags = flags};
	struct stat st;
	o.dir = parent_of(dirfd, path, &o.name);
	o.fresh = o.dir && (flags & O_CREAT) && fstatat(dirfd, path, &st, 0) != 0;
	/* A file in memory knows no direct I/O; what matters of it is the alignment that others see to. */
	if (o.dir)
		o.flags &= ~O_DIRECT;
	return o;
}

void record_opened(int fd, const struct opening *o)
{
	struct stat st;
	if (!the_log || fd < 0 || fd >= FDS_MAX || fstat(fd, &st))
		return;
	if (o->fresh)
		note_name(o->dir, o->name, st.st_ino, 0);
	pthread_mutex_lock(&lock);
	if (o->dir && !S_ISDIR(st.st_mode))
		know(st.st_ino);
	if (known(st.st_ino))
		fds[fd] = (struct open_file){st.st_ino, o->flags & O_DSYNC, S_ISDIR(st.st_mode), is_segment(o->name)};
	if (fds[fd].ino && (o->flags & O_TRUNC) && !o->fresh)
		append(&(struct record){.kind = REC_SIZE, .file = st.st_ino});
	pthread_mutex_unlock(&lock);
}

static int do_open(int dirfd, const char *path, int flags, mode_t mode)
{
	struct opening o = record_opening(dirfd, path, flags);
	if (o.dir && fails(record_draw_fault("open", flags & O_CREAT ? NEEDS_ROOM : 0)))
		return -1;
	int fd = (int)syscall(SYS_openat, dirfd, path, o.flags, mode);
	record_opened(fd, &o);
	return fd;
}

/* ---- opening and closing */

static mode_t mode_in(va_list ap, int flags)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = mode_in(ap, flags);
	va_end(ap);
	return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = mode_in(ap, flags);
	va_end(ap);
	return do_open(dirfd, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dirfd, const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags)
{
	return do_open(dirfd, path, flags, 0);
}

void record_closing(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		fds[fd] = (struct open_file){0};
}

int close(int fd)
{
	record_closing(fd);
	return (int)syscall(SYS_close, fd);
}

/* ---- writing */

size_t record_iov_size(const struct iovec *iov, int n)
{
	size_t size = 0;
	for (int i = 0; i < n; i++)
		size += iov[i].iov_len;
	return size;
}

static bool lies_about_write(struct open_file f)
{
	return the_lie == RECORD_NO_DSYNC || (the_lie == RECORD_NO_DATASYNC && f.data);
}

uint32_t record_begin_write(struct open_file f, const struct iovec *iov, int n, uint64_t offset, bool sync)
{
	pthread_mutex_lock(&lock);
	struct record r = {.kind = REC_WRITE, .file = f.ino, .offset = offset, .size = record_iov_size(iov, n)};
	r.flags = (sync || f.sync) && !lies_about_write(f) ? RECORD_SYNC : 0;
	r.data = the_log->data_size;
	for (int i = 0; i < n; i++)
		append_data(iov[i].iov_base, iov[i].iov_len);
	uint32_t at = append(&r);
	pthread_mutex_unlock(&lock);
	return at;
}

void record_end(uint32_t begin, int64_t result)
{
	int saved = errno;
	pthread_mutex_lock(&lock);
	if (the_log)
		append_end(begin, result);
	pthread_mutex_unlock(&lock);
	errno = saved;
}

static ssize_t raw_writev(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
	if (offset < 0)
		return syscall(SYS_writev, fd, iov, n);
	return syscall(SYS_pwritev2, fd, iov, n, (long)offset, 0L, flags);
}

/* The first half, in whole sectors. */
static ssize_t write_half(int fd, const struct iovec *iov, int n, int64_t offset)
{
	size_t half = record_iov_size(iov, n) / 2 / SECTOR * SECTOR, part = MIN(iov[0].iov_len, half);
	(void)n;
	if (part == 0)
		return raw_writev(fd, iov, n, offset, 0);
	return raw_writev(fd, &(struct iovec){iov[0].iov_base, part}, 1, offset, 0);
}

/* offset -1: at the descriptor's own place. */
static ssize_t do_write(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
	struct open_file f = record_file_of(fd);
	if (!f.ino)
		return raw_writev(fd, iov, n, offset, flags);
	/* So LMDB writes the page that ends a transaction, and nobody else. */
	const char *name = f.sync && record_iov_size(iov, n) < SECTOR ? RECORD_COMMIT : "write";
	enum record_fault bad = record_draw_fault(name, NEEDS_ROOM | MOVES | STORES);
	if (fails(bad))
		return -1;
	int64_t at = offset < 0 ? syscall(SYS_lseek, fd, 0L, SEEK_CUR) : offset;
	uint32_t begin = record_begin_write(f, iov, n, (uint64_t)at, flags & (RWF_DSYNC | RWF_SYNC));
	ssize_t done = bad == FAULT_SHORT ? write_half(fd, iov, n, offset) : raw_writev(fd, iov, n, offset, flags);
	record_end(begin, done);
	return bad == FAULT_LATE ? say_eio() : done;
}

ssize_t write(int fd, const void *data, size_t size)
{
	return do_write(fd, &(struct iovec){(void *)data, size}, 1, -1, 0);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return do_write(fd, iov, n, -1, 0);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return do_write(fd, &(struct iovec){(void *)data, size}, 1, offset, 0);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	return do_write(fd, iov, n, offset, 0);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	return do_write(fd, iov, n, offset, flags);
}

/* ---- reading, for faults only */

static ssize_t raw_readv(int fd, const struct iovec *iov, int n, int64_t offset)
{
	return offset < 0 ? syscall(SYS_readv, fd, iov, n) : syscall(SYS_preadv2, fd, iov, n, (long)offset, 0L, 0);
}

static ssize_t do_read(int fd, const struct iovec *iov, int n, int64_t offset)
{
	struct open_file f = record_file_of(fd);
	enum record_fault bad = f.ino ? record_draw_fault("read", READS | MOVES) : FAULT_NONE;
	if (fails(bad))
		return -1;
	if (bad == FAULT_SHORT && iov[0].iov_len > SECTOR)
		return raw_readv(fd, &(struct iovec){iov[0].iov_base, iov[0].iov_len / 2 / SECTOR * SECTOR}, 1, offset);
	ssize_t done = raw_readv(fd, iov, n, offset);
	if (bad == FAULT_CORRUPT && done > 0)
		((uint8_t *)iov[0].iov_base)[MIN((size_t)done, iov[0].iov_len) / 2] ^= 0x10;
	return done;
}

ssize_t read(int fd, void *data, size_t size)
{
	return do_read(fd, &(struct iovec){data, size}, 1, -1);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	return do_read(fd, &(struct iovec){data, size}, 1, offset);
}

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
	return do_read(fd, iov, n, offset);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	(void)flags;
	return do_read(fd, iov, n, offset);
}

/* ---- flushing and sizes */

bool record_lies_about(struct open_file f)
{
	switch (the_lie) {
	case RECORD_NO_FLUSH: return !f.dir;
	case RECORD_NO_DATASYNC: return f.data;
	case RECORD_NO_DIRSYNC: return f.dir;
	default: return false;
	}
}

uint32_t record_begin_flush(struct open_file f)
{
	pthread_mutex_lock(&lock);
	uint32_t begin = append(&(struct record){.kind = REC_FLUSH, .file = f.ino, .flags = f.dir ? RECORD_DIR : 0});
	pthread_mutex_unlock(&lock);
	return begin;
}

static int do_flush(int fd, int number, const char *name)
{
	struct open_file f = record_file_of(fd);
	if (!f.ino)
		return (int)syscall(number, fd);
	enum record_fault bad = record_draw_fault(name, NEEDS_ROOM | STORES);
	if (fails(bad))
		return -1;
	if (record_lies_about(f))
		return 0;
	uint32_t begin = record_begin_flush(f);
	/* As a disk would: others arrive meanwhile. */
	nanosleep(&(struct timespec){0, FLUSH_NS}, NULL);
	record_end(begin, 0);
	return bad == FAULT_LATE ? say_eio() : 0;
}

int fsync(int fd)
{
	return do_flush(fd, SYS_fsync, "fsync");
}

int fdatasync(int fd)
{
	return do_flush(fd, SYS_fdatasync, "fdatasync");
}

/* Applied at once: the host orders it with other changes of the file. */
static void note_change(struct open_file f, struct record r)
{
	r.file = f.ino;
	pthread_mutex_lock(&lock);
	if (the_log)
		append(&r);
	pthread_mutex_unlock(&lock);
}

void record_allocated(struct open_file f, int mode, uint64_t offset, uint64_t size)
{
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		note_change(f, (struct record){.kind = REC_ZERO, .offset = offset, .size = size});
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		note_change(f, (struct record){.kind = REC_GROW, .size = offset + size});
}

int ftruncate(int fd, off_t size)
{
	struct open_file f = record_file_of(fd);
	if (f.ino && fails(record_draw_fault("ftruncate", NEEDS_ROOM)))
		return -1;
	int err = (int)syscall(SYS_ftruncate, fd, size);
	if (!err && f.ino)
		note_change(f, (struct record){.kind = REC_SIZE, .size = (uint64_t)size});
	return err;
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
	struct open_file f = record_file_of(fd);
	if (f.ino && fails(record_draw_fault("fallocate", mode & FALLOC_FL_PUNCH_HOLE ? 0 : NEEDS_ROOM)))
		return -1;
	int err = (int)syscall(SYS_fallocate, fd, mode, offset, size);
	if (!err && f.ino)
		record_allocated(f, mode, (uint64_t)offset, (uint64_t)size);
	return err;
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
	return fallocate(fd, 0, offset, size) ? errno : 0;
}

/* ---- names */

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	const char *name;
	struct stat st;
	uint64_t dir = parent_of(dirfd, path, &name);
	if (dir && fails(record_draw_fault("mkdir", NEEDS_ROOM)))
		return -1;
	int err = (int)syscall(SYS_mkdirat, dirfd, path, mode);
	if (!err && dir && fstatat(dirfd, path, &st, 0) == 0)
		note_name(dir, name, st.st_ino, RECORD_DIR);
	return err;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

struct naming record_naming(int from_fd, const char *from, int to_fd, const char *to)
{
	struct naming n = {.to = NULL};
	n.dir = parent_of(from_fd, from, &n.name);
	/* Within one directory: nothing here moves files. */
	if (to && parent_of(to_fd, to, &n.to) != n.dir)
		abort();
	return n;
}

void record_named(const struct naming *n)
{
	uint32_t size = (uint32_t)strlen(n->name);
	struct record r = {.kind = n->to ? REC_RENAME : REC_UNNAME, .file = n->dir, .name_size = size};
	pthread_mutex_lock(&lock);
	if (the_log) {
		r.data = append_data(n->name, size + 1);
		if (n->to)
			append_data(n->to, strlen(n->to) + 1);
		append(&r);
	}
	pthread_mutex_unlock(&lock);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	struct naming n = record_naming(dirfd, path, 0, NULL);
	if (n.dir && fails(record_draw_fault("unlink", 0)))
		return -1;
	int err = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	if (!err && n.dir)
		record_named(&n);
	return err;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	struct naming n = record_naming(from_fd, from, to_fd, to);
	if (n.dir && fails(record_draw_fault("rename", NEEDS_ROOM)))
		return -1;
	int err = (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
	if (!err && n.dir)
		record_named(&n);
	return err;
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
