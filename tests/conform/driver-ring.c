/*
 * The driver over a real ring: the VFS runs in a child process, or in a chimerad that runs already
 * (--socket, --mount). The child lives until the parent's end of a socket pair closes.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/server.h"
#include "tests/conform/driver-client.h"
#include "tests/conform/serve.h"

static struct client *the_client;
static const char *the_mount = SERVE_MOUNT;

static struct client *ring_client(struct test *t)
{
	return the_client;
}

/* ---- the server's process ----------------------------------------------------------------- */

struct server {
	const struct driver_config *cfg;
	struct loop *loop;
	struct served served;
	int life_fd; /* a byte out: we serve; end of stream in: stop */
	char socket_path[128];
	int err;
};

static struct vfs *the_vfs;

static int admit(void *arg, struct ring_peer *peer)
{
	return 0;
}

static void pass_event(void *arg, const struct op_event *event)
{
	ring_attachment_event(arg, event);
}

static int open_session(void *arg, struct ring_attachment *a, const struct ring_peer *peer, void **session, uint64_t *id)
{
	struct vfs_session_config cfg = {.role = peer->role, .name = peer->name, .event = pass_event, .arg = a};

	*id = 1;
	return vfs_session_create(the_vfs, &cfg, (struct vfs_session **)session);
}

static void serve(void *session, struct vfs_step *steps, unsigned n)
{
	vfs_run(session, steps, n);
}

static void release(void *session, struct vfs_pins *pins)
{
	vfs_pins_release(the_vfs, pins);
}

static void close_session(void *session)
{
	vfs_session_destroy(session);
}

static int start_ring(struct server *s, struct ring_server **ring)
{
	static const struct ring_server_ops ops = {admit, open_session, serve, release, close_session};
	static struct ring_server_config cfg;
	struct pages *pages = vfs_pages(s->served.vfs);

	the_vfs = s->served.vfs;
	cfg = (struct ring_server_config){
		.socket_path = s->socket_path, .loops = &s->loop, .n_loops = 1, .pages_fd = pages_fd(pages),
		.pages_size = pages_size(pages), .boot_id = 1, .ops = &ops,
	};
	return ring_server_start(ring, &cfg);
}

static void wait_for_parent(int fd)
{
	struct stream *life = NULL;
	char byte = 'r';
	struct iovec iov = {&byte, 1};

	if (stream_adopt(&life, fd))
		return;
	stream_writev(life, &iov, 1);
	iov = (struct iovec){&byte, 1};
	stream_readv(life, &iov, 1);
	stream_close(life);
}

static void run_server(void *arg)
{
	struct ring_server *ring = NULL;
	struct server *s = arg;

	s->err = serve_open(&s->served, s->cfg);
	if (!s->err)
		s->err = start_ring(s, &ring);
	if (!s->err) {
		wait_for_parent(s->life_fd);
		ring_server_stop(ring);
	}
	serve_close(&s->served);
	loop_stop(s->loop);
}

/* In the child. */
static int server_main(struct server *s)
{
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = loop_create(&s->loop, &(struct loop_config){.engine = LOOP_AUTO, .spin_us_max = 20});
	if (err)
		return 1;
	if (fiber_start(s->loop, run_server, s))
		return 1;
	loop_run(s->loop);
	loop_destroy(s->loop);
	return s->err ? 1 : 0;
}

/* ---- ours ------------------------------------------------------------------------------------- */

struct life {
	const char *socket_path;
	struct loop *loop;
	void (*body)(void *arg);
	void *arg;
	int err;
};

static void live(void *arg)
{
	struct client_config cfg = {.name = "conform", .role = RING_ROLE_TOOL, .reconnect_ms = 1000};
	struct life *l = arg;

	l->err = client_attach(&the_client, l->socket_path, &cfg);
	if (!l->err) {
		l->body(l->arg);
		client_detach(the_client);
	}
	loop_stop(l->loop);
}

static int run_client(struct life *l)
{
	int err = loop_create(&l->loop, &(struct loop_config){.engine = LOOP_AUTO, .spin_us_max = 20});

	if (err)
		return err;
	err = fiber_start(l->loop, live, l);
	if (!err)
		loop_run(l->loop);
	loop_destroy(l->loop);
	return err ? err : l->err;
}

static int run_with_child(struct life *l, const struct driver_config *cfg)
{
	struct server s = {.cfg = cfg};
	int pair[2], err, status = 0;
	char byte;
	pid_t pid;

	snprintf(s.socket_path, sizeof(s.socket_path), "/tmp/conform-ring-%d.sock", (int)getpid());
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_from_errno(errno);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		s.life_fd = pair[1];
		exit(server_main(&s));
	}
	close(pair[1]);
	l->socket_path = s.socket_path;
	err = read(pair[0], &byte, 1) == 1 ? run_client(l) : ERR_CONNREFUSED;
	close(pair[0]);
	waitpid(pid, &status, 0);
	unlink(s.socket_path);
	if (!err && status) {
		printf("FAIL the server's process ended with %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		err = ERR_SERVERFAULT;
	}
	return err;
}

static int ring_run(const struct driver_config *cfg, void (*body)(void *arg), void *arg)
{
	struct life l = {.socket_path = cfg->socket, .body = body, .arg = arg};

	if (cfg->mount)
		the_mount = cfg->mount;
	return cfg->socket ? run_client(&l) : run_with_child(&l, cfg);
}

static int ring_root(struct test *t, struct obj *root)
{
	return serve_root(t, the_mount, root);
}

const struct driver driver_ring = {
	.name = "ring",
	.features = CLIENT_FEATURES,
	.run = ring_run,
	.root = ring_root,
	.client = ring_client,
	.together = client_together,
	CLIENT_VERBS,
};
