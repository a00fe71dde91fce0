/*
 * Shows that clones, snapshots, their removal and rolling back do with files what a model in memory does, over restarts, and that
 * in the end every block has as many references as are counted.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-cut.h"
#include "harness.h"
#include "tests/unit/cairn/tables.h"

#define FILES 5
#define SNAPSHOTS 4
#define SIZE_MAX_MODEL (48 * CAIRN_BLOCK_SIZE)

struct copy {
	uint32_t size;
	bool there;
	uint8_t bytes[SIZE_MAX_MODEL];
};

struct world {
	struct copy files[FILES];
};

struct model {
	struct bench *b;
	uint64_t random;
	struct world now;
	struct world kept[SNAPSHOTS];
	bool has[SNAPSHOTS];
	unsigned step;
};

static uint32_t pick(struct model *m, uint32_t n)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->random >> 33) % n;
}

static struct vfs_name name_of(const char *text)
{
	return (struct vfs_name){text, (uint32_t)strlen(text)};
}

static const char *file_name(uint32_t i)
{
	static const char *const names[FILES] = {"a", "b", "c", "d", "e"};
	return names[i];
}

static const char *snapshot_name(uint32_t i)
{
	static const char *const names[SNAPSHOTS] = {"one", "two", "three", "four"};
	return names[i];
}

static struct vfs_node *file(struct model *m, uint32_t i)
{
	struct vfs_node *node;
	if (!m->now.files[i].there) {
		cr_assert_eq(bench_make(m->b->m->root, file_name(i), OP_TYPE_FILE, &node), 0);
		m->now.files[i].there = true;
		return node;
	}
	cr_assert_eq(bench_lookup(m->b->m->root, file_name(i), &node), 0);
	return node;
}

/* ---- steps */

static void do_write(struct model *m)
{
	uint32_t i = pick(m, FILES), at = pick(m, SIZE_MAX_MODEL - 1), size = 1 + pick(m, SIZE_MAX_MODEL / 3);
	struct copy *c = &m->now.files[i];
	struct vfs_node *node = file(m, i);
	size = MIN(size, (uint32_t)SIZE_MAX_MODEL - at);
	for (uint32_t k = 0; k < size; k++)
		c->bytes[at + k] = (uint8_t)(m->step * 31 + k + (k >> 8));
	c->size = MAX(c->size, at + size);
	cr_assert_eq(bench_write(node, at, c->bytes + at, size, pick(m, 4) ? WRITE_UNSTABLE : WRITE_FILE_SYNC), 0);
	vfs_node_put(node);
}

static void do_truncate(struct model *m)
{
	uint32_t i = pick(m, FILES), size = pick(m, SIZE_MAX_MODEL);
	struct copy *c = &m->now.files[i];
	struct vfs_node *node = file(m, i);
	if (size < c->size)
		memset(c->bytes + size, 0, c->size - size);
	c->size = size;
	cr_assert_eq(bench_truncate(node, size), 0);
	vfs_node_put(node);
}

static void do_punch(struct model *m)
{
	uint32_t i = pick(m, FILES), at = pick(m, SIZE_MAX_MODEL - 1), size = 1 + pick(m, SIZE_MAX_MODEL - at);
	struct vfs_node *node = file(m, i);
	memset(m->now.files[i].bytes + at, 0, size);
	fiber_rwlock_wrlock(&node->lock);
	cr_assert_eq(m->b->m->ops->deallocate(node, at, size), 0);
	fiber_rwlock_wrunlock(&node->lock);
	vfs_node_put(node);
}

static void do_remove(struct model *m)
{
	uint32_t i = pick(m, FILES);
	if (!m->now.files[i].there)
		return;
	cr_assert_eq(bench_remove(m->b->m->root, file_name(i)), 0);
	memset(&m->now.files[i], 0, sizeof(m->now.files[i]));
}

static void do_clone(struct model *m)
{
	uint32_t i = pick(m, FILES), j = pick(m, FILES), blocks = SIZE_MAX_MODEL / CAIRN_BLOCK_SIZE;
	struct copy *from = &m->now.files[i], *to = &m->now.files[j];
	struct vfs_node *a = file(m, i), *b = file(m, j);
	uint32_t whole = from->size / CAIRN_BLOCK_SIZE, at = whole ? pick(m, whole) : 0, n = whole ? 1 + pick(m, whole - at) : 0;
	uint32_t to_at = n ? pick(m, blocks - n + 1) : 0;
	bool apart = i != j || at + n <= to_at || to_at + n <= at;
	if (n && apart) {
		uint64_t size = (uint64_t)n * CAIRN_BLOCK_SIZE;
		if (a != b)
			fiber_rwlock_rdlock(&a->lock);
		fiber_rwlock_wrlock(&b->lock);
		cr_assert_eq(m->b->m->ops->clone(a, at * CAIRN_BLOCK_SIZE, b, to_at * CAIRN_BLOCK_SIZE, size), 0);
		fiber_rwlock_wrunlock(&b->lock);
		if (a != b)
			fiber_rwlock_rdunlock(&a->lock);
		memcpy(to->bytes + to_at * CAIRN_BLOCK_SIZE, from->bytes + at * CAIRN_BLOCK_SIZE, size);
		to->size = MAX(to->size, to_at * CAIRN_BLOCK_SIZE + (uint32_t)size);
	}
	vfs_node_put(a);
	vfs_node_put(b);
}

static void do_snapshot(struct model *m)
{
	uint32_t i = pick(m, SNAPSHOTS);
	struct vfs_name name = name_of(snapshot_name(i));
	struct vfs_snapshot made;
	int err = m->b->m->ops->snapshot_create(m->b->m, &name, &made);
	cr_assert_eq(err, m->has[i] ? ERR_EXIST : 0);
	if (!m->has[i])
		m->kept[i] = m->now;
	m->has[i] = true;
}

static void do_drop(struct model *m)
{
	uint32_t i = pick(m, SNAPSHOTS);
	struct vfs_name name = name_of(snapshot_name(i));
	cr_assert_eq(m->b->m->ops->snapshot_remove(m->b->m, &name), m->has[i] ? 0 : ERR_NOENT);
	m->has[i] = false;
}

static void do_rollback(struct model *m)
{
	uint32_t i = pick(m, SNAPSHOTS);
	struct vfs_name name = name_of(snapshot_name(i));
	cr_assert_eq(m->b->m->ops->snapshot_rollback(m->b->m, &name), m->has[i] ? 0 : ERR_NOENT);
	if (m->has[i])
		m->now = m->kept[i];
}

static void mount_it(struct model *m)
{
	static const char *const options[] = {"create=yes", "capacity=64M", "cache=1M", NULL};
	char *why;
	int err = bench_mount(m->b, options, &why);
	cr_assert_eq(err, 0, "%s", why ? why : err_text(err));
}

static void do_restart(struct model *m)
{
	bench_unmount(m->b);
	cr_assert(tables_agree(m->b->dir), "step %u", m->step);
	mount_it(m);
}

/* ---- comparing */

static void compare(struct model *m, struct vfs_node *dir, const struct copy *c, uint32_t i)
{
	static uint8_t back[SIZE_MAX_MODEL];
	struct vfs_node *node;
	struct op_attr attr;
	int err = bench_lookup(dir, file_name(i), &node);
	cr_assert_eq(err, c->there ? 0 : ERR_NOENT, "step %u: file %s", m->step, file_name(i));
	if (err)
		return;
	cr_assert_eq(bench_attr(node, &attr), 0);
	cr_assert_eq(attr.size, c->size, "step %u: file %s", m->step, file_name(i));
	if (c->size) {
		cr_assert_eq(bench_read(m->b, node, 0, back, c->size), 0);
		cr_assert_eq(memcmp(back, c->bytes, c->size), 0, "step %u: bytes of %s", m->step, file_name(i));
	}
	vfs_node_put(node);
}

static void compare_world(struct model *m, struct vfs_node *dir, const struct world *w)
{
	for (uint32_t i = 0; i < FILES; i++)
		compare(m, dir, &w->files[i], i);
}

static void compare_snapshot(struct model *m, uint32_t i)
{
	struct vfs_node *all, *dir;
	cr_assert_eq(bench_lookup(m->b->m->root, ".snapshot", &all), 0);
	int err = bench_lookup(all, snapshot_name(i), &dir);
	cr_assert_eq(err, m->has[i] ? 0 : ERR_NOENT);
	if (!err) {
		compare_world(m, dir, &m->kept[i]);
		vfs_node_put(dir);
	}
	vfs_node_put(all);
}

static void run_steps(struct model *m, unsigned n)
{
	static void (*const steps[])(struct model *) = {
		do_write, do_write, do_write, do_truncate, do_punch, do_remove, do_clone, do_clone, do_clone,
		do_snapshot, do_snapshot, do_drop, do_rollback, do_restart,
	};
	for (m->step = 0; m->step < n; m->step++) {
		steps[pick(m, ARRAY_SIZE(steps))](m);
		compare(m, m->b->m->root, &m->now.files[m->step % FILES], m->step % FILES);
		compare_snapshot(m, m->step % SNAPSHOTS);
	}
	compare_world(m, m->b->m->root, &m->now);
}

static bool note_any(void *arg, const struct vfs_snapshot *s)
{
	*(bool *)arg = true;
	return true;
}

/* Until the worker has given back all that snapshots held. */
static void drop_all(struct model *m)
{
	bool any = true;
	for (uint32_t i = 0; i < SNAPSHOTS; i++) {
		struct vfs_name name = name_of(snapshot_name(i));
		if (m->has[i])
			cr_assert_eq(m->b->m->ops->snapshot_remove(m->b->m, &name), 0);
	}
	while (any) {
		any = false;
		cr_assert_eq(m->b->m->ops->snapshot_list(m->b->m, note_any, &any), 0);
		fiber_sleep_ns(NS_PER_MS);
	}
}

static void run_model(struct bench *b, uint64_t seed, unsigned n)
{
	struct model *m = calloc(1, sizeof(*m));
	m->b = b;
	m->random = seed;
	mount_it(m);
	run_steps(m, n);
	drop_all(m);
	compare_world(m, b->m->root, &m->now);
	bench_unmount(b);
	cr_assert(tables_agree(b->dir));
	cr_assert_eq(tables_n_old(b->dir), 0, "old versions and dead references are gone with the last snapshot");
	free(m);
}

static void check_model(void *arg)
{
	run_model(arg, 1, 400);
}

/* What is mostly one transaction is several. */
static void check_again(void *arg)
{
	cairn_at_once = (struct cairn_at_once){3, 3};
	run_model(arg, 77, 400);
}

static void run(void (*body)(void *arg))
{
	struct bench b = {.dir = "/tmp/test-share-XXXXXX"};
	const char *tmp = getenv("TMPDIR");
	if (tmp && strlen(tmp) < 64)
		snprintf(b.dir, sizeof(b.dir), "%s/test-share-XXXXXX", tmp);
	cr_assert_not_null(mkdtemp(b.dir));
	bench_in_loop(body, &b);
	bench_remove_dir(b.dir);
}

Test(cairn_share, model)
{
	run(check_model);
}

Test(cairn_share, model_again)
{
	run(check_again);
}
