/*
 * Record marking (RFC 5531 section 11) and where bytes are put.
 *
 * Ordinary records are parsed where one read brought them, many to a buffer. A long one has the payload that
 * its program finds in its first bytes received straight into chunks of their own, skewed so that they
 * line up with the file's: nothing of it is copied but what an earlier read had already brought.
 * Fragments are joined on the way.
 */
#include "protocols/rpc/rpc-impl.h"

#define MARK_SIZE 4
#define MARK_LAST 0x80000000u
#define REUSE_MIN 16384u /* free bytes at a buffer's end that make it worth another read */
#define HOLD_MS 1000     /* an idle connection keeps its buffer that long */

/* The rest of a record: what its fragments still hold. */
struct rest {
	uint32_t left;  /* of the current fragment */
	bool last;      /* no fragment follows it */
	uint32_t total; /* of the record, as far as known */
};

static uint32_t avail(const struct rpc_rx *rx)
{
	return rx->tail - rx->head;
}

static void drop_buffer(struct rpc_conn *c)
{
	if (c->rx.buf)
		client_buf_put(c->server->client, c->rx.buf);
	c->rx.buf = NULL;
	c->rx.head = c->rx.tail = 0;
}

/* A buffer, however long it takes: other connections give theirs back. Parks. */
static struct client_buf *get_buffer(struct rpc_conn *c, uint32_t size, unsigned flags)
{
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(c->server->client, size, flags)) && !c->broken)
		client_buf_wait(c->server->client);
	return buf;
}

/* Makes room for need bytes from head on, moving the few that are there. Parks when memory is short. */
static int make_room(struct rpc_conn *c, uint32_t need)
{
	struct rpc_rx *rx = &c->rx;
	uint32_t have = avail(rx);
	if (rx->buf && rx->buf->n_refs == 1 && rx->buf->size >= need && (have == 0 || rx->head + need > rx->buf->size)) {
		memmove(rx->buf->data, rx->buf->data + rx->head, have);
		rx->head = 0;
		rx->tail = have;
		return 0;
	}
	if (rx->buf && rx->buf->size - rx->head >= MAX(need, have + REUSE_MIN))
		return 0;
	struct client_buf *fresh = get_buffer(c, MAX(rx->size, need), 0);
	if (!fresh)
		return ERR_DISCONNECTED;
	if (have)
		memcpy(fresh->data, rx->buf->data + rx->head, have);
	drop_buffer(c);
	*rx = (struct rpc_rx){.buf = fresh, .tail = have, .size = rx->size, .bulk = rx->bulk};
	return 0;
}

/* Nothing came for a while: waits without a buffer. */
static int wait_idle(struct rpc_conn *c)
{
	drop_buffer(c);
	c->rx.size = RX_SIZE_FIRST;
	stream_set_timeout(c->stream, c->server->cfg.idle_ms * NS_PER_MS);
	int err = stream_wait_readable(c->stream);
	return err ? err : make_room(c, MARK_SIZE);
}

/* While the socket has nothing it is others' turn. */
static ssize_t read_in_turn(struct rpc_conn *c, struct iovec *iov, int n_iov)
{
	ssize_t n;
	while ((n = stream_try_readv(c->stream, iov, n_iov)) == ERR_AGAIN) {
		rpc_bulk_end(c);
		int err = stream_wait_readable(c->stream);
		if (!err)
			err = rpc_bulk_begin(c);
		if (err)
			return err;
	}
	return n;
}

static ssize_t read_stream(struct rpc_conn *c, struct iovec *iov, int n_iov, bool idle)
{
	rpc_out_flush(c);
	stream_set_timeout(c->stream, (idle ? HOLD_MS : c->server->cfg.stall_ms) * NS_PER_MS);
	c->receiving = true;
	ssize_t n = c->server->receiver == c ? read_in_turn(c, iov, n_iov) : stream_readv(c->stream, iov, n_iov);
	c->receiving = false;
	return n == 0 ? ERR_EOF : n;
}

/* Receives more behind tail, so that at least need bytes from head on have room. */
static int fill(struct rpc_conn *c, uint32_t need)
{
	struct rpc_rx *rx = &c->rx;
	int err = make_room(c, need);
	if (err)
		return err;
	bool idle = avail(rx) == 0 && c->n_calls == 0;
	uint32_t room = rx->buf->size - rx->tail;
	if (rx->bulk)
		room = MIN(room, RX_LOOKAHEAD);
	struct iovec iov = {rx->buf->data + rx->tail, room};
	ssize_t n = read_stream(c, &iov, 1, idle);
	if (n == ERR_TIMEDOUT && idle)
		return wait_idle(c);
	if (n < 0)
		return (int)n;
	rx->tail += (uint32_t)n;
	if ((uint32_t)n == room && !rx->bulk)
		rx->size = RX_SIZE_MAX;
	return 0;
}

static int next_mark(struct rpc_conn *c, struct rest *r)
{
	int err = 0;
	while (avail(&c->rx) < MARK_SIZE && !err)
		err = fill(c, MARK_SIZE);
	if (err)
		return err;
	uint32_t mark = xdr_be32(c->rx.buf->data + c->rx.head);
	c->rx.head += MARK_SIZE;
	r->left = mark & ~MARK_LAST;
	r->last = mark & MARK_LAST;
	if (r->left > RPC_RECORD_MAX - r->total || (r->left == 0 && !r->last))
		return ERR_PROTO;
	r->total += r->left;
	return 0;
}

/* Receives straight to `to`; when that completes the fragment, the head of what follows comes along. */
static ssize_t receive_direct(struct rpc_conn *c, uint8_t *to, uint32_t size, bool look_ahead)
{
	struct rpc_rx *rx = &c->rx;
	struct iovec iov[2] = {{to, size}};
	if (look_ahead) {
		int err = make_room(c, MARK_SIZE);
		if (err)
			return err;
		iov[1] = (struct iovec){rx->buf->data + rx->tail, MIN(RX_LOOKAHEAD, rx->buf->size - rx->tail)};
	}
	ssize_t n = read_stream(c, iov, look_ahead ? 2 : 1, false);
	if (n > (ssize_t)size) {
		rx->tail += (uint32_t)n - size;
		n = size;
	}
	return n;
}

/* Moves size bytes of the record to `to`, fewer only at its end; the count, or an error. */
static ssize_t pull(struct rpc_conn *c, struct rest *r, uint8_t *to, uint32_t size)
{
	uint32_t done = 0;
	while (done < size) {
		if (r->left == 0) {
			int err = r->last ? ERR_EOF : next_mark(c, r);
			if (err)
				return r->last && err == ERR_EOF ? (ssize_t)done : err;
			continue;
		}
		uint32_t want = MIN(size - done, r->left);
		ssize_t n = MIN(want, avail(&c->rx));
		if (n > 0) {
			memcpy(to + done, c->rx.buf->data + c->rx.head, (size_t)n);
			c->rx.head += (uint32_t)n;
		} else {
			n = receive_direct(c, to + done, want, want == r->left);
		}
		if (n < 0)
			return n;
		done += (uint32_t)n;
		r->left -= (uint32_t)n;
	}
	return done;
}

/* The program's view of a record's first bytes. */
static bool find_payload(const struct rpc_server *s, const uint8_t *data, uint32_t size, struct rpc_payload *place)
{
	struct rpc_head head;
	struct xdr_in x;
	xdr_in_init(&x, data, size);
	if (!rpc_head_decode(&x, &head) || !head.version_ok)
		return false;
	for (uint32_t i = 0; i < s->n_programs; i++) {
		const struct rpc_program *p = &s->programs[i];
		if (p->xdr->program != head.call.prog || p->xdr->version != head.call.vers || !p->find_payload)
			continue;
		if (!p->find_payload(head.call.proc, &x, place) || x.err)
			return false;
		place->offset = (uint32_t)(x.pos - x.start);
		return place->size >= RX_BULK_MIN && place->size <= RPC_DATA_MAX;
	}
	return false;
}

static void put_chunks(struct rpc_conn *c, struct rpc_record *rec)
{
	while (rec->n_chunks)
		client_buf_put(c->server->client, rec->chunks[--rec->n_chunks]);
}

/* All chunks of a payload or none, so that no two connections wait for each other's. */
static bool get_chunks(struct rpc_conn *c, struct rpc_record *rec, const struct rpc_payload *place)
{
	rec->skew = (uint32_t)(place->file_offset % RPC_CHUNK_SIZE);
	while ((uint64_t)rec->n_chunks * RPC_CHUNK_SIZE < (uint64_t)rec->skew + place->size) {
		struct client_buf *buf = client_buf_alloc(c->server->client, RPC_CHUNK_SIZE, BUF_CHUNK);
		if (!buf) {
			put_chunks(c, rec);
			return false;
		}
		rec->chunks[rec->n_chunks++] = buf;
	}
	return true;
}

/* The turn to receive, and the memory for it: taken late, it is what the payload before has just left. Parks. */
static int begin_payload(struct rpc_conn *c, struct rpc_record *rec, const struct rpc_payload *place)
{
	int err = rpc_bulk_begin(c);
	while (!err && !get_chunks(c, rec, place)) {
		rpc_bulk_end(c);
		client_buf_wait(c->server->client);
		err = rpc_bulk_begin(c);
	}
	return err;
}

/* head_size bytes of the record are in rec->buf, the payload's first ones among them. */
static int pull_payload(struct rpc_conn *c, struct rest *r, struct rpc_record *rec, uint32_t head_size,
			const struct rpc_payload *place)
{
	const uint8_t *early = rec->data + place->offset;
	uint32_t n_early = head_size - place->offset, left = place->size, at;
	at = rec->skew;
	for (uint32_t i = 0; i < rec->n_chunks; i++, at = 0) {
		uint32_t n = MIN(left, rec->chunks[i]->size - at), copy = MIN(n, n_early);
		memcpy(rec->chunks[i]->data + at, early, copy);
		ssize_t got = pull(c, r, rec->chunks[i]->data + at + copy, n - copy);
		if (got < 0 || got < (ssize_t)(n - copy))
			return got < 0 ? (int)got : ERR_PROTO;
		early += copy;
		n_early -= copy;
		left -= n;
	}
	rec->size = place->offset;
	rec->payload_size = place->size;
	return 0;
}

/* What is left of the record is the padding, and nothing but. */
static int pull_padding(struct rpc_conn *c, struct rest *r, uint32_t payload_size)
{
	uint8_t pad[4];
	ssize_t n = pull(c, r, pad, sizeof(pad));
	if (n < 0)
		return (int)n;
	return (size_t)n == xdr_pad(payload_size) - payload_size ? 0 : ERR_PROTO;
}

/* The record goes on behind head_size bytes in a buffer that holds all of it. */
static int pull_whole(struct rpc_conn *c, struct rest *r, struct rpc_record *rec, uint32_t head_size)
{
	uint32_t size = head_size;
	while (r->left > 0 || !r->last) {
		int err = r->left == 0 ? next_mark(c, r) : 0;
		if (err || size + r->left > RPC_DATA_MAX)
			return err ? err : ERR_PROTO;
		if (size + r->left > rec->buf->size) {
			struct client_buf *larger = get_buffer(c, MIN(RPC_DATA_MAX, 2 * (size + r->left)), 0);
			if (!larger)
				return ERR_DISCONNECTED;
			memcpy(larger->data, rec->buf->data, size);
			client_buf_put(c->server->client, rec->buf);
			rec->buf = larger;
		}
		ssize_t n = pull(c, r, rec->buf->data + size, r->left);
		if (n < 0)
			return (int)n;
		size += (uint32_t)n;
	}
	rec->data = rec->buf->data;
	rec->size = size;
	return 0;
}

/* A record that is long or in fragments; r stands behind its first mark. */
static int take_long(struct rpc_conn *c, struct rest *r, struct rpc_record *rec)
{
	struct rpc_payload place;
	rec->buf = get_buffer(c, RX_LOOKAHEAD, 0);
	if (!rec->buf)
		return ERR_DISCONNECTED;
	rec->data = rec->buf->data;
	ssize_t n = pull(c, r, rec->buf->data, RX_HEAD_MAX);
	if (n < 0)
		return (int)n;
	bool bulk = n == RX_HEAD_MAX && find_payload(c->server, rec->data, (uint32_t)n, &place);
	c->rx.bulk = bulk;
	if (!bulk)
		return pull_whole(c, r, rec, (uint32_t)n);
	int err = begin_payload(c, rec, &place);
	if (!err)
		err = pull_payload(c, r, rec, (uint32_t)n, &place);
	if (!err)
		err = pull_padding(c, r, place.size);
	rpc_bulk_end(c);
	return err;
}

/* The record is whole in the receive buffer. */
static void take_short(struct rpc_conn *c, uint32_t size, struct rpc_record *rec)
{
	struct rpc_rx *rx = &c->rx;
	rec->offset = rx->head + MARK_SIZE;
	rec->data = rx->buf->data + rec->offset;
	rec->size = size;
	rec->buf = client_buf_get(rx->buf);
	rx->head += MARK_SIZE + size;
	rx->bulk = false;
}

int rpc_rx_next(struct rpc_conn *c, struct rpc_record *rec)
{
	struct rpc_rx *rx = &c->rx;
	rec->buf = NULL;
	rec->n_chunks = rec->skew = rec->offset = 0;
	for (;;) {
		uint32_t need = MARK_SIZE;
		if (avail(rx) >= MARK_SIZE) {
			uint32_t mark = xdr_be32(rx->buf->data + rx->head);
			uint32_t size = mark & ~MARK_LAST;
			if (!(mark & MARK_LAST) || size > RX_BULK_MIN) {
				struct rest r = {0};
				int err = next_mark(c, &r);
				return err ? err : take_long(c, &r, rec);
			}
			need = MARK_SIZE + size;
			if (avail(rx) >= need) {
				take_short(c, size, rec);
				return 0;
			}
		}
		int err = fill(c, need);
		if (err)
			return err;
	}
}

void rpc_record_put(struct client *client, struct rpc_record *rec)
{
	for (uint32_t i = 0; i < rec->n_chunks; i++)
		client_buf_put(client, rec->chunks[i]);
	rec->n_chunks = 0;
	if (rec->buf)
		client_buf_put(client, rec->buf);
	rec->buf = NULL;
}

void rpc_rx_fini(struct rpc_conn *c)
{
	drop_buffer(c);
}
