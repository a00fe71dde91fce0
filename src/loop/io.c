/*
 * Waiting for readiness: the one place where a fiber parks for a socket, the same for every engine.
 */
#include <assert.h>

#include "base/err.h"
#include "loop/loop-impl.h"

struct io_timeout {
	struct loop_timer timer;
	struct fiber *fiber;
	bool fired;
};

static void fire(struct loop_timer *timer)
{
	struct io_timeout *t = container_of(timer, struct io_timeout, timer);

	t->fired = true;
	fiber_wake(t->fiber);
}

void io_ready(struct io *io, enum io_dir dir)
{
	struct fiber *f = io->waiter[dir];

	if (dir == IO_READ)
		io->drained = false;
	if (f) {
		io->waiter[dir] = NULL;
		fiber_wake(f);
	}
}

/* Only what the engine watches: nobody else would say when there is more. */
void io_note_read(struct io *io, ssize_t n, size_t size)
{
	io->drained = io->is_tcp && io->watched && !io->ended && n > 0 && (size_t)n < size;
}

static void park(struct io *io, enum io_dir dir, struct io_timeout *t)
{
	while (io->waiter[dir] && !io->canceled && !t->fired)
		fiber_park();
	io->waiter[dir] = NULL;
}

int io_wait(struct io *io, enum io_dir dir, uint64_t timeout_ns)
{
	struct loop *loop = this_loop;
	struct io_timeout t = {.timer.fn = fire, .fiber = loop->current};
	int err;

	if (io->canceled)
		return ERR_CANCELED;
	assert(!io->waiter[dir] && (!io->loop || io->loop == loop));
	io->loop = loop;
	io->waiter[dir] = loop->current;
	err = loop->engine->await(io, dir);
	if (err) {
		io->waiter[dir] = NULL;
		return err;
	}
	io->watched |= dir == IO_READ;
	if (timeout_ns)
		loop_timer_start(loop, &t.timer, loop->now_ns + timeout_ns);
	park(io, dir, &t);
	loop_timer_stop(loop, &t.timer);
	return io->canceled ? ERR_CANCELED : t.fired ? ERR_TIMEDOUT : 0;
}

void io_cancel(struct io *io)
{
	io->canceled = true;
	io_ready(io, IO_READ);
	io_ready(io, IO_WRITE);
}

void io_close(struct io *io)
{
	assert(!io->waiter[IO_READ] && !io->waiter[IO_WRITE]);
	if (io->loop)
		io->loop->engine->forget(io);
	io->net->close(io);
}

int io_error(int sys)
{
	switch (sys) {
	case EAGAIN:
	case EINTR:
	case EINPROGRESS:
		return ERR_AGAIN;
	case EPIPE:
	case ECONNRESET:
	case ECONNABORTED:
	case ENOTCONN:
	case ESHUTDOWN:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return ERR_DISCONNECTED;
	default:
		return err_from_errno(sys);
	}
}
