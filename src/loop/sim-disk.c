/*
 * The simulated disk. Each file has two contents: what reads see, and what is durable, with the list of
 * changes between them. A sync applies the changes that were made before it began. A power cut applies, of each
 * write, a random choice of its sectors, and of the directory's changes a random first part; so a
 * multi-sector write can be torn, later writes can survive earlier ones, and a file that was
 * renamed into place without a sync may be there and empty.
 *
 * The namespace is flat: a path is a name, directories need not exist, dirfd is ignored.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

#define MAX_FILE_SIZE (1ULL << 32)
#define CHANCE_OF 1000000
#define MILLE 1000

struct content {
	uint8_t *data;
	uint64_t size;
	uint64_t room;
};

/* A change that is not durable yet: data to write, or with none a new size. */
struct change {
	struct list link;
	uint64_t seq;
	uint64_t offset;
	size_t size;
	uint8_t data[];
};

struct sim_file {
	struct list link; /* all files */
	uint32_t refs;    /* opens, and names in either namespace or in its pending changes */
	struct content now, durable;
	struct list changes;
	uint64_t id;
	char *path; /* when created, for the record */
};

struct name {
	struct list link;
	struct sim_file *file;
	char path[];
};

/* A change of the directory: path names file from now on, or nothing. */
struct dir_change {
	struct list link;
	uint64_t seq;
	struct sim_file *file;
	char path[];
};

static struct {
	struct list files;
	struct list now, durable; /* struct name */
	struct list dir_changes;
	struct sim_disk_faults faults;
	void (*record)(void *arg, const struct sim_disk_event *ev);
	void *record_arg;
	uint64_t used, seq, next_id;
	bool off;
} disk = {
	.files = {&disk.files, &disk.files},
	.now = {&disk.now, &disk.now},
	.durable = {&disk.durable, &disk.durable},
	.dir_changes = {&disk.dir_changes, &disk.dir_changes},
};

static void record(enum sim_disk_op op, const char *path, const char *to, uint64_t offset, size_t size,
                   const void *data)
{
	struct sim_disk_event ev = {op, path, to, offset, data, size};

	sim_note(SIM_DISK, (uint64_t)op << 32 ^ offset, size);
	if (disk.record)
		disk.record(disk.record_arg, &ev);
}

static void delay(void)
{
	const struct sim_disk_faults *f = &disk.faults;

	fiber_sleep_ns(f->delay_max_ns ? sim_between(f->delay_min_ns, f->delay_max_ns)
	                               : sim_between(20 * NS_PER_US, 200 * NS_PER_US));
}

/* ---- contents ----------------------------------------------------------------------------------- */

static bool resize(struct content *c, uint64_t size)
{
	uint64_t room = MAX(c->room, (uint64_t)4096);
	uint8_t *data;

	while (room < size)
		room *= 2;
	if (room != c->room) {
		data = realloc(c->data, room);
		if (!data)
			return false;
		c->data = data;
		c->room = room;
	}
	if (size > c->size)
		memset(c->data + c->size, 0, size - c->size);
	c->size = size;
	return true;
}

static bool put_bytes(struct content *c, uint64_t offset, const void *data, size_t size)
{
	if (offset + size > c->size && !resize(c, offset + size))
		return false;
	if (size > 0)
		memcpy(c->data + offset, data, size);
	return true;
}

static void free_changes(struct list *changes)
{
	struct list *e;

	while ((e = list_pop_front(changes)))
		free(list_entry(e, struct change, link));
}

static void unref(struct sim_file *f)
{
	if (--f->refs > 0)
		return;
	disk.used -= f->now.size;
	free_changes(&f->changes);
	list_del(&f->link);
	free(f->now.data);
	free(f->durable.data);
	free(f->path);
	free(f);
}

static struct sim_file *create_file(const char *path)
{
	struct sim_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->path = strdup(path);
	if (!f->path) {
		free(f);
		return NULL;
	}
	list_init(&f->changes);
	list_push_back(&disk.files, &f->link);
	f->id = ++disk.next_id;
	f->refs = 1;
	return f;
}

static bool add_change(struct sim_file *f, uint64_t offset, const void *data, size_t size)
{
	struct change *c = malloc(sizeof(*c) + size);

	if (!c)
		return false;
	c->seq = ++disk.seq;
	c->offset = offset;
	c->size = size;
	if (size > 0)
		memcpy(c->data, data, size);
	list_push_back(&f->changes, &c->link);
	return true;
}

static void apply(struct content *to, const struct change *c)
{
	if (c->size == 0)
		resize(to, c->offset);
	else
		put_bytes(to, c->offset, c->data, c->size);
}

static void commit_file(struct sim_file *f, uint64_t up_to)
{
	while (!list_empty(&f->changes)) {
		struct change *c = list_entry(f->changes.next, struct change, link);
		if (c->seq > up_to)
			break;
		apply(&f->durable, c);
		list_del(&c->link);
		free(c);
	}
}

/* Some sectors of the write reach the disk; a new size does or does not. */
static void tear(struct content *to, const struct change *c, uint32_t mille)
{
	uint64_t at = c->offset, end = c->offset + c->size;

	if (c->size == 0 && sim_chance(mille, MILLE))
		resize(to, c->offset);
	while (at < end) {
		uint64_t next = MIN(ALIGN_DOWN(at, (uint64_t)SIM_SECTOR_SIZE) + SIM_SECTOR_SIZE, end);
		if (sim_chance(mille, MILLE))
			put_bytes(to, at, c->data + (at - c->offset), next - at);
		at = next;
	}
}

/* ---- names -------------------------------------------------------------------------------------- */

static struct name *find_name(struct list *names, const char *path)
{
	struct name *n;

	LIST_FOREACH(n, names, link)
		if (strcmp(n->path, path) == 0)
			return n;
	return NULL;
}

static void drop_name(struct name *n)
{
	if (!n)
		return;
	list_del(&n->link);
	unref(n->file);
	free(n);
}

/* Makes path name file, or with NULL nothing. */
static bool set_name(struct list *names, const char *path, struct sim_file *file)
{
	struct name *n = NULL;

	if (file) {
		n = malloc(sizeof(*n) + strlen(path) + 1);
		if (!n)
			return false;
		strcpy(n->path, path);
		n->file = file;
		file->refs++;
	}
	drop_name(find_name(names, path));
	if (n)
		list_push_back(names, &n->link);
	return true;
}

static bool change_name(const char *path, struct sim_file *file)
{
	struct dir_change *c = malloc(sizeof(*c) + strlen(path) + 1);

	if (!c || !set_name(&disk.now, path, file)) {
		free(c);
		return false;
	}
	strcpy(c->path, path);
	c->seq = ++disk.seq;
	c->file = file;
	if (file)
		file->refs++;
	list_push_back(&disk.dir_changes, &c->link);
	return true;
}

static void commit_names(uint64_t up_to)
{
	while (!list_empty(&disk.dir_changes)) {
		struct dir_change *c = list_entry(disk.dir_changes.next, struct dir_change, link);
		if (c->seq > up_to)
			break;
		set_name(&disk.durable, c->path, c->file);
		list_del(&c->link);
		if (c->file)
			unref(c->file);
		free(c);
	}
}

/* ---- operations --------------------------------------------------------------------------------- */

static int fault(uint32_t chance)
{
	return disk.off || sim_chance(chance, CHANCE_OF) ? ERR_IO : 0;
}

static int truncate_file(struct sim_file *f, uint64_t size)
{
	if (size > MAX_FILE_SIZE)
		return ERR_FBIG;
	if (disk.faults.capacity && size > f->now.size && disk.used + size - f->now.size > disk.faults.capacity)
		return ERR_NOSPC;
	if (!add_change(f, size, NULL, 0))
		return ERR_NOMEM;
	disk.used += size - f->now.size;
	resize(&f->now, size);
	record(SIM_DISK_TRUNCATE, f->path, NULL, size, 0, NULL);
	return 0;
}

static int create_named(const char *path, struct sim_file **out)
{
	struct sim_file *f = create_file(path);

	if (!f)
		return ERR_NOMEM;
	if (!change_name(path, f)) {
		unref(f);
		return ERR_NOMEM;
	}
	record(SIM_DISK_CREATE, path, NULL, 0, 0, NULL);
	*out = f;
	return 0;
}

static int sim_open(struct file *file, int dirfd, const char *path, int flags, mode_t mode)
{
	struct name *n;
	struct sim_file *f;
	int err;

	delay();
	n = find_name(&disk.now, path);
	err = fault(0);
	if (err)
		return err;
	if (!n && !(flags & O_CREAT))
		return ERR_NOENT;
	if (n && (flags & O_CREAT) && (flags & O_EXCL))
		return ERR_EXIST;
	if (n) {
		f = n->file;
		f->refs++;
		err = flags & O_TRUNC ? truncate_file(f, 0) : 0;
	} else {
		err = create_named(path, &f);
	}
	file->sim = err ? NULL : f;
	return err;
}

static ssize_t sim_preadv(struct file *file, const struct iovec *iov, int n_iov, uint64_t offset)
{
	struct sim_file *f = file->sim;
	ssize_t done = 0;
	int err;

	delay();
	err = fault(disk.faults.read_error);
	if (err)
		return err;
	for (int i = 0; i < n_iov && offset < f->now.size; i++) {
		size_t n = MIN(iov[i].iov_len, f->now.size - offset);
		memcpy(iov[i].iov_base, f->now.data + offset, n);
		offset += n;
		done += (ssize_t)n;
	}
	return done;
}

static int write_piece(struct sim_file *f, uint64_t offset, const struct iovec *iov)
{
	uint64_t end = offset + iov->iov_len, more = end > f->now.size ? end - f->now.size : 0;

	if (end > MAX_FILE_SIZE)
		return ERR_FBIG;
	if (disk.faults.capacity && disk.used + more > disk.faults.capacity)
		return ERR_NOSPC;
	if (!add_change(f, offset, iov->iov_base, iov->iov_len))
		return ERR_NOMEM;
	if (!put_bytes(&f->now, offset, iov->iov_base, iov->iov_len))
		return ERR_NOMEM;
	disk.used += more;
	record(SIM_DISK_WRITE, f->path, NULL, offset, iov->iov_len, iov->iov_base);
	return 0;
}

/* The write is in the cache at once and answered later: a power cut in between finds it there. */
static ssize_t sim_pwritev(struct file *file, const struct iovec *iov, int n_iov, uint64_t offset)
{
	ssize_t done = 0;
	int err = fault(disk.faults.write_error);

	for (int i = 0; i < n_iov && !err; i++) {
		if (iov[i].iov_len == 0)
			continue;
		err = write_piece(file->sim, offset + (uint64_t)done, &iov[i]);
		if (!err)
			done += (ssize_t)iov[i].iov_len;
	}
	delay();
	if (disk.off)
		return ERR_IO;
	return done > 0 || !err ? done : err;
}

static int sim_sync(struct file *file, bool data_only)
{
	struct sim_file *f = file->sim;
	uint64_t up_to = disk.seq;
	int err;

	delay();
	err = fault(disk.faults.sync_error);
	if (err)
		return err;
	commit_file(f, up_to);
	record(SIM_DISK_SYNC, f->path, NULL, 0, 0, NULL);
	return 0;
}

static ssize_t sim_pwritev_durable(struct file *file, const struct iovec *iov, int n_iov, uint64_t offset)
{
	ssize_t n = sim_pwritev(file, iov, n_iov, offset);
	int err = n < 0 ? 0 : sim_sync(file, true);

	return err ? err : n;
}

static int sim_truncate(struct file *file, uint64_t size)
{
	int err;

	delay();
	err = fault(disk.faults.write_error);
	return err ? err : truncate_file(file->sim, size);
}

static int sim_size(struct file *file, uint64_t *size)
{
	struct sim_file *f = file->sim;

	*size = f->now.size;
	return fault(0);
}

/* Only growing is simulated: mode 0, as for reserving a log. */
static int sim_allocate(struct file *file, int mode, uint64_t offset, uint64_t size)
{
	struct sim_file *f = file->sim;
	int err;

	delay();
	err = mode != 0 ? ERR_NOTSUPP : fault(disk.faults.write_error);
	return err || offset + size <= f->now.size ? err : truncate_file(f, offset + size);
}

static int sim_rename(int dirfd, const char *from, const char *to)
{
	struct name *n;
	struct sim_file *f;
	int err;

	delay();
	n = find_name(&disk.now, from);
	err = fault(disk.faults.write_error);
	if (err || !n)
		return err ? err : ERR_NOENT;
	f = n->file;
	if (!change_name(to, f) || !change_name(from, NULL))
		return ERR_NOMEM;
	record(SIM_DISK_RENAME, from, to, 0, 0, NULL);
	return 0;
}

static int sim_unlink(int dirfd, const char *path)
{
	int err;

	delay();
	err = fault(disk.faults.write_error);
	if (err || !find_name(&disk.now, path))
		return err ? err : ERR_NOENT;
	if (!change_name(path, NULL))
		return ERR_NOMEM;
	record(SIM_DISK_UNLINK, path, NULL, 0, 0, NULL);
	return 0;
}

static int sim_sync_dir(int dirfd)
{
	uint64_t up_to = disk.seq;
	int err;

	delay();
	err = fault(disk.faults.sync_error);
	if (err)
		return err;
	commit_names(up_to);
	record(SIM_DISK_SYNC_DIR, NULL, NULL, 0, 0, NULL);
	return 0;
}

static void sim_close(struct file *file)
{
	unref(file->sim);
}

/* ---- power -------------------------------------------------------------------------------------- */

static void cut_file(struct sim_file *f, uint32_t mille)
{
	struct change *c;

	LIST_FOREACH(c, &f->changes, link)
		tear(&f->durable, c, mille);
	free_changes(&f->changes);
	disk.used -= f->now.size;
	f->now.size = 0;
	put_bytes(&f->now, 0, f->durable.data, f->durable.size);
	disk.used += f->now.size;
}

static void cut_names(void)
{
	uint64_t first = list_empty(&disk.dir_changes)
	                         ? disk.seq
	                         : list_entry(disk.dir_changes.next, struct dir_change, link)->seq;
	struct name *n;

	commit_names(sim_between(first - 1, disk.seq));
	while (!list_empty(&disk.dir_changes)) {
		struct dir_change *c = list_entry(list_pop_front(&disk.dir_changes), struct dir_change, link);
		if (c->file)
			unref(c->file);
		free(c);
	}
	while (!list_empty(&disk.now))
		drop_name(list_entry(disk.now.next, struct name, link));
	LIST_FOREACH(n, &disk.durable, link)
		set_name(&disk.now, n->path, n->file);
}

/* Each cut has its own luck, so that all, nothing and everything in between happen often. */
void sim_disk_power_cut(void)
{
	uint32_t mille = (uint32_t)sim_between(0, MILLE);
	struct sim_file *f;

	record(SIM_DISK_POWER_CUT, NULL, NULL, 0, 0, NULL);
	cut_names();
	LIST_FOREACH(f, &disk.files, link)
		cut_file(f, mille);
	disk.off = true;
}

void sim_disk_power_on(void)
{
	disk.off = false;
	memset(&disk.faults, 0, sizeof(disk.faults));
}

void sim_disk_reset(void)
{
	commit_names(disk.seq);
	while (!list_empty(&disk.now))
		drop_name(list_entry(disk.now.next, struct name, link));
	while (!list_empty(&disk.durable))
		drop_name(list_entry(disk.durable.next, struct name, link));
	disk.seq = disk.next_id = 0;
}

void sim_disk_set_faults(const struct sim_disk_faults *faults)
{
	disk.faults = *faults;
}

void sim_disk_record(void (*fn)(void *arg, const struct sim_disk_event *ev), void *arg)
{
	disk.record = fn;
	disk.record_arg = arg;
}

int sim_disk_load(const char *path, void **data, size_t *size)
{
	struct name *n = find_name(&disk.durable, path);

	if (!n)
		return ERR_NOENT;
	*size = n->file->durable.size;
	*data = malloc(MAX(*size, (size_t)1));
	if (!*data)
		return ERR_NOMEM;
	if (*size > 0)
		memcpy(*data, n->file->durable.data, *size);
	return 0;
}

int sim_disk_store(const char *path, const void *data, size_t size)
{
	struct sim_file *f = create_file(path);
	bool ok = f && put_bytes(&f->now, 0, data, size) && put_bytes(&f->durable, 0, data, size) &&
	          set_name(&disk.now, path, f) && set_name(&disk.durable, path, f);

	if (f) {
		disk.used += f->now.size;
		unref(f);
	}
	return ok ? 0 : ERR_NOMEM;
}

const struct file_ops file_sim = {
	.open = sim_open,
	.preadv = sim_preadv,
	.pwritev = sim_pwritev,
	.pwritev_durable = sim_pwritev_durable,
	.sync = sim_sync,
	.truncate = sim_truncate,
	.size = sim_size,
	.allocate = sim_allocate,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.sync_dir = sim_sync_dir,
	.close = sim_close,
};
