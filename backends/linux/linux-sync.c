/*
 * Durability of names and attributes: with sync=yes an operation is answered only after an fsync of what it
 * changed. Nodes count their changes, and how many of them are durable. A sync costs more than the changes that it
 * makes durable, so one serves all that wait: whoever finds nobody leading leads, and first lets those come who are
 * about to and, for a part of what a sync takes, those who came the last time. Then one of those that came too late
 * leads. An object changed by many is synced once for all.
 *
 * ext4 and XFS write changes of names and attributes to one journal in the order in which they were made. There a
 * file of our own is changed and synced, once for everything that was done before: a journal is never durable beyond a gap.
 * It is changed once more right after: where the journal has become full it is this change, made by a worker, that
 * waits for room, and not one of those that follow.
 */
#include "backends/linux/linux.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SETTLE_MAX 3
#define GATHER_NS (2 * NS_PER_MS)

/* A call that waits. */
struct linux_sync {
	struct linux_sync *next;
	struct linux_node *nodes[SETTLE_MAX];
	uint64_t upto[SETTLE_MAX]; /* changes of each */
	uint32_t n;
	int result;
	bool answered;
	struct fiber_join wake;    /* answered, or to lead */
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
	struct loop *loop;
	uint64_t took_ns;
};

/* Notes what was changed until now, or with settled set, that this is durable. */
static void mark_batch(struct linux_sync *first, bool settled)
{
	for (struct linux_sync *w = first; w; w = w->next) {
		for (uint32_t i = 0; i < w->n; i++) {
			if (settled)
				mark_settled(w->nodes[i], w->upto[i]);
			else
				w->upto[i] = unsettled(w->nodes[i]);
		}
	}
}

static int sync_journal(struct linux_store *s, struct linux_sync *first)
{
	mark_batch(first, false);
	if (futimens(s->journal_fd, NULL) || fsync(s->journal_fd))
		return linux_error();
	mark_batch(first, true);
	return 0;
}

static void sync_nodes(struct linux_store *s, struct linux_sync *first)
{
	for (struct linux_sync *w = first; w; w = w->next)
		for (uint32_t i = 0; i < w->n && !w->result; i++)
			w->result = sync_node(s, w->nodes[i]);
}

/* Whoever is answered takes its link of the list along. */
static void answer(struct linux_sync *first, int err)
{
	for (struct linux_sync *w = first, *next; w; w = next) {
		next = w->next;
		w->result = err ? err : w->result;
		w->answered = true;
		fiber_join_done(&w->wake);
	}
}

static int batch_job(void *arg)
{
	struct batch_job *job = arg;
	struct linux_store *s = job->store;
	uint64_t start = loop_clock_ns(job->loop);
	int err = 0;
	if (s->journal_fd >= 0)
		err = sync_journal(s, job->first);
	else
		sync_nodes(s, job->first);
	job->took_ns = loop_clock_ns(job->loop) - start;
	answer(job->first, err);
	if (s->journal_fd >= 0)
		futimens(s->journal_fd, NULL);
	return 0;
}

/* ext4 can do without a journal; the kernel lists those that there are by device. */
static bool has_jbd2(const struct linux_store *s)
{
	char link[64], target[256];
	const struct dirent *e;
	bool found = false;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", s->dev_major, s->dev_minor);
	ssize_t n = readlink(link, target, sizeof(target) - 2);
	DIR *d = opendir("/proc/fs/jbd2");
	if (n <= 0 || !d) {
		if (d)
			closedir(d);
		return false;
	}
	strcpy(target + n, "-");
	const char *device = strrchr(target, '/') + 1;
	while (!found && (e = readdir(d)))
		found = strncmp(e->d_name, device, strlen(device)) == 0;
	closedir(d);
	return found;
}

void linux_journal_open(struct linux_store *s)
{
	struct statfs st;
	if (fstatfs(s->root_fd, &st))
		return;
	bool one = (uint32_t)st.f_type == EXT4_SUPER_MAGIC ? has_jbd2(s) : (uint32_t)st.f_type == XFS_SUPER_MAGIC;
	if (one)
		s->journal_fd = openat(s->root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Lets everybody run once. With sync_lock held, which is given up meanwhile. */
static void let_others_run(struct linux_store *s)
{
	fiber_mutex_unlock(&s->sync_lock);
	fiber_yield();
	fiber_mutex_lock(&s->sync_lock);
}

/*
 * Waits for changes under way, as long as letting everybody run brings more, and a moment for those expected. With
 * sync_lock held, which is given up meanwhile.
 */
static void gather(struct linux_store *s)
{
	const struct loop *loop = loop_current();
	uint64_t start = loop_clock_ns(loop), now = start;
	uint64_t patience = start + MIN(s->sync_ns / 2, GATHER_NS), deadline = start + MAX(s->sync_ns, GATHER_NS);
	uint32_t seen = 0;
	atomic_store(&s->gathering, true);
	fiber_cond_broadcast(&s->sync_open);
	for (; now < deadline; now = loop_clock_ns(loop)) {
		if (atomic_load(&s->n_changing) > 0) {
			fiber_cond_timedwait(&s->sync_more, &s->sync_lock, deadline);
		} else if (s->n_queued > seen) {
			seen = s->n_queued;
			let_others_run(s);
		} else if (s->n_queued < s->n_expected && now < patience) {
			fiber_cond_timedwait(&s->sync_more, &s->sync_lock, patience);
		} else {
			break;
		}
	}
	atomic_store(&s->gathering, false);
}

void linux_sync_await(struct linux_store *s)
{
	if (s->journal_fd < 0 || !atomic_load(&s->syncing) || atomic_load(&s->gathering))
		return;
	fiber_mutex_lock(&s->sync_lock);
	s->n_awaiting++;
	while (s->syncing && !s->gathering)
		fiber_cond_wait(&s->sync_open, &s->sync_lock);
	s->n_awaiting--;
	fiber_mutex_unlock(&s->sync_lock);
}

void linux_sync_nudge(struct linux_store *s)
{
	if (!atomic_load(&s->gathering))
		return;
	fiber_mutex_lock(&s->sync_lock);
	fiber_cond_broadcast(&s->sync_more);
	fiber_mutex_unlock(&s->sync_lock);
}

/* With sync_lock held: the next of those that wait leads, or changes are let in. */
static void give_lead(struct linux_store *s)
{
	if (s->sync_queue) {
		fiber_join_done(&s->sync_queue->wake);
		return;
	}
	s->syncing = false;
	fiber_cond_broadcast(&s->sync_open);
}

/* Syncs for all that wait, the caller among them. */
static void lead(struct linux_store *s)
{
	fiber_mutex_lock(&s->sync_lock);
	gather(s);
	struct batch_job job = {.store = s, .first = TAKE(s->sync_queue), .loop = loop_current()};
	uint32_t n = s->n_queued;
	s->n_queued = 0;
	fiber_mutex_unlock(&s->sync_lock);
	int err = loop_block(batch_job, &job);
	if (err)
		answer(job.first, err);
	fiber_mutex_lock(&s->sync_lock);
	s->sync_ns = job.took_ns;
	s->n_expected = n + s->n_queued + s->n_awaiting;
	give_lead(s);
	fiber_mutex_unlock(&s->sync_lock);
}

/* Queues w. True if nobody leads: the caller has to. */
static bool enqueue(struct linux_store *s, struct linux_sync *w)
{
	fiber_join_add(&w->wake, 1);
	fiber_mutex_lock(&s->sync_lock);
	bool leads = !s->syncing;
	w->next = s->sync_queue;
	s->sync_queue = w;
	s->n_queued++;
	s->syncing = true;
	fiber_cond_broadcast(&s->sync_more);
	fiber_mutex_unlock(&s->sync_lock);
	return leads;
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
	bool leads = enqueue(s, &me);
	if (!leads) {
		fiber_join_wait(&me.wake);
		if (me.answered)
			return me.result;
		fiber_join_add(&me.wake, 1);
	}
	lead(s);
	return me.result;
}
