/* The only code that touches shared indices: every ordering rule of the ring is on this page. */
#include "ring/ring.h"

void ring_producer_init(struct ring_producer *p, struct ring_index *tail, struct ring_index *head, uint32_t size)
{
	*p = (struct ring_producer){.shared_tail = &tail->value, .shared_head = &head->value, .size = size};
}

void ring_consumer_init(struct ring_consumer *c, struct ring_index *tail, struct ring_index *head, uint32_t size)
{
	*c = (struct ring_consumer){.shared_tail = &tail->value, .shared_head = &head->value, .size = size};
}

int ring_reserve(struct ring_producer *p, uint32_t *at)
{
	if (unlikely(p->tail - p->head == p->size)) {
		/* Acquire: the consumer has read the entry before its place is filled again. */
		uint32_t head = atomic_load_explicit(p->shared_head, memory_order_acquire);
		if (p->tail - head > p->size)
			return ERR_PROTO;
		p->head = head;
		if (p->tail - head == p->size)
			return ERR_AGAIN;
	}
	*at = p->tail++ & (p->size - 1);
	return 0;
}

bool ring_publish(struct ring_producer *p)
{
	if (p->published == p->tail)
		return false;
	p->published = p->tail;
	atomic_store_explicit(p->shared_tail, p->tail, memory_order_release);
	return true;
}

int ring_available(struct ring_consumer *c)
{
	uint32_t tail = atomic_load_explicit(c->shared_tail, memory_order_acquire);
	if (unlikely(tail - c->head > c->size))
		return ERR_PROTO;
	c->tail = tail;
	return (int)(tail - c->head);
}

void ring_release(struct ring_consumer *c)
{
	if (c->released == c->head)
		return;
	c->released = c->head;
	atomic_store_explicit(c->shared_head, c->head, memory_order_release);
}

void ring_sleep(struct ring_index *sleeps)
{
	atomic_store_explicit(&sleeps->value, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

void ring_awake(struct ring_index *sleeps)
{
	atomic_store_explicit(&sleeps->value, 0, memory_order_relaxed);
}

bool ring_must_wake(struct ring_index *sleeps)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&sleeps->value, memory_order_relaxed) != 0;
}
