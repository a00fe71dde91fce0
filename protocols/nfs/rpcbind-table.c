/* Which program listens where. Ours are set once; local programs may add theirs, up to a bound. */
#include <stdlib.h>

#include "protocols/nfs/nfs-impl.h"

#define ENTRIES_MAX 256

struct rpcbind_table {
	uint32_t n;
	struct rpcbind_entry entries[ENTRIES_MAX];
};

int rpcbind_table_create(struct rpcbind_table **t)
{
	*t = calloc(1, sizeof(**t));
	return *t ? 0 : ERR_NOMEM;
}

void rpcbind_table_destroy(struct rpcbind_table *t)
{
	free(t);
}

const struct rpcbind_entry *rpcbind_entry(const struct rpcbind_table *t, uint32_t i)
{
	return i < t->n ? &t->entries[i] : NULL;
}

/* An exact match, else another version of the program: the caller will learn which by PROG_MISMATCH. */
const struct rpcbind_entry *rpcbind_find(const struct rpcbind_table *t, uint32_t prog, uint32_t vers, bool udp, bool in6)
{
	const struct rpcbind_entry *other = NULL;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct rpcbind_entry *e = &t->entries[i];
		if (e->prog != prog || e->udp != udp || e->in6 != in6)
			continue;
		if (e->vers == vers)
			return e;
		other = e;
	}
	return other;
}

bool rpcbind_set(struct rpcbind_table *t, const struct rpcbind_entry *e)
{
	const struct rpcbind_entry *old = rpcbind_find(t, e->prog, e->vers, e->udp, e->in6);
	if (old && old->vers == e->vers)
		return old->port == e->port;
	if (t->n == ENTRIES_MAX)
		return false;
	t->entries[t->n++] = *e;
	return true;
}

bool rpcbind_unset(struct rpcbind_table *t, uint32_t prog, uint32_t vers)
{
	bool removed = false;
	for (uint32_t i = t->n; i-- > 0;) {
		struct rpcbind_entry *e = &t->entries[i];
		if (e->own || e->prog != prog || e->vers != vers)
			continue;
		*e = t->entries[--t->n];
		removed = true;
	}
	return removed;
}
