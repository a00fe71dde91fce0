/*
 * Room for the tables. LMDB writes pages where none were before, in the middle of a commit, when the host may have no
 * room for them. So the file's end is allocated ahead: what is pending finds its pages there, and a reserve that only what frees
 * may use. Who comes when the host does not give that any more is refused before anything is promised.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/cairn/cairn-meta-impl.h"
#include "base/log.h"
#include "loop/loop.h"

LOG_MODULE("cairn");

#define PAGE_BYTES 4096u
#define RESERVE_SHARE 64 /* of the tables' room, and of the host's, for what frees */
#define RESERVE_PAGES_MIN 256u
#define RESERVE_PAGES_MAX 4096u
#define AHEAD_PAGES_MIN 1024u
#define LOCKS_SIZE ((2 * META_READERS_MAX + 2) * 64) /* of its file */
#define STEP_PAGES_MIN 64u
#define FULL_PAGES 128u /* above the reserve */
#define OVERLAYS_AHEAD 4u /* both of them, each with twice its size in pages */

/* ---- how much is wanted */

/* To delete all of it small tables need no more than their own size. */
uint64_t meta_reserve(const struct meta *m)
{
	uint64_t used = m->used_pages, total = m->host_total;
	uint64_t most = MIN(m->cfg.size_max, total) / PAGE_BYTES / RESERVE_SHARE;
	most = MIN(most, used);
	most = MAX(most, (uint64_t)RESERVE_PAGES_MIN);
	return MIN(most, (uint64_t)RESERVE_PAGES_MAX);
}

/* Pages for what is pending, besides the reserve; small tables grow by their own size. */
static uint64_t wanted(const struct meta *m)
{
	uint64_t overlays = OVERLAYS_AHEAD * m->overlay_max / PAGE_BYTES, used = m->used_pages;
	uint64_t own = MAX(used, (uint64_t)AHEAD_PAGES_MIN);
	return MIN(overlays, own) + meta_reserve(m);
}

/* ---- what there is */

/* Pages on the free list: a walk of it, which LMDB lets readers make; so only when there is little room behind the last page. */
static uint64_t free_pages(MDB_env *env)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_val k, v;
	uint64_t n = 0;
	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn))
		return 0;
	if (mdb_cursor_open(txn, 0, &cursor)) {
		mdb_txn_abort(txn);
		return 0;
	}
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
		size_t count;
		memcpy(&count, v.mv_data, sizeof(count));
		n += count;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return n;
}

void meta_look_at_host(struct meta *m)
{
	struct statvfs st;
	if (fstatvfs(m->dir_fd, &st))
		return;
	m->host_free = (uint64_t)st.f_bavail * st.f_frsize;
	m->host_total = (uint64_t)st.f_blocks * st.f_frsize;
}

void meta_refresh(struct meta *m, uint64_t age_ns)
{
	uint64_t now = loop_now_ns(loop_current());
	if (now - m->looked_ns < age_ns)
		return;
	m->looked_ns = now;
	meta_look_at_host(m);
}

/* ---- allocating ahead */

static bool allocate(struct meta *m, uint64_t from, uint64_t to)
{
	if (fallocate(m->room_fd, FALLOC_FL_KEEP_SIZE, (off_t)(from * PAGE_BYTES), (off_t)((to - from) * PAGE_BYTES)) == 0)
		return true;
	/* Such a host's free space is all that can be looked at. */
	if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG && errno != EINTR && errno != EIO)
		m->host_refuses = true;
	return false;
}

/* As far as it goes, in steps that get smaller. */
static void extend(struct meta *m, uint64_t to)
{
	uint64_t step = to - MIN(to, m->allocated_pages);
	while (!m->host_refuses && m->allocated_pages < to && step >= STEP_PAGES_MIN) {
		uint64_t next = MIN(to, m->allocated_pages + step);
		if (allocate(m, m->allocated_pages, next))
			m->allocated_pages = next;
		else
			step /= 4;
	}
}

/* Pages that may be used from now on without asking the host, of so many that the tables could have. */
static uint64_t pages_left(struct meta *m, uint64_t max, uint64_t used)
{
	uint64_t enough = wanted(m);
	if (m->room_fd >= 0 && m->allocated_pages < MIN(max, used + enough))
		extend(m, MIN(max, used + enough + enough / 2));
	if (m->room_fd >= 0 && !m->host_refuses)
		max = MIN(max, m->allocated_pages);
	uint64_t left = max - MIN(max, used);
	return left < enough ? left + free_pages(m->env) : left;
}

void meta_measure(struct meta *m)
{
	MDB_envinfo info;
	meta_look_at_host(m);
	if (mdb_env_info(m->env, &info))
		return;
	pthread_mutex_lock(&m->room_lock);
	m->used_pages = info.me_last_pgno + 1;
	m->pages_left = pages_left(m, info.me_mapsize / PAGE_BYTES, info.me_last_pgno + 1);
	m->full = m->pages_left < meta_reserve(m) + FULL_PAGES || (m->host_refuses && m->host_free < m->cfg.reserve);
	pthread_mutex_unlock(&m->room_lock);
}

static int measure_job(void *arg)
{
	meta_measure(arg);
	return 0;
}

void meta_make_room(struct meta *m, uint64_t age_ns)
{
	uint64_t now = loop_now_ns(loop_current());
	if (now - m->measured_ns < age_ns)
		return;
	m->measured_ns = now;
	loop_block(measure_job, m);
}

/* ---- opening */

/*
 * Its slots are written to by mapping it: what cannot be allocated then is a signal. Before LMDB opens it, for whoever closes a
 * file gives up its locks.
 */
void meta_allocate_locks(struct meta *m)
{
	int fd = openat(m->dir_fd, "lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCKS_SIZE) && errno == ENOSPC)
		log_warn("%s: the host has no room for LMDB's locks", m->cfg.dir);
	close(fd);
}

int meta_room_open(struct meta *m)
{
	meta_look_at_host(m);
	uint64_t total = m->host_total;
	m->overlay_max = MIN(m->overlay_max, total / META_HOST_SHARE);
	m->overlay_max = MAX(m->overlay_max, META_OVERLAY_MIN);
	m->cfg.reserve = MIN(m->cfg.reserve, total / RESERVE_SHARE);
	m->room_fd = -1;
	if (m->cfg.read_only)
		return 0;
	m->room_fd = openat(m->dir_fd, META_TABLES_NAME, O_RDWR | O_CLOEXEC);
	return m->room_fd < 0 ? err_from_errno(errno) : 0;
}
