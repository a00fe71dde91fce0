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
#include "backends/cairn/cairn-snapshot.h"
#include "backends/cairn/cairn-verify.h"
#include "base/cleanup.h"
#include "base/log.h"

LOG_MODULE("cairn");

#define FILE_NAME "scrub"
#define FILE_NEW "scrub.new"
#define RECORDS_AT_ONCE 64u
#define EXTENTS_AT_ONCE 8u
#define DAMAGED_AT_ONCE 16u
#define SAVE_NS (60 * NS_PER_SEC)

/* A file's, or what a dead reference refers to. */
struct found_extent {
	uint64_t ino;
	struct cairn_extent e;
	uint64_t newest; /* of the dead reference: its key's; 0: it is a file's */
	struct cairn_ref ref;
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
	struct cairn_reader reader;
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

/* ---- damage */

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
	return table != META_SPACE && table != META_COUNTERS && table != META_QUOTAS && table < META_SNAPSHOTS;
}

static void note_record(struct cairn_scrub *s, const struct meta_key *key)
{
	enum meta_table table = s->at.table;
	char hex[2 * 24 + 1] = "", path[CAIRN_PATH_ROOM], what[800];
	for (uint32_t i = 0; i < MIN(key->size, 24u); i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", key->bytes[i]);
	uint64_t ino = !has_inode(table) ? 0 : meta_key_is_number(table) ? key->number : meta_key_first(key);
	cairn_path_of(s->fs->meta, ino, path);
	snprintf(what, sizeof(what), "damaged record in table %s, key %s%s%s", meta_table_name(table), hex, *path ? ", of " : "", path);
	note_bad(s, what, 1, 0);
}

/* A name fits: it is the middle of a message that is cut at its end. */
static void name_snapshot(struct cairn *fs, uint64_t id, char *text, size_t room)
{
	struct cairn_snapshot *s;
	text[0] = '\0';
	pthread_mutex_lock(&fs->snapshots_lock);
	LIST_FOREACH(s, &fs->snapshots, link)
		if (s->s.id == id)
			snprintf(text, room, "snapshot %s, ", s->s.name);
	pthread_mutex_unlock(&fs->snapshots_lock);
}

/* In the store, or in a snapshot with its view. */
static void note_block(struct cairn_scrub *s, const struct found_extent *x, uint64_t i, uint64_t snapshot, struct meta *meta)
{
	char path[CAIRN_PATH_ROOM], name[OP_NAME_MAX + 16], what[1200];
	cairn_path_of(meta, x->ino, path);
	name_snapshot(s->fs, snapshot, name, sizeof(name));
	snprintf(what, sizeof(what), "damaged data in %sinode %llu%s%s at byte %llu, block %llu of the store", name,
	         (unsigned long long)x->ino, *path ? ", " : "", path, (unsigned long long)(x->e.first + i) * CAIRN_BLOCK_SIZE,
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
		x->newest = 0;
		s->n_extents++;
	} else if (s->at.table == META_DEAD && cairn_dead_decode(r, &x->newest, &x->ref) == 0) {
		x->ino = x->ref.ino;
		s->n_extents++;
	}
	return true;
}

/* ---- data */

struct look_again {
	const struct found_extent *x;
	bool same;
};

/* As long as the dead reference is there its blocks are, too. */
static bool compare_dead(void *arg, const struct meta_record *r)
{
	struct look_again *l = arg;
	const struct cairn_ref *old = &l->x->ref;
	struct cairn_ref ref;
	uint64_t newest;
	l->same = cairn_dead_decode(r, &newest, &ref) == 0 && newest == l->x->newest && ref.ino == old->ino && ref.block == old->block &&
	          ref.place.first == old->place.first && ref.place.n == old->place.n && ref.born == old->born;
	return false;
}

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
	struct meta_key key = x->newest ? cairn_dead_key(x->newest, &x->ref) : meta_key_pair(x->ino, x->e.first);
	enum meta_table table = x->newest ? META_DEAD : META_EXTENTS;
	return meta_scan(s->fs->meta, table, &key, META_FROM, x->newest ? compare_dead : compare, &l) == 0 && l.same;
}

static bool is_bad(struct cairn_scrub *s, const struct found_extent *x, uint64_t i, bool was_read)
{
	if (was_read && cairn_reader_check(&s->reader, &x->e, i, true))
		return false;
	return is_still_there(s, x) && !cairn_reader_check(&s->reader, &x->e, i, false) && is_still_there(s, x);
}

static void verify(struct cairn_scrub *s, const struct found_extent *x, uint64_t snapshot, struct meta *meta)
{
	bool was_read = cairn_reader_read(&s->reader, x->e.place, x->e.n, 0);
	for (uint64_t i = 0; i < x->e.n; i++)
		if (is_bad(s, x, i, was_read))
			note_block(s, x, i, snapshot, meta);
	s->n_bytes += x->e.n * CAIRN_BLOCK_SIZE;
	spin_lock(&s->state_lock);
	s->at.state.done_bytes += x->e.n * CAIRN_BLOCK_SIZE;
	spin_unlock(&s->state_lock);
}

/* The newest snapshot that has the blocks tells their checksums. If there is none any more they are about to be given back. */
static int verify_held(struct cairn_scrub *s, struct found_extent *x)
{
	CLEANUP_FREE uint64_t *living = NULL;
	struct meta *view;
	uint32_t n;
	int err = cairn_snapshots_living(s->fs, &living, &n);
	uint64_t at = err ? 0 : cairn_newest_of(living, n, x->ref.born, x->newest);
	if (!at)
		return err;
	err = meta_view(s->fs->meta, at, &view);
	if (err)
		return err;
	for (uint64_t block = x->ref.block; !err;) {
		err = cairn_held_next(view, &x->ref, &block, &x->e);
		if (!err)
			verify(s, x, at, view);
	}
	meta_close(view);
	/* A damaged record is found as such. */
	return err == ERR_NOENT || err == ERR_IO ? 0 : err;
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
		if (s->extents[i].newest)
			err = err ? err : verify_held(s, &s->extents[i]);
		else
			verify(s, &s->extents[i], 0, s->fs->meta);
	if (!err)
		move_on(s);
	return err;
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
	cairn_reader_fini(&s->reader);
	end_run(s, err);
	fiber_join_done(&s->fiber);
}

/* With the lock held. */
static int start_fiber(struct cairn_scrub *s)
{
	int err = cairn_reader_init(&s->reader, s->fs->data_fd, true);
	if (err)
		return err;
	s->wanted = SCRUB_START;
	s->runs = true;
	fiber_join_add(&s->fiber, 1);
	err = fiber_start(loop_current(), run, s);
	if (err) {
		cairn_reader_fini(&s->reader);
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
	free(s);
}
