/*
 * Doorbells: eventfds between threads, socket pairs between processes; under sim a flag that the engine looks at.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop-impl.h"
#include "loop/sim-impl.h"

int doorbell_create(struct doorbell *bell)
{
	*bell = (struct doorbell){.fd = -1};
	if (sim_loop())
		return 0;
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return bell->fd >= 0 ? 0 : err_from_errno(errno);
}

int doorbell_pair(struct doorbell *bell, int *peer_fd)
{
	int fds[2];

	*bell = (struct doorbell){.fd = -1};
	if (sim_loop())
		return ERR_NOTSUPP;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		return err_from_errno(errno);
	*bell = (struct doorbell){.fd = fds[0], .pair = true};
	*peer_fd = fds[1];
	return 0;
}

void doorbell_adopt(struct doorbell *bell, int fd)
{
	*bell = (struct doorbell){.fd = fd, .pair = true};
}

/* A few bytes at a time suffice: what counts is that something arrived. A closed end can't ring any more. */
static void pair_rang(struct doorbell *bell)
{
	char bytes[64];
	ssize_t n = recv(bell->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		bell->loop->engine->bell_forget(bell);
		bell->loop = NULL;
	}
	if (bell->pair_fn)
		bell->pair_fn(bell);
}

/* A full counter or socket means that the other side has not looked yet: nothing is lost. */
void doorbell_ring(struct doorbell *bell)
{
	if (bell->pair)
		send(bell->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (bell->fd >= 0)
		eventfd_write(bell->fd, 1);
	else
		sim_bell_ring(bell);
}

int doorbell_watch(struct loop *loop, struct doorbell *bell, void (*fn)(struct doorbell *bell))
{
	int err;

	bell->loop = loop;
	bell->fn = bell->pair ? pair_rang : fn;
	bell->pair_fn = fn;
	err = loop->engine->bell_watch(bell);
	if (err)
		bell->loop = NULL;
	return err;
}

void doorbell_close(struct doorbell *bell)
{
	if (bell->loop)
		bell->loop->engine->bell_forget(bell);
	if (bell->fd >= 0)
		close(bell->fd);
	*bell = (struct doorbell){.fd = -1};
}
