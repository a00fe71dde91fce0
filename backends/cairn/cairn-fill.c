/*
 * From the store into pages. What is absent is claimed, mapped to runs of the store's blocks, read, all runs at once, and
 * verified; only then is it present. Blocks that somebody else is reading already are waited for.
 */
#include <string.h>

#include "backends/cairn/cairn.h"

#define RUNS_MAX 16u /* read at once */
#define TRIES 3      /* at blocks that somebody else failed to read */

struct filling;

/* Blocks in a row of the file that are in a row in the store. */
struct run {
	struct filling *f;
	uint64_t block;
	uint64_t n;
	uint64_t place;
};

struct filling {
	struct cairn_node *n;
	uint64_t first_page;
	uint64_t first, end; /* blocks */
	uint32_t n_pages;    /* claimed */
	uint32_t n_runs;
	struct fiber_join join;
	int err;
	struct block_fill pages[CAIRN_FILL_PAGES];
	uint16_t good[CAIRN_FILL_PAGES];
	struct run runs[RUNS_MAX];
	uint32_t sums[CAIRN_FILL_PAGES * CAIRN_CHUNK_BLOCKS];
};

static uint32_t slot_of(const struct filling *f, uint64_t block)
{
	return (uint32_t)(block - f->first_page * CAIRN_CHUNK_BLOCKS);
}

static struct block_fill *page_of(struct filling *f, uint64_t block)
{
	return &f->pages[slot_of(f, block) / CAIRN_CHUNK_BLOCKS];
}

static uint8_t *bytes_of(struct filling *f, uint64_t block)
{
	return page_of(f, block)->bytes + block % CAIRN_CHUNK_BLOCKS * CAIRN_BLOCK_SIZE;
}

static void set_good(struct filling *f, uint64_t block)
{
	f->good[slot_of(f, block) / CAIRN_CHUNK_BLOCKS] |= (uint16_t)(1u << block % CAIRN_CHUNK_BLOCKS);
}

static void fail(struct filling *f, int err)
{
	f->err = f->err ? f->err : err;
}

/* ---- claiming */

static bool is_claimed(struct filling *f, uint64_t block)
{
	return page_of(f, block)->mask & 1u << block % CAIRN_CHUNK_BLOCKS;
}

/* Blocks of [first, end) that are in a page. */
static uint16_t wanted(const struct filling *f, uint32_t page)
{
	uint64_t base = (f->first_page + page) * CAIRN_CHUNK_BLOCKS;
	uint64_t from = MAX(f->first, base) - base, to = MIN(f->end, base + CAIRN_CHUNK_BLOCKS) - base;
	return (uint16_t)((BLOCKS_ALL << from) & (BLOCKS_ALL >> (CAIRN_CHUNK_BLOCKS - to)));
}

static int claim(struct filling *f)
{
	uint64_t last = (f->end - 1) / CAIRN_CHUNK_BLOCKS;
	int err = 0;
	for (uint64_t i = f->first_page; !err && i <= last; i++) {
		struct block_key key = cairn_page_key(f->n, i);
		err = block_fill_begin(cairn_of(f->n)->cache, &key, wanted(f, f->n_pages), &f->pages[f->n_pages]);
		f->n_pages += !err;
	}
	return err == ERR_NOSPC ? ERR_DELAY : err;
}

/* ---- reading */

static void verify_run(const struct run *r)
{
	struct filling *f = r->f;
	for (uint64_t b = r->block; b < r->block + r->n; b++) {
		if (cairn_verify(f->n, b, r->place + (b - r->block), f->sums[slot_of(f, b)], bytes_of(f, b)))
			fail(f, ERR_IO);
		else
			set_good(f, b);
	}
}

static void read_run(void *arg)
{
	struct run *r = arg;
	struct filling *f = r->f;
	struct iovec iov[CAIRN_FILL_PAGES];
	int n_iov = 0;
	for (uint64_t b = r->block; b < r->block + r->n; b++) {
		if (n_iov && b % CAIRN_CHUNK_BLOCKS)
			iov[n_iov - 1].iov_len += CAIRN_BLOCK_SIZE;
		else
			iov[n_iov++] = (struct iovec){bytes_of(f, b), CAIRN_BLOCK_SIZE};
	}
	int err = cairn_blocks_read(cairn_of(f->n), r->place, iov, n_iov);
	if (err)
		fail(f, err);
	else
		verify_run(r);
	fiber_join_done(&f->join);
}

static void read_runs(struct filling *f)
{
	fiber_join_add(&f->join, f->n_runs);
	for (uint32_t i = 0; i < f->n_runs; i++) {
		bool last = i + 1 == f->n_runs;
		if (last || fiber_spawn(read_run, &f->runs[i]))
			read_run(&f->runs[i]);
	}
	fiber_join_wait(&f->join);
	f->n_runs = 0;
}

/* Neighbours in the store are one run, also of different extents. */
static void add_run(struct filling *f, uint64_t block, uint64_t n, uint64_t place)
{
	struct run *r = f->n_runs ? &f->runs[f->n_runs - 1] : NULL;
	if (r && r->block + r->n == block && r->place + r->n == place && place % CAIRN_SEGMENT_BLOCKS) {
		r->n += n;
		return;
	}
	if (f->n_runs == RUNS_MAX)
		read_runs(f);
	f->runs[f->n_runs++] = (struct run){f, block, n, place};
}

static void blank(struct filling *f, uint64_t block, uint64_t n)
{
	for (uint64_t b = block; b < block + n; b++) {
		memset(bytes_of(f, b), 0, CAIRN_BLOCK_SIZE);
		set_good(f, b);
	}
}

/* What is from block on, at most up to end. Gives how many blocks that was. */
static uint64_t map_extent(struct filling *f, uint64_t block, uint64_t end)
{
	struct cairn_extent e;
	int err = cairn_extent_at(f->n, block, &e);
	if (err) {
		fail(f, err);
		return end - block;
	}
	uint64_t n = MIN(e.n, end - block);
	if (e.kind == CAIRN_LOST) {
		fail(f, ERR_IO);
	} else if (e.kind == CAIRN_WRITTEN) {
		memcpy(&f->sums[slot_of(f, block)], e.sums, n * sizeof(e.sums[0]));
		add_run(f, block, n, e.place);
	} else if (e.kind != CAIRN_IN_RECORD) {
		blank(f, block, n);
	} else if ((err = cairn_load_inline(f->n, bytes_of(f, block)))) {
		fail(f, err);
	} else {
		set_good(f, block);
	}
	return n;
}

static void read_claimed(struct filling *f)
{
	uint64_t end = MIN(f->end, (f->first_page + f->n_pages) * CAIRN_CHUNK_BLOCKS);
	for (uint64_t at = f->first, stop; at < end; at = stop + 1) {
		for (stop = at; stop < end && is_claimed(f, stop);)
			stop++;
		while (at < stop)
			at += map_extent(f, at, stop);
	}
	read_runs(f);
}

/* ---- the whole */

static void finish(struct filling *f)
{
	struct block_cache *cache = cairn_of(f->n)->cache;
	for (uint32_t i = 0; i < f->n_pages; i++)
		block_fill_end(cache, &f->pages[i], f->good[i]);
	for (uint32_t i = 0; i < f->n_pages; i++)
		block_wait(cache, f->pages[i].page, wanted(f, i));
}

/* References to all pages, or to none. False: somebody else could not read what it had claimed. */
static bool take_all(struct filling *f, uint32_t *chunks)
{
	struct block_cache *cache = cairn_of(f->n)->cache;
	struct pages *pages = f->n->cached.node.mount->pages;
	for (uint32_t i = 0; i < f->n_pages; i++) {
		if (block_take(cache, f->pages[i].page, wanted(f, i), &chunks[i]))
			continue;
		while (i-- > 0)
			pages_put(pages, chunks[i]);
		return false;
	}
	return true;
}

static bool all_present(const struct filling *f)
{
	for (uint32_t i = 0; i < f->n_pages; i++)
		if (wanted(f, i) & ~block_present(f->pages[i].page))
			return false;
	return true;
}

/* *again: worth another try. */
static int fill_once(struct filling *f, uint32_t *chunks, bool *again)
{
	int err = claim(f);
	if (!err)
		read_claimed(f);
	finish(f);
	err = err ? err : f->err;
	*again = !err && !(chunks ? take_all(f, chunks) : all_present(f));
	for (uint32_t i = 0; i < f->n_pages; i++)
		block_release(cairn_of(f->n)->cache, f->pages[i].page);
	return *again ? ERR_IO : err;
}

int cairn_fill(struct cairn_node *n, uint64_t first, uint64_t end, uint32_t *chunks)
{
	bool again = true;
	int err = 0;
	for (int i = 0; i < TRIES && again; i++) {
		struct filling f;
		memset(&f, 0, offsetof(struct filling, runs));
		f.n = n;
		f.first = first;
		f.end = end;
		f.first_page = first / CAIRN_CHUNK_BLOCKS;
		err = fill_once(&f, chunks, &again);
	}
	return err;
}
