/*
 * Reading the tables ahead when the store is opened. A search at random finds nothing of a large store in memory: each page would
 * be a wait for the disk, of a few kilobytes, and then a fault. Reading all in order takes seconds, and a hundredth of the work.
 */
#include "backends/cairn/cairn-meta-impl.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "loop/loop.h"

#define STEP (512ULL << 10) /* what others wait for at most */
#define SIZE_MIN (4ULL << 20) /* less is not worth the trouble */

struct warming {
	int fd;
	uint8_t *map; /* where the file begins; NULL: not known */
	uint64_t size;
	uint64_t at;
};

/* LMDB does not tell where its map is, but each page begins with its number, 8 bytes. */
static uint8_t *map_of(struct meta *m)
{
	struct meta_key key = meta_key_number(META_BATCH);
	MDB_val k = meta_key_val(&key), v;
	MDB_envinfo info;
	MDB_stat st;
	MDB_txn *txn;
	uint64_t number;
	uint8_t *map = NULL;
	if (mdb_env_stat(m->env, &st) || mdb_env_info(m->env, &info) || meta_reader_get(m, &txn))
		return NULL;
	if (mdb_get(txn, m->tables[META_COUNTERS], &k, &v) == 0) {
		const uint8_t *page = (const uint8_t *)v.mv_data - ((uintptr_t)v.mv_data & (st.ms_psize - 1));
		memcpy(&number, page, sizeof(number));
		if (number <= info.me_last_pgno)
			map = (uint8_t *)page - number * st.ms_psize;
	}
	meta_reader_put(m, txn);
	return map;
}

/* Into memory in large pieces, then into the page tables. What fails will be read when it is needed. */
static void step(struct warming *w)
{
	uint64_t n = MIN(STEP, w->size - w->at);
	if (readahead(w->fd, (off_t)w->at, n) == 0 && w->map)
		madvise(w->map + w->at, n, MADV_POPULATE_READ);
	w->at += n;
}

/* All in one go: a loop that is busy with what needs the tables comes back here too seldom. */
static int warm_job(void *arg)
{
	struct meta *m = arg;
	struct meta_sizes sizes;
	struct warming w = {0};
	if (mdb_env_get_fd(m->env, &w.fd))
		return 0;
	meta_sizes(m, &sizes);
	w.size = MIN(sizes.tables_bytes, m->cfg.warm_max);
	w.map = map_of(m);
	while (w.size >= SIZE_MIN && w.at < w.size && !m->closing) {
		step(&w);
		m->warmed = w.at;
	}
	return 0;
}

static void run(void *arg)
{
	struct meta *m = arg;
	loop_block(warm_job, m);
	fiber_join_done(&m->warming);
}

void meta_warm_start(struct meta *m)
{
	if (m->cfg.warm_max < SIZE_MIN)
		return;
	fiber_join_add(&m->warming, 1);
	if (fiber_start(loop_current(), run, m))
		fiber_join_done(&m->warming);
}

void meta_warm_stop(struct meta *m)
{
	m->closing = true;
	fiber_join_wait(&m->warming);
}
