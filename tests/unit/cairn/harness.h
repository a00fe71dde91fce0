/* The cairn backend on a directory, and a VFS reduced to nodes, locks and answers: what its unit and crash tests stand on. */
#ifndef TESTS_UNIT_CAIRN_HARNESS_H
#define TESTS_UNIT_CAIRN_HARNESS_H

#include "backends/cairn/cairn.h"

struct vfs_call {
	struct pages *pages;
	uint32_t size;
	uint8_t *bytes; /* reads answer here */
};

struct bench {
	char dir[128]; /* the store's directory */
	struct pages *pages;
	struct block_cache *cache;
	struct vfs_mount *m;
	bool read_only;
};

/* bench_in_loop() - runs body in a fiber of a loop of its own. */
void bench_in_loop(void (*body)(void *arg), void *arg);
/* bench_mount() - with options as "key=value", NULL at the end; the mount's error, *why malloc'ed. */
int bench_mount(struct bench *b, const char *const *options, char **why);
void bench_unmount(struct bench *b);
/* bench_free_pages() - what is left when a mount fails. */
void bench_free_pages(struct bench *b);
/* bench_remove_dir() - the store's directory and all in it. */
void bench_remove_dir(const char *dir);

/* All below take the locks that the VFS takes, and give the backend's error. */
int bench_make(struct vfs_node *dir, const char *name, uint32_t type, struct vfs_node **node);
int bench_lookup(struct vfs_node *dir, const char *name, struct vfs_node **node);
int bench_write(struct vfs_node *node, uint64_t offset, const void *data, uint32_t size, uint32_t stability);
int bench_read(struct bench *b, struct vfs_node *node, uint64_t offset, void *data, uint32_t size);
int bench_truncate(struct vfs_node *node, uint64_t size);
int bench_remove(struct vfs_node *dir, const char *name);
int bench_rename(struct vfs_node *dir, const char *from, const char *to);
int bench_attr(struct vfs_node *node, struct op_attr *attr);
/* bench_names() - how many entries, each given to fn unless that is NULL. */
uint32_t bench_names(struct vfs_node *dir, void (*fn)(void *arg, const char *name), void *arg);

#endif
