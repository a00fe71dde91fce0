/* Attachments as sessions of the VFS: who may attach, and the bridge from the ring's server to vfs_run(). */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "chimerad/chimerad.h"

LOG_MODULE("chimerad");

struct session {
	struct chimerad *server;
	struct vfs_session *vfs;
	struct ring_attachment *attachment;
};

static const char *const role_names[] = {
	[RING_ROLE_NFS] = "nfs", [RING_ROLE_SMB] = "smb", [RING_ROLE_S3] = "s3",
	[RING_ROLE_FUSE] = "fuse", [RING_ROLE_TOOL] = "tool",
};

const char *chimerad_role_name(uint32_t role)
{
	return role < ARRAY_SIZE(role_names) && role_names[role] ? role_names[role] : "unknown";
}

/* Credentials in an op are believed: only these users' programs may attach. */
static bool user_may_attach(const struct chimerad *d, uid_t uid)
{
	return uid == 0 || uid == geteuid() || uid == d->daemon_uid;
}

static int admit(void *arg, struct ring_peer *peer)
{
	struct chimerad *d = arg;

	if (!user_may_attach(d, peer->uid))
		return ERR_ACCES;
	peer->isolated = peer->role && config_has(d->config, "ring", "isolated", chimerad_role_name(peer->role));
	return 0;
}

static void on_event(void *arg, const struct op_event *event)
{
	ring_attachment_event(((struct session *)arg)->attachment, event);
}

static int open_session(void *arg, struct ring_attachment *a, const struct ring_peer *peer, void **session, uint64_t *id)
{
	struct chimerad *d = arg;
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	*s = (struct session){.server = d, .attachment = a};
	struct vfs_session_config cfg = {
		.role = peer->role, .name = peer->name, .isolated = peer->isolated, .event = on_event, .arg = s,
	};
	int err = vfs_session_create(d->vfs, &cfg, &s->vfs);
	if (err) {
		free(s);
		return err;
	}
	*session = s;
	chimerad_levels_tell(a);
	return 0;
}

static void serve(void *session, struct vfs_step *steps, unsigned n)
{
	vfs_run(((struct session *)session)->vfs, steps, n);
}

static void release(void *session, struct vfs_pins *pins)
{
	vfs_pins_release(((struct session *)session)->server->vfs, pins);
}

static void close_session(void *session)
{
	struct session *s = session;

	chimerad_clients_forget(s->server->clients, s->vfs);
	vfs_session_destroy(s->vfs);
	free(s);
}

static const struct ring_server_ops serve_ops = {admit, open_session, serve, release, close_session};

int chimerad_serve_ring(struct chimerad *d)
{
	struct pages *pages = vfs_pages(d->vfs);
	const char *path = config_text(d->config, "server", "attach_socket");
	struct ring_server_config cfg = {
		.socket_path = path, .loops = d->loops, .n_loops = d->n_loops, .pages_fd = pages_fd(pages),
		.pages_size = pages_size(pages), .boot_id = d->boot_id, .ops = &serve_ops, .arg = d,
	};
	int err = ring_server_start(&d->ring, &cfg);
	if (err)
		log_error("cannot listen on %s: %s; see [server] attach_socket", path, err_text(err));
	return err;
}
