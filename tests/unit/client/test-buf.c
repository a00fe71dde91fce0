/* Shows that payload buffers are apart, aligned, reused, merged again, and run out. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "client/client-buf.h"

#define SIZE ((4u << 20) + 5 * BUF_UNIT)

static struct buf_arena a;
static uint8_t *memory;

static void start(void)
{
	memory = malloc(SIZE);
	cr_assert_eq(buf_arena_init(&a, memory, SIZE, 0), 0);
}

static void count(void *arg, struct client_buf *buf)
{
	++*(int *)arg;
}

static int in_use(void)
{
	int n = 0;
	buf_arena_each(&a, count, &n);
	return n;
}

Test(buf, size_and_alignment, .init = start)
{
	struct client_buf *b = buf_arena_alloc(&a, 65536);
	cr_assert_eq(b->size, 65536);
	cr_assert_eq(b->offset % 65536, 0);
	cr_assert_eq(b->data, memory + b->offset);
	cr_assert_eq(b->n_refs, 1);
	struct client_buf *c = buf_arena_alloc(&a, 1);
	cr_assert(c->offset >= b->offset + 65536 || c->offset + BUF_UNIT <= b->offset);
	cr_assert_null(buf_arena_alloc(&a, (1 << 20) + 1));
	cr_assert_eq(in_use(), 2);
}

Test(buf, all_of_it_can_be_had_again, .init = start)
{
	for (int round = 0; round < 3; round++) {
		struct client_buf *small[SIZE / BUF_UNIT], *big[4];
		for (size_t i = 0; i < ARRAY_SIZE(small); i++)
			cr_assert_not_null(small[i] = buf_arena_alloc(&a, BUF_UNIT), "%zu", i);
		cr_assert_null(buf_arena_alloc(&a, 1));
		for (size_t i = 0; i < ARRAY_SIZE(small); i++)
			buf_arena_free(&a, small[i]);
		for (size_t i = 0; i < ARRAY_SIZE(big); i++)
			cr_assert_not_null(big[i] = buf_arena_alloc(&a, 1 << 20), "%zu", i);
		for (size_t i = 0; i < ARRAY_SIZE(big); i++)
			buf_arena_free(&a, big[i]);
		cr_assert_eq(in_use(), 0);
	}
}

Test(buf, random_use_never_overlaps, .init = start)
{
	struct client_buf *held[64] = {0};
	unsigned seed = 7;
	for (int i = 0; i < 20000; i++) {
		size_t at = (size_t)rand_r(&seed) % 64;
		if (held[at]) {
			for (uint32_t k = 0; k < held[at]->size; k += 511)
				cr_assert_eq(held[at]->data[k], (uint8_t)at);
			buf_arena_free(&a, held[at]);
			held[at] = NULL;
			continue;
		}
		held[at] = buf_arena_alloc(&a, 1 + (uint32_t)rand_r(&seed) % 150000);
		if (held[at])
			memset(held[at]->data, (int)at, held[at]->size);
	}
}
