/*
 * The catalogue: what an admin creates, changes and removes while the server runs - mounts and exports,
 * later shares, buckets, users, keys. Objects of a kind have a name, a persistent id that is never given
 * to another, and fields; kinds and fields are rows of tables (kinds.c), from which validation, chimeractl,
 * help and man pages come.
 *
 * Changes are transactions: all of it or nothing, durable in the state directory before commit returns
 * (kill -9 at any instant leaves the old or the new generation). What is current is an immutable view,
 * which any thread may read; transactions run in fibers of one loop, one at a time.
 */
#ifndef CATALOGUE_CATALOGUE_H
#define CATALOGUE_CATALOGUE_H

#include "base/bytes.h"
#include "base/compiler.h"

#define CATALOGUE_NAME_MAX 1024   /* bytes of an object's name */
#define CATALOGUE_VALUE_MAX 16384 /* bytes of one field's value */
#define CATALOGUE_FIELDS_MAX 64   /* fields set in one object */

enum catalogue_type {
	CATALOGUE_TEXT,
	CATALOGUE_BOOL,   /* kept as "yes" or "no" */
	CATALOGUE_NUMBER, /* decimal, at most 2^63 - 1 */
	CATALOGUE_SIZE,   /* bytes, as "4G" is parsed */
	CATALOGUE_PATH,   /* absolute, no "." or ".." components */
	CATALOGUE_REF,    /* the name of an object of kind `arg`, which can't be deleted meanwhile */
	CATALOGUE_RULES,  /* client rules, separated by blanks: catalogue/export-rule.h */
};

enum catalogue_field_flags {
	CATALOGUE_REQUIRED = 1, /* has no default */
	CATALOGUE_FIXED = 2,    /* can't be changed once the object exists */
	CATALOGUE_LIST = 4,     /* items separated by blanks; chimeractl takes one option per item */
};

struct catalogue_field {
	const char *name;
	enum catalogue_type type;
	unsigned int flags;
	const char *otherwise; /* the default, as text; NULL if required */
	const char *arg;       /* CATALOGUE_REF: the other kind */
	const char *option;    /* chimeractl's option without dashes, when it is not the name */
	const char *metavar;   /* what chimeractl's help calls the value */
	const char *help;      /* one sentence */
};

struct catalogue_kind {
	const char *name; /* "mount" */
	const char *help;
	bool name_is_path; /* "/data"; otherwise letters, digits, "-", "_" and "." */
	bool has_options;  /* takes further fields, which the server's hook judges: the backend's options */
	const struct catalogue_field *fields;
	uint32_t n_fields;
};

/* The kinds, those that others refer to first. Rows begin with their name (str_nearest()). */
extern const struct catalogue_kind catalogue_kinds[];
extern const uint32_t catalogue_n_kinds;

const struct catalogue_kind *catalogue_kind(const char *name); /* NULL: none */

struct catalogue_value {
	const char *key;
	const char *value; /* catalogue_set(): NULL, back to the default */
};

struct catalogue_object {
	const struct catalogue_kind *kind;
	uint64_t id;
	const char *name;
	const struct catalogue_value *values; /* those that were set; catalogue_get() knows the defaults */
	uint32_t n_values;
};

/* catalogue_get() - the field's value or its default; NULL: there is no such field, or option not set. */
const char *catalogue_get(const struct catalogue_object *o, const char *field);

/* ---- views: any thread, never park ------------------------------------------------------ */

struct catalogue;
struct catalogue_view;

/* catalogue_view() - the current generation, with a reference. Its objects live until the put. */
struct catalogue_view *catalogue_view(struct catalogue *c);
void catalogue_view_put(struct catalogue_view *v);
uint64_t catalogue_generation(const struct catalogue_view *v);
/* catalogue_next() - in order of kind and name; after NULL: the first. kind NULL: of every kind. */
const struct catalogue_object *catalogue_next(const struct catalogue_view *v, const char *kind,
                                              const struct catalogue_object *after);
const struct catalogue_object *catalogue_find(const struct catalogue_view *v, const char *kind, const char *name);
/* catalogue_next_id() - the object of that kind with the smallest id greater than after. */
const struct catalogue_object *catalogue_next_id(const struct catalogue_view *v, const char *kind, uint64_t after);

/* ---- the catalogue itself: one loop, from fibers ----------------------------------------- */

/* Why something failed: a sentence without a full stop, naming the object. */
struct catalogue_error {
	char text[512];
};

void catalogue_error_set(struct catalogue_error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* One object's change: create has no before, delete no after. */
struct catalogue_change {
	const struct catalogue_object *before;
	const struct catalogue_object *after;
};

struct catalogue_hooks {
	/*
	 * Makes a valid change happen (mounts a store, drops a client's rights) before it is recorded. An error
	 * vetoes the transaction; changes of it that were made already are then made backwards, by the same
	 * function with before and after exchanged. Deletions come first, users before what they use. May park.
	 */
	int (*change)(void *arg, const struct catalogue_change *change, struct catalogue_error *error);
	/* A new generation is current and durable. Must not park. */
	void (*committed)(void *arg, uint64_t generation);
	void *arg;
};

/*
 * catalogue_open() - loads what state_dir holds, or starts empty. When the newest generation is damaged
 * the one before it is used and the log says so; ERR_IO when none can be read. The hooks are not called for
 * what is loaded: the caller walks the view, and sets the hooks when it is done. Parks.
 */
int catalogue_open(struct catalogue **c, const char *state_dir, struct catalogue_error *error);
void catalogue_set_hooks(struct catalogue *c, const struct catalogue_hooks *hooks);
void catalogue_close(struct catalogue *c);

struct catalogue_txn;

/*
 * catalogue_begin() - waits for other transactions; ERR_NOMEM. Edits check what one object can show and give
 * ERR_INVAL, ERR_NOENT, ERR_EXIST; commit checks the whole: ERR_BUSY when a deleted object is still
 * referred to, ERR_NOENT for a reference to nothing, or what the hook answered. After an error only
 * abort is useful. Commit and abort end the transaction and null *t; commit parks.
 */
int catalogue_begin(struct catalogue *c, struct catalogue_txn **t, struct catalogue_error *error);
int catalogue_create(struct catalogue_txn *t, const char *kind, const char *name,
                     const struct catalogue_value *values, uint32_t n_values);
int catalogue_set(struct catalogue_txn *t, const char *kind, const char *name,
                  const struct catalogue_value *values, uint32_t n_values);
int catalogue_delete(struct catalogue_txn *t, const char *kind, const char *name);
int catalogue_commit(struct catalogue_txn **t);
void catalogue_abort(struct catalogue_txn **t);
/* catalogue_find_new() - an object as the transaction would leave it. catalogue_changes() - all that differ. */
const struct catalogue_object *catalogue_find_new(const struct catalogue_txn *t, const char *kind, const char *name);
typedef void catalogue_change_fn(void *arg, const struct catalogue_change *change);
void catalogue_changes(const struct catalogue_txn *t, catalogue_change_fn *fn, void *arg);

/* ---- as text: apply, diff, export-config -------------------------------------------------- */

/* catalogue_print() - INI that catalogue_edit() reads back: "[export /data]", then the fields that are set. */
void catalogue_print(const struct catalogue_view *v, struct bytes *out);
/*
 * catalogue_edit() - edits t so that the objects that the INI text names are as it says; with prune, no others
 * are left. ERR_INVAL with the line in the error.
 */
int catalogue_edit(struct catalogue_txn *t, const char *text, size_t size, bool prune);

#endif
