/*
 * Segment files, which hold the blocks of the store: opened when they are needed, read and written past the host's page
 * cache or through it, and synced.
 */
#include <fcntl.h>
#include <stdio.h>

#include "backends/cairn/cairn.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define DIRECT_MIN (256u << 10)    /* bytes of a write that is worth waiting for the disk */
#define RESERVE_MAX (256ULL << 20) /* bytes of a file that are reserved at once */
#define RESERVE_SHARE 32           /* at most that part of the host's free bytes */

/* ---- opening */

static int open_file(struct cairn *fs, const char *name, int flags, struct file **f)
{
	int mode = (fs->mount->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | flags;
	return file_open(f, fs->data_fd, name, mode, 0600);
}

/* The host's own cache would hold everything twice. Where it knows no other way it does. */
static int open_direct(struct cairn *fs, const char *name, int flags, struct file **f)
{
	int err = open_file(fs, name, flags | O_DIRECT, f);
	return err == ERR_INVAL ? open_file(fs, name, flags, f) : err;
}

static int open_or_create(struct cairn *fs, const char *name, struct file **f)
{
	int err = open_direct(fs, name, 0, f);
	if (err != ERR_NOENT || fs->mount->read_only)
		return err;
	return open_direct(fs, name, O_CREAT, f);
}

static int open_segment(struct cairn *fs, uint32_t index, struct file **f)
{
	char name[16];
	snprintf(name, sizeof(name), "%08x", index);
	int err = open_or_create(fs, name, f);
	if (err || fs->mount->read_only)
		return err;
	struct cairn_segment *s = &fs->segments[index];
	err = file_size(*f, &s->reach);
	/* Its name may not be durable, also if somebody else has made it and came no further. */
	if (!err && s->reach == 0)
		err = file_sync_dir(fs->data_fd);
	if (!err)
		err = open_file(fs, name, 0, &s->cached);
	if (err)
		file_close(*f);
	return err;
}

static int segment_of(struct cairn *fs, uint64_t place, struct cairn_segment **segment)
{
	uint32_t index = (uint32_t)(place / CAIRN_SEGMENT_BLOCKS);
	struct file *f;
	int err = 0;
	if (index >= fs->n_segments_max)
		return ERR_IO;
	struct cairn_segment *s = *segment = &fs->segments[index];
	if (__atomic_load_n(&s->file, __ATOMIC_ACQUIRE))
		return 0;
	fiber_mutex_lock(&fs->space_lock);
	if (!s->file && !(err = open_segment(fs, index, &f)))
		__atomic_store_n(&s->file, f, __ATOMIC_RELEASE);
	fiber_mutex_unlock(&fs->space_lock);
	if (err)
		log_error("segment %08x: %s", index, err_text(err));
	return err;
}

/* ---- reading */

/* Drops the first n bytes of the vector. */
static void advance(struct iovec **iov, int *n_iov, size_t n)
{
	while (*n_iov && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		++*iov;
		--*n_iov;
	}
	if (*n_iov) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

int cairn_blocks_read(struct cairn *fs, uint64_t place, struct iovec *iov, int n_iov)
{
	struct cairn_segment *s;
	uint64_t at = place % CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE;
	int err = segment_of(fs->base, place, &s);
	while (!err && n_iov) {
		ssize_t n = file_preadv(s->file, iov, n_iov, at);
		if (n <= 0)
			return n ? (int)n : ERR_IO;
		at += (uint64_t)n;
		advance(&iov, &n_iov, (size_t)n);
	}
	return err;
}

/* ---- writing */

/*
 * The host waits for each write that makes a file longer, and does them one by one. So it is given the length ahead, in few and
 * large steps, for they wait for each other too. A host that has little room finds places when they are written.
 */
static void reserve(struct cairn *fs, struct cairn_segment *s, uint64_t end)
{
	struct meta_stats host;
	if (end <= __atomic_load_n(&s->reach, __ATOMIC_RELAXED))
		return;
	fiber_mutex_lock(&fs->space_lock);
	meta_stats(fs->meta, &host);
	uint64_t step = MIN(3 * end, RESERVE_MAX), to = end + MIN(step, host.host_free / RESERVE_SHARE);
	to = MIN(ALIGN_DOWN(to, (uint64_t)DIRECT_MIN), (uint64_t)CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE);
	if (to > s->reach && to > end && file_allocate(s->file, 0, s->reach, to - s->reach) == 0)
		__atomic_store_n(&s->reach, to, __ATOMIC_RELAXED);
	fiber_mutex_unlock(&fs->space_lock);
}

static size_t iov_size(const struct iovec *iov, int n_iov)
{
	size_t size = 0;
	for (int i = 0; i < n_iov; i++)
		size += iov[i].iov_len;
	return size;
}

static int write_all(struct file *f, uint64_t at, struct iovec *iov, int n_iov, bool durable)
{
	while (n_iov) {
		ssize_t n = durable ? file_pwritev_durable(f, iov, n_iov, at) : file_pwritev(f, iov, n_iov, at);
		if (n <= 0)
			return n ? (int)n : ERR_NOSPC;
		at += (uint64_t)n;
		advance(&iov, &n_iov, (size_t)n);
	}
	return 0;
}

/*
 * Who is alone makes its bytes durable in the same request. Several at once would wait for each other there: they leave
 * theirs in the host's page cache, unless that would be much, and share a sync.
 */
int cairn_blocks_write(struct cairn *fs, uint64_t place, struct iovec *iov, int n_iov, bool *durable)
{
	struct cairn_segment *s;
	int err = segment_of(fs, place, &s);
	if (err)
		return err;
	bool alone = __atomic_fetch_add(&s->n_writing, 1, __ATOMIC_RELAXED) == 0 && !__atomic_load_n(&s->syncing, __ATOMIC_RELAXED);
	uint64_t at = place % CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE;
	size_t size = iov_size(iov, n_iov);
	*durable = *durable && alone;
	if (size >= DIRECT_MIN)
		reserve(fs, s, at + size);
	err = write_all(*durable || size >= DIRECT_MIN ? s->file : s->cached, at, iov, n_iov, *durable);
	__atomic_fetch_sub(&s->n_writing, 1, __ATOMIC_RELAXED);
	if (!err && !*durable)
		__atomic_add_fetch(&s->written, 1, __ATOMIC_RELEASE);
	return err;
}

int cairn_blocks_place(struct cairn *fs, const struct cairn_range *range, int flags)
{
	uint64_t at = range->first % CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE;
	struct cairn_segment *s;
	int err = segment_of(fs, range->first, &s);
	return err ? err : file_allocate(s->file, flags | FALLOC_FL_KEEP_SIZE, at, range->n * CAIRN_BLOCK_SIZE);
}

/* ---- syncing */

/* With sync_lock held, which is given up meanwhile. */
static void lead_sync(struct cairn *fs, struct cairn_segment *s)
{
	uint64_t upto = __atomic_load_n(&s->written, __ATOMIC_ACQUIRE);
	__atomic_store_n(&s->syncing, true, __ATOMIC_RELAXED);
	fiber_mutex_unlock(&fs->sync_lock);
	int err = file_sync(s->file, true);
	fiber_mutex_lock(&fs->sync_lock);
	__atomic_store_n(&s->syncing, false, __ATOMIC_RELAXED);
	/* The host forgets what it could not write: a later sync that succeeds says nothing about it. */
	if (err) {
		s->lost = upto;
		s->lost_err = err;
		fs->n_lost++;
	}
	s->synced = upto;
	fiber_cond_broadcast(&fs->synced);
}

static int sync_segment(struct cairn *fs, struct cairn_segment *s)
{
	uint64_t mine = __atomic_load_n(&s->written, __ATOMIC_ACQUIRE);
	fiber_mutex_lock(&fs->sync_lock);
	while (s->synced < mine) {
		if (s->syncing)
			fiber_cond_wait(&fs->synced, &fs->sync_lock);
		else
			lead_sync(fs, s);
	}
	int err = mine <= s->lost ? s->lost_err : 0;
	fiber_mutex_unlock(&fs->sync_lock);
	return err;
}

int cairn_blocks_sync(struct cairn *fs, const struct cairn_ranges *r)
{
	uint64_t last = UINT64_MAX;
	int err = 0;
	for (uint32_t i = 0; !err && i < r->n; i++) {
		uint64_t index = r->list[i].first / CAIRN_SEGMENT_BLOCKS;
		if (index != last)
			err = sync_segment(fs, &fs->segments[index]);
		last = index;
	}
	return err;
}
