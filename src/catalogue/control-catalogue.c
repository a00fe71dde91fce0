/*
 * The verbs of catalogue objects, the same for every kind: what differs is in the kinds' tables. Each kind
 * gets its rows of verbs at registration.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "catalogue/catalogue-impl.h"
#include "catalogue/control.h"

/* Keys of a request that are not fields. */
static const char *const reserved[] = {"noun", "verb", "name", "if-exists", "if-not-exists", "cascade"};

static bool is_reserved(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(reserved[i], key) == 0)
			return true;
	return false;
}

static void write_list(struct json *j, const char *key, const char *value)
{
	json_array(j, key);
	while (*(value += strspn(value, " \t"))) {
		size_t n = strcspn(value, " \t");
		json_strn(j, NULL, value, n);
		value += n;
	}
	json_end(j);
}

static void write_field(struct json *j, const struct catalogue_field *f, const char *value)
{
	uint64_t number;
	if (!value)
		json_null(j, f->name);
	else if (f->flags & CATALOGUE_LIST)
		write_list(j, f->name, value);
	else if (f->type == CATALOGUE_BOOL)
		json_bool(j, f->name, strcmp(value, "yes") == 0);
	else if (f->type == CATALOGUE_NUMBER && str_parse_u64(value, 0, INT64_MAX, &number) == 0)
		json_u64(j, f->name, number);
	else if (f->type == CATALOGUE_SIZE && str_parse_size(value, &number) == 0)
		json_u64(j, f->name, number);
	else
		json_str(j, f->name, value);
}

static void write_object(struct json *j, const struct catalogue_object *o)
{
	json_object(j, NULL);
	json_str(j, "name", o->name);
	json_u64(j, "id", o->id);
	for (uint32_t i = 0; i < o->kind->n_fields; i++)
		write_field(j, &o->kind->fields[i], catalogue_get(o, o->kind->fields[i].name));
	if (o->kind->has_options) {
		json_object(j, "options");
		for (uint32_t i = 0; i < o->n_values; i++)
			if (!catalogue_field(o->kind, o->values[i].key))
				json_str(j, o->values[i].key, o->values[i].value);
		json_end(j);
	}
	json_end(j);
}

static int list(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct catalogue_view *v = catalogue_view(arg);
	json_array(&reply->json, NULL);
	for (const struct catalogue_object *o = NULL; (o = catalogue_next(v, rq->noun, o));)
		write_object(&reply->json, o);
	json_end(&reply->json);
	catalogue_view_put(v);
	return 0;
}

static int need_name(const struct control_request *rq, struct control_reply *reply)
{
	if (rq->name)
		return 0;
	catalogue_error_set(&reply->error, "%s %s needs a name", rq->noun, rq->verb);
	return ERR_INVAL;
}

static int write_named(struct catalogue *c, const struct control_request *rq, struct control_reply *reply)
{
	struct catalogue_view *v = catalogue_view(c);
	const struct catalogue_object *o = catalogue_find(v, rq->noun, rq->name);
	if (o)
		write_object(&reply->json, o);
	else
		catalogue_error_set(&reply->error, "there is no %s named \"%.200s\"", rq->noun, rq->name);
	catalogue_view_put(v);
	return o ? 0 : ERR_NOENT;
}

static int show(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	int err = need_name(rq, reply);
	return err ? err : write_named(arg, rq, reply);
}

/* The request's fields as values. An empty text takes a field back to its default. */
struct values {
	struct catalogue_value items[CATALOGUE_FIELDS_MAX];
	uint32_t n_items;
	struct arena arena;
};

static int add_value(struct values *v, const struct catalogue_kind *kind, const struct control_pair *pair)
{
	const struct catalogue_field *f = catalogue_field(kind, pair->key);
	for (uint32_t i = 0; i < v->n_items; i++) {
		struct catalogue_value *item = &v->items[i];
		if (strcmp(item->key, pair->key) != 0)
			continue;
		bool joins = f && (f->flags & CATALOGUE_LIST) && item->value;
		item->value = joins ? arena_printf(&v->arena, "%s %s", item->value, pair->value) : pair->value;
		return item->value ? 0 : ERR_NOMEM;
	}
	if (v->n_items == CATALOGUE_FIELDS_MAX)
		return ERR_NOSPC;
	v->items[v->n_items++] = (struct catalogue_value){pair->key, *pair->value ? pair->value : NULL};
	return 0;
}

static int collect(struct values *v, const struct control_request *rq)
{
	const struct catalogue_kind *kind = catalogue_kind(rq->noun);
	int err = 0;
	arena_init(&v->arena, NULL, 0, 1 << 20);
	for (uint32_t i = 0; i < rq->n_args && !err; i++)
		if (!is_reserved(rq->args[i].key))
			err = add_value(v, kind, &rq->args[i]);
	return err;
}

typedef int edit_fn(struct catalogue_txn *t, const struct control_request *rq, const struct values *v);

static int edit_create(struct catalogue_txn *t, const struct control_request *rq, const struct values *v)
{
	if (control_arg(rq, "if-not-exists") && catalogue_find_new(t, rq->noun, rq->name))
		return 0;
	return catalogue_create(t, rq->noun, rq->name, v->items, v->n_items);
}

static int edit_set(struct catalogue_txn *t, const struct control_request *rq, const struct values *v)
{
	if (control_arg(rq, "if-exists") && !catalogue_find_new(t, rq->noun, rq->name))
		return 0;
	return catalogue_set(t, rq->noun, rq->name, v->items, v->n_items);
}

static int edit_delete(struct catalogue_txn *t, const struct control_request *rq, const struct values *v)
{
	if (control_arg(rq, "if-exists") && !catalogue_find_new(t, rq->noun, rq->name))
		return 0;
	return catalogue_delete(t, rq->noun, rq->name);
}

static int transact(struct catalogue *c, const struct control_request *rq, struct control_reply *reply, edit_fn *fn)
{
	struct catalogue_txn *t = NULL;
	struct values *v = calloc(1, sizeof(*v));
	int err = v ? need_name(rq, reply) : ERR_NOMEM;
	if (!err)
		err = collect(v, rq);
	if (!err)
		err = catalogue_begin(c, &t, &reply->error);
	if (!err)
		err = fn(t, rq, v);
	if (!err)
		err = catalogue_commit(&t);
	catalogue_abort(&t);
	if (v)
		arena_fini(&v->arena);
	free(v);
	return err;
}

static int create(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	int err = transact(arg, rq, reply, edit_create);
	return err ? err : write_named(arg, rq, reply);
}

static int set(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	int err = transact(arg, rq, reply, edit_set);
	if (!err && write_named(arg, rq, reply))
		json_null(&reply->json, NULL);
	return err;
}

static int delete(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	int err = transact(arg, rq, reply, edit_delete);
	if (!err)
		json_null(&reply->json, NULL);
	return err;
}

static void write_field_change(struct json *j, const char *key, const struct catalogue_change *c)
{
	const char *from = c->before ? catalogue_get(c->before, key) : NULL;
	const char *to = c->after ? catalogue_get(c->after, key) : NULL;
	if ((!from && !to) || (from && to && strcmp(from, to) == 0))
		return;
	json_object(j, NULL);
	json_str(j, "field", key);
	json_str(j, "from", from);
	json_str(j, "to", to);
	json_end(j);
}

/* Each field that either side has set, once. */
static void write_change(void *arg, const struct catalogue_change *c)
{
	struct json *j = arg;
	const struct catalogue_object *o = c->after ? c->after : c->before, *old = c->after ? c->before : NULL;
	json_object(j, NULL);
	json_str(j, "action", !c->before ? "create" : !c->after ? "delete" : "set");
	json_str(j, "kind", o->kind->name);
	json_str(j, "name", o->name);
	json_array(j, "fields");
	for (uint32_t i = 0; i < o->n_values; i++)
		write_field_change(j, o->values[i].key, c);
	for (uint32_t i = 0; old && i < old->n_values; i++) {
		uint32_t k = 0;
		while (k < o->n_values && strcmp(o->values[k].key, old->values[i].key) != 0)
			k++;
		if (k == o->n_values)
			write_field_change(j, old->values[i].key, c);
	}
	json_end(j);
	json_end(j);
}

static int edit_by_text(struct catalogue *c, const struct control_request *rq, struct control_reply *reply, bool keep)
{
	struct catalogue_txn *t = NULL;
	const char *text = control_arg(rq, "text");
	if (!text)
		return ERR_INVAL;
	int err = catalogue_begin(c, &t, &reply->error);
	if (!err)
		err = catalogue_edit(t, text, strlen(text), control_arg(rq, "prune") != NULL);
	if (!err) {
		json_array(&reply->json, NULL);
		catalogue_changes(t, write_change, &reply->json);
		json_end(&reply->json);
	}
	if (!err && keep)
		err = catalogue_commit(&t);
	catalogue_abort(&t);
	return err;
}

static int apply(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	return edit_by_text(arg, rq, reply, control_arg(rq, "dry-run") == NULL);
}

static int diff(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	return edit_by_text(arg, rq, reply, false);
}

static int export_text(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct catalogue_view *v = catalogue_view(arg);
	struct bytes text;
	bytes_init(&text, 0);
	catalogue_print(v, &text);
	json_object(&reply->json, NULL);
	json_u64(&reply->json, "generation", catalogue_generation(v));
	json_str(&reply->json, "text", bytes_str(&text));
	json_end(&reply->json);
	catalogue_view_put(v);
	int err = text.err;
	bytes_fini(&text);
	return err;
}

static const struct control_verb text_verbs[] = {
	{"catalogue", "apply", apply},
	{"catalogue", "diff", diff},
	{"catalogue", "export", export_text},
};

#define OBJECT_VERBS(kind)                                                                              \
	{kind, "list", list}, {kind, "show", show}, {kind, "create", create}, {kind, "set", set},       \
		{kind, "delete", delete}

static const struct control_verb object_verbs[] = {OBJECT_VERBS("mount"), OBJECT_VERBS("export")};

int control_register_catalogue(struct control *ctl, struct catalogue *c)
{
	int err = control_register(ctl, text_verbs, ARRAY_SIZE(text_verbs), c);
	return err ? err : control_register(ctl, object_verbs, ARRAY_SIZE(object_verbs), c);
}
