/*
 * What a crossing of the ring costs: getattr on memfs in another process, pinned to another processor, beside
 * the same call in the same process, in one run.
 *
 *	bench-ring [SECONDS-PER-ROW]
 *
 * depth 1: the median latency while both sides poll. depth 32: processor time per call summed over both sides,
 * and what each call caused in doorbells and sleeps.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/builtin.h"
#include "client/client.h"
#include "ring/server.h"
#include "tests/bench/bench-stat.h"
#include "vfs/vfs.h"

#define DEPTH_MAX 32
#define SPIN_US 50 /* as [server] spin */

/* What both processes see. */
struct board {
	_Atomic uint64_t n_wakeups;
	_Atomic uint64_t n_ops;
};

static struct board *board;
static char socket_path[64];
static uint64_t row_ns = NS_PER_SEC;

static void die(const char *what, int err)
{
	fprintf(stderr, "bench-ring: %s: %s\n", what, err_text(err));
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void run_loop(fiber_fn *fn, void *arg)
{
	struct loop_config cfg = {.engine = LOOP_AUTO, .spin_us_max = SPIN_US};
	struct loop *loop;
	int err = loop_create(&loop, &cfg);

	if (!err)
		err = fiber_start(loop, fn, arg);
	if (err)
		die("no loop", err);
	loop_run(loop);
	loop_destroy(loop);
}

/* ---- the store --------------------------------------------------------------------------- */

static struct vfs *open_store(void)
{
	static const struct vfs_option options[] = {{NULL, NULL}};
	struct vfs_mount_spec spec = {.id = 1, .name = "bench", .backend = "memfs", .options = options};
	struct vfs_config cfg = {.arena_size = 1ULL << 30, .arena_limit = 64 << 20};
	struct vfs *vfs;
	char *why = NULL;

	backends_register();
	int err = vfs_create(&vfs, &cfg, &why);
	if (!err)
		err = vfs_mount(vfs, &spec, &why);
	if (err)
		die(why ? why : "no store", err);
	return vfs;
}

static struct op_handle root_of(struct client *c)
{
	struct client_buf *path = client_buf_alloc(c, 5, 0);
	struct op *op = client_op(c, OP_lookup_path);

	memcpy(path->data, "bench", 5);
	op->cred = (struct op_cred){0};
	client_op_seg(op, path, 0, 5);
	int err = client_call(c, op);
	if (err)
		die("no root", err);
	struct op_handle root = op->out.lookup_path.obj;
	client_op_put(c, op);
	client_buf_put(c, path);
	return root;
}

/* ---- the server process ------------------------------------------------------------------ */

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
}

static void close_session(void *session)
{
	vfs_session_destroy(session);
}

static bool note(void *arg, const struct ring_status *st)
{
	board->n_wakeups = st->n_wakeups;
	board->n_ops = st->n_ops;
	return true;
}

static void server(void *arg)
{
	static const struct ring_server_ops ops = {admit, open_session, serve, release, close_session};
	struct vfs *vfs = open_store();
	struct loop *loop = loop_current();
	struct ring_server_config cfg = {
		.socket_path = socket_path, .loops = &loop, .n_loops = 1, .pages_fd = pages_fd(vfs_pages(vfs)),
		.pages_size = pages_size(vfs_pages(vfs)), .ops = &ops, .arg = vfs,
	};
	struct ring_server *ring;
	int err = ring_server_start(&ring, &cfg);

	if (err)
		die("no attach socket", err);
	for (;;) {
		fiber_sleep_ns(10 * NS_PER_MS);
		ring_server_each(ring, note, NULL);
	}
}

static pid_t start_server(void)
{
	pid_t pid = fork();
	if (pid < 0)
		die("fork", err_from_errno(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(0);
		run_loop(server, NULL);
		exit(1);
	}
	return pid;
}

/* ---- the load ---------------------------------------------------------------------------- */

struct load {
	struct client *c;
	struct op_handle root;
	uint64_t until_ns;
	uint64_t n_calls;
	struct latencies *latency; /* NULL: not measured */
	struct fiber_join join;
};

static void call_once(struct load *l)
{
	struct op *op = client_op(l->c, OP_getattr);

	op->cred.uid = op->cred.gid = 0;
	op->cred.n_groups = 0;
	op->obj = l->root;
	op->in.getattr.want = ATTR_ALL;
	int err = client_call(l->c, op);
	if (err || op->out.getattr.attr.type != OP_TYPE_DIR)
		die("getattr", err);
	client_op_put(l->c, op);
	l->n_calls++;
}

static void caller(void *arg)
{
	struct load *l = arg;

	while (bench_now_ns() < l->until_ns)
		for (int i = 0; i < 64; i++) {
			uint64_t start = l->latency ? bench_now_ns() : 0;
			call_once(l);
			if (l->latency)
				latency_add(l->latency, bench_now_ns() - start);
		}
	fiber_join_done(&l->join);
}

static uint64_t cpu_of(pid_t pid)
{
	struct timespec ts;
	clockid_t id;
	clock_getcpuclockid(pid, &id);
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* How often a process went to sleep. */
static uint64_t sleeps_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long long n = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "voluntary_ctxt_switches: %llu", &n) != 1)
		;
	if (f)
		fclose(f);
	return n;
}

static void run_row(struct load *l, unsigned depth)
{
	l->until_ns = bench_now_ns() + row_ns;
	l->n_calls = 0;
	fiber_join_add(&l->join, depth);
	for (unsigned i = 0; i < depth; i++)
		fiber_start(loop_current(), caller, l);
	fiber_join_wait(&l->join);
}

static void measure(const char *transport, struct client *c, pid_t peer)
{
	static struct latencies latency;
	struct load l = {.c = c, .root = root_of(c), .latency = &latency};

	latency_reset(&latency);
	run_row(&l, 1);
	printf("%-6s depth  1: median %6.0f ns   99 %% %6.0f ns\n", transport,
	       (double)latency_quantile(&latency, 0.5), (double)latency_quantile(&latency, 0.99));
	l.latency = NULL;
	uint64_t cpu = cpu_of(getpid()), peer_cpu = peer ? cpu_of(peer) : 0, wakeups = board->n_wakeups;
	uint64_t sleeps = peer ? sleeps_of(getpid()) + sleeps_of(peer) : 0;
	run_row(&l, DEPTH_MAX);
	cpu = cpu_of(getpid()) - cpu;
	peer_cpu = peer ? cpu_of(peer) - peer_cpu : 0;
	sleeps = peer ? sleeps_of(getpid()) + sleeps_of(peer) - sleeps : 0;
	double n = (double)l.n_calls;
	printf("%-6s depth %2d: %.2f M calls/s   processor ns per call: %.0f", transport, DEPTH_MAX,
	       n / (double)row_ns * 1e3, (double)(cpu + peer_cpu) / n);
	if (peer)
		printf(" (client %.0f, server %.0f)   per 1000 calls: %.2f doorbells of the server, %.2f sleeps of both",
		       (double)cpu / n, (double)peer_cpu / n, (double)(board->n_wakeups - wakeups) * 1e3 / n,
		       (double)sleeps * 1e3 / n);
	printf("\n");
	fflush(stdout);
}

static void client_main(void *arg)
{
	pid_t server_pid = *(pid_t *)arg;
	struct client_config cfg = {.name = "bench", .role = RING_ROLE_TOOL};
	struct client *c;
	int err;

	while ((err = client_attach(&c, socket_path, &cfg)) == ERR_NOENT || err == ERR_CONNREFUSED)
		fiber_sleep_ns(NS_PER_MS);
	if (err)
		die("no attachment", err);
	measure("ring", c, server_pid);
	client_detach(c);

	struct vfs *vfs = open_store();
	err = client_local(&c, vfs, &cfg);
	if (err)
		die("no local client", err);
	measure("local", c, 0);
	client_detach(c);
	vfs_destroy(vfs);
	loop_stop(loop_current());
}

int main(int argc, char **argv)
{
	if (argc > 1)
		row_ns = (uint64_t)(atof(argv[1]) * (double)NS_PER_SEC);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(socket_path, sizeof(socket_path), "/tmp/chimera-bench-ring.%d", (int)getpid());
	pid_t pid = start_server();
	pin(1);
	run_loop(client_main, &pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(socket_path);
	return 0;
}
