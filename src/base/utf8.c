/* Folding is a table of ranges: those at a fixed distance, and those where pairs alternate. */
#include "base/utf8.h"

#include "base/err.h"
#include "base/hash.h"

struct fold_range {
	uint32_t first, last;
	int32_t distance; /* 0: upper and lower alternate, the upper at first, first + 2 ... */
};

static const struct fold_range fold_ranges[] = {
	{0x41, 0x5a, 32},     {0xc0, 0xd6, 32},     {0xd8, 0xde, 32},     {0x100, 0x12f, 0},
	{0x132, 0x137, 0},    {0x139, 0x148, 0},    {0x14a, 0x177, 0},    {0x178, 0x178, -121},
	{0x179, 0x17e, 0},    {0x1cd, 0x1dc, 0},    {0x1de, 0x1ef, 0},    {0x1f8, 0x21f, 0},
	{0x222, 0x233, 0},    {0x386, 0x386, 38},   {0x388, 0x38a, 37},   {0x38c, 0x38c, 64},
	{0x38e, 0x38f, 63},   {0x391, 0x3a1, 32},   {0x3a3, 0x3ab, 32},   {0x3d8, 0x3ef, 0},
	{0x400, 0x40f, 80},   {0x410, 0x42f, 32},   {0x460, 0x481, 0},    {0x48a, 0x4bf, 0},
	{0x4c1, 0x4ce, 0},    {0x4d0, 0x52f, 0},    {0x531, 0x556, 48},   {0x1e00, 0x1e95, 0},
	{0x1ea0, 0x1eff, 0},  {0x2160, 0x216f, 16}, {0x24b6, 0x24cf, 26}, {0xff21, 0xff3a, 32},
};

static uint32_t (*fold_hook)(uint32_t code);

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

static uint32_t fold_builtin(uint32_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(fold_ranges) && fold_ranges[i].first <= code; i++) {
		const struct fold_range *r = &fold_ranges[i];
		if (code > r->last)
			continue;
		if (r->distance)
			return (uint32_t)((int32_t)code + r->distance);
		return (code - r->first) % 2 == 0 ? code + 1 : code;
	}
	return code;
}

uint32_t utf8_fold(uint32_t code)
{
	return fold_hook ? fold_hook(code) : fold_builtin(code);
}

void utf8_set_fold(uint32_t (*fold)(uint32_t code))
{
	fold_hook = fold;
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

uint64_t utf8_fold_hash(const void *s, size_t size)
{
	uint64_t hash = size ? 0 : 1;
	for (size_t at = 0; at < size;)
		hash = hash_u64(hash + next_folded(s, size, &at) + 1);
	return hash;
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
