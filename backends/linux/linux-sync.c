/*
 * Durability of names and attributes: with sync=yes an operation returns only after an fsync of what it
 * changed. Whoever finds no fsync running leads: it takes everything that waits into one hop to a
 * worker, where the first fsync commits the host's journal for all and the rest find little to do.
 */
#include "backends/linux/linux.h"

#include <unistd.h>

struct linux_sync {
	struct linux_sync *next;
	struct linux_node *nodes[2];
	int result;
	bool done;
};

/* What cannot be opened for fsync (symbolic links, devices, an unreadable directory) needs the whole file system's. */
static int sync_node(struct linux_store *s, struct linux_node *n)
{
	bool openable = n->cached.node.type == OP_TYPE_FILE || n->cached.node.type == OP_TYPE_DIR;
	int fd = openable ? linux_io_fd_here(n, false) : -1;
	if (fd < 0)
		return syncfs(s->root_fd) ? linux_error() : 0;
	return fsync(fd) ? linux_error() : 0;
}

struct batch_job {
	struct linux_store *store;
	struct linux_sync *first;
};

static int batch_job(void *arg)
{
	struct batch_job *job = arg;
	for (struct linux_sync *w = job->first; w; w = w->next)
		for (size_t i = 0; i < ARRAY_SIZE(w->nodes) && w->nodes[i]; i++)
			w->result = w->result ? w->result : sync_node(job->store, w->nodes[i]);
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

int linux_settle(struct linux_node *a, struct linux_node *b)
{
	struct linux_store *s = linux_store(a->cached.node.mount);
	struct linux_sync me = {.nodes = {a, b == a ? NULL : b}};
	if (!s->sync)
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
