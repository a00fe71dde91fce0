/* What the files of the check share. */
#ifndef CAIRN_CHECK_IMPL_H
#define CAIRN_CHECK_IMPL_H

#include "backends/cairn/cairn-check.h"
#include "backends/cairn/cairn.h"

enum check_kind {
	CHECK_SUPER, CHECK_SUPER_BIT, CHECK_PAGE, CHECK_PAGE_STRAY, CHECK_RECORD, CHECK_RECORD_BIT, CHECK_RECORD_SHAPE, CHECK_INODE_GONE,
	CHECK_INLINE_STRAY, CHECK_INLINE_GONE, CHECK_INLINE_SIZE, CHECK_EXTENT_STRAY, CHECK_EXTENT_OVERLAP, CHECK_EXTENTS_GONE,
	CHECK_BLOCK, CHECK_SEGMENT, CHECK_SPACE_MISSING, CHECK_SPACE_LEAK, CHECK_SPACE_REFERENCES, CHECK_SPACE_OVERLAP, CHECK_XATTR_STRAY,
	CHECK_ENTRY_STRAY, CHECK_ENTRY_DANGLING, CHECK_ENTRY_TYPE, CHECK_ENTRY_SECOND, CHECK_ENTRY_MISSING, CHECK_ORDER_MISSING,
	CHECK_ORDER_STRAY, CHECK_UNREACHABLE, CHECK_LOOP, CHECK_LINKS, CHECK_PARENT, CHECK_ENTRIES, CHECK_COOKIE, CHECK_BLOCKS,
	CHECK_ORPHAN_STRAY, CHECK_ORPHAN_MISSING, CHECK_COUNTER, CHECK_STREAM_STRAY, CHECK_STREAM_BASE, CHECK_FOLDED_MISSING,
	CHECK_FOLDED_STRAY, CHECK_ACL_STRAY, CHECK_ACL_GONE, CHECK_JOURNAL, CHECK_JOURNAL_BIT, CHECK_USAGE, CHECK_SNAPSHOT_BLOCK, CHECK_SNAPSHOT_GONE,
	CHECK_N_KINDS
};

enum check_inode_flags {
	CI_INLINE = 1 << 0,      /* says that block 0 is in its record, or is a link */
	CI_HAS_INLINE = 1 << 1,
	CI_LOSS = 1 << 2,        /* some of its data is known to be lost */
	CI_REBUILT = 1 << 3,     /* its record is gone: made anew */
	CI_CHANGED = 1 << 4,     /* the record has to be written */
	CI_REACHED = 1 << 5,
	CI_ORPHAN = 1 << 6,
	CI_STREAM = 1 << 7,      /* named by its base */
	CI_ACL = 1 << 8,         /* says that it has one */
	CI_HAS_ACL = 1 << 9,
	CI_PRIVATE = 1 << 10,    /* its ACL is gone: for its owner only */
};

struct check_inode {
	uint64_t ino;
	uint64_t where;       /* directory with its first name; 0: none yet */
	uint64_t blocks_off;  /* those that its record tells, minus those found; may wrap */
	uint64_t size;
	uint32_t nlink;       /* as recorded */
	uint32_t n_names;     /* as found */
	uint32_t dir;         /* index of its struct check_dir, plus 1; 0: no directory */
	uint32_t inline_size : 13;
	uint32_t type : 3;
	uint32_t flags : 16;  /* enum check_inode_flags */
};

struct check_dir {
	uint64_t n_entries, next_cookie, parent; /* as recorded */
	uint64_t n_seen, last_cookie;            /* as found */
	uint64_t balance;                        /* sum of hashes of entries minus that of order: 0 if they agree */
	uint32_t n_subdirs;
};

/* A growing list of numbers. */
struct check_numbers {
	uint64_t *list;
	uint64_t n, max;
};

struct check {
	const struct check_options *o;
	struct check_report *report;
	int dir_fd, lock_fd, data_fd;
	struct cairn_super super;
	struct meta *meta;
	struct meta_txn txn;        /* repairs to be committed */
	int err;
	const char *phase;
	void *arg;                  /* the phase's own */
	enum meta_table table;      /* that is gone through */
	bool data;
	uint64_t last_batch;        /* the highest that a record has */
	uint64_t newest;            /* snapshot; 0: there is none */
	struct check_numbers snapshots; /* that are whole, ascending */
	uint64_t rolling;           /* the snapshot that the store is being rolled back to; 0: none */
	uint64_t n_dead;            /* blocks that only snapshots have, each as often as it is referred to */
	uint32_t last_epoch;
	struct check_inode *inodes; /* in order of numbers */
	uint32_t n_inodes, inodes_max;
	struct check_dir *dirs;
	uint32_t n_dirs, dirs_max;
	struct check_numbers lost;   /* inodes whose records are damaged */
	struct check_numbers wanted; /* inodes that names speak of and that are not there: number, type */
	struct check_numbers starts, ends; /* of runs of blocks in extents */
	struct check_numbers written;      /* for each segment: where its last written block ends */
	uint64_t n_blocks;           /* in use */
	uint64_t n_orphans;
	uint64_t n_cut; /* inodes that are being cut */
	uint64_t kinds_found;        /* a bit for each enum check_kind */
	uint64_t lost_found;         /* its inode; 0: not looked up yet */
};

/* Where something was found; what is zero is not said. */
struct check_place {
	bool has_key;
	enum meta_table table;
	struct meta_key key;
	uint64_t ino;
	uint64_t offset, size;
	const char *where;
};

/* check_found() - notes a finding; whether the caller is to repair it. */
bool check_found(struct check *c, enum check_kind kind, const struct check_place *at);
/* The same at a record, and at an inode. */
bool check_found_record(struct check *c, enum check_kind kind, enum meta_table table, const struct meta_key *key, uint64_t ino);
bool check_found_inode(struct check *c, enum check_kind kind, uint64_t ino);

/* ---- going through tables */

typedef bool check_visit_fn(struct check *c, const struct meta_record *r);

struct check_walk {
	enum meta_table table;
	struct meta_key from;
	check_visit_fn *visit;               /* false: no more */
	int (*after)(struct check *c);       /* after some records, outside of any transaction: may park; NULL: nothing */
	bool damaged;                        /* shows those too that do not check */
	bool quiet;                          /* no progress */
	bool eager;                          /* commits as soon as there is something to */
};

/* check_walk() - shows all records that check, or would but for one bit, committing repairs on the way. */
int check_walk(struct check *c, const struct check_walk *w);
/* check_table() - all of a table. */
int check_table(struct check *c, enum meta_table table, check_visit_fn *visit);
int check_commit(struct check *c);
void check_progress(struct check *c, uint64_t done, uint64_t total);

/* ---- in memory */

int check_number_add(struct check_numbers *list, uint64_t number);
void check_numbers_sort(struct check_numbers *list);
bool check_number_in(const struct check_numbers *list, uint64_t number); /* sorted */
void check_numbers_fini(struct check_numbers *list);
struct check_inode *check_inode_find(struct check *c, uint64_t ino);
struct check_dir *check_dir_of(struct check *c, const struct check_inode *ci); /* NULL: no directory */
/* check_inode_add() - at the end; its number is the highest so far. */
struct check_inode *check_inode_add(struct check *c, uint64_t ino, uint32_t type);
void check_put_lost(struct check *c, uint64_t ino, uint64_t block, uint64_t n);

/*
 * check_keep_for_snapshots() - an extent's n blocks from its block at on are dropped from the file: if snapshots have them,
 * their reference stays, as a dead one.
 */
void check_keep_for_snapshots(struct check *c, uint64_t ino, const struct cairn_extent *e, uint64_t at, uint64_t n);

/* check_find_snapshots() - fills c->snapshots and c->newest. check_snapshot_name() - "" if it is not known. */
int check_find_snapshots(struct check *c);
void check_snapshot_name(struct check *c, uint64_t id, char name[OP_NAME_MAX + 1]);
/* check_put_version() - a record of the history, with its body's beginning. */
void check_put_version(struct check *c, const struct meta_key *key, uint64_t born, const void *body, uint32_t size);
/* check_lose_version() - of an extent in the history that is dropped: what it had is lost, not a hole. key: in the history. */
void check_lose_version(struct check *c, const struct meta_key *key);
/* check_rollback() - if the store is being rolled back: ends that, unless nothing may be written or it would lose something. */
int check_rollback(struct check *c);

/* check_name_exists() - whether dir has an entry of that name, and its inode. check_name_add() - makes one. */
bool check_name_exists(struct check *c, uint64_t dir, const char *name, uint64_t *ino);
void check_name_add(struct check *c, uint64_t dir, const char *name, struct check_inode *ci);
/* check_name_seek() - the name of an inode in a directory, if it is not too large to be searched; or removes it. */
bool check_name_seek(struct check *c, uint64_t dir, uint64_t ino, char name[OP_NAME_MAX + 1], bool remove);

/* ---- phases, in their order; each gives 0 or an error that ends the check */

int check_super(struct check *c, char **why);   /* cairn-check-super.c */
int check_records(struct check *c);             /* cairn-check-record.c */
int check_inodes(struct check *c);              /* cairn-check-inode.c: the table, what is missing in it */
int check_inline(struct check *c);
int check_xattrs(struct check *c);
int check_acls(struct check *c);
int check_data(struct check *c);                /* cairn-check-data.c */
int check_extents(struct check *c);             /* cairn-check-block.c */
int check_space(struct check *c);
int check_names(struct check *c);               /* cairn-check-name.c */
int check_streams(struct check *c);             /* cairn-check-stream.c */
int check_tree(struct check *c);                /* cairn-check-tree.c */
int check_counts(struct check *c);              /* cairn-check-count.c: what inodes say of the above, orphans, counters */
int check_counters(struct check *c);
int check_held(struct check *c);                /* cairn-check-held.c: extents of theirs that are gone */
int check_snapshots(struct check *c);           /* cairn-check-snapshot.c: their data */
int check_usage(struct check *c);               /* cairn-check-usage.c: of quotas */
int check_folded(struct check *c);              /* cairn-check-stream.c */
/* check_find_paths() - of findings about inodes. */
int check_find_paths(struct check *c);

#endif
