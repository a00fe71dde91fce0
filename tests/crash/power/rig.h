/* A store mounted in this process and one client of it: the operations that the crash tests use, as plain calls. All park. */
#ifndef TESTS_CRASH_POWER_RIG_H
#define TESTS_CRASH_POWER_RIG_H

#include "client/client.h"
#include "op/acl.h"
#include "op/op.h"
#include "vfs/backend.h"

struct rig {
	struct vfs *vfs;
	struct client *client;
	struct op_handle root;
	struct op_attr attr;   /* of the object that the last call answered about */
	struct op_handle made; /* what the last call made or found */
	uint64_t verifier;     /* of the last write or commit */
	uint16_t flags;        /* enum op_flags of every call */
};

/* What makes file calls: n_workers threads through the C library, or io_uring, where it can be had. */
struct rig_engine {
	bool uring;
	uint32_t n_workers;
};

/* rig_in_loop() - runs body in a fiber of a loop of its own. rig_has_uring() - whether there is such a one here. */
void rig_in_loop(const struct rig_engine *engine, void (*body)(void *arg), void *arg);
bool rig_has_uring(void);

/* rig_open() - mounts cairn on directory dir, with options as "key=value", NULL at the end. What failed goes to stderr unless quiet. */
int rig_open(struct rig *r, const char *dir, const char *const *options, bool quiet);
/* rig_close() - unmounts. rig may have failed to open. */
void rig_close(struct rig *r);

int rig_lookup(struct rig *r, const struct op_handle *dir, const char *name);
int rig_create(struct rig *r, const struct op_handle *dir, const char *name, uint32_t mode);
int rig_mkdir(struct rig *r, const struct op_handle *dir, const char *name, uint32_t mode);
int rig_symlink(struct rig *r, const struct op_handle *dir, const char *name, const char *target);
int rig_link(struct rig *r, const struct op_handle *obj, const struct op_handle *dir, const char *name);
int rig_rename(struct rig *r, const struct op_handle *from, const char *name, const struct op_handle *to, const char *to_name,
               uint32_t flags);
int rig_remove(struct rig *r, const struct op_handle *dir, const char *name);
int rig_getattr(struct rig *r, const struct op_handle *obj);
int rig_setattr(struct rig *r, const struct op_handle *obj, const struct op_attr *set);
/* rig_set_acl() - acl NULL: none. rig_get_acl() - acl: malloc'ed, NULL: it has none. */
int rig_set_acl(struct rig *r, const struct op_handle *obj, const struct acl *acl);
int rig_get_acl(struct rig *r, const struct op_handle *obj, struct acl **acl);
int rig_set_quota(struct rig *r, const struct op_quota *q);
int rig_get_quota(struct rig *r, struct op_quota *q);
/* rig_open_file() - for reading and writing, until rig_close_file(). rig_create_unlinked() - one without a name. */
int rig_open_file(struct rig *r, const struct op_handle *obj, uint64_t *open_id);
int rig_create_unlinked(struct rig *r, const struct op_handle *dir, uint32_t mode, uint64_t *open_id);
int rig_close_file(struct rig *r, uint64_t open_id);
int rig_capacity(struct rig *r, uint64_t *bytes);
/* rig_grow() - to that many bytes. rig_scrub() - begins one; rig_scrub_state() - that of the last. */
int rig_grow(struct rig *r, uint64_t bytes);
int rig_scrub(struct rig *r);
void rig_scrub_state(struct rig *r, struct scrub_state *state);
int rig_write(struct rig *r, const struct op_handle *obj, uint64_t offset, const void *data, uint32_t size, uint32_t *stability);
int rig_read(struct rig *r, const struct op_handle *obj, uint64_t offset, void *data, uint32_t size, uint32_t *got);
int rig_commit(struct rig *r, const struct op_handle *obj);
int rig_sync(struct rig *r);
/* rig_range() - OP_allocate, OP_deallocate or OP_zero. */
int rig_range(struct rig *r, enum op_code code, const struct op_handle *obj, uint64_t offset, uint64_t size, uint32_t flags);
/* rig_copy() - *size comes back as what was copied. */
int rig_copy(struct rig *r, const struct op_handle *from, uint64_t offset, const struct op_handle *to, uint64_t to_offset,
             uint64_t *size);
int rig_clone(struct rig *r, const struct op_handle *from, uint64_t offset, const struct op_handle *to, uint64_t to_offset,
              uint64_t size);
/* rig_set_xattr() - data NULL: removes it. rig_get_xattr() - *size: room, then the size; at most OP_XATTR_MAX. */
int rig_set_xattr(struct rig *r, const struct op_handle *obj, const char *name, const void *data, uint32_t size);
int rig_get_xattr(struct rig *r, const struct op_handle *obj, const char *name, void *data, uint32_t *size);
int rig_readlink(struct rig *r, const struct op_handle *obj, char *target, uint32_t room);
/* rig_make_stream() - an empty one of obj. rig_remove_stream(), rig_rename_stream() - which replaces. */
int rig_make_stream(struct rig *r, const struct op_handle *obj, const char *name);
int rig_find_stream(struct rig *r, const struct op_handle *obj, const char *name);
int rig_remove_stream(struct rig *r, const struct op_handle *obj, const char *name);
int rig_rename_stream(struct rig *r, const struct op_handle *obj, const char *name, const char *to_name);
/* rig_snapshot() - OP_snapshot_create, OP_snapshot_remove or OP_snapshot_rollback. */
int rig_snapshot(struct rig *r, enum op_code code, const char *name);
/* rig_list_snapshots() - each to fn; whole: not removed. */
typedef void rig_snapshot_fn(void *arg, const char *name, bool whole);
int rig_list_snapshots(struct rig *r, rig_snapshot_fn *fn, void *arg);
/* rig_list() - every entry with its attributes to fn. */
typedef void rig_entry_fn(void *arg, const struct op_dirent *d, const char *name);
int rig_list(struct rig *r, const struct op_handle *dir, rig_entry_fn *fn, void *arg);
/* rig_list_streams() - so those of obj, which are few. */
int rig_list_streams(struct rig *r, const struct op_handle *obj, rig_entry_fn *fn, void *arg);

#endif
