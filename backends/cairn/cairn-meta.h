/*
 * The metadata store: a few ordered tables of small records that change together. This contract is all
 * that the rest of cairn knows of the engine below it, which is LMDB.
 *
 * Reading gives what was committed last. A record is answered without its header and checksum, which
 * were verified: a record that does not check is ERR_IO and is reported once in the log.
 *
 * Changing: collect changes in a struct meta_txn, then meta_commit() makes all of them durable or none.
 * Whoever finds no commit running leads one on a worker thread and takes along whatever has arrived, so
 * transactions that come together share one synced write. Changes are blind: they are decided before, under
 * the locks of what they change; only meta_add() depends on what is there, so that counters need no lock.
 *
 * Each batch has a number, one more than the last; a record's header says in which batch it was written.
 */
#ifndef CAIRN_META_H
#define CAIRN_META_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/err.h"

/* Names in LMDB and key kinds: cairn(5). Part of the format: append only. */
enum meta_table {
	META_INODES,   /* u64 inode */
	META_ENTRIES,  /* BE64 directory, name */
	META_ORDER,    /* BE64 directory, BE64 cookie */
	META_INLINE,   /* u64 inode */
	META_EXTENTS,  /* BE64 inode, BE64 block of the file */
	META_XATTRS,   /* BE64 inode, name */
	META_ORPHANS,  /* u64 inode */
	META_SPACE,    /* u64 block of the store */
	META_COUNTERS, /* u64 counter */
	META_FOLDED,   /* BE64 directory, BE64 hash of the folded name, name */
	META_STREAMS,  /* BE64 inode of the base, name */
	META_ACLS,     /* u64 inode */
	META_N_TABLES
};

#define META_KEY_MAX 272u
#define META_HEAD_SIZE 16u  /* version, zeros, batch */
#define META_SUM_SIZE 8u
#define META_RECORD_VERSION 1
#define META_BODY_MAX (1u << 17)

/* Keys of the table of counters. Part of the format: append only. */
enum meta_counter { META_BATCH = 1, META_NEXT_INODE, META_N_INODES, META_EPOCH, META_CLEAN, META_N_ORPHANS, META_N_BLOCKS, META_SEGMENT };

struct meta;

struct meta_key {
	uint32_t size;
	union {
		uint64_t number; /* of tables with u64 keys */
		uint8_t bytes[META_KEY_MAX];
	};
};

struct meta_config {
	const char *dir;     /* exists */
	uint64_t size_max;   /* bytes that the tables may take, a reserve for deleting included */
	uint64_t reserve;    /* bytes of the host's file system below which only what frees is accepted */
	bool read_only;
	bool salvage;        /* opens also when the counter of batches is damaged */
};

struct meta_key meta_key_number(uint64_t number);
/* meta_key_pair() - BE64 a, then BE64 b. meta_key_name() - BE64 a, then the name. */
struct meta_key meta_key_pair(uint64_t a, uint64_t b);
struct meta_key meta_key_name(uint64_t a, const void *name, uint32_t size);
/* The parts of such keys. */
uint64_t meta_key_first(const struct meta_key *key);
uint64_t meta_key_second(const struct meta_key *key);

/* meta_open() - blocks: for a worker. meta_close() - no call may be running. */
int meta_open(struct meta **meta, const struct meta_config *cfg);
void meta_close(struct meta *meta);

/* meta_sync_dir() - the tables' file itself is there after a loss of power. Parks; before the first commit. */
int meta_sync_dir(struct meta *meta);

/* ---- reading: never parks ---------------------------------------------------------------------- */

/* meta_get() - value has room for *size bytes and gets the body; *size: the full size, also with ERR_TOOSMALL. ERR_NOENT, ERR_IO. */
int meta_get(struct meta *meta, enum meta_table table, const struct meta_key *key, void *value, uint32_t *size);

struct meta_record {
	const struct meta_key *key;
	const uint8_t *body; /* valid during the call */
	uint32_t size;
	uint64_t batch;
	int err;             /* with meta_inspect(): ERR_IO of a damaged record, whose body is all that is stored, header and checksum too */
};

/* A scan's visitor: false ends it. Runs inside a read transaction: must not park. */
typedef bool meta_visit_fn(void *arg, const struct meta_record *r);

enum meta_from { META_FROM, META_FROM_OR_BEFORE };

/*
 * meta_scan() - visits records in order of keys, beginning at key or the first after it; with
 * META_FROM_OR_BEFORE at the last record that is not after key, if there is one. All are of one moment.
 */
int meta_scan(struct meta *meta, enum meta_table table, const struct meta_key *key, enum meta_from from,
              meta_visit_fn *visit, void *arg);

/*
 * meta_inspect() - as meta_scan() from key on, but records that do not check are visited too, with err set, and not
 * reported. For those who look for damage.
 */
int meta_inspect(struct meta *meta, enum meta_table table, const struct meta_key *key, meta_visit_fn *visit, void *arg);

/* meta_n_records() - about how many a table has. */
uint64_t meta_n_records(struct meta *meta, enum meta_table table);
/* meta_raise_batch() - batches to come have numbers above this one. For a check, before its first commit. */
void meta_raise_batch(struct meta *meta, int64_t batch);
/* meta_key_is_number() - whether the keys of a table are u64. */
bool meta_key_is_number(enum meta_table table);
/* meta_table_name() - as in cairn(5). */
const char *meta_table_name(enum meta_table table);

/* meta_counter() - 0 if it was never changed. */
int meta_counter(struct meta *meta, uint64_t counter, int64_t *value);

/* ---- changing ---------------------------------------------------------------------------------- */

struct meta_txn {
	struct bytes changes;
	uint32_t n_changes;
	bool frees; /* may use the reserve: it gives back more than it takes */
};

void meta_begin(struct meta_txn *txn);
void meta_put(struct meta_txn *txn, enum meta_table table, const struct meta_key *key, const void *body, uint32_t size);
void meta_delete(struct meta_txn *txn, enum meta_table table, const struct meta_key *key); /* fine if absent */
/* meta_append() - puts the changes of more behind txn's, and ends it. */
void meta_append(struct meta_txn *txn, struct meta_txn *more);
void meta_add(struct meta_txn *txn, uint64_t counter, int64_t delta);
void meta_set(struct meta_txn *txn, uint64_t counter, int64_t value);

/*
 * meta_commit() - applies txn durably and ends it, also on failure, when nothing of it was applied. Parks.
 * ERR_NOSPC: no room but for what frees. ERR_NOMEM. ERR_IO: the engine failed; then every later commit does.
 */
int meta_commit(struct meta *meta, struct meta_txn *txn);
void meta_abandon(struct meta_txn *txn);

struct meta_stats {
	uint64_t n_batches;
	uint64_t n_commits;
	uint64_t host_free; /* bytes, as of the last batch */
	uint64_t host_total;
	bool full; /* only what frees was accepted then */
};

void meta_stats(struct meta *meta, struct meta_stats *stats);

#endif
