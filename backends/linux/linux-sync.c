/*
 * Durability of names and attributes: with sync=yes an operation is answered only after an fsync of what it
 * changed. Nodes count their changes, and how many of them are durable. Whoever finds no fsync running leads: it
 * takes everything that waits into one hop to a worker. An object changed by many is synced once for all, and
 * the first fsync commits the host's journal, so that the rest find little to do.
 */
#include "backends/linux/linux.h"

#include <unistd.h>

#define SETTLE_MAX 3

struct linux_sync {
	struct linux_sync *next;
	struct linux_node *nodes[SETTLE_MAX];
	uint32_t n;
	int result;
	bool done;
};

static uint64_t unsettled(struct linux_node *n)
{
	spin_lock(&n->attr_lock);
	uint64_t upto = n->n_changes > n->n_settled ? n->n_changes : 0;
	spin_unlock(&n->attr_lock);
	return upto;
}

static void mark_settled(struct linux_node *n, uint64_t upto)
{
	spin_lock(&n->attr_lock);
	n->n_settled = MAX(n->n_settled, upto);
	spin_unlock(&n->attr_lock);
}

/* What cannot be opened for fsync (symbolic links, devices, an unreadable directory) needs the whole file system's. */
static int sync_node(struct linux_store *s, struct linux_node *n)
{
	bool openable = n->cached.node.type == OP_TYPE_FILE || n->cached.node.type == OP_TYPE_DIR;
	uint64_t upto = unsettled(n);
	int fd = openable && upto ? linux_io_fd_here(n, false) : -1;
	if (!upto)
		return 0;
	if (fd < 0 ? syncfs(s->root_fd) : fsync(fd))
		return linux_error();
	mark_settled(n, upto);
	return 0;
}

struct batch_job {
	struct linux_store *store;
	struct linux_sync *first;
};

static int batch_job(void *arg)
{
	struct batch_job *job = arg;
	for (struct linux_sync *w = job->first; w; w = w->next)
		for (uint32_t i = 0; i < w->n && !w->result; i++)
			w->result = sync_node(job->store, w->nodes[i]);
	return 0;
}

/* With sync_lock held, which is given up meanwhile. */
static void lead(struct linux_store *s)
{
	struct batch_job job = {s, TAKE(s->sync_queue)};
	s->syncing = true;
	fiber_mutex_unlock(&s->sync_lock);
	int err = loop_block(batch_job, &job);
	fiber_mutex_lock(&s->sync_lock);
	s->syncing = false;
	for (struct linux_sync *w = job.first, *next; w; w = next) {
		next = w->next;
		w->result = err ? err : w->result;
		w->done = true;
	}
	fiber_cond_broadcast(&s->sync_done);
}

int linux_settle(struct vfs_node *const *nodes, uint32_t n)
{
	struct linux_store *s = linux_store(nodes[0]->mount);
	struct linux_sync me = {.n = 0};
	if (!s->sync)
		return 0;
	for (uint32_t i = 0; i < n && me.n < SETTLE_MAX; i++)
		if (unsettled(linux_node(nodes[i])))
			me.nodes[me.n++] = linux_node(nodes[i]);
	if (!me.n)
		return 0;
	fiber_mutex_lock(&s->sync_lock);
	me.next = s->sync_queue;
	s->sync_queue = &me;
	while (!me.done) {
		if (s->syncing)
			fiber_cond_wait(&s->sync_done, &s->sync_lock);
		else
			lead(s);
	}
	fiber_mutex_unlock(&s->sync_lock);
	return me.result;
}
