/*
 * `chimeractl backend`: what the stores behind the mounts tell of themselves, and their care.
 *
 *	backend list    the open mounts with capacity, use and the state of their scrub
 *	backend stats   all numbers of one
 *	backend scrub   begins, pauses or stops verifying one, or tells how far that is; answers the state
 *	backend grow    changes the capacity of one
 */
#include <string.h>

#include "base/str.h"
#include "chimerad/chimerad.h"

static const char *const run_names[] = {
	[SCRUB_IDLE] = "none",       [SCRUB_RUNNING] = "running", [SCRUB_PAUSED] = "paused",
	[SCRUB_STOPPED] = "stopped", [SCRUB_DONE] = "done",       [SCRUB_FAILED] = "failed",
};

/* ---- what is told */

static void write_time(struct json *j, const char *key, uint64_t ns)
{
	if (ns)
		json_time(j, key, ns);
}

static void write_scrub(struct json *j, const struct scrub_state *st)
{
	json_str(j, "state", run_names[st->run]);
	if (st->run == SCRUB_FAILED)
		json_str(j, "error", err_text(st->err));
	write_time(j, "started", st->started_ns);
	write_time(j, "ended", st->ended_ns);
	json_u64(j, "rate_bytes", st->rate_bytes);
	json_u64(j, "done_bytes", st->done_bytes);
	json_u64(j, "total_bytes", st->total_bytes);
	json_u64(j, "done_records", st->done_records);
	json_u64(j, "total_records", st->total_records);
	json_u64(j, "bad_records", st->bad_records);
	json_u64(j, "bad_bytes", st->bad_bytes);
	if (*st->last_bad)
		json_str(j, "last_bad", st->last_bad);
}

static void write_scrub_state(struct json *j, struct vfs_mount *m)
{
	struct scrub_state st;
	if (!m->ops->scrub_state)
		return;
	m->ops->scrub_state(m, &st);
	json_str(j, "scrub", run_names[st.run]);
	json_u64(j, "damaged", st.bad_records + st.bad_bytes / 4096);
}

static void write_number(void *arg, const char *name, uint64_t value)
{
	json_u64(arg, name, value);
}

static void write_head(struct json *j, const struct vfs_mount *m, const struct op_statfs *st)
{
	json_str(j, "name", m->name);
	json_str(j, "backend", m->ops->name);
	json_bool(j, "read_only", m->read_only);
	json_u64(j, "total_bytes", st->total_bytes);
	json_u64(j, "used_bytes", st->total_bytes - MIN(st->free_bytes, st->total_bytes));
	json_u64(j, "files", st->total_files - MIN(st->free_files, st->total_files));
}

static bool write_backend(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	struct json *j = arg;
	json_object(j, NULL);
	write_head(j, m, st);
	write_scrub_state(j, m);
	json_end(j);
	return true;
}

static int list(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	json_array(&reply->json, NULL);
	vfs_each_mount(((struct chimerad *)arg)->vfs, write_backend, &reply->json);
	json_end(&reply->json);
	return 0;
}

/* ---- one mount */

static int tell_stats(struct mount_command *cmd, struct vfs_mount *m, const struct op_statfs *st)
{
	struct json *j = &cmd->reply->json;
	struct scrub_state scrub;
	json_object(j, NULL);
	write_head(j, m, st);
	json_object(j, "numbers");
	if (m->ops->stats)
		m->ops->stats(m, write_number, j);
	json_end(j);
	if (m->ops->scrub_state) {
		m->ops->scrub_state(m, &scrub);
		json_object(j, "scrub");
		write_scrub(j, &scrub);
		json_end(j);
	}
	json_end(j);
	return 0;
}

/* ---- scrub */

static int answer_scrub(struct mount_command *cmd, struct vfs_mount *m)
{
	struct scrub_state st;
	m->ops->scrub_state(m, &st);
	json_object(&cmd->reply->json, NULL);
	json_str(&cmd->reply->json, "name", m->name);
	write_scrub(&cmd->reply->json, &st);
	json_end(&cmd->reply->json);
	return 0;
}

static int start_scrub(struct mount_command *cmd, struct vfs_mount *m)
{
	const char *text = control_arg(cmd->rq, "rate");
	uint64_t rate = 0;
	if (text && str_parse_size(text, &rate))
		return chimerad_mount_fail(cmd, ERR_INVAL, "the rate is not a size");
	int err = m->ops->scrub(m, SCRUB_START, rate);
	/* It runs: that is what was asked for. */
	if (err == ERR_BUSY)
		err = 0;
	return err ? chimerad_mount_fail(cmd, err, err == ERR_ROFS ? "it is read-only: a scrub keeps its place in the store" : err_text(err)) : 0;
}

static int end_scrub(struct mount_command *cmd, struct vfs_mount *m, enum scrub_command command)
{
	int err = m->ops->scrub(m, command, 0);
	return err ? chimerad_mount_fail(cmd, err, err == ERR_NOENT ? "no scrub is running" : err_text(err)) : 0;
}

static int run_scrub(struct mount_command *cmd, struct vfs_mount *m, const struct op_statfs *st)
{
	int err = 0;
	if (!m->ops->scrub)
		return chimerad_mount_fail(cmd, ERR_NOTSUPP, "its back end has no checksums to verify");
	if (control_arg(cmd->rq, "stop"))
		err = end_scrub(cmd, m, SCRUB_STOP);
	else if (control_arg(cmd->rq, "pause"))
		err = end_scrub(cmd, m, SCRUB_PAUSE);
	else if (!control_arg(cmd->rq, "status"))
		err = start_scrub(cmd, m);
	return err ? err : answer_scrub(cmd, m);
}

/* ---- grow */

static int run_grow(struct mount_command *cmd, struct vfs_mount *m, const struct op_statfs *st)
{
	const char *text = control_arg(cmd->rq, "capacity");
	struct op_statfs now = {0};
	uint64_t capacity;
	if (!m->ops->grow)
		return chimerad_mount_fail(cmd, ERR_NOTSUPP, "its back end has no capacity of its own");
	if (!text || str_parse_size(text, &capacity))
		return chimerad_mount_fail(cmd, ERR_INVAL, "a capacity is wanted, as a size");
	int err = m->ops->grow(m, capacity);
	if (err)
		return chimerad_mount_fail(cmd, err, err == ERR_RANGE ? "more than that is in use" : err_text(err));
	m->ops->statfs(m, &now);
	json_object(&cmd->reply->json, NULL);
	write_head(&cmd->reply->json, m, &now);
	json_end(&cmd->reply->json);
	return 0;
}

/* ---- the verbs */

static int on_mount(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct mount_command cmd = {.rq = rq, .reply = reply, .run = tell_stats};
	if (strcmp(rq->verb, "scrub") == 0)
		cmd.run = run_scrub;
	else if (strcmp(rq->verb, "grow") == 0)
		cmd.run = run_grow;
	return chimerad_mount_run(arg, &cmd);
}

static const struct control_verb verbs[] = {
	{"backend", "list", list}, {"backend", "stats", on_mount}, {"backend", "scrub", on_mount}, {"backend", "grow", on_mount},
};

int chimerad_register_backends(struct chimerad *d)
{
	return control_register(d->control, verbs, ARRAY_SIZE(verbs), d);
}
