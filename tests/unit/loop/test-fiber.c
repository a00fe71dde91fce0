/* Shows that fibers nest, park, wake, sleep, lock and join as fiber.h says, on one thread and across threads. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "tests/unit/loop/rig.h"

static int step;

static void set_step(void *arg)
{
	step = (int)(intptr_t)arg;
}

static void spawn_nested(void *arg)
{
	cr_assert_eq(fiber_spawn(set_step, (void *)7), 0);
	cr_assert_eq(step, 7);
	rig_done();
}

/* A spawned fiber runs before fiber_spawn() returns, inside a fiber too. */
Test(fiber, spawn_runs_at_once)
{
	rig_run(spawn_nested, NULL);
}

static struct fiber *parked;

static void park_once(void *arg)
{
	parked = fiber_self();
	step = 1;
	fiber_park();
	step = 2;
}

static void wake_parked(void *arg)
{
	fiber_spawn(park_once, NULL);
	cr_assert_eq(step, 1);
	fiber_wake(parked);
	cr_assert_eq(step, 1);
	fiber_yield();
	cr_assert_eq(step, 2);
	rig_done();
}

/* A woken fiber runs later, not inside the wake. */
Test(fiber, wake_queues)
{
	rig_run(wake_parked, NULL);
}

enum { N_STACKS = 300, STACK_ROOM = 1 << 20 }; /* more fibers than the pool keeps, more bytes than a stack has */

static struct fiber *of_many[N_STACKS];

static void park_as(void *arg)
{
	of_many[(intptr_t)arg] = fiber_self();
	fiber_park();
}

static void reuse_stacks(void *arg)
{
	static char *maps[N_STACKS / 8];
	for (intptr_t i = 0; i < N_STACKS; i++)
		cr_assert_eq(fiber_spawn(park_as, (void *)i), 0);
	for (int i = 0; i < N_STACKS; i++)
		fiber_wake(of_many[i]);
	fiber_yield();
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		maps[i] = mmap(NULL, STACK_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		cr_assert_neq(maps[i], MAP_FAILED);
		memset(maps[i], 1, STACK_ROOM);
	}
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		munmap(maps[i], STACK_ROOM);
	rig_done();
}

/* The memory of a stack that was given back is like any other, for AddressSanitizer too. */
Test(fiber, memory_of_stacks_can_be_used_again)
{
	rig_run(reuse_stacks, NULL);
}

static void wake_self(void *arg)
{
	fiber_wake(fiber_self());
	fiber_park();
	rig_done();
}

/* A wake that comes before the park is remembered. */
Test(fiber, wake_before_park)
{
	rig_run(wake_self, NULL);
}

#define MANY 10000

static struct fiber_join many;
static int n_ran;

static void sleep_a_bit(void *arg)
{
	fiber_sleep_ns((uint64_t)(uintptr_t)arg % 64 * NS_PER_US);
	n_ran++;
	fiber_join_done(&many);
}

static void spawn_many(void *arg)
{
	fiber_join_add(&many, MANY);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(fiber_spawn(sleep_a_bit, (void *)(intptr_t)i), 0);
	fiber_join_wait(&many);
	cr_assert_eq(n_ran, MANY);
	rig_done();
}

/* Ten thousand fibers sleep at once and all end. */
Test(fiber, ten_thousand)
{
	rig_run(spawn_many, NULL);
}

static struct fiber_mutex mutex;
static int order[8], n_order;

static void lock_in_turn(void *arg)
{
	fiber_mutex_lock(&mutex);
	order[n_order++] = (int)(intptr_t)arg;
	fiber_yield();
	fiber_mutex_unlock(&mutex);
}

static void mutex_fairness(void *arg)
{
	fiber_mutex_lock(&mutex);
	for (intptr_t i = 0; i < 8; i++)
		fiber_spawn(lock_in_turn, (void *)i);
	cr_assert_not(fiber_mutex_trylock(&mutex));
	fiber_mutex_unlock(&mutex);
	fiber_mutex_lock(&mutex);
	cr_assert_eq(n_order, 8);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(order[i], i);
	fiber_mutex_unlock(&mutex);
	cr_assert_eq(mutex.state, 0);
	rig_done();
}

/* A mutex is handed to its waiters first come, first served. */
Test(fiber, mutex_is_fair)
{
	rig_run(mutex_fairness, NULL);
}

static struct fiber_rwlock rwlock;
static char trace[16];

static void note(char c)
{
	size_t n = strlen(trace);
	trace[n] = c;
}

static void reader(void *arg)
{
	fiber_rwlock_rdlock(&rwlock);
	note('r');
	fiber_yield();
	note('.');
	fiber_rwlock_rdunlock(&rwlock);
}

static void writer(void *arg)
{
	fiber_rwlock_wrlock(&rwlock);
	note('W');
	fiber_yield();
	note('.');
	fiber_rwlock_wrunlock(&rwlock);
}

static void rwlock_order(void *arg)
{
	fiber_rwlock_rdlock(&rwlock);
	fiber_spawn(writer, NULL);
	fiber_spawn(reader, NULL);
	fiber_spawn(reader, NULL);
	fiber_spawn(writer, NULL);
	cr_assert_not(fiber_rwlock_tryrdlock(&rwlock));
	fiber_rwlock_rdunlock(&rwlock);
	fiber_rwlock_wrlock(&rwlock);
	cr_assert_str_eq(trace, "W.rr..W.");
	fiber_rwlock_wrunlock(&rwlock);
	cr_assert_eq(rwlock.state, 0);
	rig_done();
}

/* Readers share, writers exclude, and a waiting writer holds off later readers. */
Test(fiber, rwlock_is_fair)
{
	rig_run(rwlock_order, NULL);
}

static struct fiber_cond cond;
static int n_signaled;

static void wait_cond(void *arg)
{
	fiber_mutex_lock(&mutex);
	fiber_cond_wait(&cond, &mutex);
	n_signaled++;
	fiber_mutex_unlock(&mutex);
}

static void cond_steps(void *arg)
{
	for (int i = 0; i < 5; i++)
		fiber_spawn(wait_cond, NULL);
	fiber_cond_signal(&cond);
	fiber_yield();
	cr_assert_eq(n_signaled, 1);
	fiber_cond_broadcast(&cond);
	fiber_yield();
	cr_assert_eq(n_signaled, 5);
	rig_done();
}

/* A signal wakes one waiter, a broadcast all. */
Test(fiber, cond_signal_and_broadcast)
{
	rig_run(cond_steps, NULL);
}

static void signal_cond(void *arg)
{
	fiber_cond_signal(&cond);
}

static void cond_deadline(void *arg)
{
	struct loop *loop = loop_current();
	uint64_t start = loop_now_ns(loop);

	fiber_mutex_lock(&mutex);
	cr_assert_eq(fiber_cond_timedwait(&cond, &mutex, start + 5 * NS_PER_MS), ERR_TIMEDOUT);
	cr_assert_geq(loop_now_ns(loop), start + 5 * NS_PER_MS);
	cr_assert_null(cond.head);
	fiber_start(loop, signal_cond, NULL);
	cr_assert_eq(fiber_cond_timedwait(&cond, &mutex, loop_now_ns(loop) + 10 * NS_PER_SEC), 0);
	fiber_mutex_unlock(&mutex);
	rig_done();
}

/* A timed wait ends at its deadline, or before it by a signal, with the mutex held. */
Test(fiber, cond_timedwait)
{
	rig_run(cond_deadline, NULL);
}

#define THREADS 2
#define ROUNDS 20000

static uint64_t guarded;
static struct fiber_join crowd;

static void contend(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		fiber_mutex_lock(&mutex);
		guarded++;
		fiber_mutex_unlock(&mutex);
		fiber_rwlock_rdlock(&rwlock);
		fiber_rwlock_rdunlock(&rwlock);
		if (i % 16 == 0) {
			fiber_rwlock_wrlock(&rwlock);
			guarded += 0;
			fiber_rwlock_wrunlock(&rwlock);
			fiber_yield();
		}
	}
	fiber_join_done(&crowd);
}

static void contend_all(void *arg)
{
	for (int i = 0; i < 4; i++)
		fiber_spawn(contend, NULL);
	fiber_join_wait(&crowd);
	rig_done();
}

static void *contend_thread(void *arg)
{
	rig_run(contend_all, NULL);
	return NULL;
}

/* Fibers of two threads share a mutex and a rwlock and lose no wake and no increment. */
Test(fiber, locks_across_threads, .timeout = 60)
{
	pthread_t threads[THREADS];

	fiber_join_add(&crowd, THREADS * 4);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, contend_thread, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(guarded, THREADS * 4 * ROUNDS);
}
