/*
 * The operations: each asks the rules, then the lower backend. They are all the same but for their
 * arguments, so a macro writes them; write alone can be torn.
 */
#include "backends/fault/fault.h"

#include <stdlib.h>
#include <string.h>

#include "backends/fault/backend.h"

/* The delay, then the error. */
static int suffer(struct fault *f, enum fault_op op)
{
	struct fault_hit hit = fault_match(f, op);
	if (hit.delay_ns)
		fiber_sleep_ns(hit.delay_ns);
	return hit.err;
}

/* NAME(params) on mount m calls the lower backend's with args, unless a rule says otherwise. */
#define WRAP(name, m, params, args)                                                               \
	static int fault_##name params                                                            \
	{                                                                                         \
		struct fault *f = fault_of(m);                                                    \
		int err = suffer(f, FAULT_##name);                                                \
		return err ? err : f->lower->name args;                                           \
	}

WRAP(statfs, m, (struct vfs_mount *m, struct op_statfs *st), (m, st))
WRAP(sync, m, (struct vfs_mount *m), (m))
WRAP(node_get, m, (struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node),
     (m, bytes, size, node))
WRAP(getattr, node->mount, (struct vfs_node *node, struct op_attr *attr), (node, attr))
WRAP(setattr, node->mount, (struct vfs_node *node, const struct op_attr *attr), (node, attr))
WRAP(readlink, node->mount, (struct vfs_node *node, char *target, uint32_t *size), (node, target, size))
WRAP(lookup, dir->mount, (struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node), (dir, name, node))
WRAP(parent, dir->mount, (struct vfs_node *dir, struct vfs_node **parent), (dir, parent))
WRAP(readdir, dir->mount,
     (struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof),
     (dir, cookie, verifier, emit, arg, eof))
WRAP(create, dir->mount,
     (struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name, const struct vfs_create *what,
      struct vfs_node **node),
     (call, dir, name, what, node))
WRAP(create_unlinked, dir->mount,
     (struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what, struct vfs_node **node),
     (call, dir, what, node))
WRAP(link, dir->mount, (struct vfs_node *node, struct vfs_node *dir, const struct vfs_name *name), (node, dir, name))
WRAP(remove, dir->mount, (struct vfs_node *dir, const struct vfs_name *name, struct vfs_node *node), (dir, name, node))
WRAP(rename, from_dir->mount,
     (struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir, const struct vfs_name *to,
      const struct vfs_rename *what),
     (from_dir, from, to_dir, to, what))
WRAP(read, node->mount, (struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size),
     (call, node, offset, size))
WRAP(commit, node->mount, (struct vfs_node *node, uint64_t offset, uint64_t size), (node, offset, size))
WRAP(allocate, node->mount, (struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size),
     (node, offset, size, keep_size))
WRAP(deallocate, node->mount, (struct vfs_node *node, uint64_t offset, uint64_t size), (node, offset, size))
WRAP(zero, node->mount, (struct vfs_node *node, uint64_t offset, uint64_t size, bool keep_size),
     (node, offset, size, keep_size))
WRAP(seek, node->mount, (struct vfs_node *node, uint64_t offset, uint32_t what, uint64_t *found),
     (node, offset, what, found))
WRAP(copy, to->mount,
     (struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t *size),
     (from, offset, to, to_offset, size))
WRAP(clone, to->mount,
     (struct vfs_node *from, uint64_t offset, struct vfs_node *to, uint64_t to_offset, uint64_t size),
     (from, offset, to, to_offset, size))
WRAP(get_xattr, node->mount, (struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size),
     (node, name, value, size))
WRAP(set_xattr, node->mount,
     (struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags),
     (node, name, value, size, flags))
WRAP(list_xattr, node->mount, (struct vfs_node *node, char *names, uint32_t *size), (node, names, size))
WRAP(remove_xattr, node->mount, (struct vfs_node *node, const struct vfs_name *name), (node, name))
WRAP(find_stream, base->mount, (struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream),
     (base, name, stream))
WRAP(create_stream, base->mount, (struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream),
     (base, name, stream))
WRAP(list_streams, base->mount,
     (struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof),
     (base, after, emit, arg, eof))
WRAP(remove_stream, base->mount, (struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream),
     (base, name, stream))
WRAP(rename_stream, stream->mount,
     (struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target),
     (stream, from, to, target))
WRAP(lookup_folded, dir->mount,
     (struct vfs_node *dir, const struct vfs_name *name, struct vfs_name *stored, char bytes[OP_NAME_MAX],
      struct vfs_node **node),
     (dir, name, stored, bytes, node))
WRAP(readdir_from, dir->mount,
     (struct vfs_node *dir, const struct vfs_name *after, vfs_emit_fn *emit, void *arg, bool *eof),
     (dir, after, emit, arg, eof))

WRAP(set_acl, node->mount, (struct vfs_node *node, const struct acl *acl, uint32_t mode), (node, acl, mode))

WRAP(get_quota, m, (struct vfs_mount *m, struct op_quota *q, bool next), (m, q, next))
WRAP(set_quota, m, (struct vfs_mount *m, const struct op_quota *q), (m, q))

/* The first size bytes of w reach the store. */
static void write_torn(struct fault *f, struct vfs_call *call, struct vfs_node *node, const struct vfs_write *w,
                       uint64_t size)
{
	struct iovec iov[OP_SEGS_MAX];
	uint32_t none[OP_SEGS_MAX] = {PAGE_CHUNK_NONE};
	struct vfs_write part = {w->offset, (uint32_t)MIN(size, w->size), w->stability, iov, none, 0};
	uint64_t left = part.size;
	for (; left && part.n_iov < w->n_iov; part.n_iov++) {
		iov[part.n_iov] = w->iov[part.n_iov];
		iov[part.n_iov].iov_len = MIN(iov[part.n_iov].iov_len, left);
		left -= iov[part.n_iov].iov_len;
	}
	if (part.size)
		f->lower->write(call, node, &part);
}

static int fault_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w)
{
	struct fault *f = fault_of(node->mount);
	struct fault_hit hit = fault_match(f, FAULT_write);
	if (hit.delay_ns)
		fiber_sleep_ns(hit.delay_ns);
	if (!hit.err)
		return f->lower->write(call, node, w);
	if (hit.torn != UINT64_MAX)
		write_torn(f, call, node, w, hit.torn);
	return hit.err;
}

/* ---- mounting */

/* Ours where the lower backend has one: what it leaves out stays out. */
static void wrap_ops(struct fault *f)
{
	f->ops = *f->lower;
	f->ops.name = fault_backend.name;
	f->ops.summary = fault_backend.summary;
	f->ops.options = fault_backend.options;
	f->ops.unmount = fault_backend.unmount;
#define OP(name)                                                                                  \
	if (f->lower->name)                                                                       \
		f->ops.name = fault_##name;
	FAULT_OPS(OP)
#undef OP
}

/* Splits our options from the lower backend's, which go to rest. */
static int split_options(struct fault *f, const struct vfs_option *options, struct vfs_option *rest, char **why)
{
	const char *lower = "memfs";
	int err = 0;
	for (const struct vfs_option *o = options; !err && o->key; o++) {
		if (strcmp(o->key, "lower") == 0)
			lower = o->value;
		else if (strncmp(o->key, "rule", 4) == 0)
			err = fault_parse(o->value, f->rules, &f->n_rules, why);
		else
			*rest++ = *o;
	}
	*rest = (struct vfs_option){NULL, NULL};
	f->lower = backend_find(lower);
	if (!err && (!f->lower || f->lower == &fault_backend)) {
		*why = strdup("fault: 'lower' names no backend that can be wrapped");
		err = ERR_NODEV;
	}
	return err;
}

static int fault_mount(struct vfs_mount *m, const struct vfs_option *options, char **why)
{
	size_t n = 0;
	while (options[n].key)
		n++;
	struct fault *f = calloc(1, sizeof(*f));
	struct vfs_option *rest = calloc(n + 1, sizeof(*rest));
	int err = f && rest ? split_options(f, options, rest, why) : ERR_NOMEM;
	if (!err)
		err = backend_check_options(f->lower, rest, why);
	if (!err) {
		m->ops = f->lower; /* it may put nodes while it mounts */
		err = f->lower->mount(m, rest, why);
	}
	free(rest);
	if (err) {
		m->ops = &fault_backend;
		free(f);
		return err;
	}
	wrap_ops(f);
	m->ops = &f->ops;
	return 0;
}

static void fault_unmount(struct vfs_mount *m)
{
	struct fault *f = fault_of(m);
	m->ops = f->lower;
	f->lower->unmount(m);
	free(f);
}

int fault_set_rules(struct vfs_mount *m, const char *text, char **why)
{
	struct fault_rule rules[FAULT_RULES_MAX];
	struct fault *f = fault_of(m);
	uint32_t n = 0;
	int err = fault_parse(text, rules, &n, why);
	if (err)
		return err;
	spin_lock(&f->lock);
	memcpy(f->rules, rules, n * sizeof(rules[0]));
	f->n_rules = n;
	spin_unlock(&f->lock);
	return 0;
}

static const struct backend_option fault_options[] = {
	{"lower", "text", "memfs", "the backend to wrap; the options that fault does not know go to it"},
	{"rule", "text", "", "what goes wrong, as op=write,err=NOSPC,every=7,after=100,count=1,delay=10ms,torn=512; several: separated by ';'"},
	{NULL, NULL, NULL, NULL},
};

/* Before the mount only these exist; afterwards the mount has a table of its own, made by wrap_ops(). */
const struct backend_ops fault_backend = {
	.abi = VFS_BACKEND_ABI,
	.caps = VFS_CAP_WRAPS,
	.name = "fault",
	.summary = "another backend that fails by rule, for tests",
	.options = fault_options,
	.mount = fault_mount,
	.unmount = fault_unmount,
};
