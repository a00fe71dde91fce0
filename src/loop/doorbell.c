/*
 * Doorbells: eventfds between processes and threads; under sim a flag that the engine looks at.
 */
#include <errno.h>
#include <sys/eventfd.h>
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

void doorbell_adopt(struct doorbell *bell, int fd)
{
	*bell = (struct doorbell){.fd = fd};
}

/* A full counter means that the other side has not looked yet: nothing is lost. */
void doorbell_ring(struct doorbell *bell)
{
	if (bell->fd >= 0)
		eventfd_write(bell->fd, 1);
	else
		sim_bell_ring(bell);
}

int doorbell_watch(struct loop *loop, struct doorbell *bell, void (*fn)(struct doorbell *bell))
{
	int err;

	bell->loop = loop;
	bell->fn = fn;
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
