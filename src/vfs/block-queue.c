/*
 * Which page goes: S3-FIFO. A small queue in which new pages prove themselves, a main queue in which what is used goes
 * round again, and a memory of what fell out of the small one without having been used.
 */
#include "vfs/block-cache-impl.h"

#define USES_MAX 3
#define SMALL_SHARE 10 /* of the pages */
#define TRIES 64       /* pages looked at for a victim */

/* ---- ghosts */

static struct block_ghost *ghost_of(struct block_cache *cache, struct block_shard *s, const struct block_page *page)
{
	return &s->ghosts[page->hash >> 16 & cache->mask];
}

static uint32_t mark_of(const struct block_page *page)
{
	return (uint32_t)(page->hash >> 8) | 1;
}

static void remember(struct block_cache *cache, struct block_shard *s, const struct block_page *page)
{
	*ghost_of(cache, s, page) = (struct block_ghost){mark_of(page), s->n_evictions};
}

static bool was_here(struct block_cache *cache, struct block_shard *s, const struct block_page *page)
{
	const struct block_ghost *g = ghost_of(cache, s, page);
	return g->mark == mark_of(page) && s->n_evictions - g->stamp < cache->n_pages_max;
}

/* ---- queues */

void block_enqueue(struct block_cache *cache, struct block_shard *s, struct block_page *page)
{
	if (page->queue == QUEUE_NONE)
		page->queue = was_here(cache, s, page) ? QUEUE_MAIN : QUEUE_SMALL;
	if (page->queue == QUEUE_MAIN) {
		list_push_back(&s->main, &page->link);
		s->n_main++;
	} else {
		list_push_back(&s->small, &page->link);
		s->n_small++;
	}
}

void block_dequeue(struct block_shard *s, struct block_page *page)
{
	list_del(&page->link);
	if (page->queue == QUEUE_MAIN)
		s->n_main--;
	else
		s->n_small--;
}

/* A pass over the page's blocks counts once, when it comes to one that it has seen. */
void block_count_use(struct block_page *page, uint16_t mask)
{
	if (mask & ~page->seen) {
		page->seen |= mask;
		return;
	}
	page->seen = mask;
	if (page->uses < USES_MAX)
		page->uses++;
}

/* Memory that readers refer to would not be given back. */
static bool is_pinned(struct block_cache *cache, const struct block_page *page)
{
	return page->chunk != PAGE_CHUNK_NONE && pages_refs(cache->pages, page->chunk) > 1;
}

static bool from_small(struct block_cache *cache, struct block_shard *s, struct block_page *page)
{
	block_dequeue(s, page);
	if (page->uses == 0 && !is_pinned(cache, page)) {
		remember(cache, s, page);
		return true;
	}
	page->uses = 0;
	page->queue = QUEUE_MAIN;
	block_enqueue(cache, s, page);
	return false;
}

static bool from_main(struct block_cache *cache, struct block_shard *s, struct block_page *page)
{
	block_dequeue(s, page);
	if (page->uses == 0 && !is_pinned(cache, page))
		return true;
	page->uses -= page->uses > 0;
	block_enqueue(cache, s, page);
	return false;
}

struct block_page *block_victim(struct block_cache *cache, struct block_shard *s)
{
	for (int i = 0; i < TRIES && s->n_small + s->n_main; i++) {
		bool small = s->n_main == 0 || (s->n_small && s->n_small > cache->n_pages_max / SMALL_SHARE);
		struct list *queue = small ? &s->small : &s->main;
		struct block_page *page = list_entry(queue->next, struct block_page, link);
		if (small ? from_small(cache, s, page) : from_main(cache, s, page)) {
			s->n_evictions++;
			return page;
		}
	}
	return NULL;
}
