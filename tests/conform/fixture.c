/* Credentials, ready-made objects, memory and random numbers of the cases. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/conform/run.h"

const struct op_cred ROOT = {.uid = 0, .gid = 0};
const struct op_cred ALICE = {.uid = 1001, .gid = 1001, .n_groups = 1, .groups = {2001}};
const struct op_cred BOB = {.uid = 1002, .gid = 1002};
const struct op_cred CAROL = {.uid = 1003, .gid = 1001};
const struct op_cred DAVE = {.uid = 1004, .gid = 1004, .n_groups = 1, .groups = {1001}};

void as(struct test *t, const struct op_cred *who)
{
	t->as = who;
}

struct obj file_in(struct test *t, const struct obj *dir, const char *name, uint32_t mode)
{
	struct obj o = {0};

	OK(fs_create(t, dir, name, mode, &o));
	return o;
}

struct obj dir_in(struct test *t, const struct obj *dir, const char *name, uint32_t mode)
{
	struct obj o = {0};

	OK(fs_mkdir(t, dir, name, mode, &o));
	return o;
}

struct obj a_file(struct test *t, const char *name, uint32_t mode)
{
	return file_in(t, &t->dir, name, mode);
}

struct obj a_dir(struct test *t, const char *name, uint32_t mode)
{
	return dir_in(t, &t->dir, name, mode);
}

struct obj a_symlink(struct test *t, const char *name, const char *target)
{
	struct obj o = {0};

	OK(fs_symlink(t, &t->dir, name, target, &o));
	return o;
}

struct obj a_fifo(struct test *t, const char *name, uint32_t mode)
{
	struct op_attr attr = {.mask = ATTR_TYPE | ATTR_MODE, .type = OP_TYPE_FIFO, .mode = mode};
	struct obj o = {0};

	OK(fs_mknod(t, &t->dir, name, &attr, &o));
	return o;
}

struct obj a_text(struct test *t, const char *name, const char *text)
{
	struct obj o = a_file(t, name, 0644);

	if (text[0])
		OK(fs_write_text(t, &o, 0, text));
	return o;
}

const char *kind_name(enum make_kind kind)
{
	static const char *const names[] = {"file", "directory", "symlink", "fifo", "link", "rename"};

	return names[kind];
}

/* What link and rename start from: made by root beside the case's directory's other names. */
static struct obj make_source(struct test *t)
{
	const struct op_cred *who = t->as;
	struct obj source = {0};

	as(t, &ROOT);
	if (fs_lookup(t, &t->dir, "source of a name", &source))
		source = a_file(t, "source of a name", 0666);
	as(t, who);
	return source;
}

int make_kind(struct test *t, enum make_kind kind, const struct obj *dir, struct str name)
{
	struct open_how how = {.disposition = OPEN_GUARDED, .flags = OPEN_NO_STATE, .attr = {.mask = ATTR_MODE, .mode = 0644}};
	struct op_attr attr = {.mask = ATTR_MODE | ATTR_TYPE, .mode = 0755, .type = OP_TYPE_FIFO};
	struct obj source, out;

	switch (kind) {
	case MAKE_FILE: return t->drv->open(t, dir, name, &how, &out);
	case MAKE_DIR: return t->drv->mkdir(t, dir, name, &attr, &out);
	case MAKE_SYMLINK: return t->drv->symlink(t, dir, name, str("target"), &out);
	case MAKE_FIFO: return t->drv->mknod(t, dir, name, &attr, &out);
	case MAKE_LINK: source = make_source(t); return t->drv->link(t, &source, dir, name);
	default: make_source(t); return t->drv->rename(t, &t->dir, str("source of a name"), dir, name, RENAME_NOREPLACE);
	}
}

struct op_attr attr_of(struct test *t, const struct obj *o)
{
	OK(fs_getattr(t, o));
	return t->ans.attr;
}

struct op_attr attr_named(struct test *t, const char *name)
{
	struct obj o;

	if (fs_lookup(t, &t->dir, name, &o) || fs_getattr(t, &o))
		return (struct op_attr){0};
	return t->ans.attr;
}

bool exists(struct test *t, const struct obj *dir, const char *name)
{
	struct obj o;

	return fs_lookup(t, dir, name, &o) == 0;
}

bool holds(struct test *t, const struct obj *o, const char *text)
{
	size_t size = strlen(text);
	char *data = memory(t, size + 64);

	if (fs_read(t, o, 0, data, (uint32_t)size + 64))
		return false;
	return t->ans.size == size && !memcmp(data, text, size);
}

struct seen {
	char **names;
	unsigned n;
	unsigned room;
};

static void see(void *arg, const struct op_dirent *d, const char *name)
{
	struct seen *s = arg;

	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->names = realloc(s->names, s->room * sizeof(*s->names));
	}
	s->names[s->n++] = strdup(name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static unsigned drop_names(struct seen *s)
{
	unsigned i, n_twice = 0;

	if (s->n)
		qsort(s->names, s->n, sizeof(*s->names), by_text);
	for (i = 1; i < s->n; i++)
		n_twice += !strcmp(s->names[i - 1], s->names[i]);
	for (i = 0; i < s->n; i++)
		free(s->names[i]);
	free(s->names);
	return n_twice;
}

unsigned count_entries(struct test *t, const struct obj *dir)
{
	struct seen seen = {0};
	struct scan s = {.room = 32768, .entry = see, .arg = &seen};

	while (!s.eof && OK(fs_readdir(t, dir, &s)))
		;
	EQ(drop_names(&seen), 0);
	return seen.n;
}

static void clear_names(struct test *t, const struct obj *dir, struct seen *seen)
{
	struct obj child;
	unsigned i;

	for (i = 0; i < seen->n; i++) {
		if (fs_unlink(t, dir, seen->names[i]) == 0)
			continue;
		if (fs_lookup(t, dir, seen->names[i], &child) == 0)
			conform_clear_dir(t, &child);
		fs_rmdir(t, dir, seen->names[i]);
	}
}

void conform_clear_dir(struct test *t, const struct obj *dir)
{
	struct seen seen = {0};
	struct scan s = {.room = 32768, .entry = see, .arg = &seen};

	as(t, &ROOT);
	while (!s.eof && fs_readdir(t, dir, &s) == 0)
		;
	clear_names(t, dir, &seen);
	drop_names(&seen);
}

void *memory(struct test *t, size_t size)
{
	struct test_block *b = calloc(1, sizeof(*b) + size + 16);

	if (!b)
		abort();
	pthread_mutex_lock(&t->memory->lock);
	b->next = t->memory->blocks;
	t->memory->blocks = b;
	pthread_mutex_unlock(&t->memory->lock);
	return b + 1;
}

int conform_keep_fd(struct test *t, int fd)
{
	struct test_memory *m = t->memory;

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&m->lock);
	if (m->n_fds == m->fds_size) {
		m->fds_size = m->fds_size ? 2 * m->fds_size : 64;
		m->fds = realloc(m->fds, m->fds_size * sizeof(*m->fds));
	}
	m->fds[m->n_fds++] = fd;
	pthread_mutex_unlock(&m->lock);
	return fd;
}

void conform_release_memory(struct test *t)
{
	struct test_memory *m = t->memory;
	struct test_block *b;

	while ((b = m->blocks)) {
		m->blocks = b->next;
		free(b);
	}
	while (m->n_fds)
		close(m->fds[--m->n_fds]);
}

uint64_t random_u64(struct test *t)
{
	uint64_t z = (t->random_state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void fill_random(struct test *t, void *data, size_t size)
{
	uint8_t *p = data;
	size_t i;

	for (i = 0; i < size; i++)
		p[i] = (uint8_t)(random_u64(t) >> 32);
}

bool all_zero(const void *data, size_t size)
{
	const uint8_t *p = data;

	return size == 0 || (p[0] == 0 && !memcmp(p, p + 1, size - 1));
}

void tick(struct test *t)
{
	t->drv->tick(t);
}

struct str repeat(struct test *t, char c, size_t n)
{
	char *s = memory(t, n + 1);

	memset(s, c, n);
	return (struct str){s, n};
}

struct op_time at(int64_t sec, uint32_t nsec)
{
	return (struct op_time){.sec = sec, .nsec = nsec};
}

void conform_fork(const struct test *t, unsigned index, struct test *worker)
{
	*worker = *t;
	worker->random_state = t->random_state + index * 0x51ed2701ULL;
}

void together(struct test *t, unsigned n, worker_fn *fn, void *arg)
{
	t->drv->together(t, n, fn, arg);
}
