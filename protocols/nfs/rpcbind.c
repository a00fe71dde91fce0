/*
 * The port mapper: versions 2, 3 and 4 (RFC 1833). SET and UNSET are for programs of this machine, indirect calls
 * (CALLIT, BCAST, INDIRECT) are refused: they let a stranger speak in our name.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "protocols/nfs/nfs-impl.h"

#define UADDR_MAX 64
#define NETID_MAX 8
#define SEMANTICS_CLTS 1
#define SEMANTICS_COTS_ORD 3
#define OWNER "superuser"

static const struct netid {
	const char *name;
	bool udp, in6;
} netids[] = {{"tcp", false, false}, {"udp", true, false}, {"tcp6", false, true}, {"udp6", true, true}};

static struct rpcbind_table *table_of(const struct rpc_request *rq)
{
	return nfs_of(rq)->bindings;
}

static int bind_null(struct rpc_request *rq, const void *args, void *res)
{
	return RPC_SUCCESS;
}

/* Nobody learns anything from a call that isn't answered with a result. */
static int bind_refuse(struct rpc_request *rq, const void *args, void *res)
{
	rq->auth_stat = AUTH_TOOWEAK;
	return RPC_DENIED;
}

static struct xdr_bytes to_bytes(struct rpc_request *rq, const char *text)
{
	char *copy = arena_strndup(&rq->arena, text, strlen(text));
	return (struct xdr_bytes){(const uint8_t *)copy, copy ? (uint32_t)strlen(copy) : 0};
}

static const struct netid *find_netid(const char *name, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(netids); i++)
		if (strlen(netids[i].name) == size && memcmp(netids[i].name, name, size) == 0)
			return &netids[i];
	return NULL;
}

static const struct netid *netid_of(bool udp, bool in6)
{
	return &netids[(in6 ? 2 : 0) + (udp ? 1 : 0)];
}

/* ---- universal addresses: RFC 5665 section 5.2 -------------------------------------------- */

static void uaddr_format(const struct net_addr *addr, uint16_t port, char out[UADDR_MAX])
{
	char host[INET6_ADDRSTRLEN] = "";
	if (addr->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &addr->in6.sin6_addr, host, sizeof(host));
	else
		inet_ntop(AF_INET, &addr->in.sin_addr, host, sizeof(host));
	snprintf(out, UADDR_MAX, "%s.%u.%u", host, port >> 8, port & 0xff);
}

static bool take_octet(char *text, char **last_dot, uint32_t *value)
{
	uint64_t v;
	*last_dot = strrchr(text, '.');
	if (!*last_dot || str_parse_u64(*last_dot + 1, 0, 255, &v) != 0)
		return false;
	**last_dot = '\0';
	*value = (uint32_t)v;
	return true;
}

/* The port of "h.h.h.h.p.p"; 0 when there is none. */
static uint16_t uaddr_port(const struct xdr_bytes *uaddr)
{
	char text[UADDR_MAX], *dot;
	uint32_t low, high;
	if (uaddr->size >= sizeof(text))
		return 0;
	memcpy(text, uaddr->data, uaddr->size);
	text[uaddr->size] = '\0';
	if (!take_octet(text, &dot, &low) || !take_octet(text, &dot, &high))
		return 0;
	return (uint16_t)(high << 8 | low);
}

/* ---- version 2 ---------------------------------------------------------------------------- */

static bool may_change(const struct rpc_request *rq)
{
	return rpc_peer_is_loopback(rq->peer);
}

static int pmap_set(struct rpc_request *rq, const void *args, void *res)
{
	const struct pmap_mapping *a = args;
	struct pmap_bool *r = res;
	const struct rpcbind_entry e = {.prog = a->prog, .vers = a->vers, .port = (uint16_t)a->port,
					.udp = a->prot == IPPROTO_UDP};
	bool valid = a->port > 0 && a->port <= UINT16_MAX && (a->prot == IPPROTO_TCP || a->prot == IPPROTO_UDP);
	r->done = may_change(rq) && valid && rpcbind_set(table_of(rq), &e);
	return RPC_SUCCESS;
}

static int pmap_unset(struct rpc_request *rq, const void *args, void *res)
{
	const struct pmap_mapping *a = args;
	struct pmap_bool *r = res;
	r->done = may_change(rq) && rpcbind_unset(table_of(rq), a->prog, a->vers);
	return RPC_SUCCESS;
}

static int pmap_getport(struct rpc_request *rq, const void *args, void *res)
{
	const struct pmap_mapping *a = args;
	struct pmap_port *r = res;
	const struct rpcbind_entry *e = rpcbind_find(table_of(rq), a->prog, a->vers, a->prot == IPPROTO_UDP, false);
	r->port = e && (a->prot == IPPROTO_UDP || a->prot == IPPROTO_TCP) ? e->port : 0;
	return RPC_SUCCESS;
}

static int pmap_dump(struct rpc_request *rq, const void *args, void *res)
{
	struct pmap_list *r = res;
	struct pmap_mapping **link = &r->mappings, *m;
	const struct rpcbind_entry *e;
	*link = NULL;
	for (uint32_t i = 0; (e = rpcbind_entry(table_of(rq), i)); i++) {
		if (e->in6 || !(m = arena_zalloc(&rq->arena, sizeof(*m))))
			continue;
		*m = (struct pmap_mapping){e->prog, e->vers, e->udp ? IPPROTO_UDP : IPPROTO_TCP, e->port, NULL};
		*link = m;
		link = &m->next;
	}
	return RPC_SUCCESS;
}

const struct rpc_procedure pmap2_procs[] = {
	[PMAPPROC_NULL] = {bind_null},       [PMAPPROC_SET] = {pmap_set},   [PMAPPROC_UNSET] = {pmap_unset},
	[PMAPPROC_GETPORT] = {pmap_getport}, [PMAPPROC_DUMP] = {pmap_dump}, [PMAPPROC_CALLIT] = {bind_refuse},
};

/* ---- versions 3 and 4 --------------------------------------------------------------------- */

static int rpcb_set(struct rpc_request *rq, const void *args, void *res)
{
	const struct rpcb *a = args;
	struct pmap_bool *r = res;
	const struct netid *id = find_netid((const char *)a->r_netid.data, a->r_netid.size);
	struct rpcbind_entry e = {.prog = a->r_prog, .vers = a->r_vers, .port = uaddr_port(&a->r_addr)};
	r->done = false;
	if (!id || e.port == 0 || !may_change(rq))
		return RPC_SUCCESS;
	e.udp = id->udp;
	e.in6 = id->in6;
	r->done = rpcbind_set(table_of(rq), &e);
	return RPC_SUCCESS;
}

static int rpcb_unset(struct rpc_request *rq, const void *args, void *res)
{
	const struct rpcb *a = args;
	struct pmap_bool *r = res;
	r->done = may_change(rq) && rpcbind_unset(table_of(rq), a->r_prog, a->r_vers);
	return RPC_SUCCESS;
}

/* The address is the one that the caller reached us by, so that it can reach the program too. */
static struct xdr_bytes address_for(struct rpc_request *rq, const struct rpcbind_entry *e)
{
	char text[UADDR_MAX] = "";
	if (e)
		uaddr_format(&rq->peer->local, e->port, text);
	return to_bytes(rq, text);
}

static bool caller_in6(const struct rpc_request *rq)
{
	return rq->peer->local.sa.sa_family == AF_INET6;
}

/* The transport asked for, or that of the call itself. */
static const struct rpcbind_entry *find_for(struct rpc_request *rq, const struct rpcb *a)
{
	const struct netid *id = find_netid((const char *)a->r_netid.data, a->r_netid.size);
	if (!id)
		id = netid_of(!rq->peer->stream, caller_in6(rq));
	if (id->in6 != caller_in6(rq))
		return NULL;
	return rpcbind_find(table_of(rq), a->r_prog, a->r_vers, id->udp, id->in6);
}

static int rpcb_getaddr(struct rpc_request *rq, const void *args, void *res)
{
	struct rpcb_addr *r = res;
	r->addr = address_for(rq, find_for(rq, args));
	return RPC_SUCCESS;
}

static int rpcb_getversaddr(struct rpc_request *rq, const void *args, void *res)
{
	const struct rpcb *a = args;
	struct rpcb_addr *r = res;
	const struct rpcbind_entry *e = find_for(rq, a);
	r->addr = address_for(rq, e && e->vers == a->r_vers ? e : NULL);
	return RPC_SUCCESS;
}

static int rpcb_dump(struct rpc_request *rq, const void *args, void *res)
{
	struct rpcb_list *r = res;
	struct rpcb **link = &r->bindings, *b;
	const struct rpcbind_entry *e;
	char uaddr[UADDR_MAX];
	*link = NULL;
	for (uint32_t i = 0; (e = rpcbind_entry(table_of(rq), i)); i++) {
		struct net_addr any = {.sa.sa_family = e->in6 ? AF_INET6 : AF_INET};
		if (!(b = arena_zalloc(&rq->arena, sizeof(*b))))
			break;
		uaddr_format(e->own ? &e->addr : &any, e->port, uaddr);
		b->r_prog = e->prog;
		b->r_vers = e->vers;
		b->r_netid = to_bytes(rq, netid_of(e->udp, e->in6)->name);
		b->r_addr = to_bytes(rq, uaddr);
		b->r_owner = to_bytes(rq, OWNER);
		*link = b;
		link = &b->next;
	}
	return RPC_SUCCESS;
}

static int rpcb_gettime(struct rpc_request *rq, const void *args, void *res)
{
	struct rpcb_time *r = res;
	r->seconds = (uint32_t)(loop_wall_ns(loop_current()) / NS_PER_SEC);
	return RPC_SUCCESS;
}

static struct rpcb_entry *describe(struct rpc_request *rq, const struct rpcbind_entry *e)
{
	struct rpcb_entry *d = arena_zalloc(&rq->arena, sizeof(*d));
	if (!d)
		return NULL;
	d->r_maddr = address_for(rq, e);
	d->r_nc_netid = to_bytes(rq, netid_of(e->udp, e->in6)->name);
	d->r_nc_semantics = e->udp ? SEMANTICS_CLTS : SEMANTICS_COTS_ORD;
	d->r_nc_protofmly = to_bytes(rq, e->in6 ? "inet6" : "inet");
	d->r_nc_proto = to_bytes(rq, e->udp ? "udp" : "tcp");
	return d;
}

static int rpcb_getaddrlist(struct rpc_request *rq, const void *args, void *res)
{
	const struct rpcb *a = args;
	struct rpcb_entry_list *r = res;
	struct rpcb_entry **link = &r->entries;
	const struct rpcbind_entry *e;
	*link = NULL;
	for (uint32_t i = 0; (e = rpcbind_entry(table_of(rq), i)); i++) {
		if (e->prog != a->r_prog || e->vers != a->r_vers || e->in6 != caller_in6(rq))
			continue;
		if (!(*link = describe(rq, e)))
			break;
		link = &(*link)->next;
	}
	return RPC_SUCCESS;
}

const struct rpc_procedure rpcb3_procs[] = {
	[RPCBPROC_NULL] = {bind_null},       [RPCBPROC_SET] = {rpcb_set},         [RPCBPROC_UNSET] = {rpcb_unset},
	[RPCBPROC_GETADDR] = {rpcb_getaddr}, [RPCBPROC_DUMP] = {rpcb_dump},       [RPCBPROC_CALLIT] = {bind_refuse},
	[RPCBPROC_GETTIME] = {rpcb_gettime}, [RPCBPROC_TADDR2UADDR] = {NULL},
};

const struct rpc_procedure rpcb4_procs[] = {
	[RPCBPROC4_NULL] = {bind_null},
	[RPCBPROC4_SET] = {rpcb_set},
	[RPCBPROC4_UNSET] = {rpcb_unset},
	[RPCBPROC4_GETADDR] = {rpcb_getaddr},
	[RPCBPROC4_DUMP] = {rpcb_dump},
	[RPCBPROC4_BCAST] = {bind_refuse},
	[RPCBPROC4_GETTIME] = {rpcb_gettime},
	[RPCBPROC4_GETVERSADDR] = {rpcb_getversaddr},
	[RPCBPROC4_INDIRECT] = {bind_refuse},
	[RPCBPROC4_GETADDRLIST] = {rpcb_getaddrlist},
};
