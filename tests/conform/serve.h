/* A VFS with one mount, as the options say, and with a second, read-only look at nothing. */
#ifndef CONFORM_SERVE_H
#define CONFORM_SERVE_H

#include "tests/conform/driver.h"
#include "vfs/vfs.h"

#define SERVE_MOUNT "store"

struct served {
	struct vfs *vfs; /* NULL: could not be made */
	char state_dir[64];
};

/* serve_open() - parks. A failure was printed. */
int serve_open(struct served *s, const struct driver_config *cfg);
/* serve_close() - parks; removes the state directory. */
void serve_close(struct served *s);
/* serve_root() - the root of the mount called name, through the client. */
int serve_root(struct test *t, const char *name, struct obj *root);

#endif
