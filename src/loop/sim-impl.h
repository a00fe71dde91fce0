/* Inside the simulation: what the clock, the network and the disk share. One per process, one thread. */
#ifndef LOOP_SIM_IMPL_H
#define LOOP_SIM_IMPL_H

#include "loop/engine.h"
#include "loop/sim.h"

/* sim_loop() - the loop that is simulated, or NULL: the world is real. */
struct loop *sim_loop(void);

/* sim_random_bytes() - fills out from the seed; false when nothing is simulated. */
bool sim_random_bytes(void *out, size_t size);
/* sim_between() - a number from min to max; what the world does draws from another sequence than loop_random(). */
uint64_t sim_between(uint64_t min, uint64_t max);
/* sim_chance() - true n times out of of. */
bool sim_chance(uint32_t n, uint32_t of);

enum sim_event { SIM_DELIVER, SIM_CONNECT, SIM_RESET, SIM_LOST, SIM_DISK, SIM_BELL, SIM_CUT };
/* sim_note() - adds an event to the trace. */
void sim_note(enum sim_event ev, uint64_t what, uint64_t size);

void sim_bell_ring(struct doorbell *bell);

extern const struct net_ops net_sim;
extern const struct file_ops file_sim;

void sim_net_fini(void);
void sim_net_power_cut(void);
/* sim_disk_power_on() - the disk answers again. */
void sim_disk_power_on(void);
void sim_disk_power_cut(void);

#endif
