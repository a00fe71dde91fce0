/* Walks over tables of intervals: one scan for all ranges of a transaction that are close, a new one where the next is far. */
#ifndef CAIRN_WALK_H
#define CAIRN_WALK_H

#include "backends/cairn/cairn.h"

struct cairn_walk {
	const struct cairn_ranges *what; /* sorted, apart */
	uint32_t at;       /* the first range that is not done */
	uint32_t n_seen;   /* intervals in this scan */
	bool again;        /* the next range is far: seek */
	int err;
};

/* cairn_walk_start() - before each scan, which begins at what->list[at]; false: nothing is left, or it failed. */
bool cairn_walk_start(struct cairn_walk *w);
/* cairn_walk_meets() - whether the interval concerns the walk: 1, not: 0, and the scan should end: -1. */
int cairn_walk_meets(struct cairn_walk *w, uint64_t first, uint64_t end);
/*
 * cairn_next_rest() - the next part of [*first, end) that the ranges from *at on do not cover, after which *first is
 * moved. cairn_next_cut() - that range *at does cover.
 */
bool cairn_next_rest(const struct cairn_ranges *r, uint32_t *at, uint64_t *first, uint64_t end, struct cairn_range *rest);
bool cairn_next_cut(const struct cairn_ranges *r, uint32_t *at, uint64_t *first, uint64_t end, struct cairn_range *cut);

#endif
