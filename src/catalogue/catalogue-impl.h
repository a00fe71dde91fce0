/*
 * What the catalogue's own files share: the view's memory, the transaction, and the seams between
 * model (catalogue.c, catalogue-txn.c), tables (kinds.c), text (catalogue-text.c) and disk (catalogue-store.c).
 */
#ifndef CATALOGUE_CATALOGUE_IMPL_H
#define CATALOGUE_CATALOGUE_IMPL_H

#include "base/arena.h"
#include "base/spinlock.h"
#include "catalogue/catalogue.h"
#include "loop/loop.h"

struct catalogue_view {
	uint32_t n_refs; /* atomic */
	uint32_t n_objects;
	uint64_t generation;
	uint64_t next_id;
	struct arena arena;                       /* holds the objects */
	const struct catalogue_object **objects;  /* in order of kind and name */
};

struct catalogue {
	struct spinlock lock;          /* guards `view` */
	struct catalogue_view *view;
	struct fiber_mutex txn_lock;   /* held from begin to commit or abort */
	struct catalogue_hooks hooks;
	struct file *dir;              /* the state directory */
};

struct catalogue_slot {
	struct catalogue_object *object;
	bool named; /* by the text being applied: not pruned */
};

struct catalogue_txn {
	struct catalogue *catalogue;
	struct catalogue_view *base;
	struct catalogue_error *error;
	struct arena arena;            /* holds what was edited */
	struct catalogue_slot *slots;  /* unordered */
	uint32_t n_slots, n_slots_max;
	uint64_t next_id;
	int err;                       /* first failure: commit refuses */
};

/* -- kinds.c: nothing parks ---------------------------------------------------------------- */

const struct catalogue_field *catalogue_field(const struct catalogue_kind *kind, const char *name);
/* catalogue_check_name(), catalogue_check_value() - ERR_INVAL and the sentence. */
int catalogue_check_name(const struct catalogue_kind *kind, const char *name, struct catalogue_error *error);
int catalogue_check_value(const struct catalogue_kind *kind, const char *name, const struct catalogue_value *v,
                          struct catalogue_error *error);
/* catalogue_check_required() - every required field is set. */
int catalogue_check_required(const struct catalogue_object *o, struct catalogue_error *error);

/* -- catalogue.c ---------------------------------------------------------------------------- */

struct catalogue_view *catalogue_view_create(uint64_t generation, uint64_t next_id);
/* catalogue_object_copy() - into the arena; NULL: no memory. */
struct catalogue_object *catalogue_object_copy(struct arena *a, const struct catalogue_object *o);
/* catalogue_view_fill() - copies n objects and orders them. */
int catalogue_view_fill(struct catalogue_view *v, const struct catalogue_slot *slots, uint32_t n);
void catalogue_publish(struct catalogue *c, struct catalogue_view **v);
bool catalogue_object_equal(const struct catalogue_object *a, const struct catalogue_object *b);

/* -- catalogue-txn.c ------------------------------------------------------------------------- */

struct catalogue_slot *catalogue_slot_find(const struct catalogue_txn *t, const char *kind, const char *name);
/* catalogue_replace() - the object's set fields become exactly these. */
int catalogue_replace(struct catalogue_txn *t, struct catalogue_slot *slot, const struct catalogue_value *values,
                      uint32_t n_values);

/* -- catalogue-store.c: park ------------------------------------------------------------------ */

/* catalogue_store_load() - the newest readable generation; an empty view when there is none. */
int catalogue_store_load(struct file *dir, struct catalogue_view **v, struct catalogue_error *error);
/* catalogue_store_save() - durable when it returns 0; the generation before it stays readable. */
int catalogue_store_save(struct file *dir, const struct catalogue_view *v, struct catalogue_error *error);
/* The file's text, for the two above and for tests. */
void catalogue_store_encode(const struct catalogue_view *v, struct bytes *out);
int catalogue_store_decode(char *text, size_t size, struct catalogue_view **v, struct catalogue_error *error);

#endif
