/*
 * Transactions. They are collected in one buffer, in the form in which the journal has them, so that publishing one is a
 * copy and some insertions into the overlay. What depends on the present, a counter's new value, is decided then;
 * so is whether there is room, for what was published is applied in any case.
 */
#include <string.h>

#include "backends/cairn/cairn-meta-impl.h"
#include "base/cursor.h"
#include "loop/loop.h"

#define TXN_LIMIT (1u << 30)
#define GATHERED_MAX (4u << 20)
#define PAGE_SIZE 4096u
#define PAGES_FLOOR 32u /* below which nothing is accepted */

/* ---- collecting */

void meta_begin(struct meta_txn *txn)
{
	bytes_init(&txn->changes, TXN_LIMIT);
	txn->n_changes = 0;
	txn->frees = false;
}

void meta_abandon(struct meta_txn *txn)
{
	bytes_fini(&txn->changes);
}

static void add_change(struct meta_txn *txn, enum meta_change_kind what, enum meta_table table,
                       const struct meta_key *key, const void *body, uint32_t size)
{
	struct change_head head = {(uint8_t)what, (uint8_t)table, (uint16_t)key->size, size};
	char *to = bytes_reserve(&txn->changes, sizeof(head) + key->size + size);
	if (!to)
		return;
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), key->bytes, key->size);
	if (size)
		memcpy(to + sizeof(head) + key->size, body, size);
	txn->changes.size += sizeof(head) + key->size + size;
	txn->n_changes++;
}

void meta_put(struct meta_txn *txn, enum meta_table table, const struct meta_key *key, const void *body, uint32_t size)
{
	add_change(txn, META_PUT, table, key, body, size);
}

void meta_delete(struct meta_txn *txn, enum meta_table table, const struct meta_key *key)
{
	add_change(txn, META_DELETE, table, key, NULL, 0);
}

void meta_add(struct meta_txn *txn, uint64_t counter, int64_t delta)
{
	struct meta_key key = meta_key_number(counter);
	if (delta)
		add_change(txn, META_ADD, META_COUNTERS, &key, &delta, sizeof(delta));
}

void meta_set(struct meta_txn *txn, uint64_t counter, int64_t value)
{
	struct meta_key key = meta_key_number(counter);
	add_change(txn, META_SET, META_COUNTERS, &key, &value, sizeof(value));
}

void meta_append(struct meta_txn *txn, struct meta_txn *more)
{
	if (more->changes.size)
		bytes_put(&txn->changes, more->changes.data, more->changes.size);
	if (more->changes.err)
		txn->changes.err = more->changes.err;
	txn->n_changes += more->n_changes;
	bytes_fini(&more->changes);
}

/* ---- publishing */

bool meta_change_next(const uint8_t **at, const uint8_t *end, struct meta_change *c, struct change_head *head)
{
	if ((size_t)(end - *at) < sizeof(*head))
		return false;
	memcpy(head, *at, sizeof(*head));
	size_t left = (size_t)(end - *at) - sizeof(*head);
	if (head->key_size > left || head->size > left - head->key_size || head->key_size > META_KEY_MAX ||
	    head->key_size < 8 || head->table >= META_N_TABLES || head->what < META_PUT || head->what > META_SET)
		return false;
	*c = (struct meta_change){
		.table = head->table, .key = *at + sizeof(*head), .key_size = head->key_size,
		.body = *at + sizeof(*head) + head->key_size, .size = head->size, .deletes = head->what == META_DELETE};
	*at += sizeof(*head) + head->key_size + head->size;
	return true;
}

static int count(struct meta *m, const struct meta_change *c)
{
	uint64_t counter;
	memcpy(&counter, c->key, sizeof(counter));
	int64_t *value = meta_counter_at(m, counter);
	if (!value)
		return ERR_NOMEM;
	memcpy(value, c->body, sizeof(*value));
	return 0;
}

/* Later nothing may fail. */
static int make_counters(struct meta *m, const struct meta_txn *txn)
{
	const uint8_t *at = (const uint8_t *)txn->changes.data, *end = at + txn->changes.size;
	struct change_head head;
	struct meta_change c;
	while (meta_change_next(&at, end, &c, &head)) {
		uint64_t counter;
		memcpy(&counter, c.key, sizeof(counter));
		if ((head.what == META_ADD || head.what == META_SET) && !meta_counter_at(m, counter))
			return ERR_NOMEM;
	}
	return 0;
}

/* In the journal counters have values: a change can be made twice. */
static void resolve_add(struct meta *m, const struct meta_change *c, struct change_head *head)
{
	uint64_t counter;
	int64_t delta;
	memcpy(&counter, c->key, sizeof(counter));
	memcpy(&delta, c->body, sizeof(delta));
	delta += *meta_counter_at(m, counter);
	memcpy((void *)c->body, &delta, sizeof(delta));
	head->what = META_SET;
	memcpy((uint8_t *)c->key - sizeof(*head), head, sizeof(*head));
}

static void publish_changes(struct meta *m, const uint8_t *at, size_t size)
{
	const uint8_t *end = at + size;
	struct change_head head;
	struct meta_change c;
	while (meta_change_next(&at, end, &c, &head)) {
		if (head.what == META_ADD)
			resolve_add(m, &c, &head);
		if (head.what == META_SET)
			count(m, &c);
		c.batch = m->batch;
		overlay_put(m->active, &c);
	}
}

static int publish(struct meta *m, const struct meta_txn *txn)
{
	size_t size = txn->changes.size;
	int err = make_counters(m, txn);
	if (!err)
		err = overlay_reserve(m->active, txn->n_changes, size);
	if (!err)
		err = journal_buffer_reserve(&m->gathered, size);
	if (err)
		return err;
	uint8_t *at = journal_buffer_end(&m->gathered);
	memcpy(at, txn->changes.data, size);
	m->gathered.size += size;
	m->gathered.n += txn->n_changes;
	if (m->active->n_records == 0)
		m->active->since_ns = loop_now_ns(loop_current());
	publish_changes(m, at, size);
	m->counters[META_BATCH] = (int64_t)m->batch;
	m->last = m->batch;
	m->n_commits++;
	return 0;
}

/* ---- room */

static uint64_t pending(const struct meta *m)
{
	return m->active->size + (m->applying ? m->applying->size : 0);
}

/* What is pending may take twice its size, for pages are split in halves. */
static bool has_room(struct meta *m, const struct meta_txn *txn)
{
	uint64_t bytes = 2 * (pending(m) + txn->changes.size), pages = bytes / PAGE_SIZE + PAGES_FLOOR;
	uint64_t reserve = txn->frees ? 0 : meta_reserve(m);
	if (m->pages_left < pages + reserve)
		return false;
	return txn->frees || !m->host_refuses || m->host_free >= m->cfg.reserve + 2 * bytes;
}

/* What a transaction that is not admitted waits for. */
struct delay {
	uint64_t batch; /* that is gathered */
	uint64_t ns;
};

/* 0, an error, or ERR_AGAIN: once something was applied; ERR_DELAY: once the gathered batch was taken; ERR_BUSY: some time later. */
static int admit(struct meta *m, const struct meta_txn *txn, struct delay *delay)
{
	if (m->failed)
		return m->failed;
	if (m->trouble)
		return m->trouble;
	if (m->closed_gate)
		return ERR_AGAIN;
	if (m->applying && m->active->size >= m->overlay_max)
		return m->stuck ?: ERR_AGAIN;
	delay->ns = meta_pace_ns(m);
	if (delay->ns)
		return ERR_BUSY;
	if (m->gathered.size && m->gathered.size + txn->changes.size > GATHERED_MAX)
		return ERR_DELAY;
	if (likely(has_room(m, txn)))
		return 0;
	if (pending(m) && !m->stuck)
		return ERR_AGAIN;
	m->full = m->full || !txn->frees;
	return ERR_NOSPC;
}

static void wake_applier(struct meta *m)
{
	fiber_mutex_lock(&m->lock);
	fiber_cond_signal(&m->work);
	fiber_mutex_unlock(&m->lock);
}

static int try_publish(struct meta *m, const struct meta_txn *txn, struct delay *delay)
{
	pthread_rwlock_wrlock(&m->state);
	bool fresh = m->active->n_records == 0;
	int err = admit(m, txn, delay);
	if (!err)
		err = publish(m, txn);
	delay->batch = m->batch;
	bool enough = !m->applying && m->active->size >= m->overlay_max;
	m->turning |= enough;
	pthread_rwlock_unlock(&m->state);
	if (unlikely(enough || fresh))
		wake_applier(m);
	return err;
}

/* Waits for what keeps the transaction out. */
static int make_way(struct meta *m, int why, const struct delay *delay)
{
	if (why == ERR_AGAIN)
		return meta_drain(m);
	if (why == ERR_DELAY)
		return meta_wait(m, delay->batch);
	fiber_sleep_ns(delay->ns);
	return 0;
}

int meta_submit(struct meta *m, struct meta_txn *txn, uint64_t *batch)
{
	struct delay delay = {0};
	int err = txn->changes.err;
	if (!err && m->cfg.read_only)
		err = ERR_ROFS;
	bool asked = false;
	while (!err && txn->n_changes) {
		err = try_publish(m, txn, &delay);
		if (err == ERR_NOSPC && !asked) {
			/* The host may have more by now. */
			asked = true;
			meta_make_room(m, META_LOOK_NS);
			err = 0;
		} else if (err == ERR_AGAIN || err == ERR_DELAY || err == ERR_BUSY) {
			err = make_way(m, err, &delay);
		} else {
			break;
		}
	}
	*batch = delay.batch;
	bytes_fini(&txn->changes);
	return err == ERR_OVERFLOW ? ERR_NOSPC : err;
}

int meta_commit(struct meta *m, struct meta_txn *txn)
{
	uint64_t batch;
	int err = meta_submit(m, txn, &batch);
	return err ? err : meta_wait(m, batch);
}

uint64_t meta_last(struct meta *m)
{
	return m->last;
}

/* ---- replay */

static int replay_batch(void *arg, uint64_t batch, const uint8_t *at, size_t size)
{
	struct meta *m = arg;
	const uint8_t *end = at + size;
	struct change_head head;
	struct meta_change c;
	int err = overlay_reserve(m->active, (uint32_t)(size / sizeof(head)), size);
	if (err)
		return err;
	while (meta_change_next(&at, end, &c, &head)) {
		if (head.what == META_ADD || (head.what == META_SET && (c.table != META_COUNTERS || c.size != sizeof(int64_t))))
			return ERR_IO;
		if (head.what == META_SET && (err = count(m, &c)))
			return err;
		c.batch = batch;
		overlay_put(m->active, &c);
	}
	return at == end ? 0 : ERR_IO;
}

int meta_replay(struct meta *m)
{
	struct journal_place from = {
		(uint64_t)m->counters[META_JOURNAL_AT], (uint64_t)m->counters[META_JOURNAL_SUM], (uint64_t)m->counters[META_BATCH]};
	int err = journal_replay(&m->journal, &from, replay_batch, m);
	m->applied = from.batch;
	m->durable = m->last = m->journal.end.batch;
	m->batch = m->durable + 1;
	m->counters[META_BATCH] = (int64_t)m->durable;
	m->active->since_ns = loop_now_ns(loop_current());
	return err;
}
