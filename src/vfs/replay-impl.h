/* One kept answer, as it lies in the file, and what recognises a change that was made but not answered. */
#ifndef VFS_REPLAY_IMPL_H
#define VFS_REPLAY_IMPL_H

#include "vfs/vfs-impl.h"

struct replay_entry {
	uint64_t client;
	uint64_t key;
	uint64_t boot;     /* the start of chimerad that runs it */
	uint64_t began_ns; /* wall clock */
	uint32_t state;    /* ENTRY_*; written last */
	uint32_t code;
	uint32_t redo;     /* it was begun before by a chimerad that is gone */
	int32_t status;
	uint8_t out[sizeof(union op_out)];
};

/* replay_explain() - op failed in its second run: 0, with the answer completed, where its first one is the reason; else err. Parks. */
int replay_explain(struct vfs_call *c, const struct replay_entry *e, int err);

#endif
