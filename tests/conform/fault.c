/*
 * Faults: every operation meets an error at each call that it makes to the store, one after the other.
 * Whatever fails, a directory of known content is then exactly as before or exactly as after the
 * operation, and the operation works once the error is gone. Run with --backend fault.
 */
#include <stdio.h>

#include "tests/conform/serve.h"
#include "tests/conform/verbs-stream.h"

#define TEXT_MAX 4096
#define POINTS_MAX 60

/* Handles of the known content. */
struct scene {
	struct obj dir, file, other, empty, full, inside, symlink;
	struct obj stream; /* of file, which has another; if the store has any */
	uint64_t open_id;
};

struct action {
	const char *name;
	int (*run)(struct test *t, struct scene *s);
};

/* ---- the scene, and its description as text ------------------------------------------------- */

static void build(struct test *t, struct scene *s)
{
	*s = (struct scene){.dir = a_dir(t, "scene", 0755)};
	s->file = file_in(t, &s->dir, "file", 0644);
	OK(fs_write_text(t, &s->file, 0, "0123456789"));
	OK(fs_set_xattr(t, &s->file, "user.x", "value", 0));
	if (t->features & HAS_STREAMS) {
		s->stream = a_stream(t, &s->file, "Stream", "the stream");
		a_stream(t, &s->file, "second", "2");
	}
	s->other = file_in(t, &s->dir, "other", 0640);
	OK(fs_write_text(t, &s->other, 0, "bystander"));
	s->empty = dir_in(t, &s->dir, "empty", 0755);
	s->full = dir_in(t, &s->dir, "full", 0711);
	s->inside = file_in(t, &s->full, "inside", 0600);
	OK(fs_symlink(t, &s->dir, "symlink", "file", &s->symlink));
}

struct text {
	char bytes[TEXT_MAX];
	size_t size;
};

struct entries {
	char names[64][32];
	unsigned n;
};

static void keep_name(void *arg, const struct op_dirent *d, const char *name)
{
	struct entries *e = arg;

	if (e->n < ARRAY_SIZE(e->names))
		snprintf(e->names[e->n++], sizeof(e->names[0]), "%s", name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static uint64_t checksum(struct test *t, const struct obj *o)
{
	uint8_t *data = memory(t, 200000);
	uint64_t sum = 14695981039346656037ULL, i;

	if (fs_read(t, o, 0, data, 200000))
		return 1;
	for (i = 0; i < t->ans.size; i++)
		sum = (sum ^ data[i]) * 1099511628211ULL;
	return sum;
}

/* Names, sizes and content of streams. */
static void describe_streams(struct test *t, const struct obj *o, char *out, size_t size)
{
	static const char *const names[] = {"Stream", "second", "new"};
	char *all = stream_names(t, o);
	uint64_t sum = 0;
	struct obj s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (fs_stream(t, o, names[i], OPEN_EXISTING, 0, &s) == 0)
			sum += (i + 1) * checksum(t, &s);
	snprintf(out, size, "%s%llx", all, (unsigned long long)sum);
}

static void describe_one(struct test *t, const struct obj *o, const char *name, struct text *text)
{
	struct op_attr a = attr_of(t, o);
	uint64_t sum = a.type == OP_TYPE_FILE ? checksum(t, o) : 0;
	char value[16] = "", streams[160] = "";
	size_t room = TEXT_MAX - text->size;

	if (a.type == OP_TYPE_FILE && (t->features & HAS_STREAMS))
		describe_streams(t, o, streams, sizeof(streams));

	if (a.type == OP_TYPE_FILE && fs_get_xattr(t, o, "user.x", value, 15) == 0)
		value[t->ans.size] = 0;
	text->size += (size_t)snprintf(text->bytes + text->size, room, "%s %u %o %u %llu %llx %s %s\n", name, a.type, a.mode,
	                               a.nlink, (unsigned long long)(a.type == OP_TYPE_DIR ? 0 : a.size),
	                               (unsigned long long)sum, value, streams);
	text->size = MIN(text->size, TEXT_MAX - 1u);
}

static void describe(struct test *t, const struct obj *dir, struct text *text)
{
	struct entries *e = memory(t, sizeof(*e));
	struct scan s = {.room = 65536, .entry = keep_name, .arg = e};
	struct obj o;
	unsigned i;

	while (!s.eof && OK(fs_readdir(t, dir, &s)))
		;
	qsort(e->names, e->n, sizeof(e->names[0]), by_name);
	for (i = 0; i < e->n; i++) {
		if (!OK(fs_lookup(t, dir, e->names[i], &o)))
			continue;
		describe_one(t, &o, e->names[i], text);
		if (t->ans.attr.type == OP_TYPE_DIR || attr_of(t, &o).type == OP_TYPE_DIR)
			describe(t, &o, text);
	}
}

static struct text *description(struct test *t, const struct scene *s)
{
	struct text *text = memory(t, sizeof(*text));

	describe_one(t, &s->dir, ".", text);
	describe(t, &s->dir, text);
	return text;
}

/* ---- actions -------------------------------------------------------------------------------------- */

static int act_lookup(struct test *t, struct scene *s)
{
	struct obj o;

	return fs_lookup(t, &s->dir, "file", &o);
}

static int act_path(struct test *t, struct scene *s)
{
	struct obj o;

	return fs_path(t, &s->dir, "full/inside", &o);
}

static int act_parent(struct test *t, struct scene *s)
{
	struct obj o;

	return fs_parent(t, &s->full, &o);
}

static int act_getattr(struct test *t, struct scene *s)
{
	return fs_getattr(t, &s->file);
}

static int act_access(struct test *t, struct scene *s)
{
	return fs_access(t, &s->file, ACCESS_READ);
}

static int act_statfs(struct test *t, struct scene *s)
{
	return fs_statfs(t, &s->file);
}

static int act_readlink(struct test *t, struct scene *s)
{
	char target[64];

	return fs_readlink(t, &s->symlink, target, 64);
}

static int act_readdir(struct test *t, struct scene *s)
{
	struct scan scan = {.room = 65536, .want = ATTR_ALL, .entry = keep_name, .arg = memory(t, sizeof(struct entries))};

	return fs_readdir(t, &s->dir, &scan);
}

static int act_read(struct test *t, struct scene *s)
{
	char data[16];

	return fs_read(t, &s->file, 0, data, 10);
}

static int act_seek(struct test *t, struct scene *s)
{
	return fs_seek(t, &s->file, 0, SEEK_TO_HOLE);
}

static int act_get_xattr(struct test *t, struct scene *s)
{
	char value[16];

	return fs_get_xattr(t, &s->file, "user.x", value, 16);
}

static int act_list_xattr(struct test *t, struct scene *s)
{
	char names[64];

	return fs_list_xattr(t, &s->file, names, 64);
}

static int act_commit(struct test *t, struct scene *s)
{
	return fs_commit(t, &s->file);
}

static int act_sync(struct test *t, struct scene *s)
{
	return t->drv->sync(t, &s->file);
}

static int act_open(struct test *t, struct scene *s)
{
	int err = fs_open_obj(t, &s->file, OPEN_READ | OPEN_WRITE);

	return err ? err : fs_close(t, t->ans.open_id);
}

static int act_create(struct test *t, struct scene *s)
{
	return fs_create(t, &s->dir, "new", 0644, NULL);
}

static int act_create_sized(struct test *t, struct scene *s)
{
	struct open_how how = {.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE,
	                       .attr = {.mask = ATTR_MODE | ATTR_SIZE, .mode = 0644, .size = 5000}};

	return fs_open(t, &s->dir, "new", &how, NULL);
}

static int act_exclusive(struct test *t, struct scene *s)
{
	struct open_how how = {.disposition = OPEN_EXCLUSIVE, .flags = OPEN_NO_STATE, .verifier = 77,
	                       .attr = {.mask = ATTR_MODE, .mode = 0644}};

	return fs_open(t, &s->dir, "new", &how, NULL);
}

static int act_open_truncate(struct test *t, struct scene *s)
{
	struct open_how how = {.access = OPEN_WRITE, .flags = OPEN_TRUNCATE};
	int err = fs_open(t, &s->dir, "file", &how, NULL);

	return err ? err : fs_close(t, t->ans.open_id);
}

static int act_unlinked(struct test *t, struct scene *s)
{
	struct obj o;
	int err = fs_create_unlinked(t, &s->dir, 0600, &o);

	return err ? err : fs_close(t, t->ans.open_id);
}

static int act_mkdir(struct test *t, struct scene *s)
{
	return fs_mkdir(t, &s->dir, "new", 0755, NULL);
}

static int act_symlink(struct test *t, struct scene *s)
{
	return fs_symlink(t, &s->dir, "new", "target", NULL);
}

static int act_mknod(struct test *t, struct scene *s)
{
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE, .type = OP_TYPE_FIFO, .mode = 0600};

	return fs_mknod(t, &s->dir, "new", &attr, NULL);
}

static int act_link(struct test *t, struct scene *s)
{
	return fs_link(t, &s->file, &s->full, "new");
}

static int act_rename(struct test *t, struct scene *s)
{
	return fs_rename(t, &s->dir, "file", &s->full, "new");
}

static int act_rename_over(struct test *t, struct scene *s)
{
	return fs_rename(t, &s->dir, "file", &s->full, "inside");
}

static int act_rename_dir(struct test *t, struct scene *s)
{
	return fs_rename(t, &s->dir, "full", &s->dir, "empty");
}

static int act_exchange(struct test *t, struct scene *s)
{
	return fs_rename_flags(t, &s->dir, "file", &s->dir, "full", RENAME_EXCHANGE);
}

static int act_unlink(struct test *t, struct scene *s)
{
	return fs_unlink(t, &s->dir, "file");
}

static int act_rmdir(struct test *t, struct scene *s)
{
	return fs_rmdir(t, &s->dir, "empty");
}

static int act_chmod(struct test *t, struct scene *s)
{
	return fs_chmod(t, &s->file, 0700);
}

static int act_shrink(struct test *t, struct scene *s)
{
	return fs_truncate(t, &s->file, 4);
}

static int act_grow(struct test *t, struct scene *s)
{
	return fs_truncate(t, &s->file, 100000);
}

static int act_write(struct test *t, struct scene *s)
{
	return fs_write_text(t, &s->file, 3, "abc");
}

static int act_write_far(struct test *t, struct scene *s)
{
	return fs_write_text(t, &s->file, 100000, "abc");
}

static int act_append(struct test *t, struct scene *s)
{
	return fs_append(t, &s->file, "abc", 3);
}

static int act_allocate(struct test *t, struct scene *s)
{
	return fs_allocate(t, &s->file, 0, 50000, 0);
}

static int act_deallocate(struct test *t, struct scene *s)
{
	return fs_deallocate(t, &s->file, 2, 5);
}

static int act_zero(struct test *t, struct scene *s)
{
	return fs_zero(t, &s->file, 2, 5, 0);
}

static int act_clone(struct test *t, struct scene *s)
{
	int err = fs_clone(t, &s->other, 0, &s->file, 1 << 20, 0);

	/* Some stores cannot. */
	return err == ERR_NOTSUPP ? fs_copy(t, &s->other, 0, &s->file, 0, 9) : err;
}

static int act_copy(struct test *t, struct scene *s)
{
	return fs_copy(t, &s->other, 0, &s->file, 0, 9);
}

static int act_set_xattr(struct test *t, struct scene *s)
{
	return fs_set_xattr(t, &s->file, "user.x", "new", 0);
}

static int act_remove_xattr(struct test *t, struct scene *s)
{
	return fs_remove_xattr(t, &s->file, "user.x");
}

static int act_lookup_ci(struct test *t, struct scene *s)
{
	return fs_lookup_ci(t, &s->dir, "FILE", NULL, NULL);
}

static int act_open_any_case(struct test *t, struct scene *s)
{
	return fs_open_any_case(t, &s->dir, "New", OPEN_GUARDED, NULL, NULL);
}

static int act_readdir_from(struct test *t, struct scene *s)
{
	struct scan scan = {.room = 65536, .want = ATTR_ALL, .entry = keep_name, .arg = memory(t, sizeof(struct entries))};

	return fs_readdir_from(t, &s->dir, "file", &scan);
}

static int act_open_stream(struct test *t, struct scene *s)
{
	struct open_how how = {.disposition = OPEN_EXISTING, .access = OPEN_READ};
	int err = fs_open_stream(t, &s->file, str("Stream"), &how, NULL);

	return err ? err : fs_close(t, t->ans.open_id);
}

static int act_create_stream(struct test *t, struct scene *s)
{
	return fs_stream(t, &s->file, "new", OPEN_GUARDED, 0, NULL);
}

static int act_truncate_stream(struct test *t, struct scene *s)
{
	return fs_stream(t, &s->file, "STREAM", OPEN_EXISTING, OPEN_TRUNCATE | ANY_CASE, NULL);
}

static int act_list_streams(struct test *t, struct scene *s)
{
	struct scan scan = {.room = 65536, .want = ATTR_ALL, .entry = keep_name, .arg = memory(t, sizeof(struct entries))};

	return fs_list_streams(t, &s->file, "", &scan);
}

static int act_remove_stream(struct test *t, struct scene *s)
{
	return fs_remove_stream(t, &s->file, "Stream", 0);
}

static int act_rename_stream(struct test *t, struct scene *s)
{
	return fs_rename_stream(t, &s->file, "Stream", "second", 0);
}

static int act_write_stream(struct test *t, struct scene *s)
{
	return fs_write_text(t, &s->stream, 3, "abc");
}

static int act_grow_stream(struct test *t, struct scene *s)
{
	return fs_truncate(t, &s->stream, 700);
}

static const struct action stream_actions[] = {
	{"open_stream", act_open_stream}, {"create a stream", act_create_stream}, {"truncate a stream", act_truncate_stream},
	{"list_streams", act_list_streams}, {"remove_stream", act_remove_stream}, {"rename_stream", act_rename_stream},
	{"write to a stream", act_write_stream}, {"grow a stream", act_grow_stream},
};

static const struct action actions[] = {
	{"lookup", act_lookup}, {"lookup_path", act_path}, {"parent", act_parent}, {"getattr", act_getattr},
	{"access", act_access}, {"statfs", act_statfs}, {"readlink", act_readlink}, {"readdir", act_readdir},
	{"read", act_read}, {"seek", act_seek}, {"get_xattr", act_get_xattr}, {"list_xattr", act_list_xattr},
	{"commit", act_commit}, {"sync", act_sync}, {"open", act_open}, {"create", act_create},
	{"create with a size", act_create_sized}, {"exclusive create", act_exclusive},
	{"open truncating", act_open_truncate}, {"create_unlinked", act_unlinked}, {"mkdir", act_mkdir},
	{"symlink", act_symlink}, {"mknod", act_mknod}, {"link", act_link}, {"rename", act_rename},
	{"rename over a file", act_rename_over}, {"rename over a directory", act_rename_dir},
	{"exchange", act_exchange}, {"unlink", act_unlink}, {"rmdir", act_rmdir}, {"chmod", act_chmod},
	{"shrink", act_shrink}, {"grow", act_grow}, {"write", act_write}, {"write far", act_write_far},
	{"append", act_append}, {"allocate", act_allocate}, {"deallocate", act_deallocate}, {"zero", act_zero},
	{"lookup_ci", act_lookup_ci}, {"open in any case", act_open_any_case}, {"readdir by name", act_readdir_from},
	{"copy", act_copy}, {"clone", act_clone}, {"set_xattr", act_set_xattr}, {"remove_xattr", act_remove_xattr},
};

/* ---- the sweep ----------------------------------------------------------------------------------- */

static void clear(struct test *t, struct scene *s)
{
	conform_clear_dir(t, &s->dir);
	OK(fs_rmdir(t, &t->dir, "scene"));
}

static struct text *without_fault(struct test *t, const struct action *a, bool run)
{
	struct text *text;
	struct scene s;

	build(t, &s);
	if (run)
		OK(a->run(t, &s));
	text = description(t, &s);
	clear(t, &s);
	return text;
}

static bool same(const struct text *a, const struct text *b)
{
	return !strcmp(a->bytes, b->bytes);
}

/* One error at the point-th call to the store; false if the action makes fewer. */
static bool one_fault(struct test *t, const struct action *a, const char *error, int want, unsigned point,
                      const struct text *before, const struct text *after)
{
	struct text *now;
	struct scene s;
	char rule[64];
	bool hit;
	int err;

	row(t, "%s, %s at call %u", a->name, error, point);
	build(t, &s);
	snprintf(rule, sizeof(rule), "op=any,err=%s,after=%u,count=1", error, point);
	serve_fault(rule);
	err = a->run(t, &s);
	hit = serve_fault_hits() > 0;
	serve_fault("");
	if (err)
		EQ(err, want);
	now = description(t, &s);
	TRUE(same(now, after) || (err && same(now, before)));
	if (err && same(now, before) && !same(before, after)) {
		OK(a->run(t, &s));
		TRUE(same(description(t, &s), after));
	}
	clear(t, &s);
	return hit;
}

static void sweep(struct test *t, const struct action *list, size_t n, const char *error, int want)
{
	unsigned point, n_points = 0;
	struct text *before, *after;
	size_t i;

	for (i = 0; i < n; i++) {
		row(t, "%s", list[i].name);
		before = without_fault(t, &list[i], false);
		after = without_fault(t, &list[i], true);
		for (point = 0; point < POINTS_MAX; point++)
			if (!one_fault(t, &list[i], error, want, point, before, after))
				break;
		n_points += point;
		TRUE(point < POINTS_MAX);
		TRUE(point > 0);
	}
	row(t, NULL);
	TRUE(n_points > 3 * n / 2);
}

CASE_NEEDS(fault_io, HAS_FAULT, "ERR_IO at any call to the store leaves everything as before or as after")
{
	sweep(t, actions, ARRAY_SIZE(actions), "IO", ERR_IO);
}

CASE_NEEDS(fault_nospc, HAS_FAULT, "ERR_NOSPC at any call to the store leaves everything as before or as after")
{
	sweep(t, actions, ARRAY_SIZE(actions), "NOSPC", ERR_NOSPC);
}

CASE_NEEDS(fault_streams, HAS_FAULT | HAS_STREAMS, "the same of streams")
{
	sweep(t, stream_actions, ARRAY_SIZE(stream_actions), "IO", ERR_IO);
	sweep(t, stream_actions, ARRAY_SIZE(stream_actions), "NOSPC", ERR_NOSPC);
}

CASE_NEEDS(fault_torn_write, HAS_FAULT, "a torn write leaves old bytes and new bytes, in this file alone")
{
	char *old = memory(t, 8192), *data = memory(t, 8192);
	struct obj f = a_file(t, "f", 0644), other = a_text(t, "other", "bystander");
	unsigned i, n_wrong = 0;

	memset(old, 'o', 8192);
	memset(data, 'n', 8192);
	OK(fs_write(t, &f, 0, old, 8192));
	serve_fault("op=write,torn=512,count=1");
	FAILS(ERR_IO, fs_write(t, &f, 0, data, 8192));
	serve_fault("");
	OK(fs_read(t, &f, 0, data, 8192));
	EQ(t->ans.size, 8192);
	for (i = 0; i < 8192; i++)
		n_wrong += data[i] != 'o' && data[i] != 'n';
	EQ(n_wrong, 0);
	TRUE(holds(t, &other, "bystander"));
}

CASE_NEEDS(fault_slow, HAS_FAULT, "while one op waits for a slow store others go on")
{
	struct obj f = a_text(t, "f", "text");

	serve_fault("op=read,delay=20ms,count=1");
	TRUE(holds(t, &f, "text"));
	serve_fault("");
}
