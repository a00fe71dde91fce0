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
		"create", "mkdir", "symlink", "link", "rename", "exchange", "remove", "chmod", "set_xattr", "remove_xattr", "write",
		"truncate", "allocate", "punch", "zero", "copy", "clone", "commit", "sync", "read", "list"};
	return names[s->kind];
}

/* ---- names */

static void make(struct names *n, const struct step *s, uint8_t type)
{
	struct object *o = &n->objects[s->obj];
	*o = (struct object){.type = type, .n_links = 1, .mode = s->seed & 0777, .seed = s->seed, .fileid = s->fileid};
	n->n_objects = MAX(n->n_objects, (uint16_t)(s->obj + 1));
	n->slots[s->dir][s->slot] = s->obj;
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

void names_step(struct names *n, const struct step *s)
{
	struct object *o = &n->objects[s->obj];
	switch (s->kind) {
	case STEP_CREATE: make(n, s, OP_TYPE_FILE); break;
	case STEP_MKDIR: make(n, s, OP_TYPE_DIR); break;
	case STEP_SYMLINK: make(n, s, OP_TYPE_SYMLINK); break;
	case STEP_LINK:
		n->slots[s->dir][s->slot] = s->obj;
		o->n_links++;
		break;
	case STEP_RENAME:
	case STEP_EXCHANGE: rename_object(n, s); break;
	case STEP_REMOVE:
		n->slots[s->dir][s->slot] = NONE;
		unlink_object(n, s->obj);
		break;
	case STEP_CHMOD: o->mode = s->seed & 0777; break;
	case STEP_SET_XATTR: o->xattrs[s->slot] = s->seed; break;
	case STEP_REMOVE_XATTR: o->xattrs[s->slot] = 0; break;
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

void model_begin(struct model *m, const struct step *s)
{
	struct part *p = &m->parts[s->worker];
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

static void all_last(struct part *p)
{
	names_last(p, p->pending.n);
	for (uint32_t i = 0; i < N_OBJECTS; i++)
		if (p->data[i].pending.n || p->data[i].told_max != p->data[i].told_floor)
			data_last(&p->data[i]);
}

static void tell(struct part *p, const struct step *s)
{
	if (s->fileid)
		p->now.objects[s->obj].fileid = s->fileid;
	if (s->change)
		p->data[s->obj].told_max = MAX(p->data[s->obj].told_max, s->change);
}

void model_end(struct model *m, const struct step *s)
{
	struct part *p = &m->parts[s->worker];
	struct data *d = s->obj == NONE ? NULL : &p->data[s->obj];
	p->under_way = NULL;
	tell(p, s);
	if (is_names(s) && !s->lazy) {
		names_last(p, p->pending.n);
		/* An attribute that lasts was told with a counter that lasts, once no write is open. */
		if (d->pending.n == 0)
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
	free(m);
}
