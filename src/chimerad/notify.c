/* What systemd wants to know (sd_notify(3)): one datagram per state, and the watchdog's food. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "chimerad/chimerad.h"

LOG_MODULE("chimerad");

static bool address_of(struct sockaddr_un *addr, socklen_t *size)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(addr->sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(addr->sun_path, path, n);
	if (path[0] == '@')
		addr->sun_path[0] = '\0';
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return true;
}

void chimerad_notify(const char *state)
{
	struct sockaddr_un addr;
	socklen_t size;

	if (!address_of(&addr, &size))
		return;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr, size) < 0)
		log_warn("cannot tell %s to NOTIFY_SOCKET", state);
	if (fd >= 0)
		close(fd);
}

struct watchdog {
	struct loop *loop;
	struct loop_timer timer;
	uint64_t period_ns;
};

static void feed(struct loop_timer *timer)
{
	struct watchdog *w = container_of(timer, struct watchdog, timer);

	chimerad_notify("WATCHDOG=1");
	loop_timer_start(w->loop, timer, loop_now_ns(w->loop) + w->period_ns);
}

void chimerad_watchdog_start(struct chimerad *d)
{
	static struct watchdog watchdog;
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t us;

	if (!text || str_parse_u64(text, 1000, UINT32_MAX, &us))
		return;
	/* Half of the time allowed, as sd_watchdog_enabled(3) advises. */
	watchdog = (struct watchdog){.loop = d->loops[0], .timer.fn = feed, .period_ns = us * NS_PER_US / 2};
	feed(&watchdog.timer);
}
