/*
 * Blocks of the store. Which are in use is a bit map per segment of 1 GiB, made from
 * the table of space when the segment is first needed. A bit is set before a block is written and
 * cleared only after the commit that frees it, so a crash forgets what was not committed and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn.h"
#include "base/cursor.h"

#define SEGMENTS_MAX (1u << 18)
#define WORDS (CAIRN_SEGMENT_BLOCKS / 64)
#define FREE_RUNS_MAX 64u      /* that are taken at once, and blocks in them */
#define FREE_BLOCKS_MAX 8192u

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
