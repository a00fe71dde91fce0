/* An NFS server on memfs in this process, and a connection to it: for the targets that send it bytes. */
#ifndef FUZZ_NFS_RIG_H
#define FUZZ_NFS_RIG_H

#include "protocols/nfs/nfs-server.h"

/* rig_exchange() - sends size bytes over a connection of their own, ends it, and takes whatever comes back. */
void rig_exchange(const uint8_t *data, size_t size);

/* rig_root() - the handle of the export's root. */
const struct op_handle *rig_root(void);

#endif
