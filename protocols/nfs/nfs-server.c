/* The life of one thread's NFS server: attach, exports, listeners, changes of the catalogue, the end. */
#include "protocols/nfs/nfs-server.h"

#include <stdlib.h>

#include "base/log.h"
#include "protocols/nfs/nfs-impl.h"

LOG_MODULE("nfs");

#define MAX_IO_DEFAULT RPC_DATA_MAX
#define UDP_MAX_IO_DEFAULT 32768u
#define UDP_MAX_IO_MOST 49152u

/* ---- changes of the catalogue -------------------------------------------------------------- */

static void on_event(void *arg, const struct op_event *event)
{
	struct nfs_server *s = arg;
	if (s->scan_buf && (event->type == OP_EVENT_CATALOGUE || event->type == OP_EVENT_OVERFLOW))
		nfs_exports_reload(s);
}

static void on_reattached(void *arg)
{
	struct nfs_server *s = arg;
	nfs_exports_reload(s);
	nfs_clients_again(s);
}

/* ---- listening ----------------------------------------------------------------------------- */

/* One port of one address, by TCP and UDP; *port becomes the one chosen when it was 0. */
struct endpoint {
	struct rpc_server *rpc;
	struct net_addr addr;
	uint16_t *port;
	bool tcp, udp, share;
	const char *what;
};

static void set_port(struct net_addr *addr, uint16_t port)
{
	if (addr->sa.sa_family == AF_INET6)
		addr->in6.sin6_port = htons(port);
	else
		addr->in.sin_port = htons(port);
}

static int listen_on(struct endpoint *e)
{
	char text[80];
	int err = 0;
	set_port(&e->addr, *e->port);
	if (e->tcp)
		err = rpc_listen(e->rpc, &e->addr, e->share, &e->addr);
	if (!err && e->udp)
		err = rpc_listen_dgram(e->rpc, &e->addr, &e->addr);
	net_addr_format(&e->addr, text, sizeof(text));
	if (err)
		log_error("%s: listening on %s: %s", e->what, text, err_text(err));
	else
		*e->port = net_addr_port(&e->addr);
	return err;
}

static int listen_at(struct nfs_server *s, const struct nfs_config *cfg, const struct net_addr *addr)
{
	bool udp = cfg->udp && cfg->first;
	struct endpoint nfs = {s->rpc, *addr, &s->ports.port, cfg->tcp, udp, cfg->share, "NFS"};
	struct endpoint mount = {s->rpc, *addr, &s->ports.mount_port, cfg->tcp, udp, cfg->share, "MOUNT"};
	struct endpoint portmap = {s->portmap, *addr, &s->ports.portmap_port, true, true, false, "the port mapper"};
	int err = listen_on(&nfs);
	if (!err && !(cfg->mount_port && cfg->mount_port == cfg->port))
		err = listen_on(&mount);
	if (!err && s->portmap)
		err = listen_on(&portmap);
	return err;
}

/* ---- what the port mapper says of us --------------------------------------------------------- */

static void bind_program(struct nfs_server *s, const struct rpc_program *p, uint16_t port, const struct net_addr *addr)
{
	struct rpcbind_entry e = {.prog = p->xdr->program, .vers = p->xdr->version, .port = port, .own = true, .addr = *addr};
	e.in6 = addr->sa.sa_family == AF_INET6;
	if (s->tcp)
		rpcbind_set(s->bindings, &e);
	e.udp = true;
	if (s->udp)
		rpcbind_set(s->bindings, &e);
}

static void bind_programs(struct nfs_server *s, const struct net_addr *addr)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->portmap_programs); i++)
		bind_program(s, &s->portmap_programs[i], s->ports.portmap_port, addr);
	for (size_t i = 0; i < ARRAY_SIZE(s->programs); i++) {
		bool nfs = s->programs[i].xdr->program == NFS_PROGRAM;
		bind_program(s, &s->programs[i], nfs ? s->ports.port : s->ports.mount_port, addr);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static int start_portmap(struct nfs_server *s)
{
	const struct rpc_program programs[] = {
		{&PMAP_VERS_table, pmap2_procs, NULL, s},
		{&RPCBVERS_table, rpcb3_procs, NULL, s},
		{&RPCBVERS4_table, rpcb4_procs, NULL, s},
	};
	memcpy(s->portmap_programs, programs, sizeof(programs));
	int err = rpcbind_table_create(&s->bindings);
	if (err)
		return err;
	return rpc_server_create(&s->portmap, s->client, s->portmap_programs, ARRAY_SIZE(programs),
				 &(struct rpc_config){.idle_ms = 10000, .max_connections = 256});
}

static int start_rpc(struct nfs_server *s, const struct nfs_config *cfg)
{
	const struct rpc_program programs[] = {
		{&NFS_V3_table, nfs3_procs, nfs3_find_payload, s},
		{&MOUNT_V3_table, mount3_procs, NULL, s},
		{&MOUNT_V1_table, mount1_procs, NULL, s},
	};
	const struct rpc_config rpc = {.idle_ms = cfg->idle_ms, .max_connections = cfg->max_connections,
				       .peer = nfs_clients_peer, .arg = s};
	memcpy(s->programs, programs, sizeof(programs));
	int err = rpc_server_create(&s->rpc, s->client, s->programs, ARRAY_SIZE(programs), &rpc);
	if (!err && cfg->portmap && cfg->first)
		err = start_portmap(s);
	for (uint32_t i = 0; i < cfg->n_addrs && !err; i++) {
		err = listen_at(s, cfg, &cfg->addrs[i]);
		if (!err && s->portmap)
			bind_programs(s, &cfg->addrs[i]);
	}
	return err;
}

static void set_config(struct nfs_server *s, const struct nfs_config *cfg)
{
	s->max_io = MIN(cfg->max_io ? cfg->max_io : MAX_IO_DEFAULT, RPC_DATA_MAX);
	s->udp_max_io = MIN(cfg->udp_max_io ? cfg->udp_max_io : UDP_MAX_IO_DEFAULT, UDP_MAX_IO_MOST);
	s->tcp = cfg->tcp;
	s->udp = cfg->udp;
	s->ports.port = cfg->port;
	s->ports.mount_port = cfg->mount_port;
	s->ports.portmap_port = cfg->portmap ? cfg->portmap_port : 0;
}

static int load_exports(struct nfs_server *s)
{
	s->scan_buf = client_buf_alloc(s->client, NFS_SCAN_SIZE, 0);
	if (!s->scan_buf)
		return ERR_NOMEM;
	nfs_exports_reload(s);
	fiber_join_wait(&s->reload);
	return s->load_err;
}

int nfs_server_start(struct nfs_server **out, const struct nfs_config *cfg, nfs_connect_fn *attach, void *arg)
{
	struct nfs_server *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	set_config(s, cfg);
	struct client_config client = {
		.name = cfg->name, .role = RING_ROLE_NFS, .event = on_event, .reattached = on_reattached, .arg = s};
	nfs_clients_init(s);
	int err = attach(arg, &s->client, &client);
	if (!err)
		err = load_exports(s);
	if (!err)
		err = start_rpc(s, cfg);
	if (err) {
		nfs_server_stop(s);
		return err;
	}
	*out = s;
	return 0;
}

void nfs_server_stop(struct nfs_server *s)
{
	if (!s)
		return;
	rpc_server_destroy(s->portmap);
	rpc_server_destroy(s->rpc);
	nfs_clients_fini(s);
	fiber_join_wait(&s->fibers);
	fiber_join_wait(&s->reload);
	if (s->scan_buf)
		client_buf_put(s->client, TAKE(s->scan_buf));
	client_detach(TAKE(s->client));
	fiber_join_wait(&s->fibers);
	nfs_exports_fini(&s->exports);
	rpcbind_table_destroy(s->bindings);
	free(s);
}

void nfs_server_ports(const struct nfs_server *s, struct nfs_ports *ports)
{
	*ports = s->ports;
}
