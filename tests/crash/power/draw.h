/* Random numbers that follow from a seed. */
#ifndef TESTS_CRASH_POWER_DRAW_H
#define TESTS_CRASH_POWER_DRAW_H

#include "base/hash.h"

static inline uint64_t draw_u64(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return hash_u64(*state);
}

static inline uint32_t draw(uint64_t *state, uint32_t n)
{
	return (uint32_t)(draw_u64(state) >> 32) % n;
}

#endif
