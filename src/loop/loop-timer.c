/*
 * Timers: an intrusive pairing heap. Starting is a comparison with the root, stopping usually unlinks a
 * leaf, so the timeouts that guard every read and hardly ever fire cost next to nothing - and starting one
 * cannot fail.
 */
#include "loop/loop-impl.h"

/* A timer that re-arms itself for now must not keep the loop from its other work. */
#define TIMERS_PER_TURN 256

/* The later root becomes the first child of the earlier one; on a tie a stays on top. */
static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->deadline_ns < a->deadline_ns) {
		struct loop_timer *t = a;
		a = b;
		b = t;
	}
	b->next = a->child;
	if (b->next)
		b->next->link = &b->next;
	b->link = &a->child;
	a->child = b;
	return a;
}

/* Melds a list of siblings into one heap: in pairs from the left, then the pairs from the right. */
static struct loop_timer *meld_list(struct loop_timer *first)
{
	struct loop_timer *pairs = NULL, *all = NULL;

	while (first) {
		struct loop_timer *a = first, *b = a->next;
		first = b ? b->next : NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct loop_timer *rest = pairs->next;
		all = meld(pairs, all);
		pairs = rest;
	}
	return all;
}

static void set_root(struct loop *loop, struct loop_timer *root)
{
	loop->timers = root;
	if (root) {
		root->next = NULL;
		root->link = &loop->timers;
	}
}

static void remove_timer(struct loop *loop, struct loop_timer *t)
{
	struct loop_timer *rest = meld_list(t->child);

	t->child = NULL;
	t->armed = false;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	if (rest)
		set_root(loop, meld(loop->timers, rest));
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns)
{
	if (timer->armed)
		remove_timer(loop, timer);
	timer->deadline_ns = deadline_ns;
	timer->armed = true;
	timer->child = timer->next = NULL;
	set_root(loop, meld(loop->timers, timer));
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
	if (timer->armed)
		remove_timer(loop, timer);
}

int loop_run_timers(struct loop *loop)
{
	int n = 0;

	while (n < TIMERS_PER_TURN && loop->timers && loop->timers->deadline_ns <= loop->now_ns) {
		struct loop_timer *t = loop->timers;
		remove_timer(loop, t);
		t->fn(t);
		n++;
	}
	return n;
}

uint64_t loop_next_deadline(const struct loop *loop)
{
	return loop->timers ? loop->timers->deadline_ns : UINT64_MAX;
}

struct sleeper {
	struct loop_timer timer;
	struct fiber *fiber;
};

static void end_sleep(struct loop_timer *timer)
{
	fiber_wake(container_of(timer, struct sleeper, timer)->fiber);
}

void fiber_sleep_ns(uint64_t ns)
{
	struct loop *loop = this_loop;
	struct sleeper s = {.timer.fn = end_sleep, .fiber = loop->current};

	loop_timer_start(loop, &s.timer, loop->now_ns + ns);
	while (s.timer.armed)
		fiber_park();
}
