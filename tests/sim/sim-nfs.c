/*
 * Seeded simulation of the NFS server: clients over a simulated network that delays, cuts reads short and
 * resets every connection again and again. A client sends an unanswered call again under its xid, and must
 * see each call done exactly once: a model of its files says so.
 *
 * sim-nfs [--seed N] [--seeds N] [--steps N]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "loop/sim.h"
#include "protocols/nfs/nfs-server.h"
#include "ring/ring-abi.h"
#include "tests/sim/nfs-call.h"
#include "vfs/vfs.h"

LOG_MODULE("sim");

#define N_CLIENTS 6
#define N_SLOTS 8
#define FILE_MAX 60000u

enum { NFS_OK = 0, NFS_NOENT = 2, NFS_EXIST = 17 };

struct run {
	uint64_t seed;
	unsigned n_steps;
	struct loop *loop;
	struct vfs *vfs;
	struct net_addr addr;
	struct op_handle root;
	struct fiber_join clients;
	struct fiber_join breaker;
	bool over;
	unsigned n_failed;
	unsigned n_calls;
	unsigned n_again;
};

struct slot {
	bool there;
	uint32_t size;
	uint8_t *bytes;
};

struct tester {
	struct run *run;
	unsigned index;
	uint64_t random;
	struct nfs_caller caller;
	struct nfs_fh dir;
	struct slot slots[N_SLOTS];
};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	return z ^ (z >> 29);
}

static void expect(struct tester *t, const char *what, int got, int want)
{
	if (got == want)
		return;
	if (t->run->n_failed++ < 8)
		printf("  client %u: %s is %d, expected %d\n", t->index, what, got, want);
}

/* ---- steps of a client ------------------------------------------------------------------------ */

static const char *slot_name(unsigned i)
{
	static const char *const names[N_SLOTS] = {"a", "b", "c", "d", "e", "f", "g", "h"};

	return names[i];
}

static void step_create(struct tester *t, unsigned i)
{
	struct slot *s = &t->slots[i];
	struct nfs_fh fh;

	expect(t, "CREATE", nfs_create(&t->caller, &t->dir, slot_name(i), &fh), s->there ? NFS_EXIST : NFS_OK);
	if (s->there)
		return;
	s->there = true;
	s->size = 0;
	memset(s->bytes, 0, FILE_MAX);
}

static void step_remove(struct tester *t, unsigned i)
{
	struct slot *s = &t->slots[i];

	expect(t, "REMOVE", nfs_remove(&t->caller, &t->dir, slot_name(i)), s->there ? NFS_OK : NFS_NOENT);
	s->there = false;
}

static void step_rename(struct tester *t, unsigned i)
{
	unsigned to = (unsigned)(next_random(&t->random) % N_SLOTS);
	struct slot *s = &t->slots[i], swap;

	expect(t, "RENAME", nfs_rename(&t->caller, &t->dir, slot_name(i), slot_name(to)), s->there ? NFS_OK : NFS_NOENT);
	if (!s->there || to == i)
		return;
	swap = t->slots[to];
	t->slots[to] = *s;
	*s = swap;
	s->there = false;
}

static void step_write(struct tester *t, unsigned i)
{
	uint32_t offset = (uint32_t)(next_random(&t->random) % (FILE_MAX - 1)), size = 1 + (uint32_t)(next_random(&t->random) % 30000);
	struct slot *s = &t->slots[i];
	struct nfs_fh fh;

	if (!s->there)
		return;
	expect(t, "LOOKUP", nfs_lookup(&t->caller, &t->dir, slot_name(i), &fh), NFS_OK);
	size = MIN(size, FILE_MAX - offset);
	memset(s->bytes + offset, (int)(1 + next_random(&t->random) % 255), size);
	expect(t, "WRITE", nfs_write(&t->caller, &fh, offset, s->bytes + offset, size), NFS_OK);
	s->size = MAX(s->size, offset + size);
}

static void step_compare(struct tester *t, unsigned i)
{
	struct slot *s = &t->slots[i];
	CLEANUP_FREE uint8_t *data = malloc(FILE_MAX);
	uint32_t size = 0;
	struct nfs_fh fh;
	int status = nfs_lookup(&t->caller, &t->dir, slot_name(i), &fh);

	expect(t, "LOOKUP", status, s->there ? NFS_OK : NFS_NOENT);
	if (!s->there || status)
		return;
	expect(t, "READ", nfs_read(&t->caller, &fh, data, FILE_MAX, &size), NFS_OK);
	expect(t, "the size", (int)size, (int)s->size);
	expect(t, "a difference", size == s->size && memcmp(data, s->bytes, size) != 0, 0);
}

static void (*const steps[])(struct tester *t, unsigned i) = {
	step_create, step_create, step_remove, step_rename, step_write, step_write, step_compare,
};

static void run_steps(struct tester *t)
{
	struct nfs_fh root = {.size = t->run->root.size};
	char name[16];
	unsigned i;

	memcpy(root.bytes, t->run->root.bytes, root.size);
	snprintf(name, sizeof(name), "client%u", t->index);
	expect(t, "MKDIR", nfs_mkdir(&t->caller, &root, name, &t->dir), NFS_OK);
	for (i = 0; i < t->run->n_steps && !t->run->n_failed; i++)
		steps[next_random(&t->random) % ARRAY_SIZE(steps)](t, (unsigned)(next_random(&t->random) % N_SLOTS));
	for (i = 0; i < N_SLOTS; i++)
		step_compare(t, i);
}

static void run_client(void *arg)
{
	struct tester *t = arg;
	unsigned i;

	t->random = t->run->seed * 1000 + t->index;
	t->caller = (struct nfs_caller){.addr = &t->run->addr, .port = (uint16_t)(700 + t->index), .xid = t->index << 20};
	for (i = 0; i < N_SLOTS; i++)
		t->slots[i].bytes = calloc(1, FILE_MAX);
	run_steps(t);
	for (i = 0; i < N_SLOTS; i++)
		free(t->slots[i].bytes);
	t->run->n_calls += t->caller.n_calls;
	t->run->n_again += t->caller.n_again;
	nfs_hang_up(&t->caller);
	fiber_join_done(&t->run->clients);
}

/* ---- the world ---------------------------------------------------------------------------------- */

static int catalogue_scan(void *arg, const char *kind, uint64_t after, struct vfs_payload *room,
                          struct op_catalogue_scan_out *out)
{
	static const char fields[] = "name\0/data\0mount\0data\0path\0/\0clients\0*:rw,insecure,no_root_squash,sec=sys";
	struct op_object *o = room->iov[0].iov_base;

	out->generation = out->eof = 1;
	if (after || strcmp(kind, "export"))
		return 0;
	*o = (struct op_object){(uint32_t)ALIGN_UP(sizeof(*o) + sizeof(fields), (size_t)8), 4, 1};
	memcpy(o + 1, fields, sizeof(fields));
	out->size = o->record_size;
	out->n_objects = 1;
	return 0;
}

static int client_report(void *arg, struct vfs_session *s, const char *client, const char *text, uint32_t size)
{
	return 0;
}

static uint64_t catalogue_generation(void *arg)
{
	return 1;
}

static int connect_local(void *arg, struct client **c, const struct client_config *cfg)
{
	return client_local(c, ((struct run *)arg)->vfs, cfg);
}

static int find_root(struct run *r)
{
	struct client *c;
	int err = client_local(&c, r->vfs, &(struct client_config){.name = "sim", .role = RING_ROLE_NFS});

	if (err)
		return err;
	struct client_buf *buf = client_buf_alloc(c, 4, 0);
	struct op *op = client_op(c, OP_lookup_path);
	memcpy(buf->data, "data", 4);
	op->cred = (struct op_cred){0};
	op->in.lookup_path.tag = 1;
	client_op_seg(op, buf, 0, 4);
	err = client_call(c, op);
	r->root = op->out.lookup_path.obj;
	client_op_put(c, op);
	client_buf_put(c, buf);
	client_detach(c);
	return err;
}

static int start_server(struct run *r, struct nfs_server **server)
{
	static const struct vfs_hooks hooks = {catalogue_scan, client_report, catalogue_generation, NULL};
	static const struct vfs_option options[] = {{"capacity", "64M"}, {NULL, NULL}};
	const struct vfs_mount_spec spec = {1, "data", "memfs", false, options};
	const struct vfs_config vfs_cfg = {.state_dir = "/state", .arena_size = 1ULL << 30, .arena_limit = 128 << 20};
	struct nfs_config cfg = {.name = "sim", .addrs = &r->addr, .n_addrs = 1, .tcp = true, .first = true};
	CLEANUP_FREE char *why = NULL;
	struct nfs_ports ports;
	int err;

	backends_register();
	err = vfs_create(&r->vfs, &vfs_cfg, &why);
	if (!err) {
		vfs_set_hooks(r->vfs, &hooks);
		err = vfs_mount(r->vfs, &spec, &why);
	}
	if (!err)
		err = net_addr_parse("127.0.0.1:0", &r->addr);
	if (!err)
		err = nfs_server_start(server, &cfg, connect_local, r);
	if (err) {
		printf("  no server: %s\n", why ? why : err_text(err));
		return err;
	}
	nfs_server_ports(*server, &ports);
	r->addr.in.sin_port = htons(ports.port);
	return find_root(r);
}

/* Breaks every connection every few milliseconds, with calls on their way there and back. */
static void break_connections(void *arg)
{
	struct run *r = arg;
	uint64_t random = r->seed;

	while (!r->over) {
		fiber_sleep_ns((3 + next_random(&random) % 40) * NS_PER_MS);
		sim_net_reset(net_addr_port(&r->addr));
	}
	fiber_join_done(&r->breaker);
}

static void let_clients_run(struct run *r)
{
	const struct sim_net_faults faults = {.delay_min_ns = 20000, .delay_max_ns = 3 * NS_PER_MS, .short_io = 20};
	struct tester *testers = calloc(N_CLIENTS, sizeof(*testers));
	unsigned i;

	sim_net_set_faults(&faults);
	fiber_join_add(&r->clients, N_CLIENTS);
	for (i = 0; i < N_CLIENTS; i++) {
		testers[i].run = r;
		testers[i].index = i;
		fiber_start(r->loop, run_client, &testers[i]);
	}
	fiber_join_add(&r->breaker, 1);
	fiber_start(r->loop, break_connections, r);
	fiber_join_wait(&r->clients);
	r->over = true;
	fiber_join_wait(&r->breaker);
	free(testers);
}

static void live(void *arg)
{
	struct nfs_server *server = NULL;
	struct run *r = arg;

	if (start_server(r, &server))
		r->n_failed++;
	else
		let_clients_run(r);
	nfs_server_stop(server);
	if (r->vfs)
		vfs_destroy(r->vfs);
	loop_stop(r->loop);
}

static bool run_seed(uint64_t seed, unsigned n_steps)
{
	struct run r = {.seed = seed, .n_steps = n_steps};

	sim_disk_reset();
	if (loop_create(&r.loop, &(struct loop_config){.engine = LOOP_SIM, .sim_seed = seed}))
		return false;
	if (fiber_start(r.loop, live, &r) == 0)
		loop_run(r.loop);
	loop_destroy(r.loop);
	if (sim_stalled() || r.n_calls == 0) {
		printf("  every fiber waits for another\n");
		r.n_failed++;
	}
	printf("%s sim-nfs --seed %llu --seeds 1 --steps %u: %u calls, %u sent again\n", r.n_failed ? "FAIL" : "pass",
	       (unsigned long long)seed, n_steps, r.n_calls, r.n_again);
	return r.n_failed == 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", 1, NULL, 's'}, {"seeds", 1, NULL, 'n'}, {"steps", 1, NULL, 't'}, {0}};
	unsigned n_seeds = 5, n_steps = 120, n_passed = 0, i;
	uint64_t seed = 1;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (opt) {
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'n': n_seeds = (unsigned)strtoul(optarg, NULL, 0); break;
		case 't': n_steps = (unsigned)strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	log_set_level("*", LOG_ERROR);
	for (i = 0; i < n_seeds; i++)
		n_passed += run_seed(seed + i, n_steps);
	printf("%u passed, %u failed, 0 skipped\n", n_passed, n_seeds - n_passed);
	return n_passed != n_seeds;
}
