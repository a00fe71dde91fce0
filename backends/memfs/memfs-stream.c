/*
 * Streams: nodes of their own in a list of their base, in order of names, for objects have none or few. A stream
 * refers to its base and, as a name does, the list to the stream; so a base with streams goes only after its last name has,
 * which takes the list apart.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/memfs/memfs.h"

#define STREAMS_MAX 1024u /* of one object */

struct memfs_stream {
	struct memfs_stream *next;
	struct memfs_node *node; /* referenced */
	uint32_t size;
	char name[];
};

static int compare(const struct memfs_stream *s, const struct vfs_name *name)
{
	int cmp = memcmp(s->name, name->bytes, MIN(s->size, name->size));
	return cmp ? cmp : (s->size > name->size) - (s->size < name->size);
}

/* The place of the first stream that is not before name. */
static struct memfs_stream **place_of(struct memfs_node *base, const struct vfs_name *name)
{
	struct memfs_stream **at = &base->streams;
	while (*at && compare(*at, name) < 0)
		at = &(*at)->next;
	return at;
}

static struct memfs_stream *look_up(struct memfs_node *base, const struct vfs_name *name)
{
	struct memfs_stream *s = *place_of(base, name);
	return s && compare(s, name) == 0 ? s : NULL;
}

static struct memfs_stream *entry_new(const struct vfs_name *name, struct memfs_node *node)
{
	struct memfs_stream *s = malloc(sizeof(*s) + name->size);
	if (!s)
		return NULL;
	s->node = node;
	s->size = name->size;
	memcpy(s->name, name->bytes, name->size);
	return s;
}

static void attach(struct memfs_node *base, struct memfs_stream *s)
{
	struct vfs_name name = {s->name, s->size};
	struct memfs_stream **at = place_of(base, &name);
	s->next = *at;
	*at = s;
	base->n_streams++;
}

/* Takes the entry out; the reference on its stream is the caller's. */
static struct memfs_node *detach(struct memfs_node *base, const struct vfs_name *name)
{
	struct memfs_stream **at = place_of(base, name), *s = *at;
	struct memfs_node *node = s->node;
	*at = s->next;
	base->n_streams--;
	free(s);
	return node;
}

/* It may be in use; then it goes with its last reference. */
static void drop(struct memfs_node *node)
{
	node->attr.nlink = 0;
	vfs_node_put(&node->node);
}

int memfs_find_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node **stream)
{
	const struct memfs_stream *s = look_up(memfs_node_of(base), name);
	if (!s)
		return ERR_NOENT;
	*stream = vfs_node_get(&s->node->node);
	return 0;
}

int memfs_create_stream(struct vfs_node *node, const struct vfs_name *name, struct vfs_node **stream)
{
	struct memfs_node *base = memfs_node_of(node), *n;
	struct op_attr attr = base->attr;
	struct vfs_create what = {.type = OP_TYPE_FILE, .attr = &attr};
	attr.mask = ATTR_PROJECT;
	if (look_up(base, name))
		return ERR_EXIST;
	if (base->n_streams >= STREAMS_MAX)
		return ERR_NOSPC;
	struct memfs_stream *s = entry_new(name, NULL);
	int err = s ? memfs_node_new(memfs_of(base), &what, base, &n) : ERR_NOSPC;
	if (err) {
		free(s);
		return err;
	}
	n->node.base = vfs_node_get(node);
	n->attr.nlink = 1;
	s->node = n;
	attach(base, s);
	memfs_touch(base, false);
	*stream = vfs_node_get(&n->node);
	return 0;
}

int memfs_list_streams(struct vfs_node *base, const struct vfs_name *after, vfs_emit_stream_fn *emit, void *arg, bool *eof)
{
	const struct memfs_stream *s = *place_of(memfs_node_of(base), after);
	*eof = true;
	if (s && compare(s, after) == 0)
		s = s->next;
	for (; s && *eof; s = s->next) {
		const struct op_attr *a = &s->node->attr;
		struct vfs_stream stream = {{s->name, s->size}, a->fileid, a->size, a->space};
		*eof = emit(arg, &stream);
	}
	return 0;
}

int memfs_remove_stream(struct vfs_node *base, const struct vfs_name *name, struct vfs_node *stream)
{
	drop(detach(memfs_node_of(base), name));
	memfs_touch(memfs_node_of(base), false);
	return 0;
}

int memfs_rename_stream(struct vfs_node *stream, const struct vfs_name *from, const struct vfs_name *to, struct vfs_node *target)
{
	struct memfs_node *base = memfs_node_of(stream->base);
	struct memfs_stream *s = entry_new(to, memfs_node_of(stream));
	if (!s)
		return ERR_NOSPC;
	if (target)
		drop(detach(base, to));
	detach(base, from);
	attach(base, s);
	memfs_touch(base, false);
	return 0;
}

uint64_t memfs_streams_space(const struct memfs_node *base)
{
	uint64_t space = 0;
	for (const struct memfs_stream *s = base->streams; s; s = s->next)
		space += s->node->attr.space;
	return space;
}

void memfs_own_streams(struct memfs_node *base)
{
	for (struct memfs_stream *s = base->streams; s; s = s->next)
		s->node->owner = base->owner;
}

void memfs_drop_streams(struct memfs_node *base)
{
	while (base->streams) {
		struct vfs_name first = {base->streams->name, base->streams->size};
		drop(detach(base, &first));
	}
}

void memfs_forget_streams(struct memfs_node *base)
{
	for (struct memfs_stream *s; (s = base->streams);) {
		base->streams = s->next;
		free(s);
	}
}
