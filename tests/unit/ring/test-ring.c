/* Shows that the two halves of a ring agree, wrap, fill, and notice a peer that breaks the rules. */
#include <criterion/criterion.h>

#include "ring/ring.h"

#define SIZE 8u

struct rig {
	struct ring_index tail, head;
	struct ring_producer p;
	struct ring_consumer c;
	uint32_t entries[SIZE];
};

static void init(struct rig *r, uint32_t start)
{
	*r = (struct rig){0};
	ring_producer_init(&r->p, &r->tail, &r->head, SIZE);
	ring_consumer_init(&r->c, &r->tail, &r->head, SIZE);
	atomic_store(&r->tail.value, start);
	atomic_store(&r->head.value, start);
	r->p.tail = r->p.published = r->p.head = start;
	r->c.tail = r->c.head = r->c.released = start;
}

static int put(struct rig *r, uint32_t value)
{
	uint32_t at;
	int err = ring_reserve(&r->p, &at);
	if (!err)
		r->entries[at] = value;
	return err;
}

Test(ring, nothing_is_seen_before_it_is_published)
{
	struct rig r;
	init(&r, 0);
	cr_assert_eq(put(&r, 7), 0);
	cr_assert_eq(ring_available(&r.c), 0);
	cr_assert(ring_publish(&r.p));
	cr_assert_not(ring_publish(&r.p), "nothing new");
	cr_assert_eq(ring_available(&r.c), 1);
	cr_assert_eq(r.entries[ring_next(&r.c)], 7);
	cr_assert_eq(ring_left(&r.c), 0);
}

Test(ring, order_is_kept_over_the_wrap_of_2_to_the_32)
{
	struct rig r;
	uint32_t next_in = 0, next_out = 0;
	init(&r, UINT32_MAX - 20);
	for (int round = 0; round < 20; round++) {
		while (put(&r, next_in) == 0)
			next_in++;
		ring_publish(&r.p);
		int n = ring_available(&r.c);
		cr_assert_eq(n, (int)SIZE);
		for (int i = 0; i < n - round % 3; i++)
			cr_assert_eq(r.entries[ring_next(&r.c)], next_out++);
		ring_release(&r.c);
		while (ring_left(&r.c))
			cr_assert_eq(r.entries[ring_next(&r.c)], next_out++);
		ring_release(&r.c);
	}
	cr_assert_eq(next_in, next_out);
}

Test(ring, full_until_released)
{
	struct rig r;
	init(&r, 0);
	for (uint32_t i = 0; i < SIZE; i++)
		cr_assert_eq(put(&r, i), 0);
	cr_assert_eq(put(&r, 0), ERR_AGAIN);
	ring_publish(&r.p);
	ring_available(&r.c);
	ring_next(&r.c);
	cr_assert_eq(put(&r, 0), ERR_AGAIN, "taken but not released");
	ring_release(&r.c);
	cr_assert_eq(put(&r, 0), 0);
	cr_assert_eq(put(&r, 0), ERR_AGAIN);
}

Test(ring, a_tail_too_far_ahead_is_a_violation)
{
	struct rig r;
	init(&r, 5);
	atomic_store(&r.tail.value, 5 + SIZE);
	cr_assert_eq(ring_available(&r.c), (int)SIZE);
	atomic_store(&r.tail.value, 5 + SIZE + 1);
	cr_assert_eq(ring_available(&r.c), ERR_PROTO);
	atomic_store(&r.tail.value, 4);
	cr_assert_eq(ring_available(&r.c), ERR_PROTO, "backwards");
	cr_assert_eq(r.c.head, 5, "our own index does not move");
}

Test(ring, a_head_where_none_can_be_is_a_violation)
{
	struct rig r;
	init(&r, 0);
	for (uint32_t i = 0; i < SIZE; i++)
		cr_assert_eq(put(&r, i), 0);
	atomic_store(&r.head.value, SIZE + 1);
	cr_assert_eq(put(&r, 0), ERR_PROTO);
	atomic_store(&r.head.value, UINT32_MAX);
	cr_assert_eq(put(&r, 0), ERR_PROTO);
}

Test(ring, need_wakeup)
{
	struct ring_index sleeps = {0};
	cr_assert_not(ring_must_wake(&sleeps));
	ring_sleep(&sleeps);
	cr_assert(ring_must_wake(&sleeps));
	ring_awake(&sleeps);
	cr_assert_not(ring_must_wake(&sleeps));
}
