/* A count, then for each ACE type, flags and mask as they are here, and whom it is for as a string. */
#include "op/acl-nfs4.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/str.h"

#define FLAG_GROUP 0x40u /* ACE4_IDENTIFIER_GROUP */
#define WHO_MAX 256u

static const struct {
	uint8_t who;
	const char *name;
} specials[] = {{WHO_OWNER, "OWNER@"}, {WHO_GROUP, "GROUP@"}, {WHO_EVERYONE, "EVERYONE@"}};

/* ---- out */

static void put_be32(struct bytes *out, uint32_t v)
{
	const uint8_t be[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	bytes_put(out, be, sizeof(be));
}

static void print_sid(const struct ace *ace, struct bytes *text)
{
	struct cursor c;
	cursor_init(&c, (void *)ace->sid, ace->id);
	cursor_skip(&c, 1);
	uint8_t n = cursor_u8(&c);
	uint64_t authority = (uint64_t)cursor_be16(&c) << 32;
	authority |= cursor_be32(&c);
	bytes_printf(text, "S-1-%llu", (unsigned long long)authority);
	for (uint32_t i = 0; i < n; i++)
		bytes_printf(text, "-%u", cursor_le32(&c));
}

static void print_who(const struct ace *ace, struct bytes *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++)
		if (ace->who == specials[i].who)
			bytes_puts(text, specials[i].name);
	if (ace->who == WHO_SID)
		print_sid(ace, text);
	else if (ace->who >= WHO_UID)
		bytes_printf(text, "%u", ace->id);
}

void acl_to_nfs4(const struct acl *acl, struct bytes *out)
{
	static const char pad[4];
	struct acl_walk w = acl_walk(acl);
	struct bytes text;
	struct ace ace;
	bytes_init(&text, WHO_MAX);
	put_be32(out, acl_count(acl));
	while (acl_next(&w, &ace)) {
		bool group = ace.who == WHO_GROUP || ace.who == WHO_GID;
		bytes_clear(&text);
		print_who(&ace, &text);
		put_be32(out, ace.type);
		put_be32(out, ace.flags | (group ? FLAG_GROUP : 0));
		put_be32(out, ace.mask);
		put_be32(out, (uint32_t)text.size);
		bytes_put(out, bytes_str(&text), text.size);
		bytes_put(out, pad, ALIGN_UP(text.size, (size_t)4) - text.size);
	}
	if (text.err && !out->err)
		out->err = text.err;
	bytes_fini(&text);
}

/* ---- in */

/* The number before the next '-' or the end, at most max; *at moves behind it. */
static int next_number(char **at, uint64_t max, uint64_t *value)
{
	char *end = strchr(*at, '-');
	if (end)
		*end = '\0';
	int err = str_parse_u64(*at, 0, max, value);
	*at = end ? end + 1 : NULL;
	return err ? ERR_INVAL : 0;
}

static int parse_sid(char *text, struct ace *ace, uint8_t sid[ACL_SID_MAX])
{
	char *at = text + strlen("S-1-");
	uint64_t authority, sub;
	struct cursor c;
	int err = next_number(&at, (1ULL << 48) - 1, &authority);
	if (err)
		return err;
	cursor_init(&c, sid, ACL_SID_MAX);
	cursor_put_u8(&c, 1);
	cursor_put_u8(&c, 0);
	cursor_put_be16(&c, (uint16_t)(authority >> 32));
	cursor_put_be32(&c, (uint32_t)authority);
	for (; !err && at; sid[1]++) {
		err = next_number(&at, UINT32_MAX, &sub);
		cursor_put_le32(&c, err ? 0 : (uint32_t)sub);
	}
	ace->who = WHO_SID;
	ace->sid = sid;
	ace->id = (uint32_t)cursor_used(&c);
	return err || cursor_failed(&c) ? ERR_INVAL : 0;
}

static int parse_who(char *text, bool group, struct ace *ace, uint8_t sid[ACL_SID_MAX])
{
	uint64_t id;
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		if (strcmp(text, specials[i].name) == 0) {
			ace->who = specials[i].who;
			return 0;
		}
	}
	if (str_starts(text, "S-1-"))
		return parse_sid(text, ace, sid);
	if (str_parse_u64(text, 0, UINT32_MAX, &id))
		return ERR_INVAL;
	ace->who = group ? WHO_GID : WHO_UID;
	ace->id = (uint32_t)id;
	return 0;
}

static void add_one(struct cursor *c, struct acl_builder *b)
{
	char text[WHO_MAX] = "";
	uint8_t sid[ACL_SID_MAX];
	struct ace ace = {.type = (uint8_t)MIN(cursor_be32(c), 255u)};
	uint32_t flags = cursor_be32(c);
	ace.flags = (uint16_t)(MIN(flags, 0xffffu) & ~FLAG_GROUP);
	ace.mask = cursor_be32(c);
	uint32_t size = cursor_be32(c);
	const uint8_t *who = size < sizeof(text) ? cursor_bytes(c, ALIGN_UP(size, 4u)) : NULL;
	if (!who || memchr(who, '\0', size)) {
		cursor_fail(c, ERR_INVAL);
		return;
	}
	memcpy(text, who, size);
	if (parse_who(text, flags & FLAG_GROUP, &ace, sid))
		cursor_fail(c, ERR_INVAL);
	else
		acl_add(b, &ace);
}

int acl_from_nfs4(const void *bytes, size_t size, struct acl **acl)
{
	struct acl_builder b;
	struct cursor c;
	cursor_init(&c, (void *)bytes, size);
	uint32_t n = cursor_be32(&c);
	if (n > OP_ACES_MAX)
		return ERR_RANGE;
	acl_begin(&b, 0);
	for (uint32_t i = 0; i < n && !cursor_failed(&c); i++)
		add_one(&c, &b);
	if (!b.err && (cursor_failed(&c) || cursor_left(&c)))
		b.err = ERR_INVAL;
	return acl_end(&b, acl);
}
