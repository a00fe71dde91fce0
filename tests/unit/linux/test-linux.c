/* Shows that the linux backend keeps objects, handles, attributes and data as its contract says. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/linux/backend.h"

static int get_again(struct bench *b, const struct linux_ident *id, struct vfs_node **node)
{
	return linux_backend.node_get(b->m, id->bytes, id->size, node);
}

static struct linux_ident ident_of(struct vfs_node *node)
{
	struct linux_ident id;
	id.size = (uint8_t)linux_backend.node_handle(node, id.bytes);
	return id;
}

static int rename_to(struct vfs_node *from_dir, const char *from, struct vfs_node *to_dir, const char *to, struct vfs_node *node)
{
	struct vfs_rename what = {.node = node};
	struct vfs_name a = bench_name(from), b = bench_name(to);
	return linux_backend.rename(from_dir, &a, to_dir, &b, &what);
}

static void check_handles(struct bench *b)
{
	struct vfs_node *dir = bench_make(b, b->m->root, "dir", OP_TYPE_DIR, 0755);
	struct vfs_node *deep = bench_make(b, dir, "deep", OP_TYPE_DIR, 0700);
	struct vfs_node *file = bench_make(b, dir, "file", OP_TYPE_FILE, 0640);
	struct linux_ident id = ident_of(file);
	cr_assert_eq(rename_to(dir, "file", deep, "moved", file), 0);
	struct vfs_node *again = bench_lookup(deep, "moved");
	cr_assert_eq(again, file, "an object is one node");
	vfs_node_put(again);
	vfs_node_put(file);
	vfs_node_put(deep);
	vfs_node_put(dir);
	bench_remount(b);
	cr_assert_eq(get_again(b, &id, &file), 0, "a handle survives rename and restart");
	struct linux_ident id2 = ident_of(file);
	cr_assert(id.size == id2.size && memcmp(id.bytes, id2.bytes, id.size) == 0);
	cr_assert_eq(bench_attr(file).mode, 0640);
	deep = bench_lookup(dir = bench_lookup(b->m->root, "dir"), "deep");
	struct vfs_name name = bench_name("moved");
	cr_assert_eq(linux_backend.remove(deep, &name, file), 0);
	cr_assert_eq(bench_attr(file).nlink, 0, "in use, it lives on");
	vfs_node_put(file);
	cr_assert_eq(get_again(b, &id, &file), ERR_STALE);
	id.bytes[0] = 9;
	cr_assert_eq(get_again(b, &id, &file), ERR_BADHANDLE);
	vfs_node_put(deep);
	vfs_node_put(dir);
}

Test(linux_backend, handles)
{
	bench_run(check_handles);
}

static void check_search(struct bench *b)
{
	struct linux_store *s = linux_store(b->m);
	struct vfs_node *dir = bench_make(b, b->m->root, "a", OP_TYPE_DIR, 0755);
	struct vfs_node *below = bench_make(b, dir, "b", OP_TYPE_DIR, 0755);
	struct vfs_node *file = bench_make(b, below, "c", OP_TYPE_FILE, 0600);
	uint64_t ino = file->fileid;
	vfs_node_put(file);
	vfs_node_put(below);
	vfs_node_put(dir);
	linux_find_destroy(s);
	cr_assert_eq(linux_find_create(s), 0);
	int fd = linux_find(s, ino);
	cr_assert_geq(fd, 0, "found by reading the tree");
	struct statx stx;
	cr_assert_eq(linux_stat(fd, &stx), 0);
	cr_assert_eq(stx.stx_ino, ino);
	close(fd);
	cr_assert_eq(renameat(s->root_fd, "a/b/c", s->root_fd, "z"), 0);
	cr_assert_eq(linux_find(s, ino), ERR_STALE, "not searched for again at once");
	linux_find_note(s, ino, s->root_ino, "z");
	cr_assert_geq(fd = linux_find(s, ino), 0);
	close(fd);
}

Test(linux_backend, finds_by_search)
{
	bench_run(check_search);
}

static void check_symlink(struct bench *b)
{
	struct vfs_node *node;
	char target[OP_PATH_MAX];
	uint32_t size;
	struct vfs_name name = bench_name("link");
	cr_assert_eq(symlinkat("/etc", linux_store(b->m)->root_fd, "link"), 0);
	cr_assert_eq(linux_backend.lookup(b->m->root, &name, &node), 0);
	cr_assert_eq(node->type, OP_TYPE_SYMLINK, "links are not followed");
	cr_assert_eq(linux_backend.readlink(node, target, &size), 0);
	cr_assert(size == 4 && memcmp(target, "/etc", 4) == 0);
	struct op_attr attr = {.mask = ATTR_MTIME, .mtime = {.sec = -5, .nsec = 7}};
	cr_assert_eq(linux_backend.setattr(node, &attr), 0);
	cr_assert_eq(bench_attr(node).mtime.sec, -5);
	vfs_node_put(node);
}

Test(linux_backend, never_follows_links)
{
	bench_run(check_symlink);
}

static void check_moved_out(struct bench *b)
{
	char outside[80];
	struct vfs_node *parent;
	struct vfs_node *dir = bench_make(b, b->m->root, "dir", OP_TYPE_DIR, 0755);
	struct vfs_node *sub = bench_make(b, dir, "sub", OP_TYPE_DIR, 0755);
	cr_assert_eq(linux_backend.parent(sub, &parent), 0);
	cr_assert_eq(parent, dir);
	vfs_node_put(parent);
	snprintf(outside, sizeof(outside), "%s-outside", b->dir);
	cr_assert_eq(renameat(linux_store(b->m)->root_fd, "dir", AT_FDCWD, outside), 0);
	cr_assert_eq(linux_backend.parent(sub, &parent), ERR_STALE, "no way up from outside the root");
	cr_assert_eq(linux_backend.parent(b->m->root, &parent), 0);
	cr_assert_eq(parent, b->m->root);
	vfs_node_put(parent);
	vfs_node_put(sub);
	vfs_node_put(dir);
	strcat(outside, "/sub");
	rmdir(outside);
	outside[strlen(outside) - 4] = 0;
	rmdir(outside);
}

Test(linux_backend, never_climbs_out)
{
	bench_run(check_moved_out);
}

static void check_data(struct bench *b)
{
	static uint8_t data[300000];
	struct vfs_node *file = bench_make(b, b->m->root, "file", OP_TYPE_FILE, 0600);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	uint64_t before = bench_attr(file).change;
	bench_write(b, file, 100, data, sizeof(data));
	struct op_attr attr = bench_attr(file);
	cr_assert_gt(attr.change, before);
	cr_assert_eq(attr.size, sizeof(data) + 100);
	static const uint32_t sizes[] = {1, 512, 513, 4096, 65536, 65537, sizeof(data) - 5};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		b->call.size = 0;
		cr_assert_eq(linux_backend.read(&b->call, file, 105, sizes[i]), 0);
		cr_assert_eq(b->call.size, sizes[i]);
		cr_assert_eq(memcmp(b->call.bytes, data + 5, sizes[i]), 0);
	}
	uint64_t found;
	cr_assert_eq(linux_backend.commit(file, 0, 0), 0);
	cr_assert_eq(linux_backend.deallocate(file, 65536, 131072), 0);
	cr_assert_eq(linux_backend.seek(file, 0, SEEK_TO_HOLE, &found), 0);
	cr_assert_eq(found, 65536);
	cr_assert_eq(linux_backend.seek(file, 70000, SEEK_TO_DATA, &found), 0);
	cr_assert_eq(found, 65536 + 131072);
	b->call.size = 0;
	cr_assert_eq(linux_backend.read(&b->call, file, 65536, 4096), 0);
	cr_assert(b->call.bytes[0] == 0 && b->call.bytes[4095] == 0);
	vfs_node_put(file);
}

Test(linux_backend, data)
{
	bench_run(check_data);
}

static void check_change(struct bench *b)
{
	struct vfs_node *file = bench_make(b, b->m->root, "file", OP_TYPE_FILE, 0600);
	uint64_t last = bench_attr(file).change;
	for (int i = 0; i < 1000; i++) {
		bench_write(b, file, 0, "x", 1);
		uint64_t now = bench_attr(file).change;
		cr_assert_gt(now, last, "every change moves the counter");
		last = now;
	}
	cr_assert_eq(bench_attr(file).change, last, "nothing else does");
	vfs_node_put(file);
}

Test(linux_backend, change_counter)
{
	bench_run(check_change);
}

static void check_hidden(struct bench *b)
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_VERIFIER, .mode = 0444, .uid = geteuid(), .gid = getegid()};
	struct vfs_create what = {.type = OP_TYPE_FILE, .attr = &attr, .verifier = 0x1122334455667788};
	struct vfs_name name = bench_name("file"), shown = bench_name("user.x"), own = bench_name("user.chimera");
	struct vfs_node *file;
	uint64_t verifier;
	char names[256];
	cr_assert_eq(linux_backend.create(&b->call, b->m->root, &name, &what, &file), 0);
	cr_assert_eq(linux_backend.create(&b->call, b->m->root, &name, &what, &file), ERR_EXIST);
	attr = (struct op_attr){.mask = ATTR_DOS | ATTR_BTIME, .dos = DOS_HIDDEN, .btime = {.sec = 12345}};
	cr_assert_eq(linux_backend.setattr(file, &attr), 0);
	cr_assert_eq(linux_backend.set_xattr(file, &shown, "value", 5, 0), 0);
	cr_assert_eq(linux_backend.set_xattr(file, &own, "value", 5, 0), ERR_PERM);
	vfs_node_put(file);
	bench_remount(b);
	file = bench_lookup(b->m->root, "file");
	cr_assert_eq(linux_backend.verifier(file, &verifier), 0);
	cr_assert_eq(verifier, 0x1122334455667788, "kept on disk");
	attr = bench_attr(file);
	cr_assert(attr.dos == DOS_HIDDEN && attr.btime.sec == 12345 && attr.mode == 0444);
	uint32_t size = sizeof(names);
	cr_assert_eq(linux_backend.list_xattr(file, names, &size), 0);
	cr_assert_eq(size, 7, "only what clients have set");
	cr_assert_eq(memcmp(names, "user.x", 7), 0);
	size = 3;
	cr_assert_eq(linux_backend.get_xattr(file, &shown, names, &size), ERR_TOOSMALL);
	cr_assert_eq(size, 5);
	cr_assert_eq(linux_backend.get_xattr(file, &own, names, &size), ERR_NODATA);
	vfs_node_put(file);
}

Test(linux_backend, hidden_attributes)
{
	bench_run(check_hidden);
}

struct listed {
	uint32_t n;
	uint32_t n_max; /* stop after that many in one call */
	uint64_t last;
	uint8_t seen[4096];
};

static bool take(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid, uint32_t type, struct vfs_node *node)
{
	struct listed *l = arg;
	if (l->n_max-- == 0)
		return false;
	cr_assert_gt(cookie, 2);
	cr_assert_eq(type, OP_TYPE_FILE);
	l->seen[atoi(name->bytes + 1)]++;
	l->last = cookie;
	l->n++;
	return true;
}

static void check_readdir(struct bench *b)
{
	enum { N = 3000 };
	struct listed *l = calloc(1, sizeof(*l));
	struct linux_store *s = linux_store(b->m);
	uint64_t verifier = 0;
	bool eof = false;
	char name[16];
	s->sync = false;
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		vfs_node_put(bench_make(b, b->m->root, name, OP_TYPE_FILE, 0600));
	}
	for (int calls = 0; !eof; calls++) {
		if (calls % 7 == 3) {
			/* Entries come and go meanwhile. */
			snprintf(name, sizeof(name), "n%d", calls + N);
			vfs_node_put(bench_make(b, b->m->root, name, OP_TYPE_FILE, 0600));
		}
		if (calls == 20)
			bench_remount(b);
		l->n_max = 41;
		cr_assert_eq(linux_backend.readdir(b->m->root, l->last, &verifier, take, l, &eof), 0);
	}
	for (int i = 0; i < N; i++)
		cr_assert_eq(l->seen[i], 1, "f%d was listed %d times", i, l->seen[i]);
	uint64_t other = 77;
	cr_assert_eq(linux_backend.readdir(b->m->root, l->last, &other, take, l, &eof), ERR_BAD_COOKIE);
	free(l);
}

Test(linux_backend, readdir_is_stable_across_changes_and_restart)
{
	bench_run(check_readdir);
}

static void check_nameless(struct bench *b)
{
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = 0600, .uid = geteuid(), .gid = getegid()};
	struct vfs_create what = {.type = OP_TYPE_FILE, .attr = &attr};
	struct vfs_name name = bench_name("named");
	struct vfs_node *file;
	cr_assert_eq(linux_backend.create_unlinked(&b->call, b->m->root, &what, &file), 0);
	cr_assert_eq(bench_attr(file).nlink, 0);
	bench_write(b, file, 0, "hello", 5);
	struct linux_ident id = ident_of(file);
	cr_assert_eq(linux_backend.link(file, b->m->root, &name), 0);
	vfs_node_put(file);
	cr_assert_eq(get_again(b, &id, &file), 0);
	cr_assert_eq(bench_attr(file).nlink, 1);
	vfs_node_put(file);
}

Test(linux_backend, file_without_a_name)
{
	bench_run(check_nameless);
}

static void check_second(struct bench *b)
{
	struct bench *other = calloc(1, sizeof(*other));
	char *why = NULL;
	strcpy(other->dir, b->dir);
	cr_assert_eq(bench_mount(other, "yes", &why), ERR_BUSY);
	cr_assert_not_null(strstr(why, "served by another process"), "%s", why);
	free(why);
	strcpy(other->dir, "/nonexistent");
	cr_assert_eq(bench_mount(other, "yes", &why), ERR_NOENT);
	free(why);
	free(other);
}

Test(linux_backend, one_server_at_a_time)
{
	bench_run(check_second);
}

static void check_removed_behind(struct bench *b)
{
	struct vfs_node *file = bench_make(b, b->m->root, "file", OP_TYPE_FILE, 0600);
	struct linux_ident id = ident_of(file);
	struct op_attr attr;
	cr_assert_eq(unlinkat(linux_store(b->m)->root_fd, "file", 0), 0);
	cr_assert_eq(linux_backend.getattr(file, &attr), ERR_STALE);
	vfs_node_put(file);
	cr_assert_eq(get_again(b, &id, &file), ERR_STALE);
}

Test(linux_backend, removed_behind_our_back)
{
	bench_run(check_removed_behind);
}

static void as_ordinary_user(void)
{
	if (geteuid() == 0)
		cr_assert_eq(setresuid(65534, 65534, 65534), 0);
}

static void check_read_only_file(struct bench *b)
{
	struct vfs_node *dir = bench_make(b, b->m->root, "dir", OP_TYPE_DIR, 0755);
	struct vfs_node *file = bench_make(b, dir, "file", OP_TYPE_FILE, 0444);
	struct linux_ident id = ident_of(file);
	cr_assert_not(linux_store(b->m)->by_handle);
	vfs_node_put(file);
	vfs_node_put(dir);
	bench_remount(b);
	cr_assert_eq(get_again(b, &id, &file), 0, "a handle survives a restart of an ordinary user's server");
	bench_write(b, file, 0, "more", 4);
	cr_assert_eq(bench_attr(file).mode, 0444);
	vfs_node_put(file);
}

Test(linux_backend, ordinary_user)
{
	as_ordinary_user();
	bench_run(check_read_only_file);
}
