/*
 * Pacing. When changes come faster than the tables take them, both overlays fill, and the next change has to wait until one
 * was applied: a long wait for few, after none for many. So while one is applied the other is filled along a line, a piece
 * at a time, which ends at the moment when the tables should have got the first, as that went the last time.
 */
#include "backends/cairn/cairn-meta-impl.h"
#include "loop/loop.h"

#define FREE_SHARE 4   /* of the overlay, that fills as it may */
#define PIECE_SHARE 32 /* of it, at a time */
#define MARGIN_SHARE 4 /* of the time it took, that it may take longer */
#define EXPECTED_MAX NS_PER_SEC
#define WAIT_MAX_NS (20 * NS_PER_MS)

void meta_pace_begin(struct meta *m)
{
	struct meta_pace *p = &m->pace;
	p->begun_ns = loop_now_ns(loop_current());
	p->upto = m->overlay_max / FREE_SHARE;
	p->expected_ns = p->last_size ? m->applying->size * p->last_ns / p->last_size : 0;
	p->expected_ns = MIN(p->expected_ns + p->expected_ns / MARGIN_SHARE, EXPECTED_MAX);
}

/* A small one tells more of the disk than of the tables. */
void meta_pace_end(struct meta *m)
{
	struct meta_pace *p = &m->pace;
	if (m->applying->size < m->overlay_max / 2)
		return;
	p->last_ns = loop_now_ns(loop_current()) - p->begun_ns;
	p->last_size = m->applying->size;
}

uint64_t meta_pace_ns(struct meta *m)
{
	struct meta_pace *p = &m->pace;
	if (!m->applying || m->leader_applies || m->active->size < p->upto)
		return 0;
	uint64_t past = loop_now_ns(loop_current()) - p->begun_ns;
	uint64_t start = m->overlay_max / FREE_SHARE, rest = m->overlay_max - start;
	if (past >= p->expected_ns)
		return 0;
	uint64_t goal = m->active->size + m->overlay_max / PIECE_SHARE;
	uint64_t due = (goal - start) * p->expected_ns / rest;
	if (past >= due) {
		p->upto = goal;
		return 0;
	}
	return MIN(due - past, WAIT_MAX_NS);
}
