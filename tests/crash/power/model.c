/* See model.h. */
#include "tests/crash/power/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "op/op.h"

/* ---- what steps stand for */

/* Long ones too: they make the tables' pages split. */
void name_of(unsigned worker, unsigned slot, char name[256])
{
	int n = snprintf(name, 256, "w%u-%u", worker, slot);
	for (int end = slot % 3 == 2 ? 200 : n; n < end; n++)
		name[n] = 'x';
	name[n] = '\0';
}

void snapshot_name(unsigned slot, char name[16])
{
	snprintf(name, 16, "then-%u", slot);
}

void stream_name(unsigned slot, char name[16])
{
	snprintf(name, 16, "stream-%u", slot);
}

void target_of(uint32_t seed, char target[64])
{
	snprintf(target, 64, "../target/%08x%*s", seed, (int)(seed % 40), "");
}

void fill_bytes(uint32_t seed, uint8_t *bytes, uint32_t size)
{
	uint64_t word = 0;
	for (uint32_t i = 0; i < size; i++, word >>= 8) {
		if (i % 8 == 0)
			word = hash_u64((uint64_t)seed << 32 | i);
		bytes[i] = (uint8_t)word;
	}
}

uint32_t xattr_size(uint32_t seed)
{
	return 1 + seed % (seed % 4 ? 60 : XATTR_MAX);
}

const char *step_name(const struct step *s)
{
	static const char *const names[N_STEP_KINDS] = {
		"create", "mkdir", "symlink", "link", "rename", "exchange", "remove", "chmod", "set_xattr", "remove_xattr", "make_stream",
		"rename_stream", "remove_stream", "set_attr", "set_acl", "remove_acl", "set_quota", "make_unlinked", "write", "truncate", "allocate", "punch", "zero", "copy", "clone", "commit", "sync",
		"read", "list", "open", "close", "count", "scrub", "grow", "snapshot", "drop_snapshot", "roll_back"};
	return names[s->kind];
}

/* ---- names */

static struct object *make_object(struct names *n, const struct step *s, uint8_t type)
{
	struct object *o = &n->objects[s->obj];
	*o = (struct object){.type = type, .n_links = 1, .mode = s->seed & 0777, .seed = s->seed, .fileid = s->fileid};
	n->n_objects = MAX(n->n_objects, (uint16_t)(s->obj + 1));
	return o;
}

static void make(struct names *n, const struct step *s, uint8_t type)
{
	struct object *o = make_object(n, s, type);
	n->slots[s->dir][s->slot] = s->obj;
	if (s->dir >= N_SHARED)
		object_inherits(o, &n->objects[n->own[s->dir - N_SHARED]]);
	if (type != OP_TYPE_DIR)
		return;
	while (n->own[o->own] != NONE)
		o->own++;
	n->own[o->own] = s->obj;
	memset(n->slots[N_SHARED + o->own], 0xff, sizeof(n->slots[0]));
}

static void unlink_object(struct names *n, uint16_t obj)
{
	struct object *o = &n->objects[obj];
	if (o->type == OP_TYPE_DIR)
		n->own[o->own] = NONE;
	o->n_links--;
}

static void rename_object(struct names *n, const struct step *s)
{
	if (s->other != NONE && s->kind == STEP_RENAME)
		unlink_object(n, s->other);
	n->slots[s->dir][s->slot] = s->kind == STEP_EXCHANGE ? s->other : NONE;
	n->slots[s->to_dir][s->to_slot] = s->obj;
}

bool object_is_listed(const struct names *n, uint16_t obj)
{
	const struct object *base = &n->objects[n->objects[obj].base_plus_1 - 1];
	bool listed = false;
	for (unsigned i = 0; i < N_STREAMS; i++)
		listed |= base->streams[i] == obj;
	return listed && base->n_links;
}

void names_step(struct names *n, const struct step *s)
{
	struct object *o = &n->objects[s->obj == NONE ? 0 : s->obj];
	switch (s->kind) {
	case STEP_CREATE: make(n, s, OP_TYPE_FILE); break;
	case STEP_MKDIR: make(n, s, OP_TYPE_DIR); break;
	case STEP_SYMLINK: make(n, s, OP_TYPE_SYMLINK); break;
	case STEP_LINK:
		n->slots[s->dir][s->slot] = s->obj;
		o->n_links++;
		o->unlinked = false;
		break;
	case STEP_RENAME:
	case STEP_EXCHANGE: rename_object(n, s); break;
	case STEP_REMOVE:
		n->slots[s->dir][s->slot] = NONE;
		unlink_object(n, s->obj);
		break;
	case STEP_CHMOD:
	case STEP_SET_ATTR:
	case STEP_SET_ACL:
	case STEP_REMOVE_ACL: attr_step(o, s); break;
	case STEP_SET_QUOTA: n->limits[s->slot][s->to_slot] = *s; break;
	case STEP_MAKE_UNLINKED:
		o = make_object(n, s, OP_TYPE_FILE);
		o->n_links = 0;
		o->unlinked = true;
		break;
	case STEP_SET_XATTR: o->xattrs[s->slot] = s->seed; break;
	case STEP_REMOVE_XATTR: o->xattrs[s->slot] = 0; break;
	case STEP_MAKE_STREAM:
		make_object(n, s, OP_TYPE_FILE)->base_plus_1 = (uint16_t)(s->other + 1);
		n->objects[s->other].streams[s->slot] = s->obj;
		break;
	case STEP_RENAME_STREAM:
		n->objects[s->other].streams[s->slot] = 0;
		n->objects[s->other].streams[s->to_slot] = s->obj;
		break;
	case STEP_REMOVE_STREAM: n->objects[s->other].streams[s->slot] = 0; break;
	default: break;
	}
}

/* ---- contents */

void content_free(struct content *c)
{
	free(TAKE(c->bytes));
	c->size = 0;
}

static void need_bytes(struct content *c)
{
	if (!c->bytes)
		c->bytes = calloc(1, FILE_MAX);
}

void content_set(struct content *to, const struct content *from)
{
	to->size = from->size;
	if (!from->bytes) {
		free(TAKE(to->bytes));
		return;
	}
	need_bytes(to);
	memcpy(to->bytes, from->bytes, FILE_MAX);
}

static void clear(struct content *c, uint32_t from, uint32_t to)
{
	if (c->bytes && from < to)
		memset(c->bytes + from, 0, to - from);
}

void content_step(struct content *c, const struct step *s, const uint8_t *copied)
{
	uint32_t end = s->offset + s->size;
	switch (s->kind) {
	case STEP_WRITE:
		need_bytes(c);
		fill_bytes(s->seed, c->bytes + s->offset, s->size);
		c->size = MAX(c->size, end);
		break;
	case STEP_TRUNCATE:
		clear(c, s->size, c->size);
		c->size = s->size;
		break;
	case STEP_PUNCH: clear(c, s->offset, MIN(end, c->size)); break;
	case STEP_ZERO: clear(c, s->offset, MIN(end, c->size)); /* fall through */
	case STEP_ALLOCATE: c->size = MAX(c->size, end); break;
	case STEP_COPY:
	case STEP_CLONE:
		need_bytes(c);
		memcpy(c->bytes + s->to_offset, copied, s->size);
		c->size = MAX(c->size, s->to_offset + s->size);
		break;
	default: break;
	}
}

/* ---- what has happened */

static void remember(struct pending *p, const struct step *s, uint8_t *bytes)
{
	if (p->n == p->max) {
		p->max = p->max ? 2 * p->max : 16;
		p->list = realloc(p->list, p->max * sizeof(*p->list));
	}
	p->list[p->n++] = (struct maybe){s, bytes};
}

static void forget(struct pending *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(p->list[i].bytes);
	if (n)
		memmove(p->list, p->list + n, (p->n - n) * sizeof(*p->list));
	p->n -= n;
}

static bool is_names(const struct step *s)
{
	return s->kind <= STEP_LAST_OF_NAMES;
}

static bool is_data(const struct step *s)
{
	return !is_names(s) && s->kind <= STEP_LAST_OF_DATA;
}

static bool is_snapshot(const struct step *s)
{
	return s->kind >= STEP_SNAPSHOT;
}

static uint8_t *copied_bytes(struct part *p, const struct step *s)
{
	if (s->kind != STEP_COPY && s->kind != STEP_CLONE)
		return NULL;
	const struct content *from = &p->data[s->other].now;
	uint8_t *bytes = calloc(1, s->size + 1);
	if (from->bytes)
		memcpy(bytes, from->bytes + s->offset, s->size);
	return bytes;
}

static void part_begin(struct part *p, const struct step *s)
{
	p->under_way = s;
	if (is_names(s)) {
		names_step(&p->now, s);
		remember(&p->pending, s, NULL);
	}
	if (is_data(s)) {
		uint8_t *bytes = copied_bytes(p, s);
		content_step(&p->data[s->obj].now, s, bytes);
		remember(&p->data[s->obj].pending, s, bytes);
	}
}

/* The first n of what was pending have to last. */
static void names_last(struct part *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		names_step(&p->floor, p->pending.list[i].step);
	forget(&p->pending, n);
}

static void data_last(struct data *d)
{
	content_set(&d->floor, &d->now);
	forget(&d->pending, d->pending.n);
	d->told_floor = d->told_max;
}

/* As fsync(2) has it: the names that lead to the object, and so what came before them. */
static void names_of_object_last(struct part *p, uint16_t obj)
{
	uint32_t n = p->pending.n;
	while (n && p->pending.list[n - 1].step->obj != obj && p->pending.list[n - 1].step->other != obj)
		n--;
	names_last(p, n);
}

static bool ends_under_way(const struct part *p, const struct pending *open)
{
	return open->n && open->list[open->n - 1].step == p->under_way;
}

/* But for a step that was never answered, or failed. */
static void all_last(struct part *p)
{
	names_last(p, p->pending.n - ends_under_way(p, &p->pending));
	for (uint32_t i = 0; i < N_OBJECTS; i++) {
		struct data *d = &p->data[i];
		bool differs = d->pending.n || d->told_max != d->told_floor;
		if (differs && !ends_under_way(p, &d->pending))
			data_last(d);
	}
}

static void tell(struct part *p, const struct step *s)
{
	if (s->fileid)
		p->now.objects[s->obj].fileid = s->fileid;
	if (s->change)
		p->data[s->obj].told_max = MAX(p->data[s->obj].told_max, s->change);
}

static void part_end(struct part *p, const struct step *s)
{
	struct data *d = s->obj == NONE ? NULL : &p->data[s->obj];
	tell(p, s);
	if (is_names(s) && !s->lazy) {
		names_last(p, p->pending.n);
		/* An attribute that lasts was told with a counter that lasts, once no write is open. */
		if (d && d->pending.n == 0)
			d->told_floor = d->told_max;
	}
	if (is_data(s) && s->stability && (!s->lazy || s->kind == STEP_WRITE))
		data_last(d);
	if (s->kind == STEP_COMMIT) {
		data_last(d);
		names_of_object_last(p, s->obj);
	}
	if (s->kind == STEP_SYNC)
		all_last(p);
}

/* ---- snapshots */

static void view_data(struct part *to, const struct part *from, uint16_t obj)
{
	const struct pending *open = &from->data[obj].pending;
	struct data *d = &to->data[obj];
	bool under_way = open->n && open->list[open->n - 1].step == from->under_way;
	content_set(&d->now, &from->data[obj].now);
	if (!under_way) {
		content_set(&d->floor, &d->now);
		return;
	}
	content_set(&d->floor, &from->data[obj].floor);
	for (uint32_t i = 0; i + 1 < open->n; i++)
		content_step(&d->floor, open->list[i].step, open->list[i].bytes);
	const struct maybe *last = &open->list[open->n - 1];
	uint8_t *bytes = last->bytes ? calloc(1, last->step->size + 1) : NULL;
	if (bytes)
		memcpy(bytes, last->bytes, last->step->size);
	remember(&d->pending, last->step, bytes);
}

/* What was answered is there; what is under way may be. */
static void view_part(struct part *to, const struct part *from)
{
	const struct pending *open = &from->pending;
	to->now = from->now;
	to->floor = from->floor;
	for (uint32_t i = 0; i < open->n; i++) {
		if (open->list[i].step == from->under_way)
			remember(&to->pending, from->under_way, NULL);
		else
			names_step(&to->floor, open->list[i].step);
	}
	/* Those without a name too: they may get one, or be copied from, while the snapshot is made. */
	for (uint16_t i = 0; i < to->floor.n_objects; i++)
		view_data(to, from, i);
}

static void take_snapshot(struct model *m, struct model_snapshot *snap)
{
	snap->view = model_create();
	for (unsigned w = 0; w < WORKERS; w++)
		view_part(&snap->view->parts[w], &m->parts[w]);
}

static void forget_snapshot(struct model_snapshot *snap)
{
	if (snap->view)
		model_destroy(TAKE(snap->view));
	snap->presence = SNAPSHOT_NONE;
}

bool model_is_exact(const struct model *view)
{
	for (unsigned w = 0; w < WORKERS; w++) {
		const struct part *p = &view->parts[w];
		if (p->pending.n)
			return false;
		for (unsigned i = 0; i < N_OBJECTS; i++)
			if (p->data[i].pending.n)
				return false;
	}
	return true;
}

/* Objects that are gone are not made again: their numbers stay theirs. So do limits. */
static void part_back(struct part *p, const struct part *view)
{
	struct names before = p->now;
	p->now = view->floor;
	p->now.n_objects = before.n_objects;
	memcpy(p->now.limits, before.limits, sizeof(before.limits));
	p->floor = p->now;
	forget(&p->pending, p->pending.n);
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		content_set(&p->data[i].now, &view->data[i].floor);
		data_last(&p->data[i]);
	}
}

static void snapshot_begin(struct model *m, const struct step *s)
{
	struct model_snapshot *snap = &m->snapshots[s->slot];
	if (s->kind == STEP_ROLL_BACK) {
		m->rolling_back = s;
		return;
	}
	snap->presence = SNAPSHOT_MAYBE;
	snap->growing = s->kind == STEP_SNAPSHOT;
	if (snap->growing)
		take_snapshot(m, snap);
}

/* What was answered before a snapshot lasts with it; that is followed where nothing else was done meanwhile. */
static void snapshot_end(struct model *m, const struct step *s)
{
	struct model_snapshot *snap = &m->snapshots[s->slot];
	snap->growing = false;
	m->rolling_back = NULL;
	if (s->kind == STEP_DROP_SNAPSHOT)
		forget_snapshot(snap);
	else
		snap->presence = SNAPSHOT_THERE;
	for (unsigned w = 0; w < WORKERS; w++) {
		if (s->kind == STEP_ROLL_BACK)
			part_back(&m->parts[w], &snap->view->parts[w]);
		if (s->kind == STEP_SNAPSHOT && s->alone)
			all_last(&m->parts[w]);
	}
}

void model_begin(struct model *m, const struct step *s)
{
	part_begin(&m->parts[s->worker], s);
	if (s->kind == STEP_GROW)
		m->growing = s;
	if (is_snapshot(s)) {
		snapshot_begin(m, s);
		return;
	}
	for (unsigned i = 0; i < N_SNAPSHOTS; i++)
		if (m->snapshots[i].growing)
			part_begin(&m->snapshots[i].view->parts[s->worker], s);
}

void model_end(struct model *m, const struct step *s)
{
	m->parts[s->worker].under_way = NULL;
	if (s->kind == STEP_GROW) {
		m->growing = NULL;
		m->capacity = s->size;
	}
	if (is_snapshot(s))
		snapshot_end(m, s);
	else
		part_end(&m->parts[s->worker], s);
}

/* ---- life */

static void names_init(struct names *n)
{
	memset(n->slots, 0xff, sizeof(n->slots));
	memset(n->own, 0xff, sizeof(n->own));
}

struct model *model_create(void)
{
	struct model *m = calloc(1, sizeof(*m));
	for (unsigned w = 0; w < WORKERS; w++) {
		names_init(&m->parts[w].floor);
		names_init(&m->parts[w].now);
	}
	return m;
}

void model_destroy(struct model *m)
{
	for (unsigned w = 0; w < WORKERS; w++) {
		struct part *p = &m->parts[w];
		free(p->pending.list);
		for (unsigned i = 0; i < N_OBJECTS; i++) {
			forget(&p->data[i].pending, p->data[i].pending.n);
			free(p->data[i].pending.list);
			content_free(&p->data[i].floor);
			content_free(&p->data[i].now);
		}
	}
	for (unsigned i = 0; i < N_SNAPSHOTS; i++)
		forget_snapshot(&m->snapshots[i]);
	free(m);
}
