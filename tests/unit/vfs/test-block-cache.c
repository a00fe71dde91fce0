/*
 * Shows that the block cache gives what was put in and nothing else, whoever else reads, writes, drops and evicts at the
 * same time; that what a reader holds never changes; that a block is read once; and that scans pass by what is hot.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "loop/loop.h"
#include "vfs/block-cache.h"

TestSuite(block_cache, .timeout = 60);

#define MB (1ULL << 20)

struct rig {
	struct pages *pages;
	struct block_cache *cache;
	uint64_t store;
};

static struct rig rig;

static void set_up(uint64_t arena, uint64_t size)
{
	cr_assert_eq(pages_create(&rig.pages, arena, 0), 0);
	cr_assert_eq(block_cache_create(&rig.cache, rig.pages, size), 0);
	rig.store = block_cache_store(rig.cache);
}

static void tear_down(void)
{
	block_drop_store(rig.cache, rig.store);
	cr_expect_eq(pages_used(rig.pages), 0, "no chunk is lost");
	block_cache_destroy(rig.cache);
	pages_destroy(rig.pages);
}

static struct block_key key_of(uint64_t object, uint64_t index)
{
	return (struct block_key){rig.store, object, index};
}

static uint64_t draw(uint64_t *seed, uint64_t n)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*seed >> 33) % n;
}

/* Whether it was there; if not it is put there, with every byte of the page being fill unless that is 0. */
static bool use(uint64_t object, uint64_t index, uint16_t mask, int fill)
{
	struct block_key key = key_of(object, index);
	struct block_fill f;
	uint32_t chunk;
	if (block_find(rig.cache, &key, mask, &chunk)) {
		pages_put(rig.pages, chunk);
		return true;
	}
	cr_assert_eq(block_fill_begin(rig.cache, &key, mask, &f), 0);
	for (uint32_t b = 0; fill && b < BLOCKS_PER_PAGE; b++)
		if (f.mask & 1u << b)
			memset(f.bytes + b * BLOCK_SIZE, fill, BLOCK_SIZE);
	block_fill_end(rig.cache, &f, f.mask);
	cr_assert(block_take(rig.cache, f.page, mask, &chunk));
	pages_put(rig.pages, chunk);
	block_release(rig.cache, f.page);
	return false;
}

/* ---- single threaded */

Test(block_cache, blocks_of_a_page_come_one_by_one)
{
	struct block_key key = key_of(1, 7);
	uint32_t chunk;
	set_up(64 * MB, 16 * MB);
	key.store = rig.store;
	cr_expect(!use(1, 7, 0x000f, 'a'));
	cr_expect(use(1, 7, 0x000f, 0));
	cr_expect(!block_find(rig.cache, &key, 0x001f, &chunk), "some are absent");
	cr_expect(!use(1, 7, 0x0ff0, 'b'));
	cr_assert(block_find(rig.cache, &key, 0x0fff, &chunk));
	const uint8_t *bytes = pages_base(rig.pages) + pages_offset(chunk);
	cr_expect(bytes[0] == 'a' && bytes[4 * BLOCK_SIZE - 1] == 'a' && bytes[4 * BLOCK_SIZE] == 'b');
	pages_put(rig.pages, chunk);
	block_drop(rig.cache, rig.store, 1, 7 * 16 + 1, 7 * 16 + 3);
	cr_expect(!block_find(rig.cache, &key, 0x0002, &chunk));
	cr_expect(use(1, 7, 0x0ff9, 0), "the others stay");
	cr_expect(!use(2, 7, 1, 0), "of another object");
	tear_down();
}

Test(block_cache, what_a_reader_holds_is_replaced_not_overwritten)
{
	struct block_key key;
	uint32_t chunk;
	set_up(64 * MB, 16 * MB);
	key = key_of(1, 0);
	use(1, 0, BLOCKS_ALL, 'a');
	cr_assert(block_find(rig.cache, &key, 1, &chunk));
	const uint8_t *old = pages_base(rig.pages) + pages_offset(chunk);
	struct block_page *page = block_hold(rig.cache, &key);
	cr_assert_eq(block_own(rig.cache, page, 1), 0);
	cr_expect_neq(block_chunk(page), chunk);
	cr_expect_eq(block_present(page), BLOCKS_ALL & ~1);
	memset(block_bytes(rig.cache, page), 'b', BLOCK_SIZE);
	block_set(rig.cache, page, 1);
	cr_expect(old[0] == 'a');
	cr_expect(block_bytes(rig.cache, page)[0] == 'b' && block_bytes(rig.cache, page)[BLOCK_SIZE] == 'a');
	uint32_t mine = block_chunk(page);
	cr_assert_eq(block_own(rig.cache, page, 0), 0);
	cr_expect_eq(block_chunk(page), mine, "nobody else refers to it now");
	pages_put(rig.pages, chunk);
	block_release(rig.cache, page);
	tear_down();
}

Test(block_cache, dropped_blocks_are_not_filled_below_a_reader)
{
	struct block_key key;
	uint32_t chunk;
	set_up(64 * MB, 16 * MB);
	key = key_of(1, 0);
	use(1, 0, BLOCKS_ALL, 'a');
	cr_assert(block_find(rig.cache, &key, 2, &chunk));
	block_drop(rig.cache, rig.store, 1, 1, 2);
	cr_expect(!use(1, 0, 2, 'b'));
	cr_expect(pages_base(rig.pages)[pages_offset(chunk) + BLOCK_SIZE] == 'a');
	pages_put(rig.pages, chunk);
	cr_assert(block_find(rig.cache, &key, 3, &chunk));
	const uint8_t *bytes = pages_base(rig.pages) + pages_offset(chunk);
	cr_expect(bytes[0] == 'a' && bytes[BLOCK_SIZE] == 'b');
	pages_put(rig.pages, chunk);
	tear_down();
}

Test(block_cache, a_chunk_is_adopted_without_a_copy)
{
	struct block_key key;
	uint32_t chunk, found;
	set_up(64 * MB, 16 * MB);
	key = key_of(1, 0);
	use(1, 0, 1, 'a');
	cr_assert_eq(pages_alloc(rig.pages, 0, PAGE_CHUNK_SIZE, &chunk), 0);
	struct block_page *page = block_hold(rig.cache, &key);
	block_adopt(rig.cache, page, chunk);
	pages_put(rig.pages, chunk);
	block_release(rig.cache, page);
	cr_assert(block_find(rig.cache, &key, BLOCKS_ALL, &found));
	cr_expect_eq(found, chunk);
	pages_put(rig.pages, found);
	tear_down();
}

Test(block_cache, is_bounded_but_for_what_is_held)
{
	struct block_page *held[300];
	struct block_cache_stats st;
	set_up(64 * MB, 16 * MB);
	for (uint64_t i = 0; i < 300; i++) {
		struct block_key key = key_of(1, i);
		held[i] = block_hold(rig.cache, &key);
		cr_assert_eq(block_own(rig.cache, held[i], 0), 0);
		block_set(rig.cache, held[i], 1);
	}
	for (uint64_t i = 0; i < 1000; i++)
		use(2, i, 1, 0);
	block_cache_stats(rig.cache, &st);
	cr_expect_eq(st.held, 300 * PAGE_CHUNK_SIZE);
	cr_expect(st.used <= 16 * MB + st.held, "%llu bytes", (unsigned long long)st.used);
	for (uint64_t i = 0; i < 300; i++) {
		cr_expect_eq(block_present(held[i]), 1);
		block_release(rig.cache, held[i]);
	}
	block_cache_stats(rig.cache, &st);
	cr_expect(st.held == 0 && st.used <= 16 * MB);
	tear_down();
}

Test(block_cache, gives_way_when_the_arena_is_full)
{
	uint32_t chunks[600], n = 0;
	set_up(64 * MB, 60 * MB);
	for (uint64_t i = 0; i < 900; i++)
		use(1, i, 1, 0);
	while (n < 600 && pages_alloc(rig.pages, 0, PAGE_CHUNK_SIZE, &chunks[n]) == 0)
		n++;
	cr_expect_eq(n, 600);
	while (n)
		pages_put(rig.pages, chunks[--n]);
	tear_down();
}

static double hit_rate(uint64_t n_hot, uint64_t scan_per_use, uint64_t n_uses)
{
	uint64_t hits = 0, scanned = 0, seed = 1;
	for (uint64_t i = 0; i < n_uses; i++) {
		hits += use(1, draw(&seed, n_hot), (uint16_t)(1u << draw(&seed, 4)), 0);
		for (uint64_t k = 0; k < scan_per_use; k++, scanned++)
			use(2, scanned / 16, (uint16_t)(1u << scanned % 16), 0);
	}
	return (double)hits / (double)n_uses;
}

/* A scan in pieces of 4 KiB, of 30 times the cache; a least-recently-used list would keep 3 uses in 10. */
Test(block_cache, scans_pass_by_what_is_hot)
{
	struct block_cache_stats st;
	set_up(256 * MB, 64 * MB);
	hit_rate(500, 0, 10000);
	double rate = hit_rate(500, 16, 30000);
	block_cache_stats(rig.cache, &st);
	fprintf(stderr, "hot pages: %.1f %% hits during the scan, %llu evictions\n", 100 * rate,
	        (unsigned long long)st.evictions);
	cr_expect(rate > 0.95, "%.3f", rate);
	tear_down();
}

Test(block_cache, one_that_keeps_nothing_works)
{
	set_up(64 * MB, 0);
	cr_expect(!use(1, 0, 1, 'a'));
	cr_expect(!use(1, 0, 1, 'a'));
	tear_down();
}

/* ---- fibers and threads */

#define N_THREADS 4
#define N_FIBERS 6
#define N_OPS 12000
#define N_OBJECTS 4
#define N_PAGES 200 /* of an object; all together more than the cache holds */
#define N_KEPT 4

/* The truth: what each block has to contain. A block's content begins with object, index, block and version. */
static struct object {
	struct fiber_rwlock lock;
	uint32_t versions[N_PAGES][BLOCKS_PER_PAGE];
	uint32_t filling[N_PAGES][BLOCKS_PER_PAGE]; /* fills under way: never more than one */
} objects[N_OBJECTS];

struct content {
	uint64_t object, index, block, version;
};

struct kept {
	uint32_t chunk;
	uint32_t block;
	struct content content;
};

struct runner {
	uint64_t seed;
	uint32_t *n_running;
	struct kept kept[N_KEPT];
	uint64_t n_done;
};

/* An assertion would jump out of a fiber's stack. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "block cache: %s\n", what);
	abort();
}

static struct content content_of(uint64_t object, uint64_t index, uint32_t block)
{
	return (struct content){object, index, block, objects[object].versions[index][block]};
}

static void write_content(uint8_t *page, const struct content *c)
{
	uint8_t *at = page + c->block * BLOCK_SIZE;
	memcpy(at, c, sizeof(*c));
	memcpy(at + BLOCK_SIZE - sizeof(*c), c, sizeof(*c));
}

static bool has_content(uint32_t chunk, uint32_t block, const struct content *c)
{
	const uint8_t *at = pages_base(rig.pages) + pages_offset(chunk) + block * BLOCK_SIZE;
	return memcmp(at, c, sizeof(*c)) == 0 && memcmp(at + BLOCK_SIZE - sizeof(*c), c, sizeof(*c)) == 0;
}

static void check_kept(struct kept *k)
{
	if (!k->chunk)
		return;
	need(has_content(k->chunk, k->block, &k->content), "what a reader held has changed");
	pages_put(rig.pages, k->chunk);
	k->chunk = 0;
}

static bool fill_page(const struct block_key *key, uint16_t mask, bool fails, uint32_t *chunk)
{
	struct object *o = &objects[key->object];
	struct block_fill f;
	need(block_fill_begin(rig.cache, key, mask, &f) == 0, "no memory");
	for (uint32_t b = 0; b < BLOCKS_PER_PAGE; b++)
		if (f.mask & 1u << b)
			need(__atomic_fetch_add(&o->filling[key->index][b], 1, __ATOMIC_SEQ_CST) == 0, "two fills of a block");
	fiber_yield();
	for (uint32_t b = 0; b < BLOCKS_PER_PAGE; b++) {
		if (!(f.mask & 1u << b))
			continue;
		struct content c = content_of(key->object, key->index, b);
		c.version += fails;
		write_content(f.bytes, &c);
		__atomic_fetch_sub(&o->filling[key->index][b], 1, __ATOMIC_SEQ_CST);
	}
	block_fill_end(rig.cache, &f, fails ? 0 : f.mask);
	block_wait(rig.cache, f.page, mask);
	bool taken = block_take(rig.cache, f.page, mask, chunk);
	block_release(rig.cache, f.page);
	return taken;
}

static void read_some(struct runner *r, const struct block_key *key, uint16_t mask)
{
	struct kept *k = &r->kept[draw(&r->seed, N_KEPT)];
	uint32_t chunk;
	check_kept(k);
	fiber_rwlock_rdlock(&objects[key->object].lock);
	bool have = block_find(rig.cache, key, mask, &chunk) || fill_page(key, mask, draw(&r->seed, 8) == 0, &chunk);
	for (uint32_t b = 0; have && b < BLOCKS_PER_PAGE; b++) {
		struct content c = content_of(key->object, key->index, b);
		if (mask & 1u << b)
			need(has_content(chunk, b, &c), "a wrong block");
	}
	if (have) {
		uint32_t block = (uint32_t)__builtin_ctz(mask);
		*k = (struct kept){chunk, block, content_of(key->object, key->index, block)};
	}
	fiber_rwlock_rdunlock(&objects[key->object].lock);
}

static void write_some(const struct block_key *key, uint16_t mask)
{
	struct object *o = &objects[key->object];
	fiber_rwlock_wrlock(&o->lock);
	struct block_page *page = block_hold(rig.cache, key);
	need(page && block_own(rig.cache, page, mask) == 0, "no memory");
	fiber_yield();
	for (uint32_t b = 0; b < BLOCKS_PER_PAGE; b++) {
		if (!(mask & 1u << b))
			continue;
		o->versions[key->index][b] += 2;
		struct content c = content_of(key->object, key->index, b);
		write_content(block_bytes(rig.cache, page), &c);
	}
	block_set(rig.cache, page, mask);
	block_release(rig.cache, page);
	fiber_rwlock_wrunlock(&o->lock);
}

static void drop_some(struct runner *r, uint64_t object)
{
	struct object *o = &objects[object];
	uint64_t from = draw(&r->seed, N_PAGES * BLOCKS_PER_PAGE), to = from + draw(&r->seed, 100);
	fiber_rwlock_wrlock(&o->lock);
	to = draw(&r->seed, 50) ? MIN(to, (uint64_t)N_PAGES * BLOCKS_PER_PAGE) : UINT64_MAX;
	block_drop(rig.cache, rig.store, object, from, to);
	for (uint64_t b = from; b < to && b < N_PAGES * BLOCKS_PER_PAGE; b++)
		o->versions[b / BLOCKS_PER_PAGE][b % BLOCKS_PER_PAGE] += 2;
	fiber_rwlock_wrunlock(&o->lock);
}

static void run_fiber(void *arg)
{
	struct runner *r = arg;
	for (int i = 0; i < N_OPS; i++) {
		struct block_key key = key_of(draw(&r->seed, N_OBJECTS), draw(&r->seed, N_PAGES));
		uint16_t mask = (uint16_t)(draw(&r->seed, 65535) + 1);
		uint64_t what = draw(&r->seed, 100);
		if (what < 70)
			read_some(r, &key, mask);
		else if (what < 95)
			write_some(&key, mask);
		else if (what < 99)
			drop_some(r, key.object);
		else
			block_cache_shrink(rig.cache, 10);
	}
	for (uint32_t i = 0; i < N_KEPT; i++)
		check_kept(&r->kept[i]);
	if (--*r->n_running == 0)
		loop_stop(loop_current());
}

static void *run_thread(void *arg)
{
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct runner runners[N_FIBERS] = {0};
	uint32_t n_running = N_FIBERS;
	struct loop *loop;
	need(loop_create(&loop, &cfg) == 0, "no loop");
	for (uint32_t i = 0; i < N_FIBERS; i++) {
		runners[i] = (struct runner){.seed = *(uint64_t *)arg * 100 + i, .n_running = &n_running};
		need(fiber_start(loop, run_fiber, &runners[i]) == 0, "no fiber");
	}
	loop_run(loop);
	loop_destroy(loop);
	return NULL;
}

Test(block_cache, many_at_once_agree_with_the_model)
{
	pthread_t threads[N_THREADS];
	uint64_t seeds[N_THREADS];
	struct block_cache_stats st;
	set_up(128 * MB, 32 * MB);
	for (uint32_t i = 0; i < N_THREADS; i++) {
		seeds[i] = i + 1;
		cr_assert_eq(pthread_create(&threads[i], NULL, run_thread, &seeds[i]), 0);
	}
	for (uint32_t i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	block_cache_stats(rig.cache, &st);
	cr_expect(st.held == 0 && st.hits > 1000 && st.evictions > 1000);
	tear_down();
}
