/*
 * fault: stands in front of another backend and makes it fail. It has no nodes of its own: the lower
 * backend is mounted into the same struct vfs_mount, keeps its store there and owns the nodes; fault
 * only puts its own table of operations in front, which look at the rules and then call the lower one's.
 */
#ifndef FAULT_FAULT_H
#define FAULT_FAULT_H

#include "base/spinlock.h"
#include "vfs/backend.h"

#define FAULT_RULES_MAX 32

/* Operations of backend_ops that rules can name. */
#define FAULT_OPS(OP)                                                                             \
	OP(getattr) OP(setattr) OP(readlink) OP(lookup) OP(parent) OP(readdir) OP(create)         \
	OP(create_unlinked) OP(link) OP(remove) OP(rename) OP(read) OP(write) OP(commit)          \
	OP(allocate) OP(deallocate) OP(zero) OP(seek) OP(copy) OP(get_xattr) OP(set_xattr)        \
	OP(list_xattr) OP(remove_xattr) OP(statfs) OP(sync) OP(node_get)                          \
	OP(find_stream) OP(create_stream) OP(list_streams) OP(remove_stream) OP(rename_stream)    \
	OP(lookup_folded) OP(readdir_from) OP(set_acl) OP(get_quota) OP(set_quota) OP(clone)

enum fault_op {
	FAULT_any,
#define OP(name) FAULT_##name,
	FAULT_OPS(OP)
#undef OP
	FAULT_N_OPS
};

struct fault_rule {
	uint32_t op;       /* enum fault_op */
	int err;           /* 0: none */
	uint64_t every;    /* of matching calls, each so-many-th; 1: all */
	uint64_t after;    /* so many matching calls pass first */
	uint64_t count;    /* hits at most; 0: no limit */
	uint64_t delay_ns;
	uint64_t torn;     /* write: so many bytes reach the store before the error */
	uint64_t seen;     /* calls that matched */
	uint64_t hits;
};

struct fault {
	struct backend_ops ops;           /* what vfs_mount.ops points to; fault is found from it */
	const struct backend_ops *lower;
	struct spinlock lock;             /* guards rules */
	struct fault_rule rules[FAULT_RULES_MAX];
	uint32_t n_rules;
};

/* What the rules want of one call. */
struct fault_hit {
	int err;
	uint64_t delay_ns;
	uint64_t torn;
};

static inline struct fault *fault_of(const struct vfs_mount *m)
{
	return container_of(m->ops, struct fault, ops);
}

/* fault_parse() - text to rules; *why as in backend_ops.mount. */
int fault_parse(const char *text, struct fault_rule rules[FAULT_RULES_MAX], uint32_t *n, char **why);
/* fault_match() - counts the call against every rule; the first with an error decides the error. */
struct fault_hit fault_match(struct fault *f, enum fault_op op);

#endif
