/* Shows SipHash-2-4 against its paper's vectors, and that the fast hash is stable. */
#include <criterion/criterion.h>

#include "base/hash.h"

Test(hash, siphash_vectors)
{
	static const uint64_t expect[] = {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	};
	uint8_t key[16], data[15];
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		data[i] = i;
	for (size_t n = 0; n < 8; n++)
		cr_assert_eq(hash_sip24(key, data, n), expect[n], "size %zu", n);
	cr_assert_eq(hash_sip24(key, data, 15), 0xa129ca6149be45e5);
}

Test(hash, bytes_is_xxh3)
{
	cr_assert_eq(hash_bytes("", 0), 0x2d06800538d394c2);
	cr_assert_neq(hash_bytes("a", 1), hash_bytes("b", 1));
}
