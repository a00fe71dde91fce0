/*
 * See workload.h. A step is chosen among those that make sense for what the worker's part looks like, so none should
 * fail; a table says how often which is tried.
 */
#include "tests/crash/power/draw.h"
#include "tests/crash/power/workload.h"

#define TRIES 1024

/* ---- each answers whether the step makes sense */

static const struct object *object_of(const struct worker *w, uint16_t obj)
{
	return &w->part->now.objects[obj];
}

static bool pick_dir(struct worker *w, uint8_t *dir)
{
	*dir = (uint8_t)draw(&w->random, N_DIRS);
	return *dir < N_SHARED || w->part->now.own[*dir - N_SHARED] != NONE;
}

static uint16_t at(const struct worker *w, uint8_t dir, uint8_t slot)
{
	return w->part->now.slots[dir][slot];
}

static bool pick_slot(struct worker *w, uint8_t *dir, uint8_t *slot)
{
	*slot = (uint8_t)draw(&w->random, N_SLOTS);
	return pick_dir(w, dir);
}

/* A name that is there, and what it means. */
static bool pick_object(struct worker *w, struct step *s)
{
	if (!pick_slot(w, &s->dir, &s->slot))
		return false;
	s->obj = at(w, s->dir, s->slot);
	return s->obj != NONE;
}

static bool pick_file(struct worker *w, struct step *s)
{
	return pick_object(w, s) && object_of(w, s->obj)->type == OP_TYPE_FILE;
}

/* What is open, with a name or without. */
static bool pick_open(struct worker *w, struct step *s)
{
	uint16_t n = w->part->now.n_objects, first = n ? (uint16_t)draw(&w->random, n) : 0;
	for (uint16_t i = 0; i < n; i++) {
		s->obj = (uint16_t)((first + i) % n);
		if (w->opens[s->obj])
			return true;
	}
	return false;
}

/* What has data: one of its streams, sometimes. */
static bool pick_data(struct worker *w, struct step *s)
{
	if (draw(&w->random, 8) == 0 && pick_open(w, s))
		return true;
	if (!pick_file(w, s))
		return false;
	uint16_t stream = object_of(w, s->obj)->streams[draw(&w->random, N_STREAMS)];
	if (stream && draw(&w->random, 2))
		s->obj = stream;
	return true;
}

static bool is_empty_dir(const struct worker *w, uint16_t obj)
{
	const struct object *o = object_of(w, obj);
	for (unsigned i = 0; i < N_SLOTS; i++)
		if (w->part->now.slots[N_SHARED + o->own][i] != NONE)
			return false;
	return true;
}

static bool choose_make(struct worker *w, struct step *s)
{
	const struct names *n = &w->part->now;
	if (!pick_slot(w, &s->dir, &s->slot) || at(w, s->dir, s->slot) != NONE || n->n_objects == N_OBJECTS)
		return false;
	s->obj = n->n_objects;
	if (s->kind != STEP_MKDIR)
		return true;
	bool room = false;
	for (unsigned i = 0; i < N_OWN; i++)
		room |= n->own[i] == NONE;
	return room && s->dir < N_SHARED;
}

/* A tree counts for one project: what has another does not get in by its name alone. */
static bool may_enter(const struct worker *w, uint16_t obj, uint8_t dir)
{
	uint32_t project = dir < N_SHARED ? 0 : object_of(w, w->part->now.own[dir - N_SHARED])->project;
	return project == 0 || object_of(w, obj)->project == project;
}

/* What was made without a name may get one. */
static bool pick_unlinked(struct worker *w, struct step *s)
{
	return pick_open(w, s) && object_of(w, s->obj)->unlinked && object_of(w, s->obj)->n_links == 0;
}

static bool choose_link(struct worker *w, struct step *s)
{
	bool unlinked = draw(&w->random, 3) == 0 && pick_unlinked(w, s);
	if (!unlinked && !pick_file(w, s))
		return false;
	return pick_slot(w, &s->dir, &s->slot) && at(w, s->dir, s->slot) == NONE && may_enter(w, s->obj, s->dir);
}

static bool choose_rename(struct worker *w, struct step *s)
{
	if (!pick_object(w, s) || !pick_slot(w, &s->to_dir, &s->to_slot))
		return false;
	s->other = at(w, s->to_dir, s->to_slot);
	bool moves_dir = object_of(w, s->obj)->type == OP_TYPE_DIR, onto = s->other != NONE;
	bool onto_dir = onto && object_of(w, s->other)->type == OP_TYPE_DIR;
	if (s->dir != s->to_dir && !may_enter(w, s->obj, s->to_dir))
		return false;
	if (s->dir != s->to_dir && s->kind == STEP_EXCHANGE && onto && !may_enter(w, s->other, s->dir))
		return false;
	/* A name of the same object stays; directories stay where all can see them. */
	if (s->other == s->obj || (moves_dir && s->to_dir >= N_SHARED) || (onto_dir && s->dir >= N_SHARED))
		return false;
	if (s->kind == STEP_EXCHANGE)
		return onto;
	return !onto || (moves_dir == onto_dir && (!onto_dir || is_empty_dir(w, s->other)));
}

static bool choose_remove(struct worker *w, struct step *s)
{
	return pick_object(w, s) && (object_of(w, s->obj)->type != OP_TYPE_DIR || is_empty_dir(w, s->obj));
}

static bool choose_object(struct worker *w, struct step *s)
{
	return pick_object(w, s) && object_of(w, s->obj)->type != OP_TYPE_SYMLINK;
}

static bool choose_xattr(struct worker *w, struct step *s)
{
	if (!pick_file(w, s))
		return false;
	s->slot = (uint8_t)draw(&w->random, N_XATTRS);
	return s->kind == STEP_SET_XATTR || object_of(w, s->obj)->xattrs[s->slot];
}

static bool choose_stream(struct worker *w, struct step *s)
{
	if (!pick_file(w, s))
		return false;
	const uint16_t *streams = object_of(w, s->obj)->streams;
	s->other = s->obj;
	s->slot = (uint8_t)draw(&w->random, N_STREAMS);
	s->to_slot = (uint8_t)(s->slot + 1) % N_STREAMS;
	s->obj = s->kind == STEP_MAKE_STREAM ? w->part->now.n_objects : streams[s->slot];
	if (s->kind == STEP_MAKE_STREAM)
		return streams[s->slot] == 0 && s->obj < N_OBJECTS;
	return s->obj != 0;
}

static bool choose_acl(struct worker *w, struct step *s)
{
	return choose_object(w, s) && (s->kind == STEP_SET_ACL || object_of(w, s->obj)->acl);
}

static bool choose_quota(struct worker *w, struct step *s)
{
	s->slot = (uint8_t)draw(&w->random, QUOTA_N_KINDS);
	s->to_slot = (uint8_t)draw(&w->random, N_IDS);
	s->seed = draw(&w->random, 5) ? s->seed : 0;
	return true;
}

static bool choose_unlinked(struct worker *w, struct step *s)
{
	s->obj = w->part->now.n_objects;
	return s->obj < N_OBJECTS;
}

static bool choose_open(struct worker *w, struct step *s)
{
	return pick_data(w, s) && !w->opens[s->obj];
}

/* A stream that went with its base, or was removed, while that or it was open still counts, and cannot be found. */
static bool counts_unseen(const struct worker *w)
{
	const struct names *n = &w->part->now;
	for (uint16_t i = 0; i < n->n_objects; i++) {
		const struct object *o = &n->objects[i];
		bool has_streams = o->streams[0] || o->streams[1];
		if (w->opens[i] && (o->base_plus_1 ? !object_is_listed(n, i) : o->n_links == 0 && has_streams))
			return true;
	}
	return false;
}

/* With nobody else. */
static bool choose_count(struct worker *w, struct step *s)
{
	s->alone = true;
	for (unsigned i = 0; w->index == 0 && i < WORKERS; i++)
		if (counts_unseen(&w->all[i]))
			return false;
	return w->index == 0 && !w->run->faults;
}

static bool choose_scrub(struct worker *w, struct step *s)
{
	return s && w->index == 0;
}

static bool choose_grow(struct worker *w, struct step *s)
{
	s->size = 64 + draw(&w->random, 32);
	return w->index == 0;
}

/* By the first worker alone, one after the other. */
static bool choose_snapshot(struct worker *w, struct step *s)
{
	if (!w->run->snapshots || w->index != 0)
		return false;
	s->slot = (uint8_t)draw(&w->random, N_SNAPSHOTS);
	s->alone = s->kind == STEP_ROLL_BACK || (s->kind == STEP_SNAPSHOT && draw(&w->random, 2));
	const struct model_snapshot *snap = &w->model->snapshots[s->slot];
	if (s->kind == STEP_SNAPSHOT)
		return snap->presence == SNAPSHOT_NONE;
	return snap->presence == SNAPSHOT_THERE && (s->kind == STEP_DROP_SNAPSHOT || model_is_exact(snap->view));
}

/* Sizes of all magnitudes, often whole blocks. */
static void pick_range(struct worker *w, struct step *s)
{
	s->size = 1 + draw(&w->random, 1u << (4 + draw(&w->random, 13)));
	s->offset = draw(&w->random, 1u << (1 + draw(&w->random, 17)));
	if (draw(&w->random, 2)) {
		s->offset &= ~4095u;
		s->size = (s->size + 4095) & ~4095u;
	}
	s->size = MIN(s->size, FILE_MAX - s->offset);
}

static bool choose_data(struct worker *w, struct step *s)
{
	pick_range(w, s);
	s->stability = s->kind == STEP_WRITE ? (uint8_t)draw(&w->random, 3) : WRITE_FILE_SYNC;
	if (s->kind == STEP_TRUNCATE)
		s->size += draw(&w->random, 2) ? s->offset : 0;
	if (!pick_data(w, s))
		return false;
	/* A hole past the end is nothing, so it makes nothing durable. */
	if (s->kind == STEP_PUNCH && s->offset >= w->part->data[s->obj].now.size)
		s->stability = WRITE_UNSTABLE;
	return true;
}

static bool choose_copy(struct worker *w, struct step *s)
{
	if (!pick_data(w, s))
		return false;
	s->other = s->obj;
	uint32_t size = w->part->data[s->other].now.size;
	if (!pick_data(w, s) || s->other == s->obj || size == 0)
		return false;
	s->offset = draw(&w->random, size);
	s->size = MIN(size - s->offset, 1 + draw(&w->random, 40000));
	s->to_offset = draw(&w->random, FILE_MAX - s->size);
	return true;
}

/* Whole blocks, or up to the end of both. */
static bool choose_clone(struct worker *w, struct step *s)
{
	if (!choose_copy(w, s))
		return false;
	uint32_t size = w->part->data[s->other].now.size, end = s->offset + s->size;
	s->offset &= ~4095u;
	s->to_offset &= ~4095u;
	end = end == size ? end : end & ~4095u;
	s->size = end - MIN(end, s->offset);
	s->stability = WRITE_FILE_SYNC;
	bool ends = end == size && s->to_offset + s->size >= w->part->data[s->obj].now.size;
	return s->size && s->to_offset + s->size <= FILE_MAX && (ends || s->size % 4096 == 0);
}

static bool choose_nothing(struct worker *w, struct step *s)
{
	return w && s;
}

static const struct choice {
	uint8_t kind;
	uint8_t weight;
	bool (*choose)(struct worker *w, struct step *s);
} choices[] = {
	{STEP_CREATE, 14, choose_make},          {STEP_MKDIR, 3, choose_make},            {STEP_SYMLINK, 3, choose_make},
	{STEP_LINK, 4, choose_link},             {STEP_RENAME, 8, choose_rename},         {STEP_EXCHANGE, 3, choose_rename},
	{STEP_REMOVE, 8, choose_remove},         {STEP_CHMOD, 2, choose_object},          {STEP_SET_XATTR, 4, choose_xattr},
	{STEP_REMOVE_XATTR, 2, choose_xattr},    {STEP_MAKE_STREAM, 5, choose_stream},    {STEP_RENAME_STREAM, 2, choose_stream},
	{STEP_REMOVE_STREAM, 2, choose_stream},  {STEP_WRITE, 30, choose_data},           {STEP_TRUNCATE, 5, choose_data},
	{STEP_ALLOCATE, 3, choose_data},         {STEP_PUNCH, 5, choose_data},            {STEP_ZERO, 2, choose_data},
	{STEP_COPY, 4, choose_copy},             {STEP_CLONE, 5, choose_clone},           {STEP_COMMIT, 8, pick_data},
	{STEP_SYNC, 1, choose_nothing},          {STEP_READ, 2, pick_data},               {STEP_LIST, 1, choose_nothing},
	{STEP_SET_ATTR, 7, choose_object},       {STEP_SET_ACL, 5, choose_acl},           {STEP_REMOVE_ACL, 2, choose_acl},
	{STEP_SET_QUOTA, 3, choose_quota},       {STEP_MAKE_UNLINKED, 2, choose_unlinked}, {STEP_OPEN, 5, choose_open},
	{STEP_CLOSE, 4, pick_open},              {STEP_COUNT, 2, choose_count},           {STEP_SCRUB, 2, choose_scrub},
	{STEP_GROW, 1, choose_grow},             {STEP_SNAPSHOT, 14, choose_snapshot},    {STEP_DROP_SNAPSHOT, 5, choose_snapshot}, {STEP_ROLL_BACK, 4, choose_snapshot},
};

static const struct choice *draw_choice(struct worker *w)
{
	uint32_t total = 0, i = 0;
	for (size_t k = 0; k < ARRAY_SIZE(choices); k++)
		total += choices[k].weight;
	uint32_t left = draw(&w->random, total);
	while (left >= choices[i].weight)
		left -= choices[i++].weight;
	return &choices[i];
}

static const struct choice *choice_of(int kind)
{
	size_t i = 0;
	while (choices[i].kind != kind)
		i++;
	return &choices[i];
}

bool worker_draw(struct worker *w, struct step *s, int kind)
{
	for (int i = 0; i < TRIES; i++) {
		const struct choice *c = kind == STEP_ANY ? draw_choice(w) : choice_of(kind);
		*s = (struct step){.kind = c->kind, .worker = (uint8_t)w->index, .lazy = w->run->lazy, .obj = NONE, .other = NONE};
		s->seed = 1 + draw(&w->random, UINT32_MAX - 1);
		if (c->choose(w, s))
			return true;
	}
	return false;
}
