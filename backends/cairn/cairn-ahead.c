/*
 * Reading ahead. Who reads a file in order finds what comes next already there, or on its way: each read that goes on
 * where the last one ended doubles the window that is kept filled before the reader, any other closes it. Requests of a
 * client that arrive a little out of order leave it as it is. What is guessed here is never waited for, and an
 * error is left for the read that wants the block.
 */
#include <stdlib.h>

#include "backends/cairn/cairn.h"

#define WINDOW_MIN 32u   /* blocks */
#define WINDOW_BUSY 1024u /* at most while many files are read */
#define WINDOW_MAX 4096u  /* a disk that ends several requests at once has others left meanwhile */
#define CACHE_SHARE 4u    /* of the cache, at most on its way for a window to grow beyond that */
#define PIECE (CAIRN_CHUNK_BLOCKS * (CAIRN_FILL_PAGES - 1)) /* read by one fiber */
#define SLACK (2u << 20) /* bytes by which a request may be out of order */

struct task {
	struct cairn_node *n;
	uint64_t first, end; /* blocks */
};

static void run(void *arg)
{
	struct task *t = arg;
	struct vfs_node *node = &t->n->cached.node;
	struct cairn *fs = cairn_of(t->n)->base;
	cairn_fill(t->n, t->first, t->end, NULL);
	fiber_rwlock_rdunlock(vfs_node_lock(node));
	vfs_node_put(node);
	free(t);
	atomic_fetch_sub(&fs->n_ahead, 1);
	fiber_join_done(&fs->readers_ahead);
}

/* Its fiber holds the node as a reader does, so a writer waits for one piece at most. */
static void start(struct cairn_node *n, uint64_t first, uint64_t end)
{
	struct vfs_node *node = &n->cached.node;
	struct task *t = malloc(sizeof(*t));
	if (!t || !fiber_rwlock_tryrdlock(vfs_node_lock(node))) {
		free(t);
		return;
	}
	*t = (struct task){n, first, end};
	vfs_node_get(node);
	atomic_fetch_add(&cairn_of(n)->base->n_ahead, 1);
	fiber_join_add(&cairn_of(n)->base->readers_ahead, 1);
	if (fiber_spawn(run, t))
		run(t);
}

/* What is in the cache from a reading before is probably there for the whole window. */
static bool is_cached(struct cairn_node *n, uint64_t first)
{
	struct block_key key = cairn_page_key(n, first / CAIRN_CHUNK_BLOCKS);
	return block_has(cairn_of(n)->cache, &key, (uint16_t)(1u << first % CAIRN_CHUNK_BLOCKS));
}

static void fill_window(struct cairn_node *n, uint64_t first, uint64_t end)
{
	if (first >= end || is_cached(n, first))
		return;
	for (uint64_t stop; first < end; first = stop) {
		stop = MIN(ALIGN_DOWN(first, (uint64_t)CAIRN_CHUNK_BLOCKS) + PIECE, end);
		start(n, first, stop);
	}
}

static uint32_t window_max(const struct cairn *fs)
{
	uint64_t under_way = (uint64_t)fs->n_ahead * PIECE * CAIRN_BLOCK_SIZE;
	return under_way < block_cache_size(fs->cache) / CACHE_SHARE ? WINDOW_MAX : WINDOW_BUSY;
}

/* How far the window reaches after a read, at most max; 0: no further. Readers may race: then one of them guesses wrongly. */
static uint32_t next_window(struct cairn_ahead *a, uint64_t offset, uint64_t end, uint32_t max)
{
	uint64_t next = __atomic_load_n(&a->next, __ATOMIC_RELAXED);
	uint32_t window = __atomic_load_n(&a->window, __ATOMIC_RELAXED);
	if (offset == next)
		window = window ? MIN(2 * window, max) : WINDOW_MIN;
	else if (offset + SLACK < next || offset > next + SLACK)
		window = 0;
	else
		end = MAX(end, next);
	__atomic_store_n(&a->next, end, __ATOMIC_RELAXED);
	__atomic_store_n(&a->window, window, __ATOMIC_RELAXED);
	return window;
}

void cairn_read_ahead(struct cairn_node *n, uint64_t offset, uint64_t end)
{
	struct cairn_ahead *a = &n->ahead;
	uint32_t window = next_window(a, offset, end, window_max(cairn_of(n)->base));
	uint64_t at = cairn_blocks(end), stop = cairn_blocks(n->inode.attr.size);
	uint64_t target = ALIGN_UP(at + window, (uint64_t)CAIRN_CHUNK_BLOCKS);
	uint64_t filled = __atomic_load_n(&a->filled, __ATOMIC_RELAXED);
	if (window == 0 || at >= stop)
		return;
	/* A window that lies elsewhere was another reading's. */
	uint64_t from = filled >= at && filled <= at + 2 * WINDOW_MAX ? filled : at;
	if (from + MIN(window / 2, PIECE) > at + window)
		return;
	__atomic_store_n(&a->filled, target, __ATOMIC_RELAXED);
	fill_window(n, from, MIN(target, stop));
}
