/*
 * Usage and limits of a store in memory, for backends with VFS_CAP_QUOTA: an account for each owner, group and project
 * that has or had anything. Accounts stay until the table goes, so nodes hold pointers to theirs, and counting is an atomic
 * addition; only accounts with limits take a lock. Nothing parks. Any thread.
 */
#ifndef VFS_QUOTA_H
#define VFS_QUOTA_H

#include "base/spinlock.h"
#include "base/tree.h"
#include "op/attr.h"
#include "op/quota.h"

struct quota_account {
	struct tree_node node;  /* in the table, by kind and id */
	uint32_t kind;
	uint32_t id;
	_Atomic int64_t bytes;
	_Atomic int64_t inodes;
	_Atomic bool limited;
	_Atomic bool changed;   /* limits or a grace since quota_take_changed() */
	struct op_quota limits; /* used is not kept here; guarded by the table's lock */
};

/* Whom a node counts for; project NULL: none. */
struct quota_owner {
	struct quota_account *of[QUOTA_N_KINDS];
};

struct quota_table {
	struct spinlock lock; /* guards accounts and their limits */
	struct tree accounts;
};

void quota_init(struct quota_table *t);
void quota_fini(struct quota_table *t);

/* quota_account() - that of kind and id, made if need be; NULL: no memory. */
struct quota_account *quota_account(struct quota_table *t, uint32_t kind, uint32_t id);
/* quota_owner() - of uid, gid and project in attr. near: NULL, or one that may be the same, which is quicker. ERR_NOMEM. */
int quota_owner(struct quota_table *t, const struct op_attr *attr, const struct quota_owner *near, struct quota_owner *o);

/* quota_charge() - adds where no limit is passed by it; else ERR_DQUOT, and nothing was added. */
int quota_charge(struct quota_table *t, const struct quota_owner *o, int64_t bytes, int64_t inodes);
/* quota_adjust() - adds whatever the limits are; negative: gives back. */
void quota_adjust(struct quota_table *t, const struct quota_owner *o, int64_t bytes, int64_t inodes);

/* quota_move() - from one owner to another, of whom those that are the same see nothing. ERR_DQUOT. */
int quota_move(struct quota_table *t, const struct quota_owner *from, const struct quota_owner *to, int64_t bytes, int64_t inodes);

/* quota_get(), quota_set() - as backend_ops has them. quota_set(): ERR_NOMEM. */
int quota_get(struct quota_table *t, struct op_quota *q, bool next);
int quota_set(struct quota_table *t, const struct op_quota *q);
/* quota_take_changed() - limits that are to be stored: whether they changed since, and what they are now. */
bool quota_take_changed(struct quota_table *t, struct quota_account *a, struct op_quota *q);

#endif
