/* Shows what the conformance suite cannot see of cairn: restarts, damage, full stores, a second opener, bounded memory. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "tests/unit/cairn/tables.h"

#define MB (1u << 20)

static const char *const make_small[] = {"create=yes", "capacity=8M", "cache=1M", NULL};

static void mount_ok(struct bench *b, const char *const *options)
{
	char *why;
	int err = bench_mount(b, options, &why);
	cr_assert_eq(err, 0, "%s: %s", err_text(err), why ? why : "");
}

static void remount(struct bench *b)
{
	bench_unmount(b);
	cr_assert(tables_agree(b->dir));
	mount_ok(b, NULL);
}

static struct vfs_node *make(struct vfs_node *dir, const char *name, uint32_t type)
{
	struct vfs_node *node;
	cr_assert_eq(bench_make(dir, name, type, &node), 0);
	return node;
}

static struct vfs_node *lookup(struct vfs_node *dir, const char *name)
{
	struct vfs_node *node;
	cr_assert_eq(bench_lookup(dir, name, &node), 0);
	return node;
}

static void run(void (*body)(void *arg))
{
	struct bench b = {.dir = "/tmp/test-cairn-XXXXXX"};
	const char *tmp = getenv("TMPDIR");
	if (tmp && strlen(tmp) < 64)
		snprintf(b.dir, sizeof(b.dir), "%s/test-cairn-XXXXXX", tmp);
	cr_assert_not_null(mkdtemp(b.dir));
	bench_in_loop(body, &b);
	bench_remove_dir(b.dir);
}

/* Changes one byte of a file below the store. */
static void damage(struct bench *b, const char *file, off_t at)
{
	char path[256], byte;
	snprintf(path, sizeof(path), "%s/%s", b->dir, file);
	int fd = open(path, O_RDWR);
	cr_assert(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= 0x10;
	cr_assert(pwrite(fd, &byte, 1, at) == 1);
	close(fd);
}

/* Changes a byte in the middle of what the file has of that text, wherever. */
static uint32_t damage_text(struct bench *b, const char *file, const char *text)
{
	char path[256];
	uint32_t n = 0;
	snprintf(path, sizeof(path), "%s/%s", b->dir, file);
	int fd = open(path, O_RDONLY);
	off_t size = lseek(fd, 0, SEEK_END);
	char *all = malloc((size_t)size);
	cr_assert_eq(pread(fd, all, (size_t)size, 0), size);
	close(fd);
	for (char *at = all; (at = memmem(at, (size_t)(all + size - at), text, strlen(text))); at++, n++)
		damage(b, file, at - all + 2);
	free(all);
	return n;
}

/* ---- restarts */

static void check_restart(void *arg)
{
	struct bench *b = arg;
	uint8_t *data = malloc(MB), *back = malloc(MB);
	uint8_t handle[OP_HANDLE_BACKEND_MAX];
	struct op_attr attr;
	for (uint32_t i = 0; i < MB; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	mount_ok(b, make_small);
	struct vfs_node *dir = make(b->m->root, "dir", OP_TYPE_DIR), *small = make(dir, "small", OP_TYPE_FILE);
	struct vfs_node *large = make(dir, "large", OP_TYPE_FILE);
	cr_assert_eq(bench_write(small, 0, data, 1000, WRITE_FILE_SYNC), 0);
	cr_assert_eq(bench_write(large, 5 * MB + 1, data, MB, WRITE_UNSTABLE), 0);
	uint32_t size = b->m->ops->node_handle(small, handle);
	vfs_node_put(small);
	vfs_node_put(large);
	vfs_node_put(dir);
	remount(b);
	cr_assert_eq(b->m->ops->node_get(b->m, handle, size, &small), 0, "a handle survives");
	cr_assert_eq(bench_attr(small, &attr), 0);
	cr_assert(attr.size == 1000 && attr.space == 1024, "a small file takes no block");
	cr_assert_eq(bench_read(b, small, 0, back, 1000), 0);
	cr_assert_arr_eq(back, data, 1000);
	dir = lookup(b->m->root, "dir");
	large = lookup(dir, "large");
	cr_assert_eq(bench_read(b, large, 5 * MB + 1, back, MB), 0);
	cr_assert_arr_eq(back, data, MB, "unstable writes are stored by the unmount");
	cr_assert_eq(bench_read(b, large, 0, back, MB), 0);
	cr_assert(back[0] == 0 && memcmp(back, back + 1, MB - 1) == 0, "a hole is zeros");
	cr_assert_eq(bench_names(dir, NULL, NULL), 2);
	vfs_node_put(small);
	vfs_node_put(large);
	vfs_node_put(dir);
	bench_unmount(b);
	free(data);
	free(back);
}

Test(cairn, restart)
{
	run(check_restart);
}

/* ---- ACLs, quotas */

static void set_owner(struct vfs_node *node, uint32_t uid, uint32_t project)
{
	struct op_attr set = {.mask = ATTR_UID | ATTR_PROJECT, .uid = uid, .project = project};
	fiber_rwlock_wrlock(&node->lock);
	cr_assert_eq(node->mount->ops->setattr(node, &set), 0);
	fiber_rwlock_wrunlock(&node->lock);
}

static void check_kept(void *arg)
{
	struct bench *b = arg;
	struct op_quota limits = {.kind = QUOTA_USER, .id = 5, .bytes = {.hard = 3 * MB}, .inodes = {.soft = 9, .grace = 60}};
	struct op_quota q = {.kind = QUOTA_USER, .id = 5};
	uint8_t *data = calloc(1, MB);
	struct op_attr attr;
	struct acl *acl;
	mount_ok(b, make_small);
	const struct backend_ops *ops = b->m->ops;
	struct vfs_node *a = make(b->m->root, "a", OP_TYPE_FILE), *c = make(b->m->root, "c", OP_TYPE_FILE);
	cr_assert_eq(acl_from_mode(0640, false, &acl), 0);
	fiber_rwlock_wrlock(&a->lock);
	cr_assert_eq(ops->set_acl(a, acl, 0640), 0);
	fiber_rwlock_wrunlock(&a->lock);
	cr_assert_eq(bench_write(a, 0, data, MB, WRITE_UNSTABLE), 0);
	set_owner(a, 5, 9);
	cr_assert_eq(bench_write(a, MB, data, MB, WRITE_UNSTABLE), 0);
	cr_assert_eq(bench_write(c, 0, data, 100, WRITE_UNSTABLE), 0);
	set_owner(c, 5, 0);
	cr_assert_eq(ops->set_quota(b->m, &limits), 0);
	vfs_node_put(a);
	vfs_node_put(c);
	remount(b);
	ops = b->m->ops;
	cr_assert_eq(ops->get_quota(b->m, &q, false), 0);
	cr_expect_eq(q.bytes.used, 2 * MB);
	cr_expect_eq(q.inodes.used, 2);
	cr_expect(q.bytes.hard == 3 * MB && q.inodes.soft == 9 && q.inodes.grace == 60);
	q = (struct op_quota){.kind = QUOTA_PROJECT, .id = 9};
	cr_assert_eq(ops->get_quota(b->m, &q, false), 0);
	cr_expect(q.bytes.used == 2 * MB && q.inodes.used == 1);
	a = lookup(b->m->root, "a");
	cr_assert_eq(bench_attr(a, &attr), 0);
	cr_expect(attr.uid == 5 && attr.project == 9 && attr.mode == 0640);
	cr_assert_not_null(a->acl);
	cr_expect(a->acl->size == acl->size && memcmp(a->acl->bytes, acl->bytes, acl->size) == 0);
	cr_expect_eq(bench_write(a, 2 * MB, data, MB, WRITE_UNSTABLE), 0);
	cr_expect_eq(bench_write(a, 3 * MB, data, 1, WRITE_UNSTABLE), ERR_DQUOT, "before it is accepted");
	vfs_node_put(a);
	free(acl);
	free(data);
	bench_unmount(b);
}

Test(cairn, acls_limits_and_usage_outlast_a_restart)
{
	run(check_kept);
}

/* ---- data ahead of its flush, and ahead of its reader */

static const char *const make_large[] = {"create=yes", "capacity=64M", "cache=32M", NULL};

static void fill_pattern(uint8_t *data, uint32_t size, uint32_t seed)
{
	for (uint32_t i = 0; i < size; i++)
		data[i] = (uint8_t)((i + seed) * 7 + (i >> 8) * seed);
}

/* Writes whole stretches, then some of their blocks again, and cuts in the middle of one; the model is what it should be. */
static void write_ahead(struct vfs_node *a, uint8_t *model, uint8_t *data)
{
	const struct cairn_node *n = cairn_node(a);
	for (uint32_t i = 0; i < 6; i++) {
		fill_pattern(model + i * MB, MB, i + 1);
		cr_assert_eq(bench_write(a, i * MB, model + i * MB, MB, WRITE_UNSTABLE), 0);
	}
	cr_expect(n->n_placed >= 5 * 256, "%llu blocks are written ahead", (unsigned long long)n->n_placed);
	fill_pattern(data, MB, 99);
	cr_assert_eq(bench_write(a, 2 * MB + 5000, data, 300000, WRITE_UNSTABLE), 0);
	memcpy(model + 2 * MB + 5000, data, 300000);
	cr_assert_eq(bench_write(a, 4 * MB + 8192, data, 4096, WRITE_UNSTABLE), 0);
	memcpy(model + 4 * MB + 8192, data, 4096);
	cr_expect(n->stale.n > 0, "what was overwritten has a place too many");
	cr_assert_eq(bench_truncate(a, 5 * MB + 70001), 0);
	cr_expect(n->stale.n == 0 && n->n_placed == 0 && n->n_dirty == 0);
}

static void check_ahead(void *arg)
{
	struct bench *b = arg;
	uint8_t *model = malloc(6 * MB), *data = malloc(MB);
	uint32_t size = 5 * MB + 70001, piece = 65536;
	mount_ok(b, make_large);
	struct vfs_node *a = make(b->m->root, "a", OP_TYPE_FILE);
	write_ahead(a, model, data);
	vfs_node_put(a);
	remount(b);
	a = lookup(b->m->root, "a");
	for (uint32_t at = 0; at < size; at += piece) {
		uint32_t n = MIN(piece, size - at);
		cr_assert_eq(bench_read(b, a, at, data, n), 0);
		cr_assert_arr_eq(data, model + at, n, "at %u", at);
	}
	cr_expect(cairn_node(a)->ahead.window > 100, "the window grows");
	struct block_key key = cairn_page_key(cairn_node(a), 0);
	cr_expect(block_has(b->cache, &key, 1));
	block_drop_store(b->cache, key.store);
	cairn_node(a)->ahead = (struct cairn_ahead){.next = 0};
	cr_assert_eq(bench_read(b, a, 0, data, piece), 0);
	fiber_join_wait(&((struct cairn *)b->m->store)->readers_ahead);
	key.index = 2;
	cr_expect(block_has(b->cache, &key, BLOCKS_ALL), "what comes next is there");
	key.index = 60;
	cr_assert_eq(bench_read(b, a, 59 * piece, data, piece), 0);
	fiber_join_wait(&((struct cairn *)b->m->store)->readers_ahead);
	cr_expect(!block_has(b->cache, &key, 1), "after a jump nothing is fetched");
	vfs_node_put(a);
	bench_unmount(b);
	cr_assert(tables_agree(b->dir));
	free(model);
	free(data);
}

Test(cairn, data_is_written_ahead_of_the_flush_and_read_ahead_of_the_reader)
{
	run(check_ahead);
}

/* A stable write takes the block that the one before it left, so the store does not grow. */
static void check_reuse(void *arg)
{
	struct bench *b = arg;
	uint8_t data[2 * CAIRN_BLOCK_SIZE], back[sizeof(data)];
	char path[256];
	struct stat st;
	mount_ok(b, make_small);
	struct vfs_node *a = make(b->m->root, "a", OP_TYPE_FILE);
	for (uint32_t i = 0; i < 100; i++) {
		memset(data, (int)i, sizeof(data));
		cr_assert_eq(bench_write(a, i ? CAIRN_BLOCK_SIZE : 0, data, i ? CAIRN_BLOCK_SIZE : sizeof(data), WRITE_FILE_SYNC), 0);
	}
	snprintf(path, sizeof(path), "%s/data/00000000", b->dir);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_leq(st.st_size, 4 * CAIRN_BLOCK_SIZE);
	vfs_node_put(a);
	remount(b);
	a = lookup(b->m->root, "a");
	memset(data, 0, CAIRN_BLOCK_SIZE);
	memset(data + CAIRN_BLOCK_SIZE, 99, CAIRN_BLOCK_SIZE);
	cr_assert_eq(bench_read(b, a, 0, back, sizeof(back)), 0);
	cr_expect_arr_eq(back, data, sizeof(data));
	vfs_node_put(a);
	bench_unmount(b);
}

Test(cairn, overwriting_takes_what_was_freed)
{
	run(check_reuse);
}

static void check_second(void *arg)
{
	struct bench *b = arg, other = {.m = NULL};
	char *why, who[32];
	mount_ok(b, make_small);
	strcpy(other.dir, b->dir);
	cr_assert_eq(bench_mount(&other, make_small, &why), ERR_BUSY);
	snprintf(who, sizeof(who), "process %ld;", (long)getpid());
	cr_assert(why && strstr(why, "in use") && strstr(why, who), "%s", why);
	free(why);
	bench_free_pages(&other);
	bench_unmount(b);
}

Test(cairn, second_opener_is_told_who_has_the_store)
{
	run(check_second);
}

static void check_no_store(void *arg)
{
	struct bench *b = arg;
	char *why, path[256];
	cr_assert_eq(bench_mount(b, NULL, &why), ERR_NOENT);
	free(why);
	snprintf(path, sizeof(path), "%s/something", b->dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(bench_mount(b, make_small, &why), ERR_NOTEMPTY);
	cr_assert(strstr(why, "not empty"), "%s", why);
	free(why);
	unlink(path);
	mount_ok(b, make_small);
	bench_unmount(b);
	damage(b, "superblock", 60);
	cr_assert_eq(bench_mount(b, make_small, &why), ERR_INVAL);
	cr_assert(strstr(why, "damaged"), "%s", why);
	free(why);
	bench_free_pages(b);
}

Test(cairn, refuses_what_is_no_store)
{
	run(check_no_store);
}

/* ---- damage */

static void check_data_damage(void *arg)
{
	struct bench *b = arg;
	uint8_t *data = malloc(MB);
	memset(data, 0x5a, MB);
	mount_ok(b, make_small);
	struct vfs_node *a = make(b->m->root, "a", OP_TYPE_FILE), *c = make(b->m->root, "c", OP_TYPE_FILE);
	cr_assert_eq(bench_write(a, 0, data, 65536, WRITE_FILE_SYNC), 0);
	cr_assert_eq(bench_write(c, 0, data, 65536, WRITE_FILE_SYNC), 0);
	damage(b, "data/00000000", 3 * 4096 + 77);
	cr_assert_eq(bench_read(b, a, 0, data, 65536), 0, "what is cached was verified");
	block_drop_store(b->cache, ((struct cairn *)b->m->store)->cache_store);
	cr_assert_eq(bench_read(b, a, 0, data, 65536), ERR_IO);
	cr_assert_eq(bench_read(b, a, 4 * 4096, data, 4096), 0, "other blocks of the file are fine");
	cr_assert_eq(bench_read(b, c, 0, data, 65536), 0, "and so are other files");
	cr_assert_eq(bench_write(a, 3 * 4096 + 100, "x", 1, WRITE_FILE_SYNC), ERR_IO, "nothing is built on damage");
	cr_assert_eq(bench_write(a, 3 * 4096, data, 4096, WRITE_FILE_SYNC), 0, "overwriting heals");
	cr_assert_eq(bench_read(b, a, 0, data, 65536), 0);
	vfs_node_put(a);
	vfs_node_put(c);
	bench_unmount(b);
	free(data);
}

Test(cairn, damaged_data_is_never_served)
{
	run(check_data_damage);
}

static void check_record_damage(void *arg)
{
	struct bench *b = arg;
	struct vfs_node *node;
	char back[64];
	mount_ok(b, make_small);
	struct vfs_node *a = make(b->m->root, "a", OP_TYPE_FILE), *c = make(b->m->root, "c", OP_TYPE_FILE);
	cr_assert_eq(bench_write(a, 0, "a text that is in the tables", 28, WRITE_FILE_SYNC), 0);
	cr_assert_eq(bench_write(c, 0, "another", 7, WRITE_FILE_SYNC), 0);
	vfs_node_put(a);
	vfs_node_put(c);
	bench_unmount(b);
	cr_assert(damage_text(b, "meta/data.mdb", "a text that is in the tables") > 0);
	mount_ok(b, NULL);
	cr_assert_eq(bench_lookup(b->m->root, "a", &node), 0);
	cr_assert_eq(bench_read(b, node, 0, back, 28), ERR_IO);
	vfs_node_put(node);
	node = lookup(b->m->root, "c");
	cr_assert_eq(bench_read(b, node, 0, back, 7), 0);
	vfs_node_put(node);
	bench_unmount(b);
}

Test(cairn, damaged_record_is_never_served)
{
	run(check_record_damage);
}

/* ---- room */

static void fill_store(struct vfs_node *node, const uint8_t *data, uint64_t *size)
{
	int err = 0;
	for (*size = 0; !err && *size < 64 * MB;) {
		err = bench_write(node, *size, data, 65536, WRITE_UNSTABLE);
		*size += err ? 0 : 65536;
		const struct cairn *fs = node->mount->store;
		cr_assert(fs->n_dirty <= fs->dirty_max + 16, "memory is bounded");
	}
	cr_assert_eq(err, ERR_NOSPC);
}

static void check_full(void *arg)
{
	struct bench *b = arg;
	uint8_t *data = malloc(65536), *back = malloc(65536);
	uint64_t size, again;
	struct op_attr attr;
	memset(data, 0xc3, 65536);
	mount_ok(b, make_small);
	struct vfs_node *a = make(b->m->root, "a", OP_TYPE_FILE), *c;
	fill_store(a, data, &size);
	cr_assert(size > 7 * MB && size <= 8 * MB);
	cr_assert_eq(bench_attr(a, &attr), 0);
	cr_assert_eq(attr.size, size, "what did not fit did not happen");
	vfs_node_put(a);
	remount(b);
	a = lookup(b->m->root, "a");
	for (uint64_t at = 0; at < size; at += 65536) {
		cr_assert_eq(bench_read(b, a, at, back, 65536), 0);
		cr_assert_arr_eq(back, data, 65536);
	}
	cr_assert_eq(bench_truncate(a, size / 2 + 1), 0, "a full store can be cut");
	c = make(b->m->root, "c", OP_TYPE_FILE);
	fill_store(c, data, &again);
	cr_assert(again >= 3 * MB, "%llu", (unsigned long long)again);
	vfs_node_put(a);
	vfs_node_put(c);
	cr_assert_eq(bench_remove(b->m->root, "a"), 0);
	cr_assert_eq(bench_remove(b->m->root, "c"), 0);
	remount(b);
	bench_unmount(b);
	cr_assert(tables_agree(b->dir));
	free(data);
	free(back);
}

Test(cairn, full_store_keeps_what_it_took_and_can_be_emptied)
{
	run(check_full);
}

static void check_full_tables(void *arg)
{
	static const char *const options[] = {"create=yes", "tables=4M", NULL};
	struct bench *b = arg;
	struct vfs_node *node;
	char name[240];
	int err = 0, n, i;
	mount_ok(b, options);
	for (n = 0; !err && n < 100000; n++) {
		snprintf(name, sizeof(name), "%0200d", n);
		err = bench_make(b->m->root, name, OP_TYPE_FILE, &node);
		if (!err)
			vfs_node_put(node);
	}
	cr_assert_eq(err, ERR_NOSPC);
	n--;
	cr_assert(n > 500, "%d files only", n);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%0200d", i);
		cr_assert_eq(bench_remove(b->m->root, name), 0, "removing file %d of %d", i, n);
	}
	cr_assert_eq(bench_names(b->m->root, NULL, NULL), 0);
	cr_assert_eq(bench_make(b->m->root, "again", OP_TYPE_FILE, &node), 0, "what was freed is used again");
	vfs_node_put(node);
	bench_unmount(b);
	cr_assert(tables_agree(b->dir));
}

Test(cairn, full_tables_can_be_emptied)
{
	run(check_full_tables);
}

static void check_orphans(void *arg)
{
	struct bench *b = arg;
	struct vfs_node *a;
	struct op_statfs st;
	uint8_t *data = calloc(1, MB);
	mount_ok(b, make_small);
	a = make(b->m->root, "a", OP_TYPE_FILE);
	cr_assert_eq(bench_write(a, 0, data, MB, WRITE_FILE_SYNC), 0);
	cr_assert_eq(bench_remove(b->m->root, "a"), 0);
	cr_assert_eq(bench_read(b, a, 0, data, MB), 0, "in use, it lives on");
	vfs_node_put(a);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(b->m->ops->statfs(b->m, &st), 0);
		if (st.free_bytes == st.total_bytes)
			break;
		fiber_sleep_ns(50 * NS_PER_MS);
	}
	cr_assert_eq(st.free_bytes, st.total_bytes, "its blocks come back");
	bench_unmount(b);
	cr_assert(tables_agree(b->dir));
	free(data);
}

Test(cairn, nameless_file_goes_with_its_last_user)
{
	run(check_orphans);
}
