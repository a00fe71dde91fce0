/* See tables.h. */
#include "tests/unit/cairn/tables.h"

#include <stdio.h>
#include <stdlib.h>

#include "backends/cairn/cairn-snapshot.h"
#include "base/cursor.h"

/* From that block of the store on there are so many more references than are counted. */
struct step {
	uint64_t at;
	int64_t delta;
};

struct sums {
	struct step *usage; /* by key of a counter: what inodes have over what it says */
	size_t n_usage, max_usage;
	uint64_t inodes, blocks_of_inodes, extents, space, entries, order, links, old;
	struct step *steps;
	size_t n_steps, max_steps;
	bool bad;
};

static void add_step(struct sums *s, uint64_t at, int64_t delta)
{
	if (s->n_steps == s->max_steps) {
		s->max_steps = s->max_steps ? 2 * s->max_steps : 64;
		s->steps = realloc(s->steps, s->max_steps * sizeof(*s->steps));
	}
	s->steps[s->n_steps++] = (struct step){at, delta};
}

static void add_refs(struct sums *s, uint64_t first, uint64_t n, int64_t refs)
{
	add_step(s, first, refs);
	add_step(s, first + n, -refs);
}

static int by_place(const void *a, const void *b)
{
	const struct step *x = a, *y = b;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Each block is in as many extents as the table of space says. */
static bool counts_agree(struct sums *s)
{
	int64_t sum = 0;
	if (s->n_steps)
		qsort(s->steps, s->n_steps, sizeof(*s->steps), by_place);
	for (size_t i = 0; i < s->n_steps; i++) {
		sum += s->steps[i].delta;
		if (sum && (i + 1 == s->n_steps || s->steps[i + 1].at != s->steps[i].at)) {
			fprintf(stderr, "tables: block %llu of the store has %lld references more than counted\n",
			        (unsigned long long)s->steps[i].at, (long long)sum);
			return false;
		}
	}
	return true;
}

static void add_usage(struct sums *s, uint64_t key, int64_t value)
{
	if (s->n_usage == s->max_usage) {
		s->max_usage = s->max_usage ? 2 * s->max_usage : 64;
		s->usage = realloc(s->usage, s->max_usage * sizeof(*s->usage));
	}
	s->usage[s->n_usage++] = (struct step){key, value};
}

static void add_owner(struct sums *s, uint64_t kind, uint32_t id, const struct cairn_inode *inode)
{
	uint64_t key = 1ULL << 40 | kind << 36 | id;
	add_usage(s, key, (int64_t)(inode->n_blocks * CAIRN_BLOCK_SIZE));
	add_usage(s, key | 1ULL << 35, 1);
}

static bool subtract_usage(void *arg, const struct meta_record *r)
{
	struct cursor c;
	cursor_init(&c, (void *)r->body, r->size);
	add_usage(arg, r->key->number, -(int64_t)cursor_le64(&c));
	return true;
}

/* Owners, groups and projects have what is counted for them. */
static bool usage_agrees(struct sums *s)
{
	int64_t sum = 0;
	if (s->n_usage)
		qsort(s->usage, s->n_usage, sizeof(*s->usage), by_place);
	for (size_t i = 0; i < s->n_usage; i++) {
		sum += s->usage[i].delta;
		if (sum && (i + 1 == s->n_usage || s->usage[i + 1].at != s->usage[i].at)) {
			fprintf(stderr, "tables: counter %llx: inodes have %lld more\n", (unsigned long long)s->usage[i].at, (long long)sum);
			return false;
		}
	}
	return true;
}

static bool sum_inode(void *arg, const struct meta_record *r)
{
	struct sums *s = arg;
	struct cairn_inode inode;
	s->bad |= cairn_inode_decode(r->body, r->size, &inode) != 0;
	s->inodes++;
	add_owner(s, QUOTA_USER, inode.attr.uid, &inode);
	add_owner(s, QUOTA_GROUP, inode.attr.gid, &inode);
	if (inode.attr.project)
		add_owner(s, QUOTA_PROJECT, inode.attr.project, &inode);
	s->blocks_of_inodes += inode.n_blocks;
	s->links += inode.attr.type == OP_TYPE_DIR ? inode.n_entries : 0;
	return true;
}

static bool sum_extent(void *arg, const struct meta_record *r)
{
	struct sums *s = arg;
	struct cairn_extent e;
	s->bad |= cairn_extent_decode(r, &e) != 0;
	if (cairn_has_blocks(e.kind)) {
		s->extents += e.n;
		add_refs(s, e.place, e.n, 1);
	}
	return true;
}

static bool sum_dead(void *arg, const struct meta_record *r)
{
	struct sums *s = arg;
	struct cairn_ref ref = {.ino = 0};
	uint64_t newest;
	s->bad |= cairn_dead_decode(r, &newest, &ref) != 0;
	s->old++;
	add_refs(s, ref.place.first, ref.place.n, 1);
	return true;
}

static bool count_old(void *arg, const struct meta_record *r)
{
	((struct sums *)arg)->old++;
	return true;
}

static bool sum_space(void *arg, const struct meta_record *r)
{
	struct sums *s = arg;
	struct cairn_space space;
	s->bad |= cairn_space_decode(r, &space) != 0;
	s->space += space.range.n;
	add_refs(s, space.range.first, space.range.n, -(int64_t)space.refs);
	return true;
}

static bool count_entry(void *arg, const struct meta_record *r)
{
	((struct sums *)arg)->entries++;
	return true;
}

static bool count_order(void *arg, const struct meta_record *r)
{
	((struct sums *)arg)->order++;
	return true;
}

/* What snapshots have besides. */
static bool sum_all(const char *dir, uint64_t *old)
{
	static const struct {
		enum meta_table table;
		meta_visit_fn *visit;
	} scans[] = {{META_INODES, sum_inode}, {META_EXTENTS, sum_extent}, {META_SPACE, sum_space},
	             {META_ENTRIES, count_entry}, {META_ORDER, count_order}, {META_DEAD, sum_dead},
	             {META_HISTORY, count_old}};
	char path[256];
	struct meta_key first = meta_key_number(0), start = meta_key_name(0, "", 0);
	struct meta_config cfg = {.dir = path, .size_max = 1ULL << 40, .read_only = true};
	struct sums s = {.inodes = 0};
	struct meta *meta;
	int64_t inodes = 0, blocks = 0;
	snprintf(path, sizeof(path), "%s/meta", dir);
	if (meta_open(&meta, &cfg))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(scans); i++) {
		bool number = scans[i].table == META_INODES || scans[i].table == META_SPACE;
		s.bad |= meta_scan(meta, scans[i].table, number ? &first : &start, META_FROM, scans[i].visit, &s) != 0;
	}
	struct meta_key usage = meta_key_number(1ULL << 40);
	s.bad |= meta_scan(meta, META_COUNTERS, &usage, META_FROM, subtract_usage, &s) != 0;
	s.bad |= meta_counter(meta, META_N_INODES, &inodes) || meta_counter(meta, META_N_BLOCKS, &blocks);
	meta_close(meta);
	bool agree = !s.bad && counts_agree(&s) && usage_agrees(&s) && s.inodes == (uint64_t)inodes && s.blocks_of_inodes == s.extents &&
	             s.space == (uint64_t)blocks && s.entries == s.order && s.links == s.entries;
	free(s.steps);
	free(s.usage);
	*old = s.old;
	if (!agree)
		fprintf(stderr, "tables: %s%llu inodes (counter %lld), blocks: %llu in inodes, %llu in extents, %llu in space (counter %lld), "
		        "%llu entries, %llu in order, %llu in directories\n", s.bad ? "damaged, " : "",
		        (unsigned long long)s.inodes, (long long)inodes, (unsigned long long)s.blocks_of_inodes,
		        (unsigned long long)s.extents, (unsigned long long)s.space, (long long)blocks,
		        (unsigned long long)s.entries, (unsigned long long)s.order, (unsigned long long)s.links);
	return agree;
}

bool tables_agree(const char *dir)
{
	uint64_t old;
	return sum_all(dir, &old);
}

uint64_t tables_n_old(const char *dir)
{
	uint64_t old = UINT64_MAX;
	return sum_all(dir, &old) ? old : UINT64_MAX;
}
