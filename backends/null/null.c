/*
 * null: the smallest complete backend, and how to write one.
 *
 * The store is a directory with a fixed number of files, "0", "1", "2" and so on. They have a size,
 * read as zeros and accept writes, which vanish. Nothing is ever allocated, so what remains of
 * an operation's cost is the server's own: measure against null to know what a wire, a ring or the VFS costs.
 *
 * Read this file from top to bottom with vfs/backend.h beside it; it has every part that a backend must
 * have and leaves out every part that it may.
 *
 * 1. Nodes. The VFS knows an object as a struct vfs_node, which a backend embeds at the head of its own.
 * Ours adds the attributes that a client may change. All nodes live in one array from mount to unmount;
 * that is why node_release below has nothing to do. A store with more objects than memory makes nodes when they
 * are asked for, finds the same node again while anyone refers to it, and frees it, or keeps it in a cache, at
 * its release: memfs and linux show two ways.
 *
 * 2. Locks. The VFS holds node->lock around every operation on a node: shared for what backend.h marks
 * [r], exclusive for [w]. So null_setattr changes fields without more ado. Had we something that several
 * nodes share, a count of used bytes say, it would need an atomic or a spin lock of ours.
 *
 * 3. Permissions, names, types, ranges, replay. Not our business: when null_read is called the caller may
 * read, the node is a file, and offset and size lie within it.
 *
 * 4. What is missing. create, remove, rename, link and the rest of the table stay NULL: the VFS answers
 * ERR_NOTSUPP for them, and emulates what it can (copy, by read and write).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/null/backend.h"
#include "base/str.h"

#define FILES_MAX 65536u
#define ROOT_ID 1u           /* fileid of the root; file i has FIRST_ID + i */
#define FIRST_ID 2u
#define COOKIE_FIRST 3u      /* cookies up to 2 belong to "." and ".." */
#define NAME_SIZE 8

struct null_node {
	struct vfs_node node;
	struct op_attr attr; /* everything null_getattr answers */
};

struct null_store {
	uint32_t n_files;
	struct null_node nodes[]; /* the root, then the files */
};

static struct null_node *null_of(struct vfs_node *node)
{
	return container_of(node, struct null_node, node);
}

/* ---- the store ------------------------------------------------------------------------------ */

/*
 * Options come as text from the catalogue, in any order, each at most once; the VFS has checked them against null_options
 * below. What a backend does not like beyond that it names: the sentence in *why is what the administrator reads.
 */
static int parse_options(const struct vfs_option *options, uint32_t *n_files, uint64_t *size, char **why)
{
	uint64_t n = *n_files;
	for (const struct vfs_option *o = options; o->key; o++) {
		if (strcmp(o->key, "size") == 0)
			str_parse_size(o->value, size);
		else if (str_parse_u64(o->value, 0, FILES_MAX, &n) != 0 && asprintf(why, "files=%s is too many", o->value) < 0)
			*why = NULL;
	}
	if (*why)
		return ERR_INVAL;
	*n_files = (uint32_t)n;
	return *size > INT64_MAX ? ERR_INVAL : 0;
}

/* vfs_node_init() gives the node its first reference. Ours is never put, so the nodes stay until unmount. */
static void init_node(struct vfs_mount *m, struct null_node *n, uint32_t type, uint64_t fileid, uint64_t size)
{
	struct op_time now = vfs_now();
	bool dir = type == OP_TYPE_DIR;
	vfs_node_init(&n->node, m, type, fileid);
	n->attr = (struct op_attr){
		.mask = ATTR_ALL & ~(uint64_t)ATTR_FSID, /* which the VFS adds */
		.type = type,
		.fileid = fileid,
		.mode = dir ? 0777 : 0666,
		.nlink = dir ? 2 : 1,
		.size = size,
		.change = 1,
		.atime = now,
		.mtime = now,
		.ctime = now,
		.btime = now,
	};
}

static int null_mount(struct vfs_mount *m, const struct vfs_option *options, char **why)
{
	uint32_t n_files = 16;
	uint64_t size = 1ULL << 30;
	int err = parse_options(options, &n_files, &size, why);
	if (err)
		return err;
	struct null_store *s = calloc(1, sizeof(*s) + (n_files + 1) * sizeof(s->nodes[0]));
	if (!s)
		return ERR_NOMEM;
	s->n_files = n_files;
	init_node(m, &s->nodes[0], OP_TYPE_DIR, ROOT_ID, n_files);
	for (uint32_t i = 1; i <= n_files; i++)
		init_node(m, &s->nodes[i], OP_TYPE_FILE, FIRST_ID + i - 1, size);
	m->store = s;
	m->root = vfs_node_get(&s->nodes[0].node); /* the mount's own reference */
	return 0;
}

static void null_unmount(struct vfs_mount *m)
{
	free(m->store);
}

static int null_statfs(struct vfs_mount *m, struct op_statfs *st)
{
	const struct null_store *s = m->store;
	*st = (struct op_statfs){
		.total_files = s->n_files,
		.max_file_size = INT64_MAX,
		.name_max = NAME_SIZE - 1,
		.link_max = 1,
		.time_delta_ns = 1,
	};
	return 0;
}

/* ---- nodes and handles ---------------------------------------------------------------------- */

/*
 * The handle: whatever bytes find the object again, here its number. The VFS adds the mount and signs, so what
 * comes back to null_node_get is what we gave out, though perhaps to an earlier start with more files.
 */
static uint32_t null_node_handle(struct vfs_node *node, uint8_t bytes[OP_HANDLE_BACKEND_MAX])
{
	memcpy(bytes, &node->fileid, sizeof(node->fileid));
	return sizeof(node->fileid);
}

static int null_node_get(struct vfs_mount *m, const uint8_t *bytes, uint32_t size, struct vfs_node **node)
{
	struct null_store *s = m->store;
	uint64_t fileid;
	if (size != sizeof(fileid))
		return ERR_BADHANDLE;
	memcpy(&fileid, bytes, sizeof(fileid));
	if (fileid < ROOT_ID || fileid - ROOT_ID > s->n_files)
		return ERR_STALE;
	*node = vfs_node_get(&s->nodes[fileid - ROOT_ID].node);
	return 0;
}

/* Not reached: init_node's reference keeps every node. */
static void null_node_release(struct vfs_node *node)
{
}

/* ---- attributes ----------------------------------------------------------------------------- */

static int null_getattr(struct vfs_node *node, struct op_attr *attr)
{
	*attr = null_of(node)->attr;
	return 0;
}

/* The mask says what to set; the VFS has checked who may, and turned "now" into times. */
static int null_setattr(struct vfs_node *node, const struct op_attr *set)
{
	struct op_attr *a = &null_of(node)->attr;
	op_attr_set(a, set);
	if (set->mask & ATTR_SIZE)
		a->size = set->size;
	a->ctime = vfs_now();
	a->change++; /* what caches above us look at: it must move with every change */
	return 0;
}

/* ---- the directory -------------------------------------------------------------------------- */

static uint32_t name_of(uint32_t i, char text[NAME_SIZE])
{
	return (uint32_t)snprintf(text, NAME_SIZE, "%u", i);
}

/* The name is bytes, not a string; it is not "." nor "..". The reference is the caller's. */
static int null_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node)
{
	struct null_store *s = dir->mount->store;
	char text[NAME_SIZE], again[NAME_SIZE];
	uint64_t i;
	if (name->size >= NAME_SIZE)
		return ERR_NOENT;
	memcpy(text, name->bytes, name->size);
	text[name->size] = '\0';
	/* One file, one name: "007" is not "7". */
	if (str_parse_u64(text, 0, FILES_MAX, &i) || i >= s->n_files || name_of((uint32_t)i, again) != name->size)
		return ERR_NOENT;
	*node = vfs_node_get(&s->nodes[1 + i].node);
	return 0;
}

static int null_parent(struct vfs_node *dir, struct vfs_node **parent)
{
	*parent = vfs_node_get(dir);
	return 0;
}

/*
 * A cookie is where to resume, and must stay valid however the directory changes; here a file's number is as good as any.
 * emit() answers false when the caller's buffer is full: that entry was not taken and will be asked for again.
 */
static int null_readdir(struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof)
{
	struct null_store *s = dir->mount->store;
	*eof = false;
	*verifier = 1;
	for (uint64_t i = cookie < COOKIE_FIRST ? 0 : cookie - COOKIE_FIRST + 1; i < s->n_files; i++) {
		char text[NAME_SIZE];
		struct vfs_name name = {text, name_of((uint32_t)i, text)};
		if (!emit(arg, &name, COOKIE_FIRST + i, FIRST_ID + i, OP_TYPE_FILE, &s->nodes[1 + i].node))
			return 0;
	}
	*eof = true;
	return 0;
}

/* ---- data ----------------------------------------------------------------------------------- */

/* A read answers with chunks of the page arena, or with bytes to be copied; without bytes they are zeros. */
static int null_read(struct vfs_call *call, struct vfs_node *node, uint64_t offset, uint32_t size)
{
	return vfs_call_bytes(call, NULL, size);
}

/*
 * A write reports how stable it is: what vanishes is as stable as it will ever be. Attributes change as
 * they would in a store that keeps the data.
 */
static int null_write(struct vfs_call *call, struct vfs_node *node, struct vfs_write *w)
{
	struct op_attr *a = &null_of(node)->attr;
	a->size = MAX(a->size, w->offset + w->size);
	a->mtime = a->ctime = vfs_now();
	a->change++;
	w->stability = WRITE_FILE_SYNC;
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct backend_option null_options[] = {
	{"files", "number", "16", "files in the directory"},
	{"size", "size", "1G", "bytes of each file at first"},
	{NULL, NULL, NULL, NULL},
};

const struct backend_ops null_backend = {
	.abi = VFS_BACKEND_ABI,
	.name = "null",
	.summary = "files of zeros, to measure the server and to learn from",
	.options = null_options,
	.mount = null_mount,
	.unmount = null_unmount,
	.statfs = null_statfs,
	.node_handle = null_node_handle,
	.node_get = null_node_get,
	.node_release = null_node_release,
	.getattr = null_getattr,
	.setattr = null_setattr,
	.lookup = null_lookup,
	.parent = null_parent,
	.readdir = null_readdir,
	.read = null_read,
	.write = null_write,
};
