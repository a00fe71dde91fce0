/* Shows what INI text is accepted, with which line numbers, and how each mistake is reported. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/ini.h"

static int record(void *arg, const struct ini_line *at)
{
	struct bytes *out = arg;
	if (at->key && strcmp(at->key, "stop") == 0)
		return ERR_NOENT;
	if (at->key)
		bytes_printf(out, "%u%s:%s.%s=%s|", at->line, at->continued ? "+" : "", at->section, at->key, at->value);
	else
		bytes_printf(out, "%u:[%s]|", at->line, at->section);
	return 0;
}

static void expect(const char *text, const char *seen, int err, uint32_t line, const char *what)
{
	struct bytes out;
	struct ini_error error;
	bytes_init(&out, 0);
	cr_assert_eq(ini_parse_text(text, strlen(text), record, &out, &error), err, "%s", text);
	if (seen)
		cr_assert_str_eq(bytes_str(&out), seen);
	cr_assert_eq(error.line, line);
	cr_assert(what ? error.what && strcmp(error.what, what) == 0 : !error.what, "%s", error.what);
	bytes_fini(&out);
}

Test(ini, sections_keys_comments)
{
	expect("# c\n[a]\nk = v ; note\n\n[b c]\nx=1\n", "2:[a]|3:a.k=v|5:[b c]|6:b c.x=1|", 0, 0, NULL);
	expect("k=v", "1:.k=v|", 0, 0, NULL);
	expect("", "", 0, 0, NULL);
}

Test(ini, continued_values)
{
	expect("[a]\nk = 1\n  2\n\t3\nj = 4\n", "1:[a]|2:a.k=1|3+:a.k=2|4+:a.k=3|5:a.j=4|", 0, 0, NULL);
}

Test(ini, equal_sections_are_told_apart)
{
	expect("[a]\nk=1\n[a]\nk=2\n", "1:[a]|2:a.k=1|3:[a]|4:a.k=2|", 0, 0, NULL);
}

Test(ini, mistakes)
{
	expect("[a]\nno value\nk=1\n", NULL, ERR_INVAL, 2, "expected KEY = VALUE");
	expect("[a\nk=1\n", NULL, ERR_INVAL, 1, "expected ] after the section's name");
	expect("[a]\nk=1\nstop=1\nk=2\n", "1:[a]|2:a.k=1|", ERR_NOENT, 3, NULL);
}

Test(ini, long_sections_are_kept_and_long_lines_refused)
{
	char text[20000], seen[4096];
	snprintf(text, sizeof(text), "[%0600d]\n", 7);
	snprintf(seen, sizeof(seen), "1:[%0600d]|", 7);
	expect(text, seen, 0, 0, NULL);
	snprintf(text, sizeof(text), "[a]\nk=%09000d\n", 7);
	expect(text, "1:[a]|", ERR_INVAL, 2, "line too long");
	snprintf(text, sizeof(text), "[a]\n%060d=1\n", 7);
	expect(text, "1:[a]|", ERR_INVAL, 2, "key too long");
}
