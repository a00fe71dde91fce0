/*
 * INI text through inih, with what it lacks: line numbers, long section names, an error instead of a cut
 * for lines that are too long, and the reason for a failure. A line that starts with a blank continues
 * the value above: the callback is then called again with the same key.
 */
#ifndef BASE_INI_H
#define BASE_INI_H

#include "base/compiler.h"

#define INI_TEXT_MAX (4U << 20) /* bytes of INI text; more is refused */

struct ini_line {
	const char *section;   /* "" before the first; valid during the call */
	const char *key;       /* NULL: a section begins */
	const char *value;     /* NULL: a section begins */
	uint32_t line;         /* from 1 */
	bool continued;        /* a further line of the value of the call before */
};

/* A callback gives 0, or ERR_* to stop: ini_parse_text() then gives that. It says itself what was wrong. */
typedef int ini_fn(void *arg, const struct ini_line *at);

struct ini_error {
	uint32_t line;
	const char *what; /* static storage; NULL when the callback stopped it */
};

/*
 * ini_parse_text() - calls fn for each section and each key. ERR_INVAL: not INI, error says where and why;
 * ERR_OVERFLOW: longer than INI_TEXT_MAX. One at a time per process: inih's limits are global.
 */
int ini_parse_text(const char *text, size_t size, ini_fn *fn, void *arg, struct ini_error *error);

#endif
