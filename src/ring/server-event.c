/*
 * Events to a client, from any thread. They are few, so each is published at once. One that finds the ring
 * full is dropped, and the next that fits is preceded by OP_EVENT_OVERFLOW.
 */
#include <string.h>

#include "ring/server-impl.h"

static bool put_event(struct ring_attachment *a, const struct op_event *event)
{
	uint32_t at;
	if (ring_reserve(&a->events, &at))
		return false;
	struct op_event *to = &a->seg.events[at];
	memcpy(to, event, offsetof(struct op_event, name));
	memcpy(to->name, event->name, MIN(event->name_size, (uint32_t)OP_NAME_MAX));
	a->n_events++;
	return true;
}

static bool put_or_overflow(struct ring_attachment *a, const struct op_event *event)
{
	static const struct op_event overflow = {.type = OP_EVENT_OVERFLOW};

	if (a->event_overflow && put_event(a, &overflow))
		a->event_overflow = false;
	if (!a->event_overflow && put_event(a, event))
		return true;
	a->event_overflow = true;
	a->n_events_lost++;
	return false;
}

void ring_attachment_event(struct ring_attachment *a, const struct op_event *event)
{
	spin_lock(&a->event_lock);
	put_or_overflow(a, event);
	bool published = ring_publish(&a->events);
	spin_unlock(&a->event_lock);
	if (published && ring_must_wake(&a->seg.shared->client_sleeps))
		doorbell_ring(&a->bell);
}
