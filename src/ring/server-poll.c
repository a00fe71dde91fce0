/*
 * Serving an attachment on its loop.
 *
 * The poller looks at the submission ring and, if it holds anything, runs a fiber that takes chains and
 * serves them one after the other. Most never wait, so one fiber serves a whole batch; when it parks,
 * the poller goes on with another. Answers are published once per batch.
 */
#include <stdlib.h>

#include "base/log.h"
#include "ring/server-impl.h"

LOG_MODULE("ring");

/* Entries taken for one attachment in one turn: others wait no longer than this takes. */
#define BUDGET 64
/* Requests kept for reuse; beyond, memory goes back. */
#define FREE_REQUESTS_MAX 64

struct chain {
	struct vfs_step steps[OP_CHAIN_MAX];
	struct ring_request *requests[OP_CHAIN_MAX];
	unsigned n;
};

static struct ring_request *get_request(struct ring_attachment *a)
{
	struct ring_request *r = a->free_requests;
	if (unlikely(!r))
		return malloc(sizeof(*r));
	a->free_requests = r->next_free;
	a->n_free_requests--;
	return r;
}

static void put_request(struct ring_attachment *a, struct ring_request *r)
{
	if (unlikely(a->n_free_requests == FREE_REQUESTS_MAX)) {
		free(r);
		return;
	}
	r->next_free = a->free_requests;
	a->free_requests = r;
	a->n_free_requests++;
}

static void release_pins(struct ring_attachment *a, uint32_t slot)
{
	struct vfs_pins *pins = &a->slots[slot].pins;
	if (pins->n_chunks)
		a->server->config.ops->release(a->session, pins);
	pins->n_chunks = 0;
}

/* A request joins the chain; ERR_PROTO: a rule was broken; ERR_NOMEM. */
static int add_to_chain(struct ring_attachment *a, struct chain *c, uint32_t slot)
{
	if (unlikely(slot >= a->seg.n_slots || a->slots[slot].running || c->n == OP_CHAIN_MAX))
		return ERR_PROTO;
	struct ring_request *r = get_request(a);
	if (!r)
		return ERR_NOMEM;
	release_pins(a, slot);
	r->slot = slot;
	a->slots[slot].running = true;
	c->steps[c->n] = (struct vfs_step){&r->op, &r->payload, &a->slots[slot].pins};
	c->requests[c->n++] = r;
	return ring_request_take(a, r);
}

static uint32_t take_entry(struct ring_attachment *a)
{
	a->budget--;
	return atomic_load_explicit(&a->seg.sq[ring_next(&a->sq)], memory_order_relaxed);
}

static int take_release(struct ring_attachment *a, uint32_t slot)
{
	if (slot >= a->seg.n_slots || a->slots[slot].running)
		return ERR_PROTO;
	release_pins(a, slot);
	return 0;
}

/* The slot of the entry after next is on its way while this one is served. */
static void prefetch_next(struct ring_attachment *a)
{
	if (ring_left(&a->sq) == 0)
		return;
	uint32_t at = a->sq.head & (a->sq.size - 1);
	uint32_t slot = atomic_load_explicit(&a->seg.sq[at], memory_order_relaxed);
	if (slot >= a->seg.n_slots)
		return;
	const char *op = (const char *)ring_slot(&a->seg, slot);
	__builtin_prefetch(op, 1);
	__builtin_prefetch(op + offsetof(struct op, obj));
	__builtin_prefetch(op + offsetof(struct op, cred));
	__builtin_prefetch(op + offsetof(struct op, in));
	__builtin_prefetch(op + offsetof(struct op, out), 1);
	__builtin_prefetch(op + offsetof(struct op, out) + CACHE_LINE, 1);
	__builtin_prefetch(op + offsetof(struct op, out) + 2 * CACHE_LINE, 1);
}

/* The next chain, which must have been published as a whole. 0 with n == 0: none is left. */
static int take_chain(struct ring_attachment *a, struct chain *c)
{
	int err = 0;
	bool more = true;

	c->n = 0;
	while (!err && more && (c->n || a->budget > 0)) {
		if (ring_left(&a->sq) == 0)
			return c->n ? ERR_PROTO : 0;
		uint32_t entry = take_entry(a);
		prefetch_next(a);
		if (entry & RING_SQ_RELEASE) {
			err = c->n ? ERR_PROTO : take_release(a, entry & ~RING_SQ_RELEASE);
			continue;
		}
		err = add_to_chain(a, c, entry);
		more = !err && (c->requests[c->n - 1]->op.flags & OP_F_CHAIN);
	}
	return err;
}

static void complete(struct ring_attachment *a, struct ring_request *r)
{
	uint32_t at;

	ring_request_answer(a, r);
	a->slots[r->slot].running = false;
	/* No room: the client submitted a slot whose completion it had not taken. */
	if (ring_reserve(&a->cq, &at) == 0)
		atomic_store_explicit(&a->seg.cq[at], r->slot, memory_order_relaxed);
	else
		ring_attachment_broken(a, "it takes no completions");
}

/*
 * A chain's answers become visible together: a client that lost chimerad in between sees all or none. One that
 * ends in order gets the answers of what was running.
 */
static void finish_chain(struct ring_attachment *a, struct chain *c, bool answered)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (answered && !a->broken)
			complete(a, c->requests[i]);
		else
			a->slots[c->requests[i]->slot].running = false;
		put_request(a, c->requests[i]);
	}
	a->n_ops += c->n;
}

static void chain_failed(struct ring_attachment *a, struct chain *c, int err)
{
	finish_chain(a, c, false);
	ring_attachment_broken(a, err == ERR_NOMEM ? "there is no memory for its requests" : "it submitted nonsense");
}

static void one_ended(struct ring_attachment *a)
{
	if (--a->n_running == 0 && a->finisher)
		fiber_wake(a->finisher);
}

static void serve(void *arg)
{
	struct ring_attachment *a = arg;
	struct chain c;

	a->n_running++;
	while (!a->ending) {
		int err = take_chain(a, &c);
		if (err) {
			chain_failed(a, &c, err);
			break;
		}
		if (c.n == 0)
			break;
		a->server->config.ops->serve(a->session, c.steps, c.n);
		finish_chain(a, &c, true);
	}
	one_ended(a);
}

static void publish(struct ring_attachment *a)
{
	if (!ring_publish(&a->cq) || !ring_must_wake(&a->seg.shared->client_sleeps))
		return;
	a->n_wakeups++;
	doorbell_ring(&a->bell);
}

static int poll_ring(struct loop_poller *p)
{
	struct ring_attachment *a = container_of(p, struct ring_attachment, poller);
	int n = a->ending ? 0 : ring_available(&a->sq);

	if (n == 0)
		return 0;
	if (n < 0) {
		ring_attachment_broken(a, "its submission ring's tail ran away");
		return 1;
	}
	a->n_batches++;
	a->budget = BUDGET;
	while (a->budget > 0 && ring_left(&a->sq) && !a->ending)
		if (fiber_spawn(serve, a))
			break;
	a->budget = 0;
	ring_release(&a->sq);
	publish(a);
	return n;
}

static bool arm(struct loop_poller *p)
{
	struct ring_attachment *a = container_of(p, struct ring_attachment, poller);
	if (a->ending)
		return false;
	ring_sleep(&a->seg.shared->server_sleeps);
	return ring_available(&a->sq) != 0;
}

static void disarm(struct loop_poller *p)
{
	struct ring_attachment *a = container_of(p, struct ring_attachment, poller);
	ring_awake(&a->seg.shared->server_sleeps);
}

static void flush(struct loop_poller *p)
{
	publish(container_of(p, struct ring_attachment, poller));
}

/* A client that sleeps will ring. */
static bool expects(const struct loop_poller *p)
{
	const struct ring_attachment *a = container_of(p, struct ring_attachment, poller);
	return !a->ending && !atomic_load_explicit(&a->seg.shared->client_sleeps.value, memory_order_relaxed);
}

int ring_attachment_init_rings(struct ring_attachment *a)
{
	struct ring_shared *s = a->seg.shared;

	a->slots = calloc(a->seg.n_slots, sizeof(*a->slots));
	if (!a->slots)
		return ERR_NOMEM;
	ring_consumer_init(&a->sq, &s->sq_tail, &s->sq_head, a->seg.n_entries);
	ring_producer_init(&a->cq, &s->cq_tail, &s->cq_head, a->seg.n_entries);
	ring_producer_init(&a->events, &s->event_tail, &s->event_head, RING_EVENTS);
	a->poller = (struct loop_poller){poll_ring, arm, disarm, flush, expects};
	return 0;
}

static void on_begin(struct loop_task *task)
{
	struct ring_attachment *a = container_of(task, struct ring_attachment, begin_task);
	loop_poller_add(a->loop, &a->poller);
	if (doorbell_watch(a->loop, &a->bell, NULL))
		ring_attachment_broken(a, "its doorbell can't be watched");
}

void ring_attachment_begin(struct ring_attachment *a)
{
	a->begin_task.fn = on_begin;
	loop_post(a->loop, &a->begin_task);
}

static void finish(void *arg)
{
	struct ring_attachment *a = arg;

	a->finisher = fiber_self();
	while (a->n_running)
		fiber_park();
	publish(a);
	loop_poller_remove(a->loop, &a->poller);
	for (uint32_t i = 0; i < a->seg.n_slots; i++)
		release_pins(a, i);
	a->server->config.ops->close(a->session);
	doorbell_close(&a->bell);
	loop_post(a->server->config.loops[0], &a->ended_task);
}

static void on_end(struct loop_task *task)
{
	struct ring_attachment *a = container_of(task, struct ring_attachment, end_task);
	a->ending = true;
	if (fiber_spawn(finish, a))
		loop_post(a->loop, task);
}

static void on_ended(struct loop_task *task)
{
	struct ring_attachment *a = container_of(task, struct ring_attachment, ended_task);
	a->ended = true;
	fiber_wake(a->owner);
}

void ring_attachment_end(struct ring_attachment *a)
{
	a->ended_task.fn = on_ended;
	a->end_task.fn = on_end;
	loop_post(a->loop, &a->end_task);
}

void ring_attachment_free_rings(struct ring_attachment *a)
{
	while (a->free_requests) {
		struct ring_request *r = a->free_requests;
		a->free_requests = r->next_free;
		free(r);
	}
	free(a->slots);
}
