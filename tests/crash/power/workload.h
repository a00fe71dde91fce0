/* The workload: mounts a store and works on it in several fibers, every step and its answer noted in the log and here. */
#ifndef TESTS_CRASH_POWER_WORKLOAD_H
#define TESTS_CRASH_POWER_WORKLOAD_H

#include "tests/crash/power/model.h"
#include "tests/crash/power/rig.h"

#define STEPS_MAX 4096u
#define STORE_MIB 64
#define STORE_OPTIONS {"create=yes", "capacity=64M", "journal=128K", "cache=1M", NULL}
#define SHARED_NAMES {"d0", "d1"}

/* What happened, in marks of the log; the number of the step is with those of steps. */
enum mark { MARK_BEGIN, MARK_END, MARK_READY };

/* In memory that children share. */
struct run {
	uint64_t seed;
	uint32_t n_steps_wanted; /* of each worker */
	struct rig_engine engine;
	bool lazy;               /* as FUSE does it */
	bool snapshots;          /* are made, removed and rolled back to */
	bool faults;             /* calls below fail now and then, once each */
	bool syncs, unmounts;    /* at the end */
	const char *const *options;
	char dir[128];
	uint64_t verifier;       /* of the server that worked */
	uint32_t n_failed;
	uint32_t n_again;        /* steps that failed by a fault, and were made again or given up */
	uint32_t n_steps;
	struct step steps[STEPS_MAX];
};

/* One of those who work. */
struct worker {
	struct run *run;
	struct rig rig;
	struct model *model;
	struct part *part;
	unsigned index;
	uint64_t random;
	const struct op_handle *shared; /* N_SHARED */
	struct op_handle handles[N_OBJECTS];
	uint64_t opens[N_OBJECTS];      /* open_ids, 0: it is not open */
	struct worker *all;             /* WORKERS */
	struct op_handle dir, to_dir;   /* where the last step was made */
	struct fiber_rwlock *lock;      /* of every step */
	struct fiber_join *join;
	uint8_t *bytes;  /* FILE_MAX */
};

/* worker_draw() - a step that makes sense now, of any kind or of that one; false: none was found. */
bool worker_draw(struct worker *w, struct step *s, int kind);
#define STEP_ANY (-1)
/* worker_do() - makes the step, whose answer goes into it and into the model. worker_again() - once more, after it failed. Park. */
int worker_do(struct worker *w, struct step *s);
int worker_again(struct worker *w, struct step *s);
/* worker_find() - the handles of what the model says is there. Parks. */
int worker_find(struct worker *w);

/* workload_run() - all of it; parks. */
void workload_run(struct run *run);

#endif
