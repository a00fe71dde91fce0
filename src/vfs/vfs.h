/*
 * The virtual file system: mounts, sessions, and the execution of operations. Used by the ring's
 * server side, the local transport and chimerad's main.
 */
#ifndef VFS_VFS_H
#define VFS_VFS_H

#include "op/op.h"
#include "op/step.h"
#include "ring/pages.h"
#include "vfs/backend.h"

struct vfs;
struct vfs_session;

struct vfs_config {
	const char *state_dir;   /* handle key, replay file, kv store; NULL: keep nothing (a store opened by FUSE itself) */
	uint64_t arena_size;     /* address space of the page arena, bytes; 0: 64 GiB */
	uint64_t arena_limit;    /* bytes of it in use at most; 0: half of the memory */
	uint64_t cache_size;     /* bytes of the block cache at most; 0: half of what the arena may use, 8 GiB at most */
};

/* vfs_create() - parks. *why as in backend_ops.mount. */
int vfs_create(struct vfs **vfs, const struct vfs_config *cfg, char **why);
void vfs_destroy(struct vfs *vfs); /* parks: unmounts all */
struct pages *vfs_pages(struct vfs *vfs);
struct block_cache *vfs_block_cache(struct vfs *vfs);

struct vfs_mount_spec {
	uint32_t id;
	const char *name;
	const char *backend;
	bool read_only;
	const struct vfs_option *options;
};

/* vfs_mount() - ERR_EXIST name or id taken, ERR_NODEV no such backend, or the backend's. Parks. */
int vfs_mount(struct vfs *vfs, const struct vfs_mount_spec *spec, char **why);
/* vfs_unmount() - operations in flight finish, later ones answer ERR_STALE. Parks. ERR_NOENT. */
int vfs_unmount(struct vfs *vfs, const char *name);

/*
 * Snapshots of a mount, for the administrator. name: 1 to 255 bytes without '/', not "." or "..". ERR_NOENT: no such mount or
 * snapshot, ERR_EXIST, ERR_INVAL, ERR_ROFS, ERR_NOTSUPP. Park.
 */
int vfs_snapshot_create(struct vfs *vfs, const char *mount, const char *name, struct vfs_snapshot *made);
int vfs_snapshot_list(struct vfs *vfs, const char *mount, vfs_snapshot_fn *fn, void *arg);
int vfs_snapshot_remove(struct vfs *vfs, const char *mount, const char *name);
int vfs_snapshot_rollback(struct vfs *vfs, const char *mount, const char *name);

/* One session per attachment: owns opens and watches, names the replay cache's role. */
struct vfs_session_config {
	uint32_t role;     /* enum ring_role */
	const char *name;
	bool isolated;     /* read data is copied to the client's segments, never referenced */
	/* An event for the session, from any thread. */
	void (*event)(void *arg, const struct op_event *event);
	void *arg;
};

int vfs_session_create(struct vfs *vfs, const struct vfs_session_config *cfg, struct vfs_session **session);
/* vfs_session_destroy() - closes its opens and watches; parks. No op of it may be running. */
void vfs_session_destroy(struct vfs_session *session);

/* vfs_pins_release() - drops the references that a read answered. Any thread. */
void vfs_pins_release(struct vfs *vfs, struct vfs_pins *pins);

/*
 * vfs_run() - runs the steps in order, in the calling fiber; parks as the backend does. Each op's status, out,
 * out_var and (for reads) segs are set; steps after a failure get ERR_CANCELED. A session's runs are on one thread.
 */
void vfs_run(struct vfs_session *session, struct vfs_step *steps, unsigned n);

/* For status and listings: the mounts, in order of name. false ends the walk. */
typedef bool vfs_mount_fn(void *arg, struct vfs_mount *m, const struct op_statfs *st);
void vfs_each_mount(struct vfs *vfs, vfs_mount_fn *fn, void *arg); /* parks */

/* Hooks by which chimerad serves catalogue_scan and client_report; set once before sessions exist. */
struct vfs_hooks {
	int (*catalogue_scan)(void *arg, const char *kind, uint64_t after, struct vfs_payload *room, struct op_catalogue_scan_out *out);
	int (*client_report)(void *arg, struct vfs_session *s, const char *client, const char *text, uint32_t size);
	uint64_t (*catalogue_generation)(void *arg);
	void *arg;
};

void vfs_set_hooks(struct vfs *vfs, const struct vfs_hooks *hooks);

/* vfs_broadcast() - an event to every session. Any thread. */
void vfs_broadcast(struct vfs *vfs, const struct op_event *event);

#endif
