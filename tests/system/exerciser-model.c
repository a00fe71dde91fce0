/*
 * The model: which names exist, which file each is a link of, and every byte of every file.
 */
#include "exerciser.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTLE_TRIES = 100, SETTLE_US = 50000 };

void ex_init(struct ex *x)
{
	char path[EX_PATH_MAX];

	umask(0);
	x->n_dirs = x->n_files < 4 ? 1 : 6;
	x->n_names = x->n_files < 4 ? 3 : 24;
	x->files = calloc((size_t)x->n_files, sizeof(*x->files));
	x->scratch = aligned_alloc(4096, ALIGN_UP(x->max_size, 4096U));
	if (!x->files || !x->scratch)
		err(1, "memory for the model");
	for (int i = 0; i < x->n_files; i++) {
		x->files[i].fd = -1;
		x->files[i].data = calloc(1, x->max_size);
		if (!x->files[i].data)
			err(1, "memory for the model");
	}
	for (int d = 0; d < x->n_dirs; d++) {
		for (int n = 0; n < x->n_names; n++)
			x->names[d][n].file = NO_FILE;
		ex_dir_path(x, d, path);
		if (mkdir(path, 0755) != 0)
			err(1, "mkdir %s", path);
	}
}

void ex_dir_path(const struct ex *x, int dir, char path[EX_PATH_MAX])
{
	snprintf(path, EX_PATH_MAX, "%s/dir%d-%u", x->root, dir, x->dir_serials[dir]);
}

void ex_name_path(const struct ex *x, int dir, int name, char path[EX_PATH_MAX])
{
	snprintf(path, EX_PATH_MAX, "%s/dir%d-%u/name%d", x->root, dir, x->dir_serials[dir], name);
}

static bool is_alive(const struct ex_file *f)
{
	return f->n_links > 0 || f->fd >= 0;
}

int ex_pick_file(struct ex *x)
{
	int start = (int)ex_random(x, (uint32_t)x->n_files);

	for (int i = 0; i < x->n_files; i++) {
		int file = (start + i) % x->n_files;
		if (is_alive(&x->files[file]))
			return file;
	}
	return NO_FILE;
}

int ex_free_file(const struct ex *x)
{
	for (int i = 0; i < x->n_files; i++)
		if (!is_alive(&x->files[i]))
			return i;
	return NO_FILE;
}

bool ex_find_name(const struct ex *x, int file, char path[EX_PATH_MAX])
{
	for (int d = 0; d < x->n_dirs; d++) {
		for (int n = 0; n < x->n_names; n++) {
			if (x->names[d][n].file == file) {
				ex_name_path(x, d, n, path);
				return true;
			}
		}
	}
	return false;
}

int ex_fd(struct ex *x, int file)
{
	struct ex_file *f = &x->files[file];
	char path[EX_PATH_MAX];

	if (f->fd >= 0)
		return f->fd;
	if (!ex_find_name(x, file, path))
		ex_fail(x, "the model lost file %d", file);
	f->fd = open(path, O_RDWR);
	if (f->fd < 0)
		ex_fail(x, "open %s", path);
	return f->fd;
}

static void end_if_dead(struct ex_file *f)
{
	if (is_alive(f))
		return;
	ex_set_size(f, 0);
	f->xattr = 0;
}

void ex_unlinked(struct ex *x, int file)
{
	x->files[file].n_links--;
	end_if_dead(&x->files[file]);
}

void ex_close(struct ex *x, int file)
{
	struct ex_file *f = &x->files[file];

	if (close(f->fd) != 0)
		ex_fail(x, "close of file %d", file);
	f->fd = -1;
	end_if_dead(f);
}

void ex_set_size(struct ex_file *f, uint32_t size)
{
	if (size < f->size)
		memset(f->data + size, 0, f->size - size);
	f->size = size;
}

void ex_compare(struct ex *x, int file, const uint8_t *got, uint32_t offset, uint32_t size)
{
	const uint8_t *expected = x->files[file].data + offset;
	uint32_t at = 0, n_bad = 0;

	if (memcmp(got, expected, size) == 0)
		return;
	for (uint32_t i = size; i-- > 0;) {
		if (got[i] != expected[i]) {
			at = i;
			n_bad++;
		}
	}
	ex_fail(x, "file %d: %u bytes differ, the first at %u: expected %02x, got %02x", file, n_bad, offset + at,
	        expected[at], got[at]);
}

/* Attributes by a fresh open. NFS clients remove hidden links of closed files a moment later: that is waited for. */
static int open_settled(struct ex *x, const struct ex_file *f, const char *path, struct stat *st)
{
	for (int i = 0;; i++) {
		int fd = open(path, O_RDONLY);
		if (fd < 0 || fstat(fd, st) != 0)
			ex_fail(x, "open %s", path);
		if (st->st_nlink <= f->n_links || i == SETTLE_TRIES)
			return fd;
		close(fd);
		usleep(SETTLE_US);
	}
}

static void verify_file(struct ex *x, int file, const char *path)
{
	struct ex_file *f = &x->files[file];
	struct stat st;
	int fd = open_settled(x, f, path, &st);

	if (st.st_size != f->size || st.st_nlink != f->n_links || (st.st_mode & 07777) != f->mode)
		ex_fail(x, "%s: size %lld links %u mode %o, expected %u %u %o", path, (long long)st.st_size,
		        (unsigned)st.st_nlink, st.st_mode & 07777, f->size, f->n_links, f->mode);
	uint32_t done = 0;
	while (done < f->size) {
		ssize_t n = pread(fd, x->scratch + done, f->size - done, done);
		if (n <= 0)
			ex_fail(x, "%s: read at %u returned %zd", path, done, n);
		done += (uint32_t)n;
	}
	ex_compare(x, file, x->scratch, 0, f->size);
	close(fd);
}

static int name_index(const struct ex *x, const char *name)
{
	int index;

	if (sscanf(name, "name%d", &index) != 1 || index < 0 || index >= x->n_names)
		return -1;
	return index;
}

/* What NFS and FUSE clients keep of removed files that are open, and the dots. */
static bool is_hidden(const char *name)
{
	return name[0] == '.';
}

void ex_check_dir(struct ex *x, int dir)
{
	bool seen[EX_NAMES_MAX] = {0};
	char path[EX_PATH_MAX];

	ex_dir_path(x, dir, path);
	DIR *d = opendir(path);
	if (!d)
		ex_fail(x, "opendir %s", path);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		int index = is_hidden(e->d_name) ? -2 : name_index(x, e->d_name);
		if (index == -1 || (index >= 0 && (seen[index] || x->names[dir][index].file == NO_FILE)))
			ex_fail(x, "%s holds %s, which is there twice or should not be there", path, e->d_name);
		if (index >= 0)
			seen[index] = true;
	}
	closedir(d);
	for (int n = 0; n < x->n_names; n++)
		if (x->names[dir][n].file != NO_FILE && !seen[n])
			ex_fail(x, "%s lacks name%d", path, n);
}

void ex_verify_all(struct ex *x)
{
	char path[EX_PATH_MAX];

	for (int d = 0; d < x->n_dirs; d++) {
		ex_check_dir(x, d);
		for (int n = 0; n < x->n_names; n++) {
			ex_name_path(x, d, n, path);
			if (x->names[d][n].file >= 0)
				verify_file(x, x->names[d][n].file, path);
		}
	}
}
