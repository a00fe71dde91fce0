/* The workload: mounts a store and works on it in several fibers, every step and its answer noted in the log and here. */
#ifndef TESTS_CRASH_POWER_WORKLOAD_H
#define TESTS_CRASH_POWER_WORKLOAD_H

#include "tests/crash/power/model.h"
#include "tests/crash/power/rig.h"

#define STEPS_MAX 4096u
#define SHARED_NAMES {"d0", "d1"}

/* What happened, in marks of the log; the number of the step is with those of steps. */
enum mark { MARK_BEGIN, MARK_END, MARK_READY };

/* In memory that children share. */
struct run {
	uint64_t seed;
	uint32_t n_steps_wanted; /* of each worker */
	uint32_t n_threads;
	bool lazy;               /* as FUSE does it */
	bool unmounts;           /* at the end */
	const char *const *options;
	char dir[128];
	uint64_t verifier;       /* of the server that worked */
	uint32_t n_failed;
	uint32_t n_steps;
	struct step steps[STEPS_MAX];
};

/* workload_run() - all of it; parks. */
void workload_run(struct run *run);

#endif
