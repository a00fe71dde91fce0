/*
 * The local transport: the VFS of this process, in the calling fiber. A call costs a few stores more than
 * vfs_run() itself. Payload is memory of this process; whole chunks of the page arena can be adopted.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/spinlock.h"
#include "client/client-buf.h"
#include "client/client-provider.h"
#include "vfs/vfs.h"

#define EVENTS_MAX 64

struct local_op {
	struct op op;
	struct vfs_payload payload;
	struct vfs_pins pins;
};

/* Events on their way from whatever thread made them to the client's. */
struct local_events {
	struct loop_task task;
	struct loop *loop;
	struct spinlock lock;
	bool posted;            /* task is on its way */
	bool overflow;
	uint32_t n;
	_Atomic bool any;       /* read without the lock */
	struct op_event *queue; /* EVENTS_MAX */
};

struct local_client {
	struct client c;
	struct vfs *vfs;
	struct vfs_session *session;
	struct local_op **ops; /* n_ops were made */
	uint32_t n_ops;
	uint32_t n_calls;      /* in flight */
	struct list idle_waiters;
	struct buf_arena arena;
	struct client_buf *free_chunks; /* linked through data */
	uint32_t n_chunks;              /* in use */
	struct local_events events;
};

static struct local_client *local_of(struct client *c)
{
	return container_of(c, struct local_client, c);
}

/* ---- calls ------------------------------------------------------------------------------- */

static struct op *local_grow(struct client *c)
{
	struct local_client *l = local_of(c);

	if (l->n_ops == c->config.n_slots)
		return NULL;
	struct local_op *o = malloc(sizeof(*o));
	if (!o)
		return NULL;
	o->pins.n_chunks = 0;
	l->ops[l->n_ops++] = o;
	return &o->op;
}

/* A segment in the page arena comes from a BUF_CHUNK buffer; one that is all of it can be adopted. */
static void find_segment(struct local_client *l, const struct op_seg *s, struct vfs_payload *p, unsigned i)
{
	p->chunks[i] = PAGE_CHUNK_NONE;
	if (s->region == OP_SEG_CLIENT) {
		p->iov[i] = (struct iovec){(void *)(uintptr_t)s->offset, s->size};
		return;
	}
	p->iov[i] = (struct iovec){pages_base(vfs_pages(l->vfs)) + s->offset, s->size};
	if (s->size == PAGE_CHUNK_SIZE && s->offset % PAGE_CHUNK_SIZE == 0)
		p->chunks[i] = (uint32_t)(s->offset / PAGE_CHUNK_SIZE);
}

static struct vfs_step prepare(struct local_client *l, struct op *op)
{
	struct local_op *o = container_of(op, struct local_op, op);

	for (unsigned i = 0; i < op->n_segs; i++)
		find_segment(l, &op->segs[i], &o->payload, i);
	o->payload.n_iov = op->n_segs;
	return (struct vfs_step){op, &o->payload, &o->pins};
}

static void local_run(struct client *c, struct op **ops, unsigned n)
{
	struct local_client *l = local_of(c);
	struct vfs_step steps[OP_CHAIN_MAX];

	for (unsigned i = 0; i < n; i++)
		steps[i] = prepare(l, ops[i]);
	l->n_calls++;
	vfs_run(l->session, steps, n);
	if (--l->n_calls == 0 && unlikely(!list_empty(&l->idle_waiters)))
		client_wake(&l->idle_waiters);
}

static int local_call(struct client *c, struct op *op)
{
	local_run(c, &op, 1);
	return op->status;
}

static void local_put(struct client *c, struct op *op)
{
	struct local_op *o = container_of(op, struct local_op, op);

	if (o->pins.n_chunks)
		vfs_pins_release(local_of(c)->vfs, &o->pins);
	o->pins.n_chunks = 0;
}

static const uint8_t *local_resolve(struct client *c, const struct op *op, const struct op_seg *s)
{
	struct pages *pages = vfs_pages(local_of(c)->vfs);

	if (s->region == OP_SEG_CLIENT)
		return (const uint8_t *)(uintptr_t)s->offset;
	return s->offset < pages_size(pages) && s->size <= pages_size(pages) - s->offset ? pages_base(pages) + s->offset : NULL;
}

/* ---- buffers ----------------------------------------------------------------------------- */

static struct client_buf *alloc_chunk(struct local_client *l)
{
	uint32_t chunk;

	/* Chunks that wait to be filled are bounded as the other buffers are. */
	if ((uint64_t)l->n_chunks * PAGE_CHUNK_SIZE >= l->c.config.arena_size)
		return NULL;
	struct client_buf *buf = l->free_chunks;
	if (!buf && !(buf = malloc(sizeof(*buf))))
		return NULL;
	if (buf == l->free_chunks)
		l->free_chunks = (struct client_buf *)(void *)buf->data;
	if (pages_alloc_whole(vfs_pages(l->vfs), &chunk)) {
		buf->data = (uint8_t *)l->free_chunks;
		l->free_chunks = buf;
		return NULL;
	}
	l->n_chunks++;
	uint64_t offset = pages_offset(chunk);
	*buf = (struct client_buf){pages_base(vfs_pages(l->vfs)) + offset, PAGE_CHUNK_SIZE, OP_SEG_PAGES, offset, 1};
	return buf;
}

static struct client_buf *local_buf_alloc(struct client *c, uint32_t size, unsigned flags)
{
	struct local_client *l = local_of(c);

	if ((flags & BUF_CHUNK) && size == PAGE_CHUNK_SIZE)
		return alloc_chunk(l);
	return buf_arena_alloc(&l->arena, size);
}

static void local_buf_free(struct client *c, struct client_buf *buf)
{
	struct local_client *l = local_of(c);

	if (buf->region == OP_SEG_CLIENT) {
		buf_arena_free(&l->arena, buf);
		return;
	}
	pages_put(vfs_pages(l->vfs), (uint32_t)(buf->offset / PAGE_CHUNK_SIZE));
	l->n_chunks--;
	buf->data = (uint8_t *)l->free_chunks;
	l->free_chunks = buf;
}

/* ---- events ------------------------------------------------------------------------------ */

static bool next_event(struct local_client *l, uint32_t i, struct op_event *event)
{
	struct local_events *e = &l->events;
	bool have = true;

	spin_lock(&e->lock);
	if (i < e->n) {
		*event = e->queue[i];
	} else if (e->overflow) {
		*event = (struct op_event){.type = OP_EVENT_OVERFLOW};
		e->overflow = false;
	} else {
		e->any = false;
		e->n = 0;
		have = false;
	}
	spin_unlock(&e->lock);
	return have;
}

static void local_take_events(struct client *c)
{
	struct local_client *l = local_of(c);
	struct op_event event;

	if (likely(!l->events.any))
		return;
	for (uint32_t i = 0; next_event(l, i, &event); i++)
		c->config.event(c->config.arg, &event);
}

static void deliver(struct loop_task *task)
{
	struct local_client *l = container_of(task, struct local_client, events.task);

	spin_lock(&l->events.lock);
	l->events.posted = false;
	spin_unlock(&l->events.lock);
	local_take_events(&l->c);
}

static void on_event(void *arg, const struct op_event *event)
{
	struct local_client *l = arg;
	struct local_events *e = &l->events;

	if (!l->c.config.event)
		return;
	spin_lock(&e->lock);
	if (e->n < EVENTS_MAX)
		e->queue[e->n++] = *event;
	else
		e->overflow = true;
	bool post = !e->posted;
	e->posted = true;
	e->any = true;
	spin_unlock(&e->lock);
	if (post)
		loop_post(e->loop, &e->task);
}

/* A task that was posted still refers to l: it runs before those posted now. */
struct barrier {
	struct loop_task task;
	struct fiber *fiber;
	bool passed;
};

static void pass(struct loop_task *task)
{
	struct barrier *b = container_of(task, struct barrier, task);
	b->passed = true;
	fiber_wake(b->fiber);
}

static void wait_for_tasks(struct loop *loop)
{
	struct barrier b = {.task.fn = pass, .fiber = fiber_self()};

	loop_post(loop, &b.task);
	while (!b.passed)
		fiber_park();
}

/* ---- life -------------------------------------------------------------------------------- */

static void destroy(struct local_client *l)
{
	for (uint32_t i = 0; i < l->n_ops; i++)
		free(l->ops[i]);
	while (l->free_chunks) {
		struct client_buf *buf = l->free_chunks;
		l->free_chunks = (struct client_buf *)(void *)buf->data;
		free(buf);
	}
	if (l->arena.base)
		munmap(l->arena.base, l->arena.size);
	buf_arena_fini(&l->arena);
	free(l->events.queue);
	free(l->ops);
	client_fini(&l->c);
	free(l);
}

static void local_detach(struct client *c)
{
	struct local_client *l = local_of(c);

	while (l->n_calls)
		client_wait(&l->idle_waiters);
	vfs_session_destroy(l->session);
	wait_for_tasks(c->loop);
	destroy(l);
}

static const struct client_provider provider_local = {
	.adopts = true,
	.run = local_run,
	.call = local_call,
	.put = local_put,
	.grow = local_grow,
	.resolve = local_resolve,
	.buf_alloc = local_buf_alloc,
	.buf_free = local_buf_free,
	.take_events = local_take_events,
	.detach = local_detach,
};

/* The memory costs nothing until a buffer is used. */
static int init_buffers(struct local_client *l)
{
	uint64_t size = ALIGN_UP(l->c.config.arena_size, (uint64_t)BUF_UNIT);
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return err_from_errno(errno);
	int err = buf_arena_init(&l->arena, p, size, (uint64_t)(uintptr_t)p);
	if (err)
		munmap(p, size);
	return err;
}

static int init(struct local_client *l, struct vfs *vfs, const struct client_config *cfg)
{
	int err = client_init(&l->c, &provider_local, cfg);

	l->vfs = vfs;
	l->events.loop = l->c.loop;
	l->events.task.fn = deliver;
	list_init(&l->idle_waiters);
	l->ops = calloc(l->c.config.n_slots, sizeof(struct local_op *));
	l->events.queue = malloc(EVENTS_MAX * sizeof(struct op_event));
	if (!l->ops || !l->events.queue)
		err = ERR_NOMEM;
	return err ? err : init_buffers(l);
}

int client_local(struct client **c, struct vfs *vfs, const struct client_config *cfg)
{
	struct local_client *l = calloc(1, sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	int err = init(l, vfs, cfg);
	struct vfs_session_config session = {.role = cfg->role, .name = l->c.name, .event = on_event, .arg = l};
	if (!err)
		err = vfs_session_create(vfs, &session, &l->session);
	if (err) {
		destroy(l);
		return err;
	}
	*c = &l->c;
	return 0;
}
