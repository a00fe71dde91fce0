/*
 * The one place that decides who may do what: by an object's ACL if it has one, else by its mode bits as Linux
 * applies them, with supplementary groups and the liberties an NFS server must give (RFC 1813 section 4.4). Pure
 * functions of credential, attributes and ACL; a NULL credential is chimerad itself and may do anything, a NULL ACL
 * means that the object has none.
 */
#ifndef VFS_ACCESS_H
#define VFS_ACCESS_H

#include "op/acl.h"
#include "op/attr.h"

/* Wanted and granted rights are those of an ACE (enum ace_mask); these are what the digits of a mode say. */
enum { MAY_EXEC = ACE_EXECUTE, MAY_WRITE = ACE_WRITE_DATA, MAY_READ = ACE_READ_DATA };

bool access_is_root(const struct op_cred *cred);
bool access_is_owner(const struct op_cred *cred, const struct op_attr *attr); /* or root */

/* access_rights() - all rights that cred has on an object. */
uint32_t access_rights(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl);

/* access_check() - 0, or ERR_ACCES unless all of want are granted. */
int access_check(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl, uint32_t want);

/*
 * access_io() - may cred read (MAY_READ) or write (MAY_WRITE) a file's data? override: the liberties of
 * RFC 1813 section 4.4: the owner may whatever the mode says, and who may execute may read (programs are paged in by READ).
 */
int access_io(const struct op_cred *cred, const struct op_attr *attr, const struct acl *acl, uint32_t want, bool override);

/* access_sticky() - ERR_PERM where the sticky bit of dir keeps cred from taking away or renaming node. */
int access_sticky(const struct op_cred *cred, const struct op_attr *dir, const struct op_attr *node);

/*
 * access_delete() - may cred take node's name out of dir? RFC 8881 section 6.2.1.3.2: DELETE on the one or DELETE_CHILD on the
 * other; where neither is mentioned, who may add a file. The sticky bit comes on top unless node itself grants DELETE.
 */
int access_delete(const struct op_cred *cred, const struct op_attr *dir, const struct acl *dir_acl,
                  const struct op_attr *node, const struct acl *acl);

/*
 * access_create() - the initial attributes of an object of that type in dir: owner, group (setgid
 * inheritance), mode (set-id bits that cred may not give are cleared). asked: what the caller wants, its owner only
 * for root. ERR_PERM: device nodes by others than root.
 */
int access_create(const struct op_cred *cred, const struct op_attr *dir, uint32_t type, const struct op_attr *asked,
                  struct op_attr *out);

/*
 * access_setattr() - may cred set set->mask of an object that is cur? Also adjusts set: set-id bits are cleared
 * by chown and by a chmod outside the group, by a truncation of others than root. may_resize: the size is not asked about.
 */
int access_setattr(const struct op_cred *cred, const struct op_attr *cur, const struct acl *acl, struct op_attr *set,
                   bool may_resize);

/* access_suid_mode() - the mode after unprivileged data changes: set-uid, and set-gid of executables, go. */
uint32_t access_suid_mode(uint32_t mode);

#endif
