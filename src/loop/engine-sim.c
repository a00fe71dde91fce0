/*
 * The sim engine: a clock that stands still while there is work and jumps to the next timer when there is none.
 * Everything that happens in the simulated world is a timer of the loop itself - an arriving piece of a
 * stream, a finished disk operation, a rung bell - so waiting is nothing but setting the clock.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

LOG_MODULE("sim");

/* What a turn of the loop is taken to last, so that a fiber which waits for time by yielding gets there. */
#define TURN_NS 200
/* Clocks begin at a fixed moment: 2033-05-18, and an hour after the machine was started. */
#define WALL_START_NS (2000000000ULL * NS_PER_SEC)
#define CLOCK_START_NS (3600ULL * NS_PER_SEC)
#define BELL_DELAY_NS (20 * NS_PER_US)

static struct {
	struct loop *loop;
	uint64_t now_ns;
	uint64_t world, user; /* states of the two sequences of random numbers */
	uint64_t trace;
	bool stalled;
} sim;

/* Sebastiano Vigna's splitmix64: every seed is a good one. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

struct loop *sim_loop(void)
{
	return sim.loop;
}

bool sim_random_bytes(void *out, size_t size)
{
	uint8_t *p = out;

	if (!sim.loop)
		return false;
	while (size > 0) {
		uint64_t r = draw(&sim.user);
		size_t n = MIN(size, sizeof(r));
		memcpy(p, &r, n);
		p += n;
		size -= n;
	}
	return true;
}

uint64_t sim_between(uint64_t min, uint64_t max)
{
	return max <= min ? min : min + draw(&sim.world) % (max - min + 1);
}

bool sim_chance(uint32_t n, uint32_t of)
{
	return n > 0 && draw(&sim.world) % of < n;
}

void sim_note(enum sim_event ev, uint64_t what, uint64_t size)
{
	uint64_t mix = sim.trace ^ sim.now_ns * 0x100000001b3ULL;

	mix = draw(&mix) ^ ((uint64_t)ev << 56) ^ what;
	mix = draw(&mix) ^ size;
	sim.trace = draw(&mix);
	log_trace("%llu event %d: %llu, %llu", (unsigned long long)sim.now_ns, ev, (unsigned long long)what,
	          (unsigned long long)size);
}

uint64_t sim_trace(void)
{
	return sim.trace;
}

bool sim_stalled(void)
{
	return sim.stalled;
}

void sim_power_cut(void)
{
	sim_note(SIM_CUT, 0, 0);
	sim_disk_power_cut();
	sim_net_power_cut();
}

static int sim_init(struct loop *loop)
{
	if (sim.loop)
		return ERR_NOTSUPP;
	sim.loop = loop;
	sim.now_ns = CLOCK_START_NS;
	sim.world = loop->config.sim_seed;
	sim.user = ~loop->config.sim_seed;
	sim.trace = 0;
	sim.stalled = false;
	loop->config.spin_us_max = 0;
	net_provider = &net_sim;
	sim_disk_power_on();
	return 0;
}

static int sim_begin(struct loop *loop)
{
	return 0;
}

static void sim_fini(struct loop *loop)
{
	sim_net_fini();
	net_provider = &net_kernel;
	sim.loop = NULL;
}

static uint64_t sim_clock_ns(void)
{
	return sim.now_ns;
}

static uint64_t sim_wall_ns(void)
{
	return WALL_START_NS + sim.now_ns;
}

static int sim_wait(struct loop *loop, uint64_t deadline_ns)
{
	sim.now_ns += TURN_NS;
	if (deadline_ns == UINT64_MAX) {
		sim.stalled = true;
		__atomic_store_n(&loop->stopping, 1, __ATOMIC_RELAXED);
	} else if (deadline_ns > sim.now_ns) {
		sim.now_ns = deadline_ns;
	}
	return 0;
}

/* Nobody can be asleep: there is only this thread. */
static void sim_kick(struct loop *loop)
{
}

/* The simulated network calls io_ready() itself, and nothing happens between a failed try and the park. */
static int sim_await(struct io *io, enum io_dir dir)
{
	return 0;
}

static void sim_forget(struct io *io)
{
}

struct sim_bell {
	struct loop_timer timer;
	struct doorbell *bell;
};

static void bell_arrives(struct loop_timer *timer)
{
	struct sim_bell *b = container_of(timer, struct sim_bell, timer);

	sim_note(SIM_BELL, 0, 0);
	if (b->bell->fn)
		b->bell->fn(b->bell);
}

void sim_bell_ring(struct doorbell *bell)
{
	struct sim_bell *b = bell->engine_data;

	bell->rung = true;
	if (!b || b->timer.armed)
		return;
	loop_timer_start(sim.loop, &b->timer, sim.now_ns + sim_between(1, BELL_DELAY_NS));
}

static int sim_bell_watch(struct doorbell *bell)
{
	struct sim_bell *b = calloc(1, sizeof(*b));

	if (!b)
		return ERR_NOMEM;
	b->timer.fn = bell_arrives;
	b->bell = bell;
	bell->engine_data = b;
	if (bell->rung)
		sim_bell_ring(bell);
	return 0;
}

static void sim_bell_forget(struct doorbell *bell)
{
	struct sim_bell *b = bell->engine_data;

	loop_timer_stop(sim.loop, &b->timer);
	free(b);
}

const struct engine_ops engine_sim = {
	.name = "sim",
	.init = sim_init,
	.begin = sim_begin,
	.fini = sim_fini,
	.clock_ns = sim_clock_ns,
	.wall_ns = sim_wall_ns,
	.wait = sim_wait,
	.kick = sim_kick,
	.await = sim_await,
	.forget = sim_forget,
	.bell_watch = sim_bell_watch,
	.bell_forget = sim_bell_forget,
	.file = &file_sim,
};
