/*
 * See cairn-scrub.h. Records are looked at some dozen at a time, the data of extents among them is read after that, past the
 * host's page cache where it lets us. A block that does not match counts as damaged only if its extent is still there
 * and it does not match again: the file may have been written meanwhile.
 */
#include "backends/cairn/cairn-scrub.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-check.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define FILE_NAME "scrub"
#define FILE_NEW "scrub.new"
#define RECORDS_AT_ONCE 64u
#define EXTENTS_AT_ONCE 8u
#define DAMAGED_AT_ONCE 16u
#define SAVE_NS (60 * NS_PER_SEC)
#define PATH_ENTRIES_MAX 4096u
#define PATH_DEPTH_MAX 32u
#define PATH_ROOM 600u
#define ALIGNMENT 4096u

struct found_extent {
	uint64_t ino;
	struct cairn_extent e;
};

struct cairn_scrub {
	struct cairn *fs;
	struct fiber_mutex lock;      /* guards starting and stopping */
	struct fiber_cond wake;
	struct fiber_join fiber;
	bool runs;                    /* the fiber; guarded by lock, as the next two */
	bool closing;
	enum scrub_command wanted;
	struct spinlock state_lock;
	struct cairn_scrub_record at; /* guarded by state_lock, for others see it */
	/* The fiber's own. */
	uint64_t began_ns, paced_bytes, saved_ns;
	uint8_t *bytes;               /* of one extent */
	struct file *file;            /* a segment's; NULL: none */
	uint32_t segment;
	struct found_extent extents[EXTENTS_AT_ONCE];
	uint32_t n_extents;
	struct meta_key damaged[DAMAGED_AT_ONCE];
	uint32_t n_damaged;
	uint32_t n_records;
	uint64_t n_bytes;
	bool more;
	struct meta_key next;
};

/* ---- the file */

static int save(struct cairn_scrub *s)
{
	uint8_t bytes[CAIRN_SCRUB_SIZE];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct file *f;
	spin_lock(&s->state_lock);
	cairn_scrub_encode(&s->at, bytes);
	spin_unlock(&s->state_lock);
	int err = file_open(&f, s->fs->dir_fd, FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (err)
		return err;
	ssize_t n = file_pwritev(f, &iov, 1, 0);
	err = n == (ssize_t)sizeof(bytes) ? file_sync(f, false) : n < 0 ? (int)n : ERR_NOSPC;
	file_close(f);
	return err ? err : file_rename(s->fs->dir_fd, FILE_NEW, FILE_NAME);
}

static void load(struct cairn_scrub *s)
{
	uint8_t bytes[CAIRN_SCRUB_SIZE] = {0};
	struct iovec iov = {bytes, sizeof(bytes)};
	struct file *f;
	if (file_open(&f, s->fs->dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC, 0))
		return;
	ssize_t n = file_preadv(f, &iov, 1, 0);
	file_close(f);
	if (n != (ssize_t)sizeof(bytes) || cairn_scrub_decode(bytes, &s->at))
		log_warn("the file of the last scrub's place is damaged: it is not gone on with");
}

/* ---- where something is, for people */

struct name_search {
	uint64_t dir, ino;
	uint32_t n;
	struct meta_key next;
	char *name; /* room for OP_NAME_MAX + 1 */
	bool more, found;
};

static bool match_ino(void *arg, const struct meta_record *r)
{
	struct name_search *q = arg;
	struct cairn_entry e;
	if (meta_key_first(r->key) != q->dir || r->key->size <= 8)
		return false;
	q->next = *r->key;
	q->more = q->n++ % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1;
	if (r->err || cairn_entry_decode(r->body, r->size, &e) || e.ino != q->ino)
		return !q->more;
	snprintf(q->name, OP_NAME_MAX + 1, "%.*s", (int)r->key->size - 8, (const char *)r->key->bytes + 8);
	q->found = true;
	return false;
}

/* Not in every directory: in a large one it would take too long. */
static bool find_name(struct cairn *fs, uint64_t dir, uint64_t ino, char name[OP_NAME_MAX + 1])
{
	struct name_search q = {.dir = dir, .ino = ino, .next = meta_key_name(dir, "", 0), .name = name, .more = true};
	while (q.more && !q.found && q.n < PATH_ENTRIES_MAX) {
		q.more = false;
		if (meta_inspect(fs->meta, META_ENTRIES, &q.next, match_ino, &q))
			return false;
	}
	return q.found;
}

static uint64_t parent_of(struct cairn *fs, uint64_t ino)
{
	struct meta_key key = meta_key_number(ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	struct cairn_inode inode;
	int err = meta_get(fs->meta, META_INODES, &key, body, &size);
	return err || cairn_inode_decode(body, size, &inode) ? 0 : inode.parent;
}

/* "" if it is not known. */
static void find_path(struct cairn *fs, uint64_t ino, char path[PATH_ROOM])
{
	char name[OP_NAME_MAX + 1], longer[PATH_ROOM];
	path[0] = '\0';
	for (uint32_t depth = 0; ino && ino != CAIRN_ROOT_INODE; depth++) {
		uint64_t parent = parent_of(fs, ino);
		if (depth == PATH_DEPTH_MAX || parent == 0 || !find_name(fs, parent, ino, name) ||
		    snprintf(longer, sizeof(longer), "/%s%s", name, path) >= (int)sizeof(longer)) {
			path[0] = '\0';
			return;
		}
		memcpy(path, longer, sizeof(longer));
		ino = parent;
	}
}

static void note_bad(struct cairn_scrub *s, const char *what, uint64_t n_records, uint64_t n_bytes)
{
	struct scrub_state *st = &s->at.state;
	log_error("%s: scrub: %s", s->fs->mount->name, what);
	spin_lock(&s->state_lock);
	st->bad_records += n_records;
	st->bad_bytes += n_bytes;
	snprintf(st->last_bad, sizeof(st->last_bad), "%s", what);
	spin_unlock(&s->state_lock);
}

static bool has_inode(enum meta_table table)
{
	return table != META_SPACE && table != META_COUNTERS;
}

static void note_record(struct cairn_scrub *s, const struct meta_key *key)
{
	enum meta_table table = s->at.table;
	char hex[2 * 24 + 1] = "", path[PATH_ROOM], what[800];
	for (uint32_t i = 0; i < MIN(key->size, 24u); i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", key->bytes[i]);
	uint64_t ino = !has_inode(table) ? 0 : meta_key_is_number(table) ? key->number : meta_key_first(key);
	find_path(s->fs, ino, path);
	snprintf(what, sizeof(what), "damaged record in table %s, key %s%s%s", meta_table_name(table), hex, *path ? ", of " : "", path);
	note_bad(s, what, 1, 0);
}

static void note_block(struct cairn_scrub *s, const struct found_extent *x, uint64_t i)
{
	char path[PATH_ROOM], what[800];
	find_path(s->fs, x->ino, path);
	snprintf(what, sizeof(what), "damaged data in inode %llu%s%s at byte %llu, block %llu of the store", (unsigned long long)x->ino,
	         *path ? ", " : "", path, (unsigned long long)(x->e.first + i) * CAIRN_BLOCK_SIZE,
	         (unsigned long long)(x->e.place + i));
	note_bad(s, what, 0, CAIRN_BLOCK_SIZE);
}

/* ---- records */

static bool look_at(void *arg, const struct meta_record *r)
{
	struct cairn_scrub *s = arg;
	bool full = s->n_records == RECORDS_AT_ONCE || s->n_extents == EXTENTS_AT_ONCE || s->n_damaged == DAMAGED_AT_ONCE;
	if (full) {
		s->next = *r->key;
		s->more = true;
		return false;
	}
	s->n_records++;
	s->n_bytes += r->size;
	struct found_extent *x = &s->extents[s->n_extents];
	if (r->err || cairn_record_check(s->at.table, r)) {
		s->damaged[s->n_damaged++] = *r->key;
	} else if (s->at.table == META_EXTENTS && cairn_extent_decode(r, &x->e) == 0 && x->e.kind == CAIRN_WRITTEN) {
		x->ino = meta_key_first(r->key);
		s->n_extents++;
	}
	return true;
}

/* ---- data */

static int open_segment(struct cairn_scrub *s, uint32_t segment)
{
	char name[16];
	if (s->file && s->segment == segment)
		return 0;
	if (s->file)
		file_close(TAKE(s->file));
	snprintf(name, sizeof(name), "%08x", segment);
	s->segment = segment;
	int err = file_open(&s->file, s->fs->data_fd, name, O_RDONLY | O_DIRECT | O_CLOEXEC, 0);
	if (err)
		err = file_open(&s->file, s->fs->data_fd, name, O_RDONLY | O_CLOEXEC, 0);
	if (err)
		s->file = NULL;
	return err;
}

static bool read_blocks(struct cairn_scrub *s, uint64_t place, uint64_t n, uint8_t *bytes)
{
	struct iovec iov = {bytes, n * CAIRN_BLOCK_SIZE};
	uint64_t at = place % CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE;
	if (open_segment(s, (uint32_t)(place / CAIRN_SEGMENT_BLOCKS)))
		return false;
	return file_preadv(s->file, &iov, 1, at) == (ssize_t)iov.iov_len;
}

struct look_again {
	const struct found_extent *x;
	bool same;
};

static bool compare(void *arg, const struct meta_record *r)
{
	struct look_again *l = arg;
	const struct cairn_extent *old = &l->x->e;
	struct cairn_extent e;
	l->same = meta_key_first(r->key) == l->x->ino && cairn_extent_decode(r, &e) == 0 && e.first == old->first &&
	          e.n == old->n && e.place == old->place && e.kind == CAIRN_WRITTEN &&
	          memcmp(e.sums, old->sums, e.n * sizeof(e.sums[0])) == 0;
	return false;
}

static bool is_still_there(struct cairn_scrub *s, const struct found_extent *x)
{
	struct look_again l = {.x = x};
	struct meta_key key = meta_key_pair(x->ino, x->e.first);
	return meta_scan(s->fs->meta, META_EXTENTS, &key, META_FROM, compare, &l) == 0 && l.same;
}

static bool is_bad(struct cairn_scrub *s, const struct found_extent *x, uint64_t i, bool was_read)
{
	uint8_t *bytes = s->bytes + i * CAIRN_BLOCK_SIZE;
	if (was_read && cairn_block_sum(bytes) == x->e.sums[i])
		return false;
	if (!is_still_there(s, x))
		return false;
	return (!read_blocks(s, x->e.place + i, 1, bytes) || cairn_block_sum(bytes) != x->e.sums[i]) && is_still_there(s, x);
}

static void verify(struct cairn_scrub *s, const struct found_extent *x)
{
	bool was_read = read_blocks(s, x->e.place, x->e.n, s->bytes);
	for (uint64_t i = 0; i < x->e.n; i++)
		if (is_bad(s, x, i, was_read))
			note_block(s, x, i);
	s->n_bytes += x->e.n * CAIRN_BLOCK_SIZE;
	spin_lock(&s->state_lock);
	s->at.state.done_bytes += x->e.n * CAIRN_BLOCK_SIZE;
	spin_unlock(&s->state_lock);
}

/* ---- the run */

static struct meta_key first_key(uint32_t table)
{
	return table < META_N_TABLES && meta_key_is_number(table) ? meta_key_number(0) : meta_key_name(0, "", 0);
}

static void move_on(struct cairn_scrub *s)
{
	spin_lock(&s->state_lock);
	s->at.state.done_records += s->n_records;
	if (s->more) {
		s->at.key = s->next;
	} else {
		s->at.table++;
		s->at.key = first_key(s->at.table);
	}
	spin_unlock(&s->state_lock);
}

static int step(struct cairn_scrub *s)
{
	struct meta_key from = s->at.key;
	s->n_records = s->n_extents = s->n_damaged = 0;
	s->more = false;
	int err = meta_inspect(s->fs->meta, s->at.table, &from, look_at, s);
	if (err)
		return err;
	for (uint32_t i = 0; i < s->n_damaged; i++)
		note_record(s, &s->damaged[i]);
	for (uint32_t i = 0; i < s->n_extents; i++)
		verify(s, &s->extents[i]);
	move_on(s);
	return 0;
}

/* Lets others have their turn, and the disk its rest. False: it is to end. */
static bool pace(struct cairn_scrub *s)
{
	uint64_t rate = s->at.state.rate_bytes, now = loop_now_ns(loop_current());
	s->paced_bytes += s->n_bytes;
	s->n_bytes = 0;
	uint64_t due = rate ? s->began_ns + (uint64_t)((double)s->paced_bytes * 1e9 / (double)rate) : now;
	if (now > s->saved_ns + SAVE_NS) {
		s->saved_ns = now;
		(void)!save(s);
	}
	fiber_yield();
	fiber_mutex_lock(&s->lock);
	while (s->wanted == SCRUB_START && !s->closing && loop_now_ns(loop_current()) < due)
		if (fiber_cond_timedwait(&s->wake, &s->lock, due))
			break;
	bool go_on = s->wanted == SCRUB_START && !s->closing;
	fiber_mutex_unlock(&s->lock);
	return go_on;
}

/* What is running when the store is closed goes on when it is opened. */
static uint32_t result_of(const struct cairn_scrub *s, int err)
{
	if (err)
		return SCRUB_FAILED;
	if (s->at.table >= META_N_TABLES)
		return SCRUB_DONE;
	if (s->wanted == SCRUB_STOP)
		return SCRUB_STOPPED;
	return s->wanted == SCRUB_PAUSE ? SCRUB_PAUSED : SCRUB_RUNNING;
}

static void end_run(struct cairn_scrub *s, int err)
{
	fiber_mutex_lock(&s->lock);
	spin_lock(&s->state_lock);
	struct scrub_state *st = &s->at.state;
	st->run = result_of(s, err);
	st->err = err;
	st->ended_ns = st->run == SCRUB_RUNNING || st->run == SCRUB_PAUSED ? 0 : loop_wall_ns(loop_current());
	spin_unlock(&s->state_lock);
	if (save(s))
		log_warn("%s: how far the scrub is could not be stored", s->fs->mount->name);
	if (st->run == SCRUB_DONE)
		log_notice("%s: scrub: %llu records and %llu bytes of data verified, %llu records and %llu bytes damaged", s->fs->mount->name,
		           (unsigned long long)st->done_records, (unsigned long long)st->done_bytes,
		           (unsigned long long)st->bad_records, (unsigned long long)st->bad_bytes);
	s->runs = false;
	fiber_cond_broadcast(&s->wake);
	fiber_mutex_unlock(&s->lock);
}

static void run(void *arg)
{
	struct cairn_scrub *s = arg;
	int err = 0;
	s->began_ns = s->saved_ns = loop_now_ns(loop_current());
	s->paced_bytes = s->n_bytes = 0;
	while (!err && s->at.table < META_N_TABLES && pace(s))
		err = step(s);
	if (s->file)
		file_close(TAKE(s->file));
	end_run(s, err);
	fiber_join_done(&s->fiber);
}

/* With the lock held. */
static int start_fiber(struct cairn_scrub *s)
{
	if (!s->bytes)
		s->bytes = aligned_alloc(ALIGNMENT, (size_t)CAIRN_EXTENT_MAX * CAIRN_BLOCK_SIZE);
	if (!s->bytes)
		return ERR_NOMEM;
	s->wanted = SCRUB_START;
	s->runs = true;
	fiber_join_add(&s->fiber, 1);
	int err = fiber_start(loop_current(), run, s);
	if (err) {
		s->runs = false;
		fiber_join_done(&s->fiber);
	}
	return err;
}

/* ---- control */

static uint64_t n_all_records(struct cairn *fs)
{
	uint64_t n = 0;
	for (int i = 0; i < META_N_TABLES; i++)
		n += meta_n_records(fs->meta, i);
	return n;
}

static int start(struct cairn_scrub *s, uint64_t rate)
{
	if (s->runs)
		return ERR_BUSY;
	spin_lock(&s->state_lock);
	bool goes_on = s->at.state.run == SCRUB_PAUSED;
	spin_unlock(&s->state_lock);
	struct cairn_scrub_record at = {.state.started_ns = loop_wall_ns(loop_current()), .key = first_key(0)};
	at.state.total_records = n_all_records(s->fs);
	at.state.total_bytes = s->fs->n_blocks * CAIRN_BLOCK_SIZE;
	spin_lock(&s->state_lock);
	if (!goes_on)
		s->at = at;
	s->at.state.run = SCRUB_RUNNING;
	s->at.state.rate_bytes = rate;
	spin_unlock(&s->state_lock);
	return start_fiber(s);
}

/* What is paused can be stopped too. */
static int end(struct cairn_scrub *s, enum scrub_command command)
{
	if (!s->runs && (command != SCRUB_STOP || s->at.state.run != SCRUB_PAUSED))
		return ERR_NOENT;
	s->wanted = command;
	if (!s->runs) {
		s->at.state.run = SCRUB_STOPPED;
		return save(s);
	}
	fiber_cond_broadcast(&s->wake);
	while (s->runs)
		fiber_cond_wait(&s->wake, &s->lock);
	return 0;
}

int cairn_scrub(struct vfs_mount *m, enum scrub_command command, uint64_t rate)
{
	struct cairn_scrub *s = ((struct cairn *)m->store)->scrub;
	if (m->read_only)
		return ERR_ROFS;
	fiber_mutex_lock(&s->lock);
	int err = command == SCRUB_START ? start(s, rate) : end(s, command);
	fiber_mutex_unlock(&s->lock);
	return err;
}

void cairn_scrub_state(struct vfs_mount *m, struct scrub_state *state)
{
	struct cairn_scrub *s = ((struct cairn *)m->store)->scrub;
	spin_lock(&s->state_lock);
	*state = s->at.state;
	spin_unlock(&s->state_lock);
}

int cairn_scrub_open(struct cairn *fs)
{
	struct cairn_scrub *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->fs = fs;
	fs->scrub = s;
	load(s);
	if (fs->mount->read_only || s->at.state.run != SCRUB_RUNNING)
		return 0;
	fiber_mutex_lock(&s->lock);
	int err = start_fiber(s);
	fiber_mutex_unlock(&s->lock);
	return err;
}

void cairn_scrub_close(struct cairn *fs)
{
	struct cairn_scrub *s = TAKE(fs->scrub);
	if (!s)
		return;
	fiber_mutex_lock(&s->lock);
	s->closing = true;
	fiber_cond_broadcast(&s->wake);
	fiber_mutex_unlock(&s->lock);
	fiber_join_wait(&s->fiber);
	free(s->bytes);
	free(s);
}
