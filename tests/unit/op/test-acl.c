/* Shows that ACLs are judged, turned into modes and back, and inherited as RFC 8881 section 6 and MS-DTYP say, row by row. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "op/acl.h"

#define RW (ACE_READ_DATA | ACE_WRITE_DATA | ACE_APPEND_DATA)
#define FD (ACE_FILE_INHERIT | ACE_DIRECTORY_INHERIT)
#define MAX_ACES 6

static const uint8_t everyone_sid[] = {1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
static const uint8_t owner_rights_sid[] = {1, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0};
static const uint8_t creator_owner_sid[] = {1, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0};
static const uint8_t creator_group_sid[] = {1, 1, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0};
static const uint8_t unix_user_9_sid[] = {1, 2, 0, 0, 0, 0, 0, 22, 1, 0, 0, 0, 9, 0, 0, 0};
static const uint8_t unix_group_8_sid[] = {1, 2, 0, 0, 0, 0, 0, 22, 2, 0, 0, 0, 8, 0, 0, 0};

#define SID(s) WHO_SID, .id = sizeof(s), .sid = (s)
#define ALLOW(m, ...) {.type = ACE_ALLOW, .mask = (m), .who = __VA_ARGS__}
#define DENY(m, ...) {.type = ACE_DENY, .mask = (m), .who = __VA_ARGS__}
#define UID(n) WHO_UID, .id = (n)
#define GID(n) WHO_GID, .id = (n)

static struct acl *build(const struct ace *aces, uint32_t flags)
{
	struct acl_builder b;
	struct acl *acl = NULL;
	acl_begin(&b, flags);
	for (uint32_t i = 0; i < MAX_ACES && aces[i].who; i++)
		acl_add(&b, &aces[i]);
	cr_assert_eq(acl_end(&b, &acl), 0);
	return acl;
}

static bool same_aces(const struct acl *acl, const struct ace *want)
{
	struct acl_walk w = acl_walk(acl);
	struct ace ace;
	for (; acl_next(&w, &ace); want++)
		if (ace.type != want->type || ace.who != want->who || ace.flags != want->flags || ace.mask != want->mask ||
		    ace.id != want->id || (ace.who == WHO_SID && memcmp(ace.sid, want->sid, ace.id) != 0))
			return false;
	return want->who == 0;
}

/* ---- judging: object of 1:2; 5 is in group 2, 9 in 8 */

Test(acl, judged_in_order)
{
	static const struct {
		const char *shows;
		struct ace aces[MAX_ACES + 1];
		uint32_t uid, want, allowed, denied;
	} rows[] = {
		{"nothing is said", {{0}}, 5, RW, 0, 0},
		{"everyone", {ALLOW(1, WHO_EVERYONE)}, 5, RW, 1, 0},
		{"denied first", {DENY(1, UID(5)), ALLOW(RW, WHO_EVERYONE)}, 5, RW, RW & ~1, 1},
		{"granted first", {ALLOW(1, UID(5)), DENY(RW, WHO_EVERYONE)}, 5, RW, 1, RW & ~1},
		{"for another", {DENY(1, UID(6)), ALLOW(1, GID(8))}, 5, 1, 0, 0},
		{"the object's group", {ALLOW(RW, WHO_GROUP)}, 5, RW, RW, 0},
		{"not the object's group", {ALLOW(RW, WHO_GROUP)}, 9, RW, 0, 0},
		{"a supplementary group", {ALLOW(1, GID(8))}, 9, 1, 1, 0},
		{"owner", {ALLOW(1, WHO_OWNER)}, 1, 1, 1 | ACE_READ_ACL | ACE_WRITE_ACL | ACE_READ_ATTRIBUTES | ACE_WRITE_ATTRIBUTES, 0},
		{"owner, denied", {DENY(ACE_MASK_ALL, WHO_EVERYONE)}, 1, ACE_READ_ACL,
		 ACE_READ_ACL | ACE_WRITE_ACL | ACE_READ_ATTRIBUTES | ACE_WRITE_ATTRIBUTES,
		 ACE_MASK_ALL & ~(ACE_READ_ACL | ACE_WRITE_ACL | ACE_READ_ATTRIBUTES | ACE_WRITE_ATTRIBUTES)},
		{"owner rights", {ALLOW(1, UID(1)), ALLOW(ACE_READ_ACL, SID(owner_rights_sid))}, 1, RW, 1 | ACE_READ_ACL, 0},
		{"owner rights are the owner's", {ALLOW(RW, SID(owner_rights_sid))}, 5, RW, 0, 0},
		{"everyone by SID", {ALLOW(1, SID(everyone_sid))}, 5, 1, 1, 0},
		{"a user by SID", {ALLOW(1, SID(unix_user_9_sid))}, 9, 1, 1, 0},
		{"another user by SID", {ALLOW(1, SID(unix_user_9_sid))}, 5, 1, 0, 0},
		{"a group by SID", {DENY(1, SID(unix_group_8_sid)), ALLOW(1, WHO_EVERYONE)}, 9, 1, 0, 1},
		{"for heirs only", {{.type = ACE_ALLOW, .who = WHO_EVERYONE, .mask = RW, .flags = FD | ACE_INHERIT_ONLY}}, 5, RW, 0, 0},
		{"audit says nothing", {{.type = ACE_AUDIT, .who = WHO_EVERYONE, .mask = RW}, ALLOW(1, WHO_EVERYONE)}, 5, RW, 1, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct op_cred cred = {.uid = rows[i].uid, .gid = rows[i].uid == 5 ? 2 : 77, .n_groups = rows[i].uid == 9, .groups = {8}};
		struct acl_subject s = {&cred, 1, 2};
		struct acl *acl = build(rows[i].aces, 0);
		struct acl_verdict v = acl_judge(acl, &s, rows[i].want);
		cr_expect_eq(v.allowed, rows[i].allowed, "%s: allowed %x", rows[i].shows, v.allowed);
		cr_expect_eq(v.denied, rows[i].denied, "%s: denied %x", rows[i].shows, v.denied);
		free(acl);
	}
}

/* ---- modes */

Test(acl, mode_of_an_acl)
{
	static const struct {
		struct ace aces[MAX_ACES + 1];
		uint32_t mode;
	} rows[] = {
		{{{0}}, 0},
		{{ALLOW(ACE_MASK_ALL, WHO_EVERYONE)}, 0777},
		{{ALLOW(RW, WHO_OWNER), ALLOW(1, WHO_EVERYONE)}, 0644},
		{{ALLOW(ACE_WRITE_DATA, WHO_OWNER), ALLOW(1, WHO_GROUP)}, 0040},
		{{DENY(ACE_WRITE_DATA, WHO_GROUP), ALLOW(RW | ACE_EXECUTE, WHO_EVERYONE)}, 0757},
		{{ALLOW(RW, UID(5)), ALLOW(1, WHO_OWNER)}, 0400},
		{{ALLOW(1, SID(everyone_sid))}, 0444},
		{{{.type = ACE_ALLOW, .who = WHO_EVERYONE, .mask = RW, .flags = FD | ACE_INHERIT_ONLY}}, 0},
		{{DENY(1, WHO_EVERYONE), ALLOW(1, WHO_OWNER)}, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct acl *acl = build(rows[i].aces, 0);
		cr_expect_eq(acl_mode(acl), rows[i].mode, "row %zu: %o", i, acl_mode(acl));
		free(acl);
	}
}

/* What a class may by its bits, and by an ACL made of them, is the same, for each of the 512 modes. */
Test(acl, acl_of_a_mode)
{
	for (uint32_t mode = 0; mode <= 0777; mode++) {
		struct acl *acl;
		cr_assert_eq(acl_from_mode(mode, mode & 1, &acl), 0);
		cr_assert_eq(acl_mode(acl), mode, "%o", mode);
		for (uint32_t class = 0; class < 3; class++) {
			struct op_cred cred = {.uid = class == 0 ? 1 : 5, .gid = class <= 1 ? 2 : 7};
			struct acl_subject s = {&cred, 1, 2};
			uint32_t allowed = acl_judge(acl, &s, ACE_MASK_ALL).allowed, bits = mode >> (6 - 3 * class) & 7;
			cr_assert_eq(!!(allowed & ACE_READ_DATA), !!(bits & 4), "%o", mode);
			cr_assert_eq(!!(allowed & ACE_WRITE_DATA), !!(bits & 2), "%o", mode);
			cr_assert_eq(!!(allowed & ACE_EXECUTE), !!(bits & 1), "%o", mode);
			cr_assert(allowed & ACE_READ_ATTRIBUTES);
		}
		free(acl);
	}
}

Test(acl, chmod_limits_others_by_the_group_and_spares_heirs)
{
	static const struct ace before[MAX_ACES + 1] = {
		DENY(ACE_DELETE, WHO_GROUP),
		ALLOW(RW | ACE_EXECUTE | ACE_DELETE, UID(5)),
		{.type = ACE_ALLOW, .who = WHO_UID, .id = 6, .mask = RW, .flags = FD},
		{.type = ACE_ALLOW, .who = WHO_EVERYONE, .mask = RW, .flags = FD | ACE_INHERIT_ONLY},
		{.type = ACE_AUDIT, .who = WHO_EVERYONE, .mask = RW, .flags = ACE_FAILED_ACCESS},
	};
	struct acl *acl = build(before, ACL_AUTO_INHERIT | ACL_DEFAULTED), *out, *again;
	for (uint32_t mode = 0; mode <= 0777; mode++) {
		struct acl_walk w;
		struct ace ace;
		uint32_t n_heirs = 0;
		cr_assert_eq(acl_chmod(acl, mode, true, &out), 0);
		cr_assert_eq(acl_mode(out), mode);
		cr_assert_eq(acl_flags(out), ACL_AUTO_INHERIT);
		for (w = acl_walk(out); acl_next(&w, &ace);) {
			n_heirs += (ace.flags & ACE_INHERIT_ONLY) && ace.mask == RW;
			if (ace.who != WHO_UID || (ace.flags & ACE_INHERIT_ONLY))
				continue;
			cr_assert(!(ace.mask & ACE_READ_DATA) || (mode & 0040));
			cr_assert(!(ace.mask & (ACE_WRITE_DATA | ACE_APPEND_DATA)) || (mode & 0020));
			cr_assert(!(ace.mask & ACE_EXECUTE) || (mode & 0010));
		}
		cr_assert_eq(n_heirs, 2);
		cr_assert_eq(acl_chmod(out, mode, true, &again), 0);
		cr_assert_eq(again->size, out->size, "%o", mode);
		free(again);
		free(out);
	}
	free(acl);
}

/* ---- inheritance */

Test(acl, inherited_by_flags)
{
	static const struct {
		uint16_t flags;
		int32_t file, dir; /* flags of the heir's, -1: none */
	} rows[] = {
		{0, -1, -1},
		{ACE_FILE_INHERIT, 0, ACE_FILE_INHERIT | ACE_INHERIT_ONLY},
		{ACE_DIRECTORY_INHERIT, -1, ACE_DIRECTORY_INHERIT},
		{FD, 0, FD},
		{FD | ACE_INHERIT_ONLY, 0, FD},
		{ACE_FILE_INHERIT | ACE_NO_PROPAGATE, 0, -1},
		{ACE_DIRECTORY_INHERIT | ACE_NO_PROPAGATE, -1, 0},
		{FD | ACE_NO_PROPAGATE | ACE_INHERIT_ONLY, 0, 0},
	};
	for (size_t i = 0; i < 4 * ARRAY_SIZE(rows); i++) {
		bool dir = i & 1, automatic = i & 2;
		const struct ace aces[MAX_ACES + 1] = {{.type = ACE_DENY, .who = WHO_UID, .id = 5, .mask = RW, .flags = rows[i / 4].flags}};
		int32_t want = dir ? rows[i / 4].dir : rows[i / 4].file;
		struct acl *acl = build(aces, automatic ? ACL_AUTO_INHERIT | ACL_PROTECTED : 0), *heir;
		cr_assert_eq(acl_inherit(acl, dir, &heir), 0);
		cr_expect_eq(heir == NULL, want < 0, "row %zu", i / 4);
		if (heir) {
			struct ace expected[2] = {{.type = ACE_DENY, .who = WHO_UID, .id = 5, .mask = RW}};
			expected[0].flags = (uint16_t)(want | (automatic ? ACE_INHERITED : 0));
			cr_expect(same_aces(heir, expected), "row %zu, %s", i / 4, dir ? "directory" : "file");
			cr_expect_eq(acl_flags(heir), automatic ? ACL_AUTO_INHERIT : 0);
		}
		free(heir);
		free(acl);
	}
}

Test(acl, creators_become_owner_and_group)
{
	static const struct ace aces[MAX_ACES + 1] = {
		{.type = ACE_ALLOW, .mask = RW, .flags = FD | ACE_INHERIT_ONLY, .who = SID(creator_owner_sid)},
		{.type = ACE_ALLOW, .mask = 1, .flags = ACE_FILE_INHERIT | ACE_INHERIT_ONLY, .who = SID(creator_group_sid)},
	};
	static const struct ace file[] = {ALLOW(RW, WHO_OWNER), ALLOW(1, WHO_GROUP), {0}};
	static const struct ace dir[] = {
		ALLOW(RW, WHO_OWNER),
		{.type = ACE_ALLOW, .mask = RW, .flags = FD | ACE_INHERIT_ONLY, .who = SID(creator_owner_sid)},
		{.type = ACE_ALLOW, .mask = 1, .flags = ACE_FILE_INHERIT | ACE_INHERIT_ONLY, .who = SID(creator_group_sid)},
		{0},
	};
	struct acl *acl = build(aces, 0), *heir;
	cr_assert_eq(acl_inherit(acl, false, &heir), 0);
	cr_expect(same_aces(heir, file));
	free(heir);
	cr_assert_eq(acl_inherit(acl, true, &heir), 0);
	cr_expect(same_aces(heir, dir));
	free(heir);
	free(acl);
}

/* ---- bytes */

Test(acl, canonical_order)
{
	static const struct {
		struct ace aces[MAX_ACES + 1];
		bool canonical;
	} rows[] = {
		{{DENY(1, UID(5)), ALLOW(1, WHO_EVERYONE)}, true},
		{{ALLOW(1, WHO_EVERYONE), DENY(1, UID(5))}, false},
		{{ALLOW(1, UID(5)), {.type = ACE_DENY, .who = WHO_EVERYONE, .mask = 1, .flags = ACE_INHERITED}}, true},
		{{{.type = ACE_ALLOW, .who = WHO_EVERYONE, .mask = 1, .flags = ACE_INHERITED}, ALLOW(1, UID(5))}, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct acl *acl = build(rows[i].aces, 0);
		cr_expect_eq(acl_is_canonical(acl), rows[i].canonical, "row %zu", i);
		free(acl);
	}
}

/* Every byte of a good ACL changed to every value either parses or is refused, and what parses can be walked to its end. */
Test(acl, what_is_malformed_is_refused)
{
	static const struct ace aces[MAX_ACES + 1] = {ALLOW(RW, UID(5)), DENY(1, SID(owner_rights_sid))};
	struct acl *acl = build(aces, 0), *parsed;
	uint8_t bytes[64];
	memcpy(bytes, acl->bytes, acl->size);
	for (uint32_t size = 0; size < acl->size; size++)
		cr_expect_eq(acl_parse(bytes, size, &parsed), ERR_INVAL);
	for (uint32_t i = 0; i < 256 * acl->size; i++) {
		struct acl_walk w;
		struct ace ace;
		memcpy(bytes, acl->bytes, acl->size);
		bytes[i / 256] = (uint8_t)i;
		if (acl_parse(bytes, acl->size, &parsed))
			continue;
		for (w = acl_walk(parsed); acl_next(&w, &ace);)
			cr_assert_leq(ace.mask, ACE_MASK_ALL);
		cr_assert_eq(w.at, parsed->bytes + parsed->size);
		free(parsed);
	}
	free(acl);
}

Test(acl, too_many_is_an_error_that_sticks)
{
	static const struct ace ace = ALLOW(1, WHO_EVERYONE);
	struct acl_builder b;
	struct acl *acl = NULL;
	acl_begin(&b, 0);
	for (uint32_t i = 0; i <= OP_ACES_MAX; i++)
		acl_add(&b, &ace);
	acl_add(&b, &ace);
	cr_expect_eq(acl_end(&b, &acl), ERR_RANGE);
	cr_expect_null(acl);
}
