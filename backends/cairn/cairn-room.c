/*
 * Room on the host. A store without a limit of its own has what its host has, which others take from too. Writers leave
 * a margin. When they are refused the background worker gives back what free blocks still hold there: blocks that were
 * freed one by one are left in place, for they are soon written again. Some free blocks have their place in any case: what
 * cuts a file has to write a block before it frees others.
 */
#include <fcntl.h>

#include "backends/cairn/cairn.h"

#define MARGIN_MAX (64ULL << 20) /* bytes of the host's file system that writers leave */
#define MARGIN_SHARE 64u         /* of the host */
#define SPARE_MAX 256u           /* blocks */
#define SPARE_SHARE 256u
#define SHORT (1ULL << 30)       /* bytes free on a host with less than which there are spare blocks */
#define DISCARD_MIN 16u          /* blocks */

static uint64_t margin(const struct meta_stats *host)
{
	return MIN(host->host_total / MARGIN_SHARE, MARGIN_MAX);
}

/* ---- the budget */

/* Bytes that are accepted must find room for their extents too. */
static bool fits_host(struct cairn *fs, uint64_t n)
{
	struct meta_stats host;
	meta_stats(fs->meta, &host);
	return !host.full && host.host_free >= margin(&host) + (fs->n_dirty + n) * CAIRN_BLOCK_SIZE;
}

static bool fits_host_now(struct cairn *fs, uint64_t n)
{
	if (likely(fits_host(fs, n)))
		return true;
	meta_refresh(fs->meta, META_LOOK_NS);
	if (fits_host(fs, n))
		return true;
	fs->wants_room = true;
	return false;
}

int cairn_charge(struct cairn *fs, uint64_t n, bool urgent)
{
	uint64_t reserve = urgent ? 0 : fs->reserve_blocks;
	if (n == 0)
		return 0;
	if (!urgent && !fits_host_now(fs, n))
		return ERR_NOSPC;
	if (fs->capacity_blocks == 0 && n < UINT32_MAX) {
		fs->n_blocks += n;
		return 0;
	}
	uint64_t used = atomic_fetch_add(&fs->n_blocks, n) + n;
	if (n <= fs->capacity_blocks && used + reserve <= fs->capacity_blocks)
		return 0;
	cairn_refund(fs, n);
	return ERR_NOSPC;
}

void cairn_refund(struct cairn *fs, uint64_t n)
{
	fs->n_blocks -= n;
}

/* The smaller of what the store and what the host has left. */
void cairn_room(struct cairn *fs, struct op_statfs *st)
{
	uint64_t used = fs->n_blocks * CAIRN_BLOCK_SIZE, dirty = fs->n_dirty * CAIRN_BLOCK_SIZE;
	uint64_t capacity = fs->capacity_blocks * CAIRN_BLOCK_SIZE, reserve = fs->reserve_blocks * CAIRN_BLOCK_SIZE;
	struct meta_stats host;
	meta_refresh(fs->meta, META_LOOK_NS);
	meta_stats(fs->meta, &host);
	uint64_t left = host.host_free - MIN(host.host_free, dirty), avail = left - MIN(left, margin(&host));
	if (host.full)
		avail = 0;
	st->total_bytes = used + left;
	if (capacity) {
		uint64_t own = capacity - MIN(used, capacity);
		reserve = MIN(own, reserve);
		left = MIN(left, own);
		avail = MIN(avail, own - reserve);
		st->total_bytes = MIN(capacity, st->total_bytes);
	}
	st->free_bytes = left;
	st->avail_bytes = avail;
	/* A file takes about half a kibibyte of the tables. */
	uint64_t files = host.full ? 0 : MIN(fs->super.meta_size, host.host_free) / 512;
	st->total_files = fs->n_inodes + files;
	st->free_files = st->avail_files = files;
}

/* ---- what the host gets back */

/* Short ones are left: they are soon written again. Where the host cannot do it, nothing is lost. */
void cairn_ranges_discard(struct cairn *fs, struct cairn_ranges *r)
{
	cairn_ranges_sort(r);
	for (uint32_t i = 0; i < r->n; i++)
		if (r->list[i].n >= DISCARD_MIN)
			cairn_blocks_place(fs, &r->list[i], FALLOC_FL_PUNCH_HOLE);
}

static void trim_segment(struct cairn *fs, uint32_t index)
{
	struct cairn_ranges free_blocks = {.n = 0};
	uint32_t at = 0;
	while (!fs->stopping && cairn_take_free(fs, index, &at, &free_blocks)) {
		for (uint32_t i = 0; i < free_blocks.n; i++)
			cairn_blocks_place(fs, &free_blocks.list[i], FALLOC_FL_PUNCH_HOLE);
		cairn_put_free(fs, &free_blocks);
	}
	cairn_ranges_fini(&free_blocks);
}

bool cairn_host_room(struct cairn *fs)
{
	struct meta_stats host;
	if (!fs->wants_room)
		return false;
	fs->wants_room = false;
	bool trims = fs->untrimmed;
	fs->untrimmed = false;
	for (uint32_t i = 0; trims && i < fs->n_segments; i++)
		trim_segment(fs, i);
	meta_make_room(fs->meta, 0);
	meta_stats(fs->meta, &host);
	fs->n_rooms += trims || !host.full;
	return trims;
}

/* ---- spare blocks */

/* As many as the host gives; they are taken, but nobody's. */
void cairn_spare_fill(struct cairn *fs)
{
	struct meta_stats host;
	struct cairn_range got;
	meta_stats(fs->meta, &host);
	uint64_t wanted = MIN(host.host_total / CAIRN_BLOCK_SIZE / SPARE_SHARE, SPARE_MAX);
	if (host.host_free >= SHORT || fs->n_spare >= wanted / 2)
		return;
	for (uint64_t n = wanted - fs->n_spare; n > 0; n /= 4) {
		if (cairn_alloc(fs, n, &got))
			return;
		fiber_mutex_lock(&fs->spare_lock);
		int err = cairn_blocks_place(fs, &got, 0);
		if (!err)
			err = cairn_ranges_add(&fs->spare, got);
		fs->n_spare += err ? 0 : got.n;
		fiber_mutex_unlock(&fs->spare_lock);
		if (!err)
			return;
		cairn_release(fs, &got);
	}
}

int cairn_spare_take(struct cairn *fs, uint64_t n, struct cairn_range *got)
{
	fiber_mutex_lock(&fs->spare_lock);
	struct cairn_range *last = fs->spare.n ? &fs->spare.list[fs->spare.n - 1] : NULL;
	if (last) {
		*got = (struct cairn_range){last->first, MIN(n, last->n)};
		last->first += got->n;
		last->n -= got->n;
		fs->n_spare -= got->n;
		fs->spare.n -= last->n == 0;
	}
	fiber_mutex_unlock(&fs->spare_lock);
	return last ? 0 : ERR_NOSPC;
}
