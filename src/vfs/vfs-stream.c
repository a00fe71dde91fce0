/*
 * Streams: opening, listing, removing and renaming the named forks of an object. A stream's lock is its base's, so
 * that its name, its data and the attributes that it shares are consistent under one.
 */
#include <string.h>

#include "base/utf8.h"
#include "vfs/access.h"
#include "vfs/vfs-impl.h"

struct vfs_node *vfs_owner(struct vfs_node *node)
{
	return node->base ? node->base : node;
}

/* What all streams' ops begin with: whose they are, and whether it can have any. */
static int find_base(struct vfs_call *c, struct vfs_node **base)
{
	*base = vfs_owner(c->node);
	if ((*base)->type != OP_TYPE_FILE && (*base)->type != OP_TYPE_DIR)
		return ERR_BADTYPE;
	return (*base)->mount->ops->find_stream ? 0 : ERR_NOTSUPP;
}

/* ---- finding: with base's lock */

struct folded {
	const struct vfs_name *wanted;
	struct vfs_name found; /* size 0: none */
	char bytes[OP_NAME_MAX];
};

static bool match_folded(void *arg, const struct vfs_stream *s)
{
	struct folded *f = arg;
	if (utf8_fold_cmp(s->name.bytes, s->name.size, f->wanted->bytes, f->wanted->size) != 0)
		return true;
	memcpy(f->bytes, s->name.bytes, s->name.size);
	f->found = (struct vfs_name){f->bytes, s->name.size};
	return false;
}

/* The stream of that name; with any_case else of the first that differs in case only, whose name lies in f. name becomes the stored one. */
static int find(struct vfs_node *base, struct vfs_name *name, bool any_case, struct folded *f, struct vfs_node **stream)
{
	const struct backend_ops *ops = base->mount->ops;
	const struct vfs_name first = {"", 0};
	bool eof;
	*stream = NULL;
	int err = ops->find_stream(base, name, stream);
	if (err != ERR_NOENT || !any_case)
		return err;
	f->wanted = name;
	f->found.size = 0;
	err = ops->list_streams(base, &first, match_folded, f, &eof);
	if (err || f->found.size == 0)
		return err ? err : ERR_NOENT;
	*name = f->found;
	return ops->find_stream(base, name, stream);
}

/* Whether the caller may change which streams base has: as its data, and by the rule of sticky directories as its attributes. */
static int may_change(struct vfs_call *c, const struct vfs_node *base, const struct op_attr *attr)
{
	int err = base->type == OP_TYPE_DIR ? access_sticky(c->cred, attr, attr) : 0;
	return err ? err : access_check(c->cred, attr, base->acl, ACE_WRITE_NAMED_ATTRS);
}

/* ---- open */

static int create(struct vfs_call *c, struct vfs_node *base, const struct vfs_name *name, struct op_open_stream_out *out,
                  struct vfs_node **stream)
{
	const struct op_open_stream_in *in = &c->op->in.open_stream;
	if (vfs_node_read_only(base))
		return ERR_ROFS;
	int err = may_change(c, base, &out->base.post);
	if (err)
		return err;
	if (out->base.post.nlink == 0)
		return ERR_NOENT;
	err = base->mount->ops->create_stream(base, name, stream);
	if (err)
		return err;
	out->created = 1;
	err = vfs_attr(*stream, &out->attr);
	if (!err && !(in->flags & OPEN_NO_STATE))
		err = vfs_open_add(c, *stream, in->access, in->deny, &out->open_id);
	return err;
}

static int find_or_create(struct vfs_call *c, struct vfs_node *base, struct vfs_name *name, struct op_open_stream_out *out,
                          struct vfs_node **stream)
{
	const struct op_open_stream_in *in = &c->op->in.open_stream;
	struct folded f;
	int err = vfs_pre(base, &out->base);
	if (!err)
		err = find(base, name, in->flags & ANY_CASE, &f, stream);
	if (!err && in->disposition == OPEN_GUARDED)
		return ERR_EXIST;
	return err == ERR_NOENT && in->disposition != OPEN_EXISTING ? create(c, base, name, out, stream) : err;
}

static int open_locked(struct vfs_call *c, struct vfs_node *base, struct vfs_name *name, struct op_open_stream_out *out,
                       struct vfs_node **stream)
{
	bool creates = c->op->in.open_stream.disposition != OPEN_EXISTING;
	if (creates)
		fiber_rwlock_wrlock(&base->lock);
	else
		fiber_rwlock_rdlock(&base->lock);
	int err = find_or_create(c, base, name, out, stream);
	vfs_post(base, &out->base);
	if (creates)
		fiber_rwlock_wrunlock(&base->lock);
	else
		fiber_rwlock_rdunlock(&base->lock);
	return err;
}

/* What was there already is opened as a file is. */
static int open_found(struct vfs_call *c, struct vfs_node *stream, struct op_open_stream_out *out)
{
	const struct op_open_stream_in *in = &c->op->in.open_stream;
	struct op_open_in file = {.disposition = OPEN_EXISTING, .access = in->access, .deny = in->deny, .flags = in->flags};
	struct op_open_out opened = {.open_id = 0};
	int err = vfs_open_node(c, stream, &file, &opened);
	out->attr = opened.attr;
	out->open_id = opened.open_id;
	return err;
}

static int check_open(const struct op_open_stream_in *in)
{
	const uint32_t both = OPEN_READ | OPEN_WRITE;
	if (in->disposition > OPEN_GUARDED || (in->access & ~both) || (in->deny & ~both))
		return ERR_INVAL;
	if (in->flags & ~(uint32_t)(OPEN_NO_STATE | OPEN_TRUNCATE | ANY_CASE))
		return ERR_INVAL;
	return in->access == 0 && !(in->flags & OPEN_NO_STATE) ? ERR_INVAL : 0;
}

int vfs_op_open_stream(struct vfs_call *c)
{
	const struct op_open_stream_in *in = &c->op->in.open_stream;
	struct op_open_stream_out *out = &c->op->out.open_stream;
	struct vfs_node *base, *stream = NULL;
	struct vfs_name name;
	int err = check_open(in);
	if (!err)
		err = vfs_name(c, &in->name, ERR_BADNAME, &name);
	if (!err)
		err = find_base(c, &base);
	if (err)
		return err;
	err = open_locked(c, base, &name, out, &stream);
	if (!err && out->created)
		vfs_changed(c, base, CHANGED_ATTR | CHANGED_STREAM, NULL);
	else if (!err)
		err = open_found(c, stream, out);
	if (!err) {
		c->made = stream;
		vfs_handle_make(c->session, stream, c->tag, &out->obj);
	} else if (stream) {
		vfs_node_put(stream);
	}
	return err;
}

/* ---- list */

struct stream_lister {
	struct vfs_list list;
	struct vfs_node *base;
};

static bool emit(void *arg, const struct vfs_stream *s)
{
	struct stream_lister *l = arg;
	struct vfs_node *node = NULL;
	struct op_dirent head = {.fileid = s->fileid};
	head.attr = (struct op_attr){.mask = ATTR_TYPE | ATTR_FILEID | ATTR_SIZE | ATTR_SPACE, .type = OP_TYPE_FILE,
	                             .fileid = s->fileid, .size = s->size, .space = s->space};
	if (l->list.want && l->base->mount->ops->find_stream(l->base, &s->name, &node) == 0) {
		vfs_handle_make(l->list.c->session, node, l->list.c->tag, &head.obj);
		vfs_attr(node, &head.attr);
		vfs_node_put(node);
	}
	return vfs_list_put(&l->list, &head, &s->name);
}

/* An empty name is where a listing begins. */
static int check_after(const struct vfs_call *c, const struct op_str *str, struct vfs_name *after)
{
	*after = (struct vfs_name){"", 0};
	return str->size ? vfs_name(c, str, 0, after) : 0;
}

int vfs_op_list_streams(struct vfs_call *c)
{
	const struct op_list_streams_in *in = &c->op->in.list_streams;
	struct op_list_streams_out *out = &c->op->out.list_streams;
	struct stream_lister l = {.list = {c, in->want, in->max_entries, payload_size(c->payload), 0, 0}};
	struct vfs_name after;
	bool eof = false;
	int err = check_after(c, &in->after, &after);
	if (!err)
		err = find_base(c, &l.base);
	if (err)
		return err;
	fiber_rwlock_rdlock(&l.base->lock);
	err = vfs_attr(l.base, &out->attr);
	if (!err)
		err = l.base->mount->ops->list_streams(l.base, &after, emit, &l, &eof);
	fiber_rwlock_rdunlock(&l.base->lock);
	out->size = l.list.size;
	out->n_entries = l.list.n_entries;
	out->eof = eof;
	return !err && out->n_entries == 0 && !eof ? ERR_TOOSMALL : err;
}

/* ---- remove, rename */

static int remove_locked(struct vfs_call *c, struct vfs_node *base, struct vfs_name *name, struct op_wcc *wcc,
                         struct vfs_node **stream)
{
	struct folded f;
	int err = vfs_pre(base, wcc);
	if (!err)
		err = find(base, name, c->op->in.remove_stream.flags & ANY_CASE, &f, stream);
	if (!err)
		err = may_change(c, base, &wcc->post);
	if (!err)
		err = base->mount->ops->remove_stream ? base->mount->ops->remove_stream(base, name, *stream) : ERR_NOTSUPP;
	vfs_post(base, wcc);
	return err;
}

int vfs_op_remove_stream(struct vfs_call *c)
{
	const struct op_remove_stream_in *in = &c->op->in.remove_stream;
	struct vfs_node *base, *stream = NULL;
	struct vfs_name name;
	int err = in->flags & ~(uint32_t)ANY_CASE ? ERR_INVAL : vfs_name(c, &in->name, ERR_BADNAME, &name);
	if (!err)
		err = find_base(c, &base);
	if (err)
		return err;
	fiber_rwlock_wrlock(&base->lock);
	err = remove_locked(c, base, &name, &c->op->out.remove_stream.wcc, &stream);
	fiber_rwlock_wrunlock(&base->lock);
	if (stream)
		vfs_node_put(stream);
	if (!err)
		vfs_changed(c, base, CHANGED_ATTR | CHANGED_STREAM, NULL);
	return err;
}

struct renaming {
	struct vfs_node *base;
	struct vfs_name from, to;
	struct vfs_node *stream, *target; /* referenced */
	struct folded f, g;
};

static int rename_locked(struct vfs_call *c, struct renaming *r, struct op_wcc *wcc)
{
	const struct backend_ops *ops = r->base->mount->ops;
	uint32_t flags = c->op->in.rename_stream.flags;
	struct vfs_name asked = r->to;
	int err = vfs_pre(r->base, wcc);
	if (!err)
		err = find(r->base, &r->from, flags & ANY_CASE, &r->f, &r->stream);
	if (!err)
		err = may_change(c, r->base, &wcc->post);
	if (err)
		return err;
	err = find(r->base, &r->to, flags & ANY_CASE, &r->g, &r->target);
	if (err && err != ERR_NOENT)
		return err;
	/* To another spelling of its own name. */
	bool same = r->target == r->stream;
	if (same)
		r->to = asked;
	if (same && r->to.size == r->from.size && memcmp(r->to.bytes, r->from.bytes, r->to.size) == 0)
		return 0;
	if (r->target && !same && (flags & RENAME_NOREPLACE))
		return ERR_EXIST;
	return ops->rename_stream ? ops->rename_stream(r->stream, &r->from, &r->to, same ? NULL : r->target) : ERR_NOTSUPP;
}

int vfs_op_rename_stream(struct vfs_call *c)
{
	const struct op_rename_stream_in *in = &c->op->in.rename_stream;
	struct op_wcc *wcc = &c->op->out.rename_stream.wcc;
	struct renaming r = {.stream = NULL};
	int err = in->flags & ~(uint32_t)(RENAME_NOREPLACE | ANY_CASE) ? ERR_INVAL : 0;
	if (!err)
		err = vfs_name(c, &in->name, ERR_BADNAME, &r.from);
	if (!err)
		err = vfs_name(c, &in->to_name, ERR_BADNAME, &r.to);
	if (!err)
		err = find_base(c, &r.base);
	if (err)
		return err;
	fiber_rwlock_wrlock(&r.base->lock);
	err = rename_locked(c, &r, wcc);
	vfs_post(r.base, wcc);
	fiber_rwlock_wrunlock(&r.base->lock);
	if (r.stream)
		vfs_node_put(r.stream);
	if (r.target)
		vfs_node_put(r.target);
	if (!err)
		vfs_changed(c, r.base, CHANGED_ATTR | CHANGED_STREAM, NULL);
	return err;
}
