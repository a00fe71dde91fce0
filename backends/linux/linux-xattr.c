/*
 * Extended attributes: clients see the user namespace, without what this backend keeps there itself.
 * The trusted, security and system namespaces are the host's own and never shown.
 */
#include "backends/linux/linux.h"

#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/str.h"

struct xattr_job {
	struct linux_node *node;
	struct linux_name name;
	void *value;
	const void *new_value;
	uint32_t size;
	int flags;
};

static bool is_shown(const char *name)
{
	return str_starts(name, "user.") && name[5] && strcmp(name, "user.chimera") && !str_starts(name, "user.chimera.");
}

static int get_job(void *arg)
{
	struct xattr_job *job = arg;
	struct linux_path p;
	uint32_t room = job->size;
	ssize_t n = getxattr(linux_path(&p, job->node->fd), job->name.text, job->value, room);
	if (n < 0 && errno == ERANGE)
		n = getxattr(p.text, job->name.text, NULL, 0);
	if (n < 0)
		return errno == EPERM || errno == EOPNOTSUPP ? ERR_NODATA : linux_error();
	job->size = (uint32_t)n;
	return (size_t)n > room ? ERR_TOOSMALL : 0;
}

int linux_get_xattr(struct vfs_node *node, const struct vfs_name *name, void *value, uint32_t *size)
{
	struct xattr_job job = {.node = linux_node(node), .value = value, .size = *size};
	linux_name(&job.name, name);
	if (!is_shown(job.name.text))
		return ERR_NODATA;
	int err = loop_block(get_job, &job);
	*size = job.size;
	return err;
}

static int set_job(void *arg)
{
	struct xattr_job *job = arg;
	struct linux_path p;
	return setxattr(linux_path(&p, job->node->fd), job->name.text, job->new_value, job->size, job->flags)
	       ? linux_error() : 0;
}

int linux_set_xattr(struct vfs_node *node, const struct vfs_name *name, const void *value, uint32_t size, uint32_t flags)
{
	struct xattr_job job = {.node = linux_node(node), .new_value = value, .size = size};
	job.flags = (flags & XATTR_SET_CREATE ? XATTR_CREATE : 0) | (flags & XATTR_SET_REPLACE ? XATTR_REPLACE : 0);
	linux_name(&job.name, name);
	if (!is_shown(job.name.text))
		return str_starts(job.name.text, "user.") ? ERR_PERM : ERR_NOTSUPP;
	int err = loop_block(set_job, &job);
	linux_changed(job.node);
	return err;
}

static int remove_job(void *arg)
{
	struct xattr_job *job = arg;
	struct linux_path p;
	return removexattr(linux_path(&p, job->node->fd), job->name.text) ? linux_error() : 0;
}

int linux_remove_xattr(struct vfs_node *node, const struct vfs_name *name)
{
	struct xattr_job job = {.node = linux_node(node)};
	linux_name(&job.name, name);
	if (!is_shown(job.name.text))
		return ERR_NODATA;
	int err = loop_block(remove_job, &job);
	linux_changed(job.node);
	return err;
}

/* Copies the names that are shown; *used: their full size. */
static void filter_names(const char *all, size_t size, struct xattr_job *job, uint32_t *used)
{
	char *out = job->value;
	*used = 0;
	for (size_t at = 0; at < size;) {
		uint32_t n = (uint32_t)strlen(all + at) + 1;
		if (is_shown(all + at)) {
			if (*used + n <= job->size)
				memcpy(out + *used, all + at, n);
			*used += n;
		}
		at += n;
	}
}

static int list_job(void *arg)
{
	struct xattr_job *job = arg;
	struct linux_path p;
	uint32_t used;
	CLEANUP_FREE char *all = malloc(XATTR_LIST_MAX + 1);
	if (!all)
		return ERR_NOMEM;
	ssize_t n = listxattr(linux_path(&p, job->node->fd), all, XATTR_LIST_MAX);
	if (n < 0)
		return linux_error();
	filter_names(all, (size_t)n, job, &used);
	bool fits = used <= job->size;
	job->size = used;
	return fits ? 0 : ERR_TOOSMALL;
}

int linux_list_xattr(struct vfs_node *node, char *names, uint32_t *size)
{
	struct xattr_job job = {.node = linux_node(node), .value = names, .size = *size};
	int err = loop_block(list_job, &job);
	*size = job.size;
	return err;
}
