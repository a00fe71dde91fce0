/* See cairn-verify.h. */
#include "backends/cairn/cairn-verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 4096u
#define NAMES_AT_ONCE 64u
#define NAMES_MAX 4096u
#define DEPTH_MAX 32u

/* ---- blocks */

int cairn_reader_init(struct cairn_reader *r, int data_fd, bool direct)
{
	*r = (struct cairn_reader){.data_fd = data_fd, .direct = direct};
	r->bytes = aligned_alloc(ALIGNMENT, (size_t)CAIRN_EXTENT_MAX * CAIRN_BLOCK_SIZE);
	return r->bytes ? 0 : ERR_NOMEM;
}

static void close_segment(struct cairn_reader *r)
{
	if (r->file)
		file_close(TAKE(r->file));
}

void cairn_reader_fini(struct cairn_reader *r)
{
	close_segment(r);
	free(TAKE(r->bytes));
}

static int open_segment(struct cairn_reader *r, uint32_t segment)
{
	char name[16];
	int err = ERR_IO;
	if (r->file && r->segment == segment)
		return 0;
	close_segment(r);
	snprintf(name, sizeof(name), "%08x", segment);
	r->segment = segment;
	if (r->direct)
		err = file_open(&r->file, r->data_fd, name, O_RDONLY | O_DIRECT | O_CLOEXEC, 0);
	if (err)
		err = file_open(&r->file, r->data_fd, name, O_RDONLY | O_CLOEXEC, 0);
	if (err)
		r->file = NULL;
	return err;
}

bool cairn_reader_read(struct cairn_reader *r, uint64_t place, uint64_t n, uint64_t to)
{
	struct iovec iov = {r->bytes + to * CAIRN_BLOCK_SIZE, n * CAIRN_BLOCK_SIZE};
	uint64_t at = place % CAIRN_SEGMENT_BLOCKS * CAIRN_BLOCK_SIZE;
	if (open_segment(r, (uint32_t)(place / CAIRN_SEGMENT_BLOCKS)))
		return false;
	return file_preadv(r->file, &iov, 1, at) == (ssize_t)iov.iov_len;
}

bool cairn_reader_check(struct cairn_reader *r, const struct cairn_extent *e, uint64_t i, bool was_read)
{
	const uint8_t *bytes = r->bytes + i * CAIRN_BLOCK_SIZE;
	bool good = was_read && cairn_block_sum(bytes) == e->sums[i];
	/* Nothing is given up for what is read wrong once. */
	for (int tries = 0; !good && tries < 2; tries++)
		good = cairn_reader_read(r, e->place + i, 1, i) && cairn_block_sum(bytes) == e->sums[i];
	return good;
}

/* ---- what only snapshots have */

uint64_t cairn_newest_of(const uint64_t *snapshots, uint32_t n, uint64_t born, uint64_t last)
{
	uint32_t low = 0, high = n;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (snapshots[middle] <= last)
			low = middle + 1;
		else
			high = middle;
	}
	return low && snapshots[low - 1] >= born ? snapshots[low - 1] : 0;
}

struct held_search {
	const struct cairn_ref *ref;
	uint64_t from;
	struct cairn_extent *piece;
	bool found;
	int err;
};

static void cut(struct cairn_extent *e, uint64_t first, uint64_t end)
{
	uint64_t off = first - e->first;
	memmove(e->sums, e->sums + off, (end - first) * sizeof(e->sums[0]));
	e->first = first;
	e->n = end - first;
	e->place += off;
}

/* Blocks that the file has otherwise by now are not those of the reference. */
static bool take_piece(void *arg, const struct meta_record *r)
{
	struct held_search *s = arg;
	const struct cairn_ref *ref = s->ref;
	struct cairn_extent *e = s->piece;
	uint64_t end = ref->block + ref->place.n;
	if (meta_key_first(r->key) != ref->ino || meta_key_second(r->key) >= end)
		return false;
	s->err = cairn_extent_decode(r, e);
	if (s->err)
		return false;
	uint64_t first = MAX(e->first, s->from);
	end = MIN(e->first + e->n, end);
	if (first >= end || e->kind != CAIRN_WRITTEN || e->place - e->first != ref->place.first - ref->block)
		return true;
	cut(e, first, end);
	s->found = true;
	return false;
}

int cairn_held_next(struct meta *view, const struct cairn_ref *ref, uint64_t *block, struct cairn_extent *piece)
{
	struct held_search s = {.ref = ref, .from = *block, .piece = piece};
	struct meta_key key = meta_key_pair(ref->ino, *block);
	int err = meta_scan(view, META_EXTENTS, &key, META_FROM_OR_BEFORE, take_piece, &s);
	if (err || s.err)
		return err ? err : s.err;
	if (!s.found)
		return ERR_NOENT;
	*block = piece->first + piece->n;
	return 0;
}

/* ---- where something is */

struct name_search {
	uint64_t dir, ino;
	uint32_t n;
	struct meta_key next;
	char *name; /* room for OP_NAME_MAX + 1 */
	bool more, found;
};

static bool match_ino(void *arg, const struct meta_record *r)
{
	struct name_search *q = arg;
	struct cairn_entry e;
	if (meta_key_first(r->key) != q->dir || r->key->size <= 8)
		return false;
	q->next = *r->key;
	q->more = q->n++ % NAMES_AT_ONCE == NAMES_AT_ONCE - 1;
	if (r->err || cairn_entry_decode(r->body, r->size, &e) || e.ino != q->ino)
		return !q->more;
	snprintf(q->name, OP_NAME_MAX + 1, "%.*s", (int)r->key->size - 8, (const char *)r->key->bytes + 8);
	q->found = true;
	return false;
}

/* Not in every directory: in a large one it would take too long. */
static bool find_name(struct meta *meta, uint64_t dir, uint64_t ino, char name[OP_NAME_MAX + 1])
{
	struct name_search q = {.dir = dir, .ino = ino, .next = meta_key_name(dir, "", 0), .name = name, .more = true};
	while (q.more && !q.found && q.n < NAMES_MAX) {
		struct meta_key from = q.next;
		q.more = false;
		if (meta_inspect(meta, META_ENTRIES, &from, match_ino, &q))
			return false;
	}
	return q.found;
}

static uint64_t parent_of(struct meta *meta, uint64_t ino)
{
	struct meta_key key = meta_key_number(ino);
	uint8_t body[CAIRN_INODE_SIZE];
	uint32_t size = sizeof(body);
	struct cairn_inode inode;
	int err = meta_get(meta, META_INODES, &key, body, &size);
	return err || cairn_inode_decode(body, size, &inode) ? 0 : inode.parent;
}

void cairn_path_of(struct meta *meta, uint64_t ino, char path[CAIRN_PATH_ROOM])
{
	char name[OP_NAME_MAX + 1], longer[CAIRN_PATH_ROOM];
	path[0] = '\0';
	for (uint32_t depth = 0; ino && ino != CAIRN_ROOT_INODE; depth++) {
		uint64_t parent = parent_of(meta, ino);
		if (depth == DEPTH_MAX || parent == 0 || !find_name(meta, parent, ino, name) ||
		    snprintf(longer, sizeof(longer), "/%s%s", name, path) >= (int)sizeof(longer)) {
			path[0] = '\0';
			return;
		}
		memcpy(path, longer, sizeof(longer));
		ino = parent;
	}
}
