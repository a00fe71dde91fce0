/* One request, one reply, over a blocking Unix socket; and how the server's errors become exit codes. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "utils/chimeractl/chimeractl.h"

static const struct {
	int err, code;
} exit_codes[] = {
	{0, CTL_DONE},           {ERR_NOENT, CTL_NOT_FOUND}, {ERR_EXIST, CTL_EXISTS},  {ERR_ACCES, CTL_DENIED},
	{ERR_PERM, CTL_DENIED},  {ERR_BUSY, CTL_CONFLICT},   {ERR_NOT_SYNC, CTL_CONFLICT},
};

int ctl_exit_code(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
		if (exit_codes[i].err == status)
			return exit_codes[i].code;
	return CTL_FAILED;
}

static int unreachable(const char *path)
{
	fprintf(stderr, "chimeractl: no server answers on %s: %s; is chimerad running?\n", path, strerror(errno));
	return CTL_UNREACHABLE;
}

static int open_socket(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (str_copy(un.sun_path, sizeof(un.sun_path), path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static bool recv_all(int fd, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = recv(fd, (char *)data + done, size - done, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool receive(struct ctl_command *cmd, int fd, struct control_answer *answer)
{
	uint8_t head[4];
	if (!recv_all(fd, head, sizeof(head)))
		return false;
	uint32_t size = head[0] | head[1] << 8 | head[2] << 16 | (uint32_t)head[3] << 24;
	void *data = size <= CONTROL_REPLY_MAX ? arena_alloc(&cmd->arena, size) : NULL;
	if (!data || !recv_all(fd, data, size))
		return false;
	errno = EPROTO;
	return control_decode_reply(data, size, answer) == 0;
}

int ctl_call(struct ctl_command *cmd, struct control_answer *answer)
{
	const char *path = ctl_socket(cmd);
	struct bytes request;
	if (!path)
		return CTL_USAGE;
	CLEANUP_FD int fd = open_socket(path);
	if (fd < 0)
		return unreachable(path);
	bytes_init(&request, CONTROL_REQUEST_MAX);
	control_encode_request(&request, &cmd->message);
	bool ok = !bytes_failed(&request) && send_all(fd, request.data, request.size) && receive(cmd, fd, answer);
	bytes_fini(&request);
	if (!ok)
		return unreachable(path);
	bool named = cmd->file && strcmp(cmd->file, "-") != 0;
	if (answer->status)
		fprintf(stderr, "chimeractl: %s%s%s\n", named ? cmd->file : "", named ? ": " : "", answer->error);
	return ctl_exit_code(answer->status);
}
