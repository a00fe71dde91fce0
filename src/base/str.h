/*
 * Bounded strings: copying, strict parsing of what people type, formatting of numbers and times,
 * and the nearest known word for a mistyped one. Nothing allocates. Parsers take the whole text or fail.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/compiler.h"

/* str_copy() - copies src with its NUL into size bytes; ERR_NAMETOOLONG when cut (still terminated). */
int str_copy(char *dst, size_t size, const char *src);
/* str_join() - appends src to the string in dst, after sep when dst is not empty; ERR_NAMETOOLONG when cut. */
int str_join(char *dst, size_t size, const char *sep, const char *src);
/* str_trim() - moves past leading blanks and cuts trailing ones, in place. */
char *str_trim(char *s);
/* str_next() - the next piece of *rest, cut at sep in place and trimmed; NULL at the end. */
char *str_next(char **rest, char sep);
bool str_starts(const char *s, const char *prefix);

/* Decimal digits only (str_parse_i64(): a sign first). ERR_INVAL: not a number, ERR_RANGE: not within min..max. */
int str_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);
int str_parse_i64(const char *text, int64_t min, int64_t max, int64_t *value);
/* str_parse_bool() - yes/no, true/false, on/off, 1/0. */
int str_parse_bool(const char *text, bool *value);
/* str_parse_size() - bytes: digits with an optional B, K, M, G, T, P or KiB, MiB ... (powers of 1024). */
int str_parse_size(const char *text, uint64_t *bytes);
/* str_parse_duration() - nanoseconds: digits with ns, us, ms, s, m, h or d; a bare number is seconds. */
int str_parse_duration(const char *text, uint64_t *ns);

#define STR_SIZE_SIZE 16
/* str_format_size() - "4.0 KiB", "17 B". */
void str_format_size(char *out, size_t size, uint64_t bytes);
#define STR_DURATION_SIZE 24
/* str_format_duration() - the two largest units: "3d 4h", "12ms". */
void str_format_duration(char *out, size_t size, uint64_t ns);
#define STR_TIME_SIZE 40
/* str_format_time() - RFC 3339 in UTC, with that many decimals of a second (0 to 9). */
void str_format_time(char *out, size_t size, uint64_t wall_ns, int n_decimals);

/* str_distance() - Levenshtein distance, two swapped neighbours counting once; words longer than 63 bytes count as far from everything. */
uint32_t str_distance(const char *a, const char *b);
/*
 * str_nearest() - of n table rows of stride bytes, each starting with a const char * name, the name nearest
 * to word, when near enough to be what was meant; NULL otherwise. Rows with a NULL name are passed over.
 */
const char *str_nearest(const char *word, const void *rows, size_t n, size_t stride);

#endif
