/*
 * The permission rules. Each function is one rule of POSIX, of Linux or of RFC 8881 section 6; the callers say when it
 * applies. A mode is read as the rights that its digits give, so that all rules speak of rights.
 */
#include "vfs/access.h"

#include <sys/stat.h>

#include "base/err.h"

bool access_is_root(const struct op_cred *cred)
{
	return !cred || cred->uid == 0;
}

bool access_is_owner(const struct op_cred *cred, const struct op_attr *attr)
{
	return access_is_root(cred) || cred->uid == attr->uid;
}

/* What everybody may, and the owner besides, where the mode decides. */
#define ALWAYS_RIGHTS (ACE_READ_ATTRIBUTES | ACE_READ_ACL | ACE_SYNCHRONIZE)
#define OWNER_RIGHTS (ACE_WRITE_ATTRIBUTES | ACE_WRITE_ACL)

/* The rights that one digit of a mode gives. */
static const uint32_t digit_rights[8] = {
#define X ACE_EXECUTE
#define W (ACE_WRITE_DATA | ACE_APPEND_DATA | ACE_WRITE_NAMED_ATTRS | ACE_DELETE_CHILD)
#define R (ACE_READ_DATA | ACE_READ_NAMED_ATTRS)
	0, X, W, W | X, R, R | X, R | W, R | W | X,
#undef X
#undef W
#undef R
};

static uint32_t mode_rights(const struct op_cred *cred, const struct op_attr *attr)
{
	if (cred->uid == attr->uid)
		return digit_rights[attr->mode >> 6 & 7] | ALWAYS_RIGHTS | OWNER_RIGHTS;
	if (op_cred_in_group(cred, attr->gid))
		return digit_rights[attr->mode >> 3 & 7] | ALWAYS_RIGHTS;
	return digit_rights[attr->mode & 7] | ALWAYS_RIGHTS;
}

static struct acl_verdict judge(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl, uint32_t want)
{
	struct acl_subject subject = {cred, attr->uid, attr->gid};
	return acl_judge(acl, &subject, want);
}

/* Of want at least. The superuser may all, but for executing what nobody may. */
static uint32_t rights(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl, uint32_t want)
{
	if (access_is_root(cred)) {
		bool exec = attr->type == OP_TYPE_DIR || (attr->mode & 0111);
		return exec ? ACE_MASK_ALL : ACE_MASK_ALL & ~(uint32_t)ACE_EXECUTE;
	}
	if (unlikely(acl != NULL))
		return judge(cred, attr, acl, want).allowed;
	return mode_rights(cred, attr);
}

uint32_t access_rights(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl)
{
	return rights(cred, attr, acl, ACE_MASK_ALL);
}

int access_check(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl, uint32_t want)
{
	return want & ~rights(cred, attr, acl, want) ? ERR_ACCES : 0;
}

int access_io(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl, uint32_t want, bool override)
{
	if (override && access_is_owner(cred, attr))
		return 0;
	uint32_t granted = rights(cred, attr, acl, want | MAY_EXEC);
	if (override && (granted & MAY_EXEC) && attr->type == OP_TYPE_FILE)
		granted |= MAY_READ;
	return want & ~granted ? ERR_ACCES : 0;
}

int access_sticky(const struct op_cred *cred, const struct op_attr *dir, const struct op_attr *node)
{
	if (!(dir->mode & S_ISVTX) || access_is_owner(cred, dir) || access_is_owner(cred, node))
		return 0;
	return ERR_PERM;
}

int access_delete(const struct op_cred *cred, const struct op_attr *dir, const struct acl *dir_acl,
                  const struct op_attr *node, const struct acl *acl)
{
	struct acl_verdict of_dir = {0, 0}, of_node = {0, 0};
	if (likely(!dir_acl && !acl) || access_is_root(cred)) {
		int err = access_check(cred, dir, NULL, MAY_WRITE);
		return err ? err : access_sticky(cred, dir, node);
	}
	if (acl)
		of_node = judge(cred, node, acl, ACE_DELETE);
	if (of_node.allowed & ACE_DELETE)
		return 0;
	if (dir_acl)
		of_dir = judge(cred, dir, dir_acl, ACE_DELETE_CHILD | MAY_WRITE);
	else if (mode_rights(cred, dir) & MAY_WRITE)
		of_dir.allowed = MAY_WRITE;
	bool denied = (of_node.denied & ACE_DELETE) || (of_dir.denied & ACE_DELETE_CHILD);
	if (!(of_dir.allowed & ACE_DELETE_CHILD) && (denied || !(of_dir.allowed & MAY_WRITE)))
		return ERR_ACCES;
	return access_sticky(cred, dir, node);
}

uint32_t access_suid_mode(uint32_t mode)
{
	mode &= ~(uint32_t)S_ISUID;
	return mode & S_IXGRP ? mode & ~(uint32_t)S_ISGID : mode;
}

/* Group and set-gid bit of something new: directories hand a set-gid directory's group and bit down. */
static void inherit_group(const struct op_cred *cred, const struct op_attr *dir, uint32_t type, struct op_attr *out)
{
	if (!(dir->mode & S_ISGID))
		return;
	out->gid = dir->gid;
	if (type == OP_TYPE_DIR)
		out->mode |= S_ISGID;
	else if ((out->mode & S_ISGID) && (out->mode & S_IXGRP) && !access_is_root(cred) &&
	         !op_cred_in_group(cred, out->gid))
		out->mode &= ~(uint32_t)S_ISGID;
}

int access_create(const struct op_cred *cred, const struct op_attr *dir, uint32_t type, const struct op_attr *asked,
                  struct op_attr *out)
{
	static const uint32_t default_mode[] = {[OP_TYPE_DIR] = 0755, [OP_TYPE_SYMLINK] = 0777, [OP_TYPE_SOCKET] = 0644};
	if ((type == OP_TYPE_BLOCK || type == OP_TYPE_CHAR) && !access_is_root(cred))
		return ERR_PERM;
	*out = *asked;
	out->type = type;
	out->mask = asked->mask & (ATTR_ATIME | ATTR_MTIME | ATTR_BTIME | ATTR_DOS | ATTR_RDEV | ATTR_VERIFIER);
	out->mask |= ATTR_TYPE | ATTR_MODE | ATTR_UID | ATTR_GID;
	if (type == OP_TYPE_SYMLINK)
		out->mode = 0777;
	else if (!(asked->mask & ATTR_MODE))
		out->mode = type < ARRAY_SIZE(default_mode) && default_mode[type] ? default_mode[type] : 0644;
	out->mode &= 07777;
	out->uid = cred ? cred->uid : 0;
	out->gid = cred ? cred->gid : 0;
	inherit_group(cred, dir, type, out);
	if (unlikely(dir->project)) {
		out->project = dir->project;
		out->mask |= ATTR_PROJECT;
	}
	if (access_is_root(cred) && (asked->mask & ATTR_UID))
		out->uid = asked->uid;
	if ((asked->mask & ATTR_GID) && (access_is_root(cred) || op_cred_in_group(cred, asked->gid)))
		out->gid = asked->gid;
	return 0;
}

/* WRITE_OWNER in an ACL lets one take an object, as NT has it; giving away is the superuser's. */
static int may_chown(const struct op_cred *cred, const struct op_attr *cur, const struct acl *acl, const struct op_attr *set)
{
	if (access_is_root(cred))
		return 0;
	bool takes = acl && access_check(cred, cur, acl, ACE_WRITE_OWNER) == 0;
	if ((set->mask & ATTR_UID) && !(takes && set->uid == cred->uid) && (cred->uid != cur->uid || set->uid != cur->uid))
		return ERR_PERM;
	if ((set->mask & ATTR_GID) && !((takes || cred->uid == cur->uid) &&
	                                (set->gid == cur->gid || op_cred_in_group(cred, set->gid))))
		return ERR_PERM;
	return 0;
}

static int may_touch(const struct op_cred *cred, const struct op_attr *cur, const struct acl *acl, uint64_t mask)
{
	if (access_is_root(cred) || access_check(cred, cur, acl, ACE_WRITE_ATTRIBUTES) == 0)
		return 0;
	/* A server's time for each of the two is what a write would do; a chosen time is the owner's alone. */
	if (((mask & ATTR_ATIME) && !(mask & ATTR_ATIME_NOW)) || ((mask & ATTR_MTIME) && !(mask & ATTR_MTIME_NOW)))
		return ERR_PERM;
	return access_check(cred, cur, acl, MAY_WRITE);
}

static int may_set(const struct op_cred *cred, const struct op_attr *cur, const struct acl *acl, const struct op_attr *set,
                   bool may_resize)
{
	int err = 0;
	if (set->mask & (ATTR_UID | ATTR_GID))
		err = may_chown(cred, cur, acl, set);
	if (!err && (set->mask & ATTR_MODE) && access_check(cred, cur, acl, ACE_WRITE_ACL))
		err = ERR_PERM;
	if (!err && (set->mask & (ATTR_BTIME | ATTR_DOS)) && access_check(cred, cur, acl, ACE_WRITE_ATTRIBUTES))
		err = ERR_PERM;
	if (!err && (set->mask & ATTR_PROJECT) && !access_is_root(cred))
		err = ERR_PERM;
	if (!err && (set->mask & (ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW)))
		err = may_touch(cred, cur, acl, set->mask);
	if (!err && (set->mask & ATTR_SIZE) && !may_resize)
		err = access_check(cred, cur, acl, MAY_WRITE);
	return err;
}

int access_setattr(const struct op_cred *cred, const struct op_attr *cur, const struct acl *acl, struct op_attr *set,
                   bool may_resize)
{
	int err = may_set(cred, cur, acl, set, may_resize);
	if (err)
		return err;
	bool chown = set->mask & (ATTR_UID | ATTR_GID);
	bool clears = cur->type != OP_TYPE_DIR && (chown || ((set->mask & ATTR_SIZE) && !access_is_root(cred)));
	uint32_t mode = (set->mask & ATTR_MODE ? set->mode : cur->mode) & 07777;
	uint32_t gid = set->mask & ATTR_GID ? set->gid : cur->gid;
	if (clears)
		mode = access_suid_mode(mode);
	if ((set->mask & ATTR_MODE) && !access_is_root(cred) && !op_cred_in_group(cred, gid))
		mode &= ~(uint32_t)S_ISGID;
	if ((set->mask & ATTR_MODE) || mode != cur->mode) {
		set->mode = mode;
		set->mask |= ATTR_MODE;
	}
	return 0;
}
