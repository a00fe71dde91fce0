/* Shows that timers fire in order of their deadlines, can be moved and stopped, and that tasks keep their order. */
#include <pthread.h>
#include <sys/resource.h>

#include "tests/unit/loop/rig.h"

#define N_TIMERS 500

struct numbered {
	struct loop_timer timer;
	uint64_t deadline_ns;
};

static struct numbered timers[N_TIMERS];
static uint64_t last_fired;
static int n_fired;

static void fire(struct loop_timer *t)
{
	struct numbered *n = container_of(t, struct numbered, timer);

	cr_assert_not(t->armed);
	cr_assert_null(fiber_self());
	cr_assert_geq(n->deadline_ns, last_fired);
	cr_assert_geq(loop_now_ns(loop_current()), n->deadline_ns);
	last_fired = n->deadline_ns;
	n_fired++;
}

static void start(struct numbered *n, uint64_t deadline_ns)
{
	n->timer.fn = fire;
	n->deadline_ns = deadline_ns;
	loop_timer_start(loop_current(), &n->timer, deadline_ns);
}

static void many_timers(void *arg)
{
	struct loop *loop = loop_current();
	uint64_t now = loop_now_ns(loop);
	uint32_t x = 12345;

	for (int i = 0; i < N_TIMERS; i++) {
		x = x * 1103515245 + 12345;
		start(&timers[i], now + (x >> 8) % (5 * NS_PER_MS));
	}
	for (int i = 0; i < N_TIMERS; i += 5)
		loop_timer_stop(loop, &timers[i].timer);
	for (int i = 1; i < N_TIMERS; i += 5)
		start(&timers[i], now + (uint64_t)(i % 7) * NS_PER_MS);
	loop_timer_stop(loop, &timers[0].timer);
	fiber_sleep_ns(20 * NS_PER_MS);
	cr_assert_eq(n_fired, N_TIMERS - N_TIMERS / 5);
	rig_done();
}

EACH_TEST(timer, fire_in_order, many_timers)

static struct loop_task tasks[100];
static int n_tasks;

static void run_task(struct loop_task *t)
{
	cr_assert_eq(t - tasks, n_tasks);
	cr_assert_null(fiber_self());
	if (++n_tasks == 100)
		rig_done();
}

static void post_tasks(void *arg)
{
	for (int i = 0; i < 100; i++) {
		tasks[i].fn = run_task;
		loop_post(loop_current(), &tasks[i]);
	}
}

EACH_TEST(timer, tasks_run_in_order, post_tasks)

static void *post_from_thread(void *arg)
{
	for (int i = 0; i < 100; i++) {
		tasks[i].fn = run_task;
		loop_post(arg, &tasks[i]);
		if (i % 10 == 0)
			sched_yield();
	}
	return NULL;
}

static void post_remotely(void *arg)
{
	pthread_t t;

	pthread_create(&t, NULL, post_from_thread, loop_current());
	pthread_detach(t);
}

/* A post from another thread wakes a loop that sleeps. */
KERNEL_TEST(timer, post_wakes_loop, post_remotely)

static void clocks(void *arg)
{
	struct loop *loop = loop_current();
	uint64_t a = loop_clock_ns(loop), w = loop_wall_ns(loop);

	fiber_sleep_ns(2 * NS_PER_MS);
	cr_assert_geq(loop_clock_ns(loop), a + 2 * NS_PER_MS);
	cr_assert_geq(loop_wall_ns(loop), w + NS_PER_MS);
	cr_assert_gt(w, 1000000000ULL * NS_PER_SEC);
	rig_done();
}

EACH_TEST(timer, clocks_advance, clocks)

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void idle_a_while(void *arg)
{
	uint64_t before = cpu_us();

	fiber_sleep_ns(300 * NS_PER_MS);
	cr_assert_lt(cpu_us() - before, 3000);
	rig_done();
}

/* A loop with nothing to do takes no processor time. */
KERNEL_TEST(timer, idle_is_free, idle_a_while)
