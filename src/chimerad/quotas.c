/*
 * `chimeractl quota`: what owners, groups and projects may take of a store and have taken. Limits are kept in the store.
 *
 *	quota list      all of a mount, of one kind or of each
 *	quota show      one
 *	quota set       limits and graces of one; those that are not given stay. A project's directory, too
 *	quota delete    takes the limits of one away
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "chimerad/chimerad.h"

static const char *const kinds[] = {[QUOTA_USER] = "user", [QUOTA_GROUP] = "group", [QUOTA_PROJECT] = "project"};

/* ---- what is told */

static void write_limit(struct json *j, const char *what, const struct op_quota_limit *l)
{
	json_object(j, what);
	json_u64(j, "used", l->used);
	json_u64(j, "soft", l->soft);
	json_u64(j, "hard", l->hard);
	json_u64(j, "grace_ns", (l->grace ? l->grace : QUOTA_GRACE_S) * NS_PER_SEC);
	if (l->until > 0)
		json_time(j, "until", (uint64_t)l->until * NS_PER_SEC);
	json_end(j);
}

static void write_quota(struct json *j, const struct op_quota *q)
{
	char name[32];
	snprintf(name, sizeof(name), "%s:%u", kinds[q->kind], q->id);
	json_object(j, NULL);
	json_str(j, "name", name);
	json_str(j, "kind", kinds[q->kind]);
	json_u64(j, "id", q->id);
	write_limit(j, "bytes", &q->bytes);
	write_limit(j, "inodes", &q->inodes);
	json_end(j);
}

/* ---- one mount, and whom it is about */

struct quota_command {
	struct mount_command base;
	int (*run)(struct quota_command *cmd, struct vfs_mount *m);
	struct op_quota quota; /* kind and id, if the verb is about one */
};

static int fail(struct quota_command *cmd, int err, const char *what)
{
	return chimerad_mount_fail(&cmd->base, err, what);
}

static int with_quotas(struct mount_command *base, struct vfs_mount *m, const struct op_statfs *st)
{
	struct quota_command *cmd = container_of(base, struct quota_command, base);
	return m->ops->get_quota ? cmd->run(cmd, m) : fail(cmd, ERR_NOTSUPP, "its back end keeps no quotas");
}

static int find_kind(const char *text, size_t size, uint32_t *kind)
{
	for (*kind = 0; *kind < QUOTA_N_KINDS; ++*kind)
		if (strlen(kinds[*kind]) == size && memcmp(kinds[*kind], text, size) == 0)
			return 0;
	return ERR_INVAL;
}

/* "user:1001". Names were made numbers by chimeractl. */
static int parse_who(struct quota_command *cmd)
{
	const char *text = control_arg(cmd->base.rq, "id"), *colon = text ? strchr(text, ':') : NULL;
	uint64_t id;
	int err = colon ? find_kind(text, (size_t)(colon - text), &cmd->quota.kind) : ERR_INVAL;
	if (!err)
		err = str_parse_u64(colon + 1, 0, UINT32_MAX, &id);
	if (err)
		return fail(cmd, ERR_INVAL, "user:NUMBER, group:NUMBER or project:NUMBER is wanted");
	cmd->quota.id = (uint32_t)id;
	return 0;
}

/* ---- list, show */

static int list_kind(struct json *j, struct vfs_mount *m, uint32_t kind)
{
	struct op_quota q = {.kind = kind};
	int err = m->ops->get_quota(m, &q, true);
	while (!err) {
		write_quota(j, &q);
		if (q.id == UINT32_MAX)
			return 0;
		q.id++;
		err = m->ops->get_quota(m, &q, true);
	}
	return err == ERR_NOENT ? 0 : err;
}

static int run_list(struct quota_command *cmd, struct vfs_mount *m)
{
	const char *wanted = control_arg(cmd->base.rq, "kind");
	uint32_t kind = 0, last = QUOTA_N_KINDS - 1;
	int err = 0;
	if (wanted && find_kind(wanted, strlen(wanted), &kind))
		return fail(cmd, ERR_INVAL, "a kind is user, group or project");
	if (wanted)
		last = kind;
	json_array(&cmd->base.reply->json, NULL);
	for (; !err && kind <= last; kind++)
		err = list_kind(&cmd->base.reply->json, m, kind);
	json_end(&cmd->base.reply->json);
	return err;
}

/* Who has nothing and no limits is told to have that. */
static int run_show(struct quota_command *cmd, struct vfs_mount *m)
{
	int err = parse_who(cmd);
	if (!err)
		err = m->ops->get_quota(m, &cmd->quota, false);
	if (!err || err == ERR_NOENT)
		write_quota(&cmd->base.reply->json, &cmd->quota);
	return err == ERR_NOENT ? 0 : err;
}

/* ---- set, delete */

static int take_number(struct quota_command *cmd, const char *key, uint64_t *value)
{
	const char *text = control_arg(cmd->base.rq, key);
	return text && str_parse_size(text, value) ? fail(cmd, ERR_INVAL, "a limit is a size, or 0 for none") : 0;
}

static int take_grace(struct quota_command *cmd, const char *key, uint64_t *seconds)
{
	const char *text = control_arg(cmd->base.rq, key);
	uint64_t ns;
	if (!text)
		return 0;
	if (str_parse_duration(text, &ns))
		return fail(cmd, ERR_INVAL, "a grace is a time, as 7d or 12h");
	*seconds = ns / NS_PER_SEC;
	return 0;
}

static int take_limits(struct quota_command *cmd, struct op_quota *q)
{
	const struct {
		const char *key;
		uint64_t *value;
	} numbers[] = {
		{"soft", &q->bytes.soft}, {"hard", &q->bytes.hard}, {"soft-inodes", &q->inodes.soft}, {"hard-inodes", &q->inodes.hard},
	};
	int err = 0;
	for (size_t i = 0; !err && i < ARRAY_SIZE(numbers); i++)
		err = take_number(cmd, numbers[i].key, numbers[i].value);
	if (!err)
		err = take_grace(cmd, "grace", &q->bytes.grace);
	if (!err)
		err = take_grace(cmd, "inode-grace", &q->inodes.grace);
	if (err)
		return err;
	if ((q->bytes.hard && q->bytes.soft > q->bytes.hard) || (q->inodes.hard && q->inodes.soft > q->inodes.hard))
		return fail(cmd, ERR_INVAL, "a soft limit is not above the hard one");
	return q->kind == QUOTA_PROJECT && q->id == 0 ? fail(cmd, ERR_INVAL, "projects are numbered from 1") : 0;
}

/* The directory at path below node, which is referenced and given back. */
static int walk(struct vfs_node **node, const char *path)
{
	int err = 0;
	for (path += strspn(path, "/"); !err && *path; path += strspn(path, "/")) {
		struct vfs_name name = {path, (uint32_t)strcspn(path, "/")};
		struct vfs_node *next = NULL;
		path += name.size;
		fiber_rwlock_rdlock(&(*node)->lock);
		err = (*node)->type == OP_TYPE_DIR && name.size <= OP_NAME_MAX ? (*node)->mount->ops->lookup(*node, &name, &next) : ERR_NOTDIR;
		fiber_rwlock_rdunlock(&(*node)->lock);
		vfs_node_put(*node);
		*node = next;
	}
	return err;
}

/* From now on what is made there, and below it, is of the project. */
static int set_project(struct quota_command *cmd, struct vfs_mount *m, const char *path)
{
	struct op_attr set = {.mask = ATTR_PROJECT, .project = cmd->quota.id};
	if (cmd->quota.kind != QUOTA_PROJECT)
		return fail(cmd, ERR_INVAL, "only a project has a directory");
	if (!m->root)
		return fail(cmd, ERR_IO, "the store has failed");
	struct vfs_node *node = vfs_node_get(m->root);
	int err = walk(&node, path);
	if (!err) {
		fiber_rwlock_wrlock(&node->lock);
		err = node->type == OP_TYPE_DIR ? m->ops->setattr(node, &set) : ERR_NOTDIR;
		fiber_rwlock_wrunlock(&node->lock);
	}
	if (!err && m->ops->settle)
		err = m->ops->settle(&node, 1);
	if (node)
		vfs_node_put(node);
	return err ? fail(cmd, err, err_text(err)) : 0;
}

static int run_set(struct quota_command *cmd, struct vfs_mount *m)
{
	const char *path = control_arg(cmd->base.rq, "path");
	int err = parse_who(cmd);
	if (err)
		return err;
	struct op_quota q = cmd->quota;
	err = m->ops->get_quota(m, &q, false);
	if (err && err != ERR_NOENT)
		return err;
	err = take_limits(cmd, &q);
	q.bytes.until = q.inodes.until = 0;
	if (!err && path)
		err = set_project(cmd, m, path);
	if (!err)
		err = m->ops->set_quota(m, &q);
	return err ? err : run_show(cmd, m);
}

static int run_delete(struct quota_command *cmd, struct vfs_mount *m)
{
	int err = parse_who(cmd);
	if (!err)
		err = m->ops->set_quota(m, &cmd->quota);
	if (!err)
		json_null(&cmd->base.reply->json, NULL);
	return err;
}

/* ---- the verbs */

static const struct {
	const char *verb;
	int (*run)(struct quota_command *cmd, struct vfs_mount *m);
} runs[] = {{"list", run_list}, {"show", run_show}, {"set", run_set}, {"delete", run_delete}};

static int run(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct quota_command cmd = {.base = {.rq = rq, .reply = reply, .run = with_quotas}};
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		if (strcmp(runs[i].verb, rq->verb) == 0)
			cmd.run = runs[i].run;
	return chimerad_mount_run(arg, &cmd.base);
}

static const struct control_verb verbs[] = {
	{"quota", "list", run}, {"quota", "show", run}, {"quota", "set", run}, {"quota", "delete", run},
};

int chimerad_register_quotas(struct chimerad *d)
{
	return control_register(d->control, verbs, ARRAY_SIZE(verbs), d);
}
