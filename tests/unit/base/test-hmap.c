/* Shows that the hash map finds, removes and visits what is in it, collisions included; and lists. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/hmap.h"
#include "base/list.h"

struct item {
	uint64_t key;
	struct hmap_node node;
	struct list link;
};

static struct item *find(struct hmap *m, uint64_t key, uint64_t hash)
{
	struct item *it;
	HMAP_FOREACH_HASH (it, m, hash, node)
		if (it->key == key)
			return it;
	return NULL;
}

Test(hmap, insert_find_remove)
{
	enum { N = 5000 };
	struct item *items = calloc(N, sizeof(*items)), *it, *tmp;
	struct hmap m;
	hmap_init(&m);
	cr_assert_null(hmap_first(&m));
	for (uint64_t i = 0; i < N; i++) {
		items[i].key = i;
		hmap_insert(&m, &items[i].node, hash_u64(i));
	}
	for (uint64_t i = 0; i < N; i += 2)
		hmap_remove(&m, &find(&m, i, hash_u64(i))->node);
	for (uint64_t i = 0; i < N; i++)
		cr_assert_eq(find(&m, i, hash_u64(i)) != NULL, i % 2 == 1);
	size_t n = 0;
	HMAP_FOREACH (it, &m, node)
		n++;
	cr_assert_eq(n, N / 2);
	cr_assert_eq(m.n_nodes, N / 2);
	HMAP_FOREACH_SAFE (it, tmp, &m, node)
		hmap_remove(&m, &it->node);
	cr_assert_eq(m.n_nodes, 0);
	hmap_fini(&m);
	free(items);
}

Test(hmap, equal_hashes)
{
	struct item items[10] = {0};
	struct hmap m;
	hmap_init(&m);
	for (uint64_t i = 0; i < 10; i++) {
		items[i].key = i;
		hmap_insert(&m, &items[i].node, 42);
	}
	for (uint64_t i = 0; i < 10; i++)
		cr_assert_eq(find(&m, i, 42), &items[i]);
	cr_assert_null(find(&m, 3, 43));
	hmap_fini(&m);
}

Test(list, order_and_removal)
{
	struct list head;
	struct item items[3], *it, *tmp;
	uint64_t n = 0;
	list_init(&head);
	cr_assert(list_empty(&head) && !list_pop_front(&head));
	for (uint64_t i = 0; i < 3; i++) {
		items[i].key = i;
		list_push_back(&head, &items[i].link);
	}
	LIST_FOREACH (it, &head, link)
		cr_assert_eq(it->key, n++);
	LIST_FOREACH_SAFE (it, tmp, &head, link)
		if (it->key == 1)
			list_del(&it->link);
	list_push_front(&head, &items[1].link);
	cr_assert_eq(list_pop_front(&head), &items[1].link);
	cr_assert_eq(list_pop_front(&head), &items[0].link);
	cr_assert_eq(list_pop_front(&head), &items[2].link);
}

/* A walk must not touch the head as if it were an entry: a sanitizer sees it when entries are aligned wider. */
Test(list, entries_aligned_wider_than_the_head)
{
	struct wide {
		_Alignas(64) char bytes[64];
		struct list link;
	} entry, *it, *tmp;
	struct list heads[3];
	for (int i = 0; i < 3; i++) {
		int n = 0;
		list_init(&heads[i]);
		LIST_FOREACH (it, &heads[i], link)
			n++;
		list_push_back(&heads[i], &entry.link);
		LIST_FOREACH_SAFE (it, tmp, &heads[i], link) {
			list_del(&it->link);
			n++;
		}
		cr_assert_eq(n, 1);
	}
}
