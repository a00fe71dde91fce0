/*
 * What steps do to owners, DOS attributes, ACLs and limits. What follows from an ACL - modes, and what heirs get - is
 * computed by op/acl.h, which has tests of its own: here it matters that it lasts.
 */
#include <stdlib.h>
#include <string.h>

#include "op/acl.h"
#include "op/attr.h"
#include "tests/crash/power/draw.h"
#include "tests/crash/power/model.h"

#define ACLS_MAX 16384u
#define LARGE_ACES 120u

/* ---- ACLs: each different one once, as a number */

static struct acl *acls[ACLS_MAX];
static uint32_t n_acls = 1;

static uint32_t number_of(struct acl *acl)
{
	for (uint32_t i = 1; i < n_acls; i++) {
		if (acls[i]->size == acl->size && memcmp(acls[i]->bytes, acl->bytes, acl->size) == 0) {
			free(acl);
			return i;
		}
	}
	if (n_acls == ACLS_MAX)
		abort();
	acls[n_acls] = acl;
	return n_acls++;
}

const struct acl *acl_of(uint32_t number)
{
	return acls[number];
}

static struct ace draw_ace(uint64_t *random, bool dir)
{
	static const uint8_t sid[] = {1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 7, 1, 0, 0};
	struct ace ace = {.type = draw(random, 3) ? ACE_ALLOW : ACE_DENY, .who = (uint8_t)(WHO_OWNER + draw(random, 6))};
	ace.mask = (uint32_t)draw_u64(random) & ACE_MASK_ALL;
	ace.flags = dir && draw(random, 2) ? (uint16_t)(draw_u64(random) & ACE_FLAGS_INHERIT) : 0;
	if (ace.who >= WHO_UID)
		ace.id = id_of(draw(random, WORKERS), draw(random, N_IDS));
	if (ace.who == WHO_SID) {
		ace.id = sizeof(sid);
		ace.sid = sid;
	}
	return ace;
}

struct acl *draw_acl(uint32_t seed, bool dir)
{
	uint64_t random = seed;
	uint32_t n = draw(&random, 6) ? 1 + draw(&random, 6) : LARGE_ACES;
	struct acl_builder b;
	struct acl *acl;
	acl_begin(&b, draw(&random, 4));
	for (uint32_t i = 0; i < n; i++) {
		struct ace ace = draw_ace(&random, dir);
		acl_add(&b, &ace);
	}
	if (acl_end(&b, &acl))
		abort();
	return acl;
}

static void chmod_object(struct object *o, uint32_t mode)
{
	struct acl *acl;
	o->mode = mode;
	if (o->acl == 0)
		return;
	if (acl_chmod(acl_of(o->acl), mode, o->type == OP_TYPE_DIR, &acl))
		abort();
	o->acl = number_of(acl);
}

void object_inherits(struct object *o, const struct object *dir)
{
	struct acl *acl = NULL;
	o->project = dir->project;
	if (dir->acl == 0 || o->type == OP_TYPE_SYMLINK)
		return;
	if (acl_inherit(acl_of(dir->acl), o->type == OP_TYPE_DIR, &acl))
		abort();
	if (!acl)
		return;
	o->acl = number_of(acl);
	chmod_object(o, o->mode);
}

/* ---- attributes */

struct op_attr draw_attr(const struct step *s)
{
	uint64_t random = s->seed;
	struct op_attr a = {.mask = ATTR_MODE, .mode = s->seed & 0777};
	if (s->kind == STEP_CHMOD)
		return a;
	static const uint64_t choices[] = {ATTR_UID, ATTR_GID, ATTR_PROJECT, ATTR_DOS, ATTR_UID | ATTR_GID, ATTR_UID | ATTR_MODE,
	                                   ATTR_PROJECT | ATTR_DOS, ATTR_UID | ATTR_GID | ATTR_PROJECT | ATTR_DOS | ATTR_MODE};
	a.mask = choices[draw(&random, ARRAY_SIZE(choices))];
	a.uid = draw(&random, 4) ? id_of(s->worker, draw(&random, N_IDS)) : 0;
	a.gid = draw(&random, 4) ? id_of(s->worker, draw(&random, N_IDS)) : 0;
	a.project = draw(&random, 3) ? id_of(s->worker, draw(&random, N_IDS)) : 0;
	a.dos = (uint32_t)draw_u64(&random) & DOS_SETTABLE;
	return a;
}

void attr_step(struct object *o, const struct step *s)
{
	struct op_attr a = draw_attr(s);
	struct acl *acl;
	if (s->kind == STEP_REMOVE_ACL)
		o->acl = 0;
	if (s->kind == STEP_SET_ACL) {
		acl = draw_acl(s->seed, o->type == OP_TYPE_DIR);
		o->mode = acl_mode(acl);
		o->acl = number_of(acl);
	}
	if (s->kind != STEP_CHMOD && s->kind != STEP_SET_ATTR)
		return;
	if (a.mask & ATTR_MODE)
		chmod_object(o, a.mode);
	o->uid = a.mask & ATTR_UID ? a.uid : o->uid;
	o->gid = a.mask & ATTR_GID ? a.gid : o->gid;
	o->project = a.mask & ATTR_PROJECT ? a.project : o->project;
	o->dos = a.mask & ATTR_DOS ? a.dos : o->dos;
}

/* ---- limits */

uint32_t id_of(unsigned worker, unsigned i)
{
	return FIRST_ID + worker * N_IDS + i;
}

/* Hard limits that nothing here meets; soft ones that are passed, with a grace that does not end. */
static struct op_quota_limit draw_limit(uint64_t *random, uint64_t small, uint64_t hard)
{
	struct op_quota_limit l = {.soft = 1 + draw(random, (uint32_t)small)};
	l.soft = draw(random, 4) ? l.soft : 0;
	l.hard = draw(random, 2) ? hard + draw(random, 1000) : 0;
	l.grace = draw(random, 2) ? 100000 + draw(random, 100000) : 0;
	return l;
}

struct op_quota quota_of(const struct step *s)
{
	uint64_t random = s->seed;
	struct op_quota q = {.kind = s->slot, .id = id_of(s->worker, s->to_slot)};
	if (s->seed == 0)
		return q;
	q.bytes = draw_limit(&random, 300000, 1ULL << 30);
	q.inodes = draw_limit(&random, 6, 100000);
	/* Something is limited: without, there is nothing to keep. */
	q.bytes.hard = q.bytes.hard ? q.bytes.hard : 1ULL << 31;
	return q;
}
