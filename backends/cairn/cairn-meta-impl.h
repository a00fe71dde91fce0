/* What the files of the metadata store share. */
#ifndef CAIRN_META_IMPL_H
#define CAIRN_META_IMPL_H

#include <lmdb.h>

#include "backends/cairn/cairn-meta.h"
#include "base/spinlock.h"
#include "loop/fiber.h"

#define META_READERS_MAX 256

struct meta_wait;

struct meta {
	MDB_env *env;
	MDB_dbi tables[META_N_TABLES];
	struct meta_config cfg;
	int dir_fd;
	struct spinlock reader_lock;
	MDB_txn *readers[META_READERS_MAX]; /* reset, ready to be renewed */
	uint32_t n_readers;
	struct fiber_mutex lock;            /* guards the queue and committing */
	struct fiber_cond done;
	struct meta_wait *head, **tail;
	bool committing;
	int failed;                         /* the engine's error: nothing is accepted any more */
	int64_t batch;                      /* of the last commit; the leader's */
	_Atomic uint64_t n_batches;
	_Atomic uint64_t n_commits;
	_Atomic uint64_t host_free;
	_Atomic uint64_t host_total;
	_Atomic bool full;
};

enum meta_change { META_PUT = 1, META_DELETE, META_ADD, META_SET };

int meta_error(int rc);
MDB_val meta_key_val(const struct meta_key *key);
/* meta_sum() - of a record: its table, key, header and body. */
uint64_t meta_sum(enum meta_table table, const MDB_val *key, const void *record, size_t size);
/* meta_check() - the body of a stored record; ERR_IO. */
int meta_check(enum meta_table table, const MDB_val *key, const MDB_val *value, struct meta_record *r);
/* meta_look_at_host() - room on the host's file system. Blocks. */
void meta_look_at_host(struct meta *m);

#endif
