/* What the fibers of a simulation do, and the model that says what they must see. */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "tests/conform/run.h"

#define WORKERS_MAX 64u

/*
 * workload_run() - n_workers fibers make n_steps random steps each on t->root, then everything is compared,
 * removed, and the store must be as empty as before. Answers a digest of all that was seen.
 */
uint64_t workload_run(struct test *t, unsigned n_workers, unsigned n_steps);

#endif
