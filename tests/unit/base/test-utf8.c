/* Shows what is UTF-8 and what is not, and that folding makes names equal that differ in case only. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

Test(utf8, valid)
{
	static const char *const good[] = {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
	                                  "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc2", "\xe2\x82", "\xff"};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_assert(utf8_valid(good[i], strlen(good[i])), "%zu", i);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert(!utf8_valid(bad[i], strlen(bad[i])), "%zu", i);
}

Test(utf8, encode_decode)
{
	static const uint32_t codes[] = {0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		uint8_t out[4];
		uint32_t back;
		int n = utf8_encode(codes[i], out);
		cr_assert_eq(utf8_decode(out, (size_t)n, &back), n);
		cr_assert_eq(back, codes[i]);
		cr_assert(n == 1 || utf8_decode(out, (size_t)n - 1, &back) == ERR_INVAL);
	}
	cr_assert_eq(utf8_encode(0xd800, (uint8_t[4]){0}), ERR_INVAL);
	cr_assert_eq(utf8_encode(0x110000, (uint8_t[4]){0}), ERR_INVAL);
}

static int compare(const char *a, const char *b)
{
	return utf8_fold_cmp(a, strlen(a), b, strlen(b));
}

static uint32_t fold(const char *s, uint8_t out[UTF8_FOLD_ROOM(64)])
{
	return utf8_fold_name(s, strlen(s), out);
}

Test(utf8, fold)
{
	static const char *const pairs[][2] = {
		{"README", "readme"}, {"\xc3\x89t\xc3\xa9", "\xc3\xa9T\xc3\x89"}, {"\xd0\x96", "\xd0\xb6"}, {"\xce\xa9", "\xcf\x89"},
		{"\xc4\x80", "\xc4\x81"}, {"\xe1\xba\x9e", "\xc3\x9f"}, {"\xe2\x84\xaa", "k"}, {"\xcf\x82", "\xce\xa3"},
		{"\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"}, {"A\xff", "a\xff"},
	};
	uint8_t a[UTF8_FOLD_ROOM(64)], b[UTF8_FOLD_ROOM(64)];
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		cr_assert_eq(compare(pairs[i][0], pairs[i][1]), 0, "%zu", i);
		uint32_t size = fold(pairs[i][0], a);
		cr_assert_eq(size, fold(pairs[i][1], b), "%zu", i);
		cr_assert_eq(memcmp(a, b, size), 0, "%zu", i);
	}
	cr_assert_lt(compare("a", "B"), 0);
	cr_assert_lt(compare("a", "ab"), 0);
	cr_assert_neq(compare("\xff", "\xfe"), 0);
	cr_assert_neq(compare("\xc4\xb0", "i"), 0, "dotted I has no simple folding");
	cr_assert_neq(compare("\xc3\x9f", "ss"), 0, "full folding");
	cr_assert_neq(compare("\xc3\x89", "E\xcc\x81"), 0, "normalisation");
	cr_assert_neq(compare("\xc9", "\xe9"), 0, "Latin-1 is bytes");
}

/* Folding twice is folding once, and no name outgrows its room. */
Test(utf8, fold_all)
{
	uint8_t before[4], after[4];
	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		int n = utf8_encode(code, before);
		if (n < 0)
			continue;
		cr_assert_eq(utf8_fold(utf8_fold(code)), utf8_fold(code), "U+%04X", code);
		cr_assert(utf8_encode(utf8_fold(code), after) * 2 <= n * 3, "U+%04X", code);
	}
}
