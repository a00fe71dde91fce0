/*
 * Intrusive doubly linked list. The head is a struct list of its own; an entry that is on no list
 * points to itself after list_init() or list_del(). Not synchronised: the owner's lock guards it.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/compiler.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_before(struct list *at, struct list *e)
{
	e->prev = at->prev;
	e->next = at;
	at->prev->next = e;
	at->prev = e;
}

/* list_push_back(), list_push_front() - e becomes the last or the first entry of head. */
static inline void list_push_back(struct list *head, struct list *e)
{
	list_add_before(head, e);
}

static inline void list_push_front(struct list *head, struct list *e)
{
	list_add_before(head->next, e);
}

static inline void list_del(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

/* list_pop_front() - unlinks and returns the first entry, or NULL. */
static inline struct list *list_pop_front(struct list *head)
{
	struct list *e = head->next;
	if (e == head)
		return NULL;
	list_del(e);
	return e;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)

/* The link of an entry, by arithmetic: at the end of a walk var is the head in disguise, and no entry. */
#define LIST_LINK(var, member) ((struct list *)((char *)(var) + offsetof(__typeof__(*(var)), member)))

#define LIST_FOREACH(var, head, member)                                            \
	for (var = list_entry((head)->next, __typeof__(*var), member);             \
	     LIST_LINK(var, member) != (head);                                     \
	     var = list_entry(LIST_LINK(var, member)->next, __typeof__(*var), member))

/* LIST_FOREACH_SAFE - var may be unlinked or freed by the body. */
#define LIST_FOREACH_SAFE(var, tmp, head, member)                                  \
	for (var = list_entry((head)->next, __typeof__(*var), member),             \
	    tmp = list_entry(LIST_LINK(var, member)->next, __typeof__(*var), member); \
	     LIST_LINK(var, member) != (head);                                     \
	     var = tmp, tmp = list_entry(LIST_LINK(tmp, member)->next, __typeof__(*var), member))

#endif
