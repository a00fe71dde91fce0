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
#include "base/cleanup.h"
#include "tests/crash/power/usage.h"
#include "tests/crash/power/workload.h"

/* In a snapshot, above is what tells it from others. */
#define SNAPSHOT_FILEID_BITS 44

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
	struct op_handle root;     /* of the store or a snapshot */
	uint64_t fileid_mask;      /* what of their fileids is the same in a snapshot */
	bool muted;       /* what is wrong is counted alone */
	bool quiet;       /* why a state does not fit is not told yet */
	uint8_t *bytes;   /* FILE_MAX */
	struct seen streams[N_OBJECTS]; /* of the state that was looked at last */
};

static bool bad(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool bad(struct check *c, const char *format, ...)
{
	va_list ap;
	if (c->quiet)
		return false;
	c->n_bad++;
	if (c->muted)
		return false;
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
		int err = rig_lookup(c->rig, &c->root, shared[dir]);
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

static bool acl_fits(struct check *c, const struct object *o, const struct seen *s, const char *where)
{
	CLEANUP_FREE struct acl *acl = NULL;
	int err = rig_get_acl(c->rig, &s->handle, &acl);
	const struct acl *wanted = o->acl ? acl_of(o->acl) : NULL;
	if (err)
		return bad(c, "%s: its ACL: %s", where, err_text(err));
	if (!acl != !wanted || !(s->attr.flags & ATTR_HAS_ACL) != !wanted)
		return bad(c, "%s: there is %s ACL", where, acl ? "an" : "no");
	if (wanted && (acl->size != wanted->size || memcmp(acl->bytes, wanted->bytes, acl->size) != 0))
		return bad(c, "%s: another ACL, of %u entries, not %u", where, acl_count(acl), acl_count(wanted));
	return true;
}

static bool owner_fits(struct check *c, const struct object *o, const struct op_attr *a, const char *where)
{
	if (a->uid != o->uid || a->gid != o->gid || a->project != o->project)
		return bad(c, "%s: owner %u, group %u, project %u, not %u, %u, %u", where, a->uid, a->gid, a->project, o->uid, o->gid,
		           o->project);
	return a->dos == o->dos || bad(c, "%s: DOS attributes %x, not %x", where, a->dos, o->dos);
}

static bool object_fits(struct check *c, const struct object *o, const struct seen *s, const char *where)
{
	char target[256], wanted[64];
	const struct op_attr *a = &s->attr;
	if (a->type != o->type || (o->fileid && (a->fileid & c->fileid_mask) != o->fileid))
		return bad(c, "%s: another object: type %u, inode %llu, not %u, %llu", where, a->type, (unsigned long long)a->fileid,
		           o->type, (unsigned long long)o->fileid);
	if (!owner_fits(c, o, a, where))
		return false;
	if (o->type == OP_TYPE_SYMLINK) {
		target_of(o->seed, wanted);
		int err = rig_readlink(c->rig, &s->handle, target, sizeof(target));
		return (!err && strcmp(target, wanted) == 0) || bad(c, "%s: the link leads to '%s' (%s)", where, target, err_text(err));
	}
	if (a->mode != o->mode)
		return bad(c, "%s: mode %o, not %o", where, a->mode, o->mode);
	if (o->type == OP_TYPE_FILE && a->nlink != o->n_links)
		return bad(c, "%s: %u links, not %u", where, a->nlink, o->n_links);
	if (!acl_fits(c, o, s, where))
		return false;
	for (unsigned i = 0; o->type == OP_TYPE_FILE && i < N_XATTRS; i++)
		if (!xattr_fits(c, s, i, o->xattrs[i]))
			return false;
	return true;
}

/* ---- streams */

struct stream_listing {
	struct check *check;
	struct seen rows[N_STREAMS];
};

static void note_stream(void *arg, const struct op_dirent *d, const char *name)
{
	struct stream_listing *l = arg;
	char wanted[16];
	for (unsigned i = 0; i < N_STREAMS; i++) {
		stream_name(i, wanted);
		if (strcmp(name, wanted) == 0)
			l->rows[i] = (struct seen){true, d->attr, d->obj};
	}
}

static bool streams_fit(struct check *c, const struct object *o, const struct seen *s, const char *where)
{
	struct stream_listing l = {.check = c};
	int err = rig_list_streams(c->rig, &s->handle, note_stream, &l);
	if (err)
		return bad(c, "%s: its streams: %s", where, err_text(err));
	for (unsigned i = 0; i < N_STREAMS; i++) {
		const struct seen *row = &l.rows[i];
		if (row->there != (o->streams[i] != 0))
			return bad(c, "%s: stream %u is %sthere", where, i, row->there ? "" : "not ");
		if (row->there)
			c->streams[o->streams[i]] = *row;
	}
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
	if (first)
		return true;
	const struct object *o = &n->objects[obj];
	return object_fits(c, o, s, where) && (o->type != OP_TYPE_FILE || streams_fit(c, o, s, where));
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
	memset(c->streams, 0, sizeof(c->streams));
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
		const struct seen *s = c->streams[i].there ? &c->streams[i] : places->of[i];
		if (!s)
			continue;
		if (n->objects[i].type == OP_TYPE_FILE && !content_fits(c, i, s, &latest))
			continue;
		if (s->attr.mask & ATTR_CHANGE)
			check_change(c, i, s, latest && latest_names);
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

/* Why none of them fits. */
static void tell_states(struct check *c, const struct part *p, struct names *n)
{
	struct places places;
	*n = p->floor;
	for (uint32_t i = 0; i <= p->pending.n; i++) {
		names_fit(c, n, &places);
		if (i == p->pending.n)
			break;
		const struct step *s = p->pending.list[i].step;
		bad(c, "(and before %s of object %u%s)", step_name(s), s->obj, s == p->under_way ? ", which was under way" : "");
		names_step(n, s);
	}
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
	if (found < 0)
		tell_states(c, p, n);
	else if (names_fit(c, n, &places))
		check_contents(c, n, &places, found >= (int)n_told(c, &p->pending));
	free(n);
}

static void check_all(struct check *c, const struct model *m, const struct op_handle *root)
{
	c->model = m;
	c->root = *root;
	memset(c->sights, 0, sizeof(c->sights));
	if (look(c))
		for (c->worker = 0; c->worker < WORKERS; c->worker++)
			check_part(c);
}

/* A rolling back that was under way has happened or not. */
static void check_store(struct check *c, const struct model *m)
{
	if (m->rolling_back) {
		c->muted = true;
		check_all(c, m->snapshots[m->rolling_back->slot].view, &c->rig->root);
		c->muted = false;
		if (c->n_bad == 0)
			return;
	}
	c->n_bad = 0;
	check_all(c, m, &c->rig->root);
}

/* ---- limits, usage and size */

static bool limit_fits(const struct op_quota_limit *have, const struct op_quota_limit *want)
{
	return have->soft == want->soft && have->hard == want->hard && have->grace == want->grace &&
	       (have->until == 0 || want->soft);
}

static bool limits_fit(struct check *c, const struct names *n, unsigned kind, unsigned i)
{
	const struct step *s = &n->limits[kind][i];
	struct op_quota have = {.kind = kind, .id = id_of(c->worker, i)}, want = have;
	if (s->kind == STEP_SET_QUOTA)
		want = quota_of(s);
	int err = rig_get_quota(c->rig, &have);
	if (err)
		return (err == ERR_NOENT && !want.bytes.hard) || bad(c, "limits of kind %u, id %u: %s", kind, want.id, err_text(err));
	return (limit_fits(&have.bytes, &want.bytes) && limit_fits(&have.inodes, &want.inodes)) ||
	       bad(c, "limits of kind %u, id %u are others", kind, want.id);
}

static bool all_limits_fit(struct check *c, const struct names *n)
{
	for (unsigned i = 0; i < QUOTA_N_KINDS * N_IDS; i++)
		if (!limits_fit(c, n, i / N_IDS, i % N_IDS))
			return false;
	return true;
}

/* As after one of the steps that are open; rolling back does not touch them. */
static void check_limits(struct check *c, const struct part *p)
{
	struct names *n = malloc(sizeof(*n));
	bool found = false;
	*n = p->floor;
	c->quiet = true;
	for (uint32_t i = 0; i <= p->pending.n && !found; i++) {
		found = all_limits_fit(c, n);
		if (i < p->pending.n && p->pending.list[i].step->kind == STEP_SET_QUOTA)
			names_step(n, p->pending.list[i].step);
	}
	c->quiet = false;
	if (!found)
		all_limits_fit(c, n);
	free(n);
}

static void check_capacity(struct check *c, const struct model *m)
{
	uint64_t have, floor = m->capacity ? m->capacity : STORE_MIB, maybe = m->growing ? m->growing->size : floor;
	int err = rig_capacity(c->rig, &have);
	if (err || (have != floor << 20 && have != maybe << 20))
		bad(c, "the store has a capacity of %llu bytes (%s)", (unsigned long long)have, err_text(err));
}

static void check_care(struct check *c, const struct model *m)
{
	struct scrub_state scrub;
	const struct usage nothing = {.n_bad = 0};
	for (c->worker = 0; c->worker < WORKERS; c->worker++)
		check_limits(c, &m->parts[c->worker]);
	check_capacity(c, m);
	rig_scrub_state(c->rig, &scrub);
	if (!m->scrub_failed && (scrub.bad_records || scrub.bad_bytes || scrub.run == SCRUB_FAILED))
		bad(c, "the scrub has found damage: %s", scrub.last_bad);
	if (!usage_fits(c->rig, &nothing))
		bad(c, "usage");
}

/* ---- snapshots */

static void note_snapshot(void *arg, const char *name, bool whole)
{
	bool *there = arg;
	char wanted[16];
	for (unsigned i = 0; i < N_SNAPSHOTS; i++) {
		snapshot_name(i, wanted);
		there[i] |= whole && strcmp(name, wanted) == 0;
	}
}

static void check_snapshot(struct check *c, const struct model *view, unsigned slot)
{
	char name[16];
	uint32_t before = c->n_bad;
	snapshot_name(slot, name);
	int err = rig_lookup(c->rig, &c->rig->root, ".snapshot");
	struct op_handle all = c->rig->made;
	if (!err)
		err = rig_lookup(c->rig, &all, name);
	struct op_handle root = c->rig->made;
	if (err) {
		bad(c, "snapshot %u: %s", slot, err_text(err));
		return;
	}
	c->fileid_mask = (1ULL << SNAPSHOT_FILEID_BITS) - 1;
	check_all(c, view, &root);
	if (c->n_bad > before)
		fprintf(stderr, "(in snapshot %u)\n", slot);
}

/* Which are there, and what one of them holds: to look into all takes long. */
static void check_snapshots(struct check *c, const struct model *m)
{
	static unsigned turn;
	bool there[N_SNAPSHOTS] = {false};
	unsigned looked_into = turn++ % N_SNAPSHOTS;
	int err = rig_list_snapshots(c->rig, note_snapshot, there);
	if (err)
		bad(c, "the snapshots cannot be listed: %s", err_text(err));
	for (unsigned i = 0; !err && i < N_SNAPSHOTS; i++) {
		const struct model_snapshot *snap = &m->snapshots[i];
		if (snap->presence != SNAPSHOT_MAYBE && there[i] != (snap->presence == SNAPSHOT_THERE))
			bad(c, "snapshot %u is %sthere", i, there[i] ? "" : "not ");
		if (there[i] && i == looked_into)
			check_snapshot(c, snap->view, i);
	}
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
	c->fileid_mask = UINT64_MAX;
	c->bytes = malloc(FILE_MAX);
	if (ready) {
		check_store(c, m);
		check_snapshots(c, m);
		if (c->n_bad == 0)
			check_care(c, m);
	}
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
