/*
 * The file-system exerciser: random operations on a directory, each mirrored in a model in memory and verified against it.
 * Everything random follows from the seed. The model knows a fixed set of directories, a fixed set of
 * names in each, and files that have up to that many links; a file without links lives on while it is open.
 */
#ifndef SYSTEM_EXERCISER_H
#define SYSTEM_EXERCISER_H

#include <sys/types.h>

#include "base/compiler.h"

enum { EX_DIRS_MAX = 16, EX_NAMES_MAX = 64, EX_PATH_MAX = 4096, NO_FILE = -1, SYMLINK = -2 };

struct ex_file {
	uint8_t *data;    /* max_size bytes: the contents, zeros past size */
	uint32_t size;
	uint32_t n_links;
	int fd;           /* open for reading and writing, or -1 */
	mode_t mode;
	uint32_t xattr;   /* value of user.exerciser, 0: not set */
};

struct ex_name {
	int file;         /* index into files, or NO_FILE, or SYMLINK */
	uint32_t serial;  /* what the symbolic link points to */
};

struct ex {
	const char *root;
	uint64_t rng;
	uint64_t op_index;
	uint32_t max_size;
	uint32_t serial;                  /* last value handed out for something unique */
	int n_files;
	int n_dirs;
	int n_names;
	struct ex_file *files;
	uint32_t dir_serials[EX_DIRS_MAX]; /* part of the directory's name, changed by renaming it */
	struct ex_name names[EX_DIRS_MAX][EX_NAMES_MAX];
	uint8_t *scratch;                 /* max_size bytes, aligned to a page */
};

struct ex_op {
	const char *name;
	unsigned weight;
	void (*run)(struct ex *x);
	bool off;                    /* by option, or because the file system refused it */
	uint64_t n_done;
};

extern struct ex_op ex_ops[];
extern const int n_ex_ops;

/* ---- exerciser.c: what all operations use ------------------------------------------------- */

/* ex_random() - 0 to below - 1; below is at least 1. */
uint32_t ex_random(struct ex *x, uint32_t below);
/* ex_log() - notes what is about to be done, for the report of a failure. */
void ex_log(struct ex *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* ex_fail() - prints what went wrong, errno, the seed and the latest operations, and exits. */
_Noreturn void ex_fail(struct ex *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* ex_refused() - true if result is a failure that says "not supported here"; any other failure is reported. */
bool ex_refused(struct ex *x, int64_t result, const char *what);

/* ---- exerciser-model.c -------------------------------------------------------------------- */

void ex_init(struct ex *x);
void ex_dir_path(const struct ex *x, int dir, char path[EX_PATH_MAX]);
void ex_name_path(const struct ex *x, int dir, int name, char path[EX_PATH_MAX]);
/* ex_pick_file() - a living file, or NO_FILE. */
int ex_pick_file(struct ex *x);
/* ex_free_file() - an unused place for a new file, or NO_FILE. */
int ex_free_file(const struct ex *x);
bool ex_find_name(const struct ex *x, int file, char path[EX_PATH_MAX]);
/* ex_fd() - the file's descriptor, opened by one of its names if need be. */
int ex_fd(struct ex *x, int file);
/* ex_unlinked() - one link fewer. ex_close() - the descriptor closed; both may end the file. */
void ex_unlinked(struct ex *x, int file);
void ex_close(struct ex *x, int file);
/* ex_set_size() - the model's size; what is cut off becomes zeros. */
void ex_set_size(struct ex_file *f, uint32_t size);
/* ex_compare() - size bytes read at offset are what the model holds. */
void ex_compare(struct ex *x, int file, const uint8_t *got, uint32_t offset, uint32_t size);
/* ex_verify_all() - every name, link count and byte below root, by fresh opens. */
void ex_verify_all(struct ex *x);
/* ex_check_dir() - readdir() gives exactly the names of the model. */
void ex_check_dir(struct ex *x, int dir);

/* ---- the operations: exerciser-data.c, exerciser-names.c ---------------------------------- */

void do_write(struct ex *x);
void do_append(struct ex *x);
void do_read(struct ex *x);
void do_truncate(struct ex *x);
void do_mmap_write(struct ex *x);
void do_mmap_read(struct ex *x);
void do_punch(struct ex *x);
void do_zero(struct ex *x);
void do_allocate(struct ex *x);
void do_copy(struct ex *x);
void do_seek(struct ex *x);
void do_sync(struct ex *x);
void do_forget(struct ex *x);
void do_direct_read(struct ex *x);
void do_direct_write(struct ex *x);
void do_xattr(struct ex *x);
void do_stat(struct ex *x);
void do_chmod(struct ex *x);
void do_utimes(struct ex *x);
void do_create(struct ex *x);
void do_close(struct ex *x);
void do_unlink(struct ex *x);
void do_link(struct ex *x);
void do_rename(struct ex *x);
void do_exchange(struct ex *x);
void do_noreplace(struct ex *x);
void do_symlink(struct ex *x);
void do_readlink(struct ex *x);
void do_rename_dir(struct ex *x);
void do_subdir(struct ex *x);
void do_readdir(struct ex *x);

#endif
