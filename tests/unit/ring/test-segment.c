/* Shows that the segment's layout is bounded, sealed, checked on mapping, and can take an older one's place. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/segment.h"

static struct ring_segment create(uint32_t n_slots, uint64_t arena_size)
{
	struct ring_segment s;
	cr_assert_eq(ring_segment_create(&s, n_slots, arena_size), 0);
	return s;
}

Test(segment, parts_lie_apart_and_inside)
{
	struct ring_segment s = create(100, 3 << 20);
	const struct ring_shared *at = s.shared;
	cr_assert_eq(at->n_entries, 256, "twice the slots, a power of two");
	cr_assert_geq(at->sq_offset, sizeof(*at));
	cr_assert_geq(at->cq_offset, at->sq_offset + at->n_entries * 4);
	cr_assert_geq(at->event_offset, at->cq_offset + at->n_entries * 4);
	cr_assert_geq(at->slot_offset, at->event_offset + at->n_events * sizeof(struct op_event));
	cr_assert_geq(at->arena_offset, at->slot_offset + at->n_slots * at->slot_stride);
	cr_assert_eq(at->segment_size, at->arena_offset + at->arena_size);
	cr_assert_eq(at->slot_stride / 64 % 2, 1);
	cr_assert_eq((uintptr_t)ring_slot(&s, 1) % 64, 0);
	ring_segment_close(&s);
}

Test(segment, sizes_are_bounded)
{
	struct ring_segment s = create(0, 0);
	cr_assert_eq(s.n_slots, RING_SLOTS_MIN);
	cr_assert_eq(s.arena_size, RING_ARENA_MIN);
	ring_segment_close(&s);
	s = create(UINT32_MAX, UINT64_MAX);
	cr_assert_eq(s.n_slots, RING_SLOTS_MAX);
	cr_assert_eq(s.n_entries, RING_ENTRIES_MAX);
	cr_assert_eq(s.arena_size, RING_ARENA_MAX);
	ring_segment_close(&s);
}

Test(segment, its_client_cannot_resize_it)
{
	struct ring_segment s = create(16, 1 << 20);
	cr_assert_lt(ftruncate(s.fd, 4096), 0);
	cr_assert_lt(ftruncate(s.fd, (off_t)s.size + 4096), 0);
	cr_assert_lt(fcntl(s.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	ring_segment_close(&s);
}

Test(segment, mapping_sees_the_same_memory)
{
	struct ring_segment s = create(32, 1 << 20), c;
	cr_assert_eq(ring_segment_map(&c, dup(s.fd), s.size), 0);
	cr_assert_eq(c.n_slots, 32);
	strcpy((char *)c.arena, "payload");
	ring_slot(&s, 3)->code = OP_read;
	cr_assert_str_eq((char *)s.arena, "payload");
	cr_assert_eq(ring_slot(&c, 3)->code, OP_read);
	ring_segment_close(&c);
	ring_segment_close(&s);
}

Test(segment, what_is_no_segment_is_refused)
{
	struct ring_segment s = create(32, 1 << 20), c;
	cr_assert_eq(ring_segment_map(&c, dup(s.fd), s.size - 4096), ERR_PROTO);
	s.shared->arena_offset = 0;
	cr_assert_eq(ring_segment_map(&c, dup(s.fd), s.size), ERR_PROTO);
	cr_assert_eq(c.fd, -1);
	cr_assert_null(c.base);
	ring_segment_close(&s);
	cr_assert_eq(ring_segment_map(&c, memfd_create("empty", 0), 0), ERR_PROTO);
}

Test(segment, a_new_one_takes_an_old_ones_place)
{
	struct ring_segment old = create(32, 1 << 20), fresh = create(32, 1 << 20);
	struct op *op = ring_slot(&old, 5);
	uint8_t *base = old.base;
	op->trace_id = 1;
	ring_slot(&fresh, 5)->trace_id = 2;
	cr_assert_eq(ring_segment_replace(&fresh, &old), 0);
	cr_assert_eq(fresh.base, base);
	cr_assert_null(old.base);
	cr_assert_eq(op->trace_id, 2, "the same address, the new memory");
	struct ring_segment other = create(64, 1 << 20);
	cr_assert_eq(ring_segment_replace(&other, &fresh), ERR_INVAL);
	ring_segment_close(&other);
	ring_segment_close(&fresh);
}
