/*
 * The store as a directory: its lock and its superblock. cairn(5) has the layout; mkfs.cairn and the mount
 * both make stores with cairn_store_create(). All calls park.
 */
#ifndef CAIRN_SUPER_H
#define CAIRN_SUPER_H

#include "base/compiler.h"

#define CAIRN_BLOCK_SIZE 4096u
#define CAIRN_SEGMENT_BLOCKS 262144u /* 1 GiB */
#define CAIRN_INLINE_MAX 1792u       /* bytes of a small file's data in its record */
#define CAIRN_EXTENT_MAX 256u        /* blocks with checksums in one extent record */
#define CAIRN_FORMAT 1
#define CAIRN_META_SIZE_MIN (4ULL << 20)
#define CAIRN_META_SIZE_DEFAULT (1ULL << 40)

/* A store with an incompatible feature that is not known is refused, with a read-only one it is mounted read-only. */
#define CAIRN_INCOMPAT_LITTLE64 (1ULL << 0) /* tables written by a little-endian 64-bit machine */
#define CAIRN_INCOMPAT_JOURNAL (1ULL << 1)  /* what the tables do not have yet is in a journal */
#define CAIRN_INCOMPAT_SHARED (1ULL << 2)   /* blocks may have several references */
#define CAIRN_INCOMPAT_SNAPSHOTS (1ULL << 3) /* there may be snapshots */
#define CAIRN_INCOMPAT_FOLDED (1ULL << 4)   /* the table of folded names is kept */
#define CAIRN_INCOMPAT_STREAMS (1ULL << 5)  /* the table of streams */
#define CAIRN_INCOMPAT_ACLS (1ULL << 6)     /* inodes may have ACLs */
#define CAIRN_INCOMPAT_QUOTAS (1ULL << 7)   /* usage is counted by owner, group and project */
#define CAIRN_INCOMPAT_MADE \
	(CAIRN_INCOMPAT_LITTLE64 | CAIRN_INCOMPAT_JOURNAL | CAIRN_INCOMPAT_SHARED | CAIRN_INCOMPAT_SNAPSHOTS | \
	 CAIRN_INCOMPAT_FOLDED | CAIRN_INCOMPAT_STREAMS | CAIRN_INCOMPAT_ACLS | CAIRN_INCOMPAT_QUOTAS) /* new stores have all of these */
#define CAIRN_INCOMPAT_KNOWN CAIRN_INCOMPAT_MADE
#define CAIRN_RO_COMPAT_KNOWN 0ULL

struct cairn_super {
	uint32_t format;
	uint64_t compat, ro_compat, incompat;
	uint8_t uuid[16];
	char label[65];
	uint64_t created_ns;   /* since 1970 */
	uint64_t capacity;     /* bytes of file data; 0: as much as the host's file system has */
	uint64_t meta_size;    /* bytes that the tables may take */
};

struct cairn_store_options {
	const char *label; /* NULL: none */
	uint64_t capacity;
	uint64_t meta_size; /* 0: default */
	uint64_t journal_size; /* 0: default */
};

/* cairn_store_create() - makes the directory if need be; it must be empty. *why: a sentence, malloc'ed. ERR_EXIST, ERR_NOTEMPTY. */
int cairn_store_create(const char *path, const struct cairn_store_options *opt, char **why);

/* cairn_store_lock() - opens the directory and takes its lock. ERR_BUSY: somebody has it, who is told in *why. ERR_NOENT: no store. */
int cairn_store_lock(const char *path, int *dir_fd, int *lock_fd, char **why);

#define CAIRN_SUPER_SIZE 1024u

/* cairn_super_is_whole() - whether it begins as one and its checksum matches. */
bool cairn_super_is_whole(const uint8_t bytes[CAIRN_SUPER_SIZE]);
/* cairn_super_decode() - NULL, or what is wrong with it, as a sentence without a subject. cairn_super_encode() - with its checksum. */
const char *cairn_super_decode(const uint8_t bytes[CAIRN_SUPER_SIZE], struct cairn_super *super);
void cairn_super_encode(const struct cairn_super *super, uint8_t bytes[CAIRN_SUPER_SIZE]);
/* cairn_super_write() - replaces it atomically and durably. */
int cairn_super_write(int dir_fd, const struct cairn_super *super);

/* cairn_super_read() - checks everything but what features mean for a mount. */
int cairn_super_read(int dir_fd, struct cairn_super *super, char **why);

#endif
