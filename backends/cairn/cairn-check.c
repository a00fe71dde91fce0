/* The course of a check: findings, walks through tables with repairs committed between, and the phases in their order. */
#include "backends/cairn/cairn-check-page.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TABLES "meta/data.mdb"
#define CHUNK 1024u /* records in one look at a table */

static const struct {
	const char *name;
	bool safe; /* repairing it loses nothing */
	const char *text;
	const char *remedy;
} kinds[CHECK_N_KINDS] = {
	[CHECK_SUPER] = {"superblock", false, "the superblock is damaged or missing", "made anew from what is legible"},
	[CHECK_SUPER_BIT] = {"superblock-bit", true, "a bit of the superblock is flipped", "flipped back"},
	[CHECK_PAGE] = {"page", false, "a page of the tables' file is damaged", "tables made anew from all legible records"},
	[CHECK_PAGE_STRAY] = {"page-leak", true, "pages of the tables' file are neither used nor free", "tables made anew"},
	[CHECK_RECORD] = {"record", false, "a record is damaged", "dropped"},
	[CHECK_RECORD_BIT] = {"record-bit", true, "a bit of a record is flipped", "flipped back"},
	[CHECK_RECORD_SHAPE] = {"record-shape", false, "a record has values that none may have", "dropped"},
	[CHECK_INODE_GONE] = {"inode-gone", false, "an inode is gone that others refer to", "made anew from those"},
	[CHECK_INLINE_STRAY] = {"inline-stray", false, "inline data belongs to no inode", "dropped"},
	[CHECK_INLINE_GONE] = {"inline-gone", false, "the inline data of an inode is gone", "reads answer an I/O error"},
	[CHECK_INLINE_SIZE] = {"inline-size", true, "the size of inline data is wrong", "corrected"},
	[CHECK_EXTENT_STRAY] = {"extent-stray", false, "an extent belongs to no file", "dropped"},
	[CHECK_EXTENT_OVERLAP] = {"extent-overlap", true, "extents of a file overlap", "the first ends before the second"},
	[CHECK_EXTENTS_GONE] = {"extents-gone", false, "extents of a file are gone", "reads of its holes answer an I/O error"},
	[CHECK_BLOCK] = {"block", false, "a block of data is damaged", "reads answer an I/O error"},
	[CHECK_SNAPSHOT_BLOCK] = {"snapshot-block", false, "a block that only snapshots have is damaged", "reads of it there answer an I/O error"},
	[CHECK_SNAPSHOT_GONE] = {"snapshot-gone", false, "extents of a snapshot's file are gone", "reads of its holes there answer an I/O error"},
	[CHECK_SEGMENT] = {"segment", false, "a segment file is missing or cut short", "its blocks are checked"},
	[CHECK_SPACE_MISSING] = {"space-missing", true, "blocks of an extent are not recorded as used", "recorded"},
	[CHECK_SPACE_LEAK] = {"space-leak", true, "blocks are recorded as used and belong to no extent", "freed"},
	[CHECK_SPACE_REFERENCES] = {"space-references", true, "blocks have a wrong count of references", "corrected"},
	[CHECK_SPACE_OVERLAP] = {"space-overlap", true, "records of used blocks overlap", "rebuilt from extents"},
	[CHECK_XATTR_STRAY] = {"xattr-stray", false, "an extended attribute belongs to no inode", "dropped"},
	[CHECK_ENTRY_STRAY] = {"entry-stray", false, "an entry is in no directory", "dropped"},
	[CHECK_ENTRY_DANGLING] = {"entry-dangling", false, "an entry refers to no inode", "dropped"},
	[CHECK_ENTRY_TYPE] = {"entry-type", true, "an entry tells another type than its inode", "corrected"},
	[CHECK_ENTRY_SECOND] = {"entry-second", false, "a directory has a second name", "dropped"},
	[CHECK_ENTRY_MISSING] = {"entry-missing", true, "a listed name is not among the entries", "entry made"},
	[CHECK_ORDER_MISSING] = {"order-missing", true, "an entry is not listed", "listed"},
	[CHECK_ORDER_STRAY] = {"order-stray", true, "a listed name is that of no entry", "dropped from the listing"},
	[CHECK_UNREACHABLE] = {"unreachable", true, "an inode has no name", "named in lost+found"},
	[CHECK_LOOP] = {"loop", false, "directories contain one another", "one is moved to lost+found"},
	[CHECK_LINKS] = {"links", true, "the count of links is wrong", "corrected"},
	[CHECK_PARENT] = {"parent", true, "a directory tells another parent than the one it is in", "corrected"},
	[CHECK_ENTRIES] = {"entries", true, "the count of a directory's entries is wrong", "corrected"},
	[CHECK_COOKIE] = {"cookie", true, "a directory could give out a cookie again", "corrected"},
	[CHECK_BLOCKS] = {"blocks", true, "the count of a file's blocks is wrong", "corrected"},
	[CHECK_ORPHAN_STRAY] = {"orphan-stray", true, "what has links is listed as without", "dropped from the list"},
	[CHECK_ORPHAN_MISSING] = {"orphan-missing", true, "what has no links is not listed", "listed"},
	[CHECK_STREAM_STRAY] = {"stream-stray", false, "a stream's name leads to no stream, or from nothing", "dropped"},
	[CHECK_STREAM_BASE] = {"stream-base", true, "a stream does not tell what it belongs to", "corrected"},
	[CHECK_FOLDED_MISSING] = {"folded-missing", true, "an entry is not found regardless of case", "folded name recorded"},
	[CHECK_FOLDED_STRAY] = {"folded-stray", true, "a folded name is that of no entry", "dropped"},
	[CHECK_ACL_STRAY] = {"acl-stray", false, "an ACL belongs to no inode that has one", "dropped"},
	[CHECK_ACL_GONE] = {"acl-gone", false, "the ACL of an inode is gone", "only its owner may use it"},
	[CHECK_JOURNAL] = {"journal", false, "the journal is damaged, or where it goes on is not known", "what only the journal had is lost"},
	[CHECK_JOURNAL_BIT] = {"journal-bit", true, "a bit of the journal's first block is flipped", "flipped back"},
	[CHECK_USAGE] = {"usage", true, "what an owner, group or project has is wrong", "corrected"},
	[CHECK_COUNTER] = {"counter", true, "a counter of the store is wrong", "corrected"},
};

/* ---- findings */

static char *hex_of(const struct meta_key *key)
{
	char *text = malloc(2 * (size_t)key->size + 1);
	for (uint32_t i = 0; text && i < key->size; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", key->bytes[i]);
	return text;
}

static struct check_finding *keep(struct check_report *r)
{
	const uint32_t n = r->n_kept;
	if (n == CHECK_FINDINGS_MAX)
		return NULL;
	/* Doubled at powers of two. */
	if ((n & (n - 1)) == 0) {
		struct check_finding *list = realloc(r->findings, MAX(2 * (size_t)n, (size_t)16) * sizeof(*list));
		if (!list)
			return NULL;
		r->findings = list;
	}
	return &r->findings[r->n_kept++];
}

/* With only safe repairs, nothing more is touched once something else was found: its remains may be of use. */
static bool is_to_repair(const struct check *c, enum check_kind kind)
{
	if (c->o->repair == CHECK_SAFE)
		return kinds[kind].safe && c->report->n_repaired == c->report->n_found;
	return c->o->repair == CHECK_ALL;
}

bool check_found(struct check *c, enum check_kind kind, const struct check_place *at)
{
	bool repair = is_to_repair(c, kind);
	struct check_finding *f = keep(c->report);
	c->report->n_found++;
	c->kinds_found |= 1ULL << kind;
	c->report->n_repaired += repair;
	if (!f)
		return repair;
	*f = (struct check_finding){
		.what = kinds[kind].name,
		.text = kinds[kind].text,
		.remedy = kinds[kind].remedy,
		.table = at->has_key ? meta_table_name(at->table) : NULL,
		.key = at->has_key ? hex_of(&at->key) : NULL,
		.ino = at->ino,
		.offset = at->offset,
		.size = at->size,
		.where = at->where ? strdup(at->where) : NULL,
		.done = repair ? CHECK_REPAIRED : CHECK_LEFT,
	};
	return repair;
}

bool check_found_record(struct check *c, enum check_kind kind, enum meta_table table, const struct meta_key *key, uint64_t ino)
{
	return check_found(c, kind, &(struct check_place){.has_key = true, .table = table, .key = *key, .ino = ino});
}

bool check_found_inode(struct check *c, enum check_kind kind, uint64_t ino)
{
	return check_found(c, kind, &(struct check_place){.ino = ino});
}

void check_report_fini(struct check_report *r)
{
	for (uint32_t i = 0; i < r->n_kept; i++) {
		free(r->findings[i].key);
		free(r->findings[i].where);
	}
	free(TAKE(r->findings));
	r->n_kept = 0;
}

void check_progress(struct check *c, uint64_t done, uint64_t total)
{
	if (c->o->progress)
		c->o->progress(c->o->arg, c->phase, done, total);
}

/* ---- walks */

struct walking {
	const struct check_walk *w;
	struct check *c;
	struct meta_key next;
	uint32_t n;
	bool more;
};

static bool is_chunk_done(const struct walking *g)
{
	return g->n == CHUNK || (g->w->eager && g->c->txn.n_changes);
}

static bool show(struct walking *g, const struct meta_record *r)
{
	if (g->w->damaged)
		return g->w->visit(g->c, r);
	struct check_mended m;
	if (r->err && !cairn_record_mend(g->w->table, r, &m))
		return true;
	const struct meta_record *good = r->err ? &m.record : r;
	return cairn_record_check(g->w->table, good) != 0 || g->w->visit(g->c, good);
}

static bool walk_one(void *arg, const struct meta_record *r)
{
	struct walking *g = arg;
	if (is_chunk_done(g)) {
		g->next = *r->key;
		g->more = true;
		return false;
	}
	g->n++;
	return show(g, r) && !g->c->err;
}

int check_commit(struct check *c)
{
	if (c->err || c->txn.n_changes == 0)
		return c->err;
	c->txn.frees = true;
	int err = meta_commit(c->meta, &c->txn);
	meta_begin(&c->txn);
	return err;
}

static int walk_chunk(struct walking *g)
{
	int err = meta_inspect(g->c->meta, g->w->table, &g->next, walk_one, g);
	if (!err)
		err = check_commit(g->c);
	if (!err && g->w->after)
		err = g->w->after(g->c);
	return err;
}

int check_walk(struct check *c, const struct check_walk *w)
{
	struct walking g = {.w = w, .c = c, .next = w->from, .more = true};
	uint64_t done = 0, total = w->quiet ? 0 : meta_n_records(c->meta, w->table);
	enum meta_table outer = c->table;
	int err = 0;
	c->table = w->table;
	while (!err && g.more) {
		g.more = false;
		g.n = 0;
		err = walk_chunk(&g);
		done += g.n;
		if (!w->quiet)
			check_progress(c, done, MAX(total, done));
	}
	c->table = outer;
	return err;
}

int check_table(struct check *c, enum meta_table table, check_visit_fn *visit)
{
	bool number = meta_key_is_number(table);
	struct check_walk w = {
		.table = table, .from = number ? meta_key_number(0) : meta_key_name(0, "", 0), .visit = visit};
	return check_walk(c, &w);
}

void check_put_lost(struct check *c, uint64_t ino, uint64_t block, uint64_t n)
{
	struct cairn_extent e = {.first = block, .n = n, .kind = CAIRN_LOST};
	cairn_put_extent(&c->txn, ino, &e);
}

/* ---- the whole */

static int say(char **why, int err, const char *path, const char *what)
{
	if (asprintf(why, "%s: %s", path, what) < 0)
		*why = NULL;
	return err;
}

static int open_meta(struct check *c)
{
	CLEANUP_FREE char *dir = NULL;
	struct meta_config cfg = {
		.size_max = c->super.meta_size, .read_only = c->o->repair == CHECK_ONLY, .salvage = true};
	if (asprintf(&dir, "%s/meta", c->o->path) < 0)
		return ERR_NOMEM;
	cfg.dir = dir;
	c->data_fd = openat(c->dir_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->data_fd < 0 ? err_from_errno(errno) : meta_open(&c->meta, &cfg);
}

/* ---- the tables' file */

static int sync_tables(struct check *c)
{
	int fd = openat(c->dir_fd, "meta", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? err_from_errno(errno) : file_sync_dir(fd);
	if (fd >= 0)
		close(fd);
	return err;
}

struct page_job {
	struct check *c;
	struct page_file file;
	bool damaged; /* a counter, by one bit */
	bool salvage;
};

/* The counters tell where the journal goes on: they are put right before it is opened. */
static void look_at_counter(void *arg, int table, const void *key_bytes, uint32_t key_size, const uint8_t *value, uint32_t size)
{
	struct page_job *job = arg;
	struct meta_key key = {.size = key_size};
	struct check_mended m;
	if (table != META_COUNTERS || key_size > META_KEY_MAX)
		return;
	memcpy(key.bytes, key_bytes, key_size);
	struct meta_record r = {.key = &key, .body = value, .size = size, .err = ERR_IO};
	job->damaged |= !page_record_checks(table, &r) && cairn_record_mend(table, &r, &m);
}

static int page_job(void *arg)
{
	struct page_job *job = arg;
	struct check *c = job->c;
	int err = page_open(&job->file, c->dir_fd, TABLES);
	if (err)
		return err;
	page_walk(&job->file, c, look_at_counter, job);
	if (job->file.n_bad == 0 && job->file.n_stray)
		check_found(c, CHECK_PAGE_STRAY, &(struct check_place){.where = TABLES, .size = job->file.n_stray * PAGE_SIZE});
	job->salvage = c->o->repair != CHECK_ONLY && c->report->n_found == c->report->n_repaired &&
	               (job->file.n_bad || job->file.n_stray || job->damaged);
	if (job->salvage)
		err = page_salvage(c, &job->file);
	page_close(&job->file);
	return err;
}

/* *usable: LMDB may open it. */
static int check_pages(struct check *c, bool *usable)
{
	struct page_job job = {.c = c};
	c->phase = "pages";
	int err = loop_block(page_job, &job);
	if (!err && job.salvage)
		err = file_rename(c->dir_fd, TABLES_SALVAGED, TABLES);
	if (!err && job.salvage)
		err = sync_tables(c);
	*usable = job.salvage || job.file.n_bad == 0;
	return err;
}

static void fini(struct check *c)
{
	if (c->meta) {
		meta_abandon(&c->txn);
		meta_close(c->meta);
	}
	int *const fds[] = {&c->data_fd, &c->lock_fd, &c->dir_fd};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(TAKE_FD(*fds[i]));
	struct check_numbers *const lists[] = {&c->lost, &c->wanted, &c->starts, &c->ends, &c->written, &c->snapshots};
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		check_numbers_fini(lists[i]);
	free(TAKE(c->inodes));
	free(TAKE(c->dirs));
}

/* A store that was made and never used has no tables yet. */
static bool is_new(struct check *c)
{
	return faccessat(c->dir_fd, "meta/data.mdb", F_OK, 0) != 0 && errno == ENOENT && faccessat(c->dir_fd, "data/00000000", F_OK, 0) != 0;
}

/* What was repaired may differ from what clients have seen: the next mount begins a new epoch. */
static int end_repair(struct check *c)
{
	if (c->report->n_repaired == 0)
		return 0;
	meta_set(&c->txn, META_CLEAN, 0);
	return check_commit(c);
}

static const struct {
	const char *name;
	int (*run)(struct check *c);
	bool always; /* also while the store is being rolled back */
} phases[] = {
	{"records", check_records, true}, {"inodes", check_inodes},  {"inline data", check_inline},   {"data", check_data, true},
	{"extents", check_extents, true}, {"space", check_space, true}, {"attributes", check_xattrs}, {"ACLs", check_acls},
	{"names", check_names},           {"streams", check_streams}, {"tree", check_tree},           {"folded names", check_folded},
	{"counts", check_counts},         {"snapshots", check_held}, {"snapshots", check_snapshots, true}, {"counters", check_counters}, {"usage", check_usage},
	{"paths", check_find_paths},
};

static int run_phases(struct check *c)
{
	meta_begin(&c->txn);
	int err = check_find_snapshots(c);
	if (!err)
		err = check_rollback(c);
	if (!err)
		err = check_find_snapshots(c);
	for (size_t i = 0; !err && i < ARRAY_SIZE(phases); i++) {
		if (c->rolling && !phases[i].always)
			continue;
		c->phase = phases[i].name;
		err = phases[i].run(c);
		err = err ? err : check_commit(c);
	}
	return err ? err : end_repair(c);
}

int cairn_check(const struct check_options *o, struct check_report *report, char **why)
{
	struct check c = {.o = o, .report = report, .dir_fd = -1, .lock_fd = -1, .data_fd = -1, .data = o->data};
	*why = NULL;
	*report = (struct check_report){.n_kept = 0};
	int err = cairn_store_lock(o->path, &c.dir_fd, &c.lock_fd, why);
	if (!err)
		err = check_super(&c, why);
	if (!err && !is_new(&c)) {
		bool usable = false;
		err = check_pages(&c, &usable);
		if (!err && usable)
			err = open_meta(&c);
		if (!err && usable && meta_was_mended(c.meta))
			check_found(&c, CHECK_JOURNAL_BIT, &(struct check_place){.where = "journal"});
		if (!err && usable && meta_was_salvaged(c.meta))
			check_found(&c, CHECK_JOURNAL, &(struct check_place){.where = "journal"});
		if (!err && usable)
			err = run_phases(&c);
		if (err && !*why)
			say(why, err, o->path, err_text(err));
	}
	report->n_inodes = c.rolling ? meta_n_records(c.meta, META_INODES) : c.n_inodes;
	report->n_directories = c.n_dirs;
	report->n_blocks = c.n_blocks;
	fini(&c);
	return err;
}
