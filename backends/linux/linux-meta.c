/*
 * What the host cannot keep of an object - DOS attributes, a birth time that a client set, the verifier
 * of an exclusive create - is one extended attribute, hidden from clients: trusted.chimera where the
 * server is privileged, user.chimera otherwise.
 *
 * Little-endian: u32 version (1), u32 flags, u32 dos, u32 birth time's nanoseconds, i64 its seconds, u64 verifier.
 */
#include "backends/linux/linux.h"

#include <sys/xattr.h>

#include "base/cursor.h"

#define META_VERSION 1
#define META_SIZE 32

static const char trusted_name[] = "trusted.chimera";
static const char user_name[] = "user.chimera";

static ssize_t get(int fd, const char *name, uint8_t bytes[META_SIZE])
{
	struct linux_path p;
	return getxattr(linux_path(&p, fd), name, bytes, META_SIZE);
}

void linux_meta_probe(struct linux_store *s, bool trusted)
{
	uint8_t bytes[META_SIZE];
	s->meta_name = trusted ? trusted_name : user_name;
	if (get(s->root_fd, s->meta_name, bytes) < 0 && (errno == EOPNOTSUPP || errno == EPERM))
		s->meta_name = NULL;
}

void linux_meta_load(struct linux_store *s, int fd, struct linux_meta *meta)
{
	uint8_t bytes[META_SIZE];
	struct cursor c;
	*meta = (struct linux_meta){0};
	if (!s->meta_name)
		return;
	/* What an ordinary user's server kept before this one got privileges still counts. */
	ssize_t n = get(fd, s->meta_name, bytes);
	if (n < 0 && s->meta_name == trusted_name)
		n = get(fd, user_name, bytes);
	cursor_init(&c, bytes, sizeof(bytes));
	if (n != META_SIZE || cursor_le32(&c) != META_VERSION)
		return;
	meta->flags = cursor_le32(&c);
	meta->dos = cursor_le32(&c) & DOS_SETTABLE;
	meta->btime.nsec = cursor_le32(&c) % NS_PER_SEC;
	meta->btime.sec = (int64_t)cursor_le64(&c);
	meta->verifier = cursor_le64(&c);
}

int linux_meta_store(struct linux_store *s, int fd, const struct linux_meta *meta)
{
	uint8_t bytes[META_SIZE];
	struct linux_path p;
	struct cursor c;
	if (!s->meta_name)
		return ERR_NOTSUPP;
	cursor_init(&c, bytes, sizeof(bytes));
	cursor_put_le32(&c, META_VERSION);
	cursor_put_le32(&c, meta->flags);
	cursor_put_le32(&c, meta->dos);
	cursor_put_le32(&c, meta->btime.nsec);
	cursor_put_le64(&c, (uint64_t)meta->btime.sec);
	cursor_put_le64(&c, meta->verifier);
	return setxattr(linux_path(&p, fd), s->meta_name, bytes, sizeof(bytes), 0) ? linux_error() : 0;
}
