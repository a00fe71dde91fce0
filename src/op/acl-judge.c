/* Who may do what by an ACL: one walk in order, in which the first ACE that names a bit decides it. */
#include "op/acl.h"

#define OWNER_ALWAYS (ACE_READ_ACL | ACE_WRITE_ACL | ACE_READ_ATTRIBUTES | ACE_WRITE_ATTRIBUTES)

/* Well-known SIDs (MS-DTYP section 2.4.2.4) by authority and last part; S-1-22-1-UID and S-1-22-2-GID are Samba's for numbers. */
enum { AUTHORITY_WORLD = 1, AUTHORITY_CREATOR = 3, AUTHORITY_UNIX = 22 };
enum { RID_EVERYONE = 0, RID_OWNER_RIGHTS = 4, UNIX_USER = 1, UNIX_GROUP = 2 };
#define UNIX_SID_SIZE 16u

static bool is_owner_rights(const struct ace *ace)
{
	return acl_sid_is(ace, AUTHORITY_CREATOR, RID_OWNER_RIGHTS);
}

static uint32_t sub_authority(const struct ace *ace, uint32_t i)
{
	const uint8_t *p = ace->sid + 8 + 4 * i;
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A credential has numbers: SIDs that stand for such, and those for everybody, can be its own. */
static bool sid_matches(const struct ace *ace, const struct acl_subject *s)
{
	if (acl_sid_is(ace, AUTHORITY_WORLD, RID_EVERYONE))
		return true;
	if (is_owner_rights(ace))
		return s->cred->uid == s->uid;
	if (ace->id != UNIX_SID_SIZE || ace->sid[7] != AUTHORITY_UNIX || ace->sid[2] || ace->sid[3] || ace->sid[4] ||
	    ace->sid[5] || ace->sid[6])
		return false;
	if (sub_authority(ace, 0) == UNIX_USER)
		return sub_authority(ace, 1) == s->cred->uid;
	return sub_authority(ace, 0) == UNIX_GROUP && op_cred_in_group(s->cred, sub_authority(ace, 1));
}

static bool matches(const struct ace *ace, const struct acl_subject *s)
{
	switch (ace->who) {
	case WHO_OWNER: return s->cred->uid == s->uid;
	case WHO_GROUP: return op_cred_in_group(s->cred, s->gid);
	case WHO_EVERYONE: return true;
	case WHO_UID: return s->cred->uid == ace->id;
	case WHO_GID: return op_cred_in_group(s->cred, ace->id);
	default: return sid_matches(ace, s);
	}
}

struct acl_verdict acl_judge(const struct acl *acl, const struct acl_subject *s, uint32_t want)
{
	struct acl_verdict v = {0, 0};
	struct acl_walk w = acl_walk(acl);
	bool owner = s->cred->uid == s->uid, told = false;
	struct ace ace;
	/* The owner's walk goes to the end: OWNER RIGHTS may come late. */
	while ((owner || want & ~(v.allowed | v.denied)) && acl_next(&w, &ace)) {
		if (ace.type > ACE_DENY || (ace.flags & ACE_INHERIT_ONLY) || !matches(&ace, s))
			continue;
		told |= is_owner_rights(&ace);
		uint32_t fresh = ace.mask & ~(v.allowed | v.denied);
		if (ace.type == ACE_ALLOW)
			v.allowed |= fresh;
		else
			v.denied |= fresh;
	}
	if (owner && !told) {
		v.allowed |= OWNER_ALWAYS;
		v.denied &= ~(uint32_t)OWNER_ALWAYS;
	}
	return v;
}

bool acl_is_canonical(const struct acl *acl)
{
	struct acl_walk w = acl_walk(acl);
	uint32_t last = 0;
	struct ace ace;
	while (acl_next(&w, &ace)) {
		if (ace.type > ACE_DENY)
			continue;
		uint32_t place = (ace.flags & ACE_INHERITED ? 2u : 0u) + (ace.type == ACE_ALLOW);
		/* What is inherited comes parent's first, then grandparent's: each has its own denials before its grants. */
		if (place < last && place < 2)
			return false;
		last = place;
	}
	return true;
}
