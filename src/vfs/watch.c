/*
 * Watches: a session is told what other sessions change in a mount. A change with nobody watching costs one
 * load; with watches it is one event to each session that has one on the mount.
 */
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs-impl.h"

#define WATCHES_MAX 64 /* of one session */

struct watch {
	struct list link; /* guarded by the session's lock */
	uint64_t id;
	struct vfs_mount *mount;
	uint32_t filter;
};

static void fill_event(struct vfs_call *c, struct op_event *e, struct vfs_node *node, uint32_t what,
                       const struct vfs_name *name)
{
	memset(e, 0, sizeof(*e));
	e->type = OP_EVENT_CHANGED;
	e->value = what;
	vfs_handle_make(c->session, node, 0, &e->obj);
	if (name) {
		e->name_size = name->size;
		memcpy(e->name, name->bytes, name->size);
	}
}

static void tell(struct vfs_session *s, const struct vfs_mount *m, struct op_event *e)
{
	struct watch *w;
	spin_lock(&s->lock);
	LIST_FOREACH(w, &s->watches, link) {
		if (w->mount != m || !(w->filter & e->value) || !s->cfg.event)
			continue;
		e->watch_id = w->id;
		s->cfg.event(s->cfg.arg, e);
	}
	spin_unlock(&s->lock);
}

void vfs_changed(struct vfs_call *c, struct vfs_node *node, uint32_t what, const struct vfs_name *name)
{
	struct vfs *vfs = c->vfs;
	struct op_event event;
	struct vfs_session *s;
	if (likely(__atomic_load_n(&vfs->n_watches, __ATOMIC_RELAXED) == 0))
		return;
	if (node->base) {
		node = node->base;
		what = what & CHANGED_DATA ? CHANGED_ATTR | CHANGED_STREAM : what;
	}
	fill_event(c, &event, node, what, name);
	spin_lock(&vfs->session_lock);
	LIST_FOREACH(s, &vfs->sessions, link)
		if (s != c->session)
			tell(s, node->mount, &event);
	spin_unlock(&vfs->session_lock);
}

static uint32_t n_watches(struct vfs_session *s)
{
	uint32_t n = 0;
	struct list *l;
	for (l = s->watches.next; l != &s->watches; l = l->next)
		n++;
	return n;
}

int vfs_op_watch(struct vfs_call *c)
{
	struct vfs_session *s = c->session;
	uint32_t filter = c->op->in.watch.filter;
	if (filter == 0 || (filter & ~(uint32_t)(CHANGED_ATTR | CHANGED_DATA | CHANGED_NAME | CHANGED_STREAM)))
		return ERR_INVAL;
	struct watch *w = calloc(1, sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	w->id = __atomic_add_fetch(&c->vfs->next_watch, 1, __ATOMIC_RELAXED);
	w->mount = c->node->mount;
	w->filter = filter;
	spin_lock(&s->lock);
	bool room = n_watches(s) < WATCHES_MAX;
	if (room)
		list_push_back(&s->watches, &w->link);
	spin_unlock(&s->lock);
	if (!room) {
		free(w);
		return ERR_NOSPC;
	}
	__atomic_fetch_add(&c->vfs->n_watches, 1, __ATOMIC_RELEASE);
	c->op->out.watch.watch_id = w->id;
	return 0;
}

/* Takes those of m (NULL: all) with that id (0: any) away; gives how many. */
static uint32_t drop(struct vfs_session *s, const struct vfs_mount *m, uint64_t id)
{
	struct watch *w, *tmp;
	struct list dropped;
	uint32_t n = 0;
	list_init(&dropped);
	spin_lock(&s->lock);
	LIST_FOREACH_SAFE(w, tmp, &s->watches, link) {
		if ((m && w->mount != m) || (id && w->id != id))
			continue;
		list_del(&w->link);
		list_push_back(&dropped, &w->link);
		n++;
	}
	spin_unlock(&s->lock);
	__atomic_fetch_sub(&s->vfs->n_watches, n, __ATOMIC_RELEASE);
	while (!list_empty(&dropped))
		free(list_entry(list_pop_front(&dropped), struct watch, link));
	return n;
}

void vfs_unwatch_all(struct vfs_session *s, const struct vfs_mount *m)
{
	drop(s, m, 0);
}

int vfs_op_unwatch(struct vfs_call *c)
{
	uint64_t id = c->op->in.unwatch.watch_id;
	return id && drop(c->session, NULL, id) ? 0 : ERR_NOENT;
}
