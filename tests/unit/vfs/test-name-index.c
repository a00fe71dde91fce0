/* Shows that kept names are those of the directory: after changes carried over, made by others, and in windows of a large one. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "vfs/name-index.h"
#include "vfs/vfs-impl.h"

TestSuite(name_index, .timeout = 60);

#define NAMES_MAX 4000u

/* A directory as a backend has it: names in no order, a change counter, and how often it was read. */
static struct {
	char names[NAMES_MAX][32];
	uint32_t n;
	uint64_t change;
	struct op_time ctime;
	uint32_t n_reads;
} store;

static int fake_getattr(struct vfs_node *node, struct op_attr *attr)
{
	*attr = (struct op_attr){.mask = ATTR_ALL, .change = store.change, .ctime = store.ctime};
	return 0;
}

static int fake_readdir(struct vfs_node *dir, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof)
{
	store.n_reads++;
	*eof = true;
	for (uint32_t i = 0; i < store.n && *eof; i++) {
		struct vfs_name name = {store.names[i], (uint32_t)strlen(store.names[i])};
		*eof = emit(arg, &name, 10 + i, 100 + i, OP_TYPE_FILE, NULL);
	}
	return 0;
}

static int fake_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node)
{
	*node = dir;
	return 0;
}

static struct backend_ops fake_ops = {.getattr = fake_getattr, .readdir = fake_readdir, .lookup = fake_lookup};
static struct vfs_mount mount_of_all = {.ops = &fake_ops, .id = 7};
static struct vfs_node dir;
static struct name_indexes *indexes;

static void start(uint64_t bytes_max, uint32_t caps)
{
	memset(&store, 0, sizeof(store));
	fake_ops.caps = caps;
	vfs_node_init(&dir, &mount_of_all, OP_TYPE_DIR, 2);
	cr_assert_eq(name_indexes_create(&indexes, bytes_max), 0);
}

static void touched(void)
{
	store.change++;
	store.ctime = vfs_now();
}

static int32_t place_of(const char *name)
{
	for (uint32_t i = 0; i < store.n; i++)
		if (strcmp(store.names[i], name) == 0)
			return (int32_t)i;
	return -1;
}

static struct vfs_name name_of(const char *text)
{
	return (struct vfs_name){text, (uint32_t)strlen(text)};
}

/* The VFS adds or removes a name; told: and says so. */
static void change(const char *text, bool add, bool told)
{
	struct vfs_name name = name_of(text);
	struct vfs_node node = {.fileid = 5, .type = OP_TYPE_FILE};
	int32_t at = place_of(text);
	uint64_t before = store.change;
	if ((at >= 0) == add)
		return;
	if (add)
		strcpy(store.names[store.n++], text);
	else
		memmove(store.names[at], store.names[--store.n], sizeof(store.names[at]));
	touched();
	if (!told)
		return;
	if (add)
		name_index_added(indexes, &dir, &name, &node);
	else
		name_index_removed(indexes, &dir, &name);
	name_index_carry(indexes, &dir, before, store.change);
}

/* ---- what the indexes say, against the store */

struct listing {
	char last[32];
	uint32_t n;
	uint32_t max;
	bool ordered;
};

static bool take(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid, uint32_t type, struct vfs_node *node)
{
	struct listing *l = arg;
	char text[32];
	if (l->n == l->max)
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)name->size, name->bytes);
	l->ordered = l->ordered && strcmp(l->last, text) < 0 && place_of(text) >= 0;
	strcpy(l->last, text);
	l->n++;
	return true;
}

static uint32_t count_after(const char *after)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < store.n; i++)
		n += strcmp(store.names[i], after) > 0;
	return n;
}

/* Pages of that size from after on are in order, real, and all. */
static void check_list(const char *after, uint32_t page)
{
	struct listing l = {.ordered = true};
	bool eof = false;
	uint32_t n = 0;
	strcpy(l.last, after);
	while (!eof) {
		char from[32];
		strcpy(from, l.last);
		struct vfs_name name = name_of(from);
		l.n = 0;
		l.max = page;
		cr_assert_eq(name_index_list(indexes, &dir, &name, take, &l, &eof), 0);
		cr_assert(eof || l.n == page);
		n += l.n;
	}
	cr_assert(l.ordered);
	cr_assert_eq(n, count_after(after), "%u of %u names after %s", n, count_after(after), after);
}

static void check_lookup(const char *text)
{
	struct vfs_name name = name_of(text), stored;
	char bytes[OP_NAME_MAX], best[32] = "";
	struct vfs_node *node;
	for (uint32_t i = 0; i < store.n; i++)
		if (utf8_fold_cmp(store.names[i], strlen(store.names[i]), text, name.size) == 0 && (!best[0] || strcmp(store.names[i], best) < 0))
			strcpy(best, store.names[i]);
	int err = name_index_lookup(indexes, &dir, &name, &stored, bytes, &node);
	cr_assert_eq(err, best[0] ? 0 : ERR_NOENT, "%s: %s", text, err_name(err));
	if (!err)
		cr_assert(stored.size == strlen(best) && memcmp(stored.bytes, best, stored.size) == 0, "%s", text);
}

/* ---- cases */

static void (*body)(void);

static void run_body(void *arg)
{
	body();
	name_indexes_destroy(indexes);
	loop_stop(loop_current());
}

/* In simulated time. */
static void run(void (*what)(void))
{
	struct loop *loop;
	body = what;
	cr_assert_eq(loop_create(&loop, &(struct loop_config){.engine = LOOP_SIM, .sim_seed = 1}), 0);
	fiber_start(loop, run_body, NULL);
	loop_run(loop);
	loop_destroy(loop);
}

static void random_name(unsigned *seed, char text[32])
{
	static const char *const stems[] = {"name", "Name", "NAME", "x", "\xc3\xa9", "\xc3\x89"};
	snprintf(text, 32, "%s %u", stems[rand_r(seed) % ARRAY_SIZE(stems)], rand_r(seed) % 200);
}

static void model(uint64_t bytes_max, unsigned seed)
{
	char text[32];
	start(bytes_max, 0);
	for (int i = 0; i < 3000; i++) {
		random_name(&seed, text);
		change(text, rand_r(&seed) % 5 < 3, rand_r(&seed) % 20);
		random_name(&seed, text);
		if (i % 3 == 0)
			check_lookup(text);
		if (i % 7 == 0)
			check_list(i % 2 ? text : "", 1 + rand_r(&seed) % 300);
	}
}

static void carried(void)
{
	model(1 << 20, 1);
	cr_assert_lt(store.n_reads, 600, "changes that we make are carried over");
}

Test(name_index, follows_changes)
{
	run(carried);
}

/* So little room that a directory is listed in windows and looked through for each name. */
static void windows(void)
{
	model(8192, 2);
}

Test(name_index, lists_a_large_directory_in_windows)
{
	run(windows);
}

static void several(void)
{
	start(1 << 20, 0);
	for (uint32_t i = 0; i < 100; i++) {
		char text[32];
		snprintf(text, sizeof(text), "%u", i);
		change(text, true, true);
	}
	for (uint64_t id = 2; id < 200; id++) {
		dir.fileid = id;
		check_list("", 1000);
	}
	uint32_t n = store.n_reads;
	dir.fileid = 199;
	check_list("", 1000);
	cr_assert_eq(store.n_reads, n, "the last used one is kept");
	dir.fileid = 2;
	check_list("", 1000);
	cr_assert_eq(store.n_reads, n + 1, "the longest unused one was not");
	name_indexes_drop(indexes, &mount_of_all);
	check_list("", 1000);
	cr_assert_eq(store.n_reads, n + 2);
}

Test(name_index, keeps_what_fits)
{
	run(several);
}

/* A host's own change in the tick of another is found a moment later. */
static void shared(void)
{
	start(1 << 20, VFS_CAP_SHARED);
	change("a", true, true);
	check_lookup("A");
	strcpy(store.names[store.n++], "hidden");
	fiber_sleep_ns(50 * NS_PER_MS);
	check_lookup("HIDDEN");
	uint32_t n = store.n_reads;
	check_lookup("HIDDEN");
	cr_assert_eq(store.n_reads, n, "a quiet directory is read once");
	change("b", true, true);
	check_lookup("B");
	cr_assert_eq(store.n_reads, n, "what we change is carried over");
	strcpy(store.names[store.n++], "hidden too");
	fiber_sleep_ns(2100 * NS_PER_MS);
	check_lookup("HIDDEN TOO");
}

Test(name_index, looks_again_at_a_shared_directory)
{
	run(shared);
}
