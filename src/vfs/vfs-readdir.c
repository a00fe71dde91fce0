/* Listing a directory into the caller's payload, entry by entry, with attributes and handles if wanted. */
#include "vfs/access.h"
#include "vfs/name-index.h"
#include "vfs/vfs-impl.h"

enum { COOKIE_DOT = 1, COOKIE_DOTDOT = 2 };

struct lister {
	struct vfs_list list;
	const struct op_readdir_in *in;
	struct op_readdir_out *out;
};

bool vfs_list_put(struct vfs_list *l, struct op_dirent *head, const struct vfs_name *name)
{
	static const uint8_t padding[8];
	uint32_t size = (uint32_t)ALIGN_UP(sizeof(*head) + name->size, (size_t)8), used = (uint32_t)sizeof(*head) + name->size;
	bool full = l->max_entries && l->n_entries >= l->max_entries;
	if (full || l->room - l->size < size)
		return false;
	head->record_size = size;
	head->name_size = name->size;
	payload_put(l->c->payload, l->size, head, sizeof(*head));
	payload_put(l->c->payload, l->size + sizeof(*head), name->bytes, name->size);
	payload_put(l->c->payload, l->size + used, padding, size - used);
	l->size += size;
	l->n_entries++;
	return true;
}

static bool put_node(struct vfs_list *l, struct op_dirent *head, const struct vfs_name *name, struct vfs_node *node)
{
	if (l->want) {
		vfs_handle_make(l->c->session, node, l->c->tag, &head->obj);
		vfs_attr_locked(node, &head->attr);
	}
	return vfs_list_put(l, head, name);
}

static bool emit(void *arg, const struct vfs_name *name, uint64_t cookie, uint64_t fileid, uint32_t type,
                 struct vfs_node *node)
{
	struct vfs_list *l = arg;
	struct op_dirent head = {.cookie = cookie, .fileid = fileid, .attr.type = type};
	struct vfs_node *found = NULL;
	if (!l->want)
		return vfs_list_put(l, &head, name);
	/* An entry whose object is gone meanwhile, or can't be read, is listed by name only. */
	if (!node && l->c->node->mount->ops->lookup(l->c->node, name, &found) == 0)
		node = found;
	bool taken = node ? put_node(l, &head, name, node) : vfs_list_put(l, &head, name);
	if (found)
		vfs_node_put(found);
	return taken;
}

static bool emit_dot(struct lister *l, uint64_t cookie, struct vfs_node *node)
{
	struct op_dirent head = {.cookie = cookie, .fileid = node->fileid, .attr.type = OP_TYPE_DIR};
	struct vfs_name name = {"..", (uint32_t)cookie};
	return put_node(&l->list, &head, &name, node);
}

static int emit_dotdot(struct lister *l, bool *taken)
{
	struct vfs_node *dir = l->list.c->node, *parent;
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
	if (!(l->in->flags & READDIR_DOTS) || l->in->cookie >= COOKIE_DOTDOT || l->in->after.size)
		return 0;
	if (l->in->cookie < COOKIE_DOT)
		*more = emit_dot(l, COOKIE_DOT, l->list.c->node);
	return *more ? emit_dotdot(l, more) : 0;
}

static int list_from(struct lister *l, bool *eof)
{
	struct vfs_node *dir = l->list.c->node;
	struct vfs_name after = {"", 0};
	int err = l->in->after.size ? vfs_name(l->list.c, &l->in->after, 0, &after) : 0;
	if (err)
		return err;
	if (dir->mount->ops->readdir_from)
		return dir->mount->ops->readdir_from(dir, &after, emit, &l->list, eof);
	return name_index_list(dir->mount->vfs->names, dir, &after, emit, &l->list, eof);
}

static int list_locked(struct lister *l)
{
	struct vfs_node *dir = l->list.c->node;
	uint64_t cookie = l->in->cookie <= COOKIE_DOTDOT ? 0 : l->in->cookie;
	bool eof = false;
	int err;
	if (l->in->flags & READDIR_BY_NAME) {
		err = list_from(l, &eof);
	} else {
		l->out->verifier = cookie ? l->in->verifier : 0;
		err = dir->mount->ops->readdir(dir, cookie, &l->out->verifier, emit, &l->list, &eof);
	}
	l->out->eof = eof;
	return err;
}

static int may_list(struct vfs_call *c)
{
	return vfs_attr_allowed(c, c->node, &c->op->out.readdir.dir, MAY_READ);
}

int vfs_op_readdir(struct vfs_call *c)
{
	const struct op_readdir_in *in = &c->op->in.readdir;
	struct op_readdir_out *out = &c->op->out.readdir;
	struct lister l = {{c, in->want, in->max_entries, payload_size(c->payload), 0, 0}, in, out};
	bool more;
	if ((in->flags & ~(uint32_t)(READDIR_DOTS | READDIR_BY_NAME)) || (in->flags & READDIR_BY_NAME && in->cookie))
		return ERR_INVAL;
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
	out->size = l.list.size;
	out->n_entries = l.list.n_entries;
	return !err && out->n_entries == 0 && !out->eof ? ERR_TOOSMALL : err;
}
