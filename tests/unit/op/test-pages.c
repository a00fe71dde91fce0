/* Shows that chunks of the arena are zero where they must be, counted, bounded, and mapped read-only by others. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/err.h"
#include "ring/pages.h"

static bool all_zero(const uint8_t *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (p[i])
			return false;
	return true;
}

Test(pages, reused_chunks_are_cleared_but_for_what_the_caller_overwrites)
{
	struct pages *p;
	uint32_t a, b;
	cr_assert_eq(pages_create(&p, 1 << 20, 0), 0);
	cr_assert_eq(pages_alloc(p, 0, 0, &a), 0);
	uint8_t *data = pages_base(p) + pages_offset(a);
	memset(data, 0xaa, PAGE_CHUNK_SIZE);
	pages_put(p, a);
	cr_assert_eq(pages_alloc(p, 5000, 9000, &b), 0);
	cr_expect_eq(a, b, "last in, first out");
	cr_expect(all_zero(data, 0, 5000));
	cr_expect(all_zero(data, 9000, PAGE_CHUNK_SIZE));
	cr_expect_eq(data[5000], 0xaa);
	memset(data, 0, PAGE_CHUNK_SIZE);
	memset(data + 8192, 0xbb, 4096);
	pages_put_touched(p, b, 1 << 2);
	cr_assert_eq(pages_alloc(p, 0, 0, &a), 0);
	cr_expect(all_zero(data, 0, PAGE_CHUNK_SIZE));
	pages_put(p, a);
	pages_destroy(p);
}

Test(pages, references_and_the_limit)
{
	struct pages *p;
	uint32_t chunks[4], one;
	cr_assert_eq(pages_create(&p, 1 << 20, 4 * PAGE_CHUNK_SIZE), 0);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(pages_alloc(p, 0, 0, &chunks[i]), 0);
		cr_expect_neq(chunks[i], PAGE_CHUNK_NONE);
	}
	cr_expect_eq(pages_used(p), 4 * PAGE_CHUNK_SIZE);
	cr_expect_eq(pages_alloc(p, 0, 0, &one), ERR_NOSPC);
	pages_get(p, chunks[2]);
	cr_expect_eq(pages_refs(p, chunks[2]), 2);
	pages_put(p, chunks[2]);
	cr_expect_eq(pages_alloc(p, 0, 0, &one), ERR_NOSPC);
	pages_put(p, chunks[2]);
	cr_expect_eq(pages_alloc(p, 0, 0, &one), 0);
	pages_destroy(p);
}

Test(pages, many_free_chunks_are_clean_when_they_come_again)
{
	enum { N = 1200 };
	static uint32_t chunks[N];
	struct pages *p;
	cr_assert_eq(pages_create(&p, 256 << 20, 0), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			cr_assert_eq(pages_alloc(p, 0, 0, &chunks[i]), 0);
			uint8_t *data = pages_base(p) + pages_offset(chunks[i]);
			cr_assert(data[0] == 0 && data[PAGE_CHUNK_SIZE - 1] == 0);
			data[0] = data[PAGE_CHUNK_SIZE - 1] = 1;
		}
		for (int i = 0; i < N; i++)
			pages_put(p, chunks[i]);
	}
	cr_expect_eq(pages_used(p), 0);
	pages_destroy(p);
}

Test(pages, nobody_else_maps_it_writable)
{
	struct pages *p;
	cr_assert_eq(pages_create(&p, 1 << 20, 0), 0);
	cr_expect_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, pages_fd(p), 0), MAP_FAILED);
	void *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, pages_fd(p), 0);
	cr_expect_neq(m, MAP_FAILED);
	cr_expect_eq(mprotect(m, 4096, PROT_READ | PROT_WRITE), -1);
	pages_destroy(p);
}

/* Bytes of the arena that have memory. */
static uint64_t backed(const struct pages *p)
{
	struct stat st;
	cr_assert_eq(fstat(pages_fd(p), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

Test(pages, memory_comes_by_blocks_for_chunks_that_are_used_whole_and_by_pages_for_others)
{
	enum { N = 100, BLOCK = 2 << 20 };
	uint32_t chunks[N];
	struct pages *p;
	cr_assert_eq(pages_create(&p, 64 << 20, 0), 0);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(pages_alloc(p, 0, 0, &chunks[i]), 0);
		pages_base(p)[pages_offset(chunks[i])] = 1;
	}
	cr_expect_leq(backed(p), N * 4096, "%llu", (unsigned long long)backed(p));
	for (int i = 0; i < N; i++)
		pages_put(p, chunks[i]);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			cr_assert_eq(pages_alloc_whole(p, &chunks[i]), 0);
			memset(pages_base(p) + pages_offset(chunks[i]), 0xaa, PAGE_CHUNK_SIZE);
		}
		cr_expect_leq(backed(p), N * (4096 + PAGE_CHUNK_SIZE) + BLOCK, "%llu", (unsigned long long)backed(p));
		for (int i = 0; i < N; i++)
			pages_put(p, chunks[i]);
	}
	pages_destroy(p);
}

Test(pages, each_kind_of_chunk_takes_the_others_when_the_arena_is_full)
{
	enum { N = 256 };
	uint32_t chunks[N], n = 0, one;
	struct pages *p;
	cr_assert_eq(pages_create(&p, N * PAGE_CHUNK_SIZE, 0), 0);
	for (; n < 40; n++)
		cr_assert_eq(pages_alloc(p, 0, 0, &chunks[n]), 0);
	for (; n < N; n++) {
		cr_assert_eq(pages_alloc_whole(p, &chunks[n]), 0);
		memset(pages_base(p) + pages_offset(chunks[n]), 0xaa, PAGE_CHUNK_SIZE);
	}
	cr_expect_eq(pages_alloc_whole(p, &one), ERR_NOSPC);
	cr_expect_eq(pages_alloc(p, 0, 0, &one), ERR_NOSPC);
	for (uint32_t i = 40; i < N; i++)
		pages_put(p, chunks[i]);
	for (uint32_t i = 40; i < N; i++) {
		cr_assert_eq(pages_alloc(p, 0, 0, &chunks[i]), 0);
		cr_assert(all_zero(pages_base(p) + pages_offset(chunks[i]), 0, PAGE_CHUNK_SIZE));
	}
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t k = i + 1; k < N; k++)
			cr_assert_neq(chunks[i], chunks[k]);
	cr_expect_eq(pages_alloc(p, 0, 0, &one), ERR_NOSPC);
	pages_destroy(p);
}
