/*
 * The metadata store: a few ordered tables of small records that change together. This contract is all
 * that the rest of cairn knows of what is below it: LMDB, and before it a journal and what is newer in memory.
 *
 * Reading gives what was submitted last, whether it is durable or not. A record is answered without its header and
 * checksum, which were verified: a record that does not check is ERR_IO and is reported once in the log.
 *
 * Changing: collect changes in a struct meta_txn. meta_submit() puts all of them, or none, into memory and into the batch
 * that is being gathered, in the order of its calls: everybody sees them at once. meta_wait() parks until that batch
 * is durable; batches are written one after the other, so all that a change was based on is durable with it. Batches need
 * no clock: while one is written the next is gathered. meta_commit() does both. Changes are blind: they are decided before,
 * under the locks of what they change; only meta_add() depends on what is there, so that counters need no lock.
 *
 * Each batch has a number, one more than the last, and is one write to the journal; a record's header says in which
 * batch it was written. In memory only the newest version of a record is kept, until the applier puts a whole overlay,
 * which ends where a batch does, into the tables: that is one function for each record (apply_record() in cairn-meta-apply.c),
 * in the order of keys, in one LMDB transaction with the number of the last batch. After meta_checkpoint() all versions
 * that were the newest are in the tables, and none that is newer: who keeps old versions begins there.
 *
 * If the journal cannot be written, the tables get each batch at once. If those cannot be written, what the journal has waits; what it has
 * not is tried again, and while that goes on nothing more is accepted: what was submitted waits. When it fails for too long
 * the store has failed: nothing is accepted any more, and reading a
 * record that was seen but could not be made durable is an error too. A new start has what is durable.
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
	META_QUOTAS,   /* BE64 kind, BE64 id */
	META_SNAPSHOTS, /* u64 batch */
	META_HISTORY,  /* u8 table, key as it sorts as bytes, BE64 batch that ended the version */
	META_DEAD,     /* BE64 newest snapshot that has it, BE64 inode, BE64 block of the file */
	META_N_TABLES
};

#define META_KEY_MAX 296u
#define META_HISTORY_EXTRA 9u /* bytes that the key of an old version has more */
#define META_HEAD_SIZE 16u  /* version, zeros, batch */
#define META_SUM_SIZE 8u
#define META_RECORD_VERSION 1
#define META_BODY_MAX (1u << 17)

/* Keys of the table of counters. Part of the format: append only. */
enum meta_counter { META_BATCH = 1, META_NEXT_INODE, META_N_INODES, META_EPOCH, META_CLEAN, META_N_ORPHANS, META_N_BLOCKS, META_SEGMENT,
                    META_JOURNAL_AT, META_JOURNAL_SUM, META_ROLLBACK, META_N_CUT };

struct meta;

struct meta_key {
	uint32_t size;
	union {
		uint64_t number; /* of tables with u64 keys */
		uint8_t bytes[META_KEY_MAX];
	};
};

struct meta_config {
	const char *dir;     /* exists; the journal lies in the directory above */
	uint64_t size_max;   /* bytes that the tables may take, a reserve for deleting included */
	uint64_t reserve;    /* bytes of the host's file system below which only what frees is accepted, if none can be allocated ahead */
	uint64_t warm_max;   /* bytes of the tables that are read into memory after the start, in the background, at most */
	bool read_only;
	bool salvage;        /* opens also when counters or the journal are damaged, with what can be told */
};

struct meta_key meta_key_number(uint64_t number);
/* meta_key_pair() - BE64 a, then BE64 b. meta_key_name() - BE64 a, then the name. */
struct meta_key meta_key_pair(uint64_t a, uint64_t b);
struct meta_key meta_key_name(uint64_t a, const void *name, uint32_t size);
/* The parts of such keys. */
uint64_t meta_key_first(const struct meta_key *key);
uint64_t meta_key_second(const struct meta_key *key);

/*
 * meta_open() - what the journal has is there again, in memory. Read-only, nothing is written. ERR_IO: the journal is
 * damaged. meta_close() - puts everything into the tables; no call may be running. Both park.
 */
int meta_open(struct meta **meta, const struct meta_config *cfg);
void meta_close(struct meta *meta);

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

/* A scan's visitor: false ends it. Nothing is submitted meanwhile: it must not park or submit, and not visit many records at once. */
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
 * reported. For those who look for damage. In a view they end it.
 */
int meta_inspect(struct meta *meta, enum meta_table table, const struct meta_key *key, meta_visit_fn *visit, void *arg);

/* meta_n_records() - about how many a table has. */
uint64_t meta_n_records(struct meta *meta, enum meta_table table);
/* meta_raise_batch() - batches to come have numbers above this one. For a check, while nothing is submitted that is not durable. */
void meta_raise_batch(struct meta *meta, uint64_t batch);
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
 * meta_submit() - makes txn visible and ends it, also on failure, when nothing of it was done. *batch: its batch's number; 0
 * if it has no changes. Parks only if memory for changes or the tables are full. ERR_NOSPC: no room but for what frees.
 * ERR_NOMEM. While batches cannot be written, and once the store has failed, that error.
 */
int meta_submit(struct meta *meta, struct meta_txn *txn, uint64_t *batch);
/* meta_wait() - all batches up to that one are durable. Parks. On failure it is not known which are. */
int meta_wait(struct meta *meta, uint64_t batch);
/* meta_commit() - submits and waits. */
int meta_commit(struct meta *meta, struct meta_txn *txn);
/* meta_last() - the batch of what was submitted last. */
uint64_t meta_last(struct meta *meta);

/*
 * meta_checkpoint() - all that was submitted is in the tables, durably. Nothing is submitted between deciding what that is and the
 * end of batch *batch, its last: what comes later is in later batches. Parks. ERR_NOSPC: the host or the tables have no room.
 */
int meta_checkpoint(struct meta *meta, uint64_t *batch);
void meta_abandon(struct meta_txn *txn);

/* ---- old versions: cairn-meta-history.c ---------------------------------------------------------- */

/*
 * meta_snapshot() - as meta_checkpoint(), and from then on what the tables have of that batch and before is kept in
 * META_HISTORY when it is replaced or deleted. meta_keep() - only what is of batch and before is from now on; 0: nothing.
 * At the start it is the last key of META_SNAPSHOTS.
 */
int meta_snapshot(struct meta *meta, uint64_t *batch);
void meta_keep(struct meta *meta, uint64_t batch);
/*
 * meta_view() - the tables as they were after a batch that meta_snapshot() gave, for meta_get() and meta_scan(), which with a number in
 * front of the keys keeps to the one where it began. Closed with meta_close(), before meta. ERR_NOMEM.
 */
int meta_view(struct meta *meta, uint64_t batch, struct meta **view);

/* A version that ended. */
struct meta_version {
	enum meta_table table;
	struct meta_key key;
	uint64_t born;
	uint64_t died;
	const uint8_t *body; /* in the record */
	uint32_t size;
};

/* meta_history_split() - a record of META_HISTORY; false: it is none. meta_history_start() - the key before all of a table. */
bool meta_history_split(const struct meta_record *r, struct meta_version *v);
struct meta_key meta_history_start(enum meta_table table);
struct meta_key meta_history_key(enum meta_table table, const struct meta_key *key, uint64_t died);
/* meta_is_versioned() - whether old versions of a table's records are kept. */
bool meta_is_versioned(enum meta_table table);

struct meta_stats {
	uint64_t n_batches;
	uint64_t n_commits;
	uint64_t host_free; /* bytes, as of the last batch or meta_refresh() */
	uint64_t host_total;
	bool full; /* only what frees was accepted then */
	uint64_t n_journal_errors;
	uint64_t n_table_errors;
	bool waiting; /* changes wait for the journal or the tables */
	bool failed;
};

void meta_stats(struct meta *meta, struct meta_stats *stats);
#define META_LOOK_NS (10 * NS_PER_MS)
/* meta_refresh() - host_free is not older than that. */
void meta_refresh(struct meta *meta, uint64_t age_ns);
/* meta_make_room() - nor is full: what the host has may have become more. Parks. */
void meta_make_room(struct meta *meta, uint64_t age_ns);

struct meta_sizes {
	uint64_t tables_bytes;  /* that the tables' file takes */
	uint64_t warmed_bytes;  /* of them, those that were read into memory since the start */
	uint64_t overlay_bytes; /* of changes in memory that the tables do not have yet */
	uint64_t overlay_max_bytes;
	uint64_t journal_bytes; /* of its file */
};

void meta_sizes(struct meta *meta, struct meta_sizes *sizes);

/* meta_was_salvaged() - with cfg.salvage: the journal, or where it goes on, was damaged. */
bool meta_was_salvaged(const struct meta *meta);
/* meta_was_mended() - a bit of the journal's first block was flipped; it is flipped back, unless nothing may be written. */
bool meta_was_mended(const struct meta *meta);

/* meta_has_failed() - whether the store has failed: then what was submitted last may be durable nevertheless. Any thread. */
bool meta_has_failed(const struct meta *meta);

#endif
