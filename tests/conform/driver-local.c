/*
 * The driver over the local transport: a VFS with one mount in this process. Workers are threads, each with a loop
 * and a client of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring/ring-abi.h"
#include "tests/conform/driver-client.h"
#include "tests/conform/serve.h"

static _Thread_local struct client *the_client;
static struct vfs *the_vfs;

struct life {
	const struct driver_config *cfg;
	struct loop *loop;
	void (*body)(void *arg);
	void *arg;
	int err;
};

static struct client *local_client(struct test *t)
{
	return the_client;
}

static void live(void *arg)
{
	struct client_config cfg = {.name = "conform", .role = RING_ROLE_TOOL};
	struct life *l = arg;
	struct served served;

	l->err = serve_open(&served, l->cfg);
	the_vfs = served.vfs;
	if (!l->err)
		l->err = client_local(&the_client, served.vfs, &cfg);
	if (!l->err) {
		l->body(l->arg);
		client_detach(the_client);
	}
	serve_close(&served);
	loop_stop(l->loop);
}

static int local_run(const struct driver_config *cfg, void (*body)(void *arg), void *arg)
{
	struct life l = {.cfg = cfg, .body = body, .arg = arg};
	int err = loop_create(&l.loop, &(struct loop_config){.engine = LOOP_AUTO});

	if (err)
		return err;
	err = fiber_start(l.loop, live, &l);
	if (!err)
		loop_run(l.loop);
	loop_destroy(l.loop);
	return err ? err : l.err;
}

/* ---- workers -------------------------------------------------------------------------------- */

struct worker {
	struct test test;
	worker_fn *fn;
	unsigned index;
	void *arg;
	struct loop *loop;
	pthread_t thread;
	bool runs;
};

static void run_worker(void *arg)
{
	struct client_config cfg = {.name = "conform/worker", .role = RING_ROLE_TOOL, .n_slots = 16, .arena_size = 4 << 20};
	struct worker *w = arg;

	if (check_err(&w->test, __FILE__, __LINE__, "a worker's client", client_local(&the_client, the_vfs, &cfg), 0)) {
		w->fn(&w->test, w->index, w->arg);
		client_detach(the_client);
	}
	loop_stop(w->loop);
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;

	if (!check_err(&w->test, __FILE__, __LINE__, "a worker's loop",
	               loop_create(&w->loop, &(struct loop_config){.engine = LOOP_AUTO}), 0))
		return NULL;
	if (fiber_start(w->loop, run_worker, w) == 0)
		loop_run(w->loop);
	loop_destroy(w->loop);
	return NULL;
}

struct crew {
	struct worker *workers;
	unsigned n;
};

static int join_all(void *arg)
{
	struct crew *crew = arg;
	unsigned i;

	for (i = 0; i < crew->n; i++)
		if (crew->workers[i].runs)
			pthread_join(crew->workers[i].thread, NULL);
	return 0;
}

static void local_together(struct test *t, unsigned n, worker_fn *fn, void *arg)
{
	struct crew crew = {calloc(n, sizeof(*crew.workers)), n};
	struct worker *w;
	unsigned i;

	for (i = 0; i < n; i++) {
		w = &crew.workers[i];
		conform_fork(t, i, &w->test);
		w->fn = fn;
		w->index = i;
		w->arg = arg;
		w->runs = pthread_create(&w->thread, NULL, worker_thread, w) == 0;
	}
	loop_block(join_all, &crew);
	free(crew.workers);
}

static int local_root(struct test *t, struct obj *root)
{
	if (serve_faulty())
		t->features |= HAS_FAULT;
	return serve_root(t, SERVE_MOUNT, root);
}

const struct driver driver_local = {
	.name = "local",
	.features = CLIENT_FEATURES,
	.run = local_run,
	.root = local_root,
	.client = local_client,
	.together = local_together,
	CLIENT_VERBS,
};
