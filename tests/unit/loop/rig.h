/*
 * What every test of the loop stands on: a loop on the calling thread that runs one fiber until it says
 * rig_done(), and a way to run a test once for each engine.
 */
#ifndef TESTS_UNIT_LOOP_RIG_H
#define TESTS_UNIT_LOOP_RIG_H

#include <criterion/criterion.h>

#include "base/err.h"
#include "loop/loop.h"

/* LOOP_AUTO at first. */
extern enum loop_engine rig_engine;

/* rig_run() - runs fn(arg) in a fiber of a new loop until rig_done(). An engine that can't be had here skips the test. */
void rig_run(fiber_fn *fn, void *arg);
void rig_done(void);

/* rig_addr() - an address nobody else uses: a loopback port the system picks, or a Unix path. */
struct net_addr rig_addr(int family);

/* rig_read() - reads exactly size bytes, or fewer before the end; the count or an error. */
ssize_t rig_read(struct stream *s, void *data, size_t size);
ssize_t rig_write(struct stream *s, const void *data, size_t size);

#define ENGINE_TEST(suite, name, fn, engine)                                               \
	Test(suite, name, .timeout = 60)                                                   \
	{                                                                                  \
		rig_engine = engine;                                                       \
		rig_run(fn, NULL);                                                         \
	}

/* KERNEL_TEST() - shown for the engines with real descriptors. EACH_TEST() - for the simulated one too. */
#define KERNEL_TEST(suite, name, fn)                                                       \
	ENGINE_TEST(suite, name##_epoll, fn, LOOP_EPOLL)                                   \
	ENGINE_TEST(suite, name##_uring, fn, LOOP_IO_URING)
#define EACH_TEST(suite, name, fn)                                                         \
	KERNEL_TEST(suite, name, fn)                                                       \
	ENGINE_TEST(suite, name##_sim, fn, LOOP_SIM)

#endif
