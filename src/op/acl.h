/*
 * Access control lists: the one type for NFSv4 (RFC 8881 section 6) and NT (MS-DTYP section 2.4), and their
 * rules as pure functions. An ACL lies in memory as the bytes that rings and stores carry, checked once when it came
 * in; judging walks these bytes. Owner and group are attributes of the object, not part of the list.
 *
 * Bytes, little-endian: u8 version (1), u8 zero, u16 flags, u16 number of ACEs, u16 zero; for each ACE: u8 type, u8 who,
 * u16 flags, u32 mask, u32 id, which of a SID is its size, and then the SID as MS-DTYP section 2.4.2.2 has it.
 *
 * Nothing here parks. What allocates says so.
 */
#ifndef OP_ACL_H
#define OP_ACL_H

#include "op/cred.h"

#define OP_ACL_MAX 65536u /* bytes of one ACL */
#define OP_ACES_MAX 1820u /* in one ACL */
#define ACL_SID_MAX 68u   /* bytes: 15 subauthorities */

enum ace_type { ACE_ALLOW, ACE_DENY, ACE_AUDIT, ACE_ALARM };

/* RFC 8881 section 6.2.1.4, but for the flag that marks groups: who says that. */
enum ace_flags {
	ACE_FILE_INHERIT = 0x01,
	ACE_DIRECTORY_INHERIT = 0x02,
	ACE_NO_PROPAGATE = 0x04,
	ACE_INHERIT_ONLY = 0x08,
	ACE_SUCCESSFUL_ACCESS = 0x10,
	ACE_FAILED_ACCESS = 0x20,
	ACE_INHERITED = 0x80,
};
#define ACE_FLAGS_INHERIT 0x0fu /* how it is inherited */
#define ACE_FLAGS_ALL 0xbfu

/* RFC 8881 section 6.2.1.3; the values are those of MS-DTYP's ACCESS_MASK. */
enum ace_mask {
	ACE_READ_DATA = 0x00000001,   /* directories: list */
	ACE_WRITE_DATA = 0x00000002,  /* directories: add a file */
	ACE_APPEND_DATA = 0x00000004, /* directories: add a subdirectory */
	ACE_READ_NAMED_ATTRS = 0x00000008,
	ACE_WRITE_NAMED_ATTRS = 0x00000010,
	ACE_EXECUTE = 0x00000020, /* directories: traverse */
	ACE_DELETE_CHILD = 0x00000040,
	ACE_READ_ATTRIBUTES = 0x00000080,
	ACE_WRITE_ATTRIBUTES = 0x00000100,
	ACE_WRITE_RETENTION = 0x00000200,
	ACE_WRITE_RETENTION_HOLD = 0x00000400,
	ACE_DELETE = 0x00010000,
	ACE_READ_ACL = 0x00020000,
	ACE_WRITE_ACL = 0x00040000,
	ACE_WRITE_OWNER = 0x00080000,
	ACE_SYNCHRONIZE = 0x00100000,
};
#define ACE_MASK_ALL 0x001f07ffu

enum ace_who { WHO_OWNER = 1, WHO_GROUP, WHO_EVERYONE, WHO_UID, WHO_GID, WHO_SID };

/* RFC 8881 section 6.4.3.2. */
enum acl_flags { ACL_AUTO_INHERIT = 1, ACL_PROTECTED = 2, ACL_DEFAULTED = 4 };
#define ACL_FLAGS_ALL 7u

struct ace {
	uint8_t type;   /* enum ace_type */
	uint8_t who;    /* enum ace_who */
	uint16_t flags; /* enum ace_flags */
	uint32_t mask;  /* enum ace_mask */
	uint32_t id;    /* WHO_UID, WHO_GID; WHO_SID: bytes at sid */
	const uint8_t *sid; /* in the ACL's bytes */
};

/* A checked ACL. Made by the functions below, freed with free(); never changed. */
struct acl {
	uint32_t size; /* of bytes */
	uint8_t bytes[];
};

/*
 * acl_parse() - bytes from outside, checked: ERR_INVAL if malformed or with anything that has no meaning here, ERR_RANGE
 * if over OP_ACL_MAX or OP_ACES_MAX. Allocates.
 */
int acl_parse(const void *bytes, size_t size, struct acl **acl);
struct acl *acl_copy(const struct acl *acl); /* allocates; NULL: no memory */
uint32_t acl_flags(const struct acl *acl);
uint32_t acl_count(const struct acl *acl);

/* Walking: struct acl_walk w = acl_walk(acl); while (acl_next(&w, &ace)) ... */
struct acl_walk {
	const uint8_t *at;
	uint32_t n_left;
};

struct acl_walk acl_walk(const struct acl *acl);
bool acl_next(struct acl_walk *w, struct ace *ace);

/* Building: begin, add, add ..., end. The first error sticks; end gives the ACL or frees what there is. */
struct acl_builder {
	struct acl *acl;
	uint32_t room;
	uint32_t n_aces;
	int err;
};

void acl_begin(struct acl_builder *b, uint32_t flags);
void acl_add(struct acl_builder *b, const struct ace *ace);
int acl_end(struct acl_builder *b, struct acl **acl); /* ERR_NOMEM, ERR_RANGE, ERR_INVAL */

/* ---- judging: acl-judge.c ------------------------------------------------------------------ */

struct acl_subject {
	const struct op_cred *cred;
	uint32_t uid; /* of the object */
	uint32_t gid;
};

/* Bits of enum ace_mask; what is in neither was not mentioned, which denies it but for RFC 8881 section 6.2.1.3.2. */
struct acl_verdict {
	uint32_t allowed;
	uint32_t denied;
};

/*
 * acl_judge() - RFC 8881 section 6.2.1: the first ACE that names a bit for who asks decides it. The owner always has
 * READ_ACL, WRITE_ACL, READ_ATTRIBUTES and WRITE_ATTRIBUTES, unless an ACE for OWNER RIGHTS (S-1-3-4; MS-DTYP section
 * 2.5.3.2) says what he has. At least the bits of want are decided.
 */
struct acl_verdict acl_judge(const struct acl *acl, const struct acl_subject *s, uint32_t want);

/* acl_is_canonical() - explicit before inherited, in each denials before grants: MS-DTYP section 2.4.5. */
bool acl_is_canonical(const struct acl *acl);

/* ---- modes and inheritance: acl-mode.c -------------------------------------------------------- */

/* acl_mode() - the nine low bits of the mode: RFC 8881 section 6.3.2. */
uint32_t acl_mode(const struct acl *acl);

/* acl_from_mode() - what a mode says, as an ACL. Allocates. */
int acl_from_mode(uint32_t mode, bool dir, struct acl **out);

/*
 * acl_chmod() - the ACL after a chmod: OWNER@, GROUP@ and EVERYONE@ as mode says, others with no more than its group bits; what
 * is for heirs stays. acl_mode() of it is mode & 0777. RFC 8881 section 6.4.1.1. Allocates.
 */
int acl_chmod(const struct acl *acl, uint32_t mode, bool dir, struct acl **out);

/* acl_inherit() - what something new in a directory with that ACL has: RFC 8881 section 6.4.3. NULL: nothing. Allocates. */
int acl_inherit(const struct acl *dir_acl, bool dir, struct acl **out);

/* acl_sid_is() - whether an ACE's SID is S-1-authority-rid, one of the well-known (MS-DTYP section 2.4.2.4). */
bool acl_sid_is(const struct ace *ace, uint8_t authority, uint32_t rid);

#endif
