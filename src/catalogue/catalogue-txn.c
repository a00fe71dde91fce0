/*
 * Transactions: edits go to a private list of objects; commit checks the whole, has the hook make each
 * change, writes the new generation and publishes it. Whatever fails, what the hook did is undone
 * backwards and the old generation stays.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "catalogue/catalogue-impl.h"

LOG_MODULE("catalogue");

static int fail(struct catalogue_txn *t, int err)
{
	if (!t->err)
		t->err = err;
	return err;
}

static int add_slot(struct catalogue_txn *t, struct catalogue_object *o)
{
	if (t->n_slots == t->n_slots_max) {
		uint32_t n = MAX(t->n_slots_max * 2, 64U);
		struct catalogue_slot *more = realloc(t->slots, n * sizeof(more[0]));
		if (!more)
			return ERR_NOMEM;
		t->slots = more;
		t->n_slots_max = n;
	}
	t->slots[t->n_slots++] = (struct catalogue_slot){.object = o};
	return 0;
}

int catalogue_begin(struct catalogue *c, struct catalogue_txn **out, struct catalogue_error *error)
{
	struct catalogue_txn *t = calloc(1, sizeof(*t));
	int err = 0;
	error->text[0] = '\0';
	if (!t)
		return ERR_NOMEM;
	fiber_mutex_lock(&c->txn_lock);
	t->catalogue = c;
	t->base = catalogue_view(c);
	t->error = error;
	t->next_id = t->base->next_id;
	arena_init(&t->arena, NULL, 0, 0);
	for (uint32_t i = 0; i < t->base->n_objects && !err; i++) {
		struct catalogue_object *o = arena_dup(&t->arena, t->base->objects[i], sizeof(*o));
		err = o ? add_slot(t, o) : ERR_NOMEM;
	}
	if (err)
		catalogue_abort(&t);
	*out = t;
	return err;
}

void catalogue_abort(struct catalogue_txn **txn)
{
	struct catalogue_txn *t = TAKE(*txn);
	if (!t)
		return;
	fiber_mutex_unlock(&t->catalogue->txn_lock);
	catalogue_view_put(t->base);
	arena_fini(&t->arena);
	free(t->slots);
	free(t);
}

struct catalogue_slot *catalogue_slot_find(const struct catalogue_txn *t, const char *kind, const char *name)
{
	for (uint32_t i = 0; i < t->n_slots; i++) {
		const struct catalogue_object *o = t->slots[i].object;
		if (strcmp(o->kind->name, kind) == 0 && strcmp(o->name, name) == 0)
			return &t->slots[i];
	}
	return NULL;
}

const struct catalogue_object *catalogue_find_new(const struct catalogue_txn *t, const char *kind, const char *name)
{
	struct catalogue_slot *slot = catalogue_slot_find(t, kind, name);
	return slot ? slot->object : NULL;
}

static const char *canonical(const struct catalogue_kind *kind, const struct catalogue_value *v)
{
	const struct catalogue_field *f = catalogue_field(kind, v->key);
	bool flag;
	if (f && f->type == CATALOGUE_BOOL && str_parse_bool(v->value, &flag) == 0)
		return flag ? "yes" : "no";
	return v->value;
}

/* Sets one field in the object's own array, which has room; an unset field leaves the array. */
static int put_value(struct catalogue_txn *t, struct catalogue_object *o, const struct catalogue_value *v)
{
	struct catalogue_value *values = (struct catalogue_value *)o->values;
	uint32_t i = 0;
	while (i < o->n_values && strcmp(values[i].key, v->key) != 0)
		i++;
	if (!v->value) {
		if (i < o->n_values)
			values[i] = values[--o->n_values];
		return 0;
	}
	if (i == CATALOGUE_FIELDS_MAX) {
		catalogue_error_set(t->error, "%s %s: more than %d fields", o->kind->name, o->name, CATALOGUE_FIELDS_MAX);
		return ERR_NOSPC;
	}
	values[i].key = arena_strndup(&t->arena, v->key, SIZE_MAX);
	values[i].value = arena_strndup(&t->arena, canonical(o->kind, v), SIZE_MAX);
	o->n_values = MAX(o->n_values, i + 1);
	return values[i].key && values[i].value ? 0 : ERR_NOMEM;
}

static int check_fixed(struct catalogue_txn *t, const struct catalogue_object *before,
                       const struct catalogue_object *after)
{
	for (uint32_t i = 0; i < before->kind->n_fields; i++) {
		const struct catalogue_field *f = &before->kind->fields[i];
		const char *from = catalogue_get(before, f->name), *to = catalogue_get(after, f->name);
		if (!(f->flags & CATALOGUE_FIXED) || (to && strcmp(from, to) == 0))
			continue;
		catalogue_error_set(t->error, "%s %s: %s can't be changed; delete the %s and create it anew",
		                    before->kind->name, before->name, f->name, before->kind->name);
		return ERR_INVAL;
	}
	return 0;
}

/* A fresh object with base's values, room for more, and then these. */
static int build(struct catalogue_txn *t, const struct catalogue_object *base, const struct catalogue_value *values,
                 uint32_t n, struct catalogue_object **out)
{
	struct catalogue_object *o = arena_dup(&t->arena, base, sizeof(*o));
	struct catalogue_value *room = arena_alloc(&t->arena, CATALOGUE_FIELDS_MAX * sizeof(room[0]));
	if (!o || !room)
		return ERR_NOMEM;
	if (base->n_values)
		memcpy(room, base->values, base->n_values * sizeof(room[0]));
	o->values = room;
	for (uint32_t i = 0; i < n; i++) {
		int err = catalogue_check_value(o->kind, o->name, &values[i], t->error);
		if (!err)
			err = put_value(t, o, &values[i]);
		if (err)
			return err;
	}
	*out = o;
	return catalogue_check_required(o, t->error);
}

static int create(struct catalogue_txn *t, const char *kind_name, const char *name,
                  const struct catalogue_value *values, uint32_t n_values)
{
	struct catalogue_object blank = {.kind = catalogue_kind(kind_name), .id = t->next_id}, *o;
	if (!blank.kind) {
		catalogue_error_set(t->error, "there is no kind of object named \"%.64s\"", kind_name);
		return ERR_INVAL;
	}
	int err = catalogue_check_name(blank.kind, name, t->error);
	if (err)
		return err;
	if (catalogue_slot_find(t, kind_name, name)) {
		catalogue_error_set(t->error, "%s %s exists already", kind_name, name);
		return ERR_EXIST;
	}
	blank.name = arena_strndup(&t->arena, name, SIZE_MAX);
	err = blank.name ? build(t, &blank, values, n_values, &o) : ERR_NOMEM;
	if (!err)
		err = add_slot(t, o);
	if (!err)
		t->next_id++;
	return err;
}

int catalogue_create(struct catalogue_txn *t, const char *kind, const char *name,
                     const struct catalogue_value *values, uint32_t n_values)
{
	return fail(t, create(t, kind, name, values, n_values));
}

static struct catalogue_slot *existing(struct catalogue_txn *t, const char *kind, const char *name)
{
	struct catalogue_slot *slot = catalogue_slot_find(t, kind, name);
	if (!slot) {
		catalogue_error_set(t->error, "there is no %s named \"%.200s\"", kind, name);
		fail(t, ERR_NOENT);
	}
	return slot;
}

static int change(struct catalogue_txn *t, struct catalogue_slot *slot, const struct catalogue_object *base,
                  const struct catalogue_value *values, uint32_t n_values)
{
	struct catalogue_object *o;
	int err = build(t, base, values, n_values, &o);
	if (!err)
		err = check_fixed(t, slot->object, o);
	if (!err)
		slot->object = o;
	return fail(t, err);
}

int catalogue_set(struct catalogue_txn *t, const char *kind, const char *name, const struct catalogue_value *values,
                  uint32_t n_values)
{
	struct catalogue_slot *slot = existing(t, kind, name);
	return slot ? change(t, slot, slot->object, values, n_values) : ERR_NOENT;
}

int catalogue_replace(struct catalogue_txn *t, struct catalogue_slot *slot, const struct catalogue_value *values,
                      uint32_t n_values)
{
	struct catalogue_object blank = *slot->object;
	blank.n_values = 0;
	return change(t, slot, &blank, values, n_values);
}

int catalogue_delete(struct catalogue_txn *t, const char *kind, const char *name)
{
	struct catalogue_slot *slot = existing(t, kind, name);
	if (!slot)
		return ERR_NOENT;
	*slot = t->slots[--t->n_slots];
	return 0;
}

static const struct catalogue_object *find_id(const struct catalogue_view *v, uint64_t id)
{
	for (uint32_t i = 0; i < v->n_objects; i++)
		if (v->objects[i]->id == id)
			return v->objects[i];
	return NULL;
}

/* Deletions last kind first, then creations and changes in order. false from fn ends it. */
typedef bool each_fn(void *arg, const struct catalogue_change *change);

static void each_change(const struct catalogue_view *from, const struct catalogue_view *to, each_fn *fn, void *arg)
{
	bool more = true;
	for (uint32_t i = from->n_objects; i > 0 && more; i--) {
		struct catalogue_change c = {.before = from->objects[i - 1]};
		if (!find_id(to, c.before->id))
			more = fn(arg, &c);
	}
	for (uint32_t i = 0; i < to->n_objects && more; i++) {
		struct catalogue_change c = {.after = to->objects[i]};
		c.before = find_id(from, c.after->id);
		if (!c.before || !catalogue_object_equal(c.before, c.after))
			more = fn(arg, &c);
	}
}

static int check_reference(struct catalogue_txn *t, const struct catalogue_object *o, const struct catalogue_field *f)
{
	const char *target = catalogue_get(o, f->name);
	if (f->type != CATALOGUE_REF || !target || catalogue_slot_find(t, f->arg, target))
		return 0;
	if (catalogue_find(t->base, f->arg, target)) {
		catalogue_error_set(t->error, "%s %s is in use: %s %s refers to it; delete that first", f->arg, target,
		                    o->kind->name, o->name);
		return ERR_BUSY;
	}
	catalogue_error_set(t->error, "%s %s: there is no %s named \"%.200s\"", o->kind->name, o->name, f->arg, target);
	return ERR_NOENT;
}

static int check_references(struct catalogue_txn *t)
{
	for (uint32_t i = 0; i < t->n_slots; i++) {
		const struct catalogue_object *o = t->slots[i].object;
		for (uint32_t j = 0; j < o->kind->n_fields; j++) {
			int err = check_reference(t, o, &o->kind->fields[j]);
			if (err)
				return err;
		}
	}
	return 0;
}

/* The hook's progress through a transaction, so that as much can be undone. */
struct progress {
	struct catalogue_txn *t;
	uint32_t n_done;
	uint32_t n_undo; /* while undoing: how many are left */
	int err;
};

static bool make_change(void *arg, const struct catalogue_change *c)
{
	struct progress *p = arg;
	const struct catalogue_hooks *h = &p->t->catalogue->hooks;
	if (h->change)
		p->err = h->change(h->arg, c, p->t->error);
	if (p->err && !p->t->error->text[0]) {
		const struct catalogue_object *o = c->after ? c->after : c->before;
		catalogue_error_set(p->t->error, "%s %s: %s", o->kind->name, o->name, err_text(p->err));
	}
	p->n_done += !p->err;
	return !p->err;
}

struct nth {
	uint32_t left;
	struct catalogue_change change;
};

static bool take_nth(void *arg, const struct catalogue_change *c)
{
	struct nth *n = arg;
	n->change = *c;
	return n->left-- > 0;
}

static void undo(struct progress *p, const struct catalogue_view *to)
{
	const struct catalogue_hooks *h = &p->t->catalogue->hooks;
	for (; p->n_done > 0; p->n_done--) {
		struct nth n = {.left = p->n_done - 1};
		struct catalogue_error why = {""};
		each_change(p->t->base, to, take_nth, &n);
		struct catalogue_change back = {.before = n.change.after, .after = n.change.before};
		int err = h->change ? h->change(h->arg, &back, &why) : 0;
		if (err)
			log_error("could not undo a change: %s: %s", why.text, err_text(err));
	}
}

static bool note_change(void *arg, const struct catalogue_change *c)
{
	*(bool *)arg = true;
	return false;
}

static int commit_view(struct catalogue_txn *t, struct catalogue_view **v)
{
	struct catalogue *c = t->catalogue;
	struct progress p = {.t = t};
	bool any = false;
	each_change(t->base, *v, note_change, &any);
	if (!any)
		return 0;
	each_change(t->base, *v, make_change, &p);
	if (!p.err)
		p.err = catalogue_store_save(c->dir, *v, t->error);
	if (p.err) {
		undo(&p, *v);
		return p.err;
	}
	uint64_t generation = (*v)->generation;
	catalogue_publish(c, v);
	if (c->hooks.committed)
		c->hooks.committed(c->hooks.arg, generation);
	return 0;
}

static struct catalogue_view *next_view(const struct catalogue_txn *t)
{
	struct catalogue_view *v = catalogue_view_create(t->base->generation + 1, t->next_id);
	if (v && catalogue_view_fill(v, t->slots, t->n_slots)) {
		catalogue_view_put(v);
		return NULL;
	}
	return v;
}

int catalogue_commit(struct catalogue_txn **txn)
{
	struct catalogue_txn *t = *txn;
	int err = t->err ? t->err : check_references(t);
	if (!err) {
		struct catalogue_view *v = next_view(t);
		err = v ? commit_view(t, &v) : ERR_NOMEM;
		catalogue_view_put(v);
	}
	if (err && !t->error->text[0])
		catalogue_error_set(t->error, "%s", err_text(err));
	catalogue_abort(txn);
	return err;
}

struct report {
	catalogue_change_fn *fn;
	void *arg;
};

static bool report_change(void *arg, const struct catalogue_change *c)
{
	struct report *r = arg;
	r->fn(r->arg, c);
	return true;
}

void catalogue_changes(const struct catalogue_txn *t, catalogue_change_fn *fn, void *arg)
{
	struct report r = {fn, arg};
	struct catalogue_view *v = next_view(t);
	if (!v)
		return;
	each_change(t->base, v, report_change, &r);
	catalogue_view_put(v);
}
