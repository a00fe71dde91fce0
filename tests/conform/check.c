/* Checks: they count, and print what was expected of which expression when it did not hold. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/conform/run.h"

#define FAILURES_PRINTED 12

_Atomic unsigned long conform_op_calls[OP_N_CODES];

static bool pass(struct test *t)
{
	atomic_fetch_add(&t->counts->n_checks, 1);
	return true;
}

static bool fail(struct test *t, const char *file, int line, const char *fmt, ...) PRINTF_LIKE(4, 5);

static bool fail(struct test *t, const char *file, int line, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	atomic_fetch_add(&t->counts->n_checks, 1);
	if (atomic_fetch_add(&t->counts->n_failed, 1) >= FAILURES_PRINTED)
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("  %s: %s:%d: %s%s%s%s\n", t->counts->running ? t->counts->running->name : "set-up", file, line,
	       t->row[0] ? "[" : "", t->row, t->row[0] ? "] " : "", text);
	fflush(stdout);
	return false;
}

void row(struct test *t, const char *fmt, ...)
{
	va_list ap;

	t->row[0] = 0;
	if (!fmt)
		return;
	va_start(ap, fmt);
	vsnprintf(t->row, sizeof(t->row), fmt, ap);
	va_end(ap);
}

bool check_err(struct test *t, const char *file, int line, const char *expr, int got, int want)
{
	if (got == want)
		return pass(t);
	return fail(t, file, line, "%s is %s, expected %s", expr, err_name(got), err_name(want));
}

bool check_either(struct test *t, const char *file, int line, const char *expr, int got, int want1, int want2)
{
	if (got == want1 || got == want2)
		return pass(t);
	return fail(t, file, line, "%s is %s, expected %s or %s", expr, err_name(got), err_name(want1), err_name(want2));
}

bool check_u64(struct test *t, const char *file, int line, const char *expr, uint64_t got, uint64_t want)
{
	if (got == want)
		return pass(t);
	return fail(t, file, line, "%s is %llu (0%llo), expected %llu (0%llo)", expr, (unsigned long long)got,
	            (unsigned long long)got, (unsigned long long)want, (unsigned long long)want);
}

bool check_ne(struct test *t, const char *file, int line, const char *expr, uint64_t got, uint64_t unwanted)
{
	if (got != unwanted)
		return pass(t);
	return fail(t, file, line, "%s is %llu, expected another value", expr, (unsigned long long)got);
}

bool check_true(struct test *t, const char *file, int line, const char *expr, bool got)
{
	return got ? pass(t) : fail(t, file, line, "%s does not hold", expr);
}

bool check_bytes(struct test *t, const char *file, int line, const char *expr, const void *got, const void *want,
                 size_t size)
{
	const uint8_t *g = got, *w = want;
	size_t i;

	if (!memcmp(g, w, size))
		return pass(t);
	for (i = 0; g[i] == w[i]; i++)
		;
	return fail(t, file, line, "%s differs at byte %zu of %zu: 0x%02x, expected 0x%02x", expr, i, size, g[i], w[i]);
}

bool check_time(struct test *t, const char *file, int line, const char *expr, struct op_time got, struct op_time want,
                const char *relation)
{
	int cmp = op_time_cmp(got, want);

	if (relation[0] == '=' ? cmp == 0 : cmp > 0)
		return pass(t);
	return fail(t, file, line, "%s is %lld.%09u, expected %s %lld.%09u", expr, (long long)got.sec, got.nsec, relation,
	            (long long)want.sec, want.nsec);
}
