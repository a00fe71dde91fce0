/* Runs a test's body in a fiber of a loop of its own, with the linux backend on a fresh directory and a VFS reduced to nodes and answers. */
#ifndef TESTS_UNIT_LINUX_HARNESS_H
#define TESTS_UNIT_LINUX_HARNESS_H

#include <criterion/criterion.h>

#include "backends/linux/linux.h"

struct vfs_call {
	struct pages *pages;
	struct op_cred cred;
	uint32_t size;
	uint8_t bytes[OP_IO_MAX];
};

struct bench {
	char dir[64];         /* the store's directory */
	struct vfs_mount *m;
	struct vfs_call call; /* reads answer into call.bytes */
};

/* bench_run() - mounts, runs body, unmounts, empties the directory. */
void bench_run(void (*body)(struct bench *b));
/* bench_remount() - as after a restart: no node survives. */
void bench_remount(struct bench *b);
/* bench_mount() - the mount's error. */
int bench_mount(struct bench *b, const char *sync, char **why);
void bench_unmount(struct bench *b);

struct vfs_name bench_name(const char *text);
/* The rest fail the test on an error. */
struct vfs_node *bench_make(struct bench *b, struct vfs_node *dir, const char *name, uint32_t type, uint32_t mode);
struct vfs_node *bench_lookup(struct vfs_node *dir, const char *name);
struct op_attr bench_attr(struct vfs_node *node);
void bench_write(struct bench *b, struct vfs_node *node, uint64_t offset, const void *data, uint32_t size);

#endif
