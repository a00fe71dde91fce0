/* Datagrams: receiving parks, sending never does - a reply that does not fit now is lost, as on any network. */
#include <stdlib.h>

#include "base/err.h"
#include "loop/loop-impl.h"

struct dgram {
	struct io io;
};

int dgram_open(struct dgram **out, const struct net_addr *addr)
{
	struct dgram *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return ERR_NOMEM;
	d->io.fd = -1;
	d->io.net = net_provider;
	err = d->io.net->bind_dgram(&d->io, addr);
	if (err) {
		free(d);
		return err;
	}
	*out = d;
	return 0;
}

void dgram_addr(const struct dgram *d, struct net_addr *addr)
{
	d->io.net->name(&d->io, false, addr);
}

ssize_t dgram_recv(struct dgram *d, void *data, size_t size, struct net_addr *from, struct net_addr *to)
{
	for (;;) {
		ssize_t n = d->io.canceled ? ERR_CANCELED : d->io.net->recv(&d->io, data, size, from, to);
		if (n != ERR_AGAIN)
			return n;
		n = io_wait(&d->io, IO_READ, 0);
		if (n)
			return n;
	}
}

int dgram_sendv(struct dgram *d, const struct iovec *iov, int n_iov, const struct net_addr *to,
                const struct net_addr *from)
{
	return d->io.net->send(&d->io, iov, n_iov, to, from);
}

void dgram_cancel(struct dgram *d)
{
	io_cancel(&d->io);
}

void dgram_close(struct dgram *d)
{
	io_close(&d->io);
	free(d);
}
