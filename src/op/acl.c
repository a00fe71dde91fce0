/* ACLs as bytes: checking what comes from outside, walking what was checked, building. */
#include "op/acl.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/err.h"

#define VERSION 1
#define HEAD_SIZE 8u
#define ACE_SIZE 12u
#define SID_HEAD_SIZE 8u
#define SID_REVISION 1
#define SUBAUTHORITIES_MAX 15u
#define ROOM_FIRST 128u

/* ---- numbers at any alignment */

static uint32_t le16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

/* ---- checking */

static void check_sid(struct cursor *c, uint32_t size)
{
	uint8_t revision = cursor_u8(c), n = cursor_u8(c);
	if (revision != SID_REVISION || n > SUBAUTHORITIES_MAX || size != SID_HEAD_SIZE + 4u * n)
		cursor_fail(c, ERR_INVAL);
	cursor_skip(c, size - MIN(size, 2u));
}

static void check_ace(struct cursor *c)
{
	uint8_t type = cursor_u8(c), who = cursor_u8(c);
	uint16_t flags = cursor_le16(c);
	uint32_t mask = cursor_le32(c), id = cursor_le32(c);
	if (type > ACE_ALARM || who < WHO_OWNER || who > WHO_SID || (flags & ~ACE_FLAGS_ALL) || (mask & ~ACE_MASK_ALL))
		cursor_fail(c, ERR_INVAL);
	if (who < WHO_UID && id)
		cursor_fail(c, ERR_INVAL);
	if (who == WHO_SID)
		check_sid(c, id);
}

static int check(const void *bytes, size_t size)
{
	struct cursor c;
	cursor_init(&c, (void *)bytes, size);
	uint8_t version = cursor_u8(&c), zero = cursor_u8(&c);
	uint16_t flags = cursor_le16(&c), n = cursor_le16(&c), zero2 = cursor_le16(&c);
	if (version != VERSION || zero || zero2 || (flags & ~ACL_FLAGS_ALL))
		cursor_fail(&c, ERR_INVAL);
	if (n > OP_ACES_MAX)
		cursor_fail(&c, ERR_RANGE);
	for (uint32_t i = 0; i < n && !cursor_failed(&c); i++)
		check_ace(&c);
	if (!cursor_failed(&c) && cursor_left(&c))
		cursor_fail(&c, ERR_INVAL);
	return c.err == ERR_EOF ? ERR_INVAL : c.err;
}

static struct acl *new_acl(const void *bytes, uint32_t size)
{
	struct acl *acl = malloc(sizeof(*acl) + size);
	if (!acl)
		return NULL;
	acl->size = size;
	memcpy(acl->bytes, bytes, size);
	return acl;
}

int acl_parse(const void *bytes, size_t size, struct acl **acl)
{
	int err = size > OP_ACL_MAX ? ERR_RANGE : check(bytes, size);
	if (err)
		return err;
	*acl = new_acl(bytes, (uint32_t)size);
	return *acl ? 0 : ERR_NOMEM;
}

struct acl *acl_copy(const struct acl *acl)
{
	return new_acl(acl->bytes, acl->size);
}

/* ---- walking */

uint32_t acl_flags(const struct acl *acl)
{
	return le16(acl->bytes + 2);
}

uint32_t acl_count(const struct acl *acl)
{
	return le16(acl->bytes + 4);
}

struct acl_walk acl_walk(const struct acl *acl)
{
	return (struct acl_walk){acl->bytes + HEAD_SIZE, acl_count(acl)};
}

bool acl_next(struct acl_walk *w, struct ace *ace)
{
	const uint8_t *p = w->at;
	if (w->n_left == 0)
		return false;
	w->n_left--;
	*ace = (struct ace){p[0], p[1], (uint16_t)le16(p + 2), le32(p + 4), le32(p + 8), NULL};
	w->at += ACE_SIZE;
	if (ace->who == WHO_SID) {
		ace->sid = w->at;
		w->at += ace->id;
	}
	return true;
}

bool acl_sid_is(const struct ace *ace, uint8_t authority, uint32_t rid)
{
	const uint8_t head[] = {SID_REVISION, 1, 0, 0, 0, 0, 0, authority};
	return ace->who == WHO_SID && ace->id == sizeof(head) + 4 && memcmp(ace->sid, head, sizeof(head)) == 0 &&
	       le32(ace->sid + sizeof(head)) == rid;
}

/* ---- building */

static void fail(struct acl_builder *b, int err)
{
	if (!b->err)
		b->err = err;
}

/* Makes room for n more bytes: where they go, or NULL and the error. */
static uint8_t *extend(struct acl_builder *b, uint32_t n)
{
	uint32_t used = b->acl ? b->acl->size : 0;
	if (!b->err && used + n > OP_ACL_MAX)
		fail(b, ERR_RANGE);
	if (!b->err && used + n > b->room) {
		uint32_t room = MAX(2 * b->room, ROOM_FIRST + n);
		struct acl *acl = realloc(b->acl, sizeof(*acl) + room);
		if (acl) {
			b->acl = acl;
			b->room = room;
		} else {
			fail(b, ERR_NOMEM);
		}
	}
	if (b->err)
		return NULL;
	b->acl->size = used + n;
	return b->acl->bytes + used;
}

void acl_begin(struct acl_builder *b, uint32_t flags)
{
	struct cursor c;
	*b = (struct acl_builder){.acl = NULL};
	uint8_t *at = extend(b, HEAD_SIZE);
	if (!at)
		return;
	cursor_init(&c, at, HEAD_SIZE);
	cursor_put_u8(&c, VERSION);
	cursor_put_u8(&c, 0);
	cursor_put_le16(&c, (uint16_t)flags);
	cursor_put_le32(&c, 0);
}

void acl_add(struct acl_builder *b, const struct ace *ace)
{
	uint32_t sid_size = ace->who == WHO_SID ? ace->id : 0;
	struct cursor c;
	if (b->n_aces >= OP_ACES_MAX)
		fail(b, ERR_RANGE);
	if (sid_size > ACL_SID_MAX)
		fail(b, ERR_INVAL);
	uint8_t *at = b->err ? NULL : extend(b, ACE_SIZE + sid_size);
	if (!at)
		return;
	cursor_init(&c, at, ACE_SIZE + sid_size);
	cursor_put_u8(&c, ace->type);
	cursor_put_u8(&c, ace->who);
	cursor_put_le16(&c, ace->flags);
	cursor_put_le32(&c, ace->mask);
	cursor_put_le32(&c, ace->who < WHO_UID ? 0 : ace->id);
	if (sid_size)
		cursor_put_bytes(&c, ace->sid, sid_size);
	b->n_aces++;
}

int acl_end(struct acl_builder *b, struct acl **acl)
{
	if (!b->err) {
		b->acl->bytes[4] = (uint8_t)b->n_aces;
		b->acl->bytes[5] = (uint8_t)(b->n_aces >> 8);
		fail(b, check(b->acl->bytes, b->acl->size));
	}
	if (b->err) {
		free(TAKE(b->acl));
		return b->err;
	}
	*acl = TAKE(b->acl);
	return 0;
}
