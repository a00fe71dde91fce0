/* Listing a directory into the caller's payload, entry by entry, with attributes and handles if wanted. */
#include <string.h>

#include "vfs/access.h"
#include "vfs/vfs-impl.h"

enum { COOKIE_DOT = 1, COOKIE_DOTDOT = 2 };

struct lister {
	struct vfs_call *c;
	const struct op_readdir_in *in;
	struct op_readdir_out *out;
	uint64_t room;
};

struct record {
	struct op_dirent head;
	char name[OP_NAME_MAX + 9]; /* and padding */
};

static bool put_record(struct lister *l, struct record *r, const struct vfs_name *name)
{
	uint32_t size = (uint32_t)ALIGN_UP(sizeof(r->head) + name->size, (size_t)8);
	bool full = l->in->max_entries && l->out->n_entries >= l->in->max_entries;
	if (full || l->room - l->out->size < size)
		return false;
	memcpy(r->name, name->bytes, name->size);
	memset(r->name + name->size, 0, size - sizeof(r->head) - name->size);
	r->head.record_size = size;
	r->head.name_size = name->size;
	payload_put(l->c->payload, l->out->size, r, size);
	l->out->size += size;
	l->out->n_entries++;
	return true;
}

static bool put_node(struct lister *l, struct record *r, const struct vfs_name *name, struct vfs_node *node)
{
	if (l->in->want) {
		vfs_handle_make(l->c->vfs, node, l->c->tag, &r->head.obj);
		vfs_attr_locked(node, &r->head.attr);
	}
	return put_record(l, r, name);
}

static bool emit(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid, uint32_t type,
                 struct vfs_node *node)
{
	struct lister *l = arg;
	struct record r;
	struct vfs_node *found = NULL;
	memset(&r.head, 0, sizeof(r.head));
	r.head.cookie = cookie;
	r.head.fileid = fileid;
	r.head.attr.type = type;
	if (!l->in->want)
		return put_record(l, &r, name);
	/* An entry whose object is gone meanwhile, or can't be read, is listed by name only. */
	if (!node && l->c->node->mount->ops->lookup(l->c->node, name, &found) == 0)
		node = found;
	bool taken = node ? put_node(l, &r, name, node) : put_record(l, &r, name);
	if (found)
		vfs_node_put(found);
	return taken;
}

static bool emit_dot(struct lister *l, uint64_t cookie, struct vfs_node *node)
{
	struct record r;
	struct vfs_name name = {"..", (uint32_t)cookie};
	memset(&r.head, 0, sizeof(r.head));
	r.head.cookie = cookie;
	r.head.fileid = node->fileid;
	r.head.attr.type = OP_TYPE_DIR;
	return put_node(l, &r, &name, node);
}

static int emit_dotdot(struct lister *l, bool *taken)
{
	struct vfs_node *dir = l->c->node, *parent;
	fiber_rwlock_rdlock(&dir->lock);
	int err = dir->mount->ops->parent(dir, &parent);
	fiber_rwlock_rdunlock(&dir->lock);
	if (err)
		return err;
	*taken = emit_dot(l, COOKIE_DOTDOT, parent);
	vfs_node_put(parent);
	return 0;
}

/* "." and "..", before the directory is locked: a parent is never locked after its child. */
static int emit_dots(struct lister *l, bool *more)
{
	*more = true;
	if (!(l->in->flags & READDIR_DOTS) || l->in->cookie >= COOKIE_DOTDOT)
		return 0;
	if (l->in->cookie < COOKIE_DOT)
		*more = emit_dot(l, COOKIE_DOT, l->c->node);
	return *more ? emit_dotdot(l, more) : 0;
}

static int list_locked(struct lister *l)
{
	struct vfs_node *dir = l->c->node;
	uint64_t cookie = l->in->cookie <= COOKIE_DOTDOT ? 0 : l->in->cookie;
	bool eof = false;
	l->out->verifier = cookie ? l->in->verifier : 0;
	int err = dir->mount->ops->readdir(dir, cookie, &l->out->verifier, emit, l, &eof);
	l->out->eof = eof;
	return err;
}

static int may_list(struct vfs_call *c)
{
	struct op_attr *attr = &c->op->out.readdir.dir;
	int err = vfs_attr_locked(c->node, attr);
	return err ? err : access_check(c->cred, attr, MAY_READ);
}

int vfs_op_readdir(struct vfs_call *c)
{
	struct lister l = {c, &c->op->in.readdir, &c->op->out.readdir, payload_size(c->payload)};
	bool more;
	if (c->node->type != OP_TYPE_DIR)
		return ERR_NOTDIR;
	int err = may_list(c);
	if (!err)
		err = emit_dots(&l, &more);
	if (!err && more) {
		fiber_rwlock_rdlock(&c->node->lock);
		err = list_locked(&l);
		fiber_rwlock_rdunlock(&c->node->lock);
	}
	if (!err && l.out->n_entries == 0 && !l.out->eof)
		err = ERR_TOOSMALL;
	return err;
}
