/*
 * The one place that decides who may do what: POSIX mode bits as Linux applies them, with
 * supplementary groups and the liberties an NFS server must give (RFC 1813 section 4.4). Pure functions
 * of credential and attributes; a NULL credential is chimerad itself and may do anything.
 */
#ifndef VFS_ACCESS_H
#define VFS_ACCESS_H

#include "op/attr.h"
#include "op/cred.h"

/* Wanted and granted rights: as in one digit of a mode. */
enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };

bool access_is_root(const struct op_cred *cred);
bool access_is_owner(const struct op_cred *cred, const struct op_attr *attr); /* or root */

/* access_rights() - the MAY_* that cred has on an object. */
uint32_t access_rights(const struct op_cred *cred, const struct op_attr *attr);

/* access_check() - 0, or ERR_ACCES unless all of want are granted. */
int access_check(const struct op_cred *cred, const struct op_attr *attr, uint32_t want);

/*
 * access_io() - may cred read (MAY_READ) or write (MAY_WRITE) a file's data? override: the liberties of
 * RFC 1813 section 4.4: the owner may whatever the mode says, and who may execute may read (programs are paged in by READ).
 */
int access_io(const struct op_cred *cred, const struct op_attr *attr, uint32_t want, bool override);

/* access_sticky() - ERR_PERM where the sticky bit of dir keeps cred from taking away or renaming node. */
int access_sticky(const struct op_cred *cred, const struct op_attr *dir, const struct op_attr *node);

/*
 * access_create() - the initial attributes of an object of that type in dir: owner, group (setgid
 * inheritance), mode (set-id bits that cred may not give are cleared). asked: what the caller wants, its owner only
 * for root. ERR_PERM: device nodes by others than root.
 */
int access_create(const struct op_cred *cred, const struct op_attr *dir, uint32_t type, const struct op_attr *asked,
                  struct op_attr *out);

/*
 * access_setattr() - may cred set set->mask of an object that is cur? Also adjusts set: set-id bits are cleared
 * by chown and by a chmod outside the group, by a truncation of others than root. override: as in access_io(), for the size.
 */
int access_setattr(const struct op_cred *cred, const struct op_attr *cur, struct op_attr *set, bool override);

/* access_suid_mode() - the mode after unprivileged data changes: set-uid, and set-gid of executables, go. */
uint32_t access_suid_mode(uint32_t mode);

#endif
