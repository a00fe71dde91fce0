/* Reading directories: every entry once, from any cookie, while others come and go. */
#include <stdio.h>

#include "tests/conform/conform.h"

#define LIST_MAX 12000

/* What a scan saw, in order. */
struct list_of {
	uint64_t *cookies;
	uint64_t *fileids;
	char (*names)[24];
	uint32_t *types;
	unsigned n;
};

static struct list_of *new_list(struct test *t)
{
	struct list_of *l = memory(t, sizeof(*l));

	l->cookies = memory(t, LIST_MAX * sizeof(*l->cookies));
	l->fileids = memory(t, LIST_MAX * sizeof(*l->fileids));
	l->names = memory(t, LIST_MAX * sizeof(*l->names));
	l->types = memory(t, LIST_MAX * sizeof(*l->types));
	return l;
}

static void add(void *arg, const struct op_dirent *d, const char *name)
{
	struct list_of *l = arg;

	if (l->n == LIST_MAX)
		return;
	l->cookies[l->n] = d->cookie;
	l->fileids[l->n] = d->fileid;
	l->types[l->n] = d->attr.type;
	snprintf(l->names[l->n], sizeof(*l->names), "%s", name);
	l->n++;
}

/* Reads on from *s to the end. */
static void scan_rest(struct test *t, const struct obj *dir, struct scan *s)
{
	unsigned n_calls = 0;

	while (!s->eof && n_calls++ < 2 * LIST_MAX)
		if (!OK(fs_readdir(t, dir, s)))
			return;
	TRUE(s->eof);
}

static struct list_of *list(struct test *t, const struct obj *dir, uint32_t room, uint32_t flags)
{
	struct list_of *l = new_list(t);
	struct scan s = {.room = room, .flags = flags, .entry = add, .arg = l};

	scan_rest(t, dir, &s);
	return l;
}

static unsigned times_seen(const struct list_of *l, const char *name)
{
	unsigned i, n = 0;

	for (i = 0; i < l->n; i++)
		n += !strcmp(l->names[i], name);
	return n;
}

static void make_numbered(struct test *t, const struct obj *dir, const char *prefix, unsigned n)
{
	char name[24];
	unsigned i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%05u", prefix, i);
		if (!OK(fs_symlink(t, dir, name, "x", NULL)))
			return;
	}
}

/* That l holds each of the n numbered names exactly once. */
static void check_numbered(struct test *t, const struct list_of *l, const char *prefix, unsigned n)
{
	unsigned char *seen = memory(t, n);
	unsigned i, number, n_twice = 0, n_seen = 0;
	size_t skip = strlen(prefix);

	for (i = 0; i < l->n; i++) {
		if (strncmp(l->names[i], prefix, skip) || sscanf(l->names[i] + skip, "%u", &number) != 1 || number >= n)
			continue;
		n_twice += seen[number];
		n_seen += !seen[number];
		seen[number] = 1;
	}
	EQ(n_twice, 0);
	EQ(n_seen, n);
}

CASE(readdir_empty, "an empty directory has no entries but its dots")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *l = list(t, &d, 4096, 0);

	EQ(l->n, 0);
	l = list(t, &d, 4096, READDIR_DOTS);
	EQ(l->n, 2);
	EQ(times_seen(l, "."), 1);
	EQ(times_seen(l, ".."), 1);
}

CASE(readdir_dots_ids, "the dots have the file ids of the directory and its parent")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *l = list(t, &d, 4096, READDIR_DOTS);
	unsigned i;

	for (i = 0; i < l->n; i++)
		EQ(l->fileids[i], attr_of(t, strcmp(l->names[i], ".") ? &t->dir : &d).fileid);
}

CASE(readdir_kinds, "entries tell names, file ids and types")
{
	struct obj d = a_dir(t, "d", 0755), o;
	struct list_of *l;
	unsigned kind, i;

	for (kind = 0; kind < MAKE_LINK; kind++)
		OK(make_kind(t, kind, &d, str(kind_name(kind))));
	l = list(t, &d, 4096, 0);
	EQ(l->n, MAKE_LINK);
	for (i = 0; i < l->n; i++) {
		OK(fs_lookup(t, &d, l->names[i], &o));
		EQ(l->fileids[i], attr_of(t, &o).fileid);
		EQ(l->types[i], attr_of(t, &o).type);
	}
}

CASE(readdir_of_file, "listing what is no directory is ERR_NOTDIR")
{
	struct obj f = a_file(t, "f", 0644);
	struct scan s = {.room = 4096, .entry = add, .arg = new_list(t)};

	FAILS(ERR_NOTDIR, fs_readdir(t, &f, &s));
}

CASE(readdir_stable, "two scans of an unchanged directory give the same order and cookies")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *first, *second;
	unsigned i;

	make_numbered(t, &d, "n", 300);
	first = list(t, &d, 4096, 0);
	second = list(t, &d, 65536, 0);
	EQ(first->n, 300);
	EQ(second->n, 300);
	for (i = 0; i < first->n && i < second->n; i++) {
		EQ(strcmp(first->names[i], second->names[i]), 0);
		EQ(first->cookies[i], second->cookies[i]);
	}
}

CASE(readdir_cookies_distinct, "no two entries have one cookie, none has 0")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *l;
	unsigned i, j;

	make_numbered(t, &d, "n", 100);
	l = list(t, &d, 4096, 0);
	for (i = 0; i < l->n; i++) {
		NE(l->cookies[i], 0);
		for (j = 0; j < i; j++)
			if (l->cookies[i] == l->cookies[j])
				NE(l->cookies[i], l->cookies[j]);
	}
}

CASE(readdir_resume_anywhere, "from any cookie exactly the entries after it follow")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *all, *rest;
	unsigned i;

	make_numbered(t, &d, "n", 200);
	all = list(t, &d, 4096, 0);
	for (i = 0; i < all->n; i += 7) {
		struct scan s = {.cookie = all->cookies[i], .room = 4096, .entry = add};

		row(t, "entry %u", i);
		rest = new_list(t);
		s.arg = rest;
		scan_rest(t, &d, &s);
		EQ(rest->n, all->n - i - 1);
		if (rest->n)
			EQ(strcmp(rest->names[0], all->names[i + 1]), 0);
	}
}

CASE(readdir_small_rooms, "whatever the room for answers, a scan gives each entry once")
{
	static const uint32_t rooms[] = {600, 700, 1000, 1500, 4096, 10000, 1 << 20};
	struct obj d = a_dir(t, "d", 0755);
	size_t i;

	make_numbered(t, &d, "n", 150);
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		row(t, "room %u", rooms[i]);
		check_numbered(t, list(t, &d, rooms[i], 0), "n", 150);
	}
}

CASE_NEEDS(readdir_too_small, HAS_OPS, "room for not even one entry is ERR_TOOSMALL, not an empty answer")
{
	struct obj d = a_dir(t, "d", 0755);
	struct scan s = {.room = 16, .entry = add, .arg = new_list(t)};

	make_numbered(t, &d, "n", 3);
	FAILS(ERR_TOOSMALL, fs_readdir(t, &d, &s));
	s.room = 0;
	FAILS_EITHER(ERR_TOOSMALL, ERR_INVAL, fs_readdir(t, &d, &s));
}

CASE_NEEDS(readdir_max_entries, HAS_OPS, "no more entries than asked for")
{
	struct obj d = a_dir(t, "d", 0755);
	struct scan s = {.room = 65536, .max_entries = 7, .entry = add, .arg = new_list(t)};
	unsigned n_calls = 0;

	make_numbered(t, &d, "n", 50);
	while (!s.eof && n_calls++ < 100 && OK(fs_readdir(t, &d, &s)))
		TRUE(s.n_entries <= 7);
	check_numbered(t, s.arg, "n", 50);
	TRUE(n_calls >= 8);
}

CASE_NEEDS(readdir_bad_verifier, HAS_OPS, "a verifier that was never answered is ERR_BAD_COOKIE, or verifiers are not used")
{
	struct obj d = a_dir(t, "d", 0755);
	struct scan s = {.room = 600, .max_entries = 2, .entry = add, .arg = new_list(t)};
	int err;

	make_numbered(t, &d, "n", 20);
	OK(fs_readdir(t, &d, &s));
	if (!s.verifier)
		return;
	s.verifier ^= 0x5555;
	err = fs_readdir(t, &d, &s);
	EQ(err, ERR_BAD_COOKIE);
}

CASE_NEEDS(readdir_wild_cookies, HAS_OPS, "cookies that were never answered end the scan or go on with some entry; nothing worse")
{
	static const uint64_t cookies[] = {1, 2, 3, 12345, UINT32_MAX, 1ULL << 62, 1ULL << 63, UINT64_MAX};
	struct obj d = a_dir(t, "d", 0755);
	size_t i;
	int err;

	make_numbered(t, &d, "n", 20);
	for (i = 0; i < ARRAY_SIZE(cookies); i++) {
		struct scan s = {.cookie = cookies[i], .room = 65536, .entry = add, .arg = new_list(t)};

		row(t, "cookie %llu", (unsigned long long)cookies[i]);
		err = fs_readdir(t, &d, &s);
		TRUE(err == 0 || err == ERR_BAD_COOKIE || err == ERR_INVAL);
		TRUE(((struct list_of *)s.arg)->n <= 20);
	}
}

static void keep_entry(void *arg, const struct op_dirent *d, const char *name)
{
	*(struct op_dirent *)arg = *d;
}

CASE_NEEDS(readdir_attributes, HAS_OPS, "with attributes wanted, entries carry them and a handle that works")
{
	struct op_dirent *seen = memory(t, sizeof(*seen));
	struct obj d = a_dir(t, "d", 0755), f = file_in(t, &d, "f", 0604);
	struct scan s = {.room = 65536, .want = ATTR_ALL, .entry = keep_entry, .arg = seen};
	struct obj o = {0};

	OK(fs_write_text(t, &f, 0, "12345"));
	OK(fs_readdir(t, &d, &s));
	EQ(s.n_entries, 1);
	EQ(seen->attr.size, 5);
	EQ(seen->attr.mode, 0604);
	EQ(seen->attr.nlink, 1);
	TIME_EQ(seen->attr.mtime, attr_of(t, &f).mtime);
	o.handle = seen->obj;
	TRUE(holds(t, &o, "12345"));
}

CASE(readdir_big, "10,000 entries are listed, each once")
{
	struct obj d = a_dir(t, "d", 0755);

	make_numbered(t, &d, "n", 10000);
	check_numbered(t, list(t, &d, 32768, 0), "n", 10000);
	check_numbered(t, list(t, &d, 4096, READDIR_DOTS), "n", 10000);
}

CASE(readdir_under_change, "entries that exist throughout a scan appear exactly once, whatever else comes and goes")
{
	struct list_of *l = new_list(t);
	struct obj d = a_dir(t, "d", 0755);
	struct scan s = {.room = 1500, .entry = add, .arg = l};
	char name[24];
	unsigned round = 0;

	make_numbered(t, &d, "keep", 1000);
	make_numbered(t, &d, "drop", 1000);
	while (!s.eof && round < 4000 && OK(fs_readdir(t, &d, &s))) {
		snprintf(name, sizeof(name), "drop%05u", round % 1000);
		fs_unlink(t, &d, name);
		/* Not for ever: a directory that appends would never end. */
		snprintf(name, sizeof(name), "new%05u", round * 37 % 5000);
		if (round < 2000)
			fs_symlink(t, &d, name, "x", NULL);
		round++;
	}
	TRUE(s.eof);
	check_numbered(t, l, "keep", 1000);
}

CASE(readdir_removing, "removing what was just listed, a directory is emptied in one scan")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *l = new_list(t);
	struct scan s = {.room = 2000, .entry = add, .arg = l};
	unsigned n_calls = 0, i, from = 0;

	make_numbered(t, &d, "n", 1500);
	while (!s.eof && n_calls++ < 3000 && OK(fs_readdir(t, &d, &s))) {
		for (i = from; i < l->n; i++)
			OK(fs_unlink(t, &d, l->names[i]));
		from = l->n;
	}
	EQ(l->n, 1500);
	EQ(count_entries(t, &d), 0);
}

CASE(readdir_resume_removed, "a scan goes on after the entry it stopped at was removed")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *all, *rest = new_list(t);
	struct scan s = {.room = 4096, .entry = add};

	make_numbered(t, &d, "n", 100);
	all = list(t, &d, 4096, 0);
	OK(fs_unlink(t, &d, all->names[49]));
	s.cookie = all->cookies[49];
	s.arg = rest;
	scan_rest(t, &d, &s);
	EQ(rest->n, 50);
	EQ(strcmp(rest->names[0], all->names[50]), 0);
}

CASE(readdir_renames, "renaming within a directory during a scan loses no other entry")
{
	struct obj d = a_dir(t, "d", 0755);
	struct list_of *l = new_list(t);
	struct scan s = {.room = 1500, .entry = add, .arg = l};
	char from[24], to[24];
	unsigned round = 0;

	make_numbered(t, &d, "keep", 500);
	make_numbered(t, &d, "move", 100);
	while (!s.eof && round < 2000 && OK(fs_readdir(t, &d, &s))) {
		snprintf(from, sizeof(from), "move%05u", round % 100);
		snprintf(to, sizeof(to), "moved%05u", round % 100);
		if (round < 100)
			OK(fs_rename(t, &d, from, &d, to));
		round++;
	}
	check_numbered(t, l, "keep", 500);
}

CASE(readdir_long_names, "names of 255 bytes are listed whole")
{
	struct obj d = a_dir(t, "d", 0755);
	struct str name = repeat(t, 'n', 255);
	struct list_of *l;
	unsigned i;

	for (i = 0; i < 20; i++) {
		((char *)name.bytes)[0] = (char)('a' + i);
		OK(make_kind(t, MAKE_SYMLINK, &d, name));
	}
	l = list(t, &d, 2000, 0);
	EQ(l->n, 20);
	EQ(count_entries(t, &d), 20);
}
