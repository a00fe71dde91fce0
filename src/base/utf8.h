/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/compiler.h"

/* utf8_decode() - the code point at s; how many bytes it takes, or ERR_INVAL (also when size is 0). */
int utf8_decode(const void *s, size_t size, uint32_t *code);
/* utf8_encode() - 1 to 4 bytes to out, which has room for 4; ERR_INVAL for what is no scalar value. */
int utf8_encode(uint32_t code, uint8_t *out);
bool utf8_valid(const void *s, size_t size);

/* utf8_fold() - Unicode's simple case folding of one code point (statuses C and S of CaseFolding.txt); nothing is normalised. */
uint32_t utf8_fold(uint32_t code);

/* utf8_fold_name() - size bytes with every code point folded; bytes that are no UTF-8 stay as they are. Returns how many. */
#define UTF8_FOLD_ROOM(size) ((size) + (size) / 2 + 4) /* bytes that out has to have */
uint32_t utf8_fold_name(const void *name, size_t size, uint8_t *out);
/* utf8_fold_cmp() - the order of two names by folded code points; 0 when they differ in case only. */
int utf8_fold_cmp(const void *a, size_t a_size, const void *b, size_t b_size);

#endif
