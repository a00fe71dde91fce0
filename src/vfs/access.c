/* The permission rules. Each function is one rule of POSIX or of Linux; the callers say when it applies. */
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

uint32_t access_rights(const struct op_cred *cred, const struct op_attr *attr)
{
	uint32_t mode = attr->mode;
	if (access_is_root(cred)) {
		bool exec = attr->type == OP_TYPE_DIR || (mode & 0111);
		return MAY_READ | MAY_WRITE | (exec ? MAY_EXEC : 0);
	}
	if (cred->uid == attr->uid)
		return mode >> 6 & 7;
	if (op_cred_in_group(cred, attr->gid))
		return mode >> 3 & 7;
	return mode & 7;
}

int access_check(const struct op_cred *cred, const struct op_attr *attr, uint32_t want)
{
	return want & ~access_rights(cred, attr) ? ERR_ACCES : 0;
}

int access_io(const struct op_cred *cred, const struct op_attr *attr, uint32_t want, bool override)
{
	if (override && access_is_owner(cred, attr))
		return 0;
	uint32_t rights = access_rights(cred, attr);
	if (override && (rights & MAY_EXEC) && attr->type == OP_TYPE_FILE)
		rights |= MAY_READ;
	return want & ~rights ? ERR_ACCES : 0;
}

int access_sticky(const struct op_cred *cred, const struct op_attr *dir, const struct op_attr *node)
{
	if (!(dir->mode & S_ISVTX) || access_is_owner(cred, dir) || access_is_owner(cred, node))
		return 0;
	return ERR_PERM;
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
	if (access_is_root(cred) && (asked->mask & ATTR_UID))
		out->uid = asked->uid;
	if ((asked->mask & ATTR_GID) && (access_is_root(cred) || op_cred_in_group(cred, asked->gid)))
		out->gid = asked->gid;
	return 0;
}

static int may_chown(const struct op_cred *cred, const struct op_attr *cur, const struct op_attr *set)
{
	if (access_is_root(cred))
		return 0;
	if ((set->mask & ATTR_UID) && (cred->uid != cur->uid || set->uid != cur->uid))
		return ERR_PERM;
	if ((set->mask & ATTR_GID) &&
	    (cred->uid != cur->uid || (set->gid != cur->gid && !op_cred_in_group(cred, set->gid))))
		return ERR_PERM;
	return 0;
}

static int may_touch(const struct op_cred *cred, const struct op_attr *cur, uint64_t mask)
{
	if (access_is_owner(cred, cur))
		return 0;
	/* A server's time for each of the two is what a write would do; a chosen time is the owner's alone. */
	if (((mask & ATTR_ATIME) && !(mask & ATTR_ATIME_NOW)) || ((mask & ATTR_MTIME) && !(mask & ATTR_MTIME_NOW)))
		return ERR_PERM;
	return access_check(cred, cur, MAY_WRITE);
}

static int may_set(const struct op_cred *cred, const struct op_attr *cur, const struct op_attr *set, bool override)
{
	int err = 0;
	if (set->mask & (ATTR_UID | ATTR_GID))
		err = may_chown(cred, cur, set);
	if (!err && (set->mask & (ATTR_MODE | ATTR_BTIME | ATTR_DOS)) && !access_is_owner(cred, cur))
		err = ERR_PERM;
	if (!err && (set->mask & (ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW)))
		err = may_touch(cred, cur, set->mask);
	if (!err && (set->mask & ATTR_SIZE) && !(override && access_is_owner(cred, cur)))
		err = access_check(cred, cur, MAY_WRITE);
	return err;
}

int access_setattr(const struct op_cred *cred, const struct op_attr *cur, struct op_attr *set, bool override)
{
	int err = may_set(cred, cur, set, override);
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
