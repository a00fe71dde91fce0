/* Signals become words for the main fiber: handlers only note them and ring its doorbell. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

#include "chimerad/chimerad.h"

static _Atomic bool stop_asked, reload_asked;
static struct chimerad *server;

static void on_signal(int number)
{
	int saved = errno;

	if (number == SIGHUP)
		reload_asked = true;
	else
		stop_asked = true;
	doorbell_ring(&server->signal_bell);
	errno = saved;
}

static void on_bell(struct doorbell *bell)
{
	fiber_wake(container_of(bell, struct chimerad, signal_bell)->main);
}

int chimerad_catch_signals(struct chimerad *d)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	int err = doorbell_create(&d->signal_bell);
	if (!err)
		err = doorbell_watch(d->loops[0], &d->signal_bell, on_bell);
	if (err)
		return err;
	server = d;
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	return 0;
}

bool chimerad_must_stop(void)
{
	return stop_asked;
}

bool chimerad_must_reload(void)
{
	return atomic_exchange(&reload_asked, false);
}
