/*
 * Seeded simulation of the store: many fibers work at once on one VFS over a memfs whose every call may
 * take a while, under the simulated clock, and a model says what each must see. Everything follows
 * from the seed: a seed that fails is printed, and fails again.
 *
 * sim [--seed N] [--seeds N] [--steps N] [--workers N]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/builtin.h"
#include "base/cleanup.h"
#include "loop/sim.h"
#include "ring/ring-abi.h"
#include "tests/conform/driver-client.h"
#include "tests/sim/workload.h"
#include "vfs/vfs.h"

struct run {
	uint64_t seed;
	unsigned n_steps;
	unsigned n_workers;
	struct loop *loop;
	unsigned n_failed;
	uint64_t digest;
	uint64_t n_ops;
};

static struct client *the_client;

static struct client *sim_client(struct test *t)
{
	return the_client;
}

static const struct driver driver_sim = {.name = "sim", .features = CLIENT_FEATURES, .client = sim_client,
                                         .together = client_together, CLIENT_VERBS};

/* Each call of the store may wait, differently for each seed: that is what lets fibers overtake each other. */
static int mount_slow_memfs(struct vfs *vfs, uint64_t seed, char **why)
{
	char rules[160];
	struct vfs_option options[] = {{"lower", "memfs"}, {"capacity", "256M"}, {"rule", rules}, {NULL, NULL}};
	struct vfs_mount_spec spec = {.id = 1, .name = "store", .backend = "fault", .options = options};

	snprintf(rules, sizeof(rules), "op=any,delay=3us,every=%u;op=write,delay=40us,every=%u;op=lookup,delay=7us,every=%u",
	         (unsigned)(2 + seed % 5), (unsigned)(2 + seed / 5 % 7), (unsigned)(1 + seed / 35 % 3));
	return vfs_mount(vfs, &spec, why);
}

static int open_store(struct vfs **vfs, uint64_t seed)
{
	struct vfs_config cfg = {.arena_size = 1ULL << 30, .arena_limit = 512 << 20};
	CLEANUP_FREE char *why = NULL;
	int err;

	backends_register();
	err = vfs_create(vfs, &cfg, &why);
	if (!err)
		err = mount_slow_memfs(*vfs, seed, &why);
	if (err)
		fprintf(stderr, "sim: %s\n", why ? why : err_text(err));
	return err;
}

static void work(struct run *r)
{
	struct test_counts counts = {0};
	struct test_memory held = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct test t = {.drv = &driver_sim, .as = &ROOT, .counts = &counts, .memory = &held, .features = HAS_ALL,
	                 .random_state = r->seed};

	if (check_err(&t, __FILE__, __LINE__, "the root", fs_path(&t, &(struct obj){0}, "store", &t.root), 0))
		r->digest = workload_run(&t, r->n_workers, r->n_steps);
	r->n_failed = counts.n_failed;
	r->n_ops = counts.n_checks;
	conform_release_memory(&t);
	free(held.fds);
}

static void live(void *arg)
{
	struct client_config cfg = {.name = "sim", .role = RING_ROLE_TOOL};
	struct run *r = arg;
	struct vfs *vfs = NULL;

	if (open_store(&vfs, r->seed) || client_local(&the_client, vfs, &cfg)) {
		r->n_failed = 1;
	} else {
		work(r);
		client_detach(the_client);
	}
	if (vfs)
		vfs_destroy(vfs);
	loop_stop(r->loop);
}

/* One life of the simulated world. */
static void run_once(struct run *r)
{
	struct loop_config cfg = {.engine = LOOP_SIM, .sim_seed = r->seed};

	r->n_failed = 1;
	if (loop_create(&r->loop, &cfg) == 0) {
		if (fiber_start(r->loop, live, r) == 0)
			loop_run(r->loop);
		loop_destroy(r->loop);
	}
	if (sim_stalled()) {
		printf("  every fiber waits for another\n");
		r->n_failed++;
	}
}

/* Twice: the second life must not differ in anything. */
static bool run_seed(struct run *r)
{
	uint64_t digest;

	run_once(r);
	digest = r->digest;
	if (!r->n_failed) {
		run_once(r);
		if (r->digest != digest) {
			printf("  two runs of one seed differ\n");
			r->n_failed++;
		}
	}
	if (r->n_failed)
		printf("FAIL sim --seed %llu --seeds 1 --steps %u --workers %u\n", (unsigned long long)r->seed, r->n_steps,
		       r->n_workers);
	return !r->n_failed;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", 1, NULL, 's'}, {"seeds", 1, NULL, 'n'}, {"steps", 1, NULL, 't'}, {"workers", 1, NULL, 'w'}, {0}};
	struct run r = {.seed = 1, .n_steps = 150, .n_workers = 12};
	unsigned n_seeds = 10, n_passed = 0, i;
	uint64_t n_checks = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (opt) {
		case 's': r.seed = strtoull(optarg, NULL, 0); break;
		case 'n': n_seeds = (unsigned)strtoul(optarg, NULL, 0); break;
		case 't': r.n_steps = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'w': r.n_workers = MIN((unsigned)strtoul(optarg, NULL, 0), WORKERS_MAX); break;
		default: return 2;
		}
	for (i = 0; i < n_seeds; i++, r.seed++) {
		n_passed += run_seed(&r);
		n_checks += r.n_ops;
	}
	printf("%llu checks\n%u passed, %u failed, 0 skipped\n", (unsigned long long)n_checks, n_passed, n_seeds - n_passed);
	return n_passed != n_seeds;
}
