/*
 * Listeners: accept first, wait when nobody is there. With descriptors used up the listener backs off
 * for a moment instead of spinning on a connection that it cannot take.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "loop/loop-impl.h"
#include "loop/stream-impl.h"

LOG_MODULE("loop");

#define BACK_OFF_NS (100 * NS_PER_MS)

struct listener {
	struct io io;
	bool accepting; /* a fiber is in listener_accept() */
	bool closed;
};

static int create(struct listener **out, const struct net_ops *net)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return ERR_NOMEM;
	l->io.fd = -1;
	l->io.net = net;
	*out = l;
	return 0;
}

int listener_open(struct listener **out, const struct net_addr *addr, bool share)
{
	struct listener *l;
	int err = create(&l, net_provider);

	if (err)
		return err;
	err = l->io.net->listen(&l->io, addr, share);
	if (err) {
		free(l);
		return err;
	}
	*out = l;
	return 0;
}

int listener_adopt(struct listener **out, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int err;

	if (net_provider != &net_kernel)
		return ERR_NOTSUPP;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return err_from_errno(errno);
	err = create(out, &net_kernel);
	if (!err)
		(*out)->io.fd = fd;
	return err;
}

void listener_addr(const struct listener *l, struct net_addr *addr)
{
	l->io.net->name(&l->io, false, addr);
}

static void back_off(struct listener *l)
{
	struct net_addr addr;
	char text[128];

	listener_addr(l, &addr);
	net_addr_format(&addr, text, sizeof(text));
	log_warn("%s: no descriptor or memory left for a new connection; waiting", text);
	fiber_sleep_ns(BACK_OFF_NS);
}

static int accept_one(struct listener *l, struct stream *s)
{
	for (;;) {
		int err = l->closed ? ERR_CANCELED : l->io.net->accept(&l->io, &s->io);
		if (err == ERR_AGAIN)
			err = io_wait(&l->io, IO_READ, 0);
		else if (err == ERR_NOMEM)
			back_off(l);
		else
			return err;
		if (err && err != ERR_NOMEM)
			return err;
	}
}

static void destroy(struct listener *l)
{
	io_close(&l->io);
	free(l);
}

int listener_accept(struct listener *l, struct stream **out)
{
	struct stream *s;
	int err = stream_create(&s, l->io.net);

	if (err)
		return err;
	l->accepting = true;
	err = accept_one(l, s);
	l->accepting = false;
	if (err)
		stream_close(s);
	else
		*out = s;
	if (l->closed)
		destroy(l);
	return err;
}

void listener_close(struct listener *l)
{
	l->closed = true;
	if (l->accepting)
		io_cancel(&l->io);
	else
		destroy(l);
}
