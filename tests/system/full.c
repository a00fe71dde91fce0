/*
 * What a full file system is to a program: full ACTION DIR LOG.
 *
 * fill: makes files, each synced, until not even a small one fits; what was answered goes to LOG. Only ENOSPC may
 * stop it. overwrite: writes into files that are there until that gives ENOSPC, or all have been. verify: every file has what LOG says. thin: removes,
 * cuts and punches, which a full file system has to do. empty: removes all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (2u << 20)
#define FILES_MAX 200000u
#define BLOCK 4096u
#define HOLE (64u << 10)

/* A file as it was answered to be; size 0: there is none. */
struct file {
	uint32_t n; /* its number */
	uint32_t size;
	uint32_t hole, hole_end;
	uint32_t again; /* bytes at the beginning that were overwritten */
};

static struct file files[FILES_MAX];
static uint32_t n_files;
static uint8_t bytes[FILE_MAX], found[FILE_MAX];
static const uint32_t sizes[] = {FILE_MAX, 300000, 20000, 700, 1};

static int fail(const char *what, uint32_t n)
{
	fprintf(stderr, "%s of file %u: %s\n", what, n, strerror(errno));
	return 1;
}

static const char *path_of(uint32_t n)
{
	static char path[32];
	snprintf(path, sizeof(path), "%u", n);
	return path;
}

static void draw(uint64_t seed, uint8_t *to, uint32_t size)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
	for (uint32_t i = 0; i < size; i++) {
		if (i % 8 == 0)
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		to[i] = (uint8_t)(x >> i % 8 * 8);
	}
}

static void expect(const struct file *f)
{
	draw(f->n, bytes, f->size);
	draw(f->n + FILES_MAX, bytes, f->again);
	if (f->hole < f->hole_end)
		memset(bytes + f->hole, 0, f->hole_end - f->hole);
}

/* ---- the log */

static int load(const char *log)
{
	FILE *f = fopen(log, "re");
	struct file *at = files;
	while (f && fscanf(f, "%u %u %u %u %u", &at->n, &at->size, &at->hole, &at->hole_end, &at->again) == 5)
		at++;
	n_files = (uint32_t)(at - files);
	return f ? fclose(f) : 0;
}

static int save(const char *log)
{
	FILE *f = fopen(log, "we");
	for (uint32_t i = 0; f && i < n_files; i++)
		if (files[i].size)
			fprintf(f, "%u %u %u %u %u\n", files[i].n, files[i].size, files[i].hole, files[i].hole_end, files[i].again);
	return f ? fclose(f) : fail("log", 0);
}

/* ---- actions */

/* 0, or the error; what then is there is not to be counted on. */
static int store(const char *path, int flags, const uint8_t *data, uint32_t size)
{
	int err = 0, fd = open(path, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	for (uint32_t at = 0; !err && at < size;) {
		ssize_t n = write(fd, data + at, size - at);
		err = n < 0 ? errno : 0;
		at += n > 0 ? (uint32_t)n : 0;
	}
	if (!err && fsync(fd))
		err = errno;
	if (close(fd) && !err)
		err = errno;
	return err;
}

static int fill(void)
{
	uint32_t n = n_files ? files[n_files - 1].n + 1 : 0, before = n_files;
	for (size_t class = 0; class < sizeof(sizes) / sizeof(*sizes) && n_files < FILES_MAX; n++) {
		/* What did not fit may have left a part, which does not count. */
		while (access(path_of(n), F_OK) == 0)
			n++;
		/* Mostly of one size, some of others. */
		uint32_t size = sizes[n % 8 ? class : class + n / 8 % (sizeof(sizes) / sizeof(*sizes) - class)];
		draw(n, bytes, size);
		int err = store(path_of(n), O_CREAT | O_EXCL | O_WRONLY, bytes, size);
		if (err == 0)
			files[n_files++] = (struct file){.n = n, .size = size};
		else if (err == ENOSPC)
			class++;
		else
			return errno = err, fail("storing", n);
	}
	printf("%u files\n", n_files - before);
	return 0;
}

static int overwrite(void)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < n_files; i += 3) {
		struct file *f = &files[i];
		uint32_t size = f->size < HOLE ? f->size : HOLE;
		if (f->hole < f->hole_end)
			continue;
		draw(f->n + FILES_MAX, bytes, size);
		int err = store(path_of(f->n), O_WRONLY, bytes, size);
		if (err && err != ENOSPC)
			return errno = err, fail("overwriting", f->n);
		/* It may have been done in part. */
		if (err)
			f->size = 0;
		else
			f->again = size;
		n += !err;
		if (err)
			break;
	}
	printf("%u files\n", n);
	return 0;
}

static int verify(void)
{
	uint32_t n_bad = 0;
	for (uint32_t i = 0; i < n_files; i++) {
		const struct file *f = &files[i];
		int fd = open(path_of(f->n), O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof(found));
		if (fd < 0 || n < 0) {
			fail("reading", f->n);
			n_bad++;
			continue;
		}
		expect(f);
		if (n != (ssize_t)f->size || memcmp(found, bytes, f->size) != 0) {
			fprintf(stderr, "file %u: %zd bytes, not the %u that were stored\n", f->n, n, f->size);
			n_bad++;
		}
		close(fd);
	}
	printf("%u files, %u bad\n", n_files, n_bad);
	return n_bad != 0;
}

static int thin_one(struct file *f)
{
	const char *path = path_of(f->n);
	if (f->n % 4 == 0) {
		f->size = 0;
		return unlink(path) ? fail("removing", f->n) : 0;
	}
	if (f->n % 4 == 1 && f->size > 1) {
		f->size = f->size / 2 + f->n % 2;
		f->hole_end = f->hole_end < f->size ? f->hole_end : f->size;
		f->again = f->again < f->size ? f->again : f->size;
		return truncate(path, f->size) ? fail("cutting", f->n) : 0;
	}
	if (f->n % 4 != 2 || f->size < HOLE)
		return 0;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	f->hole = f->size / 3;
	f->hole_end = f->size - f->size / 3;
	int err = fd < 0 || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, f->hole, f->hole_end - f->hole) ||
	          fsync(fd) ? fail("punching", f->n) : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

static int thin(void)
{
	int err = 0;
	for (uint32_t i = 0; !err && i < n_files; i++)
		err = thin_one(&files[i]);
	return err;
}

static int empty(void)
{
	int err = 0;
	for (uint32_t i = 0; !err && i < n_files; i++)
		err = unlink(path_of(files[i].n)) ? fail("removing", files[i].n) : 0;
	n_files = 0;
	return err;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} actions[] = {{"fill", fill}, {"overwrite", overwrite}, {"verify", verify}, {"thin", thin}, {"empty", empty}};
	int (*run)(void) = NULL;
	for (size_t i = 0; argc == 4 && i < sizeof(actions) / sizeof(*actions); i++)
		if (strcmp(argv[1], actions[i].name) == 0)
			run = actions[i].run;
	if (!run) {
		fprintf(stderr, "usage: full fill|overwrite|verify|thin|empty DIR LOG\n");
		return 2;
	}
	if (load(argv[3]) || chdir(argv[2]))
		return fail("the directory", 0);
	int err = run();
	return save(argv[3]) || err;
}
