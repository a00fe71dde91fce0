/*
 * Exports: read from the catalogue, replaced as a whole when it changes, and what they allow to whom. What a
 * client may do with an export is remembered with its connection, so that a call compares two numbers.
 */
#include <stdlib.h>

#include "base/log.h"
#include "protocols/nfs/nfs-impl.h"

LOG_MODULE("nfs");

static void export_fini(struct nfs_export *e)
{
	free(e->name);
	free(e->mount);
	free(e->path);
}

void nfs_exports_fini(struct nfs_exports *e)
{
	for (uint32_t i = 0; i < e->n_items; i++)
		export_fini(&e->items[i]);
	free(e->items);
	e->items = NULL;
	e->n_items = 0;
}

/* ---- from the catalogue ------------------------------------------------------------------ */

/* A record's strings, one after the other; NULL past its end. */
static const char *next_string(const char **at, const char *end)
{
	const char *s = *at;
	const char *nul = memchr(s, '\0', (size_t)(end - s));
	if (!nul)
		return NULL;
	*at = nul + 1;
	return s;
}

static int take_field(struct nfs_export *e, const char *key, const char *value)
{
	char why[256];
	char **text = strcmp(key, "name") == 0  ? &e->name :
		      strcmp(key, "mount") == 0 ? &e->mount :
		      strcmp(key, "path") == 0  ? &e->path :
						  NULL;
	if (text) {
		free(*text);
		*text = strdup(value);
		return *text ? 0 : ERR_NOMEM;
	}
	if (strcmp(key, "clients") != 0)
		return 0;
	int err = export_rules_parse(value, &e->rules, why, sizeof(why));
	if (err)
		log_error("export %u: clients: %s", e->id, why);
	return err;
}

static int parse_object(const struct op_object *o, struct nfs_export *e)
{
	const char *at = (const char *)(o + 1), *end = (const char *)o + o->record_size;
	*e = (struct nfs_export){.id = (uint32_t)o->id};
	for (uint32_t i = 0; i < o->n_fields; i++) {
		const char *key = next_string(&at, end);
		const char *value = key ? next_string(&at, end) : NULL;
		int err = value ? take_field(e, key, value) : ERR_PROTO;
		if (err)
			return err;
	}
	if (!e->path)
		e->path = strdup("/");
	return e->name && e->mount && e->path ? 0 : ERR_PROTO;
}

static int add_export(struct nfs_exports *list, const struct op_object *o)
{
	if (list->n_items == NFS_EXPORTS_MAX)
		return ERR_NOSPC;
	struct nfs_export *items = realloc(list->items, (list->n_items + 1) * sizeof(*items));
	if (!items)
		return ERR_NOMEM;
	list->items = items;
	int err = parse_object(o, &items[list->n_items]);
	if (err)
		export_fini(&items[list->n_items]);
	else
		list->n_items++;
	/* One that can't be understood is not exported; the others are. */
	return err == ERR_NOMEM ? err : 0;
}

static int add_exports(struct nfs_exports *list, const uint8_t *data, uint32_t size, uint64_t *last)
{
	for (uint32_t at = 0; at < size;) {
		const struct op_object *o = (const struct op_object *)(data + at);
		if (size - at < sizeof(*o) || o->record_size < sizeof(*o) || o->record_size > size - at)
			return ERR_PROTO;
		int err = add_export(list, o);
		if (err)
			return err;
		*last = o->id;
		at += o->record_size;
	}
	return 0;
}

/* One answer's worth, after the object with id *last. */
static int scan_some(struct nfs_server *s, struct nfs_exports *list, uint64_t *last, bool *eof)
{
	struct client_buf *buf = s->scan_buf;
	struct op *op = client_op(s->client, OP_catalogue_scan);
	op->cred = (struct op_cred){.origin = OP_ORIGIN_NFS};
	op->in.catalogue_scan.after = *last;
	int err = op_set_str(op, &op->in.catalogue_scan.kind, "export", 6);
	if (!err)
		err = client_op_seg(op, buf, 0, buf->size);
	if (!err)
		err = client_call(s->client, op);
	const struct op_catalogue_scan_out *out = &op->out.catalogue_scan;
	if (!err) {
		*eof = out->eof || out->n_objects == 0;
		err = out->size > buf->size ? ERR_PROTO : add_exports(list, buf->data, out->size, last);
	}
	client_op_put(s->client, op);
	return err;
}

static int load(struct nfs_server *s)
{
	struct nfs_exports list = {.epoch = s->exports.epoch + 1};
	uint64_t last = 0;
	bool eof = false;
	int err = 0;
	while (!err && !eof)
		err = scan_some(s, &list, &last, &eof);
	if (err) {
		log_error("reading the exports: %s", err_text(err));
		nfs_exports_fini(&list);
		return err;
	}
	nfs_exports_fini(&s->exports);
	s->exports = list;
	log_info("%u exports", list.n_items);
	return 0;
}

static void read_exports(void *arg)
{
	struct nfs_server *s = arg;
	do {
		s->dirty = false;
		s->load_err = load(s);
	} while (s->dirty);
	s->reloading = false;
	fiber_join_done(&s->reload);
}

void nfs_exports_reload(struct nfs_server *s)
{
	s->dirty = true;
	if (s->reloading)
		return;
	s->reloading = true;
	fiber_join_add(&s->reload, 1);
	s->load_err = fiber_start(client_loop(s->client), read_exports, s);
	if (!s->load_err)
		return;
	s->reloading = false;
	fiber_join_done(&s->reload);
}

/* ---- finding ----------------------------------------------------------------------------- */

const struct nfs_export *nfs_export_find(const struct nfs_server *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->exports.n_items; i++)
		if (s->exports.items[i].id == id)
			return &s->exports.items[i];
	return NULL;
}

/* How much of path the export's name covers; 0: it is no prefix of whole components. */
static size_t covers(const char *name, const char *path)
{
	size_t n = strlen(name);
	while (n > 0 && name[n - 1] == '/')
		n--;
	if (strncmp(name, path, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return 0;
	return n + 1;
}

const struct nfs_export *nfs_export_of_path(const struct nfs_server *s, const char *path, const char **rest)
{
	const struct nfs_export *best = NULL;
	size_t longest = 0;
	for (uint32_t i = 0; i < s->exports.n_items; i++) {
		size_t n = covers(s->exports.items[i].name, path);
		if (n <= longest)
			continue;
		longest = n;
		best = &s->exports.items[i];
	}
	*rest = best ? path + longest - 1 : NULL;
	return best;
}

/* The path is payload. */
static int lookup_path(struct nfs_server *s, uint32_t tag, const char *path, struct op_handle *h, struct op_attr *attr)
{
	uint32_t size = (uint32_t)strlen(path);
	struct client_buf *buf;
	while (!(buf = client_buf_alloc(s->client, size, 0)))
		client_buf_wait(s->client);
	memcpy(buf->data, path, size);
	struct op *op = client_op(s->client, OP_lookup_path);
	op->cred = (struct op_cred){.origin = OP_ORIGIN_NFS};
	op->in.lookup_path.tag = tag;
	int err = client_op_seg(op, buf, 0, size);
	if (!err)
		err = client_call(s->client, op);
	if (!err) {
		*h = op->out.lookup_path.obj;
		*attr = op->out.lookup_path.attr;
	}
	client_op_put(s->client, op);
	client_buf_put(s->client, buf);
	return err;
}

int nfs_export_lookup(struct nfs_server *s, const struct nfs_export *e, const char *rest, struct op_handle *h,
		      struct op_attr *attr)
{
	char path[NFS_PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s/%s", e->mount, e->path, rest);
	return n < 0 || (size_t)n >= sizeof(path) ? ERR_NAMETOOLONG : lookup_path(s, e->id, path, h, attr);
}

bool nfs_is_root(struct rpc_request *rq, const struct op_handle *h)
{
	struct nfs_server *s = nfs_of(rq);
	uint32_t id = op_handle_tag(h);
	struct op_handle root;
	struct op_attr attr;
	const struct nfs_export *e = nfs_export_find(s, id);
	if (e && e->root.size)
		return op_handle_equal(&e->root, h);
	/* Not known to be below the root: then ".." leads nowhere. */
	if (!e || nfs_export_lookup(s, e, "", &root, &attr) != 0)
		return true;
	struct nfs_export *again = (struct nfs_export *)nfs_export_find(s, id);
	if (again)
		again->root = root;
	return op_handle_equal(&root, h);
}

/* ---- rights ------------------------------------------------------------------------------ */

#define RIGHTS_CACHED (sizeof(((struct rpc_peer *)0)->cache) / sizeof(struct nfs_right))

static void find_right(struct nfs_server *s, struct rpc_peer *peer, uint32_t id, struct nfs_right *right)
{
	const struct nfs_export *e = nfs_export_find(s, id);
	*right = (struct nfs_right){.id = id, .epoch = s->exports.epoch, .err = ERR_STALE};
	if (!e)
		return;
	const struct export_rule *rule = export_rules_match(&e->rules, &peer->addr.sa);
	right->err = ERR_ACCES;
	if (!rule || !export_rule_port_ok(rule, &peer->addr.sa))
		return;
	nfs_clients_used(s, peer, e->name);
	right->err = 0;
	right->read_only = rule->read_only;
	right->squash = rule->squash;
	right->sec = rule->sec;
	right->anonuid = rule->anonuid;
	right->anongid = rule->anongid;
}

const struct nfs_right *nfs_right(struct rpc_request *rq, uint32_t export_id)
{
	struct nfs_server *s = nfs_of(rq);
	struct nfs_right *cache = (struct nfs_right *)rq->peer->cache;
	struct nfs_right *right = &cache[export_id % RIGHTS_CACHED];
	if (unlikely(right->epoch != s->exports.epoch || right->id != export_id))
		find_right(s, rq->peer, export_id, right);
	return right;
}

bool nfs_flavor_ok(const struct nfs_right *right, uint32_t flavor)
{
	return right->sec & (flavor == AUTH_SYS ? EXPORT_SEC_SYS : EXPORT_SEC_NONE);
}

static void squash_root(const struct nfs_right *right, struct op_cred *cred)
{
	if (cred->uid == 0)
		cred->uid = right->anonuid;
	if (cred->gid == 0)
		cred->gid = right->anongid;
	for (uint32_t i = 0; i < cred->n_groups; i++)
		if (cred->groups[i] == 0)
			cred->groups[i] = right->anongid;
}

void nfs_squash(const struct nfs_right *right, const struct rpc_request *rq, struct op_cred *to)
{
	const struct op_cred *from = &rq->cred;
	if (unlikely(right->squash == EXPORT_ALL_SQUASH || rq->flavor == AUTH_NONE)) {
		*to = (struct op_cred){.uid = right->anonuid, .gid = right->anongid, .origin = OP_ORIGIN_NFS};
		return;
	}
	memcpy(to, from, offsetof(struct op_cred, groups) + from->n_groups * sizeof(from->groups[0]));
	if (right->squash == EXPORT_ROOT_SQUASH)
		squash_root(right, to);
}
