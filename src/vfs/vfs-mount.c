/* The table of mounts, and what it takes to add to it and take from it while operations run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "vfs/name-index.h"
#include "vfs/vfs-impl.h"

LOG_MODULE("mount");

static struct mount_table *table_of(struct vfs *vfs)
{
	return __atomic_load_n(&vfs->mounts, __ATOMIC_ACQUIRE);
}

static struct mount_table *table_alloc(uint32_t n)
{
	uint32_t slots = 4;
	while (slots < 2 * n)
		slots *= 2;
	struct mount_table *t = calloc(1, sizeof(*t) + slots * sizeof(t->by_id[0]));
	if (!t)
		return NULL;
	t->mask = slots - 1;
	t->by_name = calloc(n + 1, sizeof(*t->by_name));
	if (!t->by_name) {
		free(t);
		return NULL;
	}
	return t;
}

static void table_free(struct mount_table *t)
{
	free(t->by_name);
	free(t);
}

/* In order of name: called with ascending names. */
static void table_add(struct mount_table *t, struct vfs_mount *m)
{
	uint32_t i = m->id & t->mask;
	while (t->by_id[i])
		i = (i + 1) & t->mask;
	t->by_id[i] = m;
	t->by_name[t->n++] = m;
}

/* The table with add (unless NULL) and without drop. */
static struct mount_table *table_copy(const struct mount_table *old, struct vfs_mount *add, struct vfs_mount *drop)
{
	struct mount_table *t = table_alloc(old->n + 1);
	for (uint32_t i = 0; t && i < old->n; i++) {
		if (add && strcmp(add->name, old->by_name[i]->name) < 0)
			table_add(t, TAKE(add));
		if (old->by_name[i] != drop)
			table_add(t, old->by_name[i]);
	}
	if (t && add)
		table_add(t, add);
	return t;
}

/* Under mount_lock. The old table is freed once nobody can be reading it. */
static void publish(struct vfs *vfs, struct mount_table *t)
{
	struct mount_table *old = vfs->mounts;
	__atomic_store_n(&vfs->mounts, t, __ATOMIC_SEQ_CST);
	vfs_quiesce(vfs);
	table_free(old);
}

int vfs_mounts_init(struct vfs *vfs)
{
	vfs->mounts = table_alloc(0);
	return vfs->mounts ? 0 : ERR_NOMEM;
}

struct vfs_mount *vfs_mount_by_id(struct vfs *vfs, uint32_t id)
{
	const struct mount_table *t = table_of(vfs);
	for (uint32_t i = id & t->mask; t->by_id[i]; i = (i + 1) & t->mask)
		if (t->by_id[i]->id == id)
			return t->by_id[i];
	return NULL;
}

struct vfs_mount *vfs_mount_by_name(struct vfs *vfs, const char *name, size_t size)
{
	const struct mount_table *t = table_of(vfs);
	for (uint32_t i = 0; i < t->n; i++)
		if (strlen(t->by_name[i]->name) == size && memcmp(t->by_name[i]->name, name, size) == 0)
			return t->by_name[i];
	return NULL;
}

static int check_spec(struct vfs *vfs, const struct vfs_mount_spec *spec, char **why)
{
	size_t size = strlen(spec->name);
	if (size == 0 || size > OP_NAME_MAX || strchr(spec->name, '/') || spec->name[0] == '.') {
		*why = strdup("a mount's name is 1 to 255 bytes without '/' and does not begin with '.'");
		return ERR_INVAL;
	}
	if (vfs_mount_by_id(vfs, spec->id) || vfs_mount_by_name(vfs, spec->name, size)) {
		if (asprintf(why, "a mount with name '%s' or id %u exists", spec->name, spec->id) < 0)
			*why = NULL;
		return ERR_EXIST;
	}
	return vfs->mounts->n >= VFS_MOUNTS_MAX ? ERR_NOSPC : 0;
}

static struct vfs_mount *mount_alloc(struct vfs *vfs, const struct vfs_mount_spec *spec)
{
	struct vfs_mount *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->vfs = vfs;
	m->id = spec->id;
	m->fsid = hash_u64(spec->id + 1);
	m->read_only = spec->read_only;
	m->pages = vfs->pages;
	m->cache = vfs->cache;
	str_copy(m->name, sizeof(m->name), spec->name);
	loop_random(&m->verifier, sizeof(m->verifier));
	return m;
}

static int mount_store(struct vfs *vfs, struct vfs_mount *m, const struct vfs_mount_spec *spec, char **why)
{
	static const struct vfs_option no_options[] = {{NULL, NULL}};
	m->ops = backend_find(spec->backend);
	if (!m->ops || m->ops->abi != VFS_BACKEND_ABI)
		return backend_unknown(spec->backend, why);
	const struct vfs_option *options = spec->options ? spec->options : no_options;
	int err = m->ops->caps & VFS_CAP_WRAPS ? 0 : backend_check_options(m->ops, options, why);
	return err ? err : m->ops->mount(m, options, why);
}

static void mount_close(struct vfs_mount *m)
{
	name_indexes_drop(m->vfs->names, m);
	if (m->root)
		vfs_node_put(TAKE(m->root));
	m->ops->unmount(m);
	free(m);
}

int vfs_mount(struct vfs *vfs, const struct vfs_mount_spec *spec, char **why)
{
	struct vfs_mount *m = NULL;
	*why = NULL;
	fiber_mutex_lock(&vfs->mount_lock);
	int err = check_spec(vfs, spec, why);
	if (!err && !(m = mount_alloc(vfs, spec)))
		err = ERR_NOMEM;
	if (!err && (err = mount_store(vfs, m, spec, why)))
		free(m);
	if (!err) {
		struct mount_table *t = table_copy(vfs->mounts, m, NULL);
		if (t)
			publish(vfs, t);
		else
			mount_close(m);
		err = t ? 0 : ERR_NOMEM;
	}
	fiber_mutex_unlock(&vfs->mount_lock);
	if (!err)
		log_info("mounted %s: %s", spec->name, spec->backend);
	return err;
}

/* Opens and watches of every session on m. A session that goes away meanwhile takes its own along. */
static void forget_users(struct vfs *vfs, struct vfs_mount *m)
{
	struct vfs_session *s;
	spin_lock(&vfs->session_lock);
	LIST_FOREACH(s, &vfs->sessions, link)
		vfs_unwatch_all(s, m);
	spin_unlock(&vfs->session_lock);
	vfs_close_mount(vfs, m);
}

static int unmount(struct vfs *vfs, struct vfs_mount *m)
{
	struct mount_table *t = table_copy(vfs->mounts, NULL, m);
	if (!t)
		return ERR_NOMEM;
	publish(vfs, t);
	forget_users(vfs, m);
	mount_close(m);
	return 0;
}

int vfs_unmount(struct vfs *vfs, const char *name)
{
	fiber_mutex_lock(&vfs->mount_lock);
	struct vfs_mount *m = vfs_mount_by_name(vfs, name, strlen(name));
	int err = m ? unmount(vfs, m) : ERR_NOENT;
	fiber_mutex_unlock(&vfs->mount_lock);
	if (!err)
		log_info("unmounted %s", name);
	return err;
}

void vfs_mounts_fini(struct vfs *vfs)
{
	if (!vfs->mounts)
		return;
	for (uint32_t i = 0; i < vfs->mounts->n; i++)
		mount_close(vfs->mounts->by_name[i]);
	table_free(TAKE(vfs->mounts));
}

void vfs_hold(struct vfs *vfs, struct vfs_mount *m)
{
	m->held = true;
	vfs_quiesce(vfs);
	vfs_close_mount(vfs, m);
}

/* Whatever others remember of the mount may have become wrong. */
void vfs_unhold(struct vfs *vfs, struct vfs_mount *m)
{
	const struct op_event event = {.type = OP_EVENT_OVERFLOW};
	m->held = false;
	vfs_broadcast(vfs, &event);
}

void vfs_each_mount(struct vfs *vfs, vfs_mount_fn *fn, void *arg)
{
	bool more = true;
	fiber_mutex_lock(&vfs->mount_lock);
	for (uint32_t i = 0; more && i < vfs->mounts->n; i++) {
		struct vfs_mount *m = vfs->mounts->by_name[i];
		struct op_statfs st = {0};
		m->ops->statfs(m, &st);
		st.fsid = m->fsid;
		more = fn(arg, m, &st);
	}
	fiber_mutex_unlock(&vfs->mount_lock);
}

/* ---- backends */

#define BACKENDS_MAX 32

static const struct backend_ops *backends[BACKENDS_MAX];
static uint32_t n_backends;

int backend_register(const struct backend_ops *ops)
{
	if (ops->abi != VFS_BACKEND_ABI)
		return ERR_NOTSUPP;
	if (backend_find(ops->name))
		return ERR_EXIST;
	if (n_backends == BACKENDS_MAX)
		return ERR_NOSPC;
	backends[n_backends++] = ops;
	return 0;
}

const struct backend_ops *backend_find(const char *name)
{
	for (uint32_t i = 0; i < n_backends; i++)
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	return NULL;
}

const struct backend_ops *backend_next(const struct backend_ops *after)
{
	if (!after)
		return n_backends ? backends[0] : NULL;
	for (uint32_t i = 0; i + 1 < n_backends; i++)
		if (backends[i] == after)
			return backends[i + 1];
	return NULL;
}
