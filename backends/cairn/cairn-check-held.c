/*
 * Extents of snapshots that are gone. Where records were lost, what a snapshot sees as a hole may have been data: then its inode tells of
 * more blocks than its extents have. Its holes are marked as lost, for that snapshot, by old versions that begin and end with it.
 */
#include <stdlib.h>

#include "backends/cairn/cairn-check-impl.h"
#include "backends/cairn/cairn-snapshot.h"

#define INODES_AT_ONCE 256u
#define KIND(k) (1ULL << (k))
/* After these, extents may be missing that nothing else tells of. */
#define SUSPECT (KIND(CHECK_PAGE) | KIND(CHECK_RECORD) | KIND(CHECK_RECORD_SHAPE) | KIND(CHECK_EXTENTS_GONE))

struct seen_inode {
	uint64_t ino, batch;
	struct cairn_inode inode;
};

struct seeing {
	struct check *c;
	struct meta *view;
	uint64_t at;             /* the snapshot */
	struct seen_inode *list; /* INODES_AT_ONCE */
	uint32_t n;
	uint64_t from;           /* the next inode */
	bool more;
};

static bool note_inode(void *arg, const struct meta_record *r)
{
	struct seeing *s = arg;
	struct seen_inode *i = &s->list[s->n];
	s->more = s->n == INODES_AT_ONCE;
	if (s->more)
		return false;
	s->from = r->key->number + 1;
	*i = (struct seen_inode){.ino = r->key->number, .batch = r->batch};
	s->n += cairn_inode_decode(r->body, r->size, &i->inode) == 0 && i->inode.attr.type == OP_TYPE_FILE && i->inode.n_blocks;
	return true;
}

struct counting {
	struct seeing *s;
	const struct seen_inode *i;
	uint64_t n;    /* blocks found */
	uint64_t next; /* the first block that is not known to be in an extent */
	bool lost;     /* some are marked so already */
	bool put;      /* marks holes */
};

static void lose_hole(struct counting *k, uint64_t end)
{
	struct meta_key plain = meta_key_pair(k->i->ino, k->next), key = meta_history_key(META_EXTENTS, &plain, k->s->at + 1);
	struct cairn_extent gone = {.first = k->next, .n = end - k->next, .kind = CAIRN_LOST};
	uint8_t body[CAIRN_EXTENT_SIZE_MAX];
	if (end > k->next)
		check_put_version(k->s->c, &key, k->s->at, body, cairn_extent_encode(&gone, body));
}

static bool count_extent(void *arg, const struct meta_record *r)
{
	struct counting *k = arg;
	struct cairn_extent e;
	if (meta_key_first(r->key) != k->i->ino)
		return false;
	if (cairn_extent_decode(r, &e))
		return true;
	if (k->put)
		lose_hole(k, e.first);
	k->n += cairn_has_blocks(e.kind) ? e.n : 0;
	k->lost |= e.kind == CAIRN_LOST;
	k->next = MAX(k->next, e.first + e.n);
	return true;
}

static int go_through(struct seeing *s, const struct seen_inode *i, bool put, struct counting *k)
{
	struct meta_key key = meta_key_pair(i->ino, 0);
	*k = (struct counting){.s = s, .i = i, .put = put, .next = i->inode.flags & CAIRN_INLINE ? 1 : 0};
	return meta_scan(s->view, META_EXTENTS, &key, META_FROM, count_extent, k);
}

/* Older snapshots that have the same version of the inode see the new count, too. */
static void put_count(struct check *c, const struct seeing *s, const struct seen_inode *i, uint64_t n)
{
	struct meta_key plain = meta_key_number(i->ino), key = meta_history_key(META_INODES, &plain, s->at + 1);
	struct cairn_inode inode = i->inode;
	uint8_t body[CAIRN_INODE_SIZE];
	inode.n_blocks = n;
	cairn_inode_encode(&inode, body);
	check_put_version(c, &key, i->batch, body, sizeof(body));
}

static int look_at(struct check *c, struct seeing *s, const struct seen_inode *i)
{
	struct counting k;
	char name[OP_NAME_MAX + 1];
	int err = go_through(s, i, false, &k);
	if (err || k.lost || k.n >= i->inode.n_blocks)
		return err;
	check_snapshot_name(c, s->at, name);
	if (!check_found(c, CHECK_SNAPSHOT_GONE, &(struct check_place){.ino = i->ino, .where = name}))
		return 0;
	err = go_through(s, i, true, &k);
	lose_hole(&k, cairn_blocks(i->inode.attr.size));
	put_count(c, s, i, k.n);
	return err ? err : check_commit(c);
}

static int look_through(struct check *c, struct seeing *s)
{
	int err = 0;
	s->more = true;
	while (!err && s->more) {
		struct meta_key from = meta_key_number(s->from);
		s->n = 0;
		s->more = false;
		err = meta_scan(s->view, META_INODES, &from, META_FROM, note_inode, s);
		for (uint32_t i = 0; !err && i < s->n; i++) {
			err = look_at(c, s, &s->list[i]);
			/* What cannot be read is no hole. */
			err = err == ERR_IO ? 0 : err;
		}
	}
	return err == ERR_IO ? 0 : err;
}

int check_held(struct check *c)
{
	struct seeing s = {.c = c};
	uint64_t batch;
	int err = 0;
	if (c->snapshots.n == 0 || !(c->kinds_found & SUSPECT))
		return 0;
	if (c->o->repair != CHECK_ONLY) {
		err = check_commit(c);
		err = err ? err : meta_checkpoint(c->meta, &batch);
	}
	s.list = malloc(INODES_AT_ONCE * sizeof(*s.list));
	if (!s.list)
		return ERR_NOMEM;
	for (uint64_t i = 0; !err && i < c->snapshots.n; i++) {
		s.at = c->snapshots.list[i];
		s.from = 0;
		err = meta_view(c->meta, s.at, &s.view);
		if (err)
			break;
		err = look_through(c, &s);
		meta_close(s.view);
		/* The next one looks at what this one was given. */
		if (!err && c->o->repair != CHECK_ONLY)
			err = meta_checkpoint(c->meta, &batch);
	}
	free(s.list);
	return err;
}
