/*
 * The VFS itself and its sessions. Mounts come and go while operations run: instead of counting references
 * on something every thread shares, each session counts its own running calls under one of two phases, and whoever took
 * a mount out of the table flips the phase and waits for the old one's counts to reach zero.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "vfs/block-cache.h"
#include "vfs/kv.h"
#include "vfs/name-index.h"
#include "vfs/replay.h"
#include "vfs/vfs-impl.h"

LOG_MODULE("vfs");

#define ARENA_SIZE_DEFAULT (64ULL << 30)
#define CACHE_SIZE_MAX (8ULL << 30) /* unless asked for more */
#define QUIESCE_POLL_NS (200 * NS_PER_US)
#define NAMES_SHARE 16u         /* of the arena's limit, that names may take beside it */
#define NAMES_MIN (16ULL << 20)

static uint64_t memory_size(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 1ULL << 30;
}

static int create_arena(struct vfs *vfs, const struct vfs_config *cfg)
{
	uint64_t size = cfg->arena_size ? cfg->arena_size : ARENA_SIZE_DEFAULT;
	uint64_t limit = cfg->arena_limit ? cfg->arena_limit : memory_size() / 2;
	uint64_t half = MIN(limit, size) / 2, cache = cfg->cache_size ? cfg->cache_size : MIN(half, CACHE_SIZE_MAX);
	int err = pages_create(&vfs->pages, size, limit);
	if (!err)
		err = name_indexes_create(&vfs->names, MAX(limit / NAMES_SHARE, NAMES_MIN));
	if (!err)
		err = block_cache_create(&vfs->cache, vfs->pages, cache);
	return err ? err : pages_alloc(vfs->pages, 0, 0, &vfs->zero_chunk);
}

static int open_state(struct vfs *vfs, const struct vfs_config *cfg, char **why)
{
	int err = 0;
	if (cfg->state_dir) {
		vfs->state_dir = strdup(cfg->state_dir);
		err = vfs->state_dir ? 0 : ERR_NOMEM;
	}
	if (!err)
		err = vfs_handle_key(vfs, why);
	if (!err && vfs->state_dir)
		err = replay_open(&vfs->replay, vfs->state_dir, why);
	if (!err)
		err = kv_open(&vfs->kv, vfs->state_dir, why);
	return err;
}

int vfs_create(struct vfs **out, const struct vfs_config *cfg, char **why)
{
	struct vfs *vfs = calloc(1, sizeof(*vfs));
	*why = NULL;
	if (!vfs)
		return ERR_NOMEM;
	list_init(&vfs->sessions);
	loop_random(&vfs->salt, sizeof(vfs->salt));
	int err = vfs_mounts_init(vfs);
	if (!err)
		err = create_arena(vfs, cfg);
	if (!err)
		err = open_state(vfs, cfg, why);
	if (err) {
		vfs_destroy(vfs);
		return err;
	}
	*out = vfs;
	return 0;
}

void vfs_destroy(struct vfs *vfs)
{
	vfs_mounts_fini(vfs);
	if (vfs->kv)
		kv_close(vfs->kv);
	if (vfs->replay)
		replay_close(vfs->replay);
	name_indexes_destroy(vfs->names);
	block_cache_destroy(vfs->cache);
	pages_destroy(vfs->pages);
	free(vfs->state_dir);
	free(vfs);
}

struct pages *vfs_pages(struct vfs *vfs)
{
	return vfs->pages;
}

struct block_cache *vfs_block_cache(struct vfs *vfs)
{
	return vfs->cache;
}

void vfs_set_hooks(struct vfs *vfs, const struct vfs_hooks *hooks)
{
	vfs->hooks = *hooks;
}

/* ---- sessions */

int vfs_session_create(struct vfs *vfs, const struct vfs_session_config *cfg, struct vfs_session **session)
{
	struct vfs_session *s = aligned_alloc(CACHE_LINE, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	memset(s, 0, sizeof(*s));
	s->vfs = vfs;
	s->cfg = *cfg;
	s->cfg.name = s->name;
	str_copy(s->name, sizeof(s->name), cfg->name ? cfg->name : "");
	list_init(&s->watches);
	spin_lock(&vfs->session_lock);
	list_push_back(&vfs->sessions, &s->link);
	spin_unlock(&vfs->session_lock);
	*session = s;
	return 0;
}

void vfs_session_destroy(struct vfs_session *s)
{
	struct vfs *vfs = s->vfs;
	spin_lock(&vfs->session_lock);
	list_del(&s->link);
	spin_unlock(&vfs->session_lock);
	vfs_close_all(s);
	vfs_unwatch_all(s, NULL);
	free(s->opens);
	free(s);
}

void vfs_broadcast(struct vfs *vfs, const struct op_event *event)
{
	struct vfs_session *s;
	spin_lock(&vfs->session_lock);
	LIST_FOREACH(s, &vfs->sessions, link)
		if (s->cfg.event)
			s->cfg.event(s->cfg.arg, event);
	spin_unlock(&vfs->session_lock);
}

/* ---- who is inside */

uint32_t vfs_enter(struct vfs_session *s)
{
	uint32_t phase = __atomic_load_n(&s->vfs->phase, __ATOMIC_RELAXED) & 1;
	__atomic_fetch_add(&s->running[phase], 1, __ATOMIC_SEQ_CST);
	return phase;
}

void vfs_leave(struct vfs_session *s, uint32_t phase)
{
	__atomic_fetch_sub(&s->running[phase], 1, __ATOMIC_RELEASE);
}

static bool anyone_inside(struct vfs *vfs, uint32_t phase)
{
	struct vfs_session *s;
	bool found = false;
	spin_lock(&vfs->session_lock);
	LIST_FOREACH(s, &vfs->sessions, link)
		found = found || __atomic_load_n(&s->running[phase], __ATOMIC_SEQ_CST) != 0;
	spin_unlock(&vfs->session_lock);
	return found;
}

void vfs_quiesce(struct vfs *vfs)
{
	uint32_t old = __atomic_fetch_add(&vfs->phase, 1, __ATOMIC_SEQ_CST) & 1;
	while (anyone_inside(vfs, old))
		fiber_sleep_ns(QUIESCE_POLL_NS);
}

struct op_time vfs_now(void)
{
	uint64_t ns = loop_wall_ns(loop_current());
	return (struct op_time){(int64_t)(ns / NS_PER_SEC), (uint32_t)(ns % NS_PER_SEC), 0};
}
