/* Ops about the session: the heartbeat, the daemons' durable state, and what chimerad's hooks answer. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vfs/kv.h"
#include "vfs/vfs-impl.h"

int vfs_op_heartbeat(struct vfs_call *c)
{
	const struct vfs_hooks *h = &c->vfs->hooks;
	struct op_heartbeat_out *out = &c->op->out.heartbeat;
	out->echo = c->op->in.heartbeat.echo;
	out->now_ns = loop_wall_ns(loop_current());
	out->catalogue_generation = h->catalogue_generation ? h->catalogue_generation(h->arg) : 0;
	return 0;
}

/* No op of this table waits for an event yet, so each answers by itself: as if it had not been cancelled. */
int vfs_op_cancel(struct vfs_call *c)
{
	return 0;
}

int vfs_op_catalogue_scan(struct vfs_call *c)
{
	const struct vfs_hooks *h = &c->vfs->hooks;
	const struct op_catalogue_scan_in *in = &c->op->in.catalogue_scan;
	const char *bytes = op_get_str(c->op, &in->kind);
	char kind[32];
	if (!bytes || in->kind.size == 0 || in->kind.size >= sizeof(kind) || memchr(bytes, '\0', in->kind.size))
		return ERR_INVAL;
	if (!h->catalogue_scan)
		return ERR_NOTSUPP;
	memcpy(kind, bytes, in->kind.size);
	kind[in->kind.size] = '\0';
	return h->catalogue_scan(h->arg, kind, in->after, c->payload, &c->op->out.catalogue_scan);
}

#define REPORT_MAX 4096

int vfs_op_client_report(struct vfs_call *c)
{
	const struct vfs_hooks *h = &c->vfs->hooks;
	const struct op_str *str = &c->op->in.client_report.client;
	const char *bytes = op_get_str(c->op, str);
	CLEANUP_FREE char *text = NULL;
	char client[OP_NAME_MAX + 1];
	uint32_t size;
	if (!bytes || str->size == 0 || str->size > OP_NAME_MAX)
		return ERR_INVAL;
	if (!h->client_report)
		return ERR_NOTSUPP;
	memcpy(client, bytes, str->size);
	client[str->size] = '\0';
	int err = payload_copy(c->payload, REPORT_MAX, &text, &size);
	return err ? err : h->client_report(h->arg, c->session, client, text, size);
}

/* ---- key and value */

static int key_of(const struct vfs_call *c, const struct op_str *str, struct kv_key *key)
{
	key->role = c->session->cfg.role;
	key->bytes = op_get_str(c->op, str);
	key->size = str->size;
	return key->bytes && key->size <= OP_NAME_MAX ? 0 : ERR_INVAL;
}

static bool answer_value(void *arg, const struct kv_key *key, const void *value, uint32_t size)
{
	struct vfs_call *c = arg;
	c->op->out.kv_get.size = size;
	return payload_size(c->payload) == 0 || payload_put(c->payload, 0, value, size);
}

int vfs_op_kv_get(struct vfs_call *c)
{
	struct kv_key key;
	int err = key_of(c, &c->op->in.kv_get.key, &key);
	return err ? err : kv_get(c->vfs->kv, &key, answer_value, c);
}

int vfs_op_kv_put(struct vfs_call *c)
{
	CLEANUP_FREE char *value = NULL;
	struct kv_key key;
	uint32_t size;
	int err = key_of(c, &c->op->in.kv_put.key, &key);
	if (!err && key.size == 0)
		err = ERR_INVAL;
	if (!err)
		err = payload_copy(c->payload, OP_KV_MAX, &value, &size);
	return err ? err : kv_put(c->vfs->kv, &key, value, size);
}

int vfs_op_kv_delete(struct vfs_call *c)
{
	struct kv_key key;
	int err = key_of(c, &c->op->in.kv_delete.key, &key);
	return err ? err : kv_delete(c->vfs->kv, &key);
}

struct scan {
	struct vfs_call *c;
	uint64_t room;
	bool full;
};

static bool scan_emit(void *arg, const struct kv_key *key, const void *value, uint32_t size)
{
	static const uint8_t padding[8];
	struct scan *s = arg;
	struct op_kv_scan_out *out = &s->c->op->out.kv_scan;
	uint32_t raw = (uint32_t)sizeof(struct op_kv_entry) + key->size + size, record = ALIGN_UP(raw, 8u);
	struct op_kv_entry e = {.record_size = record, .key_size = (uint16_t)key->size, .value_size = size};
	if (s->room - out->size < record) {
		s->full = true;
		return false;
	}
	payload_put(s->c->payload, out->size, &e, sizeof(e));
	payload_put(s->c->payload, out->size + sizeof(e), key->bytes, key->size);
	payload_put(s->c->payload, out->size + sizeof(e) + key->size, value, size);
	payload_put(s->c->payload, out->size + raw, padding, record - raw);
	out->size += record;
	out->n_entries++;
	return true;
}

int vfs_op_kv_scan(struct vfs_call *c)
{
	struct scan s = {c, payload_size(c->payload), false};
	struct op_kv_scan_out *out = &c->op->out.kv_scan;
	struct kv_key prefix, after;
	int err = key_of(c, &c->op->in.kv_scan.prefix, &prefix);
	if (!err)
		err = key_of(c, &c->op->in.kv_scan.after, &after);
	if (err)
		return err;
	kv_scan(c->vfs->kv, &prefix, &after, scan_emit, &s);
	out->eof = !s.full;
	return s.full && out->n_entries == 0 ? ERR_TOOSMALL : 0;
}
