/* The store: inline and large files, holes, links, attributes, a directory with many names; each file's bytes follow from its name. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/backend.h"
#include "backends/cairn/cairn-snapshot.h"
#include "base/hash.h"
#include "tests/system/cairn-damage.h"

#define MANY 24
#define BYTES_MAX (1100u << 10)

/* Written from offset on; what is before it is a hole. */
static const struct file_spec {
	const char *dir;
	const char *name;
	uint32_t offset, size;
	bool again; /* written once more after the snapshot, with other bytes */
} specs[] = {
	{"top", "empty", 0, 0},          {"top", "byte", 0, 1},           {"top", "inline", 0, 1792, true}, {"top", "block", 0, 4096},
	{"top", "five", 0, 5 * 4096 + 7}, {"top", "large", 0, 1 << 20 | 4100, true}, {"top", "hole", 40960, 9000}, {"deep", "small", 0, 77},
	{"deep", "other", 0, 70000},     {"deeper", "last", 0, 3000},     {"deeper", "least", 0, 12},
};

/* Removed after the snapshot. */
static const struct file_spec gone = {"top", "gone", 0, 50000};

enum when { BEFORE, NOW };

static uint8_t byte_of(const struct file_spec *s, uint32_t at, enum when when)
{
	uint64_t salt = s->again && when == NOW ? 0x5a5a : 0;
	return at < s->offset ? 0 : (uint8_t)(hash_u64(((uint64_t)at << 8 | (uint8_t)s->name[0]) + (salt << 40)) ^ (uint8_t)s->name[1]);
}

uint32_t store_n_files(void)
{
	return ARRAY_SIZE(specs) + MANY;
}

static struct vfs_name name_of(const char *text)
{
	return (struct vfs_name){text, (uint32_t)strlen(text)};
}

/* ---- making */

static int fill(struct vfs_node *node, const struct file_spec *s, enum when when)
{
	uint8_t *bytes = malloc(BYTES_MAX);
	int err = bytes ? 0 : ERR_NOMEM;
	for (uint32_t i = 0; bytes && i < s->size; i++)
		bytes[i] = byte_of(s, s->offset + i, when);
	/* In parts, for a write has a size at most. */
	for (uint32_t at = 0; !err && at < s->size; at += 65536)
		err = bench_write(node, s->offset + at, bytes + at, MIN(s->size - at, 65536u), WRITE_UNSTABLE);
	free(bytes);
	return err;
}

static int make_file(struct vfs_node *dir, const struct file_spec *s)
{
	struct vfs_node *node;
	int err = bench_make(dir, s->name, OP_TYPE_FILE, &node);
	if (err)
		return err;
	err = fill(node, s, BEFORE);
	struct vfs_name name = name_of("user.note");
	fiber_rwlock_wrlock(&node->lock);
	if (!err)
		err = cairn_backend.set_xattr(node, &name, s->name, (uint32_t)strlen(s->name), 0);
	fiber_rwlock_wrunlock(&node->lock);
	vfs_node_put(node);
	return err;
}

static int make_symlink(struct vfs_node *dir, const char *text, const char *target)
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = 0777};
	struct vfs_create what = {
		.type = OP_TYPE_SYMLINK, .attr = &attr, .target = target, .target_size = (uint32_t)strlen(target)};
	struct vfs_name name = name_of(text);
	struct vfs_node *node;
	fiber_rwlock_wrlock(&dir->lock);
	int err = cairn_backend.create(NULL, dir, &name, &what, &node);
	fiber_rwlock_wrunlock(&dir->lock);
	if (!err)
		vfs_node_put(node);
	return err;
}

static int make_many(struct vfs_node *dir)
{
	int err = 0;
	for (int i = 0; !err && i < MANY; i++) {
		char name[16];
		struct vfs_node *node;
		snprintf(name, sizeof(name), "many-%d", i);
		err = bench_make(dir, name, OP_TYPE_FILE, &node);
		if (!err)
			vfs_node_put(node);
	}
	return err;
}

static int write_stream(struct vfs_node *base, const char *stream)
{
	struct vfs_name name = name_of(stream);
	struct vfs_node *node;
	fiber_rwlock_wrlock(&base->lock);
	int err = cairn_backend.create_stream(base, &name, &node);
	fiber_rwlock_wrunlock(&base->lock);
	if (err)
		return err;
	err = bench_write(node, 0, stream, (uint32_t)strlen(stream), WRITE_FILE_SYNC);
	vfs_node_put(node);
	return err;
}

static int make_stream(struct vfs_node *dir, const char *name, const char *stream)
{
	struct vfs_node *base;
	int err = bench_make(dir, name, OP_TYPE_FILE, &base);
	if (err)
		return err;
	err = write_stream(base, stream);
	vfs_node_put(base);
	return err;
}

static int make_gone(struct vfs_node *dir)
{
	return make_file(dir, &gone);
}

/* Room that was allocated ahead, a second name, and what is none of these. */
static int make_rest(struct vfs_node *top)
{
	struct vfs_node *ahead, *fifo;
	struct vfs_name name = name_of("second");
	int err = bench_make(top, "ahead", OP_TYPE_FILE, &ahead);
	if (err)
		return err;
	fiber_rwlock_wrlock(&top->lock);
	fiber_rwlock_wrlock(&ahead->lock);
	err = cairn_backend.allocate(ahead, 0, 300000, false);
	if (!err)
		err = cairn_backend.link(ahead, top, &name);
	fiber_rwlock_wrunlock(&ahead->lock);
	fiber_rwlock_wrunlock(&top->lock);
	vfs_node_put(ahead);
	if (!err)
		err = bench_make(top, "fifo", OP_TYPE_FIFO, &fifo);
	if (!err)
		vfs_node_put(fifo);
	if (!err)
		err = make_stream(top, "Upper Case", "a stream");
	if (!err)
		err = make_gone(top);
	return err ? err : make_symlink(top, "link", "deep/small");
}

static const struct {
	const char *name, *in;
} dirs[] = {{"top", NULL}, {"deep", "top"}, {"deeper", "deep"}, {"many", NULL}};

static int find_dir(struct vfs_node *root, const char *name, struct vfs_node **node)
{
	struct vfs_node *in;
	for (size_t i = 0; name && i < ARRAY_SIZE(dirs); i++) {
		if (strcmp(dirs[i].name, name) != 0)
			continue;
		int err = find_dir(root, dirs[i].in, &in);
		if (err)
			return err;
		err = bench_lookup(in, name, node);
		vfs_node_put(in);
		return err;
	}
	*node = vfs_node_get(root);
	return 0;
}

static int make_dir(struct bench *b, const char *name, const char *in_name)
{
	struct vfs_node *in, *node;
	int err = find_dir(b->m->root, in_name, &in);
	if (err)
		return err;
	err = bench_make(in, name, OP_TYPE_DIR, &node);
	if (!err)
		vfs_node_put(node);
	vfs_node_put(in);
	return err;
}

static int in_dir(struct bench *b, const char *name, int (*fn)(struct vfs_node *dir))
{
	struct vfs_node *dir;
	int err = find_dir(b->m->root, name, &dir);
	if (err)
		return err;
	err = fn(dir);
	vfs_node_put(dir);
	return err;
}

static int find_file(struct vfs_node *root, const struct file_spec *s, struct vfs_node **node)
{
	struct vfs_node *dir;
	int err = find_dir(root, s->dir, &dir);
	if (err)
		return err;
	err = bench_lookup(dir, s->name, node);
	vfs_node_put(dir);
	return err;
}

static int write_again(struct bench *b)
{
	struct vfs_node *node;
	int err = 0;
	for (size_t i = 0; !err && i < ARRAY_SIZE(specs); i++) {
		if (!specs[i].again)
			continue;
		err = find_file(b->m->root, &specs[i], &node);
		if (err)
			return err;
		err = fill(node, &specs[i], NOW);
		vfs_node_put(node);
	}
	return err;
}

/* Of what is written again, and of what is removed, the snapshot has the blocks. */
static int make_snapshot(struct bench *b)
{
	struct vfs_name name = name_of("before");
	struct vfs_snapshot made;
	struct vfs_node *top;
	int err = cairn_backend.snapshot_create(b->m, &name, &made);
	if (!err)
		err = write_again(b);
	if (!err)
		err = find_dir(b->m->root, "top", &top);
	if (err)
		return err;
	err = bench_remove(top, "gone");
	vfs_node_put(top);
	return err;
}

static int fill_store(struct bench *b)
{
	int err = 0;
	for (size_t i = 0; !err && i < ARRAY_SIZE(dirs); i++)
		err = make_dir(b, dirs[i].name, dirs[i].in);
	for (size_t i = 0; !err && i < ARRAY_SIZE(specs); i++) {
		struct vfs_node *dir;
		err = find_dir(b->m->root, specs[i].dir, &dir);
		if (!err) {
			err = make_file(dir, &specs[i]);
			vfs_node_put(dir);
		}
	}
	if (!err)
		err = in_dir(b, "many", make_many);
	if (!err)
		err = in_dir(b, "top", make_rest);
	return err ? err : make_snapshot(b);
}

static int mount(struct bench *b, const char *dir, const char *const *options)
{
	char *why;
	memset(b, 0, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "%s", dir);
	int err = bench_mount(b, options, &why);
	free(why);
	if (err)
		bench_free_pages(b);
	return err;
}

void store_copy(const char *from, const char *to)
{
	char command[512];
	bench_remove_dir(to);
	snprintf(command, sizeof(command), "cp -a --sparse=always '%s' '%s'", from, to);
	if (system(command) != 0)
		abort();
}

int store_make(const char *dir, const char *crashed)
{
	static const char *const options[] = {"create=yes", "journal=1M", NULL};
	struct bench b;
	int err = mount(&b, dir, options);
	if (err)
		return err;
	err = fill_store(&b);
	if (!err)
		err = cairn_backend.sync(b.m);
	if (crashed)
		store_copy(dir, crashed);
	bench_unmount(&b);
	return err;
}

/* ---- looking */

static bool is_right(const struct file_spec *s, enum when when, const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		if (bytes[i] != byte_of(s, i, when))
			return false;
	return true;
}

static bool has_holes(const struct file_spec *s, enum when when, const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		if (bytes[i] && bytes[i] != byte_of(s, i, when))
			return false;
	return true;
}

/* ERR_INVAL: other bytes; ERR_AGAIN: those of an earlier moment; ERR_NXIO: zeros. */
static int compare(const struct file_spec *s, enum when when, const uint8_t *bytes, uint32_t size)
{
	if (is_right(s, when, bytes, size))
		return 0;
	return is_right(s, BEFORE, bytes, size) ? ERR_AGAIN : has_holes(s, when, bytes, size) ? ERR_NXIO : ERR_INVAL;
}

static int read_file(struct bench *b, struct vfs_node *node, const struct file_spec *s, enum when when)
{
	uint32_t size = s->offset + s->size;
	uint8_t *bytes = malloc(size + 1);
	struct op_attr attr;
	int err = bytes ? bench_attr(node, &attr) : ERR_NOMEM;
	uint32_t there = err ? 0 : (uint32_t)MIN((uint64_t)size, attr.size);
	for (uint32_t at = 0; !err && at < there; at += 65536)
		err = bench_read(b, node, at, bytes + at, MIN(there - at, 65536u));
	if (!err)
		err = attr.size > cairn_blocks(size) * CAIRN_BLOCK_SIZE ? ERR_INVAL : compare(s, when, bytes, there);
	/* An inode that was made anew does not know the size; one of an earlier moment has another. */
	if (!err && attr.size != size)
		err = ERR_IO;
	free(bytes);
	return err;
}

/* In a snapshot, what is missing or cannot be read is counted apart. */
static void look_at(struct bench *b, struct vfs_node *root, const struct file_spec *s, enum when when, struct state *st)
{
	struct vfs_node *node;
	int err = find_file(root, s, &node);
	bool missing = err != 0;
	if (!err) {
		err = read_file(b, node, s, when);
		vfs_node_put(node);
	}
	if (err == ERR_AGAIN) {
		st->n_older++;
	} else if (err == ERR_NXIO) {
		st->n_holes++;
	} else if (err && !missing && err != ERR_IO && !(when == BEFORE && err == ERR_STALE)) {
		fprintf(stderr, "%s/%s%s: %s\n", s->dir, s->name, when == NOW ? "" : " in the snapshot",
		        err == ERR_INVAL ? "wrong bytes" : err_text(err));
		st->n_wrong++;
	} else if (when == BEFORE) {
		st->n_held_bad += err != 0;
	} else {
		st->n_good += err == 0;
		st->n_missing += missing;
		st->n_unreadable += err && !missing;
	}
}

static void look_at_snapshot(struct bench *b, struct state *st)
{
	struct vfs_name name = name_of("before");
	struct vfs_node *root;
	if (cairn_snapshot_named(b->m->store, &name, &root)) {
		st->n_held_bad += ARRAY_SIZE(specs) + 1;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		look_at(b, root, &specs[i], BEFORE, st);
	look_at(b, root, &gone, BEFORE, st);
	vfs_node_put(root);
}

static void look_at_many(struct bench *b, struct state *st)
{
	struct vfs_node *dir, *node;
	if (find_dir(b->m->root, "many", &dir)) {
		st->n_missing += MANY;
		return;
	}
	for (int i = 0; i < MANY; i++) {
		char name[16];
		snprintf(name, sizeof(name), "many-%d", i);
		if (bench_lookup(dir, name, &node)) {
			st->n_missing++;
			continue;
		}
		st->n_good++;
		vfs_node_put(node);
	}
	vfs_node_put(dir);
}

int store_look(const char *dir, struct state *st)
{
	struct bench b;
	memset(st, 0, sizeof(*st));
	int err = mount(&b, dir, NULL);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		look_at(&b, b.m->root, &specs[i], NOW, st);
	look_at_many(&b, st);
	look_at_snapshot(&b, st);
	bench_unmount(&b);
	return 0;
}

/* ---- its records */

#define KEYS_MAX 4096u

struct digest {
	enum meta_table table;
	uint64_t sum;
	struct meta_key *keys; /* KEYS_MAX */
	uint32_t n;
};

static bool add_record(void *arg, const struct meta_record *r)
{
	struct digest *d = arg;
	uint64_t h = hash_bytes(r->key->bytes, r->key->size) ^ hash_u64(d->table + 1) ^ hash_u64(r->batch + 77);
	d->sum = hash_u64(d->sum) + (r->err ? 1 : h) + hash_bytes(r->body, r->size);
	if (d->n < KEYS_MAX)
		d->keys[d->n++] = *r->key;
	return true;
}

/* Going from one to the next does not use what stands above them: each is looked up as well. */
static void look_up_all(struct meta *meta, struct digest *d)
{
	uint8_t *body = malloc(META_BODY_MAX);
	for (uint32_t i = 0; body && i < d->n; i++) {
		uint32_t size = META_BODY_MAX;
		int err = meta_get(meta, d->table, &d->keys[i], body, &size);
		d->sum = hash_u64(d->sum) + (err ? (uint64_t)-err : hash_bytes(body, size));
	}
	d->n = 0;
	free(body);
}

uint64_t store_digest(const char *dir)
{
	char path[256];
	struct meta_config cfg = {.dir = path, .size_max = 1ULL << 40, .read_only = true, .salvage = true};
	struct digest d = {.sum = 1, .keys = malloc(KEYS_MAX * sizeof(*d.keys))};
	struct meta *meta;
	int err = 0;
	snprintf(path, sizeof(path), "%s/meta", dir);
	if (!d.keys || meta_open(&meta, &cfg)) {
		free(d.keys);
		return 0;
	}
	for (int i = 0; !err && i < META_N_TABLES; i++) {
		struct meta_key key = meta_key_is_number(i) ? meta_key_number(0) : meta_key_name(0, "", 0);
		d.table = i;
		err = meta_inspect(meta, i, &key, add_record, &d);
		look_up_all(meta, &d);
	}
	meta_close(meta);
	free(d.keys);
	return err ? 0 : d.sum;
}
