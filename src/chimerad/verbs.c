/*
 * What chimeractl asks beside the catalogue. Every answer is JSON; sizes are bytes, times RFC 3339, spans
 * nanoseconds.
 *
 *	status show     the server in one object
 *	mount usage     the open mounts with what is in them
 *	client list     what daemons report of their clients
 *	ring list       attachments with their depth and counters
 *	metric show     {"text": ...} as Prometheus reads it
 *
 * Levels of logging, counters and the configuration have verbs of their own, beside what they show.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chimerad/chimerad.h"
#include "chimerad/config-control.h"
#include "vfs/block-cache.h"
#include <config.h>

/* ---- status -------------------------------------------------------------------------------- */

struct ring_sum {
	uint32_t n_attachments;
	uint32_t n_running;
	uint64_t n_ops;
};

static bool add_ring(void *arg, const struct ring_status *st)
{
	struct ring_sum *sum = arg;
	sum->n_attachments++;
	sum->n_running += st->n_running;
	sum->n_ops += st->n_ops;
	return true;
}

static uint32_t count_kind(const struct catalogue_view *v, const char *kind)
{
	uint32_t n = 0;
	for (const struct catalogue_object *o = NULL; (o = catalogue_next(v, kind, o));)
		n++;
	return n;
}

static void write_catalogue(struct chimerad *d, struct json *j)
{
	struct catalogue_view *v = catalogue_view(d->catalogue);
	json_u64(j, "catalogue_generation", catalogue_generation(v));
	json_u64(j, "mounts", count_kind(v, "mount"));
	json_u64(j, "exports", count_kind(v, "export"));
	catalogue_view_put(v);
}

static void write_memory(struct chimerad *d, struct json *j)
{
	struct block_cache_stats cache;
	block_cache_stats(vfs_block_cache(d->vfs), &cache);
	json_object(j, "memory");
	json_u64(j, "arena_used", pages_used(vfs_pages(d->vfs)));
	json_u64(j, "arena_size", pages_size(vfs_pages(d->vfs)));
	json_u64(j, "cache_size", cache.size);
	json_u64(j, "cache_used", cache.used);
	json_u64(j, "cache_held", cache.held);
	json_u64(j, "cache_hits", cache.hits);
	json_u64(j, "cache_misses", cache.misses);
	json_end(j);
}

static int status_show(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct chimerad *d = arg;
	struct json *j = &reply->json;
	struct ring_sum sum = {0};
	char boot[20];

	ring_server_each(d->ring, add_ring, &sum);
	snprintf(boot, sizeof(boot), "%016llx", (unsigned long long)d->boot_id);
	json_object(j, NULL);
	json_str(j, "version", PACKAGE_VERSION);
	json_i64(j, "pid", getpid());
	json_str(j, "boot_id", boot);
	json_time(j, "started", d->started_ns);
	json_u64(j, "uptime_ns", loop_wall_ns(d->loops[0]) - d->started_ns);
	json_str(j, "engine", loop_engine_name(d->loops[0]));
	json_u64(j, "threads", d->n_loops);
	json_str(j, "state_dir", config_text(d->config, "server", "state_dir"));
	json_u64(j, "attachments", sum.n_attachments);
	json_u64(j, "clients", chimerad_clients_count(d->clients));
	json_u64(j, "running", sum.n_running);
	json_u64(j, "operations", sum.n_ops);
	json_bool(j, "nfs_inline", d->nfs != NULL);
	write_catalogue(d, j);
	write_memory(d, j);
	json_end(j);
	return 0;
}

/* ---- mounts -------------------------------------------------------------------------------- */

static bool write_mount(void *arg, struct vfs_mount *m, const struct op_statfs *st)
{
	struct json *j = arg;
	char fsid[20];

	snprintf(fsid, sizeof(fsid), "%016llx", (unsigned long long)m->fsid);
	json_object(j, NULL);
	json_str(j, "name", m->name);
	json_u64(j, "id", m->id);
	json_str(j, "backend", m->ops->name);
	json_str(j, "fsid", fsid);
	json_bool(j, "read_only", m->read_only);
	json_u64(j, "total_bytes", st->total_bytes);
	json_u64(j, "free_bytes", st->free_bytes);
	json_u64(j, "available_bytes", st->avail_bytes);
	json_u64(j, "total_files", st->total_files);
	json_u64(j, "free_files", st->free_files);
	json_end(j);
	return true;
}

static int mount_usage(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	json_array(&reply->json, NULL);
	vfs_each_mount(((struct chimerad *)arg)->vfs, write_mount, &reply->json);
	json_end(&reply->json);
	return 0;
}

/* ---- clients, rings -------------------------------------------------------------------------- */

static int client_list(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	chimerad_clients_json(((struct chimerad *)arg)->clients, &reply->json, NULL);
	return 0;
}

static bool write_ring(void *arg, const struct ring_status *st)
{
	struct json *j = arg;

	json_object(j, NULL);
	json_str(j, "name", st->peer.name);
	json_str(j, "role", chimerad_role_name(st->peer.role));
	json_i64(j, "pid", st->peer.pid);
	json_u64(j, "uid", st->peer.uid);
	json_bool(j, "isolated", st->peer.isolated);
	json_u64(j, "thread", st->loop);
	json_u64(j, "slots", st->n_slots);
	json_u64(j, "running", st->n_running);
	json_u64(j, "arena_size", st->arena_size);
	json_u64(j, "operations", st->n_ops);
	json_u64(j, "batches", st->n_batches);
	json_u64(j, "wakeups", st->n_wakeups);
	json_u64(j, "events", st->n_events);
	json_u64(j, "events_lost", st->n_events_lost);
	json_end(j);
	return true;
}

static int ring_list(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	json_array(&reply->json, NULL);
	ring_server_each(((struct chimerad *)arg)->ring, write_ring, &reply->json);
	json_end(&reply->json);
	return 0;
}

/* ---- metrics -------------------------------------------------------------- */

static int metric_show(void *arg, const struct control_request *rq, struct control_reply *reply)
{
	struct bytes text;

	bytes_init(&text, 0);
	chimerad_metrics_print(arg, &text);
	json_object(&reply->json, NULL);
	json_str(&reply->json, "text", bytes_str(&text));
	json_end(&reply->json);
	int err = text.err;
	bytes_fini(&text);
	return err;
}

static const struct control_verb verbs[] = {
	{"status", "show", status_show}, {"mount", "usage", mount_usage}, {"client", "list", client_list},
	{"ring", "list", ring_list},     {"metric", "show", metric_show},
};

int chimerad_register_verbs(struct chimerad *d)
{
	int err = control_register(d->control, verbs, ARRAY_SIZE(verbs), d);
	if (!err)
		err = chimerad_register_backends(d);
	if (!err)
		err = chimerad_register_quotas(d);
	if (!err)
		err = chimerad_register_snapshots(d);
	if (!err)
		err = chimerad_levels_register(d);
	return err ? err : config_register_control(d->control, d->config);
}
