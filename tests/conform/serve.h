/* A VFS with one mount, as the options say. */
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

/* serve_faulty() - whether the store of this process is a fault backend: then serve_fault() sets its rules. */
bool serve_faulty(void);
void serve_fault(const char *rules);
/* serve_fault_hits() - how often the first rule hit. */
uint64_t serve_fault_hits(void);

#endif
