/* Values of streams: attributes of the host, read and written whole. linux-stream.h has the layout. */
#include "backends/linux/linux-stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cursor.h"
#include "base/hash.h"

#define VALUE_VERSION 1
#define HEAD_SIZE 9u

void stream_value_fini(struct stream_value *v)
{
	free(v->bytes);
}

struct attr_name {
	char text[XATTR_NAME_MAX + 1];
	bool is_long; /* the name is in the value */
};

static void attr_name(const struct linux_store *s, const struct vfs_name *name, struct attr_name *out)
{
	int n = snprintf(out->text, sizeof(out->text), "%s.s.", s->meta_name);
	out->is_long = (uint32_t)n + name->size > XATTR_NAME_MAX;
	if (out->is_long) {
		snprintf(out->text, sizeof(out->text), "%s.h.%016llx", s->meta_name,
		         (unsigned long long)hash_bytes(name->bytes, name->size));
	} else {
		memcpy(out->text + n, name->bytes, name->size);
		out->text[(uint32_t)n + name->size] = 0;
	}
}

static int parse(struct stream_value *v)
{
	struct cursor c;
	cursor_init(&c, v->bytes, v->full);
	uint8_t version = cursor_u8(&c);
	v->number = cursor_le64(&c) | STREAM_NUMBER_BIT;
	v->data = v->bytes + HEAD_SIZE;
	v->size = v->full - MIN(v->full, HEAD_SIZE);
	return cursor_failed(&c) || version != VALUE_VERSION ? ERR_IO : 0;
}

static int parse_long(struct stream_value *v)
{
	uint32_t n = v->size ? v->data[0] : 0;
	if (n == 0 || v->size < 1 + n || memchr(v->data + 1, 0, n))
		return ERR_IO;
	memcpy(v->name.text, v->data + 1, n);
	v->name.text[n] = 0;
	v->data += 1 + n;
	v->size -= 1 + n;
	return 0;
}

int stream_load_attr(int fd, const char *attr, bool is_long, struct stream_value *v)
{
	struct linux_path p;
	*v = (struct stream_value){.bytes = malloc(STREAM_VALUE_MAX)};
	if (!v->bytes)
		return ERR_NOMEM;
	ssize_t n = getxattr(linux_path(&p, fd), attr, v->bytes, STREAM_VALUE_MAX);
	int err = n >= 0 ? 0 : errno == ENODATA ? ERR_NOENT : linux_error();
	if (!err) {
		v->full = (uint32_t)n;
		err = parse(v);
	}
	if (!err && is_long)
		err = parse_long(v);
	if (err)
		stream_value_fini(v);
	return err;
}

int stream_load(const struct linux_store *s, int fd, const struct vfs_name *name, struct stream_value *v)
{
	struct attr_name attr;
	attr_name(s, name, &attr);
	int err = stream_load_attr(fd, attr.text, attr.is_long, v);
	if (err || !attr.is_long)
		return err;
	bool same = strlen(v->name.text) == name->size && memcmp(v->name.text, name->bytes, name->size) == 0;
	if (!same)
		stream_value_fini(v);
	return same ? 0 : ERR_NOENT;
}

int stream_store(const struct linux_store *s, int fd, const struct stream_storing *w)
{
	CLEANUP_FREE uint8_t *bytes = malloc(STREAM_VALUE_MAX);
	struct attr_name attr;
	struct linux_path p;
	struct cursor c;
	if (!bytes)
		return ERR_NOMEM;
	attr_name(s, w->name, &attr);
	cursor_init(&c, bytes, STREAM_VALUE_MAX);
	cursor_put_u8(&c, VALUE_VERSION);
	cursor_put_le64(&c, w->number);
	if (attr.is_long) {
		cursor_put_u8(&c, (uint8_t)w->name->size);
		cursor_put_bytes(&c, w->name->bytes, w->name->size);
	}
	if (w->size)
		cursor_put_bytes(&c, w->data, w->size);
	if (cursor_failed(&c))
		return ERR_FBIG;
	return setxattr(linux_path(&p, fd), attr.text, bytes, cursor_used(&c), w->flags) ? linux_error() : 0;
}

int stream_drop(const struct linux_store *s, int fd, const struct vfs_name *name)
{
	struct attr_name attr;
	struct linux_path p;
	attr_name(s, name, &attr);
	return removexattr(linux_path(&p, fd), attr.text) ? linux_error() : 0;
}
