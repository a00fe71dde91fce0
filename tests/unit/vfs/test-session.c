/* Shows what differs between sessions: isolated ones get copies, watchers are told of others' changes, mounts are listed. */
#include <string.h>

#include "tests/unit/vfs/harness.h"

TestSuite(session, .timeout = 30);

static struct vfs_session *other(struct bench *b, bool isolated, void (*event)(void *arg, const struct op_event *e), void *arg)
{
	struct vfs_session_config cfg = {.role = 2, .name = "other", .isolated = isolated, .event = event, .arg = arg};
	struct vfs_session *s;
	cr_assert_eq(vfs_session_create(b->vfs, &cfg, &s), 0);
	return s;
}

static void isolated(struct bench *b)
{
	static char data[200000], room[150000];
	struct op_handle f;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i % 251);
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &f), 0);
	cr_assert_eq(bench_write(b, &f, 0, data, sizeof(data)), 0);
	struct vfs_session *mine = b->session;
	b->session = other(b, true, NULL, NULL);
	struct op *op = bench_op(b, OP_read, &f);
	op->in.read.offset = 60000;
	op->in.read.size = 100000;
	op->n_segs = 2;
	op->segs[0] = (struct op_seg){0, 70000, OP_SEG_CLIENT};
	op->segs[1] = (struct op_seg){70000, 80000, OP_SEG_CLIENT};
	b->payload.iov[0] = (struct iovec){room, 70000};
	b->payload.iov[1] = (struct iovec){room + 70000, 80000};
	b->payload.n_iov = 2;
	cr_assert_eq(bench_go(b), 0);
	cr_expect_eq(op->n_segs, 2);
	cr_expect_eq(op->segs[0].size + op->segs[1].size, 100000);
	cr_expect_eq(op->segs[1].region, OP_SEG_CLIENT);
	cr_expect_eq(b->pins.n_chunks, 0);
	cr_expect_arr_eq(room, data + 60000, 100000);
	op = bench_op(b, OP_read, &f);
	op->in.read.size = 1000;
	bench_payload(b, room, 999);
	cr_expect_eq(bench_go(b), ERR_TOOSMALL);
	vfs_session_destroy(b->session);
	b->session = mine;
}

Test(session, an_isolated_one_gets_copies)
{
	bench_run(NULL, isolated);
}

struct heard {
	uint32_t n;
	struct op_event last;
};

static void hear(void *arg, const struct op_event *e)
{
	struct heard *h = arg;
	h->n++;
	h->last = *e;
}

static void watch(struct bench *b)
{
	struct heard heard = {0};
	struct vfs_session *mine = b->session, *watcher = other(b, false, hear, &heard);
	b->session = watcher;
	struct op *op = bench_op(b, OP_watch, &b->root);
	op->in.watch.filter = CHANGED_NAME;
	cr_assert_eq(bench_go(b), 0);
	uint64_t id = op->out.watch.watch_id;
	cr_assert_eq(bench_create(b, &b->root, "own", 0644, NULL), 0);
	cr_expect_eq(heard.n, 0, "one's own changes are no news");
	b->session = mine;
	struct op_handle f;
	cr_assert_eq(bench_create(b, &b->root, "new", 0644, &f), 0);
	cr_expect_eq(heard.n, 1);
	cr_expect_eq(heard.last.type, OP_EVENT_CHANGED);
	cr_expect_eq(heard.last.watch_id, id);
	cr_expect_eq(heard.last.name_size, 3);
	cr_expect_arr_eq(heard.last.name, "new", 3);
	cr_expect(op_handle_equal(&heard.last.obj, &b->root));
	cr_assert_eq(bench_write(b, &f, 0, "x", 1), 0);
	cr_expect_eq(heard.n, 1, "data was not asked for");
	cr_assert_eq(bench_remove(b, &b->root, "new"), 0);
	cr_expect_eq(heard.n, 2);
	b->session = watcher;
	op = bench_op(b, OP_unwatch, NULL);
	op->in.unwatch.watch_id = id;
	cr_expect_eq(bench_go(b), 0);
	op = bench_op(b, OP_unwatch, NULL);
	op->in.unwatch.watch_id = id;
	cr_expect_eq(bench_go(b), ERR_NOENT);
	b->session = mine;
	cr_assert_eq(bench_create(b, &b->root, "more", 0644, NULL), 0);
	cr_expect_eq(heard.n, 2);
	vfs_session_destroy(watcher);
}

Test(session, a_watch_tells_what_others_change)
{
	bench_run(NULL, watch);
}

static bool note(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	char *names = arg;
	strcat(names, m->name);
	strcat(names, " ");
	return strcmp(m->name, "m") != 0;
}

static void mounts(struct bench *b)
{
	static const char *const names[] = {"z", "a", "k"};
	char seen[64] = "", *why;
	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct vfs_mount_spec spec = {100 + i, names[i], "null", false, NULL};
		cr_assert_eq(vfs_mount(b->vfs, &spec, &why), 0);
	}
	vfs_each_mount(b->vfs, note, seen);
	cr_expect_str_eq(seen, "a k m ");
}

Test(session, mounts_are_listed_in_order)
{
	bench_run(NULL, mounts);
}

static void across(struct bench *b)
{
	static char data[3 << 20], back[1 << 20];
	struct op_handle from, to;
	char *why;
	struct vfs_mount_spec spec = {9, "second", "memfs", false, NULL};
	cr_assert_eq(vfs_mount(b->vfs, &spec, &why), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i % 253);
	cr_assert_eq(bench_create(b, &b->root, "f", 0644, &from), 0);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(bench_write(b, &from, (uint64_t)i << 20, data + (i << 20), 1 << 20), 0);
	bench_op(b, OP_lookup_path, NULL);
	bench_payload(b, "second", 6);
	cr_assert_eq(bench_go(b), 0);
	struct op_handle root = b->op.out.lookup_path.obj;
	cr_assert_eq(bench_create(b, &root, "g", 0644, &to), 0);
	struct op *op = bench_op(b, OP_copy, &from);
	op->obj2 = to;
	op->in.copy.offset = 5;
	op->in.copy.to_offset = 1000;
	op->in.copy.size = UINT64_MAX;
	cr_assert_eq(bench_go(b), 0);
	cr_expect_eq(op->out.copy.size, sizeof(data) - 5);
	uint32_t size = sizeof(back);
	cr_assert_eq(bench_read(b, &to, 2000000, back, &size), 0);
	cr_expect_arr_eq(back, data + 1999005, 1000000);
	op = bench_op(b, OP_rename, &b->root);
	op->obj2 = root;
	op_set_str(op, &op->in.rename.name, "f", 1);
	op_set_str(op, &op->in.rename.to_name, "f", 1);
	cr_expect_eq(bench_go(b), ERR_XDEV);
}

Test(session, copying_goes_from_mount_to_mount_but_renaming_does_not)
{
	bench_run(NULL, across);
}
