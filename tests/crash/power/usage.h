/* What owners, groups and projects have: the store's accounts against a count of all that is found. */
#ifndef TESTS_CRASH_POWER_USAGE_H
#define TESTS_CRASH_POWER_USAGE_H

#include "tests/crash/power/model.h"
#include "tests/crash/power/rig.h"

struct usage {
	uint64_t bytes[QUOTA_N_KINDS][WORKERS * N_IDS];
	uint64_t inodes[QUOTA_N_KINDS][WORKERS * N_IDS];
	uint64_t linked[WORKERS * N_OBJECTS]; /* fileids of what has several names, once each */
	uint32_t n_linked;
	uint32_t n_bad;                       /* what could not be looked at */
};

/* usage_add_object() - one that has no name, with its streams. Parks. */
void usage_add_object(struct usage *u, struct rig *r, const struct op_handle *obj);
/* usage_fits() - whether that and all that is found are what the accounts say, once what nobody has is given back. else it was printed. Parks. */
bool usage_fits(struct rig *r, const struct usage *besides);

#endif
