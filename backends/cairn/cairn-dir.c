/*
 * Reading directories. A name is found in the table of entries; a listing follows the table of order, where a
 * directory's entries stand by their cookies, which only grow: resuming is one search, whatever came and went.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/cairn/cairn-snapshot.h"
#include "base/cleanup.h"
#include "base/cursor.h"

#define PAGE_ENTRIES 64u

int cairn_find_entry(struct cairn_node *dir, const struct vfs_name *name, struct cairn_entry *e)
{
	struct meta_key key = meta_key_name(cairn_ino(dir), name->bytes, name->size);
	uint8_t body[CAIRN_ENTRY_SIZE];
	uint32_t size = sizeof(body);
	int err = meta_get(cairn_of(dir)->meta, META_ENTRIES, &key, body, &size);
	return err ? err : cairn_entry_decode(body, size, e);
}

static bool is_snapshot_dir(const struct cairn_node *dir, const struct vfs_name *name)
{
	const struct cairn *fs = cairn_of(dir);
	return cairn_ino(dir) == CAIRN_ROOT_INODE && !fs->at && fs->snapshot_dir[0] &&
	       strlen(fs->snapshot_dir) == name->size && memcmp(fs->snapshot_dir, name->bytes, name->size) == 0;
}

int cairn_lookup(struct vfs_node *dir, const struct vfs_name *name, struct vfs_node **node)
{
	struct cairn_node *n = cairn_node(dir);
	struct cairn_entry e;
	if (unlikely(cairn_ino(n) == CAIRN_SNAPSHOT_DIR))
		return cairn_snapshot_named(cairn_of(n), name, node);
	int err = cairn_find_entry(n, name, &e);
	if (err == ERR_NOENT && is_snapshot_dir(n, name))
		return cairn_node_of_ino(cairn_of(n), CAIRN_SNAPSHOT_DIR, node);
	return err ? err : cairn_node_of_ino(cairn_of(n), e.ino, node);
}

int cairn_parent(struct vfs_node *dir, struct vfs_node **parent)
{
	const struct cairn_node *n = cairn_node(dir);
	struct cairn *fs = cairn_of(n);
	if (n->inode.attr.nlink == 0)
		return ERR_STALE;
	/* The root of a snapshot stands in the directory of snapshots, unless it is the mount's. */
	if (fs->at && cairn_ino(n) == CAIRN_ROOT_INODE && dir != dir->mount->root && fs->base->snapshot_dir[0])
		return cairn_node_of_ino(fs->base, CAIRN_SNAPSHOT_DIR, parent);
	return cairn_node_of_ino(fs, n->inode.parent, parent);
}

/* Entries copied out of one read transaction: emitting them may park. */
struct page {
	uint64_t dir;
	uint32_t n;
	struct {
		uint64_t cookie;
		uint64_t ino;
		uint32_t type;
		uint32_t size;
		char name[OP_NAME_MAX];
	} entries[PAGE_ENTRIES];
};

static bool take_entry(void *arg, const struct meta_record *r)
{
	struct page *p = arg;
	struct cursor c;
	if (meta_key_first(r->key) != p->dir || p->n == PAGE_ENTRIES)
		return false;
	cursor_init(&c, (void *)r->body, r->size);
	p->entries[p->n].cookie = meta_key_second(r->key);
	p->entries[p->n].ino = cursor_le64(&c);
	p->entries[p->n].type = cursor_le32(&c);
	uint32_t size = cursor_le32(&c);
	const uint8_t *name = cursor_bytes(&c, MIN(size, (uint32_t)OP_NAME_MAX));
	if (cursor_failed(&c))
		return false;
	p->entries[p->n].size = MIN(size, (uint32_t)OP_NAME_MAX);
	memcpy(p->entries[p->n].name, name, p->entries[p->n].size);
	p->n++;
	return true;
}

static int read_page(struct cairn_node *dir, uint64_t cookie, struct page *p)
{
	struct meta_key key = meta_key_pair(cairn_ino(dir), cookie + 1);
	p->dir = cairn_ino(dir);
	p->n = 0;
	if (cookie == UINT64_MAX)
		return 0;
	return meta_scan(cairn_of(dir)->meta, META_ORDER, &key, META_FROM, take_entry, p);
}

int cairn_readdir(struct vfs_node *node, uint64_t cookie, uint64_t *verifier, vfs_emit_fn *emit, void *arg, bool *eof)
{
	struct cairn_node *dir = cairn_node(node);
	uint64_t instance = cairn_of(dir)->instance;
	*eof = true;
	if (cookie && *verifier && *verifier != instance)
		return ERR_BAD_COOKIE;
	*verifier = instance;
	if (unlikely(cairn_ino(dir) == CAIRN_SNAPSHOT_DIR))
		return cairn_snapshot_readdir(cairn_of(dir), cookie, emit, arg, eof);
	CLEANUP_FREE struct page *p = malloc(sizeof(*p));
	int err = p ? read_page(dir, cookie, p) : ERR_NOMEM;
	while (!err && p->n) {
		for (uint32_t i = 0; i < p->n; i++) {
			struct vfs_name name = {p->entries[i].name, p->entries[i].size};
			cookie = p->entries[i].cookie;
			*eof = emit(arg, &name, cookie, cairn_fileid(cairn_of(dir), p->entries[i].ino), p->entries[i].type, NULL);
			if (!*eof)
				return 0;
		}
		err = read_page(dir, cookie, p);
	}
	if (!err)
		cairn_stamp_read(dir);
	return err;
}
