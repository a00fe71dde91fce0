/*
 * Two hashes: hash_sip24() is keyed and stands against an adversary (handles that leave for the
 * network, tables indexed by what a peer chose); hash_bytes() is fast (XXH3) and stands against nothing.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/compiler.h"

/* hash_sip24() - SipHash-2-4 (Aumasson, Bernstein) with the 16-byte key. */
uint64_t hash_sip24(const uint8_t key[16], const void *data, size_t size);

/* hash_bytes() - the same in one process and across restarts. */
uint64_t hash_bytes(const void *data, size_t size);

/* hash_u64() - mixes an integer so that its low bits can index a table. */
static inline uint64_t hash_u64(uint64_t v)
{
	v = (v ^ (v >> 32)) * 0x9e3779b97f4a7c15ULL;
	v = (v ^ (v >> 29)) * 0xbf58476d1ce4e5b9ULL;
	return v ^ (v >> 32);
}

#endif
