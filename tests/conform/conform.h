/*
 * What a case of the conformance suite is written with: the CASE macro, checks that print the expression
 * and both values, credentials, fixtures, and the verbs of driver.h with C strings for names.
 *
 * A case gets an empty directory of mode 0777 as t->dir, acts as root until as() says otherwise, and cleans
 * up nothing. A failed check does not end the case; verbs on an object that could not be made fail too.
 */
#ifndef CONFORM_CONFORM_H
#define CONFORM_CONFORM_H

#include <stdlib.h>
#include <string.h>

#include "tests/conform/driver.h"

struct test {
	const struct driver *drv;
	const struct op_cred *as;
	struct obj root;       /* of the file system */
	struct obj dir;        /* of the case */
	char dir_name[128];    /* in the root */
	struct answer ans;     /* of the last verb */
	uint32_t features;     /* HAS_* */
	uint64_t random_state;
	char row[160];         /* which row of a table a check belongs to */
	struct test_counts *counts;
	struct test_memory *memory;
};

struct conform_case {
	const char *name;
	const char *shows;
	const char *file;
	uint32_t needs; /* HAS_* */
	void (*run)(struct test *t);
	struct conform_case *next;
};

/* CASE_NEEDS(name, HAS_*, "what is shown") { ... } with struct test *t in scope. */
#define CASE_NEEDS(case_name, needs_bits, text)                                               \
	static void case_name(struct test *t);                                                \
	__attribute__((constructor)) static void add_##case_name(void)                        \
	{                                                                                     \
		static struct conform_case c = {#case_name, text, __FILE__, needs_bits, case_name, NULL}; \
		conform_add(&c);                                                              \
	}                                                                                     \
	static void case_name(struct test *t)
#define CASE(case_name, text) CASE_NEEDS(case_name, 0, text)

void conform_add(struct conform_case *c);

/* ---- checks: true if they held ---------------------------------------------------------- */

#define OK(expr) check_err(t, __FILE__, __LINE__, #expr, (expr), 0)
#define FAILS(err, expr) check_err(t, __FILE__, __LINE__, #expr, (expr), (err))
#define FAILS_EITHER(err1, err2, expr) check_either(t, __FILE__, __LINE__, #expr, (expr), (err1), (err2))
#define EQ(got, want) check_u64(t, __FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(want))
#define NE(got, unwanted) check_ne(t, __FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(unwanted))
#define TRUE(expr) check_true(t, __FILE__, __LINE__, #expr, (expr))
#define SAME(got, want, size) check_bytes(t, __FILE__, __LINE__, #got, (got), (want), (size))
#define TIME_EQ(got, want) check_time(t, __FILE__, __LINE__, #got, (got), (want), "==")
#define TIME_AFTER(got, want) check_time(t, __FILE__, __LINE__, #got, (got), (want), ">")

bool check_err(struct test *t, const char *file, int line, const char *expr, int got, int want);
bool check_either(struct test *t, const char *file, int line, const char *expr, int got, int want1, int want2);
bool check_u64(struct test *t, const char *file, int line, const char *expr, uint64_t got, uint64_t want);
bool check_ne(struct test *t, const char *file, int line, const char *expr, uint64_t got, uint64_t unwanted);
bool check_true(struct test *t, const char *file, int line, const char *expr, bool got);
bool check_bytes(struct test *t, const char *file, int line, const char *expr, const void *got, const void *want,
                 size_t size);
bool check_time(struct test *t, const char *file, int line, const char *expr, struct op_time got, struct op_time want,
                const char *relation);

/* row() - names the row of a table that the following checks are about; NULL: none. */
void row(struct test *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- who ---------------------------------------------------------------------------------- */

extern const struct op_cred ROOT;  /* 0:0 */
extern const struct op_cred ALICE; /* 1001:1001, in 2001 too */
extern const struct op_cred BOB;   /* 1002:1002 */
extern const struct op_cred CAROL; /* 1003:1001, Alice's group */
extern const struct op_cred DAVE;  /* 1004:1004, in Alice's group as a supplementary one */

void as(struct test *t, const struct op_cred *who);

/* ---- fixtures ------------------------------------------------------------------------------- */

/* Made as the current credential in t->dir; a failure is a failed check. */
struct obj a_file(struct test *t, const char *name, uint32_t mode);
struct obj a_dir(struct test *t, const char *name, uint32_t mode);
struct obj a_symlink(struct test *t, const char *name, const char *target);
struct obj a_fifo(struct test *t, const char *name, uint32_t mode);
/* The same in another directory. */
struct obj file_in(struct test *t, const struct obj *dir, const char *name, uint32_t mode);
struct obj dir_in(struct test *t, const struct obj *dir, const char *name, uint32_t mode);
/* a_file() with text in it. */
struct obj a_text(struct test *t, const char *name, const char *text);

/*
 * make_kind() - a new name in dir in one of the ways there are: what every way has in common is tested in
 * loops over them. kind_name() - for row().
 */
enum make_kind { MAKE_FILE, MAKE_DIR, MAKE_SYMLINK, MAKE_FIFO, MAKE_LINK, MAKE_RENAME, N_MAKE_KINDS };
int make_kind(struct test *t, enum make_kind kind, const struct obj *dir, struct str name);
const char *kind_name(enum make_kind kind);

/* attr_of() - attributes, through getattr. */
struct op_attr attr_of(struct test *t, const struct obj *o);
/* attr_named() - of a name in t->dir; mask 0 if there is none. */
struct op_attr attr_named(struct test *t, const char *name);
/* exists() - whether name is in dir. */
bool exists(struct test *t, const struct obj *dir, const char *name);
/* holds() - whether the file's bytes are exactly text. */
bool holds(struct test *t, const struct obj *o, const char *text);
/* count_entries() - of a directory, without dots; checks that none comes twice. */
unsigned count_entries(struct test *t, const struct obj *dir);

void *memory(struct test *t, size_t size); /* zeroed, freed when the case ends */
uint64_t random_u64(struct test *t);       /* from the run's seed */
void fill_random(struct test *t, void *data, size_t size);
bool all_zero(const void *data, size_t size);
void tick(struct test *t);
struct str str(const char *s);
struct str repeat(struct test *t, char c, size_t n);
struct op_time at(int64_t sec, uint32_t nsec);

/* together() - runs fn n times at once, each with its own struct test, and waits. */
void together(struct test *t, unsigned n, worker_fn *fn, void *arg);

/* ---- verbs -------------------------------------------------------------------------------------- */

int fs_lookup(struct test *t, const struct obj *dir, const char *name, struct obj *out);
int fs_path(struct test *t, const struct obj *dir, const char *path, struct obj *out);
int fs_parent(struct test *t, const struct obj *o, struct obj *out);
int fs_readlink(struct test *t, const struct obj *o, char *target, uint32_t size);
int fs_readdir(struct test *t, const struct obj *dir, struct scan *s);
int fs_create(struct test *t, const struct obj *dir, const char *name, uint32_t mode, struct obj *out); /* guarded */
int fs_open(struct test *t, const struct obj *dir, const char *name, const struct open_how *how, struct obj *out);
int fs_open_obj(struct test *t, const struct obj *o, uint32_t access); /* what exists, by itself: t->ans.open_id */
int fs_close(struct test *t, uint64_t open_id);
int fs_create_unlinked(struct test *t, const struct obj *dir, uint32_t mode, struct obj *out);
int fs_mkdir(struct test *t, const struct obj *dir, const char *name, uint32_t mode, struct obj *out);
int fs_mknod(struct test *t, const struct obj *dir, const char *name, const struct op_attr *attr, struct obj *out);
int fs_symlink(struct test *t, const struct obj *dir, const char *name, const char *target, struct obj *out);
int fs_link(struct test *t, const struct obj *o, const struct obj *dir, const char *name);
int fs_rename(struct test *t, const struct obj *from, const char *name, const struct obj *to, const char *to_name);
int fs_rename_flags(struct test *t, const struct obj *from, const char *name, const struct obj *to, const char *to_name,
                    uint32_t flags);
int fs_unlink(struct test *t, const struct obj *dir, const char *name);
int fs_rmdir(struct test *t, const struct obj *dir, const char *name);
int fs_getattr(struct test *t, const struct obj *o);
int fs_setattr(struct test *t, const struct obj *o, const struct op_attr *attr);
int fs_chmod(struct test *t, const struct obj *o, uint32_t mode);
int fs_chown(struct test *t, const struct obj *o, uint32_t uid, uint32_t gid); /* UINT32_MAX: as it is */
int fs_truncate(struct test *t, const struct obj *o, uint64_t size);
int fs_utimes(struct test *t, const struct obj *o, struct op_time atime, struct op_time mtime);
int fs_touch(struct test *t, const struct obj *o); /* both times to now */
int fs_access(struct test *t, const struct obj *o, uint32_t want);
int fs_statfs(struct test *t, const struct obj *o);
int fs_get_xattr(struct test *t, const struct obj *o, const char *name, void *value, uint32_t size);
int fs_set_xattr(struct test *t, const struct obj *o, const char *name, const char *value, uint32_t flags);
int fs_list_xattr(struct test *t, const struct obj *o, char *names, uint32_t size);
int fs_remove_xattr(struct test *t, const struct obj *o, const char *name);
int fs_get_acl(struct test *t, const struct obj *o, void *acl, uint32_t size);
int fs_set_acl(struct test *t, const struct obj *o, const void *acl, size_t size);
int fs_get_quota(struct test *t, const struct obj *o, struct op_quota *q, uint32_t flags);
int fs_set_quota(struct test *t, const struct obj *o, const struct op_quota *q);
int fs_read(struct test *t, const struct obj *o, uint64_t offset, void *data, uint32_t size);
int fs_write(struct test *t, const struct obj *o, uint64_t offset, const void *data, uint32_t size);
int fs_write_text(struct test *t, const struct obj *o, uint64_t offset, const char *text);
int fs_append(struct test *t, const struct obj *o, const void *data, uint32_t size);
int fs_io(struct test *t, const struct obj *o, const struct io *io, bool write);
int fs_commit(struct test *t, const struct obj *o);
int fs_allocate(struct test *t, const struct obj *o, uint64_t offset, uint64_t size, uint32_t flags);
int fs_deallocate(struct test *t, const struct obj *o, uint64_t offset, uint64_t size);
int fs_zero(struct test *t, const struct obj *o, uint64_t offset, uint64_t size, uint32_t flags);
int fs_seek(struct test *t, const struct obj *o, uint64_t offset, uint32_t what);
int fs_copy(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
            uint64_t size);
int fs_clone(struct test *t, const struct obj *from, uint64_t offset, const struct obj *to, uint64_t to_offset,
             uint64_t size); /* size 0: to the end */

#endif
