/* The driver over the local transport: a VFS with one mount in this process. */
#include <stdio.h>
#include <stdlib.h>

#include "ring/ring-abi.h"
#include "tests/conform/driver-client.h"
#include "tests/conform/serve.h"

static struct client *the_client;

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
	CLIENT_VERBS,
};
