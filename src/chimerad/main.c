/* chimerad: options, configuration, the lock, and one thread per loop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/builtin.h"
#include "base/log.h"
#include "chimerad/chimerad.h"
#include <config.h>

LOG_MODULE("chimerad");

/* More threads than this need more clients than most have; [server] threads says otherwise. */
#define THREADS_BY_DEFAULT 4

enum { EXIT_USAGE = 2 };

static int load_config(struct chimerad *d, const struct config_arguments *a)
{
	struct bytes errors;

	bytes_init(&errors, 0);
	d->source = a->source;
	int err = config_load(&d->config, &d->source, &errors);
	if (err)
		fprintf(stderr, "%s", errors.size ? bytes_str(&errors) : "chimerad: the configuration cannot be read\n");
	bytes_fini(&errors);
	return err;
}

/* ---- threads --------------------------------------------------------------------------------- */

static enum loop_engine engine_of(const struct config *cfg)
{
	const char *name = config_text(cfg, "server", "engine");
	return strcmp(name, "io_uring") == 0 ? LOOP_IO_URING : strcmp(name, "epoll") == 0 ? LOOP_EPOLL : LOOP_AUTO;
}

static uint32_t count_threads(const struct config *cfg)
{
	uint64_t wanted = config_number(cfg, "server", "threads");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (wanted == 0)
		wanted = cores < 1 ? 1 : MIN((uint64_t)cores, (uint64_t)THREADS_BY_DEFAULT);
	return (uint32_t)MIN(wanted, (uint64_t)CHIMERAD_THREADS_MAX);
}

static int create_loops(struct chimerad *d)
{
	struct loop_config cfg = {
		.engine = engine_of(d->config),
		.spin_us_max = (uint32_t)(config_number(d->config, "server", "spin") / NS_PER_US),
		.n_workers = (uint32_t)config_number(d->config, "server", "workers"),
	};
	uint32_t n = count_threads(d->config);

	for (; d->n_loops < n; d->n_loops++) {
		int err = loop_create(&d->loops[d->n_loops], &cfg);
		if (err) {
			log_error("cannot start a thread's loop (engine %s): %s", config_text(d->config, "server", "engine"),
			          err_text(err));
			return err;
		}
	}
	return 0;
}

static void *run_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

/* The first loop is the main thread's: its fiber starts and stops everything. */
static int run_threads(struct chimerad *d)
{
	uint32_t n = 1;
	int err = create_loops(d);

	for (; !err && n < d->n_loops; n++)
		err = -pthread_create(&d->threads[n], NULL, run_thread, d->loops[n]) ? ERR_NOMEM : 0;
	if (!err)
		err = fiber_start(d->loops[0], chimerad_serve, d);
	if (!err)
		loop_run(d->loops[0]);
	else
		for (uint32_t i = 1; i < n; i++)
			loop_stop(d->loops[i]);
	for (uint32_t i = 1; i < n; i++)
		pthread_join(d->threads[i], NULL);
	for (uint32_t i = 0; i < d->n_loops; i++)
		loop_destroy(d->loops[i]);
	return err;
}

int main(int argc, char **argv)
{
	static struct chimerad server = {.lock_fd = -1};
	static struct config_arguments arguments;
	int status = config_arguments(&arguments, "chimerad", "The Chimera file server: mounts stores and serves the protocol daemons.",
	                              "See chimerad(8) and chimera.conf(5).", argc, argv);

	if (status >= 0)
		return status;
	if (load_config(&server, &arguments))
		return EXIT_USAGE;
	if (arguments.check) {
		printf("the configuration is good\n");
		return EXIT_SUCCESS;
	}
	chimerad_levels_declare();
	config_apply_log(server.config, "chimerad");
	backends_register();
	if (chimerad_lock_state(&server) || run_threads(&server))
		server.exit_status = EXIT_FAILURE;
	config_free(server.config);
	if (server.lock_fd >= 0)
		close(server.lock_fd);
	return server.exit_status;
}
