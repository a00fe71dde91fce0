/*
 * `chimeractl snapshot`: those of one mount's store. Every answer tells of one in the same way:
 *
 *	snapshot list      all of them, oldest first; those whose room is still being given back, too
 *	snapshot show      one
 *	snapshot create    answers the new one
 *	snapshot delete    answers how far giving back its room is; with status only that
 *	snapshot rollback  answers the one that the store is again
 */
#include <string.h>

#include "base/str.h"
#include "chimerad/chimerad.h"

/* A name of one that is whole tells more than the same name's remains. */
struct finding {
	const char *name;
	struct vfs_snapshot found;
	bool any;
};

static void write_snapshot(struct json *j, const char *mount, const struct vfs_snapshot *s)
{
	json_object(j, NULL);
	json_str(j, "name", s->name);
	json_str(j, "mount", mount);
	json_u64(j, "id", s->id);
	json_time(j, "created", (uint64_t)s->time.sec * NS_PER_SEC + s->time.nsec);
	json_str(j, "state", s->state == SNAPSHOT_READY ? "ready" : "deleting");
	if (s->state == SNAPSHOT_DELETING) {
		json_u64(j, "done_records", s->done);
		json_u64(j, "total_records", s->total);
	}
	json_end(j);
}

static int fail(const struct control_request *rq, struct control_reply *reply, int err)
{
	const char *mount = control_arg(rq, "mount");
	if (err == ERR_NOTSUPP)
		catalogue_error_set(&reply->error, "mount \"%.200s\": its back end has no snapshots", mount);
	else if (rq->name && err == ERR_NOENT)
		catalogue_error_set(&reply->error, "mount \"%.200s\" is not open, or has no snapshot \"%.200s\"", mount, rq->name);
	else if (rq->name)
		catalogue_error_set(&reply->error, "mount \"%.200s\", snapshot \"%.200s\": %s", mount, rq->name, err_text(err));
	else if (err == ERR_NOENT)
		catalogue_error_set(&reply->error, "mount \"%.200s\" is not open", mount);
	return err;
}

/* ---- list, show */

struct listing {
	struct json *j;
	const char *mount;
};

static bool list_one(void *arg, const struct vfs_snapshot *s)
{
	struct listing *l = arg;
	write_snapshot(l->j, l->mount, s);
	return true;
}

static int list(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct listing l = {&reply->json, control_arg(rq, "mount")};
	if (!l.mount)
		return ERR_INVAL;
	json_array(&reply->json, NULL);
	int err = vfs_snapshot_list(((struct chimerad *)arg)->vfs, l.mount, list_one, &l);
	json_end(&reply->json);
	return err ? fail(rq, reply, err) : 0;
}

static bool find_one(void *arg, const struct vfs_snapshot *s)
{
	struct finding *f = arg;
	if (strcmp(s->name, f->name) == 0 && (!f->any || s->state == SNAPSHOT_READY)) {
		f->found = *s;
		f->any = true;
	}
	return true;
}

static int find(struct chimerad *d, const struct control_request *rq, struct finding *f)
{
	*f = (struct finding){.name = rq->name};
	if (!rq->name || !control_arg(rq, "mount"))
		return ERR_INVAL;
	return vfs_snapshot_list(d->vfs, control_arg(rq, "mount"), find_one, f);
}

static int show(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct finding f;
	int err = find(arg, rq, &f);
	if (!err && !f.any)
		err = ERR_NOENT;
	if (err)
		return fail(rq, reply, err);
	write_snapshot(&reply->json, control_arg(rq, "mount"), &f.found);
	return 0;
}

/* ---- changes */

static int create(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct chimerad *d = arg;
	struct vfs_snapshot made = {.id = 0};
	if (!rq->name || !control_arg(rq, "mount"))
		return ERR_INVAL;
	int err = vfs_snapshot_create(d->vfs, control_arg(rq, "mount"), rq->name, &made);
	if (err == ERR_EXIST && control_arg(rq, "if-not-exists"))
		return show(arg, rq, reply);
	if (err)
		return fail(rq, reply, err);
	write_snapshot(&reply->json, control_arg(rq, "mount"), &made);
	return 0;
}

static int rollback(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct chimerad *d = arg;
	if (!rq->name || !control_arg(rq, "mount"))
		return ERR_INVAL;
	int err = vfs_snapshot_rollback(d->vfs, control_arg(rq, "mount"), rq->name);
	return err ? fail(rq, reply, err) : show(arg, rq, reply);
}

/* As of anything that is waited for: running, or done. */
static int tell_progress(struct chimerad *d, const struct control_request *rq, struct control_reply *reply)
{
	struct finding f;
	struct json *j = &reply->json;
	int err = find(d, rq, &f);
	if (err)
		return fail(rq, reply, err);
	bool running = f.any && f.found.state == SNAPSHOT_DELETING;
	json_object(j, NULL);
	json_str(j, "name", rq->name);
	json_str(j, "mount", control_arg(rq, "mount"));
	json_str(j, "state", running ? "running" : "done");
	json_u64(j, "done_records", f.found.done);
	json_u64(j, "total_records", f.found.total);
	json_end(j);
	return 0;
}

static int drop(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct chimerad *d = arg;
	int err = 0;
	if (!rq->name || !control_arg(rq, "mount"))
		return ERR_INVAL;
	if (!control_arg(rq, "status"))
		err = vfs_snapshot_remove(d->vfs, control_arg(rq, "mount"), rq->name);
	if (err == ERR_NOENT && control_arg(rq, "if-exists"))
		err = 0;
	return err ? fail(rq, reply, err) : tell_progress(d, rq, reply);
}

static const struct control_verb verbs[] = {
	{"snapshot", "list", list},   {"snapshot", "show", show},         {"snapshot", "create", create},
	{"snapshot", "delete", drop}, {"snapshot", "rollback", rollback},
};

int chimerad_register_snapshots(struct chimerad *d)
{
	return control_register(d->control, verbs, ARRAY_SIZE(verbs), d);
}
