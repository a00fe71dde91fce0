/* The rig of the loop's tests. */
#include <criterion/criterion.h>

#include "tests/unit/loop/rig.h"

enum loop_engine rig_engine;

void rig_run(fiber_fn *fn, void *arg)
{
	struct loop_config cfg = {.engine = rig_engine, .spin_us_max = 20, .sim_seed = 1};
	struct loop *loop;

	cr_assert_eq(loop_create(&loop, &cfg), 0);
	cr_assert_eq(fiber_start(loop, fn, arg), 0);
	loop_run(loop);
	loop_destroy(loop);
}

void rig_done(void)
{
	loop_stop(loop_current());
}
