/* Shows that cursors convert byte orders, stop at the end, and keep their first error. */
#include <criterion/criterion.h>

#include "base/cursor.h"
#include "base/err.h"

Test(cursor, round_trip)
{
	uint8_t data[29];
	struct cursor w, r;
	cursor_init(&w, data, sizeof(data));
	cursor_put_u8(&w, 0x12);
	cursor_put_be16(&w, 0x1234);
	cursor_put_le16(&w, 0x1234);
	cursor_put_be32(&w, 0x12345678);
	cursor_put_le32(&w, 0x12345678);
	cursor_put_be64(&w, 0x123456789abcdef0);
	cursor_put_le64(&w, 0x123456789abcdef0);
	cr_assert(!cursor_failed(&w) && cursor_left(&w) == 0);
	cr_assert_arr_eq(data, "\x12\x12\x34\x34\x12\x12\x34\x56\x78\x78\x56\x34\x12", 13);
	cursor_init(&r, data, sizeof(data));
	cr_assert_eq(cursor_u8(&r), 0x12);
	cr_assert_eq(cursor_be16(&r), 0x1234);
	cr_assert_eq(cursor_le16(&r), 0x1234);
	cr_assert_eq(cursor_be32(&r), 0x12345678);
	cr_assert_eq(cursor_le32(&r), 0x12345678);
	cr_assert_eq(cursor_be64(&r), 0x123456789abcdef0);
	cr_assert_eq(cursor_le64(&r), 0x123456789abcdef0);
	cr_assert(!cursor_failed(&r));
}

Test(cursor, reads_past_the_end_are_zero)
{
	uint8_t data[3] = {1, 2, 3};
	struct cursor c;
	cursor_init(&c, data, sizeof(data));
	cr_assert_eq(cursor_be32(&c), 0);
	cr_assert_eq(c.err, ERR_EOF);
	cr_assert_eq(cursor_u8(&c), 0, "nothing is read after an error");
	cursor_fail(&c, ERR_PROTO);
	cr_assert_eq(c.err, ERR_EOF, "the first error stays");
}

Test(cursor, huge_sizes_do_not_wrap)
{
	uint8_t data[8] = {0};
	struct cursor c;
	cursor_init(&c, data, sizeof(data));
	cr_assert_null(cursor_bytes(&c, SIZE_MAX));
	cr_assert_eq(c.err, ERR_EOF);
}

Test(cursor, writes_past_the_end_are_dropped)
{
	uint8_t data[4] = {9, 9, 9, 9};
	struct cursor c;
	cursor_init(&c, data, 3);
	cursor_put_be32(&c, 0);
	cr_assert(cursor_failed(&c));
	cr_assert_arr_eq(data, "\x9\x9\x9\x9", 4);
}
