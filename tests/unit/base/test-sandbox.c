/* Shows that a sandbox takes away what it says and leaves the rest. Each case runs in a process of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sandbox.h"

Test(sandbox, no_programs_are_started)
{
	char *argv[] = {(char *)"true", NULL};
	if (!sandbox_calls())
		cr_skip_test("no seccomp here");
	cr_assert_lt(execv("/bin/true", argv), 0);
	cr_assert_eq(errno, EPERM);
	int fd = open("/dev/null", O_RDONLY);
	cr_assert_geq(fd, 0, "files are as before");
	close(fd);
}

Test(sandbox, only_the_listed_files_are_reached)
{
	char dir[] = "/tmp/chimera-test-sandbox.XXXXXX", path[64];
	cr_assert_not_null(mkdtemp(dir));
	const char *const rw[] = {dir, "/no/such/place", NULL};
	const char *const ro[] = {"/etc", NULL};
	if (!sandbox_files(rw, ro))
		cr_skip_test("no Landlock here");
	snprintf(path, sizeof(path), "%s/file", dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(unlink(path), 0);
	fd = open("/etc/passwd", O_RDONLY);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_lt(open("/proc/self/status", O_RDONLY), 0);
	cr_assert_eq(errno, EACCES);
	rmdir(dir);
}
