/*
 * See workload.h. What the steps that choose.c chooses are as calls, and all workers at once. Each step is made with a lock
 * that rolling back, and some makings of snapshots, have alone.
 */
#include "tests/crash/power/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "tests/crash/power/draw.h"
#include "tests/crash/power/record.h"
#include "tests/crash/power/usage.h"

enum { FAULT_EVERY = 10, FAULT_NTH_MAX = 8, TRIES_MAX = 20 };

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

static int do_stream(struct worker *w, const struct step *s)
{
	char name[16], to_name[16];
	const struct op_handle *base = &w->handles[s->other];
	stream_name(s->slot, name);
	stream_name(s->to_slot, to_name);
	switch (s->kind) {
	case STEP_MAKE_STREAM: return rig_make_stream(&w->rig, base, name);
	case STEP_RENAME_STREAM: return rig_rename_stream(&w->rig, base, name, to_name);
	default: return rig_remove_stream(&w->rig, base, name);
	}
}

static int do_snapshot(struct worker *w, const struct step *s)
{
	char name[16];
	snapshot_name(s->slot, name);
	int err = rig_snapshot(&w->rig, s->kind == STEP_SNAPSHOT ? OP_snapshot_create : s->kind == STEP_ROLL_BACK
	                       ? OP_snapshot_rollback : OP_snapshot_remove, name);
	/* All opens have ended. */
	for (unsigned i = 0; !err && s->kind == STEP_ROLL_BACK && i < WORKERS; i++)
		memset(w->all[i].opens, 0, sizeof(w->opens));
	return err;
}

static int do_setattr(struct worker *w, const struct step *s)
{
	struct op_attr set = draw_attr(s);
	return rig_setattr(&w->rig, &w->handles[s->obj], &set);
}

static int do_acl(struct worker *w, const struct step *s)
{
	bool dir = w->part->now.objects[s->obj].type == OP_TYPE_DIR;
	CLEANUP_FREE struct acl *acl = s->kind == STEP_SET_ACL ? draw_acl(s->seed, dir) : NULL;
	return rig_set_acl(&w->rig, &w->handles[s->obj], acl);
}

static int do_quota(struct worker *w, const struct step *s)
{
	struct op_quota q = quota_of(s);
	return rig_set_quota(&w->rig, &q);
}

static int do_close(struct worker *w, const struct step *s)
{
	uint64_t open_id = w->opens[s->obj];
	w->opens[s->obj] = 0;
	return rig_close_file(&w->rig, open_id);
}

/* What is open without a name counts besides what is found. */
static int do_count(struct worker *w)
{
	struct usage open = {.n_bad = 0};
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *of = &w->all[i];
		for (uint16_t obj = 0; obj < of->part->now.n_objects; obj++)
			if (of->opens[obj] && of->part->now.objects[obj].n_links == 0)
				usage_add_object(&open, &w->rig, &of->handles[obj]);
	}
	if (usage_fits(&w->rig, &open))
		return 0;
	w->run->n_failed++;
	return ERR_IO;
}

static int do_data(struct worker *w, const struct step *s)
{
	const struct op_handle *obj = s->obj == NONE ? NULL : &w->handles[s->obj];
	switch (s->kind) {
	case STEP_CHMOD:
	case STEP_SET_ATTR: return do_setattr(w, s);
	case STEP_SET_ACL:
	case STEP_REMOVE_ACL: return do_acl(w, s);
	case STEP_SET_QUOTA: return do_quota(w, s);
	case STEP_MAKE_UNLINKED: return rig_create_unlinked(&w->rig, &w->shared[0], s->seed & 0777, &w->opens[s->obj]);
	case STEP_OPEN: return rig_open_file(&w->rig, obj, &w->opens[s->obj]);
	case STEP_CLOSE: return do_close(w, s);
	case STEP_COUNT: return do_count(w);
	case STEP_SCRUB: return rig_scrub(&w->rig);
	case STEP_GROW: return rig_grow(&w->rig, (uint64_t)s->size << 20);
	case STEP_SET_XATTR:
	case STEP_REMOVE_XATTR: return do_xattr(w, s);
	case STEP_MAKE_STREAM:
	case STEP_RENAME_STREAM:
	case STEP_REMOVE_STREAM: return do_stream(w, s);
	case STEP_SNAPSHOT:
	case STEP_DROP_SNAPSHOT:
	case STEP_ROLL_BACK: return do_snapshot(w, s);
	case STEP_WRITE: return do_write(w, s);
	case STEP_TRUNCATE: return rig_setattr(&w->rig, obj, &(struct op_attr){.mask = ATTR_SIZE, .size = s->size});
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
	return s->kind <= STEP_SYMLINK || s->kind == STEP_MAKE_STREAM || s->kind == STEP_MAKE_UNLINKED;
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

static int finish_step(struct worker *w, struct step *s)
{
	int err = do_step(w, s);
	if (err)
		return err;
	record_mark((uint64_t)(s - w->run->steps), MARK_END);
	model_end(w->model, s);
	return 0;
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
	return finish_step(w, s);
}

int worker_again(struct worker *w, struct step *s)
{
	return finish_step(w, s);
}

static int find_streams(struct worker *w, const struct object *o, const struct op_handle *base)
{
	int err = 0;
	for (unsigned i = 0; !err && i < N_STREAMS; i++) {
		char name[16];
		if (!o->streams[i])
			continue;
		stream_name(i, name);
		err = rig_find_stream(&w->rig, base, name);
		w->handles[o->streams[i]] = w->rig.made;
	}
	return err;
}

static int find_names(struct worker *w, uint8_t dir)
{
	char name[256];
	int err = 0;
	for (unsigned i = 0; !err && i < N_SLOTS; i++) {
		uint16_t obj = w->part->now.slots[dir][i];
		if (obj == NONE)
			continue;
		name_of(w->index, i, name);
		err = rig_lookup(&w->rig, dir_of(w, dir), name);
		w->handles[obj] = w->rig.made;
		if (!err)
			err = find_streams(w, &w->part->now.objects[obj], &w->handles[obj]);
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

/* ---- faults */

static void arm_fault(struct worker *w)
{
	static const enum record_fault faults[] = {FAULT_EIO, FAULT_LATE, FAULT_ENOSPC, FAULT_SHORT};
	if (w->run->faults && draw(&w->random, FAULT_EVERY) == 0)
		record_fail(faults[draw(&w->random, ARRAY_SIZE(faults))], 1 + draw(&w->random, FAULT_NTH_MAX));
}

/* What is as if it were made once when it is made twice: the rest is given up. */
static bool may_repeat(const struct step *s)
{
	switch (s->kind) {
	case STEP_CREATE:
	case STEP_MKDIR:
	case STEP_SYMLINK:
	case STEP_LINK:
	case STEP_RENAME:
	case STEP_EXCHANGE:
	case STEP_REMOVE:
	case STEP_REMOVE_XATTR:
	case STEP_MAKE_STREAM:
	case STEP_RENAME_STREAM:
	case STEP_REMOVE_STREAM:
	case STEP_MAKE_UNLINKED:
	case STEP_CLOSE:
	case STEP_SNAPSHOT:
	case STEP_DROP_SNAPSHOT: return false;
	default: return true;
	}
}

/* The answer of a step that met a fault. */
static int after_fault(struct worker *w, struct step *s, int err)
{
	w->run->n_again++;
	for (int i = 0; err && i < TRIES_MAX && may_repeat(s); i++) {
		fiber_sleep_ns(NS_PER_MS);
		err = worker_again(w, s);
	}
	return err;
}

/* In a store that is half rolled back not everything is found. */
static bool is_clear(const struct worker *w, int err)
{
	return err == ERR_IO || err == ERR_NOSPC || err == ERR_ROFS || (err == ERR_STALE && w->model->rolling_back);
}

/* A step with the lock; false: no more. */
static bool work_one(struct worker *w)
{
	struct step s;
	fiber_rwlock_rdlock(w->lock);
	bool any = w->run->n_steps < STEPS_MAX && worker_draw(w, &s, STEP_ANY);
	bool alone = any && s.alone;
	/* What may be done alone depends on the first worker alone. */
	if (alone) {
		fiber_rwlock_rdunlock(w->lock);
		fiber_rwlock_wrlock(w->lock);
	}
	struct step *mine = &w->run->steps[w->run->n_steps];
	if (any)
		*mine = s;
	w->run->n_steps += any;
	arm_fault(w);
	int err = any ? worker_do(w, mine) : 0;
	if (err && w->run->faults)
		err = after_fault(w, mine, err);
	if (alone)
		fiber_rwlock_wrunlock(w->lock);
	else
		fiber_rwlock_rdunlock(w->lock);
	if (!err)
		return any;
	if (w->run->faults && is_clear(w, err))
		return false;
	fprintf(stderr, "worker %u: %s: %s\n", w->index, step_name(mine), err_text(err));
	w->run->n_failed++;
	return false;
}

static void work(void *arg)
{
	struct worker *w = arg;
	uint32_t n = 0;
	while (n < w->run->n_steps_wanted && work_one(w))
		n++;
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
	struct fiber_rwlock lock = {0};
	struct model *model = model_create();
	r->flags = run->lazy ? OP_F_LAZY : 0;
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.run = run, .rig = *r, .model = model, .part = &model->parts[i], .index = i,
		                             .random = hash_u64(run->seed + i), .shared = shared, .join = &join, .lock = &lock,
		                             .all = workers};
		workers[i].bytes = malloc(FILE_MAX);
		fiber_join_add(&join, 1);
		fiber_start(loop_current(), work, &workers[i]);
	}
	fiber_join_wait(&join);
	record_fail(FAULT_NONE, 0);
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
		run->n_failed += run->syncs && rig_sync(&r);
	}
	if (err || run->unmounts)
		rig_close(&r);
}
