/*
 * ACLs: an extended attribute beside the hidden one that says that there is one (linux-meta.c), so that objects
 * without cost nothing. The host's own POSIX ACLs are its affair: nobody gets at them through here.
 */
#include "backends/linux/linux.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

struct acl_name {
	char text[32];
};

/* trusted.chimera.acl or user.chimera.acl; NULL where the host keeps none of the kind. */
static const char *name_of(struct acl_name *name, const char *meta_name)
{
	snprintf(name->text, sizeof(name->text), "%s.acl", meta_name);
	return name->text;
}

static ssize_t get(int fd, const char *meta_name, uint8_t *bytes)
{
	struct acl_name name;
	struct linux_path p;
	return getxattr(linux_path(&p, fd), name_of(&name, meta_name), bytes, OP_ACL_MAX);
}

int linux_acl_load(struct linux_store *s, int fd, struct acl **acl)
{
	CLEANUP_FREE uint8_t *bytes = malloc(OP_ACL_MAX);
	if (!bytes)
		return ERR_NOMEM;
	ssize_t n = get(fd, s->meta_name, bytes);
	/* As in linux_meta_load(): what a server without privileges kept counts too. */
	if (n < 0 && errno == ENODATA)
		n = get(fd, "user.chimera", bytes);
	int err = n < 0 ? linux_error() : acl_parse(bytes, (size_t)n, acl);
	/* An object without the ACL that it should have is for nobody. */
	return err == 0 || err == ERR_NOMEM ? err : ERR_IO;
}

int linux_acl_store(struct linux_store *s, int fd, const struct acl *acl)
{
	struct acl_name name;
	struct linux_path p;
	if (!s->meta_name)
		return ERR_NOTSUPP;
	if (acl)
		return setxattr(linux_path(&p, fd), name_of(&name, s->meta_name), acl->bytes, acl->size, 0) ? linux_error() : 0;
	return removexattr(linux_path(&p, fd), name_of(&name, s->meta_name)) && errno != ENODATA ? linux_error() : 0;
}

struct acl_job {
	struct linux_node *node;
	const struct acl *acl;
	uint32_t mode;
};

/* The mark comes after the ACL that it promises, and goes before it. */
static int set_job(void *arg)
{
	struct acl_job *job = arg;
	struct linux_node *n = job->node;
	struct linux_store *s = linux_store(n->cached.node.mount);
	struct linux_meta meta = n->meta;
	struct op_attr attr = {.mask = ATTR_MODE, .mode = job->mode};
	int err = job->acl ? linux_acl_store(s, n->fd, job->acl) : 0;
	if (err)
		return err;
	meta.flags = (meta.flags & ~(uint32_t)META_ACL) | (job->acl ? META_ACL : 0);
	if (meta.flags != n->meta.flags)
		err = linux_meta_store(s, n->fd, &meta);
	if (err)
		return err;
	n->meta = meta;
	if (!job->acl)
		linux_acl_store(s, n->fd, NULL);
	return linux_apply(s, n->fd, &attr, false);
}

int linux_set_acl(struct vfs_node *node, const struct acl *acl, uint32_t mode)
{
	struct acl_job job = {linux_node(node), acl, mode};
	CLEANUP_FREE struct acl *copy = acl ? acl_copy(acl) : NULL;
	if (!linux_takes_acl(node->type))
		return ERR_NOTSUPP;
	if (acl && !copy)
		return ERR_NOMEM;
	int err = loop_block(set_job, &job);
	linux_changed(job.node);
	if (err)
		return err;
	free(node->acl);
	node->acl = TAKE(copy);
	return 0;
}
