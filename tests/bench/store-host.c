/*
 * Lanes, and the process beside them that serves the ring. The lanes' loops poll as those of the server's processes do.
 */
#include "tests/bench/store-host.h"

#include <err.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/builtin.h"
#include "ring/server.h"
#include "vfs/vfs.h"

enum { LANES_MAX = 8, SPIN_US = 50, LOOK_MS = 10 };
#define CLIENT_ARENA (192ULL << 20)

struct lane {
	unsigned index;
	pthread_t thread;
	struct loop *loop;
	struct client *client;
	struct loop_task task; /* ends it */
};

/* What the two processes share. */
struct board {
	_Atomic bool stop;
};

static struct {
	const struct store_options *opt;
	const struct host_spec *spec;
	struct lane lanes[LANES_MAX];
	sem_t ready;
	struct vfs *vfs;
	struct board *board;
	pid_t server;
	char socket_path[64];
} host;

void host_check(int err, const char *what)
{
	if (err)
		errx(1, "%s: %s", what, err_text(err));
}

static struct vfs *open_store(void)
{
	struct vfs_mount_spec spec = {
		.id = 1, .name = HOST_MOUNT, .backend = host.spec->backend, .options = host.spec->options};
	struct vfs_config cfg = {.cache_size = host.opt->cache_size};
	struct vfs *vfs;
	char *why = NULL;

	backends_register();
	host_check(vfs_create(&vfs, &cfg, &why), why ? why : "no virtual file system");
	host_check(vfs_mount(vfs, &spec, &why), why ? why : "the store cannot be opened");
	return vfs;
}

static struct loop *new_loop(void)
{
	struct loop_config cfg = {.engine = LOOP_AUTO, .spin_us_max = SPIN_US};
	struct loop *loop;

	host_check(loop_create(&loop, &cfg), "no loop");
	return loop;
}

/* ---- the process that serves the ring ------------------------------------------------------- */

static struct loop *served[LANES_MAX];

static int admit(void *arg, struct ring_peer *peer)
{
	return 0;
}

static int open_session(void *arg, struct ring_attachment *a, const struct ring_peer *peer, void **session, uint64_t *id)
{
	struct vfs_session_config cfg = {.role = peer->role, .name = peer->name};
	return vfs_session_create(arg, &cfg, (struct vfs_session **)session);
}

static void serve(void *session, struct vfs_step *steps, unsigned n)
{
	vfs_run(session, steps, n);
}

static void release(void *session, struct vfs_pins *pins)
{
	vfs_pins_release(host.vfs, pins);
}

static void close_session(void *session)
{
	vfs_session_destroy(session);
}

static void serve_ring(void *arg)
{
	static const struct ring_server_ops ops = {admit, open_session, serve, release, close_session};
	host.vfs = open_store();
	struct ring_server_config cfg = {
		.socket_path = host.socket_path, .loops = served, .n_loops = host.opt->n_loops,
		.pages_fd = pages_fd(vfs_pages(host.vfs)), .pages_size = pages_size(vfs_pages(host.vfs)),
		.ops = &ops, .arg = host.vfs,
	};
	struct ring_server *ring;

	host_check(ring_server_start(&ring, &cfg), "no attach socket");
	while (!host.board->stop)
		fiber_sleep_ns(LOOK_MS * NS_PER_MS);
	ring_server_stop(ring);
	vfs_destroy(host.vfs);
	for (unsigned i = 0; i < host.opt->n_loops; i++)
		loop_stop(served[i]);
}

static void *served_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

static _Noreturn void server_main(void)
{
	pthread_t threads[LANES_MAX];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; i < host.opt->n_loops; i++)
		served[i] = new_loop();
	host_check(fiber_start(served[0], serve_ring, NULL), "no fiber");
	for (unsigned i = 1; i < host.opt->n_loops; i++)
		if (pthread_create(&threads[i], NULL, served_main, served[i]) != 0)
			errx(1, "no thread");
	loop_run(served[0]);
	for (unsigned i = 1; i < host.opt->n_loops; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void start_server(void)
{
	host.board = mmap(NULL, sizeof(*host.board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (host.board == MAP_FAILED)
		err(1, "no shared memory");
	snprintf(host.socket_path, sizeof(host.socket_path), "/tmp/store-load.%d", (int)getpid());
	host.server = fork();
	if (host.server < 0)
		err(1, "fork");
	if (host.server == 0)
		server_main();
}

static void stop_server(void)
{
	int status;

	host.board->stop = true;
	if (waitpid(host.server, &status, 0) < 0 || status != 0)
		errx(1, "the serving process did not end well");
	unlink(host.socket_path);
	munmap(host.board, sizeof(*host.board));
	host.server = 0;
}

/* ---- lanes --------------------------------------------------------------------------------- */

static void attach(struct lane *lane, const struct client_config *cfg)
{
	int err;

	while ((err = client_attach(&lane->client, host.socket_path, cfg)) == ERR_NOENT || err == ERR_CONNREFUSED) {
		if (waitpid(host.server, NULL, WNOHANG) != 0)
			errx(1, "the serving process has ended");
		fiber_sleep_ns(NS_PER_MS);
	}
	host_check(err, "no attachment");
}

static void enter_lane(void *arg)
{
	struct lane *lane = arg;
	struct client_config cfg = {.name = "bench", .role = RING_ROLE_TOOL, .arena_size = CLIENT_ARENA};

	if (host.opt->ring) {
		attach(lane, &cfg);
	} else {
		if (lane->index == 0)
			host.vfs = open_store();
		host_check(client_local(&lane->client, host.vfs, &cfg), "no client");
	}
	sem_post(&host.ready);
}

static void leave_lane(void *arg)
{
	struct lane *lane = arg;

	client_detach(TAKE(lane->client));
	if (lane->index == 0 && !host.opt->ring)
		vfs_destroy(TAKE(host.vfs));
	sem_post(&host.ready);
	loop_stop(lane->loop);
}

static void start_leaving(struct loop_task *task)
{
	struct lane *lane = container_of(task, struct lane, task);
	host_check(fiber_start(lane->loop, leave_lane, lane), "no fiber");
}

static void *lane_main(void *arg)
{
	struct lane *lane = arg;

	loop_run(lane->loop);
	loop_destroy(lane->loop);
	return NULL;
}

/* The first lane opens the store, the others find it. */
void host_open(const struct store_options *opt, const struct host_spec *spec)
{
	host.opt = opt;
	host.spec = spec;
	if (opt->n_loops < 1 || opt->n_loops > LANES_MAX)
		errx(2, "1 to %d loops", LANES_MAX);
	sem_init(&host.ready, 0, 0);
	if (opt->ring)
		start_server();
	for (unsigned i = 0; i < opt->n_loops; i++) {
		struct lane *lane = &host.lanes[i];
		*lane = (struct lane){.index = i, .loop = new_loop(), .task.fn = start_leaving};
		host_check(fiber_start(lane->loop, enter_lane, lane), "no fiber");
		if (pthread_create(&lane->thread, NULL, lane_main, lane) != 0)
			errx(1, "no thread");
		sem_wait(&host.ready);
	}
}

void host_close(void)
{
	for (unsigned i = host.opt->n_loops; i-- > 0;) {
		loop_post(host.lanes[i].loop, &host.lanes[i].task);
		sem_wait(&host.ready);
		pthread_join(host.lanes[i].thread, NULL);
	}
	if (host.opt->ring)
		stop_server();
	sem_destroy(&host.ready);
}

int host_pids(pid_t pids[2])
{
	pids[0] = getpid();
	pids[1] = host.server;
	return host.server ? 2 : 1;
}

uint64_t host_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)(host.server ? host.server : getpid()));
	return bench_proc_bytes(path, "RssAnon:");
}

/* ---- workers ------------------------------------------------------------------------------- */

struct errand {
	struct loop_task task;
	struct lane *lane;
	struct worker *w;
	void (*fn)(struct worker *w);
};

static void run_errand(void *arg)
{
	struct errand *e = arg;

	e->w->own = e->lane->client;
	e->fn(e->w);
	sem_post(&host.ready);
}

static void start_errand(struct loop_task *task)
{
	struct errand *e = container_of(task, struct errand, task);
	host_check(fiber_start(e->lane->loop, run_errand, e), "no fiber");
}

void host_run(struct worker *workers, unsigned n, void (*fn)(struct worker *w))
{
	struct errand errands[STORE_WORKERS_MAX];

	for (unsigned i = 0; i < n; i++) {
		struct lane *lane = &host.lanes[i % host.opt->n_loops];
		errands[i] = (struct errand){{start_errand, NULL}, lane, &workers[i], fn};
		loop_post(lane->loop, &errands[i].task);
	}
	for (unsigned i = 0; i < n; i++)
		sem_wait(&host.ready);
}
