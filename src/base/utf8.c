/* Folding is simple folding by Unicode's tables, which are utf8proc's; ASCII does not ask it. */
#include "base/utf8.h"

#include <utf8proc.h>

#include "base/err.h"

#define DOTTED_I 0x130 /* has a lower case but no simple folding */

static uint32_t continuation(uint32_t code, uint8_t byte)
{
	return code << 6 | (byte & 0x3f);
}

int utf8_decode(const void *s, size_t size, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *p = s;
	if (size == 0)
		return ERR_INVAL;
	int n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (n == 0 || (size_t)n > size)
		return ERR_INVAL;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fU >> n);
	for (int i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return ERR_INVAL;
		c = continuation(c, p[i]);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return ERR_INVAL;
	*code = c;
	return n;
}

int utf8_encode(uint32_t code, uint8_t *out)
{
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return ERR_INVAL;
	int n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (int i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (uint8_t)(0x80 | (code & 0x3f));
	out[0] = (uint8_t)(lead[n] | code);
	return n;
}

bool utf8_valid(const void *s, size_t size)
{
	const uint8_t *p = s;
	uint32_t code;
	for (size_t at = 0; at < size;) {
		int n = utf8_decode(p + at, size - at, &code);
		if (n < 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* utf8proc knows full folding. Where that is one code point it is the simple one; where it is more, the lower case is. */
static uint32_t fold_wide(uint32_t code)
{
	utf8proc_int32_t full[8];
	int boundary = 0;
	if (code == DOTTED_I || code > 0x10ffff)
		return code;
	utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)code, full, ARRAY_SIZE(full), UTF8PROC_CASEFOLD, &boundary);
	return (uint32_t)(n == 1 ? full[0] : utf8proc_tolower((utf8proc_int32_t)code));
}

uint32_t utf8_fold(uint32_t code)
{
	if (code < 0x80)
		return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
	return fold_wide(code);
}

/* The folded code point at *at, which is moved on. A stray byte sorts past every code point. */
static uint32_t next_folded(const uint8_t *s, size_t size, size_t *at)
{
	uint32_t code;
	int n = utf8_decode(s + *at, size - *at, &code);
	if (n < 0)
		return 0x110000 + s[(*at)++];
	*at += (size_t)n;
	return utf8_fold(code);
}

uint32_t utf8_fold_name(const void *name, size_t size, uint8_t *out)
{
	const uint8_t *s = name;
	uint32_t used = 0, code;
	for (size_t at = 0; at < size;) {
		int n = utf8_decode(s + at, size - at, &code);
		if (n < 0)
			out[used++] = s[at++];
		else
			used += (uint32_t)utf8_encode(utf8_fold(code), out + used);
		at += n < 0 ? 0 : (size_t)n;
	}
	return used;
}

int utf8_fold_cmp(const void *a, size_t a_size, const void *b, size_t b_size)
{
	size_t at_a = 0, at_b = 0;
	while (at_a < a_size && at_b < b_size) {
		uint32_t ca = next_folded(a, a_size, &at_a), cb = next_folded(b, b_size, &at_b);
		if (ca != cb)
			return ca < cb ? -1 : 1;
	}
	return (at_a < a_size) - (at_b < b_size);
}
