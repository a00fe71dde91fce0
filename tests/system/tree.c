/*
 * A tree of files that follows from a seed, made and verified fast enough for a slow guest kernel:
 *
 *   tree create|verify DIR FILES BYTES [SEED]
 *   tree remove DIR
 *
 * FILES files hold BYTES bytes in all, most of them small, forty to a directory. Each has a mode and a modification time of its
 * own; every 50th has a hard link and a symbolic link beside it. Verifying compares names, types, modes, times,
 * link counts and all bytes, and reports everything that differs.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"

enum { FILES_PER_DIR = 40, DIRS_PER_DIR = 20, LINK_EVERY = 50, BUFFER_SIZE = 1 << 20, REPORTED_MAX = 50 };

struct tree {
	const char *root;
	unsigned n_files;
	uint64_t n_bytes;
	uint64_t seed;
	uint64_t weight_sum;
	unsigned n_bad;
	uint64_t n_seen; /* bytes read or written */
};

static uint8_t buffer[BUFFER_SIZE], got[BUFFER_SIZE];

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static uint64_t property(const struct tree *t, unsigned file, unsigned which)
{
	return mix(t->seed * 0x9e3779b97f4a7c15U + ((uint64_t)file << 8) + which);
}

/* From 1 to 512, halves as often as it doubles: most files are small, most bytes are in large ones. */
static uint64_t weight(const struct tree *t, unsigned file)
{
	return 1U << (property(t, file, 0) % 10);
}

static uint64_t file_size(const struct tree *t, unsigned file)
{
	return t->n_bytes * weight(t, file) / t->weight_sum;
}

static mode_t file_mode(const struct tree *t, unsigned file)
{
	return 0400 | (property(t, file, 1) & 0377);
}

static struct timespec file_mtime(const struct tree *t, unsigned file)
{
	return (struct timespec){.tv_sec = (time_t)(1000000000 + property(t, file, 2) % 500000000),
	                         .tv_nsec = (long)(property(t, file, 3) % 1000000000)};
}

static void dir_path(const struct tree *t, unsigned file, char path[PATH_MAX])
{
	unsigned leaf = file / FILES_PER_DIR;

	snprintf(path, PATH_MAX, "%s/d%03u/e%02u", t->root, leaf / DIRS_PER_DIR, leaf % DIRS_PER_DIR);
}

static void file_path(const struct tree *t, unsigned file, char kind, char path[PATH_MAX])
{
	dir_path(t, file, path);
	size_t n = strlen(path);
	snprintf(path + n, PATH_MAX - n, "/%c%06u", kind, file);
}

static void fill(const struct tree *t, unsigned file, uint64_t offset, size_t size)
{
	uint64_t *words = (uint64_t *)buffer;
	uint64_t z = property(t, file, 4) + offset * 0x9e3779b97f4a7c15U;

	for (size_t i = 0; i < (size + 7) / 8; i++) {
		z = z * 6364136223846793005U + 1442695040888963407U;
		words[i] = z ^ (z >> 29);
	}
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		err(1, "mkdir %s", path);
}

static void make_dirs(const struct tree *t, unsigned file)
{
	char path[PATH_MAX];

	if (file % FILES_PER_DIR != 0)
		return;
	dir_path(t, file, path);
	char *slash = strrchr(path, '/');
	*slash = 0;
	make_dir(path);
	*slash = '/';
	make_dir(path);
}

static void write_contents(struct tree *t, unsigned file, int fd, const char *path)
{
	uint64_t size = file_size(t, file);

	for (uint64_t done = 0; done < size;) {
		size_t part = (size_t)MIN((uint64_t)BUFFER_SIZE, size - done);
		fill(t, file, done, part);
		if (write(fd, buffer, part) != (ssize_t)part)
			err(1, "write %s", path);
		done += part;
	}
	t->n_seen += size;
}

static void make_links(const struct tree *t, unsigned file, const char *path)
{
	char link_path[PATH_MAX], target[32];

	if (file % LINK_EVERY != 0)
		return;
	file_path(t, file, 'h', link_path);
	if (link(path, link_path) != 0)
		err(1, "link %s", link_path);
	file_path(t, file, 's', link_path);
	snprintf(target, sizeof(target), "f%06u", file);
	if (symlink(target, link_path) != 0)
		err(1, "symlink %s", link_path);
}

static void create_file(struct tree *t, unsigned file)
{
	struct timespec times[2] = {file_mtime(t, file), file_mtime(t, file)};
	char path[PATH_MAX];

	make_dirs(t, file);
	file_path(t, file, 'f', path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		err(1, "create %s", path);
	write_contents(t, file, fd, path);
	if (fchmod(fd, file_mode(t, file)) != 0 || futimens(fd, times) != 0 || close(fd) != 0)
		err(1, "attributes of %s", path);
	make_links(t, file, path);
}

static void bad(struct tree *t, const char *path, const char *what)
{
	if (t->n_bad++ < REPORTED_MAX)
		warnx("%s: %s", path, what);
}

static void verify_contents(struct tree *t, unsigned file, const char *path)
{
	uint64_t size = file_size(t, file);
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		bad(t, path, strerror(errno));
		return;
	}
	for (uint64_t done = 0; done < size;) {
		size_t part = (size_t)MIN((uint64_t)BUFFER_SIZE, size - done);
		fill(t, file, done, part);
		ssize_t n = pread(fd, got, part, (off_t)done);
		if (n != (ssize_t)part || memcmp(got, buffer, part) != 0) {
			bad(t, path, n < 0 ? strerror(errno) : "contents differ");
			break;
		}
		done += part;
	}
	t->n_seen += size;
	close(fd);
}

static void verify_links(struct tree *t, unsigned file, const struct stat *st)
{
	char path[PATH_MAX], expected[32], target[64] = "";
	struct stat other;

	if (file % LINK_EVERY != 0)
		return;
	file_path(t, file, 'h', path);
	if (lstat(path, &other) != 0 || other.st_ino != st->st_ino)
		bad(t, path, "is not a link of the file");
	file_path(t, file, 's', path);
	snprintf(expected, sizeof(expected), "f%06u", file);
	if (readlink(path, target, sizeof(target) - 1) < 0 || strcmp(target, expected) != 0)
		bad(t, path, "points elsewhere");
}

static void verify_file(struct tree *t, unsigned file)
{
	struct timespec mtime = file_mtime(t, file);
	struct stat st;
	char path[PATH_MAX];

	file_path(t, file, 'f', path);
	if (lstat(path, &st) != 0) {
		bad(t, path, strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)file_size(t, file))
		bad(t, path, "type or size differs");
	if ((st.st_mode & 07777) != file_mode(t, file))
		bad(t, path, "mode differs");
	if (st.st_mtim.tv_sec != mtime.tv_sec || st.st_mtim.tv_nsec != mtime.tv_nsec)
		bad(t, path, "modification time differs");
	if (st.st_nlink != (file % LINK_EVERY ? 1 : 2))
		bad(t, path, "link count differs");
	verify_contents(t, file, path);
	verify_links(t, file, &st);
}

/* The directory of a file holds its files and their links, and nothing else. */
static void verify_dir(struct tree *t, unsigned first)
{
	unsigned end = MIN(first + FILES_PER_DIR, t->n_files), expected = 0, found = 0;
	char path[PATH_MAX];

	for (unsigned file = first; file < end; file++)
		expected += file % LINK_EVERY ? 1 : 3;
	dir_path(t, first, path);
	DIR *d = opendir(path);
	if (!d) {
		bad(t, path, strerror(errno));
		return;
	}
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		found += e->d_name[0] != '.';
	closedir(d);
	if (found != expected)
		bad(t, path, found > expected ? "has more entries than it should" : "lacks entries");
}

static void verify(struct tree *t)
{
	for (unsigned file = 0; file < t->n_files; file++) {
		if (file % FILES_PER_DIR == 0)
			verify_dir(t, file);
		verify_file(t, file);
	}
	if (t->n_bad)
		errx(1, "%s: %u differences", t->root, t->n_bad);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (remove(path) != 0)
		err(1, "remove %s", path);
	return 0;
}

static _Noreturn void usage(void)
{
	errx(2, "usage: tree create|verify DIR FILES BYTES [SEED] | tree remove DIR");
}

static void parse_tree(struct tree *t, int argc, char **argv)
{
	if (argc < 5 || argc > 6)
		usage();
	t->n_files = (unsigned)strtoul(argv[3], NULL, 0);
	t->n_bytes = strtoull(argv[4], NULL, 0);
	t->seed = argc == 6 ? strtoull(argv[5], NULL, 0) : 1;
	for (unsigned file = 0; file < t->n_files; file++)
		t->weight_sum += weight(t, file);
	if (t->n_files == 0)
		usage();
}

int main(int argc, char **argv)
{
	struct tree t = {.root = argc > 2 ? argv[2] : NULL};

	if (!t.root)
		usage();
	if (strcmp(argv[1], "remove") == 0) {
		if (nftw(t.root, remove_entry, 32, FTW_DEPTH | FTW_PHYS) != 0)
			err(1, "remove %s", t.root);
		return 0;
	}
	parse_tree(&t, argc, argv);
	if (strcmp(argv[1], "create") == 0) {
		make_dir(t.root);
		for (unsigned file = 0; file < t.n_files; file++)
			create_file(&t, file);
	} else if (strcmp(argv[1], "verify") == 0) {
		verify(&t);
	} else {
		usage();
	}
	printf("tree: %u files, %llu bytes: %s done\n", t.n_files, (unsigned long long)t.n_seen, argv[1]);
	return 0;
}
