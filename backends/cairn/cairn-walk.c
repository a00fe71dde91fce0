/* Intervals minus ranges, and when a scan that looks for them should seek instead of going on. */
#include "backends/cairn/cairn-walk.h"

static uint64_t end_of(struct cairn_range r)
{
	return r.first + r.n;
}

bool cairn_next_rest(const struct cairn_ranges *r, uint32_t *at, uint64_t *first, uint64_t end, struct cairn_range *rest)
{
	while (*first < end) {
		uint64_t from = *first;
		while (*at < r->n && end_of(r->list[*at]) <= from)
			++*at;
		uint64_t next = *at < r->n ? MIN(r->list[*at].first, end) : end;
		if (next > from) {
			*rest = (struct cairn_range){from, next - from};
			*first = next;
			return true;
		}
		*first = MIN(end_of(r->list[*at]), end);
	}
	return false;
}

bool cairn_next_cut(const struct cairn_ranges *r, uint32_t *at, uint64_t *first, uint64_t end, struct cairn_range *cut)
{
	while (*at < r->n && end_of(r->list[*at]) <= *first)
		++*at;
	if (*at == r->n || r->list[*at].first >= end || *first >= end)
		return false;
	uint64_t from = MAX(r->list[*at].first, *first);
	*cut = (struct cairn_range){from, MIN(end_of(r->list[*at]), end) - from};
	*first = end_of(*cut);
	return true;
}

bool cairn_walk_start(struct cairn_walk *w)
{
	if (w->err || !w->again || w->at == w->what->n)
		return false;
	w->again = false;
	w->n_seen = 0;
	return true;
}

int cairn_walk_meets(struct cairn_walk *w, uint64_t first, uint64_t end)
{
	const struct cairn_ranges *r = w->what;
	while (w->at < r->n && end_of(r->list[w->at]) <= first)
		w->at++;
	if (w->at == r->n)
		return -1;
	if (r->list[w->at].first < end) {
		w->n_seen++;
		return 1;
	}
	if (w->n_seen++ == 0)
		return 0;
	w->again = true;
	return -1;
}
