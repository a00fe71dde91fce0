/*
 * Share reservations: who has an object open for what, and what each open denies to others
 * (RFC 8881 section 9.7, MS-SMB2 ShareAccess). One table for all protocols. Any thread; nothing parks.
 */
#ifndef VFS_SHARE_H
#define VFS_SHARE_H

#include "base/compiler.h"

struct vfs_node;

/* share_add() - access and deny are OPEN_READ | OPEN_WRITE. ERR_SHARE: denied, or an open has what deny forbids. ERR_NOMEM. */
int share_add(struct vfs_node *node, uint32_t access, uint32_t deny);
void share_remove(struct vfs_node *node, uint32_t access, uint32_t deny);

#endif
