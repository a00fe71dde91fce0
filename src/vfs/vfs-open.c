/*
 * Open and close, and the opens a session holds. An open keeps a reference on its object, so that it can be
 * used after its last name is gone, and a permission, so that it can be used after a chmod.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vfs/access.h"
#include "vfs/name-index.h"
#include "vfs/share.h"
#include "vfs/vfs-impl.h"

#define OPENS_FIRST 64u
#define OPENS_MAX (1u << 20) /* of one session */

struct vfs_open {
	struct vfs_node *node;
	uint64_t id;
	uint32_t access;
	uint32_t deny;
	struct vfs_open *next; /* on a list of those to be closed */
};

/* ---- the table of a session */

/* Makes room outside the spin lock: whoever finds the table full brings a bigger one. */
static int grow(struct vfs_session *s, uint32_t full)
{
	uint32_t n = full ? 2 * full : OPENS_FIRST;
	struct vfs_open **fresh = n <= OPENS_MAX ? calloc(n, sizeof(*fresh)) : NULL;
	if (!fresh)
		return n <= OPENS_MAX ? ERR_NOMEM : ERR_NOSPC;
	spin_lock(&s->lock);
	if (s->n_opens_max == full) {
		struct vfs_open **old = s->opens;
		if (full)
			memcpy(fresh, old, full * sizeof(*fresh));
		s->opens = fresh;
		s->n_opens_max = n;
		s->open_hint = full;
		fresh = old;
	}
	spin_unlock(&s->lock);
	free(fresh);
	return 0;
}

/* Under the lock, with room. The salt makes ids of an earlier session or start invalid rather than wrong. */
static void place(struct vfs_session *s, struct vfs_open *o)
{
	while (s->opens[s->open_hint])
		s->open_hint = (s->open_hint + 1) % s->n_opens_max;
	uint32_t generation = ++s->open_generation + (uint32_t)s->vfs->salt;
	o->id = ((uint64_t)generation << 32 | s->open_hint) + 1;
	s->opens[s->open_hint] = o;
	s->open_hint = (s->open_hint + 1) % s->n_opens_max;
	s->n_opens++;
}

static int table_add(struct vfs_session *s, struct vfs_open *o)
{
	for (;;) {
		spin_lock(&s->lock);
		uint32_t max = s->n_opens_max;
		bool room = s->n_opens < max;
		if (room)
			place(s, o);
		spin_unlock(&s->lock);
		int err = room ? 0 : grow(s, max);
		if (room || err)
			return err;
	}
}

static struct vfs_open *table_find(struct vfs_session *s, uint64_t id)
{
	uint32_t i = (uint32_t)(id - 1);
	if (i >= s->n_opens_max || !s->opens[i] || s->opens[i]->id != id)
		return NULL;
	return s->opens[i];
}

static struct vfs_open *table_take(struct vfs_session *s, uint64_t id)
{
	spin_lock(&s->lock);
	struct vfs_open *o = table_find(s, id);
	if (o) {
		s->opens[(uint32_t)(id - 1)] = NULL;
		s->n_opens--;
	}
	spin_unlock(&s->lock);
	return o;
}

static void open_free(struct vfs_open *o)
{
	share_remove(o->node, o->access, o->deny);
	vfs_node_put(o->node);
	free(o);
}

static struct vfs_open *take_all(struct vfs_session *s, const struct vfs_mount *m, struct vfs_open *list)
{
	spin_lock(&s->lock);
	for (uint32_t i = 0; i < s->n_opens_max; i++) {
		struct vfs_open *o = s->opens[i];
		if (!o || (m && o->node->mount != m))
			continue;
		s->opens[i] = NULL;
		s->n_opens--;
		o->next = list;
		list = o;
	}
	spin_unlock(&s->lock);
	return list;
}

static void free_all(struct vfs_open *list)
{
	while (list) {
		struct vfs_open *o = list;
		list = o->next;
		open_free(o);
	}
}

void vfs_close_all(struct vfs_session *s)
{
	free_all(take_all(s, NULL, NULL));
}

void vfs_close_mount(struct vfs *vfs, const struct vfs_mount *m)
{
	struct vfs_open *list = NULL;
	struct vfs_session *s;
	spin_lock(&vfs->session_lock);
	LIST_FOREACH(s, &vfs->sessions, link)
		list = take_all(s, m, list);
	spin_unlock(&vfs->session_lock);
	free_all(list);
}

int vfs_io_open(struct vfs_call *c, struct vfs_node *node, uint64_t open_id, uint32_t access)
{
	struct vfs_session *s = c->session;
	if (open_id == 0 && (c->op->flags & OP_F_PREV) && node == c->node)
		open_id = c->open_id;
	if (open_id == 0)
		return IO_ANONYMOUS;
	spin_lock(&s->lock);
	const struct vfs_open *o = table_find(s, open_id);
	int err = !o || o->node != node ? ERR_BADHANDLE : access & ~o->access ? ERR_ACCES : IO_OPEN;
	spin_unlock(&s->lock);
	return err;
}

int vfs_open_add(struct vfs_call *c, struct vfs_node *node, uint32_t access, uint32_t deny, uint64_t *open_id)
{
	struct vfs_session *s = c->session;
	struct vfs_open *o = calloc(1, sizeof(*o));
	if (!o)
		return ERR_NOMEM;
	*o = (struct vfs_open){.node = node, .access = access, .deny = deny};
	int err = share_add(node, access, deny);
	if (err) {
		free(o);
		return err;
	}
	vfs_node_get(node);
	err = table_add(s, o);
	if (err) {
		open_free(o);
		return err;
	}
	c->open_id = *open_id = o->id;
	return 0;
}

int vfs_op_close(struct vfs_call *c)
{
	uint64_t id = c->op->in.close.open_id;
	if (id == 0 && (c->op->flags & OP_F_PREV))
		id = c->open_id;
	struct vfs_open *o = id ? table_take(c->session, id) : NULL;
	if (!o)
		return ERR_BADHANDLE;
	open_free(o);
	return 0;
}

/* ---- open */

static bool truncates(const struct op_open_in *in)
{
	return (in->flags & OPEN_TRUNCATE) || ((in->attr.mask & ATTR_SIZE) && in->attr.size == 0);
}

static int check_open_type(const struct vfs_node *node, const struct op_open_in *in)
{
	bool writes = (in->access & OPEN_WRITE) || truncates(in);
	if (node->type == OP_TYPE_FILE)
		return 0;
	if (node->type == OP_TYPE_DIR)
		return writes || (in->flags & OPEN_NOFOLLOW_DIR) || in->disposition != OPEN_EXISTING ? ERR_ISDIR : 0;
	if (node->type == OP_TYPE_SYMLINK)
		return in->disposition == OPEN_EXISTING ? ERR_LOOP : ERR_EXIST;
	return ERR_INVAL;
}

/* With the node locked. */
static int may_open(struct vfs_call *c, const struct vfs_node *node, const struct op_attr *attr, const struct op_open_in *in)
{
	bool override = (c->op->flags & OP_F_OWNER_OVERRIDE) && c->op->code == OP_open && !c->node->base;
	uint32_t want = in->access & OPEN_READ ? MAY_READ : 0;
	if ((in->access & OPEN_WRITE) || truncates(in))
		want |= MAY_WRITE;
	if ((want & MAY_WRITE) && vfs_node_read_only(c->node))
		return ERR_ROFS;
	return want ? access_io(c->cred, attr, vfs_node_acl(node), want, override) : 0;
}

static int truncate_locked(struct vfs_call *c, struct vfs_node *node, const struct op_open_in *in, struct op_attr *attr)
{
	int err = vfs_attr(node, attr);
	if (!err)
		err = may_open(c, node, attr, in);
	if (!err)
		err = vfs_set_size(c, node, attr, 0);
	return err ? err : vfs_attr(node, attr);
}

int vfs_open_node(struct vfs_call *c, struct vfs_node *node, const struct op_open_in *in, struct op_open_out *out)
{
	int err = check_open_type(node, in);
	if (!err) {
		fiber_rwlock_rdlock(vfs_node_lock(node));
		err = vfs_attr(node, &out->attr);
		if (!err)
			err = may_open(c, node, &out->attr, in);
		fiber_rwlock_rdunlock(vfs_node_lock(node));
	}
	if (!err && !(in->flags & OPEN_NO_STATE))
		err = vfs_open_add(c, node, in->access, in->deny, &out->open_id);
	if (err || !truncates(in))
		return err;
	fiber_rwlock_wrlock(vfs_node_lock(node));
	err = truncate_locked(c, node, in, &out->attr);
	fiber_rwlock_wrunlock(vfs_node_lock(node));
	if (!err)
		vfs_changed(c, node, CHANGED_ATTR | CHANGED_DATA, NULL);
	else if (out->open_id)
		open_free(table_take(c->session, out->open_id));
	return err;
}

static int same_verifier(struct vfs_node *node, uint64_t wanted)
{
	uint64_t kept = 0;
	if (!node->mount->ops->verifier)
		return ERR_EXIST;
	fiber_rwlock_rdlock(vfs_node_lock(node));
	int err = node->mount->ops->verifier(node, &kept);
	fiber_rwlock_rdunlock(vfs_node_lock(node));
	return err == 0 && kept && kept == wanted ? 0 : ERR_EXIST;
}

/* A name that exists meets GUARDED and EXCLUSIVE: only the retry of the same exclusive create passes. */
static int check_exists(struct vfs_node *node, const struct op_open_in *in)
{
	if (in->disposition == OPEN_GUARDED)
		return ERR_EXIST;
	if (in->disposition == OPEN_EXCLUSIVE)
		return same_verifier(node, in->verifier);
	return 0;
}

/* What was just created is open to its creator whatever its mode: POSIX open(2). */
static int open_created(struct vfs_call *c, struct vfs_node *node, const struct op_open_in *in, struct op_open_out *out)
{
	out->created = 1;
	int err = vfs_attr_made(node, &out->attr);
	if (!err && !(in->flags & OPEN_NO_STATE))
		err = vfs_open_add(c, node, in->access, in->deny, &out->open_id);
	return err;
}

/* An initial size other than 0 is set after the fact, which stamps the times: those that were asked for come again. */
static int set_initial_size(struct vfs_call *c, const struct op_attr *asked, const struct vfs_name *name,
                            struct vfs_node *node)
{
	const struct backend_ops *ops = node->mount->ops;
	struct op_attr attr = *asked;
	attr.mask &= ATTR_SIZE | ATTR_ATIME | ATTR_MTIME;
	fiber_rwlock_wrlock(&node->lock);
	int err = ops->setattr(node, &attr);
	if (err && ops->remove(c->node, name, node) == 0)
		name_index_removed(c->vfs->names, c->node, name);
	fiber_rwlock_wrunlock(&node->lock);
	return err;
}

static int create_file(struct vfs_call *c, const struct op_open_in *in, struct op_open_out *out,
                       const struct vfs_name *name, struct vfs_node **node)
{
	struct op_attr asked = in->attr;
	struct vfs_create what = {.type = OP_TYPE_FILE, .attr = &asked, .verifier = in->verifier, .made = &out->attr};
	asked.mask &= ~(uint64_t)ATTR_VERIFIER;
	if (in->disposition == OPEN_EXCLUSIVE)
		asked.mask |= ATTR_VERIFIER;
	if (vfs_node_read_only(c->node))
		return ERR_ROFS;
	int err = vfs_make(c, &out->dir.post, name, &what, node);
	if (err || !(in->attr.mask & ATTR_SIZE) || in->attr.size == 0)
		return err;
	out->attr.mask = 0;
	err = set_initial_size(c, &in->attr, name, *node);
	if (err)
		vfs_node_put(TAKE(*node));
	return err;
}

static int open_any_case(struct vfs_call *c, const struct op_open_in *in, struct op_open_out *out,
                         const struct vfs_name *name, struct vfs_node **node)
{
	struct vfs_name stored = *name;
	char bytes[OP_NAME_MAX];
	int err = vfs_find_any_case(c->node, name, &stored, bytes, node);
	if (err == 0 || err == ERR_NOENT)
		vfs_answer_name(c, &stored);
	if (err == 0)
		return check_exists(*node, in);
	*node = NULL;
	if (err != ERR_NOENT)
		return err;
	err = create_file(c, in, out, name, node);
	return err ? err : open_created(c, *node, in, out);
}

/* Most files that are to be created don't exist: the backend's own look will do. What stands in the way of creating one counts only then. */
static int create_or_open(struct vfs_call *c, const struct op_open_in *in, struct op_open_out *out,
                          const struct vfs_name *name, struct vfs_node **node)
{
	int err = create_file(c, in, out, name, node);
	if (err == 0)
		return open_created(c, *node, in, out);
	int found = c->node->mount->ops->lookup(c->node, name, node);
	if (found == 0)
		return check_exists(*node, in);
	*node = NULL;
	return found == ERR_NOENT ? err : found;
}

static int look_up(struct vfs_call *c, const struct op_open_in *in, const struct vfs_name *name, struct op_attr *dir,
                   struct vfs_node **node)
{
	return in->flags & ANY_CASE ? vfs_lookup_any_case(c, c->node, name, dir, node) : vfs_lookup(c, c->node, name, dir, node);
}

static int open_name(struct vfs_call *c, const struct op_open_in *in, struct op_open_out *out, struct vfs_node **node)
{
	struct vfs_name name;
	struct op_attr dir;
	bool creates = in->disposition != OPEN_EXISTING;
	int err = vfs_name(c, &in->name, creates ? ERR_EXIST : 0, &name);
	if (!err)
		err = creates ? vfs_begin_change(c, c->node, &out->dir) : look_up(c, in, &name, &dir, node);
	if (!err && !creates)
		return vfs_open_node(c, *node, in, out);
	if (err)
		return err;
	err = (in->flags & ANY_CASE ? open_any_case : create_or_open)(c, in, out, &name, node);
	vfs_end_change(c->node, &out->dir);
	if (!err && out->created)
		vfs_changed(c, c->node, CHANGED_NAME, &name);
	return err || out->created ? err : vfs_open_node(c, *node, in, out);
}

static int check_open(const struct op_open_in *in)
{
	const uint32_t both = OPEN_READ | OPEN_WRITE;
	if (in->disposition > OPEN_EXCLUSIVE || (in->access & ~both) || (in->deny & ~both))
		return ERR_INVAL;
	if (in->flags & ~(uint32_t)(OPEN_NO_STATE | OPEN_TRUNCATE | OPEN_NOFOLLOW_DIR | ANY_CASE))
		return ERR_INVAL;
	if (!(in->flags & OPEN_NO_STATE) && in->access == 0)
		return ERR_INVAL;
	if ((in->attr.mask & ATTR_SIZE) && in->attr.size > VFS_SIZE_MAX)
		return ERR_FBIG;
	return vfs_check_values(&in->attr);
}

int vfs_op_open(struct vfs_call *c)
{
	const struct op_open_in *in = &c->op->in.open;
	struct op_open_out *out = &c->op->out.open;
	struct vfs_node *node = NULL;
	int err = check_open(in);
	if (err)
		return err;
	if (in->name.size == 0) {
		node = vfs_node_get(c->node);
		err = vfs_open_node(c, node, in, out);
	} else {
		err = open_name(c, in, out, &node);
	}
	if (err) {
		if (node)
			vfs_node_put(node);
		return err;
	}
	c->made = node;
	vfs_handle_make(c->session, node, c->tag, &out->obj);
	return 0;
}

int vfs_op_create_unlinked(struct vfs_call *c)
{
	const struct op_create_unlinked_in *in = &c->op->in.create_unlinked;
	struct op_create_unlinked_out *out = &c->op->out.create_unlinked;
	const struct backend_ops *ops = c->node->mount->ops;
	CLEANUP_FREE struct acl *acl = NULL;
	struct op_attr dir, attr;
	struct vfs_create what = {.type = OP_TYPE_FILE, .attr = &attr};
	struct vfs_node *node;
	if (c->node->type != OP_TYPE_DIR)
		return ERR_NOTDIR;
	if (!ops->create_unlinked)
		return ERR_NOTSUPP;
	if (in->access == 0 || (in->access & ~(uint32_t)(OPEN_READ | OPEN_WRITE)))
		return ERR_INVAL;
	int err = vfs_check_values(&in->attr);
	if (err)
		return err;
	fiber_rwlock_rdlock(&c->node->lock);
	err = vfs_attr(c->node, &dir);
	if (!err)
		err = access_check(c->cred, &dir, c->node->acl, MAY_WRITE | MAY_EXEC);
	if (!err)
		err = access_create(c->cred, &dir, OP_TYPE_FILE, &in->attr, &attr);
	if (!err && c->node->acl)
		err = vfs_inherit(c->node, &in->attr, &attr, &acl);
	what.acl = acl;
	if (!err)
		err = ops->create_unlinked(c, c->node, &what, &node);
	fiber_rwlock_rdunlock(&c->node->lock);
	if (err)
		return err;
	err = vfs_open_add(c, node, in->access, 0, &out->open_id);
	int made = vfs_made(c, node, &out->obj, &out->attr);
	return err ? err : made;
}
