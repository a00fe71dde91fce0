/* Shows that streams and folded names survive restarts, go with what they belong to, and leave a store that checks. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-check.h"
#include "tests/unit/cairn/harness.h"

#define LARGE 300000u

static const char *const make_store[] = {"create=yes", "capacity=32M", NULL};

static void run(void (*body)(void *arg))
{
	struct bench b = {.dir = "/tmp/test-names-XXXXXX"};
	const char *tmp = getenv("TMPDIR");
	if (tmp && strlen(tmp) < 64)
		snprintf(b.dir, sizeof(b.dir), "%s/test-names-XXXXXX", tmp);
	cr_assert_not_null(mkdtemp(b.dir));
	bench_in_loop(body, &b);
	bench_remove_dir(b.dir);
}

static void mount_ok(struct bench *b, const char *const *options)
{
	char *why;
	int err = bench_mount(b, options, &why);
	cr_assert_eq(err, 0, "%s: %s", err_text(err), why ? why : "");
}

/* What fsck.cairn would say of the store. */
static void unmount_and_check(struct bench *b)
{
	struct check_options o = {.path = b->dir, .repair = CHECK_ONLY, .data = true};
	struct check_report r = {0};
	char *why = NULL;
	bench_unmount(b);
	cr_assert_eq(cairn_check(&o, &r, &why), 0, "%s", why ? why : "");
	cr_assert_eq(r.n_found, 0, "%s", r.n_kept ? r.findings[0].text : "");
	check_report_fini(&r);
}

static void remount(struct bench *b)
{
	unmount_and_check(b);
	mount_ok(b, NULL);
}

static struct vfs_node *make(struct vfs_node *dir, const char *name, uint32_t type)
{
	struct vfs_node *node;
	cr_assert_eq(bench_make(dir, name, type, &node), 0);
	return node;
}

static struct vfs_name name_of(const char *text)
{
	return (struct vfs_name){text, (uint32_t)strlen(text)};
}

static struct vfs_node *make_stream(struct vfs_node *base, const char *text, const void *data, uint32_t size, uint32_t stability)
{
	struct vfs_name name = name_of(text);
	struct vfs_node *stream;
	fiber_rwlock_wrlock(&base->lock);
	int err = cairn_create_stream(base, &name, &stream);
	fiber_rwlock_wrunlock(&base->lock);
	cr_assert_eq(err, 0);
	cr_assert_eq(stream->base, base);
	if (size)
		cr_assert_eq(bench_write(stream, 0, data, size, stability), 0);
	return stream;
}

static struct vfs_node *find_stream(struct vfs_node *base, const char *text)
{
	struct vfs_name name = name_of(text);
	struct vfs_node *stream;
	return cairn_find_stream(base, &name, &stream) ? NULL : stream;
}

static void wait_for_inodes(struct bench *b, uint64_t n)
{
	struct cairn *fs = b->m->store;
	for (int i = 0; i < 200 && fs->n_inodes != n; i++)
		fiber_sleep_ns(20 * NS_PER_MS);
	cr_assert_eq(fs->n_inodes, n);
}

/* ---- streams */

static void check_restart(void *arg)
{
	struct bench *b = arg;
	uint8_t *data = malloc(LARGE), *back = malloc(LARGE), handle[OP_HANDLE_BACKEND_MAX];
	struct op_attr attr;
	for (uint32_t i = 0; i < LARGE; i++)
		data[i] = (uint8_t)(i * 11 + (i >> 8));
	mount_ok(b, make_store);
	struct vfs_node *f = make(b->m->root, "f", OP_TYPE_FILE);
	struct vfs_node *small = make_stream(f, "small", data, 50, WRITE_FILE_SYNC);
	struct vfs_node *large = make_stream(f, "large", data, LARGE, WRITE_UNSTABLE);
	uint32_t size = b->m->ops->node_handle(large, handle);
	vfs_node_put(small);
	vfs_node_put(large);
	vfs_node_put(f);
	remount(b);
	cr_assert_eq(b->m->ops->node_get(b->m, handle, size, &large), 0, "a stream's handle survives");
	cr_assert_eq(bench_read(b, large, 0, back, LARGE), 0);
	cr_assert_arr_eq(back, data, LARGE);
	small = find_stream(large->base, "small");
	cr_assert_not_null(small);
	cr_assert_eq(small->base, large->base, "one node for the base");
	cr_assert_eq(bench_attr(small, &attr), 0);
	cr_assert(attr.size == 50 && attr.space == 512, "a small stream takes no block");
	cr_assert_eq(bench_read(b, small, 0, back, 50), 0);
	cr_assert_arr_eq(back, data, 50);
	vfs_node_put(small);
	vfs_node_put(large);
	unmount_and_check(b);
	free(data);
	free(back);
}

Test(names, streams_survive_a_restart)
{
	run(check_restart);
}

static void check_gone_with_base(void *arg)
{
	struct bench *b = arg;
	struct cairn *fs;
	uint8_t *data = calloc(1, LARGE), handle[OP_HANDLE_BACKEND_MAX];
	struct vfs_node *s, *u, *node;
	mount_ok(b, make_store);
	fs = b->m->store;
	struct vfs_node *f = make(b->m->root, "f", OP_TYPE_FILE);
	s = make_stream(f, "s", data, LARGE, WRITE_FILE_SYNC);
	u = make_stream(f, "u", data, LARGE, WRITE_FILE_SYNC);
	uint32_t size = b->m->ops->node_handle(u, handle);
	vfs_node_put(u);
	vfs_node_put(f);
	cr_assert_eq(bench_remove(b->m->root, "f"), 0);
	cr_assert_eq(b->m->ops->node_get(b->m, handle, size, &node), ERR_STALE, "no stream of what has no name is found any more");
	cr_assert_eq(bench_read(b, s, 0, data, LARGE), 0, "in use, it lives on");
	cr_assert_eq(fs->n_inodes, 4);
	vfs_node_put(s);
	wait_for_inodes(b, 1);
	cr_assert_eq(fs->n_orphans, 0);
	unmount_and_check(b);
	free(data);
}

Test(names, streams_go_with_their_base)
{
	run(check_gone_with_base);
}

static void check_many(void *arg)
{
	struct bench *b = arg;
	char name[32];
	mount_ok(b, make_store);
	struct vfs_node *d = make(b->m->root, "d", OP_TYPE_DIR);
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "stream %d", i);
		vfs_node_put(make_stream(d, name, "text", 4, WRITE_UNSTABLE));
	}
	struct vfs_name more = name_of("more");
	for (int i = 600; i < 1024; i++) {
		snprintf(name, sizeof(name), "stream %d", i);
		vfs_node_put(make_stream(d, name, NULL, 0, 0));
	}
	struct vfs_node *none;
	cr_assert_eq(cairn_create_stream(d, &more, &none), ERR_NOSPC, "their number is bounded");
	vfs_node_put(d);
	remount(b);
	cr_assert_eq(bench_remove(b->m->root, "d"), 0);
	wait_for_inodes(b, 1);
	unmount_and_check(b);
}

Test(names, more_streams_than_one_transaction_takes)
{
	run(check_many);
}

static void check_removed(void *arg)
{
	struct bench *b = arg;
	struct vfs_name s_name = name_of("s"), u_name = name_of("u");
	mount_ok(b, make_store);
	struct vfs_node *f = make(b->m->root, "f", OP_TYPE_FILE);
	struct vfs_node *s = make_stream(f, "s", "first", 5, WRITE_FILE_SYNC), *u = make_stream(f, "u", "second", 6, WRITE_UNSTABLE);
	fiber_rwlock_wrlock(&f->lock);
	cr_assert_eq(cairn_rename_stream(u, &u_name, &s_name, s), 0);
	fiber_rwlock_wrunlock(&f->lock);
	vfs_node_put(s);
	vfs_node_put(u);
	vfs_node_put(f);
	wait_for_inodes(b, 3);
	remount(b);
	cr_assert_eq(bench_lookup(b->m->root, "f", &f), 0);
	s = find_stream(f, "s");
	cr_assert_not_null(s);
	cr_assert_null(find_stream(f, "u"));
	fiber_rwlock_wrlock(&f->lock);
	cr_assert_eq(cairn_remove_stream(f, &s_name, s), 0);
	fiber_rwlock_wrunlock(&f->lock);
	vfs_node_put(s);
	vfs_node_put(f);
	wait_for_inodes(b, 2);
	unmount_and_check(b);
}

Test(names, replaced_and_removed_streams_are_reclaimed)
{
	run(check_removed);
}

static uint64_t has(struct bench *b, uint32_t kind, uint32_t id, uint64_t *inodes)
{
	struct op_quota q = {.kind = kind, .id = id};
	int err = b->m->ops->get_quota(b->m, &q, false);
	cr_assert(err == 0 || err == ERR_NOENT);
	*inodes = err ? 0 : q.inodes.used;
	return err ? 0 : q.bytes.used;
}

static int give(struct vfs_node *node, struct op_attr set)
{
	fiber_rwlock_wrlock(&node->lock);
	int err = node->mount->ops->setattr(node, &set);
	fiber_rwlock_wrunlock(&node->lock);
	return err;
}

/* With and without a change of size, in use and not, stored and not. */
static void check_given(void *arg)
{
	struct bench *b = arg;
	uint8_t *data = calloc(1, LARGE);
	struct op_quota limits = {.kind = QUOTA_USER, .id = 6, .bytes = {.hard = LARGE}};
	const uint64_t blocks = ALIGN_UP(LARGE, CAIRN_BLOCK_SIZE);
	uint64_t n;
	mount_ok(b, make_store);
	struct vfs_node *f = make(b->m->root, "f", OP_TYPE_FILE);
	cr_assert_eq(bench_write(f, 0, data, LARGE, WRITE_UNSTABLE), 0);
	vfs_node_put(make_stream(f, "s", data, LARGE, WRITE_FILE_SYNC));
	struct vfs_node *u = make_stream(f, "u", data, LARGE, WRITE_UNSTABLE);
	cr_assert_eq(b->m->ops->set_quota(b->m, &limits), 0);
	cr_assert_eq(give(f, (struct op_attr){.mask = ATTR_UID | ATTR_GID, .uid = 6, .gid = 8}), ERR_DQUOT);
	cr_assert(has(b, QUOTA_USER, 6, &n) == 0 && n == 0);
	cr_assert(has(b, QUOTA_GROUP, 8, &n) == 0 && n == 0);
	cr_assert(has(b, QUOTA_USER, 0, &n) == 3 * blocks && n == 4, "and the root");
	cr_assert_eq(give(f, (struct op_attr){.mask = ATTR_UID | ATTR_PROJECT, .uid = 5, .project = 9}), 0);
	cr_assert(has(b, QUOTA_USER, 5, &n) == 3 * blocks && n == 3);
	cr_assert_eq(give(f, (struct op_attr){.mask = ATTR_GID | ATTR_SIZE, .gid = 7}), 0);
	cr_assert(has(b, QUOTA_GROUP, 7, &n) == 2 * blocks && n == 3);
	vfs_node_put(u);
	vfs_node_put(f);
	remount(b);
	cr_assert(has(b, QUOTA_USER, 5, &n) == 2 * blocks && n == 3);
	cr_assert(has(b, QUOTA_GROUP, 7, &n) == 2 * blocks && n == 3);
	cr_assert(has(b, QUOTA_PROJECT, 9, &n) == 2 * blocks && n == 3);
	cr_assert_eq(bench_remove(b->m->root, "f"), 0);
	wait_for_inodes(b, 1);
	cr_assert(has(b, QUOTA_USER, 5, &n) == 0 && n == 0, "given back when they are gone");
	unmount_and_check(b);
	free(data);
}

Test(names, streams_count_for_the_new_owner_of_their_base)
{
	run(check_given);
}

/* ---- folded names */

static int look_up(struct vfs_node *dir, const char *text, char stored[OP_NAME_MAX + 1])
{
	struct vfs_name name = name_of(text), found;
	char bytes[OP_NAME_MAX];
	struct vfs_node *node;
	fiber_rwlock_rdlock(&dir->lock);
	int err = cairn_lookup_folded(dir, &name, &found, bytes, &node);
	fiber_rwlock_rdunlock(&dir->lock);
	if (err)
		return err;
	memcpy(stored, found.bytes, found.size);
	stored[found.size] = 0;
	vfs_node_put(node);
	return 0;
}

static bool count_record(void *arg, const struct meta_record *r)
{
	(*(uint32_t *)arg)++;
	return true;
}

static uint32_t n_folded(struct bench *b)
{
	struct meta_key first = meta_key_name(0, "", 0);
	uint32_t n = 0;
	cr_assert_eq(meta_scan(((struct cairn *)b->m->store)->meta, META_FOLDED, &first, META_FROM, count_record, &n), 0);
	return n;
}

static void check_folded(void *arg)
{
	struct bench *b = arg;
	char stored[OP_NAME_MAX + 1];
	mount_ok(b, make_store);
	struct vfs_node *root = b->m->root;
	vfs_node_put(make(root, "Name", OP_TYPE_FILE));
	vfs_node_put(make(root, "nAME", OP_TYPE_FILE));
	vfs_node_put(make(root, "lower", OP_TYPE_FILE));
	cr_assert_eq(n_folded(b), 2, "a name that folding leaves as it is has no record");
	remount(b);
	root = b->m->root;
	cr_assert_eq(look_up(root, "NAME", stored), 0);
	cr_assert_str_eq(stored, "Name");
	cr_assert_eq(look_up(root, "LOWER", stored), 0);
	cr_assert_str_eq(stored, "lower");
	cr_assert_eq(bench_rename(root, "Name", "other"), 0);
	cr_assert_eq(look_up(root, "name", stored), 0);
	cr_assert_str_eq(stored, "nAME");
	cr_assert_eq(bench_remove(root, "nAME"), 0);
	cr_assert_eq(look_up(root, "name", stored), ERR_NOENT);
	cr_assert_eq(n_folded(b), 0);
	unmount_and_check(b);
}

Test(names, folded_names_survive_a_restart)
{
	run(check_folded);
}
