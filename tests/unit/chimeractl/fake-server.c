/* A control socket with a real catalogue and made-up status, for testing chimeractl: fake-server DIR, until killed. */
#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/log.h"
#include "catalogue/control.h"
#include "chimerad/config-control.h"
#include "loop/loop.h"

LOG_MODULE("fake");

static const char *dir;
static struct catalogue *catalogue;
static struct control *control;
static struct config *config;

static int refuse_unknown(void *arg, const struct catalogue_change *c, struct catalogue_error *error)
{
	if (!c->after || strcmp(c->after->kind->name, "mount") != 0 ||
	    strcmp(catalogue_get(c->after, "backend"), "memfs") == 0)
		return 0;
	catalogue_error_set(error, "mount %s: there is no back end \"%s\"", c->after->name, catalogue_get(c->after, "backend"));
	return ERR_NODEV;
}

static int status(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	json_object(&reply->json, NULL);
	json_str(&reply->json, "version", "0.0");
	json_time(&reply->json, "started", 1500000000000000000ULL);
	json_u64(&reply->json, "uptime_ns", 90000000000ULL);
	json_object(&reply->json, "memory");
	json_u64(&reply->json, "arena_used", 3 << 20);
	json_end(&reply->json);
	json_end(&reply->json);
	return 0;
}

static int clients(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	json_array(&reply->json, NULL);
	json_object(&reply->json, NULL);
	json_str(&reply->json, "name", "10.0.0.1\x1b[2J");
	json_str(&reply->json, "protocol", "nfs3");
	json_end(&reply->json);
	json_end(&reply->json);
	return 0;
}

static const struct control_verb verbs[] = {{"status", "show", status}, {"client", "list", clients}};

static int start(void)
{
	static const struct catalogue_hooks hooks = {.change = refuse_unknown};
	static struct catalogue_error error;
	static char path[256];
	struct control_config cfg = {path, (gid_t)-1};
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	int err = catalogue_open(&catalogue, dir, &error);
	if (err)
		return err;
	catalogue_set_hooks(catalogue, &hooks);
	err = control_create(&control);
	if (!err)
		err = control_register_catalogue(control, catalogue);
	if (!err)
		err = control_register_log(control, NULL, NULL);
	if (!err)
		err = config_register_control(control, config);
	if (!err)
		err = control_register(control, verbs, ARRAY_SIZE(verbs), NULL);
	return err ? err : control_start(control, &cfg);
}

static void serve(void *arg)
{
	int err = start();
	if (err)
		log_error("%s", err_text(err));
	else
		printf("ready\n");
	fflush(stdout);
	if (err)
		loop_stop(loop_current());
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"requests"};
	static struct counter_table counters = {"fake", COUNTER_SUM, names, 1};
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	const char *override = "nfs.port=4000";
	struct config_source source = {.file = "/dev/null", .overrides = &override, .n_overrides = 1};
	struct bytes errors;
	struct loop *loop;
	bytes_init(&errors, 0);
	if (argc != 2 || loop_create(&loop, &cfg) || config_load(&config, &source, &errors))
		return 2;
	dir = argv[1];
	counter_register(&counters);
	counter_add(&counters, 0, 5);
	fiber_start(loop, serve, NULL);
	loop_run(loop);
	return 1;
}
