/*
 * Making objects. A privileged server makes them as who asks (file-system uid and gid of the worker thread), so
 * that they belong to him, count against his quota and have their final mode from the first moment. Where the host
 * refuses that, or the owner is not who asks, an object is made closed to everyone but the server and then
 * given owner and mode by descriptor: there is no moment in which someone could use it who may not.
 *
 * An exclusive create makes a file without a name, completes it with its verifier and links it: after a
 * crash there is a file with a verifier or none.
 */
#include "backends/linux/linux.h"

#include <string.h>
#include <sys/fsuid.h>
#include <sys/sysmacros.h>

struct create_job {
	struct linux_store *store;
	int dirfd;
	struct linux_name name; /* empty: a file without a name */
	const struct vfs_create *what;
	mode_t mode; /* to make it with */
	int fd;
	struct statx stx; /* what was made */
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
	int fd = openat(job->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, job->mode);
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
	int flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(job->dirfd, job->name.text, flags, job->mode);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && node_cache_shrink(&job->store->nodes))
		fd = openat(job->dirfd, job->name.text, flags, job->mode);
	return opened(fd);
}

static uint32_t mode_of(uint32_t type)
{
	static const uint32_t modes[] = {
		[OP_TYPE_BLOCK] = S_IFBLK, [OP_TYPE_CHAR] = S_IFCHR, [OP_TYPE_FIFO] = S_IFIFO, [OP_TYPE_SOCKET] = S_IFSOCK,
	};
	return type < ARRAY_SIZE(modes) ? modes[type] : 0;
}

static int make_other(struct create_job *job)
{
	const struct vfs_create *what = job->what;
	const char *name = job->name.text;
	int err;
	if (what->type == OP_TYPE_DIR) {
		err = mkdirat(job->dirfd, name, job->mode);
	} else if (what->type == OP_TYPE_SYMLINK) {
		err = symlinkat(what->target, job->dirfd, name);
	} else if (mode_of(what->type)) {
		dev_t dev = makedev(what->attr->rdev_major, what->attr->rdev_minor);
		err = mknodat(job->dirfd, name, mode_of(what->type) | job->mode, dev);
	} else {
		return ERR_BADTYPE;
	}
	return err ? linux_error() : 0;
}

static int make(struct create_job *job)
{
	return job->what->type == OP_TYPE_FILE ? make_file(job) : make_other(job);
}

/* The thread is a worker's: nobody else's calls run on it meanwhile. */
static int make_as(struct create_job *job, uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	int made = make(job);
	setfsuid(job->store->uid);
	setfsgid(job->store->gid);
	return made;
}

/* A descriptor of a file, 0 for everything else. *owner: whose it was made. */
static int make_owned(struct create_job *job, uid_t *owner)
{
	const struct op_attr *attr = job->what->attr;
	const struct linux_store *s = job->store;
	*owner = s->uid;
	job->mode = attr->mode & 0777;
	if (attr->uid == s->uid && attr->gid == s->gid)
		return make(job);
	if (s->privileged) {
		int made = make_as(job, attr->uid, attr->gid);
		*owner = attr->uid;
		if (made != ERR_ACCES && made != ERR_PERM)
			return made;
		*owner = s->uid;
	}
	job->mode = job->what->type == OP_TYPE_DIR ? 0700 : 0600;
	return make(job);
}

/* Someone on the host may have put another object in its place since. */
static int open_made(struct create_job *job, uid_t owner)
{
	bool is_dir = job->what->type == OP_TYPE_DIR;
	int fd = linux_open(job->store, job->dirfd, job->name.text, O_PATH | (is_dir ? O_DIRECTORY : 0), 0);
	if (fd < 0)
		return fd;
	if (!linux_stat(fd, &job->stx) && linux_type(job->stx.stx_mode) == job->what->type && job->stx.stx_uid == owner)
		return fd;
	close(fd);
	return ERR_IO;
}

/* What was made is what was asked for. */
static bool is_complete(const struct create_job *job)
{
	const struct op_attr *attr = job->what->attr;
	const struct statx *stx = &job->stx;
	if (attr->mask & ~(uint64_t)(ATTR_TYPE | ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_RDEV) || job->what->acl)
		return false;
	return stx->stx_uid == attr->uid && stx->stx_gid == attr->gid && (stx->stx_mode & 07777) == (attr->mode & 07777);
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
	/* The host lets others than root keep none with pipes, sockets and devices: their modes have to do. */
	if (job->what->acl && linux_takes_acl(job->what->type))
		job->meta.flags |= META_ACL;
	if (!err && (job->meta.flags & META_ACL))
		err = linux_acl_store(job->store, job->fd, job->what->acl);
	return err || (!job->meta.flags && !job->meta.dos) ? err : linux_meta_store(job->store, job->fd, &job->meta);
}

/* Gives a file made without a name its name. */
static int link_fd(const struct create_job *job)
{
	struct linux_path p;
	return linkat(AT_FDCWD, linux_path(&p, job->fd), job->dirfd, job->name.text, AT_SYMLINK_FOLLOW) ? linux_error() : 0;
}

static int finish(struct create_job *job, bool nameless)
{
	bool named = job->name.text[0];
	int err = complete(job);
	if (err && !nameless)
		unlinkat(job->dirfd, job->name.text, job->what->type == OP_TYPE_DIR ? AT_REMOVEDIR : 0);
	if (!err && nameless && named)
		err = link_fd(job);
	return err ? err : linux_stat(job->fd, &job->stx);
}

static int create_job(void *arg)
{
	struct create_job *job = arg;
	bool is_file = job->what->type == OP_TYPE_FILE;
	uid_t owner;
	job->fd = make_owned(job, &owner);
	if (job->fd == 0 && !is_file)
		job->fd = open_made(job, owner);
	if (job->fd < 0)
		return job->fd;
	bool no_name = !job->name.text[0] || (wants_verifier(job) && !atomic_load(&job->store->no_tmpfile));
	int err = is_file ? linux_stat(job->fd, &job->stx) : 0;
	if (!err && !is_complete(job))
		err = finish(job, is_file && no_name);
	if (!err)
		return linux_adopt_as(job->store, &job->fd, &job->stx, is_file ? &job->meta : NULL, &job->node);
	close(job->fd);
	return err;
}

int linux_create(struct vfs_call *call, struct vfs_node *dir, const struct vfs_name *name,
                 const struct vfs_create *what, struct vfs_node **node)
{
	struct linux_node *d = linux_node(dir);
	struct create_job job = {.store = linux_store(dir->mount), .dirfd = d->fd, .what = what, .fd = -1};
	linux_name(&job.name, name);
	int err = linux_alter(job.store, create_job, &job);
	if (err)
		return err;
	linux_changed(d);
	linux_find_note(job.store, job.node->cached.node.fileid, dir->fileid, job.name.text);
	if (what->made)
		linux_fill_attr(job.node, &job.stx, what->made);
	*node = &job.node->cached.node;
	return 0;
}

int linux_create_unlinked(struct vfs_call *call, struct vfs_node *dir, const struct vfs_create *what,
                          struct vfs_node **node)
{
	struct create_job job = {.store = linux_store(dir->mount), .dirfd = linux_node(dir)->fd, .what = what, .fd = -1};
	int err = what->type == OP_TYPE_FILE ? linux_alter(job.store, create_job, &job) : ERR_BADTYPE;
	if (err)
		return err;
	node_cache_set_dead(&job.store->nodes, &job.node->cached, true);
	*node = &job.node->cached.node;
	return 0;
}
