/*
 * What every test of the loop stands on: a loop on the calling thread that runs one fiber until it says
 * rig_done(). The engine is the one that rig_engine names.
 */
#ifndef TESTS_UNIT_LOOP_RIG_H
#define TESTS_UNIT_LOOP_RIG_H

#include "loop/loop.h"

/* LOOP_AUTO at first; a test suite that runs for each engine sets it. */
extern enum loop_engine rig_engine;

/* rig_run() - runs fn(arg) in a fiber of a new loop until rig_done(). */
void rig_run(fiber_fn *fn, void *arg);
void rig_done(void);

#endif
