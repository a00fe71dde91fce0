/*
 * Every block of data against its checksum. A transaction cannot wait for a disk: extents are gathered in one and read
 * after it. What does not match becomes lost: the file's block answers an I/O error, the block of the store is free again unless
 * a clone or a snapshot has it.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-check-impl.h"
#include "backends/cairn/cairn-verify.h"

struct wanted_extent {
	uint64_t ino;
	struct cairn_extent e;
};

struct reading {
	struct wanted_extent *list;
	uint32_t n, max;
	struct cairn_reader reader;
	uint64_t n_done, n_all;
};

static bool gather(struct check *c, const struct meta_record *r)
{
	struct reading *g = c->arg;
	if (g->n == g->max) {
		uint32_t max = g->max ? 2 * g->max : 64;
		struct wanted_extent *list = realloc(g->list, max * sizeof(*list));
		if (!list) {
			c->err = ERR_NOMEM;
			return false;
		}
		g->list = list;
		g->max = max;
	}
	struct wanted_extent *w = &g->list[g->n];
	w->ino = meta_key_first(r->key);
	if (cairn_extent_decode(r, &w->e) == 0 && w->e.kind == CAIRN_WRITTEN)
		g->n++;
	return true;
}

static bool found_bad(struct check *c, const struct wanted_extent *w, uint64_t i)
{
	struct check_place at = {.has_key = true,
	                         .table = META_EXTENTS,
	                         .key = meta_key_pair(w->ino, w->e.first),
	                         .ino = w->ino,
	                         .offset = (w->e.first + i) * CAIRN_BLOCK_SIZE,
	                         .size = CAIRN_BLOCK_SIZE};
	return check_found(c, CHECK_BLOCK, &at);
}

/* Runs of good and of bad blocks become extents of their own. */
static void split(struct check *c, const struct wanted_extent *w, const bool *bad)
{
	const struct cairn_extent *e = &w->e;
	for (uint64_t at = 0, n; at < e->n; at += n) {
		struct cairn_extent part = {.first = e->first + at, .kind = bad[at] ? CAIRN_LOST : CAIRN_WRITTEN};
		for (n = 1; at + n < e->n && bad[at + n] == bad[at];)
			n++;
		part.n = n;
		part.born = e->born;
		part.place = bad[at] ? 0 : e->place + at;
		for (uint64_t i = 0; !bad[at] && i < n; i++)
			part.sums[i] = e->sums[at + i];
		if (bad[at])
			check_keep_for_snapshots(c, w->ino, e, at, n);
		cairn_put_extent(&c->txn, w->ino, &part);
	}
}

static void verify(struct check *c, const struct wanted_extent *w)
{
	struct reading *g = c->arg;
	bool bad[CAIRN_EXTENT_MAX] = {false}, any = false, repair = true;
	bool was_read = cairn_reader_read(&g->reader, w->e.place, w->e.n, 0);
	for (uint64_t i = 0; i < w->e.n; i++) {
		bad[i] = !cairn_reader_check(&g->reader, &w->e, i, was_read);
		any |= bad[i];
		if (bad[i])
			repair = found_bad(c, w, i) && repair;
	}
	c->report->n_blocks_read += w->e.n;
	if (!any)
		return;
	struct check_inode *ci = check_inode_find(c, w->ino);
	if (ci)
		ci->flags |= CI_LOSS;
	if (repair)
		split(c, w, bad);
}

static int verify_gathered(struct check *c)
{
	struct reading *g = c->arg;
	int err = 0;
	for (uint32_t i = 0; !err && i < g->n; i++) {
		verify(c, &g->list[i]);
		g->n_done += g->list[i].e.n;
		check_progress(c, g->n_done, MAX(g->n_all, g->n_done));
		if (c->txn.n_changes)
			err = check_commit(c);
	}
	g->n = 0;
	return err;
}

static uint64_t n_blocks_of(const struct check *c)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < c->n_inodes; i++)
		n += c->inodes[i].blocks_off;
	return n;
}

int check_data(struct check *c)
{
	struct reading g = {.n_all = n_blocks_of(c)};
	struct check_walk w = {
		.table = META_EXTENTS, .from = meta_key_pair(0, 0), .visit = gather, .after = verify_gathered, .quiet = true};
	if (!c->data)
		return 0;
	c->arg = &g;
	int err = cairn_reader_init(&g.reader, c->data_fd, false);
	if (!err)
		err = check_walk(c, &w);
	cairn_reader_fini(&g.reader);
	free(g.list);
	return err;
}
