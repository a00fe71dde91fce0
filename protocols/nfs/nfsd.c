/*
 * chimera-nfsd: options, configuration, and one NFS server per thread, each with a ring of its own to chimerad.
 * The first thread chooses the ports where the configuration leaves that open; the others share them.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "chimerad/config.h"
#include "protocols/nfs/nfs-server.h"
#include <config.h>

LOG_MODULE("nfsd");

#define THREADS_MAX 256
#define THREADS_BY_DEFAULT 4
#define ATTACH_TRIES 300
#define ATTACH_RETRY_NS (100 * NS_PER_MS)

enum { EXIT_USAGE = 2 };

struct nfsd;

struct worker {
	struct nfsd *nfsd;
	struct loop *loop;
	pthread_t thread;
	struct fiber *fiber;       /* waits for the end */
	struct nfs_server *server;
	char name[32];
	bool first;
	_Atomic bool up;           /* started, or failed to */
	_Atomic bool stop;
	int err;
};

struct nfsd {
	struct config *config;
	struct nfs_config cfg;
	struct net_addr addrs[NFS_ADDRS_MAX];
	uint32_t n_workers;
	struct worker *workers;
	struct doorbell bell;      /* rung by signals and by workers that are up */
	struct fiber *main;
};

static struct nfsd nfsd;
static _Atomic bool stop_asked, reload_asked;

/* ---- configuration ---------------------------------------------------------------------------- */

static int load_config(const struct config_source *source, struct config **config)
{
	struct bytes errors;
	bytes_init(&errors, 0);
	int err = config_load(config, source, &errors);
	if (err)
		fprintf(stderr, "%s", errors.size ? bytes_str(&errors) : "chimera-nfsd: the configuration cannot be read\n");
	bytes_fini(&errors);
	return err;
}

/* ---- signals --------------------------------------------------------------------------------- */

static void on_signal(int number)
{
	int saved = errno;
	if (number == SIGHUP)
		reload_asked = true;
	else
		stop_asked = true;
	doorbell_ring(&nfsd.bell);
	errno = saved;
}

static void on_bell(struct doorbell *bell)
{
	if (nfsd.main)
		fiber_wake(nfsd.main);
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* ---- workers --------------------------------------------------------------------------------- */

/* chimerad may be about to start, or end while we attach: it is waited for. */
static int attach(void *arg, struct client **c, const struct client_config *cfg)
{
	const struct config *config = nfsd.config;
	const char *path = config_text(config, "server", "attach_socket");
	struct client_config mine = *cfg;
	int err = 0;
	mine.n_slots = (uint32_t)config_number(config, "ring", "slots");
	mine.arena_size = config_number(config, "ring", "buffers");
	for (int i = 0; i < ATTACH_TRIES && !stop_asked; i++) {
		err = client_attach(c, path, &mine);
		if (err != ERR_CONNREFUSED && err != ERR_NOENT && err != ERR_DISCONNECTED)
			break;
		if (i == 0)
			log_notice("waiting for chimerad at %s", path);
		fiber_sleep_ns(ATTACH_RETRY_NS);
	}
	if (err)
		log_error("cannot attach to chimerad at %s: %s", path, err_text(err));
	return err;
}

static void serve(void *arg)
{
	struct worker *w = arg;
	struct nfs_config cfg = nfsd.cfg;
	cfg.name = w->name;
	cfg.first = w->first;
	cfg.share = nfsd.n_workers > 1;
	w->fiber = fiber_self();
	w->err = nfs_server_start(&w->server, &cfg, attach, NULL);
	w->up = true;
	doorbell_ring(&nfsd.bell);
	while (!w->stop)
		fiber_park();
	nfs_server_stop(w->server);
	loop_stop(w->loop);
}

static void *run_thread(void *arg)
{
	loop_run(((struct worker *)arg)->loop);
	return NULL;
}

static int create_worker(uint32_t i)
{
	struct worker *w = &nfsd.workers[i];
	const struct config *config = nfsd.config;
	const char *engine = config_text(config, "server", "engine");
	const struct loop_config cfg = {
		.engine = strcmp(engine, "io_uring") == 0 ? LOOP_IO_URING : strcmp(engine, "epoll") == 0 ? LOOP_EPOLL : LOOP_AUTO,
		.spin_us_max = (uint32_t)(config_number(config, "server", "spin") / NS_PER_US),
		.n_workers = 1,
	};
	w->nfsd = &nfsd;
	w->first = i == 0;
	snprintf(w->name, sizeof(w->name), "nfsd/%u", i);
	int err = loop_create(&w->loop, &cfg);
	if (err)
		log_error("cannot create a loop: %s", err_text(err));
	return err;
}

/* Starts worker i's fiber, on a thread of its own but for the first, and waits until it serves. */
static int start_worker(uint32_t i)
{
	struct worker *w = &nfsd.workers[i];
	int err = fiber_start(w->loop, serve, w);
	if (!err && i > 0 && pthread_create(&w->thread, NULL, run_thread, w) != 0)
		err = ERR_NOMEM;
	while (!err && !w->up)
		fiber_park();
	return err ? err : w->err;
}

static void take_ports(const struct nfs_server *s)
{
	struct nfs_ports ports;
	nfs_server_ports(s, &ports);
	nfsd.cfg.port = ports.port;
	nfsd.cfg.mount_port = ports.mount_port;
	log_notice("serving NFS on port %u, MOUNT on %u, the port mapper on %u", ports.port, ports.mount_port,
		   ports.portmap_port);
}

static int start_workers(uint32_t *n_started)
{
	int err = 0;
	for (*n_started = 0; *n_started < nfsd.n_workers && !err && !stop_asked; ++*n_started) {
		err = start_worker(*n_started);
		if (!err && *n_started == 0)
			take_ports(nfsd.workers[0].server);
	}
	return err;
}

static void stop_workers(uint32_t n_started)
{
	for (uint32_t i = n_started; i-- > 0;) {
		struct worker *w = &nfsd.workers[i];
		w->stop = true;
		if (w->fiber)
			fiber_wake(w->fiber);
	}
}

/* Levels of the log are what a reload changes. */
static void reload(const struct config_source *source)
{
	struct config *fresh;
	if (load_config(source, &fresh) != 0) {
		log_error("the configuration was not reloaded");
		return;
	}
	config_apply_log(fresh, "chimera-nfsd");
	config_free(fresh);
	log_notice("the configuration was reloaded");
}

static void supervise(void *arg)
{
	const struct config_source *source = arg;
	uint32_t n_started;
	nfsd.main = fiber_self();
	int err = start_workers(&n_started);
	while (!err && !stop_asked) {
		if (atomic_exchange(&reload_asked, false))
			reload(source);
		fiber_park();
	}
	nfsd.workers[0].err = nfsd.workers[0].err ? nfsd.workers[0].err : err;
	nfsd.main = NULL;
	stop_workers(n_started);
	if (!nfsd.workers[0].fiber)
		loop_stop(nfsd.workers[0].loop);
}

static uint32_t count_workers(void)
{
	uint64_t wanted = config_number(nfsd.config, "nfs", "threads");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (wanted == 0)
		wanted = cores < 1 ? 1 : MIN((uint64_t)cores, (uint64_t)THREADS_BY_DEFAULT);
	return (uint32_t)MIN(wanted, (uint64_t)THREADS_MAX);
}

/* Another process serves NFS, or none: being there and doing nothing is what was asked for. */
static bool must_idle(void)
{
	const struct config *config = nfsd.config;
	if (config_bool(config, "nfs", "enable") && config_has(config, "nfs", "host", "daemon"))
		return false;
	log_notice("[nfs] says that this daemon does not serve");
	return true;
}

static int create_workers(void)
{
	int err = 0;
	nfsd.n_workers = count_workers();
	nfsd.workers = calloc(nfsd.n_workers, sizeof(*nfsd.workers));
	if (!nfsd.workers)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < nfsd.n_workers && !err; i++)
		err = create_worker(i);
	if (!err)
		err = doorbell_create(&nfsd.bell);
	if (!err)
		err = doorbell_watch(nfsd.workers[0].loop, &nfsd.bell, on_bell);
	return err;
}

/* It writes no file and starts no program. Before there are threads: they inherit. */
static void enter_sandbox(void)
{
	static const char *const everything[] = {"/", NULL};

	if (!config_bool(nfsd.config, "server", "sandbox"))
		return;
	bool files = sandbox_files(NULL, everything);
	bool calls = sandbox_calls();
	if (!files || !calls)
		log_notice("this kernel offers no complete sandbox");
}

/* A connection is a descriptor: as many as the system lets this process have. */
static void raise_limits(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_notice("the limit of open files stays as it is");
}

static int run(struct config_source *source)
{
	raise_limits();
	enter_sandbox();
	int err = create_workers();
	if (err)
		return err;
	catch_signals();
	err = fiber_start(nfsd.workers[0].loop, supervise, source);
	if (err)
		return err;
	loop_run(nfsd.workers[0].loop);
	for (uint32_t i = 1; i < nfsd.n_workers; i++)
		if (nfsd.workers[i].thread)
			pthread_join(nfsd.workers[i].thread, NULL);
	return nfsd.workers[0].err;
}

static int wait_for_signal(void)
{
	sigset_t set;
	int number = SIGHUP;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (number == SIGHUP)
		sigwait(&set, &number);
	return 0;
}

int main(int argc, char **argv)
{
	static struct config_arguments arguments;
	int status = config_arguments(&arguments, "chimera-nfsd", "The NFS server of Chimera: serves the exports of a running chimerad.",
	                              "See chimera-nfsd(8) and chimera.conf(5).", argc, argv);
	if (status >= 0)
		return status;
	if (load_config(&arguments.source, &nfsd.config) != 0)
		return EXIT_USAGE;
	if (nfs_config_read(nfsd.config, &nfsd.cfg, nfsd.addrs) != 0)
		return EXIT_USAGE;
	if (arguments.check) {
		printf("the configuration is good\n");
		return EXIT_SUCCESS;
	}
	config_apply_log(nfsd.config, "chimera-nfsd");
	int err = must_idle() ? wait_for_signal() : run(&arguments.source);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
