/*
 * Who has mounted what, as showmount lists it: advice, never a right. Kept with chimerad, so that it survives this
 * daemon, under "rmtab/HOST/SLOT" with "HOST NUL PATH" as the value. The slot is a hash of the path: one host
 * can fill no more than SLOTS of them.
 */
#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "protocols/nfs/nfs-impl.h"

LOG_MODULE("mount");

#define SLOTS 64
#define PREFIX "rmtab/"
#define SCAN_SIZE 65536u
#define LIST_MAX 1024 /* mounts in one answer */
#define KEY_MAX 128

static void key_of(const char *host, const char *path, char *key, size_t size)
{
	snprintf(key, size, PREFIX "%s/%02u", host, (unsigned)(hash_bytes(path, strlen(path)) % SLOTS));
}

static struct op *kv_op(struct rpc_request *rq, enum op_code code)
{
	struct op *op = client_op(rq->client, code);
	op->cred = (struct op_cred){.origin = OP_ORIGIN_NFS};
	return op;
}

static void finish(struct rpc_request *rq, struct op *op, int err, const char *what)
{
	if (err && err != ERR_NOENT)
		log_warn("the mount table: %s: %s", what, err_text(err));
	client_op_put(rq->client, op);
}

void mount_table_add(struct rpc_request *rq, const char *path)
{
	char host[KEY_MAX / 2], key[KEY_MAX];
	nfs_peer_host(rq->peer, host, sizeof(host));
	key_of(host, path, key, sizeof(key));
	uint32_t host_size = (uint32_t)strlen(host) + 1, size = host_size + (uint32_t)strlen(path);
	struct client_buf *buf = client_buf_alloc(rq->client, size, 0);
	if (!buf)
		return;
	memcpy(buf->data, host, host_size);
	memcpy(buf->data + host_size, path, size - host_size);
	struct op *op = kv_op(rq, OP_kv_put);
	int err = op_set_str(op, &op->in.kv_put.key, key, strlen(key));
	if (!err)
		err = client_op_seg(op, buf, 0, size);
	if (!err)
		err = client_call(rq->client, op);
	finish(rq, op, err, "adding");
	client_buf_put(rq->client, buf);
}

static void delete_key(struct rpc_request *rq, const char *key)
{
	struct op *op = kv_op(rq, OP_kv_delete);
	int err = op_set_str(op, &op->in.kv_delete.key, key, strlen(key));
	if (!err)
		err = client_call(rq->client, op);
	finish(rq, op, err, "removing");
}

void mount_table_remove(struct rpc_request *rq, const char *path)
{
	char host[KEY_MAX / 2], key[KEY_MAX];
	nfs_peer_host(rq->peer, host, sizeof(host));
	if (path) {
		key_of(host, path, key, sizeof(key));
		delete_key(rq, key);
		return;
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		snprintf(key, sizeof(key), PREFIX "%s/%02u", host, i);
		delete_key(rq, key);
	}
}

/* ---- listing ----------------------------------------------------------------------------- */

struct listing {
	struct rpc_request *rq;
	struct mountbody *first, **link;
	uint32_t n;
	char after[KEY_MAX];
	bool end;
};

static void add_entry(struct listing *l, const uint8_t *value, uint32_t size)
{
	const uint8_t *nul = memchr(value, '\0', size);
	struct mountbody *m = arena_zalloc(&l->rq->arena, sizeof(*m));
	const uint8_t *copy = arena_dup(&l->rq->arena, value, size);
	if (!nul || !m || !copy)
		return;
	uint32_t host_size = (uint32_t)(nul - value);
	m->ml_hostname = (struct xdr_bytes){copy, MIN(host_size, (uint32_t)MNTNAMLEN)};
	m->ml_directory = (struct xdr_bytes){copy + host_size + 1, MIN(size - host_size - 1, (uint32_t)MNTPATHLEN)};
	*l->link = m;
	l->link = &m->next;
	l->n++;
}

static void add_records(struct listing *l, const uint8_t *data, uint32_t size)
{
	for (uint32_t at = 0; at < size && l->n < LIST_MAX;) {
		const struct op_kv_entry *e = (const struct op_kv_entry *)(data + at);
		if (size - at < sizeof(*e) || e->record_size < sizeof(*e) || e->record_size > size - at ||
		    e->key_size >= KEY_MAX || (uint64_t)e->key_size + e->value_size > e->record_size - sizeof(*e))
			return;
		const uint8_t *key = (const uint8_t *)(e + 1);
		memcpy(l->after, key, e->key_size);
		l->after[e->key_size] = '\0';
		add_entry(l, key + e->key_size, e->value_size);
		at += e->record_size;
	}
}

static void scan_some(struct listing *l, struct client_buf *buf)
{
	struct rpc_request *rq = l->rq;
	struct op *op = kv_op(rq, OP_kv_scan);
	int err = op_set_str(op, &op->in.kv_scan.prefix, PREFIX, strlen(PREFIX));
	if (!err)
		err = op_set_str(op, &op->in.kv_scan.after, l->after, strlen(l->after));
	if (!err)
		err = client_op_seg(op, buf, 0, buf->size);
	if (!err)
		err = client_call(rq->client, op);
	l->end = err || op->out.kv_scan.eof || op->out.kv_scan.n_entries == 0;
	if (!err)
		add_records(l, buf->data, MIN(op->out.kv_scan.size, buf->size));
	finish(rq, op, err, "listing");
}

struct mountbody *mount_table_list(struct rpc_request *rq)
{
	struct listing l = {.rq = rq};
	struct client_buf *buf = client_buf_alloc(rq->client, SCAN_SIZE, 0);
	l.link = &l.first;
	while (buf && !l.end && l.n < LIST_MAX)
		scan_some(&l, buf);
	client_buf_put(rq->client, buf);
	return l.first;
}
