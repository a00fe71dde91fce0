/*
 * Extents and space. The runs of blocks that extents have are kept as two sorted lists, where they begin and where they
 * end: going through both tells how many extents have each block, which is compared with the table of space.
 */
#include <string.h>

#include "backends/cairn/cairn-check-impl.h"
#include "backends/cairn/cairn-snapshot.h"
#include "base/cursor.h"

#define SPACE_SIZE 24u

/* ---- extents */

void check_keep_for_snapshots(struct check *c, uint64_t ino, const struct cairn_extent *e, uint64_t at, uint64_t n)
{
	struct cairn_ref ref = {{e->place + at, n}, ino, e->first + at, e->born, -1};
	if (cairn_has_blocks(e->kind) && e->born <= c->newest)
		cairn_put_dead(&c->txn, c->newest, &ref);
}

/* The extent before, of the same file. */
struct before {
	uint64_t ino;
	struct cairn_extent e;
};

static void add_run(struct check *c, uint64_t first, uint64_t n)
{
	struct check_numbers *ends = &c->ends;
	if (ends->n && ends->list[ends->n - 1] == first) {
		ends->list[ends->n - 1] += n;
		return;
	}
	c->err = check_number_add(&c->starts, first);
	if (!c->err)
		c->err = check_number_add(ends, first + n);
}

/* As it is read: the second extent counts from where it begins. */
static void cut_before(struct check *c, struct check_inode *ci, uint64_t n)
{
	struct cairn_extent *e = &((struct before *)c->arg)->e;
	uint64_t less = e->n - n;
	check_keep_for_snapshots(c, ci->ino, e, n, less);
	e->n = n;
	cairn_put_extent(&c->txn, ci->ino, e);
	if (!cairn_has_blocks(e->kind))
		return;
	/* Its run is the last that was added, or the end of that. */
	c->ends.list[c->ends.n - 1] -= less;
	ci->blocks_off += less;
}

static void count_extent(struct check *c, struct check_inode *ci, const struct cairn_extent *e)
{
	if (cairn_has_blocks(e->kind)) {
		ci->blocks_off -= e->n;
		add_run(c, e->place, e->n);
	} else {
		ci->flags |= CI_LOSS;
	}
}

static bool look_at_extent(struct check *c, const struct meta_record *r)
{
	struct before *before = c->arg;
	uint64_t ino = meta_key_first(r->key);
	struct check_inode *ci = check_inode_find(c, ino);
	struct cairn_extent e;
	if (cairn_extent_decode(r, &e))
		return true;
	if (c->rolling) {
		/* Whether it has an inode yet, and which, does not matter. */
		if (cairn_has_blocks(e.kind))
			add_run(c, e.place, e.n);
		return !c->err;
	}
	if (!ci || ci->type != OP_TYPE_FILE) {
		if (check_found_record(c, CHECK_EXTENT_STRAY, META_EXTENTS, r->key, ino)) {
			check_keep_for_snapshots(c, ino, &e, 0, e.n);
			meta_delete(&c->txn, META_EXTENTS, r->key);
		}
		return true;
	}
	if (ino == before->ino && before->e.first + before->e.n > e.first &&
	    check_found_record(c, CHECK_EXTENT_OVERLAP, META_EXTENTS, r->key, ino))
		cut_before(c, ci, e.first - before->e.first);
	count_extent(c, ci, &e);
	before->ino = ino;
	before->e = e;
	return !c->err;
}

/* What only snapshots have has no file: its references are records of their own. */
static bool look_at_dead(struct check *c, const struct meta_record *r)
{
	struct cursor cur;
	cursor_init(&cur, (void *)r->body, r->size);
	uint64_t first = cursor_le64(&cur);
	uint64_t n = cursor_le64(&cur);
	add_run(c, first, n);
	c->n_dead += n;
	return !c->err;
}

/* ---- extents that are gone */

struct holes {
	struct check *c;
	uint64_t ino;
	uint64_t next; /* the first block that is not known to be in an extent */
};

static bool lose_hole(void *arg, const struct meta_record *r)
{
	struct holes *h = arg;
	struct cairn_extent e;
	if (meta_key_first(r->key) != h->ino)
		return false;
	if (cairn_extent_decode(r, &e))
		return true;
	if (e.first > h->next)
		check_put_lost(h->c, h->ino, h->next, e.first - h->next);
	h->next = MAX(h->next, e.first + e.n);
	return true;
}

/* Which of its holes were data nobody can tell. */
static int lose_holes(struct check *c, struct check_inode *ci)
{
	struct holes h = {c, ci->ino, ci->flags & CI_INLINE ? 1 : 0};
	struct meta_key key = meta_key_pair(ci->ino, 0);
	uint64_t end = cairn_blocks(ci->size);
	int err = meta_scan(c->meta, META_EXTENTS, &key, META_FROM, lose_hole, &h);
	if (!err && h.next < end)
		check_put_lost(c, ci->ino, h.next, end - h.next);
	return err ? err : check_commit(c);
}

int check_extents(struct check *c)
{
	struct before before = {.ino = 0};
	c->arg = &before;
	int err = check_table(c, META_EXTENTS, look_at_extent);
	for (uint32_t i = 0; !err && i < c->n_inodes; i++) {
		struct check_inode *ci = &c->inodes[i];
		bool fewer = (int64_t)ci->blocks_off > 0 && ci->type == OP_TYPE_FILE && !(ci->flags & CI_LOSS);
		if (fewer && check_found_inode(c, CHECK_EXTENTS_GONE, ci->ino))
			err = lose_holes(c, ci);
	}
	if (!err)
		err = check_table(c, META_DEAD, look_at_dead);
	check_numbers_sort(&c->starts);
	check_numbers_sort(&c->ends);
	return err;
}

/* ---- space */

/* A stretch of blocks with as many references. */
struct stretch {
	uint64_t first, n;
	uint32_t references;
};

/* Goes through the blocks of the store in order. */
struct sweep {
	const struct check_numbers *starts, *ends;
	uint64_t start, end;   /* the next of each */
	uint64_t at;
	uint32_t references;
};

static uint64_t next_of(const struct check_numbers *l, uint64_t i, uint64_t limit)
{
	return i < l->n ? MIN(l->list[i], limit) : limit;
}

static struct stretch sweep_step(struct sweep *s, uint64_t limit)
{
	for (; s->start < s->starts->n && s->starts->list[s->start] <= s->at; s->start++)
		s->references++;
	for (; s->end < s->ends->n && s->ends->list[s->end] <= s->at; s->end++)
		s->references--;
	uint64_t next = MIN(next_of(s->starts, s->start, limit), next_of(s->ends, s->end, limit));
	struct stretch found = {s->at, next - s->at, s->references};
	s->at = next;
	return found;
}

/* The longest stretch of the same kind before limit. */
static bool sweep_next(struct sweep *s, uint64_t limit, struct stretch *found)
{
	if (s->at >= limit)
		return false;
	*found = sweep_step(s, limit);
	while (s->at < limit) {
		struct sweep before = *s;
		struct stretch more = sweep_step(s, limit);
		if (more.references != found->references) {
			*s = before;
			break;
		}
		found->n += more.n;
	}
	return true;
}

/* Records of space do not cross segments. */
static void put_space(struct check *c, const struct stretch *s, uint64_t born)
{
	uint64_t first = s->first, end = s->first + s->n;
	while (first < end) {
		uint64_t n = MIN(end - first, CAIRN_SEGMENT_BLOCKS - first % CAIRN_SEGMENT_BLOCKS);
		uint8_t body[SPACE_SIZE];
		struct meta_key key = meta_key_number(first);
		struct cursor cur;
		cursor_init(&cur, body, sizeof(body));
		cursor_put_le64(&cur, n);
		cursor_put_le32(&cur, s->references);
		cursor_put_le32(&cur, 0);
		cursor_put_le64(&cur, born);
		meta_put(&c->txn, META_SPACE, &key, body, sizeof(body));
		first += n;
	}
}

static bool found_stretch(struct check *c, enum check_kind kind, const struct stretch *s)
{
	struct check_place at = {.has_key = true,
	                         .table = META_SPACE,
	                         .key = meta_key_number(s->first),
	                         .offset = s->first * CAIRN_BLOCK_SIZE,
	                         .size = s->n * CAIRN_BLOCK_SIZE,
	                         .where = "data"};
	return check_found(c, kind, &at);
}

/* What extents have before limit, and no record does. */
static void cover_gap(struct check *c, uint64_t limit)
{
	struct stretch s;
	while (sweep_next(c->arg, limit, &s)) {
		c->n_blocks += s.references ? s.n : 0;
		if (s.references && found_stretch(c, CHECK_SPACE_MISSING, &s))
			put_space(c, &s, 0);
	}
}

/* A record of n blocks from where the sweep is. */
static void compare(struct check *c, const struct meta_record *r, const struct stretch *told, uint64_t born)
{
	struct sweep *sweep = c->arg, before = *sweep;
	struct stretch s;
	bool differs = false, repair = true;
	while (sweep_next(sweep, told->first + told->n, &s)) {
		c->n_blocks += s.references ? s.n : 0;
		if (s.references == told->references)
			continue;
		differs = true;
		repair = found_stretch(c, s.references ? CHECK_SPACE_REFERENCES : CHECK_SPACE_LEAK, &s) && repair;
	}
	if (!differs || !repair)
		return;
	meta_delete(&c->txn, META_SPACE, r->key);
	for (*sweep = before; sweep_next(sweep, told->first + told->n, &s);)
		if (s.references)
			put_space(c, &s, born ? born : r->batch);
}

static bool look_at_space(struct check *c, const struct meta_record *r)
{
	const struct sweep *sweep = c->arg;
	struct cursor cur;
	cursor_init(&cur, (void *)r->body, r->size);
	struct stretch told = {r->key->number, cursor_le64(&cur), cursor_le32(&cur)};
	cursor_skip(&cur, 4);
	uint64_t born = cursor_le64(&cur);
	if (told.first < sweep->at) {
		/* What it covers beyond the one before it is put when the next is looked at. */
		if (found_stretch(c, CHECK_SPACE_OVERLAP, &told))
			meta_delete(&c->txn, META_SPACE, r->key);
		return true;
	}
	cover_gap(c, told.first);
	compare(c, r, &told, born);
	return !c->err;
}

int check_space(struct check *c)
{
	struct sweep sweep = {.starts = &c->starts, .ends = &c->ends};
	c->arg = &sweep;
	c->n_blocks = 0;
	int err = check_table(c, META_SPACE, look_at_space);
	if (!err)
		cover_gap(c, UINT64_MAX);
	check_numbers_fini(&c->starts);
	check_numbers_fini(&c->ends);
	return err;
}
