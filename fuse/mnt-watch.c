/*
 * What others change becomes an invalidation in the kernel. The kernel may take one only after requests of its
 * own are answered, which is this loop's work: so invalidations are sent from a worker, one after the other,
 * by a fiber that does nothing else. More than the queue holds means: everything the kernel knows.
 */
#include "fuse/mnt.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

LOG_MODULE("fuse");

static void enqueue(struct mnt *m, const struct op_event *event)
{
	struct mnt_node *n = mnt_node_find(m, &event->obj);
	if (!n)
		return;
	if (m->n_invals == MNT_INVALS_MAX) {
		m->inval_all = true;
		return;
	}
	struct mnt_inval *i = &m->invals[m->n_invals++];
	*i = (struct mnt_inval){.ino = mnt_ino(m, n), .what = event->value};
	if (event->value & CHANGED_NAME && event->name_size <= OP_NAME_MAX) {
		i->name_size = event->name_size;
		memcpy(i->name, event->name, event->name_size);
	}
	if (event->value & CHANGED_DATA)
		n->change = 0;
}

void mnt_watch_event(void *arg, const struct op_event *event)
{
	struct mnt *m = arg;
	if (event->type == OP_EVENT_CHANGED)
		enqueue(m, event);
	else if (event->type == OP_EVENT_OVERFLOW)
		m->inval_all = true;
	else
		return;
	if (m->inval_fiber)
		fiber_wake(m->inval_fiber);
}

struct inval_job {
	struct fuse_session *session;
	struct mnt_inval *list;
	uint32_t n;
};

static int inval_job(void *arg)
{
	struct inval_job *job = arg;
	for (uint32_t k = 0; k < job->n; k++) {
		const struct mnt_inval *i = &job->list[k];
		if (i->name_size)
			fuse_lowlevel_notify_inval_entry(job->session, i->ino, i->name, i->name_size);
		/* A negative offset: attributes alone. */
		fuse_lowlevel_notify_inval_inode(job->session, i->ino, i->what & CHANGED_DATA ? 0 : -1, 0);
	}
	return 0;
}

/* Takes the queue over, or everything there is when it overflowed. */
static bool take_queue(struct mnt *m, struct inval_job *job)
{
	uint32_t n = m->inval_all ? (uint32_t)m->nodes.n_nodes : m->n_invals;
	struct mnt_node *node;
	job->list = calloc(n ? n : 1, sizeof(*job->list));
	if (!job->list)
		return false;
	if (m->inval_all) {
		HMAP_FOREACH(node, &m->nodes, hash) {
			job->list[job->n++] = (struct mnt_inval){.ino = mnt_ino(m, node), .what = CHANGED_DATA};
			node->change = 0;
		}
	} else {
		memcpy(job->list, m->invals, n * sizeof(*job->list));
		job->n = n;
	}
	m->n_invals = 0;
	m->inval_all = false;
	return true;
}

static void send_invals(void *arg)
{
	struct mnt *m = arg;
	m->inval_fiber = fiber_self();
	while (!m->stopping) {
		struct inval_job job = {.session = m->session};
		if (!m->n_invals && !m->inval_all)
			fiber_park();
		else if (take_queue(m, &job))
			loop_block(inval_job, &job);
		else
			fiber_sleep_ns(NS_PER_SEC);
		free(job.list);
	}
	m->inval_fiber = NULL;
	fiber_join_done(&m->requests);
}

void mnt_watch_start(struct mnt *m)
{
	struct op *op = client_op(m->client, OP_watch);
	memset(&op->cred, 0, sizeof(op->cred));
	op->cred.origin = OP_ORIGIN_FUSE;
	op->obj = m->root->handle;
	op->in.watch.filter = CHANGED_ATTR | CHANGED_DATA | CHANGED_NAME;
	int err = client_call(m->client, op);
	client_op_put(m->client, op);
	if (err)
		log_warn("changes by others show only after %.0f s: %s", m->opt.attr_timeout, err_text(err));
	if (m->inval_fiber || m->stopping)
		return;
	fiber_join_add(&m->requests, 1);
	if (fiber_spawn(send_invals, m))
		fiber_join_done(&m->requests);
}

void mnt_watch_stop(struct mnt *m)
{
	m->stopping = true;
	if (m->inval_fiber)
		fiber_wake(m->inval_fiber);
}
