/*
 * The worker pool: threads for what has no asynchronous form, shared by all loops of the process.
 *
 * A job lives in the frame of the fiber that waits for it. Workers are made when a job finds none idle,
 * up to the limit, and leave after some seconds without work, so an idle process has none. One worker at a
 * time looks for the next job for a moment before it sleeps, and jobs that it will find wake nobody: short
 * calls in a row cost no system call to hand over.
 */
#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/spinlock.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

#define IDLE_SECONDS 10
/* How long one worker looks for another job before it sleeps: about what waking it up would cost. */
#define SPIN_NS (20 * NS_PER_US)
#define MIN_WORKERS 4

struct job {
	struct job *next;
	int (*fn)(void *arg);
	void *arg;
	int result;
	uint32_t done; /* atomic */
	struct fiber *fiber;
};

static struct {
	struct spinlock lock;
	struct job *head, **tail;
	uint32_t n_threads;
	uint32_t n_asleep;
	uint32_t n_spinning; /* 0 or 1 */
	uint32_t n_queued;   /* also read without the lock */
	uint32_t wakes;      /* futex: sleepers wait for it to change; changed under the lock */
	bool waking;         /* a sleeper was woken and has not looked yet */
} pool = {.tail = &pool.head};

static void set_queued(uint32_t n)
{
	__atomic_store_n(&pool.n_queued, n, __ATOMIC_RELAXED);
}

/*
 * With the lock held: whether to call wake_worker() without it. One wake-up at a time: who wakes up looks
 * whether there is work for another, so that a burst of jobs costs the loop one system call and short jobs
 * wake no more workers than are needed.
 */
static bool must_wake(void)
{
	if (pool.waking || pool.n_asleep == 0 || pool.n_queued <= pool.n_spinning)
		return false;
	pool.waking = true;
	__atomic_add_fetch(&pool.wakes, 1, __ATOMIC_RELAXED);
	return true;
}

static void wake_worker(void)
{
	syscall(SYS_futex, &pool.wakes, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The next two are called with the lock held and give it up meanwhile. */
static void spin_for_job(void)
{
	uint64_t until = clock_monotonic_ns() + SPIN_NS;

	pool.n_spinning++;
	spin_unlock(&pool.lock);
	/* Whoever is to bring the next job may want this very CPU. */
	while (!__atomic_load_n(&pool.n_queued, __ATOMIC_RELAXED) && clock_monotonic_ns() < until)
		sched_yield();
	spin_lock(&pool.lock);
	pool.n_spinning--;
}

static void sleep_for_job(void)
{
	const struct timespec timeout = {.tv_sec = IDLE_SECONDS};
	bool expired = false;

	pool.n_asleep++;
	while (!pool.head && !expired) {
		uint32_t seen = pool.wakes;
		spin_unlock(&pool.lock);
		expired = syscall(SYS_futex, &pool.wakes, FUTEX_WAIT_PRIVATE, seen, &timeout, NULL, 0) < 0 &&
		          errno == ETIMEDOUT;
		spin_lock(&pool.lock);
		pool.waking = false;
	}
	pool.n_asleep--;
}

/* With the lock held: the next job, or NULL after a long time without any. */
static struct job *await_job(void)
{
	struct job *job;

	if (!pool.head && !pool.n_spinning)
		spin_for_job();
	if (!pool.head)
		sleep_for_job();
	job = pool.head;
	if (job) {
		pool.head = job->next;
		set_queued(pool.n_queued - 1);
		if (!pool.head)
			pool.tail = &pool.head;
	}
	return job;
}

static void finish(struct job *job)
{
	job->result = job->fn(job->arg);
	fiber_set_and_wake(job->fiber, &job->done, 1);
}

static void *work(void *arg)
{
	struct job *job;

	spin_lock(&pool.lock);
	while ((job = await_job())) {
		bool wake = must_wake();
		spin_unlock(&pool.lock);
		if (wake)
			wake_worker();
		finish(job);
		spin_lock(&pool.lock);
	}
	pool.n_threads--;
	spin_unlock(&pool.lock);
	return NULL;
}

/* Workers take no signals: those are for the threads that expect them. */
static bool start_worker(void)
{
	sigset_t all, before;
	pthread_t thread;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_create(&thread, NULL, work, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ok)
		pthread_detach(thread);
	return ok;
}

static uint32_t max_workers(const struct loop *loop)
{
	static uint32_t cached;
	uint32_t n = loop->config.n_workers ? loop->config.n_workers : __atomic_load_n(&cached, __ATOMIC_RELAXED);

	if (n == 0) {
		n = (uint32_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), (long)MIN_WORKERS);
		__atomic_store_n(&cached, n, __ATOMIC_RELAXED);
	}
	return n;
}

/* Makes a worker when all are busy and there may be more; false when there is none and none can be made. */
static bool ensure_worker(struct loop *loop)
{
	bool want, ok;

	spin_lock(&pool.lock);
	want = pool.n_queued >= pool.n_asleep + pool.n_spinning && pool.n_threads < max_workers(loop);
	pool.n_threads += want;
	spin_unlock(&pool.lock);
	if (!want || start_worker())
		return true;
	spin_lock(&pool.lock);
	ok = --pool.n_threads > 0;
	spin_unlock(&pool.lock);
	return ok;
}

static void submit(struct job *job)
{
	bool wake;

	spin_lock(&pool.lock);
	*pool.tail = job;
	pool.tail = &job->next;
	set_queued(pool.n_queued + 1);
	wake = must_wake();
	spin_unlock(&pool.lock);
	if (wake)
		wake_worker();
}

int loop_block(int (*fn)(void *arg), void *arg)
{
	struct loop *loop = this_loop;
	struct job job = {.fn = fn, .arg = arg, .fiber = loop->current};

	assert(loop->current != &loop->root);
	if (sim_loop())
		return fn(arg);
	if (!ensure_worker(loop))
		return ERR_NOMEM;
	submit(&job);
	while (!__atomic_load_n(&job.done, __ATOMIC_ACQUIRE))
		fiber_park();
	return job.result;
}
