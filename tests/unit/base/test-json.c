/* Shows that the JSON writer escapes any bytes and that the reader takes JSON and nothing else. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"

Test(json, writer)
{
	struct bytes b;
	struct json j;
	bytes_init(&b, 0);
	json_init(&j, &b);
	json_object(&j, NULL);
	json_str(&j, "a", "x\"\\\n\x01y");
	json_array(&j, "b");
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, -5);
	json_object(&j, NULL);
	json_end(&j);
	json_end(&j);
	json_strn(&j, "bad", "\xff\xc3\xa9\0", 4);
	json_bool(&j, "t", true);
	json_str(&j, "n", NULL);
	json_time(&j, "when", 1500000000000000001ULL);
	json_end(&j);
	cr_assert_str_eq(bytes_str(&b),
	                 "{\"a\":\"x\\\"\\\\\\n\\u0001y\",\"b\":[18446744073709551615,-5,{}],"
	                 "\"bad\":\"\xef\xbf\xbd\xc3\xa9\\u0000\",\"t\":true,\"n\":null,"
	                 "\"when\":\"2017-07-14T02:40:00.000000001Z\"}");
	bytes_fini(&b);
}

Test(json, writer_depth_is_bounded)
{
	struct bytes b;
	struct json j;
	bytes_init(&b, 0);
	json_init(&j, &b);
	for (int i = 0; i < 100; i++)
		json_array(&j, NULL);
	cr_assert(bytes_failed(&b));
	bytes_fini(&b);
}

static int parse(struct arena *a, const char *text, struct json_value **root)
{
	return json_parse(a, text, strlen(text), root);
}

Test(json, reader)
{
	struct arena a;
	struct json_value *v;
	arena_init(&a, NULL, 0, 0);
	cr_assert_eq(parse(&a, " {\"a\": [1, -2.5e3, true, null], \"s\":\"\\u00e9\\ud83d\\ude00\\ud800\\n\"} ", &v), 0);
	const struct json_value *list = json_get(v, "a");
	cr_assert_eq(list->type, JSON_ARRAY);
	cr_assert_str_eq(list->child->next->text, "-2.5e3");
	cr_assert_eq(list->child->next->next->type, JSON_BOOL);
	cr_assert_eq(list->child->next->next->next->type, JSON_NULL);
	cr_assert_str_eq(json_text(v, "s", ""), "\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd\n");
	cr_assert_null(json_get(v, "none"));
	cr_assert_null(json_get(NULL, "none"));
	cr_assert_eq(parse(&a, "[]", &v), 0);
	cr_assert_null(v->child);
	arena_fini(&a);
}

Test(json, reader_refuses)
{
	static const char *const bad[] = {
		"", "{", "[1,", "[1 2]", "{\"a\" 1}", "{a:1}", "nul", "\"x", "\"\\u12\"", "\"\\q\"", "1 2", "[1,]", "\"\n\"",
		"\"\\", "+1",
	};
	struct json_value *v;
	char deep[200];
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct arena a;
		arena_init(&a, NULL, 0, 0);
		cr_assert_eq(parse(&a, bad[i], &v), ERR_PROTO, "%s", bad[i]);
		arena_fini(&a);
	}
	struct arena a;
	arena_init(&a, NULL, 0, 0);
	memset(deep, '[', sizeof(deep));
	cr_assert_eq(json_parse(&a, deep, sizeof(deep), &v), ERR_PROTO);
	arena_fini(&a);
}
