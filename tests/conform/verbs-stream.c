/* Streams, and names in order or regardless of case, over client.h. */
#include <stdio.h>

#include "tests/conform/verbs-stream.h"

#define ROOM 65536

static void take_obj(struct obj *out, const struct op_handle *h)
{
	if (out)
		*out = (struct obj){.handle = *h, .fd = -1};
}

/* ---- streams */

int fs_open_stream(struct test *t, const struct obj *base, struct str name, const struct open_how *how, struct obj *out)
{
	struct op *op = ops_new(t, OP_open_stream, base);
	int err = op_set_str(op, &op->in.open_stream.name, name.bytes, name.size);

	op->in.open_stream.disposition = how->disposition;
	op->in.open_stream.access = how->access;
	op->in.open_stream.deny = how->deny;
	op->in.open_stream.flags = how->flags;
	if (!err)
		err = ops_run(t, op);
	if (!err) {
		t->ans.attr = op->out.open_stream.attr;
		t->ans.wcc = op->out.open_stream.base;
		t->ans.open_id = op->out.open_stream.open_id;
		t->ans.created = op->out.open_stream.created;
		take_obj(out, &op->out.open_stream.obj);
	}
	ops_put(t, op);
	return err;
}

int fs_stream(struct test *t, const struct obj *base, const char *name, uint32_t disposition, uint32_t flags, struct obj *out)
{
	struct open_how how = {.disposition = disposition, .flags = flags | OPEN_NO_STATE};

	return fs_open_stream(t, base, str(name), &how, out);
}

static void emit_records(struct scan *s, const uint8_t *data, uint32_t size)
{
	struct op_dirent d;
	uint32_t at_byte = 0;
	char name[OP_NAME_MAX + 1];

	while (at_byte + sizeof(d) <= size) {
		memcpy(&d, data + at_byte, sizeof(d));
		if (d.record_size < sizeof(d) || d.record_size > size - at_byte || d.name_size > OP_NAME_MAX)
			return;
		memcpy(name, data + at_byte + sizeof(d), d.name_size);
		name[d.name_size] = 0;
		s->entry(s->arg, &d, name);
		at_byte += d.record_size;
	}
}

int fs_list_streams(struct test *t, const struct obj *base, const char *after, struct scan *s)
{
	struct op *op = ops_new(t, OP_list_streams, base);
	struct client_buf *buf = ops_payload(t, op, NULL, s->room);
	const struct op_list_streams_out *out = &op->out.list_streams;
	int err;

	ops_str(op, &op->in.list_streams.after, after);
	op->in.list_streams.want = s->want;
	op->in.list_streams.max_entries = s->max_entries;
	err = ops_run(t, op);
	if (!err) {
		s->eof = out->eof;
		s->n_entries = out->n_entries;
		t->ans.attr = out->attr;
		emit_records(s, buf->data, MIN(out->size, s->room));
	}
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}

int fs_remove_stream(struct test *t, const struct obj *base, const char *name, uint32_t flags)
{
	struct op *op = ops_new(t, OP_remove_stream, base);
	int err;

	ops_str(op, &op->in.remove_stream.name, name);
	op->in.remove_stream.flags = flags;
	err = ops_run(t, op);
	t->ans.wcc = op->out.remove_stream.wcc;
	ops_put(t, op);
	return err;
}

int fs_rename_stream(struct test *t, const struct obj *base, const char *name, const char *to, uint32_t flags)
{
	struct op *op = ops_new(t, OP_rename_stream, base);
	int err;

	ops_str(op, &op->in.rename_stream.name, name);
	ops_str(op, &op->in.rename_stream.to_name, to);
	op->in.rename_stream.flags = flags;
	err = ops_run(t, op);
	t->ans.wcc = op->out.rename_stream.wcc;
	ops_put(t, op);
	return err;
}

struct obj a_stream(struct test *t, const struct obj *base, const char *name, const char *text)
{
	struct obj s = {0};

	if (OK(fs_stream(t, base, name, OPEN_GUARDED, 0, &s)) && text[0])
		OK(fs_write_text(t, &s, 0, text));
	return s;
}

static void note_stream(void *arg, const struct op_dirent *d, const char *name)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, ROOM - n, "%s=%llu ", name, (unsigned long long)d->attr.size);
}

char *stream_names(struct test *t, const struct obj *base)
{
	char *text = memory(t, ROOM);
	struct scan s = {.room = ROOM, .entry = note_stream, .arg = text};

	OK(fs_list_streams(t, base, "", &s));
	TRUE(s.eof);
	return text;
}

/* ---- names */

static void take_name(const struct op *op, char *stored)
{
	if (!stored)
		return;
	memcpy(stored, op->out_var, MIN(op->out_var_size, OP_NAME_MAX));
	stored[MIN(op->out_var_size, OP_NAME_MAX)] = 0;
}

int fs_lookup_ci(struct test *t, const struct obj *dir, const char *name, char *stored, struct obj *out)
{
	struct op *op = ops_new(t, OP_lookup_ci, dir);
	int err;

	ops_str(op, &op->in.lookup_ci.name, name);
	err = ops_run(t, op);
	if (!err) {
		t->ans.attr = op->out.lookup_ci.attr;
		t->ans.dir = op->out.lookup_ci.dir;
		take_name(op, stored);
		take_obj(out, &op->out.lookup_ci.obj);
	}
	ops_put(t, op);
	return err;
}

int fs_open_any_case(struct test *t, const struct obj *dir, const char *name, uint32_t disposition, char *stored, struct obj *out)
{
	struct op *op = ops_new(t, OP_open, dir);
	int err;

	ops_str(op, &op->in.open.name, name);
	op->in.open.disposition = disposition;
	op->in.open.flags = ANY_CASE | OPEN_NO_STATE;
	op->in.open.attr = (struct op_attr){.mask = ATTR_MODE, .mode = 0644};
	err = ops_run(t, op);
	if (!err) {
		t->ans.attr = op->out.open.attr;
		t->ans.created = op->out.open.created;
		take_name(op, stored);
		take_obj(out, &op->out.open.obj);
	}
	ops_put(t, op);
	return err;
}

int fs_readdir_from(struct test *t, const struct obj *dir, const char *after, struct scan *s)
{
	struct op *op = ops_new(t, OP_readdir, dir);
	struct client_buf *buf = ops_payload(t, op, NULL, s->room);
	const struct op_readdir_out *out = &op->out.readdir;
	int err;

	ops_str(op, &op->in.readdir.after, after);
	op->in.readdir.want = s->want;
	op->in.readdir.flags = s->flags | READDIR_BY_NAME;
	op->in.readdir.max_entries = s->max_entries;
	op->in.readdir.cookie = s->cookie;
	err = ops_run(t, op);
	if (!err) {
		s->eof = out->eof;
		s->n_entries = out->n_entries;
		t->ans.dir = out->dir;
		emit_records(s, buf->data, MIN(out->size, s->room));
	}
	ops_put(t, op);
	client_buf_put(t->drv->client(t), buf);
	return err;
}
