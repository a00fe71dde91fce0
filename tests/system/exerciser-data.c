/*
 * Operations on what is in a file, and on its attributes. Each does the same to the file and to the model.
 */
#include "exerciser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define XATTR_NAME "user.exerciser"

enum { PAGE = 4096 };

struct range {
	uint32_t offset;
	uint32_t size;
};

/* Mostly small, sometimes up to limit; never empty, never past limit. */
static struct range pick_range(struct ex *x, uint32_t limit)
{
	static const uint32_t bounds[] = {16, 512, 4096, 20000, 100000, UINT32_MAX};
	struct range r;

	r.offset = ex_random(x, limit);
	r.size = 1 + ex_random(x, MIN(bounds[ex_random(x, ARRAY_SIZE(bounds))], limit - r.offset));
	return r;
}

static void fill(struct ex *x, uint8_t *data, uint32_t size)
{
	uint32_t stamp = ++x->serial;

	for (uint32_t i = 0; i < size; i++)
		data[i] = (uint8_t)((stamp + i / 64) * 167 + i);
}

/* The bytes at r of the file are now those in scratch. */
static void model_write(struct ex *x, int file, struct range r, const uint8_t *data)
{
	struct ex_file *f = &x->files[file];

	memcpy(f->data + r.offset, data, r.size);
	f->size = MAX(f->size, r.offset + r.size);
}

static void write_full(struct ex *x, int fd, struct range r)
{
	for (uint32_t done = 0; done < r.size;) {
		ssize_t n = pwrite(fd, x->scratch + done, r.size - done, r.offset + done);
		if (n <= 0)
			ex_fail(x, "pwrite of %u at %u returned %zd", r.size - done, r.offset + done, n);
		done += (uint32_t)n;
	}
}

static void read_full(struct ex *x, int fd, struct range r)
{
	for (uint32_t done = 0; done < r.size;) {
		ssize_t n = pread(fd, x->scratch + done, r.size - done, r.offset + done);
		if (n <= 0)
			ex_fail(x, "pread of %u at %u returned %zd", r.size - done, r.offset + done, n);
		done += (uint32_t)n;
	}
}

void do_write(struct ex *x)
{
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	struct range r = pick_range(x, x->max_size);

	ex_log(x, "file %d offset %u size %u", file, r.offset, r.size);
	fill(x, x->scratch, r.size);
	write_full(x, ex_fd(x, file), r);
	model_write(x, file, r, x->scratch);
}

void do_append(struct ex *x)
{
	char path[EX_PATH_MAX];
	int file = ex_pick_file(x);
	if (file == NO_FILE || !ex_find_name(x, file, path) || x->files[file].size == x->max_size)
		return;
	struct range r = {.offset = x->files[file].size};

	r.size = 1 + ex_random(x, MIN(5000U, x->max_size - r.offset));
	ex_log(x, "file %d at %u size %u", file, r.offset, r.size);
	fill(x, x->scratch, r.size);
	int fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, x->scratch, r.size) != (ssize_t)r.size || close(fd) != 0)
		ex_fail(x, "append to %s", path);
	model_write(x, file, r, x->scratch);
}

void do_read(struct ex *x)
{
	uint8_t byte;
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	struct ex_file *f = &x->files[file];

	if (f->size == 0) {
		if (pread(ex_fd(x, file), &byte, 1, 0) != 0)
			ex_fail(x, "read from empty file %d gave data", file);
		return;
	}
	struct range r = pick_range(x, f->size);
	ex_log(x, "file %d offset %u size %u of %u", file, r.offset, r.size, f->size);
	read_full(x, ex_fd(x, file), r);
	ex_compare(x, file, x->scratch, r.offset, r.size);
}

void do_truncate(struct ex *x)
{
	char path[EX_PATH_MAX];
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	uint32_t size = ex_random(x, 3) ? ex_random(x, x->max_size) : ex_random(x, 2) * ex_random(x, x->files[file].size + 1);
	bool by_name = ex_random(x, 2) && ex_find_name(x, file, path);

	ex_log(x, "file %d to %u %s", file, size, by_name ? "by name" : "");
	if ((by_name ? truncate(path, size) : ftruncate(ex_fd(x, file), size)) != 0)
		ex_fail(x, "truncate of file %d to %u", file, size);
	ex_set_size(&x->files[file], size);
}

/* Maps the pages of a random range of a file; NULL when there is nothing to map. */
static uint8_t *map_range(struct ex *x, int *file, struct range *r, int prot)
{
	*file = ex_pick_file(x);
	if (*file == NO_FILE || x->files[*file].size == 0)
		return NULL;
	*r = pick_range(x, x->files[*file].size);
	ex_log(x, "file %d offset %u size %u of %u", *file, r->offset, r->size, x->files[*file].size);
	uint32_t start = ALIGN_DOWN(r->offset, (uint32_t)PAGE);
	void *map = mmap(NULL, r->offset + r->size - start, prot, MAP_SHARED, ex_fd(x, *file), start);
	if (map == MAP_FAILED) {
		ex_refused(x, -1, "mmap");
		return NULL;
	}
	return (uint8_t *)map + (r->offset - start);
}

static void unmap_range(struct ex *x, uint8_t *at, struct range r)
{
	uint8_t *start = (uint8_t *)ALIGN_DOWN((uintptr_t)at, (uintptr_t)PAGE);

	if (munmap(start, (size_t)(at + r.size - start)) != 0)
		ex_fail(x, "munmap");
}

void do_mmap_write(struct ex *x)
{
	struct range r;
	int file;
	uint8_t *at = map_range(x, &file, &r, PROT_READ | PROT_WRITE);

	if (!at)
		return;
	fill(x, at, r.size);
	model_write(x, file, r, at);
	uint8_t *start = (uint8_t *)ALIGN_DOWN((uintptr_t)at, (uintptr_t)PAGE);
	if (ex_random(x, 2) && msync(start, (size_t)(at + r.size - start), MS_SYNC) != 0)
		ex_fail(x, "msync");
	unmap_range(x, at, r);
}

void do_mmap_read(struct ex *x)
{
	struct range r;
	int file;
	uint8_t *at = map_range(x, &file, &r, PROT_READ);

	if (!at)
		return;
	ex_compare(x, file, at, r.offset, r.size);
	unmap_range(x, at, r);
}

/* fallocate() of a random range, noted; false when refused. */
static bool change_space(struct ex *x, int mode, int *file, struct range *r)
{
	*file = ex_pick_file(x);
	if (*file == NO_FILE)
		return false;
	*r = pick_range(x, x->max_size);
	ex_log(x, "file %d offset %u size %u of %u", *file, r->offset, r->size, x->files[*file].size);
	return !ex_refused(x, fallocate(ex_fd(x, *file), mode, r->offset, r->size), "fallocate");
}

static void model_zero(struct ex_file *f, struct range r)
{
	if (r.offset < f->size)
		memset(f->data + r.offset, 0, MIN(r.size, f->size - r.offset));
}

void do_punch(struct ex *x)
{
	struct range r;
	int file;

	if (change_space(x, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, &file, &r))
		model_zero(&x->files[file], r);
}

void do_zero(struct ex *x)
{
	struct range r;
	int file;

	if (!change_space(x, FALLOC_FL_ZERO_RANGE, &file, &r))
		return;
	model_zero(&x->files[file], r);
	x->files[file].size = MAX(x->files[file].size, r.offset + r.size);
}

void do_allocate(struct ex *x)
{
	struct range r;
	int file;

	if (change_space(x, 0, &file, &r))
		x->files[file].size = MAX(x->files[file].size, r.offset + r.size);
}

void do_copy(struct ex *x)
{
	int from = ex_pick_file(x), to = ex_pick_file(x);
	if (from == NO_FILE || from == to || x->files[from].size == 0)
		return;
	struct range r = pick_range(x, x->files[from].size);
	loff_t in = r.offset, out = ex_random(x, x->max_size - r.size + 1);
	struct range target = {.offset = (uint32_t)out};

	ex_log(x, "file %d offset %u size %u to file %d offset %lld", from, r.offset, r.size, to, (long long)out);
	ssize_t n = copy_file_range(ex_fd(x, from), &in, ex_fd(x, to), &out, r.size, 0);
	if (ex_refused(x, n, "copy_file_range"))
		return;
	target.size = (uint32_t)n;
	model_write(x, to, target, x->files[from].data + r.offset);
}

static bool all_zero(const uint8_t *data, uint32_t size)
{
	return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* Whatever a file system calls a hole, what it skips must be zeros. */
void do_seek(struct ex *x)
{
	int file = ex_pick_file(x);
	if (file == NO_FILE || x->files[file].size == 0)
		return;
	struct ex_file *f = &x->files[file];
	uint32_t from = ex_random(x, f->size);

	ex_log(x, "file %d from %u of %u", file, from, f->size);
	off_t data = lseek(ex_fd(x, file), from, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		data = f->size;
	else if (ex_refused(x, data, "SEEK_DATA"))
		return;
	if (data < from || data > f->size || !all_zero(f->data + from, (uint32_t)data - from))
		ex_fail(x, "file %d: SEEK_DATA from %u gave %lld and skipped data", file, from, (long long)data);
	off_t hole = lseek(ex_fd(x, file), from, SEEK_HOLE);
	if (hole < from || hole > f->size)
		ex_fail(x, "file %d: SEEK_HOLE from %u gave %lld", file, from, (long long)hole);
}

void do_sync(struct ex *x)
{
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	bool data_only = ex_random(x, 2);

	ex_log(x, "file %d", file);
	if ((data_only ? fdatasync(ex_fd(x, file)) : fsync(ex_fd(x, file))) != 0)
		ex_fail(x, "fsync of file %d", file);
}

/* Makes the client drop what it caches, so that the next read asks the server. */
void do_forget(struct ex *x)
{
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	ex_log(x, "file %d", file);
	if (fsync(ex_fd(x, file)) != 0 || posix_fadvise(ex_fd(x, file), 0, 0, POSIX_FADV_DONTNEED) != 0)
		ex_fail(x, "fadvise of file %d", file);
}

/* What was stored through a mapping need not be seen by direct I/O before it is synced. */
static int open_direct(struct ex *x, int *file, int flags)
{
	char path[EX_PATH_MAX];

	*file = ex_pick_file(x);
	if (*file == NO_FILE || !ex_find_name(x, *file, path))
		return -1;
	if (fsync(ex_fd(x, *file)) != 0)
		ex_fail(x, "fsync of file %d", *file);
	int fd = open(path, flags | O_DIRECT);
	if (fd < 0)
		ex_refused(x, fd, "open with O_DIRECT");
	return fd;
}

void do_direct_read(struct ex *x)
{
	int file, fd = open_direct(x, &file, O_RDONLY);
	if (fd < 0)
		return;
	struct ex_file *f = &x->files[file];
	struct range r = {.offset = ALIGN_DOWN(ex_random(x, x->max_size), (uint32_t)PAGE)};

	r.size = MIN(PAGE * (1 + ex_random(x, 16)), ALIGN_DOWN(x->max_size - r.offset, (uint32_t)PAGE));
	ex_log(x, "file %d offset %u size %u of %u", file, r.offset, r.size, f->size);
	ssize_t n = pread(fd, x->scratch, r.size, r.offset);
	uint32_t expected = r.offset < f->size ? MIN(r.size, f->size - r.offset) : 0;
	if (n != (ssize_t)expected)
		ex_fail(x, "direct read of %u at %u of %u returned %zd", r.size, r.offset, f->size, n);
	ex_compare(x, file, x->scratch, r.offset, expected);
	close(fd);
}

void do_direct_write(struct ex *x)
{
	int file, fd = open_direct(x, &file, O_WRONLY);
	if (fd < 0)
		return;
	struct range r = {.offset = ALIGN_DOWN(ex_random(x, x->max_size), (uint32_t)PAGE)};

	r.size = MIN(PAGE * (1 + ex_random(x, 16)), ALIGN_DOWN(x->max_size - r.offset, (uint32_t)PAGE));
	ex_log(x, "file %d offset %u size %u", file, r.offset, r.size);
	fill(x, x->scratch, r.size);
	write_full(x, fd, r);
	model_write(x, file, r, x->scratch);
	close(fd);
}

void do_xattr(struct ex *x)
{
	uint32_t value = 0;
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	struct ex_file *f = &x->files[file];

	ex_log(x, "file %d", file);
	ssize_t n = fgetxattr(ex_fd(x, file), XATTR_NAME, &value, sizeof(value));
	if (n < 0 && errno == ENODATA)
		value = 0;
	else if (ex_refused(x, n, "fgetxattr"))
		return;
	if (value != f->xattr)
		ex_fail(x, "file %d: attribute is %u, expected %u", file, value, f->xattr);
	value = ++x->serial;
	if (!ex_refused(x, fsetxattr(ex_fd(x, file), XATTR_NAME, &value, sizeof(value), 0), "fsetxattr"))
		f->xattr = value;
}

void do_stat(struct ex *x)
{
	struct stat st;
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	struct ex_file *f = &x->files[file];

	ex_log(x, "file %d", file);
	if (fstat(ex_fd(x, file), &st) != 0)
		ex_fail(x, "fstat of file %d", file);
	/* An NFS client keeps a removed name of an open file as a hidden link until the file is closed. */
	if (st.st_size != f->size || (st.st_mode & 07777) != f->mode || st.st_nlink < f->n_links)
		ex_fail(x, "file %d: size %lld mode %o links %u, expected %u %o %u", file, (long long)st.st_size,
		        st.st_mode & 07777, (unsigned)st.st_nlink, f->size, f->mode, f->n_links);
}

void do_chmod(struct ex *x)
{
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	mode_t mode = 0600 | ex_random(x, 0100);

	ex_log(x, "file %d to %o", file, mode);
	if (fchmod(ex_fd(x, file), mode) != 0)
		ex_fail(x, "fchmod of file %d", file);
	x->files[file].mode = mode;
}

void do_utimes(struct ex *x)
{
	struct stat st;
	int file = ex_pick_file(x);
	if (file == NO_FILE)
		return;
	struct timespec times[2] = {{.tv_sec = 1000000000 + ex_random(x, 1000000), .tv_nsec = ex_random(x, 1000000000)},
	                            {.tv_sec = 1100000000 + ex_random(x, 1000000), .tv_nsec = ex_random(x, 1000000000)}};

	ex_log(x, "file %d", file);
	if (futimens(ex_fd(x, file), times) != 0 || fstat(ex_fd(x, file), &st) != 0)
		ex_fail(x, "futimens of file %d", file);
	if (st.st_mtim.tv_sec != times[1].tv_sec || st.st_mtim.tv_nsec != times[1].tv_nsec)
		ex_fail(x, "file %d: modification time is %lld.%09ld, set to %lld.%09ld", file, (long long)st.st_mtim.tv_sec,
		        st.st_mtim.tv_nsec, (long long)times[1].tv_sec, times[1].tv_nsec);
}
