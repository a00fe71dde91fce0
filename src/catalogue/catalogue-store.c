/*
 * The disk: two files, catalogue.0 and catalogue.1, take turns. A generation is written beside,
 * synced, and renamed over the older of the two, so the last generation is intact until the new one is
 * durable. The text is lines; values have what is not printable, and %, as %XX:
 *
 *	chimera-catalogue 1
 *	generation 12 next-id 5
 *	object KIND ID NAME
 *	field KEY VALUE
 *	end XXH3-of-all-before-this-line
 */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "catalogue/catalogue-impl.h"

LOG_MODULE("catalogue");

#define STORE_SIZE_MAX (64U << 20)
#define STORE_MAGIC "chimera-catalogue 1"

static const char *const file_names[] = {"catalogue.0", "catalogue.1"};

static void put_escaped(struct bytes *out, const char *s)
{
	if (!*s)
		bytes_puts(out, "%");
	for (; *s; s++) {
		if (*s == '%' || !isgraph((unsigned char)*s))
			bytes_printf(out, "%%%02x", (unsigned char)*s);
		else
			bytes_putc(out, *s);
	}
}

void catalogue_store_encode(const struct catalogue_view *v, struct bytes *out)
{
	bytes_printf(out, STORE_MAGIC "\ngeneration %" PRIu64 " next-id %" PRIu64 "\n", v->generation, v->next_id);
	for (uint32_t i = 0; i < v->n_objects; i++) {
		const struct catalogue_object *o = v->objects[i];
		bytes_printf(out, "object %s %" PRIu64 " ", o->kind->name, o->id);
		put_escaped(out, o->name);
		bytes_putc(out, '\n');
		for (uint32_t j = 0; j < o->n_values; j++) {
			bytes_printf(out, "field %s ", o->values[j].key);
			put_escaped(out, o->values[j].value);
			bytes_putc(out, '\n');
		}
	}
	bytes_printf(out, "end %016" PRIx64 "\n", hash_bytes(bytes_str(out), out->size));
}

struct decoder {
	char *rest;
	uint32_t line;
	struct catalogue_view *view;
	struct catalogue_slot *slots;
	uint32_t n_slots, n_slots_max;
	struct catalogue_value *values; /* of the last object, CATALOGUE_FIELDS_MAX of them */
	const char *what;               /* what was wrong; NULL: nothing yet */
};

static void *bad(struct decoder *d, const char *what)
{
	if (!d->what)
		d->what = what;
	return NULL;
}

static int hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : -1;
}

/* In place. A lone % is the empty string. */
static bool unescape(char *s)
{
	char *to = s;
	if (strcmp(s, "%") == 0) {
		*s = '\0';
		return true;
	}
	for (; *s; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		if (hex(s[1]) < 0 || hex(s[2]) < 0 || (hex(s[1]) | hex(s[2])) == 0)
			return false;
		*to++ = (char)(hex(s[1]) << 4 | hex(s[2]));
		s += 2;
	}
	*to = '\0';
	return true;
}

static char *next_word(struct decoder *d, char **line)
{
	char *word = str_next(line, ' ');
	return word && *word ? word : bad(d, "a line is cut short");
}

static bool grow_slots(struct decoder *d)
{
	if (d->n_slots < d->n_slots_max)
		return true;
	uint32_t n = MAX(d->n_slots_max * 2, 64U);
	struct catalogue_slot *more = realloc(d->slots, n * sizeof(more[0]));
	if (!more)
		return false;
	d->slots = more;
	d->n_slots_max = n;
	return true;
}

static void read_object(struct decoder *d, char *line)
{
	char *kind = next_word(d, &line), *id = next_word(d, &line), *name = next_word(d, &line);
	if (d->what)
		return;
	struct catalogue_object *o = arena_zalloc(&d->view->arena, sizeof(*o));
	d->values = arena_zalloc(&d->view->arena, CATALOGUE_FIELDS_MAX * sizeof(d->values[0]));
	if (!o || !d->values || !grow_slots(d)) {
		bad(d, "out of memory");
		return;
	}
	o->kind = catalogue_kind(kind);
	o->name = name;
	o->values = d->values;
	if (!o->kind)
		bad(d, "unknown kind of object: written by a newer version");
	else if (str_parse_u64(id, 1, d->view->next_id - 1, &o->id))
		bad(d, "an object's id is out of range");
	else if (!unescape(name))
		bad(d, "a name is malformed");
	d->slots[d->n_slots++].object = o;
}

static void read_field(struct decoder *d, char *line)
{
	char *key = next_word(d, &line), *value = next_word(d, &line);
	if (d->what)
		return;
	if (!d->n_slots) {
		bad(d, "a field without an object");
		return;
	}
	struct catalogue_object *o = d->slots[d->n_slots - 1].object;
	if (o->n_values == CATALOGUE_FIELDS_MAX || !unescape(value)) {
		bad(d, "a field is malformed");
		return;
	}
	d->values[o->n_values++] = (struct catalogue_value){key, value};
}

static void read_head(struct decoder *d)
{
	char *magic = str_next(&d->rest, '\n'), *line = str_next(&d->rest, '\n');
	uint64_t generation, next_id;
	int used = 0;
	if (!line || strcmp(magic, STORE_MAGIC) != 0) {
		bad(d, "it is not a catalogue of this version");
		return;
	}
	if (sscanf(line, "generation %" SCNu64 " next-id %" SCNu64 "%n", &generation, &next_id, &used) != 2 ||
	    line[used] || next_id == 0) {
		bad(d, "its second line is malformed");
		return;
	}
	d->view = catalogue_view_create(generation, next_id);
	if (!d->view)
		bad(d, "out of memory");
	d->line = 2;
}

static void read_objects(struct decoder *d)
{
	while (!d->what && d->rest && *d->rest) {
		char *line = str_next(&d->rest, '\n'), *verb = next_word(d, &line);
		d->line++;
		if (!verb)
			return;
		if (strcmp(verb, "object") == 0)
			read_object(d, line);
		else if (strcmp(verb, "field") == 0)
			read_field(d, line);
		else
			bad(d, "a line is neither object nor field");
	}
}

/* Checks the seal and cuts it off. */
static bool unseal(char *text, size_t size)
{
	char expect[32];
	if (size < 21 || memchr(text, '\0', size))
		return false;
	size_t body = size - 21;
	snprintf(expect, sizeof(expect), "end %016" PRIx64 "\n", hash_bytes(text, body));
	if (memcmp(text + body, expect, 21) != 0)
		return false;
	text[body] = '\0';
	return true;
}

/* text has room for a NUL at its end; what is decoded is copied out of it. */
int catalogue_store_decode(char *text, size_t size, struct catalogue_view **v, struct catalogue_error *error)
{
	struct decoder d = {.rest = text};
	if (!unseal(text, size)) {
		catalogue_error_set(error, "it is cut short or damaged: its checksum does not match");
		return ERR_IO;
	}
	read_head(&d);
	read_objects(&d);
	if (!d.what && catalogue_view_fill(d.view, d.slots, d.n_slots))
		bad(&d, "out of memory");
	free(d.slots);
	if (d.what) {
		catalogue_error_set(error, "line %u: %s", d.line, d.what);
		catalogue_view_put(d.view);
		return ERR_IO;
	}
	*v = d.view;
	return 0;
}

static int read_whole(struct file *f, char **text, size_t *size)
{
	uint64_t n;
	int err = file_size(f, &n);
	if (err || n > STORE_SIZE_MAX)
		return err ? err : ERR_OVERFLOW;
	char *data = malloc(n + 1);
	if (!data)
		return ERR_NOMEM;
	struct iovec iov = {data, n};
	ssize_t got = n ? file_preadv(f, &iov, 1, 0) : 0;
	*text = data;
	*size = got < 0 ? 0 : (size_t)got;
	return got < 0 ? (int)got : 0;
}

/* ERR_NOENT: there is no such file. */
static int load_one(struct file *dir, const char *name, struct catalogue_view **v)
{
	CLEANUP_FREE char *text = NULL;
	struct catalogue_error why = {""};
	struct file *f;
	size_t size = 0;
	int err = file_open(&f, file_fd(dir), name, O_RDONLY, 0);
	if (err == ERR_NOENT)
		return err;
	if (!err) {
		err = read_whole(f, &text, &size);
		file_close(f);
	}
	if (!err)
		err = catalogue_store_decode(text, size, v, &why);
	if (err)
		log_error("%s can't be used: %s", name, why.text[0] ? why.text : err_text(err));
	return err;
}

int catalogue_store_load(struct file *dir, struct catalogue_view **v, struct catalogue_error *error)
{
	struct catalogue_view *found[ARRAY_SIZE(file_names)] = {NULL}, *best = NULL;
	bool damaged = false;
	for (size_t i = 0; i < ARRAY_SIZE(file_names); i++) {
		int err = load_one(dir, file_names[i], &found[i]);
		damaged |= err && err != ERR_NOENT;
		if (found[i] && (!best || found[i]->generation > best->generation))
			best = found[i];
	}
	for (size_t i = 0; i < ARRAY_SIZE(file_names); i++)
		if (found[i] != best)
			catalogue_view_put(found[i]);
	if (best && damaged)
		log_error("the catalogue goes on from generation %" PRIu64, best->generation);
	if (!best && damaged) {
		catalogue_error_set(error, "no generation of the catalogue can be read: restore %s or %s, or move them away "
		                           "to start empty", file_names[0], file_names[1]);
		return ERR_IO;
	}
	*v = best ? best : catalogue_view_create(0, 1);
	return *v ? 0 : ERR_NOMEM;
}

static int write_new(struct file *dir, const char *name, const struct bytes *text)
{
	struct file *f;
	int err = file_open(&f, file_fd(dir), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (err)
		return err;
	struct iovec iov = {text->data, text->size};
	ssize_t n = file_pwritev(f, &iov, 1, 0);
	err = n < 0 ? (int)n : (size_t)n < text->size ? ERR_NOSPC : file_sync(f, false);
	file_close(f);
	return err;
}

int catalogue_store_save(struct file *dir, const struct catalogue_view *v, struct catalogue_error *error)
{
	const char *name = file_names[v->generation % ARRAY_SIZE(file_names)];
	struct bytes text;
	bytes_init(&text, STORE_SIZE_MAX);
	catalogue_store_encode(v, &text);
	int err = text.err;
	if (!err)
		err = write_new(dir, "catalogue.new", &text);
	if (!err)
		err = file_rename(file_fd(dir), "catalogue.new", name);
	if (!err)
		err = file_sync_dir(file_fd(dir));
	bytes_fini(&text);
	if (err)
		catalogue_error_set(error, "can't write %s in the state directory: %s", name, err_text(err));
	return err;
}
