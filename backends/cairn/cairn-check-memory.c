/* What a check remembers: lists of numbers, and a row for each inode in order of numbers. */
#include <stdlib.h>

#include "backends/cairn/cairn-check-impl.h"

int check_number_add(struct check_numbers *l, uint64_t number)
{
	if (l->n == l->max) {
		uint64_t max = l->max ? 2 * l->max : 64;
		uint64_t *list = realloc(l->list, max * sizeof(*list));
		if (!list)
			return ERR_NOMEM;
		l->list = list;
		l->max = max;
	}
	l->list[l->n++] = number;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

void check_numbers_sort(struct check_numbers *l)
{
	if (l->n)
		qsort(l->list, l->n, sizeof(*l->list), by_number);
}

bool check_number_in(const struct check_numbers *l, uint64_t number)
{
	return l->n && bsearch(&number, l->list, l->n, sizeof(*l->list), by_number);
}

void check_numbers_fini(struct check_numbers *l)
{
	free(TAKE(l->list));
	l->n = l->max = 0;
}

struct check_inode *check_inode_find(struct check *c, uint64_t ino)
{
	uint32_t from = 0, to = c->n_inodes;
	/* Numbers are given out in a row: it is often just there. */
	if (ino && ino <= to && c->inodes[ino - 1].ino == ino)
		return &c->inodes[ino - 1];
	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		if (c->inodes[mid].ino == ino)
			return &c->inodes[mid];
		if (c->inodes[mid].ino < ino)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

struct check_dir *check_dir_of(struct check *c, const struct check_inode *ci)
{
	return ci->dir ? &c->dirs[ci->dir - 1] : NULL;
}

static int grow_list(void **list, uint32_t n, uint32_t *max, size_t size)
{
	if (n < *max)
		return 0;
	uint32_t more = *max ? 2 * *max : 1024;
	void *new_list = more > n ? realloc(*list, more * size) : NULL;
	if (!new_list)
		return ERR_NOMEM;
	*list = new_list;
	*max = more;
	return 0;
}

struct check_inode *check_inode_add(struct check *c, uint64_t ino, uint32_t type)
{
	int err = grow_list((void **)&c->inodes, c->n_inodes, &c->inodes_max, sizeof(*c->inodes));
	if (!err && type == OP_TYPE_DIR)
		err = grow_list((void **)&c->dirs, c->n_dirs, &c->dirs_max, sizeof(*c->dirs));
	if (err) {
		c->err = err;
		return NULL;
	}
	struct check_inode *ci = &c->inodes[c->n_inodes++];
	*ci = (struct check_inode){.ino = ino, .type = type & 7};
	if (type == OP_TYPE_DIR) {
		c->dirs[c->n_dirs++] = (struct check_dir){.n_entries = 0};
		ci->dir = c->n_dirs;
	}
	return ci;
}
