/* NFS inside chimerad: one server on each loop, over the local transport. No ring, no other process. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "chimerad/chimerad.h"
#include "client/client.h"
#include "protocols/nfs/nfs-server.h"

LOG_MODULE("chimerad");

/* One loop's server, and the fiber on the first loop that waits for it. */
struct inline_thread {
	struct chimerad_inline_nfs *all;
	uint32_t index;
	struct nfs_server *server;
	struct loop_task to_loop, to_main;
	int err;
	bool done;
};

struct chimerad_inline_nfs {
	struct chimerad *d;
	struct nfs_config config;
	struct net_addr addrs[NFS_ADDRS_MAX];
	struct inline_thread threads[CHIMERAD_THREADS_MAX];
	uint32_t n_started;
};

static int connect_local(void *arg, struct client **c, const struct client_config *cfg)
{
	struct inline_thread *t = arg;
	return client_local(c, t->all->d->vfs, cfg);
}

/* ---- a fiber on another loop, waited for on the first ----------------------------------------- */

static void on_main(struct loop_task *task)
{
	struct inline_thread *t = container_of(task, struct inline_thread, to_main);
	t->done = true;
	fiber_wake(t->all->d->main);
}

static void finish(struct inline_thread *t)
{
	t->to_main.fn = on_main;
	loop_post(t->all->d->loops[0], &t->to_main);
}

static void start_fiber(void *arg)
{
	struct inline_thread *t = arg;
	struct nfs_config cfg = t->all->config;
	char name[16];

	snprintf(name, sizeof(name), "nfs/%u", t->index);
	cfg.name = name;
	cfg.first = t->index == 0;
	t->err = nfs_server_start(&t->server, &cfg, connect_local, t);
	finish(t);
}

static void stop_fiber(void *arg)
{
	struct inline_thread *t = arg;
	nfs_server_stop(TAKE(t->server));
	finish(t);
}

static void on_start(struct loop_task *task)
{
	struct inline_thread *t = container_of(task, struct inline_thread, to_loop);
	t->err = fiber_spawn(start_fiber, t);
	if (t->err)
		finish(t);
}

static void on_stop(struct loop_task *task)
{
	struct inline_thread *t = container_of(task, struct inline_thread, to_loop);
	if (fiber_spawn(stop_fiber, t))
		finish(t);
}

static int run_on(struct inline_thread *t, void (*fn)(struct loop_task *))
{
	t->done = false;
	t->to_loop.fn = fn;
	loop_post(t->all->d->loops[t->index], &t->to_loop);
	while (!t->done)
		fiber_park();
	return t->err;
}

int chimerad_inline_nfs_start(struct chimerad *d)
{
	int err = 0;

	if (!config_bool(d->config, "nfs", "enable") || !config_has(d->config, "nfs", "host", "inline"))
		return 0;
	struct chimerad_inline_nfs *n = d->nfs = calloc(1, sizeof(*n));
	if (!n)
		return ERR_NOMEM;
	n->d = d;
	err = nfs_config_read(d->config, &n->config, n->addrs);
	n->config.share = d->n_loops > 1;
	for (uint32_t i = 0; i < d->n_loops && !err; i++) {
		n->threads[i] = (struct inline_thread){.all = n, .index = i};
		err = run_on(&n->threads[i], on_start);
		n->n_started += !err;
	}
	if (err)
		log_error("NFS cannot be served: %s; see [nfs]", err_text(err));
	return err;
}

void chimerad_inline_nfs_stop(struct chimerad *d)
{
	struct chimerad_inline_nfs *n = TAKE(d->nfs);

	for (uint32_t i = n ? n->n_started : 0; i-- > 0;)
		run_on(&n->threads[i], on_stop);
	free(n);
}
