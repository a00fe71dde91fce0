/* The suite's own bookkeeping, for conform.c, check.c and the drivers. */
#ifndef CONFORM_RUN_H
#define CONFORM_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/conform/conform.h"

struct test_counts {
	_Atomic unsigned n_checks;
	_Atomic unsigned n_failed; /* checks of this case */
	const struct conform_case *running;
	const char *why_skipped;
};

struct test_block {
	struct test_block *next;
};

/* What a case holds until it ends. */
struct test_memory {
	pthread_mutex_t lock;
	struct test_block *blocks;
	int *fds; /* driver mount */
	unsigned n_fds;
	unsigned fds_size;
};

extern struct conform_case *conform_cases;

/* How often each op was called through client.h, for the coverage check. */
extern _Atomic unsigned long conform_op_calls[OP_N_CODES];

/* conform_fork() - t for a worker: shares counts and memory, has its own answers and random numbers. */
void conform_fork(const struct test *t, unsigned index, struct test *worker);
void conform_release_memory(struct test *t);
/* conform_clear_dir() - removes everything below dir, as root. */
void conform_clear_dir(struct test *t, const struct obj *dir);
/* conform_keep_fd() - closed when the case ends; gives fd back. */
int conform_keep_fd(struct test *t, int fd);

#endif
