/* What takes away more extents than one transaction should: cairn-cut.c. */
#ifndef CAIRN_CUT_H
#define CAIRN_CUT_H

#include "backends/cairn/cairn.h"

/* Extents that one transaction has at most; tests have less. */
extern struct cairn_at_once {
	uint32_t reclaimed; /* or cut off, or allocated */
	uint32_t punched;
} cairn_at_once;
/* cairn_piece() - the first part of a range, which begins in no extent or with one, that has no more than so many. */
int cairn_piece(struct cairn_node *n, struct cairn_range whole, uint32_t extents, struct cairn_range *piece);
/* cairn_punch_most() - a hole with more extents than that is made in several transactions; whole becomes what is left for the caller's. Parks. */
int cairn_punch_most(struct cairn_node *n, struct cairn_range *whole);
/* cairn_cut_later() - n is marked: the worker gives back what is behind its end. cairn_cut_finish() - now. Node lock [w]; the latter parks. */
void cairn_cut_later(struct cairn_node *n);
int cairn_cut_finish(struct cairn_node *n);
/* cairn_cut_some() - for the worker: false: there is nothing to do now. Parks. */
bool cairn_cut_some(struct cairn *fs);
/* cairn_cuts_find() - what an earlier start left is looked for by the worker. cairn_cuts_forget() - no node is held any more, no worker runs. */
int cairn_cuts_find(struct cairn *fs);
void cairn_cuts_forget(struct cairn *fs);

/* cairn_before_growing() - before what is behind the end of a file up to end is seen again. Node lock [w]. Parks. */
static inline int cairn_before_growing(struct cairn_node *n, uint64_t end)
{
	bool grows = unlikely(n->inode.flags & CAIRN_CUT) && cairn_blocks(end) > cairn_blocks(n->inode.attr.size);
	return grows ? cairn_cut_finish(n) : 0;
}

#endif
