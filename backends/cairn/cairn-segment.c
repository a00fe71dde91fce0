/*
 * Blocks of the store. Segment files of 1 GiB hold them; which are in use is a bit map per segment, made from
 * the table of space when the segment is first needed. A bit is set before a block is written and
 * cleared only after the commit that frees it, so a crash forgets what was not committed and nothing else.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn.h"
#include "base/cursor.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define SEGMENTS_MAX (1u << 18)
#define WORDS (CAIRN_SEGMENT_BLOCKS / 64)
#define FREE_RUNS_MAX 64u      /* that are taken at once, and blocks in them */
#define FREE_BLOCKS_MAX 8192u
#define DIRECT_MIN (256u << 10) /* bytes of a write that is worth waiting for the disk */

/* ---- the map of a segment */

struct loader {
	struct cairn_segment *segment;
	uint64_t first; /* block of the segment */
	uint32_t n_used;
	int err;
};

static void set_bits(uint64_t *used, uint32_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		used[i / 64] |= 1ULL << i % 64;
}

static void clear_bits(uint64_t *used, uint32_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		used[i / 64] &= ~(1ULL << i % 64);
}

static bool load_one(void *arg, const struct meta_record *r)
{
	struct loader *l = arg;
	struct cursor c;
	uint64_t at = r->key->number - l->first;
	if (at >= CAIRN_SEGMENT_BLOCKS)
		return false;
	cursor_init(&c, (void *)r->body, r->size);
	uint64_t n = cursor_le64(&c);
	if (cursor_failed(&c) || n > CAIRN_SEGMENT_BLOCKS - at) {
		l->err = ERR_IO;
		return false;
	}
	set_bits(l->segment->used, (uint32_t)at, n);
	l->n_used += (uint32_t)n;
	return true;
}

static int load_map(struct cairn *fs, uint32_t index)
{
	struct cairn_segment *s = &fs->segments[index];
	struct loader l = {s, (uint64_t)index * CAIRN_SEGMENT_BLOCKS, 0, 0};
	struct meta_key key = meta_key_number(l.first);
	if (s->used)
		return 0;
	s->used = calloc(WORDS, sizeof(*s->used));
	if (!s->used)
		return ERR_NOMEM;
	int err = meta_scan(fs->meta, META_SPACE, &key, META_FROM, load_one, &l);
	err = err ? err : l.err;
	if (err)
		free(TAKE(s->used));
	s->n_free = CAIRN_SEGMENT_BLOCKS - l.n_used;
	s->untrimmed = true;
	return err;
}

/* ---- finding free blocks */

static uint32_t next_free(const uint64_t *used, uint32_t at)
{
	while (at < CAIRN_SEGMENT_BLOCKS) {
		uint64_t free_bits = ~used[at / 64] >> at % 64;
		if (free_bits)
			return at + (uint32_t)__builtin_ctzll(free_bits);
		at = (at / 64 + 1) * 64;
	}
	return CAIRN_SEGMENT_BLOCKS;
}

static uint32_t run_length(const uint64_t *used, uint32_t at, uint64_t max)
{
	uint32_t n = 0;
	while (n < max && at + n < CAIRN_SEGMENT_BLOCKS && !(used[(at + n) / 64] & 1ULL << (at + n) % 64))
		n++;
	return n;
}

/* The first run of n free blocks in [from, to), else the longest one there is. */
static void look(const uint64_t *used, uint32_t from, uint32_t to, uint64_t n, struct cairn_range *best)
{
	for (uint32_t at = next_free(used, from); at < to && best->n < n; at = next_free(used, at)) {
		uint32_t found = run_length(used, at, n);
		if (found > best->n)
			*best = (struct cairn_range){at, found};
		at += found;
	}
}

/*
 * A single block is the first one that is free: most probably another just left it, so the host has its place already, and
 * a stable write there changes none of the host's own metadata. More begin where the last ended.
 */
static void find_blocks(struct cairn_segment *s, uint64_t n, struct cairn_range *got)
{
	*got = (struct cairn_range){0, 0};
	if (n == 1) {
		look(s->used, s->lowest, CAIRN_SEGMENT_BLOCKS, n, got);
		s->lowest = (uint32_t)got->first + 1;
		return;
	}
	look(s->used, s->hint, CAIRN_SEGMENT_BLOCKS, n, got);
	if (got->n < n)
		look(s->used, 0, s->hint, n, got);
	s->hint = (uint32_t)(got->first + got->n) % CAIRN_SEGMENT_BLOCKS;
}

static void take_blocks(struct cairn *fs, uint32_t index, uint64_t n, struct cairn_range *got)
{
	struct cairn_segment *s = &fs->segments[index];
	find_blocks(s, n, got);
	set_bits(s->used, (uint32_t)got->first, got->n);
	s->n_free -= (uint32_t)got->n;
	got->first += (uint64_t)index * CAIRN_SEGMENT_BLOCKS;
	fs->current = index;
}

/* The current segment, then any other that has had blocks, then a new one. */
static int find_segment(struct cairn *fs, uint32_t *index)
{
	for (uint32_t i = 0; i <= fs->n_segments; i++) {
		uint32_t at = i == fs->n_segments ? i : (fs->current + i) % fs->n_segments;
		if (at >= fs->n_segments_max)
			break;
		int err = load_map(fs, at);
		if (err)
			return err;
		*index = at;
		if (fs->segments[at].n_free == 0)
			continue;
		fs->n_segments = MAX(fs->n_segments, at + 1);
		return 0;
	}
	return ERR_NOSPC;
}

int cairn_alloc(struct cairn *fs, uint64_t n, struct cairn_range *got)
{
	uint32_t index;
	fiber_mutex_lock(&fs->space_lock);
	int err = find_segment(fs, &index);
	if (!err)
		take_blocks(fs, index, n, got);
	fiber_mutex_unlock(&fs->space_lock);
	return err;
}

int cairn_hold(struct cairn *fs, const struct cairn_range *range)
{
	uint64_t index = range->first / CAIRN_SEGMENT_BLOCKS;
	fiber_mutex_lock(&fs->space_lock);
	int err = index < fs->n_segments ? load_map(fs, (uint32_t)index) : ERR_IO;
	fiber_mutex_unlock(&fs->space_lock);
	return err;
}

static void put_blocks(struct cairn_segment *s, uint32_t first, uint64_t n)
{
	clear_bits(s->used, first, n);
	s->lowest = MIN(s->lowest, first);
	s->n_free += (uint32_t)n;
}

void cairn_release(struct cairn *fs, const struct cairn_range *range)
{
	uint32_t index = (uint32_t)(range->first / CAIRN_SEGMENT_BLOCKS), first = (uint32_t)(range->first % CAIRN_SEGMENT_BLOCKS);
	/* What refers to these blocks may be durable, although its commit failed: they stay as they are until the next start. */
	if (meta_has_failed(fs->meta))
		return;
	fiber_mutex_lock(&fs->space_lock);
	struct cairn_segment *s = &fs->segments[index];
	put_blocks(s, first, range->n);
	s->untrimmed = true;
	fs->untrimmed = true;
	fiber_mutex_unlock(&fs->space_lock);
}

/* ---- blocks that are free, taken so that nobody else gets them */

bool cairn_take_free(struct cairn *fs, uint32_t index, uint32_t *at, struct cairn_ranges *runs)
{
	struct cairn_segment *s = &fs->segments[index];
	uint64_t first = (uint64_t)index * CAIRN_SEGMENT_BLOCKS, total = 0;
	runs->n = 0;
	fiber_mutex_lock(&fs->space_lock);
	int err = load_map(fs, index);
	if (*at == 0 && !err && !s->untrimmed)
		err = ERR_NOENT;
	s->untrimmed = s->untrimmed && err;
	while (!err && runs->n < FREE_RUNS_MAX && total < FREE_BLOCKS_MAX) {
		uint32_t from = next_free(s->used, *at), n = run_length(s->used, from, FREE_BLOCKS_MAX);
		*at = from + n;
		if (n == 0 || cairn_ranges_add(runs, (struct cairn_range){first + from, n}))
			break;
		set_bits(s->used, from, n);
		s->n_free -= n;
		total += n;
	}
	fiber_mutex_unlock(&fs->space_lock);
	return runs->n > 0;
}

void cairn_put_free(struct cairn *fs, const struct cairn_ranges *runs)
{
	fiber_mutex_lock(&fs->space_lock);
	for (uint32_t i = 0; i < runs->n; i++) {
		uint64_t first = runs->list[i].first;
		put_blocks(&fs->segments[first / CAIRN_SEGMENT_BLOCKS], (uint32_t)(first % CAIRN_SEGMENT_BLOCKS), runs->list[i].n);
	}
	fiber_mutex_unlock(&fs->space_lock);
}

/* ---- lists of ranges */

int cairn_ranges_add(struct cairn_ranges *r, struct cairn_range range)
{
	if (r->n == r->max) {
		uint32_t max = r->max ? 2 * r->max : 8;
		struct cairn_range *list = realloc(r->list, max * sizeof(*list));
		if (!list)
			return ERR_NOMEM;
		r->list = list;
		r->max = max;
	}
	r->list[r->n++] = range;
	return 0;
}

void cairn_ranges_release(struct cairn *fs, struct cairn_ranges *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		cairn_release(fs, &r->list[i]);
}

void cairn_ranges_fini(struct cairn_ranges *r)
{
	free(TAKE(r->list));
	r->n = r->max = 0;
}

static int by_first(const void *a, const void *b)
{
	const struct cairn_range *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

void cairn_ranges_sort(struct cairn_ranges *r)
{
	uint32_t n = 0;
	if (r->n)
		qsort(r->list, r->n, sizeof(*r->list), by_first);
	for (uint32_t i = 0; i < r->n; i++) {
		struct cairn_range *last = n ? &r->list[n - 1] : NULL;
		if (last && last->first + last->n == r->list[i].first)
			last->n += r->list[i].n;
		else
			r->list[n++] = r->list[i];
	}
	r->n = n;
}

uint64_t cairn_ranges_total(const struct cairn_ranges *r)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < r->n; i++)
		n += r->list[i].n;
	return n;
}

/* ---- segment files */

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
	err = open_direct(fs, name, O_CREAT, f);
	if (!err && (err = file_sync_dir(fs->data_fd)))
		file_close(*f);
	return err;
}

static int open_segment(struct cairn *fs, uint32_t index, struct file **f)
{
	char name[16];
	snprintf(name, sizeof(name), "%08x", index);
	int err = open_or_create(fs, name, f);
	if (!err && !fs->mount->read_only && (err = open_file(fs, name, 0, &fs->segments[index].cached)))
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
	*durable = *durable && alone;
	struct file *f = *durable || iov_size(iov, n_iov) >= DIRECT_MIN ? s->file : s->cached;
	err = write_all(f, place % CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE, iov, n_iov, *durable);
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

/* ---- the table of segments */

static bool note_last(void *arg, const struct meta_record *r)
{
	*(uint64_t *)arg = r->key->number;
	return false;
}

int cairn_segments_init(struct cairn *fs)
{
	struct meta_key key = meta_key_number(UINT64_MAX);
	uint64_t last = 0;
	int64_t current;
	int err = meta_scan(fs->meta, META_SPACE, &key, META_FROM_OR_BEFORE, note_last, &last);
	if (!err)
		err = meta_counter(fs->meta, META_SEGMENT, &current);
	if (err)
		return err;
	fs->n_segments_max = SEGMENTS_MAX;
	if (last / CAIRN_SEGMENT_BLOCKS >= SEGMENTS_MAX)
		return ERR_IO;
	fs->n_segments = (uint32_t)(last / CAIRN_SEGMENT_BLOCKS) + 1;
	fs->current = current >= 0 && current < fs->n_segments ? (uint32_t)current : 0;
	fs->current_stored = fs->current;
	fs->segments = calloc(fs->n_segments_max, sizeof(*fs->segments));
	return fs->segments ? 0 : ERR_NOMEM;
}

void cairn_segments_fini(struct cairn *fs)
{
	for (uint32_t i = 0; fs->segments && i < fs->n_segments; i++) {
		if (fs->segments[i].file)
			file_close(fs->segments[i].file);
		if (fs->segments[i].cached)
			file_close(fs->segments[i].cached);
		free(fs->segments[i].used);
	}
	free(TAKE(fs->segments));
}
