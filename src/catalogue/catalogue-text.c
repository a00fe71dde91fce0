/*
 * The catalogue as INI: printing what is set, and editing a transaction towards what a text says. A
 * section is one object; its lines are gathered and applied when the next begins.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/ini.h"
#include "base/str.h"
#include "catalogue/catalogue-impl.h"

/* A list goes on in indented lines, so that no line gets too long. */
static void print_value(const struct catalogue_kind *kind, const struct catalogue_value *v, struct bytes *out)
{
	const struct catalogue_field *f = catalogue_field(kind, v->key);
	bytes_printf(out, "%s = ", v->key);
	for (const char *p = v->value; *p; p++) {
		if (f && (f->flags & CATALOGUE_LIST) && *p == ' ')
			bytes_puts(out, "\n\t");
		else
			bytes_putc(out, *p);
	}
	bytes_putc(out, '\n');
}

void catalogue_print(const struct catalogue_view *v, struct bytes *out)
{
	for (uint32_t i = 0; i < v->n_objects; i++) {
		const struct catalogue_object *o = v->objects[i];
		bytes_printf(out, "%s[%s %s]\n", i ? "\n" : "", o->kind->name, o->name);
		for (uint32_t j = 0; j < o->n_values; j++)
			print_value(o->kind, &o->values[j], out);
	}
}

struct edit {
	struct catalogue_txn *t;
	char kind[64];
	char name[CATALOGUE_NAME_MAX + 1];
	uint32_t section_line;
	bool open; /* a section has begun */
	struct catalogue_value values[CATALOGUE_FIELDS_MAX];
	uint32_t n_values;
};

static int at_line(struct edit *e, uint32_t line, int err)
{
	struct catalogue_error inner = *e->t->error;
	if (err)
		catalogue_error_set(e->t->error, "line %u: %.480s", line, inner.text[0] ? inner.text : err_text(err));
	return err;
}

static int apply_section(struct edit *e)
{
	if (!e->open)
		return 0;
	struct catalogue_slot *slot = catalogue_slot_find(e->t, e->kind, e->name);
	int err = 0;
	if (slot && slot->named) {
		catalogue_error_set(e->t->error, "%s %s is there twice", e->kind, e->name);
		err = ERR_INVAL;
	} else if (slot) {
		err = catalogue_replace(e->t, slot, e->values, e->n_values);
	} else {
		err = catalogue_create(e->t, e->kind, e->name, e->values, e->n_values);
		slot = err ? NULL : catalogue_slot_find(e->t, e->kind, e->name);
	}
	if (slot && !err)
		slot->named = true;
	e->open = false;
	return at_line(e, e->section_line, err);
}

static int begin_section(struct edit *e, const struct ini_line *at)
{
	const char *blank = strchr(at->section, ' ');
	size_t n = blank ? (size_t)(blank - at->section) : 0;
	e->section_line = at->line;
	e->n_values = 0;
	if (!blank || n >= sizeof(e->kind)) {
		catalogue_error_set(e->t->error, "a section is named [KIND NAME], such as [mount scratch]");
		return at_line(e, at->line, ERR_INVAL);
	}
	memcpy(e->kind, at->section, n);
	e->kind[n] = '\0';
	e->open = true;
	int err = str_copy(e->name, sizeof(e->name), blank + 1);
	if (err || !catalogue_kind(e->kind)) {
		const char *nearest = str_nearest(e->kind, catalogue_kinds, catalogue_n_kinds, sizeof(catalogue_kinds[0]));
		catalogue_error_set(e->t->error, "unknown kind of object \"%s\"%s%s%s", e->kind, nearest ? "; nearest is \"" : "",
		                    nearest ? nearest : "", nearest ? "\"" : "");
		return at_line(e, at->line, ERR_INVAL);
	}
	return 0;
}

static int continue_value(struct edit *e, const struct ini_line *at)
{
	struct catalogue_value *v = &e->values[e->n_values - 1];
	v->value = arena_printf(&e->t->arena, "%s%s%s", v->value, *v->value ? " " : "", at->value);
	return v->value ? 0 : ERR_NOMEM;
}

static int add_value(struct edit *e, const struct ini_line *at)
{
	struct catalogue_value *v = &e->values[e->n_values];
	if (e->n_values == CATALOGUE_FIELDS_MAX) {
		catalogue_error_set(e->t->error, "too many fields");
		return ERR_INVAL;
	}
	for (uint32_t i = 0; i < e->n_values; i++) {
		if (strcmp(e->values[i].key, at->key) == 0) {
			catalogue_error_set(e->t->error, "%s is set twice", at->key);
			return ERR_INVAL;
		}
	}
	v->key = arena_strndup(&e->t->arena, at->key, SIZE_MAX);
	v->value = arena_strndup(&e->t->arena, at->value, SIZE_MAX);
	e->n_values++;
	return v->key && v->value ? 0 : ERR_NOMEM;
}

static int take_line(void *arg, const struct ini_line *at)
{
	struct edit *e = arg;
	if (!at->key) {
		int err = apply_section(e);
		return err ? err : begin_section(e, at);
	}
	if (!e->open) {
		catalogue_error_set(e->t->error, "%s stands before the first section", at->key);
		return at_line(e, at->line, ERR_INVAL);
	}
	return at_line(e, at->line, at->continued ? continue_value(e, at) : add_value(e, at));
}

static void drop_unnamed(struct catalogue_txn *t)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < t->n_slots; i++)
		if (t->slots[i].named)
			t->slots[kept++] = t->slots[i];
	t->n_slots = kept;
}

int catalogue_edit(struct catalogue_txn *t, const char *text, size_t size, bool prune)
{
	struct edit *e = calloc(1, sizeof(*e));
	struct ini_error where;
	if (!e)
		return ERR_NOMEM;
	e->t = t;
	for (uint32_t i = 0; i < t->n_slots; i++)
		t->slots[i].named = false;
	int err = ini_parse_text(text, size, take_line, e, &where);
	if (err && where.what)
		catalogue_error_set(t->error, "line %u: %s", where.line, where.what);
	if (!err)
		err = apply_section(e);
	if (!err && prune)
		drop_unnamed(t);
	if (err && !t->err)
		t->err = err;
	free(e);
	return err;
}
