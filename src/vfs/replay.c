/*
 * A table of sets of eight entries, a region per role, so that one daemon's ops never displace another's; within a
 * set the oldest finished entry makes room. Stores to the mapping are in the page cache the moment they
 * are made: a kill leaves every entry as its last store left it. An entry becomes RUNNING after its key
 * is written and DONE after its answer is, so neither is ever seen half.
 *
 * This is the one file that is changed through a mapping rather than through file_*(): a record of two system
 * calls would cost more than the operations it guards.
 */
#include "vfs/replay.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "vfs/replay-impl.h"

#define MAGIC 0x31595052494d4843ULL /* "CHIMRPY1" */
#define N_ROLES 8u
#define N_SETS 256u /* of a role; 1 MiB of answers stays in a processor's cache */
#define SET_SIZE 8u
#define WAIT_NS (200 * NS_PER_US)

enum { ENTRY_FREE, ENTRY_RUNNING, ENTRY_DONE };

struct header {
	uint64_t magic;
	uint64_t entry_size;
	uint64_t boot; /* counts starts of chimerad */
};

struct set {
	struct replay_entry entries[SET_SIZE];
};

struct replay {
	struct file *file;
	struct header *header; /* a page, then the sets */
	struct set *sets;
	uint64_t boot;
	struct spinlock locks[N_ROLES * N_SETS];
};

#define HEADER_SIZE 4096u
#define FILE_SIZE (HEADER_SIZE + (uint64_t)N_ROLES * N_SETS * sizeof(struct set))

/* ---- the file */

/* A simulated disk has no descriptor to map: there the answers live as long as the process. */
static int map_file(struct replay *r)
{
	int fd = file_fd(r->file);
	void *p = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (p == MAP_FAILED)
		return ERR_NOMEM;
	r->header = p;
	r->sets = (struct set *)((char *)p + HEADER_SIZE);
	return 0;
}

/* Space is taken now: a full disk shall not turn a later store into a fault. */
static int ready_file(struct replay *r)
{
	uint64_t size;
	int err = file_size(r->file, &size);
	if (!err && size != FILE_SIZE)
		err = file_truncate(r->file, 0);
	if (!err)
		err = file_allocate(r->file, 0, 0, FILE_SIZE);
	return err ? err : map_file(r);
}

/* A file of another version is forgotten, not read. */
static void take_over(struct replay *r)
{
	struct header *h = r->header;
	if (h->magic != MAGIC || h->entry_size != sizeof(struct replay_entry)) {
		memset(r->sets, 0, FILE_SIZE - HEADER_SIZE);
		*h = (struct header){MAGIC, sizeof(struct replay_entry), 0};
	}
	r->boot = ++h->boot;
}

int replay_open(struct replay **out, const char *state_dir, char **why)
{
	CLEANUP_FREE char *path = NULL;
	struct replay *r = calloc(1, sizeof(*r));
	if (!r || asprintf(&path, "%s/replay", state_dir) < 0) {
		free(r);
		return ERR_NOMEM;
	}
	int err = file_open(&r->file, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (!err)
		err = ready_file(r);
	if (err) {
		if (asprintf(why, "%s: %s", path, err_text(err)) < 0)
			*why = NULL;
		replay_close(r);
		return err;
	}
	take_over(r);
	*out = r;
	return 0;
}

void replay_close(struct replay *r)
{
	if (r->header)
		munmap(r->header, FILE_SIZE);
	if (r->file)
		file_close(r->file);
	free(r);
}

/* ---- entries */

static bool matches(const struct replay_entry *e, const struct op *op)
{
	return e->state != ENTRY_FREE && e->key == op->replay_key && e->client == op->replay_client &&
	       e->code == op->code;
}

/* The entry of op, or the one it may have; NULL: all of the set are running. */
static struct replay_entry *find(struct set *s, const struct op *op)
{
	struct replay_entry *victim = NULL;
	for (uint32_t i = 0; i < SET_SIZE; i++) {
		struct replay_entry *e = &s->entries[i];
		if (matches(e, op))
			return e;
		if (e->state != ENTRY_RUNNING && (!victim || e->began_ns < victim->began_ns))
			victim = e;
	}
	return victim;
}

static void set_state(struct replay_entry *e, uint32_t state)
{
	__atomic_store_n(&e->state, state, __ATOMIC_RELEASE);
}

static void begin_entry(struct replay *r, struct replay_entry *e, const struct op *op)
{
	set_state(e, ENTRY_FREE);
	e->client = op->replay_client;
	e->key = op->replay_key;
	e->code = op->code;
	e->redo = 0;
	e->boot = r->boot;
	e->began_ns = loop_wall_ns(loop_current());
	set_state(e, ENTRY_RUNNING);
}

static void copy_answer(struct vfs_call *c, const struct replay_entry *e)
{
	memcpy(&c->op->out, e->out, op_info(c->op->code)->out_size);
}

enum { TRY_AGAIN = 2 };

/* Under the set's lock: what replay_begin() gives, or TRY_AGAIN. */
static int look(struct replay *r, struct set *s, struct vfs_call *c, struct replay_entry **entry, int *status)
{
	struct replay_entry *e = find(s, c->op);
	*entry = NULL;
	if (!e)
		return 0;
	if (!matches(e, c->op)) {
		begin_entry(r, e, c->op);
	} else if (e->state == ENTRY_DONE) {
		copy_answer(c, e);
		*status = e->status;
		return REPLAY_ANSWERED;
	} else if (e->boot == r->boot) {
		return TRY_AGAIN;
	} else {
		e->redo = 1;
		e->boot = r->boot;
	}
	*entry = e;
	return 0;
}

int replay_begin(struct replay *r, struct vfs_call *c, struct replay_entry **entry, int *status)
{
	uint64_t hash = hash_u64(c->op->replay_key ^ hash_u64(c->op->replay_client));
	uint32_t index = (c->session->cfg.role % N_ROLES) * N_SETS + (uint32_t)(hash % N_SETS);
	for (;;) {
		spin_lock(&r->locks[index]);
		int what = look(r, &r->sets[index], c, entry, status);
		spin_unlock(&r->locks[index]);
		if (what != TRY_AGAIN)
			return what;
		fiber_sleep_ns(WAIT_NS);
	}
}

/* What a later try may answer differently is not kept. */
static bool is_passing(int err)
{
	return err == ERR_DELAY || err == ERR_AGAIN || err == ERR_NOMEM || err == ERR_BUSY || err == ERR_CANCELED;
}

int replay_end(struct vfs_call *c, struct replay_entry *e, int err)
{
	if (e->redo && err)
		err = replay_explain(c, e, err);
	if (is_passing(err)) {
		set_state(e, ENTRY_FREE);
		return err;
	}
	memcpy(e->out, &c->op->out, op_info(c->op->code)->out_size);
	e->status = err;
	set_state(e, ENTRY_DONE);
	return err;
}
