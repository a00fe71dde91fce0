/*
 * Attaching, and attaching again.
 *
 * A fiber, the keeper, waits for the end of the connection. Then it tries until there is a chimerad again, moves what
 * fibers hold - ops and buffers in use - into the new segment, and maps that where the old one was: every
 * pointer stays valid. What was in flight is submitted again, in order.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "client/client-ring.h"

LOG_MODULE("client");

#define CONNECT_NS NS_PER_SEC
#define WELCOME_NS (5 * NS_PER_SEC)
#define RETRY_FIRST_MS 5
#define RETRY_LAST_MS 500

/* What a successful handshake yields. */
struct attachment {
	struct stream *stream;
	struct ring_welcome welcome;
	int fds[3]; /* segment, doorbell, pages; -1: none or taken */
	int n_fds;
	struct ring_segment seg;
	struct ring_pages *pages;
};

uint64_t reconnect_delay_ns(uint32_t n)
{
	uint64_t ms = RETRY_FIRST_MS;
	while (n-- && ms < RETRY_LAST_MS)
		ms *= 2;
	return MIN(ms, (uint64_t)RETRY_LAST_MS) * NS_PER_MS;
}

/* ---- one handshake ----------------------------------------------------------------------- */

static void drop(struct attachment *at)
{
	for (int i = 0; i < at->n_fds; i++)
		if (at->fds[i] >= 0)
			close(at->fds[i]);
	ring_segment_close(&at->seg);
	if (at->pages && at->pages->base)
		munmap((void *)at->pages->base, at->pages->size);
	free(at->pages);
	if (at->stream)
		stream_close(at->stream);
}

static int say_hello(struct ring_client *rc, struct stream *s)
{
	/* The same layout as before, where there was one. */
	struct ring_hello hello = {
		.magic = RING_MAGIC,
		.abi_version = RING_ABI_VERSION,
		.role = rc->c.config.role,
		.n_slots = rc->seg.base ? rc->seg.n_slots : rc->c.config.n_slots,
		.arena_size = rc->seg.base ? rc->seg.arena_size : rc->c.config.arena_size,
		.session = rc->session,
	};
	struct iovec iov = {&hello, sizeof(hello)};

	str_copy(hello.name, sizeof(hello.name), rc->c.name);
	ssize_t n = stream_writev(s, &iov, 1);
	return n < 0 ? (int)n : 0;
}

static int read_welcome(struct attachment *at)
{
	at->n_fds = ARRAY_SIZE(at->fds);
	ssize_t n = stream_recv_fds(at->stream, &at->welcome, sizeof(at->welcome), at->fds, &at->n_fds);
	if (n < 0)
		at->n_fds = 0;
	if (n != sizeof(at->welcome))
		return n < 0 ? (int)n : ERR_PROTO;
	if (at->welcome.magic != RING_MAGIC || at->welcome.abi_version != RING_ABI_VERSION)
		return ERR_PROTO;
	if (at->welcome.status)
		return at->welcome.status < 0 ? at->welcome.status : ERR_PROTO;
	return at->n_fds == (at->welcome.isolated ? 2 : 3) ? 0 : ERR_PROTO;
}

static int map_pages(struct attachment *at)
{
	at->pages = calloc(1, sizeof(*at->pages));
	if (!at->pages)
		return ERR_NOMEM;
	if (at->n_fds < 3)
		return 0;
	void *p = mmap(NULL, at->welcome.pages_size, PROT_READ, MAP_SHARED, at->fds[2], 0);
	if (p == MAP_FAILED)
		return err_from_errno(errno);
	at->pages->base = p;
	at->pages->size = at->welcome.pages_size;
	close(at->fds[2]);
	at->fds[2] = -1;
	return 0;
}

static int shake_hands(struct ring_client *rc, struct attachment *at)
{
	char text[128];
	struct net_addr addr;

	if (str_copy(text, sizeof(text), "unix:") || str_join(text, sizeof(text), "", rc->socket_path))
		return ERR_NAMETOOLONG;
	int err = net_addr_parse(text, &addr);
	if (!err)
		err = stream_connect(&at->stream, &addr, CONNECT_NS);
	if (err)
		return err;
	stream_set_timeout(at->stream, WELCOME_NS);
	err = say_hello(rc, at->stream);
	if (!err)
		err = read_welcome(at);
	if (err)
		return err;
	err = ring_segment_map(&at->seg, TAKE_FD(at->fds[0]), at->welcome.segment_size);
	return err ? err : map_pages(at);
}

/* ---- taking over ------------------------------------------------------------------------- */

static void copy_buffer(void *arg, struct client_buf *buf)
{
	struct ring_segment *to = arg;
	memcpy(to->arena + buf->offset, buf->data, buf->size);
}

static void copy_ops(struct ring_client *rc, struct ring_segment *to)
{
	uint8_t *is_free = calloc(rc->seg.n_slots, 1);

	for (uint32_t i = 0; is_free && i < rc->c.n_free; i++)
		is_free[(size_t)((uint8_t *)rc->c.free_ops[i] - rc->seg.slots) / RING_SLOT_STRIDE] = 1;
	for (uint32_t i = 0; i < rc->seg.n_slots; i++)
		if (!is_free || !is_free[i])
			memcpy(ring_slot(to, i), ring_slot(&rc->seg, i), sizeof(struct op));
	free(is_free);
}

/* Nothing parks in here: to every other fiber the change happens at once. */
static int take_over(struct ring_client *rc, struct ring_segment *fresh)
{
	if (!rc->seg.base) {
		rc->seg = *fresh;
		*fresh = (struct ring_segment){.fd = -1};
		return 0;
	}
	if (fresh->n_slots != rc->seg.n_slots || fresh->arena_size != rc->seg.arena_size) {
		log_error("%s: chimerad now grants other limits than before: restart this program", rc->c.name);
		return ERR_INVAL;
	}
	copy_ops(rc, fresh);
	buf_arena_each(&rc->arena, copy_buffer, fresh);
	int err = ring_segment_replace(fresh, &rc->seg);
	if (err)
		return err;
	rc->seg = *fresh;
	*fresh = (struct ring_segment){.fd = -1};
	return 0;
}

static void switch_pages(struct ring_client *rc, struct attachment *at)
{
	struct ring_pages *old = rc->pages;

	rc->pages = TAKE(at->pages);
	if (!old)
		return;
	old->n_answers++;
	ring_pages_put(rc, old);
}

static int attach_once(struct ring_client *rc)
{
	struct attachment at = {.seg.fd = -1};
	int err = shake_hands(rc, &at);

	if (!err)
		err = take_over(rc, &at.seg);
	if (err) {
		drop(&at);
		return err;
	}
	switch_pages(rc, &at);
	doorbell_adopt(&rc->bell, TAKE_FD(at.fds[1]));
	rc->stream = TAKE(at.stream);
	stream_set_timeout(rc->stream, 0);
	rc->session = at.welcome.session;
	ring_client_begin(rc);
	return doorbell_watch(rc->c.loop, &rc->bell, NULL);
}

/* ---- the keeper -------------------------------------------------------------------------- */

static void wait_for_end(struct ring_client *rc)
{
	uint8_t byte;
	struct iovec iov = {&byte, 1};
	stream_readv(rc->stream, &iov, 1);
}

static void close_attachment(struct ring_client *rc)
{
	rc->attached = false;
	if (rc->stream)
		stream_close(TAKE(rc->stream));
	doorbell_close(&rc->bell);
}

/* What chimerad completed before it went is complete. */
static void lost(struct ring_client *rc)
{
	if (rc->attached)
		ring_client_reap(rc);
	close_attachment(rc);
	rc->lost_ns = loop_now_ns(rc->c.loop);
	log_notice("%s: chimerad is gone; trying again", rc->c.name);
}

static void on_retry(struct loop_timer *timer)
{
	fiber_wake(container_of(timer, struct ring_client, retry)->keeper);
}

static void pause_before_retry(struct ring_client *rc, uint32_t n_failed)
{
	uint64_t until = loop_now_ns(rc->c.loop) + reconnect_delay_ns(n_failed);

	rc->retry.fn = on_retry;
	loop_timer_start(rc->c.loop, &rc->retry, until);
	while (!rc->closing && loop_now_ns(rc->c.loop) < until)
		fiber_park();
	loop_timer_stop(rc->c.loop, &rc->retry);
}

static void maybe_give_up(struct ring_client *rc)
{
	uint64_t limit = rc->c.config.reconnect_ms * NS_PER_MS;

	if (rc->gave_up || loop_now_ns(rc->c.loop) - rc->lost_ns < limit)
		return;
	log_error("%s: no chimerad on %s for %u ms: calls fail until it is back", rc->c.name, rc->socket_path,
	          rc->c.config.reconnect_ms);
	rc->gave_up = true;
	ring_client_fail(rc, ERR_DISCONNECTED);
}

static void move_calls(struct list *from, struct list *to)
{
	struct list *e;
	while ((e = list_pop_front(from)))
		list_push_back(to, e);
}

/* The user's callback makes calls of its own, which must not wait behind those of before. */
static void resume(struct ring_client *rc)
{
	struct list *e;

	rc->gave_up = false;
	rc->attached = true;
	log_notice("%s: attached to chimerad again", rc->c.name);
	move_calls(&rc->calls, &rc->stranded);
	if (rc->c.config.reattached)
		rc->c.config.reattached(rc->c.config.arg);
	while ((e = list_pop_front(&rc->stranded))) {
		list_push_back(&rc->calls, e);
		if (rc->attached)
			ring_client_submit(rc, list_entry(e, struct ring_call, link));
	}
}

static void reattach(struct ring_client *rc)
{
	int err = 0;

	for (uint32_t n = 0; !rc->closing; n++) {
		err = attach_once(rc);
		if (!err) {
			resume(rc);
			return;
		}
		if (rc->stream)
			close_attachment(rc);
		maybe_give_up(rc);
		pause_before_retry(rc, n);
	}
}

static void keep(void *arg)
{
	struct ring_client *rc = arg;

	rc->keeper = fiber_self();
	while (!rc->closing) {
		wait_for_end(rc);
		if (rc->closing)
			break;
		lost(rc);
		reattach(rc);
	}
	rc->keeper = NULL;
	client_wake(&rc->idle_waiters);
}

void ring_client_lost(struct ring_client *rc)
{
	rc->attached = false;
	if (rc->stream)
		stream_cancel(rc->stream);
}

int ring_client_connect(struct ring_client *rc)
{
	int err = attach_once(rc);
	if (!err) {
		rc->attached = true;
		err = fiber_spawn(keep, rc);
	}
	if (err)
		ring_client_disconnect(rc);
	return err;
}

void ring_client_disconnect(struct ring_client *rc)
{
	rc->closing = true;
	if (rc->keeper) {
		if (rc->stream)
			stream_cancel(rc->stream);
		fiber_wake(rc->keeper);
	}
	while (rc->keeper)
		client_wait(&rc->idle_waiters);
	close_attachment(rc);
	if (rc->pages) {
		if (rc->pages->base)
			munmap((void *)rc->pages->base, rc->pages->size);
		free(TAKE(rc->pages));
	}
}
