/*
 * Shows that the ring transport answers calls and chains in order, gives references back, survives its
 * chimerad, and that a client which breaks the rules is cut off alone. The server answers by itself, without a VFS.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client-ring.h"
#include "ring/server.h"

#define PAGES_SIZE (1u << 20)

/* A chimerad in a thread of its own. */
struct rig_server {
	pthread_t thread;
	struct loop *loop;
	struct ring_server *ring;
	char path[64];
	int pages_fd;
	bool isolated;
	struct ring_attachment *attachment; /* the newest */
	_Atomic bool mute; /* takes requests and never answers, until it ends */
	_Atomic bool gate; /* lets OP_sync through */
	int refuse;
	_Atomic int n_served, n_released, n_closed;
	_Atomic bool up, stop;
	struct loop_timer tick;
	struct fiber *main;
	struct fiber *muted[64];
	_Atomic int n_muted;
};

/* ---- the server ---------------------------------------------------------------------- */

static int rig_admit(void *arg, struct ring_peer *peer)
{
	struct rig_server *s = arg;
	peer->isolated = s->isolated;
	return s->refuse;
}

static int rig_open(void *arg, struct ring_attachment *a, const struct ring_peer *peer, void **session, uint64_t *id)
{
	*session = arg;
	*id = 42;
	((struct rig_server *)arg)->attachment = a;
	return 0;
}

static int answer(struct rig_server *s, struct vfs_step *step)
{
	struct op *op = step->op;

	switch (op->code) {
	case OP_heartbeat:
		op->out.heartbeat.echo = op->in.heartbeat.echo + 1;
		return 0;
	case OP_write:
		op->out.write.size = 0;
		for (int i = 0; i < step->payload->n_iov; i++)
			for (size_t k = 0; k < step->payload->iov[i].iov_len; k++)
				op->out.write.size += ((uint8_t *)step->payload->iov[i].iov_base)[k];
		return 0;
	case OP_read:
		op->n_segs = 1;
		op->segs[0] = (struct op_seg){4096, op->in.read.size, OP_SEG_PAGES};
		step->pins->n_chunks = 1;
		return 0;
	case OP_watch:
		for (uint32_t i = 0; i < op->in.watch.filter; i++) {
			struct op_event event = {.type = OP_EVENT_CHANGED, .value = i, .name_size = 4, .name = "name"};
			ring_attachment_event(s->attachment, &event);
		}
		return 0;
	default:
		return ERR_NOTSUPP;
	}
}

static void rig_serve(void *session, struct vfs_step *steps, unsigned n)
{
	struct rig_server *s = session;
	int err = 0;

	bool waits = steps[0].op->code == OP_sync;
	if (s->mute || waits) {
		s->muted[s->n_muted++] = fiber_self();
		while (!s->stop && !(waits && s->gate))
			fiber_park();
	}
	for (unsigned i = 0; i < n; i++)
		err = steps[i].op->status = err ? ERR_CANCELED : answer(s, &steps[i]);
	s->n_served += (int)n;
}

static void rig_release(void *session, struct vfs_pins *pins)
{
	((struct rig_server *)session)->n_released += (int)pins->n_chunks;
}

static void rig_close(void *session)
{
	((struct rig_server *)session)->n_closed++;
}

static const struct ring_server_ops rig_ops = {rig_admit, rig_open, rig_serve, rig_release, rig_close};

static void on_tick(struct loop_timer *t)
{
	struct rig_server *s = container_of(t, struct rig_server, tick);
	loop_timer_start(s->loop, t, loop_now_ns(s->loop) + NS_PER_MS);
	if (s->stop)
		fiber_wake(s->main);
	while (s->gate && s->n_muted)
		fiber_wake(s->muted[--s->n_muted]);
}

static void server_main(void *arg)
{
	struct rig_server *s = arg;
	struct ring_server_config cfg = {
		.socket_path = s->path, .loops = &s->loop, .n_loops = 1, .pages_fd = s->pages_fd,
		.pages_size = PAGES_SIZE, .boot_id = 1, .ops = &rig_ops, .arg = s,
	};
	s->main = fiber_self();
	cr_assert_eq(ring_server_start(&s->ring, &cfg), 0);
	s->tick.fn = on_tick;
	on_tick(&s->tick);
	s->up = true;
	while (!s->stop)
		fiber_park();
	for (int i = 0; i < s->n_muted; i++)
		fiber_wake(s->muted[i]);
	ring_server_stop(s->ring);
	loop_timer_stop(s->loop, &s->tick);
	loop_stop(s->loop);
}

static void *server_thread(void *arg)
{
	struct rig_server *s = arg;
	loop_run(s->loop);
	loop_destroy(s->loop);
	return NULL;
}

static void start_server(struct rig_server *s)
{
	struct loop_config cfg = {.engine = LOOP_EPOLL, .spin_us_max = 50};

	snprintf(s->path, sizeof(s->path), "/tmp/chimera-test-ring.%d", (int)getpid());
	s->pages_fd = memfd_create("pages", 0);
	cr_assert_eq(ftruncate(s->pages_fd, PAGES_SIZE), 0);
	cr_assert_eq(pwrite(s->pages_fd, "shared page", 11, 4096), 11);
	s->up = s->stop = false;
	s->n_muted = 0;
	cr_assert_eq(loop_create(&s->loop, &cfg), 0);
	cr_assert_eq(fiber_start(s->loop, server_main, s), 0);
	cr_assert_eq(pthread_create(&s->thread, NULL, server_thread, s), 0);
	while (!s->up)
		sched_yield();
}

static void stop_server(struct rig_server *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
	close(s->pages_fd);
	unlink(s->path);
}

/* ---- the client ---------------------------------------------------------------------- */

static struct rig_server server;
static struct client *client;
static int n_reattached;

static void on_reattached(void *arg)
{
	struct op *op = client_op(client, OP_heartbeat);
	n_reattached++;
	cr_assert_eq(client_call(client, op), 0, "calls are served in the callback");
	client_op_put(client, op);
}

static uint64_t n_events, next_event;
static bool overflown;

static void on_event(void *arg, const struct op_event *event)
{
	if (event->type == OP_EVENT_OVERFLOW) {
		overflown = true;
		return;
	}
	if (event->type == OP_EVENT_DRAIN)
		return;
	cr_assert_eq(event->type, OP_EVENT_CHANGED);
	cr_assert_geq(event->value, next_event, "in order");
	cr_assert(event->value == next_event || overflown, "none is lost unsaid");
	cr_assert_arr_eq(event->name, "name", 4);
	next_event = event->value + 1;
	n_events++;
}

static const struct client_config client_cfg = {
	.name = "test/0", .role = RING_ROLE_NFS, .n_slots = 16, .arena_size = 1 << 20, .reattached = on_reattached,
	.event = on_event,
};

static void (*body)(void);

static void client_main(void *arg)
{
	body();
	loop_stop(loop_current());
}

static void in_client(void (*fn)(void))
{
	struct loop_config cfg = {.engine = LOOP_EPOLL, .spin_us_max = 50};
	struct loop *loop;

	body = fn;
	cr_assert_eq(loop_create(&loop, &cfg), 0);
	cr_assert_eq(fiber_start(loop, client_main, NULL), 0);
	loop_run(loop);
	loop_destroy(loop);
}

static void attach(void)
{
	cr_assert_eq(client_attach(&client, server.path, &client_cfg), 0);
}

static uint64_t echo(uint64_t value)
{
	struct op *op = client_op(client, OP_heartbeat);
	op->in.heartbeat.echo = value;
	cr_assert_eq(client_call(client, op), 0);
	value = op->out.heartbeat.echo;
	client_op_put(client, op);
	return value;
}

static struct fiber_join running;

static void echo_many(void *arg)
{
	for (uint64_t i = 0; i < 2000; i++)
		cr_assert_eq(echo(i), i + 1);
	fiber_join_done(&running);
}

static void spawn_many(fiber_fn *fn, unsigned n)
{
	fiber_join_add(&running, n);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(fiber_start(loop_current(), fn, NULL), 0);
	fiber_join_wait(&running);
}

static void calls(void)
{
	attach();
	cr_assert_eq(echo(7), 8);
	spawn_many(echo_many, 40);
	client_detach(client);
}

Test(ring_client, calls_of_more_fibers_than_slots)
{
	start_server(&server);
	in_client(calls);
	stop_server(&server);
	cr_assert_eq(server.n_served, 80001);
	cr_assert_eq(server.n_closed, 1);
}

static void chains(void)
{
	struct op *ops[4];
	attach();
	for (int i = 0; i < 4; i++) {
		ops[i] = client_op(client, i == 2 ? OP_statfs : OP_heartbeat);
		ops[i]->in.heartbeat.echo = 10;
	}
	cr_assert_eq(client_call_chain(client, ops, 4), ERR_NOTSUPP);
	cr_assert_eq(ops[1]->status, 0);
	cr_assert_eq(ops[3]->status, ERR_CANCELED);
	cr_assert_eq(client_call_chain(client, ops, 2), 0);
	cr_assert_eq(client_call_chain(client, ops, 0), ERR_INVAL);
	for (int i = 0; i < 4; i++)
		client_op_put(client, ops[i]);
	client_detach(client);
}

Test(ring_client, a_chain_ends_at_the_first_failure)
{
	start_server(&server);
	in_client(chains);
	stop_server(&server);
}

static void reads(void)
{
	struct iovec iov[OP_SEGS_MAX];
	attach();
	for (int i = 0; i < 100; i++) {
		struct op *op = client_op(client, OP_read);
		op->in.read.size = 11;
		cr_assert_eq(client_call(client, op), 0);
		cr_assert_eq(client_op_iov(client, op, iov), 1);
		cr_assert_eq(iov[0].iov_len, 11);
		cr_assert_arr_eq(iov[0].iov_base, "shared page", 11);
		client_op_put(client, op);
	}
	cr_assert_eq(echo(1), 2);
	cr_assert_eq(server.n_released, 100);
	client_detach(client);
}

Test(ring_client, pages_are_read_in_place_and_given_back)
{
	start_server(&server);
	in_client(reads);
	stop_server(&server);
}

static uint32_t write_sum(struct client_buf *b, uint32_t size)
{
	struct op *op = client_op(client, OP_write);
	cr_assert_eq(client_op_seg(op, b, 0, size / 2), 0);
	cr_assert_eq(client_op_seg(op, b, size / 2, size - size / 2), 0);
	cr_assert_eq(client_call(client, op), 0);
	uint32_t sum = op->out.write.size;
	client_op_put(client, op);
	return sum;
}

static void writes(void)
{
	attach();
	struct client_buf *b = client_buf_alloc(client, 1000, 0);
	memset(b->data, 3, 1000);
	cr_assert_eq(write_sum(b, 1000), 3000);
	struct op *op = client_op(client, OP_write);
	cr_assert_eq(client_op_seg(op, b, 1, 1000), ERR_INVAL);
	client_op_put(client, op);
	client_buf_put(client, b);
	client_detach(client);
}

Test(ring_client, payload_goes_through_the_arena)
{
	start_server(&server);
	in_client(writes);
	stop_server(&server);
}

static void refused(void)
{
	cr_assert_eq(client_attach(&client, server.path, &client_cfg), ERR_ACCES);
	cr_assert_eq(client_attach(&client, "/tmp/chimera-no-such-socket", &client_cfg), ERR_NOENT);
}

Test(ring_client, who_may_not_attach_is_told)
{
	server.refuse = ERR_ACCES;
	start_server(&server);
	in_client(refused);
	stop_server(&server);
}

/* ---- chimerad dies ------------------------------------------------------------------- */

static struct client_buf *kept;

static void call_while_it_dies(void *arg)
{
	memset(kept->data, 5, 1000);
	cr_assert_eq(write_sum(kept, 1000), 5000, "the payload was submitted again");
	cr_assert_eq(echo(1), 2);
	fiber_join_done(&running);
}

static void survive(void)
{
	struct iovec iov[OP_SEGS_MAX];
	attach();
	kept = client_buf_alloc(client, 1000, 0);
	struct op *read = client_op(client, OP_read);
	read->in.read.size = 11;
	cr_assert_eq(client_call(client, read), 0);
	server.mute = true;
	fiber_join_add(&running, 2);
	cr_assert_eq(fiber_start(loop_current(), call_while_it_dies, NULL), 0);
	cr_assert_eq(fiber_start(loop_current(), call_while_it_dies, NULL), 0);
	fiber_sleep_ns(20 * NS_PER_MS);
	stop_server(&server);
	fiber_sleep_ns(20 * NS_PER_MS);
	server.mute = false;
	start_server(&server);
	fiber_join_wait(&running);
	cr_assert_eq(n_reattached, 1);
	cr_assert_eq(client_op_iov(client, read, iov), 1);
	cr_assert_arr_eq(iov[0].iov_base, "shared page", 11);
	client_op_put(client, read);
	cr_assert_eq(echo(5), 6);
	client_buf_put(client, kept);
	client_detach(client);
}

Test(ring_client, calls_in_flight_survive_chimerad)
{
	start_server(&server);
	in_client(survive);
	stop_server(&server);
}

static void give_up(void)
{
	struct client_config cfg = client_cfg;
	cfg.reconnect_ms = 50;
	cr_assert_eq(client_attach(&client, server.path, &cfg), 0);
	stop_server(&server);
	struct op *op = client_op(client, OP_heartbeat);
	cr_assert_eq(client_call(client, op), ERR_DISCONNECTED);
	cr_assert_eq(client_call(client, op), ERR_DISCONNECTED, "at once, once it gave up");
	start_server(&server);
	while (client_call(client, op))
		fiber_sleep_ns(NS_PER_MS);
	client_op_put(client, op);
	client_detach(client);
}

Test(ring_client, calls_fail_when_chimerad_stays_away)
{
	start_server(&server);
	in_client(give_up);
	stop_server(&server);
}

/* ---- clients that break the rules ---------------------------------------------------- */

static void tail_runs_away(struct ring_client *rc)
{
	atomic_store(&rc->seg.shared->sq_tail.value, 5000);
}

static void slot_out_of_range(struct ring_client *rc)
{
	atomic_store(&rc->seg.sq[0], 5000);
	atomic_store(&rc->seg.shared->sq_tail.value, 1);
}

static void chain_without_end(struct ring_client *rc)
{
	for (uint32_t i = 0; i < 3; i++) {
		ring_slot(&rc->seg, i)->flags = OP_F_CHAIN;
		atomic_store(&rc->seg.sq[i], i);
	}
	atomic_store(&rc->seg.shared->sq_tail.value, 3);
}

static void slot_twice(struct ring_client *rc)
{
	ring_slot(&rc->seg, 1)->flags = OP_F_CHAIN;
	atomic_store(&rc->seg.sq[0], 1);
	atomic_store(&rc->seg.sq[1], 1);
	atomic_store(&rc->seg.shared->sq_tail.value, 2);
}

static void segment_outside(struct ring_client *rc)
{
	struct op *op = ring_slot(&rc->seg, 0);
	op_reset(op, OP_write);
	op->n_segs = 1;
	op->segs[0] = (struct op_seg){rc->seg.arena_size - 1, 2, OP_SEG_CLIENT};
	atomic_store(&rc->seg.sq[0], 0);
	atomic_store(&rc->seg.shared->sq_tail.value, 1);
}

static void (*const crimes[])(struct ring_client *) = {
	tail_runs_away, slot_out_of_range, chain_without_end, slot_twice, segment_outside,
};

static void cut_off(void)
{
	struct client *victim;
	attach();
	for (size_t i = 0; i < ARRAY_SIZE(crimes); i++) {
		victim = client;
		cr_assert_eq(client_attach(&client, server.path, &client_cfg), 0);
		int before = n_reattached;
		struct ring_client *rc = container_of(client, struct ring_client, c);
		crimes[i](rc);
		doorbell_ring(&rc->bell);
		while (n_reattached == before)
			fiber_sleep_ns(NS_PER_MS);
		cr_assert_eq(echo(1), 2, "attached anew");
		client_detach(client);
		client = victim;
		cr_assert_eq(echo(1), 2, "the other one saw nothing");
		cr_assert_eq(n_reattached, before + 1);
	}
	client_detach(client);
}

Test(ring_client, breaking_a_rule_ends_only_ones_own_attachment)
{
	start_server(&server);
	in_client(cut_off);
	stop_server(&server);
}

/* ---- a client dies ------------------------------------------------------------------- */

static void call_forever(void *arg)
{
	client_call(client, client_op(client, OP_sync));
}

static void die_with_calls(void)
{
	attach();
	struct op *op = client_op(client, OP_read);
	op->in.read.size = 11;
	cr_assert_eq(client_call(client, op), 0);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(fiber_start(loop_current(), call_forever, NULL), 0);
	fiber_sleep_ns(50 * NS_PER_MS);
	_exit(0);
}

static bool becomes(_Atomic int *value, int want)
{
	for (int i = 0; i < 5000 && *value != want; i++)
		usleep(1000);
	return *value == want;
}

Test(ring_client, a_client_that_dies_is_forgotten_once_its_calls_have_ended)
{
	int status;
	start_server(&server);
	pid_t pid = fork();
	if (pid == 0) {
		in_client(die_with_calls);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert(becomes(&server.n_muted, 5));
	cr_assert_eq(server.n_closed, 0, "its calls still run");
	server.gate = true;
	cr_assert(becomes(&server.n_closed, 1));
	cr_assert_eq(server.n_released, 1, "the page that it had read");
	stop_server(&server);
	cr_assert_eq(server.n_served, 6);
}

/* ---- events -------------------------------------------------------------------------- */

static void cause_events(uint32_t n)
{
	struct op *op = client_op(client, OP_watch);
	n_events = next_event = 0;
	op->in.watch.filter = n;
	cr_assert_eq(client_call(client, op), 0);
	client_op_put(client, op);
}

static void events(void)
{
	attach();
	cause_events(100);
	while (n_events < 100)
		fiber_yield();
	cr_assert_not(overflown);
	cause_events(100000);
	fiber_sleep_ns(20 * NS_PER_MS);
	bool lost = n_events < 100000;
	cause_events(1);
	while (n_events < 1)
		fiber_yield();
	cr_assert_eq(overflown, lost, "what was lost is said before the next");
	client_detach(client);
}

Test(ring_client, events_come_in_order_or_are_said_to_be_lost)
{
	start_server(&server);
	in_client(events);
	stop_server(&server);
}

/* ---- one of many ----------------------------------------------------------------------- */

static struct client *greedy;
static bool enough;

static void call_greedily(void *arg)
{
	while (!enough) {
		struct op *op = client_op(greedy, OP_heartbeat);
		cr_assert_eq(client_call(greedy, op), 0);
		client_op_put(greedy, op);
	}
	fiber_join_done(&running);
}

static void share(void)
{
	struct client_config cfg = client_cfg;
	cfg.n_slots = RING_SLOTS_MAX;
	cr_assert_eq(client_attach(&greedy, server.path, &cfg), 0);
	attach();
	fiber_join_add(&running, RING_SLOTS_MAX);
	for (unsigned i = 0; i < RING_SLOTS_MAX; i++)
		cr_assert_eq(fiber_start(loop_current(), call_greedily, NULL), 0);
	for (uint64_t i = 0; i < 200; i++)
		cr_assert_eq(echo(i), i + 1);
	enough = true;
	fiber_join_wait(&running);
	client_detach(greedy);
	client_detach(client);
}

Test(ring_client, an_attachment_that_is_always_full_starves_no_other, .timeout = 30)
{
	start_server(&server);
	in_client(share);
	stop_server(&server);
}

/* ---- isolated ------------------------------------------------------------------------ */

static void isolated(void)
{
	attach();
	struct op *op = client_op(client, OP_read);
	struct iovec iov[OP_SEGS_MAX];
	op->in.read.size = 4096;
	cr_assert_eq(client_call(client, op), 0);
	cr_assert_eq(client_op_iov(client, op, iov), 0, "no pages are mapped");
	client_op_put(client, op);
	client_detach(client);
}

Test(ring_client, an_isolated_client_maps_no_pages)
{
	server.isolated = true;
	start_server(&server);
	in_client(isolated);
	stop_server(&server);
}
