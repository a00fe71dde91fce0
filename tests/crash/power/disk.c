/*
 * See disk.h. A page has its durable bytes and the versions since, each a whole page with its time: the index of the
 * record that made it. A flush that began at some time makes durable what had ended before.
 */
#include "tests/crash/power/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/power/draw.h"

#define PAGE 4096u
#define SECTOR 512u
#define NAME_ROOM 256
#define FILES_MAX 256
#define NEVER UINT32_MAX /* ended: it has not */

/* What a page was at some time. */
struct version {
	struct version *older;
	uint32_t begun, ended;
	uint8_t bytes[PAGE];
};

struct page {
	struct version *newest; /* the last of the chain is the durable one, or zeros come below it */
	bool settled;           /* the only version is durable */
	bool listed;
};

/* The file has that size from then on, or if it grows at least that. */
struct size_change {
	uint64_t size;
	uint32_t begun, ended;
	bool grows;
};

struct name_change {
	char name[NAME_ROOM];
	char to[NAME_ROOM]; /* of a rename */
	uint64_t ino;       /* 0: the name goes, or is renamed */
	uint32_t at;
};

struct entry {
	char name[NAME_ROOM];
	uint64_t ino;
};

struct names {
	struct entry *list;
	uint32_t n;
};

struct file {
	uint64_t ino;
	bool dir;
	/* a file */
	struct page *pages;
	uint64_t n_pages;
	uint64_t *unsettled; /* pages with versions that are not durable */
	uint32_t n_unsettled, max_unsettled;
	uint64_t durable_size, size;
	struct size_change *sizes;
	uint32_t n_sizes, max_sizes;
	/* a directory */
	struct names names; /* durable ones */
	struct name_change *changes;
	uint32_t n_changes, max_changes;
};

struct disk {
	uint64_t root;
	struct file *files[FILES_MAX];
	uint32_t n_files;
};

#define GROW(list, n, max)                                                                   \
	do {                                                                                 \
		if ((n) == (max)) {                                                          \
			(max) = (max) ? 2 * (max) : 16;                                      \
			(list) = realloc((list), (max) * sizeof(*(list)));                   \
		}                                                                            \
	} while (0)

/* ---- files */

static struct file *file_of(struct disk *d, uint64_t ino)
{
	for (uint32_t i = 0; i < d->n_files; i++)
		if (d->files[i]->ino == ino)
			return d->files[i];
	if (d->n_files == FILES_MAX)
		abort();
	struct file *f = d->files[d->n_files++] = calloc(1, sizeof(*f));
	f->ino = ino;
	return f;
}

static void free_versions(struct version *v)
{
	while (v) {
		struct version *older = v->older;
		free(v);
		v = older;
	}
}

static void file_free(struct file *f)
{
	for (uint64_t i = 0; i < f->n_pages; i++)
		free_versions(f->pages[i].newest);
	free(f->pages);
	free(f->unsettled);
	free(f->sizes);
	free(f->names.list);
	free(f->changes);
	free(f);
}

struct disk *disk_create(uint64_t root)
{
	struct disk *d = calloc(1, sizeof(*d));
	d->root = root;
	file_of(d, root)->dir = true;
	return d;
}

void disk_destroy(struct disk *d)
{
	for (uint32_t i = 0; i < d->n_files; i++)
		file_free(d->files[i]);
	free(d);
}

static struct page *page_of(struct file *f, uint64_t index)
{
	if (index >= f->n_pages) {
		uint64_t n = MAX(index + 1, 2 * f->n_pages);
		f->pages = realloc(f->pages, n * sizeof(*f->pages));
		memset(f->pages + f->n_pages, 0, (n - f->n_pages) * sizeof(*f->pages));
		f->n_pages = n;
	}
	return &f->pages[index];
}

/* ---- writing */

static struct version *new_version(struct file *f, uint64_t index, uint32_t at)
{
	struct page *p = page_of(f, index);
	struct version *v = malloc(sizeof(*v));
	if (p->newest)
		memcpy(v->bytes, p->newest->bytes, PAGE);
	else
		memset(v->bytes, 0, PAGE);
	v->older = p->newest;
	v->begun = at;
	v->ended = NEVER;
	p->newest = v;
	p->settled = false;
	if (!p->listed) {
		GROW(f->unsettled, f->n_unsettled, f->max_unsettled);
		f->unsettled[f->n_unsettled++] = index;
		p->listed = true;
	}
	return v;
}

/* data NULL: zeros. */
static void put_bytes(struct file *f, uint64_t offset, uint64_t size, const uint8_t *data, uint32_t at, uint32_t ended)
{
	for (uint64_t done = 0; done < size;) {
		uint64_t in_page = (offset + done) % PAGE, n = MIN(PAGE - in_page, size - done);
		struct version *v = new_version(f, (offset + done) / PAGE, at);
		v->ended = ended;
		if (data)
			memcpy(v->bytes + in_page, data + done, n);
		else
			memset(v->bytes + in_page, 0, n);
		done += n;
	}
}

static uint64_t changed_size(uint64_t size, const struct size_change *c)
{
	return c->grows ? MAX(size, c->size) : c->size;
}

static void put_size(struct file *f, struct size_change c)
{
	/* What an earlier write makes it anyway may come to nothing before this one does. */
	if (c.grows && c.size <= f->durable_size && f->n_sizes == 0)
		return;
	GROW(f->sizes, f->n_sizes, f->max_sizes);
	f->sizes[f->n_sizes++] = c;
	f->size = changed_size(f->size, &c);
}

static void resize(struct file *f, uint64_t size, uint32_t at)
{
	uint64_t end = MIN(f->size, f->n_pages * PAGE);
	if (size < end)
		put_bytes(f, size, end - size, NULL, at, at);
	put_size(f, (struct size_change){size, at, at, false});
}

static void zero(struct file *f, const struct record *r, uint32_t at)
{
	uint64_t end = MIN(r->offset + r->size, f->n_pages * PAGE);
	if (r->offset < end)
		put_bytes(f, r->offset, end - r->offset, NULL, at, at);
}

/* ---- flushing */

/* Versions that had ended before are durable; the newest of them is what counts. */
static bool settle_page(struct page *p, uint32_t before)
{
	for (struct version *v = p->newest; v; v = v->older) {
		if (v->ended >= before)
			continue;
		free_versions(TAKE(v->older));
		v->ended = 0;
		p->settled = v == p->newest;
		break;
	}
	return p->settled;
}

static void settle_sizes(struct file *f, uint32_t before)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < f->n_sizes; i++) {
		if (f->sizes[i].ended < before)
			f->durable_size = changed_size(f->durable_size, &f->sizes[i]);
		else
			f->sizes[n++] = f->sizes[i];
	}
	f->n_sizes = n;
}

static void flush_file(struct file *f, uint32_t before)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < f->n_unsettled; i++) {
		struct page *p = &f->pages[f->unsettled[i]];
		p->listed = !settle_page(p, before);
		if (p->listed)
			f->unsettled[n++] = f->unsettled[i];
	}
	f->n_unsettled = n;
	settle_sizes(f, before);
}

/* ---- names */

static void names_set(struct names *names, const char *name, uint64_t ino)
{
	for (uint32_t i = 0; i < names->n; i++) {
		if (strcmp(names->list[i].name, name) != 0)
			continue;
		if (ino)
			names->list[i].ino = ino;
		else
			names->list[i] = names->list[--names->n];
		return;
	}
	if (!ino)
		return;
	names->list = realloc(names->list, (names->n + 1) * sizeof(*names->list));
	strcpy(names->list[names->n].name, name);
	names->list[names->n++].ino = ino;
}

static uint64_t names_get(const struct names *names, const char *name)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (strcmp(names->list[i].name, name) == 0)
			return names->list[i].ino;
	return 0;
}

static void names_apply(struct names *names, const struct name_change *c)
{
	uint64_t ino = c->to[0] ? names_get(names, c->name) : c->ino;
	names_set(names, c->name, c->to[0] ? 0 : ino);
	if (c->to[0] && ino)
		names_set(names, c->to, ino);
}

static void flush_names(struct file *f, uint32_t before)
{
	uint32_t n = 0;
	while (n < f->n_changes && f->changes[n].at < before)
		names_apply(&f->names, &f->changes[n++]);
	if (n)
		memmove(f->changes, f->changes + n, (f->n_changes - n) * sizeof(*f->changes));
	f->n_changes -= n;
}

static void change_name(struct disk *d, const struct record_log *log, const struct record *r, uint32_t at)
{
	struct file *f = file_of(d, r->file);
	const char *name = (const char *)record_data(log, r);
	f->dir = true;
	GROW(f->changes, f->n_changes, f->max_changes);
	struct name_change *c = &f->changes[f->n_changes++];
	*c = (struct name_change){.ino = r->other, .at = at};
	snprintf(c->name, sizeof(c->name), "%.*s", (int)r->name_size, name);
	if (r->kind == REC_RENAME)
		snprintf(c->to, sizeof(c->to), "%s", name + r->name_size + 1);
	if (r->kind == REC_NAME)
		file_of(d, r->other)->dir = r->flags & RECORD_DIR;
}

/* ---- records */

static void end_write(struct disk *d, const struct record *w, uint32_t begun, uint32_t at)
{
	struct file *f = file_of(d, w->file);
	for (uint64_t i = w->offset / PAGE; w->size && i <= (w->offset + w->size - 1) / PAGE; i++)
		for (struct version *v = page_of(f, i)->newest; v; v = v->older)
			if (v->begun == begun && v->ended == NEVER)
				v->ended = at;
	for (uint32_t i = 0; i < f->n_sizes; i++)
		if (f->sizes[i].begun == begun)
			f->sizes[i].ended = at;
}

/* A write that is durable at its end: its own pages, and the size that it has made. */
static void settle_write(struct disk *d, const struct record *w, uint32_t at)
{
	struct file *f = file_of(d, w->file);
	for (uint64_t i = w->offset / PAGE; w->size && i <= (w->offset + w->size - 1) / PAGE; i++)
		settle_page(page_of(f, i), at + 1);
	settle_sizes(f, at + 1);
}

static void end_call(struct disk *d, const struct record_log *log, const struct record *end, uint32_t at)
{
	const struct record *r = &log->records[end->ref];
	struct file *f = file_of(d, r->file);
	if (r->kind == REC_FLUSH && f->dir)
		flush_names(f, end->ref);
	else if (r->kind == REC_FLUSH)
		flush_file(f, end->ref);
	else
		end_write(d, r, end->ref, at);
	if (r->kind == REC_WRITE && (r->flags & RECORD_SYNC))
		settle_write(d, r, at);
}

void disk_apply(struct disk *d, const struct record_log *log, uint32_t i)
{
	const struct record *r = &log->records[i];
	struct file *f = r->kind == REC_END || r->kind == REC_MARK ? NULL : file_of(d, r->file);
	switch (r->kind) {
	case REC_END: end_call(d, log, r, i); break;
	case REC_WRITE:
		put_bytes(f, r->offset, r->size, record_data(log, r), i, NEVER);
		put_size(f, (struct size_change){r->offset + r->size, i, NEVER, true});
		break;
	case REC_ZERO: zero(f, r, i); break;
	case REC_SIZE: resize(f, r->size, i); break;
	case REC_GROW: put_size(f, (struct size_change){r->size, i, i, true}); break;
	case REC_NAME:
	case REC_UNNAME:
	case REC_RENAME: change_name(d, log, r, i); break;
	default: break;
	}
}

/* ---- what is left */

struct builder {
	struct disk *d, *fresh;
	enum disk_cut cut;
	uint64_t *random;
	uint32_t keep; /* of 16 pages or names, how many last */
};

static const uint8_t zeros[PAGE];

static uint32_t count_versions(const struct page *p)
{
	uint32_t n = 0;
	for (const struct version *v = p->newest; v; v = v->older)
		n++;
	return n;
}

static const struct version *version_at(const struct page *p, uint32_t i)
{
	const struct version *v = p->newest;
	while (i-- && v)
		v = v->older;
	return v;
}

/* The oldest state of a page: its durable bytes, or what was there before anything was written. */
static const uint8_t *durable_bytes(const struct page *p)
{
	const struct version *v = version_at(p, count_versions(p) - 1);
	return v->ended == 0 ? v->bytes : zeros;
}

static const uint8_t *random_bytes(const struct builder *b, const struct page *p)
{
	uint32_t n = count_versions(p);
	if (draw(b->random, 16) >= b->keep)
		return durable_bytes(p);
	return draw(b->random, 4) ? p->newest->bytes : version_at(p, draw(b->random, n))->bytes;
}

static void mix_sectors(const struct builder *b, uint8_t out[PAGE], const uint8_t *one, const uint8_t *other)
{
	uint64_t bits = draw_u64(b->random);
	for (uint32_t at = 0; at < PAGE; at += SECTOR, bits >>= 1)
		memcpy(out + at, (bits & 1 ? one : other) + at, SECTOR);
}

/* Of a write that had not ended everything is open; of others mostly whole pages. */
static const uint8_t *choose(const struct builder *b, const struct page *p, uint8_t room[PAGE])
{
	if (p->settled)
		return p->newest->bytes;
	if (b->cut == DISK_DURABLE)
		return durable_bytes(p);
	bool under_way = p->newest->ended == NEVER;
	if (b->cut == DISK_ALL && !under_way)
		return p->newest->bytes;
	if (b->cut == DISK_RANDOM && !under_way && draw(b->random, 8))
		return random_bytes(b, p);
	const uint8_t *older = p->newest->older ? p->newest->older->bytes : zeros;
	mix_sectors(b, room, p->newest->bytes, b->cut == DISK_ALL ? older : random_bytes(b, p));
	return room;
}

static uint64_t choose_size(const struct builder *b, const struct file *f)
{
	uint32_t n = 0;
	uint64_t size = f->durable_size;
	if (b->cut == DISK_ALL)
		return f->size;
	if (b->cut == DISK_RANDOM && f->n_sizes)
		n = draw(b->random, 16) < b->keep ? f->n_sizes : draw(b->random, f->n_sizes + 1);
	for (uint32_t i = 0; i < n; i++)
		size = changed_size(size, &f->sizes[i]);
	return size;
}

static void copy_names(struct names *to, const struct names *from)
{
	to->n = from->n;
	to->list = malloc((from->n + 1) * sizeof(*to->list));
	if (from->n)
		memcpy(to->list, from->list, from->n * sizeof(*to->list));
}

static void choose_names(const struct builder *b, const struct file *f, struct names *names)
{
	uint32_t n = b->cut == DISK_DURABLE ? 0 : f->n_changes;
	if (b->cut == DISK_RANDOM)
		n = draw(b->random, f->n_changes + 1);
	copy_names(names, &f->names);
	for (uint32_t i = 0; i < n; i++)
		names_apply(names, &f->changes[i]);
}

/* ---- writing it down */

static void raw_write(int fd, const uint8_t *bytes, uint64_t size, uint64_t offset)
{
	if (syscall(SYS_pwrite64, fd, bytes, size, offset) != (long)size)
		abort();
}

static void build_file(const struct builder *b, const struct file *f, int fd, struct file *fresh)
{
	uint64_t size = choose_size(b, f);
	uint8_t room[PAGE];
	for (uint64_t i = 0; i < f->n_pages && i * PAGE < size; i++) {
		if (!f->pages[i].newest)
			continue;
		const uint8_t *bytes = choose(b, &f->pages[i], room);
		uint64_t n = MIN(size - i * PAGE, (uint64_t)PAGE);
		raw_write(fd, bytes, n, i * PAGE);
		if (fresh)
			put_bytes(fresh, i * PAGE, n, bytes, 0, 0);
	}
	if (syscall(SYS_ftruncate, fd, size))
		abort();
	if (!fresh)
		return;
	put_size(fresh, (struct size_change){size, 0, 0, false});
	flush_file(fresh, 1);
}

static struct file *fresh_file(const struct builder *b, int fd, bool dir)
{
	struct stat st;
	if (!b->fresh)
		return NULL;
	if (fstat(fd, &st))
		abort();
	struct file *f = file_of(b->fresh, st.st_ino);
	f->dir = dir;
	return f;
}

static void build_dir(const struct builder *b, const struct file *f, int dir_fd, struct file *fresh);

static void build_entry(const struct builder *b, const struct entry *e, int dir_fd, struct file *fresh_dir)
{
	struct file *f = file_of(b->d, e->ino);
	if (f->dir && syscall(SYS_mkdirat, dir_fd, e->name, 0700))
		abort();
	int flags = f->dir ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT | O_EXCL;
	int fd = (int)syscall(SYS_openat, dir_fd, e->name, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	struct file *fresh = fresh_file(b, fd, f->dir);
	if (f->dir)
		build_dir(b, f, fd, fresh);
	else
		build_file(b, f, fd, fresh);
	if (fresh)
		names_set(&fresh_dir->names, e->name, fresh->ino);
	syscall(SYS_close, fd);
}

static void build_dir(const struct builder *b, const struct file *f, int dir_fd, struct file *fresh)
{
	struct names names;
	choose_names(b, f, &names);
	for (uint32_t i = 0; i < names.n; i++)
		build_entry(b, &names.list[i], dir_fd, fresh);
	free(names.list);
}

void disk_build(struct disk *d, enum disk_cut cut, uint64_t *random, const char *path, struct disk **fresh)
{
	struct builder b = {.d = d, .cut = cut, .random = random, .keep = 1 + draw(random, 15)};
	struct stat st;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		abort();
	if (fresh)
		b.fresh = *fresh = disk_create(st.st_ino);
	build_dir(&b, file_of(d, d->root), fd, fresh ? file_of(b.fresh, st.st_ino) : NULL);
	syscall(SYS_close, fd);
}
