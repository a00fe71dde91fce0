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

static uint64_t hash(const char *s)
{
	return utf8_fold_hash(s, strlen(s));
}

Test(utf8, fold)
{
	static const char *const pairs[][2] = {
		{"README", "readme"}, {"\xc3\x89t\xc3\xa9", "\xc3\xa9T\xc3\x89"}, {"\xd0\x96", "\xd0\xb6"}, {"\xce\xa9", "\xcf\x89"},
		{"\xc4\x80", "\xc4\x81"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		cr_assert_eq(compare(pairs[i][0], pairs[i][1]), 0, "%zu", i);
		cr_assert_eq(hash(pairs[i][0]), hash(pairs[i][1]), "%zu", i);
	}
	cr_assert_lt(compare("a", "B"), 0);
	cr_assert_lt(compare("a", "ab"), 0);
	cr_assert_neq(compare("\xff", "\xfe"), 0);
	cr_assert_neq(hash("a"), hash("b"));
}

static uint32_t identity(uint32_t code)
{
	return code;
}

Test(utf8, fold_hook)
{
	utf8_set_fold(identity);
	cr_assert_neq(compare("A", "a"), 0);
	utf8_set_fold(NULL);
	cr_assert_eq(compare("A", "a"), 0);
}
