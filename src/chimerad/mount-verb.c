/* Verbs about one mount, which is found by the request's name and stays open while the verb runs. */
#include <string.h>

#include "chimerad/chimerad.h"

static bool try_mount(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	struct mount_command *cmd = arg;
	cmd->found = strcmp(m->name, cmd->rq->name) == 0;
	if (cmd->found)
		cmd->err = cmd->run(cmd, m, st);
	return !cmd->found;
}

int chimerad_mount_run(struct chimerad *d, struct mount_command *cmd)
{
	if (!cmd->rq->name)
		return ERR_INVAL;
	vfs_each_mount(d->vfs, try_mount, cmd);
	if (cmd->found)
		return cmd->err;
	catalogue_error_set(&cmd->reply->error, "mount \"%.200s\" is not open", cmd->rq->name);
	return ERR_NOENT;
}

int chimerad_mount_fail(struct mount_command *cmd, int err, const char *what)
{
	catalogue_error_set(&cmd->reply->error, "mount \"%.200s\": %s", cmd->rq->name, what);
	return err;
}
