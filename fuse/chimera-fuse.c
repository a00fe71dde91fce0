/*
 * chimera-fuse: a store as a local mount. Attaches to chimerad or opens the store itself, mounts, serves until
 * the mount is gone. SIGTERM and SIGINT unmount, so that nothing that the kernel still holds is lost; a second
 * one ends at once.
 */
#include "fuse/mnt.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "ring/ring-abi.h"

LOG_MODULE("fuse");

#define DETACHED_GRACE_NS (2 * NS_PER_SEC)

static struct doorbell stop_bell = {.fd = -1};

/* ---- the source */

static void reattached(void *arg)
{
	struct mnt *m = arg;
	m->generation++;
	log_notice("attached to chimerad again");
	mnt_watch_start(m);
	m->inval_all = true;
	if (m->inval_fiber)
		fiber_wake(m->inval_fiber);
}

static int open_source(struct mnt *m)
{
	struct client_config cfg = {
		.name = "fuse", .role = RING_ROLE_FUSE, .reconnect_ms = m->opt.reconnect_ms,
		.event = mnt_watch_event, .reattached = reattached, .arg = m,
	};
	CLEANUP_FREE char *why = NULL;
	int err;
	if (!m->opt.store) {
		err = client_attach(&m->client, m->opt.socket, &cfg);
		if (err)
			log_error("chimerad can't be reached at %s: %s", m->opt.socket, err_text(err));
		return err;
	}
	err = mnt_store_open(m, &why);
	if (!err)
		err = client_local(&m->client, m->vfs, &cfg);
	if (err)
		log_error("%s: %s", m->opt.source, why ? why : err_text(err));
	return err;
}

/* In a snapshot the mount's directory of them comes first. */
static char *root_path(const struct mnt_options *opt)
{
	size_t mount = strcspn(opt->source, "/");
	char *path;
	if (opt->store)
		return strdup("store");
	if (!opt->snapshot)
		return strdup(opt->source);
	int n = asprintf(&path, "%.*s/.snapshot/%s%s", (int)mount, opt->source, opt->snapshot, opt->source + mount);
	return n < 0 ? NULL : path;
}

static int look_up_root(struct mnt *m)
{
	CLEANUP_FREE char *path = root_path(&m->opt);
	size_t size = path ? strlen(path) : SIZE_MAX;
	struct client_buf *buf = client_buf_alloc(m->client, OP_PATH_MAX, 0);
	struct op *op = client_op(m->client, OP_lookup_path);
	int err = !buf ? ERR_NOMEM : size > OP_PATH_MAX ? ERR_NAMETOOLONG : 0;
	memset(&op->cred, 0, sizeof(op->cred));
	op->cred.origin = OP_ORIGIN_FUSE;
	if (!err) {
		memcpy(buf->data, path, size);
		err = client_op_seg(op, buf, 0, (uint32_t)size);
	}
	if (!err)
		err = client_call(m->client, op);
	if (!err && op->out.lookup_path.attr.type != OP_TYPE_DIR)
		err = ERR_NOTDIR;
	if (!err)
		m->root = mnt_node_get(m, &op->out.lookup_path.obj);
	if (err)
		log_error("%s: %s", path ? path : m->opt.source, err_text(err));
	client_op_put(m->client, op);
	client_buf_put(m->client, buf);
	return err ? err : m->root ? 0 : ERR_NOMEM;
}

/* ---- the mount */

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	const struct mnt *m = userdata;
	conn->max_write = MNT_IO_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->time_gran = 1;
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->want |= conn->capable & (FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ASYNC_DIO |
	                               FUSE_CAP_HANDLE_KILLPRIV);
	if (m->opt.writeback)
		conn->want |= conn->capable & FUSE_CAP_WRITEBACK_CACHE;
}

static bool has_option(const char *list, const char *name)
{
	size_t size = strlen(name);
	for (const char *at = list; at && (at = strstr(at, name)); at += size)
		if ((at == list || at[-1] == ',') && (at[size] == 0 || at[size] == ',' || at[size] == '='))
			return true;
	return false;
}

/* Others are let in where the server's permissions hold for them: root mounts for everybody. */
static char *session_options(const struct mnt_options *opt)
{
	bool others = geteuid() == 0 && !has_option(opt->fuse_opts, "allow_root") && !has_option(opt->fuse_opts, "allow_other");
	bool named = has_option(opt->fuse_opts, "fsname");
	char *text;
	if (asprintf(&text, "subtype=chimera%s%s%s%s%s%s%s", named ? "" : ",fsname=", named ? "" : opt->source,
	             opt->default_permissions ? ",default_permissions" : "", others ? ",allow_other" : "",
	             opt->read_only ? ",ro" : "", opt->fuse_opts ? "," : "", opt->fuse_opts ? opt->fuse_opts : "") < 0)
		return NULL;
	return text;
}

/* A comma in fsname would end it. */
static void mask_commas(char *source)
{
	for (char *at = source; (at = strchr(at, ',')) != NULL;)
		*at = ';';
}

static int session_create(struct mnt *m)
{
	static struct fuse_lowlevel_ops ops = {.init = do_init};
	struct fuse_args args = {0};
	mnt_attr_ops(&ops);
	mnt_name_ops(&ops);
	mnt_dir_ops(&ops);
	mnt_file_ops(&ops);
	mnt_data_ops(&ops);
	mnt_xattr_ops(&ops);
	mask_commas(m->opt.source);
	CLEANUP_FREE char *options = session_options(&m->opt);
	if (options && !fuse_opt_add_arg(&args, "chimera-fuse") && !fuse_opt_add_arg(&args, "-o") &&
	    !fuse_opt_add_arg(&args, options))
		m->session = fuse_session_new(&args, &ops, sizeof(ops), m);
	fuse_opt_free_args(&args);
	return m->session ? 0 : ERR_INVAL;
}

static int mount_job(void *arg)
{
	struct mnt *m = arg;
	return fuse_session_mount(m->session, m->opt.dir) ? ERR_IO : 0;
}

static int mount_session(struct mnt *m)
{
	int err = session_create(m);
	if (!err)
		err = loop_block(mount_job, m); /* libfuse says why it could not */
	if (err)
		return err;
	return mnt_device_open(m);
}

/* ---- the end */

static int run_fusermount(const char *flag, const char *dir)
{
	char *argv[] = {"fusermount3", "-u", "-q", (char *)flag, "--", (char *)dir, NULL};
	int status;
	pid_t pid;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) || waitpid(pid, &status, 0) != pid)
		return ERR_IO;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ERR_BUSY;
}

/* 1: detached, but somebody still uses it. */
static int unmount_job(void *arg)
{
	const struct mnt *m = arg;
	if (geteuid() != 0)
		return run_fusermount("-q", m->opt.dir) == 0 ? 0 : run_fusermount("-z", m->opt.dir) == 0 ? 1 : ERR_BUSY;
	if (!umount2(m->opt.dir, UMOUNT_NOFOLLOW))
		return 0;
	return umount2(m->opt.dir, UMOUNT_NOFOLLOW | MNT_DETACH) ? err_from_errno(errno) : 1;
}

static void end_serving(struct loop_timer *grace)
{
	struct mnt *m = container_of(grace, struct mnt, grace);
	if (m->device)
		stream_cancel(m->device);
}

/* Counts as a request: the kernel may end the device before the system call that unmounts has returned. */
static void unmount(void *arg)
{
	struct mnt *m = arg;
	int done = loop_block(unmount_job, m);
	if (done > 0)
		log_warn("%s is in use: what uses it loses it", m->opt.dir);
	/* Even then another mount namespace may hold a copy: its users lose it, too. */
	if (m->device)
		loop_timer_start(m->loop, &m->grace, loop_now_ns(m->loop) + (done < 0 ? 0 : DETACHED_GRACE_NS));
	fiber_join_done(&m->requests);
}

static int start_unmount(struct mnt *m)
{
	fiber_join_add(&m->requests, 1);
	int err = fiber_start(m->loop, unmount, m);
	if (err)
		fiber_join_done(&m->requests);
	return err;
}

static struct mnt *the_mount;

static void stop(struct doorbell *bell)
{
	struct mnt *m = the_mount;
	if (!m->device)
		loop_stop(m->loop);
	else if (m->unmounting)
		stream_cancel(m->device);
	else if (start_unmount(m))
		stream_cancel(m->device);
	m->unmounting = true;
}

static void on_signal(int number)
{
	doorbell_ring(&stop_bell);
}

static void catch_signals(struct mnt *m)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	the_mount = m;
	if (doorbell_create(&stop_bell) || doorbell_watch(m->loop, &stop_bell, stop))
		log_warn("signals end the mount without unmounting it");
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- the run */

static void close_all(struct mnt *m)
{
	mnt_watch_stop(m);
	fiber_join_wait(&m->requests);
	loop_timer_stop(m->loop, &m->grace);
	if (m->device)
		stream_close(TAKE(m->device));
	if (m->session) {
		fuse_session_unmount(m->session); /* does nothing where that is done, but frees what it keeps */
		fuse_session_destroy(TAKE(m->session));
	}
	if (m->client)
		client_detach(TAKE(m->client));
	mnt_nodes_free(m);
	mnt_store_close(m);
}

static void run(void *arg)
{
	struct mnt *m = arg;
	int err = open_source(m);
	if (!err)
		err = look_up_root(m);
	if (!err)
		err = mount_session(m);
	if (!err) {
		mnt_watch_start(m);
		mnt_ready();
		mnt_serve(m);
	}
	m->exit_code = err ? 1 : 0;
	close_all(m);
	loop_stop(m->loop);
}

static int serve(struct mnt *m)
{
	struct loop_config cfg = {.engine = LOOP_AUTO, .spin_us_max = 20};
	m->grace.fn = end_serving;
	int err = loop_create(&m->loop, &cfg);
	if (err) {
		log_error("no loop: %s", err_text(err));
		return 1;
	}
	catch_signals(m);
	loop_random(&m->replay_client, sizeof(m->replay_client));
	m->exit_code = 1;
	if (!fiber_start(m->loop, run, m))
		loop_run(m->loop);
	loop_destroy(m->loop);
	return m->exit_code;
}

int main(int argc, char **argv)
{
	struct mnt *m = calloc(1, sizeof(*m));
	int code = m ? mnt_options_parse(&m->opt, argc, argv) : 2;
	if (code)
		return code - 1;
	log_open("chimera-fuse", NULL, LOG_FORMAT_TEXT);
	char *dir = realpath(m->opt.dir, NULL);
	if (!dir) {
		log_error("%s: %s", m->opt.dir, strerror(errno));
		return 1;
	}
	free(m->opt.dir);
	m->opt.dir = dir;
	hmap_init(&m->nodes);
	code = m->opt.detach && mnt_detach() ? 1 : serve(m);
	mnt_options_free(&m->opt);
	free(m);
	return code;
}
