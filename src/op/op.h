/*
 * Operations: the structures that op.def describes, and the slot that carries one.
 *
 * struct op is both the ring's slot and the argument of the local transport. A client fills the
 * header, cred, obj, obj2, in and in_var, and payload segments; the server answers status, out,
 * out_var and segments. `in` survives the answer, so that a client can submit the same op again
 * after chimerad was restarted. The server copies the input part once, validates the copy and uses
 * only that; it writes its answer as a whole at the end.
 *
 * Nothing here parks or allocates. Part of the ring's ABI.
 */
#ifndef OP_OP_H
#define OP_OP_H

#include "base/compiler.h"
#include "base/err.h"
#include "op/attr.h"
#include "op/cred.h"
#include "op/handle.h"
#include "op/quota.h"

#define OP_NAME_MAX 255          /* bytes of one name */
#define OP_PATH_MAX 4096         /* bytes of a path or symbolic link target */
#define OP_XATTR_MAX 65536u      /* bytes of one extended attribute's value */
#define OP_KV_MAX 65536u         /* bytes of one key's value */
#define OP_IO_MAX (1u << 20)     /* bytes of one read or write */
#define OP_INLINE_MAX 512        /* bytes of read data carried in the slot */
#define OP_VAR_MAX 528           /* bytes of names in one op: two of the longest, terminated */
#define OP_SEGS_MAX 20           /* payload segments of one op */
#define OP_CLONE_UNIT 4096u      /* bytes: what clone shares begins and ends at multiples of it */
#define OP_CHAIN_MAX 16          /* ops in one chain */

/* Bits of op.def's flags column. */
enum op_info_flags {
	OP_I_OBJ = 1 << 0,
	OP_I_OBJ2 = 1 << 1,
	OP_I_MUTATES = 1 << 2,
	OP_I_IDEMPOTENT = 1 << 3,
	OP_I_BLOCKS = 1 << 4,
	OP_I_DATA_IN = 1 << 5,
	OP_I_DATA_OUT = 1 << 6,
	OP_I_PRODUCES = 1 << 7,
	OP_I_SESSION = 1 << 8,
	OP_I_RESERVED = 1 << 9,
};

/* Arguments named in op.def. */
enum { OPEN_EXISTING, OPEN_UNCHECKED, OPEN_GUARDED, OPEN_EXCLUSIVE }; /* disposition; RFC 1813 section 3.3.8 */
enum { OPEN_READ = 1, OPEN_WRITE = 2 };                                /* access, deny */
enum { OPEN_NO_STATE = 1, OPEN_TRUNCATE = 2, OPEN_NOFOLLOW_DIR = 4 };  /* flags; the last: ERR_ISDIR for directories */
#ifdef RENAME_NOREPLACE /* <stdio.h> came first: the same values */
enum { RENAME_REPLACE = 0 };
#else
enum { RENAME_REPLACE = 0, RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2 };
#endif
enum { REMOVE_FILE = 1, REMOVE_DIR = 2 };
enum { WRITE_UNSTABLE, WRITE_DATA_SYNC, WRITE_FILE_SYNC };             /* RFC 1813 stable_how */
enum { WRITE_APPEND = 1 };
enum { ALLOC_KEEP_SIZE = 1 };
enum { SEEK_TO_DATA, SEEK_TO_HOLE };
enum { XATTR_SET_CREATE = 1, XATTR_SET_REPLACE = 2 };
enum { READDIR_DOTS = 1, READDIR_BY_NAME = 2 };
enum { ANY_CASE = 8 };                                                 /* flags of open and of streams */
enum { QUOTA_NEXT = 1 };
enum { ACCESS_READ = 1, ACCESS_LOOKUP = 2, ACCESS_MODIFY = 4, ACCESS_EXTEND = 8, ACCESS_DELETE = 16, ACCESS_EXECUTE = 32 };
enum { CHANGED_ATTR = 1, CHANGED_DATA = 2, CHANGED_NAME = 4, CHANGED_STREAM = 8 }; /* the last: a stream's data or name, of base */

/* Field types of op.def. A string is a place in in_var: offset and size, not terminated. */
struct op_str {
	uint16_t offset;
	uint16_t size;
	uint32_t zero;
};
typedef uint32_t op_t_u32;
typedef uint64_t op_t_u64;
typedef struct op_str op_t_str;
typedef struct op_time op_t_time;
typedef struct op_attr op_t_attr;
typedef struct op_wcc op_t_wcc;
typedef struct op_handle op_t_handle;
typedef struct op_statfs op_t_statfs;
typedef struct op_quota op_t_quota;

#define OP_FIELDS(...) __VA_ARGS__
#define F(type, name) op_t_##type name;
#define OP(name, code, flags, in, out)                                                       \
	struct op_##name##_in {                                                              \
		OP_FIELDS in                                                                 \
	};                                                                                   \
	struct op_##name##_out {                                                             \
		OP_FIELDS out                                                                \
	};
#define OP_RESERVED(name, code)
#include "op/op.def"
#undef OP
#undef OP_RESERVED
#undef F

enum op_code {
#define OP(name, code, flags, in, out) OP_##name = code,
#define OP_RESERVED(name, code) OP_##name = code,
#include "op/op.def"
#undef OP
#undef OP_RESERVED
	OP_CODE_END
};
#define OP_N_CODES 128

union op_in {
#define OP(name, code, flags, in, out) struct op_##name##_in name;
#define OP_RESERVED(name, code)
#include "op/op.def"
#undef OP
#undef OP_RESERVED
};

union op_out {
#define OP(name, code, flags, in, out) struct op_##name##_out name;
#define OP_RESERVED(name, code)
#include "op/op.def"
#undef OP
#undef OP_RESERVED
};

/* Where payload lies. */
enum op_region {
	OP_SEG_CLIENT, /* offset in the client's own arena; with the local transport an address */
	OP_SEG_PAGES,  /* offset in chimerad's page arena */
};

struct op_seg {
	uint64_t offset;
	uint32_t size;
	uint32_t region; /* enum op_region */
};

/* Bits of op.flags. */
enum op_flags {
	OP_F_CHAIN = 1,          /* another op of the same chain follows; it runs only if this one succeeds, else ERR_CANCELED */
	OP_F_PREV = 2,           /* the object is what the op before it in the chain produced or used, not op.obj; an open_id of 0 is the one it opened */
	OP_F_OWNER_OVERRIDE = 4, /* the owner may read and write whatever the mode says, who may execute may read (NFS opens at the client) */
	OP_F_LAZY = 8,           /* the answer need not wait until changed names and attributes are durable: the caller asks for that by
	                            commit or sync, as users of a local file system do */
};

struct op {
	/* header */
	uint16_t code;  /* enum op_code */
	uint16_t flags; /* enum op_flags */
	int32_t status; /* answer: 0 or ERR_* */
	uint16_t in_var_size;
	uint16_t out_var_size; /* answer: read data in out_var, 0 if in segments */
	uint16_t n_segs;       /* in: payload or room; answered anew for read */
	uint16_t zero;
	/*
	 * Not 0: this op of this caller runs at most once. chimerad keeps the answer of a mutating op under
	 * (role, replay_client, replay_key) and gives it again, also after a restart of either process.
	 */
	uint64_t replay_client;
	uint64_t replay_key;
	uint64_t trace_id; /* printed in traces of both sides */
	struct op_handle obj;
	struct op_handle obj2;
	struct op_cred cred;
	/* arguments */
	union op_in in;
	uint8_t in_var[OP_VAR_MAX];
	/* payload and answer */
	struct op_seg segs[OP_SEGS_MAX];
	union op_out out;
	uint8_t out_var[OP_INLINE_MAX];
};

/* One entry of readdir's answer. Records are 8-byte aligned; the name follows, not terminated. */
struct op_dirent {
	uint32_t record_size; /* to the next record */
	uint32_t name_size;
	uint64_t cookie; /* to resume after this entry */
	uint64_t fileid;
	struct op_handle obj; /* size 0 unless attributes were wanted */
	struct op_attr attr;  /* mask 0 unless wanted; type is always valid when known */
};

enum snapshot_state { SNAPSHOT_READY, SNAPSHOT_DELETING };

/* One snapshot. Records are 8-byte aligned; the name follows, not terminated. */
struct op_snapshot {
	uint32_t record_size;
	uint32_t name_size;
	uint64_t id;
	struct op_time time; /* when it was made */
	uint32_t state;      /* enum snapshot_state */
	uint32_t zero;
	uint64_t done;       /* of deleting: records looked at */
	uint64_t total;      /* about as many as there are */
};

struct op_kv_entry {
	uint32_t record_size;
	uint16_t key_size; /* the key follows, then the value */
	uint16_t zero;
	uint32_t value_size;
	uint32_t zero2;
};

/* One catalogue object: n_fields pairs of NUL-terminated strings follow, key then value. */
struct op_object {
	uint32_t record_size;
	uint32_t n_fields;
	uint64_t id;
};

/* What an attached process is: it decides what it may ask for and which durable state is its own. */
enum ring_role { RING_ROLE_NFS = 1, RING_ROLE_SMB, RING_ROLE_S3, RING_ROLE_FUSE, RING_ROLE_TOOL };

/* What chimerad tells a session unasked. */
enum op_event_type {
	OP_EVENT_NONE,
	OP_EVENT_OVERFLOW,  /* events were lost: assume anything changed */
	OP_EVENT_CATALOGUE, /* value: the new generation */
	OP_EVENT_CHANGED,   /* obj, and the name in it for CHANGED_NAME; value: CHANGED_* */
	OP_EVENT_DRAIN,     /* chimerad stops: finish what is in flight */
	OP_EVENT_LOG,       /* name: a module of the log, or "*"; value: the enum log_level that it has from now on */
};

struct op_event {
	uint32_t type;
	uint32_t name_size;
	uint64_t value;
	uint64_t watch_id;
	struct op_handle obj;
	uint8_t name[OP_NAME_MAX + 1];
};

/* What the table says of one code. */
struct op_info {
	const char *name; /* NULL: no such operation */
	uint16_t flags;   /* enum op_info_flags */
	uint16_t in_size;
	uint16_t out_size;
};

/* op_info() - never NULL: codes out of range have a nameless entry. */
const struct op_info *op_info(uint32_t code);

/* op_reset() - makes op an empty request of that code: no object, no names, no segments, arguments zero; cred is the caller's to set. */
void op_reset(struct op *op, enum op_code code);

/* op_set_str() - puts a name into in_var; ERR_NAMETOOLONG when it is over OP_NAME_MAX or does not fit. */
int op_set_str(struct op *op, struct op_str *str, const void *bytes, size_t size);

/* op_get_str() - a string's bytes, NULL unless it lies within in_var_size. */
const char *op_get_str(const struct op *op, const struct op_str *str);

/* op_print() - one line for traces: name, arguments, status, results; from the table. */
void op_print(const struct op *op, char *out, size_t size);

#endif
