/*
 * Attributes of an object, the union of what NFS, SMB and POSIX name. Part of the ring's ABI:
 * fixed-width fields, no pointers, no padding.
 */
#ifndef OP_ATTR_H
#define OP_ATTR_H

#include "base/compiler.h"

struct op_time {
	int64_t sec;   /* since 1970-01-01 UTC, negative before */
	uint32_t nsec; /* 0 .. 999,999,999 */
	uint32_t zero;
};

enum op_type {
	OP_TYPE_NONE, /* unknown */
	OP_TYPE_FILE,
	OP_TYPE_DIR,
	OP_TYPE_SYMLINK,
	OP_TYPE_BLOCK,
	OP_TYPE_CHAR,
	OP_TYPE_FIFO,
	OP_TYPE_SOCKET,
};

/* Bits of op_attr.mask: which fields are valid in an answer, or are to be set. */
#define ATTR_TYPE (1ULL << 0)
#define ATTR_MODE (1ULL << 1)
#define ATTR_NLINK (1ULL << 2)
#define ATTR_UID (1ULL << 3)
#define ATTR_GID (1ULL << 4)
#define ATTR_SIZE (1ULL << 5)
#define ATTR_SPACE (1ULL << 6)
#define ATTR_RDEV (1ULL << 7)
#define ATTR_FILEID (1ULL << 8)
#define ATTR_FSID (1ULL << 9)
#define ATTR_ATIME (1ULL << 10)
#define ATTR_MTIME (1ULL << 11)
#define ATTR_CTIME (1ULL << 12)
#define ATTR_BTIME (1ULL << 13)
#define ATTR_CHANGE (1ULL << 14)
#define ATTR_DOS (1ULL << 15)
#define ATTR_ATIME_NOW (1ULL << 16) /* setting only: the server's clock */
#define ATTR_MTIME_NOW (1ULL << 17)
#define ATTR_VERIFIER (1ULL << 18) /* never answered: kept for exclusive create */
#define ATTR_PROJECT (1ULL << 19)  /* 0: none; what is made in a directory has its */
#define ATTR_FLAGS (1ULL << 20)    /* answered only */
#define ATTR_ALL (0xffffULL | ATTR_PROJECT)
#define ATTR_SETTABLE                                                                        \
	(ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_SIZE | ATTR_ATIME | ATTR_MTIME | ATTR_BTIME | \
	 ATTR_DOS | ATTR_ATIME_NOW | ATTR_MTIME_NOW | ATTR_PROJECT)

/* Bits of op_attr.flags. */
#define ATTR_HAS_ACL 0x0001 /* judged by an ACL, of which the mode is what is left for those who know only modes */

/* Bits of op_attr.dos: MS-FSCC section 2.6, those that are stored. */
#define DOS_READONLY 0x0001
#define DOS_HIDDEN 0x0002
#define DOS_SYSTEM 0x0004
#define DOS_ARCHIVE 0x0020
#define DOS_SETTABLE 0x0027

struct op_attr {
	uint64_t mask;
	uint64_t fsid;   /* of the mount, stable across restarts */
	uint64_t fileid; /* unique in the mount */
	uint64_t size;   /* bytes */
	uint64_t space;  /* bytes allocated */
	uint64_t change; /* grows with every change of data or metadata (RFC 8881 section 5.8.1.4) */
	struct op_time atime;
	struct op_time mtime;
	struct op_time ctime;
	struct op_time btime;
	uint32_t type; /* enum op_type */
	uint32_t mode; /* 07777 */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dos;
	uint32_t project; /* whose quota it counts for besides its owner's and group's */
	uint32_t flags;   /* ATTR_HAS_ACL */
};

/* What RFC 1813 calls wcc_attr, from before a change, with the change counter. */
struct op_pre {
	uint64_t valid; /* 0 or 1 */
	uint64_t size;
	uint64_t change;
	struct op_time mtime;
	struct op_time ctime;
};

/* Before and after of one object; atomic with respect to the change itself. post.mask 0: unknown. */
struct op_wcc {
	struct op_pre pre;
	struct op_attr post;
};

/* Answer of statfs: RFC 1813 FSSTAT and FSINFO, bytes and counts. */
struct op_statfs {
	uint64_t total_bytes;
	uint64_t free_bytes;
	uint64_t avail_bytes; /* to an unprivileged caller */
	uint64_t total_files;
	uint64_t free_files;
	uint64_t avail_files;
	uint64_t max_file_size;
	uint64_t fsid;
	uint32_t name_max; /* bytes */
	uint32_t link_max;
	uint32_t read_only;
	uint32_t case_insensitive;
	uint64_t time_delta_ns;
};

/* op_attr_set() - takes over what set->mask names of mode, owner, group, project, times and DOS flags. The size is the store's to change. */
void op_attr_set(struct op_attr *attr, const struct op_attr *set);

/* op_time_pack(), op_time_unpack() - a time in one atomic word; seconds from -2^33 to 2^33. */
uint64_t op_time_pack(struct op_time t);
struct op_time op_time_unpack(uint64_t packed);

static inline int op_time_cmp(struct op_time a, struct op_time b)
{
	if (a.sec != b.sec)
		return a.sec < b.sec ? -1 : 1;
	return a.nsec < b.nsec ? -1 : a.nsec > b.nsec;
}

#endif
