/*
 * Attributes: the host's by statx, with the hidden ones (linux-meta.c) over them.
 *
 * The change counter is the host's ctime in nanoseconds. Where two changes of ours fall into one tick of
 * that clock the counter is moved on by one, so that it always differs; a restart falls back to the
 * ctime, which costs a client at most one look that it would not have needed.
 */
#include "backends/linux/linux.h"

#include <unistd.h>

static struct op_time op_time(struct statx_timestamp t)
{
	return (struct op_time){.sec = t.tv_sec, .nsec = t.tv_nsec};
}

uint64_t linux_change(struct linux_node *n, const struct statx *stx)
{
	uint64_t ctime_ns = (uint64_t)stx->stx_ctime.tv_sec * NS_PER_SEC + stx->stx_ctime.tv_nsec;
	spin_lock(&n->attr_lock);
	if (ctime_ns != n->ctime_ns || n->touched)
		n->change = MAX(n->change + 1, ctime_ns);
	n->ctime_ns = ctime_ns;
	n->touched = false;
	uint64_t change = n->change;
	spin_unlock(&n->attr_lock);
	return change;
}

void linux_fill_attr(struct linux_node *n, const struct statx *stx, struct op_attr *attr)
{
	*attr = (struct op_attr){
		.mask = ATTR_ALL & ~ATTR_FSID,
		.fileid = stx->stx_ino,
		.size = stx->stx_size,
		.space = stx->stx_blocks * 512,
		.change = linux_change(n, stx),
		.atime = op_time(stx->stx_atime),
		.mtime = op_time(stx->stx_mtime),
		.ctime = op_time(stx->stx_ctime),
		.btime = op_time(stx->stx_btime),
		.type = n->cached.node.type,
		.mode = stx->stx_mode & 07777,
		.nlink = stx->stx_nlink,
		.uid = stx->stx_uid,
		.gid = stx->stx_gid,
		.rdev_major = stx->stx_rdev_major,
		.rdev_minor = stx->stx_rdev_minor,
		.dos = n->meta.dos,
	};
	if (n->meta.flags & META_BTIME)
		attr->btime = n->meta.btime;
	else if (!(stx->stx_mask & STATX_BTIME))
		attr->mask &= ~ATTR_BTIME;
}

struct stat_job {
	int fd;
	struct statx stx;
};

static int stat_job(void *arg)
{
	struct stat_job *job = arg;
	return linux_stat(job->fd, &job->stx);
}

int linux_getattr(struct vfs_node *node, struct op_attr *attr)
{
	if (node->base)
		return linux_stream_getattr(node, attr);
	struct linux_node *n = linux_node(node);
	struct stat_job job = {.fd = n->fd};
	int err = linux_inline(linux_store(node->mount), stat_job, &job);
	if (err)
		return err;
	if (job.stx.stx_nlink == 0 && !n->cached.dead) {
		/* Its last name was taken away behind our back. */
		node_cache_set_dead(&linux_store(node->mount)->nodes, &n->cached, true);
		return ERR_STALE;
	}
	linux_fill_attr(n, &job.stx, attr);
	return 0;
}

static int set_owner(struct linux_store *s, int fd, const struct statx *stx, const struct op_attr *attr, bool new_object)
{
	uid_t uid = attr->mask & ATTR_UID && attr->uid != stx->stx_uid ? attr->uid : (uid_t)-1;
	gid_t gid = attr->mask & ATTR_GID && attr->gid != stx->stx_gid ? attr->gid : (gid_t)-1;
	if (uid == (uid_t)-1 && gid == (gid_t)-1)
		return 0;
	if (!fchownat(fd, "", uid, gid, AT_EMPTY_PATH))
		return 0;
	if (errno != EPERM || s->privileged || !new_object)
		return linux_error();
	/* The group may still be one of ours. */
	if (gid != (gid_t)-1 && fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) && errno != EPERM)
		return linux_error();
	return 0;
}

static int set_times(int fd, const struct op_attr *attr)
{
	struct timespec t[2] = {
		{.tv_sec = attr->atime.sec, .tv_nsec = attr->mask & ATTR_ATIME ? attr->atime.nsec : UTIME_OMIT},
		{.tv_sec = attr->mtime.sec, .tv_nsec = attr->mask & ATTR_MTIME ? attr->mtime.nsec : UTIME_OMIT},
	};
	struct linux_path p;
	if (!utimensat(fd, "", t, AT_EMPTY_PATH))
		return 0;
	return errno == EINVAL && !utimensat(AT_FDCWD, linux_path(&p, fd), t, 0) ? 0 : linux_error();
}

int linux_apply(struct linux_store *s, int fd, const struct op_attr *attr, bool new_object)
{
	struct linux_path p;
	struct statx stx;
	int err = attr->mask & (ATTR_UID | ATTR_GID) || new_object ? linux_stat(fd, &stx) : 0;
	if (!err && attr->mask & (ATTR_UID | ATTR_GID))
		err = set_owner(s, fd, &stx, attr, new_object);
	/* After the owner: a change of that clears the set-id bits. What was made right stays as it is, times and all. */
	bool right = new_object && (stx.stx_mode & 07777) == (attr->mode & 07777) && !(attr->mode & 07000);
	if (!err && attr->mask & ATTR_MODE && !right && fchmodat(s->proc_fd, linux_procname(&p, fd), attr->mode & 07777, 0))
		err = linux_error();
	if (!err && attr->mask & (ATTR_ATIME | ATTR_MTIME))
		err = set_times(fd, attr);
	return err;
}

struct setattr_job {
	struct linux_node *node;
	const struct op_attr *attr;
};

static int set_meta(struct linux_node *n, const struct op_attr *attr)
{
	struct linux_meta meta = n->meta;
	if (attr->mask & ATTR_DOS)
		meta.dos = attr->dos & DOS_SETTABLE;
	if (attr->mask & ATTR_BTIME) {
		meta.btime = attr->btime;
		meta.flags |= META_BTIME;
	}
	int err = linux_meta_store(linux_store(n->cached.node.mount), n->fd, &meta);
	if (!err)
		n->meta = meta;
	return err;
}

/* What is likeliest to fail comes first, so that a failure leaves the object as it was. */
static int setattr_job(void *arg)
{
	struct setattr_job *job = arg;
	struct linux_node *n = job->node;
	const struct op_attr *attr = job->attr;
	struct linux_store *s = linux_store(n->cached.node.mount);
	int err = 0;
	if (attr->mask & ATTR_SIZE) {
		int fd = linux_io_fd_here(n, true);
		err = fd < 0 ? fd : ftruncate(fd, (off_t)attr->size) ? linux_error() : 0;
	}
	if (!err && attr->mask & (ATTR_DOS | ATTR_BTIME))
		err = set_meta(n, attr);
	return err ? err : linux_apply(s, n->fd, attr, false);
}

int linux_setattr(struct vfs_node *node, const struct op_attr *attr)
{
	if (node->base)
		return linux_stream_setattr(node, attr);
	struct setattr_job job = {linux_node(node), attr};
	if (attr->mask & ATTR_SIZE && attr->size > INT64_MAX)
		return ERR_FBIG;
	/* Freeing a large file's blocks takes time. */
	struct linux_store *s = linux_store(node->mount);
	int err = attr->mask & ATTR_SIZE ? loop_block(setattr_job, &job) : linux_alter(s, setattr_job, &job);
	linux_changed(job.node);
	return err;
}

struct readlink_job {
	int fd;
	char *target;
	uint32_t size;
};

static int readlink_job(void *arg)
{
	struct readlink_job *job = arg;
	ssize_t n = readlinkat(job->fd, "", job->target, OP_PATH_MAX);
	if (n < 0)
		return linux_error();
	job->size = (uint32_t)n;
	return 0;
}

int linux_readlink(struct vfs_node *node, char *target, uint32_t *size)
{
	struct readlink_job job = {.fd = linux_node(node)->fd, .target = target};
	int err = linux_quick(linux_store(node->mount), readlink_job, &job);
	*size = job.size;
	return err;
}

int linux_verifier(struct vfs_node *node, uint64_t *verifier)
{
	struct linux_node *n = linux_node(node);
	*verifier = n->meta.flags & META_VERIFIER ? n->meta.verifier : 0;
	return 0;
}
