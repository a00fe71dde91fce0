/*
 * Making, locking and reading a store. A store exists once its superblock does, which is written last, whole, and
 * under another name first; what an interrupted creation leaves is made again over it.
 */
#include "backends/cairn/cairn-super.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "backends/cairn/cairn-journal.h"
#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

#define SUPER_NAME "superblock"
#define SUPER_NEW "superblock.new"
#define LOCK_NAME "lock"
#define MAGIC "CAIRNFS1"
#define LABEL_SIZE 64u
#define JOURNAL_SHARE 16u /* of the capacity */
#define JOURNAL_SIZE_SMALL (2ULL << 20)
#define SUM_XXH3 1
#define BYTE_ORDER_MARK 0x01020304u

static int fail(char **why, int err, const char *path, const char *what)
{
	if (asprintf(why, "%s: %s", path, what) < 0)
		*why = NULL;
	return err;
}

/* ---- the superblock */

void cairn_super_encode(const struct cairn_super *s, uint8_t bytes[CAIRN_SUPER_SIZE])
{
	char label[LABEL_SIZE] = "";
	struct cursor c;
	memset(bytes, 0, CAIRN_SUPER_SIZE);
	memcpy(label, s->label, strlen(s->label));
	cursor_init(&c, bytes, CAIRN_SUPER_SIZE);
	cursor_put_bytes(&c, MAGIC, 8);
	cursor_put_le32(&c, s->format);
	cursor_put_le32(&c, CAIRN_SUPER_SIZE);
	cursor_put_le64(&c, s->compat);
	cursor_put_le64(&c, s->ro_compat);
	cursor_put_le64(&c, s->incompat);
	cursor_put_bytes(&c, s->uuid, sizeof(s->uuid));
	cursor_put_bytes(&c, label, sizeof(label));
	cursor_put_le64(&c, s->created_ns);
	cursor_put_le32(&c, CAIRN_BLOCK_SIZE);
	cursor_put_le32(&c, CAIRN_SEGMENT_BLOCKS);
	cursor_put_le64(&c, s->capacity);
	cursor_put_le64(&c, s->meta_size);
	cursor_put_le32(&c, CAIRN_INLINE_MAX);
	cursor_put_le32(&c, CAIRN_EXTENT_MAX);
	cursor_put_u8(&c, SUM_XXH3);
	cursor_put_u8(&c, SUM_XXH3);
	cursor_put_le16(&c, 0);
	cursor_put_le32(&c, BYTE_ORDER_MARK);
	cursor_init(&c, bytes + CAIRN_SUPER_SIZE - 8, 8);
	cursor_put_le64(&c, XXH3_64bits(bytes, CAIRN_SUPER_SIZE - 8));
}

/* The constants of this format: another value is another format. */
static bool constants_match(struct cursor *c)
{
	return cursor_le32(c) == CAIRN_BLOCK_SIZE && cursor_le32(c) == CAIRN_SEGMENT_BLOCKS;
}

bool cairn_super_is_whole(const uint8_t bytes[CAIRN_SUPER_SIZE])
{
	struct cursor sum;
	cursor_init(&sum, (void *)(bytes + CAIRN_SUPER_SIZE - 8), 8);
	return memcmp(bytes, MAGIC, 8) == 0 && cursor_le64(&sum) == XXH3_64bits(bytes, CAIRN_SUPER_SIZE - 8);
}

const char *cairn_super_decode(const uint8_t bytes[CAIRN_SUPER_SIZE], struct cairn_super *s)
{
	struct cursor c, sum;
	cursor_init(&c, (void *)bytes, CAIRN_SUPER_SIZE);
	cursor_init(&sum, (void *)(bytes + CAIRN_SUPER_SIZE - 8), 8);
	if (memcmp(cursor_bytes(&c, 8), MAGIC, 8) != 0)
		return "is not a cairn store: its superblock begins otherwise";
	if (cursor_le64(&sum) != XXH3_64bits(bytes, CAIRN_SUPER_SIZE - 8))
		return "the superblock is damaged: its checksum does not match";
	s->format = cursor_le32(&c);
	if (s->format != CAIRN_FORMAT || cursor_le32(&c) != CAIRN_SUPER_SIZE)
		return "has a format that this version does not know";
	s->compat = cursor_le64(&c);
	s->ro_compat = cursor_le64(&c);
	s->incompat = cursor_le64(&c);
	memcpy(s->uuid, cursor_bytes(&c, sizeof(s->uuid)), sizeof(s->uuid));
	memcpy(s->label, cursor_bytes(&c, LABEL_SIZE), LABEL_SIZE);
	s->label[LABEL_SIZE] = '\0';
	s->created_ns = cursor_le64(&c);
	if (!constants_match(&c))
		return "has block or segment sizes that this version does not know";
	s->capacity = cursor_le64(&c);
	s->meta_size = cursor_le64(&c);
	if (s->meta_size < CAIRN_META_SIZE_MIN)
		return "the superblock has no room for tables";
	return NULL;
}

int cairn_super_read(int dir_fd, struct cairn_super *super, char **why)
{
	uint8_t bytes[CAIRN_SUPER_SIZE] = {0};
	struct iovec iov = {bytes, sizeof(bytes)};
	struct file *f;
	int err = file_open(&f, dir_fd, SUPER_NAME, O_RDONLY | O_CLOEXEC, 0);
	if (err)
		return fail(why, err, SUPER_NAME, err == ERR_NOENT ? "there is no store here; create=yes makes one" : err_text(err));
	ssize_t n = file_preadv(f, &iov, 1, 0);
	file_close(f);
	if (n != (ssize_t)sizeof(bytes))
		return fail(why, n < 0 ? (int)n : ERR_IO, SUPER_NAME, n < 0 ? err_text((int)n) : "is cut short");
	const char *what = cairn_super_decode(bytes, super);
	return what ? fail(why, ERR_INVAL, SUPER_NAME, what) : 0;
}

int cairn_super_write(int dir_fd, const struct cairn_super *super)
{
	uint8_t bytes[CAIRN_SUPER_SIZE];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct file *f;
	cairn_super_encode(super, bytes);
	int err = file_open(&f, dir_fd, SUPER_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (err)
		return err;
	ssize_t n = file_pwritev(f, &iov, 1, 0);
	err = n == (ssize_t)sizeof(bytes) ? file_sync(f, false) : n < 0 ? (int)n : ERR_NOSPC;
	file_close(f);
	if (!err)
		err = file_rename(dir_fd, SUPER_NEW, SUPER_NAME);
	return err ? err : file_sync_dir(dir_fd);
}

/* ---- the directory */

struct dir_job {
	const char *path;
	int fd;
	int lock_fd;
	uint64_t host_total; /* bytes */
	int parent_fd; /* of the directory above a store that is made; -1: it may not be opened */
	char holder[32]; /* who has the lock */
	const char *what;
};

/* Names that may be there before a superblock: those of an interrupted creation. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {".", "..", LOCK_NAME, SUPER_NEW, JOURNAL_NAME, "meta", "data", "lost+found"};
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	return false;
}

static int check_empty(struct dir_job *job)
{
	DIR *dir = opendir(job->path);
	struct dirent *e;
	int err = 0;
	if (!dir)
		return err_from_errno(errno);
	while (!err && (e = readdir(dir)))
		if (!is_ours(e->d_name))
			err = strcmp(e->d_name, SUPER_NAME) == 0 ? ERR_EXIST : ERR_NOTEMPTY;
	closedir(dir);
	if (err)
		job->what = err == ERR_EXIST ? "is a cairn store already" : "is not empty";
	return err;
}

static int open_dir(struct dir_job *job)
{
	job->what = NULL;
	job->fd = open(job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return job->fd < 0 ? err_from_errno(errno) : 0;
}

/* The holder's process id is in the lock file, for people. */
static int take_lock(struct dir_job *job, int flags)
{
	job->lock_fd = openat(job->fd, LOCK_NAME, O_RDWR | O_CLOEXEC | flags, 0600);
	if (job->lock_fd < 0)
		return err_from_errno(errno);
	if (flock(job->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? ERR_BUSY : err_from_errno(errno);
}

static int lock_job(void *arg)
{
	struct dir_job *job = arg;
	int err = open_dir(job);
	return err ? err : take_lock(job, 0);
}

/* A directory for the store's own use: one that has something in it is somebody's. */
static int make_own_dir(struct dir_job *job, const char *name)
{
	if (unlinkat(job->fd, name, AT_REMOVEDIR) && errno != ENOENT) {
		job->what = "has a directory 'meta' or 'data' that is not empty";
		return err_from_errno(errno);
	}
	return mkdirat(job->fd, name, 0700) ? err_from_errno(errno) : 0;
}

static int measure_host(struct dir_job *job)
{
	struct statvfs st;
	if (fstatvfs(job->fd, &st))
		return err_from_errno(errno);
	job->host_total = (uint64_t)st.f_blocks * st.f_frsize;
	return 0;
}

static int create_job(void *arg)
{
	struct dir_job *job = arg;
	job->what = NULL;
	if (mkdir(job->path, 0700) && errno != EEXIST)
		return err_from_errno(errno);
	int err = check_empty(job);
	if (err)
		return err;
	err = open_dir(job);
	if (!err)
		err = measure_host(job);
	if (!err)
		err = take_lock(job, O_CREAT);
	if (!err)
		job->parent_fd = openat(job->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!err)
		err = make_own_dir(job, "meta");
	return err ? err : make_own_dir(job, "data");
}

static void dir_job_end(struct dir_job *job)
{
	if (job->parent_fd >= 0)
		close(TAKE_FD(job->parent_fd));
	if (job->lock_fd >= 0)
		close(TAKE_FD(job->lock_fd));
	if (job->fd >= 0)
		close(TAKE_FD(job->fd));
}

static void read_holder(struct dir_job *job)
{
	struct iovec iov = {job->holder, sizeof(job->holder) - 1};
	struct file *f;
	if (file_open(&f, job->fd, LOCK_NAME, O_RDONLY | O_CLOEXEC, 0))
		return;
	if (file_preadv(f, &iov, 1, 0) < 0)
		job->holder[0] = '\0';
	file_close(f);
	str_trim(job->holder);
}

static int explain(struct dir_job *job, int err, char **why)
{
	char text[128];
	if (err != ERR_BUSY)
		return fail(why, err, job->path, job->what ? job->what : err_text(err));
	read_holder(job);
	snprintf(text, sizeof(text), "the store is in use by another process%s%s; only one at a time may open it",
	         job->holder[0] ? ", " : "", job->holder);
	return fail(why, err, job->path, text);
}

static void write_holder(int dir_fd)
{
	char text[32];
	struct file *f;
	snprintf(text, sizeof(text), "process %ld        \n", (long)getpid());
	struct iovec iov = {text, strlen(text)};
	if (file_open(&f, dir_fd, LOCK_NAME, O_WRONLY | O_CLOEXEC, 0))
		return;
	/* For people only: whether it could be written does not matter. */
	(void)!file_pwritev(f, &iov, 1, 0);
	file_close(f);
}

int cairn_store_lock(const char *path, int *dir_fd, int *lock_fd, char **why)
{
	struct dir_job job = {.path = path, .fd = -1, .lock_fd = -1, .parent_fd = -1};
	int err = loop_block(lock_job, &job);
	if (err) {
		err = explain(&job, err, why);
		dir_job_end(&job);
		return err;
	}
	write_holder(job.fd);
	*dir_fd = job.fd;
	*lock_fd = job.lock_fd;
	return 0;
}

/* A small store, or one on a small host, does without a journal that is larger than itself. */
static uint64_t journal_size(const struct dir_job *job, const struct cairn_store_options *opt)
{
	uint64_t most = opt->capacity ? opt->capacity / JOURNAL_SHARE : JOURNAL_SIZE_DEFAULT;
	if (opt->journal_size)
		return opt->journal_size;
	most = MIN(most, JOURNAL_SIZE_DEFAULT);
	most = MIN(most, job->host_total / JOURNAL_SHARE);
	return MAX(most, JOURNAL_SIZE_SMALL);
}

/* The directory's own name must last too, where one may see to it. */
static int write_store(const struct dir_job *job, const struct cairn_super *super, uint64_t journal)
{
	int err = journal_create(job->fd, journal);
	if (!err)
		err = cairn_super_write(job->fd, super);
	return err || job->parent_fd < 0 ? err : file_sync_dir(job->parent_fd);
}

int cairn_store_create(const char *path, const struct cairn_store_options *opt, char **why)
{
	struct dir_job job = {.path = path, .fd = -1, .lock_fd = -1, .parent_fd = -1};
	struct cairn_super super = {
		.format = CAIRN_FORMAT,
		.incompat = CAIRN_INCOMPAT_MADE,
		.created_ns = loop_wall_ns(loop_current()),
		.capacity = opt->capacity,
		.meta_size = opt->meta_size ? opt->meta_size : CAIRN_META_SIZE_DEFAULT,
	};
	if (opt->label && str_copy(super.label, sizeof(super.label), opt->label))
		return fail(why, ERR_NAMETOOLONG, path, "a label has at most 64 bytes");
	if (super.meta_size < CAIRN_META_SIZE_MIN)
		return fail(why, ERR_RANGE, path, "tables need at least 4 MiB");
	if (opt->journal_size && (opt->journal_size < JOURNAL_SIZE_MIN || opt->journal_size > JOURNAL_SIZE_MAX))
		return fail(why, ERR_RANGE, path, "a journal has 128 KiB to 4 GiB");
	loop_random(super.uuid, sizeof(super.uuid));
	int err = loop_block(create_job, &job);
	if (err)
		err = explain(&job, err, why);
	else if ((err = write_store(&job, &super, journal_size(&job, opt))))
		fail(why, err, path, err_text(err));
	dir_job_end(&job);
	return err;
}
