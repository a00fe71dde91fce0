/*
 * Runs a test's body in a fiber of a loop of its own with a VFS, one mount and one session: ops as one-line
 * calls that leave their results in b->op.
 */
#ifndef TESTS_UNIT_VFS_HARNESS_H
#define TESTS_UNIT_VFS_HARNESS_H

#include <criterion/criterion.h>

#include "backends/builtin.h"
#include "vfs/vfs.h"

struct bench {
	struct vfs *vfs;
	struct vfs_session *session;
	struct op_handle root;
	struct op_cred cred;        /* of the next ops: root at first */
	struct op op;               /* the last op, with its answer */
	struct vfs_payload payload; /* of the next op; cleared after it */
	struct vfs_pins pins;
	const char *state_dir;
	const char *backend;
	const struct vfs_option *options;
};

struct bench_config {
	const char *backend;                /* NULL: memfs */
	const char *state_dir;              /* NULL: none */
	const struct vfs_option *options;
};

/* bench_run() - creates, mounts "m", runs body, and takes all down. */
void bench_run(const struct bench_config *cfg, void (*body)(struct bench *b));
/* bench_restart() - the VFS is taken down and made anew with the same state directory, as after a restart. */
void bench_restart(struct bench *b);

/* bench_op() - makes b->op an empty request on obj. bench_go() - runs it; gives its status. */
struct op *bench_op(struct bench *b, enum op_code code, const struct op_handle *obj);
int bench_go(struct bench *b);
void bench_payload(struct bench *b, const void *data, size_t size);

/* The rest give the status, and a handle where they make one. */
int bench_lookup(struct bench *b, const struct op_handle *dir, const char *name, struct op_handle *obj);
int bench_create(struct bench *b, const struct op_handle *dir, const char *name, uint32_t mode, struct op_handle *obj);
int bench_mkdir(struct bench *b, const struct op_handle *dir, const char *name, uint32_t mode, struct op_handle *obj);
int bench_remove(struct bench *b, const struct op_handle *dir, const char *name);
int bench_rename(struct bench *b, const struct op_handle *from, const char *name, const struct op_handle *to,
                 const char *to_name, uint32_t flags);
int bench_write(struct bench *b, const struct op_handle *obj, uint64_t offset, const void *data, uint32_t size);
/* bench_read() - data and how many bytes in *size (in: wanted). */
int bench_read(struct bench *b, const struct op_handle *obj, uint64_t offset, void *data, uint32_t *size);
int bench_getattr(struct bench *b, const struct op_handle *obj, struct op_attr *attr);
void bench_become(struct bench *b, uint32_t uid, uint32_t gid);

#endif
