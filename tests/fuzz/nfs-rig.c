/* The server is started with the first input and lives on; each input runs the loop until its exchange is over. */
#include "tests/fuzz/nfs-rig.h"

#include <stdlib.h>
#include <string.h>

#include "backends/builtin.h"
#include "base/log.h"
#include "vfs/vfs.h"

LOG_MODULE("rig");

#define TIMEOUT_NS (20 * NS_PER_SEC)

struct rig {
	struct loop *loop;
	struct vfs *vfs;
	struct nfs_server *server;
	struct net_addr addr;
	struct op_handle root;
	const uint8_t *data;
	size_t size;
};

static struct rig rig;

static void need(int err)
{
	if (err)
		abort();
}

static int catalogue_scan(void *arg, const char *kind, uint64_t after, struct vfs_payload *room,
			  struct op_catalogue_scan_out *out)
{
	static const char fields[] = "name\0/data\0mount\0data\0path\0/\0clients\0*:rw,insecure,no_root_squash,sec=sys:none";
	struct op_object *o = room->iov[0].iov_base;
	out->generation = out->eof = 1;
	if (after)
		return 0;
	*o = (struct op_object){(uint32_t)ALIGN_UP(sizeof(*o) + sizeof(fields), (size_t)8), 4, 1};
	memcpy(o + 1, fields, sizeof(fields));
	out->size = o->record_size;
	out->n_objects = 1;
	return 0;
}

static int client_report(void *arg, struct vfs_session *s, const char *client, const char *text, uint32_t size)
{
	return 0;
}

static uint64_t catalogue_generation(void *arg)
{
	return 1;
}

static int connect_local(void *arg, struct client **c, const struct client_config *cfg)
{
	return client_local(c, rig.vfs, cfg);
}

static void find_root(void)
{
	struct client *c;
	need(client_local(&c, rig.vfs, &(struct client_config){.name = "rig", .role = RING_ROLE_NFS}));
	struct client_buf *buf = client_buf_alloc(c, 4, 0);
	struct op *op = client_op(c, OP_lookup_path);
	memcpy(buf->data, "data", 4);
	op->cred = (struct op_cred){0};
	op->in.lookup_path.tag = 1;
	need(client_op_seg(op, buf, 0, 4));
	need(client_call(c, op));
	rig.root = op->out.lookup_path.obj;
	client_op_put(c, op);
	client_buf_put(c, buf);
	client_detach(c);
}

static void start(void *arg)
{
	static const struct vfs_hooks hooks = {catalogue_scan, client_report, catalogue_generation, NULL};
	static const struct vfs_option options[] = {{"capacity", "16M"}, {NULL, NULL}};
	const struct vfs_mount_spec spec = {1, "data", "memfs", false, options};
	struct nfs_ports ports;
	char *why;
	log_set_level("*", LOG_ERROR);
	backends_register();
	need(vfs_create(&rig.vfs, &(struct vfs_config){.arena_limit = 64 << 20}, &why));
	vfs_set_hooks(rig.vfs, &hooks);
	need(vfs_mount(rig.vfs, &spec, &why));
	need(net_addr_parse("127.0.0.1:0", &rig.addr));
	const struct nfs_config cfg = {.name = "rig", .addrs = &rig.addr, .n_addrs = 1, .tcp = true, .first = true};
	need(nfs_server_start(&rig.server, &cfg, connect_local, NULL));
	nfs_server_ports(rig.server, &ports);
	rig.addr.in.sin_port = htons(ports.port);
	find_root();
	loop_stop(rig.loop);
}

static void run(fiber_fn *fn)
{
	need(fiber_start(rig.loop, fn, NULL));
	loop_run(rig.loop);
}

static void start_once(void)
{
	if (rig.loop)
		return;
	need(loop_create(&rig.loop, &(struct loop_config){.engine = LOOP_EPOLL}));
	run(start);
}

static void receive_all(struct stream *s)
{
	static uint8_t sink[65536];
	struct iovec iov;
	do
		iov = (struct iovec){sink, sizeof(sink)};
	while (stream_readv(s, &iov, 1) > 0);
}

static void exchange(void *arg)
{
	struct stream *s;
	need(stream_connect(&s, &rig.addr, TIMEOUT_NS));
	stream_set_timeout(s, TIMEOUT_NS);
	struct iovec iov = {(void *)rig.data, rig.size};
	if (rig.size)
		stream_writev(s, &iov, 1);
	shutdown(stream_fd(s), SHUT_WR);
	receive_all(s);
	stream_close(s);
	loop_stop(rig.loop);
}

void rig_exchange(const uint8_t *data, size_t size)
{
	start_once();
	rig.data = data;
	rig.size = size;
	run(exchange);
}

const struct op_handle *rig_root(void)
{
	start_once();
	return &rig.root;
}
