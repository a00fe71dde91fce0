/* Shows that doorbells wake a loop, and that pollers are polled, armed before a sleep and disarmed after it. */
#include <pthread.h>
#include <unistd.h>

#include "tests/unit/loop/rig.h"

static struct doorbell bell;
static int n_rung;

static void rung(struct doorbell *b)
{
	cr_assert_eq(b, &bell);
	cr_assert_null(fiber_self());
	n_rung++;
}

static void wait_rung(int n)
{
	while (n_rung < n)
		fiber_sleep_ns(NS_PER_MS / 10);
	cr_assert_eq(n_rung, n);
}

static void ring_bell(void *arg)
{
	cr_assert_eq(doorbell_create(&bell), 0);
	cr_assert_eq(doorbell_watch(loop_current(), &bell, rung), 0);
	for (int i = 1; i <= 5; i++) {
		doorbell_ring(&bell);
		wait_rung(i);
	}
	doorbell_close(&bell);
	rig_done();
}

/* Each ring after the last call causes another call. */
EACH_TEST(poller, doorbell_rings, ring_bell)

/* A mailbox in shared memory, as a ring would be: a flag, a need-wakeup flag and a doorbell. */
struct mailbox {
	struct loop_poller poller;
	uint32_t mail, need_wakeup;
	uint32_t n_polled, n_armed, n_flushed, n_taken;
	bool armed;
};

static struct mailbox box;

static int poll_box(struct loop_poller *p)
{
	struct mailbox *b = container_of(p, struct mailbox, poller);

	cr_assert_not(b->armed);
	b->n_polled++;
	if (!__atomic_exchange_n(&b->mail, 0, __ATOMIC_ACQ_REL))
		return 0;
	__atomic_add_fetch(&b->n_taken, 1, __ATOMIC_RELEASE);
	return 1;
}

static bool arm_box(struct loop_poller *p)
{
	struct mailbox *b = container_of(p, struct mailbox, poller);

	b->armed = true;
	b->n_armed++;
	__atomic_store_n(&b->need_wakeup, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&b->mail, __ATOMIC_SEQ_CST);
}

static void disarm_box(struct loop_poller *p)
{
	struct mailbox *b = container_of(p, struct mailbox, poller);

	b->armed = false;
	__atomic_store_n(&b->need_wakeup, 0, __ATOMIC_RELAXED);
}

static void flush_box(struct loop_poller *p)
{
	container_of(p, struct mailbox, poller)->n_flushed++;
}

static bool expects_box(const struct loop_poller *p)
{
	return true;
}

#define N_LETTERS 2000

static void *send_letters(void *arg)
{
	for (uint32_t i = 0; i < N_LETTERS; i++) {
		__atomic_store_n(&box.mail, 1, __ATOMIC_SEQ_CST);
		if (__atomic_exchange_n(&box.need_wakeup, 0, __ATOMIC_SEQ_CST))
			doorbell_ring(&bell);
		while (__atomic_load_n(&box.n_taken, __ATOMIC_ACQUIRE) <= i)
			sched_yield();
		if (i % 100 == 0)
			usleep(200);
	}
	return NULL;
}

static void watch_box(void *arg)
{
	pthread_t t;

	box.poller = (struct loop_poller){poll_box, arm_box, disarm_box, flush_box, expects_box};
	cr_assert_eq(doorbell_create(&bell), 0);
	cr_assert_eq(doorbell_watch(loop_current(), &bell, NULL), 0);
	loop_poller_add(loop_current(), &box.poller);
	pthread_create(&t, NULL, send_letters, NULL);
	while (box.n_taken < N_LETTERS)
		fiber_sleep_ns(NS_PER_MS);
	pthread_join(t, NULL);
	cr_assert_gt(box.n_armed, 0);
	cr_assert_gt(box.n_flushed, 0);
	loop_poller_remove(loop_current(), &box.poller);
	doorbell_close(&bell);
	rig_done();
}

/* No letter is lost between polling and sleeping, with another thread that rings only when asked to. */
KERNEL_TEST(poller, mailbox, watch_box)

static void count_up(struct doorbell *b)
{
	n_rung++;
}

/* How often the box was polled while n timers of 20 ms passed. */
static uint32_t polls_in_spells(int n)
{
	uint32_t before = box.n_polled;

	for (int i = 0; i < n; i++)
		fiber_sleep_ns(20 * NS_PER_MS);
	return box.n_polled - before;
}

/* Busy for a while, so that the loop polls; then idle but for the timers: a few spells may begin with polling yet. */
static void busy_then_idle(void *arg)
{
	box.poller = (struct loop_poller){poll_box, arm_box, disarm_box, flush_box, expects_box};
	loop_poller_add(loop_current(), &box.poller);
	doorbell_create(&bell);
	doorbell_watch(loop_current(), &bell, count_up);
	for (int i = 0; i < 2000; i++) {
		box.mail = 1;
		doorbell_ring(&bell);
		fiber_sleep_ns(NS_PER_US);
	}
	polls_in_spells(5);
	cr_assert_leq(polls_in_spells(10), 40);
	cr_assert_gt(n_rung, 0);
	loop_poller_remove(loop_current(), &box.poller);
	doorbell_close(&bell);
	rig_done();
}

/* Polling stops soon after the work does. */
KERNEL_TEST(poller, spinning_decays, busy_then_idle)
