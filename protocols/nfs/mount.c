/*
 * The MOUNT protocol, version 3 (RFC 1813 section 5) and as much of version 1 as an old showmount asks for:
 * version 1 has handles of 32 bytes, which ours are not, so its MNT refuses.
 */
#include "base/log.h"
#include "base/str.h"
#include "protocols/nfs/nfs-impl.h"

LOG_MODULE("mount");

#define STATUS1_ACCES 13 /* of RFC 1094 */
#define RULE_TEXT_MAX 64

static const struct {
	int err;
	enum mountstat3 status;
} statuses[] = {
	{0, MNT3_OK},
	{ERR_PERM, MNT3ERR_PERM},
	{ERR_NOENT, MNT3ERR_NOENT},
	{ERR_IO, MNT3ERR_IO},
	{ERR_ACCES, MNT3ERR_ACCES},
	{ERR_NOTDIR, MNT3ERR_NOTDIR},
	{ERR_INVAL, MNT3ERR_INVAL},
	{ERR_NAMETOOLONG, MNT3ERR_NAMETOOLONG},
	{ERR_NOTSUPP, MNT3ERR_NOTSUPP},
	{ERR_STALE, MNT3ERR_NOENT},
	{ERR_BADNAME, MNT3ERR_INVAL},
	{ERR_LOOP, MNT3ERR_NOTDIR},
};

static enum mountstat3 to_status(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].err == err)
			return statuses[i].status;
	return MNT3ERR_SERVERFAULT;
}

static int mount_null(struct rpc_request *rq, const void *args, void *res)
{
	return RPC_SUCCESS;
}

/* Absolute, terminated, without components that lead up: an export may be a directory inside a mount. */
static int take_path(const struct mnt_path *in, char path[MNTPATHLEN + 1])
{
	uint32_t n = in->dirpath.size;
	if (n == 0 || in->dirpath.data[0] != '/' || memchr(in->dirpath.data, '\0', n))
		return ERR_NOENT;
	memcpy(path, in->dirpath.data, n);
	path[n] = '\0';
	for (const char *p = path; (p = strstr(p, "/..")); p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return ERR_ACCES;
	return 0;
}

static int find_root(struct rpc_request *rq, const char *path, struct op_handle *h, uint32_t *sec)
{
	struct nfs_server *s = nfs_of(rq);
	struct op_attr attr;
	const char *rest;
	nfs_exports_settle(s);
	const struct nfs_export *e = nfs_export_of_path(s, path, &rest);
	if (!e)
		return ERR_NOENT;
	const struct nfs_right *right = nfs_right(rq, e->id);
	*sec = right->sec;
	if (right->err)
		return right->err;
	int err = nfs_export_lookup(s, e, rest, h, &attr);
	return err || attr.type == OP_TYPE_DIR ? err : ERR_NOTDIR;
}

/* The flavours that the export takes and this server speaks. */
static int put_flavors(struct rpc_request *rq, uint32_t sec, struct mountres3_ok *r)
{
	uint32_t *flavors = arena_alloc(&rq->arena, 2 * sizeof(*flavors));
	if (!flavors)
		return ERR_NOMEM;
	r->auth_flavors.items = flavors;
	r->auth_flavors.n_items = 0;
	if (sec & EXPORT_SEC_SYS)
		flavors[r->auth_flavors.n_items++] = AUTH_SYS;
	if (sec & EXPORT_SEC_NONE)
		flavors[r->auth_flavors.n_items++] = AUTH_NONE;
	return 0;
}

static void log_mount(const struct rpc_request *rq, const char *path, int err)
{
	char peer[80];
	net_addr_format(&rq->peer->addr, peer, sizeof(peer));
	if (err)
		log_notice("%s may not mount %s: %s", peer, path, err_text(err));
	else
		log_info("%s mounts %s", peer, path);
}

static int mount3_mnt(struct rpc_request *rq, const void *args, void *res)
{
	struct mountres3 *r = res;
	struct op_handle root;
	char path[MNTPATHLEN + 1] = "";
	uint32_t sec = 0;
	int err = take_path(args, path);
	if (!err)
		err = find_root(rq, path, &root, &sec);
	if (!err)
		err = put_flavors(rq, sec, &r->mountinfo);
	log_mount(rq, path, err);
	r->fhs_status = to_status(err);
	if (err)
		return RPC_SUCCESS;
	uint8_t *bytes = arena_dup(&rq->arena, root.bytes, root.size);
	if (!bytes)
		return RPC_SYSTEM_ERR;
	r->mountinfo.fhandle = (struct xdr_bytes){bytes, root.size};
	mount_table_add(rq, path);
	return RPC_SUCCESS;
}

static int mount1_mnt(struct rpc_request *rq, const void *args, void *res)
{
	struct fhstatus *r = res;
	r->fhs_status = STATUS1_ACCES;
	return RPC_SUCCESS;
}

static int mount_dump(struct rpc_request *rq, const void *args, void *res)
{
	struct mountlist *r = res;
	r->mounts = mount_table_list(rq);
	return RPC_SUCCESS;
}

static int mount_umnt(struct rpc_request *rq, const void *args, void *res)
{
	char path[MNTPATHLEN + 1];
	if (take_path(args, path) == 0)
		mount_table_remove(rq, path);
	return RPC_SUCCESS;
}

static int mount_umntall(struct rpc_request *rq, const void *args, void *res)
{
	mount_table_remove(rq, NULL);
	return RPC_SUCCESS;
}

static struct groupnode *list_groups(struct rpc_request *rq, const struct nfs_export *e)
{
	struct groupnode *first = NULL, **link = &first;
	for (uint32_t i = 0; i < e->rules.n_rules; i++) {
		char text[RULE_TEXT_MAX];
		export_rule_format(&e->rules.rules[i], text, sizeof(text));
		struct groupnode *g = arena_zalloc(&rq->arena, sizeof(*g));
		char *name = arena_strndup(&rq->arena, text, strlen(text));
		if (!g || !name)
			break;
		g->gr_name = (struct xdr_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
		*link = g;
		link = &g->next;
	}
	return first;
}

/* Only what the asking client may mount is shown to it. */
static int mount_export(struct rpc_request *rq, const void *args, void *res)
{
	const struct nfs_exports *list = &nfs_of(rq)->exports;
	struct exports *r = res;
	struct exportnode **link = &r->exports;
	nfs_exports_settle(nfs_of(rq));
	*link = NULL;
	for (uint32_t i = 0; i < list->n_items; i++) {
		const struct nfs_export *e = &list->items[i];
		if (!export_rules_match(&e->rules, &rq->peer->addr.sa))
			continue;
		struct exportnode *n = arena_zalloc(&rq->arena, sizeof(*n));
		char *name = arena_strndup(&rq->arena, e->name, MIN(strlen(e->name), (size_t)MNTPATHLEN));
		if (!n || !name)
			break;
		n->ex_dir = (struct xdr_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
		n->ex_groups = list_groups(rq, e);
		*link = n;
		link = &n->next;
	}
	return RPC_SUCCESS;
}

const struct rpc_procedure mount1_procs[] = {
	[MOUNTPROC_NULL] = {mount_null},     [MOUNTPROC_MNT] = {mount1_mnt},
	[MOUNTPROC_DUMP] = {mount_dump},     [MOUNTPROC_UMNT] = {mount_umnt},
	[MOUNTPROC_UMNTALL] = {mount_umntall}, [MOUNTPROC_EXPORT] = {mount_export},
	[MOUNTPROC_EXPORTALL] = {mount_export},
};

const struct rpc_procedure mount3_procs[] = {
	[MOUNTPROC3_NULL] = {mount_null},       [MOUNTPROC3_MNT] = {mount3_mnt},
	[MOUNTPROC3_DUMP] = {mount_dump},       [MOUNTPROC3_UMNT] = {mount_umnt},
	[MOUNTPROC3_UMNTALL] = {mount_umntall}, [MOUNTPROC3_EXPORT] = {mount_export},
};
