/*
 * The tree: every directory leads up to the root, everything that has links has a name. What has none gets one in
 * lost+found, after its number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-check-impl.h"

#define PATHS_MAX 1000u /* that are looked up */
#define DEPTH_MAX 64u

/* ---- lost+found */

static uint64_t new_number(struct check *c)
{
	int64_t next = 0;
	uint64_t last = c->inodes[c->n_inodes - 1].ino;
	if (meta_counter(c->meta, META_NEXT_INODE, &next) || next < 0)
		next = 0;
	return MAX((uint64_t)next, last + 1);
}

static uint64_t make_lost_found(struct check *c, const char *name)
{
	struct check_inode *ci = check_inode_add(c, new_number(c), OP_TYPE_DIR);
	if (!ci)
		return 0;
	ci->flags = CI_REBUILT | CI_CHANGED | CI_REACHED;
	check_name_add(c, CAIRN_ROOT_INODE, name, ci);
	return ci->ino;
}

/* A directory of that name in the root, or of a similar one if it is something else's. */
static uint64_t lost_found(struct check *c)
{
	char name[32] = "lost+found";
	for (int i = 1; c->lost_found == 0 && !c->err; i++) {
		uint64_t ino;
		if (!check_name_exists(c, CAIRN_ROOT_INODE, name, &ino)) {
			c->lost_found = make_lost_found(c, name);
			break;
		}
		const struct check_inode *ci = check_inode_find(c, ino);
		if (ci && ci->dir)
			c->lost_found = ino;
		snprintf(name, sizeof(name), "lost+found.%d", i);
	}
	return c->lost_found;
}

static void name_anew(struct check *c, uint64_t ino)
{
	char name[48];
	uint64_t dir = lost_found(c), other;
	struct check_inode *ci = check_inode_find(c, ino);
	if (!dir || !ci)
		return;
	snprintf(name, sizeof(name), "#%llu", (unsigned long long)ino);
	for (int i = 1; check_name_exists(c, dir, name, &other); i++)
		snprintf(name, sizeof(name), "#%llu.%d", (unsigned long long)ino, i);
	ci->where = 0;
	/* A stream that is named by nobody becomes a file. */
	if (ci->type == OP_TYPE_FILE)
		ci->flags |= CI_CHANGED;
	check_name_add(c, dir, name, ci);
}

/* ---- directories */

/* The first on the way up that leads no further, or one of a loop; NULL: the root is reached. */
static struct check_inode *climb(struct check *c, struct check_inode *from, bool *loops)
{
	struct check_inode *at = from;
	*loops = false;
	for (uint32_t steps = 0; at->ino != CAIRN_ROOT_INODE && !(at->flags & CI_REACHED); steps++) {
		struct check_inode *up = at->where ? check_inode_find(c, at->where) : NULL;
		*loops = steps > c->n_dirs;
		if (!up || *loops)
			return at;
		at = up;
	}
	return NULL;
}

static void mark_way(struct check *c, struct check_inode *from)
{
	for (struct check_inode *at = from; at && !(at->flags & CI_REACHED); at = at->where ? check_inode_find(c, at->where) : NULL)
		at->flags |= CI_REACHED;
}

/* Out of the loop; the directory it was in has one entry less. */
static void cut_loop(struct check *c, struct check_inode *ci)
{
	char name[OP_NAME_MAX + 1];
	struct check_inode *up = check_inode_find(c, ci->where);
	struct check_dir *dir = up ? check_dir_of(c, up) : NULL;
	if (!dir || !check_name_seek(c, ci->where, ci->ino, name, true))
		return;
	dir->n_seen--;
	dir->n_subdirs--;
	ci->n_names = 0;
	ci->where = 0;
}

/* An empty directory in use when it lost its name has none rightly. */
static bool is_orphan_dir(struct check *c, const struct check_inode *ci)
{
	return ci->nlink == 0 && ci->n_names == 0 && check_dir_of(c, ci)->n_seen == 0;
}

static void reach(struct check *c, uint32_t index)
{
	bool loops;
	struct check_inode *top = climb(c, &c->inodes[index], &loops);
	if (top && !is_orphan_dir(c, top)) {
		uint64_t ino = top->ino;
		bool repair = check_found_inode(c, loops ? CHECK_LOOP : CHECK_UNREACHABLE, ino);
		if (repair && loops)
			cut_loop(c, top);
		if (repair)
			name_anew(c, ino);
	}
	mark_way(c, &c->inodes[index]);
}

int check_tree(struct check *c)
{
	/* What lost+found adds at the end has its place. */
	const uint32_t n = c->n_inodes;
	int err = 0;
	for (uint32_t i = 0; !err && !c->err && i < n; i++) {
		const struct check_inode *ci = &c->inodes[i];
		if (ci->dir)
			reach(c, i);
		else if (ci->n_names == 0 && ci->nlink && check_found_inode(c, CHECK_UNREACHABLE, ci->ino))
			name_anew(c, ci->ino);
		if (c->txn.n_changes >= 1024)
			err = check_commit(c);
	}
	return err ? err : c->err;
}

/* ---- paths */

static char *path_of(struct check *c, uint64_t ino)
{
	char name[OP_NAME_MAX + 1];
	char *path = NULL;
	for (uint32_t depth = 0; depth < DEPTH_MAX; depth++) {
		const struct check_inode *ci = check_inode_find(c, ino);
		char *longer = NULL;
		if (ci && ino == CAIRN_ROOT_INODE)
			return path ? path : strdup("/");
		if (!ci || !ci->where || !check_name_seek(c, ci->where, ino, name, false) ||
		    asprintf(&longer, "/%s%s", name, path ? path : "") < 0)
			break;
		free(path);
		path = longer;
		ino = ci->where;
	}
	free(path);
	return NULL;
}

int check_find_paths(struct check *c)
{
	struct check_report *r = c->report;
	for (uint32_t i = 0; i < r->n_kept && i < PATHS_MAX; i++) {
		struct check_finding *f = &r->findings[i];
		if (f->ino && !f->where)
			f->where = path_of(c, f->ino);
	}
	return 0;
}
