/*
 * See workload.h. A step is chosen among those that make sense for what the worker's part looks like, so none should
 * fail; a table says how often which is tried.
 */
#include "tests/crash/power/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/power/draw.h"
#include "tests/crash/power/record.h"

#define TRIES 1024

/* ---- choosing: each answers whether the step makes sense */

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

static bool choose_link(struct worker *w, struct step *s)
{
	if (!pick_file(w, s))
		return false;
	return pick_slot(w, &s->dir, &s->slot) && at(w, s->dir, s->slot) == NONE;
}

static bool choose_rename(struct worker *w, struct step *s)
{
	if (!pick_object(w, s) || !pick_slot(w, &s->to_dir, &s->to_slot))
		return false;
	s->other = at(w, s->to_dir, s->to_slot);
	bool moves_dir = object_of(w, s->obj)->type == OP_TYPE_DIR, onto = s->other != NONE;
	bool onto_dir = onto && object_of(w, s->other)->type == OP_TYPE_DIR;
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
	if (!pick_file(w, s))
		return false;
	/* A hole past the end is nothing, so it makes nothing durable. */
	if (s->kind == STEP_PUNCH && s->offset >= w->part->data[s->obj].now.size)
		s->stability = WRITE_UNSTABLE;
	return true;
}

static bool choose_copy(struct worker *w, struct step *s)
{
	if (!pick_file(w, s))
		return false;
	s->other = s->obj;
	uint32_t size = w->part->data[s->other].now.size;
	if (!pick_file(w, s) || s->other == s->obj || size == 0)
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
	{STEP_CREATE, 14, choose_make},        {STEP_MKDIR, 3, choose_make},     {STEP_SYMLINK, 3, choose_make},
	{STEP_LINK, 4, choose_link},           {STEP_RENAME, 8, choose_rename},  {STEP_EXCHANGE, 3, choose_rename},
	{STEP_REMOVE, 8, choose_remove},       {STEP_CHMOD, 2, choose_object},   {STEP_SET_XATTR, 4, choose_xattr},
	{STEP_REMOVE_XATTR, 2, choose_xattr},  {STEP_WRITE, 30, choose_data},    {STEP_TRUNCATE, 5, choose_data},
	{STEP_ALLOCATE, 3, choose_data},       {STEP_PUNCH, 5, choose_data},     {STEP_ZERO, 2, choose_data},
	{STEP_COPY, 4, choose_copy},           {STEP_CLONE, 5, choose_clone},    {STEP_COMMIT, 8, pick_file},      {STEP_SYNC, 1, choose_nothing},
	{STEP_READ, 2, pick_file},             {STEP_LIST, 1, choose_nothing},
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

/* ---- doing */

static const struct op_handle *dir_of(const struct worker *w, uint8_t dir)
{
	return dir < N_SHARED ? &w->shared[dir] : &w->handles[w->part->now.own[dir - N_SHARED]];
}

static int do_make(struct worker *w, const struct step *s, const char *name)
{
	char target[64];
	const struct op_handle *dir = dir_of(w, s->dir);
	if (s->kind == STEP_CREATE)
		return rig_create(&w->rig, dir, name, s->seed & 0777);
	if (s->kind == STEP_MKDIR)
		return rig_mkdir(&w->rig, dir, name, s->seed & 0777);
	target_of(s->seed, target);
	return rig_symlink(&w->rig, dir, name, target);
}

static int do_names(struct worker *w, const struct step *s, const struct op_handle *dir, const struct op_handle *to)
{
	char name[256], to_name[256];
	name_of(w->index, s->slot, name);
	name_of(w->index, s->to_slot, to_name);
	switch (s->kind) {
	case STEP_LINK: return rig_link(&w->rig, &w->handles[s->obj], dir, name);
	case STEP_RENAME: return rig_rename(&w->rig, dir, name, to, to_name, RENAME_REPLACE);
	case STEP_EXCHANGE: return rig_rename(&w->rig, dir, name, to, to_name, RENAME_EXCHANGE);
	case STEP_REMOVE: return rig_remove(&w->rig, dir, name);
	default: return do_make(w, s, name);
	}
}

static int do_xattr(struct worker *w, const struct step *s)
{
	uint8_t value[XATTR_MAX + 1];
	const char *name = s->slot ? "user.b" : "user.a";
	uint32_t size = xattr_size(s->seed);
	fill_bytes(s->seed, value, size);
	return rig_set_xattr(&w->rig, &w->handles[s->obj], name, s->kind == STEP_SET_XATTR ? value : NULL, size);
}

static int do_copy(struct worker *w, const struct step *s)
{
	uint64_t size = s->size;
	int err = rig_copy(&w->rig, &w->handles[s->other], s->offset, &w->handles[s->obj], s->to_offset, &size);
	return !err && size != s->size ? ERR_IO : err;
}

static int do_write(struct worker *w, const struct step *s)
{
	uint32_t stability = s->stability;
	fill_bytes(s->seed, w->bytes, s->size);
	int err = rig_write(&w->rig, &w->handles[s->obj], s->offset, w->bytes, s->size, &stability);
	w->run->verifier = w->rig.verifier;
	return !err && stability < s->stability ? ERR_IO : err;
}

static int do_read(struct worker *w, const struct step *s)
{
	const struct content *c = &w->part->data[s->obj].now;
	uint8_t *bytes = malloc(FILE_MAX);
	uint32_t got;
	int err = rig_read(&w->rig, &w->handles[s->obj], 0, bytes, FILE_MAX, &got);
	bool same = got == c->size;
	for (uint32_t i = 0; same && i < got; i++)
		same = bytes[i] == (c->bytes ? c->bytes[i] : 0);
	free(bytes);
	if (!err && !same) {
		fprintf(stderr, "worker %u: object %u reads as something else than was written\n", w->index, s->obj);
		w->run->n_failed++;
	}
	return err;
}

static void list_nothing(void *arg, const struct op_dirent *d, const char *name)
{
	(void)arg, (void)d, (void)name;
}

static int do_data(struct worker *w, const struct step *s)
{
	const struct op_handle *obj = s->obj == NONE ? NULL : &w->handles[s->obj];
	switch (s->kind) {
	case STEP_CHMOD: return rig_setattr(&w->rig, obj, ATTR_MODE, s->seed & 0777);
	case STEP_SET_XATTR:
	case STEP_REMOVE_XATTR: return do_xattr(w, s);
	case STEP_WRITE: return do_write(w, s);
	case STEP_TRUNCATE: return rig_setattr(&w->rig, obj, ATTR_SIZE, s->size);
	case STEP_ALLOCATE: return rig_range(&w->rig, OP_allocate, obj, s->offset, s->size, 0);
	case STEP_PUNCH: return rig_range(&w->rig, OP_deallocate, obj, s->offset, s->size, 0);
	case STEP_ZERO: return rig_range(&w->rig, OP_zero, obj, s->offset, s->size, 0);
	case STEP_COPY: return do_copy(w, s);
	case STEP_CLONE:
		return rig_clone(&w->rig, &w->handles[s->other], s->offset, obj, s->to_offset, s->size);
	case STEP_COMMIT: return rig_commit(&w->rig, obj);
	case STEP_SYNC: return rig_sync(&w->rig);
	case STEP_READ: return do_read(w, s);
	default: return rig_list(&w->rig, &w->shared[0], list_nothing, NULL);
	}
}

static bool is_made(const struct step *s)
{
	return s->kind <= STEP_SYMLINK;
}

static void take_answer(struct worker *w, struct step *s)
{
	const struct op_attr *a = &w->rig.attr;
	if (is_made(s)) {
		w->handles[s->obj] = w->rig.made;
		s->fileid = a->fileid;
	}
	if (s->obj != NONE && (a->mask & ATTR_CHANGE) && a->fileid)
		s->change = a->change;
}

static int do_step(struct worker *w, struct step *s)
{
	w->rig.attr = (struct op_attr){.mask = 0};
	int err = s->kind < STEP_CHMOD ? do_names(w, s, &w->dir, &w->to_dir) : do_data(w, s);
	s->err = err;
	s->answered = 1;
	if (!err)
		take_answer(w, s);
	return err;
}

int worker_do(struct worker *w, struct step *s)
{
	/* The model moves on before: then it says where things will be. */
	if (s->kind < STEP_CHMOD) {
		w->dir = *dir_of(w, s->dir);
		w->to_dir = *dir_of(w, s->to_dir);
	}
	model_begin(w->model, s);
	record_mark((uint64_t)(s - w->run->steps), MARK_BEGIN);
	int err = do_step(w, s);
	record_mark((uint64_t)(s - w->run->steps), MARK_END);
	if (!err)
		model_end(w->model, s);
	return err;
}

int worker_again(struct worker *w, struct step *s)
{
	int err = do_step(w, s);
	if (!err)
		model_end(w->model, s);
	return err;
}

static int find_names(struct worker *w, uint8_t dir)
{
	char name[256];
	int err = 0;
	for (unsigned i = 0; !err && i < N_SLOTS; i++) {
		uint16_t obj = at(w, dir, (uint8_t)i);
		if (obj == NONE)
			continue;
		name_of(w->index, i, name);
		err = rig_lookup(&w->rig, dir_of(w, dir), name);
		w->handles[obj] = w->rig.made;
	}
	return err;
}

int worker_find(struct worker *w)
{
	int err = 0;
	for (uint8_t dir = 0; !err && dir < N_DIRS; dir++)
		if (dir < N_SHARED || w->part->now.own[dir - N_SHARED] != NONE)
			err = find_names(w, dir);
	return err;
}

static void work(void *arg)
{
	struct worker *w = arg;
	struct step s;
	for (uint32_t i = 0; i < w->run->n_steps_wanted && w->run->n_steps < STEPS_MAX && worker_draw(w, &s, STEP_ANY); i++) {
		struct step *mine = &w->run->steps[w->run->n_steps++];
		*mine = s;
		int err = worker_do(w, mine);
		if (!err)
			continue;
		fprintf(stderr, "worker %u: %s: %s\n", w->index, step_name(mine), err_text(err));
		w->run->n_failed++;
		break;
	}
	fiber_join_done(w->join);
}

/* ---- all of it */

static int make_shared(struct rig *r, struct op_handle shared[N_SHARED])
{
	static const char *const names[N_SHARED] = SHARED_NAMES;
	int err = 0;
	for (unsigned i = 0; !err && i < N_SHARED; i++) {
		err = rig_mkdir(r, &r->root, names[i], 0755);
		shared[i] = r->made;
	}
	return err;
}

static void work_all(struct run *run, struct rig *r, const struct op_handle *shared)
{
	struct worker *workers = calloc(WORKERS, sizeof(*workers));
	struct fiber_join join = {0};
	struct model *model = model_create();
	r->flags = run->lazy ? OP_F_LAZY : 0;
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.run = run, .rig = *r, .model = model, .part = &model->parts[i], .index = i,
		                             .random = hash_u64(run->seed + i), .shared = shared, .join = &join};
		workers[i].bytes = malloc(FILE_MAX);
		fiber_join_add(&join, 1);
		fiber_start(loop_current(), work, &workers[i]);
	}
	fiber_join_wait(&join);
	for (unsigned i = 0; i < WORKERS; i++)
		free(workers[i].bytes);
	model_destroy(model);
	free(workers);
}

void workload_run(struct run *run)
{
	struct op_handle shared[N_SHARED];
	struct rig r;
	int err = rig_open(&r, run->dir, run->options, false);
	if (!err)
		err = make_shared(&r, shared);
	if (err) {
		fprintf(stderr, "the store cannot be made: %s\n", err_text(err));
		run->n_failed++;
	} else {
		record_mark(0, MARK_READY);
		work_all(run, &r, shared);
	}
	if (err || run->unmounts)
		rig_close(&r);
}
