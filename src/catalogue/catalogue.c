/*
 * Views: an immutable array of objects in one arena, counted, swapped as a whole. Readers take a
 * reference under a spin lock held for an instant; nothing else is shared between threads.
 */
#include "catalogue/catalogue.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "catalogue/catalogue-impl.h"

LOG_MODULE("catalogue");

void catalogue_error_set(struct catalogue_error *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

const char *catalogue_get(const struct catalogue_object *o, const char *key)
{
	for (uint32_t i = 0; i < o->n_values; i++)
		if (strcmp(o->values[i].key, key) == 0)
			return o->values[i].value;
	const struct catalogue_field *f = catalogue_field(o->kind, key);
	return f ? f->otherwise : NULL;
}

bool catalogue_object_equal(const struct catalogue_object *a, const struct catalogue_object *b)
{
	if (a->id != b->id || a->n_values != b->n_values)
		return false;
	for (uint32_t i = 0; i < a->n_values; i++) {
		const char *other = catalogue_get(b, a->values[i].key);
		if (!other || strcmp(a->values[i].value, other) != 0)
			return false;
	}
	return true;
}

struct catalogue_object *catalogue_object_copy(struct arena *a, const struct catalogue_object *o)
{
	struct catalogue_object *copy = arena_dup(a, o, sizeof(*o));
	struct catalogue_value *values = arena_alloc(a, MAX(o->n_values, 1U) * sizeof(values[0]));
	if (!copy || !values)
		return NULL;
	copy->name = arena_strndup(a, o->name, SIZE_MAX);
	copy->values = values;
	for (uint32_t i = 0; i < o->n_values; i++) {
		values[i].key = arena_strndup(a, o->values[i].key, SIZE_MAX);
		values[i].value = arena_strndup(a, o->values[i].value, SIZE_MAX);
		if (!values[i].key || !values[i].value)
			return NULL;
	}
	return copy->name ? copy : NULL;
}

struct catalogue_view *catalogue_view_create(uint64_t generation, uint64_t next_id)
{
	struct catalogue_view *v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	v->n_refs = 1;
	v->generation = generation;
	v->next_id = next_id;
	arena_init(&v->arena, NULL, 0, 0);
	return v;
}

static int compare(const void *a, const void *b)
{
	const struct catalogue_object *x = *(const struct catalogue_object *const *)a;
	const struct catalogue_object *y = *(const struct catalogue_object *const *)b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->name, y->name);
}

int catalogue_view_fill(struct catalogue_view *v, const struct catalogue_slot *slots, uint32_t n)
{
	v->objects = arena_alloc(&v->arena, MAX(n, 1U) * sizeof(v->objects[0]));
	if (!v->objects)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		v->objects[i] = catalogue_object_copy(&v->arena, slots[i].object);
		if (!v->objects[i])
			return ERR_NOMEM;
	}
	v->n_objects = n;
	qsort(v->objects, n, sizeof(v->objects[0]), compare);
	return 0;
}

struct catalogue_view *catalogue_view(struct catalogue *c)
{
	spin_lock(&c->lock);
	struct catalogue_view *v = c->view;
	__atomic_add_fetch(&v->n_refs, 1, __ATOMIC_RELAXED);
	spin_unlock(&c->lock);
	return v;
}

void catalogue_view_put(struct catalogue_view *v)
{
	if (!v || __atomic_sub_fetch(&v->n_refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	arena_fini(&v->arena);
	free(v);
}

void catalogue_publish(struct catalogue *c, struct catalogue_view **v)
{
	spin_lock(&c->lock);
	struct catalogue_view *old = c->view;
	c->view = TAKE(*v);
	spin_unlock(&c->lock);
	catalogue_view_put(old);
}

uint64_t catalogue_generation(const struct catalogue_view *v)
{
	return v->generation;
}

const struct catalogue_object *catalogue_next(const struct catalogue_view *v, const char *kind,
                                              const struct catalogue_object *after)
{
	for (uint32_t i = 0; i < v->n_objects; i++) {
		const struct catalogue_object *o = v->objects[i];
		if (kind && strcmp(o->kind->name, kind) != 0)
			continue;
		if (!after || compare(&o, &after) > 0)
			return o;
	}
	return NULL;
}

const struct catalogue_object *catalogue_find(const struct catalogue_view *v, const char *kind, const char *name)
{
	struct catalogue_object key = {.kind = catalogue_kind(kind), .name = name};
	const struct catalogue_object *at = &key;
	if (!key.kind || v->n_objects == 0)
		return NULL;
	const struct catalogue_object **found = bsearch(&at, v->objects, v->n_objects, sizeof(v->objects[0]), compare);
	return found ? *found : NULL;
}

const struct catalogue_object *catalogue_next_id(const struct catalogue_view *v, const char *kind, uint64_t after)
{
	const struct catalogue_object *best = NULL;
	for (uint32_t i = 0; i < v->n_objects; i++) {
		const struct catalogue_object *o = v->objects[i];
		if (o->id > after && (!best || o->id < best->id) && strcmp(o->kind->name, kind) == 0)
			best = o;
	}
	return best;
}

int catalogue_open(struct catalogue **out, const char *state_dir, struct catalogue_error *error)
{
	struct catalogue *c = calloc(1, sizeof(*c));
	error->text[0] = '\0';
	if (!c)
		return ERR_NOMEM;
	int err = file_open(&c->dir, AT_FDCWD, state_dir, O_RDONLY | O_DIRECTORY, 0);
	if (err)
		catalogue_error_set(error, "can't open the state directory %s: %s", state_dir, err_text(err));
	else
		err = catalogue_store_load(c->dir, &c->view, error);
	if (err) {
		catalogue_close(c);
		return err;
	}
	log_info("generation %llu: %u objects", (unsigned long long)c->view->generation, c->view->n_objects);
	*out = c;
	return 0;
}

void catalogue_set_hooks(struct catalogue *c, const struct catalogue_hooks *hooks)
{
	c->hooks = *hooks;
}

void catalogue_close(struct catalogue *c)
{
	if (!c)
		return;
	catalogue_view_put(c->view);
	if (c->dir)
		file_close(c->dir);
	free(c);
}
