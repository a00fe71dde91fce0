/*
 * The catalogue's mounts in the VFS. A change is made before it is recorded and undone when the transaction fails;
 * what daemons need to know of the catalogue they read through the ring.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "chimerad/chimerad.h"

LOG_MODULE("chimerad");

static bool is_read_only(const struct catalogue_object *o)
{
	return strcmp(catalogue_get(o, "read_only"), "yes") == 0;
}

/* What the kind's table doesn't know is for the backend. */
static bool is_option(const struct catalogue_object *o, const char *key)
{
	for (uint32_t i = 0; i < o->kind->n_fields; i++)
		if (strcmp(o->kind->fields[i].name, key) == 0)
			return false;
	return true;
}

static void collect_options(const struct catalogue_object *o, struct vfs_option options[CATALOGUE_FIELDS_MAX + 1])
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < o->n_values && n < CATALOGUE_FIELDS_MAX; i++)
		if (is_option(o, o->values[i].key))
			options[n++] = (struct vfs_option){o->values[i].key, o->values[i].value};
	options[n] = (struct vfs_option){NULL, NULL};
}

/* A server's own directory is nobody's: paths of stores are absolute. */
static int check_paths(const struct vfs_mount_spec *spec, char **why)
{
	const struct backend_ops *b = backend_find(spec->backend);
	for (const struct backend_option *known = b ? b->options : NULL; known && known->key; known++) {
		for (const struct vfs_option *o = spec->options; o->key; o++) {
			if (strcmp(known->type, "path") != 0 || strcmp(known->key, o->key) != 0 || *o->value == '/')
				continue;
			if (asprintf(why, "option '%s' is '%s'; it has to be an absolute path", o->key, o->value) < 0)
				*why = NULL;
			return ERR_INVAL;
		}
	}
	return 0;
}

static int mount_object(struct chimerad *d, const struct catalogue_object *o, char **why)
{
	struct vfs_option options[CATALOGUE_FIELDS_MAX + 1];
	struct vfs_mount_spec spec = {
		.id = (uint32_t)o->id, .name = o->name, .backend = catalogue_get(o, "backend"),
		.read_only = is_read_only(o), .options = options,
	};

	collect_options(o, options);
	int err = check_paths(&spec, why);
	return err ? err : vfs_mount(d->vfs, &spec, why);
}

void chimerad_mount_all(struct chimerad *d)
{
	struct catalogue_view *v = catalogue_view(d->catalogue);
	const struct catalogue_object *o = NULL;

	while ((o = catalogue_next(v, "mount", o))) {
		CLEANUP_FREE char *why = NULL;
		int err = mount_object(d, o, &why);
		if (err)
			log_error("mount \"%s\" is not available: %s", o->name, why ? why : err_text(err));
	}
	catalogue_view_put(v);
}

/* ---- changes ----------------------------------------------------------------------------- */

static int add_mount(struct chimerad *d, const struct catalogue_object *o, struct catalogue_error *error)
{
	CLEANUP_FREE char *why = NULL;
	int err = mount_object(d, o, &why);
	if (err)
		catalogue_error_set(error, "mount \"%.200s\" cannot be opened: %.250s", o->name, why ? why : err_text(err));
	return err;
}

/* One that could not be opened at the start is in the catalogue only. */
static int drop_mount(struct chimerad *d, const struct catalogue_object *o, struct catalogue_error *error)
{
	int err = vfs_unmount(d->vfs, o->name);
	if (err && err != ERR_NOENT)
		catalogue_error_set(error, "mount \"%.200s\" cannot be closed: %s", o->name, err_text(err));
	return err == ERR_NOENT ? 0 : err;
}

static bool same_option(const struct catalogue_object *o, const struct catalogue_value *v)
{
	for (uint32_t i = 0; i < o->n_values; i++)
		if (strcmp(o->values[i].key, v->key) == 0)
			return strcmp(o->values[i].value, v->value) == 0;
	return false;
}

static bool has_all_options(const struct catalogue_object *a, const struct catalogue_object *of)
{
	for (uint32_t i = 0; i < of->n_values; i++)
		if (is_option(of, of->values[i].key) && !same_option(a, &of->values[i]))
			return false;
	return true;
}

struct read_only_change {
	const char *name;
	bool read_only;
};

static bool set_read_only(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	const struct read_only_change *c = arg;
	if (strcmp(m->name, c->name) != 0)
		return true;
	m->read_only = c->read_only;
	return false;
}

/* Whether it may be written changes in place; a backend's options hold from the next start. */
static int change_mount(struct chimerad *d, const struct catalogue_change *change)
{
	struct read_only_change c = {change->after->name, is_read_only(change->after)};

	vfs_each_mount(d->vfs, set_read_only, &c);
	if (!has_all_options(change->before, change->after) || !has_all_options(change->after, change->before))
		log_notice("the new options of mount \"%s\" hold when it is opened next", c.name);
	return 0;
}

static int on_change(void *arg, const struct catalogue_change *change, struct catalogue_error *error)
{
	const struct catalogue_object *o = change->after ? change->after : change->before;

	if (strcmp(o->kind->name, "mount") != 0)
		return 0;
	if (!change->before)
		return add_mount(arg, change->after, error);
	if (!change->after)
		return drop_mount(arg, change->before, error);
	return change_mount(arg, change);
}

static void on_committed(void *arg, uint64_t generation)
{
	struct chimerad *d = arg;
	const struct op_event event = {.type = OP_EVENT_CATALOGUE, .value = generation};
	vfs_broadcast(d->vfs, &event);
}

/* ---- what daemons ask: catalogue_scan, client_report --------------------------------------- */

static uint64_t current_generation(void *arg)
{
	struct catalogue_view *v = catalogue_view(((struct chimerad *)arg)->catalogue);
	uint64_t generation = catalogue_generation(v);
	catalogue_view_put(v);
	return generation;
}

static void put_pair(struct bytes *out, struct op_object *head, const char *key, const char *value)
{
	if (!value)
		return;
	bytes_put(out, key, strlen(key) + 1);
	bytes_put(out, value, strlen(value) + 1);
	head->n_fields++;
}

/* One op_object record: its name and every field, with defaults, then the backend's options. */
static void put_object(struct bytes *out, const struct catalogue_object *o)
{
	static const char zeros[8];
	struct op_object head = {.id = o->id};
	size_t start = out->size;

	bytes_put(out, &head, sizeof(head));
	put_pair(out, &head, "name", o->name);
	for (uint32_t i = 0; i < o->kind->n_fields; i++)
		put_pair(out, &head, o->kind->fields[i].name, catalogue_get(o, o->kind->fields[i].name));
	for (uint32_t i = 0; i < o->n_values; i++)
		if (is_option(o, o->values[i].key))
			put_pair(out, &head, o->values[i].key, o->values[i].value);
	bytes_put(out, zeros, ALIGN_UP(out->size, (size_t)8) - out->size);
	if (bytes_failed(out))
		return;
	head.record_size = (uint32_t)(out->size - start);
	memcpy(out->data + start, &head, sizeof(head));
}

static size_t room_of(const struct vfs_payload *p)
{
	size_t n = 0;
	for (int i = 0; i < p->n_iov; i++)
		n += p->iov[i].iov_len;
	return n;
}

static void copy_out(const struct bytes *from, struct vfs_payload *room)
{
	size_t done = 0;
	for (int i = 0; i < room->n_iov && done < from->size; i++) {
		size_t n = MIN(room->iov[i].iov_len, from->size - done);
		memcpy(room->iov[i].iov_base, from->data + done, n);
		done += n;
	}
}

static int scan_view(const struct catalogue_view *v, const char *kind, uint64_t after, size_t room,
                     struct bytes *out, struct op_catalogue_scan_out *answer)
{
	const struct catalogue_object *o;

	while ((o = catalogue_next_id(v, kind, after))) {
		size_t before = out->size;
		put_object(out, o);
		if (bytes_failed(out))
			return out->err;
		if (out->size > room) {
			out->size = before;
			return answer->n_objects ? 0 : ERR_TOOSMALL;
		}
		after = o->id;
		answer->n_objects++;
	}
	answer->eof = 1;
	return 0;
}

static int catalogue_scan(void *arg, const char *kind, uint64_t after, struct vfs_payload *room,
                          struct op_catalogue_scan_out *answer)
{
	struct chimerad *d = arg;
	struct bytes out;

	if (!catalogue_kind(kind))
		return ERR_NOENT;
	bytes_init(&out, 0);
	struct catalogue_view *v = catalogue_view(d->catalogue);
	answer->generation = catalogue_generation(v);
	int err = scan_view(v, kind, after, room_of(room), &out, answer);
	catalogue_view_put(v);
	if (!err) {
		copy_out(&out, room);
		answer->size = (uint32_t)out.size;
	}
	bytes_fini(&out);
	return err;
}

static int client_report(void *arg, struct vfs_session *s, const char *client, const char *text, uint32_t size)
{
	return chimerad_clients_report(((struct chimerad *)arg)->clients, s, client, text, size);
}

void chimerad_follow_catalogue(struct chimerad *d)
{
	const struct vfs_hooks vfs_hooks = {catalogue_scan, client_report, current_generation, d};
	const struct catalogue_hooks hooks = {on_change, on_committed, d};

	vfs_set_hooks(d->vfs, &vfs_hooks);
	catalogue_set_hooks(d->catalogue, &hooks);
}
