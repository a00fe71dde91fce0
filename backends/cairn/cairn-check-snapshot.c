/*
 * What only snapshots have: blocks of files that gave them up, by their dead references, against the checksums in the
 * extents that a snapshot sees. What does not match is marked as lost in every old version of the file's extents that has it, and
 * counted less in old versions of the inode, so that going back to the snapshot gives a file that is right but for that range.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-check-impl.h"
#include "backends/cairn/cairn-snapshot.h"
#include "backends/cairn/cairn-verify.h"
#include "base/cleanup.h"
#include "base/cursor.h"

#define BORN_SIZE 8u

/* ---- the snapshots */

/* Of those that are whole. */
static bool note_snapshot(void *arg, const struct meta_record *r)
{
	struct check *c = arg;
	struct vfs_snapshot s = {.id = 0};
	if (r->err || cairn_snapshot_decode(r, &s) || s.state != SNAPSHOT_READY)
		return true;
	c->newest = s.id;
	c->err = check_number_add(&c->snapshots, s.id);
	return !c->err;
}

int check_find_snapshots(struct check *c)
{
	struct meta_key first = meta_key_number(0);
	c->snapshots.n = 0;
	c->newest = 0;
	int err = meta_inspect(c->meta, META_SNAPSHOTS, &first, note_snapshot, c);
	return err ? err : c->err;
}

static bool take_name(void *arg, const struct meta_record *r)
{
	struct vfs_snapshot *s = arg;
	if (r->err || r->key->number != s->id || cairn_snapshot_decode(r, s))
		s->name[0] = '\0';
	return false;
}

void check_snapshot_name(struct check *c, uint64_t id, char name[OP_NAME_MAX + 1])
{
	struct vfs_snapshot s = {.id = id};
	struct meta_key key = meta_key_number(id);
	if (meta_inspect(c->meta, META_SNAPSHOTS, &key, take_name, &s))
		s.name[0] = '\0';
	memcpy(name, s.name, sizeof(s.name));
}

/* ---- repair: old versions */

/* An old version of an extent, apart from the tables. */
struct old_extent {
	struct meta_key key;   /* in the history */
	uint64_t ino, born, died;
	struct cairn_extent e;
};

struct old_search {
	uint64_t ino, block, place; /* what is looked for: the file's block in that place of the store */
	struct old_extent *found;
	bool any;
};

static bool split_extent(const struct meta_record *r, struct old_extent *old)
{
	struct meta_version v;
	if (r->err || !meta_history_split(r, &v) || v.table != META_EXTENTS || v.key.size != 16)
		return false;
	struct meta_record plain = {.key = &v.key, .body = v.body, .size = v.size, .batch = v.born};
	*old = (struct old_extent){.key = *r->key, .ino = meta_key_first(&v.key), .born = v.born, .died = v.died};
	return cairn_extent_decode(&plain, &old->e) == 0;
}

static bool match_extent(void *arg, const struct meta_record *r)
{
	struct old_search *s = arg;
	struct old_extent *old = s->found;
	if (r->key->bytes[0] != META_EXTENTS)
		return false;
	if (!split_extent(r, old))
		return true;
	if (old->ino != s->ino || old->e.first > s->block)
		return false;
	s->any = old->e.kind == CAIRN_WRITTEN && s->block < old->e.first + old->e.n &&
	         old->e.place + (s->block - old->e.first) == s->place;
	return !s->any;
}

/* One that has the block: a written extent begins at most so far before it. */
static bool find_version(struct check *c, uint64_t ino, uint64_t block, uint64_t place, struct old_extent *old)
{
	struct old_search s = {ino, block, place, old, false};
	struct meta_key first = meta_key_pair(ino, block - MIN(block, (uint64_t)CAIRN_EXTENT_MAX - 1));
	struct meta_key from = meta_history_key(META_EXTENTS, &first, 0);
	return meta_inspect(c->meta, META_HISTORY, &from, match_extent, &s) == 0 && s.any;
}

void check_put_version(struct check *c, const struct meta_key *key, uint64_t born, const void *body, uint32_t size)
{
	uint8_t bytes[BORN_SIZE + CAIRN_EXTENT_SIZE_MAX];
	struct cursor cur;
	cursor_init(&cur, bytes, sizeof(bytes));
	cursor_put_le64(&cur, born);
	cursor_put_bytes(&cur, body, size);
	meta_put(&c->txn, META_HISTORY, key, bytes, (uint32_t)cursor_used(&cur));
}

static void put_old_extent(struct check *c, const struct old_extent *old, const struct cairn_extent *e)
{
	struct meta_key plain = meta_key_pair(old->ino, e->first), key = meta_history_key(META_EXTENTS, &plain, old->died);
	uint8_t body[CAIRN_EXTENT_SIZE_MAX];
	check_put_version(c, &key, old->born, body, cairn_extent_encode(e, body));
}

static void put_part(struct check *c, const struct old_extent *old, uint64_t at, uint64_t n)
{
	struct cairn_extent part = old->e;
	part.first += at;
	part.place += at;
	part.n = n;
	memmove(part.sums, part.sums + at, n * sizeof(part.sums[0]));
	if (n)
		put_old_extent(c, old, &part);
}

/* Its block i is lost, the others are as they were. */
static void lose_block(struct check *c, const struct old_extent *old, uint64_t i)
{
	struct cairn_extent gone = {.first = old->e.first + i, .n = 1, .kind = CAIRN_LOST, .born = old->e.born};
	put_part(c, old, 0, i);
	put_part(c, old, i + 1, old->e.n - i - 1);
	put_old_extent(c, old, &gone);
}

struct fewer {
	struct check *c;
	const struct old_extent *old;
};

/* Versions of the inode while the file had the block. */
static bool count_less(void *arg, const struct meta_record *r)
{
	struct fewer *f = arg;
	struct meta_version v;
	struct cairn_inode inode;
	uint8_t body[CAIRN_INODE_SIZE];
	if (r->key->bytes[0] != META_INODES)
		return false;
	if (r->err || !meta_history_split(r, &v))
		return true;
	if (v.key.number != f->old->ino)
		return false;
	if (v.died <= f->old->born || v.born >= f->old->died || cairn_inode_decode(v.body, v.size, &inode) || inode.n_blocks == 0)
		return true;
	inode.n_blocks--;
	cairn_inode_encode(&inode, body);
	check_put_version(f->c, r->key, v.born, body, sizeof(body));
	return true;
}

static int lose_in_version(struct check *c, const struct old_extent *old, uint64_t block)
{
	struct fewer f = {c, old};
	struct meta_key ino = meta_key_number(old->ino), from = meta_history_key(META_INODES, &ino, 0);
	lose_block(c, old, block - old->e.first);
	int err = meta_inspect(c->meta, META_HISTORY, &from, count_less, &f);
	return err ? err : check_commit(c);
}

static int lose_in_all(struct check *c, uint64_t ino, uint64_t block, uint64_t place)
{
	struct old_extent old;
	int err = 0;
	while (!err && find_version(c, ino, block, place, &old))
		err = lose_in_version(c, &old, block);
	return err;
}

/* ---- repair: a version that is gone */

struct before {
	const struct meta_key *key;
	uint64_t died;
};

static bool note_before(void *arg, const struct meta_record *r)
{
	struct before *b = arg;
	struct meta_version v, own;
	struct meta_record self = {.key = b->key, .body = (const uint8_t[BORN_SIZE]){0}, .size = BORN_SIZE};
	if (r->key->size != b->key->size || memcmp(r->key->bytes, b->key->bytes, r->key->size) == 0 || !meta_history_split(&self, &own))
		return false;
	if (!r->err && meta_history_split(r, &v))
		b->died = v.died;
	return true;
}

/* When it began is not known either: after the version before it. */
void check_lose_version(struct check *c, const struct meta_key *key)
{
	struct meta_record self = {.key = key, .body = (const uint8_t[BORN_SIZE]){0}, .size = BORN_SIZE};
	struct before b = {.key = key, .died = 1};
	struct meta_version v;
	if (!meta_history_split(&self, &v) || v.table != META_EXTENTS || v.key.size != 16)
		return;
	struct meta_key from = meta_history_key(META_EXTENTS, &v.key, 0);
	struct old_extent old = {.ino = meta_key_first(&v.key), .died = v.died};
	struct cairn_extent gone = {.first = meta_key_second(&v.key), .n = CAIRN_EXTENT_MAX, .kind = CAIRN_LOST};
	if (meta_inspect(c->meta, META_HISTORY, &from, note_before, &b))
		return;
	old.born = b.died;
	put_old_extent(c, &old, &gone);
}

/* ---- verifying */

struct dead_ref {
	struct meta_key key;
	uint64_t newest;
	struct cairn_ref ref;
};

struct holding {
	struct dead_ref *list;
	uint32_t n, max;
	struct cairn_reader reader;
	uint64_t n_done, n_all;
	struct meta *view; /* of the snapshot looked at last */
	uint64_t at;
};

static bool gather(struct check *c, const struct meta_record *r)
{
	struct holding *h = c->arg;
	if (h->n == h->max) {
		uint32_t max = h->max ? 2 * h->max : 64;
		struct dead_ref *list = realloc(h->list, max * sizeof(*list));
		if (!list) {
			c->err = ERR_NOMEM;
			return false;
		}
		h->list = list;
		h->max = max;
	}
	struct dead_ref *d = &h->list[h->n];
	d->key = *r->key;
	h->n += cairn_dead_decode(r, &d->newest, &d->ref) == 0;
	return true;
}

static int look_through(struct check *c, uint64_t at)
{
	struct holding *h = c->arg;
	if (h->view && h->at == at)
		return 0;
	if (h->view)
		meta_close(TAKE(h->view));
	h->at = at;
	return meta_view(c->meta, at, &h->view);
}

static bool found_bad(struct check *c, const struct dead_ref *d, uint64_t block)
{
	const struct holding *h = c->arg;
	char name[OP_NAME_MAX + 1], path[CAIRN_PATH_ROOM], where[OP_NAME_MAX + CAIRN_PATH_ROOM + 32];
	check_snapshot_name(c, h->at, name);
	cairn_path_of(h->view, d->ref.ino, path);
	snprintf(where, sizeof(where), "snapshot %s%s%s", name, *path ? ", " : "", path);
	struct check_place at = {.has_key = true,
	                         .table = META_DEAD,
	                         .key = d->key,
	                         .ino = d->ref.ino,
	                         .offset = block * CAIRN_BLOCK_SIZE,
	                         .size = CAIRN_BLOCK_SIZE,
	                         .where = where};
	return check_found(c, CHECK_SNAPSHOT_BLOCK, &at);
}

static int verify_piece(struct check *c, const struct dead_ref *d, const struct cairn_extent *piece)
{
	struct holding *h = c->arg;
	bool was_read = cairn_reader_read(&h->reader, piece->place, piece->n, 0);
	int err = 0;
	for (uint64_t i = 0; !err && i < piece->n; i++)
		if (!cairn_reader_check(&h->reader, piece, i, was_read) && found_bad(c, d, piece->first + i))
			err = lose_in_all(c, d->ref.ino, piece->first + i, piece->place + i);
	c->report->n_blocks_read += piece->n;
	h->n_done += piece->n;
	check_progress(c, h->n_done, MAX(h->n_all, h->n_done));
	return err;
}

/* What cannot be looked up was found damaged before. */
static int verify(struct check *c, const struct dead_ref *d)
{
	struct holding *h = c->arg;
	struct cairn_extent piece;
	uint64_t at = cairn_newest_of(c->snapshots.list, (uint32_t)c->snapshots.n, d->ref.born, d->newest);
	int err = at ? look_through(c, at) : ERR_NOENT;
	for (uint64_t block = d->ref.block; !err;) {
		err = cairn_held_next(h->view, &d->ref, &block, &piece);
		if (!err)
			err = verify_piece(c, d, &piece);
	}
	return err == ERR_NOENT || err == ERR_IO ? 0 : err;
}

static int verify_gathered(struct check *c)
{
	struct holding *h = c->arg;
	int err = 0;
	for (uint32_t i = 0; !err && i < h->n; i++)
		err = verify(c, &h->list[i]);
	h->n = 0;
	return err;
}

int check_snapshots(struct check *c)
{
	struct holding h = {.n_all = c->n_dead};
	struct check_walk w = {
		.table = META_DEAD, .from = meta_key_pair(0, 0), .visit = gather, .after = verify_gathered, .quiet = true};
	uint64_t batch;
	if (!c->data || c->snapshots.n == 0)
		return 0;
	/* What was replaced only in memory until now is history too. */
	int err = c->o->repair == CHECK_ONLY ? 0 : check_commit(c);
	if (!err && c->o->repair != CHECK_ONLY)
		err = meta_checkpoint(c->meta, &batch);
	c->arg = &h;
	if (!err)
		err = cairn_reader_init(&h.reader, c->data_fd, false);
	if (!err)
		err = check_walk(c, &w);
	if (h.view)
		meta_close(h.view);
	cairn_reader_fini(&h.reader);
	free(h.list);
	return err;
}
