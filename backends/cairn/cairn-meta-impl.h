/*
 * What the files of the metadata store share.
 *
 * A transaction is published under the state lock: its changes are appended to the batch that is being gathered and put
 * into the active overlay, where readers see them. Whoever waits for a batch while none is being written takes
 * the gathered one and writes it. When there is enough in the active overlay, taking a batch also turns it into the
 * one that is applied, so that overlays end where batches do; the applier then puts it into the tables.
 *
 * Locks. state guards overlays, the gathered batch and counters; holders never park. lock guards who
 * writes and who applies; it is never taken with state held.
 */
#ifndef CAIRN_META_IMPL_H
#define CAIRN_META_IMPL_H

#include <lmdb.h>
#include <pthread.h>

#include "backends/cairn/cairn-journal.h"
#include "backends/cairn/cairn-meta-overlay.h"
#include "backends/cairn/cairn-meta.h"
#include "base/hmap.h"
#include "base/spinlock.h"
#include "loop/fiber.h"

#define META_READERS_MAX 256
#define META_COUNTERS_MAX 64u
#define META_TABLES_NAME "data.mdb"
#define META_OVERLAY_MIN (64ULL << 10)
#define META_HOST_SHARE 256u /* of the host's bytes, what an overlay may take at most */

/* Reader transactions that nobody uses. */
struct meta_readers {
	struct spinlock lock;
	uint64_t version;     /* the tables' last transaction */
	uint32_t n;
	uint32_t n_live;      /* of those, at the end: they read that version; the others are reset */
	MDB_txn *idle[META_READERS_MAX];
};

/* All guarded by state. */
struct meta_pace {
	uint64_t begun_ns;    /* when what is applied was turned */
	uint64_t expected_ns; /* that it takes; 0: not known */
	uint64_t upto;        /* bytes up to which the active overlay fills now */
	uint64_t last_ns;     /* that the last large one took, */
	uint64_t last_size;   /* of so many bytes */
};

struct meta {
	MDB_env *env;
	MDB_dbi tables[META_N_TABLES];
	struct meta_config cfg;
	struct meta *base;                  /* of a view; all else but at is its */
	uint64_t at;
	_Atomic uint64_t keep;              /* records of this batch and before belong to a snapshot; 0: none do */
	int dir_fd;
	int room_fd;                        /* of the tables' file, to allocate its pages */
	struct meta_readers readers;

	pthread_rwlock_t state;
	struct meta_overlay overlays[2];
	struct meta_overlay *active;
	struct meta_overlay *applying;      /* NULL: none */
	struct journal_buffer gathered;
	uint64_t batch;                     /* that is being gathered */
	int64_t counters[META_COUNTERS_MAX];
	struct hmap wide;                   /* the others: cairn-meta-counter.c */
	uint64_t overlay_max;               /* bytes of the active one */
	uint64_t applying_last;             /* the last batch in applying */
	struct meta_pace pace;
	bool turning;                       /* the active overlay is wanted in the tables */
	bool closed_gate;                   /* nothing is published */
	bool by_journal;                    /* the next batch does not go into the journal */
	bool leader_applies;                /* applying is the leader's */
	_Atomic int stuck;                  /* why the tables do not take what is applied; it is tried again */

	struct fiber_mutex lock;
	struct fiber_cond written[2];       /* of batches with even and odd numbers */
	struct fiber_cond applied_cond;
	struct fiber_cond work;             /* for the applier */
	bool writing;
	bool running;                       /* the applier */
	_Atomic bool stopping;
	struct journal_buffer spare;        /* the writer's */
	struct journal journal;             /* the writer's */
	struct journal_place applying_end;  /* what follows the last batch in applying, once it is written */
	uint64_t n_rounds;                  /* of the applier, and overlays turned */
	struct fiber_join applier;
	struct fiber_join warming;
	_Atomic bool closing;
	_Atomic uint64_t warmed;            /* bytes of the tables that were read ahead */
	_Atomic uint64_t last;              /* the batch of what was published last; written under state */
	_Atomic uint64_t durable;           /* the last batch that is */
	_Atomic uint64_t applied;           /* the last batch in the tables */
	_Atomic int failed;                 /* the engine's error: nothing is accepted any more */
	_Atomic int trouble;                /* a batch cannot be written; it is tried again, and nothing accepted meanwhile */
	_Atomic bool panic;                 /* the engine has to be opened again */
	int journal_err;                    /* of the last batch; the writer's */
	_Atomic int table_err;              /* when it was applied last */
	_Atomic uint64_t n_journal_errors;
	_Atomic uint64_t n_table_errors;

	_Atomic uint64_t n_batches;
	_Atomic uint64_t n_commits;
	pthread_mutex_t room_lock;          /* guards the next one; leaf */
	uint64_t allocated_pages;           /* of the tables' file */
	_Atomic uint64_t used_pages;        /* of those, when last measured */
	_Atomic bool host_refuses;          /* it cannot allocate ahead */
	_Atomic uint64_t pages_left;        /* of the tables' room, when last applied */
	_Atomic uint64_t host_free;
	_Atomic uint64_t host_total;
	_Atomic bool full;
	bool salvaged;                      /* the journal could not be gone on with */
	_Atomic uint64_t looked_ns;         /* when host_free was taken */
	_Atomic uint64_t measured_ns;       /* when meta_make_room() was wanted last */
};

enum meta_change_kind { META_PUT = 1, META_DELETE, META_ADD, META_SET };

/* What stands before each change in a transaction and in the journal. */
struct change_head {
	uint8_t what; /* enum meta_change_kind */
	uint8_t table;
	uint16_t key_size;
	uint32_t size; /* of the body */
};

int meta_error(int rc);
MDB_val meta_key_val(const struct meta_key *key);
/* meta_sum() - of a record: its table, key, header and body. */
uint64_t meta_sum(enum meta_table table, const MDB_val *key, const void *record, size_t size);
/*
 * meta_check() - the body of a stored record, as a reader sees it; ERR_IO. meta_check_quietly() - without a word in the log.
 * meta_check_changing() - as a transaction that changes something sees it: not in the file's pages, perhaps.
 */
int meta_check(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r);
/* meta_is_within() - whether a value that a reader was given lies where one may. */
bool meta_is_within(const MDB_val *value);
int meta_check_changing(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r);
int meta_check_quietly(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r);
/* meta_lost() - whether a record in an overlay is one whose batch could not be written. */
bool meta_lost(const struct meta *m, const struct meta_dirty *d);

/* ---- cairn-meta-reader.c */

/* meta_reader_get() - a transaction that reads what the tables have now. Not to be kept across a wait. */
int meta_reader_get(struct meta *m, MDB_txn **txn);
void meta_reader_put(struct meta *m, MDB_txn *txn);
/* meta_readers_retire() - the tables were changed: to be called before anything relies on a reader's seeing that. */
void meta_readers_retire(struct meta *m);
void meta_readers_close(struct meta *m);

/* ---- cairn-meta-pace.c: with state held for writing */

/* meta_pace_begin() - an overlay was turned. meta_pace_end() - it is in the tables. */
void meta_pace_begin(struct meta *m);
void meta_pace_end(struct meta *m);
/* meta_pace_ns() - for how long nothing should be put into the active overlay. */
uint64_t meta_pace_ns(struct meta *m);

/* ---- cairn-meta-warm.c */

/* meta_warm_start() - begins to read the tables into memory, as far as cfg.warm_max. meta_warm_stop() parks. */
void meta_warm_start(struct meta *m);
void meta_warm_stop(struct meta *m);

/* ---- cairn-meta-publish.c */

/* meta_change_next() - the change at *at, moved on; false at the end or if what is there is none, then *at is not end. */
bool meta_change_next(const uint8_t **at, const uint8_t *end, struct meta_change *c, struct change_head *head);
/* meta_replay() - takes the journal's batches into the overlay. Parks. */
int meta_replay(struct meta *m);

/* ---- cairn-meta-write.c */

/* meta_turn() - the active overlay becomes the one to apply if there is none; last: its last batch. state held. */
bool meta_turn(struct meta *m, uint64_t last);
/* meta_drain() - asks for that and waits until an overlay has been applied. Parks. */
int meta_drain(struct meta *m);
/* meta_fail() - nothing is accepted any more. With the lock held. */
void meta_fail(struct meta *m, const char *what, int err);

/* ---- cairn-meta-apply.c */

/* meta_apply() - puts m->applying into the tables and drops it. whole: in one transaction or not at all. Parks. */
int meta_apply(struct meta *m, const struct journal_place *end, bool whole);
int meta_applier_start(struct meta *m);
void meta_applier_stop(struct meta *m); /* parks */
/* Puts a record with its header and checksum; LMDB's error. */
struct meta_value {
	const uint8_t *body;
	uint32_t size;
	uint64_t batch;
};

int meta_put_value(struct meta *m, MDB_txn *txn, enum meta_table table, const struct meta_key *key, const struct meta_value *value);

/* ---- cairn-meta-room.c */

/* meta_allocate_locks() - before LMDB is opened, meta_room_open() - after it. Block. */
void meta_allocate_locks(struct meta *m);
int meta_room_open(struct meta *m);
/* meta_measure() - room in the tables, of which more is allocated if need be, and on the host. meta_look_at_host() - on the host only. Both block. */
void meta_measure(struct meta *m);
void meta_look_at_host(struct meta *m);
/* meta_reserve() - pages kept for what frees. */
uint64_t meta_reserve(const struct meta *m);

/* meta_counter_at() - where a counter's value is, made if need be: NULL: no memory. With state held for writing, or while opening. */
int64_t *meta_counter_at(struct meta *m, uint64_t counter);
void meta_counters_init(struct meta *m);
void meta_counters_fini(struct meta *m);

/* ---- cairn-meta-history.c */

/* meta_keep_old() - before a record is replaced or deleted by one of that batch; LMDB's error. */
int meta_keep_old(struct meta *m, MDB_txn *txn, enum meta_table table, MDB_val *key, uint64_t batch);
int meta_view_get(struct meta *view, enum meta_table table, const struct meta_key *key, void *value, uint32_t *size);
int meta_view_scan(struct meta *view, enum meta_table table, const struct meta_key *key, enum meta_from from,
                   meta_visit_fn *visit, void *arg);

#endif
