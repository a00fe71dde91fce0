/* Shows strict parsing of numbers, sizes and durations, bounded copies, and the nearest known word. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

Test(str, copy_and_join)
{
	char out[8] = "";
	cr_assert_eq(str_copy(out, sizeof(out), "1234567"), 0);
	cr_assert_eq(str_copy(out, sizeof(out), "12345678"), ERR_NAMETOOLONG);
	cr_assert_str_eq(out, "1234567");
	out[0] = '\0';
	cr_assert_eq(str_join(out, sizeof(out), ", ", "ab"), 0);
	cr_assert_eq(str_join(out, sizeof(out), ", ", "cd"), 0);
	cr_assert_str_eq(out, "ab, cd");
	cr_assert_eq(str_join(out, sizeof(out), ", ", "ef"), ERR_NAMETOOLONG);
}

Test(str, next)
{
	char text[] = " a , b c,,d";
	char *rest = text;
	cr_assert_str_eq(str_next(&rest, ','), "a");
	cr_assert_str_eq(str_next(&rest, ','), "b c");
	cr_assert_str_eq(str_next(&rest, ','), "");
	cr_assert_str_eq(str_next(&rest, ','), "d");
	cr_assert_null(str_next(&rest, ','));
}

Test(str, integers)
{
	uint64_t u;
	int64_t i;
	cr_assert(str_parse_u64("18446744073709551615", 0, UINT64_MAX, &u) == 0 && u == UINT64_MAX);
	cr_assert_eq(str_parse_u64("18446744073709551616", 0, UINT64_MAX, &u), ERR_RANGE);
	cr_assert_eq(str_parse_u64("65536", 1, 65535, &u), ERR_RANGE);
	for (const char *const *p = (const char *const[]){"", "-1", "+1", " 1", "1 ", "0x1", "1a", NULL}; *p; p++)
		cr_assert_eq(str_parse_u64(*p, 0, UINT64_MAX, &u), ERR_INVAL, "'%s'", *p);
	cr_assert(str_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i) == 0 && i == INT64_MIN);
	cr_assert_eq(str_parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i), ERR_RANGE);
	cr_assert_eq(str_parse_i64("--1", INT64_MIN, INT64_MAX, &i), ERR_INVAL);
}

Test(str, sizes_and_durations)
{
	uint64_t v;
	cr_assert(str_parse_size("4M", &v) == 0 && v == 4 << 20);
	cr_assert(str_parse_size("1GiB", &v) == 0 && v == 1 << 30);
	cr_assert(str_parse_size("512", &v) == 0 && v == 512);
	cr_assert_eq(str_parse_size("4 M", &v), ERR_INVAL);
	cr_assert_eq(str_parse_size("M", &v), ERR_INVAL);
	cr_assert_eq(str_parse_size("99999999P", &v), ERR_RANGE);
	cr_assert(str_parse_duration("10ms", &v) == 0 && v == 10000000);
	cr_assert(str_parse_duration("2", &v) == 0 && v == 2000000000);
	cr_assert(str_parse_duration("1d", &v) == 0 && v == 86400000000000ULL);
	cr_assert_eq(str_parse_duration("1y", &v), ERR_INVAL);
}

Test(str, booleans)
{
	bool v = false;
	cr_assert(str_parse_bool("Yes", &v) == 0 && v);
	cr_assert(str_parse_bool("off", &v) == 0 && !v);
	cr_assert_eq(str_parse_bool("maybe", &v), ERR_INVAL);
}

Test(str, formats)
{
	char out[STR_TIME_SIZE];
	str_format_size(out, sizeof(out), 1023);
	cr_assert_str_eq(out, "1023 B");
	str_format_size(out, sizeof(out), 1536);
	cr_assert_str_eq(out, "1.5 KiB");
	str_format_size(out, sizeof(out), UINT64_MAX);
	cr_assert_str_eq(out, "15.9 EiB");
	str_format_duration(out, sizeof(out), 90061ULL * 1000000000);
	cr_assert_str_eq(out, "1d 1h");
	str_format_duration(out, sizeof(out), 12000000);
	cr_assert_str_eq(out, "12ms");
	str_format_duration(out, sizeof(out), 0);
	cr_assert_str_eq(out, "0ns");
	str_format_time(out, sizeof(out), 1500000000123456789ULL, 3);
	cr_assert_str_eq(out, "2017-07-14T02:40:00.123Z");
	str_format_time(out, sizeof(out), 1500000000123456789ULL, 0);
	cr_assert_str_eq(out, "2017-07-14T02:40:00Z");
}

Test(str, nearest)
{
	static const char *const words[] = {"port", "listen", NULL, "mount_port"};
	cr_assert_eq(str_distance("kitten", "sitting"), 3);
	cr_assert_eq(str_distance("nsf", "nfs"), 1);
	cr_assert_str_eq(str_nearest("prot", words, 4, sizeof(words[0])), "port");
	cr_assert_str_eq(str_nearest("lisen", words, 4, sizeof(words[0])), "listen");
	cr_assert_null(str_nearest("zzz", words, 4, sizeof(words[0])));
}
