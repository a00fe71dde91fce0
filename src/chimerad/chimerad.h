/*
 * Inside chimerad: what its files share. main.c starts the threads; server.c brings the parts up and down in
 * a fiber of the first loop, the main fiber, which everything here that parks expects unless it says otherwise.
 */
#ifndef CHIMERAD_CHIMERAD_H
#define CHIMERAD_CHIMERAD_H

#include <pthread.h>

#include "catalogue/catalogue.h"
#include "catalogue/control.h"
#include "chimerad/config.h"
#include "loop/loop.h"
#include "ring/server.h"
#include "vfs/vfs.h"

#define CHIMERAD_THREADS_MAX 64

struct chimerad_clients;
struct chimerad_inline_nfs;
struct chimerad_metrics;
struct chimerad_mounts;
struct chimerad_notify;

struct chimerad {
	struct config *config;
	struct config_source source; /* where config came from, for a reload */
	struct loop *loops[CHIMERAD_THREADS_MAX];
	pthread_t threads[CHIMERAD_THREADS_MAX];
	uint32_t n_loops;
	int lock_fd;
	uid_t daemon_uid; /* may attach too; (uid_t)-1: nobody */
	gid_t admin_gid;  /* may use the control socket too; (gid_t)-1: nobody */
	uint64_t boot_id;
	uint64_t started_ns; /* wall clock */
	int exit_status;

	struct vfs *vfs;
	struct catalogue *catalogue;
	struct control *control;
	struct ring_server *ring;
	struct chimerad_clients *clients;
	struct chimerad_inline_nfs *nfs;  /* NULL: not inline */
	struct chimerad_metrics *metrics; /* NULL: none */
	struct chimerad_notify *notify;   /* NULL: nobody wants to know */

	struct fiber *main;
	struct doorbell signal_bell;
};

/* ---- server.c: the life of the server --------------------------------------------------- */

/* chimerad_serve() - a fiber's function; arg: struct chimerad. Returns when everything is down. */
void chimerad_serve(void *arg);

/* ---- state.c: directories and the lock --------------------------------------------------- */

/* chimerad_lock_state() - makes the directories and locks the state directory; says itself what is wrong. */
int chimerad_lock_state(struct chimerad *d);

/* ---- signals.c --------------------------------------------------------------------------- */

/* chimerad_catch_signals() - TERM and INT stop, HUP reloads: the main fiber is woken. */
int chimerad_catch_signals(struct chimerad *d);
bool chimerad_must_stop(void);
bool chimerad_must_reload(void); /* true once per HUP */

/* ---- mounts.c: the catalogue's mounts in the VFS ------------------------------------------ */

/* chimerad_mount_all() - mounts what the catalogue holds; one that fails is logged and left out. */
void chimerad_mount_all(struct chimerad *d);
/* chimerad_follow_catalogue() - from now on changes are made as they are asked for. */
void chimerad_follow_catalogue(struct chimerad *d);

/* ---- serve.c: attachments as sessions of the VFS ------------------------------------------ */

int chimerad_serve_ring(struct chimerad *d);
const char *chimerad_role_name(uint32_t role);

/* ---- clients.c: what daemons report of their clients -------------------------------------- */

int chimerad_clients_create(struct chimerad_clients **clients);
void chimerad_clients_destroy(struct chimerad_clients *clients);
/* chimerad_clients_report() - as op client_report; any thread. chimerad_clients_forget() - all of a session. */
int chimerad_clients_report(struct chimerad_clients *clients, const struct vfs_session *session, const char *client,
                            const char *text, uint32_t size);
void chimerad_clients_forget(struct chimerad_clients *clients, const struct vfs_session *session);
/* chimerad_clients_json() - an array of objects. */
void chimerad_clients_json(struct chimerad_clients *clients, struct json *j, const char *key);
uint32_t chimerad_clients_count(struct chimerad_clients *clients);

/* ---- mount-verb.c: what chimeractl asks of one mount ---------------------------------------- */

struct mount_command {
	const struct control_request *rq; /* name: the mount's */
	struct control_reply *reply;
	int (*run)(struct mount_command *cmd, struct vfs_mount *m, const struct op_statfs *st); /* parks */
	bool found;
	int err;
};

/* chimerad_mount_run() - what run answers, or ERR_NOENT, said. chimerad_mount_fail() - says what is wrong with the mount; answers err. */
int chimerad_mount_run(struct chimerad *d, struct mount_command *cmd);
int chimerad_mount_fail(struct mount_command *cmd, int err, const char *what);

/* ---- verbs.c: what chimeractl asks beside the catalogue ------------------------------------ */

int chimerad_register_verbs(struct chimerad *d);
/* -- backends.c -- */
int chimerad_register_backends(struct chimerad *d);
/* chimerad_register_snapshots() - snapshots.c: the noun snapshot. */
int chimerad_register_snapshots(struct chimerad *d);

/* -- quotas.c -- */
int chimerad_register_quotas(struct chimerad *d);

/* ---- levels.c: log levels set at run time, here and in the daemons ------------------------- */

/* chimerad_levels_declare() - the daemons' modules can be listed and set; before levels are taken from the file. */
void chimerad_levels_declare(void);
int chimerad_levels_register(struct chimerad *d);
/* chimerad_levels_tell() - what was set so far, to one that attaches. chimerad_levels_forget() - the file's hold again. */
void chimerad_levels_tell(struct ring_attachment *a);
void chimerad_levels_forget(void);

/* ---- inline-nfs.c -------------------------------------------------------------------------- */

/* chimerad_inline_nfs_start() - where [nfs] host is inline: a server on each loop, over the local transport. */
int chimerad_inline_nfs_start(struct chimerad *d);
void chimerad_inline_nfs_stop(struct chimerad *d);

/* ---- metrics.c ------------------------------------------------------------------------------ */

/* chimerad_metrics_start() - answers HTTP GET on [server] metrics, if that is set. */
int chimerad_metrics_start(struct chimerad *d);
void chimerad_metrics_stop(struct chimerad *d);
/* chimerad_metrics_print() - everything as Prometheus reads it (text format 0.0.4). */
void chimerad_metrics_print(struct chimerad *d, struct bytes *out);

/* ---- notify.c: systemd ---------------------------------------------------------------------- */

/* chimerad_notify() - sends a state such as "READY=1" to NOTIFY_SOCKET, where that is set. Never fails. */
void chimerad_notify(const char *state);
/* chimerad_watchdog_start() - feeds the watchdog from the first loop as WATCHDOG_USEC wants. */
void chimerad_watchdog_start(struct chimerad *d);

#endif
