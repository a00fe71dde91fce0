/*
 * See verify.h. The tree is read once; then each worker's part is compared with the state after the last step that must
 * have lasted, the next one, and so on to the last that had begun, until one fits.
 */
#include "tests/crash/power/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-check.h"
#include "tests/crash/power/workload.h"

/* A name that was found. */
struct seen {
	bool there;
	struct op_attr attr;
	struct op_handle handle;
};

/* Names of one worker: in the shared directories, and in what stands there if it is a directory. */
struct sight {
	struct seen slots[N_SHARED][N_SLOTS];
	struct seen below[N_SHARED][N_SLOTS][N_SLOTS];
};

struct check {
	struct rig *rig;
	const struct model *model;
	struct sight sights[WORKERS];
	uint32_t n_bad;
	/* while one worker's part is looked at */
	unsigned worker;
	bool quiet;       /* why a state does not fit is not told yet */
	uint8_t *bytes;   /* FILE_MAX */
};

static bool bad(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool bad(struct check *c, const char *format, ...)
{
	va_list ap;
	if (c->quiet)
		return false;
	c->n_bad++;
	fprintf(stderr, "worker %u: ", c->worker);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return false;
}

/* ---- looking */

struct listing {
	struct check *check;
	struct seen *rows;     /* of N_SLOTS for the first worker */
	size_t stride;         /* from one worker's to the next, in bytes */
	int only;              /* a worker's own directory; -1: all */
};

static bool parse_name(const char *name, unsigned *worker, unsigned *slot)
{
	char wanted[256];
	if (sscanf(name, "w%u-%u", worker, slot) != 2 || *worker >= WORKERS || *slot >= N_SLOTS)
		return false;
	name_of(*worker, *slot, wanted);
	return strcmp(name, wanted) == 0;
}

static void note_entry(void *arg, const struct op_dirent *d, const char *name)
{
	struct listing *l = arg;
	unsigned worker, slot;
	if (!parse_name(name, &worker, &slot) || (l->only >= 0 && worker != (unsigned)l->only)) {
		bad(l->check, "there is a name '%s' that nobody gave", name);
		return;
	}
	struct seen *s = (struct seen *)((char *)l->rows + worker * l->stride) + slot;
	if (s->there)
		bad(l->check, "the name '%s' is listed twice", name);
	*s = (struct seen){true, d->attr, d->obj};
}

static void list_into(struct check *c, const struct op_handle *dir, struct seen *rows, int only)
{
	struct listing l = {c, rows, sizeof(struct sight), only};
	int err = rig_list(c->rig, dir, note_entry, &l);
	if (err)
		bad(c, "a directory cannot be listed: %s", err_text(err));
}

/* What is listed can be looked up too, and is the same. */
static void look_up(struct check *c, const struct op_handle *dir, unsigned slot, const struct seen *s)
{
	char name[256];
	name_of(c->worker, slot, name);
	int err = rig_lookup(c->rig, dir, name);
	if (err && (s->there || err != ERR_NOENT))
		bad(c, "'%.20s' is %slisted, looking it up says: %s", name, s->there ? "" : "not ", err_text(err));
	if (!err && (!s->there || s->attr.fileid != c->rig->attr.fileid))
		bad(c, "'%.20s' is listed as another object than is found", name);
}

static void look_below(struct check *c, unsigned dir, unsigned slot)
{
	struct sight *sight = &c->sights[c->worker];
	const struct seen *s = &sight->slots[dir][slot];
	if (!s->there || s->attr.type != OP_TYPE_DIR)
		return;
	list_into(c, &s->handle, c->sights[0].below[dir][slot], (int)c->worker);
	for (unsigned i = 0; i < N_SLOTS; i++)
		look_up(c, &s->handle, i, &sight->below[dir][slot][i]);
}

static bool look(struct check *c)
{
	static const char *const shared[N_SHARED] = SHARED_NAMES;
	for (unsigned dir = 0; dir < N_SHARED; dir++) {
		int err = rig_lookup(c->rig, &c->rig->root, shared[dir]);
		if (err)
			return bad(c, "directory %s: %s", shared[dir], err_text(err));
		struct op_handle handle = c->rig->made;
		list_into(c, &handle, c->sights[0].slots[dir], -1);
		for (unsigned i = 0; i < WORKERS * N_SLOTS; i++) {
			c->worker = i / N_SLOTS;
			look_up(c, &handle, i % N_SLOTS, &c->sights[c->worker].slots[dir][i % N_SLOTS]);
			look_below(c, dir, i % N_SLOTS);
		}
	}
	return c->n_bad == 0;
}

/* ---- names and attributes */

static const char *slot_text(unsigned dir, unsigned slot)
{
	static char text[32];
	snprintf(text, sizeof(text), "slot %u of directory %u", slot, dir);
	return text;
}

static bool xattr_fits(struct check *c, const struct seen *s, unsigned i, uint32_t seed)
{
	static uint8_t have[OP_XATTR_MAX], wanted[XATTR_MAX + 1];
	uint32_t size = sizeof(have);
	int err = rig_get_xattr(c->rig, &s->handle, i ? "user.b" : "user.a", have, &size);
	if (err)
		return (err == ERR_NODATA && !seed) || bad(c, "an extended attribute: %s", err_text(err));
	if (!seed)
		return bad(c, "an extended attribute that was never set, or removed");
	fill_bytes(seed, wanted, xattr_size(seed));
	return (size == xattr_size(seed) && memcmp(have, wanted, size) == 0) || bad(c, "an extended attribute has another value");
}

static bool object_fits(struct check *c, const struct object *o, const struct seen *s, const char *where)
{
	char target[256], wanted[64];
	const struct op_attr *a = &s->attr;
	if (a->type != o->type || (o->fileid && a->fileid != o->fileid))
		return bad(c, "%s: another object: type %u, inode %llu, not %u, %llu", where, a->type, (unsigned long long)a->fileid,
		           o->type, (unsigned long long)o->fileid);
	if (o->type == OP_TYPE_SYMLINK) {
		target_of(o->seed, wanted);
		int err = rig_readlink(c->rig, &s->handle, target, sizeof(target));
		return (!err && strcmp(target, wanted) == 0) || bad(c, "%s: the link leads to '%s' (%s)", where, target, err_text(err));
	}
	if (a->mode != o->mode)
		return bad(c, "%s: mode %o, not %o", where, a->mode, o->mode);
	if (o->type == OP_TYPE_FILE && a->nlink != o->n_links)
		return bad(c, "%s: %u links, not %u", where, a->nlink, o->n_links);
	for (unsigned i = 0; o->type == OP_TYPE_FILE && i < N_XATTRS; i++)
		if (!xattr_fits(c, s, i, o->xattrs[i]))
			return false;
	return true;
}

/* Where each object was seen first: objects and inodes are one to one. */
struct places {
	const struct seen *of[N_OBJECTS];
};

static bool slot_fits(struct check *c, const struct names *n, uint16_t obj, const struct seen *s, struct places *places,
                      const char *where)
{
	if (s->there != (obj != NONE))
		return bad(c, "%s: %s", where, s->there ? "there is something" : "there is nothing");
	if (obj == NONE)
		return true;
	const struct seen *first = places->of[obj];
	if (first && first->attr.fileid != s->attr.fileid)
		return bad(c, "%s: two links of one object differ", where);
	for (unsigned i = 0; !first && i < n->n_objects; i++)
		if (places->of[i] && places->of[i]->attr.fileid == s->attr.fileid)
			return bad(c, "%s: two objects are one", where);
	places->of[obj] = first ? first : s;
	return first || object_fits(c, &n->objects[obj], s, where);
}

static bool own_dir_fits(struct check *c, const struct names *n, unsigned own, const struct seen *rows, struct places *places)
{
	for (unsigned i = 0; i < N_SLOTS; i++)
		if (!slot_fits(c, n, n->slots[N_SHARED + own][i], &rows[i], places, slot_text(N_SHARED + own, i)))
			return false;
	return true;
}

static bool names_fit(struct check *c, const struct names *n, struct places *places)
{
	const struct sight *sight = &c->sights[c->worker];
	memset(places, 0, sizeof(*places));
	for (unsigned dir = 0; dir < N_SHARED; dir++) {
		for (unsigned i = 0; i < N_SLOTS; i++) {
			uint16_t obj = n->slots[dir][i];
			if (!slot_fits(c, n, obj, &sight->slots[dir][i], places, slot_text(dir, i)))
				return false;
			if (obj != NONE && n->objects[obj].type == OP_TYPE_DIR &&
			    !own_dir_fits(c, n, n->objects[obj].own, sight->below[dir][i], places))
				return false;
		}
	}
	return true;
}

/* ---- contents */

static bool same_bytes(const struct content *want, const uint8_t *have)
{
	if (want->bytes)
		return memcmp(want->bytes, have, want->size) == 0;
	for (uint32_t i = 0; i < want->size; i++)
		if (have[i])
			return false;
	return true;
}

static void tell_difference(struct check *c, uint16_t obj, const struct data *d, uint32_t size)
{
	uint32_t i = 0;
	while (i < MIN(size, d->now.size) && c->bytes[i] == (d->now.bytes ? d->now.bytes[i] : 0))
		i++;
	bad(c, "object %u has %u bytes that it never had at once (at least %u, now %u; %u steps open; first difference at %u)", obj,
	    size, d->floor.size, d->now.size, d->pending.n, i);
}

/* Of steps that are open, those up to the last that was answered with success. */
static uint32_t n_told(const struct check *c, const struct pending *p)
{
	const struct step *under_way = c->model->parts[c->worker].under_way;
	uint32_t n = p->n;
	while (n && (p->list[n - 1].step == under_way || p->list[n - 1].step->err))
		n--;
	return n;
}

/* After how many of the open steps the bytes are as they are: the largest number. -1: never. */
static int find_content(const struct check *c, const struct data *d, uint32_t size)
{
	struct content state = {.size = 0};
	int found = -1;
	content_set(&state, &d->floor);
	for (uint32_t i = 0; i <= d->pending.n; i++) {
		if (size == state.size && same_bytes(&state, c->bytes))
			found = (int)i;
		if (i < d->pending.n)
			content_step(&state, d->pending.list[i].step, d->pending.list[i].bytes);
	}
	content_free(&state);
	return found;
}

/* *latest: what is there is as after the last step that was answered. */
static bool content_fits(struct check *c, uint16_t obj, const struct seen *s, bool *latest)
{
	const struct data *d = &c->model->parts[c->worker].data[obj];
	uint32_t size;
	int err = rig_read(c->rig, &s->handle, 0, c->bytes, FILE_MAX, &size);
	if (err)
		return bad(c, "object %u cannot be read: %s", obj, err_text(err));
	if (size != s->attr.size)
		return bad(c, "object %u: %u bytes can be read of %llu", obj, size, (unsigned long long)s->attr.size);
	int found = find_content(c, d, size);
	if (found < 0)
		tell_difference(c, obj, d, size);
	*latest = found >= (int)n_told(c, &d->pending);
	return found >= 0;
}

/* A counter that was told of one state is never told of another. */
static void check_change(struct check *c, uint16_t obj, const struct seen *s, bool latest)
{
	const struct data *d = &c->model->parts[c->worker].data[obj];
	uint64_t have = s->attr.change, least = latest ? d->told_max : d->told_max + 1;
	if (d->told_max && have < least)
		bad(c, "object %u: change counter %llu, though %llu was told%s", obj, (unsigned long long)have,
		    (unsigned long long)d->told_max, latest ? "" : " of a state that is gone");
}

static void check_contents(struct check *c, const struct names *n, const struct places *places, bool latest_names)
{
	for (uint16_t i = 0; i < n->n_objects; i++) {
		bool latest = true;
		if (!places->of[i])
			continue;
		if (n->objects[i].type == OP_TYPE_FILE && !content_fits(c, i, places->of[i], &latest))
			continue;
		check_change(c, i, places->of[i], latest && latest_names);
	}
}

/* ---- one worker's part */

/* After how many of the open steps names and attributes are as they are: the largest number. -1: never. *n: as after the last. */
static int find_names(struct check *c, const struct part *p, struct names *n)
{
	struct places places;
	int found = -1;
	*n = p->floor;
	c->quiet = true;
	for (uint32_t i = 0; i <= p->pending.n; i++) {
		if (names_fit(c, n, &places))
			found = (int)i;
		if (i < p->pending.n)
			names_step(n, p->pending.list[i].step);
	}
	c->quiet = false;
	return found;
}

static void check_part(struct check *c)
{
	const struct part *p = &c->model->parts[c->worker];
	struct names *n = malloc(sizeof(*n));
	struct places places;
	int found = find_names(c, p, n);
	if (found >= 0) {
		*n = p->floor;
		for (int i = 0; i < found; i++)
			names_step(n, p->pending.list[i].step);
	}
	if (names_fit(c, n, &places))
		check_contents(c, n, &places, found >= (int)n_told(c, &p->pending));
	else if (p->under_way)
		bad(c, "(with %s under way, %u steps open)", step_name(p->under_way), p->pending.n);
	free(n);
}

static void check_verifier(struct check *c, uint64_t told)
{
	int err = rig_commit(c->rig, &c->rig->root);
	(void)err;
	if (told && c->rig->verifier == told)
		bad(c, "the verifier of unstable writes is the same after a crash");
}

bool verify_store(struct rig *r, const struct model *m, bool ready, uint64_t verifier)
{
	struct check *c = calloc(1, sizeof(*c));
	c->rig = r;
	c->model = m;
	c->bytes = malloc(FILE_MAX);
	if (ready && look(c))
		for (c->worker = 0; c->worker < WORKERS; c->worker++)
			check_part(c);
	if (ready)
		check_verifier(c, verifier);
	bool good = c->n_bad == 0;
	free(c->bytes);
	free(c);
	return good;
}

bool verify_sound(const char *store, bool data)
{
	struct check_options opt = {.path = store, .repair = CHECK_ONLY, .data = data};
	struct check_report report = {.n_found = 0};
	char *why = NULL;
	int err = cairn_check(&opt, &report, &why);
	for (uint32_t i = 0; !err && i < report.n_kept; i++) {
		const struct check_finding *f = &report.findings[i];
		fprintf(stderr, "check: %s, table %s, key %s, inode %llu\n", f->text, f->table ? f->table : "-", f->key ? f->key : "-",
		        (unsigned long long)f->ino);
	}
	if (err)
		fprintf(stderr, "check: %s\n", why ? why : err_text(err));
	bool sound = !err && report.n_found == 0;
	check_report_fini(&report);
	free(why);
	return sound;
}
