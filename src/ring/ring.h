/*
 * The two halves of a shared ring: indices that run freely, one writer each. What an index stands for
 * (a u32 entry, an event) is the caller's. Each side keeps its own index in private memory, so that the
 * peer can never move it, and looks at the peer's only through the functions here, which bound it.
 *
 * Producer: ring_reserve() and fill, any number of times; ring_publish() once; ring_must_wake().
 * Consumer: ring_available() once; ring_next() and read, that many times; ring_release() once.
 * Nothing here parks, allocates or makes a system call. One thread per half.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include "ring/ring-abi.h"

struct ring_producer {
	_Atomic uint32_t *shared_tail; /* ours */
	_Atomic uint32_t *shared_head; /* the peer's */
	uint32_t size;                 /* entries, a power of two */
	uint32_t tail;                 /* next to fill */
	uint32_t published;            /* what *shared_tail says */
	uint32_t head;                 /* the peer's, as last read */
};

struct ring_consumer {
	_Atomic uint32_t *shared_tail; /* the peer's */
	_Atomic uint32_t *shared_head; /* ours */
	uint32_t size;
	uint32_t head;     /* next to take */
	uint32_t released; /* what *shared_head says */
	uint32_t tail;     /* the peer's, as last read */
};

void ring_producer_init(struct ring_producer *p, struct ring_index *tail, struct ring_index *head, uint32_t size);
void ring_consumer_init(struct ring_consumer *c, struct ring_index *tail, struct ring_index *head, uint32_t size);

/*
 * ring_reserve() - the place in [0, size) of the next entry in *at. ERR_AGAIN: full. ERR_PROTO: the
 * peer's head is not where a head can be.
 */
int ring_reserve(struct ring_producer *p, uint32_t *at);
/* ring_publish() - makes what was reserved visible; true if there was something. */
bool ring_publish(struct ring_producer *p);

/* ring_available() - how many entries can be taken now; ERR_PROTO: the peer's tail ran further than the ring is long. */
int ring_available(struct ring_consumer *c);
/* ring_release() - gives the places of what was taken back to the producer. */
void ring_release(struct ring_consumer *c);

/* ring_left() - entries of the last ring_available() not yet taken. */
static inline uint32_t ring_left(const struct ring_consumer *c)
{
	return c->tail - c->head;
}

/* ring_next() - the place of the next entry; only while ring_left() is not 0. */
static inline uint32_t ring_next(struct ring_consumer *c)
{
	return c->head++ & (c->size - 1);
}

/*
 * Sleeping without losing a wake-up. The sleeper: ring_sleep(), look at the ring once more, wait for
 * the doorbell. The other side: publish, ring_must_wake(), ring the doorbell. Each stores, then loads
 * what the other stored, with a full barrier between: at least one of them sees the other.
 */
void ring_sleep(struct ring_index *sleeps);
void ring_awake(struct ring_index *sleeps);
bool ring_must_wake(struct ring_index *sleeps);

#endif
