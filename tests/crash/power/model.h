/*
 * What must be in the store: the steps of the workload, and what follows from those that were answered.
 *
 * Several workers each change names and objects of their own, in directories that they share and in some of their
 * own; a worker makes one step after the other. So a worker's part of the store is, after a crash, as after one of
 * its steps: the last that had to be durable, or a later one. Names and attributes are followed apart from
 * contents, for which unstable writes and commits make other steps the last.
 *
 * A stream is an object of the file that has it. So is what is open without a name; nobody looks for that after a crash.
 * Owners are numbers of the worker's, and their limits are part of its names, but for snapshots, which don't have them. A snapshot is a model of its own: what must have been answered when
 * its making began, and what may be there besides because it was done meanwhile.
 */
#ifndef TESTS_CRASH_POWER_MODEL_H
#define TESTS_CRASH_POWER_MODEL_H

#include "base/compiler.h"
#include "op/quota.h"

enum {
	WORKERS = 4,
	N_SHARED = 2,                 /* directories of all workers */
	N_OWN = 3,                    /* directories of one */
	N_DIRS = N_SHARED + N_OWN,
	N_SLOTS = 5,                  /* names of one worker in a directory */
	N_XATTRS = 2,
	N_STREAMS = 2,                /* of a file */
	N_SNAPSHOTS = 3,
	N_IDS = 3,                    /* owners, groups and projects of one worker */
	FIRST_ID = 1000,
	N_OBJECTS = 160,              /* ever made by one worker */
	FILE_MAX = 192 * 1024,
	XATTR_MAX = 1500,
	NONE = 0xffff,
};

enum step_kind {
	STEP_CREATE, STEP_MKDIR, STEP_SYMLINK, STEP_LINK, STEP_RENAME, STEP_EXCHANGE, STEP_REMOVE, STEP_CHMOD, STEP_SET_XATTR,
	STEP_REMOVE_XATTR, STEP_MAKE_STREAM, STEP_RENAME_STREAM, STEP_REMOVE_STREAM, STEP_SET_ATTR, STEP_SET_ACL, STEP_REMOVE_ACL,
	STEP_SET_QUOTA, STEP_MAKE_UNLINKED, STEP_LAST_OF_NAMES = STEP_MAKE_UNLINKED,
	STEP_WRITE, STEP_TRUNCATE, STEP_ALLOCATE, STEP_PUNCH, STEP_ZERO, STEP_COPY, STEP_CLONE, STEP_LAST_OF_DATA = STEP_CLONE,
	STEP_COMMIT, STEP_SYNC, STEP_READ, STEP_LIST, STEP_OPEN, STEP_CLOSE, STEP_COUNT, STEP_SCRUB, STEP_GROW,
	STEP_SNAPSHOT, STEP_DROP_SNAPSHOT, STEP_ROLL_BACK, N_STEP_KINDS
};

struct step {
	uint8_t kind;           /* enum step_kind */
	uint8_t worker;
	uint8_t lazy;           /* OP_F_LAZY */
	uint8_t stability;      /* asked for */
	uint8_t alone;          /* no other is under way meanwhile */
	uint8_t dir, slot;      /* directory of the worker's, name in it; which attribute, stream or snapshot; kind of a quota */
	uint8_t to_dir, to_slot;
	uint16_t obj;           /* acted on or made */
	uint16_t other;         /* what a rename replaces or exchanges; where a copy comes from; whose stream; or NONE */
	uint32_t seed;          /* bytes, attributes, value, target; limits: 0: none */
	uint32_t size;
	uint32_t offset, to_offset;
	/* the answer */
	int32_t err;
	uint32_t answered;
	uint64_t fileid;        /* of what was made */
	uint64_t change;        /* of obj */
};

struct object {
	uint8_t type;           /* enum op_type; 0: not made */
	uint8_t own;            /* a directory: which of the worker's */
	uint8_t n_links;
	uint32_t mode, uid, gid, project, dos;
	uint32_t acl;           /* a number of acl_of(), 0: none */
	uint32_t seed;          /* a link's target */
	uint32_t xattrs[N_XATTRS]; /* seeds, 0: none */
	uint16_t streams[N_STREAMS]; /* objects, 0: none, which no stream is */
	uint16_t base_plus_1;   /* of a stream: whose it is or was */
	bool unlinked;          /* it was made without a name */
	uint64_t fileid;        /* 0: never told */
};

/* Names and attributes of one worker's part. */
struct names {
	uint16_t slots[N_DIRS][N_SLOTS]; /* objects, NONE: no such name */
	uint16_t own[N_OWN];             /* the directory's object, NONE: it is not there */
	struct object objects[N_OBJECTS];
	uint16_t n_objects;
	struct step limits[QUOTA_N_KINDS][N_IDS]; /* that set them last; kind 0: none did */
};

struct content {
	uint32_t size;
	uint8_t *bytes; /* FILE_MAX of them; NULL: all zeros */
};

/* A step that may or may not be there; a copy's or clone's with the bytes that were copied. */
struct maybe {
	const struct step *step;
	uint8_t *bytes;
};

struct pending {
	struct maybe *list;
	uint32_t n, max;
};

/* An object's bytes: as they must be at least, what was done since, and as they are. */
struct data {
	struct content floor;
	struct pending pending;
	struct content now;
	uint64_t told_floor; /* change counters that were told: the last of a state that must last, */
	uint64_t told_max;   /* and the last */
};

struct part {
	struct names floor;
	struct pending pending; /* of names and attributes */
	struct names now;
	struct data data[N_OBJECTS];
	const struct step *under_way;
};

enum snapshot_presence { SNAPSHOT_NONE, SNAPSHOT_MAYBE, SNAPSHOT_THERE };

struct model_snapshot {
	enum snapshot_presence presence;
	bool growing;         /* it is being made: what others do may be in it */
	struct model *view;   /* NULL: none */
};

struct model {
	struct part parts[WORKERS];
	struct model_snapshot snapshots[N_SNAPSHOTS];
	const struct step *rolling_back; /* under way: all is as before it or as after */
	const struct step *growing;
	bool scrub_failed;      /* it met a fault, and may tell of damage */
	uint32_t capacity;      /* in MiB; 0: as the store was made */
};

struct model *model_create(void);
void model_destroy(struct model *m);
/* model_begin() - the step is under way: it may be there from now on. model_end() - it was answered with success. */
void model_begin(struct model *m, const struct step *s);
void model_end(struct model *m, const struct step *s);

/* model_is_exact() - of a snapshot: whether it can only be one state. */
bool model_is_exact(const struct model *view);

/* names_step() - what a step does to names and attributes. content_step() - to its object's bytes; copied: the bytes of a copy. */
void names_step(struct names *n, const struct step *s);
void content_step(struct content *c, const struct step *s, const uint8_t *copied);
void content_set(struct content *to, const struct content *from);
void content_free(struct content *c);

/* object_inherits() - o was made in dir. attr_step() - what a step does to one object's attributes. */
void object_inherits(struct object *o, const struct object *dir);
void attr_step(struct object *o, const struct step *s);
/* object_is_listed() - whether a stream still is one of its base's, which has a name. */
bool object_is_listed(const struct names *n, uint16_t obj);

struct acl;
struct op_attr;
/* acl_of() - stays. draw_acl() - that of a seed; allocates. draw_attr() - what a step sets. quota_of() - what it limits. */
const struct acl *acl_of(uint32_t number);
struct acl *draw_acl(uint32_t seed, bool dir);
struct op_attr draw_attr(const struct step *s);
struct op_quota quota_of(const struct step *s);
uint32_t id_of(unsigned worker, unsigned i);

/* The texts and bytes that a step stands for. */
void name_of(unsigned worker, unsigned slot, char name[256]);
void snapshot_name(unsigned slot, char name[16]);
void stream_name(unsigned slot, char name[16]);
void target_of(uint32_t seed, char target[64]);
void fill_bytes(uint32_t seed, uint8_t *bytes, uint32_t size);
uint32_t xattr_size(uint32_t seed);
const char *step_name(const struct step *s);

#endif
