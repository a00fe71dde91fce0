/*
 * Operations on names: what exists must be refused where POSIX says so, and every change must show in the model.
 */
#include "exerciser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	struct ex_name *name;
	int dir;
	int index;
	char path[EX_PATH_MAX];
};

static void pick_place(struct ex *x, struct place *p)
{
	p->dir = (int)ex_random(x, (uint32_t)x->n_dirs);
	p->index = (int)ex_random(x, (uint32_t)x->n_names);
	p->name = &x->names[p->dir][p->index];
	ex_name_path(x, p->dir, p->index, p->path);
}

/* A failure with exactly this errno, and nothing else, is what is wanted. */
static void expect_errno(struct ex *x, int result, int wanted, const char *what, const char *path)
{
	if (result == 0 || errno != wanted)
		ex_fail(x, "%s %s: expected %s, result %d", what, path, strerror(wanted), result);
}

/* The name no longer stands for what it stood for. */
static void model_forget_name(struct ex *x, struct ex_name *name)
{
	int file = name->file;

	name->file = NO_FILE;
	if (file >= 0)
		ex_unlinked(x, file);
}

void do_create(struct ex *x)
{
	struct place p;
	int file = ex_free_file(x);
	mode_t mode = 0600 | ex_random(x, 0100);

	pick_place(x, &p);
	ex_log(x, "%s as file %d mode %o", p.path, file, mode);
	int fd = file == NO_FILE && p.name->file == NO_FILE ? -2 : open(p.path, O_RDWR | O_CREAT | O_EXCL, mode);
	if (fd == -2)
		return;
	if (p.name->file != NO_FILE) {
		expect_errno(x, fd >= 0 ? 0 : -1, EEXIST, "exclusive create of", p.path);
		return;
	}
	if (fd < 0)
		ex_fail(x, "create %s", p.path);
	p.name->file = file;
	x->files[file] = (struct ex_file){.data = x->files[file].data, .fd = fd, .n_links = 1, .mode = mode};
}

void do_close(struct ex *x)
{
	int file = ex_pick_file(x);
	if (file == NO_FILE || x->files[file].fd < 0)
		return;
	ex_log(x, "file %d with %u links", file, x->files[file].n_links);
	ex_close(x, file);
}

void do_unlink(struct ex *x)
{
	struct place p;

	pick_place(x, &p);
	ex_log(x, "%s, file %d", p.path, p.name->file);
	int result = unlink(p.path);
	if (p.name->file == NO_FILE) {
		expect_errno(x, result, ENOENT, "unlink", p.path);
		return;
	}
	if (result != 0)
		ex_fail(x, "unlink %s", p.path);
	model_forget_name(x, p.name);
}

void do_link(struct ex *x)
{
	struct place from, to;

	pick_place(x, &from);
	pick_place(x, &to);
	if (from.name->file == SYMLINK)
		return;
	ex_log(x, "%s, file %d, to %s", from.path, from.name->file, to.path);
	int result = link(from.path, to.path);
	if (from.name->file == NO_FILE) {
		expect_errno(x, result, ENOENT, "link of", from.path);
	} else if (to.name->file != NO_FILE) {
		expect_errno(x, result, EEXIST, "link to", to.path);
	} else {
		if (result != 0)
			ex_fail(x, "link %s to %s", from.path, to.path);
		to.name->file = from.name->file;
		x->files[to.name->file].n_links++;
	}
}

void do_rename(struct ex *x)
{
	struct place from, to;

	pick_place(x, &from);
	pick_place(x, &to);
	ex_log(x, "%s, file %d, to %s, file %d", from.path, from.name->file, to.path, to.name->file);
	int result = rename(from.path, to.path);
	if (from.name->file == NO_FILE) {
		expect_errno(x, result, ENOENT, "rename of", from.path);
		return;
	}
	if (result != 0)
		ex_fail(x, "rename %s to %s", from.path, to.path);
	if (from.name == to.name || (from.name->file >= 0 && from.name->file == to.name->file))
		return;
	model_forget_name(x, to.name);
	*to.name = *from.name;
	from.name->file = NO_FILE;
}

void do_exchange(struct ex *x)
{
	struct place a, b;

	pick_place(x, &a);
	pick_place(x, &b);
	if (a.name->file == NO_FILE || b.name->file == NO_FILE)
		return;
	ex_log(x, "%s with %s", a.path, b.path);
	if (ex_refused(x, renameat2(AT_FDCWD, a.path, AT_FDCWD, b.path, RENAME_EXCHANGE), "exchange"))
		return;
	struct ex_name kept = *a.name;
	*a.name = *b.name;
	*b.name = kept;
}

void do_noreplace(struct ex *x)
{
	struct place from, to;

	pick_place(x, &from);
	pick_place(x, &to);
	if (from.name->file == NO_FILE)
		return;
	ex_log(x, "%s to %s", from.path, to.path);
	int result = renameat2(AT_FDCWD, from.path, AT_FDCWD, to.path, RENAME_NOREPLACE);
	if (result != 0 && errno == EEXIST && to.name->file != NO_FILE)
		return;
	if (ex_refused(x, result, "rename without replacing"))
		return;
	if (to.name->file != NO_FILE)
		ex_fail(x, "rename without replacing replaced %s", to.path);
	*to.name = *from.name;
	from.name->file = NO_FILE;
}

static void target_of(uint32_t serial, char target[64])
{
	snprintf(target, 64, "nowhere/%u", serial);
}

void do_symlink(struct ex *x)
{
	struct place p;
	char target[64];

	pick_place(x, &p);
	target_of(++x->serial, target);
	ex_log(x, "%s to %s", p.path, target);
	int result = symlink(target, p.path);
	if (p.name->file != NO_FILE) {
		expect_errno(x, result, EEXIST, "symlink", p.path);
		return;
	}
	if (result != 0)
		ex_fail(x, "symlink %s", p.path);
	*p.name = (struct ex_name){.file = SYMLINK, .serial = x->serial};
}

void do_readlink(struct ex *x)
{
	struct place p;
	char expected[64], got[128] = "";

	pick_place(x, &p);
	if (p.name->file != SYMLINK)
		return;
	ex_log(x, "%s", p.path);
	target_of(p.name->serial, expected);
	if (readlink(p.path, got, sizeof(got) - 1) < 0 || strcmp(got, expected) != 0)
		ex_fail(x, "%s points to '%s', expected '%s'", p.path, got, expected);
}

void do_rename_dir(struct ex *x)
{
	char from[EX_PATH_MAX], to[EX_PATH_MAX];
	int dir = (int)ex_random(x, (uint32_t)x->n_dirs);

	ex_dir_path(x, dir, from);
	x->dir_serials[dir] = ++x->serial;
	ex_dir_path(x, dir, to);
	ex_log(x, "%s to %s", from, to);
	if (rename(from, to) != 0)
		ex_fail(x, "rename %s to %s", from, to);
}

/*
 * Links of a directory by a fresh open. An NFS client removes hidden names in the background: when that reply is
 * overtaken by another, it takes attributes for new that are not, and keeps them until it asks again.
 */
static nlink_t fresh_links(struct ex *x, const char *dir)
{
	struct stat st;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || fstat(fd, &st) != 0)
		ex_fail(x, "open %s", dir);
	close(fd);
	return st.st_nlink;
}

void do_subdir(struct ex *x)
{
	char dir[EX_PATH_MAX], path[EX_PATH_MAX + 8];
	nlink_t before, during;

	ex_dir_path(x, (int)ex_random(x, (uint32_t)x->n_dirs), dir);
	snprintf(path, sizeof(path), "%s/sub", dir);
	ex_log(x, "%s", path);
	before = fresh_links(x, dir);
	if (mkdir(path, 0700) != 0)
		ex_fail(x, "mkdir %s", path);
	during = fresh_links(x, dir);
	if (before > 1 && during != before + 1)
		ex_fail(x, "%s: %u links, expected one more than %u", dir, (unsigned)during, (unsigned)before);
	expect_errno(x, mkdir(path, 0700), EEXIST, "mkdir", path);
	expect_errno(x, unlink(path), EISDIR, "unlink", path);
	if (rmdir(path) != 0)
		ex_fail(x, "rmdir %s", path);
	expect_errno(x, rmdir(path), ENOENT, "rmdir", path);
}

void do_readdir(struct ex *x)
{
	int dir = (int)ex_random(x, (uint32_t)x->n_dirs);

	ex_log(x, "directory %d", dir);
	ex_check_dir(x, dir);
}
