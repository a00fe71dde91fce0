/*
 * ACLs as the extended attribute system.nfs4_acl has them, which the NFS client of Linux made known: the XDR of RFC 8881's
 * fattr4_acl, users and groups as decimal numbers, SIDs in their text form.
 */
#ifndef OP_ACL_NFS4_H
#define OP_ACL_NFS4_H

#include "base/bytes.h"
#include "op/acl.h"

#define ACL_NFS4_NAME "system.nfs4_acl"

/* acl_to_nfs4() - appends; out->err tells of failures. The ACL's own flags have no place there. */
void acl_to_nfs4(const struct acl *acl, struct bytes *out);
/* acl_from_nfs4() - ERR_INVAL: malformed, or a name that is no number; ERR_RANGE: too large. Allocates. */
int acl_from_nfs4(const void *bytes, size_t size, struct acl **acl);

#endif
