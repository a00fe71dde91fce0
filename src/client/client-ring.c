/*
 * The ring transport's calls. What the fibers of one turn submit is published by one store when the turn
 * ends; completions are taken in one go at the start of the next and wake their fibers.
 */
#include "client/client-ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

LOG_MODULE("client");

#define EVENTS_PER_TURN 32

static struct ring_client *ring_of(struct client *c)
{
	return container_of(c, struct ring_client, c);
}

static uint32_t slot_of(const struct ring_client *rc, const struct op *op)
{
	return (uint32_t)((size_t)((const uint8_t *)op - rc->seg.slots) / RING_SLOT_STRIDE);
}

/* ---- submission -------------------------------------------------------------------------- */

/* There is room: of each slot at most one release and one submission wait. */
static void push(struct ring_client *rc, uint32_t entry)
{
	uint32_t at;
	if (ring_reserve(&rc->sq, &at)) {
		log_error("%s: chimerad takes no submissions", rc->c.name);
		ring_client_lost(rc);
		return;
	}
	atomic_store_explicit(&rc->seg.sq[at], entry, memory_order_relaxed);
}

/* A read that is too long for the slot needs room when its answer can't refer to pages. */
static bool needs_room(const struct ring_client *rc, const struct op *op)
{
	return op->code == OP_read && !rc->pages->base && op->in.read.size > OP_INLINE_MAX && op->n_segs == 0;
}

static void add_room(struct ring_client *rc, struct op *op, struct ring_slot *slot)
{
	if (!slot->room)
		slot->room = buf_arena_alloc(&rc->arena, MIN(op->in.read.size, OP_IO_MAX));
	if (slot->room)
		client_op_seg(op, slot->room, 0, slot->room->size);
}

void ring_client_submit(struct ring_client *rc, struct ring_call *call)
{
	for (unsigned i = 0; i < call->n; i++) {
		struct op *op = call->ops[i];
		uint32_t at = slot_of(rc, op);
		struct ring_slot *slot = &rc->slots[at];
		/* chimerad may have written part of an answer before it died. */
		op->n_segs = slot->n_segs;
		op->out_var_size = 0;
		if (unlikely(needs_room(rc, op)))
			add_room(rc, op, slot);
		push(rc, at);
	}
}

static void begin_call(struct ring_client *rc, struct ring_call *call)
{
	for (unsigned i = 0; i < call->n; i++) {
		struct ring_slot *slot = &rc->slots[slot_of(rc, call->ops[i])];
		if (unlikely(slot->pages))
			ring_pages_put(rc, TAKE(slot->pages));
		slot->call = call;
		slot->n_segs = call->ops[i]->n_segs;
	}
	list_push_back(&rc->calls, &call->link);
}

static inline void ring_run(struct client *c, struct op **ops, unsigned n)
{
	struct ring_client *rc = ring_of(c);
	struct ring_call call = {.ops = ops, .n = n, .n_left = n, .fiber = fiber_self()};

	if (unlikely(rc->gave_up)) {
		for (unsigned i = 0; i < n; i++)
			ops[i]->status = ERR_DISCONNECTED;
		return;
	}
	begin_call(rc, &call);
	if (likely(rc->attached))
		ring_client_submit(rc, &call);
	while (call.n_left)
		fiber_park();
}

static int ring_call(struct client *c, struct op *op)
{
	ring_run(c, &op, 1);
	return op->status;
}

static void release_answer(struct ring_client *rc, const struct op *op, struct ring_slot *slot)
{
	bool pinned = op->code == OP_read && op->n_segs && op->segs[0].region == OP_SEG_PAGES;

	if (pinned && rc->attached && slot->pages == rc->pages)
		push(rc, slot_of(rc, op) | RING_SQ_RELEASE);
	ring_pages_put(rc, slot->pages);
	slot->pages = NULL;
}

static void ring_put(struct client *c, struct op *op)
{
	struct ring_client *rc = ring_of(c);
	struct ring_slot *slot = &rc->slots[slot_of(rc, op)];

	if (slot->pages)
		release_answer(rc, op, slot);
	if (unlikely(slot->room)) {
		client_buf_put(c, slot->room);
		slot->room = NULL;
	}
}

/* ---- completion -------------------------------------------------------------------------- */

static void end_call(struct ring_client *rc, struct ring_call *call)
{
	list_del(&call->link);
	fiber_wake(call->fiber);
	if (unlikely(list_empty(&rc->calls)))
		client_wake(&rc->idle_waiters);
}

static int complete(struct ring_client *rc, uint32_t at)
{
	if (at >= rc->seg.n_slots || !rc->slots[at].call)
		return ERR_PROTO;
	struct ring_slot *slot = &rc->slots[at];
	struct ring_call *call = TAKE(slot->call);

	__builtin_prefetch(ring_slot(&rc->seg, at));
	__builtin_prefetch((const char *)ring_slot(&rc->seg, at) + offsetof(struct op, out));
	__builtin_prefetch((const char *)ring_slot(&rc->seg, at) + offsetof(struct op, out) + CACHE_LINE);
	slot->pages = rc->pages;
	rc->pages->n_answers++;
	if (--call->n_left == 0)
		end_call(rc, call);
	return 0;
}

int ring_client_reap(struct ring_client *rc)
{
	int n = ring_available(&rc->cq), err = n < 0 ? n : 0;

	for (int i = 0; i < n && !err; i++)
		err = complete(rc, atomic_load_explicit(&rc->seg.cq[ring_next(&rc->cq)], memory_order_relaxed));
	if (unlikely(err)) {
		log_error("%s: chimerad broke the ring's rules", rc->c.name);
		ring_client_lost(rc);
		return 1;
	}
	ring_release(&rc->cq);
	return n;
}

void ring_client_fail(struct ring_client *rc, int err)
{
	struct ring_call *call, *next;

	LIST_FOREACH_SAFE(call, next, &rc->calls, link) {
		for (unsigned i = 0; i < call->n; i++) {
			call->ops[i]->status = err;
			call->ops[i]->n_segs = 0;
			call->ops[i]->out_var_size = 0;
			rc->slots[slot_of(rc, call->ops[i])].call = NULL;
		}
		call->n_left = 0;
		end_call(rc, call);
	}
}

/* Levels of the log are the library's to set; everything else is the user's. */
static void handle_event(struct ring_client *rc, const struct op_event *event)
{
	if (event->type == OP_EVENT_LOG)
		log_set_level((const char *)event->name, (enum log_level)MIN(event->value, (uint64_t)LOG_TRACE));
	else if (rc->c.config.event)
		rc->c.config.event(rc->c.config.arg, event);
}

static int take_events(struct ring_client *rc)
{
	int n = ring_available(&rc->events);

	if (likely(n <= 0))
		return 0;
	n = MIN(n, EVENTS_PER_TURN);
	for (int i = 0; i < n; i++) {
		struct op_event event = rc->seg.events[ring_next(&rc->events)];
		if (event.name_size > OP_NAME_MAX)
			continue;
		event.name[event.name_size] = 0;
		handle_event(rc, &event);
	}
	ring_release(&rc->events);
	return n;
}

static void ring_take_events(struct client *c)
{
	struct ring_client *rc = ring_of(c);
	if (rc->attached)
		take_events(rc);
}

static int poll_ring(struct loop_poller *p)
{
	struct ring_client *rc = container_of(p, struct ring_client, poller);
	return rc->attached ? ring_client_reap(rc) + take_events(rc) : 0;
}

static void flush(struct loop_poller *p)
{
	struct ring_client *rc = container_of(p, struct ring_client, poller);
	if (rc->attached && ring_publish(&rc->sq) && ring_must_wake(&rc->seg.shared->server_sleeps))
		doorbell_ring(&rc->bell);
}

static bool arm(struct loop_poller *p)
{
	struct ring_client *rc = container_of(p, struct ring_client, poller);
	if (!rc->attached)
		return false;
	ring_sleep(&rc->seg.shared->client_sleeps);
	return ring_available(&rc->cq) != 0 || ring_available(&rc->events) != 0;
}

static void disarm(struct loop_poller *p)
{
	ring_awake(&container_of(p, struct ring_client, poller)->seg.shared->client_sleeps);
}

static bool expects(const struct loop_poller *p)
{
	return !list_empty(&container_of(p, struct ring_client, poller)->calls);
}

void ring_client_begin(struct ring_client *rc)
{
	struct ring_shared *s = rc->seg.shared;

	ring_producer_init(&rc->sq, &s->sq_tail, &s->sq_head, rc->seg.n_entries);
	ring_consumer_init(&rc->cq, &s->cq_tail, &s->cq_head, rc->seg.n_entries);
	ring_consumer_init(&rc->events, &s->event_tail, &s->event_head, RING_EVENTS);
}

/* ---- payload ----------------------------------------------------------------------------- */

static bool within(const struct op_seg *s, uint64_t size)
{
	return s->offset <= size && s->size <= size - s->offset;
}

static const uint8_t *ring_resolve(struct client *c, const struct op *op, const struct op_seg *s)
{
	struct ring_client *rc = ring_of(c);
	const struct ring_pages *pages = rc->slots[slot_of(rc, op)].pages;

	if (s->region == OP_SEG_CLIENT)
		return within(s, rc->seg.arena_size) ? rc->seg.arena + s->offset : NULL;
	return pages && pages->base && within(s, pages->size) ? pages->base + s->offset : NULL;
}

static struct client_buf *ring_buf_alloc(struct client *c, uint32_t size, unsigned flags)
{
	return buf_arena_alloc(&ring_of(c)->arena, size);
}

static void ring_buf_free(struct client *c, struct client_buf *buf)
{
	buf_arena_free(&ring_of(c)->arena, buf);
}

void ring_pages_put(struct ring_client *rc, struct ring_pages *pages)
{
	if (--pages->n_answers || pages == rc->pages)
		return;
	if (pages->base)
		munmap((void *)pages->base, pages->size);
	free(pages);
}

/* ---- life -------------------------------------------------------------------------------- */

static void destroy(struct ring_client *rc)
{
	ring_segment_close(&rc->seg);
	buf_arena_fini(&rc->arena);
	free(rc->slots);
	free(rc->socket_path);
	client_fini(&rc->c);
	free(rc);
}

static void ring_detach(struct client *c)
{
	struct ring_client *rc = ring_of(c);

	while (!list_empty(&rc->calls) || !list_empty(&rc->stranded))
		client_wait(&rc->idle_waiters);
	loop_poller_remove(c->loop, &rc->poller);
	ring_client_disconnect(rc);
	destroy(rc);
}

static const struct client_provider provider_ring = {
	.run = ring_run,
	.call = ring_call,
	.put = ring_put,
	.resolve = ring_resolve,
	.buf_alloc = ring_buf_alloc,
	.buf_free = ring_buf_free,
	.take_events = ring_take_events,
	.detach = ring_detach,
};

/* After the first attachment: chimerad decided how many slots there are. */
static int init_slots(struct ring_client *rc)
{
	uint32_t n = MIN(rc->seg.n_slots, rc->c.config.n_slots);

	rc->slots = calloc(rc->seg.n_slots, sizeof(*rc->slots));
	if (!rc->slots)
		return ERR_NOMEM;
	while (rc->c.n_free < n) {
		rc->c.free_ops[rc->c.n_free] = ring_slot(&rc->seg, n - 1 - rc->c.n_free);
		rc->c.n_free++;
	}
	return buf_arena_init(&rc->arena, rc->seg.arena, rc->seg.arena_size, 0);
}

static int init(struct ring_client *rc, const char *socket_path, const struct client_config *cfg)
{
	int err = client_init(&rc->c, &provider_ring, cfg);

	rc->seg.fd = -1;
	rc->poller = (struct loop_poller){poll_ring, arm, disarm, flush, expects};
	list_init(&rc->calls);
	list_init(&rc->stranded);
	list_init(&rc->idle_waiters);
	rc->socket_path = strdup(socket_path);
	if (!rc->socket_path)
		err = ERR_NOMEM;
	return err;
}

int client_attach(struct client **c, const char *socket_path, const struct client_config *cfg)
{
	struct ring_client *rc = calloc(1, sizeof(*rc));
	if (!rc)
		return ERR_NOMEM;
	int err = init(rc, socket_path, cfg);
	if (!err)
		err = ring_client_connect(rc);
	if (err) {
		destroy(rc);
		return err;
	}
	err = init_slots(rc);
	if (err) {
		ring_client_disconnect(rc);
		destroy(rc);
		return err;
	}
	loop_poller_add(rc->c.loop, &rc->poller);
	*c = &rc->c;
	return 0;
}
