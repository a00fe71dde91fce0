/* Whether a mounted store holds what the model says must be in it. */
#ifndef TESTS_CRASH_POWER_VERIFY_H
#define TESTS_CRASH_POWER_VERIFY_H

#include "tests/crash/power/model.h"
#include "tests/crash/power/rig.h"

/*
 * verify_store() - true if it does; else what is wrong was printed. Before ready the workload's directories may be missing.
 * verifier: of unstable writes, told before the crash: it must be another now; 0: none was told. Parks.
 */
bool verify_store(struct rig *r, const struct model *m, bool ready, uint64_t verifier);

/* verify_sound() - whether fsck.cairn -n would find nothing; data: every block is read. Nobody has the store open. Parks. */
bool verify_sound(const char *store, bool data);

#endif
