/* Suffixes are tables; a number parser latches overflow instead of wrapping. */
#include "base/str.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/err.h"

#define NS_PER_SECOND 1000000000ULL
#define WORD_MAX 63

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1},           {"B", 1},           {"K", 1ULL << 10},   {"KiB", 1ULL << 10}, {"M", 1ULL << 20},
	{"MiB", 1ULL << 20}, {"G", 1ULL << 30}, {"GiB", 1ULL << 30}, {"T", 1ULL << 40},   {"TiB", 1ULL << 40},
	{"P", 1ULL << 50}, {"PiB", 1ULL << 50},
};

static const struct unit duration_units[] = {
	{"", NS_PER_SECOND},          {"ns", 1},
	{"us", 1000},                 {"ms", 1000000},
	{"s", NS_PER_SECOND},         {"m", 60 * NS_PER_SECOND},
	{"h", 3600 * NS_PER_SECOND},  {"d", 86400 * NS_PER_SECOND},
};

int str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size);
	if (size == 0)
		return ERR_NAMETOOLONG;
	if (n == size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = '\0';
		return ERR_NAMETOOLONG;
	}
	memcpy(dst, src, n + 1);
	return 0;
}

int str_join(char *dst, size_t size, const char *sep, const char *src)
{
	size_t used = strnlen(dst, size);
	int err = 0;
	if (used == size)
		return ERR_NAMETOOLONG;
	if (used)
		err = str_copy(dst + used, size - used, sep);
	if (err)
		return err;
	used += strlen(dst + used);
	return str_copy(dst + used, size - used, src);
}

char *str_trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	char *end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

char *str_next(char **rest, char sep)
{
	char *piece = *rest;
	if (!piece)
		return NULL;
	char *at = strchr(piece, sep);
	*rest = at ? at + 1 : NULL;
	if (at)
		*at = '\0';
	return str_trim(piece);
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int parse_digits(const char **at, uint64_t *value)
{
	const char *p = *at;
	uint64_t v = 0;
	int err = isdigit((unsigned char)*p) ? 0 : ERR_INVAL;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			err = ERR_RANGE;
	*at = p;
	*value = v;
	return err;
}

int str_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t v;
	int err = parse_digits(&text, &v);
	if (*text)
		return ERR_INVAL;
	if (err)
		return err;
	if (v < min || v > max)
		return ERR_RANGE;
	*value = v;
	return 0;
}

int str_parse_i64(const char *text, int64_t min, int64_t max, int64_t *value)
{
	bool negative = *text == '-';
	uint64_t v;
	int err = str_parse_u64(text + (*text == '-' || *text == '+'), 0, (uint64_t)INT64_MAX + negative, &v);
	if (err)
		return err;
	int64_t n = negative ? (int64_t)(0 - v) : (int64_t)v;
	if (n < min || n > max)
		return ERR_RANGE;
	*value = n;
	return 0;
}

int str_parse_bool(const char *text, bool *value)
{
	static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		for (int v = 0; v < 2; v++) {
			if (strcasecmp(text, words[i][v]) == 0) {
				*value = v;
				return 0;
			}
		}
	}
	return ERR_INVAL;
}

static int parse_scaled(const char *text, const struct unit *units, size_t n, uint64_t *value)
{
	uint64_t v;
	int err = parse_digits(&text, &v);
	if (err == ERR_INVAL)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(text, units[i].suffix) != 0)
			continue;
		if (err || __builtin_mul_overflow(v, units[i].factor, &v))
			return ERR_RANGE;
		*value = v;
		return 0;
	}
	return ERR_INVAL;
}

int str_parse_size(const char *text, uint64_t *bytes)
{
	return parse_scaled(text, size_units, ARRAY_SIZE(size_units), bytes);
}

int str_parse_duration(const char *text, uint64_t *ns)
{
	return parse_scaled(text, duration_units, ARRAY_SIZE(duration_units), ns);
}

void str_format_size(char *out, size_t size, uint64_t bytes)
{
	static const char letters[] = "KMGTPE";
	int unit = -1;
	uint64_t whole = bytes, rest = 0;
	for (; whole >= 1024; whole >>= 10, unit++)
		rest = whole & 1023;
	if (unit < 0)
		snprintf(out, size, "%" PRIu64 " B", bytes);
	else
		snprintf(out, size, "%" PRIu64 ".%u %ciB", whole, (unsigned int)(rest * 10 / 1024), letters[unit]);
}

void str_format_duration(char *out, size_t size, uint64_t ns)
{
	for (size_t i = ARRAY_SIZE(duration_units) - 1; i > 0; i--) {
		const struct unit *u = &duration_units[i], *lower = &duration_units[i - 1];
		if (ns < u->factor && i > 1)
			continue;
		uint64_t rest = i > 4 ? ns % u->factor / lower->factor : 0;
		if (rest)
			snprintf(out, size, "%" PRIu64 "%s %" PRIu64 "%s", ns / u->factor, u->suffix, rest,
			         lower->suffix);
		else
			snprintf(out, size, "%" PRIu64 "%s", ns / u->factor, u->suffix);
		return;
	}
}

void str_format_time(char *out, size_t size, uint64_t wall_ns, int n_decimals)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_SECOND);
	char date[24], fraction[16];
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(fraction, sizeof(fraction), ".%09u", (unsigned int)(wall_ns % NS_PER_SECOND));
	snprintf(out, size, "%s%.*sZ", date, n_decimals ? MIN(n_decimals, 9) + 1 : 0, fraction);
}

uint32_t str_distance(const char *a, const char *b)
{
	size_t n_a = strlen(a), n_b = strlen(b);
	uint8_t rows[3][WORD_MAX + 1]; /* row i is rows[i % 3] */
	if (n_a > WORD_MAX || n_b > WORD_MAX)
		return WORD_MAX + 1;
	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = (uint8_t)j;
	for (size_t i = 1; i <= n_a; i++) {
		uint8_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= n_b; j++) {
			bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
			int least = MIN(above[j], row[j - 1]) + 1, change = above[j - 1] + (a[i - 1] != b[j - 1]);
			least = MIN(least, change);
			row[j] = (uint8_t)(swapped ? MIN(least, before[j - 2] + 1) : least);
		}
	}
	return rows[n_a % 3][n_b];
}

const char *str_nearest(const char *word, const void *rows, size_t n, size_t stride)
{
	const char *best = NULL;
	uint32_t best_distance = (uint32_t)MAX(strlen(word) / 2, (size_t)1) + 1;
	for (size_t i = 0; i < n; i++) {
		const char *name = *(const char *const *)((const char *)rows + i * stride);
		uint32_t d = name ? str_distance(word, name) : UINT32_MAX;
		if (d < best_distance) {
			best_distance = d;
			best = name;
		}
	}
	return best;
}
