/*
 * See cairn-check-page.h. LMDB's format: two pages of its own, of which the one with the higher transaction counts; trees of
 * branch pages, which have keys and pages, over leaf pages, which have keys and values; large values in rows of pages of
 * their own. The first tree has the free pages, the second the names of the tables, each with its tree.
 */
#include "backends/cairn/cairn-check-page.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"

#define HEAD_SIZE 16u
#define NODE_HEAD_SIZE 8u
#define KEY_MAX 511u
#define DEPTH_MAX 32u
#define NO_PAGE UINT64_MAX
#define MAGIC 0xBEEFC0DEu
#define FORMAT 1u
#define FIRST_PAGE 2u
#define SMALL_FILE 4096u /* pages */
#define UNWRITTEN_MAX 4096u /* pages behind the end of the file: a transaction that took them and gave them back wrote none */

/* Flags of pages, of values. */
enum { BRANCH = 1, LEAF = 2, OVERFLOW = 4, META = 8 };
enum { LARGE = 1, TREE = 2 };
enum { NUMBER_KEYS = 8, NO_DIRECTORY = 0x4000 }; /* the second with the first tree only: how the file was made */

/* Where things are in the first two pages. */
enum { META_MAGIC = 16, META_VERSION = 20, META_ADDRESS = 24, META_TREES = 40, META_LAST = 136, META_TXN = 144 };

struct lmdb_tree {
	uint16_t flags, depth;
	uint64_t n_branches, n_leaves, n_large, n_entries, root;
};

#define TREE_SIZE 48u

struct node {
	const uint8_t *key, *value; /* value NULL: in pages of its own */
	uint32_t key_size, size;
	uint64_t page;              /* of a branch, of a large value */
	uint16_t flags;
};

struct bound {
	const uint8_t *key; /* NULL: none */
	uint32_t size;
};

static const struct bound NONE;

struct walk {
	struct page_file *f;
	struct check *c;
	page_record_fn *fn;
	void *arg;
	int table;
	struct lmdb_tree told, seen;
};

/* ---- bits and bytes */

static uint64_t word(const uint8_t *at)
{
	struct cursor c;
	cursor_init(&c, (void *)at, 8);
	return cursor_le64(&c);
}

static uint16_t half(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static const uint8_t *page_at(const struct page_file *f, uint64_t page)
{
	return f->base + page * PAGE_SIZE;
}

/* False: it was set before. */
static bool mark(uint8_t *bits, uint64_t page)
{
	uint8_t bit = (uint8_t)(1u << page % 8);
	bool was = bits[page / 8] & bit;
	bits[page / 8] |= bit;
	return !was;
}

static bool is_marked(const uint8_t *bits, uint64_t page)
{
	return bits[page / 8] & 1u << page % 8;
}

static void note(struct walk *w, uint64_t page)
{
	w->f->bad = w->f->n_bad++ ? w->f->bad : page;
	if (w->c)
		check_found(w->c, CHECK_PAGE, &(struct check_place){.where = "meta/data.mdb", .offset = page * PAGE_SIZE, .size = PAGE_SIZE});
}

/* ---- one page */

static uint32_t n_nodes(const uint8_t *page)
{
	uint32_t lower = half(page + 12);
	return lower < HEAD_SIZE || lower > PAGE_SIZE ? 0 : (lower - HEAD_SIZE) / 2;
}

/* The i-th node, if it is within the page. */
static bool get_node(const uint8_t *page, uint32_t i, bool leaf, struct node *n)
{
	uint32_t at = half(page + HEAD_SIZE + 2 * i);
	if (at < HEAD_SIZE || at > PAGE_SIZE - NODE_HEAD_SIZE)
		return false;
	uint32_t low = half(page + at) | (uint32_t)half(page + at + 2) << 16;
	n->flags = half(page + at + 4);
	n->key_size = half(page + at + 6);
	n->key = page + at + NODE_HEAD_SIZE;
	uint32_t room = PAGE_SIZE - at - NODE_HEAD_SIZE;
	if (n->key_size > KEY_MAX || n->key_size > room)
		return false;
	n->size = leaf ? low : 0;
	n->value = n->key + n->key_size;
	n->page = leaf ? 0 : low | (uint64_t)n->flags << 32;
	room -= n->key_size;
	if (!leaf)
		return true;
	if (!(n->flags & LARGE))
		return n->size <= room;
	n->page = room < 8 ? 0 : word(n->value);
	n->value = NULL;
	return room >= 8;
}

static uint32_t room_of(const struct node *n, bool leaf)
{
	uint32_t value = !leaf ? 0 : n->flags & LARGE ? 8 : n->size;
	return (NODE_HEAD_SIZE + n->key_size + value + 1) & ~1u;
}

static bool has_number_keys(int table)
{
	return table == PAGE_TABLE_FREE || (table >= 0 && meta_key_is_number(table));
}

static int compare(int table, const uint8_t *a, uint32_t a_size, const uint8_t *b, uint32_t b_size)
{
	if (has_number_keys(table)) {
		uint64_t x = word(a), y = word(b);
		return x < y ? -1 : x > y;
	}
	int cmp = memcmp(a, b, MIN(a_size, b_size));
	return cmp ? cmp : a_size < b_size ? -1 : a_size > b_size;
}

static bool is_key_right(int table, const struct node *n)
{
	if (has_number_keys(table))
		return n->key_size == 8;
	return n->key_size > 0 && n->key_size <= (table >= 0 ? META_KEY_MAX : KEY_MAX);
}

/* Free pages are a row of numbers, their count first; tables are trees; records have a head and a checksum. */
static bool is_value_right(int table, const struct node *n)
{
	if (table == PAGE_TABLE_NAMES)
		return n->flags == TREE && n->size == TREE_SIZE;
	return (n->flags == 0 || n->flags == LARGE) && (table != PAGE_TABLE_FREE || (n->size >= 8 && n->size % 8 == 0));
}

static bool is_head_right(const uint8_t *page, uint64_t number, bool leaf)
{
	uint32_t lower = half(page + 12), upper = half(page + 14);
	return word(page) == number && half(page + 10) == (leaf ? LEAF : BRANCH) && lower >= HEAD_SIZE + 2 && lower % 2 == 0 &&
	       lower <= upper && upper <= PAGE_SIZE;
}

/* The first key of a branch stands for all that are lower: it is not looked at. */
static bool are_nodes_right(const struct walk *w, const uint8_t *page, bool leaf, struct bound from, struct bound to)
{
	uint32_t room = 0;
	for (uint32_t i = 0; i < n_nodes(page); i++) {
		struct node n;
		if (!get_node(page, i, leaf, &n) || half(page + HEAD_SIZE + 2 * i) < half(page + 14))
			return false;
		room += room_of(&n, leaf);
		if (leaf && !is_value_right(w->table, &n))
			return false;
		if (!leaf && i == 0)
			continue;
		if (!is_key_right(w->table, &n))
			return false;
		/* The first may be the one that stands above the page. */
		int least = i == (leaf ? 0 : 1) ? 0 : 1;
		if (from.key && compare(w->table, n.key, n.key_size, from.key, from.size) < least)
			return false;
		from = (struct bound){n.key, n.key_size};
		if (to.key && compare(w->table, n.key, n.key_size, to.key, to.size) >= 0)
			return false;
	}
	/* They fill what is not free between them and the head. */
	return room == PAGE_SIZE - half(page + 14);
}

static bool is_in_use(const struct page_file *f, uint64_t page, uint64_t n)
{
	return page >= FIRST_PAGE && page <= f->last && n <= f->last - page + 1 && page < f->n && n <= f->n - page;
}

/* A value in pages of its own: where it is, NULL if it is not there. */
static const uint8_t *large_value(struct walk *w, const struct node *n, bool marks)
{
	uint64_t pages = ((uint64_t)HEAD_SIZE + n->size + PAGE_SIZE - 1) / PAGE_SIZE;
	if (!is_in_use(w->f, n->page, pages))
		return NULL;
	const uint8_t *page = page_at(w->f, n->page);
	if (word(page) != n->page || half(page + 10) != OVERFLOW || (half(page + 12) | (uint64_t)half(page + 14) << 16) != pages)
		return NULL;
	bool fresh = true;
	for (uint64_t i = 0; marks && i < pages; i++)
		fresh = mark(w->f->used, n->page + i) && fresh;
	w->seen.n_large += pages;
	return fresh ? page + HEAD_SIZE : NULL;
}

/* ---- trees */

static void take_free(struct walk *w, const uint8_t *list, uint32_t size, uint64_t in_page)
{
	uint64_t n = word(list);
	bool right = n == size / 8 - 1;
	for (uint64_t i = 1; right && i <= n; i++) {
		uint64_t page = word(list + 8 * i);
		right = page >= FIRST_PAGE && page <= w->f->last && mark(w->f->unused, page);
	}
	if (!right)
		note(w, in_page);
}

static void take_leaf(struct walk *w, const uint8_t *page, uint64_t number, bool marks)
{
	for (uint32_t i = 0; i < n_nodes(page); i++) {
		struct node n;
		if (!get_node(page, i, true, &n))
			continue;
		const uint8_t *value = n.flags & LARGE ? large_value(w, &n, marks) : n.value;
		if (!value && marks)
			note(w, number);
		if (value && w->table == PAGE_TABLE_FREE && n.size >= 8)
			take_free(w, value, n.size, number);
		else if (value && w->fn && w->table != PAGE_TABLE_NAMES)
			w->fn(w->arg, w->table, n.key, n.key_size, value, n.size);
	}
}

static void walk_page(struct walk *w, uint64_t number, uint32_t level, struct bound from, struct bound to);

static bool goes_deeper(const struct walk *w, uint32_t level)
{
	return w->f->levels == 0 || w->table < 0 || w->told.depth - level + 1 < w->f->levels;
}

/* The bounds of the children are the keys of the page, if they can be trusted. */
static void walk_children(struct walk *w, const uint8_t *page, uint32_t level, struct bound from, struct bound to, bool right)
{
	for (uint32_t i = 0; i < n_nodes(page); i++) {
		struct bound low = from, high = to;
		struct node n, next;
		if (!get_node(page, i, false, &n)) {
			w->f->incomplete = true;
			continue;
		}
		if (i && right)
			low = (struct bound){n.key, n.key_size};
		if (right && i + 1 < n_nodes(page) && get_node(page, i + 1, false, &next))
			high = (struct bound){next.key, next.key_size};
		walk_page(w, n.page, level - 1, low, high);
	}
	w->f->incomplete |= !right;
}

static void walk_page(struct walk *w, uint64_t number, uint32_t level, struct bound from, struct bound to)
{
	bool leaf = level == 1;
	if (!is_in_use(w->f, number, 1) || !mark(w->f->used, number)) {
		note(w, number);
		w->f->incomplete = true;
		return;
	}
	const uint8_t *page = page_at(w->f, number);
	bool right = is_head_right(page, number, leaf) && are_nodes_right(w, page, leaf, from, to);
	if (!right)
		note(w, number);
	w->seen.n_leaves += leaf;
	w->seen.n_branches += !leaf;
	/* It is what it says of itself when it stands where it cannot. */
	bool astray = !right && !leaf && half(page + 10) == LEAF;
	if (leaf || astray) {
		w->f->incomplete |= !right && half(page + 10) == BRANCH;
		w->seen.n_entries += n_nodes(page);
		take_leaf(w, page, number, true);
		return;
	}
	if (goes_deeper(w, level))
		walk_children(w, page, level, right ? from : NONE, right ? to : NONE, right);
}

static struct lmdb_tree get_tree(const uint8_t *at)
{
	return (struct lmdb_tree){.flags = half(at + 4), .depth = half(at + 6), .n_branches = word(at + 8), .n_leaves = word(at + 16),
	                     .n_large = word(at + 24), .n_entries = word(at + 32), .root = word(at + 40)};
}

static bool has_told(const struct lmdb_tree *told, const struct lmdb_tree *seen)
{
	return told->n_branches == seen->n_branches && told->n_leaves == seen->n_leaves && told->n_large == seen->n_large &&
	       told->n_entries == seen->n_entries;
}

/* in_page: which tells of the tree. */
static void walk_tree(struct walk *w, const uint8_t *at, int table, uint64_t in_page)
{
	uint16_t flags = has_number_keys(table) ? NUMBER_KEYS : 0;
	uint64_t bad = w->f->n_bad;
	w->told = get_tree(at);
	if (table == PAGE_TABLE_FREE)
		w->told.flags &= (uint16_t)~NO_DIRECTORY;
	w->seen = (struct lmdb_tree){.flags = flags, .depth = w->told.depth, .root = w->told.root};
	w->table = table;
	bool empty = w->told.root == NO_PAGE && w->told.depth == 0;
	if (w->told.flags != flags || (!empty && (w->told.depth == 0 || w->told.depth > DEPTH_MAX)))
		note(w, in_page);
	if (w->told.depth == 0 || w->told.depth > DEPTH_MAX)
		w->f->incomplete |= !empty;
	else
		walk_page(w, w->told.root, w->told.depth, NONE, NONE);
	bool whole = w->f->levels == 0 || table < 0;
	if (whole && w->f->n_bad == bad && !has_told(&w->told, &w->seen))
		note(w, in_page);
}

static int table_named(const struct node *n)
{
	for (int i = 0; i < META_N_TABLES; i++)
		if (n->key_size == strlen(meta_table_name(i)) && memcmp(n->key, meta_table_name(i), n->key_size) == 0)
			return i;
	return PAGE_NO_TABLE;
}

/* The names fit one page: there are a dozen. */
static void walk_tables(struct walk *w, uint64_t root)
{
	uint32_t found = 0;
	if (!is_in_use(w->f, root, 1))
		return;
	const uint8_t *page = page_at(w->f, root);
	for (uint32_t i = 0; i < n_nodes(page); i++) {
		struct node n;
		if (!get_node(page, i, true, &n) || n.size != TREE_SIZE || !n.value)
			continue;
		int table = table_named(&n);
		if (table < 0)
			note(w, root);
		else
			found |= 1u << table;
		walk_tree(w, n.value, table, root);
	}
	w->f->incomplete |= found != (1u << META_N_TABLES) - 1;
}

/* ---- the file */

static const uint8_t *meta_of(const struct page_file *f, uint64_t i)
{
	return f->base + i * PAGE_SIZE;
}

static uint64_t txn_of(const uint8_t *meta)
{
	return word(meta + META_TXN);
}

static bool is_meta(const struct page_file *f, uint64_t i)
{
	const uint8_t *m = meta_of(f, i);
	struct cursor c;
	cursor_init(&c, (void *)(m + META_MAGIC), 8);
	uint32_t magic = cursor_le32(&c), version = cursor_le32(&c);
	cursor_init(&c, (void *)(m + META_TREES), 4);
	uint32_t page_size = cursor_le32(&c);
	return word(m) == i && half(m + 10) == META && magic == MAGIC && version == FORMAT && word(m + META_ADDRESS) == 0 &&
	       page_size == PAGE_SIZE && (half(m + META_TREES + 4) & ~NO_DIRECTORY) == NUMBER_KEYS && word(m + META_LAST) < f->n + UNWRITTEN_MAX;
}

/* The transaction that made a tree has freed pages, mostly: the highest key of the list of free pages. */
static uint64_t made_by(const struct page_file *f, const uint8_t *meta)
{
	struct lmdb_tree t = get_tree(meta + META_TREES);
	uint64_t at = t.root;
	struct node n;
	for (uint32_t depth = t.depth; depth && depth <= DEPTH_MAX && at >= FIRST_PAGE && at < f->n; depth--) {
		const uint8_t *page = page_at(f, at);
		if (n_nodes(page) == 0 || !get_node(page, n_nodes(page) - 1, depth == 1, &n))
			return 0;
		if (depth == 1)
			return n.key_size == 8 ? word(n.key) : 0;
		at = n.page;
	}
	return 0;
}

/* Transactions alternate between the two, so that one flipped bit in their numbers shows. */
static bool choose_meta(struct page_file *f)
{
	bool a = is_meta(f, 0), b = is_meta(f, 1);
	uint64_t x = txn_of(meta_of(f, 0)), y = txn_of(meta_of(f, 1));
	bool right = a && b && ((x == 0 && y == 0) || (x % 2 == 0 && y % 2 == 1 && (x + 1 == y || y + 1 == x)));
	bool second = y > x;
	if (!right && a && b)
		second = made_by(f, meta_of(f, 1)) > made_by(f, meta_of(f, 0));
	else if (!right)
		second = b;
	f->meta = meta_of(f, second);
	return right;
}

static uint64_t n_bits(const struct page_file *f)
{
	return f->n + UNWRITTEN_MAX;
}

int page_open(struct page_file *f, int dir_fd, const char *name)
{
	struct stat st;
	*f = (struct page_file){.n = 0};
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		int err = err_from_errno(errno);
		if (fd >= 0)
			close(fd);
		return err;
	}
	f->n = (uint64_t)st.st_size / PAGE_SIZE;
	void *base = f->n < FIRST_PAGE ? MAP_FAILED : mmap(NULL, f->n * PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	f->used = calloc(n_bits(f) / 8 + 1, 1);
	f->unused = calloc(n_bits(f) / 8 + 1, 1);
	if (base != MAP_FAILED)
		f->base = base;
	if (f->base && f->used && f->unused)
		return 0;
	page_close(f);
	return f->n < FIRST_PAGE ? ERR_IO : ERR_NOMEM;
}

void page_close(struct page_file *f)
{
	if (f->base)
		munmap((void *)f->base, f->n * PAGE_SIZE);
	f->base = NULL;
	free(TAKE(f->used));
	free(TAKE(f->unused));
}

/* The numbers of all pages are those in trees, those on the list, and the first two. */
static void account(struct page_file *f, struct walk *w)
{
	for (uint64_t i = FIRST_PAGE; i <= f->last; i++) {
		if (is_marked(f->used, i) && is_marked(f->unused, i))
			note(w, i);
		f->n_stray += !is_marked(f->used, i) && !is_marked(f->unused, i);
	}
}

void page_walk(struct page_file *f, struct check *c, page_record_fn *fn, void *arg)
{
	struct walk w = {.f = f, .c = c, .fn = fn, .arg = arg};
	f->n_bad = f->n_stray = 0;
	memset(f->used, 0, n_bits(f) / 8 + 1);
	memset(f->unused, 0, n_bits(f) / 8 + 1);
	if (!choose_meta(f)) {
		note(&w, 0);
		f->incomplete = true;
	}
	f->last = MIN(word(f->meta + META_LAST), n_bits(f) - 1);
	walk_tree(&w, f->meta + META_TREES, PAGE_TABLE_FREE, 0);
	const uint8_t *names = f->meta + META_TREES + TREE_SIZE;
	/* A store's environment that nobody has written to. */
	if (get_tree(names).root == NO_PAGE && txn_of(f->meta) == 0)
		return;
	walk_tree(&w, names, PAGE_TABLE_NAMES, 0);
	walk_tables(&w, get_tree(names).root);
	if (f->levels == 0)
		account(f, &w);
}

int page_look(int dir_fd, const char *name, uint64_t *bad)
{
	struct page_file f;
	int err = page_open(&f, dir_fd, name);
	*bad = 0;
	if (err)
		return err;
	f.levels = f.n <= SMALL_FILE ? 0 : 1;
	page_walk(&f, NULL, NULL, NULL);
	*bad = f.bad * PAGE_SIZE;
	err = f.n_bad ? ERR_IO : 0;
	page_close(&f);
	return err;
}

void page_strays(struct page_file *f, page_record_fn *fn, void *arg)
{
	struct walk w = {.f = f, .fn = fn, .arg = arg, .table = PAGE_NO_TABLE};
	f->last = f->n - 1;
	for (uint64_t i = FIRST_PAGE; i < f->n; i++) {
		const uint8_t *page = page_at(f, i);
		if (!is_marked(f->used, i) && !is_marked(f->unused, i) && half(page + 10) == LEAF)
			take_leaf(&w, page, i, false);
	}
}
