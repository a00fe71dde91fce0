/*
 * Making objects. Each is made closed to everyone but the server, then given its owner, mode and times by
 * descriptor, so that there is no moment in which someone could use it who may not.
 *
 * An exclusive create makes a file without a name, completes it with its verifier and links it: after a
 * crash there is a file with a verifier or none.
 */
#include "backends/linux/linux.h"

#include <string.h>
#include <sys/sysmacros.h>

struct create_job {
	struct linux_store *store;
	int dirfd;
	struct linux_name name; /* empty: a file without a name */
	const struct vfs_create *what;
	int fd;
	struct linux_meta meta;
	struct linux_node *node;
};

static bool wants_verifier(const struct create_job *job)
{
	return job->what->attr->mask & ATTR_VERIFIER;
}

static int opened(int fd)
{
	return fd >= 0 ? fd : linux_error();
}

static int make_nameless(struct create_job *job)
{
	struct linux_store *s = job->store;
	int fd = openat(job->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		atomic_store(&s->no_tmpfile, true);
		return ERR_NOTSUPP;
	}
	return opened(fd);
}

static int make_file(struct create_job *job)
{
	if (!job->name.text[0])
		return make_nameless(job);
	if (wants_verifier(job) && !atomic_load(&job->store->no_tmpfile)) {
		int fd = make_nameless(job);
		if (fd != ERR_NOTSUPP)
			return fd;
	}
	int fd = openat(job->dirfd, job->name.text, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && node_cache_shrink(&job->store->nodes))
		fd = openat(job->dirfd, job->name.text, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	return opened(fd);
}

static uint32_t mode_of(uint32_t type)
{
	static const uint32_t modes[] = {
		[OP_TYPE_BLOCK] = S_IFBLK, [OP_TYPE_CHAR] = S_IFCHR, [OP_TYPE_FIFO] = S_IFIFO, [OP_TYPE_SOCKET] = S_IFSOCK,
	};
	return type < ARRAY_SIZE(modes) ? modes[type] : 0;
}

/* Makes what has no descriptor from the start, then opens it. */
static int make_other(struct create_job *job)
{
	const struct vfs_create *what = job->what;
	const char *name = job->name.text;
	int flags = O_PATH;
	int err;
	if (what->type == OP_TYPE_DIR) {
		err = mkdirat(job->dirfd, name, 0700);
		flags = O_RDONLY | O_DIRECTORY;
	} else if (what->type == OP_TYPE_SYMLINK) {
		err = symlinkat(what->target, job->dirfd, name);
	} else if (mode_of(what->type)) {
		dev_t dev = makedev(what->attr->rdev_major, what->attr->rdev_minor);
		err = mknodat(job->dirfd, name, mode_of(what->type) | 0600, dev);
	} else {
		return ERR_BADTYPE;
	}
	return err ? linux_error() : linux_open(job->store, job->dirfd, name, flags, 0);
}

/* Someone on the host may have put another object in its place since. */
static int check_ours(const struct create_job *job)
{
	struct statx stx;
	int err = linux_stat(job->fd, &stx);
	if (err)
		return err;
	if (linux_type(stx.stx_mode) != job->what->type || stx.stx_uid != geteuid())
		return ERR_IO;
	return job->what->type != OP_TYPE_SYMLINK && (stx.stx_mode & 0777 & ~0700) ? ERR_IO : 0;
}

static int complete(struct create_job *job)
{
	struct op_attr attr = *job->what->attr;
	if (job->what->type == OP_TYPE_SYMLINK)
		attr.mask &= ~ATTR_MODE;
	if (job->what->type == OP_TYPE_FILE && attr.mask & ATTR_SIZE && attr.size && ftruncate(job->fd, (off_t)attr.size))
		return linux_error();
	int err = linux_apply(job->store, job->fd, &attr, true);
	if (wants_verifier(job)) {
		job->meta.flags |= META_VERIFIER;
		job->meta.verifier = job->what->verifier;
	}
	if (attr.mask & ATTR_BTIME) {
		job->meta.flags |= META_BTIME;
		job->meta.btime = attr.btime;
	}
	if (attr.mask & ATTR_DOS)
		job->meta.dos = attr.dos & DOS_SETTABLE;
	return err || (!job->meta.flags && !job->meta.dos) ? err : linux_meta_store(job->store, job->fd, &job->meta);
}

/* Gives a file made without a name its name. */
static int link_fd(const struct create_job *job)
{
	struct linux_path p;
	return linkat(AT_FDCWD, linux_path(&p, job->fd), job->dirfd, job->name.text, AT_SYMLINK_FOLLOW) ? linux_error() : 0;
}

static int create_job(void *arg)
{
	struct create_job *job = arg;
	bool is_file = job->what->type == OP_TYPE_FILE;
	bool named = job->name.text[0];
	job->fd = is_file ? make_file(job) : make_other(job);
	if (job->fd < 0)
		return job->fd;
	bool nameless = is_file && (!named || (wants_verifier(job) && !atomic_load(&job->store->no_tmpfile)));
	int err = nameless ? 0 : check_ours(job);
	if (!err) {
		err = complete(job);
		if (err && !nameless)
			unlinkat(job->dirfd, job->name.text, job->what->type == OP_TYPE_DIR ? AT_REMOVEDIR : 0);
	}
	if (!err && nameless && named)
		err = link_fd(job);
	if (!err)
		return linux_adopt(job->store, &job->fd, is_file || job->what->type == OP_TYPE_DIR, &job->node);
	close(job->fd);
	return err;
}

int linux_create(struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name,
                 const struct vfs_create *what, struct vfs_node **node)
{
	struct linux_node *d = linux_node(dir);
	struct create_job job = {.store = linux_store(dir->mount), .dirfd = d->fd, .what = what, .fd = -1};
	linux_name(&job.name, name);
	int err = loop_block(create_job, &job);
	if (err)
		return err;
	linux_touch(d);
	linux_find_note(job.store, job.node->cached.node.fileid, dir->fileid, job.name.text);
	err = linux_settle(d, NULL);
	if (err)
		vfs_node_put(&job.node->cached.node);
	else
		*node = &job.node->cached.node;
	return err;
}

int linux_create_unlinked(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what,
                          struct vfs_node **node)
{
	struct create_job job = {.store = linux_store(dir->mount), .dirfd = linux_node(dir)->fd, .what = what, .fd = -1};
	int err = what->type == OP_TYPE_FILE ? loop_block(create_job, &job) : ERR_BADTYPE;
	if (err)
		return err;
	node_cache_set_dead(&job.store->nodes, &job.node->cached, true);
	*node = &job.node->cached.node;
	return 0;
}
