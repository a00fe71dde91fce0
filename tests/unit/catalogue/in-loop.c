/* One epoll loop per test; the directory is emptied of the few names the catalogue and the tests use. */
#include "tests/unit/catalogue/in-loop.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/loop.h"

static void (*test_body)(const char *dir);
static char test_dir[64];

static void run_body(void *arg)
{
	test_body(test_dir);
	loop_stop(loop_current());
}

static void remove_dir(void)
{
	static const char *const names[] = {"catalogue.0", "catalogue.1", "catalogue.new", "control.sock"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", test_dir, names[i]);
		unlink(path);
	}
	rmdir(test_dir);
}

void in_loop(void (*body)(const char *dir))
{
	struct loop_config cfg = {.engine = LOOP_EPOLL};
	struct loop *loop;
	snprintf(test_dir, sizeof(test_dir), "/tmp/test-catalogue-XXXXXX");
	cr_assert_not_null(mkdtemp(test_dir));
	cr_assert_eq(loop_create(&loop, &cfg), 0);
	test_body = body;
	cr_assert_eq(fiber_start(loop, run_body, NULL), 0);
	loop_run(loop);
	loop_destroy(loop);
	remove_dir();
}
