/*
 * Every block of data against its checksum. A transaction cannot wait for a disk: extents are gathered in one and read
 * after it. What does not match becomes lost: the file's block answers an I/O error, the block of the store is free again unless
 * a clone or a snapshot has it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/cairn/cairn-check-impl.h"

struct wanted_extent {
	uint64_t ino;
	struct cairn_extent e;
};

struct reading {
	struct wanted_extent *list;
	uint32_t n, max;
	uint8_t *bytes;     /* of one extent */
	struct file *file;  /* a segment's; NULL: none */
	uint32_t segment;
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

static int open_segment(struct check *c, uint32_t segment)
{
	struct reading *g = c->arg;
	char name[16];
	if (g->file && g->segment == segment)
		return 0;
	if (g->file)
		file_close(TAKE(g->file));
	snprintf(name, sizeof(name), "%08x", segment);
	g->segment = segment;
	int err = file_open(&g->file, c->data_fd, name, O_RDONLY | O_CLOEXEC, 0);
	if (err)
		g->file = NULL;
	return err;
}

/* How many of the blocks could be read: after one that cannot, each by itself. */
static bool read_blocks(struct check *c, uint64_t place, uint64_t n, uint8_t *bytes)
{
	const struct reading *g = c->arg;
	struct iovec iov = {bytes, n * CAIRN_BLOCK_SIZE};
	uint64_t at = place % CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE;
	if (open_segment(c, (uint32_t)(place / CAIRN_SEGMENT_BLOCKS)))
		return false;
	return file_preadv(g->file, &iov, 1, at) == (ssize_t)iov.iov_len;
}

static bool is_block_good(struct check *c, const struct cairn_extent *e, uint64_t i, bool was_read)
{
	const struct reading *g = c->arg;
	uint8_t *bytes = g->bytes + i * CAIRN_BLOCK_SIZE;
	return (was_read || read_blocks(c, e->place + i, 1, bytes)) && cairn_block_sum(bytes) == e->sums[i];
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
	const struct reading *g = c->arg;
	bool bad[CAIRN_EXTENT_MAX] = {false}, any = false, repair = true;
	bool was_read = read_blocks(c, w->e.place, w->e.n, g->bytes);
	for (uint64_t i = 0; i < w->e.n; i++) {
		bad[i] = !is_block_good(c, &w->e, i, was_read);
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
	g.bytes = malloc((size_t)CAIRN_EXTENT_MAX * CAIRN_BLOCK_SIZE);
	c->arg = &g;
	int err = g.bytes ? check_walk(c, &w) : ERR_NOMEM;
	if (g.file)
		file_close(g.file);
	free(g.list);
	free(g.bytes);
	return err;
}
