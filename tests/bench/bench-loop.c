/* Prints what fibers, locks, tasks, wakes and the worker pool cost, in nanoseconds each. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/fiber-lock.h"
#include "loop/loop.h"

#define N 2000000
#define N_HOPS 20000

static uint64_t now(void)
{
	return loop_clock_ns(loop_current());
}

static void print(const char *what, uint64_t start, uint64_t n)
{
	printf("%-44s %8.1f ns\n", what, (double)(now() - start) / (double)n);
}

static void nothing(void *arg)
{
}

static void bench_spawn(void)
{
	uint64_t start = now();

	for (int i = 0; i < N; i++)
		fiber_spawn(nothing, NULL);
	print("spawn, run and end a pooled fiber", start, N);
}

static void bench_yield(void)
{
	uint64_t start = now();

	for (int i = 0; i < N; i++)
		fiber_yield();
	print("yield, with a turn of the loop", start, N);
}

static struct fiber *ping, *pong;
static bool pong_ends;

static void run_pong(void *arg)
{
	pong = fiber_self();
	while (!pong_ends) {
		fiber_wake(ping);
		fiber_park();
	}
}

static void bench_switch(void)
{
	uint64_t start;

	ping = fiber_self();
	fiber_spawn(run_pong, NULL);
	start = now();
	for (int i = 0; i < N; i++) {
		fiber_wake(pong);
		fiber_park();
	}
	print("wake another fiber and be woken by it", start, N);
	pong_ends = true;
	fiber_wake(pong);
	fiber_yield();
}

static void bench_mutex(void)
{
	struct fiber_mutex m = {0};
	struct fiber_rwlock l = {0};
	uint64_t start = now();

	for (int i = 0; i < N; i++) {
		fiber_mutex_lock_fast(&m);
		fiber_mutex_unlock_fast(&m);
	}
	print("lock and unlock a free mutex", start, N);
	start = now();
	for (int i = 0; i < N; i++) {
		fiber_rwlock_rdlock(&l);
		fiber_rwlock_rdunlock(&l);
	}
	print("read-lock and unlock a free rwlock", start, N);
}

static void expire(struct loop_timer *t)
{
}

static void bench_timer(void)
{
	struct loop_timer t[64] = {0};
	struct loop *loop = loop_current();
	uint64_t start = now();

	for (int i = 0; i < N; i++) {
		struct loop_timer *one = &t[i % 64];
		one->fn = expire;
		loop_timer_start(loop, one, start + 100 * NS_PER_SEC + (uint64_t)i);
	}
	print("move a timer among 64", start, N);
	for (int i = 0; i < 64; i++)
		loop_timer_stop(loop, &t[i]);
}

static uint32_t n_posted;

static void count(struct loop_task *t)
{
	n_posted++;
}

static void bench_post(void)
{
	struct loop_task t[64];
	uint64_t start = now();

	for (int i = 0; i < N / 64; i++) {
		for (int k = 0; k < 64; k++) {
			t[k].fn = count;
			loop_post(loop_current(), &t[k]);
		}
		fiber_yield();
	}
	print("post a task to the own loop, 64 a turn", start, N);
}

static int block(void *arg)
{
	return 0;
}

static void bench_block(void)
{
	uint64_t start = now();

	for (int i = 0; i < N_HOPS; i++)
		loop_block(block, NULL);
	print("a blocking call by the pool, one at a time", start, N_HOPS);
}

static struct fiber_join blocked;

static void block_one(void *arg)
{
	for (int i = 0; i < 256; i++)
		loop_block(block, NULL);
	fiber_join_done(&blocked);
}

static void bench_block_many(void)
{
	uint64_t start = now();

	fiber_join_add(&blocked, 32);
	for (int i = 0; i < 32; i++)
		fiber_spawn(block_one, NULL);
	fiber_join_wait(&blocked);
	print("a blocking call by the pool, 32 at a time", start, 32 * 256);
}

static struct loop *other_loop;
static struct fiber *other_fiber, *first_fiber;
static uint32_t n_wakes, n_answered;

static void answer_wakes(void *arg)
{
	__atomic_store_n(&other_fiber, fiber_self(), __ATOMIC_RELEASE);
	fiber_wake(first_fiber);
	while (n_answered < N_HOPS) {
		while (__atomic_load_n(&n_wakes, __ATOMIC_ACQUIRE) == n_answered)
			fiber_park();
		__atomic_add_fetch(&n_answered, 1, __ATOMIC_RELEASE);
		fiber_wake(first_fiber);
	}
	loop_stop(loop_current());
}

static void *run_other(void *arg)
{
	fiber_start(other_loop, answer_wakes, NULL);
	loop_run(other_loop);
	return NULL;
}

static void bench_wake(const struct loop_config *cfg)
{
	pthread_t t;
	uint64_t start;

	first_fiber = fiber_self();
	loop_create(&other_loop, cfg);
	pthread_create(&t, NULL, run_other, NULL);
	while (!__atomic_load_n(&other_fiber, __ATOMIC_ACQUIRE))
		fiber_park();
	start = now();
	for (uint32_t i = 1; i <= N_HOPS; i++) {
		__atomic_store_n(&n_wakes, i, __ATOMIC_RELEASE);
		fiber_wake(other_fiber);
		while (__atomic_load_n(&n_answered, __ATOMIC_ACQUIRE) < i)
			fiber_park();
	}
	print("wake a fiber of another thread and back", start, N_HOPS);
	pthread_join(t, NULL);
	loop_destroy(other_loop);
}

static void run_all(void *arg)
{
	bench_spawn();
	bench_switch();
	bench_yield();
	bench_mutex();
	bench_timer();
	bench_post();
	bench_block();
	bench_block_many();
	bench_wake(arg);
	loop_stop(loop_current());
}

int main(int argc, char **argv)
{
	struct loop_config cfg = {.engine = LOOP_AUTO, .spin_us_max = argc > 2 ? (uint32_t)atoi(argv[2]) : 50};
	struct loop *loop;

	if (argc > 1 && strcmp(argv[1], "epoll") == 0)
		cfg.engine = LOOP_EPOLL;
	if (loop_create(&loop, &cfg) != 0)
		return 1;
	printf("engine %s, spin %u us\n", loop_engine_name(loop), cfg.spin_us_max);
	fiber_start(loop, run_all, &cfg);
	loop_run(loop);
	loop_destroy(loop);
	return 0;
}
