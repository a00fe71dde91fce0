/* Shows that buffers and arenas grow, keep their limits, and latch the first error. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

Test(bytes, grows_and_stays_terminated)
{
	struct bytes b;
	bytes_init(&b, 0);
	cr_assert_str_eq(bytes_str(&b), "");
	for (int i = 0; i < 1000; i++)
		bytes_printf(&b, "%d,", i % 10);
	cr_assert_eq(b.size, 2000);
	cr_assert_eq(strlen(bytes_str(&b)), 2000);
	bytes_clear(&b);
	bytes_puts(&b, "again");
	cr_assert_str_eq(bytes_str(&b), "again");
	bytes_fini(&b);
}

Test(bytes, limit_is_sticky)
{
	struct bytes b;
	bytes_init(&b, 4);
	bytes_puts(&b, "abcd");
	cr_assert(!bytes_failed(&b));
	bytes_putc(&b, 'e');
	cr_assert_eq(b.err, ERR_OVERFLOW);
	bytes_clear(&b);
	bytes_putc(&b, 'f');
	cr_assert_str_eq(bytes_str(&b), "f");
	bytes_fini(&b);
}

Test(arena, uses_the_callers_memory_first)
{
	_Alignas(16) uint8_t first[64];
	struct arena a;
	arena_init(&a, first, sizeof(first), 0);
	uint8_t *p = arena_alloc(&a, 40);
	cr_assert(p >= first && p + 40 <= first + sizeof(first));
	uint8_t *q = arena_alloc(&a, 40);
	cr_assert(q && (q < first || q >= first + sizeof(first)));
	cr_assert_eq((uintptr_t)q % 16, 0);
	arena_fini(&a);
}

Test(arena, big_allocations_and_limit)
{
	struct arena a;
	arena_init(&a, NULL, 0, 2 << 20);
	char *p = arena_zalloc(&a, 1 << 20);
	cr_assert(p && p[0] == 0 && p[(1 << 20) - 1] == 0);
	cr_assert_null(arena_alloc(&a, (1 << 20) + 1));
	cr_assert_not_null(arena_alloc(&a, 1 << 19));
	cr_assert_null(arena_alloc(&a, SIZE_MAX));
	cr_assert_str_eq(arena_printf(&a, "%s-%d", "x", 7), "x-7");
	cr_assert_str_eq(arena_strndup(&a, "hello", 3), "hel");
	arena_fini(&a);
}
