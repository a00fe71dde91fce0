/* See usage.h. The tree is walked, each object counted once; only ids of workers count here. */
#include "tests/crash/power/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define WAIT_MS_MAX 10000
#define ENTRIES_MAX 512u

/* Bytes of a small file and of a link's target lie elsewhere and are less than a block. */
static void add(struct usage *u, const struct op_attr *a, const struct op_attr *owner)
{
	const uint32_t ids[QUOTA_N_KINDS] = {owner->uid, owner->gid, owner->project};
	for (unsigned kind = 0; kind < QUOTA_N_KINDS; kind++) {
		if (ids[kind] < FIRST_ID || ids[kind] >= FIRST_ID + WORKERS * N_IDS)
			continue;
		u->bytes[kind][ids[kind] - FIRST_ID] += a->space / BLOCK * BLOCK;
		u->inodes[kind][ids[kind] - FIRST_ID]++;
	}
}

static void cannot(struct usage *u, const char *what, int err)
{
	u->n_bad++;
	fprintf(stderr, "%s cannot be looked at: %s\n", what, err_text(err));
}

struct adding {
	struct usage *usage;
	const struct op_attr *owner;
};

static void add_stream(void *arg, const struct op_dirent *d, const char *name)
{
	struct adding *a = arg;
	(void)name;
	add(a->usage, &d->attr, a->owner);
}

static void add_with_streams(struct usage *u, struct rig *r, const struct op_handle *obj, const struct op_attr *attr)
{
	struct adding a = {u, attr};
	add(u, attr, attr);
	int err = attr->type == OP_TYPE_FILE ? rig_list_streams(r, obj, add_stream, &a) : 0;
	if (err)
		cannot(u, "streams", err);
}

void usage_add_object(struct usage *u, struct rig *r, const struct op_handle *obj)
{
	int err = rig_getattr(r, obj);
	if (err) {
		cannot(u, "something open", err);
		return;
	}
	struct op_attr attr = r->attr;
	add_with_streams(u, r, obj, &attr);
}

static bool seen(struct usage *u, const struct op_attr *attr)
{
	if (attr->type == OP_TYPE_DIR || attr->nlink == 1)
		return false;
	for (uint32_t i = 0; i < u->n_linked; i++)
		if (u->linked[i] == attr->fileid)
			return true;
	if (u->n_linked == ARRAY_SIZE(u->linked))
		abort();
	u->linked[u->n_linked++] = attr->fileid;
	return false;
}

struct entries {
	struct op_dirent list[ENTRIES_MAX];
	uint32_t n;
};

static void note(void *arg, const struct op_dirent *d, const char *name)
{
	struct entries *e = arg;
	(void)name;
	if (e->n == ENTRIES_MAX)
		abort();
	e->list[e->n++] = *d;
}

/* Directories are not deep here. */
static void add_below(struct usage *u, struct rig *r, const struct op_handle *dir)
{
	struct entries *e = calloc(1, sizeof(*e));
	int err = rig_list(r, dir, note, e);
	if (err)
		cannot(u, "a directory", err);
	for (uint32_t i = 0; i < e->n; i++) {
		const struct op_dirent *d = &e->list[i];
		if (!seen(u, &d->attr))
			add_with_streams(u, r, &d->obj, &d->attr);
		if (d->attr.type == OP_TYPE_DIR)
			add_below(u, r, &d->obj);
	}
	free(e);
}

static bool account_fits(struct rig *r, const struct usage *u, unsigned kind, unsigned i, bool tells)
{
	struct op_quota q = {.kind = kind, .id = FIRST_ID + i};
	int err = rig_get_quota(r, &q);
	if (err)
		q = (struct op_quota){.kind = kind, .id = FIRST_ID + i};
	bool fits = (!err || err == ERR_NOENT) && q.bytes.used == u->bytes[kind][i] && q.inodes.used == u->inodes[kind][i];
	if (!fits && tells)
		fprintf(stderr, "kind %u, id %u has %llu bytes, %llu inodes by its account; %llu, %llu are found (%s)\n", kind, q.id,
		        (unsigned long long)q.bytes.used, (unsigned long long)q.inodes.used, (unsigned long long)u->bytes[kind][i],
		        (unsigned long long)u->inodes[kind][i], err_text(err));
	return fits;
}

static bool all_fit(struct rig *r, const struct usage *besides, bool tells)
{
	struct usage *u = malloc(sizeof(*u));
	*u = *besides;
	add_below(u, r, &r->root);
	bool good = u->n_bad == 0;
	for (unsigned i = 0; i < QUOTA_N_KINDS * WORKERS * N_IDS; i++)
		good = account_fits(r, u, i % QUOTA_N_KINDS, i / QUOTA_N_KINDS, tells) && good;
	free(u);
	return good;
}

bool usage_fits(struct rig *r, const struct usage *besides)
{
	for (int i = 0; i < WAIT_MS_MAX; i++) {
		if (all_fit(r, besides, false))
			return true;
		fiber_sleep_ns(NS_PER_MS);
	}
	return all_fit(r, besides, true);
}
