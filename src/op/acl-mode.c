/*
 * Between ACLs and modes, and from parents to children. A class of the mode - owner, group, others - has for
 * each of its three bits a set of rights that the bit gives; some rights everybody has, whatever the mode.
 */
#include "op/acl.h"

#include <stdlib.h>

#include "base/err.h"

#define R_RIGHTS (ACE_READ_DATA | ACE_READ_NAMED_ATTRS)
#define W_RIGHTS (ACE_WRITE_DATA | ACE_APPEND_DATA | ACE_WRITE_NAMED_ATTRS)
#define X_RIGHTS ACE_EXECUTE
#define ALWAYS_RIGHTS (ACE_READ_ATTRIBUTES | ACE_READ_ACL | ACE_SYNCHRONIZE)
#define OWNER_RIGHTS (ALWAYS_RIGHTS | ACE_WRITE_ATTRIBUTES | ACE_WRITE_ACL)
#define MODE_RIGHTS (R_RIGHTS | W_RIGHTS | X_RIGHTS | ACE_DELETE_CHILD)

enum { AUTHORITY_WORLD = 1, AUTHORITY_CREATOR = 3, RID_EVERYONE = 0, RID_CREATOR_OWNER = 0, RID_CREATOR_GROUP = 1 };

/* The special identifier of an ACE, 0: none. */
static uint32_t special_of(const struct ace *ace)
{
	if (ace->who <= WHO_EVERYONE)
		return ace->who;
	return acl_sid_is(ace, AUTHORITY_WORLD, RID_EVERYONE) ? WHO_EVERYONE : 0;
}

/* ---- mode of an ACL */

static uint32_t bits_of(uint32_t mask)
{
	const uint32_t write = ACE_WRITE_DATA | ACE_APPEND_DATA;
	return (mask & ACE_READ_DATA ? 4u : 0u) | ((mask & write) == write ? 2u : 0u) | (mask & ACE_EXECUTE ? 1u : 0u);
}

/* What ACEs for who and for everyone allow, as far as they are about a mode. */
static uint32_t class_bits(const struct acl *acl, uint32_t who)
{
	struct acl_walk w = acl_walk(acl);
	uint32_t allowed = 0, decided = 0;
	struct ace ace;
	while (acl_next(&w, &ace)) {
		uint32_t special = special_of(&ace);
		if (ace.type > ACE_DENY || (ace.flags & ACE_INHERIT_ONLY) || (special != who && special != WHO_EVERYONE))
			continue;
		if (ace.type == ACE_ALLOW)
			allowed |= ace.mask & ~decided;
		decided |= ace.mask;
	}
	return bits_of(allowed);
}

uint32_t acl_mode(const struct acl *acl)
{
	return class_bits(acl, WHO_OWNER) << 6 | class_bits(acl, WHO_GROUP) << 3 | class_bits(acl, WHO_EVERYONE);
}

/* ---- ACL of a mode */

static uint32_t rights_of(uint32_t bits, bool dir)
{
	uint32_t mask = bits & 4 ? R_RIGHTS : 0;
	if (bits & 2)
		mask |= W_RIGHTS | (dir ? ACE_DELETE_CHILD : 0);
	return bits & 1 ? mask | X_RIGHTS : mask;
}

static void add_special(struct acl_builder *b, uint8_t type, uint8_t who, uint32_t mask)
{
	struct ace ace = {.type = type, .who = who, .mask = mask};
	if (mask)
		acl_add(b, &ace);
}

/*
 * An ACE as chmod leaves it, on the object itself: what the mode says is taken out of the special ones, which come anew;
 * of what others are given, what the group's bits don't. Nothing may be left.
 */
static void add_cut(struct acl_builder *b, struct ace ace, uint32_t group_rights)
{
	uint32_t special = special_of(&ace);
	if (special)
		ace.mask &= ~(uint32_t)(MODE_RIGHTS | (ace.type == ACE_DENY ? 0 : special == WHO_OWNER ? OWNER_RIGHTS : ALWAYS_RIGHTS));
	else if (ace.type == ACE_ALLOW)
		ace.mask &= ~(MODE_RIGHTS & ~group_rights);
	ace.flags &= (uint16_t)~(ACE_FLAGS_INHERIT | ACE_INHERITED);
	if (ace.mask)
		acl_add(b, &ace);
}

static void add_rest(struct acl_builder *b, const struct acl *acl, uint32_t group_rights)
{
	struct acl_walk w = acl_walk(acl);
	struct ace ace;
	while (acl_next(&w, &ace)) {
		bool heirs = ace.flags & (ACE_FILE_INHERIT | ACE_DIRECTORY_INHERIT);
		if (ace.type > ACE_DENY || (ace.flags & ACE_INHERIT_ONLY)) {
			acl_add(b, &ace);
			continue;
		}
		add_cut(b, ace, group_rights);
		ace.flags |= ACE_INHERIT_ONLY;
		if (heirs)
			acl_add(b, &ace);
	}
}

int acl_chmod(const struct acl *acl, uint32_t mode, bool dir, struct acl **out)
{
	uint32_t owner = mode >> 6 & 7, group = mode >> 3 & 7, other = mode & 7;
	struct acl_builder b;
	acl_begin(&b, acl ? acl_flags(acl) & ~(uint32_t)ACL_DEFAULTED : 0);
	add_special(&b, ACE_DENY, WHO_OWNER, rights_of(~owner & (group | other), dir));
	add_special(&b, ACE_ALLOW, WHO_OWNER, rights_of(owner, dir) | OWNER_RIGHTS);
	if (acl)
		add_rest(&b, acl, rights_of(group, true));
	add_special(&b, ACE_DENY, WHO_GROUP, rights_of(~group & other, dir));
	add_special(&b, ACE_ALLOW, WHO_GROUP, rights_of(group, dir) | ALWAYS_RIGHTS);
	add_special(&b, ACE_ALLOW, WHO_EVERYONE, rights_of(other, dir) | ALWAYS_RIGHTS);
	return acl_end(&b, out);
}

int acl_from_mode(uint32_t mode, bool dir, struct acl **out)
{
	return acl_chmod(NULL, mode, dir, out);
}

/* ---- inheritance */

/* For whom an heir's ACE is: a creator's becomes the owner's or the group's. */
static bool resolve_creator(struct ace *ace)
{
	bool owner = acl_sid_is(ace, AUTHORITY_CREATOR, RID_CREATOR_OWNER);
	if (!owner && !acl_sid_is(ace, AUTHORITY_CREATOR, RID_CREATOR_GROUP))
		return false;
	ace->who = owner ? WHO_OWNER : WHO_GROUP;
	ace->id = 0;
	return true;
}

static void inherit_to_dir(struct acl_builder *b, struct ace ace)
{
	bool passes_on = !(ace.flags & ACE_NO_PROPAGATE);
	struct ace own = ace;
	ace.flags |= ACE_INHERIT_ONLY;
	/* What is for files only waits for them, if it goes that far. */
	if (!(own.flags & ACE_DIRECTORY_INHERIT)) {
		if (passes_on)
			acl_add(b, &ace);
		return;
	}
	own.flags &= (uint16_t)~ACE_INHERIT_ONLY;
	bool creator = resolve_creator(&own);
	if (!passes_on || creator)
		own.flags &= (uint16_t)~ACE_FLAGS_INHERIT;
	acl_add(b, &own);
	if (passes_on && creator)
		acl_add(b, &ace);
}

static void inherit_to_file(struct acl_builder *b, struct ace ace)
{
	if (!(ace.flags & ACE_FILE_INHERIT))
		return;
	resolve_creator(&ace);
	ace.flags &= (uint16_t)~ACE_FLAGS_INHERIT;
	acl_add(b, &ace);
}

int acl_inherit(const struct acl *from, bool dir, struct acl **out)
{
	uint32_t automatic = acl_flags(from) & ACL_AUTO_INHERIT;
	struct acl_walk w = acl_walk(from);
	struct acl_builder b;
	struct ace ace;
	acl_begin(&b, automatic);
	while (acl_next(&w, &ace)) {
		if (!(ace.flags & (ACE_FILE_INHERIT | ACE_DIRECTORY_INHERIT)))
			continue;
		ace.flags &= (uint16_t)~ACE_INHERITED;
		ace.flags |= automatic ? ACE_INHERITED : 0;
		if (dir)
			inherit_to_dir(&b, ace);
		else
			inherit_to_file(&b, ace);
	}
	*out = NULL;
	if (!b.err && b.n_aces == 0) {
		free(b.acl);
		return 0;
	}
	return acl_end(&b, out);
}
