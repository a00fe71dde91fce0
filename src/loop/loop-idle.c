/*
 * What a loop does with nothing to run: poll for a while, or sleep.
 *
 * A sleep and a wake-up cost tens of microseconds, so under load it pays to go on looking; without load it burns
 * a core. So it polls only while a poller expects something, and learns whether that pays. Whenever an idle spell ends, by polling or by being woken, its length is
 * compared with the bound: a short one raises the score, a long one lowers it by more. Only with a good
 * score does the next spell begin with polling. So a loop that waits for minutes stops polling after a few
 * of them, and one that begins to be busy starts polling after a few short sleeps.
 */
#include <sched.h>

#include "base/spinlock.h"
#include "loop/loop-impl.h"

#define SCORE_MAX 8
#define SCORE_TO_SPIN 2
#define SCORE_HIT 1
#define SCORE_MISS 2

#define YIELD_AFTER_NS (2 * NS_PER_US)
#define PEER_SHARE 10 /* times the bound that the peer's time may take in one spell: it may be somebody else after all */
#define YIELDED_NS (5 * NS_PER_US) /* a yield that takes longer let somebody run */
#define HOGGED_NS (500 * NS_PER_US) /* and one that takes this long not the peer, who would have had enough sooner */

static void score_spell(struct loop *loop, uint64_t length_ns)
{
	bool hit = length_ns <= loop->config.spin_us_max * NS_PER_US;
	int32_t score = loop->spin_score + (hit ? SCORE_HIT : -SCORE_MISS);

	score = MIN(score, SCORE_MAX);
	loop->spin_score = MAX(score, 0);
}

int loop_run_pollers(struct loop *loop)
{
	struct list *at = loop->pollers.next;
	int n = 0;

	while (at != &loop->pollers) {
		struct loop_poller *p = list_entry(at, struct loop_poller, link);
		loop->poller_next = at->next;
		n += p->poll(p);
		at = loop->poller_next;
	}
	return n;
}

void loop_flush_pollers(struct loop *loop)
{
	struct loop_poller *p;

	LIST_FOREACH(p, &loop->pollers, link)
		if (p->flush)
			p->flush(p);
}

static bool arm_pollers(struct loop *loop)
{
	struct loop_poller *p;
	bool work = false;

	LIST_FOREACH(p, &loop->pollers, link)
		if (p->arm && p->arm(p))
			work = true;
	return work;
}

static bool expects_anything(const struct loop *loop)
{
	const struct loop_poller *p;

	LIST_FOREACH(p, &loop->pollers, link)
		if (p->expects && p->expects(p))
			return true;
	return false;
}

static void disarm_pollers(struct loop *loop)
{
	struct loop_poller *p;

	LIST_FOREACH(p, &loop->pollers, link)
		if (p->disarm)
			p->disarm(p);
}

bool loop_has_work(const struct loop *loop)
{
	return loop->run_head || __atomic_load_n(&loop->posted, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&loop->woken, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&loop->stopping, __ATOMIC_SEQ_CST);
}

int loop_look(struct loop *loop)
{
	int n;

	if (!loop->engine_hot && loop->now_ns - loop->engine_looked_ns < loop->engine->look_ns)
		return 0;
	n = loop->engine->wait(loop, 0);
	loop->engine_hot = n > 0;
	loop->engine_looked_ns = loop->now_ns;
	return n;
}

static bool timer_due(const struct loop *loop)
{
	return loop_next_deadline(loop) <= loop->now_ns;
}

/*
 * The peer that is polled may want this very CPU: after the time of an ordinary answer it is let in, and at once if it
 * was in such need the last time. Answers how long it had the CPU. Whoever keeps that for its whole slice is
 * somebody else: next to him it is better to sleep and be woken.
 */
static uint64_t wait_a_moment(struct loop *loop, uint64_t spent_ns)
{
	if (!loop->crowded && spent_ns < YIELD_AFTER_NS) {
		cpu_relax();
		loop->now_ns = loop->engine->clock_ns();
		return 0;
	}
	uint64_t before = loop->engine->clock_ns();
	sched_yield();
	loop->now_ns = loop->engine->clock_ns();
	uint64_t took_ns = loop->now_ns - before;
	loop->crowded = took_ns > YIELDED_NS && took_ns < HOGGED_NS;
	return loop->crowded ? took_ns : 0;
}

/* Polls until something turned up (true), or nothing is expected any more, or the bound has passed, the peer's time not counted. */
static bool spin(struct loop *loop, uint64_t until_ns)
{
	uint64_t start_ns = loop->now_ns, last_ns = until_ns + PEER_SHARE * (until_ns - start_ns);

	while (loop->now_ns < MIN(until_ns, last_ns) && expects_anything(loop)) {
		if (loop_run_pollers(loop) + loop_look(loop) > 0 || loop_has_work(loop)) {
			score_spell(loop, 0);
			loop_flush_pollers(loop);
			return true;
		}
		if (timer_due(loop))
			return true;
		uint64_t peer_ns = wait_a_moment(loop, loop->now_ns - start_ns);
		start_ns += peer_ns;
		until_ns += peer_ns;
	}
	return false;
}

/*
 * Announces the sleep before the last look, so that whoever queues something either is seen by the look
 * or sees the announcement and kicks.
 */
static int sleep_once(struct loop *loop)
{
	int n = 0;

	__atomic_store_n(&loop->sleeping, 1, __ATOMIC_SEQ_CST);
	if (!loop_has_work(loop))
		n = loop->engine->wait(loop, loop_next_deadline(loop));
	__atomic_store_n(&loop->sleeping, 0, __ATOMIC_RELAXED);
	return n;
}

void loop_idle(struct loop *loop)
{
	uint64_t start = loop->now_ns = loop->engine->clock_ns();
	bool may_spin = loop->config.spin_us_max > 0 && loop->spin_score >= SCORE_TO_SPIN;
	int n = 1;

	if (may_spin && spin(loop, start + loop->config.spin_us_max * NS_PER_US))
		return;
	if (!arm_pollers(loop))
		n = sleep_once(loop);
	disarm_pollers(loop);
	loop->now_ns = loop->engine_looked_ns = loop->engine->clock_ns();
	loop->engine_hot = n > 0;
	if (n > 0 || !timer_due(loop) || loop->now_ns - start > loop->config.spin_us_max * NS_PER_US)
		score_spell(loop, loop->now_ns - start);
}
