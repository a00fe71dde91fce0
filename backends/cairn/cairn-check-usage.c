/* What owners, groups and projects have: the counters of quotas against the sums over inodes. */
#include <stdlib.h>

#include "backends/cairn/cairn-check-impl.h"
#include "base/cursor.h"
#include "base/hash.h"

#define SLOTS_FIRST 256u

struct usage {
	uint64_t key;   /* of the counter; 0: the slot is free */
	uint64_t value;
	bool seen;
};

/* Open addressing, at most half full. */
struct usages {
	struct usage *slots;
	uint64_t n, max;
};

static struct usage *find(const struct usages *u, uint64_t key)
{
	uint64_t at = hash_u64(key) & (u->max - 1);
	while (u->slots[at].key && u->slots[at].key != key)
		at = (at + 1) & (u->max - 1);
	return &u->slots[at];
}

static int grow(struct usages *u)
{
	struct usages more = {.n = u->n, .max = u->max ? 2 * u->max : SLOTS_FIRST};
	more.slots = calloc(more.max, sizeof(*more.slots));
	if (!more.slots)
		return ERR_NOMEM;
	for (uint64_t i = 0; i < u->max; i++)
		if (u->slots[i].key)
			*find(&more, u->slots[i].key) = u->slots[i];
	free(u->slots);
	*u = more;
	return 0;
}

static void add(struct check *c, uint64_t key, uint64_t value)
{
	struct usages *u = c->arg;
	if (2 * u->n >= u->max)
		c->err = c->err ? c->err : grow(u);
	if (c->err)
		return;
	struct usage *slot = find(u, key);
	u->n += slot->key == 0;
	slot->key = key;
	slot->value += value;
}

static bool add_inode(struct check *c, const struct meta_record *r)
{
	struct cairn_inode inode;
	if (cairn_inode_decode(r->body, r->size, &inode))
		return true;
	struct cairn_ids ids = cairn_ids(&inode);
	for (uint32_t kind = 0; kind < QUOTA_N_KINDS; kind++) {
		uint64_t key = cairn_usage_key(kind, ids.of[kind]);
		if (!cairn_usage_counts(kind, ids.of[kind]))
			continue;
		add(c, key, inode.n_blocks * CAIRN_BLOCK_SIZE);
		add(c, key | CAIRN_USAGE_INODES, 1);
	}
	return !c->err;
}

static void correct(struct check *c, uint64_t counter, uint64_t value)
{
	struct meta_key key = meta_key_number(counter);
	if (check_found_record(c, CHECK_USAGE, META_COUNTERS, &key, 0))
		meta_set(&c->txn, counter, (int64_t)value);
}

static bool compare(struct check *c, const struct meta_record *r)
{
	struct cursor cur;
	struct usage none = {.value = 0}, *u = &none;
	cursor_init(&cur, (void *)r->body, r->size);
	uint64_t told = cursor_le64(&cur);
	if (r->key->number < CAIRN_USAGE_FIRST)
		return true;
	struct usages *all = c->arg;
	if (all->max)
		u = find(all, r->key->number);
	u->seen = true;
	if (told != (u->key ? u->value : 0))
		correct(c, r->key->number, u->key ? u->value : 0);
	return true;
}

int check_usage(struct check *c)
{
	struct usages u = {.n = 0};
	c->arg = &u;
	int err = check_table(c, META_INODES, add_inode);
	if (!err)
		err = check_table(c, META_COUNTERS, compare);
	for (uint64_t i = 0; !err && i < u.max; i++)
		if (u.slots[i].key && u.slots[i].value && !u.slots[i].seen)
			correct(c, u.slots[i].key, u.slots[i].value);
	free(u.slots);
	return err;
}
