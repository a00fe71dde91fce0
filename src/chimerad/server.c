/* The life of the server in one page: up in order, wait, down in reverse. */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "chimerad/chimerad.h"

LOG_MODULE("chimerad");

#define LATE_CLOSE_NS (5 * NS_PER_SEC)

/* ---- up ---------------------------------------------------------------------------------- */

static int look_up_names(struct chimerad *d)
{
	const char *user = config_text(d->config, "server", "daemon_user");
	const char *group = config_text(d->config, "server", "admin_group");
	const struct passwd *pw = *user ? getpwnam(user) : NULL;
	const struct group *gr = *group ? getgrnam(group) : NULL;

	d->daemon_uid = pw ? pw->pw_uid : (uid_t)-1;
	d->admin_gid = gr ? gr->gr_gid : (gid_t)-1;
	if (*user && !pw)
		log_error("there is no user \"%s\": create it or change [server] daemon_user", user);
	if (*group && !gr)
		log_error("there is no group \"%s\": create it or change [server] admin_group", group);
	return (*user && !pw) || (*group && !gr) ? ERR_NOENT : 0;
}

static int open_vfs(struct chimerad *d)
{
	CLEANUP_FREE char *why = NULL;
	struct vfs_config cfg = {
		.state_dir = config_text(d->config, "server", "state_dir"),
		.arena_size = config_number(d->config, "memory", "arena_size"),
		.arena_limit = config_number(d->config, "memory", "arena_limit"),
		.cache_size = config_number(d->config, "memory", "cache"),
	};
	int err = vfs_create(&d->vfs, &cfg, &why);
	if (err)
		log_error("cannot start the VFS on %s: %s", cfg.state_dir, why ? why : err_text(err));
	return err;
}

static int open_catalogue(struct chimerad *d)
{
	struct catalogue_error error = {""};
	int err = catalogue_open(&d->catalogue, config_text(d->config, "server", "state_dir"), &error);
	if (err) {
		log_error("cannot read the catalogue: %s", error.text[0] ? error.text : err_text(err));
		return err;
	}
	chimerad_mount_all(d);
	chimerad_follow_catalogue(d);
	return 0;
}

static int open_clients(struct chimerad *d)
{
	return chimerad_clients_create(&d->clients);
}

/* The kernel may keep the socket of a chimerad that was killed alive for a moment: with io_uring it closes late. */
static int start_control(struct chimerad *d, const struct control_config *cfg)
{
	uint64_t until = loop_now_ns(d->loops[0]) + LATE_CLOSE_NS;
	int err;

	while ((err = control_start(d->control, cfg)) == ERR_ADDRINUSE && loop_now_ns(d->loops[0]) < until)
		fiber_sleep_ns(50 * NS_PER_MS);
	return err;
}

static int open_control(struct chimerad *d)
{
	struct control_config cfg = {
		.path = config_text(d->config, "server", "control_socket"), .admin_gid = d->admin_gid,
	};
	int err = control_create(&d->control);
	if (!err)
		err = chimerad_register_verbs(d);
	if (!err)
		err = control_register_catalogue(d->control, d->catalogue);
	if (!err)
		err = start_control(d, &cfg);
	if (err)
		log_error("cannot listen on %s: %s; see [server] control_socket", cfg.path, err_text(err));
	return err;
}

/* Stores may be opened anywhere later on, so files stay in reach. */
static int enter_sandbox(struct chimerad *d)
{
	if (config_bool(d->config, "server", "sandbox") && !sandbox_calls())
		log_notice("this kernel takes no system calls away: running without a sandbox");
	return 0;
}

/* ---- down -------------------------------------------------------------------------------- */

static void close_vfs(struct chimerad *d)
{
	if (d->vfs)
		vfs_destroy(d->vfs);
}

static void close_catalogue(struct chimerad *d)
{
	if (d->catalogue)
		catalogue_close(d->catalogue);
}

static void close_clients(struct chimerad *d)
{
	chimerad_clients_destroy(d->clients);
}

static void close_control(struct chimerad *d)
{
	if (!d->control)
		return;
	control_stop(d->control);
	control_destroy(d->control);
}

static bool count_running(void *arg, const struct ring_status *st)
{
	*(uint32_t *)arg += st->n_running;
	return true;
}

/* What runs gets its time; what waits longer is submitted again to the next chimerad. */
static void close_ring(struct chimerad *d)
{
	uint64_t until = loop_now_ns(d->loops[0]) + config_number(d->config, "server", "stop_timeout");
	uint32_t n_running = 1;

	if (!d->ring)
		return;
	ring_server_drain(d->ring);
	while (n_running && loop_now_ns(d->loops[0]) < until) {
		n_running = 0;
		ring_server_each(d->ring, count_running, &n_running);
		if (n_running)
			fiber_sleep_ns(5 * NS_PER_MS);
	}
	ring_server_stop(d->ring);
}

/* Up from the first to the last, down from the last to the first; what was not opened is closed without harm. */
static const struct part {
	int (*open)(struct chimerad *d);
	void (*close)(struct chimerad *d);
} parts[] = {
	{look_up_names, NULL},
	{open_clients, close_clients},
	{open_vfs, close_vfs},
	{open_catalogue, close_catalogue},
	{chimerad_serve_ring, close_ring},
	{chimerad_inline_nfs_start, chimerad_inline_nfs_stop},
	{chimerad_metrics_start, chimerad_metrics_stop},
	{open_control, close_control},
	{chimerad_catch_signals, NULL},
	{enter_sandbox, NULL},
};

static int bring_up(struct chimerad *d)
{
	int err = 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts) && !err; i++)
		err = parts[i].open(d);
	return err;
}

static void bring_down(struct chimerad *d)
{
	for (size_t i = ARRAY_SIZE(parts); i-- > 0;)
		if (parts[i].close)
			parts[i].close(d);
}

/* ---- meanwhile ----------------------------------------------------------------------------- */

static void warn_of_other_changes(const struct config *before, const struct config *after)
{
	for (uint32_t i = 0; i < config_n_options; i++) {
		const struct config_option *o = &config_options[i];
		if (strcmp(o->section, "log") != 0 &&
		    strcmp(config_text(before, o->section, o->key), config_text(after, o->section, o->key)) != 0)
			log_notice("[%s] %s has changed: it holds after a restart", o->section, o->key);
	}
}

static void reload(struct chimerad *d)
{
	struct config *fresh;
	struct bytes errors;

	bytes_init(&errors, 0);
	if (config_load(&fresh, &d->source, &errors)) {
		log_error("the configuration was not reloaded: %s", bytes_str(&errors));
	} else {
		warn_of_other_changes(d->config, fresh);
		config_apply_log(fresh, "chimerad");
		chimerad_levels_forget();
		/* The rest of the server keeps pointers into the old one. */
		config_free(fresh);
		log_notice("the configuration was reloaded");
	}
	bytes_fini(&errors);
}

static void wait_for_stop(struct chimerad *d)
{
	while (!chimerad_must_stop()) {
		if (chimerad_must_reload()) {
			chimerad_notify("RELOADING=1");
			reload(d);
			chimerad_notify("READY=1");
		}
		fiber_park();
	}
}

void chimerad_serve(void *arg)
{
	struct chimerad *d = arg;

	d->main = fiber_self();
	d->started_ns = loop_wall_ns(d->loops[0]);
	loop_random(&d->boot_id, sizeof(d->boot_id));
	if (bring_up(d) == 0) {
		log_notice("ready: %u threads, %s", d->n_loops, loop_engine_name(d->loops[0]));
		chimerad_notify("READY=1");
		chimerad_watchdog_start(d);
		wait_for_stop(d);
		log_notice("stopping");
		chimerad_notify("STOPPING=1");
	} else {
		d->exit_status = 1;
	}
	bring_down(d);
	for (uint32_t i = d->n_loops; i-- > 0;)
		loop_stop(d->loops[i]);
}
