/* As much of the client library as the RPC server needs, on malloc: what it gives back is counted. */
#include <stdlib.h>

#include "tests/unit/rpc/fake-client.h"

#define CHUNK_SIZE 65536u

struct fake_counts fake_counts;

struct client_buf *client_buf_alloc(struct client *c, uint32_t size, unsigned flags)
{
	struct client_buf *buf = malloc(sizeof(*buf));
	buf->size = flags & BUF_CHUNK ? CHUNK_SIZE : size;
	buf->data = malloc(buf->size);
	buf->n_refs = 1;
	fake_counts.n_bufs++;
	return buf;
}

struct client_buf *client_buf_get(struct client_buf *buf)
{
	buf->n_refs++;
	return buf;
}

void client_buf_put(struct client *c, struct client_buf *buf)
{
	if (--buf->n_refs > 0)
		return;
	fake_counts.n_bufs--;
	free(buf->data);
	free(buf);
}

void client_buf_wait(struct client *c)
{
	fiber_yield();
}

bool client_can_adopt(const struct client *c)
{
	return true;
}

void client_op_put(struct client *c, struct op *op)
{
	fake_counts.n_ops--;
	free(op);
}

int client_op_seg(struct op *op, const struct client_buf *buf, uint32_t offset, uint32_t size)
{
	if (op->n_segs == OP_SEGS_MAX || offset + size > buf->size)
		return ERR_INVAL;
	op->segs[op->n_segs++] = (struct op_seg){.offset = (uintptr_t)buf->data + offset, .size = size};
	return 0;
}
