/*
 * Streams in the host's extended attributes, one each, hidden from clients: trusted.chimera.s.NAME where the server is privileged,
 * else user.chimera.s.NAME. They go where the host's file goes, and are as small as its attributes are. A name too long for that
 * is kept in the value, of an attribute ".h." and the name's hash.
 *
 * Value: u8 version (1), u64 number, and for long names u8 size and the name; then the data. The number, drawn at random, is
 * what handles and the node table know a stream by. It is the host's to change, so it is believed only together with the base.
 *
 * Every operation reads or replaces a value whole, under the base's lock. What was removed while somebody uses it goes on in memory.
 */
#ifndef LINUX_STREAM_H
#define LINUX_STREAM_H

#include "backends/linux/linux.h"

#define STREAM_VALUE_MAX 65536u /* bytes of the host's attributes at most */
#define STREAM_SPACE_UNIT 512u
#define STREAM_NUMBER_BIT (1ULL << 63) /* of numbers: apart from the host's inode numbers */

struct linux_stream {
	struct cached_node cached;
	struct linux_name name; /* guarded by the base's lock, as the rest */
	uint32_t name_size;
	bool removed;           /* data is all that there is */
	uint8_t *data;
	uint32_t size;
};

/* A value as it is stored. data points into bytes, which have room for STREAM_VALUE_MAX. */
struct stream_value {
	uint8_t *bytes;
	uint32_t full;
	uint64_t number;
	uint8_t *data;
	uint32_t size;
	struct linux_name name; /* of a long one; empty otherwise */
};

/* What a value is stored from. */
struct stream_storing {
	const struct vfs_name *name;
	uint64_t number;
	const uint8_t *data;
	uint32_t size;
	int flags; /* of setxattr() */
};

static inline struct linux_stream *linux_stream_of(struct vfs_node *node)
{
	return container_of(node, struct linux_stream, cached.node);
}

/* stream_load() - ERR_NOENT: there is none. On success stream_value_fini() is the caller's. All of these make system calls. */
int stream_load(const struct linux_store *s, int fd, const struct vfs_name *name, struct stream_value *v);
/* stream_load_attr() - of that attribute; is_long: the name is in the value. ERR_IO: it is none of ours. */
int stream_load_attr(int fd, const char *attr, bool is_long, struct stream_value *v);
void stream_value_fini(struct stream_value *v);
/* stream_store() - ERR_FBIG, ERR_NOSPC: more than the host takes. */
int stream_store(const struct linux_store *s, int fd, const struct stream_storing *w);
int stream_drop(const struct linux_store *s, int fd, const struct vfs_name *name);

#endif
