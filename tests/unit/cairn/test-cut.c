/*
 * Shows that what has more extents than one transaction takes away is cut, punched and removed in several: at once for who looks, in the
 * background for the store, after a crash by the next mount, and sound at any moment.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/cairn/cairn-check.h"
#include "backends/cairn/cairn-cut.h"
#include "harness.h"

enum { EXTENTS = 200, AT_ONCE = 16, WAIT_MS = 10000 };
#define PLACE(i) (2 * (uint64_t)(i) * CAIRN_BLOCK_SIZE)

static uint8_t bytes[CAIRN_BLOCK_SIZE], found[CAIRN_BLOCK_SIZE], zeros[CAIRN_BLOCK_SIZE];

/* Also in a process of its own, where the test framework must not be called. */
static void must(bool holds, const char *what, int line)
{
	if (holds)
		return;
	fprintf(stderr, "line %d does not hold: %s\n", line, what);
	_exit(3);
}

#define MUST(holds) must(holds, #holds, __LINE__)

static const uint8_t *block_of(uint32_t i)
{
	memset(bytes, (int)(i + 1), sizeof(bytes));
	return bytes;
}

static void open_store(struct bench *b)
{
	static const char *const options[] = {"create=yes", "capacity=64M", "journal=256K", NULL};
	char *why;
	cairn_at_once = (struct cairn_at_once){AT_ONCE, AT_ONCE};
	MUST(bench_mount(b, options, &why) == 0);
}

/* Every other block has data: each is an extent. */
static struct vfs_node *make_ragged(struct bench *b, const char *name)
{
	struct vfs_node *node;
	MUST(bench_make(b->m->root, name, OP_TYPE_FILE, &node) == 0);
	for (uint32_t i = 0; i < EXTENTS; i++)
		MUST(bench_write(node, PLACE(i), block_of(i), CAIRN_BLOCK_SIZE, i + 1 < EXTENTS ? WRITE_UNSTABLE : WRITE_FILE_SYNC) == 0);
	return node;
}

static bool has(struct bench *b, struct vfs_node *node, uint64_t offset, const uint8_t *wanted)
{
	return bench_read(b, node, offset, found, sizeof(found)) == 0 && memcmp(found, wanted, sizeof(found)) == 0;
}

static uint64_t space_of(struct vfs_node *node)
{
	struct op_attr attr;
	MUST(bench_attr(node, &attr) == 0);
	return attr.space / CAIRN_BLOCK_SIZE;
}

static void wait_for_space(struct vfs_node *node, uint64_t blocks)
{
	for (int i = 0; i < WAIT_MS && space_of(node) != blocks; i++)
		fiber_sleep_ns(NS_PER_MS);
	MUST(space_of(node) == blocks);
}

static uint64_t used(struct bench *b)
{
	struct cairn *fs = b->m->store;
	return fs->n_blocks;
}

static void wait_for_used(struct bench *b, uint64_t blocks)
{
	for (int i = 0; i < WAIT_MS && used(b) != blocks; i++)
		fiber_sleep_ns(NS_PER_MS);
	MUST(used(b) == blocks);
}

static int64_t n_cut(struct bench *b)
{
	struct cairn *fs = b->m->store;
	int64_t n;
	MUST(meta_counter(fs->meta, META_N_CUT, &n) == 0);
	return n;
}

static void check_sound(struct bench *b)
{
	struct check_options o = {.path = b->dir, .repair = CHECK_ONLY, .data = true};
	struct check_report r = {0};
	char *why = NULL;
	MUST(cairn_check(&o, &r, &why) == 0);
	if (r.n_kept)
		fprintf(stderr, "%s, inode %llu\n", r.findings[0].text, (unsigned long long)r.findings[0].ino);
	MUST(r.n_found == 0);
	check_report_fini(&r);
}

/* In a process of its own. */
static void run(struct bench *b, void (*body)(void *arg))
{
	int status = -1;
	fflush(NULL);
	pid_t pid = fork(), ended;
	if (pid == 0) {
		bench_in_loop(body, b);
		_exit(0);
	}
	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	cr_assert(pid > 0 && ended == pid && status == 0, "status %d", status);
}

static void in_store(void (*first)(void *arg), void (*second)(void *arg))
{
	struct bench b = {.dir = "/tmp/test-cut-XXXXXX"};
	cr_assert_not_null(mkdtemp(b.dir));
	run(&b, first);
	if (second)
		run(&b, second);
	bench_remove_dir(b.dir);
}

/* ---- cutting */

static void cut(void *arg)
{
	struct bench *b = arg;
	open_store(b);
	struct vfs_node *node = make_ragged(b, "f");
	MUST(bench_truncate(node, PLACE(5) + 100) == 0);
	MUST(has(b, node, PLACE(4), block_of(4)));
	wait_for_space(node, 6);
	MUST(n_cut(b) == 0);
	MUST(bench_truncate(node, PLACE(EXTENTS)) == 0);
	MUST(has(b, node, PLACE(4), block_of(4)));
	MUST(has(b, node, PLACE(6), zeros) && has(b, node, PLACE(EXTENTS - 1), zeros));
	vfs_node_put(node);
	bench_unmount(b);
	check_sound(b);
}

Test(cut, is_done_in_the_background)
{
	in_store(cut, NULL);
}

/* Before the worker has come to it. */
static void grow(void *arg)
{
	struct bench *b = arg;
	open_store(b);
	struct vfs_node *node = make_ragged(b, "f");
	MUST(bench_truncate(node, 0) == 0);
	MUST(bench_write(node, PLACE(90), block_of(9), CAIRN_BLOCK_SIZE, WRITE_FILE_SYNC) == 0);
	MUST(has(b, node, PLACE(7), zeros) && has(b, node, PLACE(90), block_of(9)));
	MUST(space_of(node) == 1 && n_cut(b) == 0);
	vfs_node_put(node);
	bench_unmount(b);
	check_sound(b);
}

Test(cut, is_done_before_a_file_grows)
{
	in_store(grow, NULL);
}

/* Somebody reads, so that the worker gets nothing done; then the end. */
static void cut_and_die(void *arg)
{
	struct bench *b = arg;
	open_store(b);
	struct vfs_node *node = make_ragged(b, "f"), *gone = make_ragged(b, "gone");
	MUST(bench_truncate(node, PLACE(5)) == 0);
	MUST(bench_truncate(gone, PLACE(1)) == 0);
	fiber_rwlock_rdlock(vfs_node_lock(node));
	MUST(n_cut(b) > 0);
	_exit(0);
}

static void open_again(void *arg)
{
	struct bench *b = arg;
	struct vfs_node *node;
	check_sound(b);
	open_store(b);
	MUST(bench_remove(b->m->root, "gone") == 0);
	wait_for_used(b, 5);
	MUST(n_cut(b) == 0);
	MUST(bench_lookup(b->m->root, "f", &node) == 0);
	MUST(space_of(node) == 5 && has(b, node, PLACE(4), block_of(4)));
	vfs_node_put(node);
	bench_unmount(b);
	check_sound(b);
}

Test(cut, goes_on_after_a_crash)
{
	in_store(cut_and_die, open_again);
}

/* ---- what else is too much */

static int punch(struct vfs_node *node, uint64_t offset, uint64_t size)
{
	fiber_rwlock_wrlock(vfs_node_lock(node));
	int err = node->mount->ops->deallocate(node, offset, size);
	fiber_rwlock_wrunlock(vfs_node_lock(node));
	return err;
}

static int zero(struct vfs_node *node, uint64_t offset, uint64_t size)
{
	fiber_rwlock_wrlock(vfs_node_lock(node));
	int err = node->mount->ops->zero(node, offset, size, true);
	fiber_rwlock_wrunlock(vfs_node_lock(node));
	return err;
}

static void punch_and_zero(void *arg)
{
	struct bench *b = arg;
	open_store(b);
	struct vfs_node *node = make_ragged(b, "f");
	MUST(punch(node, PLACE(3) + 10, PLACE(150) - PLACE(3)) == 0);
	MUST(space_of(node) == EXTENTS - 146);
	MUST(has(b, node, PLACE(2), block_of(2)) && has(b, node, PLACE(100), zeros) && has(b, node, PLACE(151), block_of(151)));
	MUST(zero(node, 0, PLACE(EXTENTS)) == 0);
	MUST(has(b, node, PLACE(2), zeros) && has(b, node, PLACE(180), zeros));
	MUST(space_of(node) == 2 * EXTENTS);
	vfs_node_put(node);
	MUST(bench_remove(b->m->root, "f") == 0);
	wait_for_used(b, 0);
	bench_unmount(b);
	check_sound(b);
}

Test(cut, holes_are_made_in_pieces)
{
	in_store(punch_and_zero, NULL);
}

/* Some of it is given back when the end comes. */
static void remove_and_die(void *arg)
{
	struct bench *b = arg;
	open_store(b);
	vfs_node_put(make_ragged(b, "f"));
	uint64_t before = used(b);
	MUST(before == EXTENTS);
	MUST(bench_remove(b->m->root, "f") == 0);
	while (used(b) == before)
		fiber_yield();
	_exit(0);
}

static void look_at_rest(void *arg)
{
	struct bench *b = arg;
	check_sound(b);
	open_store(b);
	wait_for_used(b, 0);
	bench_unmount(b);
	check_sound(b);
}

Test(cut, what_is_removed_in_part_is_sound)
{
	in_store(remove_and_die, look_at_rest);
}

static void clone_ragged(void *arg)
{
	struct bench *b = arg;
	open_store(b);
	struct vfs_node *from = make_ragged(b, "from"), *to = make_ragged(b, "to");
	fiber_rwlock_wrlock(vfs_node_lock(to));
	MUST(to->mount->ops->clone(from, 0, to, 0, PLACE(EXTENTS - 1) + CAIRN_BLOCK_SIZE) == 0);
	fiber_rwlock_wrunlock(vfs_node_lock(to));
	MUST(used(b) == EXTENTS && space_of(to) == EXTENTS);
	MUST(has(b, to, PLACE(77), block_of(77)));
	vfs_node_put(from);
	vfs_node_put(to);
	bench_unmount(b);
	check_sound(b);
}

Test(cut, what_a_clone_replaces_goes_in_pieces)
{
	in_store(clone_ragged, NULL);
}
