/* Shows that the simulated world repeats itself exactly from its seed, and that its faults are those that it promises. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "loop/sim.h"
#include "tests/unit/loop/rig.h"

static void run_seed(uint64_t seed, fiber_fn *fn, void *arg)
{
	struct loop_config cfg = {.engine = LOOP_SIM, .sim_seed = seed};
	struct loop *loop;

	cr_assert_eq(loop_create(&loop, &cfg), 0);
	cr_assert_eq(fiber_start(loop, fn, arg), 0);
	loop_run(loop);
	loop_destroy(loop);
}

/* ---- a busy little world: clients talk to a server that keeps a log ------------------------------ */

#define N_CLIENTS 8
#define N_MESSAGES 20

static struct listener *listener;
static struct fiber_join clients;
static struct file *journal;
static uint64_t journal_end;

static void serve(void *arg)
{
	struct stream *s = arg;
	char buf[64];

	while (rig_read(s, buf, sizeof(buf)) == sizeof(buf)) {
		struct iovec iov = {buf, sizeof(buf)};
		uint64_t at = journal_end;
		journal_end += sizeof(buf);
		cr_assert_eq(file_pwritev(journal, &iov, 1, at), sizeof(buf));
		cr_assert_eq(file_sync(journal, true), 0);
		if (rig_write(s, buf, sizeof(buf)) < 0)
			break;
	}
	stream_close(s);
}

static void accept_all(void *arg)
{
	struct stream *s;

	while (listener_accept(listener, &s) == 0)
		cr_assert_eq(fiber_spawn(serve, s), 0);
}

static void talk(void *arg)
{
	struct net_addr addr;
	struct stream *s;
	char out[64], in[64];

	listener_addr(listener, &addr);
	cr_assert_eq(stream_connect(&s, &addr, 0), 0);
	for (int i = 0; i < N_MESSAGES; i++) {
		loop_random(out, sizeof(out));
		cr_assert_eq(rig_write(s, out, sizeof(out)), sizeof(out));
		cr_assert_eq(rig_read(s, in, sizeof(in)), sizeof(in));
		cr_assert_eq(memcmp(in, out, sizeof(in)), 0);
	}
	stream_close(s);
	fiber_join_done(&clients);
}

static void little_world(void *arg)
{
	struct sim_net_faults faults = {.delay_min_ns = 1000, .delay_max_ns = NS_PER_MS, .short_io = 30};
	struct net_addr addr = rig_addr(AF_INET);

	sim_net_set_faults(&faults);
	journal_end = 0;
	cr_assert_eq(file_open(&journal, AT_FDCWD, "journal", O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	cr_assert_eq(listener_open(&listener, &addr, false), 0);
	fiber_spawn(accept_all, NULL);
	fiber_join_add(&clients, N_CLIENTS);
	for (int i = 0; i < N_CLIENTS; i++)
		fiber_spawn(talk, NULL);
	fiber_join_wait(&clients);
	fiber_sleep_ns(NS_PER_SEC);
	listener_close(listener);
	fiber_yield();
	file_close(journal);
	cr_assert_eq(journal_end, N_CLIENTS * N_MESSAGES * 64);
	*(uint64_t *)arg = sim_trace();
	rig_done();
}

/* The same seed gives the same events at the same times; another seed gives others. */
Test(sim, seed_decides_everything)
{
	uint64_t first, again, other;

	run_seed(7, little_world, &first);
	sim_disk_reset();
	run_seed(7, little_world, &again);
	sim_disk_reset();
	run_seed(8, little_world, &other);
	cr_assert_eq(first, again);
	cr_assert_neq(first, other);
}

/* ---- network ---------------------------------------------------------------------------------- */

static struct stream *near_end, *far_end;

static void connect_pair(void)
{
	struct net_addr addr = rig_addr(AF_INET);

	cr_assert_eq(listener_open(&listener, &addr, false), 0);
	listener_addr(listener, &addr);
	cr_assert_eq(stream_connect(&near_end, &addr, 0), 0);
	cr_assert_eq(listener_accept(listener, &far_end), 0);
}

static void close_pair(void)
{
	stream_close(near_end);
	stream_close(far_end);
	listener_close(listener);
}

static void partition(void *arg)
{
	struct net_addr addr;
	char buf[8];
	uint16_t port;

	connect_pair();
	listener_addr(listener, &addr);
	port = net_addr_port(&addr);
	sim_net_partition(port);
	rig_write(near_end, "lost?", 5);
	stream_set_timeout(far_end, 2 * NS_PER_SEC);
	cr_assert_eq(rig_read(far_end, buf, 5), ERR_TIMEDOUT);
	rig_write(near_end, "no", 2);
	sim_net_heal(port);
	cr_assert_eq(rig_read(far_end, buf, 7), 7);
	cr_assert_eq(memcmp(buf, "lost?no", 7), 0);
	sim_net_reset(port);
	cr_assert_eq(rig_read(far_end, buf, 1), ERR_DISCONNECTED);
	cr_assert_eq(rig_write(near_end, buf, 1), ERR_DISCONNECTED);
	close_pair();
	rig_done();
}

/* A partition delays a stream but neither loses nor reorders it; a reset breaks both ends. */
Test(sim, partition_and_reset)
{
	run_seed(3, partition, NULL);
}

static void lossy(void *arg)
{
	struct sim_net_faults faults = {.delay_min_ns = 1, .delay_max_ns = 1000, .lose = 30, .repeat = 10};
	struct net_addr addr = rig_addr(AF_INET), from, to;
	struct dgram *d;
	int n_came = 0;
	char c;

	sim_net_set_faults(&faults);
	cr_assert_eq(dgram_open(&d, &addr), 0);
	dgram_addr(d, &addr);
	for (int i = 0; i < 1000; i++) {
		struct iovec iov = {&c, 1};
		cr_assert_eq(dgram_sendv(d, &iov, 1, &addr, NULL), 0);
		fiber_sleep_ns(2000);
		if (i % 100 == 99)
			while (n_came < i / 2 && dgram_recv(d, &c, 1, &from, &to) == 1)
				n_came++;
	}
	cr_assert_gt(n_came, 400);
	dgram_close(d);
	rig_done();
}

/* Datagrams are lost and repeated as told. */
Test(sim, lossy_datagrams)
{
	run_seed(4, lossy, NULL);
}

static void wait_forever(void *arg)
{
	fiber_park();
}

/* A world in which nothing can happen any more ends, and says so. */
Test(sim, stall_is_found)
{
	run_seed(1, wait_forever, NULL);
	cr_assert(sim_stalled());
}

/* ---- disk ------------------------------------------------------------------------------------- */

#define BLOCK (8 * SIM_SECTOR_SIZE)

static void write_and_cut(void *arg)
{
	char block[BLOCK];
	struct iovec iov = {block, BLOCK};
	struct file *f;

	cr_assert_eq(file_open(&f, AT_FDCWD, "data", O_RDWR | O_CREAT, 0600), 0);
	cr_assert_eq(file_sync_dir(AT_FDCWD), 0);
	memset(block, 'a', BLOCK);
	cr_assert_eq(file_pwritev(f, &iov, 1, 0), BLOCK);
	cr_assert_eq(file_sync(f, true), 0);
	memset(block, 'b', BLOCK);
	cr_assert_eq(file_pwritev(f, &iov, 1, 0), BLOCK);
	cr_assert_eq(file_pwritev(f, &iov, 1, BLOCK), BLOCK);
	sim_power_cut();
	cr_assert_eq(file_pwritev(f, &iov, 1, 0), ERR_IO);
	file_close(f);
	rig_done();
}

struct survival {
	int n_old, n_torn, n_new;
};

static void classify(struct survival *s)
{
	char *data;
	size_t size;
	bool old = false, new = false;

	cr_assert_eq(sim_disk_load("data", (void **)&data, &size), 0);
	cr_assert_geq(size, BLOCK);
	for (size_t i = 0; i < BLOCK; i += SIM_SECTOR_SIZE) {
		cr_assert(data[i] == 'a' || data[i] == 'b');
		for (size_t k = 1; k < SIM_SECTOR_SIZE; k++)
			cr_assert_eq(data[i + k], data[i]);
		old |= data[i] == 'a';
		new |= data[i] == 'b';
	}
	s->n_old += !new;
	s->n_new += !old;
	s->n_torn += old && new;
	free(data);
}

/* What was synced survives a power cut; what was not may be old, new or torn between sectors, never inside one. */
Test(sim, power_cut)
{
	struct survival s = {0};

	for (uint64_t seed = 0; seed < 200; seed++) {
		run_seed(seed, write_and_cut, NULL);
		classify(&s);
		sim_disk_reset();
	}
	cr_assert_gt(s.n_old, 0);
	cr_assert_gt(s.n_new, 0);
	cr_assert_gt(s.n_torn, 0);
}

static void replace_file(const char *text, bool properly)
{
	struct iovec iov = {(void *)text, 3};
	struct file *f;

	cr_assert_eq(file_open(&f, AT_FDCWD, "state.new", O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	cr_assert_eq(file_pwritev(f, &iov, 1, 0), 3);
	if (properly)
		cr_assert_eq(file_sync(f, false), 0);
	file_close(f);
	cr_assert_eq(file_rename(AT_FDCWD, "state.new", "state"), 0);
	if (properly)
		cr_assert_eq(file_sync_dir(AT_FDCWD), 0);
}

static void replace_and_cut(void *arg)
{
	replace_file("one", true);
	replace_file("two", *(bool *)arg);
	sim_power_cut();
	rig_done();
}

/* How many of 100 cuts leave what text says. */
static int count_survivors(bool properly, const char *text)
{
	int n = 0;

	for (uint64_t seed = 0; seed < 100; seed++) {
		char *data;
		size_t size;
		run_seed(seed, replace_and_cut, &properly);
		cr_assert_eq(sim_disk_load("state", (void **)&data, &size), 0);
		n += size == strlen(text) && memcmp(data, text, size) == 0;
		free(data);
		sim_disk_reset();
	}
	return n;
}

/* Write, sync, rename, sync the directory keeps one or the other; leaving out the syncs is found out. */
Test(sim, replacing_a_file)
{
	cr_assert_eq(count_survivors(true, "two"), 100);
	cr_assert_lt(count_survivors(false, "two") + count_survivors(false, "one"), 100);
}

static int n_recorded[SIM_DISK_POWER_CUT + 1];

static void count_event(void *arg, const struct sim_disk_event *ev)
{
	n_recorded[ev->op]++;
	if (ev->op == SIM_DISK_WRITE)
		cr_assert_eq(memcmp(ev->data, "two", 3) && memcmp(ev->data, "one", 3), 0);
	if (ev->op == SIM_DISK_RENAME)
		cr_assert_str_eq(ev->to, "state");
}

/* Every change is recorded in order. */
Test(sim, record_of_changes)
{
	bool properly = true;

	sim_disk_record(count_event, NULL);
	run_seed(1, replace_and_cut, &properly);
	cr_assert_eq(n_recorded[SIM_DISK_CREATE], 2);
	cr_assert_eq(n_recorded[SIM_DISK_WRITE], 2);
	cr_assert_eq(n_recorded[SIM_DISK_SYNC], 2);
	cr_assert_eq(n_recorded[SIM_DISK_RENAME], 2);
	cr_assert_eq(n_recorded[SIM_DISK_SYNC_DIR], 2);
	cr_assert_eq(n_recorded[SIM_DISK_POWER_CUT], 1);
}

static void failing_disk(void *arg)
{
	struct sim_disk_faults faults = {.capacity = 4096, .write_error = 500000, .read_error = 500000};
	char block[1024] = {0};
	struct iovec iov = {block, sizeof(block)};
	struct file *f;
	int n_ok = 0, n_io = 0, n_space = 0;

	cr_assert_eq(file_open(&f, AT_FDCWD, "data", O_RDWR | O_CREAT, 0600), 0);
	sim_disk_set_faults(&faults);
	for (uint64_t i = 0; i < 100; i++) {
		ssize_t n = file_pwritev(f, &iov, 1, (uint64_t)n_ok * sizeof(block));
		n_ok += n > 0;
		n_io += n == ERR_IO;
		n_space += n == ERR_NOSPC;
	}
	cr_assert_eq(n_ok, 4);
	cr_assert_gt(n_io, 20);
	cr_assert_gt(n_space, 20);
	file_close(f);
	rig_done();
}

/* A disk fails and fills up as told. */
Test(sim, disk_errors)
{
	run_seed(2, failing_disk, NULL);
}
