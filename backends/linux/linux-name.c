/* Names of what exists: link, remove, rename. */
#include "backends/linux/linux.h"

#include <stdio.h>

struct name_job {
	struct linux_store *store;
	struct linux_node *node;
	struct linux_node *target;
	int from_fd;
	struct linux_name from;
	int to_fd;
	struct linux_name to;
	int flags;
};

static int link_job(void *arg)
{
	struct name_job *job = arg;
	struct linux_path p;
	if (!linkat(job->node->fd, "", job->to_fd, job->to.text, AT_EMPTY_PATH))
		return 0;
	/* An ordinary user has to go by the descriptor's path. */
	if (errno != ENOENT && errno != EPERM)
		return linux_error();
	return linkat(AT_FDCWD, linux_path(&p, job->node->fd), job->to_fd, job->to.text, AT_SYMLINK_FOLLOW)
	       ? linux_error() : 0;
}

int linux_link(struct vfs_node *node, struct vfs_node *dir, const struct vfs_name *name)
{
	struct linux_node *d = linux_node(dir);
	struct name_job job = {.store = linux_store(dir->mount), .node = linux_node(node), .to_fd = d->fd};
	linux_name(&job.to, name);
	int err = linux_alter(job.store, link_job, &job);
	if (err)
		return err;
	node_cache_set_dead(&job.store->nodes, &job.node->cached, false);
	linux_touch(job.node);
	linux_changed(d);
	linux_find_note(job.store, node->fileid, dir->fileid, job.to.text);
	return 0;
}

static int remove_job(void *arg)
{
	struct name_job *job = arg;
	if (unlinkat(job->from_fd, job->from.text, job->flags))
		return errno == EEXIST ? ERR_NOTEMPTY : linux_error();
	linux_check_dead(job->node);
	return 0;
}

int linux_remove(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node *node)
{
	struct linux_node *d = linux_node(dir);
	struct name_job job = {
		.store = linux_store(dir->mount),
		.node = linux_node(node),
		.from_fd = d->fd,
		.flags = node->type == OP_TYPE_DIR ? AT_REMOVEDIR : 0,
	};
	linux_name(&job.from, name);
	int err = linux_alter(job.store, remove_job, &job);
	if (err)
		return err;
	linux_touch(job.node);
	linux_changed(d);
	return 0;
}

static int rename_job(void *arg)
{
	struct name_job *job = arg;
	if (renameat2(job->from_fd, job->from.text, job->to_fd, job->to.text, (unsigned)job->flags))
		return errno == EEXIST ? ERR_NOTEMPTY : linux_error();
	if (job->target)
		linux_check_dead(job->target);
	return 0;
}

int linux_rename(struct vfs_node *from_dir, const struct vfs_name *from, struct vfs_node *to_dir,
                 const struct vfs_name *to, const struct vfs_rename *what)
{
	struct linux_node *from_d = linux_node(from_dir), *to_d = linux_node(to_dir);
	struct name_job job = {
		.store = linux_store(from_dir->mount),
		.node = linux_node(what->node),
		.target = what->target ? linux_node(what->target) : NULL,
		.from_fd = from_d->fd,
		.to_fd = to_d->fd,
		.flags = what->flags & RENAME_EXCHANGE ? RENAME_EXCHANGE : 0, /* our flag has the kernel's value */
	};
	linux_name(&job.from, from);
	linux_name(&job.to, to);
	int err = linux_alter(job.store, rename_job, &job);
	if (err)
		return err;
	linux_changed(from_d);
	linux_changed(to_d);
	linux_touch(job.node);
	if (job.target)
		linux_touch(job.target);
	linux_find_note(job.store, what->node->fileid, to_dir->fileid, job.to.text);
	if (what->flags & RENAME_EXCHANGE)
		linux_find_note(job.store, what->target->fileid, from_dir->fileid, job.from.text);
	return 0;
}
