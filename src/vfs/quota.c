/*
 * A soft limit that is passed begins a grace, in which more is accepted; when it is over the soft limit is a hard
 * one, until usage has fallen below it.
 */
#include "vfs/quota.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"
#include "vfs/backend.h"

/* ---- accounts */

static uint64_t key_of(uint32_t kind, uint32_t id)
{
	return (uint64_t)kind << 32 | id;
}

static int account_cmp(const void *key, const struct tree_node *node)
{
	const struct quota_account *a = container_of(node, struct quota_account, node);
	uint64_t mine = *(const uint64_t *)key, other = key_of(a->kind, a->id);
	return mine < other ? -1 : mine > other;
}

void quota_init(struct quota_table *t)
{
	*t = (struct quota_table){.lock = {0}};
	tree_init(&t->accounts);
}

void quota_fini(struct quota_table *t)
{
	struct quota_account *a;
	while ((a = tree_entry(tree_first(&t->accounts), struct quota_account, node))) {
		tree_erase(&t->accounts, &a->node);
		free(a);
	}
}

static struct quota_account *find(struct quota_table *t, uint64_t key)
{
	spin_lock(&t->lock);
	struct quota_account *a = tree_entry(tree_find(&t->accounts, &key, account_cmp), struct quota_account, node);
	spin_unlock(&t->lock);
	return a;
}

struct quota_account *quota_account(struct quota_table *t, uint32_t kind, uint32_t id)
{
	uint64_t key = key_of(kind, id);
	struct quota_account *a = find(t, key);
	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->kind = a->limits.kind = kind;
	a->id = a->limits.id = id;
	spin_lock(&t->lock);
	struct tree_node *other = tree_insert(&t->accounts, &a->node, &key, account_cmp);
	spin_unlock(&t->lock);
	if (!other)
		return a;
	free(a);
	return tree_entry(other, struct quota_account, node);
}

int quota_owner(struct quota_table *t, const struct op_attr *attr, const struct quota_owner *near, struct quota_owner *o)
{
	const uint32_t ids[QUOTA_N_KINDS] = {attr->uid, attr->gid, attr->project};
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++) {
		struct quota_account *a = near ? near->of[kind] : NULL;
		o->of[kind] = NULL;
		if (kind == QUOTA_PROJECT && ids[kind] == 0)
			continue;
		o->of[kind] = a && a->id == ids[kind] ? a : quota_account(t, kind, ids[kind]);
		if (!o->of[kind])
			return ERR_NOMEM;
	}
	return 0;
}

/* ---- counting */

/* What usage means for a limit: whether more may be accepted. The grace begins and ends here. */
static bool fits(struct op_quota_limit *l, int64_t used, int64_t more, int64_t now, _Atomic bool *changed)
{
	bool above = l->soft && used > (int64_t)l->soft;
	if (!above && l->until) {
		l->until = 0;
		*changed = true;
	}
	if (more <= 0)
		return true;
	if (l->hard && used > (int64_t)l->hard)
		return false;
	if (above && l->until == 0) {
		l->until = now + (int64_t)(l->grace ? l->grace : QUOTA_GRACE_S);
		*changed = true;
	}
	return !above || now < l->until;
}

static bool add(struct quota_table *t, struct quota_account *a, int64_t bytes, int64_t inodes)
{
	int64_t n_bytes = atomic_fetch_add(&a->bytes, bytes) + bytes;
	int64_t n_inodes = atomic_fetch_add(&a->inodes, inodes) + inodes;
	if (likely(!atomic_load_explicit(&a->limited, memory_order_relaxed)))
		return true;
	int64_t now = vfs_now().sec;
	spin_lock(&t->lock);
	bool ok = fits(&a->limits.bytes, n_bytes, bytes, now, &a->changed);
	ok = fits(&a->limits.inodes, n_inodes, inodes, now, &a->changed) && ok;
	spin_unlock(&t->lock);
	return ok;
}

void quota_adjust(struct quota_table *t, const struct quota_owner *o, int64_t bytes, int64_t inodes)
{
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++)
		if (o->of[kind])
			add(t, o->of[kind], bytes, inodes);
}

int quota_charge(struct quota_table *t, const struct quota_owner *o, int64_t bytes, int64_t inodes)
{
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++) {
		if (!o->of[kind] || add(t, o->of[kind], bytes, inodes))
			continue;
		struct quota_owner undo = {{NULL}};
		for (uint32_t k = 0; k <= kind; k++)
			undo.of[k] = o->of[k];
		quota_adjust(t, &undo, -bytes, -inodes);
		return ERR_DQUOT;
	}
	return 0;
}

int quota_move(struct quota_table *t, const struct quota_owner *from, const struct quota_owner *to, int64_t bytes, int64_t inodes)
{
	struct quota_owner loses = *from, gains = *to;
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++)
		if (loses.of[kind] == gains.of[kind])
			loses.of[kind] = gains.of[kind] = NULL;
	int err = quota_charge(t, &gains, bytes, inodes);
	if (!err)
		quota_adjust(t, &loses, -bytes, -inodes);
	return err;
}

/* ---- telling and setting */

/* With the lock. */
static bool is_idle(const struct quota_account *a)
{
	return !a->limited && a->bytes == 0 && a->inodes == 0;
}

static void tell(const struct quota_account *a, struct op_quota *q)
{
	*q = a->limits;
	/* A reservation that is given back may be seen as such. */
	q->bytes.used = (uint64_t)MAX(a->bytes, 0);
	q->inodes.used = (uint64_t)MAX(a->inodes, 0);
}

int quota_get(struct quota_table *t, struct op_quota *q, bool next)
{
	uint64_t key = key_of(q->kind, q->id);
	spin_lock(&t->lock);
	struct quota_account *a = tree_entry(tree_lower_bound(&t->accounts, &key, account_cmp), struct quota_account, node);
	while (next && a && is_idle(a))
		a = tree_entry(tree_next(&a->node), struct quota_account, node);
	bool found = a && a->kind == q->kind && (next || a->id == q->id) && !is_idle(a);
	if (found)
		tell(a, q);
	spin_unlock(&t->lock);
	return found ? 0 : ERR_NOENT;
}

static void take_limit(struct op_quota_limit *l, const struct op_quota_limit *from)
{
	int64_t until = l->until;
	*l = (struct op_quota_limit){.soft = from->soft, .hard = from->hard, .grace = from->grace, .until = from->until};
	if (!l->until)
		l->until = until;
	if (!l->soft)
		l->until = 0;
}

int quota_set(struct quota_table *t, const struct op_quota *q)
{
	struct quota_account *a = quota_account(t, q->kind, q->id);
	if (!a)
		return ERR_NOMEM;
	spin_lock(&t->lock);
	take_limit(&a->limits.bytes, &q->bytes);
	take_limit(&a->limits.inodes, &q->inodes);
	a->limited = q->bytes.soft || q->bytes.hard || q->inodes.soft || q->inodes.hard;
	a->changed = true;
	spin_unlock(&t->lock);
	/* Who is below the soft limit by now has no grace running. */
	add(t, a, 0, 0);
	return 0;
}

bool quota_take_changed(struct quota_table *t, struct quota_account *a, struct op_quota *q)
{
	if (likely(!atomic_load_explicit(&a->limited, memory_order_relaxed) && !a->changed))
		return false;
	spin_lock(&t->lock);
	bool changed = a->changed;
	a->changed = false;
	*q = a->limits;
	spin_unlock(&t->lock);
	return changed;
}
