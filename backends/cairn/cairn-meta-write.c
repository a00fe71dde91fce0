/*
 * Writing batches. There is no timer and no thread for it: whoever waits for a batch while none is being written leads,
 * taking what was gathered until then; who comes meanwhile waits for the next one.
 */
#include "backends/cairn/cairn-meta-impl.h"
#include "base/log.h"
#include "loop/loop.h"

LOG_MODULE("cairn");

#define PAUSE_MIN_NS (20 * NS_PER_MS)
#define PAUSE_MAX_NS NS_PER_SEC
#define TROUBLE_MAX_NS (60 * NS_PER_SEC) /* but for want of room, which is waited for */

void meta_fail(struct meta *m, const char *what, int err)
{
	if (m->failed)
		return;
	log_error("%s: %s: %s; no change is accepted any more until the store is mounted again", m->cfg.dir, what, err_text(err));
	m->failed = ERR_IO;
	/* Whoever waits may be the only one who knew of the others. */
	fiber_cond_broadcast(&m->written[0]);
	fiber_cond_broadcast(&m->written[1]);
	fiber_cond_broadcast(&m->applied_cond);
}

bool meta_lost(const struct meta *m, const struct meta_dirty *d)
{
	return unlikely(m->failed) && d->batch > m->durable;
}

/* ---- overlays */

bool meta_turn(struct meta *m, uint64_t last)
{
	if (m->applying)
		return false;
	m->turning = false;
	if (m->active->n_records == 0)
		return false;
	m->applying = m->active;
	m->active = &m->overlays[m->active == &m->overlays[0]];
	m->applying_last = last;
	meta_pace_begin(m);
	return true;
}

/* With the lock held. */
static void want_turn(struct meta *m)
{
	pthread_rwlock_wrlock(&m->state);
	m->turning = true;
	pthread_rwlock_unlock(&m->state);
	fiber_cond_signal(&m->work);
}

/* ---- the batch */

struct taking {
	uint64_t batch;
	bool direct; /* no room in the journal: into the tables at once */
};

/* With lock held: false: what is applied must go first. */
static bool take(struct meta *m, struct taking *t)
{
	bool taken = true;
	pthread_rwlock_wrlock(&m->state);
	t->direct = m->by_journal || !journal_fits(&m->journal, m->gathered.size, m->applied);
	if (t->direct && m->applying) {
		/* What waits there for the journal, in vain, nobody else applies. */
		taken = m->applying_last > m->durable;
		m->leader_applies |= taken;
		m->by_journal &= !taken;
		t->batch = taken ? m->applying_last : t->batch;
	} else {
		struct journal_buffer spare = m->spare;
		m->spare = m->gathered;
		m->gathered = spare;
		m->gathered.size = m->gathered.n = 0;
		t->batch = m->batch++;
		if (m->turning || t->direct)
			meta_turn(m, t->batch);
		m->leader_applies = t->direct;
		m->by_journal = false;
	}
	pthread_rwlock_unlock(&m->state);
	return taken;
}

/* With lock held, which may be given up meanwhile. */
static int take_or_wait(struct meta *m, struct taking *t)
{
	while (!m->failed && !take(m, t)) {
		/* Read once: the applier may get on at any time. */
		int stuck = m->stuck;
		if (stuck)
			return stuck;
		fiber_cond_wait(&m->applied_cond, &m->lock);
	}
	return m->failed;
}

static bool set_by_journal(struct meta *m)
{
	pthread_rwlock_wrlock(&m->state);
	m->by_journal = true;
	pthread_rwlock_unlock(&m->state);
	return true;
}

static int write_direct(struct meta *m, uint64_t batch)
{
	const struct journal_place begin = {0, 0, batch};
	int err = meta_apply(m, &begin, true);
	if (!err)
		journal_restart(&m->journal, batch);
	return err;
}

/* It is tried again with every batch. */
static void note_journal(struct meta *m, int err)
{
	if (err && !m->journal_err)
		log_error("%s: the journal: %s; what changes goes into the tables at once", m->cfg.dir, err_text(err));
	if (!err && m->journal_err)
		log_notice("%s: the journal can be written again", m->cfg.dir);
	m->n_journal_errors += err != 0;
	m->journal_err = err;
}

static int write_taken(struct meta *m, const struct taking *t)
{
	bool turned = false;
	if (t->direct)
		return write_direct(m, t->batch);
	int err = journal_append(&m->journal, &m->spare, t->batch, &turned);
	note_journal(m, err);
	/* What the full segment has is applied before its turn comes again. */
	if (turned) {
		fiber_mutex_lock(&m->lock);
		want_turn(m);
		fiber_mutex_unlock(&m->lock);
	}
	return err;
}

/* Another overlay may be dropped meanwhile: that takes no more than state. */
static bool ends_applying(struct meta *m, uint64_t batch)
{
	pthread_rwlock_rdlock(&m->state);
	bool ends = m->applying && m->applying_last == batch;
	pthread_rwlock_unlock(&m->state);
	return ends;
}

/* ---- when it cannot be written */

struct trouble {
	uint64_t since_ns, pause_ns;
};

/* With the lock held, which is given up for a while. false: that was long enough. Nothing is lost yet: what is under way waits. */
static bool endure(struct meta *m, struct trouble *t, int err)
{
	uint64_t now = loop_now_ns(loop_current());
	if (!m->trouble) {
		log_error("%s: %s; changes wait, more are refused", m->cfg.dir, err_text(err));
		*t = (struct trouble){now, PAUSE_MIN_NS};
	}
	m->trouble = err;
	/* Who waits for the tables is to be told, too. */
	m->n_rounds++;
	fiber_cond_broadcast(&m->applied_cond);
	if (m->stopping || m->panic || (err != ERR_NOSPC && now - t->since_ns >= TROUBLE_MAX_NS))
		return false;
	fiber_cond_timedwait(&m->applied_cond, &m->lock, now + t->pause_ns);
	t->pause_ns = MIN(2 * t->pause_ns, PAUSE_MAX_NS);
	return true;
}

/* With the lock held, which is given up meanwhile. */
static int try_next(struct meta *m, struct taking *t, bool *taken)
{
	int err = *taken ? 0 : take_or_wait(m, t);
	if (err)
		return err;
	*taken = true;
	fiber_mutex_unlock(&m->lock);
	meta_refresh(m, META_LOOK_NS);
	err = write_taken(m, t);
	fiber_mutex_lock(&m->lock);
	return err;
}

/*
 * With the lock held, which is given up meanwhile. What was written to the journal in vain may be there nevertheless, or seem
 * to be. It is not written there once more: the tables get all up to that batch or, if a later one has mixed with it, up to
 * that, and the journal begins anew behind it.
 */
static int write_next(struct meta *m, struct taking *t)
{
	struct trouble trouble;
	bool taken = false;
	int err;
	while ((err = try_next(m, t, &taken))) {
		if (taken && !t->direct)
			taken = !set_by_journal(m);
		else if (m->failed || !endure(m, &trouble, err))
			break;
	}
	if (!err && m->trouble)
		log_notice("%s: changes are stored again", m->cfg.dir);
	m->trouble = 0;
	return err;
}

/* With the lock held, which is given up meanwhile. */
static void lead(struct meta *m)
{
	struct taking t = {.batch = m->batch};
	uint64_t first = t.batch;
	m->writing = true;
	int err = write_next(m, &t);
	m->writing = false;
	if (err)
		meta_fail(m, m->panic ? "the tables' engine" : "the tables", err);
	/* With several batches written at once nobody is left to wait for the first. */
	if (err || t.batch != first) {
		fiber_cond_broadcast(&m->written[(t.batch + 1) & 1]);
		fiber_cond_broadcast(&m->applied_cond);
	}
	if (!err) {
		m->durable = t.batch;
		m->n_batches++;
		if (ends_applying(m, t.batch)) {
			m->applying_end = m->journal.end;
			fiber_cond_signal(&m->work);
		}
	}
	fiber_cond_broadcast(&m->written[t.batch & 1]);
	fiber_cond_signal(&m->written[(t.batch + 1) & 1]);
}

int meta_wait(struct meta *m, uint64_t batch)
{
	if (m->durable >= batch)
		return 0;
	fiber_mutex_lock(&m->lock);
	while (m->durable < batch && !m->failed) {
		if (m->writing)
			fiber_cond_wait(&m->written[batch & 1], &m->lock);
		else
			lead(m);
	}
	int err = m->durable >= batch ? 0 : m->failed;
	fiber_mutex_unlock(&m->lock);
	return err;
}

/* ---- waiting for the tables */

static bool is_clean(struct meta *m)
{
	pthread_rwlock_rdlock(&m->state);
	bool clean = !m->applying && m->active->n_records == 0;
	pthread_rwlock_unlock(&m->state);
	return clean;
}

int meta_drain(struct meta *m)
{
	fiber_mutex_lock(&m->lock);
	want_turn(m);
	uint64_t round = m->n_rounds;
	/* At a closed gate whoever closed it has to run: to try again at once would keep it from that. */
	while (!m->failed && (m->closed_gate || (m->n_rounds == round && !is_clean(m))))
		fiber_cond_wait(&m->applied_cond, &m->lock);
	fiber_mutex_unlock(&m->lock);
	return m->failed;
}

static void set_gate(struct meta *m, bool closed)
{
	pthread_rwlock_wrlock(&m->state);
	m->closed_gate = closed;
	pthread_rwlock_unlock(&m->state);
}

static bool has_turned(struct meta *m, uint64_t batch)
{
	pthread_rwlock_rdlock(&m->state);
	bool turned = m->applied >= batch || (m->applying && m->applying_last >= batch);
	pthread_rwlock_unlock(&m->state);
	return turned;
}

/* Why the tables do not get what they should. */
static int refusal(const struct meta *m)
{
	int err = m->failed;
	if (!err)
		err = m->trouble;
	return err ? err : m->stuck;
}

static int checkpoint(struct meta *m, uint64_t *batch, bool keep)
{
	int err = 0;
	fiber_mutex_lock(&m->lock);
	while (m->closed_gate)
		fiber_cond_wait(&m->applied_cond, &m->lock);
	set_gate(m, true);
	*batch = meta_last(m);
	while (!(err = refusal(m)) && !has_turned(m, *batch)) {
		want_turn(m);
		fiber_cond_wait(&m->applied_cond, &m->lock);
	}
	/* What comes from now on is applied after what was turned. */
	if (keep && !err)
		m->keep = *batch;
	set_gate(m, false);
	fiber_cond_broadcast(&m->applied_cond);
	while (!err && m->applied < *batch && !(err = refusal(m)))
		fiber_cond_wait(&m->applied_cond, &m->lock);
	fiber_mutex_unlock(&m->lock);
	return err;
}

int meta_checkpoint(struct meta *m, uint64_t *batch)
{
	return checkpoint(m, batch, false);
}

int meta_snapshot(struct meta *m, uint64_t *batch)
{
	uint64_t before = m->keep;
	int err = checkpoint(m, batch, true);
	if (err)
		m->keep = before;
	return err;
}

void meta_keep(struct meta *m, uint64_t batch)
{
	m->keep = batch;
}

