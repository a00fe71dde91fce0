/* Telling who waits for the mount: the process that mount(8) started, and the service manager. */
#include "fuse/mnt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

static int ready_pipe = -1;

/* In the process that was started: ends as the one in the background says. */
static _Noreturn void await(int fd)
{
	char code;
	_exit(read(fd, &code, 1) == 1 ? 0 : 1);
}

int mnt_detach(void)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return err_from_errno(errno);
	pid_t pid = fork();
	if (pid < 0)
		return err_from_errno(errno);
	if (pid > 0) {
		close(fds[1]);
		await(fds[0]);
	}
	close(fds[0]);
	setsid();
	ready_pipe = fds[1];
	return 0;
}

static void notify_manager(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (!path || strlen(path) >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = 0;
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (fd >= 0)
		sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, size);
}

void mnt_ready(void)
{
	notify_manager("READY=1");
	if (ready_pipe < 0)
		return;
	if (write(ready_pipe, "", 1) == 1)
		close(ready_pipe);
	ready_pipe = -1;
	/* Nobody reads what is said from here on. */
	CLEANUP_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
}
