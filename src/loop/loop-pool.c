/*
 * The worker pool: threads for what has no asynchronous form, shared by all loops of the process.
 *
 * A job lives in the frame of the fiber that waits for it. Workers are made when a job finds none idle,
 * up to the limit, and leave after some seconds without work, so an idle process has none.
 */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

#define IDLE_SECONDS 10
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
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job *head, **tail;
	uint32_t n_threads;
	uint32_t n_idle;
	uint32_t n_queued;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .tail = &pool.head};

static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void init_pool(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool.work, &attr);
	pthread_condattr_destroy(&attr);
}

/* With the lock held: the next job, or NULL after a long time without any. */
static struct job *await_job(void)
{
	struct timespec until;
	struct job *job;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	pool.n_idle++;
	while (!pool.head && err == 0)
		err = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
	pool.n_idle--;
	job = pool.head;
	if (job) {
		pool.head = job->next;
		pool.n_queued--;
		if (!pool.head)
			pool.tail = &pool.head;
	}
	return job;
}

/* The job is gone once it is done; the fiber's memory stays. */
static void finish(struct job *job)
{
	struct fiber *f = job->fiber;

	job->result = job->fn(job->arg);
	__atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
	fiber_wake(f);
}

static void *work(void *arg)
{
	struct job *job;

	pthread_mutex_lock(&pool.lock);
	while ((job = await_job())) {
		pthread_mutex_unlock(&pool.lock);
		finish(job);
		pthread_mutex_lock(&pool.lock);
	}
	pool.n_threads--;
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* Workers take no signals: those are for the threads that expect them. */
static bool add_worker(void)
{
	sigset_t all, before;
	pthread_t thread;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_create(&thread, NULL, work, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ok) {
		pthread_detach(thread);
		pool.n_threads++;
	}
	return ok;
}

static uint32_t max_workers(const struct loop *loop)
{
	long n_cores = sysconf(_SC_NPROCESSORS_ONLN);

	return loop->config.n_workers ? loop->config.n_workers : (uint32_t)MAX(n_cores, MIN_WORKERS);
}

/* False when there is no worker and none can be made. */
static bool submit(struct loop *loop, struct job *job)
{
	bool ok = true;

	pthread_mutex_lock(&pool.lock);
	if (pool.n_queued >= pool.n_idle && pool.n_threads < max_workers(loop))
		ok = add_worker() || pool.n_threads > 0;
	if (ok) {
		*pool.tail = job;
		pool.tail = &job->next;
		pool.n_queued++;
	}
	pthread_mutex_unlock(&pool.lock);
	if (ok)
		pthread_cond_signal(&pool.work);
	return ok;
}

int loop_block(int (*fn)(void *arg), void *arg)
{
	struct loop *loop = this_loop;
	struct job job = {.fn = fn, .arg = arg, .fiber = loop->current};

	assert(loop->current != &loop->root);
	if (sim_loop())
		return fn(arg);
	pthread_once(&pool_once, init_pool);
	if (!submit(loop, &job))
		return ERR_NOMEM;
	while (!__atomic_load_n(&job.done, __ATOMIC_ACQUIRE))
		fiber_park();
	return job.result;
}
