/* Shows the three formats of a log line, levels per module, and that a flood is cut and counted. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"

LOG_MODULE("unit");

static uint64_t fake_now = 1500000000000000000ULL;

static uint64_t fake_clock(void)
{
	return fake_now;
}

static char *text;
static size_t text_size;
static FILE *sink;

static void begin(enum log_format format)
{
	sink = open_memstream(&text, &text_size);
	log_set_clock(fake_clock);
	log_open("prog", sink, format);
	log_set_level("unit", LOG_NOTICE);
}

static void end(void)
{
	log_open("prog", stderr, LOG_FORMAT_TEXT);
	fclose(sink);
	free(text);
}

Test(log, text_escapes_control_characters)
{
	begin(LOG_FORMAT_TEXT);
	log_notice("hello %d\n2017 forged", 5);
	cr_assert_str_eq(text, "2017-07-14T02:40:00.000000Z prog notice[unit] hello 5\\x0a2017 forged\n");
	cr_assert_eq(log_lines(LOG_NOTICE), 1);
	end();
}

Test(log, json_and_journal)
{
	begin(LOG_FORMAT_JSON);
	log_error("a \"b\"");
	cr_assert_str_eq(text, "{\"time\":\"2017-07-14T02:40:00.000000000Z\",\"program\":\"prog\",\"level\":\"error\","
	                       "\"module\":\"unit\",\"message\":\"a \\\"b\\\"\"}\n");
	end();
	begin(LOG_FORMAT_JOURNAL);
	log_warn("careful");
	cr_assert_str_eq(text, "<4>unit: careful\n");
	end();
}

Test(log, levels)
{
	enum log_level level;
	begin(LOG_FORMAT_JOURNAL);
	log_info("not shown");
	fflush(sink);
	cr_assert_eq(text_size, 0);
	cr_assert_eq(log_set_level("unit", LOG_TRACE), 0);
	log_trace("shown");
	cr_assert_str_eq(text, "<7>unit: shown\n");
	cr_assert_eq(log_set_level("nothing", LOG_TRACE), ERR_NOENT);
	cr_assert_eq(log_set_level("*", LOG_ERROR), 0);
	cr_assert_eq(log_level_parse("Warn", &level), 0);
	cr_assert_eq(level, LOG_WARN);
	cr_assert_eq(log_level_parse("loud", &level), ERR_INVAL);
	cr_assert_not_null(log_modules());
	end();
}

Test(log, flood_is_limited_and_reported)
{
	begin(LOG_FORMAT_JOURNAL);
	for (int i = 0; i < 1000; i++)
		log_error("again");
	size_t n = text_size;
	log_error("again");
	cr_assert_eq(text_size, n);
	fake_now += 1000000000ULL;
	log_error("calm");
	cr_assert_not_null(strstr(text, "<4>unit: 801 lines suppressed\n<3>unit: calm\n"));
	end();
}
